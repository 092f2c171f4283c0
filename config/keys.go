package config

import (
	"fmt"
	"maps"
	"math"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/truekeel/auth"
	"github.com/truekeel/auth/limit"
	"github.com/truekeel/auth/mail"
	"github.com/truekeel/auth/tokens"
)

// prefix is what the names of most variables begin with.
const prefix = "GOTRUE_"

// Key is a variable: an entry of the one table that everything about variables is made
// from.
type Key struct {
	// Names are the variable's names. The first that is set counts.
	Names []string
	// Section is what it is about.
	Section string
	// Type is the sort of its value.
	Type string
	// Default is the value that it has when it isn't set; "" for none.
	Default string
	// Example is a value that works.
	Example string
	// Doc says what it does.
	Doc string
	// Secret values are never shown.
	Secret bool
	// Own variables are Truekeel's; GoTrue has the others too.
	Own bool

	set  func(c *Config, text string) error
	with func(c *Config) []auth.Option // nil if another key or the server alone uses it
	// intro is what the documentation says before the first key of a section.
	intro string
}

// entry is a Key as the table writes it.
type entry struct {
	// name is the key without the prefix.
	name string
	// also are further names without the prefix, bare those that are read as they are.
	also, bare        []string
	def, example, doc string
	is                field
	with              func(c *Config) []auth.Option
	secret, own       bool
}

// Keys gives the variables in the order of the documentation. Those of which there is one
// for each identity provider have <NAME> in their names, for the provider's in capitals.
func Keys() []Key { return keysOf(anyName) }

// keysOf gives the variables with those of certain providers.
func keysOf(names ...string) []Key {
	var out []Key
	for _, s := range sections(names) {
		for i, e := range s.entries {
			k := Key{
				Names: []string{prefix + e.name}, Section: s.title, Type: e.is.kind, Default: e.def, Example: e.example, Doc: e.doc,
				Secret: e.secret, Own: e.own, set: e.is.set, with: e.with,
			}
			if i == 0 {
				k.intro = s.intro
			}
			for _, a := range e.also {
				k.Names = append(k.Names, prefix+a)
			}
			k.Names = append(k.Names, e.bare...)
			if k.Example == "" {
				k.Example = k.Default
			}
			out = append(out, k)
		}
	}
	return out
}

// lookup gives the name under which the variable is set, and its value.
func (k Key) lookup(vars map[string]string) (name, value string) {
	for _, n := range k.Names {
		if v := vars[n]; v != "" {
			return n, v
		}
	}
	return "", ""
}

// conflict warns of two names of the variable that contradict each other.
func (k Key) conflict(vars map[string]string) (Warning, bool) {
	counts, value := k.lookup(vars)
	for _, n := range k.Names {
		if v := vars[n]; v != "" && v != value {
			return Warning{[]string{n}, "it is another name of " + counts + ", which has another value and counts"}, true
		}
	}
	return Warning{}, false
}

type section struct {
	title   string
	entries []entry
	intro   string
}

// options makes the options of a key.
func options(o ...auth.Option) []auth.Option { return o }

// when gives an option if there is a reason for it.
func when(yes bool, o func() auth.Option) []auth.Option {
	if !yes {
		return nil
	}
	return []auth.Option{o()}
}

func sections(names []string) []section {
	var family []entry
	for _, n := range names {
		family = append(family, providerKeys(n)...)
	}
	return []section{
		{title: "Site", entries: siteKeys()},
		{title: "Server", entries: serverKeys()},
		{title: "Database", entries: databaseKeys()},
		{title: "Logging", entries: logKeys()},
		{title: "Access tokens", entries: jwtKeys()},
		{title: "Sign-up and sign-in", entries: signKeys()},
		{title: "Identity providers", entries: slices.Concat(family, externalKeys()), intro: providersIntro()},
		{title: "Keel", entries: keelKeys(), intro: keelIntro},
		{title: "Passwords", entries: slices.Concat(passwordKeys(), strengthKeys())},
		{title: "Sessions", entries: sessionKeys()},
		{title: "Mail server", entries: smtpKeys()},
		{title: "Mails", entries: slices.Concat(mailerKeys(), kindKeys())},
		{title: "Phones", entries: phoneKeys(), intro: phoneIntro},
		{title: "Limits", entries: limitKeys()},
		{title: "Security", entries: securityKeys()},
		{title: "Hooks", entries: slices.Concat(hookKeys(), webhookKeys()), intro: hooksIntro},
		{title: "Captcha", entries: captchaKeys(), intro: captchaIntro},
		{title: "Events", entries: eventKeys(), intro: eventsIntro},
		{title: "Traces and metrics", entries: telemetryKeys()},
		{title: "Many instances", entries: multiKeys()},
	}
}

