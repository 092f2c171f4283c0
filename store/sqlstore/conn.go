package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"sync"
)

// Conn is what statements are run on, within a transaction or not. A statement's rows
// are consumed before Query returns, so that a Conn is never left busy.
type Conn interface {
	// Exec runs a statement and says how many rows it changed.
	Exec(ctx context.Context, query string, args []any) (int64, error)
	// Query runs a query and calls each for every row, until it returns an error.
	Query(ctx context.Context, query string, args []any, each func(*sql.Rows) error) error
}

// Queryer is the part of *sql.DB, *sql.Conn and *sql.Tx that a Conn is made from.
type Queryer interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// Statements keeps prepared statements of one *sql.DB or *sql.Conn. It is bounded: once
// full it prepares no more. It is safe for concurrent use.
type Statements struct {
	prepare func(ctx context.Context, query string) (*sql.Stmt, error)
	mu      sync.RWMutex
	kept    map[string]*sql.Stmt
	closed  bool
}

// maxStatements is more than this package has statements with arguments.
const maxStatements = 256

// NewStatements keeps what prepare makes: the PrepareContext of a database or a
// connection.
func NewStatements(prepare func(ctx context.Context, query string) (*sql.Stmt, error)) *Statements {
	return &Statements{prepare: prepare, kept: make(map[string]*sql.Stmt)}
}

// Close closes what is kept.
func (s *Statements) Close() error {
	s.mu.Lock()
	kept := s.kept
	s.kept, s.closed = nil, true
	s.mu.Unlock()
	var errs []error
	for _, stmt := range kept {
		errs = append(errs, stmt.Close())
	}
	return errors.Join(errs...)
}

// lookUp gives the statement if it is kept; done is false if it should be prepared.
func (s *Statements) lookUp(query string) (stmt *sql.Stmt, done bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	stmt, ok := s.kept[query]
	return stmt, ok || s.closed || len(s.kept) >= maxStatements
}

// get gives the prepared statement, nil if there is no room for it.
func (s *Statements) get(ctx context.Context, query string) (*sql.Stmt, error) {
	if stmt, done := s.lookUp(query); done {
		return stmt, nil
	}
	stmt, err := s.prepare(ctx, query)
	if err != nil {
		return nil, err
	}
	other, kept := s.keep(query, stmt)
	if kept {
		return stmt, nil
	}
	// Not under the lock: Close waits for the connection that the statement was prepared
	// on, which may wait for a row of a transaction that waits for the lock.
	return other, stmt.Close()
}

// keep keeps a statement unless there is another by now, or none is kept any more.
func (s *Statements) keep(query string, stmt *sql.Stmt) (other *sql.Stmt, kept bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if other, ok := s.kept[query]; ok || s.closed {
		return other, false
	}
	s.kept[query] = stmt
	return nil, true
}

// Direct makes a Conn that hands statements to q as they are.
func Direct(q Queryer) Conn { return direct{q} }

type direct struct{ q Queryer }

func (c direct) Exec(ctx context.Context, query string, args []any) (int64, error) {
	return affected(c.q.ExecContext(ctx, query, args...))
}

func (c direct) Query(ctx context.Context, query string, args []any, each func(*sql.Rows) error) error {
	rows, err := c.q.QueryContext(ctx, query, args...)
	return consume(rows, err, each)
}

// Prepared makes a Conn over q, whose statements kept has prepared. Statements without
// arguments aren't prepared: they are rare, and MySQL can't prepare all of them
// (SAVEPOINT).
func Prepared(q Queryer, kept *Statements) Conn { return prepared{direct{q}, kept} }

type prepared struct {
	direct
	kept *Statements
}

func (c prepared) Exec(ctx context.Context, query string, args []any) (int64, error) {
	stmt, err := c.stmt(ctx, query, args)
	if err != nil {
		return 0, err
	}
	if stmt == nil {
		return c.direct.Exec(ctx, query, args)
	}
	return affected(stmt.ExecContext(ctx, args...))
}

func (c prepared) Query(ctx context.Context, query string, args []any, each func(*sql.Rows) error) error {
	stmt, err := c.stmt(ctx, query, args)
	if err != nil {
		return err
	}
	if stmt == nil {
		return c.direct.Query(ctx, query, args, each)
	}
	rows, err := stmt.QueryContext(ctx, args...)
	return consume(rows, err, each)
}

func (c prepared) stmt(ctx context.Context, query string, args []any) (*sql.Stmt, error) {
	if len(args) == 0 {
		return nil, nil
	}
	return c.kept.get(ctx, query)
}

// inTx is a Conn over a transaction of a pool whose statements kept has prepared. It
// never prepares one itself: that would take a second connection while the first is
// held, and dead-lock an exhausted pool. It notes what was missing instead.
type inTx struct {
	direct
	tx     *sql.Tx
	kept   *Statements
	missed []string
}

func (c *inTx) Exec(ctx context.Context, query string, args []any) (int64, error) {
	if stmt := c.stmt(ctx, query, args); stmt != nil {
		return affected(stmt.ExecContext(ctx, args...))
	}
	return c.direct.Exec(ctx, query, args)
}

func (c *inTx) Query(ctx context.Context, query string, args []any, each func(*sql.Rows) error) error {
	if stmt := c.stmt(ctx, query, args); stmt != nil {
		rows, err := stmt.QueryContext(ctx, args...)
		return consume(rows, err, each)
	}
	return c.direct.Query(ctx, query, args, each)
}

func (c *inTx) stmt(ctx context.Context, query string, args []any) *sql.Stmt {
	if len(args) == 0 {
		return nil
	}
	stmt, done := c.kept.lookUp(query)
	if stmt != nil {
		return c.tx.StmtContext(ctx, stmt)
	}
	if !done {
		c.missed = append(c.missed, query)
	}
	return nil
}

// warm prepares what was missing, once the transaction has given its connection back.
func (c *inTx) warm(ctx context.Context) error {
	for _, query := range c.missed {
		if _, err := c.kept.get(ctx, query); err != nil {
			return err
		}
	}
	return nil
}

func affected(r sql.Result, err error) (int64, error) {
	if err != nil {
		return 0, err
	}
	return r.RowsAffected()
}

func consume(rows *sql.Rows, err error, each func(*sql.Rows) error) error {
	if err != nil {
		return err
	}
	for rows.Next() {
		if err := each(rows); err != nil {
			return errors.Join(err, rows.Close())
		}
	}
	return errors.Join(rows.Err(), rows.Close())
}
