package postgres_test

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/truekeel/auth/internal/testdb"
	"github.com/truekeel/auth/store"
	"github.com/truekeel/auth/store/postgres"
)

// TestMain lets a test run this program as another process that migrates.
func TestMain(m *testing.M) {
	if dsn := os.Getenv("MIGRATE_DSN"); dsn != "" {
		if err := migrate(dsn, os.Getenv("MIGRATE_SCHEMA")); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func migrate(dsn, schema string) error {
	st, err := postgres.Open(dsn, postgres.WithSchema(schema))
	if err != nil {
		return err
	}
	defer func() { _ = st.Close() }()
	return st.Migrate(context.Background())
}

// process prepares another process that migrates.
func process(dsn, schema string) *exec.Cmd {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "MIGRATE_DSN="+dsn, "MIGRATE_SCHEMA="+schema)
	return cmd
}

func openAt(t *testing.T, dsn, schema string, opts ...postgres.Option) store.Store {
	t.Helper()
	st, err := postgres.Open(dsn, append(opts, postgres.WithSchema(schema))...)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, st.Close()) })
	return st
}

func wantMigrated(t *testing.T, st store.Store) {
	t.Helper()
	have, want, err := st.(store.Migrator).MigrationStatus(t.Context())
	require.NoError(t, err)
	assert.Equal(t, want, have)
	require.NoError(t, st.Ping(t.Context()))
}

func TestProcessesMigrateAtOnce(t *testing.T) {
	dsn := testdb.PostgresDSN(t)
	schema := testdb.PostgresSchema(t, dsn)
	type result struct {
		out []byte
		err error
	}
	results := make(chan result)
	const processes = 4
	for range processes {
		go func() {
			out, err := process(dsn, schema).CombinedOutput()
			results <- result{out, err}
		}()
	}
	for range processes {
		r := <-results
		assert.NoError(t, r.err, "%s", r.out)
	}
	wantMigrated(t, openAt(t, dsn, schema))
}

// TestMigrationKilled kills a process in the middle of a migration: the next one takes
// the lock over and finishes.
func TestMigrationKilled(t *testing.T) {
	dsn := testdb.PostgresDSN(t)
	schema := testdb.PostgresSchema(t, dsn)
	db := pool(t, "pgx", dsn)
	_, err := db.ExecContext(t.Context(), "CREATE SCHEMA "+schema)
	require.NoError(t, err)

	// A table of the same name that isn't committed makes the migration wait half-way.
	tx, err := db.BeginTx(t.Context(), nil)
	require.NoError(t, err)
	defer func() { _ = tx.Rollback() }()
	_, err = tx.ExecContext(t.Context(), "CREATE TABLE "+schema+".outbox (id int)")
	require.NoError(t, err)
	cmd := process(dsn, schema)
	require.NoError(t, cmd.Start())
	until(t, db, `SELECT COUNT(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE $1`,
		"CREATE TABLE "+schema+".outbox%")
	require.NoError(t, cmd.Process.Kill())
	require.Error(t, cmd.Wait())
	require.NoError(t, tx.Rollback())

	st := openAt(t, dsn, schema)
	have, _, err := st.(store.Migrator).MigrationStatus(t.Context())
	require.NoError(t, err)
	assert.Zero(t, have, "version after the kill")
	start := time.Now()
	require.NoError(t, st.(store.Migrator).Migrate(t.Context()))
	t.Logf("the next process took the lock over and migrated in %s", time.Since(start).Round(time.Millisecond))
	wantMigrated(t, st)
}

// until waits until a count isn't zero any more.
func until(t *testing.T, db *sql.DB, query string, args ...any) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(time.Minute); ; <-tick.C {
		var n int
		require.NoError(t, db.QueryRowContext(t.Context(), query, args...).Scan(&n))
		if n > 0 {
			return
		}
		require.True(t, time.Now().Before(deadline), "nothing came of %s", query)
	}
}
