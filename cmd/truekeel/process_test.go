package main

import (
	"bufio"
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// command is the program in a folder, with nothing in its environment but the variables
// given.
func command(t *testing.T, dir string, vars []string, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), self, args...)
	cmd.Dir = dir
	cmd.Env = append([]string{asProgram + "=1", "PATH=" + os.Getenv("PATH"), "HOME=" + dir, "GOTRUE_PASSWORD_BCRYPT_COST=4"}, vars...)
	return cmd
}

// says runs a command to its end and gives what it prints; it must succeed.
func says(t *testing.T, dir string, vars []string, args ...string) string {
	t.Helper()
	out, err := command(t, dir, vars, args...).CombinedOutput()
	require.NoError(t, err, "%v: %s", args, out)
	return string(out)
}

// fails runs a command that must fail with exit code 1.
func fails(t *testing.T, dir string, vars []string, args ...string) string {
	t.Helper()
	out, err := command(t, dir, vars, args...).CombinedOutput()
	var exit *exec.ExitError
	require.ErrorAs(t, err, &exit, "%s", out)
	require.Equal(t, 1, exit.ExitCode(), "%s", out)
	return string(out)
}

// process is a running server.
type process struct {
	t    *testing.T
	cmd  *exec.Cmd
	out  *bufio.Reader
	errs bytes.Buffer
	addr string
	log  []map[string]any
}

// serve starts a server on a free port and waits until it serves.
func serve(t *testing.T, dir string, vars []string, args ...string) *process {
	t.Helper()
	p := &process{t: t, cmd: command(t, dir, append([]string{"PORT=0"}, vars...), args...)}
	out, err := p.cmd.StdoutPipe()
	require.NoError(t, err)
	p.out = bufio.NewReader(out)
	p.cmd.Stderr = &p.errs
	require.NoError(t, p.cmd.Start())
	t.Cleanup(func() { _ = p.cmd.Process.Kill() })
	p.addr, _ = p.until("serving")["address"].(string)
	return p
}

// until reads the log up to a message.
func (p *process) until(msg string) map[string]any {
	p.t.Helper()
	for {
		line, err := p.out.ReadString('\n')
		require.NoError(p.t, err, "the log ended before %q: %v\n%s", msg, p.log, &p.errs)
		var entry map[string]any
		require.NoError(p.t, json.Unmarshal([]byte(line), &entry), line)
		p.log = append(p.log, entry)
		if entry["msg"] == msg {
			return entry
		}
	}
}

func (p *process) get(path string) (int, string) {
	p.t.Helper()
	resp, err := http.Get("http://" + p.addr + path)
	require.NoError(p.t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(p.t, err)
	return resp.StatusCode, string(body)
}

// stop ends the server as an operator does, and it must end well.
func (p *process) stop() {
	p.t.Helper()
	require.NoError(p.t, p.cmd.Process.Signal(syscall.SIGTERM))
	_, err := io.Copy(io.Discard, p.out)
	require.NoError(p.t, err)
	require.NoError(p.t, p.cmd.Wait(), "%s", &p.errs)
}

func TestServeWithNothingSet(t *testing.T) {
	dir := t.TempDir()
	p := serve(t, dir, nil)
	require.True(t, strings.HasPrefix(p.addr, "127.0.0.1:") || strings.HasPrefix(p.addr, "[::1]:"), "it listens on %s", p.addr)
	for path, want := range map[string]int{"/health": 200, "/v1/health": 200, "/livez": 200, "/readyz": 200, "/settings": 200, "/nonsense": 404, "//livez": 404} {
		status, _ := p.get(path)
		require.Equal(t, want, status, path)
	}
	require.FileExists(t, filepath.Join(dir, "auth.db"))
	p.stop()
	require.Contains(t, p.errs.String(), "/dev/inbox/", "the inbox is told")
	require.NotContains(t, p.errs.String(), "panic")
}

func TestServeIsTheDefaultAndReadsFiles(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, ".env"), []byte("GOTRUE_DISABLE_SIGNUP=true\nGOTRUE_MAILER_OTP_EXPP=3\n# a comment\n"), 0o600))
	file := filepath.Join(dir, "more.env")
	require.NoError(t, os.WriteFile(file, []byte("GOTRUE_MAILER_AUTOCONFIRM=true\n"), 0o600))
	p := serve(t, dir, []string{"GOTRUE_MAILER_AUTOCONFIRM=false"}, "-c", file)
	_, body := p.get("/settings")
	require.Contains(t, body, `"disable_signup":true`, "from .env")
	require.Contains(t, body, `"mailer_autoconfirm":true`, "the file overrules the environment")
	p.stop()
	require.Contains(t, p.log[0]["msg"], "is GOTRUE_MAILER_OTP_EXP meant?")
}

