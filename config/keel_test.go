package config_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/truekeel/auth"
	"github.com/truekeel/auth/config"
)

const keelWhole = `
environment: {default: [{name: X, value: y}]}
auth:
  redirectUrl: https://app.example.com/signed-in?from=keel
  tokens:
    accessTokenExpiry: 3600
    refreshTokenExpiry: 604_800
    refreshTokenRotationEnabled: false
  providers:
    - type: google
      name: google
      clientId: id-1
    - &acme
      type: oidc
      name: Acme_2
      clientId: "2"
      issuerUrl: https://login.acme.example/
      scopes: [email, "team"]
  claims:
    - {key: https://example.com/team, field: team}
    - {key: plan, field: plan, unique: false}
`

func TestKeelconfig(t *testing.T) {
	f, warnings, err := config.ParseKeel([]byte(keelWhole))
	require.NoError(t, err)
	require.Empty(t, warnings)
	require.Equal(t, &config.KeelFile{
		RedirectURL: "https://app.example.com/signed-in?from=keel", AccessTokenExpiry: time.Hour, RefreshTokenExpiry: 7 * 24 * time.Hour, KeepRefreshToken: true,
		Providers: []auth.KeelProvider{
			{Type: "google", Name: "google", ClientID: "id-1"},
			{Type: "oidc", Name: "Acme_2", ClientID: "2", IssuerURL: "https://login.acme.example/", Scopes: []string{"email", "team"}},
		},
		Claims: map[string]string{"https://example.com/team": "team", "plan": "plan"},
	}, f)
}

func keelFindings(t *testing.T, text string) []config.Finding {
	t.Helper()
	f, _, err := config.ParseKeel([]byte(text))
	require.Nil(t, f, text)
	var wrong *config.Error
	require.ErrorAs(t, err, &wrong, text)
	return wrong.Findings
}

// provider is a file with one provider.
func oneProvider(fields string) string { return "auth: {providers: [{" + fields + "}]}" }

