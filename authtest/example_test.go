package authtest_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/truekeel/auth"
	"github.com/truekeel/auth/authtest"
)

// newApp is the service that is tested.
func newApp(a *auth.Auth) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/auth/", a)
	mux.Handle("/api/me", a.RequireUser(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		u, _ := auth.UserFrom(r.Context())
		fmt.Fprint(w, u.Email)
	})))
	return mux
}

// A host's own test: alice is signed in, and the clock is the test's.
func ExampleNew() {
	_ = func(t *testing.T) {
		h := authtest.New(t)
		srv := h.Serve(newApp(h.Auth))

		alice := h.User("alice@example.com").Client()
		resp, err := alice.Get(srv.URL + "/api/me")
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Fatal(resp, err)
		}
		defer resp.Body.Close()
		h.Clock.Advance(2 * time.Hour) // her token expires
		resp, err = alice.Get(srv.URL + "/api/me")
		if err != nil || resp.StatusCode != http.StatusUnauthorized {
			t.Fatal(resp, err)
		}
		defer resp.Body.Close()
	}
}
