package events

import (
	"context"

	"github.com/google/uuid"

	"github.com/truekeel/auth/store"
)

// Watch wraps a store: what is written through the result is told. Of a store that is joined
// to a host's transaction that is [Log.Within]'s affair.
func (l *Log) Watch(st store.Store) store.Store { return &watched{Store: st, log: l} }

// Within runs fn in a transaction that somebody else opened and writes the events of what
// it does. They are delivered soon after that transaction's commit.
func (l *Log) Within(ctx context.Context, tx store.Store, fn func(tx store.Store) error) error {
	_, err := l.within(ctx, tx, fn)
	return err
}

func (l *Log) within(ctx context.Context, inner store.Store, fn func(tx store.Store) error) (told bool, err error) {
	t := &watchedTx{Store: inner, log: l, seen: newSeen()}
	if err := fn(t); err != nil {
		return false, err
	}
	return l.tell(ctx, t)
}

// watched is the store outside of transactions. What is written there is a transaction of
// its own.
type watched struct {
	store.Store
	log *Log
}

// Tx implements store.Store.
func (w *watched) Tx(ctx context.Context, fn func(tx store.Store) error) error {
	var told bool
	err := w.Store.Tx(ctx, func(tx store.Store) (err error) {
		told, err = w.log.within(ctx, tx, fn)
		return err
	})
	if err == nil && told {
		w.log.wake()
	}
	return err
}

func (w *watched) CreateUser(ctx context.Context, u store.User) error {
	return w.Tx(ctx, func(tx store.Store) error { return tx.CreateUser(ctx, u) })
}

func (w *watched) UpdateUser(ctx context.Context, u *store.User) error {
	before := u.Version
	return w.Tx(ctx, func(tx store.Store) error {
		u.Version = before
		return tx.UpdateUser(ctx, u)
	})
}

func (w *watched) DeleteUser(ctx context.Context, id uuid.UUID) error {
	return w.Tx(ctx, func(tx store.Store) error { return tx.DeleteUser(ctx, id) })
}

func (w *watched) CreateIdentity(ctx context.Context, i store.Identity) error {
	return w.Tx(ctx, func(tx store.Store) error { return tx.CreateIdentity(ctx, i) })
}

func (w *watched) UpdateIdentity(ctx context.Context, i store.Identity) error {
	return w.Tx(ctx, func(tx store.Store) error { return tx.UpdateIdentity(ctx, i) })
}

func (w *watched) CreateSession(ctx context.Context, s store.Session) error {
	return w.Tx(ctx, func(tx store.Store) error { return tx.CreateSession(ctx, s) })
}

func (w *watched) DeleteSession(ctx context.Context, id uuid.UUID) (ended bool, err error) {
	err = w.Tx(ctx, func(tx store.Store) (err error) {
		ended, err = tx.DeleteSession(ctx, id)
		return err
	})
	return ended && err == nil, err
}

func (w *watched) DeleteSessionsOf(ctx context.Context, userID, except uuid.UUID) (n int64, err error) {
	err = w.Tx(ctx, func(tx store.Store) (err error) {
		n, err = tx.DeleteSessionsOf(ctx, userID, except)
		return err
	})
	if err != nil {
		return 0, err
	}
	return n, nil
}

// watchedTx is the store of one transaction. It is for one goroutine, as what it wraps.
type watchedTx struct {
	store.Store
	log  *Log
	seen *seen
}

// Tx implements store.Store: what a savepoint undoes isn't told.
func (t *watchedTx) Tx(ctx context.Context, fn func(tx store.Store) error) error {
	var kept *seen
	err := t.Store.Tx(ctx, func(inner store.Store) error {
		kept = t.seen.clone()
		return fn(&watchedTx{Store: inner, log: t.log, seen: kept})
	})
	if err == nil {
		t.seen = kept
	}
	return err
}

// SamePassword says that the hash of a user that is written in this transaction is a new
// one of the password that he has.
func SamePassword(tx store.Store, id uuid.UUID) {
	if t, ok := tx.(*watchedTx); ok {
		t.seen.of(id).samePassword = true
	}
}

func (t *watchedTx) User(ctx context.Context, id uuid.UUID) (store.User, error) {
	return t.seen.user(t.Store.User(ctx, id))
}

func (t *watchedTx) UserByEmail(ctx context.Context, audience, email string) (store.User, error) {
	return t.seen.user(t.Store.UserByEmail(ctx, audience, email))
}

func (t *watchedTx) UserByPhone(ctx context.Context, audience, phone string) (store.User, error) {
	return t.seen.user(t.Store.UserByPhone(ctx, audience, phone))
}

