package config

import (
	"errors"
	"strings"

	"github.com/truekeel/auth"
	"github.com/truekeel/auth/internal/hookcall"
	"github.com/truekeel/auth/internal/webhook"
)

// Hook is a hook that runs elsewhere.
type Hook struct {
	Enabled bool
	URI     string
	Secrets []string
}

// Hooks are the hooks that run elsewhere.
type Hooks struct {
	CustomAccessToken    Hook
	SendEmail            Hook
	SendSMS              Hook
	PasswordVerification Hook
	BeforeUserCreated    Hook
	AfterUserCreated     Hook
	AllowPrivate         bool
}

const hooksIntro = "Servers, or functions of a PostgreSQL database, that are asked at certain moments: [hooks.md](hooks.md).\n"

// hookPoint is a hook with the part of its keys that names it.
type hookPoint struct {
	key   string
	point auth.HookPoint
	at    func(c *Config) *Hook
	doc   string
}

func hookPoints() []hookPoint {
	return []hookPoint{
		{"CUSTOM_ACCESS_TOKEN", auth.HookCustomAccessToken, func(c *Config) *Hook { return &c.Hooks.CustomAccessToken }, "Ask a hook for further claims of every access token."},
		{"SEND_EMAIL", auth.HookSendEmail, func(c *Config) *Hook { return &c.Hooks.SendEmail }, "Let a hook send the mails, in place of the mail server."},
		{"SEND_SMS", auth.HookSendSMS, func(c *Config) *Hook { return &c.Hooks.SendSMS }, "Let a hook send the messages to phones, in place of SMS_PROVIDER."},
		{"PASSWORD_VERIFICATION_ATTEMPT", auth.HookPasswordVerification, func(c *Config) *Hook { return &c.Hooks.PasswordVerification }, "Tell a hook of every password that was compared; it may refuse."},
		{"BEFORE_USER_CREATED", auth.HookBeforeUserCreated, func(c *Config) *Hook { return &c.Hooks.BeforeUserCreated }, "Ask a hook before an account is made; it may refuse."},
		{"AFTER_USER_CREATED", auth.HookAfterUserCreated, func(c *Config) *Hook { return &c.Hooks.AfterUserCreated }, "Tell a hook of every account that was made, once it was."},
	}
}

func hookKeys() []entry {
	var out []entry
	for _, p := range hookPoints() {
		out = append(out, entry{
			name: "HOOK_" + p.key + "_ENABLED", def: "false", is: boolean(func(c *Config) *bool { return &p.at(c).Enabled }),
			doc: p.doc, with: p.option,
		}, entry{
			name: "HOOK_" + p.key + "_URI", secret: true, example: "https://example.com/hook", is: word(func(c *Config) *string { return &p.at(c).URI }),
			doc: "Where the hook is: an https URL, an http URL of localhost, 127.0.0.1, [::1] or host.docker.internal, or `pg-functions://postgres/SCHEMA/FUNCTION`.",
		}, entry{
			name: "HOOK_" + p.key + "_SECRETS", secret: true, example: "v1,whsec_$(openssl rand -base64 32)", is: parsed("list", parseSecrets, func(c *Config) *[]string { return &p.at(c).Secrets }),
			doc: "What requests are signed with, after Standard Webhooks: one secret, or several with `|` between them. Functions take none.",
		})
	}
	return append(out, entry{
		name: "HOOK_ALLOW_PRIVATE", own: true, def: "false", is: boolean(func(c *Config) *bool { return &c.Hooks.AllowPrivate }),
		doc: "Let the hosts of https URLs of hooks have addresses that aren't public.",
	})
}

// parseSecrets reads the secrets of a hook. Errors don't show them.
func parseSecrets(s string) ([]string, error) {
	list := webhook.SplitSecrets(s)
	if len(list) == 0 {
		return nil, nil
	}
	_, err := webhook.NewSigner(list...)
	return list, err
}

// option gives the hook if it is enabled.
func (p hookPoint) option(c *Config) []auth.Option {
	h := *p.at(c)
	silent := p.point == auth.HookSendSMS && !c.Phone.Enabled // the hook alone would switch phones on
	return when(h.Enabled && !silent, func() auth.Option {
		made := auth.HTTPHook{URI: h.URI, Secrets: h.Secrets, AllowPrivate: c.Hooks.AllowPrivate, InsecureUnsigned: true}
		if t, err := hookcall.ParseTarget(h.URI); err == nil && t.IsFunction() {
			made.Secrets = nil
		}
		return auth.WithHTTPHook(p.point, made)
	})
}

// checkHooks finds what is wrong with hooks that are enabled.
func (c *Config) checkHooks(find finder) {
	for _, p := range hookPoints() {
		h := *p.at(c)
		if !h.Enabled {
			continue
		}
		if err := c.checkHook(h); err != nil {
			find("HOOK_"+p.key+"_URI", "https://example.com/hook", "%s", err)
		}
	}
}

func (c *Config) checkHook(h Hook) error {
	if h.URI == "" {
		return errors.New("it is missing, and the hook is enabled")
	}
	target, err := hookcall.ParseTarget(h.URI)
	if err != nil {
		return err
	}
	if driver, _, err := c.DB.Resolve(); target.IsFunction() && (err != nil || driver != Postgres) {
		return hookcall.ErrNoFunctions
	}
	if !c.Hooks.AllowPrivate && !target.Reach.Names(target.Host()) {
		return errors.New("its host is no public address; set GOTRUE_HOOK_ALLOW_PRIVATE=true if that is meant")
	}
	return nil
}

// settleHooks warns of hooks that can't tell who calls them.
func (c *Config) settleHooks(warn func(key, text string, args ...any)) {
	for _, p := range hookPoints() {
		h := *p.at(c)
		if h.Enabled && len(h.Secrets) == 0 && !strings.HasPrefix(h.URI, "pg-functions:") {
			warn("HOOK_"+p.key+"_SECRETS", "it isn't set, so the hook can't tell this server from anybody else; make one with: "+
				`echo "v1,whsec_$(openssl rand -base64 32)"`)
		}
	}
}
