package auth_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/truekeel/auth"
	"github.com/truekeel/auth/fault"
	"github.com/truekeel/auth/limit"
	"github.com/truekeel/auth/providers"
	"github.com/truekeel/auth/store"
)

func TestProviderImplicit(t *testing.T) {
	w := openTown(t)
	b := w.browser()
	landed := b.in(w.acme, w.acme.someone("1", "Ada@Example.com", true))
	require.Equal(t, w.srv.URL, landed.Scheme+"://"+landed.Host)
	require.Empty(t, landed.RawQuery)
	v := b.wantIn(landed)
	keys := []string{"access_token", "expires_at", "expires_in", "provider_refresh_token", "provider_token", "refresh_token", "sb", "token_type"}
	require.Len(t, v, len(keys))
	for _, k := range keys {
		require.Contains(t, v, k)
	}
	require.Equal(t, "token-of-1", v.Get("provider_token"))
	require.Equal(t, "refresh-of-1", v.Get("provider_refresh_token"))
	require.Equal(t, "bearer", v.Get("token_type"))

	u := w.send("GET", "/user", nil, bearer(v.Get("access_token"))).want(http.StatusOK, nil).object()
	require.Equal(t, "ada@example.com", u["email"])
	require.NotEmpty(t, u["email_confirmed_at"])
	require.Equal(t, map[string]any{"provider": "acme", "providers": []any{"acme"}}, u["app_metadata"])
	meta := u["user_metadata"].(map[string]any)
	require.Equal(t, "Name of 1", meta["name"])
	require.Equal(t, true, meta["email_verified"])
	ids := u["identities"].([]any)
	require.Len(t, ids, 1)
	require.Equal(t, "1", ids[0].(map[string]any)["id"])
	require.NotContains(t, fmt.Sprint(u), "token-of-1", "a provider's tokens aren't kept")
	require.Equal(t, census{1, 1, 1}, w.count())

	// A later login finds the account by its key, and leaves the account's address.
	w.Clock.Advance(time.Minute)
	other := w.acme.someone("1", "new@example.com", true)
	other.Claims["nick"] = "A"
	b.wantIn(b.in(w.acme, other))
	again := w.user("ada@example.com")
	require.Equal(t, u["id"], again.ID.String())
	require.Equal(t, "A", again.UserMetadata.String("nick"))
	i := w.identities(again.ID)[0]
	require.Equal(t, "new@example.com", i.Email)
	require.True(t, i.LastSignInAt.After(i.CreatedAt))
	require.Equal(t, census{1, 1, 2}, w.count())
}

func TestProviderPKCE(t *testing.T) {
	w := openTown(t)
	b := w.browser()
	verifier, q := pkcePair()
	q.Set("provider", "ACME")
	q.Set("redirect_to", w.srv.URL+"/done?keep=1")
	state := b.leave(q).Query().Get("state")
	w.acme.knows("c", w.acme.someone("1", "ada@example.com", true))
	landed := b.comeBack(url.Values{"state": {state}, "code": {"c"}})
	require.Equal(t, "/done", landed.Path)
	require.Equal(t, "1", landed.Query().Get("keep"))
	require.Empty(t, landed.Fragment)
	code := landed.Query().Get("code")
	require.Len(t, landed.Query(), 2)
	require.Equal(t, census{1, 1, 0}, w.count())

	w.post("/token?grant_type=pkce", map[string]any{"auth_code": code, "code_verifier": strings.Repeat("x", 43)}).wantFault(http.StatusBadRequest, "bad_code_verifier")
	redeemed := w.post("/token?grant_type=pkce", map[string]any{"auth_code": code, "code_verifier": verifier}).want(http.StatusOK, nil)
	golden(t, "grant_provider", redeemed.Body)
	body := redeemed.object()
	require.Equal(t, "token-of-1", body["provider_token"])
	require.Equal(t, "refresh-of-1", body["provider_refresh_token"])
	require.Equal(t, "ada@example.com", body["user"].(map[string]any)["email"])
	w.post("/token?grant_type=pkce", map[string]any{"auth_code": code, "code_verifier": verifier}).wantFault(http.StatusNotFound, "flow_state_not_found")

	// Refreshes don't give the provider's tokens again.
	body = w.post("/token?grant_type=refresh_token", map[string]any{"refresh_token": body["refresh_token"]}).want(http.StatusOK, nil).object()
	require.NotContains(t, body, "provider_token")
}

