package auth_test

import (
	"context"
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/truekeel/auth"
	"github.com/truekeel/auth/mail"
	"github.com/truekeel/auth/store"
)

func TestReauthentication(t *testing.T) {
	d := open(t, auth.WithReauthentication(true), auth.WithAccessTokenLifetime(72*time.Hour))
	in := d.signUp("ada@example.com")
	put := func(body map[string]any) answer {
		return d.send(http.MethodPut, "/user", body, bearer(in.AccessToken))
	}
	// A young session needs none.
	put(map[string]any{"password": "an even better one"}).want(http.StatusOK, nil)
	d.Clock.Advance(24 * time.Hour)
	a := put(map[string]any{"password": "the third of them"}).wantFault(http.StatusBadRequest, "reauthentication_needed")
	require.Equal(t, "Password update requires reauthentication", a.object()["msg"])
	put(map[string]any{"password": "the third of them", "nonce": "123456"}).wantFault(http.StatusUnprocessableEntity, "reauthentication_not_valid")

	require.Equal(t, "200 {}", statusAndBody(d.send(http.MethodGet, "/reauthenticate", nil, bearer(in.AccessToken))))
	m := d.LastMail("ada@example.com")
	require.Equal(t, mail.Reauthentication, m.Kind)
	require.Empty(t, m.Link())
	require.Contains(t, m.Subject, m.Code())
	d.send(http.MethodGet, "/reauthenticate", nil, bearer(in.AccessToken)).wantFault(http.StatusTooManyRequests, "over_email_send_rate_limit")

	// The nonce is good for nothing else.
	for _, kind := range []string{"email", "signup", "recovery", "magiclink", "reauthentication"} {
		d.byCode(kind, "ada@example.com", m.Code()).wantCodeError()
	}
	a = put(map[string]any{"password": "the third of them", "nonce": other(m.Code())}).wantFault(http.StatusUnprocessableEntity, "reauthentication_not_valid")
	require.Equal(t, "Nonce has expired or is invalid", a.object()["msg"])
	put(map[string]any{"password": "short", "nonce": m.Code()}).wantFault(http.StatusUnprocessableEntity, "weak_password")
	put(map[string]any{"password": "an even better one", "nonce": m.Code()}).wantFault(http.StatusUnprocessableEntity, "same_password")
	put(map[string]any{"password": "the third of them", "nonce": m.Code()}).want(http.StatusOK, nil)
	put(map[string]any{"password": "the fourth of them", "nonce": m.Code()}).wantFault(http.StatusUnprocessableEntity, "reauthentication_not_valid")
}

func TestReauthenticationNonceExpires(t *testing.T) {
	d := open(t, auth.WithReauthentication(true), auth.WithAccessTokenLifetime(72*time.Hour))
	in := d.signUp("ada@example.com")
	d.Clock.Advance(25 * time.Hour)
	d.send(http.MethodGet, "/reauthenticate", nil, bearer(in.AccessToken)).want(http.StatusOK, nil)
	code := d.LastMail("ada@example.com").Code()
	d.Clock.Advance(10 * time.Minute)
	d.send(http.MethodPut, "/user", map[string]any{"password": "the third of them", "nonce": code}, bearer(in.AccessToken)).
		wantFault(http.StatusUnprocessableEntity, "reauthentication_not_valid")
}

// Guesses of a nonce have the budget of any code.
func TestReauthenticationBudget(t *testing.T) {
	d := open(t, auth.WithReauthentication(true), auth.WithAccessTokenLifetime(72*time.Hour))
	in := d.signUp("ada@example.com")
	d.Clock.Advance(25 * time.Hour)
	d.send(http.MethodGet, "/reauthenticate", nil, bearer(in.AccessToken)).want(http.StatusOK, nil)
	code := d.LastMail("ada@example.com").Code()
	put := func(nonce string) answer {
		return d.send(http.MethodPut, "/user", map[string]any{"password": "the third of them", "nonce": nonce}, bearer(in.AccessToken))
	}
	for range 5 {
		put(other(code)).wantFault(http.StatusUnprocessableEntity, "reauthentication_not_valid")
	}
	put(code).wantFault(http.StatusUnprocessableEntity, "reauthentication_not_valid")
}

func TestReauthenticateRefuses(t *testing.T) {
	d := open(t, auth.WithUnconfirmedSignIn(true))
	d.send(http.MethodGet, "/reauthenticate", nil).wantFault(http.StatusUnauthorized, "no_authorization")
	d.post("/signup", map[string]any{"email": "ada@example.com", "password": goodPassword}).want(http.StatusOK, nil)
	in := d.signIn("ada@example.com")
	a := d.send(http.MethodGet, "/reauthenticate", nil, bearer(in.AccessToken)).wantFault(http.StatusUnprocessableEntity, "email_not_confirmed")
	require.Equal(t, "Please verify your email first.", a.object()["msg"])
	d.post("/reauthenticate", nil, bearer(in.AccessToken)).wantFault(http.StatusMethodNotAllowed, "method_not_allowed")
}

