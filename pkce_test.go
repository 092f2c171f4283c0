package auth_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/truekeel/auth"
	"github.com/truekeel/auth/store"
)

// exchange redeems an authorization code.
func (d *door) exchange(code, verifier string) answer {
	d.t.Helper()
	return d.post("/token?grant_type=pkce", map[string]any{"auth_code": code, "code_verifier": verifier})
}

// codeOf presses a PKCE link and gives the authorization code that it leads to.
func (d *door) codeOf(link string) string {
	d.t.Helper()
	u, v := d.press(link).landing()
	require.Empty(d.t, v)
	code := u.Query().Get("code")
	require.Regexp(d.t, `^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`, code)
	require.Len(d.t, u.Query(), 1)
	return code
}

// pkceAsks are the requests that take a challenge, with the method that the session then
// has; each is about ada@example.com.
var pkceAsks = map[string]struct {
	method string
	ask    func(d *door, body map[string]any) answer
}{
	"signup": {"email/signup", func(d *door, body map[string]any) answer {
		body["password"] = goodPassword
		return d.post("/signup", body)
	}},
	"resend": {"email/signup", func(d *door, body map[string]any) answer {
		d.post("/signup", map[string]any{"email": "ada@example.com", "password": goodPassword}).want(http.StatusOK, nil)
		d.pass()
		body["type"] = "signup"
		return d.post("/resend", body)
	}},
	"otp":       {"magiclink", func(d *door, body map[string]any) answer { return d.post("/otp", body) }},
	"magiclink": {"magiclink", func(d *door, body map[string]any) answer { return d.post("/magiclink", body) }},
	"recover": {"recovery", func(d *door, body map[string]any) answer {
		d.confirmed("ada@example.com")
		return d.post("/recover", body)
	}},
}

func TestPKCEEveryFlowAndMethod(t *testing.T) {
	sequential(t)
	for name, c := range pkceAsks {
		for method, value := range map[string]string{"S256": challenge(verifier), "s256": challenge(verifier), "plain": verifier, "PLAIN": verifier} {
			t.Run(name+" "+method, func(t *testing.T) {
				d := open(t)
				c.ask(d, map[string]any{"email": "ada@example.com", "code_challenge": value, "code_challenge_method": method}).want(http.StatusOK, nil)
				link := d.LastMail("ada@example.com").Link()
				require.True(t, strings.HasPrefix(linkParams(t, link).Get("token"), "pkce_"))
				code := d.codeOf(link)
				var got tokenAnswer
				a := d.exchange(code, verifier).want(http.StatusOK, &got)
				require.Equal(t, "no-store", a.Header.Get("Cache-Control"))
				require.Equal(t, c.method, methodOf(t, got.AccessToken))
				d.send(http.MethodGet, "/user", nil, bearer(got.AccessToken)).want(http.StatusOK, nil)
				d.exchange(code, verifier).wantFault(http.StatusNotFound, "flow_state_not_found")
				d.press(link).landing()
			})
		}
	}
}

// A bad challenge is refused before anybody is looked up.
func TestPKCEBadChallenges(t *testing.T) {
	d, calls := openCounted(t)
	in := d.signUp("ada@example.com")
	d.pass()
	for _, c := range []struct{ challenge, method, text string }{
		{challenge(verifier), "", "PKCE flow requires code_challenge_method and code_challenge"},
		{"", "s256", "PKCE flow requires code_challenge_method and code_challenge"},
		{challenge(verifier), "s512", "Invalid code_challenge_method"},
		{challenge(verifier), "none", "Invalid code_challenge_method"},
		{strings.Repeat("a", 42), "s256", "code challenge has to be between 43 and 128 characters"},
		{strings.Repeat("a", 129), "plain", "code challenge has to be between 43 and 128 characters"},
		{strings.Repeat("a", 42) + "+", "s256", "code challenge can only contain alphanumeric characters, hyphens, periods, underscores and tildes"},
		{strings.Repeat("a", 43) + "=", "s256", "code challenge can only contain alphanumeric characters, hyphens, periods, underscores and tildes"},
		{strings.Repeat("ä", 43), "plain", "code challenge can only contain alphanumeric characters, hyphens, periods, underscores and tildes"},
	} {
		for _, path := range []string{"/signup", "/otp", "/magiclink", "/recover", "/resend"} {
			for _, email := range []string{"ada@example.com", "nobody@example.com"} {
				calls.taken()
				a := d.post(path, map[string]any{
					"email": email, "password": goodPassword, "type": "signup", "code_challenge": c.challenge, "code_challenge_method": c.method,
				}).wantFault(http.StatusBadRequest, "validation_failed")
				require.Equal(t, c.text, a.object()["msg"])
				require.Zero(t, calls.total())
			}
		}
		a := d.send(http.MethodPut, "/user", map[string]any{"email": "new@example.com", "code_challenge": c.challenge, "code_challenge_method": c.method},
			bearer(in.AccessToken)).wantFault(http.StatusBadRequest, "validation_failed")
		require.Equal(t, c.text, a.object()["msg"])
	}
}

