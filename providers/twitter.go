package providers

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"

	"github.com/truekeel/auth/internal/outbound"
)

// Twitter signs in with X, formerly Twitter, by OAuth 1.0a; new apps use X. It gives out
// only verified addresses, if the app may ask for them.
func Twitter(consumerKey, secret string, opts ...Option) Provider {
	return named("twitter", consumerKey, secret, opts)
}

// twitterProvider is the one provider that speaks OAuth 1.
type twitterProvider struct {
	base   string
	config Config
	reach  func() *reach
}

const (
	twitterProfile = "/1.1/account/verify_credentials.json?include_email=true&include_entities=false&skip_status=true"
	keepToken      = "oauth_token"
	keepSecret     = "oauth_token_secret"
)

func twitter(c Config) Provider {
	p := &twitterProvider{base: "https://api.twitter.com", config: c}
	if c.URL != "" {
		p.base = strings.TrimSuffix(c.URL, "/")
	}
	err := checkURL(p.base, c.Internal)
	switch {
	case err != nil:
	case c.clientID() == "":
		err = errors.New("client id is missing")
	case c.Secret == "":
		err = ErrNoSecret
	}
	if err != nil {
		return broken("twitter", err)
	}
	p.reach = sync.OnceValue(func() *reach { return newReach(NewOutbound(nil, nil), c.Internal) })
	return p
}

// Name is Provider's.
func (p *twitterProvider) Name() string { return "twitter" }

// EmailOptional is EmailOptionaler's.
func (p *twitterProvider) EmailOptional() bool { return p.config.EmailOptional }

// Connect is Connector's.
func (p *twitterProvider) Connect(o *Outbound) (Provider, error) {
	connected := *p
	r := newReach(o, p.config.Internal)
	connected.reach = func() *reach { return r }
	return &connected, nil
}

// Begin gets a request token, which comes back in the callback and whose secret is kept.
// OAuth 1 has no state of its own: it rides along in the callback's address.
func (p *twitterProvider) Begin(ctx context.Context, b Begin) (Redirect, error) {
	callback, err := url.Parse(b.RedirectURL)
	if err != nil {
		return Redirect{}, p.fail(ErrConfig, errors.New("redirect address doesn't parse"))
	}
	query := callback.Query()
	query.Set("state", b.State)
	callback.RawQuery = query.Encode()
	request, confirmed, err := p.token(ctx, "/oauth/request_token", credentials{},
		map[string]string{"oauth_callback": callback.String()})
	if err == nil && confirmed.Get("oauth_callback_confirmed") != "true" {
		err = errors.New("callback is not confirmed")
	}
	if err != nil {
		return Redirect{}, failed(p.Name(), ErrExchange, err)
	}
	return Redirect{
		URL:  p.base + "/oauth/authenticate?" + url.Values{"oauth_token": {request.token}}.Encode(),
		Keep: map[string]string{keepToken: request.token, keepSecret: request.secret},
	}, nil
}

// Finish trades the request token for an access token and asks who its person is.
func (p *twitterProvider) Finish(ctx context.Context, cb Callback) (Identity, error) {
	if cb.Params.Has("denied") {
		return Identity{}, &Error{Provider: p.Name(), Kind: ErrRefused, Code: "access_denied", Description: "The person refused"}
	}
	if err := refused(p.Name(), cb.Params); err != nil {
		return Identity{}, err
	}
	verifier, kept := cb.Params.Get("oauth_verifier"), cb.Keep[keepToken]
	if verifier == "" {
		return Identity{}, p.fail(ErrNoCode, nil)
	}
	if kept == "" || !same(cb.Params.Get("oauth_token"), kept) {
		return Identity{}, p.fail(ErrExchange, errors.New("token is not the one that this sign-in began with"))
	}
	request := credentials{token: kept, secret: cb.Keep[keepSecret]}
	access, _, err := p.token(ctx, "/oauth/access_token", request, map[string]string{"oauth_verifier": verifier})
	if err != nil {
		return Identity{}, failed(p.Name(), ErrExchange, err)
	}
	return p.identify(ctx, access)
}

func (p *twitterProvider) identify(ctx context.Context, access credentials) (Identity, error) {
	r, err := p.signed(ctx, http.MethodGet, p.base+twitterProfile, access, nil)
	if err != nil {
		return Identity{}, failed(p.Name(), ErrConfig, err)
	}
	j, err := p.reach().fetch(r)
	if err != nil {
		return Identity{}, failed(p.Name(), ErrProfile, err)
	}
	name := j.Text("screen_name")
	profile := Profile{
		Subject: j.Text("id_str"), Name: j.Text("name"), UserName: name, Avatar: j.Text("profile_image_url_https"),
		Emails: Spec{Emails: EmailProven}.trust(OneEmail(j.Text("email"), false), p.config.TrustEmail),
		Claims: map[string]any{"slug": name},
	}
	id, err := profile.identity(p.Name(), p.base+twitterProfile)
	if err != nil {
		return Identity{}, p.fail(ErrNoSubject, nil)
	}
	id.AccessToken = access.token
	return id, nil
}

// token makes a token request.
func (p *twitterProvider) token(ctx context.Context, path string, with credentials, oauth map[string]string) (credentials, url.Values, error) {
	r, err := p.signed(ctx, http.MethodPost, p.base+path, with, oauth)
	if err != nil {
		return credentials{}, nil, err
	}
	resp, err := p.reach().client.Do(r)
	if err != nil {
		return credentials{}, nil, outbound.Cause(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, outbound.MaxBody))
	switch {
	case err != nil:
		return credentials{}, nil, err
	case resp.StatusCode >= http.StatusInternalServerError:
		return credentials{}, nil, fmt.Errorf("%w: status %d", errServer, resp.StatusCode)
	case resp.StatusCode != http.StatusOK:
		return credentials{}, nil, fmt.Errorf("status %d", resp.StatusCode)
	}
	return parseCredentials(string(body))
}

// signed makes a request with its signature.
func (p *twitterProvider) signed(ctx context.Context, method, address string, with credentials, oauth map[string]string) (*http.Request, error) {
	s := signer{key: p.config.clientID(), secret: p.config.Secret, nonce: rand.Text, now: p.reach().now}
	header, err := s.header(method, address, with.token, with.secret, oauth)
	if err != nil {
		return nil, err
	}
	r, err := http.NewRequestWithContext(ctx, method, address, nil)
	if err != nil {
		return nil, errors.New("address doesn't parse")
	}
	r.Header.Set("Authorization", header)
	r.Header.Set("Accept", "application/json")
	return r, nil
}

func (p *twitterProvider) fail(kind, cause error) error {
	return &Error{Provider: p.Name(), Kind: kind, Cause: cause}
}
