package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"

	"github.com/truekeel/auth/config"
	"github.com/truekeel/auth/providers"
	"github.com/truekeel/auth/providers/providertest"
)

// acme is an OpenID Connect issuer on this machine.
type acme struct{ *providertest.Server }

func newAcme(t *testing.T) acme {
	t.Helper()
	s, err := providertest.Start(providertest.Options{AutoApprove: true})
	require.NoError(t, err)
	t.Cleanup(s.Close)
	return acme{s}
}

// env is variables with which people sign in with acme, and further ones.
func (a acme) env(pairs ...string) map[string]string {
	m := env("GOTRUE_EXTERNAL_ACME_ENABLED", "true", "GOTRUE_EXTERNAL_ACME_ISSUER", a.Issuer(), "GOTRUE_EXTERNAL_ACME_INTERNAL", "true",
		"GOTRUE_EXTERNAL_ACME_CLIENT_ID", providertest.ClientID, "GOTRUE_EXTERNAL_ACME_SECRET", providertest.ClientSecret)
	maps.Copy(m, env(pairs...))
	return m
}

// native signs in with an id token of acme.
func (a acme) native(w *world, more object) reply {
	w.t.Helper()
	return present(w, a.Server, "acme", more)
}

// present signs in with an id token of somebody whose claims are those of more.
func present(w *world, s *providertest.Server, provider string, more object) reply {
	w.t.Helper()
	now := w.clock.Now()
	claims := object{"iss": s.Issuer(), "aud": providertest.ClientID, "sub": "1", "iat": now.Unix(), "exp": now.Add(time.Hour).Unix()}
	maps.Copy(claims, more)
	return w.post("/token?grant_type=id_token", object{"provider": provider, "id_token": s.MintClaims(claims)})
}

// leave begins a sign-in and gives where the browser is sent.
func leave(w *world, provider string) (reply, *url.URL) {
	w.t.Helper()
	r := w.ask("GET", "/authorize?provider="+provider, nil)
	to, err := url.Parse(r.header.Get("Location"))
	require.NoError(w.t, err)
	return r, to
}

// leaving observes where the browser is sent.
func leaving(provider string, see func(to *url.URL) string) func(w *world) string {
	return func(w *world) string {
		_, to := leave(w, provider)
		return see(to)
	}
}

func parameter(name string) func(to *url.URL) string {
	return func(to *url.URL) string { return to.Query().Get(name) }
}

func hostAndPath(to *url.URL) string { return to.Host + to.Path }

// back goes to a provider and comes back, and gives where the browser lands.
func back(w *world, s *providertest.Server, provider string) *url.URL {
	w.t.Helper()
	left, to := leave(w, provider)
	if left.status != http.StatusFound {
		return &url.URL{} // nowhere
	}
	brought, err := s.Visit(to.String(), 0)
	require.NoError(w.t, err)
	cookie, _, _ := strings.Cut(left.header.Get("Set-Cookie"), ";")
	landed, err := url.Parse(w.ask("GET", "/callback?"+brought.Encode(), nil, "Cookie", cookie).header.Get("Location"))
	require.NoError(w.t, err)
	return landed
}

// comesIn reports whether somebody comes in with a provider.
func comesIn(s *providertest.Server, provider string) func(w *world) string {
	return func(w *world) string {
		return strconv.FormatBool(strings.Contains(back(w, s, provider).Fragment, "access_token="))
	}
}

func identityOf(w *world, access, provider string) string {
	w.t.Helper()
	var user struct {
		Identities []struct {
			ID       string `json:"identity_id"`
			Provider string `json:"provider"`
		} `json:"identities"`
	}
	require.NoError(w.t, json.Unmarshal(w.ask("GET", "/user", nil, bearer(access)...).body, &user))
	for _, i := range user.Identities {
		if i.Provider == provider {
			return i.ID
		}
	}
	w.t.Fatalf("no identity of %s", provider)
	return ""
}

// appleKey is the text of a .p8 file.
func appleKey(t *testing.T) (p8 string, public *ecdsa.PublicKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})), &key.PublicKey
}

// newApple is an Apple that knows one team with one key.
func newApple(public *ecdsa.PublicKey) *providertest.Server {
	return providertest.New(providertest.Fixture{
		Authorize: "https://appleid.apple.com/auth/authorize", Issuer: "https://appleid.apple.com", Lenient: true,
		Token:  providertest.TokenEndpoint{URL: "https://appleid.apple.com/auth/token", Auth: "body"},
		People: []providertest.Person{{IDToken: object{"sub": "001.ann", "email": "ann@example.com", "email_verified": true}}},
	}, providertest.Options{CheckSecret: func(secret string) error {
		token, err := jwt.Parse(secret, func(*jwt.Token) (any, error) { return public, nil })
		if err != nil {
			return err
		}
		if iss, _ := token.Claims.GetIssuer(); iss != "TEAM" || token.Header["kid"] != "KEY" {
			return errors.New("another team or key")
		}
		return nil
	}})
}

