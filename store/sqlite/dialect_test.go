package sqlite

import (
	"database/sql"
	"errors"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// provoke makes SQLite say what it says.
func provoke(t *testing.T, query string, statements ...string) error {
	t.Helper()
	path := filepath.Join(t.TempDir(), "a.db")
	setup, err := sql.Open("sqlite", path)
	require.NoError(t, err)
	_, err = setup.ExecContext(t.Context(), `CREATE TABLE t (k TEXT PRIMARY KEY, n INTEGER UNIQUE NOT NULL,
		parent TEXT REFERENCES t (k))`)
	require.NoError(t, err)
	require.NoError(t, setup.Close())
	db, err := sql.Open("sqlite", "file:"+path+"?"+query)
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	db.SetMaxOpenConns(1)
	for i, s := range statements {
		_, err := db.ExecContext(t.Context(), s)
		if i == len(statements)-1 {
			require.Error(t, err)
			return err
		}
		require.NoError(t, err)
	}
	return errors.New("nothing was provoked")
}

func TestErrors(t *testing.T) {
	const row = `INSERT INTO t (k, n) VALUES ('a', 1)`
	for _, c := range []struct {
		name                     string
		err                      error
		duplicate, orphan, later bool
		remedy                   string
	}{
		{"primary key", provoke(t, "", row, `INSERT INTO t (k, n) VALUES ('a', 2)`), true, false, false, ""},
		{"unique", provoke(t, "", row, `INSERT INTO t (k, n) VALUES ('b', 1)`), true, false, false, ""},
		{"foreign key", provoke(t, "_fk=1", `INSERT INTO t (k, n, parent) VALUES ('a', 1, 'b')`), false, true, false, ""},
		{"not null", provoke(t, "", `INSERT INTO t (k) VALUES ('a')`), false, false, false, ""},
		{"syntax", provoke(t, "", `SELEC`), false, false, false, ""},
		{"read-only file", provoke(t, "mode=ro", row), false, false, true, "read-only"},
		{"full", provoke(t, "_pragma=max_page_count(3)", `INSERT INTO t (k, n) VALUES (zeroblob(100000), 1)`),
			false, false, true, "disk is full"},
		{"another driver's duplicate", errors.New("UNIQUE constraint failed: t.k"), true, false, false, ""},
		{"another driver's orphan", errors.New("FOREIGN KEY constraint failed"), false, true, false, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			assert.Equal(t, c.duplicate, isDuplicate(c.err), "duplicate: %v", c.err)
			assert.Equal(t, c.orphan, isMissingParent(c.err), "orphan: %v", c.err)
			assert.Equal(t, c.later, isUnavailable(c.err), "unavailable: %v", c.err)
			explained := explain("/data/auth.db", c.err)
			require.ErrorIs(t, explained, c.err)
			if c.remedy == "" {
				assert.Equal(t, c.err, explained)
				return
			}
			assert.ErrorContains(t, explained, "/data/auth.db")
			assert.ErrorContains(t, explained, c.remedy)
		})
	}
}
