package mysql_test

import (
	"database/sql"
	"net"
	"strings"
	"testing"
	"time"

	driver "github.com/go-sql-driver/mysql"
	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/truekeel/auth/internal/testdb"
	"github.com/truekeel/auth/store"
	"github.com/truekeel/auth/store/mysql"
)

// with changes a DSN.
func with(t *testing.T, dsn string, change func(c *driver.Config)) string {
	t.Helper()
	c, err := driver.ParseDSN(dsn)
	require.NoError(t, err)
	change(c)
	return c.FormatDSN()
}

// user creates a user that may connect and nothing else.
func user(t *testing.T, db *sql.DB) string {
	t.Helper()
	name := "tk_" + strings.ReplaceAll(uuid.NewString(), "-", "")[:16]
	_, err := db.ExecContext(t.Context(), "CREATE USER "+name)
	require.NoError(t, err)
	t.Cleanup(func() {
		_, err := db.Exec("DROP USER " + name)
		require.NoError(t, err)
	})
	return name
}

func newUser() store.User {
	now := time.Unix(1_800_000_000, 0)
	return store.User{ID: uuid.New(), Audience: "a", Email: uuid.NewString(), CreatedAt: now, UpdatedAt: now}
}

func TestOptionsRefuse(t *testing.T) {
	const dsn = "app:hunter2@tcp(127.0.0.1)/app"
	fine := mysql.WithBudget(time.Second)
	for name, c := range map[string]struct {
		dsn  string
		opt  mysql.Option
		want string
	}{
		"injected prefix": {dsn, mysql.WithPrefix("a; drop"), "namespace"},
		"no logger":       {dsn, mysql.WithLogger(nil), "WithLogger"},
		"no budget":       {dsn, mysql.WithBudget(0), "WithBudget"},
		"one connection":  {dsn, mysql.WithMaxConns(1), "WithMaxConns"},
		"no DSN at all":   {"app:hunter2@127.0.0.1", fine, "DSN"},
		"no database":     {"app:hunter2@tcp(127.0.0.1)/", fine, "names no database"},
		"unknown setting": {dsn + "?loc=Nowhere", fine, "DSN"},
		"unknown TLS":     {dsn + "?tls=hunter", fine, "DSN"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := mysql.Open(c.dsn, c.opt)
			require.ErrorContains(t, err, c.want)
			assert.NotContains(t, err.Error(), "hunter2")
		})
	}
	_, err := mysql.New(nil)
	require.ErrorContains(t, err, "no database")
}

func TestServerIsNotThere(t *testing.T) {
	st := openAt(t, "app:hunter2@tcp(127.0.0.1:1)/app")
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
	dsn := "app@tcp(" + l.Addr().String() + ")/app?timeout=1s"
	require.ErrorIs(t, openAt(t, dsn).Ping(t.Context()), store.ErrUnavailable)
}

