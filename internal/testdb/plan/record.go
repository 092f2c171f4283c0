// Package plan shows a test which statements a store runs for the calls that happen all
// the time, so that it can ask the database how it executes them. Only tests import it.
package plan

import (
	"context"
	"database/sql/driver"
	"sync"
)

// Statement is a statement as the driver got it.
type Statement struct {
	Text string
	Args []any
}

// Recorder is a driver.Connector that keeps the statements of its connections.
type Recorder struct {
	driver.Connector
	mu   sync.Mutex
	kept []Statement
}

// Record makes a Recorder over c.
func Record(c driver.Connector) *Recorder { return &Recorder{Connector: c} }

// Take gives what was recorded since the last call, statements with arguments only.
func (r *Recorder) Take() []Statement {
	r.mu.Lock()
	defer r.mu.Unlock()
	kept := r.kept
	r.kept = nil
	return kept
}

func (r *Recorder) keep(text string, args []driver.NamedValue) {
	if len(args) == 0 {
		return
	}
	s := Statement{Text: text}
	for _, a := range args {
		s.Args = append(s.Args, a.Value)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.kept = append(r.kept, s)
}

// Connect implements driver.Connector.
func (r *Recorder) Connect(ctx context.Context) (driver.Conn, error) {
	c, err := r.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return &conn{c, r}, nil
}

// conn passes everything on. The drivers of this library implement all of it.
type conn struct {
	driver.Conn
	r *Recorder
}

func (c *conn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	c.r.keep(query, args)
	return c.Conn.(driver.ExecerContext).ExecContext(ctx, query, args)
}

func (c *conn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	c.r.keep(query, args)
	return c.Conn.(driver.QueryerContext).QueryContext(ctx, query, args)
}

func (c *conn) BeginTx(ctx context.Context, o driver.TxOptions) (driver.Tx, error) {
	return c.Conn.(driver.ConnBeginTx).BeginTx(ctx, o)
}

func (c *conn) CheckNamedValue(v *driver.NamedValue) error {
	if checker, ok := c.Conn.(driver.NamedValueChecker); ok {
		return checker.CheckNamedValue(v)
	}
	return driver.ErrSkip
}

func (c *conn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	s, err := c.Conn.(driver.ConnPrepareContext).PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	return &stmt{s, c, query}, nil
}

type stmt struct {
	driver.Stmt
	c    *conn
	text string
}

func (s *stmt) ExecContext(ctx context.Context, args []driver.NamedValue) (driver.Result, error) {
	s.c.r.keep(s.text, args)
	return s.Stmt.(driver.StmtExecContext).ExecContext(ctx, args)
}

func (s *stmt) QueryContext(ctx context.Context, args []driver.NamedValue) (driver.Rows, error) {
	s.c.r.keep(s.text, args)
	return s.Stmt.(driver.StmtQueryContext).QueryContext(ctx, args)
}

func (s *stmt) CheckNamedValue(v *driver.NamedValue) error {
	if checker, ok := s.Stmt.(driver.NamedValueChecker); ok {
		return checker.CheckNamedValue(v)
	}
	return s.c.CheckNamedValue(v)
}
