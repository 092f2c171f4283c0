package auth_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/truekeel/auth"
	"github.com/truekeel/auth/mail"
	"github.com/truekeel/auth/sms"
)

// openPhones opens a door with phones switched on, whose messages the harness keeps.
func openPhones(t testing.TB, opts ...auth.Option) *door {
	t.Helper()
	return open(t, append([]auth.Option{auth.WithPhoneSignIn(true)}, opts...)...)
}

// phone is the n-th number, each in a range of its own.
func phone(n int) string { return fmt.Sprintf("49171%03d4567", n) }

// texts counts the messages to a number.
func (d *door) texts(to string) int {
	d.t.Helper()
	d.Deliver()
	n := 0
	for _, m := range d.SMS.Messages() {
		if m.To == to {
			n++
		}
	}
	return n
}

// bySMS redeems a code.
func (d *door) bySMS(kind, number, code string) answer {
	d.t.Helper()
	return d.post("/verify", map[string]any{"type": kind, "phone": number, "token": code})
}

// signUpPhone makes an account through the door, confirms it by the code and gives its
// tokens.
func (d *door) signUpPhone(number string) tokenAnswer {
	d.t.Helper()
	d.post("/signup", map[string]any{"phone": number, "password": goodPassword}).want(http.StatusOK, nil)
	var out tokenAnswer
	d.bySMS("sms", number, d.LastSMS(number).Code).want(http.StatusOK, &out)
	return out
}

// signInPhone signs in by password.
func (d *door) signInPhone(number, password string) answer {
	d.t.Helper()
	return d.post("/token?grant_type=password", map[string]any{"phone": number, "password": password})
}

func TestPhoneSignUp(t *testing.T) {
	d := openPhones(t)
	number := phone(1)
	u := d.post("/signup", map[string]any{"phone": "+" + number[:2] + " " + number[2:], "password": goodPassword, "data": map[string]any{"name": "Ada"}}).want(http.StatusOK, nil).object()
	require.Equal(t, number, u["phone"])
	require.Empty(t, u["email"])
	require.NotEmpty(t, u["confirmation_sent_at"])
	require.NotContains(t, u, "phone_confirmed_at")
	require.Equal(t, map[string]any{"provider": "phone", "providers": []any{"phone"}}, u["app_metadata"])
	require.Equal(t, map[string]any{"sub": u["id"], "name": "Ada", "email_verified": false, "phone_verified": false}, u["user_metadata"])
	identity := u["identities"].([]any)[0].(map[string]any)
	require.Equal(t, "phone", identity["provider"])
	require.Equal(t, u["id"], identity["id"])

	d.signInPhone(number, goodPassword).wantFault(http.StatusBadRequest, "phone_not_confirmed")
	m := d.LastSMS(number)
	require.Equal(t, "Your code is "+m.Code, m.Body)
	require.Equal(t, sms.Text, m.Channel)
	d.bySMS("sms", number, other(m.Code)).wantFault(http.StatusForbidden, "otp_expired")
	var in tokenAnswer
	d.bySMS("sms", "+"+number, m.Code).want(http.StatusOK, &in)
	require.NotEmpty(t, in.AccessToken)
	require.NotEmpty(t, in.User["phone_confirmed_at"])
	require.Equal(t, in.User["phone_confirmed_at"], in.User["confirmed_at"])
	require.Equal(t, true, in.User["user_metadata"].(map[string]any)["phone_verified"])
	data := in.User["identities"].([]any)[0].(map[string]any)["identity_data"].(map[string]any)
	require.Equal(t, true, data["phone_verified"])
	claims, err := d.Auth.Verify(t.Context(), in.AccessToken)
	require.NoError(t, err)
	require.Equal(t, number, claims.Phone)

	d.bySMS("sms", number, m.Code).wantFault(http.StatusForbidden, "otp_expired")
	require.Equal(t, "otp", methodOf(t, in.AccessToken))
	var again tokenAnswer
	d.signInPhone("+"+number, goodPassword).want(http.StatusOK, &again)
	require.Equal(t, "password", methodOf(t, again.AccessToken))
	require.Nil(t, again.Weak)

	var seen []string
	_, entries := d.audit("")
	for _, e := range entries {
		seen = append(seen, fmt.Sprint(e.Payload.Action, " ", e.Payload.Username, " ", e.Payload.Traits["provider"], " ", e.Payload.Traits["channel"]))
	}
	require.ElementsMatch(t, []string{
		"user_confirmation_requested " + number + " phone sms",
		"user_signedup " + number + " phone <nil>",
		"login " + number + " phone <nil>",
	}, seen)
}

