package auth

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/truekeel/auth/internal/keel"
	"github.com/truekeel/auth/providers"
)

// KeelProvider is an identity provider as a keelconfig.yaml lists it. It serves both
// dialects: GoTrue's clients know it by its name in lower case.
type KeelProvider struct {
	// Type is "google", "facebook", "gitlab", "slack" or "oidc".
	Type string
	// Name is a letter and then letters, digits or underscores. Its case is shown in the
	// list of providers and matters nowhere else. One that begins with "keel_" isn't
	// shown.
	Name     string
	ClientID string
	// IssuerURL is the issuer, spelled as its discovery document does, for the type
	// "oidc" alone.
	IssuerURL string
	// Scopes replace the default "openid", "email" and "profile"; "openid" is added.
	Scopes []string
	// Internal lets the issuer have loopback and private addresses, and plain http. By
	// default it needs https and a public address.
	Internal bool
}

// SecretName is the name of the variable that holds the provider's client secret, such
// as AUTH_PROVIDER_SECRET_GOOGLE.
func (p KeelProvider) SecretName() string { return "AUTH_PROVIDER_SECRET_" + strings.ToUpper(p.Name) }

// check refuses what can't be right.
func (p KeelProvider) check() error {
	issuer, known := keelIssuers()[p.Type]
	switch {
	case !regexp.MustCompile(`^[a-zA-Z][a-zA-Z0-9_]+$`).MatchString(p.Name):
		return fmt.Errorf("%q is no name: a letter, then letters, digits or underscores, two or more in all", p.Name)
	case !known:
		return fmt.Errorf("%s: %q is none of google, facebook, gitlab, slack, oidc", p.Name, p.Type)
	case p.ClientID == "":
		return fmt.Errorf("%s: ClientID is empty", p.Name)
	case issuer == "" && p.IssuerURL == "":
		return fmt.Errorf("%s: IssuerURL is empty", p.Name)
	case issuer == "" && !p.Internal && !strings.HasPrefix(p.IssuerURL, "https://"):
		return fmt.Errorf("%s: IssuerURL %q doesn't begin with https://", p.Name, p.IssuerURL)
	}
	return nil
}

// keelIssuers are the types with their issuers, "" for one of its own.
func keelIssuers() map[string]string {
	return map[string]string{
		"google": "https://accounts.google.com", "facebook": "https://www.facebook.com",
		"gitlab": "https://gitlab.com", "slack": "https://slack.com", "oidc": "",
	}
}

// secret gives the client secret.
func (k Keel) secret(p KeelProvider) (string, bool) {
	if k.Secrets == nil {
		return "", false
	}
	return k.Secrets(p.SecretName())
}

// build makes the provider.
func (k Keel) build(p KeelProvider) providers.Provider {
	secret, _ := k.secret(p)
	// People without an address come in: what they are known by is the subject.
	opts := []providers.Option{providers.WithEmailOptional()}
	if p.Internal {
		opts = append(opts, providers.WithInternal())
	}
	if p.Type == "slack" {
		opts = append(opts, providers.WithPKCE(false)) // it isn't known to understand it
	}
	if len(p.Scopes) > 0 {
		scopes := slices.Clone(p.Scopes)
		if !slices.Contains(scopes, "openid") {
			scopes = append(scopes, "openid")
		}
		opts = append(opts, providers.WithScopes(scopes...))
	}
	name := strings.ToLower(p.Name)
	if p.Type == "facebook" {
		// Its discovery document has no token endpoint, and it doesn't say which
		// addresses it has verified.
		return providers.OAuth2(name, providers.Spec{
			Issuer: keelIssuers()[p.Type], OpenID: true, Scopes: []string{"openid", "email"}, Emails: providers.EmailUnproven,
			AuthURL:  "https://www.facebook.com/v22.0/dialog/oauth",
			TokenURL: "https://graph.facebook.com/v22.0/oauth/access_token", Auth: providers.AuthBody,
		}, p.ClientID, secret, opts...)
	}
	issuer := keelIssuers()[p.Type]
	if issuer == "" {
		issuer = p.IssuerURL
	}
	return providers.OIDC(name, issuer, p.ClientID, secret, opts...)
}

// addKeelProviders makes the providers of the Keel dialect everybody's.
func (a *Auth) addKeelProviders(context.Context) error {
	s := &a.set
	if s.keelOff {
		return nil
	}
	for _, p := range s.keel.Providers {
		built := s.keel.build(p)
		if slices.ContainsFunc(s.providers, func(has providers.Provider) bool { return has.Name() == built.Name() }) {
			return errors.New("auth: WithKeel, WithProvider: " + built.Name() + " is given by both; leave it out of one")
		}
		s.providers = append(s.providers, built)
	}
	return nil
}

// keelProviders are the providers as the dialect shows them: its own first.
func (s *settings) keelProviders() (out []keel.Provider) {
	own := map[string]bool{}
	for _, p := range s.keel.Providers {
		_, ok := s.keel.secret(p)
		out = append(out, keel.Provider{Name: p.Name, Type: p.Type, NoSecret: !ok})
		own[strings.ToLower(p.Name)] = true
	}
	for _, p := range s.providers {
		if own[p.Name()] {
			continue
		}
		kind := p.Name()
		if _, known := keelIssuers()[kind]; !known {
			kind = "oidc"
		}
		out = append(out, keel.Provider{Name: p.Name(), Type: kind})
	}
	return out
}

// keelClaims are the claims that identities keep for the host.
func (s *settings) keelClaims() map[string]string {
	if s.keelOff {
		return nil
	}
	return s.keel.Claims
}
