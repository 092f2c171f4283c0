package auth_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/truekeel/auth"
	"github.com/truekeel/auth/tokens"
)

// route is one line of the dialect's table.
type route struct{ method, path string }

var routeLine = regexp.MustCompile(`\{Method: "(\w+)", Path: "([^"]+)"`)

// routes reads the table of endpoints off the source, so that none is forgotten.
func routes(t testing.TB) []route {
	t.Helper()
	src, err := os.ReadFile("internal/gotrue/gotrue.go")
	require.NoError(t, err)
	var out []route
	for _, m := range routeLine.FindAllStringSubmatch(string(src), -1) {
		out = append(out, route{m[1], strings.ReplaceAll(m[2], "{id}", "11111111-2222-4333-8444-555555555555")})
	}
	require.Greater(t, len(out), 20)
	return out
}

func TestErrorShapes(t *testing.T) {
	d := open(t)
	body := map[string]any{"email": "no address", "password": goodPassword}
	const code, text = "validation_failed", "Unable to validate email address: invalid format"
	for _, version := range []string{"", "2023-12-31", "yesterday", "2024-1-1", "2024-01-01T00:00:00Z", "20240101"} {
		a := d.post("/signup", body, header{"X-Supabase-Api-Version", version}).wantFault(http.StatusBadRequest, code)
		require.Equal(t, map[string]any{"code": float64(400), "error_code": code, "msg": text}, a.object(), version)
		require.Empty(t, a.Header.Get("X-Supabase-Api-Version"))
	}
	for _, version := range []string{"2024-01-01", "2025-06-30", "2999-12-31"} {
		a := d.post("/signup", body, header{"X-Supabase-Api-Version", version}).wantFault(http.StatusBadRequest, code)
		require.Equal(t, map[string]any{"code": code, "message": text}, a.object(), version)
		require.Equal(t, "2024-01-01", a.Header.Get("X-Supabase-Api-Version"))
	}
}

func TestUnknownPathsAndMethods(t *testing.T) {
	d := open(t)
	for _, path := range []string{"/", "/nothing", "/signup/x", "/sign up", "/.well-known", "/v1", "/v1/nothing", "/v1/v1/signup", "/auth/signup", "/Signup", "/dev/inbox/", "/admin", "/user/identities"} {
		a := d.send("GET", strings.ReplaceAll(path, " ", "%20"), nil).wantFault(http.StatusNotFound, "not_found")
		require.Equal(t, "application/json", a.Header.Get("Content-Type"), path)
		d.send("POST", strings.ReplaceAll(path, " ", "%20"), "{}", versioned()).wantFault(http.StatusNotFound, "not_found")
	}

	methods := map[string][]string{}
	for _, r := range routes(t) {
		methods[r.path] = append(methods[r.path], r.method)
	}
	for path, allowed := range methods {
		for _, m := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "get", "PROPFIND"} {
			if strings.Contains(" "+strings.Join(allowed, " ")+" ", " "+m+" ") {
				continue
			}
			a := d.send(m, "/v1"+path, nil)
			require.Equal(t, http.StatusMethodNotAllowed, a.Status, "%s %s", m, path)
			require.Equal(t, strings.Join(sorted(allowed), ", "), a.Header.Get("Allow"))
			require.Equal(t, "method_not_allowed", a.Header.Get("x-sb-error-code"))
			if m != "HEAD" {
				require.Equal(t, "method_not_allowed", a.object()["error_code"])
			}
		}
	}
}

// HEAD of a mailed link consumes nothing.
func TestHeadConsumesNothing(t *testing.T) {
	d := open(t, auth.WithDirectLinks())
	d.post("/signup", map[string]any{"email": "ada@example.com", "password": goodPassword}).want(http.StatusOK, nil)
	link := strings.TrimPrefix(d.LastMail("ada@example.com").Link(), d.url)
	require.Equal(t, http.StatusMethodNotAllowed, d.send("HEAD", link, nil).Status)
	a := d.send("GET", link, nil)
	require.Equal(t, http.StatusSeeOther, a.Status)
	require.Contains(t, a.Header.Get("Location"), "access_token=")
}

