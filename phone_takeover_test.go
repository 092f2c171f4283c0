package auth_test

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/truekeel/auth"
	"github.com/truekeel/auth/sms"
)

// A service's code doesn't tell whose change of number it belongs to. Where it may be
// somebody else's it is nobody's: else who asks last gets the number of who reads the code
// off his phone, who gets a session of the other.
func TestServicesCodeIsNobodysOfTwo(t *testing.T) {
	d, _ := openChecker(t)
	owner, eve := d.signUp("ada@example.com"), d.signUp("eve@example.com")
	for _, in := range []tokenAnswer{owner, eve} {
		d.pass()
		d.send("PUT", "/user", map[string]any{"phone": phone(1)}, bearer(in.AccessToken)).want(http.StatusOK, nil)
	}
	d.Deliver()
	d.bySMS("phone_change", phone(1), itsCode).wantFault(http.StatusForbidden, "otp_expired")

	// Once the others' time is over, the code is the one's that is left.
	d.Clock.Advance(10 * time.Minute)
	d.send("PUT", "/user", map[string]any{"phone": phone(1)}, bearer(owner.AccessToken)).want(http.StatusOK, nil)
	d.Deliver()
	var in tokenAnswer
	d.bySMS("phone_change", phone(1), itsCode).want(http.StatusOK, &in)
	require.Equal(t, "ada@example.com", in.User["email"])
}

// Who waits for the code of a sign-in can't tell it from that of a sign-up which another
// makes meanwhile with a password of his own; both vouch for no password.
func TestSignUpBehindASignInVouchesForNothing(t *testing.T) {
	d := openPhones(t)
	evil := "the squatter's password"
	d.post("/otp", map[string]any{"phone": phone(1)}).want(http.StatusOK, nil)
	d.pass()
	d.post("/signup", map[string]any{"phone": phone(1), "password": evil}).want(http.StatusOK, nil)
	require.Equal(t, 2, d.texts(phone(1)))
	d.bySMS("sms", phone(1), d.LastSMS(phone(1)).Code).want(http.StatusOK, nil)
	d.signInPhone(phone(1), evil).wantFault(http.StatusBadRequest, "invalid_credentials")

	// Once nobody waits any more, a sign-up's code is its own.
	d.post("/otp", map[string]any{"phone": phone(2)}).want(http.StatusOK, nil)
	d.Deliver() // before its code ends
	d.Clock.Advance(time.Hour)
	d.post("/signup", map[string]any{"phone": phone(2), "password": goodPassword}).want(http.StatusOK, nil)
	d.bySMS("sms", phone(2), d.LastSMS(phone(2)).Code).want(http.StatusOK, nil)
	d.signInPhone(phone(2), goodPassword).want(http.StatusOK, nil)
}

// Two accounts that prove one number at once: one has it then, the other is told so.
func TestTwoProveOneNumber(t *testing.T) {
	d := openPhones(t)
	var codes []string
	for _, email := range []string{"ada@example.com", "bob@example.com"} {
		in := d.signUp(email)
		d.pass()
		d.send("PUT", "/user", map[string]any{"phone": phone(1)}, bearer(in.AccessToken)).want(http.StatusOK, nil)
		codes = append(codes, d.LastSMS(phone(1)).Code)
	}
	next := make(chan string, 2)
	for _, c := range codes {
		next <- c
	}
	require.Equal(t, map[int]int{http.StatusOK: 1, http.StatusUnprocessableEntity: 1},
		race(2, func() answer { return d.bySMS("phone_change", phone(1), <-next) }))
}

// An administrator's new password ends a change of number that somebody asked for
// before it, for good: it can't be asked for again by who knows the present number.
func TestAdminsPasswordEndsPhoneChange(t *testing.T) {
	d := openPhones(t)
	in := d.signUpPhone(phone(1))
	d.send("PUT", "/user", map[string]any{"phone": phone(2)}, bearer(in.AccessToken)).want(http.StatusOK, nil)
	code := d.LastSMS(phone(2)).Code
	u := d.send("PUT", "/admin/users/"+in.User["id"].(string), map[string]any{"password": "another good password"}, d.service()).want(http.StatusOK, nil).object()
	require.NotContains(t, u, "new_phone")
	d.bySMS("phone_change", phone(2), code).wantFault(http.StatusForbidden, "otp_expired")
	d.pass()
	d.post("/resend", map[string]any{"type": "phone_change", "phone": phone(1)}).want(http.StatusOK, nil)
	require.Equal(t, 1, d.texts(phone(2)))
}