// recovering gives a door and the PKCE link of a recovery.
func recovering(t *testing.T, body map[string]any, opts ...auth.Option) (*door, string) {
	t.Helper()
	d := open(t, opts...)
	d.confirmed("ada@example.com")
	body["email"] = "ada@example.com"
	d.post("/recover", body).want(http.StatusOK, nil)
	return d, d.LastMail("ada@example.com").Link()
}

func TestPKCEWrongVerifierConsumesNothing(t *testing.T) {
	for _, plain := range []bool{false, true} {
		body := withChallenge(map[string]any{})
		if plain {
			body = map[string]any{"code_challenge": verifier, "code_challenge_method": "plain"}
		}
		d, link := recovering(t, body)
		code := d.codeOf(link)
		for _, wrong := range []string{verifier + "x", strings.ToLower(verifier), challenge(verifier), strings.Repeat("a", 43), "x", verifier[:42]} {
			a := d.exchange(code, wrong).wantFault(http.StatusBadRequest, "bad_code_verifier")
			require.Equal(t, "code challenge does not match previously saved code verifier", a.object()["msg"])
		}
		// A flow can't be downgraded to one without a proof.
		for _, none := range []string{
			`{"auth_code":"` + code + `"}`, `{"auth_code":"` + code + `","code_verifier":""}`, `{"auth_code":"` + code + `","code_verifier":null}`,
			`{"code_verifier":"` + verifier + `"}`, `{}`,
		} {
			a := d.post("/token?grant_type=pkce", none).wantFault(http.StatusBadRequest, "validation_failed")
			require.Equal(t, "invalid request: both auth code and code verifier should be non-empty", a.object()["msg"])
		}
		d.exchange(code, verifier).want(http.StatusOK, nil)
	}
}

// The challenge itself, seen in a request's log, is no verifier of an S256 flow.
func TestPKCEUnknownCodes(t *testing.T) {
	d := open(t)
	for _, code := range []string{"x", "00000000-0000-4000-8000-000000000000", strings.Repeat("a", 64<<10), "' OR 1=1 --"} {
		a := d.exchange(code, verifier).wantFault(http.StatusNotFound, "flow_state_not_found")
		require.Equal(t, "invalid flow state, no valid flow state found", a.object()["msg"])
	}
}

// The code's life is measured from the use of the link, not from the request.
func TestPKCELifeFromTheUseOfTheLink(t *testing.T) {
	d, link := recovering(t, withChallenge(map[string]any{}))
	d.Clock.Advance(59 * time.Minute)
	code := d.codeOf(link)
	d.Clock.Advance(5*time.Minute - time.Second)
	d.exchange(code, verifier).want(http.StatusOK, nil)

	d.post("/recover", withChallenge(map[string]any{"email": "ada@example.com"})).want(http.StatusOK, nil)
	code = d.codeOf(d.LastMail("ada@example.com").Link())
	d.Clock.Advance(5 * time.Minute)
	a := d.exchange(code, verifier).wantFault(http.StatusUnprocessableEntity, "flow_state_expired")
	require.Equal(t, "invalid flow state, flow state has expired", a.object()["msg"])
}

func TestPKCEOneSessionOfFiftyRedemptions(t *testing.T) {
	d, link := recovering(t, withChallenge(map[string]any{}))
	code := d.codeOf(link)
	won := inParallel(t, 50, 50, func() bool {
		a := d.exchange(code, verifier)
		if a.Status != http.StatusOK {
			a.wantFault(http.StatusNotFound, "flow_state_not_found")
		}
		return a.Status == http.StatusOK
	})
	require.Equal(t, 1, won)
}

