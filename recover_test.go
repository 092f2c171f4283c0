package auth_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/truekeel/auth"
)

func TestRecoverSetsANewPassword(t *testing.T) {
	d := open(t)
	d.signUp("ada@example.com")
	a := d.post("/recover", map[string]any{"email": "ADA@Example.com"})
	require.Equal(t, "200 {}", statusAndBody(a))
	v := d.press(d.LastMail("ada@example.com").Link()).landsWithTokens("recovery")

	d.send(http.MethodPut, "/user", map[string]any{"password": "an even better one"}, bearer(v.Get("access_token"))).want(http.StatusOK, nil)
	body := map[string]any{"email": "ada@example.com", "password": goodPassword}
	d.post("/token?grant_type=password", body).wantFault(http.StatusBadRequest, "invalid_credentials")
	body["password"] = "an even better one"
	d.post("/token?grant_type=password", body).want(http.StatusOK, nil)
}

func TestRecoverWorksForTheUnconfirmed(t *testing.T) {
	d := open(t)
	d.post("/signup", map[string]any{"email": "ada@example.com", "password": goodPassword}).want(http.StatusOK, nil)
	d.post("/recover", map[string]any{"email": "ada@example.com"}).want(http.StatusOK, nil)
	d.press(d.LastMail("ada@example.com").Link()).landsWithTokens("recovery")
	require.False(t, d.account("ada@example.com").EmailConfirmedAt.IsZero())
}

func TestRecoverRefuses(t *testing.T) {
	d := open(t)
	for body, text := range map[string]string{
		`{}`:                             "Password recovery requires an email",
		`{"email":""}`:                   "Password recovery requires an email",
		`{"email":"a@b@c"}`:              "Unable to validate email address: invalid format",
		`{"email":"a@example.com."}`:     "Unable to validate email address: invalid format",
		`{"email":"victim＠example.com"}`: "Unable to validate email address: invalid format",
		`{"email":"vıctim@example.com"}`: "Unable to validate email address: invalid format",
		`{"email":"a@example.com\r\nBcc: b@example.com"}`:                           "Unable to validate email address: invalid format",
		`{"email":"a@example.com","code_challenge":"x"}`:                            "PKCE flow requires code_challenge_method and code_challenge",
		`{"email":"a@example.com,b@example.com"}`:                                   "Unable to validate email address: invalid format",
		`{"email":"a@example.com","code_challenge_method":"s256"}`:                  "PKCE flow requires code_challenge_method and code_challenge",
		`{"email":"\"<script>\"@example.com"}`:                                      "Unable to validate email address: invalid format",
		`{"email":" a@example.com"}`:                                                "Unable to validate email address: invalid format",
		`{"email":"a@[127.0.0.1]"}`:                                                 "Unable to validate email address: invalid format",
		`{"email":"a@example.com","code_challenge":"","code_challenge_method":"x"}`: "PKCE flow requires code_challenge_method and code_challenge",
	} {
		a := d.post("/recover", body).wantFault(http.StatusBadRequest, "validation_failed")
		require.Equal(t, text, a.object()["msg"], body)
	}
	d.post("/recover", ``).wantFault(http.StatusBadRequest, "bad_json")
	d.post("/recover", `{"email":["a@example.com"]}`).wantFault(http.StatusBadRequest, "bad_json")
	require.Empty(t, d.Mail.Messages())

	off := open(t, auth.WithEmailSignIn(false))
	for _, body := range []string{`{"email":"a@example.com"}`, `{}`} {
		a := off.post("/recover", body).wantFault(http.StatusBadRequest, "email_provider_disabled")
		require.Equal(t, "Email logins are disabled", a.object()["msg"])
	}
}

// A recovered session may set a password without the present one; so may one that
// began with the code of a PKCE recovery.
func TestRecoverNeedsNoCurrentPassword(t *testing.T) {
	for _, pkce := range []bool{false, true} {
		d := open(t, auth.WithCurrentPassword(true))
		in := d.signUp("ada@example.com")
		_ = in
		body := map[string]any{"email": "ada@example.com"}
		if pkce {
			body = withChallenge(body)
		}
		d.post("/recover", body).want(http.StatusOK, nil)
		a := d.press(d.LastMail("ada@example.com").Link())
		token := ""
		if pkce {
			u, _ := a.landing()
			var got tokenAnswer
			d.post("/token?grant_type=pkce", map[string]any{"auth_code": u.Query().Get("code"), "code_verifier": verifier}).want(http.StatusOK, &got)
			require.Equal(t, "recovery", methodOf(t, got.AccessToken))
			token = got.AccessToken
		} else {
			token = a.landsWithTokens("recovery").Get("access_token")
		}
		d.send(http.MethodPut, "/user", map[string]any{"password": "an even better one"}, bearer(token)).want(http.StatusOK, nil)
	}
}

