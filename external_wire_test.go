package auth_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/truekeel/auth"
	"github.com/truekeel/auth/authtest"
	"github.com/truekeel/auth/providers"
	"github.com/truekeel/auth/providers/providertest"
)

// wired is a town whose provider is reached over the wire.
type wired struct {
	*town
	idp *authtest.IdP
}

func openWired(t testing.TB, opts ...auth.Option) *wired {
	t.Helper()
	p := authtest.NewIdP(t, "oidc")
	s := fresh(t)
	w := &wired{&town{store: s}, p}
	w.door = open(t, append([]auth.Option{auth.WithStore(s), p.Option()}, opts...)...)
	return w
}

// in goes through the provider's page as one of its people.
func (w *wired) in(b *browser, who int) *url.URL {
	w.t.Helper()
	back, err := w.idp.Server.Visit(b.leave(url.Values{"provider": {"oidc"}}).String(), who)
	require.NoError(w.t, err)
	return b.comeBack(back)
}

func TestWireSignIn(t *testing.T) {
	w := openWired(t)
	ann := w.SignInWith(w.idp, 0)
	require.Equal(t, "ann@example.com", ann.User.Email)
	require.NotZero(t, ann.User.EmailConfirmedAt)
	require.Equal(t, []string{}, append([]string{}, w.idp.Server.Problems()...))
	w.Clock.Advance(24 * time.Hour)
	again := w.SignInWith(w.idp, 0)
	require.Equal(t, ann.User.ID, again.User.ID)
	ben := w.SignInWith(w.idp, 1)
	require.NotEqual(t, ann.User.ID, ben.User.ID)
	require.Equal(t, census{2, 2, 3}, w.count())

	b := w.browser()
	b.wantOut(w.in(b, 2), "access_denied", "provider_email_needs_verification")
	b.wantOut(w.in(b, 3), "access_denied", "provider_email_needs_verification")
	back, err := w.idp.Server.Refuse(b.leave(url.Values{"provider": {"oidc"}}).String())
	require.NoError(t, err)
	landed := b.comeBack(back)
	b.wantOut(landed, "access_denied", "")
	require.Equal(t, "The person refused", landed.Query().Get("error_description"))
}

// tokenFaults are all that an id token can have.
func tokenFaults() map[string]providertest.TokenFault {
	return map[string]providertest.TokenFault{
		"alg none": providertest.AlgNone, "HS256 by the public key": providertest.AlgHS256, "unknown key": providertest.UnknownKey,
		"foreign key": providertest.ForeignKey, "foreign issuer": providertest.ForeignIssuer, "foreign audience": providertest.ForeignAudience,
		"foreign party": providertest.ForeignParty, "wrong nonce": providertest.WrongNonce, "no nonce": providertest.NoNonce,
		"wrong at_hash": providertest.WrongAtHash, "expired": providertest.Expired, "not yet": providertest.NotYet, "no expiry": providertest.NoExpiry,
		"no time": providertest.NoIssuedAt, "empty subject": providertest.EmptySubject, "no subject": providertest.NoSubject, "truncated": providertest.Truncated,
	}
}

func TestWireBadTokensInBrowser(t *testing.T) {
	w := openWired(t)
	w.SignInWith(w.idp, 1)
	for name, fault := range tokenFaults() {
		t.Run(name, func(t *testing.T) {
			w.idp.Server.Spoil(fault)
			defer w.idp.Server.Spoil(providertest.Sound)
			b := w.browser()
			w.unchanged(func() { b.wantOut(w.in(b, 0), "server_error", "unexpected_failure") })
		})
	}
	w.SignInWith(w.idp, 0)
}

