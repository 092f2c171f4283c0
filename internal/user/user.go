// Package user is where every account begins and where what is known of it changes:
// the shared steps of creating, confirming, renaming and deleting.
//
// The steps work within the transaction of the flow that calls them. They decide no
// policy (who may sign up, which password is good): the flows do.
package user

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/truekeel/auth/fault"
	"github.com/truekeel/auth/internal/audit"
	"github.com/truekeel/auth/internal/host"
	"github.com/truekeel/auth/store"
)

// Issuers of the identities that an account has by itself.
const (
	EmailProvider = "email"
	PhoneProvider = "phone"
)

// ErrEmailExists and ErrPhoneExists are the answers where an address or a number is
// another account's.
var (
	ErrEmailExists = fault.New(fault.EmailExists, "A user with this email address has already been registered")
	ErrPhoneExists = fault.New(fault.PhoneExists, "A user with this phone number has already been registered")
)

// Account is a user with what belongs to him, as flows answer it.
type Account struct {
	User       store.User
	Identities []store.Identity
}

// Accounts makes and changes accounts. It is safe for concurrent use.
type Accounts struct {
	now   func() time.Time
	audit *audit.Log
	role  string
	host  *host.Steps
}

// Config is what Accounts needs.
type Config struct {
	Now   func() time.Time
	Audit *audit.Log
	// DefaultRole is the role of a new account.
	DefaultRole string
	// Host are the host's steps; nil if it has none.
	Host *host.Steps
}

// New makes Accounts.
func New(c Config) *Accounts {
	return &Accounts{now: c.Now, audit: c.Audit, role: c.DefaultRole, host: c.Host}
}

// Draft is an account to be made.
type Draft struct {
	ID           uuid.UUID // uuid.Nil: a new one
	Audience     string
	Role         string // "": the default role
	Email        string // normalized
	Phone        string // normalized
	PasswordHash string
	AppMetadata  store.Object // laid over what is made
	UserMetadata store.Object
	// Claims adds the identity's claims to the user's metadata, as a sign-up does.
	Claims bool
	// EmailVerified and PhoneVerified are what the identities say at first.
	EmailVerified, PhoneVerified bool
	// External is a provider's identity that the account begins with, in place of its
	// own address and number; nil if it begins with those.
	External *store.Identity
}

// Announce asks the host about an account before the transaction that makes it, if it
// will be made: what comes before that transaction then comes after the host's word.
func (a *Accounts) Announce(ctx context.Context, t *host.Talk, d Draft) error {
	acc := a.draw(t, d)
	if err := bounded(&acc.User); err != nil {
		return err
	}
	return t.Ask(ctx, host.Before, &acc.User)
}

// draw is assemble for an account that the request makes.
func (a *Accounts) draw(t *host.Talk, d Draft) Account {
	if d.ID == uuid.Nil {
		d.ID = t.UserID()
	}
	return a.assemble(d)
}

// Create writes a new account with its identities, once the host agrees. A nil talk asks
// nobody. store.ErrConflict means that the address is taken: the caller reads it in a new
// transaction.
func (a *Accounts) Create(ctx context.Context, tx store.Store, t *host.Talk, d Draft) (Account, error) {
	acc := a.draw(t, d)
	if err := bounded(&acc.User); err != nil {
		return Account{}, err
	}
	if err := t.At(host.Before, &acc.User); err != nil {
		return Account{}, err
	}
	if err := tx.CreateUser(ctx, acc.User); err != nil {
		return Account{}, err
	}
	acc.User.Version = 1
	for _, i := range acc.Identities {
		if err := tx.CreateIdentity(ctx, i); err != nil {
			return Account{}, err
		}
	}
	return acc, a.host.Created(ctx, tx, acc.User)
}

// Restate lets an account that nobody has proved be what a later sign-up says: its
// password and its user's metadata, not what the operator set. It writes the identity;
// the user is written by the caller.
func (a *Accounts) Restate(ctx context.Context, tx store.Store, acc *Account, d Draft) error {
	like := a.assemble(d)
	acc.User.PasswordHash, acc.User.UserMetadata = like.User.PasswordHash, like.User.UserMetadata
	if err := bounded(&acc.User); err != nil {
		return err
	}
	for n := range acc.Identities {
		i := &acc.Identities[n]
		if i.Provider != like.Identities[0].Provider {
			continue
		}
		i.Data, i.UpdatedAt = like.Identities[0].Data, a.now()
		if err := tx.UpdateIdentity(ctx, *i); err != nil {
			return err
		}
	}
	return nil
}

