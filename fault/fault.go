// Package fault holds the one error type that crosses the door of the library, and
// the one list of its codes.
//
// A flow that refuses a request returns an [*Error]; its Code is stable and may be
// matched by programs, its Message is for people and may change. Any other error is
// the library's own trouble: it is logged with the request id and shown to the client
// as [UnexpectedFailure], never with its text.
package fault

import (
	"errors"
	"fmt"
	"time"
)

// Error is a refusal that the caller may see. It is immutable once returned.
type Error struct {
	// Code is the stable machine code.
	Code Code
	// Message is one sentence for people. It never holds a secret.
	Message string
	// Status is the HTTP status that the refusal has, where the host chose it; zero: the
	// usual one of the code. It goes with [Unknown].
	Status int
	// Reasons details a [WeakPassword]: "length", "characters", "pwned".
	Reasons []string
	// RetryAfter is how long the caller should wait before trying again; zero if
	// waiting doesn't help or the time isn't known.
	RetryAfter time.Duration
	// Cause is what led here, for the log alone; nil if nothing more is known.
	Cause error
}

// New makes an Error with a formatted message.
func New(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// Error gives the code and the message, without the cause.
func (e *Error) Error() string { return string(e.Code) + ": " + e.Message }

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Cause }

// Is reports whether target is an *Error of the same code, so that
// errors.Is(err, &fault.Error{Code: fault.UserBanned}) holds for any message.
func (e *Error) Is(target error) bool {
	var t *Error
	return errors.As(target, &t) && t.Code == e.Code && t.Message == ""
}

// WithCause returns a copy of e that carries cause for the log.
func (e *Error) WithCause(cause error) *Error {
	c := *e
	c.Cause = cause
	return &c
}

// CodeOf gives the code of err: that of the first [*Error] in its chain,
// [UnexpectedFailure] for any other error, and "" for nil.
func CodeOf(err error) Code {
	if err == nil {
		return ""
	}
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return UnexpectedFailure
}
