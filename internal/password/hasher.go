// Package password hashes and compares passwords without starving the rest of the
// program, reads the hashes that other systems left, and checks new passwords against
// a policy.
package password

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/truekeel/auth/fault"
)

// The algorithms of new hashes.
const (
	Bcrypt   = "bcrypt"
	Argon2id = "argon2id"
)

const (
	// MaxBcryptBytes is how much of a password bcrypt sees.
	MaxBcryptBytes = 72
	// MaxBytes bounds a password under any algorithm.
	MaxBytes = 1024
	// MaxCodePoints bounds a password under any algorithm.
	MaxCodePoints = 256

	// DefaultQueue is how many hashes wait before more are turned away.
	DefaultQueue = 256
	// DefaultMemoryBudget is what running hashes may take together, in bytes.
	DefaultMemoryBudget = 256 << 20
)

// Config sets up a [Hasher]. Zero fields have defaults.
type Config struct {
	// Algorithm of new hashes: [Bcrypt] (default) or [Argon2id].
	Algorithm string
	// BcryptCost is the base-2 logarithm of bcrypt's rounds, 4 to 15; default 10.
	BcryptCost int
	// Argon2Memory in KiB, Argon2Time in passes and Argon2Threads in lanes; default
	// 19456, 2 and 1 (the first choice of OWASP's list). A lane takes a processor.
	Argon2Memory  uint32
	Argon2Time    uint32
	Argon2Threads uint8

	// Slots is how many processors hashes may take; default GOMAXPROCS. While other
	// requests come in, one less, but never none.
	Slots int
	// Queue is how many hashes may wait for a slot; default [DefaultQueue].
	Queue int
	// MemoryBudget bounds the memory of the hashes that run at the same time, in
	// bytes; default [DefaultMemoryBudget]. One alone may take more.
	MemoryBudget int64
	// Normalize hashes the NFKC form of a password (Unicode Standard Annex 15), so that
	// it matches however a keyboard composes its characters. A hash that was made of
	// the text as it is still matches that text, and is replaced.
	Normalize bool

	// Now is the clock. Required.
	Now func() time.Time
	// Observe is told who waits at the gate, from several goroutines. Default: nobody is.
	Observe func(Event)
}

// Hasher hashes and compares passwords. All of its work goes through one gate: first
// come first served, as many at once as there are slots, the others in a bounded
// queue. It is safe for concurrent use and needs no Close.
//
// Work is done in the caller's goroutine. Once begun it isn't cut short; a caller
// whose context ends while it waits leaves the queue and gets the context's error. If
// the queue is full the error is [fault.Unavailable] with a RetryAfter.
type Hasher struct {
	gate   *gate
	today  scheme // makes new hashes
	dummy  parsed // what unknown accounts are compared with
	argon2 argon2Params
	cost   int
	max    int // bytes of a new password
	nfkc   bool
	hashes atomic.Uint64
}

// scheme makes new hashes.
type scheme interface {
	hash(pw string) (string, error)
	work() work
}

// parsed is a stored hash that was read and found within bounds.
type parsed interface {
	match(pw string) bool
	work() work
	// maxBytes is the length from which on the algorithm doesn't see a password.
	maxBytes() int
	// stale reports whether the hash is weaker than what h makes.
	stale(h *Hasher) bool
}

// NewHasher checks c and makes a Hasher.
func NewHasher(c Config) (*Hasher, error) {
	if c.Now == nil {
		return nil, errors.New("password: Config.Now is missing")
	}
	if c.Slots < 0 || c.Queue < 0 || c.MemoryBudget < 0 {
		return nil, errors.New("password: Config.Slots, Queue and MemoryBudget can't be negative")
	}
	h := &Hasher{
		nfkc:   c.Normalize,
		cost:   or(c.BcryptCost, 10),
		argon2: argon2Params{or(c.Argon2Memory, 19456), or(c.Argon2Time, 2), or(c.Argon2Threads, 1)},
		gate: newGate(c.Now, or(c.Slots, runtime.GOMAXPROCS(0)), or(c.Queue, DefaultQueue),
			or(c.MemoryBudget, DefaultMemoryBudget)),
	}
	if c.Observe != nil {
		h.gate.tell = c.Observe
	}
	if h.cost < minBcryptCost || h.cost > maxBcryptCost {
		return nil, fmt.Errorf("password: a bcrypt cost of %d is outside of %d to %d", h.cost, minBcryptCost, maxBcryptCost)
	}
	if err := h.argon2.check(); err != nil {
		return nil, fmt.Errorf("password: %w", err)
	}
	switch or(c.Algorithm, Bcrypt) {
	case Bcrypt:
		h.today, h.dummy, h.max = bcryptScheme(h.cost), dummyBcrypt(h.cost), MaxBcryptBytes
	case Argon2id:
		h.today, h.dummy, h.max = h.argon2, dummyArgon2id(h.argon2), MaxBytes
	default:
		return nil, fmt.Errorf("password: algorithm %q is neither %s nor %s", c.Algorithm, Bcrypt, Argon2id)
	}
	return h, nil
}

func or[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}

// Arrived tells the gate that a request came in which isn't about a password, so that
// hashes leave a processor to it and its like for the next second. It costs an atomic
// store.
func (h *Hasher) Arrived() { h.gate.arrived.Store(h.gate.now().UnixNano()) }

// Slots is how many processors hashes may take while nothing else comes in.
func (h *Hasher) Slots() int { return h.gate.slots }

