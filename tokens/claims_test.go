package tokens_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/truekeel/auth/tokens"
)

func part(t testing.TB, token string, n int) string {
	t.Helper()
	b, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[n])
	require.NoError(t, err)
	return string(b)
}

func TestIssuedBytes(t *testing.T) {
	c := newClock()
	claims := sampleClaims(c)
	token := issue(t, withSecret(t, c), claims)
	require.Equal(t, `{"alg":"HS256","typ":"JWT"}`, part(t, token, 0))
	require.Equal(t, `{"sub":"8d2b3a30-7b5c-4b0e-9a51-0d9f6c1d1b11","aud":"authenticated","exp":1893557045,`+
		`"iat":1893553445,"email":"user@example.com","phone":"",`+
		`"app_metadata":{"provider":"email","providers":["email"]},`+
		`"user_metadata":{"email":"user@example.com","email_verified":true,"phone_verified":false,`+
		`"sub":"8d2b3a30-7b5c-4b0e-9a51-0d9f6c1d1b11"},"role":"authenticated","aal":"aal1",`+
		`"amr":[{"method":"password","timestamp":1893553445}],`+
		`"session_id":"5f0c4a8e-1f77-4a8f-8d9a-3a6d1a5d2c22","is_anonymous":false}`, part(t, token, 1))

	claims.Issuer = "https://example.com/auth"
	claims.Audience = []string{"a", "b"}
	claims.NotBefore = c.Now()
	claims.AppMetadata, claims.UserMetadata = "", ""
	claims.AMR[0].Provider = "sso-1"
	claims.IsAnonymous = true
	claims.ClientID, claims.Scope = "client", "openid email"
	claims.Extra = `{"z":1,"a":{"b":[null]}}`
	require.Equal(t, `{"iss":"https://example.com/auth","sub":"8d2b3a30-7b5c-4b0e-9a51-0d9f6c1d1b11","aud":["a","b"],`+
		`"exp":1893557045,"iat":1893553445,"nbf":1893553445,"email":"user@example.com","phone":"",`+
		`"app_metadata":{},"user_metadata":{},"role":"authenticated","aal":"aal1",`+
		`"amr":[{"method":"password","timestamp":1893553445,"provider":"sso-1"}],`+
		`"session_id":"5f0c4a8e-1f77-4a8f-8d9a-3a6d1a5d2c22","is_anonymous":true,"client_id":"client",`+
		`"scope":"openid email","a":{"b":[null]},"z":1}`, part(t, issue(t, withSecret(t, c), claims), 1))
}

func TestHeaderHasKeyID(t *testing.T) {
	c := newClock()
	k := ring(t, tokens.KeyringConfig{Secret: secret, SecretID: "my-kid"})
	require.Equal(t, `{"alg":"HS256","kid":"my-kid","typ":"JWT"}`, part(t, issue(t, k, sampleClaims(c)), 0))
	key, err := generate(t, tokens.ES256).WithID("es-1")
	require.NoError(t, err)
	require.Equal(t, `{"alg":"ES256","kid":"es-1","typ":"JWT"}`, part(t, issue(t, withKey(t, key, c), sampleClaims(c)), 0))
}

func TestClaimsRoundTrip(t *testing.T) {
	c := newClock()
	want := sampleClaims(c)
	want.Issuer = "https://example.com"
	want.NotBefore = c.Now()
	want.Audience = []string{"a", "b"}
	want.Phone, want.ClientID, want.Scope, want.IsAnonymous = "4915112345", "client", "openid", true
	want.Extra = `{"plan":"gold"}`
	k := withSecret(t, c)

	got, err := verifier(k, c).Verify(context.Background(), issue(t, k, want))
	require.NoError(t, err)
	require.Equal(t, want, *got.Clone())

	var custom struct {
		Sub  string `json:"sub"`
		Plan string `json:"plan"`
	}
	require.NoError(t, got.Decode(&custom))
	require.Equal(t, want.Subject, custom.Sub)
	require.Equal(t, "gold", custom.Plan)

	again := issue(t, k, *got)
	require.Equal(t, issue(t, k, want), again, "what was verified can be issued")
}

