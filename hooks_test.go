package auth_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/truekeel/auth"
	"github.com/truekeel/auth/fault"
	"github.com/truekeel/auth/store"
	"github.com/truekeel/auth/tokens"
)

func TestBeforeUserCreated(t *testing.T) {
	var asked []string
	var answer func() error
	d := open(t, auth.WithSiteURL("https://app.example.com"), auth.WithHooks(auth.Hooks{BeforeUserCreated: func(_ context.Context, u auth.Account) error {
		asked = append(asked, u.Email+" "+u.UserMetadata.String("name"))
		u.UserMetadata.Set("name", "changed by the hook") // a copy
		return answer()
	}}))
	ways := map[string]func(email string) error{
		"sign-up": func(email string) error {
			return refusalOf(d.post("/signup", map[string]any{"email": email, "password": goodPassword, "data": map[string]any{"name": "Ada"}}))
		},
		"magic link": func(email string) error {
			return refusalOf(d.post("/otp", map[string]any{"email": email, "data": map[string]any{"name": "Ada"}}))
		},
		"invitation": func(email string) error {
			_, err := d.Auth.Users().Invite(t.Context(), auth.Invitation{Email: email, UserMetadata: store.MakeObject(map[string]any{"name": "Ada"})})
			return err
		},
	}
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			email := strings.ReplaceAll(name, " ", "") + "@example.com"
			for hook, h := range map[string]struct {
				answer func() error
				code   string
			}{
				"refuses": {func() error { return &auth.Error{Code: "not_you", Message: "No"} }, "not_you"},
				"fails":   {func() error { return errors.New("internal: secret") }, "unexpected_failure"},
				"panics":  {func() error { panic("secret") }, "unexpected_failure"},
			} {
				answer, asked = h.answer, nil
				err := way(email)
				require.Error(t, err, hook)
				if code := codeOf(err); code != "" {
					require.Equal(t, h.code, code, hook)
					require.NotContains(t, err.Error(), "secret")
				}
				require.Equal(t, []string{email + " Ada"}, asked, "once, also where a transaction is run again")
				_, err = d.Auth.Users().FindByEmail(t.Context(), email)
				require.ErrorIs(t, err, &auth.Error{Code: "user_not_found"})
			}
			answer, asked = func() error { return nil }, nil
			require.NoError(t, way(email))
			require.Len(t, asked, 1)
			u, err := d.Auth.Users().FindByEmail(t.Context(), email)
			require.NoError(t, err)
			require.Equal(t, "Ada", u.UserMetadata.String("name"))
			d.Clock.Advance(time.Hour)
			require.NoError(t, way(email))
			require.Len(t, asked, 1, "nobody is made twice")
		})
	}
}

// refusalOf is the error of an answer; nil if it was good.
func refusalOf(a answer) error {
	if a.Status < 400 {
		return nil
	}
	return &auth.Error{Code: fault.Code(a.Header.Get("x-sb-error-code")), Message: string(a.Body)}
}

func codeOf(err error) string {
	var f *auth.Error
	if errors.As(err, &f) {
		return string(f.Code)
	}
	return ""
}

// told is what an AfterUserCreated hook heard.
type told struct {
	mu    sync.Mutex
	calls map[string][]string // event ids, by email
	fail  int                 // so many calls fail
	panic bool
}

func (h *told) hear(_ context.Context, eventID string, u auth.Account) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.calls == nil {
		h.calls = map[string][]string{}
	}
	h.calls[u.Email] = append(h.calls[u.Email], eventID)
	if h.fail > 0 {
		h.fail--
		if h.panic {
			panic("a secret")
		}
		return errors.New("not now")
	}
	return nil
}

func (h *told) of(email string) []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.calls[email]
}

func TestAfterUserCreatedHearsOfEveryAccount(t *testing.T) {
	var h told
	d := open(t, auth.WithSiteURL("https://app.example.com"), auth.WithHooks(auth.Hooks{AfterUserCreated: h.hear}))
	d.post("/signup", map[string]any{"email": "signup@example.com", "password": goodPassword}).want(http.StatusOK, nil)
	d.post("/otp", map[string]any{"email": "otp@example.com"}).want(http.StatusOK, nil)
	_, err := d.Auth.Users().Invite(t.Context(), auth.Invitation{Email: "invite@example.com"})
	require.NoError(t, err)
	_, err = d.Auth.Users().Create(t.Context(), auth.NewUser{Email: "create@example.com"})
	require.NoError(t, err)
	_, err = d.Auth.Users().Create(t.Context(), auth.NewUser{Email: "create@example.com"}) // taken
	require.Error(t, err)
	d.atOnce(10, func(int) answer {
		return d.post("/signup", map[string]any{"email": "ten@example.com", "password": goodPassword})
	})
	d.Deliver()
	require.Len(t, h.calls, 5)
	for _, email := range []string{"signup", "otp", "invite", "create", "ten"} {
		require.Len(t, h.of(email+"@example.com"), 1, email)
	}
}

