package auth_test

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/truekeel/auth"
	"github.com/truekeel/auth/internal/proof"
)

// generated is what a generated link's answer has besides the user.
type generated struct {
	ActionLink       string         `json:"action_link"`
	EmailOTP         string         `json:"email_otp"`
	HashedToken      string         `json:"hashed_token"`
	VerificationType string         `json:"verification_type"`
	RedirectTo       string         `json:"redirect_to"`
	ID               string         `json:"id"`
	Email            string         `json:"email"`
	NewEmail         string         `json:"new_email"`
	InvitedAt        string         `json:"invited_at"`
	UserMetadata     map[string]any `json:"user_metadata"`
}

// generate makes a link as an administrator.
func (d *door) generate(service header, body map[string]any) (g generated) {
	d.t.Helper()
	d.post("/admin/generate_link", body, service).want(http.StatusOK, &g)
	require.Regexp(d.t, `^[0-9a-f]{56}$`, g.HashedToken)
	require.Regexp(d.t, `^\d{6}$`, g.EmailOTP)
	v := linkParams(d.t, g.ActionLink)
	require.Equal(d.t, g.HashedToken, v.Get("token"))
	require.Equal(d.t, g.RedirectTo, v.Get("redirect_to"))
	return g
}

func TestGenerateLinkEveryTypeWorks(t *testing.T) {
	sequential(t)
	const email = "ada@example.com"
	for _, c := range []struct {
		kind, effective, verify, via string
		exists                       bool
		more                         map[string]any
	}{
		{"signup", "signup", "signup", "", false, map[string]any{"password": goodPassword, "data": map[string]any{"q": 1}}},
		{"invite", "invite", "invite", "", false, map[string]any{"data": map[string]any{"q": 1}}},
		{"magiclink", "magiclink", "magiclink", "", true, nil},
		{"magiclink", "signup", "signup", "", false, nil},
		{"recovery", "recovery", "recovery", "", true, nil},
	} {
		for _, way := range []string{"link", "hash", "code", "code as email"} {
			t.Run(c.kind+" "+c.effective+" "+way, func(t *testing.T) {
				d, service := openAdmin(t, auth.WithSignUp(false))
				if c.exists {
					d.confirmed(email)
				}
				body := map[string]any{"type": c.kind, "email": "Ada@Example.com", "redirect_to": d.srv.URL + "/cb"}
				for k, v := range c.more {
					body[k] = v
				}
				g := d.generate(service, body)
				require.Equal(t, c.effective, g.VerificationType)
				require.Equal(t, email, g.Email)
				require.Equal(t, d.srv.URL+"/cb", g.RedirectTo)
				require.Equal(t, c.verify, linkParams(t, g.ActionLink).Get("type"))
				if c.more != nil {
					require.Equal(t, map[string]any{"q": 1.0}, g.UserMetadata)
				}
				require.Empty(t, d.mailsTo(email), "the administrator delivers it")
				switch way {
				case "link":
					a := d.press(g.ActionLink)
					a.landsWithTokens(c.verify)
					u, _ := a.landing()
					require.Equal(t, "/cb", u.Path)
				case "hash":
					d.byHash(g.VerificationType, g.HashedToken).want(http.StatusOK, nil)
				case "code":
					d.byCode(g.VerificationType, email, g.EmailOTP).want(http.StatusOK, nil)
				default:
					d.byCode("email", email, g.EmailOTP).want(http.StatusOK, nil)
				}
				d.byHash(g.VerificationType, g.HashedToken).wantLinkError()
				d.byCode(g.VerificationType, email, g.EmailOTP).wantCodeError()
			})
		}
	}
}

func TestGenerateLinkEmailChange(t *testing.T) {
	for _, order := range [][2]string{{"email_change_current", "email_change_new"}, {"email_change_new", "email_change_current"}} {
		d, service := openAdmin(t)
		d.confirmed(oldEmail)
		body := map[string]any{"type": order[0], "email": oldEmail, "new_email": "Countess@example.com"}
		first := d.generate(service, body)
		require.Equal(t, order[0], first.VerificationType)
		require.Equal(t, newEmail, first.NewEmail)
		require.Equal(t, "email_change", linkParams(t, first.ActionLink).Get("type"))
		_, v := d.press(first.ActionLink).landing()
		require.Equal(t, proof.HalfDone, v.Get("message"))

		// The same side again doesn't complete, by link or by code.
		again := d.generate(service, body)
		_, v = d.press(again.ActionLink).landing()
		require.Equal(t, proof.HalfDone, v.Get("message"))
		again = d.generate(service, body)
		address := map[string]string{"email_change_current": oldEmail, "email_change_new": newEmail}
		require.Equal(t, proof.HalfDone, d.byCode("email_change", address[order[0]], again.EmailOTP).want(http.StatusOK, nil).object()["msg"])
		require.Equal(t, oldEmail, d.account(oldEmail).Email)

		body["type"] = order[1]
		second := d.generate(service, body)
		d.byCode("email_change", address[order[1]], second.EmailOTP).want(http.StatusOK, nil)
		require.Equal(t, newEmail, d.account(newEmail).Email)
	}
	// Another new address begins anew: half of one change is no half of another.
	d, service := openAdmin(t)
	d.confirmed(oldEmail)
	first := d.generate(service, map[string]any{"type": "email_change_new", "email": oldEmail, "new_email": newEmail})
	d.press(first.ActionLink)
	other := d.generate(service, map[string]any{"type": "email_change_current", "email": oldEmail, "new_email": "third@example.com"})
	_, v := d.press(other.ActionLink).landing()
	require.Equal(t, proof.HalfDone, v.Get("message"))

	single, service := openAdmin(t, auth.WithSecureEmailChange(false))
	single.confirmed(oldEmail)
	single.post("/admin/generate_link", map[string]any{"type": "email_change_current", "email": oldEmail, "new_email": newEmail}, service).wantFault(http.StatusBadRequest, "validation_failed")
	g := single.generate(service, map[string]any{"type": "email_change_new", "email": oldEmail, "new_email": newEmail})
	single.press(g.ActionLink).landsWithTokens("email_change")
}

