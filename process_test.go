package auth_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/truekeel/auth"
	"github.com/truekeel/auth/internal/seal"
	"github.com/truekeel/auth/store/sqlite"
	"github.com/truekeel/auth/tokens"
)

// These tests run this test binary again, as servers on one SQLite file.

// serverVar names the database of a server process.
const serverVar = "AUTH_TEST_SERVER"

// TestServerProcess is a server process if its environment says so: it prints its URL
// and ends with its standard input.
func TestServerProcess(t *testing.T) {
	path := os.Getenv(serverVar)
	if path == "" {
		t.Skip("run by other tests")
	}
	a, err := auth.New(auth.WithDatabaseFile(path), auth.WithAutoConfirm(true), auth.WithBcrypt(4), auth.WithoutLimits())
	require.NoError(t, err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	srv := &http.Server{Handler: a, ReadHeaderTimeout: time.Minute}
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		_ = srv.Shutdown(context.Background())
	}()
	fmt.Printf("URL http://%s/auth\n", l.Addr())
	require.ErrorIs(t, srv.Serve(l), http.ErrServerClosed)
	require.NoError(t, a.Close(context.Background()))
}

// server is a server process.
type server struct {
	url  string
	kill func() // as kill -9 does
}

// startServer runs a server process on a database until the test ends.
func startServer(t *testing.T, path string) server {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.Command(self, "-test.run=^TestServerProcess$", "-test.v")
	cmd.Env = append(os.Environ(), serverVar+"="+path, "TRUEKEEL_TEST_DATABASE=sqlite")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdin, err := cmd.StdinPipe()
	require.NoError(t, err)
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	var once sync.Once
	var killed atomic.Bool
	wait := func() {
		once.Do(func() {
			stdin.Close()
			if err := cmd.Wait(); err != nil && !killed.Load() {
				t.Errorf("the server ended with %v: %s", err, stderr.String())
			}
		})
	}
	t.Cleanup(wait)
	lines := bufio.NewScanner(stdout)
	for lines.Scan() {
		if url, ok := strings.CutPrefix(lines.Text(), "URL "); ok {
			go func() { _, _ = io.Copy(io.Discard, stdout) }()
			return server{url, func() {
				killed.Store(true)
				_ = cmd.Process.Kill()
				wait()
			}}
		}
	}
	t.Fatalf("the server didn't start: %s", stderr.String())
	return server{}
}

// tell sends JSON to a server; status 0 if it is gone.
func (s server) tell(method, path, body, token string, out any) int {
	req, err := http.NewRequest(method, s.url+path, strings.NewReader(body))
	if err != nil {
		return 0
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0
	}
	if out != nil && resp.StatusCode == http.StatusOK && json.Unmarshal(raw, out) != nil {
		return 0
	}
	return resp.StatusCode
}

func credentials(email string) string {
	return fmt.Sprintf(`{"email":%q,"password":%q}`, email, goodPassword)
}

// Whatever was acknowledged before a kill -9 is there afterwards.
func TestKilledServerLosesNothing(t *testing.T) {
	onlySQLite(t)
	path := filepath.Join(t.TempDir(), "auth.db")
	var acknowledged sync.Map
	for round := range 3 {
		s := startServer(t, path)
		var count atomic.Int64
		var wg sync.WaitGroup
		enough := make(chan struct{})
		for g := range 8 {
			wg.Go(func() {
				for i := 0; ; i++ {
					email := fmt.Sprintf("r%d-g%d-i%d@example.com", round, g, i)
					var in tokenAnswer
					if status := s.tell("POST", "/signup", credentials(email), "", &in); status != http.StatusOK {
						return
					}
					acknowledged.Store(email, in.RefreshToken)
					if count.Add(1) == 100 {
						close(enough)
					}
				}
			})
		}
		select {
		case <-enough:
		case <-time.After(time.Minute):
			t.Error("the server is too slow")
		}
		s.kill()
		wg.Wait()
	}
	a, err := auth.New(auth.WithDatabaseFile(path))
	require.NoError(t, err)
	defer a.Close(context.Background())
	s := startServer(t, path)
	n := 0
	acknowledged.Range(func(email, refresh any) bool {
		u, err := a.Users().FindByEmail(t.Context(), email.(string))
		require.NoError(t, err, "%s was acknowledged", email)
		require.NotEmpty(t, u.Identities)
		if n++; n%10 == 0 { // the session was acknowledged too
			require.Equal(t, http.StatusOK, s.tell("POST", "/token?grant_type=refresh_token", fmt.Sprintf(`{"refresh_token":%q}`, refresh), "", nil))
		}
		return true
	})
	require.GreaterOrEqual(t, n, 300)
}

