package auth

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/truekeel/auth/breach"
	"github.com/truekeel/auth/captcha"
	"github.com/truekeel/auth/internal/caller"
	"github.com/truekeel/auth/internal/guard"
	"github.com/truekeel/auth/internal/hookcall"
	"github.com/truekeel/auth/internal/host"
	"github.com/truekeel/auth/internal/password"
	"github.com/truekeel/auth/internal/text"
	"github.com/truekeel/auth/internal/user"
	"github.com/truekeel/auth/limit"
	"github.com/truekeel/auth/mail"
	"github.com/truekeel/auth/providers"
	"github.com/truekeel/auth/sms"
	"github.com/truekeel/auth/store"
	"github.com/truekeel/auth/tokens"
)

// Option changes a setting of [New]. An Option that can't be right refuses, and New
// says which it was and what to do.
type Option func(*settings) error

// settings is what the options leave, with the defaults of a strict library.
type settings struct {
	store        store.Store
	openStore    func(context.Context, *slog.Logger) (store.Store, error)
	path         string
	noMigrations bool

	basePath    string
	siteURL     string
	externalURL string
	hosts       []string
	issuer      string
	redirects   []string
	origins     []string
	anyOrigin   bool
	corsHeaders []string

	mailer       mail.Mailer
	sendMail     func(context.Context, mail.Event) error
	renderer     mail.RendererConfig
	linkPaths    map[mail.Kind]string
	sync         bool
	giveUpAfter  time.Duration
	mailEvery    time.Duration
	authorized   []string
	notify       map[mail.Kind]bool
	directLinks  bool
	codes        Codes
	secureChange bool

	phones      bool
	sms         sms.Sender
	smsAuto     bool
	smsEvery    time.Duration
	smsCodes    SMSCodes
	smsTemplate string
	smsGuard    sms.Guard
	smsQuota    limit.Rate
	testNumbers map[string]string
	testUntil   time.Time

	autoConfirm      bool
	signUpOff        bool
	emailOff         bool
	magicLinkOff     bool
	allowUnconfirmed bool
	showDuplicates   bool

	providers     []providers.Provider
	allowUnproved bool
	linking       bool
	landing       string
	callbacks     map[string]string // by provider
	client        *http.Client

	secret        []byte
	secretID      string
	shortSecret   bool
	keys          []tokens.Key
	algorithm     string
	validMethods  []string
	lifetime      time.Duration
	audience      string
	audiences     []string
	role          string
	adminRoles    []string
	selfAdminRole string
	sealKeys      [][]byte
	lostKey       bool

	hasher         password.Config
	policy         password.Policy
	leaked         breach.Checker
	leakCheckMust  bool
	nist           bool
	askNonce       bool
	requireCurrent bool

	sessions      SessionLimits
	reuseInterval time.Duration
	keepFamily    bool

	limiter   limit.Limiter
	noLimits  bool
	doors     map[guard.Door]limit.Rate
	mailQuota limit.Rate
	captcha   captcha.Verifier // nil for none

	keel      Keel
	keelGiven bool
	keelOff   bool
	gotrueOff bool

	caller         caller.Config
	hooks          Hooks
	remote         map[HookPoint]remoteHook
	webhook        *Webhook
	instance       uuid.UUID
	steps          []*host.Steps // of webhooks and the like, asked behind the hooks
	webhooks       []EventWebhook
	eventRetention time.Duration
	observers      []Observer
	auditRetention time.Duration
	auditOff       bool
	maxDuration    time.Duration
	now            func() time.Time // to the microsecond, as databases keep it
	clock          func() time.Time // to measure durations with
	logger         *slog.Logger
}

// SessionLimits end sessions early. The zero value ends none.
type SessionLimits struct {
	// Timebox ends a session so long after its sign-in.
	Timebox time.Duration
	// Inactivity ends a session that wasn't refreshed for so long.
	Inactivity time.Duration
	// SinglePerUser refuses to refresh a session once its user has signed in anew, or has
	// refreshed another one, since he last refreshed this one.
	SinglePerUser bool
}

// Codes says how long codes and links are good, and how often one may guess. Zero
// fields keep the default.
type Codes struct {
	Length     int           // digits of a code, 6 to 10; default 6
	CodeLife   time.Duration // default 10 minutes
	LinkLife   time.Duration // default 1 hour
	MaxGuesses int           // wrong guesses that kill a code; default 5
	MaxPerHour int           // wrong guesses that end code entry for an address for an hour; default 20
}

// SMSCodes says how long the codes in messages to phones are and how long they are good.
// The budgets of guesses are those of [Codes]. Zero fields keep the default.
type SMSCodes struct {
	Length int           // digits, 6 to 10; default 6
	Life   time.Duration // default 5 minutes
}

// Limits are the rates of requests that one client address may make. The zero Rate of a
// field keeps its default. Only Mails and Messages may be ones that allow nothing
// ([limit.Rate.Never]).
type Limits struct {
	Token  limit.Rate // sign-ins, refreshes, departures to a provider, captchas; default 150 in 5 minutes each
	Verify limit.Rate // codes and links; default 30 in 5 minutes
	// OTP is for requests that send a mail or a message: sign-up, recovery, magic link, code, resend
	// and change of the account, each counted on its own; default 30 in 5 minutes.
	OTP limit.Rate
	// Mails is how many mails the server sends; default 1000 an hour. With
	// limit.Window(0, time.Hour) it sends none.
	Mails limit.Rate
	// Messages is how many messages to phones the server sends; default 100 an hour. How
	// many one number gets says [WithSMSGuard].
	Messages limit.Rate
}

func defaults() settings {
	s := settings{
		path: "auth.db", basePath: "/auth",
		linkPaths: map[mail.Kind]string{}, notify: map[mail.Kind]bool{}, mailEvery: time.Minute, secureChange: true,
		codes:    Codes{Length: 6, CodeLife: 10 * time.Minute, LinkLife: time.Hour, MaxGuesses: 5, MaxPerHour: 20},
		smsEvery: time.Minute, smsCodes: SMSCodes{Length: 6, Life: 5 * time.Minute}, smsTemplate: text.DefaultTemplate, smsQuota: limit.Window(100, time.Hour),
		lifetime: time.Hour, audience: "authenticated", role: "authenticated", adminRoles: []string{"service_role", "supabase_admin"},
		algorithm: tokens.ES256, policy: password.Policy{Common: true},
		reuseInterval: -1, mailQuota: limit.Window(1000, time.Hour), maxDuration: 10 * time.Second,
		now: time.Now, logger: slog.New(slog.DiscardHandler),
	}
	s.doors = doors(Limits{Token: limit.Bucket(150, 5*time.Minute), Verify: limit.Bucket(30, 5*time.Minute), OTP: limit.Bucket(30, 5*time.Minute)})
	return s
}

