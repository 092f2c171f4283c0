package auth_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/truekeel/auth"
)

func TestCORS(t *testing.T) {
	site := []auth.Option{auth.WithSiteURL("https://app.example.com"), auth.WithAutoConfirm(true)}
	with := func(o ...auth.Option) []auth.Option { return append(o, site...) }
	tests := []struct {
		name   string
		opts   []auth.Option
		origin string
		allow  string // Access-Control-Allow-Origin
	}{
		{"development, loopback", nil, "http://localhost:5173", "http://localhost:5173"},
		{"development, other loopback", nil, "http://127.0.0.1:3000", "http://127.0.0.1:3000"},
		{"development, stranger", nil, "https://evil.example", ""},
		{"development, looks local", nil, "http://localhost.evil.example", ""},
		{"development, null", nil, "null", ""},
		{"site", site, "https://app.example.com", "https://app.example.com"},
		{"site, upper case", site, "https://APP.example.com", "https://APP.example.com"},
		{"site, other scheme", site, "http://app.example.com", ""},
		{"site, other port", site, "https://app.example.com:8443", ""},
		{"site, suffix", site, "https://app.example.com.evil.example", ""},
		{"site, prefix", site, "https://evilapp.example.com", ""},
		{"site, loopback", site, "http://localhost:5173", ""},
		{"listed", with(auth.WithAllowedOrigins("https://Other.example")), "https://other.example", "https://other.example"},
		{"listed, stranger", with(auth.WithAllowedOrigins("https://other.example")), "https://evil.example", ""},
		{"any", with(auth.WithAllowedOrigins("*")), "https://evil.example", "*"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := open(t, tt.opts...)
			for _, path := range []string{"/settings", "/nothing", "/user"} { // errors too
				a := d.send("GET", path, nil, header{"Origin", tt.origin})
				require.Equal(t, tt.allow, a.Header.Get("Access-Control-Allow-Origin"), path)
				require.Empty(t, a.Header.Get("Access-Control-Allow-Credentials"))
				require.Contains(t, a.Header.Values("Vary"), "Origin")
				require.Equal(t, tt.allow != "", a.Header.Get("Access-Control-Expose-Headers") != "")
			}
			a := d.send("OPTIONS", "/token", nil, header{"Origin", tt.origin}, header{"Access-Control-Request-Method", "POST"},
				header{"Access-Control-Request-Headers", "apikey,authorization,content-type,x-client-info,x-supabase-api-version"})
			require.Equal(t, http.StatusNoContent, a.Status)
			require.Empty(t, a.Body)
			require.Equal(t, tt.allow, a.Header.Get("Access-Control-Allow-Origin"))
			if tt.allow == "" {
				require.Empty(t, a.Header.Get("Access-Control-Allow-Methods"))
				return
			}
			require.Equal(t, "POST", a.Header.Get("Access-Control-Allow-Methods"))
			require.Equal(t, "apikey,authorization,content-type,x-client-info,x-supabase-api-version", a.Header.Get("Access-Control-Allow-Headers"))
		})
	}
}

func TestPreflights(t *testing.T) {
	d := open(t, auth.WithAllowedHeaders("X-Tenant"))
	tests := []struct {
		name, method, headers string
		allowed               bool
	}{
		{"plain", "GET", "", true},
		{"put", "PUT", "content-type", true},
		{"blanks and case", "POST", "Content-Type, Authorization", true},
		{"own header", "POST", "x-tenant", true},
		{"unknown header", "POST", "x-evil", false},
		{"one unknown", "POST", "content-type,x-evil", false},
		{"head", "HEAD", "", false},
		{"trace", "TRACE", "", false},
		{"lower case", "post", "", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, path := range []string{"/token", "/nothing"} {
				headers := []header{{"Origin", "http://localhost:5173"}, {"Access-Control-Request-Method", tt.method}}
				if tt.headers != "" {
					headers = append(headers, header{"Access-Control-Request-Headers", tt.headers})
				}
				a := d.send("OPTIONS", path, nil, headers...)
				require.Equal(t, http.StatusNoContent, a.Status)
				require.Equal(t, tt.allowed, a.Header.Get("Access-Control-Allow-Origin") != "")
				require.Contains(t, a.Header.Get("Vary"), "Access-Control-Request-Headers")
			}
		})
	}
	// Without the headers of a preflight it is a request like any other.
	require.Equal(t, http.StatusMethodNotAllowed, d.send("OPTIONS", "/token", nil, header{"Origin", "http://localhost:5173"}).Status)
}
