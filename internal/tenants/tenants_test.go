package tenants_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/truekeel/auth"
	"github.com/truekeel/auth/internal/tenants"
)

func TestInstancesOfTheOperator(t *testing.T) {
	h := open(t, "")
	id := uuid.New()
	settings := object{"site_url": "https://acme.example", "mailer": object{"autoconfirm": true}, "smtp": object{"host": "mail.acme.example", "pass": "hunter2"}}

	var made map[string]any
	a := h.operate("POST", "/instances", object{"uuid": id, "config": settings}).want(http.StatusCreated, &made)
	require.NotContains(t, a.Body, "hunter2")
	require.Equal(t, id.String(), made["id"])
	require.Equal(t, id.String(), made["uuid"])
	require.Equal(t, "https://auth.example", made["endpoint"])
	require.Equal(t, "active", made["state"])
	require.Equal(t, "", made["config"].(object)["smtp"].(object)["pass"])

	again := h.operate("POST", "/instances", object{"uuid": id, "config": settings}).want(http.StatusBadRequest, nil)
	require.Contains(t, again.Body, "An instance with that UUID already exists")

	var got map[string]any
	h.operate("GET", "/instances/"+id.String(), nil).want(http.StatusOK, &got)
	delete(made, "endpoint")
	delete(made, "state")
	require.Equal(t, made, got)

	h.advance(time.Hour)
	change := object{"config": object{"smtp": object{"host": "other.example", "pass": ""}, "mailer": object{"autoconfirm": nil}}}
	var changed map[string]any
	h.operate("PUT", "/instances/"+id.String(), change).want(http.StatusOK, &changed)
	require.Equal(t, object{"host": "other.example", "pass": ""}, changed["config"].(object)["smtp"])
	require.Equal(t, object{}, changed["config"].(object)["mailer"])
	require.Equal(t, "https://acme.example", changed["config"].(object)["site_url"])
	require.Equal(t, made["created_at"], changed["created_at"])
	require.NotEqual(t, made["updated_at"], changed["updated_at"])
	i, err := h.registry.Get(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, int64(2), i.Version)

	h.to(id, "GET", "/settings", nil).want(http.StatusOK, nil)
	require.DirExists(t, filepath.Join(h.dir, id.String()))
	h.operate("DELETE", "/instances/"+id.String(), nil).want(http.StatusNoContent, nil)
	require.NoDirExists(t, filepath.Join(h.dir, id.String()), "its accounts are gone")
	h.to(id, "GET", "/settings", nil).want(http.StatusNotFound, nil)
	a = h.operate("GET", "/instances/"+id.String(), nil).want(http.StatusNotFound, nil)
	require.Contains(t, a.Body, "Instance not found")
	h.operate("DELETE", "/instances/"+id.String(), nil).want(http.StatusNotFound, nil)
	h.operate("PUT", "/instances/"+id.String(), change).want(http.StatusNotFound, nil)
	h.operate("POST", "/instances", object{"uuid": id, "config": settings}).want(http.StatusBadRequest, nil) // an id is never given again
	require.NoDirExists(t, filepath.Join(h.dir, id.String()))
}

