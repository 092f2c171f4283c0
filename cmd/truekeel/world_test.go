package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"maps"
	"mime/quotedprintable"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/truekeel/auth"
	"github.com/truekeel/auth/authtest"
	"github.com/truekeel/auth/config"
	"github.com/truekeel/auth/internal/smtptest"
	"github.com/truekeel/auth/tokens"
)

const goodPassword = "correct horse battery 7"

// world is a server that was configured by variables, with what it sends and logs.
type world struct {
	t      *testing.T
	dir    string
	env    map[string]string
	mails  *smtptest.Server
	clock  *authtest.Clock
	log    *lockedBuffer
	err    error // of the start; the server is nil then
	server *server
	end    func() // stops the server and waits
}

// lockedBuffer is a buffer that several goroutines may write to.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// place is where worlds are kept: a folder, a mail server.
type place struct {
	dir    string
	mails  *smtptest.Server
	clock  *authtest.Clock
	client *http.Client // nil for the world's
}

func newPlace(t *testing.T) place {
	return place{dir: t.TempDir(), mails: smtptest.New(t), clock: authtest.NewClock()}
}

// base are the variables of every world: a site on this machine, a mail server, hashes
// that are quick. They leave alone what is tested.
func (p place) base() map[string]string {
	return map[string]string{
		"GOTRUE_SITE_URL": "http://localhost:3000", "DATABASE_URL": filepath.Join(p.dir, "auth.db"), "GOTRUE_API_HOST": "127.0.0.1",
		"PORT": "0", "API_EXTERNAL_URL": "http://localhost:9999", "GOTRUE_SMTP_HOST": p.mails.Host(),
		"GOTRUE_SMTP_PORT": strconv.Itoa(p.mails.Port()), "GOTRUE_SMTP_ADMIN_EMAIL": "accounts@example.com",
		"GOTRUE_PASSWORD_BCRYPT_COST": "4", "GOTRUE_SMTP_MAX_FREQUENCY": "1ns", "GOTRUE_RATE_LIMIT_EMAIL_SENT": "10000",
	}
}

// start starts a server with the base variables and those of env.
func (p place) start(t *testing.T, env map[string]string) *world {
	t.Helper()
	w := &world{t: t, dir: p.dir, env: p.base(), mails: p.mails, clock: p.clock, log: &lockedBuffer{}, end: func() {}}
	maps.Copy(w.env, env)
	var environ []string
	for k, v := range w.env {
		environ = append(environ, k+"="+v)
	}
	c, _, err := config.Parse(environ)
	if err != nil {
		w.err = err
		return w
	}
	logger, file, err := newLogger(c.Log, w.log)
	require.NoError(t, err)
	extra := []auth.Option{auth.WithClock(w.clock.Now)}
	if p.client != nil {
		extra = append(extra, auth.WithHTTPClient(p.client))
	}
	w.server, w.err = newServer(c, logger, extra...)
	if w.err != nil {
		w.server = nil
		require.NoError(t, file.Close())
		return w
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.server.run(ctx, nil, file) }()
	w.end = sync.OnceFunc(func() {
		cancel()
		require.NoError(t, <-done)
		w.server.close()
		require.NoError(t, file.Close())
	})
	t.Cleanup(w.end)
	return w
}

// reply is what the server answered.
type reply struct {
	status int
	header http.Header
	body   []byte
}

func (r reply) String() string {
	if code := r.header.Get("x-sb-error-code"); code != "" {
		return strconv.Itoa(r.status) + " " + code
	}
	return strconv.Itoa(r.status)
}

// field gives a part of the JSON body, "user.aud" for one inside another.
func (r reply) field(path string) string {
	var v any
	_ = json.Unmarshal(r.body, &v)
	for key := range strings.SplitSeq(path, ".") {
		m, _ := v.(map[string]any)
		v = m[key]
	}
	if s, ok := v.(string); ok {
		return s
	}
	text, _ := json.Marshal(v)
	return string(text)
}