func TestPhonesAreOffByDefault(t *testing.T) {
	d := open(t)
	in := d.signUp("ada@example.com")
	for _, c := range []struct {
		method, path string
		body         map[string]any
		status       int
		text         string
	}{
		{"POST", "/signup", map[string]any{"phone": phone(1), "password": goodPassword}, 400, "Phone signups are disabled"},
		{"POST", "/otp", map[string]any{"phone": phone(1)}, 400, "Unsupported phone provider"},
		{"POST", "/resend", map[string]any{"type": "sms", "phone": phone(1)}, 400, "Phone logins are disabled"},
		{"POST", "/resend", map[string]any{"type": "phone_change", "phone": phone(1)}, 400, "Phone logins are disabled"},
		{"POST", "/token?grant_type=password", map[string]any{"phone": phone(1), "password": goodPassword}, 422, "Phone logins are disabled"},
		{"PUT", "/user", map[string]any{"phone": phone(1)}, 400, "Phone logins are disabled"},
	} {
		a := d.send(c.method, c.path, c.body, bearer(in.AccessToken)).wantFault(c.status, "phone_provider_disabled")
		require.Equal(t, c.text, a.object()["msg"], c.path)
	}
	d.bySMS("sms", phone(1), "123456").wantFault(http.StatusForbidden, "otp_expired")
	s := d.send("GET", "/settings", nil).want(http.StatusOK, nil).object()
	require.Equal(t, false, s["external"].(map[string]any)["phone"])
	require.Empty(t, s["sms_provider"])
}

func TestPhoneSettings(t *testing.T) {
	d := open(t, auth.WithSMS(&sms.Vonage{APIKey: "k", APISecret: "s", From: "Acme"}), auth.WithSMSAutoConfirm(true))
	s := d.send("GET", "/settings", nil).want(http.StatusOK, nil).object()
	require.Equal(t, true, s["external"].(map[string]any)["phone"])
	require.Equal(t, true, s["phone_autoconfirm"])
	require.Equal(t, false, s["mailer_autoconfirm"])
	require.Equal(t, "vonage", s["sms_provider"])
}

