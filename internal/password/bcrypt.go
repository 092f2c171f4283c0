package password

import (
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/crypto/bcrypt"
)

const (
	minBcryptCost = bcrypt.MinCost
	maxBcryptCost = 15 // two seconds; each step doubles
)

// bcryptScheme makes hashes of this cost.
type bcryptScheme int

func (s bcryptScheme) work() work { return work{lanes: 1} }

func (s bcryptScheme) hash(pw string) (string, error) {
	hash, err := bcrypt.GenerateFromPassword([]byte(pw), int(s))
	if err != nil {
		return "", fmt.Errorf("password: %w", err)
	}
	return string(hash), nil
}

// bcryptHash is a stored hash in modular crypt form.
type bcryptHash struct {
	text string
	cost int
}

const bcryptAlphabet = "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

// parseBcrypt reads $2a$, $2b$ and $2y$, which are one algorithm. $2$ and $2x$ are
// the names of defective ones.
func parseBcrypt(hash string) (parsed, error) {
	if len(hash) != 60 || strings.IndexByte("aby", hash[2]) < 0 || hash[3] != '$' || hash[6] != '$' {
		return nil, fmt.Errorf("bcrypt: %w", errMalformed)
	}
	if strings.Trim(hash[4:6], "0123456789") != "" || strings.Trim(hash[7:], bcryptAlphabet) != "" {
		return nil, fmt.Errorf("bcrypt: %w", errMalformed)
	}
	cost, err := strconv.Atoi(hash[4:6])
	if err != nil {
		return nil, fmt.Errorf("bcrypt: %w", errMalformed)
	}
	if cost < minBcryptCost || cost > maxBcryptCost {
		return nil, fmt.Errorf("bcrypt: a cost of %d is outside of %d to %d", cost, minBcryptCost, maxBcryptCost)
	}
	return bcryptHash{hash, cost}, nil
}

// dummyBcrypt is a well-formed hash that nobody knows a password of.
func dummyBcrypt(cost int) parsed {
	return bcryptHash{fmt.Sprintf("$2a$%02d$%s", cost, strings.Repeat(".", 53)), cost}
}

func (b bcryptHash) match(pw string) bool {
	return bcrypt.CompareHashAndPassword([]byte(b.text), []byte(pw)) == nil
}

func (b bcryptHash) work() work    { return work{lanes: 1} }
func (b bcryptHash) maxBytes() int { return MaxBcryptBytes }

func (b bcryptHash) stale(h *Hasher) bool {
	today, ok := h.today.(bcryptScheme)
	return !ok || b.cost < int(today)
}
