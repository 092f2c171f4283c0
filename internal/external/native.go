package external

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/truekeel/auth/fault"
	"github.com/truekeel/auth/internal/guard"
	"github.com/truekeel/auth/internal/session"
	"github.com/truekeel/auth/providers"
)

// Native is an id token that an app got from a provider's SDK.
type Native struct {
	Audience string
	Token    string
	Provider string // by name, in whatever case; or
	Issuer   string // by the token's issuer
	Nonce    string
	// AccessToken, if given, must be the one that the id token was issued with.
	AccessToken string
	// Link is the signed-in user to whom the identity is to be linked; uuid.Nil signs
	// in.
	Link uuid.UUID
}

var (
	errBadToken      = fault.New(fault.BadIDToken, "Bad ID token")
	errNonceMissing  = fault.New(fault.BadIDToken, "Passed nonce and nonce in id_token should either both exist or not.")
	errNonceMismatch = fault.New(fault.BadIDTokenNonce, "Nonces mismatch")
)

// Native signs in with an id token.
func (f *Flow) Native(ctx context.Context, q Native) (session.Grant, error) {
	if err := f.Guard.Client(ctx, guard.Token); err != nil {
		return session.Grant{}, err
	}
	if q.Link != uuid.Nil && !f.ManualLinking {
		return session.Grant{}, errLinkingOff
	}
	p, id, err := f.presented(ctx, q)
	if err != nil {
		return session.Grant{}, err
	}
	l, err := f.read(p, id, session.GoTrue)
	if err != nil {
		return session.Grant{}, errBadToken.WithCause(err)
	}
	l.token, l.refresh = "", "" // the app has them
	if l.Address == "" && !l.Optional && q.Link == uuid.Nil {
		return session.Grant{}, fault.New(fault.ProviderEmailNeedsVerification,
			"Unverified email with %[1]s. Verify the email with %[1]s in order to sign in", l.Provider)
	}
	s := settlement{Flow: f, login: l, audience: q.Audience, target: q.Link}
	if err := s.settle(ctx); err != nil {
		return session.Grant{}, err
	}
	return s.grant(ctx)
}

// presented verifies a token with the provider that is named; else with those whose
// tokens have the issuer, in the order of their names: several may have one, and the
// first that accepts it is the one. A token never chooses for itself.
func (f *Flow) presented(ctx context.Context, q Native) (providers.Provider, providers.Identity, error) {
	names := []string{strings.ToLower(q.Provider)}
	if q.Provider == "" {
		names = slices.Sorted(maps.Keys(f.Providers))
	}
	refusal := error(ErrProvider)
	for _, name := range names {
		p := f.Providers[name]
		v, ok := p.(providers.IDTokenVerifier)
		if !ok || q.Provider == "" && !v.IssuedBy(q.Issuer) {
			continue
		}
		id, err := v.VerifyIDToken(ctx, providers.IDToken{Raw: q.Token, Nonce: q.Nonce, AccessToken: q.AccessToken, Issuer: q.Issuer})
		if err == nil {
			return p, id, nil
		}
		refusal = unverified(err)
	}
	return nil, providers.Identity{}, refusal
}

// unverified is the answer to a token that proves nothing.
func unverified(err error) error {
	var e *providers.Error
	switch {
	case errors.Is(err, providers.ErrNonceMissing):
		return errNonceMissing.WithCause(err)
	case errors.Is(err, providers.ErrNonceMismatch):
		return errNonceMismatch.WithCause(err)
	case errors.Is(err, providers.ErrAudience) && errors.As(err, &e):
		return fault.New(fault.BadIDToken, "Unacceptable audience in id_token: [%s]", e.Description).WithCause(err)
	case errors.Is(err, providers.ErrUnreachable):
		return errSilent.WithCause(err)
	}
	return errBadToken.WithCause(err)
}