// A path that isn't written in the one plain way is unknown: it leads neither to
// another route nor past the middleware that a host puts in front of one.
func TestUncleanPathsLeadNowhere(t *testing.T) {
	d := open(t)
	p := d.User("ada@example.com")
	for _, path := range []string{
		"//user", "/./user", "/x/../user", "/../auth/user", "/user/..", "/user/.", "/user//", "/%2e/user", "/x/%2e%2e/user", "/%2fuser", "/user%2f", "/user%2F",
		"/user%2f..", "/user%2f%2e%2e", "/user;x=1", "/;/user", "/user%3b", "/user%00", "/user%20", "/user\\", "/%5cuser", "/user%0a", "/.well-known/../user",
		"/v1//user", "/v1%2fuser", "/v1/../user", "/v1;/user", "/user/%2e", "/user%252f", "/u%00ser", "/admin/users/../../user", "/admin/users/..%2f..%2fuser",
	} {
		req, err := http.NewRequest("GET", d.srv.URL, nil)
		require.NoError(t, err)
		req.URL.Opaque = "//" + req.URL.Host + "/auth" + path // as it is written
		req.Header.Set("Authorization", "Bearer "+p.AccessToken)
		resp, err := http.DefaultTransport.RoundTrip(req)
		require.NoError(t, err)
		resp.Body.Close()
		require.Contains(t, []int{http.StatusNotFound, http.StatusMovedPermanently, http.StatusTemporaryRedirect, http.StatusBadRequest}, resp.StatusCode, path)
		// Straight at the handler, without a mux that cleans paths before.
		r, err := http.NewRequest("GET", "http://localhost/auth"+path, nil)
		if err != nil {
			continue
		}
		r.Header.Set("Authorization", "Bearer "+p.AccessToken)
		require.Equal(t, http.StatusNotFound, serve(d.Auth, r).Code, path)
	}
	for _, path := range []string{"/auth/user", "/auth/user/", "/auth/v1/user", "/auth/v1/user/", "/%61uth/user", "/auth/%75ser"} {
		r, err := http.NewRequest("GET", "http://localhost"+path, nil)
		require.NoError(t, err)
		r.Header.Set("Authorization", "Bearer "+p.AccessToken)
		require.Equal(t, http.StatusOK, serve(d.Auth, r).Code, path)
	}
	r, err := http.NewRequest("GET", "http://localhost/%61uth%2fuser", nil)
	require.NoError(t, err)
	r.Header.Set("Authorization", "Bearer "+p.AccessToken)
	require.Equal(t, http.StatusNotFound, serve(d.Auth, r).Code)
}

