// Package caller says who calls: the client's address behind any proxies, the id of
// the request, the bearer token. It is the one place that reads forwarding headers.
package caller

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"
)

const (
	maxUserAgent      = 512 // bytes
	maxAcceptLanguage = 256 // bytes
	maxRequestID      = 128 // bytes
)

// Info is what is known of the caller of one request. It is a value; the zero Info
// stands for a caller inside of the program.
type Info struct {
	// IP is the client's address, unmapped and without a zone; not valid if unknown.
	IP netip.Addr
	// Limitable reports whether IP stands for one client (or one client's network),
	// so that limits may be counted by it. It doesn't if it may be a proxy's address
	// that all clients share.
	Limitable bool
	// UserAgent is the User-Agent header: at most 512 bytes of valid UTF-8 without
	// control characters.
	UserAgent string
	// RequestID is never empty: it was adopted from the configured header or made.
	RequestID string
	// AcceptLanguage is the Accept-Language header, cleaned as UserAgent, at most 256
	// bytes.
	AcceptLanguage string
}

// LimitKey is what to count the caller's requests by: an IPv4 address, or the /64
// network of an IPv6 address, since a client moves freely inside of one. It is empty
// if the caller isn't Limitable.
func (i Info) LimitKey() string {
	if !i.Limitable || !i.IP.IsValid() {
		return ""
	}
	if i.IP.Is4() {
		return i.IP.String()
	}
	return netip.PrefixFrom(i.IP, 64).Masked().String()
}

// Config sets up a [Reader].
type Config struct {
	// TrustedProxies are the networks of the proxies in front of this server. What
	// they say of the client is believed, and nobody else.
	TrustedProxies []netip.Prefix
	// Header names the list of addresses that proxies append to; default
	// X-Forwarded-For if there are TrustedProxies, else none. A header named without
	// TrustedProxies is believed whoever sends it, and its last address is the
	// client's: this is for servers that can be reached through their proxy alone,
	// over a Unix socket for instance.
	Header string
	// RequestIDHeader names the header that the request's id is adopted from; none if
	// empty.
	RequestIDHeader string
	// NewID makes the id of a request that brings none: a UUID v4. Required.
	NewID func() string
	// Logger hears of a forwarding header that isn't believed. Required.
	Logger *slog.Logger
}

// Reader reads the caller off requests. It is safe for concurrent use.
type Reader struct {
	c    Config
	warn sync.Once
}

// New checks c and makes a Reader.
func New(c Config) (*Reader, error) {
	if c.NewID == nil || c.Logger == nil {
		return nil, errors.New("caller: Config.NewID and Logger are required")
	}
	for _, name := range []string{c.Header, c.RequestIDHeader} {
		if name != "" && !isToken(name) {
			return nil, fmt.Errorf("caller: %q is no name of a header", name)
		}
	}
	proxies := make([]netip.Prefix, 0, len(c.TrustedProxies))
	for _, p := range c.TrustedProxies {
		if !p.IsValid() {
			return nil, errors.New("caller: a trusted proxy is no network, such as 10.0.0.0/8")
		}
		proxies = append(proxies, unmapPrefix(p).Masked())
	}
	c.TrustedProxies = proxies
	if c.Header == "" && len(proxies) > 0 {
		c.Header = "X-Forwarded-For"
	}
	return &Reader{c: c}, nil
}

// Read says who sent r. It never fails: what is unknown or malformed is left out.
func (rd *Reader) Read(r *http.Request) Info {
	ip, limitable := rd.client(r)
	return Info{
		IP:             ip,
		Limitable:      limitable,
		UserAgent:      printable(r.UserAgent(), maxUserAgent),
		RequestID:      rd.requestID(r.Header),
		AcceptLanguage: printable(r.Header.Get("Accept-Language"), maxAcceptLanguage),
	}
}

func (rd *Reader) requestID(h http.Header) string {
	if rd.c.RequestIDHeader == "" {
		return rd.c.NewID()
	}
	id := h.Get(rd.c.RequestIDHeader)
	if id == "" || len(id) > maxRequestID || !isVisibleASCII(id) {
		return rd.c.NewID()
	}
	return id
}

// printable cuts s to most bytes of valid UTF-8 without control characters.
func printable(s string, most int) string {
	if len(s) > 4*most {
		s = s[:4*most] // what is dropped below is at most a part of this
	}
	s = strings.Map(func(r rune) rune {
		if r == utf8.RuneError || unicode.IsControl(r) {
			return -1
		}
		return r
	}, s)
	for len(s) > most {
		_, size := utf8.DecodeLastRuneInString(s)
		s = s[:len(s)-size]
	}
	return s
}

func isVisibleASCII(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// isToken reports whether s may name a header (RFC 9110, section 5.6.2).
func isToken(s string) bool {
	return isVisibleASCII(s) && !strings.ContainsAny(s, "\"(),/:;<=>?@[\\]{}")
}

type contextKey struct{}

// WithInfo returns a context that carries info.
func WithInfo(ctx context.Context, info Info) context.Context {
	return context.WithValue(ctx, contextKey{}, info)
}

// From gives the Info that ctx carries, and the zero Info if it carries none.
func From(ctx context.Context) Info {
	info, _ := ctx.Value(contextKey{}).(Info)
	return info
}
