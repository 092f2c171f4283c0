package auth

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/truekeel/auth/internal/caller"
	"github.com/truekeel/auth/internal/keel"
	"github.com/truekeel/auth/internal/place"
	"github.com/truekeel/auth/internal/session"
	"github.com/truekeel/auth/internal/signin"
	"github.com/truekeel/auth/internal/signup"
)

// Keel are the settings of the Keel dialect, see [WithKeel]. The zero value is Keel's
// own defaults.
type Keel struct {
	// RedirectURL is where people land who signed in with a provider, with ?code= or
	// ?error= added. "": a request names the place itself by redirect_uri, as far as
	// [WithRedirectURLs] allows it.
	RedirectURL string

	// Providers are the identity providers as a keelconfig.yaml lists them. Those of
	// [WithProvider] are shown and answer too, behind these.
	Providers []KeelProvider
	// Secrets gives the client secrets of Providers by the name of their variable, see
	// [KeelProvider.SecretName]; [os.LookupEnv] is one. A provider without a secret
	// verifies id tokens, but signs nobody in in the browser.
	Secrets func(name string) (secret string, ok bool)
	// Claims are claims of id tokens that are kept with the identity, in the object
	// "custom_claims" of its data: what each claim is called there. Only texts are kept,
	// and each sign-in replaces all.
	Claims map[string]string

	// AccessTokenLifetime is how long an access token of this dialect is good. Default
	// 24 hours.
	AccessTokenLifetime time.Duration
	// RefreshTokenLifetime is how long a sign-in lasts; refreshing doesn't prolong it.
	// Default 90 days.
	RefreshTokenLifetime time.Duration
	// KeepRefreshToken gives the same refresh token at every refresh. Default: a new
	// one each time, and the old one is refused.
	KeepRefreshToken bool

	// Issuer is the iss of this dialect's access tokens, such as "https://keel.so".
	// Default: the external URL, as in the other dialect.
	Issuer string
	// QueryCredentials also reads the fields of a form from the URL's query, as Keel
	// does. URLs end up in logs, and passwords with them.
	QueryCredentials bool

	// AfterAuthentication is called at the end of every request for a token, except a
	// refresh, whether or not it succeeded; u is nil if nobody signed in. An error
	// fails the request. It must be safe for concurrent use.
	AfterAuthentication func(ctx context.Context, u *Account, r *http.Request) error
	// AfterIdentityCreated is called after an account was made and committed, and
	// before its tokens are handed out; an error fails the request, the account stays.
	// For what must not be missed see [Hooks.AfterUserCreated], which is called until
	// it succeeds. It must be safe for concurrent use.
	AfterIdentityCreated func(ctx context.Context, u Account, r *http.Request) error
}

// Keel's own lifetimes.
const (
	keelAccessLifetime  = 24 * time.Hour
	keelRefreshLifetime = 90 * 24 * time.Hour
)

// check refuses what can't be right.
func (k Keel) check() error {
	if u, err := url.Parse(k.RedirectURL); k.RedirectURL != "" && (err != nil || u.Scheme == "" || u.Host == "" && u.Path == "" && u.Opaque == "") {
		return fmt.Errorf(`RedirectURL: %q is no absolute URL; give one like "https://app.example.com/signed-in"`, k.RedirectURL)
	}
	for n, p := range k.Providers {
		if err := p.check(); err != nil {
			return fmt.Errorf("providers: %w", err)
		}
		if slices.ContainsFunc(k.Providers[:n], func(q KeelProvider) bool { return strings.EqualFold(p.Name, q.Name) }) {
			return fmt.Errorf("provider %q is given twice", p.Name)
		}
	}
	claims := map[string]string{} // by their names
	for _, claim := range slices.Sorted(maps.Keys(k.Claims)) {
		field := k.Claims[claim]
		if claim == "" || field == "" {
			return errors.New("a claim in Claims, or its name, is empty")
		}
		if twin, twice := claims[field]; twice {
			return fmt.Errorf("claims %q and %q are both kept as %q", twin, claim, field)
		}
		claims[field] = claim
	}
	if d := k.AccessTokenLifetime; d != 0 && d < time.Second {
		return fmt.Errorf("AccessTokenLifetime: %s is under a second", d)
	}
	if d := k.RefreshTokenLifetime; d != 0 && d < time.Second {
		return fmt.Errorf("RefreshTokenLifetime: %s is under a second", d)
	}
	return nil
}