// A proved address leaves the codes alone that wait for a number to be proved.
func TestEmailChangeLeavesPhoneChange(t *testing.T) {
	d := openPhones(t)
	in := d.signUpPhone(phone(1))
	d.send("PUT", "/user", map[string]any{"email": "ada@example.com", "phone": phone(2)}, bearer(in.AccessToken)).want(http.StatusOK, nil)
	mailed, change := d.LastMail("ada@example.com").Code(), d.LastSMS(phone(2)).Code
	d.byCode("email_change", "ada@example.com", mailed).want(http.StatusOK, nil)
	d.bySMS("phone_change", phone(2), change).want(http.StatusOK, nil)
}

// Where people sign in before they have proved their address, somebody can make an
// account in another's name and prove a number of his own. When the owner of the address
// comes, the number is no way in any more.
func TestSquattersPhoneGoes(t *testing.T) {
	d := openPhones(t, auth.WithUnconfirmedSignIn(true))
	d.post("/signup", map[string]any{"email": "ada@example.com", "password": "the squatter's password"}).want(http.StatusOK, nil)
	var eve tokenAnswer
	d.password("ada@example.com", "the squatter's password").want(http.StatusOK, &eve)
	d.pass()
	d.send("PUT", "/user", map[string]any{"phone": phone(1)}, bearer(eve.AccessToken)).want(http.StatusOK, nil)
	d.bySMS("phone_change", phone(1), d.LastSMS(phone(1)).Code).want(http.StatusOK, nil)
	d.pass()

	d.post("/otp", map[string]any{"email": "ada@example.com"}).want(http.StatusOK, nil)
	var ada tokenAnswer
	d.byCode("email", "ada@example.com", d.LastMail("ada@example.com").Code()).want(http.StatusOK, &ada)
	require.Equal(t, eve.User["id"], ada.User["id"])
	d.pass()

	d.post("/otp", map[string]any{"phone": phone(1)}).want(http.StatusOK, nil)
	var again tokenAnswer
	d.bySMS("sms", phone(1), d.LastSMS(phone(1)).Code).want(http.StatusOK, &again)
	require.NotEqual(t, ada.User["id"], again.User["id"], "the squatter has an account of his own")
}

// The code of a test number ends with the numbers' time, also one that was asked for
// before.
func TestTestNumbersEnd(t *testing.T) {
	clock := openPhones(t).Clock.Now()
	d := openPhones(t, auth.WithTestNumbers(map[string]string{"15005550100": "123456"}, clock.Add(time.Hour)))
	d.post("/otp", map[string]any{"phone": "15005550100"}).want(http.StatusOK, nil)
	d.Clock.Advance(2 * time.Hour)
	d.bySMS("sms", "15005550100", "123456").wantFault(http.StatusForbidden, "otp_expired")
}

// What is no number is nobody's, also not theirs who have none.
func TestNoNumberIsNobodys(t *testing.T) {
	d := openPhones(t)
	d.signUp("ada@example.com")
	for _, none := range []string{" ", "+", "+ ", "0", "\u0660\u0661\u0662", "４９１７１", "null", "+49'--"} {
		d.signInPhone(none, goodPassword).wantFault(http.StatusBadRequest, "invalid_credentials")
		d.post("/otp", map[string]any{"phone": none}).wantFault(http.StatusBadRequest, "validation_failed")
		d.post("/signup", map[string]any{"phone": none, "password": goodPassword}).wantFault(http.StatusBadRequest, "validation_failed")
	}
	require.Empty(t, d.SMS.Messages())
}

