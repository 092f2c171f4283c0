package keel

import (
	"net/http"
	"net/url"

	"github.com/truekeel/auth/internal/place"
)

// metadata describes the server (RFC 8414, 2).
type metadata struct {
	Issuer                 string   `json:"issuer"`
	AuthorizationEndpoint  string   `json:"authorization_endpoint,omitempty"`
	AuthorizationEndpoints []string `json:"authorization_endpoints,omitempty"`
	TokenEndpoint          string   `json:"token_endpoint"`
	RevocationEndpoint     string   `json:"revocation_endpoint"`
	KeysURL                string   `json:"jwks_uri"`
	ResponseTypes          []string `json:"response_types_supported"`
	GrantTypes             []string `json:"grant_types_supported"`
	ChallengeMethods       []string `json:"code_challenge_methods_supported"`
	TokenAuthMethods       []string `json:"token_endpoint_auth_methods_supported"`
	RevocationAuthMethods  []string `json:"revocation_endpoint_auth_methods_supported"`
}

// WellKnown answers with the server's metadata, for the root of the host.
func (d *Dialect) WellKnown() http.Handler {
	return d.CORS.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			w.WriteHeader(http.StatusMethodNotAllowed)
			return
		}
		base := place.From(r.Context()).External
		root, err := url.Parse(base)
		if err != nil {
			d.fail(w, r, err)
			return
		}
		m := metadata{
			// The document lies at the origin's root, so the origin is its issuer
			// (RFC 8414, 3.3).
			Issuer:        root.Scheme + "://" + root.Host,
			TokenEndpoint: base + "/token", RevocationEndpoint: base + "/revoke", KeysURL: base + "/.well-known/jwks.json",
			ResponseTypes: []string{"code"}, GrantTypes: []string{"password", "refresh_token", "authorization_code", "token_exchange"},
			ChallengeMethods: []string{"S256"}, TokenAuthMethods: []string{"none"}, RevocationAuthMethods: []string{"none"},
		}
		for _, p := range d.shown() {
			m.AuthorizationEndpoints = append(m.AuthorizationEndpoints, base+"/authorize/"+p.path())
		}
		if n := len(m.AuthorizationEndpoints); n > 0 {
			m.AuthorizationEndpoint = m.AuthorizationEndpoints[0]
			if n == 1 {
				m.AuthorizationEndpoints = nil
			}
		}
		d.answer(w, http.StatusOK, m)
	}))
}
