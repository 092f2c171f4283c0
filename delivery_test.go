package auth_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/truekeel/auth"
	"github.com/truekeel/auth/internal/smtptest"
	"github.com/truekeel/auth/mail"
)

// openSMTP opens a door that sends its mails to a real mail server.
func openSMTP(t *testing.T, opts ...auth.Option) (*door, *smtptest.Server) {
	t.Helper()
	server := smtptest.New(t)
	d := open(t, append([]auth.Option{
		auth.WithMailer(mail.SMTP{Host: server.Host(), Port: server.Port(), From: "auth@example.com"}),
	}, opts...)...)
	return d, server
}

// misbehaviours are ways of a mail server not to take a mail that may succeed later.
func misbehaviours() map[string]func(s *smtptest.Server) {
	return map[string]func(s *smtptest.Server){
		"down": func(s *smtptest.Server) { s.Stop() },
		"busy": func(s *smtptest.Server) {
			s.Behave(smtptest.Behaviour{Mail: func(string) error { return smtptest.Refusal(421, [3]int{4, 3, 2}, "busy") }})
		},
		"greylisting": func(s *smtptest.Server) {
			s.Behave(smtptest.Behaviour{Rcpt: func(string) error { return smtptest.Refusal(451, [3]int{4, 7, 1}, "later") }})
		},
		"drops mid-DATA": func(s *smtptest.Server) {
			s.Behave(smtptest.Behaviour{Data: func(c net.Conn) error { return c.Close() }})
		},
		"refuses the data": func(s *smtptest.Server) {
			s.Behave(smtptest.Behaviour{Data: func(net.Conn) error { return smtptest.Refusal(452, [3]int{4, 3, 1}, "full") }})
		},
	}
}

// heal makes a mail server well-behaved again.
func heal(s *smtptest.Server, how string) {
	s.Behave(smtptest.Behaviour{})
	if how == "down" {
		s.Start()
	}
}

// attempt sends what is due, or fails to.
func (d *door) attempt() { _ = d.Auth.Deliver(context.WithoutCancel(d.t.Context())) }

// deliverUntil turns the clock from attempt to attempt until the server has n mails.
func (d *door) deliverUntil(s *smtptest.Server, n int) {
	d.t.Helper()
	for range 20 {
		d.attempt()
		if len(s.Received()) >= n {
			break
		}
		d.Clock.Advance(15 * time.Minute)
	}
	require.Len(d.t, s.Received(), n)
}

// By default the request is answered whatever the mail server does, and the mail goes
// out once it is back.
func TestDeliveryOnceTheServerIsBack(t *testing.T) {
	for how, misbehave := range misbehaviours() {
		t.Run(how, func(t *testing.T) {
			d, server := openSMTP(t, auth.WithCodes(auth.Codes{LinkLife: 24 * time.Hour}))
			misbehave(server)
			d.post("/signup", map[string]any{"email": "ada@example.com", "password": goodPassword}).want(http.StatusOK, nil)
			for range 3 {
				d.attempt()
				d.Clock.Advance(15 * time.Minute)
			}
			require.Empty(t, server.Received())
			heal(server, how)
			d.deliverUntil(server, 1)
			require.Equal(t, []string{"ada@example.com"}, server.Received()[0].To)
			require.NotEmpty(t, server.Received()[0].Header("Message-Id"))
			d.Clock.Advance(time.Hour)
			d.attempt()
			require.Len(t, server.Received(), 1, "and only once")
		})
	}
}

// A server that is slow keeps nobody waiting.
func TestDeliveryToASlowServer(t *testing.T) {
	d, server := openSMTP(t)
	asked, release := make(chan struct{}, 10), make(chan struct{})
	server.Behave(smtptest.Behaviour{Data: func(net.Conn) error { asked <- struct{}{}; <-release; return nil }})
	d.post("/signup", map[string]any{"email": "ada@example.com", "password": goodPassword}).want(http.StatusOK, nil)
	<-asked
	d.post("/signup", map[string]any{"email": "bob@example.com", "password": goodPassword}).want(http.StatusOK, nil)
	d.send(http.MethodGet, "/health", nil).want(http.StatusOK, nil)
	require.Empty(t, server.Received())
	close(release)
	d.deliverUntil(server, 2)
}

// What the server refuses for good isn't tried again; the person may ask again.
func TestDeliveryRefusedForGood(t *testing.T) {
	d, server := openSMTP(t)
	server.Behave(smtptest.Behaviour{Rcpt: func(string) error { return smtptest.Refusal(550, [3]int{5, 1, 1}, "no such user") }})
	d.post("/signup", map[string]any{"email": "ada@example.com", "password": goodPassword}).want(http.StatusOK, nil)
	d.attempt()
	sessions := server.Sessions()
	server.Behave(smtptest.Behaviour{})
	d.Clock.Advance(time.Hour)
	d.attempt()
	require.Equal(t, sessions, server.Sessions())
	d.post("/resend", map[string]any{"type": "signup", "email": "ada@example.com"}).want(http.StatusOK, nil)
	d.deliverUntil(server, 1)
}

