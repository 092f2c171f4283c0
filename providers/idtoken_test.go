package providers_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/truekeel/auth/providers"
	"github.com/truekeel/auth/providers/providertest"
)

func hashed(nonce string) string {
	sum := sha256.Sum256([]byte(nonce))
	return hex.EncodeToString(sum[:])
}

// badTokens are all faults that an id token may have, and what they are called.
func badTokens() map[string]struct {
	fault providertest.TokenFault
	want  error
} {
	type c = struct {
		fault providertest.TokenFault
		want  error
	}
	return map[string]c{
		"alg none":         {providertest.AlgNone, providers.ErrBadIDToken},
		"HS256":            {providertest.AlgHS256, providers.ErrBadIDToken},
		"unknown key":      {providertest.UnknownKey, providers.ErrBadIDToken},
		"foreign key":      {providertest.ForeignKey, providers.ErrBadIDToken},
		"foreign issuer":   {providertest.ForeignIssuer, providers.ErrBadIDToken},
		"foreign audience": {providertest.ForeignAudience, providers.ErrAudience},
		"foreign party":    {providertest.ForeignParty, providers.ErrAudience},
		"wrong nonce":      {providertest.WrongNonce, providers.ErrNonceMismatch},
		"no nonce":         {providertest.NoNonce, providers.ErrNonceMissing},
		"wrong at_hash":    {providertest.WrongAtHash, providers.ErrBadIDToken},
		"expired":          {providertest.Expired, providers.ErrBadIDToken},
		"not yet":          {providertest.NotYet, providers.ErrBadIDToken},
		"no iat":           {providertest.NoIssuedAt, providers.ErrBadIDToken},
		"no exp":           {providertest.NoExpiry, providers.ErrBadIDToken},
		"empty subject":    {providertest.EmptySubject, providers.ErrNoSubject},
		"no subject":       {providertest.NoSubject, providers.ErrNoSubject},
		"truncated":        {providertest.Truncated, providers.ErrBadIDToken},
	}
}

func TestBadIDTokensInTheBrowser(t *testing.T) {
	for _, name := range []string{"google", "apple", "azure", "keycloak", "auth0"} {
		for what, c := range badTokens() {
			t.Run(name+"/"+what, func(t *testing.T) {
				t.Parallel()
				b := setUp(t, name)
				b.server.Spoil(c.fault)
				cb := b.visit(0)
				id, err := b.finish(cb)
				require.Zero(t, id)
				require.ErrorIs(t, err, c.want)
				requireNoSecret(t, err, cb.Params)
			})
		}
	}
	t.Run("without an id token", func(t *testing.T) {
		b := setUp(t, "google", func(r *record, _ *providers.Config) { r.Fixture.People[0].IDToken = nil })
		_, err := b.signIn(0)
		require.ErrorIs(t, err, providers.ErrBadIDToken)
	})
	t.Run("RS256", func(t *testing.T) {
		b := setUp(t, "google")
		b.server.Spoil(providertest.SoundRS256)
		_, err := b.signIn(0)
		require.NoError(t, err)
	})
	t.Run("what is signed comes before what isn't", func(t *testing.T) {
		b := setUp(t, "huggingface", func(r *record, _ *providers.Config) {
			r.Fixture.People[1].IDToken["name"] = "Signed"
		})
		id, err := b.signIn(1)
		require.NoError(t, err)
		require.Equal(t, "Signed", id.Claims["name"])
	})
	t.Run("profile of somebody else", func(t *testing.T) {
		b := setUp(t, "huggingface", func(r *record, _ *providers.Config) {
			r.Fixture.People[1].Answers[r.Fixture.Calls[0].URL] = map[string]any{"sub": "a-1", "email": "ann@example.com"}
		})
		_, err := b.signIn(1)
		require.ErrorIs(t, err, providers.ErrProfile)
	})
}

// present presents an id token as an app does.
func (b *bench) present(token providers.IDToken) (providers.Identity, error) {
	v, ok := b.p.(providers.IDTokenVerifier)
	require.True(b.t, ok)
	return v.VerifyIDToken(context.Background(), token)
}

func lenient(r *record, _ *providers.Config) { r.Fixture.Lenient = true }