func TestWhatAKeelconfigCannotHold(t *testing.T) {
	const good = "type: oidc, name: acme, clientId: x, issuerUrl: 'https://a.example'"
	for _, c := range []struct{ text, key, problem string }{
		{"auth: {provider: []}", "auth.provider", "no such key"},
		{"auth: {<<: {tokens: {}}}", "auth.<<", "no such key"},
		{"auth: {tokens: {expiry: 1}}", "auth.tokens.expiry", "no such key"},
		{"auth: {redirectUrl: 'b:c', redirectUrl: 'https://a.example'}", "auth.redirectUrl", "given twice"},
		{"auth: []", "auth", "no mapping"},
		{"- auth", "keelconfig.yaml", "no mapping"},
		{"auth: {tokens: 1}", "auth.tokens", "no mapping"},
		{"auth: {tokens: {accessTokenExpiry: 0}}", "auth.tokens.accessTokenExpiry", "under 1"},
		{"auth: {tokens: {accessTokenExpiry: -5}}", "auth.tokens.accessTokenExpiry", "under 1"},
		{"auth: {tokens: {accessTokenExpiry: '60'}}", "auth.tokens.accessTokenExpiry", "no whole number"},
		{"auth: {tokens: {accessTokenExpiry: 1.5}}", "auth.tokens.accessTokenExpiry", "no whole number"},
		{"auth: {tokens: {accessTokenExpiry: [1]}}", "auth.tokens.accessTokenExpiry", "no whole number"},
		{"auth: {tokens: {refreshTokenExpiry: 9999999999999}}", "auth.tokens.refreshTokenExpiry", "too many"},
		{"auth: {tokens: {refreshTokenExpiry: 18446744073709551615}}", "auth.tokens.refreshTokenExpiry", "too many"},
		{"auth: {tokens: {refreshTokenRotationEnabled: 'true'}}", "auth.tokens.refreshTokenRotationEnabled", "neither true nor false"},
		{"auth: {redirectUrl: /signed-in}", "auth.redirectUrl", "no URL"},
		{"auth: {redirectUrl: 'https:'}", "auth.redirectUrl", "no URL"},
		{"auth: {redirectUrl: 5}", "auth.redirectUrl", "no text"},
		{"auth: {providers: {type: google}}", "auth.providers", "no list"},
		{"auth: {providers: [google]}", "auth.providers[0]", "no mapping"},
		{oneProvider("name: acme, clientId: x"), "auth.providers[0].type", "missing"},
		{oneProvider("type: oauth, name: acme, clientId: x"), "auth.providers[0].type", "none of google"},
		{oneProvider("type: Google, name: acme, clientId: x"), "auth.providers[0].type", "none of google"},
		{oneProvider("type: google, clientId: x"), "auth.providers[0].name", "missing"},
		{oneProvider("type: google, name: a, clientId: x"), "auth.providers[0].name", "no name"},
		{oneProvider("type: google, name: my-oidc, clientId: x"), "auth.providers[0].name", "no name"},
		{oneProvider("type: google, name: 1st, clientId: x"), "auth.providers[0].name", "no name"},
		{oneProvider("type: google, name: \"acme\\n\", clientId: x"), "auth.providers[0].name", "no name"},
		{oneProvider("type: google, name: keel_x, clientId: x"), "auth.providers[0].name", "keel_"},
		{oneProvider("type: google, name: KeEl_x, clientId: x"), "auth.providers[0].name", "keel_"},
		{oneProvider("type: google, name: acme"), "auth.providers[0].clientId", "missing"},
		{oneProvider("type: google, name: acme, clientId: null"), "auth.providers[0].clientId", "missing"},
		{oneProvider("type: google, name: acme, clientId: ''"), "auth.providers[0].clientId", "empty"},
		{oneProvider("type: google, name: acme, clientId: 12"), "auth.providers[0].clientId", "quotes"},
		{oneProvider("type: oidc, name: acme, clientId: x"), "auth.providers[0].issuerUrl", "missing"},
		{oneProvider("type: oidc, name: acme, clientId: x, issuerUrl: ''"), "auth.providers[0].issuerUrl", "https://"},
		{oneProvider("type: oidc, name: acme, clientId: x, issuerUrl: 'http://a.example'"), "auth.providers[0].issuerUrl", "https://"},
		{oneProvider("type: oidc, name: acme, clientId: x, issuerUrl: 'https://'"), "auth.providers[0].issuerUrl", "https://"},
		{oneProvider("type: oidc, name: acme, clientId: x, issuerUrl: ' https://a.example'"), "auth.providers[0].issuerUrl", "https://"},
		{oneProvider(good + ", tokenUrl: 'http://a.example'"), "auth.providers[0].tokenUrl", "https://"},
		{oneProvider(good + ", scopes: openid"), "auth.providers[0].scopes", "no list"},
		{oneProvider(good + ", scopes: [openid, 5]"), "auth.providers[0].scopes[1]", "no text"},
		{"auth: {providers: [{" + good + "}, {" + good + "}]}", "auth.providers[1].name", "auth.providers[0]"},
		{"auth: {providers: [{" + good + "}, {" + strings.Replace(good, "acme", "ACME", 1) + "}]}", "auth.providers[1].name", "auth.providers[0]"},
		{"auth: {claims: [{field: team}]}", "auth.claims[0].key", "missing"},
		{"auth: {claims: [{key: team}]}", "auth.claims[0].field", "missing"},
		{"auth: {claims: [{key: team, field: ''}]}", "auth.claims[0].field", "empty"},
		{"auth: {claims: [{key: team, field: team, unique: 1}]}", "auth.claims[0].unique", "neither true nor false"},
		{"auth: {claims: [{key: a, field: b}, {key: a, field: c}]}", "auth.claims[1].key", "given twice"},
		{"auth: {claims: [{key: a, field: b}, {key: c, field: b}]}", "auth.claims[1].field", "given twice"},
		{"auth: {hooks: [beforeAuthentication]}", "auth.hooks[0]", "none of afterAuthentication, afterIdentityCreated"},
		{"auth: {hooks: afterAuthentication}", "auth.hooks", "no list"},
		{"auth: {hooks: [[afterAuthentication]]}", "auth.hooks[0]", "no text"},
		{"auth: {}\n---\nauth: {}", "keelconfig.yaml", "more than one document"},
		{"auth: [", "keelconfig.yaml", "no YAML"},
		{strings.Repeat("#", 1<<20+1), "keelconfig.yaml", "larger than"},
	} {
		fs := keelFindings(t, c.text)
		require.Len(t, fs, 1, c.text)
		require.Equal(t, c.key, fs[0].Key, c.text)
		require.Contains(t, fs[0].Problem, c.problem, c.text)
	}
}

