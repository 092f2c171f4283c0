package password

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/subtle"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/crypto/scrypt"
)

const (
	maxScryptMemory = 256 << 20 // bytes
	maxScryptLanes  = 4
)

// firebaseHash is what Firebase exports: scrypt makes a key of the password, and the
// project's signer key encrypted with it is the hash.
type firebaseHash struct {
	logN, r, p int
	salt       []byte // with the project's separator behind it
	signer     []byte
	hash       []byte
}

// parseFirebase reads $fbscrypt$v=1,n=..,r=..,p=..,ss=..,sk=..$salt$hash, where n is
// the base-2 logarithm of scrypt's N (Firebase's mem_cost), r its block size
// (Firebase's rounds), ss the salt separator and sk the signer key.
func parseFirebase(hash string) (parsed, error) {
	parts := strings.Split(hash, "$")
	if len(parts) != 5 {
		return nil, fmt.Errorf("fbscrypt: %w", errMalformed)
	}
	values, err := parseParams(parts[2], "v", "n", "r", "p", "ss", "sk")
	if err != nil || values[0] != "1" {
		return nil, fmt.Errorf("fbscrypt: %w", errMalformed)
	}
	var numbers [3]uint64
	for i := range numbers {
		if numbers[i], err = strconv.ParseUint(values[i+1], 10, 8); err != nil {
			return nil, fmt.Errorf("fbscrypt: %w", errMalformed)
		}
	}
	n, r, p := numbers[0], numbers[1], numbers[2]
	if n < 1 || n > 24 || r < 1 || p < 1 || p > maxScryptLanes || 128*r<<n > maxScryptMemory {
		return nil, fmt.Errorf("fbscrypt: n=%d, r=%d, p=%d is out of bounds", n, r, p)
	}
	f := firebaseHash{logN: int(n), r: int(r), p: int(p)}
	separator, ssErr := decode64(values[4], 0, 64)
	signer, skErr := decode64(values[5], 16, 128)
	salt, saltErr := decode64(parts[3], 1, 64)
	tag, tagErr := decode64(parts[4], 16, 128)
	if ssErr != nil || skErr != nil || saltErr != nil || tagErr != nil || len(signer) != len(tag) {
		return nil, fmt.Errorf("fbscrypt: %w", errMalformed)
	}
	f.salt, f.signer, f.hash = slices.Concat(salt, separator), signer, tag
	return f, nil
}

func (f firebaseHash) match(pw string) bool {
	key, err := scrypt.Key([]byte(pw), f.salt, 1<<f.logN, f.r, f.p, 32)
	if err != nil {
		return false
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return false
	}
	hash := make([]byte, len(f.signer))
	cipher.NewCTR(block, make([]byte, aes.BlockSize)).XORKeyStream(hash, f.signer)
	return subtle.ConstantTimeCompare(hash, f.hash) == 1
}

func (f firebaseHash) work() work {
	return work{lanes: 1, memory: 128 * int64(f.r) << f.logN}
}

func (f firebaseHash) maxBytes() int      { return MaxBytes }
func (f firebaseHash) stale(*Hasher) bool { return true }