func TestWrongRequestsOfTheOperator(t *testing.T) {
	h := open(t, "")
	id := h.add(site("acme"))
	for _, c := range []struct {
		name, method, path string
		body               any
		status             int
		text               string
	}{
		{"no UUID", "POST", "/instances", object{"uuid": "x"}, 400, "must be a UUID"},
		{"nil UUID", "POST", "/instances", object{"uuid": uuid.Nil}, 400, "must be a UUID"},
		{"braces", "POST", "/instances", object{"uuid": "{" + uuid.NewString() + "}"}, 400, "must be a UUID"},
		{"no object", "POST", "/instances", object{"config": []int{1}}, 400, "no JSON object"},
		{"server's setting", "POST", "/instances", object{"config": object{"db": object{"url": "postgres://x"}}}, 400, "whole server"},
		{"operator's setting", "POST", "/instances", object{"config": object{"operator_token": "x"}}, 400, "whole server"},
		{"bad name", "POST", "/instances", object{"config": object{"a=b\nc": "x"}}, 400, "name"},
		{"twice", "POST", "/instances", object{"config": object{"jwt_exp": 1, "jwt": object{"exp": 2}}}, 400, "twice"},
		{"refused by the options", "POST", "/instances", object{"config": object{"password_min_length": 1}}, 400, "GOTRUE_PASSWORD_MIN_LENGTH"},
		{"refused by auth", "POST", "/instances", object{"config": object{"site_url": "https://a.example", "jwt": object{"secret": "short"}}}, 400, "at least 32"},
		{"host of another", "POST", "/instances", object{"config": object{"hosts": []string{"AUTH.acme.example"}}}, 400, "host belongs to another"},
		{"port", "POST", "/instances", object{"config": object{"hosts": []string{"a.example:80"}}}, 400, "host"},
		{"path", "POST", "/instances", object{"config": object{"hosts": []string{"a.example/x"}}}, 400, "host"},
		{"bad change", "PUT", "/instances/" + id.String(), object{"config": object{"site_url": "nonsense"}}, 400, "WithSiteURL"},
		{"bad id", "GET", "/instances/7", nil, 400, "must be a UUID"},
		{"unknown", "GET", "/instances/" + uuid.NewString(), nil, 404, "Instance not found"},
		{"list", "GET", "/instances", nil, 405, ""},
		{"patch", "PATCH", "/instances/" + id.String(), nil, 405, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := h.operate(c.method, c.path, c.body)
			a.t = t
			require.Contains(t, a.want(c.status, nil).Body, c.text)
		})
	}
	entries, err := os.ReadDir(h.dir)
	require.NoError(t, err)
	folders := 0
	for _, e := range entries {
		if e.IsDir() {
			folders++
		}
	}
	require.Equal(t, 1, folders, "what was refused leaves nothing")
	h.to(id, "GET", "/settings", nil).want(http.StatusOK, nil)

	refused := uuid.New()
	h.operate("POST", "/instances", object{"uuid": refused, "config": object{"password_min_length": 1}}).want(http.StatusBadRequest, nil)
	h.operate("POST", "/instances", object{"uuid": refused, "config": object{"hosts": []string{"second.example"}}}).want(http.StatusCreated, nil)
}

func TestOnlyTheOperatorMayOperate(t *testing.T) {
	h := open(t, "")
	id := h.add(site("acme"))
	admin, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{"role": "service_role"}).SignedString([]byte(strings.Repeat("acme-", 40)))
	require.NoError(t, err)
	for name, header := range map[string]string{
		"none": "", "wrong": "Bearer wrong", "empty": "Bearer ", "prefix": "Bearer " + operatorToken[:20], "longer": "Bearer " + operatorToken + "x", "basic": "Basic " + operatorToken,
		"the signing key": "Bearer " + signingKey, "an instance's admin": "Bearer " + admin, "a signature": "Bearer " + h.sign(id),
	} {
		t.Run(name, func(t *testing.T) {
			for _, r := range [][2]string{{"POST", "/instances"}, {"GET", "/instances/" + id.String()}, {"PUT", "/instances/" + id.String()}, {"DELETE", "/instances/" + id.String()}, {"DELETE", "/instances/" + id.String() + "/"}, {"GET", "/instances"}} {
				a := h.send(r[0], r[1], object{}, "Authorization", header, "x-nf-sign", h.sign(id))
				a.t = t
				require.Equal(t, "Bearer", a.want(http.StatusUnauthorized, nil).Header.Get("WWW-Authenticate"))
			}
		})
	}
	h.send("GET", "/", nil).want(http.StatusOK, nil)
	h.send("GET", "/health", nil).want(http.StatusOK, nil)
}