func providerEffects(t *testing.T, acme acme) map[string]effect {
	p8, public := appleKey(t)
	apple := newApple(public)
	appleEnv := env("GOTRUE_EXTERNAL_APPLE_ENABLED", "true", "GOTRUE_EXTERNAL_APPLE_CLIENT_ID", providertest.ClientID,
		"GOTRUE_EXTERNAL_APPLE_TEAM_ID", "TEAM", "GOTRUE_EXTERNAL_APPLE_KEY_ID", "KEY", "GOTRUE_EXTERNAL_APPLE_PRIVATE_KEY", p8)
	ofApple := func(value string, without string, other string) effect {
		e := effect{value: value, env: maps.Clone(appleEnv), client: apple.Client(), see: comesIn(apple, "apple"), want: "true"}
		e.env[without] = other
		return e
	}
	gitLab := func(pairs ...string) map[string]string {
		m := env("GOTRUE_EXTERNAL_GITLAB_ENABLED", "true", "GOTRUE_EXTERNAL_GITLAB_CLIENT_ID", "id", "GOTRUE_EXTERNAL_GITLAB_SECRET", "s")
		maps.Copy(m, env(pairs...))
		return m
	}
	known := object{"email": "ann@example.com", "email_verified": true}
	family := map[string]effect{
		"ENABLED": {provider: "GITLAB", value: "true", env: gitLab("GOTRUE_EXTERNAL_GITLAB_ENABLED", ""), want: "true 302", see: func(w *world) string {
			r, _ := leave(w, "gitlab")
			return w.ask("GET", "/settings", nil).field("external.gitlab") + " " + r.String()
		}},
		"CLIENT_ID": {provider: "GITLAB", value: "first,second", env: gitLab("GOTRUE_EXTERNAL_GITLAB_CLIENT_ID", ""), see: leaving("gitlab", parameter("client_id")), want: "first"},
		"SECRET":    {provider: "ACME", value: providertest.ClientSecret, env: acme.env("GOTRUE_EXTERNAL_ACME_SECRET", ""), see: comesIn(acme.Server, "acme"), want: "true"},
		"REDIRECT_URI": {provider: "GITLAB", value: "http://localhost:9999/auth/v1/callback", env: gitLab(), see: leaving("gitlab", parameter("redirect_uri")),
			want: "http://localhost:9999/auth/v1/callback"},
		"URL":            {provider: "GITLAB", value: "https://gitlab.example.com", env: gitLab(), see: leaving("gitlab", hostAndPath), want: "gitlab.example.com/oauth/authorize"},
		"ISSUER":         {provider: "ACME", value: acme.Issuer(), env: acme.env("GOTRUE_EXTERNAL_ACME_ISSUER", ""), see: comesIn(acme.Server, "acme"), want: "true"},
		"EMAIL_OPTIONAL": {provider: "ACME", value: "true", env: acme.env(), see: func(w *world) string { return acme.native(w, nil).String() }, want: "200"},
		"SKIP_NONCE_CHECK": {provider: "ACME", value: "true", env: acme.env(), want: "200", see: func(w *world) string {
			claims := maps.Clone(known)
			claims["nonce"] = "of the app's SDK"
			return acme.native(w, claims).String()
		}},
		"SCOPES": {provider: "GITLAB", value: "openid,api", env: gitLab(), see: leaving("gitlab", parameter("scope")), want: "openid api"},
		"TRUST_EMAIL": {provider: "ACME", value: "false", env: acme.env(), see: func(w *world) string { return acme.native(w, known).String() },
			want: "422 provider_email_needs_verification"},
		"PKCE":     {provider: "GITLAB", value: "false", env: gitLab(), see: leaving("gitlab", parameter("code_challenge_method")), want: ""},
		"INTERNAL": {provider: "ACME", value: "true", env: acme.env("GOTRUE_EXTERNAL_ACME_INTERNAL", ""), see: comesIn(acme.Server, "acme"), want: "true"},
	}
	out := map[string]effect{
		"GOTRUE_EXTERNAL_IOS_BUNDLE_ID": {value: "com.example.app", env: appleEnv, client: apple.Client(), want: "200", see: func(w *world) string {
			claims := maps.Clone(known)
			claims["aud"] = "com.example.app"
			return present(w, apple, "apple", claims).String()
		}},
		"GOTRUE_EXTERNAL_APPLE_TEAM_ID":     ofApple("TEAM", "GOTRUE_EXTERNAL_APPLE_TEAM_ID", "OTHER"),
		"GOTRUE_EXTERNAL_APPLE_KEY_ID":      ofApple("KEY", "GOTRUE_EXTERNAL_APPLE_KEY_ID", "OTHER"),
		"GOTRUE_EXTERNAL_APPLE_PRIVATE_KEY": ofApple(strings.ReplaceAll(p8, "\n", `\n`), "GOTRUE_EXTERNAL_APPLE_PRIVATE_KEY", ""),
		"GOTRUE_EXTERNAL_REDIRECTURL": {value: "https://app.example.com/welcome", env: acme.env(), want: "app.example.com/welcome", see: func(w *world) string {
			return hostAndPath(back(w, acme.Server, "acme"))
		}},
		"GOTRUE_SECURITY_MANUAL_LINKING_ENABLED": {value: "true", env: acme.env(), want: "302", see: func(w *world) string {
			access, _ := w.member("a@example.com")
			return w.ask("GET", "/user/identities/authorize?provider=acme", nil, bearer(access)...).String()
		}},
	}
	for end, e := range family {
		out["GOTRUE_EXTERNAL_<NAME>_"+end] = e
	}
	return out
}

