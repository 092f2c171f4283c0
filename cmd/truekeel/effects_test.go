package main

import (
	"crypto/ed25519"
	"crypto/tls"
	"database/sql"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"

	"github.com/truekeel/auth"
	"github.com/truekeel/auth/config"
	"github.com/truekeel/auth/internal/smtptest"
	"github.com/truekeel/auth/internal/testport"
	"github.com/truekeel/auth/mail"
)

// effect is what a variable changes, seen from outside.
type effect struct {
	value string
	env   map[string]string // of both servers, with the variable and without it
	// see observes a server. It must see want with the variable and something else
	// without it.
	see  func(w *world) string
	want string
	// before runs once in the place of each server.
	before func(t *testing.T, p *place, env map[string]string)
	// provider is whose variable it is, of those of which there is one for each.
	provider string
	// client is what the servers reach the world with, if it isn't the world.
	client *http.Client
	// alone leaves out the server without the variable, where it would take too long.
	alone bool
}

const (
	secret    = "Zm9vYmFyYmF6cXV4MTIzNDU2Nzg5MGFiY2RlZmdoaWprbG1u"
	sealKey   = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY"
	otherSeal = "ZmVkY2JhOTg3NjU0MzIxMGZlZGNiYTk4NzY1NDMyMTA"
)

// edKey is a signing key for EdDSA.
func edKey() string {
	k := ed25519.NewKeyFromSeed([]byte("0123456789abcdef0123456789abcdef"))
	b := base64.RawURLEncoding
	return fmt.Sprintf(`[{"kty":"OKP","crv":"Ed25519","kid":"ed","x":"%s","d":"%s","key_ops":["sign"]}]`,
		b.EncodeToString(k.Public().(ed25519.PublicKey)), b.EncodeToString(k.Seed()))
}

func TestEveryVariableHasItsEffect(t *testing.T) {
	table := effects(t)
	acme := newAcme(t)
	maps.Copy(table, kindEffects(acme))
	maps.Copy(table, providerEffects(t, acme))
	maps.Copy(table, keelEffects(acme))
	maps.Copy(table, passwordEffects())
	maps.Copy(table, telemetryEffects(t))
	maps.Copy(table, multiEffects())
	maps.Copy(table, phoneEffects())
	maps.Copy(table, hookEffects(t))
	maps.Copy(table, webhookEffects(t))
	maps.Copy(table, captchaEffects())
	maps.Copy(table, eventEffects(t))
	seen := map[string]bool{}
	for _, k := range config.Keys() {
		name := k.Names[0]
		seen[name] = true
		e, ok := table[name]
		if !ok {
			t.Errorf("%s has no test of its effect", name)
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			name := strings.ReplaceAll(name, "<NAME>", e.provider)
			got := e.observe(t, map[string]string{name: e.value})
			require.Equal(t, e.want, got)
			for _, other := range k.Names[1:] {
				require.Equal(t, e.want, e.observe(t, map[string]string{other: e.value, name: ""}), "under its other name %s", other)
			}
			if !e.alone {
				require.NotEqual(t, e.want, e.observe(t, map[string]string{name: e.env[name]}), "it is the same without the variable")
			}
		})
	}
	for name := range table {
		require.True(t, seen[name], "%s is no variable", name)
	}
}

// observe starts a server of its own and looks at it.
func (e effect) observe(t *testing.T, set map[string]string) string {
	t.Helper()
	p := newPlace(t)
	p.client = e.client
	env := maps.Clone(e.env)
	if env == nil {
		env = map[string]string{}
	}
	for k, v := range set {
		env[k] = strings.ReplaceAll(v, "DIR", p.dir)
	}
	for k, v := range env {
		env[k] = strings.NewReplacer("DIR", p.dir, "SMTPPORT", strconv.Itoa(p.mails.Port())).Replace(v)
	}
	if e.before != nil {
		e.before(t, &p, env)
	}
	w := p.start(t, env)
	defer w.end()
	if w.err != nil {
		return "refused: " + firstLine(w.err)
	}
	return e.see(w)
}

func firstLine(err error) string {
	var wrong *config.Error
	if errors.As(err, &wrong) {
		return wrong.Findings[0].String()
	}
	return err.Error()
}

// env is variables: name, value, name, value, ...
func env(pairs ...string) map[string]string {
	m := map[string]string{}
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i]] = pairs[i+1]
	}
	return m
}

const autoConfirm = "GOTRUE_MAILER_AUTOCONFIRM"

// The observations.

func signUpStatus(w *world) string { return w.signUp("a@example.com").String() }

func discovered(field string) func(w *world) string {
	return func(w *world) string { return w.ask("GET", "/.well-known/openid-configuration", nil).field(field) }
}

