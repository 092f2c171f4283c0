package endpoint

import (
	"context"

	"github.com/truekeel/auth/fault"
)

// Record is what those who answer a request note for who watches it.
type Record struct {
	Route string     // the pattern of the route; "" if there is none
	Code  fault.Code // of the error that was answered; "" if there was none
}

type recordKey struct{}

// WithRecord gives a context whose request is noted in the Record.
func WithRecord(ctx context.Context) (context.Context, *Record) {
	r := &Record{}
	return context.WithValue(ctx, recordKey{}, r), r
}

// NoteRoute notes the route of a request, if somebody watches it.
func NoteRoute(ctx context.Context, pattern string) {
	if r, ok := ctx.Value(recordKey{}).(*Record); ok {
		r.Route = pattern
	}
}

// NoteCode notes the code of the error that a request is answered with, if somebody
// watches it.
func NoteCode(ctx context.Context, code fault.Code) {
	if r, ok := ctx.Value(recordKey{}).(*Record); ok {
		r.Code = code
	}
}
