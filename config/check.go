package config

import (
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/text/language"

	"github.com/truekeel/auth"
	"github.com/truekeel/auth/internal/redirect"
	"github.com/truekeel/auth/internal/user"
	"github.com/truekeel/auth/mail"
	"github.com/truekeel/auth/store/sqlstore"
	"github.com/truekeel/auth/tokens"
)

// settle applies the rules that GoTrue has for values out of range, and warns of what is
// dangerous.
func (c *Config) settle() []Warning {
	var out []Warning
	warn := func(key, text string, args ...any) {
		out = append(out, Warning{[]string{prefix + key}, fmt.Sprintf(text, args...)})
	}
	if n := c.Password.MinLength; n < 6 {
		c.Password.MinLength = 6
		warn("PASSWORD_MIN_LENGTH", "%d is taken as 6", n)
	}
	if n := c.Mailer.CodeLength; n < 6 || n > 10 {
		c.Mailer.CodeLength = 6
		warn("MAILER_OTP_LENGTH", "%d is not between 6 and 10 and taken as 6", n)
	}
	if c.shortSecret() {
		warn("JWT_SECRET", "it has %d bytes: whoever holds one token can guess it offline; make one of 32 bytes or more with: openssl rand -base64 48", len(c.JWT.Secret))
	}
	if c.dropsMail() && !c.Mailer.AutoConfirm {
		warn("SMTP_HOST", "it isn't set, so mails are dropped and nobody can confirm an address; set it and SMTP_ADMIN_EMAIL")
	}
	if c.Public() && c.API.ExternalURL == "" {
		warn("API_EXTERNAL_URL", "it isn't set; links in mails lead to the site's own host, with the path %s", c.API.BasePath)
	}
	c.settleProviders(warn)
	c.settlePhone(warn)
	c.settleHooks(warn)
	c.settleWebhook(warn)
	c.settleEvents(warn)
	c.settlePasswords(warn)
	out = append(out, c.keelOffWarnings()...)
	if c.Tracing.Enabled && c.Tracing.Port == 8126 {
		warn("TRACING_PORT", "8126 is where Datadog's agent takes a format of its own; traces are sent by OTLP over HTTP, which it takes at 4318 once that is switched on")
	}
	if n := len(c.Multi.OperatorToken); n > 0 && n < 32 {
		warn("OPERATOR_TOKEN", "it has %d bytes: whoever sees one signature can guess it offline; make one with: openssl rand -base64 48", n)
	}
	return out
}

// check finds what can't be right though each variable by itself is.
func (c *Config) check() []Finding {
	var out []Finding
	find := func(key, example, text string, args ...any) {
		out = append(out, Finding{prefix + key, fmt.Sprintf(text, args...), example})
	}
	c.checkServer(find)
	c.checkMail(find)
	c.checkPhone(find)
	c.checkDatabase(find)
	c.checkProviders(find)
	c.checkHooks(find)
	c.checkWebhook(find)
	c.checkEvents(find)
	c.checkPasswords(find)
	c.checkCaptcha(find)
	if c.JWT.KeyID != "" && c.JWT.Secret == "" {
		find("JWT_KEY_ID", "", "it is the id of a secret that isn't set; set GOTRUE_JWT_SECRET, or take it out")
	}
	if len(c.JWT.Keys) > 0 && c.JWT.Secret == "" && !slices.ContainsFunc(c.JWT.Keys, canSign) {
		find("JWT_KEYS", "", `no key can sign; one needs its private part and "key_ops": ["sign"]`)
	}
	if c.Multi.Enabled && c.Multi.OperatorToken == "" {
		find("OPERATOR_TOKEN", "$(openssl rand -base64 48)", "it is missing, and many instances need an operator")
	}
	if driver, _, err := c.DB.Resolve(); c.Multi.Enabled && err == nil && driver != SQLite && !c.Security.Encrypt {
		find("SECURITY_DATABASE_ENCRYPTION_ENCRYPT", "true", "it is off, and many instances in a database server need a key that isn't in it; "+
			"set it, and GOTRUE_SECURITY_DATABASE_ENCRYPTION_ENCRYPTION_KEY")
	}
	if len(c.JWT.AdminRoles) == 0 {
		find("JWT_ADMIN_ROLES", "service_role", "it holds no role")
	}
	if c.Security.Encrypt && len(c.Security.EncryptionKey) == 0 {
		find("SECURITY_DATABASE_ENCRYPTION_ENCRYPTION_KEY", "$(openssl rand -base64 32)", "it is missing, and SECURITY_DATABASE_ENCRYPTION_ENCRYPT is on")
	}
	return out
}