func TestSignatures(t *testing.T) {
	h := open(t, "")
	id := h.add(site("acme"))
	set := func(name string, v any) func(jwt.MapClaims) { return func(c jwt.MapClaims) { c[name] = v } }
	with := func(method jwt.SigningMethod, key any) string {
		text, err := jwt.NewWithClaims(method, jwt.MapClaims{"id": id.String(), "exp": h.clock().Add(time.Minute).Unix()}).SignedString(key)
		require.NoError(t, err)
		return text
	}
	for _, c := range []struct {
		name, header string
		status       int
		text         string
	}{
		{"good", h.sign(id), 200, ""},
		{"five minutes", h.sign(id, set("exp", h.clock().Add(5*time.Minute).Unix())), 200, ""},
		{"none", "", 400, "Operator microservice headers missing"},
		{"garbage", "a.b.c", 400, "Operator microservice signature is invalid"},
		{"too long", strings.Repeat("a", 9000), 400, "Operator microservice signature is invalid"},
		{"unsigned", with(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType), 400, "Operator microservice signature is invalid"},
		{"another algorithm", with(jwt.SigningMethodHS512, []byte(signingKey)), 400, "Operator microservice signature is invalid"},
		{"the operator's token as key", with(jwt.SigningMethodHS256, []byte(operatorToken)), 400, "Operator microservice signature is invalid"},
		{"the instance's secret as key", with(jwt.SigningMethodHS256, []byte(strings.Repeat("acme-", 40))), 400, "Operator microservice signature is invalid"},
		{"no end", h.sign(id, func(c jwt.MapClaims) { delete(c, "exp") }), 400, "Operator microservice signature is invalid"},
		{"ended", h.sign(id, set("exp", h.clock().Add(-time.Minute).Unix())), 400, "Operator microservice signature is invalid"},
		{"an end too far", h.sign(id, set("exp", h.clock().Add(6*time.Minute).Unix())), 400, "within 5 minutes"},
		{"not yet", h.sign(id, set("nbf", h.clock().Add(time.Minute).Unix())), 400, "Operator microservice signature is invalid"},
		{"no id", h.sign(id, set("id", "")), 400, "must be a UUID"},
		{"no UUID", h.sign(id, set("id", "acme")), 400, "must be a UUID"},
		{"nil UUID", h.sign(uuid.Nil), 400, "must be a UUID"},
		{"unknown", h.sign(uuid.New()), 404, "Unable to locate site configuration"},
		{"bad site", h.sign(id, set("site_url", "javascript:alert(1)")), 400, "site_url"},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, path := range []string{"/settings", "/v1/settings", "/authorize", "/callback"} {
				a := h.send("GET", path, nil, "x-nf-sign", c.header)
				a.t = t
				if c.status == 200 && !strings.HasSuffix(path, "/settings") {
					continue
				}
				require.Contains(t, a.want(c.status, nil).Body, c.text)
			}
		})
	}
}

func TestSignaturesWithoutEnd(t *testing.T) {
	h := open(t, "", func(c *tenants.Config) { c.AllowNoExpiry = true })
	id := h.add(site("acme"))
	forever := h.sign(id, func(c jwt.MapClaims) { delete(c, "exp") })
	h.send("GET", "/settings", nil, "x-nf-sign", forever).want(http.StatusOK, nil)
	ended := h.sign(id, func(c jwt.MapClaims) { c["exp"] = h.clock().Add(-time.Minute).Unix() })
	h.send("GET", "/settings", nil, "x-nf-sign", ended).want(http.StatusBadRequest, nil)
}

func TestTheTokenSignsIfThereIsNoKey(t *testing.T) {
	h := open(t, "", func(c *tenants.Config) { c.Token, c.SigningKey = signingKey, "" })
	var out struct{ ID uuid.UUID }
	h.send("POST", "/instances", object{"config": site("acme")}, "Authorization", "Bearer "+signingKey).want(http.StatusCreated, &out)
	h.to(out.ID, "GET", "/settings", nil).want(http.StatusOK, nil)
}

