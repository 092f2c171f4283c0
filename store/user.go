package store

import (
	"context"
	"time"

	"github.com/google/uuid"
)

// User is an account.
type User struct {
	ID       uuid.UUID
	Audience string // who the account is for; part of the key of email and phone
	Role     string

	Email            string // lower case; "" if none
	EmailConfirmedAt time.Time
	Phone            string // E.164 digits without "+"; "" if none
	PhoneConfirmedAt time.Time
	PasswordHash     string // PHC or crypt string; "" if the account has no password

	NewEmail string // an address that is asked for and not proved yet
	// EmailChangeSide says which half of a double confirmation is done.
	EmailChangeSide ChangeSide
	NewPhone        string

	InvitedAt            time.Time
	ConfirmationSentAt   time.Time
	RecoverySentAt       time.Time
	EmailChangeSentAt    time.Time
	PhoneChangeSentAt    time.Time
	ReauthenticationSent time.Time
	LastSignInAt         time.Time

	AppMetadata  Object // the operator's: the user can't change it
	UserMetadata Object // the user's own

	IsAnonymous bool
	IsSSO       bool // belongs to an identity provider: its email is no key
	BannedUntil time.Time
	DeletedAt   time.Time // soft deletion

	CreatedAt time.Time
	UpdatedAt time.Time

	// Version counts the writes of the row; [Users.UpdateUser] compares it.
	Version int64
}

// ChangeSide is the half of a double confirmation that is done.
type ChangeSide string

// The sides.
const (
	ChangeNone    ChangeSide = ""
	ChangeCurrent ChangeSide = "current"
	ChangeNew     ChangeSide = "new"
)

// Confirmed reports whether the email address or the phone number is proved.
func (u *User) Confirmed() bool { return !u.EmailConfirmedAt.IsZero() || !u.PhoneConfirmedAt.IsZero() }

// ConfirmedAt is the earlier of the two confirmations; zero if there is none.
func (u *User) ConfirmedAt() time.Time {
	e, p := u.EmailConfirmedAt, u.PhoneConfirmedAt
	if e.IsZero() || (!p.IsZero() && p.Before(e)) {
		return p
	}
	return e
}

// Banned reports whether the account may not sign in at now.
func (u *User) Banned(now time.Time) bool { return now.Before(u.BannedUntil) }

// Users keeps accounts. (Audience, Email) and (Audience, Phone) are unique among
// accounts that have them and aren't IsSSO.
type Users interface {
	// CreateUser inserts u with Version 1. ErrConflict if the id, the email or the
	// phone of its audience is taken: of racing callers one wins.
	CreateUser(ctx context.Context, u User) error
	// User reads by id. Soft-deleted accounts are found. ErrNotFound on a miss.
	User(ctx context.Context, id uuid.UUID) (User, error)
	// UserByEmail reads the non-SSO account of (audience, email). ErrNotFound on a
	// miss, and for "".
	UserByEmail(ctx context.Context, audience, email string) (User, error)
	// UserByPhone reads the non-SSO account of (audience, phone). ErrNotFound on a
	// miss, and for "".
	UserByPhone(ctx context.Context, audience, phone string) (User, error)
	// UpdateUser writes every column of u where the stored Version is u.Version, and
	// raises it by one in the database and in *u. ErrStale if the row has another
	// version, ErrNotFound if it is gone, ErrConflict if email or phone are taken.
	UpdateUser(ctx context.Context, u *User) error
	// DeleteUser deletes the account and everything that is its own: identities,
	// sessions, refresh tokens, one-time tokens, flow states. ErrNotFound on a miss.
	DeleteUser(ctx context.Context, id uuid.UUID) error
	// ListUsers gives a page; an empty page is no error.
	ListUsers(ctx context.Context, q UserQuery) ([]User, error)
	// CountUsers counts what q selects, whatever its page.
	CountUsers(ctx context.Context, q UserQuery) (int64, error)
}

// UserQuery selects accounts of one audience, soft-deleted ones included, ordered by
// (CreatedAt, ID).
type UserQuery struct {
	Audience  string // "" for any
	Filter    string // part of the email (case matters), or of user_metadata.full_name (it doesn't); "" for all
	Ascending bool   // oldest first; default newest first
	// After continues behind the row of this key; zero begins at the start.
	After  UserKey
	Offset int // rows to leave out first; slow on large tables, prefer After
	Limit  int // at most this many; 0 means 50, at most 1000
}

// UserKey is a place in the order of [UserQuery].
type UserKey struct {
	CreatedAt time.Time
	ID        uuid.UUID
}
