package mail

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net"
	netmail "net/mail"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/truekeel/auth/internal/smtptest"
)

func smtpTo(s *smtptest.Server) SMTP {
	return SMTP{Host: s.Host(), Port: s.Port(), From: "accounts@example.com", Name: "Accounts"}
}

func sampleMessage() Message {
	return Message{
		Kind: Confirmation, To: "ada@example.com", Subject: "Hello", Text: "text\n", HTML: "<p>html</p>",
		MessageID: "0199-42@example.com", Locale: "de", Date: time.Date(2025, 3, 4, 5, 6, 7, 0, time.UTC),
	}
}

func TestSend(t *testing.T) {
	server := smtptest.New(t)
	s := smtpTo(server)
	s.Name = `Müller & "Söhne"`
	s.Headers = map[string][]string{"X-Mail-Type": {"auth $messageType"}, "reply-to": {"help@example.com"}}
	m := sampleMessage()
	m.Subject = "Bestätigen Sie Ihre Adresse — " + strings.Repeat("sehr ", 30)
	m.Text = "Zeile ä\n.\n" + strings.Repeat("x", 2000) + "\n"
	m.Headers = map[string][]string{"X-Request": {"7"}}
	require.NoError(t, s.Send(t.Context(), m))

	require.Len(t, server.Received(), 1)
	got := server.Received()[0]
	assert.Equal(t, "accounts@example.com", got.From)
	assert.Equal(t, []string{"ada@example.com"}, got.To)
	parsed, err := netmail.ReadMessage(strings.NewReader(string(got.Data)))
	require.NoError(t, err)
	from, err := parsed.Header.AddressList("From")
	require.NoError(t, err)
	assert.Equal(t, &netmail.Address{Name: `Müller & "Söhne"`, Address: "accounts@example.com"}, from[0])
	subject, err := new(mime.WordDecoder).DecodeHeader(parsed.Header.Get("Subject"))
	require.NoError(t, err)
	assert.Equal(t, strings.TrimSpace(m.Subject), subject)
	for name, want := range map[string]string{
		"To": "<ada@example.com>", "Message-Id": "<0199-42@example.com>", "Date": "Tue, 04 Mar 2025 05:06:07 +0000",
		"Auto-Submitted": "auto-generated", "Content-Language": "de", "X-Mail-Type": "auth confirmation",
		"Reply-To": "help@example.com", "X-Request": "7", "Mime-Version": "1.0", "User-Agent": "", "X-Mailer": "",
	} {
		assert.Equal(t, want, parsed.Header.Get(name), name)
	}
	for line := range strings.Lines(string(got.Data)) {
		assert.LessOrEqual(t, len(line), 1000)
		for i := range len(line) {
			assert.Less(t, line[i], byte(0x80), "%q", line)
		}
	}
	assert.Equal(t, map[string]string{"text/plain": m.Text, "text/html": m.HTML}, parts(t, parsed))
}

// parts gives the bodies of a multipart/alternative mail.
func parts(t *testing.T, m *netmail.Message) map[string]string {
	t.Helper()
	kind, parameters, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	require.NoError(t, err)
	require.Equal(t, "multipart/alternative", kind)
	found := map[string]string{}
	reader := multipart.NewReader(m.Body, parameters["boundary"])
	for {
		p, err := reader.NextRawPart()
		if errors.Is(err, io.EOF) {
			return found
		}
		require.NoError(t, err)
		kind, parameters, err := mime.ParseMediaType(p.Header.Get("Content-Type"))
		require.NoError(t, err)
		assert.Equal(t, "utf-8", strings.ToLower(parameters["charset"]))
		assert.Equal(t, "quoted-printable", p.Header.Get("Content-Transfer-Encoding"))
		body, err := io.ReadAll(quotedprintable.NewReader(p))
		require.NoError(t, err)
		found[kind] = strings.ReplaceAll(string(body), "\r\n", "\n")
	}
}

func TestSendMakesMessageID(t *testing.T) {
	server := smtptest.New(t)
	m := sampleMessage()
	m.MessageID = ""
	for range 2 {
		require.NoError(t, smtpTo(server).Send(t.Context(), m))
	}
	one, two := server.Received()[0].Header("Message-Id"), server.Received()[1].Header("Message-Id")
	assert.Regexp(t, `^<[A-Z2-7]{26}@example\.com>$`, one)
	assert.NotEqual(t, one, two)
}

