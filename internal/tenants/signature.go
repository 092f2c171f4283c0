package tenants

import (
	"crypto/sha256"
	"crypto/subtle"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"

	"github.com/truekeel/auth/fault"
	"github.com/truekeel/auth/internal/caller"
)

const (
	// signHeader holds the operator's signature.
	signHeader = "X-Nf-Sign"
	// maxLife is how long a signature may be good.
	maxLife = 5 * time.Minute
	// leeway is how far the clocks of the operator and of this server may differ.
	leeway = 10 * time.Second
	// maxSignature bounds the header, in bytes.
	maxSignature = 8 << 10
)

var errSignature = fault.New(fault.ValidationFailed, "Operator microservice signature is invalid")

// verifier checks signatures: JWTs (RFC 7519) with HS256, which have an end that is near.
type verifier struct {
	key    []byte
	parser *jwt.Parser
	now    func() time.Time
	free   bool // of the rules about its end
}

func newVerifier(key string, free bool, now func() time.Time) verifier {
	opts := []jwt.ParserOption{
		jwt.WithValidMethods([]string{jwt.SigningMethodHS256.Alg()}), jwt.WithTimeFunc(now), jwt.WithLeeway(leeway), jwt.WithStrictDecoding(),
	}
	if !free {
		opts = append(opts, jwt.WithExpirationRequired())
	}
	return verifier{key: []byte(key), parser: jwt.NewParser(opts...), now: now, free: free}
}

// signedClaims are the claims of a signature. Operators send netlify_id and
// function_hooks too.
type signedClaims struct {
	ID      string `json:"id"`
	SiteURL string `json:"site_url"`
	jwt.RegisteredClaims
}

// verify reads a signature.
func (v verifier) verify(text string) (place, error) {
	if len(text) > maxSignature {
		return place{}, errSignature
	}
	var c signedClaims
	if _, err := v.parser.ParseWithClaims(text, &c, func(*jwt.Token) (any, error) { return v.key, nil }); err != nil {
		return place{}, errSignature.WithCause(err)
	}
	if !v.free && c.ExpiresAt.After(v.now().Add(maxLife+leeway)) {
		return place{}, fault.New(fault.ValidationFailed, "Operator microservice signature is invalid: it must end within 5 minutes")
	}
	id, err := instanceID(c.ID)
	if err != nil {
		return place{}, err
	}
	site := strings.TrimRight(c.SiteURL, "/")
	if !isWebURL(site) {
		return place{}, fault.New(fault.ValidationFailed, "Operator microservice signature is invalid: site_url is no web address")
	}
	return place{id, site}, nil
}

// isWebURL reports whether s is an absolute web URL that a site can have, or "".
func isWebURL(s string) bool {
	if s == "" {
		return true
	}
	u, err := url.Parse(s)
	return err == nil && u.Host != "" && (u.Scheme == "http" || u.Scheme == "https") && u.User == nil && u.RawQuery == "" && u.Fragment == ""
}

// instanceID reads the id of an instance in its usual form.
func instanceID(s string) (uuid.UUID, error) {
	id, err := uuid.Parse(s)
	if err != nil || len(s) != 36 || id == uuid.Nil {
		return uuid.Nil, fault.New(fault.ValidationFailed, "Instance id must be a UUID")
	}
	return id, nil
}

// hostOf is the host that the request was sent to, as the registry knows it. A host that
// a proxy only notes isn't it: the header that would say so can be sent by anybody.
func hostOf(r *http.Request) string { return plainHost(r.Host) }

func plainHost(h string) string {
	if host, _, err := net.SplitHostPort(h); err == nil {
		h = host
	}
	return strings.TrimSuffix(strings.ToLower(h), ".")
}

// digest makes secrets of any length comparable in constant time.
func digest(secret string) [sha256.Size]byte { return sha256.Sum256([]byte(secret)) }

// isOperator reports whether a request bears the operator's token.
func (s *Server) isOperator(r *http.Request) bool {
	token, err := caller.Bearer(r.Header)
	got := digest(token)
	return subtle.ConstantTimeCompare(got[:], s.operator[:]) == 1 && err == nil
}
