package sqlite

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	lib "modernc.org/sqlite/lib"

	"github.com/truekeel/auth/store"
	"github.com/truekeel/auth/store/sqlstore"
	"github.com/truekeel/auth/store/storetest"
)

// sqlstore's own way of beginning transactions, which the other databases use, is
// tested here on the one database that is always at hand: without the writer, SQLite
// answers "busy" now and then, which is what a serialization failure is elsewhere.
func TestPool(t *testing.T) {
	storetest.Run(t, func(t *testing.T) store.Store { return openPool(t) })
}

func openPool(t *testing.T) *sqlstore.Store {
	t.Helper()
	path := filepath.Join(t.TempDir(), "auth.db")
	o := defaults()
	o.scratch = true
	lock, err := openLock(path, o.wait)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, lock.close()) })
	db, err := pool(writeDSN(path, busyPause, o), 8)
	require.NoError(t, err)
	d, err := dialect(path, lock)
	require.NoError(t, err)
	d.Bind = sqlstore.Dollar // SQLite understands $1 too
	d.IsRetryable = func(err error) bool { return code(err)&0xff == lib.SQLITE_BUSY }
	s, err := sqlstore.New(db, sqlstore.Config{Dialect: d, Namespace: "x_", Close: db.Close})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	require.NoError(t, s.Migrate(t.Context()))
	return s
}