// Whatever the answer to it was, a mail has one id.
func TestDeliveryKeepsItsMessageID(t *testing.T) {
	d, server := openSMTP(t)
	// The mail is kept, but the client never hears so.
	server.Behave(smtptest.Behaviour{Accepted: func(c net.Conn) error { _ = c.Close(); return nil }})
	d.post("/signup", map[string]any{"email": "ada@example.com", "password": goodPassword}).want(http.StatusOK, nil)
	d.deliverUntil(server, 1)
	server.Behave(smtptest.Behaviour{})
	d.Clock.Advance(15 * time.Minute)
	d.deliverUntil(server, 2)
	require.Equal(t, server.Received()[0].Header("Message-Id"), server.Received()[1].Header("Message-Id"))
}

// The worker gives up in the end.
func TestDeliveryGivesUp(t *testing.T) {
	d, server := openSMTP(t, auth.WithMailGiveUp(time.Hour))
	server.Stop()
	d.post("/signup", map[string]any{"email": "ada@example.com", "password": goodPassword}).want(http.StatusOK, nil)
	for range 10 {
		d.attempt()
		d.Clock.Advance(10 * time.Minute)
	}
	server.Start()
	for range 5 {
		d.Clock.Advance(time.Hour)
		d.attempt()
	}
	require.Empty(t, server.Received())
}

// ---- synchronous delivery

// syncAsks are the requests that send a mail, with what a failure of each is called.
var syncAsks = map[string]struct {
	text string
	ask  func(d *door, service header, in tokenAnswer) answer
}{
	"signup": {"Error sending confirmation email", func(d *door, _ header, _ tokenAnswer) answer {
		return d.post("/signup", map[string]any{"email": "new@example.com", "password": goodPassword})
	}},
	"repeated signup": {"Error sending confirmation email", func(d *door, _ header, _ tokenAnswer) answer {
		return d.post("/signup", map[string]any{"email": "ada@example.com", "password": goodPassword})
	}},
	"otp of a new address": {"Error sending confirmation email", func(d *door, _ header, _ tokenAnswer) answer {
		return d.post("/otp", map[string]any{"email": "new@example.com"})
	}},
	"recover": {"Error sending recovery email", func(d *door, _ header, _ tokenAnswer) answer {
		return d.post("/recover", map[string]any{"email": "ada@example.com"})
	}},
	"magiclink": {"Error sending magic link email", func(d *door, _ header, _ tokenAnswer) answer {
		return d.post("/magiclink", map[string]any{"email": "ada@example.com"})
	}},
	"invite": {"Error sending invite email", func(d *door, service header, _ tokenAnswer) answer {
		return d.post("/invite", map[string]any{"email": "new@example.com"}, service)
	}},
	"email change": {"Error sending email change email", func(d *door, _ header, in tokenAnswer) answer {
		return d.send(http.MethodPut, "/user", map[string]any{"email": "new@example.com"}, bearer(in.AccessToken))
	}},
	"reauthenticate": {"Error sending reauthentication email", func(d *door, _ header, in tokenAnswer) answer {
		return d.send(http.MethodGet, "/reauthenticate", nil, bearer(in.AccessToken))
	}},
}

func TestSyncDelivery(t *testing.T) {
	for name, c := range syncAsks {
		t.Run(name, func(t *testing.T) {
			server := smtptest.New(t)
			d, service := openAdmin(t, auth.WithSyncDelivery(), auth.WithMailer(mail.SMTP{Host: server.Host(), Port: server.Port(), From: "auth@example.com"}))
			d.confirmed("ada@example.com")
			in := d.signIn("ada@example.com")
			for how, misbehave := range misbehaviours() {
				misbehave(server)
				a := c.ask(d, service, in).wantFault(http.StatusInternalServerError, "unexpected_failure")
				require.Equal(t, c.text, a.object()["msg"], how)
				heal(server, how)
			}
			server.Behave(smtptest.Behaviour{Rcpt: func(string) error { return smtptest.Refusal(550, [3]int{5, 1, 1}, "no such user") }})
			c.ask(d, service, in).wantFault(http.StatusInternalServerError, "unexpected_failure")
			server.Behave(smtptest.Behaviour{})

			// Nothing is left that would go out later.
			d.Clock.Advance(2 * time.Minute)
			d.attempt()
			require.Empty(t, server.Received())
			// The clock stands still: the next one isn't too soon, and is sent before the
			// answer.
			c.ask(d, service, in).want(http.StatusOK, nil)
			want := 1
			if name == "email change" {
				want = 2
			}
			require.Len(t, server.Received(), want)
			d.attempt()
			require.Len(t, server.Received(), want)
		})
	}
}

