package sqlite

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"
)

// fileLock keeps the processes that write one database apart. SQLite's own lock does
// that too, but whoever waits for it polls with ever longer pauses, and a busy process
// that takes it again at once starves the others for good.
//
// It is two advisory locks. Who wants the first, the lock proper, must hold the second,
// the turnstile, while he waits. Who has just let go of the lock finds the turnstile
// taken by the one who waited, and can't overtake him.
//
// A fileLock is one holder: goroutines of one process that shall exclude each other
// have one each. The operating system releases it when the process dies.
type fileLock struct {
	lock, turnstile *os.File
	wait            time.Duration
}

// The names of the files, behind the database's.
const (
	lockSuffix      = ".lock"
	turnstileSuffix = ".lock-next"
)

// openLock opens the lock files of the database at path, which it creates for the
// owner alone. acquire gives up after wait.
func openLock(path string, wait time.Duration) (*fileLock, error) {
	lock, err := os.OpenFile(path+lockSuffix, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	turnstile, err := os.OpenFile(path+turnstileSuffix, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return &fileLock{lock, turnstile, wait}, nil
}

func (l *fileLock) close() error { return errors.Join(l.lock.Close(), l.turnstile.Close()) }

// errLockHeld means that another process kept the lock for too long.
var errLockHeld = errors.New("another process holds the lock")

// acquire takes the lock. It gives up when ctx ends or the lock's wait is over.
func (l *fileLock) acquire(ctx context.Context) error {
	waiting, cancel := context.WithTimeoutCause(ctx, l.wait, errLockHeld)
	defer cancel()
	if err := poll(waiting, l.turnstile); err != nil {
		return err
	}
	err := poll(waiting, l.lock)
	if failed := unlock(l.turnstile); failed != nil && err == nil {
		err = errors.Join(failed, unlock(l.lock))
	}
	return err
}

func (l *fileLock) release() error { return unlock(l.lock) }

// The pauses between two attempts at a lock: groups last about as long as an fsync.
const (
	firstPause = 50 * time.Microsecond
	lastPause  = time.Millisecond
)

// poll tries until it has the lock of f. It polls, because nothing else can be
// interrupted when ctx ends; the turnstile makes that fair.
func poll(ctx context.Context, f *os.File) error {
	for pause := firstPause; ; pause = min(pause*2, lastPause) {
		got, err := tryLock(f)
		if err != nil {
			return fmt.Errorf("lock %s: %w", f.Name(), err)
		}
		if got {
			return nil
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return fmt.Errorf("lock %s: %w", f.Name(), context.Cause(ctx))
		case <-timer.C:
		}
	}
}
