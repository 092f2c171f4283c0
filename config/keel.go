package config

import (
	"errors"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/truekeel/auth"
)

// Keel is about the Keel dialect, in which the server answers beside GoTrue's.
type Keel struct {
	Enabled          bool
	RedirectURL      string // "" for what requests name
	AccessLifetime   time.Duration
	RefreshLifetime  time.Duration
	Rotation         bool
	Issuer           string // "" for the external URL
	QueryCredentials bool

	// Providers and Claims are those of a keelconfig.yaml, see [Config.UseKeel].
	Providers []auth.KeelProvider
	Claims    map[string]string
}

const keelIntro = "What these mean and who else answers where: [keel.md](keel.md). `truekeel serve --keelconfig FILE` reads the section `auth` of a" +
	" keelconfig.yaml too; a variable that is set overrules it. The client secret of a provider in it is the variable" +
	" `AUTH_PROVIDER_SECRET_<NAME>`, with the provider's name in capitals.\n"

func keelKeys() []entry {
	return []entry{
		{
			name: "KEEL_ENABLED", own: true, def: "false", example: "true", is: boolean(func(c *Config) *bool { return &c.Keel.Enabled }),
			doc:  "Answer Keel's clients too, below GOTRUE_API_BASE_PATH: they expect `/auth`.",
			with: func(c *Config) []auth.Option { return options(c.keelOption()) },
		},
		{
			name: "KEEL_REDIRECT_URL", own: true, example: "https://app.example.com/signed-in", is: parsed("URL", parseLanding, func(c *Config) *string { return &c.Keel.RedirectURL }),
			doc: "Where people land who signed in with a provider. Default: what the request names by `redirect_uri`, as far as GOTRUE_URI_ALLOW_LIST allows it.",
		},
		{
			name: "KEEL_ACCESS_TOKEN_EXPIRY", own: true, def: "86400", example: "1h", is: duration(time.Second, func(c *Config) *time.Duration { return &c.Keel.AccessLifetime }),
			doc: "How long an access token of this dialect is good.",
		},
		{
			name: "KEEL_REFRESH_TOKEN_EXPIRY", own: true, def: "7776000", example: "720h", is: duration(time.Second, func(c *Config) *time.Duration { return &c.Keel.RefreshLifetime }),
			doc: "How long a sign-in lasts; refreshing doesn't prolong it.",
		},
		{
			name: "KEEL_REFRESH_TOKEN_ROTATION_ENABLED", own: true, def: "true", example: "false", is: boolean(func(c *Config) *bool { return &c.Keel.Rotation }),
			doc: "Give a new refresh token at every refresh and refuse the old one.",
		},
		{
			name: "KEEL_ISSUER", own: true, example: "https://keel.so", is: word(func(c *Config) *string { return &c.Keel.Issuer }),
			doc: "The issuer of this dialect's access tokens. Default: the external URL.",
		},
		{
			name: "KEEL_QUERY_CREDENTIALS", own: true, def: "false", example: "true", is: boolean(func(c *Config) *bool { return &c.Keel.QueryCredentials }),
			doc: "Read the fields of a form from the URL's query too, as Keel does. URLs end up in logs, and passwords with them.",
		},
	}
}

// keelOption is what the library is told of the dialect.
func (c *Config) keelOption() auth.Option {
	k := c.Keel
	if !k.Enabled {
		return auth.WithoutKeel()
	}
	return auth.WithKeel(auth.Keel{
		RedirectURL: k.RedirectURL, AccessTokenLifetime: k.AccessLifetime, RefreshTokenLifetime: k.RefreshLifetime, KeepRefreshToken: !k.Rotation,
		Issuer: k.Issuer, QueryCredentials: k.QueryCredentials, Providers: k.Providers, Claims: k.Claims, Secrets: c.keelSecret,
	})
}

// keelSecret gives a provider's secret. An empty one is there, as with Keel.
func (c *Config) keelSecret(name string) (string, bool) {
	secret, ok := c.vars[name]
	return secret, ok
}

