package auth_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/truekeel/auth"
	"github.com/truekeel/auth/providers"
	"github.com/truekeel/auth/providers/providertest"
	"github.com/truekeel/auth/store"
)

// keelIdentity gives the identity that a provider knows of the one account.
func (h *harbour) keelIdentity() auth.Identity {
	h.t.Helper()
	for _, i := range h.onlyUser().Identities {
		if i.Issuer == h.idp.URL {
			return i
		}
	}
	h.t.Fatal("the account has no identity of the provider")
	return auth.Identity{}
}

func custom(i auth.Identity) store.Object {
	var o store.Object
	i.Data.Decode("custom_claims", &o)
	return o
}

// TestKeelExchange: an id token becomes an account with all that it says.
func TestKeelExchange(t *testing.T) {
	eachEncoding(t, func(t *testing.T, send func(*door, string, fieldsOf) answer) {
		t.Run("all claims", func(t *testing.T) {
			h := openHarbour(t, nil)
			h.idp.claims = profile()
			g := send(h.door, "/token", exchangeOf(h.idp.idToken(map[string]any{"preferred_username": "kel", "phone_number": "+441632960000", "phone_number_verified": true}))).granted(true)
			u, i := h.onlyUser(), h.keelIdentity()
			require.Equal(t, u.ID.String(), claims(t, g.AccessToken)["sub"])
			require.Equal(t, keelIssuer, claims(t, g.AccessToken)["iss"])
			require.Equal(t, stubSubject, i.Subject)
			require.Equal(t, "keelson@keel.so", i.Email)
			require.Equal(t, "my_oidc", i.Provider)
			for name, want := range profile() {
				if text, ok := want.(string); ok {
					require.Equal(t, text, i.Data.String(name), name)
				}
			}
			require.Equal(t, "342352392354", custom(i).String("teamId"))
			require.Equal(t, "custom value", custom(i).String("customClaim"))
			require.NotContains(t, custom(i), "notExists")
			require.False(t, u.EmailConfirmedAt.IsZero())
		})
		t.Run("address alone", func(t *testing.T) {
			h := openHarbour(t, func(_ *harbour, k *auth.Keel) { k.Claims = nil })
			send(h.door, "/token", exchangeOf(h.idp.idToken(map[string]any{"email": "a@example.com", "email_verified": true}))).granted(true)
			i := h.keelIdentity()
			require.Equal(t, "a@example.com", i.Email)
			require.NotContains(t, i.Data, "name")
			require.NotContains(t, i.Data, "picture")
			require.NotContains(t, i.Data, "custom_claims")
		})
		t.Run("no address", func(t *testing.T) {
			h := openHarbour(t, nil)
			g := send(h.door, "/token", exchangeOf(h.idp.idToken(nil))).granted(true)
			i := h.keelIdentity()
			require.Empty(t, i.Email)
			require.Equal(t, claims(t, g.AccessToken)["sub"], h.onlyUser().ID.String())
			send(h.door, "/token", exchangeOf(h.idp.idToken(nil))).granted(false)
		})
		t.Run("known", func(t *testing.T) {
			h := openHarbour(t, nil)
			h.idp.claims = profile()
			first := send(h.door, "/token", exchangeOf(h.idp.idToken(map[string]any{"email": "old@keel.so", "nickname": nil, "nick_name": "Old"}))).granted(true)
			require.Equal(t, "Old", h.keelIdentity().Data.String("nickname"))
			second := send(h.door, "/token", exchangeOf(h.idp.idToken(map[string]any{"gender": nil}), fieldsOf{"create_if_not_exists": "true"})).granted(false)
			third := send(h.door, "/token", exchangeOf(h.idp.idToken(map[string]any{"gender": nil}), fieldsOf{"create_if_not_exists": "false"})).granted(false)
			for _, g := range []keelGrant{second, third} {
				require.Equal(t, claims(t, first.AccessToken)["sub"], claims(t, g.AccessToken)["sub"])
			}
			i := h.keelIdentity()
			require.Equal(t, "keelson@keel.so", i.Email)
			require.Equal(t, "Kel", i.Data.String("nickname"))
			require.NotContains(t, i.Data, "gender", "a claim that isn't sent any more is gone")
			require.Equal(t, "old@keel.so", h.onlyUser().Email, "a later sign-in doesn't change the account's address")
		})
		t.Run("not created", func(t *testing.T) {
			h := openHarbour(t, nil)
			send(h.door, "/token", exchangeOf(h.idp.idToken(nil), fieldsOf{"create_if_not_exists": "false"})).wantKeel(keelX6)
			require.Zero(t, h.users())
		})
		t.Run("create", func(t *testing.T) {
			h := openHarbour(t, nil)
			send(h.door, "/token", exchangeOf(h.idp.idToken(nil), fieldsOf{"create_if_not_exists": "true"})).granted(true)
		})
	})
}

