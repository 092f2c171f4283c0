package tenants_test

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

// route is an endpoint of the library.
type route struct{ method, path string }

func (r route) String() string { return r.method + " " + r.path }

// routes reads the endpoints off the dialects' route tables: who adds one is asked here
// whether it keeps instances apart.
func routes(t *testing.T) []route {
	t.Helper()
	var out []route
	set := token.NewFileSet()
	for _, dialect := range []string{"../gotrue", "../keel"} {
		err := filepath.WalkDir(dialect, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return nil // a dialect that isn't there has no routes
			}
			file, err := parser.ParseFile(set, path, nil, 0)
			if err != nil {
				return err
			}
			ast.Inspect(file, func(n ast.Node) bool {
				if lit, ok := n.(*ast.CompositeLit); ok {
					fields := texts(lit)
					if fields["Method"] != "" && fields["Path"] != "" {
						out = append(out, route{fields["Method"], fields["Path"]})
					}
				}
				return true
			})
			return nil
		})
		require.NoError(t, err)
	}
	require.Greater(t, len(out), 20, "the route tables were not found")
	return out
}

// texts gives the fields of a literal that are texts.
func texts(lit *ast.CompositeLit) map[string]string {
	out := map[string]string{}
	for _, e := range lit.Elts {
		kv, ok := e.(*ast.KeyValueExpr)
		if !ok {
			continue
		}
		name, isName := kv.Key.(*ast.Ident)
		value, isText := kv.Value.(*ast.BasicLit)
		if isName && isText && value.Kind == token.STRING {
			out[name.Name], _ = strconv.Unquote(value.Value)
		}
	}
	return out
}

// holding is everything that one can hold of an instance: its accounts, tokens, links,
// codes and ids.
type holding struct {
	email, password   string
	userID, sessionID string
	access, refresh   string
	admin             string
	link, code        string // of a recovery
	authCode          string // of a PKCE flow
	verifier          string
	state, cookie     string // of a sign-in with a provider
	keel              keelHolding
}

// keelHolding is what one holds of an instance through Keel's endpoints.
type keelHolding struct {
	refresh       string
	state, cookie string
}

const fullName = "Countess of Lovelace"

// hold fills an instance and gives what there is to hold of it.
func (h *house) hold(id uuid.UUID, secret string) holding {
	h.t.Helper()
	o := holding{email: "ada@lovelace.example", password: goodPassword, verifier: strings.Repeat("v", 50)}
	h.to(id, "POST", "/signup", object{"email": o.email, "password": o.password, "data": object{"full_name": fullName}}).want(200, nil)
	var s session
	h.to(id, "POST", "/verify", object{"type": "signup", "token_hash": h.lastMail(id).TokenHash}).want(200, &s)
	o.access, o.refresh, o.userID = s.AccessToken, s.RefreshToken, s.User.ID
	claims := jwt.MapClaims{}
	_, _, err := jwt.NewParser().ParseUnverified(s.AccessToken, claims)
	require.NoError(h.t, err)
	o.sessionID, _ = claims["session_id"].(string)
	require.NotEmpty(h.t, o.sessionID)
	o.admin, err = jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{"role": "service_role"}).SignedString([]byte(secret))
	require.NoError(h.t, err)

	challenge := base64.RawURLEncoding.EncodeToString(sum(o.verifier))
	h.to(id, "POST", "/otp", object{"email": o.email, "code_challenge": challenge, "code_challenge_method": "s256"}).want(200, nil)
	link, err := url.Parse(h.lastMail(id).ConfirmationURL)
	require.NoError(h.t, err)
	back, err := url.Parse(h.to(id, "GET", "/verify?"+link.RawQuery, nil).Header.Get("Location"))
	require.NoError(h.t, err)
	o.authCode = back.Query().Get("code")
	require.NotEmpty(h.t, o.authCode)

	o.state, o.cookie = h.leave(id, "/authorize?provider=github")
	h.to(id, "POST", "/token", object{"grant_type": "password", "username": o.email, "password": o.password}, jsonBody...).want(200, &s)
	o.keel.refresh = s.RefreshToken
	o.keel.state, o.keel.cookie = h.leave(id, "/authorize/github?redirect_uri=https://site.example")

	h.to(id, "POST", "/recover", object{"email": o.email}).want(200, nil)
	o.link, o.code = h.lastMail(id).TokenHash, h.lastMail(id).Token
	return o
}

