package store

import (
	"context"
	"time"

	"github.com/google/uuid"
)

// Identity is one way in which a user is known to somebody: a provider's subject, or
// the account's own email or phone.
type Identity struct {
	ID       uuid.UUID
	UserID   uuid.UUID
	Provider string // "email", "phone", "google", ...: an attribute, not the key
	Issuer   string // who vouches: the provider's canonical issuer, "email", "phone"
	Subject  string // the issuer's id of the person; the user id for email and phone
	Email    string // lower case, as the issuer says; "" if none
	Data     Object // the claims

	LastSignInAt time.Time
	CreatedAt    time.Time
	UpdatedAt    time.Time
}

// Identities keeps identities. (Issuer, Subject) is unique.
type Identities interface {
	// CreateIdentity inserts. ErrConflict if the id or (issuer, subject) is taken.
	CreateIdentity(ctx context.Context, i Identity) error
	// IdentityBySubject reads by key. ErrNotFound on a miss.
	IdentityBySubject(ctx context.Context, issuer, subject string) (Identity, error)
	// IdentitiesOf gives the user's identities, oldest first; none is no error.
	IdentitiesOf(ctx context.Context, userID uuid.UUID) ([]Identity, error)
	// IdentitiesByEmail gives all identities with the address, oldest first.
	IdentitiesByEmail(ctx context.Context, email string) ([]Identity, error)
	// UpdateIdentity writes Subject, Email, Data, LastSignInAt and UpdatedAt of the
	// row with i.ID. ErrNotFound on a miss, ErrConflict if the key is taken.
	UpdateIdentity(ctx context.Context, i Identity) error
	// DeleteIdentity deletes by id. ErrNotFound on a miss.
	DeleteIdentity(ctx context.Context, id uuid.UUID) error
}
