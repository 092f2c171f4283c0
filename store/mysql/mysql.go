// Package mysql keeps the library's data in MySQL 8, MariaDB 10.6 or later, or in a
// database that speaks like them (TiDB, Vitess), beside whatever else the host has there.
//
//	st, err := mysql.Open("app:password@tcp(db.example.com:3306)/app")
//
// or over a pool that the host opened with github.com/go-sql-driver/mysql, with or
// without parseTime, whatever its loc is:
//
//	st, err := mysql.New(db)
//
// The names of the tables begin with auth_. Texts compare by bytes and times are UTC
// with microseconds, whatever the server's defaults are. There are no foreign keys,
// which Vitess lacks. The server must be in strict mode, as it is by default.
//
// Each change is tested on MariaDB. Nothing is used that the others lack by their
// documentation; run package storetest against yours.
package mysql

import (
	"context"
	"database/sql"
	sqldriver "database/sql/driver"
	"errors"
	"fmt"
	"log/slog"
	"time"

	driver "github.com/go-sql-driver/mysql"

	"github.com/truekeel/auth/store/sqlstore"
)

// Option changes what [New] and [Open] do by default.
type Option func(*config) error

type config struct {
	prefix   string
	log      *slog.Logger
	budget   time.Duration
	maxConns int
	prepare  bool
}

// WithPrefix sets what the names of the tables begin with; the default is "auth_".
func WithPrefix(prefix string) Option {
	return func(c *config) error {
		if err := sqlstore.CheckNamespace(prefix); err != nil {
			return err
		}
		c.prefix = prefix
		return nil
	}
}

// WithLogger sets what an operator's messages are logged with; the default is silence.
func WithLogger(log *slog.Logger) Option {
	return func(c *config) error {
		if log == nil {
			return errors.New("mysql: WithLogger: no logger was given")
		}
		c.log = log
		return nil
	}
}

// WithBudget sets how long a transaction may take once it has begun; the default is 30
// seconds. A transaction doesn't end with the context of its caller, hence the bound.
func WithBudget(d time.Duration) Option {
	return func(c *config) error {
		if d <= 0 {
			return fmt.Errorf("mysql: WithBudget: %s is no time that a transaction could take", d)
		}
		c.budget = d
		return nil
	}
}

// WithMaxConns sets how many connections [Open] opens at most; the default is 20. It
// must be 2 or more, as a migration holds one and its lock uses another. [New] leaves
// the host's pool as it is.
func WithMaxConns(n int) Option {
	return func(c *config) error {
		if n < 2 {
			return errors.New("mysql: WithMaxConns: 2 is the least, a migration takes two connections")
		}
		c.maxConns = n
		return nil
	}
}

// New makes a store on a pool that the host opened and closes. It doesn't connect.
// Migrating takes two connections at once. The store keeps prepared statements of the
// pool, some 60 a connection.
func New(db *sql.DB, opts ...Option) (*sqlstore.Store, error) {
	if db == nil {
		return nil, errors.New("mysql: New: no database was given")
	}
	c, err := configure(opts)
	if err != nil {
		return nil, err
	}
	c.prepare = true
	return c.store(db, nil)
}

// Open makes a store on a pool of its own, which its Close closes. dsn is what
// github.com/go-sql-driver/mysql reads, and names the database. Open doesn't connect: a
// wrong address or password shows at the first use.
//
// Connections are kept for later use, for 5 minutes at most when idle, and replaced
// after an hour. Statements are prepared, some 60 a connection, unless the DSN has
// interpolateParams=true: that is a little slower, and right behind a proxy that doesn't
// know prepared statements, or where max_prepared_stmt_count is reached.
func Open(dsn string, opts ...Option) (*sqlstore.Store, error) {
	c, err := configure(opts)
	if err != nil {
		return nil, err
	}
	settings, err := driver.ParseDSN(dsn)
	if err != nil {
		// The driver's text isn't repeated: it may hold parts of the password.
		return nil, errors.New("mysql: Open: the DSN isn't understood, it should look like " +
			"user:password@tcp(host:3306)/database")
	}
	if settings.DBName == "" {
		return nil, errors.New("mysql: Open: the DSN names no database, it should look like " +
			"user:password@tcp(host:3306)/database")
	}
	c.prepare = !settings.InterpolateParams
	settings.Logger = &driver.NopLogger{} // errors come back to the caller; the driver would print them too
	if settings.Timeout == 0 {
		settings.Timeout = 10 * time.Second
	}
	connector, err := driver.NewConnector(settings)
	if err != nil {
		return nil, fmt.Errorf("mysql: Open: a setting of the DSN doesn't hold: %w", err)
	}
	db := sql.OpenDB(patience{connector, settings.Timeout})
	db.SetMaxOpenConns(c.maxConns)
	db.SetMaxIdleConns(c.maxConns)
	db.SetConnMaxIdleTime(5 * time.Minute)
	db.SetConnMaxLifetime(time.Hour)
	st, err := c.store(db, db.Close)
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return st, nil
}

// patience bounds the whole making of a connection, of which the driver's timeout is for
// the first step alone.
type patience struct {
	sqldriver.Connector
	limit time.Duration
}

// errNoAnswer marks a connection that took too long to make.
var errNoAnswer = errors.New("no answer in time")

// Connect implements driver.Connector.
func (p patience) Connect(ctx context.Context) (sqldriver.Conn, error) {
	bounded, cancel := context.WithTimeout(ctx, p.limit)
	defer cancel()
	c, err := p.Connector.Connect(bounded)
	if err != nil && bounded.Err() != nil && ctx.Err() == nil {
		return nil, fmt.Errorf("%w (%s): %w", errNoAnswer, p.limit, err)
	}
	return c, err
}

func configure(opts []Option) (*config, error) {
	c := &config{prefix: "auth_", log: slog.New(slog.DiscardHandler), maxConns: 20}
	for _, opt := range opts {
		if err := opt(c); err != nil {
			return nil, err
		}
	}
	return c, nil
}

func (c *config) store(db *sql.DB, closeDB func() error) (*sqlstore.Store, error) {
	d, err := dialect(c)
	if err != nil {
		return nil, err
	}
	return sqlstore.New(db, sqlstore.Config{
		Dialect: d, Namespace: c.prefix, Logger: c.log, Budget: c.budget, Close: closeDB,
	})
}
