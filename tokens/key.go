package tokens

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"log/slog"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/golang-jwt/jwt/v5"
)

// Bounds of RSA keys in bits: weaker ones are refused as such, longer ones because each
// check would take too long.
const (
	minRSABits = 2048
	maxRSABits = 8192
)

// Key is a key with the one algorithm that it is used for: a secret (HS256), or a public
// key with or without its private half (RS256, ES256, EdDSA). It is immutable; the zero
// Key is of no use. Printing a Key shows its id and algorithm, never the key.
type Key struct {
	id     string
	alg    string
	method jwt.SigningMethod // of alg; taken from the key, never from a token
	verify any               // what method.Verify wants
	sign   any               // what method.Sign wants; nil if the key only verifies
}

// GenerateKey makes a new key for RS256 (2048 bits), ES256, EdDSA or HS256 (32 bytes). Its
// id is its thumbprint; an HS256 key has no id.
func GenerateKey(alg string) (Key, error) {
	switch alg {
	case HS256:
		secret := make([]byte, sha256.Size)
		if _, err := rand.Read(secret); err != nil {
			return Key{}, fmt.Errorf("tokens: generate key: %w", err)
		}
		return NewSecretKey("", secret)
	case RS256:
		return generate(func() (crypto.Signer, error) { return rsa.GenerateKey(rand.Reader, minRSABits) })
	case ES256:
		return generate(func() (crypto.Signer, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) })
	case EdDSA:
		return generate(func() (crypto.Signer, error) {
			_, k, err := ed25519.GenerateKey(rand.Reader)
			return k, err
		})
	}
	return Key{}, fmt.Errorf("%w: algorithm %q is not one of HS256, RS256, ES256, EdDSA", ErrKey, alg)
}

// generate makes a key whose id can be typed behind a command: one that begins with a
// hyphen would be taken for a flag.
func generate(draw func() (crypto.Signer, error)) (Key, error) {
	for {
		private, err := draw()
		if err != nil {
			return Key{}, fmt.Errorf("tokens: generate key: %w", err)
		}
		k, err := NewPrivateKey("", private)
		if err != nil || !strings.HasPrefix(k.id, "-") {
			return k, err
		}
	}
}

// NewSecretKey makes an HS256 key of a shared secret. The id may be empty: tokens then
// carry none. A secret should be random and have at least 32 bytes (RFC 7518, 3.2); only
// an empty one is refused here, see [KeyringConfig.AllowShortSecret].
func NewSecretKey(id string, secret []byte) (Key, error) {
	if len(secret) == 0 {
		return Key{}, fmt.Errorf("%w: the secret is empty", ErrKey)
	}
	if err := checkID(id); err != nil {
		return Key{}, err
	}
	own := append([]byte(nil), secret...)
	return Key{id: id, alg: HS256, method: jwt.SigningMethodHS256, verify: own, sign: own}, nil
}

// NewPrivateKey makes a Key of an *[rsa.PrivateKey], an *[ecdsa.PrivateKey] on P-256 or an
// [ed25519.PrivateKey]. An empty id becomes the key's thumbprint.
func NewPrivateKey(id string, private crypto.Signer) (Key, error) {
	switch p := private.(type) {
	case *rsa.PrivateKey:
		if p == nil || p.N == nil {
			return Key{}, fmt.Errorf("%w: no key", ErrKey)
		}
		// The length first: it bounds what Validate costs.
		if err := checkRSA(&p.PublicKey); err != nil {
			return Key{}, err
		}
		if err := p.Validate(); err != nil {
			return Key{}, fmt.Errorf("%w: RSA parts contradict each other", ErrKey)
		}
	case *ecdsa.PrivateKey:
		if err := checkECPrivate(p); err != nil {
			return Key{}, err
		}
	case ed25519.PrivateKey:
		if len(p) != ed25519.PrivateKeySize {
			return Key{}, fmt.Errorf("%w: Ed25519 key has a wrong length", ErrKey)
		}
		// Signing with another public half would give the private one away.
		if !ed25519.NewKeyFromSeed(p.Seed()).Equal(p) {
			return Key{}, fmt.Errorf("%w: the private part doesn't belong to the public one", ErrKey)
		}
	default:
		return Key{}, fmt.Errorf("%w: type %T is not supported", ErrKey, private)
	}
	k, err := NewPublicKey(id, private.Public())
	if err != nil {
		return Key{}, err
	}
	k.sign = private
	return k, nil
}

