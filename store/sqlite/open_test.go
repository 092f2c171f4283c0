package sqlite_test

import (
	"database/sql"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/truekeel/auth/store"
	"github.com/truekeel/auth/store/sqlite"
)

func TestOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	text := filepath.Join(dir, "notes.txt")
	require.NoError(t, os.WriteFile(text, []byte(strings.Repeat("no database, but long enough\n", 100)), 0o600))
	for _, c := range []struct {
		name, path string
		opts       []sqlite.Option
		want       []string
	}{
		{"no path", "", nil, []string{"path of a file"}},
		{"memory", ":memory:", nil, []string{"OpenTemp"}},
		{"dsn", "file:auth.db?mode=memory", nil, []string{"path of a file"}},
		{"no directory", filepath.Join(dir, "missing", "auth.db"), nil, []string{"missing", "directory must exist"}},
		{"directory", dir, nil, []string{dir, "is a directory"}},
		{"below a file", filepath.Join(text, "auth.db"), nil, []string{text}},
		{"no database", text, nil, []string{text, "no SQLite database"}},
		{"prefix", filepath.Join(dir, "a.db"), []sqlite.Option{sqlite.WithPrefix("a-b")}, []string{`"a-b"`}},
		{"prefix's start", filepath.Join(dir, "a.db"), []sqlite.Option{sqlite.WithPrefix("1a")}, []string{`"1a"`}},
		{"readers", filepath.Join(dir, "a.db"), []sqlite.Option{sqlite.WithReaders(0)}, []string{"WithReaders"}},
		{"budget", filepath.Join(dir, "a.db"), []sqlite.Option{sqlite.WithBudget(0)}, []string{"WithBudget"}},
		{"wait", filepath.Join(dir, "a.db"), []sqlite.Option{sqlite.WithLockWait(-1)}, []string{"WithLockWait"}},
		{"logger", filepath.Join(dir, "a.db"), []sqlite.Option{sqlite.WithLogger(nil)}, []string{"WithLogger"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := sqlite.Open(c.path, c.opts...)
			require.Error(t, err)
			for _, part := range c.want {
				require.ErrorContains(t, err, part)
			}
		})
	}
	left, err := os.ReadFile(text)
	require.NoError(t, err)
	assert.True(t, strings.HasPrefix(string(left), "no database"), "what isn't ours stays as it is")
}

func TestOpenMode(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no modes there")
	}
	path := filepath.Join(t.TempDir(), "auth.db")
	s := openAt(t, path)
	require.NoError(t, s.PutSetting(t.Context(), "a", nil))
	files, err := filepath.Glob(path + "*")
	require.NoError(t, err)
	require.Len(t, files, 5, "database, WAL, its index, two locks: %v", files)
	for _, f := range files {
		info, err := os.Stat(f)
		require.NoError(t, err)
		assert.Equal(t, os.FileMode(0o600), info.Mode().Perm(), f)
	}
}

func TestOpenStrangePaths(t *testing.T) {
	for _, name := range []string{"a b.db", "what?.db", "100%.db", "50%25.db", "a#b.db", "a&b=c.db", "ü+'\".db"} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), name)
			s := openAt(t, path)
			require.NoError(t, s.PutSetting(t.Context(), "a", []byte("1")))
			assert.Equal(t, path, s.Path())
			_, err := os.Stat(path)
			require.NoError(t, err)
		})
	}
}

// The program may change its directory, and links lead to one lock.
func TestOpenRelativeAndLinked(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	s := openAt(t, "auth.db", sqlite.WithReaders(2))
	t.Chdir(t.TempDir())
	require.NoError(t, s.PutSetting(t.Context(), "a", []byte("1")))
	require.NoError(t, s.Ping(t.Context()))

	link := filepath.Join(dir, "link.db")
	require.NoError(t, os.Symlink(filepath.Join(dir, "auth.db"), link))
	linked := openAt(t, link)
	assert.Equal(t, s.Path(), linked.Path())
	got, err := linked.Setting(t.Context(), "a")
	require.NoError(t, err)
	assert.Equal(t, []byte("1"), got)
}

func TestDamagedFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "auth.db")
	s, err := sqlite.Open(path)
	require.NoError(t, err)
	require.NoError(t, s.Migrate(t.Context()))
	for range 50 {
		require.NoError(t, s.CreateUser(t.Context(), newUser("")))
	}
	require.NoError(t, s.Close())
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	for i := 4096; i < len(b); i++ { // all but the first page
		b[i] = 0xa5
	}
	require.NoError(t, os.WriteFile(path, b, 0o600))
	_, err = sqlite.Open(path)
	require.ErrorContains(t, err, path)
	require.ErrorContains(t, err, "restore a backup")
	require.NotErrorIs(t, err, store.ErrUnavailable, "waiting doesn't help")
}