// TestKeelExchangeRefuses: tokens that prove nothing, or too little.
func TestKeelExchangeRefuses(t *testing.T) {
	h := openHarbour(t, nil)
	now := h.Clock.Now()
	other, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	forged := &keelIdP{Server: h.idp.Server, key: other, now: h.Clock.Now}
	tests := []struct {
		name, token string
		want        keelError
	}{
		{"no token", "this is not a jwt token", keelX4},
		{"no payload", "a.b.c", keelX4},
		{"payload null", "e30.bnVsbA.c2ln", keelX4},
		{"forged", forged.sign(nil), keelX4},
		{"issuer", h.idp.idToken(map[string]any{"iss": "https://other.example"}), keelX4},
		{"no issuer", h.idp.idToken(map[string]any{"iss": nil}), keelX4},
		{"issuer no text", h.idp.idToken(map[string]any{"iss": []string{h.idp.URL}}), keelX4},
		{"audience", h.idp.idToken(map[string]any{"aud": "somebody else"}), keelX4},
		{"expired", h.idp.idToken(map[string]any{"exp": now.Add(-time.Minute).Unix()}), keelX4},
		{"not yet", h.idp.idToken(map[string]any{"nbf": now.Add(time.Hour).Unix()}), keelX4},
		{"no subject", h.idp.idToken(map[string]any{"sub": nil}), keelX4},
		{"verified as text", h.idp.idToken(map[string]any{"email": "a@example.com", "email_verified": "true"}), keelX5},
		{"name as number", h.idp.idToken(map[string]any{"name": 7}), keelX5},
		{"address not verified", h.idp.idToken(map[string]any{"email": "a@example.com"}), keelX4},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { h.json("/token", exchangeOf(tt.token)).wantKeel(tt.want) })
	}
	t.Run("nonce", func(t *testing.T) {
		h.json("/token", exchangeOf(h.idp.idToken(map[string]any{"nonce": "whatever", "sub": "other"}))).granted(true)
	})
	t.Run("unreachable", func(t *testing.T) {
		h := openHarbour(t, nil)
		token := h.idp.idToken(nil)
		h.idp.Close()
		h.json("/token", exchangeOf(token)).wantKeel(keelX4)
	})
	t.Run("issuer of the discovery", func(t *testing.T) {
		h := openHarbour(t, nil)
		h.idp.set(func() { h.idp.issuer = "https://elsewhere.example" })
		h.json("/token", exchangeOf(h.idp.idToken(nil))).wantKeel(keelX4)
	})
}

// TestKeelExchangeIssuers: several providers may have one issuer; the audience chooses.
func TestKeelExchangeIssuers(t *testing.T) {
	h := openHarbour(t, func(h *harbour, k *auth.Keel) {
		for n, name := range []string{"first", "second", "third"} {
			k.Providers = append(k.Providers, auth.KeelProvider{
				Type: "oidc", Name: name, ClientID: "client-" + string(rune('1'+n)), IssuerURL: h.idp.URL, Internal: true,
			})
		}
	})
	h.json("/token", exchangeOf(h.idp.idToken(map[string]any{"aud": "client-3"}))).granted(true)
	require.Equal(t, "third", h.keelIdentity().Provider)
}

