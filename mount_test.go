package auth_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/truekeel/auth"
	"github.com/truekeel/auth/authtest"
	"github.com/truekeel/auth/mail"
)

// serve answers a request by a handler.
func serve(h http.Handler, r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// ask sends JSON to a handler.
func ask(h http.Handler, method, target, body string, headers ...header) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	for _, h := range headers {
		r.Header.Add(h.name, h.value)
	}
	if host := r.Header.Get("Host"); host != "" {
		r.Host = host
	}
	return serve(h, r)
}

// group is a router that finds a handler by the path's beginning and leaves the path as
// it is, as those of chi, echo and gin do.
type group map[string]http.Handler

func (g group) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	for prefix, h := range g {
		if strings.HasPrefix(r.URL.Path, prefix) {
			h.ServeHTTP(w, r)
			return
		}
	}
	http.NotFound(w, r)
}

// However a host mounts the handler, the same endpoints answer, and links lead there.
func TestMounts(t *testing.T) {
	mux := func(pattern string, wrap func(http.Handler) http.Handler) func(http.Handler) http.Handler {
		return func(a http.Handler) http.Handler {
			m := http.NewServeMux()
			m.Handle(pattern, wrap(a))
			return m
		}
	}
	same := func(h http.Handler) http.Handler { return h }
	strip := func(prefix string) func(http.Handler) http.Handler {
		return func(h http.Handler) http.Handler { return http.StripPrefix(prefix, h) }
	}
	tests := []struct {
		name, base string
		mount      func(http.Handler) http.Handler
		at         string // where a client finds it
	}{
		{"mux", "", mux("/auth/", same), "/auth"},
		{"mux, by host", "", mux("localhost/auth/", same), "/auth"},
		{"mux, versioned", "", mux("/auth/v1/", same), "/auth/v1"},
		{"strip", "", mux("/auth/", strip("/auth")), "/auth"},
		{"strip with slash", "", mux("/auth/", strip("/auth/")), "/auth"},
		{"strip, versioned", "", mux("/auth/", strip("/auth/v1")), "/auth/v1"},
		{"group", "", func(a http.Handler) http.Handler { return group{"/auth": a} }, "/auth"},
		{"alone", "/", same, ""},
		{"alone, versioned", "/", same, "/v1"},
		{"deep", "/x/auth", mux("/x/auth/", same), "/x/auth"},
		{"deep, strip", "/x/auth", mux("/x/auth/", strip("/x/auth")), "/x/auth"},
		{"deep, group", "/x/auth", func(a http.Handler) http.Handler { return group{"/x/auth": a} }, "/x/auth"},
		{"base with version", "/auth/v1", mux("/auth/v1/", same), "/auth/v1"},
		{"base with slash", "/auth/", mux("/auth/", same), "/auth"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var opts []auth.Option
			base := "/auth"
			if tt.base != "" {
				opts = append(opts, auth.WithBasePath(tt.base))
				base = strings.TrimSuffix(tt.base, "/")
			}
			h := authtest.New(t, opts...)
			app := tt.mount(h.Auth)
			origin := "http://localhost:8080"
			for _, path := range []string{"/settings", "/settings/", "/health", "/.well-known/jwks.json"} {
				require.Equal(t, http.StatusOK, ask(app, "GET", origin+tt.at+path, "").Code, path)
			}
			for _, path := range []string{"/nothing", "/", "/settings/settings"} {
				w := ask(app, "GET", origin+tt.at+path, "")
				require.Equal(t, http.StatusNotFound, w.Code, path)
				require.Equal(t, "not_found", w.Header().Get("x-sb-error-code"))
			}
			w := ask(app, "POST", origin+tt.at+"/signup", `{"email":"ada@example.com","password":"correct horse battery"}`)
			require.Equal(t, http.StatusOK, w.Code, w.Body)
			link := h.LastMail("ada@example.com").Link()
			require.True(t, strings.HasPrefix(link, origin+base+"/verify?"), link)
			if base != tt.at {
				return // the host mounts it at a version only: it would tell so by WithBasePath
			}
			require.Equal(t, http.StatusOK, ask(app, "GET", link, "").Code)
			u, err := url.Parse(link)
			require.NoError(t, err)
			w = ask(app, "POST", link, u.RawQuery, header{"Content-Type", "application/x-www-form-urlencoded"})
			require.NotEqual(t, http.StatusNotFound, w.Code)
		})
	}
}

// hostileHosts are headers by which somebody would have links lead elsewhere.
var hostileHosts = []header{
	{"Host", "evil.example"}, {"Host", "localhost.evil.example"}, {"Host", "app.example.com@evil.example"}, {"Host", "evil.example:443"}, {"Host", "[::1].evil.example"},
	{"X-Forwarded-Host", "evil.example"}, {"X-Forwarded-Proto", "javascript"}, {"Forwarded", `host=evil.example;proto=https`}, {"X-Original-Host", "evil.example"}, {"X-Host", "evil.example"},
	{"X-Forwarded-Server", "evil.example"}, {"X-Forwarded-Prefix", "/evil"}, {"X-Rewrite-URL", "/evil"}, {"X-Original-URL", "/evil"}, {"Origin", "https://evil.example"}, {"Referer", "https://evil.example/"}, {"redirect_to", "https://evil.example/"},
}

