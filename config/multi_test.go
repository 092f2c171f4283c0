package config_test

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// What says who an instance is, and who hears of its accounts, it has of its own alone.
func TestWhatInstancesHaveOfTheServer(t *testing.T) {
	const hook, secret = "https://hook.example", "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
	c := parse(t, "GOTRUE_SITE_URL=https://operator.example", "API_EXTERNAL_URL=https://operator.example", "GOTRUE_URI_ALLOW_LIST=https://operator.example/**",
		"GOTRUE_JWT_SECRET=0123456789abcdef0123456789abcdef", "GOTRUE_JWT_AUD=operator", "GOTRUE_MAILER_EXTERNAL_HOSTS=operator.example",
		"GOTRUE_WEBHOOK_URL="+hook, "GOTRUE_WEBHOOK_EVENTS=login", "GOTRUE_EVENT_WEBHOOK_URL="+hook, "GOTRUE_EVENT_WEBHOOK_SECRETS="+secret,
		"GOTRUE_HOOK_SEND_EMAIL_ENABLED=true", "GOTRUE_HOOK_SEND_EMAIL_URI="+hook, "GOTRUE_HOOK_SEND_EMAIL_SECRETS=v1,"+secret,
		"GOTRUE_SECURITY_CAPTCHA_ENABLED=true", "GOTRUE_SECURITY_CAPTCHA_SECRET=s", "DATABASE_URL=operator.db", "DB_NAMESPACE=operator",
		"GOTRUE_SMTP_HOST=smtp.operator.example", "GOTRUE_SMTP_ADMIN_EMAIL=a@operator.example", "GOTRUE_PASSWORD_MIN_LENGTH=12", "REQUEST_ID_HEADER=X-Request-ID")
	one, _, err := c.Instance([]string{"GOTRUE_SITE_URL=https://one.example"})
	require.NoError(t, err)
	own := parse(t, "GOTRUE_SITE_URL=https://one.example")
	require.Equal(t, own.SiteURL, one.SiteURL)
	require.Empty(t, one.API.ExternalURL)
	require.Empty(t, one.URIAllowList)
	require.Equal(t, own.JWT, one.JWT)
	require.Empty(t, one.Mailer.ExternalHosts)
	require.Equal(t, own.Webhook, one.Webhook)
	require.Equal(t, own.Events, one.Events)
	require.Equal(t, own.Hooks, one.Hooks)
	require.Equal(t, own.Captcha, one.Captcha)
	require.Equal(t, own.DB, one.DB)
	require.Equal(t, c.SMTP, one.SMTP)
	require.Equal(t, 12, one.Password.MinLength)
	require.Equal(t, "X-Request-ID", one.API.RequestIDHeader)
}

func TestFindingsOfManyInstances(t *testing.T) {
	const on, token, encrypt = "GOTRUE_MULTIINSTANCEMODE=true", "GOTRUE_OPERATOR_TOKEN=0123456789abcdef0123456789abcdef", "GOTRUE_SECURITY_DATABASE_ENCRYPTION_ENCRYPT"
	fs := findings(t, on)
	require.Len(t, fs, 1)
	require.Equal(t, "GOTRUE_OPERATOR_TOKEN", fs[0].Key)
	for _, database := range []string{"DATABASE_URL=postgres://localhost/x", "DATABASE_URL=mysql://localhost/x"} {
		fs = findings(t, on, token, database)
		require.Len(t, fs, 1)
		require.Equal(t, encrypt, fs[0].Key)
		parse(t, on, token, database, encrypt+"=true", encrypt+"ION_KEY=MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY")
		parse(t, database)
	}
	parse(t, on, token)
}