func TestCloneIsApart(t *testing.T) {
	c := newClock()
	k := withSecret(t, c)
	v := verifier(k, c)
	token := issue(t, k, sampleClaims(c))
	first, err := v.Verify(context.Background(), token)
	require.NoError(t, err)
	clone := first.Clone()
	clone.Role, clone.Audience[0], clone.AMR[0].Method = "admin", "x", "x"

	var seen struct{ Role string }
	require.NoError(t, clone.Decode(&seen))
	require.Equal(t, "admin", seen.Role, "Decode follows a change of the clone")

	second, err := v.Verify(context.Background(), token)
	require.NoError(t, err)
	require.Equal(t, sampleClaims(c), *second.Clone())
}

func TestExtraClaimsNeverOverride(t *testing.T) {
	c := newClock()
	iss := tokens.NewIssuer(withSecret(t, c), tokens.IssuerConfig{})
	for _, name := range []string{
		"iss", "sub", "aud", "exp", "iat", "nbf", "email", "phone", "app_metadata", "user_metadata",
		"role", "aal", "amr", "session_id", "is_anonymous", "client_id", "scope",
	} {
		claims := sampleClaims(c)
		claims.Extra = tokens.JSON(`{"fine":1,"` + name + `":"x"}`)
		_, err := iss.Issue(claims)
		require.ErrorIs(t, err, tokens.ErrClaims, name)
		require.ErrorContains(t, err, name)
	}
}

func TestIssueRefusesBrokenJSON(t *testing.T) {
	c := newClock()
	iss := tokens.NewIssuer(withSecret(t, c), tokens.IssuerConfig{})
	for _, text := range []tokens.JSON{"x", "[]", "null", `{"a":1}}`, `{"a":1},"role":"admin"`, `{`, `"{}"`} {
		for _, set := range []func(*tokens.Claims){
			func(c *tokens.Claims) { c.AppMetadata = text },
			func(c *tokens.Claims) { c.UserMetadata = text },
			func(c *tokens.Claims) { c.Extra = text },
		} {
			claims := sampleClaims(c)
			set(&claims)
			token, err := iss.Issue(claims)
			if err == nil { // "null" is the empty object in Extra
				require.NotContains(t, part(t, token, 1), "null")
				continue
			}
			require.ErrorIs(t, err, tokens.ErrClaims, "%s", text)
		}
	}
}

// Claims as a hook may return them, and as other servers write them.
func TestClaimsUnmarshal(t *testing.T) {
	at := time.Unix(1893553445, 0).UTC()
	for _, c := range []struct {
		name, text string
		want       tokens.Claims
	}{
		{"service", `{"role":"service_role"}`, tokens.Claims{Role: "service_role"}},
		{"aud array", `{"aud":["a"]}`, tokens.Claims{Audience: []string{"a"}}},
		{"amr strings", `{"amr":["password","otp"]}`, tokens.Claims{AMR: []tokens.AMR{{Method: "password"}, {Method: "otp"}}}},
		{"amr mixed", `{"amr":["a",{"method":"b","timestamp":1893553445,"provider":"p"}]}`,
			tokens.Claims{AMR: []tokens.AMR{{Method: "a"}, {Method: "b", At: at, Provider: "p"}}}},
		{"fraction", `{"exp":1893553445.5}`, tokens.Claims{ExpiresAt: at.Add(time.Second / 2)}},
		{"exponent", `{"exp":1.893553445e9}`, tokens.Claims{ExpiresAt: at}},
		{"nulls", `{"sub":null,"exp":null,"amr":null,"app_metadata":null}`, tokens.Claims{}},
		{"spaces", " {\n \"sub\" : \"s\" , \"app_metadata\" : { \"a\" : 1 } } \n", tokens.Claims{Subject: "s", AppMetadata: `{ "a" : 1 }`}},
		{"escapes", `{"sub":"\u0061","\u0065mail":"e"}`, tokens.Claims{Subject: "a", Email: "e"}},
		{"other case is another claim", `{"Sub":"x","ROLE":"admin"}`, tokens.Claims{Extra: `{"Sub":"x","ROLE":"admin"}`}},
	} {
		var got tokens.Claims
		require.NoError(t, json.Unmarshal([]byte(c.text), &got), c.name)
		require.Equal(t, c.want, *got.Clone(), c.name)
	}
}