func TestBadPresentedTokens(t *testing.T) {
	for _, name := range []string{"google", "apple", "azure", "keycloak"} {
		cases := badTokens()
		cases["old"] = struct {
			fault providertest.TokenFault
			want  error
		}{providertest.Old, providers.ErrBadIDToken}
		for what, c := range cases {
			t.Run(name+"/"+what, func(t *testing.T) {
				t.Parallel()
				b := setUp(t, name, lenient)
				id, err := b.present(providers.IDToken{
					Raw: b.server.Mint(0, hashed("raw"), "at", c.fault), Nonce: "raw", AccessToken: "at",
				})
				require.Zero(t, id)
				require.ErrorIs(t, err, c.want)
				requireNoSecret(t, err, nil)
			})
		}
	}
	for what, raw := range map[string]string{
		"nothing": "", "text": "abc", "dots": "..", "long": strings.Repeat("a", 100_000), "array": "eyJhbGciOiJFUzI1NiJ9.W10.AA",
	} {
		t.Run(what, func(t *testing.T) {
			_, err := setUp(t, "google").present(providers.IDToken{Raw: raw})
			require.ErrorIs(t, err, providers.ErrBadIDToken)
		})
	}
}

func TestPresentedTokens(t *testing.T) {
	t.Run("is the person of the browser", func(t *testing.T) {
		for _, name := range []string{"google", "apple", "azure", "keycloak", "linkedin_oidc", "slack_oidc", "vercel", "auth0"} {
			b := setUp(t, name, lenient)
			inBrowser, err := b.signIn(0)
			require.NoError(t, err)
			presented, err := b.present(providers.IDToken{Raw: b.server.Mint(0, hashed("raw"), "", providertest.Sound), Nonce: "raw"})
			require.NoError(t, err)
			require.Equal(t, inBrowser.Issuer, presented.Issuer, name)
			require.Equal(t, inBrowser.Subject, presented.Subject, name)
			require.Equal(t, inBrowser.Emails, presented.Emails, name)
		}
	})
	t.Run("OAuth 2 in the browser", func(t *testing.T) {
		for name, issuer := range map[string]string{
			"facebook": "https://www.facebook.com", "kakao": "https://kauth.kakao.com",
			"snapchat": "https://accounts.snapchat.com/accounts/oauth2/token",
		} {
			b := setUp(t, name, lenient, func(r *record, _ *providers.Config) {
				r.Fixture.Issuer = issuer
				r.Fixture.People[0].IDToken = map[string]any{
					"sub": "42", "name": "Ann", "nickname": "Ann", "email": "ann@example.com", "picture": "https://img.example/a",
				}
			})
			id, err := b.present(providers.IDToken{Raw: b.server.Mint(0, hashed("raw"), "", providertest.Sound), Nonce: "raw"})
			require.NoError(t, err, name)
			require.Equal(t, name, id.Issuer, "one identity for both ways")
			require.Equal(t, "42", id.Subject)
			require.Equal(t, "Ann", id.Claims["name"])
			require.Equal(t, []providers.Email{{Address: "ann@example.com", Primary: true}}, id.Emails)
		}
	})
	t.Run("others have none", func(t *testing.T) {
		for _, name := range []string{"github", "twitter", "workos", "slack"} {
			_, ok := setUp(t, name).p.(providers.IDTokenVerifier)
			require.False(t, ok, name)
		}
	})
	t.Run("nonce", func(t *testing.T) {
		for what, c := range map[string]struct {
			given, claim string
			want         error
		}{
			"neither":                {"", "", nil},
			"both":                   {"raw", hashed("raw"), nil},
			"only given":             {"raw", "", providers.ErrNonceMissing},
			"only claim":             {"", hashed("raw"), providers.ErrNonceMissing},
			"others":                 {"raw", hashed("war"), providers.ErrNonceMismatch},
			"unhashed":               {"raw", "raw", providers.ErrNonceMismatch},
			"upper case":             {"raw", strings.ToUpper(hashed("raw")), providers.ErrNonceMismatch},
			"hash of the hash given": {hashed("raw"), hashed("raw"), providers.ErrNonceMismatch},
		} {
			b := setUp(t, "google", lenient)
			token := providers.IDToken{Raw: b.server.Mint(0, c.claim, "", providertest.Sound), Nonce: c.given}
			_, err := b.present(token)
			require.ErrorIs(t, err, c.want, what)

			skipping := setUp(t, "google", lenient, func(_ *record, c *providers.Config) { c.SkipNonceCheck = true })
			token.Raw = skipping.server.Mint(0, c.claim, "", providertest.Sound)
			_, err = skipping.present(token)
			require.NoError(t, err, what)
		}
	})
	t.Run("audiences", func(t *testing.T) {
		b := setUp(t, "google", func(r *record, c *providers.Config) {
			c.ClientIDs = []string{"web", "", "ios", providertest.ClientID}
		})
		_, err := b.present(providers.IDToken{Raw: b.server.Mint(0, "", "", providertest.Sound)})
		require.NoError(t, err)
		claims := func(aud any) string {
			now := b.clock.now().Unix()
			return b.server.MintClaims(map[string]any{
				"iss": "https://accounts.google.com", "sub": "1", "iat": now, "exp": now + 60, "aud": aud,
			})
		}
		for what, c := range map[string]struct {
			aud any
			ok  bool
		}{
			"first": {"web", true}, "third": {"ios", true}, "empty": {"", false}, "empty list": {[]string{}, false},
			"list of empty": {[]string{""}, false}, "none": {nil, false}, "among others": {[]string{"x", "ios"}, true},
			"part": {"we", false},
		} {
			_, err := b.present(providers.IDToken{Raw: claims(c.aud)})
			if c.ok {
				require.NoError(t, err, what)
				continue
			}
			require.Error(t, err, what)
		}
	})
	t.Run("at_hash", func(t *testing.T) {
		b := setUp(t, "google")
		raw := b.server.Mint(0, "", "its access token", providertest.Sound)
		_, err := b.present(providers.IDToken{Raw: raw, AccessToken: "its access token"})
		require.NoError(t, err)
		_, err = b.present(providers.IDToken{Raw: raw})
		require.NoError(t, err, "without an access token there is nothing to compare")
		_, err = b.present(providers.IDToken{Raw: raw, AccessToken: "another"})
		require.ErrorIs(t, err, providers.ErrBadIDToken)
	})
	t.Run("issuer of the request", func(t *testing.T) {
		b := setUp(t, "apple")
		raw := b.server.Mint(1, "", "", providertest.Sound)
		_, err := b.present(providers.IDToken{Raw: raw, Issuer: "https://account.apple.com"})
		require.NoError(t, err)
		_, err = b.present(providers.IDToken{Raw: raw, Issuer: "https://appleid.apple.com"})
		require.ErrorIs(t, err, providers.ErrBadIDToken)
	})
	t.Run("of our own other provider", func(t *testing.T) {
		google, auth0 := setUp(t, "google"), setUp(t, "auth0")
		_, err := google.present(providers.IDToken{Raw: auth0.server.Mint(0, "", "", providertest.Sound)})
		require.ErrorIs(t, err, providers.ErrBadIDToken)
	})
}

