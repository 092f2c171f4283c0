// Package load writes to a store as fast as it can while a test restarts the database
// under it, and checks that nothing acknowledged was lost. Only tests import it.
package load

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/truekeel/auth/store"
)

// workers is how many goroutines write.
const workers = 12

// Load is goroutines that write, and what they were told.
type Load struct {
	st     store.Store
	cancel context.CancelFunc
	done   sync.WaitGroup

	mu     sync.Mutex
	change *sync.Cond // acked or failed grew
	acked  []uuid.UUID
	failed int // with store.ErrUnavailable
	wrong  []error
}

// Start begins to write accounts with an identity each, half of them in a Tx that
// changes them once more. Stop must be called.
func Start(t testing.TB, st store.Store) *Load {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	l := &Load{st: st, cancel: cancel}
	l.change = sync.NewCond(&l.mu)
	for i := range workers {
		l.done.Go(func() {
			for ctx.Err() == nil {
				l.one(i%2 == 0)
			}
		})
	}
	return l
}

// one writes one account. It isn't cancelled: what it is told must hold.
func (l *Load) one(inTx bool) {
	ctx := context.Background()
	now := time.Unix(1_800_000_000, 0)
	u := store.User{ID: uuid.New(), Audience: "load", Email: uuid.NewString() + "@example.com", CreatedAt: now, UpdatedAt: now}
	var err error
	if inTx {
		err = l.st.Tx(ctx, func(tx store.Store) error {
			u := u
			u.Version = 1
			if err := tx.CreateUser(ctx, u); err != nil {
				return err
			}
			u.Role = "changed"
			if err := tx.UpdateUser(ctx, &u); err != nil {
				return err
			}
			return tx.CreateIdentity(ctx, store.Identity{
				ID: u.ID, UserID: u.ID, Issuer: "load", Subject: u.ID.String(), CreatedAt: now,
			})
		})
	} else {
		err = l.st.CreateUser(ctx, u)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case err == nil:
		l.acked = append(l.acked, u.ID)
	case errors.Is(err, store.ErrUnavailable):
		l.failed++
	default:
		l.wrong = append(l.wrong, err)
	}
	l.change.Broadcast()
}

// More waits until so many more writes have been acknowledged.
func (l *Load) More(n int) {
	l.wait(func() bool { return len(l.acked) >= n }, func() { n += len(l.acked) })
}

// Failure waits until one more write has failed.
func (l *Load) Failure() {
	n := 1
	l.wait(func() bool { return l.failed >= n }, func() { n += l.failed })
}

func (l *Load) wait(met func() bool, start func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for start(); !met() && len(l.wrong) == 0; {
		l.change.Wait()
	}
}

// Stop ends the writing, checks every acknowledged write and every error, and says how
// many of each there were.
func (l *Load) Stop(t testing.TB) (acked, failed int) {
	t.Helper()
	l.cancel()
	l.done.Wait()
	for _, err := range l.wrong {
		t.Errorf("a write failed with another error than store.ErrUnavailable: %v", err)
	}
	lost := 0
	for _, id := range l.acked {
		u, err := l.st.User(context.Background(), id)
		if err != nil {
			lost++
			t.Errorf("an acknowledged write: %v", err)
			continue
		}
		identities, err := l.st.IdentitiesOf(context.Background(), id)
		if err != nil || len(identities) != int(u.Version)-1 {
			t.Errorf("half of a transaction: version %d, %d identities (%v)", u.Version, len(identities), err)
		}
	}
	if lost > 0 {
		t.Errorf("%d of %d acknowledged writes are lost", lost, len(l.acked))
	}
	return len(l.acked), l.failed
}
