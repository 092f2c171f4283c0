package external

import (
	"context"
	"errors"
	"net/url"
	"strings"

	"github.com/google/uuid"

	"github.com/truekeel/auth/fault"
	"github.com/truekeel/auth/internal/host"
	"github.com/truekeel/auth/internal/pkce"
	"github.com/truekeel/auth/internal/secret"
	"github.com/truekeel/auth/internal/session"
	"github.com/truekeel/auth/providers"
	"github.com/truekeel/auth/store"
)

// Return is a browser that comes back from a provider.
type Return struct {
	// Kind is the kind of the session that this way back leads to; "": GoTrue.
	Kind session.Kind
	// Provider is who sends the browser back, if the path tells; "" if it doesn't.
	Provider string
	Params   url.Values
	// Cookie gives the value of a cookie that the browser sent; "" if it didn't.
	Cookie func(name string) string
}

// Arrival is where the way back ends. Once RedirectTo is known, errors go there too.
type Arrival struct {
	RedirectTo string // "" while it isn't known whose flow it is
	CookieName string // of the cookie that isn't needed any more
	CrossSite  bool   // how that cookie was set
	Grant      *session.Grant
	Code       string // an authorization code in place of a grant
	// Created is the account that was made, uuid.Nil if none was; also beside an error.
	Created uuid.UUID
}

// Refusal is a provider's own answer that nobody comes in.
type Refusal struct {
	Code, Description string
	Cause             error
}

// Error names the provider's code.
func (r *Refusal) Error() string { return "external: the provider refused: " + r.Code }

// Unwrap gives the cause.
func (r *Refusal) Unwrap() error { return r.Cause }

var (
	errStateMissing = fault.New(fault.BadOAuthCallback, "OAuth state parameter missing")
	errStateInvalid = fault.New(fault.BadOAuthState, "OAuth state parameter is invalid")
	errStateUnknown = fault.New(fault.BadOAuthState, "OAuth state not found or expired")
	errStateExpired = fault.New(fault.BadOAuthState, "OAuth state has expired")
	errStateBrowser = fault.New(fault.BadOAuthState, "OAuth state belongs to another browser")
	errNotBuilt     = fault.New(fault.OAuthProviderNotSupported, "The identity provider of the state is not enabled any more")
	errNoCode       = fault.New(fault.BadOAuthCallback, "OAuth callback with missing authorization code missing")
	errExchange     = fault.New(fault.UnexpectedFailure, "Unable to exchange external code")
	errProfile      = fault.New(fault.UnexpectedFailure, "Error getting user profile from external provider")
	errSilent       = fault.New(fault.Unavailable, "The identity provider does not answer")
)

// Callback ends the way back. A state is good once, for the browser that took it along.
func (f *Flow) Callback(ctx context.Context, q Return) (Arrival, error) {
	row, j, err := f.returned(ctx, q)
	if err != nil {
		return Arrival{}, err
	}
	to := Arrival{RedirectTo: row.RedirectTo, CookieName: cookieName(row.StateHash)}
	p, ok := f.provider(row.Provider)
	if !ok {
		return to, errNotBuilt
	}
	poster, _ := p.(providers.FormPoster)
	to.CrossSite = poster != nil && poster.FormPost()
	id, err := p.Finish(ctx, providers.Callback{
		Params: q.Params, Keep: j.Keep, RedirectURL: j.Callback, Nonce: j.Nonce, Verifier: j.Verifier,
	})
	if err != nil {
		return to, unfinished(err)
	}
	l, err := f.read(p, id, q.Kind)
	if err != nil {
		return to, errProfile.WithCause(err)
	}
	s := settlement{
		Flow: f, kind: j.Kind, login: l, audience: j.Audience, target: j.Link, session: j.Session, invite: j.Invite, redirectTo: row.RedirectTo,
		challenge: pkce.Challenge{Value: row.Challenge, Method: row.ChallengeMethod},
	}
	s.coded = s.challenge.Given() || s.kind == session.Keel
	if j.Link != uuid.Nil && !j.bound(q.Cookie(to.CookieName)) {
		to.Code, err = s.postpone(ctx)
		return to, err
	}
	err = s.settle(ctx)
	to.Created = s.created
	if err != nil {
		return to, err
	}
	to.Code = s.code
	if s.started == nil {
		return to, nil
	}
	g, err := s.grant(ctx)
	to.Grant = &g
	return to, err
}

