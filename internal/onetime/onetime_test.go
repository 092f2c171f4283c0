package onetime_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/truekeel/auth/internal/onetime"
	"github.com/truekeel/auth/internal/seal"
	"github.com/truekeel/auth/internal/testdb"
	"github.com/truekeel/auth/store"
)

// bench is Tokens over a database, with a clock to turn.
type bench struct {
	*onetime.Tokens
	t     *testing.T
	store store.Store
	now   *time.Time
	user  uuid.UUID
}

const address = "ada@example.com"

func open(t *testing.T, change ...func(*onetime.Config)) *bench {
	t.Helper()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	b := &bench{t: t, store: testdb.SQLite(t), now: &now, user: uuid.New()}
	box, err := seal.New([]byte(strings.Repeat("k", 32)))
	require.NoError(t, err)
	c := onetime.Config{
		Store: b.store, Now: func() time.Time { return *b.now }, MAC: box.MAC, MACs: box.MACs,
		CodeLength: 6, LinkLife: time.Hour, CodeLife: 10 * time.Minute, MaxGuesses: 5, MaxPerHour: 20,
	}
	for _, f := range change {
		f(&c)
	}
	b.Tokens = onetime.New(c)
	require.NoError(t, b.store.CreateUser(t.Context(), store.User{
		ID: b.user, Audience: "authenticated", Email: address, CreatedAt: now, UpdatedAt: now,
	}))
	return b
}

func (b *bench) issue(p store.Purpose) onetime.Issued {
	b.t.Helper()
	out, err := b.Issue(b.t.Context(), b.store, b.user, p, address, uuid.Nil)
	require.NoError(b.t, err)
	return out
}

func (b *bench) byCode(p store.Purpose, code string) error {
	b.t.Helper()
	_, err := b.ByCode(b.t.Context(), address, code, onetime.Candidate{UserID: b.user, Purpose: p})
	return err
}

func (b *bench) byLink(link string, p ...store.Purpose) error {
	b.t.Helper()
	_, err := b.ByLink(b.t.Context(), b.store, link, p...)
	return err
}

func TestIssueKeepsHashesOnly(t *testing.T) {
	for _, length := range []int{6, 7, 10} {
		b := open(t, func(c *onetime.Config) { c.CodeLength = length })
		seen := map[string]bool{}
		for range 50 {
			out := b.issue(store.PurposeRecovery)
			require.Regexp(t, `^[0-9]+$`, out.Code)
			require.Len(t, out.Code, length)
			require.Regexp(t, `^[0-9a-f]{56}$`, out.Link)
			require.False(t, seen[out.Link])
			seen[out.Link] = true

			row, err := b.store.OneTimeTokenOf(t.Context(), b.user, store.PurposeRecovery)
			require.NoError(t, err)
			sum := sha256.Sum256([]byte(out.Link))
			require.Equal(t, hex.EncodeToString(sum[:]), row.LinkHash)
			require.NotContains(t, row.CodeMAC, out.Code)
			plain := sha256.Sum256([]byte(out.Code))
			require.NotEqual(t, hex.EncodeToString(plain[:]), row.CodeMAC, "a plain hash of a code can be guessed")
		}
	}
}

// Guessing the code as a link would escape the budget.
func TestLinkSaysNothingOfTheCode(t *testing.T) {
	b := open(t)
	out := b.issue(store.PurposeRecovery)
	for _, text := range []string{out.Code, address + out.Code} {
		sum := sha256.Sum224([]byte(text))
		require.NotEqual(t, hex.EncodeToString(sum[:]), out.Link)
	}
}

func TestPurposesAreApart(t *testing.T) {
	b := open(t)
	all := []store.Purpose{
		store.PurposeConfirmation, store.PurposeInvite, store.PurposeRecovery, store.PurposeMagicLink, store.PurposeEmailChangeCurrent,
		store.PurposeEmailChangeNew, store.PurposeReauthentication, store.PurposePhoneConfirmation, store.PurposePhoneSignIn, store.PurposePhoneChange,
	}
	issued := map[store.Purpose]onetime.Issued{}
	for _, p := range all {
		issued[p] = b.issue(p)
	}
	for _, p := range all {
		for _, q := range all {
			if p != q {
				require.ErrorIs(t, b.byLink(issued[p].Link, q), onetime.ErrLink)
			}
		}
		require.NoError(t, b.byLink(issued[p].Link, p), "%s was overwritten", p)
		require.NoError(t, b.byCode(p, issued[p].Code))
	}
	require.ErrorIs(t, b.byLink(issued[store.PurposeRecovery].Link), onetime.ErrLink, "for no purpose at all")
}

