package postgres_test

import (
	"database/sql"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/truekeel/auth/internal/testdb"
	"github.com/truekeel/auth/store"
	"github.com/truekeel/auth/store/postgres"
)

// with changes a DSN.
func with(t *testing.T, dsn string, change func(u *url.URL)) string {
	t.Helper()
	u, err := url.Parse(dsn)
	require.NoError(t, err)
	change(u)
	return u.String()
}

func parameter(name, value string) func(u *url.URL) {
	return func(u *url.URL) {
		q := u.Query()
		q.Set(name, value)
		u.RawQuery = q.Encode()
	}
}

// role creates a role that may connect and nothing else.
func role(t *testing.T, db *sql.DB) string {
	t.Helper()
	name := "tk_" + strings.ReplaceAll(uuid.NewString(), "-", "")[:16]
	_, err := db.ExecContext(t.Context(), "CREATE ROLE "+name+" LOGIN")
	require.NoError(t, err)
	t.Cleanup(func() {
		_, err := db.Exec("DROP OWNED BY " + name + "; DROP ROLE " + name)
		require.NoError(t, err)
	})
	return name
}

func newUser() store.User {
	now := time.Unix(1_800_000_000, 0)
	return store.User{ID: uuid.New(), Audience: "a", Email: uuid.NewString(), CreatedAt: now, UpdatedAt: now}
}

func TestOptionsRefuse(t *testing.T) {
	const dsn = "postgres://app:hunter2@127.0.0.1/app"
	for name, c := range map[string]struct {
		dsn  string
		opt  postgres.Option
		want string
	}{
		"empty schema":     {dsn, postgres.WithSchema(""), "WithSchema"},
		"capital letters":  {dsn, postgres.WithSchema("Auth"), "lower case"},
		"injected schema":  {dsn, postgres.WithSchema("a; drop"), "namespace"},
		"no logger":        {dsn, postgres.WithLogger(nil), "WithLogger"},
		"no budget":        {dsn, postgres.WithBudget(0), "WithBudget"},
		"one connection":   {dsn, postgres.WithMaxConns(1), "WithMaxConns"},
		"no DSN at all":    {"postgres://app:hunter2@[::1", postgres.WithBudget(time.Second), "DSN"},
		"unknown sslmode":  {dsn + "?sslmode=perhaps", postgres.WithBudget(time.Second), "DSN"},
		"port not numeric": {"postgres://app:hunter2@127.0.0.1:x/app", postgres.WithBudget(time.Second), "DSN"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := postgres.Open(c.dsn, c.opt)
			require.ErrorContains(t, err, c.want)
			assert.NotContains(t, err.Error(), "hunter2")
		})
	}
	_, err := postgres.New(nil)
	require.ErrorContains(t, err, "no database")
}

func TestServerIsNotThere(t *testing.T) {
	st := openAt(t, "postgres://app:hunter2@127.0.0.1:1/app?sslmode=disable", "auth")
	for _, err := range []error{st.Ping(t.Context()), st.(store.Migrator).Migrate(t.Context()), st.CreateUser(t.Context(), newUser())} {
		require.ErrorIs(t, err, store.ErrUnavailable)
		require.ErrorContains(t, err, "nobody listens there")
		assert.NotContains(t, err.Error(), "hunter2")
	}
}

// A server that takes the connection and says nothing doesn't hold a caller for long.
func TestServerDoesNotAnswer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, l.Close()) })
	dsn := "postgres://app@" + l.Addr().String() + "/app?sslmode=disable&connect_timeout=1"
	require.ErrorIs(t, openAt(t, dsn, "auth").Ping(t.Context()), store.ErrUnavailable)
}