func TestAfterUserCreatedIsRepeatedUntilItSucceeds(t *testing.T) {
	for _, panics := range []bool{false, true} {
		h := told{fail: 2, panic: panics}
		d := open(t, auth.WithHooks(auth.Hooks{AfterUserCreated: h.hear}))
		d.post("/signup", map[string]any{"email": "ada@example.com", "password": goodPassword}).want(http.StatusOK, nil)
		for range 3 {
			_ = d.Auth.Deliver(t.Context()) // tells that one failed
			d.Clock.Advance(time.Hour)
		}
		d.Deliver()
		ids := h.of("ada@example.com")
		require.Len(t, ids, 3)
		require.Equal(t, ids[0], ids[2], "the id stays the same")
		require.NoError(t, uuid.Validate(ids[0]))
	}
}

// Of an account that was rolled back, or is gone again, nobody hears.
func TestAfterUserCreatedOfNobody(t *testing.T) {
	var h told
	s := tap(t)
	d := open(t, auth.WithStore(s), auth.WithHooks(auth.Hooks{AfterUserCreated: h.hear}))
	s.fail(storeFault{err: store.ErrUnavailable, readsOK: true, atCommit: true})
	d.post("/signup", map[string]any{"email": "ada@example.com", "password": goodPassword}).wantFault(http.StatusServiceUnavailable, "service_unavailable")
	_, err := d.Auth.Users().Create(t.Context(), auth.NewUser{Email: "eve@example.com"})
	require.ErrorIs(t, err, store.ErrUnavailable)
	s.heal()
	d.Deliver()
	require.Empty(t, h.calls)
}

func TestCustomAccessToken(t *testing.T) {
	var hook func(u auth.Account, c *tokens.Claims) error
	d := open(t, auth.WithHooks(auth.Hooks{CustomAccessToken: func(_ context.Context, u auth.Account, c *tokens.Claims) error { return hook(u, c) }}))
	hook = func(u auth.Account, c *tokens.Claims) (err error) {
		c.Extra, err = tokens.MakeJSON(map[string]any{"tenant": "of " + u.Email})
		c.Role, c.Subject, c.Email, c.SessionID, c.AAL = "service_role", uuid.NewString(), "eve@example.com", uuid.NewString(), "aal3" // not the hook's
		c.ExpiresAt, c.Audience = c.ExpiresAt.Add(1000*time.Hour), []string{"x"}
		c.AMR[0].Method, c.AppMetadata, c.UserMetadata = "none", `{"admin":true}`, `{"admin":true}`
		return err
	}
	p := d.User("ada@example.com", func(n *auth.NewUser) { n.Password = goodPassword })
	for _, token := range []string{p.AccessToken, d.signIn("ada@example.com").AccessToken, d.next(p.RefreshToken).AccessToken} {
		app := d.Auth.RequireUser(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			c, _ := auth.ClaimsFrom(r.Context())
			require.JSONEq(t, `{"tenant":"of ada@example.com"}`, string(c.Extra))
			require.Equal(t, p.User.ID.String(), c.Subject)
			require.Equal(t, "authenticated", c.Role)
			require.Equal(t, "ada@example.com", c.Email)
			require.Equal(t, "aal1", c.AAL)
			require.Equal(t, []string{"authenticated"}, c.Audience)
			require.Equal(t, "password", c.AMR[0].Method)
			require.NotContains(t, string(c.AppMetadata+c.UserMetadata), "admin")
			require.Equal(t, time.Hour, c.ExpiresAt.Sub(c.IssuedAt))
		}))
		require.Equal(t, http.StatusOK, visit(app, bearer(token)).Code)
	}

	for name, h := range map[string]func(auth.Account, *tokens.Claims) error{
		"role":             func(_ auth.Account, c *tokens.Claims) error { c.Extra = `{"role":"service_role"}`; return nil },
		"sub":              func(_ auth.Account, c *tokens.Claims) error { c.Extra = `{"sub":"x"}`; return nil },
		"exp":              func(_ auth.Account, c *tokens.Claims) error { c.Extra = `{"exp":1}`; return nil },
		"escaped":          func(_ auth.Account, c *tokens.Claims) error { c.Extra = `{"r\u006fle":"service_role"}`; return nil },
		"no JSON":          func(_ auth.Account, c *tokens.Claims) error { c.Extra = `{`; return nil },
		"array":            func(_ auth.Account, c *tokens.Claims) error { c.Extra = `[]`; return nil },
		"error":            func(auth.Account, *tokens.Claims) error { return errors.New("secret") },
		"panic":            func(auth.Account, *tokens.Claims) error { panic("secret") },
		"panic(nil error)": func(auth.Account, *tokens.Claims) error { var c *tokens.Claims; c.Role = "x"; return nil },
	} {
		hook = h
		a := d.password("ada@example.com", goodPassword).wantFault(http.StatusInternalServerError, "unexpected_failure")
		require.NotContains(t, string(a.Body), "secret", name)
	}
	hook = func(auth.Account, *tokens.Claims) error {
		return &auth.Error{Code: "no_subscription", Message: "Pay first"}
	}
	d.password("ada@example.com", goodPassword).wantFault(http.StatusBadRequest, "no_subscription")
}