func TestNoSchema(t *testing.T) {
	s, err := sqlite.Open(filepath.Join(t.TempDir(), "auth.db"))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	require.ErrorContains(t, s.Ping(t.Context()), "no such table")
	have, want, err := s.MigrationStatus(t.Context())
	require.NoError(t, err)
	assert.Zero(t, have)
	assert.Positive(t, want)
	require.NoError(t, s.Migrate(t.Context()))
	require.NoError(t, s.Migrate(t.Context()), "again does nothing")
	have, _, err = s.MigrationStatus(t.Context())
	require.NoError(t, err)
	assert.Equal(t, want, have)
	require.NoError(t, s.Ping(t.Context()))
}

func TestSchemaOfTheFuture(t *testing.T) {
	path := filepath.Join(t.TempDir(), "auth.db")
	s := openAt(t, path)
	_, err := host(t, path).ExecContext(t.Context(),
		`INSERT INTO auth_schema_migrations (version_id, is_applied) VALUES (9999, 1)`)
	require.NoError(t, err)
	err = s.Migrate(t.Context())
	require.ErrorContains(t, err, "9999")
	require.ErrorContains(t, err, "newer program")
}

// Two stores and a host's own tables live in one file.
func TestPrefixes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "app.db")
	db := host(t, path)
	_, err := db.ExecContext(t.Context(), `CREATE TABLE users (id INTEGER)`)
	require.NoError(t, err)
	a, b := openAt(t, path), openAt(t, path, sqlite.WithPrefix("b_"), sqlite.WithLogger(slog.New(slog.DiscardHandler)))
	u := newUser("a@example.com")
	require.NoError(t, a.CreateUser(t.Context(), u))
	require.NoError(t, b.CreateUser(t.Context(), u))
	require.NoError(t, a.DeleteUser(t.Context(), u.ID))
	_, err = b.User(t.Context(), u.ID)
	require.NoError(t, err)
	var foreign int
	require.NoError(t, db.QueryRowContext(t.Context(), `SELECT COUNT(*) FROM sqlite_master WHERE name <> 'users'
		AND name NOT LIKE 'auth!_%' ESCAPE '!' AND name NOT LIKE 'b!_%' ESCAPE '!'
		AND name NOT LIKE 'sqlite!_%' ESCAPE '!'`).Scan(&foreign))
	assert.Zero(t, foreign)
}

// A host reads our tables with SQLite's own functions.
func TestHostReadsTimes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "auth.db")
	s, db := openAt(t, path), host(t, path)
	require.NoError(t, s.CreateUser(t.Context(), newUser("a@example.com")))
	var unix int64
	var banned sql.NullString
	require.NoError(t, db.QueryRowContext(t.Context(),
		`SELECT unixepoch(created_at), banned_until FROM auth_users`).Scan(&unix, &banned))
	assert.Equal(t, start.Unix(), unix)
	assert.False(t, banned.Valid)
}

func TestOpenTemp(t *testing.T) {
	s, err := sqlite.OpenTemp(sqlite.WithReaders(1))
	require.NoError(t, err)
	require.NoError(t, s.PutSetting(t.Context(), "a", nil))
	dir := filepath.Dir(s.Path())
	_, err = os.Stat(dir)
	require.NoError(t, err)
	require.NoError(t, s.Close())
	require.NoError(t, s.Close())
	_, err = os.Stat(dir)
	require.ErrorIs(t, err, os.ErrNotExist)
	_, err = s.Setting(t.Context(), "a")
	require.ErrorIs(t, err, store.ErrUnavailable)
	require.ErrorIs(t, s.PutSetting(t.Context(), "a", nil), store.ErrUnavailable)

	_, err = sqlite.OpenTemp(sqlite.WithReaders(0))
	require.Error(t, err)
}

// Using the Store instead of the tx inside of a Tx ends with an error, not with a
// standstill.
func TestTxUsesTheStore(t *testing.T) {
	s := open(t, sqlite.WithBudget(200*time.Millisecond))
	err := s.Tx(t.Context(), func(store.Store) error {
		return s.PutSetting(t.Context(), "a", nil)
	})
	require.ErrorIs(t, err, store.ErrUnavailable)
	require.ErrorContains(t, err, "budget")
}
