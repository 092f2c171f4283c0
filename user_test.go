package auth_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/truekeel/auth"
	"github.com/truekeel/auth/store"
)

// put changes the caller's account.
func (d *door) put(token string, v any, headers ...header) answer {
	d.t.Helper()
	return d.send(http.MethodPut, "/user", v, append(headers, bearer(token))...)
}

func TestMetadataIsMerged(t *testing.T) {
	d := open(t)
	p := d.User("ada@example.com", func(n *auth.NewUser) {
		n.UserMetadata = store.MakeObject(map[string]any{"keep": true, "drop": 1, "change": "old"})
	})
	d.put(p.AccessToken, `{"data":{"drop":null,"change":"new","add":{"deep":[1,null]}}}`).want(http.StatusOK, nil)
	d.put(p.AccessToken, `{"data":null}`).want(http.StatusOK, nil)
	d.put(p.AccessToken, `{"data":{}}`).want(http.StatusOK, nil)
	d.put(p.AccessToken, `{}`).want(http.StatusOK, nil)
	got := d.send("GET", "/user", nil, bearer(p.AccessToken)).want(http.StatusOK, nil).object()["user_metadata"]
	require.Equal(t, map[string]any{
		"keep": true, "change": "new", "add": map[string]any{"deep": []any{float64(1), nil}}, "email_verified": true,
	}, got)
}

func TestNumbersKeepTheirDigits(t *testing.T) {
	d := open(t)
	p := d.User("ada@example.com")
	d.put(p.AccessToken, `{"data":{"id":12345678901234567890,"pi":3.14159265358979323846}}`).want(http.StatusOK, nil)
	body := string(d.send("GET", "/user", nil, bearer(p.AccessToken)).want(http.StatusOK, nil).Body)
	require.Contains(t, body, "12345678901234567890")
	require.Contains(t, body, "3.14159265358979323846")
	u, err := d.Auth.Verify(t.Context(), d.next(p.RefreshToken).AccessToken)
	require.NoError(t, err)
	require.Contains(t, string(u.UserMetadata), "12345678901234567890")
}

func TestUserMassAssignment(t *testing.T) {
	d := open(t)
	p := d.User("ada@example.com", func(n *auth.NewUser) { n.EmailConfirmed = false })
	before := d.send("GET", "/user", nil, bearer(p.AccessToken)).want(http.StatusOK, nil).object()
	after := d.put(p.AccessToken, map[string]any{
		"id": "11111111-2222-4333-8444-555555555555", "role": "service_role", "aud": "other", "email_verified": true,
		"email_confirmed_at": "2020-01-01T00:00:00Z", "confirmed_at": "2020-01-01T00:00:00Z", "email_confirm": true,
		"banned_until": nil, "is_anonymous": true, "user_metadata": map[string]any{"x": 1}, "password_hash": "x",
		"identities": []any{}, "is_super_admin": true, "phone_confirmed_at": "2020-01-01T00:00:00Z",
	}).want(http.StatusOK, nil).object()
	delete(before, "updated_at")
	delete(after, "updated_at")
	require.Equal(t, before, after)

	// In his own metadata he says what he likes; it proves nothing.
	after = d.put(p.AccessToken, `{"data":{"email_verified":true,"role":"service_role"}}`).want(http.StatusOK, nil).object()
	require.NotContains(t, after, "email_confirmed_at")
	require.Equal(t, "authenticated", after["role"])
	require.Equal(t, false, after["identities"].([]any)[0].(map[string]any)["identity_data"].(map[string]any)["email_verified"])
}

func TestAppMetadataIsTheServices(t *testing.T) {
	d := open(t, auth.WithSelfAdminRole("owner"))
	p := d.User("ada@example.com")
	for _, meta := range []string{`{"admin":true}`, `{}`} {
		d.put(p.AccessToken, `{"app_metadata":`+meta+`}`).wantFault(http.StatusForbidden, "not_admin")
	}
	d.put(p.AccessToken, `{"app_metadata":null}`).want(http.StatusOK, nil)
	owner := d.User("owner@example.com", func(n *auth.NewUser) { n.Role = "owner" })
	body := d.put(owner.AccessToken, `{"app_metadata":{"plan":"pro"}}`).want(http.StatusOK, nil).object()
	require.Equal(t, "pro", body["app_metadata"].(map[string]any)["plan"])
	// The stored role counts, not the token's.
	plain := "authenticated"
	_, err := d.Auth.Users().Update(t.Context(), owner.User.ID, auth.Change{Role: &plain})
	require.NoError(t, err)
	d.put(owner.AccessToken, `{"app_metadata":{"plan":"free"}}`).wantFault(http.StatusForbidden, "not_admin")
}

func TestPasswordChangeEndsOtherSessions(t *testing.T) {
	d := open(t)
	p := d.User("ada@example.com", func(n *auth.NewUser) { n.Password = goodPassword })
	other := d.signIn("ada@example.com")
	eve := d.User("eve@example.com")
	next := "the next password"
	d.put(p.AccessToken, map[string]any{"password": next}).want(http.StatusOK, nil)

	d.send("GET", "/user", nil, bearer(p.AccessToken)).want(http.StatusOK, nil)
	d.next(p.RefreshToken)
	d.send("GET", "/user", nil, bearer(other.AccessToken)).wantFault(http.StatusForbidden, "session_not_found")
	d.refresh(other.RefreshToken).wantFault(http.StatusBadRequest, "refresh_token_not_found")
	d.next(eve.RefreshToken)
	d.password("ada@example.com", goodPassword).wantFault(http.StatusBadRequest, "invalid_credentials")
	d.password("ada@example.com", next).want(http.StatusOK, nil)
}