// Nobody's text makes a header field or a second recipient.
func TestHeaderInjection(t *testing.T) {
	server := smtptest.New(t)
	lineBreak := "x\r\nBcc: victim@example.com\r\n\r\nbody"
	for name, change := range map[string]func(*SMTP, *Message){
		"subject": func(_ *SMTP, m *Message) { m.Subject = lineBreak },
		"name":    func(s *SMTP, _ *Message) { s.Name = lineBreak },
		"locale":  func(_ *SMTP, m *Message) { m.Locale = lineBreak },
		"bare cr": func(_ *SMTP, m *Message) { m.Subject = "x\rBcc: victim@example.com" },
		"nul":     func(_ *SMTP, m *Message) { m.Subject = "x\x00\x1b[31m" },
	} {
		s, m := smtpTo(server), sampleMessage()
		change(&s, &m)
		before := len(server.Received())
		require.NoError(t, s.Send(t.Context(), m), name)
		got := server.Received()[before]
		assert.Equal(t, []string{"ada@example.com"}, got.To)
		parsed, err := netmail.ReadMessage(strings.NewReader(string(got.Data)))
		require.NoError(t, err)
		assert.Empty(t, parsed.Header.Get("Bcc"), name)
		subject, err := new(mime.WordDecoder).DecodeHeader(parsed.Header.Get("Subject"))
		require.NoError(t, err)
		assert.False(t, strings.ContainsAny(subject, "\r\n\x00\x1b"), name)
	}
	before := server.Sessions()
	for name, change := range map[string]func(*Message){
		"to with break":   func(m *Message) { m.To = "ada@example.com\r\nBcc: victim@example.com" },
		"to with newline": func(m *Message) { m.To = "ada@example.com\n" },
		"two recipients":  func(m *Message) { m.To = "ada@example.com, victim@example.com" },
		"to with name":    func(m *Message) { m.To = "Ada <ada@example.com>" },
		"to with comment": func(m *Message) { m.To = "ada@example.com (hello)" },
		"to empty":        func(m *Message) { m.To = "" },
		"to two ats":      func(m *Message) { m.To = "a@b@c" },
		"to with nul":     func(m *Message) { m.To = "ada\x00@example.com" },
		"to too long":     func(m *Message) { m.To = strings.Repeat("a", 300) + "@example.com" },
		"from with break": func(m *Message) { m.From = "x@example.com\r\nBcc: victim@example.com" },
		"from nonsense":   func(m *Message) { m.From = "nobody" },
		"header value":    func(m *Message) { m.Headers = map[string][]string{"X-A": {"x\r\nBcc: victim@example.com"}} },
		"header name":     func(m *Message) { m.Headers = map[string][]string{"X-A: b\r\nBcc": {"victim@example.com"}} },
		"header bcc":      func(m *Message) { m.Headers = map[string][]string{"bCC": {"victim@example.com"}} },
		"header type":     func(m *Message) { m.Headers = map[string][]string{"content-type": {"text/plain"}} },
		"message id":      func(m *Message) { m.MessageID = "a@b>\r\nBcc: victim@example.com" },
		"message id none": func(m *Message) { m.MessageID = "@" },
	} {
		m := sampleMessage()
		change(&m)
		err := smtpTo(server).Send(t.Context(), m)
		require.Error(t, err, name)
		assert.True(t, Permanent(err), "%s: %v", name, err)
		assert.NotContains(t, err.Error(), "victim", name)
		assert.NotContains(t, err.Error(), "ada", name)
	}
	assert.Equal(t, before, server.Sessions(), "refused before anything is sent")
}

func TestFromOfMessage(t *testing.T) {
	server := smtptest.New(t)
	m := sampleMessage()
	m.From = "Other <other@example.com>"
	require.NoError(t, smtpTo(server).Send(t.Context(), m))
	assert.Equal(t, "other@example.com", server.Received()[0].From)
}