// ask sends a request; headers are name, value, name, value, ...
func (w *world) ask(method, path string, body any, headers ...string) reply {
	w.t.Helper()
	var in io.Reader = http.NoBody
	if body != nil {
		raw, err := json.Marshal(body)
		require.NoError(w.t, err)
		in = bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(w.t.Context(), method, "http://"+w.server.listener.Addr().String()+path, in)
	require.NoError(w.t, err)
	for pair := range slices.Chunk(headers, 2) {
		if pair[0] == "Host" {
			req.Host = pair[1]
			continue
		}
		req.Header.Set(pair[0], pair[1])
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req)
	require.NoError(w.t, err)
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	require.NoError(w.t, err)
	return reply{resp.StatusCode, resp.Header, raw}
}

func (w *world) post(path string, body any, headers ...string) reply {
	w.t.Helper()
	return w.ask(http.MethodPost, path, body, headers...)
}

type object = map[string]any

func (w *world) signUp(email string, headers ...string) reply {
	w.t.Helper()
	return w.post("/signup", object{"email": email, "password": goodPassword}, headers...)
}

func (w *world) signIn(email string) reply {
	w.t.Helper()
	return w.post("/token?grant_type=password", object{"email": email, "password": goodPassword})
}

// member makes a confirmed account and signs it in by password.
func (w *world) member(email string) (access, refresh string) {
	w.t.Helper()
	_, err := w.server.auth.Users().Create(w.t.Context(), auth.NewUser{Email: email, Password: goodPassword, EmailConfirmed: true})
	require.NoError(w.t, err)
	return w.session(email)
}

func (w *world) session(email string) (access, refresh string) {
	w.t.Helper()
	r := w.signIn(email)
	require.Equal(w.t, 200, r.status, "%s", r.body)
	return r.field("access_token"), r.field("refresh_token")
}

func (w *world) refresh(token string) reply {
	w.t.Helper()
	return w.post("/token?grant_type=refresh_token", object{"refresh_token": token})
}

// service is a bearer header's two parts with a token of a role.
func (w *world) service(role string) []string {
	w.t.Helper()
	token, err := tokens.NewIssuer(w.server.auth.Keyring(), tokens.IssuerConfig{Now: w.clock.Now}).Issue(tokens.Claims{Role: role})
	require.NoError(w.t, err)
	return bearer(token)
}

func bearer(token string) []string { return []string{"Authorization", "Bearer " + token} }

// letter is a mail as its reader sees it.
type letter struct {
	smtptest.Received
	text string
}

// mailsTo gives the mails to an address, oldest first.
func (w *world) mailsTo(to string) []letter {
	w.t.Helper()
	require.NoError(w.t, w.server.auth.Deliver(w.t.Context()))
	var out []letter
	for _, m := range w.mails.Received() {
		if slices.Contains(m.To, to) {
			_, body, _ := bytes.Cut(m.Data, []byte("\r\n\r\n"))
			text, err := io.ReadAll(quotedprintable.NewReader(bytes.NewReader(body)))
			require.NoError(w.t, err)
			out = append(out, letter{m, string(text)})
		}
	}
	return out
}

// mail gives the newest mail to an address.
func (w *world) mail(to string) letter {
	w.t.Helper()
	all := w.mailsTo(to)
	require.NotEmpty(w.t, all, "no mail to %s", to)
	return all[len(all)-1]
}

func (l letter) code() string { return regexp.MustCompile(`\b\d{6,10}\b`).FindString(l.text) }

func (l letter) link() string {
	return strings.ReplaceAll(regexp.MustCompile(`https?://[^\s"<>]+token=[^\s"<>]+`).FindString(l.text), "&amp;", "&")
}

// claims reads a token without checking it.
func claims(t *testing.T, token string) (head, payload object) {
	t.Helper()
	parts := strings.Split(token, ".")
	require.Len(t, parts, 3)
	for i, v := range []*object{&head, &payload} {
		raw, err := base64.RawURLEncoding.DecodeString(parts[i])
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal(raw, v))
	}
	return head, payload
}

func exists(path string) string {
	_, err := os.Stat(path)
	return strconv.FormatBool(err == nil)
}