func TestPhoneRequestsAreChecked(t *testing.T) {
	d := open(t, auth.WithSMS(sms.Func(func(context.Context, sms.Message) (string, error) { return "", nil })))
	good := phone(1)
	long := strings.Repeat("a", 43)
	for _, c := range []struct {
		path string
		body map[string]any
		code string
		text string
	}{
		{"/signup", map[string]any{"phone": good, "email": "a@example.com", "password": goodPassword}, "validation_failed", "Only an email address or phone number should be provided on signup."},
		{"/signup", map[string]any{"phone": good}, "validation_failed", "Signup requires a valid password"},
		{"/signup", map[string]any{"phone": good, "password": goodPassword, "code_challenge": long, "code_challenge_method": "s256"}, "validation_failed", "PKCE not supported for phone signups"},
		{"/signup", map[string]any{"phone": good, "password": goodPassword, "channel": "pigeon"}, "validation_failed", "Invalid channel, supported values are 'sms' or 'whatsapp'"},
		{"/signup", map[string]any{"phone": good, "password": goodPassword, "channel": "whatsapp"}, "validation_failed", "Invalid channel, 'whatsapp' isn't supported by the service that sends the messages"},
		{"/signup", map[string]any{"phone": "0049", "password": goodPassword}, "validation_failed", "Invalid phone number format (E.164 required)"},
		{"/signup", map[string]any{"phone": good, "password": "short"}, "weak_password", ""},
		{"/signup", map[string]any{"phone": good, "password": goodPassword, "data": map[string]any{"x": strings.Repeat("x", 9000)}}, "validation_failed", ""},
		{"/otp", map[string]any{"phone": good, "email": "a@example.com"}, "validation_failed", "Only an email address or phone number should be provided"},
		{"/otp", map[string]any{"email": "a@example.com", "channel": "sms"}, "validation_failed", "Channel should only be specified with Phone OTP"},
		{"/otp", map[string]any{}, "validation_failed", "One of email or phone must be set"},
		{"/otp", map[string]any{"phone": "x"}, "validation_failed", "Invalid phone number format (E.164 required)"},
		{"/otp", map[string]any{"phone": good, "channel": "fax"}, "validation_failed", "Invalid channel, supported values are 'sms' or 'whatsapp'"},
		{"/resend", map[string]any{"type": "fax", "phone": good}, "validation_failed", "Missing one of these types: signup, email_change, sms, phone_change"},
		{"/resend", map[string]any{"type": "sms", "email": "a@example.com"}, "validation_failed", "Type provided requires a phone number"},
		{"/resend", map[string]any{"type": "sms", "phone": good, "email": "a@example.com"}, "validation_failed", "Only an email address or phone number should be provided."},
		{"/resend", map[string]any{"type": "phone_change"}, "validation_failed", "Missing email address or phone number"},
		{"/resend", map[string]any{"type": "phone_change", "phone": "12345678901234567"}, "validation_failed", "Invalid phone number format (E.164 required)"},
		{"/token?grant_type=password", map[string]any{"phone": good, "email": "a@example.com", "password": "x"}, "validation_failed", "Only an email address or phone number should be provided on login."},
		{"/token?grant_type=password", map[string]any{"password": "x"}, "validation_failed", "missing email or phone"},
		{"/token?grant_type=password", map[string]any{"phone": "not a number", "password": goodPassword}, "invalid_credentials", "Invalid login credentials"},
		{"/verify", map[string]any{"type": "sms", "phone": "x", "token": "123456"}, "validation_failed", "Invalid phone number format (E.164 required)"},
		{"/verify", map[string]any{"type": "sms", "phone": good, "email": "a@example.com", "token": "123456"}, "validation_failed", "Only an email address or phone number should be provided on verify"},
		{"/verify", map[string]any{"type": "sms", "token_hash": strings.Repeat("a", 56)}, "validation_failed", "Invalid email verification type"},
		{"/verify", map[string]any{"type": "phone_change", "token_hash": strings.Repeat("a", 56)}, "validation_failed", "Invalid email verification type"},
	} {
		a := d.post(c.path, c.body)
		require.Equal(t, c.code, a.Header.Get("x-sb-error-code"), "%s %v: %s", c.path, c.body, a.Body)
		if c.code != "weak_password" {
			require.Equal(t, http.StatusBadRequest, a.Status, "%s %v", c.path, c.body)
		}
		if c.text != "" {
			require.Equal(t, c.text, a.object()["msg"], "%s %v", c.path, c.body)
		}
	}
	for _, kind := range []string{"signup", "email", "recovery", "magiclink", "nonsense", "email_change"} {
		d.bySMS(kind, good, "123456").wantFault(http.StatusForbidden, "otp_expired")
	}
}

func TestPhoneCode(t *testing.T) {
	d := openPhones(t)
	number := phone(1)
	a := d.post("/otp", map[string]any{"phone": "+" + number, "data": map[string]any{"name": "Ada"}, "channel": "whatsapp"})
	require.Equal(t, "200 {}", fmt.Sprint(a.Status, " ", string(a.Body)))
	m := d.LastSMS(number)
	require.Equal(t, sms.WhatsApp, m.Channel)
	var in tokenAnswer
	d.bySMS("sms", number, m.Code).want(http.StatusOK, &in)
	require.Equal(t, "Ada", in.User["user_metadata"].(map[string]any)["name"])

	d.post("/otp", map[string]any{"phone": number}).wantFault(http.StatusTooManyRequests, "over_sms_send_rate_limit")
	d.pass()
	d.post("/otp", map[string]any{"phone": number, "create_user": false}).want(http.StatusOK, nil)
	var again tokenAnswer
	d.bySMS("sms", number, d.LastSMS(number).Code).want(http.StatusOK, &again)
	require.Equal(t, in.User["id"], again.User["id"])
	d.signInPhone(number, goodPassword).wantFault(http.StatusBadRequest, "invalid_credentials")
}

