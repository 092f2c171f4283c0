package auth_test

import (
	"database/sql"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/truekeel/auth"
	"github.com/truekeel/auth/internal/testdb"
	"github.com/truekeel/auth/store"
	"github.com/truekeel/auth/store/mysql"
	"github.com/truekeel/auth/store/postgres"
	"github.com/truekeel/auth/store/sqlite"
)

// hosted is a door whose database the host has a pool of its own for.
type hosted struct {
	*door
	db *sql.DB
}

// openHosted opens a door and a host's pool on one database, with a table of the host's.
func openHosted(t *testing.T, opts ...auth.Option) hosted {
	t.Helper()
	var st store.Store
	var db *sql.DB
	var err error
	switch database {
	case "postgres":
		dsn := testdb.PostgresDSN(t)
		schema := testdb.PostgresSchema(t, dsn)
		st, err = postgres.Open(dsn, postgres.WithSchema(schema))
		require.NoError(t, err)
		db, err = sql.Open("pgx", dsn)
		require.NoError(t, err)
		migrate(t, st)
		_, err = db.ExecContext(t.Context(), "CREATE TABLE "+schema+".tenants (name VARCHAR(50) PRIMARY KEY)")
		require.NoError(t, err)
		return hostedDoor(t, st, db, opts...)
	case "mysql":
		dsn := testdb.MySQLDSN(t, "parseTime=true")
		st, err = mysql.Open(dsn)
		require.NoError(t, err)
		db, err = sql.Open("mysql", dsn)
	default:
		file := t.TempDir() + "/app.db"
		st, err = sqlite.Open(file)
		require.NoError(t, err)
		db, err = sql.Open("sqlite", "file:"+file+"?_txlock=immediate&_pragma=busy_timeout(5000)&_pragma=foreign_keys(1)")
	}
	require.NoError(t, err)
	migrate(t, st)
	_, err = db.ExecContext(t.Context(), "CREATE TABLE tenants (name VARCHAR(50) PRIMARY KEY)")
	require.NoError(t, err)
	return hostedDoor(t, st, db, opts...)
}

func migrate(t *testing.T, st store.Store) {
	t.Helper()
	require.NoError(t, st.(store.Migrator).Migrate(t.Context()))
}

func hostedDoor(t *testing.T, st store.Store, db *sql.DB, opts ...auth.Option) hosted {
	t.Helper()
	t.Cleanup(func() { _ = st.Close() })
	t.Cleanup(func() { _ = db.Close() })
	return hosted{open(t, append([]auth.Option{auth.WithStore(st), auth.WithSiteURL("http://localhost:3000")}, opts...)...), db}
}

// begin begins a transaction of the host's and joins it.
func (h hosted) begin(t *testing.T) (*sql.Tx, *auth.Tx) {
	t.Helper()
	tx, err := h.db.BeginTx(t.Context(), nil)
	require.NoError(t, err)
	t.Cleanup(func() { _ = tx.Rollback() })
	in, err := h.Auth.In(t.Context(), tx)
	require.NoError(t, err)
	return tx, in
}