// isSet reports whether a variable was given, under its own name.
func (c *Config) isSet(key string) bool { return c.vars[prefix+key] != "" }

const keelOffText = "it has no effect while the Keel dialect is off; set GOTRUE_KEEL_ENABLED=true, or give a keelconfig.yaml"

// AboutKeelOff reports whether the warning is about a variable that has no effect because
// the Keel dialect is off. [Config.UseKeel] makes it void.
func (w Warning) AboutKeelOff() bool { return w.Text == keelOffText }

// keelOffWarnings is one about all variables of the dialect while it is off.
func (c *Config) keelOffWarnings() []Warning {
	var idle []string
	for _, e := range keelKeys() {
		if e.name != "KEEL_ENABLED" && c.isSet(e.name) {
			idle = append(idle, prefix+e.name)
		}
	}
	if c.Keel.Enabled || idle == nil {
		return nil
	}
	return []Warning{{idle, keelOffText}}
}

// UseKeel switches the Keel dialect on with the settings of a keelconfig.yaml. Variables
// that are set overrule it, and the clients' secrets are variables, see
// [auth.KeelProvider.SecretName]. The warnings are about secrets; the error is an
// [*Error] with everything in which the file and the variables contradict each other.
func (c *Config) UseKeel(f *KeelFile) ([]Warning, error) {
	var found []Finding
	if c.isSet("KEEL_ENABLED") && !c.Keel.Enabled {
		found = append(found, Finding{prefix + "KEEL_ENABLED", "it is off, and a keelconfig.yaml is given; leave one of them out", "true"})
	}
	for n, p := range f.Providers {
		if slices.Contains(c.enabled(), strings.ToLower(p.Name)) {
			found = append(found, Finding{
				providerPath(n) + ".name", shown(p.Name) + " is given by " + prefix + "EXTERNAL_" + strings.ToUpper(p.Name) + "_ENABLED too; leave one of them out", "",
			})
		}
	}
	if len(found) > 0 {
		return nil, &Error{found}
	}
	k := &c.Keel
	k.Enabled, k.Providers, k.Claims = true, f.Providers, f.Claims
	if f.RedirectURL != "" && !c.isSet("KEEL_REDIRECT_URL") {
		k.RedirectURL = f.RedirectURL
	}
	if f.AccessTokenExpiry > 0 && !c.isSet("KEEL_ACCESS_TOKEN_EXPIRY") {
		k.AccessLifetime = f.AccessTokenExpiry
	}
	if f.RefreshTokenExpiry > 0 && !c.isSet("KEEL_REFRESH_TOKEN_EXPIRY") {
		k.RefreshLifetime = f.RefreshTokenExpiry
	}
	if f.KeepRefreshToken && !c.isSet("KEEL_REFRESH_TOKEN_ROTATION_ENABLED") {
		k.Rotation = false
	}
	return c.keelSecretWarnings(), nil
}

// keelSecretWarnings are about providers without a secret and secrets without a provider.
func (c *Config) keelSecretWarnings() []Warning {
	var out []Warning
	var known []string
	for _, p := range c.Keel.Providers {
		name := p.SecretName()
		known = append(known, name)
		if _, ok := c.keelSecret(name); !ok {
			out = append(out, Warning{[]string{name}, "it isn't set; nobody can sign in with " + p.Name + " in the browser, and only its id tokens are accepted"})
		}
	}
	for _, name := range sortedKeys(c.vars) {
		if strings.HasPrefix(name, "AUTH_PROVIDER_SECRET_") && !slices.Contains(known, name) {
			out = append(out, Warning{[]string{name}, "no provider of the keelconfig.yaml is called so, so it has no effect"})
		}
	}
	return out
}

// parseLanding reads an absolute URL with something behind its scheme.
func parseLanding(s string) (string, error) {
	s, err := parseTarget(s)
	if err != nil {
		return "", err
	}
	if u, err := url.Parse(s); err != nil || u.Host == "" && u.Path == "" && u.Opaque == "" {
		return "", errors.New("it is no URL")
	}
	return s, nil
}
