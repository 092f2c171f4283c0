package auth_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/truekeel/auth"
)

// hostileBodies are bodies that can't be right, with the statuses that they may get
// where they are read.
func hostileBodies() map[string]string {
	fields := []string{
		"email", "phone", "password", "data", "type", "token", "token_hash", "redirect_to", "code_challenge", "code_challenge_method", "refresh_token", "auth_code",
		"code_verifier", "nonce", "current_password", "app_metadata", "user_metadata", "create_user", "channel", "new_email", "ban_duration", "id", "role", "aud",
		"password_hash", "email_confirm", "phone_confirm", "should_soft_delete", "gotrue_meta_security",
	}
	all := func(value string) string {
		var b strings.Builder
		for i, f := range fields {
			if i > 0 {
				b.WriteByte(',')
			}
			fmt.Fprintf(&b, "%q:%s", f, value)
		}
		return "{" + b.String() + "}"
	}
	valid := `"email":"a@example.com","password":"correct horse battery","type":"signup","token":"123456"`
	out := map[string]string{
		"empty": "", "blank": " \n\t", "null": "null", "true": "true", "number": "1", "text": `"x"`, "array": "[]", "array of objects": `[{}]`, "object": "{}",
		"half": `{"email":`, "brace": "{", "closing": "}", "comma": `{"email":"a",}`, "single quotes": `{'email':'a'}`, "unquoted": `{email:1}`, "trailing": `{} x`, "two": `{}{}`,
		"comment": `{/**/}`, "BOM": "\xef\xbb\xbf{}", "UTF-16": "{\x00}\x00", "NUL": "\x00", "NUL in text": "{\"email\":\"a\x00b\"}", "invalid UTF-8": "{\"email\":\"\xff\"}",
		"invalid UTF-8 key": "{\"\xc0\x80\":1}", "overlong": "{\"email\":\"\xc0\xaf\"}", "surrogate bytes": "{\"email\":\"\xed\xa0\x80\"}", "bad escape": `{"email":"\x"}`,
		"control": "{\"email\":\"\x01\"}", "NaN": `{"data":{"x":NaN}}`, "Infinity": `{"data":{"x":Infinity}}`, "hex": `{"data":{"x":0x1}}`, "leading zero": `{"data":{"x":01}}`,
		"deep arrays": strings.Repeat("[", 20_000), "deep objects": strings.Repeat(`{"a":`, 20_000) + "1" + strings.Repeat("}", 20_000),
		"form": "email=a%40example.com&password=x", "XML": "<a/>", "many keys": "{" + strings.Repeat(`"k":1,`, 20_000) + `"k":1}`, "key": `{"` + strings.Repeat("k", 1<<19) + `":1}`,
		"prototype": `{"__proto__":{"admin":true},"constructor":{"prototype":1},` + valid + `}`,
	}
	for name, v := range map[string]string{
		"nulls": "null", "booleans": "true", "numbers": "1", "fractions": "1.5", "negative": "-1", "huge numbers": "1e999999", "tiny numbers": "1e-999999", "long numbers": strings.Repeat("9", 4000),
		"texts": `"x"`, "empty texts": `""`, "blanks": `" "`, "arrays": "[]", "objects": "{}", "nested arrays": "[[[[]]]]", "NUL texts": `"\u0000"`, "NUL inside": `"a\u0000b"`, "low surrogates": `"\udc00"`,
		"high surrogates": `"\ud800"`, "half pairs": `"\ud800\u0041"`, "wrong order": `"\udc00\ud800"`, "pairs": `"\ud83d\ude00"`, "noncharacters": `"\uffff\ufffe"`, "long texts": `"` + strings.Repeat("x", 20_000) + `"`,
		"SQL": `"'; DROP TABLE users; --"`, "percent": `"%s%n%00"`, "newlines": `"a\r\nBcc: b@example.com"`, "right to left": `"\u202ea"`, "UUIDs": `"11111111-2222-4333-8444-555555555555"`, "nil UUIDs": `"00000000-0000-0000-0000-000000000000"`,
		"hash": `"` + strings.Repeat("a", 56) + `"`, "pkce hash": `"pkce_` + strings.Repeat("a", 56) + `"`, "mail": `"a@example.com"`, "code": `"123456"`, "long mail": `"` + strings.Repeat("a", 300) + `@example.com"`, "durations": `"87600000h"`, "bcrypt": `"$2a$31$aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"`,
	} {
		out["all "+name] = all(v)
	}
	for name, v := range map[string]string{
		"NUL value": `{"x":"\u0000"}`, "NUL key": `{"\u0000":1}`, "lone surrogate": `{"x":"\ud800"}`, "surrogate key": `{"\udfff":1}`, "huge number": `{"x":1e999999}`, "many digits": `{"x":` + strings.Repeat("9", 200) + `}`,
		"tiny": `{"x":1e-400}`, "deep": strings.Repeat(`{"x":`, 40) + "1" + strings.Repeat("}", 40), "deeper arrays": `{"x":` + strings.Repeat("[", 40) + strings.Repeat("]", 40) + "}", "empty key": `{"":1}`, "long key": `{"` + strings.Repeat("k", 70_000) + `":1}`,
		"array": `[]`, "text": `"x"`, "null": "null", "own keys": `{"sub":1,"email":{},"provider":[],"providers":"x","email_verified":"no"}`, "large": `{"x":"` + strings.Repeat("x", 60_000) + `"}`, "many": `{` + strings.Repeat(`"k":1,`, 2000) + `"l":1}`,
	} {
		out["data "+name] = `{` + valid + `,"data":` + v + `,"user_metadata":` + v + `,"app_metadata":` + v + `}`
	}
	return out
}

