package auth

import (
	"time"

	"github.com/google/uuid"

	"github.com/truekeel/auth/internal/user"
	"github.com/truekeel/auth/store"
)

// Account is an account as the store has it, without its secrets. Times are UTC; a zero
// time means never.
type Account struct {
	ID       uuid.UUID
	Audience string
	Role     string

	Email            string // "" if none
	EmailConfirmedAt time.Time
	NewEmail         string // asked for and not proved yet
	Phone            string // "" if none
	PhoneConfirmedAt time.Time
	HasPassword      bool

	AppMetadata  store.Object // the service's
	UserMetadata store.Object // the user's own
	// Identities are how the user is known; only filled where the method says so.
	Identities []Identity

	IsAnonymous  bool
	InvitedAt    time.Time
	LastSignInAt time.Time
	BannedUntil  time.Time
	DeletedAt    time.Time // soft deletion
	CreatedAt    time.Time
	UpdatedAt    time.Time
}

// Identity is one way in which a user is known.
type Identity struct {
	ID       uuid.UUID
	Provider string // "email", "phone", or a provider's name
	Issuer   string
	Subject  string // the issuer's id of the person
	Email    string // as the issuer says
	Data     store.Object
}

// accountOf copies what a host may see, by hand, so that a new column doesn't leak.
func accountOf(u store.User, identities []store.Identity) Account {
	a := Account{
		ID: u.ID, Audience: u.Audience, Role: u.Role, Email: u.Email, EmailConfirmedAt: u.EmailConfirmedAt, NewEmail: u.NewEmail,
		Phone: u.Phone, PhoneConfirmedAt: u.PhoneConfirmedAt, HasPassword: u.PasswordHash != "",
		AppMetadata: u.AppMetadata.Clone(), UserMetadata: u.UserMetadata.Clone(),
		IsAnonymous: u.IsAnonymous, InvitedAt: u.InvitedAt, LastSignInAt: u.LastSignInAt, BannedUntil: u.BannedUntil,
		DeletedAt: u.DeletedAt, CreatedAt: u.CreatedAt, UpdatedAt: u.UpdatedAt,
	}
	for _, i := range identities {
		a.Identities = append(a.Identities, Identity{
			ID: i.ID, Provider: i.Provider, Issuer: i.Issuer, Subject: i.Subject, Email: i.Email, Data: i.Data.Clone(),
		})
	}
	return a
}

func whole(acc user.Account) Account { return accountOf(acc.User, acc.Identities) }
