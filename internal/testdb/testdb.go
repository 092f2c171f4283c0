// Package testdb opens throw-away databases for tests: a SQLite file always, PostgreSQL
// and MySQL or MariaDB where the environment names a server.
//
//	TRUEKEEL_TEST_POSTGRES=postgres://root@127.0.0.1:5432/test?sslmode=disable
//	TRUEKEEL_TEST_MYSQL=root@tcp(127.0.0.1:3306)/test
//
// Each test gets a schema or database of its own with a random name, which is dropped
// at its end; what else the servers hold is left alone. Only tests import this package.
package testdb

import (
	"context"
	"database/sql"
	"os"
	"strings"
	"testing"

	driver "github.com/go-sql-driver/mysql"
	"github.com/google/uuid"
	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"

	"github.com/truekeel/auth/store"
	"github.com/truekeel/auth/store/mysql"
	"github.com/truekeel/auth/store/postgres"
	"github.com/truekeel/auth/store/sqlite"
)

// The variables that name the servers. The role and the user must be allowed to create
// schemas and databases.
const (
	PostgresVar = "TRUEKEEL_TEST_POSTGRES"
	MySQLVar    = "TRUEKEEL_TEST_MYSQL"
)

// Each runs a test on every database, each time with an empty migrated store that is
// closed at its end. A server that isn't there is skipped by name.
func Each(t *testing.T, run func(t *testing.T, st store.Store)) {
	for _, c := range []struct {
		name string
		open func(t testing.TB) store.Store
	}{
		{"sqlite", SQLite}, {"postgres", Postgres}, {"mysql", MySQL},
	} {
		t.Run(c.name, func(t *testing.T) { run(t, c.open(t)) })
	}
}

// SQLite opens a migrated store on a temporary file.
func SQLite(t testing.TB) store.Store {
	t.Helper()
	st, err := sqlite.OpenTemp()
	if err != nil {
		t.Fatalf("testdb: %v", err)
	}
	t.Cleanup(func() { closeStore(t, st) })
	return st
}

// Postgres opens a migrated store in a schema of its own, or skips the test.
func Postgres(t testing.TB) store.Store {
	t.Helper()
	dsn := PostgresDSN(t)
	st, err := postgres.Open(dsn, postgres.WithSchema(PostgresSchema(t, dsn)))
	if err != nil {
		t.Fatalf("testdb: %v", err)
	}
	return migrated(t, st)
}

// MySQL opens a migrated store in a database of its own, or skips the test.
func MySQL(t testing.TB) store.Store {
	t.Helper()
	st, err := mysql.Open(MySQLDSN(t))
	if err != nil {
		t.Fatalf("testdb: %v", err)
	}
	return migrated(t, st)
}

// PostgresDSN gives the DSN of the server, or skips the test.
func PostgresDSN(t testing.TB) string {
	t.Helper()
	return variable(t, PostgresVar)
}

// PostgresSchema gives a name for a schema that isn't there yet, and drops it at the end
// of the test.
func PostgresSchema(t testing.TB, dsn string) string {
	t.Helper()
	name := random()
	t.Cleanup(func() { run(t, "pgx", dsn, "DROP SCHEMA IF EXISTS "+name+" CASCADE") })
	return name
}

// MySQLDSN creates a database and gives a DSN for it with more parameters (as in
// "parseTime=true"), or skips the test. The database is dropped at the end of the test.
func MySQLDSN(t testing.TB, parameters ...string) string {
	t.Helper()
	server := variable(t, MySQLVar)
	name := random()
	run(t, "mysql", server, "CREATE DATABASE "+name+" CHARACTER SET utf8mb4")
	t.Cleanup(func() { run(t, "mysql", server, "DROP DATABASE "+name) })
	c, err := driver.ParseDSN(server)
	if err != nil {
		t.Fatalf("testdb: %s: %v", MySQLVar, err)
	}
	c.DBName = name
	dsn := c.FormatDSN()
	for _, p := range parameters {
		if p == "" {
			continue
		}
		separator := "?"
		if strings.Contains(dsn, "?") {
			separator = "&"
		}
		dsn += separator + p
	}
	return dsn
}

func variable(t testing.TB, name string) string {
	t.Helper()
	value := os.Getenv(name)
	if value == "" {
		t.Skipf("SKIPPED: %s is not set, so this ran on no such server", name)
	}
	return value
}

func random() string { return "tk_" + strings.ReplaceAll(uuid.NewString(), "-", "")[:16] }

// run runs a statement on a connection of its own.
func run(t testing.TB, driver, dsn, statement string) {
	t.Helper()
	db, err := sql.Open(driver, dsn)
	if err != nil {
		t.Fatalf("testdb: %v", err)
	}
	defer func() { _ = db.Close() }()
	if _, err := db.ExecContext(context.Background(), statement); err != nil {
		t.Fatalf("testdb: %s: %v", statement, err)
	}
}

// migrator is what the stores of this library have in common.
type migrator interface {
	store.Store
	store.Migrator
}

func migrated(t testing.TB, st migrator) store.Store {
	t.Helper()
	t.Cleanup(func() { closeStore(t, st) })
	if err := st.Migrate(context.Background()); err != nil {
		t.Fatalf("testdb: %v", err)
	}
	return st
}

func closeStore(t testing.TB, st store.Store) {
	t.Helper()
	if err := st.Close(); err != nil {
		t.Errorf("testdb: close: %v", err)
	}
}
