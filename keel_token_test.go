package auth_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/bcrypt"

	"github.com/truekeel/auth"
	"github.com/truekeel/auth/limit"
)

// The literal errors, which clients compare.
var (
	keelT1 = keelError{405, "invalid_request", "the token endpoint only accepts POST"}
	keelT2 = keelError{400, "invalid_request", "the request body must either be an encoded form (Content-Type: application/x-www-form-urlencoded) or JSON (Content-Type: application/json)"}
	keelT3 = keelError{400, "invalid_request", "request payload is malformed"}
	keelT4 = keelError{400, "invalid_request", "the grant_type field is required with either 'refresh_token', 'token_exchange', 'authorization_code' or 'password'"}
	keelT5 = keelError{400, "invalid_request", "the create_if_not_exists field is invalid and must be either 'true' or 'false'"}
	keelT6 = keelError{400, "unsupported_grant_type", "the only supported grants are 'refresh_token', 'token_exchange', 'authorization_code' or 'password'"}
	keelR1 = keelError{400, "invalid_request", "the refresh token in the 'refresh_token' field is required"}
	keelR2 = keelError{401, "invalid_client", "possible causes may be that the refresh token has been revoked or has expired"}
	keelP1 = keelError{400, "invalid_request", "the identity's email in the 'username' field is required"}
	keelP2 = keelError{400, "invalid_request", "invalid email address"}
	keelP3 = keelError{400, "invalid_request", "the identity's password in the 'password' field is required"}
	keelP4 = keelError{401, "invalid_client", "the identity does not exist or the credentials are incorrect"}
	keelC1 = keelError{400, "invalid_request", "the authorization code in the 'code' field is required"}
	keelC2 = keelError{401, "invalid_client", "possible causes may be that the auth code has been consumed or has expired"}
	keelX1 = keelError{400, "invalid_request", "the ID token must be provided in the 'subject_token' field"}
	keelX2 = keelError{400, "invalid_request", "the only supported subject_token_type is 'id_token'"}
	keelX3 = keelError{400, "invalid_request", "the only supported requested_token_type is 'access_token'"}
	keelX4 = keelError{401, "invalid_client", "access denied"}
	keelX5 = keelError{400, "invalid_request", "insufficient claims on id_token"}
	keelX6 = keelError{401, "invalid_client", "the identity does not exist"}
	keelV1 = keelError{405, "invalid_request", "the revoke endpoint only accepts POST"}
	keelV4 = keelError{400, "invalid_request", "the refresh token must be provided in the token field"}
)

// exchange are the fields of an exchange of an id token.
func exchangeOf(token string, more ...fieldsOf) fieldsOf {
	f := fieldsOf{
		"grant_type": "token_exchange", "subject_token": token,
		"subject_token_type": "id_token", "requested_token_type": "access_token",
	}
	for _, m := range more {
		for name, v := range m {
			f[name] = v
			if v == nil {
				delete(f, name)
			}
		}
	}
	return f
}