func doors(l Limits) map[guard.Door]limit.Rate {
	out := map[guard.Door]limit.Rate{guard.Token: l.Token, guard.Authorize: l.Token, guard.Captcha: l.Token, guard.Verify: l.Verify}
	for _, d := range []guard.Door{guard.SignUp, guard.OTP, guard.MagicLink, guard.Recover, guard.Resend, guard.UserUpdate} {
		out[d] = l.OTP
	}
	return out
}

// WithStore keeps the accounts in s instead of a SQLite file. Whoever made s closes it,
// after [Auth.Close].
func WithStore(s store.Store) Option {
	return named("WithStore", func(c *settings) error {
		c.store = s
		return refuse(s == nil, "the store is nil; pass one of store/sqlite, store/postgres or store/mysql")
	})
}

// WithOpenStore keeps the accounts in the store that open gives to New, which hands it
// the logger. [Auth.Close] closes it. It is for settings that name a database, where
// [WithStore] needs one that is open.
func WithOpenStore(open func(ctx context.Context, logger *slog.Logger) (store.Store, error)) Option {
	return named("WithOpenStore", func(c *settings) error {
		c.openStore = open
		return refuse(open == nil, "the function is nil")
	})
}

// WithDatabaseFile keeps the accounts in the SQLite file at path, which is made if it
// isn't there, readable by its owner alone. Default "auth.db" in the working directory.
// Beside it lie a lock file and, unless another option gives a key, the key that seals
// secrets in it.
func WithDatabaseFile(path string) Option {
	return named("WithDatabaseFile", func(c *settings) error {
		c.path = path
		return refuse(path == "", "the path is empty")
	})
}

// WithoutMigrations leaves the schema as it is; New fails if it isn't up to date.
// Default: New migrates.
func WithoutMigrations() Option {
	return named("WithoutMigrations", func(c *settings) error { c.noMigrations = true; return nil })
}

// WithBasePath says under which path the host mounts the handler. Default "/auth". A
// router in front may leave it on the request's path or take it off, but whole: if an
// outer one strips a part of it, give the rest here, and the whole in [WithExternalURL].
func WithBasePath(p string) Option {
	return named("WithBasePath", func(c *settings) error {
		if p != "/" {
			p = strings.TrimSuffix(p, "/")
		}
		c.basePath = p
		return refuse(!strings.HasPrefix(p, "/") || path.Clean(p) != p, `%q is no clean path; give one like "/auth"`, p)
	})
}

// WithSiteURL says where people land: the front end that mails and redirects lead to.
// Its origin may call from browsers and is a target of redirects. Default: none; then
// only requests to a loopback host are answered, and links lead to that host.
func WithSiteURL(raw string) Option {
	return named("WithSiteURL", func(c *settings) (err error) {
		c.siteURL, err = webURL(raw)
		return err
	})
}

// WithExternalURL says where the handler itself is reached, base path included: links
// in mails, callbacks and the issuer of tokens begin with it. Default: the origin of
// the site URL and the base path.
func WithExternalURL(raw string) Option {
	return named("WithExternalURL", func(c *settings) (err error) {
		c.externalURL, err = webURL(raw)
		return err
	})
}

// WithExternalHosts lists further hosts (host or host:port) at which the handler is
// reached under the path of [WithExternalURL]: a request to one of them, or one that a
// proxy noted in X-Forwarded-Host, gets links and callbacks that begin with https://
// (http:// on loopback) and that host. It needs WithExternalURL or WithSiteURL. Default: none.
func WithExternalHosts(hosts ...string) Option {
	return named("WithExternalHosts", func(c *settings) error {
		for _, h := range hosts {
			if u, err := url.Parse("https://" + h); err != nil || u.Host != h || h == "" {
				return fmt.Errorf(`%q is no host; give one like "auth.example.com"`, h)
			}
			c.hosts = append(c.hosts, strings.ToLower(h))
		}
		return nil
	})
}

// WithIssuer is the iss claim of access tokens, and the issuer in the discovery
// document. Default: the external URL.
func WithIssuer(iss string) Option {
	return named("WithIssuer", func(c *settings) error { c.issuer = iss; return refuse(iss == "", "the issuer is empty") })
}

// WithRedirectURLs allows further targets of redirects besides the site: URLs in which
// * stands for any characters but '.' and '/', ** for any, ? for one. Host and path are
// matched apart: no wildcard in a host reaches into the path. It needs [WithSiteURL].
// Default: none, but every loopback host while there is no site. What isn't allowed is
// replaced by the site.
func WithRedirectURLs(globs ...string) Option {
	return named("WithRedirectURLs", func(c *settings) error { c.redirects = append(c.redirects, globs...); return nil })
}

// WithAllowedOrigins lets pages of further origins (scheme://host[:port]) call from
// browsers; "*" lets all. Default: the site's own origin, and any loopback origin while
// the site is on a loopback host or not set.
func WithAllowedOrigins(origins ...string) Option {
	return named("WithAllowedOrigins", func(c *settings) error {
		for _, o := range origins {
			if o == "*" {
				c.anyOrigin = true
				continue
			}
			u, err := url.Parse(o)
			if err != nil || u.Host == "" || u.Path != "" || (u.Scheme != "http" && u.Scheme != "https") {
				return fmt.Errorf(`%q is no origin; give one like "https://app.example.com" or "*"`, o)
			}
			c.origins = append(c.origins, strings.ToLower(o))
		}
		return nil
	})
}

// WithAllowedHeaders lets browsers of allowed origins send further headers. Default:
// those that GoTrue's clients send.
func WithAllowedHeaders(names ...string) Option {
	return named("WithAllowedHeaders", func(c *settings) error {
		for _, n := range names {
			if err := headerName(n); err != nil {
				return err
			}
		}
		c.corsHeaders = append(c.corsHeaders, names...)
		return nil
	})
}

