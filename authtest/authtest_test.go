package authtest_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/truekeel/auth"
	"github.com/truekeel/auth/authtest"
	"github.com/truekeel/auth/mail"
)

func TestHarness(t *testing.T) {
	h := authtest.New(t)
	srv := h.Serve(newApp(h.Auth))
	alice := h.User("alice@example.com", func(n *auth.NewUser) { n.Role = "staff" })
	status := func(c *http.Client) (int, string) {
		resp, err := c.Get(srv.URL + "/api/me")
		require.NoError(t, err)
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		return resp.StatusCode, string(body)
	}
	code, body := status(alice.Client())
	require.Equal(t, http.StatusOK, code)
	require.Equal(t, "alice@example.com", body)
	require.Equal(t, "staff", alice.User.Role)
	code, _ = status(http.DefaultClient)
	require.Equal(t, http.StatusUnauthorized, code)
	h.Clock.Advance(2 * time.Hour)
	code, _ = status(alice.Client())
	require.Equal(t, http.StatusUnauthorized, code)
}

// Two harnesses of one test share nothing.
func TestHarnessesAreApart(t *testing.T) {
	one, two := authtest.New(t), authtest.New(t)
	alice := one.User("alice@example.com")
	_, err := two.Auth.Verify(t.Context(), alice.AccessToken)
	require.ErrorIs(t, err, &auth.Error{Code: "bad_jwt"})
	two.User("alice@example.com")
	one.Clock.Advance(time.Hour)
	require.NotEqual(t, one.Clock.Now(), two.Clock.Now())
}

func TestHarnessOfAHostThatSendsItsMails(t *testing.T) {
	var got []mail.Event
	h := authtest.New(t, auth.WithSendMail(func(_ context.Context, e mail.Event) error {
		got = append(got, e)
		return nil
	}))
	_, err := h.Auth.Users().Create(t.Context(), auth.NewUser{Email: "ada@example.com"})
	require.NoError(t, err)
	resp, err := http.Post(h.Serve(nil).URL+"/auth/recover", "application/json", strings.NewReader(`{"email":"ada@example.com"}`))
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	h.Deliver()
	require.Len(t, got, 1)
	require.Equal(t, mail.Recovery, got[0].Kind)
	require.Empty(t, h.Mail.Messages())
}

func TestHarnessKeepsMessages(t *testing.T) {
	h := authtest.New(t, auth.WithPhoneSignIn(true))
	srv := h.Serve(nil)
	resp, err := http.Post(srv.URL+"/auth/otp", "application/json", strings.NewReader(`{"phone":"+4917112345678"}`))
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Len(t, h.LastSMS("4917112345678").Code, 6)
}
