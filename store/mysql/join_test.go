package mysql_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/truekeel/auth/internal/testdb"
	"github.com/truekeel/auth/store"
)

// A transaction of another database of the server is refused, also where that holds the
// same tables.
func TestJoinRefusesAnotherDatabase(t *testing.T) {
	st, _ := onPool(t, testdb.MySQLDSN(t))
	elsewhere := testdb.MySQLDSN(t)
	host := pool(t, elsewhere)
	refused := func(why string) {
		t.Helper()
		tx, err := host.BeginTx(t.Context(), nil)
		require.NoError(t, err)
		defer func() { _ = tx.Rollback() }()
		_, err = st.Join(t.Context(), tx)
		require.ErrorContains(t, err, why)
	}
	refused("doesn't see the table")
	require.NoError(t, openAt(t, elsewhere).(store.Migrator).Migrate(t.Context()))
	refused("another database")
}