// Neither a PKCE link without its prefix is good, which would give tokens to whoever
// holds the mail, nor a plain link with it.
func TestPKCEPrefixIsPartOfTheLink(t *testing.T) {
	d, link := recovering(t, withChallenge(map[string]any{}))
	token := linkParams(t, link).Get("token")
	d.submit(url.Values{"type": {"recovery"}, "token": {strings.TrimPrefix(token, "pkce_")}}).landsWithLinkError()
	d.byHash("recovery", strings.TrimPrefix(token, "pkce_")).wantLinkError()
	d.codeOf(link)

	d.pass()
	d.post("/recover", map[string]any{"email": "ada@example.com"}).want(http.StatusOK, nil)
	plain := d.tokenOf("ada@example.com")
	d.byHash("recovery", "pkce_"+plain).wantLinkError()
	d.byHash("recovery", plain).want(http.StatusOK, nil)
}

// The application's own page posts the token; then there is a session at once.
func TestPKCETokenHash(t *testing.T) {
	d, link := recovering(t, withChallenge(map[string]any{}))
	var got tokenAnswer
	d.byHash("email", linkParams(t, link).Get("token")).want(http.StatusOK, &got)
	require.Equal(t, "otp", methodOf(t, got.AccessToken))
	d.press(link).landing()
}

func TestPKCECodeOfTheMail(t *testing.T) {
	d, link := recovering(t, withChallenge(map[string]any{}))
	d.byCode("recovery", "ada@example.com", d.LastMail("ada@example.com").Code()).want(http.StatusOK, nil)
	u, _ := d.press(link).landing()
	require.Empty(t, u.Query().Get("code"))
}

func TestPKCETypeEmail(t *testing.T) {
	d, link := recovering(t, withChallenge(map[string]any{}))
	u, _ := d.submit(url.Values{"type": {"email"}, "token": {linkParams(t, link).Get("token")}}).landing()
	d.exchange(u.Query().Get("code"), verifier).want(http.StatusOK, nil)
}

// The ban is checked again at the exchange, and the account may be gone.
func TestPKCEBannedMeanwhile(t *testing.T) {
	d, link := recovering(t, withChallenge(map[string]any{}))
	code := d.codeOf(link)
	acc := d.account("ada@example.com")
	require.NoError(t, d.Auth.Users().Ban(t.Context(), acc.ID, d.Clock.Now().Add(time.Hour)))
	d.exchange(code, verifier).wantFault(http.StatusForbidden, "user_banned")
	require.NoError(t, d.Auth.Users().Delete(t.Context(), acc.ID))
	d.exchange(code, verifier).wantFault(http.StatusNotFound, "flow_state_not_found")
}

// The result merges into the target's query and keeps its fragment.
func TestPKCETarget(t *testing.T) {
	d := open(t, auth.WithDirectLinks())
	d.confirmed("ada@example.com")
	d.post("/recover?redirect_to="+url.QueryEscape(d.srv.URL+"/cb?z=1&code=evil#old"), withChallenge(map[string]any{"email": "ada@example.com"})).want(http.StatusOK, nil)
	a := d.send(http.MethodGet, d.pathOf(d.LastMail("ada@example.com").Link()), nil)
	require.Equal(t, http.StatusSeeOther, a.Status)
	require.Regexp(t, `/cb\?code=[0-9a-f-]{36}&z=1#old$`, a.Header.Get("Location"))
	require.Empty(t, a.Header.Get("sb-auth-user-id"))
}

// A link whose flow is gone says so where it leads, and isn't used up by that.
func TestPKCEFlowIsGone(t *testing.T) {
	s := fresh(t)
	d, link := recovering(t, withChallenge(map[string]any{}), auth.WithStore(s))
	row, err := s.OneTimeTokenOf(t.Context(), d.account("ada@example.com").ID, store.PurposeRecovery)
	require.NoError(t, err)
	_, err = s.TakeFlowState(t.Context(), row.FlowStateID)
	require.NoError(t, err)
	for range 2 {
		u, v := d.press(link).landing()
		for _, values := range []url.Values{u.Query(), v} {
			require.Equal(t, "invalid_request", values.Get("error"))
			require.Equal(t, "flow_state_not_found", values.Get("error_code"))
			require.Equal(t, "No associated flow state found. 422: No valid flow state found for user.", values.Get("error_description"))
		}
	}
	d.byCode("recovery", "ada@example.com", d.LastMail("ada@example.com").Code()).want(http.StatusOK, nil)
}