func TestWireBadTokensNative(t *testing.T) {
	w := openWired(t)
	w.SignInWith(w.idp, 1)
	sum := sha256.Sum256([]byte("raw nonce"))
	hashed := hex.EncodeToString(sum[:])
	present := func(fault providertest.TokenFault, nonce string) answer {
		return w.native(map[string]any{
			"provider": "oidc", "nonce": nonce, "access_token": "access",
			"id_token": w.idp.Server.Mint(0, hashed, "access", fault),
		})
	}
	for name, fault := range tokenFaults() {
		t.Run(name, func(t *testing.T) {
			w.unchanged(func() {
				body := present(fault, "raw nonce").want(http.StatusBadRequest, nil).object()
				require.Contains(t, []any{"invalid request", "invalid nonce"}, body["error"])
				require.NotContains(t, body, "access_token")
			})
		})
	}
	w.unchanged(func() {
		present(providertest.Sound, "another nonce").oauthError("invalid nonce", "Nonces mismatch")
		present(providertest.Sound, hashed).oauthError("invalid nonce", "Nonces mismatch")
		present(providertest.Sound, "").oauthError("invalid request", "Passed nonce and nonce in id_token should either both exist or not.")
	})
	require.NotContains(t, present(providertest.Sound, "raw nonce").want(http.StatusOK, nil).object(), "provider_token", "the app has it")
	w.Clock.Advance(time.Minute) // an issuer isn't asked for new keys more often
	present(providertest.SoundRS256, "raw nonce").want(http.StatusOK, nil)
	w.native(map[string]any{"client_id": "x", "issuer": w.idp.Server.Issuer(), "nonce": "raw nonce", "id_token": w.idp.Server.Mint(0, hashed, "", providertest.Sound)}).want(http.StatusOK, nil)
	w.unchanged(func() {
		w.native(map[string]any{"provider": "oidc", "issuer": "https://evil.example", "nonce": "raw nonce", "id_token": w.idp.Server.Mint(0, hashed, "", providertest.Sound)}).want(http.StatusBadRequest, nil)
		w.native(map[string]any{"provider": "oidc", "access_token": "another", "nonce": "raw nonce", "id_token": w.idp.Server.Mint(0, hashed, "access", providertest.Sound)}).want(http.StatusBadRequest, nil)
	})
}

// TestWireForeignIssuer: somebody who runs an issuer of his own, whose tokens name the
// victim, presents them as every provider's.
func TestWireForeignIssuer(t *testing.T) {
	evil := authtest.NewIdP(t, "evil", providertest.Person{IDToken: map[string]any{
		"sub": "victim", "email": "victim@example.com", "email_verified": true, "aud": providertest.ClientID,
	}})
	names := []string{"google", "apple", "azure", "facebook", "kakao", "linkedin_oidc", "slack_oidc", "vercel_marketplace"}
	var all []providers.Provider
	for _, name := range names {
		p, err := providers.ByName(name, providers.Config{ClientIDs: []string{providertest.ClientID}, Secret: providertest.ClientSecret})
		require.NoError(t, err)
		all = append(all, p)
	}
	s := fresh(t)
	w := &town{store: s}
	// What the providers publish is the attacker's: his discovery document, his keys.
	w.door = open(t, auth.WithStore(s), auth.WithProvider(all...), auth.WithHTTPClient(evil.Server.Client()))
	w.signUp("victim@example.com")
	token := evil.Server.Mint(0, "", "", providertest.Sound)
	for _, name := range names {
		w.unchanged(func() {
			a := w.native(map[string]any{"provider": name, "id_token": token})
			require.Equal(t, http.StatusBadRequest, a.Status, "%s: %s", name, a.Body)
			a = w.native(map[string]any{"provider": name, "id_token": token, "issuer": evil.Server.Issuer(), "client_id": providertest.ClientID})
			require.Equal(t, http.StatusBadRequest, a.Status, "%s: %s", name, a.Body)
		})
	}
}

// TestWireOtherProvidersToken: a token of one of our providers isn't another's.
func TestWireOtherProvidersToken(t *testing.T) {
	one, two := authtest.NewIdP(t, "one"), authtest.NewIdP(t, "two")
	s := fresh(t)
	w := &town{store: s}
	w.door = open(t, auth.WithStore(s), one.Option(), two.Option())
	token := one.Server.Mint(0, "", "", providertest.Sound)
	w.unchanged(func() {
		w.native(map[string]any{"provider": "two", "id_token": token}).oauthError("invalid request", "Bad ID token")
	})
	w.native(map[string]any{"provider": "one", "id_token": token}).want(http.StatusOK, nil)
	// Two issuers that give out the same subject know two people.
	require.NotEqual(t, "", w.user("ann@example.com").ID.String())
	require.Equal(t, census{1, 1, 1}, w.count())
}

