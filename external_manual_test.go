package auth_test

import (
	"net/http"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/truekeel/auth"
	"github.com/truekeel/auth/mail"
	"github.com/truekeel/auth/store"
)

// linking begins to link as somebody, and gives the state.
func (b *browser) linking(token string, v url.Values) string {
	b.t.Helper()
	v.Set("provider", "acme")
	resp := b.do("GET", "/user/identities/authorize?"+v.Encode(), nil, bearer(token))
	require.Equal(b.t, http.StatusFound, resp.StatusCode)
	to, err := resp.Location()
	require.NoError(b.t, err)
	return to.Query().Get("state")
}

func (b *browser) backAs(state, subject, email string, verified bool) *url.URL {
	b.t.Helper()
	b.acme.knows("code-"+state, b.acme.someone(subject, email, verified))
	return b.comeBack(url.Values{"state": {state}, "code": {"code-" + state}})
}

func TestManualLinkingIsOff(t *testing.T) {
	w := openTown(t)
	ada := w.User("ada@example.com")
	for _, path := range []string{"/user/identities/authorize?provider=acme", "/user/identities/authorize?provider=acme&skip_http_redirect=true"} {
		w.send("GET", path, nil).wantFault(http.StatusUnauthorized, "no_authorization")
		w.send("GET", path, nil, bearer(ada.AccessToken)).wantFault(http.StatusNotFound, "manual_linking_disabled")
	}
	w.send("DELETE", "/user/identities/"+uuid.NewString(), nil).wantFault(http.StatusUnauthorized, "no_authorization")
	w.send("DELETE", "/user/identities/"+uuid.NewString(), nil, bearer(ada.AccessToken)).wantFault(http.StatusNotFound, "manual_linking_disabled")
	w.acme.knows("t", w.acme.someone("1", "ada@example.com", true))
	w.post("/token?grant_type=id_token", map[string]any{"provider": "acme", "id_token": "t", "link_identity": true}, bearer(ada.AccessToken)).wantFault(http.StatusNotFound, "manual_linking_disabled")
}

