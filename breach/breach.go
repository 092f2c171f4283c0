// Package breach knows passwords that have leaked.
//
// [Checker] is the one method that the library asks; [HIBP] asks the service Have I Been
// Pwned, or a mirror of it. Whoever has a copy of the hashes at hand puts a checker of
// his own in its place.
package breach

import "context"

// Checker knows leaked passwords.
type Checker interface {
	// Breached reports whether password is known to have leaked. A password that isn't
	// known is false without an error. An error means that the checker can't tell, now;
	// its text must hold nothing of the password, as it is logged.
	//
	// It is called before a transaction, from many goroutines at once, and while
	// somebody waits: it returns when ctx ends.
	Breached(ctx context.Context, password string) (bool, error)
}

// Func makes a [Checker] of a function.
type Func func(ctx context.Context, password string) (bool, error)

// Breached calls f.
func (f Func) Breached(ctx context.Context, password string) (bool, error) { return f(ctx, password) }
