package auth_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/truekeel/auth"
)

func TestLogoutScopes(t *testing.T) {
	tests := []struct {
		query         string
		self, another bool // who is still signed in
	}{
		{"", false, false},
		{"?scope=", false, false},
		{"?scope=global", false, false},
		{"?scope=local", false, true},
		{"?scope=others", true, false},
	}
	for _, tt := range tests {
		t.Run("scope "+tt.query, func(t *testing.T) {
			d := open(t)
			p := d.User("ada@example.com")
			other, err := d.Auth.Users().Issue(t.Context(), p.User.ID, "password")
			require.NoError(t, err)
			eve := d.User("eve@example.com")

			a := d.send("POST", "/logout"+tt.query, nil, bearer(p.AccessToken)).want(http.StatusNoContent, nil)
			require.Empty(t, a.Body)
			for _, s := range []struct {
				grant auth.Grant
				alive bool
			}{{p.Grant, tt.self}, {other, tt.another}, {eve.Grant, true}} {
				if s.alive {
					d.send("GET", "/user", nil, bearer(s.grant.AccessToken)).want(http.StatusOK, nil)
					d.next(s.grant.RefreshToken)
					continue
				}
				d.send("GET", "/user", nil, bearer(s.grant.AccessToken)).wantFault(http.StatusForbidden, "session_not_found")
				d.refresh(s.grant.RefreshToken).wantFault(http.StatusBadRequest, "refresh_token_not_found")
			}
		})
	}
}

func TestLogoutRefusals(t *testing.T) {
	d := open(t)
	p := d.User("ada@example.com")
	a := d.send("POST", "/logout?scope=Local", nil, bearer(p.AccessToken)).wantFault(http.StatusBadRequest, "validation_failed")
	require.Contains(t, string(a.Body), `Unsupported logout scope`)
	d.send("POST", "/logout", nil).wantFault(http.StatusUnauthorized, "no_authorization")
	d.send("POST", "/logout", nil, bearer(p.AccessToken)).want(http.StatusNoContent, nil)
	d.send("POST", "/logout", nil, bearer(p.AccessToken)).wantFault(http.StatusForbidden, "session_not_found")
}
