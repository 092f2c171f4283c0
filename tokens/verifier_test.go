package tokens_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/truekeel/auth/tokens"
)

func isErr(err, target error) bool { return errors.Is(err, target) }

// hs256 signs any header and payload with a secret.
func hs256(secret []byte, header, payload string) string {
	signed := b64.EncodeToString([]byte(header)) + "." + b64.EncodeToString([]byte(payload))
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(signed))
	return signed + "." + b64.EncodeToString(mac.Sum(nil))
}

const plainHeader = `{"alg":"HS256","typ":"JWT"}`

func TestAttackCorpus(t *testing.T) {
	c := newClock()
	ec, _, _ := rawKeys(t)
	es, err := tokens.NewPrivateKey("es-1", ec)
	require.NoError(t, err)
	ed, err := generate(t, tokens.EdDSA).WithID("ed-1")
	require.NoError(t, err)
	rs, err := generate(t, tokens.RS256).WithID("rs-1")
	require.NoError(t, err)
	der, err := x509.MarshalPKIXPublicKey(&ec.PublicKey)
	require.NoError(t, err)
	pemText := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})

	asymmetric := ring(t, tokens.KeyringConfig{Static: []tokens.Key{es, ed.VerifyOnly(), rs.VerifyOnly()}})
	generated := stored(t, &memKeys{}, c)
	shared := withSecret(t, c)
	both := ring(t, tokens.KeyringConfig{Static: []tokens.Key{es}, Secret: secret})
	onlyES := ring(t, tokens.KeyringConfig{Static: []tokens.Key{es}, Secret: secret, ValidMethods: []string{"ES256"}})

	good := issue(t, asymmetric, sampleClaims(c))
	h, p, s := cut3(good)
	payload := part(t, good, 1)
	gh, gp, gs := cut3(issue(t, generated, sampleClaims(c)))
	hsh, hsp, hss := cut3(issue(t, shared, sampleClaims(c)))
	enc := func(text string) string { return b64.EncodeToString([]byte(text)) }
	edToken := issue(t, withKey(t, ed, c), sampleClaims(c))
	_, edPayload, edSig := cut3(edToken)
	exp := fmt.Sprintf(`"exp":%d`, c.Now().Add(time.Hour).Unix())

	for _, a := range []struct {
		name  string
		keys  *tokens.Keyring
		token string
		want  error
	}{
		{"none", asymmetric, enc(`{"alg":"none"}`) + "." + p + ".AA", tokens.ErrAlgorithm},
		{"none without signature", asymmetric, enc(`{"alg":"none"}`) + "." + p + ".", tokens.ErrMalformed},
		{"nOnE", asymmetric, enc(`{"alg":"nOnE","kid":"es-1"}`) + "." + p + ".AA", tokens.ErrAlgorithm},
		{"none with the kid", asymmetric, enc(`{"alg":"none","kid":"es-1"}`) + "." + p + "." + s, tokens.ErrAlgorithm},
		{"no alg", asymmetric, enc(`{"kid":"es-1"}`) + "." + p + "." + s, tokens.ErrAlgorithm},
		{"HS256 by public PEM", asymmetric, hs256(pemText, `{"alg":"HS256","kid":"es-1"}`, payload), tokens.ErrAlgorithm},
		{"HS256 by public PEM, no kid", asymmetric, hs256(pemText, plainHeader, payload), tokens.ErrUnknownKey},
		{"HS256 by public DER", asymmetric, hs256(der, `{"alg":"HS256","kid":"es-1"}`, payload), tokens.ErrAlgorithm},
		{"HS256 by public JWK", asymmetric, hs256(es.PublicJWK(), `{"alg":"HS256","kid":"es-1"}`, payload), tokens.ErrAlgorithm},
		{"HS256 by nothing", shared, hs256(nil, plainHeader, payload), tokens.ErrSignature},
		{"RS256 for the ES256 kid", asymmetric, enc(`{"alg":"RS256","kid":"es-1"}`) + "." + p + "." + s, tokens.ErrAlgorithm},
		{"EdDSA signature under the ES256 kid", asymmetric, enc(`{"alg":"ES256","kid":"es-1"}`) + "." + edPayload + "." + edSig, tokens.ErrSignature},
		{"EdDSA token under the RS256 kid", asymmetric, enc(`{"alg":"EdDSA","kid":"rs-1"}`) + "." + edPayload + "." + edSig, tokens.ErrAlgorithm},
		{"HS384", shared, enc(`{"alg":"HS384"}`) + "." + hsp + "." + hss, tokens.ErrAlgorithm},
		{"HS256 in lower case", shared, enc(`{"alg":"hs256"}`) + "." + hsp + "." + hss, tokens.ErrAlgorithm},
		{"HS256 though not a valid method", onlyES, hsh + "." + hsp + "." + hss, tokens.ErrAlgorithm},
		{"the secret under another algorithm's name", both, hs256(secret, `{"alg":"ES256"}`, `{`+exp+`}`), tokens.ErrUnknownKey},
		{"no kid for a generated key", generated, enc(`{"alg":"ES256"}`) + "." + gp + "." + gs, tokens.ErrUnknownKey},
		{"empty kid for a generated key", generated, enc(`{"alg":"ES256","kid":""}`) + "." + gp + "." + gs, tokens.ErrUnknownKey},
		{"kid of nobody", generated, enc(`{"alg":"ES256","kid":"../../dev/null"}`) + "." + gp + "." + gs, tokens.ErrUnknownKey},
		{"kid as number", asymmetric, enc(`{"alg":"ES256","kid":1}`) + "." + p + "." + s, tokens.ErrMalformed},
		{"kid as array", asymmetric, enc(`{"alg":"ES256","kid":["es-1"]}`) + "." + p + "." + s, tokens.ErrMalformed},
		{"alg as array", asymmetric, enc(`{"alg":["ES256"],"kid":"es-1"}`) + "." + p + "." + s, tokens.ErrMalformed},
		{"signature of zeros", asymmetric, h + "." + p + "." + b64.EncodeToString(make([]byte, 64)), tokens.ErrSignature},
		{"DER-length signature", asymmetric, h + "." + p + "." + b64.EncodeToString(make([]byte, 70)), tokens.ErrSignature},
		{"another's payload", asymmetric, h + "." + enc(`{"sub":"admin",`+exp+`}`) + "." + s, tokens.ErrSignature},
		{"truncated by one", asymmetric, good[:len(good)-1], nil},
		{"signature cut off", asymmetric, h + "." + p, tokens.ErrMalformed},
		{"empty signature", asymmetric, h + "." + p + ".", tokens.ErrMalformed},
		{"empty payload", asymmetric, h + ".." + s, tokens.ErrMalformed},
		{"empty header", asymmetric, "." + p + "." + s, tokens.ErrMalformed},
		{"empty", asymmetric, "", tokens.ErrMalformed},
		{"dots", asymmetric, "..", tokens.ErrMalformed},
		{"one dot", asymmetric, ".", tokens.ErrMalformed},
		{"four parts", asymmetric, good + ".", tokens.ErrMalformed},
		{"JWE of five parts", asymmetric, good + ".AA.AA", tokens.ErrMalformed},
		{"padded", asymmetric, good + "==", tokens.ErrMalformed},
		{"padded header", asymmetric, h + "=." + p + "." + s, tokens.ErrMalformed},
		{"line break inside", asymmetric, h + "\n." + p + "." + s, tokens.ErrMalformed},
		{"line break in signature", asymmetric, good[:len(good)-2] + "\r\n" + good[len(good)-2:], tokens.ErrMalformed},
		{"space before", asymmetric, " " + good, tokens.ErrMalformed},
		{"NUL", asymmetric, good + "\x00", tokens.ErrMalformed},
		{"standard base64", asymmetric, h + "." + p + ".++//", tokens.ErrMalformed},
		{"JSON serialization", asymmetric, `{"payload":"` + p + `"}`, tokens.ErrMalformed},
		{"Bearer", asymmetric, "Bearer " + good, tokens.ErrMalformed},
		{"8 kB of dots", asymmetric, strings.Repeat(".", 8192), tokens.ErrMalformed},
		{"1 MB of dots", asymmetric, strings.Repeat(".", 1<<20), tokens.ErrTooLong},
		{"one byte too long", asymmetric, h + "." + strings.Repeat("A", 8193-len(h)-len(s)-2) + "." + s, tokens.ErrTooLong},
		{"header bomb", asymmetric, enc(`{"alg":`+strings.Repeat("[", 5000)) + "." + "AA.AA", tokens.ErrMalformed},
		{"huge header", asymmetric, enc(`{"alg":"ES256","kid":"es-1","x":"`+strings.Repeat("x", 1000)+`"}`) + "." + p + "." + s, tokens.ErrMalformed},
		{"header is no JSON", asymmetric, enc("alg") + "." + p + "." + s, tokens.ErrMalformed},
		{"header is an array", asymmetric, enc("[]") + "." + p + "." + s, tokens.ErrMalformed},
		{"crit", shared, hs256(secret, `{"alg":"HS256","crit":["b64"],"b64":false}`, payload), tokens.ErrMalformed},
		{"empty crit", shared, hs256(secret, `{"alg":"HS256","crit":[]}`, payload), tokens.ErrMalformed},
		{"null crit", shared, hs256(secret, `{"alg":"HS256","crit":null}`, payload), tokens.ErrMalformed},
		{"typ of another kind", shared, hs256(secret, `{"alg":"HS256","typ":"secevent+jwt"}`, payload), tokens.ErrMalformed},
		{"jwk brings its own key", asymmetric,
			issueHeader(t, ed, `{"alg":"EdDSA","kid":"evil","jwk":`+string(ed.PublicJWK())+`}`, payload), tokens.ErrUnknownKey},

		{"nested bomb in the payload", shared, hs256(secret, plainHeader, `{`+exp+`,"a":`+strings.Repeat("[", 5000)+strings.Repeat("]", 5000)+`}`), tokens.ErrTooLong},
		{"small bomb, unclosed", shared, hs256(secret, plainHeader, `{`+exp+`,"a":`+strings.Repeat("[", 2000)), tokens.ErrClaims},
		{"doubled claim", shared, hs256(secret, plainHeader, `{`+exp+`,"role":"authenticated","role":"service_role"}`), tokens.ErrClaims},
		{"doubled exp", shared, hs256(secret, plainHeader, `{`+exp+`,"exp":99999999999}`), tokens.ErrClaims},
		{"payload is an array", shared, hs256(secret, plainHeader, `[]`), tokens.ErrClaims},
		{"payload is no JSON", shared, hs256(secret, plainHeader, `x`), tokens.ErrClaims},
		{"aud empty", shared, hs256(secret, plainHeader, `{`+exp+`,"aud":""}`), tokens.ErrClaims},
		{"aud empty array", shared, hs256(secret, plainHeader, `{`+exp+`,"aud":[]}`), tokens.ErrClaims},
		{"aud number", shared, hs256(secret, plainHeader, `{`+exp+`,"aud":1}`), tokens.ErrClaims},
		{"no exp", shared, hs256(secret, plainHeader, `{"role":"service_role"}`), tokens.ErrClaims},
		{"null exp", shared, hs256(secret, plainHeader, `{"exp":null}`), tokens.ErrClaims},
		{"Exp is not exp", shared, hs256(secret, plainHeader, `{"Exp":99999999999}`), tokens.ErrClaims},
		{"exp as text", shared, hs256(secret, plainHeader, `{"exp":"99999999999"}`), tokens.ErrClaims},
		{"exp of zero", shared, hs256(secret, plainHeader, `{"exp":0}`), tokens.ErrExpired},
		{"expired with a bad signature", shared, hs256([]byte("wrong"), plainHeader, `{"exp":1}`), tokens.ErrSignature},
		{"expired and of wrong claims", shared, hs256(secret, plainHeader, `{"exp":1,"sub":1}`), tokens.ErrClaims},
		{"nbf in a second", shared, hs256(secret, plainHeader, fmt.Sprintf(`{%s,"nbf":%d}`, exp, c.Now().Unix()+1)), tokens.ErrNotYetValid},
	} {
		t.Run(a.name, func(t *testing.T) {
			v := verifier(a.keys, c)
			for range 2 { // the second time might come from a cache
				claims, err := v.Verify(t.Context(), a.token)
				require.Nil(t, claims)
				require.Error(t, err)
				if a.want != nil {
					require.ErrorIs(t, err, a.want)
				}
				requireNoLeak(t, err, a.token)
			}
			n, _ := v.Cached()
			require.Zero(t, n, "refused tokens aren't kept")
		})
	}
	require.NotEmpty(t, gh)
}

