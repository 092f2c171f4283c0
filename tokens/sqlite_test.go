package tokens_test

import (
	"context"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/truekeel/auth/store/sqlite"
	"github.com/truekeel/auth/tokens"
)

// Keyrings over several handles of one real database: the fake keeps the same promises.
func TestKeyringsOnSQLite(t *testing.T) {
	path := filepath.Join(t.TempDir(), "auth.db")
	c := newClock()
	rings := make([]*tokens.Keyring, 4)
	var wg sync.WaitGroup
	for i := range rings {
		s, err := sqlite.Open(path)
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, s.Close()) })
		require.NoError(t, s.Migrate(t.Context()))
		wg.Go(func() {
			k, err := tokens.NewKeyring(context.Background(), tokens.KeyringConfig{Store: s, Box: testBox(t), PollEvery: -1, Now: c.Now})
			if err != nil {
				t.Error(err)
				return
			}
			rings[i] = k
		})
	}
	wg.Wait()
	require.False(t, t.Failed())
	first := issue(t, rings[0], sampleClaims(c))
	c.Add(time.Second)
	next, err := rings[1].Rotate(t.Context())
	require.NoError(t, err)
	c.Add(15 * time.Minute)
	for _, k := range rings {
		wg.Go(func() {
			if err := k.Reload(context.Background()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for _, k := range rings {
		require.Equal(t, next.ID, signerID(k))
		_, err := verifier(k, c).Verify(t.Context(), first)
		require.NoError(t, err)
	}

	// The grace counts from the promotion as the database keeps it.
	c.Add(65*time.Minute + time.Second)
	require.NoError(t, rings[2].Reload(t.Context()))
	list, err := rings[3].Keys(t.Context())
	require.NoError(t, err)
	require.Len(t, list, 2)
	require.Equal(t, c.Now(), list[0].RetiredAt)
	require.Equal(t, next.CreatedAt.Add(15*time.Minute), list[1].ActivatedAt)
}
