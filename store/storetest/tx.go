package storetest

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/truekeel/auth/store"
)

func testTx(t *testing.T, st store.Store) {
	check(t, st.Ping(t.Context()))
	each(t, st, []test{
		{"Commit", txCommit},
		{"Undo", txUndo},
		{"Conflict", txConflict},
		{"ConflictDropped", txConflictDropped},
		{"MissGoesOn", txMissGoesOn},
		{"Stale", txStale},
		{"Savepoint", txSavepoint},
		{"SavepointConflict", txSavepointConflict},
		{"SavepointStale", txSavepointStale},
		{"SavepointPanic", txSavepointPanic},
		{"Panic", txPanic},
		{"Spent", txSpent},
		{"Isolation", txIsolation},
	})
}

// errUndo is what a Tx function returns to be rolled back.
var errUndo = errors.New("storetest: undo")

// wantUser says whether the account is stored.
func wantUser(t *testing.T, what string, st store.Store, u store.User, there bool) {
	t.Helper()
	_, err := st.User(t.Context(), u.ID)
	got, err := found(err)
	wantDone(t, what+" is stored", got, err, there)
}

func txCommit(t *testing.T, st store.Store) {
	ctx := t.Context()
	u := plainUser(unique("aud"))
	i := newIdentity(u.ID)
	var inside store.User
	check(t, st.Tx(ctx, func(tx store.Store) (err error) {
		if err := tx.CreateUser(ctx, u); err != nil {
			return err
		}
		if err := tx.CreateIdentity(ctx, i); err != nil {
			return err
		}
		if err := tx.Ping(ctx); err != nil {
			return err
		}
		inside, err = tx.UserByEmail(ctx, u.Audience, u.Email)
		return err
	}))
	wantRow(t, "a write read in its own Tx", inside, nil, u)
	wantUser(t, "what a Tx wrote", st, u, true)
	got, err := st.IdentityBySubject(ctx, i.Issuer, i.Subject)
	wantRow(t, "what it wrote beside", got, err, i)
	check(t, st.Tx(ctx, func(store.Store) error { return nil }))
}

func txUndo(t *testing.T, st store.Store) {
	ctx := t.Context()
	u, old := plainUser(unique("aud")), addBelongings(t, st)
	runs := 0
	err := st.Tx(ctx, func(tx store.Store) error {
		runs++
		if err := tx.CreateUser(ctx, u); err != nil {
			return err
		}
		moved := old.user
		moved.Email = "moved-" + moved.Email
		if err := tx.UpdateUser(ctx, &moved); err != nil {
			return err
		}
		if err := tx.DeleteUser(ctx, old.user.ID); err != nil {
			return err
		}
		return errUndo
	})
	if err == nil || !errors.Is(err, errUndo) {
		t.Errorf("Tx returned %v, want the function's error", err)
	}
	if runs != 1 {
		t.Errorf("a function with an error of its own ran %d times", runs)
	}
	wantUser(t, "what was undone", st, u, false)
	old.wantThere(t, st)
}

// txConflict: a conflict loses the transaction with all that it wrote.
func txConflict(t *testing.T, st store.Store) {
	ctx := t.Context()
	taken := addUser(t, st)
	u, same := plainUser(unique("aud")), plainUser(taken.Audience)
	same.Email = taken.Email
	runs := 0
	err := st.Tx(ctx, func(tx store.Store) error {
		runs++
		if err := tx.CreateUser(ctx, u); err != nil {
			return err
		}
		return tx.CreateUser(ctx, same)
	})
	wantErr(t, "Tx with a conflict", err, store.ErrConflict)
	if runs != 1 {
		t.Errorf("a function with a conflict ran %d times", runs)
	}
	wantUser(t, "what was written before the conflict", st, u, false)
	wantUser(t, "what conflicted", st, same, false)
	check(t, st.Tx(ctx, func(tx store.Store) error { return tx.CreateUser(ctx, u) }))
}

// txConflictDropped: a function that drops the conflict and goes on has lost its
// transaction all the same, and Tx says so.
func txConflictDropped(t *testing.T, st store.Store) {
	ctx := t.Context()
	taken := addUser(t, st)
	before, after := plainUser(unique("aud")), plainUser(unique("aud"))
	same := plainUser(taken.Audience)
	same.Email = taken.Email
	err := st.Tx(ctx, func(tx store.Store) error {
		if err := tx.CreateUser(ctx, before); err != nil {
			return err
		}
		_ = tx.CreateUser(ctx, same)
		_ = tx.CreateUser(ctx, after)
		return nil
	})
	if err == nil {
		t.Error("Tx succeeded though a conflict lost its transaction")
	}
	wantUser(t, "what was written before the conflict", st, before, false)
	wantUser(t, "what was written after it", st, after, false)
}

