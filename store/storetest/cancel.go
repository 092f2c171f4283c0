package storetest

import (
	"context"
	"errors"
	"testing"

	"github.com/truekeel/auth/store"
)

func testCancel(t *testing.T, st store.Store) {
	each(t, st, []test{
		{"Before", cancelBefore},
		{"Waiting", cancelWaiting},
		{"Inside", cancelInside},
		{"Neighbours", cancelNeighbours},
	})
}

// cancelBefore: nothing begins under a context that has ended.
func cancelBefore(t *testing.T, st store.Store) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	u := addUser(t, st)
	ran := false
	err := st.Tx(ctx, func(store.Store) error { ran = true; return nil })
	wantErr(t, "Tx", err, context.Canceled)
	if ran {
		t.Error("a function ran under a context that had ended")
	}
	_, err = st.User(ctx, u.ID)
	wantErr(t, "User", err, context.Canceled)
	fresh := plainUser(unique("aud"))
	wantErr(t, "CreateUser", st.CreateUser(ctx, fresh), context.Canceled)
	wantUser(t, "what was written under an ended context", st, fresh, false)

	late, stop := context.WithTimeout(t.Context(), 0)
	defer stop()
	wantErr(t, "CreateUser past its deadline", st.CreateUser(late, fresh), context.DeadlineExceeded)
	wantUser(t, "what was written past its deadline", st, fresh, false)
}

// wantAllOrNothing checks that the accounts that one Tx made are all there if it
// returned nil, and none if not.
func wantAllOrNothing(t *testing.T, st store.Store, err error, users ...store.User) {
	t.Helper()
	for _, u := range users {
		wantUser(t, "an account of a Tx that returned "+errText(err), st, u, err == nil)
	}
}

func errText(err error) string {
	if err == nil {
		return "nil"
	}
	return err.Error()
}

// cancelWaiting: one that gives up while another holds what it needs has done
// everything or nothing.
func cancelWaiting(t *testing.T, st store.Store) {
	shared := addUser(t, st)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	holds, release := make(chan struct{}), make(chan struct{})
	holder := make(chan error, 1)
	go func() {
		holder <- st.Tx(t.Context(), func(tx store.Store) error {
			moved := shared
			moved.Role = "held"
			if err := tx.UpdateUser(t.Context(), &moved); err != nil {
				return err
			}
			select {
			case <-holds:
			default:
				close(holds)
			}
			<-release
			return nil
		})
	}()
	<-holds
	u := plainUser(unique("aud"))
	waiter := make(chan error, 1)
	begins := make(chan struct{})
	go func() {
		close(begins)
		waiter <- st.Tx(ctx, func(tx store.Store) error {
			if err := tx.CreateUser(ctx, u); err != nil {
				return err
			}
			got, err := tx.User(ctx, shared.ID)
			if err != nil {
				return err
			}
			return tx.UpdateUser(ctx, &got)
		})
	}()
	<-begins
	cancel()
	close(release)
	check(t, <-holder)
	err := <-waiter
	if err != nil && !errors.Is(err, context.Canceled) {
		t.Errorf("the one that gave up got %v", err)
	}
	wantAllOrNothing(t, st, err, u)
}

// cancelInside: a context that ends inside of the function undoes all of it or nothing.
func cancelInside(t *testing.T, st store.Store) {
	for _, last := range []bool{false, true} {
		ctx, cancel := context.WithCancel(t.Context())
		one, two := plainUser(unique("aud")), plainUser(unique("aud"))
		err := st.Tx(ctx, func(tx store.Store) error {
			if err := tx.CreateUser(ctx, one); err != nil {
				return err
			}
			if !last {
				cancel()
			}
			if err := tx.CreateUser(ctx, two); err != nil {
				return err
			}
			cancel()
			return nil
		})
		cancel()
		if err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("a Tx whose context ended inside: %v", err)
		}
		wantAllOrNothing(t, st, err, one, two)
	}
}

// cancelNeighbours: of many that write at once some are cancelled at every stage; the
// others don't notice.
func cancelNeighbours(t *testing.T, st store.Store) {
	const callers = 32
	type result struct {
		users [2]store.User
		err   error
	}
	results := make([]result, callers)
	for range 3 {
		together(callers, func(i int) {
			r := &results[i]
			*r = result{users: [2]store.User{plainUser(unique("aud")), plainUser(unique("aud"))}}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if i%4 == 1 {
				go cancel() // before, while it waits or while it writes
			}
			r.err = st.Tx(ctx, func(tx store.Store) error {
				if err := tx.CreateUser(ctx, r.users[0]); err != nil {
					return err
				}
				switch i % 4 {
				case 2:
					cancel() // between two writes
				case 3:
					go cancel() // in the middle of one
				}
				return tx.CreateUser(ctx, r.users[1])
			})
		})
		for i, r := range results {
			wantAllOrNothing(t, st, r.err, r.users[:]...)
			if i%4 == 0 && r.err != nil {
				t.Errorf("caller %d, which nobody cancelled: %v", i, r.err)
			}
			if r.err != nil && !errors.Is(r.err, context.Canceled) {
				t.Errorf("caller %d: %v", i, r.err)
			}
		}
	}
}