// TestKeelTokenRefusals are the requests that are refused whoever asks.
func TestKeelTokenRefusals(t *testing.T) {
	d := openKeel(t, auth.Keel{})
	tests := []struct {
		name   string
		fields fieldsOf
		want   keelError
	}{
		{"no grant", fieldsOf{"subject_token": "x", "subject_token_type": "id_token", "requested_token_type": "access_token"}, keelT4},
		{"no grant, one field", fieldsOf{"subject_token": "x"}, keelT4},
		{"nothing", fieldsOf{}, keelT4},
		{"empty grant", fieldsOf{"grant_type": ""}, keelT4},
		{"wrong grant", fieldsOf{"grant_type": "unknown", "subject_token": "x"}, keelT6},
		{"GoTrue's grant", fieldsOf{"grant_type": "pkce", "auth_code": "x"}, keelT6},
		{"no subject token", fieldsOf{"grant_type": "token_exchange"}, keelX1},
		{"empty subject token", exchangeOf(""), keelX1},
		{"wrong subject type", exchangeOf("x", fieldsOf{"subject_token_type": "access_token"}), keelX2},
		{"subject type by URN", exchangeOf("x", fieldsOf{"subject_token_type": "urn:ietf:params:oauth:token-type:id_token"}), keelX2},
		{"empty subject type", exchangeOf("x", fieldsOf{"subject_token_type": ""}), keelX2},
		{"wrong requested type", exchangeOf("x", fieldsOf{"requested_token_type": "id_token"}), keelX3},
		{"empty requested type", exchangeOf("x", fieldsOf{"requested_token_type": ""}), keelX3},
		{"create, exchange", exchangeOf("x", fieldsOf{"create_if_not_exists": "invalid"}), keelT5},
		{"no provider", exchangeOf("this is not a jwt token"), keelX4},
		{"no provider, by URN", exchangeOf("x", fieldsOf{"requested_token_type": "urn:ietf:params:oauth:token-type:access_token"}), keelX4},
		{"no refresh token", fieldsOf{"grant_type": "refresh_token"}, keelR1},
		{"empty refresh token", fieldsOf{"grant_type": "refresh_token", "refresh_token": ""}, keelR1},
		{"unknown refresh token", fieldsOf{"grant_type": "refresh_token", "refresh_token": strings.Repeat("a", 64)}, keelR2},
		{"odd refresh token", fieldsOf{"grant_type": "refresh_token", "refresh_token": "whoops"}, keelR2},
		{"no code", fieldsOf{"grant_type": "authorization_code"}, keelC1},
		{"empty code", fieldsOf{"grant_type": "authorization_code", "code": ""}, keelC1},
		{"invalid code", fieldsOf{"grant_type": "authorization_code", "code": "whoops"}, keelC2},
		{"no username", passwordOf("", fieldsOf{"username": nil}), keelP1},
		{"empty username", passwordOf(""), keelP1},
		{"invalid username", passwordOf("user"), keelP2},
		{"display name", passwordOf("Ada <ada@example.com>"), keelP2},
		{"no password", passwordOf("user@example.com", fieldsOf{"password": nil}), keelP3},
		{"empty password", passwordOf("user@example.com", fieldsOf{"password": ""}), keelP3},
		{"create before password", passwordOf("user@example.com", fieldsOf{"password": nil, "create_if_not_exists": "invalid"}), keelT5},
		{"create before grant", fieldsOf{"grant_type": "unknown", "create_if_not_exists": ""}, keelT5},
		{"create, refresh", fieldsOf{"grant_type": "refresh_token", "create_if_not_exists": "yes"}, keelT5},
	}
	eachEncoding(t, func(t *testing.T, send func(*door, string, fieldsOf) answer) {
		for _, tt := range tests {
			t.Run(tt.name, func(t *testing.T) { send(d, "/token", tt.fields).wantKeel(tt.want) })
		}
	})
	require.Zero(t, d.users(), "a refused request made an account")
}

// TestKeelBodies are bodies that aren't read, and headers by which others are.
func TestKeelBodies(t *testing.T) {
	d := openKeel(t, auth.Keel{})
	const good = `{"grant_type":"password","username":"user@example.com","password":"myP@ssword1234!"}`
	tests := []struct {
		name, method, query, contentType, body string
		want                                   *keelError // nil: granted
	}{
		{"GET", "GET", "?grant_type=token_exchange&subject_token=mock_token", formBody, "", &keelT1},
		{"PUT", "PUT", "", jsonBody, good, &keelT1},
		{"text", "POST", "?grant_type=token_exchange&subject_token=x", "application/text", "", &keelT2},
		{"no type", "POST", "", "", good, &keelT2},
		{"broken type", "POST", "", ";;", good, &keelT2},
		{"json", "POST", "", jsonBody, good, nil},
		{"json, charset", "POST", "", "application/json; charset=utf-8", good, nil},
		{"json, capitals", "POST", "", "Application/JSON", good, nil},
		{"json among others", "POST", "", "text/plain, application/json", good, nil},
		{"form wins", "POST", "", "application/json, application/x-www-form-urlencoded", good, &keelT4},
		{"json, query ignored", "POST", "?username=other", jsonBody, good, nil},
		{"json, empty", "POST", "", jsonBody, "", &keelT4},
		{"json, null", "POST", "", jsonBody, "null", &keelT3},
		{"json, array", "POST", "", jsonBody, "[]", &keelT3},
		{"json, text", "POST", "", jsonBody, `"x"`, &keelT3},
		{"json, broken", "POST", "", jsonBody, good[:20], &keelT3},
		{"json, more", "POST", "", jsonBody, good + good, &keelT3},
		{"json, NUL", "POST", "", jsonBody, `{"grant_type":"pass\u0000word"}`, &keelT3},
		{"json, no text", "POST", "", jsonBody, `{"grant_type":1}`, &keelT4},
		{"json, null grant", "POST", "", jsonBody, `{"grant_type":null}`, &keelT4},
		{"json, username no text", "POST", "", jsonBody, `{"grant_type":"password","username":["a@example.com"]}`, &keelP1},
		{"json, password no text", "POST", "", jsonBody, `{"grant_type":"password","username":"a@example.com","password":1234}`, &keelP3},
		{"json, create true", "POST", "", jsonBody, `{"create_if_not_exists":true,` + good[1:], nil},
		{"json, create by text", "POST", "", jsonBody, `{"create_if_not_exists":"T",` + good[1:], nil},
		{"json, create a number", "POST", "", jsonBody, `{"create_if_not_exists":1,` + good[1:], &keelT5},
		{"json, create null", "POST", "", jsonBody, `{"create_if_not_exists":null,` + good[1:], &keelT5},
		{"json, create an object", "POST", "", jsonBody, `{"create_if_not_exists":{},` + good[1:], &keelT5},
		{"json, unknown member", "POST", "", jsonBody, `{"x":{"y":[1]},` + good[1:], nil},
		{"json, type no text", "POST", "", jsonBody, `{"grant_type":"token_exchange","subject_token":"x","subject_token_type":1}`, &keelX2},
		{"json, requested null", "POST", "", jsonBody, `{"grant_type":"token_exchange","subject_token":"x","requested_token_type":null}`, &keelX3},
		{"form, bad escape", "POST", "", formBody, "grant_type=%zz", &keelT3},
		{"form, semicolon", "POST", "", formBody, "grant_type=password;username=x", &keelT3},
		{"form, NUL", "POST", "", formBody, "grant_type=%00", &keelT3},
		{"form, no UTF-8", "POST", "", formBody, "grant_type=%ff", &keelT3},
		{"form, bad query", "POST", "?a=%zz", formBody, "grant_type=password", &keelT3},
		{"form, body first", "POST", "?grant_type=unknown", formBody, "grant_type=refresh_token", &keelR1},
		{"form, first of two", "POST", "", formBody, "grant_type=refresh_token&grant_type=unknown", &keelR1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var headers []header
			if tt.contentType != "" {
				headers = append(headers, header{"Content-Type", tt.contentType})
			}
			a := d.send(tt.method, "/token"+tt.query, tt.body, headers...)
			if tt.want == nil {
				a.want(http.StatusOK, nil)
				return
			}
			a.wantKeel(*tt.want)
		})
	}
	t.Run("too large", func(t *testing.T) {
		a := d.send("POST", "/token", `{"x":"`+strings.Repeat("x", 1<<20)+`"}`, header{"Content-Type", jsonBody})
		require.Equal(t, http.StatusRequestEntityTooLarge, a.Status)
		require.Equal(t, "invalid_request", a.object()["error"])
	})
}

