package auth_test

import (
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/truekeel/auth"
)

func textLogger(s *sink) *slog.Logger { return slog.New(slog.NewTextHandler(s, nil)) }

// phoneAsks are the requests that must not tell whether a number has an account.
func phoneAsks() map[string]struct {
	path string
	body map[string]any
} {
	type ask = struct {
		path string
		body map[string]any
	}
	return map[string]ask{
		"otp":                   {"/otp", map[string]any{}},
		"otp, create no":        {"/otp", map[string]any{"create_user": false}},
		"resend sms":            {"/resend", map[string]any{"type": "sms"}},
		"resend phone change":   {"/resend", map[string]any{"type": "phone_change"}},
		"signup":                {"/signup", map[string]any{"password": goodPassword, "data": map[string]any{"name": "A"}}},
		"signup, weak password": {"/signup", map[string]any{"password": "short"}},
	}
}

// Known and unknown numbers get the same answers, the first time and too soon after that.
func TestNoEnumerationOfPhones(t *testing.T) {
	for name, ask := range phoneAsks() {
		t.Run(name, func(t *testing.T) {
			d := openPhones(t)
			unknown, known, halfway, changing := phone(0), phone(1), phone(2), phone(3)
			d.signUpPhone(known)
			d.post("/signup", map[string]any{"phone": halfway, "password": goodPassword}).want(http.StatusOK, nil)
			in := d.signUpPhone(changing)
			d.send(http.MethodPut, "/user", map[string]any{"phone": phone(4)}, bearer(in.AccessToken)).want(http.StatusOK, nil)
			d.Clock.Advance(2 * time.Hour)
			var want [2]answer
			for _, number := range []string{unknown, known, halfway, changing} {
				ask.body["phone"] = "+" + number
				for i := range want {
					got := d.post(ask.path, ask.body)
					if want[i].Body == nil {
						want[i] = got
					}
					require.Equal(t, want[i].Status, got.Status, number)
					require.Equal(t, sameButIDs(want[i], unknown), sameButIDs(got, number), number)
					require.Equal(t, headersOf(want[i]), headersOf(got), number)
				}
			}
		})
	}
}

// Where nothing is made, a request for an unknown number asks the same of the store as
// one for a known number; see TestNoEnumerationByWork.
func TestNoEnumerationOfPhonesByWork(t *testing.T) {
	sequential(t)
	for _, name := range []string{"otp, create no", "resend sms", "resend phone change"} {
		t.Run(name, func(t *testing.T) {
			ask := phoneAsks()[name]
			d, calls := openCounted(t, auth.WithPhoneSignIn(true))
			var known, unknown []float64
			for i := range 60 {
				number, nobody := phone(i), phone(500+i)
				switch name {
				case "resend sms":
					d.post("/signup", map[string]any{"phone": number, "password": goodPassword}).want(http.StatusOK, nil)
				default:
					_, err := d.Auth.Users().Create(t.Context(), auth.NewUser{Phone: "+" + number, PhoneConfirmed: true, Password: goodPassword})
					require.NoError(t, err)
				}
				if name == "resend phone change" {
					var in tokenAnswer
					d.signInPhone(number, goodPassword).want(http.StatusOK, &in)
					d.send(http.MethodPut, "/user", map[string]any{"phone": phone(250 + i)}, bearer(in.AccessToken)).want(http.StatusOK, nil)
				}
				d.pass()
				var a, b answer
				ask.body["phone"] = number
				k := d.workOf(calls, func() { a = d.post(ask.path, ask.body).want(http.StatusOK, nil) })
				ask.body["phone"] = nobody
				u := d.workOf(calls, func() { b = d.post(ask.path, ask.body).want(http.StatusOK, nil) })
				require.Equal(t, string(a.Body), string(b.Body))
				require.Equal(t, k, u, "by sort")
				known, unknown = append(known, sum(k)), append(unknown, sum(u))
			}
			require.Less(t, math.Abs(welch(known, unknown)), 1.98)
		})
	}
}

// Where an account is made on the way, transactions, hashes and messages are the same.
func TestNoEnumerationOfPhonesByCreation(t *testing.T) {
	d, calls := openCounted(t, auth.WithPhoneSignIn(true))
	n := 0
	for _, name := range []string{"otp", "signup"} {
		ask := phoneAsks()[name]
		n += 10
		d.signUpPhone(phone(n))
		d.pass()
		var a, b answer
		ask.body["phone"] = phone(n)
		k := d.workOf(calls, func() { a = d.post(ask.path, ask.body) })
		ask.body["phone"] = phone(n + 1)
		u := d.workOf(calls, func() { b = d.post(ask.path, ask.body) })
		require.Equal(t, a.Status, b.Status)
		for _, sort := range []string{"hashes", "transactions", "outbox rows"} {
			require.Equal(t, k[sort], u[sort], "%s: %s", name, sort)
		}
	}
}

// A guess for a number without an account, and a wrong password for one, ask the same of
// the store.
func TestNoEnumerationOfPhonesByGuesses(t *testing.T) {
	d, calls := openCounted(t, auth.WithPhoneSignIn(true))
	unknown, idle, waiting := phone(0), phone(1), phone(2)
	d.signUpPhone(idle)
	d.signUpPhone(waiting)
	d.pass()
	d.post("/otp", map[string]any{"phone": waiting}).want(http.StatusOK, nil)
	code := d.LastSMS(waiting).Code
	for _, kind := range []string{"sms", "phone_change", "password"} {
		var want map[string]int
		for _, number := range []string{unknown, idle, waiting} {
			got := d.workOf(calls, func() {
				if kind == "password" {
					d.signInPhone(number, "wrong").wantFault(http.StatusBadRequest, "invalid_credentials")
					return
				}
				d.bySMS(kind, number, other(code)).wantFault(http.StatusForbidden, "otp_expired")
			})
			if want == nil {
				want = got
			}
			require.Equal(t, want, got, fmt.Sprint(kind, " ", number))
		}
	}
}

// A sign-up for a confirmed number is answered as for any other, with the same id each
// time, and as clients expect it where the host wants that.
func TestPhoneDuplicates(t *testing.T) {
	d := openPhones(t)
	in := d.signUpPhone(phone(1))
	d.pass()
	first := d.post("/signup", map[string]any{"phone": phone(1), "password": "another good password"}).want(http.StatusOK, nil).object()
	second := d.post("/signup", map[string]any{"phone": phone(1), "password": "another good password"}).want(http.StatusOK, nil).object()
	require.Equal(t, first["id"], second["id"])
	require.NotEqual(t, in.User["id"], first["id"])
	require.Len(t, first["identities"], 1)
	require.Equal(t, 1, d.texts(phone(1)))
	d.signInPhone(phone(1), goodPassword).want(http.StatusOK, nil)

	d = openPhones(t, auth.WithVisibleDuplicates())
	d.signUpPhone(phone(1))
	u := d.post("/signup", map[string]any{"phone": phone(1), "password": "another good password"}).want(http.StatusOK, nil).object()
	require.Equal(t, []any{}, u["identities"])
	require.Equal(t, phone(1), u["phone"])
}
