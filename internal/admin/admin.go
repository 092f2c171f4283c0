// Package admin is what the host and its administrators do with other people's
// accounts.
package admin

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/truekeel/auth/fault"
	"github.com/truekeel/auth/internal/audit"
	"github.com/truekeel/auth/internal/guard"
	"github.com/truekeel/auth/internal/host"
	"github.com/truekeel/auth/internal/onetime"
	"github.com/truekeel/auth/internal/password"
	"github.com/truekeel/auth/internal/post"
	"github.com/truekeel/auth/internal/session"
	"github.com/truekeel/auth/internal/user"
	"github.com/truekeel/auth/store"
)

// Config is what Flow needs.
type Config struct {
	Store    store.Store
	Accounts *user.Accounts
	Sessions *session.Sessions
	Post     *post.Office
	Tokens   *onetime.Tokens
	Guard    *guard.Guard
	Hasher   *password.Hasher
	Policy   password.Policy
	Audit    *audit.Log
	Now      func() time.Time
	// SecureChange says whether the present address is asked too before a change.
	SecureChange bool

	// Host are the host's steps; nil if it has none. An administrator's own changes ask
	// none of them.
	Host *host.Steps
}

// Flow administers accounts. It is safe for concurrent use.
type Flow struct{ Config }

// New makes a Flow.
func New(c Config) *Flow { return &Flow{c} }

// ErrNotFound is the answer where no account has the id or address.
var ErrNotFound = fault.New(fault.UserNotFound, "User not found")

var (
	errNoAddress = fault.New(fault.ValidationFailed, "Cannot create a user without either an email or phone")
	errTwoHashes = fault.New(fault.ValidationFailed, "Only a password or a password hash should be provided")
	errBadHash   = fault.New(fault.ValidationFailed, "The password hash is in no known format (bcrypt, argon2i, argon2id, fbscrypt)")
)

// Draft is an account that an administrator makes.
type Draft struct {
	ID             uuid.UUID // uuid.Nil: a new one
	Audience       string
	Role           string
	Email, Phone   string
	Password       string
	PasswordHash   string
	EmailConfirmed bool
	PhoneConfirmed bool
	UserMetadata   store.Object
	AppMetadata    store.Object
	BannedUntil    time.Time
}

// HashedDraft is a Draft whose slow part is done: it can be created in a transaction.
type HashedDraft struct{ Draft }

// Prepare checks a draft and hashes its password.
func (f *Flow) Prepare(ctx context.Context, d Draft) (HashedDraft, error) {
	if d.Email == "" && d.Phone == "" {
		return HashedDraft{}, errNoAddress
	}
	if err := normalize(&d.Email, &d.Phone); err != nil {
		return HashedDraft{}, err
	}
	if d.Password != "" && d.PasswordHash != "" {
		return HashedDraft{}, errTwoHashes
	}
	if d.PasswordHash != "" {
		if err := f.Hasher.CheckHash(d.PasswordHash); err != nil {
			return HashedDraft{}, errBadHash.WithCause(err)
		}
	}
	if d.Password != "" {
		hash, err := f.Hasher.Hash(ctx, d.Password)
		if err != nil {
			return HashedDraft{}, err
		}
		d.Password, d.PasswordHash = "", hash
	}
	return HashedDraft{d}, nil
}

func normalize(email, phone *string) (err error) {
	if *email != "" {
		if *email, err = user.NormalizeEmail(*email); err != nil {
			return err
		}
	}
	if *phone != "" {
		*phone, err = user.NormalizePhone(*phone)
	}
	return err
}

// Create makes an account, without mail and whatever the sign-up policy is.
func (f *Flow) Create(ctx context.Context, who audit.Actor, d Draft) (user.Account, error) {
	h, err := f.Prepare(ctx, d)
	if err != nil {
		return user.Account{}, err
	}
	var acc user.Account
	err = f.Store.Tx(ctx, func(tx store.Store) error {
		acc, err = f.CreateIn(ctx, tx, who, h)
		return err
	})
	if errors.Is(err, store.ErrConflict) {
		return user.Account{}, f.Taken(ctx, h)
	}
	return acc, err
}

// CreateIn makes a prepared account within tx. After store.ErrConflict, Taken tells
// which of its addresses is another's.
func (f *Flow) CreateIn(ctx context.Context, tx store.Store, who audit.Actor, d HashedDraft) (user.Account, error) {
	acc, err := f.Accounts.Create(ctx, tx, nil, user.Draft{
		ID: d.ID, Audience: d.Audience, Role: d.Role, Email: d.Email, Phone: d.Phone, PasswordHash: d.PasswordHash,
		AppMetadata: d.AppMetadata, UserMetadata: d.UserMetadata, EmailVerified: d.EmailConfirmed, PhoneVerified: d.PhoneConfirmed,
	})
	if err != nil {
		return acc, err
	}
	traits := user.Traits(&acc.User)
	traits["provider"] = acc.User.AppMetadata.String("provider")
	if err := f.Audit.Add(ctx, tx, who, audit.UserSignedUp, traits); err != nil {
		return acc, err
	}
	u := &acc.User
	u.BannedUntil = precise(d.BannedUntil)
	if d.PhoneConfirmed && u.Phone != "" {
		u.PhoneConfirmedAt = f.Now()
	}
	if d.EmailConfirmed && u.Email != "" {
		return acc, f.Accounts.ConfirmEmail(ctx, tx, nil, &acc)
	}
	return acc, f.Accounts.Save(ctx, tx, u)
}