// leave begins a sign-in with a provider and gives its state and the browser's cookie.
func (h *house) leave(id uuid.UUID, path string) (state, cookie string) {
	h.t.Helper()
	away := h.to(id, "GET", path, nil)
	there, err := url.Parse(away.Header.Get("Location"))
	require.NoError(h.t, err)
	state = there.Query().Get("state")
	require.NotEmpty(h.t, state, away.Body)
	cookie, _, _ = strings.Cut(away.Header.Get("Set-Cookie"), ";")
	return state, cookie
}

var jsonBody = []string{"Content-Type", "application/json"}

// stranger holds things of the same shapes that no instance made.
func stranger(t *testing.T) holding {
	t.Helper()
	sign := func(claims jwt.MapClaims) string {
		text, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString([]byte(rand.Text() + rand.Text()))
		require.NoError(t, err)
		return text
	}
	id, sessionID := uuid.NewString(), uuid.NewString()
	return holding{
		email: "nobody@lovelace.example", password: goodPassword, userID: id, sessionID: sessionID,
		access: sign(jwt.MapClaims{"sub": id, "session_id": sessionID, "role": "authenticated", "aud": "authenticated", "exp": time.Now().Add(time.Hour).Unix()}),
		admin:  sign(jwt.MapClaims{"role": "service_role"}), refresh: strings.ToLower(rand.Text()),
		link: strings.Repeat("0123456789abcdef", 4)[:56], code: "000000", authCode: uuid.NewString(), state: uuid.NewString(), verifier: strings.Repeat("v", 50),
		keel: keelHolding{refresh: strings.ToLower(rand.Text()), state: uuid.NewString()},
	}
}

// attempts are the ways to use what one holds at a route.
func (o holding) attempts(r route) []attempt {
	path := strings.NewReplacer("{id}", o.userID, "{user_id}", o.userID, "{identity_id}", o.userID, "{session_id}", o.sessionID).Replace(r.path)
	bodies := []object{nil}
	if r.method != "GET" && r.method != "HEAD" && r.method != "DELETE" {
		bodies = []object{
			{"email": o.email, "password": "a new pass phrase", "type": "magiclink"},
			{"email": o.email, "password": o.password},
			{"refresh_token": o.refresh},
			{"type": "recovery", "token_hash": o.link},
			{"type": "recovery", "email": o.email, "token": o.code},
			{"auth_code": o.authCode, "code_verifier": o.verifier},
			{"data": object{"full_name": "Somebody Else"}},
			{},
		}
	}
	queries := []string{"", "?type=recovery&token=" + o.link, "?error=access_denied&state=" + url.QueryEscape(o.state)}
	if strings.HasSuffix(r.path, "/token") {
		queries = []string{"?grant_type=password", "?grant_type=refresh_token", "?grant_type=pkce"}
	}
	var out []attempt
	for _, bearer := range []string{"", o.access, o.admin} {
		for _, query := range queries {
			for _, body := range bodies {
				out = append(out, attempt{r.method, path + query, body, bearer, o.cookie})
			}
		}
	}
	return out
}

type attempt struct {
	method, path string
	body         object
	bearer       string
	cookie       string
}

// by makes the attempt at an instance.
func (a attempt) by(h *house, id uuid.UUID) answer {
	var body any
	if a.body != nil {
		body = a.body
	}
	if a.bearer == "" {
		return h.to(id, a.method, a.path, body, "Cookie", a.cookie)
	}
	return h.to(id, a.method, a.path, body, "Authorization", "Bearer "+a.bearer, "Cookie", a.cookie)
}

// outcome is what an answer comes to, without what is different each time.
func outcome(a answer) string {
	to := ""
	if at, err := url.Parse(a.Header.Get("Location")); err == nil && at.String() != "" {
		q := at.Query()
		f, _ := url.ParseQuery(at.Fragment)
		to = fmt.Sprintf(" error=%s%s granted=%t", q.Get("error_code"), f.Get("error_code"), f.Has("access_token") || q.Has("code"))
	}
	return fmt.Sprint(a.Status, " ", a.Header.Get("x-sb-error-code"), to)
}

