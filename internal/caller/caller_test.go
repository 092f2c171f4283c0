package caller_test

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/truekeel/auth/internal/caller"
)

const made = "2f0b7c1e-0000-4000-8000-000000000000"

// reader gives a Reader and what it logs.
func reader(t testing.TB, c caller.Config) (*caller.Reader, *bytes.Buffer) {
	t.Helper()
	var log bytes.Buffer
	c.NewID = func() string { return made }
	c.Logger = slog.New(slog.NewTextHandler(&log, nil))
	rd, err := caller.New(c)
	require.NoError(t, err)
	return rd, &log
}

func prefixes(texts ...string) []netip.Prefix {
	var list []netip.Prefix
	for _, text := range texts {
		list = append(list, netip.MustParsePrefix(text))
	}
	return list
}

func TestClientAddress(t *testing.T) {
	none := caller.Config{}
	proxied := caller.Config{TrustedProxies: prefixes("10.0.0.0/8", "2001:db8:ff::/48", "127.0.0.1/32")}
	named := caller.Config{Header: "Cf-Connecting-Ip"}
	both := caller.Config{TrustedProxies: prefixes("10.0.0.0/8"), Header: "X-Real-Ip"}
	mapped := caller.Config{TrustedProxies: prefixes("::ffff:10.0.0.0/104")}
	const xff = "X-Forwarded-For"

	tests := []struct {
		name      string
		config    caller.Config
		peer      string
		header    string
		values    []string
		ip        string
		limitable bool
	}{
		{"peer", none, "203.0.113.7:1234", "", nil, "203.0.113.7", true},
		{"peer, IPv6", none, "[2001:db8::7]:1234", "", nil, "2001:db8::7", true},
		{"peer, mapped", none, "[::ffff:203.0.113.7]:1234", "", nil, "203.0.113.7", true},
		{"peer without port", none, "203.0.113.7", "", nil, "203.0.113.7", true},
		{"peer, zone", none, "[fe80::1%eth0]:1234", "", nil, "fe80::1", false},
		{"unix socket", none, "@", "", nil, "", false},
		{"nothing", none, "", "", nil, "", false},
		{"loopback peer", none, "127.0.0.1:1", "", nil, "127.0.0.1", false},
		{"loopback peer, IPv6", none, "[::1]:1", "", nil, "::1", false},
		{"private peer", none, "192.168.1.1:1", "", nil, "192.168.1.1", false},
		{"private peer, IPv6", none, "[fd00::1]:1", "", nil, "fd00::1", false},
		{"carrier's peer", none, "100.64.0.1:1", "", nil, "100.64.0.1", false},
		{"beside the carrier's", none, "100.128.0.1:1", "", nil, "100.128.0.1", true},

		{"spoofed", none, "203.0.113.7:1", xff, []string{"198.51.100.1"}, "203.0.113.7", true},
		{"spoofed, private peer", none, "10.0.0.1:1", xff, []string{"198.51.100.1"}, "10.0.0.1", false},
		{"spoofed past the proxies", proxied, "203.0.113.7:1", xff, []string{"198.51.100.1"}, "203.0.113.7", true},
		{"private peer that is no proxy", proxied, "192.168.1.1:1", xff, []string{"198.51.100.1"}, "192.168.1.1", true},

		{"one proxy", proxied, "10.0.0.1:1", xff, []string{"198.51.100.1"}, "198.51.100.1", true},
		{"IPv6 proxy", proxied, "[2001:db8:ff::1]:1", xff, []string{"198.51.100.1"}, "198.51.100.1", true},
		{"two proxies", proxied, "10.0.0.1:1", xff, []string{"198.51.100.1, 10.0.0.2"}, "198.51.100.1", true},
		{"client wrote the left", proxied, "10.0.0.1:1", xff, []string{"192.0.2.66, 198.51.100.1"}, "198.51.100.1", true},
		{"client wrote a proxy", proxied, "10.0.0.1:1", xff, []string{"192.0.2.66, 10.0.0.9, 198.51.100.1, 10.0.0.2"}, "198.51.100.1", true},
		{"two lines", proxied, "10.0.0.1:1", xff, []string{"192.0.2.66", "198.51.100.1"}, "198.51.100.1", true},
		{"tight list", proxied, "10.0.0.1:1", xff, []string{"192.0.2.66,198.51.100.1"}, "198.51.100.1", true},
		{"hop with port", proxied, "10.0.0.1:1", xff, []string{"198.51.100.1:5678"}, "198.51.100.1", true},
		{"hop in brackets", proxied, "10.0.0.1:1", xff, []string{"[2001:db8::7]"}, "2001:db8::7", true},
		{"hop in brackets with port", proxied, "10.0.0.1:1", xff, []string{"[2001:db8::7]:80"}, "2001:db8::7", true},
		{"hop with zone", proxied, "10.0.0.1:1", xff, []string{"fe80::7%eth0"}, "fe80::7", true},
		{"hop mapped", proxied, "10.0.0.1:1", xff, []string{"::ffff:198.51.100.1"}, "198.51.100.1", true},
		{"mapped proxy in the list", proxied, "10.0.0.1:1", xff, []string{"198.51.100.1, ::ffff:10.0.0.2"}, "198.51.100.1", true},
		{"mapped proxy in the configuration", mapped, "10.0.0.1:1", xff, []string{"198.51.100.1"}, "198.51.100.1", true},
		{"malformed hop", proxied, "10.0.0.1:1", xff, []string{"198.51.100.1, unknown"}, "10.0.0.1", true},
		{"malformed hop behind a proxy", proxied, "10.0.0.1:1", xff, []string{"198.51.100.1, <script>, 10.0.0.2"}, "10.0.0.2", true},
		{"malformed hop left of the client", proxied, "10.0.0.1:1", xff, []string{"unknown, 198.51.100.1"}, "198.51.100.1", true},
		{"empty hop", proxied, "10.0.0.1:1", xff, []string{"198.51.100.1, "}, "10.0.0.1", true},
		{"proxies only", proxied, "10.0.0.1:1", xff, []string{"10.0.0.3, 10.0.0.2"}, "10.0.0.3", true},
		{"private client of a proxy", proxied, "10.0.0.1:1", xff, []string{"192.168.1.1"}, "192.168.1.1", true},
		{"proxy without header", proxied, "10.0.0.1:1", "", nil, "10.0.0.1", false},
		{"proxy with empty header", proxied, "10.0.0.1:1", xff, []string{""}, "10.0.0.1", false},
		{"proxy with another header", proxied, "10.0.0.1:1", "X-Real-Ip", []string{"198.51.100.1"}, "10.0.0.1", false},

		{"header by name", named, "203.0.113.7:1", "Cf-Connecting-Ip", []string{"198.51.100.1"}, "198.51.100.1", true},
		{"header by name, last counts", named, "203.0.113.7:1", "Cf-Connecting-Ip", []string{"192.0.2.66", "198.51.100.1"}, "198.51.100.1", true},
		{"header by name, unix socket", named, "@", "Cf-Connecting-Ip", []string{"198.51.100.1"}, "198.51.100.1", true},
		{"header by name, another comes", named, "203.0.113.7:1", xff, []string{"198.51.100.1"}, "203.0.113.7", true},
		{"header by name, private", named, "203.0.113.7:1", "Cf-Connecting-Ip", []string{"10.0.0.5"}, "10.0.0.5", false},
		{"header by name, absent", named, "127.0.0.1:1", "", nil, "127.0.0.1", false},
		{"header by name, trusted peer", both, "10.0.0.1:1", "X-Real-Ip", []string{"198.51.100.1"}, "198.51.100.1", true},
		{"header by name, other peer", both, "203.0.113.7:1", "X-Real-Ip", []string{"198.51.100.1"}, "203.0.113.7", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			rd, _ := reader(t, tt.config)
			r := httptest.NewRequest("GET", "/", nil)
			r.RemoteAddr = tt.peer
			for _, v := range tt.values {
				r.Header.Add(tt.header, v)
			}
			info := rd.Read(r)
			if tt.ip == "" {
				require.False(t, info.IP.IsValid())
			} else {
				require.Equal(t, tt.ip, info.IP.String())
			}
			require.Equal(t, tt.limitable, info.Limitable)
		})
	}
}

