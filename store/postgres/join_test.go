package postgres_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/truekeel/auth/internal/testdb"
	"github.com/truekeel/auth/store"
)

// A transaction of another database of the server is refused, also where that holds the
// same tables.
func TestJoinRefusesAnotherDatabase(t *testing.T) {
	dsn := testdb.PostgresDSN(t)
	schema := testdb.PostgresSchema(t, dsn)
	st := openAt(t, dsn, schema)
	require.NoError(t, st.(store.Migrator).Migrate(t.Context()))

	name := "tk_" + strings.ReplaceAll(uuid.NewString(), "-", "")[:16]
	db := pool(t, "pgx", dsn)
	_, err := db.ExecContext(t.Context(), "CREATE DATABASE "+name+" ENCODING 'UTF8' TEMPLATE template0")
	require.NoError(t, err)
	t.Cleanup(func() {
		_, err := db.Exec("DROP DATABASE " + name)
		require.NoError(t, err)
	})
	elsewhere := with(t, dsn, func(u *url.URL) { u.Path = name })
	host := pool(t, "pgx", elsewhere)
	refused := func(why string) {
		t.Helper()
		tx, err := host.BeginTx(t.Context(), nil)
		require.NoError(t, err)
		defer func() { _ = tx.Rollback() }()
		_, err = st.(store.Joiner).Join(t.Context(), tx)
		require.ErrorContains(t, err, why)
	}
	refused("doesn't see the table")
	require.NoError(t, openAt(t, elsewhere, schema).(store.Migrator).Migrate(t.Context()))
	refused("another database")
}
