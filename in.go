package auth

import (
	"context"
	"database/sql"
	"errors"

	"github.com/google/uuid"

	"github.com/truekeel/auth/fault"
	"github.com/truekeel/auth/internal/admin"
	"github.com/truekeel/auth/internal/audit"
	"github.com/truekeel/auth/internal/session"
	"github.com/truekeel/auth/internal/user"
	"github.com/truekeel/auth/store"
)

// Tx does what [Users] does within a transaction that the host opened on the same
// database: a host's own row and its user appear together, or neither does. Mails and
// events wait in that transaction too; they go out after its commit, at once if the
// host then calls [Auth.Deliver].
//
// After an error the host rolls its transaction back. A Tx is for one goroutine.
type Tx struct {
	auth  *Auth
	flow  *admin.Flow
	store store.Store
}

// In gives what works within tx. It is an error if tx isn't a transaction of the
// database that the accounts are in, or if the store can't take part in one.
//
// While tx has written, others wait for it: keep it short, and call no other method of
// the library that writes before it ends. On SQLite such a call waits for the host's
// own transaction until it fails; see package sqlite for the DSN that a host needs.
func (a *Auth) In(ctx context.Context, tx *sql.Tx) (*Tx, error) {
	if a.joiner == nil {
		return nil, errors.New("auth: In: the store can't take part in a host's transaction")
	}
	joined, err := a.joiner.Join(ctx, tx)
	if err != nil {
		return nil, err
	}
	return &Tx{auth: a, flow: a.users.flow, store: joined}, nil
}

// within does a piece of work in the host's transaction, and tells what it did to those
// who want to know of events.
func (t *Tx) within(ctx context.Context, fn func(tx store.Store) error) error {
	if !t.auth.events.On() {
		return fn(t.store)
	}
	return t.auth.events.Within(ctx, t.store, fn)
}

// HashPassword hashes a password for [NewUser.PasswordHash], once it satisfies the
// policy. Hashing is slow on purpose: do it before a transaction begins.
func (a *Auth) HashPassword(ctx context.Context, password string) (string, error) {
	if err := a.set.policy.Check(ctx, password); err != nil {
		return "", err
	}
	return a.hasher.Hash(ctx, password)
}

var errSlow = fault.New(fault.ValidationFailed, "A password can't be hashed within a transaction; call HashPassword before it begins and pass the hash")

// Create makes an account. n.Password must be empty: pass a hash.
func (t *Tx) Create(ctx context.Context, n NewUser) (Account, error) {
	if n.Password != "" {
		return Account{}, errSlow
	}
	draft, err := t.flow.Prepare(ctx, t.auth.users.draft(n))
	if err != nil {
		return Account{}, err
	}
	var acc user.Account
	err = t.within(ctx, func(tx store.Store) (err error) {
		acc, err = t.flow.CreateIn(ctx, tx, audit.Host(), draft)
		return err
	})
	if errors.Is(err, store.ErrConflict) {
		return Account{}, t.flow.Taken(ctx, draft)
	}
	if err != nil {
		return Account{}, err
	}
	return whole(acc), nil
}

// Update changes an account. c.Password must be nil: hashing has no place in a
// transaction.
func (t *Tx) Update(ctx context.Context, id uuid.UUID, c Change) (Account, error) {
	if c.Password != nil {
		return Account{}, errSlow
	}
	patch, err := t.flow.PreparePatch(ctx, admin.Patch(c))
	if err != nil {
		return Account{}, err
	}
	var acc user.Account
	err = t.within(ctx, func(tx store.Store) (err error) {
		acc, err = t.flow.UpdateIn(ctx, tx, audit.Host(), id, patch)
		return err
	})
	if errors.Is(err, store.ErrConflict) {
		return Account{}, t.flow.Clash(ctx, id, patch)
	}
	if err != nil {
		return Account{}, known(err)
	}
	return whole(acc), nil
}

// Get reads an account as the transaction sees it.
func (t *Tx) Get(ctx context.Context, id uuid.UUID) (Account, error) {
	acc, err := t.flow.Accounts.Load(ctx, t.store, id)
	if err != nil {
		return Account{}, known(err)
	}
	return whole(acc), nil
}

// Delete removes an account with everything that is its own.
func (t *Tx) Delete(ctx context.Context, id uuid.UUID) error {
	return known(t.within(ctx, func(tx store.Store) error { return t.flow.DeleteIn(ctx, tx, audit.Host(), id, false) }))
}

// SignOut ends all sessions of a user.
func (t *Tx) SignOut(ctx context.Context, id uuid.UUID) error {
	return known(t.within(ctx, func(tx store.Store) error { return t.flow.SignOutIn(ctx, tx, id) }))
}

// Issue starts a session. Hand its tokens out after the commit: before, they belong to
// a session that isn't there yet.
func (t *Tx) Issue(ctx context.Context, id uuid.UUID, method string) (Grant, error) {
	var acc user.Account
	var st session.Started
	err := t.within(ctx, func(tx store.Store) (err error) {
		acc, st, err = t.flow.IssueIn(ctx, tx, nil, id, method)
		return err
	})
	if err != nil {
		return Grant{}, known(err)
	}
	g, err := t.flow.Sessions.Grant(ctx, acc, st)
	if err != nil {
		return Grant{}, err
	}
	return grantOf(g), nil
}

// Invite makes an account without a password, if there is none, and writes the mail in
// which its owner accepts; see [Users.Invite].
func (t *Tx) Invite(ctx context.Context, i Invitation) (Account, error) {
	var acc user.Account
	err := t.within(ctx, func(tx store.Store) (err error) {
		acc, err = t.flow.InviteIn(ctx, tx, audit.Host(), admin.Invitation{
			Audience: t.auth.set.audience, Email: i.Email, Data: i.UserMetadata, RedirectTo: i.RedirectTo,
		})
		return err
	})
	if err != nil {
		return Account{}, known(err)
	}
	return whole(acc), nil
}

// known turns the store's errors into refusals.
func known(err error) error {
	switch {
	case errors.Is(err, store.ErrNotFound):
		return admin.ErrNotFound
	case errors.Is(err, store.ErrConflict):
		return fault.New(fault.EmailExists, "A user with this address has already been registered").WithCause(err)
	}
	return err
}
