package gotrue

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/truekeel/auth/fault"
	"github.com/truekeel/auth/internal/endpoint"
	"github.com/truekeel/auth/internal/external"
	"github.com/truekeel/auth/internal/pkce"
	"github.com/truekeel/auth/internal/place"
	"github.com/truekeel/auth/internal/redirect"
	"github.com/truekeel/auth/internal/session"
	"github.com/truekeel/auth/providers"
)

// departure parses the query of a way to a provider.
func (d *Dialect) departure(r *http.Request) (external.Request, error) {
	v := r.URL.Query()
	challenge, err := pkce.Parse(v.Get("code_challenge"), v.Get("code_challenge_method"))
	return external.Request{
		Audience: d.audience(r, nil), Provider: v.Get("provider"), RedirectTo: d.target(r, ""), Scopes: v.Get("scopes"),
		Params: v, Challenge: challenge, Invite: v.Get("invite_token"),
	}, err
}

// authorize sends the browser to a provider.
func (d *Dialect) authorize() endpoint.Func {
	return endpoint.Of(d.departure, d.begin, depart)
}

// begin names the provider in the refusal of one that isn't there.
func (d *Dialect) begin(ctx context.Context, q external.Request) (external.Departure, error) {
	to, err := d.External.Begin(ctx, q)
	if !errors.Is(err, external.ErrProvider) {
		return to, err
	}
	if slices.Contains(providers.Names(), strings.ToLower(q.Provider)) {
		return to, fault.New(fault.ValidationFailed, "Unsupported provider: provider is not enabled")
	}
	return to, fault.New(fault.ValidationFailed, "Unsupported provider: Provider %s could not be found", q.Provider)
}

func depart(w http.ResponseWriter, r *http.Request, to external.Departure) error {
	setCookie(w, r, to.Cookie)
	return found(w, r, to.URL)
}

// setCookie gives the browser what it shows when it comes back.
func setCookie(w http.ResponseWriter, r *http.Request, c external.Cookie) {
	endpoint.FlowCookie(c).Set(w, place.From(r.Context()).External)
}

// found redirects with 302 as clients know it; the answer to a form is 303, so that the
// form isn't posted on (RFC 9700, 4.12).
func found(w http.ResponseWriter, r *http.Request, target string) error {
	if r.Method != http.MethodGet {
		return see(w, r, target)
	}
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Referrer-Policy", "no-referrer")
	http.Redirect(w, r, target, http.StatusFound)
	return nil
}

type wireURL struct {
	URL string `json:"url"`
}

// linkIdentity sends the browser of a signed-in user to a provider, or tells the page
// where to send it.
func (d *Dialect) linkIdentity(w http.ResponseWriter, r *http.Request) error {
	who, _, err := d.caller(r)
	if err != nil {
		return err
	}
	q, err := d.departure(r)
	if err != nil {
		return err
	}
	q.Audience, q.Link, q.Session, q.Invite = who.User.Audience, who.User.ID, who.Session.ID, ""
	q.Loose = r.URL.Query().Get("skip_http_redirect") == "true"
	to, err := d.begin(r.Context(), q)
	if err != nil {
		return err
	}
	if !q.Loose {
		return depart(w, r, to)
	}
	setCookie(w, r, to.Cookie)
	w.Header().Set("Cache-Control", "no-store")
	return endpoint.JSON(w, http.StatusOK, wireURL{URL: to.URL})
}

// unlinking is a wish to unlink an identity.
type unlinking struct{ owner, identity uuid.UUID }

func (d *Dialect) unlinkIdentity() endpoint.Func {
	parse := func(r *http.Request) (q unlinking, err error) {
		who, claims, err := d.caller(r)
		if err != nil {
			return q, err
		}
		q.owner = who.User.ID
		if q.identity, err = uuid.Parse(r.PathValue("identity_id")); err != nil {
			return q, as(http.StatusNotFound, fault.New(fault.ValidationFailed, "identity_id must be an UUID"))
		}
		if len(claims.Audience) == 0 || d.audience(r, claims) != claims.Audience[0] {
			return q, fault.New(fault.UnexpectedAudience, "Token audience doesn't match request audience")
		}
		return q, nil
	}
	act := func(ctx context.Context, q unlinking) error { return d.External.Unlink(ctx, q.owner, q.identity) }
	return endpoint.Of(parse, does(act), writeEmpty)
}

// callback is where providers send browsers back to, with a query or a form. Whatever
// happens, the browser is sent on.
func (d *Dialect) callback(w http.ResponseWriter, r *http.Request) error {
	v, err := callbackParams(r)
	if err != nil {
		return err
	}
	a, err := d.External.Callback(r.Context(), external.Return{Params: v, Cookie: func(name string) string {
		c, err := r.Cookie(name)
		if err != nil {
			return ""
		}
		return c.Value
	}})
	if a.CookieName != "" {
		setCookie(w, r, external.Cookie{Name: a.CookieName, CrossSite: a.CrossSite})
	}
	switch {
	case err != nil:
		return d.callbackFailed(w, r, a, err)
	case a.Grant != nil:
		mark(w, *a.Grant)
		return found(w, r, redirect.Success(a.RedirectTo, providerFragment(*a.Grant)))
	}
	return found(w, r, redirect.Code(a.RedirectTo, a.Code))
}

func callbackParams(r *http.Request) (url.Values, error) {
	if r.Method == http.MethodGet {
		return r.URL.Query(), nil
	}
	body, err := endpoint.Body(r)
	if err != nil {
		return nil, err
	}
	v, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, fault.New(fault.ValidationFailed, "The form could not be read")
	}
	return v, nil
}

