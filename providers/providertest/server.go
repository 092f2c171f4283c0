package providertest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

// Options of a Server; the zero value is good.
type Options struct {
	// ClientID and ClientSecret are the client's; by default those of this package.
	// CheckSecret, if set, judges the secret instead.
	ClientID, ClientSecret string
	CheckSecret            func(secret string) error
	// Now is the clock; time.Now if nil.
	Now func() time.Time
	// AutoApprove lets the first person in, or the one that "login_hint" names, without
	// showing the page.
	AutoApprove bool
	// Address is where Start listens; a free port of 127.0.0.1 if empty.
	Address string
	// People are who Start knows; four people of example.com if nil.
	People []Person
}

// Server is the provider. It is safe for concurrent use.
type Server struct {
	fixture Fixture
	options Options
	http    *http.Server
	keys    *keys

	mu       sync.Mutex
	faults   map[string]Fault
	bad      TokenFault
	grants   map[string]*grant // by code, request token and access token
	problems []string
	asked    map[string]int
}

// grant is what a person has allowed.
type grant struct {
	person                           int
	redirect, challenge, nonce, kind string
	token, secret                    string // of OAuth 1
	used                             bool
}

// New makes a Server that behaves as f says and is reached by its Client. It needs no
// Close.
func New(f Fixture, o Options) *Server {
	if o.ClientID == "" {
		o.ClientID = ClientID
	}
	if o.ClientSecret == "" {
		o.ClientSecret = ClientSecret
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Server{
		fixture: f, options: o, keys: newKeys(),
		faults: make(map[string]Fault), grants: make(map[string]*grant), asked: make(map[string]int),
	}
}

// Start makes an OpenID Connect issuer that listens on loopback, until Close.
func Start(o Options) (*Server, error) {
	if o.Address == "" {
		o.Address = "127.0.0.1:0"
	}
	listener, err := net.Listen("tcp", o.Address)
	if err != nil {
		return nil, fmt.Errorf("providertest: %w", err)
	}
	f := plain("http://" + listener.Addr().String())
	if o.People != nil {
		f.People = o.People
	}
	s := New(f, o)
	s.http = &http.Server{Handler: s, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = s.http.Serve(listener) }()
	return s, nil
}

// Close stops listening and ends what is going on, hung requests too.
func (s *Server) Close() {
	if s.http != nil {
		_ = s.http.Close()
	}
}

// Issuer is the issuer of the id tokens; for Start also the address it listens at.
func (s *Server) Issuer() string { return s.fixture.Issuer }

// Client is an HTTP client all of whose requests come to the server.
func (s *Server) Client() *http.Client {
	return &http.Client{Transport: transport{s}}
}

// Problems are the requests that the real provider would have turned away: addresses
// that it doesn't have, credentials in the wrong place, missing headers, codes used
// twice. Empty is good.
func (s *Server) Problems() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.problems)
}

// Unasked are the fixture's calls that nobody has made.
func (s *Server) Unasked() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var missing []string
	for _, c := range s.fixture.Calls {
		if !c.Optional && s.asked[bare(c.URL)] == 0 {
			missing = append(missing, c.URL)
		}
	}
	return missing
}

// Asked is how often an address was asked, whatever the query.
func (s *Server) Asked(address string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked[bare(address)]
}

func (s *Server) problem(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.problems = append(s.problems, fmt.Sprintf(format, args...))
}

// bare is an address without its query.
func bare(address string) string {
	before, _, _ := strings.Cut(address, "?")
	return before
}

// ServeHTTP answers as the provider's hosts would.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	scheme, host := r.URL.Scheme, r.URL.Host
	if host == "" {
		scheme, host = "http", r.Host
	}
	address := scheme + "://" + host + r.URL.EscapedPath()
	s.mu.Lock()
	s.asked[address]++
	fault := s.faults[address]
	s.mu.Unlock()
	if fault.serve(w, r) {
		return
	}
	s.route(w, r, address)
}

func (s *Server) route(w http.ResponseWriter, r *http.Request, address string) {
	f := s.fixture
	switch address {
	case f.Authorize:
		s.authorize(w, r)
		return
	case f.Token.URL:
		s.token(w, r)
		return
	}
	if f.OAuth1 != nil && (address == f.OAuth1.Request || address == f.OAuth1.Access) {
		s.oauth1(w, r, address)
		return
	}
	for _, issuer := range f.issuers() {
		switch address {
		case discoveryURL(issuer):
			writeJSON(w, http.StatusOK, s.discovery(issuer))
			return
		case keysURL(issuer):
			writeJSON(w, http.StatusOK, s.keys.set())
			return
		}
	}
	for _, c := range f.Calls {
		if address == bare(c.URL) {
			s.call(w, r, c)
			return
		}
	}
	s.problem("unknown address %s", address)
	http.NotFound(w, r)
}

// transport sends requests to a Server within the process.
type transport struct{ server *Server }

// RoundTrip is http.RoundTripper's.
func (t transport) RoundTrip(r *http.Request) (*http.Response, error) {
	inner := r.Clone(r.Context())
	inner.Host = r.URL.Host
	if inner.Body == nil {
		inner.Body = http.NoBody
	}
	defer func() { _ = inner.Body.Close() }()
	w := &recorder{header: http.Header{}, status: http.StatusOK}
	t.server.ServeHTTP(w, inner)
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	if w.broken {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")}
	}
	return &http.Response{
		Status: http.StatusText(w.status), StatusCode: w.status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: w.header, Body: body{bytes.NewReader(w.body.Bytes())}, ContentLength: -1, Request: r,
	}, nil
}

type body struct{ *bytes.Reader }

func (body) Close() error { return nil }

// recorder keeps an answer.
type recorder struct {
	header http.Header
	status int
	body   bytes.Buffer
	broken bool
}

func (w *recorder) Header() http.Header         { return w.header }
func (w *recorder) WriteHeader(status int)      { w.status = status }
func (w *recorder) Write(p []byte) (int, error) { return w.body.Write(p) }

// Visit plays the browser of a person who agrees: it opens the address that a sign-in
// begins with, and gives the parameters that the callback is called with. It works for
// started servers too, without a request.
func (s *Server) Visit(address string, person int) (url.Values, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, fmt.Errorf("providertest: %w", err)
	}
	if got := u.Scheme + "://" + u.Host + u.EscapedPath(); got != s.fixture.Authorize {
		s.problem("authorization page is at %s, not at %s", s.fixture.Authorize, got)
		return nil, fmt.Errorf("providertest: no authorization page at %s", got)
	}
	a, err := s.approve(u.Query(), person)
	return a.params, err
}

// Refuse plays the browser of a person who doesn't agree.
func (s *Server) Refuse(address string) (url.Values, error) {
	return s.Visit(address, nobody)
}

// nobody is the person who refuses.
const nobody = -1

// wait waits for the end of a request.
func wait(ctx context.Context) { <-ctx.Done() }
