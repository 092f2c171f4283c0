package breach

import (
	"bytes"
	"context"
	"crypto/sha1" // #nosec G505 -- the service's index; nothing rests on its strength
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/truekeel/auth/internal/outbound"
)

const (
	// DefaultBaseURL is the range API of Have I Been Pwned.
	DefaultBaseURL = "https://api.pwnedpasswords.com"
	// DefaultUserAgent is how a [HIBP] calls itself; the service refuses requests without.
	DefaultUserAgent = "truekeel-auth (+https://github.com/truekeel/auth)"
	// DefaultTimeout is how long a [HIBP] waits for an answer.
	DefaultTimeout = 5 * time.Second

	// maxAnswer bounds an answer in bytes: one has some 1000 to 2000 lines of 40.
	maxAnswer = 512 << 10
)

// HIBPConfig sets up a [HIBP]. Zero fields have defaults.
type HIBPConfig struct {
	// BaseURL is where the range API is, without /range; default [DefaultBaseURL]. A
	// mirror may be inside of your network.
	BaseURL string
	// UserAgent names the program to the service; default [DefaultUserAgent].
	UserAgent string
	// Timeout bounds one request; default [DefaultTimeout].
	Timeout time.Duration
	// Client sends the requests. Redirects aren't followed. Default: one of the
	// library's own, which reaches only public addresses unless BaseURL is set.
	Client *http.Client
	// Bloom keeps what was found in memory; nil for nothing.
	Bloom *BloomConfig
}

// HIBP asks the range API of Have I Been Pwned (or one that speaks like it). Of a
// password the first five hexadecimal digits of its SHA-1 leave the program, which some
// thousand leaked passwords share; which of them was meant, or whether any, stays here.
// The answer is padded, so that its size doesn't tell the digits.
//
// It is safe for concurrent use and starts no goroutine.
type HIBP struct {
	base, agent string
	timeout     time.Duration
	client      *http.Client
	seen        *bloom // nil if nothing is kept
}

// NewHIBP checks c and makes a [HIBP]. It asks nothing yet.
func NewHIBP(c HIBPConfig) (*HIBP, error) {
	h := &HIBP{base: c.BaseURL, agent: c.UserAgent, timeout: c.Timeout}
	if h.base == "" {
		h.base = DefaultBaseURL
	}
	h.base = strings.TrimRight(h.base, "/")
	if u, err := url.Parse(h.base); err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("breach: BaseURL is no web address; give one like %q", DefaultBaseURL)
	}
	if h.agent == "" {
		h.agent = DefaultUserAgent
	}
	if strings.ContainsFunc(h.agent, func(r rune) bool { return r < ' ' || r > '~' }) {
		return nil, errors.New("breach: UserAgent has characters that a header can't have; give letters, digits and punctuation")
	}
	if h.timeout == 0 {
		h.timeout = DefaultTimeout
	}
	if h.timeout < 0 {
		return nil, errors.New("breach: Timeout is negative")
	}
	if c.Client == nil {
		c.Client = outbound.Client(c.BaseURL != "")
	}
	client := *c.Client
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	h.client = &client
	if c.Bloom != nil {
		var err error
		if h.seen, err = newBloom(*c.Bloom); err != nil {
			return nil, err
		}
	}
	return h, nil
}

// Breached reports whether the password is known to have leaked: because it was found
// before and is kept, else because the service says so.
func (h *HIBP) Breached(ctx context.Context, password string) (bool, error) {
	sum := sha1.Sum([]byte(password)) // #nosec G401 -- the service's index
	if h.seen != nil && h.seen.has(sum) {
		return true, nil
	}
	name := strings.ToUpper(hex.EncodeToString(sum[:]))
	answer, err := h.ask(ctx, name[:prefixDigits])
	if err != nil {
		return false, err
	}
	found, err := lists(answer, name[prefixDigits:])
	if found && h.seen != nil {
		h.seen.add(sum)
	}
	return found, err
}

// ask fetches the range of a prefix. No error holds the address, which ends in the
// prefix, nor an answer that repeats it.
func (h *HIBP) ask(ctx context.Context, prefix string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, h.timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, h.base+"/range/"+prefix, http.NoBody)
	if err != nil {
		return nil, errors.New("breach: BaseURL makes no request")
	}
	req.Header.Set("User-Agent", h.agent)
	req.Header.Set("Add-Padding", "true")
	resp, err := h.client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("breach: the service can't be asked: %w", outbound.Discreet(err))
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("breach: the service answers with status %d", resp.StatusCode)
	}
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return nil, fmt.Errorf("breach: the service's answer breaks off: %w", outbound.Discreet(err))
	}
	if len(answer) > maxAnswer {
		return nil, fmt.Errorf("breach: the service's answer is larger than %d bytes", maxAnswer)
	}
	return answer, nil
}

// CloseIdleConnections closes the connections that nobody uses. [github.com/truekeel/auth.Auth.Close]
// calls it; the HIBP stays usable.
func (h *HIBP) CloseIdleConnections() { h.client.CloseIdleConnections() }

const (
	prefixDigits = 5
	suffixDigits = 2*sha1.Size - prefixDigits
)

var errAnswer = errors.New("breach: the service's answer is not what a range looks like")

// lists reports whether a range has a suffix. A range is lines of a suffix, a colon and
// how often it was seen: 0 for padding, which doesn't count. Every line is read, and one
// that looks otherwise spoils the whole: who answers so is another than was asked.
func lists(answer []byte, suffix string) (bool, error) {
	found, lines := false, 0
	for len(answer) > 0 {
		line, rest, _ := bytes.Cut(answer, []byte("\n"))
		answer = rest
		line = bytes.TrimSuffix(line, []byte("\r"))
		if len(line) == 0 && len(answer) == 0 && lines > 0 {
			break
		}
		if !isEntry(line) {
			return false, errAnswer
		}
		lines++
		if strings.EqualFold(string(line[:suffixDigits]), suffix) && len(bytes.Trim(line[suffixDigits+1:], "0")) > 0 {
			found = true
		}
	}
	if lines == 0 {
		return false, errAnswer // every range has some
	}
	return found, nil
}

// isEntry reports whether a line is a suffix and a count.
func isEntry(line []byte) bool {
	if len(line) < suffixDigits+2 || line[suffixDigits] != ':' {
		return false
	}
	for i, b := range line {
		digit := '0' <= b && b <= '9'
		letter := 'a' <= b && b <= 'f' || 'A' <= b && b <= 'F'
		if i != suffixDigits && !digit && (i > suffixDigits || !letter) {
			return false
		}
	}
	return true
}