// requireNoLeak: an error shows no part of the token.
func requireNoLeak(t *testing.T, err error, token string) {
	t.Helper()
	for _, p := range strings.Split(token, ".") {
		if len(p) >= 8 {
			require.NotContains(t, err.Error(), p[:8])
		}
	}
	require.Less(t, len(err.Error()), 120)
}

func cut3(token string) (h, p, s string) {
	parts := strings.Split(token, ".")
	return parts[0], parts[1], parts[2]
}

// issueHeader signs with key's secret half but writes any header; it swaps the header of a
// token that has the same payload, so the signature is that of the original header.
func issueHeader(t testing.TB, key tokens.Key, header, payload string) string {
	t.Helper()
	var claims tokens.Claims
	require.NoError(t, claims.UnmarshalJSON([]byte(payload)))
	token := issue(t, withKey(t, key, newClock()), claims)
	_, p, s := cut3(token)
	return b64.EncodeToString([]byte(header)) + "." + p + "." + s
}

// Every single changed character is noticed, also in the last one, whose low bits no byte
// depends on.
func TestEveryCharacterCounts(t *testing.T) {
	c := newClock()
	for _, alg := range []string{tokens.HS256, tokens.ES256, tokens.EdDSA} {
		k := withKey(t, generate(t, alg), c)
		v := verifier(k, c)
		token := issue(t, k, sampleClaims(c))
		_, err := v.Verify(t.Context(), token)
		require.NoError(t, err)
		for i := range token {
			for _, to := range []byte{flip(token[i]), next(token[i])} {
				changed := token[:i] + string(to) + token[i+1:]
				if changed == token {
					continue
				}
				_, err := v.Verify(t.Context(), changed)
				require.Error(t, err, "%s: %q at %d", alg, to, i)
			}
			_, err := v.Verify(t.Context(), token[:i])
			require.Error(t, err)
		}
	}
}

