package password

import (
	"container/list"
	"context"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/truekeel/auth/fault"
)

const (
	// quiet is how long after another request the gate keeps a processor free.
	quiet = time.Second

	minRetryAfter = time.Second
	maxRetryAfter = 30 * time.Second
)

// gate lets hashes through first come, first served, only so many at once, and only
// so many waiting. While other requests come in it keeps one processor free for them:
// a hash holds its processor for tens of milliseconds, and what waits behind it waits
// as long.
type gate struct {
	now    func() time.Time
	tell   func(Event)
	slots  int   // processors
	queue  int   // how many may wait
	budget int64 // bytes that the running hashes may take together

	arrived atomic.Int64 // when the last other request came in, Unix nanoseconds
	took    atomic.Int64 // how long the last hash took, nanoseconds

	mu      sync.Mutex
	busy    int   // processors taken
	memory  int64 // bytes taken
	waiting *list.List
}

// Step is what happened to a hash at the gate.
type Step string

// The steps. A hash that was Queued goes on to Begun or Left.
const (
	Queued  Step = "queued"  // it waits for its turn
	Begun   Step = "begun"   // its turn came
	Left    Step = "left"    // its caller went away while it waited
	Refused Step = "refused" // too many waited already
)

// Event tells an observer of a step.
type Event struct {
	Step   Step
	Queued bool          // of Begun: it had to wait
	Waited time.Duration // of Begun and Left
}

// work is what one hash takes.
type work struct {
	lanes  int   // processors
	memory int64 // bytes
}

// ticket is a hash that waits its turn.
type ticket struct {
	work  work
	ready chan struct{} // closed under the gate's lock when its turn has come
}

func newGate(now func() time.Time, slots, queue int, budget int64) *gate {
	g := &gate{now: now, tell: func(Event) {}, slots: slots, queue: queue, budget: budget, waiting: list.New()}
	g.arrived.Store(math.MinInt64 / 2) // long ago
	return g
}

// do runs fn when its turn has come. It fails without having run fn if ctx ends
// first, or if too many wait already.
func (g *gate) do(ctx context.Context, w work, fn func()) error {
	if err := g.enter(ctx, w); err != nil {
		return err
	}
	start := g.now()
	defer func() { // also if fn panics
		g.took.Store(int64(g.now().Sub(start)))
		g.leave(w)
	}()
	fn()
	return nil
}

func (g *gate) enter(ctx context.Context, w work) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	g.mu.Lock()
	if g.waiting.Len() == 0 && g.fits(w) {
		g.take(w)
		g.mu.Unlock()
		g.tell(Event{Step: Begun})
		return nil
	}
	if g.waiting.Len() >= g.queue {
		after := g.retryAfter()
		g.mu.Unlock()
		g.tell(Event{Step: Refused})
		err := fault.New(fault.Unavailable, "Too many sign-ins at once, please try again later")
		err.RetryAfter = after
		return err
	}
	t := &ticket{work: w, ready: make(chan struct{})}
	place := g.waiting.PushBack(t)
	g.mu.Unlock()
	since := g.now()
	g.tell(Event{Step: Queued})

	select {
	case <-t.ready:
		g.tell(Event{Step: Begun, Queued: true, Waited: g.now().Sub(since)})
		return nil
	case <-ctx.Done():
		g.abandon(place)
		g.tell(Event{Step: Left, Waited: g.now().Sub(since)})
		return ctx.Err()
	}
}

// abandon takes back a ticket whose owner went away, perhaps just after its turn came.
func (g *gate) abandon(place *list.Element) {
	g.mu.Lock()
	defer g.mu.Unlock()
	t := place.Value.(*ticket)
	select {
	case <-t.ready:
		g.give(t.work)
	default:
		g.waiting.Remove(place)
	}
	g.admit() // the one behind may fit where this one didn't
}

func (g *gate) leave(w work) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.give(w)
	g.admit()
}

// admit lets in from the head of the queue what fits. Nobody overtakes. As the limit
// is looked at whenever a hash ends, and one always runs while others wait, no timer
// is needed to use a processor that has become free.
func (g *gate) admit() {
	for place := g.waiting.Front(); place != nil; place = g.waiting.Front() {
		t := place.Value.(*ticket)
		if !g.fits(t.work) {
			return
		}
		g.waiting.Remove(place)
		g.take(t.work)
		close(t.ready)
	}
}

// fits reports whether w may run beside what runs. Alone everything may.
func (g *gate) fits(w work) bool {
	if g.busy == 0 {
		return true
	}
	return g.busy+w.lanes <= g.limit() && g.memory+w.memory <= g.budget
}

func (g *gate) take(w work) { g.busy += w.lanes; g.memory += w.memory }
func (g *gate) give(w work) { g.busy -= w.lanes; g.memory -= w.memory }

// limit is how many processors hashes may hold now.
func (g *gate) limit() int {
	since := g.now().UnixNano() - g.arrived.Load()
	if g.slots > 1 && since >= 0 && since < int64(quiet) {
		return g.slots - 1
	}
	return g.slots
}

// retryAfter guesses how long the queue needs, in whole seconds.
func (g *gate) retryAfter() time.Duration {
	each := time.Duration(g.took.Load()) / time.Duration(g.limit())
	wait := (each*time.Duration(g.waiting.Len()) + time.Second - 1).Truncate(time.Second)
	return min(max(wait, minRetryAfter), maxRetryAfter)
}
