package limit_test

import (
	"context"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/truekeel/auth/limit"
)

// clock is turned by hand.
type clock struct{ nanos atomic.Int64 }

func newClock() *clock {
	c := &clock{}
	c.nanos.Store(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC).UnixNano())
	return c
}

func (c *clock) now() time.Time       { return time.Unix(0, c.nanos.Load()) }
func (c *clock) turn(d time.Duration) { c.nanos.Add(int64(d)) }

func newMemory(t testing.TB, c *clock, maxKeys int) *limit.Memory {
	t.Helper()
	m, err := limit.NewMemory(limit.MemoryConfig{Now: c.now, MaxKeys: maxKeys})
	require.NoError(t, err)
	return m
}

func take(t testing.TB, l limit.Limiter, key string, r limit.Rate) limit.Decision {
	t.Helper()
	d, err := l.Take(context.Background(), key, r)
	require.NoError(t, err)
	return d
}

// takeSome asserts what holds for every valid rate.
func takeSome(t *testing.T, r limit.Rate) {
	c := newClock()
	m := newMemory(t, c, 0)
	require.True(t, take(t, m, "k", r).Allowed)
	for range 3 {
		if d := take(t, m, "k", r); !d.Allowed {
			require.Positive(t, d.RetryAfter)
			c.turn(d.RetryAfter)
			require.True(t, take(t, m, "k", r).Allowed, "the time named was not enough")
		}
	}
}

func TestWindow(t *testing.T) {
	c := newClock()
	m := newMemory(t, c, 0)
	r := limit.Window(3, time.Hour)
	for range 3 {
		require.Equal(t, limit.Decision{Allowed: true}, take(t, m, "k", r))
		c.turn(time.Minute)
	}
	require.Equal(t, limit.Decision{RetryAfter: 57 * time.Minute}, take(t, m, "k", r))
	require.True(t, take(t, m, "other", r).Allowed)
	c.turn(57*time.Minute - 1)
	require.Equal(t, limit.Decision{RetryAfter: 1}, take(t, m, "k", r))
	c.turn(1)
	for range 3 {
		require.True(t, take(t, m, "k", r).Allowed)
	}
	require.Equal(t, limit.Decision{RetryAfter: time.Hour}, take(t, m, "k", r))
}

func TestBucket(t *testing.T) {
	c := newClock()
	m := newMemory(t, c, 0)
	r := limit.Bucket(30, 5*time.Minute) // a token each ten seconds
	for range limit.DefaultBurst {
		require.Equal(t, limit.Decision{Allowed: true}, take(t, m, "k", r))
	}
	require.Equal(t, limit.Decision{RetryAfter: 10 * time.Second}, take(t, m, "k", r))
	c.turn(9 * time.Second)
	require.Equal(t, limit.Decision{RetryAfter: time.Second}, take(t, m, "k", r), "a refused event costs nothing")
	c.turn(time.Second)
	require.True(t, take(t, m, "k", r).Allowed)
	require.False(t, take(t, m, "k", r).Allowed)
	c.turn(25 * time.Second)
	require.True(t, take(t, m, "k", r).Allowed)
	require.True(t, take(t, m, "k", r).Allowed)
	require.Equal(t, limit.Decision{RetryAfter: 5 * time.Second}, take(t, m, "k", r))
	c.turn(24 * time.Hour)
	for range limit.DefaultBurst {
		require.True(t, take(t, m, "k", r).Allowed)
	}
	require.False(t, take(t, m, "k", r).Allowed, "the bucket never holds more than its burst")
}

// The quota "30/1h" gains one token an hour, not thirty.
func TestQuotaForm(t *testing.T) {
	c := newClock()
	m := newMemory(t, c, 0)
	r, err := limit.Parse("30/1h")
	require.NoError(t, err)
	for range 30 {
		require.True(t, take(t, m, "k", r).Allowed)
	}
	require.Equal(t, limit.Decision{RetryAfter: time.Hour}, take(t, m, "k", r))
	c.turn(time.Hour)
	require.True(t, take(t, m, "k", r).Allowed)
	require.False(t, take(t, m, "k", r).Allowed)
}