// flip changes the case of a letter.
func flip(c byte) byte {
	if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' {
		return c ^ 0x20
	}
	return 'A'
}

// next gives the neighbour in the alphabet of base64url, which differs in the lowest bit.
func next(c byte) byte {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	if i := strings.IndexByte(alphabet, c); i >= 0 {
		return alphabet[i^1]
	}
	return 'A'
}

func TestAccepted(t *testing.T) {
	c := newClock()
	es := generate(t, tokens.ES256)
	both := ring(t, tokens.KeyringConfig{Static: []tokens.Key{es}, Secret: secret})
	exp := fmt.Sprintf(`"exp":%d`, c.Now().Unix()+1)
	for name, token := range map[string]string{
		"secret without kid":            hs256(secret, plainHeader, `{`+exp+`}`),
		"secret with a kid of before":   hs256(secret, `{"alg":"HS256","kid":"old"}`, `{`+exp+`}`),
		"no typ":                        hs256(secret, `{"alg":"HS256"}`, `{`+exp+`}`),
		"at+jwt":                        hs256(secret, `{"alg":"HS256","typ":"at+jwt"}`, `{`+exp+`}`),
		"jku and x5u are not looked at": hs256(secret, `{"alg":"HS256","jku":"https://evil.example","x5u":1,"jwk":{},"x5c":["x"]}`, `{`+exp+`}`),
		"aud array":                     hs256(secret, plainHeader, `{`+exp+`,"aud":["a","b"]}`),
		"future iat":                    hs256(secret, plainHeader, `{`+exp+`,"iat":99999999999}`),
		"nbf now":                       hs256(secret, plainHeader, fmt.Sprintf(`{%s,"nbf":%d}`, exp, c.Now().Unix())),
		"the key":                       issue(t, both, sampleClaims(c)),
	} {
		_, err := verifier(both, c).Verify(t.Context(), token)
		require.NoError(t, err, name)
	}
}