func TestGenerateLinkRefuses(t *testing.T) {
	d, service := openAdmin(t)
	d.confirmed("ada@example.com")
	d.confirmed("bob@example.com")
	for _, c := range []struct {
		body   string
		status int
		code   string
	}{
		{`{}`, 400, "validation_failed"},
		{`{"type":"signup"}`, 400, "validation_failed"},
		{`{"type":"signup","email":"a@b@c"}`, 400, "validation_failed"},
		{`{"type":"signup","email":"new@example.com"}`, 400, "validation_failed"},
		{`{"type":"signup","email":"new@example.com","password":"short"}`, 422, "weak_password"},
		{`{"type":"signup","email":"ada@example.com","password":"` + goodPassword + `"}`, 422, "email_exists"},
		{`{"type":"signup","email":"ada@example.com"}`, 422, "email_exists"},
		{`{"type":"invite","email":"ada@example.com"}`, 422, "email_exists"},
		{`{"type":"recovery","email":"nosuch@example.com"}`, 404, "user_not_found"},
		{`{"type":"email_change_new","email":"nosuch@example.com","new_email":"x@example.com"}`, 404, "user_not_found"},
		{`{"type":"email_change_new","email":"ada@example.com"}`, 400, "validation_failed"},
		{`{"type":"email_change_new","email":"ada@example.com","new_email":"bob@example.com"}`, 422, "email_exists"},
		{`{"type":"sms","email":"ada@example.com"}`, 400, "validation_failed"},
		{`not JSON`, 400, "bad_json"},
	} {
		d.post("/admin/generate_link", c.body, service).wantFault(c.status, c.code)
	}
	in := d.signIn("ada@example.com")
	body := map[string]any{"type": "recovery", "email": "bob@example.com"}
	d.post("/admin/generate_link", body).wantFault(http.StatusUnauthorized, "no_authorization")
	d.post("/admin/generate_link", body, bearer(in.AccessToken)).wantFault(http.StatusForbidden, "not_admin")
	d.post("/admin/generate_link", body, bearer("x.y.z")).wantFault(http.StatusForbidden, "bad_jwt")

	g := d.generate(service, map[string]any{"type": "recovery", "email": "bob@example.com", "redirect_to": "https://evil.example/"})
	require.Equal(t, d.srv.URL, g.RedirectTo)
}

// Data of an unconfirmed account is merged, and its mailed link gives way to this one.
func TestGenerateLinkForTheUnconfirmed(t *testing.T) {
	d, service := openAdmin(t)
	d.post("/signup", map[string]any{"email": "ada@example.com", "password": goodPassword, "data": map[string]any{"a": 1}}).want(http.StatusOK, nil)
	old := d.LastMail("ada@example.com")
	g := d.generate(service, map[string]any{"type": "signup", "email": "ada@example.com", "data": map[string]any{"b": 2}})
	require.Equal(t, 1.0, g.UserMetadata["a"])
	require.Equal(t, 2.0, g.UserMetadata["b"])
	d.press(old.Link()).landsWithLinkError()
	d.press(g.ActionLink).landsWithTokens("signup")
	d.signIn("ada@example.com")
}

func TestGenerateLinkKeys(t *testing.T) {
	d, service := openAdmin(t)
	d.confirmed("ada@example.com")
	a := d.post("/admin/generate_link", map[string]any{"type": "recovery", "email": "ada@example.com"}, service).want(http.StatusOK, nil)
	require.Equal(t, "no-store", a.Header.Get("Cache-Control"))
	got := a.object()
	for _, key := range []string{
		"id", "aud", "role", "email", "phone", "app_metadata", "user_metadata", "identities", "created_at", "updated_at", "is_anonymous",
		"action_link", "email_otp", "hashed_token", "verification_type", "redirect_to",
	} {
		require.Contains(t, got, key)
	}
	u, err := url.Parse(got["action_link"].(string))
	require.NoError(t, err)
	require.Equal(t, "/auth/verify", u.Path)
}
