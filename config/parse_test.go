package config_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/truekeel/auth"
	"github.com/truekeel/auth/config"
)

func parse(t *testing.T, env ...string) *config.Config {
	t.Helper()
	c, _, err := config.Parse(env)
	require.NoError(t, err)
	return c
}

func findings(t *testing.T, env ...string) []config.Finding {
	t.Helper()
	c, _, err := config.Parse(env)
	require.Nil(t, c)
	var wrong *config.Error
	require.ErrorAs(t, err, &wrong)
	return wrong.Findings
}

func TestDurations(t *testing.T) {
	for text, want := range map[string]time.Duration{"900": 15 * time.Minute, "15m": 15 * time.Minute, "1ns": 1, " 60 ": time.Minute, "1h30m": 90 * time.Minute, "0": 0, "0.5s": 500 * time.Millisecond} {
		require.Equal(t, want, parse(t, "GOTRUE_SMTP_MAX_FREQUENCY="+text).SMTP.MaxFrequency, text)
	}
	for _, text := range []string{"-1", "15 minutes", "1d", "soon", "99999999999999999999", "9999999999999", "1e3"} {
		require.Equal(t, "GOTRUE_SMTP_MAX_FREQUENCY", findings(t, "GOTRUE_SMTP_MAX_FREQUENCY="+text)[0].Key, text)
	}
	require.Equal(t, 15*time.Minute, parse(t, "GOTRUE_JWT_EXP=900").JWT.Lifetime)
	require.Equal(t, "GOTRUE_SESSIONS_TIMEBOX", findings(t, "GOTRUE_SESSIONS_TIMEBOX=0s")[0].Key, "a timebox of nothing")
}

func TestWordsOfABoolean(t *testing.T) {
	for text, want := range map[string]bool{"1": true, "t": true, "TRUE": true, "true": true, "0": false, "F": false, "False": false, "": false} {
		require.Equal(t, want, parse(t, "GOTRUE_DISABLE_SIGNUP="+text).DisableSignup, text)
	}
	for _, text := range []string{"yes", "on", "2", "tRUE"} {
		require.Contains(t, findings(t, "GOTRUE_DISABLE_SIGNUP="+text)[0].Problem, "neither true nor false")
	}
}

func TestAllFindingsAtOnce(t *testing.T) {
	secret := "a-secret-of-the-database"
	fs := findings(t,
		"PORT=99999", "GOTRUE_SITE_URL=localhost", "GOTRUE_URI_ALLOW_LIST=https://[a", "GOTRUE_JWT_EXP=x", "GOTRUE_RATE_LIMIT_VERIFY=0", "GOTRUE_LOG_LEVEL=loud",
		"GOTRUE_SMTP_HOST=smtp.example.com", "GOTRUE_MAILER_AUTOCONFIRM=1", "GOTRUE_MAILER_ALLOW_UNVERIFIED_EMAIL_SIGN_INS=1", "GOTRUE_API_TLS_CERT=x",
		"DATABASE_URL=oracle://u:"+secret+"@host/x", "GOTRUE_JWT_KEY_ID=1", "GOTRUE_SECURITY_DATABASE_ENCRYPTION_ENCRYPT=1", "GOTRUE_MAILER_SUBJECTS_INVITE={{",
		"GOTRUE_CORS_ALLOWED_ORIGINS=a.example", "GOTRUE_CORS_ALLOWED_HEADERS=x y", "GOTRUE_API_TRUSTED_PROXIES=10.0.0.0/99", "GOTRUE_API_BASE_PATH=auth", "GOTRUE_SMTP_HEADERS=[]",
		"GOTRUE_MAILER_EXTERNAL_HOSTS=a/b", "GOTRUE_EXTERNAL_EMAIL_AUTHORIZED_ADDRESSES=nobody",
	)
	var keys []string
	for _, f := range fs {
		keys = append(keys, f.Key)
		require.NotEmpty(t, f.Problem)
		require.NotContains(t, f.String(), secret)
		require.NotContains(t, f.String(), "\n")
	}
	require.ElementsMatch(t, []string{
		"PORT", "GOTRUE_SITE_URL", "GOTRUE_URI_ALLOW_LIST", "GOTRUE_JWT_EXP", "GOTRUE_RATE_LIMIT_VERIFY", "GOTRUE_LOG_LEVEL", "GOTRUE_SMTP_ADMIN_EMAIL",
		"GOTRUE_MAILER_ALLOW_UNVERIFIED_EMAIL_SIGN_INS", "GOTRUE_API_TLS_CERT", "GOTRUE_DB_DATABASE_URL", "GOTRUE_JWT_KEY_ID", "GOTRUE_SECURITY_DATABASE_ENCRYPTION_ENCRYPTION_KEY",
		"GOTRUE_MAILER_SUBJECTS_INVITE", "GOTRUE_CORS_ALLOWED_ORIGINS", "GOTRUE_CORS_ALLOWED_HEADERS", "GOTRUE_API_TRUSTED_PROXIES", "GOTRUE_API_BASE_PATH", "GOTRUE_SMTP_HEADERS",
		"GOTRUE_MAILER_EXTERNAL_HOSTS", "GOTRUE_EXTERNAL_EMAIL_AUTHORIZED_ADDRESSES",
	}, keys)
}

