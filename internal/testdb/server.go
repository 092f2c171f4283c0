//go:build unix

package testdb

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/truekeel/auth/internal/testport"
)

// Server is a database server of a test's own, which may be stopped and started again.
type Server struct {
	// DSN connects to it.
	DSN string

	driver string
	args   []string
	stop   syscall.Signal
	log    *output
	cmd    *exec.Cmd
	dir    string
}

// PostgresServer starts a PostgreSQL cluster in a temporary directory, from the
// binaries that Debian installs or that are in the path; else it skips the test.
func PostgresServer(t testing.TB) *Server {
	t.Helper()
	initdb := binary(t, "initdb", "/usr/lib/postgresql/*/bin/initdb")
	postgres := binary(t, "postgres", "/usr/lib/postgresql/*/bin/postgres")
	dir, port := directory(t), testport.Free(t)
	data := filepath.Join(dir, "data")
	setUp(t, dir, initdb, "-D", data, "-U", "root", "--auth=trust", "--encoding=UTF8", "--no-locale")
	s := &Server{
		DSN:    fmt.Sprintf("postgres://root@127.0.0.1:%d/postgres?sslmode=disable", port),
		driver: "pgx", dir: dir, log: &output{}, stop: syscall.SIGINT, // "fast shutdown"
		args: []string{postgres, "-D", data, "-k", dir, "-p", strconv.Itoa(port), "-c", "listen_addresses=127.0.0.1"},
	}
	s.begin(t)
	return s
}

// MySQLServer starts a MariaDB server in a temporary directory, if it is installed; else
// it skips the test. Its DSN names the database "test".
func MySQLServer(t testing.TB) *Server {
	t.Helper()
	install := binary(t, "mariadb-install-db", "")
	mariadbd := binary(t, "mariadbd", "/usr/sbin/mariadbd")
	dir, port := directory(t), testport.Free(t)
	data := filepath.Join(dir, "data")
	setUp(t, dir, install, "--no-defaults", "--datadir="+data, "--auth-root-authentication-method=normal", "--skip-name-resolve")
	address := fmt.Sprintf("root@tcp(127.0.0.1:%d)/", port)
	s := &Server{
		DSN:    address,
		driver: "mysql", dir: dir, log: &output{}, stop: syscall.SIGTERM,
		args: []string{
			mariadbd, "--no-defaults", "--datadir=" + data, "--port=" + strconv.Itoa(port),
			"--bind-address=127.0.0.1", "--socket=" + filepath.Join(dir, "socket"),
			"--pid-file=" + filepath.Join(dir, "pid"), "--skip-name-resolve",
		},
	}
	s.begin(t)
	run(t, "mysql", address, "CREATE DATABASE IF NOT EXISTS test CHARACTER SET utf8mb4")
	s.DSN += "test"
	return s
}

// PgBouncer starts a pooler in transaction mode in front of the server that the
// environment names, with fewer connections than a test opens, and gives its DSN. It
// skips the test if there is no server, or no pgbouncer.
func PgBouncer(t testing.TB) string {
	t.Helper()
	dsn := PostgresDSN(t)
	pgbouncer := binary(t, "pgbouncer", "/usr/sbin/pgbouncer")
	target, err := parsePostgres(dsn)
	if err != nil {
		t.Fatalf("testdb: %s: %v", PostgresVar, err)
	}
	dir, port := directory(t), testport.Free(t)
	config := fmt.Sprintf(`[databases]
pooled = %s
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = %d
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 5
max_client_conn = 200
ignore_startup_parameters = extra_float_digits
`, target, port)
	file := filepath.Join(dir, "pgbouncer.ini")
	if err := os.WriteFile(file, []byte(config), 0o644); err != nil { //nolint:gosec // another user reads it
		t.Fatalf("testdb: %v", err)
	}
	s := &Server{
		DSN:    fmt.Sprintf("postgres://pooled@127.0.0.1:%d/pooled?sslmode=disable", port),
		driver: "pgx", dir: dir, log: &output{}, stop: syscall.SIGTERM,
		args: []string{pgbouncer, file},
	}
	s.begin(t)
	return s.DSN
}

