package events

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/truekeel/auth/internal/outbound"
	"github.com/truekeel/auth/internal/outbox"
	"github.com/truekeel/auth/internal/webhook"
	"github.com/truekeel/auth/store"
)

// Poster sends a signed message once.
type Poster interface {
	Post(ctx context.Context, m webhook.Message) (webhook.Answer, error)
	Close()
}

// Endpoint is a receiver.
type Endpoint struct {
	// Name tells it from others, also in the database: it keeps its queue when its URL
	// changes.
	Name string
	URL  string
	// Types are the events that it gets; none: all.
	Types []Type
	// Poster sends; it is closed with the Log.
	Poster Poster
	// GiveUpAfter is the age at which an event is given up. Default 72 h.
	GiveUpAfter time.Duration
	// Lease and Backoff are those of [outbox.Config].
	Lease   time.Duration
	Backoff func(attempts int) time.Duration
}

// DefaultGiveUpAfter outlasts a weekend.
const DefaultGiveUpAfter = 72 * time.Hour

// workers is how many events one endpoint gets at a time, each of another user.
const workers = 8

// maxRetryAfter bounds how long a receiver may have an event wait.
const maxRetryAfter = time.Hour

// endpoint is one that is at work. It has an outbox of its own: a receiver that hangs
// holds up no other, and no mail.
type endpoint struct {
	Endpoint
	log    *Log
	wants  map[Type]bool
	outbox *outbox.Outbox
}

// SenderOf names an endpoint's outbox among others of a store. On a copy of the database,
// a system with a site of its own tells nobody what the first one owes.
func SenderOf(name, site string) string {
	sum := sha256.Sum256([]byte(site))
	return "event webhook " + name + " " + hex.EncodeToString(sum[:6])
}

const kind = "event"

func (l *Log) open(e Endpoint) (*endpoint, error) {
	out := &endpoint{Endpoint: e, log: l, wants: map[Type]bool{}}
	types := e.Types
	if len(types) == 0 {
		types = Types()
	}
	for _, t := range types {
		out.wants[t] = true
	}
	giveUp := e.GiveUpAfter
	if giveUp <= 0 {
		giveUp = DefaultGiveUpAfter
	}
	var err error
	out.outbox, err = outbox.New(outbox.Config{
		Store: l.Store, Sealer: open{}, Sender: SenderOf(e.Name, l.Site), Handlers: map[string]outbox.Handler{kind: out.deliver},
		GiveUpAfter: giveUp, Workers: workers, Foreign: -1, Behind: true, Explain: explain, Settle: out.settle,
		Lease: e.Lease, Backoff: e.Backoff, Now: l.Now, Logger: l.Logger, Observe: l.Observe,
	})
	return out, err
}

// open leaves the outbox's items as they are: they hold an id, and what an event says is
// sealed in its own row. So the key is no part of what is owed, nor of the sender's name,
// as it is with mails: what is told under a new key comes behind what was told under the
// old one. A process that lacks an event's key fails like a receiver that is down: it
// tries again, ever more rarely, until one that has the key is quicker or the event is
// given up, from where it can be sent again.
type open struct{}

func (open) Seal(_ string, plain []byte) []byte           { return plain }
func (open) Open(_ string, sealed []byte) ([]byte, error) { return sealed, nil }

// ref is what the outbox holds of an event.
type ref struct {
	ID     uuid.UUID `json:"id"`
	Type   Type      `json:"type"`
	Before int       `json:"before,omitempty"` // attempts of earlier deliveries
}

func (e *endpoint) put(ctx context.Context, tx store.Outbox, user uuid.UUID, r ref) error {
	_, err := e.outbox.Put(ctx, tx, outbox.Item{Kind: kind, Key: user.String(), Payload: r})
	return err
}

var (
	errUnreadable = errors.New("events: the content is sealed with a key that isn't known here")
	errGone       = errors.New("events: the endpoint says that it is gone")
	errLost       = errors.New("events: the event isn't there any more")
)

// refusal is an answer that isn't 2xx.
type refusal int

func (r refusal) Error() string { return "events: status " + strconv.Itoa(int(r)) }

// failure is an attempt's error as operators see it.
type failure struct {
	endpoint string
	ref      ref
	err      error
}

