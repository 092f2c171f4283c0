package config_test

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/truekeel/auth/config"
	"github.com/truekeel/auth/providers"
)

var update = flag.Bool("update", false, "write docs/configuration.md")

func TestDocIsWhatTheCodeReads(t *testing.T) {
	var b bytes.Buffer
	require.NoError(t, config.WriteDoc(&b))
	path := filepath.Join("..", "docs", "configuration.md")
	if *update {
		require.NoError(t, os.WriteFile(path, b.Bytes(), 0o644))
	}
	have, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, b.String(), string(have), "the documentation is stale; run: go test ./config -run TestDoc -update")

	for _, k := range config.Keys() {
		for _, n := range k.Names {
			require.Contains(t, b.String(), "`"+n+"`")
		}
		require.NotEmpty(t, k.Doc, k.Names)
		require.NotEmpty(t, k.Type, k.Names)
		require.True(t, strings.HasSuffix(k.Doc, "."), "%v: %s", k.Names, k.Doc)
	}
}

// of is the variable of a provider of which there is one for each.
func of(provider, name string) string { return strings.ReplaceAll(name, "<NAME>", provider) }

func TestNoNameIsTakenTwice(t *testing.T) {
	seen := map[string]bool{}
	take := func(n string) {
		require.False(t, seen[n], "%s is there twice", n)
		seen[n] = true
	}
	for _, k := range config.Keys() {
		for _, n := range k.Names {
			take(n)
			if !strings.Contains(n, "<NAME>") {
				continue
			}
			for _, p := range providers.Names() {
				take(of(strings.ToUpper(p), n))
			}
		}
	}
	for _, a := range config.AbsentKeys() {
		for _, n := range a.Names {
			take(n)
		}
	}
}

func TestExamplesWork(t *testing.T) {
	for _, k := range config.Keys() {
		if k.Secret {
			continue // made by a command
		}
		env := []string{of("GITHUB", k.Names[0]) + "=" + k.Example, "GOTRUE_SITE_URL=https://app.example.com", "GOTRUE_API_EXTERNAL_URL=https://app.example.com", "GOTRUE_JWT_SECRET=0123456789abcdef0123456789abcdef"}
		switch k.Names[0] {
		case "GOTRUE_SITE_URL", "GOTRUE_API_EXTERNAL_URL":
			env = env[:1]
		case "GOTRUE_EXTERNAL_<NAME>_ENABLED":
			env = append(env, "GOTRUE_EXTERNAL_GITHUB_CLIENT_ID=x")
		case "GOTRUE_SMTP_USER":
			env = append(env, "GOTRUE_SMTP_PASS=secret")
		case "GOTRUE_API_TLS_CERT":
			env = append(env, "GOTRUE_API_TLS_KEY=x")
		case "GOTRUE_API_TLS_KEY":
			env = append(env, "GOTRUE_API_TLS_CERT=x")
		case "GOTRUE_SMTP_HOST":
			env = append(env, "GOTRUE_SMTP_ADMIN_EMAIL=a@example.com")
		case "GOTRUE_EVENT_WEBHOOK_URL":
			env = append(env, "GOTRUE_EVENT_WEBHOOK_SECRETS=whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=")
		case "GOTRUE_SECURITY_CAPTCHA_ENABLED":
			env = append(env, "GOTRUE_SECURITY_CAPTCHA_SECRET=x")
		case "GOTRUE_MULTIINSTANCEMODE":
			env = append(env, "GOTRUE_OPERATOR_TOKEN=0123456789abcdef0123456789abcdef")
		case "GOTRUE_DB_DRIVER":
			env = append(env, "DATABASE_URL=postgres://localhost/x")
		}
		_, _, err := config.Parse(env)
		require.NoError(t, err, k.Names)
	}
}