// keelSessions are the rules of the dialect's sessions.
func (s *settings) keelSessions() session.Fixed {
	f := session.Fixed{
		Lifetime: keelAccessLifetime, RefreshLifetime: keelRefreshLifetime, KeepToken: s.keel.KeepRefreshToken, Issuer: s.keel.Issuer,
	}
	if !s.keelGiven {
		f.Lifetime = s.lifetime
	}
	set(&f.Lifetime, s.keel.AccessTokenLifetime)
	set(&f.RefreshLifetime, s.keel.RefreshTokenLifetime)
	return f
}

// keyGrace is how long a key that signs no more has to verify.
func (s *settings) keyGrace() time.Duration {
	longest := s.lifetime
	if !s.keelOff {
		longest = max(longest, s.keelSessions().Lifetime)
	}
	return longest + longest/12
}

// byPassword adapts the sign-in by password to the flow that makes accounts on the way.
func byPassword(f *signin.Flow) func(context.Context, signup.Request) (session.Grant, error) {
	return func(ctx context.Context, q signup.Request) (session.Grant, error) {
		r, err := f.ByPassword(ctx, signin.Password{Kind: q.Kind, Audience: q.Audience, Email: q.Email, Phone: q.Phone, Password: q.Password})
		return r.Grant, err
	}
}

// makeKeel makes the dialect over its flows.
func (a *Auth) makeKeel(c keel.Config) {
	s := &a.set
	c.Logger, c.Audience, c.QueryCredentials = s.logger, s.audience, s.keel.QueryCredentials
	c.Arrived, c.MaxDuration, c.CORS = a.hasher.Arrived, s.maxDuration, a.cors()
	if hook := s.keel.AfterAuthentication; hook != nil {
		c.AfterAuthentication = func(ctx context.Context, id uuid.UUID, r *http.Request) (err error) {
			defer survive("Keel.AfterAuthentication", &err)
			if id == uuid.Nil {
				return hook(ctx, nil, r)
			}
			u, err := a.users.Get(ctx, id)
			if err != nil {
				return err
			}
			return hook(ctx, &u, r)
		}
	}
	if hook := s.keel.AfterIdentityCreated; hook != nil {
		c.AfterIdentityCreated = func(ctx context.Context, id uuid.UUID, r *http.Request) (err error) {
			defer survive("Keel.AfterIdentityCreated", &err)
			u, err := a.users.Get(ctx, id)
			if err != nil {
				return err
			}
			return hook(ctx, u, r)
		}
	}
	c.RedirectURL, c.Providers = s.keel.RedirectURL, s.keelProviders()
	a.keel = keel.New(c)
}

// WellKnown answers with the metadata of the Keel dialect (RFC 8414). The host mounts it
// at the root of its origin, where clients look for it:
//
//	mux.Handle("/.well-known/oauth-authorization-server", a.WellKnown())
//
// It answers 404 if the dialect is off.
func (a *Auth) WellKnown() http.Handler {
	if a.set.keelOff {
		return http.NotFoundHandler()
	}
	document := a.keel.WellKnown()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx := caller.WithInfo(r.Context(), a.callers.Read(r))
		where, ok := a.placeOf(r)
		if !ok {
			a.keel.Fail(w, r, errForeignHost)
			return
		}
		document.ServeHTTP(w, r.WithContext(place.With(ctx, where)))
	})
}
