package auth_test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/truekeel/auth"
	"github.com/truekeel/auth/mail"
	"github.com/truekeel/auth/providers"
	"github.com/truekeel/auth/store"
)

// mails counts what was sent to an address, by kind.
func (w *town) mails(to string) map[mail.Kind]int {
	w.t.Helper()
	w.Deliver()
	out := map[mail.Kind]int{}
	for _, m := range w.Mail.Messages() {
		if m.To == to {
			out[m.Kind]++
		}
	}
	return out
}

// squat makes an account with another's address: a password, nothing proved.
func (w *town) squat(email string) {
	w.t.Helper()
	w.post("/signup", map[string]any{"email": email, "password": goodPassword, "data": map[string]any{"plan": "squatter's"}}).want(http.StatusOK, nil)
}

func TestLinkToVerified(t *testing.T) {
	w := openTown(t, auth.WithNotifications(mail.IdentityLinked))
	in := w.signUp("ada@example.com")
	b := w.browser()
	v := b.wantIn(b.in(w.acme, w.acme.someone("1", "ADA@example.com", true)))
	u := w.send("GET", "/user", nil, bearer(v.Get("access_token"))).want(http.StatusOK, nil).object()
	require.Equal(t, in.User["id"], u["id"])
	require.Equal(t, map[string]any{"provider": "email", "providers": []any{"email", "acme"}}, u["app_metadata"])
	require.Equal(t, "Name of 1", u["user_metadata"].(map[string]any)["name"])
	w.send("GET", "/user", nil, bearer(in.AccessToken)).want(http.StatusOK, nil)
	w.signIn("ada@example.com")
	require.Equal(t, 1, w.mails("ada@example.com")[mail.IdentityLinked])

	// A second provider that vouches for the same address leads here too.
	b.wantIn(b.in(w.umb, w.umb.someone("9", "ada@example.com", true)))
	require.Equal(t, 1, w.count().Users)
	require.Len(t, w.identities(w.user("ada@example.com").ID), 3)
}

// TestUnprovedAddressLinksNothing: a provider account with somebody else's address, for
// which the provider doesn't vouch, gets nowhere, and learns nothing.
func TestUnprovedAddressLinksNothing(t *testing.T) {
	w := openTown(t)
	w.signUp("ada@example.com")
	w.squat("bob@example.com")
	b := w.browser()
	var said []string
	for _, victim := range []string{"ada@example.com", "bob@example.com"} {
		before := w.user(victim)
		w.Clock.Advance(2 * time.Minute)
		w.unchanged(func() {
			landed := b.in(w.acme, w.acme.someone("eve", victim, false))
			b.wantOut(landed, "access_denied", "provider_email_needs_verification")
			said = append(said, landed.String())
		})
		require.Equal(t, before, w.user(victim))
		require.Equal(t, 1, w.mails(victim)[mail.AccountExists])
	}
	free := b.in(w.acme, w.acme.someone("eve", "carol@example.com", false))
	require.Equal(t, said[0], said[1])
	require.Equal(t, said[0], free.String(), "the answer tells not whether an address has an account")
	require.Equal(t, "Unverified email with acme. A confirmation email has been sent to your acme email", free.Query().Get("error_description"))
}

// TestUnprovedAddressIsProvedByMail: somebody whose provider doesn't vouch for him comes
// in once he has followed the mail.
func TestUnprovedAddressIsProvedByMail(t *testing.T) {
	w := openTown(t)
	b := w.browser()
	ada := w.acme.someone("1", "ada@example.com", false)
	b.wantOut(b.in(w.acme, ada), "access_denied", "provider_email_needs_verification")
	require.Equal(t, census{1, 1, 0}, w.count())
	require.Zero(t, w.user("ada@example.com").EmailConfirmedAt)
	b.wantOut(b.in(w.acme, ada), "access_denied", "provider_email_needs_verification")
	require.Equal(t, 1, w.mails("ada@example.com")[mail.Confirmation], "one mail a minute")

	w.post("/verify", map[string]any{"type": "signup", "email": "ada@example.com", "token": w.LastMail("ada@example.com").Code()}).want(http.StatusOK, nil)
	b.wantIn(b.in(w.acme, ada))
	require.Equal(t, census{1, 1, 2}, w.count())
}