// TestKeelQueryCredentials: fields in the query are read only if the host wants it.
func TestKeelQueryCredentials(t *testing.T) {
	d := open(t, auth.WithAutoConfirm(true))
	encodings()[0].send(d, "/token", passwordOf("user@example.com")).wantKeel(keelT4)
	encodings()[0].send(d, "/revoke", fieldsOf{"token": "x"}).wantKeel(keelV4)
	require.Zero(t, d.users())
}

func TestKeelPassword(t *testing.T) {
	eachEncoding(t, func(t *testing.T, send func(*door, string, fieldsOf) answer) {
		tests := []struct {
			name string
			more fieldsOf
		}{{"default", nil}, {"create", fieldsOf{"create_if_not_exists": "true"}}, {"create by 1", fieldsOf{"create_if_not_exists": "1"}}}
		for _, tt := range tests {
			t.Run("created, "+tt.name, func(t *testing.T) {
				d := openKeel(t, auth.Keel{})
				g := send(d, "/token", passwordOf("user@example.com", tt.more)).granted(true)
				require.Equal(t, 86400, g.ExpiresIn)
				u := d.onlyUser()
				c := claims(t, g.AccessToken)
				require.Equal(t, keelIssuer, c["iss"])
				require.Equal(t, u.ID.String(), c["sub"])
				require.Equal(t, "user@example.com", u.Email)
				require.EqualValues(t, 86400, c["exp"].(float64)-c["iat"].(float64))
			})
		}
		t.Run("not created", func(t *testing.T) {
			d := openKeel(t, auth.Keel{})
			send(d, "/token", passwordOf("user@example.com", fieldsOf{"create_if_not_exists": "false"})).wantKeel(keelP4)
			require.Zero(t, d.users())
		})
		t.Run("again", func(t *testing.T) {
			d := openKeel(t, auth.Keel{})
			first := send(d, "/token", passwordOf("user@example.com")).granted(true)
			second := send(d, "/token", passwordOf("user@example.com")).granted(false)
			third := send(d, "/token", passwordOf("USER@example.com", fieldsOf{"create_if_not_exists": "false"})).granted(false)
			for _, g := range []keelGrant{second, third} {
				require.Equal(t, claims(t, first.AccessToken)["sub"], claims(t, g.AccessToken)["sub"])
				require.Equal(t, keelIssuer, claims(t, g.AccessToken)["iss"])
				require.NotEqual(t, first.RefreshToken, g.RefreshToken)
			}
			d.onlyUser()
			send(d, "/token", passwordOf("user@example.com", fieldsOf{"password": "whoops!"})).wantKeel(keelP4)
			send(d, "/token", passwordOf("user@example.com", fieldsOf{"password": "whoops!", "create_if_not_exists": "false"})).wantKeel(keelP4)
			d.onlyUser()
		})
	})
}