// Whatever a request says of hosts, mails lead to the configured place.
func TestLinksLeadToTheConfiguredPlace(t *testing.T) {
	box := &mail.Mailbox{}
	d, service := openService(t, auth.WithSiteURL("https://app.example.com"), auth.WithExternalURL("https://api.example.com/auth"),
		auth.WithMailer(box), auth.WithMailFrequency(0))
	d.User("known@example.com", func(n *auth.NewUser) { n.Password = goodPassword })
	p := d.User("changes@example.com")
	n := 0
	for _, h := range hostileHosts {
		n++
		requests := []struct{ method, path, body string }{
			{"POST", "/signup", fmt.Sprintf(`{"email":"new%d@example.com","password":"correct horse battery"}`, n)},
			{"POST", "/signup", `{"email":"known@example.com","password":"correct horse battery"}`},
			{"POST", "/recover", `{"email":"known@example.com"}`},
			{"POST", "/otp", `{"email":"known@example.com"}`},
			{"POST", "/magiclink", fmt.Sprintf(`{"email":"link%d@example.com"}`, n)},
			{"POST", "/resend", `{"type":"signup","email":"new1@example.com"}`},
			{"PUT", "/user", fmt.Sprintf(`{"email":"change%d@example.com"}`, n)},
			{"POST", "/invite", fmt.Sprintf(`{"email":"invite%d@example.com"}`, n)},
			{"POST", "/admin/generate_link", `{"type":"recovery","email":"known@example.com"}`},
		}
		for _, q := range requests {
			box.Clear()
			headers := []header{bearer(p.AccessToken), h}
			if strings.HasPrefix(q.path, "/admin") || q.path == "/invite" {
				headers[0] = service
			}
			w := ask(d.Auth, q.method, "http://api.example.com/auth"+q.path, q.body, headers...)
			require.Equal(t, http.StatusOK, w.Code, "%s %v: %s", q.path, h, w.Body)
			require.NotContains(t, w.Body.String(), "evil")
			d.Deliver()
			if q.path == "/admin/generate_link" {
				require.Contains(t, w.Body.String(), `"action_link":"https://api.example.com/auth/verify?`)
				continue
			}
			require.NotEmpty(t, box.Messages(), "%s %v", q.path, h)
			for _, m := range box.Messages() {
				require.NotContains(t, m.Text+m.HTML+m.Subject, "evil", "%s %v", q.path, h)
				if link := m.Link(); strings.Contains(link, "token=") {
					require.True(t, strings.HasPrefix(link, "https://api.example.com/auth/verify?"), link)
					require.True(t, strings.HasSuffix(link, "redirect_to="+url.QueryEscape("https://app.example.com")), link)
				}
			}
		}
	}
	require.Contains(t, ask(d.Auth, "GET", "http://evil.example/auth/.well-known/openid-configuration", "").Body.String(), `"issuer":"https://api.example.com/auth"`)
}

// Where a request came to one of the listed hosts, or a proxy noted that it did, links lead
// to that host, under the path of the external URL; else to the external URL.
func TestLinksLeadToListedHosts(t *testing.T) {
	h := authtest.New(t, auth.WithSiteURL("https://app.example.com"), auth.WithExternalURL("https://api.example.com/auth"),
		auth.WithExternalHosts("auth.example.org", "Login.example.org:8443", "localhost:9999"))
	const configured = "https://api.example.com/auth"
	for n, tt := range []struct {
		host    string
		headers []header
		want    string
	}{
		{"auth.example.org", nil, "https://auth.example.org/auth"},
		{"AUTH.example.org", nil, "https://auth.example.org/auth"},
		{"login.example.org:8443", nil, "https://login.example.org:8443/auth"},
		{"login.example.org", nil, configured},
		{"localhost:9999", nil, "http://localhost:9999/auth"},
		{"localhost:9999", []header{{"X-Forwarded-Proto", "https"}}, "https://localhost:9999/auth"},
		{"10.0.0.7", []header{{"X-Forwarded-Host", "auth.example.org"}}, "https://auth.example.org/auth"},
		{"10.0.0.7", []header{{"X-Forwarded-Host", "evil.example"}}, configured},
		{"auth.example.org", []header{{"X-Forwarded-Host", "evil.example"}}, "https://auth.example.org/auth"},
		{"auth.example.org.evil.example", nil, configured},
		{"auth.example.org", []header{{"X-Forwarded-Proto", "javascript"}}, "https://auth.example.org/auth"},
	} {
		email := fmt.Sprintf("user%d@example.com", n)
		w := ask(h.Auth, "POST", "http://"+tt.host+"/auth/signup", `{"email":"`+email+`","password":"correct horse battery"}`, tt.headers...)
		require.Equal(t, http.StatusOK, w.Code, w.Body)
		link := h.LastMail(email).Link()
		require.True(t, strings.HasPrefix(link, tt.want+"/verify?"), "%s %v: %s", tt.host, tt.headers, link)
	}
}

