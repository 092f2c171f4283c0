package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/truekeel/auth/store"
	"github.com/truekeel/auth/store/sqlstore"
)

// writer is the one who writes the database for this process. It takes the transactions
// that wait, in the order in which they came, runs each in a savepoint of one
// transaction of SQLite, and commits that: one fsync for all.
//
// It lends its connection to one member of the group after the other; a member's
// function runs in its caller's goroutine, so that a panic arrives where it belongs.
//
// A cancelled context interrupts SQLite, which then may roll back the whole group.
// Therefore statements never see the caller's context: it is looked at before the
// member starts, and a budget bounds what comes after. A member that fails is undone by
// itself. If the group is lost nevertheless (the member that overran its budget was in
// the middle of a write, the disk is full), the other members are run again, each in a
// group of its own.
type writer struct {
	path   string
	db     *sql.DB
	lock   *fileLock
	budget time.Duration // for one member
	window time.Duration // in which members of one group begin
	wait   time.Duration // for SQLite's lock
	log    *slog.Logger

	mu     sync.Mutex
	queue  []*member
	closed bool

	wake     chan struct{} // something was added to queue, or closed was set
	stopping context.Context
	stop     context.CancelFunc
	stopped  chan struct{}

	link *link // used by run's goroutine alone
}

// What bounds a group: then it is committed, and other processes have their turn.
const (
	groupMembers = 128
	groupWindow  = 20 * time.Millisecond
)

// busyPause is how long SQLite itself waits for its lock before the writer looks
// whether anybody still waits.
const busyPause = 100 * time.Millisecond

func newWriter(path string, db *sql.DB, lock *fileLock, o *options) *writer {
	w := &writer{
		path: path, db: db, lock: lock, budget: o.budget, window: groupWindow, wait: o.wait, log: o.log,
		wake: make(chan struct{}, 1), stopped: make(chan struct{}),
	}
	w.stopping, w.stop = context.WithCancel(context.Background())
	go w.run()
	return w
}

// member is one transaction on its way through the writer.
type member struct {
	ctx    context.Context
	fn     func(ctx context.Context, c sqlstore.Conn) error
	turn   chan *loan // the connection, when it is this member's turn
	answer chan error // what became of it
}

// Write implements sqlstore.Writer.
func (w *writer) Write(ctx context.Context, fn func(ctx context.Context, c sqlstore.Conn) error) error {
	m := &member{ctx: ctx, fn: fn, turn: make(chan *loan, 1), answer: make(chan error, 1)}
	if err := w.enter(m); err != nil {
		return err
	}
	left := ctx.Done()
	for {
		select {
		case l := <-m.turn:
			l.use(m.fn)
		case err := <-m.answer:
			return err
		case <-left:
			if w.leave(m) {
				return ctx.Err()
			}
			left = nil // it has begun: its end is near, and decides
		}
	}
}

func (w *writer) enter(m *member) error {
	if err := m.ctx.Err(); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return w.errClosed()
	}
	w.queue = append(w.queue, m)
	w.signal()
	return nil
}

// leave takes a member that hasn't begun out of the queue.
func (w *writer) leave(m *member) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	i := slices.Index(w.queue, m)
	if i < 0 {
		return false
	}
	w.queue = slices.Delete(w.queue, i, i+1)
	return true
}

func (w *writer) signal() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

func (w *writer) errClosed() error {
	return fmt.Errorf("sqlite: %s: %w: the store is closed", w.path, store.ErrUnavailable)
}

// close lets the group that runs finish, refuses the others, and ends the goroutine.
func (w *writer) close() {
	w.mu.Lock()
	w.closed = true
	w.signal()
	w.mu.Unlock()
	w.stop()
	<-w.stopped
}

func (w *writer) run() {
	defer close(w.stopped)
	defer w.disconnect()
	for w.await() {
		for _, m := range w.commit(w.next) {
			w.commit(only(m))
		}
	}
	refuse(w.empty(), w.errClosed())
}

// await returns when somebody waits; false when the writer is closed.
func (w *writer) await() bool {
	for {
		w.mu.Lock()
		waiting, closed := len(w.queue) > 0, w.closed
		w.mu.Unlock()
		if closed || waiting {
			return !closed
		}
		<-w.wake
	}
}

// next gives the member that has waited longest; nil if nobody waits.
func (w *writer) next() *member {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.queue) == 0 {
		return nil
	}
	m := w.queue[0]
	w.queue[0] = nil
	w.queue = w.queue[1:]
	return m
}

// only gives m, once.
func only(m *member) func() *member {
	return func() *member {
		this := m
		m = nil
		return this
	}
}

