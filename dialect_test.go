package auth_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"

	"github.com/truekeel/auth"
	"github.com/truekeel/auth/authtest"
)

// voice is the dialect of an answer, as it shows on the wire.
type voice string

const (
	gotrueVoice  voice = "GoTrue"
	keelVoice    voice = "Keel"
	unclearVoice voice = "unclear"
)

// methods are all that a client might send.
var methods = []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND"}

// request is one that both dialects might take for theirs.
type request struct {
	method, path, body string
	header             []header
}

// speakers are three servers over the same settings: with both dialects, and with each
// alone.
type speakers struct{ both, gotrue, keel *door }

func openSpeakers(t *testing.T) speakers {
	t.Helper()
	settings := []auth.Option{auth.WithAutoConfirm(true)}
	return speakers{
		both: open(t, settings...), gotrue: open(t, append(settings, auth.WithoutKeel())...),
		keel: open(t, append(settings, auth.WithoutGoTrue())...),
	}
}

// trait is what an answer shows but for what differs each time.
type trait struct {
	status                   int
	contentType, code, shape string
}

func traitOf(a answer) trait {
	shape := string(a.Body)
	for _, volatile := range []string{"access_token", "<html", "error_id"} {
		if strings.Contains(shape, volatile) {
			shape = volatile
		}
	}
	return trait{a.Status, a.Header.Get("Content-Type"), a.Header.Get("x-sb-error-code"), shape}
}

// heard says whose answer the server with both dialects gave, by comparing it with what
// each alone says.
func (s speakers) heard(r request) (voice, trait) {
	all := []answer{}
	for _, d := range []*door{s.both, s.gotrue, s.keel} {
		all = append(all, d.send(r.method, r.path, r.body, r.header...))
	}
	for i := range all {
		all[i].Body = []byte(strings.ReplaceAll(string(all[i].Body), []*door{s.both, s.gotrue, s.keel}[i].srv.URL, "URL"))
	}
	got, theirs, ours := traitOf(all[0]), traitOf(all[1]), traitOf(all[2])
	switch {
	case got == theirs && got == ours:
		return unclearVoice, got
	case got == theirs:
		return gotrueVoice, got
	case got == ours:
		return keelVoice, got
	}
	return voice("neither"), got
}

// TestDialectOfPaths: every path belongs to one of the dialects, whatever the method.
func TestDialectOfPaths(t *testing.T) {
	s := openSpeakers(t)
	tests := []struct {
		path  string
		owner func(method string) voice
	}{
		{"/authorize", func(m string) voice {
			if m == "GET" {
				return gotrueVoice
			}
			return keelVoice
		}},
		{"/authorize/", always(keelVoice)},
		{"/authorize/acme", always(keelVoice)},
		{"/authorize/acme/oops", always(keelVoice)},
		{"/authorizer", always(gotrueVoice)},
		{"/callback", always(gotrueVoice)},
		{"/callback/", always(gotrueVoice)},
		{"/callback/acme", always(keelVoice)},
		{"/callback/acme/oops", always(keelVoice)},
		{"/callbacks", always(gotrueVoice)},
		{"/providers", always(keelVoice)},
		{"/revoke", always(keelVoice)},
		{"/openapi.json", always(keelVoice)},
		{"/providers/", always(gotrueVoice)},
		{"/revoke/", always(gotrueVoice)},
		{"/token/", always(gotrueVoice)},
		{"/Token", always(gotrueVoice)},
		{"/logout", always(gotrueVoice)},
		{"/signup", always(gotrueVoice)},
		{"/otp", always(gotrueVoice)},
		{"/magiclink", always(gotrueVoice)},
		{"/recover", always(gotrueVoice)},
		{"/resend", always(gotrueVoice)},
		{"/reauthenticate", always(gotrueVoice)},
		{"/user", always(gotrueVoice)},
		{"/user/identities/authorize", always(gotrueVoice)},
		{"/factors", always(gotrueVoice)},
		{"/passkeys", always(gotrueVoice)},
		{"/sso", always(gotrueVoice)},
		{"/admin/users", always(gotrueVoice)},
		{"/invite", always(gotrueVoice)},
		{"/settings", always(gotrueVoice)},
		{"/oauth/token", always(gotrueVoice)},
		{"/.well-known/openid-configuration", always(gotrueVoice)},
		{"/", always(gotrueVoice)},
		{"/nothing", always(gotrueVoice)},
		{"/v1/token", always(gotrueVoice)},
		{"/v1/token?grant_type=token_exchange", always(gotrueVoice)},
		{"/v1/providers", always(gotrueVoice)},
		{"/v1/authorize/acme", always(gotrueVoice)},
		{"/v1/callback/acme", always(gotrueVoice)},
		{"/v1/revoke", always(gotrueVoice)},
	}
	for _, tt := range tests {
		for _, m := range methods {
			got, shown := s.heard(request{method: m, path: tt.path})
			if m == "HEAD" && got == unclearVoice {
				continue // without a body the two may say the same
			}
			require.Equal(t, tt.owner(m), got, "%s %s: %v", m, tt.path, shown)
		}
	}
	for _, shared := range []string{"/verify", "/health", "/.well-known/jwks.json"} {
		for _, m := range []string{"GET", "POST", "DELETE"} {
			got, shown := s.heard(request{method: m, path: shared, header: []header{{"Content-Type", jsonBody}}})
			if shared == "/.well-known/jwks.json" && m == "GET" {
				require.Equal(t, http.StatusOK, shown.status) // each has a key of its own
				continue
			}
			require.Equal(t, unclearVoice, got, "%s %s is neither's: %v", m, shared, shown)
		}
	}
}

func always(v voice) func(string) voice { return func(string) voice { return v } }

// TestDialectOfTokens: every combination of content type, grant in the query, header and
// body at /token is answered by the dialect that the rules name, whatever the method.
func TestDialectOfTokens(t *testing.T) {
	sequential(t)
	s := openSpeakers(t)
	types := []string{"", "application/json", "application/json; charset=utf-8", "text/plain", "application/text",
		"application/x-www-form-urlencoded", "APPLICATION/x-www-form-urlencoded; charset=utf-8"}
	queries := []string{"", "?grant_type=password", "?grant_type=refresh_token", "?grant_type=pkce", "?grant_type=id_token", "?grant_type=web3",
		"?grant_type=unknown", "?grant_type=", "?grant_type=token_exchange", "?grant_type=authorization_code", "?other=1"}
	bodies := []string{"", `{}`, `{"grant_type":"password"}`, `{"grant_type":7}`, `{"grant_type":null}`, `[`, "grant_type=password"}
	sdk := [][]header{nil, {{"apikey", "k"}}, {{"X-Client-Info", "supabase-js/2"}}, {versioned()}}

	rule := func(contentType, query, body string, fromSDK bool) voice {
		q, err := url.ParseQuery(strings.TrimPrefix(query, "?"))
		require.NoError(t, err)
		switch grant := q.Get("grant_type"); {
		case strings.HasPrefix(strings.ToLower(contentType), formBody):
			return keelVoice // D1
		case grant == "token_exchange" || grant == "authorization_code":
			return keelVoice // D2
		case q.Has("grant_type"):
			return gotrueVoice // D3
		case fromSDK && body != `{"grant_type":"password"}`:
			return gotrueVoice // D4
		}
		return keelVoice // D5
	}
	count := map[voice]int{}
	for _, method := range methods {
		for _, contentType := range types {
			for _, query := range queries {
				for _, body := range bodies {
					for _, headers := range sdk {
						if method != "POST" && (body != "" && body != `{"grant_type":"password"}`) {
							continue // the body counts as little as it does for others
						}
						r := request{method, "/token" + query, body, headers}
						if contentType != "" {
							r.header = append([]header{{"Content-Type", contentType}}, headers...)
						}
						got, shown := s.heard(r)
						if got == unclearVoice && method == "HEAD" {
							continue
						}
						want := rule(contentType, query, body, len(headers) > 0)
						require.Equal(t, want, got, "%s %s %q %q %v: %v", method, query, contentType, body, headers, shown)
						count[got]++
					}
				}
			}
		}
	}
	t.Logf("answered: %v", count)
}