// One nonce changes one password, whoever else presents it at the time.
func TestReauthenticationNonceOnceAtOnce(t *testing.T) {
	d := open(t, auth.WithReauthentication(true), auth.WithAccessTokenLifetime(72*time.Hour))
	in := d.signUp("ada@example.com")
	d.Clock.Advance(25 * time.Hour)
	d.send(http.MethodGet, "/reauthenticate", nil, bearer(in.AccessToken)).want(http.StatusOK, nil)
	code := d.LastMail("ada@example.com").Code()
	var n atomic.Int64
	won := inParallel(t, 6, 6, func() bool {
		body := map[string]any{"password": fmt.Sprintf("good password number %d", n.Add(1)), "nonce": code}
		a := d.send(http.MethodPut, "/user", body, bearer(in.AccessToken))
		if a.Status != http.StatusOK {
			a.wantFault(http.StatusUnprocessableEntity, "reauthentication_not_valid")
		}
		return a.Status == http.StatusOK
	})
	require.Equal(t, 1, won)
}

// forestalled is a store before whose next transaction something happens.
type forestalled struct {
	store.Store
	before atomic.Pointer[func()]
}

func (s *forestalled) Tx(ctx context.Context, fn func(store.Store) error) error {
	if before := s.before.Swap(nil); before != nil {
		(*before)()
	}
	return s.Store.Tx(ctx, fn)
}

// Whoever is deleted while he asks gets the answer that his token gets from then on.
func TestUserWhoGoesMeanwhile(t *testing.T) {
	for name, c := range map[string]struct {
		path string
		body map[string]any
		with auth.NewUser
	}{
		"reauthentication by mail": {"/reauthenticate", nil, auth.NewUser{Email: "ada@example.com", EmailConfirmed: true}},
		"reauthentication by text": {"/reauthenticate", nil, auth.NewUser{Phone: phone(1), PhoneConfirmed: true}},
		"change":                   {"/user", map[string]any{"data": map[string]any{"a": 1}}, auth.NewUser{Email: "ada@example.com", EmailConfirmed: true}},
	} {
		for how, remove := range map[string]func(*auth.Users, uuid.UUID) error{
			"":        func(u *auth.Users, id uuid.UUID) error { return u.Delete(context.Background(), id) },
			" softly": func(u *auth.Users, id uuid.UUID) error { return u.SoftDelete(context.Background(), id) },
		} {
			t.Run(name+how, func(t *testing.T) {
				s := &forestalled{Store: tap(t)}
				d := openPhones(t, auth.WithStore(s))
				u, err := d.Auth.Users().Create(t.Context(), c.with)
				require.NoError(t, err)
				g, err := d.Auth.Users().Issue(t.Context(), u.ID, "password")
				require.NoError(t, err)
				goes := func() { require.NoError(t, remove(d.Auth.Users(), u.ID)) }
				s.before.Store(&goes)
				method := http.MethodGet
				if c.body != nil {
					method = http.MethodPut
				}
				a := d.send(method, c.path, c.body, bearer(g.AccessToken)).wantFault(http.StatusForbidden, "user_not_found")
				require.Nil(t, s.before.Load())
				if how == "" {
					require.Equal(t, statusAndBody(d.send(http.MethodGet, "/user", nil, bearer(g.AccessToken))), statusAndBody(a))
				}
				d.Deliver()
				require.Empty(t, d.Mail.Messages())
				require.Empty(t, d.SMS.Messages())
			})
		}
	}
}

// With phones switched off nothing is sent to one, although there is what would send it.
func TestReauthenticationWithoutPhones(t *testing.T) {
	for _, phones := range []bool{true, false} {
		d := open(t, auth.WithPhoneSignIn(phones))
		u, err := d.Auth.Users().Create(t.Context(), auth.NewUser{Phone: phone(1), PhoneConfirmed: true})
		require.NoError(t, err)
		g, err := d.Auth.Users().Issue(t.Context(), u.ID, "password")
		require.NoError(t, err)
		a := d.send(http.MethodGet, "/reauthenticate", nil, bearer(g.AccessToken))
		if phones {
			a.want(http.StatusOK, nil)
			require.Equal(t, 1, d.texts(phone(1)))
			continue
		}
		a.wantFault(http.StatusBadRequest, "phone_provider_disabled")
		require.Equal(t, "Phone logins are disabled", a.object()["msg"])
		require.Zero(t, d.texts(phone(1)))
	}
}
