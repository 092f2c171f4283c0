package main

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"
)

const operator = "operator-token-operator-token-operator"

// makeInstance makes an instance and gives what the operator is told.
func makeInstance(w *world, settings map[string]any) reply {
	return w.ask("POST", "/instances", map[string]any{"config": settings}, "Authorization", "Bearer "+operator)
}

func instanceSettings(name string) map[string]any {
	return map[string]any{"site_url": "https://" + name + ".example", "mailer": map[string]any{"autoconfirm": true}}
}

// signature is the operator's for an instance; without life it is good for ever.
func signature(t *testing.T, id, key string, life time.Duration) string {
	t.Helper()
	c := jwt.MapClaims{"id": id}
	if life > 0 {
		c["exp"] = time.Now().Add(life).Unix()
	}
	text, err := jwt.NewWithClaims(jwt.SigningMethodHS256, c).SignedString([]byte(key))
	require.NoError(t, err)
	return text
}

func signedBy(key string, life time.Duration) func(w *world) string {
	return func(w *world) string {
		id := makeInstance(w, instanceSettings("acme")).field("id")
		return w.ask("GET", "/settings", nil, "x-nf-sign", signature(w.t, id, key, life)).String()
	}
}

func multiEffects() map[string]effect {
	const on, token, dir = "GOTRUE_MULTIINSTANCEMODE", "GOTRUE_OPERATOR_TOKEN", "GOTRUE_INSTANCES_PATH"
	many := func(pairs ...string) map[string]string {
		m := env(on, "true", token, operator, dir, "DIR/instances")
		for k, v := range env(pairs...) {
			m[k] = v
		}
		return m
	}
	without := func(name string) map[string]string {
		m := many()
		delete(m, name)
		return m
	}
	return map[string]effect{
		on:                                {value: "true", env: without(on), see: func(w *world) string { return makeInstance(w, instanceSettings("acme")).String() }, want: "201"},
		token:                             {value: operator, env: without(token), see: func(w *world) string { return makeInstance(w, instanceSettings("acme")).String() }, want: "201"},
		"GOTRUE_OPERATOR_SIGNING_KEY":     {value: secret, env: many(), see: signedBy(secret, time.Minute), want: "200"},
		"GOTRUE_OPERATOR_ALLOW_NO_EXPIRY": {value: "true", env: many(), see: signedBy(operator, 0), want: "200"},
		"GOTRUE_API_ENDPOINT": {value: "https://auth.example", env: many(), see: func(w *world) string {
			return makeInstance(w, instanceSettings("acme")).field("endpoint")
		}, want: "https://auth.example"},
		dir: {value: "DIR/elsewhere", env: without(dir), see: func(w *world) string {
			_, err := os.Stat(filepath.Join(w.dir, "elsewhere", "instances.key"))
			return strconv.FormatBool(err == nil)
		}, want: "true", alone: true},
		"GOTRUE_INSTANCES_MAX_OPEN": {value: "1", env: many(), see: func(w *world) string {
			for _, name := range []string{"blue", "red"} {
				id := makeInstance(w, instanceSettings(name)).field("id")
				require.Equal(w.t, "200", w.ask("GET", "/settings", nil, "x-nf-sign", signature(w.t, id, operator, time.Minute)).String())
			}
			return strconv.Itoa(w.server.accounts.(*instances).Open())
		}, want: "1"},
	}
}

