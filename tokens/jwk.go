package tokens

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"math/big"
	"slices"
	"strings"
)

// maxJWKBytes bounds the text of a key; one of 8192 bits RSA takes about 6 kB.
const maxJWKBytes = 16 << 10

// jwk is a key on the wire (RFC 7517, 7518 part 6, 8037).
type jwk struct {
	Kty string   `json:"kty"`
	Kid string   `json:"kid"`
	Alg string   `json:"alg"`
	Use string   `json:"use"`
	Ops []string `json:"key_ops"`

	K   string            `json:"k"`   // oct
	Crv string            `json:"crv"` // EC, OKP
	X   string            `json:"x"`
	Y   string            `json:"y"`
	N   string            `json:"n"` // RSA
	E   string            `json:"e"`
	D   string            `json:"d"` // the private part of each
	P   string            `json:"p"`
	Q   string            `json:"q"`
	Oth []json.RawMessage `json:"oth"`
}

// ParseJWK reads a JSON Web Key (RFC 7517): oct, RSA, EC on P-256, or OKP with Ed25519,
// public or private. A private key whose key_ops don't name "sign" only verifies. A key
// without kid gets its thumbprint as id, a secret none. Errors are [ErrKey] and never
// show a part of the key.
func ParseJWK(data []byte) (Key, error) {
	if len(data) > maxJWKBytes {
		return Key{}, fmt.Errorf("%w: JWK is over %d bytes", ErrKey, maxJWKBytes)
	}
	var j jwk
	if err := json.Unmarshal(data, &j); err != nil {
		return Key{}, fmt.Errorf("%w: JWK is not a JSON object of the right form", ErrKey)
	}
	if j.Use != "" && j.Use != "sig" {
		return Key{}, fmt.Errorf("%w: JWK is not for signatures (use %q)", ErrKey, j.Use)
	}
	k, err := j.key()
	if err != nil {
		return Key{}, err
	}
	if j.Alg != "" && j.Alg != k.alg {
		return Key{}, fmt.Errorf("%w: JWK names the algorithm %q, this key is for %s", ErrKey, j.Alg, k.alg)
	}
	if len(j.Ops) > 0 {
		signs := slices.Contains(j.Ops, "sign")
		if !signs && !slices.Contains(j.Ops, "verify") {
			return Key{}, fmt.Errorf("%w: JWK's key_ops name neither sign nor verify", ErrKey)
		}
		if signs && !k.CanSign() {
			return Key{}, fmt.Errorf("%w: JWK's key_ops name sign, but its private part is missing", ErrKey)
		}
		if !signs {
			k = k.VerifyOnly()
		}
	}
	return k, nil
}

// ParseJWKs reads several JWKs: a JSON array of them, or a set (RFC 7517, 5).
func ParseJWKs(data []byte) ([]Key, error) {
	var list []json.RawMessage
	if trimmed := bytes.TrimSpace(data); len(trimmed) > 0 && trimmed[0] == '{' {
		var set struct {
			Keys []json.RawMessage `json:"keys"`
		}
		if err := json.Unmarshal(data, &set); err != nil {
			return nil, fmt.Errorf("%w: JWK set is not JSON of the right form", ErrKey)
		}
		list = set.Keys
	} else if err := json.Unmarshal(data, &list); err != nil {
		return nil, fmt.Errorf("%w: not a JSON array of JWKs", ErrKey)
	}
	keys := make([]Key, 0, len(list))
	for i, text := range list {
		k, err := ParseJWK(text)
		if err != nil {
			return nil, fmt.Errorf("key %d: %w", i+1, err)
		}
		keys = append(keys, k)
	}
	return keys, nil
}

func (j jwk) key() (Key, error) {
	switch j.Kty {
	case "oct":
		secret, err := j.bytes("k", j.K)
		if err != nil {
			return Key{}, err
		}
		return NewSecretKey(j.Kid, secret)
	case "EC":
		return j.ecKey()
	case "OKP":
		return j.okpKey()
	case "RSA":
		return j.rsaKey()
	}
	return Key{}, fmt.Errorf("%w: JWK type %q is not one of oct, RSA, EC, OKP", ErrKey, j.Kty)
}

func (j jwk) ecKey() (Key, error) {
	if j.Crv != "P-256" {
		return Key{}, fmt.Errorf("%w: only the curve P-256 is supported, not %q", ErrKey, j.Crv)
	}
	x, err := j.sized("x", j.X, 32)
	if err != nil {
		return Key{}, err
	}
	y, err := j.sized("y", j.Y, 32)
	if err != nil {
		return Key{}, err
	}
	public, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), slices.Concat([]byte{4}, x, y))
	if err != nil {
		return Key{}, fmt.Errorf("%w: the point is not on the curve", ErrKey)
	}
	if j.D == "" {
		return NewPublicKey(j.Kid, public)
	}
	d, err := j.sized("d", j.D, 32)
	if err != nil {
		return Key{}, err
	}
	private, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), d)
	if err != nil || !private.PublicKey.Equal(public) {
		return Key{}, fmt.Errorf("%w: the private part doesn't belong to the public one", ErrKey)
	}
	return NewPrivateKey(j.Kid, private)
}

