// Package outbox delivers what a committed change owes the world: mails, messages, events.
//
// A flow puts an item into its own transaction ([Outbox.Put]), so that the item exists if
// and only if the change does. A worker delivers it soon afterwards, tries again with
// growing pauses while that fails, survives restarts, and gives up loudly. Delivery is at
// least once: no two living processes deliver one item, but a crash between the delivery
// and the note of it repeats the delivery, under the same message id.
//
// What an item holds is sealed as long as it waits and erased once it is done.
package outbox

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/truekeel/auth/store"
)

// KindNone is the kind of items that nobody delivers: see [Outbox.PutNone].
const KindNone = "none"

// The defaults of Config.
const (
	DefaultGiveUpAfter = 24 * time.Hour
	DefaultPoll        = 2 * time.Second
	DefaultLease       = time.Minute
	DefaultForeign     = 10 * time.Minute
)

var (
	// ErrClosed means that the Outbox was closed.
	ErrClosed = errors.New("outbox: closed")
	// ErrPermanent marks a failure that another attempt can't mend; handlers may wrap it.
	// Config.Permanent can name more of that kind.
	ErrPermanent = errors.New("outbox: failed for good")
)

// Sealer keeps what an item holds from whoever reads the database. Sealed bytes open only
// under the purpose that they were sealed for.
type Sealer interface {
	Seal(purpose string, plain []byte) []byte
	Open(purpose string, sealed []byte) ([]byte, error)
}

// Handler delivers one item, or says why it couldn't. Its context ends some time before
// the lease does; a handler that goes on regardless risks a second delivery by another
// process. A panic is a failure like any other.
type Handler func(ctx context.Context, d Delivery) error

// Config is what an Outbox needs.
type Config struct {
	// Store keeps the items. Required.
	Store store.Outbox
	// Sealer seals what they hold. Required.
	Sealer Sealer
	// Sender names who can deliver the items of this process: only items of the same
	// Sender are claimed. Required.
	Sender string
	// Handlers deliver, by kind. An item of another kind waits for a process that has a
	// handler for it, and counts as failed here.
	Handlers map[string]Handler
	// Domain is the right side of message ids. Default "localhost".
	Domain string

	// Sync makes [Outbox.Settle] deliver and report failures.
	Sync bool
	// GiveUpAfter is the age at which an item that can't be delivered is given up.
	// Default 24 h.
	GiveUpAfter time.Duration
	// Poll is how often the store is asked for items that are due. Items of this
	// process don't wait for it. Default 2 s.
	Poll time.Duration
	// Workers is how many items are delivered at the same time. Default 4.
	Workers int
	// Lease is how long a process may work on an item before others take it for dead.
	// Default 1 min; a handler gets three quarters of it.
	Lease time.Duration
	// Backoff is the pause after the given number of attempts. Default: a random part
	// of 1 s that doubles with every attempt, up to 15 min.
	Backoff func(attempts int) time.Duration
	// Foreign is how often items of other senders that are at least this old are warned
	// of. Default 10 min; negative: never.
	Foreign time.Duration
	// Known reports other senders that this process serves: nobody is warned of them.
	// Default: none.
	Known func(sender string) bool
	// Behind puts each item with a key behind all that are owed of that key, also if
	// another process wrote them whose clock is ahead. Those that wait cost nothing until
	// it is their turn. Without it they are found and left out at each look.
	Behind bool

	// Permanent reports errors of handlers that another attempt can't mend, beside
	// those that wrap ErrPermanent. Default: none.
	Permanent func(error) bool
	// Explain gives the text of a handler's error that is stored and logged. It must
	// hold no secret and no address. Default: a word for what sort of error it is.
	Explain func(error) string
	// Settle writes down what became of an attempt: it calls write, once for each time that
	// it is tried, with the store of a transaction in which it may write more, if write
	// reports true (else another process has the item). Default: write alone.
	Settle func(ctx context.Context, a Attempt, write func(tx store.Outbox) (bool, error)) (bool, error)
	// Now is the clock. Default time.Now.
	Now func() time.Time
	// Logger gets failures. Default: none are written.
	Logger *slog.Logger
	// Observe is told what became of each attempt, from several goroutines. It should
	// return soon. Default: nobody is told.
	Observe func(Event)
}

