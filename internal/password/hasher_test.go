package password_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/bcrypt"

	"github.com/truekeel/auth/fault"
	"github.com/truekeel/auth/internal/password"
)

func newHasher(t testing.TB, c password.Config) *password.Hasher {
	t.Helper()
	if c.BcryptCost == 0 {
		c.BcryptCost = 4
	}
	if c.Argon2Memory == 0 {
		c.Argon2Memory, c.Argon2Time = 64, 1
	}
	c.Now = time.Now
	h, err := password.NewHasher(c)
	require.NoError(t, err)
	return h
}

var algorithms = []string{password.Bcrypt, password.Argon2id}

func TestHashAndCompare(t *testing.T) {
	for _, algorithm := range algorithms {
		t.Run(algorithm, func(t *testing.T) {
			h := newHasher(t, password.Config{Algorithm: algorithm})
			ctx := t.Context()
			for _, pw := range []string{"", "x", "correct horse", "Grüße 🔑 пароль", strings.Repeat("ö", 36)} {
				hash, err := h.Hash(ctx, pw)
				require.NoError(t, err)
				require.NoError(t, h.CheckHash(hash))
				again, err := h.Hash(ctx, pw)
				require.NoError(t, err)
				require.NotEqual(t, hash, again, "each hash has a salt of its own")

				match, rehash, err := h.Compare(ctx, hash, pw)
				require.NoError(t, err)
				require.True(t, match)
				require.False(t, rehash)

				match, rehash, err = h.Compare(ctx, hash, pw+" ")
				require.NoError(t, err)
				require.False(t, match)
				require.False(t, rehash)
			}
		})
	}
}

// A password is verified exactly as it was entered: nothing is cut, trimmed or folded.
func TestASVS_6_2_8(t *testing.T) {
	ctx := t.Context()
	exact, over := strings.Repeat("a", 72), strings.Repeat("a", 73)

	h := newHasher(t, password.Config{})
	_, err := h.Hash(ctx, over)
	require.Equal(t, fault.ValidationFailed, fault.CodeOf(err))
	require.Contains(t, err.Error(), "Password cannot be longer than 72 characters")
	_, err = h.Hash(ctx, strings.Repeat("ö", 37)) // 74 bytes
	require.Equal(t, fault.ValidationFailed, fault.CodeOf(err))

	hash, err := h.Hash(ctx, exact)
	require.NoError(t, err)
	match, _, err := h.Compare(ctx, hash, exact)
	require.NoError(t, err)
	require.True(t, match)
	match, _, err = h.Compare(ctx, hash, over)
	require.NoError(t, err)
	require.False(t, match, "bcrypt alone would say yes")

	h = newHasher(t, password.Config{Algorithm: password.Argon2id})
	hash, err = h.Hash(ctx, over)
	require.NoError(t, err)
	match, _, err = h.Compare(ctx, hash, over)
	require.NoError(t, err)
	require.True(t, match)
	for _, other := range []string{exact, " " + over, over + " ", strings.ToUpper(over)} {
		match, _, err = h.Compare(ctx, hash, other)
		require.NoError(t, err)
		require.False(t, match, other)
	}
	_, err = h.Hash(ctx, strings.Repeat("a", password.MaxCodePoints+1))
	require.Equal(t, fault.ValidationFailed, fault.CodeOf(err))
}

func TestTextThatIsNoPassword(t *testing.T) {
	ctx := t.Context()
	for _, algorithm := range algorithms {
		h := newHasher(t, password.Config{Algorithm: algorithm})
		hash, err := h.Hash(ctx, "a")
		require.NoError(t, err)
		// bcrypt repeats the password with a NUL behind it: to it "a" and "a\x00a" are
		// the same.
		for _, pw := range []string{"a\x00a", "\xff\xfe", "a\xc3", strings.Repeat("a", 1<<20)} {
			_, err := h.Hash(ctx, pw)
			require.Equal(t, fault.ValidationFailed, fault.CodeOf(err))
			before := h.Hashes()
			match, _, err := h.Compare(ctx, hash, pw)
			require.NoError(t, err)
			require.False(t, match)
			require.Equal(t, before+1, h.Hashes(), "refusing takes the same work")
		}
	}
}