func TestLimitKey(t *testing.T) {
	same := []string{"2001:db8:1:2::1", "2001:DB8:1:2:ffff:ffff:ffff:ffff", "2001:0db8:0001:0002:0:0:0:9"}
	for _, text := range same {
		info := caller.Info{IP: netip.MustParseAddr(text), Limitable: true}
		require.Equal(t, "2001:db8:1:2::/64", info.LimitKey())
	}
	info := caller.Info{IP: netip.MustParseAddr("192.0.2.1"), Limitable: true}
	require.Equal(t, "192.0.2.1", info.LimitKey())
	info.Limitable = false
	require.Empty(t, info.LimitKey())
	require.Empty(t, caller.Info{Limitable: true}.LimitKey())
}

// Two spellings of an address are one key.
func TestLimitKeyOfMappedAddress(t *testing.T) {
	rd, _ := reader(t, caller.Config{})
	keys := map[string]bool{}
	for _, peer := range []string{"203.0.113.7:1", "[::ffff:203.0.113.7]:2", "[::FFFF:cb00:7107]:3"} {
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr = peer
		keys[rd.Read(r).LimitKey()] = true
	}
	require.Equal(t, map[string]bool{"203.0.113.7": true}, keys)
}

func TestWarnsOnce(t *testing.T) {
	rd, log := reader(t, caller.Config{})
	quiet := httptest.NewRequest("GET", "/", nil)
	rd.Read(quiet)
	require.Empty(t, log.String())

	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			r := httptest.NewRequest("GET", "/", nil)
			r.RemoteAddr = "127.0.0.1:1"
			r.Header.Set("X-Forwarded-For", "198.51.100.1")
			rd.Read(r)
		})
	}
	wg.Wait()
	require.Equal(t, 1, strings.Count(log.String(), "level=WARN"))
	require.Contains(t, log.String(), "peer=127.0.0.1")
	require.NotContains(t, log.String(), "198.51.100.1", "a stranger writes nothing into the log")
}

