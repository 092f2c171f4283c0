package sqlite

import (
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"time"

	"github.com/truekeel/auth/store/sqlstore"
)

// Option changes how [Open] opens a database.
type Option func(*options) error

type options struct {
	prefix  string
	log     *slog.Logger
	readers int
	budget  time.Duration
	wait    time.Duration
	// scratch gives up durability; only OpenTemp does.
	scratch bool
}

func defaults() *options {
	return &options{
		prefix:  "auth_",
		log:     slog.New(slog.DiscardHandler),
		readers: max(4, runtime.GOMAXPROCS(0)),
		budget:  5 * time.Second,
		wait:    10 * time.Second,
	}
}

// WithPrefix puts prefix before the name of every table and index, so that they can
// live in one file with a host's own. Default "auth_"; "" is allowed. Only letters,
// digits and _, at most 32.
func WithPrefix(prefix string) Option {
	return func(o *options) error {
		o.prefix = prefix
		return sqlstore.CheckNamespace(prefix)
	}
}

// WithLogger sets who is told what an operator should know. Default: nobody.
func WithLogger(log *slog.Logger) Option {
	return func(o *options) error {
		if log == nil {
			return errors.New("sqlite: WithLogger: the logger is nil; leave the option out for silence")
		}
		o.log = log
		return nil
	}
}

// WithReaders sets how many reads may run at once, each on a connection of its own.
// Default: as many as processors, at least 4.
func WithReaders(n int) Option {
	return func(o *options) error {
		if n < 1 {
			return fmt.Errorf("sqlite: WithReaders(%d): at least one is needed", n)
		}
		o.readers = n
		return nil
	}
}

// WithBudget sets how long one transaction may take once it has begun. There is one
// writer, and everybody waits for it: a transaction over its budget is undone and fails
// with store.ErrUnavailable. Default 5 s.
func WithBudget(d time.Duration) Option {
	return func(o *options) error {
		if d <= 0 {
			return fmt.Errorf("sqlite: WithBudget(%s): it must be positive", d)
		}
		o.budget = d
		return nil
	}
}

// WithLockWait sets how long a write waits for other processes, and for a host's own
// transaction on the same file, before it fails with store.ErrUnavailable. Default 10 s.
func WithLockWait(d time.Duration) Option {
	return func(o *options) error {
		if d <= 0 {
			return fmt.Errorf("sqlite: WithLockWait(%s): it must be positive", d)
		}
		o.wait = d
		return nil
	}
}
