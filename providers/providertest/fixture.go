// Package providertest is an identity provider for tests: one that behaves like a given
// real one, or a plain OpenID Connect issuer of its own, and that misbehaves on demand.
//
// A [Server] is reached in one of two ways. [Server.Client] is an HTTP client that sends
// every request to it, whatever the host, so that a provider's real addresses are used
// and checked without leaving the process. [Start] listens on loopback, with a page to
// choose a person on, for tests in a browser and for development without an account
// anywhere.
//
//	server, err := providertest.Start(providertest.Options{AutoApprove: true})
//	...
//	defer server.Close()
//	p := providers.OIDC("fake", server.Issuer(), providertest.ClientID, providertest.ClientSecret,
//		providers.WithInternal())
package providertest

import "strings"

// The credentials of a Server's client, unless Options name others.
const (
	ClientID     = "client-id"
	ClientSecret = "client secret/+&" // what RFC 6749 (2.3.1) has to be encoded for Basic
)

// Fixture says how a provider behaves: its addresses, what it expects there, and the
// people it knows. What it expects is asserted; see [Server.Problems].
type Fixture struct {
	// Authorize is the address of the authorization page.
	Authorize string `json:"authorize"`
	// Scope is what the "scope" parameter must be. With Lenient it is not looked at.
	Scope string `json:"scope,omitempty"`
	// Params must be among the page's parameters.
	Params map[string]string `json:"params,omitempty"`
	// ClientIDName is what "client_id" is called.
	ClientIDName string `json:"client_id_name,omitempty"`
	// PKCE and Nonce say whether a challenge and a nonce must be sent, or must not.
	PKCE  bool `json:"pkce,omitempty"`
	Nonce bool `json:"nonce,omitempty"`
	// FormPost answers with a form that the browser posts.
	FormPost bool `json:"form_post,omitempty"`
	// Lenient expects no certain scope, PKCE, nonce or credentials' style, and no
	// certain parameters.
	Lenient bool `json:"lenient,omitempty"`

	Token TokenEndpoint `json:"token"`
	// Issuer signs id tokens; empty if there are none. Its discovery document and keys
	// are below it.
	Issuer string `json:"issuer,omitempty"`
	// Calls are the questions for the profile, which all must be asked.
	Calls []Call `json:"calls,omitempty"`
	// OAuth1 is set for a provider that speaks OAuth 1.
	OAuth1 *OAuth1 `json:"oauth1,omitempty"`
	// People are who may sign in.
	People []Person `json:"people"`
}

// TokenEndpoint is where codes are traded for tokens.
type TokenEndpoint struct {
	URL string `json:"url"`
	// Auth is how credentials must come: "basic", "body", or "" for either.
	Auth string `json:"auth,omitempty"`
	// Params must be among the form's fields.
	Params map[string]string `json:"params,omitempty"`
	// Form answers form-encoded instead of in JSON.
	Form bool `json:"form,omitempty"`
}

// Call is one question for the profile. "{access_token}", "{client_id}" and
// "{appsecret_proof}" are filled in, in URL and Header.
type Call struct {
	Method string `json:"method,omitempty"` // GET if empty
	// URL must be matched with its query.
	URL string `json:"url"`
	// Header must be there; Authorization is "Bearer {access_token}" if it isn't said.
	Header map[string]string `json:"header,omitempty"`
	// Body must be the body.
	Body string `json:"body,omitempty"`
	// Optional calls need not be made.
	Optional bool `json:"optional,omitempty"`
}

// OAuth1 are the addresses of OAuth 1.
type OAuth1 struct {
	Request string `json:"request"`
	Access  string `json:"access"`
}

// Person is somebody who has an account at the provider.
type Person struct {
	// Name is what the page calls him.
	Name string `json:"name,omitempty"`
	// IDToken are the claims of his id token; "iss", "aud", "iat", "exp", "nonce" and
	// "at_hash" are added unless they are there.
	IDToken map[string]any `json:"id_token,omitempty"`
	// Token are further members of the token answer.
	Token map[string]any `json:"token,omitempty"`
	// Callback are further parameters of the callback.
	Callback map[string]string `json:"callback,omitempty"`
	// Answers are the profile's, by the call's URL.
	Answers map[string]any `json:"answers,omitempty"`
}

// people are those of a plain issuer.
func people() []Person {
	return []Person{
		{Name: "Ann Example", IDToken: map[string]any{
			"sub": "person-ann", "name": "Ann Example", "preferred_username": "ann",
			"email": "ann@example.com", "email_verified": true,
		}},
		{Name: "Ben Example", IDToken: map[string]any{
			"sub": "person-ben", "name": "Ben Example", "preferred_username": "ben",
			"email": "ben@example.com", "email_verified": true,
		}},
		{Name: "Una Unverified", IDToken: map[string]any{
			"sub": "person-una", "name": "Una Unverified", "preferred_username": "una",
			"email": "una@example.com", "email_verified": false,
		}},
		{Name: "Nora Noaddress", IDToken: map[string]any{
			"sub": "person-nora", "name": "Nora Noaddress", "preferred_username": "nora",
		}},
	}
}

// plain is an OpenID Connect issuer at base.
func plain(base string) Fixture {
	return Fixture{
		Authorize: base + "/authorize",
		Token:     TokenEndpoint{URL: base + "/token"},
		Issuer:    base,
		Calls:     []Call{{URL: base + "/userinfo", Optional: true}},
		Lenient:   true,
		People:    people(),
	}
}

// issuers are all who sign tokens: an issuer per tenant is named by its people's tokens.
func (f Fixture) issuers() []string {
	if f.Issuer == "" {
		return nil
	}
	all := []string{f.Issuer}
	for _, p := range f.People {
		if iss, ok := p.IDToken["iss"].(string); ok && strings.HasPrefix(iss, "https://") {
			all = append(all, iss)
		}
	}
	return all
}

// userInfo is the first question for the profile, "" if there is none.
func (f Fixture) userInfo() string {
	if len(f.Calls) == 0 {
		return ""
	}
	return f.Calls[0].URL
}
