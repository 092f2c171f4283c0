package outbox

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/truekeel/auth/store"
)

// hollow is an error that can't be read where it is nil, as those of careless mailers.
type hollow struct{ cause error }

func (h *hollow) Error() string { return "failed" }
func (h *hollow) Unwrap() error { return h.cause }

// The error of a handler can't end the program by what it does when it is read.
func TestErrorsThatPanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, log := newMemory(), &lockedBuffer{}
		o := virtual(t, m, log, func(context.Context, Delivery) error {
			var none *hollow
			return none
		})
		o.Start()
		id := put(t, o, m)
		require.NoError(t, o.Settle(t.Context(), id))
		synctest.Wait()
		row, err := m.OutboxItem(t.Context(), id)
		require.NoError(t, err)
		assert.Zero(t, row.DoneAt)
		assert.Equal(t, 1, row.Attempts)
		require.NoError(t, o.Close(t.Context()))
	})
}

// frail is a store of somebody else's that panics at times.
type frail struct {
	*memory
	due, lease atomic.Bool
}

func (f *frail) DueOutboxItems(ctx context.Context, sender string, now time.Time, limit int) ([]store.OutboxItem, error) {
	if f.due.Load() {
		panic("due")
	}
	return f.memory.DueOutboxItems(ctx, sender, now, limit)
}

func (f *frail) LeaseOutboxItem(ctx context.Context, id uuid.UUID, token string, now, until time.Time) (bool, error) {
	if f.lease.Load() {
		panic("lease")
	}
	return f.memory.LeaseOutboxItem(ctx, id, token, now, until)
}

// A store that panics is out of order like any other: the worker waits, and goes on.
func TestStoreThatPanics(t *testing.T) {
	for name, broken := range map[string]func(*frail) *atomic.Bool{
		"looking":  func(f *frail) *atomic.Bool { return &f.due },
		"claiming": func(f *frail) *atomic.Bool { return &f.lease },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var delivered atomic.Int32
				f, log := &frail{memory: newMemory()}, &lockedBuffer{}
				o := virtual(t, f.memory, log, func(context.Context, Delivery) error {
					if delivered.Add(1) == 1 {
						return errors.New("not yet")
					}
					return nil
				})
				o.config.Store = f
				broken(f).Store(true)
				put(t, o, f.memory)
				o.Start()
				time.Sleep(time.Minute)
				synctest.Wait()
				require.Zero(t, delivered.Load())
				broken(f).Store(false)
				time.Sleep(5 * time.Minute)
				synctest.Wait()
				require.EqualValues(t, 2, delivered.Load())
				require.NoError(t, o.Close(t.Context()))
			})
		})
	}
}
