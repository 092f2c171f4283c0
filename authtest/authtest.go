// Package authtest is for hosts' own tests: an Auth on a throw-away store, a clock to
// turn, a mailbox to read, and HTTP clients that are signed in.
//
//	h := authtest.New(t)
//	srv := h.Serve(newApp(h.Auth))
//	alice := h.User("alice@example.com").Client()
//	resp, err := alice.Get(srv.URL + "/api/me")
package authtest

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/truekeel/auth"
	"github.com/truekeel/auth/mail"
	"github.com/truekeel/auth/sms"
	"github.com/truekeel/auth/store/sqlite"
)

// Harness is an Auth for one test. Everything is closed when the test ends.
type Harness struct {
	// Auth is what is tested against.
	Auth *auth.Auth
	// Clock is its time.
	Clock *Clock
	// Mail has the mails that were sent, once [Harness.Deliver] has run.
	Mail *mail.Mailbox
	// SMS has the messages that went to phones, once [Harness.Deliver] has run.
	SMS *sms.Inbox

	t testing.TB
}

// New makes a Harness. Options come after those that it sets itself (a throw-away SQLite
// store, its clock, its mailbox, a cheap password hash, no limits), so they can change
// them. Beside [auth.WithNISTPasswords] give auth.WithArgon2id(64, 1, 1) for a cheap hash.
// With [auth.WithMailer] or [auth.WithSendMail] the mailbox stays empty. Phones are
// off unless the options hold [auth.WithPhoneSignIn]; with [auth.WithSMS] or
// [auth.Hooks.SendSMS] the inbox of messages stays empty.
func New(t testing.TB, opts ...auth.Option) *Harness {
	t.Helper()
	s, err := sqlite.OpenTemp()
	if err != nil {
		t.Fatalf("authtest: %v", err)
	}
	t.Cleanup(func() { _ = s.Close() })
	h := &Harness{Clock: NewClock(), Mail: &mail.Mailbox{}, SMS: &sms.Inbox{}, t: t}
	h.Auth, err = auth.New(append([]auth.Option{
		auth.WithStore(s), auth.WithClock(h.Clock.Now), auth.WithMailer(h.Mail), auth.WithSMS(h.SMS), auth.WithPhoneSignIn(false),
		auth.WithBcrypt(4), auth.WithoutLimits(),
	}, opts...)...)
	if err != nil {
		t.Fatalf("authtest: %v", err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := h.Auth.Close(ctx); err != nil {
			t.Errorf("authtest: closing: %v", err)
		}
	})
	return h
}

// Serve serves a handler on a loopback address until the test ends. A nil handler
// serves the Auth alone, under /auth.
func (h *Harness) Serve(app http.Handler) *httptest.Server {
	if app == nil {
		mux := http.NewServeMux()
		mux.Handle("/auth/", h.Auth)
		app = mux
	}
	srv := httptest.NewServer(app)
	h.t.Cleanup(srv.Close)
	return srv
}

// Deliver sends the mails and messages that are due into the mailbox and the inbox.
func (h *Harness) Deliver() {
	h.t.Helper()
	if err := h.Auth.Deliver(context.Background()); err != nil {
		h.t.Fatalf("authtest: delivering: %v", err)
	}
}

// LastMail delivers what is due and gives the newest mail to an address. The test fails
// if there is none.
func (h *Harness) LastMail(to string) mail.Message {
	h.t.Helper()
	h.Deliver()
	m, ok := h.Mail.Last(to)
	if !ok {
		h.t.Fatalf("authtest: there is no mail to %s", to)
	}
	return m
}

// LastSMS delivers what is due and gives the newest message to a number in E.164, without
// the plus sign. The test fails if there is none.
func (h *Harness) LastSMS(to string) sms.Message {
	h.t.Helper()
	h.Deliver()
	m, ok := h.SMS.Last(to)
	if !ok {
		h.t.Fatalf("authtest: there is no message to %s", to)
	}
	return m
}

// User makes an account with a proved address and signs it in.
func (h *Harness) User(email string, change ...func(*auth.NewUser)) *Person {
	h.t.Helper()
	n := auth.NewUser{Email: email, EmailConfirmed: true}
	for _, c := range change {
		c(&n)
	}
	u, err := h.Auth.Users().Create(context.Background(), n)
	if err != nil {
		h.t.Fatalf("authtest: creating %s: %v", email, err)
	}
	g, err := h.Auth.Users().Issue(context.Background(), u.ID, "password")
	if err != nil {
		h.t.Fatalf("authtest: signing in %s: %v", email, err)
	}
	return &Person{Grant: g}
}

// Person is a signed-in user.
type Person struct{ auth.Grant }

// Client gives an HTTP client that sends the person's access token with every request.
// It doesn't refresh: turn the clock past the token's end to see it refused.
func (p *Person) Client() *http.Client {
	return &http.Client{Transport: bearer(p.AccessToken), Timeout: 30 * time.Second}
}

type bearer string

// RoundTrip adds the token to a copy of the request.
func (b bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+string(b))
	return http.DefaultTransport.RoundTrip(r)
}

// Clock is a time that stands still until it is turned. It is safe for concurrent use.
type Clock struct {
	mu  sync.Mutex
	now time.Time
}

// NewClock gives a clock that shows the present time, in UTC.
func NewClock() *Clock { return &Clock{now: time.Now().UTC().Truncate(time.Microsecond)} }

// Now gives the clock's time.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Advance turns the clock on.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}