func TestHosts(t *testing.T) {
	h := open(t, "")
	blue, red := h.add(site("blue")), h.add(site("red"))
	h.member(blue, "ada@example.com")
	login := object{"email": "ada@example.com", "password": goodPassword}
	for _, c := range []struct {
		name, url string
		headers   []string
		status    int
		text      string
	}{
		{"its own", "http://auth.blue.example/token?grant_type=password", nil, 200, ""},
		{"with a port, a dot, in capitals", "http://AUTH.Blue.example.:8443/token?grant_type=password", nil, 200, ""},
		{"another's", "http://auth.red.example/token?grant_type=password", nil, 400, "invalid_credentials"},
		{"nobody's", "http://auth.green.example/token?grant_type=password", nil, 400, "headers missing"},
		{"both agree", "http://auth.blue.example/token?grant_type=password", []string{"x-nf-sign", h.sign(blue)}, 200, ""},
		{"they don't", "http://auth.blue.example/token?grant_type=password", []string{"x-nf-sign", h.sign(red)}, 400, "different instances"},
		{"a bad signature isn't overlooked", "http://auth.blue.example/token?grant_type=password", []string{"x-nf-sign", "x.y.z"}, 400, "signature is invalid"},
		{"what a header says of the host is not believed", "http://auth.green.example/token?grant_type=password", []string{"X-Forwarded-Host", "auth.blue.example"}, 400, "headers missing"},
		{"the operator's host", "http://operator.example/token?grant_type=password", []string{"x-nf-sign", h.sign(blue)}, 200, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := h.send("POST", c.url, login, c.headers...)
			a.t = t
			require.Contains(t, a.want(c.status, nil).Body, c.text)
		})
	}
	h.operate("PUT", "/instances/"+blue.String(), object{"config": object{"hosts": []string{"login.blue.example"}}}).want(http.StatusOK, nil)
	h.send("GET", "http://login.blue.example/settings", nil).want(http.StatusOK, nil)
	h.send("GET", "http://auth.blue.example/settings", nil).want(http.StatusBadRequest, nil)
	h.operate("PUT", "/instances/"+red.String(), object{"config": object{"hosts": []string{"auth.blue.example"}}}).want(http.StatusOK, nil)
	h.send("POST", "http://auth.blue.example/token?grant_type=password", login).want(http.StatusBadRequest, nil)
}

func TestTheSignatureSaysTheSite(t *testing.T) {
	h := open(t, "")
	id := h.add(object{"site_url": "https://acme.example", "jwt": object{"secret": strings.Repeat("s", 40)}})
	at := func(siteURL string) string {
		sign := h.sign(id, func(c jwt.MapClaims) { c["site_url"] = siteURL })
		h.send("POST", "/recover", object{"email": "ada@example.com"}, "x-nf-sign", sign).want(http.StatusOK, nil)
		return h.lastMail(id).RedirectTo
	}
	h.to(id, "POST", "/signup", object{"email": "ada@example.com", "password": goodPassword}).want(http.StatusOK, nil)
	require.Equal(t, "https://acme.example", at("https://acme.example"))
	require.Equal(t, "https://preview.acme.example", at("https://preview.acme.example/"))
	require.Equal(t, "https://acme.example", at("https://acme.example"), "one signature says nothing for the next")
}

func TestChangesTakeEffect(t *testing.T) {
	h := open(t, "")
	id := h.add(site("acme"))
	s := h.member(id, "ada@example.com")
	h.to(id, "GET", "/user", nil, "Authorization", "Bearer "+s.AccessToken).want(http.StatusOK, nil)
	h.operate("PUT", "/instances/"+id.String(), object{"config": object{"jwt": object{"secret": strings.Repeat("another", 8)}}}).want(http.StatusOK, nil)
	h.to(id, "GET", "/user", nil, "Authorization", "Bearer "+s.AccessToken).want(http.StatusForbidden, nil)
	h.to(id, "POST", "/token?grant_type=password", object{"email": "ada@example.com", "password": goodPassword}).want(http.StatusOK, nil)
}

