package storetest

import (
	"testing"

	"github.com/truekeel/auth/store"
)

// testMigrator migrates a store that is up to date, again and from several goroutines.
func testMigrator(t *testing.T, st store.Store) {
	m, ok := st.(store.Migrator)
	if !ok {
		t.Skip("the store is no store.Migrator")
	}
	ctx := t.Context()
	u := addUser(t, st)
	check(t, m.Migrate(ctx))
	together(4, func(i int) {
		if err := m.Migrate(ctx); err != nil {
			t.Errorf("racer %d: %v", i, err)
		}
	})
	have, want, err := m.MigrationStatus(ctx)
	if err != nil || have != want || want <= 0 {
		t.Errorf("MigrationStatus: have %d, want %d (%v)", have, want, err)
	}
	got, err := st.User(ctx, u.ID)
	wantRow(t, "a row from before", got, err, u)
	check(t, st.Ping(ctx))
}
