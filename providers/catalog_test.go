package providers_test

import (
	"context"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/truekeel/auth/providers"
	"github.com/truekeel/auth/providers/providertest"
)

func TestEveryNameHasItsFixture(t *testing.T) {
	files, err := filepath.Glob("testdata/*.json")
	require.NoError(t, err)
	var names []string
	for _, f := range files {
		names = append(names, strings.TrimSuffix(filepath.Base(f), ".json"))
	}
	require.Equal(t, names, providers.Names())
	require.True(t, slices.IsSorted(names))
}

func TestSignIn(t *testing.T) {
	for _, name := range providers.Names() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setUp(t, name)
			require.Equal(t, name, b.p.Name())
			r := load(t, name)
			require.Len(t, r.Want, 2)
			keys := make(map[string]bool)
			for person, w := range r.Want {
				id, err := b.signIn(person)
				require.NoError(t, err)
				require.Empty(t, b.server.Problems())
				assert.Equal(t, w.Issuer, id.Issuer)
				assert.Equal(t, w.Subject, id.Subject)
				assert.Equal(t, plainJSON(t, w.Emails), strings.Replace(plainJSON(t, id.Emails), "null", "[]", 1))
				assert.Equal(t, plainJSON(t, w.Claims), plainJSON(t, id.Claims))
				assert.NotEmpty(t, id.AccessToken)
				if name != "twitter" { // whose tokens don't end
					assert.Equal(t, b.clock.now().Add(time.Hour), id.ExpiresAt)
				}
				keys[id.Issuer+" "+id.Subject] = true
			}
			require.Len(t, keys, 2, "two people are two identities")
			require.Empty(t, b.server.Unasked())
		})
	}
}

// A person without an id is nobody: he must not become the one whose id is empty.
func TestNoSubject(t *testing.T) {
	for _, name := range providers.Names() {
		for what, v := range map[string]any{"absent": nil, "empty": "", "blank": "  ", "false": false, "object": map[string]any{}} {
			t.Run(name+"/"+what, func(t *testing.T) {
				t.Parallel()
				b := setUp(t, name, func(r *record, _ *providers.Config) { r.clear(&r.Fixture.People[0], v) })
				cb := b.visit(0)
				id, err := b.finish(cb)
				require.Error(t, err)
				require.Zero(t, id)
				if what == "absent" || what == "empty" {
					require.ErrorIs(t, err, providers.ErrNoSubject)
				}
				requireNoSecret(t, err, cb.Params)
			})
		}
	}
}

func TestRefusal(t *testing.T) {
	for _, name := range providers.Names() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setUp(t, name)
			r, err := b.begin()
			require.NoError(t, err)
			params, err := b.server.Refuse(r.URL)
			require.NoError(t, err)
			_, err = b.finish(providers.Callback{
				Params: params, Keep: r.Keep, RedirectURL: redirectURL, Nonce: nonce, Verifier: verifier,
			})
			var refusal *providers.Error
			require.ErrorIs(t, err, providers.ErrRefused)
			require.ErrorAs(t, err, &refusal)
			require.Equal(t, "access_denied", refusal.Code)
			require.NotEmpty(t, refusal.Description)
		})
	}
}

func TestCallbackWithoutCode(t *testing.T) {
	for _, name := range providers.Names() {
		b := setUp(t, name)
		cb := b.visit(0)
		cb.Params = url.Values{"state": {state}}
		_, err := b.finish(cb)
		require.ErrorIs(t, err, providers.ErrNoCode, name)
	}
}

func TestCodeIsGoodOnce(t *testing.T) {
	for _, name := range providers.Names() {
		b := setUp(t, name)
		cb := b.visit(0)
		_, err := b.finish(cb)
		require.NoError(t, err, name)
		_, err = b.finish(cb)
		require.ErrorIs(t, err, providers.ErrExchange, name)
		requireNoSecret(t, err, cb.Params)
	}
}

