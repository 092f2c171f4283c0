package testdb_test

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/truekeel/auth/internal/testdb"
	"github.com/truekeel/auth/store"
	"github.com/truekeel/auth/store/sqlite"
)

// workers is how many callers the benchmarks have at once.
const workers = 32

// BenchmarkStores measures what a refresh and what a GET /user ask of each store, by 32
// callers at once, each with a session of its own.
func BenchmarkStores(b *testing.B) {
	for name, open := range map[string]func(testing.TB) store.Store{
		"sqlite": durableSQLite, "postgres": testdb.Postgres, "mysql": testdb.MySQL,
	} {
		b.Run(name, func(b *testing.B) {
			st := open(b)
			b.Run("refresh", func(b *testing.B) { parallel(b, st, refresh) })
			b.Run("user", func(b *testing.B) { parallel(b, st, readUser) })
		})
	}
}

// durableSQLite opens a file that is synced, unlike the throw-away ones.
func durableSQLite(tb testing.TB) store.Store {
	tb.Helper()
	st, err := sqlite.Open(filepath.Join(tb.TempDir(), "auth.db"))
	require.NoError(tb, err)
	tb.Cleanup(func() { require.NoError(tb, st.Close()) })
	require.NoError(tb, st.Migrate(context.Background()))
	return st
}

// parallel shares b.N calls among the workers.
func parallel(b *testing.B, st store.Store, call func(context.Context, store.Store, *store.Session) error) {
	sessions := make(chan *store.Session, workers)
	for range workers {
		sessions <- addSession(b, st)
	}
	b.SetParallelism((workers + 1) / 2) // times GOMAXPROCS; the channel admits 32
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			s := <-sessions
			if err := call(b.Context(), st, s); err != nil {
				b.Error(err)
			}
			sessions <- s
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "calls/s")
}

func addSession(b *testing.B, st store.Store) *store.Session {
	b.Helper()
	now := time.Unix(1_800_000_000, 0)
	u := store.User{ID: uuid.New(), Audience: "authenticated", Email: uuid.NewString(), CreatedAt: now, UpdatedAt: now}
	s := &store.Session{ID: uuid.New(), UserID: u.ID, Kind: "gotrue", AAL: "aal1", CreatedAt: now, UpdatedAt: now}
	if err := errors.Join(st.CreateUser(b.Context(), u), st.CreateSession(b.Context(), *s)); err != nil {
		b.Fatal(err)
	}
	return s
}

// refresh rotates the session's token.
func refresh(ctx context.Context, st store.Store, s *store.Session) error {
	err := st.Tx(ctx, func(tx store.Store) error {
		if _, err := tx.User(ctx, s.UserID); err != nil {
			return err
		}
		next := *s
		next.RefreshSeq++
		if ok, err := tx.UpdateSession(ctx, next, s.RefreshSeq); err != nil || !ok {
			return errors.Join(err, errors.New("the session wasn't updated"))
		}
		return tx.CreateRefreshToken(ctx, store.RefreshToken{
			Hash: uuid.NewString(), SessionID: s.ID, UserID: s.UserID, Seq: next.RefreshSeq, CreatedAt: s.CreatedAt,
		})
	})
	if err == nil {
		s.RefreshSeq++
	}
	return err
}

func readUser(ctx context.Context, st store.Store, s *store.Session) error {
	_, err := st.Session(ctx, s.ID)
	_, err2 := st.User(ctx, s.UserID)
	return errors.Join(err, err2)
}