func siteKeys() []entry {
	return []entry{
		{
			name: "SITE_URL", example: "https://app.example.com", is: webURL(func(c *Config) *string { return &c.SiteURL }),
			doc: "Where people land: the front end that mails and redirects lead to. Without it the server answers loopback hosts only.",
			with: func(c *Config) []auth.Option {
				return when(c.SiteURL != "", func() auth.Option { return auth.WithSiteURL(c.SiteURL) })
			},
		},
		{
			name: "API_EXTERNAL_URL", bare: []string{"API_EXTERNAL_URL"}, example: "https://app.example.com/auth/v1",
			is:  webURL(func(c *Config) *string { return &c.API.ExternalURL }),
			doc: "Where this server is reached: links in mails, callbacks and the issuer of tokens begin with it. Default: the origin of the site; with a site on this machine, the server's own port.",
			with: func(c *Config) []auth.Option {
				return when(c.externalURL() != "", func() auth.Option { return auth.WithExternalURL(c.externalURL()) })
			},
		},
		{
			name: "URI_ALLOW_LIST", example: "https://*.example.com/**,com.example.app://done", is: list(func(c *Config) *[]string { return &c.URIAllowList }),
			doc: "Further targets of redirects besides the site: URLs in which `*` stands for any characters but `.` and `/`, `**` for any, `?` for one.",
			with: func(c *Config) []auth.Option {
				return when(len(c.URIAllowList) > 0, func() auth.Option { return auth.WithRedirectURLs(c.URIAllowList...) })
			},
		},
		{
			name: "MAILER_EXTERNAL_HOSTS", example: "auth.example.org", is: list(func(c *Config) *[]string { return &c.Mailer.ExternalHosts }),
			doc: "Further hosts at which the server is reached: requests to them, or with them in X-Forwarded-Host, get links to the same host. It needs a site or an external URL.",
			with: func(c *Config) []auth.Option {
				return when(len(c.Mailer.ExternalHosts) > 0, func() auth.Option { return auth.WithExternalHosts(c.Mailer.ExternalHosts...) })
			},
		},
	}
}

func serverKeys() []entry {
	return []entry{
		{
			name: "API_HOST", example: "127.0.0.1", is: word(func(c *Config) *string { return &c.API.Host }),
			doc: "The address to listen on. Default: all interfaces if the site or the external URL is set, else loopback only.",
		},
		{
			name: "API_PORT", bare: []string{"PORT"}, def: "8081", is: port(func(c *Config) *uint16 { return &c.API.Port }),
			doc: "The port to listen on; 0 for any that is free.",
		},
		{
			name: "API_BASE_PATH", def: "/", example: "/auth", own: true, is: parsed("path", parsePath, func(c *Config) *string { return &c.API.BasePath }),
			doc:  "The path below which the endpoints are. The same endpoints answer below `v1` of it.",
			with: func(c *Config) []auth.Option { return options(auth.WithBasePath(c.API.BasePath)) },
		},
		{
			name: "API_TLS_CERT", own: true, example: "/etc/truekeel/tls.crt", is: word(func(c *Config) *string { return &c.API.TLSCert }),
			doc: "A PEM file with the certificate and its chain: the server then speaks HTTPS. It is read again on SIGHUP.",
		},
		{
			name: "API_TLS_KEY", own: true, example: "/etc/truekeel/tls.key", is: word(func(c *Config) *string { return &c.API.TLSKey }),
			doc: "A PEM file with the certificate's private key.",
		},
		{
			name: "API_DRAIN_TIMEOUT", own: true, def: "10s", is: duration(0, func(c *Config) *time.Duration { return &c.API.DrainTimeout }),
			doc: "How long requests and mails that are under way may take to end after SIGTERM.",
		},
		{
			name: "API_MAX_REQUEST_DURATION", def: "10s", is: duration(1, func(c *Config) *time.Duration { return &c.API.RequestTimeout }),
			doc:  "How long a request may take before it is answered with 504.",
			with: func(c *Config) []auth.Option { return options(auth.WithRequestTimeout(c.API.RequestTimeout)) },
		},
		{
			name: "API_REQUEST_ID_HEADER", also: []string{"REQUEST_ID_HEADER"}, bare: []string{"REQUEST_ID_HEADER"}, example: "X-Request-ID",
			is:  word(func(c *Config) *string { return &c.API.RequestIDHeader }),
			doc: "The header from which a request's id is taken: it is in the logs, in the audit log and in the bodies of 5xx answers. Default: ids are made.",
			with: func(c *Config) []auth.Option {
				return when(c.API.RequestIDHeader != "", func() auth.Option { return auth.WithRequestIDHeader(c.API.RequestIDHeader) })
			},
		},
		{
			name: "CORS_ALLOWED_HEADERS", example: "x-tenant", is: list(func(c *Config) *[]string { return &c.API.AllowedHeaders }),
			doc:  "Headers that browsers may send besides those of GoTrue's clients.",
			with: func(c *Config) []auth.Option { return options(auth.WithAllowedHeaders(c.API.AllowedHeaders...)) },
		},
		{
			name: "CORS_ALLOWED_ORIGINS", own: true, def: "*", example: "https://app.example.com", is: list(func(c *Config) *[]string { return &c.API.AllowedOrigins }),
			doc:  "Origins whose pages may call from browsers, besides the site's own; `*` for all.",
			with: func(c *Config) []auth.Option { return options(auth.WithAllowedOrigins(c.API.AllowedOrigins...)) },
		},
		{
			name: "API_TRUSTED_PROXIES", own: true, example: "10.0.0.0/8,192.0.2.7", is: parsed("list of networks", parseNetworks, func(c *Config) *[]netip.Prefix { return &c.API.TrustedProxies }),
			doc:  "The networks of the proxies in front of the server. The client is the right-most forwarded address that is none of them. Without it clients on private addresses aren't limited by address.",
			with: func(c *Config) []auth.Option { return options(auth.WithTrustedProxies(c.API.TrustedProxies...)) },
		},
		{
			name: "PROFILER_ENABLED", def: "false", is: boolean(func(c *Config) *bool { return &c.Profiler.Enabled }),
			doc: "Serve profiles of the running program (net/http/pprof) on a port of their own.",
		},
		{
			name: "PROFILER_HOST", def: "localhost", is: word(func(c *Config) *string { return &c.Profiler.Host }),
			doc: "The address of that port.",
		},
		{
			name: "PROFILER_PORT", def: "9998", is: port(func(c *Config) *uint16 { return &c.Profiler.Port }),
			doc: "That port. It may be the one that Prometheus fetches metrics at (METRICS_HOST, METRICS_PORT), which has both then.",
		},
	}
}