// badBearers are Authorization headers that open nothing, with the answer's status.
func badBearers(t testing.TB, d *door, good string) map[string]struct {
	value  string
	status int
} {
	t.Helper()
	part := strings.Split(good, ".")
	enc := base64.RawURLEncoding
	payload, err := enc.DecodeString(part[1])
	require.NoError(t, err)
	head := func(h string) string { return enc.EncodeToString([]byte(h)) }
	var keys struct {
		Keys []struct{ Kid, X, Y string }
	}
	d.send("GET", "/.well-known/jwks.json", nil).want(http.StatusOK, &keys)
	kid := keys.Keys[0].Kid

	stranger, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	forged := jwt.NewWithClaims(jwt.SigningMethodES256, jwt.MapClaims{"sub": uuid.NewString(), "exp": time.Now().Add(time.Hour).Unix()})
	forged.Header["kid"] = kid
	es, err := forged.SignedString(stranger)
	require.NoError(t, err)
	hs := func(secret []byte) string {
		c := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{"sub": uuid.NewString(), "role": "service_role", "exp": time.Now().Add(time.Hour).Unix()})
		c.Header["kid"] = kid
		s, err := c.SignedString(secret)
		require.NoError(t, err)
		return s
	}
	der, err := x509.MarshalPKIXPublicKey(&stranger.PublicKey)
	require.NoError(t, err)
	public := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})

	out := map[string]struct {
		value  string
		status int
	}{}
	add := func(name, value string, status int) {
		out[name] = struct {
			value  string
			status int
		}{value, status}
	}
	for name, v := range map[string]string{
		"nothing": "", "scheme alone": "Bearer", "empty": "Bearer ", "basic": "Basic " + good, "no scheme": good, "two spaces": "Bearer  " + good,
		"tab": "Bearer\t" + good, "trailing word": "Bearer " + good + " x", "comma": "Bearer " + good + ", Bearer " + good, "quoted scheme": `"Bearer" ` + good,
	} {
		status := http.StatusUnauthorized
		add(name, v, status)
	}
	add("two tokens glued", "Bearer "+good+","+good, http.StatusForbidden)
	for name, v := range map[string]string{
		"word":                 "x",
		"dots":                 "..",
		"two parts":            part[0] + "." + part[1],
		"four parts":           good + ".x",
		"five parts":           good + "." + part[0] + "." + part[1],
		"no signature":         part[0] + "." + part[1] + ".",
		"none":                 head(`{"alg":"none","typ":"JWT"}`) + "." + part[1] + ".",
		"None":                 head(`{"alg":"None"}`) + "." + part[1] + "." + part[2],
		"none, signed":         head(`{"alg":"none","kid":"`+kid+`"}`) + "." + part[1] + "." + part[2],
		"another algorithm":    head(`{"alg":"RS256","kid":"`+kid+`"}`) + "." + part[1] + "." + part[2],
		"empty algorithm":      head(`{"alg":"","kid":"`+kid+`"}`) + "." + part[1] + "." + part[2],
		"no kid":               head(`{"alg":"ES256"}`) + "." + part[1] + "." + part[2],
		"other kid":            head(`{"alg":"ES256","kid":"../../etc/passwd"}`) + "." + part[1] + "." + part[2],
		"jwk in header":        head(`{"alg":"ES256","jwk":{"kty":"EC"}}`) + "." + part[1] + "." + part[2],
		"jku in header":        head(`{"alg":"ES256","kid":"`+kid+`","jku":"http://127.0.0.1:1/"}`) + "." + part[1] + ".AAAA",
		"crit":                 head(`{"alg":"ES256","kid":"`+kid+`","crit":["x"],"x":1}`) + "." + part[1] + "." + part[2],
		"changed payload":      part[0] + "." + enc.EncodeToString([]byte(strings.Replace(string(payload), "authenticated", "service_role", 1))) + "." + part[2],
		"cut signature":        good[:len(good)-1],
		"longer signature":     good + "A",
		"padded":               good + "=",
		"padded parts":         part[0] + "=." + part[1] + "." + part[2],
		"standard base64":      part[0] + "." + part[1] + "." + strings.NewReplacer("-", "+", "_", "/").Replace(part[2]) + "+",
		"zero signature":       part[0] + "." + part[1] + "." + enc.EncodeToString(make([]byte, 64)),
		"stranger's key":       es,
		"public key as secret": hs(public),
		"X as secret":          hs([]byte(keys.Keys[0].X)),
		"empty secret":         hs([]byte{}),
		"header no JSON":       head(`{`) + "." + part[1] + "." + part[2],
		"header array":         head(`[]`) + "." + part[1] + "." + part[2],
		"header null":          head(`null`) + "." + part[1] + "." + part[2],
		"kid number":           head(`{"alg":"ES256","kid":1}`) + "." + part[1] + "." + part[2],
		"kilobytes":            strings.Repeat("A", 30<<10),
		"kilobytes of dots":    strings.Repeat(".", 30<<10),
		"long header":          head(`{"alg":"ES256","kid":"`+strings.Repeat("k", 8<<10)+`"}`) + "." + part[1] + "." + part[2],
		"refresh token":        "abcdefghijklmnopqrstuvwxyz",
	} {
		add(name, "Bearer "+v, http.StatusForbidden)
	}
	return out
}