// empty gives everybody who waits now, and forgets them.
func (w *writer) empty() []*member {
	w.mu.Lock()
	defer w.mu.Unlock()
	waiting := w.queue
	w.queue = nil
	return waiting
}

// refuse answers members that were taken from the queue before. Who has his answer may
// come again at once, and mustn't be refused for what befell his last attempt.
func refuse(members []*member, err error) {
	for _, m := range members {
		m.answer <- err
	}
}

// commit runs one group, of the members that next gives, and answers them. If the
// group is lost it gives those that deserve another attempt alone; there are none if
// it had one member only.
func (w *writer) commit(next func() *member) (again []*member) {
	if err := w.begin(); err != nil {
		m := next() // not among those who wait when the group is run again
		waited := w.empty()
		if m != nil {
			waited = append(waited, m)
		}
		refuse(waited, err)
		return nil
	}
	defer w.release()
	g := w.gather(next)
	if g.lost == nil {
		g.lost = w.link.do("COMMIT")
	}
	if g.lost == nil {
		g.answer()
		return nil
	}
	w.disconnect() // which rolls back whatever is left
	return w.dissolve(g)
}

// group is what the members of one commit came to.
type group struct {
	members []*member
	results []error
	gone    []bool // panicked: nobody waits for an answer
	culprit int    // whose error lost the transaction; -1 if nobody's
	lost    error
}

func (g *group) answer() {
	for i, m := range g.members {
		m.answer <- g.results[i]
	}
}

// gather lends the connection to one member after the other.
func (w *writer) gather(next func() *member) *group {
	g := &group{culprit: -1}
	window, cancel := context.WithTimeout(context.Background(), w.window)
	defer cancel()
	// The first member has his turn even if the window is over by now: who is run again
	// alone is in no queue, and nobody else would answer him.
	for len(g.members) == 0 || (len(g.members) < groupMembers && window.Err() == nil) {
		m := next()
		if m == nil {
			break
		}
		if err := m.ctx.Err(); err != nil {
			m.answer <- err
			continue
		}
		result, gone, lost := w.lend(m)
		g.members = append(g.members, m)
		g.results = append(g.results, result)
		g.gone = append(g.gone, gone)
		if lost != nil {
			if result != nil {
				g.culprit = len(g.members) - 1
			}
			g.lost = lost
			break
		}
	}
	return g
}

// dissolve answers the culprit of a lost group and gives the others. What they were
// told inside of the group, success or conflict, may have been read from each other's
// lost writes, so that nobody's result counts.
func (w *writer) dissolve(g *group) (again []*member) {
	w.log.Warn("sqlite: a group of transactions was lost and is run again one by one",
		"path", w.path, "members", len(g.members), "error", g.lost)
	for i, m := range g.members {
		switch {
		case i == g.culprit || g.gone[i]:
			m.answer <- g.results[i]
		case len(g.members) == 1:
			m.answer <- fmt.Errorf("%w: %w", store.ErrUnavailable, explain(w.path, g.lost))
		default:
			again = append(again, m)
		}
	}
	return again
}

// lend runs one member in a savepoint. It gives the member's result, whether its
// caller is gone, and the error by which the whole transaction was lost, if it was.
func (w *writer) lend(m *member) (result error, gone bool, lost error) {
	if err := w.link.do("SAVEPOINT member"); err != nil {
		return nil, false, err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(m.ctx), w.budget)
	defer cancel()
	l := &loan{ctx: ctx, conn: w.link.conn, back: make(chan struct{})}
	m.turn <- l
	select {
	case <-l.back:
	case <-ctx.Done():
		l.end(nil)
	}
	result, gone = l.result()
	if ctx.Err() != nil && errors.Is(result, context.DeadlineExceeded) {
		result = fmt.Errorf("sqlite: %s: %w: the transaction took more than its budget of %s: %w",
			w.path, store.ErrUnavailable, w.budget, result)
	}
	if result != nil {
		if err := w.link.do("ROLLBACK TO member"); err != nil {
			return result, gone, err
		}
	}
	return result, gone, w.link.do("RELEASE member")
}

// loan is the connection in the hands of one member.
type loan struct {
	ctx  context.Context
	back chan struct{} // closed when the member is done

	mu     sync.Mutex // held while a statement runs
	conn   sqlstore.Conn
	ended  bool
	failed error // the first error, after which the connection is of no use
	gone   bool
}

var errEnded = errors.New("sqlite: the transaction has ended")

