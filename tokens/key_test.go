package tokens_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/truekeel/auth/tokens"
)

var b64 = base64.RawURLEncoding

// rfc7638 is the example of RFC 7638, 3.1.
const rfc7638 = `{"kty":"RSA","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw","e":"AQAB","alg":"RS256","kid":"2011-04-29"}`

// rfc8037 is the example of RFC 8037, appendices A.1 and A.3.
const rfc8037 = `{"kty":"OKP","crv":"Ed25519","d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`

func TestThumbprintVectors(t *testing.T) {
	k, err := tokens.ParseJWK([]byte(rfc7638))
	require.NoError(t, err)
	require.Equal(t, "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs", k.Thumbprint())
	require.Equal(t, "2011-04-29", k.ID())
	require.False(t, k.CanSign())

	k, err = tokens.ParseJWK([]byte(rfc8037))
	require.NoError(t, err)
	require.Equal(t, "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k", k.ID(), "the thumbprint is the default id")
	require.True(t, k.CanSign())
}

func TestPublicJWK(t *testing.T) {
	k, err := tokens.ParseJWK([]byte(rfc8037))
	require.NoError(t, err)
	require.Equal(t, `{"alg":"EdDSA","crv":"Ed25519","key_ops":["verify"],"kid":"kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k",`+
		`"kty":"OKP","use":"sig","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`, string(k.PublicJWK()))
	require.Nil(t, generate(t, tokens.HS256).PublicJWK())
	require.Empty(t, generate(t, tokens.HS256).Thumbprint())

	for _, alg := range []string{tokens.RS256, tokens.ES256, tokens.EdDSA} {
		k := generate(t, alg)
		var m map[string]any
		require.NoError(t, json.Unmarshal(k.PublicJWK(), &m))
		for _, private := range []string{"d", "p", "q", "dp", "dq", "qi", "k"} {
			require.NotContains(t, m, private)
		}
		again, err := tokens.ParseJWK(k.PublicJWK())
		require.NoError(t, err)
		require.Equal(t, k.Thumbprint(), again.Thumbprint())
		require.Equal(t, k.ID(), again.ID())
		require.Equal(t, alg, again.Algorithm())
		require.False(t, again.CanSign())
	}
}

// jwkOf writes a private key as a JWK, the other way round than the code under test.
func jwkOf(t testing.TB, key any, more ...string) map[string]any {
	t.Helper()
	m := map[string]any{}
	switch k := key.(type) {
	case *ecdsa.PrivateKey:
		d, err := k.Bytes()
		require.NoError(t, err)
		p, err := k.PublicKey.Bytes()
		require.NoError(t, err)
		m = map[string]any{"kty": "EC", "crv": "P-256", "x": b64.EncodeToString(p[1:33]), "y": b64.EncodeToString(p[33:]), "d": b64.EncodeToString(d)}
	case *rsa.PrivateKey:
		m = map[string]any{"kty": "RSA", "n": b64.EncodeToString(k.N.Bytes()), "e": "AQAB", "d": b64.EncodeToString(k.D.Bytes()),
			"p": b64.EncodeToString(k.Primes[0].Bytes()), "q": b64.EncodeToString(k.Primes[1].Bytes())}
	case ed25519.PrivateKey:
		m = map[string]any{"kty": "OKP", "crv": "Ed25519", "x": b64.EncodeToString(k[32:]), "d": b64.EncodeToString(k.Seed())}
	}
	for i := 0; i < len(more); i += 2 {
		m[more[i]] = more[i+1]
	}
	return m
}

func rawKeys(t testing.TB) (*ecdsa.PrivateKey, *rsa.PrivateKey, ed25519.PrivateKey) {
	t.Helper()
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	rs, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	return ec, rs, ed
}

func parse(t testing.TB, m map[string]any) (tokens.Key, error) {
	t.Helper()
	b, err := json.Marshal(m)
	require.NoError(t, err)
	return tokens.ParseJWK(b)
}

