package auth_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/truekeel/auth"
	"github.com/truekeel/auth/store"
)

// who is a handler that says who came, as the middleware proved it.
func who(w http.ResponseWriter, r *http.Request) {
	u, ok := auth.UserFrom(r.Context())
	if !ok {
		_, _ = w.Write([]byte("nobody"))
		return
	}
	_, _ = w.Write([]byte(u.Email))
}

// visit sends a GET with headers to a handler.
func visit(h http.Handler, headers ...header) *httptest.ResponseRecorder {
	return ask(h, "GET", "http://app.example.com/api", "", headers...)
}

func TestRequireUser(t *testing.T) {
	d := open(t)
	p := d.User("ada@example.com", func(n *auth.NewUser) {
		n.AppMetadata = store.MakeObject(map[string]any{"plan": "pro"})
		n.UserMetadata = store.MakeObject(map[string]any{"name": "Ada"})
	})
	var got auth.User
	app := d.Auth.RequireUser(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got, _ = auth.UserFrom(r.Context()) }))
	require.Equal(t, http.StatusOK, visit(app, bearer(p.AccessToken)).Code, "any host, not just loopback")
	require.Equal(t, p.User.ID, got.ID)
	require.Equal(t, p.SessionID, got.SessionID)
	require.Equal(t, "ada@example.com", got.Email)
	require.Equal(t, "authenticated", got.Role)
	require.Equal(t, "aal1", got.AAL)
	require.False(t, got.IsAnonymous)
	require.JSONEq(t, `{"provider":"email","providers":["email"],"plan":"pro"}`, string(got.AppMetadata))
	require.JSONEq(t, `{"name":"Ada","email_verified":true}`, string(got.UserMetadata))

	w := visit(app)
	require.Equal(t, http.StatusUnauthorized, w.Code)
	require.Equal(t, "Bearer", w.Header().Get("WWW-Authenticate"), "RFC 6750, 3.1: no error code without a token")
	require.Equal(t, "no-store", w.Header().Get("Cache-Control"))
	require.JSONEq(t, `{"code":"no_authorization","message":"This endpoint requires a valid Bearer token"}`, w.Body.String())

	w = visit(app, bearer(p.AccessToken[:len(p.AccessToken)-2]))
	require.Equal(t, http.StatusUnauthorized, w.Code)
	require.Contains(t, w.Header().Get("WWW-Authenticate"), `Bearer error="invalid_token", error_description="`)
	var body struct{ Code string }
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &body))
	require.Equal(t, "bad_jwt", body.Code)

	d.Clock.Advance(2 * time.Hour)
	w = visit(app, bearer(p.AccessToken))
	require.Equal(t, http.StatusUnauthorized, w.Code)
	require.Contains(t, w.Body.String(), "expired")
}

func TestOptionalUser(t *testing.T) {
	d := open(t)
	p := d.User("ada@example.com")
	app := d.Auth.OptionalUser(http.HandlerFunc(who))
	require.Equal(t, "nobody", visit(app).Body.String())
	require.Equal(t, "nobody", visit(app, header{"Authorization", "Basic YTpi"}).Body.String(), "another scheme brings no token")
	require.Equal(t, "ada@example.com", visit(app, bearer(p.AccessToken)).Body.String())
	for _, bad := range []string{"Bearer x", "Bearer ", "bearer a b"} {
		require.Equal(t, http.StatusUnauthorized, visit(app, header{"Authorization", bad}).Code, bad)
	}
}

func TestRequireRole(t *testing.T) {
	d := open(t)
	user := d.User("ada@example.com")
	staff := d.User("eve@example.com", func(n *auth.NewUser) { n.Role = "staff" })
	app := d.Auth.RequireRole("staff", "owner")(http.HandlerFunc(who))
	require.Equal(t, "eve@example.com", visit(app, bearer(staff.AccessToken)).Body.String())
	w := visit(app, bearer(user.AccessToken))
	require.Equal(t, http.StatusForbidden, w.Code)
	require.Contains(t, w.Header().Get("WWW-Authenticate"), `error="insufficient_scope"`)
	require.Contains(t, w.Body.String(), "insufficient_role")
	require.Equal(t, http.StatusUnauthorized, visit(app).Code)
	none := d.Auth.RequireRole()(http.HandlerFunc(who))
	require.Equal(t, http.StatusForbidden, visit(none, bearer(staff.AccessToken)).Code)
}