func TestFindingsOfTheMailServerNameVariables(t *testing.T) {
	for _, half := range []string{"GOTRUE_SMTP_USER=app", "GOTRUE_SMTP_PASS=secret"} {
		fs := findings(t, "GOTRUE_SMTP_HOST=smtp.example.com", "GOTRUE_SMTP_ADMIN_EMAIL=a@example.com", half)
		require.Len(t, fs, 1, half)
		require.Equal(t, "GOTRUE_SMTP_USER", fs[0].Key)
		require.Contains(t, fs[0].Problem, "GOTRUE_SMTP_PASS")
	}
}

func TestFindingsHoldNoSecret(t *testing.T) {
	for _, k := range config.Keys() {
		if !k.Secret {
			continue
		}
		const secret = "hunter2-of-the-operator"
		_, warnings, err := config.Parse([]string{of("APPLE", k.Names[0]) + "=" + secret, "GOTRUE_EXTERNAL_APPLE_ENABLED=true", "GOTRUE_EXTERNAL_APPLE_CLIENT_ID=id"})
		text := ""
		if err != nil {
			text = err.Error()
		}
		for _, w := range warnings {
			text += w.String()
		}
		require.NotContains(t, text, secret, k.Names[0])
	}
}

func TestWarnings(t *testing.T) {
	for line, want := range map[string]string{
		"GOTRUE_SMTP_MAX_FREQUENZY=1":       "is GOTRUE_SMTP_MAX_FREQUENCY meant?",
		"GOTRUE_SIGNUP_DISABLED=1":          "unknown",
		"GOTRUE_COOKIE_KEY=x":               "not supported: cookies",
		"GOTRUE_SMS_OTP_LENGTH=20":          "taken as 6",
		"GOTRUE_EXTERNAL_GOOGLE_ENABLED=0":  "",
		"GOTRUE_EXTERNAL_GOOGEL_ENABLED=1":  "is GOTRUE_EXTERNAL_GOOGLE_ENABLED meant?; a provider that isn't in the list needs GOTRUE_EXTERNAL_GOOGEL_ISSUER",
		"GOTRUE_CUSTOM_OAUTH_ENABLED=1":     "not supported: providers that",
		"OPERATOR_TOKEN=x":                  "",
		"GOTRUE_OPERATOR_TOKEN=x":           "openssl",
		"GOTRUE_DB_ADVISOR_ENABLED=1":       "not supported: tuning",
		"GOTRUE_MFA_PHONE_ENROLL_ENABLED=0": "",
		"GOTRUE_WEBHOOK_URL=":               "",
		"GOTRUE_JWT_SECRET=short":           "openssl",
		"GOTRUE_PASSWORD_MIN_LENGTH=3":      "taken as 6",
		"GOTRUE_MAILER_OTP_LENGTH=20":       "taken as 6",
		"UNRELATED=1":                       "",
	} {
		c, warnings, err := config.Parse([]string{line})
		require.NoError(t, err)
		require.NotNil(t, c)
		if want == "" {
			require.Empty(t, warnings, line)
			continue
		}
		require.Len(t, warnings, 1, line)
		name, _, _ := strings.Cut(line, "=")
		require.Contains(t, warnings[0].Keys, name)
		require.Contains(t, warnings[0].Text, want)
	}
	_, warnings, err := config.Parse([]string{"GOTRUE_COOKIE_KEY=x", "GOTRUE_COOKIE_DOMAIN=x", "GOTRUE_API_PORT=1", "PORT=2"})
	require.NoError(t, err)
	require.Len(t, warnings, 2, "one a feature, and one about the two ports")
}

