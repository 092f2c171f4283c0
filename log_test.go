package auth_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/truekeel/auth"
	"github.com/truekeel/auth/mail"
	"github.com/truekeel/auth/store"
)

// sink is what a logger wrote.
type sink struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (s *sink) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func (s *sink) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// secrets are what must not be in a log.
type secrets map[string]string

func (s secrets) add(name, value string) {
	if len(value) >= 6 {
		s[value] = name
	}
}

func (s secrets) addTokens(in tokenAnswer) {
	s.add("access token", in.AccessToken)
	parts := strings.Split(in.AccessToken, ".")
	s.add("signature", parts[len(parts)-1])
	s.add("refresh token", in.RefreshToken)
}

// No secret is logged, at whatever level and whatever happens: passwords, tokens, codes,
// links and keys that a walk through the flows brings forth.
func TestNoSecretIsLogged(t *testing.T) {
	var log sink
	logger := slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	known := secrets{}
	s := tap(t)
	sealKey := []byte("the key that seals what is in the database")
	known.add("seal key", string(sealKey))
	known.add("seal key", base64.StdEncoding.EncodeToString(sealKey))
	var failMail atomic.Bool
	box := &mail.Mailbox{}
	d, service := openService(t, auth.WithStore(s), auth.WithLogger(logger), auth.WithEncryptionKey(sealKey), auth.WithMailFrequency(0), auth.WithRequestIDHeader("X-Request-Id"),
		auth.WithMailer(mail.Func(func(ctx context.Context, m mail.Message) error {
			if failMail.Load() {
				return errors.New("the server doesn't answer")
			}
			return box.Send(ctx, m)
		})),
		auth.WithHooks(auth.Hooks{AfterUserCreated: func(context.Context, string, auth.Account) error { return errors.New("not now") }}))
	known.add("service token", strings.TrimPrefix(service.value, "Bearer "))
	known.add("JWT secret", strings.Repeat("service ", 5))
	last := func(email string) mail.Message {
		t.Helper()
		_ = d.Auth.Deliver(t.Context()) // the hook fails
		m, ok := box.Last(email)
		require.True(t, ok)
		u, err := url.Parse(m.Link())
		require.NoError(t, err)
		known.add("link token", u.Query().Get("token"))
		known.add("code", m.Code())
		return m
	}
	grant := func(a answer) tokenAnswer {
		t.Helper()
		var in tokenAnswer
		a.want(http.StatusOK, &in)
		known.addTokens(in)
		return in
	}
	known.add("password", goodPassword)
	known.add("wrong password", "a wrong password")
	known.add("next password", "the next password")

	// A whole life.
	d.post("/signup", map[string]any{"email": "ada@example.com", "password": goodPassword}).want(http.StatusOK, nil)
	grant(d.post("/verify", map[string]any{"type": "signup", "email": "ada@example.com", "token": last("ada@example.com").Code()}))
	d.post("/signup", map[string]any{"email": "ada@example.com", "password": "the next password"}).want(http.StatusOK, nil)
	d.password("ada@example.com", "a wrong password")
	in := grant(d.password("ada@example.com", goodPassword))
	in = grant(d.refresh(in.RefreshToken))
	in = grant(d.refresh(in.RefreshToken))
	d.post("/recover", map[string]any{"email": "ada@example.com"}).want(http.StatusOK, nil)
	last("ada@example.com")
	d.post("/verify", map[string]any{"type": "recovery", "email": "ada@example.com", "token": "000000"})
	d.post("/otp", map[string]any{"email": "ada@example.com"}).want(http.StatusOK, nil)
	link := last("ada@example.com").Link()
	d.send("GET", strings.TrimPrefix(link, d.url), nil).want(http.StatusOK, nil)
	u, err := url.Parse(link)
	require.NoError(t, err)
	a := d.post("/verify", u.RawQuery, header{"Content-Type", "application/x-www-form-urlencoded"})
	require.Equal(t, http.StatusSeeOther, a.Status, string(a.Body))
	landed, err := url.Parse(a.Header.Get("Location"))
	require.NoError(t, err)
	fragment, err := url.ParseQuery(landed.Fragment)
	require.NoError(t, err)
	known.add("access token", fragment.Get("access_token"))
	known.add("refresh token", fragment.Get("refresh_token"))
	d.put(in.AccessToken, map[string]any{"password": "the next password", "email": "lady@example.com"}).want(http.StatusOK, nil)
	last("lady@example.com")
	last("ada@example.com")
	d.send("GET", "/reauthenticate", nil, bearer(in.AccessToken)).want(http.StatusOK, nil)
	last("ada@example.com")
	generated := d.post("/admin/generate_link", map[string]any{"type": "recovery", "email": "ada@example.com"}, service).want(http.StatusOK, nil).object()
	known.add("hashed token", generated["hashed_token"].(string))
	known.add("code", generated["email_otp"].(string))
	d.post("/invite", map[string]any{"email": "guest@example.com"}, service).want(http.StatusOK, nil)
	last("guest@example.com")

	// What goes wrong is logged, without what it was about.
	for _, f := range []storeFault{{err: store.ErrUnavailable}, {err: errDisk}, {err: errDisk, readsOK: true}, {err: errDisk, readsOK: true, atCommit: true}} {
		s.fail(f)
		d.post("/signup", map[string]any{"email": "eve@example.com", "password": goodPassword})
		d.password("ada@example.com", "the next password")
		d.refresh(in.RefreshToken)
		d.put(in.AccessToken, map[string]any{"password": "a wrong password"})
		d.post("/verify", map[string]any{"type": "email", "token_hash": generated["hashed_token"]})
		d.send("GET", "/user?token="+in.AccessToken, nil, bearer(in.AccessToken))
		visit(d.Auth.RequireActiveSession(http.HandlerFunc(who)), bearer(in.AccessToken))
	}
	s.heal()
	d.send("GET", "/user", nil, bearer(in.AccessToken[:len(in.AccessToken)-1]))
	d.post("/otp?redirect_to="+url.QueryEscape("https://evil.example/?token="+in.RefreshToken), map[string]any{"email": "ada@example.com"}).want(http.StatusOK, nil)
	failMail.Store(true)
	d.post("/recover", map[string]any{"email": "ada@example.com"}).want(http.StatusOK, nil)
	_ = d.Auth.Deliver(t.Context())
	d.Clock.Advance(48 * time.Hour)
	_ = d.Auth.Deliver(t.Context()) // given up
	d.refresh(in.RefreshToken)

	text := log.String()
	require.Contains(t, text, "the disk is full", "the walk is heard of")
	require.Contains(t, text, "redirect")
	require.Contains(t, text, "outbox")
	for secret, name := range known {
		escaped, err := json.Marshal(secret)
		require.NoError(t, err)
		require.NotContains(t, text, secret, name)
		require.NotContains(t, text, strings.Trim(string(escaped), `"`), name)
		require.NotContains(t, text, url.QueryEscape(secret), name)
	}
	require.Greater(t, len(known), 20)
}

// What the log says of a failure can be found by the id that the client was told.
func TestFailuresAreLoggedWithTheirID(t *testing.T) {
	var log sink
	s := tap(t)
	d := open(t, auth.WithStore(s), auth.WithLogger(slog.New(slog.NewJSONHandler(&log, nil))), auth.WithRequestIDHeader("X-Request-Id"))
	s.fail(storeFault{err: errDisk})
	a := d.password("ada@example.com", goodPassword, header{"X-Request-Id", "request-17"}).wantFault(http.StatusInternalServerError, "unexpected_failure")
	require.Equal(t, "request-17", a.object()["error_id"])
	require.Contains(t, log.String(), `"request_id":"request-17"`)
	require.Contains(t, log.String(), errDisk.Error())
}