func TestServeRefusesAllThatIsWrongAtOnce(t *testing.T) {
	out := fails(t, t.TempDir(), []string{"PORT=web", "GOTRUE_SITE_URL=app", "GOTRUE_JWT_EXP=soon", "GOTRUE_JWT_KEYS=[{]"})
	for _, part := range []string{
		`PORT: "web" is no port`, "GOTRUE_SITE_URL=https://app.example.com", `GOTRUE_JWT_EXP: "soon" is no duration`, "GOTRUE_JWT_KEYS", "4 of the settings",
	} {
		require.Contains(t, out, part)
	}
}

func TestHangUpReopensTheLogAndTheCertificate(t *testing.T) {
	dir := t.TempDir()
	cert, key := certificateFiles(t, time.Now().Add(time.Hour), "first.example")
	self := command(t, dir, []string{"PORT=0", "GOTRUE_LOG_FILE=server.log", "GOTRUE_API_TLS_CERT=" + cert, "GOTRUE_API_TLS_KEY=" + key})
	require.NoError(t, self.Start())
	t.Cleanup(func() { _ = self.Process.Kill() })
	log := filepath.Join(dir, "server.log")
	until := func(msg string) (entry map[string]any) {
		t.Helper()
		require.Eventually(t, func() bool {
			raw, _ := os.ReadFile(log)
			for line := range strings.Lines(string(raw)) {
				entry = nil
				if json.Unmarshal([]byte(line), &entry) == nil && entry["msg"] == msg {
					return true
				}
			}
			return false
		}, time.Minute, 10*time.Millisecond, msg)
		return entry
	}
	address, _ := until("serving")["address"].(string)
	named := func() string {
		t.Helper()
		conn, err := tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true})
		require.NoError(t, err)
		defer conn.Close()
		return conn.ConnectionState().PeerCertificates[0].Subject.CommonName
	}
	require.Equal(t, "first.example", named())

	require.NoError(t, os.Rename(log, log+".1"))
	other, otherKey := certificateFiles(t, time.Now().Add(time.Hour), "second.example")
	require.NoError(t, os.Rename(other, cert))
	require.NoError(t, os.Rename(otherKey, key))
	require.NoError(t, self.Process.Signal(syscall.SIGHUP))
	until("reloaded")
	require.Equal(t, "second.example", named())
	require.NoError(t, self.Process.Signal(syscall.SIGTERM))
	require.NoError(t, self.Wait())
	until("stopped")
}

func TestMigrate(t *testing.T) {
	dir := t.TempDir()
	require.Contains(t, fails(t, dir, nil, "migrate", "status"), "truekeel migrate")
	require.Contains(t, fails(t, dir, nil, "serve", "--no-migrate"), "migrate it")
	require.Contains(t, says(t, dir, nil, "migrate"), "up to date")
	require.Contains(t, says(t, dir, nil, "migrate", "up"), "up to date")
	require.Contains(t, says(t, dir, nil, "migrate", "status"), "the schema has version")
	serve(t, dir, nil, "serve", "--no-migrate").stop()
}

func TestAdmin(t *testing.T) {
	dir := t.TempDir()
	made := says(t, dir, nil, "admin", "createuser", "Ada@example.com", "secret-1", "editor", "--confirm")
	id := strings.Fields(made)[1]
	require.Contains(t, fails(t, dir, nil, "admin", "createuser", "ada@example.com", "secret-1"), "already")
	says(t, dir, nil, "admin", "createuser", "boss@example.com", "secret-2", "--admin")
	says(t, dir, []string{"GOTRUE_JWT_AUDIENCES=staff"}, "admin", "createuser", "ada@example.com", "secret-3", "-a", "staff")

	piped := command(t, dir, nil, "admin", "createuser", "pipe@example.com", "-")
	piped.Stdin = strings.NewReader("secret-4\n")
	require.NoError(t, piped.Run())

	list := says(t, dir, nil, "admin", "list")
	require.Contains(t, list, "ada@example.com")
	require.Regexp(t, `boss@example.com +admin +-`, list)
	require.Equal(t, 4, strings.Count(list, "\n"), "a head and three accounts: %s", list)
	require.Contains(t, says(t, dir, nil, "admin", "list", "-a", "staff"), "ada@example.com")
	require.Equal(t, 2, strings.Count(says(t, dir, nil, "admin", "list", "--limit", "1"), "\n"))
	require.Equal(t, 2, strings.Count(says(t, dir, nil, "admin", "list", "--filter", "boss", "--limit", "0"), "\n"))

	require.Equal(t, 4, strings.Count(says(t, dir, nil, "admin", "list", "--limit", "4"), "\n"))
	require.Contains(t, fails(t, dir, nil, "admin", "list", "--limit", "-1"), "--limit can't be negative")

	says(t, dir, nil, "admin", "confirm", "boss@example.com")
	says(t, dir, nil, "admin", "set-role", id, "owner")
	says(t, dir, nil, "admin", "reset-password", id, "secret-new")
	token := strings.TrimSpace(says(t, dir, nil, "admin", "token"))

	administers := func(p *process, token string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), "GET", "http://"+p.addr+"/admin/users/"+id, nil)
		require.NoError(t, err)
		req.Header.Set("Authorization", "Bearer "+token)
		resp, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, 200, resp.StatusCode, "the token administers")
	}

	p := serve(t, dir, nil)
	var user struct {
		User struct{ Role string }
	}
	require.NoError(t, json.Unmarshal(p.post("/token?grant_type=password", `{"email":"ada@example.com","password":"secret-new"}`), &user))
	require.Equal(t, "owner", user.User.Role)
	administers(p, token)
	p.stop()
	roles := []string{"GOTRUE_JWT_ADMIN_ROLES=boss,root"}
	p = serve(t, dir, roles)
	administers(p, strings.TrimSpace(says(t, dir, roles, "admin", "token")))
	p.stop()

	random := strings.Fields(says(t, dir, nil, "admin", "reset-password", "ada@example.com"))[1]
	require.GreaterOrEqual(t, len(random), 20)
	says(t, dir, nil, "admin", "deleteuser", id)
	says(t, dir, nil, "admin", "deleteuser", "boss@example.com", "--soft")
	require.Contains(t, fails(t, dir, nil, "admin", "deleteuser", "ada@example.com"), "not found")
	require.Contains(t, says(t, dir, nil, "admin", "list"), "deleted")
}