func TestInHostTransaction(t *testing.T) {
	h := openHosted(t)
	hash, err := h.Auth.HashPassword(t.Context(), goodPassword)
	require.NoError(t, err)

	t.Run("rolled back, nothing is there", func(t *testing.T) {
		tx, in := h.begin(t)
		_, err := in.Create(t.Context(), auth.NewUser{Email: "gone@example.com", PasswordHash: hash, EmailConfirmed: true})
		require.NoError(t, err)
		_, err = in.Invite(t.Context(), auth.Invitation{Email: "invited@example.com"})
		require.NoError(t, err)
		require.NoError(t, tx.Rollback())

		_, err = h.Auth.Users().FindByEmail(t.Context(), "gone@example.com")
		require.ErrorIs(t, err, &auth.Error{Code: "user_not_found"})
		h.Deliver()
		_, sent := h.Mail.Last("invited@example.com")
		require.False(t, sent, "a mail of a rolled-back transaction went out")
	})

	t.Run("committed, everything is there", func(t *testing.T) {
		tx, in := h.begin(t)
		u, err := in.Create(t.Context(), auth.NewUser{Email: "here@example.com", PasswordHash: hash, EmailConfirmed: true})
		require.NoError(t, err)
		role := "owner"
		u, err = in.Update(t.Context(), u.ID, auth.Change{Role: &role, UserMetadata: store.MakeObject(map[string]any{"tenant": "acme"})})
		require.NoError(t, err)
		require.Equal(t, "acme", u.UserMetadata.String("tenant"))
		g, err := in.Issue(t.Context(), u.ID, "host")
		require.NoError(t, err)
		_, err = in.Invite(t.Context(), auth.Invitation{Email: "colleague@example.com"})
		require.NoError(t, err)
		require.NoError(t, tx.Commit())

		h.send("GET", "/user", nil, bearer(g.AccessToken)).want(http.StatusOK, nil)
		require.Equal(t, "owner", h.signIn("here@example.com").User["role"])
		require.NotEmpty(t, h.LastMail("colleague@example.com").Link())

		tx, in = h.begin(t)
		require.NoError(t, in.SignOut(t.Context(), u.ID))
		require.NoError(t, tx.Commit())
		h.send("GET", "/user", nil, bearer(g.AccessToken)).wantFault(http.StatusForbidden, "session_not_found")
	})

	t.Run("a taken address is told and loses the transaction", func(t *testing.T) {
		tx, in := h.begin(t)
		_, err := in.Create(t.Context(), auth.NewUser{Email: "HERE@example.com"})
		require.ErrorIs(t, err, &auth.Error{Code: "email_exists"})
		_, err = in.Create(t.Context(), auth.NewUser{Email: "other@example.com"})
		require.Error(t, err)
		require.NoError(t, tx.Rollback())
	})

	t.Run("also if it was taken in the same transaction", func(t *testing.T) {
		_, in := h.begin(t)
		_, err := in.Create(t.Context(), auth.NewUser{Email: "twice@example.com"})
		require.NoError(t, err)
		_, err = in.Create(t.Context(), auth.NewUser{Email: "twice@example.com"})
		require.ErrorIs(t, err, &auth.Error{Code: "email_exists"})
	})

	t.Run("so is a taken number", func(t *testing.T) {
		_, err := h.Auth.Users().Create(t.Context(), auth.NewUser{Phone: "+4915112345678"})
		require.NoError(t, err)
		tx, in := h.begin(t)
		_, err = in.Create(t.Context(), auth.NewUser{Phone: "+4915112345678"})
		require.ErrorIs(t, err, &auth.Error{Code: "phone_exists"})
		require.NoError(t, tx.Rollback())
		_, in = h.begin(t)
		u, err := in.Create(t.Context(), auth.NewUser{Email: "third@example.com"})
		require.NoError(t, err)
		taken := "+49 151 12345678"
		_, err = in.Update(t.Context(), u.ID, auth.Change{Phone: &taken})
		require.ErrorIs(t, err, &auth.Error{Code: "phone_exists"})
	})

	t.Run("what is slow is refused", func(t *testing.T) {
		_, in := h.begin(t)
		_, err := in.Create(t.Context(), auth.NewUser{Email: "slow@example.com", Password: goodPassword})
		require.ErrorIs(t, err, &auth.Error{Code: "validation_failed"})
		password := goodPassword
		_, err = in.Update(t.Context(), uuid.New(), auth.Change{Password: &password})
		require.ErrorIs(t, err, &auth.Error{Code: "validation_failed"})
	})

	t.Run("a missing user is told", func(t *testing.T) {
		_, in := h.begin(t)
		_, err := in.Get(t.Context(), [16]byte{1})
		require.ErrorIs(t, err, &auth.Error{Code: "user_not_found"})
	})
}

func TestInRefusesAnotherDatabase(t *testing.T) {
	onlySQLite(t)
	h := openHosted(t)
	other, err := sql.Open("sqlite", "file:"+t.TempDir()+"/other.db?_txlock=immediate")
	require.NoError(t, err)
	defer other.Close()
	tx, err := other.BeginTx(t.Context(), nil)
	require.NoError(t, err)
	defer func() { _ = tx.Rollback() }()
	_, err = h.Auth.In(t.Context(), tx)
	require.ErrorContains(t, err, "settings")

	twin := openHosted(t)
	tx2, err := twin.db.BeginTx(t.Context(), nil)
	require.NoError(t, err)
	defer func() { _ = tx2.Rollback() }()
	_, err = h.Auth.In(t.Context(), tx2)
	require.ErrorContains(t, err, "another database")
}

// A write beside the host's open transaction fails in time; it doesn't hang.
func TestWriteBesideHostTransactionEnds(t *testing.T) {
	onlySQLite(t)
	file := t.TempDir() + "/app.db"
	st, err := sqlite.Open(file, sqlite.WithLockWait(200*time.Millisecond))
	require.NoError(t, err)
	t.Cleanup(func() { _ = st.Close() })
	a, err := auth.New(auth.WithStore(st))
	require.NoError(t, err)
	t.Cleanup(func() { _ = a.Close(t.Context()) })
	db, err := sql.Open("sqlite", "file:"+file+"?_txlock=immediate&_pragma=busy_timeout(200)")
	require.NoError(t, err)
	defer db.Close()
	tx, err := db.BeginTx(t.Context(), nil)
	require.NoError(t, err)
	defer func() { _ = tx.Rollback() }()

	_, err = a.Users().Create(t.Context(), auth.NewUser{Email: "stuck@example.com"})
	require.True(t, errors.Is(err, store.ErrUnavailable), "a write beside the host's open transaction: %v", err)
}