// alike are the routes that answer everybody alike: what is public, what would else tell
// who has an account, and what leads to identity providers, which these instances don't
// have.
func alike() []string {
	return []string{
		"GET /health", "HEAD /health", "GET /settings", "HEAD /settings", "GET /.well-known/jwks.json", "HEAD /.well-known/jwks.json",
		"GET /.well-known/openid-configuration", "HEAD /.well-known/openid-configuration", "GET /authorize", "GET /callback", "POST /callback", "POST /signup", "POST /recover", "POST /otp", "POST /magiclink", "POST /resend", "GET /authorize", "POST /callback",
	}
}

// Whatever one holds of an instance is worth as much at another as things that nobody
// made, shows nothing of it, and is as good as before at its own.
func TestNothingOfOneInstanceIsReachableFromAnother(t *testing.T) {
	h := open(t, "")
	instance := func(name string) (uuid.UUID, string) {
		secret := strings.Repeat(name+"-secret-", 6)
		return h.add(object{"site_url": "https://site.example", "jwt": object{"secret": secret}}), secret
	}
	blue, secret := instance("blue")
	theirs := h.hold(blue, secret)
	none := stranger(t)
	for _, r := range routes(t) {
		t.Run(r.String(), func(t *testing.T) {
			// A red instance for each, as attempts change it; two, as they would meet.
			red, _ := instance("red" + uuid.NewString())
			other, _ := instance("other" + uuid.NewString())
			attempts, blanks := theirs.attempts(r), none.attempts(r)
			for n, a := range attempts {
				got, want := a.by(h, red), blanks[n].by(h, other)
				require.Equal(t, outcome(want), outcome(got), "%s %s %v with the bearer %.20s", a.method, a.path, a.body, a.bearer)
				for _, mark := range []string{theirs.userID, theirs.sessionID, fullName} {
					require.NotContains(t, got.Body+fmt.Sprint(got.Header), mark)
				}
			}
			require.True(t, slices.Contains(alike(), r.String()) || differs(t, h, r), "nothing that is held of an instance changes the answer of its own: attempts lacks what the route asks for")
		})
	}
	// At its own instance everything is as it was.
	var s session
	h.to(blue, "GET", "/user", nil, "Authorization", "Bearer "+theirs.access).want(200, nil)
	h.to(blue, "POST", "/token?grant_type=pkce", object{"auth_code": theirs.authCode, "code_verifier": theirs.verifier}).want(200, nil)
	h.to(blue, "POST", "/verify", object{"type": "recovery", "email": theirs.email, "token": theirs.code}).want(200, nil)
	h.to(blue, "POST", "/token?grant_type=refresh_token", object{"refresh_token": theirs.refresh}).want(200, &s)
	require.Equal(t, theirs.userID, s.User.ID)
	list := h.to(blue, "GET", "/admin/users", nil, "Authorization", "Bearer "+theirs.admin).want(200, nil)
	require.Equal(t, "1", list.Header.Get("X-Total-Count"))
	require.Contains(t, list.Body, fullName)
}

// differs reports whether a route answers somebody who holds things of its own instance
// otherwise than a stranger: that the attempts are good ones.
func differs(t *testing.T, h *house, r route) bool {
	t.Helper()
	secret := strings.Repeat(uuid.NewString(), 2)
	id := h.add(object{"site_url": "https://site.example", "jwt": object{"secret": secret}})
	own := h.hold(id, secret)
	blanks := stranger(t).attempts(r)
	for n, a := range own.attempts(r) {
		if want := outcome(blanks[n].by(h, id)); want != outcome(a.by(h, id)) {
			return true
		}
	}
	return false
}

// keelPaths reads Keel's paths off its switch: who adds one is asked here whether it keeps
// instances apart.
func keelPaths(t *testing.T) []string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "../keel/keel.go", nil, 0)
	require.NoError(t, err)
	var out []string
	ast.Inspect(file, func(n ast.Node) bool {
		clause, ok := n.(*ast.CaseClause)
		if !ok {
			return true
		}
		for _, e := range clause.List {
			ast.Inspect(e, func(n ast.Node) bool {
				if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
					path, _ := strconv.Unquote(lit.Value)
					out = append(out, path)
				}
				return true
			})
		}
		return true
	})
	require.Greater(t, len(out), 5, "the switch was not found")
	return out
}

