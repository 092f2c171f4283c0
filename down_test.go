package auth_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/truekeel/auth"
	"github.com/truekeel/auth/store"
)

var errDisk = errors.New("the disk is full of secrets")

// failure is a way in which a store fails, with the answer to it.
type failure struct {
	name   string
	fault  storeFault
	status int
	code   string
}

func failures() []failure {
	return []failure{
		{"down", storeFault{err: fmt.Errorf("%w: %w", store.ErrUnavailable, errDisk)}, http.StatusServiceUnavailable, "service_unavailable"},
		{"broken", storeFault{err: errDisk}, http.StatusInternalServerError, "unexpected_failure"},
		{"down for writes", storeFault{err: store.ErrUnavailable, readsOK: true}, http.StatusServiceUnavailable, "service_unavailable"},
		{"down at commit", storeFault{err: store.ErrUnavailable, readsOK: true, atCommit: true}, http.StatusServiceUnavailable, "service_unavailable"},
	}
}

// While the store fails no route says that something was done: it asks to come again
// where that helps, and says in its log alone what is wrong.
func TestEveryRouteWithAFailingStore(t *testing.T) {
	for _, f := range failures() {
		t.Run(f.name, func(t *testing.T) {
			s := tap(t)
			acme := newIdP("acme")
			d, service := openService(t, auth.WithStore(s), auth.WithMailFrequency(0), auth.WithProvider(acme), auth.WithManualLinking(true))
			p := d.User("ada@example.com", func(n *auth.NewUser) { n.Password = goodPassword })
			other := d.User("other@example.com")
			const someone = "11111111-2222-4333-8444-555555555555" // as in routes
			good := map[string]string{
				"POST /signup": `{"email":"new@example.com","password":"correct horse battery"}`, "POST /token?grant_type=password": `{"email":"ada@example.com","password":"correct horse battery"}`,
				"POST /token?grant_type=refresh_token": `{"refresh_token":"` + p.RefreshToken + `"}`, "POST /token?grant_type=pkce": `{"auth_code":"abc","code_verifier":"def"}`,
				"POST /token?grant_type=id_token": `{"provider":"acme","id_token":"new"}`, "POST /token?grant_type=id_token&linking": `{"provider":"acme","id_token":"linked","link_identity":true}`,
				"POST /verify": `{"type":"signup","email":"ada@example.com","token":"123456"}`, "POST /recover": `{"email":"ada@example.com"}`, "POST /otp": `{"email":"ada@example.com"}`,
				"POST /magiclink": `{"email":"ada@example.com"}`, "POST /resend": `{"type":"signup","email":"ada@example.com"}`, "PUT /user": `{"data":{"a":1}}`, "POST /invite": `{"email":"new@example.com"}`,
				"POST /admin/generate_link": `{"type":"recovery","email":"ada@example.com"}`, "POST /admin/users": `{"email":"new@example.com"}`, "POST /admin/users/" + someone: `{"email":"new@example.com"}`,
				"GET /user": "", "GET /reauthenticate": "", "POST /logout": "", "GET /admin/users": "", "GET /admin/audit": "", "GET /health": "", "HEAD /health": "",
				"GET /user/identities/authorize?provider=acme": "", "DELETE /user/identities/" + someone: "",
			}
			reads := map[string]bool{"GET /user/identities/authorize?provider=acme": true, "GET /user": true, "GET /admin/users": true, "GET /admin/audit": true, "GET /health": true, "HEAD /health": true, "POST /verify": true, "GET /admin/users/" + other.User.ID.String(): true}
			refusesFirst := map[string]bool{"POST /token?grant_type=pkce": true, "DELETE /user/identities/" + someone: true}
			for _, m := range []string{"GET", "PUT", "DELETE"} {
				good[m+" /admin/users/"+other.User.ID.String()] = "{}"
			}
			asked := map[string]bool{}
			note := func(method, path string) {
				path, _, _ = strings.Cut(path, "?")
				path = strings.Replace(path, other.User.ID.String(), someone, 1)
				asked[method+" "+strings.Replace(path, "identities/"+someone, "identities/{identity_id}", 1)] = true
			}
			for request, body := range good {
				var method, path string
				_, err := fmt.Sscan(request, &method, &path)
				require.NoError(t, err)
				note(method, path)
				if f.fault.readsOK && reads[request] || f.fault.atCommit && refusesFirst[request] {
					continue // it reads alone, or refuses before it writes
				}
				h := bearer(p.AccessToken)
				if strings.HasPrefix(path, "/admin") || path == "/invite" {
					h = service
				}
				acme.knows("new", acme.someone("1", "new@example.com", true))
				acme.knows("linked", acme.someone("2", "linked@example.com", true))
				s.fail(f.fault)
				a := d.send(method, path, body, h)
				require.Equal(t, f.status, a.Status, "%s: %s", request, a.Body)
				require.Equal(t, f.code, a.Header.Get("x-sb-error-code"), request)
				require.Equal(t, f.status == http.StatusServiceUnavailable, a.Header.Get("Retry-After") != "", request)
				require.NotContains(t, string(a.Body), "disk")
				s.heal()
			}

			require.Len(t, d.accounts(), 2, "nothing was done")
			d.Deliver()
			require.Empty(t, d.Mail.Messages())
			d.send("GET", "/user", nil, bearer(p.AccessToken)).want(http.StatusOK, nil)
			require.Equal(t, "false", d.refresh(p.RefreshToken).want(http.StatusOK, nil).Header.Get("sb-auth-refresh-token-reuse"))

			// What needs no store goes on.
			s.fail(f.fault)
			for _, path := range []string{"/settings", "/.well-known/jwks.json", "/.well-known/openid-configuration"} {
				d.send("HEAD", path, nil).want(http.StatusOK, nil)
				d.send("GET", path, nil).want(http.StatusOK, nil)
				note("HEAD", path)
				note("GET", path)
			}
			d.send("GET", "/verify?type=signup&token="+strings.Repeat("ab", 28), nil).want(http.StatusOK, nil)
			note("GET", "/verify")
			require.Equal(t, f.fault.readsOK, d.Auth.Ready(t.Context()) == nil)
			s.heal()
			for _, r := range routes(t) {
				if r.path == "/authorize" || r.path == "/callback" {
					continue // see TestProviderWithAFailingStore
				}
				require.True(t, asked[r.method+" "+r.path], "%s %s wasn't asked", r.method, r.path)
			}
		})
	}
}