func databaseKeys() []entry {
	return []entry{
		{
			name: "DB_DATABASE_URL", also: []string{"DATABASE_URL"}, bare: []string{"DATABASE_URL"}, def: "auth.db", secret: true,
			example: "postgres://auth:secret@db.example.com/app", is: word(func(c *Config) *string { return &c.DB.URL }),
			doc:  "Where the accounts are: the path of a SQLite file (or `sqlite:PATH`), a `postgres://` or `mysql://` URL, or with `GOTRUE_DB_DRIVER=mysql` a DSN of go-sql-driver.",
			with: func(c *Config) []auth.Option { return options(auth.WithOpenStore(c.DB.Open)) },
		},
		{
			name: "DB_DRIVER", example: "postgres", is: choice(func(c *Config) *string { return &c.DB.Driver }, "sqlite", "sqlite3", "postgres", "postgresql", "mysql", "mariadb"),
			doc: "Which sort of database the address is of. Default: by the address.",
		},
		{
			name: "DB_MAX_POOL_SIZE", def: "0", example: "20", is: number(0, 100000, func(c *Config) *int { return &c.DB.MaxPool }),
			doc: "How many connections are open at most; 0 for 20, with SQLite for as many readers as processors.",
		},
		{
			name: "DB_NAMESPACE", bare: []string{"DB_NAMESPACE"}, example: "auth", is: word(func(c *Config) *string { return &c.DB.Namespace }),
			doc: "The schema of the tables on PostgreSQL, else what their names begin with, up to an underscore. Default `auth`.",
		},
		{
			name: "DB_MIGRATE", own: true, def: "true", is: boolean(func(c *Config) *bool { return &c.DB.Migrate }),
			doc:  "Bring the schema up to date at the start. Without it the start fails unless it is.",
			with: func(c *Config) []auth.Option { return when(!c.DB.Migrate, auth.WithoutMigrations) },
		},
		{
			name: "AUDIT_LOG_DISABLE_POSTGRES", def: "false", is: boolean(func(c *Config) *bool { return &c.Audit.Off }),
			doc:  "Write no audit log, whichever the database is.",
			with: func(c *Config) []auth.Option { return when(c.Audit.Off, auth.WithoutAuditLog) },
		},
		{
			name: "AUDIT_LOG_RETENTION", own: true, example: "2160h", is: duration(time.Second, func(c *Config) *time.Duration { return &c.Audit.Retention }),
			doc: "Delete audit entries that are older. Default: they are kept.",
			with: func(c *Config) []auth.Option {
				return when(c.Audit.Retention > 0, func() auth.Option { return auth.WithAuditRetention(c.Audit.Retention) })
			},
		},
	}
}

func logKeys() []entry {
	return []entry{
		{
			name: "LOG_LEVEL", bare: []string{"LOG_LEVEL"}, def: "info",
			is:  choice(func(c *Config) *string { return &c.Log.Level }, "panic", "fatal", "error", "warn", "warning", "info", "debug", "trace"),
			doc: "What is logged; panic and fatal are as error, trace is as debug.",
		},
		{
			name: "LOG_FILE", example: "/var/log/truekeel.log", is: word(func(c *Config) *string { return &c.Log.File }),
			doc: "The file to log to, opened again on SIGHUP. Default: standard output.",
		},
		{
			name: "LOG_FORMAT", own: true, def: "json", is: choice(func(c *Config) *string { return &c.Log.Format }, "json", "text"),
			doc: "The form of the lines.",
		},
		{
			name: "LOG_FIELDS", example: "service:auth,region:eu", is: parsed("map", parseMap, func(c *Config) *map[string]string { return &c.Log.Fields }),
			doc: "Fields that every line has.",
		},
	}
}