// TestDialectKeepsTheBody: a body that was looked into reaches its dialect whole.
func TestDialectKeepsTheBody(t *testing.T) {
	d := open(t, auth.WithAutoConfirm(true))
	pad := strings.Repeat(" ", 100<<10)
	d.send("POST", "/token", `{"grant_type":"password","username":"a@example.com","password":"`+keelPassword+`"`+pad+`}`,
		header{"Content-Type", jsonBody}, header{"apikey", "k"}).granted(true)
	d.send("POST", "/token", `{"x":"`+strings.Repeat("x", 2<<20)+`"}`, header{"Content-Type", jsonBody}, header{"apikey", "k"}).
		wantFault(http.StatusBadRequest, "invalid_credentials")
}

// TestDialectBehindPrefixes: wherever the handler is mounted, the rules are the same.
func TestDialectBehindPrefixes(t *testing.T) {
	mounts := map[string]struct {
		base  string // of the URLs
		opts  []auth.Option
		mount func(mux *http.ServeMux, a http.Handler)
	}{
		"plain":          {"/auth", nil, func(m *http.ServeMux, a http.Handler) { m.Handle("/auth/", a) }},
		"stripped":       {"/auth", nil, func(m *http.ServeMux, a http.Handler) { m.Handle("/auth/", http.StripPrefix("/auth", a)) }},
		"stripped slash": {"/auth", nil, func(m *http.ServeMux, a http.Handler) { m.Handle("/auth/", http.StripPrefix("/auth/", a)) }},
		"elsewhere":      {"/x/y", []auth.Option{auth.WithBasePath("/x/y")}, func(m *http.ServeMux, a http.Handler) { m.Handle("/x/y/", a) }},
		"root":           {"", []auth.Option{auth.WithBasePath("/")}, func(m *http.ServeMux, a http.Handler) { m.Handle("/", a) }},
	}
	for name, tt := range mounts {
		t.Run(name, func(t *testing.T) {
			h := authtest.New(t, append([]auth.Option{auth.WithAutoConfirm(true)}, tt.opts...)...)
			mux := http.NewServeMux()
			tt.mount(mux, h.Auth)
			d := &door{Harness: h, t: t, url: h.Serve(mux).URL + tt.base}
			d.json("/token", passwordOf("user@example.com")).granted(true)
			d.json("/v1/token", passwordOf("user@example.com")).wantFault(http.StatusBadRequest, "invalid_credentials")
			d.post("/v1/token?grant_type=password", map[string]any{"email": "user@example.com", "password": keelPassword}).want(http.StatusOK, nil)
			d.post("/token?grant_type=password", map[string]any{"email": "user@example.com", "password": keelPassword}).want(http.StatusOK, nil)
			require.Equal(t, "[]", string(d.send("GET", "/providers", nil).Body))
			d.send("GET", "/v1/providers", nil).wantFault(http.StatusNotFound, "not_found")
		})
	}
}