// A code dies with its life, and with too many guesses at it.
func TestPhoneCodeEnds(t *testing.T) {
	d := openPhones(t, auth.WithSMSCodes(auth.SMSCodes{Length: 8, Life: time.Minute}))
	number := phone(1)
	d.post("/otp", map[string]any{"phone": number}).want(http.StatusOK, nil)
	code := d.LastSMS(number).Code
	require.Len(t, code, 8)
	d.Clock.Advance(time.Minute)
	d.bySMS("sms", number, code).wantFault(http.StatusForbidden, "otp_expired")
	d.post("/otp", map[string]any{"phone": number}).want(http.StatusOK, nil)
	code = d.LastSMS(number).Code
	for range 5 {
		d.bySMS("sms", number, other(code)).wantFault(http.StatusForbidden, "otp_expired")
	}
	d.bySMS("sms", number, code).wantFault(http.StatusForbidden, "otp_expired")
}

// What waits too long isn't sent: its code is good for nothing any more.
func TestLateMessagesAreNotSent(t *testing.T) {
	var mu sync.Mutex
	var calls int
	down := errors.New("down")
	d := open(t, auth.WithSMS(sms.Func(func(context.Context, sms.Message) (string, error) {
		mu.Lock()
		defer mu.Unlock()
		calls++
		return "", down
	})))
	d.post("/otp", map[string]any{"phone": phone(1)}).want(http.StatusOK, nil)
	_ = d.Auth.Deliver(t.Context())
	d.Clock.Advance(time.Hour)
	mu.Lock()
	before := calls
	mu.Unlock()
	require.Positive(t, before)
	_ = d.Auth.Deliver(t.Context())
	mu.Lock()
	defer mu.Unlock()
	require.Equal(t, before, calls)
}

// A code of one purpose stands for no other, and overwrites none.
func TestPhoneCodesAreKeptApart(t *testing.T) {
	d := openPhones(t)
	first, next := phone(1), phone(2)
	in := d.signUpPhone(first)
	d.send("PUT", "/user", map[string]any{"email": "ada@example.com", "phone": next}, bearer(in.AccessToken)).want(http.StatusOK, nil)
	mailed, change := d.LastMail("ada@example.com").Code(), d.LastSMS(next).Code
	d.pass()
	d.post("/otp", map[string]any{"phone": first}).want(http.StatusOK, nil)
	signIn := d.LastSMS(first).Code
	d.bySMS("phone_change", first, signIn).wantFault(http.StatusForbidden, "otp_expired")
	d.bySMS("sms", next, change).wantFault(http.StatusForbidden, "otp_expired")
	d.bySMS("sms", first, signIn).want(http.StatusOK, nil)
	d.bySMS("phone_change", next, change).want(http.StatusOK, nil)
	d.byCode("email_change", "ada@example.com", mailed).want(http.StatusOK, nil)
}

// Whoever lies in wait with a password for the number's owner gains nothing.
func TestPhoneSquatterGainsNothing(t *testing.T) {
	d := openPhones(t)
	number := phone(1)
	evil := "the squatter's password"
	d.post("/signup", map[string]any{"phone": number, "password": evil}).want(http.StatusOK, nil)
	d.pass()
	d.post("/otp", map[string]any{"phone": number}).want(http.StatusOK, nil)
	d.pass()
	d.post("/resend", map[string]any{"type": "sms", "phone": number}).want(http.StatusOK, nil)
	d.bySMS("sms", number, d.LastSMS(number).Code).want(http.StatusOK, nil)
	d.signInPhone(number, evil).wantFault(http.StatusBadRequest, "invalid_credentials")

	number = phone(2)
	d.post("/signup", map[string]any{"phone": number, "password": evil, "data": map[string]any{"name": "Eve"}}).want(http.StatusOK, nil)
	d.pass()
	d.post("/signup", map[string]any{"phone": number, "password": goodPassword, "data": map[string]any{"name": "Ada"}}).want(http.StatusOK, nil)
	var in tokenAnswer
	d.bySMS("sms", number, d.LastSMS(number).Code).want(http.StatusOK, &in)
	require.Equal(t, "Ada", in.User["user_metadata"].(map[string]any)["name"])
	d.signInPhone(number, evil).wantFault(http.StatusBadRequest, "invalid_credentials")
	d.signInPhone(number, goodPassword).want(http.StatusOK, nil)
}