func (t *watchedTx) CreateUser(ctx context.Context, u store.User) error {
	if err := t.Store.CreateUser(ctx, u); err != nil {
		return err
	}
	u.Version = 1
	c := t.seen.of(u.ID)
	c.created, c.written, c.after = true, true, u
	t.seen.users[u.ID] = u
	return nil
}

func (t *watchedTx) UpdateUser(ctx context.Context, u *store.User) error {
	before, ok := t.seen.users[u.ID]
	if !ok || before.Version != u.Version {
		var err error
		if before, err = t.Store.User(ctx, u.ID); err != nil {
			return err
		}
	}
	if err := t.Store.UpdateUser(ctx, u); err != nil {
		return err
	}
	c := t.seen.of(u.ID)
	if !c.written {
		c.before, c.written = before, true
	}
	c.after = *u
	t.seen.users[u.ID] = *u
	return nil
}

func (t *watchedTx) DeleteUser(ctx context.Context, id uuid.UUID) error {
	if err := t.Store.DeleteUser(ctx, id); err != nil {
		return err
	}
	c := t.seen.of(id)
	c.deleted, c.gone = true, !t.seen.users[id].DeletedAt.IsZero()
	delete(t.seen.users, id)
	return nil
}

func (t *watchedTx) IdentityBySubject(ctx context.Context, issuer, subject string) (store.Identity, error) {
	i, err := t.Store.IdentityBySubject(ctx, issuer, subject)
	if err == nil {
		t.seen.identities[i.ID] = i
	}
	return i, err
}

func (t *watchedTx) IdentitiesOf(ctx context.Context, userID uuid.UUID) ([]store.Identity, error) {
	return t.seen.known(t.Store.IdentitiesOf(ctx, userID))
}

func (t *watchedTx) IdentitiesByEmail(ctx context.Context, email string) ([]store.Identity, error) {
	return t.seen.known(t.Store.IdentitiesByEmail(ctx, email))
}

func (t *watchedTx) CreateIdentity(ctx context.Context, i store.Identity) error {
	if err := t.Store.CreateIdentity(ctx, i); err != nil {
		return err
	}
	c := t.seen.of(i.UserID)
	c.linked = append(c.linked, i)
	t.seen.identities[i.ID] = i
	return nil
}

func (t *watchedTx) UpdateIdentity(ctx context.Context, i store.Identity) error {
	before, known := t.seen.identities[i.ID]
	if err := t.Store.UpdateIdentity(ctx, i); err != nil {
		return err
	}
	if !known || before.Subject != i.Subject || before.Email != i.Email || !sameObject(before.Data, i.Data) {
		t.seen.of(i.UserID).renewed = true
	}
	t.seen.identities[i.ID] = i
	return nil
}

// DeleteIdentity tells of an identity that the transaction has read or written before:
// whoever takes one from a user knows whose it is.
func (t *watchedTx) DeleteIdentity(ctx context.Context, id uuid.UUID) error {
	if err := t.Store.DeleteIdentity(ctx, id); err != nil {
		return err
	}
	if i, ok := t.seen.identities[id]; ok {
		c := t.seen.of(i.UserID)
		c.unlinked = append(c.unlinked, i)
	}
	return nil
}

func (t *watchedTx) CreateSession(ctx context.Context, s store.Session) error {
	if err := t.Store.CreateSession(ctx, s); err != nil {
		return err
	}
	c := t.seen.of(s.UserID)
	c.started = append(c.started, s)
	return nil
}

func (t *watchedTx) Session(ctx context.Context, id uuid.UUID) (store.Session, error) {
	s, err := t.Store.Session(ctx, id)
	if err == nil {
		t.seen.sessions[s.ID] = s.UserID
	}
	return s, err
}

func (t *watchedTx) DeleteSession(ctx context.Context, id uuid.UUID) (bool, error) {
	owner, known := t.seen.sessions[id]
	if !known && t.log.wanted[UserSignedOut] {
		s, err := t.Store.Session(ctx, id)
		if err = missing(err); err != nil {
			return false, err
		}
		owner, known = s.UserID, s.ID == id
	}
	ended, err := t.Store.DeleteSession(ctx, id)
	if err == nil && ended && known {
		c := t.seen.of(owner)
		c.ended = append(c.ended, id)
	}
	return ended, err
}

func (t *watchedTx) DeleteSessionsOf(ctx context.Context, userID, except uuid.UUID) (int64, error) {
	var ids []uuid.UUID
	if t.log.wanted[UserSignedOut] {
		rows, err := t.SessionsOf(ctx, userID)
		if err != nil {
			return 0, err
		}
		for _, s := range rows {
			if s.ID != except {
				ids = append(ids, s.ID)
			}
		}
	}
	n, err := t.Store.DeleteSessionsOf(ctx, userID, except)
	if err == nil && n > 0 {
		c := t.seen.of(userID)
		c.ended = append(c.ended, ids...)
	}
	return n, err
}
