package external

import (
	"context"
	"errors"

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
	p, v, ok := f.verifier(q)
	if !ok {
		return session.Grant{}, ErrProvider
	}
	id, err := v.VerifyIDToken(ctx, providers.IDToken{Raw: q.Token, Nonce: q.Nonce, AccessToken: q.AccessToken, Issuer: q.Issuer})
	if err != nil {
		return session.Grant{}, unverified(err)
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

// verifier finds who verifies a token: the provider that is named, else the one whose
// tokens have the issuer. A token never chooses for itself.
func (f *Flow) verifier(q Native) (providers.Provider, providers.IDTokenVerifier, bool) {
	if q.Provider != "" {
		p, ok := f.provider(q.Provider)
		v, can := p.(providers.IDTokenVerifier)
		return p, v, ok && can
	}
	for _, p := range f.Providers {
		if v, ok := p.(providers.IDTokenVerifier); ok && v.IssuedBy(q.Issuer) {
			return p, v, true
		}
	}
	return nil, nil, false
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
