package tokens

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/truekeel/auth/store"
)

// errPanic stands for a panic of a store, so that it doesn't end the program.
var errPanic = errors.New("tokens: the store panicked")

// openedKey is a stored key that was unsealed, or couldn't be.
type openedKey struct {
	sealed []byte
	key    Key
	err    error
}

// Reload reads the keys from the store, moves on those whose time has come, and takes up
// the result. If it fails, the keys stay as they were. It does nothing if the keys come
// from the settings.
func (k *Keyring) Reload(ctx context.Context) (err error) {
	if k.configured() {
		return nil
	}
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %v", errPanic, p)
		}
	}()
	k.mu.Lock()
	defer k.mu.Unlock()
	_, err = k.reload(ctx)
	return err
}

// reload is Reload for callers who hold mu.
func (k *Keyring) reload(ctx context.Context) ([]store.SigningKey, error) {
	rows, err := k.settle(ctx)
	if err != nil {
		return nil, err
	}
	snap, err := k.open(rows)
	if err != nil {
		return nil, err
	}
	snap.follow(k.active.Load())
	k.active.Store(snap)
	return rows, nil
}

// settle reads the keys and makes what steps are due, until there is none. Each step is a
// conditional write of one row, so that processes may race through it and die between any
// two of them: whoever reads next goes on.
func (k *Keyring) settle(ctx context.Context) ([]store.SigningKey, error) {
	// Each round moves a key on or sees that another process did; a ring has few keys.
	const rounds = 100
	for range rounds {
		rows, err := k.cfg.Store.SigningKeys(ctx)
		if err != nil {
			return nil, fmt.Errorf("tokens: read keys: %w", err)
		}
		settled, err := k.step(ctx, rows)
		if settled || err != nil && !errors.Is(err, store.ErrConflict) {
			return rows, err
		}
	}
	return nil, errors.New("tokens: the stored keys don't come to rest")
}

// step makes the first step that is due and reports whether there was none.
// store.ErrConflict means that another process was faster.
func (k *Keyring) step(ctx context.Context, rows []store.SigningKey) (settled bool, err error) {
	now := k.now()
	current, hasCurrent := inState(rows, store.KeyCurrent)
	if hasCurrent && k.cfg.RetireUnreadable {
		if _, err := k.unseal(current); err != nil {
			return false, k.move(ctx, current, store.KeyRetired)
		}
	}
	next, hasNext := k.next(rows)
	switch {
	case hasNext && (!hasCurrent || !now.Before(next.CreatedAt.Add(max(k.cfg.PublishFor, 0)))):
		return false, k.promote(ctx, rows, next)
	case !hasCurrent:
		key, err := GenerateKey(k.cfg.Algorithm)
		if err != nil {
			return false, err
		}
		return false, k.create(ctx, key, store.KeyCurrent)
	}
	for _, row := range rows {
		until := k.verifiesUntil(row, rows)
		if row.State == store.KeyPrevious && !until.IsZero() && !now.Before(until) {
			return false, k.move(ctx, row, store.KeyRetired)
		}
	}
	return true, nil
}

// promote makes next current in two writes, as there may be one current key only. Between
// them there is none; then the keyrings sign with the one that was, and whoever reads the
// keys makes the second write.
func (k *Keyring) promote(ctx context.Context, rows []store.SigningKey, next store.SigningKey) error {
	if current, ok := inState(rows, store.KeyCurrent); ok {
		if err := k.move(ctx, current, store.KeyPrevious); err != nil {
			return err
		}
	}
	return k.move(ctx, next, store.KeyCurrent)
}

// move changes a key's state. If it was moved already by another process, nothing happens:
// who asks reads the keys again.
func (k *Keyring) move(ctx context.Context, row store.SigningKey, to store.KeyState) error {
	moved, err := k.cfg.Store.MoveSigningKey(ctx, row.ID, row.State, to, k.now())
	if err != nil {
		return fmt.Errorf("tokens: move key %q to %s: %w", row.ID, to, err)
	}
	if moved {
		k.log.InfoContext(ctx, "signing key moved", "kid", row.ID, "from", row.State, "to", to)
		k.cfg.Observe(row.ID, to)
	}
	return nil
}

func (k *Keyring) retire(ctx context.Context, id string) error {
	const tries = 5 // the key may be moved on meanwhile, at most through its states
	for range tries {
		rows, err := k.cfg.Store.SigningKeys(ctx)
		if err != nil {
			return fmt.Errorf("tokens: read keys: %w", err)
		}
		at := slices.IndexFunc(rows, func(r store.SigningKey) bool { return r.ID == id })
		if at < 0 {
			return fmt.Errorf("%w: there is no key %q", ErrUnknownKey, id)
		}
		if rows[at].State == store.KeyRetired {
			return nil
		}
		if err := k.move(ctx, rows[at], store.KeyRetired); err != nil {
			return err
		}
	}
	return nil
}

