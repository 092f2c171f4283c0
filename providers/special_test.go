package providers_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"

	"github.com/truekeel/auth/providers"
	"github.com/truekeel/auth/providers/providertest"
)

const (
	tenant   = "11111111-2222-3333-4444-555555555555"
	personal = "9188040d-6c67-4c5b-b112-36a304b66dad"
	entra    = "https://login.microsoftonline.com/"
)

func p8(t *testing.T, key any) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

func TestAppleSecretIsMade(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	text := p8(t, key)
	for what, pemText := range map[string]string{"as it is": text, "from the environment": strings.ReplaceAll(text, "\n", `\n`)} {
		t.Run(what, func(t *testing.T) {
			clock := newClock()
			seen := 0
			server := providertest.New(load(t, "apple").Fixture, providertest.Options{Now: clock.now, CheckSecret: func(secret string) error {
				seen++
				token, err := jwt.Parse(secret, func(token *jwt.Token) (any, error) { return key.Public(), nil },
					jwt.WithValidMethods([]string{"ES256"}), jwt.WithTimeFunc(clock.now), jwt.WithExpirationRequired(),
					jwt.WithIssuer("TEAM123456"), jwt.WithSubject(providertest.ClientID), jwt.WithAudience("https://appleid.apple.com"),
					jwt.WithIssuedAt())
				if err == nil && token.Header["kid"] != "KEY1234567" {
					err = errors.New("kid is wrong")
				}
				return err
			}})
			p, err := providers.Connect(providers.Apple(providertest.ClientID, "", providers.WithAppleKey("TEAM123456", "KEY1234567", pemText)),
				providers.NewOutbound(server.Client(), clock.now))
			require.NoError(t, err)
			b := &bench{t: t, server: server, p: p, clock: clock}
			_, err = b.signIn(0)
			require.NoError(t, err)
			clock.advance(365 * 24 * time.Hour)
			_, err = b.signIn(1)
			require.NoError(t, err, "the secret is new a year later")
			require.Equal(t, 2, seen)
		})
	}
}

