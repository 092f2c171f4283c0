package outbox

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/truekeel/auth/store"
	"github.com/truekeel/auth/store/sqlite"
)

// virtual gives an Outbox over memory whose time is that of the test's bubble.
func virtual(t *testing.T, m *memory, log *lockedBuffer, handler Handler) *Outbox {
	t.Helper()
	o, err := New(Config{
		Store: m, Sealer: testBox(t), Sender: "me", Handlers: map[string]Handler{"mail": handler},
		Logger: slog.New(slog.NewTextHandler(log, nil)),
	})
	require.NoError(t, err)
	return o
}

func put(t *testing.T, o *Outbox, m *memory) uuid.UUID {
	t.Helper()
	id, err := o.Put(t.Context(), m, Item{Kind: "mail", Payload: "x"})
	require.NoError(t, err)
	return id
}

// Without anybody's help a failing delivery is tried again with growing pauses, and given
// up after a day.
func TestWorkerRetriesForADay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var (
			m, log   = newMemory(), &lockedBuffer{}
			attempts atomic.Int32
			last     atomic.Int64
			began    = time.Now()
		)
		o := virtual(t, m, log, func(context.Context, Delivery) error {
			attempts.Add(1)
			last.Store(int64(time.Since(began)))
			return errors.New("down")
		})
		o.Start()
		id := put(t, o, m)
		require.NoError(t, o.Settle(t.Context(), id))
		synctest.Wait()
		assert.EqualValues(t, 1, attempts.Load(), "at once")
		time.Sleep(25 * time.Hour)
		synctest.Wait()
		row, err := m.OutboxItem(t.Context(), id)
		require.NoError(t, err)
		assert.True(t, row.GivenUp)
		assert.Empty(t, row.Body)
		// A day in pauses of 15 min at most and half of that on average.
		assert.Greater(t, attempts.Load(), int32(24*4))
		assert.Less(t, attempts.Load(), int32(600))
		assert.InDelta(t, 24*time.Hour, time.Duration(last.Load()), float64(time.Minute))
		assert.Equal(t, 1, strings.Count(log.String(), "given up"))
		require.NoError(t, o.Close(t.Context()))
	})
}

// A store that is out of order is asked ever more seldom, and complained of once.
func TestStoreDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var (
			m, log    = newMemory(), &lockedBuffer{}
			delivered atomic.Int32
		)
		o := virtual(t, m, log, func(context.Context, Delivery) error { delivered.Add(1); return nil })
		put(t, o, m)
		m.fail(errDown)
		o.Start()
		time.Sleep(time.Hour)
		for range 1000 {
			o.Wake() // nobody can hurry it
		}
		synctest.Wait()
		m.mu.Lock()
		asked := len(m.asked)
		m.mu.Unlock()
		assert.Less(t, asked, 140)
		assert.Greater(t, asked, 100)
		assert.Equal(t, 1, strings.Count(log.String(), "doesn't answer"))
		m.fail(nil)
		time.Sleep(maxDown)
		synctest.Wait()
		assert.EqualValues(t, 1, delivered.Load())
		assert.Equal(t, 1, strings.Count(log.String(), "answers again"))
		require.NoError(t, o.Close(t.Context()))
	})
}

// A delivery is noted although the store is away for a moment.
func TestNoteIsRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, log := newMemory(), &lockedBuffer{}
		o := virtual(t, m, log, func(context.Context, Delivery) error { m.fail(errDown); return nil })
		id := put(t, o, m)
		go func() { time.Sleep(200 * time.Millisecond); m.fail(nil) }()
		require.NoError(t, o.Flush(t.Context()))
		row, err := m.OutboxItem(t.Context(), id)
		require.NoError(t, err)
		assert.False(t, row.DoneAt.IsZero())
		require.NoError(t, o.Close(t.Context()))
	})
}

func TestOthersAreReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, log := newMemory(), &lockedBuffer{}
		other := virtual(t, m, &lockedBuffer{}, doNothing)
		other.config.Sender = "old mailer"
		put(t, other, m)
		o := virtual(t, m, log, doNothing)
		o.Start()
		time.Sleep(9 * time.Minute)
		synctest.Wait()
		assert.Empty(t, log.String())
		time.Sleep(time.Hour)
		synctest.Wait()
		n := strings.Count(log.String(), "old mailer")
		assert.GreaterOrEqual(t, n, 5)
		assert.LessOrEqual(t, n, 7, "once every ten minutes")
		require.NoError(t, o.Close(t.Context()))
	})
}

func doNothing(context.Context, Delivery) error { return nil }

func TestCloseWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, ended := newMemory(), false
		o := virtual(t, m, &lockedBuffer{}, func(context.Context, Delivery) error {
			time.Sleep(10 * time.Second)
			ended = true
			return nil
		})
		o.Start()
		id := put(t, o, m)
		require.NoError(t, o.Settle(t.Context(), id))
		synctest.Wait()
		require.NoError(t, o.Close(t.Context()))
		assert.True(t, ended)
		require.NoError(t, o.Close(t.Context()))
		o.Start() // too late
		require.NoError(t, o.Flush(t.Context()), "nothing is due")
		put(t, o, m)
		require.ErrorIs(t, o.Flush(t.Context()), ErrClosed)
	})
}