func TestAllThatIsWrongWithAKeelconfigAtOnce(t *testing.T) {
	fs := keelFindings(t, `
auth:
  redirectUrl: nowhere
  tokens: {accessTokenExpiry: 0, x: 1}
  providers:
    - {type: oauth, name: keel_a}
    -
  claims: [{}]
  hooks: [x]
  y: 1
`)
	var keys []string
	for _, f := range fs {
		keys = append(keys, f.Key)
	}
	require.Equal(t, []string{
		"auth.redirectUrl", "auth.tokens.accessTokenExpiry", "auth.tokens.x", "auth.providers[0].type", "auth.providers[0].name", "auth.providers[0].clientId",
		"auth.providers[1].type", "auth.providers[1].name", "auth.providers[1].clientId", "auth.claims[0].key", "auth.claims[0].field", "auth.hooks[0]", "auth.y",
	}, keys)
	require.Equal(t, "auth.redirectUrl: line 3: it is no URL; for example auth.redirectUrl: https://app.example.com/signed-in", fs[0].String())
}

// TestExamplesOfAKeelconfigWork: what a finding gives as an example is no finding.
func TestExamplesOfAKeelconfigWork(t *testing.T) {
	for path, text := range map[string]string{
		"auth.providers": "auth: {providers: 1}", "auth.claims": "auth: {claims: 1}", "auth.hooks": "auth: {hooks: 1}",
		"auth.tokens.accessTokenExpiry": "auth: {tokens: {accessTokenExpiry: x}}", "auth.redirectUrl": "auth: {redirectUrl: x}",
	} {
		f := keelFindings(t, text)[0]
		require.Equal(t, path, f.Key)
		_, _, err := config.ParseKeel([]byte(regexp.MustCompile(`\b(1|x)\b`).ReplaceAllLiteralString(text, f.Example)))
		require.NoError(t, err, f.Example)
	}
}

func TestWhatInAKeelconfigHasNoEffect(t *testing.T) {
	for text, key := range map[string]string{
		"":                                      "auth",
		"# nothing":                             "auth",
		"secrets: []":                           "auth",
		"auth: {hooks: [afterAuthentication]}":  "auth.hooks[0]",
		"auth: {hooks: [afterIdentityCreated]}": "auth.hooks[0]",
		"auth: {claims: [{key: a, field: b, unique: true}]}":                                        "auth.claims[0].unique",
		"auth: {claims: [{key: a, field: b, note: c}]}":                                             "auth.claims[0].note",
		oneProvider("type: google, name: acme, clientId: x, issuerUrl: 'http://ignored'"):           "auth.providers[0].issuerUrl",
		oneProvider("type: google, name: acme, clientId: x, authorizationUrl: 'https://a.example'"): "auth.providers[0].authorizationUrl",
		oneProvider("type: google, name: acme, clientId: x, clientSecret: hunter2"):                 "auth.providers[0].clientSecret",
	} {
		f, warnings, err := config.ParseKeel([]byte(text))
		require.NoError(t, err, text)
		require.NotNil(t, f)
		require.Len(t, warnings, 1, text)
		require.Equal(t, []string{key}, warnings[0].Keys)
		require.NotContains(t, warnings[0].Text, "hunter2")
	}
	_, warnings, err := config.ParseKeel([]byte("auth: {tokens: , providers: , claims: , hooks: }"))
	require.NoError(t, err, "a section may be empty")
	require.Empty(t, warnings)
}

