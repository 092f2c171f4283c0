package auth_test

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/truekeel/auth"
	"github.com/truekeel/auth/tokens"
)

const (
	keelIssuer = "https://keel.so"
	formBody   = "application/x-www-form-urlencoded"
	jsonBody   = "application/json"
)

// openKeel starts an Auth as Keel's clients know it: no confirmation, its issuer, an RSA
// key, and fields from the query.
func openKeel(t testing.TB, k auth.Keel, opts ...auth.Option) *door {
	t.Helper()
	k.Issuer, k.QueryCredentials = keelIssuer, true
	return open(t, append([]auth.Option{
		auth.WithKeel(k), auth.WithAutoConfirm(true), auth.WithSigningKeys(rsaKey(t)),
	}, opts...)...)
}

// oneRSAKey is made once, as that takes long.
var oneRSAKey = sync.OnceValues(func() (tokens.Key, error) { return tokens.GenerateKey(tokens.RS256) })

// rsaKey is a key for RS256.
func rsaKey(t testing.TB) tokens.Key {
	t.Helper()
	key, err := oneRSAKey()
	require.NoError(t, err)
	return key
}

// fieldsOf are the fields of a request to the Keel dialect.
type fieldsOf map[string]any

func (f fieldsOf) values() url.Values {
	v := url.Values{}
	for name, value := range f {
		switch value := value.(type) {
		case string:
			v.Set(name, value)
		case bool:
			v.Set(name, map[bool]string{true: "true", false: "false"}[value])
		}
	}
	return v
}

// encoding is a way to send fields.
type encoding struct {
	name string
	send func(d *door, path string, f fieldsOf) answer
}

// encodings are the three ways: a form whose fields are in the query, a form, and JSON.
func encodings() []encoding {
	return []encoding{
		{"query", func(d *door, path string, f fieldsOf) answer {
			return d.send(http.MethodPost, path+"?"+f.values().Encode(), nil, header{"Content-Type", formBody})
		}},
		{"form", func(d *door, path string, f fieldsOf) answer {
			return d.send(http.MethodPost, path, f.values().Encode(), header{"Content-Type", formBody})
		}},
		{"json", func(d *door, path string, f fieldsOf) answer {
			return d.send(http.MethodPost, path, f, header{"Content-Type", jsonBody})
		}},
	}
}

// eachEncoding runs a test once for each way to send fields.
func eachEncoding(t *testing.T, run func(t *testing.T, send func(d *door, path string, f fieldsOf) answer)) {
	t.Helper()
	for _, e := range encodings() {
		t.Run(e.name, func(t *testing.T) { run(t, e.send) })
	}
}

// keelError is an error of the Keel dialect.
type keelError struct {
	status            int
	code, description string
}

// wantKeel checks that an answer is an error of the Keel dialect, to the byte.
func (a answer) wantKeel(e keelError) answer {
	a.t.Helper()
	require.Equal(a.t, e.status, a.Status, "body: %s", a.Body)
	require.Equal(a.t, jsonBody, a.Header.Get("Content-Type"))
	body, err := json.Marshal(struct {
		Error       string `json:"error"`
		Description string `json:"error_description"`
	}{e.code, e.description})
	require.NoError(a.t, err)
	require.Equal(a.t, string(body), string(a.Body))
	return a
}

// keelGrant is the answer to a grant.
type keelGrant struct {
	AccessToken  string `json:"access_token"`
	TokenType    string `json:"token_type"`
	ExpiresIn    int    `json:"expires_in"`
	RefreshToken string `json:"refresh_token"`
	Created      *bool  `json:"identity_created"`
}

// granted checks that an answer is a grant, and whether it says that it made an identity.
func (a answer) granted(created bool) keelGrant {
	a.t.Helper()
	var g keelGrant
	a.want(http.StatusOK, &g)
	require.Equal(a.t, jsonBody, a.Header.Get("Content-Type"))
	require.Equal(a.t, "no-store", a.Header.Get("Cache-Control"))
	require.NotEmpty(a.t, g.AccessToken)
	require.Equal(a.t, "bearer", g.TokenType)
	require.Positive(a.t, g.ExpiresIn)
	require.Regexp(a.t, `^[A-Za-z0-9]{64}$`, g.RefreshToken)
	require.NotNil(a.t, g.Created)
	require.Equal(a.t, created, *g.Created)
	return g
}

// claims reads a token's payload without judging it.
func claims(t testing.TB, token string) map[string]any {
	t.Helper()
	parts := strings.Split(token, ".")
	require.Len(t, parts, 3)
	raw, err := base64.RawURLEncoding.DecodeString(parts[1])
	require.NoError(t, err)
	var c map[string]any
	require.NoError(t, json.Unmarshal(raw, &c))
	return c
}

// onlyUser gives the one account that there is.
func (d *door) onlyUser() auth.Account {
	d.t.Helper()
	users, err := d.Auth.Users().List(d.t.Context(), auth.List{})
	require.NoError(d.t, err)
	require.Len(d.t, users, 1)
	u, err := d.Auth.Users().Get(d.t.Context(), users[0].ID)
	require.NoError(d.t, err)
	return u
}

// users counts the accounts.
func (d *door) users() int {
	d.t.Helper()
	users, err := d.Auth.Users().List(d.t.Context(), auth.List{})
	require.NoError(d.t, err)
	return len(users)
}

const keelPassword = "myP@ssword1234!"

// password are the fields of a sign-in.
func passwordOf(email string, more ...fieldsOf) fieldsOf {
	f := fieldsOf{"grant_type": "password", "username": email, "password": keelPassword}
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

// json sends fields as JSON.
func (d *door) json(path string, f fieldsOf) answer {
	d.t.Helper()
	return encodings()[2].send(d, path, f)
}

const day = 24 * time.Hour