// A server that takes the mail and says nothing is waited for as long as the mailer has
// patience, then it is as one that refuses.
func TestSyncDeliveryToASlowServer(t *testing.T) {
	server := smtptest.New(t)
	smtp := mail.SMTP{Host: server.Host(), Port: server.Port(), From: "auth@example.com", Timeout: 3 * time.Second}
	d := open(t, auth.WithSyncDelivery(), auth.WithMailer(smtp))
	release := make(chan struct{})
	server.Behave(smtptest.Behaviour{Data: func(net.Conn) error { <-release; return errors.New("too late") }})
	a := d.post("/signup", map[string]any{"email": "ada@example.com", "password": goodPassword}).wantFault(http.StatusInternalServerError, "unexpected_failure")
	require.Equal(t, "Error sending confirmation email", a.object()["msg"])
	require.True(t, d.account("ada@example.com").EmailConfirmedAt.IsZero())
	close(release)
	server.Behave(smtptest.Behaviour{})
	d.Clock.Advance(2 * time.Minute)
	d.attempt()
	require.Empty(t, server.Received(), "nothing is left that would go out later")
	d.post("/resend", map[string]any{"type": "signup", "email": "ada@example.com"}).want(http.StatusOK, nil)
	require.Len(t, server.Received(), 1)
}

// The account is there, unconfirmed, and doesn't say that a mail was sent.
func TestSyncDeliveryLeavesAConsistentAccount(t *testing.T) {
	s := fresh(t)
	server := smtptest.New(t)
	d := open(t, auth.WithStore(s), auth.WithSyncDelivery(), auth.WithMailer(mail.SMTP{Host: server.Host(), Port: server.Port(), From: "auth@example.com"}))
	server.Stop()
	d.post("/signup", map[string]any{"email": "ada@example.com", "password": goodPassword}).wantFault(http.StatusInternalServerError, "unexpected_failure")
	u, err := s.UserByEmail(t.Context(), "authenticated", "ada@example.com")
	require.NoError(t, err)
	require.True(t, u.EmailConfirmedAt.IsZero())
	require.True(t, u.ConfirmationSentAt.IsZero())
	d.post("/token?grant_type=password", map[string]any{"email": "ada@example.com", "password": goodPassword}).wantFault(http.StatusBadRequest, "email_not_confirmed")
	server.Start()
	d.post("/resend", map[string]any{"type": "signup", "email": "ada@example.com"}).want(http.StatusOK, nil)
	require.Len(t, server.Received(), 1)
}

// One of two mails that can't be sent takes the other one with it.
func TestSyncDeliveryOfTwoMails(t *testing.T) {
	server := smtptest.New(t)
	d := open(t, auth.WithSyncDelivery(), auth.WithMailer(mail.SMTP{Host: server.Host(), Port: server.Port(), From: "auth@example.com"}))
	d.confirmed("ada@example.com")
	in := d.signIn("ada@example.com")
	for _, bad := range []string{"new@example.com", "ada@example.com"} {
		server.Behave(smtptest.Behaviour{Rcpt: func(to string) error {
			if to == bad {
				return errors.New("no")
			}
			return nil
		}})
		d.send(http.MethodPut, "/user", map[string]any{"email": "new@example.com"}, bearer(in.AccessToken)).wantFault(http.StatusInternalServerError, "unexpected_failure")
	}
	server.Behave(smtptest.Behaviour{})
	before := len(server.Received())
	d.Clock.Advance(2 * time.Minute)
	d.attempt()
	require.Len(t, server.Received(), before)
	d.send(http.MethodPut, "/user", map[string]any{"email": "new@example.com"}, bearer(in.AccessToken)).want(http.StatusOK, nil)
	require.Len(t, server.Received(), before+2)
}

// A notification that can't be sent fails nothing: what it tells of has happened.
func TestSyncDeliveryOfNotifications(t *testing.T) {
	server := smtptest.New(t)
	d := open(t, auth.WithSyncDelivery(), auth.WithNotifications(mail.PasswordChanged),
		auth.WithMailer(mail.SMTP{Host: server.Host(), Port: server.Port(), From: "auth@example.com"}))
	d.confirmed("ada@example.com")
	in := d.signIn("ada@example.com")
	server.Stop()
	d.send(http.MethodPut, "/user", map[string]any{"password": "an even better one"}, bearer(in.AccessToken)).want(http.StatusOK, nil)
	server.Start()
	d.deliverUntil(server, 1)
}