func TestUnknownAccountsTakeTheSameWork(t *testing.T) {
	ctx := t.Context()
	for _, algorithm := range algorithms {
		h := newHasher(t, password.Config{Algorithm: algorithm})
		hash, err := h.Hash(ctx, "secret-1")
		require.NoError(t, err)
		count := func(f func()) uint64 {
			before := h.Hashes()
			f()
			return h.Hashes() - before
		}
		for _, pw := range []string{"secret-1", "wrong", "", "\x00", strings.Repeat("x", 100)} {
			known := count(func() {
				_, _, err := h.Compare(ctx, hash, pw)
				require.NoError(t, err)
			})
			unknown := count(func() { require.NoError(t, h.CompareDummy(ctx, pw)) })
			without := count(func() {
				match, rehash, err := h.Compare(ctx, "", pw)
				require.NoError(t, err)
				require.False(t, match)
				require.False(t, rehash)
			})
			require.EqualValues(t, 1, known)
			require.Equal(t, known, unknown)
			require.Equal(t, known, without)
		}
	}
}

// Vectors of other systems: the reference implementations of bcrypt and Argon2, PHP,
// and the example of Firebase's own scrypt utility.
var foreign = []struct{ name, hash, pw string }{
	{"bcrypt 2a", "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW", "U*U"},
	{"bcrypt 2y", "$2y$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW", "U*U"},
	{"bcrypt 2b", "$2b$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW", "U*U"},
	{"argon2i", "$argon2i$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$wWKIMhR9lyDFvRz9YTZweHKfbftvj+qf+YFY4NeBbtA", "password"},
	{"argon2id", "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc", "password"},
	{"fbscrypt", "$fbscrypt$v=1,n=14,r=8,p=1,ss=Bw==,sk=jxspr8Ki0RYycVU8zykbdLGjFQ3McFUH0uiiTvC8pVMXAn210wjLNmdZJzxUECKbm0QsEmYUSDzZvpjeJ9WmXA==$42xEC+ixf3L2lw==$lSrfV15cpx95/sZS2W9c9Kp6i/LVgQNDNC/qzrCnh1SAyZvqmZqAjTdn3aoItz+VHjoZilo78198JAdRuid5lQ==", "user1password"},
}

func TestForeignHashes(t *testing.T) {
	h := newHasher(t, password.Config{BcryptCost: 10, Argon2Memory: 19456, Argon2Time: 2})
	for _, tt := range foreign {
		t.Run(tt.name, func(t *testing.T) {
			require.NoError(t, h.CheckHash(tt.hash))
			match, rehash, err := h.Compare(t.Context(), tt.hash, tt.pw)
			require.NoError(t, err)
			require.True(t, match)
			require.Equal(t, tt.name != "argon2id", rehash)
			match, rehash, err = h.Compare(t.Context(), tt.hash, tt.pw+"x")
			require.NoError(t, err)
			require.False(t, match)
			require.False(t, rehash)
		})
	}
}

