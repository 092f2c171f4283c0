package auth_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

// BenchmarkCallback is the library's part of a sign-in with a provider, without the
// provider: the way back of somebody who has an account, and of somebody who gets one.
func BenchmarkCallback(b *testing.B) {
	for name, subject := range map[string]func(n int) string{
		"known": func(int) string { return "1" },
		"new":   strconv.Itoa,
	} {
		b.Run(name, func(b *testing.B) {
			w := openTown(b)
			n := 0
			for b.Loop() {
				b.StopTimer()
				n++
				r := httptest.NewRequestWithContext(b.Context(), http.MethodGet, w.url+"/authorize?provider=acme", nil)
				left := httptest.NewRecorder()
				w.Auth.ServeHTTP(left, r)
				require.Equal(b, http.StatusFound, left.Code)
				w.acme.knows("c", w.acme.someone(subject(n), "user"+subject(n)+"@example.com", true))
				back := httptest.NewRequestWithContext(b.Context(), http.MethodGet, w.url+"/callback?"+url.Values{"state": {w.acme.last().State}, "code": {"c"}}.Encode(), nil)
				back.AddCookie(left.Result().Cookies()[0])
				b.StartTimer()
				landed := httptest.NewRecorder()
				w.Auth.ServeHTTP(landed, back)
				if landed.Code != http.StatusFound || len(landed.Header().Get("sb-auth-user-id")) != 36 {
					b.Fatalf("ended with %d at %s", landed.Code, landed.Header().Get("Location"))
				}
			}
		})
	}
}
