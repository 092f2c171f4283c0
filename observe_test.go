package auth_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"testing"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"

	"github.com/truekeel/auth"
	"github.com/truekeel/auth/mail"
)

// witness is an observer that remembers.
type witness struct {
	mu      sync.Mutex
	ids     []string
	answers []auth.Answer
	events  []auth.Event
}

type witnessKey struct{}

func (w *witness) BeginRequest(r *http.Request, id string) (context.Context, func(auth.Answer)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ids = append(w.ids, id)
	return context.WithValue(r.Context(), witnessKey{}, id), func(a auth.Answer) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.answers = append(w.answers, a)
	}
}

func (w *witness) Observe(e auth.Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.events = append(w.events, e)
}

// last gives the newest answer.
func (w *witness) last() auth.Answer {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.answers[len(w.answers)-1]
}

// named gives the events of a name.
func (w *witness) named(name string) (out []auth.Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, e := range w.events {
		if e.Name == name {
			out = append(out, e)
		}
	}
	return out
}

const observedSecret = "0123456789abcdef0123456789abcdef"

func TestObserverSeesEveryRequest(t *testing.T) {
	w := &witness{}
	d := open(t, auth.WithObserver(w), auth.WithJWTSecret([]byte(observedSecret)))
	admin, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{"role": "service_role"}).SignedString([]byte(observedSecret))
	require.NoError(t, err)
	for _, c := range []struct {
		method, path string
		body         any
		headers      []header
		want         auth.Answer
	}{
		{"GET", "/health", nil, nil, auth.Answer{Route: "/health", Status: 200}},
		{"GET", "/v1/settings", nil, nil, auth.Answer{Route: "/settings", Status: 200}},
		{"OPTIONS", "/token", nil, []header{{"Origin", d.srv.URL}, {"Access-Control-Request-Method", "POST"}}, auth.Answer{Status: 204}},
		{"GET", "/nothing", nil, nil, auth.Answer{Status: 404, Code: "not_found"}},
		{"PATCH", "/user", nil, nil, auth.Answer{Route: "/user", Status: 405, Code: "method_not_allowed"}},
		{"GET", "/user", nil, nil, auth.Answer{Route: "/user", Status: 401, Code: "no_authorization"}},
		{"GET", "/admin/users/7d2c3a52-6f43-4b92-8c9d-1a9e3e9a3f10", nil, []header{bearer(admin)}, auth.Answer{Route: "/admin/users/{id}", Status: 404, Code: "user_not_found"}},
		{"POST", "/token?grant_type=password", `{"email":"ada@example.com","password":"wrong password"}`, nil, auth.Answer{Route: "/token", Status: 400, Code: "invalid_credentials"}},
	} {
		t.Run(c.method+" "+c.path, func(t *testing.T) {
			d.send(c.method, c.path, c.body, c.headers...)
			got := w.last()
			require.GreaterOrEqual(t, got.Duration.Nanoseconds(), int64(0))
			got.Duration = 0
			require.Equal(t, c.want, got)
		})
	}
	require.Len(t, w.answers, len(w.ids), "each request has its end")
}

func TestObserverSeesTheRequestIDAndPassesItsContext(t *testing.T) {
	w := &witness{}
	var inHook, inContext string
	d := open(t, auth.WithObserver(w), auth.WithRequestIDHeader("X-Request-ID"), auth.WithHooks(auth.Hooks{
		BeforeUserCreated: func(ctx context.Context, _ auth.Account) error {
			inHook = auth.RequestIDFrom(ctx)
			inContext, _ = ctx.Value(witnessKey{}).(string)
			return errors.New("out of order")
		},
	}))
	a := d.post("/signup", map[string]any{"email": "ada@example.com", "password": goodPassword}, header{"X-Request-ID", "one-of-mine"})
	a.wantFault(http.StatusInternalServerError, "unexpected_failure")
	require.Equal(t, "one-of-mine", a.object()["error_id"])
	require.Equal(t, []string{"one-of-mine"}, w.ids)
	require.Equal(t, "one-of-mine", inHook)
	require.Equal(t, "one-of-mine", inContext)
	require.Empty(t, auth.RequestIDFrom(t.Context()), "outside of requests there is none")
}

func TestObserverSeesMailHashesAndKeys(t *testing.T) {
	w := &witness{}
	d := open(t, auth.WithObserver(w))
	d.signUp("ada@example.com")
	delivered := w.named("outbox.delivered")
	require.NotEmpty(t, delivered)
	require.Equal(t, "mail", delivered[0].Kind)
	require.NotEmpty(t, w.named("password.begun"))
	require.Equal(t, "current", w.named("key.changed")[0].Kind)

	_, err := d.Auth.Keyring().Rotate(t.Context())
	require.NoError(t, err)
	require.Equal(t, "next", w.named("key.changed")[1].Kind)
}

func TestObserverSeesFailedMail(t *testing.T) {
	w := &witness{}
	d := open(t, auth.WithObserver(w), auth.WithSyncDelivery(), auth.WithMailer(brokenMailer{}))
	d.post("/signup", map[string]any{"email": "ada@example.com", "password": goodPassword}).want(http.StatusInternalServerError, nil)
	removed := w.named("outbox.removed")
	require.Len(t, removed, 1)
	require.NotEmpty(t, removed[0].Reason)
	require.NotContains(t, removed[0].Reason, "host")
}

// brokenMailer sends nothing.
type brokenMailer struct{}

func (brokenMailer) Send(context.Context, mail.Message) error { return errors.New("no such host") }

// clumsy is an observer that panics.
type clumsy struct{ atEnd bool }

func (c clumsy) BeginRequest(r *http.Request, _ string) (context.Context, func(auth.Answer)) {
	if c.atEnd {
		return r.Context(), func(auth.Answer) { panic("clumsy") }
	}
	panic("clumsy")
}

func (clumsy) Observe(auth.Event) { panic("clumsy") }

func TestObserverThatPanicsHarmsNobody(t *testing.T) {
	var log bytes.Buffer
	w := &witness{}
	d := open(t, auth.WithObserver(clumsy{}), auth.WithObserver(clumsy{atEnd: true}), auth.WithObserver(w), auth.WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
	d.signUp("ada@example.com")
	require.NotEmpty(t, w.answers)
	require.Contains(t, log.String(), "an observer panicked")
}