func jwtKeys() []entry {
	return []entry{
		{
			name: "JWT_SECRET", secret: true, example: "$(openssl rand -base64 48)", is: text(func(c *Config) *string { return &c.JWT.Secret }),
			doc:  "The secret that signs access tokens with HS256, unless a key of JWT_KEYS signs. Without either a key is made and kept in the database. Under 32 bytes it can be guessed.",
			with: secretOptions,
		},
		{
			name: "JWT_KEYS", secret: true, example: `[{"kty":"EC","crv":"P-256","key_ops":["sign"],...}]`, is: parsed("JSON", parseKeys, func(c *Config) *[]tokens.Key { return &c.JWT.Keys }),
			doc: "Signing keys as a JSON array of JWKs (RSA with RS256, EC on P-256, Ed25519, or a secret), of which one may sign and the others verify.",
			with: func(c *Config) []auth.Option {
				return when(len(c.JWT.Keys) > 0, func() auth.Option { return auth.WithSigningKeys(c.JWT.Keys...) })
			},
		},
		{
			name: "JWT_KEY_ID", example: "key-1", is: word(func(c *Config) *string { return &c.JWT.KeyID }),
			doc: "The key id of tokens that JWT_SECRET signs.",
			with: func(c *Config) []auth.Option {
				return when(c.JWT.KeyID != "", func() auth.Option { return auth.WithJWTSecretID(c.JWT.KeyID) })
			},
		},
		{
			name: "JWT_ALGORITHM", own: true, def: "ES256", is: choice(func(c *Config) *string { return &c.JWT.Algorithm }, "ES256", "RS256", "EdDSA"),
			doc:  "What the key that is made is for.",
			with: func(c *Config) []auth.Option { return options(auth.WithKeyAlgorithm(c.JWT.Algorithm)) },
		},
		{
			name: "JWT_VALID_METHODS", example: "HS256,RS256", is: parsed("list", parseMethods, func(c *Config) *[]string { return &c.JWT.ValidMethods }),
			doc: "The algorithms of accepted tokens. Default: those of the keys.",
			with: func(c *Config) []auth.Option {
				return when(len(c.JWT.ValidMethods) > 0, func() auth.Option { return auth.WithValidMethods(c.JWT.ValidMethods...) })
			},
		},
		{
			name: "JWT_ISSUER", example: "https://app.example.com/auth/v1", is: word(func(c *Config) *string { return &c.JWT.Issuer }),
			doc: "The issuer of tokens. Default: the external URL.",
			with: func(c *Config) []auth.Option {
				return when(c.JWT.Issuer != "", func() auth.Option { return auth.WithIssuer(c.JWT.Issuer) })
			},
		},
		{
			name: "JWT_EXP", def: "3600", is: duration(0, func(c *Config) *time.Duration { return &c.JWT.Lifetime }),
			doc: "How long an access token is good; 0 is as 3600.",
			with: func(c *Config) []auth.Option {
				return when(c.JWT.Lifetime > 0, func() auth.Option { return auth.WithAccessTokenLifetime(c.JWT.Lifetime) })
			},
		},
		{
			name: "JWT_AUD", def: "authenticated", is: word(func(c *Config) *string { return &c.JWT.Audience }),
			doc:  "The audience of accounts and their tokens.",
			with: func(c *Config) []auth.Option { return options(auth.WithAudience(c.JWT.Audience)) },
		},
		{
			name: "JWT_AUDIENCES", own: true, example: "staff,partners", is: list(func(c *Config) *[]string { return &c.JWT.Audiences }),
			doc:  "Further audiences, which a request names in X-JWT-AUD. Others that it names are ignored.",
			with: func(c *Config) []auth.Option { return options(auth.WithAudiences(c.JWT.Audiences...)) },
		},
		{
			name: "JWT_ADMIN_ROLES", def: "service_role,supabase_admin", is: list(func(c *Config) *[]string { return &c.JWT.AdminRoles }),
			doc:  "The roles of tokens that may use the administrator's endpoints.",
			with: func(c *Config) []auth.Option { return options(auth.WithAdminRoles(c.JWT.AdminRoles...)) },
		},
		{
			name: "JWT_ADMIN_GROUP_NAME", def: "admin", is: word(func(c *Config) *string { return &c.JWT.SelfAdminRole }),
			doc:  "The role of users that may change their own app_metadata.",
			with: func(c *Config) []auth.Option { return options(auth.WithSelfAdminRole(c.JWT.SelfAdminRole)) },
		},
		{
			name: "JWT_DEFAULT_GROUP_NAME", def: "authenticated", is: word(func(c *Config) *string { return &c.JWT.DefaultRole }),
			doc:  "The role of new accounts.",
			with: func(c *Config) []auth.Option { return options(auth.WithDefaultRole(c.JWT.DefaultRole)) },
		},
	}
}

func secretOptions(c *Config) []auth.Option {
	if c.JWT.Secret == "" {
		return nil
	}
	secret := []byte(c.JWT.Secret)
	return append(when(c.shortSecret(), auth.WithInsecureShortSecret), auth.WithJWTSecret(secret))
}

// shortSecret reports whether the secret can be guessed by who holds a token.
func (c *Config) shortSecret() bool { return c.JWT.Secret != "" && len(c.JWT.Secret) < 32 }