// returned takes the flow of a state. Only the browser that the flow was begun in may,
// so that nobody can use up another's state or have him finish what he didn't begin.
func (f *Flow) returned(ctx context.Context, q Return) (store.FlowState, journey, error) {
	var j journey
	state := q.Params.Get("state")
	switch {
	case state == "":
		return store.FlowState{}, j, errStateMissing
	case len(state) != stateLength || len(q.Params["state"]) > 1:
		return store.FlowState{}, j, errStateInvalid
	}
	row, err := f.Store.FlowStateByState(ctx, secret.Hash(state))
	if errors.Is(err, store.ErrNotFound) {
		return row, j, errStateUnknown
	}
	if err != nil {
		return row, j, err
	}
	if err := f.open(row, &j); err != nil {
		return row, j, err
	}
	if cookie := q.Cookie(cookieName(row.StateHash)); !j.bound(cookie) && (cookie != "" || !j.Loose) {
		return row, j, errStateBrowser
	}
	if j.Kind != q.Kind || q.Provider != "" && !strings.EqualFold(q.Provider, row.Provider) {
		return row, j, errStateUnknown
	}
	won, err := f.Store.TakeFlowState(ctx, row.ID)
	switch {
	case err != nil:
		return row, j, err
	case !won:
		return row, j, errStateUnknown
	case !f.Now().Before(row.ExpiresAt):
		return row, j, errStateExpired
	}
	return row, j, nil
}

// unfinished is the answer where a provider didn't tell who somebody is.
func unfinished(err error) error {
	var e *providers.Error
	switch {
	case errors.Is(err, providers.ErrRefused) && errors.As(err, &e):
		r := &Refusal{Code: e.Code, Description: e.Description, Cause: err}
		if r.Code == "" {
			r.Code = "access_denied"
		}
		return r
	case errors.Is(err, providers.ErrNoCode):
		return errNoCode.WithCause(err)
	case errors.Is(err, providers.ErrUnreachable):
		return errSilent.WithCause(err)
	case errors.Is(err, providers.ErrExchange):
		return errExchange.WithCause(err)
	}
	return errProfile.WithCause(err)
}

// grant makes the tokens of a session that is committed.
func (s *settlement) grant(ctx context.Context) (session.Grant, error) {
	g, err := s.Sessions.Grant(ctx, s.account, *s.started)
	g.ProviderToken, g.ProviderRefreshToken = s.login.token, s.login.refresh
	return g, err
}

// postpone leaves the linking to the redemption of a code. The browser that came back has
// shown no cookie: it may be another's, lured here with the URL of this flow. Whoever
// holds the verifier began the flow.
func (s *settlement) postpone(ctx context.Context) (code string, err error) {
	if _, _, err := s.look(ctx, s.Store); err != nil {
		return "", err
	}
	err = s.Store.Tx(ctx, func(tx store.Store) error {
		code, err = s.issue(ctx, tx, s.target, parcel{Token: s.login.token, Refresh: s.login.refresh, Link: s.target, Session: s.session, Login: &s.login})
		return err
	})
	return code, err
}

// Redeemed does what was left for the redemption of a code, within its transaction, and
// gives the provider's tokens.
func (f *Flow) Redeemed(ctx context.Context, tx store.Store, t *host.Talk, row store.FlowState) (pkce.Rest, error) {
	if row.Method != method {
		return pkce.Rest{}, nil
	}
	var p parcel
	if err := f.open(row, &p); err != nil {
		return pkce.Rest{}, err
	}
	rest := pkce.Rest{ProviderToken: p.Token, ProviderRefreshToken: p.Refresh}
	if p.Login == nil {
		return rest, nil
	}
	s := settlement{Flow: f, talk: t, login: *p.Login, target: p.Link, session: p.Session, redirectTo: row.RedirectTo}
	at, _, err := s.look(ctx, tx)
	if err != nil {
		return pkce.Rest{}, err
	}
	if err := s.attach(ctx, tx, *at.target); err != nil {
		return pkce.Rest{}, err
	}
	// The identity is linked, whether or not a mail about it can be sent.
	rest.After = func(ctx context.Context) { _ = s.Post.SeeOff(ctx, s.sent...) }
	return rest, nil
}
