// Package providers signs people in with an account that they have elsewhere: Google,
// GitHub, Apple and some forty more, any OpenID Connect issuer ([OIDC]) and any OAuth 2
// server ([OAuth2]).
//
// A [Provider] has two methods that matter. [Provider.Begin] says where to send the
// browser, [Provider.Finish] turns what it brings back into an [Identity]. Providers
// store nothing and answer no requests: state, expiry, linking and redirects are their
// caller's. Most providers are data, a [Spec]; adding one is one value.
//
// A provider is built as a value, by its function or by name:
//
//	providers.Google(clientID, secret)
//	providers.ByName("google", providers.Config{ClientIDs: []string{clientID}, Secret: secret})
//
// Building one makes no request. What is discovered (endpoints, keys) is fetched when it
// is first needed, cached for an hour and kept beyond that while the issuer can't be
// reached.
package providers

import (
	"context"
	"net/url"
	"time"
)

// Provider is one way to sign in with somebody else. Implementations are safe for
// concurrent use. Errors are [*Error] values; see there for the kinds.
type Provider interface {
	// Name is the lower-case name in URLs, settings and identities, such as "google".
	Name() string
	// Begin says where to send the browser. It may ask the provider for something
	// first (discovery, an OAuth 1 request token); a provider that can't be reached
	// is ErrUnreachable.
	Begin(ctx context.Context, b Begin) (Redirect, error)
	// Finish turns what the browser brought back into the person's identity. An
	// identity always has an issuer and a subject; one without is ErrNoSubject.
	Finish(ctx context.Context, cb Callback) (Identity, error)
}

// IDTokenVerifier is what a Provider also implements if apps may present id tokens
// that they got from the provider's own SDK.
type IDTokenVerifier interface {
	// VerifyIDToken checks signature, issuer, audience, time and nonce of a token and
	// gives its person.
	VerifyIDToken(ctx context.Context, t IDToken) (Identity, error)
	// IssuedBy reports whether tokens whose "iss" claim is issuer are this provider's,
	// so that a request that names only an issuer finds its provider.
	IssuedBy(issuer string) bool
}

// FormPoster is what a Provider also implements if its answer may come as a form that
// the browser posts across sites. Cookies then need SameSite=None to be sent along.
type FormPoster interface {
	// FormPost reports whether the answer is posted.
	FormPost() bool
}

// EmailOptionaler is what a Provider also implements if people may sign in with it
// who have no email address there.
type EmailOptionaler interface {
	// EmailOptional reports whether an identity without an address is accepted.
	EmailOptional() bool
}

// Begin is what a sign-in starts with. The caller makes State, Nonce and Verifier from
// crypto/rand and keeps Nonce and Verifier, with Redirect.Keep, on the server.
type Begin struct {
	// State comes back in the callback, unchanged.
	State string
	// Nonce ties the id token to this sign-in; it is sent to OpenID Connect providers.
	Nonce string
	// Verifier is the PKCE secret (RFC 7636), 43 to 128 characters. Its S256 challenge
	// is sent wherever the provider understands it.
	Verifier string
	// RedirectURL is where the provider sends the browser back, as registered there.
	RedirectURL string
	// Scopes are asked for besides the configured ones.
	Scopes []string
	// Params are further parameters for the provider's authorization page, such as
	// "prompt" or "login_hint". Those that belong to the protocol ("client_id", "scope",
	// "state" and so on) or to the caller's own API ("redirect_to", "invite_token" and
	// so on) are dropped. A "nonce" takes the place of Nonce and is kept in
	// Redirect.Keep.
	Params url.Values
}

// Redirect is where to send the browser.
type Redirect struct {
	// URL is the provider's page.
	URL string
	// Keep is what Finish needs back. It may hold secrets: store it sealed, and never
	// show it to the browser. Nil if there is nothing to keep.
	Keep map[string]string
}

// Callback is what the browser brought back, and what was kept since Begin.
type Callback struct {
	// Params are the query parameters of the callback, or its form.
	Params url.Values
	// Keep is what Begin returned.
	Keep map[string]string
	// RedirectURL, Nonce and Verifier are those given to Begin.
	RedirectURL, Nonce, Verifier string
}

// Identity is who somebody is at a provider.
type Identity struct {
	// Issuer and Subject are the key of the identity; neither is ever empty. Issuer is
	// canonical: one for all spellings that a provider uses.
	Issuer, Subject string
	// Emails are the addresses that the provider gave; none is possible.
	Emails []Email
	// Claims is the profile as clients see it: "sub", "provider_id", "iss", "name",
	// "full_name", "user_name", "avatar_url", "email", "email_verified" and others.
	// Empty texts are left out; "email_verified" and "phone_verified" are always there.
	// Values are JSON values: string, bool, json.Number, []any, map[string]any.
	Claims map[string]any
	// AccessToken, RefreshToken and IDToken are the provider's own, empty if it gave
	// none; ExpiresAt is when AccessToken ends, zero if it didn't say.
	AccessToken, RefreshToken, IDToken string
	ExpiresAt                          time.Time
}

// Email is an address as the provider knows it.
type Email struct {
	Address string
	// Verified reports evidence that the person receives mail there. It is false
	// where the provider gives none.
	Verified bool
	// Primary marks the one the person goes by.
	Primary bool
}

// IDToken is a token that an app got from a provider's SDK.
type IDToken struct {
	// Raw is the token in its compact form.
	Raw string
	// Nonce is the raw nonce of which the app gave the provider the lower-case hex of
	// the SHA-256. Nonce and the token's "nonce" claim must both be there or both be
	// absent.
	Nonce string
	// AccessToken, if given, must fit the token's "at_hash" claim, if that is there.
	AccessToken string
	// Issuer, if given, must be the token's "iss" claim.
	Issuer string
	// AnyNonce accepts the token whatever its nonce, for clients that have no way to
	// tell one.
	AnyNonce bool
}

// Primary gives the address that the person goes by: the primary one, else the last.
// ok is false if there is none.
func (i Identity) Primary() (e Email, ok bool) {
	for _, e := range i.Emails {
		if e.Primary {
			return e, true
		}
	}
	if len(i.Emails) == 0 {
		return Email{}, false
	}
	return i.Emails[len(i.Emails)-1], true
}