func TestWarnsOfAProxyThatNamesNobody(t *testing.T) {
	rd, log := reader(t, caller.Config{TrustedProxies: prefixes("10.0.0.0/8")})
	r := httptest.NewRequest("GET", "/", nil)
	r.RemoteAddr = "10.0.0.1:1"
	rd.Read(r)
	rd.Read(r)
	require.Equal(t, 1, strings.Count(log.String(), "level=WARN"))
}

func TestForwarded(t *testing.T) {
	for _, name := range []string{"X-Forwarded-For", "x-forwarded-host", "X-Forwarded-Proto", "Forwarded", "Via",
		"X-Real-IP", "CF-Connecting-IP", "True-Client-IP", "Sb-Forwarded-For"} {
		r := httptest.NewRequest("GET", "/", nil)
		require.False(t, caller.Forwarded(r))
		r.Header.Set(name, "x")
		require.True(t, caller.Forwarded(r), name)
	}
}

func TestRequestID(t *testing.T) {
	tests := []struct{ name, value, want string }{
		{"adopted", "abc-123", "abc-123"},
		{"absent", "", made},
		{"longest", strings.Repeat("x", 128), strings.Repeat("x", 128)},
		{"too long", strings.Repeat("x", 129), made},
		{"blank", "a b", made},
		{"line feed", "a\nb", made},
		{"not ASCII", "ä", made},
	}
	rd, _ := reader(t, caller.Config{RequestIDHeader: "X-Request-ID"})
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := httptest.NewRequest("GET", "/", nil)
			r.Header["X-Request-Id"] = []string{tt.value}
			require.Equal(t, tt.want, rd.Read(r).RequestID)
		})
	}
	rd, _ = reader(t, caller.Config{})
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("X-Request-ID", "abc")
	require.Equal(t, made, rd.Read(r).RequestID, "no header is configured")
}

func TestUserAgentAndLanguage(t *testing.T) {
	tests := []struct{ in, want string }{
		{"Mozilla/5.0 (X11)", "Mozilla/5.0 (X11)"},
		{"a\x00b\nc\x7f\u0085d", "abcd"},
		{"a\xffb", "ab"},
		{strings.Repeat("x", 600), strings.Repeat("x", 512)},
		{"x" + strings.Repeat("é", 300), "x" + strings.Repeat("é", 255)},
		{strings.Repeat("x", 511) + "🔑", strings.Repeat("x", 511)},
	}
	rd, _ := reader(t, caller.Config{})
	for _, tt := range tests {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("User-Agent", tt.in)
		r.Header.Set("Accept-Language", tt.in)
		info := rd.Read(r)
		require.Equal(t, tt.want, info.UserAgent)
		require.LessOrEqual(t, len(info.AcceptLanguage), 256)
		require.True(t, strings.HasPrefix(tt.want, info.AcceptLanguage))
	}
}

func TestContext(t *testing.T) {
	require.Equal(t, caller.Info{}, caller.From(context.Background()))
	info := caller.Info{RequestID: "1"}
	require.Equal(t, info, caller.From(caller.WithInfo(context.Background(), info)))
}

func TestNewRefuses(t *testing.T) {
	id := func() string { return made }
	for name, c := range map[string]caller.Config{
		"no generator": {Logger: slog.Default()},
		"no logger":    {NewID: id},
		"header":       {NewID: id, Logger: slog.Default(), Header: "X Forwarded"},
		"request id":   {NewID: id, Logger: slog.Default(), RequestIDHeader: "a:b"},
		"proxy":        {NewID: id, Logger: slog.Default(), TrustedProxies: []netip.Prefix{{}}},
	} {
		_, err := caller.New(c)
		require.Error(t, err, name)
	}
}

