package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/truekeel/auth/store"
)

// transaction is one transaction of the database. The first error that the database
// gives ends it: whatever is asked of it later, a commit included, fails with that
// error. PostgreSQL behaves so, the others would go on; nobody shall rely on that.
type transaction struct {
	db   *database
	conn Conn

	mu    sync.Mutex
	lost  error
	depth int // of savepoints
}

// scope is what one function given to Tx may use: a transaction, until it returns.
type scope struct {
	tx    *transaction
	ended atomic.Bool
	// ctx replaces the caller's, so that nobody cuts a write short; nil for a joined
	// transaction, which checks the caller's before each statement.
	ctx context.Context
	// budget bounds each statement of a joined transaction.
	budget time.Duration
}

var errEnded = errors.New("sqlstore: the transaction has ended: a Store is valid until the function that got it returns")

// run gives do the connection if the transaction is still good.
func (sc *scope) run(ctx context.Context, op string, do func(ctx context.Context, c Conn) error) error {
	if sc.ended.Load() {
		return errEnded
	}
	if sc.ctx != nil {
		ctx = sc.ctx
	} else {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("sqlstore: %s: %w", op, err)
		}
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(context.WithoutCancel(ctx), sc.budget)
		defer cancel()
	}
	t := sc.tx
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.lost != nil {
		return t.lost
	}
	if err := do(ctx, t.conn); err != nil {
		t.lost = t.db.fail(op, err)
		return t.lost
	}
	return nil
}

// fate is the error that ended the transaction, nil while it is good.
func (t *transaction) fate() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.lost
}

// Tx runs fn in a transaction; see store.Store.
func (s *Store) Tx(ctx context.Context, fn func(tx store.Store) error) error {
	return s.tx(ctx, "transaction", func(tx *Store) error { return fn(tx) })
}

func (s *Store) tx(ctx context.Context, op string, fn func(tx *Store) error) error {
	switch {
	case s.scope == nil:
		return s.db.retry(ctx, op, func() (error, error) { return s.db.attempt(ctx, op, fn) })
	case s.scope.ctx == nil:
		return s.db.retry(ctx, op, func() (error, error) {
			err := s.savepoint(ctx, fn)
			if s.scope.tx.fate() != nil {
				return err, nil // the host's transaction is lost: not ours to run again
			}
			return err, err
		})
	}
	return s.savepoint(ctx, fn)
}

// atomic runs fn in a transaction of its own, or in the one that s is.
func (s *Store) atomic(ctx context.Context, op string, fn func(tx *Store) error) error {
	if s.scope != nil {
		return fn(s)
	}
	return s.tx(ctx, op, fn)
}

// attempt runs fn in a transaction once. It gives the error for the caller, and the
// error that decides whether to try again (nil: not): fn may have made its own of it.
func (db *database) attempt(ctx context.Context, op string, fn func(tx *Store) error) (err, cause error) {
	if db.closed.Load() {
		err = fmt.Errorf("sqlstore: %s: %w: the store is closed", op, store.ErrUnavailable)
		return err, err
	}
	var fate error
	err = db.writer.Write(ctx, func(ctx context.Context, c Conn) error {
		t := &transaction{db: db, conn: c}
		sc := &scope{tx: t, ctx: ctx}
		defer sc.ended.Store(true)
		err := fn(&Store{db: db, scope: sc})
		fate = t.fate()
		if err == nil {
			err = fate
		}
		return err
	})
	if fate != nil && !errors.Is(err, store.ErrStale) { // stale may be what fn made of a conflict
		return err, fate
	}
	return err, err
}