func TestPhoneResend(t *testing.T) {
	d := openPhones(t)
	number := phone(1)
	d.post("/signup", map[string]any{"phone": number, "password": goodPassword}).want(http.StatusOK, nil)
	old := d.LastSMS(number).Code
	d.post("/resend", map[string]any{"type": "sms", "phone": number}).wantFault(http.StatusTooManyRequests, "over_sms_send_rate_limit")
	d.pass()
	d.post("/resend", map[string]any{"type": "sms", "phone": number}).want(http.StatusOK, nil)
	code := d.LastSMS(number).Code
	if old != code {
		d.bySMS("sms", number, old).wantFault(http.StatusForbidden, "otp_expired")
	}
	d.bySMS("sms", number, code).want(http.StatusOK, nil)
	d.signInPhone(number, goodPassword).want(http.StatusOK, nil)
	d.pass()
	a := d.post("/resend", map[string]any{"type": "sms", "phone": number})
	require.Equal(t, "200 {}", fmt.Sprint(a.Status, " ", string(a.Body)))
	require.Equal(t, 2, d.texts(number), "there is nothing to prove any more")
}

func TestPhoneChange(t *testing.T) {
	d := openPhones(t, auth.WithNotifications(mail.PhoneChanged))
	first, next := phone(1), phone(2)
	in := d.signUp("ada@example.com")
	u := d.send("PUT", "/user", map[string]any{"phone": "+" + first}, bearer(in.AccessToken)).want(http.StatusOK, nil).object()
	require.Equal(t, first, u["new_phone"])
	require.NotEmpty(t, u["phone_change_sent_at"])
	require.Empty(t, u["phone"])
	d.send("PUT", "/user", map[string]any{"phone": next}, bearer(in.AccessToken)).wantFault(http.StatusTooManyRequests, "over_sms_send_rate_limit")
	var moved tokenAnswer
	d.bySMS("phone_change", first, d.LastSMS(first).Code).want(http.StatusOK, &moved)
	require.Equal(t, first, moved.User["phone"])
	require.NotEmpty(t, moved.User["phone_confirmed_at"])
	require.NotContains(t, moved.User, "new_phone")
	require.Equal(t, []any{"email", "phone"}, moved.User["app_metadata"].(map[string]any)["providers"])
	identity := moved.User["identities"].([]any)[1].(map[string]any)["identity_data"].(map[string]any)
	require.Equal(t, first, identity["phone"])
	require.Equal(t, true, identity["phone_verified"])
	require.Equal(t, mail.PhoneChanged, d.LastMail("ada@example.com").Kind)
	d.signInPhone(first, goodPassword).want(http.StatusOK, nil)

	d.pass()
	d.send("PUT", "/user", map[string]any{"phone": next}, bearer(in.AccessToken)).want(http.StatusOK, nil)
	d.pass()
	d.post("/resend", map[string]any{"type": "phone_change", "phone": first}).want(http.StatusOK, nil)
	require.Equal(t, 2, d.texts(next))
	d.bySMS("phone_change", first, d.LastSMS(next).Code).wantFault(http.StatusForbidden, "otp_expired")
	d.bySMS("phone_change", next, d.LastSMS(next).Code).want(http.StatusOK, &moved)
	require.Equal(t, next, moved.User["phone"])
	d.signInPhone(first, goodPassword).wantFault(http.StatusBadRequest, "invalid_credentials")
	d.signInPhone(next, goodPassword).want(http.StatusOK, nil)

	d.signUpPhone(phone(3))
	a := d.send("PUT", "/user", map[string]any{"phone": phone(3)}, bearer(in.AccessToken)).wantFault(http.StatusUnprocessableEntity, "phone_exists")
	require.Equal(t, "A user with this phone number has already been registered", a.object()["msg"])
	d.send("PUT", "/user", map[string]any{"phone": next}, bearer(in.AccessToken)).want(http.StatusOK, nil)
	require.Equal(t, 2, d.texts(next), "it is his number")
}

