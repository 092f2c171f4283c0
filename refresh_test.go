package auth_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/truekeel/auth"
)

// refresh exchanges a refresh token.
func (d *door) refresh(token string) answer {
	d.t.Helper()
	return d.post("/token?grant_type=refresh_token", map[string]any{"refresh_token": token})
}

// next exchanges a refresh token and gives what follows.
func (d *door) next(token string) tokenAnswer {
	d.t.Helper()
	var out tokenAnswer
	d.refresh(token).want(http.StatusOK, &out)
	return out
}

func TestRefreshRotates(t *testing.T) {
	d := open(t)
	p := d.User("ada@example.com")
	d.Clock.Advance(time.Minute)
	a := d.refresh(p.RefreshToken).want(http.StatusOK, nil)
	body := a.object()
	require.NotEqual(t, p.RefreshToken, body["refresh_token"])
	require.NotContains(t, body, "weak_password")
	require.Equal(t, "false", a.Header.Get("sb-auth-refresh-token-reuse"))
	require.Equal(t, p.User.ID.String(), a.Header.Get("sb-auth-user-id"))
	require.Equal(t, p.SessionID.String(), a.Header.Get("sb-auth-session-id"))
	require.Equal(t, "no-store", a.Header.Get("Cache-Control"))
	u, err := d.Auth.Verify(t.Context(), body["access_token"].(string))
	require.NoError(t, err)
	require.Equal(t, p.SessionID, u.SessionID, "the session stays")
}

// Tabs and servers refresh one session at once: all go on, with the same next token.
func TestTwentyRefreshesAtOnce(t *testing.T) {
	d := open(t)
	p := d.User("ada@example.com")
	var mu sync.Mutex
	tokens, rotations := map[string]bool{}, 0
	seen := d.atOnce(20, func(int) answer {
		a := d.refresh(p.RefreshToken)
		mu.Lock()
		defer mu.Unlock()
		tokens[a.object()["refresh_token"].(string)] = true
		if a.Header.Get("sb-auth-refresh-token-reuse") == "false" {
			rotations++
		}
		return a
	})
	require.Equal(t, map[int]int{http.StatusOK: 20}, seen)
	require.Len(t, tokens, 1)
	require.Equal(t, 1, rotations, "the token was rotated once")
	for token := range tokens {
		d.next(token)
	}
}

// The parent of the active token heals a client that lost the answer, however late.
func TestParentAnswersWithTheActiveToken(t *testing.T) {
	d := open(t)
	p := d.User("ada@example.com")
	second := d.next(p.RefreshToken)
	for range 3 {
		d.Clock.Advance(30 * 24 * time.Hour)
		a := d.refresh(p.RefreshToken).want(http.StatusOK, nil)
		require.Equal(t, second.RefreshToken, a.object()["refresh_token"])
		require.Empty(t, a.Header.Get("sb-auth-refresh-token-reuse"))
	}
	third := d.next(second.RefreshToken)
	require.NotEqual(t, second.RefreshToken, third.RefreshToken)
}

// An older token was stolen or replayed: the family ends at once and for good, although
// the request fails.
func TestReuseEndsTheFamily(t *testing.T) {
	d := open(t)
	p := d.User("ada@example.com")
	other, err := d.Auth.Users().Issue(t.Context(), p.User.ID, "password")
	require.NoError(t, err)
	second := d.next(p.RefreshToken)
	third := d.next(second.RefreshToken)

	a := d.refresh(p.RefreshToken).wantFault(http.StatusBadRequest, "refresh_token_already_used")
	require.Equal(t, p.User.ID.String(), a.Header.Get("sb-auth-user-id"))
	for _, token := range []string{third.RefreshToken, second.RefreshToken, p.RefreshToken} {
		d.refresh(token).wantFault(http.StatusBadRequest, "refresh_token_not_found")
	}
	d.send("GET", "/user", nil, bearer(third.AccessToken)).wantFault(http.StatusForbidden, "session_not_found")
	d.next(other.RefreshToken) // another device isn't concerned
}

func TestReuseRacesRefresh(t *testing.T) {
	d := open(t)
	for range 5 {
		p := d.User(uuid.NewString() + "@example.com")
		second := d.next(p.RefreshToken)
		third := d.next(second.RefreshToken)
		d.atOnce(8, func(i int) answer {
			if i%2 == 0 {
				return d.refresh(p.RefreshToken)
			}
			return d.refresh(third.RefreshToken)
		})
		d.refresh(third.RefreshToken).wantFault(http.StatusBadRequest, "refresh_token_not_found")
		d.send("GET", "/user", nil, bearer(p.AccessToken)).wantFault(http.StatusForbidden, "session_not_found")
	}
}

func TestWithoutReuseDetection(t *testing.T) {
	d := open(t, auth.WithoutReuseDetection())
	p := d.User("ada@example.com")
	third := d.next(d.next(p.RefreshToken).RefreshToken)
	d.refresh(p.RefreshToken).wantFault(http.StatusBadRequest, "refresh_token_already_used")
	d.next(third.RefreshToken)
}

