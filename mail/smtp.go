package mail

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	netmail "net/mail"
	"slices"
	"strconv"
	"strings"
	"time"

	gomail "github.com/wneessen/go-mail"
)

// TLSMode says how the connection to the mail server is protected.
type TLSMode string

// The modes.
const (
	// TLSAuto is the default: TLS from the first byte on port 465, TLSStartTLS on every
	// other port, except that a server on this machine's loopback may do without.
	TLSAuto TLSMode = ""
	// TLSStartTLS demands STARTTLS (RFC 3207).
	TLSStartTLS TLSMode = "starttls"
	// TLSImplicit speaks TLS from the first byte (RFC 8314).
	TLSImplicit TLSMode = "implicit"
	// TLSOpportunistic uses STARTTLS if the server offers it. Somebody on the way can
	// prevent it; passwords are never sent then, mails are.
	TLSOpportunistic TLSMode = "opportunistic"
	// TLSNone never uses TLS. With a user it is refused except on loopback.
	TLSNone TLSMode = "none"
)

// SMTP is a [Mailer] that hands mails to a mail server (RFC 5321), each over a connection
// of its own. It must not be changed once it is in use.
type SMTP struct {
	// Host is the server's name. Required.
	Host string
	// Port is the server's port. Default 587, with TLSImplicit 465.
	Port int
	// User and Password sign in to the server; "" for a server that asks for none.
	User     string
	Password string
	// From is the address that mails come from. Required.
	From string
	// Name is the sender's display name; "" for none.
	Name string
	// TLS protects the connection. Default TLSAuto.
	TLS TLSMode
	// TLSConfig is used in place of the default (TLS 1.2 or later, the server's name
	// checked); nil for the default.
	TLSConfig *tls.Config
	// Headers are further header fields of every mail. "$messageType" in a value stands
	// for the mail's kind.
	Headers map[string][]string
	// HELO is the name by which this machine introduces itself. Default: the domain of
	// From.
	HELO string
	// Timeout bounds the delivery of one mail. Default 30 s.
	Timeout time.Duration
}

// defaultTimeout is the default of SMTP.Timeout.
const defaultTimeout = 30 * time.Second

// Validate reports the first setting that is wrong; the error names the field and the
// remedy.
func (s SMTP) Validate() error {
	if s.Host == "" || strings.ContainsAny(s.Host, " \t\r\n/") {
		return fmt.Errorf("mail: SMTP.Host %q is no host name: set it to the mail server's, without port or scheme", s.Host)
	}
	if s.Port < 0 || s.Port > 65535 {
		return fmt.Errorf("mail: SMTP.Port %d is no port: use 587 or 465, or 0 for the default", s.Port)
	}
	if _, err := bareAddress(s.From); err != nil {
		return fmt.Errorf("mail: SMTP.From %q is no address: set it to one such as \"accounts@example.com\" and put the display name into SMTP.Name", s.From)
	}
	if (s.User == "") != (s.Password == "") {
		return errors.New("mail: SMTP.User and SMTP.Password belong together: set both or none")
	}
	switch s.TLS {
	case TLSAuto, TLSStartTLS, TLSImplicit, TLSOpportunistic:
	case TLSNone:
		if s.User != "" && !loopback(s.Host) {
			return errors.New("mail: SMTP.TLS is none, which would send the password in clear: use TLSStartTLS or TLSImplicit")
		}
	default:
		return fmt.Errorf("mail: SMTP.TLS %q is no mode: use one of starttls, implicit, opportunistic, none, or leave it empty", s.TLS)
	}
	if strings.ContainsFunc(s.HELO, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		return fmt.Errorf("mail: SMTP.HELO %q is no host name: set it to this machine's, or leave it empty", s.HELO)
	}
	if s.Timeout < 0 {
		return fmt.Errorf("mail: SMTP.Timeout %v is negative: use 0 for %v", s.Timeout, defaultTimeout)
	}
	if err := checkHeaders(s.Headers); err != nil {
		return fmt.Errorf("mail: SMTP.Headers: %w", err)
	}
	return nil
}

