package sqlstore

import (
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestRewrite(t *testing.T) {
	const query = `SELECT id, @created_at, MIN(@u.done_at) FROM {users} u WHERE a = ? AND b IN (?, ?)`
	for _, c := range []struct {
		name, namespace string
		dialect         Dialect
		want            string
	}{
		{"plain", "", Dialect{},
			`SELECT id, created_at, MIN(u.done_at) FROM users u WHERE a = ? AND b IN (?, ?)`},
		{"prefix", "auth_", Dialect{},
			`SELECT id, created_at, MIN(u.done_at) FROM auth_users u WHERE a = ? AND b IN (?, ?)`},
		{"schema", "auth", Dialect{Table: Qualified, Bind: Dollar},
			`SELECT id, created_at, MIN(u.done_at) FROM auth.users u WHERE a = $1 AND b IN ($2, $3)`},
		{"no schema", "", Dialect{Table: Qualified, Bind: Dollar},
			`SELECT id, created_at, MIN(u.done_at) FROM users u WHERE a = $1 AND b IN ($2, $3)`},
		{"times", "", Dialect{TimeColumn: func(c string) string { return "CAST(" + c + " AS CHAR)" }},
			`SELECT id, CAST(created_at AS CHAR), MIN(CAST(u.done_at AS CHAR)) FROM users u WHERE a = ? AND b IN (?, ?)`},
	} {
		t.Run(c.name, func(t *testing.T) {
			assert.Equal(t, c.want, c.dialect.withDefaults().rewrite(c.namespace, query))
		})
	}
}

func TestLike(t *testing.T) {
	condition, arg := like("email", `50%_!\`)
	assert.Equal(t, `email LIKE ? ESCAPE '!'`, condition)
	assert.Equal(t, `%50!%!_!!\%`, arg)
}

func TestCheckNamespace(t *testing.T) {
	for _, ok := range []string{"", "auth_", "A1", "_", strings.Repeat("a", 32)} {
		assert.NoError(t, CheckNamespace(ok), ok)
	}
	for _, bad := range []string{"1a", "a-b", "a.b", "a;", "ä", " ", `"`, strings.Repeat("a", 33)} {
		assert.Error(t, CheckNamespace(bad), bad)
	}
}

func TestNamedFiles(t *testing.T) {
	files := named{
		fstest.MapFS{"1.sql": {Data: []byte("CREATE TABLE {users} (a TEXT DEFAULT '{}')")}},
		func(text string) string { return Dialect{}.withDefaults().names("longer_", text) },
	}
	want := "CREATE TABLE longer_users (a TEXT DEFAULT '{}')"
	b, err := fs.ReadFile(files, "1.sql")
	require.NoError(t, err)
	assert.Equal(t, want, string(b))
	info, err := fs.Stat(files, "1.sql")
	require.NoError(t, err)
	assert.EqualValues(t, len(want), info.Size())
	names, err := fs.Glob(files, "*.sql")
	require.NoError(t, err)
	assert.Equal(t, []string{"1.sql"}, names)
	_, err = files.Open("2.sql")
	require.ErrorIs(t, err, fs.ErrNotExist)
}

func TestScan(t *testing.T) {
	want := time.Date(2026, 3, 4, 5, 6, 7, 123456000, time.UTC)
	berlin := time.FixedZone("", 3600)
	for _, src := range []any{
		"2026-03-04 05:06:07.123456", []byte("2026-03-04 05:06:07.123456"), want, want.Add(999),
		want.In(berlin), "2026-03-04T05:06:07.123456Z", "2026-03-04T06:06:07.123456789+01:00",
	} {
		var got time.Time
		require.NoError(t, (*stamp)(&got).Scan(src), "%v", src)
		assert.Equal(t, want, got, "%v", src)
		assert.Equal(t, time.UTC, got.Location())
	}
	got := want
	require.NoError(t, (*stamp)(&got).Scan(nil))
	assert.True(t, got.IsZero())
	for _, bad := range []any{"", "yesterday", 5, "2026-13-01 00:00:00"} {
		require.Error(t, (*stamp)(&got).Scan(bad), "%v", bad)
	}

	var x text = "old"
	require.NoError(t, x.Scan(nil))
	assert.Empty(t, x)
	require.Error(t, x.Scan(5))

	var f fields
	require.NoError(t, f.Scan(`{"n": 12345678901234567890.10}`))
	assert.Equal(t, "12345678901234567890.10", string(f["n"]), "numbers keep their digits")
	require.NoError(t, f.Scan(nil))
	assert.Nil(t, f)
	for _, bad := range []any{`[]`, `{`, 5} {
		require.Error(t, f.Scan(bad))
	}
	var m methods
	require.NoError(t, m.Scan([]byte("[]")))
	assert.Nil(t, m)
	require.Error(t, m.Scan(`{}`))

	id := ident{1}
	require.NoError(t, id.Scan(nil))
	assert.Zero(t, id)
	require.Error(t, id.Scan("not an id"))
}

func FuzzParseTime(f *testing.F) {
	for _, seed := range []string{
		"2026-03-04 05:06:07.123456", "2026-03-04T05:06:07Z", "2026-03-04 05:06:07", "0000-00-00 00:00:00", "", "T",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := ParseTime(text)
		if err != nil {
			return
		}
		again, err := ParseTime(got.Format(TimeLayout))
		if got.Year() >= 0 && got.Year() <= 9999 {
			require.NoError(t, err)
			require.Equal(t, got, again)
		}
	})
}
