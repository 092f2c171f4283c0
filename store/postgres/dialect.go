package postgres

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"github.com/truekeel/auth/store/sqlstore"
)

//go:embed migrations/*.sql
var migrations embed.FS

// dialect describes PostgreSQL to sqlstore.
func dialect(c *config) (sqlstore.Dialect, error) {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return sqlstore.Dialect{}, err
	}
	return sqlstore.Dialect{
		Name:            "postgres",
		Bind:            sqlstore.Dollar,
		Table:           sqlstore.Qualified,
		IsDuplicate:     isDuplicate,
		IsMissingParent: isMissingParent,
		IsRetryable:     isRetryable,
		IsLost:          isLost,
		IsUnavailable:   isUnavailable,
		Explain:         func(err error) error { return explain(c.schema, err) },
		Function:        callFunction,
		Migrations:      files,
		Goose:           goose.DialectPostgres,
		GooseOptions:    c.lock,
		BeforeMigrate:   createSchema,
	}, nil
}

// The lock of a process that died in the middle of a migration is taken over after
// lockLease.
const (
	lockLease     = 10 * time.Second
	lockHeartbeat = 2 * time.Second
	lockInterval  = 500 * time.Millisecond
	lockTries     = 600 // five minutes
)

// lock keeps processes apart that migrate at the same time. It is a table and not an
// advisory lock, which poolers and CockroachDB don't have.
func (c *config) lock(schema string) ([]goose.ProviderOption, error) {
	locker, err := lock.NewPostgresTableLocker(
		lock.WithTableName(sqlstore.Qualified(schema, "schema_lock")),
		lock.WithTableLeaseDuration(lockLease),
		lock.WithTableHeartbeatInterval(lockHeartbeat),
		lock.WithTableLockTimeout(lockInterval, lockTries),
		lock.WithTableLogger(c.log),
		lock.WithTableRetryPolicy(func(err error) bool {
			// Without a code it is somebody else who holds the lock.
			return sqlState(err) == "" || isRetryable(err)
		}),
	)
	if err != nil {
		return nil, err
	}
	return []goose.ProviderOption{goose.WithLocker(locker)}, nil
}

// checkSchema refuses a name that would have to be quoted: goose doesn't.
func checkSchema(name string) error {
	if name == "" {
		return errors.New("postgres: WithSchema: the name is empty")
	}
	for _, r := range name {
		if r >= 'A' && r <= 'Z' {
			return fmt.Errorf("postgres: WithSchema: %q has capital letters, which PostgreSQL folds; write it in lower case", name)
		}
	}
	return sqlstore.CheckNamespace(name)
}

// createSchema makes the schema if it isn't there.
func createSchema(ctx context.Context, db *sql.DB, schema string) error {
	if db.Stats().MaxOpenConnections == 1 {
		return errors.New("postgres: migrating takes two connections at once, the pool has one: call SetMaxOpenConns with 2 or more")
	}
	var encoding string
	if err := db.QueryRowContext(ctx, `SHOW server_encoding`).Scan(&encoding); err != nil {
		return err
	}
	if encoding != "UTF8" {
		return fmt.Errorf("postgres: the database's encoding is %s, which can't hold every text; "+
			"use one that was created with ENCODING 'UTF8'", encoding)
	}
	found, err := hasSchema(ctx, db, schema)
	if err != nil || found {
		return err
	}
	_, err = db.ExecContext(ctx, "CREATE SCHEMA IF NOT EXISTS "+schema)
	if err == nil {
		return nil
	}
	// In spite of IF NOT EXISTS the statement fails if somebody else is just doing it.
	if found, again := hasSchema(ctx, db, schema); again == nil && found {
		return nil
	}
	if sqlState(err) == insufficientPrivilege {
		return fmt.Errorf("postgres: the role may not create the schema; as one that may, run "+
			"CREATE SCHEMA %s AUTHORIZATION %s: %w", schema, currentUser(ctx, db), err)
	}
	return err
}

func hasSchema(ctx context.Context, db *sql.DB, schema string) (found bool, err error) {
	err = db.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM pg_namespace WHERE nspname = $1)`, schema).Scan(&found)
	return found, err
}

// currentUser gives the role as a statement would name it, for messages.
func currentUser(ctx context.Context, db *sql.DB) string {
	var name string
	if err := db.QueryRowContext(ctx, `SELECT quote_ident(current_user)`).Scan(&name); err != nil {
		return "the_role"
	}
	return name
}