func TestProviderCodeRedeemedOnce(t *testing.T) {
	w := openTown(t)
	b := w.browser()
	verifier, q := pkcePair()
	q.Set("provider", "acme")
	state := b.leave(q).Query().Get("state")
	w.acme.knows("c", w.acme.someone("1", "ada@example.com", true))
	code := b.comeBack(url.Values{"state": {state}, "code": {"c"}}).Query().Get("code")
	var won sync.Map
	var wg sync.WaitGroup
	for n := range 8 {
		wg.Go(func() {
			a := w.post("/token?grant_type=pkce", map[string]any{"auth_code": code, "code_verifier": verifier})
			if a.Status == http.StatusOK {
				won.Store(n, true)
				return
			}
			a.wantFault(http.StatusNotFound, "flow_state_not_found")
		})
	}
	wg.Wait()
	winners := 0
	won.Range(func(any, any) bool { winners++; return true })
	require.Equal(t, 1, winners)
	require.Equal(t, census{1, 1, 1}, w.count())
}

// TestProviderHearsNothingOfOurs: what we are asked goes to the provider only as far as
// it concerns the provider.
func TestProviderHearsNothingOfOurs(t *testing.T) {
	w := openTown(t)
	w.User("root@example.com")
	b := w.browser()
	q := url.Values{
		"provider": {"acme"}, "scopes": {"calendar,mail drive"}, "redirect_to": {w.srv.URL}, "skip_http_redirect": {"true"}, "apikey": {"k"}, "sb_flow_id": {"f"},
		"client_id": {"x"}, "Client_Secret": {"x"}, "redirect_uri": {"x"}, "response_type": {"x"}, "STATE": {"x"}, "nonce": {"x"}, "code_verifier": {"x"}, "request_uri": {"x"},
		"prompt": {"consent"}, "login_hint": {"ada"}, "hd": {"example.com"},
	}
	b.leave(q)
	sent := w.acme.last()
	require.Equal(t, url.Values{"prompt": {"consent"}, "login_hint": {"ada"}, "hd": {"example.com"}}, sent.Params)
	require.Equal(t, []string{"calendar", "mail", "drive"}, sent.Scopes)
	require.Equal(t, w.url+"/callback", sent.RedirectURL)
	for _, secret := range []string{sent.State, sent.Nonce, sent.Verifier} {
		require.GreaterOrEqual(t, len(secret), 43)
	}
	require.NotEqual(t, sent.Nonce, sent.Verifier)
	b.leave(q)
	require.NotEqual(t, sent.State, w.acme.last().State)
}

func TestProviderAuthorizeRefuses(t *testing.T) {
	w := openTown(t)
	for query, text := range map[string]string{
		"":                "Provider  could not be found",
		"provider=nobody": "Unsupported provider: Provider nobody could not be found",
		"provider=google": "Unsupported provider: provider is not enabled",
		"provider=acme&code_challenge=" + strings.Repeat("a", 43):                              "PKCE flow requires",
		"provider=acme&code_challenge=abc&code_challenge_method=s256":                          "between 43 and 128",
		"provider=acme&code_challenge_method=md5&code_challenge=" + strings.Repeat("a", 43):    "Invalid code_challenge_method",
		"provider=acme&code_challenge_method=s256&code_challenge=" + strings.Repeat("%21", 43): "alphanumeric",
	} {
		a := w.send("GET", "/authorize?"+query, nil).wantFault(http.StatusBadRequest, "validation_failed")
		require.Contains(t, string(a.Body), text, query)
	}
	w.send("GET", "/authorize?provider=acme&invite_token=nonsense", nil).wantFault(http.StatusNotFound, "user_not_found")
	w.send("POST", "/v1/authorize?provider=acme", nil).wantFault(http.StatusMethodNotAllowed, "method_not_allowed")
	w.send("HEAD", "/callback", nil).want(http.StatusMethodNotAllowed, nil)
	w.acme.down = &providers.Error{Provider: "acme", Kind: providers.ErrUnreachable}
	w.send("GET", "/authorize?provider=acme", nil).wantFault(http.StatusServiceUnavailable, "service_unavailable")
	w.send("GET", "/authorize?provider=umbrella", nil).want(http.StatusFound, nil)

	// One without a secret takes id tokens at most.
	d := open(t, auth.WithProvider(providers.SlackOIDC("id", "")))
	a := d.send("GET", "/authorize?provider=slack_oidc", nil).wantFault(http.StatusBadRequest, "validation_failed")
	require.Contains(t, string(a.Body), "Unsupported provider: missing OAuth secret")
}

