// Package seal keeps secrets at rest: authenticated encryption for what must be read
// again (signing keys, queued mail), and keyed hashes for what must only be recognised
// (one-time codes).
//
// A [Box] has one current key, which seals, and any number of old ones, which only open:
// to change the key, make the new one current and keep the old one until nothing that it
// sealed is left.
package seal

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
)

// ErrOpen means that sealed data can't be opened: it was changed or cut, was sealed for
// another purpose, or by a key that this Box doesn't have. Which of these it was is not
// told.
var ErrOpen = errors.New("seal: can't open: wrong key, wrong purpose or damaged data")

// MinKeyBytes is the least length of a key. A key should come from a random generator;
// a pass phrase isn't one.
const MinKeyBytes = 32

// The sealed format: version, id of the key, nonce (12 bytes), ciphertext, tag (16 bytes).
// Version and id are authenticated together with the purpose.
const (
	version    = 1
	idBytes    = 4
	headerSize = 1 + idBytes
)

// Labels of the keys that are derived from the one that is given. Changing one makes
// everything sealed so far unreadable.
const (
	labelID     = "truekeel/auth/seal/v1 key id"
	labelSeal   = "truekeel/auth/seal/v1 AES-256-GCM"
	labelMAC    = "truekeel/auth/seal/v1 HMAC-SHA-256"
	labelSecret = "truekeel/auth/seal/v1 from JWT secret"
)

// Box seals and opens. It is immutable and safe for concurrent use. Make it with [New],
// [FromSecret] or [FromFile].
//
// Nonces are random: one key should seal fewer than 2^32 messages (NIST SP 800-38D, 8.3).
type Box struct {
	keys []*key // the current one first
}

type key struct {
	id   [idBytes]byte
	aead cipher.AEAD
	mac  []byte
}

// New makes a Box of a current key and of old ones that may still open. Each needs at
// least [MinKeyBytes] bytes from a random generator; the bytes are copied.
func New(current []byte, old ...[]byte) (*Box, error) {
	b := &Box{}
	for i, secret := range append([][]byte{current}, old...) {
		k, err := newKey(secret)
		if err != nil {
			if i > 0 {
				return nil, fmt.Errorf("seal: old key %d: %w", i, err)
			}
			return nil, fmt.Errorf("seal: %w", err)
		}
		b.keys = append(b.keys, k)
	}
	return b, nil
}

// FromSecret makes a Box whose key is derived (HKDF, RFC 5869) from a secret that the
// program has anyway, such as the one that signs JWTs. The Box is as strong as the secret.
func FromSecret(secret []byte) (*Box, error) {
	if len(secret) == 0 {
		return nil, errors.New("seal: the secret is empty")
	}
	derived, err := derive(secret, labelSecret)
	if err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	return New(derived)
}

// Join makes a Box that seals with current and also opens what the others sealed. It is
// for moving from one source of keys to another, as from [FromSecret] to [New].
func Join(current *Box, others ...*Box) *Box {
	joined := &Box{keys: append([]*key(nil), current.keys...)}
	for _, o := range others {
		joined.keys = append(joined.keys, o.keys...)
	}
	return joined
}

func newKey(secret []byte) (*key, error) {
	if len(secret) < MinKeyBytes {
		return nil, fmt.Errorf("the key has %d bytes, at least %d random ones are needed; "+
			"make one with: openssl rand -base64 32", len(secret), MinKeyBytes)
	}
	if bytes.Count(secret, []byte{0}) == len(secret) {
		return nil, errors.New("the key is all zeros; make one with: openssl rand -base64 32")
	}
	id, err := derive(secret, labelID)
	if err != nil {
		return nil, err
	}
	enc, err := derive(secret, labelSeal)
	if err != nil {
		return nil, err
	}
	mac, err := derive(secret, labelMAC)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(enc)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, err
	}
	return &key{id: [idBytes]byte(id), aead: aead, mac: mac}, nil
}

func derive(secret []byte, label string) ([]byte, error) {
	return hkdf.Key(sha256.New, secret, nil, label, sha256.Size)
}

// ID is a short public name of the current key. It says nothing about the key and changes
// with it, so it may be logged and compared.
func (b *Box) ID() string { return hex.EncodeToString(b.keys[0].id[:]) }

// Seal encrypts plain under the current key, bound to purpose: only [Box.Open] with the
// same purpose gives it back. Name in the purpose what the data belongs to (as in
// "signing key 42") and it can't be moved elsewhere. Sealing the same data twice gives
// different results. The result is 33 bytes longer than plain.
func (b *Box) Seal(purpose string, plain []byte) []byte {
	k := b.keys[0]
	out := make([]byte, 0, headerSize+len(plain)+k.aead.Overhead())
	out = append(out, version)
	out = append(out, k.id[:]...)
	return k.aead.Seal(out, nil, plain, associated(out, purpose))
}

// Open decrypts what [Box.Seal] made for the same purpose with the current key or with an
// old one. Every failure is [ErrOpen].
func (b *Box) Open(purpose string, sealed []byte) ([]byte, error) {
	if len(sealed) < headerSize || sealed[0] != version {
		return nil, ErrOpen
	}
	header, body := sealed[:headerSize], sealed[headerSize:]
	for _, k := range b.keys {
		if !bytes.Equal(header[1:], k.id[:]) {
			continue
		}
		// Two keys may share an id by chance, so a failure isn't the last word.
		if plain, err := k.aead.Open(nil, nil, body, associated(header, purpose)); err == nil {
			return plain, nil
		}
	}
	return nil, ErrOpen
}

// associated joins the header, whose length is fixed, with the purpose.
func associated(header []byte, purpose string) []byte {
	ad := make([]byte, 0, headerSize+len(purpose))
	ad = append(ad, header[:headerSize]...)
	return append(ad, purpose...)
}

// MAC gives the HMAC-SHA-256 (32 bytes) of data under a subkey of the current key, bound
// to purpose. The parts are kept apart: MAC(p, "ab", "c") differs from MAC(p, "a", "bc").
// Compare with [hmac.Equal].
func (b *Box) MAC(purpose string, data ...[]byte) []byte {
	return b.keys[0].sum(purpose, data)
}

// MACs gives what [Box.MAC] gave under each key, the current one first: a stored MAC that
// equals any of them was made by this Box or by one of its predecessors.
func (b *Box) MACs(purpose string, data ...[]byte) [][]byte {
	sums := make([][]byte, len(b.keys))
	for i, k := range b.keys {
		sums[i] = k.sum(purpose, data)
	}
	return sums
}

func (k *key) sum(purpose string, data [][]byte) []byte {
	h := hmac.New(sha256.New, k.mac)
	var size [8]byte
	write := func(part []byte) {
		binary.BigEndian.PutUint64(size[:], uint64(len(part)))
		h.Write(size[:])
		h.Write(part)
	}
	write([]byte(purpose))
	for _, part := range data {
		write(part)
	}
	return h.Sum(nil)
}
