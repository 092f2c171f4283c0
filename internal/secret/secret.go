// Package secret says how the hash of a random secret is stored.
package secret

import (
	"crypto/sha256"
	"encoding/hex"
)

// Hash gives what is stored of a secret that nobody can guess (at least 120 random
// bits), so that a plain hash is enough: lower-case hex of its SHA-256.
func Hash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}
