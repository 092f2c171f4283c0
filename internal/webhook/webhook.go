// Package webhook posts JSON to a server that the host names, signed after the Standard
// Webhooks specification (https://www.standardwebhooks.com), and reads what it answers
// within bounds of time and size. What the answer means is its callers' affair: hooks,
// events.
package webhook

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/truekeel/auth/internal/outbound"
)

// Timeout is how long a Post may take unless its Config says otherwise.
const Timeout = 5 * time.Second

// MaxAnswer is how many bytes of an answer are kept unless the Config says otherwise.
const MaxAnswer = 200 << 10

// Config makes a [Poster].
type Config struct {
	// Client sends, without following redirects and without cookies; its own bounds on
	// addresses hold. Nil: one that dials the addresses of Reach alone.
	Client *http.Client
	// Reach is which addresses are dialled without Client. Default: public ones.
	Reach outbound.Reach
	// Signer signs; nil: requests have no signature.
	Signer *Signer
	// Separator is what stands between the signatures of several secrets. Default: a
	// blank, as the specification has it.
	Separator string
	// Timeout is how long one Post may take, the answer's body included. Default 5 s.
	Timeout time.Duration
	// MaxAnswer is how many bytes of an answer's body are kept. Default 200 KiB.
	MaxAnswer int64
}

// Poster posts. It is safe for concurrent use. Close it.
type Poster struct {
	client  *http.Client
	own     bool
	signer  *Signer
	between string
	timeout time.Duration
	max     int64
}

// New makes a Poster.
func New(c Config) *Poster {
	p := &Poster{signer: c.Signer, between: c.Separator, timeout: c.Timeout, max: c.MaxAnswer}
	if p.between == "" {
		p.between = " "
	}
	if p.timeout <= 0 {
		p.timeout = Timeout
	}
	if p.max <= 0 {
		p.max = MaxAnswer
	}
	if c.Client != nil {
		p.client = outbound.Still(c.Client)
	} else {
		p.client, p.own = outbound.Poster(c.Reach), true
	}
	return p
}

// Close closes the connections that are kept open.
func (p *Poster) Close() {
	if p.own {
		p.client.CloseIdleConnections()
	}
}

// Message is what is posted.
type Message struct {
	// URL is where to.
	URL string
	// ID tells messages apart: a receiver that sees one twice may take the second for
	// done. Empty: the headers of Standard Webhooks are left out.
	ID string
	// At is when it is sent; receivers refuse what is minutes old or ahead.
	At time.Time
	// Body is JSON.
	Body []byte
	// Header is further headers, or nil.
	Header http.Header
}

// Answer is what came back.
type Answer struct {
	// Status is the HTTP status: also that of a redirect, which is never followed.
	Status int
	// Header is the answer's headers.
	Header http.Header
	// Body is the answer's body, at most Config.MaxAnswer bytes of it, as it was sent:
	// nothing is unpacked.
	Body []byte
	// More means that the body went on.
	More bool
}

// OK reports a status of 200 to 299.
func (a Answer) OK() bool { return a.Status >= 200 && a.Status < 300 }

// Post sends a message once. An error means that there is no whole answer: the address
// is none that may be dialled ([outbound.ErrForbiddenAddress]), nobody is there, the
// connection broke or it took too long. It names the URL's host, never its path, query or
// user, and no part of a body.
func (p *Poster) Post(ctx context.Context, m Message) (Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, m.URL, bytes.NewReader(m.Body))
	if err != nil {
		return Answer{}, fmt.Errorf("webhook: the URL can't be used: %w", outbound.Cause(err))
	}
	for name, values := range m.Header {
		req.Header[http.CanonicalHeaderKey(name)] = values
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	req.Header.Set("Accept-Encoding", "identity")
	req.Header.Set("User-Agent", "Truekeel")
	if m.ID != "" {
		req.Header.Set("webhook-id", m.ID)
		req.Header.Set("webhook-timestamp", strconv.FormatInt(m.At.Unix(), 10))
	}
	if m.ID != "" && p.signer != nil {
		req.Header.Set("webhook-signature", strings.Join(p.signer.Sign(m.ID, m.At, m.Body), p.between))
	}
	return p.do(req)
}

func (p *Poster) do(req *http.Request) (Answer, error) {
	resp, err := p.client.Do(req)
	if err != nil {
		return Answer{}, fmt.Errorf("webhook: %s: %w", req.URL.Host, outbound.Discreet(err))
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, p.max+1))
	if err != nil {
		return Answer{}, fmt.Errorf("webhook: %s: the answer broke off: %w", req.URL.Host, outbound.Discreet(err))
	}
	a := Answer{Status: resp.StatusCode, Header: resp.Header, Body: body}
	if int64(len(body)) > p.max {
		a.Body, a.More = body[:p.max], true
	}
	return a, nil
}
