// Package smtptest is a mail server for tests, a real one on loopback, that can be told to
// misbehave.
package smtptest

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/mail"
	"slices"
	"strconv"
	"sync"
	"testing"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"github.com/truekeel/auth/internal/testport"
)

// Received is a mail that the server has accepted.
type Received struct {
	From string
	To   []string
	Data []byte
	TLS  bool
	User string // who was signed in; "" for nobody
}

// Header gives a header field of the mail, not decoded.
func (r Received) Header(name string) string {
	m, err := mail.ReadMessage(bytes.NewReader(r.Data))
	if err != nil {
		return ""
	}
	return m.Header.Get(name)
}

// Behaviour is what the server does otherwise than well. An error is the answer to the
// command; nil is as good as no function.
type Behaviour struct {
	Auth func(user, password string) error
	Mail func(from string) error
	Rcpt func(to string) error
	// Data gets the connection before the mail is read and may do anything to it.
	Data func(c net.Conn) error
	// Accepted is called when the mail is kept, before the client is told.
	Accepted func(c net.Conn) error
}

// Server is the mail server.
type Server struct {
	t    testing.TB
	tls  *tls.Config
	addr string
	// implicit says that TLS is spoken from the first byte.
	implicit bool

	mu        sync.Mutex
	server    *smtp.Server
	listener  net.Listener
	served    chan struct{}
	behaviour Behaviour
	received  []Received
	sessions  int
}

// New starts a server that speaks no TLS. It stops with the test.
func New(t testing.TB) *Server { return start(t, nil, false) }

// NewTLS starts a server that offers STARTTLS, or with implicit speaks TLS from the first
// byte.
func NewTLS(t testing.TB, config *tls.Config, implicit bool) *Server {
	return start(t, config, implicit)
}

func start(t testing.TB, config *tls.Config, implicit bool) *Server {
	t.Helper()
	s := &Server{t: t, tls: config, implicit: implicit, addr: net.JoinHostPort("127.0.0.1", strconv.Itoa(testport.Free(t)))}
	s.Start()
	t.Cleanup(s.Stop)
	return s
}

// Start starts a stopped server, on the port that it had.
func (s *Server) Start() {
	s.t.Helper()
	listener, err := net.Listen("tcp", s.addr)
	if err != nil {
		s.t.Fatalf("smtptest: %v", err)
	}
	if s.implicit {
		listener = tls.NewListener(listener, s.tls)
	}
	server := smtp.NewServer(smtp.BackendFunc(func(c *smtp.Conn) (smtp.Session, error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.sessions++
		return &session{server: s, conn: c}, nil
	}))
	server.Domain, server.AllowInsecureAuth, server.EnableSMTPUTF8 = "localhost", true, true
	server.ErrorLog = quiet{}
	if !s.implicit {
		server.TLSConfig = s.tls
	}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = server.Serve(listener)
	}()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.server, s.listener, s.served = server, listener, served
}

// Stop takes the server down.
func (s *Server) Stop() {
	s.mu.Lock()
	server, listener, served := s.server, s.listener, s.served
	s.server = nil
	s.mu.Unlock()
	if server == nil {
		return
	}
	_ = server.Close()
	_ = listener.Close() // the server doesn't know it if it has only just begun
	<-served
}

// Host is where the server listens.
func (s *Server) Host() string { return "127.0.0.1" }

// Port is the server's port.
func (s *Server) Port() int {
	_, port, _ := net.SplitHostPort(s.addr)
	n, err := strconv.Atoi(port)
	if err != nil {
		s.t.Fatalf("smtptest: %v", err)
	}
	return n
}

// Behave makes the server behave so from now on; the zero value makes it well-behaved.
func (s *Server) Behave(b Behaviour) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.behaviour = b
}

// Received gives the mails that were accepted, oldest first.
func (s *Server) Received() []Received {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.received)
}

// Sessions says how many connections there were.
func (s *Server) Sessions() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sessions
}

func (s *Server) behave() Behaviour {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.behaviour
}

// Refusal is an answer with an enhanced status code (RFC 3463).
func Refusal(code int, enhanced [3]int, text string) error {
	return &smtp.SMTPError{Code: code, EnhancedCode: enhanced, Message: text}
}

type session struct {
	server   *Server
	conn     *smtp.Conn
	received Received
}

func (s *session) AuthMechanisms() []string {
	if s.server.behave().Auth == nil {
		return nil
	}
	return []string{sasl.Plain}
}

func (s *session) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, password string) error {
		auth := s.server.behave().Auth
		if auth == nil {
			return errors.New("no sign-in")
		}
		s.received.User = user
		return auth(user, password)
	}), nil
}

func (s *session) Reset()        { s.received.To = nil }
func (s *session) Logout() error { return nil }

func (s *session) Mail(from string, _ *smtp.MailOptions) error {
	s.received.From = from
	_, s.received.TLS = s.conn.TLSConnectionState()
	if f := s.server.behave().Mail; f != nil {
		return f(from)
	}
	return nil
}

func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.received.To = append(s.received.To, to)
	if f := s.server.behave().Rcpt; f != nil {
		return f(to)
	}
	return nil
}

func (s *session) Data(r io.Reader) error {
	b := s.server.behave()
	if b.Data != nil {
		if err := b.Data(s.conn.Conn()); err != nil {
			return err
		}
	}
	data, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	s.server.mu.Lock()
	kept := s.received
	kept.To, kept.Data = slices.Clone(kept.To), data
	s.server.received = append(s.server.received, kept)
	s.server.mu.Unlock()
	if b.Accepted != nil {
		return b.Accepted(s.conn.Conn())
	}
	return nil
}

type quiet struct{}

func (quiet) Printf(string, ...any) {}
func (quiet) Println(...any)        {}
