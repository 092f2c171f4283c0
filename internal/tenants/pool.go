package tenants

import (
	"container/list"
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/truekeel/auth"
	"github.com/truekeel/auth/fault"
)

const (
	// openTimeout bounds the opening of an instance, which nobody's request can cut
	// short: others may wait for the same one.
	openTimeout = 30 * time.Second
	// turnTimeout is how long a request waits for one of the places to become free.
	turnTimeout = 5 * time.Second
)

// pool keeps instances open, at most so many. The one that was asked for longest ago
// gives its place up, unless a request is under way in it.
type pool struct {
	open     func(ctx context.Context, p place) (*auth.Auth, int64, error)
	timeout  time.Duration // of closing
	patience time.Duration // of who waits for a place
	log      *slog.Logger
	places   chan struct{} // holds a value for each instance that is open, opening or closing

	mu      sync.Mutex
	entries map[place]*entry
	alive   map[*entry]bool // those in entries, and those that left and aren't closed
	recent  *list.List      // of *entry, the last asked for in front
	wanted  int             // how many wait for a place
	closed  bool
	running sync.WaitGroup // openings, and entries that aren't closed
}

// entry is an instance. While it isn't opened, and while requests are under way, it
// isn't closed.
type entry struct {
	place  place
	opened chan struct{} // closed when auth, version and err are set
	auth   *auth.Auth
	err    error

	version int64

	// guarded by the pool's lock
	requests int
	spot     *list.Element // nil once it left the pool
	done     chan struct{} // closed when it has been closed
}

func newPool(most int, timeout time.Duration, log *slog.Logger, open func(context.Context, place) (*auth.Auth, int64, error)) *pool {
	return &pool{
		open: open, timeout: timeout, patience: turnTimeout, log: log, places: make(chan struct{}, most),
		entries: map[place]*entry{}, alive: map[*entry]bool{}, recent: list.New(),
	}
}

// acquire gives an instance of at least a version, opened. Release it when done.
func (p *pool) acquire(ctx context.Context, at place, version int64) (*entry, error) {
	for {
		e, err := p.enter(at)
		if err != nil {
			return nil, err
		}
		select {
		case <-e.opened:
		case <-ctx.Done():
			p.release(e)
			return nil, ctx.Err()
		}
		if e.err != nil {
			p.release(e)
			return nil, e.err
		}
		if e.version >= version {
			return e, nil
		}
		p.leave(e) // it was changed: those under way end with the old settings
		p.release(e)
	}
}

// enter finds the entry of a place, or begins to open it, and counts a request in it.
func (p *pool) enter(at place) (*entry, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, errClosed
	}
	e, ok := p.entries[at]
	if ok {
		p.recent.MoveToFront(e.spot)
	} else {
		e = &entry{place: at, opened: make(chan struct{}), done: make(chan struct{})}
		e.requests = 1 // the opening itself
		e.spot = p.recent.PushFront(e)
		p.entries[at], p.alive[e] = e, true
		p.running.Add(1)
		go p.start(e)
	}
	e.requests++
	return e, nil
}

// start opens an entry once there is a place for it.
func (p *pool) start(e *entry) {
	defer p.release(e)
	defer close(e.opened)
	ctx, cancel := context.WithTimeout(context.Background(), openTimeout)
	defer cancel()
	if e.err = p.turn(); e.err != nil {
		p.leave(e)
		return
	}
	e.auth, e.version, e.err = p.open(ctx, e.place)
	if e.err != nil {
		<-p.places
		p.leave(e)
		var f *fault.Error
		if !errors.As(e.err, &f) {
			p.log.Error("an instance can't be opened", "instance", e.place.id, "error", e.err)
		}
	}
}

// turn takes a place; the least recent instance that is idle gives one up for it.
func (p *pool) turn() error {
	select {
	case p.places <- struct{}{}:
		return nil
	default:
	}
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return errClosed
	}
	p.wanted++
	p.yield()
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		p.wanted--
		p.mu.Unlock()
	}()
	timer := time.NewTimer(p.patience)
	defer timer.Stop()
	select {
	case p.places <- struct{}{}:
		return nil
	case <-timer.C:
		return errBusy
	}
}

// yield makes the least recent idle entry leave. The lock is held.
func (p *pool) yield() {
	for spot := p.recent.Back(); spot != nil; spot = spot.Prev() {
		if e := spot.Value.(*entry); e.requests == 0 {
			p.part(e)
			return
		}
	}
}

// leave takes an entry out, so that the next request opens it anew. It is closed by its
// last request.
func (p *pool) leave(e *entry) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.drop(e)
}

// part takes an entry out and closes it, now or when its last request ends. The lock is
// held.
func (p *pool) part(e *entry) {
	idle := e.spot != nil && e.requests == 0 // else somebody finishes it, or did
	p.drop(e)
	if idle {
		p.finish(e)
	}
}

// drop is leave for callers who hold the lock.
func (p *pool) drop(e *entry) {
	if e.spot == nil {
		return
	}
	p.recent.Remove(e.spot)
	e.spot = nil
	delete(p.entries, e.place)
}

// release ends a request.
func (p *pool) release(e *entry) {
	p.mu.Lock()
	defer p.mu.Unlock()
	e.requests--
	if e.requests > 0 {
		return
	}
	if e.spot != nil && p.wanted > 0 {
		p.drop(e)
	}
	if e.spot == nil {
		p.finish(e)
	}
}

// finish closes an entry that left and that nobody uses. The lock is held.
func (p *pool) finish(e *entry) {
	if e.auth == nil { // it never opened
		p.ended(e)
		return
	}
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), p.timeout)
		defer cancel()
		if err := e.auth.Close(ctx); err != nil && !errors.Is(err, context.DeadlineExceeded) {
			p.log.Error("an instance can't be closed", "instance", e.place.id, "error", err)
		}
		<-p.places
		p.mu.Lock()
		defer p.mu.Unlock()
		p.ended(e)
	}()
}

// ended notes that an entry is closed. The lock is held.
func (p *pool) ended(e *entry) {
	delete(p.alive, e)
	close(e.done)
	p.running.Done()
}

// evict closes an instance at all of its sites, and waits until its requests have ended.
func (p *pool) evict(ctx context.Context, id uuid.UUID) error {
	p.mu.Lock()
	var leaving []*entry
	for e := range p.alive {
		if e.place.id != id {
			continue
		}
		leaving = append(leaving, e)
		p.part(e)
	}
	p.mu.Unlock()
	for _, e := range leaving {
		select {
		case <-e.done:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// close closes all entries and waits for them until ctx ends.
func (p *pool) close(ctx context.Context) error {
	p.mu.Lock()
	p.closed = true
	for _, e := range p.entries {
		p.part(e)
	}
	p.mu.Unlock()
	all := make(chan struct{})
	go func() {
		p.running.Wait()
		close(all)
	}()
	select {
	case <-all:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// size is how many places are taken.
func (p *pool) size() int { return len(p.places) }
