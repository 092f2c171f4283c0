package auth_test

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"
)

// A code that was issued before its user was deleted is good for nothing.
func TestCodeOfTheDeleted(t *testing.T) {
	d := open(t)
	in := d.signUp("gone@example.com")
	const verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
	d.post("/magiclink", map[string]any{"email": "gone@example.com", "code_challenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM", "code_challenge_method": "s256"}).want(http.StatusOK, nil)
	link, err := url.Parse(d.LastMail("gone@example.com").Link())
	require.NoError(t, err)
	a := d.send(http.MethodPost, "/verify", link.Query().Encode(), header{"Content-Type", "application/x-www-form-urlencoded"})
	require.Equal(t, http.StatusSeeOther, a.Status)
	landed, err := url.Parse(a.Header.Get("Location"))
	require.NoError(t, err)

	u, err := d.Auth.Verify(t.Context(), in.AccessToken)
	require.NoError(t, err)
	require.NoError(t, d.Auth.Users().SoftDelete(t.Context(), u.ID))
	d.post("/token?grant_type=pkce", map[string]any{"auth_code": landed.Query().Get("code"), "code_verifier": verifier}).
		wantFault(http.StatusNotFound, "flow_state_not_found")
}