func TestManualLinking(t *testing.T) {
	w := openTown(t, auth.WithManualLinking(true), auth.WithNotifications(mail.IdentityLinked, mail.IdentityUnlinked))
	ada := w.User("ada@example.com")
	b := w.browser()
	v := b.wantIn(b.backAs(b.linking(ada.AccessToken, url.Values{}), "1", "other@example.com", false))
	require.Equal(t, "token-of-1", v.Get("provider_token"))
	u := w.send("GET", "/user", nil, bearer(v.Get("access_token"))).want(http.StatusOK, nil).object()
	require.Equal(t, ada.User.ID.String(), u["id"])
	require.Equal(t, "ada@example.com", u["email"])
	require.NotContains(t, u["user_metadata"], "name", "linking by hand leaves the metadata")
	require.Equal(t, []any{"email", "acme"}, u["app_metadata"].(map[string]any)["providers"])
	require.Equal(t, 1, w.mails("ada@example.com")[mail.IdentityLinked])

	w.unchanged(func() {
		landed := b.backAs(b.linking(ada.AccessToken, url.Values{}), "1", "other@example.com", false)
		b.wantOut(landed, "server_error", "identity_already_exists")
		require.Equal(t, "Identity is already linked", landed.Query().Get("error_description"))
	})
	eve := w.User("eve@example.com")
	w.unchanged(func() {
		landed := b.backAs(b.linking(eve.AccessToken, url.Values{}), "1", "other@example.com", true)
		b.wantOut(landed, "server_error", "identity_already_exists")
		require.Equal(t, "Identity is already linked to another user", landed.Query().Get("error_description"))
	})
	b.wantIn(b.in(w.acme, w.acme.someone("1", "other@example.com", false)))

	t.Run("an invitation isn't accepted on the way", func(t *testing.T) {
		w := openTown(t, auth.WithManualLinking(true), auth.WithSiteURL("http://localhost:3000"))
		ada := w.User("ada@example.com")
		_, err := w.Auth.Users().Invite(t.Context(), auth.Invitation{Email: "guest@example.com"})
		require.NoError(t, err)
		token := mustQuery(t, w.LastMail("guest@example.com").Link(), "token")
		b := w.browser()
		b.wantIn(b.backAs(b.linking(ada.AccessToken, url.Values{"invite_token": {token}}), "1", "guest@example.com", true))
		require.Len(t, w.identities(ada.User.ID), 2)
		require.Zero(t, w.user("guest@example.com").EmailConfirmedAt)
	})
	t.Run("the user goes on the way", func(t *testing.T) {
		gone := w.User("gone@example.com")
		state := b.linking(gone.AccessToken, url.Values{})
		require.NoError(t, w.Auth.Users().Delete(t.Context(), gone.User.ID))
		w.unchanged(func() { b.wantLost(b.backAs(state, "7", "x@example.com", true), "bad_oauth_state") })
	})
	t.Run("the user signs out on the way", func(t *testing.T) {
		state := b.linking(eve.AccessToken, url.Values{})
		w.send("POST", "/logout?scope=local", nil, bearer(eve.AccessToken)).want(http.StatusNoContent, nil)
		w.unchanged(func() { b.wantOut(b.backAs(state, "6", "x@example.com", true), "access_denied", "session_not_found") })
	})
	t.Run("the user is banned on the way", func(t *testing.T) {
		bad := w.User("bad@example.com")
		state := b.linking(bad.AccessToken, url.Values{})
		until := w.Clock.Now().Add(time.Hour)
		_, err := w.Auth.Users().Update(t.Context(), bad.User.ID, auth.Change{BannedUntil: &until})
		require.NoError(t, err)
		w.unchanged(func() { b.wantOut(b.backAs(state, "8", "x@example.com", true), "access_denied", "user_banned") })
	})
	t.Run("another browser", func(t *testing.T) {
		state := b.linking(ada.AccessToken, url.Values{})
		victim := w.browser()
		w.unchanged(func() { victim.wantLost(victim.backAs(state, "9", "victim@example.com", true), "bad_oauth_state") })
	})
}

