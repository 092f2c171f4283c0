package main

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// keelSignIn signs somebody in, or up, as Keel's clients do.
func keelSignIn(w *world) reply {
	w.t.Helper()
	return w.post("/token", object{"grant_type": "password", "username": "a@example.com", "password": goodPassword}, "Content-Type", "application/json")
}

func keelRefresh(w *world, token string) reply {
	w.t.Helper()
	return w.post("/token", object{"grant_type": "refresh_token", "refresh_token": token}, "Content-Type", "application/json")
}

func keelEffects(acme acme) map[string]effect {
	on := func(pairs ...string) map[string]string {
		return env(append([]string{"GOTRUE_KEEL_ENABLED", "true", autoConfirm, "true"}, pairs...)...)
	}
	return map[string]effect{
		"GOTRUE_KEEL_ENABLED": {value: "true", env: env("GOTRUE_KEEL_ENABLED", "", autoConfirm, "true"), see: func(w *world) string {
			return keelSignIn(w).field("token_type") + " " + w.ask("GET", keelMetadataPath, nil).String()
		}, want: "bearer 200"},
		"GOTRUE_KEEL_REDIRECT_URL": {value: "https://app.example.com/signed-in", env: acme.env("GOTRUE_KEEL_ENABLED", "true"), see: func(w *world) string {
			u, err := url.Parse(w.ask("GET", "/callback/acme?error=access_denied&state=x", nil).header.Get("Location"))
			require.NoError(w.t, err)
			return hostAndPath(u)
		}, want: "app.example.com/signed-in"},
		"GOTRUE_KEEL_ACCESS_TOKEN_EXPIRY": {value: "90s", env: on(), see: func(w *world) string { return keelSignIn(w).field("expires_in") }, want: "90"},
		"GOTRUE_KEEL_REFRESH_TOKEN_EXPIRY": {value: "1h", env: on(), see: func(w *world) string {
			token := keelSignIn(w).field("refresh_token")
			w.clock.Advance(2 * time.Hour)
			return keelRefresh(w, token).String()
		}, want: "401"},
		"GOTRUE_KEEL_REFRESH_TOKEN_ROTATION_ENABLED": {value: "false", env: on(), see: func(w *world) string {
			token := keelSignIn(w).field("refresh_token")
			next := keelRefresh(w, token)
			require.Equal(w.t, "200", next.String())
			return strconv.FormatBool(next.field("refresh_token") == token)
		}, want: "true"},
		"GOTRUE_KEEL_ISSUER": {value: "https://keel.so", env: on(), see: func(w *world) string {
			_, payload := claims(w.t, keelSignIn(w).field("access_token"))
			return fmt.Sprint(payload["iss"])
		}, want: "https://keel.so"},
		"GOTRUE_KEEL_QUERY_CREDENTIALS": {value: "true", env: on(), see: func(w *world) string {
			q := url.Values{"grant_type": {"password"}, "username": {"a@example.com"}, "password": {goodPassword}}
			return w.ask("POST", "/token?"+q.Encode(), nil, "Content-Type", "application/x-www-form-urlencoded").String()
		}, want: "200"},
	}
}

const keelYAML = `
auth:
  redirectUrl: https://app.example.com/signed-in
  tokens:
    accessTokenExpiry: 90
  providers:
    - {type: google, name: Google_Client, clientId: id}
  hooks: [afterAuthentication]
`

func TestServeWithAKeelconfig(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "keelconfig.yaml")
	require.NoError(t, os.WriteFile(file, []byte(keelYAML), 0o600))
	p := serve(t, dir, []string{"GOTRUE_API_BASE_PATH=/auth", "AUTH_PROVIDER_SECRET_GOOGLE_CLIENT=hunter2"}, "serve", "--keelconfig", file)
	status, body := p.get("/auth/providers")
	require.Equal(t, 200, status)
	require.Contains(t, body, `"name":"Google_Client"`)
	status, body = p.get(keelMetadataPath)
	require.Equal(t, 200, status)
	require.Contains(t, body, "/auth/token")
	status, _ = p.get("/auth/v1/settings")
	require.Equal(t, 200, status, "GoTrue's clients are answered too")
	p.stop()
	log := fmt.Sprint(p.log)
	require.Contains(t, log, "afterAuthentication is never called")
	require.NotContains(t, log, "hunter2")
}

func TestAKeelconfigThatIsWrong(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "keelconfig.yaml")
	require.NoError(t, os.WriteFile(file, []byte("auth:\n  tokens:\n    expiry: 1\n"), 0o600))
	for _, args := range [][]string{{"serve"}, {"doctor"}, {"migrate"}, {"admin", "list"}} {
		out := fails(t, dir, []string{"GOTRUE_DISABLE_SIGNUP=maybe"}, append(args, "--keelconfig", file)...)
		require.Contains(t, out, "auth.tokens.expiry", args)
		require.Contains(t, out, "GOTRUE_DISABLE_SIGNUP", "what is wrong with the variables is told at once")
	}
	require.Contains(t, fails(t, dir, nil, "serve", "--keelconfig", filepath.Join(dir, "none.yaml")), "none.yaml")
	require.NoError(t, os.WriteFile(file, []byte(keelYAML), 0o600))
	many := []string{"GOTRUE_MULTIINSTANCEMODE=true", "GOTRUE_OPERATOR_TOKEN=" + operator}
	require.Contains(t, fails(t, dir, many, "serve", "--keelconfig", file), "one instance")
	require.Contains(t, strings.TrimSpace(fails(t, dir, nil, "doctor", "--keelconfig", file)), "AUTH_PROVIDER_SECRET_GOOGLE_CLIENT")
}