// Send delivers m to the server. Once the server has accepted the mail Send returns nil
// whatever happens to the connection afterwards.
func (s SMTP) Send(ctx context.Context, m Message) error {
	if err := s.Validate(); err != nil {
		return err
	}
	msg, err := s.compose(m)
	if err != nil {
		return err
	}
	timeout := s.Timeout
	if timeout == 0 {
		timeout = defaultTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()

	hangUp := func() {}
	client, err := s.client(timeout, func(dialCtx context.Context, network, address string) (net.Conn, error) {
		conn, err := s.dial(dialCtx, network, address)
		if err != nil {
			return nil, err
		}
		// The client itself looks at a context only while it dials, and may leave a
		// connection open that failed.
		stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
		hangUp = func() {
			stop()
			_ = conn.Close()
		}
		return conn, nil
	})
	if err != nil {
		return fmt.Errorf("mail: smtp: %w", err)
	}
	defer func() { hangUp() }()
	err = client.DialAndSendWithContext(ctx, msg)
	if err == nil || msg.IsDelivered() {
		return nil
	}
	return s.explain(ctx, err, m)
}

func (s SMTP) port() int {
	switch {
	case s.Port != 0:
		return s.Port
	case s.TLS == TLSImplicit:
		return gomail.DefaultPortSSL
	}
	return gomail.DefaultPortTLS
}

// mode is the TLS mode with TLSAuto decided.
func (s SMTP) mode() TLSMode {
	switch {
	case s.TLS != TLSAuto:
		return s.TLS
	case s.port() == gomail.DefaultPortSSL:
		return TLSImplicit
	case loopback(s.Host):
		return TLSOpportunistic
	}
	return TLSStartTLS
}

func (s SMTP) tlsConfig() *tls.Config {
	if s.TLSConfig == nil {
		return &tls.Config{ServerName: s.Host, MinVersion: tls.VersionTLS12}
	}
	c := s.TLSConfig.Clone()
	if c.ServerName == "" {
		c.ServerName = s.Host
	}
	return c
}

// dial connects.
func (s SMTP) dial(ctx context.Context, network, address string) (net.Conn, error) {
	var d net.Dialer
	if s.mode() != TLSImplicit {
		return d.DialContext(ctx, network, address)
	}
	t := tls.Dialer{NetDialer: &d, Config: s.tlsConfig()}
	return t.DialContext(ctx, network, address)
}

func (s SMTP) client(timeout time.Duration, dial gomail.DialContextFunc) (*gomail.Client, error) {
	helo := s.HELO
	if helo == "" {
		_, helo, _ = strings.Cut(s.From, "@")
	}
	policy := gomail.TLSMandatory
	switch s.mode() {
	case TLSImplicit, TLSNone:
		policy = gomail.NoTLS // for TLSImplicit, dial has seen to it
	case TLSOpportunistic:
		policy = gomail.TLSOpportunistic
	}
	options := []gomail.Option{
		gomail.WithPort(s.port()), gomail.WithTimeout(timeout), gomail.WithHELO(helo),
		gomail.WithTLSPolicy(policy), gomail.WithTLSConfig(s.tlsConfig()), gomail.WithDialContextFunc(dial),
		gomail.WithoutNoop(), gomail.WithoutRset(),
	}
	if s.User != "" {
		options = append(options, gomail.WithUsername(s.User), gomail.WithPassword(s.Password),
			gomail.WithOpportunisticSMTPAuth(gomail.SMTPAuthSCRAMSHA256, gomail.SMTPAuthSCRAMSHA1,
				gomail.SMTPAuthPlain, gomail.SMTPAuthLogin, gomail.SMTPAuthCramMD5))
	}
	return gomail.NewClient(s.Host, options...)
}

// compose makes the MIME message. What it refuses, it refuses for good.
func (s SMTP) compose(m Message) (*gomail.Msg, error) {
	from := &netmail.Address{Name: oneLine(s.Name), Address: s.From}
	if m.From != "" {
		parsed, err := netmail.ParseAddress(m.From)
		if err != nil || strings.ContainsAny(m.From, "\r\n") {
			return nil, fmt.Errorf("%w: the sender is no address", ErrPermanent)
		}
		from = &netmail.Address{Name: oneLine(parsed.Name), Address: parsed.Address}
	}
	to, err := bareAddress(m.To)
	if err != nil {
		return nil, fmt.Errorf("%w: the recipient is no address", ErrPermanent)
	}
	if err := checkHeaders(m.Headers); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrPermanent, err)
	}
	id := m.MessageID
	if id == "" {
		_, domain, _ := strings.Cut(s.From, "@")
		id = rand.Text() + "@" + domain
	}
	if !validMessageID(id) {
		return nil, fmt.Errorf("%w: the message id is malformed", ErrPermanent)
	}
	msg := gomail.NewMsg(gomail.WithNoDefaultUserAgent())
	msg.FromMailAddress(from)
	msg.ToMailAddress(&netmail.Address{Address: to})
	msg.Subject(oneLine(m.Subject))
	msg.SetMessageIDWithValue(id)
	if !m.Date.IsZero() {
		msg.SetDateWithValue(m.Date)
	}
	if m.Locale != "" {
		msg.SetGenHeader("Content-Language", oneLine(m.Locale))
	}
	s.addHeaders(msg, m)
	addBodies(msg, m)
	return msg, nil
}

// addHeaders adds the further fields; those of the message replace those of s.
func (s SMTP) addHeaders(msg *gomail.Msg, m Message) {
	// Nobody's out-of-office reply shall answer (RFC 3834).
	all := map[string][]string{"Auto-Submitted": {"auto-generated"}}
	for _, headers := range []map[string][]string{s.Headers, m.Headers} {
		for name, values := range headers {
			all[canonicalHeader(name)] = values
		}
	}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		values := slices.Clone(all[name])
		for i, v := range values {
			values[i] = strings.ReplaceAll(v, "$messageType", string(m.Kind))
		}
		msg.SetGenHeader(gomail.Header(name), values...)
	}
}

func addBodies(msg *gomail.Msg, m Message) {
	if m.HTML == "" {
		msg.SetBodyString(gomail.TypeTextPlain, m.Text)
		return
	}
	text := m.Text
	if text == "" {
		text = textOf(m.HTML)
	}
	msg.SetBodyString(gomail.TypeTextPlain, text)
	msg.AddAlternativeString(gomail.TypeTextHTML, m.HTML)
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// address is the server's address for errors.
func (s SMTP) address() string { return net.JoinHostPort(s.Host, strconv.Itoa(s.port())) }

// String names the server, and keeps the password out of what is printed.
func (s SMTP) String() string { return "smtp " + s.address() }

// GoString is String: %#v doesn't show the password either.
func (s SMTP) GoString() string { return s.String() }

// LogValue is String: logs don't show the password either.
func (s SMTP) LogValue() slog.Value { return slog.StringValue(s.String()) }