// landing is where an old link leads.
func landing(target string) func(w *world) string {
	return func(w *world) string {
		r := w.ask("GET", "/verify?type=signup&token="+strings.Repeat("ab", 28)+"&redirect_to="+url.QueryEscape(target), nil)
		u, err := url.Parse(r.header.Get("Location"))
		require.NoError(w.t, err)
		return u.Host
	}
}

func tokenClaim(name string) func(w *world) string {
	return func(w *world) string {
		access, _ := w.member("a@example.com")
		_, payload := claims(w.t, access)
		return fmt.Sprint(payload[name])
	}
}

func tokenHead(name string) func(w *world) string {
	return func(w *world) string {
		access, _ := w.member("a@example.com")
		head, _ := claims(w.t, access)
		return fmt.Sprint(head[name])
	}
}

func logHolds(text string) func(w *world) string {
	return func(w *world) string {
		signUpStatus(w)
		w.end()
		return strconv.FormatBool(strings.Contains(w.log.String(), text))
	}
}

// auditIP is the address of the client as the audit log has it.
func auditIP(headers ...string) func(w *world) string {
	return func(w *world) string {
		w.signUp("a@example.com", headers...)
		r := w.ask("GET", "/admin/audit", nil, w.service("service_role")...)
		_, after, _ := strings.Cut(string(r.body), `"ip_address":"`)
		ip, _, _ := strings.Cut(after, `"`)
		return ip
	}
}

func hashBegins(w *world) string {
	hash, err := w.server.auth.HashPassword(w.t.Context(), "secret")
	require.NoError(w.t, err)
	if bcrypt, ok := strings.CutPrefix(hash, "$2a$"); ok {
		return "$2a$" + bcrypt[:2]
	}
	return strings.Join(strings.Split(hash, "$")[:4], "$")
}

// changePassword changes it in a session some time after the sign-in.
func changePassword(after time.Duration) func(w *world) string {
	return func(w *world) string {
		access, _ := w.member("a@example.com")
		w.clock.Advance(after)
		return w.ask("PUT", "/user", object{"password": "another good one 8"}, bearer(access)...).String()
	}
}

func refreshAfter(d time.Duration) func(w *world) string {
	return func(w *world) string {
		_, refresh := w.member("a@example.com")
		w.clock.Advance(d)
		return w.refresh(refresh).String()
	}
}

func serviceStatus(w *world) string {
	return w.ask("GET", "/admin/users", nil, w.service("service_role")...).String()
}

// times asks so often, from one address on the network, and gives the last answer.
func times(n int, ask func(w *world, from ...string) reply) func(w *world) string {
	return func(w *world) string {
		var last reply
		for range n {
			last = ask(w, "X-Forwarded-For", "203.0.113.9")
		}
		return last.String()
	}
}

func guess(w *world, from ...string) reply {
	return w.post("/verify", object{"type": "signup", "email": "a@example.com", "token": "000000"}, from...)
}

func wrongPassword(w *world, from ...string) reply {
	return w.post("/token?grant_type=password", object{"email": "a@example.com", "password": "wrong"}, from...)
}

func recovery(w *world, from ...string) reply {
	return w.post("/recover", object{"email": "nobody@example.com"}, from...)
}

func header(name string) func(w *world) string {
	return func(w *world) string {
		w.signUp("a@example.com")
		return w.mail("a@example.com").Header(name)
	}
}

func serverHost(w *world) string {
	host, _, _ := net.SplitHostPort(w.server.listener.Addr().String())
	return host
}

