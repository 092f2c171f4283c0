package tokens

import (
	"context"
	"errors"
	"sync"
	"time"
)

// poll reads the store again and again, until ctx ends.
func (k *Keyring) poll(ctx context.Context) {
	defer close(k.done)
	tick := time.NewTicker(k.cfg.PollEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			k.pollOnce(ctx)
		}
	}
}

// pollOnce reads the store and logs when it begins to fail and when it works again.
func (k *Keyring) pollOnce(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	err := k.Reload(ctx)
	if errors.Is(ctx.Err(), context.Canceled) {
		return // closing
	}
	if failed := err != nil; failed != k.failed {
		k.failed = failed
		if failed {
			k.log.ErrorContext(ctx, "signing keys can't be read; going on with those known", "error", err)
		} else {
			k.log.InfoContext(ctx, "signing keys can be read again")
		}
	}
}

// missGate lets an unknown key id cause a read of the store, at most one per missInterval,
// whatever the number of tokens that have one.
type missGate struct {
	mu      sync.Mutex
	last    time.Time
	running chan struct{} // closed when the read in flight has ended; nil if there is none
}

// afterMiss reads the store because a token has an unknown key id, or waits for the read
// that another token caused. It reports whether there was one, so that it is worth to look
// again: also if it has ended between the look that missed and this call.
func (k *Keyring) afterMiss(ctx context.Context) bool {
	if k.configured() {
		return false
	}
	g := &k.miss
	g.mu.Lock()
	if running := g.running; running != nil {
		g.mu.Unlock()
		select {
		case <-running:
			return true
		case <-ctx.Done():
			return false
		}
	}
	now := k.now()
	if since := now.Sub(g.last); since >= 0 && since < missInterval {
		g.mu.Unlock()
		return true
	}
	done := make(chan struct{})
	g.last, g.running = now, done
	g.mu.Unlock()

	defer func() {
		g.mu.Lock()
		g.running = nil
		g.mu.Unlock()
		close(done)
	}()
	// Others wait for this read: it isn't cut short when this caller goes away.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), readTimeout)
	defer cancel()
	if err := k.Reload(ctx); err != nil {
		k.log.WarnContext(ctx, "signing keys can't be read for an unknown key id", "error", err)
	}
	return true
}