type finder func(key, example, text string, args ...any)

func (c *Config) checkServer(find finder) {
	if (c.API.TLSCert == "") != (c.API.TLSKey == "") {
		find("API_TLS_CERT", "", "it and GOTRUE_API_TLS_KEY belong together; set both or none")
	}
	site := c.SiteURL
	if site == "" {
		site = c.API.ExternalURL
	}
	if site == "" && len(c.URIAllowList) > 0 {
		find("URI_ALLOW_LIST", "", "it has no effect without GOTRUE_SITE_URL; set that")
	}
	for _, glob := range c.URIAllowList {
		if site == "" {
			break
		}
		if _, err := redirect.New(site, []string{glob}, redirect.Options{Logger: slog.New(slog.DiscardHandler)}); err != nil {
			find("URI_ALLOW_LIST", "https://*.example.com/**", "%s", trim(err, "redirect: "))
		}
	}
	if len(c.Mailer.ExternalHosts) > 0 && !c.placed() {
		find("MAILER_EXTERNAL_HOSTS", "", "the hosts share the path of GOTRUE_API_EXTERNAL_URL, which isn't set; set that")
	}
	for _, h := range c.Mailer.ExternalHosts {
		if u, err := url.Parse("https://" + h); err != nil || u.Host != h {
			find("MAILER_EXTERNAL_HOSTS", "auth.example.org", "%s is no host", shown(h))
		}
	}
	for _, o := range c.API.AllowedOrigins {
		if u, err := url.Parse(o); o != "*" && (err != nil || u.Host == "" || u.Path != "" || u.Scheme != "http" && u.Scheme != "https") {
			find("CORS_ALLOWED_ORIGINS", "https://app.example.com", "%s is no origin", shown(o))
		}
	}
	for key, names := range map[string][]string{
		"CORS_ALLOWED_HEADERS": c.API.AllowedHeaders, "API_REQUEST_ID_HEADER": {c.API.RequestIDHeader}, "RATE_LIMIT_HEADER": {c.Limits.Header},
	} {
		for _, n := range names {
			if strings.ContainsFunc(n, func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune(`"(),/:;<=>?@[\]{}`, r) }) {
				find(key, "X-Forwarded-For", "%s is no name of a header", shown(n))
			}
		}
	}
}

func (c *Config) checkMail(find finder) {
	s := c.SMTP
	if c.Mailer.AutoConfirm && c.Mailer.AllowUnverified {
		find("MAILER_ALLOW_UNVERIFIED_EMAIL_SIGN_INS", "false", "it and GOTRUE_MAILER_AUTOCONFIRM exclude each other")
	}
	switch {
	case s.Host == "":
	case s.AdminEmail == "":
		find("SMTP_ADMIN_EMAIL", "accounts@example.com", "it is missing, and GOTRUE_SMTP_HOST is set")
	case (s.User == "") != (s.Pass == ""):
		find("SMTP_USER", "", "it and GOTRUE_SMTP_PASS belong together; set both or none")
	default:
		if err := c.mailer().Validate(); err != nil {
			find(smtpKey(err), "", "%s", trim(err, "mail: "))
		}
	}
	for _, a := range c.EmailAddresses {
		if _, err := user.NormalizeEmail(a); err != nil {
			find("EXTERNAL_EMAIL_AUTHORIZED_ADDRESSES", "ada@example.com", "%s is no address", shown(a))
		}
	}
	if _, err := language.Parse(c.Mailer.Locale); err != nil {
		find("MAILER_LOCALE", "de", "%s is no language tag (BCP 47)", shown(c.Mailer.Locale))
		return
	}
	site := c.SiteURL
	if site == "" {
		site = c.API.ExternalURL
	}
	for _, k := range mailKinds() {
		t := c.template(k.Kind)
		if err := c.tryTemplate(k.Kind, mail.Template{Subject: t.Subject}); err != nil {
			find("MAILER_SUBJECTS_"+k.Key, k.Subject, "%s", trim(err, "mail: "))
		}
		// One at a URL isn't tried: that would fetch it.
		if err := c.tryTemplate(k.Kind, mail.Template{File: t.File}); err != nil {
			find("MAILER_TEMPLATES_"+k.Key, "", "%s", trim(err, "mail: "))
		}
		switch absolute := strings.HasPrefix(t.URL, "http://") || strings.HasPrefix(t.URL, "https://"); {
		case absolute:
			if u, err := url.Parse(t.URL); err != nil || u.Host == "" {
				find("MAILER_TEMPLATES_"+k.Key, "/mails/invite.html", "it is no web address")
			}
		case t.URL != "" && site == "":
			find("MAILER_TEMPLATES_"+k.Key, "https://app.example.com/mails/invite.html", "it is a path on a site that isn't set; set GOTRUE_SITE_URL, or give a whole URL")
		}
	}
}

