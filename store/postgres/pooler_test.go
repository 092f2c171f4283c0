//go:build unix

package postgres_test

import (
	"database/sql"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/truekeel/auth/internal/testdb"
	"github.com/truekeel/auth/store"
	"github.com/truekeel/auth/store/postgres"
	"github.com/truekeel/auth/store/storetest"
)

// TestStoreBehindPooler runs the suite behind PgBouncer in transaction mode, where two
// statements may meet two connections.
func TestStoreBehindPooler(t *testing.T) {
	bouncer := testdb.PgBouncer(t)
	t.Run("open", func(t *testing.T) {
		storetest.Run(t, func(t *testing.T) store.Store {
			schema := testdb.PostgresSchema(t, testdb.PostgresDSN(t))
			st, err := postgres.Open(bouncer, postgres.WithSchema(schema), postgres.WithTransactionPooler())
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, st.Close()) })
			require.NoError(t, st.Migrate(t.Context()))
			return st
		})
	})
	for driver, parameter := range map[string]string{
		"pgx":      "default_query_exec_mode=exec",
		"postgres": "binary_parameters=yes",
	} {
		t.Run(driver, func(t *testing.T) {
			storetest.Run(t, func(t *testing.T) store.Store {
				st, _ := onPool(t, driver, bouncer+"&"+parameter)
				return st
			})
		})
	}
}

func TestJoinBehindPooler(t *testing.T) {
	bouncer := testdb.PgBouncer(t)
	storetest.RunJoin(t, func(t *testing.T) (store.Store, *sql.DB) {
		return onPool(t, "pgx", bouncer+"&default_query_exec_mode=exec")
	})
}

// TestPoolerWithoutTheOption says which option a pooler in transaction mode takes.
func TestPoolerWithoutTheOption(t *testing.T) {
	bouncer := testdb.PgBouncer(t)
	dsn := testdb.PostgresDSN(t)
	schema := testdb.PostgresSchema(t, dsn)
	require.NoError(t, openAt(t, dsn, schema).(store.Migrator).Migrate(t.Context()))
	// Two clients that prepare statements meet on the pooler's few connections.
	var failed error
	for range 3 {
		st := openAt(t, bouncer, schema)
		for range 3 {
			if err := st.Ping(t.Context()); err != nil {
				failed = err
			}
		}
	}
	require.ErrorContains(t, failed, "WithTransactionPooler")
}