// WithMailer sends mails through m. Default: without a public site a development inbox
// keeps them, see [Auth.DevInboxURL]; with one, New asks for a mailer.
func WithMailer(m mail.Mailer) Option {
	return named("WithMailer", func(c *settings) error {
		c.mailer = m
		if v, ok := m.(interface{ Validate() error }); ok {
			return v.Validate()
		}
		return refuse(m == nil, "the mailer is nil")
	})
}

// WithSendMail hands every mail to the host as an event with the link, the code and the
// user, instead of rendering and sending it. It is called after the change that it is
// about was committed, at least once, with the same MessageID at every attempt. It must
// be safe for concurrent use. With a mailer besides, New refuses, unless that is a
// [mail.Mailbox]: it then gets nothing. [Hooks.SendMail] is the same.
func WithSendMail(send func(ctx context.Context, e mail.Event) error) Option {
	return named("WithSendMail", func(c *settings) error {
		c.sendMail = send
		return refuse(send == nil, "the function is nil")
	})
}

// WithMailTemplate replaces the subject, the body or both of one kind of mail. The
// template is checked by New; one that is fetched and can't be had later gives way to
// the built-in one. Default: the built-in mails in six languages.
func WithMailTemplate(kind mail.Kind, t mail.Template) Option {
	return named("WithMailTemplate", func(c *settings) error {
		if _, ok := kind.Info(); !ok {
			return fmt.Errorf("there is no kind of mail %q", kind)
		}
		if c.renderer.Templates == nil {
			c.renderer.Templates = map[mail.Kind]mail.Template{}
		}
		c.renderer.Templates[kind] = t
		return nil
	})
}

// WithMailTemplates reads templates from files: KIND.html, KIND.txt and KIND.subject,
// and KIND.LOCALE.html and so on for one language, at the root of files (see [fs.Sub]).
// They are read once, by New. A file of these three endings whose name begins with no
// kind of mail is an error; files with other endings are left alone.
func WithMailTemplates(files fs.FS) Option {
	return named("WithMailTemplates", func(c *settings) error {
		c.renderer.FS = files
		return refuse(files == nil, "the file system is nil")
	})
}

// TemplateFetch says how templates with a URL are fetched. Zero fields keep the default.
type TemplateFetch struct {
	MaxAge     time.Duration // how long a fetched one is used; default 10 minutes
	RetryAfter time.Duration // how long a failed fetch isn't repeated; default 10 seconds
	MaxSize    int64         // bytes that any template may have; default 1,000,000
}

// WithTemplateFetch changes how templates are fetched, see [WithMailTemplate].
func WithTemplateFetch(f TemplateFetch) Option {
	return named("WithTemplateFetch", func(c *settings) error {
		set(&c.renderer.MaxAge, f.MaxAge)
		set(&c.renderer.RetryAfter, f.RetryAfter)
		set(&c.renderer.MaxSize, f.MaxSize)
		return refuse(f.MaxAge < 0 || f.RetryAfter < 0 || f.MaxSize < 0, "a duration or size is negative")
	})
}

// WithMailLocale is the language of mails to readers whose own is unknown or not there,
// as a BCP 47 tag. Default "en".
func WithMailLocale(tag string) Option {
	return named("WithMailLocale", func(c *settings) error { c.renderer.Locale = tag; return nil })
}

// WithLinkPath leads the links of one kind of mail to another path below the external
// URL, or to a whole URL elsewhere, which then calls POST /verify itself. Default
// "verify".
func WithLinkPath(kind mail.Kind, p string) Option {
	return named("WithLinkPath", func(c *settings) error {
		if info, ok := kind.Info(); !ok || info.LinkType == "" {
			return fmt.Errorf("mails of kind %q have no link", kind)
		}
		_, err := url.Parse(p)
		c.linkPaths[kind] = p
		return err
	})
}

// WithSyncDelivery sends a mail before the request is answered, and answers 500 if it
// can't be sent. It isn't tried again then: an account that was made is there, unconfirmed,
// and the mail may be asked for anew at once. How long an answer takes, and whether it is
// an error, tells whether an address has an account. Default: mails are sent after the
// answer, and again until they are accepted.
func WithSyncDelivery() Option {
	return named("WithSyncDelivery", func(c *settings) error { c.sync = true; return nil })
}

// WithMailGiveUp is how long a mail that can't be sent is tried again. Default 24 hours.
func WithMailGiveUp(d time.Duration) Option {
	return named("WithMailGiveUp", func(c *settings) error { c.giveUpAfter = d; return positive(d) })
}

// WithMailFrequency is how long an address waits between two mails of one kind, whether
// or not it has an account. Default 1 minute; zero or less: no wait.
func WithMailFrequency(d time.Duration) Option {
	return named("WithMailFrequency", func(c *settings) error { c.mailEvery = d; return nil })
}

// WithAuthorizedAddresses sends mail to these addresses only; a label behind a plus sign
// doesn't count. Default: to all.
func WithAuthorizedAddresses(addresses ...string) Option {
	return named("WithAuthorizedAddresses", func(c *settings) error {
		for _, a := range addresses {
			if _, err := user.NormalizeEmail(a); err != nil {
				return fmt.Errorf(`%q is no address; give one like "ada@example.com"`, a)
			}
		}
		c.authorized = append(c.authorized, addresses...)
		return nil
	})
}

// WithNotifications tells users by mail what happened to their account, for the kinds
// given. Default: none.
func WithNotifications(kinds ...mail.Kind) Option {
	return named("WithNotifications", func(c *settings) error {
		for _, k := range kinds {
			if info, _ := k.Info(); !info.Notification {
				return fmt.Errorf("mail of kind %q is no notification", k)
			}
			c.notify[k] = true
		}
		return nil
	})
}

// WithDirectLinks lets the GET of a mailed link consume it, as GoTrue does. Mail
// scanners that open links then use them up before people do. Default: the GET shows a
// page with one button, whose POST consumes the link.
func WithDirectLinks() Option {
	return named("WithDirectLinks", func(c *settings) error { c.directLinks = true; return nil })
}

