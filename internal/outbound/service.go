package outbound

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"time"
)

// Account says where a service lies that the host has an account with, and how it is
// reached.
type Account struct {
	BaseURL string        // without a slash at its end
	Own     bool          // the host itself named BaseURL: it may lie inside of its network
	Client  *http.Client  // nil for one of this package
	Timeout time.Duration // of one request; zero for the package's
}

// At is an Account at base, unless own says otherwise: where the host put the service.
func At(base, own string, client *http.Client, timeout time.Duration) Account {
	a := Account{BaseURL: base, Client: client, Timeout: timeout}
	if own != "" {
		a.BaseURL, a.Own = own, true
	}
	return a
}

// Validate reports the first setting that is wrong, by the name of its field.
func (a Account) Validate() error {
	u, err := url.Parse(a.BaseURL)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return errors.New("BaseURL is no web address: give one like https://api.example.com, or none") // it may hold a password
	case u.Scheme == "http" && !onLoopback(u.Hostname()):
		return fmt.Errorf("BaseURL %q would send credentials in clear: use https", a.BaseURL)
	case a.Timeout < 0:
		return fmt.Errorf("%s %s is negative: use 0 for %s", "Timeout", a.Timeout, Timeout)
	}
	return nil
}

func onLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// Service posts forms to a service. The zero value is ready for use; it must always get
// the same Account. It is safe for concurrent use.
type Service struct {
	mu     sync.Mutex
	client *http.Client // nil until the first request
	shared bool         // the client's connections are the host's too
}

// Answer is what a service answered.
type Answer struct {
	Status int
	Body   []byte // at most MaxBody bytes
}

// Post sends a form to a path below the BaseURL. sign may add headers to the request; nil
// adds none. Errors hold neither the form nor the URL, nor what
// the service may have repeated of them.
func (s *Service) Post(ctx context.Context, a Account, path string, form url.Values, sign func(*http.Request)) (Answer, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimSuffix(a.BaseURL, "/")+path, strings.NewReader(form.Encode()))
	if err != nil {
		return Answer{}, errors.New("outbound: the request can't be made")
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Accept", "application/json")
	if sign != nil {
		sign(r)
	}
	resp, err := s.open(a).Do(r)
	if err != nil {
		return Answer{}, unanswered(ctx, err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return Answer{}, unanswered(ctx, err)
	}
	return Answer{Status: resp.StatusCode, Body: body}, nil
}

// open makes the client at the first request.
func (s *Service) open(a Account) *http.Client {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.client != nil {
		return s.client
	}
	timeout := a.Timeout
	if timeout == 0 {
		timeout = Timeout
	}
	if a.Client == nil {
		s.client = Client(a.Own)
		s.client.Timeout = timeout
		return s.client
	}
	s.client, s.shared = Bound(a.Client), true
	if a.Client.Timeout == 0 || a.Client.Timeout > timeout {
		s.client.Timeout = timeout
	}
	return s.client
}

// CloseIdleConnections closes the connections that no request uses, unless the client is
// the host's.
func (s *Service) CloseIdleConnections() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.client != nil && !s.shared {
		s.client.CloseIdleConnections()
	}
}

// unanswered is the error of a request that got no answer, fit for a log.
func unanswered(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return fmt.Errorf("outbound: gave up: %w", cause)
	}
	var network net.Error
	if errors.As(err, &network) && network.Timeout() {
		return fmt.Errorf("outbound: no answer in time: %w", context.DeadlineExceeded)
	}
	return fmt.Errorf("outbound: no answer: %w", Discreet(err))
}
