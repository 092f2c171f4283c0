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
	"github.com/truekeel/auth/store"
	"github.com/truekeel/auth/tokens"
)

// guardian is a PasswordVerification that a test tells what to decide.
type guardian struct {
	mu     sync.Mutex
	heard  []auth.PasswordAttempt
	decide func(ctx context.Context, p auth.PasswordAttempt) (auth.PasswordDecision, error)
}

func (w *guardian) hook(ctx context.Context, p auth.PasswordAttempt) (auth.PasswordDecision, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.heard = append(w.heard, p)
	if w.decide == nil {
		return auth.PasswordDecision{}, nil
	}
	return w.decide(ctx, p)
}

// decides sets what is decided from now on, and forgets what was heard.
func (w *guardian) decides(d auth.PasswordDecision, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.heard, w.decide = nil, func(context.Context, auth.PasswordAttempt) (auth.PasswordDecision, error) { return d, err }
}

func (w *guardian) attempts() []auth.PasswordAttempt {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.heard
}

// openWatched opens a door with an account, and one without a password.
func openWatched(t *testing.T, opts ...auth.Option) (*door, *guardian, auth.Account) {
	t.Helper()
	w := &guardian{}
	d := open(t, append([]auth.Option{auth.WithoutLimits(), auth.WithHooks(auth.Hooks{PasswordVerification: w.hook})}, opts...)...)
	_, err := d.Auth.Users().Create(t.Context(), auth.NewUser{Email: "none@example.com", EmailConfirmed: true})
	require.NoError(t, err)
	return d, w, d.confirmed("ada@example.com")
}

func TestPasswordVerification(t *testing.T) {
	d, w, ada := openWatched(t)
	wrong := func() answer { return d.password("ada@example.com", "not the password") }
	d.signIn("ada@example.com")
	wrong().wantFault(http.StatusBadRequest, "invalid_credentials")
	require.Equal(t, []auth.PasswordAttempt{{UserID: ada.ID, Valid: true}, {UserID: ada.ID}}, w.attempts())
	for _, nobody := range []string{"none@example.com", "nobody@example.com"} {
		d.password(nobody, goodPassword).wantFault(http.StatusBadRequest, "invalid_credentials")
	}
	require.Len(t, w.attempts(), 2, "there was nothing to compare")

	// Rejected: right and wrong passwords, and unknown addresses, get one answer.
	nobody := d.password("nobody@example.com", goodPassword)
	in := d.signIn("ada@example.com")
	w.decides(auth.PasswordDecision{Reject: true}, nil)
	for _, a := range []answer{d.password("ada@example.com", goodPassword), wrong()} {
		require.Equal(t, statusAndBody(nobody), statusAndBody(a))
	}
	require.NotEmpty(t, d.next(in.RefreshToken).AccessToken, "nobody was signed out")
	// With a text of the host's they get that, so that a lock hides which it was.
	w.decides(auth.PasswordDecision{Reject: true, Message: "Locked 100%"}, nil)
	right := d.password("ada@example.com", goodPassword).wantFault(http.StatusBadRequest, "invalid_credentials")
	require.Contains(t, string(right.Body), `"Locked 100%"`)
	require.Equal(t, statusAndBody(right), statusAndBody(wrong()))
	// Signed out, whatever the password was.
	for _, pw := range []string{goodPassword, "not the password"} {
		w.decides(auth.PasswordDecision{}, nil)
		in = d.signIn("ada@example.com")
		w.decides(auth.PasswordDecision{Reject: true, SignOut: true}, nil)
		d.password("ada@example.com", pw).wantFault(http.StatusBadRequest, "invalid_credentials")
		d.refresh(in.RefreshToken).wantFault(http.StatusBadRequest, "refresh_token_not_found")
	}
	// Only beside a rejection.
	w.decides(auth.PasswordDecision{SignOut: true}, nil)
	in = d.signIn("ada@example.com")
	wrong()
	require.NotEmpty(t, d.next(in.RefreshToken).AccessToken)
}

