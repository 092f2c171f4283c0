package mysql_test

import (
	"context"
	"database/sql"
	"strings"
	"testing"

	driver "github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/require"

	"github.com/truekeel/auth/internal/testdb"
	"github.com/truekeel/auth/internal/testdb/plan"
	"github.com/truekeel/auth/store/mysql"
)

// TestNoHotQueryScans asks the planner about every statement of the calls that happen
// all the time.
func TestNoHotQueryScans(t *testing.T) {
	dsn := testdb.MySQLDSN(t)
	settings, err := driver.ParseDSN(dsn)
	require.NoError(t, err)
	connector, err := driver.NewConnector(settings)
	require.NoError(t, err)
	recorder := plan.Record(connector)
	recorded := sql.OpenDB(recorder)
	t.Cleanup(func() { require.NoError(t, recorded.Close()) })
	st, err := mysql.New(recorded)
	require.NoError(t, err)
	require.NoError(t, st.Migrate(t.Context()))

	db := pool(t, dsn+"?interpolateParams=true")
	calls := plan.Fill(t, st)
	analyze := func() {
		for _, table := range tables(t, db) {
			_, err := db.ExecContext(t.Context(), "ANALYZE TABLE "+table)
			require.NoError(t, err)
		}
	}
	analyze()
	explain := func(ctx context.Context, s plan.Statement) (text, wrong string, err error) {
		if strings.HasPrefix(s.Text, "INSERT") {
			return "", "", nil
		}
		rows, err := db.QueryContext(ctx, "EXPLAIN "+s.Text, s.Args...)
		if err != nil {
			return "", "", err
		}
		defer func() { _ = rows.Close() }()
		for rows.Next() {
			row, err := columns(rows)
			if err != nil {
				return "", "", err
			}
			for name, value := range row {
				text += name + "=" + value + " "
			}
			text += "\n"
			switch access := row["type"]; {
			case access == "ALL":
				wrong = "a table is scanned"
			case access == "index" && (!strings.Contains(s.Text, "LIMIT") || strings.Contains(row["Extra"], "filesort")):
				wrong = "a whole index is read"
			}
		}
		return text, wrong, rows.Err()
	}
	plan.Check(t, recorder, calls, func(ctx context.Context, s plan.Statement) (text, wrong string, err error) {
		text, wrong, err = explain(ctx, s)
		for tries := 0; wrong != "" && tries < 3; tries++ {
			// The server's own statistics of a table that was just filled may come after ours.
			analyze()
			text, wrong, err = explain(ctx, s)
		}
		return text, wrong, err
	})
}

// columns gives a row as text by the names of its columns, which differ between servers.
func columns(rows *sql.Rows) (map[string]string, error) {
	names, err := rows.Columns()
	if err != nil {
		return nil, err
	}
	values, into := make([]sql.NullString, len(names)), make([]any, len(names))
	for i := range values {
		into[i] = &values[i]
	}
	if err := rows.Scan(into...); err != nil {
		return nil, err
	}
	row := map[string]string{}
	for i, name := range names {
		row[name] = values[i].String
	}
	return row, nil
}

// tables gives the names of the database's tables.
func tables(t *testing.T, db *sql.DB) (names []string) {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), `SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE()`)
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
