package config_test

import (
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/truekeel/auth/internal/testdb"
	"github.com/truekeel/auth/store"
)

// No more connections are open than DB_MAX_POOL_SIZE says: who wants another waits.
func TestPoolSize(t *testing.T) {
	for name, dsn := range map[string]func(t *testing.T) string{
		"postgres": func(t *testing.T) string { return testdb.PostgresDSN(t) },
		"mysql":    func(t *testing.T) string { return testdb.MySQLDSN(t) },
	} {
		t.Run(name, func(t *testing.T) {
			const size = 3
			c := parse(t, "GOTRUE_DB_DRIVER="+name, "DATABASE_URL="+dsn(t), "GOTRUE_DB_MAX_POOL_SIZE=3")
			s, err := c.DB.Open(t.Context(), slog.New(slog.DiscardHandler))
			require.NoError(t, err)
			defer s.Close()
			entered, leave := make(chan struct{}, 2*size), make(chan struct{})
			var wg sync.WaitGroup
			for range 2 * size {
				wg.Go(func() {
					err := s.Tx(t.Context(), func(store.Store) error {
						entered <- struct{}{}
						<-leave
						return nil
					})
					if err != nil {
						t.Error(err)
					}
				})
			}
			for range size {
				<-entered
			}
			select {
			case <-entered:
				t.Error("one too many")
			case <-time.After(100 * time.Millisecond): // it can't come too early, only be missed
			}
			close(leave)
			wg.Wait()
		})
	}
}