// The parameters of our callers' API stay with us, those of the protocol are ours alone.
func TestForeignParameters(t *testing.T) {
	b := setUp(t, "google")
	hostile := url.Values{
		"client_id": {"other"}, "Client_Secret": {"other"}, "redirect_uri": {"https://evil.example"}, "state": {"other"},
		"response_type": {"token"}, "RESPONSE_MODE": {"fragment"}, "request": {"eyJ"}, "request_uri": {"https://evil.example"},
		"code_challenge": {"other"}, "code_challenge_method": {"plain"}, "code_verifier": {"other"}, "scope": {"all"},
		"provider": {"other"}, "scopes": {"all"}, "redirect_to": {"https://evil.example"}, "invite_token": {"secret"},
		"skip_http_redirect": {"true"}, "apikey": {"secret"},
		"prompt": {"consent", "select_account"}, "login_hint": {"ann@corp.example"},
	}
	r, err := b.p.Begin(context.Background(), providers.Begin{
		State: state, Nonce: nonce, Verifier: verifier, RedirectURL: redirectURL, Params: hostile,
		Scopes: []string{"email,https://www.googleapis.com/auth/drive", "profile  calendar"},
	})
	require.NoError(t, err)
	u, err := url.Parse(r.URL)
	require.NoError(t, err)
	require.NotContains(t, u.RawQuery, "+", "a space is %20")
	require.Equal(t, url.Values{
		"client_id": {providertest.ClientID}, "redirect_uri": {redirectURL}, "response_type": {"code"}, "state": {state},
		"nonce": {nonce}, "code_challenge": {"E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"}, "code_challenge_method": {"S256"},
		"scope":  {"openid profile email https://www.googleapis.com/auth/drive calendar"},
		"prompt": {"select_account"}, "login_hint": {"ann@corp.example"},
	}, u.Query())
}

// A nonce that the caller's client chose is sent, kept, and compared.
func TestClientsOwnNonce(t *testing.T) {
	b := setUp(t, "google")
	r, err := b.p.Begin(context.Background(), providers.Begin{
		State: state, Nonce: nonce, Verifier: verifier, RedirectURL: redirectURL, Params: url.Values{"nonce": {"mine"}},
	})
	require.NoError(t, err)
	require.Contains(t, r.URL, "nonce=mine")
	params, err := b.server.Visit(r.URL, 0)
	require.NoError(t, err)
	cb := providers.Callback{Params: params, Keep: r.Keep, RedirectURL: redirectURL, Nonce: nonce, Verifier: verifier}
	_, err = b.finish(cb)
	require.NoError(t, err)
}

