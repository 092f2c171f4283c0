package auth_test

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/truekeel/auth"
	"github.com/truekeel/auth/tokens"
)

// service is the bearer of a service that administers.
func (d *door) service() header { return d.bearerOf(tokens.Claims{Role: "service_role"}) }

func (d *door) bearerOf(c tokens.Claims) header {
	d.t.Helper()
	token, err := tokens.NewIssuer(d.Auth.Keyring(), tokens.IssuerConfig{Now: d.Clock.Now}).Issue(c)
	require.NoError(d.t, err)
	return bearer(token)
}

// managed makes an account through the administrator's endpoint.
func (d *door) managed(body map[string]any) map[string]any {
	d.t.Helper()
	return d.post("/admin/users", body, d.service()).want(http.StatusOK, nil).object()
}

func TestAdminRoutesAreForAdministrators(t *testing.T) {
	d := open(t)
	id := uuid.NewString()
	user := d.signUp("ada@example.com")
	forged := func(method jwt.SigningMethod, key any) header {
		token, err := jwt.NewWithClaims(method, jwt.MapClaims{"role": "service_role", "exp": d.Clock.Now().Add(time.Hour).Unix()}).SignedString(key)
		require.NoError(t, err)
		return bearer(token)
	}
	// What a user can say of himself doesn't make him an administrator.
	d.send(http.MethodPut, "/user", map[string]any{"data": map[string]any{"role": "service_role", "app_metadata": map[string]any{"role": "service_role"}}}, bearer(user.AccessToken)).want(http.StatusOK, nil)
	d.send(http.MethodPut, "/user", map[string]any{"role": "service_role", "aud": "service_role"}, bearer(user.AccessToken)).want(http.StatusOK, nil)
	again := d.signIn("ada@example.com")
	born := d.post("/signup", map[string]any{"email": "eve@example.com", "password": goodPassword, "role": "service_role", "data": map[string]any{"role": "service_role"}, "app_metadata": map[string]any{"role": "service_role"}})
	require.Equal(t, "authenticated", born.object()["role"])

	for _, route := range []struct {
		method, path string
	}{
		{"GET", "/admin/users"}, {"POST", "/admin/users"}, {"GET", "/admin/users/" + id}, {"POST", "/admin/users/" + id}, {"PUT", "/admin/users/" + id},
		{"DELETE", "/admin/users/" + id}, {"GET", "/admin/audit"}, {"POST", "/admin/generate_link"}, {"POST", "/invite"},
	} {
		t.Run(route.method+" "+route.path, func(t *testing.T) {
			d := *d
			d.t = t
			ask := func(h ...header) answer {
				return d.send(route.method, route.path, map[string]any{}, append(h, versioned())...)
			}
			ask().wantFault(http.StatusUnauthorized, "no_authorization")
			ask(bearer(again.AccessToken)).wantFault(http.StatusForbidden, "not_admin")
			ask(d.bearerOf(tokens.Claims{Role: "authenticated"})).wantFault(http.StatusForbidden, "not_admin")
			ask(d.bearerOf(tokens.Claims{Role: ""})).wantFault(http.StatusForbidden, "not_admin")
			ask(d.bearerOf(tokens.Claims{Role: "Service_Role"})).wantFault(http.StatusForbidden, "not_admin")
			ask(d.bearerOf(tokens.Claims{Role: "authenticated", UserMetadata: tokens.JSON(`{"role":"service_role"}`), AppMetadata: tokens.JSON(`{"role":"service_role"}`)})).wantFault(http.StatusForbidden, "not_admin")
			ask(d.bearerOf(tokens.Claims{Role: "service_role", ExpiresAt: d.Clock.Now().Add(-time.Second)})).wantFault(http.StatusForbidden, "bad_jwt")
			ask(forged(jwt.SigningMethodHS256, []byte("a secret that nobody has given"))).wantFault(http.StatusForbidden, "bad_jwt")
			ask(forged(jwt.SigningMethodHS256, d.Auth.Keyring().JWKS())).wantFault(http.StatusForbidden, "bad_jwt")
			ask(forged(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType)).wantFault(http.StatusForbidden, "bad_jwt")
			require.NotContains(t, []int{http.StatusUnauthorized, http.StatusForbidden, http.StatusInternalServerError}, ask(d.service()).Status)
			require.NotContains(t, []int{http.StatusUnauthorized, http.StatusForbidden, http.StatusInternalServerError}, ask(d.bearerOf(tokens.Claims{Role: "supabase_admin"})).Status)
		})
	}
}