func TestExpectations(t *testing.T) {
	c := newClock()
	k := withSecret(t, c)
	exp := fmt.Sprintf(`"exp":%d`, c.Now().Unix()+1)
	for _, tc := range []struct {
		cfg     tokens.VerifierConfig
		payload string
		ok      bool
	}{
		{tokens.VerifierConfig{AllowNoExpiry: true}, `{"role":"service_role"}`, true},
		{tokens.VerifierConfig{AllowNoExpiry: true}, `{"exp":1}`, false},
		{tokens.VerifierConfig{Issuer: "a"}, `{` + exp + `,"iss":"a"}`, true},
		{tokens.VerifierConfig{Issuer: "a"}, `{` + exp + `,"iss":"b"}`, false},
		{tokens.VerifierConfig{Issuer: "a"}, `{` + exp + `}`, false},
		{tokens.VerifierConfig{Audiences: []string{"x", "a"}}, `{` + exp + `,"aud":"a"}`, true},
		{tokens.VerifierConfig{Audiences: []string{"a"}}, `{` + exp + `,"aud":["b","a"]}`, true},
		{tokens.VerifierConfig{Audiences: []string{"a"}}, `{` + exp + `,"aud":"A"}`, false},
		{tokens.VerifierConfig{Audiences: []string{"a"}}, `{` + exp + `}`, false},
	} {
		tc.cfg.Now = c.Now
		_, err := tokens.NewVerifier(k, tc.cfg).Verify(t.Context(), hs256(secret, plainHeader, tc.payload))
		require.Equal(t, tc.ok, err == nil, "%s: %v", tc.payload, err)
	}
}