func TestSwitches(t *testing.T) {
	yes, no := true, false
	first := func(t *testing.T, name string, change func(*record, *providers.Config)) providers.Identity {
		t.Helper()
		b := setUp(t, name, change)
		id, err := b.signIn(0)
		require.NoError(t, err)
		require.Empty(t, b.server.Problems())
		return id
	}
	t.Run("trust figma", func(t *testing.T) {
		id := first(t, "figma", func(_ *record, c *providers.Config) { c.TrustEmail = &yes })
		require.True(t, id.Emails[0].Verified)
		require.Equal(t, true, id.Claims["email_verified"])
	})
	t.Run("distrust github", func(t *testing.T) {
		id := first(t, "github", func(_ *record, c *providers.Config) { c.TrustEmail = &no })
		require.False(t, id.Emails[0].Verified)
		require.Equal(t, false, id.Claims["email_verified"])
	})
	t.Run("trust doesn't overrule a flag", func(t *testing.T) {
		id := first(t, "github", func(_ *record, c *providers.Config) { c.TrustEmail = &yes })
		require.False(t, id.Emails[1].Verified)
	})
	t.Run("trust azure", func(t *testing.T) {
		id := first(t, "azure", func(_ *record, c *providers.Config) { c.TrustEmail = &yes })
		require.True(t, id.Emails[0].Verified)
	})
	t.Run("scopes", func(t *testing.T) {
		first(t, "github", func(r *record, c *providers.Config) {
			c.Scopes, r.Fixture.Scope = []string{"user:email", "repo"}, "user:email repo"
		})
	})
	t.Run("no scopes", func(t *testing.T) {
		first(t, "github", func(r *record, c *providers.Config) { c.Scopes, r.Fixture.Scope = []string{}, "" })
	})
	t.Run("without PKCE", func(t *testing.T) {
		first(t, "github", func(r *record, c *providers.Config) { c.PKCE, r.Fixture.PKCE = &no, false })
	})
	t.Run("with PKCE", func(t *testing.T) {
		first(t, "slack", func(r *record, c *providers.Config) { c.PKCE, r.Fixture.PKCE = &yes, true })
	})
	t.Run("email optional", func(t *testing.T) {
		p, err := providers.ByName("x", providers.Config{ClientIDs: []string{"id"}, Secret: "s", EmailOptional: true})
		require.NoError(t, err)
		require.True(t, p.(providers.EmailOptionaler).EmailOptional())
	})
	t.Run("form post", func(t *testing.T) {
		require.True(t, setUp(t, "apple").p.(providers.FormPoster).FormPost())
		require.False(t, setUp(t, "google").p.(providers.FormPoster).FormPost())
	})
}

// With a URL of one's own, all addresses are below it.
func TestOtherHosts(t *testing.T) {
	const base = "https://sso.corp.example/x"
	for name, c := range map[string]struct{ authorize, token, user string }{
		"github":  {"/login/oauth/authorize", "/login/oauth/access_token", "/api/v3/user"},
		"gitlab":  {"/oauth/authorize", "/oauth/token", "/api/v4/user"},
		"discord": {"/api/oauth2/authorize", "/api/oauth2/token", "/api/users/@me"},
		"zoom":    {"/oauth/authorize", "/oauth/token", "/v2/users/me"},
		"spotify": {"/authorize", "/api/token", "/me"},
		"slack":   {"/oauth/authorize", "/api/oauth.access", "/api/openid.connect.userInfo"},
	} {
		t.Run(name, func(t *testing.T) {
			b := setUp(t, name, func(r *record, config *providers.Config) {
				config.URL = base + "/"
				f := &r.Fixture
				f.Authorize, f.Token.URL = base+c.authorize, base+c.token
				person := &f.People[0]
				answers := map[string]any{}
				for i, call := range f.Calls {
					moved := base + c.user
					if i > 0 {
						moved += "/emails"
					}
					answers[moved] = person.Answers[call.URL]
					f.Calls[i].URL = moved
				}
				person.Answers = answers
			})
			id, err := b.signIn(0)
			require.NoError(t, err)
			require.Empty(t, b.server.Problems())
			require.Equal(t, name, id.Issuer)
		})
	}
}

