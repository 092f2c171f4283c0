// Package outbound makes the HTTP client with which the library speaks to servers that
// others name: identity providers, webhooks. It bounds time, redirects and the size of
// answers, and refuses addresses that only the inside of a network should see.
package outbound

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"syscall"
	"time"
)

// The bounds of a client.
const (
	// Timeout is how long one request may take, with its redirects and its body.
	Timeout = 10 * time.Second
	// MaxBody is the number of bytes that are read of an answer.
	MaxBody = 1 << 20
	// MaxRedirects is how many redirects are followed.
	MaxRedirects = 3
)

// ErrForbiddenAddress means that a name resolved to an address that is not public.
var ErrForbiddenAddress = errors.New("outbound: address is not public")

// ErrTooLarge means an answer of more than MaxBody bytes.
var ErrTooLarge = errors.New("outbound: answer too large")

// ErrRedirect means a redirect that is not followed: one too many, of a request with a
// body, or away from https.
var ErrRedirect = errors.New("outbound: redirect not followed")

// Reach is which addresses a client dials. Link-local addresses and those of cloud
// metadata services are in none.
type Reach int

const (
	// Public is what anybody on the Internet reaches.
	Public Reach = iota
	// Loopback is this machine and nothing else.
	Loopback
	// Inside is everything: public, loopback and private addresses.
	Inside
)

// Client makes a client. With internal it also reaches loopback and private addresses;
// link-local ones and those of cloud metadata services stay refused. The check is made
// on the address that is dialled, after the name is resolved, so a name that changes
// its address can't get around it. Proxies from the environment are not used: behind
// one, the check would see only the proxy.
func Client(internal bool) *http.Client {
	reach := Public
	if internal {
		reach = Inside
	}
	return Bound(&http.Client{Transport: transport(reach)})
}

// Poster makes a client for requests that carry something. It follows no redirect, but
// gives its answer, and checks addresses as [Client] does. How much is read of an
// answer, and how long that may take, is up to the caller: it must bound both.
func Poster(reach Reach) *http.Client {
	t := transport(reach)
	// Servers close idle connections after some seconds, and a POST that meets such a
	// moment can't be told from one that failed: it is better to be first.
	t.IdleConnTimeout = 2 * time.Second
	t.DisableCompression = true
	return Still(&http.Client{Transport: t})
}

// Still gives a copy of c that follows no redirect, but gives its answer.
func Still(c *http.Client) *http.Client {
	still := *c
	still.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	still.Jar = nil
	return &still
}

func transport(reach Reach) *http.Transport {
	dialer := &net.Dialer{
		Timeout: Timeout,
		ControlContext: func(_ context.Context, _, address string, _ syscall.RawConn) error {
			return allow(address, reach)
		},
	}
	return &http.Transport{
		DialContext:            dialer.DialContext,
		ForceAttemptHTTP2:      true,
		TLSHandshakeTimeout:    Timeout,
		ResponseHeaderTimeout:  Timeout,
		MaxResponseHeaderBytes: 64 << 10,
		MaxIdleConns:           50,
		MaxIdleConnsPerHost:    4,
		IdleConnTimeout:        90 * time.Second,
	}
}

// Bound gives a copy of c with the bounds of this package on size and redirects, and on
// time unless c has its own. The addresses that c reaches are c's affair.
func Bound(c *http.Client) *http.Client {
	bounded := *c
	transport := c.Transport
	if transport == nil {
		transport = http.DefaultTransport
	}
	bounded.Transport = limited{transport}
	bounded.CheckRedirect = checkRedirect
	if bounded.Timeout == 0 {
		bounded.Timeout = Timeout
	}
	return &bounded
}

// checkRedirect follows a few redirects of requests that carry no body: a redirected
// POST would take its credentials along.
func checkRedirect(r *http.Request, via []*http.Request) error {
	first := via[0]
	switch {
	case len(via) > MaxRedirects:
		return fmt.Errorf("%w: more than %d", ErrRedirect, MaxRedirects)
	case first.Method != http.MethodGet && first.Method != http.MethodHead:
		return fmt.Errorf("%w: of a %s", ErrRedirect, first.Method)
	case first.URL.Scheme == "https" && r.URL.Scheme != "https":
		return fmt.Errorf("%w: away from https", ErrRedirect)
	}
	return nil
}

// allow decides about an address that is about to be dialled.
func allow(address string, reach Reach) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("%w: %s", ErrForbiddenAddress, address)
	}
	ip := at.Addr().Unmap().WithZone("")
	if never(ip) || !reach.has(ip) {
		return fmt.Errorf("%w: %s", ErrForbiddenAddress, ip)
	}
	return nil
}

// Names reports whether a URL's host can be within reach, as far as it can be told
// without asking for its address: a name may turn out not to be.
func (r Reach) Names(host string) bool {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return r != Public
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return true
	}
	ip = ip.Unmap().WithZone("")
	return !never(ip) && r.has(ip)
}

// has reports whether an address that isn't among those of never is within reach.
func (r Reach) has(ip netip.Addr) bool {
	switch r {
	case Inside:
		return true
	case Loopback:
		return ip.IsLoopback()
	}
	return !inside(ip)
}

// never reports addresses that no request of ours has a reason to reach. Those of
// metadata services that are not link-local are listed one by one.
func never(ip netip.Addr) bool {
	return !ip.IsValid() || ip.IsUnspecified() || ip.IsMulticast() || ip.IsLinkLocalUnicast() ||
		within(ip, "0.0.0.0/8", "240.0.0.0/4", "100.100.100.200/32", "fd00:ec2::254/128")
}

// inside reports addresses that lie inside of somebody's network: loopback, private
// (RFC 1918, RFC 4193), shared (RFC 6598), reserved for protocols, tests and
// documentation, and the IPv6 forms that embed an IPv4 address.
func inside(ip netip.Addr) bool {
	return ip.IsLoopback() || ip.IsPrivate() || within(ip,
		"100.64.0.0/10", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15",
		"198.51.100.0/24", "203.0.113.0/24",
		"::/96", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32",
		"2002::/16", "fec0::/10")
}

func within(ip netip.Addr, prefixes ...string) bool {
	for _, p := range prefixes {
		if netip.MustParsePrefix(p).Contains(ip) {
			return true
		}
	}
	return false
}

// limited bounds the bodies of answers.
type limited struct{ next http.RoundTripper }

func (l limited) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := l.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	if resp.ContentLength > MaxBody {
		_ = resp.Body.Close()
		return nil, ErrTooLarge
	}
	resp.Body = &body{ReadCloser: resp.Body, left: MaxBody}
	return resp, nil
}

// CloseIdleConnections lets http.Client's method of that name reach the transport.
func (l limited) CloseIdleConnections() {
	if c, ok := l.next.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// body reads at most left bytes, and fails rather than cut the rest off in silence.
type body struct {
	io.ReadCloser
	left int64
}

func (b *body) Read(p []byte) (int, error) {
	if b.left < 0 {
		return 0, ErrTooLarge
	}
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1]
	}
	n, err := b.ReadCloser.Read(p)
	b.left -= int64(n)
	if b.left < 0 {
		return n - 1, ErrTooLarge
	}
	return n, err
}