func (f *failure) Error() string {
	return fmt.Sprintf("event webhook %s: event %s (%s): %s", f.endpoint, f.ref.ID, f.ref.Type, class(f.err))
}

func (f *failure) Unwrap() error { return f.err }

// explain gives an error's text, which holds nothing of a message, an answer or a URL.
func explain(err error) string {
	var f *failure
	if errors.As(err, &f) {
		return f.Error()
	}
	return class(err)
}

// deliver is one attempt.
func (e *endpoint) deliver(ctx context.Context, d outbox.Delivery) error {
	var r ref
	if err := d.Decode(&r); err != nil {
		return fmt.Errorf("%w: %w", outbox.ErrPermanent, err)
	}
	if err := e.post(ctx, r, d.Status); err != nil {
		return &failure{endpoint: e.Name, ref: r, err: err}
	}
	return nil
}

func (e *endpoint) post(ctx context.Context, r ref, status *int) error {
	row, err := e.log.Store.EventDelivery(ctx, r.ID)
	if errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("%w: %w", outbox.ErrPermanent, errLost)
	}
	if err != nil {
		return err
	}
	body, err := e.log.Body(row)
	if err != nil {
		return err
	}
	now := e.log.Now()
	answer, err := e.Poster.Post(ctx, webhook.Message{URL: e.URL, ID: row.ID.String(), At: now, Body: body})
	if err != nil {
		return err
	}
	*status = answer.Status
	switch {
	case answer.OK():
		return nil
	case answer.Status == http.StatusGone:
		return fmt.Errorf("%w: %w", outbox.ErrPermanent, errGone)
	case answer.Status == http.StatusTooManyRequests || answer.Status == http.StatusServiceUnavailable:
		return outbox.Later(refusal(answer.Status), retryAfter(answer.Header.Get("Retry-After"), now))
	}
	return refusal(answer.Status)
}

// retryAfter reads the header of that name (RFC 9110, 10.2.3): seconds or a date, 0 if it
// is neither, at most an hour.
func retryAfter(value string, now time.Time) time.Duration {
	if seconds, err := strconv.ParseUint(value, 10, 31); err == nil {
		return min(time.Duration(seconds)*time.Second, maxRetryAfter)
	}
	if at, err := http.ParseTime(value); err == nil {
		return min(max(at.Sub(now), 0), maxRetryAfter)
	}
	return 0
}

// class is a word for what sort of error it is.
func class(err error) string {
	var status refusal
	var timeout net.Error
	switch {
	case err == nil:
		return ""
	case errors.Is(err, errGone):
		return "gone"
	case errors.Is(err, errLost):
		return "lost"
	case errors.Is(err, errUnreadable):
		return "unreadable"
	case errors.As(err, &status):
		if status >= 300 && status < 400 {
			return "redirect"
		}
		return "status " + strconv.Itoa(int(status))
	case errors.Is(err, outbound.ErrForbiddenAddress):
		return "address"
	case errors.Is(err, store.ErrUnavailable):
		return "store"
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return "timeout"
	case errors.Is(err, context.Canceled):
		return "cancelled"
	}
	return "connection"
}

// settle notes an attempt in the transaction that settles its item.
func (e *endpoint) settle(ctx context.Context, a outbox.Attempt, write func(tx store.Outbox) (bool, error)) (ok bool, err error) {
	var r ref
	d := outbox.Delivery{Payload: a.Payload}
	if d.Decode(&r) != nil { // it crashed every time, or isn't ours
		r = ref{}
	}
	note := store.EventDelivery{
		ID: r.ID, State: store.EventPending, Attempts: r.Before + a.Attempts, LastStatus: a.Status, LastAt: a.At,
	}
	switch a.Outcome {
	case outbox.Delivered:
		note.State, note.DoneAt = store.EventDelivered, a.At
	case outbox.GivenUp:
		note.State, note.DoneAt = store.EventGivenUp, a.At
	}
	if a.Err != nil {
		var f *failure
		if note.LastError = a.Class; errors.As(a.Err, &f) {
			note.LastError = class(f.err)
		}
	}
	err = e.log.Store.Tx(ctx, func(tx store.Store) error {
		if ok, err = write(tx); err != nil || !ok || r.ID == uuid.Nil {
			return err
		}
		return tx.NoteEventAttempt(ctx, note)
	})
	return ok && err == nil, err
}
