package webhook

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// The forms of a secret.
const (
	symmetric  = "v1,"
	asymmetric = "v1a,"
	keyPrefix  = "whsec_"
	// minSecret and maxSecret bound the characters of a secret's base64.
	minSecret, maxSecret = 32, 88
)

// Signer signs with one or several secrets: while one is changed for another, a receiver
// that knows either accepts. It is immutable.
type Signer struct {
	keys []*standardwebhooks.Webhook
}

// NewSigner makes a Signer of secrets in the form "v1,whsec_<base64>", of 32 to 88
// characters of base64 (24 to 64 bytes); "v1," may be left out. Errors say which secret
// is wrong by its number and never repeat it.
func NewSigner(secrets ...string) (*Signer, error) {
	s := &Signer{}
	for i, text := range secrets {
		key, err := parse(text)
		if err != nil {
			return nil, fmt.Errorf("secret %d: %w", i+1, err)
		}
		s.keys = append(s.keys, key)
	}
	if len(s.keys) == 0 {
		return nil, errors.New(`there is no secret; make one with: echo "whsec_$(openssl rand -base64 32)"`)
	}
	return s, nil
}

// SplitSecrets splits a list of secrets at "|", without the empty ones.
func SplitSecrets(list string) []string {
	var out []string
	for s := range strings.SplitSeq(list, "|") {
		if s = strings.TrimSpace(s); s != "" {
			out = append(out, s)
		}
	}
	return out
}

func parse(text string) (*standardwebhooks.Webhook, error) {
	if strings.HasPrefix(text, asymmetric) {
		return nil, errors.New(`the form "v1a," (key pairs) can't be used to sign; give one like "whsec_<base64>"`)
	}
	encoded, ok := strings.CutPrefix(strings.TrimPrefix(text, symmetric), keyPrefix)
	if !ok {
		return nil, errors.New(`it doesn't have the form "whsec_<base64>", maybe with "v1," in front; make one with: echo "whsec_$(openssl rand -base64 32)"`)
	}
	if len(encoded) < minSecret || len(encoded) > maxSecret {
		return nil, fmt.Errorf("it has %d characters after %q, not %d to %d; make one with: openssl rand -base64 32", len(encoded), keyPrefix, minSecret, maxSecret)
	}
	raw, err := base64.StdEncoding.Strict().DecodeString(encoded)
	if err != nil || strings.ContainsAny(encoded, "\r\n") {
		return nil, fmt.Errorf("what comes after %q is no base64", keyPrefix)
	}
	key, err := standardwebhooks.NewWebhookRaw(raw)
	if err != nil {
		return nil, errors.New("it can't be used as a key")
	}
	return key, nil
}

// Sign gives the signatures for the header webhook-signature: one by each secret.
func (s *Signer) Sign(id string, at time.Time, body []byte) []string {
	all := make([]string, 0, len(s.keys))
	for _, k := range s.keys {
		one, _ := k.Sign(id, at, body) // never fails: writing to a hash doesn't
		all = append(all, one)
	}
	return all
}
