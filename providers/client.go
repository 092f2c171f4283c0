package providers

import (
	"context"
	"crypto/subtle"
	"errors"
	"net/url"
	"slices"
	"strings"
	"sync"

	"golang.org/x/oauth2"
)

// client is a Spec with a Config: the Provider that most are.
type client struct {
	spec   Spec
	config Config
	bad    error // why the configuration can't work
	reach  func() *reach
}

// verifier is a client whose id tokens may be presented.
type verifier struct{ *client }

// build makes a Provider of a Spec. What is wrong with it is said by Connect, or by the
// first use.
func build(s Spec, c Config) Provider {
	c.ClientIDs, c.Scopes = slices.Clone(c.ClientIDs), slices.Clone(c.Scopes)
	p := &client{spec: s, config: c}
	if c.Scopes != nil {
		p.spec.Scopes = c.Scopes
	}
	if c.PKCE != nil {
		p.spec.NoPKCE = !*c.PKCE
	}
	if err := s.check(c); err != nil {
		p.bad = &Error{Provider: s.Name, Kind: ErrConfig, Cause: err}
	}
	p.reach = sync.OnceValue(func() *reach { return newReach(NewOutbound(nil, nil), c.Internal) })
	return p.asProvider()
}

// broken is a Provider that can't work.
func broken(name string, cause error) Provider {
	return &client{spec: Spec{Name: name}, bad: &Error{Provider: name, Kind: ErrConfig, Cause: cause}}
}

func (p *client) asProvider() Provider {
	if p.spec.Issuer != "" {
		return verifier{p}
	}
	return p
}

// Connect is Connector's.
func (p *client) Connect(o *Outbound) (Provider, error) {
	if p.bad != nil {
		return nil, p.bad
	}
	connected := *p
	r := newReach(o, p.config.Internal)
	connected.reach = func() *reach { return r }
	return connected.asProvider(), nil
}

// broken says why the provider can't work, nil if it can.
func (p *client) broken() error { return p.bad }

// Name is Provider's.
func (p *client) Name() string { return p.spec.Name }

// FormPost is FormPoster's.
func (p *client) FormPost() bool { return p.spec.FormPost }

// EmailOptional is EmailOptionaler's.
func (p *client) EmailOptional() bool { return p.config.EmailOptional }

// endpoints are a provider's addresses and how it wants credentials.
type endpoints struct {
	auth, token, user string
	style             oauth2.AuthStyle
}

// endpoints gives the Spec's addresses, the rest from discovery.
func (p *client) endpoints(ctx context.Context) (endpoints, error) {
	e := endpoints{auth: p.spec.AuthURL, token: p.spec.TokenURL, user: p.spec.UserURL, style: oauth2.AuthStyleInHeader}
	switch p.spec.Auth {
	case AuthBody:
		e.style = oauth2.AuthStyleInParams
	case AuthBasic, AuthDiscovered:
	}
	if e.auth != "" && e.token != "" {
		return e, nil
	}
	m, err := p.reach().issuer(p.spec.Issuer).metadata(ctx)
	if err != nil {
		return e, failed(p.spec.Name, ErrUnreachable, err)
	}
	e.auth, e.token = m.AuthURL, m.TokenURL
	if e.user == "" {
		e.user = m.UserURL
	}
	switch {
	case p.spec.Auth != AuthDiscovered:
	case len(m.AuthMethods) == 0:
		// Basic is the default (OpenID Connect Discovery, 3), which not all servers
		// know that leave the list out.
		e.style = oauth2.AuthStyleAutoDetect
	case slices.Contains(m.AuthMethods, "client_secret_post"):
		e.style = oauth2.AuthStyleInParams
	}
	return e, nil
}

// Begin is Provider's.
func (p *client) Begin(ctx context.Context, b Begin) (Redirect, error) {
	if err := p.usable(b.Verifier); err != nil {
		return Redirect{}, err
	}
	e, err := p.endpoints(ctx)
	if err != nil {
		return Redirect{}, err
	}
	page, err := url.Parse(e.auth)
	if err != nil {
		return Redirect{}, failed(p.spec.Name, ErrConfig, errors.New("authorization endpoint doesn't parse"))
	}
	params := page.Query()
	keep := p.fill(params, b)
	// Some providers take "+" for a plus sign.
	page.RawQuery = strings.ReplaceAll(params.Encode(), "+", "%20")
	return Redirect{URL: page.String(), Keep: keep}, nil
}

// usable refuses to begin what can't be finished.
func (p *client) usable(pkceVerifier string) error {
	if p.bad != nil {
		return p.bad
	}
	if p.config.Secret == "" && p.spec.secret == nil && (p.spec.NoPKCE || pkceVerifier == "") {
		return &Error{Provider: p.spec.Name, Kind: ErrConfig, Cause: ErrNoSecret}
	}
	return nil
}

