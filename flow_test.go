package auth_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSignUpConfirmSignInRefreshSignOut(t *testing.T) {
	d := open(t)
	first := d.signUp("ada@example.com")
	require.Equal(t, "signup", first.Type)
	require.Equal(t, "ada@example.com", first.User["email"])

	in := d.signIn("ADA@example.com")
	d.send("GET", "/user", nil, bearer(in.AccessToken)).want(http.StatusOK, nil)

	var next tokenAnswer
	d.post("/token?grant_type=refresh_token", map[string]any{"refresh_token": in.RefreshToken}).want(http.StatusOK, &next)
	require.NotEqual(t, in.RefreshToken, next.RefreshToken)

	d.send("POST", "/logout", nil, bearer(next.AccessToken)).want(http.StatusNoContent, nil)
	d.send("GET", "/user", nil, bearer(next.AccessToken)).wantFault(http.StatusForbidden, "session_not_found")
	d.post("/token?grant_type=refresh_token", map[string]any{"refresh_token": next.RefreshToken}).wantFault(http.StatusBadRequest, "refresh_token_not_found")
}
