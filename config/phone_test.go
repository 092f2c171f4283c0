package config_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/truekeel/auth/config"
)

func TestPhone(t *testing.T) {
	c := parse(t, "GOTRUE_EXTERNAL_PHONE_ENABLED=true", "GOTRUE_SMS_PROVIDER=Twilio", "GOTRUE_SMS_TWILIO_ACCOUNT_SID= AC1 ", "GOTRUE_SMS_TWILIO_AUTH_TOKEN=t",
		"GOTRUE_SMS_TWILIO_MESSAGE_SERVICE_SID=MG1", "GOTRUE_SMS_TEST_OTP=+1 500 555 0100: 123456 ,15005550101:654321", "GOTRUE_SMS_TEST_OTP_VALID_UNTIL=2030-01-01T00:00:00Z")
	require.Equal(t, "AC1", c.Phone.Twilio.AccountSID)
	require.Equal(t, time.Minute, c.Phone.CodeLife)
	require.Equal(t, map[string]string{"+1 500 555 0100": "123456", "15005550101": "654321"}, c.Phone.Test)
	require.Equal(t, 2030, c.Phone.TestUntil.Year())

	for line, want := range map[string]string{
		"GOTRUE_SMS_PROVIDER=pigeon":                                 `"pigeon" is none of twilio`,
		"GOTRUE_SMS_TEMPLATE={{ .Code":                               "the template can't be read",
		"GOTRUE_SMS_TEMPLATE=Hello":                                  "{{ .Code }}",
		"GOTRUE_SMS_TEST_OTP=15005550100":                            "number:code",
		"GOTRUE_SMS_TEST_OTP=x:123456":                               "is no number",
		"GOTRUE_SMS_TEST_OTP=15005550100:12":                         "6 to 10 digits",
		"GOTRUE_SMS_TEST_OTP=+15005550100:123456,15005550100:654321": "has another code already",
		"GOTRUE_SMS_TEST_OTP=15005550100:123456,15005550100:654321":  "given twice",
		"GOTRUE_SMS_TEST_OTP_VALID_UNTIL=tomorrow":                   "RFC 3339",
		"GOTRUE_SMS_ALLOWED_COUNTRIES=DE,Atlantis":                   "is no country",
		"GOTRUE_SMS_DENIED_RANGES=0049":                              "is no range",
		"GOTRUE_SMS_OTP_EXP=0":                                       "is under",
		"GOTRUE_SMS_TWILIO_MESSAGE_SERVICE_SID=M\u0001G":             "can't be part of it",
	} {
		found := findings(t, "GOTRUE_EXTERNAL_PHONE_ENABLED=true", "GOTRUE_SMS_PROVIDER=twilio", "GOTRUE_SMS_TWILIO_ACCOUNT_SID=AC1",
			"GOTRUE_SMS_TWILIO_AUTH_TOKEN=t", "GOTRUE_SMS_TWILIO_MESSAGE_SERVICE_SID=MG1", line)
		require.Len(t, found, 1, line)
		require.Contains(t, found[0].String(), want, line)
	}
	require.Len(t, findings(t, "GOTRUE_EXTERNAL_PHONE_ENABLED=true", "GOTRUE_SMS_PROVIDER=twillio"), 1, "nobody asked for Twilio's variables")
	require.Len(t, findings(t, "GOTRUE_SMS_ALLOWED_COUNTRIES=Atlantis", "GOTRUE_SMS_DENIED_RANGES=0049"), 2)
	for provider, keys := range map[string][]string{
		"twilio":        {"TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN", "TWILIO_MESSAGE_SERVICE_SID"},
		"twilio_verify": {"TWILIO_VERIFY_ACCOUNT_SID", "TWILIO_VERIFY_AUTH_TOKEN", "TWILIO_VERIFY_MESSAGE_SERVICE_SID"},
		"messagebird":   {"MESSAGEBIRD_ACCESS_KEY", "MESSAGEBIRD_ORIGINATOR"},
		"textlocal":     {"TEXTLOCAL_API_KEY", "TEXTLOCAL_SENDER"},
		"vonage":        {"VONAGE_API_KEY", "VONAGE_API_SECRET", "VONAGE_FROM"},
	} {
		var missing []string
		for _, f := range findings(t, "GOTRUE_EXTERNAL_PHONE_ENABLED=true", "GOTRUE_SMS_PROVIDER="+provider) {
			missing = append(missing, f.Key[len("GOTRUE_SMS_"):])
			require.Contains(t, f.Problem, provider)
		}
		require.Equal(t, keys, missing)
	}
	parse(t, "GOTRUE_SMS_PROVIDER=vonage") // it isn't switched on
	parse(t, "GOTRUE_SMS_TEST_OTP=+15005550100:123456,15005550100:123456,15005550100:123456")
}

// A public server without a service starts, as GoTrue does, and says what is missing.
func TestPhoneWarnings(t *testing.T) {
	_, warnings, err := config.Parse([]string{"GOTRUE_SITE_URL=https://app.example.com", "GOTRUE_API_EXTERNAL_URL=https://app.example.com", "GOTRUE_MAILER_AUTOCONFIRM=true",
		"GOTRUE_EXTERNAL_PHONE_ENABLED=true", "GOTRUE_SMS_TEST_OTP=15005550100:123456"})
	require.NoError(t, err)
	require.Len(t, warnings, 2)
	require.Equal(t, []string{"GOTRUE_SMS_PROVIDER"}, warnings[0].Keys)
	require.Equal(t, []string{"GOTRUE_SMS_TEST_OTP"}, warnings[1].Keys)
}
