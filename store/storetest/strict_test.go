package storetest_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/truekeel/auth/store"
	"github.com/truekeel/auth/store/sqlite"
	"github.com/truekeel/auth/store/storetest"
)

func open(t *testing.T) store.Store {
	t.Helper()
	st, err := sqlite.OpenTemp()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	return st
}

// A strict store keeps every promise itself.
func TestStrictConforms(t *testing.T) {
	storetest.Run(t, func(t *testing.T) store.Store { return storetest.Strict(open(t)) })
}

func TestStrict(t *testing.T) {
	st := storetest.Strict(open(t))
	ctx := t.Context()
	var spent store.Store
	for _, c := range []struct {
		name string
		fn   func(tx store.Store) error
		want error
	}{
		{"the given store", func(tx store.Store) error { return tx.PutSetting(ctx, "a", nil) }, nil},
		{"a read of the outer store", func(store.Store) error {
			_, err := st.CountUsers(ctx, store.UserQuery{})
			return err
		}, storetest.ErrOuterStore},
		{"an error that is dropped", func(store.Store) error {
			_, _ = st.Setting(ctx, "a")
			_, _, _ = st.Counted(ctx, "a", time.Unix(1, 0))
			return nil
		}, storetest.ErrOuterStore},
		{"a Tx of the outer store", func(store.Store) error {
			return st.Tx(ctx, func(store.Store) error { return nil })
		}, storetest.ErrOuterStore},
		{"an inner Tx", func(tx store.Store) error {
			return tx.Tx(ctx, func(inner store.Store) error { return inner.PutSetting(ctx, "a", nil) })
		}, nil},
		{"the outer of two inner ones", func(tx store.Store) error {
			return tx.Tx(ctx, func(store.Store) error { return tx.Ping(ctx) })
		}, storetest.ErrOuterStore},
		{"the given store after an inner Tx", func(tx store.Store) error {
			_ = tx.Tx(ctx, func(store.Store) error { return errors.New("undo") })
			return tx.PutSetting(ctx, "a", nil)
		}, nil},
		{"a store for later", func(tx store.Store) error { spent = tx; return nil }, nil},
	} {
		if err := st.Tx(ctx, c.fn); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", c.name, err, c.want)
		}
	}
	if err := spent.PutSetting(ctx, "a", nil); !errors.Is(err, storetest.ErrSpentTx) {
		t.Errorf("a spent store: got %v", err)
	}
	if _, err := st.User(ctx, uuid.New()); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("the outer store outside: got %v", err)
	}
}

// What a panic leaves behind doesn't count as a running function.
func TestStrictPanic(t *testing.T) {
	st := storetest.Strict(open(t))
	func() {
		defer func() { _ = recover() }()
		_ = st.Tx(t.Context(), func(store.Store) error { panic("x") })
	}()
	if err := st.Tx(t.Context(), func(tx store.Store) error { return tx.Ping(t.Context()) }); err != nil {
		t.Error(err)
	}
	if err := st.Ping(t.Context()); err != nil {
		t.Error(err)
	}
}

// Two strict stores, and callers in other goroutines, don't concern each other.
func TestStrictNeighbours(t *testing.T) {
	one, two := storetest.Strict(open(t)), storetest.Strict(open(t))
	err := one.Tx(t.Context(), func(store.Store) error {
		read := make(chan error)
		go func() {
			_, err := one.CountUsers(context.WithoutCancel(t.Context()), store.UserQuery{})
			read <- err
		}()
		return errors.Join(<-read, two.Ping(t.Context()))
	})
	if err != nil {
		t.Error(err)
	}
}

func TestStrictPowers(t *testing.T) {
	st := open(t)
	_, migrates := storetest.Strict(st).(store.Migrator)
	_, joins := storetest.Strict(st).(store.Joiner)
	if !migrates || !joins {
		t.Errorf("a strict store migrates: %t, joins: %t", migrates, joins)
	}
	bare := storetest.Strict(struct{ store.Store }{st})
	_, migrates = bare.(store.Migrator)
	_, joins = bare.(store.Joiner)
	if migrates || joins {
		t.Errorf("a strict store of a bare one migrates: %t, joins: %t", migrates, joins)
	}
}
