package host

import (
	"context"
	"errors"
	"fmt"

	"github.com/truekeel/auth/fault"
	"github.com/truekeel/auth/internal/endpoint"
	"github.com/truekeel/auth/store"
)

// failure is what went wrong in a step of the host. Flows must not take it for the
// store's word, nor for the end of the request.
type failure struct {
	moment Moment
	err    error
}

// Error names the moment and gives the host's text, for the log.
func (f *failure) Error() string { return fmt.Sprintf("host: step %s: %v", f.moment, f.err) }

// Is reports whether the host's error is target, unless flows act on that.
func (f *failure) Is(target error) bool {
	for _, ours := range []error{
		store.ErrNotFound, store.ErrConflict, store.ErrStale, store.ErrUnavailable, context.Canceled, context.DeadlineExceeded,
	} {
		if errors.Is(target, ours) {
			return false
		}
	}
	return errors.Is(f.err, target)
}

// run runs a step. It gives a refusal as it is, since that is the client's answer, and the
// end of the request as such; anything else, a panic too, is a failure.
func run(ctx context.Context, m Moment, step func(context.Context) (answer, error)) (a answer, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &failure{m, fmt.Errorf("it panicked: %v", endpoint.Panic(p))}
		}
	}()
	a, err = step(ctx)
	var refusal *fault.Error
	var known *failure
	switch {
	case err == nil:
		return a, nil
	case errors.As(err, &refusal):
		return a, refusal
	case ctx.Err() != nil:
		return a, ctx.Err()
	case errors.As(err, &known):
		return a, known
	}
	return a, &failure{m, err}
}