func TestAnotherProcessFollows(t *testing.T) {
	one := open(t, "")
	two := open(t, one.dir)
	id := one.add(site("acme"))
	s := one.member(id, "ada@example.com")
	two.to(id, "GET", "/user", nil, "Authorization", "Bearer "+s.AccessToken).want(http.StatusOK, nil)

	one.operate("PUT", "/instances/"+id.String(), object{"config": object{"jwt": object{"secret": strings.Repeat("another", 8)}}}).want(http.StatusOK, nil)
	two.advance(2 * time.Second)
	two.to(id, "GET", "/user", nil, "Authorization", "Bearer "+s.AccessToken).want(http.StatusForbidden, nil)

	one.operate("DELETE", "/instances/"+id.String(), nil).want(http.StatusNoContent, nil)
	two.advance(2 * time.Second)
	two.to(id, "GET", "/settings", nil).want(http.StatusNotFound, nil)
}

func TestSettingsAreSealed(t *testing.T) {
	h := open(t, "")
	h.add(object{"site_url": "https://visible.example", "smtp": object{"pass": "hunter2hunter2"}, "jwt": object{"secret": strings.Repeat("s3cret", 8)}})
	files, err := filepath.Glob(filepath.Join(h.dir, "instances.db*"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, f := range files {
		raw, err := os.ReadFile(f)
		require.NoError(t, err)
		for _, secret := range []string{"hunter2hunter2", "s3crets3cret", "visible.example"} {
			require.NotContains(t, string(raw), secret, f)
		}
	}
}

func TestAtMostSoManyAreOpen(t *testing.T) {
	const most, all = 3, 9
	h := open(t, "", func(c *tenants.Config) { c.MaxOpen = most })
	var ids []uuid.UUID
	for n := range all {
		ids = append(ids, h.add(site(fmt.Sprint("site", n))))
	}
	var wg sync.WaitGroup
	for _, id := range ids {
		for range 4 {
			wg.Go(func() {
				h.to(id, "GET", "/settings", nil).want(http.StatusOK, nil)
				require.LessOrEqual(t, h.Open(), most)
			})
		}
	}
	wg.Wait()
	require.LessOrEqual(t, h.Open(), most)
	for _, id := range ids { // what was closed opens again, with its accounts
		h.member(id, "ada@example.com")
	}
	for _, id := range ids {
		h.to(id, "POST", "/token?grant_type=password", object{"email": "ada@example.com", "password": goodPassword}).want(http.StatusOK, nil)
	}
}

// openWithOnePlace opens a house in which one instance can be open, and a request of
// slow@example.com ends when leave is closed; entered is closed when it is under way.
func openWithOnePlace(t *testing.T) (h *house, entered, leave chan struct{}) {
	t.Helper()
	entered, leave = make(chan struct{}), make(chan struct{})
	var once sync.Once
	h = open(t, "", func(c *tenants.Config) {
		c.MaxOpen = 1
		inner := c.Options
		c.Options = func(id uuid.UUID, settings []string) ([]auth.Option, error) {
			opts, err := inner(id, settings)
			return append(opts, auth.WithRequestTimeout(time.Minute), auth.WithHooks(auth.Hooks{BeforeUserCreated: func(_ context.Context, u auth.Account) error {
				if u.Email == "slow@example.com" {
					once.Do(func() { close(entered) })
					<-leave
				}
				return nil
			}})), err
		}
	})
	return h, entered, leave
}

// A request that is under way keeps its instance open, whoever else wants its place.
func TestRequestsUnderWayKeepTheirInstance(t *testing.T) {
	h, entered, leave := openWithOnePlace(t)
	slow, other := h.add(site("slow")), h.add(site("other"))
	var wg sync.WaitGroup
	wg.Go(func() { h.member(slow, "slow@example.com") })
	<-entered
	var second answer
	wg.Go(func() { second = h.to(other, "GET", "/settings", nil) })
	h.to(slow, "GET", "/settings", nil).want(http.StatusOK, nil) // no place is needed for it
	close(leave)
	wg.Wait()
	second.want(http.StatusOK, nil)
	require.Equal(t, 1, h.Open())
}

// Who waits too long for a place is told to come again, and finds it free later.
func TestEveryPlaceIsTaken(t *testing.T) {
	h, entered, leave := openWithOnePlace(t)
	slow, other := h.add(site("slow")), h.add(site("other"))
	var wg sync.WaitGroup
	wg.Go(func() { h.member(slow, "slow@example.com") })
	<-entered
	tenants.Wait(h.Server, time.Millisecond)
	a := h.to(other, "GET", "/settings", nil).want(http.StatusServiceUnavailable, nil)
	require.Equal(t, "1", a.Header.Get("Retry-After"))
	require.Contains(t, a.Body, "Too many instances are in use")
	tenants.Wait(h.Server, time.Minute)
	close(leave)
	wg.Wait()
	h.to(other, "GET", "/settings", nil).want(http.StatusOK, nil)
}

func TestDeletionIsFinishedByTheNextStart(t *testing.T) {
	h := open(t, "")
	id := h.add(site("acme"))
	h.member(id, "ada@example.com")
	require.NoError(t, h.Close(t.Context()))
	h.to(id, "GET", "/settings", nil).want(http.StatusServiceUnavailable, nil)

	tenants.Abandon(t, h.registry, id) // as if the process had ended in the middle
	require.DirExists(t, filepath.Join(h.dir, id.String()))
	again := open(t, h.dir)
	require.NoDirExists(t, filepath.Join(h.dir, id.String()))
	again.to(id, "GET", "/settings", nil).want(http.StatusNotFound, nil)
	left, err := again.registry.Leaving(t.Context())
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestRacingOperators(t *testing.T) {
	h := open(t, "")
	id := uuid.New()
	statuses := make([]int, 6)
	var wg sync.WaitGroup
	for n := range statuses {
		wg.Go(func() {
			statuses[n] = h.operate("POST", "/instances", object{"uuid": id, "config": object{"site_url": "https://acme.example", "mailer": object{"autoconfirm": true}}}).Status
		})
	}
	wg.Wait()
	made := 0
	for _, s := range statuses {
		if s == http.StatusCreated {
			made++
		} else {
			require.Equal(t, http.StatusBadRequest, s)
		}
	}
	require.Equal(t, 1, made)
	h.member(id, "ada@example.com")

	for n := range statuses {
		wg.Go(func() {
			statuses[n] = h.operate("PUT", "/instances/"+id.String(), object{"config": object{"jwt": object{"exp": 100 + n}}}).Status
		})
	}
	wg.Wait()
	i, err := h.registry.Get(t.Context(), id)
	require.NoError(t, err)
	changed := int64(0)
	for _, s := range statuses {
		if s == http.StatusOK {
			changed++
		} else {
			require.Equal(t, http.StatusServiceUnavailable, s)
		}
	}
	require.Equal(t, 1+changed, i.Version, "no change was lost")
}

func FuzzParseSettings(f *testing.F) {
	for _, seed := range []string{
		`{}`, `{"site_url":"https://a.example","jwt":{"secret":"x","keys":[{"kty":"RSA"}]},"hosts":["a.example"]}`, `{"a":{"b":{"c":[1,true,"x"]}}}`, `[]`, `null`, `{"hosts":[""]}`, `{"a":1,"A":2}`, `{"smtp":{"headers":{"X-A":["b"]}}}`,
	} {
		f.Add([]byte(seed), "https://site.example")
	}
	f.Fuzz(func(t *testing.T, raw []byte, _ string) {
		s, err := tenants.ParseSettings(raw)
		if err != nil {
			return
		}
		for _, kv := range tenants.Variables(s) {
			name, value, ok := strings.Cut(kv, "=")
			require.True(t, ok)
			require.True(t, strings.HasPrefix(name, "GOTRUE_"))
			require.NotContains(t, name, "GOTRUE_DB_")
			require.NotContains(t, name, "\n")
			require.NotContains(t, value, "\x00")
		}
		again, err := tenants.ParseSettings(tenants.Raw(s))
		require.NoError(t, err)
		require.Equal(t, tenants.Variables(s), tenants.Variables(again))
	})
}
