package auth_test

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/truekeel/auth"
	"github.com/truekeel/auth/sms"
)

// checker is a service that makes the codes itself: always the same.
type checker struct {
	carrier
	down   bool
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
	for _, m := range c.sent {
		if m.To == to {
			return code == itsCode, nil
		}
	}
	return false, nil
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
	d, _ := openChecker(t, auth.WithCodes(auth.Codes{MaxGuesses: 100, MaxPerHour: 100}))
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
