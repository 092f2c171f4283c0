package auth_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/truekeel/auth"
)

// Whoever lost the encryption key starts again with a new signing key: access tokens
// end, sessions go on.
func TestLostEncryptionKey(t *testing.T) {
	st := fresh(t)
	d := open(t, auth.WithStore(st), auth.WithEncryptionKey([]byte("the first key, of thirty-two bytes")))
	in := d.signUp("ada@example.com")
	d.srv.Close()
	require.NoError(t, d.Auth.Close(t.Context()))

	other := auth.WithEncryptionKey([]byte("another key, of thirty-two bytes too"))
	_, err := auth.New(auth.WithStore(st), other)
	require.ErrorContains(t, err, "WithLostEncryptionKey")

	d = open(t, auth.WithStore(st), other, auth.WithLostEncryptionKey())
	d.send("GET", "/user", nil, bearer(in.AccessToken)).wantFault(http.StatusForbidden, "bad_jwt")
	var next tokenAnswer
	d.post("/token?grant_type=refresh_token", map[string]any{"refresh_token": in.RefreshToken}).want(http.StatusOK, &next)
	d.send("GET", "/user", nil, bearer(next.AccessToken)).want(http.StatusOK, nil)
}
