package config_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/truekeel/auth"
	"github.com/truekeel/auth/config"
	"github.com/truekeel/auth/providers"
)

// vars are the variables of a provider: end, value, end, value, ...
func vars(provider string, pairs ...string) []string {
	out := []string{"GOTRUE_EXTERNAL_" + provider + "_ENABLED=true"}
	for i := 0; i < len(pairs); i += 2 {
		out = append(out, "GOTRUE_EXTERNAL_"+provider+"_"+pairs[i]+"="+pairs[i+1])
	}
	return out
}

// TestEveryProviderByItsVariables: with what it needs each can be built, and the library
// takes all of them at once.
func TestEveryProviderByItsVariables(t *testing.T) {
	env := []string{"DATABASE_URL=" + t.TempDir() + "/auth.db", "GOTRUE_SITE_URL=https://app.example.com"}
	for _, name := range append(providers.Names(), "my_corp") {
		one := vars(strings.ToUpper(name), "CLIENT_ID", "one,two", "SECRET", "s")
		switch name {
		case "keycloak", "gitea", "mastodon":
			one = append(one, vars(strings.ToUpper(name), "URL", "https://id.example.com")...)
		case "auth0", "cognito", "okta", "my_corp":
			one = append(one, vars(strings.ToUpper(name), "ISSUER", "https://id.example.com/")...)
		}
		c := parse(t, one...)
		require.Equal(t, []string{"one", "two"}, c.Providers[name].ClientIDs)
		p, err := c.Provider(name)
		require.NoError(t, err)
		require.Equal(t, name, p.Name())
		env = append(env, one...)
	}
	c := parse(t, env...)
	require.Equal(t, "https://id.example.com/", c.Providers["my_corp"].Issuer, "an issuer is what it spells itself")
	a, err := auth.New(c.Options()...)
	require.NoError(t, err)
	require.NoError(t, a.Close(t.Context()))
}

func TestProvidersThatAreOff(t *testing.T) {
	c := parse(t, "GOTRUE_EXTERNAL_KEYCLOAK_ENABLED=false", "GOTRUE_EXTERNAL_GITHUB_CLIENT_ID=x", "GOTRUE_EXTERNAL_GITHUB_SECRET=")
	for _, name := range []string{"keycloak", "github", "google"} {
		_, err := c.Provider(name)
		require.ErrorIs(t, err, providers.ErrUnknown, "%s isn't asked for what it needs", name)
	}
}

func TestFindingsOfProviders(t *testing.T) {
	const secret = "hunter2"
	for _, c := range []struct {
		provider string
		pairs    []string
		key      string
		problem  string
	}{
		{"GITHUB", nil, "CLIENT_ID", "missing"},
		{"GITHUB", []string{"CLIENT_ID", " , "}, "CLIENT_ID", "missing"},
		{"KEYCLOAK", []string{"CLIENT_ID", "x"}, "URL", "URL is missing"},
		{"MASTODON", []string{"CLIENT_ID", "x"}, "URL", "URL is missing"},
		{"OKTA", []string{"CLIENT_ID", "x"}, "ISSUER", "issuer is missing"},
		{"OKTA", []string{"CLIENT_ID", "x", "ISSUER", "okta"}, "ISSUER", "no web address"},
		{"GITLAB", []string{"CLIENT_ID", "x", "URL", "http://gitlab.lan"}, "URL", "GOTRUE_EXTERNAL_GITLAB_INTERNAL=true"},
		{"MYCORP", []string{"CLIENT_ID", "x", "ISSUER", "http://id.lan"}, "ISSUER", "GOTRUE_EXTERNAL_MYCORP_INTERNAL=true"},
		{"APPLE", []string{"CLIENT_ID", "x", "PRIVATE_KEY", secret}, "PRIVATE_KEY", "PEM"},
		{"GOOGLE", []string{"CLIENT_ID", "x", "REDIRECT_URI", "/callback"}, "REDIRECT_URI", "no web address"},
		{"GOOGLE", []string{"CLIENT_ID", "x", "PKCE", "maybe"}, "PKCE", "neither true nor false"},
	} {
		fs := findings(t, vars(c.provider, append(c.pairs, "SECRET", secret)...)...)
		require.Len(t, fs, 1, c.pairs)
		require.Equal(t, "GOTRUE_EXTERNAL_"+c.provider+"_"+c.key, fs[0].Key)
		require.Contains(t, fs[0].Problem, c.problem)
		require.NotContains(t, fs[0].String(), secret)
	}
}