func TestBadBearers(t *testing.T) {
	d := open(t)
	p := d.User("ada@example.com")
	protected := d.Auth.RequireUser(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the handler was reached") }))
	for name, b := range badBearers(t, d, p.AccessToken) {
		t.Run(name, func(t *testing.T) {
			code := map[int]string{http.StatusUnauthorized: "no_authorization", http.StatusForbidden: "bad_jwt"}[b.status]
			for _, r := range routes(t) {
				if !needsBearer(r) {
					continue
				}
				a := d.send(r.method, r.path, "{}", header{"Authorization", b.value})
				require.Equal(t, b.status, a.Status, "%s %s: %s", r.method, r.path, a.Body)
				require.Equal(t, code, a.Header.Get("x-sb-error-code"))
			}
			req, err := http.NewRequest("GET", "http://localhost/", nil)
			require.NoError(t, err)
			req.Header.Set("Authorization", b.value)
			w := serve(protected, req)
			require.Equal(t, http.StatusUnauthorized, w.Code)
			require.True(t, strings.HasPrefix(w.Header().Get("WWW-Authenticate"), "Bearer"))
			require.Contains(t, w.Body.String(), code)
		})
	}
	// The same text by another way is no bearer.
	a := d.send("GET", "/user?access_token="+p.AccessToken, nil, header{"Cookie", "sb-access-token=" + p.AccessToken}, header{"apikey", p.AccessToken})
	a.wantFault(http.StatusUnauthorized, "no_authorization")
	d.send("GET", "/user", nil, bearer(p.AccessToken), bearer(p.AccessToken)).wantFault(http.StatusUnauthorized, "no_authorization")
	d.send("GET", "/user", nil, header{"Authorization", "bEARER " + p.AccessToken}).want(http.StatusOK, nil)
}

// needsBearer says whether a route is for signed-in people.
func needsBearer(r route) bool {
	return strings.HasPrefix(r.path, "/admin") || strings.HasPrefix(r.path, "/user") || r.path == "/logout" || r.path == "/reauthenticate" || r.path == "/invite"
}

func TestTokensByTime(t *testing.T) {
	d := open(t, auth.WithAccessTokenLifetime(10*time.Minute))
	p := d.User("ada@example.com")
	d.Clock.Advance(10*time.Minute - time.Second)
	d.send("GET", "/user", nil, bearer(p.AccessToken)).want(http.StatusOK, nil)
	d.Clock.Advance(2 * time.Second)
	a := d.send("GET", "/user", nil, bearer(p.AccessToken)).wantFault(http.StatusForbidden, "bad_jwt")
	require.Contains(t, string(a.Body), "expired")
	d.Clock.Advance(-time.Hour)
	_, err := d.Auth.Verify(t.Context(), p.AccessToken)
	require.NoError(t, err, "a clock that goes back makes no token bad")
}

// Signed by the right key, a token is judged by what it says.
func TestClaimsOfBearers(t *testing.T) {
	secret := []byte("0123456789abcdef0123456789abcdef")
	d := open(t, auth.WithJWTSecret(secret))
	p := d.User("ada@example.com")
	sign := func(claims jwt.MapClaims) string {
		s, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString(secret)
		require.NoError(t, err)
		return s
	}
	soon, id := d.Clock.Now().Add(time.Hour).Unix(), p.User.ID.String()
	tests := []struct {
		name   string
		claims jwt.MapClaims
		status int
		code   string
	}{
		{"no sub", jwt.MapClaims{"exp": soon}, 403, "bad_jwt"},
		{"sub no UUID", jwt.MapClaims{"exp": soon, "sub": "ada"}, 400, "bad_jwt"},
		{"sub number", jwt.MapClaims{"exp": soon, "sub": 7}, 403, "bad_jwt"},
		{"unknown sub", jwt.MapClaims{"exp": soon, "sub": uuid.NewString(), "aud": "authenticated"}, 403, "user_not_found"},
		{"session no UUID", jwt.MapClaims{"exp": soon, "sub": id, "session_id": "x"}, 403, "bad_jwt"},
		{"unknown session", jwt.MapClaims{"exp": soon, "sub": id, "session_id": uuid.NewString()}, 403, "session_not_found"},
		{"another's session", jwt.MapClaims{"exp": soon, "sub": id, "session_id": d.User("eve@example.com").SessionID.String()}, 403, "session_not_found"},
		{"nil session", jwt.MapClaims{"exp": soon, "sub": id, "session_id": uuid.Nil.String(), "aud": "authenticated"}, 200, ""},
		{"no session", jwt.MapClaims{"exp": soon, "sub": id, "aud": "authenticated"}, 200, ""},
		{"no exp", jwt.MapClaims{"sub": id, "aud": "authenticated"}, 200, ""},
		{"exp 0", jwt.MapClaims{"exp": 0, "sub": id}, 403, "bad_jwt"},
		{"exp text", jwt.MapClaims{"exp": "never", "sub": id}, 403, "bad_jwt"},
		{"exp huge", jwt.MapClaims{"exp": 1e300, "sub": id}, 403, "bad_jwt"},
		{"not yet", jwt.MapClaims{"exp": soon, "nbf": soon, "sub": id}, 403, "bad_jwt"},
		{"future iat", jwt.MapClaims{"exp": soon, "iat": soon, "sub": id, "aud": "authenticated"}, 200, ""},
		{"no aud", jwt.MapClaims{"exp": soon, "sub": id}, 400, "validation_failed"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := d.send("GET", "/user", nil, bearer(sign(tt.claims)))
			if tt.code == "" {
				a.want(tt.status, nil)
				return
			}
			a.wantFault(tt.status, tt.code)
		})
	}
	d.put(sign(jwt.MapClaims{"sub": id, "aud": "authenticated"}), `{"password":"a password without a session"}`).want(http.StatusOK, nil)
	d.send("GET", "/user", nil, bearer(p.AccessToken)).wantFault(http.StatusForbidden, "session_not_found")

	// Without exp a token is for the library's own routes, not for the host's.
	_, err := d.Auth.Verify(t.Context(), sign(jwt.MapClaims{"sub": id, "aud": "authenticated"}))
	require.ErrorContains(t, err, "claims")
}

