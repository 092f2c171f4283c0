package auth_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/truekeel/auth"
	"github.com/truekeel/auth/mail"
)

func statusAndBody(a answer) string { return fmt.Sprint(a.Status, " ", string(a.Body)) }

func TestOTPMakesAnAccount(t *testing.T) {
	for _, path := range []string{"/otp", "/magiclink"} {
		for _, create := range []any{nil, true} {
			d := open(t)
			body := map[string]any{"email": "Ada@Example.com", "data": map[string]any{"name": "Ada"}}
			if create != nil {
				body["create_user"] = create
			}
			require.Equal(t, "200 {}", statusAndBody(d.post(path, body)))
			m := d.LastMail("ada@example.com")
			require.Equal(t, mail.Confirmation, m.Kind, "the first mail asks to confirm the address")
			acc := d.account("ada@example.com")
			require.True(t, acc.EmailConfirmedAt.IsZero())
			require.False(t, acc.HasPassword)
			require.Equal(t, "Ada", acc.UserMetadata.String("name"))

			var got tokenAnswer
			d.byCode("email", "ada@example.com", m.Code()).want(http.StatusOK, &got)
			d.pass()
			// Then it is a sign-in; data of a later request changes nothing.
			body["data"] = map[string]any{"name": "Eve"}
			d.post(path, body).want(http.StatusOK, nil)
			m = d.LastMail("ada@example.com")
			require.Equal(t, mail.MagicLink, m.Kind)
			d.press(m.Link()).landsWithTokens("magiclink")
			require.Equal(t, "Ada", d.account("ada@example.com").UserMetadata.String("name"))
		}
	}
}

// Rules for passwords don't concern who has none.
func TestOTPUnderStrictRulesForPasswords(t *testing.T) {
	d := open(t, auth.WithPasswordLength(40), auth.WithPasswordCharacters("0123456789", "!?"))
	for _, path := range []string{"/otp", "/magiclink"} {
		email := path[1:] + "@example.com"
		require.Equal(t, "200 {}", statusAndBody(d.post(path, map[string]any{"email": email})))
		d.byCode("email", email, d.LastMail(email).Code()).want(http.StatusOK, nil)
	}
}

// Old clients verify the first code of a new account as "magiclink", others as "signup".
func TestOTPFirstCodeUnderAnyName(t *testing.T) {
	for _, kind := range []string{"email", "magiclink", "signup"} {
		d := open(t)
		d.post("/otp", map[string]any{"email": "ada@example.com"}).want(http.StatusOK, nil)
		d.byCode(kind, "ada@example.com", d.LastMail("ada@example.com").Code()).want(http.StatusOK, nil)
	}
}

func TestOTPCreateUserFalse(t *testing.T) {
	d := open(t)
	require.Equal(t, "200 {}", statusAndBody(d.post("/otp", map[string]any{"email": "nobody@example.com", "create_user": false})))
	require.Empty(t, d.mailsTo("nobody@example.com"))
	_, err := d.Auth.Users().FindByEmail(t.Context(), "nobody@example.com")
	require.Error(t, err)

	d.confirmed("ada@example.com")
	d.post("/otp", map[string]any{"email": "ada@example.com", "create_user": false}).want(http.StatusOK, nil)
	d.byCode("email", "ada@example.com", d.LastMail("ada@example.com").Code()).want(http.StatusOK, nil)
}

func TestOTPRefuses(t *testing.T) {
	d := open(t)
	for _, c := range []struct {
		path, body string
		status     int
		code, text string
	}{
		{"/otp", `{}`, 400, "validation_failed", "One of email or phone must be set"},
		{"/otp", `{"email":"a@example.com","phone":"15550100"}`, 400, "validation_failed", "Only an email address or phone number should be provided"},
		{"/otp", `{"email":"a@example.com","channel":"sms"}`, 400, "validation_failed", "Channel should only be specified with Phone OTP"},
		{"/otp", `{"phone":"15550100"}`, 400, "phone_provider_disabled", "Unsupported phone provider"},
		{"/otp", `{"email":"a"}`, 400, "validation_failed", ""},
		{"/otp", `{"email":"a@example.com","create_user":"yes"}`, 400, "bad_json", ""},
		{"/otp", `{"email":"a@example.com","data":[]}`, 400, "bad_json", ""},
		{"/magiclink", `{}`, 422, "validation_failed", "Password recovery requires an email"},
		{"/magiclink", `{"email":"a@b@c"}`, 400, "validation_failed", ""},
	} {
		a := d.post(c.path, c.body).wantFault(c.status, c.code)
		if c.text != "" {
			require.Equal(t, c.text, a.object()["msg"])
		}
	}
	for text, opt := range map[string]auth.Option{
		"Email logins are disabled":         auth.WithEmailSignIn(false),
		"Login with magic link is disabled": auth.WithMagicLink(false),
	} {
		d := open(t, opt)
		for _, path := range []string{"/otp", "/magiclink"} {
			a := d.post(path, map[string]any{"email": "a@example.com"}).wantFault(http.StatusUnprocessableEntity, "email_provider_disabled")
			require.Equal(t, text, a.object()["msg"])
		}
	}
}

// Many requests for one new address at once make one account and one mail.
func TestOTPRaces(t *testing.T) {
	d := open(t)
	ok := inParallel(t, 10, 10, func() bool {
		a := d.post("/otp", map[string]any{"email": "ada@example.com"})
		if a.Status != http.StatusOK {
			a.wantFault(http.StatusTooManyRequests, "over_email_send_rate_limit")
		}
		return a.Status == http.StatusOK
	})
	require.Equal(t, 1, ok)
	require.Len(t, d.mailsTo("ada@example.com"), 1)

	d = open(t, auth.WithMailFrequency(0))
	ok = inParallel(t, 10, 10, func() bool {
		a := d.post("/otp", map[string]any{"email": "ada@example.com"})
		if a.Status != http.StatusOK {
			a.wantFault(http.StatusTooManyRequests, "over_email_send_rate_limit")
		}
		return a.Status == http.StatusOK
	})
	require.Positive(t, ok)
	d.byCode("email", "ada@example.com", lastIssued(t, d, "ada@example.com")).want(http.StatusOK, nil)
}

// lastIssued finds the one code that is good among mails that were sent at the same time.
func lastIssued(t *testing.T, d *door, email string) string {
	t.Helper()
	good := ""
	for _, m := range d.mailsTo(email) {
		if a := d.byHash("email", linkParams(t, m.Link()).Get("token")); a.Status == http.StatusOK {
			require.Empty(t, good, "two links are good")
			good = m.Code()
		}
	}
	require.NotEmpty(t, good)
	d.post("/otp", map[string]any{"email": email}).want(http.StatusOK, nil)
	return d.LastMail(email).Code()
}