// No body, however hostile, gives a 500, on any route that reads one.
func TestHostileBodies(t *testing.T) {
	sequential(t)
	d, service := openService(t)
	p := d.User("ada@example.com")
	bodies := hostileBodies()
	for _, r := range routes(t) {
		if r.method == http.MethodGet || r.method == http.MethodHead {
			continue
		}
		paths := []string{r.path}
		if r.path == "/token" {
			paths = []string{"/v1/token", "/token?grant_type=password", "/token?grant_type=refresh_token", "/token?grant_type=pkce"}
		}
		for _, path := range paths {
			t.Run(r.method+" "+path, func(t *testing.T) {
				for name, body := range bodies {
					h := bearer(p.AccessToken)
					if strings.HasPrefix(r.path, "/admin") || r.path == "/invite" {
						h = service
					}
					a := d.send(r.method, path, body, h, header{"Content-Type", "application/json"})
					require.Less(t, a.Status, 500, "%s: %s", name, a.Body)
					if a.Status >= 400 {
						require.NotEmpty(t, a.Header.Get("x-sb-error-code"), name)
						require.True(t, json.Valid(a.Body), name)
						require.NotContains(t, string(a.Body), "store.Object")
						require.NotContains(t, string(a.Body), "Go struct")
					}
					// Some of them are right where they are read, and end sessions.
					if d.send("GET", "/user", nil, bearer(p.AccessToken)).Status != http.StatusOK {
						p = d.User(uuid.NewString() + "@example.com")
					}
				}
			})
		}
	}
}

// openService opens a door with a shared secret and the header of a service that
// administers.
func openService(t testing.TB, opts ...auth.Option) (*door, header) {
	t.Helper()
	secret := []byte(strings.Repeat("service ", 5))
	d := open(t, append([]auth.Option{auth.WithJWTSecret(secret)}, opts...)...)
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{"role": "service_role"}).SignedString(secret)
	require.NoError(t, err)
	return d, bearer(token)
}

