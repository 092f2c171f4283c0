package providers

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// AuthStyle is how the client's credentials reach the token endpoint.
type AuthStyle int

const (
	// AuthDiscovered follows the discovery document: in the body if that is offered,
	// else by Basic; if the document doesn't say, by Basic first and then in the body.
	// Without a document, by Basic, as RFC 6749 (2.3.1) prefers.
	AuthDiscovered AuthStyle = iota
	// AuthBasic sends them in an Authorization header.
	AuthBasic
	// AuthBody sends them as client_id and client_secret in the form.
	AuthBody
)

// EmailTrust is what a provider's addresses are worth.
type EmailTrust int

const (
	// EmailFlagged means that the provider says of each address whether it is verified,
	// and Map passes that on. Addresses without a flag are not.
	EmailFlagged EmailTrust = iota
	// EmailProven means that the provider documents to give out only addresses that it
	// has verified.
	EmailProven
	// EmailUnproven means that there is no evidence: addresses count as unverified
	// unless the configuration says otherwise.
	EmailUnproven
)

// Spec is a provider that is data: OAuth 2 (RFC 6749) with a profile in JSON, or OpenID
// Connect. The zero value of each field is the usual case.
type Spec struct {
	// Name is the lower-case name.
	Name string

	// AuthURL and TokenURL are the endpoints. OpenID providers may leave them empty:
	// they are discovered from Issuer.
	AuthURL, TokenURL string
	// UserURL answers with the profile. For OpenID providers it is discovered, and
	// asked only if the id token lacks the address.
	UserURL string
	// EmailsURL, if set, answers with the list of addresses; MapEmails reads it.
	EmailsURL string
	// Issuer is who signs the provider's id tokens; empty if it has none.
	Issuer string
	// OpenID means that the browser flow is OpenID Connect: a nonce is sent and the
	// person comes from the id token.
	OpenID bool

	// Scopes are asked for by default, joined by Separator (a space if empty).
	Scopes    []string
	Separator string
	// Params are further parameters of the authorization page.
	Params map[string]string
	// TokenParams are further parameters of the token request.
	TokenParams map[string]string
	// Auth is how credentials are sent.
	Auth AuthStyle
	// NoPKCE is for providers that refuse PKCE or don't know it.
	NoPKCE bool
	// NoNonce is for OpenID providers that don't put the nonce into the id token.
	NoNonce bool
	// FormPost means that the provider's answer is posted by the browser.
	FormPost bool

	// UserMethod is how UserURL is asked, GET if empty; UserBody is a JSON body.
	UserMethod, UserBody string
	// Header goes along with questions for the profile; "{client_id}" and
	// "{access_token}" are filled in. Authorization is "Bearer {access_token}" unless
	// it is here.
	Header map[string]string

	// Emails says what the addresses are worth.
	Emails EmailTrust
	// Map reads the profile: the answer of UserURL, or the claims of the id token. Nil
	// reads the standard claims of OpenID Connect.
	Map func(user JSON) Profile
	// MapEmails reads the answer of EmailsURL.
	MapEmails func(emails JSON) []Email

	hooks
}

// hooks are the odd steps of the providers that are more than data. Each may be nil.
type hooks struct {
	// canonical is the identities' issuer, if not Issuer or Name.
	canonical string
	// iss is the "iss" claim of a profile that isn't from an id token.
	iss string
	// mapIDToken reads id tokens instead of Map.
	mapIDToken func(claims JSON) Profile
	// issuer says with which issuer to verify a token of iss.
	issuer func(iss string) (string, error)
	// params changes the parameters of the authorization page; given are the caller's.
	params func(page, given url.Values)
	// secret makes the client secret.
	secret func(now time.Time) (string, error)
	// person says who signed in, instead of id token and UserURL.
	person func(context.Context, *login) (Profile, error)
	// freeNonce is for presented tokens whose nonce isn't the hash of the app's.
	freeNonce bool
	// clientIDName is what "client_id" is called.
	clientIDName string
}

// trust applies what the addresses are worth.
func (s Spec) trust(emails []Email, override *bool) []Email {
	out := make([]Email, len(emails))
	for i, e := range emails {
		switch {
		case override != nil && !*override:
			e.Verified = false
		case s.Emails == EmailFlagged:
		default:
			e.Verified = override != nil || s.Emails == EmailProven
		}
		out[i] = e
	}
	return out
}

// key is the identities' issuer.
func (s Spec) key() string {
	switch {
	case s.canonical != "":
		return s.canonical
	case s.OpenID:
		return s.Issuer
	}
	return s.Name
}

// claimIss is the "iss" claim of profiles that don't come from an id token: where the
// profile was asked for.
func (s Spec) claimIss() string {
	if s.iss != "" || s.OpenID {
		return s.iss
	}
	u, err := url.Parse(s.UserURL)
	if err != nil || u.Host == "" {
		return s.key()
	}
	return u.Scheme + "://" + u.Host
}

// rebase puts all of a Spec's URLs under another base.
func (s *Spec) rebase(base string) error {
	to, err := url.Parse(strings.TrimSuffix(base, "/"))
	if err != nil || to.Host == "" || to.User != nil || to.RawQuery != "" || to.Fragment != "" {
		return errors.New("URL is no base address")
	}
	for _, u := range []*string{&s.AuthURL, &s.TokenURL, &s.UserURL, &s.EmailsURL} {
		if *u == "" {
			continue
		}
		from, err := url.Parse(*u)
		if err != nil {
			return err
		}
		from.Scheme, from.Host = to.Scheme, to.Host
		from.Path = to.Path + from.Path
		*u = from.String()
	}
	return nil
}

// check refuses what can't work.
func (s Spec) check(c Config) error {
	switch {
	case !wellNamed(s.Name):
		return fmt.Errorf("name %q: want lower-case letters, digits, '_', '-' or ':'", s.Name)
	case strings.TrimSpace(c.clientID()) == "":
		return fmt.Errorf("client id is missing")
	case s.AuthURL == "" && s.Issuer == "":
		return fmt.Errorf("URL or issuer is missing")
	case !s.OpenID && s.person == nil && (s.AuthURL == "" || s.TokenURL == "" || s.UserURL == "" || s.Map == nil):
		return fmt.Errorf("AuthURL, TokenURL, UserURL and Map are needed")
	case s.EmailsURL != "" && s.MapEmails == nil:
		return fmt.Errorf("EmailsURL needs MapEmails")
	}
	for _, u := range []string{s.AuthURL, s.TokenURL, s.UserURL, s.EmailsURL, s.Issuer} {
		if err := checkURL(u, c.Internal); u != "" && err != nil {
			return err
		}
	}
	return nil
}

// checkURL refuses addresses that nothing secret may be sent to.
func checkURL(s string, internal bool) error {
	u, err := url.Parse(s)
	switch {
	case err != nil:
		return fmt.Errorf("address doesn't parse")
	case u.Host == "" || u.User != nil || u.Fragment != "":
		return fmt.Errorf("%q is not an absolute address", u.Redacted())
	case u.Scheme != "https" && (u.Scheme != "http" || !internal):
		return fmt.Errorf("%q is not https", u.Redacted())
	}
	return nil
}

func wellNamed(name string) bool {
	return name != "" && len(name) <= 64 && strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789_-:") == ""
}

// method is how the profile is asked for.
func (s Spec) method() string {
	if s.UserMethod == "" {
		return http.MethodGet
	}
	return s.UserMethod
}