func signKeys() []entry {
	return []entry{
		{
			name: "DISABLE_SIGNUP", def: "false", is: boolean(func(c *Config) *bool { return &c.DisableSignup }),
			doc:  "People can't make accounts; invitations and administrators can.",
			with: func(c *Config) []auth.Option { return options(auth.WithSignUp(!c.DisableSignup)) },
		},
		{
			name: "EXTERNAL_EMAIL_ENABLED", def: "true", is: boolean(func(c *Config) *bool { return &c.EmailEnabled }),
			doc:  "People sign up, sign in and recover by email.",
			with: func(c *Config) []auth.Option { return options(auth.WithEmailSignIn(c.EmailEnabled)) },
		},
		{
			name: "EXTERNAL_EMAIL_MAGIC_LINK_ENABLED", def: "true", is: boolean(func(c *Config) *bool { return &c.MagicLink }),
			doc:  "People sign in by a mailed link or code.",
			with: func(c *Config) []auth.Option { return options(auth.WithMagicLink(c.MagicLink)) },
		},
		{
			name: "MAILER_AUTOCONFIRM", def: "false", is: boolean(func(c *Config) *bool { return &c.Mailer.AutoConfirm }),
			doc:  "Take the addresses of new accounts as proved.",
			with: func(c *Config) []auth.Option { return options(auth.WithAutoConfirm(c.Mailer.AutoConfirm)) },
		},
		{
			name: "MAILER_ALLOW_UNVERIFIED_EMAIL_SIGN_INS", def: "false", is: boolean(func(c *Config) *bool { return &c.Mailer.AllowUnverified }),
			doc: "People sign in before they have proved their address, by password or with a provider that doesn't vouch for it. Not together with MAILER_AUTOCONFIRM.",
			with: func(c *Config) []auth.Option {
				return options(auth.WithUnconfirmedSignIn(c.Mailer.AllowUnverified), auth.WithUnprovedProviderSignIn(c.Mailer.AllowUnverified))
			},
		},
		{
			name: "MAILER_SECURE_EMAIL_CHANGE_ENABLED", def: "true", is: boolean(func(c *Config) *bool { return &c.Mailer.SecureChange }),
			doc:  "The present address has to agree too before an account's address changes.",
			with: func(c *Config) []auth.Option { return options(auth.WithSecureEmailChange(c.Mailer.SecureChange)) },
		},
		{
			name: "MAILER_OTP_EXP", def: "86400", is: duration(time.Second, func(c *Config) *time.Duration { return &c.Mailer.CodeLife }),
			doc: "How long mailed links and codes are good.",
			with: func(c *Config) []auth.Option {
				return options(auth.WithCodes(auth.Codes{Length: c.Mailer.CodeLength, CodeLife: c.Mailer.CodeLife, LinkLife: c.Mailer.CodeLife}))
			},
		},
		{
			name: "MAILER_OTP_LENGTH", def: "6", is: number(0, math.MaxInt32, func(c *Config) *int { return &c.Mailer.CodeLength }),
			doc: "Digits of a code, 6 to 10; anything else is as 6.",
		},
		{
			name: "SECURITY_VISIBLE_DUPLICATES", own: true, def: "true", is: boolean(func(c *Config) *bool { return &c.Security.VisibleDuplicates }),
			doc:  "Tell who signs up with an address whether it has an account, as GoTrue does. Without it nobody learns that.",
			with: func(c *Config) []auth.Option { return when(c.Security.VisibleDuplicates, auth.WithVisibleDuplicates) },
		},
	}
}

func passwordKeys() []entry {
	return []entry{
		{
			name: "PASSWORD_MIN_LENGTH", def: "6", example: "10", is: number(0, 72, func(c *Config) *int { return &c.Password.MinLength }),
			doc:  "The least length of a new password; less than 6 is as 6.",
			with: lengthOptions,
		},
		{
			name: "PASSWORD_REQUIRED_CHARACTERS", example: "abcdefghijklmnopqrstuvwxyz:0123456789", is: parsed("sets", parseSets, func(c *Config) *[]string { return &c.Password.Characters }),
			doc:  "Sets of characters with colons between them (`\\:` is a colon): a new password needs one of each.",
			with: func(c *Config) []auth.Option { return options(auth.WithPasswordCharacters(c.Password.Characters...)) },
		},
		{
			name: "PASSWORD_HASH", own: true, def: "bcrypt", is: choice(func(c *Config) *string { return &c.Password.Algorithm }, "bcrypt", "argon2id"),
			doc:  "How new passwords are hashed. Hashes of both sorts are read; weaker ones are replaced at the next sign-in.",
			with: hashOptions,
		},
		{
			name: "PASSWORD_BCRYPT_COST", own: true, def: "10", is: number(4, 15, func(c *Config) *int { return &c.Password.BcryptCost }),
			doc: "The cost of bcrypt.",
		},
		{
			name: "PASSWORD_ARGON2_MEMORY", own: true, def: "19456", is: number(8, 4<<20, func(c *Config) *int { return &c.Password.Argon2Memory }),
			doc: "The memory of one argon2id hash in KiB. As many hashes as there are processors run at once.",
		},
		{
			name: "PASSWORD_ARGON2_PASSES", own: true, def: "2", is: number(1, 100, func(c *Config) *int { return &c.Password.Argon2Passes }),
			doc: "The passes of argon2id.",
		},
		{
			name: "PASSWORD_ARGON2_LANES", own: true, def: "1", is: number(1, 255, func(c *Config) *int { return &c.Password.Argon2Threads }),
			doc: "The lanes of argon2id.",
		},
		{
			name: "SECURITY_UPDATE_PASSWORD_REQUIRE_REAUTHENTICATION", def: "false", is: boolean(func(c *Config) *bool { return &c.Security.AskNonce }),
			doc:  "Ask for a mailed code before a password is changed in a session older than a day.",
			with: func(c *Config) []auth.Option { return options(auth.WithReauthentication(c.Security.AskNonce)) },
		},
		{
			name: "SECURITY_UPDATE_PASSWORD_REQUIRE_CURRENT_PASSWORD", def: "false", is: boolean(func(c *Config) *bool { return &c.Security.RequireCurrent }),
			doc:  "Ask for the present password before it is changed.",
			with: func(c *Config) []auth.Option { return options(auth.WithCurrentPassword(c.Security.RequireCurrent)) },
		},
	}
}

