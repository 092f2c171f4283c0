package auth_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"math"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/truekeel/auth"
	"github.com/truekeel/auth/store"
)

// callCount counts what requests ask of a store, by sort. What the worker that delivers
// mails asks isn't counted: nobody waits for it.
type callCount struct {
	mu sync.Mutex
	n  map[string]int
}

func (c *callCount) add(what string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.n == nil {
		c.n = map[string]int{}
	}
	c.n[what]++
}

// taken gives the counts since the last call.
func (c *callCount) taken() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := c.n
	c.n = nil
	return n
}

func (c *callCount) total() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	sum := 0
	for _, n := range c.n {
		sum += n
	}
	return sum
}

// countingStore is a store that counts.
type countingStore struct {
	store.Store
	calls *callCount
}

func (s *countingStore) Tx(ctx context.Context, fn func(store.Store) error) error {
	s.calls.add("transactions")
	return s.Store.Tx(ctx, func(tx store.Store) error { return fn(&countingStore{tx, s.calls}) })
}

func (s *countingStore) read()  { s.calls.add("reads") }
func (s *countingStore) write() { s.calls.add("writes") }

func (s *countingStore) User(ctx context.Context, id uuid.UUID) (store.User, error) {
	s.read()
	return s.Store.User(ctx, id)
}

func (s *countingStore) UserByEmail(ctx context.Context, aud, email string) (store.User, error) {
	s.read()
	return s.Store.UserByEmail(ctx, aud, email)
}

func (s *countingStore) UserByPhone(ctx context.Context, aud, phone string) (store.User, error) {
	s.read()
	return s.Store.UserByPhone(ctx, aud, phone)
}

func (s *countingStore) IdentitiesOf(ctx context.Context, id uuid.UUID) ([]store.Identity, error) {
	s.read()
	return s.Store.IdentitiesOf(ctx, id)
}

func (s *countingStore) IdentitiesByEmail(ctx context.Context, email string) ([]store.Identity, error) {
	s.read()
	return s.Store.IdentitiesByEmail(ctx, email)
}

func (s *countingStore) OneTimeTokenByLink(ctx context.Context, hash string) (store.OneTimeToken, error) {
	s.read()
	return s.Store.OneTimeTokenByLink(ctx, hash)
}

func (s *countingStore) OneTimeTokenOf(ctx context.Context, id uuid.UUID, p store.Purpose) (store.OneTimeToken, error) {
	s.read()
	return s.Store.OneTimeTokenOf(ctx, id, p)
}

func (s *countingStore) OneTimeTokensTo(ctx context.Context, to string, p store.Purpose) ([]store.OneTimeToken, error) {
	s.read()
	return s.Store.OneTimeTokensTo(ctx, to, p)
}

func (s *countingStore) Counted(ctx context.Context, key string, now time.Time) (int64, time.Time, error) {
	s.read()
	return s.Store.Counted(ctx, key, now)
}

func (s *countingStore) CreateUser(ctx context.Context, u store.User) error {
	s.write()
	return s.Store.CreateUser(ctx, u)
}

func (s *countingStore) UpdateUser(ctx context.Context, u *store.User) error {
	s.write()
	return s.Store.UpdateUser(ctx, u)
}

func (s *countingStore) CreateIdentity(ctx context.Context, i store.Identity) error {
	s.write()
	return s.Store.CreateIdentity(ctx, i)
}

func (s *countingStore) PutOneTimeToken(ctx context.Context, t store.OneTimeToken) error {
	s.write()
	return s.Store.PutOneTimeToken(ctx, t)
}

func (s *countingStore) CountAttempt(ctx context.Context, id uuid.UUID, limit int) (bool, error) {
	s.write()
	return s.Store.CountAttempt(ctx, id, limit)
}

func (s *countingStore) CreateFlowState(ctx context.Context, f store.FlowState) error {
	s.write()
	return s.Store.CreateFlowState(ctx, f)
}

func (s *countingStore) AddAuditEntry(ctx context.Context, e store.AuditEntry) error {
	s.write()
	return s.Store.AddAuditEntry(ctx, e)
}

func (s *countingStore) AddOutboxItem(ctx context.Context, i store.OutboxItem) error {
	s.calls.add("outbox rows")
	return s.Store.AddOutboxItem(ctx, i)
}

func (s *countingStore) Count(ctx context.Context, key string, now, expires time.Time) (int64, time.Time, error) {
	s.write()
	return s.Store.Count(ctx, key, now, expires)
}

func (s *countingStore) DropCounter(ctx context.Context, key string) error {
	s.write()
	return s.Store.DropCounter(ctx, key)
}

// openCounted opens a door whose store counts.
func openCounted(t testing.TB, opts ...auth.Option) (*door, *callCount) {
	t.Helper()
	s := &countingStore{Store: fresh(t), calls: new(callCount)}
	return open(t, append([]auth.Option{auth.WithStore(s)}, opts...)...), s.calls
}