// TestKeelPolicy: the host's policy holds in this dialect too.
func TestKeelPolicy(t *testing.T) {
	t.Run("no sign-up", func(t *testing.T) {
		d := openKeel(t, auth.Keel{}, auth.WithSignUp(false))
		d.json("/token", passwordOf("user@example.com")).wantKeel(keelP4)
		require.Zero(t, d.users())
	})
	t.Run("password policy", func(t *testing.T) {
		d := openKeel(t, auth.Keel{}, auth.WithPasswordLength(10))
		d.json("/token", passwordOf("user@example.com", fieldsOf{"password": "nine char"})).
			wantKeel(keelError{400, "invalid_request", "Password should be at least 10 characters."})
		require.Zero(t, d.users())
		long := d.json("/token", passwordOf("user@example.com", fieldsOf{"password": strings.Repeat("long pass ", 8)}))
		require.Equal(t, http.StatusBadRequest, long.Status)
		require.Equal(t, "invalid_request", long.object()["error"])
	})
	t.Run("no email", func(t *testing.T) {
		d := openKeel(t, auth.Keel{}, auth.WithEmailSignIn(false))
		a := d.json("/token", passwordOf("user@example.com"))
		require.Equal(t, http.StatusBadRequest, a.Status)
		require.Equal(t, "invalid_request", a.object()["error"])
	})
	t.Run("ban", func(t *testing.T) {
		d := openKeel(t, auth.Keel{})
		g := d.json("/token", passwordOf("user@example.com")).granted(true)
		require.NoError(t, d.Auth.Users().Ban(t.Context(), d.onlyUser().ID, d.Clock.Now().Add(time.Hour)))
		d.json("/token", passwordOf("user@example.com")).wantKeel(keelP4)
		d.json("/token", fieldsOf{"grant_type": "refresh_token", "refresh_token": g.RefreshToken}).wantKeel(keelR2)
		d.Clock.Advance(2 * time.Hour)
		d.json("/token", fieldsOf{"grant_type": "refresh_token", "refresh_token": g.RefreshToken}).granted(false)
	})
	t.Run("no password", func(t *testing.T) {
		d := openKeel(t, auth.Keel{})
		d.User("user@example.com")
		d.json("/token", passwordOf("user@example.com")).wantKeel(keelP4)
		d.onlyUser()
	})
	t.Run("limits", func(t *testing.T) {
		for name, c := range map[string]struct {
			method, path string
			fields       fieldsOf
		}{
			"refresh":   {"POST", "/token", fieldsOf{"grant_type": "refresh_token", "refresh_token": "x"}},
			"code":      {"POST", "/token", fieldsOf{"grant_type": "authorization_code", "code": "x"}},
			"exchange":  {"POST", "/token", exchangeOf("x")},
			"sign-in":   {"POST", "/token", passwordOf("user@example.com", fieldsOf{"create_if_not_exists": false})},
			"sign-up":   {"POST", "/token", passwordOf("user@example.com", fieldsOf{"password": "short"})},
			"revoke":    {"POST", "/revoke", fieldsOf{"token": "x"}},
			"authorize": {"GET", "/authorize/acme", nil},
		} {
			two := limit.Window(2, time.Hour)
			d := openKeel(t, auth.Keel{RedirectURL: "https://app.example.com/in"}, auth.WithProvider(newIdP("acme")),
				auth.WithLimits(auth.Limits{Token: two, OTP: two}), auth.WithClientIPHeader("X-Ip"))
			ask := func(ip string) answer {
				return d.send(c.method, c.path, c.fields, header{"Content-Type", jsonBody}, header{"X-Ip", ip})
			}
			for range 2 {
				require.NotEqual(t, http.StatusTooManyRequests, ask("192.0.2.1").Status, name)
			}
			a := ask("192.0.2.1")
			require.Equal(t, http.StatusTooManyRequests, a.Status, name)
			require.Equal(t, "temporarily_unavailable", a.object()["error"])
			require.NotEmpty(t, a.Header.Get("Retry-After"))
			require.NotEqual(t, http.StatusTooManyRequests, ask("192.0.2.2").Status, name)
		}
	})
}

// TestKeelConfirmation: where addresses have to be proved, an account is made and gets
// its mail, and the answer is that to any wrong password until it is proved.
func TestKeelConfirmation(t *testing.T) {
	d := open(t, auth.WithKeel(auth.Keel{}), auth.WithMailFrequency(-1))
	d.json("/token", passwordOf("user@example.com")).wantKeel(keelP4)
	u := d.onlyUser()
	require.True(t, u.EmailConfirmedAt.IsZero())
	code := d.LastMail("user@example.com").Code()

	d.json("/token", passwordOf("user@example.com", fieldsOf{"create_if_not_exists": false})).wantKeel(keelP4)
	d.Deliver()
	require.Len(t, d.Mail.Messages(), 1, "a sign-in sends no mail")

	d.post("/verify", map[string]any{"type": "signup", "email": "user@example.com", "token": code}).want(http.StatusOK, nil)
	d.json("/token", passwordOf("user@example.com")).granted(false)

	d.json("/token", passwordOf("user@example.com", fieldsOf{"password": "another wrong one"})).wantKeel(keelP4)
	d.Deliver()
	require.Len(t, d.Mail.Messages(), 1, "a wrong password sends no mail")
	d.onlyUser()
}

