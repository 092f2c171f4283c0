package auth_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/truekeel/auth"
	"github.com/truekeel/auth/providers"
)

// oauthError checks an error in OAuth's form.
func (a answer) oauthError(name, text string) {
	a.t.Helper()
	require.Equal(a.t, http.StatusBadRequest, a.Status, "body: %s", a.Body)
	require.Equal(a.t, map[string]any{"error": name, "error_description": text}, a.object())
	require.Empty(a.t, a.Header.Get("x-sb-error-code"))
}

func (w *town) native(body map[string]any, headers ...header) answer {
	w.t.Helper()
	return w.post("/token?grant_type=id_token", body, headers...)
}

func TestNativeSignIn(t *testing.T) {
	w := openTown(t)
	w.acme.knows("token", w.acme.someone("1", "ada@example.com", true))
	body := w.native(map[string]any{"provider": "Acme", "id_token": "token", "nonce": nil}, bearer("the anonymous key")).want(http.StatusOK, nil).object()
	require.Equal(t, "ada@example.com", body["user"].(map[string]any)["email"])
	require.NotContains(t, body, "provider_token")
	w.native(map[string]any{"client_id": "app", "issuer": "https://acme.example", "id_token": "token"}).want(http.StatusOK, nil)
	require.Equal(t, census{1, 1, 2}, w.count())
	// The browser's way leads to the same account.
	b := w.browser()
	b.wantIn(b.in(w.acme, w.acme.someone("1", "ada@example.com", true)))
	require.Equal(t, census{1, 1, 3}, w.count())
}

func TestNativeRefusals(t *testing.T) {
	w := openTown(t)
	victim := w.signUp("ada@example.com")
	w.acme.knows("token", w.acme.someone("1", "ada@example.com", true))
	for raw, kind := range map[string]error{
		"forged": providers.ErrBadIDToken, "foreign": providers.ErrAudience, "half a nonce": providers.ErrNonceMissing,
		"other nonce": providers.ErrNonceMismatch, "nobody's": providers.ErrNoSubject, "silent": providers.ErrUnreachable,
	} {
		w.acme.failsWith(raw, kind)
	}
	w.acme.knows("no address", w.acme.someone("2", "", false))
	w.acme.knows("unproved", w.acme.someone("3", "ada@example.com", false))
	w.acme.knows("empty subject", w.acme.someone("", "ada@example.com", true))
	acme := func(token string) map[string]any { return map[string]any{"provider": "acme", "id_token": token} }
	w.unchanged(func() {
		w.native(map[string]any{"provider": "acme"}).oauthError("invalid request", "id_token required")
		w.native(map[string]any{"id_token": "token"}).oauthError("invalid request", "provider or client_id and issuer required")
		w.native(map[string]any{"id_token": "token", "issuer": "https://acme.example"}).oauthError("invalid request", "provider or client_id and issuer required")
		w.native(acme("forged")).oauthError("invalid request", "Bad ID token")
		w.native(acme("unknown")).oauthError("invalid request", "Bad ID token")
		w.native(acme("nobody's")).oauthError("invalid request", "Bad ID token")
		w.native(acme("empty subject")).oauthError("invalid request", "Bad ID token")
		w.native(acme("foreign")).oauthError("invalid request", "Unacceptable audience in id_token: [somebody-else]")
		w.native(acme("half a nonce")).oauthError("invalid request", "Passed nonce and nonce in id_token should either both exist or not.")
		w.native(acme("other nonce")).oauthError("invalid nonce", "Nonces mismatch")
		w.native(acme("silent")).wantFault(http.StatusServiceUnavailable, "service_unavailable")
		w.native(acme("no address")).wantFault(http.StatusUnprocessableEntity, "provider_email_needs_verification")
		w.native(acme("unproved")).wantFault(http.StatusUnprocessableEntity, "provider_email_needs_verification")
		a := w.native(map[string]any{"provider": "nobody", "id_token": "token"}).wantFault(http.StatusBadRequest, "validation_failed")
		require.Contains(t, string(a.Body), `Custom OIDC provider \"nobody\" not allowed`)
		w.native(map[string]any{"client_id": "x", "issuer": "https://evil.example", "id_token": "token"}).wantFault(http.StatusBadRequest, "validation_failed")
		w.native(map[string]any{"provider": "google", "id_token": "token"}).wantFault(http.StatusBadRequest, "provider_disabled")
		w.post("/token?grant_type=id_token", "{").wantFault(http.StatusBadRequest, "bad_json")
	})
	until := w.Clock.Now().Add(time.Hour)
	_, err := w.Auth.Users().Update(t.Context(), w.user("ada@example.com").ID, auth.Change{BannedUntil: &until})
	require.NoError(t, err)
	w.unchanged(func() { w.native(acme("token")).wantFault(http.StatusForbidden, "user_banned") })
	w.send("GET", "/user", nil, bearer(victim.AccessToken)).wantFault(http.StatusForbidden, "user_banned")
}

func TestNativeLink(t *testing.T) {
	w := openTown(t, auth.WithManualLinking(true))
	ada := w.User("ada@example.com")
	w.acme.knows("token", w.acme.someone("1", "", false))
	link := map[string]any{"provider": "acme", "id_token": "token", "link_identity": true}
	w.unchanged(func() {
		w.native(link).oauthError("invalid request", "Linking requires a valid user access token in Authorization")
		w.native(link, bearer("forged")).oauthError("invalid request", "Linking requires a valid user access token in Authorization")
	})
	body := w.native(link, bearer(ada.AccessToken)).want(http.StatusOK, nil).object()
	require.Equal(t, ada.User.ID.String(), body["user"].(map[string]any)["id"])
	require.Len(t, w.identities(ada.User.ID), 2)
	w.unchanged(func() {
		w.native(link, bearer(ada.AccessToken)).wantFault(http.StatusUnprocessableEntity, "identity_already_exists")
	})
}