// Guesses at whatever was sent to a number count together, whichever request sent it, and
// no new request begins the count again.
func TestGuessesOfANumberCountTogether(t *testing.T) {
	d := openPhones(t, auth.WithSMSFrequency(0), auth.WithReauthentication(true), auth.WithSMSCodes(auth.SMSCodes{Life: time.Hour}))
	in := d.signUpPhone(phone(1))
	d.Clock.Advance(25 * time.Hour)
	d.post("/token?grant_type=refresh_token", map[string]any{"refresh_token": in.RefreshToken}).want(http.StatusOK, &in)
	wrong, guesses := "000000", 0
	guess := func(kind string) {
		guesses++
		if kind == "nonce" {
			d.send("PUT", "/user", map[string]any{"password": "another good password", "nonce": wrong}, bearer(in.AccessToken)).
				wantFault(http.StatusUnprocessableEntity, "reauthentication_not_valid")
			return
		}
		d.bySMS(kind, phone(1), wrong).wantFault(http.StatusForbidden, "otp_expired")
	}
	for _, ask := range []func(){
		func() { d.post("/otp", map[string]any{"phone": phone(1)}).want(http.StatusOK, nil) },
		func() { d.send("GET", "/reauthenticate", nil, bearer(in.AccessToken)).want(http.StatusOK, nil) },
		func() {
			d.post("/resend", map[string]any{"type": "phone_change", "phone": phone(1)}).want(http.StatusOK, nil)
		},
		func() { d.post("/otp", map[string]any{"phone": "+" + phone(1)}).want(http.StatusOK, nil) },
	} {
		ask()
		for _, kind := range []string{"sms", "phone_change", "nonce", "signup", "sms"} {
			guess(kind)
		}
	}
	require.Equal(t, 20, guesses)
	code := d.LastSMS(phone(1)).Code
	d.bySMS("sms", phone(1), code).wantFault(http.StatusForbidden, "otp_expired")
	d.signInPhone(phone(1), goodPassword).want(http.StatusOK, nil)
}

// Where numbers need no proof, two who take one at once get it once.
func TestTwoTakeOneNumber(t *testing.T) {
	d := openPhones(t, auth.WithSMSAutoConfirm(true))
	who := make(chan string, 10)
	for n := range cap(who) {
		acc := d.confirmed(string(rune('a'+n)) + "@example.com")
		who <- d.signIn(acc.Email).AccessToken
	}
	require.Equal(t, map[int]int{http.StatusOK: 1, http.StatusUnprocessableEntity: 9},
		race(10, func() answer { return d.send("PUT", "/user", map[string]any{"phone": phone(1)}, bearer(<-who)) }))
}

// One's own number is no password, however it is dialled.
func TestOwnNumberIsNoPassword(t *testing.T) {
	d := openPhones(t)
	number := "4915112345678"
	for _, own := range []string{number, "+" + number, "015112345678", "15112345678", "00" + number} {
		d.post("/signup", map[string]any{"phone": "+49 151 12345678", "password": own}).wantWeak("pwned")
	}
	in := d.signUpPhone(number)
	d.send("PUT", "/user", map[string]any{"password": "015112345678"}, bearer(in.AccessToken)).wantWeak("pwned")
	d.send("PUT", "/user", map[string]any{"password": "01712345678", "phone": "491712345678"}, bearer(in.AccessToken)).wantWeak("pwned")
	d.send("PUT", "/user", map[string]any{"password": "4915112345679"}, bearer(in.AccessToken)).want(http.StatusOK, nil)
}

