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

// afterMiss has the store read because a token has an unknown key id, and waits for that, or
// for the read that another token caused. It reports whether there was one, so that it is
// worth to look again: also if it has ended between the look that missed and this call.
func (k *Keyring) afterMiss(ctx context.Context) bool {
	if k.configured() {
		return false
	}
	done := k.readForMiss(ctx)
	if done == nil {
		return true
	}
	select {
	case <-done:
		return true
	case <-ctx.Done():
		return false
	}
}

// readForMiss begins a read of the store, unless one is under way, and gives what is closed
// at its end; nil if the last one began too short a time ago. The read isn't cut short when
// the caller goes away: others wait for it too.
func (k *Keyring) readForMiss(ctx context.Context) <-chan struct{} {
	g := &k.miss
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.running != nil {
		return g.running
	}
	now := k.now()
	if since := now.Sub(g.last); since >= 0 && since < missInterval {
		return nil
	}
	done := make(chan struct{})
	g.last, g.running = now, done
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), readTimeout)
	go func() {
		defer cancel()
		if err := k.Reload(ctx); err != nil {
			k.log.WarnContext(ctx, "signing keys can't be read for an unknown key id", "error", err)
		}
		g.mu.Lock()
		g.running = nil
		g.mu.Unlock()
		close(done)
	}()
	return done
}

// await waits for the read in flight, if there is one.
func (g *missGate) await() {
	g.mu.Lock()
	running := g.running
	g.mu.Unlock()
	if running != nil {
		<-running
	}
}