// tryTemplate reports what is wrong with a template.
func (c *Config) tryTemplate(of mail.Kind, t mail.Template) error {
	if t == (mail.Template{}) {
		return nil
	}
	_, err := mail.NewRenderer(mail.RendererConfig{
		Locale: c.Mailer.Locale, MaxSize: c.Mailer.Fetch.MaxSize, Templates: map[mail.Kind]mail.Template{of: t},
	})
	return err
}

// smtpKey finds the variable that an error about the mail server is about.
func smtpKey(err error) string {
	for field, key := range map[string]string{
		"SMTP.From": "SMTP_ADMIN_EMAIL", "SMTP.TLS": "SMTP_TLS", "SMTP.Headers": "SMTP_HEADERS", "SMTP.Port": "SMTP_PORT",
	} {
		if strings.Contains(err.Error(), field) {
			return key
		}
	}
	return "SMTP_HOST"
}

func (c *Config) checkDatabase(find finder) {
	driver, _, err := c.DB.Resolve()
	if err != nil {
		find("DB_DATABASE_URL", "postgres://auth:secret@db.example.com/app", "%s", err)
		return
	}
	if n := c.DB.MaxPool; n == 1 && driver != SQLite {
		find("DB_MAX_POOL_SIZE", "20", "a migration takes two connections, so 1 is too few")
	}
	if c.DB.Namespace == "" {
		return
	}
	if err := sqlstore.CheckNamespace(c.DB.tablePrefix()); err != nil {
		find("DB_NAMESPACE", "auth", "%s", err)
	}
}

// dropsMail reports whether mails go nowhere: people reach the server from elsewhere and
// no mail server is set.
func (c *Config) dropsMail() bool {
	return c.SMTP.Host == "" && c.Public() && !c.Hooks.SendEmail.Enabled
}

func mailOptions(c *Config) []auth.Option {
	switch {
	case c.Hooks.SendEmail.Enabled:
		return nil
	case c.SMTP.Host != "":
		return options(auth.WithMailer(c.mailer()))
	case c.dropsMail():
		return options(auth.WithMailer(nowhere{}))
	}
	return nil
}

// nowhere drops mails, as GoTrue does without a mail server.
type nowhere struct{}

// Send does nothing.
func (nowhere) Send(context.Context, mail.Message) error { return nil }

// mailer is what sends mail.
func (c *Config) mailer() mail.SMTP {
	s := c.SMTP
	m := mail.SMTP{
		Host: s.Host, Port: int(s.Port), User: s.User, Password: s.Pass, From: s.AdminEmail, Name: s.SenderName, Headers: s.Headers,
		TLS: mail.TLSMode(s.TLS),
	}
	if s.TLS == "auto" {
		m.TLS = mail.TLSOpportunistic
		if s.Port == 465 {
			m.TLS = mail.TLSImplicit
		}
	}
	if u, err := url.Parse(c.externalURL()); err == nil {
		m.HELO = u.Hostname()
	}
	return m
}

func canSign(k tokens.Key) bool { return k.CanSign() }
