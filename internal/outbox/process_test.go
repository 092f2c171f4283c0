package outbox

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/truekeel/auth/internal/smtptest"
	"github.com/truekeel/auth/mail"
	"github.com/truekeel/auth/store"
	"github.com/truekeel/auth/store/sqlite"
)

// What a process of these tests is told by its environment.
const (
	envRole = "OUTBOX_TEST_ROLE" // "commit", "deliver" or "serve"
	envPath = "OUTBOX_TEST_DB"
	envPort = "OUTBOX_TEST_PORT"
)

func TestMain(m *testing.M) {
	if role := os.Getenv(envRole); role != "" {
		child(role)
	}
	os.Exit(m.Run())
}

// child is a process with an Outbox. It ends by being killed, by itself or by the test.
func child(role string) {
	port, _ := strconv.Atoi(os.Getenv(envPort))
	t := &childT{}
	st, o := openMailer(t, os.Getenv(envPath), port, time.Now, func() {
		if role == "deliver" {
			killSelf() // after the server accepted, before it is noted
		}
	})
	switch role {
	case "commit":
		commitMail(t, st, o, 1)
		killSelf()
	case "deliver":
		commitMail(t, st, o, 1)
		_ = o.Flush(context.Background())
	case "serve":
		o.Start()
		_, _ = os.Stdout.WriteString("ready\n")
		_, _ = io.Copy(io.Discard, os.Stdin) // until the test lets go
		_ = o.Close(context.Background())
		_ = st.Close()
		os.Exit(0)
	}
	os.Exit(1)
}

// childT ends a child at the first failure.
type childT struct{ testing.TB }

func (*childT) Helper()                   {}
func (*childT) FailNow()                  { os.Exit(1) }
func (*childT) Errorf(f string, a ...any) { os.Exit(1) }

func killSelf() {
	p, _ := os.FindProcess(os.Getpid())
	_ = p.Kill()
	select {}
}

// openMailer opens the database and an Outbox that mails; sent is called after each mail.
func openMailer(t testing.TB, path string, port int, now func() time.Time, sent func()) (store.Store, *Outbox) {
	t.Helper()
	st, err := sqlite.Open(path)
	require.NoError(t, err)
	require.NoError(t, st.Migrate(context.Background()))
	smtp := mail.SMTP{Host: "127.0.0.1", Port: port, From: "accounts@example.com"}
	o, err := New(Config{
		Store: st, Sealer: testBox(t), Sender: "me", Domain: "example.com", Poll: 5 * time.Millisecond, Now: now,
		Permanent: mail.Permanent, Explain: func(err error) string { return err.Error() },
		Backoff: func(int) time.Duration { return time.Minute },
		Handlers: map[string]Handler{"mail": func(ctx context.Context, d Delivery) error {
			var m mail.Message
			if err := json.Unmarshal(d.Payload, &m); err != nil {
				return err
			}
			m.MessageID = d.MessageID
			if err := smtp.Send(ctx, m); err != nil {
				return err
			}
			sent()
			return nil
		}},
	})
	require.NoError(t, err)
	return st, o
}

func commitMail(t testing.TB, st store.Store, o *Outbox, n int) {
	t.Helper()
	require.NoError(t, st.Tx(context.Background(), func(tx store.Store) error {
		for range n {
			m := mail.Message{To: "ada@example.com", Subject: "Hello", Text: secretText}
			if _, err := o.Put(context.Background(), tx, Item{Kind: "mail", Payload: m}); err != nil {
				return err
			}
		}
		return nil
	}))
}

func startChild(t *testing.T, role, path string, port int) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	require.NoError(t, err)
	c := exec.CommandContext(t.Context(), exe)
	c.Env = append(os.Environ(), envRole+"="+role, envPath+"="+path, envPort+"="+strconv.Itoa(port))
	return c
}

func wasKilled(t *testing.T, err error) {
	t.Helper()
	var exit *exec.ExitError
	require.ErrorAs(t, err, &exit)
	require.Equal(t, -1, exit.ExitCode(), "it ended otherwise than by the signal")
}

func TestKilledBeforeDelivery(t *testing.T) {
	server, path := smtptest.New(t), t.TempDir()+"/auth.db"
	wasKilled(t, startChild(t, "commit", path, server.Port()).Run())
	assert.Empty(t, server.Received())

	st, o := openMailer(t, path, server.Port(), time.Now, func() {})
	require.NoError(t, o.Flush(t.Context()))
	require.Len(t, server.Received(), 1)
	assert.Equal(t, []string{"ada@example.com"}, server.Received()[0].To)
	require.NoError(t, o.Close(t.Context()))
	require.NoError(t, st.Close())
}

