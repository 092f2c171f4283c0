// Package config makes a service's options of environment variables, those by which
// GoTrue is configured, so that an .env file of GoTrue works unchanged:
//
//	c, warnings, err := config.FromEnv()
//	a, err := auth.New(c.Options()...)
//
// Every variable is an entry of one table ([Keys]): its names, its type, its default,
// what it does and how it becomes an option. Parsing, the defaults, the documentation
// (docs/configuration.md) and the warning about misspelled names all come from there,
// so they can't contradict each other.
package config

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/joho/godotenv"

	"github.com/truekeel/auth"
	"github.com/truekeel/auth/limit"
	"github.com/truekeel/auth/mail"
	"github.com/truekeel/auth/tokens"
)

// Config is what the variables say. [Parse] and [FromEnv] make it; the documentation of
// its fields is that of the variables, see [Keys]. It may be changed before
// [Config.Options] is called.
type Config struct {
	SiteURL        string
	URIAllowList   []string
	DisableSignup  bool
	EmailEnabled   bool
	MagicLink      bool
	EmailAddresses []string // that mail is sent to; nil for all

	Providers    map[string]*Provider // by name
	IOSBundleIDs []string
	Landing      string // of browsers that come back from a provider; "" for what was asked for

	API      API
	DB       DB
	Log      Log
	JWT      JWT
	SMTP     SMTP
	Mailer   Mailer
	Phone    Phone
	Limits   Limits
	Password Password
	Security Security
	Captcha  Captcha
	Sessions auth.SessionLimits
	Audit    Audit
	Events   Events
	Profiler Profiler
	Hooks    Hooks
	Webhook  Webhook
	Tracing  Tracing
	Metrics  Metrics
	Multi    Multi
	Keel     Keel

	vars map[string]string // that it was made of
}

// API says where the server listens and is reached.
type API struct {
	Host            string
	Port            uint16
	BasePath        string
	ExternalURL     string
	TLSCert, TLSKey string // paths of PEM files
	DrainTimeout    time.Duration
	RequestTimeout  time.Duration
	RequestIDHeader string
	AllowedHeaders  []string
	AllowedOrigins  []string
	TrustedProxies  []netip.Prefix
}

// DB says where the accounts are kept.
type DB struct {
	Driver    string
	URL       string
	MaxPool   int // 0 for the store's own default
	Namespace string
	Migrate   bool
}

// Log says what is logged and where.
type Log struct {
	Level  string
	File   string // "" for standard output
	Format string
	Fields map[string]string
}

// JWT says how access tokens are signed.
type JWT struct {
	Secret        string
	KeyID         string
	Keys          []tokens.Key
	Algorithm     string
	ValidMethods  []string
	Issuer        string
	Lifetime      time.Duration
	Audience      string
	Audiences     []string
	AdminRoles    []string
	SelfAdminRole string
	DefaultRole   string
}

// SMTP says how mail is sent.
type SMTP struct {
	Host         string
	Port         uint16
	User, Pass   string
	AdminEmail   string
	SenderName   string
	TLS          string
	Headers      map[string][]string
	MaxFrequency time.Duration
	Logging      bool
}

// Mailer says which mails are sent and what they hold.
type Mailer struct {
	AutoConfirm     bool
	AllowUnverified bool
	SecureChange    bool
	Background      bool
	DirectLinks     bool
	GiveUpAfter     time.Duration
	CodeLife        time.Duration
	CodeLength      int
	ExternalHosts   []string
	Locale          string
	Fetch           auth.TemplateFetch
	Subjects        map[mail.Kind]string
	Templates       map[mail.Kind]string // a path on the site, a URL, or file:PATH
	Paths           map[mail.Kind]string
	Notify          map[mail.Kind]bool
}

// Limits are the rates of requests.
type Limits struct {
	Enabled bool
	Header  string
	Mails   limit.Rate
	Texts   limit.Rate // messages to phones
	Verify  limit.Rate
	Token   limit.Rate
	OTP     limit.Rate
}