// TestMailsOfOthersDropUnprovedIdentities: somebody makes an account with another's
// address by a provider that doesn't vouch for it. The address's owner comes in his own
// way, by a mail that he himself asked for; the other doesn't share the account.
func TestMailsOfOthersDropUnprovedIdentities(t *testing.T) {
	for name, ask := range map[string]func(w *town){
		"sign-up": func(w *town) { w.squat("ada@example.com") },
		"resend": func(w *town) {
			w.post("/resend", map[string]any{"type": "signup", "email": "ada@example.com"}).want(200, nil)
		},
		"magic link": func(w *town) { w.post("/magiclink", map[string]any{"email": "ada@example.com"}).want(200, nil) },
		"invitation": func(w *town) {
			_, err := w.Auth.Users().Invite(context.Background(), auth.Invitation{Email: "ada@example.com"})
			require.NoError(w.t, err)
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := openTown(t, auth.WithSiteURL("http://localhost:3000"), auth.WithUnprovedProviderSignIn(true))
			eve := w.browser()
			evil := w.acme.someone("eve", "ada@example.com", false)
			v := eve.wantIn(eve.in(w.acme, evil))
			verifier, code := eve.coded(evil)
			w.Deliver()
			w.Clock.Advance(2 * time.Minute)
			ask(w)
			kind := map[string]string{"magic link": "magiclink", "invitation": "invite"}[name]
			if kind == "" {
				kind = "signup"
			}
			w.post("/verify", map[string]any{"type": kind, "email": "ada@example.com", "token": w.LastMail("ada@example.com").Code()}).want(http.StatusOK, nil)

			w.send("GET", "/user", nil, bearer(v.Get("access_token"))).wantFault(http.StatusForbidden, "session_not_found")
			w.post("/token?grant_type=refresh_token", map[string]any{"refresh_token": v.Get("refresh_token")}).want(http.StatusBadRequest, nil)
			w.post("/token?grant_type=pkce", map[string]any{"auth_code": code, "code_verifier": verifier}).wantFault(http.StatusNotFound, "flow_state_not_found")
			for _, i := range w.identities(w.user("ada@example.com").ID) {
				require.NotEqual(t, "acme", i.Provider)
			}
			w.unchanged(func() { eve.wantOut(eve.in(w.acme, evil), "access_denied", "provider_email_needs_verification") })
		})
	}
}

// TestMailOfOthersLoginVouchesForNobody: while the address's owner waits for a mail of his
// own, the other's next login sends one that reads the same.
func TestMailOfOthersLoginVouchesForNobody(t *testing.T) {
	for name, ask := range map[string]func(w *town){
		"sign-up":    func(w *town) { w.squat("ada@example.com") },
		"magic link": func(w *town) { w.post("/magiclink", map[string]any{"email": "ada@example.com"}).want(200, nil) },
	} {
		t.Run(name, func(t *testing.T) {
			w := openTown(t)
			eve := w.browser()
			evil := w.acme.someone("eve", "ada@example.com", false)
			eve.wantOut(eve.in(w.acme, evil), "access_denied", "provider_email_needs_verification")
			w.Clock.Advance(2 * time.Minute)
			ask(w)
			w.Clock.Advance(2 * time.Minute)
			eve.wantOut(eve.in(w.acme, evil), "access_denied", "provider_email_needs_verification")
			require.Equal(t, 3, w.mails("ada@example.com")[mail.Confirmation])
			w.press(w.LastMail("ada@example.com").Link()).landsWithTokens("signup")
			for _, i := range w.identities(w.user("ada@example.com").ID) {
				require.NotEqual(t, "acme", i.Provider)
			}
			eve.wantOut(eve.in(w.acme, evil), "access_denied", "provider_email_needs_verification")
		})
	}
}

