// Package sqlstore implements store.Store once, by hand-written SQL over database/sql,
// for every database that a [Dialect] describes.
//
// The SQL is written for the poorest of PostgreSQL 13, MySQL 8, MariaDB 10.6 and
// SQLite: no upsert, no RETURNING, no locking clause, no partial index, no function
// that isn't everywhere. Uniqueness that holds for some rows only (the email of users
// who aren't SSO users, the one current signing key) is a nullable key column.
//
// In a statement, {users} is the table users of the store's namespace, @created_at
// selects a time, and ? is an argument; see [Dialect].
//
// Hosts use store/sqlite, store/postgres or store/mysql; this package is for whoever
// writes another.
package sqlstore

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/truekeel/auth/store"
)

// Config is what a Store is made of.
type Config struct {
	// Dialect describes the database.
	Dialect Dialect
	// Namespace is the schema or prefix of the tables, see Dialect.Table.
	Namespace string
	// Logger gets what an operator should know; nil means silence.
	Logger *slog.Logger
	// Budget is how long a transaction may hold its connection once it has begun; zero
	// means 30 s. It is there because a transaction outlives its caller's context.
	Budget time.Duration
	// Writer runs transactions; nil begins them on the pool. With a Writer even a
	// single write goes through it.
	Writer Writer
	// Migrate is the pool that migrations run on; nil means the Store's own.
	Migrate *sql.DB
	// Close is called by Store.Close after the pool's statements are closed; nil leaves
	// the pool open, because the host opened it.
	Close func() error
}

// Writer runs transactions on a database that needs more than BEGIN and COMMIT.
type Writer interface {
	// Write runs fn in a transaction, commits it if fn returns nil, rolls it back and
	// returns the error else. fn's Conn is valid until fn returns. ctx is honoured
	// until fn begins; the context that fn is given isn't cancelled with it. fn may be
	// run again if the database lost the transaction through no fault of fn. A panic of
	// fn rolls back and arrives in the caller's goroutine.
	Write(ctx context.Context, fn func(ctx context.Context, c Conn) error) error
}

// Store is a store.Store on a SQL database. It is safe for concurrent use.
type Store struct {
	db *database
	// scope is where statements go; nil is the pool.
	scope *scope
}

var (
	_ store.Store    = (*Store)(nil)
	_ store.Migrator = (*Store)(nil)
	_ store.Joiner   = (*Store)(nil)

	_ store.Functions = (*Store)(nil)
)

// database is what all Stores of one database share.
type database struct {
	dialect   Dialect
	namespace string
	log       *slog.Logger
	pool      *sql.DB
	migrate   *sql.DB
	reader    Conn // the pool, its statements prepared if that pays
	kept      *Statements
	writer    Writer
	routed    bool // even single writes go through writer
	budget    time.Duration
	texts     sync.Map // statement as written -> as the database wants it
	closed    atomic.Bool
	close     func() error
	instance  atomic.Pointer[string]
}

// New makes a Store on a pool. It talks to the database only when asked to.
func New(pool *sql.DB, c Config) (*Store, error) {
	if err := CheckNamespace(c.Namespace); err != nil {
		return nil, err
	}
	db := &database{
		dialect: c.Dialect.withDefaults(), namespace: c.Namespace, log: c.Logger,
		pool: pool, migrate: c.Migrate, writer: c.Writer, routed: c.Writer != nil,
		budget: c.Budget, close: c.Close, reader: Direct(pool),
	}
	if db.log == nil {
		db.log = slog.New(slog.DiscardHandler)
	}
	if db.migrate == nil {
		db.migrate = pool
	}
	if db.budget <= 0 {
		db.budget = 30 * time.Second
	}
	if db.dialect.Prepare {
		db.kept = NewStatements(pool.PrepareContext)
		db.reader = Prepared(pool, db.kept)
	}
	if db.writer == nil {
		db.writer = poolWriter{db}
	}
	return &Store{db: db}, nil
}

// Ping reads the settings table, so that it fails without the schema.
func (s *Store) Ping(ctx context.Context) error {
	_, err := s.Setting(ctx, instanceSetting)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	return err
}

// Close ends the store. Calls that come later fail with store.ErrUnavailable. Close on
// a Store of a transaction does nothing: the transaction belongs to somebody else.
func (s *Store) Close() error {
	if s.scope != nil || s.db.closed.Swap(true) {
		return nil
	}
	var errs []error
	if s.db.kept != nil {
		errs = append(errs, s.db.kept.Close())
	}
	if s.db.close != nil {
		errs = append(errs, s.db.close())
	}
	return errors.Join(errs...)
}

// Statements gives the SQL of every statement that this store has run so far, in the
// database's own spelling and in order of the alphabet: for EXPLAIN, and to count them.
func (s *Store) Statements() []string {
	var all []string
	s.db.texts.Range(func(_, text any) bool {
		all = append(all, text.(string))
		return true
	})
	slices.Sort(all)
	return all
}

// text gives a statement as the database wants it.
func (db *database) text(query string) string {
	if t, ok := db.texts.Load(query); ok {
		return t.(string)
	}
	t := db.dialect.rewrite(db.namespace, query)
	db.texts.Store(query, t)
	return t
}

// fail makes of a database's error one of the store's. op says what was tried. The text
// of a conflict is left out: it may hold the value that is taken.
func (db *database) fail(op string, err error) error {
	d := &db.dialect
	switch {
	case err == nil:
		return nil
	case isStoreError(err):
		return err
	case d.IsDuplicate(err):
		return fmt.Errorf("sqlstore: %s: %w", op, store.ErrConflict)
	case d.IsMissingParent(err):
		return fmt.Errorf("sqlstore: %s: what it belongs to is gone: %w", op, store.ErrNotFound)
	case db.closed.Load():
		return fmt.Errorf("sqlstore: %s: %w: the store is closed", op, store.ErrUnavailable)
	case d.IsUnavailable(err), d.IsRetryable(err), db.isLost(err):
		return fmt.Errorf("sqlstore: %s: %w: %w", op, store.ErrUnavailable, d.Explain(err))
	}
	return fmt.Errorf("sqlstore: %s: %w", op, d.Explain(err))
}

func (db *database) isLost(err error) bool {
	return errors.Is(err, driver.ErrBadConn) || errors.Is(err, sql.ErrConnDone) || db.dialect.IsLost(err)
}

func isStoreError(err error) bool {
	for _, known := range []error{
		store.ErrNotFound, store.ErrConflict, store.ErrStale, store.ErrUnavailable,
	} {
		if errors.Is(err, known) {
			return true
		}
	}
	return false
}
