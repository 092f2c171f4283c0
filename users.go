package auth

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/truekeel/auth/internal/admin"
	"github.com/truekeel/auth/internal/audit"
	"github.com/truekeel/auth/internal/session"
	"github.com/truekeel/auth/store"
)

// Users is what a host does with accounts from Go. It asks no policy of sign-up, sends
// no mail unless a method says so, and is safe for concurrent use. Refusals are [*Error]:
// user_not_found where no account has the id or address, email_exists and phone_exists
// where another has it already, validation_failed for what can't be.
type Users struct {
	auth *Auth
	flow *admin.Flow
}

// Users gives the accounts.
func (a *Auth) Users() *Users { return a.users }

// NewUser is an account to be made. An email or a phone is needed, nothing else.
type NewUser struct {
	ID       uuid.UUID // uuid.Nil: a new one
	Audience string    // "": the default one
	Role     string    // "": the default one
	Email    string
	Phone    string
	// Password is checked for nothing but its length, PasswordHash must be bcrypt,
	// argon2i, argon2id or fbscrypt. At most one of them; none leaves the account
	// without a password.
	Password       string
	PasswordHash   string
	EmailConfirmed bool // the address counts as proved
	PhoneConfirmed bool
	UserMetadata   store.Object
	AppMetadata    store.Object
	BannedUntil    time.Time
}

func (u *Users) draft(n NewUser) admin.Draft {
	if n.Audience == "" {
		n.Audience = u.auth.set.audience
	}
	return admin.Draft(n)
}

// Create makes an account and gives it with its identities.
func (u *Users) Create(ctx context.Context, n NewUser) (Account, error) {
	acc, err := u.flow.Create(ctx, audit.Host(), u.draft(n))
	if err != nil {
		return Account{}, err
	}
	u.auth.outbox.Wake()
	return whole(acc), nil
}

// Invitation invites somebody by mail.
type Invitation struct {
	Email        string
	UserMetadata store.Object
	// RedirectTo is where the link leads in the end; "" for the site.
	RedirectTo string
}

// Invite makes an account without a password, if there is none, and mails its owner a
// link to accept. It needs [WithSiteURL] or [WithExternalURL]. email_exists if the
// account is confirmed already.
func (u *Users) Invite(ctx context.Context, i Invitation) (Account, error) {
	acc, err := u.flow.Invite(ctx, audit.Host(), admin.Invitation{
		Audience: u.auth.set.audience, Email: i.Email, Data: i.UserMetadata, RedirectTo: i.RedirectTo,
	})
	if err != nil {
		return Account{}, err
	}
	return whole(acc), nil
}

// Get reads an account, soft-deleted ones too, with its identities.
func (u *Users) Get(ctx context.Context, id uuid.UUID) (Account, error) {
	acc, err := u.flow.Get(ctx, id)
	if err != nil {
		return Account{}, err
	}
	return whole(acc), nil
}

// FindByEmail reads the account of an address, with its identities. The case of the
// address doesn't matter.
func (u *Users) FindByEmail(ctx context.Context, email string) (Account, error) {
	acc, err := u.flow.Find(ctx, u.auth.set.audience, email)
	if err != nil {
		return Account{}, err
	}
	return whole(acc), nil
}

// List selects a page of accounts, newest first unless Ascending.
type List struct {
	Filter    string // part of the email, or of full_name in the user metadata; "": all
	Ascending bool   // oldest first
	// After continues behind an account of the page before; nil begins.
	After *Account
	// Limit is the size of the page; 0 means 50, at most 1000.
	Limit int
}

// List gives a page of accounts without their identities; an empty one is the end.
// Paging by After costs the same on every page.
func (u *Users) List(ctx context.Context, l List) ([]Account, error) {
	q := store.UserQuery{Audience: u.auth.set.audience, Filter: l.Filter, Ascending: l.Ascending, Limit: l.Limit}
	if l.After != nil {
		q.After = store.UserKey{CreatedAt: l.After.CreatedAt, ID: l.After.ID}
	}
	rows, err := u.auth.store.ListUsers(ctx, q)
	if err != nil {
		return nil, err
	}
	out := make([]Account, 0, len(rows))
	for _, row := range rows {
		out = append(out, accountOf(row, nil))
	}
	return out, nil
}

// Change is a change of an account; nil fields change nothing.
type Change struct {
	Role     *string
	Email    *string // becomes the account's at once
	Phone    *string
	Password *string // ends all sessions; must satisfy the password policy
	// EmailConfirmed and PhoneConfirmed prove the address or number that the account
	// has, or gets now. False changes nothing.
	EmailConfirmed bool
	PhoneConfirmed bool
	// UserMetadata and AppMetadata are laid over what there is; a key with null is
	// removed.
	UserMetadata store.Object
	AppMetadata  store.Object
	BannedUntil  *time.Time // the zero time lifts a ban
}

// Update changes an account at once and gives it.
func (u *Users) Update(ctx context.Context, id uuid.UUID, c Change) (Account, error) {
	acc, err := u.flow.Update(ctx, audit.Host(), id, admin.Patch(c))
	if err != nil {
		return Account{}, err
	}
	return whole(acc), nil
}

// Ban keeps a user from signing in, refreshing and using his account until a time. The
// zero time lifts the ban.
func (u *Users) Ban(ctx context.Context, id uuid.UUID, until time.Time) error {
	_, err := u.Update(ctx, id, Change{BannedUntil: &until})
	return err
}

// Delete removes an account with everything that is its own.
func (u *Users) Delete(ctx context.Context, id uuid.UUID) error {
	return u.flow.Delete(ctx, audit.Host(), id, false)
}

// SoftDelete keeps the account's row under an unreadable name, so that its id is never
// used again; its address is free at once. It can't be undone.
func (u *Users) SoftDelete(ctx context.Context, id uuid.UUID) error {
	return u.flow.Delete(ctx, audit.Host(), id, true)
}

// SignOut ends all sessions of a user. His access tokens stay valid until they expire,
// see [Auth.RequireActiveSession].
func (u *Users) SignOut(ctx context.Context, id uuid.UUID) error { return u.flow.SignOut(ctx, id) }

// Grant is a session's tokens.
type Grant struct {
	User         Account
	SessionID    uuid.UUID
	AccessToken  string
	RefreshToken string
	ExpiresAt    time.Time // of the access token
}

// Issue starts a session for a user whom the host has authenticated in its own way;
// method names that way in the token's amr claim. user_banned for a banned user.
func (u *Users) Issue(ctx context.Context, id uuid.UUID, method string) (Grant, error) {
	g, err := u.flow.Issue(ctx, id, method)
	if err != nil {
		return Grant{}, err
	}
	return grantOf(g), nil
}

func grantOf(g session.Grant) Grant {
	return Grant{
		User: whole(g.Account), SessionID: g.Session.ID, AccessToken: g.AccessToken, RefreshToken: g.RefreshToken, ExpiresAt: g.ExpiresAt,
	}
}
