package password

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/truekeel/auth/fault"
)

// clock is turned by hand.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func newClock() *clock { return &clock{t: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) turn(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

// jobs runs hashes that take until they are told to end.
type jobs struct {
	gate    *gate
	mu      sync.Mutex
	running []string
	begun   []string
	ends    map[string]chan struct{}
	errs    map[string]error
}

func newJobs(g *gate) *jobs {
	return &jobs{gate: g, ends: map[string]chan struct{}{}, errs: map[string]error{}}
}

// start asks for a turn and returns when the job runs, waits or has failed.
func (j *jobs) start(ctx context.Context, name string, w work) {
	end := make(chan struct{})
	j.mu.Lock()
	j.ends[name] = end
	j.mu.Unlock()
	go func() {
		err := j.gate.do(ctx, w, func() {
			j.mu.Lock()
			j.running = append(j.running, name)
			j.begun = append(j.begun, name)
			j.mu.Unlock()
			<-end
			j.mu.Lock()
			for i, n := range j.running {
				if n == name {
					j.running = append(j.running[:i], j.running[i+1:]...)
					break
				}
			}
			j.mu.Unlock()
		})
		j.mu.Lock()
		j.errs[name] = err
		j.mu.Unlock()
	}()
	synctest.Wait()
}

func (j *jobs) end(name string) {
	close(j.ends[name])
	synctest.Wait()
}

func (j *jobs) requireRunning(t *testing.T, names ...string) {
	t.Helper()
	j.mu.Lock()
	defer j.mu.Unlock()
	require.ElementsMatch(t, names, j.running)
}

var one = work{lanes: 1}

func TestGateIsFirstComeFirstServed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := newJobs(newGate(newClock().now, 2, 10, 1<<20))
		ctx := context.Background()
		for i := range 6 {
			j.start(ctx, fmt.Sprint(i), one)
		}
		j.requireRunning(t, "0", "1")
		for i := range 6 {
			j.end(fmt.Sprint(i))
		}
		require.Equal(t, []string{"0", "1", "2", "3", "4", "5"}, j.begun)
		j.requireRunning(t)
		require.Zero(t, j.gate.busy)
	})
}

func TestGateTurnsAwayWhenFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClock()
		j := newJobs(newGate(c.now, 1, 2, 1<<20))
		ctx := context.Background()
		j.start(ctx, "slow", one)
		c.turn(3 * time.Second)
		j.end("slow") // the gate has learned how long one takes

		j.start(ctx, "runs", one)
		j.start(ctx, "waits", one)
		j.start(ctx, "waits too", one)
		j.start(ctx, "refused", one)

		var refused *fault.Error
		require.ErrorAs(t, j.errs["refused"], &refused)
		require.Equal(t, fault.Unavailable, refused.Code)
		require.Equal(t, 6*time.Second, refused.RetryAfter, "two before it, three seconds each")

		j.end("runs")
		j.end("waits")
		j.end("waits too")
		require.Equal(t, []string{"slow", "runs", "waits", "waits too"}, j.begun)
		require.NoError(t, j.errs["waits too"])
	})
}

func TestGateRetryAfterHasBounds(t *testing.T) {
	g := newGate(newClock().now, 1, 1, 1<<20)
	require.Equal(t, minRetryAfter, g.retryAfter())
	g.took.Store(int64(time.Hour))
	g.waiting.PushBack(&ticket{})
	require.Equal(t, maxRetryAfter, g.retryAfter())
}

func TestGateForgetsWhoLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := newJobs(newGate(newClock().now, 1, 2, 1<<20))
		ctx := context.Background()
		gone, leave := context.WithCancel(ctx)
		j.start(ctx, "runs", one)
		j.start(gone, "leaves", one)
		j.start(ctx, "stays", one)
		leave()
		synctest.Wait()
		require.ErrorIs(t, j.errs["leaves"], context.Canceled)
		require.Equal(t, 1, j.gate.waiting.Len())

		j.start(ctx, "comes", one) // there is room again
		j.end("runs")
		j.end("stays")
		j.end("comes")
		require.Equal(t, []string{"runs", "stays", "comes"}, j.begun)

		j.start(gone, "came too late", one)
		require.ErrorIs(t, j.errs["came too late"], context.Canceled)
		require.Equal(t, []string{"runs", "stays", "comes"}, j.begun)
		require.Zero(t, j.gate.busy)
	})
}