// use runs the member's function, in the caller's goroutine.
func (l *loan) use(fn func(ctx context.Context, c sqlstore.Conn) error) {
	returned := false
	defer func() {
		if !returned { // a panic, or runtime.Goexit: it goes on its way when we are done
			l.mu.Lock()
			l.gone = true
			l.mu.Unlock()
			l.end(errors.New("sqlite: the function panicked"))
		}
		close(l.back)
	}()
	err := fn(l.ctx, l)
	returned = true
	l.end(err)
}

// end takes the connection back, as soon as no statement runs.
func (l *loan) end(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended {
		return
	}
	l.ended = true
	if err == nil && l.failed == nil {
		err = l.ctx.Err() // nil unless the budget is over
	}
	if err != nil {
		l.failed = err
	}
}

func (l *loan) result() (err error, gone bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.failed, l.gone
}

// Exec implements sqlstore.Conn.
func (l *loan) Exec(_ context.Context, query string, args []any) (n int64, err error) {
	err = l.guard(func() error {
		n, err = l.conn.Exec(l.ctx, query, args)
		return err
	})
	return n, err
}

// Query implements sqlstore.Conn.
func (l *loan) Query(_ context.Context, query string, args []any, each func(*sql.Rows) error) error {
	return l.guard(func() error { return l.conn.Query(l.ctx, query, args, each) })
}

// guard runs a statement if the loan is still good. After an error it is not: SQLite
// may have rolled back everything, and would commit the next statement by itself.
func (l *loan) guard(do func() error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.failed != nil:
		return l.failed
	case l.ended:
		return errEnded
	}
	l.failed = do()
	return l.failed
}

// begin takes the locks and starts a transaction.
func (w *writer) begin() error {
	if err := w.lock.acquire(w.stopping); err != nil {
		return w.explainLock(err)
	}
	err := w.connect()
	if err == nil {
		err = w.beginImmediate()
	}
	if err != nil {
		w.disconnect()
		w.release()
		return fmt.Errorf("%w: %w", store.ErrUnavailable, explain(w.path, err))
	}
	return nil
}

func (w *writer) explainLock(err error) error {
	if w.stopping.Err() != nil {
		return w.errClosed()
	}
	if errors.Is(err, errLockHeld) {
		return fmt.Errorf("sqlite: %s: %w: waited %s for another process to finish its write; "+
			"is one stopped? %w", w.path, store.ErrUnavailable, w.wait, err)
	}
	return fmt.Errorf("sqlite: %s: %w: %w", w.path, store.ErrUnavailable, err)
}

// beginImmediate waits for SQLite's own lock, which a host's transaction may hold.
func (w *writer) beginImmediate() error {
	waiting, cancel := context.WithTimeout(w.stopping, w.wait)
	defer cancel()
	return untilFree(waiting, func() error { return w.link.do("BEGIN IMMEDIATE") })
}

func (w *writer) release() {
	if err := w.lock.release(); err != nil {
		w.log.Error("sqlite: the lock file couldn't be released", "path", w.path, "error", err)
	}
}

// link is the writer's connection with its prepared statements.
type link struct {
	raw      *sql.Conn
	kept     *sqlstore.Statements
	conn     sqlstore.Conn
	commands map[string]*sql.Stmt
}

// do runs one of the writer's own statements. It has no context: nothing interrupts it.
func (l *link) do(command string) error {
	stmt, ok := l.commands[command]
	if !ok {
		var err error
		if stmt, err = l.raw.PrepareContext(context.Background(), command); err != nil {
			return err
		}
		l.commands[command] = stmt
	}
	_, err := stmt.ExecContext(context.Background())
	return err
}

func (w *writer) connect() error {
	if w.link != nil {
		return nil
	}
	raw, err := w.db.Conn(w.stopping)
	if err != nil {
		return err
	}
	kept := sqlstore.NewStatements(raw.PrepareContext)
	w.link = &link{raw: raw, kept: kept, conn: sqlstore.Prepared(raw, kept), commands: map[string]*sql.Stmt{}}
	return nil
}

// disconnect closes the connection for good, which rolls back what it has open.
func (w *writer) disconnect() {
	if w.link == nil {
		return
	}
	errs := []error{w.link.kept.Close()}
	for _, stmt := range w.link.commands {
		errs = append(errs, stmt.Close())
	}
	err := w.link.raw.Raw(func(any) error { return driver.ErrBadConn }) // not back into the pool
	if !errors.Is(err, driver.ErrBadConn) {
		errs = append(errs, err)
	}
	if err := w.link.raw.Close(); !errors.Is(err, sql.ErrConnDone) {
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		w.log.Debug("sqlite: closing the writer's connection", "path", w.path, "error", err)
	}
	w.link = nil
}
