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

// TestSendSMS: a host that sends messages itself gets them with the account, until it
// takes them, and people sign in by their number.
func TestSendSMS(t *testing.T) {
	type sent struct {
		m sms.Message
		u auth.Account
	}
	var mu sync.Mutex
	var all []sent
	fail := errors.New("busy")
	d := open(t, auth.WithHooks(auth.Hooks{SendSMS: func(_ context.Context, m sms.Message, u auth.Account) error {
		mu.Lock()
		defer mu.Unlock()
		all = append(all, sent{m, u})
		return fail
	}}))
	taken := func() []sent {
		mu.Lock()
		defer mu.Unlock()
		return all
	}
	d.post("/signup", map[string]any{"phone": phone(1), "password": goodPassword}).want(http.StatusOK, nil)
	d.attempt()
	mu.Lock()
	fail = nil
	mu.Unlock()
	d.Clock.Advance(time.Minute)
	d.attempt()
	require.Greater(t, len(taken()), 1, "it is called again until it takes the message")
	for _, other := range taken() {
		require.Equal(t, taken()[0], other, "the same message under the same id")
	}
	m, u := taken()[0].m, taken()[0].u
	require.Equal(t, phone(1), m.To)
	require.Equal(t, phone(1), u.Phone)
	require.Contains(t, m.Body, m.Code)
	require.NotEmpty(t, m.ID)
	require.Empty(t, d.SMS.Messages())
	var in tokenAnswer
	d.post("/verify", map[string]any{"type": "sms", "phone": phone(1), "token": m.Code}).want(http.StatusOK, &in)
	require.Equal(t, u.ID.String(), in.User["id"])
}

// Where numbers need no proof the code of a sign-in is sent all the same.
func TestSendSMSWithAutoConfirm(t *testing.T) {
	var mu sync.Mutex
	code := ""
	d := open(t, auth.WithSMSAutoConfirm(true), auth.WithHooks(auth.Hooks{SendSMS: func(_ context.Context, m sms.Message, _ auth.Account) error {
		mu.Lock()
		defer mu.Unlock()
		code = m.Code
		return nil
	}}))
	d.post("/signup", map[string]any{"phone": phone(1), "password": goodPassword}).want(http.StatusOK, nil)
	d.Deliver()
	require.Empty(t, code)
	for _, number := range []string{phone(1), phone(2)} {
		d.post("/otp", map[string]any{"phone": number}).want(http.StatusOK, nil)
		d.Deliver()
		d.bySMS("sms", number, code).want(http.StatusOK, nil)
	}
}