func TestMulti(t *testing.T) {
	dir := t.TempDir()
	require.Contains(t, fails(t, dir, nil, "multi"), "GOTRUE_OPERATOR_TOKEN")
	vars := []string{"GOTRUE_OPERATOR_TOKEN=" + operator, "GOTRUE_JWT_SECRET=" + secret, "GOTRUE_SMTP_HOST=127.0.0.1", "GOTRUE_SMTP_ADMIN_EMAIL=a@example.com", "GOTRUE_SITE_URL=https://operator.example", "GOTRUE_API_HOST=127.0.0.1"}
	p := serve(t, dir, vars, "multi")
	ask := func(method, path, body string, headers ...string) (int, string) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, "http://"+p.addr+path, strings.NewReader(body))
		require.NoError(t, err)
		for i := 0; i+1 < len(headers); i += 2 {
			r.Header.Set(headers[i], headers[i+1])
		}
		resp, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		defer resp.Body.Close()
		raw, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		return resp.StatusCode, string(raw)
	}
	made := func(settings string) string {
		status, body := ask("POST", "/instances", `{"config":`+settings+`}`, "Authorization", "Bearer "+operator)
		require.Equal(t, http.StatusCreated, status, body)
		var i struct{ ID string }
		require.NoError(t, json.Unmarshal([]byte(body), &i))
		return i.ID
	}
	status, body := ask("POST", "/instances", `{"config":{"mailer":{"otp_exp":"soon"}}}`, "Authorization", "Bearer "+operator)
	require.Equal(t, http.StatusBadRequest, status)
	require.Contains(t, body, "GOTRUE_MAILER_OTP_EXP")

	manual, err := os.ReadFile("../../docs/multi.md")
	require.NoError(t, err)
	_, example, _ := strings.Cut(string(manual), `-d '{
  "config": `)
	example, _, _ = strings.Cut(example, "}'\n")
	require.NotEmpty(t, made(example), "the manual's example")

	blue := made(`{"site_url":"https://blue.example","mailer":{"autoconfirm":true}}`)
	red := made(`{"site_url":"https://red.example","disable_signup":true}`)
	signUp := `{"email":"ada@example.com","password":"` + goodPassword + `"}`
	status, body = ask("POST", "/signup", signUp, "x-nf-sign", signature(t, blue, operator, time.Minute))
	require.Equal(t, http.StatusOK, status, body)
	var s struct {
		AccessToken string `json:"access_token"`
	}
	require.NoError(t, json.Unmarshal([]byte(body), &s))
	status, body = ask("POST", "/signup", signUp, "x-nf-sign", signature(t, red, operator, time.Minute))
	require.Equal(t, http.StatusUnprocessableEntity, status, body)
	status, _ = ask("GET", "/user", "", "Authorization", "Bearer "+s.AccessToken, "x-nf-sign", signature(t, blue, operator, time.Minute))
	require.Equal(t, http.StatusOK, status)
	status, _ = ask("GET", "/user", "", "Authorization", "Bearer "+s.AccessToken, "x-nf-sign", signature(t, red, operator, time.Minute))
	require.Equal(t, http.StatusForbidden, status)

	// The server's own secret signs for nobody.
	admin, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{"role": "service_role"}).SignedString([]byte(secret))
	require.NoError(t, err)
	status, _ = ask("GET", "/admin/users", "", "Authorization", "Bearer "+admin, "x-nf-sign", signature(t, blue, operator, time.Minute))
	require.Equal(t, http.StatusForbidden, status)
	for path, want := range map[string]int{"/": 200, "/health": 200, "/livez": 200, "/readyz": 200, "/settings": 400} {
		status, _ := p.get(path)
		require.Equal(t, want, status, path)
	}
	p.stop()

	for _, command := range [][]string{{"admin", "list"}, {"keys", "list"}} {
		require.Contains(t, fails(t, dir, append(vars, "GOTRUE_MULTIINSTANCEMODE=true"), command...), "each instance has accounts")
	}
	require.NoFileExists(t, filepath.Join(dir, "auth.db"), "it would be nobody's")

	p = serve(t, dir, append(vars, "GOTRUE_MULTIINSTANCEMODE=true"))
	status, body = ask("POST", "/token?grant_type=password", signUp, "x-nf-sign", signature(t, blue, operator, time.Minute))
	require.Equal(t, http.StatusOK, status, body)
	p.stop()
}