func TestBadConfiguration(t *testing.T) {
	good := providers.Config{ClientIDs: []string{"id"}, Secret: "secret"}
	with := func(f func(*providers.Config)) providers.Config { c := good; f(&c); return c }
	for what, c := range map[string]struct {
		name   string
		config providers.Config
		want   error
	}{
		"unknown name":           {"nobody", good, providers.ErrUnknown},
		"no client id":           {"github", providers.Config{Secret: "s"}, providers.ErrConfig},
		"blank client id":        {"github", providers.Config{ClientIDs: []string{" "}, Secret: "s"}, providers.ErrConfig},
		"keycloak without URL":   {"keycloak", good, providers.ErrConfig},
		"gitea without URL":      {"gitea", good, providers.ErrConfig},
		"auth0 without issuer":   {"auth0", good, providers.ErrConfig},
		"http":                   {"gitlab", with(func(c *providers.Config) { c.URL = "http://gitlab.example" }), providers.ErrConfig},
		"no host":                {"gitlab", with(func(c *providers.Config) { c.URL = "gitlab.example" }), providers.ErrConfig},
		"file":                   {"gitlab", with(func(c *providers.Config) { c.URL = "file:///etc/passwd" }), providers.ErrConfig},
		"password in URL":        {"gitlab", with(func(c *providers.Config) { c.URL = "https://u:p@gitlab.example" }), providers.ErrConfig},
		"issuer over http":       {"corp", with(func(c *providers.Config) { c.Issuer = "http://id.corp.example" }), providers.ErrConfig},
		"bad name":               {"co rp", with(func(c *providers.Config) { c.Issuer = "https://id.corp.example" }), providers.ErrConfig},
		"azure tenant by name":   {"azure", with(func(c *providers.Config) { c.URL = "https://login.microsoftonline.com/corp.example" }), providers.ErrConfig},
		"azure without tenant":   {"azure", with(func(c *providers.Config) { c.URL = "https://login.microsoftonline.com" }), providers.ErrConfig},
		"common elsewhere":       {"azure", with(func(c *providers.Config) { c.URL = "https://corp.ciamlogin.com/common" }), providers.ErrConfig},
		"apple key that is none": {"apple", with(func(c *providers.Config) { c.Key, c.TeamID, c.KeyID = "secret", "T", "K" }), providers.ErrConfig},
		"twitter without secret": {"twitter", providers.Config{ClientIDs: []string{"id"}}, providers.ErrConfig},
	} {
		t.Run(what, func(t *testing.T) {
			p, err := providers.ByName(c.name, c.config)
			require.ErrorIs(t, err, c.want)
			require.Nil(t, p)
		})
	}
	t.Run("constructors say it when connected and when used", func(t *testing.T) {
		p := providers.Keycloak("", "id", "secret")
		_, err := providers.Connect(p, providers.NewOutbound(nil, nil))
		require.ErrorIs(t, err, providers.ErrConfig)
		_, err = p.Begin(context.Background(), providers.Begin{})
		require.ErrorIs(t, err, providers.ErrConfig)
		_, err = p.Finish(context.Background(), providers.Callback{})
		require.ErrorIs(t, err, providers.ErrConfig)
	})
	t.Run("without secret and PKCE", func(t *testing.T) {
		p := providers.GitHub("id", "", providers.WithPKCE(false))
		_, err := p.Begin(context.Background(), providers.Begin{State: state, Verifier: verifier, RedirectURL: redirectURL})
		require.ErrorIs(t, err, providers.ErrConfig)
		require.ErrorIs(t, err, providers.ErrNoSecret)
	})
}

// Building a provider asks nobody, so a dead one can't keep a program from starting.
func TestBuildingMakesNoRequest(t *testing.T) {
	for _, name := range providers.Names() {
		b := setUp(t, name)
		f := load(t, name).Fixture
		for _, u := range []string{f.Authorize, f.Token.URL} {
			require.Zero(t, b.server.Asked(u), name)
		}
		if f.Issuer != "" {
			require.Zero(t, b.server.AskedDiscovery(), name)
		}
	}
}

