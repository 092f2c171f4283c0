package auth_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/truekeel/auth"
	"github.com/truekeel/auth/limit"
	"github.com/truekeel/auth/sms"
)

// carrier is a service that can be down.
type carrier struct {
	mu   sync.Mutex
	sent []sms.Message
	fail func(sms.Message) error
}

func (c *carrier) Send(_ context.Context, m sms.Message) (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fail != nil {
		if err := c.fail(m); err != nil {
			return "", err
		}
	}
	c.sent = append(c.sent, m)
	return fmt.Sprintf("SM%d", len(c.sent)), nil
}

func (c *carrier) breaks(fail func(sms.Message) error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fail = fail
}

func (c *carrier) code() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.sent[len(c.sent)-1].Code
}

func (c *carrier) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.sent)
}

// With synchronous delivery the answer names the message, or says what the service said,
// without the code and the number.
func TestSyncMessages(t *testing.T) {
	c := &carrier{}
	d := open(t, auth.WithSMS(c), auth.WithSyncDelivery(), auth.WithReauthentication(true))
	number := phone(1)
	a := d.post("/otp", map[string]any{"phone": number}).want(http.StatusOK, nil)
	require.JSONEq(t, `{"message_id":"SM1"}`, string(a.Body))
	var in tokenAnswer
	d.bySMS("sms", number, c.code()).want(http.StatusOK, &in)
	a = d.send("GET", "/reauthenticate", nil, bearer(in.AccessToken)).want(http.StatusOK, nil)
	require.JSONEq(t, `{"message_id":"SM2"}`, string(a.Body))

	c.breaks(func(m sms.Message) error { return fmt.Errorf("no credit for %s to +%s", m.Body, m.To) })
	d.pass()
	for range 2 { // one that failed may be asked for again at once
		a = d.post("/otp", map[string]any{"phone": number}).wantFault(http.StatusUnprocessableEntity, "sms_send_failed")
		require.Equal(t, "Error sending confirmation OTP to provider: no credit for Your code is ... to +...", a.object()["msg"])
	}
	a = d.send("PUT", "/user", map[string]any{"phone": phone(2)}, bearer(in.AccessToken)).wantFault(http.StatusUnprocessableEntity, "sms_send_failed")
	require.Equal(t, "Error sending phone_change OTP to provider: no credit for Your code is ... to +...", a.object()["msg"])
	require.NotContains(t, d.send("GET", "/user", nil, bearer(in.AccessToken)).object(), "phone_change_sent_at")
	a = d.send("GET", "/reauthenticate", nil, bearer(in.AccessToken)).wantFault(http.StatusUnprocessableEntity, "sms_send_failed")
	require.Contains(t, a.object()["msg"], "Error sending reauthentication OTP to provider: ")
	d.post("/signup", map[string]any{"phone": phone(3), "password": goodPassword}).wantFault(http.StatusUnprocessableEntity, "sms_send_failed")
	c.breaks(nil)
	d.post("/signup", map[string]any{"phone": phone(3), "password": goodPassword}).want(http.StatusOK, nil)
	d.bySMS("sms", phone(3), c.code()).want(http.StatusOK, nil)
}