// savepoint runs fn in a part of the transaction that can be undone by itself.
func (s *Store) savepoint(ctx context.Context, fn func(tx *Store) error) error {
	t := s.scope.tx
	t.mu.Lock()
	t.depth++
	name := "auth_sp" + strconv.Itoa(t.depth)
	t.mu.Unlock()
	command := func(text string) error {
		return s.scope.run(ctx, "savepoint", func(ctx context.Context, c Conn) error {
			_, err := c.Exec(ctx, text+name, nil)
			return err
		})
	}
	if err := command("SAVEPOINT "); err != nil {
		return err
	}
	inner := &scope{tx: t, ctx: s.scope.ctx, budget: s.scope.budget}
	undo := func() error {
		if err := command("ROLLBACK TO SAVEPOINT "); err != nil {
			return err
		}
		return command("RELEASE SAVEPOINT ")
	}
	returned := false
	defer func() {
		inner.ended.Store(true)
		if !returned {
			_ = undo() // panicking: if it fails, the transaction is lost and says so itself
		}
		t.mu.Lock()
		t.depth--
		t.mu.Unlock()
	}()
	err := fn(&Store{db: s.db, scope: inner})
	returned = true
	if fate := t.fate(); fate != nil {
		if err == nil {
			err = fate
		}
		return err
	}
	if err != nil {
		if failed := undo(); failed != nil {
			return failed
		}
		return err
	}
	return command("RELEASE SAVEPOINT ")
}

// attempts bounds how often a transaction is run.
const attempts = 12

// retry runs try until it succeeds, fails for good, or was tried often enough. try
// gives the error for the caller and the one that decides.
func (db *database) retry(ctx context.Context, op string, try func() (err, cause error)) error {
	for n := 1; ; n++ {
		err, cause := try()
		if err == nil {
			return nil
		}
		if !db.again(cause) {
			return db.fail(op, err)
		}
		if n == attempts {
			return fmt.Errorf("sqlstore: %s: %w: gave up after %d attempts: %w",
				op, store.ErrUnavailable, attempts, db.dialect.Explain(err))
		}
		if err := pause(ctx, n); err != nil {
			return fmt.Errorf("sqlstore: %s: %w", op, err)
		}
	}
}

// again reports whether another attempt may do better.
func (db *database) again(err error) bool {
	if err == nil {
		return false
	}
	if errors.Is(err, store.ErrStale) || db.dialect.IsRetryable(err) {
		return true
	}
	var commit *commitError
	return db.isLost(err) && !errors.As(err, &commit)
}

// pause waits before attempt n+1: between half and all of 2 ms, 4 ms, ... 256 ms.
func pause(ctx context.Context, n int) error {
	most := 2 * time.Millisecond << min(n-1, 7)
	timer := time.NewTimer(most/2 + rand.N(most/2)) //nolint:gosec // spreads retries, protects nothing
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// commitError is a failed commit. If the connection was lost with it nobody knows
// whether it took place, so it isn't tried again.
type commitError struct{ err error }

func (e *commitError) Error() string { return "commit: " + e.err.Error() }
func (e *commitError) Unwrap() error { return e.err }

// poolWriter begins transactions on the pool.
type poolWriter struct{ db *database }

// Write implements Writer.
func (w poolWriter) Write(ctx context.Context, fn func(ctx context.Context, c Conn) error) error {
	noted, err := w.write(ctx, fn)
	if err != nil || noted == nil {
		return err
	}
	if err := noted.warm(ctx); err != nil {
		w.db.log.DebugContext(ctx, "sqlstore: a statement couldn't be prepared", "error", err)
	}
	return nil
}

func (w poolWriter) write(ctx context.Context, fn func(ctx context.Context, c Conn) error) (noted *inTx, err error) {
	// ctx bounds the wait for a connection. BeginTx gets another one: it would roll
	// back in the middle of a write when ctx ends.
	conn, err := w.db.pool.Conn(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close() }() // gives it back; fails only for one that is gone
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), w.db.budget)
	defer cancel()
	tx, err := conn.BeginTx(ctx, w.db.dialect.TxOptions)
	if err != nil {
		return nil, err
	}
	defer func() { _ = tx.Rollback() }() // does nothing after a commit; undoes a panic too
	c := Direct(tx)
	if w.db.kept != nil {
		noted = &inTx{direct: direct{tx}, tx: tx, kept: w.db.kept}
		c = noted
	}
	if err := fn(ctx, c); err != nil {
		if ctx.Err() != nil {
			err = fmt.Errorf("%w: transaction over its budget of %s: %w", store.ErrUnavailable, w.db.budget, err)
		}
		return nil, err
	}
	if err := tx.Commit(); err != nil {
		return nil, &commitError{err}
	}
	return noted, nil
}