// WithCodes changes the life and the budgets of codes and links.
func WithCodes(k Codes) Option {
	return named("WithCodes", func(c *settings) error {
		set(&c.codes.Length, k.Length)
		set(&c.codes.CodeLife, k.CodeLife)
		set(&c.codes.LinkLife, k.LinkLife)
		set(&c.codes.MaxGuesses, k.MaxGuesses)
		set(&c.codes.MaxPerHour, k.MaxPerHour)
		if n := c.codes.Length; n < 6 || n > 10 {
			return fmt.Errorf("a code has 6 to 10 digits, not %d", n)
		}
		return refuse(c.codes.CodeLife < 0 || c.codes.LinkLife < 0 || c.codes.MaxGuesses < 0 || c.codes.MaxPerHour < 0, "a life or budget is negative")
	})
}

// WithSecureEmailChange says whether the present address has to agree too before an
// account's address is changed. Default true.
func WithSecureEmailChange(on bool) Option {
	return named("WithSecureEmailChange", func(c *settings) error { c.secureChange = on; return nil })
}

// WithSMS sends messages to phones through s, and lets people sign up and sign in by
// their number; see [WithPhoneSignIn]. Give one of package sms's services, a function as
// [sms.Func], or a Sender of your own; a [sms.Checker] makes and checks the codes itself.
// Default: none.
func WithSMS(s sms.Sender) Option {
	return named("WithSMS", func(c *settings) error {
		c.sms, c.phones = s, true
		if v, ok := s.(interface{ Validate() error }); ok {
			return v.Validate()
		}
		return refuse(s == nil, "the sender is nil; give one like &sms.Twilio{...}")
	})
}

// WithPhoneSignIn says whether people sign up and sign in by the number of their phone.
// Without [WithSMS] and a public site the development inbox keeps the messages, see
// [Auth.DevInboxURL]; with one, New asks for what sends them. Default false, true after
// WithSMS and after [WithHooks] with [Hooks.SendSMS].
func WithPhoneSignIn(on bool) Option {
	return named("WithPhoneSignIn", func(c *settings) error { c.phones = on; return nil })
}

// WithSMSAutoConfirm takes the numbers of new accounts, and new numbers of others, as
// proved, without sending a message. Anybody can then take another's number. Default
// false.
func WithSMSAutoConfirm(on bool) Option {
	return named("WithSMSAutoConfirm", func(c *settings) error { c.smsAuto = on; return nil })
}

// WithSMSFrequency is how long a number waits between two messages of one kind, whether
// or not it has an account. Default 1 minute; zero or less: no wait.
func WithSMSFrequency(d time.Duration) Option {
	return named("WithSMSFrequency", func(c *settings) error { c.smsEvery = d; return nil })
}

// WithSMSCodes changes the length and the life of the codes in messages to phones. A
// service that makes the codes itself has its own.
func WithSMSCodes(k SMSCodes) Option {
	return named("WithSMSCodes", func(c *settings) error {
		set(&c.smsCodes.Length, k.Length)
		set(&c.smsCodes.Life, k.Life)
		if n := c.smsCodes.Length; n < 6 || n > 10 {
			return fmt.Errorf("a code has 6 to 10 digits, not %d", n)
		}
		return refuse(k.Life < 0, "the life is negative")
	})
}

// WithSMSTemplate is the text of messages to phones, a template of package text/template
// with the code as {{ .Code }}. Default "Your code is {{ .Code }}".
func WithSMSTemplate(source string) Option {
	return named("WithSMSTemplate", func(c *settings) error {
		c.smsTemplate = source
		_, err := text.ParseTemplate(source, 10)
		return err
	})
}

// WithSMSGuard says which numbers get messages, and how many: a message costs money, and
// there are people who are paid for what others send. Name the countries where your
// users are. Default: every country, without the ranges that are known to be expensive;
// 5 messages to a number in an hour, 10 in a day, and 10 in an hour to numbers that
// differ in their last four digits alone.
func WithSMSGuard(g sms.Guard) Option {
	return named("WithSMSGuard", func(c *settings) error { c.smsGuard = g; return g.Validate() })
}

// WithTestNumbers are numbers whose codes are known, for tests and for those who review
// an app: nothing is sent to them, and whoever knows the code has the account. A number
// has one code, however often it is there. They end at until; the zero time is never.
// Default: none.
func WithTestNumbers(codes map[string]string, until time.Time) Option {
	return named("WithTestNumbers", func(c *settings) error {
		if len(codes) == 0 {
			return errors.New("there is no number")
		}
		var err error
		c.testNumbers, err = text.TestNumbers(codes)
		c.testUntil = until
		return err
	})
}

// WithAutoConfirm takes the addresses of new accounts as proved and signs them in at
// once. Anybody can then make an account in another's name. Default false.
func WithAutoConfirm(on bool) Option {
	return named("WithAutoConfirm", func(c *settings) error { c.autoConfirm = on; return nil })
}

// WithSignUp says whether people may make accounts themselves. Invitations and
// administrators always can. Default true.
func WithSignUp(on bool) Option {
	return named("WithSignUp", func(c *settings) error { c.signUpOff = !on; return nil })
}

// WithEmailSignIn says whether people sign up, sign in and recover by email. Default
// true.
func WithEmailSignIn(on bool) Option {
	return named("WithEmailSignIn", func(c *settings) error { c.emailOff = !on; return nil })
}

// WithMagicLink says whether people sign in by a mailed link or code. Default true.
func WithMagicLink(on bool) Option {
	return named("WithMagicLink", func(c *settings) error { c.magicLinkOff = !on; return nil })
}

// WithUnconfirmedSignIn says whether people sign in by password before they have proved
// their address. Default false.
func WithUnconfirmedSignIn(on bool) Option {
	return named("WithUnconfirmedSignIn", func(c *settings) error { c.allowUnconfirmed = on; return nil })
}

// WithVisibleDuplicates answers a sign-up for an address that has a confirmed account
// with a user without identities, by which many clients of GoTrue tell people that they
// are registered already; so can anybody else learn it. It also refuses a sign-in code
// for an address without an account where none is to be made (otp_disabled,
// signup_disabled), as GoTrue does. Default: the answers are those for any other
// address, and the owner of one that signs up again gets a mail.
func WithVisibleDuplicates() Option {
	return named("WithVisibleDuplicates", func(c *settings) error { c.showDuplicates = true; return nil })
}