func TestIssuedBy(t *testing.T) {
	for name, c := range map[string]struct{ yes, no []string }{
		"google":   {[]string{"https://accounts.google.com", "accounts.google.com"}, []string{"", "https://accounts.google.com/", "https://evil.example"}},
		"apple":    {[]string{"https://appleid.apple.com", "https://account.apple.com"}, []string{"https://appleid.apple.com.evil.example"}},
		"auth0":    {[]string{"https://t.eu.auth0.com/"}, []string{"https://t.eu.auth0.com"}},
		"facebook": {[]string{"https://www.facebook.com"}, []string{"https://facebook.com"}},
		"azure": {
			[]string{"https://login.microsoftonline.com/" + tenant + "/v2.0", "https://login.microsoftonline.com/" + tenant + "/v2.0/"},
			[]string{
				"https://sts.windows.net/" + tenant + "/", "https://login.microsoftonline.com/common/v2.0",
				"https://login.microsoftonline.com/{tenantid}/v2.0", "https://login.microsoftonline.com/" + tenant,
				"https://login.microsoftonline.com.evil.example/" + tenant + "/v2.0",
				"https://login.microsoftonline.com/" + tenant + "/../x/v2.0", "https://x.ciamlogin.com/" + tenant + "/v2.0",
				"http://login.microsoftonline.com/" + tenant + "/v2.0",
			},
		},
	} {
		v, ok := setUp(t, name).p.(providers.IDTokenVerifier)
		require.True(t, ok)
		for _, iss := range c.yes {
			require.True(t, v.IssuedBy(iss), iss)
		}
		for _, iss := range c.no {
			require.False(t, v.IssuedBy(iss), iss)
		}
	}
}