// txMissGoesOn: misses and stale rows don't lose the transaction.
func txMissGoesOn(t *testing.T, st store.Store) {
	ctx := t.Context()
	u := plainUser(unique("aud"))
	check(t, st.Tx(ctx, func(tx store.Store) error {
		if err := tx.CreateUser(ctx, u); err != nil {
			return err
		}
		for _, c := range []struct{ got, want error }{
			{tx.DeleteUser(ctx, uuid.New()), store.ErrNotFound},
			{tx.UpdateUser(ctx, &store.User{ID: uuid.New(), Version: 1, CreatedAt: at(0)}), store.ErrNotFound},
			{tx.UpdateUser(ctx, &store.User{ID: u.ID, Version: 9, CreatedAt: at(0)}), store.ErrStale},
			{second(tx.Setting(ctx, unique("setting"))), store.ErrNotFound},
		} {
			if !errors.Is(c.got, c.want) {
				return errors.Join(errors.New("in Tx, want "+c.want.Error()), c.got)
			}
		}
		return nil
	}))
	wantUser(t, "what was written beside misses", st, u, true)
}

func second[T any](_ T, err error) error { return err }

// txStale: a function that returns ErrStale is run again, what it wrote before undone.
func txStale(t *testing.T, st store.Store) {
	ctx := t.Context()
	u := addUser(t, st)
	var wrote [2]store.User
	runs := 0
	err := st.Tx(ctx, func(tx store.Store) error {
		n := runs
		runs++
		if n < len(wrote) {
			wrote[n] = plainUser(unique("aud"))
			if err := tx.CreateUser(ctx, wrote[n]); err != nil {
				return err
			}
		}
		if n == 0 {
			stale := u
			stale.Version = 99
			return tx.UpdateUser(ctx, &stale)
		}
		return nil
	})
	if err != nil || runs != 2 {
		t.Fatalf("a function that was stale once: %d runs, error %v", runs, err)
	}
	wantUser(t, "the write of the stale run", st, wrote[0], false)
	wantUser(t, "the write of the second run", st, wrote[1], true)

	// One that stays stale must come to an end.
	err = st.Tx(ctx, func(tx store.Store) error { return store.ErrStale })
	if err == nil {
		t.Error("Tx of a function that is always stale succeeded")
	}
}

// txSavepoint: an inner Tx is undone alone, and with the outer one.
func txSavepoint(t *testing.T, st store.Store) {
	ctx := t.Context()
	u := make([]store.User, 6)
	for i := range u {
		u[i] = plainUser(unique("aud"))
	}
	inner := func(tx store.Store, u store.User, result error) error {
		err := tx.Tx(ctx, func(tx store.Store) error {
			if err := tx.CreateUser(ctx, u); err != nil {
				return err
			}
			return result
		})
		if result != nil && errors.Is(err, result) {
			return nil
		}
		return err
	}
	check(t, st.Tx(ctx, func(tx store.Store) error {
		err := tx.CreateUser(ctx, u[0])
		if err == nil {
			err = inner(tx, u[1], errUndo)
		}
		if err == nil {
			err = inner(tx, u[2], nil)
		}
		if err == nil { // two deep: the inmost is kept, the one around it undone
			err = ignore(tx.Tx(ctx, func(tx store.Store) error {
				if err := inner(tx, u[3], nil); err != nil {
					return err
				}
				return errUndo
			}), errUndo)
		}
		if err == nil {
			err = tx.CreateUser(ctx, u[4])
		}
		return err
	}))
	for i, there := range []bool{true, false, true, false, true} {
		wantUser(t, "account "+string(rune('0'+i)), st, u[i], there)
	}
	err := st.Tx(ctx, func(tx store.Store) error {
		if err := inner(tx, u[5], nil); err != nil {
			return err
		}
		return errUndo
	})
	wantErr(t, "an outer Tx undone", err, errUndo)
	wantUser(t, "what its inner Tx wrote", st, u[5], false)
}

// txSavepointConflict: a conflict in an inner Tx loses the outer one.
func txSavepointConflict(t *testing.T, st store.Store) {
	ctx := t.Context()
	taken, u := addUser(t, st), plainUser(unique("aud"))
	same := plainUser(unique("aud"))
	same.ID = taken.ID
	var inner error
	err := st.Tx(ctx, func(tx store.Store) error {
		if err := tx.CreateUser(ctx, u); err != nil {
			return err
		}
		inner = tx.Tx(ctx, func(tx store.Store) error { return tx.CreateUser(ctx, same) })
		return nil
	})
	wantErr(t, "the inner Tx", inner, store.ErrConflict)
	if err == nil {
		t.Error("the outer Tx succeeded though a conflict lost its transaction")
	}
	wantUser(t, "what the outer Tx wrote", st, u, false)
}

