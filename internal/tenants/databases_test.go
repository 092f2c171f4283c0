package tenants_test

import (
	"database/sql"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/truekeel/auth/internal/tenants"
	"github.com/truekeel/auth/internal/testdb"
)

// everywhere runs a test over each database that is there. tables counts what is left
// of an instance.
func everywhere(t *testing.T, run func(t *testing.T, h *house, tables func(id uuid.UUID) int)) {
	count := func(t *testing.T, db *sql.DB, query, name string) int {
		var n int
		require.NoError(t, db.QueryRowContext(t.Context(), query, name).Scan(&n))
		return n
	}
	t.Run("postgres", func(t *testing.T) {
		dsn := testdb.PostgresDSN(t)
		schema := testdb.PostgresSchema(t, dsn)
		db, err := sql.Open("pgx", dsn+"&search_path="+schema)
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, db.Close()) })
		_, err = db.ExecContext(t.Context(), "CREATE SCHEMA "+schema)
		require.NoError(t, err)
		home := tenants.Schemas{DB: db, Kind: tenants.Postgres}
		run(t, openOn(t, t.TempDir(), db, tenants.Postgres, home), func(id uuid.UUID) int {
			return count(t, db, "SELECT count(*) FROM information_schema.tables WHERE table_schema = $1", tenants.Name(home, id))
		})
	})
	t.Run("mysql", func(t *testing.T) {
		db, err := sql.Open("mysql", testdb.MySQLDSN(t))
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, db.Close()) })
		home := tenants.Schemas{DB: db, Kind: tenants.MySQL}
		run(t, openOn(t, t.TempDir(), db, tenants.MySQL, home), func(id uuid.UUID) int {
			return count(t, db, "SELECT count(*) FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name LIKE ?", tenants.Name(home, id)+"%")
		})
	})
}

func TestInstancesInDatabaseServers(t *testing.T) {
	everywhere(t, func(t *testing.T, h *house, tables func(uuid.UUID) int) {
		var ids [2]uuid.UUID
		var wg sync.WaitGroup
		for n, name := range []string{"blue", "red"} {
			ids[n] = uuid.New()
			wg.Go(func() {
				h.operate("POST", "/instances", object{"uuid": ids[n], "config": site(name)}).want(http.StatusCreated, nil)
			})
		}
		wg.Wait()
		blue, red := ids[0], ids[1]
		defer func() {
			h.operate("DELETE", "/instances/"+red.String(), nil).want(http.StatusNoContent, nil)
			require.Zero(t, tables(red))
		}()
		s := h.member(blue, "ada@example.com")
		require.Positive(t, tables(blue))
		login := object{"email": "ada@example.com", "password": goodPassword}
		h.to(red, "POST", "/token?grant_type=password", login).want(http.StatusBadRequest, nil)
		h.to(red, "POST", "/token?grant_type=refresh_token", object{"refresh_token": s.RefreshToken}).want(http.StatusBadRequest, nil)
		h.member(red, "ada@example.com")
		h.send("GET", "http://auth.blue.example/user", nil, "Authorization", "Bearer "+s.AccessToken).want(http.StatusOK, nil)
		h.send("GET", "http://auth.red.example/user", nil, "Authorization", "Bearer "+s.AccessToken).want(http.StatusForbidden, nil)

		h.operate("POST", "/instances", object{"uuid": blue}).want(http.StatusBadRequest, nil)
		taken := h.operate("POST", "/instances", object{"config": object{"hosts": []string{"auth.red.example"}}}).want(http.StatusBadRequest, nil)
		require.Contains(t, taken.Body, "host")
		h.operate("PUT", "/instances/"+blue.String(), object{"config": object{"jwt": object{"secret": strings.Repeat("another", 8)}}}).want(http.StatusOK, nil)
		h.to(blue, "GET", "/user", nil, "Authorization", "Bearer "+s.AccessToken).want(http.StatusForbidden, nil)

		h.operate("DELETE", "/instances/"+blue.String(), nil).want(http.StatusNoContent, nil)
		require.Zero(t, tables(blue))
		h.to(blue, "GET", "/settings", nil).want(http.StatusNotFound, nil)
		h.operate("POST", "/instances", object{"uuid": blue}).want(http.StatusBadRequest, nil)
		h.to(red, "POST", "/token?grant_type=password", login).want(http.StatusOK, nil)
	})
}