// A token of a retired key is refused although it was seen before.
func TestRetiredKeysTokensAreRefused(t *testing.T) {
	d := open(t)
	p := d.User("ada@example.com")
	app := d.Auth.RequireUser(http.HandlerFunc(who))
	require.Equal(t, http.StatusOK, visit(app, bearer(p.AccessToken)).Code)
	d.send("GET", "/user", nil, bearer(p.AccessToken)).want(http.StatusOK, nil)
	_, err := d.Auth.Keyring().Retire(t.Context(), kidOf(t, p.AccessToken))
	require.NoError(t, err)
	require.Equal(t, http.StatusUnauthorized, visit(app, bearer(p.AccessToken)).Code)
	d.send("GET", "/user", nil, bearer(p.AccessToken)).wantFault(http.StatusForbidden, "bad_jwt")
	next := d.next(p.RefreshToken) // the client goes on
	require.Equal(t, http.StatusOK, visit(app, bearer(next.AccessToken)).Code)
}

// A secret is replaced by another without anybody's token ending, as docs/security.md has
// it, if both have an id.
func TestSecretIsReplaced(t *testing.T) {
	s := fresh(t)
	oldSecret, newSecret := []byte(strings.Repeat("old ", 8)), []byte(strings.Repeat("new ", 8))
	one := open(t, auth.WithStore(s), auth.WithJWTSecret(oldSecret), auth.WithJWTSecretID("2025"))
	p := one.User("ada@example.com")
	two := open(t, auth.WithStore(s), auth.WithJWTSecret(newSecret), auth.WithJWTSecretID("2026"))
	two.send("GET", "/user", nil, bearer(p.AccessToken)).wantFault(http.StatusForbidden, "bad_jwt")

	old, err := tokens.NewSecretKey("2025", oldSecret)
	require.NoError(t, err)
	both := open(t, auth.WithStore(s), auth.WithJWTSecret(newSecret), auth.WithJWTSecretID("2026"), auth.WithSigningKeys(old.VerifyOnly()))
	both.send("GET", "/user", nil, bearer(p.AccessToken)).want(http.StatusOK, nil)
	next := both.next(p.RefreshToken)
	require.Equal(t, "2026", kidOf(t, next.AccessToken))
	two.send("GET", "/user", nil, bearer(next.AccessToken)).want(http.StatusOK, nil)
}

func TestShortSecret(t *testing.T) {
	d := open(t, auth.WithJWTSecret([]byte("short")), auth.WithInsecureShortSecret())
	d.send("GET", "/user", nil, bearer(d.User("ada@example.com").AccessToken)).want(http.StatusOK, nil)
}

func TestSecondAuthsTokensAreRefused(t *testing.T) {
	one, two := open(t), open(t)
	p := one.User("ada@example.com")
	two.send("GET", "/user", nil, bearer(p.AccessToken)).wantFault(http.StatusForbidden, "bad_jwt")
	_, err := two.Auth.Verify(t.Context(), p.AccessToken)
	require.ErrorIs(t, err, &auth.Error{Code: "bad_jwt"})
}

func TestKeyAlgorithms(t *testing.T) {
	rsa, err := tokens.GenerateKey(tokens.RS256)
	require.NoError(t, err)
	for name, o := range map[string][]auth.Option{
		"ES256": nil, "EdDSA": {auth.WithKeyAlgorithm(tokens.EdDSA)}, "RS256": {auth.WithSigningKeys(rsa)},
		"HS256": {auth.WithJWTSecret([]byte(strings.Repeat("s", 32))), auth.WithJWTSecretID("main")},
	} {
		t.Run(name, func(t *testing.T) {
			d := open(t, o...)
			p := d.User("ada@example.com")
			raw, err := base64.RawURLEncoding.DecodeString(strings.Split(p.AccessToken, ".")[0])
			require.NoError(t, err)
			var h struct{ Alg, Kid, Typ string }
			require.NoError(t, json.Unmarshal(raw, &h))
			require.Equal(t, name, h.Alg)
			require.Equal(t, "JWT", h.Typ)
			require.NotEmpty(t, h.Kid)
			d.send("GET", "/user", nil, bearer(p.AccessToken)).want(http.StatusOK, nil)
			set := string(d.send("GET", "/.well-known/jwks.json", nil).want(http.StatusOK, nil).Body)
			if name == "HS256" {
				require.JSONEq(t, `{"keys":[]}`, set)
				return
			}
			require.Contains(t, set, fmt.Sprintf("%q", h.Kid))
			for _, private := range []string{`"d":`, `"p":`, `"q":`, `"k":`} {
				require.NotContains(t, set, private)
			}
		})
	}
}