// TestOnePersonInBothDialects: an account made in either dialect is good in the other,
// and what one ends is ended for both.
func TestOnePersonInBothDialects(t *testing.T) {
	d := open(t, auth.WithAutoConfirm(true))
	gotrueIn := func() (out tokenAnswer) {
		d.post("/token?grant_type=password", map[string]any{"email": "user@example.com", "password": keelPassword}).want(http.StatusOK, &out)
		return out
	}
	made := d.json("/token", passwordOf("user@example.com")).granted(true)
	there := gotrueIn()
	sub := claims(t, made.AccessToken)["sub"]
	require.Equal(t, sub, there.User["id"])
	d.send("GET", "/user", nil, bearer(made.AccessToken)).want(http.StatusOK, nil)

	// Each refresh token is good for its own dialect's grant alone.
	d.json("/token", fieldsOf{"grant_type": "refresh_token", "refresh_token": there.RefreshToken}).wantKeel(keelR2)
	d.post("/token?grant_type=refresh_token", map[string]any{"refresh_token": made.RefreshToken}).wantFault(http.StatusBadRequest, "validation_failed")
	next := d.json("/token", fieldsOf{"grant_type": "refresh_token", "refresh_token": made.RefreshToken}).granted(false)
	var theirs tokenAnswer
	d.post("/token?grant_type=refresh_token", map[string]any{"refresh_token": there.RefreshToken}).want(http.StatusOK, &theirs)

	// Revoked here, refused there.
	require.Equal(t, "null", string(d.json("/revoke", fieldsOf{"token": next.RefreshToken}).want(http.StatusOK, nil).Body))
	d.send("GET", "/user", nil, bearer(next.AccessToken)).wantFault(http.StatusForbidden, "session_not_found")
	d.send("GET", "/user", nil, bearer(theirs.AccessToken)).want(http.StatusOK, nil)
	d.json("/revoke", fieldsOf{"token": theirs.RefreshToken}).want(http.StatusOK, nil)
	d.post("/token?grant_type=refresh_token", map[string]any{"refresh_token": theirs.RefreshToken}).wantFault(http.StatusBadRequest, "refresh_token_not_found")

	// Signed out there, refused here; and the other way about an account of GoTrue's.
	again := d.json("/token", passwordOf("user@example.com")).granted(false)
	d.send("POST", "/logout", nil, bearer(gotrueIn().AccessToken)).want(http.StatusNoContent, nil)
	d.json("/token", fieldsOf{"grant_type": "refresh_token", "refresh_token": again.RefreshToken}).wantKeel(keelR2)

	d.post("/signup", map[string]any{"email": "other@example.com", "password": keelPassword}).want(http.StatusOK, nil)
	d.json("/token", passwordOf("other@example.com", fieldsOf{"create_if_not_exists": false})).granted(false)
}

// TestWellKnown: the metadata lies at the root of the host.
func TestWellKnown(t *testing.T) {
	k := auth.Keel{Providers: []auth.KeelProvider{{Type: "google", Name: "Google", ClientID: "id"}, {Type: "slack", Name: "slack", ClientID: "id"}}}
	h := authtest.New(t, auth.WithKeel(k), auth.WithSiteURL("https://app.example.com"), auth.WithExternalURL("https://api.example.com/keel/auth"))
	mux := http.NewServeMux()
	mux.Handle("/.well-known/oauth-authorization-server", h.Auth.WellKnown())
	srv := h.Serve(mux)
	d := &door{Harness: h, t: t, url: srv.URL}
	a := d.send("GET", "/.well-known/oauth-authorization-server", nil).want(http.StatusOK, nil)
	golden(t, "keel/metadata", a.Body)
	require.Equal(t, http.StatusOK, d.send("HEAD", "/.well-known/oauth-authorization-server", nil).Status)
	require.Equal(t, http.StatusMethodNotAllowed, d.send("POST", "/.well-known/oauth-authorization-server", nil).Status)

	off := authtest.New(t, auth.WithoutKeel())
	d = &door{Harness: off, t: t, url: off.Serve(off.Auth.WellKnown()).URL}
	require.Equal(t, http.StatusNotFound, d.send("GET", "/.well-known/oauth-authorization-server", nil).Status)

	local := authtest.New(t)
	d = &door{Harness: local, t: t, url: local.Serve(local.Auth.WellKnown()).URL}
	var m map[string]any
	d.send("GET", "/", nil).want(http.StatusOK, &m)
	require.Equal(t, d.url, m["issuer"])
	require.Equal(t, d.url+"/auth/token", m["token_endpoint"])
	require.NotContains(t, m, "authorization_endpoint")
	foreign := d.send("GET", "/", nil, header{"X-Forwarded-For", "192.0.2.1"})
	require.Equal(t, http.StatusMisdirectedRequest, foreign.Status)
}

