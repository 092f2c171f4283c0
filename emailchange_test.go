package auth_test

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/truekeel/auth"
	"github.com/truekeel/auth/internal/proof"
	"github.com/truekeel/auth/mail"
)

const oldEmail, newEmail = "ada@example.com", "countess@example.com"

// changing opens a door with an account that has asked for another address, and gives
// the mails to the old and to the new one.
func changing(t *testing.T, more map[string]any, opts ...auth.Option) (d *door, in tokenAnswer, old, new mail.Message) {
	t.Helper()
	d = open(t, opts...)
	in = d.signUp(oldEmail)
	body := map[string]any{"email": newEmail}
	for k, v := range more {
		body[k] = v
	}
	var got map[string]any
	d.send(http.MethodPut, "/user", body, bearer(in.AccessToken)).want(http.StatusOK, &got)
	require.Equal(t, oldEmail, got["email"])
	require.Equal(t, newEmail, got["new_email"])
	require.NotEmpty(t, got["email_change_sent_at"])
	return d, in, d.LastMail(oldEmail), d.LastMail(newEmail)
}

func TestEmailChangeInEveryOrder(t *testing.T) {
	// Each step presents the mail to the old (o) or new (n) address as link, as token
	// hash or as code.
	for _, order := range []string{"on", "no"} {
		for _, ways := range [][2]string{{"link", "link"}, {"code", "code"}, {"hash", "hash"}, {"link", "code"}, {"code", "hash"}} {
			t.Run(order+" "+ways[0]+" "+ways[1], func(t *testing.T) {
				d, _, old, new := changing(t, nil)
				for i, side := range order {
					m, email := old, oldEmail
					if side == 'n' {
						m, email = new, newEmail
					}
					last := i == 1
					switch ways[i] {
					case "link":
						a := d.press(m.Link())
						if last {
							a.landsWithTokens("email_change")
							break
						}
						u, v := a.landing()
						require.Equal(t, url.Values{"message": {proof.HalfDone}, "sb": {""}}, v)
						require.Empty(t, u.RawQuery)
					case "code":
						a := d.byCode("email_change", email, m.Code())
						if last {
							var got tokenAnswer
							a.want(http.StatusOK, &got)
							require.Equal(t, "email_change", got.Type)
							require.Equal(t, newEmail, got.User["email"])
							require.NotContains(t, got.User, "new_email")
							break
						}
						require.Equal(t, `200 {"code":"200","msg":"`+proof.HalfDone+`"}`, statusAndBody(a))
					case "hash":
						a := d.byHash("email_change", linkParams(t, m.Link()).Get("token")).want(http.StatusOK, nil)
						require.Equal(t, last, a.object()["access_token"] != nil)
					}
					if !last {
						require.Equal(t, oldEmail, d.account(oldEmail).Email)
						d.press(m.Link()).landsWithLinkError() // used
					}
				}
				acc := d.account(newEmail)
				require.Equal(t, newEmail, acc.Identities[0].Email)
				require.Empty(t, acc.NewEmail)
				require.Equal(t, newEmail, acc.Identities[0].Data.String("email"))
				_, err := d.Auth.Users().FindByEmail(t.Context(), oldEmail)
				require.Error(t, err)
			})
		}
	}
}

// One side can't stand for both, however often it is asked anew.
func TestEmailChangeOneSideTwice(t *testing.T) {
	for _, side := range []string{oldEmail, newEmail} {
		d, _, _, _ := changing(t, nil)
		for range 3 {
			d.pass()
			d.post("/resend", map[string]any{"type": "email_change", "email": oldEmail}).want(http.StatusOK, nil)
			_, v := d.press(d.LastMail(side).Link()).landing()
			require.Equal(t, proof.HalfDone, v.Get("message"))
		}
		require.Equal(t, oldEmail, d.account(oldEmail).Email)
	}
}

func TestEmailChangeBothSidesAtOnce(t *testing.T) {
	d, _, old, new := changing(t, nil)
	tokens := []string{linkParams(t, old.Link()).Get("token"), linkParams(t, new.Link()).Get("token")}
	done := make(chan answer, 2)
	for _, token := range tokens {
		go func() { done <- d.byHash("email_change", token) }()
	}
	sessions := 0
	for range 2 {
		if (<-done).want(http.StatusOK, nil).object()["access_token"] != nil {
			sessions++
		}
	}
	require.Equal(t, 1, sessions, "one half and one whole")
	require.Equal(t, newEmail, d.account(newEmail).Email)
}

func TestEmailChangeSingleConfirmation(t *testing.T) {
	d := open(t, auth.WithSecureEmailChange(false))
	in := d.signUp(oldEmail)
	d.send(http.MethodPut, "/user", map[string]any{"email": newEmail}, bearer(in.AccessToken)).want(http.StatusOK, nil)
	require.Len(t, d.mailsTo(oldEmail), 1, "the confirmation of the sign-up")
	d.press(d.LastMail(newEmail).Link()).landsWithTokens("email_change")
	require.Equal(t, newEmail, d.account(newEmail).Email)
	d.send(http.MethodGet, "/user", nil, bearer(in.AccessToken)).want(http.StatusOK, nil)
}