func TestProviderCookie(t *testing.T) {
	w := openTown(t)
	cookies := func(p string) *http.Cookie {
		resp := w.browser().do("GET", "/authorize?provider="+p, nil)
		require.Len(t, resp.Cookies(), 1)
		return resp.Cookies()[0]
	}
	c := cookies("acme")
	require.True(t, c.HttpOnly)
	require.False(t, c.Secure, "the door is http on a loopback host")
	require.Equal(t, http.SameSiteLaxMode, c.SameSite)
	require.Equal(t, "/auth", c.Path)
	require.Equal(t, 300, c.MaxAge)
	w.umb.post = true
	c = cookies("umbrella")
	require.True(t, c.Secure)
	require.Equal(t, http.SameSiteNoneMode, c.SameSite)

	public := openTown(t, auth.WithSiteURL("https://app.example.com"))
	resp := public.browser().do("GET", "/authorize?provider=acme", nil)
	require.True(t, resp.Cookies()[0].Secure)
	require.Equal(t, "https://app.example.com/auth/callback", public.acme.last().RedirectURL)
}

func TestProviderFormPost(t *testing.T) {
	w := openTown(t)
	w.acme.post = true
	b := w.browser()
	resp := b.do("GET", "/authorize?provider=acme", nil)
	cookie := resp.Cookies()[0]
	to, err := resp.Location()
	require.NoError(t, err)
	w.acme.knows("c", w.acme.someone("1", "ada@example.com", true))
	form := url.Values{"state": {to.Query().Get("state")}, "code": {"c"}}
	// The jar keeps a Secure cookie from a door without TLS; browsers don't on loopback hosts.
	resp = b.do("POST", "/callback", form, header{"Cookie", cookie.Name + "=" + cookie.Value}, header{"Origin", "https://acme.example"})
	require.Equal(t, http.StatusSeeOther, resp.StatusCode)
	landed, err := resp.Location()
	require.NoError(t, err)
	b.wantIn(landed)
	cleared := resp.Cookies()[0]
	require.Equal(t, cookie.Name, cleared.Name)
	require.Negative(t, cleared.MaxAge)
	require.Equal(t, http.SameSiteNoneMode, cleared.SameSite)
}