func TestBodyLimit(t *testing.T) {
	d, service := openService(t)
	p := d.User("ada@example.com")
	const limit = 1 << 20
	body := func(n int) string {
		const frame = `{"pad":""}`
		return `{"pad":"` + strings.Repeat("x", n-len(frame)) + `"}`
	}
	for _, r := range routes(t) {
		if r.method != http.MethodPost && r.method != http.MethodPut || r.path == "/logout" {
			continue
		}
		path := r.path
		if path == "/token" {
			path = "/token?grant_type=password"
		}
		h := bearer(p.AccessToken)
		if strings.HasPrefix(path, "/admin") || path == "/invite" {
			h = service
		}
		a := d.send(r.method, path, body(limit), h)
		require.NotEqual(t, http.StatusRequestEntityTooLarge, a.Status, path)
		require.NotEqual(t, "bad_json", a.Header.Get("x-sb-error-code"), path)
		require.Less(t, a.Status, 500)
		d.send(r.method, path, body(limit+1), h).wantFault(http.StatusRequestEntityTooLarge, "request_entity_too_large")
		d.send(r.method, path, body(limit+1), h, versioned()).wantFault(http.StatusRequestEntityTooLarge, "request_entity_too_large")
	}
	// The length that a client claims isn't believed: a body of unknown length is cut too.
	req, err := http.NewRequest("POST", d.url+"/signup", struct{ *bytes.Reader }{bytes.NewReader([]byte(body(limit + 1)))})
	require.NoError(t, err)
	req.ContentLength = -1
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	resp.Body.Close()
	require.Equal(t, http.StatusRequestEntityTooLarge, resp.StatusCode)
}

// Fields are found in any case, of repeated ones the last counts, unknown ones don't
// matter, and neither does the content type.
func TestLenientBodies(t *testing.T) {
	d := open(t)
	d.post("/signup", `{"EMAIL":"first@example.com","Email":"ada@example.com","pAssWord":"correct horse battery","unknown":{"a":[1]},"data":null}`,
		header{"Content-Type", "text/plain"}).want(http.StatusOK, nil)
	require.Equal(t, "ada@example.com", d.accounts()[0].Email)
}

// Hostile headers and queries give no 500 either.
func TestHostileHeaders(t *testing.T) {
	sequential(t)
	d := open(t, auth.WithAudiences("other"))
	body := `{"email":"a@example.com","password":"correct horse battery","type":"signup"}`
	values := []string{"\xff\xfe", "http://localhost/\xff", "http://localhost/%00", "http://localhost/%ff", "javascript:alert(1)", strings.Repeat("a", 20_000), "http://localhost:1/" + strings.Repeat("a", 20_000), "é", "\t", "'\"<>"}
	for _, name := range []string{"redirect_to", "Referer", "X-JWT-AUD", "User-Agent", "Accept-Language", "X-Supabase-Api-Version", "X-Forwarded-Host", "Content-Type", "X-Client-Info", "Origin"} {
		for _, v := range values {
			for _, path := range []string{"/signup", "/recover", "/otp", "/resend", "/token?grant_type=password", "/verify"} {
				if name == "X-Forwarded-Host" && path == "/verify" {
					continue
				}
				a := d.post(path, body, header{name, v})
				require.Less(t, a.Status, 500, "%s %s %q: %s", path, name, v, a.Body)
			}
		}
	}
	for _, q := range []string{"%00", "%ff", "%", "%zz", strings.Repeat("a", 20_000), "%F0%9F%98%80", "a;b", "%0d%0aSet-Cookie:x"} {
		for _, path := range []string{"/verify?type=%s&token=%s&redirect_to=%s", "/verify?token=%s", "/logout?scope=%s", "/token?grant_type=%s", "/settings?%s", "/admin/users?page=%s&per_page=%s"} {
			for _, method := range []string{http.MethodGet, http.MethodPost} {
				a := d.send(method, strings.ReplaceAll(path, "%s", q), body)
				require.Less(t, a.Status, 500, "%s %s %q: %s", method, path, q, a.Body)
				require.Empty(t, a.Header.Get("Set-Cookie"))
			}
		}
	}
}
