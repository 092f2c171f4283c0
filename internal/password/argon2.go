package password

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/crypto/argon2"
)

const (
	argon2Salt = 16 // bytes
	argon2Tag  = 32 // bytes

	maxArgon2Memory  = 256 << 10 // KiB
	maxArgon2Passes  = 1 << 20   // memory in KiB times passes: about a second
	maxArgon2Threads = 16
)

// argon2Params are the costs of Argon2 (RFC 9106, section 3.1).
type argon2Params struct {
	memory  uint32 // KiB
	time    uint32 // passes
	threads uint8  // lanes
}

// check refuses what RFC 9106 does, and what would hold the server up.
func (p argon2Params) check() error {
	switch {
	case p.threads < 1 || p.threads > maxArgon2Threads:
		return fmt.Errorf("argon2: p=%d is outside of 1 to %d", p.threads, maxArgon2Threads)
	case p.time < 1 || p.memory < 8*uint32(p.threads):
		return fmt.Errorf("argon2: m=%d, t=%d is too little", p.memory, p.time)
	case p.memory > maxArgon2Memory:
		return fmt.Errorf("argon2: m=%d is more than %d", p.memory, maxArgon2Memory)
	case uint64(p.memory)*uint64(p.time) > maxArgon2Passes:
		return fmt.Errorf("argon2: m=%d times t=%d is more than %d", p.memory, p.time, maxArgon2Passes)
	}
	return nil
}

func (p argon2Params) work() work {
	return work{lanes: int(p.threads), memory: int64(p.memory) << 10}
}

// hash makes a hash in PHC form.
func (p argon2Params) hash(pw string) (string, error) {
	salt := make([]byte, argon2Salt)
	if _, err := rand.Read(salt); err != nil {
		return "", fmt.Errorf("password: %w", err)
	}
	tag := argon2.IDKey([]byte(pw), salt, p.time, p.memory, p.threads, argon2Tag)
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, p.memory, p.time, p.threads,
		b64.EncodeToString(salt), b64.EncodeToString(tag)), nil
}

// argon2Hash is a stored hash in PHC form.
type argon2Hash struct {
	params    argon2Params
	id        bool // argon2id; else argon2i
	salt, tag []byte
}

// parseArgon2 reads $argon2id$v=19$m=..,t=..,p=..$salt$tag and the same of argon2i.
// Argon2d is refused: its memory access depends on the password.
func parseArgon2(hash string) (parsed, error) {
	parts := strings.Split(hash, "$")
	if len(parts) != 6 {
		return nil, fmt.Errorf("argon2: %w", errMalformed)
	}
	name, version, params := parts[1], parts[2], parts[3]
	if name != "argon2id" && name != "argon2i" {
		return nil, fmt.Errorf("argon2: the variant is neither argon2i nor argon2id")
	}
	if version != "v="+strconv.Itoa(argon2.Version) {
		return nil, fmt.Errorf("argon2: the version is not %d", argon2.Version)
	}
	a := argon2Hash{id: name == "argon2id"}
	values, err := parseParams(params, "m", "t", "p")
	if err != nil {
		return nil, fmt.Errorf("argon2: %w", err)
	}
	m, mErr := strconv.ParseUint(values[0], 10, 32)
	t, tErr := strconv.ParseUint(values[1], 10, 32)
	p, pErr := strconv.ParseUint(values[2], 10, 8)
	if mErr != nil || tErr != nil || pErr != nil {
		return nil, fmt.Errorf("argon2: %w", errMalformed)
	}
	a.params = argon2Params{uint32(m), uint32(t), uint8(p)}
	if err := a.params.check(); err != nil {
		return nil, err
	}
	if a.salt, err = decode64(parts[4], 8, 64); err != nil {
		return nil, fmt.Errorf("argon2: salt: %w", err)
	}
	if a.tag, err = decode64(parts[5], 16, 64); err != nil {
		return nil, fmt.Errorf("argon2: tag: %w", err)
	}
	return a, nil
}

// dummyArgon2id is a well-formed hash that nobody knows a password of.
func dummyArgon2id(p argon2Params) parsed {
	return argon2Hash{params: p, id: true, salt: make([]byte, argon2Salt), tag: make([]byte, argon2Tag)}
}

func (a argon2Hash) match(pw string) bool {
	derive := argon2.Key
	if a.id {
		derive = argon2.IDKey
	}
	p := a.params
	tag := derive([]byte(pw), a.salt, p.time, p.memory, p.threads, uint32(len(a.tag)))
	return subtle.ConstantTimeCompare(tag, a.tag) == 1
}

func (a argon2Hash) work() work    { return a.params.work() }
func (a argon2Hash) maxBytes() int { return MaxBytes }

// stale asks for argon2id of at least the configured cost, also while new hashes are
// bcrypt: a strong hash isn't replaced by a weaker one.
func (a argon2Hash) stale(h *Hasher) bool {
	have, want := a.params, h.argon2
	return !a.id || have.memory < want.memory ||
		uint64(have.memory)*uint64(have.time) < uint64(want.memory)*uint64(want.time)
}

// parseParams reads "m=1,t=2,p=3" into the values of the names, each given once and
// in this order.
func parseParams(s string, names ...string) ([]string, error) {
	parts := strings.Split(s, ",")
	if len(parts) != len(names) {
		return nil, errMalformed
	}
	for i, name := range names {
		value, ok := strings.CutPrefix(parts[i], name+"=")
		if !ok {
			return nil, errMalformed
		}
		parts[i] = value
	}
	return parts, nil
}

// decode64 reads standard base64, padded or not, of least to most bytes.
func decode64(s string, least, most int) ([]byte, error) {
	b, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(s, "="))
	if err != nil || len(b) < least || len(b) > most {
		return nil, errMalformed
	}
	return b, nil
}