// TestProviderBadReturns: whoever comes back with anything but what he was sent away
// with stays outside, and leaves no trace.
func TestProviderBadReturns(t *testing.T) {
	w := openTown(t)
	begin := func(b *browser, p *idp) string { return b.leave(url.Values{"provider": {p.name}}).Query().Get("state") }
	ada := w.acme.someone("1", "ada@example.com", true)
	first := w.browser()
	state := begin(first, w.acme)
	w.acme.knows("used", w.acme.someone("0", "first@example.com", true))
	first.wantIn(first.comeBack(url.Values{"state": {state}, "code": {"used"}}))
	for name, f := range map[string]func(t *testing.T, b *browser){
		"no state": func(_ *testing.T, b *browser) {
			b.wantLost(b.comeBack(url.Values{"code": {"c"}}), "bad_oauth_callback")
		},
		"forged state": func(_ *testing.T, b *browser) {
			begin(b, w.acme)
			b.wantLost(b.comeBack(url.Values{"state": {strings.Repeat("A", 43)}, "code": {"c"}}), "bad_oauth_state")
		},
		"state of another shape": func(_ *testing.T, b *browser) {
			for _, s := range []string{"x", "00000000-0000-4000-8000-000000000000", strings.Repeat("A", 5000), "a\x00b"} {
				b.wantLost(b.comeBack(url.Values{"state": {s}, "code": {"c"}}), "bad_oauth_state")
			}
		},
		"state cut, padded, changed in case": func(_ *testing.T, b *browser) {
			state := begin(b, w.acme)
			for _, s := range []string{state[:42], state + "A", strings.ToUpper(state), state[1:] + state[:1]} {
				if s != state {
					b.wantLost(b.comeBack(url.Values{"state": {s}, "code": {"c"}}), "bad_oauth_state")
				}
			}
		},
		"two states": func(_ *testing.T, b *browser) {
			s := begin(b, w.acme)
			b.wantLost(b.comeBack(url.Values{"state": {s, s}, "code": {"c"}}), "bad_oauth_state")
		},
		"state replayed after an error": func(_ *testing.T, b *browser) {
			s := begin(b, w.acme)
			b.wantOut(b.comeBack(url.Values{"state": {s}, "error": {"access_denied"}, "error_description": {"no <b>thanks</b>"}}), "access_denied", "")
			w.acme.knows("late", ada)
			b.wantLost(b.comeBack(url.Values{"state": {s}, "code": {"late"}}), "bad_oauth_state")
		},
		"state expired": func(_ *testing.T, b *browser) {
			s := begin(b, w.acme)
			w.Clock.Advance(5 * time.Minute)
			w.acme.knows("c", ada)
			b.wantLost(b.comeBack(url.Values{"state": {s}, "code": {"c"}}), "bad_oauth_state")
		},
		"begun with one provider, finished with another's code": func(_ *testing.T, b *browser) {
			s := begin(b, w.umb)
			w.acme.knows("acmes", ada)
			b.wantOut(b.comeBack(url.Values{"state": {s}, "code": {"acmes"}}), "server_error", "unexpected_failure")
		},
		"another browser": func(_ *testing.T, b *browser) {
			s := begin(b, w.acme)
			w.acme.knows("c", ada)
			thief := w.browser()
			thief.wantLost(thief.comeBack(url.Values{"state": {s}, "code": {"c"}}), "bad_oauth_state")
			begin(thief, w.acme) // has a cookie of its own
			thief.wantLost(thief.comeBack(url.Values{"state": {s}, "code": {"c"}}), "bad_oauth_state")
		},
		"another browser with PKCE": func(_ *testing.T, b *browser) {
			_, q := pkcePair()
			q.Set("provider", "acme")
			q.Set("skip_http_redirect", "true")
			s := b.leave(q).Query().Get("state")
			thief := w.browser()
			thief.wantLost(thief.comeBack(url.Values{"state": {s}, "code": {"c"}}), "bad_oauth_state")
		},
		"no code": func(_ *testing.T, b *browser) {
			b.wantOut(b.comeBack(url.Values{"state": {begin(b, w.acme)}}), "invalid_request", "bad_oauth_callback")
		},
		"a state used twice": func(_ *testing.T, _ *browser) {
			w.acme.knows("fresh", ada)
			first.wantLost(first.comeBack(url.Values{"state": {state}, "code": {"fresh"}}), "bad_oauth_state")
		},
		"a code used twice": func(_ *testing.T, b *browser) {
			b.wantOut(b.comeBack(url.Values{"state": {begin(b, w.acme)}, "code": {"used"}}), "server_error", "unexpected_failure")
		},
		"an error without a name": func(_ *testing.T, b *browser) {
			b.wantOut(b.comeBack(url.Values{"state": {begin(b, w.acme)}, "error": {""}}), "access_denied", "")
		},
		"the form of a GET": func(t *testing.T, b *browser) {
			s := begin(b, w.acme)
			resp := b.do("POST", "/callback?state="+s+"&code=c", url.Values{})
			require.Equal(t, http.StatusSeeOther, resp.StatusCode)
			to, _ := resp.Location()
			b.wantLost(to, "bad_oauth_callback")
		},
	} {
		t.Run(name, func(t *testing.T) {
			w.unchanged(func() { f(t, w.browser()) })
		})
	}
}

