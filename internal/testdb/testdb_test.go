package testdb_test

import (
	"database/sql"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/truekeel/auth/internal/testdb"
	"github.com/truekeel/auth/store"
	"github.com/truekeel/auth/store/mysql"
	"github.com/truekeel/auth/store/postgres"
	"github.com/truekeel/auth/store/sqlite"
)

func TestEach(t *testing.T) {
	testdb.Each(t, func(t *testing.T, st store.Store) {
		require.NoError(t, st.Ping(t.Context()))
		n, err := st.CountUsers(t.Context(), store.UserQuery{})
		require.NoError(t, err)
		assert.Zero(t, n)
	})
}

// TestSchemasAgree: the tables of all databases have the same columns, and the same
// indexes on the same columns.
func TestSchemasAgree(t *testing.T) {
	want := sqliteSchema(t)
	require.Greater(t, len(want), 100)
	t.Run("postgres", func(t *testing.T) { wantSchema(t, postgresSchema(t), want) })
	t.Run("mysql", func(t *testing.T) { wantSchema(t, mysqlSchema(t), want) })
}

func wantSchema(t *testing.T, got, want map[string]bool) {
	t.Helper()
	for line := range want {
		assert.True(t, got[line], "lacks %s", line)
	}
	for line := range got {
		assert.True(t, want[line], "has %s, which SQLite lacks", line)
	}
}

// lines gives the rows of a query of two texts, sorted by the database, without what
// belongs to goose.
func lines(t *testing.T, db *sql.DB, query string, args ...any) (all []string) {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), query, args...)
	require.NoError(t, err)
	defer func() { require.NoError(t, rows.Close()) }()
	for rows.Next() {
		var table, what string
		require.NoError(t, rows.Scan(&table, &what))
		if !strings.HasPrefix(strings.TrimPrefix(table, "auth_"), "schema_") {
			all = append(all, strings.TrimPrefix(table, "auth_")+" "+what)
		}
	}
	require.NoError(t, rows.Err())
	return all
}

func opened(t *testing.T, driver, dsn string) *sql.DB {
	t.Helper()
	db, err := sql.Open(driver, dsn)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return db
}

// schema sorts what the databases list in different orders.
func schema(columns, indexes []string) map[string]bool {
	all := map[string]bool{}
	for _, line := range append(columns, indexes...) {
		all[line] = true
	}
	return all
}

func sqliteSchema(t *testing.T) map[string]bool {
	t.Helper()
	path := filepath.Join(t.TempDir(), "auth.db")
	st, err := sqlite.Open(path)
	require.NoError(t, err)
	require.NoError(t, st.Migrate(t.Context()))
	require.NoError(t, st.Close())
	db := opened(t, "sqlite", path)
	columns := lines(t, db, `SELECT m.name, c.name FROM sqlite_master m, pragma_table_info(m.name) c
		WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite%'`)
	indexes := lines(t, db, `SELECT m.tbl_name, substr(m.name, 6) || '(' || (SELECT group_concat(c.name, ',') FROM pragma_index_info(m.name) c) || ')'
		FROM sqlite_master m WHERE m.type = 'index' AND m.sql IS NOT NULL`)
	return schema(columns, indexes)
}

func postgresSchema(t *testing.T) map[string]bool {
	t.Helper()
	dsn := testdb.PostgresDSN(t)
	name := testdb.PostgresSchema(t, dsn)
	st, err := postgres.Open(dsn, postgres.WithSchema(name))
	require.NoError(t, err)
	require.NoError(t, st.Migrate(t.Context()))
	require.NoError(t, st.Close())
	db := opened(t, "pgx", dsn)
	columns := lines(t, db, `SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = $1`, name)
	indexes := lines(t, db, `SELECT tablename, indexname || replace(substring(indexdef from '\(.*\)'), ' ', '')
		FROM pg_indexes WHERE schemaname = $1 AND indexname NOT LIKE '%pkey'`, name)
	return schema(columns, indexes)
}

func mysqlSchema(t *testing.T) map[string]bool {
	t.Helper()
	dsn := testdb.MySQLDSN(t)
	st, err := mysql.Open(dsn)
	require.NoError(t, err)
	require.NoError(t, st.Migrate(t.Context()))
	require.NoError(t, st.Close())
	db := opened(t, "mysql", dsn)
	columns := lines(t, db, `SELECT TABLE_NAME, COLUMN_NAME FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = DATABASE()`)
	indexes := lines(t, db, `SELECT TABLE_NAME, CONCAT(INDEX_NAME, '(', GROUP_CONCAT(COLUMN_NAME ORDER BY SEQ_IN_INDEX SEPARATOR ','), ')')
		FROM information_schema.STATISTICS WHERE TABLE_SCHEMA = DATABASE() AND INDEX_NAME <> 'PRIMARY'
		GROUP BY TABLE_NAME, INDEX_NAME`)
	return schema(columns, indexes)
}

// TestMySQLComparesByBytes: no text column is left to a collation that folds or pads.
func TestMySQLComparesByBytes(t *testing.T) {
	dsn := testdb.MySQLDSN(t)
	st, err := mysql.Open(dsn)
	require.NoError(t, err)
	require.NoError(t, st.Migrate(t.Context()))
	require.NoError(t, st.Close())
	exact := regexp.MustCompile(`(ascii_bin|utf8mb4_nopad_bin|utf8mb4_0900_bin)$`)
	for _, line := range lines(t, opened(t, "mysql", dsn), `SELECT TABLE_NAME, CONCAT(COLUMN_NAME, ' ', COLLATION_NAME)
		FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = DATABASE() AND COLLATION_NAME IS NOT NULL`) {
		assert.Regexp(t, exact, line)
	}
}