// begin starts the server for the length of the test.
func (s *Server) begin(t testing.TB) {
	t.Helper()
	t.Cleanup(func() {
		s.Stop(t)
		if t.Failed() {
			t.Logf("what the server said:\n%s", s.log)
		}
	})
	s.Start(t)
}

// Start starts the server and waits until it answers.
func (s *Server) Start(t testing.TB) {
	t.Helper()
	s.cmd = command(s.dir, s.args...)
	s.cmd.Stdout, s.cmd.Stderr = s.log, s.log
	if err := s.cmd.Start(); err != nil {
		t.Fatalf("testdb: %v", err)
	}
	db, err := sql.Open(s.driver, s.DSN)
	if err != nil {
		t.Fatalf("testdb: %v", err)
	}
	defer func() { _ = db.Close() }()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if err = db.PingContext(ctx); err == nil {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("testdb: the server doesn't answer: %v\n%s", err, s.log)
		case <-tick.C:
		}
	}
}

// Stop stops the server in an orderly way and waits for its end.
func (s *Server) Stop(t testing.TB) {
	t.Helper()
	s.end(t, s.stop)
}

// Crash stops the server without a chance to tidy up and waits for its end.
func (s *Server) Crash(t testing.TB) {
	t.Helper()
	if s.driver == "pgx" {
		s.end(t, syscall.SIGQUIT) // "immediate shutdown": kill -9 would leave its children
		return
	}
	s.end(t, syscall.SIGKILL)
}

func (s *Server) end(t testing.TB, signal syscall.Signal) {
	t.Helper()
	if s.cmd == nil {
		return
	}
	if err := s.cmd.Process.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Errorf("testdb: %v", err)
	}
	_ = s.cmd.Wait() // how it ended doesn't matter
	s.cmd = nil
}

// output keeps what a server writes.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// binary finds a program in the path or where pattern says, or skips the test.
func binary(t testing.TB, name, pattern string) string {
	t.Helper()
	if path, err := exec.LookPath(name); err == nil {
		return path
	}
	found, _ := filepath.Glob(pattern)
	if len(found) == 0 {
		t.Skipf("SKIPPED: %s is not installed", name)
	}
	return found[len(found)-1]
}

// directory makes a temporary directory for the user whom servers run as.
func directory(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "testdb-")
	if err != nil {
		t.Fatalf("testdb: %v", err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Errorf("testdb: %v", err)
		}
	})
	if c := unprivileged(); c != nil {
		if err := os.Chown(dir, int(c.Uid), int(c.Gid)); err != nil {
			t.Fatalf("testdb: %v", err)
		}
	}
	return dir
}

// unprivileged gives another user if this one is root, whom database servers refuse.
func unprivileged() *syscall.Credential {
	if os.Geteuid() != 0 {
		return nil
	}
	nobody, err := user.Lookup("nobody")
	if err != nil {
		return nil
	}
	uid, err1 := strconv.ParseUint(nobody.Uid, 10, 32)
	gid, err2 := strconv.ParseUint(nobody.Gid, 10, 32)
	if err1 != nil || err2 != nil {
		return nil
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
}

// command prepares a program that is run in dir without privileges, in a process group
// of its own, so that an interrupt at the terminal doesn't reach it before the test.
func command(dir string, args ...string) *exec.Cmd {
	cmd := exec.Command(args[0], args[1:]...) //nolint:gosec // the test's own arguments
	cmd.Dir = dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "TMPDIR=" + dir, "LC_ALL=C"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: unprivileged(), Setpgid: true}
	return cmd
}

func setUp(t testing.TB, dir string, args ...string) {
	t.Helper()
	if out, err := command(dir, args...).CombinedOutput(); err != nil {
		t.Fatalf("testdb: %s: %v\n%s", args[0], err, out)
	}
}

// parsePostgres gives a DSN as PgBouncer's list of databases wants it.
func parsePostgres(dsn string) (string, error) {
	c, err := pgx.ParseConfig(dsn)
	if err != nil {
		return "", err
	}
	target := fmt.Sprintf("host=%s port=%d user=%s dbname=%s", c.Host, c.Port, c.User, c.Database)
	if c.Password != "" {
		target += " password=" + c.Password
	}
	return target, nil
}
