package main

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/truekeel/auth/internal/testdb"
)

// TestServersWithDifferentSettingsShareADatabase runs four servers over one database,
// which one client uses at once.
func TestServersWithDifferentSettingsShareADatabase(t *testing.T) {
	t.Run("sqlite", func(t *testing.T) { together(t, nil) })
	t.Run("postgres", func(t *testing.T) {
		dsn := testdb.PostgresDSN(t)
		together(t, env("DATABASE_URL", dsn, "DB_NAMESPACE", testdb.PostgresSchema(t, dsn)))
	})
}

func together(t *testing.T, database map[string]string) {
	p := newPlace(t)
	start := func(pairs ...string) *world {
		vars := env(pairs...)
		maps.Copy(vars, database)
		w := p.start(t, vars)
		require.NoError(t, w.err)
		return w
	}
	proving, trusting := start(), start(autoConfirm, "true")
	closed, rsaSigned := start("GOTRUE_DISABLE_SIGNUP", "true"), start("GOTRUE_JWT_KEYS", rsaJWK(t))
	all := []*world{proving, trusting, closed, rsaSigned}

	const people = 6
	var wg sync.WaitGroup
	for n := range people {
		wg.Go(func() {
			email := fmt.Sprintf("person-%d@example.com", n)
			check(t, "422 signup_disabled", closed.signUp(email).String())
			check(t, "200", trusting.signUp(email).String())

			// The account is there for all of them, and a session goes from one to the next.
			refresh := closed.signIn(email).field("refresh_token")
			for range 2 {
				for _, w := range all {
					r := w.refresh(refresh)
					check(t, "200", r.String())
					refresh = r.field("refresh_token")
					head, _ := claims(t, r.field("access_token"))
					want := "ES256"
					if w == rsaSigned {
						want = "RS256"
					}
					check(t, want, fmt.Sprint(head["alg"]))
					check(t, email, w.ask("GET", "/user", nil, bearer(r.field("access_token"))...).field("email"))
				}
			}

			waiting := fmt.Sprintf("waiting-%d@example.com", n)
			check(t, "200", proving.signUp(waiting).String())
			check(t, "400 email_not_confirmed", rsaSigned.signIn(waiting).String())
			check(t, "200", rsaSigned.post("/verify", object{"type": "signup", "email": waiting, "token": proving.mail(waiting).code()}).String())
			check(t, "200", closed.signIn(waiting).String())
		})
	}
	wg.Wait()
	for _, w := range all {
		r := w.ask("GET", "/admin/users?per_page=1", nil, w.service("service_role")...)
		require.Equal(t, fmt.Sprint(2*people), r.header.Get("X-Total-Count"))
	}
	require.NotEqual(t, proving.ask("GET", "/.well-known/jwks.json", nil).body, rsaSigned.ask("GET", "/.well-known/jwks.json", nil).body)
	require.Equal(t, proving.ask("GET", "/.well-known/jwks.json", nil).body, closed.ask("GET", "/.well-known/jwks.json", nil).body, "the key that was made is one")
}

// check is require.Equal for goroutines, which mustn't end the test themselves.
func check(t *testing.T, want, have string) {
	t.Helper()
	if want != have {
		t.Errorf("want %s, have %s", want, have)
	}
}

// rsaJWK is a signing key for RS256.
func rsaJWK(t *testing.T) string {
	t.Helper()
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	b := func(n *big.Int) string { return base64.RawURLEncoding.EncodeToString(n.Bytes()) }
	raw, err := json.Marshal([]object{{
		"kty": "RSA", "kid": "rsa", "alg": "RS256", "key_ops": []string{"sign"}, "n": b(k.N), "e": "AQAB", "d": b(k.D), "p": b(k.Primes[0]), "q": b(k.Primes[1]),
	}})
	require.NoError(t, err)
	return string(raw)
}
