package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/smtp"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/truekeel/auth/config"
	"github.com/truekeel/auth/internal/caller"
	"github.com/truekeel/auth/providers"
	"github.com/truekeel/auth/store"
)

// patience is how long the examination waits for a server.
const patience = 5 * time.Second

// examination looks at a configuration, at the files that it names and at the servers.
// It changes nothing.
type examination struct {
	c     *config.Config
	files []string // of variables
	found []finding
}

func (e *examination) add(about, problem, remedy string) {
	e.found = append(e.found, finding{about, problem, remedy})
}

// all gives what is found.
func (e *examination) all(ctx context.Context) []finding {
	e.redirects()
	e.secrets()
	e.addresses()
	e.certificate()
	e.proxies()
	e.policy()
	e.hashing()
	e.sealing()
	e.database(ctx)
	e.permissions()
	e.smtp(ctx)
	e.templates(ctx)
	e.providers(ctx)
	return e.found
}

// redirects finds patterns that let strangers have tokens.
func (e *examination) redirects() {
	for _, glob := range e.c.URIAllowList {
		if problem := unsafeGlob(glob); problem != "" {
			e.add("GOTRUE_URI_ALLOW_LIST", fmt.Sprintf("%q %s", glob, problem), "name the hosts that are yours, such as https://*.example.com/**")
		}
	}
}

// unsafeGlob says what is wrong with a pattern; "" if nothing is.
func unsafeGlob(glob string) string {
	const wild = "*?[{"
	scheme, rest, ok := strings.Cut(glob, "://")
	if !ok {
		if strings.ContainsAny(glob[:1], wild) && !strings.Contains(glob, ".") {
			return "matches any host, so anybody can send himself other people's tokens"
		}
		scheme, rest = "https", glob
	}
	if strings.ContainsAny(scheme, wild) {
		return "leaves the scheme open, so tokens may go over a connection without TLS or to another app"
	}
	if scheme != "http" && scheme != "https" {
		return ""
	}
	host, _, _ := strings.Cut(rest, "/")
	host, _, _ = strings.Cut(host, ":")
	if caller.IsLoopbackHost(host) {
		return ""
	}
	labels := strings.Split(host, ".")
	owned := labels[max(0, len(labels)-2):]
	if len(labels) < 2 || slices.ContainsFunc(owned, func(l string) bool { return strings.ContainsAny(l, wild) }) {
		return "matches hosts of anybody, who can then send himself other people's tokens"
	}
	if suffix := strings.Join(owned, "."); len(labels) > 2 && slices.Contains(sharedHosts(), suffix) && strings.Trim(labels[len(labels)-3], "*") == "" {
		return "matches every customer of " + suffix
	}
	if scheme == "http" {
		return "allows http, so that tokens go over the network in clear"
	}
	return ""
}

// sharedHosts are domains below which anybody gets a host.
func sharedHosts() []string {
	return []string{
		"vercel.app", "netlify.app", "herokuapp.com", "github.io", "gitlab.io", "pages.dev", "workers.dev", "web.app", "firebaseapp.com",
		"ngrok.io", "ngrok.app", "ngrok-free.app", "onrender.com", "fly.dev", "railway.app", "surge.sh", "amplifyapp.com", "azurewebsites.net", "run.app",
	}
}

// secrets finds secrets that can be guessed; that they are short is a warning of config.
func (e *examination) secrets() {
	s := e.c.JWT.Secret
	if len(s) < 32 {
		return
	}
	distinct := map[byte]bool{}
	for i := range len(s) {
		distinct[s[i]] = true
	}
	lower := strings.ToLower(s)
	if len(distinct) < 10 || strings.Contains(lower, "secret") || strings.Contains(lower, "password") || strings.Contains(lower, "changeme") {
		e.add("GOTRUE_JWT_SECRET", "it looks made up by a person or copied from an example, and whoever guesses it can be anybody",
			"make one with: openssl rand -base64 48")
	}
}

