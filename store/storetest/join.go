package storetest

import (
	"database/sql"
	"errors"
	"testing"

	"github.com/truekeel/auth/store"
)

// RunJoin checks a store that is a [store.Joiner]. Each call of open gives a store as
// [Run] says, and a pool on the same database as a host would open it, from which
// transactions may be begun at once; open closes both with t.Cleanup.
func RunJoin(t *testing.T, open func(t *testing.T) (store.Store, *sql.DB)) {
	st, db := open(t)
	j, ok := st.(store.Joiner)
	if !ok {
		t.Fatal("the store is no store.Joiner")
	}
	for _, c := range []struct {
		name string
		run  func(t *testing.T, st store.Store, j store.Joiner, db *sql.DB)
	}{
		{"Commit", joinCommit},
		{"Rollback", joinRollback},
		{"Savepoint", joinSavepoint},
		{"Conflict", joinConflict},
		{"Panic", joinPanic},
		{"Spent", joinSpent},
	} {
		t.Run(c.name, func(t *testing.T) { c.run(t, st, j, db) })
	}
}

// begin gives a transaction of the host and a store in it. The transaction is rolled
// back at the end of the test if it still is open.
func begin(t *testing.T, j store.Joiner, db *sql.DB) (*sql.Tx, store.Store) {
	t.Helper()
	tx, err := db.BeginTx(t.Context(), nil)
	check(t, err)
	t.Cleanup(func() { _ = tx.Rollback() })
	st, err := j.Join(t.Context(), tx)
	check(t, err)
	return tx, st
}

func joinCommit(t *testing.T, st store.Store, j store.Joiner, db *sql.DB) {
	ctx := t.Context()
	old := addBelongings(t, st)
	tx, in := begin(t, j, db)
	b := addBelongings(t, in)
	b.wantThere(t, in)
	old.wantThere(t, in)
	check(t, in.DeleteUser(ctx, old.user.ID))
	old.wantGone(t, in)
	check(t, in.Ping(ctx))
	check(t, tx.Commit())
	b.wantThere(t, st)
	old.wantGone(t, st)
}

func joinRollback(t *testing.T, st store.Store, j store.Joiner, db *sql.DB) {
	old := addBelongings(t, st)
	tx, in := begin(t, j, db)
	b := addBelongings(t, in)
	check(t, in.Tx(t.Context(), func(tx store.Store) error { return tx.DeleteUser(t.Context(), old.user.ID) }))
	check(t, tx.Rollback())
	b.wantGone(t, st)
	old.wantThere(t, st)
}

// joinSavepoint: a Tx in the host's transaction is undone alone.
func joinSavepoint(t *testing.T, st store.Store, j store.Joiner, db *sql.DB) {
	ctx := t.Context()
	tx, in := begin(t, j, db)
	kept, undone, inmost := plainUser(unique("aud")), plainUser(unique("aud")), plainUser(unique("aud"))
	err := in.Tx(ctx, func(tx store.Store) error {
		if err := tx.CreateUser(ctx, undone); err != nil {
			return err
		}
		return errUndo
	})
	wantErr(t, "a Tx undone", err, errUndo)
	check(t, in.Tx(ctx, func(tx store.Store) error {
		if err := tx.CreateUser(ctx, kept); err != nil {
			return err
		}
		return ignore(tx.Tx(ctx, func(tx store.Store) error {
			if err := tx.CreateUser(ctx, inmost); err != nil {
				return err
			}
			return errUndo
		}), errUndo)
	}))
	check(t, tx.Commit())
	wantUser(t, "what was kept", st, kept, true)
	wantUser(t, "what was undone", st, undone, false)
	wantUser(t, "what was undone inmost", st, inmost, false)
}

// joinConflict: a conflict is told as such, and the host can roll back.
func joinConflict(t *testing.T, st store.Store, j store.Joiner, db *sql.DB) {
	ctx := t.Context()
	taken := addUser(t, st)
	tx, in := begin(t, j, db)
	u, same := plainUser(unique("aud")), plainUser(taken.Audience)
	same.Email = taken.Email
	check(t, in.CreateUser(ctx, u))
	err := in.Tx(ctx, func(tx store.Store) error { return tx.CreateUser(ctx, same) })
	wantErr(t, "Tx with a conflict", err, store.ErrConflict)
	check(t, tx.Rollback())
	wantUser(t, "what was written before", st, u, false)
}

func joinPanic(t *testing.T, st store.Store, j store.Joiner, db *sql.DB) {
	ctx := t.Context()
	tx, in := begin(t, j, db)
	u := plainUser(unique("aud"))
	got := panicked(func() {
		_ = in.Tx(ctx, func(tx store.Store) error {
			if err := tx.CreateUser(ctx, u); err != nil {
				return err
			}
			panic("storetest: panic")
		})
	})
	if got != "storetest: panic" {
		t.Errorf("recovered %v, want the function's own panic", got)
	}
	check(t, tx.Commit())
	wantUser(t, "what was written before the panic", st, u, false)
}

// joinSpent: once the host's transaction has ended, its store fails.
func joinSpent(t *testing.T, st store.Store, j store.Joiner, db *sql.DB) {
	ctx := t.Context()
	for _, end := range []func(*sql.Tx) error{(*sql.Tx).Commit, (*sql.Tx).Rollback} {
		tx, in := begin(t, j, db)
		check(t, end(tx))
		u := plainUser(unique("aud"))
		if err := in.CreateUser(ctx, u); err == nil {
			t.Error("CreateUser succeeded after the end of the host's transaction")
		}
		if err := in.Tx(ctx, func(tx store.Store) error { return tx.CreateUser(ctx, u) }); err == nil {
			t.Error("Tx succeeded after the end of the host's transaction")
		}
		wantUser(t, "what was written too late", st, u, false)
		if _, err := j.Join(ctx, tx); err == nil || errors.Is(err, store.ErrNotFound) {
			t.Errorf("Join of an ended transaction: got %v", err)
		}
	}
}
