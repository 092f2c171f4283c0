package config_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/truekeel/auth/config"
)

func TestCaptcha(t *testing.T) {
	parse := func(env ...string) (*config.Config, error) {
		c, _, err := config.Parse(env)
		return c, err
	}
	c, err := parse("GOTRUE_SECURITY_CAPTCHA_ENABLED=true", "GOTRUE_SECURITY_CAPTCHA_SECRET= s3cret \n", "GOTRUE_SECURITY_CAPTCHA_PROVIDER=Turnstile", "GOTRUE_SECURITY_CAPTCHA_TIMEOUT=500ms")
	require.NoError(t, err)
	require.Equal(t, "s3cret", c.Captcha.Secret)
	require.Equal(t, "turnstile", c.Captcha.Provider)
	for want, env := range map[string][]string{
		"GOTRUE_SECURITY_CAPTCHA_SECRET: it is missing":         {"GOTRUE_SECURITY_CAPTCHA_ENABLED=true"},
		"GOTRUE_SECURITY_CAPTCHA_SECRET: it has spaces in it":   {"GOTRUE_SECURITY_CAPTCHA_ENABLED=true", "GOTRUE_SECURITY_CAPTCHA_SECRET=s3c ret"},
		`GOTRUE_SECURITY_CAPTCHA_PROVIDER: "recaptcha" is none`: {"GOTRUE_SECURITY_CAPTCHA_PROVIDER=recaptcha"},
		"GOTRUE_SECURITY_CAPTCHA_TIMEOUT: 0s is under":          {"GOTRUE_SECURITY_CAPTCHA_TIMEOUT=0"},
	} {
		_, err := parse(env...)
		require.ErrorContains(t, err, want)
		require.NotContains(t, err.Error(), "s3c")
	}
	_, err = parse("GOTRUE_SECURITY_CAPTCHA_PROVIDER=turnstile")
	require.NoError(t, err, "off, it needs no secret")
}