// keelAttempts are the ways to use what one holds at a path of Keel's.
func (o holding) keelAttempts(path string) []attempt {
	if path == "/authorize" || path == "/callback" {
		path += "/github"
	}
	var out []attempt
	for _, body := range []object{
		{"grant_type": "password", "username": o.email, "password": o.password},
		{"grant_type": "password", "username": o.email, "password": o.password, "create_if_not_exists": false},
		{"grant_type": "refresh_token", "refresh_token": o.keel.refresh},
		{"grant_type": "refresh_token", "refresh_token": o.refresh},
		{"grant_type": "authorization_code", "code": o.authCode, "code_verifier": o.verifier},
		{"token": o.keel.refresh},
		{"token": o.refresh},
	} {
		out = append(out, attempt{"POST", path, body, "", ""})
	}
	for _, bearer := range []string{"", o.access, o.admin} {
		for _, query := range []string{"", "?error=access_denied&state=" + url.QueryEscape(o.keel.state)} {
			out = append(out, attempt{"GET", path + query, nil, bearer, o.keel.cookie})
		}
	}
	return out
}

// byKeel makes the attempt at an instance, and gives what its answer comes to.
func (a attempt) byKeel(h *house, id uuid.UUID) (string, answer) {
	headers := append([]string{"Cookie", a.cookie}, jsonBody...)
	if a.bearer != "" {
		headers = append(headers, "Authorization", "Bearer "+a.bearer)
	}
	var body any
	if a.body != nil {
		body = a.body
	}
	got := h.to(id, a.method, a.path, body, headers...)
	to := ""
	if at, err := url.Parse(got.Header.Get("Location")); err == nil {
		to = at.Host + " " + at.Query().Get("error")
	}
	return fmt.Sprint(got.Status, " ", to), got
}

// The same of Keel's endpoints.
func TestNothingOfOneInstanceIsReachableThroughKeel(t *testing.T) {
	h := open(t, "")
	secret := strings.Repeat("blue-secret-", 6)
	instance := func() uuid.UUID {
		return h.add(object{"site_url": "https://site.example", "jwt": object{"secret": strings.Repeat(uuid.NewString(), 2)}})
	}
	blue := h.add(object{"site_url": "https://site.example", "jwt": object{"secret": secret}})
	theirs, none := h.hold(blue, secret), stranger(t)
	used := map[string]bool{} // paths at which what one holds is good for something
	for _, path := range keelPaths(t) {
		t.Run(path, func(t *testing.T) {
			red, other := instance(), instance()
			blanks := none.keelAttempts(path)
			for n, a := range theirs.keelAttempts(path) {
				got, body := a.byKeel(h, red)
				want, _ := blanks[n].byKeel(h, other)
				require.Equal(t, want, got, "%s %s %v with the bearer %.20s", a.method, a.path, a.body, a.bearer)
				for _, mark := range []string{theirs.userID, theirs.sessionID, fullName} {
					require.NotContains(t, body.Body+fmt.Sprint(body.Header), mark)
				}
			}
			own := h.add(object{"site_url": "https://site.example", "jwt": object{"secret": strings.Repeat("own-", 20)}})
			mine := h.hold(own, strings.Repeat("own-", 20))
			for n, a := range mine.keelAttempts(path) {
				got, _ := a.byKeel(h, own)
				want, _ := blanks[n].byKeel(h, other)
				used[path] = used[path] || got != want
			}
		})
	}
	require.True(t, used["/token"] && used["/callback"], "the attempts lack what the paths ask for: %v", used)
	// At its own instance everything is as it was.
	var s session
	h.to(blue, "POST", "/token", object{"grant_type": "refresh_token", "refresh_token": theirs.keel.refresh}, jsonBody...).want(200, &s)
	h.to(blue, "POST", "/token?grant_type=refresh_token", object{"refresh_token": theirs.refresh}).want(200, nil)
	h.to(blue, "POST", "/revoke", object{"token": s.RefreshToken}, jsonBody...).want(200, nil)
	h.to(blue, "POST", "/token", object{"grant_type": "refresh_token", "refresh_token": s.RefreshToken}, jsonBody...).want(401, nil)
}
