package tokens_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/truekeel/auth/internal/seal"
	"github.com/truekeel/auth/store"
	"github.com/truekeel/auth/tokens"
)

// clock is a clock to turn by hand.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

var errDown = errors.New("store is down")

// memKeys is store.Keys in memory, with the store's promises and means to disturb.
type memKeys struct {
	mu    sync.Mutex
	rows  []store.SigningKey
	reads int
	down  bool
	// before runs in the middle of a call, without the lock: a place for other
	// processes to interfere.
	before func(op string)
}

func (m *memKeys) enter(op string) error {
	m.mu.Lock()
	before, down := m.before, m.down
	m.mu.Unlock()
	if before != nil {
		before(op)
	}
	if down {
		return errDown
	}
	return nil
}

func (m *memKeys) set(fn func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	fn()
}

func (m *memKeys) hasCurrent() bool {
	return slices.ContainsFunc(m.rows, func(r store.SigningKey) bool { return r.State == store.KeyCurrent })
}

func (m *memKeys) CreateSigningKey(_ context.Context, k store.SigningKey) error {
	if err := m.enter("create"); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	taken := slices.ContainsFunc(m.rows, func(r store.SigningKey) bool { return r.ID == k.ID })
	if taken || k.State == store.KeyCurrent && m.hasCurrent() {
		return store.ErrConflict
	}
	m.rows = append(m.rows, k)
	return nil
}

func (m *memKeys) SigningKeys(context.Context) ([]store.SigningKey, error) {
	m.mu.Lock()
	m.reads++
	m.mu.Unlock()
	if err := m.enter("read"); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	rows := slices.Clone(m.rows)
	for i := range rows {
		rows[i].Private = slices.Clone(rows[i].Private)
	}
	return rows, nil
}

func (m *memKeys) MoveSigningKey(_ context.Context, id string, from, to store.KeyState, at time.Time) (bool, error) {
	if err := m.enter("move"); err != nil {
		return false, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range m.rows {
		r := &m.rows[i]
		if r.ID != id || r.State != from {
			continue
		}
		if to == store.KeyCurrent && m.hasCurrent() {
			return false, store.ErrConflict
		}
		r.State = to
		switch to {
		case store.KeyCurrent:
			r.ActivatedAt = at
		case store.KeyRetired:
			r.RetiredAt = at
		}
		return true, nil
	}
	return false, nil
}

func (m *memKeys) readCount() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.reads
}

func (m *memKeys) states() map[store.KeyState]int {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := map[store.KeyState]int{}
	for _, r := range m.rows {
		n[r.State]++
	}
	return n
}

var secret = []byte("an example secret of more than 32 bytes")

func testBox(t testing.TB) *seal.Box {
	t.Helper()
	b, err := seal.New([]byte("a sealing key for tests, 32 bytes"))
	require.NoError(t, err)
	return b
}

// stored makes a keyring over m that doesn't poll: tests call Reload.
func stored(t testing.TB, m *memKeys, c *clock) *tokens.Keyring {
	t.Helper()
	return ring(t, tokens.KeyringConfig{Store: m, Box: testBox(t), PollEvery: -1, Now: c.Now})
}

func ring(t testing.TB, cfg tokens.KeyringConfig) *tokens.Keyring {
	t.Helper()
	k, err := tokens.NewKeyring(context.Background(), cfg)
	require.NoError(t, err)
	t.Cleanup(k.Close)
	return k
}

func withSecret(t testing.TB, c *clock) *tokens.Keyring {
	t.Helper()
	return ring(t, tokens.KeyringConfig{Secret: secret, Now: c.Now})
}

func withKey(t testing.TB, key tokens.Key, c *clock) *tokens.Keyring {
	t.Helper()
	return ring(t, tokens.KeyringConfig{Static: []tokens.Key{key}, Now: c.Now})
}

func generate(t testing.TB, alg string) tokens.Key {
	t.Helper()
	k, err := tokens.GenerateKey(alg)
	require.NoError(t, err)
	return k
}

// sampleClaims are those of a signed-in user, good for an hour.
func sampleClaims(c *clock) tokens.Claims {
	now := c.Now()
	return tokens.Claims{
		Subject: "8d2b3a30-7b5c-4b0e-9a51-0d9f6c1d1b11", Audience: []string{"authenticated"},
		IssuedAt: now, ExpiresAt: now.Add(time.Hour), Email: "user@example.com",
		AppMetadata:  `{"provider":"email","providers":["email"]}`,
		UserMetadata: `{"email":"user@example.com","email_verified":true,"phone_verified":false,"sub":"8d2b3a30-7b5c-4b0e-9a51-0d9f6c1d1b11"}`,
		Role:         "authenticated", AAL: "aal1",
		AMR:       []tokens.AMR{{Method: "password", At: now}},
		SessionID: "5f0c4a8e-1f77-4a8f-8d9a-3a6d1a5d2c22",
	}
}

func issue(t testing.TB, k *tokens.Keyring, c tokens.Claims) string {
	t.Helper()
	token, err := tokens.NewIssuer(k, tokens.IssuerConfig{Now: func() time.Time { return c.IssuedAt }}).Issue(c)
	require.NoError(t, err)
	return token
}

func verifier(k *tokens.Keyring, c *clock) *tokens.Verifier {
	return tokens.NewVerifier(k, tokens.VerifierConfig{Now: c.Now})
}