func TestKilledAfterAcceptance(t *testing.T) {
	server, path := smtptest.New(t), t.TempDir()+"/auth.db"
	wasKilled(t, startChild(t, "deliver", path, server.Port()).Run())
	require.Len(t, server.Received(), 1)

	clock := newClock()
	clock.now = time.Now()
	st, o := openMailer(t, path, server.Port(), clock.Now, func() {})
	require.NoError(t, o.Flush(t.Context()))
	assert.Len(t, server.Received(), 1, "the dead process may still be alive")
	clock.turn(DefaultLease)
	require.NoError(t, o.Flush(t.Context()))
	require.Len(t, server.Received(), 2, "at least once")
	id := server.Received()[0].Header("Message-Id")
	assert.NotEmpty(t, id)
	assert.Equal(t, id, server.Received()[1].Header("Message-Id"))
	clock.turn(DefaultLease)
	require.NoError(t, o.Flush(t.Context()))
	assert.Len(t, server.Received(), 2)
	require.NoError(t, o.Close(t.Context()))
	require.NoError(t, st.Close())
}

func TestTwoProcesses(t *testing.T) {
	server, path := smtptest.New(t), t.TempDir()+"/auth.db"
	st, o := openMailer(t, path, server.Port(), time.Now, func() {})
	var letGo []io.Closer
	var children []*exec.Cmd
	for range 2 {
		c := startChild(t, "serve", path, server.Port())
		in, err := c.StdinPipe()
		require.NoError(t, err)
		out, err := c.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, c.Start())
		_, err = bufio.NewReader(out).ReadString('\n')
		require.NoError(t, err)
		letGo, children = append(letGo, in), append(children, c)
	}
	const mails = 40
	for range mails / 4 {
		commitMail(t, st, o, 4)
	}
	for owed := true; owed; {
		debts, err := st.OwedBySender(t.Context())
		require.NoError(t, err)
		owed = len(debts) > 0
		time.Sleep(time.Millisecond) // the children have the processor
	}
	for i, c := range children {
		require.NoError(t, letGo[i].Close())
		require.NoError(t, c.Wait())
	}
	ids := map[string]bool{}
	for _, r := range server.Received() {
		ids[r.Header("Message-Id")] = true
	}
	assert.Len(t, server.Received(), mails)
	assert.Len(t, ids, mails)
	require.NoError(t, o.Close(t.Context()))
	require.NoError(t, st.Close())
}

// A server that is down, slow, drops the connection or refuses for now: the mail goes out
// once it is well again, under one id. One that refuses for good ends it.
func TestMisbehavingServer(t *testing.T) {
	for name, c := range map[string]struct {
		behaviour smtptest.Behaviour
		down      bool
		accepted  int // of the failing attempt
		forGood   bool
	}{
		"down":                 {down: true},
		"drops in DATA":        {behaviour: smtptest.Behaviour{Data: func(c net.Conn) error { return c.Close() }}},
		"drops after the mail": {behaviour: smtptest.Behaviour{Accepted: func(c net.Conn) error { return c.Close() }}, accepted: 1},
		"refuses for now":      {behaviour: smtptest.Behaviour{Rcpt: func(string) error { return smtptest.Refusal(451, [3]int{4, 3, 0}, "later") }}},
		"refuses for good":     {behaviour: smtptest.Behaviour{Rcpt: func(string) error { return smtptest.Refusal(550, [3]int{5, 1, 1}, "nobody") }}, forGood: true},
	} {
		t.Run(name, func(t *testing.T) {
			server, clock := smtptest.New(t), newClock()
			st, o := openMailer(t, t.TempDir()+"/auth.db", server.Port(), clock.Now, func() {})
			defer func() { assert.NoError(t, st.Close()) }()
			defer func() { assert.NoError(t, o.Close(context.Background())) }()
			commitMail(t, st, o, 1)
			server.Behave(c.behaviour)
			if c.down {
				server.Stop()
			}
			err := o.Flush(t.Context())
			require.Error(t, err)
			assert.Equal(t, c.forGood, mail.Permanent(err))
			assert.Len(t, server.Received(), c.accepted)

			server.Behave(smtptest.Behaviour{})
			if c.down {
				server.Start()
			}
			clock.turn(time.Minute)
			require.NoError(t, o.Flush(t.Context()))
			if c.forGood {
				assert.Empty(t, server.Received())
				return
			}
			received := server.Received()
			require.Len(t, received, c.accepted+1)
			id := received[0].Header("Message-Id")
			assert.Equal(t, id, received[len(received)-1].Header("Message-Id"))
			_, err = uuid.Parse(strings.TrimSuffix(strings.TrimPrefix(id, "<"), "@example.com>"))
			assert.NoError(t, err, id)
		})
	}
}