// TestKeelExchangePolicy: the host's policy holds for what comes from providers.
func TestKeelExchangePolicy(t *testing.T) {
	t.Run("no sign-up", func(t *testing.T) {
		h := openHarbour(t, nil, auth.WithSignUp(false))
		h.json("/token", exchangeOf(h.idp.idToken(nil))).wantKeel(keelX6)
		require.Zero(t, h.users())
	})
	t.Run("ban", func(t *testing.T) {
		h := openHarbour(t, nil)
		h.json("/token", exchangeOf(h.idp.idToken(nil))).granted(true)
		require.NoError(t, h.Auth.Users().Ban(t.Context(), h.onlyUser().ID, h.Clock.Now().Add(time.Hour)))
		h.json("/token", exchangeOf(h.idp.idToken(nil))).wantKeel(keelX4)
	})
	t.Run("one person, one account", func(t *testing.T) {
		h := openHarbour(t, nil)
		byPassword := h.json("/token", passwordOf("kel@example.com")).granted(true)
		byToken := h.json("/token", exchangeOf(h.idp.idToken(map[string]any{"email": "kel@example.com", "email_verified": true}))).granted(false)
		require.Equal(t, claims(t, byPassword.AccessToken)["sub"], claims(t, byToken.AccessToken)["sub"])
		require.Len(t, h.onlyUser().Identities, 2)
	})
}

func TestKeelProviderSignIn(t *testing.T) {
	t.Run("all claims", func(t *testing.T) {
		h := openHarbour(t, func(_ *harbour, k *auth.Keel) { k.Providers[0].Scopes = []string{"email"} })
		h.idp.claims = profile()
		b := newSailor(t)
		q := h.signIn(b, "")
		require.Regexp(t, `^[A-Za-z0-9]{32}$`, q.Get("code"))
		page, err := url.Parse(b.path[0])
		require.NoError(t, err)
		require.Equal(t, "email openid", page.Query().Get("scope"))
		require.Equal(t, h.url+"/callback/my_oidc", page.Query().Get("redirect_uri"))
		i := h.keelIdentity()
		for name, want := range profile() {
			if text, ok := want.(string); ok {
				require.Equal(t, text, i.Data.String(name), name)
			}
		}
		require.Equal(t, "custom value", custom(i).String("customClaim"))

		g := h.json("/token", fieldsOf{"grant_type": "authorization_code", "code": q.Get("code")}).granted(false)
		require.Equal(t, h.onlyUser().ID.String(), claims(t, g.AccessToken)["sub"])
		h.json("/token", fieldsOf{"grant_type": "authorization_code", "code": q.Get("code")}).wantKeel(keelC2)
	})
	t.Run("no claims", func(t *testing.T) {
		h := openHarbour(t, nil)
		b := newSailor(t)
		require.NotEmpty(t, h.signIn(b, "").Get("code"))
		page, err := url.Parse(b.path[0])
		require.NoError(t, err)
		require.ElementsMatch(t, []string{"openid", "email", "profile"}, strings.Fields(page.Query().Get("scope")))
		i := h.keelIdentity()
		require.Empty(t, i.Email)
		require.Equal(t, "342352392354", custom(i).String("teamId"))
		h.signIn(newSailor(t), "")
		h.onlyUser()
	})
}

// failed goes to the provider and comes back with an error.
func (h *harbour) failed(code, description string) {
	h.t.Helper()
	q := h.signIn(newSailor(h.t), "")
	require.Equal(h.t, url.Values{"error": {code}, "error_description": {description}}, q)
	require.Zero(h.t, h.users())
}