// precise is a time as every database keeps it.
func precise(t time.Time) time.Time { return t.UTC().Truncate(time.Microsecond) }

var errPhoneTaken = fault.New(fault.PhoneExists, "Phone number already registered by another user")

// Taken tells why a draft could not be created.
func (f *Flow) Taken(ctx context.Context, d HashedDraft) error {
	if d.Email != "" {
		if _, found, err := user.ByAddress(ctx, f.Store, d.Audience, d.Email, ""); err != nil {
			return err
		} else if found {
			return user.ErrEmailExists
		}
	}
	if d.Phone != "" {
		if _, found, err := user.ByAddress(ctx, f.Store, d.Audience, "", d.Phone); err != nil {
			return err
		} else if found {
			return errPhoneTaken
		}
	}
	switch { // the other one isn't committed yet, or is gone again
	case d.ID != uuid.Nil:
	case d.Email != "":
		return user.ErrEmailExists
	case d.Phone != "":
		return errPhoneTaken
	}
	return fault.New(fault.UserAlreadyExists, "A user with this id already exists")
}

// Get reads an account.
func (f *Flow) Get(ctx context.Context, id uuid.UUID) (user.Account, error) {
	acc, err := f.Accounts.Load(ctx, f.Store, id)
	return acc, notFound(err)
}

// Find reads the account of an address.
func (f *Flow) Find(ctx context.Context, audience, email string) (user.Account, error) {
	email, err := user.NormalizeEmail(email)
	if err != nil {
		return user.Account{}, err
	}
	u, err := f.Store.UserByEmail(ctx, audience, email)
	if err != nil {
		return user.Account{}, notFound(err)
	}
	return f.Accounts.Complete(ctx, f.Store, u)
}

func notFound(err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return ErrNotFound
	}
	return err
}

// Patch is a change that an administrator makes; nil fields change nothing.
type Patch struct {
	Role           *string
	Email, Phone   *string
	Password       *string
	EmailConfirmed bool // proves the present address
	PhoneConfirmed bool
	UserMetadata   store.Object
	AppMetadata    store.Object
	BannedUntil    *time.Time // the zero time lifts a ban
}

// HashedPatch is a Patch whose slow part is done.
type HashedPatch struct {
	Patch
	hash string
}

// PreparePatch checks a patch and hashes its password.
func (f *Flow) PreparePatch(ctx context.Context, p Patch) (HashedPatch, error) {
	out := HashedPatch{Patch: p}
	for field, normal := range map[**string]func(string) (string, error){&out.Email: user.NormalizeEmail, &out.Phone: user.NormalizePhone} {
		if *field == nil || **field == "" {
			*field = nil
			continue
		}
		s, err := normal(**field)
		if err != nil {
			return out, err
		}
		*field = &s
	}
	if p.Password == nil {
		return out, nil
	}
	var about []string
	for _, own := range []*string{out.Email, out.Phone} {
		if own != nil {
			about = append(about, password.OwnWords(*own)...)
		}
	}
	if err := f.Policy.Check(ctx, *p.Password, about...); err != nil {
		return out, err
	}
	hash, err := f.Hasher.Hash(ctx, *p.Password)
	out.hash = hash
	return out, err
}

// Update changes an account at once, without mail.
func (f *Flow) Update(ctx context.Context, who audit.Actor, id uuid.UUID, p Patch) (user.Account, error) {
	h, err := f.PreparePatch(ctx, p)
	if err != nil {
		return user.Account{}, err
	}
	var acc user.Account
	err = f.Store.Tx(ctx, func(tx store.Store) error {
		acc, err = f.UpdateIn(ctx, tx, who, id, h)
		return err
	})
	if errors.Is(err, store.ErrConflict) {
		return user.Account{}, f.Clash(ctx, id, h)
	}
	return acc, notFound(err)
}

// Clash tells which address of a patch is another's, after store.ErrConflict.
func (f *Flow) Clash(ctx context.Context, id uuid.UUID, p HashedPatch) error {
	switch {
	case p.Phone == nil:
		return user.ErrEmailExists
	case p.Email == nil:
		return user.ErrPhoneExists
	}
	u, err := f.Store.User(ctx, id)
	if err != nil {
		return notFound(err)
	}
	if o, found, err := user.ByAddress(ctx, f.Store, u.Audience, *p.Email, ""); err == nil && found && o.ID != id {
		return user.ErrEmailExists
	}
	return user.ErrPhoneExists
}