// txSavepointStale: a stale inner function leads to another run, of itself or of all.
func txSavepointStale(t *testing.T, st store.Store) {
	ctx := t.Context()
	u := plainUser(unique("aud"))
	runs := 0
	check(t, st.Tx(ctx, func(tx store.Store) error {
		return tx.Tx(ctx, func(tx store.Store) error {
			runs++
			if err := tx.CreateUser(ctx, u); err != nil {
				return err
			}
			if runs == 1 {
				return store.ErrStale
			}
			return nil
		})
	}))
	if runs != 2 {
		t.Errorf("an inner function that was stale once ran %d times", runs)
	}
	wantUser(t, "what its second run wrote", st, u, true)
}

// panicked calls fn and gives the value of its panic.
func panicked(fn func()) (value any) {
	defer func() { value = recover() }()
	fn()
	return nil
}

func txPanic(t *testing.T, st store.Store) {
	ctx := t.Context()
	u, after := plainUser(unique("aud")), plainUser(unique("aud"))
	got := panicked(func() {
		_ = st.Tx(ctx, func(tx store.Store) error {
			if err := tx.CreateUser(ctx, u); err != nil {
				return err
			}
			panic("storetest: panic")
		})
	})
	if got != "storetest: panic" {
		t.Errorf("recovered %v, want the function's own panic", got)
	}
	wantUser(t, "what was written before a panic", st, u, false)
	check(t, st.Tx(ctx, func(tx store.Store) error { return tx.CreateUser(ctx, after) }))

	// Others are not hurt by one that panics beside them.
	var mu sync.Mutex
	users := map[int]store.User{}
	race(t, 2*racers, func(ctx context.Context, i int) (bool, error) {
		u := plainUser(unique("aud"))
		mu.Lock()
		users[i] = u
		mu.Unlock()
		var err error
		got := panicked(func() {
			err = st.Tx(ctx, func(tx store.Store) error {
				if err := tx.CreateUser(ctx, u); err != nil {
					return err
				}
				if i%4 == 1 {
					panic(i)
				}
				return nil
			})
		})
		if i%4 == 1 && got != i {
			t.Errorf("racer %d recovered %v", i, got)
		}
		return true, err
	})
	for i, u := range users {
		wantUser(t, "an account made beside panics", st, u, i%4 != 1)
	}
}

func txSavepointPanic(t *testing.T, st store.Store) {
	ctx := t.Context()
	outer, inner := plainUser(unique("aud")), plainUser(unique("aud"))
	var got any
	check(t, st.Tx(ctx, func(tx store.Store) error {
		if err := tx.CreateUser(ctx, outer); err != nil {
			return err
		}
		var err error
		got = panicked(func() {
			err = tx.Tx(ctx, func(tx store.Store) error {
				if err := tx.CreateUser(ctx, inner); err != nil {
					return err
				}
				panic("storetest: inner panic")
			})
		})
		return err
	}))
	if got != "storetest: inner panic" {
		t.Errorf("recovered %v, want the inner function's own panic", got)
	}
	wantUser(t, "what the outer function wrote", st, outer, true)
	wantUser(t, "what the inner function wrote before its panic", st, inner, false)
}

// txSpent: the store given to a function writes nothing once the function returned.
func txSpent(t *testing.T, st store.Store) {
	ctx := t.Context()
	for _, result := range []error{nil, errUndo} {
		var kept store.Store
		err := st.Tx(ctx, func(tx store.Store) error {
			kept = tx
			return result
		})
		check(t, ignore(err, errUndo))
		u := plainUser(unique("aud"))
		if err := kept.CreateUser(ctx, u); err == nil {
			t.Error("CreateUser succeeded after the function returned")
		}
		if err := kept.Tx(ctx, func(tx store.Store) error { return tx.CreateUser(ctx, u) }); err == nil {
			t.Error("Tx succeeded after the function returned")
		}
		wantUser(t, "what was written too late", st, u, false)
	}
}

// txIsolation: nobody sees what isn't committed. A store may let readers wait.
func txIsolation(t *testing.T, st store.Store) {
	ctx := t.Context()
	old, u := addUser(t, st), plainUser(unique("aud"))
	type seen struct {
		old store.User
		new error
		err error
	}
	read := make(chan seen, 1)
	var once sync.Once
	err := st.Tx(ctx, func(tx store.Store) error {
		moved := old
		moved.Role = "uncommitted"
		if err := tx.UpdateUser(ctx, &moved); err != nil {
			return err
		}
		if err := tx.CreateUser(ctx, u); err != nil {
			return err
		}
		done := make(chan struct{})
		once.Do(func() {
			go func() {
				defer close(done)
				var s seen
				s.old, s.err = st.User(ctx, old.ID)
				_, s.new = st.User(ctx, u.ID)
				read <- s
			}()
		})
		select {
		case <-done:
		case <-time.After(2 * time.Second): // the reader waits for us
		}
		return errUndo
	})
	wantErr(t, "a Tx undone", err, errUndo)
	s := <-read
	wantRow(t, "a row read while its change isn't committed", s.old, s.err, old)
	wantErr(t, "a row read before it is committed", s.new, store.ErrNotFound)
}