// A number that became another's while its proof was under way isn't taken from him.
func TestPhoneChangeToATakenNumber(t *testing.T) {
	d := openPhones(t)
	in := d.signUp("ada@example.com")
	d.send("PUT", "/user", map[string]any{"phone": phone(1)}, bearer(in.AccessToken)).want(http.StatusOK, nil)
	code := d.LastSMS(phone(1)).Code
	_, err := d.Auth.Users().Create(t.Context(), auth.NewUser{Phone: "+" + phone(1), PhoneConfirmed: true})
	require.NoError(t, err)
	d.bySMS("phone_change", phone(1), code).wantFault(http.StatusUnprocessableEntity, "phone_exists")
}

// A new password ends what was asked for before it.
func TestPasswordEndsPhoneChange(t *testing.T) {
	d := openPhones(t)
	in := d.signUp("ada@example.com")
	d.send("PUT", "/user", map[string]any{"phone": phone(1)}, bearer(in.AccessToken)).want(http.StatusOK, nil)
	code := d.LastSMS(phone(1)).Code
	u := d.send("PUT", "/user", map[string]any{"password": "another good password"}, bearer(in.AccessToken)).want(http.StatusOK, nil).object()
	require.NotContains(t, u, "new_phone")
	d.bySMS("phone_change", phone(1), code).wantFault(http.StatusForbidden, "otp_expired")
}

func TestSMSAutoConfirm(t *testing.T) {
	d := openPhones(t, auth.WithSMSAutoConfirm(true), auth.WithNotifications(mail.PhoneChanged))
	var in tokenAnswer
	d.post("/signup", map[string]any{"phone": phone(1), "password": goodPassword}).want(http.StatusOK, &in)
	require.NotEmpty(t, in.User["phone_confirmed_at"])
	require.NotEmpty(t, in.User["confirmed_at"])
	require.Zero(t, d.texts(phone(1)))
	d.post("/signup", map[string]any{"phone": phone(1), "password": goodPassword}).wantFault(http.StatusUnprocessableEntity, "user_already_exists")
	u := d.send("PUT", "/user", map[string]any{"phone": phone(2)}, bearer(in.AccessToken)).want(http.StatusOK, nil).object()
	require.Equal(t, phone(2), u["phone"])
	require.Zero(t, d.texts(phone(2)))
	// Mails are still proved, and codes still sent.
	a := d.post("/signup", map[string]any{"email": "ada@example.com", "password": goodPassword}).want(http.StatusOK, nil).object()
	require.NotContains(t, a, "access_token")
	for _, number := range []string{phone(2), phone(3)} {
		d.post("/otp", map[string]any{"phone": number}).want(http.StatusOK, nil)
		d.bySMS("sms", number, d.LastSMS(number).Code).want(http.StatusOK, nil)
	}
}

func TestPhoneReauthentication(t *testing.T) {
	d := openPhones(t, auth.WithReauthentication(true))
	number := phone(1)
	in := d.signUpPhone(number)
	d.Clock.Advance(25 * time.Hour)
	d.post("/token?grant_type=refresh_token", map[string]any{"refresh_token": in.RefreshToken}).want(http.StatusOK, &in)
	change := map[string]any{"password": "another good password"}
	d.send("PUT", "/user", change, bearer(in.AccessToken)).wantFault(http.StatusBadRequest, "reauthentication_needed")
	d.send("GET", "/reauthenticate", nil, bearer(in.AccessToken)).want(http.StatusOK, nil)
	d.send("GET", "/reauthenticate", nil, bearer(in.AccessToken)).wantFault(http.StatusTooManyRequests, "over_sms_send_rate_limit")
	nonce := d.LastSMS(number).Code
	change["nonce"] = other(nonce)
	d.send("PUT", "/user", change, bearer(in.AccessToken)).wantFault(http.StatusUnprocessableEntity, "reauthentication_not_valid")
	change["nonce"] = nonce
	d.send("PUT", "/user", change, bearer(in.AccessToken)).want(http.StatusOK, nil)
	change["password"] = "yet another password"
	d.send("PUT", "/user", change, bearer(in.AccessToken)).wantFault(http.StatusUnprocessableEntity, "reauthentication_not_valid")
	d.signInPhone(number, "another good password").want(http.StatusOK, nil)
}

