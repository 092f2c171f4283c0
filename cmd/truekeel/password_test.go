package main

import (
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/truekeel/auth"
)

// leakService is a range API by which every password that begins with "leaked" has
// leaked, until it is told to end.
type leakService struct {
	*httptest.Server
	mu     sync.Mutex
	agents []string
	leaked map[string]bool // SHA-1 in capitals
}

func newLeakService(t *testing.T) *leakService {
	s := &leakService{leaked: map[string]bool{}}
	for i := range 1000 {
		sum := sha1.Sum([]byte("leaked " + strconv.Itoa(i)))
		s.leaked[strings.ToUpper(hex.EncodeToString(sum[:]))] = true
	}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.agents = append(s.agents, r.UserAgent())
		s.mu.Unlock()
		for hash := range s.leaked {
			if r.URL.Path == "/range/"+hash[:5] {
				fmt.Fprintf(w, "%s:1\r\n", hash[5:])
			}
		}
		fmt.Fprintf(w, "%035X:0\r\n", 1)
	}))
	t.Cleanup(s.Close)
	return s
}

// asks starts a service of its own for each server.
func asks(t *testing.T, p *place, env map[string]string) {
	s := newLeakService(t)
	env["GOTRUE_PASSWORD_HIBP_URL"] = s.URL
	// What the server was asked is seen when the service is stopped.
	stop := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		s.CloseClientConnections()
		s.Close()
		s.mu.Lock()
		defer s.mu.Unlock()
		fmt.Fprint(w, strings.Join(s.agents, ","))
	}))
	t.Cleanup(stop.Close)
	require.NoError(t, os.WriteFile(filepath.Join(p.dir, "stop"), []byte(stop.URL), 0o600))
}

// stopLeakService ends the service of a world and gives the agents that asked.
func stopLeakService(w *world) string {
	w.t.Helper()
	address, err := os.ReadFile(filepath.Join(w.dir, "stop"))
	require.NoError(w.t, err)
	resp, err := http.Get(string(address))
	require.NoError(w.t, err)
	defer resp.Body.Close()
	agents, err := io.ReadAll(resp.Body)
	require.NoError(w.t, err)
	return string(agents)
}

// choose asks whether a password may be chosen, as the library's Go API sees it.
func choose(w *world, pw string) bool {
	_, err := w.server.auth.HashPassword(w.t.Context(), pw)
	return err == nil
}

func signUpWith(pw string) func(w *world) string {
	return func(w *world) string {
		return w.post("/signup", object{"email": "a@example.com", "password": pw}).String()
	}
}

func passwordEffects() map[string]effect {
	leaks := func(pairs ...string) map[string]string {
		return env(append([]string{"GOTRUE_PASSWORD_HIBP_ENABLED", "true"}, pairs...)...)
	}
	return map[string]effect{
		"GOTRUE_PASSWORD_COMMON_REJECTED": {value: "true", see: signUpWith("sunshine"), want: "422 weak_password"},
		"GOTRUE_PASSWORD_NIST": {value: "true", env: env("GOTRUE_PASSWORD_ARGON2_MEMORY", "64", "GOTRUE_PASSWORD_BCRYPT_COST", ""), see: func(w *world) string {
			_, err := w.server.auth.Users().Create(w.t.Context(), auth.NewUser{Email: "b@example.com", Password: "cafe\u0301", EmailConfirmed: true})
			require.NoError(w.t, err)
			in := w.post("/token?grant_type=password", object{"email": "b@example.com", "password": "caf\u00e9"})
			return signUpWith("fourteen chars")(w) + ", " + in.String()
		}, want: "422 weak_password, 200"},

		"GOTRUE_PASSWORD_HIBP_ENABLED": {value: "true", before: asks, see: signUpWith("leaked 1"), want: "422 weak_password"},
		"GOTRUE_PASSWORD_HIBP_FAIL_CLOSED": {value: "true", env: leaks(), before: asks, see: func(w *world) string {
			stopLeakService(w)
			return signUpWith("leaked 1")(w)
		}, want: "503 service_unavailable"},
		// Without it the service is asked for itself, which can't be reached from here.
		"GOTRUE_PASSWORD_HIBP_URL": {value: "http://127.0.0.1:1/mirror", env: leaks("GOTRUE_PASSWORD_HIBP_FAIL_CLOSED", "true"), see: signUpWith("leaked 1"), want: "503 service_unavailable", alone: true},
		"GOTRUE_PASSWORD_HIBP_USER_AGENT": {value: "acme accounts", env: leaks(), before: asks, see: func(w *world) string {
			signUpWith("leaked 1")(w)
			return stopLeakService(w)
		}, want: "acme accounts"},
		"GOTRUE_PASSWORD_HIBP_BLOOM_ENABLED": {value: "true", env: leaks(), before: asks, see: func(w *world) string {
			choose(w, "leaked 1")
			stopLeakService(w)
			return strconv.FormatBool(choose(w, "leaked 1"))
		}, want: "false"},
		"GOTRUE_PASSWORD_HIBP_BLOOM_ITEMS": {value: "1", env: leaks("GOTRUE_PASSWORD_HIBP_BLOOM_ENABLED", "true"), before: asks, see: func(w *world) string {
			for _, pw := range []string{"leaked 1", "leaked 2", "leaked 3"} {
				choose(w, pw)
			}
			stopLeakService(w)
			return fmt.Sprint(choose(w, "leaked 1"), choose(w, "leaked 3"))
		}, want: "true false"},
		"GOTRUE_PASSWORD_HIBP_BLOOM_FALSE_POSITIVES": {value: "0.9", env: leaks("GOTRUE_PASSWORD_HIBP_BLOOM_ENABLED", "true", "GOTRUE_PASSWORD_HIBP_BLOOM_ITEMS", "200"), before: asks,
			see: func(w *world) string {
				for i := range 200 {
					choose(w, "leaked "+strconv.Itoa(i))
				}
				stopLeakService(w)
				refused := 0
				for i := range 50 {
					if !choose(w, "a good one "+strconv.Itoa(i)) {
						refused++
					}
				}
				return strconv.FormatBool(refused > 10)
			}, want: "true"},
	}
}
