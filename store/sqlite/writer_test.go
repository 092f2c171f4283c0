package sqlite

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/truekeel/auth/store"
	"github.com/truekeel/auth/store/sqlstore"
)

// bench is a writer on a file with one table, whose groups the test decides.
type bench struct {
	*writer
	log *bytes.Buffer
	// hold is another holder of the lock: while it has it, the queue fills.
	hold *fileLock
}

func newBench(t *testing.T, budget time.Duration) *bench {
	t.Helper()
	path := filepath.Join(t.TempDir(), "auth.db")
	var log bytes.Buffer
	o := defaults()
	o.budget = budget
	o.log = slog.New(slog.NewTextHandler(&log, nil))
	lock, err := openLock(path, o.wait)
	require.NoError(t, err)
	hold, err := openLock(path, o.wait)
	require.NoError(t, err)
	db, err := pool(writeDSN(path, busyPause, o), 2)
	require.NoError(t, err)
	_, err = db.ExecContext(t.Context(), `CREATE TABLE t (k TEXT PRIMARY KEY, parent TEXT REFERENCES t (k))`)
	require.NoError(t, err)
	w := newWriter(path, db, lock, o)
	w.window = time.Minute // who waits together is one group, however slow the machine is
	t.Cleanup(func() {
		w.close()
		require.NoError(t, errors.Join(db.Close(), lock.close(), hold.close()))
	})
	return &bench{w, &log, hold}
}

// insert is a transaction that writes one row.
func insert(key string) func(context.Context, sqlstore.Conn) error {
	return func(ctx context.Context, c sqlstore.Conn) error {
		_, err := c.Exec(ctx, `INSERT INTO t (k) VALUES (?)`, []any{key})
		return err
	}
}

// together runs transactions as one group, in their order, and gives their results.
func (b *bench) together(t *testing.T, ctx context.Context, fns ...func(context.Context, sqlstore.Conn) error) []error {
	t.Helper()
	require.NoError(t, b.hold.acquire(t.Context()))
	results := make([]error, len(fns))
	var wg sync.WaitGroup
	for i, fn := range fns {
		wg.Go(func() { results[i] = b.Write(ctx, fn) })
		b.awaitQueue(t, i+1)
	}
	require.NoError(t, b.hold.release())
	wg.Wait()
	return results
}

// awaitQueue returns when so many wait, the lock being held by the test.
func (b *bench) awaitQueue(t *testing.T, n int) {
	t.Helper()
	require.Eventually(t, func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		return len(b.queue) == n
	}, time.Minute, 100*time.Microsecond)
}

func (b *bench) keys(t *testing.T) []string {
	t.Helper()
	rows, err := b.db.QueryContext(t.Context(), `SELECT k FROM t ORDER BY k`)
	require.NoError(t, err)
	keys := []string{}
	for rows.Next() {
		var k string
		require.NoError(t, rows.Scan(&k))
		keys = append(keys, k)
	}
	require.NoError(t, errors.Join(rows.Err(), rows.Close()))
	return keys
}

func TestWriterCommitsAGroup(t *testing.T) {
	b := newBench(t, time.Minute)
	errNo := errors.New("no")
	results := b.together(t, t.Context(),
		insert("a"), insert("a"), insert("b"),
		func(ctx context.Context, c sqlstore.Conn) error {
			return errors.Join(insert("undone")(ctx, c), errNo)
		},
		insert("c"))
	assert.NoError(t, results[0])
	assert.True(t, isDuplicate(results[1]), "%v", results[1])
	assert.NoError(t, results[2])
	assert.ErrorIs(t, results[3], errNo)
	assert.NoError(t, results[4])
	assert.Equal(t, []string{"a", "b", "c"}, b.keys(t))
	assert.Empty(t, b.log.String())
}

// When its window is over a group is committed, and the next one begins.
func TestWriterWindow(t *testing.T) {
	b := newBench(t, time.Minute)
	b.window = 0
	results := b.together(t, t.Context(), insert("a"), func(ctx context.Context, c sqlstore.Conn) error {
		assert.Equal(t, []string{"a"}, b.keys(t), "what another connection sees")
		return insert("b")(ctx, c)
	})
	assert.NoError(t, errors.Join(results...))
	assert.Equal(t, []string{"a", "b"}, b.keys(t))
}