func TestRefreshReuseInterval(t *testing.T) {
	d := open(t, auth.WithRefreshReuse(10*time.Second))
	p := d.User("ada@example.com")
	second := d.next(p.RefreshToken)
	d.Clock.Advance(10 * time.Second)
	require.Equal(t, second.RefreshToken, d.next(p.RefreshToken).RefreshToken)
	d.Clock.Advance(time.Microsecond)
	d.refresh(p.RefreshToken).wantFault(http.StatusBadRequest, "refresh_token_already_used")
	d.refresh(second.RefreshToken).wantFault(http.StatusBadRequest, "refresh_token_not_found")

	// Inside of the interval an older token ends the family all the same.
	p = d.User("eve@example.com")
	third := d.next(d.next(p.RefreshToken).RefreshToken)
	d.refresh(p.RefreshToken).wantFault(http.StatusBadRequest, "refresh_token_already_used")
	d.refresh(third.RefreshToken).wantFault(http.StatusBadRequest, "refresh_token_not_found")
}

// A token that isn't exactly the one that was given is none.
func TestMangledRefreshTokens(t *testing.T) {
	d := open(t)
	p := d.User("ada@example.com")
	token := p.RefreshToken
	bad := map[string]string{"": "400 validation_failed", " ": "400 validation_failed", p.AccessToken: "400 validation_failed", strings.Repeat("a", 1<<19): "400 validation_failed"}
	for i := range token {
		flip := "a"
		if token[i] == 'a' {
			flip = "b"
		}
		bad[token[:i]+token[i+1:]] = "400 validation_failed"
		bad[token[:i]+flip+token[i+1:]] = "400 refresh_token_not_found"
		bad[token[:i]+" "+token[i+1:]] = "400 validation_failed"
		if up := token[:i] + strings.ToUpper(token[i:i+1]) + token[i+1:]; up != token {
			bad[up] = "400 validation_failed"
		}
	}
	for _, pad := range []string{" ", "=", "\n", "\t", "a", "%00", "'", "\u200b"} {
		bad[token+pad], bad[pad+token] = "400 validation_failed", "400 validation_failed"
	}
	for text, want := range bad {
		status, code, _ := strings.Cut(want, " ")
		require.Equal(t, "400", status)
		d.refresh(text).wantFault(http.StatusBadRequest, code)
	}
	a := d.refresh(token).want(http.StatusOK, nil)
	require.Equal(t, "false", a.Header.Get("sb-auth-refresh-token-reuse"), "none of them moved the session")
}

func TestSessionTimebox(t *testing.T) {
	d := open(t, auth.WithSessionLimits(auth.SessionLimits{Timebox: 2 * time.Hour}))
	p := d.User("ada@example.com")
	d.Clock.Advance(time.Hour)
	second := d.next(p.RefreshToken)
	d.Clock.Advance(time.Hour)
	second = d.next(second.RefreshToken)
	d.Clock.Advance(time.Microsecond)
	d.refresh(second.RefreshToken).wantFault(http.StatusBadRequest, "session_expired")
}

func TestSessionInactivity(t *testing.T) {
	d := open(t, auth.WithSessionLimits(auth.SessionLimits{Inactivity: time.Hour}))
	p := d.User("ada@example.com")
	token := p.RefreshToken
	for range 5 {
		d.Clock.Advance(time.Hour)
		token = d.next(token).RefreshToken
	}
	d.Clock.Advance(time.Hour + time.Microsecond)
	d.refresh(token).wantFault(http.StatusBadRequest, "session_expired")
}

func TestSingleSessionPerUser(t *testing.T) {
	d := open(t, auth.WithSessionLimits(auth.SessionLimits{SinglePerUser: true}))
	first := d.User("ada@example.com")
	someone := d.User("eve@example.com")
	d.Clock.Advance(time.Minute)
	second, err := d.Auth.Users().Issue(t.Context(), first.User.ID, "password")
	require.NoError(t, err)
	d.refresh(first.RefreshToken).wantFault(http.StatusBadRequest, "session_expired")
	d.next(second.RefreshToken)
	d.next(someone.RefreshToken)
}

func TestBannedAndDeletedUsersStop(t *testing.T) {
	d := open(t)
	p := d.User("ada@example.com", func(n *auth.NewUser) { n.Password = goodPassword })
	require.NoError(t, d.Auth.Users().Ban(t.Context(), p.User.ID, d.Clock.Now().Add(time.Hour)))
	d.refresh(p.RefreshToken).wantFault(http.StatusBadRequest, "user_banned")
	d.send("GET", "/user", nil, bearer(p.AccessToken)).wantFault(http.StatusForbidden, "user_banned")
	d.send("PUT", "/user", map[string]any{"data": map[string]any{"a": 1}}, bearer(p.AccessToken)).wantFault(http.StatusForbidden, "user_banned")
	d.password("ada@example.com", goodPassword).wantFault(http.StatusBadRequest, "user_banned")
	_, err := d.Auth.Users().Issue(t.Context(), p.User.ID, "password")
	require.ErrorIs(t, err, &auth.Error{Code: "user_banned"})

	d.Clock.Advance(time.Hour) // a ban ends by itself
	second := d.next(p.RefreshToken)
	require.NoError(t, d.Auth.Users().SoftDelete(t.Context(), p.User.ID))
	d.refresh(second.RefreshToken).wantFault(http.StatusBadRequest, "refresh_token_not_found")
	d.send("GET", "/user", nil, bearer(second.AccessToken)).wantFault(http.StatusForbidden, "session_not_found")

	eve := d.User("eve@example.com")
	require.NoError(t, d.Auth.Users().Delete(t.Context(), eve.User.ID))
	d.refresh(eve.RefreshToken).wantFault(http.StatusBadRequest, "refresh_token_not_found")
	d.send("GET", "/user", nil, bearer(eve.AccessToken)).wantFault(http.StatusForbidden, "user_not_found")
}