// addresses finds URLs without TLS.
func (e *examination) addresses() {
	for key, raw := range map[string]string{"GOTRUE_SITE_URL": e.c.SiteURL, "GOTRUE_API_EXTERNAL_URL": e.c.API.ExternalURL} {
		u, err := url.Parse(raw)
		if raw == "" || err != nil || u.Scheme == "https" || caller.IsLoopbackHost(u.Host) {
			continue
		}
		e.add(key, "it is http, so that passwords and tokens go over the network in clear", "use https; see GOTRUE_API_TLS_CERT, or a proxy that speaks it")
	}
	if h := e.c.Profiler.Host; e.c.Profiler.Enabled && !caller.IsLoopbackHost(h) {
		e.add("GOTRUE_PROFILER_HOST", "profiles of the running program can be read from other machines", "set it to localhost")
	}
}

// certificate finds one that can't be used, ends soon or is for another host.
func (e *examination) certificate() {
	if !e.c.TLS() {
		return
	}
	pair, err := tls.LoadX509KeyPair(e.c.API.TLSCert, e.c.API.TLSKey)
	if err != nil {
		e.add("GOTRUE_API_TLS_CERT", "it can't be used: "+err.Error(), "name PEM files of a certificate and of its private key")
		return
	}
	leaf, err := x509.ParseCertificate(pair.Certificate[0])
	if err != nil {
		return
	}
	if left := time.Until(leaf.NotAfter); left < 14*24*time.Hour {
		e.add("GOTRUE_API_TLS_CERT", "it ends on "+leaf.NotAfter.Format(time.DateOnly), "renew it, then send SIGHUP")
	}
	u, err := url.Parse(e.c.API.ExternalURL)
	if err == nil && u.Hostname() != "" && leaf.VerifyHostname(u.Hostname()) != nil {
		e.add("GOTRUE_API_TLS_CERT", "it isn't for "+u.Hostname()+", the host of GOTRUE_API_EXTERNAL_URL", "use a certificate for that host")
	}
}

// proxies finds that clients can't be told apart, or can lie about their address.
func (e *examination) proxies() {
	c := e.c
	if len(c.API.TrustedProxies) > 0 || !c.Public() {
		return
	}
	const remedy = "set GOTRUE_API_TRUSTED_PROXIES to the networks of the proxies, such as 10.0.0.0/8"
	if c.Limits.Header != "" {
		e.add("GOTRUE_RATE_LIMIT_HEADER", "whoever reaches this server directly can write any address into "+c.Limits.Header+" and so has no limit", remedy)
		return
	}
	u, err := url.Parse(or(c.API.ExternalURL, c.SiteURL))
	if err == nil && u.Scheme == "https" && !c.TLS() {
		e.add("GOTRUE_API_TRUSTED_PROXIES", "a proxy seems to speak HTTPS for this server; its forwarding headers are ignored, so clients aren't limited by their address", remedy)
	}
}

// policy finds rules that are weak for a server that people reach.
func (e *examination) policy() {
	c := e.c
	if !c.Public() {
		return
	}
	if c.Mailer.AutoConfirm && c.EmailEnabled && !c.DisableSignup {
		e.add("GOTRUE_MAILER_AUTOCONFIRM", "anybody can make an account in another's name", "set it to false, and GOTRUE_SMTP_HOST")
	}
	if c.Phone.AutoConfirm && c.Phone.Enabled {
		e.add("GOTRUE_SMS_AUTOCONFIRM", "anybody can take another's number", "set it to false, and GOTRUE_SMS_PROVIDER")
	}
	if !c.Limits.Enabled {
		e.add("GOTRUE_RATE_LIMIT_ENABLED", "passwords can be guessed as fast as the server answers", "set it to true")
	}
}

// hashing finds hashes that are weak, or too large for the machine.
func (e *examination) hashing() {
	p := e.c.Password
	if p.Algorithm == "bcrypt" {
		if p.BcryptCost < 10 {
			e.add("GOTRUE_PASSWORD_BCRYPT_COST", "a cost under 10 makes stolen hashes cheap to break", "set it to 10 or more")
		}
		return
	}
	if p.Argon2Memory*p.Argon2Passes < 19456*2 && p.Argon2Memory < 47104 {
		e.add("GOTRUE_PASSWORD_ARGON2_MEMORY", "memory and passes are under what OWASP advises, which makes stolen hashes cheap to break", "set it to 19456, with 2 passes")
	}
	need := int64(p.Argon2Memory) * 1024 * int64(runtime.GOMAXPROCS(0))
	if have := memory(); have > 0 && need > have/2 {
		e.add("GOTRUE_PASSWORD_ARGON2_MEMORY", fmt.Sprintf("%d hashes at once take %d MiB, more than half of this machine's %d MiB", runtime.GOMAXPROCS(0), need>>20, have>>20),
			"lower it, or give the server more memory")
	}
}

