package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/truekeel/auth/store"
)

func testCounters(t *testing.T, st store.Store) {
	ctx := t.Context()
	key, other := unique("key"), unique("key")
	want := func(what string, n int64, until time.Time, err error, wantN int64, wantUntil time.Time) {
		t.Helper()
		wantCount(t, what, n, err, wantN)
		if d := diff(until, wantUntil); d != "" {
			t.Errorf("%s: until%s", what, d)
		}
	}
	n, until, err := st.Counted(ctx, key, at(0))
	want("Counted of none", n, until, err, 0, zeroTime)
	n, until, err = st.Count(ctx, key, at(0), at(10))
	want("the first Count", n, until, err, 1, at(10))
	n, until, err = st.Count(ctx, key, at(1), at(11))
	want("the second Count", n, until, err, 2, at(10))
	n, until, err = st.Count(ctx, other, at(1), at(12))
	want("Count of another key", n, until, err, 1, at(12))
	n, until, err = st.Counted(ctx, key, at(9))
	want("Counted", n, until, err, 2, at(10))

	n, until, err = st.Counted(ctx, key, at(10))
	want("Counted at the expiry", n, until, err, 0, zeroTime)
	n, until, err = st.Count(ctx, key, at(10), at(20))
	want("Count at the expiry", n, until, err, 1, at(20))
	n, until, err = st.Count(ctx, key, at(30), at(40))
	want("Count after the expiry", n, until, err, 1, at(40))
	n, until, err = st.Count(ctx, key, at(30), at(40))
	want("the second Count after the expiry", n, until, err, 2, at(40))

	check(t, st.DropCounter(ctx, key))
	check(t, st.DropCounter(ctx, key))
	n, until, err = st.Counted(ctx, key, at(30))
	want("Counted of a dropped key", n, until, err, 0, zeroTime)
	n, until, err = st.Counted(ctx, other, at(1))
	want("Counted of another key", n, until, err, 1, at(12))

	undo := errors.New("undo")
	err = st.Tx(ctx, func(tx store.Store) error {
		if _, _, err := tx.Count(ctx, other, at(1), at(12)); err != nil {
			return err
		}
		return undo
	})
	wantErr(t, "a Tx undone", err, undo)
	n, until, err = st.Counted(ctx, other, at(1))
	want("Counted after a Tx undone", n, until, err, 1, at(12))
}

// raceCounters: racing callers get distinct counts, of a new counter, of one that is
// there and of one that has expired; inside and outside of a Tx.
func raceCounters(t *testing.T, st store.Store) {
	for _, inTx := range []bool{false, true} {
		key := unique("key")
		for round, base := range []int{0, 10, 0} {
			now := at(20 * (round / 2))
			got := countRace(t, st, key, now, inTx)
			for i := range racers {
				if n := int64(base + i + 1); got[n] != 1 {
					t.Errorf("in Tx %t, round %d: %d callers got the count %d", inTx, round, got[n], n)
				}
			}
		}
	}
}

// countRace counts from several goroutines and says how often each count was given.
func countRace(t *testing.T, st store.Store, key string, now time.Time, inTx bool) map[int64]int {
	t.Helper()
	var mu sync.Mutex
	got := map[int64]int{}
	race(t, racers, func(ctx context.Context, _ int) (bool, error) {
		var n int64
		var until time.Time
		count := func(st store.Store) (err error) {
			n, until, err = st.Count(ctx, key, now, now.Add(10*time.Minute))
			return err
		}
		var err error
		if inTx {
			err = st.Tx(ctx, count)
		} else {
			err = count(st)
		}
		if err == nil && diff(until, now.Add(10*time.Minute)) != "" {
			err = fmt.Errorf("got the expiry %v", until)
		}
		mu.Lock()
		defer mu.Unlock()
		if err == nil {
			got[n]++
		}
		return err == nil, err
	})
	return got
}
