// Package limit holds back callers who ask too often.
//
// [Limiter] is the one method that the library asks; [Memory] is the limiter of one
// process. Whoever runs several processes and wants one budget for all of them puts a
// limiter on a shared database in its place.
package limit

import (
	"context"
	"time"
)

// Limiter counts events by key.
type Limiter interface {
	// Take asks for one event of key at rate r and counts it if it is allowed; a
	// refused event costs nothing. A key that was never seen has its full budget.
	// The same key under another rate is another budget.
	//
	// Of callers that race for the last event one gets it. Keys are chosen by
	// strangers: they may be long, and there may be millions, so an implementation
	// bounds what it keeps. An error means that the limiter can't tell (or that r is
	// not valid), never that the event is refused.
	Take(ctx context.Context, key string, r Rate) (Decision, error)
}

// Decision is the answer to one [Limiter.Take].
type Decision struct {
	// Allowed reports whether the event may happen.
	Allowed bool
	// RetryAfter is how long until the next event of this key would be allowed: zero
	// if this one was, or if no waiting helps because the rate is [Rate.Never].
	RetryAfter time.Duration
}