func TestOneForm(t *testing.T) {
	server := smtptest.New(t)
	m := sampleMessage()
	m.Text = ""
	require.NoError(t, smtpTo(server).Send(t.Context(), m))
	parsed, err := netmail.ReadMessage(strings.NewReader(string(server.Received()[0].Data)))
	require.NoError(t, err)
	assert.Equal(t, map[string]string{"text/plain": "html\n", "text/html": "<p>html</p>"}, parts(t, parsed))
	m.Text, m.HTML = "only text", ""
	require.NoError(t, smtpTo(server).Send(t.Context(), m))
	assert.True(t, strings.HasPrefix(server.Received()[1].Header("Content-Type"), "text/plain"))
}

// What the server does wrong, and whether it's worth another attempt.
func TestRefusals(t *testing.T) {
	refuse := func(code int) error {
		return smtptest.Refusal(code, [3]int{code / 100, 1, 1}, "no <ada@example.com> here, secret-password; see https://x.test/help")
	}
	for name, c := range map[string]struct {
		behaviour smtptest.Behaviour
		permanent bool
		says      string
	}{
		"rcpt 550":         {smtptest.Behaviour{Rcpt: func(string) error { return refuse(550) }}, true, "5.1.1 no <[redacted]> here,"},
		"rcpt 450":         {smtptest.Behaviour{Rcpt: func(string) error { return refuse(450) }}, false, "4.1.1"},
		"rcpt 530":         {smtptest.Behaviour{Rcpt: func(string) error { return refuse(530) }}, false, "530"},
		"mail 550":         {smtptest.Behaviour{Mail: func(string) error { return refuse(550) }}, false, "550"},
		"mail 451":         {smtptest.Behaviour{Mail: func(string) error { return refuse(451) }}, false, "451"},
		"data 554":         {smtptest.Behaviour{Accepted: func(net.Conn) error { return refuse(554) }}, true, "554"},
		"data 452":         {smtptest.Behaviour{Accepted: func(net.Conn) error { return refuse(452) }}, false, "452"},
		"drops before end": {smtptest.Behaviour{Data: func(c net.Conn) error { return c.Close() }}, false, ""},
		"drops at end":     {smtptest.Behaviour{Accepted: func(c net.Conn) error { return c.Close() }}, false, ""},
		"drops at start":   {smtptest.Behaviour{}, false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			server := smtptest.New(t)
			server.Behave(c.behaviour)
			s := smtpTo(server)
			if name == "drops at start" {
				server.Stop()
			}
			err := s.Send(t.Context(), sampleMessage())
			require.Error(t, err)
			assert.Equal(t, c.permanent, Permanent(err), err)
			assert.ErrorContains(t, err, c.says)
			assert.NotContains(t, err.Error(), "ada@")
			assert.Contains(t, err.Error(), "smtp 127.0.0.1:")
		})
	}
}

// A mail that the server has accepted is sent, whatever follows.
func TestAcceptedIsSent(t *testing.T) {
	server := smtptest.New(t)
	server.Behave(smtptest.Behaviour{Accepted: func(c net.Conn) error {
		_, err := c.Write([]byte("250 2.0.0 thanks\r\n"))
		return errors.Join(err, c.Close())
	}})
	require.NoError(t, smtpTo(server).Send(t.Context(), sampleMessage()))
	assert.Len(t, server.Received(), 1)
}

func TestSendHeedsContext(t *testing.T) {
	for name, wait := range map[string]func(chan struct{}) smtptest.Behaviour{
		"rcpt": func(c chan struct{}) smtptest.Behaviour {
			return smtptest.Behaviour{Rcpt: func(string) error { <-c; return nil }}
		},
		"data": func(c chan struct{}) smtptest.Behaviour {
			return smtptest.Behaviour{Data: func(net.Conn) error { <-c; return nil }}
		},
		"end": func(c chan struct{}) smtptest.Behaviour {
			return smtptest.Behaviour{Accepted: func(net.Conn) error { <-c; return nil }}
		},
	} {
		t.Run(name, func(t *testing.T) {
			server := smtptest.New(t)
			reached, release := make(chan struct{}), make(chan struct{})
			ctx, cancel := context.WithCancel(t.Context())
			b := wait(release)
			if b.Rcpt != nil {
				inner := b.Rcpt
				b.Rcpt = func(s string) error { close(reached); return inner(s) }
			}
			for _, f := range []*func(net.Conn) error{&b.Data, &b.Accepted} {
				if inner := *f; inner != nil {
					*f = func(c net.Conn) error { close(reached); return inner(c) }
				}
			}
			server.Behave(b)
			go func() { <-reached; cancel() }()
			err := smtpTo(server).Send(ctx, sampleMessage())
			close(release)
			require.ErrorIs(t, err, context.Canceled)
			assert.False(t, Permanent(err))

			s := smtpTo(server)
			s.Timeout = time.Millisecond
			hang := make(chan struct{})
			defer close(hang)
			server.Behave(smtptest.Behaviour{Rcpt: func(string) error { <-hang; return nil }})
			require.Error(t, s.Send(t.Context(), sampleMessage()))
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, smtpTo(smtptest.New(t)).Send(ctx, sampleMessage()), context.Canceled)
}

func selfSigned(t *testing.T) (server, client *tls.Config) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	certificate, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	pool := x509.NewCertPool()
	pool.AddCert(certificate)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}, &tls.Config{RootCAs: pool}
}