func TestExpiry(t *testing.T) {
	b := open(t)
	start := *b.now
	out := b.issue(store.PurposeRecovery)
	*b.now = start.Add(10*time.Minute - time.Microsecond)
	require.NoError(t, b.byCode(store.PurposeRecovery, out.Code))
	*b.now = start.Add(10 * time.Minute)
	require.ErrorIs(t, b.byCode(store.PurposeRecovery, out.Code), onetime.ErrCode)
	*b.now = start.Add(time.Hour - time.Microsecond)
	require.NoError(t, b.byLink(out.Link, store.PurposeRecovery))
	*b.now = start.Add(time.Hour)
	require.ErrorIs(t, b.byLink(out.Link, store.PurposeRecovery), onetime.ErrLink)
}

func TestTakeOnce(t *testing.T) {
	b := open(t)
	out := b.issue(store.PurposeRecovery)
	row, err := b.ByLink(t.Context(), b.store, out.Link, store.PurposeRecovery)
	require.NoError(t, err)
	require.NoError(t, b.Take(t.Context(), b.store, row, onetime.ErrLink))
	require.ErrorIs(t, b.Take(t.Context(), b.store, row, onetime.ErrLink), onetime.ErrLink)
	require.ErrorIs(t, b.Take(t.Context(), b.store, row, onetime.ErrCode), onetime.ErrCode)
}

func TestBudgetOfACode(t *testing.T) {
	b := open(t)
	out := b.issue(store.PurposeRecovery)
	wrong := strings.Repeat("0", 6)
	if out.Code == wrong {
		wrong = strings.Repeat("1", 6)
	}
	for range 5 {
		require.ErrorIs(t, b.byCode(store.PurposeRecovery, wrong), onetime.ErrCode)
	}
	require.ErrorIs(t, b.byCode(store.PurposeRecovery, out.Code), onetime.ErrCode)
	require.NoError(t, b.byLink(out.Link, store.PurposeRecovery))
	// What isn't even a code counts too.
	out = b.issue(store.PurposeRecovery)
	for _, s := range []string{"", "x", strings.Repeat("1", 10000), out.Code + "0", " " + out.Code} {
		require.ErrorIs(t, b.byCode(store.PurposeRecovery, s), onetime.ErrCode)
	}
	require.ErrorIs(t, b.byCode(store.PurposeRecovery, out.Code), onetime.ErrCode)
}

func TestBudgetOfAnAddress(t *testing.T) {
	b := open(t)
	for range 20 {
		_, err := b.ByCode(t.Context(), address, "000000", onetime.Candidate{Purpose: store.PurposeRecovery})
		require.ErrorIs(t, err, onetime.ErrCode)
	}
	out := b.issue(store.PurposeRecovery)
	require.ErrorIs(t, b.byCode(store.PurposeRecovery, out.Code), onetime.ErrCode)
	*b.now = b.now.Add(time.Hour)
	out = b.issue(store.PurposeRecovery)
	require.NoError(t, b.byCode(store.PurposeRecovery, out.Code))
}

// A code is bound to its user, its purpose and the address that it was sent to.
func TestCodeIsBound(t *testing.T) {
	b := open(t)
	out := b.issue(store.PurposeRecovery)
	for _, c := range []struct {
		recipient string
		candidate onetime.Candidate
	}{
		{"eve@example.com", onetime.Candidate{UserID: b.user, Purpose: store.PurposeRecovery}},
		{address, onetime.Candidate{UserID: b.user, Purpose: store.PurposeMagicLink}},
		{address, onetime.Candidate{UserID: uuid.New(), Purpose: store.PurposeRecovery}},
		{address, onetime.Candidate{Purpose: store.PurposeRecovery}},
	} {
		_, err := b.ByCode(t.Context(), c.recipient, out.Code, c.candidate)
		require.ErrorIs(t, err, onetime.ErrCode)
	}
	_, err := b.ByCode(t.Context(), address, out.Code)
	require.ErrorIs(t, err, onetime.ErrCode, "no candidates")
	require.NoError(t, b.byCode(store.PurposeRecovery, out.Code))
}

