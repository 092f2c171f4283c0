package postgres_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/truekeel/auth/internal/testdb"
	"github.com/truekeel/auth/store/postgres"
)

// TestFunctions: what a host's function gets and gives, by both drivers.
func TestFunctions(t *testing.T) {
	for _, driver := range []string{"pgx", "postgres"} {
		t.Run(driver, func(t *testing.T) {
			st, db := onPool(t, driver, testdb.PostgresDSN(t))
			schema := testdb.PostgresSchema(t, testdb.PostgresDSN(t))
			functions(t, db, schema)
			require.True(t, st.HasFunctions())
			call := func(name, in string) (string, error) {
				out, err := st.CallFunction(t.Context(), schema, name, []byte(in))
				if out == nil {
					return "nil", err
				}
				return string(out), err
			}

			in, err := json.Marshal(map[string]string{"text": `it's "quoted" \ ünïcode $1`})
			require.NoError(t, err)
			out, err := call("Echo", string(in))
			require.NoError(t, err)
			require.JSONEq(t, string(in), out)

			out, err = call("nothing", `{}`)
			require.NoError(t, err)
			require.Equal(t, "nil", out)

			_, err = call("noted", `{"a":1}`)
			require.NoError(t, err)
			var n int
			require.NoError(t, db.QueryRow(`SELECT count(*) FROM `+schema+`.seen`).Scan(&n))
			require.Equal(t, 1, n, "what a function writes stays")

			_, err = call("refuses", `{"secret":"hush"}`)
			require.ErrorContains(t, err, "SQLSTATE P0001")
			require.NotContains(t, err.Error(), "hush")
			_, err = call("echo", `{}`)
			require.ErrorContains(t, err, "SQLSTATE 42883", "names aren't folded")

			for _, name := range []string{"", "a b", `a"b`, "1a", "a;b", "é"} {
				_, err = call(name, `{}`)
				require.ErrorContains(t, err, "is no name of a function")
			}
		})
	}
}

// TestSlowFunction: the server cuts a function short, and so does its caller.
func TestSlowFunction(t *testing.T) {
	st, db := onPool(t, "pgx", testdb.PostgresDSN(t))
	schema := testdb.PostgresSchema(t, testdb.PostgresDSN(t))
	functions(t, db, schema)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err := st.CallFunction(ctx, schema, "slow", []byte(`{}`))
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.NoError(t, st.Ping(t.Context()))
}

// TestFunctionOfStoreThatWasOpened: the statements need nothing that a pooler forgets.
func TestFunctionOfStoreThatWasOpened(t *testing.T) {
	dsn := testdb.PostgresDSN(t)
	schema := testdb.PostgresSchema(t, dsn)
	functions(t, pool(t, "pgx", dsn), schema)
	st, err := postgres.Open(dsn, postgres.WithSchema(schema), postgres.WithTransactionPooler())
	require.NoError(t, err)
	defer st.Close()
	out, err := st.CallFunction(t.Context(), schema, "Echo", []byte(`[1]`))
	require.NoError(t, err)
	require.JSONEq(t, `[1]`, string(out))
}

func functions(t *testing.T, db *sql.DB, schema string) {
	t.Helper()
	for _, s := range []string{
		`CREATE SCHEMA IF NOT EXISTS ` + schema,
		`CREATE FUNCTION ` + schema + `."Echo"(event jsonb) RETURNS jsonb LANGUAGE sql AS 'SELECT event'`,
		`CREATE FUNCTION ` + schema + `.nothing(event jsonb) RETURNS jsonb LANGUAGE sql AS 'SELECT NULL::jsonb'`,
		`CREATE TABLE ` + schema + `.seen (event jsonb)`,
		`CREATE FUNCTION ` + schema + `.noted(event jsonb) RETURNS jsonb LANGUAGE sql AS 'INSERT INTO ` + schema + `.seen VALUES (event); SELECT event'`,
		`CREATE FUNCTION ` + schema + `.refuses(event jsonb) RETURNS jsonb LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''%'', event; END'`,
		`CREATE FUNCTION ` + schema + `.slow(event jsonb) RETURNS jsonb LANGUAGE sql AS 'SELECT pg_sleep(60); SELECT event'`,
	} {
		_, err := db.Exec(s)
		require.NoError(t, err, s)
	}
}