// WithProvider lets people sign in with an account that they have elsewhere, as in
//
//	auth.WithProvider(providers.Google(id, secret), providers.GitHub(id, secret))
//
// Register the external URL with "/callback" at its end as the redirect URL there.
// Default: none.
//
// Somebody comes into the account that has his identity; else into the one that has an
// address which both the provider and the account have verified. A new account is
// confirmed only if the provider vouches for its address, whatever [WithAutoConfirm]
// says. What was made in the name of a verified address before anybody had proved it
// (password, sessions) is gone when its owner comes, and he is told by mail.
//
// The way there and back is bound to the browser by a cookie, and takes five minutes at
// most.
func WithProvider(p ...providers.Provider) Option {
	return named("WithProvider", func(c *settings) error {
		for _, one := range p {
			if one == nil {
				return errors.New("a provider is nil")
			}
			if slices.ContainsFunc(c.providers, func(has providers.Provider) bool { return has.Name() == one.Name() }) {
				return fmt.Errorf("%q is given twice; one of them can answer", one.Name())
			}
			c.providers = append(c.providers, one)
		}
		return refuse(len(p) == 0, "there is no provider")
	})
}

// WithProviderCallback has a provider send browsers back to a URL of its own, as it is
// registered there. It has to lead to this service's "/callback", on the host where the
// browser began, which alone has its cookie. Default: the external URL with "/callback"
// at its end. A provider that [WithProvider] doesn't give is refused.
func WithProviderCallback(provider, target string) Option {
	return named("WithProviderCallback", func(c *settings) error {
		u, err := url.Parse(target)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.User != nil || u.Fragment != "" {
			return fmt.Errorf(`%q is no web address; give one like "https://app.example.com/auth/v1/callback"`, target)
		}
		if c.callbacks == nil {
			c.callbacks = map[string]string{}
		}
		c.callbacks[provider] = target
		return nil
	})
}

// WithUnprovedProviderSignIn lets people in with a provider that doesn't vouch for their
// address, before they have proved it by mail. The account and its tokens then name an
// address that may be another's; hosts that go by it must look at email_confirmed_at.
// Default false.
func WithUnprovedProviderSignIn(on bool) Option {
	return named("WithUnprovedProviderSignIn", func(c *settings) error { c.allowUnproved = on; return nil })
}

// WithManualLinking lets signed-in users link and unlink identities themselves. Pages of
// another origin than the external URL's need the PKCE flow to link: their browsers keep
// no cookie of ours. Default false.
func WithManualLinking(on bool) Option {
	return named("WithManualLinking", func(c *settings) error { c.linking = on; return nil })
}

// WithProviderLanding sends every browser that comes back from a provider to one URL,
// whatever was asked for. Default: to what was asked for, as far as it is allowed.
func WithProviderLanding(target string) Option {
	return named("WithProviderLanding", func(c *settings) error {
		c.landing = target
		u, err := url.Parse(target)
		return refuse(err != nil || u.Scheme == "" || u.User != nil, `%q is no URL; give one like "https://app.example.com/welcome"`, target)
	})
}

// WithJWTSecret signs access tokens with HS256 and a shared secret of at least 32 bytes.
// Default: an ES256 key that is generated and kept in the store.
func WithJWTSecret(secret []byte) Option {
	return named("WithJWTSecret", func(c *settings) error {
		c.secret = secret
		return refuse(len(secret) == 0, "the secret is empty; make one with: openssl rand -base64 48")
	})
}

// WithJWTSecretID is the key id that tokens signed by the secret carry. Default none.
func WithJWTSecretID(kid string) Option {
	return named("WithJWTSecretID", func(c *settings) error {
		c.secretID = kid
		return refuse(kid == "", "the id is empty; leave the option out for tokens without one")
	})
}

// WithInsecureShortSecret accepts a JWT secret under 32 bytes, which whoever holds one
// token can guess offline.
func WithInsecureShortSecret() Option {
	return named("WithInsecureShortSecret", func(c *settings) error { c.shortSecret = true; return nil })
}

// WithSigningKeys signs access tokens with the one of the keys that can sign, and
// accepts tokens of all of them. Default: a generated key, see [WithKeyAlgorithm].
func WithSigningKeys(keys ...tokens.Key) Option {
	return named("WithSigningKeys", func(c *settings) error {
		c.keys = append(c.keys, keys...)
		return refuse(len(keys) == 0, "there is no key")
	})
}

// WithKeyAlgorithm is what the generated key is for: tokens.ES256 (the default), RS256
// or EdDSA.
func WithKeyAlgorithm(alg string) Option {
	return named("WithKeyAlgorithm", func(c *settings) error {
		c.algorithm = alg
		return refuse(alg != tokens.ES256 && alg != tokens.RS256 && alg != tokens.EdDSA, "%q is none of ES256, RS256, EdDSA", alg)
	})
}

// WithValidMethods restricts the algorithms of accepted tokens. Default: those of the
// keys.
func WithValidMethods(algs ...string) Option {
	return named("WithValidMethods", func(c *settings) error {
		c.validMethods = algs
		for _, a := range algs {
			if a != tokens.HS256 && a != tokens.ES256 && a != tokens.RS256 && a != tokens.EdDSA {
				return fmt.Errorf("%q is none of HS256, ES256, RS256, EdDSA", a)
			}
		}
		return refuse(len(algs) == 0, "there is no algorithm, so no token could be accepted")
	})
}

// WithAccessTokenLifetime is how long an access token is good. Default 1 hour. Routes
// behind [Auth.RequireUser] trust it until then.
func WithAccessTokenLifetime(d time.Duration) Option {
	return named("WithAccessTokenLifetime", func(c *settings) error { c.lifetime = d; return refuse(d < time.Second, "%s is under a second", d) })
}

// WithAudience is the audience of new accounts and their tokens. Default
// "authenticated".
func WithAudience(aud string) Option {
	return named("WithAudience", func(c *settings) error { c.audience = aud; return refuse(aud == "", "the audience is empty") })
}