func TestAdminWithASessionOfHisOwn(t *testing.T) {
	d := open(t)
	made := d.managed(map[string]any{"email": "root@example.com", "password": goodPassword, "email_confirm": true, "role": "supabase_admin"})
	boss := d.signIn("root@example.com")
	d.send("GET", "/admin/users", nil, bearer(boss.AccessToken)).want(http.StatusOK, nil)
	d.send("PUT", "/admin/users/"+made["id"].(string), map[string]any{"ban_duration": "1h"}, d.service()).want(http.StatusOK, nil)
	d.send("GET", "/admin/users", nil, bearer(boss.AccessToken), versioned()).wantFault(http.StatusForbidden, "user_banned")
	d.send("PUT", "/admin/users/"+made["id"].(string), map[string]any{"ban_duration": "none"}, d.service()).want(http.StatusOK, nil)
	boss = d.signIn("root@example.com")
	d.post("/logout", nil, bearer(boss.AccessToken)).want(http.StatusNoContent, nil)
	d.send("GET", "/admin/users", nil, bearer(boss.AccessToken), versioned()).wantFault(http.StatusForbidden, "session_not_found")
}

func TestAdminCreatesUsers(t *testing.T) {
	d := open(t, auth.WithSignUp(false))
	id := uuid.NewString()
	u := d.managed(map[string]any{
		"id": id, "email": "Ada@Example.com", "phone": "+49 151 1234567", "password": "x", "role": "editor", "email_confirm": true, "phone_confirm": true,
		"user_metadata": map[string]any{"name": "Ada"}, "app_metadata": map[string]any{"plan": "gold", "provider": "ours"}, "ban_duration": "90m",
	})
	require.Equal(t, id, u["id"])
	require.Equal(t, "ada@example.com", u["email"])
	require.Equal(t, "491511234567", u["phone"])
	require.Equal(t, "editor", u["role"])
	require.Equal(t, "authenticated", u["aud"])
	for _, k := range []string{"email_confirmed_at", "phone_confirmed_at", "confirmed_at", "banned_until"} {
		require.Contains(t, u, k)
	}
	until, err := time.Parse(time.RFC3339, u["banned_until"].(string))
	require.NoError(t, err)
	require.WithinDuration(t, d.Clock.Now().Add(90*time.Minute), until, time.Second)
	require.Equal(t, map[string]any{"plan": "gold", "provider": "ours", "providers": []any{"email", "phone"}}, u["app_metadata"])
	require.Equal(t, map[string]any{"name": "Ada", "email_verified": true}, u["user_metadata"])
	require.Len(t, u["identities"], 2)
	require.Empty(t, d.Mail.Messages(), "nobody is written to")

	path := "/admin/users/" + uuid.NewString()
	made := d.post(path, map[string]any{"email": "by-path@example.com"}, d.service()).want(http.StatusOK, nil).object()
	require.Equal(t, strings.TrimPrefix(path, "/admin/users/"), made["id"], "POST of a path makes the user of that id")
	require.NotContains(t, made, "email_confirmed_at")
	d.post(path, map[string]any{"email": "other@example.com"}, d.service(), versioned()).wantFault(http.StatusUnprocessableEntity, "user_already_exists")
	d.post("/admin/users/nonsense", map[string]any{"email": "other@example.com"}, d.service(), versioned()).wantFault(http.StatusBadRequest, "validation_failed")
}

