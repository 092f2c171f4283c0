package tokens

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// VerifierConfig configures a [Verifier]. The zero value is strict and sensible.
type VerifierConfig struct {
	// Now is the clock; time.Now by default.
	Now func() time.Time

	// Issuer is the iss that tokens must have; "" for any or none.
	Issuer string
	// Audiences are those of which a token must name one; empty for any or none.
	Audiences []string
	// AllowNoExpiry accepts tokens without exp, as services use them. A stolen one is
	// good until its key is retired.
	AllowNoExpiry bool

	// MaxBytes is the length up to which a token is looked at. Default 8192.
	MaxBytes int
	// CacheSize is how many verified tokens are kept. Default 4096; negative for none.
	CacheSize int
	// CacheBytes bounds the memory of the kept tokens, about. Default 16 MiB.
	CacheBytes int
}

const (
	defaultMaxBytes   = 8192
	defaultCacheSize  = 4096
	defaultCacheBytes = 16 << 20
	// maxHeaderBytes bounds a token's encoded header, which is parsed before the
	// signature is checked; one with an id of the greatest length takes less.
	maxHeaderBytes = 1024
)

// Verifier checks access tokens. Verified ones are kept in memory by their whole text, so
// that the next request with the same token costs a look-up and no cryptography; their
// times are checked each time, and all are dropped when a key stops verifying. Refused
// tokens are not kept. It is safe for concurrent use.
type Verifier struct {
	keys  *Keyring
	cfg   VerifierConfig
	cache *cache
}

// NewVerifier makes a Verifier.
func NewVerifier(k *Keyring, cfg VerifierConfig) *Verifier {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.MaxBytes <= 0 {
		cfg.MaxBytes = defaultMaxBytes
	}
	if cfg.CacheSize == 0 {
		cfg.CacheSize = defaultCacheSize
	}
	if cfg.CacheBytes <= 0 {
		cfg.CacheBytes = defaultCacheBytes
	}
	cfg.Audiences = slices.Clone(cfg.Audiences)
	return &Verifier{keys: k, cfg: cfg, cache: newCache(cfg.CacheSize, cfg.CacheBytes)}
}

// Verify checks a token and gives its claims, which are shared: don't change them, see
// [Claims.Clone]. A token is good if its key is one of the Keyring's and is used with its
// own algorithm, its signature is right, its exp has not come and its nbf has, and its
// issuer and audience are those configured. iat isn't judged.
//
// The error is one of [ErrTooLong], [ErrMalformed], [ErrAlgorithm], [ErrUnknownKey],
// [ErrSignature], [ErrClaims], [ErrExpired], [ErrNotYetValid]: the first that applies, in
// this order. ctx bounds the wait for the store when the key is unknown, and nothing else.
func (v *Verifier) Verify(ctx context.Context, token string) (*Claims, error) {
	if len(token) > v.cfg.MaxBytes {
		return nil, ErrTooLong
	}
	snap := v.keys.active.Load()
	if c := v.cache.get(token, snap.epoch); c != nil {
		return v.timely(c)
	}
	if !isCompact(token) {
		return nil, ErrMalformed
	}
	c, snap, err := v.verify(ctx, snap, token)
	if err != nil {
		return nil, err
	}
	if c, err = v.timely(c); err == nil {
		v.cache.add(token, c, snap.epoch)
	}
	return c, err
}

// verify checks all but the times. It also gives the keys that it did it with.
func (v *Verifier) verify(ctx context.Context, snap *snapshot, token string) (*Claims, *snapshot, error) {
	dot := strings.IndexByte(token, '.')
	last := strings.LastIndexByte(token, '.')
	h, err := parseHeader(token[:dot])
	if err != nil {
		return nil, nil, err
	}
	key, err := snap.find(h.Alg, h.Kid)
	if errors.Is(err, ErrUnknownKey) && h.Kid != "" && v.keys.afterMiss(ctx) {
		snap = v.keys.active.Load()
		key, err = snap.find(h.Alg, h.Kid)
	}
	if err != nil {
		return nil, nil, err
	}
	sig, err := encoding().DecodeString(token[last+1:])
	if err != nil {
		return nil, nil, ErrMalformed
	}
	if err := key.method.Verify(token[:last], sig, key.verify); err != nil {
		return nil, nil, ErrSignature
	}
	payload, err := encoding().DecodeString(token[dot+1 : last])
	if err != nil {
		return nil, nil, ErrMalformed
	}
	c, err := parseClaims(payload)
	if err != nil {
		return nil, nil, err
	}
	return c, snap, v.expected(c)
}

// expected checks what doesn't change with time.
func (v *Verifier) expected(c *Claims) error {
	if c.ExpiresAt.IsZero() && !v.cfg.AllowNoExpiry {
		return fmt.Errorf("%w: exp is missing", ErrClaims)
	}
	if v.cfg.Issuer != "" && c.Issuer != v.cfg.Issuer {
		return fmt.Errorf("%w: iss is another one", ErrClaims)
	}
	named := func(aud string) bool { return slices.Contains(c.Audience, aud) }
	if len(v.cfg.Audiences) > 0 && !slices.ContainsFunc(v.cfg.Audiences, named) {
		return fmt.Errorf("%w: aud names none that is accepted", ErrClaims)
	}
	return nil
}

// timely checks exp and nbf (RFC 7519, 4.1.4 and 4.1.5).
func (v *Verifier) timely(c *Claims) (*Claims, error) {
	now := v.cfg.Now()
	if !c.ExpiresAt.IsZero() && !now.Before(c.ExpiresAt) {
		return nil, ErrExpired
	}
	if now.Before(c.NotBefore) {
		return nil, ErrNotYetValid
	}
	return c, nil
}

// isCompact reports whether token is three non-empty parts of base64url and two dots. It
// allocates nothing and is all that most garbage gets to see. The alphabet matters: the
// decoder would skip line breaks, so that one token had many spellings.
func isCompact(token string) bool {
	first := strings.IndexByte(token, '.')
	last := strings.LastIndexByte(token, '.')
	if first <= 0 || last == first || last == first+1 || last == len(token)-1 {
		return false
	}
	for i := range len(token) {
		c := token[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_':
		case c == '.' && (i == first || i == last):
		default:
			return false
		}
	}
	return true
}

// header is what is read of a token's header. Members that would bring a key along (jwk,
// jku, x5c, x5u) are not among it.
type header struct {
	Alg  string          `json:"alg"`
	Kid  string          `json:"kid"`
	Typ  string          `json:"typ"`
	Crit json.RawMessage `json:"crit"`
}

func parseHeader(text string) (header, error) {
	if len(text) > maxHeaderBytes {
		return header{}, ErrMalformed
	}
	var h header
	b, err := encoding().DecodeString(text)
	if err != nil {
		return h, ErrMalformed
	}
	if err := json.Unmarshal(b, &h); err != nil {
		return h, ErrMalformed
	}
	if h.Crit != nil {
		return h, fmt.Errorf("%w: crit names an extension that isn't known", ErrMalformed)
	}
	// Tokens of another kind that the same key may sign say so (RFC 8725, 3.11).
	if h.Typ != "" && !strings.EqualFold(h.Typ, "JWT") && !strings.EqualFold(h.Typ, "at+jwt") {
		return h, fmt.Errorf("%w: typ is not that of an access token", ErrMalformed)
	}
	return h, nil
}