// Imagine gives an account as a sign-up would have made it, without making it. Unless
// complete it has neither identities nor a role, by which clients recognise it.
func (a *Accounts) Imagine(d Draft, complete bool) Account {
	acc := a.assemble(d)
	acc.User.ConfirmationSentAt = acc.User.CreatedAt
	if !complete {
		acc.User.Role, acc.User.UserMetadata = "", d.UserMetadata.Clone()
		acc.Identities = nil
	}
	return acc
}

// assemble makes the account that a draft describes.
func (a *Accounts) assemble(d Draft) Account {
	now := a.now()
	u := store.User{
		ID: d.ID, Audience: d.Audience, Role: d.Role, Email: d.Email, Phone: d.Phone,
		PasswordHash: d.PasswordHash, UserMetadata: d.UserMetadata.Clone(),
		CreatedAt: now, UpdatedAt: now,
	}
	if u.Role == "" {
		u.Role = a.role
	}
	var identities []store.Identity
	if d.External != nil {
		i := *d.External
		i.ID, i.UserID, i.LastSignInAt, i.CreatedAt, i.UpdatedAt = uuid.New(), u.ID, now, now, now
		u.AppMetadata = providersOf(store.Object{}, []store.Identity{i}).Merged(d.AppMetadata)
		return Account{User: u, Identities: []store.Identity{i}}
	}
	if d.Email != "" {
		identities = append(identities, a.identity(&u, EmailProvider, now, d))
	}
	if d.Phone != "" {
		identities = append(identities, a.identity(&u, PhoneProvider, now, d))
	}
	if d.Claims && len(identities) > 0 {
		u.UserMetadata = identities[0].Data.Clone()
	}
	u.AppMetadata = providersOf(store.Object{}, identities).Merged(d.AppMetadata)
	return Account{User: u, Identities: identities}
}

// identity makes the identity that an account has by its own address or number.
func (a *Accounts) identity(u *store.User, provider string, now time.Time, d Draft) store.Identity {
	data := store.Object{}
	data.Set("sub", u.ID.String())
	data.Set("email_verified", d.EmailVerified)
	data.Set("phone_verified", d.PhoneVerified)
	i := store.Identity{
		// In order of creation, which the time alone doesn't tell: stores list them so,
		// and the first one's provider is the account's.
		ID:     uuid.Must(uuid.NewV7()), // never fails: crypto/rand.Read ends the process instead
		UserID: u.ID, Provider: provider, Issuer: provider, Subject: u.ID.String(),
		LastSignInAt: now, CreatedAt: now, UpdatedAt: now,
	}
	switch provider {
	case EmailProvider:
		i.Email = u.Email
		data.Set("email", u.Email)
	case PhoneProvider:
		// On the wire the identity that a sign-up makes doesn't name the number.
		if !d.Claims {
			data.Set("phone", u.Phone)
		}
	}
	if d.Claims {
		for k, v := range u.UserMetadata {
			if _, taken := data[k]; !taken {
				data[k] = v
			}
		}
	}
	i.Data = data
	return i
}

// providersOf sets provider and providers in app metadata from the identities.
func providersOf(meta store.Object, identities []store.Identity) store.Object {
	var names []string
	for _, i := range identities {
		if !slices.Contains(names, i.Provider) {
			names = append(names, i.Provider)
		}
	}
	out := meta.Clone()
	if len(names) == 0 {
		delete(out, "provider")
		delete(out, "providers")
		return out
	}
	out.Set("provider", names[0])
	out.Set("providers", names)
	return out
}

// Load reads an account by id. store.ErrNotFound on a miss.
func (a *Accounts) Load(ctx context.Context, tx store.Store, id uuid.UUID) (Account, error) {
	u, err := tx.User(ctx, id)
	if err != nil {
		return Account{}, err
	}
	return a.Complete(ctx, tx, u)
}

// Complete reads what belongs to a user who is at hand.
func (a *Accounts) Complete(ctx context.Context, tx store.Store, u store.User) (Account, error) {
	identities, err := tx.IdentitiesOf(ctx, u.ID)
	if err != nil {
		return Account{}, err
	}
	return Account{User: u, Identities: identities}, nil
}

// Save writes the user, with the time of the change.
func (a *Accounts) Save(ctx context.Context, tx store.Users, u *store.User) error {
	u.UpdatedAt = a.now()
	return tx.UpdateUser(ctx, u)
}