// TestLinkingByPage: a page asks for the URL, as supabase-js does.
func TestLinkingByPage(t *testing.T) {
	w := openTown(t, auth.WithManualLinking(true))
	ada := w.User("ada@example.com")
	verifier, challenge := pkcePair()
	ask := func(v url.Values) (state string, cookie *http.Cookie) {
		v.Set("provider", "acme")
		v.Set("skip_http_redirect", "true")
		a := w.send("GET", "/user/identities/authorize?"+v.Encode(), nil, bearer(ada.AccessToken))
		body := a.want(http.StatusOK, nil).object()
		require.Len(t, body, 1)
		to, err := url.Parse(body["url"].(string))
		require.NoError(t, err)
		cookies := (&http.Response{Header: a.Header}).Cookies()
		require.Len(t, cookies, 1)
		return to.Query().Get("state"), cookies[0]
	}
	back := func(b *browser, state, subject string, cookie ...*http.Cookie) *url.URL {
		w.acme.knows("code-"+state, w.acme.someone(subject, "x@example.com", true))
		var headers []header
		for _, c := range cookie {
			headers = append(headers, header{"Cookie", c.Name + "=" + c.Value})
		}
		resp := b.do("GET", "/callback?"+url.Values{"state": {state}, "code": {"code-" + state}}.Encode(), nil, headers...)
		to, err := resp.Location()
		require.NoError(t, err)
		return to
	}
	t.Run("of the same origin", func(t *testing.T) {
		state, cookie := ask(url.Values{})
		b := w.browser()
		b.wantIn(back(b, state, "1", cookie))
	})
	t.Run("of another origin, without a challenge", func(t *testing.T) {
		state, _ := ask(url.Values{})
		b := w.browser()
		w.unchanged(func() { b.wantLost(back(b, state, "2"), "bad_oauth_state") })
	})
	t.Run("of another origin, with a challenge", func(t *testing.T) {
		state, _ := ask(challenge)
		b := w.browser()
		var code string
		w.unchanged(func() { code = back(b, state, "3").Query().Get("code") })
		require.NotEmpty(t, code, "nothing is linked until who holds the verifier says so")
		body := w.post("/token?grant_type=pkce", map[string]any{"auth_code": code, "code_verifier": verifier}).want(http.StatusOK, nil).object()
		require.Equal(t, "token-of-3", body["provider_token"])
		require.Len(t, body["user"].(map[string]any)["identities"], 3)
	})
	t.Run("of another origin, an identity that is taken", func(t *testing.T) {
		eve := w.browser()
		eve.wantIn(eve.in(w.acme, w.acme.someone("4", "eve@example.com", true)))
		state, _ := ask(challenge)
		b := w.browser()
		w.unchanged(func() { b.wantOut(back(b, state, "4"), "server_error", "identity_already_exists") })
	})
	t.Run("taken between callback and redemption", func(t *testing.T) {
		state, _ := ask(challenge)
		code := back(w.browser(), state, "5").Query().Get("code")
		eve := w.browser()
		eve.wantIn(eve.in(w.acme, w.acme.someone("5", "mallory@example.com", true)))
		w.unchanged(func() {
			w.post("/token?grant_type=pkce", map[string]any{"auth_code": code, "code_verifier": verifier}).wantFault(http.StatusUnprocessableEntity, "identity_already_exists")
		})
	})
	t.Run("signed out between callback and redemption", func(t *testing.T) {
		mine := ada
		ada = w.User("bea@example.com")
		defer func() { ada = mine }()
		state, _ := ask(challenge)
		code := back(w.browser(), state, "8").Query().Get("code")
		w.send("POST", "/logout", nil, bearer(ada.AccessToken)).want(http.StatusNoContent, nil)
		w.unchanged(func() {
			w.post("/token?grant_type=pkce", map[string]any{"auth_code": code, "code_verifier": verifier}).wantFault(http.StatusForbidden, "session_not_found")
		})
	})
	t.Run("another's cookie", func(t *testing.T) {
		state, cookie := ask(challenge)
		forged := *cookie
		forged.Value = "forged"
		b := w.browser()
		w.unchanged(func() { b.wantLost(back(b, state, "6", &forged), "bad_oauth_state") })
	})
	t.Run("with the cookie and a challenge", func(t *testing.T) {
		state, cookie := ask(challenge)
		code := back(w.browser(), state, "7", cookie).Query().Get("code")
		require.Len(t, w.identities(ada.User.ID), 4, "who came back is who left: it is linked at once")
		w.post("/token?grant_type=pkce", map[string]any{"auth_code": code, "code_verifier": verifier}).want(http.StatusOK, nil)
	})
}

// TestLinkGivesAddress: a user without an address takes that of the identity.
func TestLinkGivesAddress(t *testing.T) {
	nameless := func(w *town) (*browser, string, uuid.UUID) {
		w.umb.optional = true
		b := w.browser()
		v := b.wantIn(b.in(w.umb, w.umb.someone("n", "", false)))
		u := w.send("GET", "/user", nil, bearer(v.Get("access_token"))).want(http.StatusOK, nil).object()
		return b, v.Get("access_token"), uuid.MustParse(u["id"].(string))
	}
	t.Run("verified", func(t *testing.T) {
		w := openTown(t, auth.WithManualLinking(true))
		b, token, id := nameless(w)
		b.wantIn(b.backAs(b.linking(token, url.Values{}), "1", "ada@example.com", true))
		u := w.user("ada@example.com")
		require.Equal(t, id, u.ID)
		require.NotZero(t, u.EmailConfirmedAt)
	})
	t.Run("unverified", func(t *testing.T) {
		w := openTown(t, auth.WithManualLinking(true))
		b, token, id := nameless(w)
		b.wantOut(b.backAs(b.linking(token, url.Values{}), "1", "ada@example.com", false), "server_error", "email_not_confirmed")
		_, err := w.store.UserByEmail(t.Context(), "authenticated", "ada@example.com")
		require.ErrorIs(t, err, store.ErrNotFound, "the address is nobody's until it is proved")
		require.Len(t, w.identities(id), 2)
		w.post("/verify", map[string]any{"type": "email_change", "email": "ada@example.com", "token": w.LastMail("ada@example.com").Code()}).want(http.StatusOK, nil)
		require.Equal(t, id, w.user("ada@example.com").ID)
	})
	t.Run("taken", func(t *testing.T) {
		w := openTown(t, auth.WithManualLinking(true))
		w.User("ada@example.com")
		b, token, _ := nameless(w)
		w.unchanged(func() {
			b.wantOut(b.backAs(b.linking(token, url.Values{}), "1", "ada@example.com", true), "invalid_request", "email_exists")
		})
	})
}