// memory is what this machine or its container has; 0 if that isn't known.
func memory() int64 {
	var least int64
	if raw, err := os.ReadFile("/sys/fs/cgroup/memory.max"); err == nil {
		least, _ = strconv.ParseInt(strings.TrimSpace(string(raw)), 10, 64)
	}
	raw, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return least
	}
	for line := range bytes.Lines(raw) {
		f := strings.Fields(string(line))
		if len(f) >= 2 && f[0] == "MemTotal:" {
			kb, _ := strconv.ParseInt(f[1], 10, 64)
			if least == 0 || kb*1024 < least {
				least = kb * 1024
			}
		}
	}
	return least
}

// sealing finds an encryption key that lies where what it seals lies.
func (e *examination) sealing() {
	driver, _, err := e.c.DB.Resolve()
	if err != nil || driver == config.SQLite || e.c.Security.Encrypt || e.c.JWT.Secret != "" {
		return
	}
	e.add("GOTRUE_SECURITY_DATABASE_ENCRYPTION_ENCRYPT", "the key that seals the signing keys is made and kept in the database, so whoever reads a dump can be anybody",
		"set it to true, and GOTRUE_SECURITY_DATABASE_ENCRYPTION_ENCRYPTION_KEY to what this prints: openssl rand -base64 32")
}

// database finds one that can't be used. It doesn't make a file that isn't there.
func (e *examination) database(ctx context.Context) {
	const key = "GOTRUE_DB_DATABASE_URL"
	driver, dsn, err := e.c.DB.Resolve()
	if err != nil {
		return // config has found it
	}
	if driver == config.SQLite {
		if _, err := os.Stat(dsn); errors.Is(err, fs.ErrNotExist) {
			if info, err := os.Stat(filepath.Dir(dsn)); err != nil || !info.IsDir() {
				e.add(key, "its folder "+filepath.Dir(dsn)+" isn't there", "make the folder, writable for the server alone")
			}
			return
		}
	}
	if u, err := url.Parse(dsn); driver == config.Postgres && err == nil && u.Query().Get("sslmode") == "disable" && u.Hostname() != "" && !caller.IsLoopbackHost(u.Host) {
		e.add(key, "sslmode=disable sends the database's password and all accounts in clear", "use sslmode=verify-full")
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	s, err := e.c.DB.Open(ctx, slog.New(slog.DiscardHandler))
	if err != nil {
		e.add(key, "the database can't be opened: "+err.Error(), "mend the address")
		return
	}
	defer func() { _ = s.Close() }()
	m, ok := s.(store.Migrator)
	if !ok {
		return
	}
	have, want, err := m.MigrationStatus(ctx)
	switch {
	case err != nil:
		e.add(key, "the database doesn't answer: "+err.Error(), "start it, or mend the address")
	case have > want:
		e.add(key, "the schema is of a newer program", "use that program")
	case have < want && !e.c.DB.Migrate:
		e.add("GOTRUE_DB_MIGRATE", fmt.Sprintf("the schema has version %d and %d is needed, so the server won't start", have, want), "run: truekeel migrate")
	}
}

// permissions finds files that others can read.
func (e *examination) permissions() {
	secret := slices.Clone(e.files)
	if e.c.API.TLSKey != "" {
		secret = append(secret, e.c.API.TLSKey)
	}
	if driver, path, err := e.c.DB.Resolve(); err == nil && driver == config.SQLite {
		secret = append(secret, path, path+"-wal", path+".key")
	}
	for _, path := range secret {
		info, err := os.Stat(path)
		if err != nil || !info.Mode().IsRegular() || runtime.GOOS == "windows" {
			continue
		}
		if mode := info.Mode().Perm(); mode&0o004 != 0 {
			e.add(path, fmt.Sprintf("every user of this machine can read it (mode %04o)", mode), "run: chmod 600 "+path)
		}
	}
}

// smtp finds a mail server that can't be reached, or that won't get a password.
func (e *examination) smtp(ctx context.Context) {
	s := e.c.SMTP
	if s.Host == "" {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	startTLS, err := greet(ctx, s)
	address := net.JoinHostPort(s.Host, strconv.Itoa(int(s.Port)))
	switch implicit := s.TLS == "implicit" || s.TLS == "auto" && s.Port == 465; {
	case err != nil:
		e.add("GOTRUE_SMTP_HOST", "the mail server "+address+" can't be reached: "+err.Error(), "mend GOTRUE_SMTP_HOST and GOTRUE_SMTP_PORT, or let the connection through")
	case s.User != "" && !implicit && !startTLS && !caller.IsLoopbackHost(s.Host):
		e.add("GOTRUE_SMTP_HOST", "the mail server "+address+" offers no STARTTLS, so the password isn't sent and mails fail", "use its port with TLS, mostly 465")
	}
}

// greet connects to the mail server and reports whether it offers STARTTLS.
func greet(ctx context.Context, s config.SMTP) (startTLS bool, err error) {
	address := net.JoinHostPort(s.Host, strconv.Itoa(int(s.Port)))
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return false, err
	}
	defer func() { _ = conn.Close() }()
	if deadline, ok := ctx.Deadline(); ok {
		_ = conn.SetDeadline(deadline)
	}
	if s.TLS == "implicit" || s.TLS == "auto" && s.Port == 465 {
		conn = tls.Client(conn, &tls.Config{ServerName: s.Host, MinVersion: tls.VersionTLS12})
	}
	client, err := smtp.NewClient(conn, s.Host)
	if err != nil {
		return false, err
	}
	startTLS, _ = client.Extension("STARTTLS")
	return startTLS, client.Quit()
}

// templates finds templates that can't be fetched.
func (e *examination) templates(ctx context.Context) {
	for kind, address := range e.c.Mailer.Templates {
		if strings.HasPrefix(address, "file:") || address == "" {
			continue
		}
		if !strings.HasPrefix(address, "http://") && !strings.HasPrefix(address, "https://") {
			address = or(e.c.SiteURL, e.c.API.ExternalURL) + "/" + strings.TrimPrefix(address, "/")
		}
		if err := fetch(ctx, address); err != nil {
			e.add("GOTRUE_MAILER_TEMPLATES_"+strings.ToUpper(string(kind)), "the template can't be fetched: "+err.Error(), "mend the address; until then the built-in mail is sent")
		}
	}
}

func fetch(ctx context.Context, address string) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return errors.New("it answers " + resp.Status)
	}
	return nil
}