// TestSquatterIsEvicted: whatever was made in the name of an address goes when its owner
// comes with a provider that vouches for him.
func TestSquatterIsEvicted(t *testing.T) {
	w := openTown(t, auth.WithUnconfirmedSignIn(true))
	w.squat("ada@example.com")
	squatter := w.signIn("ada@example.com")
	w.send("PUT", "/user", map[string]any{"email": "eve@example.com"}, bearer(squatter.AccessToken)).want(http.StatusOK, nil)
	w.post("/recover", map[string]any{"email": "ada@example.com"}).want(http.StatusOK, nil)
	recovery := w.LastMail("ada@example.com")
	change := w.LastMail("eve@example.com")
	require.NotEmpty(t, w.user("ada@example.com").PasswordHash)

	b := w.browser()
	v := b.wantIn(b.in(w.acme, w.acme.someone("1", "ada@example.com", true)))
	u := w.user("ada@example.com")
	require.Empty(t, u.PasswordHash)
	require.Empty(t, u.NewEmail)
	require.NotZero(t, u.EmailConfirmedAt)
	require.Empty(t, u.UserMetadata.String("plan"), "the squatter's metadata isn't the owner's")
	require.Equal(t, census{1, 1, 1}, w.count())
	require.Equal(t, "acme", w.identities(u.ID)[0].Provider)
	require.Equal(t, `"acme"`, string(u.AppMetadata["provider"]))

	w.send("GET", "/user", nil, bearer(squatter.AccessToken)).wantFault(http.StatusForbidden, "session_not_found")
	w.post("/token?grant_type=refresh_token", map[string]any{"refresh_token": squatter.RefreshToken}).want(http.StatusBadRequest, nil)
	w.post("/token?grant_type=password", map[string]any{"email": "ada@example.com", "password": goodPassword}).wantFault(http.StatusBadRequest, "invalid_credentials")
	w.post("/verify", map[string]any{"type": "recovery", "email": "ada@example.com", "token": recovery.Code()}).wantFault(http.StatusForbidden, "otp_expired")
	w.post("/verify", map[string]any{"type": "email_change", "email": "eve@example.com", "token": change.Code()}).wantFault(http.StatusForbidden, "otp_expired")
	w.send("GET", "/user", nil, bearer(v.Get("access_token"))).want(http.StatusOK, nil)
	require.Equal(t, 1, w.mails("ada@example.com")[mail.IdentityLinked], "the owner is told, whatever notifications are on")
}

// coded goes to acme and comes back as somebody with an authorization code, which isn't
// redeemed.
func (b *browser) coded(id providers.Identity) (verifier, code string) {
	b.t.Helper()
	verifier, q := pkcePair()
	q.Set("provider", "acme")
	state := b.leave(q).Query().Get("state")
	b.acme.knows("code-"+state, id)
	code = b.comeBack(url.Values{"state": {state}, "code": {"code-" + state}}).Query().Get("code")
	require.NotEmpty(b.t, code)
	return verifier, code
}

// TestCodesOfTheEvicted: an authorization code that waits for its client is as good as a
// session, in both dialects.
func TestCodesOfTheEvicted(t *testing.T) {
	w := openTown(t, auth.WithUnprovedProviderSignIn(true), auth.WithKeel(auth.Keel{RedirectURL: "https://app.example.com/in"}))
	eve := w.browser()
	evil := w.acme.someone("eve", "ada@example.com", false)
	verifier, code := eve.coded(evil)
	to, err := eve.do("GET", "/authorize/acme", nil).Location()
	require.NoError(t, err)
	w.acme.knows("k", evil)
	landed, err := eve.do("GET", "/callback/acme?code=k&state="+to.Query().Get("state"), nil).Location()
	require.NoError(t, err)
	require.NotEmpty(t, landed.Query().Get("code"))

	ada := w.browser()
	ada.wantIn(ada.in(w.umb, w.umb.someone("ada", "ada@example.com", true)))
	w.unchanged(func() {
		w.post("/token?grant_type=pkce", map[string]any{"auth_code": code, "code_verifier": verifier}).wantFault(http.StatusNotFound, "flow_state_not_found")
		w.json("/token", fieldsOf{"grant_type": "authorization_code", "code": landed.Query().Get("code")}).wantKeel(keelC2)
	})
	require.Equal(t, census{1, 1, 1}, w.count())
}

// TestOthersAddressIsNotConfirmed: an account that was made with another's address, for
// which the provider didn't vouch, isn't confirmed by an address of one's own.
func TestOthersAddressIsNotConfirmed(t *testing.T) {
	w := openTown(t)
	b := w.browser()
	b.wantOut(b.in(w.acme, w.acme.someone("eve", "ada@example.com", false)), "access_denied", "provider_email_needs_verification")
	b.wantOut(b.in(w.acme, w.acme.someone("eve", "eve@example.com", true)), "access_denied", "provider_email_needs_verification")
	require.Zero(t, w.user("ada@example.com").EmailConfirmedAt)
	require.Equal(t, census{1, 1, 0}, w.count())
	// The address itself, once the provider vouches for it, does.
	b.wantIn(b.in(w.acme, w.acme.someone("eve", "ada@example.com", true)))
	require.NotZero(t, w.user("ada@example.com").EmailConfirmedAt)
}