// A hook that fails is no way to learn which addresses have accounts.
func TestPasswordVerificationFails(t *testing.T) {
	for name, decide := range map[string]func(context.Context, auth.PasswordAttempt) (auth.PasswordDecision, error){
		"error": func(context.Context, auth.PasswordAttempt) (auth.PasswordDecision, error) {
			return auth.PasswordDecision{}, errors.New("a secret")
		},
		"panic": func(context.Context, auth.PasswordAttempt) (auth.PasswordDecision, error) { panic("a secret") },
		"store": func(context.Context, auth.PasswordAttempt) (auth.PasswordDecision, error) {
			return auth.PasswordDecision{}, store.ErrUnavailable
		},
	} {
		d, w, _ := openWatched(t)
		w.decide = decide
		nobody := d.password("nobody@example.com", "not the password")
		require.Equal(t, statusAndBody(nobody), statusAndBody(d.password("ada@example.com", "not the password")), name)
		a := d.password("ada@example.com", goodPassword).wantFault(http.StatusInternalServerError, "unexpected_failure")
		require.NotContains(t, string(a.Body), "secret")
	}
	d, w, _ := openWatched(t)
	w.decides(auth.PasswordDecision{}, &auth.Error{Code: "come_later", Message: "Come later"})
	for _, pw := range []string{goodPassword, "not the password"} {
		d.password("ada@example.com", pw).wantFault(http.StatusBadRequest, "come_later")
	}
}

func TestPasswordVerificationHangs(t *testing.T) {
	sequential(t)
	d, w, _ := openWatched(t, auth.WithRequestTimeout(2*time.Second))
	w.decide = func(ctx context.Context, _ auth.PasswordAttempt) (auth.PasswordDecision, error) {
		<-ctx.Done()
		return auth.PasswordDecision{}, ctx.Err()
	}
	for _, pw := range []string{goodPassword, "not the password"} {
		d.password("ada@example.com", pw).wantFault(http.StatusGatewayTimeout, "request_timeout")
	}
}

// The other dialect asks too, once also where it would make an account.
func TestPasswordVerificationInKeel(t *testing.T) {
	d, w, ada := openWatched(t)
	send := func(email, pw, create string) answer {
		return d.send(http.MethodPost, "/token", fieldsOf{"grant_type": "password", "username": email, "password": pw, "create_if_not_exists": create}, header{"Content-Type", jsonBody})
	}
	for _, create := range []string{"false", "true"} {
		w.decides(auth.PasswordDecision{}, nil)
		send("ada@example.com", goodPassword, create).want(http.StatusOK, nil)
		require.Equal(t, []auth.PasswordAttempt{{UserID: ada.ID, Valid: true}}, w.attempts())
		w.decides(auth.PasswordDecision{Reject: true, Message: "Locked"}, nil)
		refused := send("ada@example.com", goodPassword, create).want(http.StatusUnauthorized, nil)
		require.Equal(t, statusAndBody(refused), statusAndBody(send("ada@example.com", "not the password", create)))
		require.Equal(t, statusAndBody(refused), statusAndBody(send("nobody@example.com", goodPassword, create)))
		require.Len(t, w.attempts(), 2)
	}
}

// TestReservedClaims: nothing that the library says in a token can be said by a hook, and
// a hook that tries uses nothing up.
func TestReservedClaims(t *testing.T) {
	extra := tokens.JSON("")
	d := open(t, auth.WithHooks(auth.Hooks{CustomAccessToken: func(_ context.Context, _ auth.Account, c *tokens.Claims) error {
		c.Extra = extra
		return nil
	}}))
	in := d.signUp("ada@example.com")
	before := claims(t, in.AccessToken)
	for _, name := range []string{
		"iss", "sub", "aud", "exp", "iat", "nbf", "email", "phone", "app_metadata", "user_metadata", "role", "aal", "amr", "session_id",
		"is_anonymous", "client_id", "scope",
	} {
		for _, value := range []string{`"x"`, "1", "null", "{}", "[]", "true"} {
			extra = tokens.JSON(`{"own":1,"` + name + `":` + value + `}`)
			d.password("ada@example.com", goodPassword).wantFault(http.StatusInternalServerError, "unexpected_failure")
			d.refresh(in.RefreshToken).wantFault(http.StatusInternalServerError, "unexpected_failure")
		}
	}
	extra = `{"own":{"deep":[1]},"jti":"x","Role":"service_role"}`
	got := claims(t, d.next(in.RefreshToken).AccessToken)
	require.Equal(t, map[string]any{"deep": []any{1.0}}, got["own"])
	for name, value := range before {
		if name != "exp" && name != "iat" {
			require.Equal(t, value, got[name], name)
		}
	}
	require.Equal(t, "authenticated", got["role"])
}