// A caller may leave at the very moment its turn comes; the slot must not get lost.
func TestGateKeepsTheSlotOfWhoLeftAtTheLastMoment(t *testing.T) {
	g := newGate(newClock().now, 1, 10, 1<<20)
	g.take(one) // somebody runs
	first := g.waiting.PushBack(&ticket{work: one, ready: make(chan struct{})})
	second := &ticket{work: one, ready: make(chan struct{})}
	g.waiting.PushBack(second)

	g.leave(one) // the first one's turn has come
	g.abandon(first)

	select {
	case <-second.ready:
	default:
		t.Fatal("the second one's turn should have come")
	}
	require.Equal(t, 1, g.busy)
	require.Zero(t, g.waiting.Len())
}

func TestGateLeavesAProcessorToOtherRequests(t *testing.T) {
	tests := []struct {
		slots, quiet, disturbed int
	}{{1, 1, 1}, {2, 2, 1}, {4, 4, 3}}
	for _, tt := range tests {
		t.Run(fmt.Sprint(tt.slots), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newClock()
				g := newGate(c.now, tt.slots, 100, 1<<20)
				h := &Hasher{gate: g}
				j := newJobs(g)
				ctx := context.Background()
				next := 0
				fill := func() {
					for range tt.slots + 1 {
						j.start(ctx, fmt.Sprint(next), one)
						next++
					}
				}
				drain := func() {
					for i := range next {
						if end := j.ends[fmt.Sprint(i)]; end != nil {
							j.end(fmt.Sprint(i))
							j.ends[fmt.Sprint(i)] = nil
						}
					}
				}
				fill()
				require.Len(t, j.running, tt.quiet, "no other request was ever seen")
				drain()

				h.Arrived()
				fill()
				require.Len(t, j.running, tt.disturbed, "a request was just seen")
				drain()

				h.Arrived()
				c.turn(quiet - time.Nanosecond)
				fill()
				require.Len(t, j.running, tt.disturbed, "a request was seen within the second")
				c.turn(time.Nanosecond)
				first := j.running[0]
				j.end(first)
				j.ends[first] = nil
				require.Len(t, j.running, tt.quiet, "the second was over when a hash ended")
				drain()
				require.Zero(t, g.busy)
			})
		})
	}
}

// Slots that are taken when the first request comes in are given up as hashes end.
func TestGateGivesUpASlotInUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(newClock().now, 2, 100, 1<<20)
		j := newJobs(g)
		for _, name := range []string{"a", "b", "c", "d"} {
			j.start(context.Background(), name, one)
		}
		j.requireRunning(t, "a", "b")
		(&Hasher{gate: g}).Arrived()
		j.end("a")
		j.requireRunning(t, "b")
		j.end("b")
		j.requireRunning(t, "c")
		j.end("c")
		j.end("d")
	})
}

func TestGateCountsLanesAndMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := newJobs(newGate(newClock().now, 4, 100, 100))
		ctx := context.Background()
		j.start(ctx, "three lanes", work{lanes: 3})
		j.start(ctx, "two lanes", work{lanes: 2})
		j.start(ctx, "one lane", work{lanes: 1})
		j.requireRunning(t, "three lanes") // nobody overtakes
		j.end("three lanes")
		j.requireRunning(t, "two lanes", "one lane")
		j.start(ctx, "too much memory", work{lanes: 1, memory: 1000})
		j.requireRunning(t, "two lanes", "one lane")
		j.end("two lanes")
		j.requireRunning(t, "one lane")
		j.end("one lane")
		j.requireRunning(t, "too much memory") // alone it may
		j.end("too much memory")
		require.Zero(t, j.gate.memory)
	})
}

func TestGateSurvivesAPanic(t *testing.T) {
	g := newGate(newClock().now, 1, 1, 1<<20)
	require.Panics(t, func() { _ = g.do(context.Background(), one, func() { panic("x") }) })
	require.NoError(t, g.do(context.Background(), one, func() {}))
}

func TestGateUnderRace(t *testing.T) {
	g := newGate(newClock().now, 2, 50, 1<<20)
	h := &Hasher{gate: g}
	var wg sync.WaitGroup
	var mu sync.Mutex
	running, most, done, left, refused := 0, 0, 0, 0, 0
	for i := range 200 {
		wg.Go(func() {
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			switch i % 4 {
			case 0:
				h.Arrived()
			case 1:
				go cancel()
			}
			err := g.do(ctx, one, func() {
				mu.Lock()
				running++
				most = max(most, running)
				mu.Unlock()
				mu.Lock()
				running--
				mu.Unlock()
			})
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				done++
			case errors.Is(err, context.Canceled):
				left++
			case fault.CodeOf(err) == fault.Unavailable:
				refused++
			}
		})
	}
	wg.Wait()
	require.Equal(t, 200, done+left+refused)
	require.LessOrEqual(t, most, 2)
	require.Zero(t, g.busy)
	require.Zero(t, g.waiting.Len())
}
