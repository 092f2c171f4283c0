// Package postgres keeps the library's data in PostgreSQL 13 or later, or in a database
// that speaks like it (CockroachDB, YugabyteDB), beside whatever else the host has there.
//
//	st, err := postgres.Open("postgres://app@db.example.com/app")
//
// or over a pool that the host opened, with pgx's database/sql driver or lib/pq:
//
//	st, err := postgres.New(db)
//
// The tables live in a schema of their own, named auth. [store.Migrator.Migrate] creates
// it if the role may, and says what to run if not. Their columns have natural types
// (uuid, timestamptz, jsonb), so that the host can join them with its own.
//
// Nothing depends on the state of a session, so that a pooler in transaction mode
// (PgBouncer) may stand in between; see [WithTransactionPooler].
//
// Each change is tested on PostgreSQL. Nothing is used that the others lack by their
// documentation; run package storetest against yours.
package postgres

import (
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/truekeel/auth/store/sqlstore"
)

// Option changes what [New] and [Open] do by default.
type Option func(*config) error

type config struct {
	schema   string
	log      *slog.Logger
	budget   time.Duration
	maxConns int
	pooler   bool
}

// WithSchema names the schema of the tables; the default is "auth". The name must be a
// plain identifier in lower case.
func WithSchema(name string) Option {
	return func(c *config) error {
		if err := checkSchema(name); err != nil {
			return err
		}
		c.schema = name
		return nil
	}
}

// WithLogger sets what an operator's messages are logged with; the default is silence.
func WithLogger(log *slog.Logger) Option {
	return func(c *config) error {
		c.log = log
		return nil
	}
}

// WithBudget sets how long a transaction may take once it has begun; the default is 30
// seconds. A transaction doesn't end with the context of its caller, hence the bound.
func WithBudget(d time.Duration) Option {
	return func(c *config) error {
		if d <= 0 {
			return fmt.Errorf("postgres: WithBudget: %s is no time that a transaction could take", d)
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
			return errors.New("postgres: WithMaxConns: 2 is the least, a migration takes two connections")
		}
		c.maxConns = n
		return nil
	}
}

// WithTransactionPooler makes [Open] do without prepared statements, which a pooler in
// transaction mode doesn't carry from one connection to the next. PgBouncer needs it
// unless it is version 1.21 or later with max_prepared_statements set. A DSN with
// default_query_exec_mode=exec has the same effect. [New] leaves that to the host: pgx
// takes the parameter in its DSN, lib/pq takes binary_parameters=yes (and PgBouncer
// ignore_startup_parameters = extra_float_digits).
func WithTransactionPooler() Option {
	return func(c *config) error {
		c.pooler = true
		return nil
	}
}

// New makes a store on a pool that the host opened and closes. It doesn't connect.
// Migrating takes two connections at once.
func New(db *sql.DB, opts ...Option) (*sqlstore.Store, error) {
	if db == nil {
		return nil, errors.New("postgres: New: no database was given")
	}
	c, err := configure(opts)
	if err != nil {
		return nil, err
	}
	return c.store(db, nil)
}

// Open makes a store on a pool of its own, which its Close closes. dsn is a URL or a
// list of settings as libpq and pgx know them. Open doesn't connect: a wrong address or
// password shows at the first use.
//
// Connections are kept for later use, for 5 minutes at most when idle, and replaced
// after an hour, so that a changed address of the server is noticed.
func Open(dsn string, opts ...Option) (*sqlstore.Store, error) {
	c, err := configure(opts)
	if err != nil {
		return nil, err
	}
	settings, err := pgx.ParseConfig(dsn)
	if err != nil {
		return nil, fmt.Errorf("postgres: Open: the DSN isn't understood, it should look like "+
			"postgres://user:password@host:5432/database: %w", err) // pgx hides the password
	}
	if c.pooler {
		settings.DefaultQueryExecMode = pgx.QueryExecModeExec
	}
	if settings.ConnectTimeout == 0 {
		settings.ConnectTimeout = 10 * time.Second
	}
	if _, named := settings.RuntimeParams["application_name"]; !named && !c.pooler {
		settings.RuntimeParams["application_name"] = "truekeel-auth"
	}
	db := stdlib.OpenDB(*settings)
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

func configure(opts []Option) (*config, error) {
	c := &config{schema: "auth", log: slog.New(slog.DiscardHandler), maxConns: 20}
	for _, opt := range opts {
		if err := opt(c); err != nil {
			return nil, err
		}
	}
	if c.log == nil {
		return nil, errors.New("postgres: WithLogger: no logger was given")
	}
	return c, nil
}

func (c *config) store(db *sql.DB, closeDB func() error) (*sqlstore.Store, error) {
	d, err := dialect(c)
	if err != nil {
		return nil, err
	}
	return sqlstore.New(db, sqlstore.Config{
		Dialect: d, Namespace: c.schema, Logger: c.log, Budget: c.budget, Close: closeDB,
	})
}