// A code that was mailed under the key before is still good.
func TestCodeUnderAnOldKey(t *testing.T) {
	b := open(t)
	out := b.issue(store.PurposeRecovery)
	box, err := seal.New([]byte(strings.Repeat("n", 32)), []byte(strings.Repeat("k", 32)))
	require.NoError(t, err)
	c := b.Config
	c.MAC, c.MACs = box.MAC, box.MACs
	b.Tokens = onetime.New(c)
	require.NoError(t, b.byCode(store.PurposeRecovery, out.Code))

	box, err = seal.New([]byte(strings.Repeat("n", 32)))
	require.NoError(t, err)
	c.MAC, c.MACs = box.MAC, box.MACs
	b.Tokens = onetime.New(c)
	require.ErrorIs(t, b.byCode(store.PurposeRecovery, out.Code), onetime.ErrCode)
}

func TestFlowPrefix(t *testing.T) {
	b := open(t)
	flow := uuid.New()
	require.NoError(t, b.store.CreateFlowState(t.Context(), store.FlowState{ID: flow, UserID: b.user, CreatedAt: *b.now, ExpiresAt: b.now.Add(time.Hour)}))
	out, err := b.Issue(t.Context(), b.store, b.user, store.PurposeRecovery, address, flow)
	require.NoError(t, err)
	require.Regexp(t, `^pkce_[0-9a-f]{56}$`, out.Link)
	require.NoError(t, b.byLink(out.Link, store.PurposeRecovery))
	require.ErrorIs(t, b.byLink(strings.TrimPrefix(out.Link, onetime.PKCEPrefix), store.PurposeRecovery), onetime.ErrLink)
	plain := b.issue(store.PurposeMagicLink)
	require.ErrorIs(t, b.byLink(onetime.PKCEPrefix+plain.Link, store.PurposeMagicLink), onetime.ErrLink)
}

// No text but the link itself finds its token.
func FuzzByLink(f *testing.F) {
	link := strings.Repeat("0a", 28)
	for _, s := range []string{"", "pkce_", link, "pkce_" + link, link + "0", strings.ToUpper(link), "pkce_pkce_" + link, "\x00", strings.Repeat("a", 1<<16)} {
		f.Add(s)
	}
	known := store.OneTimeToken{ID: uuid.New(), Purpose: store.PurposeRecovery, ExpiresAt: time.Unix(1<<40, 0)}
	tokens := onetime.New(onetime.Config{Now: time.Now})
	f.Fuzz(func(t *testing.T, s string) {
		asked := &one{token: known, link: link}
		_, err := tokens.ByLink(t.Context(), asked, s, store.PurposeRecovery)
		if s == link {
			require.NoError(t, err)
			return
		}
		require.ErrorIs(t, err, onetime.ErrLink)
	})
}

// one is a store of one token.
type one struct {
	store.OneTimeTokens
	token store.OneTimeToken
	link  string
}

func (o *one) OneTimeTokenByLink(_ context.Context, hash string) (store.OneTimeToken, error) {
	sum := sha256.Sum256([]byte(o.link))
	if hash == hex.EncodeToString(sum[:]) {
		return o.token, nil
	}
	return store.OneTimeToken{}, store.ErrNotFound
}

func BenchmarkByCodeMiss(b *testing.B) {
	st := testdb.SQLite(b)
	box, err := seal.New([]byte(strings.Repeat("k", 32)))
	require.NoError(b, err)
	tokens := onetime.New(onetime.Config{
		Store: st, Now: time.Now, MAC: box.MAC, MACs: box.MACs, CodeLength: 6, LinkLife: time.Hour, CodeLife: time.Hour, MaxGuesses: 5, MaxPerHour: 20,
	})
	for b.Loop() {
		_, err := tokens.ByCode(b.Context(), address, "000000", onetime.Candidate{Purpose: store.PurposeRecovery})
		require.ErrorIs(b, err, onetime.ErrCode)
	}
}

