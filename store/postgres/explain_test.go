package postgres_test

import (
	"context"
	"database/sql"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/stretchr/testify/require"

	"github.com/truekeel/auth/internal/testdb"
	"github.com/truekeel/auth/internal/testdb/plan"
	"github.com/truekeel/auth/store/postgres"
)

// TestNoHotQueryScans asks the planner about every statement of the calls that happen
// all the time.
func TestNoHotQueryScans(t *testing.T) {
	dsn := testdb.PostgresDSN(t)
	schema := testdb.PostgresSchema(t, dsn)
	settings, err := pgx.ParseConfig(dsn)
	require.NoError(t, err)
	recorder := plan.Record(stdlib.GetConnector(*settings))
	recorded := sql.OpenDB(recorder)
	t.Cleanup(func() { require.NoError(t, recorded.Close()) })
	st, err := postgres.New(recorded, postgres.WithSchema(schema))
	require.NoError(t, err)
	require.NoError(t, st.Migrate(t.Context()))

	db := pool(t, "pgx", dsn)
	calls := plan.Fill(t, st)
	for _, table := range tables(t, db, schema) {
		_, err := db.ExecContext(t.Context(), "ANALYZE "+schema+"."+table)
		require.NoError(t, err)
	}
	plan.Check(t, recorder, calls, func(ctx context.Context, s plan.Statement) (text, wrong string, err error) {
		rows, err := db.QueryContext(ctx, "EXPLAIN "+s.Text, s.Args...)
		if err != nil {
			return "", "", err
		}
		defer func() { _ = rows.Close() }()
		for rows.Next() {
			var line string
			if err := rows.Scan(&line); err != nil {
				return "", "", err
			}
			text += line + "\n"
		}
		if strings.Contains(text, "Seq Scan") {
			wrong = "a table is scanned"
		}
		return text, wrong, rows.Err()
	})
}

// tables gives the names of the schema's tables.
func tables(t *testing.T, db *sql.DB, schema string) (names []string) {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), `SELECT table_name FROM information_schema.tables WHERE table_schema = $1`, schema)
	require.NoError(t, err)
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var name string
		require.NoError(t, rows.Scan(&name))
		names = append(names, name)
	}
	require.NoError(t, rows.Err())
	require.NotEmpty(t, names)
	return names
}
