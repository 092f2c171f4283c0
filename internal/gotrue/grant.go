package gotrue

import (
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/truekeel/auth/internal/endpoint"
	"github.com/truekeel/auth/internal/session"
	"github.com/truekeel/auth/internal/signin"
)

// wireGrant is the answer to a sign-in or a refresh (RFC 6749, 5.1, and the user).
type wireGrant struct {
	AccessToken  string   `json:"access_token"`
	TokenType    string   `json:"token_type"`
	ExpiresIn    int64    `json:"expires_in"`
	ExpiresAt    int64    `json:"expires_at"`
	RefreshToken string   `json:"refresh_token"`
	User         wireUser `json:"user"`
	Type         string   `json:"type,omitempty"`

	ProviderToken   string `json:"provider_token,omitempty"`
	ProviderRefresh string `json:"provider_refresh_token,omitempty"`
}

// wirePasswordGrant says also what is weak about the password; null if nothing.
type wirePasswordGrant struct {
	wireGrant
	Weak *wireWeak `json:"weak_password"`
}

type wireWeak struct {
	Message string   `json:"message"`
	Reasons []string `json:"reasons"`
}

func grantJSON(g session.Grant) wireGrant {
	return wireGrant{
		AccessToken: g.AccessToken, TokenType: "bearer", ExpiresIn: int64(g.ExpiresIn / time.Second), ExpiresAt: g.ExpiresAt.Unix(),
		RefreshToken: g.RefreshToken, User: userJSON(g.Account), ProviderToken: g.ProviderToken, ProviderRefresh: g.ProviderRefreshToken,
	}
}

// mark sets the headers of every answer that holds tokens (RFC 6749, 5.1).
func mark(w http.ResponseWriter, g session.Grant) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("Pragma", "no-cache")
	h.Set("sb-auth-user-id", g.Account.User.ID.String())
	h.Set("sb-auth-session-id", g.Session.ID.String())
	h.Set("sb-auth-refresh-token-prefix", g.RefreshToken[:5])
}

func writeGrant(w http.ResponseWriter, _ *http.Request, g session.Grant) error {
	mark(w, g)
	return endpoint.JSON(w, http.StatusOK, grantJSON(g))
}

func writeRefresh(w http.ResponseWriter, _ *http.Request, g session.Grant) error {
	mark(w, g)
	if !g.Reissued {
		w.Header().Set("sb-auth-refresh-token-reuse", "false")
	}
	return endpoint.JSON(w, http.StatusOK, grantJSON(g))
}

func writeSignIn(w http.ResponseWriter, _ *http.Request, a signin.Result) error {
	mark(w, a.Grant)
	out := wirePasswordGrant{wireGrant: grantJSON(a.Grant)}
	if a.Weak != nil {
		out.Weak = &wireWeak{Message: a.Weak.Message, Reasons: a.Weak.Reasons}
	}
	return endpoint.JSON(w, http.StatusOK, out)
}

// fragment is a grant as a redirect carries it (RFC 6749, 4.2.2).
func fragment(g session.Grant, kind string) url.Values {
	return url.Values{
		"access_token": {g.AccessToken}, "token_type": {"bearer"}, "refresh_token": {g.RefreshToken},
		"expires_in": {strconv.FormatInt(int64(g.ExpiresIn/time.Second), 10)},
		"expires_at": {strconv.FormatInt(g.ExpiresAt.Unix(), 10)},
		"sb":         {""}, "type": {kind},
	}
}