// TestUnprovedIdentityYieldsToProof: the same, and then the owner comes by another
// provider. The first identity leaves the account.
func TestUnprovedIdentityYieldsToProof(t *testing.T) {
	w := openTown(t)
	b := w.browser()
	b.wantOut(b.in(w.acme, w.acme.someone("eve", "ada@example.com", false)), "access_denied", "provider_email_needs_verification")
	b.wantIn(b.in(w.umb, w.umb.someone("ada", "ada@example.com", true)))
	require.Equal(t, census{1, 1, 1}, w.count())
	w.unchanged(func() {
		b.wantOut(b.in(w.acme, w.acme.someone("eve", "ada@example.com", false)), "access_denied", "provider_email_needs_verification")
	})
}

// TestSubjectsAreKeys: an identity is its issuer's and its subject's, whatever else two
// people share.
func TestSubjectsAreKeys(t *testing.T) {
	w := openTown(t)
	b := w.browser()
	b.wantIn(b.in(w.acme, w.acme.someone("1", "a@example.com", true)))
	b.wantIn(b.in(w.umb, w.umb.someone("1", "b@example.com", true)))
	b.wantIn(b.in(w.acme, w.acme.someone("1 ", "c@example.com", true)))
	b.wantIn(b.in(w.acme, w.acme.someone("A", "d@example.com", true)))
	b.wantIn(b.in(w.acme, w.acme.someone("a", "e@example.com", true)))
	require.Equal(t, census{5, 5, 5}, w.count())
}

func TestLinkBySecondAddress(t *testing.T) {
	w := openTown(t)
	w.signUp("ada@example.com")
	w.squat("work@example.com")
	b := w.browser()
	id := w.acme.someone("1", "work@example.com", true)
	id.Emails = append(id.Emails, providers.Email{Address: "ada@example.com", Verified: true})
	b.wantIn(b.in(w.acme, id))
	require.Len(t, w.identities(w.user("ada@example.com").ID), 2, "a confirmed account comes before a squatted one")
	require.Zero(t, w.user("work@example.com").EmailConfirmedAt)

	// Two accounts that both have a verified address: nobody can tell which it is.
	w.Clock.Advance(2 * time.Minute)
	w.signUp("bob@example.com")
	both := w.umb.someone("2", "third@example.com", true)
	both.Emails = append(both.Emails, providers.Email{Address: "ada@example.com", Verified: true}, providers.Email{Address: "bob@example.com", Verified: true})
	w.unchanged(func() { b.wantOut(b.in(w.umb, both), "server_error", "conflict") })
	// Unless the primary one decides.
	both.Emails[0].Primary, both.Emails[2].Primary = false, true
	b.wantIn(b.in(w.umb, both))
	require.Len(t, w.identities(w.user("bob@example.com").ID), 2)
}

// TestLinkedAddressNeedsProof: an address that an account has only by an identity counts
// if its provider vouched for it.
func TestLinkedAddressNeedsProof(t *testing.T) {
	w := openTown(t, auth.WithManualLinking(true))
	eve := w.User("eve@example.com")
	link := func(subject, email string, verified bool) {
		b := w.browser()
		resp := b.do("GET", "/user/identities/authorize?provider=acme", nil, bearer(eve.AccessToken))
		to, err := resp.Location()
		require.NoError(t, err)
		w.acme.knows("c", w.acme.someone(subject, email, verified))
		b.wantIn(b.comeBack(url.Values{"state": {to.Query().Get("state")}, "code": {"c"}}))
	}
	link("e1", "victim@example.com", false)
	link("e2", "own@example.com", true)
	b := w.browser()
	b.wantIn(b.in(w.umb, w.umb.someone("v", "victim@example.com", true)))
	require.NotEqual(t, eve.User.ID, w.user("victim@example.com").ID, "an unproved address draws nobody in")
	b.wantIn(b.in(w.umb, w.umb.someone("o", "own@example.com", true)))
	require.Len(t, w.identities(eve.User.ID), 4)
}

