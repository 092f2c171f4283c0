package storetest

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"runtime"
	"sync"

	"github.com/truekeel/auth/store"
)

// ErrOuterStore is what a store of [Strict] answers if it is called inside of a function
// that was given to its own Tx, and ErrSpentTx what the Store given to such a function
// answers once the function has returned.
var (
	ErrOuterStore = errors.New("storetest: the outer store is used inside of a Tx function, which must use the store that it is given")
	ErrSpentTx    = errors.New("storetest: the store of a Tx function is used after the function returned")
)

// Strict wraps a store for tests of the code that uses it. Inside of a function that is
// given to Tx, a call of any other store than the innermost one given fails with
// [ErrOuterStore], and so does the Tx itself, even if the function drops the error:
// with a database such a call would wait for a connection or a lock that the
// transaction holds, or would write what a rollback doesn't undo. A call of the given
// store after the function has returned fails with [ErrSpentTx].
//
// The call is recognised by its goroutine: one that the function makes from a goroutine
// of its own goes unnoticed. The result implements [store.Migrator] and [store.Joiner]
// if st does.
func Strict(st store.Store) store.Store {
	s := &strict{st: st, fns: &running{inner: map[string]*strict{}}}
	m, migrates := st.(store.Migrator)
	j, joins := st.(store.Joiner)
	switch {
	case migrates && joins:
		return struct {
			store.Store
			store.Migrator
			store.Joiner
		}{s, m, strictJoiner{s.fns, j}}
	case migrates:
		return struct {
			store.Store
			store.Migrator
		}{s, m}
	case joins:
		return struct {
			store.Store
			store.Joiner
		}{s, strictJoiner{s.fns, j}}
	}
	return s
}

// strict is one store: the outer one, or one that a Tx function is given.
type strict struct {
	st  store.Store
	fns *running

	mu    sync.Mutex
	err   error // a forbidden call in the function that this store was given to
	spent bool
}

// running knows which store is the innermost in each goroutine that runs a Tx function.
type running struct {
	mu    sync.Mutex
	inner map[string]*strict
}

// set makes s the innermost store of a goroutine and gives the one before.
func (r *running) set(goroutine string, s *strict) (before *strict) {
	r.mu.Lock()
	defer r.mu.Unlock()
	before = r.inner[goroutine]
	if s == nil {
		delete(r.inner, goroutine)
	} else {
		r.inner[goroutine] = s
	}
	return before
}

func (r *running) in(goroutine string) *strict {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.inner[goroutine]
}

// goroutine names the goroutine that calls it.
func goroutine() string {
	var b [64]byte
	head := bytes.Fields(b[:runtime.Stack(b[:], false)]) // "goroutine 7 [running]:"
	return string(head[1])
}

// allow says whether s may be called here and now.
func (s *strict) allow() error {
	s.mu.Lock()
	spent := s.spent
	s.mu.Unlock()
	if spent {
		return ErrSpentTx
	}
	in := s.fns.in(goroutine())
	if in == nil || in == s {
		return nil
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	in.err = ErrOuterStore
	return ErrOuterStore
}

// Tx runs fn on a strict store.
func (s *strict) Tx(ctx context.Context, fn func(tx store.Store) error) error {
	if err := s.allow(); err != nil {
		return err
	}
	return s.st.Tx(ctx, func(tx store.Store) error {
		inner := &strict{st: tx, fns: s.fns}
		id := goroutine()
		before := s.fns.set(id, inner)
		defer func() {
			s.fns.set(id, before)
			inner.mu.Lock()
			inner.spent = true
			inner.mu.Unlock()
		}()
		err := fn(inner)
		inner.mu.Lock()
		defer inner.mu.Unlock()
		if inner.err != nil {
			return inner.err
		}
		return err
	})
}

// strictJoiner gives strict stores over the host's transactions.
type strictJoiner struct {
	fns *running
	j   store.Joiner
}

// Join gives a strict store.
func (j strictJoiner) Join(ctx context.Context, tx *sql.Tx) (store.Store, error) {
	st, err := j.j.Join(ctx, tx)
	if err != nil {
		return nil, err
	}
	return &strict{st: st, fns: j.fns}, nil
}

// Ping asks the store.
func (s *strict) Ping(ctx context.Context) error { return s.do(func() error { return s.st.Ping(ctx) }) }

// Close closes the store.
func (s *strict) Close() error { return s.do(s.st.Close) }

// do makes a call that gives an error alone, ask one that gives a value too.
func (s *strict) do(call func() error) error {
	if err := s.allow(); err != nil {
		return err
	}
	return call()
}

func ask[T any](s *strict, call func() (T, error)) (T, error) {
	if err := s.allow(); err != nil {
		var none T
		return none, err
	}
	return call()
}
