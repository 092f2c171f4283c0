package sqlite_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/truekeel/auth/store"
	"github.com/truekeel/auth/store/sqlite"
)

// accountsVar says how many accounts the larger database of BenchmarkListUsers has. The
// smaller one has a hundredth of them.
const accountsVar = "TRUEKEEL_BENCH_ACCOUNTS"

// filled gives a database with n accounts, a second apart.
func filled(b *testing.B, n int) *sqlite.Store {
	b.Helper()
	s, err := sqlite.OpenTemp(sqlite.WithBudget(time.Minute))
	require.NoError(b, err)
	b.Cleanup(func() { _ = s.Close() })
	begin := time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)
	const batch = 5000
	for from := 0; from < n; from += batch {
		require.NoError(b, s.Tx(b.Context(), func(tx store.Store) error {
			for i := from; i < min(from+batch, n); i++ {
				at := begin.Add(time.Duration(i) * time.Second)
				u := store.User{
					Audience: "authenticated", Role: "authenticated", Email: fmt.Sprintf("person%07d@example%d.com", i, i%97),
					EmailConfirmedAt: at, PasswordHash: "$2a$10$0123456789012345678901uDgBqV8lYzQ8b7P0c1n8e1m2o3p4q5r6", CreatedAt: at, UpdatedAt: at,
					UserMetadata: store.Object{"full_name": []byte(fmt.Sprintf(`"Person Number %d"`, i))},
				}
				u.ID[6], u.ID[8] = 0x70, 0x80
				binary.BigEndian.PutUint32(u.ID[:4], uint32(i))
				if err := tx.CreateUser(b.Context(), u); err != nil {
					return err
				}
			}
			return nil
		}))
	}
	return s
}

// listing is a way to ask for a page, in a database with n accounts.
type listing struct {
	name string
	ask  func(ctx context.Context, s *sqlite.Store, n int) (rows int, err error)
}

func listings() []listing {
	page := func(q func(n int) store.UserQuery) func(context.Context, *sqlite.Store, int) (int, error) {
		return func(ctx context.Context, s *sqlite.Store, n int) (int, error) {
			rows, err := s.ListUsers(ctx, q(n))
			return len(rows), err
		}
	}
	const aud = "authenticated"
	return []listing{
		{"page1", page(func(int) store.UserQuery { return store.UserQuery{Audience: aud} })},
		{"keyset-middle", page(func(n int) store.UserQuery {
			at := time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(n/2) * time.Second)
			return store.UserQuery{Audience: aud, After: store.UserKey{CreatedAt: at, ID: uuid.Max}}
		})},
		// Page 10,000 of 50, or the last one of a smaller database.
		{"offset-page10000", page(func(n int) store.UserQuery {
			return store.UserQuery{Audience: aud, Offset: max(0, min(9999*50, n-50))}
		})},
		{"filter-one", page(func(n int) store.UserQuery {
			return store.UserQuery{Audience: aud, Filter: fmt.Sprintf("person%07d@", n/2)}
		})},
		{"filter-many", page(func(int) store.UserQuery { return store.UserQuery{Audience: aud, Filter: "@example7.com"} })},
		{"count", func(ctx context.Context, s *sqlite.Store, _ int) (int, error) {
			n, err := s.CountUsers(ctx, store.UserQuery{Audience: aud})
			return int(min(n, 1)), err
		}},
	}
}

// BenchmarkListUsers compares pages of a database with those of one a hundred times its
// size: the ratio of keyset paging must stay near 1. The databases take turns, so that a
// busy machine slows both.
func BenchmarkListUsers(b *testing.B) {
	large := 100_000
	if text := os.Getenv(accountsVar); text != "" {
		var err error
		large, err = strconv.Atoi(text)
		require.NoError(b, err, accountsVar)
	}
	sizes := []int{large / 100, large}
	stores := []*sqlite.Store{filled(b, sizes[0]), filled(b, sizes[1])}
	for _, l := range listings() {
		b.Run(l.name, func(b *testing.B) {
			took := [2][]time.Duration{}
			for b.Loop() {
				for i, s := range stores {
					start := time.Now()
					rows, err := l.ask(b.Context(), s, sizes[i])
					took[i] = append(took[i], time.Since(start))
					require.NoError(b, err)
					require.Positive(b, rows)
				}
			}
			small, big := median(took[0]), median(took[1])
			b.ReportMetric(float64(small.Microseconds()), "small-µs")
			b.ReportMetric(float64(big.Microseconds()), "large-µs")
			b.ReportMetric(float64(big)/float64(small), "ratio")
		})
	}
}

func median(d []time.Duration) time.Duration {
	slices.Sort(d)
	return d[len(d)/2]
}