func TestUnprovedPhoneCannotReauthenticate(t *testing.T) {
	d := openPhones(t)
	u, err := d.Auth.Users().Create(t.Context(), auth.NewUser{Phone: "+" + phone(1)})
	require.NoError(t, err)
	g, err := d.Auth.Users().Issue(t.Context(), u.ID, "password")
	require.NoError(t, err)
	a := d.send("GET", "/reauthenticate", nil, bearer(g.AccessToken)).wantFault(http.StatusUnprocessableEntity, "phone_not_confirmed")
	require.Equal(t, "Please verify your phone first.", a.object()["msg"])
}

func TestBannedAndDeletedPhones(t *testing.T) {
	d := openPhones(t)
	in := d.signUpPhone(phone(1))
	id := in.User["id"].(string)
	admin := d.service()
	d.pass()
	d.post("/otp", map[string]any{"phone": phone(1)}).want(http.StatusOK, nil)
	code := d.LastSMS(phone(1)).Code
	d.send("PUT", "/admin/users/"+id, map[string]any{"ban_duration": "1h"}, admin).want(http.StatusOK, nil)
	d.bySMS("sms", phone(1), code).wantFault(http.StatusForbidden, "user_banned")
	d.signInPhone(phone(1), goodPassword).wantFault(http.StatusBadRequest, "user_banned")
	d.send("PUT", "/admin/users/"+id, map[string]any{"ban_duration": "none"}, admin).want(http.StatusOK, nil)
	d.bySMS("sms", phone(1), code).want(http.StatusOK, nil)

	d.pass()
	d.post("/otp", map[string]any{"phone": phone(1)}).want(http.StatusOK, nil)
	code = d.LastSMS(phone(1)).Code
	d.send("DELETE", "/admin/users/"+id, map[string]any{"should_soft_delete": true}, admin).want(http.StatusOK, nil)
	d.bySMS("sms", phone(1), code).wantFault(http.StatusForbidden, "otp_expired")
	d.signInPhone(phone(1), goodPassword).wantFault(http.StatusBadRequest, "invalid_credentials")
	d.pass()
	again := d.signUpPhone(phone(1))
	require.NotEqual(t, id, again.User["id"], "the number is free at once")
}

// An administrator writes numbers in any form, and moves them at once.
func TestAdminPhones(t *testing.T) {
	d := openPhones(t)
	admin := d.service()
	u := d.post("/admin/users", map[string]any{"phone": "+49 171 0014567", "password": goodPassword, "phone_confirm": true}, admin).want(http.StatusOK, nil).object()
	require.Equal(t, phone(1), u["phone"])
	data := u["identities"].([]any)[0].(map[string]any)["identity_data"].(map[string]any)
	require.Equal(t, phone(1), data["phone"])
	a := d.post("/admin/users", map[string]any{"phone": phone(1)}, admin).wantFault(http.StatusUnprocessableEntity, "phone_exists")
	require.Equal(t, "Phone number already registered by another user", a.object()["msg"])
	d.post("/admin/users", map[string]any{"phone": "1-800"}, admin).wantFault(http.StatusBadRequest, "validation_failed")
	d.signInPhone(phone(1), goodPassword).want(http.StatusOK, nil)
	d.post("/otp", map[string]any{"phone": phone(1)}).want(http.StatusOK, nil)
	code := d.LastSMS(phone(1)).Code
	u = d.send("PUT", "/admin/users/"+u["id"].(string), map[string]any{"phone": "+" + phone(2), "phone_confirm": true}, admin).want(http.StatusOK, nil).object()
	require.Equal(t, phone(2), u["phone"])
	d.bySMS("sms", phone(1), code).wantFault(http.StatusForbidden, "otp_expired")
	d.bySMS("sms", phone(2), code).wantFault(http.StatusForbidden, "otp_expired")
	d.signInPhone(phone(2), goodPassword).want(http.StatusOK, nil)
}