func (p *process) post(path, body string) []byte {
	p.t.Helper()
	resp, err := http.Post("http://"+p.addr+path, "application/json", strings.NewReader(body))
	require.NoError(p.t, err)
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	require.NoError(p.t, err)
	require.Equal(p.t, 200, resp.StatusCode, "%s", raw)
	return raw
}

func TestCommandsLeaveTheServersMails(t *testing.T) {
	dir := t.TempDir()
	vars := []string{"GOTRUE_MAILER_EMAIL_BACKGROUND_SENDING=true", "GOTRUE_SITE_URL=http://localhost:3000", "GOTRUE_SMTP_HOST=127.0.0.1", "GOTRUE_SMTP_PORT=1", "GOTRUE_SMTP_ADMIN_EMAIL=a@example.com"}
	p := serve(t, dir, vars)
	p.post("/signup", `{"email":"ada@example.com","password":"secret-1"}`)
	p.stop()
	says(t, dir, vars, "admin", "list")
	p = serve(t, dir, vars)
	p.until("outbox: not delivered, it will be tried again")
	p.stop()
}

func TestKeys(t *testing.T) {
	dir := t.TempDir()
	require.Regexp(t, `ES256 +current`, says(t, dir, nil, "keys", "list"))
	require.Contains(t, says(t, dir, nil, "keys", "rotate"), "is next")
	require.Regexp(t, `ES256 +next +\S+ +\d{4}-\d\d-\d\dT\d\d:\d\dZ\n`, says(t, dir, nil, "keys", "list"), "it signs in minutes, not in days")
	require.Contains(t, says(t, dir, nil, "keys", "rotate", "--now"), "is current")

	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	der, err := x509.MarshalPKCS8PrivateKey(private)
	require.NoError(t, err)
	file := filepath.Join(dir, "key.pem")
	require.NoError(t, os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600))
	imported := says(t, dir, nil, "keys", "import", file)
	require.Contains(t, imported, "is next")
	id := strings.Fields(imported)[0]
	require.Contains(t, says(t, dir, nil, "keys", "retire", id), "is retired")
	require.Contains(t, fails(t, dir, nil, "keys", "retire", "nonsense"), "nonsense")
	require.Contains(t, fails(t, dir, nil, "keys", "import", filepath.Join(dir, "auth.db")), "key")
	require.Equal(t, 4, strings.Count(says(t, dir, nil, "keys", "list"), "\n"))
	require.Contains(t, fails(t, dir, []string{"GOTRUE_JWT_SECRET=" + secret}, "keys", "rotate"), "GOTRUE_JWT_SECRET")
}

func TestVersionAndHelp(t *testing.T) {
	require.True(t, strings.HasPrefix(says(t, t.TempDir(), nil, "version"), "truekeel "))
	require.Contains(t, says(t, t.TempDir(), nil, "--help"), "doctor")
	for _, family := range [][]string{nil, {"serve"}, {"migrate"}, {"admin"}, {"keys"}, {"webhooks"}, {"multi"}, {"doctor"}, {"version"}} {
		require.Contains(t, fails(t, t.TempDir(), nil, append(family, "nonsense")...), "unknown command", family)
	}
	require.Contains(t, says(t, t.TempDir(), nil, "admin"), "createuser", "without a command of its own it shows them")
	require.Contains(t, fails(t, t.TempDir(), nil, "-c", "missing.env"), "missing.env")
}
