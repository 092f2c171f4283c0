package main

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/truekeel/auth/internal/smtptest"
)

func TestDoctorFindsNothingWhereThereIsNothing(t *testing.T) {
	dir := t.TempDir()
	strong := []string{"GOTRUE_PASSWORD_BCRYPT_COST="} // unlike the other tests
	require.Equal(t, "nothing found\n", says(t, dir, strong, "doctor"), "before the first start")
	require.NoFileExists(t, filepath.Join(dir, "auth.db"), "looking changes nothing")
	serve(t, dir, nil).stop()
	require.Equal(t, "nothing found\n", says(t, dir, strong, "doctor"), "after it")

	cert, key := certificateFiles(t, time.Now().Add(90*24*time.Hour), "auth.example.com")
	mails := newPlace(t).mails
	require.Equal(t, "nothing found\n", says(t, dir, []string{
		"GOTRUE_SITE_URL=https://app.example.com", "API_EXTERNAL_URL=https://auth.example.com", "GOTRUE_API_TLS_CERT=" + cert, "GOTRUE_API_TLS_KEY=" + key,
		"GOTRUE_URI_ALLOW_LIST=https://*.example.com/**,com.example.app://done,http://localhost:3000/**,https://app-*.vercel.app/**",
		"GOTRUE_JWT_SECRET=" + secret, "GOTRUE_PASSWORD_BCRYPT_COST=10", "GOTRUE_SMTP_HOST=127.0.0.1", "GOTRUE_SMTP_PORT=" + port(mails), "GOTRUE_SMTP_ADMIN_EMAIL=a@example.com",
	}, "doctor"))
}

func port(s *smtptest.Server) string {
	p := place{mails: s}
	return p.base()["GOTRUE_SMTP_PORT"]
}

