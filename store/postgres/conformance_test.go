package postgres_test

import (
	"database/sql"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"
	_ "github.com/lib/pq"              // the driver "postgres"
	"github.com/stretchr/testify/require"

	"github.com/truekeel/auth/internal/testdb"
	"github.com/truekeel/auth/store"
	"github.com/truekeel/auth/store/postgres"
	"github.com/truekeel/auth/store/sqlstore"
	"github.com/truekeel/auth/store/storetest"
)

func TestStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) store.Store { return testdb.Postgres(t) })
}

// TestStoreOnPool runs the suite on pools that a host opened, by both drivers.
func TestStoreOnPool(t *testing.T) {
	for _, driver := range []string{"pgx", "postgres"} {
		t.Run(driver, func(t *testing.T) {
			storetest.Run(t, func(t *testing.T) store.Store {
				st, _ := onPool(t, driver, testdb.PostgresDSN(t))
				return st
			})
		})
	}
}

func TestJoin(t *testing.T) {
	for _, driver := range []string{"pgx", "postgres"} {
		t.Run(driver, func(t *testing.T) {
			storetest.RunJoin(t, func(t *testing.T) (store.Store, *sql.DB) {
				return onPool(t, driver, testdb.PostgresDSN(t))
			})
		})
	}
}

// pool opens a pool as a host would.
func pool(t *testing.T, driver, dsn string) *sql.DB {
	t.Helper()
	db, err := sql.Open(driver, dsn)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	db.SetMaxOpenConns(16)
	db.SetMaxIdleConns(16)
	return db
}

// onPool makes a migrated store in a schema of its own.
func onPool(t *testing.T, driver, dsn string) (*sqlstore.Store, *sql.DB) {
	t.Helper()
	schema := testdb.PostgresSchema(t, testdb.PostgresDSN(t))
	db := pool(t, driver, dsn)
	st, err := postgres.New(db, postgres.WithSchema(schema))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, st.Close()) })
	require.NoError(t, st.Migrate(t.Context()))
	return st, db
}
