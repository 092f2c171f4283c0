package auth_test

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/truekeel/auth"
	"github.com/truekeel/auth/sms"
	"github.com/truekeel/auth/tokens"
)

// checker is a service that makes the codes itself: always the same. It agrees to each
// that it sent once, or as often as it is asked.
type checker struct {
	carrier
	down   bool
	always bool
	used   int // of those sent
	checks []string
}

const itsCode = "424242"

func (c *checker) Check(_ context.Context, to, code string) (bool, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.checks = append(c.checks, to+" "+code)
	if c.down {
		return false, errors.New("no answer about " + code)
	}
	if c.used == len(c.sent) || c.sent[len(c.sent)-1].To != to || code != itsCode {
		return false, nil
	}
	if !c.always {
		c.used = len(c.sent)
	}
	return true, nil
}

func (c *checker) checked() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.checks)
}

func openChecker(t testing.TB, opts ...auth.Option) (*door, *checker) {
	t.Helper()
	c := &checker{}
	return open(t, append([]auth.Option{auth.WithSMS(c)}, opts...)...), c
}

// Where the service makes the codes, none is made here, and it is asked.
func TestServiceMakesTheCodes(t *testing.T) {
	d, c := openChecker(t, auth.WithReauthentication(true), auth.WithSMSCodes(auth.SMSCodes{Life: time.Second}))
	c.always = true // also where the code came under a wrong name
	number, next := phone(1), phone(2)
	d.post("/signup", map[string]any{"phone": number, "password": goodPassword}).want(http.StatusOK, nil)
	d.Deliver()
	require.Equal(t, 1, c.count())
	require.Equal(t, sms.Message{ID: c.sent[0].ID, To: number, Channel: sms.Text}, c.sent[0], "it has neither code nor text")
	d.bySMS("sms", number, "111111").wantFault(http.StatusForbidden, "otp_expired")
	d.Clock.Advance(5 * time.Minute) // the life of codes is the service's
	var in tokenAnswer
	d.bySMS("sms", number, itsCode).want(http.StatusOK, &in)
	d.bySMS("sms", number, itsCode).wantFault(http.StatusForbidden, "otp_expired")
	d.signInPhone(number, goodPassword).want(http.StatusOK, nil)

	d.send("PUT", "/user", map[string]any{"phone": next}, bearer(in.AccessToken)).want(http.StatusOK, nil)
	d.Deliver()
	d.bySMS("sms", next, itsCode).wantFault(http.StatusForbidden, "otp_expired")
	d.bySMS("phone_change", next, itsCode).want(http.StatusOK, &in)

	d.Clock.Advance(25 * time.Hour)
	d.post("/token?grant_type=refresh_token", map[string]any{"refresh_token": in.RefreshToken}).want(http.StatusOK, &in)
	d.send("GET", "/reauthenticate", nil, bearer(in.AccessToken)).want(http.StatusOK, nil)
	d.Deliver()
	change := map[string]any{"password": "another good password", "nonce": "111111"}
	d.send("PUT", "/user", change, bearer(in.AccessToken)).wantFault(http.StatusUnprocessableEntity, "reauthentication_not_valid")
	change["nonce"] = itsCode
	d.send("PUT", "/user", change, bearer(in.AccessToken)).want(http.StatusOK, nil)
}

// Guesses are counted here before the service is asked, whose answer is worth nothing
// once they are used up; so is one about a code that was never sent from here.
func TestGuessesAtAServicesCodes(t *testing.T) {
	d, c := openChecker(t)
	d.post("/otp", map[string]any{"phone": phone(1)}).want(http.StatusOK, nil)
	d.Deliver()
	for range 5 {
		d.bySMS("sms", phone(1), "111111").wantFault(http.StatusForbidden, "otp_expired")
	}
	d.bySMS("sms", phone(1), itsCode).wantFault(http.StatusForbidden, "otp_expired")
	for range 30 {
		d.bySMS("sms", phone(1), itsCode).wantFault(http.StatusForbidden, "otp_expired")
	}
	require.Equal(t, 20, c.checked(), "twenty an hour")

	before := c.checked()
	_, err := c.Send(t.Context(), sms.Message{To: phone(2)}) // from elsewhere
	require.NoError(t, err)
	d.bySMS("sms", phone(2), itsCode).wantFault(http.StatusForbidden, "otp_expired")
	require.Equal(t, before+1, c.checked(), "a number without a code costs the same")
}

