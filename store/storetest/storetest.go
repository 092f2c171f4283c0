// Package storetest is the conformance suite of [store.Store]: what every store passes,
// the library's own and other people's.
//
//	func TestConformance(t *testing.T) {
//		storetest.Run(t, func(t *testing.T) store.Store {
//			st := openEmptyMigrated(t)
//			t.Cleanup(func() { st.Close() })
//			return st
//		})
//	}
//
// A store that can join its host's transactions runs [RunJoin] too. [Strict] wraps a
// store for the tests of those who use one: it catches what [store.Store.Tx] forbids.
//
// Run it under the race detector.
package storetest

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/truekeel/auth/store"
)

// Run checks a store against every promise of package store.
//
// Each call of open gives a store over a database of its own that is migrated and holds
// nothing; open skips or fails t if it can't, and closes what it opened with t.Cleanup
// (a test may have closed the store before). Most tests share one such store and keep
// out of each other's way; those that look at a whole table open one of their own,
// a handful in all. The store may be called by some 32 goroutines at once.
//
// If the store is a [store.Migrator], that is checked too.
func Run(t *testing.T, open func(t *testing.T) store.Store) {
	shared := []test{
		{"Users", testUsers},
		{"Identities", testIdentities},
		{"Sessions", testSessions},
		{"RefreshTokens", testRefreshTokens},
		{"OneTimeTokens", testOneTimeTokens},
		{"FlowStates", testFlowStates},
		{"AuditLog", testAuditLog},
		{"Outbox", testOutbox},
		{"Events", testEvents},
		{"Counters", testCounters},
		{"Settings", testSettings},
		{"Tx", testTx},
		{"Cancel", testCancel},
		{"Values", testValues},
		{"Races", testRaces},
	}
	st := open(t)
	for _, c := range shared {
		t.Run(c.name, func(t *testing.T) { c.run(t, st) })
	}
	own := []test{
		{"Keys", testKeys},
		{"KeyRaces", testKeyRaces},
		{"AllUsers", testAllUsers},
		{"Purge", testPurge},
		{"Migrator", testMigrator},
		{"Close", testClose},
	}
	for _, c := range own {
		t.Run(c.name, func(t *testing.T) { c.run(t, open(t)) })
	}
}

// test is one part of the suite.
type test struct {
	name string
	run  func(t *testing.T, st store.Store)
}

// each runs the parts of a test on one store.
func each(t *testing.T, st store.Store, parts []test) {
	t.Helper()
	for _, p := range parts {
		t.Run(p.name, func(t *testing.T) { p.run(t, st) })
	}
}

// base is the time that the suite starts from. Stores never ask the clock, so any will
// do; this one has all six digits of a microsecond.
var base = time.Date(2026, time.March, 4, 5, 6, 7, 123456000, time.UTC)

// zeroTime means never.
var zeroTime time.Time

// at gives a time so many minutes after base.
func at(minutes int) time.Time { return base.Add(time.Duration(minutes) * time.Minute) }

// unique gives a text that no other test has, so that tests can share a store.
func unique(prefix string) string { return prefix + "-" + uuid.NewString() }

// hash gives a text that looks like the hex of a SHA-256.
func hash() string {
	return strings.ReplaceAll(uuid.NewString()+uuid.NewString(), "-", "")
}

// check fails the test at once if err isn't nil.
func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("unexpected error: %v", err)
	}
}

// wantNil reports an error; unlike check it may be called in any goroutine.
func wantNil(t *testing.T, what string, err error) {
	t.Helper()
	if err != nil {
		t.Errorf("%s: %v", what, err)
	}
}

// wantErr reports an error that isn't target.
func wantErr(t *testing.T, what string, err, target error) {
	t.Helper()
	if !errors.Is(err, target) {
		t.Errorf("%s: got error %v, want %v", what, err, target)
	}
}

// wantMiss reports a read that found something, or doesn't say that it found nothing.
func wantMiss[T any](t *testing.T, what string, got T, err error) {
	t.Helper()
	wantErr(t, what, err, store.ErrNotFound)
	if !reflect.ValueOf(got).IsZero() {
		t.Errorf("%s: got %+v beside the miss, want the zero value", what, got)
	}
}

// wantRow reports a read that failed or gave something else than want.
func wantRow[T any](t *testing.T, what string, got T, err error, want T) {
	t.Helper()
	if err != nil {
		t.Errorf("%s: %v", what, err)
		return
	}
	if d := diff(got, want); d != "" {
		t.Errorf("%s: %s", what, d)
	}
}

// wantDone reports a conditional write that failed or whose answer isn't want.
func wantDone(t *testing.T, what string, got bool, err error, want bool) {
	t.Helper()
	if err != nil {
		t.Errorf("%s: %v", what, err)
	} else if got != want {
		t.Errorf("%s: got %t, want %t", what, got, want)
	}
}

// wantCount reports a count that failed or isn't want.
func wantCount(t *testing.T, what string, got int64, err error, want int64) {
	t.Helper()
	if err != nil {
		t.Errorf("%s: %v", what, err)
	} else if got != want {
		t.Errorf("%s: got %d, want %d", what, got, want)
	}
}

// filled fails the test if a field of the struct is zero, so that a noun can't grow a
// field which the suite doesn't see.
func filled(t *testing.T, noun any) {
	t.Helper()
	v := reflect.ValueOf(noun)
	for i := range v.NumField() {
		if v.Field(i).IsZero() {
			t.Fatalf("storetest: sample of %s has no %s", v.Type(), v.Type().Field(i).Name)
		}
	}
}

// together calls fn from n goroutines at the same instant and waits for all.
func together(n int, fn func(i int)) {
	var ready, done sync.WaitGroup
	start := make(chan struct{})
	ready.Add(n)
	for i := range n {
		done.Go(func() {
			ready.Done()
			<-start
			fn(i)
		})
	}
	ready.Wait()
	close(start)
	done.Wait()
}

// race calls fn from n goroutines at the same instant and gives how many it told true.
// An error fails the test.
func race(t *testing.T, n int, fn func(ctx context.Context, i int) (bool, error)) (won int) {
	t.Helper()
	var mu sync.Mutex
	together(n, func(i int) {
		ok, err := fn(t.Context(), i)
		mu.Lock()
		defer mu.Unlock()
		if err != nil {
			t.Errorf("racer %d: %v", i, err)
		}
		if ok {
			won++
		}
	})
	return won
}

// raceErr calls fn from n goroutines at the same instant and gives how many succeeded.
// An error other than lost fails the test.
func raceErr(t *testing.T, n int, lost error, fn func(ctx context.Context, i int) error) (won int) {
	t.Helper()
	return race(t, n, func(ctx context.Context, i int) (bool, error) {
		err := fn(ctx, i)
		if errors.Is(err, lost) {
			return false, nil
		}
		return err == nil, err
	})
}

// racers is how many goroutines race for one thing.
const racers = 10

// ignore gives nil for the error that is expected.
func ignore(err, expected error) error {
	if errors.Is(err, expected) {
		return nil
	}
	return err
}
