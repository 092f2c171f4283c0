package auth_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/truekeel/auth"
	"github.com/truekeel/auth/limit"
	"github.com/truekeel/auth/mail"
	"github.com/truekeel/auth/store"
)

func TestInvitation(t *testing.T) {
	d, service := openAdmin(t, auth.WithSignUp(false), auth.WithEmailSignIn(false))
	var got map[string]any
	d.post("/invite?redirect_to="+d.srv.URL+"/welcome", map[string]any{"email": "Ada@Example.com", "data": map[string]any{"team": "a"}}, service).want(http.StatusOK, &got)
	require.Equal(t, "ada@example.com", got["email"])
	require.Equal(t, map[string]any{"team": "a"}, got["user_metadata"])
	require.NotEmpty(t, got["invited_at"])
	require.NotEmpty(t, got["confirmation_sent_at"])
	require.NotContains(t, got, "email_confirmed_at")
	require.NotContains(t, got["identities"].([]any)[0].(map[string]any)["identity_data"], "team")
	m := d.LastMail("ada@example.com")
	require.Equal(t, mail.Invite, m.Kind)

	// Again at once: it is sent again, and only the newest counts.
	d.post("/invite", map[string]any{"email": "ada@example.com"}, service).want(http.StatusOK, nil)
	again := d.LastMail("ada@example.com")
	d.press(m.Link()).landsWithLinkError()
	d.press(again.Link()).landsWithTokens("invite")
	d.post("/invite", map[string]any{"email": "ada@example.com"}, service).wantFault(http.StatusUnprocessableEntity, "email_exists")
}

func TestInviteRefuses(t *testing.T) {
	d, service := openAdmin(t)
	d.post("/invite", map[string]any{"email": "a@b@c"}, service).wantFault(http.StatusBadRequest, "validation_failed")
	d.post("/invite", `{}`, service).wantFault(http.StatusBadRequest, "validation_failed")
	d.post("/invite", ``, service).wantFault(http.StatusBadRequest, "bad_json")
	d.post("/invite", map[string]any{"email": "a@example.com"}).wantFault(http.StatusUnauthorized, "no_authorization")
	in := d.signUp("ada@example.com")
	d.post("/invite", map[string]any{"email": "a@example.com"}, bearer(in.AccessToken)).wantFault(http.StatusForbidden, "not_admin")
}

func TestInviteTakesFromTheQuota(t *testing.T) {
	d, service := openAdmin(t, auth.WithLimits(auth.Limits{Mails: limit.Window(1, time.Hour)}))
	d.post("/invite", map[string]any{"email": "a@example.com"}, service).want(http.StatusOK, nil)
	d.post("/invite", map[string]any{"email": "b@example.com"}, service).wantFault(http.StatusTooManyRequests, "over_email_send_rate_limit")
}

// An invited person may sign up himself before he opens the invitation.
func TestInvitedSignsUp(t *testing.T) {
	d, service := openAdmin(t)
	d.post("/invite", map[string]any{"email": "ada@example.com"}, service).want(http.StatusOK, nil)
	d.post("/signup", map[string]any{"email": "ada@example.com", "password": goodPassword}).want(http.StatusOK, nil)
	m := d.LastMail("ada@example.com")
	require.Equal(t, mail.Confirmation, m.Kind)
	d.byCode("invite", "ada@example.com", m.Code()).want(http.StatusOK, nil)
}

func TestInviteFromGo(t *testing.T) {
	d := open(t, auth.WithSiteURL("http://localhost:3000"))
	acc, err := d.Auth.Users().Invite(t.Context(), auth.Invitation{Email: "ada@example.com", UserMetadata: store.MakeObject(map[string]any{"locale": "de"})})
	require.NoError(t, err)
	require.False(t, acc.InvitedAt.IsZero())
	m := d.LastMail("ada@example.com")
	require.Equal(t, "de", m.Locale)
	require.Contains(t, m.Link(), "http://localhost:3000/auth/verify?token=")
	d.byCode("invite", "ada@example.com", m.Code()).want(http.StatusOK, nil)

	nowhere := open(t)
	_, err = nowhere.Auth.Users().Invite(t.Context(), auth.Invitation{Email: "ada@example.com"})
	require.ErrorContains(t, err, "WithSiteURL")
	_, err = nowhere.Auth.Users().FindByEmail(t.Context(), "ada@example.com")
	require.Error(t, err, "nothing is left of it")
}