// A code that a service made and checks is taken as any other: guesses are counted before
// the service is asked, and the first candidate that has a token counts.
func TestByService(t *testing.T) {
	b := open(t, func(c *onetime.Config) { c.MaxPerHour = 8 })
	asked := 0
	answer := func(right bool) func(context.Context) (bool, error) {
		return func(context.Context) (bool, error) { asked++; return right, nil }
	}
	one := onetime.Candidate{UserID: b.user, Purpose: store.PurposePhoneSignIn}
	two := onetime.Candidate{UserID: b.user, Purpose: store.PurposePhoneConfirmation}
	_, err := b.ByService(t.Context(), address, "123456", answer(true), one, two)
	require.ErrorIs(t, err, onetime.ErrCode, "nothing was sent from here")
	for _, p := range []store.Purpose{two.Purpose, one.Purpose} {
		require.NoError(t, b.IssueFixed(t.Context(), b.store, b.user, p, address, "", time.Minute))
	}
	_, err = b.ByCode(t.Context(), address, "", one, two)
	require.ErrorIs(t, err, onetime.ErrCode, "it has no code of ours, not even an empty one")
	_, err = b.ByService(t.Context(), "bob@example.com", "123456", answer(true), one, two)
	require.ErrorIs(t, err, onetime.ErrCode, "it was sent to another")
	_, err = b.ByService(t.Context(), address, "123456", answer(false), one, two)
	require.ErrorIs(t, err, onetime.ErrCode)
	row, err := b.ByService(t.Context(), address, "123456", answer(true), one, two)
	require.NoError(t, err)
	require.Equal(t, one.Purpose, row.Purpose)
	require.NoError(t, b.Take(t.Context(), b.store, row, onetime.ErrCode))
	require.NoError(t, b.IssueFixed(t.Context(), b.store, b.user, one.Purpose, address, "", time.Minute))
	down := errors.New("down")
	_, err = b.ByService(t.Context(), address, "123456", func(context.Context) (bool, error) { return false, down }, one)
	require.ErrorIs(t, err, down)

	before := asked
	for n := range 20 {
		_, err = b.ByService(t.Context(), address, "123456", answer(n >= 4), one) // right when it is too late
		require.ErrorIs(t, err, onetime.ErrCode)
	}
	require.Equal(t, 7, asked-before, "with the one before, the eight of the hour")
	*b.now = b.now.Add(2 * time.Hour)
	require.NoError(t, b.IssueFixed(t.Context(), b.store, b.user, one.Purpose, address, "", time.Minute))
	*b.now = b.now.Add(time.Minute)
	_, err = b.ByService(t.Context(), address, "123456", answer(true), one)
	require.ErrorIs(t, err, onetime.ErrCode, "it is too late")
}