// A client may talk to any of several servers on one file, at once, and to another with
// every request.
func TestFourServersOnOneFile(t *testing.T) {
	onlySQLite(t)
	path := filepath.Join(t.TempDir(), "auth.db")
	servers := make([]server, 4)
	var started sync.WaitGroup
	for i := range servers { // on an empty file, at once
		started.Go(func() { servers[i] = startServer(t, path) })
	}
	started.Wait()
	var failed atomic.Int64
	var wg sync.WaitGroup
	for c := range 8 {
		wg.Go(func() {
			at := func(step int) server { return servers[(c+step)%len(servers)] }
			email := fmt.Sprintf("client%d@example.com", c)
			var in tokenAnswer
			expect := func(want, got int) {
				if want != got {
					failed.Add(1)
					t.Errorf("client %d: got %d, want %d", c, got, want)
				}
			}
			expect(200, at(0).tell("POST", "/signup", credentials(email), "", &in))
			for i := range 10 {
				expect(200, at(i).tell("GET", "/user", "", in.AccessToken, nil))
				expect(200, at(i+1).tell("PUT", "/user", fmt.Sprintf(`{"data":{"k%d":%d}}`, i, i), in.AccessToken, nil))
				expect(200, at(i+2).tell("POST", "/token?grant_type=refresh_token", fmt.Sprintf(`{"refresh_token":%q}`, in.RefreshToken), "", &in))
			}
			var second tokenAnswer
			expect(200, at(3).tell("POST", "/token?grant_type=password", credentials(email), "", &second))
			expect(10+4, countKeys(second.User["user_metadata"])) // and what a sign-up puts there
			expect(204, at(1).tell("POST", "/logout", "", in.AccessToken, nil))
			expect(403, at(2).tell("GET", "/user", "", second.AccessToken, nil))
		})
	}
	wg.Wait()
	require.Zero(t, failed.Load())
}

func countKeys(v any) int {
	m, _ := v.(map[string]any)
	return len(m)
}

// A key that one process makes current signs and verifies in the others soon, and no
// token becomes bad on the way.
func TestKeyRotationReachesOtherServers(t *testing.T) {
	onlySQLite(t)
	path := filepath.Join(t.TempDir(), "auth.db")
	servers := []server{startServer(t, path), startServer(t, path), startServer(t, path)}
	var old tokenAnswer
	require.Equal(t, 200, servers[0].tell("POST", "/signup", credentials("ada@example.com"), "", &old))

	s, err := sqlite.Open(path)
	require.NoError(t, err)
	defer s.Close()
	box, err := seal.FromFile(path + ".key")
	require.NoError(t, err)
	ring, err := tokens.NewKeyring(t.Context(), tokens.KeyringConfig{Store: s, Box: box})
	require.NoError(t, err)
	defer ring.Close()
	key, err := ring.Rotate(t.Context())
	require.NoError(t, err)
	_, err = ring.Promote(t.Context())
	require.NoError(t, err)

	for i, signer := range servers {
		var in tokenAnswer
		require.Eventually(t, func() bool {
			return signer.tell("POST", "/token?grant_type=password", credentials("ada@example.com"), "", &in) == 200 && kidOf(t, in.AccessToken) == key.ID
		}, time.Minute, 50*time.Millisecond, "server %d goes on with the old key", i)
		for j, verifier := range servers {
			require.Equal(t, 200, verifier.tell("GET", "/user", "", in.AccessToken, nil), "server %d doesn't know the key of server %d", j, i)
			require.Equal(t, 200, verifier.tell("GET", "/user", "", old.AccessToken, nil), "the old key still verifies")
		}
	}
}

func kidOf(t *testing.T, token string) string {
	t.Helper()
	head, _, _ := strings.Cut(token, ".")
	raw, err := base64.RawURLEncoding.DecodeString(head)
	require.NoError(t, err)
	var h struct{ Kid string }
	require.NoError(t, json.Unmarshal(raw, &h))
	return h.Kid
}