// TestLinkedAddressOfUnproved: an identity of an account that has proved nothing itself
// draws nobody in, nor does one of another audience.
func TestLinkedAddressOfUnproved(t *testing.T) {
	t.Run("unproved", func(t *testing.T) {
		w := openTown(t, auth.WithManualLinking(true), auth.WithUnconfirmedSignIn(true))
		w.squat("eve@example.com")
		b := w.browser()
		b.backAs(b.linking(w.signIn("eve@example.com").AccessToken, url.Values{}), "e1", "ada@example.com", true)
		require.Len(t, w.identities(w.user("eve@example.com").ID), 2)
		b.wantIn(b.in(w.umb, w.umb.someone("a", "ada@example.com", true)))
		require.NotEqual(t, w.user("eve@example.com").ID, w.user("ada@example.com").ID)
	})
	t.Run("another audience", func(t *testing.T) {
		w := openTown(t, auth.WithAudiences("staff"))
		b := w.browser()
		state := b.leave(url.Values{"provider": {"acme"}}, header{"X-JWT-AUD", "staff"}).Query().Get("state")
		b.wantIn(b.backAs(state, "1", "ada@example.com", true))
		b.wantIn(b.in(w.umb, w.umb.someone("1", "ada@example.com", true)))
		require.Equal(t, census{2, 2, 2}, w.count())
	})
}

func TestInviteByProvider(t *testing.T) {
	setup := func(t *testing.T) (*town, string) {
		w := openTown(t, auth.WithSiteURL("http://localhost:3000"), auth.WithSignUp(false))
		_, err := w.Auth.Users().Invite(t.Context(), auth.Invitation{Email: "ada@example.com", UserMetadata: store.MakeObject(map[string]any{"team": "blue"})})
		require.NoError(t, err)
		link, err := url.Parse(w.LastMail("ada@example.com").Link())
		require.NoError(t, err)
		return w, link.Query().Get("token")
	}
	accept := func(w *town, token string, id providers.Identity) (*browser, *url.URL) {
		b := w.browser()
		state := b.leave(url.Values{"provider": {"acme"}, "invite_token": {token}}).Query().Get("state")
		require.Empty(w.t, w.acme.last().Params, "the provider doesn't learn of the invitation")
		w.acme.knows("c", id)
		return b, b.comeBack(url.Values{"state": {state}, "code": {"c"}})
	}
	t.Run("accepted", func(t *testing.T) {
		w, token := setup(t)
		b, landed := accept(w, token, w.acme.someone("1", "ada@example.com", false))
		b.wantIn(landed)
		u := w.user("ada@example.com")
		require.NotZero(t, u.EmailConfirmedAt)
		require.Equal(t, "blue", u.UserMetadata.String("team"))
		require.Equal(t, "Name of 1", u.UserMetadata.String("name"))
		require.Equal(t, census{1, 1, 1}, w.count())
		require.Equal(t, []string{"user_invited", "invite_accepted acme", "user_signedup acme"}, w.audited())
		w.send("GET", "/authorize?provider=acme&invite_token="+token, nil).wantFault(http.StatusNotFound, "user_not_found")
	})
	t.Run("by several at once", func(t *testing.T) {
		w, token := setup(t)
		type guest struct {
			*browser
			back url.Values
		}
		guests := make(chan guest, 6)
		for n := range cap(guests) {
			b, code := w.browser(), fmt.Sprint("c", n)
			state := b.leave(url.Values{"provider": {"acme"}, "invite_token": {token}}).Query().Get("state")
			w.acme.knows(code, w.acme.someone(fmt.Sprint(n), "ada@example.com", false))
			guests <- guest{b, url.Values{"state": {state}, "code": {code}}}
		}
		won := inParallel(t, cap(guests), cap(guests), func() bool {
			g := <-guests
			landed := g.comeBack(g.back)
			if fragmentOf(landed).Get("access_token") != "" {
				return true
			}
			g.wantOut(landed, "server_error", "invite_not_found")
			return false
		})
		require.Equal(t, 1, won)
		require.Equal(t, census{1, 1, 1}, w.count())
	})
	t.Run("by another address", func(t *testing.T) {
		w, token := setup(t)
		w.unchanged(func() {
			b, landed := accept(w, token, w.acme.someone("1", "eve@example.com", true))
			b.wantOut(landed, "invalid_request", "validation_failed")
		})
		b, landed := accept(w, token, w.acme.someone("1", "ada@example.com", true))
		b.wantIn(landed)
	})
	t.Run("used up on the way", func(t *testing.T) {
		w, token := setup(t)
		b := w.browser()
		state := b.leave(url.Values{"provider": {"acme"}, "invite_token": {token}}).Query().Get("state")
		w.post("/verify", map[string]any{"type": "invite", "token_hash": token}).want(http.StatusOK, nil)
		w.acme.knows("c", w.acme.someone("1", "ada@example.com", true))
		w.unchanged(func() {
			b.wantOut(b.comeBack(url.Values{"state": {state}, "code": {"c"}}), "server_error", "invite_not_found")
		})
	})
	t.Run("with somebody else's identity", func(t *testing.T) {
		w, token := setup(t)
		bob := w.User("bob@example.com")
		b := w.browser()
		b.wantIn(b.in(w.acme, w.acme.someone("1", "bob@example.com", true)))
		id := w.acme.someone("1", "ada@example.com", true)
		w.unchanged(func() {
			b, landed := accept(w, token, id)
			b.wantOut(landed, "server_error", "identity_already_exists")
		})
		require.Len(t, w.identities(bob.User.ID), 2)
	})
}

