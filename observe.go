package auth

import (
	"context"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/truekeel/auth/internal/caller"
	"github.com/truekeel/auth/internal/endpoint"
	"github.com/truekeel/auth/internal/outbox"
	"github.com/truekeel/auth/internal/password"
	"github.com/truekeel/auth/store"
	"github.com/truekeel/auth/tokens"
)

// Observer watches an [Auth] at work, to count, trace or log it; see [WithObserver].
// Package authotel has one for OpenTelemetry. Its methods are called from several
// goroutines, on the path of requests, and should return soon. Nothing that they are
// told is a secret or says who somebody is.
type Observer interface {
	// BeginRequest is told of each request to the library's own endpoints before it is
	// answered. id is the request's id. The context that it returns becomes the
	// request's, so it must be derived from r's; the function is called once, when the
	// request has been answered, and may be nil.
	BeginRequest(r *http.Request, id string) (context.Context, func(Answer))

	// Observe is told of what the library does beside answering.
	Observe(Event)
}

// Answer is how a request ended.
type Answer struct {
	// Route is the pattern of the endpoint, relative to the base path, as in
	// "/admin/users/{id}"; "" if there is none at the request's path.
	Route  string
	Status int
	// Code is the code of the error that was answered; "" if there was none.
	Code     string
	Duration time.Duration
}

// Event is something that the library did or met with. Its Name says what, and which of
// the other fields are set:
//
//   - outbox.delivered, outbox.retried (it failed and will be tried again),
//     outbox.given_up (it won't) and outbox.removed (it failed while the request waited,
//     and was taken back): ID, Kind ("mail", "user_created"), Attempts, Age since it was
//     asked for, and of failures the Reason;
//   - password.queued (a hash waits for its turn), password.begun (its turn came: Age
//     after; Kind is "queued" if it had to wait, else ""), password.left (its caller went
//     away while it waited: Age after) and password.refused (too many waited already);
//   - key.changed: this process made the signing key ID or moved it on; Kind is its new
//     state ("next", "current", "previous", "retired").
type Event struct {
	Name     string
	ID       string
	Kind     string
	Attempts int
	Age      time.Duration
	// Reason is the sort of failure ("timeout", "permanent", ...), never a secret or an
	// address; "" if there was none.
	Reason string
}

// WithObserver lets o watch. Given several times, all of them do. Default: nobody.
func WithObserver(o Observer) Option {
	return named("WithObserver", func(c *settings) error {
		c.observers = append(c.observers, o)
		return refuse(o == nil, "the observer is nil")
	})
}

// RequestIDFrom gives the id of the request that ctx belongs to: in hooks, mailers and
// handlers of logs, the one that the library logs and shows in its answers of status 500
// and above. It is "" outside of requests.
func RequestIDFrom(ctx context.Context) string { return caller.From(ctx).RequestID }

// tell hands an event to the observers. One that panics harms nobody else.
func (s *settings) tell(e Event) {
	for _, o := range s.observers {
		func() {
			defer s.spare("Observe")
			o.Observe(e)
		}()
	}
}

// begin tells an observer of a request.
func (s *settings) begin(o Observer, r *http.Request) (ctx context.Context, end func(Answer)) {
	defer func() {
		if ctx == nil { // it panicked
			ctx = r.Context()
		}
		if end == nil {
			end = func(Answer) {}
		}
	}()
	defer s.spare("BeginRequest")
	return o.BeginRequest(r, caller.From(r.Context()).RequestID)
}

// spare keeps the library from a panic of an observer.
func (s *settings) spare(method string) {
	if p := recover(); p != nil {
		s.logger.Error("auth: an observer panicked", "method", method, "panic", endpoint.Panic(p), "stack", string(debug.Stack()))
	}
}

// ifObserved is f if anybody listens, else nil.
func ifObserved[F any](s *settings, f F) (out F) {
	if len(s.observers) > 0 {
		out = f
	}
	return out
}

func (s *settings) tellOutbox(e outbox.Event) {
	s.tell(Event{Name: "outbox." + string(e.Outcome), ID: e.ID.String(), Kind: e.Kind, Attempts: e.Attempts, Age: e.Age, Reason: e.Class})
}

func (s *settings) tellGate(e password.Event) {
	out := Event{Name: "password." + string(e.Step), Age: e.Waited}
	if e.Step == password.Begun && e.Queued {
		out.Kind = "queued"
	}
	s.tell(out)
}

func (s *settings) tellKey(id string, state store.KeyState) {
	s.tell(Event{Name: "key.changed", ID: id, Kind: string(state)})
}

// observed answers a request under the eyes of the observers.
func (a *Auth) observed(w http.ResponseWriter, r *http.Request, versioned bool) {
	ctx, record := endpoint.WithRecord(r.Context())
	r = r.WithContext(ctx)
	var ends []func(Answer)
	for _, o := range a.set.observers {
		ctx, end := a.set.begin(o, r)
		r = r.WithContext(ctx)
		ends = append(ends, end)
	}
	start := a.set.clock()
	seen := &watched{ResponseWriter: w}
	defer func() { // whatever happens
		answer := Answer{Route: record.Route, Status: seen.status(), Code: string(record.Code), Duration: max(a.set.clock().Sub(start), 0)}
		for n := len(ends) - 1; n >= 0; n-- {
			func() {
				defer a.set.spare("the end of BeginRequest")
				ends[n](answer)
			}()
		}
	}()
	a.serve(seen, r, versioned)
}

// watched notes the status that is written.
type watched struct {
	http.ResponseWriter
	code int
}

func (w *watched) WriteHeader(code int) {
	if w.code == 0 && code >= http.StatusOK { // those below are followed by another
		w.code = code
	}
	w.ResponseWriter.WriteHeader(code)
}

func (w *watched) Write(b []byte) (int, error) {
	if w.code == 0 {
		w.code = http.StatusOK
	}
	return w.ResponseWriter.Write(b)
}

// Unwrap is for [http.ResponseController].
func (w *watched) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// status is what net/http answers if nothing was written: 200.
func (w *watched) status() int {
	if w.code == 0 {
		return http.StatusOK
	}
	return w.code
}

// Keyring gives the keys that sign and verify access tokens, to list, rotate, import and
// retire them while the service runs. Other processes on the same store follow within a
// few seconds.
func (a *Auth) Keyring() *tokens.Keyring { return a.keyring }