// UpdateIn applies a prepared patch within tx.
func (f *Flow) UpdateIn(ctx context.Context, tx store.Store, who audit.Actor, id uuid.UUID, p HashedPatch) (user.Account, error) {
	acc, err := f.Accounts.Load(ctx, tx, id)
	if err != nil {
		return acc, err
	}
	u := &acc.User
	if p.Role != nil && *p.Role != "" {
		u.Role = *p.Role
	}
	if p.PhoneConfirmed && u.Phone != "" && u.PhoneConfirmedAt.IsZero() {
		u.PhoneConfirmedAt = f.Now()
	}
	if err := user.Merge(u, p.UserMetadata, p.AppMetadata); err != nil {
		return acc, err
	}
	if p.BannedUntil != nil {
		u.BannedUntil = precise(*p.BannedUntil)
	}
	if err := f.setPassword(ctx, tx, u, p.hash); err != nil {
		return acc, err
	}
	if err := f.setAddresses(ctx, tx, &acc, p); err != nil {
		return acc, err
	}
	if err := f.Audit.Add(ctx, tx, who, audit.UserModified, user.Traits(u)); err != nil {
		return acc, err
	}
	if p.EmailConfirmed && u.Email != "" {
		return acc, f.Accounts.ConfirmEmail(ctx, tx, nil, &acc)
	}
	return acc, f.Accounts.Save(ctx, tx, u)
}

// setPassword ends everything that the old password opened.
func (f *Flow) setPassword(ctx context.Context, tx store.Store, u *store.User, hash string) error {
	if hash == "" {
		return nil
	}
	u.PasswordHash, u.NewEmail, u.EmailChangeSide, u.NewPhone = hash, "", store.ChangeNone, ""
	if err := user.EndProofs(ctx, tx, u.ID); err != nil {
		return err
	}
	_, err := tx.DeleteSessionsOf(ctx, u.ID, uuid.Nil)
	return err
}

func (f *Flow) setAddresses(ctx context.Context, tx store.Store, acc *user.Account, p HashedPatch) error {
	if p.Email != nil && *p.Email != acc.User.Email {
		if err := f.Accounts.SetEmail(ctx, tx, nil, acc, *p.Email, p.EmailConfirmed); err != nil {
			return err
		}
	}
	if p.Phone != nil && *p.Phone != acc.User.Phone {
		return f.Accounts.SetPhone(ctx, tx, nil, acc, *p.Phone, p.PhoneConfirmed)
	}
	return nil
}

// Delete removes an account with everything that is its own; soft keeps its row under
// an unreadable name.
func (f *Flow) Delete(ctx context.Context, who audit.Actor, id uuid.UUID, soft bool) error {
	return notFound(f.Store.Tx(ctx, func(tx store.Store) error { return f.DeleteIn(ctx, tx, who, id, soft) }))
}

// DeleteIn is Delete within tx.
func (f *Flow) DeleteIn(ctx context.Context, tx store.Store, who audit.Actor, id uuid.UUID, soft bool) error {
	u, err := tx.User(ctx, id)
	if err != nil {
		return err
	}
	if soft {
		return f.Accounts.SoftDelete(ctx, tx, who, &u)
	}
	return f.Accounts.Delete(ctx, tx, who, &u)
}

// SignOut ends all sessions of a user.
func (f *Flow) SignOut(ctx context.Context, id uuid.UUID) error {
	return notFound(f.Store.Tx(ctx, func(tx store.Store) error { return f.SignOutIn(ctx, tx, id) }))
}

// SignOutIn is SignOut within tx.
func (f *Flow) SignOutIn(ctx context.Context, tx store.Store, id uuid.UUID) error {
	u, err := tx.User(ctx, id)
	if err != nil {
		return err
	}
	return f.Sessions.End(ctx, tx, &u, uuid.Nil, session.Global)
}

// Issue starts a session for a user who proved himself to the host.
func (f *Flow) Issue(ctx context.Context, id uuid.UUID, method string) (session.Grant, error) {
	var acc user.Account
	var st session.Started
	t := f.Host.Talk()
	err := t.Tx(ctx, f.Store, func(tx store.Store) (err error) {
		acc, st, err = f.IssueIn(ctx, tx, t, id, method)
		return err
	})
	if err != nil {
		return session.Grant{}, notFound(err)
	}
	return f.Sessions.Grant(ctx, acc, st)
}

// IssueIn is Issue within tx; the access token is made after the commit.
func (f *Flow) IssueIn(ctx context.Context, tx store.Store, t *host.Talk, id uuid.UUID, method string) (user.Account, session.Started, error) {
	acc, err := f.Accounts.Load(ctx, tx, id)
	if err != nil {
		return acc, session.Started{}, err
	}
	if !acc.User.DeletedAt.IsZero() {
		return acc, session.Started{}, store.ErrNotFound
	}
	if err := f.Audit.Add(ctx, tx, audit.Of(&acc.User), audit.Login, map[string]any{"provider": method}); err != nil {
		return acc, session.Started{}, err
	}
	st, err := f.Sessions.Start(ctx, tx, t, &acc.User, method, "")
	return acc, st, err
}