// ConfirmEmail marks the user's present address as proved, in his identity and his
// metadata too, and writes it. An account that was confirmed keeps its first time; for
// one that wasn't the host is asked, unless the talk is nil.
func (a *Accounts) ConfirmEmail(ctx context.Context, tx store.Store, t *host.Talk, acc *Account) error {
	now := a.now()
	u := &acc.User
	u.UserMetadata = u.UserMetadata.Clone()
	u.UserMetadata.Set("email_verified", true)
	if u.EmailConfirmedAt.IsZero() {
		u.EmailConfirmedAt = now
		if err := t.At(host.Confirming, u); err != nil {
			return err
		}
	}
	for n := range acc.Identities {
		i := &acc.Identities[n]
		if i.Provider != EmailProvider || i.Email != u.Email {
			continue
		}
		i.Data = i.Data.Clone()
		i.Data.Set("email_verified", true)
		i.UpdatedAt = now
		if err := tx.UpdateIdentity(ctx, *i); err != nil {
			return err
		}
	}
	return a.Save(ctx, tx, u)
}

// ConfirmPhone marks the user's present number as proved; see ConfirmEmail.
func (a *Accounts) ConfirmPhone(ctx context.Context, tx store.Store, t *host.Talk, acc *Account) error {
	now := a.now()
	u := &acc.User
	u.IsAnonymous = false
	u.UserMetadata = u.UserMetadata.Clone()
	u.UserMetadata.Set("phone_verified", true)
	if u.PhoneConfirmedAt.IsZero() {
		u.PhoneConfirmedAt = now
		if err := t.At(host.Confirming, u); err != nil {
			return err
		}
	}
	for n := range acc.Identities {
		i := &acc.Identities[n]
		if i.Provider != PhoneProvider {
			continue
		}
		i.Data = i.Data.Clone()
		i.Data.Set("phone_verified", true)
		i.UpdatedAt = now
		if err := tx.UpdateIdentity(ctx, *i); err != nil {
			return err
		}
	}
	return a.Save(ctx, tx, u)
}

// SetEmail gives the account another address, which is its own from now on, and
// writes it. verified says whether somebody proved it. What was sent to the old address
// opens the account no more; what was sent to a number stays good. The host is asked, unless the talk is nil. store.ErrConflict
// if the address is another account's.
func (a *Accounts) SetEmail(ctx context.Context, tx store.Store, t *host.Talk, acc *Account, email string, verified bool) error {
	u := &acc.User
	u.Email, u.NewEmail, u.EmailChangeSide = email, "", store.ChangeNone
	if verified {
		u.EmailConfirmedAt = firstOf(u.EmailConfirmedAt, a.now())
		u.IsAnonymous = false
	}
	if err := t.At(host.ChangingEmail, u); err != nil {
		return err
	}
	if err := endMails(ctx, tx, u.ID); err != nil {
		return err
	}
	if err := a.setIdentity(ctx, tx, acc, EmailProvider, verified); err != nil {
		return err
	}
	u.AppMetadata = providersOf(u.AppMetadata, acc.Identities)
	return a.Save(ctx, tx, u)
}

// SetPhone gives the account another number and writes it; see SetEmail. What was sent
// to the account's address stays good.
func (a *Accounts) SetPhone(ctx context.Context, tx store.Store, t *host.Talk, acc *Account, phone string, verified bool) error {
	u := &acc.User
	u.Phone, u.NewPhone = phone, ""
	if verified {
		first := u.PhoneConfirmedAt.IsZero()
		u.PhoneConfirmedAt, u.IsAnonymous = firstOf(u.PhoneConfirmedAt, a.now()), false
		if first {
			if err := t.At(host.Confirming, u); err != nil {
				return err
			}
		}
	}
	if err := EndTexts(ctx, tx, u.ID); err != nil {
		return err
	}
	if err := a.setIdentity(ctx, tx, acc, PhoneProvider, verified); err != nil {
		return err
	}
	u.AppMetadata = providersOf(u.AppMetadata, acc.Identities)
	return a.Save(ctx, tx, u)
}

// setIdentity makes or updates the identity of the account's own address or number.
func (a *Accounts) setIdentity(ctx context.Context, tx store.Store, acc *Account, provider string, verified bool) error {
	u := &acc.User
	n := slices.IndexFunc(acc.Identities, func(i store.Identity) bool { return i.Provider == provider })
	if n < 0 {
		i := a.identity(u, provider, a.now(), Draft{EmailVerified: verified && provider == EmailProvider, PhoneVerified: verified && provider == PhoneProvider})
		acc.Identities = append(acc.Identities, i)
		return tx.CreateIdentity(ctx, i)
	}
	i := &acc.Identities[n]
	i.Data = i.Data.Clone()
	if provider == EmailProvider {
		i.Email = u.Email
		i.Data.Set("email", u.Email)
		i.Data.Set("email_verified", verified)
	} else {
		i.Data.Set("phone", u.Phone)
		i.Data.Set("phone_verified", verified)
	}
	i.UpdatedAt = a.now()
	return tx.UpdateIdentity(ctx, *i)
}