func (c Config) withDefaults() (Config, error) {
	switch {
	case c.Store == nil:
		return c, errors.New("outbox: Store is missing")
	case c.Sealer == nil:
		return c, errors.New("outbox: Sealer is missing")
	case c.Behind && c.Settle == nil:
		return c, errors.New("outbox: Settle is missing: with Behind it has to be a transaction")
	case c.Sender == "":
		return c, errors.New("outbox: Sender is missing")
	}
	for kind, h := range c.Handlers {
		if kind == "" || kind == KindNone || h == nil {
			return c, fmt.Errorf("outbox: Handlers can't hold %q, or holds nil for it", kind)
		}
	}
	c.Domain = or(c.Domain, "localhost")
	c.GiveUpAfter = or(max(c.GiveUpAfter, 0), DefaultGiveUpAfter)
	c.Poll = or(max(c.Poll, 0), DefaultPoll)
	c.Workers = or(max(c.Workers, 0), 4)
	c.Lease = or(max(c.Lease, 0), DefaultLease)
	c.Foreign = or(c.Foreign, DefaultForeign)
	if c.Known == nil {
		c.Known = func(string) bool { return false }
	}
	if c.Settle == nil {
		c.Settle = func(_ context.Context, _ Attempt, write func(store.Outbox) (bool, error)) (bool, error) {
			return write(c.Store)
		}
	}
	if c.Backoff == nil {
		c.Backoff = backoff
	}
	if c.Permanent == nil {
		c.Permanent = func(error) bool { return false }
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Observe == nil {
		c.Observe = func(Event) {}
	}
	return c, nil
}

// or gives v, or fallback if v is the zero value.
func or[T comparable](v, fallback T) T {
	var zero T
	if v == zero {
		return fallback
	}
	return v
}

const (
	firstPause = time.Second
	maxPause   = 15 * time.Minute
)

// backoff is exponential with full jitter: what failed together doesn't come back together.
func backoff(attempts int) time.Duration {
	bound := maxPause
	if shift := max(attempts, 1) - 1; shift < 10 {
		bound = min(firstPause<<shift, maxPause)
	}
	return time.Duration(rand.Int64N(int64(bound)) + 1) //nolint:gosec // nobody gains by guessing a pause
}

// Outbox keeps and delivers items. It is safe for concurrent use. Make it with [New].
type Outbox struct {
	config Config

	wake  chan struct{} // holds one token if there is something to do
	slots chan struct{} // one for each delivery of the worker

	stopping context.Context // ends when Close begins: nothing new is claimed
	stop     context.CancelFunc
	hard     context.Context // ends when Close loses its patience: deliveries are cut short
	cut      context.CancelFunc

	mu       sync.Mutex
	trouble  error // the store's, when an item was claimed
	started  bool
	closed   bool
	flying   map[uuid.UUID]chan struct{} // deliveries of this process; closed when they end
	begun    uint64                      // how many have flown or fly
	running  sync.WaitGroup              // the worker, and every delivery
	finished func()                      // closes allDone, once
	allDone  chan struct{}
}

// New makes an Outbox. Nothing is delivered before [Outbox.Start].
func New(config Config) (*Outbox, error) {
	config, err := config.withDefaults()
	if err != nil {
		return nil, err
	}
	o := &Outbox{
		config: config, wake: make(chan struct{}, 1), slots: make(chan struct{}, config.Workers),
		flying: make(map[uuid.UUID]chan struct{}), allDone: make(chan struct{}),
	}
	o.stopping, o.stop = context.WithCancel(context.Background())
	o.hard, o.cut = context.WithCancel(context.Background())
	o.finished = sync.OnceFunc(func() { close(o.allDone) })
	return o, nil
}

// Start begins to deliver. Another Start, or one after Close, does nothing.
func (o *Outbox) Start() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.started || o.closed {
		return
	}
	o.started = true
	o.running.Go(o.work)
}

// grace is how long deliveries that were cut short may take to notice it.
const grace = time.Second

// Close stops claiming items and waits for the deliveries that have begun. When ctx ends
// they are cut short, and go on in the next process to serve the items. Close returns nil
// if nothing is left running; a second one waits as the first does.
func (o *Outbox) Close(ctx context.Context) error {
	o.mu.Lock()
	o.closed = true
	o.mu.Unlock()
	o.stop()
	go func() { // ends with the last delivery
		o.running.Wait()
		o.finished()
	}()
	select {
	case <-o.allDone:
		o.cut()
		return nil
	case <-ctx.Done():
	}
	o.cut()
	patience := time.NewTimer(grace)
	defer patience.Stop()
	select {
	case <-o.allDone:
		return nil
	case <-patience.C:
		return fmt.Errorf("outbox: a delivery doesn't heed its context: %w", ctx.Err())
	}
}

// begin notes a delivery that starts; the returned function ends it. It is false if the
// Outbox is closed or already works on the item.
func (o *Outbox) begin(id uuid.UUID) (func(), bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if _, flies := o.flying[id]; flies || o.closed {
		return nil, false
	}
	ended := make(chan struct{})
	o.flying[id] = ended
	o.begun++
	o.running.Add(1)
	return func() {
		o.mu.Lock()
		delete(o.flying, id)
		o.mu.Unlock()
		close(ended)
		o.running.Done()
	}, true
}

func (o *Outbox) isClosed() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.closed
}

// Wake makes the worker look for items that are due.
func (o *Outbox) Wake() {
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

// now is the clock at the store's resolution, so that what is due now is due now.
func (o *Outbox) now() time.Time { return o.config.Now().UTC().Truncate(time.Microsecond) }

// observe tells the observer; its panics are its own.
func (o *Outbox) observe(e Event) {
	defer func() {
		if p := recover(); p != nil {
			o.config.Logger.Error("outbox: the observer panicked", "stack", stack())
		}
	}()
	o.config.Observe(e)
}

// stack is where the goroutine is, without values.
func stack() string {
	pcs := make([]uintptr, 32)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(3, pcs)])
	var text []byte
	for {
		f, more := frames.Next()
		text = fmt.Appendf(text, "%s:%d\n", f.Function, f.Line)
		if !more {
			return string(text)
		}
	}
}