func TestCachedTokensAgeAsWell(t *testing.T) {
	c := newClock()
	k := withSecret(t, c)
	v := verifier(k, c)
	claims := sampleClaims(c)
	claims.NotBefore = c.Now()
	token := issue(t, k, claims)
	first, err := v.Verify(t.Context(), token)
	require.NoError(t, err)
	second, err := v.Verify(t.Context(), token)
	require.NoError(t, err)
	require.Same(t, first, second, "from the cache")

	c.Add(time.Hour - 1)
	_, err = v.Verify(t.Context(), token)
	require.NoError(t, err)
	c.Add(1)
	_, err = v.Verify(t.Context(), token)
	require.ErrorIs(t, err, tokens.ErrExpired)
	c.Add(-2 * time.Hour)
	_, err = v.Verify(t.Context(), token)
	require.ErrorIs(t, err, tokens.ErrNotYetValid)
}

func TestCacheIsBounded(t *testing.T) {
	c := newClock()
	k := withSecret(t, c)
	many := func(v *tokens.Verifier, n int) {
		for i := range n {
			claims := sampleClaims(c)
			claims.Subject = fmt.Sprint(i)
			_, err := v.Verify(t.Context(), issue(t, k, claims))
			require.NoError(t, err)
		}
	}
	v := tokens.NewVerifier(k, tokens.VerifierConfig{Now: c.Now, CacheSize: 10})
	many(v, 50)
	n, _ := v.Cached()
	require.Equal(t, 10, n)

	v = tokens.NewVerifier(k, tokens.VerifierConfig{Now: c.Now, CacheBytes: 10_000})
	many(v, 50)
	n, bytes := v.Cached()
	require.Greater(t, n, 1)
	require.LessOrEqual(t, bytes, 10_000)
	require.Greater(t, bytes, 5_000, "bytes are counted down as well")

	v = tokens.NewVerifier(k, tokens.VerifierConfig{Now: c.Now, CacheBytes: 1})
	many(v, 2)
	n, bytes = v.Cached()
	require.Zero(t, n)
	require.Zero(t, bytes)

	many(tokens.NewVerifier(k, tokens.VerifierConfig{Now: c.Now, CacheSize: -1}), 2)
}