func TestClaimsUnmarshalRefuses(t *testing.T) {
	for _, text := range []string{
		`null`, `[]`, `"x"`, `1`, `{`, `{"sub":}`, `{} {}`, `{}x`,
		`{"aud":""}`, `{"aud":[]}`, `{"aud":[""]}`, `{"aud":["a",""]}`, `{"aud":1}`, `{"aud":null}`, `{"aud":{}}`, `{"aud":[1]}`, `{"aud":["a",null]}`,
		`{"sub":"a","sub":"b"}`, `{"sub":"a","\u0073ub":"b"}`, `{"x":1,"x":2}`,
		`{"exp":"1893553445"}`, `{"exp":-1}`, `{"exp":1e300}`, `{"exp":253402300800}`, `{"exp":true}`, `{"exp":9223372036854775808}`,
		`{"nbf":"soon"}`, `{"iat":[]}`,
		`{"sub":1}`, `{"email":{}}`, `{"role":["admin"]}`, `{"session_id":1}`, `{"is_anonymous":"true"}`, `{"is_anonymous":1}`,
		`{"app_metadata":"x"}`, `{"user_metadata":[]}`, `{"app_metadata":1}`,
		`{"amr":"password"}`, `{"amr":[1]}`, `{"amr":[{"method":1}]}`, `{"amr":[{"method":"a","timestamp":"x"}]}`,
		"{\"sub\":\"\xff\"}", `{"a":` + strings.Repeat("[", 20000) + strings.Repeat("]", 20000) + `}`,
	} {
		var c tokens.Claims
		err := c.UnmarshalJSON([]byte(text))
		require.ErrorIs(t, err, tokens.ErrClaims, "%.60s", text)
	}
}

func TestJSON(t *testing.T) {
	var zero tokens.JSON
	b, err := json.Marshal(struct{ A tokens.JSON }{zero})
	require.NoError(t, err)
	require.Equal(t, `{"A":{}}`, string(b))
	var m map[string]any
	require.NoError(t, zero.Decode(&m))
	require.Empty(t, m)

	j, err := tokens.MakeJSON(map[string]int{"a": 1})
	require.NoError(t, err)
	require.Equal(t, tokens.JSON(`{"a":1}`), j)
	j, err = tokens.MakeJSON(nil)
	require.NoError(t, err)
	require.Equal(t, "{}", j.String())
	_, err = tokens.MakeJSON([]int{1})
	require.ErrorIs(t, err, tokens.ErrClaims)
	_, err = tokens.MakeJSON(func() {})
	require.Error(t, err)
}

func FuzzClaims(f *testing.F) {
	f.Add(`{"sub":"a","aud":["x"],"exp":1,"amr":["p",{"method":"m","timestamp":1.5}],"app_metadata":{"a":1},"x":[1]}`)
	f.Add(`{"aud":"","sub":null}`)
	f.Add(`{"a":1,"a":2}`)
	f.Add(`[`)
	f.Add(` { "x\"y" : "}\\" , "a":[{"b":"]"},-1e5, true ] ,"sub":"\u0061"}`)
	f.Fuzz(func(t *testing.T, text string) {
		var c tokens.Claims
		if c.UnmarshalJSON([]byte(text)) != nil {
			return
		}
		var want, extra map[string]json.RawMessage
		if err := json.Unmarshal([]byte(text), &want); err != nil {
			t.Fatalf("accepted %q, but: %v", text, err)
		}
		if err := c.Extra.Decode(&extra); err != nil {
			t.Fatalf("extra of %q: %v", text, err)
		}
		for name, value := range extra {
			if string(value) != string(want[name]) {
				t.Fatalf("%q: %q is %q, want %q", text, name, value, want[name])
			}
		}
		var sub string
		if err := json.Unmarshal(orEmpty(want["sub"]), &sub); err != nil || sub != c.Subject {
			t.Fatalf("%q: sub is %q, want %q (%v)", text, c.Subject, sub, err)
		}
		b, err := c.MarshalJSON()
		if err != nil {
			t.Fatalf("accepted %q but can't write it: %v", text, err)
		}
		var d tokens.Claims
		if err := d.UnmarshalJSON(b); err != nil {
			t.Fatalf("wrote %s and can't read it: %v", b, err)
		}
		again, err := d.MarshalJSON()
		if err != nil || string(again) != string(b) {
			t.Fatalf("not stable: %s, then %s (%v)", b, again, err)
		}
	})
}

func orEmpty(raw json.RawMessage) []byte {
	if raw == nil {
		return []byte(`""`)
	}
	return raw
}
