package session

import (
	"context"
	"crypto/rand"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/truekeel/auth/internal/audit"
	"github.com/truekeel/auth/internal/secret"
	"github.com/truekeel/auth/store"
)

// Kind says which rules of refresh a session follows. A refresh token is good only for
// the grant of its session's kind.
type Kind string

// The kinds.
const (
	// GoTrue is for tokens of a chain: the parent of the active one heals, an older one
	// betrays a theft and ends the session.
	GoTrue Kind = "gotrue"
	// Keel is for sessions with a fixed end, which no refresh moves. A rotated token is
	// simply unknown.
	Keel Kind = "keel"
)

// Fixed are the rules of sessions of kind Keel.
type Fixed struct {
	// Lifetime is how long an access token lives; RefreshLifetime how long a session
	// can be refreshed, from its start.
	Lifetime, RefreshLifetime time.Duration
	// KeepToken leaves the refresh token the same at every refresh.
	KeepToken bool
	// Issuer is the iss of access tokens; "" for the common one.
	Issuer string
}

// outfit gives a new session what its kind asks for, and its first refresh token.
func (s *Sessions) outfit(kind Kind, row *store.Session) string {
	if kind == Keel {
		row.NotAfter = row.CreatedAt.Add(s.Fixed.RefreshLifetime)
		return secret.Alphanumeric(fixedLength)
	}
	row.RefreshKey = make([]byte, 32)
	_, _ = rand.Read(row.RefreshKey) // never fails: crypto/rand.Read ends the process instead
	return newToken()
}

func (s *Sessions) lifetime(row store.Session) time.Duration {
	if row.Kind == string(Keel) {
		return s.Fixed.Lifetime
	}
	return s.Lifetime
}

// issuer is the iss of a session's access tokens, "" for the common one.
func (s *Sessions) issuer(row store.Session) string {
	if row.Kind == string(Keel) {
		return s.Fixed.Issuer
	}
	return ""
}

// fixedLength is the length of the refresh tokens of sessions with a fixed end.
const fixedLength = 64

// RefreshFixed exchanges the refresh token of a session of kind Keel. Of racing callers
// with one token one gets the next; unless the token stays, then all get it again.
func (s *Sessions) RefreshFixed(ctx context.Context, text string) (Grant, error) {
	if len(text) != fixedLength {
		return Grant{}, errUnknown
	}
	return s.renew(ctx, text, (*renewal).fixed)
}

func (r *renewal) fixed(ctx context.Context, tx store.Store) error {
	token, err := r.find(ctx, tx, Keel)
	if err != nil || r.refusal != nil {
		return err
	}
	if err := r.claim(); err != nil {
		return err
	}
	seq := r.row.RefreshSeq
	if r.Fixed.KeepToken {
		r.next, r.reissued = r.text, true
		r.used(ctx, seq)
		// Whether the row changed doesn't matter: of two refreshes at one instant the
		// second changes nothing.
		_, err := tx.UpdateSession(ctx, r.row, seq)
		return err
	}
	won, err := tx.DeleteRefreshToken(ctx, token.Hash)
	if err != nil {
		return err
	}
	if !won {
		r.refusal = errUnknown
		return nil
	}
	r.used(ctx, seq+1)
	if won, err = tx.UpdateSession(ctx, r.row, seq); err != nil {
		return err
	}
	if !won {
		return store.ErrStale
	}
	r.next = secret.Alphanumeric(fixedLength)
	if err := r.keep(ctx, tx, r.row, r.next, r.row.RefreshSeq); err != nil {
		return err
	}
	return r.Audit.Add(ctx, tx, audit.Of(&r.user), audit.TokenRefreshed, nil)
}

// Revoke ends the session of a refresh token of any kind (RFC 7009): whoever holds it
// could as well use it. A token that isn't known ends nothing and is no error.
func (s *Sessions) Revoke(ctx context.Context, text string) error {
	if len(text) != fixedLength && !wellFormed(text) {
		return nil
	}
	return s.Store.Tx(ctx, func(tx store.Store) error {
		token, err := tx.RefreshToken(ctx, secret.Hash(text))
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		ended, err := tx.DeleteSession(ctx, token.SessionID)
		if err != nil || !ended {
			return err
		}
		return s.auditRevoked(ctx, tx, token.UserID, token.SessionID)
	})
}

func (s *Sessions) auditRevoked(ctx context.Context, tx store.Store, owner, id uuid.UUID) error {
	u, err := tx.User(ctx, owner)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	return s.Audit.Add(ctx, tx, audit.Of(&u), audit.TokenRevoked, map[string]any{"session_id": id.String(), "reason": "revoked"})
}
