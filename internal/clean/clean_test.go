package clean_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/truekeel/auth/internal/clean"
	"github.com/truekeel/auth/store"
)

var today = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func now() time.Time { return today }

// purger has rows to delete of each kind, and remembers what it was asked.
type purger struct {
	mu    sync.Mutex
	rows  map[store.PurgeKind]int64
	calls []call
	hook  func(context.Context, store.PurgeKind) error
}

type call struct {
	kind   store.PurgeKind
	before time.Time
	limit  int
}

func (p *purger) Purge(ctx context.Context, kind store.PurgeKind, before time.Time, limit int) (int64, error) {
	if p.hook != nil {
		if err := p.hook(ctx, kind); err != nil {
			return 0, err
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.calls = append(p.calls, call{kind, before, limit})
	n := min(p.rows[kind], int64(limit))
	p.rows[kind] -= n
	return n, nil
}

// firsts gives the kinds in the order in which they were first asked for.
func (p *purger) firsts() []store.PurgeKind {
	p.mu.Lock()
	defer p.mu.Unlock()
	var kinds []store.PurgeKind
	seen := map[store.PurgeKind]bool{}
	for _, c := range p.calls {
		if !seen[c.kind] {
			kinds = append(kinds, c.kind)
		}
		seen[c.kind] = true
	}
	return kinds
}

func newCleaner(t *testing.T, p *purger, rules []clean.Rule) (*clean.Cleaner, *bytes.Buffer) {
	t.Helper()
	var log bytes.Buffer
	c, err := clean.New(clean.Config{Store: p, Rules: rules, Now: now, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return c, &log
}

func TestDefaultRules(t *testing.T) {
	p := &purger{rows: map[store.PurgeKind]int64{}}
	c, _ := newCleaner(t, p, nil)
	require.NoError(t, c.Once(t.Context()))
	age := map[store.PurgeKind]time.Duration{}
	for _, call := range p.calls {
		age[call.kind] = today.Sub(call.before)
	}
	require.Equal(t, map[store.PurgeKind]time.Duration{
		store.PurgeOneTimeTokens: 24 * time.Hour,
		store.PurgeFlowStates:    24 * time.Hour,
		store.PurgeCounters:      0,
		store.PurgeOutbox:        7 * 24 * time.Hour,
		store.PurgeRefreshTokens: 7 * 24 * time.Hour,
		store.PurgeSessions:      72 * time.Hour,
		store.PurgeKeys:          30 * 24 * time.Hour,
		store.PurgeEvents:        7 * 24 * time.Hour,
	}, age, "and never the audit log")
}

func TestOnceDeletesInSmallBatches(t *testing.T) {
	p := &purger{rows: map[store.PurgeKind]int64{store.PurgeCounters: 3001, store.PurgeOutbox: 7}}
	c, _ := newCleaner(t, p, nil)
	require.NoError(t, c.Once(t.Context()))
	require.Zero(t, p.rows[store.PurgeCounters])
	require.Zero(t, p.rows[store.PurgeOutbox])
	for _, call := range p.calls {
		require.LessOrEqual(t, call.limit, 1000)
	}
}

func TestAPassDoesItsShareAndTheOthersGetTheirTurn(t *testing.T) {
	rules := []clean.Rule{{Kind: store.PurgeCounters}, {Kind: store.PurgeOutbox}, {Kind: store.PurgeKeys}}
	const many = 1_000_000_000
	p := &purger{rows: map[store.PurgeKind]int64{store.PurgeCounters: many, store.PurgeOutbox: 1, store.PurgeKeys: 1}}
	c, _ := newCleaner(t, p, rules)
	require.NoError(t, c.Once(t.Context()))
	require.Positive(t, p.rows[store.PurgeCounters], "the pass ends")
	require.Zero(t, p.rows[store.PurgeOutbox])
	require.Zero(t, p.rows[store.PurgeKeys])

	require.Equal(t, []store.PurgeKind{store.PurgeCounters, store.PurgeOutbox, store.PurgeKeys}, p.firsts())
	p.calls = nil
	require.NoError(t, c.Once(t.Context()))
	require.Equal(t, []store.PurgeKind{store.PurgeOutbox, store.PurgeKeys, store.PurgeCounters}, p.firsts())
	p.calls = nil
	require.NoError(t, c.Once(t.Context()))
	require.Equal(t, []store.PurgeKind{store.PurgeKeys, store.PurgeCounters, store.PurgeOutbox}, p.firsts())
}

func TestAFailureDoesNotStopTheOthers(t *testing.T) {
	down := errors.New("down")
	p := &purger{rows: map[store.PurgeKind]int64{store.PurgeKeys: 1}}
	p.hook = func(_ context.Context, kind store.PurgeKind) error {
		switch kind {
		case store.PurgeCounters:
			return down
		case store.PurgeOutbox:
			panic("broken store")
		}
		return nil
	}
	c, _ := newCleaner(t, p, nil)
	err := c.Once(t.Context())
	require.ErrorIs(t, err, down)
	require.ErrorContains(t, err, "clean counters")
	require.ErrorContains(t, err, "clean outbox: panic: broken store")
	require.Zero(t, p.rows[store.PurgeKeys])
}

func TestNeverTwoAtOnce(t *testing.T) {
	var inside, most atomic.Int64
	p := &purger{rows: map[store.PurgeKind]int64{}}
	p.hook = func(context.Context, store.PurgeKind) error {
		most.Store(max(most.Load(), inside.Add(1)))
		inside.Add(-1)
		return nil
	}
	c, _ := newCleaner(t, p, nil)
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() { _ = c.Once(context.Background()) })
	}
	wg.Wait()
	require.EqualValues(t, 1, most.Load())
	require.Len(t, p.calls, 16*len(clean.DefaultRules()))
}

func TestOnceHonoursItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	p := &purger{rows: map[store.PurgeKind]int64{store.PurgeCounters: 1_000_000}}
	p.hook = func(context.Context, store.PurgeKind) error { cancel(); return nil }
	c, _ := newCleaner(t, p, []clean.Rule{{Kind: store.PurgeCounters}, {Kind: store.PurgeOutbox}})
	require.ErrorIs(t, c.Once(ctx), context.Canceled)
	require.Len(t, p.calls, 1)
}

func TestStartAndClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &purger{rows: map[store.PurgeKind]int64{}}
		c, log := newCleaner(t, p, []clean.Rule{{Kind: store.PurgeCounters}})
		passes := func() int {
			p.mu.Lock()
			defer p.mu.Unlock()
			return len(p.calls)
		}
		time.Sleep(time.Hour) // the bubble's clock
		require.Zero(t, passes(), "nothing happens before Start")
		c.Start()
		c.Start()
		time.Sleep(3*time.Minute + time.Second)
		require.Equal(t, 3, passes())
		c.Close()
		c.Close()
		time.Sleep(time.Hour)
		require.Equal(t, 3, passes(), "nothing happens after Close")
		c.Start()
		time.Sleep(time.Hour)
		require.Equal(t, 3, passes())
		require.Empty(t, log.String())
	})
}

func TestTheGoroutineSurvivesAPanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var passes atomic.Int64
		p := &purger{rows: map[store.PurgeKind]int64{}}
		p.hook = func(context.Context, store.PurgeKind) error {
			passes.Add(1)
			panic("broken store")
		}
		c, log := newCleaner(t, p, []clean.Rule{{Kind: store.PurgeCounters}})
		c.Start()
		time.Sleep(2*time.Minute + time.Second)
		c.Close()
		require.EqualValues(t, 2, passes.Load())
		require.Contains(t, log.String(), "broken store")
	})
}

// Close cuts a pass short and waits for it.
func TestCloseEndsAPass(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &purger{rows: map[store.PurgeKind]int64{}}
		ended := false
		p.hook = func(ctx context.Context, _ store.PurgeKind) error {
			<-ctx.Done()
			ended = true
			return ctx.Err()
		}
		c, log := newCleaner(t, p, []clean.Rule{{Kind: store.PurgeCounters}})
		c.Start()
		time.Sleep(time.Minute)
		synctest.Wait()
		c.Close()
		require.True(t, ended)
		require.Empty(t, log.String(), "to be closed is no failure")
	})
}

func TestCloseWithoutStart(t *testing.T) {
	c, _ := newCleaner(t, &purger{}, nil)
	c.Close()
	c.Start()
	c.Close()
}

func TestNewRefuses(t *testing.T) {
	ok := clean.Config{Store: &purger{}, Now: now, Logger: slog.Default()}
	for name, change := range map[string]func(*clean.Config){
		"store":    func(c *clean.Config) { c.Store = nil },
		"clock":    func(c *clean.Config) { c.Now = nil },
		"logger":   func(c *clean.Config) { c.Logger = nil },
		"interval": func(c *clean.Config) { c.Every = -1 },
		"kind":     func(c *clean.Config) { c.Rules = []clean.Rule{{}} },
		"age":      func(c *clean.Config) { c.Rules = []clean.Rule{{Kind: store.PurgeAudit, Age: -1}} },
		"twice":    func(c *clean.Config) { c.Rules = append(clean.DefaultRules(), clean.Rule{Kind: store.PurgeKeys}) },
	} {
		c := ok
		change(&c)
		_, err := clean.New(c)
		require.Error(t, err, name)
	}
	_, err := clean.New(ok)
	require.NoError(t, err)
	ok.Rules = []clean.Rule{}
	c, err := clean.New(ok)
	require.NoError(t, err)
	require.NoError(t, c.Once(t.Context()), "no rules, no work")
}
