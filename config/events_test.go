package config_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/truekeel/auth/config"
)

func TestEvents(t *testing.T) {
	const url, secrets = "GOTRUE_EVENT_WEBHOOK_URL=https://app.example.com/events", "GOTRUE_EVENT_WEBHOOK_SECRETS="
	const one, two = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", "whsec_Hx4dHBsaGRgXFhUUExIREA8ODQwLCgkIBwYFBAMCAQA="
	for _, list := range []string{one + "," + two, one + ", " + two, one + "|" + two, "v1," + one + "|v1," + two, "v1," + one + ",v1," + two} {
		require.Equal(t, []string{one, two}, parse(t, url, secrets+list).Events.Secrets, list)
	}
	for line, want := range map[string]string{
		"GOTRUE_EVENT_WEBHOOK_URL=app.example.com/events":        "no web address",
		"GOTRUE_EVENT_WEBHOOK_URL=ftp://app.example.com/events":  "no web address",
		"GOTRUE_EVENT_WEBHOOK_URL=http://app.example.com/events": "GOTRUE_EVENT_WEBHOOK_ALLOW_PRIVATE=true",
		"GOTRUE_EVENT_WEBHOOK_URL=https://10.0.0.1/events":       "its host is no public address",
		secrets:                    "it is missing, and GOTRUE_EVENT_WEBHOOK_URL is set",
		secrets + "short":          `the form "whsec_<base64>"`,
		secrets + "whsec_c2hvcnQ=": "8 characters",
		"GOTRUE_EVENT_WEBHOOK_EVENTS=user.creatd":         `"user.creatd" is none of user.created user.invited`,
		"GOTRUE_EVENT_WEBHOOK_EVENTS=user.created,signup": `"signup" is none of`,
	} {
		found := findings(t, url, secrets+one, line)
		require.Len(t, found, 1, line)
		require.Contains(t, found[0].String(), want, line)
	}
	for line, key := range map[string]string{
		secrets + one:                  "GOTRUE_EVENT_WEBHOOK_URL",
		"GOTRUE_WEBHOOK_EVENTS=signup": "GOTRUE_WEBHOOK_URL",
	} {
		_, warnings, err := config.Parse([]string{line})
		require.NoError(t, err)
		require.Len(t, warnings, 1, line)
		require.Contains(t, warnings[0].Keys, key)
	}
}
