package sqlite_test

import (
	"context"
	"database/sql"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/truekeel/auth/store"
	"github.com/truekeel/auth/store/sqlite"
	"github.com/truekeel/auth/store/storetest"
)

// hostDSN opens the file as the package's doc tells hosts to.
func hostDSN(path string) string {
	return "file:" + path + "?_txlock=immediate&_pragma=busy_timeout(5000)&_pragma=foreign_keys(1)"
}

// host opens a pool as a host would.
func host(t *testing.T, path string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", hostDSN(path))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return db
}

func TestJoin(t *testing.T) {
	storetest.RunJoin(t, func(t *testing.T) (store.Store, *sql.DB) {
		path := filepath.Join(t.TempDir(), "auth.db")
		return openAt(t, path), host(t, path)
	})
}

func TestJoinRefusesAnotherDatabase(t *testing.T) {
	dir := t.TempDir()
	s := openAt(t, filepath.Join(dir, "auth.db"))
	empty := host(t, filepath.Join(dir, "empty.db"))
	tx, err := empty.BeginTx(t.Context(), nil)
	require.NoError(t, err)
	defer func() { _ = tx.Rollback() }()
	_, err = s.Join(t.Context(), tx)
	require.ErrorContains(t, err, "auth_settings")

	openAt(t, filepath.Join(dir, "other.db"))
	other := host(t, filepath.Join(dir, "other.db"))
	tx2, err := other.BeginTx(t.Context(), nil)
	require.NoError(t, err)
	defer func() { _ = tx2.Rollback() }()
	_, err = s.Join(t.Context(), tx2)
	require.ErrorContains(t, err, "another database")

	_, err = s.Join(t.Context(), nil)
	require.Error(t, err)
}

// The host's transaction isn't rolled back by a context that only a call of ours had.
func TestJoinSurvivesACancelledCall(t *testing.T) {
	path := filepath.Join(t.TempDir(), "auth.db")
	s, db := openAt(t, path), host(t, path)
	tx, err := db.BeginTx(t.Context(), nil)
	require.NoError(t, err)
	joined, err := s.Join(t.Context(), tx)
	require.NoError(t, err)
	require.NoError(t, joined.PutSetting(t.Context(), "a", []byte("1")))
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	require.Error(t, joined.PutSetting(cancelled, "b", []byte("1")))
	require.NoError(t, joined.PutSetting(t.Context(), "c", []byte("1")))
	require.NoError(t, joined.Close())
	require.NoError(t, tx.Commit())
	for name, want := range map[string]error{"a": nil, "b": store.ErrNotFound, "c": nil} {
		_, err := s.Setting(t.Context(), name)
		require.ErrorIs(t, err, want, name)
	}
}

// While the host's transaction is open, a write that isn't part of it fails in the end
// rather than hang. The next one, however soon it comes, isn't told of that.
func TestWriteBesideTheHostsTransaction(t *testing.T) {
	path := filepath.Join(t.TempDir(), "auth.db")
	s, db := openAt(t, path, sqlite.WithLockWait(50*time.Millisecond)), host(t, path)
	for range 10 {
		tx, err := db.BeginTx(t.Context(), nil)
		require.NoError(t, err)
		err = s.PutSetting(t.Context(), "a", nil)
		require.ErrorIs(t, err, store.ErrUnavailable)
		require.ErrorContains(t, err, path)
		require.ErrorContains(t, err, "another program")
		_, err = s.Setting(t.Context(), "a")
		require.NoError(t, tx.Rollback())
		require.ErrorIs(t, err, store.ErrNotFound, "reads go on")
		require.NoError(t, s.PutSetting(t.Context(), "b", nil))
	}
}

// A process that starts while the host's transaction is open waits for its end.
func TestOpenAndMigrateBesideTheHostsTransaction(t *testing.T) {
	path := filepath.Join(t.TempDir(), "auth.db")
	db := host(t, path)
	_, err := db.ExecContext(t.Context(), `CREATE TABLE tenants (id INTEGER)`)
	require.NoError(t, err)
	openAt(t, path, sqlite.WithPrefix("other_"))
	tx, err := db.BeginTx(t.Context(), nil)
	require.NoError(t, err)
	_, err = sqlite.Open(path, sqlite.WithLockWait(50*time.Millisecond))
	require.ErrorContains(t, err, "another program")
	opened := make(chan error)
	go func() {
		s, err := sqlite.Open(path)
		if err == nil {
			err = errors.Join(s.Migrate(context.Background()), s.Close())
		}
		opened <- err
	}()
	require.NoError(t, tx.Rollback())
	require.NoError(t, <-opened)
}