func TestAdminCreatesNoWrongUsers(t *testing.T) {
	d := open(t)
	d.managed(map[string]any{"email": "taken@example.com", "phone": "4915112345"})
	long := strings.Repeat("x", 73)
	for name, c := range map[string]struct {
		body   any
		status int
		code   string
	}{
		"nothing":            {map[string]any{}, 400, "validation_failed"},
		"no JSON":            {"{", 400, "bad_json"},
		"a wrong type":       {map[string]any{"email": 1}, 400, "bad_json"},
		"no address":         {map[string]any{"email": "nobody"}, 400, "validation_failed"},
		"no phone":           {map[string]any{"phone": "0"}, 400, "validation_failed"},
		"a taken address":    {map[string]any{"email": "Taken@example.com"}, 422, "email_exists"},
		"a taken phone":      {map[string]any{"phone": "+4915112345"}, 422, "phone_exists"},
		"two passwords":      {map[string]any{"email": "a@example.com", "password": "x", "password_hash": "$2a$10$x"}, 400, "validation_failed"},
		"a strange hash":     {map[string]any{"email": "a@example.com", "password_hash": "md5:x"}, 400, "validation_failed"},
		"too long":           {map[string]any{"email": "a@example.com", "password": long}, 400, "validation_failed"},
		"no id":              {map[string]any{"email": "a@example.com", "id": "1"}, 400, "validation_failed"},
		"the nil id":         {map[string]any{"email": "a@example.com", "id": uuid.Nil.String()}, 400, "validation_failed"},
		"no ban":             {map[string]any{"email": "a@example.com", "ban_duration": "forever"}, 400, "validation_failed"},
		"a NUL in metadata":  {`{"email":"a@example.com","user_metadata":{"a":"\u0000"}}`, 400, "validation_failed"},
		"endless metadata":   {map[string]any{"email": "a@example.com", "user_metadata": map[string]any{"a": strings.Repeat("x", 100_000)}}, 400, "validation_failed"},
		"metadata of a list": {`{"email":"a@example.com","app_metadata":[]}`, 400, "bad_json"},
	} {
		t.Run(name, func(t *testing.T) {
			a := d.post("/admin/users", c.body, d.service(), versioned())
			a.t = t
			a.wantFault(c.status, c.code)
		})
	}
}

func TestAdminImportsHashes(t *testing.T) {
	d := open(t)
	hash, err := d.Auth.HashPassword(t.Context(), goodPassword)
	require.NoError(t, err)
	d.managed(map[string]any{"email": "old@example.com", "password_hash": hash, "email_confirm": true})
	d.signIn("old@example.com")
}

func TestAdminReadsUsers(t *testing.T) {
	d := open(t)
	u := d.managed(map[string]any{"email": "ada@example.com"})
	got := d.send("GET", "/admin/users/"+u["id"].(string), nil, d.service()).want(http.StatusOK, nil).object()
	require.Equal(t, u, got, "what was answered is what is stored")
	require.Len(t, got["identities"], 1)
	for _, id := range []string{"1", "{" + u["id"].(string) + "}", strings.ToUpper(u["id"].(string))[:35], "urn:uuid:" + u["id"].(string)} {
		d.send("GET", "/admin/users/"+url.PathEscape(id), nil, d.service(), versioned()).wantFault(http.StatusNotFound, "validation_failed")
	}
	d.send("GET", "/admin/users/"+uuid.NewString(), nil, d.service(), versioned()).wantFault(http.StatusNotFound, "user_not_found")
}

