package storetest

import (
	"context"
	"fmt"
	"testing"

	"github.com/truekeel/auth/store"
)

// newKey gives a key with every field set.
func newKey(id string, state store.KeyState, minute int) store.SigningKey {
	return store.SigningKey{
		ID: id, Algorithm: "ES256", State: state, Private: []byte{0, 1, 2, 0xff}, Public: []byte(`{"kty":"EC"}`),
		CreatedAt: at(minute), ActivatedAt: at(minute + 1), RetiredAt: at(minute + 2),
	}
}

// testKeys looks at all keys, which needs a store of its own.
func testKeys(t *testing.T, st store.Store) {
	ctx := t.Context()
	got, err := st.SigningKeys(ctx)
	wantCount(t, "SigningKeys of an empty store", int64(len(got)), err, 0)

	second, first := newKey("B", store.KeyCurrent, 2), newKey("b", store.KeyRetired, 1)
	third := store.SigningKey{ID: unique("kid"), Algorithm: "EdDSA", State: store.KeyNext, CreatedAt: at(3)}
	filled(t, second)
	for _, k := range []store.SigningKey{second, first, third} {
		check(t, st.CreateSigningKey(ctx, k))
	}
	wantKeys := func(what string, want ...store.SigningKey) {
		t.Helper()
		got, err := st.SigningKeys(ctx)
		wantRow(t, what, got, err, want)
	}
	wantKeys("SigningKeys, oldest first", first, second, third)
	wantErr(t, "the same id", st.CreateSigningKey(ctx, newKey("b", store.KeyNext, 9)), store.ErrConflict)
	wantErr(t, "a second current key", st.CreateSigningKey(ctx, newKey("c", store.KeyCurrent, 9)), store.ErrConflict)

	move := func(what, id string, from, to store.KeyState, minute int, want bool) {
		t.Helper()
		ok, err := st.MoveSigningKey(ctx, id, from, to, at(minute))
		wantDone(t, what, ok, err, want)
	}
	move("from a state that it isn't in", third.ID, store.KeyCurrent, store.KeyPrevious, 20, false)
	move("a key that isn't there", "nobody", store.KeyNext, store.KeyCurrent, 20, false)
	_, err = st.MoveSigningKey(ctx, third.ID, store.KeyNext, store.KeyCurrent, at(20))
	wantErr(t, "a second key to current", err, store.ErrConflict)
	wantKeys("after refused moves", first, second, third)

	check(t, st.Tx(ctx, func(tx store.Store) error {
		if _, err := tx.MoveSigningKey(ctx, second.ID, store.KeyCurrent, store.KeyPrevious, at(30)); err != nil {
			return err
		}
		_, err := tx.MoveSigningKey(ctx, third.ID, store.KeyNext, store.KeyCurrent, at(30))
		return err
	}))
	second.State = store.KeyPrevious
	third.State, third.ActivatedAt = store.KeyCurrent, at(30)
	wantKeys("after a rotation", first, second, third)
	move("a move again", second.ID, store.KeyCurrent, store.KeyPrevious, 31, false)
	move("into retirement", second.ID, store.KeyPrevious, store.KeyRetired, 40, true)
	second.State, second.RetiredAt = store.KeyRetired, at(40)
	wantKeys("after retirement", first, second, third)
	move("out of the current", third.ID, store.KeyCurrent, store.KeyRetired, 50, true)
	third.State, third.RetiredAt = store.KeyRetired, at(50)
	check(t, st.CreateSigningKey(ctx, newKey("c", store.KeyCurrent, 60)))
	wantKeys("after a new start", first, second, third, newKey("c", store.KeyCurrent, 60))
}

// testKeyRaces: of processes that start at once one makes the first key, and one of
// two keys becomes current.
func testKeyRaces(t *testing.T, st store.Store) {
	ctx := t.Context()
	won := raceErr(t, racers, store.ErrConflict, func(ctx context.Context, i int) error {
		return st.CreateSigningKey(ctx, newKey(fmt.Sprint("first", i), store.KeyCurrent, i))
	})
	keys, err := st.SigningKeys(ctx)
	if won != 1 || err != nil || len(keys) != 1 {
		t.Fatalf("%d callers made the first key, there are %d (%v)", won, len(keys), err)
	}
	for i := range racers {
		check(t, st.CreateSigningKey(ctx, newKey(fmt.Sprint("next", i), store.KeyNext, 20+i)))
	}
	won = race(t, racers, func(ctx context.Context, _ int) (bool, error) {
		return st.MoveSigningKey(ctx, keys[0].ID, store.KeyCurrent, store.KeyPrevious, at(50))
	})
	if won != 1 {
		t.Errorf("%d callers moved one key", won)
	}
	won = raceErr(t, racers, store.ErrConflict, func(ctx context.Context, i int) error {
		ok, err := st.MoveSigningKey(ctx, fmt.Sprint("next", i), store.KeyNext, store.KeyCurrent, at(50))
		if err == nil && !ok {
			return fmt.Errorf("key %d didn't move", i)
		}
		return err
	})
	if won != 1 {
		t.Errorf("%d keys became current at once", won)
	}
	keys, err = st.SigningKeys(ctx)
	check(t, err)
	current := 0
	for _, k := range keys {
		if k.State == store.KeyCurrent {
			current++
		}
	}
	if current != 1 {
		t.Errorf("%d keys are current", current)
	}
}
