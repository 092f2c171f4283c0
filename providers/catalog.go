package providers

import (
	"errors"
	"fmt"
	"strings"
)

// entry is a provider that is known by name.
type entry struct {
	name  string
	build func(Config) Provider
}

// catalog is the one list of names.
func catalog() []entry {
	return []entry{
		{"amazon", plain(amazon)},
		{"apple", apple},
		{"atlassian", plain(atlassian)},
		{"auth0", perCustomer("auth0")},
		{"azure", azure},
		{"bitbucket", plain(bitbucket)},
		{"cognito", perCustomer("cognito")},
		{"discord", plain(discord)},
		{"dropbox", plain(dropbox)},
		{"facebook", facebook},
		{"figma", plain(figma)},
		{"fly", plain(fly)},
		{"gitea", hosted(gitea)},
		{"github", elsewhere(gitHub, onGitHubServer)},
		{"gitlab", plain(gitLab)},
		{"google", fixed(google)},
		{"huggingface", discovered(openID("huggingface", "https://huggingface.co"))},
		{"kakao", plain(kakao)},
		{"keycloak", keycloakRealm},
		{"line", fixed(line)},
		{"linear", plain(linear)},
		{"linkedin", plain(linkedIn)},
		{"linkedin_oidc", plain(linkedInOIDC)},
		{"mastodon", hosted(mastodon)},
		{"naver", plain(naver)},
		{"notion", plain(notion)},
		{"okta", perCustomer("okta")},
		{"patreon", plain(patreon)},
		{"paypal", plain(payPal)},
		{"reddit", plain(reddit)},
		{"salesforce", discovered(salesforce())},
		{"slack", plain(slack)},
		{"slack_oidc", plain(slackOIDC)},
		{"snapchat", plain(snapchat)},
		{"spotify", elsewhere(spotify, onSpotifyServer)},
		{"strava", plain(strava)},
		{"tiktok", plain(tikTok)},
		{"twitch", plain(twitch)},
		{"twitter", twitter},
		{"vercel", discovered(openID("vercel", "https://vercel.com"))},
		{"vercel_marketplace", plain(vercelMarketplace)},
		{"workos", plain(workOS)},
		{"x", plain(x)},
		{"yahoo", discovered(yahoo())},
		{"yandex", plain(yandex)},
		{"zoom", plain(zoom)},
	}
}

// Names are the providers that ByName knows, sorted.
func Names() []string {
	list := catalog()
	names := make([]string, len(list))
	for i, e := range list {
		names[i] = e.name
	}
	return names
}

// ByName builds a provider from its name and configuration. A name that isn't in Names
// is any OpenID Connect issuer's if the configuration names one; else it is ErrUnknown.
// A configuration that can't work is ErrConfig.
func ByName(name string, c Config) (Provider, error) {
	name = strings.ToLower(name)
	p, ok := lookUp(name, c)
	if !ok && c.Issuer == "" {
		return nil, &Error{Provider: clip(name, 64), Kind: ErrUnknown}
	}
	if !ok {
		p = build(openID(name, c.Issuer), c)
	}
	if b, ok := p.(interface{ broken() error }); ok && b.broken() != nil {
		return nil, b.broken()
	}
	return p, nil
}

func lookUp(name string, c Config) (Provider, bool) {
	for _, e := range catalog() {
		if e.name == name {
			return e.build(c), true
		}
	}
	return nil, false
}

// named builds a provider of the list.
func named(name, clientID, secret string, opts []Option) Provider {
	c := Config{ClientIDs: []string{clientID}, Secret: secret}.with(opts)
	p, ok := lookUp(name, c)
	if !ok {
		return broken(name, ErrUnknown)
	}
	return p
}

// elsewhere is a Spec that move puts under another base if the configuration has one.
func elsewhere(spec func() Spec, move func(*Spec, string) error) func(Config) Provider {
	return func(c Config) Provider {
		s := spec()
		if c.URL != "" {
			if err := move(&s, c.URL); err != nil {
				return broken(s.Name, err)
			}
		}
		return build(s, c)
	}
}

// plain is a Spec all of whose addresses move together.
func plain(spec func() Spec) func(Config) Provider {
	return elsewhere(spec, (*Spec).rebase)
}

// fixed is a Spec that has no other address; URL is ignored.
func fixed(spec func() Spec) func(Config) Provider {
	return func(c Config) Provider { return build(spec(), c) }
}

// hosted is a Spec without an address of its own. Ids are those of one server, so the
// server's address is the identities' issuer.
func hosted(spec func() Spec) func(Config) Provider {
	return func(c Config) Provider {
		s := spec()
		if c.URL == "" {
			return broken(s.Name, errNoURL)
		}
		s.canonical = strings.TrimSuffix(c.URL, "/")
		if err := s.rebase(c.URL); err != nil {
			return broken(s.Name, err)
		}
		return build(s, c)
	}
}

var errNoURL = errors.New("URL is missing")

// discovered is an OpenID Spec whose issuer the configuration may replace.
func discovered(s Spec) func(Config) Provider {
	return func(c Config) Provider {
		s := s
		switch {
		case c.Issuer != "":
			s.Issuer = c.Issuer
		case c.URL != "":
			s.Issuer = strings.TrimSuffix(c.URL, "/")
		}
		return build(s, c)
	}
}

// perCustomer is an OpenID provider with an issuer per customer.
func perCustomer(name string) func(Config) Provider {
	return func(c Config) Provider {
		if c.Issuer == "" && c.URL == "" {
			return broken(name, errors.New("issuer is missing"))
		}
		if c.Issuer == "" {
			c.Issuer = c.URL
		}
		return build(openID(name, c.Issuer), c)
	}
}

func keycloakRealm(c Config) Provider {
	realm := strings.TrimSuffix(c.URL, "/")
	if realm == "" {
		realm = strings.TrimSuffix(c.Issuer, "/")
	}
	if realm == "" {
		return broken("keycloak", fmt.Errorf("%w: want the realm's", errNoURL))
	}
	return build(keycloak(realm), c)
}
