// Package hookcall asks hooks that the host runs elsewhere: behind HTTP, signed after
// Standard Webhooks, or as a function in the database. It knows what is sent at each
// point and how answers are read, and nothing of the flows that ask.
package hookcall

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/google/uuid"

	"github.com/truekeel/auth/fault"
	"github.com/truekeel/auth/internal/outbound"
	"github.com/truekeel/auth/internal/webhook"
)

const (
	// Timeout is how long a hook behind HTTP may take, all attempts and pauses included.
	Timeout = 5 * time.Second
	// FunctionTimeout is how long a function of the database may take.
	FunctionTimeout = 2 * time.Second
	// Attempts is how often a hook is asked that can't be reached, or asks for patience.
	Attempts = 3
	// Pause is what lies between two attempts if the hook couldn't be reached.
	Pause = 2 * time.Second
	// MaxAnswer is the size of the largest answer, in bytes.
	MaxAnswer = 200 << 10
)

// Config makes a [Hook].
type Config struct {
	// Point is what it is asked about.
	Point Point
	// Target is where it is.
	Target Target
	// Secrets sign what is posted; see [webhook.NewSigner].
	Secrets []string
	// Unsigned allows that there are no Secrets.
	Unsigned bool
	// AllowPrivate lets the URL's host have an address that isn't public.
	AllowPrivate bool
	// Client posts; nil: one of our own.
	Client *http.Client
	// Timeout bounds a call. Default: [Timeout] or [FunctionTimeout].
	Timeout time.Duration
	// Function calls a function of the database with a JSON document and gives the one
	// that it returns, nil for NULL. Nil: the store has no functions.
	Function func(ctx context.Context, schema, name string, in []byte) ([]byte, error)

	// Now is the clock.
	Now func() time.Time
	// Pause waits, until ctx ends at the latest. Nil: by the clock of the machine.
	Pause func(ctx context.Context, d time.Duration)
	// Logger gets what failed, without the client's or the hook's data.
	Logger *slog.Logger
}

// Hook is one hook. It is safe for concurrent use. Close it.
type Hook struct {
	Config
	poster *webhook.Poster // nil for functions
}

// ErrNoFunctions means a function's URI with a database that has no functions.
var ErrNoFunctions = errors.New("pg-functions needs the PostgreSQL store, and this one is another")

// New makes a Hook.
func New(c Config) (*Hook, error) {
	h := &Hook{Config: c}
	if h.Pause == nil {
		h.Pause = pause
	}
	if c.Target.IsFunction() {
		return h, h.checkFunction()
	}
	if h.Timeout <= 0 {
		h.Timeout = Timeout
	}
	var signer *webhook.Signer
	if len(c.Secrets) > 0 || !c.Unsigned {
		var err error
		if signer, err = webhook.NewSigner(c.Secrets...); err != nil {
			return nil, err
		}
	}
	reach := c.Target.Reach
	if c.AllowPrivate {
		reach = outbound.Inside
	}
	if c.Client == nil && !reach.Names(c.Target.Host()) {
		return nil, errors.New("the URI's host is no public address; allow private ones if that is meant")
	}
	h.poster = webhook.New(webhook.Config{
		Client: c.Client, Reach: reach, Signer: signer, Separator: ", ", Timeout: h.Timeout, MaxAnswer: MaxAnswer,
	})
	return h, nil
}

func (h *Hook) checkFunction() error {
	if h.Timeout <= 0 {
		h.Timeout = FunctionTimeout
	}
	switch {
	case h.Function == nil:
		return ErrNoFunctions
	case len(h.Secrets) > 0:
		return errors.New("a function of the database takes no secrets; leave them out")
	}
	return nil
}

// Close closes the connections that are kept open.
func (h *Hook) Close() {
	if h.poster != nil {
		h.poster.Close()
	}
}

// Call asks the hook and reads its answer into out, which may be nil. An error is one for
// the client: the hook's own refusal, or that it couldn't be asked.
func (h *Hook) Call(ctx context.Context, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return fmt.Errorf("hookcall: %s: what is sent is no JSON: %w", h.Point, err)
	}
	answer, err := h.ask(ctx, body)
	if err == nil {
		err = read(answer, out)
	}
	if err != nil {
		h.log(ctx, err)
	}
	return err
}

func (h *Hook) ask(ctx context.Context, body []byte) ([]byte, error) {
	limited, cancel := context.WithTimeout(ctx, h.Timeout)
	defer cancel()
	ask := h.post
	if h.Target.IsFunction() {
		ask = h.call
	}
	answer, err := ask(limited, body)
	switch {
	case err == nil:
		return answer, nil
	case ctx.Err() != nil:
		return nil, fmt.Errorf("hookcall: %s: %w", h.Point, ctx.Err()) // the client went away
	case limited.Err() != nil || errors.Is(err, context.DeadlineExceeded) && h.Target.IsFunction():
		return nil, fault.New(fault.HookTimeout, "Failed to reach hook within maximum time of %f seconds", h.Timeout.Seconds()).WithCause(err)
	}
	return nil, err
}

// call runs the function of the database.
func (h *Hook) call(ctx context.Context, body []byte) ([]byte, error) {
	answer, err := h.Function(ctx, h.Target.Schema, h.Target.Function, body)
	switch {
	case err != nil:
		return nil, fault.New(fault.UnexpectedFailure, "Error running the hook's function").WithCause(fmt.Errorf("hookcall: %s: %w", h.Point, err))
	case len(answer) > MaxAnswer:
		return nil, errTooLarge
	}
	return answer, nil
}

// post asks over HTTP, several times if need be.
func (h *Hook) post(ctx context.Context, body []byte) ([]byte, error) {
	var last error
	for attempt := range Attempts {
		m := webhook.Message{URL: h.Target.URL, ID: uuid.NewString(), At: h.Now(), Body: body}
		a, err := h.poster.Post(ctx, m)
		if err == nil {
			answer, again, err := judge(a)
			if !again {
				return answer, err
			}
			last = err
			continue // at once: that is what Retry-After means here
		}
		last = fmt.Errorf("hookcall: %s: %w", h.Point, err)
		if hopeless(err) {
			return nil, fault.New(fault.UnexpectedFailure, "The hook can't be called").WithCause(last)
		}
		if ctx.Err() == nil && attempt < Attempts-1 {
			h.Pause(ctx, Pause)
		}
		if ctx.Err() != nil {
			return nil, last
		}
	}
	return nil, fault.New(fault.HookTimeoutAfterRetry, "Failed to reach hook after maximum retries").WithCause(last)
}

// hopeless reports an error that another attempt can't mend: an address that is never
// dialled, a certificate that nobody vouches for.
func hopeless(err error) bool {
	var certificate *tls.CertificateVerificationError
	return errors.Is(err, outbound.ErrForbiddenAddress) || errors.As(err, &certificate)
}

// pause waits.
func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// log writes down what failed, unless the hook refused on purpose: that is no failure.
func (h *Hook) log(ctx context.Context, err error) {
	var f *fault.Error
	if !errors.As(err, &f) || f.Code == fault.Unknown || h.Logger == nil {
		return
	}
	h.Logger.WarnContext(ctx, "auth: a hook failed", "hook", h.Point, "code", f.Code, "message", f.Message, "error", f.Cause)
}