func TestTLS(t *testing.T) {
	config, trusted := selfSigned(t)
	plain, offers, implicit := smtptest.New(t), smtptest.NewTLS(t, config, false), smtptest.NewTLS(t, config, true)
	for name, c := range map[string]struct {
		server *smtptest.Server
		mode   TLSMode
		config *tls.Config
		ok     bool
		tls    bool
	}{
		"auto on loopback, none offered":    {plain, TLSAuto, trusted, true, false},
		"auto on loopback, offered":         {offers, TLSAuto, trusted, true, true},
		"auto, certificate unknown":         {offers, TLSAuto, nil, false, false},
		"demanded":                          {offers, TLSStartTLS, trusted, true, true},
		"demanded, none offered":            {plain, TLSStartTLS, trusted, false, false},
		"demanded, certificate unknown":     {offers, TLSStartTLS, nil, false, false},
		"opportunistic":                     {offers, TLSOpportunistic, trusted, true, true},
		"opportunistic, none offered":       {plain, TLSOpportunistic, trusted, true, false},
		"none":                              {offers, TLSNone, trusted, true, false},
		"from the first byte":               {implicit, TLSImplicit, trusted, true, true},
		"from the first byte, unknown":      {implicit, TLSImplicit, nil, false, false},
		"from the first byte, plain server": {plain, TLSImplicit, trusted, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			signedIn := ""
			c.server.Behave(smtptest.Behaviour{Auth: func(user, password string) error {
				if user != "mailer" || password != "secret-password" {
					return errors.New("no")
				}
				signedIn = user
				return nil
			}})
			s := smtpTo(c.server)
			s.TLS, s.TLSConfig = c.mode, c.config
			if !c.ok {
				s.Timeout = time.Second // two may wait for each other's first word
			}
			s.User, s.Password = "mailer", "secret-password"
			before := len(c.server.Received())
			err := s.Send(t.Context(), sampleMessage())
			if !c.ok {
				require.Error(t, err)
				assert.False(t, Permanent(err))
				assert.Empty(t, signedIn, "the password wasn't sent")
				return
			}
			require.NoError(t, err)
			got := c.server.Received()[before]
			assert.Equal(t, c.tls, got.TLS)
			assert.Equal(t, "mailer", got.User)
		})
	}
}

func TestSignInRefused(t *testing.T) {
	config, trusted := selfSigned(t)
	server := smtptest.NewTLS(t, config, false)
	server.Behave(smtptest.Behaviour{Auth: func(_, password string) error {
		return smtptest.Refusal(535, [3]int{5, 7, 8}, "bad password "+password)
	}})
	s := smtpTo(server)
	s.User, s.Password, s.TLSConfig = "mailer", "secret-password", trusted
	err := s.Send(t.Context(), sampleMessage())
	require.ErrorContains(t, err, "535")
	assert.False(t, Permanent(err), "the operator can mend it")
	assert.NotContains(t, err.Error(), "secret-password")

	server.Behave(smtptest.Behaviour{})
	require.ErrorContains(t, s.Send(t.Context(), sampleMessage()), "AUTH")
}