// TestUnprovedSignInCountsForProvidersToo: the variable that lets people in whose address
// nobody has proved.
func TestUnprovedSignInCountsForProvidersToo(t *testing.T) {
	acme := newAcme(t)
	stranger := object{"email": "a@example.com", "email_verified": false}
	for value, want := range map[string]string{"true": "200", "false": "422 provider_email_needs_verification"} {
		w := newPlace(t).start(t, acme.env("GOTRUE_MAILER_ALLOW_UNVERIFIED_EMAIL_SIGN_INS", value))
		require.NoError(t, w.err)
		require.Equal(t, want, acme.native(w, stranger).String())
	}
}

// TestSettingsShowAllProviders that the variables switch on.
func TestSettingsShowAllProviders(t *testing.T) {
	vars := map[string]string{}
	for _, name := range providers.Names() {
		stem := "GOTRUE_EXTERNAL_" + strings.ToUpper(name)
		maps.Copy(vars, env(stem+"_ENABLED", "true", stem+"_CLIENT_ID", "id", stem+"_SECRET", "s"))
		switch name {
		case "keycloak", "gitea", "mastodon", "auth0", "cognito", "okta":
			vars[stem+"_URL"] = "https://id.example.com"
		}
	}
	w := newPlace(t).start(t, vars)
	require.NoError(t, w.err)
	shown := w.ask("GET", "/settings", nil)
	for _, name := range providers.Names() {
		require.Equal(t, "true", shown.field("external."+name), name)
	}
}

func TestDoctorReachesProviders(t *testing.T) {
	acme := newAcme(t)
	examine := func(vars map[string]string) []finding {
		var environ []string
		for k, v := range vars {
			environ = append(environ, k+"="+v)
		}
		c, _, err := config.Parse(environ)
		require.NoError(t, err)
		e := examination{c: c}
		e.providers(t.Context())
		return e.found
	}
	require.Empty(t, examine(acme.env()))
	acme.BreakDiscovery(providertest.ServerError)
	found := examine(acme.env())
	require.Len(t, found, 1)
	require.Equal(t, "GOTRUE_EXTERNAL_ACME_ISSUER", found[0].about)
	require.Contains(t, found[0].problem, "discovery of "+acme.Issuer())

	own := func(address string) map[string]string {
		return env("GOTRUE_EXTERNAL_GITLAB_ENABLED", "true", "GOTRUE_EXTERNAL_GITLAB_CLIENT_ID", "id", "GOTRUE_EXTERNAL_GITLAB_SECRET", "s",
			"GOTRUE_EXTERNAL_GITLAB_INTERNAL", "true", "GOTRUE_EXTERNAL_GITLAB_URL", address)
	}
	require.Empty(t, examine(own(acme.Issuer())), "whatever it answers, it is there")
	found = examine(own("http://127.0.0.1:1"))
	require.Len(t, found, 1)
	require.Equal(t, "GOTRUE_EXTERNAL_GITLAB_URL", found[0].about)
	require.NotContains(t, found[0].problem+found[0].remedy, "client_id")
}
