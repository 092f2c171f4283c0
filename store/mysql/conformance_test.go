package mysql_test

import (
	"database/sql"
	"testing"

	_ "github.com/go-sql-driver/mysql" // the driver "mysql"
	"github.com/stretchr/testify/require"

	"github.com/truekeel/auth/internal/testdb"
	"github.com/truekeel/auth/store"
	"github.com/truekeel/auth/store/mysql"
	"github.com/truekeel/auth/store/sqlstore"
	"github.com/truekeel/auth/store/storetest"
)

func TestStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) store.Store { return testdb.MySQL(t) })
}

func TestStoreInterpolated(t *testing.T) {
	storetest.Run(t, func(t *testing.T) store.Store {
		st := openAt(t, testdb.MySQLDSN(t, "interpolateParams=true"))
		require.NoError(t, st.(store.Migrator).Migrate(t.Context()))
		return st
	})
}

// settings are DSN parameters under which drivers read and write times differently.
var settings = map[string]string{
	"plain":       "",
	"parseTime":   "parseTime=true",
	"elsewhere":   "parseTime=true&loc=Europe%2FBerlin&time_zone=%27-05%3A00%27",
	"interpolate": "interpolateParams=true&clientFoundRows=true&loc=Local",
}

// TestStoreOnPool runs the suite on pools that a host opened in its own way.
func TestStoreOnPool(t *testing.T) {
	for name, parameters := range settings {
		t.Run(name, func(t *testing.T) {
			storetest.Run(t, func(t *testing.T) store.Store {
				st, _ := onPool(t, testdb.MySQLDSN(t, parameters))
				return st
			})
		})
	}
}

func TestJoin(t *testing.T) {
	for name, parameters := range settings {
		t.Run(name, func(t *testing.T) {
			storetest.RunJoin(t, func(t *testing.T) (store.Store, *sql.DB) {
				return onPool(t, testdb.MySQLDSN(t, parameters))
			})
		})
	}
}

// pool opens a pool as a host would.
func pool(t *testing.T, dsn string) *sql.DB {
	t.Helper()
	db, err := sql.Open("mysql", dsn)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	db.SetMaxOpenConns(16)
	db.SetMaxIdleConns(16)
	return db
}

// onPool makes a migrated store.
func onPool(t *testing.T, dsn string) (*sqlstore.Store, *sql.DB) {
	t.Helper()
	db := pool(t, dsn)
	st, err := mysql.New(db)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, st.Close()) })
	require.NoError(t, st.Migrate(t.Context()))
	return st, db
}
