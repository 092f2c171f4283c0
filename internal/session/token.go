package session

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
)

// A refresh token is 26 characters of base32: 130 bits.
const tokenLength = 26

var alphabet = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// newToken makes a token that starts a chain.
func newToken() string {
	b := make([]byte, 17)
	_, _ = rand.Read(b) // never fails: crypto/rand.Read ends the process instead
	return alphabet.EncodeToString(b)[:tokenLength]
}

// successor makes the token that follows parent: whoever presents the parent again
// gets the same one, although only hashes are kept.
func successor(key []byte, parent string) string {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(parent))
	return alphabet.EncodeToString(mac.Sum(nil))[:tokenLength]
}

// wellFormed reports whether s can be a refresh token at all.
func wellFormed(s string) bool {
	if len(s) != tokenLength {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < 'a' || c > 'z') && (c < '2' || c > '7') {
			return false
		}
	}
	return true
}