// TestKeelConfirmationAgain: who signs up again before he has proved his address gets
// another mail.
func TestKeelConfirmationAgain(t *testing.T) {
	d := open(t, auth.WithMailFrequency(-1))
	for range 2 {
		d.json("/token", passwordOf("user@example.com")).wantKeel(keelP4)
	}
	d.Deliver()
	require.Len(t, d.Mail.Messages(), 2)
	d.onlyUser()
}

// TestKeelConfirmationInTurn: of the sign-ups of an address that nobody has proved, the
// one whose mail is confirmed counts, whichever dialect they came in.
func TestKeelConfirmationInTurn(t *testing.T) {
	const email = "user@example.com"
	d := open(t, auth.WithMailFrequency(-1))
	confirm := func() {
		d.post("/verify", map[string]any{"type": "signup", "email": email, "token": d.LastMail(email).Code()}).want(http.StatusOK, nil)
	}
	d.post("/signup", map[string]any{"email": email, "password": "somebody else's", "data": map[string]any{"name": "Eve"}}).want(http.StatusOK, nil)
	d.json("/token", passwordOf(email)).wantKeel(keelP4)
	confirm()
	d.json("/token", passwordOf(email, fieldsOf{"password": "somebody else's"})).wantKeel(keelP4)
	d.json("/token", passwordOf(email)).granted(false)
	require.Empty(t, d.onlyUser().UserMetadata.String("name"))

	// Who repeats his own sign-up keeps what he said of himself.
	const other = "other@example.com"
	d.post("/signup", map[string]any{"email": other, "password": keelPassword, "data": map[string]any{"name": "Ada"}}).want(http.StatusOK, nil)
	d.json("/token", passwordOf(other)).wantKeel(keelP4)
	d.post("/verify", map[string]any{"type": "signup", "email": other, "token": d.LastMail(other).Code()}).want(http.StatusOK, nil)
	u, err := d.Auth.Users().FindByEmail(t.Context(), other)
	require.NoError(t, err)
	require.Equal(t, "Ada", u.UserMetadata.String("name"))
}

// TestKeelUnknownAddress: with confirmation, an unknown address and a wrong password take
// the same hashes, and the same limits.
func TestKeelUnknownAddress(t *testing.T) {
	d := open(t)
	d.signUp("known@example.com")
	cost := func(email string, create bool) uint64 {
		before := d.Auth.Hashes()
		d.json("/token", passwordOf(email, fieldsOf{"create_if_not_exists": create})).wantKeel(keelP4)
		return d.Auth.Hashes() - before
	}
	require.Equal(t, cost("known@example.com", true), cost("unknown@example.com", true))
	require.Equal(t, cost("known@example.com", false), cost("other@example.com", false))
	weak := fieldsOf{"password": "short"}
	require.Equal(t,
		string(d.json("/token", passwordOf("known@example.com", weak)).Body),
		string(d.json("/token", passwordOf("third@example.com", weak)).Body), "the password's policy tells nothing of the address")
}

func TestKeelUnconfirmedMayEnter(t *testing.T) {
	d := open(t, auth.WithUnconfirmedSignIn(true))
	d.json("/token", passwordOf("user@example.com")).granted(true)
	d.json("/token", passwordOf("user@example.com")).granted(false)
}