// TestInviteOfConfirmed: an invitation whose account was confirmed in another way is
// over, and the account loses nothing.
func TestInviteOfConfirmed(t *testing.T) {
	w := openTown(t, auth.WithSiteURL("http://localhost:3000"))
	_, err := w.Auth.Users().Invite(t.Context(), auth.Invitation{Email: "ada@example.com"})
	require.NoError(t, err)
	token := mustQuery(t, w.LastMail("ada@example.com").Link(), "token")
	b := w.browser()
	state := b.leave(url.Values{"provider": {"acme"}, "invite_token": {token}}).Query().Get("state")
	password := goodPassword
	_, err = w.Auth.Users().Update(t.Context(), w.user("ada@example.com").ID, auth.Change{Password: &password, EmailConfirmed: true})
	require.NoError(t, err)
	w.acme.knows("c", w.acme.someone("1", "ada@example.com", false))
	w.unchanged(func() {
		b.wantOut(b.comeBack(url.Values{"state": {state}, "code": {"c"}}), "server_error", "invite_not_found")
	})
	w.signIn("ada@example.com")
}

// audited gives the actions that were written down, oldest first, with the provider that
// they name.
func (w *town) audited() []string {
	w.t.Helper()
	entries, err := w.store.ListAuditEntries(context.Background(), store.AuditQuery{})
	require.NoError(w.t, err)
	var out []string
	for n := len(entries) - 1; n >= 0; n-- {
		e := entries[n]
		provider := e.Traits.String("provider")
		if provider == "" {
			provider = e.Traits.String("provider_type")
		}
		out = append(out, strings.TrimSpace(e.Action+" "+provider))
	}
	return out
}

func TestProviderAudit(t *testing.T) {
	w := openTown(t, auth.WithManualLinking(true))
	b := w.browser()
	verifier, challenge := pkcePair()
	step := func(act func()) {
		w.Clock.Advance(2 * time.Minute)
		act()
	}
	step(func() { b.wantIn(b.in(w.acme, w.acme.someone("1", "ada@example.com", true))) })
	step(func() { b.wantIn(b.in(w.acme, w.acme.someone("1", "ada@example.com", true))) })
	step(func() {
		challenge.Set("provider", "acme")
		state := b.leave(challenge).Query().Get("state")
		code := b.backAs(state, "1", "ada@example.com", true).Query().Get("code")
		w.Clock.Advance(time.Minute)
		w.post("/token?grant_type=pkce", map[string]any{"auth_code": code, "code_verifier": verifier}).want(http.StatusOK, nil)
	})
	var token string
	step(func() { token = b.wantIn(b.in(w.umb, w.umb.someone("2", "ada@example.com", true))).Get("access_token") })
	step(func() {
		for _, i := range w.identities(w.user("ada@example.com").ID) {
			if i.Provider == "umbrella" {
				w.send("DELETE", "/user/identities/"+i.ID.String(), nil, bearer(token)).want(http.StatusOK, nil)
			}
		}
	})
	step(func() { b.in(w.acme, w.acme.someone("3", "una@example.com", false)) })
	require.Equal(t, []string{
		"user_signedup acme", "login acme", "login acme", "identity_linked umbrella", "login umbrella", "identity_unlinked umbrella",
		"user_confirmation_requested acme",
	}, w.audited())
}