// Password says what a password must be and how it is kept.
type Password struct {
	MinLength     int
	Characters    []string
	Algorithm     string
	BcryptCost    int
	Argon2Memory  int // KiB
	Argon2Passes  int
	Argon2Threads int

	CommonRejected bool
	NIST           bool
	Leaks          Leaks
}

// Security holds the remaining switches of the rules.
type Security struct {
	Rotation          bool
	ReuseInterval     time.Duration
	AskNonce          bool
	RequireCurrent    bool
	VisibleDuplicates bool
	ManualLinking     bool
	Encrypt           bool
	EncryptionKey     []byte
	DecryptionKeys    [][]byte
}

// Audit says what is kept of the audit log.
type Audit struct {
	Off       bool
	Retention time.Duration // 0: for good
}

// Profiler says where the profiles of the running program can be read.
type Profiler struct {
	Enabled bool
	Host    string
	Port    uint16
}

// Warning is about a variable that is set and has no effect, or a dangerous one.
type Warning struct {
	Keys []string // the variables, at least one
	Text string   // what is the matter and the remedy
}

// String gives the warning in one line.
func (w Warning) String() string { return strings.Join(w.Keys, ", ") + ": " + w.Text }

// Finding is a variable whose value can't be used.
type Finding struct {
	Key     string
	Problem string // what is wrong; never the value of a secret
	Example string // of a value that works; "" where none would help
}

// String gives the finding in one line.
func (f Finding) String() string {
	s := f.Key + ": " + f.Problem
	if f.Example != "" {
		s += "; for example " + f.Key + f.equals() + f.Example
	}
	return s
}

// equals is what stands between the key and its value: keys of YAML are in small letters.
func (f Finding) equals() string {
	if strings.HasPrefix(f.Key, "auth.") {
		return ": "
	}
	return "="
}

// Error is everything that is wrong with a configuration.
type Error struct{ Findings []Finding }

// Error gives a line for each finding.
func (e *Error) Error() string {
	lines := make([]string, 0, len(e.Findings)+1)
	lines = append(lines, fmt.Sprintf("config: %d of the settings can't be used", len(e.Findings)))
	for _, f := range e.Findings {
		lines = append(lines, "  "+f.String())
	}
	return strings.Join(lines, "\n")
}

// FromEnv reads the variables of the process, those of the file .env in the working
// directory, if there is one, that the process doesn't have, and then those of the
// files, which overrule both, as GoTrue's flag -c does.
func FromEnv(files ...string) (*Config, []Warning, error) {
	environ := os.Environ()
	beneath, err := readFile(".env")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, err
	}
	var all []string
	for _, k := range slices.Sorted(maps.Keys(beneath)) {
		all = append(all, k+"="+beneath[k])
	}
	return Parse(append(all, environ...), files...)
}

// Parse reads variables of the form KEY=value, of which the last one of a name counts,
// and those of the files, later ones over earlier ones. An empty variable is one that
// isn't set. The error is an [*Error] with all findings, or about a file that can't be
// read; the warnings are there in both cases.
func Parse(environ []string, files ...string) (*Config, []Warning, error) {
	vars := map[string]string{}
	for _, line := range environ {
		name, value, _ := strings.Cut(line, "=")
		vars[name] = value
	}
	for _, file := range files {
		more, err := readFile(file)
		if err != nil {
			return nil, nil, err
		}
		maps.Copy(vars, more)
	}
	c, warnings, findings := read(vars)
	if len(findings) > 0 {
		return nil, warnings, &Error{findings}
	}
	return c, warnings, nil
}