func TestKeelProviderFails(t *testing.T) {
	const exchangeText = "failed to exchange code at provider token endpoint"
	t.Run("wrong secret", func(t *testing.T) {
		h := openHarbour(t, func(_ *harbour, k *auth.Keel) {
			k.Secrets = secretsOf(map[string]string{"AUTH_PROVIDER_SECRET_MY_OIDC": "wrong-secret"})
		})
		b := newSailor(t)
		h.signIn(b, "")
		require.Contains(t, b.path[len(b.path)-1], h.app.URL+"/signedup?error=access_denied&error_description=failed+to+exchange+code+at+provider+token+endpoint")
		h.failed("access_denied", exchangeText)
	})
	t.Run("unknown client", func(t *testing.T) {
		h := openHarbour(t, nil)
		h.idp.set(func() { h.idp.client = "" })
		b := newSailor(t)
		h.signIn(b, "")
		require.Contains(t, b.path[len(b.path)-1], "?error=access_denied&error_description=provider+error%3A+invalid_request.+client+id+not+registered+on+server")
		require.Zero(t, h.users())
	})
	t.Run("redirect mismatch", func(t *testing.T) {
		h := openHarbour(t, nil)
		h.idp.set(func() { h.idp.redirect = h.url + "/callback/mismatch" })
		resp, body := newSailor(t).do("POST", h.url+"/authorize/my_oidc")
		require.Equal(t, http.StatusBadRequest, resp.StatusCode)
		require.JSONEq(t, `{"error":"invalid_request","error_description":"redirect uri does not match"}`, body)
		require.Zero(t, h.users())
	})
	t.Run("OAuth error", func(t *testing.T) {
		h := openHarbour(t, nil)
		h.idp.set(func() {
			h.idp.token = func(w http.ResponseWriter, _ *http.Request) bool {
				writeJSON(w, http.StatusBadRequest, map[string]any{"error": "invalid_grant", "error_description": "no such code"})
				return true
			}
		})
		h.failed("invalid_grant", "no such code")
	})
	t.Run("server error", func(t *testing.T) {
		h := openHarbour(t, nil)
		h.idp.set(func() {
			h.idp.token = func(w http.ResponseWriter, _ *http.Request) bool { w.WriteHeader(http.StatusBadGateway); return true }
		})
		h.failed("access_denied", exchangeText)
	})
	t.Run("no access token", func(t *testing.T) {
		h := openHarbour(t, nil)
		h.idp.set(func() { h.idp.grant = map[string]any{"access_token": nil} })
		h.failed("access_denied", exchangeText)
	})
	t.Run("access token ends at once", func(t *testing.T) {
		for _, answer := range []any{-1, 10, "10"} {
			h := openHarbour(t, nil)
			h.idp.set(func() { h.idp.grant = map[string]any{"expires_in": answer} })
			h.failed("access_denied", "access token is not valid or has expired")
		}
		for _, answer := range []any{nil, 0, 11} {
			h := openHarbour(t, nil)
			h.idp.set(func() { h.idp.grant = map[string]any{"expires_in": answer} })
			require.NotEmpty(t, h.signIn(newSailor(t), "").Get("code"))
		}
	})
	t.Run("no id token", func(t *testing.T) {
		h := openHarbour(t, nil)
		h.idp.set(func() { h.idp.grant = map[string]any{"id_token": nil} })
		h.failed("server_error", "provider did not respond with an id token")
	})
	t.Run("bad id token", func(t *testing.T) {
		h := openHarbour(t, nil)
		h.idp.set(func() { h.idp.claims = map[string]any{"aud": "somebody else"} })
		h.failed("access_denied", "failed to verify ID token with OIDC provider")
	})
	t.Run("stale nonce", func(t *testing.T) {
		h := openHarbour(t, nil)
		token := h.idp.idToken(map[string]any{"nonce": "of another sign-in"})
		h.idp.set(func() { h.idp.grant = map[string]any{"id_token": token} })
		h.failed("access_denied", "failed to verify ID token with OIDC provider")
	})
	t.Run("claims", func(t *testing.T) {
		h := openHarbour(t, nil)
		h.idp.set(func() { h.idp.claims = map[string]any{"email_verified": "yes"} })
		h.failed("server_error", "insufficient claims on id_token")
	})
	t.Run("no sign-up", func(t *testing.T) {
		h := openHarbour(t, nil, auth.WithSignUp(false))
		h.failed("access_denied", "Signups not allowed for this instance")
	})
}

func TestKeelAuthorizeRefuses(t *testing.T) {
	a1 := keelError{400, "invalid_request", "login url malformed or provider not found"}
	h := openHarbour(t, nil)
	for _, method := range []string{"GET", "POST", "PUT"} {
		for _, p := range []string{"/authorize/unknown", "/authorize/my_oidc/oops", "/authorize/"} {
			h.send(method, p, nil).wantKeel(a1)
		}
		require.Equal(t, http.StatusFound, h.send(method, "/authorize/MY_oidc", nil).Status)
	}
	h.send("POST", "/authorize", nil).wantKeel(a1)

	noSecret := openHarbour(t, func(_ *harbour, k *auth.Keel) { k.Secrets = nil })
	noSecret.send("POST", "/authorize/my_oidc", nil).wantKeel(keelError{400, "invalid_request", "client secret not configured for provider: my_oidc"})

	bare := openKeel(t, auth.Keel{RedirectURL: h.app.URL}, auth.WithProvider(providers.SlackOIDC("id", "")))
	bare.send("GET", "/authorize/slack_oidc", nil).wantKeel(keelError{400, "invalid_request", "client secret not configured for provider: slack_oidc"})

	noPlace := openHarbour(t, func(_ *harbour, k *auth.Keel) { k.RedirectURL = "" })
	a2 := keelError{400, "invalid_request", "redirectUrl must be specified in keelconfig.yaml"}
	noPlace.send("POST", "/authorize/my_oidc", nil).wantKeel(a2)
	noPlace.send("POST", "/authorize/my_oidc?redirect_uri=https://evil.example/", nil).wantKeel(a2)

	down := openHarbour(t, nil)
	down.idp.Close()
	a := down.send("POST", "/authorize/my_oidc", nil)
	require.Equal(t, http.StatusInternalServerError, a.Status)
	require.Equal(t, "null", string(a.Body))

	plain := h.send("GET", "/authorize/my_oidc?code_challenge="+strings.Repeat("a", 43)+"&code_challenge_method=plain", nil)
	require.Equal(t, http.StatusBadRequest, plain.Status)
	require.Equal(t, "invalid_request", plain.object()["error"])
}