func effects(t *testing.T) map[string]effect {
	cert, key := certificateFiles(t, time.Now().Add(365*24*time.Hour), "localhost")
	listenOn, profileOn := strconv.Itoa(testport.Free(t)), strconv.Itoa(testport.Free(t))
	proxied := env("GOTRUE_API_TRUSTED_PROXIES", "127.0.0.0/8")
	https := func(w *world) string {
		client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
		resp, err := client.Get("https://" + w.server.listener.Addr().String() + "/health")
		if err != nil {
			return "no TLS"
		}
		defer resp.Body.Close()
		return "TLS " + strconv.Itoa(resp.StatusCode)
	}
	profiles := func(w *world) string {
		if w.server.profiler == nil {
			return "none"
		}
		resp, err := http.Get("http://" + w.server.profiler.listener.Addr().String() + "/debug/pprof/cmdline")
		require.NoError(w.t, err)
		defer resp.Body.Close()
		return resp.Status
	}
	cors := func(name string, ask ...string) func(w *world) string {
		return func(w *world) string { return w.ask("OPTIONS", "/signup", nil, ask...).header.Get(name) }
	}

	return map[string]effect{
		"GOTRUE_SITE_URL":         {value: "https://app.example.com", see: landing(""), want: "app.example.com"},
		"GOTRUE_API_EXTERNAL_URL": {value: "https://x.example/auth/v1", env: env("API_EXTERNAL_URL", ""), see: discovered("issuer"), want: "https://x.example/auth/v1"},
		"GOTRUE_URI_ALLOW_LIST":   {value: "https://*.example.org/**", see: landing("https://a.example.org/x"), want: "a.example.org"},
		"GOTRUE_MAILER_EXTERNAL_HOSTS": {value: "auth.example.org", see: func(w *world) string {
			return w.ask("GET", "/.well-known/openid-configuration", nil, "Host", "auth.example.org").field("jwks_uri")
		}, want: "https://auth.example.org/.well-known/jwks.json"},

		"GOTRUE_API_HOST":      {value: "127.0.0.2", see: serverHost, want: "127.0.0.2"},
		"GOTRUE_API_PORT":      {value: listenOn, env: env("PORT", ""), see: func(w *world) string { _, p, _ := net.SplitHostPort(w.server.listener.Addr().String()); return p }, want: listenOn, alone: true},
		"GOTRUE_API_BASE_PATH": {value: "/auth", see: func(w *world) string { return w.ask("GET", "/auth/v1/settings", nil).String() }, want: "200"},
		"GOTRUE_API_TLS_CERT":  {value: cert, env: env("GOTRUE_API_TLS_KEY", key), see: https, want: "TLS 200"},
		"GOTRUE_API_TLS_KEY":   {value: key, env: env("GOTRUE_API_TLS_CERT", cert), see: https, want: "TLS 200"},
		"GOTRUE_API_DRAIN_TIMEOUT": {value: "50ms", see: func(w *world) string {
			conn, err := net.Dial("tcp", w.server.listener.Addr().String())
			require.NoError(w.t, err)
			defer conn.Close()
			_, err = io.WriteString(conn, "POST /signup HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\nExpect: 100-continue\r\n\r\n")
			require.NoError(w.t, err)
			// The server asks for the body: the request is under way.
			_, err = conn.Read(make([]byte, 100))
			require.NoError(w.t, err)
			w.end()
			return strconv.FormatBool(strings.Contains(w.log.String(), `"drain_timeout":50000000`))
		}, want: "true", alone: true},
		"GOTRUE_API_MAX_REQUEST_DURATION": {value: "1ns", see: signUpStatus, want: "504 request_timeout"},
		"GOTRUE_API_REQUEST_ID_HEADER": {value: "X-Request-ID", see: func(w *world) string {
			w.signUp("a@example.com", "X-Request-ID", "id-of-mine")
			w.end()
			return strconv.FormatBool(strings.Contains(w.log.String(), `"request_id":"id-of-mine"`))
		}, want: "true"},
		"GOTRUE_CORS_ALLOWED_HEADERS": {value: "x-tenant", see: cors("Access-Control-Allow-Headers", "Origin", "https://a.example", "Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "x-tenant"), want: "x-tenant"},
		"GOTRUE_CORS_ALLOWED_ORIGINS": {value: "https://a.example", see: func(w *world) string {
			return w.ask("GET", "/settings", nil, "Origin", "https://other.example").header.Get("Access-Control-Allow-Origin")
		}, want: ""},
		"GOTRUE_API_TRUSTED_PROXIES": {value: "127.0.0.0/8", see: auditIP("X-Forwarded-For", "198.51.100.1, 203.0.113.9"), want: "203.0.113.9"},
		"GOTRUE_PROFILER_ENABLED":    {value: "true", env: env("GOTRUE_PROFILER_PORT", "0"), see: profiles, want: "200 OK"},
		"GOTRUE_PROFILER_HOST": {value: "127.0.0.3", env: env("GOTRUE_PROFILER_PORT", "0", "GOTRUE_PROFILER_ENABLED", "true"), see: func(w *world) string {
			host, _, _ := net.SplitHostPort(w.server.profiler.listener.Addr().String())
			return host
		}, want: "127.0.0.3"},
		"GOTRUE_PROFILER_PORT": {value: profileOn, env: env("GOTRUE_PROFILER_ENABLED", "true"), see: func(w *world) string {
			_, port, _ := net.SplitHostPort(w.server.profiler.listener.Addr().String())
			return port
		}, want: profileOn, alone: true},

		"GOTRUE_DB_DATABASE_URL": {value: "sqlite:DIR/other.db", env: env("DATABASE_URL", ""), see: func(w *world) string { return exists(filepath.Join(w.dir, "other.db")) }, want: "true", alone: true},
		"GOTRUE_DB_DRIVER": {value: "mysql", env: env("DATABASE_URL", "root@localhost"), see: signUpStatus,
			want: "refused: GOTRUE_DB_DATABASE_URL: it is no DSN of MySQL: it should look like user:password@tcp(host:3306)/database; for example GOTRUE_DB_DATABASE_URL=postgres://auth:secret@db.example.com/app"},
		"GOTRUE_DB_MAX_POOL_SIZE": {value: "1", env: env("DATABASE_URL", "mysql://root@127.0.0.1:1/x"), see: signUpStatus,
			want: "refused: GOTRUE_DB_MAX_POOL_SIZE: a migration takes two connections, so 1 is too few; for example GOTRUE_DB_MAX_POOL_SIZE=20"},
		"GOTRUE_DB_NAMESPACE": {value: "tenant", see: func(w *world) string {
			db, err := sql.Open("sqlite", filepath.Join(w.dir, "auth.db"))
			require.NoError(w.t, err)
			defer db.Close()
			var n int
			require.NoError(w.t, db.QueryRow("SELECT count(*) FROM sqlite_master WHERE name = 'tenant_users'").Scan(&n))
			return strconv.Itoa(n)
		}, want: "1"},
		"GOTRUE_DB_MIGRATE": {value: "false", see: signUpStatus, want: "refused: auth: WithoutMigrations: the schema has version 0 and this program needs 2; migrate it, or leave the option out"},
		"GOTRUE_AUDIT_LOG_DISABLE_POSTGRES": {value: "true", see: func(w *world) string {
			w.signUp("a@example.com")
			return w.ask("GET", "/admin/audit", nil, w.service("service_role")...).header.Get("X-Total-Count")
		}, want: "0"},
		"GOTRUE_AUDIT_LOG_RETENTION": {value: "1h", see: func(w *world) string {
			w.signUp("a@example.com")
			w.clock.Advance(2 * time.Hour)
			require.NoError(w.t, w.server.auth.Clean(w.t.Context()))
			return w.ask("GET", "/admin/audit", nil, w.service("service_role")...).header.Get("X-Total-Count")
		}, want: "0"},

		"GOTRUE_LOG_LEVEL": {value: "fatal", see: logHolds(`"level":"INFO"`), want: "false"},
		"GOTRUE_LOG_FILE": {value: "DIR/server.log", see: func(w *world) string {
			w.signUp("a@example.com")
			raw, _ := os.ReadFile(filepath.Join(w.dir, "server.log"))
			return strconv.FormatBool(strings.Contains(string(raw), "/signup"))
		}, want: "true"},
		"GOTRUE_LOG_FORMAT": {value: "text", see: logHolds("level=INFO"), want: "true"},
		"GOTRUE_LOG_FIELDS": {value: "service:auth", see: logHolds(`"service":"auth"`), want: "true"},

		"GOTRUE_JWT_SECRET":    {value: secret, see: tokenHead("alg"), want: "HS256"},
		"GOTRUE_JWT_KEYS":      {value: edKey(), see: tokenHead("kid"), want: "ed"},
		"GOTRUE_JWT_KEY_ID":    {value: "key-1", env: env("GOTRUE_JWT_SECRET", secret), see: tokenHead("kid"), want: "key-1"},
		"GOTRUE_JWT_ALGORITHM": {value: "EdDSA", see: tokenHead("alg"), want: "EdDSA"},
		"GOTRUE_JWT_VALID_METHODS": {value: "EdDSA", env: env("GOTRUE_JWT_KEYS", edKey(), "GOTRUE_JWT_SECRET", secret), see: func(w *world) string {
			token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{"role": "service_role"}).SignedString([]byte(secret))
			require.NoError(w.t, err)
			return w.ask("GET", "/admin/users", nil, bearer(token)...).String()
		}, want: "403 bad_jwt"},
		"GOTRUE_JWT_ISSUER": {value: "issuer-of-mine", see: tokenClaim("iss"), want: "issuer-of-mine"},
		"GOTRUE_JWT_EXP": {value: "15m", see: func(w *world) string {
			w.member("a@example.com")
			return w.signIn("a@example.com").field("expires_in")
		}, want: "900"},
		"GOTRUE_JWT_AUD":         {value: "staff", see: tokenClaim("aud"), want: "staff"},
		"GOTRUE_JWT_AUDIENCES":   {value: "staff,partners", env: env(autoConfirm, "true"), see: func(w *world) string { return w.signUp("a@example.com", "X-JWT-AUD", "partners").field("user.aud") }, want: "partners"},
		"GOTRUE_JWT_ADMIN_ROLES": {value: "boss", see: serviceStatus, want: "403 not_admin"},
		"GOTRUE_JWT_ADMIN_GROUP_NAME": {value: "boss", see: func(w *world) string {
			u, err := w.server.auth.Users().Create(w.t.Context(), auth.NewUser{Email: "a@example.com", Role: "boss", EmailConfirmed: true})
			require.NoError(w.t, err)
			g, err := w.server.auth.Users().Issue(w.t.Context(), u.ID, "password")
			require.NoError(w.t, err)
			return w.ask("PUT", "/user", object{"app_metadata": object{"plan": "gold"}}, bearer(g.AccessToken)...).field("app_metadata.plan")
		}, want: "gold"},
		"GOTRUE_JWT_DEFAULT_GROUP_NAME": {value: "member", see: tokenClaim("role"), want: "member"},

		"GOTRUE_DISABLE_SIGNUP":                    {value: "true", see: signUpStatus, want: "422 signup_disabled"},
		"GOTRUE_EXTERNAL_EMAIL_ENABLED":            {value: "false", see: func(w *world) string { return w.ask("GET", "/settings", nil).field("external.email") }, want: "false"},
		"GOTRUE_EXTERNAL_EMAIL_MAGIC_LINK_ENABLED": {value: "false", see: func(w *world) string { return w.post("/magiclink", object{"email": "a@example.com"}).String() }, want: "422 email_provider_disabled"},
		autoConfirm: {value: "true", see: func(w *world) string { return w.signUp("a@example.com").field("token_type") }, want: "bearer"},
		"GOTRUE_MAILER_ALLOW_UNVERIFIED_EMAIL_SIGN_INS": {value: "true", see: func(w *world) string {
			w.signUp("a@example.com")
			return w.signIn("a@example.com").String()
		}, want: "200"},
		"GOTRUE_MAILER_SECURE_EMAIL_CHANGE_ENABLED": {value: "false", see: func(w *world) string {
			access, _ := w.member("a@example.com")
			w.ask("PUT", "/user", object{"email": "b@example.com"}, bearer(access)...)
			return fmt.Sprint(len(w.mailsTo("a@example.com")), len(w.mailsTo("b@example.com")))
		}, want: "0 1"},
		"GOTRUE_MAILER_OTP_EXP": {value: "60", see: func(w *world) string {
			w.signUp("a@example.com")
			w.clock.Advance(2 * time.Minute)
			return w.post("/verify", object{"type": "signup", "email": "a@example.com", "token": w.mail("a@example.com").code()}).String()
		}, want: "403 otp_expired"},
		"GOTRUE_MAILER_OTP_LENGTH": {value: "8", see: func(w *world) string {
			w.signUp("a@example.com")
			return strconv.Itoa(len(w.mail("a@example.com").code()))
		}, want: "8"},
		"GOTRUE_SECURITY_VISIBLE_DUPLICATES": {value: "false", see: func(w *world) string {
			w.member("a@example.com")
			return strconv.FormatBool(w.signUp("a@example.com").field("identities") == "[]")
		}, want: "false"},

		"GOTRUE_PASSWORD_MIN_LENGTH":                               {value: "40", see: signUpStatus, want: "422 weak_password"},
		"GOTRUE_PASSWORD_REQUIRED_CHARACTERS":                      {value: `abc:ABC\:`, see: signUpStatus, want: "422 weak_password"},
		"GOTRUE_PASSWORD_HASH":                                     {value: "argon2id", env: env("GOTRUE_PASSWORD_ARGON2_MEMORY", "64"), see: hashBegins, want: "$argon2id$v=19$m=64,t=2,p=1"},
		"GOTRUE_PASSWORD_BCRYPT_COST":                              {value: "5", env: env("GOTRUE_PASSWORD_BCRYPT_COST", "4"), see: hashBegins, want: "$2a$05"},
		"GOTRUE_PASSWORD_ARGON2_MEMORY":                            {value: "128", env: env("GOTRUE_PASSWORD_HASH", "argon2id"), see: hashBegins, want: "$argon2id$v=19$m=128,t=2,p=1"},
		"GOTRUE_PASSWORD_ARGON2_PASSES":                            {value: "1", env: env("GOTRUE_PASSWORD_HASH", "argon2id", "GOTRUE_PASSWORD_ARGON2_MEMORY", "64"), see: hashBegins, want: "$argon2id$v=19$m=64,t=1,p=1"},
		"GOTRUE_PASSWORD_ARGON2_LANES":                             {value: "2", env: env("GOTRUE_PASSWORD_HASH", "argon2id", "GOTRUE_PASSWORD_ARGON2_MEMORY", "64"), see: hashBegins, want: "$argon2id$v=19$m=64,t=2,p=2"},
		"GOTRUE_SECURITY_UPDATE_PASSWORD_REQUIRE_REAUTHENTICATION": {value: "true", env: env("GOTRUE_JWT_EXP", "100h"), see: changePassword(25 * time.Hour), want: "400 reauthentication_needed"},
		"GOTRUE_SECURITY_UPDATE_PASSWORD_REQUIRE_CURRENT_PASSWORD": {value: "true", see: changePassword(0), want: "400 current_password_required"},

		"GOTRUE_SESSIONS_TIMEBOX":            {value: "1h", see: refreshAfter(2 * time.Hour), want: "400 session_expired"},
		"GOTRUE_SESSIONS_INACTIVITY_TIMEOUT": {value: "3600", see: refreshAfter(2 * time.Hour), want: "400 session_expired"},
		"GOTRUE_SESSIONS_SINGLE_PER_USER": {value: "true", see: func(w *world) string {
			_, first := w.member("a@example.com")
			w.clock.Advance(time.Minute)
			_, second := w.session("a@example.com")
			w.clock.Advance(time.Minute)
			w.refresh(second)
			return w.refresh(first).String()
		}, want: "400 session_expired"},
		"GOTRUE_SECURITY_REFRESH_TOKEN_ROTATION_ENABLED": {value: "false", see: func(w *world) string {
			_, first := w.member("a@example.com")
			third := w.refresh(w.refresh(first).field("refresh_token")).field("refresh_token")
			require.Equal(w.t, "400 refresh_token_already_used", w.refresh(first).String())
			return w.refresh(third).String()
		}, want: "200"},
		"GOTRUE_SECURITY_REFRESH_TOKEN_REUSE_INTERVAL": {value: "10", see: func(w *world) string {
			_, first := w.member("a@example.com")
			w.refresh(first)
			w.clock.Advance(time.Minute)
			return w.refresh(first).String()
		}, want: "400 refresh_token_already_used"},

		"GOTRUE_SMTP_HOST": {value: "127.0.0.1", env: env("GOTRUE_SMTP_HOST", ""), see: func(w *world) string {
			w.signUp("a@example.com")
			return fmt.Sprintf("%d%s", len(w.mailsTo("a@example.com")), w.server.auth.DevInboxURL())
		}, want: "1"},
		"GOTRUE_SMTP_PORT": {value: "SMTPPORT", env: env("GOTRUE_SMTP_PORT", "1"), see: signUpStatus, want: "200"},
		"GOTRUE_SMTP_USER": {value: "accounts", env: env("GOTRUE_SMTP_PASS", "secret"), before: trustedMailServer, see: func(w *world) string {
			w.signUp("a@example.com")
			return w.mail("a@example.com").User
		}, want: "accounts"},
		"GOTRUE_SMTP_PASS": {value: "secret", env: env("GOTRUE_SMTP_USER", "accounts"), before: trustedMailServer, see: func(w *world) string {
			w.signUp("a@example.com")
			return w.mail("a@example.com").User
		}, want: "accounts"},
		"GOTRUE_SMTP_ADMIN_EMAIL": {value: "us@example.org", env: env("GOTRUE_SMTP_ADMIN_EMAIL", ""), see: header("From"), want: "<us@example.org>"},
		"GOTRUE_SMTP_SENDER_NAME": {value: "Example Accounts", see: header("From"), want: `"Example Accounts" <accounts@example.com>`},
		"GOTRUE_SMTP_TLS":         {value: "starttls", see: signUpStatus, want: "500 unexpected_failure"},
		"GOTRUE_SMTP_HEADERS":     {value: `{"X-Tag":["$messageType"]}`, see: header("X-Tag"), want: "confirmation"},
		"GOTRUE_SMTP_MAX_FREQUENCY": {value: "1h", env: env("GOTRUE_SMTP_MAX_FREQUENCY", ""), see: func(w *world) string {
			recovery(w)
			w.clock.Advance(2 * time.Minute)
			return recovery(w).String()
		}, want: "429 over_email_send_rate_limit"},
		"GOTRUE_SMTP_LOGGING_ENABLED":                {value: "true", see: logHolds(`"event":"outbox.delivered"`), want: "true"},
		"GOTRUE_EXTERNAL_EMAIL_AUTHORIZED_ADDRESSES": {value: "ada@example.com", see: signUpStatus, want: "400 email_address_not_authorized"},

		"GOTRUE_MAILER_EMAIL_BACKGROUND_SENDING": {value: "true", env: env("GOTRUE_SMTP_PORT", "1"), see: signUpStatus, want: "200"},
		"GOTRUE_MAILER_GIVE_UP_AFTER": {value: "1m", env: env("GOTRUE_SMTP_PORT", "1", "GOTRUE_MAILER_EMAIL_BACKGROUND_SENDING", "true"), see: func(w *world) string {
			w.signUp("a@example.com")
			for range 5 {
				_ = w.server.auth.Deliver(w.t.Context()) // until it is given up, it fails
				w.clock.Advance(20 * time.Minute)
			}
			w.end()
			return strconv.FormatBool(strings.Contains(w.log.String(), "given up"))
		}, want: "true"},
		"GOTRUE_MAILER_DIRECT_LINKS": {value: "false", see: func(w *world) string {
			w.signUp("a@example.com")
			u, err := url.Parse(w.mail("a@example.com").link())
			require.NoError(w.t, err)
			return w.ask("GET", u.RequestURI(), nil).String()
		}, want: "200"},
		"GOTRUE_MAILER_LOCALE": {value: "de", see: func(w *world) string {
			w.signUp("a@example.com")
			return strconv.FormatBool(strings.Contains(w.mail("a@example.com").Header("Content-Language"), "de"))
		}, want: "true"},
		"GOTRUE_MAILER_TEMPLATE_MAX_SIZE": {value: "10", env: env("GOTRUE_MAILER_TEMPLATES_INVITE", "file:DIR/t.html"), before: writeTemplate, see: signUpStatus,
			want: "refused: GOTRUE_MAILER_TEMPLATES_INVITE: template of invite: it is larger than 10 bytes"},
		"GOTRUE_MAILER_TEMPLATE_MAX_AGE":        fetched("1m", 200, "2"),
		"GOTRUE_MAILER_TEMPLATE_RETRY_INTERVAL": fetched("1h", 500, "1"),

		"GOTRUE_RATE_LIMIT_ENABLED":       {value: "false", env: proxied, see: times(40, guess), want: "403 otp_expired"},
		"GOTRUE_RATE_LIMIT_HEADER":        {value: "X-Real-Client", env: proxied, see: auditIP("X-Real-Client", "203.0.113.9"), want: "203.0.113.9"},
		"GOTRUE_RATE_LIMIT_EMAIL_SENT":    {value: "0", see: signUpStatus, want: "429 over_email_send_rate_limit"},
		"GOTRUE_RATE_LIMIT_TOKEN_REFRESH": {value: "2/1h", env: proxied, see: times(3, wrongPassword), want: "429 over_request_rate_limit"},
		"GOTRUE_RATE_LIMIT_VERIFY":        {value: "2/1h", env: proxied, see: times(3, guess), want: "429 over_request_rate_limit"},
		"GOTRUE_RATE_LIMIT_OTP":           {value: "2/1h", env: proxied, see: times(3, recovery), want: "429 over_request_rate_limit"},

		"GOTRUE_SECURITY_DATABASE_ENCRYPTION_ENCRYPT": {value: "true", env: env("GOTRUE_SECURITY_DATABASE_ENCRYPTION_ENCRYPTION_KEY", sealKey),
			see: func(w *world) string { return exists(filepath.Join(w.dir, "auth.db.key")) }, want: "false"},
		"GOTRUE_SECURITY_DATABASE_ENCRYPTION_ENCRYPTION_KEY": {value: sealKey, env: env("GOTRUE_SECURITY_DATABASE_ENCRYPTION_ENCRYPT", "true"), see: signUpStatus, want: "200"},
		"GOTRUE_SECURITY_DATABASE_ENCRYPTION_DECRYPTION_KEYS": {value: "old:" + sealKey, see: signUpStatus, want: "200",
			env: env("GOTRUE_SECURITY_DATABASE_ENCRYPTION_ENCRYPT", "true", "GOTRUE_SECURITY_DATABASE_ENCRYPTION_ENCRYPTION_KEY", otherSeal),
			before: func(t *testing.T, p *place, _ map[string]string) {
				w := p.start(t, env("GOTRUE_SECURITY_DATABASE_ENCRYPTION_ENCRYPT", "true", "GOTRUE_SECURITY_DATABASE_ENCRYPTION_ENCRYPTION_KEY", sealKey))
				require.NoError(t, w.err)
				w.end()
			}},
	}
}

// trustedMailServer is one with TLS, whose certificate the system trusts (see TestMain).
func trustedMailServer(t *testing.T, p *place, env map[string]string) {
	pair, err := tls.LoadX509KeyPair(os.Getenv(testCert), os.Getenv(testKey))
	require.NoError(t, err)
	p.mails = smtptest.NewTLS(t, &tls.Config{Certificates: []tls.Certificate{pair}}, false)
	p.mails.Behave(smtptest.Behaviour{Auth: func(user, password string) error {
		if user != "accounts" || password != "secret" {
			return smtptest.Refusal(535, [3]int{5, 7, 8}, "wrong")
		}
		return nil
	}})
	env["GOTRUE_SMTP_HOST"], env["GOTRUE_SMTP_PORT"] = "localhost", strconv.Itoa(p.mails.Port())
}

func writeTemplate(t *testing.T, p *place, _ map[string]string) {
	require.NoError(t, os.WriteFile(filepath.Join(p.dir, "t.html"), []byte("<p>a template of ours {{ .Token }}</p>"), 0o600))
}

// fetched observes how often a template is fetched for two mails two minutes apart.
func fetched(value string, status int, want string) effect {
	return effect{
		value: value, want: want,
		before: func(t *testing.T, p *place, env map[string]string) {
			n := 0
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				n++
				require.NoError(t, os.WriteFile(filepath.Join(p.dir, "fetched"), []byte(strconv.Itoa(n)), 0o600))
				w.WriteHeader(status)
				_, _ = io.WriteString(w, "<p>{{ .Token }}</p>")
			}))
			t.Cleanup(srv.Close)
			env["GOTRUE_MAILER_TEMPLATES_CONFIRMATION"] = srv.URL
		},
		see: func(w *world) string {
			w.signUp("a@example.com")
			w.clock.Advance(2 * time.Minute)
			w.signUp("b@example.com")
			n, err := os.ReadFile(filepath.Join(w.dir, "fetched"))
			require.NoError(w.t, err)
			return string(n)
		},
	}
}