func TestWarningsOfProviders(t *testing.T) {
	place := []string{"API_EXTERNAL_URL=https://auth.example.com", "GOTRUE_MAILER_EXTERNAL_HOSTS=login.example.com", "GOTRUE_MAILER_AUTOCONFIRM=true"}
	for _, c := range []struct {
		pairs     []string
		key, text string // "" for none
	}{
		{[]string{"SECRET", "s"}, "", ""},
		{nil, "SECRET", "refuse sign-in"},
		{[]string{"SECRET", "s", "REDIRECT_URI", "https://auth.example.com/callback"}, "", ""},
		{[]string{"SECRET", "s", "REDIRECT_URI", "https://login.example.com/callback"}, "", ""},
		{[]string{"SECRET", "s", "REDIRECT_URI", "https://elsewhere.example.com/callback"}, "REDIRECT_URI", "GOTRUE_API_EXTERNAL_URL"},
		{[]string{"SECRET", "s", "SKIP_NONCE_CHECK", "true"}, "SKIP_NONCE_CHECK", "stolen"},
		{[]string{"SECRET", "s", "API_URL", "https://api.example.com"}, "API_URL", "not supported"},
	} {
		_, warnings, err := config.Parse(append(vars("GITHUB", append(c.pairs, "CLIENT_ID", "x")...), place...))
		require.NoError(t, err)
		if c.key == "" {
			require.Empty(t, warnings)
			continue
		}
		require.Len(t, warnings, 1, c.pairs)
		require.Equal(t, []string{"GOTRUE_EXTERNAL_GITHUB_" + c.key}, warnings[0].Keys)
		require.Contains(t, warnings[0].Text, c.text)
	}
}

// TestURLsOfProvidersThatHaveNoOther: what moves nothing is warned of.
func TestURLsOfProvidersThatHaveNoOther(t *testing.T) {
	for _, name := range []string{"APPLE", "GOOGLE", "LINE"} {
		_, warnings, err := config.Parse(vars(name, "CLIENT_ID", "x", "SECRET", "s", "URL", "https://id.example.com"))
		require.NoError(t, err)
		require.Len(t, warnings, 1, name)
		require.Equal(t, []string{"GOTRUE_EXTERNAL_" + name + "_URL"}, warnings[0].Keys)
	}
}

// TestNamesThatNoProviderHas: what is a variable of something else isn't a provider's.
func TestNamesThatNoProviderHas(t *testing.T) {
	for _, name := range []string{"EMAIL", "PHONE", "SAML", "EMAIL_MAGIC_LINK", "ANONYMOUS_USERS", "acme", "A-B", ""} {
		c, warnings, err := config.Parse(vars(name, "ISSUER", "https://id.example.com", "CLIENT_ID", "x", "SECRET", "s"))
		require.NoError(t, err)
		require.Empty(t, c.Providers, name)
		require.NotEmpty(t, warnings, name)
	}
}

func TestBundlesOfAppleApps(t *testing.T) {
	env := append(vars("APPLE", "SECRET", "s"), "GOTRUE_EXTERNAL_IOS_BUNDLE_ID=com.example.app")
	_, err := parse(t, env...).Provider("apple")
	require.NoError(t, err, "an app's id is enough for id tokens")
}

func TestInstancesHaveTheServersProvidersAndTheirOwn(t *testing.T) {
	c := parse(t, append(vars("GITHUB", "CLIENT_ID", "x", "SECRET", "s"), vars("GOOGLE", "CLIENT_ID", "x", "SECRET", "s")...)...)
	one, _, err := c.Instance(append(vars("GITLAB", "CLIENT_ID", "y", "SECRET", "s"), "GOTRUE_EXTERNAL_GITHUB_CLIENT_ID=y", "GOTRUE_EXTERNAL_GOOGLE_ENABLED=false"))
	require.NoError(t, err)
	require.Equal(t, []string{"y"}, one.Providers["github"].ClientIDs)
	require.True(t, one.Providers["gitlab"].Enabled)
	require.False(t, one.Providers["google"].Enabled)
}