func sessionKeys() []entry {
	return []entry{
		{
			name: "SESSIONS_TIMEBOX", example: "168h", is: duration(1, func(c *Config) *time.Duration { return &c.Sessions.Timebox }),
			doc:  "End a session so long after its sign-in.",
			with: func(c *Config) []auth.Option { return options(auth.WithSessionLimits(c.Sessions)) },
		},
		{
			name: "SESSIONS_INACTIVITY_TIMEOUT", example: "24h", is: duration(1, func(c *Config) *time.Duration { return &c.Sessions.Inactivity }),
			doc: "End a session that wasn't refreshed for so long.",
		},
		{
			name: "SESSIONS_SINGLE_PER_USER", def: "false", is: boolean(func(c *Config) *bool { return &c.Sessions.SinglePerUser }),
			doc: "Of a user's sessions only the one that was begun or refreshed last can be refreshed.",
		},
		{
			name: "SECURITY_REFRESH_TOKEN_ROTATION_ENABLED", def: "true", is: boolean(func(c *Config) *bool { return &c.Security.Rotation }),
			doc:  "End a session when an old refresh token of it turns up. Old tokens are refused in any case.",
			with: func(c *Config) []auth.Option { return when(!c.Security.Rotation, auth.WithoutReuseDetection) },
		},
		{
			name: "SECURITY_REFRESH_TOKEN_REUSE_INTERVAL", def: "0", example: "10", is: duration(0, func(c *Config) *time.Duration { return &c.Security.ReuseInterval }),
			doc: "How long after it was used a refresh token still answers with its successor; 0 for until the successor is used.",
			with: func(c *Config) []auth.Option {
				return when(c.Security.ReuseInterval > 0, func() auth.Option { return auth.WithRefreshReuse(c.Security.ReuseInterval) })
			},
		},
	}
}

func smtpKeys() []entry {
	return []entry{
		{
			name: "SMTP_HOST", example: "smtp.example.com", is: word(func(c *Config) *string { return &c.SMTP.Host }),
			doc:  "The mail server. Without it a site on this machine has a development inbox, and mails of a public one are dropped.",
			with: mailOptions,
		},
		{
			name: "SMTP_PORT", def: "587", is: port(func(c *Config) *uint16 { return &c.SMTP.Port }),
			doc: "The mail server's port.",
		},
		{
			name: "SMTP_USER", example: "accounts", is: text(func(c *Config) *string { return &c.SMTP.User }),
			doc: "The name to sign in to the mail server with.",
		},
		{
			name: "SMTP_PASS", secret: true, example: "secret", is: text(func(c *Config) *string { return &c.SMTP.Pass }),
			doc: "The password to sign in to the mail server with. It is sent over TLS only.",
		},
		{
			name: "SMTP_ADMIN_EMAIL", example: "accounts@example.com", is: word(func(c *Config) *string { return &c.SMTP.AdminEmail }),
			doc: "The address that mails come from. Required with SMTP_HOST.",
		},
		{
			name: "SMTP_SENDER_NAME", example: "Example Accounts", is: text(func(c *Config) *string { return &c.SMTP.SenderName }),
			doc: "The name that mails come from.",
		},
		{
			name: "SMTP_TLS", own: true, def: "auto", is: choice(func(c *Config) *string { return &c.SMTP.TLS }, "auto", "starttls", "implicit", "opportunistic", "none"),
			doc: "How the connection to the mail server is protected; auto is implicit TLS on port 465, else STARTTLS where the server offers it.",
		},
		{
			name: "SMTP_HEADERS", example: `{"X-Tag":["$messageType"]}`, is: parsed("JSON", parseHeaders, func(c *Config) *map[string][]string { return &c.SMTP.Headers }),
			doc: "Further headers of mails; `$messageType` stands for the kind of mail.",
		},
		{
			name: "SMTP_MAX_FREQUENCY", def: "1m", is: duration(0, func(c *Config) *time.Duration { return &c.SMTP.MaxFrequency }),
			doc:  "How long an address waits between two mails of one kind.",
			with: func(c *Config) []auth.Option { return options(auth.WithMailFrequency(c.SMTP.MaxFrequency)) },
		},
		{
			name: "SMTP_LOGGING_ENABLED", def: "false", is: boolean(func(c *Config) *bool { return &c.SMTP.Logging }),
			doc: "Log each mail that was sent, without its address.",
		},
		{
			name: "EXTERNAL_EMAIL_AUTHORIZED_ADDRESSES", example: "ada@example.com", is: list(func(c *Config) *[]string { return &c.EmailAddresses }),
			doc:  "Send mail to these addresses only; a label behind a plus sign doesn't count.",
			with: func(c *Config) []auth.Option { return options(auth.WithAuthorizedAddresses(c.EmailAddresses...)) },
		},
	}
}