// TestKeelRedirectURI: without a place of the host's, a request names one that the host
// allows.
func TestKeelRedirectURI(t *testing.T) {
	const target = "https://app.example.com/in?a=b"
	h := openHarbour(t, func(_ *harbour, k *auth.Keel) { k.RedirectURL = "" },
		auth.WithSiteURL("http://localhost:1"), auth.WithExternalURL("http://localhost:1/auth"), auth.WithRedirectURLs("https://app.example.com/**"))
	a := h.send("GET", "/authorize/my_oidc?redirect_uri="+url.QueryEscape(target), nil)
	require.Equal(t, http.StatusFound, a.Status)
	to, err := url.Parse(a.Header.Get("Location"))
	require.NoError(t, err)
	require.Equal(t, "http://localhost:1/auth/callback/my_oidc", to.Query().Get("redirect_uri"))
	back := "/callback/my_oidc?error=nope&state=" + to.Query().Get("state")
	cookie := strings.SplitN(a.Header.Get("Set-Cookie"), ";", 2)[0]
	answered := h.send("GET", back, nil, header{"Cookie", cookie})
	require.Equal(t, http.StatusFound, answered.Status)
	require.Equal(t, "https://app.example.com/in?a=b&error=access_denied&error_description=provider+error%3A+nope.+", answered.Header.Get("Location"))
}

// TestKeelState: a way back is good once, in the browser that began it, for the provider
// to which it led.
func TestKeelState(t *testing.T) {
	h := openHarbour(t, func(h *harbour, k *auth.Keel) {
		k.Providers = append(k.Providers, auth.KeelProvider{Type: "oidc", Name: "other", ClientID: stubClient, IssuerURL: h.idp.URL, Internal: true})
	})
	begin := func() (cookie header, state string) {
		a := h.send("GET", "/authorize/my_oidc", nil)
		require.Equal(t, http.StatusFound, a.Status)
		require.Equal(t, "text/html; charset=utf-8", a.Header.Get("Content-Type"))
		set := a.Header.Get("Set-Cookie")
		require.Contains(t, set, "HttpOnly")
		require.Contains(t, set, "SameSite=Lax")
		to, err := url.Parse(a.Header.Get("Location"))
		require.NoError(t, err)
		require.NotEmpty(t, to.Query().Get("nonce"))
		require.Equal(t, "S256", to.Query().Get("code_challenge_method"))
		h.idp.set(func() { h.idp.nonce = to.Query().Get("nonce") })
		return header{"Cookie", strings.SplitN(set, ";", 2)[0]}, to.Query().Get("state")
	}
	denied := func(a answer) {
		t.Helper()
		require.Equal(t, http.StatusFound, a.Status, "%s", a.Body)
		require.Contains(t, a.Header.Get("Location"), h.app.URL+"/signedup?error=access_denied&error_description=")
		require.Zero(t, h.users())
	}
	null := func(a answer) {
		t.Helper()
		require.Equal(t, http.StatusInternalServerError, a.Status)
		require.Equal(t, "null", string(a.Body))
		require.Equal(t, jsonBody, a.Header.Get("Content-Type"))
	}
	cookie, state := begin()
	other, _ := begin()
	denied(h.send("GET", "/callback/my_oidc?code=x", nil, cookie))
	denied(h.send("GET", "/callback/my_oidc?code=x&state=y", nil, cookie))
	denied(h.send("GET", "/callback/my_oidc?code=x&state="+state, nil))
	denied(h.send("GET", "/callback/my_oidc?code=x&state="+state, nil, other))
	null(h.send("GET", "/callback/unknown?code=x&state="+state, nil, cookie))
	null(h.send("GET", "/callback/my_oidc/oops?code=x&state="+state, nil, cookie))

	// GoTrue's own callback doesn't finish it, nor a flow of GoTrue's this one.
	h.send("GET", "/callback?code=x&state="+state, nil, cookie)
	require.Zero(t, h.users())
	theirs := h.send("GET", "/authorize?provider=my_oidc", nil)
	to, err := url.Parse(theirs.Header.Get("Location"))
	require.NoError(t, err)
	denied(h.send("GET", "/callback/my_oidc?code=x&state="+to.Query().Get("state"), nil, header{"Cookie", strings.SplitN(theirs.Header.Get("Set-Cookie"), ";", 2)[0]}))

	begun, mine := begin()
	denied(h.send("GET", "/callback/other?code=x&state="+mine, nil, begun))
	ok := h.send("POST", "/callback/MY_OIDC?code=x&state="+mine, nil, begun)
	require.Contains(t, ok.Header.Get("Location"), "?code=")
	require.Equal(t, 1, h.users())
	again := h.send("GET", "/callback/my_oidc?code=x&state="+mine, nil, begun)
	require.Contains(t, again.Header.Get("Location"), "error=access_denied")

	late, stale := begin()
	h.Clock.Advance(10 * time.Minute)
	require.Contains(t, h.send("GET", "/callback/my_oidc?code=x&state="+stale, nil, late).Header.Get("Location"), "error=access_denied")

	noCode, bare := begin()
	null(h.send("GET", "/callback/my_oidc?state="+bare, nil, noCode))
}