// TestErrorsNameCauseAndRemedy: what an operator has to mend is told with the way to.
func TestErrorsNameCauseAndRemedy(t *testing.T) {
	dsn := testdb.MySQLDSN(t)
	db := pool(t, dsn)
	stranger := user(t, db)

	t.Run("no such database", func(t *testing.T) {
		st := openAt(t, with(t, dsn, func(c *driver.Config) { c.DBName = "tk_nowhere" }))
		err := st.Ping(t.Context())
		require.ErrorContains(t, err, "no such database")
		require.NotErrorIs(t, err, store.ErrUnavailable)
	})
	t.Run("wrong password", func(t *testing.T) {
		st := openAt(t, with(t, dsn, func(c *driver.Config) { c.User, c.Passwd = stranger, "hunter2" }))
		err := st.Ping(t.Context())
		require.ErrorContains(t, err, "refused the user")
		assert.NotContains(t, err.Error(), "hunter2")
	})
	t.Run("not migrated", func(t *testing.T) {
		st := openAt(t, testdb.MySQLDSN(t))
		require.ErrorContains(t, st.Ping(t.Context()), "migrate first")
		have, want, err := st.(store.Migrator).MigrationStatus(t.Context())
		require.NoError(t, err)
		assert.Zero(t, have)
		assert.Positive(t, want)
	})
	t.Run("may not create tables", func(t *testing.T) {
		c, err := driver.ParseDSN(dsn)
		require.NoError(t, err)
		_, err = db.ExecContext(t.Context(), "GRANT SELECT ON "+c.DBName+".* TO "+stranger)
		require.NoError(t, err)
		st := openAt(t, with(t, dsn, func(c *driver.Config) { c.User = stranger }))
		require.ErrorContains(t, st.(store.Migrator).Migrate(t.Context()), "GRANT SELECT, INSERT")
	})
	t.Run("tables of somebody else", func(t *testing.T) {
		dsn := testdb.MySQLDSN(t)
		_, err := pool(t, dsn).ExecContext(t.Context(), "CREATE TABLE auth_settings (id int)")
		require.NoError(t, err)
		st := openAt(t, dsn)
		require.ErrorContains(t, st.(store.Migrator).Migrate(t.Context()), "WithPrefix")
	})
	t.Run("schema of a newer program", func(t *testing.T) {
		dsn := testdb.MySQLDSN(t)
		st := openAt(t, dsn)
		require.NoError(t, st.(store.Migrator).Migrate(t.Context()))
		_, err := pool(t, dsn).ExecContext(t.Context(), "INSERT INTO auth_schema_migrations (version_id, is_applied) VALUES (99999, true)")
		require.NoError(t, err)
		require.ErrorContains(t, st.(store.Migrator).Migrate(t.Context()), "newer program")
	})
	t.Run("read-only", func(t *testing.T) {
		dsn := testdb.MySQLDSN(t)
		require.NoError(t, openAt(t, dsn).(store.Migrator).Migrate(t.Context()))
		st := openAt(t, with(t, dsn, func(c *driver.Config) { c.Params = map[string]string{"tx_read_only": "1"} }))
		require.NoError(t, st.Ping(t.Context()))
		err := st.CreateUser(t.Context(), newUser())
		require.ErrorIs(t, err, store.ErrUnavailable)
		require.ErrorContains(t, err, "read-only")
	})
	t.Run("lock that stays", func(t *testing.T) {
		dsn := testdb.MySQLDSN(t)
		st := openAt(t, dsn)
		require.NoError(t, st.(store.Migrator).Migrate(t.Context()))
		u := newUser()
		require.NoError(t, st.CreateUser(t.Context(), u))
		tx, err := pool(t, dsn).BeginTx(t.Context(), nil)
		require.NoError(t, err)
		defer func() { _ = tx.Rollback() }()
		_, err = tx.ExecContext(t.Context(), "UPDATE auth_users SET role = 'held'")
		require.NoError(t, err)
		u.Version = 1
		impatient := openAt(t, with(t, dsn, func(c *driver.Config) { c.Params = map[string]string{"innodb_lock_wait_timeout": "0"} }))
		require.ErrorIs(t, impatient.UpdateUser(t.Context(), &u), store.ErrUnavailable)
		impatient = openAt(t, dsn, mysql.WithBudget(50*time.Millisecond))
		err = impatient.Tx(t.Context(), func(tx store.Store) error { return tx.UpdateUser(t.Context(), &u) })
		require.ErrorIs(t, err, store.ErrUnavailable)
		require.ErrorContains(t, err, "budget")
	})
	t.Run("server that isn't strict", func(t *testing.T) {
		st := openAt(t, with(t, dsn, func(c *driver.Config) { c.Params = map[string]string{"sql_mode": "''"} }))
		require.ErrorContains(t, st.(store.Migrator).Migrate(t.Context()), "STRICT_TRANS_TABLES")
	})
	t.Run("narrow character set", func(t *testing.T) {
		st := openAt(t, dsn+"?charset=latin1")
		require.ErrorContains(t, st.(store.Migrator).Migrate(t.Context()), "utf8mb4")
	})
	t.Run("pool of one", func(t *testing.T) {
		one := pool(t, dsn)
		one.SetMaxOpenConns(1)
		st, err := mysql.New(one)
		require.NoError(t, err)
		require.ErrorContains(t, st.Migrate(t.Context()), "SetMaxOpenConns")
	})
}
