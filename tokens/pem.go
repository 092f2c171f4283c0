package tokens

import (
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"fmt"
)

// ParsePEM reads the first block of PEM text: a private key as PKCS #8, PKCS #1 or SEC 1,
// or a public key as PKIX or PKCS #1. The key's id is its thumbprint; see [Key.WithID].
// Encrypted keys and certificates are refused. Errors are [ErrKey].
func ParsePEM(text []byte) (Key, error) {
	block, _ := pem.Decode(text)
	if block == nil {
		return Key{}, fmt.Errorf("%w: no PEM block found", ErrKey)
	}
	switch block.Type {
	case "PRIVATE KEY":
		return fromPKCS8("", block.Bytes)
	case "RSA PRIVATE KEY":
		k, err := x509.ParsePKCS1PrivateKey(block.Bytes)
		if err != nil {
			return Key{}, fmt.Errorf("%w: not a PKCS #1 private key", ErrKey)
		}
		return NewPrivateKey("", k)
	case "EC PRIVATE KEY":
		k, err := x509.ParseECPrivateKey(block.Bytes)
		if err != nil {
			return Key{}, fmt.Errorf("%w: not a SEC 1 private key", ErrKey)
		}
		return NewPrivateKey("", k)
	case "PUBLIC KEY":
		k, err := x509.ParsePKIXPublicKey(block.Bytes)
		if err != nil {
			return Key{}, fmt.Errorf("%w: not a PKIX public key", ErrKey)
		}
		return NewPublicKey("", k)
	case "RSA PUBLIC KEY":
		k, err := x509.ParsePKCS1PublicKey(block.Bytes)
		if err != nil {
			return Key{}, fmt.Errorf("%w: not a PKCS #1 public key", ErrKey)
		}
		return NewPublicKey("", k)
	}
	return Key{}, fmt.Errorf("%w: PEM block of type %q is not a plain key", ErrKey, block.Type)
}

func fromPKCS8(id string, der []byte) (Key, error) {
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return Key{}, fmt.Errorf("%w: not a PKCS #8 private key", ErrKey)
	}
	signer, ok := parsed.(crypto.Signer)
	if !ok {
		return Key{}, fmt.Errorf("%w: type %T doesn't sign", ErrKey, parsed)
	}
	return NewPrivateKey(id, signer)
}

// pkcs8 gives the private half as DER.
func (k Key) pkcs8() ([]byte, error) {
	if k.IsSymmetric() || !k.CanSign() {
		return nil, fmt.Errorf("%w: %s has no private half", ErrKey, k)
	}
	return x509.MarshalPKCS8PrivateKey(k.sign)
}