// The same of Keel's endpoints: a token that could not be revoked isn't said to be.
func TestKeelWithAFailingStore(t *testing.T) {
	for _, f := range failures() {
		t.Run(f.name, func(t *testing.T) {
			s := tap(t)
			d := openKeel(t, auth.Keel{RedirectURL: "https://app.example.com/in"}, auth.WithStore(s), auth.WithProvider(newIdP("acme")))
			g := d.json("/token", passwordOf("user@example.com")).granted(true)
			failing := func(send func() answer) answer {
				s.fail(f.fault)
				defer s.heal()
				a := send()
				require.Equal(t, f.status, a.Status, "%s", a.Body)
				require.Equal(t, jsonBody, a.Header.Get("Content-Type"))
				require.NotContains(t, string(a.Body), "disk")
				if f.status == http.StatusInternalServerError {
					require.Equal(t, "null", string(a.Body))
					return a
				}
				require.Equal(t, "temporarily_unavailable", a.object()["error"])
				require.NotEmpty(t, a.Header.Get("Retry-After"))
				return a
			}
			refresh := fieldsOf{"grant_type": "refresh_token", "refresh_token": g.RefreshToken}
			failing(func() answer { return d.json("/revoke", fieldsOf{"token": g.RefreshToken}) })
			failing(func() answer { return d.json("/token", refresh) })
			failing(func() answer { return d.json("/token", passwordOf("user@example.com")) })
			failing(func() answer { return d.json("/token", passwordOf("new@example.com")) })
			if !f.fault.atCommit { // it is one statement, and reads alone
				failing(func() answer { return d.send("GET", "/authorize/acme", nil) })
				failing(func() answer { return d.json("/token", fieldsOf{"grant_type": "authorization_code", "code": "x"}) })
			}
			d.onlyUser()
			d.json("/token", refresh).granted(false)
		})
	}
}

// The same of the way to a provider and back.
func TestProviderWithAFailingStore(t *testing.T) {
	for _, f := range failures() {
		t.Run(f.name, func(t *testing.T) {
			s := tap(t)
			w := &town{store: s, acme: newIdP("acme"), umb: newIdP("umbrella")}
			w.door = open(t, auth.WithStore(s), auth.WithProvider(w.acme, w.umb))
			b := w.browser()
			if !f.fault.atCommit { // it is one statement
				s.fail(f.fault)
				w.send("GET", "/authorize?provider=acme", nil).wantFault(f.status, f.code)
				s.heal()
			}
			state := b.leave(url.Values{"provider": {"acme"}}).Query().Get("state")
			w.acme.knows("c", w.acme.someone("1", "ada@example.com", true))
			w.unchanged(func() {
				s.fail(f.fault)
				landed := b.comeBack(url.Values{"state": {state}, "code": {"c"}})
				s.heal()
				require.Equal(t, f.code, landed.Query().Get("error_code"), "ended at %s", landed)
				want := map[int]string{http.StatusServiceUnavailable: "temporarily_unavailable", http.StatusInternalServerError: "server_error"}
				require.Equal(t, want[f.status], landed.Query().Get("error"))
				require.NotContains(t, landed.String(), "disk")
			})
		})
	}
}

// slow is a store whose transactions take until their context ends.
type slow struct{ store.Store }

func (s slow) Tx(ctx context.Context, _ func(store.Store) error) error {
	<-ctx.Done()
	return ctx.Err()
}

func TestRequestTimeout(t *testing.T) {
	s := tap(t)
	d := open(t, auth.WithStore(slow{s}), auth.WithRequestTimeout(20*time.Millisecond))
	a := d.post("/signup", map[string]any{"email": "ada@example.com", "password": goodPassword})
	a.wantFault(http.StatusGatewayTimeout, "request_timeout")
}

// crashing is a store that panics.
type crashing struct{ store.Store }

func (crashing) Tx(context.Context, func(store.Store) error) error { panic("a secret") }

func TestPanicsAreAnswered(t *testing.T) {
	d := open(t, auth.WithStore(crashing{tap(t)}))
	a := d.post("/signup", map[string]any{"email": "ada@example.com", "password": goodPassword})
	a.wantFault(http.StatusInternalServerError, "unexpected_failure")
	require.NotContains(t, string(a.Body), "secret")
	require.NotEmpty(t, a.object()["error_id"], "an id to look for in the log")
}