// Every way to bring a key gives the same key, and it signs what its public half verifies.
func TestKeyForms(t *testing.T) {
	ec, rs, ed := rawKeys(t)
	block := func(kind string, der []byte, err error) []byte {
		require.NoError(t, err)
		return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
	}
	pkcs8 := func(key any) []byte {
		der, err := x509.MarshalPKCS8PrivateKey(key)
		return block("PRIVATE KEY", der, err)
	}
	pkix := func(key any) []byte {
		der, err := x509.MarshalPKIXPublicKey(key)
		return block("PUBLIC KEY", der, err)
	}
	sec1, err := x509.MarshalECPrivateKey(ec)
	require.NoError(t, err)
	for _, c := range []struct {
		alg             string
		key             any
		private, public [][]byte
	}{
		{tokens.ES256, ec, [][]byte{pkcs8(ec), block("EC PRIVATE KEY", sec1, nil)}, [][]byte{pkix(&ec.PublicKey)}},
		{tokens.RS256, rs, [][]byte{pkcs8(rs), block("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(rs), nil)},
			[][]byte{pkix(&rs.PublicKey), block("RSA PUBLIC KEY", x509.MarshalPKCS1PublicKey(&rs.PublicKey), nil)}},
		{tokens.EdDSA, ed, [][]byte{pkcs8(ed)}, [][]byte{pkix(ed.Public())}},
	} {
		clk := newClock()
		signer, err := parse(t, jwkOf(t, c.key))
		require.NoError(t, err)
		token := issue(t, withKey(t, signer, clk), sampleClaims(clk))
		check := func(k tokens.Key, err error) {
			t.Helper()
			require.NoError(t, err)
			require.Equal(t, c.alg, k.Algorithm())
			require.Equal(t, signer.ID(), k.ID())
			kr := ring(t, tokens.KeyringConfig{Static: []tokens.Key{k.VerifyOnly()}, Secret: secret})
			_, err = verifier(kr, clk).Verify(t.Context(), token)
			require.NoError(t, err)
		}
		for _, text := range c.private {
			k, err := tokens.ParsePEM(text)
			require.True(t, k.CanSign())
			check(k, err)
		}
		for _, text := range c.public {
			k, err := tokens.ParsePEM(text)
			require.False(t, k.CanSign())
			check(k, err)
		}
		k, err := tokens.ParseJWK(signer.PublicJWK())
		check(k, err)
	}
}

func TestKeyOps(t *testing.T) {
	_, _, ed := rawKeys(t)
	m := jwkOf(t, ed)
	m["key_ops"] = []string{"verify"}
	k, err := parse(t, m)
	require.NoError(t, err)
	require.False(t, k.CanSign(), "a private key may be there to verify only")
	m["key_ops"] = []string{"sign", "verify"}
	k, err = parse(t, m)
	require.NoError(t, err)
	require.True(t, k.CanSign())
	delete(m, "d")
	_, err = parse(t, m)
	require.ErrorIs(t, err, tokens.ErrKey, "sign without a private part")
}

func TestParseJWKRefuses(t *testing.T) {
	ec, rs, ed := rawKeys(t)
	otherEC, otherRS, otherED := rawKeys(t)
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	require.NoError(t, err)
	huge := map[string]any{"kty": "RSA", "e": "AQAB", "n": b64.EncodeToString(bytes.Repeat([]byte{0xff}, 1100))}

	for name, m := range map[string]map[string]any{
		"empty":               {},
		"unknown type":        {"kty": "XYZ"},
		"JWE":                 jwkOf(t, ec, "use", "enc"),
		"alg of another type": jwkOf(t, ec, "alg", "HS256"),
		"alg RS512":           jwkOf(t, rs, "alg", "RS512"),
		"alg none":            jwkOf(t, ed, "alg", "none"),
		"P-384":               jwkOf(t, ec, "crv", "P-384"),
		"X25519":              jwkOf(t, ed, "crv", "X25519"),
		"off the curve":       jwkOf(t, ec, "x", b64.EncodeToString(make([]byte, 32))),
		"x too long":          jwkOf(t, ec, "x", b64.EncodeToString(make([]byte, 33))),
		"x padded":            jwkOf(t, ec, "x", jwkOf(t, ec)["x"].(string)+"="),
		"x with line break":   jwkOf(t, ec, "x", "\n"+jwkOf(t, ec)["x"].(string)),
		"another's d, EC":     jwkOf(t, ec, "d", jwkOf(t, otherEC)["d"].(string)),
		"another's d, RSA":    jwkOf(t, rs, "d", jwkOf(t, otherRS)["d"].(string)),
		"another's d, OKP":    jwkOf(t, ed, "d", jwkOf(t, otherED)["d"].(string)),
		"zero d":              jwkOf(t, ec, "d", b64.EncodeToString(make([]byte, 32))),
		"RSA 1024":            jwkOf(t, weak),
		"RSA 8800":            huge,
		"RSA without p":       jwkOf(t, rs, "p", ""),
		"RSA zero p":          jwkOf(t, rs, "p", "AA"),
		"RSA even e":          jwkOf(t, rs, "e", "AQAA"),
		"RSA e of one":        jwkOf(t, rs, "e", "AQ"),
		"RSA long e":          jwkOf(t, rs, "e", b64.EncodeToString(bytes.Repeat([]byte{1}, 9))),
		"oct without k":       {"kty": "oct"},
		"long kid":            jwkOf(t, ed, "kid", strings.Repeat("k", 201)),
	} {
		_, err := parse(t, m)
		require.ErrorIs(t, err, tokens.ErrKey, name)
		for _, part := range []string{"d", "p", "q"} {
			if text, ok := m[part].(string); ok && len(text) > 8 {
				require.NotContains(t, err.Error(), text, name)
			}
		}
	}
	for _, text := range []string{"", "null", "[]", "x", `{"kty":1}`, `{"kty":"oct","k":"` + strings.Repeat("A", 20000) + `"}`} {
		_, err := tokens.ParseJWK([]byte(text))
		require.ErrorIs(t, err, tokens.ErrKey, "%.40s", text)
	}
}

func TestParseJWKs(t *testing.T) {
	a, b := generate(t, tokens.ES256), generate(t, tokens.EdDSA)
	list := fmt.Sprintf(`[%s,%s]`, a.PublicJWK(), b.PublicJWK())
	for _, text := range []string{list, `{"keys":` + list + `}`, "\n " + list} {
		keys, err := tokens.ParseJWKs([]byte(text))
		require.NoError(t, err)
		require.Len(t, keys, 2)
		require.Equal(t, b.ID(), keys[1].ID())
	}
	for _, text := range []string{"", "x", `{"keys":1}`, `[1]`, `[null]`} {
		_, err := tokens.ParseJWKs([]byte(text))
		require.ErrorIs(t, err, tokens.ErrKey, text)
	}
}

func TestParsePEMRefuses(t *testing.T) {
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	require.NoError(t, err)
	der, err := x509.MarshalPKCS8PrivateKey(p384)
	require.NoError(t, err)
	block := func(kind string, der []byte) []byte { return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}) }
	for _, text := range [][]byte{
		nil, []byte("x"), block("PRIVATE KEY", der), block("PRIVATE KEY", []byte("x")), block("RSA PRIVATE KEY", []byte("x")),
		block("EC PRIVATE KEY", []byte("x")), block("PUBLIC KEY", []byte("x")), block("RSA PUBLIC KEY", []byte("x")),
		block("CERTIFICATE", []byte("x")), block("ENCRYPTED PRIVATE KEY", der),
	} {
		_, err := tokens.ParsePEM(text)
		require.ErrorIs(t, err, tokens.ErrKey, "%s", text)
	}
}