func TestConstructorsAreOfTheList(t *testing.T) {
	const tenant = "https://id.example.com/x"
	type make func(id, secret string, opts ...providers.Option) providers.Provider
	at := func(f func(at, id, secret string, opts ...providers.Option) providers.Provider) make {
		return func(id, secret string, opts ...providers.Option) providers.Provider {
			return f(tenant, id, secret, opts...)
		}
	}
	var names []string
	for _, f := range []make{
		providers.Amazon, providers.Apple, providers.Atlassian, at(providers.Auth0), providers.Azure, providers.Bitbucket,
		at(providers.Cognito), providers.Discord, providers.Dropbox, providers.Facebook, providers.Figma, providers.Fly,
		at(providers.Gitea), providers.GitHub, providers.GitLab, providers.Google, providers.HuggingFace, providers.Kakao,
		at(providers.Keycloak), providers.Line, providers.Linear, providers.LinkedIn, providers.LinkedInOIDC,
		at(providers.Mastodon), providers.Naver, providers.Notion, at(providers.Okta), providers.Patreon, providers.PayPal,
		providers.Reddit, providers.Salesforce, providers.Slack, providers.SlackOIDC, providers.Snapchat, providers.Spotify,
		providers.Strava, providers.TikTok, providers.Twitch, providers.Twitter, providers.Vercel,
		providers.VercelMarketplace, providers.WorkOS, providers.X, providers.Yahoo, providers.Yandex, providers.Zoom,
	} {
		p, err := providers.Connect(f("id", "secret"), providers.NewOutbound(http.DefaultClient, nil))
		require.NoError(t, err)
		names = append(names, p.Name())
	}
	require.Equal(t, providers.Names(), names)
}

func TestOptions(t *testing.T) {
	clock := newClock()
	server := providertest.New(load(t, "google").Fixture, providertest.Options{Now: clock.now, ClientID: "ios"})
	p, err := providers.Connect(providers.Google("web", "secret",
		providers.WithClientIDs("android", "ios"), providers.WithInsecureSkipNonceCheck(), providers.WithEmailOptional(),
		providers.WithTrustEmail(false), providers.WithScopes("openid", "email")), providers.NewOutbound(server.Client(), clock.now))
	require.NoError(t, err)
	require.True(t, p.(providers.EmailOptionaler).EmailOptional())
	id, err := p.(providers.IDTokenVerifier).VerifyIDToken(context.Background(), providers.IDToken{
		Raw: server.Mint(0, "", "", providertest.Sound), Nonce: "that the token lacks",
	})
	require.NoError(t, err)
	require.False(t, id.Emails[0].Verified)
	to, err := p.Begin(context.Background(), providers.Begin{State: state, Verifier: verifier, RedirectURL: redirectURL})
	require.NoError(t, err)
	require.Contains(t, to.URL, "scope=openid%20email&")
	require.Contains(t, to.URL, "client_id=web&")
}

// A provider of a host's own that makes no requests stays as it is.
func TestConnectOfAnother(t *testing.T) {
	mine := struct{ providers.Provider }{}
	p, err := providers.Connect(mine, providers.NewOutbound(nil, nil))
	require.NoError(t, err)
	require.Equal(t, mine, p)
}

func TestIssuerOfOnesOwn(t *testing.T) {
	const sandbox = "https://test.salesforce.com"
	for what, c := range map[string]providers.Config{"URL": {URL: sandbox + "/"}, "issuer": {Issuer: sandbox}} {
		b := setUp(t, "salesforce", func(r *record, config *providers.Config) {
			config.URL, config.Issuer, r.Fixture.Issuer = c.URL, c.Issuer, sandbox
		})
		id, err := b.signIn(0)
		require.NoError(t, err, what)
		require.Equal(t, sandbox, id.Issuer)
	}
}

func TestStandardClaims(t *testing.T) {
	b := setUp(t, "auth0", func(r *record, _ *providers.Config) {
		claims := r.Fixture.People[0].IDToken
		claims["phone_number"], claims["phone_number_verified"] = "+15551234", "true"
		claims["nickname"], claims["website"], claims["empty"], claims["aud_extra"] = "annie", "", "", "noise"
	})
	id, err := b.signIn(0)
	require.NoError(t, err)
	require.Equal(t, "+15551234", id.Claims["phone"])
	require.Equal(t, true, id.Claims["phone_verified"])
	require.Equal(t, "annie", id.Claims["nickname"])
	for _, name := range []string{"website", "empty", "aud_extra", "aud", "iat", "exp", "nonce", "at_hash"} {
		require.NotContains(t, id.Claims, name)
	}
}