func keelFile(t *testing.T, text string) *config.KeelFile {
	t.Helper()
	path := filepath.Join(t.TempDir(), "keelconfig.yaml")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	f, _, err := config.ReadKeel(path)
	require.NoError(t, err)
	return f
}

func TestVariablesOverruleAKeelconfig(t *testing.T) {
	f := keelFile(t, keelWhole)
	c := parse(t)
	require.Equal(t, config.Keel{AccessLifetime: 24 * time.Hour, RefreshLifetime: 90 * 24 * time.Hour, Rotation: true}, c.Keel, "off, with Keel's defaults")
	_, err := c.UseKeel(f)
	require.NoError(t, err)
	require.Equal(t, config.Keel{
		Enabled: true, RedirectURL: f.RedirectURL, AccessLifetime: time.Hour, RefreshLifetime: 7 * 24 * time.Hour, Providers: f.Providers, Claims: f.Claims,
	}, c.Keel)

	c = parse(t, "GOTRUE_KEEL_REDIRECT_URL=https://other.example/", "GOTRUE_KEEL_ACCESS_TOKEN_EXPIRY=60", "GOTRUE_KEEL_REFRESH_TOKEN_EXPIRY=120",
		"GOTRUE_KEEL_REFRESH_TOKEN_ROTATION_ENABLED=true", "GOTRUE_KEEL_ISSUER=https://keel.so", "GOTRUE_KEEL_QUERY_CREDENTIALS=true")
	_, err = c.UseKeel(f)
	require.NoError(t, err)
	require.Equal(t, config.Keel{
		Enabled: true, RedirectURL: "https://other.example/", AccessLifetime: time.Minute, RefreshLifetime: 2 * time.Minute, Rotation: true,
		Issuer: "https://keel.so", QueryCredentials: true, Providers: f.Providers, Claims: f.Claims,
	}, c.Keel)

	c = parse(t, "GOTRUE_KEEL_ENABLED=true", "GOTRUE_KEEL_REDIRECT_URL=https://other.example/")
	_, err = c.UseKeel(keelFile(t, "auth: {}"))
	require.NoError(t, err)
	require.Equal(t, "https://other.example/", c.Keel.RedirectURL)
	require.Equal(t, 24*time.Hour, c.Keel.AccessLifetime, "what the file doesn't say stays")
	require.True(t, c.Keel.Rotation)
}

func TestSecretsOfKeelProviders(t *testing.T) {
	f := keelFile(t, keelWhole)
	c := parse(t, "AUTH_PROVIDER_SECRET_GOOGLE=", "AUTH_PROVIDER_SECRET_OTHER=hunter2", "GOTRUE_SITE_URL=https://app.example.com", "DATABASE_URL="+filepath.Join(t.TempDir(), "auth.db"))
	warnings, err := c.UseKeel(f)
	require.NoError(t, err)
	require.Len(t, warnings, 2, "an empty secret is one")
	require.Equal(t, []string{"AUTH_PROVIDER_SECRET_ACME_2"}, warnings[0].Keys)
	require.Equal(t, []string{"AUTH_PROVIDER_SECRET_OTHER"}, warnings[1].Keys)
	require.NotContains(t, warnings[1].String(), "hunter2")
	a, err := auth.New(c.Options()...)
	require.NoError(t, err)
	require.NoError(t, a.Close(t.Context()))
}