// TestKeelCode: a code is good once, for a minute, in this dialect, for who has the
// verifier.
func TestKeelCode(t *testing.T) {
	h := openHarbour(t, nil)
	code := func(more string) string { return h.signIn(newSailor(t), more).Get("code") }
	redeem := func(code string, more fieldsOf) answer {
		f := fieldsOf{"grant_type": "authorization_code", "code": code}
		for name, v := range more {
			f[name] = v
		}
		return h.json("/token", f)
	}
	t.Run("each encoding", func(t *testing.T) {
		eachEncoding(t, func(t *testing.T, send func(*door, string, fieldsOf) answer) {
			g := send(h.door, "/token", fieldsOf{"grant_type": "authorization_code", "code": code("")}).granted(false)
			require.Equal(t, keelIssuer, claims(t, g.AccessToken)["iss"])
			require.Equal(t, h.onlyUser().ID.String(), claims(t, g.AccessToken)["sub"])
		})
	})
	t.Run("a minute", func(t *testing.T) {
		c, d := code(""), code("")
		h.Clock.Advance(59 * time.Second)
		redeem(c, nil).granted(false)
		h.Clock.Advance(time.Second)
		redeem(d, nil).wantKeel(keelC2)
	})
	t.Run("PKCE", func(t *testing.T) {
		verifier := strings.Repeat("v", 64)
		challenge := "?code_challenge_method=S256&code_challenge=" + s256(verifier)
		c := code(challenge)
		redeem(c, nil).wantKeel(keelC2)
		redeem(c, fieldsOf{"code_verifier": strings.Repeat("w", 64)}).wantKeel(keelC2)
		h.post("/token?grant_type=pkce", map[string]any{"auth_code": c, "code_verifier": verifier}).wantFault(http.StatusNotFound, "flow_state_not_found")
		redeem(c, fieldsOf{"code_verifier": verifier}).granted(false)
		redeem(code(""), fieldsOf{"code_verifier": verifier}).wantKeel(keelC2)
	})
	t.Run("banned", func(t *testing.T) {
		c := code("")
		require.NoError(t, h.Auth.Users().Ban(t.Context(), h.onlyUser().ID, h.Clock.Now().Add(time.Hour)))
		redeem(c, nil).wantKeel(keelC2)
		require.NoError(t, h.Auth.Users().Ban(t.Context(), h.onlyUser().ID, time.Time{}))
	})
	t.Run("race", func(t *testing.T) {
		c := code("")
		require.Equal(t, map[int]int{200: 1, 401: 49}, race(50, func() answer { return redeem(c, nil) }))
	})
	t.Run("deleted", func(t *testing.T) {
		c := code("")
		require.NoError(t, h.Auth.Users().Delete(t.Context(), h.onlyUser().ID))
		redeem(c, nil).wantKeel(keelC2)
	})
}