func TestEmailChangePKCE(t *testing.T) {
	d, _, old, new := changing(t, withChallenge(map[string]any{}))
	require.Contains(t, linkParams(t, new.Link()).Get("token"), "pkce_")
	u, v := d.press(old.Link()).landing()
	require.Equal(t, proof.HalfDone, u.Query().Get("message"))
	require.Equal(t, proof.HalfDone, v.Get("message"))
	u, v = d.press(new.Link()).landing()
	require.Empty(t, v)
	var got tokenAnswer
	d.post("/token?grant_type=pkce", map[string]any{"auth_code": u.Query().Get("code"), "code_verifier": verifier}).want(http.StatusOK, &got)
	require.Equal(t, newEmail, got.User["email"])
}

func TestEmailChangeTaken(t *testing.T) {
	d, in, old, new := changing(t, nil)
	d.confirmed("bob@example.com")
	d.pass()
	a := d.send(http.MethodPut, "/user", map[string]any{"email": "BOB@example.com"}, bearer(in.AccessToken)).wantFault(http.StatusUnprocessableEntity, "email_exists")
	require.Equal(t, "A user with this email address has already been registered", a.object()["msg"])

	// Somebody takes the address between the request and its proof.
	d.press(old.Link())
	d.confirmed(newEmail)
	_, v := d.press(new.Link()).landing()
	require.Equal(t, url.Values{"error_code": {"email_exists"}, "sb": {""},
		"error_description": {"A user with this email address has already been registered"}}, v)
	d.byCode("email_change", newEmail, new.Code()).wantFault(http.StatusUnprocessableEntity, "email_exists")
}

// Many accounts that want one address prove it at once: one gets it, the others get 422.
func TestEmailChangeRaceForOneAddress(t *testing.T) {
	d := open(t, auth.WithSecureEmailChange(false))
	const people = 6
	tokens := make(chan string, people)
	for i := range people {
		in := d.signUp(string(rune('a'+i)) + "@example.com")
		d.pass()
		d.send(http.MethodPut, "/user", map[string]any{"email": newEmail}, bearer(in.AccessToken)).want(http.StatusOK, nil)
		tokens <- d.tokenOf(newEmail)
	}
	won := inParallel(t, people, people, func() bool {
		a := d.byHash("email_change", <-tokens)
		if a.Status != http.StatusOK {
			a.wantFault(http.StatusUnprocessableEntity, "email_exists")
		}
		return a.Status == http.StatusOK
	})
	require.Equal(t, 1, won)
}

// The code of one account's change is no good for another's to the same address, and a
// code finds its account among several.
func TestEmailChangeOfSeveralToOneAddress(t *testing.T) {
	d := open(t, auth.WithSecureEmailChange(false))
	var codes []string
	for _, email := range []string{"a@example.com", "b@example.com"} {
		in := d.signUp(email)
		d.pass()
		d.send(http.MethodPut, "/user", map[string]any{"email": newEmail}, bearer(in.AccessToken)).want(http.StatusOK, nil)
		codes = append(codes, d.LastMail(newEmail).Code())
	}
	var got tokenAnswer
	d.byCode("email_change", newEmail, codes[0]).want(http.StatusOK, &got)
	_, err := d.Auth.Users().FindByEmail(t.Context(), "a@example.com")
	require.Error(t, err, "it was a's change")
	d.byCode("email_change", newEmail, codes[1]).wantFault(http.StatusUnprocessableEntity, "email_exists")
}

func TestEmailChangeTellsTheOldAddress(t *testing.T) {
	d, _, old, new := changing(t, nil, auth.WithNotifications(mail.EmailChanged))
	d.press(old.Link())
	d.press(new.Link()).landsWithTokens("email_change")
	m := d.LastMail(oldEmail)
	require.Equal(t, mail.EmailChanged, m.Kind)
	require.Contains(t, m.Text, newEmail)
	require.NotEqual(t, mail.EmailChanged, d.LastMail(newEmail).Kind)

	quiet, _, old, new := changing(t, nil)
	quiet.press(old.Link())
	quiet.press(new.Link()).landsWithTokens("email_change")
	require.Equal(t, mail.EmailChange, quiet.LastMail(oldEmail).Kind)
}

func TestPasswordChangeTellsTheUser(t *testing.T) {
	d := open(t, auth.WithNotifications(mail.PasswordChanged))
	in := d.signUp(oldEmail)
	d.send(http.MethodPut, "/user", map[string]any{"password": "an even better one"}, bearer(in.AccessToken)).want(http.StatusOK, nil)
	require.Equal(t, mail.PasswordChanged, d.LastMail(oldEmail).Kind)
}

