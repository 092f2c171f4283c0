// Package clean deletes what nobody needs any more. Every table that grows names its
// rule in [DefaultRules]; one goroutine follows them, a little at a time.
package clean

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"github.com/truekeel/auth/store"
)

const (
	// DefaultEvery is the time between two passes.
	DefaultEvery = time.Minute

	batch         = 250 // rows a statement: a writer never waits long behind one
	batchesInPass = 80  // statements a pass: what is left over waits for the next
)

// Rule says how long rows of a kind are kept after they ended (what "ended" means is
// said at each [store.PurgeKind]).
type Rule struct {
	Kind store.PurgeKind
	Age  time.Duration
}

// DefaultRules gives the rules for all that grows by itself. The audit log isn't
// among them: it is kept for ever unless the host adds a rule for it.
func DefaultRules() []Rule {
	const day = 24 * time.Hour
	return []Rule{
		{store.PurgeOneTimeTokens, day},
		{store.PurgeFlowStates, day},
		{store.PurgeCounters, 0},
		{store.PurgeOutbox, 7 * day},
		{store.PurgeEvents, 7 * day},
		{store.PurgeRefreshTokens, 7 * day},
		{store.PurgeSessions, 3 * day},
		{store.PurgeKeys, 30 * day},
	}
}

// Config sets up a [Cleaner].
type Config struct {
	// Store is where to delete. Required.
	Store store.Purger
	// Rules says what; default [DefaultRules]. A kind has one rule.
	Rules []Rule
	// Every is the time between two passes; default [DefaultEvery].
	Every time.Duration
	// Now is the clock that ages are measured with. Required.
	Now func() time.Time
	// Logger hears of failures, and at debug level of what was deleted. Required.
	Logger *slog.Logger
}

// Cleaner follows the rules. It is safe for concurrent use, and no two passes of one
// Cleaner ever run at once. Several processes may clean one database.
type Cleaner struct {
	c    Config
	next int           // the rule that the next pass begins with; guarded by busy
	busy chan struct{} // holds one value while a pass runs

	start, stop sync.Once
	done        chan struct{} // closed when the goroutine has ended
	ctx         context.Context
	cancel      context.CancelFunc
}

// New checks c and makes a Cleaner, which does nothing until [Cleaner.Start].
func New(c Config) (*Cleaner, error) {
	if c.Store == nil || c.Now == nil || c.Logger == nil {
		return nil, errors.New("clean: Config.Store, Now and Logger are required")
	}
	if c.Every < 0 {
		return nil, fmt.Errorf("clean: Config.Every is %s; use 0 for the default", c.Every)
	}
	if c.Every == 0 {
		c.Every = DefaultEvery
	}
	if c.Rules == nil {
		c.Rules = DefaultRules()
	}
	seen := make(map[store.PurgeKind]bool)
	for _, r := range c.Rules {
		if r.Kind == "" || r.Age < 0 || seen[r.Kind] {
			return nil, fmt.Errorf("clean: rule {%q, %s}: each kind has one rule, with an age of zero or more", r.Kind, r.Age)
		}
		seen[r.Kind] = true
	}
	ctx, cancel := context.WithCancel(context.Background())
	return &Cleaner{
		c:      c,
		busy:   make(chan struct{}, 1),
		done:   make(chan struct{}),
		ctx:    ctx,
		cancel: cancel,
	}, nil
}

// Start begins to clean in the background, the first time after one interval, until
// [Cleaner.Close]. A second Start, or one after Close, does nothing.
func (c *Cleaner) Start() {
	c.start.Do(func() { go c.run() })
}

// Close stops the background work, a pass in the middle included, and returns when it
// has ended. A second Close does nothing.
func (c *Cleaner) Close() {
	c.stop.Do(func() {
		c.cancel()
		c.start.Do(func() { close(c.done) }) // it was never started
	})
	<-c.done
}

func (c *Cleaner) run() {
	defer close(c.done)
	tick := time.NewTicker(c.c.Every)
	defer tick.Stop()
	for {
		select {
		case <-c.ctx.Done():
			return
		case <-tick.C:
		}
		if err := c.Once(c.ctx); err != nil && c.ctx.Err() == nil {
			c.c.Logger.WarnContext(c.ctx, "cleaning failed; it will be tried again", "error", err)
		}
	}
}

// Once does one pass: for each rule it deletes in small batches until nothing is left
// or the pass has done its share. It waits for a pass that is under way. The rule
// that a pass begins with changes from one to the next, so that a table that grows
// fast doesn't keep the others from their turn. A rule that fails doesn't stop the
// others; the error joins what failed. A panic of the store is such a failure.
func (c *Cleaner) Once(ctx context.Context) error {
	select {
	case c.busy <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-c.busy }()

	if len(c.c.Rules) == 0 {
		return nil
	}
	first := c.next
	c.next = (c.next + 1) % len(c.c.Rules)
	budget := batchesInPass
	var errs []error
	for i := range c.c.Rules {
		rule := c.c.Rules[(first+i)%len(c.c.Rules)]
		if err := c.follow(ctx, rule, &budget); err != nil {
			errs = append(errs, fmt.Errorf("clean %s: %w", rule.Kind, err))
		}
		if ctx.Err() != nil {
			break
		}
	}
	return errors.Join(errs...)
}

// follow deletes what one rule names. Each rule gets one batch even if the budget is
// spent.
func (c *Cleaner) follow(ctx context.Context, r Rule, budget *int) (err error) {
	var deleted int64
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
		if deleted > 0 {
			c.c.Logger.DebugContext(ctx, "cleaned", "kind", string(r.Kind), "rows", deleted)
		}
	}()
	before := c.c.Now().Add(-r.Age)
	for {
		n, err := c.c.Store.Purge(ctx, r.Kind, before, batch)
		if err != nil {
			return err
		}
		deleted += n
		*budget--
		if n < batch || *budget <= 0 {
			return nil
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
}
