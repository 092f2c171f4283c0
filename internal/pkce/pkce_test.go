package pkce_test

import (
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/truekeel/auth/fault"
	"github.com/truekeel/auth/internal/pkce"
	"github.com/truekeel/auth/internal/testdb"
	"github.com/truekeel/auth/store"
)

// The example of RFC 7636, appendix B.
const (
	verifier  = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
	challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
)

func TestParse(t *testing.T) {
	for _, c := range []struct {
		value, method string
		want          pkce.Challenge
		refused       string
	}{
		{"", "", pkce.Challenge{}, ""},
		{challenge, "S256", pkce.Challenge{Value: challenge, Method: pkce.S256}, ""},
		{challenge, "s256", pkce.Challenge{Value: challenge, Method: pkce.S256}, ""},
		{verifier, "Plain", pkce.Challenge{Value: verifier, Method: pkce.Plain}, ""},
		{strings.Repeat("~", 128), "plain", pkce.Challenge{Value: strings.Repeat("~", 128), Method: pkce.Plain}, ""},
		{challenge, "", pkce.Challenge{}, "PKCE flow requires"},
		{"", "s256", pkce.Challenge{}, "PKCE flow requires"},
		{challenge, " s256", pkce.Challenge{}, "Invalid code_challenge_method"},
		{challenge, "S-256", pkce.Challenge{}, "Invalid code_challenge_method"},
		{strings.Repeat("a", 42), "s256", pkce.Challenge{}, "between 43 and 128"},
		{strings.Repeat("a", 129), "s256", pkce.Challenge{}, "between 43 and 128"},
		{challenge[:42] + "=", "s256", pkce.Challenge{}, "can only contain"},
		{challenge[:42] + "\x00", "s256", pkce.Challenge{}, "can only contain"},
	} {
		got, err := pkce.Parse(c.value, c.method)
		require.Equal(t, c.want, got)
		if c.refused == "" {
			require.NoError(t, err)
			require.Equal(t, c.value != "", got.Given())
			continue
		}
		require.ErrorContains(t, err, c.refused)
		require.Equal(t, fault.ValidationFailed, fault.CodeOf(err))
	}
}

func FuzzParse(f *testing.F) {
	f.Add(challenge, "s256")
	f.Add(verifier, "PLAIN")
	f.Add("", "")
	f.Add("\x00", "ſ256") // folds to s
	f.Fuzz(func(t *testing.T, value, method string) {
		got, err := pkce.Parse(value, method)
		if err != nil {
			require.Equal(t, fault.ValidationFailed, fault.CodeOf(err))
			require.Zero(t, got)
			return
		}
		if !got.Given() {
			require.Empty(t, value+method)
			return
		}
		require.Contains(t, []string{pkce.S256, pkce.Plain}, got.Method)
		require.Equal(t, value, got.Value)
		require.Regexp(t, `^[A-Za-z0-9._~-]{43,128}$`, value)
	})
}

// bench is Flows over a database, with a clock to turn.
type bench struct {
	*pkce.Flows
	t     *testing.T
	store store.Store
	now   time.Time
	user  uuid.UUID
}

func open(t *testing.T) *bench {
	t.Helper()
	b := &bench{t: t, store: testdb.SQLite(t), now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), user: uuid.New()}
	b.Flows = pkce.New(pkce.Config{Now: func() time.Time { return b.now }, Wait: time.Hour, CodeLife: 5 * time.Minute})
	require.NoError(t, b.store.CreateUser(t.Context(), store.User{ID: b.user, Audience: "a", Email: "ada@example.com", CreatedAt: b.now, UpdatedAt: b.now}))
	return b
}

func (b *bench) begin(c pkce.Challenge) uuid.UUID {
	b.t.Helper()
	id, err := b.Begin(b.t.Context(), b.store, c, b.user, "recovery", "https://app.example.com")
	require.NoError(b.t, err)
	return id
}

func (b *bench) redeem(code, verifier string) error {
	return b.store.Tx(b.t.Context(), func(tx store.Store) error {
		_, err := b.Redeem(b.t.Context(), tx, code, verifier)
		return err
	})
}

func TestFlow(t *testing.T) {
	b := open(t)
	require.Equal(t, uuid.Nil, b.begin(pkce.Challenge{}), "no challenge, no flow")
	for _, c := range []pkce.Challenge{{Value: challenge, Method: pkce.S256}, {Value: verifier, Method: pkce.Plain}} {
		id := b.begin(c)
		code, err := b.Continue(t.Context(), b.store, id, b.user)
		require.NoError(t, err)
		row, err := b.store.FlowState(t.Context(), id)
		require.NoError(t, err)
		require.NotContains(t, row.CodeHash, code, "only a hash is kept")

		_, err = b.Continue(t.Context(), b.store, id, b.user)
		require.ErrorIs(t, err, pkce.ErrNoFlow, "one code a flow")
		for _, wrong := range []string{"", "x", verifier + "x", challenge + "x"} {
			require.Equal(t, fault.BadCodeVerifier, fault.CodeOf(b.redeem(code, wrong)))
		}
		require.Equal(t, fault.FlowStateNotFound, fault.CodeOf(b.redeem(code+"x", verifier)))
		require.NoError(t, b.redeem(code, verifier))
		require.Equal(t, fault.FlowStateNotFound, fault.CodeOf(b.redeem(code, verifier)))
	}
}

func TestFlowLife(t *testing.T) {
	b := open(t)
	id := b.begin(pkce.Challenge{Value: challenge, Method: pkce.S256})
	b.now = b.now.Add(time.Hour - time.Second)
	code, err := b.Continue(t.Context(), b.store, id, b.user)
	require.NoError(t, err)
	b.now = b.now.Add(5 * time.Minute)
	require.Equal(t, fault.FlowStateExpired, fault.CodeOf(b.redeem(code, verifier)))
	b.now = b.now.Add(-time.Microsecond)
	require.NoError(t, b.redeem(code, verifier))

	id = b.begin(pkce.Challenge{Value: challenge, Method: pkce.S256})
	b.now = b.now.Add(time.Hour)
	_, err = b.Continue(t.Context(), b.store, id, b.user)
	require.ErrorIs(t, err, pkce.ErrNoFlow)
	_, err = b.Continue(t.Context(), b.store, uuid.New(), b.user)
	require.ErrorIs(t, err, pkce.ErrNoFlow)
}

// A flow that began without a challenge is redeemed by no verifier.
func TestNoChallengeFitsNothing(t *testing.T) {
	b := open(t)
	id := uuid.New()
	require.NoError(t, b.store.CreateFlowState(t.Context(), store.FlowState{ID: id, UserID: b.user, CreatedAt: b.now, ExpiresAt: b.now.Add(time.Hour)}))
	code, err := b.Continue(t.Context(), b.store, id, b.user)
	require.NoError(t, err)
	for _, v := range []string{"", verifier, "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU"} {
		require.Equal(t, fault.BadCodeVerifier, fault.CodeOf(b.redeem(code, v)))
	}
}

func TestRacingRedemptions(t *testing.T) {
	b := open(t)
	code, err := b.Continue(t.Context(), b.store, b.begin(pkce.Challenge{Value: challenge, Method: pkce.S256}), b.user)
	require.NoError(t, err)
	var won atomic.Int64
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if b.redeem(code, verifier) == nil {
				won.Add(1)
			}
		})
	}
	wg.Wait()
	require.EqualValues(t, 1, won.Load())
}