// providers finds identity providers that can't be reached.
func (e *examination) providers(ctx context.Context) {
	outside := providers.NewOutbound(nil, nil)
	defer outside.Close()
	for _, name := range slices.Sorted(maps.Keys(e.c.Providers)) {
		p := e.c.Providers[name]
		if !p.Enabled {
			continue
		}
		if err := e.reach(ctx, name, outside); err != nil {
			key := "GOTRUE_EXTERNAL_" + strings.ToUpper(name)
			about := key + "_ISSUER"
			if p.Issuer == "" && p.URL != "" {
				about = key + "_URL"
			} else if p.Issuer == "" {
				about = key + "_ENABLED"
			}
			e.add(about, "the provider can't be reached: "+err.Error(), "mend its address, or let the connection through; one inside of your own network needs "+key+"_INTERNAL=true")
		}
	}
}

// reach begins a sign-in, for which some providers are asked. Those of an address that
// the configuration gives are connected to in any case.
func (e *examination) reach(ctx context.Context, name string, outside *providers.Outbound) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	p, err := e.c.Provider(name)
	if err != nil {
		return err
	}
	if p, err = providers.Connect(p, outside); err != nil {
		return err
	}
	verifier := rand.Text() + rand.Text()
	to, err := p.Begin(ctx, providers.Begin{State: rand.Text(), Nonce: rand.Text(), Verifier: verifier, RedirectURL: or(e.c.API.ExternalURL, e.c.SiteURL) + "/callback"})
	if err != nil || e.c.Providers[name].URL == "" {
		return err
	}
	u, err := url.Parse(to.URL)
	if err != nil {
		return err
	}
	port := u.Port()
	if port == "" {
		port = u.Scheme
	}
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", net.JoinHostPort(u.Hostname(), port))
	if err != nil {
		return err
	}
	return conn.Close()
}