// Who is run again alone, because the group was lost, gets his turn and his answer also
// if the process stood still for the length of a window just then.
func TestWriterWindowOverWhileRunAgain(t *testing.T) {
	b := newBench(t, time.Minute)
	runs := 0
	late := func(ctx context.Context, c sqlstore.Conn) error {
		if runs++; runs == 1 {
			b.window = 0 // of the groups after this one
		}
		return insert("a")(ctx, c)
	}
	results := make(chan []error, 1)
	go func() { results <- b.together(t, t.Context(), late, orphan, insert("b")) }()
	select {
	case r := <-results:
		assert.NoError(t, r[0])
		assert.ErrorIs(t, r[1], store.ErrUnavailable)
		assert.NoError(t, r[2])
		assert.Equal(t, 2, runs)
	case <-time.After(time.Minute):
		t.Fatal("nobody answers those who are run again")
	}
	assert.Equal(t, []string{"a", "b"}, b.keys(t))
}

// Nobody is answered before the commit, not even with a failure.
func TestWriterAnswersAfterTheCommit(t *testing.T) {
	b := newBench(t, time.Minute)
	var answered atomic.Int32
	write := func(fn func(context.Context, sqlstore.Conn) error) func() {
		return func() {
			_ = b.Write(t.Context(), fn)
			answered.Add(1)
		}
	}
	require.NoError(t, b.hold.acquire(t.Context()))
	var wg sync.WaitGroup
	for i, fn := range []func(context.Context, sqlstore.Conn) error{
		insert("a"), insert("a"),
		func(context.Context, sqlstore.Conn) error {
			for range 1000 {
				runtime.Gosched()
			}
			assert.Zero(t, answered.Load())
			return nil
		},
	} {
		wg.Go(write(fn))
		b.awaitQueue(t, i+1)
	}
	require.NoError(t, b.hold.release())
	wg.Wait()
	assert.EqualValues(t, 3, answered.Load())
}

func TestWriterPanic(t *testing.T) {
	for name, leave := range map[string]func(){
		"panic":  func() { panic("boom") },
		"goexit": runtime.Goexit,
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, time.Minute)
			var raised any
			returned := true
			bad := func(ctx context.Context, c sqlstore.Conn) error {
				if err := insert("bad")(ctx, c); err != nil {
					return err
				}
				leave()
				return nil
			}
			require.NoError(t, b.hold.acquire(t.Context()))
			var wg sync.WaitGroup
			wg.Go(func() { assert.NoError(t, b.Write(t.Context(), insert("a"))) })
			b.awaitQueue(t, 1)
			wg.Go(func() {
				defer func() { raised = recover() }()
				returned = false
				_ = b.Write(t.Context(), bad)
				returned = true
			})
			b.awaitQueue(t, 2)
			wg.Go(func() { assert.NoError(t, b.Write(t.Context(), insert("b"))) })
			b.awaitQueue(t, 3)
			require.NoError(t, b.hold.release())
			wg.Wait()
			assert.False(t, returned)
			if name == "panic" {
				assert.Equal(t, "boom", raised)
			}
			assert.Equal(t, []string{"a", "b"}, b.keys(t))
		})
	}
}

func TestWriterContext(t *testing.T) {
	b := newBench(t, time.Minute)
	ctx, cancel := context.WithCancel(t.Context())
	inside := func(ctx context.Context, c sqlstore.Conn) error {
		cancel() // the others of this group haven't begun
		require.NoError(t, ctx.Err(), "what has begun isn't cut short")
		return insert("begun")(ctx, c)
	}
	results := b.together(t, ctx, inside, insert("waiting"))
	assert.NoError(t, results[0])
	assert.ErrorIs(t, results[1], context.Canceled)
	assert.ErrorIs(t, b.Write(ctx, insert("late")), context.Canceled)
	assert.Equal(t, []string{"begun"}, b.keys(t))
}