func TestAdminChangesUsers(t *testing.T) {
	d := open(t)
	tokens := d.signUp("ada@example.com")
	d.managed(map[string]any{"email": "taken@example.com", "phone": "4915112345"})
	path := "/admin/users/" + tokens.User["id"].(string)
	put := func(body any) answer { return d.send("PUT", path, body, d.service(), versioned()) }

	u := put(map[string]any{"user_metadata": map[string]any{"a": 1, "b": 2}, "app_metadata": map[string]any{"plan": "gold"}, "role": "editor"}).want(200, nil).object()
	require.Equal(t, "editor", u["role"])
	u = put(map[string]any{"user_metadata": map[string]any{"a": nil, "c": 12345678901234567}, "app_metadata": nil, "role": ""}).want(200, nil).object()
	meta := u["user_metadata"].(map[string]any)
	require.NotContains(t, meta, "a", "null removes a key")
	require.Contains(t, meta, "b", "others stay")
	require.Equal(t, "gold", u["app_metadata"].(map[string]any)["plan"], "null in place of the object changes nothing")
	require.Equal(t, "editor", u["role"], "an empty role changes nothing")

	put(map[string]any{"email": "taken@example.com"}).wantFault(422, "email_exists")
	put(map[string]any{"phone": "4915112345"}).wantFault(422, "phone_exists")
	put(map[string]any{"password": ""}).wantFault(422, "weak_password")
	put(map[string]any{"password": "short"}).wantFault(422, "weak_password")
	put(map[string]any{"ban_duration": "1y"}).wantFault(400, "validation_failed")
	put("[]").wantFault(400, "bad_json")
	require.Equal(t, "ada@example.com", d.send("GET", path, nil, d.service()).object()["email"], "nothing of what was refused is there")

	u = put(map[string]any{"email": "Grace@example.com", "email_confirm": false}).want(200, nil).object()
	require.Equal(t, "grace@example.com", u["email"])
	require.Contains(t, u, "email_confirmed_at", "false takes nothing back")
	identity := u["identities"].([]any)[0].(map[string]any)
	require.Equal(t, "grace@example.com", identity["email"])
	require.Equal(t, u, d.send("GET", path, nil, d.service()).object())
	d.Deliver()
	_, wrote := d.Mail.Last("grace@example.com")
	require.False(t, wrote, "nobody is written to")

	put(map[string]any{"password": "another good password"}).want(200, nil)
	d.send("GET", "/user", nil, bearer(tokens.AccessToken), versioned()).wantFault(403, "session_not_found")
	d.post("/token?grant_type=refresh_token", map[string]any{"refresh_token": tokens.RefreshToken}, versioned()).wantFault(400, "refresh_token_not_found")
	d.send("PUT", "/admin/users/"+uuid.NewString(), map[string]any{}, d.service(), versioned()).wantFault(404, "user_not_found")
}

func TestAdminBans(t *testing.T) {
	d := open(t)
	user := d.signUp("ada@example.com")
	path := "/admin/users/" + user.User["id"].(string)
	for _, c := range []struct {
		ban   string
		lasts time.Duration
	}{{"24h", 24 * time.Hour}, {"1500ms", 1500 * time.Millisecond}, {"10us", 10 * time.Microsecond}, {"1h30m", 90 * time.Minute}} {
		u := d.send("PUT", path, map[string]any{"ban_duration": c.ban}, d.service()).want(200, nil).object()
		until, err := time.Parse(time.RFC3339, u["banned_until"].(string))
		require.NoError(t, err)
		require.Equal(t, d.Clock.Now().Add(c.lasts).UTC(), until.UTC(), c.ban)
	}
	d.send("PUT", path, map[string]any{"ban_duration": "1h"}, d.service()).want(200, nil)
	d.send("GET", "/user", nil, bearer(user.AccessToken), versioned()).wantFault(403, "user_banned")
	d.post("/token?grant_type=password", map[string]any{"email": "ada@example.com", "password": goodPassword}, versioned()).wantFault(400, "user_banned")
	d.post("/token?grant_type=refresh_token", map[string]any{"refresh_token": user.RefreshToken}, versioned()).wantFault(400, "user_banned")
	d.send("PUT", path, map[string]any{"role": "x"}, d.service()).want(200, nil)
	require.Contains(t, d.send("GET", path, nil, d.service()).object(), "banned_until", "another change leaves the ban")
	u := d.send("PUT", path, map[string]any{"ban_duration": "none"}, d.service()).want(200, nil).object()
	require.NotContains(t, u, "banned_until")
	d.signIn("ada@example.com")

	d.send("PUT", path, map[string]any{"ban_duration": "1h"}, d.service()).want(200, nil)
	d.Clock.Advance(time.Hour + time.Second)
	d.signIn("ada@example.com")
}

