package outbound

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestAccountValidate(t *testing.T) {
	for base, ok := range map[string]bool{
		"https://api.example.com": true, "https://api.example.com/eu/": true, "http://127.0.0.1:8080": true, "http://localhost": true, "http://[::1]:1": true,
		"": false, "api.example.com": false, "http://api.example.com": false, "http://localhost.example.com": false, "ftp://api.example.com": false,
		"https://": false, "https://u:p@api.example.com": false, "https://api.example.com?x": false, "https://api.example.com/#x": false, "http://10.0.0.1": false,
	} {
		require.Equal(t, ok, Account{BaseURL: base}.Validate() == nil, base)
	}
	require.NotContains(t, Account{BaseURL: "https://u:hunter2@api.example.com"}.Validate().Error(), "hunter2")
	require.ErrorContains(t, Account{BaseURL: "https://a.example", Timeout: -1}.Validate(), "Timeout")
}

func TestPost(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.WriteHeader(http.StatusTeapot)
		_, _ = io.WriteString(w, r.URL.Path+" "+r.Header.Get("X-Key")+" "+string(body))
	}))
	defer srv.Close()
	var s Service
	s.CloseIdleConnections()
	sign := func(r *http.Request) { r.Header.Set("X-Key", "k") }
	own := Account{BaseURL: srv.URL + "/", Own: true, Timeout: time.Minute}
	for range 2 {
		a, err := s.Post(t.Context(), own, "/send", url.Values{"a": {"b c"}}, sign)
		require.NoError(t, err)
		require.Equal(t, Answer{http.StatusTeapot, []byte("/send k a=b+c")}, a)
		s.CloseIdleConnections()
	}
	require.Equal(t, time.Minute, s.client.Timeout)

	// An address that others named must be public.
	var public Service
	_, err := public.Post(t.Context(), Account{BaseURL: srv.URL}, "/send", nil, nil)
	require.ErrorIs(t, err, ErrForbiddenAddress)
	require.NotContains(t, err.Error(), "/send")
}

func TestTimeouts(t *testing.T) {
	for name, c := range map[string]struct{ client, timeout, want time.Duration }{
		"none": {0, 0, Timeout}, "the account's": {0, time.Minute, time.Minute}, "the client's, shorter": {time.Second, time.Minute, time.Second},
		"the account's, shorter": {time.Minute, time.Second, time.Second},
	} {
		var s Service
		require.Equal(t, c.want, s.open(Account{Client: &http.Client{Timeout: c.client}, Timeout: c.timeout}).Timeout, name)
	}
}