func TestNewKeyRefuses(t *testing.T) {
	_, err := tokens.NewPrivateKey("", (*rsa.PrivateKey)(nil))
	require.ErrorIs(t, err, tokens.ErrKey)
	_, err = tokens.NewPrivateKey("", (*ecdsa.PrivateKey)(nil))
	require.ErrorIs(t, err, tokens.ErrKey)
	_, err = tokens.NewPrivateKey("", &ecdsa.PrivateKey{})
	require.ErrorIs(t, err, tokens.ErrKey)
	a, _, _ := rawKeys(t)
	b, _, _ := rawKeys(t)
	a.PublicKey = b.PublicKey
	_, err = tokens.NewPrivateKey("", a)
	require.ErrorIs(t, err, tokens.ErrKey)
	_, err = tokens.NewPrivateKey("", ed25519.PrivateKey{1})
	require.ErrorIs(t, err, tokens.ErrKey)
	_, _, mixed := rawKeys(t)
	_, _, other := rawKeys(t)
	copy(mixed[32:], other[32:])
	_, err = tokens.NewPrivateKey("", mixed)
	require.ErrorIs(t, err, tokens.ErrKey)
	_, err = tokens.NewPrivateKey("", nil)
	require.ErrorIs(t, err, tokens.ErrKey)
	_, err = tokens.NewPublicKey("", nil)
	require.ErrorIs(t, err, tokens.ErrKey)
	_, err = tokens.NewPublicKey("", ed25519.PublicKey{1})
	require.ErrorIs(t, err, tokens.ErrKey)
	_, err = tokens.NewPublicKey("", &ecdsa.PublicKey{Curve: elliptic.P256()})
	require.ErrorIs(t, err, tokens.ErrKey)
	_, err = tokens.NewSecretKey("", nil)
	require.ErrorIs(t, err, tokens.ErrKey)
	_, err = tokens.GenerateKey("none")
	require.ErrorIs(t, err, tokens.ErrKey)
}