func TestKeelconfigAgainstTheVariables(t *testing.T) {
	f := keelFile(t, keelWhole)
	c := parse(t, append(vars("GOOGLE", "CLIENT_ID", "x"), "GOTRUE_KEEL_ENABLED=false")...)
	_, err := c.UseKeel(f)
	var wrong *config.Error
	require.ErrorAs(t, err, &wrong)
	require.Len(t, wrong.Findings, 2)
	require.Equal(t, "GOTRUE_KEEL_ENABLED", wrong.Findings[0].Key)
	require.Equal(t, "auth.providers[0].name", wrong.Findings[1].Key)
	require.False(t, c.Keel.Enabled, "nothing is changed")

	_, _, err = config.ReadKeel(filepath.Join(t.TempDir(), "none.yaml"))
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestFindingsOfKeelVariables(t *testing.T) {
	for key, value := range map[string]string{
		"ENABLED": "yes", "REDIRECT_URL": "/signed-in", "ACCESS_TOKEN_EXPIRY": "0", "REFRESH_TOKEN_EXPIRY": "10ms",
		"REFRESH_TOKEN_ROTATION_ENABLED": "on", "QUERY_CREDENTIALS": "x",
	} {
		fs := findings(t, "GOTRUE_KEEL_"+key+"="+value)
		require.Len(t, fs, 1)
		require.Equal(t, "GOTRUE_KEEL_"+key, fs[0].Key)
	}
}

func TestInstancesHaveKeelSettingsOfTheirOwn(t *testing.T) {
	c := parse(t, "GOTRUE_KEEL_ENABLED=true", "GOTRUE_KEEL_ISSUER=https://keel.so")
	one, _, err := c.Instance([]string{"GOTRUE_KEEL_REDIRECT_URL=https://one.example"})
	require.NoError(t, err)
	require.False(t, one.Keel.Enabled)
	require.Empty(t, one.Keel.Issuer)
	require.Equal(t, "https://one.example", one.Keel.RedirectURL)
}

// FuzzParseKeel: whatever the file holds, it is what the library takes, or findings.
func FuzzParseKeel(f *testing.F) {
	for _, seed := range []string{
		keelWhole, "", "auth:", "auth: {tokens: {x: 1}}", "auth: &a {providers: [*a]}", "auth: {claims: [{key: a, field: b}]}", "a: &a [*a]", "? [a]\n: b",
		oneProvider("type: oidc, name: acme, clientId: !!binary aGk=, issuerUrl: 'https://a.example'"), "auth: {hooks: [afterAuthentication]}", "\xff", "auth: {redirectUrl: 'a:b'}",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		file, _, err := config.ParseKeel([]byte(text))
		if err != nil {
			var wrong *config.Error
			require.ErrorAs(t, err, &wrong)
			require.NotEmpty(t, wrong.Findings)
			return
		}
		names := map[string]bool{}
		for _, p := range file.Providers {
			require.Regexp(t, `^[a-zA-Z][a-zA-Z0-9_]+$`, p.Name)
			require.False(t, strings.HasPrefix(strings.ToLower(p.Name), "keel_"))
			require.False(t, names[p.SecretName()], "two providers have one secret")
			names[p.SecretName()] = true
			require.NotEmpty(t, p.ClientID)
			require.Contains(t, []string{"google", "facebook", "gitlab", "slack", "oidc"}, p.Type)
			require.Equal(t, p.Type == "oidc", strings.HasPrefix(p.IssuerURL, "https://"))
		}
		for claim, field := range file.Claims {
			require.NotEmpty(t, claim)
			require.NotEmpty(t, field)
		}
		require.True(t, file.AccessTokenExpiry == 0 || file.AccessTokenExpiry >= time.Second)
		require.True(t, file.RefreshTokenExpiry == 0 || file.RefreshTokenExpiry >= time.Second)
	})
}