// TestKeelProvidersList: names keep their case and order, URLs are in lower case.
func TestKeelProvidersList(t *testing.T) {
	names := []struct{ kind, name string }{
		{"google", "google"}, {"facebook", "Facebook"}, {"gitlab", "Gitlab_Provider"}, {"slack", "my_slack_2"}, {"oidc", "oidc"},
	}
	k := auth.Keel{}
	for _, n := range names {
		p := auth.KeelProvider{Type: n.kind, Name: n.name, ClientID: "id"}
		if n.kind == "oidc" {
			p.IssuerURL = "https://issuer.example"
		}
		k.Providers = append(k.Providers, p)
	}
	k.Providers = append(k.Providers, auth.KeelProvider{Type: "google", Name: "Keel_auth", ClientID: "id"})
	d := openKeel(t, k)
	for _, method := range []string{"GET", "POST"} {
		var list []map[string]string
		a := d.send(method, "/providers", nil).want(http.StatusOK, &list)
		require.Equal(t, jsonBody, a.Header.Get("Content-Type"))
		require.Len(t, list, len(names))
		for i, n := range names {
			path := strings.ToLower(n.name)
			require.Equal(t, map[string]string{
				"name": n.name, "type": n.kind, "authorizeUrl": d.url + "/authorize/" + path, "callbackUrl": d.url + "/callback/" + path,
			}, list[i])
		}
		require.True(t, strings.HasPrefix(string(a.Body), `[{"name":"google","type":"google","authorizeUrl":`), "%s", a.Body)
	}
	require.Equal(t, "[]", string(openKeel(t, auth.Keel{}).send("GET", "/providers", nil).Body))

	both := openKeel(t, auth.Keel{}, auth.WithProvider(newIdP("acme")))
	require.Contains(t, string(both.send("GET", "/providers", nil).Body), `"name":"acme","type":"oidc"`)
}

func TestKeelSecretName(t *testing.T) {
	for name, want := range map[string]string{
		"google": "GOOGLE", "google_client": "GOOGLE_CLIENT", "GOOGLE_Client": "GOOGLE_CLIENT", "client_2": "CLIENT_2",
	} {
		require.Equal(t, "AUTH_PROVIDER_SECRET_"+want, auth.KeelProvider{Name: name}.SecretName())
	}
}

func TestKeelProviderSettings(t *testing.T) {
	good := auth.KeelProvider{Type: "oidc", Name: "acme", ClientID: "id", IssuerURL: "https://issuer.example"}
	tests := []struct {
		name   string
		change func(p *auth.KeelProvider)
		want   string
	}{
		{"blank in name", func(p *auth.KeelProvider) { p.Name = "12 34" }, "no name"},
		{"dash in name", func(p *auth.KeelProvider) { p.Name = "Google-Client" }, "no name"},
		{"short name", func(p *auth.KeelProvider) { p.Name = "g" }, "no name"},
		{"no name", func(p *auth.KeelProvider) { p.Name = "" }, "no name"},
		{"type in capitals", func(p *auth.KeelProvider) { p.Type = "Google" }, "none of"},
		{"old type", func(p *auth.KeelProvider) { p.Type = "oauth" }, "none of"},
		{"no client", func(p *auth.KeelProvider) { p.ClientID = "" }, "ClientID"},
		{"no issuer", func(p *auth.KeelProvider) { p.IssuerURL = "" }, "IssuerURL"},
		{"http", func(p *auth.KeelProvider) { p.IssuerURL = "http://issuer.example" }, "https://"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := good
			tt.change(&p)
			_, err := auth.New(auth.WithKeel(auth.Keel{Providers: []auth.KeelProvider{p}}))
			require.ErrorContains(t, err, tt.want)
			require.ErrorContains(t, err, "WithKeel")
		})
	}
	upper := good
	upper.Name = "ACME"
	_, err := auth.New(auth.WithKeel(auth.Keel{Providers: []auth.KeelProvider{good, upper}}))
	require.ErrorContains(t, err, "twice")
	_, err = auth.New(auth.WithKeel(auth.Keel{Providers: []auth.KeelProvider{good}}), auth.WithProvider(newIdP("acme")))
	require.ErrorContains(t, err, "leave it out of one")
	_, err = auth.New(auth.WithKeel(auth.Keel{Claims: map[string]string{"x": ""}}))
	require.ErrorContains(t, err, "Claims")
	_, err = auth.New(auth.WithKeel(auth.Keel{Claims: map[string]string{"a": "team", "b": "team"}}))
	require.ErrorContains(t, err, `"a" and "b" are both kept as "team"`)
}