// Until it is told where it is, the server answers this machine alone.
func TestForeignHosts(t *testing.T) {
	h := authtest.New(t)
	body := `{"email":"ada@example.com","password":"correct horse battery"}`
	for _, host := range []string{"localhost", "localhost:8080", "127.0.0.1:8080", "[::1]:8080", "app.localhost:3000", "LOCALHOST"} {
		require.Equal(t, http.StatusOK, ask(h.Auth, "GET", "http://localhost/auth/settings", "", header{"Host", host}).Code, host)
	}
	for _, host := range []string{"example.com", "localhost.example.com", "127.0.0.1.nip.io", "10.0.0.1", "0.0.0.0", "localhost:x", "localhost@evil.example", "[fe80::1]"} {
		for _, path := range []string{"/settings", "/signup", "/user", "/health"} {
			w := ask(h.Auth, "POST", "http://localhost/auth"+path, body, header{"Host", host})
			require.Equal(t, http.StatusMisdirectedRequest, w.Code, host)
			require.Equal(t, "foreign_host", w.Header().Get("x-sb-error-code"))
			require.Contains(t, w.Body.String(), "WithSiteURL")
		}
	}
	for _, f := range []header{{"X-Forwarded-For", "203.0.113.1"}, {"X-Forwarded-Host", "localhost"}, {"Forwarded", "for=203.0.113.1"}, {"X-Forwarded-Proto", "https"}, {"X-Real-IP", "203.0.113.1"}, {"Via", "1.1 proxy"}} {
		w := ask(h.Auth, "POST", "http://localhost/auth/signup", body, f)
		require.Equal(t, http.StatusMisdirectedRequest, w.Code, f.name)
		require.Contains(t, w.Body.String(), "forwarding headers", "the host is a loopback one, so that can't be it")
	}
	h.Deliver()
	require.Empty(t, h.Mail.Messages())
}

func TestDevInbox(t *testing.T) {
	onlySQLite(t)
	file := func() auth.Option { return auth.WithDatabaseFile(t.TempDir() + "/auth.db") }
	start := func(opts ...auth.Option) *auth.Auth {
		a, err := auth.New(append([]auth.Option{file(), auth.WithBcrypt(4)}, opts...)...)
		require.NoError(t, err)
		t.Cleanup(func() { _ = a.Close(t.Context()) })
		return a
	}
	a := start()
	path := a.DevInboxURL()
	require.Regexp(t, `^/auth/dev/inbox/[0-9a-f]{32}/$`, path)
	require.Equal(t, http.StatusOK, ask(a, "POST", "http://localhost/auth/signup", `{"email":"ada@example.com","password":"correct horse battery"}`).Code)
	require.NoError(t, a.Deliver(t.Context()))
	w := ask(a, "GET", "http://localhost"+path, "")
	require.Equal(t, http.StatusOK, w.Code)
	require.Contains(t, w.Body.String(), "ada@example.com")

	key := strings.TrimSuffix(strings.TrimPrefix(path, "/auth/dev/inbox/"), "/")
	for _, wrong := range []string{"", "/", "/x/", "/" + key[1:] + "/", "/" + key + "0/", "/" + strings.ToUpper(key) + "/", "/../" + key + "/"} {
		if wrong == "/"+key+"/" {
			continue
		}
		w := ask(a, "GET", "http://localhost/auth/dev/inbox"+wrong, "")
		require.NotEqual(t, http.StatusOK, w.Code, wrong)
		require.NotContains(t, w.Body.String(), "ada@example.com")
	}
	for _, h := range []header{{"X-Forwarded-For", "127.0.0.1"}, {"Forwarded", "for=127.0.0.1"}, {"X-Forwarded-Host", "localhost"}, {"Via", "1.1 x"}, {"Host", "example.com"}} {
		require.Equal(t, http.StatusNotFound, ask(a, "GET", "http://localhost"+path, "", h).Code, h.name)
	}
	require.NotEqual(t, path, start().DevInboxURL(), "every key is its own")
	require.NotEmpty(t, start(auth.WithSiteURL("http://localhost:3000")).DevInboxURL())
	require.Empty(t, start(auth.WithMailer(&mail.Mailbox{})).DevInboxURL())
	public := start(auth.WithSiteURL("https://app.example.com"), auth.WithAutoConfirm(true))
	require.Empty(t, public.DevInboxURL())
	require.Equal(t, http.StatusNotFound, ask(public, "GET", "http://localhost"+path, "").Code)
}
