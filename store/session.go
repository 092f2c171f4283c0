package store

import (
	"context"
	"time"

	"github.com/google/uuid"
)

// Session is one sign-in of one user on one device, until it ends.
type Session struct {
	ID     uuid.UUID
	UserID uuid.UUID
	Kind   string // which rules of refresh it follows: "gotrue" or "keel"

	AAL      string // "aal1", "aal2"
	AMR      []AMR  // how the user proved himself, oldest first
	FactorID uuid.UUID
	Tag      string

	UserAgent string
	IP        string

	// RefreshKey derives the successor of a refresh token from its text.
	RefreshKey []byte
	// RefreshSeq is the Seq of the one refresh token that is active.
	RefreshSeq int64

	NotAfter    time.Time // hard end; zero if none
	RefreshedAt time.Time // last refresh; zero before the first
	CreatedAt   time.Time
	UpdatedAt   time.Time
}

// AMR is one authentication method of a session (RFC 8176 in spirit).
type AMR struct {
	Method   string    `json:"method"`
	At       time.Time `json:"at"`
	Provider string    `json:"provider,omitempty"`
}

// Sessions keeps sessions.
type Sessions interface {
	// CreateSession inserts. ErrConflict if the id is taken.
	CreateSession(ctx context.Context, s Session) error
	// Session reads by id. ErrNotFound on a miss.
	Session(ctx context.Context, id uuid.UUID) (Session, error)
	// SessionsOf gives the user's sessions, newest first; none is no error.
	SessionsOf(ctx context.Context, userID uuid.UUID) ([]Session, error)
	// UpdateSession writes AAL, AMR, FactorID, Tag, NotAfter, UserAgent, IP,
	// RefreshSeq, RefreshedAt and UpdatedAt where the stored RefreshSeq is fromSeq.
	// It reports whether a row changed: of racing callers one gets true.
	UpdateSession(ctx context.Context, s Session, fromSeq int64) (bool, error)
	// DeleteSession ends a session, its refresh tokens with it. It reports whether
	// the session was there: of racing callers one gets true.
	DeleteSession(ctx context.Context, id uuid.UUID) (bool, error)
	// DeleteSessionsOf ends all of the user's sessions but except (uuid.Nil: all),
	// their refresh tokens with them, and says how many.
	DeleteSessionsOf(ctx context.Context, userID, except uuid.UUID) (int64, error)
}

// RefreshToken is one token of a session's chain. Only its hash is kept.
type RefreshToken struct {
	Hash      string // lower-case hex of SHA-256 of the text
	SessionID uuid.UUID
	UserID    uuid.UUID
	Seq       int64     // place in the chain; see Session.RefreshSeq
	ExpiresAt time.Time // zero if it lives as long as its session
	CreatedAt time.Time
}

// RefreshTokens keeps refresh tokens.
type RefreshTokens interface {
	// CreateRefreshToken inserts. ErrConflict if the hash is taken.
	CreateRefreshToken(ctx context.Context, t RefreshToken) error
	// RefreshToken reads by hash. ErrNotFound on a miss.
	RefreshToken(ctx context.Context, hash string) (RefreshToken, error)
	// DeleteRefreshToken deletes by hash and reports whether it was there: of racing
	// callers one gets true.
	DeleteRefreshToken(ctx context.Context, hash string) (bool, error)
}
