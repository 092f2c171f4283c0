package auth_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/truekeel/auth"
	"github.com/truekeel/auth/authtest"
	"github.com/truekeel/auth/internal/testdb"
	"github.com/truekeel/auth/store"
)

// door is an Auth behind its front door: tests send it requests and read answers.
type door struct {
	*authtest.Harness
	t   testing.TB
	url string // of the mount
	srv *httptest.Server
}

// database is where the accounts of the doors are kept: see TestMain.
var database = "sqlite"

// TestMain runs every test once for each database that is there: SQLite always, the
// others where the environment names a server. TRUEKEEL_TEST_DATABASE names one alone.
func TestMain(m *testing.M) {
	code := 0
	for _, db := range []struct{ name, server string }{
		{"sqlite", ""}, {"postgres", testdb.PostgresVar}, {"mysql", testdb.MySQLVar},
	} {
		only := os.Getenv("TRUEKEEL_TEST_DATABASE")
		if only != "" && only != db.name {
			continue
		}
		if db.server != "" && os.Getenv(db.server) == "" {
			fmt.Fprintf(os.Stderr, "SKIP: %s is not set: the front-door tests don't run on %s\n", db.server, db.name)
			continue
		}
		database = db.name
		if c := m.Run(); c != 0 {
			fmt.Fprintf(os.Stderr, "FAIL: the front-door tests on %s\n", db.name)
			code = c
		}
	}
	os.Exit(code)
}

// sequential marks a long table of requests that come one after the other: there is no
// race to be found in it, and go test -race -short leaves it out.
func sequential(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("a long table without concurrency: leave out -short")
	}
}

// fresh gives an empty store on the database of this run.
func fresh(t testing.TB) store.Store {
	t.Helper()
	switch database {
	case "postgres":
		return testdb.Postgres(t)
	case "mysql":
		return testdb.MySQL(t)
	}
	return testdb.SQLite(t)
}

// onlySQLite skips what is about the embedded database on the others.
func onlySQLite(t testing.TB) {
	t.Helper()
	if database != "sqlite" {
		t.Skipf("about the embedded database, not about %s", database)
	}
}

// open starts an Auth with options and serves it under /auth.
func open(t testing.TB, opts ...auth.Option) *door {
	t.Helper()
	if database != "sqlite" {
		opts = append([]auth.Option{auth.WithStore(fresh(t))}, opts...)
	}
	h := authtest.New(t, opts...)
	srv := h.Serve(nil)
	return &door{Harness: h, t: t, url: srv.URL + "/auth", srv: srv}
}

// answer is what the door said.
type answer struct {
	t      testing.TB
	Status int
	Header http.Header
	Body   []byte
}

// header is a request header.
type header struct{ name, value string }

// bearer is the header with an access token.
func bearer(token string) header { return header{"Authorization", "Bearer " + token} }

// versioned is the header of clients that want string codes.
func versioned() header { return header{"X-Supabase-Api-Version", "2024-01-01"} }

// send sends a request whose body is JSON of v, or v itself if it is a string or bytes.
// Redirects aren't followed.
func (d *door) send(method, path string, v any, headers ...header) answer {
	d.t.Helper()
	var body io.Reader
	switch b := v.(type) {
	case nil:
	case string:
		body = strings.NewReader(b)
	case []byte:
		body = bytes.NewReader(b)
	default:
		raw, err := json.Marshal(v)
		require.NoError(d.t, err)
		body = bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(d.t.Context(), method, d.url+path, body)
	require.NoError(d.t, err)
	for _, h := range headers {
		req.Header.Add(h.name, h.value)
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req)
	require.NoError(d.t, err)
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	require.NoError(d.t, err)
	return answer{t: d.t, Status: resp.StatusCode, Header: resp.Header, Body: raw}
}

// post sends JSON.
func (d *door) post(path string, v any, headers ...header) answer {
	d.t.Helper()
	return d.send(http.MethodPost, path, v, headers...)
}

// want checks the status and decodes the body into v, unless v is nil.
func (a answer) want(status int, v any) answer {
	a.t.Helper()
	require.Equal(a.t, status, a.Status, "body: %s", a.Body)
	if v != nil {
		require.NoError(a.t, json.Unmarshal(a.Body, v), "body: %s", a.Body)
	}
	return a
}

// wantFault checks the status and the code of an error, in the header and in the body.
func (a answer) wantFault(status int, code string) answer {
	a.t.Helper()
	require.Equal(a.t, status, a.Status, "body: %s", a.Body)
	require.Equal(a.t, code, a.Header.Get("x-sb-error-code"), "body: %s", a.Body)
	require.Contains(a.t, string(a.Body), `"`+code+`"`)
	return a
}

// object decodes the body as an object.
func (a answer) object() map[string]any {
	a.t.Helper()
	var m map[string]any
	require.NoError(a.t, json.Unmarshal(a.Body, &m), "body: %s", a.Body)
	return m
}

// tokens are what a sign-in gives.
type tokenAnswer struct {
	AccessToken  string         `json:"access_token"`
	RefreshToken string         `json:"refresh_token"`
	TokenType    string         `json:"token_type"`
	ExpiresIn    int            `json:"expires_in"`
	ExpiresAt    int64          `json:"expires_at"`
	Type         string         `json:"type"`
	User         map[string]any `json:"user"`
	Weak         any            `json:"weak_password"`
}

const goodPassword = "correct horse battery"

// signUp makes an account through the door, confirms it by the mailed code and gives
// its tokens.
func (d *door) signUp(email string) tokenAnswer {
	d.t.Helper()
	d.post("/signup", map[string]any{"email": email, "password": goodPassword}).want(http.StatusOK, nil)
	code := d.LastMail(email).Code()
	var out tokenAnswer
	d.post("/verify", map[string]any{"type": "signup", "email": email, "token": code}).want(http.StatusOK, &out)
	return out
}

// signIn signs in by password.
func (d *door) signIn(email string) tokenAnswer {
	d.t.Helper()
	var out tokenAnswer
	d.post("/token?grant_type=password", map[string]any{"email": email, "password": goodPassword}).want(http.StatusOK, &out)
	return out
}