// TestDoctorFindsEachFault plants one fault at a time.
func TestDoctorFindsEachFault(t *testing.T) {
	soon, soonKey := certificateFiles(t, time.Now().Add(24*time.Hour), "auth.example.com")
	later, laterKey := certificateFiles(t, time.Now().Add(90*24*time.Hour), "auth.example.com")
	missing := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(missing.Close)
	public := []string{"GOTRUE_SITE_URL=https://app.example.com", "API_EXTERNAL_URL=https://auth.example.com", "GOTRUE_API_TRUSTED_PROXIES=10.0.0.0/8"}
	mailed := append([]string{"GOTRUE_SMTP_HOST=127.0.0.1", "GOTRUE_SMTP_PORT=" + port(newPlace(t).mails), "GOTRUE_SMTP_ADMIN_EMAIL=a@example.com"}, public...)
	plain := smtptest.New(t)

	cases := []struct {
		name  string
		vars  []string
		about string // and a word of the problem or the remedy
		text  string
		plant func(t *testing.T, dir string)
	}{
		{name: "any host", vars: append([]string{"GOTRUE_URI_ALLOW_LIST=https://**"}, mailed...), about: "GOTRUE_URI_ALLOW_LIST", text: "anybody"},
		{name: "a whole top-level domain", vars: append([]string{"GOTRUE_URI_ALLOW_LIST=https://*.com/**"}, mailed...), about: "GOTRUE_URI_ALLOW_LIST", text: "anybody"},
		{name: "a host with any beginning", vars: append([]string{"GOTRUE_URI_ALLOW_LIST=https://*example.com/x"}, mailed...), about: "GOTRUE_URI_ALLOW_LIST", text: "anybody"},
		{name: "any scheme", vars: append([]string{"GOTRUE_URI_ALLOW_LIST=*://app.example.com/"}, mailed...), about: "GOTRUE_URI_ALLOW_LIST", text: "scheme"},
		{name: "redirects in clear", vars: append([]string{"GOTRUE_URI_ALLOW_LIST=http://app.example.com/*"}, mailed...), about: "GOTRUE_URI_ALLOW_LIST", text: "in clear"},
		{name: "a shared host", vars: append([]string{"GOTRUE_URI_ALLOW_LIST=https://*.vercel.app/**"}, mailed...), about: "GOTRUE_URI_ALLOW_LIST", text: "every customer"},
		{name: "short secret", vars: []string{"GOTRUE_JWT_SECRET=short"}, about: "GOTRUE_JWT_SECRET", text: "openssl"},
		{name: "copied secret", vars: []string{"GOTRUE_JWT_SECRET=super-secret-jwt-token-with-at-least-32-characters-long"}, about: "GOTRUE_JWT_SECRET", text: "openssl"},
		{name: "no mail server there", vars: []string{"GOTRUE_SMTP_HOST=127.0.0.1", "GOTRUE_SMTP_PORT=1", "GOTRUE_SMTP_ADMIN_EMAIL=a@example.com"}, about: "GOTRUE_SMTP_HOST", text: "can't be reached"},
		{name: "no mail server named", vars: public, about: "GOTRUE_SMTP_HOST", text: "dropped"},
		{name: "mail server without the TLS it shall have", vars: []string{"GOTRUE_SMTP_HOST=127.0.0.1", "GOTRUE_SMTP_TLS=implicit", "GOTRUE_SMTP_PORT=" + port(plain), "GOTRUE_SMTP_ADMIN_EMAIL=a@example.com"}, about: "GOTRUE_SMTP_HOST", text: "can't be reached"},
		{name: "a proxy that nobody named", vars: append(mailed[:5:5], "GOTRUE_API_TRUSTED_PROXIES="), about: "GOTRUE_API_TRUSTED_PROXIES", text: "proxy"},
		{name: "a header that anybody may send", vars: append(mailed[:5:5], "GOTRUE_RATE_LIMIT_HEADER=X-Forwarded-For"), about: "GOTRUE_RATE_LIMIT_HEADER", text: "GOTRUE_API_TRUSTED_PROXIES"},
		{name: "site in clear", vars: append(mailed[:3:3], "GOTRUE_SITE_URL=http://app.example.com", "API_EXTERNAL_URL=https://auth.example.com", "GOTRUE_API_TRUSTED_PROXIES=10.0.0.0/8"), about: "GOTRUE_SITE_URL", text: "https"},
		{name: "no address of its own", vars: append(mailed[:4:4], "GOTRUE_API_TRUSTED_PROXIES=10.0.0.0/8"), about: "GOTRUE_API_EXTERNAL_URL", text: "links"},
		{name: "certificate that ends", vars: append([]string{"GOTRUE_API_TLS_CERT=" + soon, "GOTRUE_API_TLS_KEY=" + soonKey}, mailed...), about: "GOTRUE_API_TLS_CERT", text: "renew"},
		{name: "certificate of another host", vars: append([]string{"GOTRUE_API_TLS_CERT=" + later, "GOTRUE_API_TLS_KEY=" + laterKey, "API_EXTERNAL_URL=https://other.example.com"}, append(mailed[:4:4], "GOTRUE_API_TRUSTED_PROXIES=10.0.0.0/8")...), about: "GOTRUE_API_TLS_CERT", text: "other.example.com"},
		{name: "certificate that isn't there", vars: []string{"GOTRUE_API_TLS_CERT=x", "GOTRUE_API_TLS_KEY=y"}, about: "GOTRUE_API_TLS_CERT", text: "can't be used"},
		{name: "open profiles", vars: []string{"GOTRUE_PROFILER_ENABLED=true", "GOTRUE_PROFILER_HOST=0.0.0.0"}, about: "GOTRUE_PROFILER_HOST", text: "localhost"},
		{name: "anybody's accounts", vars: append([]string{"GOTRUE_MAILER_AUTOCONFIRM=true"}, mailed...), about: "GOTRUE_MAILER_AUTOCONFIRM", text: "another's name"},
		{name: "anybody's numbers", vars: append([]string{"GOTRUE_EXTERNAL_PHONE_ENABLED=true", "GOTRUE_SMS_AUTOCONFIRM=true"}, mailed...), about: "GOTRUE_SMS_AUTOCONFIRM", text: "another's number"},
		{name: "no limits", vars: append([]string{"GOTRUE_RATE_LIMIT_ENABLED=false"}, mailed...), about: "GOTRUE_RATE_LIMIT_ENABLED", text: "guessed"},
		{name: "cheap bcrypt", vars: []string{"GOTRUE_PASSWORD_BCRYPT_COST=4"}, about: "GOTRUE_PASSWORD_BCRYPT_COST", text: "10"},
		{name: "cheap argon2", vars: []string{"GOTRUE_PASSWORD_HASH=argon2id", "GOTRUE_PASSWORD_ARGON2_MEMORY=1024"}, about: "GOTRUE_PASSWORD_ARGON2_MEMORY", text: "OWASP"},
		{name: "no folder", vars: []string{"DATABASE_URL=nowhere/auth.db"}, about: "GOTRUE_DB_DATABASE_URL", text: "folder"},
		{name: "database that is none", vars: []string{"DATABASE_URL=notes.txt"}, about: "GOTRUE_DB_DATABASE_URL", text: "database", plant: func(t *testing.T, dir string) {
			require.NoError(t, os.WriteFile(filepath.Join(dir, "notes.txt"), []byte(strings.Repeat("no database at all\n", 500)), 0o600))
		}},
		{name: "database server that isn't there", vars: []string{"DATABASE_URL=postgres://127.0.0.1:1/x", "GOTRUE_JWT_SECRET=" + secret}, about: "GOTRUE_DB_DATABASE_URL", text: "doesn't answer"},
		{name: "schema that stays old", vars: []string{"GOTRUE_DB_MIGRATE=false"}, about: "GOTRUE_DB_MIGRATE", text: "truekeel migrate", plant: func(t *testing.T, dir string) {
			require.NoError(t, os.WriteFile(filepath.Join(dir, "auth.db"), nil, 0o600))
		}},
		{name: "readable database", about: "auth.db", text: "chmod 600", plant: func(t *testing.T, dir string) {
			says(t, dir, nil, "migrate")
			require.NoError(t, os.Chmod(filepath.Join(dir, "auth.db"), 0o644))
		}},
		{name: "readable variables", about: ".env", text: "chmod 600", plant: func(t *testing.T, dir string) {
			require.NoError(t, os.WriteFile(filepath.Join(dir, ".env"), []byte("GOTRUE_JWT_EXP=3600\n"), 0o600))
			require.NoError(t, os.Chmod(filepath.Join(dir, ".env"), 0o644))
		}},
		{name: "template that isn't there", vars: []string{"GOTRUE_MAILER_TEMPLATES_INVITE=" + missing.URL + "/invite.html"}, about: "GOTRUE_MAILER_TEMPLATES_INVITE", text: "404"},
		{name: "misspelled", vars: []string{"GOTRUE_JWT_SECRETS=x"}, about: "GOTRUE_JWT_SECRETS", text: "is GOTRUE_JWT_SECRET meant?"},
		{name: "not supported", vars: []string{"GOTRUE_SAML_ENABLED=true"}, about: "GOTRUE_SAML_ENABLED", text: "not supported"},
		{name: "wrong value", vars: []string{"GOTRUE_JWT_EXP=soon"}, about: "GOTRUE_JWT_EXP", text: "for example GOTRUE_JWT_EXP=3600"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			if c.plant != nil {
				c.plant(t, dir)
			}
			vars := c.vars
			if !strings.Contains(strings.Join(vars, " "), "BCRYPT") {
				vars = append([]string{"GOTRUE_PASSWORD_BCRYPT_COST=10"}, vars...)
			}
			out := fails(t, dir, vars, "doctor")
			require.Contains(t, out, "- "+c.about+": ")
			require.Contains(t, out, c.text)
			require.Contains(t, out, "1 found", "and nothing else")
		})
	}
}