func TestRefusedHashes(t *testing.T) {
	good := "$2a$10$" + strings.Repeat("a", 53)
	argon := func(params string) string {
		return "$argon2id$v=19$" + params + "$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"
	}
	fb := func(params, salt, hash string) string { return "$fbscrypt$" + params + "$" + salt + "$" + hash }
	key := "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
	tests := map[string]string{
		"empty":                 "",
		"plain":                 "secret",
		"md5 crypt":             "$1$salt$qJH7.N4xYta3aEG/dfqo/0",
		"huge":                  good + strings.Repeat("a", 1<<20),
		"bcrypt x":              strings.Replace(good, "$2a", "$2x", 1),
		"bcrypt without letter": strings.Replace(good, "$2a", "$2", 1),
		"bcrypt cost 3":         strings.Replace(good, "$10", "$03", 1),
		"bcrypt cost 31":        strings.Replace(good, "$10", "$31", 1),
		"bcrypt cost +5":        strings.Replace(good, "$10", "$+5", 1),
		"bcrypt short":          good[:59],
		"bcrypt long":           good + "a",
		"bcrypt alphabet":       good[:59] + "=",
		"argon2d":               strings.Replace(argon("m=64,t=1,p=1"), "2id", "2d", 1),
		"argon2 old version":    strings.Replace(argon("m=64,t=1,p=1"), "v=19", "v=16", 1),
		"argon2 no version":     strings.Replace(argon("m=64,t=1,p=1"), "v=19$", "", 1),
		"argon2 m too much":     argon("m=4194304,t=1,p=1"),
		"argon2 m over uint32":  argon("m=4294967360,t=1,p=1"),
		"argon2 t too much":     argon("m=64,t=4294967295,p=1"),
		"argon2 m*t too much":   argon("m=262144,t=5,p=1"),
		"argon2 p too much":     argon("m=65536,t=1,p=255"),
		"argon2 p over a byte":  argon("m=65536,t=1,p=257"),
		"argon2 p 0":            argon("m=64,t=1,p=0"),
		"argon2 t 0":            argon("m=64,t=0,p=1"),
		"argon2 m too little":   argon("m=7,t=1,p=1"),
		"argon2 negative":       argon("m=-64,t=1,p=1"),
		"argon2 order":          argon("t=1,m=64,p=1"),
		"argon2 twice":          argon("m=64,m=64,t=1,p=1"),
		"argon2 keyid":          argon("m=64,t=1,p=1,keyid=x"),
		"argon2 salt":           "$argon2id$v=19$m=64,t=1,p=1$!$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
		"argon2 short tag":      "$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHQ$CTFh",
		"argon2 extra part":     argon("m=64,t=1,p=1") + "$x",
		"fbscrypt n":            fb("v=1,n=30,r=8,p=1,ss=Bw==,sk="+key, "Bw==", key),
		"fbscrypt memory":       fb("v=1,n=20,r=255,p=1,ss=Bw==,sk="+key, "Bw==", key),
		"fbscrypt p":            fb("v=1,n=14,r=8,p=100,ss=Bw==,sk="+key, "Bw==", key),
		"fbscrypt r 0":          fb("v=1,n=14,r=0,p=1,ss=Bw==,sk="+key, "Bw==", key),
		"fbscrypt version":      fb("v=2,n=14,r=8,p=1,ss=Bw==,sk="+key, "Bw==", key),
		"fbscrypt no key":       fb("v=1,n=14,r=8,p=1,ss=Bw==", "Bw==", key),
		"fbscrypt lengths":      fb("v=1,n=14,r=8,p=1,ss=Bw==,sk="+key, "Bw==", "AAAAAAAAAAAAAAAAAAAAAAAA"),
		"fbscrypt salt":         fb("v=1,n=14,r=8,p=1,ss=Bw==,sk="+key, "?", key),
	}
	h := newHasher(t, password.Config{})
	for name, hash := range tests {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, fault.ValidationFailed, fault.CodeOf(h.CheckHash(hash)))
			if hash == "" {
				return // an account without a password
			}
			match, _, err := h.Compare(t.Context(), hash, "secret")
			require.Error(t, err)
			require.False(t, match)
		})
	}
	require.Zero(t, h.Hashes(), "nothing was computed")
}

func TestRehash(t *testing.T) {
	ctx := t.Context()
	hashed := func(c password.Config) string {
		hash, err := newHasher(t, c).Hash(ctx, "secret")
		require.NoError(t, err)
		return hash
	}
	b4, b5 := hashed(password.Config{BcryptCost: 4}), hashed(password.Config{BcryptCost: 5})
	a1 := hashed(password.Config{Algorithm: password.Argon2id, Argon2Memory: 64, Argon2Time: 1})
	a2 := hashed(password.Config{Algorithm: password.Argon2id, Argon2Memory: 64, Argon2Time: 2})
	today := func(algorithm string, time uint32) password.Config {
		return password.Config{Algorithm: algorithm, BcryptCost: 5, Argon2Memory: 64, Argon2Time: time}
	}
	tests := []struct {
		name, hash string
		today      password.Config
		want       bool
	}{
		{"bcrypt at today's cost", b5, today(password.Bcrypt, 1), false},
		{"bcrypt below", b4, today(password.Bcrypt, 1), true},
		{"bcrypt above", b5, password.Config{BcryptCost: 4}, false},
		{"bcrypt under argon2id", b5, today(password.Argon2id, 1), true},
		{"argon2id at today's cost", a1, today(password.Argon2id, 1), false},
		{"argon2id below", a1, today(password.Argon2id, 2), true},
		{"argon2id above", a2, today(password.Argon2id, 1), false},
		{"strong argon2id under bcrypt", a1, today(password.Bcrypt, 1), false},
		{"weak argon2id under bcrypt", a1, today(password.Bcrypt, 2), true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			match, rehash, err := newHasher(t, tt.today).Compare(ctx, tt.hash, "secret")
			require.NoError(t, err)
			require.True(t, match)
			require.Equal(t, tt.want, rehash)
		})
	}

	// What today's algorithm can't hash stays as it is.
	long := strings.Repeat("x", 80)
	hash, err := newHasher(t, password.Config{Algorithm: password.Argon2id}).Hash(ctx, long)
	require.NoError(t, err)
	match, rehash, err := newHasher(t, today(password.Bcrypt, 2)).Compare(ctx, hash, long)
	require.NoError(t, err)
	require.True(t, match)
	require.False(t, rehash)
}