// workOf counts what a request asks of the store, and the passwords that it hashes.
func (d *door) workOf(calls *callCount, request func()) map[string]int {
	calls.taken()
	before := d.Auth.Hashes()
	request()
	work := calls.taken()
	if work == nil {
		work = map[string]int{}
	}
	work["hashes"] = int(d.Auth.Hashes() - before)
	return work
}

// asks are the requests that must not tell whether an address has an account.
func asks() map[string]struct {
	path string
	body func(email string) map[string]any
} {
	type ask = struct {
		path string
		body func(email string) map[string]any
	}
	plain := func(more map[string]any) func(string) map[string]any {
		return func(email string) map[string]any {
			body := map[string]any{"email": email}
			for k, v := range more {
				body[k] = v
			}
			return body
		}
	}
	with := func(more map[string]any) func(string) map[string]any {
		return func(email string) map[string]any { return withChallenge(plain(more)(email)) }
	}
	return map[string]ask{
		"recover":               {"/recover", plain(nil)},
		"recover, pkce":         {"/recover", with(nil)},
		"otp, create no":        {"/otp", plain(map[string]any{"create_user": false})},
		"otp, create no, pkce":  {"/otp", with(map[string]any{"create_user": false})},
		"resend signup":         {"/resend", plain(map[string]any{"type": "signup"})},
		"resend signup, pkce":   {"/resend", with(map[string]any{"type": "signup"})},
		"resend email change":   {"/resend", plain(map[string]any{"type": "email_change"})},
		"otp":                   {"/otp", plain(nil)},
		"otp, pkce":             {"/otp", with(map[string]any{"data": map[string]any{"a": 1}})},
		"magiclink":             {"/magiclink", plain(nil)},
		"signup":                {"/signup", plain(map[string]any{"password": goodPassword, "data": map[string]any{"name": "A"}})},
		"signup, pkce":          {"/signup", with(map[string]any{"password": goodPassword})},
		"signup, weak password": {"/signup", plain(map[string]any{"password": "short"})},
	}
}

// Known and unknown addresses get the same answers, byte for byte but for ids, times
// and the address itself, the first time and too soon after that.
func TestNoEnumerationByAnswers(t *testing.T) {
	sequential(t)
	for name, ask := range asks() {
		t.Run(name, func(t *testing.T) {
			d := open(t)
			d.confirmed("known@example.com")
			d.post("/signup", map[string]any{"email": "halfway@example.com", "password": goodPassword}).want(http.StatusOK, nil)
			in := d.signUp("changing@example.com")
			d.send(http.MethodPut, "/user", map[string]any{"email": "next@example.com"}, bearer(in.AccessToken)).want(http.StatusOK, nil)
			d.Clock.Advance(2 * time.Hour)
			for _, h := range [][]header{nil, {versioned()}} {
				var want [2]answer
				for _, email := range []string{"unknown@example.com", "known@example.com", "halfway@example.com", "changing@example.com"} {
					for i := range want {
						got := d.post(ask.path, ask.body(email), h...)
						if want[i].Body == nil {
							want[i] = got
						}
						require.Equal(t, want[i].Status, got.Status, email)
						require.Equal(t, sameButIDs(want[i], "unknown@example.com"), sameButIDs(got, email), email)
						require.Equal(t, headersOf(want[i]), headersOf(got), email)
					}
				}
				d.Clock.Advance(2 * time.Hour)
			}
		})
	}
}

// headersOf are an answer's headers without its date and length.
func headersOf(a answer) http.Header {
	h := a.Header.Clone()
	h.Del("Date")
	h.Del("Content-Length")
	return h
}

// With sign-up switched off the answer tells nothing either.
func TestNoEnumerationWithoutSignUp(t *testing.T) {
	d := open(t, auth.WithSignUp(false))
	d.confirmed("known@example.com")
	for _, email := range []string{"known@example.com", "unknown@example.com"} {
		a := d.post("/otp", map[string]any{"email": email})
		require.Equal(t, "200 {}", fmt.Sprint(a.Status, " ", string(a.Body)))
	}
	require.Empty(t, d.mailsTo("unknown@example.com"))
	require.Len(t, d.mailsTo("known@example.com"), 1)
}

// GoTrue's answers are there for those who want them.
func TestVisibleUnknownAddresses(t *testing.T) {
	d := open(t, auth.WithVisibleDuplicates())
	a := d.post("/otp", map[string]any{"email": "unknown@example.com", "create_user": false}).wantFault(http.StatusUnprocessableEntity, "otp_disabled")
	require.Equal(t, "Signups not allowed for otp", a.object()["msg"])
	d = open(t, auth.WithVisibleDuplicates(), auth.WithSignUp(false))
	d.post("/magiclink", map[string]any{"email": "unknown@example.com"}).wantFault(http.StatusUnprocessableEntity, "signup_disabled")
}

