package sqlstore

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// slowDriver is a database with one connection, whose executions last until they are
// released.
type slowDriver struct{ begun, release chan struct{} }

func (d slowDriver) Connect(context.Context) (driver.Conn, error) { return d, nil }
func (d slowDriver) Driver() driver.Driver                        { return nil }
func (d slowDriver) Prepare(string) (driver.Stmt, error)          { return slowStmt(d), nil }
func (slowDriver) Close() error                                   { return nil }
func (slowDriver) Begin() (driver.Tx, error)                      { return nil, driver.ErrSkip }

type slowStmt slowDriver

func (slowStmt) Close() error                              { return nil }
func (slowStmt) NumInput() int                             { return -1 }
func (slowStmt) Query([]driver.Value) (driver.Rows, error) { return nil, driver.ErrSkip }

func (s slowStmt) Exec([]driver.Value) (driver.Result, error) {
	close(s.begun)
	<-s.release
	return driver.ResultNoRows, nil
}

// Closing a statement waits for the connection on which it was prepared: nobody who looks
// for another waits with it. That connection may itself wait for a row of a transaction
// that looks for one.
func TestClosingAStatementHoldsNobodyUp(t *testing.T) {
	for _, twice := range []bool{true, false} {
		d := slowDriver{begun: make(chan struct{}), release: make(chan struct{})}
		db := sql.OpenDB(d)
		db.SetMaxOpenConns(1)
		warm := func(s *Statements) error { // as after a transaction that missed it
			return (&inTx{kept: s, missed: []string{"statement"}}).warm(t.Context())
		}
		executed := make(chan struct{})
		occupy := func() {
			go func() {
				defer close(executed)
				_, err := db.ExecContext(t.Context(), "slow")
				assert.NoError(t, err)
			}()
			<-d.begun
		}
		prepared := func(*Statements) {}
		var s *Statements
		s = NewStatements(func(ctx context.Context, query string) (*sql.Stmt, error) {
			stmt, err := db.PrepareContext(ctx, query)
			if then := prepared; err == nil {
				prepared = func(*Statements) {}
				then(s)
			}
			return stmt, err
		})
		closed := make(chan error, 1)
		if twice { // another is faster, and then the connection is busy
			prepared = func(s *Statements) {
				assert.NoError(t, warm(s))
				occupy()
			}
			go func() { closed <- warm(s) }()
		} else {
			require.NoError(t, warm(s))
			occupy()
			go func() { closed <- s.Close() }()
		}
		<-d.begun
		looked := make(chan struct{})
		go func() {
			defer close(looked)
			for range 50 {
				time.Sleep(2 * time.Millisecond)
				s.lookUp("statement")
			}
		}()
		select {
		case <-looked:
		case <-time.After(10 * time.Second):
			t.Errorf("twice %v: nobody can look for a statement", twice)
		}
		close(d.release)
		require.NoError(t, <-closed)
		<-executed
		<-looked
		require.NoError(t, db.Close())
	}
}