// NewPublicKey makes a Key that only verifies, of an *[rsa.PublicKey], an
// *[ecdsa.PublicKey] on P-256 or an [ed25519.PublicKey]. An empty id becomes the key's
// thumbprint.
func NewPublicKey(id string, public crypto.PublicKey) (Key, error) {
	if err := checkID(id); err != nil {
		return Key{}, err
	}
	k := Key{id: id, verify: public}
	switch p := public.(type) {
	case *rsa.PublicKey:
		if err := checkRSA(p); err != nil {
			return Key{}, err
		}
		k.alg, k.method = RS256, jwt.SigningMethodRS256
	case *ecdsa.PublicKey:
		if err := checkEC(p); err != nil {
			return Key{}, err
		}
		k.alg, k.method = ES256, jwt.SigningMethodES256
	case ed25519.PublicKey:
		if len(p) != ed25519.PublicKeySize {
			return Key{}, fmt.Errorf("%w: Ed25519 key has a wrong length", ErrKey)
		}
		k.alg, k.method = EdDSA, jwt.SigningMethodEdDSA
	default:
		return Key{}, fmt.Errorf("%w: type %T is not supported", ErrKey, public)
	}
	if k.id == "" {
		k.id = k.Thumbprint()
	}
	return k, nil
}

// checkEC looks at the raw numbers only to see that they are there: the methods of crypto/ecdsa
// would panic.
func checkEC(p *ecdsa.PublicKey) error {
	if p == nil || p.Curve != elliptic.P256() {
		return fmt.Errorf("%w: only the curve P-256 is supported", ErrKey)
	}
	if p.X == nil || p.Y == nil { //nolint:staticcheck // see above
		return fmt.Errorf("%w: no key", ErrKey)
	}
	if _, err := p.Bytes(); err != nil {
		return fmt.Errorf("%w: the point is not on the curve", ErrKey)
	}
	return nil
}

func checkECPrivate(p *ecdsa.PrivateKey) error {
	if p == nil || p.D == nil { //nolint:staticcheck // see checkEC
		return fmt.Errorf("%w: no key", ErrKey)
	}
	if err := checkEC(&p.PublicKey); err != nil {
		return err
	}
	d, err := p.Bytes()
	if err != nil {
		return fmt.Errorf("%w: the private part is out of range", ErrKey)
	}
	own, err := ecdsa.ParseRawPrivateKey(p.Curve, d)
	if err != nil || !own.PublicKey.Equal(&p.PublicKey) {
		return fmt.Errorf("%w: the private part doesn't belong to the public one", ErrKey)
	}
	return nil
}

func checkRSA(p *rsa.PublicKey) error {
	if p == nil || p.N == nil {
		return fmt.Errorf("%w: no key", ErrKey)
	}
	if bits := p.N.BitLen(); bits < minRSABits || bits > maxRSABits {
		return fmt.Errorf("%w: RSA key has %d bits, %d to %d are accepted", ErrKey, bits, minRSABits, maxRSABits)
	}
	if p.E < 3 || p.E%2 == 0 || p.N.Bit(0) == 0 {
		return fmt.Errorf("%w: RSA modulus or exponent is not a possible one", ErrKey)
	}
	return nil
}

// maxIDBytes bounds a key id, which travels in each token.
const maxIDBytes = 200

func checkID(id string) error {
	if len(id) > maxIDBytes {
		return fmt.Errorf("%w: its id has %d bytes, at most %d are accepted", ErrKey, len(id), maxIDBytes)
	}
	if !utf8.ValidString(id) || strings.ContainsFunc(id, unicode.IsControl) {
		return fmt.Errorf("%w: its id has characters that aren't text", ErrKey)
	}
	return nil
}

// ID is the key's id ("kid"); "" if it has none, which only an HS256 key may.
func (k Key) ID() string { return k.id }

// Algorithm is the one algorithm that the key is for.
func (k Key) Algorithm() string { return k.alg }

// CanSign reports whether the key signs, and doesn't only verify.
func (k Key) CanSign() bool { return k.sign != nil }

// IsSymmetric reports whether the key is a shared secret, which is never published.
func (k Key) IsSymmetric() bool { return k.alg == HS256 }

// WithID gives the same key under another id.
func (k Key) WithID(id string) (Key, error) {
	if id == "" && !k.IsSymmetric() {
		id = k.Thumbprint()
	}
	if err := checkID(id); err != nil {
		return Key{}, err
	}
	k.id = id
	return k, nil
}

// VerifyOnly gives the key without the power to sign. A secret keeps its bytes, as it
// needs them to verify.
func (k Key) VerifyOnly() Key {
	k.sign = nil
	return k
}

// String gives the key's id and algorithm.
func (k Key) String() string { return fmt.Sprintf("%s key %q", k.alg, k.id) }

// GoString is String: no verb prints the key itself.
func (k Key) GoString() string { return k.String() }

// LogValue is String.
func (k Key) LogValue() slog.Value { return slog.StringValue(k.String()) }

// encoding is base64url without padding, refusing what isn't the one form of its bytes.
func encoding() *base64.Encoding { return base64.RawURLEncoding.Strict() }
