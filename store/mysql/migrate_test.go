package mysql_test

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
	"github.com/truekeel/auth/store/mysql"
)

// TestMain lets a test run this program as another process that migrates.
func TestMain(m *testing.M) {
	if dsn := os.Getenv("MIGRATE_DSN"); dsn != "" {
		if err := migrate(dsn); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func migrate(dsn string) error {
	st, err := mysql.Open(dsn)
	if err != nil {
		return err
	}
	defer func() { _ = st.Close() }()
	return st.Migrate(context.Background())
}

// process prepares another process that migrates.
func process(dsn string) *exec.Cmd {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "MIGRATE_DSN="+dsn)
	return cmd
}

func openAt(t *testing.T, dsn string, opts ...mysql.Option) store.Store {
	t.Helper()
	st, err := mysql.Open(dsn, opts...)
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
	dsn := testdb.MySQLDSN(t)
	type result struct {
		out []byte
		err error
	}
	results := make(chan result)
	const processes = 4
	for range processes {
		go func() {
			out, err := process(dsn).CombinedOutput()
			results <- result{out, err}
		}()
	}
	for range processes {
		r := <-results
		assert.NoError(t, r.err, "%s", r.out)
	}
	wantMigrated(t, openAt(t, dsn))
}

// TestMigrationKilled kills a process in the middle of a migration, of which half the
// tables are there then, one of them without a record: the next one takes the lock over
// and finishes.
func TestMigrationKilled(t *testing.T) {
	dsn := testdb.MySQLDSN(t)
	db := pool(t, dsn)

	// A table of the same name that is being made makes the migration wait half-way.
	holder, err := db.Conn(t.Context())
	require.NoError(t, err)
	defer func() { _ = holder.Close() }()
	var id int64
	require.NoError(t, holder.QueryRowContext(t.Context(), `SELECT CONNECTION_ID()`).Scan(&id))
	held := make(chan error, 1)
	go func() {
		_, err := holder.ExecContext(context.WithoutCancel(t.Context()), `CREATE TABLE auth_outbox AS SELECT SLEEP(600) AS id`)
		held <- err
	}()
	until(t, db, `SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE ID = ? AND STATE = 'User sleep'`, id)
	cmd := process(dsn)
	require.NoError(t, cmd.Start())
	waiting := `SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE DB = DATABASE()
		AND ID <> ? AND INFO LIKE 'CREATE TABLE IF NOT EXISTS auth_outbox%' AND STATE LIKE 'Waiting%'`
	until(t, db, waiting, id)
	require.NoError(t, cmd.Process.Kill())
	require.Error(t, cmd.Wait())
	_, err = db.ExecContext(t.Context(), fmt.Sprintf("KILL QUERY %d", id))
	require.NoError(t, err)
	require.Error(t, <-held)

	st := openAt(t, dsn)
	have, want, err := st.(store.Migrator).MigrationStatus(t.Context())
	require.NoError(t, err)
	assert.Positive(t, have, "version after the kill")
	assert.Less(t, have, want, "version after the kill")
	start := time.Now()
	require.NoError(t, st.(store.Migrator).Migrate(t.Context()))
	t.Logf("the next process took the lock over at version %d of %d and migrated in %s",
		have, want, time.Since(start).Round(time.Millisecond))
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