func TestKeelRefresh(t *testing.T) {
	eachEncoding(t, func(t *testing.T, send func(*door, string, fieldsOf) answer) {
		refresh := func(d *door, token string) answer {
			return send(d, "/token", fieldsOf{"grant_type": "refresh_token", "refresh_token": token})
		}
		t.Run("rotation", func(t *testing.T) {
			d := openKeel(t, auth.Keel{})
			first := send(d, "/token", passwordOf("user@example.com")).granted(true)
			d.Clock.Advance(time.Second)
			second := refresh(d, first.RefreshToken).granted(false)
			require.NotEqual(t, first.RefreshToken, second.RefreshToken)
			require.NotEqual(t, first.AccessToken, second.AccessToken)
			a, b := claims(t, first.AccessToken), claims(t, second.AccessToken)
			require.Equal(t, a["sub"], b["sub"])
			require.Equal(t, keelIssuer, b["iss"])
			refresh(d, first.RefreshToken).wantKeel(keelR2)
			refresh(d, second.RefreshToken).granted(false)
		})
		t.Run("no rotation", func(t *testing.T) {
			d := openKeel(t, auth.Keel{KeepRefreshToken: true})
			first := send(d, "/token", passwordOf("user@example.com")).granted(true)
			for range 3 {
				d.Clock.Advance(time.Second)
				next := refresh(d, first.RefreshToken).granted(false)
				require.Equal(t, first.RefreshToken, next.RefreshToken)
				require.NotEqual(t, first.AccessToken, next.AccessToken)
			}
			refresh(d, first.RefreshToken).granted(false) // at the same instant
		})
		t.Run("fixed end", func(t *testing.T) {
			d := openKeel(t, auth.Keel{AccessTokenLifetime: 61 * time.Second, RefreshTokenLifetime: 4 * time.Second})
			g := send(d, "/token", passwordOf("user@example.com")).granted(true)
			require.Equal(t, 61, g.ExpiresIn)
			for range 4 {
				d.Clock.Advance(time.Second)
				g = refresh(d, g.RefreshToken).granted(false)
			}
			d.Clock.Advance(time.Second)
			refresh(d, g.RefreshToken).wantKeel(keelR2)
		})
	})
}

func TestKeelDefaults(t *testing.T) {
	t.Run("given", func(t *testing.T) {
		d := openKeel(t, auth.Keel{})
		g := d.json("/token", passwordOf("user@example.com")).granted(true)
		require.Equal(t, 86400, g.ExpiresIn)
		d.Clock.Advance(90 * day)
		g = d.json("/token", fieldsOf{"grant_type": "refresh_token", "refresh_token": g.RefreshToken}).granted(false)
		d.Clock.Advance(time.Second)
		d.json("/token", fieldsOf{"grant_type": "refresh_token", "refresh_token": g.RefreshToken}).wantKeel(keelR2)
	})
	t.Run("not given", func(t *testing.T) {
		d := open(t, auth.WithAutoConfirm(true), auth.WithAccessTokenLifetime(5*time.Minute))
		g := d.json("/token", passwordOf("user@example.com")).granted(true)
		require.Equal(t, 300, g.ExpiresIn)
	})
	t.Run("session limits", func(t *testing.T) {
		d := openKeel(t, auth.Keel{}, auth.WithSessionLimits(auth.SessionLimits{Timebox: time.Hour}))
		g := d.json("/token", passwordOf("user@example.com")).granted(true)
		d.Clock.Advance(time.Hour + time.Second)
		d.json("/token", fieldsOf{"grant_type": "refresh_token", "refresh_token": g.RefreshToken}).wantKeel(keelR2)
	})
}

func TestKeelRevoke(t *testing.T) {
	eachEncoding(t, func(t *testing.T, send func(*door, string, fieldsOf) answer) {
		d := openKeel(t, auth.Keel{})
		ok := func(a answer) {
			t.Helper()
			require.Equal(t, http.StatusOK, a.Status)
			require.Equal(t, "null", string(a.Body))
			require.Equal(t, jsonBody, a.Header.Get("Content-Type"))
		}
		g := send(d, "/token", passwordOf("user@example.com")).granted(true)
		sibling := send(d, "/token", passwordOf("user@example.com")).granted(false)
		for range 2 {
			ok(send(d, "/revoke", fieldsOf{"token": g.RefreshToken, "token_type_hint": "refresh_token"}))
		}
		send(d, "/token", fieldsOf{"grant_type": "refresh_token", "refresh_token": g.RefreshToken}).wantKeel(keelR2)
		send(d, "/token", fieldsOf{"grant_type": "refresh_token", "refresh_token": sibling.RefreshToken}).granted(false)
		ok(send(d, "/revoke", fieldsOf{"token": "mock_token"}))
		send(d, "/revoke", fieldsOf{"token": ""}).wantKeel(keelV4)
		send(d, "/revoke", fieldsOf{"mock_token": ""}).wantKeel(keelV4)
		send(d, "/revoke", fieldsOf{}).wantKeel(keelV4)
	})
	d := openKeel(t, auth.Keel{})
	d.send("GET", "/revoke?token=mock_token", nil, header{"Content-Type", formBody}).wantKeel(keelV1)
	d.send("POST", "/revoke?token=x", nil).wantKeel(keelT2)
	d.send("POST", "/revoke", "null", header{"Content-Type", jsonBody}).wantKeel(keelT3)
}

func TestKeelRevokeIsAudited(t *testing.T) {
	w := openTown(t, auth.WithAutoConfirm(true))
	g := w.json("/token", passwordOf("user@example.com")).granted(true)
	for range 2 {
		w.json("/revoke", fieldsOf{"token": g.RefreshToken}).want(http.StatusOK, nil)
	}
	entries := w.audited()
	require.Equal(t, "token_revoked", entries[len(entries)-1])
	require.NotEqual(t, "token_revoked", entries[len(entries)-2], "what is revoked already isn't revoked again")
}

