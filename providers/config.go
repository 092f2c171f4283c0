package providers

// Config is what a host knows of a provider. ClientIDs is needed; the rest as each
// provider asks.
type Config struct {
	// ClientIDs are the ids of the host's apps at the provider. The first is used in
	// the browser; presented id tokens made for any of them are accepted.
	ClientIDs []string
	// Secret is the client secret. For Apple it is a ready-made one, unless Key is
	// given. Without a secret, sign-in in the browser works only with PKCE.
	Secret string
	// URL replaces the provider's own hosts, for one that is self-hosted or has an
	// address per customer: "https://gitlab.example.com".
	URL string
	// Issuer is the OpenID Connect issuer of a provider that has one per customer.
	// URL serves as well; Issuer wins.
	Issuer string
	// Scopes, if not nil, replace the provider's default scopes.
	Scopes []string
	// EmailOptional accepts people without an email address.
	EmailOptional bool
	// SkipNonceCheck accepts presented id tokens whatever their nonce.
	SkipNonceCheck bool
	// TrustEmail overrides whether addresses that come without the provider's own
	// flag count as verified; nil leaves the provider's default. False distrusts
	// flagged ones too.
	TrustEmail *bool
	// PKCE overrides whether PKCE is used; nil leaves the provider's default.
	PKCE *bool
	// Internal lets the provider have loopback and private addresses, and plain http.
	Internal bool
	// TeamID, KeyID and Key make Apple's client secret; Key is the text of the .p8
	// file.
	TeamID, KeyID, Key string
}

// Option changes a Config.
type Option func(*Config)

// WithClientIDs accepts presented id tokens that were made for other apps of the host,
// such as the iOS and the Android one. By default only the provider's client id is.
func WithClientIDs(ids ...string) Option {
	return func(c *Config) { c.ClientIDs = append(c.ClientIDs, ids...) }
}

// WithURL replaces the provider's own hosts: for a self-hosted GitLab, say, or an Azure
// tenant.
func WithURL(base string) Option { return func(c *Config) { c.URL = base } }

// WithScopes replaces the provider's default scopes.
func WithScopes(scopes ...string) Option {
	return func(c *Config) { c.Scopes = append([]string{}, scopes...) }
}

// WithEmailOptional accepts people without an email address. By default an address is
// asked for.
func WithEmailOptional() Option { return func(c *Config) { c.EmailOptional = true } }

// WithTrustEmail sets whether addresses that come without a flag of the provider's own
// count as verified. The default is each provider's; true is safe only where nobody can
// write another's address into his profile. False distrusts flagged addresses too.
func WithTrustEmail(trust bool) Option { return func(c *Config) { c.TrustEmail = &trust } }

// WithPKCE sets whether PKCE is used toward the provider. The default is yes wherever
// the provider is known to understand it.
func WithPKCE(use bool) Option { return func(c *Config) { c.PKCE = &use } }

// WithInsecureSkipNonceCheck accepts presented id tokens whatever their nonce, so that a
// stolen one can be used until it expires. For SDKs that can't set a nonce.
func WithInsecureSkipNonceCheck() Option { return func(c *Config) { c.SkipNonceCheck = true } }

// WithInternal lets the provider have loopback and private addresses, and plain http:
// for an identity provider inside of the host's own network. By default both are
// refused.
func WithInternal() Option { return func(c *Config) { c.Internal = true } }

// with gives c changed by opts.
func (c Config) with(opts []Option) Config {
	for _, o := range opts {
		o(&c)
	}
	return c
}

// clientID is the id used in the browser.
func (c Config) clientID() string {
	if len(c.ClientIDs) == 0 {
		return ""
	}
	return c.ClientIDs[0]
}