func TestDiscoveryAndKeysAreKept(t *testing.T) {
	b := setUp(t, "google")
	for range 5 {
		_, err := b.signIn(0)
		require.NoError(t, err)
	}
	require.Equal(t, 1, b.server.AskedDiscovery())
	require.Equal(t, 1, b.server.AskedKeys())

	b.clock.advance(61 * time.Minute)
	_, err := b.signIn(0)
	require.NoError(t, err)
	require.Equal(t, 2, b.server.AskedDiscovery())
	require.Equal(t, 2, b.server.AskedKeys())

	// While the issuer is down, the old ones are good, and it isn't asked each time.
	b.clock.advance(61 * time.Minute)
	b.server.BreakDiscovery(providertest.Unreachable)
	b.server.BreakKeys(providertest.HTML)
	for range 5 {
		_, err = b.signIn(0)
		require.NoError(t, err)
	}
	require.Equal(t, 3, b.server.AskedDiscovery())
	require.Equal(t, 3, b.server.AskedKeys())
	b.clock.advance(11 * time.Second)
	_, err = b.signIn(0)
	require.NoError(t, err)
	require.Equal(t, 4, b.server.AskedDiscovery())
}

// Tokens of a key that isn't known make the keys be fetched, but not for each of them.
func TestUnknownKeysDoNotFlood(t *testing.T) {
	b := setUp(t, "google")
	_, err := b.signIn(0)
	require.NoError(t, err)
	b.clock.advance(time.Minute)
	for range 10 {
		_, err := b.present(providers.IDToken{Raw: b.server.Mint(0, "", "", providertest.UnknownKey)})
		require.ErrorIs(t, err, providers.ErrBadIDToken)
	}
	require.Equal(t, 2, b.server.AskedKeys())

	// A key that appears is found.
	b.clock.advance(time.Minute)
	_, err = b.present(providers.IDToken{Raw: b.server.Mint(0, "", "", providertest.SoundRS256)})
	require.NoError(t, err)
	require.Equal(t, 3, b.server.AskedKeys())
}

func TestOneFetchForAllWhoWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setUp(t, "google")
		b.server.BreakDiscovery(providertest.Hang)
		var wg sync.WaitGroup
		errs := make([]error, 20)
		for i := range errs {
			wg.Go(func() { _, errs[i] = b.begin() })
		}
		synctest.Wait()
		require.Equal(t, 1, b.server.AskedDiscovery())
		wg.Wait()
		require.ErrorIs(t, errors.Join(errs...), providers.ErrUnreachable)
	})
}

// A caller that goes away doesn't take the fetch from the others.
func TestFetchOutlivesItsFirstCaller(t *testing.T) {
	b := setUp(t, "google")
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := b.p.Begin(ctx, providers.Begin{Verifier: verifier})
	if err != nil {
		require.ErrorIs(t, err, context.Canceled)
	}
	_, err = b.begin()
	require.NoError(t, err)
}

func TestDiscoveryDocumentOfAnotherIssuer(t *testing.T) {
	server := providertest.New(load(t, "auth0").Fixture, providertest.Options{})
	p, err := providers.Connect(
		providers.OIDC("corp", "https://t.eu.auth0.com", "id", "secret"), // the slash is missing
		providers.NewOutbound(server.Client(), nil))
	require.NoError(t, err)
	_, err = p.Begin(context.Background(), providers.Begin{Verifier: verifier})
	require.ErrorContains(t, err, "document is of another issuer")
}