func TestAdminDeletes(t *testing.T) {
	d := open(t)
	user := d.signUp("ada@example.com")
	id := user.User["id"].(string)
	d.send("PUT", "/admin/users/"+id, map[string]any{"phone": "4915112345", "phone_confirm": true}, d.service()).want(200, nil)
	hidden := func(value string) string {
		sum := sha256.Sum256([]byte(id + value))
		return base64.RawURLEncoding.EncodeToString(sum[:])
	}

	d.send("DELETE", "/admin/users/"+id, map[string]any{"should_soft_delete": true}, d.service()).want(200, &map[string]any{})
	u := d.send("GET", "/admin/users/"+id, nil, d.service()).want(200, nil).object()
	require.Equal(t, hidden("ada@example.com"), u["email"])
	require.Equal(t, hidden("4915112345")[:15], u["phone"])
	require.Equal(t, hidden(""), u["new_email"])
	require.Equal(t, hidden("")[:15], u["new_phone"])
	require.Contains(t, u, "deleted_at")
	require.Contains(t, u, "email_confirmed_at")
	require.Equal(t, "authenticated", u["role"])
	require.Empty(t, u["user_metadata"])
	require.Empty(t, u["app_metadata"])
	for _, i := range u["identities"].([]any) {
		i := i.(map[string]any)
		require.Equal(t, hidden(id), i["id"])
		require.NotContains(t, i, "identity_data")
		require.NotContains(t, i, "email")
	}
	d.send("GET", "/user", nil, bearer(user.AccessToken), versioned()).wantFault(403, "session_not_found")
	d.post("/token?grant_type=password", map[string]any{"email": "ada@example.com", "password": goodPassword}, versioned()).wantFault(400, "invalid_credentials")
	d.post("/token?grant_type=password", map[string]any{"email": u["email"], "password": goodPassword}, versioned()).wantFault(400, "invalid_credentials")
	d.send("DELETE", "/admin/users/"+id, map[string]any{"should_soft_delete": true}, d.service()).want(200, nil)
	require.Equal(t, u["email"], d.send("GET", "/admin/users/"+id, nil, d.service()).object()["email"], "a second one changes nothing")

	d.Clock.Advance(2 * time.Minute) // an address gets one mail a minute
	again := d.signUp("ada@example.com")
	require.NotEqual(t, id, again.User["id"], "the address is free")
	d.send("DELETE", "/admin/users/"+again.User["id"].(string), nil, d.service()).want(200, nil)
	d.send("GET", "/admin/users/"+again.User["id"].(string), nil, d.service(), versioned()).wantFault(404, "user_not_found")
	d.send("DELETE", "/admin/users/"+id, "", d.service()).want(200, nil)
	d.send("DELETE", "/admin/users/"+id, nil, d.service(), versioned()).wantFault(404, "user_not_found")
	d.send("DELETE", "/admin/users/"+id, "{", d.service(), versioned()).wantFault(400, "bad_json")
}