func TestBearer(t *testing.T) {
	good := map[string]string{
		"Bearer abc": "abc", "bearer abc": "abc", "BEARER a.b-c_d~e+f/g=": "a.b-c_d~e+f/g=",
	}
	for value, want := range good {
		token, err := caller.Bearer(http.Header{"Authorization": {value}})
		require.NoError(t, err)
		require.Equal(t, want, token)
	}
	for _, values := range [][]string{nil, {}, {""}, {"Basic dTpw"}, {"Basic"}, {"Bearers x"}, {" Bearer x"}, {"Bearer\tx"}, {"abc"}} {
		_, err := caller.Bearer(http.Header{"Authorization": values})
		require.ErrorIs(t, err, caller.ErrNoBearer, "%q", values)
	}
	for _, values := range [][]string{{"Bearer"}, {"Bearer "}, {"Bearer  x"}, {"Bearer x "}, {"Bearer x y"}, {"Bearer x\ty"},
		{"Bearer x\x00"}, {"Bearer ä"}, {"Bearer x", "Bearer x"}, {"", "Bearer x"}, {"Bearer x", "Basic y"}, {"Bearer x\u00a0"}} {
		_, err := caller.Bearer(http.Header{"Authorization": values})
		require.ErrorIs(t, err, caller.ErrMalformedBearer, "%q", values)
	}
}

func FuzzBearer(f *testing.F) {
	for _, s := range []string{"Bearer x", "bearer  x", "Bearer", "Basic x", "Bearer x y", "\x00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, value string) {
		token, err := caller.Bearer(http.Header{"Authorization": {value}})
		if err != nil {
			require.Empty(t, token)
			return
		}
		require.Len(t, value, len("Bearer ")+len(token))
		require.NotEmpty(t, token)
		require.False(t, strings.ContainsFunc(token, func(r rune) bool { return unicode.IsSpace(r) || r > unicode.MaxASCII }))
	})
}

func FuzzRead(f *testing.F) {
	f.Add("10.0.0.1:1", "198.51.100.1, [::1]:80", "agent")
	f.Add("[fe80::1%x]:1", ",,", "\xff")
	f.Add("@", "::ffff:1.2.3.4%zone", strings.Repeat("é", 600))
	rd, _ := reader(f, caller.Config{TrustedProxies: prefixes("10.0.0.0/8")})
	f.Fuzz(func(t *testing.T, peer, forwarded, agent string) {
		r := &http.Request{RemoteAddr: peer, Header: http.Header{"X-Forwarded-For": {forwarded}, "User-Agent": {agent}}}
		info := rd.Read(r)
		require.Empty(t, info.IP.Zone())
		require.False(t, info.IP.Is4In6())
		require.Equal(t, info.Limitable && info.IP.IsValid(), info.LimitKey() != "")
		require.LessOrEqual(t, len(info.UserAgent), 512)
		require.True(t, utf8.ValidString(info.UserAgent))
	})
}

func TestIsLoopbackHost(t *testing.T) {
	for _, host := range []string{"localhost", "LOCALHOST:8080", "app.localhost", "a.b-c.localhost:3000", "127.0.0.1",
		"127.0.0.1:80", "127.255.255.254", "::1", "[::1]", "[::1]:8080", "[::ffff:127.0.0.1]:1"} {
		require.True(t, caller.IsLoopbackHost(host), host)
	}
	for _, host := range []string{"", "localhost.evil.test", "evillocalhost", ".localhost", "a..localhost", "evil.test#.localhost",
		"evil.test/.localhost", "evil.test@localhost", "user@localhost", "127.1", "2130706433", "0.0.0.0", "::", "128.0.0.1", "10.0.0.1",
		"localhost:80:90", "localhost:x", "localhost:80@evil.test", "[::1%lo]", "127.0.0.1.evil.test", "localhost ", "0127.0.0.1", "[localhost"} {
		require.False(t, caller.IsLoopbackHost(host), host)
	}
}

func BenchmarkRead(b *testing.B) {
	rd, _ := reader(b, caller.Config{TrustedProxies: prefixes("10.0.0.0/8")})
	r := httptest.NewRequest("GET", "/", nil)
	r.RemoteAddr = "10.0.0.1:1"
	r.Header.Set("X-Forwarded-For", "198.51.100.1, 10.0.0.2")
	r.Header.Set("User-Agent", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36")
	b.ReportAllocs()
	for b.Loop() {
		rd.Read(r)
	}
}
