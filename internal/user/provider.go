package user

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/truekeel/auth/store"
)

// own reports whether an identity is the account's own address or number, and not
// somebody's at a provider.
func own(i store.Identity) bool { return i.Provider == EmailProvider || i.Provider == PhoneProvider }

// External reports whether a provider's identity belongs to the account.
func (acc Account) External() bool {
	for _, i := range acc.Identities {
		if !own(i) {
			return true
		}
	}
	return false
}

// Vouches gives what a code or link that is sent to an address or number nobody has proved
// is good for: to confirm the account, or to enter it, which drops a password that was set
// before. It enters where somebody came with a provider that didn't vouch for the address:
// whoever follows this isn't he. And it enters while a code to enter is waited for, one that
// ends after the given time: one mail or message looks like the other, and the account's
// password may be another's.
func (a *Accounts) Vouches(ctx context.Context, tx store.OneTimeTokens, acc Account, confirm, enter store.Purpose, after time.Time) (store.Purpose, error) {
	waiting, err := Waiting(ctx, tx, acc.User.ID, enter, after)
	if err != nil {
		return "", err
	}
	if acc.External() || waiting {
		return enter, nil
	}
	return confirm, nil
}

// Waiting reports whether a code or link of the purpose is waited for, one that ends after
// the given time.
func Waiting(ctx context.Context, tx store.OneTimeTokens, id uuid.UUID, p store.Purpose, after time.Time) (bool, error) {
	t, err := tx.OneTimeTokenOf(ctx, id, p)
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	return err == nil && t.ExpiresAt.After(after), err
}

// AddIdentity writes a further identity of the account. The user, whose app metadata
// names the providers, is the caller's to save. store.ErrConflict means that the
// identity is somebody's already.
func (a *Accounts) AddIdentity(ctx context.Context, tx store.Identities, acc *Account, i store.Identity) error {
	now := a.now()
	i.ID, i.UserID = uuid.New(), acc.User.ID
	i.LastSignInAt, i.CreatedAt, i.UpdatedAt = now, now, now
	if err := tx.CreateIdentity(ctx, i); err != nil {
		return err
	}
	acc.Identities = append(acc.Identities, i)
	acc.User.AppMetadata = providersOf(acc.User.AppMetadata, acc.Identities)
	return nil
}

// RenewIdentity writes what a provider says of the person today. The user is the
// caller's to save.
func (a *Accounts) RenewIdentity(ctx context.Context, tx store.Identities, acc *Account, issuer, subject, email string, data store.Object) error {
	now := a.now()
	for n := range acc.Identities {
		i := &acc.Identities[n]
		if i.Issuer != issuer || i.Subject != subject {
			continue
		}
		i.Email, i.Data, i.LastSignInAt, i.UpdatedAt = email, data, now, now
		if err := tx.UpdateIdentity(ctx, *i); err != nil {
			return err
		}
	}
	acc.User.AppMetadata = providersOf(acc.User.AppMetadata, acc.Identities)
	return nil
}

// RemoveIdentity deletes one identity. The user is the caller's to save.
func (a *Accounts) RemoveIdentity(ctx context.Context, tx store.Identities, acc *Account, id uuid.UUID) error {
	return a.keep(ctx, tx, acc, func(i store.Identity) bool { return i.ID != id })
}

// keep deletes the identities that aren't kept.
func (a *Accounts) keep(ctx context.Context, tx store.Identities, acc *Account, kept func(store.Identity) bool) error {
	var left []store.Identity
	for _, i := range acc.Identities {
		if kept(i) {
			left = append(left, i)
			continue
		}
		if err := tx.DeleteIdentity(ctx, i.ID); err != nil {
			return err
		}
	}
	acc.Identities = left
	acc.User.AppMetadata = providersOf(acc.User.AppMetadata, left)
	return nil
}

// Keep says which identities outlast an eviction.
type Keep func(store.Identity) bool

// KeepOwn keeps the account's own address and number: a mail has just proved it.
func KeepOwn(i store.Identity) bool { return own(i) }

// KeepOnly keeps the identity of a key: its provider has just proved the address.
func KeepOnly(issuer, subject string) Keep {
	return func(i store.Identity) bool { return i.Issuer == issuer && i.Subject == subject }
}

// Evict takes from an account whose address nobody had proved so far what may be
// another's: password, sessions, codes and links, authorization codes that wait for
// their client, pending changes, identities. It reports whether somebody lost a way in.
// The user is the caller's to save.
func (a *Accounts) Evict(ctx context.Context, tx store.Store, acc *Account, kept Keep) (lost bool, err error) {
	u, before := &acc.User, len(acc.Identities)
	lost = u.PasswordHash != "" || u.NewEmail != "" || u.NewPhone != ""
	u.PasswordHash, u.NewEmail, u.EmailChangeSide, u.NewPhone = "", "", store.ChangeNone, ""
	if u.PhoneConfirmedAt.IsZero() && !kept(store.Identity{Provider: PhoneProvider}) {
		u.Phone = ""
	}
	ended, err := tx.DeleteSessionsOf(ctx, u.ID, uuid.Nil)
	if err != nil {
		return false, err
	}
	if err := EndProofs(ctx, tx, u.ID); err != nil {
		return false, err
	}
	external := acc.External()
	if err := a.keep(ctx, tx, acc, kept); err != nil {
		return false, err
	}
	return lost || ended > 0 || external && len(acc.Identities) < before, nil
}

// DropPhone takes the number from an account whose address a mail proves for the first
// time, if the number came later than the account and somebody was in it: he added a way
// in of his own. A number that the account began with stays, and what an administrator
// set before anybody came. The user is the caller's to save.
func (a *Accounts) DropPhone(ctx context.Context, tx store.Identities, acc *Account) error {
	u := &acc.User
	later := func(i store.Identity) bool { return i.Provider == PhoneProvider && i.CreatedAt.After(u.CreatedAt) }
	if u.LastSignInAt.IsZero() || !slices.ContainsFunc(acc.Identities, later) {
		return nil
	}
	u.Phone, u.PhoneConfirmedAt = "", time.Time{}
	return a.keep(ctx, tx, acc, func(i store.Identity) bool { return i.Provider != PhoneProvider })
}

// Describe lays a provider's claims over the user's metadata, as far as they fit into a
// token: first the provider's own claims stay behind, then all.
func Describe(u *store.User, claims store.Object) {
	for _, c := range []store.Object{claims, without(claims, "custom_claims")} {
		described := *u
		if Merge(&described, c, nil) == nil {
			u.UserMetadata = described.UserMetadata
			return
		}
	}
}

func without(o store.Object, key string) store.Object {
	c := o.Clone()
	delete(c, key)
	return c
}