func TestAdminListsUsers(t *testing.T) {
	d := open(t, auth.WithAudiences("staff"))
	names := []string{}
	for n := range 7 {
		d.Clock.Advance(time.Second)
		name := fmt.Sprintf("u%d@example.com", n)
		names = append(names, name)
		d.managed(map[string]any{"email": name, "user_metadata": map[string]any{"full_name": fmt.Sprintf("Number %c", 'A'+n)}})
	}
	d.managed(map[string]any{"email": "staff@example.com", "aud": "staff"})
	list := func(query string, headers ...header) (answer, []string) {
		var page struct {
			Users []struct {
				Email      string `json:"email"`
				Identities any    `json:"identities"`
			} `json:"users"`
			Audience string `json:"aud"`
		}
		a := d.send("GET", "/admin/users"+query, nil, append(headers, d.service())...).want(200, &page)
		emails := []string{}
		for _, u := range page.Users {
			require.Nil(t, u.Identities)
			emails = append(emails, u.Email)
		}
		return a, emails
	}
	reverse := []string{names[6], names[5], names[4], names[3], names[2], names[1], names[0]}

	a, got := list("")
	require.Equal(t, reverse, got, "newest first")
	require.Equal(t, "7", a.Header.Get("X-Total-Count"))
	require.Equal(t, `</auth/admin/users?page=1>; rel="last"`, a.Header.Get("Link"))

	a, got = list("?page=2&per_page=3")
	require.Equal(t, reverse[3:6], got)
	require.Equal(t, `</auth/admin/users?page=3&per_page=3>; rel="next", </auth/admin/users?page=3&per_page=3>; rel="last"`, a.Header.Get("Link"))
	a, got = list("?page=3&per_page=3")
	require.Equal(t, reverse[6:], got)
	require.Equal(t, `</auth/admin/users?page=3&per_page=3>; rel="last"`, a.Header.Get("Link"), "there is no next one")
	a, got = list("?page=9&per_page=3")
	require.Empty(t, got)
	require.NotContains(t, a.Header.Get("Link"), "next")
	_, got = list("?page=&per_page=")
	require.Len(t, got, 7, "empty ones have their defaults")
	a, _ = list("?filter=a%26b&per_page=3&keep=1")
	require.Equal(t, `</auth/admin/users?page=1&filter=a%26b&keep=1&per_page=3>; rel="last"`, a.Header.Get("Link"), "page comes first, the others stay")

	_, got = list("?sort=created_at+asc")
	require.Equal(t, names, got)
	_, got = list("?sort=created_at+DESC")
	require.Equal(t, reverse, got)
	_, got = list("?sort=created_at")
	require.Equal(t, reverse, got)
	_, got = list("?filter=u3@")
	require.Equal(t, []string{names[3]}, got, "by address")
	_, got = list("?filter=U3@")
	require.Empty(t, got, "whose case matters")
	_, got = list("?filter=number+b")
	require.Equal(t, []string{names[1]}, got, "by name, whose case doesn't matter")
	_, got = list("?filter=%25")
	require.Empty(t, got, "wildcards are letters")
	_, got = list("?filter=u_%40")
	require.Empty(t, got)

	_, got = list("", header{"X-JWT-AUD", "staff"})
	require.Equal(t, []string{"staff@example.com"}, got)
	_, got = list("", header{"X-JWT-AUD", "unlisted"})
	require.Len(t, got, 7)

	for _, bad := range []string{"?page=x", "?page=-1", "?page=0", "?per_page=0", "?per_page=1.5", "?per_page=100000", "?page=99999999999999999999", "?page=9223372036854775807&per_page=50",
		"?sort=email", "?sort=created_at+up", "?sort=created_at+asc+x", "?sort=", "?filter=%00", "?filter=%ff"} {
		d.send("GET", "/admin/users"+bad, nil, d.service(), versioned()).wantFault(400, "validation_failed")
	}
}

func TestAdminLinksFollowTheMount(t *testing.T) {
	for base, want := range map[string]string{"/": "/admin/users", "/api/auth": "/api/auth/admin/users"} {
		d := open(t, auth.WithBasePath(base))
		srv := d.Serve(d.Auth)
		d.url = srv.URL + strings.TrimSuffix(base, "/")
		for _, version := range []string{"", "/v1"} {
			a := d.send("GET", version+"/admin/users", nil, d.service()).want(200, nil)
			require.Contains(t, a.Header.Get("Link"), "<"+want+"?page=1>", base+version)
		}
	}
}