// Deliveries that outlast the patience of Close are cut short and go on elsewhere.
func TestCloseCutsShort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, log := newMemory(), &lockedBuffer{}
		o := virtual(t, m, log, func(ctx context.Context, _ Delivery) error { <-ctx.Done(); return ctx.Err() })
		o.Start()
		id := put(t, o, m)
		require.NoError(t, o.Settle(t.Context(), id))
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		require.NoError(t, o.Close(ctx))
		row, err := m.OutboxItem(t.Context(), id)
		require.NoError(t, err)
		assert.True(t, row.DoneAt.IsZero())
		assert.Empty(t, row.LeaseToken)
		assert.False(t, row.NextAt.After(time.Now()), "the next process need not wait")
	})
}

func TestCloseReportsTheDeaf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, release := newMemory(), make(chan struct{})
		o := virtual(t, m, &lockedBuffer{}, func(context.Context, Delivery) error { <-release; return nil })
		o.Start()
		id := put(t, o, m)
		require.NoError(t, o.Settle(t.Context(), id))
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		require.ErrorIs(t, o.Close(ctx), context.DeadlineExceeded)
		close(release)
		require.NoError(t, o.Close(t.Context()))
	})
}

// At most so many deliveries run at once, and one slow one doesn't hold up the others.
func TestWorkers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var (
			m             = newMemory()
			now, most, of atomic.Int32
		)
		o := virtual(t, m, &lockedBuffer{}, func(context.Context, Delivery) error {
			n := now.Add(1)
			for old := most.Load(); n > old && !most.CompareAndSwap(old, n); old = most.Load() {
			}
			time.Sleep(time.Second)
			now.Add(-1)
			of.Add(1)
			return nil
		})
		for range 100 {
			put(t, o, m)
		}
		o.Start()
		time.Sleep(30 * time.Second)
		synctest.Wait()
		assert.EqualValues(t, 100, of.Load())
		assert.EqualValues(t, 4, most.Load())
		require.NoError(t, o.Close(t.Context()))
	})
}

// Two of them on one database, both with workers and somebody who flushes: every item is
// delivered once.
func TestTwoOnOneStore(t *testing.T) {
	path := t.TempDir() + "/auth.db"
	const items = 60
	var (
		mu     sync.Mutex
		counts = map[uuid.UUID]int{}
		boxes  []*Outbox
		stores []store.Store
	)
	for range 2 {
		st, err := sqlite.Open(path)
		require.NoError(t, err)
		defer func() { assert.NoError(t, st.Close()) }()
		require.NoError(t, st.Migrate(t.Context()))
		o, err := New(Config{Store: st, Sealer: testBox(t), Sender: "me", Poll: time.Millisecond, Handlers: map[string]Handler{
			"mail": func(_ context.Context, d Delivery) error {
				mu.Lock()
				defer mu.Unlock()
				counts[d.ID]++
				return nil
			},
		}})
		require.NoError(t, err)
		defer func() { assert.NoError(t, o.Close(context.Background())) }()
		boxes, stores = append(boxes, o), append(stores, st)
	}
	var all sync.WaitGroup
	for n := range items {
		all.Go(func() {
			o, st := boxes[n%2], stores[n%2]
			var id uuid.UUID
			assert.NoError(t, st.Tx(context.Background(), func(tx store.Store) (err error) {
				id, err = o.Put(context.Background(), tx, Item{Kind: "mail", Payload: n})
				return err
			}))
			assert.NoError(t, o.Settle(context.Background(), id))
		})
		if n == items/2 {
			boxes[0].Start()
			boxes[1].Start()
		}
	}
	all.Wait()
	for owed := 1; owed > 0; {
		assert.NoError(t, boxes[0].Flush(t.Context()))
		assert.NoError(t, boxes[1].Flush(t.Context()))
		debts, err := stores[0].OwedBySender(t.Context())
		require.NoError(t, err)
		owed = len(debts)
	}
	mu.Lock()
	defer mu.Unlock()
	assert.Len(t, counts, items)
	for id, n := range counts {
		assert.Equal(t, 1, n, id)
	}
}

// busyStore is a store in which things happen right before and after it reads what is due.
type busyStore struct {
	*memory
	before, after func()
}

func (b *busyStore) DueOutboxItems(ctx context.Context, sender string, now time.Time, limit int) ([]store.OutboxItem, error) {
	before, after := b.before, b.after
	b.before, b.after = doNothingElse, doNothingElse
	before()
	defer after()
	return b.memory.DueOutboxItems(ctx, sender, now, limit)
}

func doNothingElse() {}

// Flush also delivers what became due by the end of a delivery that was under way when the
// store was asked, whether that began before the flush or not.
func TestFlushSeesWhatOthersEnded(t *testing.T) {
	for _, early := range []bool{true, false} {
		var (
			m    = newMemory()
			busy = &busyStore{memory: m, before: doNothingElse}
			seen []uuid.UUID
		)
		o, err := New(Config{Store: busy, Sealer: testBox(t), Sender: "me", Handlers: map[string]Handler{
			"mail": func(_ context.Context, d Delivery) error { seen = append(seen, d.ID); return nil },
		}})
		require.NoError(t, err)
		var (
			first, second = uuid.New(), uuid.Nil
			end           func()
		)
		begin := func() { end, _ = o.begin(first) }
		if early {
			begin()
		} else {
			busy.before = begin
		}
		busy.after = func() {
			second = put(t, o, m) // what waited for the first
			end()
		}
		require.NoError(t, o.Flush(t.Context()))
		assert.Equal(t, []uuid.UUID{second}, seen, "early: %v", early)
		require.NoError(t, o.Close(t.Context()))
	}
}