// providerFragment is a grant with the provider's tokens, as a redirect carries it.
func providerFragment(g session.Grant) url.Values {
	v := fragment(g, "")
	v.Del("type")
	v.Set("provider_token", g.ProviderToken)
	if g.ProviderRefreshToken != "" {
		v.Set("provider_refresh_token", g.ProviderRefreshToken)
	}
	return v
}

// callbackStatuses are the statuses that faults have where an identity is linked.
func callbackStatuses(err error) error {
	switch fault.CodeOf(err) {
	case fault.EmailExists:
		return as(http.StatusBadRequest, err)
	case fault.UserNotFound, fault.EmailNotConfirmed:
		return as(http.StatusUnprocessableEntity, err)
	}
	return err
}

// callbackFailed sends the browser on with the error: to where the flow leads if that is
// known, in query and fragment; else to the site, in the query alone.
func (d *Dialect) callbackFailed(w http.ResponseWriter, r *http.Request, a external.Arrival, err error) error {
	var refused *external.Refusal
	if errors.As(err, &refused) {
		v := url.Values{"error": {refused.Code}, "error_description": {refused.Description}, "sb": {""}}
		return found(w, r, redirect.Failure(a.RedirectTo, v, true))
	}
	f, status := d.judge(r.Context(), r.URL.Path, callbackStatuses(err))
	v := url.Values{"error": {callbackError(f.Code, status)}, "error_code": {string(shownCode(f, status))}, "error_description": {f.Message}}
	if a.RedirectTo == "" {
		return see(w, r, redirect.Query(place.From(r.Context()).Site, v))
	}
	v.Set("sb", "")
	return found(w, r, redirect.Failure(a.RedirectTo, v, true))
}

// callbackError is the error of a callback's redirect (RFC 6749, 4.1.2.1).
func callbackError(code fault.Code, status int) string {
	switch code {
	case fault.SignupDisabled, fault.UserBanned, fault.ProviderEmailNeedsVerification:
		return "access_denied"
	}
	if name := oauthError(status); name != "" {
		return name
	}
	return "server_error"
}

// nativeBody is a sign-in with an id token.
type nativeBody struct {
	IDToken     string `json:"id_token"`
	Provider    string `json:"provider"`
	ClientID    string `json:"client_id"`
	Issuer      string `json:"issuer"`
	Nonce       string `json:"nonce"`
	AccessToken string `json:"access_token"`
	Link        bool   `json:"link_identity"`
}

// oauthFailure is an error in the form of RFC 6749, 5.2, as this grant has it.
type oauthFailure struct {
	Name        string `json:"error"`
	Description string `json:"error_description,omitempty"`
}

// invalidRequest is what this grant calls its refusals; the blank is part of the wire.
const invalidRequest = "invalid request"

// idTokenGrant answers refusals of the token itself in OAuth's form.
func (d *Dialect) idTokenGrant() endpoint.Func {
	do := with(endpoint.Of(d.parseNative, d.native, writeGrant), map[fault.Code]int{
		fault.EmailExists: http.StatusBadRequest, fault.EmailNotConfirmed: http.StatusUnprocessableEntity,
	})
	return func(w http.ResponseWriter, r *http.Request) error {
		err := do(w, r)
		var f *fault.Error
		if !errors.As(err, &f) {
			return err
		}
		body := oauthFailure{Name: invalidRequest, Description: f.Message}
		switch f.Code {
		case fault.BadIDToken:
		case fault.BadIDTokenNonce:
			body.Name = "invalid nonce"
		default:
			return err
		}
		w.Header().Set("Cache-Control", "no-store")
		return endpoint.JSON(w, http.StatusBadRequest, body)
	}
}

var (
	errNoIDToken    = fault.New(fault.BadIDToken, "id_token required")
	errNoIssuer     = fault.New(fault.BadIDToken, "provider or client_id and issuer required")
	errLinkNoBearer = fault.New(fault.BadIDToken, "Linking requires a valid user access token in Authorization")
)

func (d *Dialect) parseNative(r *http.Request) (external.Native, error) {
	var b nativeBody
	if err := endpoint.Decode(r, &b); err != nil {
		return external.Native{}, err
	}
	q := external.Native{
		Audience: d.audience(r, nil), Token: b.IDToken, Provider: b.Provider, Issuer: b.Issuer, Nonce: b.Nonce, AccessToken: b.AccessToken,
	}
	switch {
	case b.IDToken == "":
		return q, errNoIDToken
	case b.Provider == "" && (b.ClientID == "" || b.Issuer == ""):
		return q, errNoIssuer
	case !b.Link:
		return q, nil
	}
	who, _, err := d.caller(r)
	if refused(err) {
		return q, errLinkNoBearer
	}
	q.Audience, q.Link = who.User.Audience, who.User.ID
	return q, err
}

// native names the provider in the refusal of one that isn't there.
func (d *Dialect) native(ctx context.Context, q external.Native) (session.Grant, error) {
	g, err := d.External.Native(ctx, q)
	if !errors.Is(err, external.ErrProvider) {
		return g, err
	}
	name := q.Provider
	if name == "" {
		name = q.Issuer
	}
	if slices.Contains(providers.Names(), strings.ToLower(name)) {
		return g, fault.New(fault.ProviderDisabled, "Provider (issuer %q) is not enabled", name)
	}
	return g, fault.New(fault.ValidationFailed, "Custom OIDC provider %q not allowed", name)
}