// TestProviderTrouble: what goes wrong at the provider is told, and leaves no trace.
func TestProviderTrouble(t *testing.T) {
	w := openTown(t)
	b := w.browser()
	for kind, want := range map[error][2]string{
		providers.ErrExchange: {"server_error", "unexpected_failure"}, providers.ErrProfile: {"server_error", "unexpected_failure"},
		providers.ErrNoSubject: {"server_error", "unexpected_failure"}, providers.ErrBadIDToken: {"server_error", "unexpected_failure"},
		providers.ErrAudience: {"server_error", "unexpected_failure"}, providers.ErrNonceMismatch: {"server_error", "unexpected_failure"},
		providers.ErrUnreachable: {"temporarily_unavailable", "service_unavailable"}, context.DeadlineExceeded: {"server_error", "unexpected_failure"},
	} {
		w.unchanged(func() {
			state := b.leave(url.Values{"provider": {"acme"}}).Query().Get("state")
			w.acme.failsWith("c", kind)
			b.wantOut(b.comeBack(url.Values{"state": {state}, "code": {"c"}}), want[0], want[1])
		})
	}
	bad := w.acme.someone("", "ada@example.com", true)
	w.unchanged(func() { b.wantOut(b.in(w.acme, bad), "server_error", "unexpected_failure") })
	bad.Subject = "  "
	w.unchanged(func() { b.wantOut(b.in(w.acme, bad), "server_error", "unexpected_failure") })
	bad.Subject, bad.Issuer = "1", ""
	w.unchanged(func() { b.wantOut(b.in(w.acme, bad), "server_error", "unexpected_failure") })
	w.unchanged(func() {
		landed := b.in(w.acme, w.acme.someone("1", "", false))
		b.wantOut(landed, "access_denied", "provider_email_needs_verification")
		require.Equal(t, "Error getting user email from external provider", landed.Query().Get("error_description"))
	})
}

func TestProviderWithoutEmail(t *testing.T) {
	w := openTown(t)
	w.acme.optional = true
	b := w.browser()
	v := b.wantIn(b.in(w.acme, w.acme.someone("1", "", false)))
	u := w.send("GET", "/user", nil, bearer(v.Get("access_token"))).want(http.StatusOK, nil).object()
	require.Empty(t, u["email"])
	require.NotContains(t, u, "email_confirmed_at")
	b.wantIn(b.in(w.acme, w.acme.someone("1", "", false)))
	require.Equal(t, census{1, 1, 2}, w.count())
	// An address that turns up later isn't taken over.
	b.wantIn(b.in(w.acme, w.acme.someone("1", "ada@example.com", true)))
	_, err := w.store.UserByEmail(t.Context(), "authenticated", "ada@example.com")
	require.ErrorIs(t, err, store.ErrNotFound)
}

// TestProviderStateOnce: of racing callbacks with one state, one comes in.
func TestProviderStateOnce(t *testing.T) {
	w := openTown(t)
	b := w.browser()
	state := b.leave(url.Values{"provider": {"acme"}}).Query().Get("state")
	for n := range 10 {
		w.acme.knows(fmt.Sprint("c", n), w.acme.someone("1", "ada@example.com", true))
	}
	var mu sync.Mutex
	in := 0
	var wg sync.WaitGroup
	for n := range 10 {
		wg.Go(func() {
			landed := b.comeBack(url.Values{"state": {state}, "code": {fmt.Sprint("c", n)}})
			mu.Lock()
			defer mu.Unlock()
			if fragmentOf(landed).Has("access_token") {
				in++
			}
		})
	}
	wg.Wait()
	require.Equal(t, 1, in)
	require.Equal(t, census{1, 1, 1}, w.count())
}

// meeting is a store in which two callbacks read their state before either goes on.
type meeting struct {
	store.Store
	both sync.WaitGroup
}

func (m *meeting) FlowStateByState(ctx context.Context, hash string) (store.FlowState, error) {
	row, err := m.Store.FlowStateByState(ctx, hash)
	m.both.Done()
	m.both.Wait()
	return row, err
}

