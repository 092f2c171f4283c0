// Package process_test kills processes of the library, and lets several of them live on
// one database, to see what becomes of their mails.
package process_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/truekeel/auth"
	"github.com/truekeel/auth/internal/smtptest"
	"github.com/truekeel/auth/mail"
)

// These tests run this test binary again, as processes that serve one database file.
// Such a process is told by its environment where the file and the mail server are, and
// how far its clock is ahead; it signs up each address that it reads from its standard
// input and prints the address once the request was answered.

const fileVar, portVar, aheadVar = "AUTH_PROCESS_TEST_FILE", "AUTH_PROCESS_TEST_SMTP", "AUTH_PROCESS_TEST_AHEAD"

func TestMain(m *testing.M) {
	if os.Getenv(fileVar) == "" {
		os.Exit(m.Run())
	}
	live := serve
	if os.Getenv(hookVar) != "" {
		live = produce
	}
	if err := live(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// serve is the life of a process. It ends when its standard input does.
func serve() error {
	port, err := strconv.Atoi(os.Getenv(portVar))
	if err != nil {
		return err
	}
	ahead, err := time.ParseDuration(os.Getenv(aheadVar))
	if err != nil {
		return err
	}
	a, err := auth.New(
		auth.WithDatabaseFile(os.Getenv(fileVar)), auth.WithBcrypt(4), auth.WithoutLimits(),
		auth.WithClock(func() time.Time { return time.Now().Add(ahead) }),
		auth.WithMailer(mail.SMTP{Host: "127.0.0.1", Port: port, From: "auth@example.com"}),
	)
	if err != nil {
		return err
	}
	fmt.Println("ready")
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		body := strings.NewReader(`{"email":"` + lines.Text() + `","password":"correct horse battery"}`)
		r := httptest.NewRequestWithContext(context.Background(), http.MethodPost, "http://localhost/auth/signup", body)
		w := httptest.NewRecorder()
		a.ServeHTTP(w, r)
		if w.Code != http.StatusOK {
			return fmt.Errorf("%d %s", w.Code, w.Body)
		}
		fmt.Println(lines.Text())
	}
	return a.Close(context.Background())
}

// process is a running process.
type process struct {
	t   *testing.T
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Scanner
}

func start(t *testing.T, file string, server *smtptest.Server, ahead time.Duration) *process {
	t.Helper()
	return run(t, file, ahead, portVar+"="+strconv.Itoa(server.Port()))
}

// run starts this binary again as a process that lives on a file.
func run(t *testing.T, file string, ahead time.Duration, env ...string) *process {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Env = append(append(os.Environ(), fileVar+"="+file, aheadVar+"="+ahead.String()), env...)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	p := &process{t: t, cmd: cmd, in: in, out: bufio.NewScanner(out)}
	p.wait("ready")
	return p
}

func (p *process) wait(line string) {
	p.t.Helper()
	require.True(p.t, p.out.Scan(), "the process ended before it said %q", line)
	require.Equal(p.t, line, p.out.Text())
}

// signUp signs an address up and waits for the answer.
func (p *process) signUp(email string) {
	p.t.Helper()
	p.say(email)
	p.wait(email)
}

func (p *process) say(email string) {
	p.t.Helper()
	_, err := io.WriteString(p.in, email+"\n")
	require.NoError(p.t, err)
}

// kill ends the process as a power cut does.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
}

// stop ends the process as its host does, which waits for mails on their way.
func (p *process) stop() {
	p.t.Helper()
	require.NoError(p.t, p.in.Close())
	require.NoError(p.t, p.cmd.Wait())
}

// accepted gives a channel that hears of every mail that the server has taken.
func accepted(b smtptest.Behaviour, n int) (smtptest.Behaviour, chan struct{}) {
	got := make(chan struct{}, n)
	b.Accepted = func(net.Conn) error { got <- struct{}{}; return nil }
	return b, got
}

// ahead is further than a dead process's lease lasts.
const ahead = 5 * time.Minute

func TestKilledBetweenCommitAndDelivery(t *testing.T) {
	server, file := smtptest.New(t), filepath.Join(t.TempDir(), "auth.db")
	first := start(t, file, server, 0)
	dying := make(chan struct{})
	server.Behave(smtptest.Behaviour{Mail: func(string) error {
		first.kill() // it had begun to deliver
		close(dying)
		return smtptest.Refusal(421, [3]int{4, 3, 2}, "going down")
	}})
	first.say("ada@example.com")
	<-dying
	require.Empty(t, server.Received())

	b, got := accepted(smtptest.Behaviour{}, 1)
	server.Behave(b)
	second := start(t, file, server, ahead)
	<-got
	second.stop()
	require.Len(t, server.Received(), 1)
	require.Equal(t, []string{"ada@example.com"}, server.Received()[0].To)
}

// Who is killed after the server took the mail sends it again, under the same id, by
// which mail programs know it.
func TestKilledAfterTheServerAccepted(t *testing.T) {
	server, file := smtptest.New(t), filepath.Join(t.TempDir(), "auth.db")
	first := start(t, file, server, 0)
	dying := make(chan struct{})
	server.Behave(smtptest.Behaviour{Accepted: func(net.Conn) error {
		first.kill()
		close(dying)
		return nil
	}})
	first.say("ada@example.com")
	<-dying
	require.Len(t, server.Received(), 1)

	b, got := accepted(smtptest.Behaviour{}, 1)
	server.Behave(b)
	second := start(t, file, server, ahead)
	<-got
	second.stop()
	mails := server.Received()
	require.Len(t, mails, 2)
	require.NotEmpty(t, mails[0].Header("Message-Id"))
	require.Equal(t, mails[0].Header("Message-Id"), mails[1].Header("Message-Id"))
}

// Two live processes on one database never send one mail twice.
func TestTwoProcessesSendEachMailOnce(t *testing.T) {
	const each = 30
	server, file := smtptest.New(t), filepath.Join(t.TempDir(), "auth.db")
	b, got := accepted(smtptest.Behaviour{}, 4*each)
	server.Behave(b)
	var wg sync.WaitGroup
	processes := []*process{start(t, file, server, 0), start(t, file, server, 0)}
	for i, p := range processes {
		wg.Go(func() {
			for n := range each {
				p.signUp(fmt.Sprintf("p%d-%d@example.com", i, n))
			}
		})
	}
	wg.Wait()
	for range 2 * each {
		<-got
	}
	for _, p := range processes {
		p.stop()
	}
	ids, to := map[string]bool{}, map[string]bool{}
	for _, m := range server.Received() {
		ids[m.Header("Message-Id")], to[m.To[0]] = true, true
	}
	require.Len(t, server.Received(), 2*each)
	require.Len(t, ids, 2*each)
	require.Len(t, to, 2*each)
}