func TestServiceThatCannotSay(t *testing.T) {
	log := &sink{}
	d, c := openChecker(t, auth.WithLogger(textLogger(log)))
	d.post("/otp", map[string]any{"phone": phone(1)}).want(http.StatusOK, nil)
	d.Deliver()
	c.down = true
	a := d.bySMS("sms", phone(1), itsCode).wantFault(http.StatusServiceUnavailable, "service_unavailable")
	require.Equal(t, "1", a.Header.Get("Retry-After"))
	require.Contains(t, log.String(), "no answer about ...")
	require.NotContains(t, log.String(), itsCode)
	c.down = false
	d.bySMS("sms", phone(1), itsCode).want(http.StatusOK, nil)
}

// Fifty who have the right code at once: one of them gets a session, although the service
// said yes to all.
func TestRacingChecks(t *testing.T) {
	d, c := openChecker(t, auth.WithCodes(auth.Codes{MaxGuesses: 100, MaxPerHour: 100}))
	c.always = true
	d.post("/otp", map[string]any{"phone": phone(1)}).want(http.StatusOK, nil)
	d.Deliver()
	require.Equal(t, 1, race(50, func() answer { return d.bySMS("sms", phone(1), itsCode) })[http.StatusOK])
}

// A service's code doesn't tell which request it belongs to: that of a sign-in counts,
// which vouches for nobody's password.
func TestServiceVouchesForNoSquatter(t *testing.T) {
	d, _ := openChecker(t)
	evil := "the squatter's password"
	for n, steps := range [][]string{{"/signup", "/otp"}, {"/otp", "/signup"}} {
		for _, path := range steps {
			d.post(path, map[string]any{"phone": phone(n), "password": evil}).want(http.StatusOK, nil)
			d.pass()
		}
		d.bySMS("sms", phone(n), itsCode).want(http.StatusOK, nil)
		d.signInPhone(phone(n), evil).wantFault(http.StatusBadRequest, "invalid_credentials")
	}
}