// provoke causes a mail of a kind, and gives its reader.
func provoke(w *world, acme acme, kind mail.Kind) string {
	const a, b = "a@example.com", "b@example.com"
	switch kind {
	case mail.Confirmation:
		w.signUp(a)
		return a
	case mail.Invite:
		w.post("/invite", object{"email": a}, w.service("service_role")...)
		return a
	}
	access, _ := w.member(a)
	switch kind {
	case mail.Recovery:
		w.post("/recover", object{"email": a})
	case mail.MagicLink:
		w.post("/magiclink", object{"email": a})
	case mail.Reauthentication:
		w.ask("GET", "/reauthenticate", nil, bearer(access)...)
	case mail.AccountExists:
		w.signUp(a)
	case mail.PasswordChanged:
		w.ask("PUT", "/user", object{"password": "another good one 8"}, bearer(access)...)
	case mail.PhoneChanged:
		w.ask("PUT", "/user", object{"phone": german}, bearer(access)...)
	case mail.IdentityLinked, mail.IdentityUnlinked:
		require.Equal(w.t, "200", acme.native(w, object{"email": a, "email_verified": true}).String())
		if kind == mail.IdentityUnlinked {
			w.ask("DELETE", "/user/identities/"+identityOf(w, access, "acme"), nil, bearer(access)...)
		}
	case mail.EmailChange, mail.EmailChanged:
		w.ask("PUT", "/user", object{"email": b}, bearer(access)...)
		if kind == mail.EmailChange {
			return b
		}
		w.post("/verify", object{"type": "email_change", "email": b, "token": w.mail(b).code()})
	}
	return a
}