func TestNewHasherRefuses(t *testing.T) {
	for name, c := range map[string]password.Config{
		"algorithm": {Algorithm: "md5"}, "cost low": {BcryptCost: 3}, "cost high": {BcryptCost: 16},
		"memory": {Argon2Memory: 1}, "time": {Argon2Time: 1000}, "threads": {Argon2Threads: 200},
		"slots": {Slots: -1}, "queue": {Queue: -1}, "budget": {MemoryBudget: -1},
	} {
		c.Now = time.Now
		_, err := password.NewHasher(c)
		require.Error(t, err, name)
	}
	_, err := password.NewHasher(password.Config{})
	require.Error(t, err, "no clock")
}

func TestGoneClients(t *testing.T) {
	h := newHasher(t, password.Config{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := h.Hash(ctx, "secret")
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorIs(t, h.CompareDummy(ctx, "secret"), context.Canceled)
	require.Zero(t, h.Hashes())
}

func TestHasherUnderRace(t *testing.T) {
	h := newHasher(t, password.Config{Slots: 2, Queue: 1000})
	hash, err := h.Hash(t.Context(), "secret")
	require.NoError(t, err)
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			h.Arrived()
			match, _, err := h.Compare(t.Context(), hash, "secret")
			if err = errors.Join(err, h.CompareDummy(t.Context(), "x")); err != nil || !match {
				t.Error(match, err)
			}
		})
	}
	wg.Wait()
	require.EqualValues(t, 101, h.Hashes())
}

func FuzzCheckHash(f *testing.F) {
	for _, tt := range foreign {
		f.Add(tt.hash)
	}
	f.Add("$2a$10$")
	f.Add("$argon2id$v=19$m=,t=,p=$$")
	f.Add("$fbscrypt$v=1,n=,r=,p=,ss=,sk=$$")
	h, err := password.NewHasher(password.Config{Now: time.Now})
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, hash string) {
		if err := h.CheckHash(hash); err != nil {
			require.Equal(t, fault.ValidationFailed, fault.CodeOf(err))
			return
		}
		if strings.HasPrefix(hash, "$2") {
			_, err := bcrypt.Cost([]byte(hash))
			require.NoError(t, err, "the library refuses what was accepted")
		}
	})
}

// BenchmarkGate measures comparisons through the gate against a bare loop of the same
// hash on as many goroutines as the gate has slots, in the same run. The ratio is
// the share of the bare throughput that is left.
func BenchmarkGate(b *testing.B) {
	const waiting = 32
	h, err := password.NewHasher(password.Config{Now: time.Now})
	require.NoError(b, err)
	hash, err := h.Hash(b.Context(), "secret")
	require.NoError(b, err)
	slots := h.Slots()

	// Short rounds of both take turns, so that what else the machine does at the time
	// falls on both.
	const round = 32
	run := func(goroutines int, f func() error) time.Duration {
		work := make(chan struct{}, round)
		for range round {
			work <- struct{}{}
		}
		close(work)
		var wg sync.WaitGroup
		start := time.Now()
		for range goroutines {
			wg.Go(func() {
				for range work {
					if err := f(); err != nil {
						b.Error(err)
					}
				}
			})
		}
		wg.Wait()
		return time.Since(start)
	}
	var bare, gated time.Duration
	for b.Loop() {
		bare += run(slots, func() error {
			return bcrypt.CompareHashAndPassword([]byte(hash), []byte("secret"))
		})
		gated += run(waiting, func() error {
			_, _, err := h.Compare(context.Background(), hash, "secret")
			return err
		})
	}
	b.ReportMetric(0, "ns/op") // would be that of both
	b.ReportMetric(float64(bare)/float64(gated), "ratio")
	b.ReportMetric(round*float64(b.N)/gated.Seconds(), "hashes/s")
}

func BenchmarkArrived(b *testing.B) {
	h := newHasher(b, password.Config{})
	for b.Loop() {
		h.Arrived()
	}
}