// TestKeelHooksBehindProviders: an account that a callback makes is announced there, the
// sign-in when its code is redeemed.
func TestKeelHooksBehindProviders(t *testing.T) {
	var order []string
	h := openHarbour(t, func(_ *harbour, k *auth.Keel) { watch(k, &order) })
	code := h.signIn(newSailor(t), "").Get("code")
	require.Equal(t, []string{"created"}, order)
	h.json("/token", fieldsOf{"grant_type": "authorization_code", "code": code}).granted(false)
	require.Equal(t, []string{"created", "authenticated"}, order)
	h.signIn(newSailor(t), "")
	require.Len(t, order, 2)

	failing := openHarbour(t, func(_ *harbour, k *auth.Keel) {
		k.AfterIdentityCreated = func(context.Context, auth.Account, *http.Request) error { return errors.New("the hook says no") }
	})
	resp, body := newSailor(t).do("POST", failing.url+"/authorize/my_oidc")
	require.Equal(t, http.StatusInternalServerError, resp.StatusCode)
	require.Equal(t, "null", body)
	require.Equal(t, 1, failing.users(), "what was stored stays")
	require.NotEmpty(t, failing.signIn(newSailor(t), "").Get("code"))
}

// TestKeelProviderTypes: each type leads to its own provider and back.
func TestKeelProviderTypes(t *testing.T) {
	for kind, c := range map[string]struct {
		authorize, token, issuer, scope string
		pkce                            bool
	}{
		"google":   {"https://accounts.google.com/o/oauth2/v2/auth", "https://oauth2.googleapis.com/token", "https://accounts.google.com", "openid profile email", true},
		"facebook": {"https://www.facebook.com/v22.0/dialog/oauth", "https://graph.facebook.com/v22.0/oauth/access_token", "https://www.facebook.com", "openid email", true},
		"gitlab":   {"https://gitlab.com/oauth/authorize", "https://gitlab.com/oauth/token", "https://gitlab.com", "openid profile email", true},
		"slack":    {"https://slack.com/openid/connect/authorize", "https://slack.com/api/openid.connect.token", "https://slack.com", "openid profile email", false},
	} {
		t.Run(kind, func(t *testing.T) {
			var d *door
			server := providertest.New(providertest.Fixture{
				Authorize: c.authorize, Token: providertest.TokenEndpoint{URL: c.token, Auth: "body"}, Issuer: c.issuer, Lenient: true,
				People: []providertest.Person{{IDToken: map[string]any{"sub": "kel"}}},
			}, providertest.Options{Now: func() time.Time { return d.Clock.Now() }})
			d = openKeel(t, auth.Keel{
				RedirectURL: "https://app.example.com/in", Providers: []auth.KeelProvider{{Type: kind, Name: "mine", ClientID: providertest.ClientID}},
				Secrets: secretsOf(map[string]string{"AUTH_PROVIDER_SECRET_MINE": providertest.ClientSecret}),
			}, auth.WithHTTPClient(server.Client()))
			left := d.send("GET", "/authorize/mine", nil).want(http.StatusFound, nil)
			page, err := url.Parse(left.Header.Get("Location"))
			require.NoError(t, err)
			require.Equal(t, c.scope, page.Query().Get("scope"))
			require.Equal(t, c.pkce, page.Query().Has("code_challenge"))
			back, err := server.Visit(page.String(), 0)
			require.NoError(t, err)
			landed := d.send("GET", "/callback/mine?"+back.Encode(), nil, header{"Cookie", strings.SplitN(left.Header.Get("Set-Cookie"), ";", 2)[0]})
			require.Contains(t, landed.Header.Get("Location"), "https://app.example.com/in?code=")
			require.Empty(t, server.Problems())
			require.Equal(t, c.issuer, d.onlyUser().Identities[0].Issuer)
		})
	}
}