// WithAudiences lists further audiences, which a request names in the X-JWT-AUD header:
// each has accounts of its own. The middleware lets all of them through: where it
// matters, look at [User.Audience]. Default: none.
func WithAudiences(auds ...string) Option {
	return named("WithAudiences", func(c *settings) error {
		c.audiences = append(c.audiences, auds...)
		return refuse(slices.Contains(auds, ""), "an audience is empty")
	})
}

// WithDefaultRole is the role of new accounts. Default "authenticated".
func WithDefaultRole(role string) Option {
	return named("WithDefaultRole", func(c *settings) error { c.role = role; return refuse(role == "", "the role is empty") })
}

// WithAdminRoles are the roles whose tokens may use the administrator's routes. Default
// "service_role" and "supabase_admin".
func WithAdminRoles(roles ...string) Option {
	return named("WithAdminRoles", func(c *settings) error {
		c.adminRoles = roles
		return refuse(slices.Contains(roles, ""), "a role is empty; without any role nobody administers by token")
	})
}

// WithSelfAdminRole is the stored role that lets a user change his own app metadata.
// Default: none.
func WithSelfAdminRole(role string) Option {
	return named("WithSelfAdminRole", func(c *settings) error { c.selfAdminRole = role; return nil })
}

// WithEncryptionKey seals secrets in the database (signing keys, mails that wait) with a
// key of at least 32 random bytes; old keys still open what they sealed. Default: a key
// derived from the JWT secret, else the file FILE.key beside a SQLite database, else a
// key kept in the database itself, with a warning.
func WithEncryptionKey(current []byte, old ...[]byte) Option {
	return named("WithEncryptionKey", func(c *settings) error {
		c.sealKeys = append([][]byte{current}, old...)
		return refuse(len(current) < 32, "the key has %d bytes, at least 32 are needed; make one with: openssl rand -base64 32", len(current))
	})
}

// WithLostEncryptionKey is the way back when the encryption key is lost: signing keys
// that can't be opened are retired and a new one is made, so that everybody's access
// token ends; refresh tokens stay good, mails that wait are given up. Leave it out again
// afterwards: processes with different encryption keys would retire each other's keys.
func WithLostEncryptionKey() Option {
	return named("WithLostEncryptionKey", func(c *settings) error { c.lostKey = true; return nil })
}

// WithPasswordLength is the least length of a new password, in characters. Default 8.
func WithPasswordLength(least int) Option {
	return named("WithPasswordLength", func(c *settings) error {
		c.policy.MinLength = least
		return refuse(least < 1 || least > 72, "%d is not between 1 and 72", least)
	})
}

// WithPasswordCharacters demands one character of each set in a new password. Default:
// none, as NIST SP 800-63B advises.
func WithPasswordCharacters(sets ...string) Option {
	return named("WithPasswordCharacters", func(c *settings) error {
		c.policy.RequiredCharacters = sets
		return refuse(slices.Contains(sets, ""), "a set is empty, so no password could satisfy it")
	})
}

// WithoutCommonPasswordCheck lets people choose a password that is among the most common
// ones, or that is their own address or the site's name. Default: those are refused, as
// OWASP ASVS 6.2.4 asks; the list of 13,000 is part of the program. It is looked at when
// a password is chosen: who has such a one already is told at the sign-in, and let in.
func WithoutCommonPasswordCheck() Option {
	return named("WithoutCommonPasswordCheck", func(c *settings) error { c.policy.Common = false; return nil })
}

// WithLeakedPasswords asks c whether a new password has leaked, once it satisfies the
// rest of the policy, and refuses it if so; see [breach.NewHIBP] for one. Whoever signs
// in with a leaked password is told so and let in; c gets a second for that. While c
// can't tell, passwords pass, and the log says so once a minute; [WithLeakCheckRequired]
// refuses them. Default: nobody is asked.
func WithLeakedPasswords(c breach.Checker) Option {
	return named("WithLeakedPasswords", func(s *settings) error {
		s.leaked = c
		return refuse(c == nil, "the checker is nil; make one with breach.NewHIBP")
	})
}

// WithLeakCheckRequired refuses new passwords, as service_unavailable, while the checker
// of [WithLeakedPasswords] can't tell. Default: they pass.
func WithLeakCheckRequired() Option {
	return named("WithLeakCheckRequired", func(c *settings) error { c.leakCheckMust = true; return nil })
}

// WithNISTPasswords follows NIST SP 800-63B-4, section 3.1.1.2, where it differs from the
// defaults: at least 15 characters (8 would do beside a second factor, of which there is
// none in this version), no rules of composition, up to 256 characters counted as Unicode
// code points, normalized (NFKC) before they are hashed, and argon2id in the place of
// bcrypt, which would see 72 bytes only. It can't go with [WithPasswordCharacters],
// [WithBcrypt] or [WithoutCommonPasswordCheck], nor with less in [WithPasswordLength].
//
// Passwords that people have already keep working, whatever their length, hash or form.
// Leave the option on: without it, a password that isn't its own normal form can't be
// compared any more. Default: off.
func WithNISTPasswords() Option {
	return named("WithNISTPasswords", func(c *settings) error { c.nist = true; return nil })
}

// WithBcrypt hashes passwords with bcrypt at a cost of 4 to 15. It is the default, at
// cost 10. Passwords over 72 bytes are refused, never cut.
func WithBcrypt(cost int) Option {
	return named("WithBcrypt", func(c *settings) error {
		c.hasher.Algorithm, c.hasher.BcryptCost = password.Bcrypt, cost
		return refuse(cost < 4 || cost > 15, "a cost of %d is not between 4 and 15", cost)
	})
}

// WithArgon2id hashes passwords with argon2id (RFC 9106): memory in KiB, passes, lanes.
// OWASP's first choice is 19456, 2, 1. Hashes of weaker parameters, and bcrypt's, are
// replaced when their owners next sign in.
func WithArgon2id(memory, passes uint32, lanes uint8) Option {
	return named("WithArgon2id", func(c *settings) error {
		c.hasher.Algorithm = password.Argon2id
		c.hasher.Argon2Memory, c.hasher.Argon2Time, c.hasher.Argon2Threads = memory, passes, lanes
		return refuse(memory == 0 || passes == 0 || lanes == 0, "memory, passes and lanes must be above zero")
	})
}