func TestValidate(t *testing.T) {
	good := SMTP{Host: "mail.example.com", From: "a@example.com"}
	require.NoError(t, good.Validate())
	for want, change := range map[string]func(*SMTP){
		"SMTP.Host":                   func(s *SMTP) { s.Host = "" },
		"without port or scheme":      func(s *SMTP) { s.Host = "smtp://x" },
		"SMTP.Port 70000":             func(s *SMTP) { s.Port = 70000 },
		"SMTP.From":                   func(s *SMTP) { s.From = "" },
		"put the display name":        func(s *SMTP) { s.From = "A <a@example.com>" },
		"SMTP.User and SMTP.Password": func(s *SMTP) { s.User = "x" },
		"send the password in clear":  func(s *SMTP) { s.User, s.Password, s.TLS = "x", "hunter2", TLSNone },
		`SMTP.TLS "ssl"`:              func(s *SMTP) { s.TLS = "ssl" },
		"SMTP.HELO":                   func(s *SMTP) { s.HELO = "a b" },
		"SMTP.Timeout":                func(s *SMTP) { s.Timeout = -1 },
		"To can't be set here":        func(s *SMTP) { s.Headers = map[string][]string{"to": {"x"}} },
		"line break":                  func(s *SMTP) { s.Headers = map[string][]string{"X-A": {"x\ny"}} },
		"no name":                     func(s *SMTP) { s.Headers = map[string][]string{"": {"x"}} },
	} {
		s := good
		change(&s)
		err := s.Validate()
		require.ErrorContains(t, err, want)
		assert.NotContains(t, err.Error(), "hunter2")
		require.Error(t, s.Send(t.Context(), sampleMessage()))
	}
}

func TestDefaults(t *testing.T) {
	for _, c := range []struct {
		s    SMTP
		port int
		mode TLSMode
	}{
		{SMTP{Host: "mail.example.com"}, 587, TLSStartTLS},
		{SMTP{Host: "mail.example.com", Port: 465}, 465, TLSImplicit},
		{SMTP{Host: "mail.example.com", TLS: TLSImplicit}, 465, TLSImplicit},
		{SMTP{Host: "mail.example.com", Port: 25}, 25, TLSStartTLS},
		{SMTP{Host: "localhost", Port: 1025}, 1025, TLSOpportunistic},
		{SMTP{Host: "::1"}, 587, TLSOpportunistic},
		{SMTP{Host: "mail.example.com", TLS: TLSNone}, 587, TLSNone},
	} {
		assert.Equal(t, c.port, c.s.port())
		assert.Equal(t, c.mode, c.s.mode())
	}
}

func FuzzCompose(f *testing.F) {
	f.Add("ada@example.com", "Hello", "Accounts", "id@example.com", "X-A", "v")
	f.Add("a@b\r\nBcc: c@d", "x\r\nBcc: c@d", "\x00", "@", "Bcc", "\n")
	f.Add("ü@ü.example", "ü", "=?utf-8?q?x?=", "<>@", "X-Ü", "ü")
	f.Fuzz(func(t *testing.T, to, subject, name, id, header, value string) {
		s := SMTP{Host: "h", From: "a@example.com", Name: name}
		msg, err := s.compose(Message{To: to, Subject: subject, MessageID: id, Headers: map[string][]string{header: {value}}, Text: "t"})
		if err != nil {
			assert.True(t, Permanent(err))
			return
		}
		var b strings.Builder
		_, err = msg.WriteTo(&b)
		require.NoError(t, err)
		parsed, err := netmail.ReadMessage(strings.NewReader(b.String()))
		require.NoError(t, err, "%q", b.String())
		assert.Empty(t, parsed.Header["Bcc"])
		assert.Len(t, parsed.Header["Subject"], 1)
		list, err := parsed.Header.AddressList("To")
		require.NoError(t, err)
		assert.Len(t, list, 1)
		assert.Equal(t, to, list[0].Address)
	})
}

func TestNothingSecretIsPrinted(t *testing.T) {
	s := SMTP{Host: "mail.example.com", From: "a@example.com", User: "u", Password: "secret-password"}
	e := sampleEvent(Confirmation, "en")
	var b strings.Builder
	for _, logger := range []*slog.Logger{slog.New(slog.NewTextHandler(&b, nil)), slog.New(slog.NewJSONHandler(&b, nil))} {
		logger.Info("x", "mailer", s, "event", e)
	}
	text := b.String() + fmt.Sprintf("%v %+v %#v %s", s, s, s, &s)
	assert.Contains(t, text, "mail.example.com:587")
	assert.Contains(t, text, e.MessageID)
	for _, secret := range []string{"secret-password", e.Token, e.TokenHash, e.To} {
		assert.NotContains(t, text, secret)
	}
}