func (j jwk) okpKey() (Key, error) {
	if j.Crv != "Ed25519" {
		return Key{}, fmt.Errorf("%w: only the curve Ed25519 is supported, not %q", ErrKey, j.Crv)
	}
	x, err := j.sized("x", j.X, ed25519.PublicKeySize)
	if err != nil {
		return Key{}, err
	}
	if j.D == "" {
		return NewPublicKey(j.Kid, ed25519.PublicKey(x))
	}
	seed, err := j.sized("d", j.D, ed25519.SeedSize)
	if err != nil {
		return Key{}, err
	}
	private := ed25519.NewKeyFromSeed(seed)
	if !ed25519.PublicKey(x).Equal(private.Public()) {
		return Key{}, fmt.Errorf("%w: the private part doesn't belong to the public one", ErrKey)
	}
	return NewPrivateKey(j.Kid, private)
}

func (j jwk) rsaKey() (Key, error) {
	if len(j.Oth) > 0 {
		return Key{}, fmt.Errorf("%w: RSA keys of more than two primes are not supported", ErrKey)
	}
	n, err := j.number("n", j.N)
	if err != nil {
		return Key{}, err
	}
	e, err := j.number("e", j.E)
	if err != nil {
		return Key{}, err
	}
	if e.BitLen() > 31 {
		return Key{}, fmt.Errorf("%w: RSA exponent is too large", ErrKey)
	}
	public := rsa.PublicKey{N: n, E: int(e.Int64())}
	if j.D == "" {
		return NewPublicKey(j.Kid, &public)
	}
	if err := checkRSA(&public); err != nil {
		return Key{}, err
	}
	private := &rsa.PrivateKey{PublicKey: public, Primes: make([]*big.Int, 2)}
	if private.D, err = j.number("d", j.D); err != nil {
		return Key{}, err
	}
	if private.Primes[0], err = j.number("p", j.P); err != nil {
		return Key{}, err
	}
	if private.Primes[1], err = j.number("q", j.Q); err != nil {
		return Key{}, err
	}
	return newRSA(j.Kid, private)
}

// newRSA finishes a private key of foreign numbers. Lengths are checked before anything
// is computed with them.
func newRSA(id string, private *rsa.PrivateKey) (Key, error) {
	for _, p := range append([]*big.Int{private.D}, private.Primes...) {
		if p.Sign() <= 0 || p.BitLen() > private.N.BitLen() {
			return Key{}, fmt.Errorf("%w: RSA parts contradict each other", ErrKey)
		}
	}
	if err := private.Validate(); err != nil {
		return Key{}, fmt.Errorf("%w: RSA parts contradict each other", ErrKey)
	}
	private.Precompute()
	return NewPrivateKey(id, private)
}

// bytes decodes a member. Padding and line breaks are not base64url (RFC 7515, 2).
func (j jwk) bytes(name, text string) ([]byte, error) {
	b, err := encoding().DecodeString(text)
	if err != nil || text == "" || strings.ContainsAny(text, "\r\n") {
		return nil, fmt.Errorf("%w: JWK's %q is missing or not base64url", ErrKey, name)
	}
	return b, nil
}

func (j jwk) sized(name, text string, size int) ([]byte, error) {
	b, err := j.bytes(name, text)
	if err == nil && len(b) != size {
		err = fmt.Errorf("%w: JWK's %q has %d bytes, not %d", ErrKey, name, len(b), size)
	}
	return b, err
}

func (j jwk) number(name, text string) (*big.Int, error) {
	b, err := j.bytes(name, text)
	if err != nil {
		return nil, err
	}
	return new(big.Int).SetBytes(b), nil
}

// PublicJWK gives the public half as a JWK with "use", "alg", "kid" and key_ops "verify";
// nil for a secret, which has no public half.
func (k Key) PublicJWK() []byte {
	members := k.required()
	if members == nil || k.IsSymmetric() {
		return nil
	}
	out := map[string]any{"kid": k.id, "alg": k.alg, "use": "sig", "key_ops": []string{"verify"}}
	for name, value := range members {
		out[name] = value
	}
	b, err := json.Marshal(out) // sorted by name
	if err != nil {
		return nil // strings always marshal
	}
	return b
}

// Thumbprint is the RFC 7638 thumbprint of the public key (SHA-256, base64url); "" for a
// secret, as it would help to guess it (RFC 7638, 7).
func (k Key) Thumbprint() string {
	members := k.required()
	if members == nil {
		return ""
	}
	b, err := json.Marshal(members) // sorted by name and without spaces, as RFC 7638, 3.3 wants
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(b)
	return encoding().EncodeToString(sum[:])
}

// required gives the members that make up the public key (RFC 7638, 3.2; RFC 8037, 2).
func (k Key) required() map[string]string {
	enc := encoding()
	switch p := k.verify.(type) {
	case *ecdsa.PublicKey:
		point, err := p.Bytes() // 4, x, y
		if err != nil || len(point) != 65 {
			return nil
		}
		return map[string]string{
			"kty": "EC", "crv": "P-256",
			"x": enc.EncodeToString(point[1:33]), "y": enc.EncodeToString(point[33:]),
		}
	case *rsa.PublicKey:
		return map[string]string{
			"kty": "RSA", "n": enc.EncodeToString(p.N.Bytes()),
			"e": enc.EncodeToString(big.NewInt(int64(p.E)).Bytes()),
		}
	case ed25519.PublicKey:
		return map[string]string{"kty": "OKP", "crv": "Ed25519", "x": enc.EncodeToString(p)}
	}
	return nil
}
