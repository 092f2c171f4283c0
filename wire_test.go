package auth_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/truekeel/auth"
)

var update = flag.Bool("update", false, "write the golden files anew")

// volatile are the parts of the wire that differ from run to run.
var volatile = []struct {
	pattern *regexp.Regexp
	name    string
}{
	{regexp.MustCompile(`"eyJ[A-Za-z0-9_.-]+"`), `"<access token>"`},
	{regexp.MustCompile(`"refresh_token": "[a-z2-7]{26}"`), `"refresh_token": "<refresh token>"`},
	{regexp.MustCompile(`"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z"`), `"<time>"`},
	{regexp.MustCompile(`"(expires_at|exp|iat|timestamp)": \d{10}`), `"$1": "<seconds>"`},
	{regexp.MustCompile(`"(x|y|kid)": "[A-Za-z0-9_-]+"`), `"$1": "<$1>"`},
	{regexp.MustCompile(`http://127\.0\.0\.1:\d+`), `<origin>`},
}

var idPattern = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)

// golden compares JSON, in the order of its keys, with testdata/wire/NAME.json. Ids are
// numbered, so that it shows which are the same.
func golden(t *testing.T, name string, body []byte) {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, json.Indent(&b, body, "", "  "), "%s", body)
	text := b.String() + "\n"
	for _, v := range volatile {
		text = v.pattern.ReplaceAllString(text, v.name)
	}
	ids := map[string]string{}
	text = idPattern.ReplaceAllStringFunc(text, func(id string) string {
		if ids[id] == "" {
			ids[id] = fmt.Sprintf("<id %d>", len(ids)+1)
		}
		return ids[id]
	})
	file := filepath.Join("testdata", "wire", name+".json")
	if *update {
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
		require.NoError(t, os.WriteFile(file, []byte(text), 0o644))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err, "write it with -update")
	require.Equal(t, string(want), text)
}

// The wire is pinned: clients that nobody can update read it.
func TestWire(t *testing.T) {
	d := open(t)
	in := map[string]any{"email": "ada@example.com", "password": goodPassword, "data": map[string]any{"name": "Ada & <Co>"}}
	golden(t, "signup", d.post("/signup", in).want(http.StatusOK, nil).Body)
	code := d.LastMail("ada@example.com").Code()
	golden(t, "verify", d.post("/verify", map[string]any{"type": "signup", "email": "ada@example.com", "token": code}).want(http.StatusOK, nil).Body)
	golden(t, "signup_exists", d.post("/signup", in).want(http.StatusOK, nil).Body)
	a := d.password("ada@example.com", goodPassword).want(http.StatusOK, nil)
	golden(t, "token_password", a.Body)
	var grant tokenAnswer
	require.NoError(t, json.Unmarshal(a.Body, &grant))
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(grant.AccessToken, ".")[1])
	require.NoError(t, err)
	golden(t, "claims", payload)
	golden(t, "user", d.send("GET", "/user", nil, bearer(grant.AccessToken)).want(http.StatusOK, nil).Body)
	golden(t, "user_updated", d.put(grant.AccessToken, map[string]any{"email": "lady@example.com", "data": map[string]any{"name": nil}}).want(http.StatusOK, nil).Body)
	golden(t, "token_refresh", d.refresh(grant.RefreshToken).want(http.StatusOK, nil).Body)
	golden(t, "jwks", d.send("GET", "/.well-known/jwks.json", nil).want(http.StatusOK, nil).Body)
	golden(t, "openid_configuration", d.send("GET", "/.well-known/openid-configuration", nil).want(http.StatusOK, nil).Body)
	golden(t, "settings", d.send("GET", "/settings", nil).want(http.StatusOK, nil).Body)
	weak := map[string]any{"email": "eve@example.com", "password": "short"}
	golden(t, "error", d.post("/signup", weak).Body)
	golden(t, "error_versioned", d.post("/signup", weak, versioned()).Body)

	confirmed := open(t, auth.WithAutoConfirm(true))
	golden(t, "signup_autoconfirm", confirmed.post("/signup", in).want(http.StatusOK, nil).Body)
	golden(t, "settings_autoconfirm", confirmed.send("GET", "/settings", nil).want(http.StatusOK, nil).Body)
	visible := open(t, auth.WithVisibleDuplicates())
	visible.signUp("ada@example.com")
	golden(t, "signup_exists_visible", visible.post("/signup", in).want(http.StatusOK, nil).Body)
}

// Answers are JSON without a line feed, as the clients know it.
func TestAnswersOnTheWire(t *testing.T) {
	d := open(t)
	for _, path := range []string{"/settings", "/health", "/.well-known/jwks.json", "/nothing"} {
		a := d.send("GET", path, nil)
		require.Equal(t, "application/json", a.Header.Get("Content-Type"))
		require.False(t, bytes.HasSuffix(a.Body, []byte("\n")), path)
		require.Contains(t, a.Header.Values("Vary"), "Origin")
	}
	require.Equal(t, "public, max-age=600", d.send("GET", "/.well-known/jwks.json", nil).Header.Get("Cache-Control"))
	for _, path := range []string{"/settings", "/health", "/.well-known/jwks.json", "/.well-known/openid-configuration"} {
		a := d.send("HEAD", path, nil).want(http.StatusOK, nil)
		require.Empty(t, a.Body)
	}
	health := d.send("GET", "/health", nil).want(http.StatusOK, nil).object()
	require.Equal(t, "GoTrue", health["name"])
	require.NotEmpty(t, health["version"])
}

func TestSettingsTellThePolicy(t *testing.T) {
	off := open(t, auth.WithSignUp(false), auth.WithEmailSignIn(false)).send("GET", "/settings", nil).object()
	require.Equal(t, true, off["disable_signup"])
	require.Equal(t, false, off["external"].(map[string]any)["email"])
	on := open(t).send("GET", "/settings", nil).object()
	require.Equal(t, false, on["disable_signup"])
	require.Equal(t, true, on["external"].(map[string]any)["email"])
	require.Equal(t, false, on["external"].(map[string]any)["phone"])
}
