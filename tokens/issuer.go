package tokens

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"
)

// IssuerConfig configures an [Issuer].
type IssuerConfig struct {
	// Issuer becomes the iss of claims that have none; "" for none.
	Issuer string
	// Now is the clock; time.Now by default. It becomes the iat of claims that have none.
	Now func() time.Time
}

// Issuer signs access tokens with the current key of a [Keyring]. It is safe for
// concurrent use.
type Issuer struct {
	keys *Keyring
	cfg  IssuerConfig
}

// NewIssuer makes an Issuer.
func NewIssuer(k *Keyring, cfg IssuerConfig) *Issuer {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Issuer{keys: k, cfg: cfg}
}

// Issue signs a token. Its times are the caller's to set; without ExpiresAt it never
// expires, and only verifiers that allow that accept it. [ErrClaims] if the claims can't
// be written, see [Claims.MarshalJSON]. A token has no bound of length here; verifiers
// refuse those over [VerifierConfig.MaxBytes], so bound what goes into its metadata.
func (i *Issuer) Issue(c Claims) (string, error) {
	if c.Issuer == "" {
		c.Issuer = i.cfg.Issuer
	}
	if c.IssuedAt.IsZero() {
		c.IssuedAt = i.cfg.Now()
	}
	payload, err := c.MarshalJSON()
	if err != nil {
		return "", err
	}
	s := i.keys.active.Load()
	enc := encoding()
	signed := make([]byte, 0, len(s.header)+1+enc.EncodedLen(len(payload)))
	signed = append(signed, s.header...)
	signed = append(signed, '.')
	signed = enc.AppendEncode(signed, payload)
	sig, err := s.signer.method.Sign(string(signed), s.signer.sign)
	if err != nil {
		return "", fmt.Errorf("tokens: sign with %s: %w", s.signer, err)
	}
	return string(signed) + "." + enc.EncodeToString(sig), nil
}

// encodeHeader gives the header of tokens that k signs. It stays under maxHeaderBytes for
// every id that checkID lets through, as nothing is escaped for HTML.
func encodeHeader(k *Key) (string, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(struct {
		Alg string `json:"alg"`
		Kid string `json:"kid,omitempty"`
		Typ string `json:"typ"`
	}{k.alg, k.id, "JWT"})
	if err != nil {
		return "", fmt.Errorf("tokens: encode header: %w", err)
	}
	return encoding().EncodeToString(bytes.TrimSpace(b.Bytes())), nil
}