// What the service has agreed to, which it does once, stays good where something else is
// refused; what can be refused without it is, before it is asked.
func TestRightCodeOfAServiceStaysGood(t *testing.T) {
	var refuse error
	d, c := openChecker(t, auth.WithReauthentication(true), auth.WithCurrentPassword(true), auth.WithHooks(auth.Hooks{
		CustomAccessToken: func(context.Context, auth.Account, *tokens.Claims) error { return refuse },
	}))
	verify := func(kind, number string, more map[string]any) answer {
		body := map[string]any{"type": kind, "phone": number, "token": itsCode}
		maps.Copy(body, more)
		return d.post("/verify", body)
	}
	d.post("/otp", map[string]any{"phone": phone(1)}).want(http.StatusOK, nil)
	d.Deliver()
	verify("sms", phone(1), map[string]any{"password": "short"}).wantFault(http.StatusUnprocessableEntity, "weak_password")
	verify("sms", phone(1), map[string]any{"password": strings.Repeat("long", 20)}).wantFault(http.StatusBadRequest, "validation_failed")
	require.Zero(t, c.checked())
	refuse = &auth.Error{Code: "not_now", Message: "Not now"}
	for range 10 { // it is no guess
		verify("sms", phone(1), nil).wantFault(http.StatusBadRequest, "not_now")
	}
	require.Equal(t, 1, c.checked())
	d.bySMS("sms", phone(1), "111111").wantFault(http.StatusForbidden, "otp_expired")
	require.Equal(t, 2, c.checked())
	refuse = nil
	var in tokenAnswer
	verify("sms", phone(1), map[string]any{"password": goodPassword}).want(http.StatusOK, &in)
	require.Equal(t, 2, c.checked())
	verify("sms", phone(1), nil).wantFault(http.StatusForbidden, "otp_expired")
	d.signInPhone(phone(1), goodPassword).want(http.StatusOK, &in)

	// A number that somebody else has when the code comes, and not any more later.
	d.send("PUT", "/user", map[string]any{"phone": phone(2)}, bearer(in.AccessToken)).want(http.StatusOK, nil)
	d.Deliver()
	u, err := d.Auth.Users().Create(t.Context(), auth.NewUser{Phone: phone(2), PhoneConfirmed: true})
	require.NoError(t, err)
	verify("phone_change", phone(2), nil).wantFault(http.StatusUnprocessableEntity, "phone_exists")
	require.NoError(t, d.Auth.Users().Delete(t.Context(), u.ID))
	verify("phone_change", phone(2), nil).want(http.StatusOK, nil)

	d.signInPhone(phone(2), goodPassword).want(http.StatusOK, &in)
	d.Clock.Advance(25 * time.Hour)
	d.post("/token?grant_type=refresh_token", map[string]any{"refresh_token": in.RefreshToken}).want(http.StatusOK, &in)
	d.send("GET", "/reauthenticate", nil, bearer(in.AccessToken)).want(http.StatusOK, nil)
	d.Deliver()
	before := c.checked()
	change := func(password, current, nonce string) answer {
		return d.put(in.AccessToken, map[string]any{"password": password, "current_password": current, "nonce": nonce})
	}
	change("short", goodPassword, itsCode).wantFault(http.StatusUnprocessableEntity, "weak_password")
	change(strings.Repeat("long", 20), goodPassword, itsCode).wantFault(http.StatusBadRequest, "validation_failed")
	change("another good password", "", "").wantFault(http.StatusBadRequest, "reauthentication_needed")
	change("another good password", "", itsCode).wantFault(http.StatusBadRequest, "current_password_required")
	require.Equal(t, before, c.checked())
	// Passwords aren't for those to guess at who have no nonce.
	change("another good password", "not it", "111111").wantFault(http.StatusUnprocessableEntity, "reauthentication_not_valid")
	change(goodPassword, goodPassword, "111111").wantFault(http.StatusUnprocessableEntity, "reauthentication_not_valid")
	change("another good password", "not it", itsCode).wantFault(http.StatusBadRequest, "current_password_invalid")
	change(goodPassword, goodPassword, itsCode).wantFault(http.StatusUnprocessableEntity, "same_password")
	change("another good password", goodPassword, itsCode).want(http.StatusOK, nil)
	require.Equal(t, before+3, c.checked())
	change("a third good password", "another good password", itsCode).wantFault(http.StatusUnprocessableEntity, "reauthentication_not_valid")
}

// The service isn't asked within a transaction: while it thinks, others get on.
func TestServiceHoldsNobodyUp(t *testing.T) {
	c := &slowChecker{entered: make(chan struct{}), leave: make(chan struct{})}
	d := open(t, auth.WithSMS(c))
	d.post("/otp", map[string]any{"phone": phone(1)}).want(http.StatusOK, nil)
	d.Deliver()
	var wg sync.WaitGroup
	var slow answer
	wg.Go(func() { slow = d.bySMS("sms", phone(1), itsCode) })
	<-c.entered
	d.post("/signup", map[string]any{"email": "ada@example.com", "password": goodPassword}).want(http.StatusOK, nil)
	close(c.leave)
	wg.Wait()
	slow.want(http.StatusOK, nil)
}

type slowChecker struct {
	carrier
	entered, leave chan struct{}
}

func (c *slowChecker) Check(context.Context, string, string) (bool, error) {
	close(c.entered)
	<-c.leave
	return true, nil
}
