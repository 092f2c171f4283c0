package auth_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/truekeel/auth"
)

func TestResendSignUp(t *testing.T) {
	d := open(t)
	d.post("/signup", map[string]any{"email": "ada@example.com", "password": goodPassword}).want(http.StatusOK, nil)
	first := d.LastMail("ada@example.com")
	d.post("/resend", map[string]any{"type": "signup", "email": "ada@example.com"}).wantFault(http.StatusTooManyRequests, "over_email_send_rate_limit")
	d.pass()
	require.Equal(t, "200 {}", statusAndBody(d.post("/resend", map[string]any{"type": "signup", "email": "Ada@Example.com"})))
	second := d.LastMail("ada@example.com")
	require.NotEqual(t, first.Link(), second.Link())

	d.press(first.Link()).landsWithLinkError()
	d.byCode("signup", "ada@example.com", first.Code()).wantCodeError()
	d.press(second.Link()).landsWithTokens("signup")
	d.signIn("ada@example.com")

	d.pass()
	require.Equal(t, "200 {}", statusAndBody(d.post("/resend", map[string]any{"type": "signup", "email": "ada@example.com"})))
	require.Len(t, d.mailsTo("ada@example.com"), 2, "a confirmed account gets none")
}

func TestResendEmailChange(t *testing.T) {
	d := open(t)
	in := d.signUp("ada@example.com")
	d.pass()
	require.Equal(t, "200 {}", statusAndBody(d.post("/resend", map[string]any{"type": "email_change", "email": "ada@example.com"})))
	require.Len(t, d.mailsTo("ada@example.com"), 1, "no change is pending")
	d.pass()
	d.send(http.MethodPut, "/user", map[string]any{"email": "new@example.com"}, bearer(in.AccessToken)).want(http.StatusOK, nil)
	old := [2]string{d.LastMail("ada@example.com").Link(), d.LastMail("new@example.com").Link()}
	d.pass()
	// It is found by the present address, not by the new one.
	d.post("/resend", map[string]any{"type": "email_change", "email": "new@example.com"}).want(http.StatusOK, nil)
	require.Len(t, d.mailsTo("new@example.com"), 1)
	d.post("/resend", map[string]any{"type": "email_change", "email": "ada@example.com"}).want(http.StatusOK, nil)
	for _, l := range old {
		d.press(l).landsWithLinkError()
	}
	_, v := d.press(d.LastMail("ada@example.com").Link()).landing()
	require.Contains(t, v.Get("message"), "Confirmation link accepted")
	d.press(d.LastMail("new@example.com").Link()).landsWithTokens("email_change")
	require.Equal(t, "new@example.com", d.account("new@example.com").Email)
}

func TestResendRefuses(t *testing.T) {
	d := open(t)
	for _, c := range []struct{ body, code, text string }{
		{`{}`, "validation_failed", "Missing one of these types: signup, email_change, sms, phone_change"},
		{`{"type":"recovery","email":"a@example.com"}`, "validation_failed", "Missing one of these types: signup, email_change, sms, phone_change"},
		{`{"type":"signup","phone":"15550100"}`, "validation_failed", "Type provided requires an email address"},
		{`{"type":"sms","email":"a@example.com"}`, "validation_failed", "Type provided requires a phone number"},
		{`{"type":"signup","email":"a@example.com","phone":"15550100"}`, "validation_failed", "Only an email address or phone number should be provided."},
		{`{"type":"sms","phone":"15550100"}`, "phone_provider_disabled", "Phone logins are disabled"},
		{`{"type":"email_change"}`, "validation_failed", "Missing email address or phone number"},
		{`{"type":"phone_change"}`, "validation_failed", "Missing email address or phone number"},
		{`{"type":"signup","email":"a@b@c"}`, "validation_failed", ""},
	} {
		a := d.post("/resend", c.body).wantFault(http.StatusBadRequest, c.code)
		if c.text != "" {
			require.Equal(t, c.text, a.object()["msg"], c.body)
		}
	}
	off := open(t, auth.WithEmailSignIn(false))
	off.post("/resend", `{"type":"signup","email":"a@example.com"}`).wantFault(http.StatusBadRequest, "email_provider_disabled")
}