// fill writes the parameters of the authorization page and gives what to keep.
func (p *client) fill(params url.Values, b Begin) (keep map[string]string) {
	given := allowed(b.Params)
	for name, v := range given {
		params.Set(name, v[len(v)-1])
	}
	for name, v := range p.spec.Params {
		if !given.Has(name) {
			params.Set(name, v)
		}
	}
	params.Set("response_type", "code")
	params.Set(p.clientIDName(), p.config.clientID())
	params.Set("redirect_uri", b.RedirectURL)
	params.Set("state", b.State)
	if scope := p.scope(b.Scopes); scope != "" {
		params.Set("scope", scope)
	}
	if !p.spec.NoPKCE && b.Verifier != "" {
		params.Set("code_challenge", oauth2.S256ChallengeFromVerifier(b.Verifier))
		params.Set("code_challenge_method", "S256")
	}
	if p.spec.OpenID && !p.spec.NoNonce {
		nonce := b.Nonce
		if own := b.Params.Get("nonce"); own != "" {
			nonce, keep = own, map[string]string{keepNonce: own}
		}
		if nonce != "" {
			params.Set("nonce", nonce)
		}
	}
	if p.spec.params != nil {
		p.spec.params(params, given)
	}
	return keep
}

// keepNonce is where a nonce is kept that the caller's client chose itself.
const keepNonce = "nonce"

func (p *client) clientIDName() string {
	if p.spec.clientIDName != "" {
		return p.spec.clientIDName
	}
	return "client_id"
}

// scope joins the default and the further scopes, each once.
func (p *client) scope(more []string) string {
	var scopes []string
	for _, s := range slices.Concat(p.spec.Scopes, more) {
		for _, one := range strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ' ' }) {
			if !slices.Contains(scopes, one) {
				scopes = append(scopes, one)
			}
		}
	}
	separator := p.spec.Separator
	if separator == "" {
		separator = " "
	}
	return strings.Join(scopes, separator)
}

// allowed are the caller's parameters without those that belong to the protocol, to
// the caller's own API, or would put a request of somebody else's in place of ours.
func allowed(params url.Values) url.Values {
	out := url.Values{}
	for name, v := range params {
		switch strings.ToLower(name) {
		case "client_id", "client_secret", "client_key", "appid", "redirect_uri", "response_type", "response_mode",
			"state", "nonce", "code_challenge", "code_challenge_method", "code_verifier", "request", "request_uri",
			"scope", "provider", "scopes", "redirect_to", "invite_token", "skip_http_redirect", "apikey":
		default:
			if len(v) > 0 {
				out[name] = v
			}
		}
	}
	return out
}

// Finish is Provider's.
func (p *client) Finish(ctx context.Context, cb Callback) (Identity, error) {
	if err := p.usable(cb.Verifier); err != nil {
		return Identity{}, err
	}
	if err := refused(p.spec.Name, cb.Params); err != nil {
		return Identity{}, err
	}
	if err := p.checkSender(cb.Params); err != nil {
		return Identity{}, err
	}
	code := cb.Params.Get("code")
	if code == "" {
		return Identity{}, &Error{Provider: p.spec.Name, Kind: ErrNoCode}
	}
	e, err := p.endpoints(ctx)
	if err != nil {
		return Identity{}, err
	}
	token, err := p.exchange(ctx, e, code, cb)
	if err != nil {
		return Identity{}, err
	}
	return p.identify(ctx, &login{client: p, endpoints: e, callback: cb, token: token})
}

// refused gives the error that a provider sent the browser back with (RFC 6749, 4.1.2.1).
func refused(provider string, params url.Values) error {
	code := params.Get("error")
	if code == "" {
		return nil
	}
	return &Error{
		Provider: provider, Kind: ErrRefused,
		Code: clip(code, 100), Description: clip(params.Get("error_description"), 500),
	}
}

// clip bounds foreign text.
func clip(s string, n int) string {
	if len(s) > n {
		s = s[:n]
	}
	return strings.ToValidUTF8(strings.ReplaceAll(s, "\x00", ""), "")
}

// checkSender refuses an answer that says to come from another issuer (RFC 9207).
func (p *client) checkSender(params url.Values) error {
	iss := params.Get("iss")
	if iss == "" || !p.spec.OpenID {
		return nil
	}
	if want, err := p.verifyWith(iss); err == nil && want != "" {
		return nil
	}
	return &Error{Provider: p.spec.Name, Kind: ErrRefused, Code: "invalid_request", Description: "answer of another issuer"}
}

// identify says who signed in.
func (p *client) identify(ctx context.Context, l *login) (Identity, error) {
	ask := p.spec.person
	switch {
	case ask != nil:
	case p.spec.OpenID:
		ask = openIDPerson
	default:
		ask = oauth2Person
	}
	profile, err := ask(ctx, l)
	if err != nil {
		return Identity{}, failed(p.spec.Name, ErrProfile, err)
	}
	id, err := p.identity(profile, l.iss)
	if err != nil {
		return Identity{}, err
	}
	id.AccessToken, id.RefreshToken = l.token.AccessToken, l.token.RefreshToken
	id.IDToken, id.ExpiresAt = l.rawIDToken(), l.ends()
	return id, nil
}

// identity finishes a profile; iss is the "iss" of the id token that it came from.
func (p *client) identity(profile Profile, iss string) (Identity, error) {
	profile.Emails = p.spec.trust(profile.Emails, p.config.TrustEmail)
	if iss == "" {
		iss = p.spec.claimIss()
	}
	if iss == "" {
		iss = p.spec.key()
	}
	id, err := profile.identity(p.spec.key(), iss)
	if err != nil && !errors.Is(err, ErrNoSubject) {
		return Identity{}, &Error{Provider: p.spec.Name, Kind: ErrNoSubject, Cause: err}
	}
	if err != nil {
		return Identity{}, &Error{Provider: p.spec.Name, Kind: ErrNoSubject}
	}
	return id, nil
}

// same compares secrets in constant time.
func same(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }
