package tokens_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/truekeel/auth/internal/seal"
	"github.com/truekeel/auth/store"
	"github.com/truekeel/auth/tokens"
)

func kids(t testing.TB, k *tokens.Keyring) []string {
	t.Helper()
	var set struct{ Keys []map[string]any }
	require.NoError(t, json.Unmarshal(k.JWKS(), &set))
	ids := []string{}
	for _, key := range set.Keys {
		ids = append(ids, key["kid"].(string))
	}
	return ids
}

func signerID(k *tokens.Keyring) string {
	_, id := k.Signer()
	return id
}

func TestFirstStartSettlesOnOneKey(t *testing.T) {
	m, c := &memKeys{}, newClock()
	const n = 16
	rings := make([]*tokens.Keyring, n)
	var wg sync.WaitGroup
	for i := range rings {
		wg.Go(func() {
			k, err := tokens.NewKeyring(context.Background(), tokens.KeyringConfig{Store: m, Box: testBox(t), PollEvery: -1, Now: c.Now})
			if err != nil {
				t.Error(err)
				return
			}
			rings[i] = k
		})
	}
	wg.Wait()
	require.Equal(t, map[store.KeyState]int{store.KeyCurrent: 1}, m.states())
	for _, k := range rings {
		require.Equal(t, kids(t, rings[0]), kids(t, k))
	}
	require.NotContains(t, string(m.rows[0].Private), "PRIVATE")
	require.NotContains(t, string(m.rows[0].Public), `"d"`)
	require.Equal(t, []string{tokens.ES256}, rings[0].Algorithms())

	token := issue(t, rings[3], sampleClaims(c))
	_, err := verifier(rings[7], c).Verify(t.Context(), token)
	require.NoError(t, err)
}

func TestRotationWithoutDowntime(t *testing.T) {
	m, c := &memKeys{}, newClock()
	a, b := stored(t, m, c), stored(t, m, c)
	va, vb := verifier(a, c), verifier(b, c)
	accepted := func(token string) {
		t.Helper()
		for _, v := range []*tokens.Verifier{va, vb} {
			_, err := v.Verify(t.Context(), token)
			require.NoError(t, err)
		}
	}
	first := signerID(a)
	claims := sampleClaims(c)
	claims.ExpiresAt = c.Now().Add(1000 * time.Hour)
	old := issue(t, a, claims)
	accepted(old)

	next, err := a.Rotate(t.Context())
	require.NoError(t, err)
	require.Equal(t, store.KeyNext, next.State)
	require.Equal(t, c.Now().Add(15*time.Minute), next.Until)
	again, err := b.Rotate(t.Context())
	require.NoError(t, err)
	require.Equal(t, next.ID, again.ID, "one rotation at a time")
	require.Equal(t, []string{first, next.ID}, kids(t, a), "published before it signs")
	require.Equal(t, first, signerID(a))

	c.Add(15*time.Minute - 1)
	require.NoError(t, b.Reload(t.Context()))
	require.Equal(t, first, signerID(b))

	c.Add(1)
	require.NoError(t, b.Reload(t.Context()))
	require.Equal(t, next.ID, signerID(b), "the other process promotes as well")
	require.Equal(t, first, signerID(a), "a has not looked yet")
	accepted(issue(t, b, claims))
	accepted(issue(t, a, claims))
	require.NoError(t, a.Reload(t.Context()))
	require.Equal(t, next.ID, signerID(a))
	require.Equal(t, []string{next.ID, first}, kids(t, a))
	accepted(old)

	list, err := a.Keys(t.Context())
	require.NoError(t, err)
	require.Len(t, list, 2)
	require.Equal(t, store.KeyPrevious, list[0].State)
	require.Equal(t, c.Now().Add(65*time.Minute), list[0].Until)

	c.Add(65*time.Minute - 1)
	require.NoError(t, a.Reload(t.Context()))
	accepted(old)
	c.Add(1)
	require.NoError(t, a.Reload(t.Context()))
	_, err = va.Verify(t.Context(), old)
	require.ErrorIs(t, err, tokens.ErrUnknownKey)
	require.NoError(t, b.Reload(t.Context()))
	_, err = vb.Verify(t.Context(), old)
	require.ErrorIs(t, err, tokens.ErrUnknownKey, "not from the cache either")
	require.Equal(t, []string{next.ID}, kids(t, a))
	require.Equal(t, map[store.KeyState]int{store.KeyRetired: 1, store.KeyCurrent: 1}, m.states())
}

// The time in these two is that of the bubble: nobody waits for it.
func TestPollSeesOtherProcesses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memKeys{}
		cfg := tokens.KeyringConfig{Store: m, Box: testBox(t)}
		k := ring(t, cfg)
		cfg.PollEvery = -1
		other := ring(t, cfg)
		_, err := other.Rotate(t.Context())
		require.NoError(t, err)
		require.Len(t, kids(t, k), 1)
		time.Sleep(5 * time.Second)
		synctest.Wait()
		require.Len(t, kids(t, k), 2, "seen within five seconds")

		time.Sleep(15 * time.Minute)
		synctest.Wait()
		require.NoError(t, other.Reload(t.Context()))
		require.Equal(t, signerID(k), signerID(other))
		require.Equal(t, map[store.KeyState]int{store.KeyPrevious: 1, store.KeyCurrent: 1}, m.states(), "promoted by the poll")

		k.Close()
		k.Close()
		reads := m.readCount()
		time.Sleep(time.Hour)
		require.Equal(t, reads, m.readCount(), "no read after Close")
	})
}

func TestPollSurvivesTrouble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memKeys{}
		var log bytes.Buffer
		count := func(text string) int { return bytes.Count(log.Bytes(), []byte(text)) }
		k := ring(t, tokens.KeyringConfig{Store: m, Box: testBox(t), Logger: slog.New(slog.NewTextHandler(&log, nil))})
		claims := sampleClaims(newClock())
		claims.ExpiresAt = time.Now().Add(time.Hour)
		token := issue(t, k, claims)

		m.set(func() { m.before = func(string) { panic("store bug") } })
		time.Sleep(time.Minute)
		synctest.Wait()
		require.Equal(t, 1, count("can't be read; going on"), "logged once, not at each poll")
		_, err := tokens.NewVerifier(k, tokens.VerifierConfig{}).Verify(t.Context(), token)
		require.NoError(t, err, "the known keys go on")
		require.ErrorContains(t, k.Reload(t.Context()), "store bug")

		m.set(func() { m.before = nil })
		time.Sleep(3 * time.Second)
		synctest.Wait()
		require.Equal(t, 1, count("can be read again"))
		k.Close()
		require.NotContains(t, log.String(), "context canceled", "closing is no trouble")
	})
}

func TestUnknownKidReadsAtMostOncePerSecond(t *testing.T) {
	m, c := &memKeys{}, newClock()
	k := stored(t, m, c)
	v := verifier(k, c)
	foreign := issue(t, withKey(t, generate(t, tokens.ES256), c), sampleClaims(c))

	start := m.readCount()
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			_, err := v.Verify(context.Background(), foreign)
			if !isErr(err, tokens.ErrUnknownKey) {
				t.Errorf("got %v", err)
			}
		})
	}
	wg.Wait()
	require.Equal(t, start+1, m.readCount())

	c.Add(time.Second)
	_, err := v.Verify(t.Context(), foreign)
	require.ErrorIs(t, err, tokens.ErrUnknownKey)
	require.Equal(t, start+2, m.readCount())

	// A token of a key that another process has made just now is good at once.
	c.Add(time.Second)
	other := stored(t, m, c)
	_, err = other.Rotate(t.Context())
	require.NoError(t, err)
	_, err = other.Promote(t.Context())
	require.NoError(t, err)
	_, err = v.Verify(t.Context(), issue(t, other, sampleClaims(c)))
	require.NoError(t, err)
}

func TestUnknownKidWhileStoreHangs(t *testing.T) {
	m, c := &memKeys{}, newClock()
	k := stored(t, m, c)
	v := verifier(k, c)
	own := issue(t, k, sampleClaims(c))
	foreign := issue(t, withKey(t, generate(t, tokens.ES256), c), sampleClaims(c))

	hang, hung := make(chan struct{}), make(chan struct{})
	var once sync.Once
	m.set(func() {
		m.before = func(string) { once.Do(func() { close(hung) }); <-hang }
	})
	verify := func(ctx context.Context) <-chan error {
		answer := make(chan error, 1)
		go func() { _, err := v.Verify(ctx, foreign); answer <- err }()
		return answer
	}
	leaving, leave := context.WithCancel(context.Background())
	first := verify(leaving)
	<-hung
	second := verify(context.Background())
	gone, cancel := context.WithCancel(context.Background())
	cancel()
	require.ErrorIs(t, <-verify(gone), tokens.ErrUnknownKey, "who waits for another's read may leave")
	leave()
	require.ErrorIs(t, <-first, tokens.ErrUnknownKey, "so may the one whose read it is")
	_, err := v.Verify(t.Context(), own)
	require.NoError(t, err, "good tokens wait for nothing")
	require.Empty(t, second, "the read goes on for the others")
	close(hang)
	require.ErrorIs(t, <-second, tokens.ErrUnknownKey)
}

func TestRetire(t *testing.T) {
	m, c := &memKeys{}, newClock()
	a, b := stored(t, m, c), stored(t, m, c)
	va := verifier(a, c)
	bad := signerID(a)
	token := issue(t, a, sampleClaims(c))
	_, err := va.Verify(t.Context(), token)
	require.NoError(t, err)

	info, err := a.Retire(t.Context(), bad)
	require.NoError(t, err)
	require.Equal(t, store.KeyRetired, info.State)
	_, err = va.Verify(t.Context(), token)
	require.ErrorIs(t, err, tokens.ErrUnknownKey, "the cache was emptied")
	require.NotEqual(t, bad, signerID(a), "another key has taken its place")
	_, err = va.Verify(t.Context(), issue(t, a, sampleClaims(c)))
	require.NoError(t, err)

	require.NoError(t, b.Reload(t.Context()))
	require.Equal(t, signerID(a), signerID(b))
	_, err = b.Retire(t.Context(), bad)
	require.NoError(t, err, "twice is fine")
	_, err = b.Retire(t.Context(), "nobody")
	require.ErrorIs(t, err, tokens.ErrUnknownKey)

	// With a next key at hand that one takes over.
	next, err := a.Rotate(t.Context())
	require.NoError(t, err)
	_, err = a.Retire(t.Context(), signerID(a))
	require.NoError(t, err)
	require.Equal(t, next.ID, signerID(a))
}

func TestImport(t *testing.T) {
	m, c := &memKeys{}, newClock()
	k := stored(t, m, c)
	key := generate(t, tokens.RS256)
	token := issue(t, withKey(t, key, c), sampleClaims(c))

	info, err := k.Import(t.Context(), key)
	require.NoError(t, err)
	require.Equal(t, store.KeyNext, info.State)
	_, err = verifier(k, c).Verify(t.Context(), token)
	require.NoError(t, err)
	require.Equal(t, []string{tokens.ES256, tokens.RS256}, k.Algorithms())
	info, err = k.Import(t.Context(), key)
	require.NoError(t, err, "again is fine")
	require.Equal(t, key.ID(), info.ID)
	c.Add(15 * time.Minute)
	require.NoError(t, k.Reload(t.Context()))
	require.Equal(t, key.ID(), signerID(k))

	for _, bad := range []tokens.Key{generate(t, tokens.HS256), generate(t, tokens.ES256).VerifyOnly(), {}} {
		_, err = k.Import(t.Context(), bad)
		require.ErrorIs(t, err, tokens.ErrKey)
	}
}

func TestPromoteNeedsNext(t *testing.T) {
	k := stored(t, &memKeys{}, newClock())
	_, err := k.Promote(t.Context())
	require.ErrorIs(t, err, tokens.ErrUnknownKey)
}

// A process that dies or is interrupted between any two writes leaves a state from which
// the others go on.
func TestInterruptedPromotion(t *testing.T) {
	m, c := &memKeys{}, newClock()
	a, b := stored(t, m, c), stored(t, m, c)
	first := signerID(a)
	next, err := a.Rotate(t.Context())
	require.NoError(t, err)

	m.set(func() {
		m.before = func(op string) {
			if op == "move" { // this one goes through, nothing after it
				m.set(func() { m.down = true })
			}
		}
	})
	c.Add(15 * time.Minute)
	require.ErrorIs(t, a.Reload(t.Context()), errDown)
	m.set(func() { m.before, m.down = nil, false })
	require.Equal(t, map[store.KeyState]int{store.KeyPrevious: 1, store.KeyNext: 1}, m.states())
	require.Equal(t, first, signerID(a))

	require.NoError(t, b.Reload(t.Context()))
	require.Equal(t, next.ID, signerID(b))
	_, err = verifier(b, c).Verify(t.Context(), issue(t, a, sampleClaims(c)))
	require.NoError(t, err)
	require.Equal(t, map[store.KeyState]int{store.KeyPrevious: 1, store.KeyCurrent: 1}, m.states())

	// Nobody is current: what is seen in the middle of a promotion.
	m.set(func() {
		for i := range m.rows {
			m.rows[i].State = store.KeyPrevious
		}
	})
	require.NoError(t, a.Reload(t.Context()))
	require.NotContains(t, []string{first, next.ID}, signerID(a))
	require.Equal(t, map[store.KeyState]int{store.KeyPrevious: 2, store.KeyCurrent: 1}, m.states())
}

func TestRacingProcesses(t *testing.T) {
	m, c := &memKeys{}, newClock()
	rings := make([]*tokens.Keyring, 4)
	for i := range rings {
		rings[i] = stored(t, m, c)
	}
	for round := range 5 {
		_, err := rings[round%4].Rotate(t.Context())
		require.NoError(t, err)
		c.Add(20 * time.Minute)
		var wg sync.WaitGroup
		for _, k := range rings {
			wg.Go(func() {
				if err := k.Reload(context.Background()); err != nil {
					t.Error(err)
				}
			})
			wg.Go(func() {
				token, err := tokens.NewIssuer(k, tokens.IssuerConfig{}).Issue(sampleClaims(c))
				if err != nil {
					t.Error(err)
					return
				}
				for _, other := range rings {
					if _, err := verifier(other, c).Verify(context.Background(), token); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		require.Equal(t, 1, m.states()[store.KeyCurrent])
		for _, k := range rings {
			require.Equal(t, signerID(rings[0]), signerID(k))
		}
	}
}

func TestAnotherSealKey(t *testing.T) {
	m, c := &memKeys{}, newClock()
	token := issue(t, stored(t, m, c), sampleClaims(c))
	oldKey, newKey := []byte("a sealing key for tests, 32 bytes"), []byte("another sealing key, also 32 bytes")
	open := func(retire bool, keys ...[]byte) (*tokens.Keyring, error) {
		box, err := seal.New(keys[0], keys[1:]...)
		require.NoError(t, err)
		return tokens.NewKeyring(t.Context(), tokens.KeyringConfig{Store: m, Box: box, PollEvery: -1, Now: c.Now, RetireUnreadable: retire})
	}
	_, err := open(false, newKey)
	require.ErrorIs(t, err, seal.ErrOpen)
	require.ErrorContains(t, err, "old encryption key")

	k, err := open(false, newKey, oldKey)
	require.NoError(t, err)
	_, err = verifier(k, c).Verify(t.Context(), token)
	require.NoError(t, err)

	k, err = open(true, newKey)
	require.NoError(t, err)
	_, err = verifier(k, c).Verify(t.Context(), token)
	require.ErrorIs(t, err, tokens.ErrUnknownKey)
	require.Equal(t, map[store.KeyState]int{store.KeyRetired: 1, store.KeyCurrent: 1}, m.states())
}

// Who can write to the database, but doesn't have the sealing key, can't add a key.
func TestForgedRowsAreNotTrusted(t *testing.T) {
	m, c := &memKeys{}, newClock()
	k := stored(t, m, c)
	own := signerID(k)
	evil := generate(t, tokens.ES256)
	evilBox, err := seal.New([]byte("the attacker's own key of 32 bytes"))
	require.NoError(t, err)
	m.set(func() {
		m.rows = append(m.rows,
			store.SigningKey{ID: evil.ID(), Algorithm: tokens.ES256, State: store.KeyPrevious, Public: evil.PublicJWK(),
				Private: evilBox.Seal("signing key "+evil.ID(), []byte("x")), CreatedAt: c.Now()},
			// Due at once, if it could be used.
			store.SigningKey{ID: "next", Algorithm: tokens.ES256, State: store.KeyNext, Public: evil.PublicJWK(),
				Private: evilBox.Seal("signing key next", []byte("x")), CreatedAt: c.Now().Add(-time.Hour)},
			// A sealed key of another row.
			store.SigningKey{ID: "moved", Algorithm: tokens.ES256, State: store.KeyPrevious, Public: evil.PublicJWK(),
				Private: m.rows[0].Private, CreatedAt: c.Now()})
		m.rows[0].Public = evil.PublicJWK()
	})
	require.NoError(t, k.Reload(t.Context()))
	require.Equal(t, []string{own}, kids(t, k))
	require.Equal(t, own, signerID(k))
	_, err = verifier(k, c).Verify(t.Context(), issue(t, withKey(t, evil, c), sampleClaims(c)))
	require.ErrorIs(t, err, tokens.ErrUnknownKey)
}

func TestConfiguredKeys(t *testing.T) {
	c := newClock()
	es, ed := generate(t, tokens.ES256), generate(t, tokens.EdDSA)
	k := ring(t, tokens.KeyringConfig{Secret: secret, SecretID: "s", Static: []tokens.Key{es, ed.VerifyOnly()}})
	require.Equal(t, es.ID(), signerID(k))
	require.Equal(t, []string{es.ID(), ed.ID()}, kids(t, k))
	require.Equal(t, []string{tokens.ES256, tokens.EdDSA, tokens.HS256}, k.Algorithms())
	list, err := k.Keys(t.Context())
	require.NoError(t, err)
	require.Len(t, list, 3)
	require.Equal(t, store.KeyCurrent, list[0].State)
	require.Equal(t, store.KeyPrevious, list[1].State)
	require.Empty(t, list[2].Public)
	for _, token := range []string{
		issue(t, withSecret(t, c), sampleClaims(c)),
		issue(t, ring(t, tokens.KeyringConfig{Secret: secret, SecretID: "s"}), sampleClaims(c)),
		issue(t, withKey(t, ed, c), sampleClaims(c)),
		issue(t, withKey(t, es, c), sampleClaims(c)),
	} {
		_, err := verifier(k, c).Verify(t.Context(), token)
		require.NoError(t, err)
	}

	require.NoError(t, k.Reload(t.Context()))
	_, err = k.Rotate(t.Context())
	require.ErrorIs(t, err, tokens.ErrConfigured)
	_, err = k.Import(t.Context(), es)
	require.ErrorIs(t, err, tokens.ErrConfigured)
	_, err = k.Promote(t.Context())
	require.ErrorIs(t, err, tokens.ErrConfigured)
	_, err = k.Retire(t.Context(), es.ID())
	require.ErrorIs(t, err, tokens.ErrConfigured)
}

func TestSecretAlone(t *testing.T) {
	m := &memKeys{}
	k := ring(t, tokens.KeyringConfig{Secret: secret, Store: m, Box: testBox(t)})
	require.Equal(t, `{"keys":[]}`, string(k.JWKS()))
	require.Equal(t, []string{tokens.HS256}, k.Algorithms())
	require.Zero(t, m.readCount(), "the store isn't used")
}

func TestNewKeyringRefuses(t *testing.T) {
	a, b := generate(t, tokens.ES256), generate(t, tokens.ES256)
	same, err := b.WithID(a.ID())
	require.NoError(t, err)
	m, box := &memKeys{}, testBox(t)
	for _, c := range []struct {
		cfg  tokens.KeyringConfig
		want string
	}{
		{tokens.KeyringConfig{}, "no keys"},
		{tokens.KeyringConfig{Store: m}, "no keys"},
		{tokens.KeyringConfig{Secret: []byte("short")}, "openssl rand"},
		{tokens.KeyringConfig{Store: m, Box: box, Algorithm: "HS256"}, "generated keys"},
		{tokens.KeyringConfig{Store: m, Box: box, Algorithm: "none"}, "generated keys"},
		{tokens.KeyringConfig{Store: m, Box: box, ValidMethods: []string{"RS256"}}, "don't include ES256"},
		{tokens.KeyringConfig{Secret: secret, ValidMethods: []string{"RS256"}}, "don't include HS256"},
		{tokens.KeyringConfig{Secret: secret, ValidMethods: []string{"none"}}, `"none"`},
		{tokens.KeyringConfig{Static: []tokens.Key{a, b}}, "both sign"},
		{tokens.KeyringConfig{Static: []tokens.Key{a, same.VerifyOnly()}}, "two keys"},
		{tokens.KeyringConfig{Static: []tokens.Key{a.VerifyOnly()}}, "no key signs"},
		{tokens.KeyringConfig{Static: []tokens.Key{{}}}, "empty"},
		{tokens.KeyringConfig{Static: []tokens.Key{generate(t, tokens.HS256).VerifyOnly()}, Secret: secret}, "two secrets"},
	} {
		_, err := tokens.NewKeyring(t.Context(), c.cfg)
		require.ErrorContains(t, err, c.want)
	}
	_, err = tokens.NewKeyring(t.Context(), tokens.KeyringConfig{Secret: []byte("short"), AllowShortSecret: true})
	require.NoError(t, err)
	_, err = tokens.NewKeyring(t.Context(), tokens.KeyringConfig{Store: &memKeys{down: true}, Box: box})
	require.ErrorIs(t, err, errDown)
}

// A usable next key is not held up by one that isn't.
func TestUnusableNextIsPassedOver(t *testing.T) {
	m, c := &memKeys{}, newClock()
	k := stored(t, m, c)
	m.set(func() {
		m.rows = append(m.rows, store.SigningKey{ID: "lost", Algorithm: tokens.ES256, State: store.KeyNext, Private: []byte("x")})
	})
	next, err := k.Rotate(t.Context())
	require.NoError(t, err)
	require.NotEqual(t, "lost", next.ID)
	c.Add(15 * time.Minute)
	require.NoError(t, k.Reload(t.Context()))
	require.Equal(t, next.ID, signerID(k))
	_, err = k.Retire(t.Context(), "lost")
	require.NoError(t, err)
}

func ExampleParseJWKs() {
	// Two keys from the settings: one signs, the other still verifies.
	keys, err := tokens.ParseJWKs([]byte(`[
		{"kty":"OKP","crv":"Ed25519","kid":"new","key_ops":["sign","verify"],
		 "x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A"},
		{"kty":"EC","crv":"P-256","kid":"old",
		 "x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"}
	]`))
	if err != nil {
		panic(err)
	}
	for _, k := range keys {
		fmt.Println(k, k.CanSign())
	}
	// Output:
	// EdDSA key "new" true
	// ES256 key "old" false
}

func ExampleKeyring() {
	ctx := context.Background()
	key, err := tokens.GenerateKey(tokens.ES256) // in real life from a file, see ParsePEM and ParseJWKs
	if err != nil {
		panic(err)
	}
	keys, err := tokens.NewKeyring(ctx, tokens.KeyringConfig{Static: []tokens.Key{key}})
	if err != nil {
		panic(err)
	}
	defer keys.Close()

	token, err := tokens.NewIssuer(keys, tokens.IssuerConfig{Issuer: "https://example.com/auth"}).Issue(tokens.Claims{
		Subject: "8d2b3a30-7b5c-4b0e-9a51-0d9f6c1d1b11", Audience: []string{"authenticated"},
		ExpiresAt: time.Now().Add(time.Hour), Email: "ann@example.com", Extra: `{"plan":"gold"}`,
	})
	if err != nil {
		panic(err)
	}
	claims, err := tokens.NewVerifier(keys, tokens.VerifierConfig{}).Verify(ctx, token)
	if err != nil {
		panic(err)
	}
	var custom struct{ Plan string }
	if err := claims.Decode(&custom); err != nil {
		panic(err)
	}
	fmt.Println(claims.Email, custom.Plan)
	// Output: ann@example.com gold
}