func TestNever(t *testing.T) {
	m := newMemory(t, newClock(), 0)
	for _, r := range []limit.Rate{{}, limit.Window(0, time.Hour)} {
		require.Equal(t, limit.Decision{}, take(t, m, "k", r))
	}
	require.Zero(t, m.Len())
}

func TestRefusesABadRate(t *testing.T) {
	m := newMemory(t, newClock(), 0)
	_, err := m.Take(t.Context(), "k", limit.Rate{Events: -1})
	require.Error(t, err)
}

func TestNewMemoryRefuses(t *testing.T) {
	_, err := limit.NewMemory(limit.MemoryConfig{})
	require.ErrorContains(t, err, "Now")
	_, err = limit.NewMemory(limit.MemoryConfig{Now: time.Now, MaxKeys: -1})
	require.ErrorContains(t, err, "MaxKeys")
}

func TestRatesAreKeptApart(t *testing.T) {
	m := newMemory(t, newClock(), 0)
	one, two := limit.Window(1, time.Hour), limit.Rate{Events: 1, Per: time.Hour, Burst: 1}
	require.True(t, take(t, m, "k", one).Allowed)
	require.True(t, take(t, m, "k", two).Allowed)
	require.False(t, take(t, m, "k", one).Allowed)
	require.False(t, take(t, m, "k", two).Allowed)
}

// A clock that is set back may not lock anybody out for longer than the rate says.
func TestClockSetBack(t *testing.T) {
	for _, r := range []limit.Rate{limit.Window(1, time.Hour), {Events: 1, Per: time.Hour, Burst: 1}} {
		c := newClock()
		m := newMemory(t, c, 0)
		require.True(t, take(t, m, "k", r).Allowed)
		c.turn(-1000 * time.Hour)
		require.Equal(t, limit.Decision{RetryAfter: time.Hour}, take(t, m, "k", r))
		c.turn(time.Hour)
		require.True(t, take(t, m, "k", r).Allowed)
	}
}

// A flood of keys neither fills the memory nor resets whoever has used up a budget.
func TestFlood(t *testing.T) {
	rates := map[string]limit.Rate{
		"bucket": limit.Bucket(30, 5*time.Minute),
		"window": limit.Window(30, time.Hour),
	}
	for name, r := range rates {
		t.Run(name, func(t *testing.T) {
			const maxKeys = 4096
			m := newMemory(t, newClock(), maxKeys)
			limited := []string{"a@example.com", "b@example.com", "192.0.2.1", "2001:db8::/64"}
			for _, key := range limited {
				for range 30 {
					require.True(t, take(t, m, key, r).Allowed)
				}
			}
			for i := range 100_000 {
				require.True(t, take(t, m, "flood "+strconv.Itoa(i), r).Allowed)
			}
			require.Equal(t, maxKeys, m.Len())
			for _, key := range limited {
				require.False(t, take(t, m, key, r).Allowed, "%s was forgotten", key)
			}
		})
	}
}

// Keys that use up a small budget with one event don't push out one that has used up
// a large budget.
func TestFloodOfSmallBudgets(t *testing.T) {
	c := newClock()
	m := newMemory(t, c, 4096)
	large := limit.Bucket(30, 5*time.Minute)
	for range 30 {
		require.True(t, take(t, m, "victim", large).Allowed)
	}
	c.turn(5 * time.Second) // half of a token has come back
	for i := range 100_000 {
		require.True(t, take(t, m, strconv.Itoa(i), limit.Window(1, time.Hour)).Allowed)
	}
	require.False(t, take(t, m, "victim", large).Allowed)
}

