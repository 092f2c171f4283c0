package password

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/truekeel/auth/fault"
)

const (
	// glance is how long a sign-in waits for what is said of its password.
	glance = time.Second
	// pause is how long sign-ins don't ask after a failure, and how seldom failures
	// are logged.
	pause = time.Minute
)

// errUnchecked says that a new password can't be taken now.
func errUnchecked() *fault.Error {
	err := fault.New(fault.Unavailable, "The password could not be checked against known leaks, please try again later")
	err.RetryAfter = 30 * time.Second
	return err
}

// Leaks asks somebody outside for leaked passwords, and knows what to do when he can't
// tell. Its methods are safe for concurrent use as long as its fields don't change.
type Leaks struct {
	// Ask reports whether a password has leaked. Required, as the others are.
	Ask func(ctx context.Context, pw string) (bool, error)
	// FailClosed refuses new passwords while it can't be asked; else they pass.
	FailClosed bool
	Now        func() time.Time
	Logger     *slog.Logger

	failed, warned atomic.Int64 // Unix nanoseconds, 0 for never
}

// found asks about a new password.
func (l *Leaks) found(ctx context.Context, pw string) (bool, error) {
	found, err := l.Ask(ctx, pw)
	if err == nil {
		return found, nil
	}
	if ctx.Err() != nil {
		return false, ctx.Err() // nobody waits any more
	}
	l.note(ctx, err)
	if l.FailClosed {
		return false, errUnchecked()
	}
	return false, nil
}

// glance asks about the password of somebody who has just signed in. It takes a second
// at most, never fails, and doesn't ask for a while after it couldn't tell.
func (l *Leaks) glance(ctx context.Context, pw string) bool {
	if at := l.failed.Load(); at != 0 && l.Now().UnixNano()-at < int64(pause) {
		return false
	}
	short, cancel := context.WithTimeout(ctx, glance)
	defer cancel()
	found, err := l.Ask(short, pw)
	if err != nil {
		if ctx.Err() == nil {
			l.note(ctx, err)
		}
		return false
	}
	return found
}

// note remembers a failure, and logs it if none was for a while.
func (l *Leaks) note(ctx context.Context, err error) {
	now := l.Now().UnixNano()
	l.failed.Store(now)
	last := l.warned.Load()
	if last != 0 && now-last < int64(pause) || !l.warned.CompareAndSwap(last, now) {
		return
	}
	text := "auth: passwords can't be checked against known leaks, and pass"
	if l.FailClosed {
		text = "auth: passwords can't be checked against known leaks; new ones are refused"
	}
	l.Logger.WarnContext(ctx, text, "error", err)
}
