package tokens_test

import (
	"context"
	"crypto/ecdsa"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"

	"github.com/truekeel/auth/tokens"
)

// What a verification from the cache may cost, against golang-jwt in the same run.
const (
	atLeastES256 = 50 // times faster than parsing an ES256 token
	atLeastHS256 = 8  // times faster than parsing an HS256 token
)

// perOp times fn for about a fifth of a second.
func perOp(fn func()) float64 {
	const span = 200 * time.Millisecond
	n, start := 0, time.Now()
	for time.Since(start) < span {
		for range 16 {
			fn()
		}
		n += 16
	}
	return float64(time.Since(start).Nanoseconds()) / float64(n)
}

// yardstick is a parse of the same claims by golang-jwt.
func yardstick(b *testing.B, token string, method string, key any) func() {
	b.Helper()
	parser := jwt.NewParser(jwt.WithValidMethods([]string{method}))
	return func() {
		if _, err := parser.ParseWithClaims(token, jwt.MapClaims{}, func(*jwt.Token) (any, error) { return key, nil }); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkVerify verifies a token that was seen before, and reports how many times faster
// that is than golang-jwt's parse of an ES256 and of an HS256 token with the same claims.
func BenchmarkVerify(b *testing.B) {
	ec, _, _ := rawKeys(b)
	key, err := tokens.NewPrivateKey("", ec)
	require.NoError(b, err)
	k := ring(b, tokens.KeyringConfig{Static: []tokens.Key{key}})
	claims := sampleClaims(newClock())
	claims.ExpiresAt = time.Now().Add(time.Hour)
	claims.IssuedAt = time.Now()
	token := issue(b, k, claims)
	v := tokens.NewVerifier(k, tokens.VerifierConfig{})
	ctx := context.Background()
	verify := func() {
		if _, err := v.Verify(ctx, token); err != nil {
			b.Fatal(err)
		}
	}
	verify()

	b.ReportAllocs()
	for b.Loop() {
		verify()
	}
	b.StopTimer()

	hs := issue(b, ring(b, tokens.KeyringConfig{Secret: secret}), claims)
	cached := perOp(verify)
	es256 := perOp(yardstick(b, token, "ES256", ec.Public().(*ecdsa.PublicKey))) / cached
	hs256 := perOp(yardstick(b, hs, "HS256", secret)) / cached
	b.ReportMetric(es256, "x-ES256")
	b.ReportMetric(hs256, "x-HS256")
	if es256 < atLeastES256 || hs256 < atLeastHS256 {
		b.Errorf("cached verify is %.0f times faster than ES256 (want %d) and %.1f times faster than HS256 (want %d)",
			es256, atLeastES256, hs256, atLeastHS256)
	}
}

// BenchmarkVerifyParallel is BenchmarkVerify with a thousand tokens on all processors.
func BenchmarkVerifyParallel(b *testing.B) {
	k := ring(b, tokens.KeyringConfig{Secret: secret})
	v := tokens.NewVerifier(k, tokens.VerifierConfig{})
	claims := sampleClaims(newClock())
	claims.ExpiresAt = time.Now().Add(time.Hour)
	list := make([]string, 1000)
	for i := range list {
		claims.IssuedAt = time.Unix(int64(i), 0)
		list[i] = issue(b, k, claims)
		_, err := v.Verify(context.Background(), list[i])
		require.NoError(b, err)
	}
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for i := 0; pb.Next(); i++ {
			if _, err := v.Verify(context.Background(), list[i%len(list)]); err != nil {
				b.Error(err)
				return
			}
		}
	})
}

// BenchmarkVerifyFirst verifies tokens that were not seen before.
func BenchmarkVerifyFirst(b *testing.B) {
	for _, alg := range []string{tokens.ES256, tokens.EdDSA, tokens.RS256, tokens.HS256} {
		b.Run(alg, func(b *testing.B) {
			c := newClock()
			k := withKey(b, generate(b, alg), c)
			token := issue(b, k, sampleClaims(c))
			v := tokens.NewVerifier(k, tokens.VerifierConfig{Now: c.Now, CacheSize: -1})
			b.ReportAllocs()
			for b.Loop() {
				if _, err := v.Verify(context.Background(), token); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkVerifyHostile refuses garbage. Its allocations are asserted in
// TestVerifyAllocations.
func BenchmarkVerifyHostile(b *testing.B) {
	c := newClock()
	k := withKey(b, generate(b, tokens.ES256), c)
	v := verifier(k, c)
	h, _, s := cut3(issue(b, k, sampleClaims(c)))
	for _, g := range []struct{ name, token string }{
		{"8kB", strings.Repeat("a", 8192)},
		{"8kBdots", strings.Repeat(".", 8192)},
		{"8kBforged", h + "." + strings.Repeat("A", 7800-len(h)) + "." + s},
		{"1MB", strings.Repeat("a", 1<<20)},
		{"1MBdots", strings.Repeat(".", 1<<20)},
	} {
		b.Run(g.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := v.Verify(context.Background(), g.token); err == nil {
					b.Fatal("accepted")
				}
			}
		})
	}
}

func BenchmarkIssue(b *testing.B) {
	for _, alg := range []string{tokens.ES256, tokens.HS256} {
		b.Run(alg, func(b *testing.B) {
			c := newClock()
			iss := tokens.NewIssuer(withKey(b, generate(b, alg), c), tokens.IssuerConfig{})
			claims := sampleClaims(c)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := iss.Issue(claims); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
