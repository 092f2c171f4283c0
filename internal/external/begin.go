package external

import (
	"cmp"
	"context"
	"errors"
	"net/url"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/truekeel/auth/fault"
	"github.com/truekeel/auth/internal/guard"
	"github.com/truekeel/auth/internal/onetime"
	"github.com/truekeel/auth/internal/pkce"
	"github.com/truekeel/auth/internal/place"
	"github.com/truekeel/auth/internal/secret"
	"github.com/truekeel/auth/internal/session"
	"github.com/truekeel/auth/providers"
	"github.com/truekeel/auth/store"
)

// Request is a wish to go to a provider.
type Request struct {
	// Kind is the kind of the session at the end; "": GoTrue. A way that ends in a Keel
	// session ends with that dialect's authorization code.
	Kind session.Kind
	// Callback is the path, below the external URL, to which the provider sends the
	// browser back; "": "/callback".
	Callback   string
	Audience   string
	Provider   string // in whatever case
	RedirectTo string // where the way back ends; checked by the caller
	Scopes     string // further ones, between commas or blanks
	Params     url.Values
	Challenge  pkce.Challenge
	// Invite is the token of an invitation that is accepted on the way; "" for none.
	Invite string
	// Link is the signed-in user to whom the identity is to be linked; uuid.Nil signs
	// in.
	Link uuid.UUID
	// Session is that of who links; uuid.Nil if his token names none. Where it has ended
	// on the way, nothing is linked any more.
	Session uuid.UUID
	// Loose is for a request whose answer a page reads instead of the browser: a page
	// of another origin gets no cookie. What such a flow with a challenge links is
	// linked only when its code is redeemed, by whoever holds the verifier.
	Loose bool
}

// Departure is where to send the browser, and what to have it keep.
type Departure struct {
	URL    string
	Cookie Cookie
}

// Cookie binds a flow to the browser that began it.
type Cookie struct {
	Name, Value string
	// CrossSite says that the cookie must come along with a form that the provider
	// has the browser post.
	CrossSite bool
	Life      time.Duration
}

var errInvite = fault.New(fault.UserNotFound, "User identified by token not found")

// Begin prepares the way to a provider.
func (f *Flow) Begin(ctx context.Context, q Request) (Departure, error) {
	if err := f.Guard.Client(ctx, guard.Authorize); err != nil {
		return Departure{}, err
	}
	p, ok := f.provider(q.Provider)
	switch {
	case q.Link != uuid.Nil && !f.ManualLinking:
		return Departure{}, errLinkingOff
	case !ok:
		return Departure{}, ErrProvider
	}
	if err := f.invited(ctx, q.Invite); err != nil {
		return Departure{}, err
	}
	state, binding := random(), random()
	j := journey{
		Audience: q.Audience, Kind: q.Kind, Callback: f.callback(ctx, p.Name(), q.Callback), Nonce: random(), Verifier: random(),
		Binding: secret.Hash(binding), Invite: q.Invite, Link: q.Link, Session: q.Session, Loose: q.Loose && q.Challenge.Given(),
	}
	to, err := p.Begin(ctx, providers.Begin{
		State: state, Nonce: j.Nonce, Verifier: j.Verifier, RedirectURL: j.Callback,
		Scopes: scopes(q.Scopes), Params: foreign(q.Params),
	})
	if err != nil {
		return Departure{}, notReached(err)
	}
	j.Keep = to.Keep
	row, err := f.departed(p.Name(), state, q, j)
	if err != nil {
		return Departure{}, err
	}
	poster, _ := p.(providers.FormPoster)
	return Departure{
		URL:    to.URL,
		Cookie: Cookie{Name: cookieName(row.StateHash), Value: binding, CrossSite: poster != nil && poster.FormPost(), Life: Life},
	}, f.Store.CreateFlowState(ctx, row)
}

// callback is where a provider sends the browser back to.
func (f *Flow) callback(ctx context.Context, provider, path string) string {
	if own := f.Callbacks[provider]; own != "" && path == "" {
		return own
	}
	return place.From(ctx).External + cmp.Or(path, "/callback")
}

// departed makes the row of a flow that leaves.
func (f *Flow) departed(provider, state string, q Request, j journey) (store.FlowState, error) {
	now, id := f.Now(), uuid.New()
	data, err := f.seal(id, j)
	row := store.FlowState{
		ID: id, UserID: q.Link, Method: method, Provider: provider, StateHash: secret.Hash(state),
		Challenge: q.Challenge.Value, ChallengeMethod: q.Challenge.Method,
		RedirectTo: q.RedirectTo, Data: data, CreatedAt: now, ExpiresAt: now.Add(Life),
	}
	if f.Landing != "" {
		row.RedirectTo = f.Landing
	}
	return row, err
}

// method is how people prove themselves here, in a session's "amr".
const method = "oauth"

// invited refuses an invitation that nobody sent, or that is used up.
func (f *Flow) invited(ctx context.Context, token string) error {
	if token == "" {
		return nil
	}
	_, err := f.Tokens.ByLink(ctx, f.Store, token, store.PurposeInvite)
	if errors.Is(err, onetime.ErrLink) {
		return errInvite
	}
	return err
}

func scopes(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ' ' })
}

// foreign are the parameters that go on to the provider. Ours stay here: a provider
// must not learn an invitation or a key.
func foreign(v url.Values) url.Values {
	out := url.Values{}
	for name, values := range v {
		if !ours(strings.ToLower(name)) {
			out[name] = values
		}
	}
	return out
}

// ours reports whether a parameter is for us, or is one that we set ourselves.
func ours(name string) bool {
	switch name {
	case "provider", "scopes", "redirect_to", "invite_token", "skip_http_redirect", "apikey", "access_token", "refresh_token", "sb_flow_id",
		"client_id", "client_secret", "redirect_uri", "response_type", "response_mode", "scope", "state", "nonce",
		"code", "code_challenge", "code_challenge_method", "code_verifier", "request", "request_uri":
		return true
	}
	return false
}

// notReached is the answer where the way to a provider can't begin.
func notReached(err error) error {
	switch {
	case errors.Is(err, providers.ErrUnreachable):
		return fault.New(fault.Unavailable, "The identity provider does not answer").WithCause(err)
	case errors.Is(err, providers.ErrNoSecret):
		return fault.New(fault.ValidationFailed, "Unsupported provider: missing OAuth secret").WithCause(err)
	}
	return fault.New(fault.UnexpectedFailure, "Error preparing the sign-in with the identity provider").WithCause(err)
}