// Hashes counts the hashes computed so far, those of comparisons included: tests
// assert with it that two answers took the same work.
func (h *Hasher) Hashes() uint64 { return h.hashes.Load() }

// CheckText refuses, with [fault.ValidationFailed], what can't become a password
// here: text that isn't UTF-8, has a NUL byte, or is longer than the algorithm of new
// hashes takes. Nothing is ever cut.
func (h *Hasher) CheckText(pw string) error {
	if err := checkText(pw); err != nil {
		return err
	}
	pw = h.form(pw)
	if err := checkText(pw); err != nil {
		return err
	}
	if len(pw) > h.max {
		return fault.New(fault.ValidationFailed, "Password cannot be longer than %d characters", h.max)
	}
	return nil
}

// form is what is hashed of a password that checkText lets pass.
func (h *Hasher) form(pw string) string {
	if h.nfkc {
		return norm.NFKC.String(pw)
	}
	return pw
}

// checkText is what holds for every algorithm.
func checkText(pw string) error {
	if strings.IndexByte(pw, 0) >= 0 || !utf8.ValidString(pw) {
		return fault.New(fault.ValidationFailed, "Password must be valid UTF-8 without NUL characters")
	}
	if len(pw) > MaxBytes || utf8.RuneCountInString(pw) > MaxCodePoints {
		return fault.New(fault.ValidationFailed, "Password cannot be longer than %d characters", MaxCodePoints)
	}
	return nil
}

// Hash hashes a new password with today's algorithm and parameters and a salt of its
// own. It refuses what CheckText refuses.
func (h *Hasher) Hash(ctx context.Context, pw string) (string, error) {
	if err := h.CheckText(pw); err != nil {
		return "", err
	}
	pw = h.form(pw)
	var hash string
	var failed error
	err := h.do(ctx, h.today.work(), func() { hash, failed = h.today.hash(pw) })
	if err == nil {
		err = failed
	}
	return hash, err
}

// Compare reports whether hash was made of pw. It reads bcrypt ($2a$, $2b$, $2y$),
// argon2i and argon2id in PHC form, and Firebase's scrypt ($fbscrypt$). With an empty
// hash (an account without a password) it does the work of [Hasher.CompareDummy].
//
// rehash is true if pw matches and hash is weaker than what Hash would make of pw
// today. A hash that CheckHash refuses is an error. A pw that can't be a password
// (invalid UTF-8, NUL, longer than the hash's algorithm sees) takes the same work and
// doesn't match.
//
// With [Config.Normalize] a pw that isn't its own NFKC form is compared in that form,
// then as it is, at one turn of the gate: twice the work for such a pw, the same for
// every account and for none, and no more for all others.
func (h *Hasher) Compare(ctx context.Context, hash, pw string) (match, rehash bool, err error) {
	p := h.dummy
	if hash != "" {
		if p, err = parse(hash); err != nil {
			return false, false, fmt.Errorf("password: stored hash: %w", err)
		}
	}
	var raw bool
	err = h.do(ctx, p.work(), func() {
		for n, form := range h.forms(pw) {
			if n > 0 {
				h.hashes.Add(1)
			}
			if match = matches(p, form) && hash != ""; match {
				raw = n > 0
				return
			}
		}
	})
	if err != nil || !match {
		return false, false, err
	}
	return true, (raw || p.stale(h)) && h.CheckText(pw) == nil, nil
}

// forms are the texts that a hash may have been made of.
func (h *Hasher) forms(pw string) []string {
	if h.nfkc && checkText(pw) == nil {
		if form := h.form(pw); form != pw {
			return []string{form, pw}
		}
	}
	return []string{pw}
}

// matches does the work of comparing whatever the text is.
func matches(p parsed, pw string) bool {
	possible := checkText(pw) == nil && len(pw) <= p.maxBytes()
	if len(pw) > MaxBytes {
		pw = pw[:MaxBytes] // it isn't possible: this is for the work alone
	}
	return p.match(pw) && possible
}

// CompareDummy does the work of comparing pw with a hash made today, for accounts
// that don't exist, so that the answer takes as long as for those that do.
func (h *Hasher) CompareDummy(ctx context.Context, pw string) error {
	_, _, err := h.Compare(ctx, "", pw)
	return err
}

// CheckHash validates a hash that comes from elsewhere, without computing one: its
// form, and that its parameters are neither broken nor so large that a sign-in would
// hold the server up. It fails with [fault.ValidationFailed].
func (h *Hasher) CheckHash(hash string) error {
	if _, err := parse(hash); err != nil {
		return fault.New(fault.ValidationFailed, "Password hash is not usable: %v", err)
	}
	return nil
}

func (h *Hasher) do(ctx context.Context, w work, fn func()) error {
	return h.gate.do(ctx, w, func() {
		h.hashes.Add(1)
		fn()
	})
}

var (
	errUnknownHash = errors.New("neither bcrypt, argon2i, argon2id nor fbscrypt")
	errMalformed   = errors.New("malformed")
)

// maxHash bounds a stored hash in bytes before it is parsed.
const maxHash = 512

func parse(hash string) (parsed, error) {
	switch {
	case len(hash) > maxHash:
		return nil, errMalformed
	case strings.HasPrefix(hash, "$2"):
		return parseBcrypt(hash)
	case strings.HasPrefix(hash, "$argon2"):
		return parseArgon2(hash)
	case strings.HasPrefix(hash, "$fbscrypt$"):
		return parseFirebase(hash)
	}
	return nil, errUnknownHash
}