func TestUnlink(t *testing.T) {
	setup := func(t *testing.T, email string) (w *town, token string, own, acme store.Identity) {
		w = openTown(t, auth.WithManualLinking(true), auth.WithNotifications(mail.IdentityUnlinked), auth.WithAudiences("other"))
		in := w.signUp("ada@example.com")
		b := w.browser()
		b.wantIn(b.backAs(b.linking(in.AccessToken, url.Values{}), "1", email, true))
		ids := w.identities(w.user("ada@example.com").ID)
		require.Len(t, ids, 2)
		own, acme = ids[0], ids[1]
		if own.Provider != "email" {
			own, acme = acme, own
		}
		return w, in.AccessToken, own, acme
	}
	t.Run("a provider", func(t *testing.T) {
		w, token, own, acme := setup(t, "work@example.com")
		a := w.send("DELETE", "/user/identities/"+acme.ID.String(), nil, bearer(token)).want(http.StatusOK, nil)
		require.JSONEq(t, `{}`, string(a.Body))
		require.Equal(t, []any{"email"}, w.send("GET", "/user", nil, bearer(token)).want(200, nil).object()["app_metadata"].(map[string]any)["providers"])
		require.Equal(t, 1, w.mails("ada@example.com")[mail.IdentityUnlinked])
		w.signIn("ada@example.com")
		w.send("DELETE", "/user/identities/"+own.ID.String(), nil, bearer(token)).wantFault(http.StatusUnprocessableEntity, "single_identity_not_deletable")
		// The identity is free again.
		eve := w.browser()
		eve.wantIn(eve.in(w.acme, w.acme.someone("1", "work@example.com", true)))
		require.NotEqual(t, own.UserID, w.user("work@example.com").ID)
	})
	t.Run("the own address, another is left", func(t *testing.T) {
		w, token, own, _ := setup(t, "work@example.com")
		w.post("/recover", map[string]any{"email": "ada@example.com"}).want(http.StatusOK, nil)
		recovery := w.LastMail("ada@example.com")
		w.Clock.Advance(2 * time.Minute)
		verifier, asked := pkcePair()
		w.post("/magiclink", map[string]any{"email": "ada@example.com", "code_challenge": asked.Get("code_challenge"), "code_challenge_method": "s256"}).want(http.StatusOK, nil)
		opened := w.send("POST", "/verify", mustParse(t, w.LastMail("ada@example.com").Link()).RawQuery, header{"Content-Type", formBody})
		code := mustQuery(t, opened.Header.Get("Location"), "code")
		require.NotEmpty(t, code)
		w.send("DELETE", "/user/identities/"+own.ID.String(), nil, bearer(token)).want(http.StatusOK, nil)
		w.post("/token?grant_type=pkce", map[string]any{"auth_code": code, "code_verifier": verifier}).wantFault(http.StatusNotFound, "flow_state_not_found")
		u := w.user("work@example.com")
		require.Equal(t, own.UserID, u.ID)
		require.NotZero(t, u.EmailConfirmedAt)
		w.post("/verify", map[string]any{"type": "recovery", "token_hash": mustQuery(t, recovery.Link(), "token")}).wantFault(http.StatusForbidden, "otp_expired")
		for _, email := range []string{"ada@example.com", "work@example.com"} {
			w.post("/token?grant_type=password", map[string]any{"email": email, "password": goodPassword}).wantFault(http.StatusBadRequest, "invalid_credentials")
		}
	})
	t.Run("the own address, the same is left", func(t *testing.T) {
		w, token, own, _ := setup(t, "ada@example.com")
		w.send("DELETE", "/user/identities/"+own.ID.String(), nil, bearer(token)).want(http.StatusOK, nil)
		require.Equal(t, own.UserID, w.user("ada@example.com").ID)
	})
	t.Run("the own address, what is left is not verified", func(t *testing.T) {
		w := openTown(t, auth.WithManualLinking(true))
		in := w.signUp("ada@example.com")
		b := w.browser()
		b.wantIn(b.backAs(b.linking(in.AccessToken, url.Values{}), "1", "work@example.com", false))
		for _, i := range w.identities(w.user("ada@example.com").ID) {
			if i.Provider == "email" {
				w.send("DELETE", "/user/identities/"+i.ID.String(), nil, bearer(in.AccessToken)).want(http.StatusOK, nil)
			}
		}
		require.Zero(t, w.user("work@example.com").EmailConfirmedAt, "nobody has proved it")
	})
	t.Run("the own address, what is left is another's", func(t *testing.T) {
		w, token, own, _ := setup(t, "work@example.com")
		w.User("work@example.com")
		w.unchanged(func() {
			w.send("DELETE", "/user/identities/"+own.ID.String(), nil, bearer(token)).wantFault(http.StatusUnprocessableEntity, "email_conflict_identity_not_deletable")
		})
	})
	t.Run("what isn't his", func(t *testing.T) {
		w, token, own, acme := setup(t, "work@example.com")
		eve := w.User("eve@example.com")
		w.unchanged(func() {
			w.send("DELETE", "/user/identities/"+acme.ID.String(), nil, bearer(eve.AccessToken)).wantFault(http.StatusUnprocessableEntity, "single_identity_not_deletable")
			w.send("DELETE", "/user/identities/"+w.identities(eve.User.ID)[0].ID.String(), nil, bearer(token)).wantFault(http.StatusUnprocessableEntity, "identity_not_found")
			w.send("DELETE", "/user/identities/"+uuid.NewString(), nil, bearer(token)).wantFault(http.StatusUnprocessableEntity, "identity_not_found")
			w.send("DELETE", "/user/identities/1", nil, bearer(token)).wantFault(http.StatusNotFound, "validation_failed")
			w.send("DELETE", "/user/identities/"+own.ID.String(), nil, bearer(token), header{"X-JWT-AUD", "other"}).wantFault(http.StatusForbidden, "unexpected_audience")
			w.send("DELETE", "/user/identities/"+own.ID.String(), nil).wantFault(http.StatusUnauthorized, "no_authorization")
		})
	})
	t.Run("both at once", func(t *testing.T) {
		w, token, own, acme := setup(t, "ada@example.com")
		var wg sync.WaitGroup
		var answers [2]answer
		for n, id := range []uuid.UUID{own.ID, acme.ID} {
			wg.Go(func() { answers[n] = w.send("DELETE", "/user/identities/"+id.String(), nil, bearer(token)) })
		}
		wg.Wait()
		require.Len(t, w.identities(own.UserID), 1)
		require.ElementsMatch(t, []int{http.StatusOK, http.StatusUnprocessableEntity}, []int{answers[0].Status, answers[1].Status})
	})
}

func mustQuery(t testing.TB, raw, key string) string {
	t.Helper()
	return mustParse(t, raw).Query().Get(key)
}

func mustParse(t testing.TB, raw string) *url.URL {
	t.Helper()
	u, err := url.Parse(raw)
	require.NoError(t, err)
	return u
}