func TestPhoneSignUpOff(t *testing.T) {
	d := openPhones(t, auth.WithSignUp(false))
	d.post("/signup", map[string]any{"phone": phone(1), "password": goodPassword}).wantFault(http.StatusUnprocessableEntity, "signup_disabled")
	a := d.post("/otp", map[string]any{"phone": phone(1)})
	require.Equal(t, "200 {}", fmt.Sprint(a.Status, " ", string(a.Body)))
	require.Zero(t, d.texts(phone(1)))
	d = openPhones(t, auth.WithSignUp(false), auth.WithVisibleDuplicates())
	d.post("/otp", map[string]any{"phone": phone(1)}).wantFault(http.StatusUnprocessableEntity, "signup_disabled")
	a = d.post("/otp", map[string]any{"phone": phone(1), "create_user": false}).wantFault(http.StatusUnprocessableEntity, "otp_disabled")
	require.Equal(t, "Signups not allowed for otp", a.object()["msg"])
}

func TestTestNumbers(t *testing.T) {
	until := time.Now().Add(240 * time.Hour)
	d := openPhones(t, auth.WithTestNumbers(map[string]string{"+1 900 555 0100": "123456", "15005550101": "654321"}, until))
	number := "19005550100"
	a := d.post("/otp", map[string]any{"phone": "+" + number}).want(http.StatusOK, nil)
	require.JSONEq(t, `{"message_id":"test-otp"}`, string(a.Body))
	d.bySMS("sms", number, "654321").wantFault(http.StatusForbidden, "otp_expired")
	d.Clock.Advance(10 * time.Minute)
	d.bySMS("sms", number, "123456").want(http.StatusOK, nil)
	d.bySMS("sms", number, "123456").wantFault(http.StatusForbidden, "otp_expired")
	a = d.post("/otp", map[string]any{"phone": number, "create_user": false}).want(http.StatusOK, nil)
	require.JSONEq(t, `{"message_id":"test-otp"}`, string(a.Body))
	a = d.post("/otp", map[string]any{"phone": "15005550101", "create_user": false}).want(http.StatusOK, nil)
	require.JSONEq(t, `{"message_id":"test-otp"}`, string(a.Body), "whether or not there is an account")
	require.Zero(t, d.texts(number))
	d.Clock.Advance(241 * time.Hour)
	a = d.post("/otp", map[string]any{"phone": number}).wantFault(http.StatusBadRequest, "validation_failed")
	require.Equal(t, "Phone numbers of this kind are not accepted", a.object()["msg"], "it is premium rate")
}

// However a number is written, it has one code.
func TestSpellingsOfTestNumbers(t *testing.T) {
	d := openPhones(t, auth.WithTestNumbers(map[string]string{"+1 500 555 0100": "123456", "15005550100": "123456"}, time.Time{}))
	d.post("/otp", map[string]any{"phone": "15005550100"}).want(http.StatusOK, nil)
	d.bySMS("sms", "15005550100", "123456").want(http.StatusOK, nil)
	st := fresh(t)
	for range 20 { // whatever comes first in a map
		_, err := auth.New(auth.WithStore(st), auth.WithTestNumbers(map[string]string{"+1 500 555 0100": "123456", "15005550100": "654321"}, time.Time{}))
		require.ErrorContains(t, err, `auth: WithTestNumbers: "15005550100" is the number 15005550100, which has another code already`)
		require.NotContains(t, err.Error(), "123456")
		require.NotContains(t, err.Error(), "654321")
	}
}

func TestSMSTemplateAndInbox(t *testing.T) {
	a, err := auth.New(auth.WithStore(fresh(t)), auth.WithPhoneSignIn(true), auth.WithBcrypt(4), auth.WithSMSTemplate("{{ .Code }} <is> your Acme code"))
	require.NoError(t, err)
	t.Cleanup(func() { _ = a.Close(context.Background()) })
	ask := func(method, path, body string) *httptest.ResponseRecorder {
		return serve(a, httptest.NewRequest(method, "http://localhost"+path, strings.NewReader(body)))
	}
	require.Equal(t, http.StatusOK, ask("POST", "/auth/otp", `{"phone":"+`+phone(1)+`"}`).Code)
	require.NoError(t, a.Deliver(t.Context()))
	page := ask("GET", a.DevInboxURL(), "").Body.String()
	require.Contains(t, page, "&#43;"+phone(1))
	require.Regexp(t, `\d{6} &lt;is&gt; your Acme code`, page)
}