// readFile reads an env file. What the parser says of a bad one isn't repeated: it
// quotes the line, which may hold a secret.
func readFile(name string) (map[string]string, error) {
	f, err := os.Open(name) // #nosec G304 -- the operator names it
	if err != nil {
		return nil, fmt.Errorf("config: %w", err)
	}
	defer func() { _ = f.Close() }()
	vars, err := godotenv.Parse(f)
	if err != nil {
		return nil, fmt.Errorf("config: %s is no env file: every line is KEY=value, a comment that begins with #, or empty", name)
	}
	return vars, nil
}

// read applies the table to the variables.
//
// The table parses by itself: the parsers of environments into tagged structs stop at
// the first bad value or lose which variable it was, know one name for a field, and keep
// neither example nor documentation, so that there would be a second table beside the
// tags.
func read(vars map[string]string) (*Config, []Warning, []Finding) {
	c := newConfig()
	c.vars = vars
	var warnings []Warning
	var findings []Finding
	for _, k := range keysOf(mentioned(vars)...) {
		name, text := k.lookup(vars)
		if text == "" {
			name, text = k.Names[0], k.Default
		}
		if w, conflicting := k.conflict(vars); conflicting {
			warnings = append(warnings, w)
		}
		if text == "" {
			continue
		}
		err := k.set(c, text)
		if k.Secret && unrun(text) {
			err = errors.New("it holds a command, which nobody runs here; put in what the command prints")
		}
		if err != nil {
			findings = append(findings, Finding{name, err.Error(), k.Example})
			// The example stands in, so that what depends on the variable isn't found too.
			_ = k.set(c, k.Example)
		}
	}
	warnings = append(warnings, strangers(vars)...)
	warnings = append(warnings, c.settle()...)
	return c, warnings, append(findings, c.check()...)
}

// unrun reports whether a value is a command as the documentation has them for secrets,
// copied into a file that no shell reads: everybody would know the secret.
func unrun(text string) bool {
	return strings.Contains(text, "$(openssl ") || strings.Contains(text, "$(cat ")
}

func newConfig() *Config {
	c := &Config{Providers: map[string]*Provider{}}
	c.Mailer.Subjects, c.Mailer.Templates = map[mail.Kind]string{}, map[mail.Kind]string{}
	c.Mailer.Paths, c.Mailer.Notify = map[mail.Kind]string{}, map[mail.Kind]bool{}
	return c
}

// Options gives the options of [auth.New] that the variables ask for. It holds no
// logger; see [auth.WithLogger].
func (c *Config) Options() []auth.Option {
	var out []auth.Option
	for _, k := range Keys() {
		if k.with != nil {
			out = append(out, k.with(c)...)
		}
	}
	return out
}

// Address is where the server listens: on loopback only as long as it isn't said where
// people reach it.
func (c *Config) Address() string {
	host := c.API.Host
	if host == "" && !c.placed() {
		host = "localhost"
	}
	return joinHostPort(host, c.API.Port)
}

// placed reports whether it is said where people reach the server.
func (c *Config) placed() bool { return c.SiteURL != "" || c.API.ExternalURL != "" }

// TLS reports whether the server itself speaks HTTPS.
func (c *Config) TLS() bool { return c.API.TLSCert != "" }

// externalURL is where the server is reached; "" if the library finds that by itself.
func (c *Config) externalURL() string {
	if c.API.ExternalURL != "" || c.SiteURL == "" || !isLoopbackURL(c.SiteURL) || c.API.Port == 0 {
		return c.API.ExternalURL
	}
	// The site is another server on this machine, so its origin isn't ours.
	scheme := "http"
	if c.TLS() {
		scheme = "https"
	}
	return scheme + "://localhost:" + strconv.Itoa(int(c.API.Port)) + strings.TrimSuffix(c.API.BasePath, "/")
}

// Public reports whether people reach the server from other machines.
func (c *Config) Public() bool {
	for _, raw := range []string{c.SiteURL, c.API.ExternalURL} {
		if raw != "" && !isLoopbackURL(raw) {
			return true
		}
	}
	return false
}