// EndProofs ends what was proved or could be proved by mail or message and isn't a session
// yet: codes, links, and authorization codes that wait for their client.
func EndProofs(ctx context.Context, tx store.Store, id uuid.UUID) error {
	if err := tx.DeleteOneTimeTokens(ctx, id); err != nil {
		return err
	}
	return tx.DeleteCodesOf(ctx, id)
}

// endMails ends what could be proved by mail, and what was and isn't a session yet.
func endMails(ctx context.Context, tx store.Store, id uuid.UUID) error {
	if err := tx.DeleteOneTimeTokens(ctx, id, store.PurposeConfirmation, store.PurposeInvite, store.PurposeRecovery, store.PurposeMagicLink,
		store.PurposeEmailChangeCurrent, store.PurposeEmailChangeNew, store.PurposeReauthentication); err != nil {
		return err
	}
	return tx.DeleteCodesOf(ctx, id)
}

// EndTexts ends the codes that were sent to an account's number.
func EndTexts(ctx context.Context, tx store.OneTimeTokens, id uuid.UUID) error {
	return tx.DeleteOneTimeTokens(ctx, id, store.PurposePhoneConfirmation, store.PurposePhoneSignIn, store.PurposePhoneChange)
}

// Delete removes an account and everything that is its own.
func (a *Accounts) Delete(ctx context.Context, tx store.Store, who audit.Actor, u *store.User) error {
	if err := a.auditDeleted(ctx, tx, who, u); err != nil {
		return err
	}
	return tx.DeleteUser(ctx, u.ID)
}

// SoftDelete keeps the row under an unreadable name, so that the id stays taken and
// the address is free at once. A second one changes nothing.
func (a *Accounts) SoftDelete(ctx context.Context, tx store.Store, who audit.Actor, u *store.User) error {
	if err := a.auditDeleted(ctx, tx, who, u); err != nil {
		return err
	}
	if !u.DeletedAt.IsZero() {
		return nil
	}
	if _, err := tx.DeleteSessionsOf(ctx, u.ID, uuid.Nil); err != nil {
		return err
	}
	if err := EndProofs(ctx, tx, u.ID); err != nil {
		return err
	}
	identities, err := tx.IdentitiesOf(ctx, u.ID)
	if err != nil {
		return err
	}
	for _, i := range identities {
		i.Subject, i.Email, i.Data = obscured(u.ID, i.Subject), "", store.Object{}
		i.UpdatedAt = a.now()
		if err := tx.UpdateIdentity(ctx, i); err != nil {
			return err
		}
	}
	u.Email, u.NewEmail = obscured(u.ID, u.Email), obscured(u.ID, u.NewEmail)
	u.Phone, u.NewPhone = obscured(u.ID, u.Phone)[:15], obscured(u.ID, u.NewPhone)[:15]
	u.EmailChangeSide, u.PasswordHash = store.ChangeNone, ""
	u.AppMetadata, u.UserMetadata = store.Object{}, store.Object{}
	u.DeletedAt = a.now()
	return a.Save(ctx, tx, u)
}

func (a *Accounts) auditDeleted(ctx context.Context, tx store.Store, who audit.Actor, u *store.User) error {
	return a.audit.Add(ctx, tx, who, audit.UserDeleted, Traits(u))
}

// obscured hides a value so that it can be compared but not read.
func obscured(id uuid.UUID, value string) string {
	sum := sha256.Sum256([]byte(id.String() + value))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// Traits names a user in an audit entry that somebody else made.
func Traits(u *store.User) map[string]any {
	return map[string]any{"user_id": u.ID.String(), "user_email": u.Email, "user_phone": u.Phone}
}

// ByAddress finds the account of an email address or a phone number, whichever is
// given; ok is false on a miss.
func ByAddress(ctx context.Context, tx store.Users, audience, email, phone string) (u store.User, ok bool, err error) {
	if email != "" {
		u, err = tx.UserByEmail(ctx, audience, email)
	} else {
		u, err = tx.UserByPhone(ctx, audience, phone)
	}
	if errors.Is(err, store.ErrNotFound) {
		return store.User{}, false, nil
	}
	return u, err == nil, err
}

func firstOf(t, otherwise time.Time) time.Time {
	if t.IsZero() {
		return otherwise
	}
	return t
}
