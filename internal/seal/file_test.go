package seal

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestFromFileMakesAndReads(t *testing.T) {
	path := filepath.Join(t.TempDir(), "auth.db.key")
	made, err := FromFile(path)
	require.NoError(t, err)
	info, err := os.Stat(path)
	require.NoError(t, err)
	if runtime.GOOS != "windows" {
		require.Equal(t, fs.FileMode(0o600), info.Mode().Perm())
	}
	read, err := FromFile(path)
	require.NoError(t, err)
	require.Equal(t, made.ID(), read.ID())

	entries, err := os.ReadDir(filepath.Dir(path))
	require.NoError(t, err)
	require.Len(t, entries, 1, "no temporary file is left")
}

func TestFromFileRace(t *testing.T) {
	makers := map[string]func(string) error{
		"with links": makeFile,
		"without links": func(path string) error {
			return makeExclusive(path, []byte(strings.Repeat("A", 42)+"E=\n"))
		},
	}
	for name, create := range makers {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "key")
			ids := make([]string, 16)
			var wg sync.WaitGroup
			for i := range ids {
				wg.Go(func() {
					if err := create(path); err != nil && !errors.Is(err, fs.ErrExist) {
						t.Error(err)
					}
					b, err := FromFile(path)
					if err != nil {
						t.Error(err)
						return
					}
					ids[i] = b.ID()
				})
			}
			wg.Wait()
			for _, id := range ids {
				require.Equal(t, ids[0], id)
			}
		})
	}
}

func TestFromFileSeveralKeys(t *testing.T) {
	dir := t.TempDir()
	old, err := FromFile(filepath.Join(dir, "old"))
	require.NoError(t, err)
	current, err := FromFile(filepath.Join(dir, "new"))
	require.NoError(t, err)

	oldText, err := os.ReadFile(filepath.Join(dir, "old"))
	require.NoError(t, err)
	newText, err := os.ReadFile(filepath.Join(dir, "new"))
	require.NoError(t, err)
	both := filepath.Join(dir, "both")
	require.NoError(t, os.WriteFile(both, []byte(string(newText)+"\r\n"+string(oldText)), 0o600))

	b, err := FromFile(both)
	require.NoError(t, err)
	require.Equal(t, current.ID(), b.ID())
	_, err = b.Open("p", old.Seal("p", nil))
	require.NoError(t, err)
}

func TestFromFileRefuses(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string, mode fs.FileMode) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		require.NoError(t, os.Chmod(path, mode))
		return path
	}
	key := strings.Repeat("A", 42) + "E=\n"

	for _, c := range []struct{ path, want string }{
		{write("empty", "", 0o600), "holds no key"},
		{write("blank", " \n\n", 0o600), "holds no key"},
		{write("text", "my-secret-pass-phrase!\n", 0o600), "line 1 is not base64"},
		{write("second", key+"my-secret-pass-phrase!\n", 0o600), "line 2 is not base64"},
		{write("short", "c2VjcmV0\n", 0o600), "openssl rand"},
		{write("huge", strings.Repeat("A", maxFileBytes+4), 0o600), "over 65536 bytes"},
		{dir, "not a regular file"},
		{filepath.Join(dir, "nowhere", "key"), "no such file"},
	} {
		_, err := FromFile(c.path)
		require.ErrorContains(t, err, c.want)
		require.ErrorContains(t, err, c.path)
		require.NotContains(t, err.Error(), "pass-phrase")
	}

	if runtime.GOOS == "windows" {
		t.Skip("modes mean nothing on Windows")
	}
	for _, mode := range []fs.FileMode{0o644, 0o640, 0o604, 0o620} {
		path := write("open", key, mode)
		_, err := FromFile(path)
		require.ErrorContains(t, err, "chmod 600 "+path, "%o", mode)
	}
}