// Where nothing is made, a request for an unknown address asks the same of the store as
// one for a known address, and its duration can't tell them apart. The work is counted,
// as a clock would only add noise: up to 200 samples of each, compared by Welch's t-test.
func TestNoEnumerationByWork(t *testing.T) {
	sequential(t)
	for name, samples := range map[string]int{
		"recover": 200, "otp, create no": 200, "resend signup": 200,
		"recover, pkce": 20, "otp, create no, pkce": 20, "resend signup, pkce": 20,
	} {
		t.Run(name, func(t *testing.T) {
			ask := asks()[name]
			d, calls := openCounted(t)
			var known, unknown []float64
			for i := range samples {
				email := fmt.Sprintf("known%d@example.com", i)
				if ask.path == "/resend" {
					d.post("/signup", map[string]any{"email": email, "password": goodPassword}).want(http.StatusOK, nil)
					d.pass()
				} else {
					d.confirmed(email)
				}
				k := d.workOf(calls, func() { d.post(ask.path, ask.body(email)).want(http.StatusOK, nil) })
				u := d.workOf(calls, func() {
					d.post(ask.path, ask.body(fmt.Sprintf("nobody%d@example.com", i))).want(http.StatusOK, nil)
				})
				require.Equal(t, k, u, "by sort")
				known, unknown = append(known, sum(k)), append(unknown, sum(u))
			}
			require.Less(t, math.Abs(welch(known, unknown)), 1.97, "5%% at 398 degrees of freedom, a little less at 38")
		})
	}
}

// Where an account is made on the way, transactions, hashes and mails are the same.
func TestNoEnumerationByCreation(t *testing.T) {
	d, calls := openCounted(t)
	for name, ask := range asks() {
		if ask.path != "/otp" && ask.path != "/magiclink" && ask.path != "/signup" {
			continue
		}
		domain := fmt.Sprintf("%x.example", sha256.Sum224([]byte(name)))
		d.confirmed("known@" + domain)
		var a, b answer
		k := d.workOf(calls, func() { a = d.post(ask.path, ask.body("known@"+domain)) })
		u := d.workOf(calls, func() { b = d.post(ask.path, ask.body("unknown@"+domain)) })
		require.Equal(t, a.Status, b.Status)
		for _, sort := range []string{"hashes", "transactions", "outbox rows"} {
			require.Equal(t, k[sort], u[sort], "%s: %s", name, sort)
		}
	}
}

// Nor does it show whether a change of address is pending.
func TestNoEnumerationOfPendingChanges(t *testing.T) {
	for _, secure := range []bool{true, false} {
		d, calls := openCounted(t, auth.WithSecureEmailChange(secure))
		d.confirmed("idle@example.com")
		in := d.signUp("changing@example.com")
		d.send(http.MethodPut, "/user", map[string]any{"email": "next@example.com"}, bearer(in.AccessToken)).want(http.StatusOK, nil)
		d.pass()
		var want map[string]int
		for _, email := range []string{"changing@example.com", "idle@example.com", "unknown@example.com"} {
			got := d.workOf(calls, func() {
				d.post("/resend", withChallenge(map[string]any{"type": "email_change", "email": email})).want(http.StatusOK, nil)
			})
			if want == nil {
				want = got
			}
			for _, sort := range []string{"hashes", "transactions", "outbox rows", "reads"} {
				require.Equal(t, want[sort], got[sort], "%s %s", email, sort)
			}
		}
	}
}

// A guess for an address without an account asks the same of the store.
func TestNoEnumerationByGuesses(t *testing.T) {
	d, calls := openCounted(t)
	d.confirmed("idle@example.com")
	d.confirmed("waiting@example.com")
	d.post("/recover", map[string]any{"email": "waiting@example.com"}).want(http.StatusOK, nil)
	code := d.LastMail("waiting@example.com").Code()
	for _, kind := range []string{"signup", "invite", "recovery", "magiclink", "email", "email_change"} {
		var want map[string]int
		for _, email := range []string{"unknown@example.com", "idle@example.com", "waiting@example.com"} {
			got := d.workOf(calls, func() { d.byCode(kind, email, other(code)).wantCodeError() })
			if want == nil {
				want = got
			}
			require.Equal(t, want, got, "%s %s", kind, email)
		}
	}
}

func sum(counts map[string]int) float64 {
	total := 0
	for _, n := range counts {
		total += n
	}
	return float64(total)
}

// welch is the t statistic of two samples: 0 for equal means, however small the
// variances are.
func welch(a, b []float64) float64 {
	meanA, varA := moments(a)
	meanB, varB := moments(b)
	if meanA == meanB {
		return 0
	}
	return (meanA - meanB) / math.Sqrt(varA/float64(len(a))+varB/float64(len(b)))
}

func moments(x []float64) (mean, variance float64) {
	for _, v := range x {
		mean += v / float64(len(x))
	}
	for _, v := range x {
		variance += (v - mean) * (v - mean) / float64(len(x)-1)
	}
	return mean, variance
}