// Every id that a key may have fits into a header that verifiers look at.
func TestKeyIDs(t *testing.T) {
	c := newClock()
	key := generate(t, tokens.EdDSA)
	for _, id := range []string{
		strings.Repeat(`"`, 200), strings.Repeat("<", 200), strings.Repeat("\u2028", 66), "schlüssel 1", "../x", "a.b", "=",
	} {
		k, err := key.WithID(id)
		require.NoError(t, err)
		kr := withKey(t, k, c)
		_, err = verifier(kr, c).Verify(t.Context(), issue(t, kr, sampleClaims(c)))
		require.NoError(t, err, id)
		require.Equal(t, []string{id}, kids(t, kr))
	}
	for _, id := range []string{"a\x00", "a\nb", "\xff", strings.Repeat("k", 201)} {
		_, err := key.WithID(id)
		require.ErrorIs(t, err, tokens.ErrKey)
	}
	k, err := key.WithID("")
	require.NoError(t, err)
	require.Equal(t, key.Thumbprint(), k.ID())
}

func TestPrintingAKeyShowsNoKey(t *testing.T) {
	k, err := tokens.NewSecretKey("kid-1", []byte("SuperSecretSuperSecretSuperSecret"))
	require.NoError(t, err)
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("m", "key", k, "ptr", &k, "in", []tokens.Key{k})
	b, err := json.Marshal(k) //nolint:staticcheck // that it has nothing to show is what is tested
	require.NoError(t, err)
	all := fmt.Sprintf("%v %+v %#v %s %q %v", k, k, k, k, k, &k) + log.String() + string(b)
	require.NotContains(t, all, "SuperSecret")
	require.NotContains(t, all, "83 117 112", "not as bytes either")
	require.Contains(t, all, "kid-1")
}

func FuzzParseJWK(f *testing.F) {
	ec, rs, ed := rawKeys(f)
	for _, key := range []any{ec, rs, ed} {
		b, err := json.Marshal(jwkOf(f, key))
		require.NoError(f, err)
		f.Add(b)
	}
	f.Add([]byte(rfc7638))
	f.Add([]byte(`{"kty":"oct","k":"AAAA","alg":"HS256","key_ops":["sign"]}`))
	f.Add([]byte(`[]`))
	f.Fuzz(func(t *testing.T, text []byte) {
		k, err := tokens.ParseJWK(text)
		if err != nil {
			return
		}
		public := k.PublicJWK()
		if k.IsSymmetric() {
			if public != nil {
				t.Fatalf("a secret was published: %s", public)
			}
			return
		}
		again, err := tokens.ParseJWK(public)
		if err != nil || again.ID() != k.ID() || again.Thumbprint() != k.Thumbprint() || again.CanSign() {
			t.Fatalf("%q gives %s, which gives %v, %v", text, public, again, err)
		}
	})
}