// TestKeelWire pins what is on the wire.
func TestKeelWire(t *testing.T) {
	k := auth.Keel{Providers: []auth.KeelProvider{{Type: "oidc", Name: "My_Oidc", ClientID: "id", IssuerURL: "https://issuer.example"}}}
	d := openKeel(t, k, auth.WithSiteURL("https://app.example.com"))
	golden(t, "keel/openapi", d.send("GET", "/openapi.json", nil).want(http.StatusOK, nil).Body)
	golden(t, "keel/providers", d.send("GET", "/providers", nil).want(http.StatusOK, nil).Body)
	golden(t, "keel/error", d.json("/token", fieldsOf{"grant_type": "unknown"}).want(http.StatusBadRequest, nil).Body)
	golden(t, "keel/revoked", d.json("/revoke", fieldsOf{"token": "x"}).want(http.StatusOK, nil).Body)
	g := d.json("/token", passwordOf("user@example.com"))
	grant := g.granted(true)
	body := strings.NewReplacer(grant.RefreshToken, "<refresh token>").Replace(string(g.Body))
	golden(t, "keel/grant", []byte(body))
	require.Regexp(t, `^\{"access_token":"[^"]+","token_type":"bearer","expires_in":86400,"refresh_token":"[^"]+","identity_created":true\}$`, string(g.Body))
}

// TestKeelAccessToken: a token of this dialect has its issuer and the keyring's algorithm,
// opens the host's own routes, and is refused once it has expired.
func TestKeelAccessToken(t *testing.T) {
	d := openKeel(t, auth.Keel{AccessTokenLifetime: 6 * time.Minute})
	g := d.json("/token", passwordOf("user@example.com")).granted(true)
	require.Equal(t, 360, g.ExpiresIn)
	srv := d.Serve(d.Auth.RequireUser(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		u, _ := auth.UserFrom(r.Context())
		_, _ = w.Write([]byte(u.Email))
	})))
	ask := func() (int, string) {
		req, err := http.NewRequestWithContext(context.Background(), "GET", srv.URL, nil)
		require.NoError(t, err)
		req.Header.Set("Authorization", "Bearer "+g.AccessToken)
		resp, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		defer resp.Body.Close()
		buf := make([]byte, 1<<10)
		n, _ := resp.Body.Read(buf)
		return resp.StatusCode, string(buf[:n])
	}
	status, body := ask()
	require.Equal(t, http.StatusOK, status)
	require.Equal(t, "user@example.com", body)
	d.Clock.Advance(6 * time.Minute)
	status, _ = ask()
	require.Equal(t, http.StatusUnauthorized, status)
}

// TestKeelTokenAtTheHostsRoutes: the host's own API tells apart who brings no token, who
// brings none of ours, and whose account is gone.
func TestKeelTokenAtTheHostsRoutes(t *testing.T) {
	d := openKeel(t, auth.Keel{})
	g := d.json("/token", passwordOf("user@example.com")).granted(true)
	app := d.Auth.RequireActiveSession(http.HandlerFunc(who))
	require.Equal(t, "user@example.com", visit(app, bearer(g.AccessToken)).Body.String())
	shared := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims(claims(t, g.AccessToken)))
	forged, err := shared.SignedString([]byte("a secret that is long enough for HS256"))
	require.NoError(t, err)
	denied := func(code string, headers ...header) {
		t.Helper()
		w := visit(app, headers...)
		require.Equal(t, http.StatusUnauthorized, w.Code)
		var body struct{ Code, Message string }
		require.NoError(t, json.Unmarshal(w.Body.Bytes(), &body))
		require.Equal(t, code, body.Code)
		require.NotEmpty(t, body.Message)
	}
	denied("no_authorization")
	denied("no_authorization", header{"Authorization", g.AccessToken})
	denied("bad_jwt", bearer("whoops"))
	denied("bad_jwt", bearer(forged))
	require.NoError(t, d.Auth.Users().Delete(t.Context(), d.onlyUser().ID))
	denied("user_not_found", bearer(g.AccessToken))
}