func TestRequireActiveSession(t *testing.T) {
	d := open(t, auth.WithSessionLimits(auth.SessionLimits{Timebox: 30 * time.Minute}))
	app := d.Auth.RequireActiveSession(http.HandlerFunc(who))
	trusting := d.Auth.RequireUser(http.HandlerFunc(who))
	for name, end := range map[string]struct {
		do   func(p auth.Grant) error
		code string
	}{
		"sign-out": {func(p auth.Grant) error { return d.Auth.Users().SignOut(t.Context(), p.User.ID) }, "session_not_found"},
		"ban": {func(p auth.Grant) error {
			return d.Auth.Users().Ban(t.Context(), p.User.ID, d.Clock.Now().Add(time.Hour))
		}, "user_banned"},
		"delete": {func(p auth.Grant) error { return d.Auth.Users().Delete(t.Context(), p.User.ID) }, "user_not_found"},
		"soft":   {func(p auth.Grant) error { return d.Auth.Users().SoftDelete(t.Context(), p.User.ID) }, "session_not_found"},
		"time":   {func(auth.Grant) error { d.Clock.Advance(31 * time.Minute); return nil }, "session_expired"},
	} {
		t.Run(name, func(t *testing.T) {
			p := d.User(name + "@example.com")
			require.Equal(t, http.StatusOK, visit(app, bearer(p.AccessToken)).Code)
			require.NoError(t, end.do(p.Grant))
			w := visit(app, bearer(p.AccessToken))
			require.Equal(t, http.StatusUnauthorized, w.Code)
			require.Contains(t, w.Body.String(), end.code)
			require.Contains(t, w.Header().Get("WWW-Authenticate"), `error="invalid_token"`)
			require.Equal(t, http.StatusOK, visit(trusting, bearer(p.AccessToken)).Code, "the token itself is good until it expires")
		})
	}
}

// A verified token costs no database read, not even a first one: it works while the
// database doesn't.
func TestRequireUserReadsNoDatabase(t *testing.T) {
	s := tap(t)
	d := open(t, auth.WithStore(s))
	p, q := d.User("ada@example.com"), d.User("eve@example.com")
	s.fail(storeFault{err: store.ErrUnavailable})
	app := d.Auth.RequireUser(http.HandlerFunc(who))
	reads, txs := s.reads.Load(), s.txs.Load()
	for range 10 {
		require.Equal(t, "ada@example.com", visit(app, bearer(p.AccessToken)).Body.String())
	}
	require.Equal(t, "eve@example.com", visit(d.Auth.RequireRole("authenticated")(app), bearer(q.AccessToken)).Body.String())
	require.Equal(t, reads, s.reads.Load())
	require.Equal(t, txs, s.txs.Load())

	w := visit(d.Auth.RequireActiveSession(app), bearer(p.AccessToken))
	require.Equal(t, http.StatusServiceUnavailable, w.Code)
	require.Equal(t, "1", w.Header().Get("Retry-After"))
	s.heal()
	require.Equal(t, http.StatusOK, visit(d.Auth.RequireActiveSession(app), bearer(p.AccessToken)).Code)
}

func TestTwoAuthsInOneProgram(t *testing.T) {
	one, two := open(t), open(t)
	p, q := one.User("ada@example.com"), two.User("eve@example.com")
	require.Equal(t, http.StatusUnauthorized, visit(one.Auth.RequireUser(http.HandlerFunc(who)), bearer(q.AccessToken)).Code)
	// What one proved is nothing to the other.
	nested := one.Auth.RequireUser(two.Auth.RequireUser(http.HandlerFunc(who)))
	require.Equal(t, http.StatusUnauthorized, visit(nested, bearer(p.AccessToken)).Code)
	role := one.Auth.RequireUser(two.Auth.RequireRole("authenticated")(http.HandlerFunc(who)))
	require.Equal(t, http.StatusUnauthorized, visit(role, bearer(p.AccessToken)).Code)
}

// Middlewares may lie in each other; the inner one does no work again.
func TestNestedMiddleware(t *testing.T) {
	d := open(t)
	p := d.User("ada@example.com")
	app := d.Auth.OptionalUser(d.Auth.RequireUser(d.Auth.RequireActiveSession(d.Auth.RequireRole("authenticated")(d.Auth.OptionalUser(http.HandlerFunc(who))))))
	require.Equal(t, "ada@example.com", visit(app, bearer(p.AccessToken)).Body.String())
	// A handler that takes the header away doesn't take the user away.
	drop := d.Auth.RequireUser(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Header.Del("Authorization")
		d.Auth.OptionalUser(d.Auth.RequireUser(http.HandlerFunc(who))).ServeHTTP(w, r)
	}))
	require.Equal(t, "ada@example.com", visit(drop, bearer(p.AccessToken)).Body.String())
}

func TestClaimsFromGivesACopy(t *testing.T) {
	d := open(t)
	p := d.User("ada@example.com")
	app := d.Auth.RequireUser(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, ok := auth.ClaimsFrom(r.Context())
		require.True(t, ok)
		require.Equal(t, "authenticated", c.Role)
		require.Equal(t, []string{"authenticated"}, c.Audience)
		require.Equal(t, "password", c.AMR[0].Method)
		c.Role, c.Subject, c.Audience[0], c.AMR[0].Method = "service_role", "x", "x", "x"
		again, _ := auth.ClaimsFrom(r.Context())
		require.Equal(t, "authenticated", again.Role)
		who(w, r)
	}))
	for range 3 { // from the cache, too
		require.Equal(t, "ada@example.com", visit(app, bearer(p.AccessToken)).Body.String())
	}
	_, ok := auth.ClaimsFrom(context.Background())
	require.False(t, ok)
	_, ok = auth.UserFrom(context.Background())
	require.False(t, ok)
}