// TestErrorsNameCauseAndRemedy: what an operator has to mend is told with the way to.
func TestErrorsNameCauseAndRemedy(t *testing.T) {
	dsn := testdb.PostgresDSN(t)
	db := pool(t, "pgx", dsn)
	stranger := role(t, db)

	t.Run("no such database", func(t *testing.T) {
		st := openAt(t, with(t, dsn, func(u *url.URL) { u.Path = "/tk_nowhere" }), "auth")
		err := st.Ping(t.Context())
		require.ErrorContains(t, err, "no such database")
		require.NotErrorIs(t, err, store.ErrUnavailable)
	})
	t.Run("no such role", func(t *testing.T) {
		st := openAt(t, with(t, dsn, func(u *url.URL) { u.User = url.User("tk_nobody") }), "auth")
		require.ErrorContains(t, st.Ping(t.Context()), "refused the role")
	})
	t.Run("not migrated", func(t *testing.T) {
		st := openAt(t, dsn, testdb.PostgresSchema(t, dsn))
		err := st.Ping(t.Context())
		require.ErrorContains(t, err, "migrate first")
		have, want, err := st.(store.Migrator).MigrationStatus(t.Context())
		require.NoError(t, err)
		assert.Zero(t, have)
		assert.Positive(t, want)
	})
	t.Run("may not create the schema", func(t *testing.T) {
		schema := testdb.PostgresSchema(t, dsn)
		st := openAt(t, with(t, dsn, func(u *url.URL) { u.User = url.User(stranger) }), schema)
		err := st.(store.Migrator).Migrate(t.Context())
		remedy := "CREATE SCHEMA " + schema + " AUTHORIZATION " + stranger
		require.ErrorContains(t, err, remedy)
		_, failed := db.ExecContext(t.Context(), remedy)
		require.NoError(t, failed)
		require.NoError(t, st.(store.Migrator).Migrate(t.Context()))
	})
	t.Run("may not create tables", func(t *testing.T) {
		schema := testdb.PostgresSchema(t, dsn)
		_, err := db.ExecContext(t.Context(), "CREATE SCHEMA "+schema+"; GRANT USAGE ON SCHEMA "+schema+" TO "+stranger)
		require.NoError(t, err)
		st := openAt(t, with(t, dsn, func(u *url.URL) { u.User = url.User(stranger) }), schema)
		require.ErrorContains(t, st.(store.Migrator).Migrate(t.Context()), "ALTER SCHEMA "+schema)
	})
	t.Run("tables of somebody else", func(t *testing.T) {
		schema := testdb.PostgresSchema(t, dsn)
		_, err := db.ExecContext(t.Context(), "CREATE SCHEMA "+schema+"; CREATE TABLE "+schema+".users (id int)")
		require.NoError(t, err)
		st := openAt(t, dsn, schema)
		require.ErrorContains(t, st.(store.Migrator).Migrate(t.Context()), "somebody else")
	})
	t.Run("schema of a newer program", func(t *testing.T) {
		schema := testdb.PostgresSchema(t, dsn)
		st := openAt(t, dsn, schema)
		require.NoError(t, st.(store.Migrator).Migrate(t.Context()))
		_, err := db.ExecContext(t.Context(), "INSERT INTO "+schema+".schema_migrations (version_id, is_applied) VALUES (99999, true)")
		require.NoError(t, err)
		require.ErrorContains(t, st.(store.Migrator).Migrate(t.Context()), "newer program")
	})
	t.Run("read-only", func(t *testing.T) {
		schema := testdb.PostgresSchema(t, dsn)
		require.NoError(t, openAt(t, dsn, schema).(store.Migrator).Migrate(t.Context()))
		st := openAt(t, with(t, dsn, parameter("default_transaction_read_only", "on")), schema)
		require.NoError(t, st.Ping(t.Context()))
		err := st.CreateUser(t.Context(), newUser())
		require.ErrorIs(t, err, store.ErrUnavailable)
		require.ErrorContains(t, err, "read-only")
	})
	t.Run("statement over its time", func(t *testing.T) {
		schema := testdb.PostgresSchema(t, dsn)
		require.NoError(t, openAt(t, dsn, schema).(store.Migrator).Migrate(t.Context()))
		tx, err := db.BeginTx(t.Context(), nil)
		require.NoError(t, err)
		defer func() { _ = tx.Rollback() }()
		_, err = tx.ExecContext(t.Context(), "LOCK TABLE "+schema+".users")
		require.NoError(t, err)
		st := openAt(t, with(t, dsn, parameter("statement_timeout", "50")), schema)
		require.ErrorIs(t, st.CreateUser(t.Context(), newUser()), store.ErrUnavailable)
		st = openAt(t, dsn, schema, postgres.WithBudget(50*time.Millisecond))
		err = st.Tx(t.Context(), func(tx store.Store) error { return tx.CreateUser(t.Context(), newUser()) })
		require.ErrorIs(t, err, store.ErrUnavailable)
		require.ErrorContains(t, err, "budget")
	})
	t.Run("narrow encoding", func(t *testing.T) {
		name := "tk_" + strings.ReplaceAll(uuid.NewString(), "-", "")[:16]
		_, err := db.ExecContext(t.Context(), "CREATE DATABASE "+name+" ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0")
		require.NoError(t, err)
		st, err := postgres.Open(with(t, dsn, func(u *url.URL) { u.Path = name }))
		require.NoError(t, err)
		assert.ErrorContains(t, st.Migrate(t.Context()), "LATIN1")
		require.NoError(t, st.Close())
		_, err = db.ExecContext(t.Context(), "DROP DATABASE "+name)
		require.NoError(t, err)
	})
	t.Run("pool of one", func(t *testing.T) {
		one := pool(t, "pgx", dsn)
		one.SetMaxOpenConns(1)
		st, err := postgres.New(one, postgres.WithSchema(testdb.PostgresSchema(t, dsn)))
		require.NoError(t, err)
		require.ErrorContains(t, st.Migrate(t.Context()), "SetMaxOpenConns")
	})
}