// kindEffects are the effects of the variables of which there is one a kind of mail.
func kindEffects(acme acme) map[string]effect {
	out := map[string]effect{}
	for _, k := range mail.Kinds() {
		base := env("GOTRUE_MAILER_SECURE_EMAIL_CHANGE_ENABLED", "false", "GOTRUE_SECURITY_VISIBLE_DUPLICATES", "false")
		notice, isNotice := strings.CutSuffix(k.Key, "_NOTIFICATION")
		if isNotice {
			base["GOTRUE_MAILER_NOTIFICATIONS_"+notice+"_ENABLED"] = "true"
		}
		switch k.Kind {
		case mail.IdentityLinked, mail.IdentityUnlinked:
			maps.Copy(base, acme.env("GOTRUE_SECURITY_MANUAL_LINKING_ENABLED", "true"))
		case mail.PhoneChanged:
			maps.Copy(base, env("GOTRUE_EXTERNAL_PHONE_ENABLED", "true", "GOTRUE_SMS_AUTOCONFIRM", "true"))
		case mail.MFAFactorEnrolled, mail.MFAFactorUnenrolled:
			continue
		}
		out["GOTRUE_MAILER_SUBJECTS_"+k.Key] = effect{value: "Ours for {{ .Email }}", env: base, want: "true", see: func(w *world) string {
			return strconv.FormatBool(strings.HasPrefix(w.mail(provoke(w, acme, k.Kind)).Header("Subject"), "Ours for "))
		}}
		out["GOTRUE_MAILER_TEMPLATES_"+k.Key] = effect{value: "file:DIR/t.html", env: base, want: "true", before: writeTemplate, see: func(w *world) string {
			return strconv.FormatBool(strings.Contains(w.mail(provoke(w, acme, k.Kind)).text, "a template of ours"))
		}}
		if k.LinkType != "" {
			out["GOTRUE_MAILER_URLPATHS_"+k.Key] = effect{value: "/confirm/here", env: base, want: "/confirm/here", see: func(w *world) string {
				u, err := url.Parse(w.mail(provoke(w, acme, k.Kind)).link())
				require.NoError(w.t, err)
				return u.Path
			}}
		}
		if isNotice {
			name := "GOTRUE_MAILER_NOTIFICATIONS_" + notice + "_ENABLED"
			off := maps.Clone(base)
			delete(off, name)
			out[name] = effect{value: "true", env: off, want: "1", see: func(w *world) string { return strconv.Itoa(len(w.mailsTo(provoke(w, acme, k.Kind)))) }}
		}
	}
	return out
}
