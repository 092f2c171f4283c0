package sqlite_test

import (
	"context"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/truekeel/auth/store"
	"github.com/truekeel/auth/store/sqlite"
)

// signIn is a transaction of four statements, such as a sign-in or a refresh is.
func signIn(ctx context.Context, s store.Store, user uuid.UUID, now time.Time) error {
	return s.Tx(ctx, func(tx store.Store) error {
		u, err := tx.User(ctx, user)
		if err != nil {
			return err
		}
		v := store.Session{ID: uuid.Must(uuid.NewV7()), UserID: u.ID, Kind: "gotrue", AAL: "aal1", CreatedAt: now}
		if err := tx.CreateSession(ctx, v); err != nil {
			return err
		}
		t := store.RefreshToken{Hash: uuid.NewString(), SessionID: v.ID, UserID: u.ID, Seq: 1, CreatedAt: now}
		if err := tx.CreateRefreshToken(ctx, t); err != nil {
			return err
		}
		return tx.AddAuditEntry(ctx, store.AuditEntry{ID: v.ID, Action: "login", ActorID: u.ID, CreatedAt: now})
	})
}

// together runs n sign-ins, so many at a time.
func together(b *testing.B, s store.Store, user uuid.UUID, n, atATime int) {
	var next atomic.Int64
	var wg sync.WaitGroup
	for range atATime {
		wg.Go(func() {
			for next.Add(1) <= int64(n) {
				if err := signIn(b.Context(), s, user, start); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
}

// start is the time in these tests.
var start = time.Date(2026, time.March, 4, 5, 6, 7, 8000, time.UTC)

func newUser(email string) store.User {
	return store.User{
		ID: uuid.Must(uuid.NewV7()), Audience: "authenticated", Role: "authenticated",
		Email: email, EmailConfirmedAt: start, PasswordHash: "$2a$10$abcdefghijklmnopqrstuv",
		AppMetadata:  store.MakeObject(map[string]any{"provider": "email", "providers": []string{"email"}}),
		UserMetadata: store.MakeObject(map[string]any{"full_name": "Ann Example"}),
		CreatedAt:    start, UpdatedAt: start,
	}
}

// BenchmarkWriter compares transactions of four statements, 64 at a time, with the same
// one at a time. Its metric "x" is how many times the throughput is higher.
func BenchmarkWriter(b *testing.B) {
	s := benchStore(b)
	u := newUser("a@example.com")
	require.NoError(b, s.CreateUser(b.Context(), u))
	measure := func(n, atATime int) time.Duration {
		began := time.Now()
		together(b, s, u.ID, n, atATime)
		return time.Since(began)
	}
	measure(64, 64) // fills the caches
	// Turn by turn, so that the file's growth and the machine's load are alike for both.
	const few, many = 32, 512
	var alone, grouped time.Duration
	rounds := 0
	for ; b.Loop(); rounds++ {
		alone += measure(few, 1)
		grouped += measure(many, 64)
	}
	one := float64(rounds*few) / alone.Seconds()
	sixtyFour := float64(rounds*many) / grouped.Seconds()
	b.ReportMetric(one, "alone-tx/s")
	b.ReportMetric(sixtyFour, "grouped-tx/s")
	b.ReportMetric(sixtyFour/one, "x")
}

func benchStore(b *testing.B) *sqlite.Store {
	b.Helper()
	s, err := sqlite.Open(filepath.Join(b.TempDir(), "auth.db"))
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, s.Close()) })
	require.NoError(b, s.Migrate(b.Context()))
	return s
}

// BenchmarkRead reads a user by id, on all processors.
func BenchmarkRead(b *testing.B) {
	s := benchStore(b)
	u := newUser("a@example.com")
	require.NoError(b, s.CreateUser(b.Context(), u))
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := s.User(b.Context(), u.ID); err != nil {
				b.Error(err)
			}
		}
	})
}
