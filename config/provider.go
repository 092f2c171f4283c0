package config

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/truekeel/auth"
	"github.com/truekeel/auth/providers"
)

// Provider is an identity provider with which people sign in.
type Provider struct {
	// Config is what the library needs to know of it.
	providers.Config
	// Enabled providers let people in.
	Enabled bool
	// RedirectURI is where the provider sends browsers back to; "" for the external URL
	// with /callback at its end.
	RedirectURI string
}

// anyName stands for the name of a provider in the names of a family of variables.
const anyName = "<NAME>"

// provider gives what is known of a provider, to be changed.
func (c *Config) provider(name string) *Provider {
	name = strings.ToLower(name)
	if c.Providers[name] == nil {
		c.Providers[name] = &Provider{}
	}
	return c.Providers[name]
}

// enabled are the names of the providers that let people in, in order.
func (c *Config) enabled() []string {
	return slices.DeleteFunc(sortedKeys(c.Providers), func(name string) bool { return !c.Providers[name].Enabled })
}

// mentioned are the providers, in capitals, that variables are about: those that the
// library knows, and those that have an issuer.
func mentioned(vars map[string]string) []string {
	var out []string
	for _, name := range catalogNames() {
		if slices.ContainsFunc(familyNames(name), func(n string) bool { return vars[n] != "" }) {
			out = append(out, name)
		}
	}
	for _, n := range sortedKeys(vars) {
		name, ok := strings.CutSuffix(strings.TrimPrefix(n, prefix+"EXTERNAL_"), "_ISSUER")
		if ok && vars[n] != "" && strings.HasPrefix(n, prefix+"EXTERNAL_") && isFreeName(name) && !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	return out
}

// isFreeName reports whether an issuer may be called so.
func isFreeName(name string) bool {
	first, _, _ := strings.Cut(name, "_")
	taken := []string{"", "EMAIL", "PHONE", "ANONYMOUS", "IOS", "SAML", "WEB3"}
	return strings.Trim(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") == "" && len(name) <= 64 && !slices.Contains(taken, first)
}

// catalogNames are the providers that the library knows, as variables spell them.
func catalogNames() []string {
	names := providers.Names()
	for i, n := range names {
		names[i] = strings.ToUpper(n)
	}
	return names
}

// familyNames are the variables of a provider.
func familyNames(name string) []string {
	var out []string
	for _, e := range providerKeys(name) {
		out = append(out, prefix+e.name)
	}
	return out
}

const providerIntro = "Each provider has the variables `GOTRUE_EXTERNAL_<NAME>_...`, where `<NAME>` is one of %s. Any other name of capital" +
	" letters, digits and underscores with a `GOTRUE_EXTERNAL_<NAME>_ISSUER` is an OpenID Connect issuer of yours: people sign in with the" +
	" name in small letters. What each needs is in [providers.md](providers.md).\n"

func providersIntro() string {
	names := catalogNames()
	for i, n := range names {
		names[i] = code(n)
	}
	return fmt.Sprintf(providerIntro, strings.Join(names, ", "))
}

// providerKeys are the variables of one provider.
func providerKeys(name string) []entry {
	of := func(c *Config) *Provider { return c.provider(name) }
	family := []entry{
		{
			name: "ENABLED", def: "false", example: "true", is: boolean(func(c *Config) *bool { return &of(c).Enabled }),
			doc:  "People sign in with the provider.",
			with: providerOptions,
		},
		{
			name: "CLIENT_ID", example: "id-of-the-app", is: list(func(c *Config) *[]string { return &of(c).ClientIDs }),
			doc: "The ids of your apps there. The first is used in the browser; id tokens that were made for any of them are accepted. Required.",
		},
		{
			name: "SECRET", secret: true, example: "secret", is: text(func(c *Config) *string { return &of(c).Secret }),
			doc: "The first app's secret. Most providers refuse sign-in in the browser without it.",
		},
		{
			name: "REDIRECT_URI", example: "https://app.example.com/auth/v1/callback", is: address(func(c *Config) *string { return &of(c).RedirectURI }),
			doc: "Where the provider sends browsers back to, as registered there. It has to lead to this server's `/callback`. Default: the external URL with `/callback` at its end.",
		},
		{
			name: "URL", example: "https://id.example.com", is: webURL(func(c *Config) *string { return &of(c).URL }),
			doc: "Replaces the provider's own hosts: a server of your own, a realm, a tenant.",
		},
		{
			name: "ISSUER", own: true, example: "https://id.example.com", is: address(func(c *Config) *string { return &of(c).Issuer }),
			doc: "The OpenID Connect issuer of a provider that has one for each customer, or of one that isn't in the list, exactly as it spells itself.",
		},
		{
			name: "EMAIL_OPTIONAL", def: "false", is: boolean(func(c *Config) *bool { return &of(c).EmailOptional }),
			doc: "Let in people who have no address there.",
		},
		{
			name: "SKIP_NONCE_CHECK", def: "false", is: boolean(func(c *Config) *bool { return &of(c).SkipNonceCheck }),
			doc: "Accept id tokens of apps whatever their nonce, so that a stolen one can be used until it ends. For SDKs that can't set a nonce.",
		},
		{
			name: "SCOPES", own: true, example: "openid,email", is: list(func(c *Config) *[]string { return &of(c).Scopes }),
			doc: "What is asked for instead of the provider's usual scopes.",
		},
		{
			name: "TRUST_EMAIL", own: true, example: "false", is: override(func(c *Config) **bool { return &of(c).TrustEmail }),
			doc: "Whether addresses that come without the provider's own flag count as verified. False distrusts flagged ones too; true is safe only where nobody can write another's address into his profile. Default: the provider's.",
		},
		{
			name: "PKCE", own: true, example: "false", is: override(func(c *Config) **bool { return &of(c).PKCE }),
			doc: "Whether PKCE is used toward the provider. Default: where it is known to understand it.",
		},
		{
			name: "INTERNAL", own: true, def: "false", is: boolean(func(c *Config) *bool { return &of(c).Internal }),
			doc: "Let the provider have loopback and private addresses, and http: for one inside of your own network.",
		},
	}
	for i := range family {
		family[i].name = "EXTERNAL_" + name + "_" + family[i].name
	}
	return family
}

// externalKeys are the variables about providers that aren't a family.
func externalKeys() []entry {
	apple := func(c *Config) *Provider { return c.provider("apple") }
	return []entry{
		{
			name: "EXTERNAL_IOS_BUNDLE_ID", example: "com.example.app", is: list(func(c *Config) *[]string { return &c.IOSBundleIDs }),
			doc: "The bundle ids of your apps for Apple's devices: id tokens of Apple that were made for them are accepted too.",
		},
		{
			name: "EXTERNAL_APPLE_TEAM_ID", own: true, example: "A1B2C3D4E5", is: word(func(c *Config) *string { return &apple(c).TeamID }),
			doc: "Your team's id at Apple, for EXTERNAL_APPLE_PRIVATE_KEY.",
		},
		{
			name: "EXTERNAL_APPLE_KEY_ID", own: true, example: "F6G7H8I9J0", is: word(func(c *Config) *string { return &apple(c).KeyID }),
			doc: "The id of EXTERNAL_APPLE_PRIVATE_KEY.",
		},
		{
			name: "EXTERNAL_APPLE_PRIVATE_KEY", own: true, secret: true, example: "$(cat AuthKey.p8)", is: text(func(c *Config) *string { return &apple(c).Key }),
			doc: "The text of the .p8 file from Apple. Client secrets are made with it when they are needed, instead of EXTERNAL_APPLE_SECRET, which ends after six months.",
		},
		{
			name: "EXTERNAL_REDIRECTURL", also: []string{"EXTERNAL_REDIRECT_URL"}, example: "https://app.example.com/welcome", is: parsed("URL", parseTarget, func(c *Config) *string { return &c.Landing }),
			doc: "Where every browser that comes back from a provider goes, whatever was asked for. Default: to what was asked for, as far as it is allowed.",
			with: func(c *Config) []auth.Option {
				return when(c.Landing != "", func() auth.Option { return auth.WithProviderLanding(c.Landing) })
			},
		},
		{
			name: "SECURITY_MANUAL_LINKING_ENABLED", def: "false", is: boolean(func(c *Config) *bool { return &c.Security.ManualLinking }),
			doc:  "Signed-in users link and unlink identities themselves.",
			with: func(c *Config) []auth.Option { return options(auth.WithManualLinking(c.Security.ManualLinking)) },
		},
	}
}

// configuration is what the library is told of a provider.
func (c *Config) configuration(name string) providers.Config {
	p := c.Providers[name].Config
	if name == "apple" {
		p.ClientIDs = slices.Concat(p.ClientIDs, c.IOSBundleIDs)
	}
	return p
}

// Provider makes an enabled provider by its name. A name that isn't one's is
// [providers.ErrUnknown].
func (c *Config) Provider(name string) (providers.Provider, error) {
	if p := c.Providers[name]; p == nil || !p.Enabled {
		return nil, fmt.Errorf("config: %q: %w", name, providers.ErrUnknown)
	}
	return providers.ByName(name, c.configuration(name))
}

func providerOptions(c *Config) []auth.Option {
	var out []auth.Option
	for _, name := range c.enabled() {
		p, err := c.Provider(name)
		if err != nil {
			continue // check has found it
		}
		out = append(out, auth.WithProvider(p))
		if uri := c.Providers[name].RedirectURI; uri != "" {
			out = append(out, auth.WithProviderCallback(name, uri))
		}
	}
	return out
}

// checkProviders finds those that can't work.
func (c *Config) checkProviders(find finder) {
	for _, name := range c.enabled() {
		key := "EXTERNAL_" + strings.ToUpper(name) + "_"
		if len(c.configuration(name).ClientIDs) == 0 {
			find(key+"CLIENT_ID", "id-of-the-app", "it is missing, and GOTRUE_%sENABLED is on", key)
			continue
		}
		_, err := c.Provider(name)
		var bad *providers.Error
		if !errors.As(err, &bad) {
			continue
		}
		problem := cmp.Or(bad.Cause, bad.Kind).Error()
		about, example := c.providerKey(name, problem)
		if strings.HasSuffix(problem, "is not https") {
			problem += "; use https, or set GOTRUE_" + key + "INTERNAL=true for a provider inside of your own network"
		}
		find(key+about, example, "%s", problem)
	}
}

// providerKey is the end of the variable that a problem is about, with its example.
func (c *Config) providerKey(name, problem string) (end, example string) {
	p := c.Providers[name]
	switch {
	case name == "apple" && strings.HasPrefix(problem, "the key"):
		return "PRIVATE_KEY", "$(cat AuthKey.p8)"
	case name == "keycloak":
		return "URL", "https://id.example.com/realms/app"
	case p.Issuer != "" || p.URL == "" && strings.Contains(problem, "issuer"):
		return "ISSUER", "https://id.example.com"
	}
	return "URL", "https://id.example.com"
}

// settleProviders warns of what won't work, or not for everybody.
func (c *Config) settleProviders(warn func(key, text string, args ...any)) {
	for _, name := range c.enabled() {
		p, key := c.Providers[name], "EXTERNAL_"+strings.ToUpper(name)+"_"
		if p.Secret == "" && p.Key == "" && len(p.ClientIDs) > 0 {
			warn(key+"SECRET", "it isn't set; most providers then refuse sign-in in the browser, and only id tokens of apps are left")
		}
		if host := hostOf(p.RedirectURI); host != "" && !c.servedAt(host) {
			warn(key+"REDIRECT_URI", "browsers come back to %s, which isn't where they left from, so their cookie is missing and the sign-in fails; it should begin with GOTRUE_API_EXTERNAL_URL", host)
		}
		if p.URL != "" && slices.Contains([]string{"apple", "google", "line"}, name) {
			warn(key+"URL", "it has no effect: this provider has no hosts but its own")
		}
		if p.SkipNonceCheck {
			warn(key+"SKIP_NONCE_CHECK", "id tokens are accepted whatever their nonce, so a stolen one can be used until it ends")
		}
	}
}

// servedAt reports whether people may reach the server at a host.
func (c *Config) servedAt(host string) bool {
	own := hostOf(cmp.Or(c.externalURL(), c.SiteURL))
	return own == "" || host == own || slices.Contains(c.Mailer.ExternalHosts, host)
}

// hostOf is the host of a URL, with its port.
func hostOf(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return ""
	}
	return u.Host
}

// strangeProvider says what makes a variable of a provider that isn't known work; ""
// for other variables.
func strangeProvider(variable string) string {
	rest, ok := strings.CutPrefix(variable, prefix+"EXTERNAL_")
	for _, family := range familyNames(anyName) {
		end := strings.TrimPrefix(family, prefix+"EXTERNAL_"+anyName)
		if name, has := strings.CutSuffix(rest, end); ok && has && isFreeName(name) {
			return "; a provider that isn't in the list needs " + prefix + "EXTERNAL_" + name + "_ISSUER"
		}
	}
	return ""
}

// everyName are the names of the variables of all providers that are known, and of those
// that are mentioned.
func everyName(vars map[string]string) []string {
	names := map[string]bool{}
	for _, n := range slices.Concat(catalogNames(), mentioned(vars)) {
		names[n] = true
	}
	return slices.Sorted(maps.Keys(names))
}