// What was sent to the old address opens nothing once the address has changed.
func TestEmailChangeEndsOldLinks(t *testing.T) {
	d, _, old, new := changing(t, nil)
	d.post("/recover", map[string]any{"email": oldEmail}).want(http.StatusOK, nil)
	recovery := d.LastMail(oldEmail)
	d.press(old.Link())
	d.press(new.Link()).landsWithTokens("email_change")
	d.press(recovery.Link()).landsWithLinkError()
	d.byCode("recovery", oldEmail, recovery.Code()).wantCodeError()
	d.byCode("recovery", newEmail, recovery.Code()).wantCodeError()
}

// A new password ends a change of address that somebody else asked for before: neither
// its mails nor new ones open the account.
func TestPasswordChangeEndsAnEmailChange(t *testing.T) {
	for name, set := range map[string]func(d *door, in tokenAnswer){
		"user": func(d *door, in tokenAnswer) {
			d.send(http.MethodPut, "/user", map[string]any{"password": "an even better one"}, bearer(in.AccessToken)).want(http.StatusOK, nil)
		},
		"host": func(d *door, _ tokenAnswer) {
			pw := "an even better one"
			_, err := d.Auth.Users().Update(d.t.Context(), d.account(oldEmail).ID, auth.Change{Password: &pw})
			require.NoError(d.t, err)
		},
	} {
		t.Run(name, func(t *testing.T) {
			d, in, _, new := changing(t, nil)
			set(d, in)
			d.press(new.Link()).landsWithLinkError()
			d.pass()
			d.post("/resend", map[string]any{"type": "email_change", "email": oldEmail}).want(http.StatusOK, nil)
			require.Len(t, d.mailsTo(newEmail), 1)
			require.Empty(t, d.account(oldEmail).NewEmail)
		})
	}
	// In one request with the password the address is asked for.
	d := open(t)
	in := d.signUp(oldEmail)
	d.send(http.MethodPut, "/user", map[string]any{"password": "an even better one", "email": newEmail}, bearer(in.AccessToken)).want(http.StatusOK, nil)
	require.Equal(t, newEmail, d.account(oldEmail).NewEmail)
	_, v := d.press(d.LastMail(newEmail).Link()).landing()
	require.Equal(t, proof.HalfDone, v.Get("message"))
}

// Requests at the same time are refused as too many, never as if the address were taken.
func TestEmailChangeRequestsAtOnce(t *testing.T) {
	d := open(t, auth.WithMailFrequency(0))
	in := d.signUp(oldEmail)
	inParallel(t, 8, 16, func() bool {
		a := d.send(http.MethodPut, "/user", map[string]any{"email": newEmail}, bearer(in.AccessToken))
		if a.Status != http.StatusOK {
			a.wantFault(http.StatusTooManyRequests, "over_email_send_rate_limit")
		}
		b := d.send(http.MethodGet, "/reauthenticate", nil, bearer(in.AccessToken))
		if b.Status != http.StatusOK {
			b.wantFault(http.StatusTooManyRequests, "over_email_send_rate_limit")
		}
		return true
	})
}

func TestEmailChangeTooSoon(t *testing.T) {
	d, in, _, _ := changing(t, nil)
	d.send(http.MethodPut, "/user", map[string]any{"email": "third@example.com"}, bearer(in.AccessToken)).wantFault(http.StatusTooManyRequests, "over_email_send_rate_limit")
	// The address is counted too: several accounts can't flood it.
	bob := d.signUp("bob@example.com")
	d.send(http.MethodPut, "/user", map[string]any{"email": newEmail}, bearer(bob.AccessToken)).wantFault(http.StatusTooManyRequests, "over_email_send_rate_limit")
	d.pass()
	d.send(http.MethodPut, "/user", map[string]any{"email": newEmail}, bearer(bob.AccessToken)).want(http.StatusOK, nil)
}

// The new address gets its own change of mind: another wish replaces the first.
func TestEmailChangeAgain(t *testing.T) {
	d, in, old, new := changing(t, nil)
	d.pass()
	d.send(http.MethodPut, "/user", map[string]any{"email": "third@example.com"}, bearer(in.AccessToken)).want(http.StatusOK, nil)
	d.press(old.Link()).landsWithLinkError()
	d.press(new.Link()).landsWithLinkError()
	d.press(d.LastMail(oldEmail).Link())
	d.press(d.LastMail("third@example.com").Link()).landsWithTokens("email_change")
}

func TestEmailChangeOfTheUnconfirmed(t *testing.T) {
	d := open(t, auth.WithUnconfirmedSignIn(true))
	d.post("/signup", map[string]any{"email": oldEmail, "password": goodPassword}).want(http.StatusOK, nil)
	in := d.signIn(oldEmail)
	d.send(http.MethodPut, "/user", map[string]any{"email": newEmail}, bearer(in.AccessToken)).want(http.StatusOK, nil)
	d.press(d.LastMail(newEmail).Link())
	d.press(d.LastMail(oldEmail).Link()).landsWithTokens("email_change")
	require.False(t, d.account(newEmail).EmailConfirmedAt.IsZero())
}