// TestKeelCreateRace: of fifty sign-ups of one address at once one makes the identity,
// and all get in.
func TestKeelCreateRace(t *testing.T) {
	d := openKeel(t, auth.Keel{})
	answers := make([]answer, 50)
	var wg sync.WaitGroup
	for i := range answers {
		wg.Go(func() { answers[i] = d.json("/token", passwordOf("user@example.com")) })
	}
	wg.Wait()
	created := 0
	for _, a := range answers {
		var g keelGrant
		a.want(http.StatusOK, &g)
		if *g.Created {
			created++
		}
	}
	require.Equal(t, 1, created)
	d.onlyUser()
}

// TestKeelRefreshRace: of fifty refreshes of one token at once one gets the next.
func TestKeelRefreshRace(t *testing.T) {
	d := openKeel(t, auth.Keel{})
	g := d.json("/token", passwordOf("user@example.com")).granted(true)
	won := race(50, func() answer {
		return d.json("/token", fieldsOf{"grant_type": "refresh_token", "refresh_token": g.RefreshToken})
	})
	require.Equal(t, map[int]int{200: 1, 401: 49}, won)
}

// race calls f in n goroutines at once and counts the answers by status.
func race(n int, f func() answer) map[int]int {
	answers := make([]answer, n)
	var wg sync.WaitGroup
	for i := range answers {
		wg.Go(func() { answers[i] = f() })
	}
	wg.Wait()
	count := map[int]int{}
	for _, a := range answers {
		count[a.Status]++
	}
	return count
}

// TestKeelHooks: the hooks see every request that has passed the common checks.
func TestKeelHooks(t *testing.T) {
	var order []string
	var fail string
	k := auth.Keel{
		AfterIdentityCreated: func(_ context.Context, u auth.Account, r *http.Request) error {
			order = append(order, "created "+u.Email+r.Header.Get("X-Test"))
			return failing(fail == "created")
		},
		AfterAuthentication: func(_ context.Context, u *auth.Account, _ *http.Request) error {
			if u == nil {
				order = append(order, "nobody")
			} else {
				order = append(order, "authenticated "+u.Email)
			}
			return failing(fail == "authenticated")
		},
	}
	d := openKeel(t, k)
	seen := func(want ...string) {
		t.Helper()
		require.Equal(t, want, order)
		order = nil
	}
	g := d.json("/token", passwordOf("user@example.com")).granted(true)
	seen("created user@example.com", "authenticated user@example.com")
	d.json("/token", passwordOf("user@example.com", fieldsOf{"password": "wrong"})).wantKeel(keelP4)
	seen("nobody")
	d.json("/token", passwordOf("user@example.com")).granted(false)
	seen("authenticated user@example.com")
	d.json("/token", fieldsOf{"grant_type": "unknown"}).wantKeel(keelT6)
	d.json("/token", passwordOf("")).wantKeel(keelP1)
	seen("nobody", "nobody")
	d.json("/token", fieldsOf{"grant_type": "refresh_token", "refresh_token": g.RefreshToken}).granted(false)
	d.json("/token", fieldsOf{"grant_type": "password", "create_if_not_exists": "x"}).wantKeel(keelT5)
	d.json("/token", fieldsOf{}).wantKeel(keelT4)
	require.Empty(t, order)

	for i, f := range []string{"created", "authenticated"} {
		fail = f
		a := d.json("/token", passwordOf(string(rune('a'+i))+"@example.com"))
		require.Equal(t, http.StatusInternalServerError, a.Status)
		require.Equal(t, "null", string(a.Body))
		require.Equal(t, jsonBody, a.Header.Get("Content-Type"))
	}
	require.Equal(t, 3, d.users(), "what was stored stays")
}

func failing(yes bool) error {
	if yes {
		return errors.New("the hook says no")
	}
	return nil
}

func TestKeelHookPanics(t *testing.T) {
	d := openKeel(t, auth.Keel{AfterAuthentication: func(context.Context, *auth.Account, *http.Request) error { panic("boo") }})
	a := d.json("/token", passwordOf("user@example.com"))
	require.Equal(t, http.StatusInternalServerError, a.Status)
	require.Equal(t, "null", string(a.Body))
}

// TestKeelDeletedUser: nothing of a deleted account is good for anything.
func TestKeelDeletedUser(t *testing.T) {
	d := openKeel(t, auth.Keel{})
	g := d.json("/token", passwordOf("user@example.com")).granted(true)
	require.NoError(t, d.Auth.Users().Delete(t.Context(), d.onlyUser().ID))
	d.json("/token", fieldsOf{"grant_type": "refresh_token", "refresh_token": g.RefreshToken}).wantKeel(keelR2)
	d.send("GET", "/user", nil, bearer(g.AccessToken)).wantFault(http.StatusForbidden, "user_not_found")
}