// TestProviderStateTaken: of two who have both found a state, one takes it.
func TestProviderStateTaken(t *testing.T) {
	m := &meeting{Store: tap(t)}
	m.both.Add(2)
	w := &town{store: m, acme: newIdP("acme"), umb: newIdP("umbrella")}
	w.door = open(t, auth.WithStore(m), auth.WithProvider(w.acme, w.umb))
	b := w.browser()
	state := b.leave(url.Values{"provider": {"acme"}}).Query().Get("state")
	var landed [2]*url.URL
	var wg sync.WaitGroup
	for n := range landed {
		code := fmt.Sprint("c", n)
		w.acme.knows(code, w.acme.someone("1", "ada@example.com", true))
		wg.Go(func() { landed[n] = b.comeBack(url.Values{"state": {state}, "code": {code}}) })
	}
	wg.Wait()
	in := 0
	for _, u := range landed {
		if fragmentOf(u).Has("access_token") {
			in++
			continue
		}
		b.wantLost(u, "bad_oauth_state")
	}
	require.Equal(t, 1, in)
}

// TestProviderRaces: one person comes in by ten browsers at once, by two providers. He
// has one account, and nobody sees an error.
func TestProviderRaces(t *testing.T) {
	w := openTown(t)
	const n = 10
	var wg sync.WaitGroup
	landed := make([]*url.URL, n)
	browsers := make([]*browser, n)
	for i := range n {
		browsers[i] = w.browser()
		p := w.acme
		if i%2 == 1 {
			p = w.umb
		}
		wg.Go(func() { landed[i] = browsers[i].in(p, p.someone("1", "ada@example.com", true)) })
	}
	wg.Wait()
	for i := range n {
		browsers[i].wantIn(landed[i])
	}
	require.Equal(t, census{1, 2, n}, w.count())
}

func TestProviderRedirects(t *testing.T) {
	w := openTown(t, auth.WithSiteURL("https://app.example.com"), auth.WithRedirectURLs("com.example.app://done", "https://other.example.org/*"))
	for asked, want := range map[string]string{
		"https://app.example.com/deep?x=1": "https://app.example.com/deep",
		"com.example.app://done":           "com.example.app://done",
		"https://other.example.org/cb":     "https://other.example.org/cb",
		"https://evil.example.net":         "https://app.example.com",
		"javascript:alert(1)":              "https://app.example.com",
		"//evil.example.net":               "https://app.example.com",
		"":                                 "https://app.example.com",
	} {
		resp := w.browser().do("GET", "/authorize?"+url.Values{"provider": {"acme"}, "redirect_to": {asked}}.Encode(), nil)
		cookie, state := resp.Cookies()[0], w.acme.last().State
		// The jar keeps a Secure cookie from a door without TLS.
		resp = w.browser().do("GET", "/callback?error=access_denied&state="+state, nil, header{"Cookie", cookie.Name + "=" + cookie.Value})
		got, err := resp.Location()
		require.NoError(t, err)
		require.True(t, strings.HasPrefix(got.String(), want), "asked for %q, ended at %s", asked, got)
		require.Equal(t, "access_denied", got.Query().Get("error"))
	}
	// A lost way back ends at the site.
	resp := w.browser().do("GET", "/callback?state="+strings.Repeat("A", 43), nil)
	require.Equal(t, http.StatusSeeOther, resp.StatusCode)
	require.Equal(t, "https://app.example.com?error=invalid_request&error_code=bad_oauth_state&error_description=OAuth+state+not+found+or+expired", resp.Header.Get("Location"))
}

func TestProviderLanding(t *testing.T) {
	w := openTown(t, auth.WithProviderLanding("https://elsewhere.example.org/in"))
	b := w.browser()
	landed := b.in(w.acme, w.acme.someone("1", "ada@example.com", true))
	require.Equal(t, "elsewhere.example.org", landed.Host)
	b.wantIn(landed)
}

func TestProviderPolicy(t *testing.T) {
	t.Run("sign-up off", func(t *testing.T) {
		w := openTown(t, auth.WithSignUp(false))
		ada := w.User("ada@example.com")
		b := w.browser()
		w.unchanged(func() {
			landed := b.in(w.acme, w.acme.someone("2", "eve@example.com", true))
			b.wantOut(landed, "access_denied", "signup_disabled")
			require.Equal(t, "Signups not allowed for this instance", landed.Query().Get("error_description"))
		})
		b.wantIn(b.in(w.acme, w.acme.someone("1", "ada@example.com", true)))
		require.Len(t, w.identities(ada.User.ID), 2)
	})
	t.Run("banned", func(t *testing.T) {
		w := openTown(t)
		b := w.browser()
		b.wantIn(b.in(w.acme, w.acme.someone("1", "ada@example.com", true)))
		until := w.Clock.Now().Add(time.Hour)
		_, err := w.Auth.Users().Update(t.Context(), w.user("ada@example.com").ID, auth.Change{BannedUntil: &until})
		require.NoError(t, err)
		w.unchanged(func() {
			b.wantOut(b.in(w.acme, w.acme.someone("1", "ada@example.com", true)), "access_denied", "user_banned")
		})
		w.unchanged(func() {
			b.wantOut(b.in(w.umb, w.umb.someone("1", "ada@example.com", true)), "access_denied", "user_banned")
		})
		_, q := pkcePair()
		q.Set("provider", "umbrella")
		w.umb.knows("c", w.umb.someone("1", "ada@example.com", true))
		w.unchanged(func() {
			state := b.leave(q).Query().Get("state")
			b.wantOut(b.comeBack(url.Values{"state": {state}, "code": {"c"}}), "access_denied", "user_banned")
		})
	})
	t.Run("how many mails are sent", func(t *testing.T) {
		w := openTown(t, auth.WithLimits(auth.Limits{Mails: limit.Window(1, time.Hour)}))
		b := w.browser()
		b.wantOut(b.in(w.acme, w.acme.someone("1", "ada@example.com", false)), "access_denied", "provider_email_needs_verification")
		w.unchanged(func() {
			b.wantOut(b.in(w.acme, w.acme.someone("2", "bob@example.com", false)), "server_error", "over_email_send_rate_limit")
		})
		b.wantIn(b.in(w.acme, w.acme.someone("3", "carol@example.com", true)))
	})
	t.Run("autoconfirm proves no address", func(t *testing.T) {
		w := openTown(t, auth.WithAutoConfirm(true))
		w.User("ada@example.com")
		b := w.browser()
		w.unchanged(func() {
			b.wantOut(b.in(w.acme, w.acme.someone("1", "ada@example.com", false)), "access_denied", "provider_email_needs_verification")
		})
		b.wantOut(b.in(w.acme, w.acme.someone("2", "eve@example.com", false)), "access_denied", "provider_email_needs_verification")
		require.Zero(t, w.user("eve@example.com").EmailConfirmedAt)
	})
	t.Run("a hook refuses, before anything is written", func(t *testing.T) {
		asked := 0
		w := openTown(t, auth.WithHooks(auth.Hooks{BeforeUserCreated: func(_ context.Context, u auth.Account) error {
			asked++
			if u.Email != "eve@example.com" {
				return errors.New("asked about " + u.Email)
			}
			if u.UserMetadata.String("name") == "" || u.AppMetadata.String("provider") != "acme" {
				return errors.New("asked without the claims")
			}
			return fault.New(fault.ValidationFailed, "Not you")
		}}))
		b := w.browser()
		w.unchanged(func() {
			landed := b.in(w.acme, w.acme.someone("2", "eve@example.com", true))
			b.wantOut(landed, "invalid_request", "validation_failed")
			require.Equal(t, "Not you", landed.Query().Get("error_description"))
		})
		require.Equal(t, 1, asked)
	})
	t.Run("a hook is told of the new, once", func(t *testing.T) {
		var told sync.Map
		w := openTown(t, auth.WithHooks(auth.Hooks{AfterUserCreated: func(_ context.Context, id string, u auth.Account) error {
			told.Store(id, u.Email)
			return nil
		}}))
		b := w.browser()
		b.wantIn(b.in(w.acme, w.acme.someone("1", "ada@example.com", true)))
		b.wantIn(b.in(w.acme, w.acme.someone("1", "ada@example.com", true)))
		w.Deliver()
		n := 0
		told.Range(func(_, email any) bool { n++; require.Equal(t, "ada@example.com", email); return true })
		require.Equal(t, 1, n)
	})
}

func TestProviderSettings(t *testing.T) {
	w := openTown(t)
	external := w.send("GET", "/settings", nil).want(http.StatusOK, nil).object()["external"].(map[string]any)
	require.Equal(t, true, external["acme"])
	require.Equal(t, true, external["umbrella"])
	require.Equal(t, false, external["google"])
}