func TestCommandsThatNobodyRan(t *testing.T) {
	for _, k := range config.Keys() {
		if !k.Secret || !strings.Contains(k.Example, "$(") {
			continue
		}
		name := of("GITHUB", k.Names[0])
		found := findings(t, name+"="+k.Example)
		require.Equal(t, name, found[0].Key)
		require.Contains(t, found[0].Problem, "what the command prints", name)
	}
	require.Contains(t, findings(t, "GOTRUE_JWT_SECRET=$(openssl rand -base64 48)")[0].Problem, "what the command prints")
}

// TestEveryAbsentKeyWarns and is said to be about what it is about.
func TestEveryAbsentKeyWarns(t *testing.T) {
	for _, a := range config.AbsentKeys() {
		for _, n := range a.Names {
			name := strings.ReplaceAll(n, "*", "SOMETHING")
			_, warnings, err := config.Parse([]string{name + "=x"})
			require.NoError(t, err)
			require.Equal(t, []config.Warning{{Keys: []string{name}, Text: "not supported: " + a.Feature}}, warnings)
		}
	}
}

func TestFilesAndEnvironment(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	write(".env", "GOTRUE_JWT_AUD=file\nGOTRUE_JWT_ISSUER=file\nGOTRUE_JWT_DEFAULT_GROUP_NAME=file\n")
	over := write("over.env", "export GOTRUE_JWT_ISSUER='over'\n")
	last := write("last.env", "GOTRUE_JWT_EXP=60 # a minute\n")
	t.Setenv("GOTRUE_JWT_AUD", "environment")
	t.Setenv("GOTRUE_JWT_ISSUER", "environment")
	c, _, err := config.FromEnv(over, last)
	require.NoError(t, err)
	require.Equal(t, "environment", c.JWT.Audience, "the environment over .env")
	require.Equal(t, "over", c.JWT.Issuer, "files over the environment")
	require.Equal(t, "file", c.JWT.DefaultRole)
	require.Equal(t, time.Minute, c.JWT.Lifetime)

	_, _, err = config.FromEnv(filepath.Join(dir, "missing.env"))
	require.ErrorIs(t, err, os.ErrNotExist)
	_, _, err = config.FromEnv(write("bad.env", "GOTRUE_JWT_SECRET hunter2\n"))
	require.ErrorContains(t, err, "bad.env")
	require.NotContains(t, err.Error(), "hunter2")
	write(".env", "GOTRUE_JWT_SECRET hunter2\n")
	_, _, err = config.FromEnv()
	require.ErrorContains(t, err, ".env")
}

func TestDatabaseAddresses(t *testing.T) {
	for _, c := range []struct{ driver, url, want, dsn string }{
		{"", "auth.db", config.SQLite, "auth.db"},
		{"", "./data/auth.db", config.SQLite, "./data/auth.db"},
		{"", "sqlite:auth.db", config.SQLite, "auth.db"},
		{"", "sqlite:///var/lib/auth.db", config.SQLite, "/var/lib/auth.db"},
		{"sqlite3", "file:auth.db", config.SQLite, "auth.db"},
		{"", "postgres://u:p@db/app?sslmode=disable", config.Postgres, "postgres://u:p@db/app?sslmode=disable"},
		{"", "postgresql://db/app", config.Postgres, "postgresql://db/app"},
		{"postgres", "host=db user=u dbname=app", config.Postgres, "host=db user=u dbname=app"},
		{"", "mysql://u:p%40ss@db:3307/app", config.MySQL, "u:p@ss@tcp(db:3307)/app"},
		{"mysql", "mysql://u@db/app?tls=true", config.MySQL, "u@tcp(db)/app?tls=true"},
		{"mysql", "u:p@tcp(db:3306)/app?tls=true", config.MySQL, "u:p@tcp(db:3306)/app?tls=true"},
		{"mysql", "root@localhost/gotrue", config.MySQL, "root@tcp(localhost)/gotrue"},
		{"mysql", "u:p@ss@db:3307/app", config.MySQL, "u:p@ss@tcp(db:3307)/app"},
		{"mariadb", "u@unix(/run/mysqld.sock)/app", config.MySQL, "u@unix(/run/mysqld.sock)/app"},
	} {
		driver, dsn, err := config.DB{Driver: c.driver, URL: c.url}.Resolve()
		require.NoError(t, err, c.url)
		require.Equal(t, c.want, driver, c.url)
		require.True(t, strings.HasPrefix(dsn, c.dsn), "%s: %s", c.url, dsn)
	}
	for _, d := range []config.DB{
		{URL: "u:hunter2@db/app"}, {URL: "mongodb://u:hunter2@db/app"}, {Driver: "mysql", URL: "postgres://u:hunter2@db/app"}, {URL: ":memory:"}, {URL: "sqlite:"},
		{URL: "mysql://u:hunter2@"}, {Driver: "mysql", URL: "hunter2"}, {URL: "auth.db?_journal=off", Driver: "sqlite"}, {URL: "mysql://u:hunter2@db/app?tls=strange&hunter2"},
	} {
		_, _, err := d.Resolve()
		require.Error(t, err, d.URL)
		require.NotContains(t, err.Error(), "hunter2")
	}
}