func mailerKeys() []entry {
	return []entry{
		{
			name: "MAILER_EMAIL_BACKGROUND_SENDING", def: "false", is: boolean(func(c *Config) *bool { return &c.Mailer.Background }),
			doc:  "Send mails after the answer, and again until they are accepted. Without it a request waits for its mail, and fails with it.",
			with: func(c *Config) []auth.Option { return when(!c.Mailer.Background, auth.WithSyncDelivery) },
		},
		{
			name: "MAILER_GIVE_UP_AFTER", own: true, def: "24h", is: duration(time.Second, func(c *Config) *time.Duration { return &c.Mailer.GiveUpAfter }),
			doc:  "How long a mail that is sent in the background is tried again.",
			with: func(c *Config) []auth.Option { return options(auth.WithMailGiveUp(c.Mailer.GiveUpAfter)) },
		},
		{
			name: "MAILER_DIRECT_LINKS", own: true, def: "true", is: boolean(func(c *Config) *bool { return &c.Mailer.DirectLinks }),
			doc:  "Opening a mailed link uses it up, as in GoTrue. Without it the link shows a page with one button, which mail scanners don't press.",
			with: func(c *Config) []auth.Option { return when(c.Mailer.DirectLinks, auth.WithDirectLinks) },
		},
		{
			name: "MAILER_LOCALE", own: true, def: "en", is: word(func(c *Config) *string { return &c.Mailer.Locale }),
			doc:  "The language of mails to readers whose own is unknown.",
			with: func(c *Config) []auth.Option { return options(auth.WithMailLocale(c.Mailer.Locale)) },
		},
		{
			name: "MAILER_TEMPLATE_MAX_SIZE", def: "1000000", is: parsed("number", parseSize, func(c *Config) *int64 { return &c.Mailer.Fetch.MaxSize }),
			doc:  "The largest template in bytes.",
			with: func(c *Config) []auth.Option { return options(auth.WithTemplateFetch(c.Mailer.Fetch)) },
		},
		{
			name: "MAILER_TEMPLATE_MAX_AGE", def: "10m", is: duration(1, func(c *Config) *time.Duration { return &c.Mailer.Fetch.MaxAge }),
			doc: "How long a fetched template is used before it is fetched again.",
		},
		{
			name: "MAILER_TEMPLATE_RETRY_INTERVAL", def: "10s", is: duration(1, func(c *Config) *time.Duration { return &c.Mailer.Fetch.RetryAfter }),
			doc: "How long a template that couldn't be fetched isn't asked for again.",
		},
	}
}

// kindKeys are the variables of which there is one for each kind of mail.
func kindKeys() []entry {
	var subjects, templates, paths, notices []entry
	for _, k := range mailKinds() {
		what := "mail of kind " + strings.ToLower(k.Key)
		subjects = append(subjects, entry{
			name: "MAILER_SUBJECTS_" + k.Key, own: k.Kind == mail.AccountExists, example: k.Subject, is: mailText("template", k.Kind, subjectsOf),
			doc: "The subject of the " + what + ". Default: " + k.Subject + ", in the reader's language.",
		})
		templates = append(templates, entry{
			name: "MAILER_TEMPLATES_" + k.Key, own: k.Kind == mail.AccountExists, example: "/mails/" + strings.ToLower(k.Key) + ".html", is: mailText("URL or path", k.Kind, templatesOf),
			doc:  "The body of the " + what + ": a URL, a path on the site, or `file:PATH`.",
			with: templateOption(k.Kind),
		})
		if k.LinkType != "" {
			doc := "Where the link of the " + what + " leads: a path below the external URL, or a URL."
			if k.Kind == mail.Recovery {
				doc += " It holds for magic links too, unless they have one of their own."
			}
			paths = append(paths, entry{
				name: "MAILER_URLPATHS_" + k.Key, own: k.Kind == mail.MagicLink, example: "/verify", is: mailText("path or URL", k.Kind, pathsOf), doc: doc,
				with: pathOption(k.Kind),
			})
		}
		if k.Notification {
			key := strings.TrimSuffix(k.Key, "_NOTIFICATION")
			notices = append(notices, entry{
				name: "MAILER_NOTIFICATIONS_" + key + "_ENABLED", def: "false", is: notifyField(k.Kind), doc: "Send the " + what + ".",
				with: notifyOption(k.Kind),
			})
		}
	}
	return slices.Concat(subjects, templates, paths, notices)
}

// mailKinds are the kinds of mail that something sends.
func mailKinds() []mail.KindInfo {
	return slices.DeleteFunc(mail.Kinds(), func(k mail.KindInfo) bool { return slices.Contains(unsentKinds(), k.Kind) })
}

// unsentKinds are the kinds whose features aren't there.
func unsentKinds() []mail.Kind {
	return []mail.Kind{mail.MFAFactorEnrolled, mail.MFAFactorUnenrolled}
}

func mailText(kind string, of mail.Kind, at func(*Config) map[mail.Kind]string) field {
	return field{kind, func(c *Config, s string) error { at(c)[of] = s; return nil }}
}

func subjectsOf(c *Config) map[mail.Kind]string  { return c.Mailer.Subjects }
func templatesOf(c *Config) map[mail.Kind]string { return c.Mailer.Templates }
func pathsOf(c *Config) map[mail.Kind]string     { return c.Mailer.Paths }

func notifyField(of mail.Kind) field {
	return field{"bool", func(c *Config, s string) (err error) {
		c.Mailer.Notify[of], err = parseBool(s)
		return err
	}}
}

func notifyOption(of mail.Kind) func(*Config) []auth.Option {
	return func(c *Config) []auth.Option {
		return when(c.Mailer.Notify[of], func() auth.Option { return auth.WithNotifications(of) })
	}
}

func pathOption(of mail.Kind) func(*Config) []auth.Option {
	return func(c *Config) []auth.Option {
		path := c.Mailer.Paths[of]
		if path == "" && of == mail.MagicLink {
			path = c.Mailer.Paths[mail.Recovery]
		}
		return when(path != "", func() auth.Option { return auth.WithLinkPath(of, path) })
	}
}