func TestAppleKeyThatIsNone(t *testing.T) {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	require.NoError(t, err)
	good, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	out := providers.NewOutbound(nil, nil)
	for what, o := range map[string]providers.Option{
		"text": providers.WithAppleKey("T", "K", "no key"), "RSA": providers.WithAppleKey("T", "K", p8(t, rsaKey)),
		"P-384": providers.WithAppleKey("T", "K", p8(t, p384)), "no team": providers.WithAppleKey("", "K", p8(t, good)),
		"no key id":      providers.WithAppleKey("T", "", p8(t, good)),
		"PEM of nothing": providers.WithAppleKey("T", "K", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"),
	} {
		_, err := providers.Connect(providers.Apple("id", "", o), out)
		require.ErrorIs(t, err, providers.ErrConfig, what)
	}
}

// The form field is not signed: it gives no address, and nothing but a name.
func TestAppleUserField(t *testing.T) {
	for what, c := range map[string]struct{ field, name string }{
		"none": {"", ""}, "no JSON": {"{", ""}, "array": {"[]", ""}, "empty": {"{}", ""},
		"only first": {`{"name":{"firstName":"Ann"}}`, "Ann"}, "numbers": {`{"name":{"firstName":1,"lastName":{}}}`, ""},
		"long":  {`{"name":{"firstName":"` + strings.Repeat("x", 1000) + `"}}`, strings.Repeat("x", 200)},
		"other": {`{"sub":"001.other","email":"ceo@victim.example","name":{"lastName":"B"}}`, "B"},
	} {
		b := setUp(t, "apple")
		cb := b.visit(0)
		cb.Params.Set("user", c.field)
		id, err := b.finish(cb)
		require.NoError(t, err, what)
		require.Equal(t, "001.ann", id.Subject)
		require.Equal(t, "x@privaterelay.appleid.com", id.Claims["email"])
		if c.name == "" {
			require.NotContains(t, id.Claims, "name", what)
			continue
		}
		require.Equal(t, c.name, id.Claims["name"], what)
	}
}

func TestAzureTenants(t *testing.T) {
	const other = "99999999-2222-3333-4444-555555555555"
	for what, c := range map[string]struct {
		url, iss string
		ok       bool
	}{
		"common, any":             {"", entra + tenant + "/v2.0", true},
		"common, personal":        {"", entra + personal + "/v2.0", true},
		"common, trailing slash":  {"", entra + tenant + "/v2.0/", true},
		"common, version 1":       {"", "https://sts.windows.net/" + tenant + "/", false},
		"common, placeholder":     {"", entra + "{tenantid}/v2.0", false},
		"common, other host":      {"", "https://evil.example/" + tenant + "/v2.0", false},
		"organizations, any":      {entra + "organizations", entra + tenant + "/v2.0", true},
		"organizations, personal": {entra + "organizations", entra + personal + "/v2.0", false},
		"consumers, personal":     {entra + "consumers", entra + personal + "/v2.0", true},
		"consumers, any":          {entra + "consumers", entra + tenant + "/v2.0", false},
		"tenant, its own":         {entra + tenant, entra + tenant + "/v2.0", true},
		"tenant, other":           {entra + tenant, entra + other + "/v2.0", false},
		"external, by name":       {"https://corp.ciamlogin.com/" + tenant, "https://corp.ciamlogin.com/" + tenant + "/v2.0", true},
		"external, by id":         {"https://corp.ciamlogin.com/" + tenant, "https://" + tenant + ".ciamlogin.com/" + tenant + "/v2.0", true},
		"external, id of another": {"https://corp.ciamlogin.com/" + tenant, "https://" + other + ".ciamlogin.com/" + other + "/v2.0", false},
		"external, other":         {"https://corp.ciamlogin.com/" + tenant, "https://evil.ciamlogin.com/" + tenant + "/v2.0", false},
	} {
		t.Run(what, func(t *testing.T) {
			b := setUp(t, "azure", func(r *record, config *providers.Config) {
				config.URL = c.url
				r.Fixture.Lenient = true
				r.Fixture.Issuer = strings.TrimSuffix(c.iss, "/")
				r.Fixture.People[0].IDToken["iss"] = c.iss
			})
			id, err := b.present(providers.IDToken{Raw: b.server.Mint(0, "", "", providertest.Sound)})
			if !c.ok {
				require.ErrorIs(t, err, providers.ErrBadIDToken)
				return
			}
			require.NoError(t, err)
			want := strings.TrimSuffix(c.iss, "/")
			if strings.HasPrefix(what, "external") {
				want = "https://" + tenant + ".ciamlogin.com/" + tenant + "/v2.0"
			}
			require.Equal(t, want, id.Issuer)
		})
	}
}

// An administrator of any tenant can write anybody's address into a profile.
func TestAzureAddresses(t *testing.T) {
	for what, c := range map[string]struct {
		url, tenant string
		edov        any
		verified    bool
	}{
		"any tenant, unsaid": {"", tenant, nil, false},
		"any tenant, true":   {"", tenant, true, true},
		"any tenant, text":   {"", tenant, "true", true},
		"any tenant, 1":      {"", tenant, "1", true},
		"any tenant, number": {"", tenant, 1, true},
		"any tenant, false":  {"", tenant, false, false},
		"any tenant, 0":      {"", tenant, "0", false},
		"any tenant, yes":    {"", tenant, "yes", false},
		"own tenant, unsaid": {entra + tenant, tenant, nil, true},
		"own tenant, false":  {entra + tenant, tenant, "false", false},
		"personal, unsaid":   {"", personal, nil, true},
		"personal, false":    {"", personal, 0, false},
	} {
		t.Run(what, func(t *testing.T) {
			b := setUp(t, "azure", func(r *record, config *providers.Config) {
				config.URL = c.url
				claims := r.Fixture.People[0].IDToken
				claims["iss"] = entra + c.tenant + "/v2.0"
				if c.edov != nil {
					claims["xms_edov"] = c.edov
				}
			})
			id, err := b.present(providers.IDToken{Raw: b.server.Mint(0, "", "", providertest.Sound)})
			require.NoError(t, err)
			require.Equal(t, c.verified, id.Emails[0].Verified)
			require.Equal(t, c.verified, id.Claims["email_verified"])
		})
	}
}

func TestTwitterTokenIsOfThisSignIn(t *testing.T) {
	b := setUp(t, "twitter")
	mine, theirs := b.visit(0), b.visit(1)
	stolen := theirs
	stolen.Keep = mine.Keep
	_, err := b.finish(stolen)
	require.ErrorIs(t, err, providers.ErrExchange)
	stolen.Keep = nil
	_, err = b.finish(stolen)
	require.ErrorIs(t, err, providers.ErrExchange)
	require.Zero(t, b.server.Asked("https://api.twitter.com/oauth/access_token"), "it isn't left to the provider")
	_, err = b.finish(theirs)
	require.NoError(t, err)
	require.NotEmpty(t, mine.Keep["oauth_token_secret"])
}

// A provider that doesn't confirm the callback would send the browser anywhere.
func TestTwitterConfirmsTheCallback(t *testing.T) {
	for answer, ok := range map[string]bool{
		"oauth_token=a&oauth_token_secret=b&oauth_callback_confirmed=true":  true,
		"oauth_token=a&oauth_token_secret=b&oauth_callback_confirmed=false": false,
		"oauth_token=a&oauth_token_secret=b":                                false,
	} {
		p, err := providers.Connect(providers.Twitter("key", "secret"), providers.NewOutbound(&http.Client{
			Transport: canned{kind: "text/plain", token: answer, tokenURL: "/oauth/request_token"},
		}, nil))
		require.NoError(t, err)
		_, err = p.Begin(t.Context(), providers.Begin{State: state, RedirectURL: redirectURL})
		if !ok {
			require.ErrorIs(t, err, providers.ErrExchange, answer)
			continue
		}
		require.NoError(t, err)
	}
}

func TestWorkOSSelectors(t *testing.T) {
	p := providers.WorkOS("id", "secret")
	r, err := p.Begin(context.Background(), providers.Begin{
		State: state, RedirectURL: redirectURL,
		Params: url.Values{"workos_provider": {"GoogleOAuth"}, "provider": {"workos"}, "organization": {"org_1"}},
	})
	require.NoError(t, err)
	u, err := url.Parse(r.URL)
	require.NoError(t, err)
	require.Equal(t, "GoogleOAuth", u.Query().Get("provider"))
	require.Equal(t, "org_1", u.Query().Get("organization"))
	require.False(t, u.Query().Has("workos_provider"))
}

func TestOwnOAuth2(t *testing.T) {
	const base = "https://id.corp.example"
	server := providertest.New(providertest.Fixture{
		Authorize: base + "/authorize", Scope: "me", PKCE: true,
		Token:  providertest.TokenEndpoint{URL: base + "/token", Auth: "basic"},
		Calls:  []providertest.Call{{URL: base + "/me"}},
		People: []providertest.Person{{Answers: map[string]any{base + "/me": map[string]any{"id": 7, "mail": "ann@corp.example"}}}},
	}, providertest.Options{})
	p, err := providers.Connect(providers.OAuth2("corp", providers.Spec{
		AuthURL: base + "/authorize", TokenURL: base + "/token", UserURL: base + "/me",
		Scopes: []string{"me"},
		Emails: providers.EmailProven,
		Map: func(user providers.JSON) providers.Profile {
			return providers.Profile{Subject: user.ID("id"), Emails: providers.OneEmail(user.Text("mail"), false)}
		},
	}, providertest.ClientID, providertest.ClientSecret), providers.NewOutbound(server.Client(), nil))
	require.NoError(t, err)
	b := &bench{t: t, server: server, p: p}
	id, err := b.signIn(0)
	require.NoError(t, err)
	require.Equal(t, "corp", id.Issuer)
	require.Equal(t, "7", id.Subject)
	require.True(t, id.Emails[0].Verified)

	_, err = providers.Connect(providers.OAuth2("corp", providers.Spec{AuthURL: base}, "id", "s"), providers.NewOutbound(nil, nil))
	require.ErrorIs(t, err, providers.ErrConfig)
}

// What a provider writes into a profile can't break what we do with it.
func TestHostileProfile(t *testing.T) {
	b := setUp(t, "discord", func(r *record, _ *providers.Config) {
		user := r.Fixture.People[0].Answers[r.Fixture.Calls[0].URL].(map[string]any)
		user["username"], user["global_name"], user["email"] = "a\x00b", "g\x00", "ann@example.com\r\nBcc: all@example.com"
		user["avatar"] = "../../x"
	})
	id, err := b.signIn(0)
	require.NoError(t, err)
	require.Empty(t, id.Emails)
	require.NotContains(t, id.Claims, "email")
	require.Equal(t, "ab", id.Claims["user_name"])
	require.NotContains(t, plainJSON(t, id.Claims), `\u0000`)
	require.NotContains(t, id.Claims["avatar_url"], "/../")

	for _, subject := range []string{strings.Repeat("9", 256), "a\x00", "a\nb"} {
		b := setUp(t, "discord", func(r *record, _ *providers.Config) { r.clear(&r.Fixture.People[0], subject) })
		_, err := b.signIn(0)
		require.ErrorIs(t, err, providers.ErrNoSubject)
	}
}