func TestListeningAddress(t *testing.T) {
	require.Equal(t, "localhost:8081", parse(t).Address(), "nobody but this machine, as long as nothing is set")
	require.Equal(t, ":8081", parse(t, "GOTRUE_SITE_URL=https://app.example.com").Address())
	require.Equal(t, "127.0.0.1:9999", parse(t, "GOTRUE_SITE_URL=https://app.example.com", "GOTRUE_API_HOST=127.0.0.1", "PORT=9999").Address())
	require.Equal(t, "[::1]:8081", parse(t, "GOTRUE_API_HOST=::1").Address())
	require.Equal(t, "[::1]:8081", parse(t, "GOTRUE_API_HOST=[::1]").Address())
}

// TestHostsUseTheSameVariables as the server: the options make an Auth.
func TestHostsUseTheSameVariables(t *testing.T) {
	c := parse(t, "DATABASE_URL="+filepath.Join(t.TempDir(), "auth.db"), "GOTRUE_SITE_URL=https://app.example.com", "GOTRUE_JWT_SECRET=short", "GOTRUE_PASSWORD_BCRYPT_COST=4")
	a, err := auth.New(c.Options()...)
	require.NoError(t, err)
	require.NoError(t, a.Ready(t.Context()))
	require.NoError(t, a.Close(t.Context()))
}

// oddValues are such as a parser may trip over.
func oddValues() []string {
	return []string{"", "0", "-1", "1ns", "30/1h", "a,b,,c", "a:b,c", `a\:b:c`, "{}", "[]", "[{}]", "\x00", "99999999999999999999", "1e9", "::1", "[", "https://[::1", "postgres://", "mysql://u:p@h/d?x=%zz", "u@h(/d"}
}

// survives checks what holds of any variable with any value.
func survives(t *testing.T, name, value string) {
	t.Helper()
	c, warnings, err := config.Parse([]string{name + "=" + value})
	var wrong *config.Error
	if err != nil && (!errors.As(err, &wrong) || len(wrong.Findings) == 0 || c != nil) {
		t.Fatalf("%v", err)
	}
	if err == nil {
		_ = c.Options()
		if c.Address() == "" {
			t.Fatal("no address")
		}
	}
	for _, w := range warnings {
		if len(w.Keys) == 0 || w.Text == "" {
			t.Fatalf("%+v", w)
		}
	}
}

// oneOfEachType gives a variable of each type of value.
func oneOfEachType() (out []config.Key) {
	seen := map[string]bool{}
	for _, k := range config.Keys() {
		if !seen[k.Type] {
			seen[k.Type] = true
			out = append(out, k)
		}
	}
	return out
}

func TestParseSurvives(t *testing.T) {
	for _, k := range oneOfEachType() {
		for _, v := range oddValues() {
			survives(t, of("ACME", k.Names[0]), v)
		}
	}
}

// The seeds are few: behind them a short run is to come to values of its own.
func FuzzParse(f *testing.F) {
	for _, k := range oneOfEachType() {
		f.Add(of("ACME", k.Names[0]), k.Example)
	}
	f.Add("GOTRUE_NONSENSE", "x")
	f.Fuzz(func(t *testing.T, name, value string) {
		if strings.HasPrefix(name, "GOTRUE_MAILER_TEMPLATES") {
			return // it may name a file of this machine
		}
		survives(t, name, value)
	})
}