// Who waits for the lock can leave.
func TestWriterLeave(t *testing.T) {
	b := newBench(t, time.Minute)
	require.NoError(t, b.hold.acquire(t.Context()))
	ctx, cancel := context.WithCancel(t.Context())
	left := make(chan error)
	go func() { left <- b.Write(ctx, insert("left")) }()
	b.awaitQueue(t, 1)
	cancel()
	require.ErrorIs(t, <-left, context.Canceled)
	b.awaitQueue(t, 0)
	require.NoError(t, b.hold.release())
	require.NoError(t, b.Write(t.Context(), insert("a")))
	assert.Equal(t, []string{"a"}, b.keys(t))
}

// A member that does nothing with the writer gives it up when its budget is over.
func TestWriterBudgetIdle(t *testing.T) {
	b := newBench(t, 500*time.Millisecond)
	begun, others := make(chan struct{}), make(chan struct{})
	var late error
	idle := func(ctx context.Context, c sqlstore.Conn) error {
		if err := insert("idle")(ctx, c); err != nil {
			return err
		}
		close(begun)
		<-others // they can't go on before our budget is over
		late = insert("late")(ctx, c)
		return nil
	}
	result := make(chan error)
	go func() { result <- b.Write(t.Context(), idle) }()
	<-begun
	for i := range 3 {
		require.NoError(t, b.Write(t.Context(), insert(fmt.Sprint("other", i))))
	}
	close(others)
	err := <-result
	require.ErrorIs(t, err, store.ErrUnavailable)
	require.ErrorContains(t, err, "budget")
	require.Error(t, late)
	assert.Equal(t, []string{"other0", "other1", "other2"}, b.keys(t))
}

// A write that is interrupted loses SQLite's transaction: the others are run again.
func TestWriterBudgetInAStatement(t *testing.T) {
	b := newBench(t, time.Second)
	endless := func(ctx context.Context, c sqlstore.Conn) error {
		_, err := c.Exec(ctx, `INSERT INTO t (k) WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL
			SELECT i + 1 FROM n) SELECT 'endless' || i FROM n WHERE ? = ''`, []any{""})
		return err
	}
	var runs atomic.Int32
	counted := func(ctx context.Context, c sqlstore.Conn) error {
		runs.Add(1)
		return insert("a")(ctx, c)
	}
	results := b.together(t, t.Context(), counted, endless, insert("b"))
	assert.NoError(t, results[0])
	assert.ErrorIs(t, results[1], store.ErrUnavailable)
	assert.ErrorContains(t, results[1], "budget")
	assert.NoError(t, results[2])
	assert.EqualValues(t, 2, runs.Load())
	assert.Equal(t, []string{"a", "b"}, b.keys(t))
	assert.Contains(t, b.log.String(), "run again one by one")
}

// orphan makes the commit of its group fail.
func orphan(ctx context.Context, c sqlstore.Conn) error {
	// Foreign keys that are checked at the commit make it fail.
	if err := c.Query(ctx, `PRAGMA defer_foreign_keys = 1`, nil, func(*sql.Rows) error { return nil }); err != nil {
		return err
	}
	_, err := c.Exec(ctx, `INSERT INTO t (k, parent) VALUES ('orphan', ?)`, []any{"nobody"})
	return err
}

// A commit that fails for a reason that nobody can be blamed for: each is run alone.
func TestWriterLostCommit(t *testing.T) {
	b := newBench(t, time.Minute)
	results := b.together(t, t.Context(), insert("a"), orphan, insert("a"), insert("b"))
	assert.NoError(t, results[0])
	assert.ErrorIs(t, results[1], store.ErrUnavailable)
	assert.True(t, isDuplicate(results[2]), "%v", results[2])
	assert.NoError(t, results[3])
	assert.Equal(t, []string{"a", "b"}, b.keys(t))
}

// After an error of SQLite the connection is closed to the member, who can't commit by
// overlooking it either.
func TestWriterErrorIsFinal(t *testing.T) {
	b := newBench(t, time.Minute)
	require.NoError(t, b.Write(t.Context(), insert("a")))
	var again error
	err := b.Write(t.Context(), func(ctx context.Context, c sqlstore.Conn) error {
		_ = insert("b")(ctx, c)
		_ = insert("a")(ctx, c)
		again = insert("c")(ctx, c)
		return nil
	})
	require.True(t, isDuplicate(err), "%v", err)
	require.Equal(t, err, again)
	assert.Equal(t, []string{"a"}, b.keys(t))
}

