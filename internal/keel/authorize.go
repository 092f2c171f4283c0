package keel

import (
	"errors"
	"html"
	"net/http"
	"net/url"

	"github.com/truekeel/auth/fault"
	"github.com/truekeel/auth/internal/endpoint"
	"github.com/truekeel/auth/internal/external"
	"github.com/truekeel/auth/internal/pkce"
	"github.com/truekeel/auth/internal/place"
	"github.com/truekeel/auth/internal/redirect"
	"github.com/truekeel/auth/internal/session"
	"github.com/truekeel/auth/providers"
)

// authorize sends the browser to a provider. Of the request only the path counts, and,
// where the host has set no place to land, redirect_uri; further code_challenge, with
// which the code is good only for who has its verifier (RFC 7636).
func (d *Dialect) authorize(w http.ResponseWriter, r *http.Request) {
	d.Arrived()
	to, err := d.depart(r)
	var provider *providers.Error
	switch {
	case errors.As(err, &provider):
		d.null(w, r, err)
		return
	case err != nil:
		d.fail(w, r, err)
		return
	}
	endpoint.FlowCookie(to.Cookie).Set(w, place.From(r.Context()).External)
	found(w, to.URL)
}

func (d *Dialect) depart(r *http.Request) (external.Departure, error) {
	p, ok := d.named(r.URL.Path, "authorize")
	if !ok {
		return external.Departure{}, errProvider
	}
	query := r.URL.Query()
	landing := d.RedirectURL
	if landing == "" && d.Allowed(query.Get("redirect_uri")) {
		landing = query.Get("redirect_uri")
	}
	if landing == "" {
		return external.Departure{}, errNoRedirect
	}
	if p.NoSecret {
		return external.Departure{}, errNoSecret(p.Name)
	}
	challenge, err := challengeOf(query)
	if err != nil {
		return external.Departure{}, err
	}
	to, err := d.External.Begin(r.Context(), external.Request{
		Kind: session.Keel, Callback: "/callback/" + p.path(), Audience: d.Audience,
		Provider: p.path(), RedirectTo: landing, Challenge: challenge,
	})
	if errors.Is(err, providers.ErrNoSecret) {
		err = errNoSecret(p.Name)
	}
	return to, err
}

// challengeOf reads a challenge, if there is one. A plain one protects from nothing.
func challengeOf(query url.Values) (pkce.Challenge, error) {
	c, err := pkce.Parse(query.Get("code_challenge"), query.Get("code_challenge_method"))
	if err == nil && c.Method == pkce.Plain {
		err = fault.New(fault.ValidationFailed, "code_challenge_method must be S256")
	}
	return c, err
}

// callback is where providers send browsers back to. Once it is known where people land,
// the browser is sent there, whatever happened; what is ours to mend is null.
func (d *Dialect) callback(w http.ResponseWriter, r *http.Request) {
	d.Arrived()
	p, ok := d.named(r.URL.Path, "callback")
	if !ok {
		d.answer(w, http.StatusInternalServerError, nil)
		return
	}
	params, err := returned(r)
	if err != nil {
		d.fail(w, r, err)
		return
	}
	a, err := d.External.Callback(r.Context(), external.Return{
		Kind: session.Keel, Provider: p.path(), Params: params, Cookie: cookies(r),
	})
	if a.CookieName != "" {
		endpoint.FlowCookie{Name: a.CookieName, CrossSite: a.CrossSite}.Set(w, place.From(r.Context()).External)
	}
	if failed := d.createdHook(r, a.Created); failed != nil {
		err = failed
	}
	landing := a.RedirectTo
	if landing == "" {
		landing = d.RedirectURL
	}
	values := url.Values{"code": {a.Code}}
	if err != nil {
		e, ok := journeyError(err)
		if !ok || landing == "" {
			d.null(w, r, err)
			return
		}
		values = url.Values{"error": {e.code}, "error_description": {e.text}}
	}
	found(w, redirect.Query(landing, values))
}

// null answers a browser that can't be sent anywhere.
func (d *Dialect) null(w http.ResponseWriter, r *http.Request, err error) {
	d.log(r.Context(), r.URL.Path, http.StatusInternalServerError, err)
	d.answer(w, http.StatusInternalServerError, nil)
}

// returned gives the parameters with which a provider sends a browser back: the query,
// or the form that some have it post.
func returned(r *http.Request) (url.Values, error) {
	v := r.URL.Query()
	if v.Has("state") || r.Method != http.MethodPost || !IsForm(r.Header) {
		return v, nil
	}
	body, err := endpoint.Body(r)
	if err != nil {
		return nil, err
	}
	if v, err = url.ParseQuery(string(body)); err != nil {
		return nil, errMalformed
	}
	return v, nil
}

func cookies(r *http.Request) func(string) string {
	return func(name string) string {
		c, err := r.Cookie(name)
		if err != nil {
			return ""
		}
		return c.Value
	}
}

// journeyError is what the page on which people land is told; ok is false where nothing
// is.
func journeyError(err error) (e refusal, ok bool) {
	var refused *external.Refusal
	var provider *providers.Error
	var f *fault.Error
	switch {
	case errors.As(err, &refused):
		return refusal{code: accessDenied, text: "provider error: " + refused.Code + ". " + refused.Description}, true
	case errors.Is(err, external.ErrClaims):
		return refusal{code: serverError, text: "insufficient claims on id_token"}, true
	case errors.Is(err, external.ErrEnded):
		return refusal{code: accessDenied, text: "access token is not valid or has expired"}, true
	case errors.As(err, &provider):
		return providerError(provider)
	case !errors.As(err, &f):
		return refusal{}, false
	}
	switch f.Code {
	case fault.UnexpectedFailure, fault.Unavailable, fault.RequestTimeout:
		return refusal{}, false
	}
	return refusal{code: accessDenied, text: f.Message}, true
}

// providerError is what became of the exchange with a provider.
func providerError(e *providers.Error) (refusal, bool) {
	switch {
	case errors.Is(e, providers.ErrNoCode), errors.Is(e, providers.ErrConfig):
		return refusal{}, false
	case errors.Is(e, providers.ErrExchange) && e.Code != "":
		return refusal{code: e.Code, text: e.Description}, true
	case errors.Is(e, providers.ErrExchange), errors.Is(e, providers.ErrUnreachable):
		return refusal{code: accessDenied, text: "failed to exchange code at provider token endpoint"}, true
	case errors.Is(e, providers.ErrNoIDToken):
		return refusal{code: serverError, text: "provider did not respond with an id token"}, true
	case errors.Is(e, providers.ErrProfile), errors.Is(e, providers.ErrNoSubject):
		return refusal{code: serverError, text: "insufficient claims on id_token"}, true
	}
	return refusal{code: accessDenied, text: "failed to verify ID token with OIDC provider"}, true
}

// providerSilent reports whether an error is that a provider can't be reached.
func providerSilent(err error) bool { return errors.Is(err, providers.ErrUnreachable) }

// found redirects as Keel does, whatever the method.
func found(w http.ResponseWriter, target string) {
	h := w.Header()
	h.Set("Location", target)
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer")
	w.WriteHeader(http.StatusFound)
	_, _ = w.Write([]byte(`<a href="` + html.EscapeString(target) + `">Found</a>.` + "\n")) // the client may be gone
}