func TestRecoverAndCurrentPassword(t *testing.T) {
	d := open(t, auth.WithCurrentPassword(true))
	d.confirmed("ada@example.com")
	in := d.signIn("ada@example.com")
	put := func(body map[string]any) answer {
		return d.send(http.MethodPut, "/user", body, bearer(in.AccessToken))
	}
	put(map[string]any{"password": "an even better one"}).wantFault(http.StatusBadRequest, "current_password_required")
	put(map[string]any{"password": "an even better one", "current_password": "wrong"}).wantFault(http.StatusBadRequest, "current_password_invalid")
	put(map[string]any{"data": map[string]any{"a": 1}}).want(http.StatusOK, nil)
	put(map[string]any{"password": "an even better one", "current_password": goodPassword}).want(http.StatusOK, nil)
}

// Who signs up with somebody else's address and waits has nothing when its owner comes.
func TestSquatterLosesHisPassword(t *testing.T) {
	const email, attacker = "victim@example.com", "the attacker's own"
	proofs := map[string]func(d *door, service header){
		"magic link": func(d *door, _ header) {
			d.post("/magiclink", map[string]any{"email": email}).want(http.StatusOK, nil)
			d.press(d.LastMail(email).Link()).landsWithTokens("signup")
		},
		"otp": func(d *door, _ header) {
			d.post("/otp", map[string]any{"email": email, "create_user": false}).want(http.StatusOK, nil)
			d.byCode("email", email, d.LastMail(email).Code()).want(http.StatusOK, nil)
		},
		"recovery": func(d *door, _ header) {
			d.post("/recover", map[string]any{"email": email}).want(http.StatusOK, nil)
			d.press(d.LastMail(email).Link()).landsWithTokens("recovery")
		},
		"invitation": func(d *door, service header) {
			d.post("/invite", map[string]any{"email": email}, service).want(http.StatusOK, nil)
			d.press(d.LastMail(email).Link()).landsWithTokens("invite")
		},
		"generated magic link": func(d *door, service header) {
			d.press(d.generate(service, map[string]any{"type": "magiclink", "email": email}).ActionLink).landsWithTokens("magiclink")
		},
		"generated sign-up": func(d *door, service header) {
			link := d.generate(service, map[string]any{"type": "signup", "email": email, "password": goodPassword})
			d.press(link.ActionLink).landsWithTokens("signup")
			d.signIn(email)
		},
	}
	for name, prove := range proofs {
		t.Run(name, func(t *testing.T) {
			d, service := openAdmin(t, auth.WithUnconfirmedSignIn(true))
			d.post("/signup", map[string]any{"email": email, "password": attacker}).want(http.StatusOK, nil)
			old := d.LastMail(email)
			var in tokenAnswer
			login := map[string]any{"email": email, "password": attacker}
			d.post("/token?grant_type=password", login).want(http.StatusOK, &in)
			d.pass()

			prove(d, service)
			d.post("/token?grant_type=password", login).wantFault(http.StatusBadRequest, "invalid_credentials")
			require.Equal(t, name == "generated sign-up", d.account(email).HasPassword)
			d.send(http.MethodGet, "/user", nil, bearer(in.AccessToken)).wantFault(http.StatusForbidden, "session_not_found")
			d.post("/token?grant_type=refresh_token", map[string]any{"refresh_token": in.RefreshToken}).wantFault(http.StatusBadRequest, "refresh_token_not_found")
			d.byCode("signup", email, old.Code()).wantCodeError()
			d.press(old.Link()).landsWithLinkError()
		})
	}
}

// A pending change that the squatter asked for is gone too.
func TestSquatterLosesHisEmailChange(t *testing.T) {
	d := open(t, auth.WithUnconfirmedSignIn(true), auth.WithSecureEmailChange(false))
	d.post("/signup", map[string]any{"email": "victim@example.com", "password": "the attacker's own"}).want(http.StatusOK, nil)
	var in tokenAnswer
	d.post("/token?grant_type=password", map[string]any{"email": "victim@example.com", "password": "the attacker's own"}).want(http.StatusOK, &in)
	d.send(http.MethodPut, "/user", map[string]any{"email": "attacker@example.com"}, bearer(in.AccessToken)).want(http.StatusOK, nil)
	change := d.LastMail("attacker@example.com")

	d.post("/recover", map[string]any{"email": "victim@example.com"}).want(http.StatusOK, nil)
	d.press(d.LastMail("victim@example.com").Link()).landsWithTokens("recovery")
	d.press(change.Link()).landsWithLinkError()
	require.Equal(t, "", d.account("victim@example.com").NewEmail)
}