func TestWriterKeepsNoConnAfterwards(t *testing.T) {
	b := newBench(t, time.Minute)
	var kept sqlstore.Conn
	require.NoError(t, b.Write(t.Context(), func(_ context.Context, c sqlstore.Conn) error {
		kept = c
		return nil
	}))
	require.ErrorIs(t, insert("a")(t.Context(), kept), errEnded)
	assert.Empty(t, b.keys(t))
}

func TestWriterFullDisk(t *testing.T) {
	b := newBench(t, time.Minute)
	limit := func(pages int) {
		t.Helper()
		require.NoError(t, b.Write(t.Context(), func(ctx context.Context, c sqlstore.Conn) error {
			return c.Query(ctx, fmt.Sprintf("PRAGMA max_page_count = %d", pages), nil,
				func(*sql.Rows) error { return nil })
		}))
	}
	limit(10)
	big := func(ctx context.Context, c sqlstore.Conn) error {
		_, err := c.Exec(ctx, `INSERT INTO t (k) VALUES (?)`, []any{string(make([]byte, 1<<20))})
		return err
	}
	results := b.together(t, t.Context(), insert("a"), big, insert("b"))
	assert.NoError(t, results[0])
	assert.True(t, isUnavailable(results[1]), "%v", results[1])
	assert.ErrorContains(t, explain(b.path, results[1]), "disk is full")
	assert.NoError(t, results[2])
	assert.Equal(t, []string{"a", "b"}, b.keys(t))
	limit(1 << 20)
	require.NoError(t, b.Write(t.Context(), big))
}

func TestWriterClose(t *testing.T) {
	b := newBench(t, time.Minute)
	running, finish := make(chan struct{}), make(chan struct{})
	first := make(chan error, 1)
	go func() {
		first <- b.Write(t.Context(), func(ctx context.Context, c sqlstore.Conn) error {
			close(running)
			<-finish
			return insert("running")(ctx, c)
		})
	}()
	<-running
	closed := make(chan struct{})
	go func() { b.close(); close(closed) }()
	require.Eventually(t, func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		return b.closed
	}, time.Minute, 100*time.Microsecond)
	require.ErrorIs(t, b.Write(t.Context(), insert("late")), store.ErrUnavailable)
	close(finish)
	<-closed
	require.NoError(t, <-first)
	b.close() // once more does nothing
	assert.Equal(t, []string{"running"}, b.keys(t))
}

// Close ends the wait for a lock that another process doesn't let go of.
func TestWriterCloseWhileWaiting(t *testing.T) {
	b := newBench(t, time.Minute)
	require.NoError(t, b.hold.acquire(t.Context()))
	waiting := make(chan error)
	go func() { waiting <- b.Write(t.Context(), insert("a")) }()
	b.awaitQueue(t, 1)
	b.close()
	require.ErrorIs(t, <-waiting, store.ErrUnavailable)
	require.NoError(t, b.hold.release())
}

func TestWriterLockHeld(t *testing.T) {
	b := newBench(t, time.Minute)
	b.lock.wait = time.Millisecond
	require.NoError(t, b.hold.acquire(t.Context()))
	err := b.Write(t.Context(), insert("a"))
	require.ErrorIs(t, err, store.ErrUnavailable)
	require.ErrorContains(t, err, b.path)
	require.ErrorContains(t, err, "another process")
	require.NoError(t, b.hold.release())
}

// More than one group's members are served in the order in which they came.
func TestWriterOrder(t *testing.T) {
	b := newBench(t, time.Minute)
	var mu sync.Mutex
	var order []int
	var fns []func(context.Context, sqlstore.Conn) error
	for i := range groupMembers + 20 {
		fns = append(fns, func(context.Context, sqlstore.Conn) error {
			mu.Lock()
			defer mu.Unlock()
			order = append(order, i)
			return nil
		})
	}
	for _, err := range b.together(t, t.Context(), fns...) {
		require.NoError(t, err)
	}
	require.Len(t, order, len(fns))
	assert.IsIncreasing(t, order)
}
