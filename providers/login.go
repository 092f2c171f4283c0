package providers

import (
	"context"
	"errors"
	"io"
	"math"
	"net/http"
	"strings"
	"time"

	"golang.org/x/oauth2"

	"github.com/truekeel/auth/internal/outbound"
)

// login is one sign-in in the browser, after the code was exchanged.
type login struct {
	*client
	endpoints endpoints
	callback  Callback
	token     *oauth2.Token
	iss       string // of the id token, once it is verified
}

// exchange trades the code for tokens (RFC 6749, 4.1.3).
func (p *client) exchange(ctx context.Context, e endpoints, code string, cb Callback) (*oauth2.Token, error) {
	secret := p.config.Secret
	if p.spec.secret != nil {
		made, err := p.spec.secret(p.reach().now())
		if err != nil {
			return nil, &Error{Provider: p.spec.Name, Kind: ErrConfig, Cause: err}
		}
		secret = made
	}
	config := oauth2.Config{
		ClientID: p.config.clientID(), ClientSecret: secret, RedirectURL: cb.RedirectURL,
		Endpoint: oauth2.Endpoint{TokenURL: e.token, AuthStyle: e.style},
	}
	if secret == "" {
		config.Endpoint.AuthStyle = oauth2.AuthStyleInParams
	}
	var options []oauth2.AuthCodeOption
	if !p.spec.NoPKCE && cb.Verifier != "" {
		options = append(options, oauth2.VerifierOption(cb.Verifier))
	}
	if name := p.clientIDName(); name != "client_id" {
		options = append(options, oauth2.SetAuthURLParam(name, config.ClientID))
		config.ClientID = "" // not by its usual name
	}
	for name, v := range p.spec.TokenParams {
		options = append(options, oauth2.SetAuthURLParam(name, v))
	}
	token, err := config.Exchange(context.WithValue(ctx, oauth2.HTTPClient, p.reach().client), code, options...)
	if err != nil {
		return nil, p.exchangeError(err)
	}
	return token, nil
}

// exchangeError keeps what the provider said of its error, and nothing of its body.
func (p *client) exchangeError(err error) error {
	var refusal *oauth2.RetrieveError
	if !errors.As(err, &refusal) {
		return failed(p.spec.Name, ErrExchange, outbound.Cause(err))
	}
	out := &Error{
		Provider: p.spec.Name, Kind: ErrExchange,
		Code: clip(refusal.ErrorCode, 100), Description: clip(refusal.ErrorDescription, 500),
	}
	if refusal.Response != nil && refusal.Response.StatusCode >= http.StatusInternalServerError {
		out.Kind = ErrUnreachable
	}
	return out
}

// rawIDToken is the id token of the token answer, "" if there is none.
func (l *login) rawIDToken() string {
	raw, _ := l.token.Extra("id_token").(string)
	return raw
}

// ends is when the access token ends by our clock, zero if the answer doesn't say.
func (l *login) ends() time.Time {
	seconds := l.token.ExpiresIn
	if n, ok := l.token.Extra("expires_in").(int64); ok { // of a form
		seconds = n
	}
	if seconds == 0 {
		return time.Time{}
	}
	return l.reach().now().Add(time.Duration(min(seconds, math.MaxInt32)) * time.Second)
}

// nonce is the nonce that was sent.
func (l *login) nonce() string {
	if own := l.callback.Keep[keepNonce]; own != "" {
		return own
	}
	return l.callback.Nonce
}

// idToken verifies the id token and gives its claims.
func (l *login) idToken(ctx context.Context) (JSON, error) {
	raw := l.rawIDToken()
	if raw == "" {
		return JSON{}, l.fail(ErrBadIDToken, ErrNoIDToken)
	}
	claims, err := l.verify(ctx, raw, l.token.AccessToken, []string{l.config.clientID()})
	if err != nil {
		return JSON{}, err
	}
	if want := l.nonce(); want != "" && !l.spec.NoNonce {
		switch got := claims.Text("nonce"); {
		case got == "":
			return JSON{}, l.fail(ErrNonceMissing, nil)
		case !same(got, want):
			return JSON{}, l.fail(ErrNonceMismatch, nil)
		}
	}
	l.iss = claims.Text("iss")
	return claims, nil
}

// user asks for the profile.
func (l *login) user(ctx context.Context, address string) (JSON, error) {
	return l.ask(ctx, l.spec.method(), address, l.spec.UserBody)
}

// ask makes one request with the access token and reads its JSON.
func (l *login) ask(ctx context.Context, method, address, body string) (JSON, error) {
	var content io.Reader
	if body != "" {
		content = strings.NewReader(body)
	}
	r, err := http.NewRequestWithContext(ctx, method, address, content)
	if err != nil {
		return JSON{}, l.fail(ErrConfig, errors.New("address doesn't parse"))
	}
	r.Header.Set("Authorization", "Bearer "+l.token.AccessToken)
	r.Header.Set("Accept", "application/json")
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	fill := strings.NewReplacer("{client_id}", l.config.clientID(), "{access_token}", l.token.AccessToken)
	for name, v := range l.spec.Header {
		r.Header.Set(name, fill.Replace(v))
	}
	j, err := l.reach().fetch(r)
	if err != nil {
		return JSON{}, failed(l.spec.Name, ErrProfile, err)
	}
	return j, nil
}

// openIDPerson reads the id token, and asks for the profile if the token has no address.
func openIDPerson(ctx context.Context, l *login) (Profile, error) {
	claims, err := l.idToken(ctx)
	if err != nil {
		return Profile{}, err
	}
	if l.endpoints.user != "" && !claims.Has("email") {
		more, err := l.user(ctx, l.endpoints.user)
		if err != nil {
			return Profile{}, err
		}
		// OpenID Connect Core, 5.3.2: the answer may be somebody else's.
		if more.Text("sub") != claims.Text("sub") {
			return Profile{}, l.fail(ErrProfile, errors.New("profile and id token are of different people"))
		}
		claims = merged(claims, more)
	}
	return l.readIDToken(claims), nil
}

// merged are the claims of both; those of the id token, which is signed, win.
func merged(token, user JSON) JSON {
	members := user.Members()
	for name, v := range token.Members() {
		members[name] = v
	}
	return JSON{members}
}

// readIDToken makes a profile of claims.
func (p *client) readIDToken(claims JSON) Profile {
	switch {
	case p.spec.mapIDToken != nil:
		return p.spec.mapIDToken(claims)
	case p.spec.OpenID && p.spec.Map != nil:
		return p.spec.Map(claims)
	}
	return standardProfile(claims)
}

// oauth2Person asks for the profile, and for the addresses where they are apart.
func oauth2Person(ctx context.Context, l *login) (Profile, error) {
	user, err := l.user(ctx, l.endpoints.user)
	if err != nil {
		return Profile{}, err
	}
	profile := l.spec.Map(user)
	if l.spec.EmailsURL == "" || strings.TrimSpace(profile.Subject) == "" {
		return profile, nil
	}
	emails, err := l.ask(ctx, http.MethodGet, l.spec.EmailsURL, "")
	if err != nil {
		return Profile{}, err
	}
	profile.Emails = append(profile.Emails, l.spec.MapEmails(emails)...)
	return profile, nil
}

func (p *client) fail(kind, cause error) error {
	return &Error{Provider: p.spec.Name, Kind: kind, Cause: cause}
}