func templateOption(of mail.Kind) func(*Config) []auth.Option {
	return func(c *Config) []auth.Option {
		t := c.template(of)
		return when(t != (mail.Template{}), func() auth.Option { return auth.WithMailTemplate(of, t) })
	}
}

// template is what is configured of a kind of mail.
func (c *Config) template(of mail.Kind) mail.Template {
	t := mail.Template{Subject: c.Mailer.Subjects[of]}
	if path, ok := strings.CutPrefix(c.Mailer.Templates[of], "file:"); ok {
		t.File = path
	} else {
		t.URL = c.Mailer.Templates[of]
	}
	return t
}

func limitKeys() []entry {
	return []entry{
		{
			name: "RATE_LIMIT_ENABLED", own: true, def: "true", is: boolean(func(c *Config) *bool { return &c.Limits.Enabled }),
			doc:  "Limit requests by the client's address, and the number of mails and messages. The budgets of codes stay without it.",
			with: limitOptions,
		},
		{
			name: "RATE_LIMIT_HEADER", example: "X-Forwarded-For", is: word(func(c *Config) *string { return &c.Limits.Header }),
			doc: "The header in which the proxies note the client's address. It is read from the right, past API_TRUSTED_PROXIES; without those it is believed whoever sends it.",
			with: func(c *Config) []auth.Option {
				return when(c.Limits.Header != "", func() auth.Option { return auth.WithClientIPHeader(c.Limits.Header) })
			},
		},
		{
			name: "RATE_LIMIT_EMAIL_SENT", def: "30", example: "100", is: parsed("rate", parseMailRate, func(c *Config) *limit.Rate { return &c.Limits.Mails }),
			doc: "Mails an hour of the whole server, or as `30/1h` a burst and the time after which one more is allowed; 0 for none. With MAILER_AUTOCONFIRM anything but 0 is no limit.",
		},
		{
			name: "RATE_LIMIT_SMS_SENT", def: "30", example: "100", is: parsed("rate", parseMailRate, func(c *Config) *limit.Rate { return &c.Limits.Texts }),
			doc: "Messages to phones an hour of the whole server, in the same forms. It counts what is sent.",
		},
		{
			name: "RATE_LIMIT_TOKEN_REFRESH", def: "150", is: rate(func(c *Config) *limit.Rate { return &c.Limits.Token }),
			doc: "Sign-ins and refreshes of one address in 5 minutes, of which 30 may come at once; or as `30/1m` a burst and the time after which one more is allowed.",
		},
		{
			name: "RATE_LIMIT_VERIFY", def: "30", is: rate(func(c *Config) *limit.Rate { return &c.Limits.Verify }),
			doc: "The same for codes and links.",
		},
		{
			name: "RATE_LIMIT_OTP", def: "30", is: rate(func(c *Config) *limit.Rate { return &c.Limits.OTP }),
			doc: "The same for requests that send a mail or a message, each sort on its own.",
		},
	}
}

func limitOptions(c *Config) []auth.Option {
	if !c.Limits.Enabled {
		return options(auth.WithoutLimits())
	}
	mails := c.Limits.Mails
	if c.Mailer.AutoConfirm && !mails.Never() {
		mails = limit.Window(math.MaxInt32, time.Hour)
	}
	return options(auth.WithLimits(auth.Limits{Token: c.Limits.Token, Verify: c.Limits.Verify, OTP: c.Limits.OTP, Mails: mails, Messages: c.Limits.Texts}))
}

func securityKeys() []entry {
	return []entry{
		{
			name: "SECURITY_DATABASE_ENCRYPTION_ENCRYPT", def: "false", is: boolean(func(c *Config) *bool { return &c.Security.Encrypt }),
			doc: "Seal signing keys and waiting mails in the database with SECURITY_DATABASE_ENCRYPTION_ENCRYPTION_KEY. They are sealed in any case: without it, with a key made of JWT_SECRET, else with one in a file beside the SQLite database or in the database.",
			with: func(c *Config) []auth.Option {
				return when(c.Security.Encrypt, func() auth.Option {
					return auth.WithEncryptionKey(c.Security.EncryptionKey, c.Security.DecryptionKeys...)
				})
			},
		},
		{
			name: "SECURITY_DATABASE_ENCRYPTION_ENCRYPTION_KEY", secret: true, example: "$(openssl rand -base64 32)",
			is:  parsed("base64", parseSealKey, func(c *Config) *[]byte { return &c.Security.EncryptionKey }),
			doc: "The key that seals: 32 random bytes in base64.",
		},
		{
			name: "SECURITY_DATABASE_ENCRYPTION_DECRYPTION_KEYS", secret: true, example: "old:$(cat old.key)",
			is:  parsed("map of base64", parseSealKeys, func(c *Config) *[][]byte { return &c.Security.DecryptionKeys }),
			doc: "Keys that sealed before, as id:key pairs: they still open.",
		},
	}
}

// parseMethods reads a list of signature algorithms.
func parseMethods(s string) ([]string, error) {
	methods, _ := parseList(s)
	for _, m := range methods {
		if !slices.Contains([]string{"HS256", "RS256", "ES256", "EdDSA"}, m) {
			return nil, fmt.Errorf("%s is none of HS256, RS256, ES256, EdDSA", shown(m))
		}
	}
	return methods, nil
}

func parseSize(s string) (int64, error) {
	n, err := parseNumber(s, 1, math.MaxInt32)
	return int64(n), err
}

// sortedKeys gives the keys of a map in order.
func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
