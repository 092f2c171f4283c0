package outbound

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAllow(t *testing.T) {
	for _, c := range []struct {
		address          string
		public, internal bool
	}{
		{"93.184.216.34:443", true, true},
		{"[2606:2800:220:1::1]:443", true, true},
		{"127.0.0.1:443", false, true},
		{"[::1]:443", false, true},
		{"[::ffff:127.0.0.1]:443", false, true},
		{"10.1.2.3:443", false, true},
		{"172.16.0.1:80", false, true},
		{"192.168.1.1:80", false, true},
		{"100.64.0.1:80", false, true},
		{"[fd12::1]:80", false, true},
		{"[64:ff9b::a9fe:a9fe]:80", false, true},
		{"[2002:7f00:1::]:80", false, true},
		{"169.254.169.254:80", false, false},
		{"[::ffff:169.254.169.254]:80", false, false},
		{"[fe80::1%eth0]:80", false, false},
		{"[fd00:ec2::254]:80", false, false},
		{"100.100.100.200:80", false, false},
		{"0.0.0.0:80", false, false},
		{"[::]:80", false, false},
		{"224.0.0.1:80", false, false},
		{"255.255.255.255:80", false, false},
		{"localhost:80", false, false},
		{"", false, false},
	} {
		t.Run(c.address, func(t *testing.T) {
			require.Equal(t, c.public, allow(c.address, Public) == nil, "public client")
			require.Equal(t, c.internal, allow(c.address, Inside) == nil, "internal client")
		})
	}
}

func TestLoopbackAlone(t *testing.T) {
	for address, want := range map[string]bool{
		"127.0.0.1:80": true, "127.9.9.9:80": true, "[::1]:80": true, "[::ffff:127.0.0.1]:80": true,
		"10.0.0.1:80": false, "192.168.1.1:80": false, "93.184.216.34:80": false, "169.254.169.254:80": false, "0.0.0.0:80": false,
	} {
		require.Equal(t, want, allow(address, Loopback) == nil, address)
	}
}

func TestNames(t *testing.T) {
	for host, want := range map[string][3]bool{ // Public, Loopback, Inside
		"example.com":     {true, true, true},
		"localhost":       {false, true, true},
		"a.LOCALHOST.":    {false, true, true},
		"127.0.0.1":       {false, true, true},
		"::1":             {false, true, true},
		"10.0.0.1":        {false, false, true},
		"169.254.169.254": {false, false, false},
		"8.8.8.8":         {true, false, true},
	} {
		require.Equal(t, want, [3]bool{Public.Names(host), Loopback.Names(host), Inside.Names(host)}, host)
	}
}

func TestAPosterFollowsNoRedirect(t *testing.T) {
	srv := httptest.NewServer(http.RedirectHandler("http://169.254.169.254/", http.StatusTemporaryRedirect))
	defer srv.Close()
	client := Poster(Loopback)
	defer client.CloseIdleConnections()
	resp, err := client.Post(srv.URL, "text/plain", strings.NewReader("secret"))
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, http.StatusTemporaryRedirect, resp.StatusCode)

	public := Poster(Public)
	resp, err = public.Post(srv.URL, "text/plain", strings.NewReader("secret"))
	if err == nil {
		_ = resp.Body.Close()
	}
	require.ErrorIs(t, err, ErrForbiddenAddress)
}

func TestAddressIsCheckedWhereItIsDialled(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer srv.Close()
	// A name that resolves to loopback, as one does that is rebound after a look-up.
	byName := strings.Replace(srv.URL, "127.0.0.1", "localhost", 1)

	for _, url := range []string{srv.URL, byName} {
		resp, err := Client(false).Get(url)
		if err == nil {
			_ = resp.Body.Close()
		}
		require.ErrorIs(t, err, ErrForbiddenAddress)
	}
	client := Client(true)
	defer client.CloseIdleConnections()
	resp, err := client.Get(srv.URL)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
}

func TestRedirects(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("/end", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("/again", func(w http.ResponseWriter, r *http.Request) {
		left := r.URL.Query().Get("n")
		if left == "" {
			http.Redirect(w, r, "/end", http.StatusTemporaryRedirect)
			return
		}
		http.Redirect(w, r, "/again?n="+left[1:], http.StatusTemporaryRedirect)
	})
	plain := httptest.NewServer(mux)
	defer plain.Close()
	mux.Handle("/plain", http.RedirectHandler(plain.URL+"/end", http.StatusFound))
	srv := httptest.NewTLSServer(mux)
	defer srv.Close()
	client := Bound(srv.Client())

	get := func(path string) error {
		resp, err := client.Get(srv.URL + path)
		if err == nil {
			_ = resp.Body.Close()
		}
		return err
	}
	require.NoError(t, get("/again?n=xx"), "three redirects")
	require.ErrorIs(t, get("/again?n=xxx"), ErrRedirect, "four redirects")
	require.ErrorIs(t, get("/plain"), ErrRedirect, "away from https")

	resp, err := client.Post(srv.URL+"/again", "text/plain", strings.NewReader("secret"))
	if err == nil {
		_ = resp.Body.Close()
	}
	require.ErrorIs(t, err, ErrRedirect, "a POST")
}

func TestBodyIsBounded(t *testing.T) {
	for name, c := range map[string]struct {
		size  int
		known bool
		ok    bool
	}{
		"as large as may be":             {MaxBody, true, true},
		"as large as may be, chunked":    {MaxBody, false, true},
		"one byte more":                  {MaxBody + 1, true, false},
		"one byte more, chunked":         {MaxBody + 1, false, false},
		"ten times what may be, chunked": {10 * MaxBody, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				if !c.known {
					w.(http.Flusher).Flush()
				}
				_, _ = w.Write(make([]byte, c.size))
			}))
			defer srv.Close()
			client := Bound(srv.Client())
			resp, err := client.Get(srv.URL)
			if err == nil {
				var got []byte
				got, err = io.ReadAll(resp.Body)
				_ = resp.Body.Close()
				require.LessOrEqual(t, len(got), MaxBody)
			}
			if c.ok {
				require.NoError(t, err)
				return
			}
			require.ErrorIs(t, err, ErrTooLarge)
		})
	}
}