func TestDoctorFindsAKeyBesideWhatItSeals(t *testing.T) {
	const about = "- GOTRUE_SECURITY_DATABASE_ENCRYPTION_ENCRYPT: "
	dir, server := t.TempDir(), "DATABASE_URL=postgres://127.0.0.1:1/x"
	require.Contains(t, fails(t, dir, []string{server}, "doctor"), about)
	require.NotContains(t, fails(t, dir, []string{server, "GOTRUE_JWT_SECRET=" + secret}, "doctor"), about, "a key is made of it")
	require.NotContains(t, fails(t, dir, []string{
		server, "GOTRUE_SECURITY_DATABASE_ENCRYPTION_ENCRYPT=true",
		"GOTRUE_SECURITY_DATABASE_ENCRYPTION_ENCRYPTION_KEY=MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=",
	}, "doctor"), about)
}

func TestDoctorCountsTheMemoryOfHashes(t *testing.T) {
	have := memory()
	if have == 0 {
		t.Skip("this system doesn't say how much memory it has")
	}
	p := newPlace(t).start(t, env("GOTRUE_PASSWORD_HASH", "argon2id"))
	require.NoError(t, p.err)
	c := *p.server.config
	c.Password.Argon2Memory = int(have / 1024)
	e := examination{c: &c}
	e.hashing()
	require.Len(t, e.found, 1)
	require.Contains(t, e.found[0].problem, "MiB")
}
