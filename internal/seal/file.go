package seal

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"time"
)

// maxFileBytes bounds what is read of a key file; a key takes 45 bytes.
const maxFileBytes = 64 << 10

// FromFile makes a Box of the keys in a file: the first line is the current key, further
// lines are old ones, each in standard base64 (as openssl rand -base64 32 prints it).
//
// If there is no such file it is made, with mode 0600 and a random key. Processes that
// start at once settle on one key: only one of them makes the file, and the file is never
// seen half written. A file that others may read is refused (not checked on Windows).
// The directory must exist.
func FromFile(path string) (*Box, error) {
	keys, err := readKeys(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err = makeFile(path); err != nil {
			return nil, fmt.Errorf("seal: make key file %s: %w", path, err)
		}
		keys, err = readKeys(path)
	}
	if err != nil {
		return nil, err
	}
	b, err := New(keys[0], keys[1:]...)
	if err != nil {
		return nil, fmt.Errorf("key file %s: %w", path, err)
	}
	return b, nil
}

// readKeys reads the lines of a key file; there is at least one.
func readKeys(path string) ([][]byte, error) {
	text, err := readPrivate(path)
	if err != nil {
		return nil, err
	}
	var keys [][]byte
	for line := range bytes.Lines(text) {
		line = bytes.TrimSpace(line)
		if len(line) == 0 {
			continue
		}
		k := make([]byte, base64.StdEncoding.DecodedLen(len(line)))
		n, err := base64.StdEncoding.Strict().Decode(k, line)
		if err != nil {
			// The decoder's error is left out: it could show a part of the key.
			return nil, fmt.Errorf("seal: key file %s: line %d is not base64; "+
				"make a key with: openssl rand -base64 32", path, len(keys)+1)
		}
		keys = append(keys, k[:n])
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("seal: key file %s holds no key; "+
			"delete it if it never held one, else restore it", path)
	}
	return keys, nil
}

// readPrivate reads a file that nobody else may read. Where hard links don't exist a
// racing process may have made the file and not filled it yet: that is waited for.
func readPrivate(path string) ([]byte, error) {
	const tries, pause = 20, 10 * time.Millisecond
	for try := 1; ; try++ {
		text, err := readPrivateOnce(path)
		if err != nil || len(text) > 0 || try == tries {
			return text, err
		}
		time.Sleep(pause)
	}
}

func readPrivateOnce(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("seal: read key file: %w", err)
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("seal: read key file: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("seal: key file %s is not a regular file", path)
	}
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("seal: key file %s is open to others (mode %04o): chmod 600 %s",
			path, info.Mode().Perm(), path)
	}
	text, err := io.ReadAll(io.LimitReader(f, maxFileBytes+1))
	if err != nil {
		return nil, fmt.Errorf("seal: read key file: %w", err)
	}
	if len(text) > maxFileBytes {
		return nil, fmt.Errorf("seal: key file %s is over %d bytes", path, maxFileBytes)
	}
	return text, nil
}

// makeFile puts a new key at path unless another process was faster.
func makeFile(path string) error {
	secret := make([]byte, MinKeyBytes)
	if _, err := rand.Read(secret); err != nil {
		return err
	}
	text := []byte(base64.StdEncoding.EncodeToString(secret) + "\n")

	dir := filepath.Dir(path)
	tmp, err := os.CreateTemp(dir, "."+filepath.Base(path)+"-*") // mode 0600
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(tmp.Name()) }()
	if err := fill(tmp, text); err != nil {
		return err
	}
	// A link appears complete or not at all, and never replaces: that is what rename
	// can't promise.
	err = os.Link(tmp.Name(), path)
	if err != nil && !errors.Is(err, fs.ErrExist) {
		err = makeExclusive(path, text)
	}
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	syncDir(dir)
	return nil
}

// makeExclusive is for file systems without hard links.
func makeExclusive(path string, text []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if err := fill(f, text); err != nil {
		_ = os.Remove(path)
		return err
	}
	return nil
}

// fill writes, makes durable and closes.
func fill(f *os.File, text []byte) error {
	_, err := f.Write(text)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// syncDir makes the new name durable before anything is sealed by the key. Not every
// system can sync a directory, and where it can't there is nothing better to do.
func syncDir(dir string) {
	if d, err := os.Open(dir); err == nil {
		_ = d.Sync()
		_ = d.Close()
	}
}