// TestKeelHostileBodies: no body, however hostile, gives a 500.
func TestKeelHostileBodies(t *testing.T) {
	d := open(t, auth.WithAutoConfirm(true))
	for name, body := range hostileBodies() {
		for _, path := range []string{"/token", "/revoke"} {
			for _, kind := range []string{jsonBody, formBody} {
				a := d.send("POST", path, body, header{"Content-Type", kind})
				require.Less(t, a.Status, 500, "%s %s as %s: %s", path, name, kind, a.Body)
				require.True(t, json.Valid(a.Body), "%s %s as %s", path, name, kind)
			}
		}
	}
}

// TestKeelCreatedBeforeConfirmed: the host hears of an account that waits for its proof.
func TestKeelCreatedBeforeConfirmed(t *testing.T) {
	var order []string
	k := auth.Keel{}
	watch(&k, &order)
	d := open(t, auth.WithKeel(k), auth.WithMailFrequency(-1))
	for range 2 {
		d.json("/token", passwordOf("user@example.com")).wantKeel(keelP4)
	}
	require.Equal(t, []string{"created", "authenticated", "authenticated"}, order)
}

// TestKeelCORS: pages of allowed origins may call, others may not.
func TestKeelCORS(t *testing.T) {
	d := open(t, auth.WithSiteURL("https://app.example.com"))
	for origin, want := range map[string]string{"https://app.example.com": "https://app.example.com", "https://evil.example": ""} {
		pre := d.send("OPTIONS", "/token", nil, header{"Origin", origin}, header{"Access-Control-Request-Method", "POST"}, header{"Access-Control-Request-Headers", "content-type"})
		require.Equal(t, http.StatusNoContent, pre.Status)
		require.Equal(t, want, pre.Header.Get("Access-Control-Allow-Origin"))
		a := d.send("POST", "/revoke", fieldsOf{"token": "x"}, header{"Origin", origin}, header{"Content-Type", jsonBody})
		require.Equal(t, want, a.Header.Get("Access-Control-Allow-Origin"))
	}
}

// TestKeelUnknownPaths: what is nobody's is answered as GoTrue does, and in Keel's way
// where GoTrue is off.
func TestKeelUnknownPaths(t *testing.T) {
	d := openKeel(t, auth.Keel{}, auth.WithoutGoTrue())
	for _, p := range []string{"/", "/nothing", "/token/", "/providers/", "/revoke/", "/openapi.json/", "/Token", "/logout", "/v1/token", "/user"} {
		a := d.send("POST", p, nil)
		require.Equal(t, http.StatusNotFound, a.Status, p)
		require.NotContains(t, a.Header.Get("Content-Type"), "json", p)
	}
	for _, p := range []string{"/authorize", "/authorizer", "/authorize/"} {
		d.send("GET", p, nil).wantKeel(keelError{400, "invalid_request", "login url malformed or provider not found"})
	}
	for _, p := range []string{"/callback", "/callbacks", "/callback/"} {
		d.send("GET", p+"?code=x", nil).wantKeelNull()
	}
	d.json("/token", passwordOf("user@example.com")).granted(true)
	rec := httptest.NewRecorder()
	d.Auth.ServeHTTP(rec, httptest.NewRequest("GET", "http://localhost/auth/.well-known/jwks.json", nil))
	require.Equal(t, http.StatusOK, rec.Code)
}

// watch notes the calls of the hooks.
func watch(k *auth.Keel, order *[]string) {
	k.AfterIdentityCreated = func(context.Context, auth.Account, *http.Request) error {
		*order = append(*order, "created")
		return nil
	}
	k.AfterAuthentication = func(context.Context, *auth.Account, *http.Request) error {
		*order = append(*order, "authenticated")
		return nil
	}
}

// TestKeelMovedAccount: an account with a hash of Keel's signs in; one whose address
// nobody has proved gets the mail for it at the first try.
func TestKeelMovedAccount(t *testing.T) {
	hash, err := bcrypt.GenerateFromPassword([]byte("1234"), 10)
	require.NoError(t, err)
	d := open(t)
	for email, confirmed := range map[string]bool{"proved@example.com": true, "unproved@example.com": false} {
		_, err := d.Auth.Users().Create(t.Context(), auth.NewUser{Email: email, PasswordHash: string(hash), EmailConfirmed: confirmed})
		require.NoError(t, err)
		short := passwordOf(email, fieldsOf{"password": "1234"})
		if !confirmed {
			d.json("/token", short).wantKeel(keelP4)
			d.post("/verify", map[string]any{"type": "signup", "email": email, "token": d.LastMail(email).Code()}).want(http.StatusOK, nil)
		}
		d.json("/token", short).granted(false)
	}
}