// Among keys of one event, those that still have events left go first, then those
// that are free the soonest.
func TestFloodAgainstASmallBudget(t *testing.T) {
	m := newMemory(t, newClock(), 4096)
	hourly := limit.Window(1, time.Hour)
	require.True(t, take(t, m, "victim", hourly).Allowed)
	for i := range 100_000 {
		require.True(t, take(t, m, strconv.Itoa(i), limit.Bucket(30, time.Minute)).Allowed)
		require.True(t, take(t, m, strconv.Itoa(i), limit.Window(1, time.Minute)).Allowed)
	}
	require.False(t, take(t, m, "victim", hourly).Allowed)
}

func TestForgetsFirstWhoHasAllAgain(t *testing.T) {
	c := newClock()
	const maxKeys, limited = 256, 16
	m := newMemory(t, c, maxKeys)
	r := limit.Window(1, time.Hour)
	for i := range maxKeys - limited {
		take(t, m, "old "+strconv.Itoa(i), r)
	}
	c.turn(time.Hour)
	for i := range limited {
		take(t, m, "limited "+strconv.Itoa(i), r)
	}
	for i := range limited {
		take(t, m, "new "+strconv.Itoa(i), r)
	}
	for i := range limited {
		require.False(t, take(t, m, "limited "+strconv.Itoa(i), r).Allowed)
	}
	require.Equal(t, maxKeys, m.Len())
}

func TestOneOfTheRacingGetsTheLast(t *testing.T) {
	m := newMemory(t, newClock(), 0)
	for _, r := range []limit.Rate{limit.Window(7, time.Hour), {Events: 1, Per: time.Hour, Burst: 7}} {
		var allowed atomic.Int64
		var wg sync.WaitGroup
		for range 64 {
			wg.Go(func() {
				d, err := m.Take(context.Background(), "k", r)
				if err == nil && d.Allowed {
					allowed.Add(1)
				}
			})
		}
		wg.Wait()
		require.EqualValues(t, 7, allowed.Load())
	}
}

func TestRaceUnderFlood(t *testing.T) {
	m := newMemory(t, newClock(), 2048)
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 5000 {
				if _, err := m.Take(context.Background(), strconv.Itoa(g*1000+i), limit.Bucket(1, time.Minute)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	require.LessOrEqual(t, m.Len(), 2048)
}

// Long keys cost no more than short ones.
func TestLongKeys(t *testing.T) {
	const keys, length = 400, 100_000
	m := newMemory(t, newClock(), keys)
	grown := heapGrowth(func() {
		for i := range keys {
			take(t, m, strings.Repeat("x", length)+strconv.Itoa(i), limit.Window(1, time.Hour))
		}
	})
	require.Less(t, grown, int64(keys*length/100))
	runtime.KeepAlive(m)
}

func heapGrowth(f func()) int64 {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	f()
	runtime.GC()
	runtime.ReadMemStats(&after)
	return int64(after.HeapAlloc) - int64(before.HeapAlloc)
}

// BenchmarkMemory takes a million distinct keys from all processors and reports the
// bytes that the limiter keeps for them.
func BenchmarkMemory(b *testing.B) {
	const keys = 1_000_000
	names := make([]string, keys)
	for i := range names {
		names[i] = "192.0." + strconv.Itoa(i)
	}
	m := newMemory(b, newClock(), 0)
	r := limit.Bucket(30, 5*time.Minute)
	flood := func() {
		var wg sync.WaitGroup
		procs := runtime.GOMAXPROCS(0)
		for p := range procs {
			wg.Go(func() {
				for i := p; i < keys; i += procs {
					_, _ = m.Take(context.Background(), names[i], r)
				}
			})
		}
		wg.Wait()
	}
	kept := heapGrowth(func() {
		for b.Loop() {
			flood()
		}
	})
	runtime.KeepAlive(names)
	b.ReportMetric(float64(kept), "bytes-kept")
	b.ReportMetric(float64(m.Len()), "keys-kept")
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/keys, "ns/take")
	if perKey := float64(kept) / float64(m.Len()); perKey > 200 {
		b.Fatalf("%.0f bytes a key", perKey)
	}
}