// WithReauthentication asks for a mailed code before a password is changed in a session
// older than a day. Default false.
func WithReauthentication(on bool) Option {
	return named("WithReauthentication", func(c *settings) error { c.askNonce = on; return nil })
}

// WithCurrentPassword asks for the present password before it is changed, except in a
// session that began with a mailed code or link. Default false.
func WithCurrentPassword(on bool) Option {
	return named("WithCurrentPassword", func(c *settings) error { c.requireCurrent = on; return nil })
}

// WithSessionLimits ends sessions early. Default: they last until sign-out.
func WithSessionLimits(l SessionLimits) Option {
	return named("WithSessionLimits", func(c *settings) error {
		c.sessions = l
		return refuse(l.Timebox < 0 || l.Inactivity < 0, "a duration is negative")
	})
}

// WithRefreshReuse limits how long after a refresh token was used it still answers with
// its successor, so that clients that lost the answer heal. Default: until the successor
// is used itself. Older tokens end the session in any case.
func WithRefreshReuse(interval time.Duration) Option {
	return named("WithRefreshReuse", func(c *settings) error {
		c.reuseInterval = interval
		return refuse(interval < 0, "the interval is negative")
	})
}

// WithoutReuseDetection keeps a session alive when an old refresh token of it turns up,
// which means that somebody copied it. The old token itself is refused all the same.
func WithoutReuseDetection() Option {
	return named("WithoutReuseDetection", func(c *settings) error { c.keepFamily = true; return nil })
}

// WithLimiter counts rate limits in l, for example one that several servers share.
// Default: in the memory of this process.
func WithLimiter(l limit.Limiter) Option {
	return named("WithLimiter", func(c *settings) error {
		c.limiter, c.noLimits = l, false
		return refuse(l == nil, "the limiter is nil; see WithoutLimits")
	})
}

// WithLimits changes the rates of requests, mails and messages to phones.
func WithLimits(l Limits) Option {
	return named("WithLimits", func(c *settings) error {
		c.noLimits = false
		for _, r := range []limit.Rate{l.Token, l.Verify, l.OTP, l.Mails, l.Messages} {
			if r == (limit.Rate{}) {
				continue
			}
			if err := r.Validate(); err != nil {
				return err
			}
			if r.Never() && r != l.Mails && r != l.Messages {
				return errors.New("a rate of 0 lets nobody in; switch the feature off instead (WithEmailSignIn, WithSignUp)")
			}
		}
		for d, r := range doors(l) {
			if r != (limit.Rate{}) {
				c.doors[d] = r
			}
		}
		set(&c.mailQuota, l.Mails)
		set(&c.smsQuota, l.Messages)
		return nil
	})
}

// WithoutLimits limits no request by its address and neither mails nor messages to phones
// by their number. The budgets of codes stay, and so does what [WithSMSGuard] says.
func WithoutLimits() Option {
	return named("WithoutLimits", func(c *settings) error { c.noLimits = true; return nil })
}

// WithTrustedProxies are the networks of the proxies in front of the server: the client
// is the right-most address in X-Forwarded-For that is none of them. Default: none;
// then forwarding headers are ignored and private addresses aren't limited, as they may
// be a proxy's.
func WithTrustedProxies(networks ...netip.Prefix) Option {
	return named("WithTrustedProxies", func(c *settings) error {
		c.caller.TrustedProxies = append(c.caller.TrustedProxies, networks...)
		return refuse(slices.ContainsFunc(networks, func(p netip.Prefix) bool { return !p.IsValid() }),
			"a network is invalid; give one like netip.MustParsePrefix(\"10.0.0.0/8\")")
	})
}

// WithClientIPHeader names the header in which the proxies note the client's address.
// Default X-Forwarded-For. Without [WithTrustedProxies] it is believed whoever sends it:
// for servers that only their proxy can reach.
func WithClientIPHeader(name string) Option {
	return named("WithClientIPHeader", func(c *settings) error { c.caller.Header = name; return headerName(name) })
}

// WithRequestIDHeader adopts the request's id from a header. Default: ids are made.
func WithRequestIDHeader(name string) Option {
	return named("WithRequestIDHeader", func(c *settings) error { c.caller.RequestIDHeader = name; return headerName(name) })
}

// WithKeel changes settings of the Keel dialect, which answers beside GoTrue's under one
// base path. Default: it answers with Keel's own settings, but its access tokens live no
// longer than [WithAccessTokenLifetime] says.
func WithKeel(k Keel) Option {
	return named("WithKeel", func(c *settings) error {
		c.keel, c.keelGiven, c.keelOff = k, true, false
		return k.check()
	})
}

// WithoutKeel answers no request in the Keel dialect: everything under the base path is
// GoTrue's. Default: both answer.
func WithoutKeel() Option {
	return named("WithoutKeel", func(c *settings) error { c.keelOff = true; return nil })
}

// WithoutGoTrue answers no request in GoTrue's dialect: everything under the base path is
// Keel's, but for what no client calls: the links in mails (/verify), the published keys
// (/.well-known/jwks.json) and /health. Default: both answer.
func WithoutGoTrue() Option {
	return named("WithoutGoTrue", func(c *settings) error { c.gotrueOff = true; return nil })
}

// WithHooks adds steps of the host; a second WithHooks takes the place of the first.
// Default: none.
func WithHooks(h Hooks) Option {
	return named("WithHooks", func(c *settings) error {
		c.hooks = h
		c.phones = c.phones || h.SendSMS != nil
		return nil
	})
}

// WithCaptcha asks for the token of a captcha where somebody without a session asks for
// something costly: sign-up, sign-in by password, recovery, magic link, code and resend,
// in both dialects. GoTrue's clients send it as gotrue_meta_security.captcha_token, Keel's
// as the field captcha_token of the password grant. A request without a good token is
// refused, also while the service doesn't answer; one with an administrator's bearer needs
// none. See package captcha for the services. Default: none is asked for.
func WithCaptcha(v captcha.Verifier) Option {
	return named("WithCaptcha", func(c *settings) error {
		c.captcha = v
		if v, ok := v.(interface{ Validate() error }); ok {
			return v.Validate()
		}
		return refuse(v == nil, "the verifier is nil; pass a &captcha.HCaptcha{} or a &captcha.Turnstile{}")
	})
}