// A code that a service has agreed to, which it does once, is as good as one of ours until
// it is taken: within its life and its budget of guesses, for its user and purpose, and
// for no other code.
func TestByServiceKeepsTheCode(t *testing.T) {
	b := open(t)
	asked := 0
	find := func(code string, right bool, candidates ...onetime.Candidate) (store.OneTimeToken, error) {
		return b.ByService(t.Context(), address, code, func(context.Context) (bool, error) { asked++; return right, nil }, candidates...)
	}
	c := onetime.Candidate{UserID: b.user, Purpose: store.PurposePhoneSignIn}
	other := onetime.Candidate{UserID: b.user, Purpose: store.PurposePhoneChange}
	for _, p := range []store.Purpose{c.Purpose, other.Purpose} {
		require.NoError(t, b.IssueFixed(t.Context(), b.store, b.user, p, address, "", time.Minute))
	}
	for range 4 {
		_, err := find("111111", false, c)
		require.ErrorIs(t, err, onetime.ErrCode)
	}
	for range 10 {
		_, err := find("123456", asked == 4, c)
		require.NoError(t, err)
	}
	require.Equal(t, 5, asked, "once for the code, however often it comes")
	row, err := b.store.OneTimeTokenOf(t.Context(), b.user, c.Purpose)
	require.NoError(t, err)
	require.NotContains(t, row.CodeMAC, "123456")
	_, err = find("123456", false, other)
	require.ErrorIs(t, err, onetime.ErrCode, "another purpose")
	_, err = find("123456", false, onetime.Candidate{Purpose: c.Purpose})
	require.ErrorIs(t, err, onetime.ErrCode, "nobody")

	row, err = find("123456", false, c)
	require.NoError(t, err)
	require.NoError(t, b.Take(t.Context(), b.store, row, onetime.ErrCode))
	_, err = find("123456", false, c)
	require.ErrorIs(t, err, onetime.ErrCode, "it was taken")

	require.NoError(t, b.IssueFixed(t.Context(), b.store, b.user, c.Purpose, address, "", time.Minute))
	_, err = find("123456", true, c)
	require.NoError(t, err)
	for range 5 {
		_, err = find("111111", false, c)
		require.ErrorIs(t, err, onetime.ErrCode)
	}
	_, err = find("123456", false, c)
	require.ErrorIs(t, err, onetime.ErrCode, "guessed at too often")

	*b.now = b.now.Add(time.Hour)
	require.NoError(t, b.IssueFixed(t.Context(), b.store, b.user, c.Purpose, address, "", time.Minute))
	_, err = find("123456", true, c)
	require.NoError(t, err)
	*b.now = b.now.Add(time.Minute)
	_, err = find("123456", false, c)
	require.ErrorIs(t, err, onetime.ErrCode, "its life is over")
}

// Of those who have a service agree to one code at once, one has it.
func TestByServiceRace(t *testing.T) {
	testdb.Each(t, func(t *testing.T, st store.Store) {
		b := open(t, func(c *onetime.Config) { c.Store, c.MaxGuesses, c.MaxPerHour = st, 100, 1000 })
		require.NoError(t, st.CreateUser(t.Context(), store.User{ID: b.user, Audience: "authenticated", Email: address, CreatedAt: *b.now, UpdatedAt: *b.now}))
		c := onetime.Candidate{UserID: b.user, Purpose: store.PurposePhoneSignIn}
		require.NoError(t, b.IssueFixed(t.Context(), st, b.user, c.Purpose, address, "", time.Minute))
		var all sync.WaitGroup
		var asked, taken atomic.Int32
		told := make(chan struct{})
		for range 10 {
			all.Go(func() {
				row, err := b.ByService(t.Context(), address, "123456", func(context.Context) (bool, error) {
					if asked.Add(1) == 10 {
						close(told)
					}
					select {
					case <-told: // all are told yes before the first of them goes on
					case <-time.After(time.Minute):
						return false, errors.New("the others didn't ask")
					}
					return true, nil
				}, c)
				if err == nil {
					err = b.Take(t.Context(), st, row, onetime.ErrCode)
				}
				if err == nil {
					taken.Add(1)
					return
				}
				assert.ErrorIs(t, err, onetime.ErrCode)
			})
		}
		all.Wait()
		require.EqualValues(t, 1, taken.Load())
	})
}

func TestIssueCode(t *testing.T) {
	b := open(t)
	c := onetime.Candidate{UserID: b.user, Purpose: store.PurposePhoneSignIn}
	code, err := b.IssueCode(t.Context(), b.store, b.user, c.Purpose, address)
	require.NoError(t, err)
	require.Len(t, code, 6)
	row, err := b.ByCode(t.Context(), address, code, c)
	require.NoError(t, err)
	require.Empty(t, row.LinkHash)
	require.NoError(t, b.IssueFixed(t.Context(), b.store, b.user, c.Purpose, address, "123456", 24*time.Hour))
	*b.now = b.now.Add(23 * time.Hour)
	row, err = b.ByCode(t.Context(), address, "123456", c)
	require.NoError(t, err)
	require.NoError(t, b.Take(t.Context(), b.store, row, onetime.ErrCode))
	_, err = b.ByCode(t.Context(), address, "123456", c)
	require.ErrorIs(t, err, onetime.ErrCode)
}
