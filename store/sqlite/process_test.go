package sqlite_test

import (
	"bufio"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/truekeel/auth/store"
	"github.com/truekeel/auth/store/sqlite"
)

// These tests run this test binary again, as other processes on the same file. What
// such a process does is named by its environment; it says on its standard output that
// it is there, waits for a line on its standard input before it starts, stops at the end
// of that, and says what was acknowledged.

const roleVar, pathVar = "AUTH_SQLITE_TEST_ROLE", "AUTH_SQLITE_TEST_PATH"

func TestMain(m *testing.M) {
	roles := map[string]func(context.Context, string) error{"load": load, "migrate": migrate}
	role, ok := roles[os.Getenv(roleVar)]
	if !ok {
		os.Exit(m.Run())
	}
	ctx, cancel := context.WithCancel(context.Background())
	fmt.Println("ready")
	in := bufio.NewReader(os.Stdin)
	if _, err := in.ReadString('\n'); err != nil {
		os.Exit(3)
	}
	go func() {
		_, _ = io.Copy(io.Discard, in)
		cancel()
	}()
	if err := role(ctx, os.Getenv(pathVar)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// load writes users from eight goroutines and prints the id of each.
func load(ctx context.Context, path string) error {
	s, err := sqlite.Open(path)
	if err != nil {
		return err
	}
	var mu sync.Mutex
	var errs []error
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for ctx.Err() == nil {
				u := newUser(uuid.NewString() + "@example.com")
				err := s.Tx(ctx, func(tx store.Store) error {
					_, _, err := tx.Count(ctx, "all", start, start.AddDate(1, 0, 0))
					return errors.Join(err, tx.CreateUser(ctx, u))
				})
				mu.Lock()
				if err == nil {
					fmt.Println(u.ID)
				} else if ctx.Err() == nil {
					errs = append(errs, err)
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return errors.Join(append(errs, s.Close())...)
}

// migrate opens an empty file and makes the first signing key, if nobody else does.
func migrate(ctx context.Context, path string) error {
	s, err := sqlite.Open(path)
	if err != nil {
		return err
	}
	if err := s.Migrate(ctx); err != nil {
		return err
	}
	err = s.CreateSigningKey(ctx, store.SigningKey{
		ID: strconv.Itoa(os.Getpid()), Algorithm: "ES256", State: store.KeyCurrent, CreatedAt: start,
	})
	if err == nil {
		fmt.Println("first")
	} else if !errors.Is(err, store.ErrConflict) {
		return err
	}
	return s.Close()
}

// process is one other process. It is there before it begins, so that of several none has
// a start on the others.
type process struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Scanner
	err strings.Builder
}

func spawn(t *testing.T, role, path string) *process {
	t.Helper()
	exe, err := os.Executable()
	require.NoError(t, err)
	p := &process{cmd: exec.Command(exe, "-test.run=^$")}
	p.cmd.Env = append(os.Environ(), roleVar+"="+role, pathVar+"="+path)
	p.cmd.Stderr = &p.err
	p.in, err = p.cmd.StdinPipe()
	require.NoError(t, err)
	out, err := p.cmd.StdoutPipe()
	require.NoError(t, err)
	p.out = bufio.NewScanner(out)
	require.NoError(t, p.cmd.Start())
	t.Cleanup(func() { _ = p.cmd.Process.Kill() })
	require.True(t, p.out.Scan(), "it ended at once: %s", &p.err)
	require.Equal(t, "ready", p.out.Text())
	return p
}

func (p *process) begin(t *testing.T) {
	t.Helper()
	_, err := io.WriteString(p.in, "go\n")
	require.NoError(t, err)
}

// Four processes write one file. Nothing is lost, and nobody is starved: when the
// fastest has written its quota, everybody has written a fair part of it.
func TestProcessesShareOneFile(t *testing.T) {
	const processes, quota = 4, 1000
	path := filepath.Join(t.TempDir(), "auth.db")
	s := openAt(t, path)
	var ps []*process
	for range processes {
		ps = append(ps, spawn(t, "load", path))
	}
	var mu sync.Mutex
	acknowledged := map[string]bool{}
	counts, atTheEnd := make([]int, processes), []int(nil)
	stop := func() {
		atTheEnd = append([]int(nil), counts...)
		for _, p := range ps {
			_ = p.in.Close()
		}
	}
	var wg sync.WaitGroup
	for i, p := range ps {
		p.begin(t)
		wg.Go(func() {
			for p.out.Scan() {
				mu.Lock()
				acknowledged[p.out.Text()] = true
				counts[i]++
				if counts[i] == quota && atTheEnd == nil {
					stop()
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	for _, p := range ps {
		require.NoError(t, p.cmd.Wait(), p.err.String())
	}
	t.Logf("written when the first reached %d: %v", quota, atTheEnd)
	for i, n := range atTheEnd {
		assert.Greater(t, n, quota/4, "process %d is starved", i)
	}
	wantAll(t, s, acknowledged)
	counted, _, err := s.Counted(t.Context(), "all", start)
	require.NoError(t, err)
	total, err := s.CountUsers(t.Context(), store.UserQuery{})
	require.NoError(t, err)
	assert.Equal(t, total, counted, "both writes of each transaction took place")
}

// wantAll checks that every acknowledged user is there.
func wantAll(t *testing.T, s *sqlite.Store, acknowledged map[string]bool) {
	t.Helper()
	require.NotEmpty(t, acknowledged)
	for id := range acknowledged {
		_, err := s.User(t.Context(), uuid.MustParse(id))
		require.NoError(t, err, id)
	}
}

func TestProcessesMigrateAnEmptyFile(t *testing.T) {
	for range 5 {
		path := filepath.Join(t.TempDir(), "auth.db")
		var ps []*process
		for range 3 {
			ps = append(ps, spawn(t, "migrate", path))
		}
		first := 0
		for _, p := range ps {
			p.begin(t)
		}
		for _, p := range ps {
			for p.out.Scan() {
				first++
			}
			require.NoError(t, p.cmd.Wait(), p.err.String())
		}
		assert.Equal(t, 1, first, "one makes the first key")
		s := openAt(t, path)
		have, want, err := s.MigrationStatus(t.Context())
		require.NoError(t, err)
		assert.Equal(t, want, have)
	}
}

// kill -9 at every stage of a first start: the next one finishes it.
func TestMigrationKilled(t *testing.T) {
	killed := 0
	for stage := range 10 {
		path := filepath.Join(t.TempDir(), "auth.db")
		p := spawn(t, "migrate", path)
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			for p.out.Scan() {
			}
		}()
		p.begin(t)
		for written(path) < int64(stage*32<<10) && !isClosed(ended) {
			runtime.Gosched()
		}
		_ = p.cmd.Process.Kill()
		<-ended
		if p.cmd.Wait() != nil {
			killed++
		}
		s := openAt(t, path)
		have, want, err := s.MigrationStatus(t.Context())
		require.NoError(t, err)
		assert.Equal(t, want, have)
		require.NoError(t, s.CreateUser(t.Context(), newUser("")))
	}
	assert.Positive(t, killed, "every process was done before it could be killed")
}

// written is how much of a database there is.
func written(path string) (n int64) {
	for _, file := range []string{path, path + "-wal"} {
		if info, err := os.Stat(file); err == nil {
			n += info.Size()
		}
	}
	return n
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// kill -9 in the middle of a load: what was acknowledged is there, and so is all or
// nothing of everything else.
func TestProcessKilled(t *testing.T) {
	path := filepath.Join(t.TempDir(), "auth.db")
	openAt(t, path)
	for _, after := range []int{1, 200, 57} {
		p := spawn(t, "load", path)
		p.begin(t)
		acknowledged := map[string]bool{}
		for p.out.Scan() {
			if id := p.out.Text(); len(id) == 36 { // the last line may be cut
				acknowledged[id] = true
			}
			if len(acknowledged) == after {
				require.NoError(t, p.cmd.Process.Kill())
			}
		}
		require.Error(t, p.cmd.Wait())
		s := openAt(t, path)
		wantAll(t, s, acknowledged)
		require.NoError(t, s.CreateUser(t.Context(), newUser("")), "its lock died with it")
		require.NoError(t, s.Close())
	}
	db, err := sql.Open("sqlite", hostDSN(path))
	require.NoError(t, err)
	defer func() { _ = db.Close() }()
	var verdict string
	require.NoError(t, db.QueryRowContext(t.Context(), `PRAGMA integrity_check`).Scan(&verdict))
	assert.Equal(t, "ok", verdict)
	var counted, created int
	require.NoError(t, db.QueryRowContext(t.Context(), `SELECT n FROM auth_counters`).Scan(&counted))
	require.NoError(t, db.QueryRowContext(t.Context(),
		`SELECT COUNT(*) FROM auth_users WHERE email IS NOT NULL`).Scan(&created))
	assert.Equal(t, created, counted)
}
