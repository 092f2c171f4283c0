package config

import (
	"time"

	"github.com/truekeel/auth"
	"github.com/truekeel/auth/captcha"
)

// Captcha says which service tells people and programs apart.
type Captcha struct {
	Enabled  bool
	Provider string // "hcaptcha" or "turnstile"
	Secret   string
	Timeout  time.Duration
}

const (
	hCaptcha  = "hcaptcha"
	turnstile = "turnstile"
)

const captchaIntro = "Who is asked for a captcha, and where clients put its token: [captcha.md](captcha.md).\n"

func captchaKeys() []entry {
	return []entry{
		{
			name: "SECURITY_CAPTCHA_ENABLED", def: "false", example: "true", is: boolean(func(c *Config) *bool { return &c.Captcha.Enabled }),
			doc:  "Ask for the token of a captcha at sign-up, sign-in by password, recovery, magic link, code and resend.",
			with: func(c *Config) []auth.Option { return when(c.Captcha.Enabled, c.captchaOption) },
		},
		{
			name: "SECURITY_CAPTCHA_PROVIDER", def: hCaptcha, example: turnstile, is: choice(func(c *Config) *string { return &c.Captcha.Provider }, hCaptcha, turnstile),
			doc: "The service that is asked.",
		},
		{
			name: "SECURITY_CAPTCHA_SECRET", secret: true, example: "$(cat captcha.secret)", is: word(func(c *Config) *string { return &c.Captcha.Secret }),
			doc: "The secret key that the service shows. Required where the captcha is on.",
		},
		{
			name: "SECURITY_CAPTCHA_TIMEOUT", def: "10", example: "5s", is: duration(time.Millisecond, func(c *Config) *time.Duration { return &c.Captcha.Timeout }),
			doc: "How long the service may take to answer. Without an answer the request is refused.",
		},
	}
}

// verifier is the service that was chosen.
func (c *Config) verifier() captcha.Verifier {
	if c.Captcha.Provider == turnstile {
		return &captcha.Turnstile{Secret: c.Captcha.Secret, Timeout: c.Captcha.Timeout}
	}
	return &captcha.HCaptcha{Secret: c.Captcha.Secret, Timeout: c.Captcha.Timeout}
}

func (c *Config) captchaOption() auth.Option { return auth.WithCaptcha(c.verifier()) }

func (c *Config) checkCaptcha(find finder) {
	const key, example = "SECURITY_CAPTCHA_SECRET", "$(cat captcha.secret)"
	if !c.Captcha.Enabled {
		return
	}
	if c.Captcha.Secret == "" {
		find(key, example, "it is missing, and SECURITY_CAPTCHA_ENABLED is on")
		return
	}
	if v, ok := c.verifier().(interface{ Validate() error }); ok && v.Validate() != nil {
		find(key, example, "it has spaces in it; copy it again")
	}
}
