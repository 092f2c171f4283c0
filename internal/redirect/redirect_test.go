package redirect_test

import (
	"bytes"
	"log/slog"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/truekeel/auth/internal/redirect"
)

func policy(t testing.TB, site string, allow ...string) *redirect.Policy {
	t.Helper()
	p, err := redirect.New(site, allow, redirect.Options{Logger: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	return p
}

const site = "https://app.example.com"

func TestSite(t *testing.T) {
	tests := []struct {
		site, target string
		want         bool
	}{
		{site, site, true},
		{site, "https://app.example.com/", true},
		{site, "https://app.example.com/a/b.html?x=1#y", true},
		{site, "https://APP.Example.COM/a", true},
		{site, "HTTPS://app.example.com/a", true},
		{site, "https://app.example.com?x=1", true},
		{site, "https://app.example.com/a/../b", true},
		{site, "http://app.example.com/", false},
		{site, "https://app.example.com:443/", false},
		{site, "https://app.example.com:8443/", false},
		{site, "https://example.com/", false},
		{site, "https://app.example.com.evil.test/", false},
		{site, "https://evilapp.example.com/", false},
		{site, "//app.example.com/", false},
		{site, "/path", false},
		{site, "", false},
		{"https://app.example.com:8443/x", "https://app.example.com:8443/y", true},
		{"https://app.example.com:8443/x", "https://app.example.com/y", false},
		// On this machine the port is free.
		{"http://localhost:3000", "http://localhost:5173/a", true},
		{"http://localhost:3000", "https://localhost:3000/a", false},
		{"http://localhost", "http://localhost:1/a", true},
		{"http://app.localhost:3000", "http://app.localhost:1/a", true},
		{"http://app.localhost:3000", "http://other.localhost:1/a", false},
		{"http://0.0.0.0:3000", "http://0.0.0.0:1/a", true},
		{"http://[::1]:3000", "http://[::1]:1/a", true},
		{"http://127.0.0.1:3000", "http://localhost:3000/a", false},
		{"http://192.168.1.5:3000", "http://192.168.1.5:3000/a", true},
		{"http://192.168.1.5:3000", "http://192.168.1.5:3001/a", false},
		{"myapp://home", "myapp://home/x", true},
		{"myapp://home", "myapp:/home/x", false},
		{"http://intra_net", "http://intra_net/x", true},
	}
	for _, tt := range tests {
		require.Equal(t, tt.want, policy(t, tt.site).Allowed(tt.target), "%s %s", tt.site, tt.target)
	}
}

func TestAddresses(t *testing.T) {
	p := policy(t, site, "http://**/**", "https://**/**", "**", "exp://**/**")
	for _, target := range []string{"http://127.0.0.1/", "http://127.0.0.1:1234/cb?x=1", "http://127.9.9.9", "http://[::1]:80/cb",
		"https://127.0.0.1/", "http://[::ffff:127.0.0.1]/", "exp://127.0.0.1:8081/--/cb"} {
		require.True(t, p.Allowed(target), target)
	}
	for _, target := range []string{"http://0.0.0.0/", "http://[::]/", "http://10.0.0.1/", "http://192.168.0.1/", "http://8.8.8.8/",
		"http://[2001:db8::1]/", "http://169.254.169.254/", "http://2130706433/", "http://127.1/", "http://0x7f.0.0.1/", "http://0x7f000001/",
		"http://0177.0.0.1/", "http://1.2.3.4.5/", "http://a.0x10/", "http://[::1%25lo]/", "http://[fe80::1]/", "exp://192.168.0.1:8081/--/cb",
		"exp://12345/cb"} {
		require.False(t, p.Allowed(target), target)
	}
	strict := policy(t, site)
	require.True(t, strict.Allowed("http://127.0.0.1:1234/cb"), "a native app's listener needs no entry")
	require.False(t, strict.Allowed("http://localhost:1234/cb"), "a name needs one")
	require.False(t, strict.Allowed("exp://127.0.0.1:8081/cb"), "so does another scheme")
}

func TestGlobs(t *testing.T) {
	tests := []struct {
		pattern         string
		accepts, denies []string
	}{
		{"https://app.example.org/cb",
			[]string{"https://app.example.org/cb", "https://app.example.org/cb#x", "https://APP.example.org/cb"},
			[]string{"https://app.example.org/cb/", "https://app.example.org/cb?x=1", "http://app.example.org/cb", "https://app.example.org/CB",
				"https://app.example.org", "https://app.example.org:8443/cb"}},
		{"https://*.example.org/*",
			[]string{"https://a.example.org/x", "https://a.example.org/", "https://a.example.org/x?y=1"},
			[]string{"https://a.b.example.org/x", "https://a.example.org/x/y", "https://a.example.org/x.html", "https://a.example.org",
				"https://a.example.org.evil.test/x", "https://evil.test/.example.org/x", "https://example.org/x"}},
		{"https://**.example.org/**",
			[]string{"https://a.b.example.org/x/y.html?z=1", "https://a.example.org/"},
			[]string{"https://example.org/x", "https://evil.test/.example.org/x", "https://evil.test?.example.org/x",
				"https://evil.test/a.example.org/x", "https://evil.test#.example.org/x"}},
		{"http://localhost:*/**",
			[]string{"http://localhost:5173/a/b", "http://localhost:5173/"},
			[]string{"https://localhost:5173/a", "http://localhost/a", "http://localhost:5173", "http://localhost.evil.test:1/a"}},
		{"http://localhost:3000/*",
			[]string{"http://localhost:3000/foo", "http://localhost:3000/"},
			[]string{"http://localhost:3000/foo/bar", "http://localhost:3000/foo.html", "http://localhost:3000"}},
		{"http://localhost:3000/**",
			[]string{"http://localhost:3000/foo/bar.html?x=1", "http://localhost:3000/"},
			[]string{"http://localhost:3000", "http://localhost:3000?x"}},
		{"myapp://login-callback",
			[]string{"myapp://login-callback", "myapp://LOGIN-callback", "MyApp://login-callback#x"},
			[]string{"myapp://login-callback/", "myapp://login-callback?x", "myapp://other"}},
		{"com.app://cb/**", []string{"com.app://cb/x"}, []string{"com.app://evil/x", "com.app.evil://cb/x", "comXapp://cb/x"}},
		{"com.app:/cb", []string{"com.app:/cb"}, []string{"com.app://cb", "com.app:/cb/x", "com.app:cb", "com.app:///cb"}},
		{"com.app:cb", []string{"com.app:cb"}, []string{"com.app:/cb", "com.app://cb"}},
		{"com.app:///cb", []string{"com.app:///cb"}, []string{"com.app://x/cb", "com.app:/cb"}},
		{"https://app-?.example.org/", []string{"https://app-1.example.org/"}, []string{"https://app-12.example.org/", "https://app-.example.org/"}},
		{"https://{a,b}.example.org/", []string{"https://a.example.org/", "https://b.example.org/"}, []string{"https://c.example.org/"}},
		{"{https,http}://a.test/{x,y{1,2}}", []string{"http://a.test/x", "https://a.test/y2"}, []string{"http://a.test/y", "ftp://a.test/x"}},
		{"https://{a.test/x,b.test/y}", []string{"https://a.test/x", "https://b.test/y"}, []string{"https://a.test/y", "https://b.test/x"}},
		{"https://[ab].test/[!x-z]", []string{"https://a.test/q"}, []string{"https://c.test/q", "https://a.test/y"}},
		{`https://a.test/\*`, []string{"https://a.test/*"}, []string{"https://a.test/x"}},
		{`https://a.test/[\]{]`, []string{"https://a.test/]", "https://a.test/{"}, []string{"https://a.test/x"}},
		{"*.mydomain.com/welcome",
			[]string{"https://a.mydomain.com/welcome"},
			[]string{"http://a.mydomain.com/welcome", "https://mydomain.com/welcome", "https://evil.test/a.mydomain.com/welcome", "javascript://a.mydomain.com/welcome"}},
		{"localhost:3000/**", []string{"https://localhost:3000/x"}, []string{"http://localhost:3000/x"}},
		{"localhost:*/x", []string{"https://localhost:1/x"}, []string{"localhost:1/x"}},
		{"https://example.org**",
			[]string{"https://example.org", "https://example.org/a/b", "https://example.org?x"},
			[]string{"https://evil.test/example.org", "http://example.org/"}},
		{"https://**", []string{"https://anything.test/a/b?c"}, []string{"http://anything.test/", "https://user@anything.test/", "https://10.0.0.1/"}},
		{"**", []string{"https://anything.test/a/b?c"}, []string{"http://anything.test/", "myapp://cb"}},
		{"https://app.example.org/ok/**",
			[]string{"https://app.example.org/ok/x", "https://app.example.org/ok/..x"},
			[]string{"https://app.example.org/ok/../evil", "https://app.example.org/ok/%2e%2E/evil", "https://app.example.org/ok/.%2e/evil", "https://app.example.org/ok/./x"}},
		{"https://exa_mple.org/**", nil, []string{"https://exa_mple.org/x"}},
		{"*://a.test/", []string{"https://a.test/", "myapp://a.test/"}, []string{"javascript://a.test/", "file://a.test/", "data://a.test/"}},
	}
	for _, tt := range tests {
		p := policy(t, site, tt.pattern)
		for _, target := range tt.accepts {
			require.True(t, p.Allowed(target), "%s should accept %s", tt.pattern, target)
		}
		for _, target := range tt.denies {
			require.False(t, p.Allowed(target), "%s should refuse %s", tt.pattern, target)
		}
	}
}

// hostile targets are refused whatever the allow list says.
var hostile = []string{
	"//evil.test", "///evil.test", `\\evil.test`, `/\evil.test`, "https:evil.test", "https:/evil.test", "https:///evil.test", "https:////evil.test",
	`https:\\evil.test`, `https://app.example.com\@evil.test/`, `https://app.example.com\.evil.test/`, "https://app.example.com@evil.test/",
	"https://user:pass@app.example.com/", "https://@app.example.com/", "https://:@app.example.com/", "https://evil.test%2f@app.example.com/",
	"https://app.example.com%2eevil.test/", "https://app.example.com%00.evil.test/", "https://app.example.com%09/", "https://app.example.com:/",
	"https://app.example.com:80:90/", "https://app.example.com:99999/", "https://app.example.com:-1/", "https://app.example.com:x/",
	" https://app.example.com/", "https://app.example.com/ ", "https://app.example.com/a b", "https://app.example.com/\t", "ht\ntps://app.example.com/",
	"https://app.example.com/\r\nSet-Cookie: x=1", "https://app.example.com/\x00", "https://app.example.com/\x7f", "https://app.example.com/\u0085",
	"https://app.example.com/\u2028", "https://app.example.com/\u00a0", "https://app.example.com/\xff",
	"https://еxample.test/", "https://evil。test/", "https://evil．test/", "https://ⓔvil.test/", "https://app.example.com／x", "https://evil.test\u2044.example.com/",
	"javascript:alert(1)", "JavaScript:alert(1)", "java\tscript:alert(1)", "javascript://app.example.com/%0aalert(1)", "data:text/html,x", "vbscript:x",
	"file:///etc/passwd", "blob:https://app.example.com/x", "about:blank", "view-source:https://app.example.com", "filesystem:https://app.example.com/x",
	"https://", "https://.", "https://-a.test/", "https://a..test/", "https://.a.test/", "https://a.test./", "https://*/", "https://[::1/",
	"https://[app.example.com]/", "https://a_b.test/", "https://a,b.test/", "https://a;b.test/", "https://!.test/", "http://127.1/", "http://017700000001/",
	"http://0x7f.1/", "http://1/", ":", "://", "#", "?", "https", "https://evil.test:443#@app.example.com/\\", "1http://a.test/", "-://a.test",
	"https://" + strings.Repeat("a", 5000) + ".test/",
}

func TestHostileTargets(t *testing.T) {
	p := policy(t, site, "**", "*://**", "*://**/**", "https://**/**", "http://**/**", "javascript:**", "*:/**", "/**", "//**")
	for _, target := range hostile {
		require.False(t, p.Allowed(target), "%q", target)
		require.Equal(t, site, p.Pick(target))
	}
}

func TestLoopbackOnly(t *testing.T) {
	p := policy(t, "")
	for _, target := range []string{"http://localhost:8080/", "http://localhost", "https://a.localhost/x", "http://127.0.0.1:1/x", "http://[::1]:1/x", "http://LOCALHOST/"} {
		require.True(t, p.Allowed(target), target)
	}
	for _, target := range []string{"https://app.example.com/", "http://0.0.0.0/", "http://[::]/", "http://10.0.0.1/", "myapp://localhost/", "http://localhost.evil.test/",
		"http://evil_.localhost/", "http://user@localhost/", ""} {
		require.False(t, p.Allowed(target), target)
	}
	require.Empty(t, p.Pick("https://app.example.com/"))
	require.Equal(t, "http://localhost:8080/", p.PickOr("http://localhost:8080/", "https://app.example.com/"))
	_, err := redirect.New("", []string{"myapp://cb"}, redirect.Options{Logger: slog.Default()})
	require.ErrorContains(t, err, "site URL")
}

func TestNewRefuses(t *testing.T) {
	o := redirect.Options{Logger: slog.Default()}
	for _, bad := range []string{"https://[a", "https://{a", "https://a}b{", `https://a\`, "https://[z-a]/", "https://[]/", "://x", "{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}"} {
		_, err := redirect.New(site, []string{"https://ok.test/", bad}, o)
		require.ErrorContains(t, err, "pattern", bad)
		require.Contains(t, err.Error(), strings.ReplaceAll(bad, `\`, `\\`), "the error names the pattern")
	}
	for _, bad := range []string{"app.example.com", "/x", "https://", "https://u:secret@app.example.com/", "javascript:x", "https:app.example.com", "myapp:/x"} {
		_, err := redirect.New(bad, nil, o)
		require.ErrorContains(t, err, "site URL", bad)
		require.NotContains(t, err.Error(), "secret")
	}
	_, err := redirect.New(site, nil, redirect.Options{})
	require.Error(t, err)
	p, err := redirect.New(site, []string{"", " https://ok.test/ "}, o)
	require.NoError(t, err)
	require.True(t, p.Allowed("https://ok.test/"))
	require.Equal(t, site, p.SiteURL())
}

func TestPick(t *testing.T) {
	var log bytes.Buffer
	p, err := redirect.New(site, []string{"https://ok.test/**"}, redirect.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	require.NoError(t, err)

	require.Equal(t, site, p.Pick())
	require.Equal(t, site, p.Pick("", ""))
	require.Equal(t, "https://ok.test/a", p.Pick("", "https://ok.test/a", "https://evil.test/"))
	require.Empty(t, log.String(), "nothing was refused")

	require.Equal(t, "https://ok.test/a", p.Pick("https://user:hunter2@evil.test/path?token=hunter2#hunter2", "https://ok.test/a"))
	require.Equal(t, 1, strings.Count(log.String(), "level=WARN"))
	require.Contains(t, log.String(), "evil.test/path")
	require.Contains(t, log.String(), "https://ok.test/**")
	require.NotContains(t, log.String(), "hunter2")

	log.Reset()
	require.Equal(t, site, p.Pick("https://one.test/", "https://two.test/"))
	require.Equal(t, 1, strings.Count(log.String(), "level=WARN"))
	require.Contains(t, log.String(), "one.test")

	log.Reset()
	require.Equal(t, site, p.Pick("https://x\nlevel=ERROR/"+strings.Repeat("x", 10_000)))
	require.Equal(t, 1, strings.Count(log.String(), "\n"), "one line, whatever the target holds")
	require.Less(t, log.Len(), 1000)
}

func TestSuccess(t *testing.T) {
	values := url.Values{"token_type": {"bearer"}, "access_token": {"a.b-c"}, "sb": {""}, "x": {"a:b c&d"}}
	const want = "#access_token=a.b-c&sb=&token_type=bearer&x=a%3Ab+c%26d"
	for target, result := range map[string]string{
		"https://app.example.com":          "https://app.example.com" + want,
		"https://app.example.com/a?b=c":    "https://app.example.com/a?b=c" + want,
		"https://app.example.com/#old":     "https://app.example.com/" + want,
		"https://app.example.com/#a=1#b=2": "https://app.example.com/" + want,
		"myapp://cb":                       "myapp://cb" + want,
		"com.app:/cb":                      "com.app:/cb" + want,
	} {
		require.Equal(t, result, redirect.Success(target, values))
	}
}

func TestCode(t *testing.T) {
	for target, result := range map[string]string{
		"https://app.example.com":                  "https://app.example.com?code=1-2",
		"https://app.example.com/a?z=1&b=2":        "https://app.example.com/a?b=2&code=1-2&z=1",
		"https://app.example.com/#old":             "https://app.example.com/?code=1-2#old",
		"https://app.example.com/?code=x&code=y#o": "https://app.example.com/?code=1-2#o",
		"https://app.example.com/#r?code=x":        "https://app.example.com/?code=1-2#r?code=x",
		"myapp://cb":                               "myapp://cb?code=1-2",
		"com.app:cb?x":                             "com.app:cb?code=1-2&x=",
	} {
		require.Equal(t, result, redirect.Code(target, "1-2"))
	}
}

func TestQueryWithoutValuesKeepsTheTarget(t *testing.T) {
	require.Equal(t, "https://a.test/#f", redirect.Query("https://a.test/#f", nil))
}

func TestFailure(t *testing.T) {
	values := url.Values{"error": {"access_denied"}, "error_code": {"otp_expired"},
		"error_description": {"Email link is invalid or has expired"}, "sb": {""}}
	const fragment = "#error=access_denied&error_code=otp_expired&error_description=Email+link+is+invalid+or+has+expired&sb="
	const query = "error=access_denied&error_code=otp_expired&error_description=Email+link+is+invalid+or+has+expired"
	require.Equal(t, site+fragment, redirect.Failure(site, values, false))
	require.Equal(t, site+"?"+query+fragment, redirect.Failure(site, values, true))
	require.Equal(t, site+"/a?b=1"+fragment, redirect.Failure(site+"/a?b=1#old", values, false))
	require.Equal(t, site+"/a?b=1&"+query+fragment, redirect.Failure(site+"/a?b=1#old", values, true))

	once := redirect.Failure(site, url.Values{"error_description": {"a:b"}}, false)
	require.Equal(t, site+"#error_description=a%3Ab", once, "encoded once")

	empty := url.Values{"error": {"server_error"}, "error_description": {""}, "sb": {""}}
	require.Equal(t, site+"?error=server_error&error_description=#error=server_error&sb=", redirect.Failure(site, empty, true))
	require.Len(t, values, 4, "the caller's values stay as they are")
}

func FuzzAllowed(f *testing.F) {
	for _, target := range hostile {
		f.Add(target)
	}
	f.Add("https://a.example.org/x?y#z")
	f.Add("http://[::1]:80/")
	p := policy(f, site, "https://**.example.org/**", "https://*.example.net/*", "com.app:/**", "myapp://*/**")
	f.Fuzz(func(t *testing.T, target string) {
		if !p.Allowed(target) {
			return
		}
		u, err := url.Parse(target)
		require.NoError(t, err)
		require.Nil(t, u.User)
		host := strings.ToLower(u.Hostname())
		switch u.Scheme {
		case "https", "http":
			require.True(t, host == "app.example.com" || strings.HasSuffix(host, ".example.org") || strings.HasSuffix(host, ".example.net") ||
				strings.HasPrefix(host, "127.") || strings.HasPrefix(host, "::"), host)
		default:
			require.Contains(t, []string{"com.app", "myapp"}, u.Scheme)
		}
		require.False(t, strings.ContainsAny(target, "\\ \t\r\n\x00"))
		requireSamePlace(t, target, redirect.Success(target, url.Values{"a": {"b"}}))
	})
}

func FuzzMerge(f *testing.F) {
	for _, target := range hostile {
		f.Add(target, "k", "v")
	}
	f.Add("https://app.example.com?a=1;b=2&%zz#x?y#z", "error_description", "")
	f.Add("com.app:cb?x", "sb", "&=#?")
	f.Fuzz(func(t *testing.T, target, key, value string) {
		values := url.Values{key: {value}}
		for _, result := range []string{redirect.Success(target, values), redirect.Code(target, value), redirect.Query(target, values),
			redirect.Failure(target, values, false), redirect.Failure(target, values, true)} {
			requireSamePlace(t, target, result)
		}
		u, err := url.Parse(redirect.Code(target, value))
		if err == nil {
			require.Equal(t, value, u.Query().Get("code"))
		}
	})
}

// requireSamePlace asserts that results change nothing of where a target leads.
func requireSamePlace(t *testing.T, target, result string) {
	t.Helper()
	before, err := url.Parse(target)
	if err != nil {
		return
	}
	after, err := url.Parse(result)
	require.NoError(t, err)
	require.Equal(t, before.Scheme, after.Scheme)
	require.Equal(t, before.Host, after.Host)
	require.Equal(t, before.User, after.User)
	require.Equal(t, before.EscapedPath(), after.EscapedPath())
	require.Equal(t, before.Opaque, after.Opaque)
}

func FuzzPattern(f *testing.F) {
	f.Add("https://{a,b{c,d}}.test/[!x]?**", "https://a.test/y1")
	f.Add(`\{,}[{]`, "https://x/")
	f.Add("{a,{b,c}", "x")
	f.Fuzz(func(t *testing.T, pattern, target string) {
		p, err := redirect.New(site, []string{pattern}, redirect.Options{Logger: slog.New(slog.DiscardHandler)})
		if err == nil {
			p.Allowed(target)
		}
	})
}

func BenchmarkAllowed(b *testing.B) {
	p := policy(b, site, "https://**.example.org/**", "http://localhost:*/**", "myapp://login-callback")
	b.ReportAllocs()
	for b.Loop() {
		p.Allowed("https://a.example.org/x/y?z=1")
	}
}