func TestPasswordChangeRefusals(t *testing.T) {
	tests := []struct {
		name, body string
		status     int
		code       string
	}{
		{"same", `{"password":"` + goodPassword + `"}`, 422, "same_password"},
		{"weak", `{"password":"short"}`, 422, "weak_password"},
		{"empty", `{"password":""}`, 422, "weak_password"},
		{"long", `{"password":"` + strings.Repeat("a", 73) + `"}`, 400, "validation_failed"},
		{"NUL", `{"password":"pass\u0000word123"}`, 400, "validation_failed"},
		{"number", `{"password":12345678}`, 400, "bad_json"},
		{"phone", `{"phone":"15551234567"}`, 400, "phone_provider_disabled"},
		{"bad email", `{"email":"a@b@c"}`, 400, "validation_failed"},
		{"taken email", `{"email":"EVE@example.com"}`, 422, "email_exists"},
		{"large metadata", `{"data":{"x":"` + strings.Repeat("x", 9<<10) + `"}}`, 400, "validation_failed"},
	}
	d := open(t)
	p := d.User("ada@example.com", func(n *auth.NewUser) { n.Password = goodPassword })
	d.User("eve@example.com")
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { d.put(p.AccessToken, tt.body).wantFault(tt.status, tt.code) })
	}
	d.signIn("ada@example.com")
	d.send("GET", "/user", nil, bearer(p.AccessToken)).want(http.StatusOK, nil)
}

// Metadata that is accepted leaves tokens that are accepted.
func TestLargestMetadataStillFitsIntoATokenThatWorks(t *testing.T) {
	d := open(t)
	d.post("/signup", map[string]any{"email": strings.Repeat("a", 200) + "@example.com", "password": goodPassword, "data": map[string]any{"x": strings.Repeat("<", 1190)}}).
		want(http.StatusOK, nil)
	in := func() tokenAnswer {
		p := d.User("ada@example.com")
		d.put(p.AccessToken, map[string]any{"data": map[string]any{"x": strings.Repeat("x", 8000)}}).want(http.StatusOK, nil)
		return d.next(p.RefreshToken)
	}()
	require.Greater(t, len(in.AccessToken), 8000)
	d.send("GET", "/user", nil, bearer(in.AccessToken)).want(http.StatusOK, nil)
	_, err := d.Auth.Verify(t.Context(), in.AccessToken)
	require.NoError(t, err)
}

func TestCurrentPassword(t *testing.T) {
	d := open(t, auth.WithCurrentPassword(true))
	p := d.User("ada@example.com", func(n *auth.NewUser) { n.Password = goodPassword })
	next := "the next password"
	d.put(p.AccessToken, map[string]any{"password": next}).wantFault(http.StatusBadRequest, "current_password_required")
	d.put(p.AccessToken, map[string]any{"password": next, "current_password": "wrong"}).wantFault(http.StatusBadRequest, "current_password_invalid")
	d.put(p.AccessToken, map[string]any{"password": next, "current_password": goodPassword}).want(http.StatusOK, nil)

	byMail, err := d.Auth.Users().Issue(t.Context(), p.User.ID, "otp")
	require.NoError(t, err)
	d.put(byMail.AccessToken, map[string]any{"password": "a third password"}).want(http.StatusOK, nil)
	none := d.User("eve@example.com")
	d.put(none.AccessToken, map[string]any{"password": next}).want(http.StatusOK, nil)
}

func TestReauthenticationBeforeAPasswordChange(t *testing.T) {
	d := open(t, auth.WithReauthentication(true))
	p := d.User("ada@example.com", func(n *auth.NewUser) { n.Password = goodPassword })
	next := map[string]any{"password": "the next password"}
	d.Clock.Advance(24 * time.Hour)
	in := d.next(p.RefreshToken)
	d.put(in.AccessToken, next).wantFault(http.StatusBadRequest, "reauthentication_needed")
	d.send("GET", "/reauthenticate", nil, bearer(in.AccessToken)).want(http.StatusOK, nil)
	code := d.LastMail("ada@example.com").Code()
	next["nonce"] = "000000"
	if code == "000000" {
		next["nonce"] = "000001"
	}
	d.put(in.AccessToken, next).wantFault(http.StatusUnprocessableEntity, "reauthentication_not_valid")
	next["nonce"] = code
	d.put(in.AccessToken, next).want(http.StatusOK, nil)
	next["password"] = "a third password"
	d.put(in.AccessToken, next).wantFault(http.StatusUnprocessableEntity, "reauthentication_not_valid")
	young := d.password("ada@example.com", "the next password").want(http.StatusOK, nil).object()["access_token"].(string)
	d.put(young, map[string]any{"password": "a third password"}).want(http.StatusOK, nil)
}

// Of two changes at once both are kept.
func TestMetadataChangesAtOnce(t *testing.T) {
	d := open(t)
	p := d.User("ada@example.com")
	seen := d.atOnce(10, func(i int) answer {
		return d.put(p.AccessToken, map[string]any{"data": map[string]any{string(rune('a' + i)): i}})
	})
	require.Equal(t, map[int]int{http.StatusOK: 10}, seen)
	u, err := d.Auth.Users().Get(t.Context(), p.User.ID)
	require.NoError(t, err)
	require.Len(t, u.UserMetadata, 11) // and email_verified
}
