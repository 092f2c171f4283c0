package config_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/truekeel/auth"
	"github.com/truekeel/auth/config"
)

func TestFindingsOfPasswords(t *testing.T) {
	for want, env := range map[string][]string{
		"GOTRUE_PASSWORD_MIN_LENGTH: 10 is less than GOTRUE_PASSWORD_NIST asks for; for example GOTRUE_PASSWORD_MIN_LENGTH=15":                                                                {"GOTRUE_PASSWORD_NIST=true", "GOTRUE_PASSWORD_MIN_LENGTH=10"},
		"GOTRUE_PASSWORD_REQUIRED_CHARACTERS: GOTRUE_PASSWORD_NIST allows no rules of composition; take one of them out":                                                                      {"GOTRUE_PASSWORD_NIST=true", "GOTRUE_PASSWORD_REQUIRED_CHARACTERS=abc"},
		"GOTRUE_PASSWORD_HASH: GOTRUE_PASSWORD_NIST needs argon2id: bcrypt sees no more than 72 bytes; for example GOTRUE_PASSWORD_HASH=argon2id":                                             {"GOTRUE_PASSWORD_NIST=true", "GOTRUE_PASSWORD_HASH=bcrypt"},
		"GOTRUE_PASSWORD_COMMON_REJECTED: GOTRUE_PASSWORD_NIST asks for it; for example GOTRUE_PASSWORD_COMMON_REJECTED=true":                                                                 {"GOTRUE_PASSWORD_NIST=true", "GOTRUE_PASSWORD_COMMON_REJECTED=false"},
		`GOTRUE_PASSWORD_HIBP_BLOOM_FALSE_POSITIVES: "1" is no number between 0 and 1; for example GOTRUE_PASSWORD_HIBP_BLOOM_FALSE_POSITIVES=0.0000099`:                                      {"GOTRUE_PASSWORD_HIBP_BLOOM_FALSE_POSITIVES=1"},
		`GOTRUE_PASSWORD_HIBP_BLOOM_FALSE_POSITIVES: "NaN" is no number between 0 and 1; for example GOTRUE_PASSWORD_HIBP_BLOOM_FALSE_POSITIVES=0.0000099`:                                    {"GOTRUE_PASSWORD_HIBP_BLOOM_FALSE_POSITIVES=NaN"},
		`GOTRUE_PASSWORD_HIBP_USER_AGENT: UserAgent has characters that a header can't have; give letters, digits and punctuation; for example GOTRUE_PASSWORD_HIBP_USER_AGENT=acme accounts`: {"GOTRUE_PASSWORD_HIBP_ENABLED=true", "GOTRUE_PASSWORD_HIBP_USER_AGENT=Ä"},
	} {
		_, _, err := config.Parse(env)
		var wrong *config.Error
		require.ErrorAs(t, err, &wrong)
		require.Len(t, wrong.Findings, 1)
		require.Equal(t, want, wrong.Findings[0].String())
	}
}

// What the variables say is something that the library takes.
func TestPasswordOptions(t *testing.T) {
	for name, env := range map[string][]string{
		"NIST":      {"GOTRUE_PASSWORD_NIST=true"},
		"NIST long": {"GOTRUE_PASSWORD_NIST=true", "GOTRUE_PASSWORD_MIN_LENGTH=20", "GOTRUE_PASSWORD_HASH=argon2id", "GOTRUE_PASSWORD_COMMON_REJECTED=true"},
		"leaks":     {"GOTRUE_PASSWORD_HIBP_ENABLED=true", "GOTRUE_PASSWORD_HIBP_FAIL_CLOSED=true", "GOTRUE_PASSWORD_HIBP_BLOOM_ENABLED=true"},
	} {
		t.Run(name, func(t *testing.T) {
			c, warnings, err := config.Parse(append(env, "DATABASE_URL="+t.TempDir()+"/auth.db"))
			require.NoError(t, err)
			require.Empty(t, warnings)
			a, err := auth.New(c.Options()...)
			require.NoError(t, err)
			require.NoError(t, a.Close(t.Context()))
		})
	}
}

func TestWarningsOfPasswords(t *testing.T) {
	_, warnings, err := config.Parse([]string{"GOTRUE_PASSWORD_HIBP_FAIL_CLOSED=true", "GOTRUE_PASSWORD_HIBP_BLOOM_ENABLED=false", "GOTRUE_PASSWORD_HIBP_BLOOM_ITEMS=100000"})
	require.NoError(t, err)
	require.Equal(t, []config.Warning{{Keys: []string{"GOTRUE_PASSWORD_HIBP_FAIL_CLOSED"}, Text: "it has no effect without GOTRUE_PASSWORD_HIBP_ENABLED"}}, warnings)
}

func TestWarningOfKeelThatIsOff(t *testing.T) {
	_, warnings, err := config.Parse([]string{"GOTRUE_KEEL_ISSUER=x", "GOTRUE_KEEL_REDIRECT_URL=https://app.example.com/in"})
	require.NoError(t, err)
	require.Len(t, warnings, 1)
	require.Equal(t, []string{"GOTRUE_KEEL_REDIRECT_URL", "GOTRUE_KEEL_ISSUER"}, warnings[0].Keys)
	require.Contains(t, warnings[0].Text, "GOTRUE_KEEL_ENABLED=true")
	require.True(t, warnings[0].AboutKeelOff())
	for _, env := range [][]string{{"GOTRUE_KEEL_ENABLED=true", "GOTRUE_KEEL_ISSUER=x"}, {"GOTRUE_KEEL_ENABLED=false"}, nil} {
		_, warnings, err := config.Parse(env)
		require.NoError(t, err)
		require.Empty(t, warnings)
	}
}