// No spelling of a path, a method or a grant leads around the captcha.
func TestNoWayAroundTheCaptcha(t *testing.T) {
	d, s := openCaptcha(t, auth.WithPhoneSignIn(true))
	d.confirmed("ada@example.com")
	body := map[string]any{"email": "ada@example.com", "password": goodPassword, "grant_type": "password"}
	for _, path := range []string{
		"/token?grant_type=password", "/v1/token?grant_type=password", "/token/?grant_type=password", "//token?grant_type=password",
		"/./token?grant_type=password", "/v1/../token?grant_type=password", "/%74oken?grant_type=password", "/Token?grant_type=password",
		"/token?grant_type=password&grant_type=refresh_token", "/token?grant_type=refresh_token&grant_type=password", "/token?GRANT_TYPE=password",
		"/token?grant_type=Password", "/token?grant_type=%70assword", "/token?grant_type=password%00", "/token;x?grant_type=password",
		"/token?grant_type=pkce", "/token?grant_type=id_token", "/token?x=%zz&grant_type=password", "/token",
	} {
		for _, method := range []string{"POST", "PUT", "GET", "HEAD", "OPTIONS"} {
			for _, kind := range []string{"application/json", "application/x-www-form-urlencoded", "text/plain", ""} {
				a := d.send(method, path, body, header{"Content-Type", kind}, header{"X-HTTP-Method-Override", "POST"})
				require.NotContains(t, string(a.Body), "access_token", "%s %s %s", method, path, kind)
				require.Less(t, a.Status, 500, "%s %s %s", method, path, kind)
			}
		}
	}
	for _, path := range []string{"/otp", "/v1/otp"} {
		d.post(path, map[string]any{"phone": phone(1)}).wantFault(http.StatusBadRequest, "captcha_failed")
		d.post(path, map[string]any{"phone": phone(1), "GOTRUE_META_SECURITY": map[string]any{"captcha_token": "wrong"}}).wantFault(http.StatusBadRequest, "captcha_failed")
	}
	require.Empty(t, d.SMS.Messages())
	require.Equal(t, 2, s.count())
}

// A number that an administrator gave an invited account before anybody came stays.
func TestInvitedPhoneStays(t *testing.T) {
	d := openPhones(t, auth.WithUnconfirmedSignIn(true))
	u := d.send("POST", "/invite", map[string]any{"email": "ada@example.com"}, d.service()).want(http.StatusOK, nil).object()
	d.pass()
	d.send("PUT", "/admin/users/"+u["id"].(string), map[string]any{"phone": phone(1), "phone_confirm": true}, d.service()).want(http.StatusOK, nil)
	var in tokenAnswer
	d.byCode("invite", "ada@example.com", d.LastMail("ada@example.com").Code()).want(http.StatusOK, &in)
	require.Equal(t, phone(1), in.User["phone"])
	require.NotEmpty(t, in.User["phone_confirmed_at"])
}

// The message of a change that could not be sent again may be asked for at once.
func TestFailedResendOfAChangeIsNotCounted(t *testing.T) {
	c := &carrier{}
	d := open(t, auth.WithSMS(c), auth.WithSyncDelivery())
	d.post("/signup", map[string]any{"phone": phone(1), "password": goodPassword}).want(http.StatusOK, nil)
	var in tokenAnswer
	d.bySMS("sms", phone(1), c.code()).want(http.StatusOK, &in)
	d.send("PUT", "/user", map[string]any{"phone": phone(2)}, bearer(in.AccessToken)).want(http.StatusOK, nil)
	d.pass()
	again := map[string]any{"type": "phone_change", "phone": phone(1)}
	c.breaks(func(sms.Message) error { return errors.New("no") })
	d.post("/resend", again).wantFault(http.StatusUnprocessableEntity, "sms_send_failed")
	c.breaks(nil)
	d.post("/resend", again).want(http.StatusOK, nil)
	d.bySMS("phone_change", phone(2), c.code()).want(http.StatusOK, nil)
}

// Who asks for the code of a sign-in while that of another's sign-up lies in his phone
// can't tell the two apart: neither vouches for a password that may be another's.
func TestSignUpBeforeASignInVouchesForNothing(t *testing.T) {
	d := openPhones(t)
	evil := "the squatter's password"
	d.post("/signup", map[string]any{"phone": phone(1), "password": evil}).want(http.StatusOK, nil)
	first := d.LastSMS(phone(1)).Code
	d.pass()
	d.post("/otp", map[string]any{"phone": phone(1)}).want(http.StatusOK, nil)
	require.Equal(t, 2, d.texts(phone(1)))
	d.bySMS("sms", phone(1), first).want(http.StatusOK, nil)
	d.signInPhone(phone(1), evil).wantFault(http.StatusBadRequest, "invalid_credentials")
}