// Nothing of a service's URL, which names the account that pays, is told, nor what the
// network says of addresses inside of it.
func TestServiceErrorsTellNoURL(t *testing.T) {
	gone := httptest.NewServer(nil)
	gone.Close()
	refused := &net.OpError{Op: "dial", Net: "tcp", Addr: &net.TCPAddr{IP: net.IPv4(10, 1, 2, 3), Port: 443}, Err: errors.New("connection refused")}
	unknown := &net.DNSError{Err: "no such host", Name: "sms.internal", Server: "10.0.0.53:53"}
	post := func(cause error) sms.Sender {
		down := &http.Client{Transport: roundTrip(func(*http.Request) (*http.Response, error) { return nil, cause })}
		return sms.Func(func(ctx context.Context, _ sms.Message) (string, error) {
			req, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://sms.example/accounts/AC-secret", nil)
			if err != nil {
				return "", err
			}
			resp, err := down.Do(req)
			if err == nil {
				_ = resp.Body.Close()
			}
			return "", err
		})
	}
	for name, s := range map[string]sms.Sender{
		"refused": post(refused), "no such name": post(unknown), "anything": post(errors.New("tls: the certificate is for sms.internal")),
		"wrapped":     sms.Func(func(context.Context, sms.Message) (string, error) { return "", fmt.Errorf("gateway: %w", refused) }),
		"our own":     &sms.Twilio{AccountSID: "AC-secret", AuthToken: "token", From: "MG1", BaseURL: gone.URL},
		"our checker": &sms.TwilioVerify{AccountSID: "AC-secret", AuthToken: "token", ServiceSID: "VA1", BaseURL: gone.URL},
	} {
		t.Run(name, func(t *testing.T) {
			d := open(t, auth.WithSyncDelivery(), auth.WithSMS(s))
			a := d.post("/otp", map[string]any{"phone": phone(1)}).wantFault(http.StatusUnprocessableEntity, "sms_send_failed")
			require.Equal(t, "Error sending confirmation OTP to provider: the service gave no answer", a.object()["msg"])
		})
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// Without a service there is nothing to send with.
func TestNoSMSProvider(t *testing.T) {
	d := open(t)
	a, err := auth.New(auth.WithStore(fresh(t)), auth.WithSiteURL("https://app.example.com"), auth.WithMailer(d.Mail), auth.WithPhoneSignIn(true), auth.WithSMSAutoConfirm(true), auth.WithBcrypt(4))
	require.NoError(t, err)
	t.Cleanup(func() { _ = a.Close(context.Background()) })
	srv := d.Serve(a)
	d.url = srv.URL + "/auth"
	d.post("/signup", map[string]any{"phone": phone(1), "password": goodPassword}).want(http.StatusOK, nil)
	f := d.post("/otp", map[string]any{"phone": phone(1)}).wantFault(http.StatusInternalServerError, "unexpected_failure")
	require.Equal(t, "Unable to get SMS provider", f.object()["msg"])
}

// The frequency is the number's, whether or not it has an account; a sign-up that comes
// too soon is answered as any other and sends nothing.
func TestPhoneFrequency(t *testing.T) {
	d := openPhones(t)
	for _, number := range []string{phone(1), phone(2)} {
		if number == phone(2) {
			d.signUpPhone(number)
			d.pass()
		}
		before := d.texts(number)
		d.post("/otp", map[string]any{"phone": number, "create_user": false}).want(http.StatusOK, nil)
		d.Clock.Advance(20 * time.Second)
		a := d.post("/otp", map[string]any{"phone": "+" + number}).wantFault(http.StatusTooManyRequests, "over_sms_send_rate_limit")
		require.Equal(t, "For security purposes, you can only request this after 40 seconds.", a.object()["msg"])
		require.Equal(t, "40", a.Header.Get("Retry-After"))
		d.post("/signup", map[string]any{"phone": number, "password": goodPassword}).want(http.StatusOK, nil)
		want := before
		if number == phone(2) {
			want++ // that of the first request; the other number had no account yet
		}
		require.Equal(t, want, d.texts(number))
	}
	d = openPhones(t, auth.WithSMSFrequency(0))
	for range 3 {
		d.post("/otp", map[string]any{"phone": phone(1)}).want(http.StatusOK, nil)
	}
	require.Equal(t, 3, d.texts(phone(1)))
}

// Whoever asks a thousand times for one number sends what the limits say, and takes no
// more than that from what the server may send.
func TestTollOfOneNumber(t *testing.T) {
	d := openPhones(t, auth.WithSMSFrequency(0), auth.WithLimits(auth.Limits{Messages: limit.Window(20, time.Hour)}))
	statuses := map[int]int{}
	for n := range 1000 {
		var a answer
		switch n % 3 {
		case 0:
			a = d.post("/otp", map[string]any{"phone": phone(1)})
		case 1:
			a = d.post("/signup", map[string]any{"phone": "+" + phone(1), "password": goodPassword})
		default:
			a = d.post("/resend", map[string]any{"type": "sms", "phone": phone(1)})
		}
		statuses[a.Status]++
	}
	require.Equal(t, map[int]int{200: 5, 429: 995}, statuses)
	require.Equal(t, 5, d.texts(phone(1)))
	a := d.post("/otp", map[string]any{"phone": phone(1)}).wantFault(http.StatusTooManyRequests, "over_sms_send_rate_limit")
	require.Equal(t, "Too many messages were sent to this number, please try again later", a.object()["msg"])
	require.NotEmpty(t, a.Header.Get("Retry-After"))
	d.post("/otp", map[string]any{"phone": phone(2)}).want(http.StatusOK, nil)
	d.Deliver() // before its code ends

	for range 30 { // hours
		d.Clock.Advance(time.Hour)
		for range 6 {
			d.post("/otp", map[string]any{"phone": phone(3)})
		}
		d.Deliver()
	}
	require.LessOrEqual(t, d.texts(phone(3)), 20, "ten in a day, in a little over a day")
}

// A thousand at once, over one store, send no more either.
func TestTollOfRacingRequests(t *testing.T) {
	d := openPhones(t, auth.WithSMSFrequency(0))
	var wg sync.WaitGroup
	var sent atomic.Int64
	for range 20 {
		wg.Go(func() {
			for range 50 {
				if d.post("/otp", map[string]any{"phone": phone(1)}).Status == http.StatusOK {
					sent.Add(1)
				}
			}
		})
	}
	wg.Wait()
	require.LessOrEqual(t, sent.Load(), int64(5))
	require.LessOrEqual(t, d.texts(phone(1)), 5)
}

// Numbers in a row count together.
func TestTollOfARange(t *testing.T) {
	d := openPhones(t, auth.WithSMSGuard(sms.Guard{Limits: sms.Limits{PrefixHour: 7}}))
	sent := 0
	for n := range 40 {
		a := d.post("/otp", map[string]any{"phone": fmt.Sprintf("49171555%04d", n)})
		if a.Status == http.StatusOK {
			sent++
			continue
		}
		a.wantFault(http.StatusTooManyRequests, "over_sms_send_rate_limit")
		require.Equal(t, "Too many messages were sent to numbers like this, please try again later", a.object()["msg"])
	}
	require.Equal(t, 7, sent)
	d.Deliver()
	require.Len(t, d.SMS.Messages(), 7)
}

// The quota is the whole server's; nothing that isn't sent takes from it.
func TestSMSQuota(t *testing.T) {
	d := openPhones(t, auth.WithLimits(auth.Limits{Messages: limit.Window(2, time.Hour)}), auth.WithTestNumbers(map[string]string{"15005550101": "654321"}, time.Time{}))
	d.post("/otp", map[string]any{"phone": "15005550101"}).want(http.StatusOK, nil)
	d.post("/otp", map[string]any{"phone": "19001234567"}).wantFault(http.StatusBadRequest, "validation_failed")
	d.post("/otp", map[string]any{"phone": phone(1)}).want(http.StatusOK, nil)
	d.post("/otp", map[string]any{"phone": phone(1)}).wantFault(http.StatusTooManyRequests, "over_sms_send_rate_limit")
	d.post("/signup", map[string]any{"phone": phone(1), "password": goodPassword}).want(http.StatusOK, nil)
	d.post("/signup", map[string]any{"phone": phone(2), "password": goodPassword}).want(http.StatusOK, nil)
	a := d.post("/otp", map[string]any{"phone": phone(3), "create_user": false}).wantFault(http.StatusTooManyRequests, "over_sms_send_rate_limit")
	require.Equal(t, "SMS rate limit exceeded", a.object()["msg"])
	d.post("/signup", map[string]any{"phone": phone(4), "password": goodPassword}).wantFault(http.StatusTooManyRequests, "over_sms_send_rate_limit")
	d = openPhones(t, auth.WithLimits(auth.Limits{Messages: limit.Window(0, time.Hour)}))
	d.post("/otp", map[string]any{"phone": phone(1)}).wantFault(http.StatusTooManyRequests, "over_sms_send_rate_limit")
}

// No message goes to expensive numbers, nor to countries that aren't named, by whatever way.
func TestPhoneGuard(t *testing.T) {
	d := openPhones(t, auth.WithSMSGuard(sms.Guard{Countries: []string{"DE", "US"}, Denied: []string{"4917199"}}))
	in := d.signUp("ada@example.com")
	for number, text := range map[string]string{
		"+1 900 123 4567": "Phone numbers of this kind are not accepted",
		"4917199123456":   "Phone numbers of this kind are not accepted",
		"49900123456":     "Phone numbers of this kind are not accepted",
		"33612345678":     "Phone numbers of this country are not accepted",
		"12045551234":     "Phone numbers of this country are not accepted",
		"8821612345":      "Phone numbers of this country are not accepted",
		"49171":           "Invalid phone number format (E.164 required)",
	} {
		for _, a := range []answer{
			d.post("/otp", map[string]any{"phone": number}),
			d.post("/otp", map[string]any{"phone": number, "create_user": false}),
			d.post("/signup", map[string]any{"phone": number, "password": goodPassword}),
			d.post("/resend", map[string]any{"type": "sms", "phone": number}),
			d.send("PUT", "/user", map[string]any{"phone": number}, bearer(in.AccessToken)),
		} {
			a.wantFault(http.StatusBadRequest, "validation_failed")
			require.Equal(t, text, a.object()["msg"], number)
		}
	}
	d.Deliver()
	require.Empty(t, d.SMS.Messages())
	d.post("/otp", map[string]any{"phone": phone(1)}).want(http.StatusOK, nil)
	d.post("/otp", map[string]any{"phone": "12125551234"}).want(http.StatusOK, nil)
}

// One account can't have one number after the other called up.
func TestPhoneChangesAreCounted(t *testing.T) {
	d := openPhones(t)
	in := d.signUp("ada@example.com")
	for n := range 5 {
		a := d.send("PUT", "/user", map[string]any{"phone": phone(n)}, bearer(in.AccessToken))
		if n > 0 {
			a.wantFault(http.StatusTooManyRequests, "over_sms_send_rate_limit")
		}
	}
	d.Deliver()
	require.Len(t, d.SMS.Messages(), 1)
	// Nor can several accounts flood one.
	other := d.signUp("bob@example.com")
	d.send("PUT", "/user", map[string]any{"phone": phone(0)}, bearer(other.AccessToken)).wantFault(http.StatusTooManyRequests, "over_sms_send_rate_limit")
}

// Nothing that is logged holds a code, a number's message or the number.
func TestMessagesAreNotLogged(t *testing.T) {
	c := &carrier{}
	c.breaks(func(m sms.Message) error { return fmt.Errorf("can't take %q for %s", m.Body, m.To) })
	logged := &sink{}
	for _, o := range [][]auth.Option{nil, {auth.WithSyncDelivery()}} {
		d := open(t, append(o, auth.WithSMS(c), auth.WithLogger(slog.New(slog.NewTextHandler(logged, &slog.HandlerOptions{Level: slog.LevelDebug}))))...)
		d.post("/otp", map[string]any{"phone": phone(1)})
		_ = d.Auth.Deliver(t.Context())
	}
	require.Contains(t, logged.String(), "not delivered")
	require.NotContains(t, logged.String(), phone(1))
	require.NotContains(t, logged.String(), "Your code is")
}

// Of fifty who redeem one code at once one gets a session.
func TestRacingPhoneVerifications(t *testing.T) {
	d := openPhones(t, auth.WithCodes(auth.Codes{MaxGuesses: 100, MaxPerHour: 100}))
	d.post("/signup", map[string]any{"phone": phone(1), "password": goodPassword}).want(http.StatusOK, nil)
	code := d.LastSMS(phone(1)).Code
	require.Equal(t, 1, race(50, func() answer { return d.bySMS("sms", phone(1), code) })[http.StatusOK])
	in := d.signUp("ada@example.com")
	d.send("PUT", "/user", map[string]any{"phone": phone(2)}, bearer(in.AccessToken)).want(http.StatusOK, nil)
	code = d.LastSMS(phone(2)).Code
	require.Equal(t, 1, race(50, func() answer { return d.bySMS("phone_change", phone(2), code) })[http.StatusOK])
}

// Ten racing sign-ups of one number make one account and send one message.
func TestRacingPhoneSignUps(t *testing.T) {
	for _, auto := range []bool{false, true} {
		d := openPhones(t, auth.WithSMSAutoConfirm(auto))
		got := race(10, func() answer {
			return d.post("/signup", map[string]any{"phone": phone(1), "password": goodPassword})
		})
		users := d.send("GET", "/admin/users", nil, d.service()).want(http.StatusOK, nil).object()["users"].([]any)
		require.Len(t, users, 1)
		if auto {
			require.Equal(t, map[int]int{200: 1, 422: 9}, got)
			continue
		}
		require.Equal(t, map[int]int{200: 10}, got)
		require.Equal(t, 1, d.texts(phone(1)))
	}
	d := openPhones(t)
	got := race(10, func() answer { return d.post("/otp", map[string]any{"phone": phone(1)}) })
	require.Equal(t, map[int]int{200: 1, 429: 9}, got)
	require.Equal(t, 1, d.texts(phone(1)))
}