// WithHTTPHook asks a hook that runs elsewhere, behind HTTP or as a function of the
// PostgreSQL database, at a point where none of [WithHooks] is. It gets and answers JSON
// as GoTrue's hooks do; docs/hooks.md has the forms. A hook that can't be reached, takes
// too long or answers nonsense fails the request, which then has done nothing, but for
// [HookAfterUserCreated] and mails in the background, which are tried again. Default: none.
func WithHTTPHook(point HookPoint, h HTTPHook) Option {
	return named("WithHTTPHook", func(c *settings) error {
		if _, ok := point.wire(); !ok {
			return fmt.Errorf("%q is no point for hooks; give a constant like HookCustomAccessToken", point)
		}
		target, err := hookcall.ParseTarget(h.URI)
		if err != nil {
			return fmt.Errorf("%s: %w", point, err)
		}
		if _, twice := c.remote[point]; twice {
			return fmt.Errorf("%s: there is a hook for the point already", point)
		}
		if c.remote == nil {
			c.remote = map[HookPoint]remoteHook{}
		}
		c.remote[point] = remoteHook{h, target}
		c.phones = c.phones || point == HookSendSMS
		return refuse(h.Timeout < 0, "%s: the timeout is negative", point)
	})
}

// WithWebhook asks a webhook about sign-ups, sign-ins and changes of address while they
// happen, as the first GoTrue did. It refuses them or puts other metadata in the place of
// the user's. Whoever only wants to be told of what has happened uses events instead.
// Default: none.
func WithWebhook(w Webhook) Option {
	return named("WithWebhook", func(c *settings) error {
		if c.webhook != nil {
			return errors.New("there is a webhook already")
		}
		c.webhook = &w
		return refuse(w.Timeout < 0, "the timeout is negative")
	})
}

// WithInstanceID names this Auth, where a program has several, in what webhooks are told.
// Default: the nil UUID.
func WithInstanceID(id uuid.UUID) Option {
	return named("WithInstanceID", func(c *settings) error {
		c.instance = id
		return refuse(id == uuid.Nil, "the id is the nil UUID, which is the default")
	})
}

// WithEventWebhook tells a receiver what happens to accounts. Each event is written in the
// transaction of the change that it is about, with the user as that leaves him, and posted
// after its commit, until the receiver answers 2xx: at least once, with the same
// webhook-id each time, and those of one user in order. Given several times, each receiver
// gets its own. Default: nobody is told, and nothing is written for it.
func WithEventWebhook(w EventWebhook) Option {
	return named("WithEventWebhook", func(c *settings) error {
		if w.Name == "" {
			w.Name = "default"
		}
		if err := w.check(); err != nil {
			return err
		}
		for _, other := range c.webhooks {
			if other.Name == w.Name {
				return fmt.Errorf("the name %q is given twice; give each endpoint its own Name", w.Name)
			}
		}
		c.webhooks = append(c.webhooks, w)
		return nil
	})
}

// WithEventRetention is how long an event can be seen and sent again after it was
// delivered or given up, see [Auth.Webhooks]. Default 7 days.
func WithEventRetention(d time.Duration) Option {
	return named("WithEventRetention", func(c *settings) error { c.eventRetention = d; return positive(d) })
}

// WithAuditRetention deletes audit entries that are older. Default: they are kept.
func WithAuditRetention(d time.Duration) Option {
	return named("WithAuditRetention", func(c *settings) error { c.auditRetention = d; return positive(d) })
}

// WithoutAuditLog writes no audit entries. Those that are there stay. Default: every
// action on an account is written, in its own transaction.
func WithoutAuditLog() Option {
	return named("WithoutAuditLog", func(c *settings) error { c.auditOff = true; return nil })
}

// WithRequestTimeout bounds the time of one request. Default 10 seconds.
func WithRequestTimeout(d time.Duration) Option {
	return named("WithRequestTimeout", func(c *settings) error { c.maxDuration = d; return positive(d) })
}

// WithHTTPClient fetches what is fetched (mail templates, what identity providers say),
// and asks hooks and webhooks, with client. Default: clients of the library's own; those
// for providers, hooks and webhooks dial no loopback, private or link-local address, but
// where a provider is marked internal, or a hook or webhook allows it.
func WithHTTPClient(client *http.Client) Option {
	return named("WithHTTPClient", func(c *settings) error {
		c.renderer.Client, c.client = client, client
		return refuse(client == nil, "the client is nil")
	})
}

// WithClock gives the time. It is for tests. Default time.Now.
func WithClock(now func() time.Time) Option {
	return named("WithClock", func(c *settings) error { c.now = now; return refuse(now == nil, "the clock is nil") })
}

// WithLogger logs to l. No secret, token, password or code is ever logged. Default:
// nothing is logged.
func WithLogger(l *slog.Logger) Option {
	return named("WithLogger", func(c *settings) error { c.logger = l; return refuse(l == nil, "the logger is nil") })
}

// named puts the option's name in front of its error.
func named(name string, o Option) Option {
	return func(c *settings) error {
		if err := o(c); err != nil {
			return fmt.Errorf("auth: %s: %w", name, err)
		}
		return nil
	}
}

// set overwrites a default with a value that isn't zero.
func set[T comparable](field *T, value T) {
	var zero T
	if value != zero {
		*field = value
	}
}

func refuse(bad bool, format string, args ...any) error {
	if !bad {
		return nil
	}
	return fmt.Errorf(format, args...)
}

// headerName refuses what can't name a header (RFC 9110, 5.6.2).
func headerName(s string) error {
	valid := s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return r <= ' ' || r > '~' || strings.ContainsRune(`"(),/:;<=>?@[\]{}`, r)
	})
	return refuse(!valid, `%q is no name of a header; give one like "X-Forwarded-For"`, s)
}

func positive(d time.Duration) error { return refuse(d <= 0, "%s is not above zero", d) }

// webURL checks an absolute web URL and gives it without a slash at its end.
func webURL(raw string) (string, error) {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return "", fmt.Errorf(`%q is no web address; give one like "https://app.example.com"`, raw)
	}
	return strings.TrimSuffix(raw, "/"), nil
}