// exec runs one write and says how many rows it changed.
func (s *Store) exec(ctx context.Context, op, query string, args ...any) (n int64, err error) {
	text := s.db.text(query)
	do := func(ctx context.Context, c Conn) (err error) {
		n, err = c.Exec(ctx, text, args)
		return err
	}
	switch {
	case s.scope != nil:
		err = s.scope.run(ctx, op, do)
	case s.db.routed:
		err = s.tx(ctx, op, func(tx *Store) error { return tx.scope.run(ctx, op, do) })
	default:
		err = s.db.retryStatement(ctx, op, func() error { return do(ctx, s.db.reader) })
	}
	return n, err
}

// query runs one query. start is called before the first row of each attempt.
func (s *Store) query(ctx context.Context, op, query string, args []any, start func(), each func(*sql.Rows) error) error {
	text := s.db.text(query)
	do := func(ctx context.Context, c Conn) error {
		start()
		return c.Query(ctx, text, args, each)
	}
	if s.scope != nil {
		return s.scope.run(ctx, op, do)
	}
	return s.db.retry(ctx, op, func() (error, error) {
		if s.db.closed.Load() { // the pool may be the host's, and open
			err := fmt.Errorf("sqlstore: %s: %w: the store is closed", op, store.ErrUnavailable)
			return err, err
		}
		err := do(ctx, s.db.reader)
		return err, err
	})
}

// retryStatement runs a single write outside of a transaction. Unlike a transaction
// before its commit it isn't run again when the connection breaks: it may have taken
// effect.
func (db *database) retryStatement(ctx context.Context, op string, do func() error) error {
	return db.retry(ctx, op, func() (error, error) {
		if db.closed.Load() {
			err := fmt.Errorf("sqlstore: %s: %w: the store is closed", op, store.ErrUnavailable)
			return err, err
		}
		if err := do(); err != nil {
			return err, &commitError{err}
		}
		return nil, nil
	})
}

// one reads one row into a T; store.ErrNotFound if there is none.
func one[T any](ctx context.Context, s *Store, op string, scan func(*sql.Rows, *T) error, query string, args ...any) (T, error) {
	var found, none T
	n := 0
	err := s.query(ctx, op, query, args, func() { n = 0 }, func(r *sql.Rows) error {
		n++
		return scan(r, &found)
	})
	if err != nil {
		return none, err
	}
	if n == 0 {
		return none, fmt.Errorf("sqlstore: %s: %w", op, store.ErrNotFound)
	}
	return found, nil
}

// list reads all rows into Ts.
func list[T any](ctx context.Context, s *Store, op string, scan func(*sql.Rows, *T) error, query string, args ...any) ([]T, error) {
	var found []T
	err := s.query(ctx, op, query, args, func() { found = nil }, func(r *sql.Rows) error {
		var t T
		if err := scan(r, &t); err != nil {
			return err
		}
		found = append(found, t)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return found, nil
}

// scanValue scans the one column of a row.
func scanValue[T any](r *sql.Rows, v *T) error { return r.Scan(v) }

// must gives ErrNotFound if a write that has to hit a row hit none.
func must(op string, n int64, err error) error {
	if err == nil && n == 0 {
		return fmt.Errorf("sqlstore: %s: %w", op, store.ErrNotFound)
	}
	return err
}