// TestWireSharedIssuer: two clients of one issuer are two providers. A token that comes
// with its issuer alone is that one's for which it was made, whatever they are called.
func TestWireSharedIssuer(t *testing.T) {
	p := authtest.NewIdP(t, "mine")
	var all []providers.Provider
	for _, name := range []string{"alpha", "omega"} {
		all = append(all, providers.OIDC(name, p.Server.Issuer(), "client of "+name, "secret", providers.WithInternal()))
	}
	w := &town{store: fresh(t)}
	w.door = open(t, auth.WithStore(w.store), p.Option(), auth.WithProvider(all...))
	token := p.Server.Mint(0, "", "", providertest.Sound)
	for range 8 {
		w.native(map[string]any{"client_id": "x", "issuer": p.Server.Issuer(), "id_token": token}).want(http.StatusOK, nil)
	}
	require.Equal(t, "mine", w.identities(w.user("ann@example.com").ID)[0].Provider)
	w.unchanged(func() {
		w.native(map[string]any{"client_id": "x", "issuer": p.Server.Issuer(), "id_token": p.Server.Mint(0, "", "", providertest.ForeignAudience)}).
			oauthError("invalid request", "Unacceptable audience in id_token: [somebody-else]")
	})
}

// TestWireTrouble: a provider's addresses misbehave in every way; the browser is told,
// nothing is written, and other providers are as good as before.
func TestWireTrouble(t *testing.T) {
	sick, well := authtest.NewIdP(t, "sick"), authtest.NewIdP(t, "well")
	s := fresh(t)
	w := &town{store: s}
	key := auth.WithEncryptionKey([]byte(strings.Repeat("key ", 8)))
	w.door = open(t, auth.WithStore(s), key, sick.Option(), well.Option())
	b := w.browser()
	b.leave(url.Values{"provider": {"sick"}}) // discovered
	trouble := func(t *testing.T, fault providertest.Fault, back *browser) {
		sick.Server.Break(sick.Server.Issuer()+"/token", fault)
		w.unchanged(func() {
			v, err := sick.Server.Visit(b.leave(url.Values{"provider": {"sick"}}).String(), 0)
			require.NoError(t, err)
			landed := back.comeBack(v)
			require.Contains(t, []string{"server_error", "temporarily_unavailable"}, landed.Query().Get("error"), "ended at %s", landed)
			require.Empty(t, fragmentOf(landed).Get("access_token"))
		})
	}
	for name, fault := range map[string]providertest.Fault{
		"refused": providertest.Refused, "error in 200": providertest.ErrorIn200, "not ok": providertest.NotOK, "500": providertest.ServerError,
		"HTML": providertest.HTML, "no JSON": providertest.NotJSON, "empty": providertest.Empty, "other JSON": providertest.OtherJSON,
		"10 MB": providertest.Huge, "unreachable": providertest.Unreachable, "redirecting": providertest.Redirecting,
	} {
		t.Run(name, func(t *testing.T) { trouble(t, fault, b) })
	}
	t.Run("hung", func(t *testing.T) {
		// Only the way back is short of time, and whatever of it takes too long, the answer
		// is the same: a slow machine changes nothing.
		hasty := &town{store: s}
		hasty.door = open(t, auth.WithStore(s), key, sick.Option(), auth.WithRequestTimeout(200*time.Millisecond))
		trouble(t, providertest.Hang, &browser{hasty, b.client})
	})
	w.SignInWith(well, 0)
}

// TestWireApple: a provider whose answer is posted by the browser, by its real
// addresses.
func TestWireApple(t *testing.T) {
	text, err := os.ReadFile("providers/testdata/apple.json")
	require.NoError(t, err)
	var record struct{ Fixture providertest.Fixture }
	require.NoError(t, json.Unmarshal(text, &record))
	server := providertest.New(record.Fixture, providertest.Options{})
	s := fresh(t)
	w := &town{store: s}
	w.door = open(t, auth.WithStore(s), auth.WithSiteURL("https://app.example.com"), auth.WithHTTPClient(server.Client()),
		auth.WithProvider(providers.Apple(providertest.ClientID, providertest.ClientSecret)))

	left := httptest.NewRecorder()
	w.Auth.ServeHTTP(left, httptest.NewRequestWithContext(t.Context(), "GET", "/auth/authorize?provider=apple", nil))
	require.Equal(t, http.StatusFound, left.Code, left.Body.String())
	cookie := left.Result().Cookies()[0]
	require.Equal(t, http.SameSiteNoneMode, cookie.SameSite)
	form, err := server.Visit(left.Header().Get("Location"), 0)
	require.NoError(t, err)
	resp := w.browser().do("POST", "/callback", form, header{"Cookie", cookie.Name + "=" + cookie.Value}, header{"Origin", "https://appleid.apple.com"})
	require.Equal(t, http.StatusSeeOther, resp.StatusCode)
	landed, err := resp.Location()
	require.NoError(t, err)
	require.NotEmpty(t, fragmentOf(landed).Get("access_token"), "ended at %s", landed)
	require.Empty(t, server.Problems())
	require.Equal(t, census{1, 1, 1}, w.count())
}