// Verifiers, a rotation and a retirement at once: whoever asks after Retire has returned
// is refused, whatever was under way meanwhile.
func TestRetireAgainstRacingVerifiers(t *testing.T) {
	m, c := &memKeys{}, newClock()
	k := stored(t, m, c)
	v := verifier(k, c)
	for range 20 {
		id := signerID(k)
		claims := sampleClaims(c)
		token := issue(t, k, claims)
		var wg sync.WaitGroup
		stop := make(chan struct{})
		for range 4 {
			wg.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
					}
					if _, err := v.Verify(context.Background(), token); err != nil && !isErr(err, tokens.ErrUnknownKey) {
						t.Error(err)
						return
					}
				}
			})
		}
		_, err := k.Retire(t.Context(), id)
		require.NoError(t, err)
		for range 100 {
			_, err = v.Verify(t.Context(), token)
			require.ErrorIs(t, err, tokens.ErrUnknownKey)
		}
		close(stop)
		wg.Wait()
	}
}

func TestVerifyAllocations(t *testing.T) {
	c := newClock()
	k := withKey(t, generate(t, tokens.ES256), c)
	v := verifier(k, c)
	token := issue(t, k, sampleClaims(c))
	_, err := v.Verify(t.Context(), token)
	require.NoError(t, err)
	require.Zero(t, testing.AllocsPerRun(100, func() { _, err = v.Verify(context.Background(), token) }))
	require.NoError(t, err)

	h, p, s := cut3(token)
	for _, g := range []struct {
		name, token string
		allocs      float64
	}{
		{"1 MB of dots", strings.Repeat(".", 1<<20), 0},
		{"1 MB of text", strings.Repeat("a", 1<<20), 0},
		{"8 kB of dots", strings.Repeat(".", 8192), 0},
		{"8 kB of text", strings.Repeat("a", 8192), 0},
		{"three parts of 2 kB", strings.Repeat("a", 2700) + "." + strings.Repeat("b", 2700) + "." + strings.Repeat("c", 2700), 0},
		{"good header, 7 kB of payload", h + "." + strings.Repeat("A", 7000) + "." + s, 40},
		{"short nonsense header", "aaaa." + p + "." + s, 10},
		{"unknown kid", b64.EncodeToString([]byte(`{"alg":"ES256","kid":"x"}`)) + "." + p + "." + s, 15},
	} {
		got := testing.AllocsPerRun(20, func() { _, err = v.Verify(context.Background(), g.token) })
		require.Error(t, err)
		require.LessOrEqual(t, got, g.allocs, g.name)
	}
}

func FuzzVerify(f *testing.F) {
	c := newClock()
	key, err := tokens.NewSecretKey("k", secret)
	if err != nil {
		f.Fatal(err)
	}
	es := generate(f, tokens.ES256)
	k := ring(f, tokens.KeyringConfig{Static: []tokens.Key{es, key.VerifyOnly()}, Secret: append([]byte("another "), secret...)})
	v := verifier(k, c)
	good := map[string]bool{}
	for _, token := range []string{issue(f, k, sampleClaims(c)), hs256(secret, `{"alg":"HS256","kid":"k"}`, `{"exp":99999999999,"aud":["a"]}`)} {
		good[token] = true
		f.Add(token)
		f.Add(token + ".")
		f.Add(token[:len(token)-1])
	}
	f.Add("")
	f.Add("..")
	f.Add(hs256(nil, `{"alg":"none"}`, `{}`))
	f.Add(hs256(secret, `{"alg":"HS256","kid":"k","crit":[]}`, `{}`))
	f.Fuzz(func(t *testing.T, token string) {
		claims, err := v.Verify(context.Background(), token)
		if (err == nil) != good[token] || (claims == nil) != (err != nil) {
			t.Fatalf("%q: %v, %v", token, claims, err)
		}
	})
}