// create stores a key, sealed.
func (k *Keyring) create(ctx context.Context, key Key, state store.KeyState) error {
	der, err := key.pkcs8()
	if err != nil {
		return err
	}
	row := store.SigningKey{
		ID: key.id, Algorithm: key.alg, State: state,
		Private: k.cfg.Box.Seal(sealPurpose(key.id), der), Public: key.PublicJWK(),
		CreatedAt: k.now().UTC(),
	}
	if state == store.KeyCurrent {
		row.ActivatedAt = row.CreatedAt
	}
	if err := k.cfg.Store.CreateSigningKey(ctx, row); err != nil {
		return fmt.Errorf("tokens: store key: %w", err)
	}
	k.log.InfoContext(ctx, "signing key made", "kid", key.id, "alg", key.alg, "state", state)
	k.cfg.Observe(key.id, state)
	return nil
}

// sealPurpose binds a sealed key to its id: one row's key can't be put into another's.
func sealPurpose(id string) string { return "signing key " + id }

// open makes a snapshot of stored keys. A key is trusted if its private half opens and
// nothing else is: so whoever can write to the database alone can't add a key.
func (k *Keyring) open(rows []store.SigningKey) (*snapshot, error) {
	var keys []Key
	var signer *Key
	for _, row := range byPreference(rows) {
		if row.State == store.KeyRetired {
			continue
		}
		key, err := k.unseal(row)
		if err != nil {
			if row.State == store.KeyCurrent {
				return nil, err
			}
			continue
		}
		keys = append(keys, key)
		if signer == nil {
			signer = &key
		}
	}
	if signer == nil {
		return nil, errors.New("tokens: no stored key can sign")
	}
	k.forget(rows)
	return newSnapshot(keys, signer, nil, k.cfg.ValidMethods)
}

// unseal opens a stored key, once for each.
func (k *Keyring) unseal(row store.SigningKey) (Key, error) {
	if o, ok := k.opened[row.ID]; ok && bytes.Equal(o.sealed, row.Private) {
		return o.key, o.err
	}
	key, err := k.unsealRow(row)
	if err != nil {
		k.log.Warn("stored signing key can't be used", "kid", row.ID, "state", row.State, "error", err)
	}
	k.opened[row.ID] = openedKey{sealed: slices.Clone(row.Private), key: key, err: err}
	return key, err
}

func (k *Keyring) unsealRow(row store.SigningKey) (Key, error) {
	der, err := k.cfg.Box.Open(sealPurpose(row.ID), row.Private)
	if err != nil {
		return Key{}, fmt.Errorf("tokens: signing key %q was sealed by another encryption key than %s; "+
			"give that one as an old encryption key, or, if it is lost, start once with RetireUnreadable (WithLostEncryptionKey), or delete the key from the table of signing keys: %w", row.ID, k.cfg.Box.ID(), err)
	}
	key, err := fromPKCS8(row.ID, der)
	if err != nil {
		return Key{}, fmt.Errorf("tokens: signing key %q: %w", row.ID, err)
	}
	if key.alg != row.Algorithm {
		return Key{}, fmt.Errorf("tokens: signing key %q: %w: it is for %s, not for %q",
			row.ID, ErrKey, key.alg, row.Algorithm)
	}
	return key, nil
}

// forget drops unsealed keys that are no longer in use.
func (k *Keyring) forget(rows []store.SigningKey) {
	for id := range k.opened {
		used := slices.ContainsFunc(rows, func(r store.SigningKey) bool {
			return r.ID == id && r.State != store.KeyRetired
		})
		if !used {
			delete(k.opened, id)
		}
	}
}

// byPreference orders keys by who should sign: the current one; if there is none at this
// instant, the last that was; then the first that will be.
func byPreference(rows []store.SigningKey) []store.SigningKey {
	rank := map[store.KeyState]int{store.KeyCurrent: 0, store.KeyPrevious: 1, store.KeyNext: 2, store.KeyRetired: 3}
	rows = slices.Clone(rows)
	slices.SortStableFunc(rows, func(a, b store.SigningKey) int {
		if d := rank[a.State] - rank[b.State]; d != 0 {
			return d
		}
		return byActivation(b, a)
	})
	return rows
}

// next gives the oldest next key that can be unsealed: another would end signing if it
// became current.
func (k *Keyring) next(rows []store.SigningKey) (store.SigningKey, bool) {
	for _, row := range rows {
		if row.State != store.KeyNext {
			continue
		}
		if _, err := k.unseal(row); err == nil {
			return row, true
		}
	}
	return store.SigningKey{}, false
}

func byActivation(a, b store.SigningKey) int {
	return cmp.Or(a.ActivatedAt.Compare(b.ActivatedAt), a.CreatedAt.Compare(b.CreatedAt), cmp.Compare(a.ID, b.ID))
}

// inState gives the oldest key in a state.
func inState(rows []store.SigningKey, state store.KeyState) (store.SigningKey, bool) {
	i := slices.IndexFunc(rows, func(r store.SigningKey) bool { return r.State == state })
	if i < 0 {
		return store.SigningKey{}, false
	}
	return rows[i], true
}

// verifiesUntil says when a previous key has verified for long enough: Grace after the
// first key that became current after it. Zero if that isn't known.
func (k *Keyring) verifiesUntil(row store.SigningKey, rows []store.SigningKey) time.Time {
	var successor *store.SigningKey
	for i, r := range rows {
		if r.ActivatedAt.IsZero() || byActivation(r, row) <= 0 {
			continue
		}
		if successor == nil || byActivation(r, *successor) < 0 {
			successor = &rows[i]
		}
	}
	if successor == nil {
		return time.Time{}
	}
	return successor.ActivatedAt.Add(k.cfg.Grace)
}
