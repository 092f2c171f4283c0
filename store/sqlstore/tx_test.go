package sqlstore

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/truekeel/auth/store"
)

var (
	errDeadlock  = errors.New("deadlock")
	errDuplicate = errors.New("duplicate a@example.com")
	errOrphan    = errors.New("orphan")
	errFull      = errors.New("full")
	errOther     = errors.New("other")
	errLost      = errors.New("broken pipe")
)

// script is a Writer and a Conn whose statements fail as it says.
type script struct {
	results    []error // of the next statements; nil once used up
	commits    []error // of the next commits
	statements []string
}

func next(errs *[]error) error {
	if len(*errs) == 0 {
		return nil
	}
	err := (*errs)[0]
	*errs = (*errs)[1:]
	return err
}

func (s *script) Write(ctx context.Context, fn func(context.Context, Conn) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := fn(context.WithoutCancel(ctx), s); err != nil {
		return err
	}
	if err := next(&s.commits); err != nil {
		return &commitError{err}
	}
	return nil
}

func (s *script) Exec(_ context.Context, query string, _ []any) (int64, error) {
	s.statements = append(s.statements, query)
	return 1, next(&s.results)
}

func (s *script) Query(_ context.Context, query string, _ []any, _ func(*sql.Rows) error) error {
	s.statements = append(s.statements, query)
	return next(&s.results)
}

func newScripted(t *testing.T, s *script) *Store {
	t.Helper()
	is := func(target error) func(error) bool {
		return func(err error) bool { return errors.Is(err, target) }
	}
	st, err := New(nil, Config{Writer: s, Dialect: Dialect{
		IsDuplicate: is(errDuplicate), IsMissingParent: is(errOrphan), IsRetryable: is(errDeadlock),
		IsUnavailable: is(errFull), IsLost: is(errLost),
		Explain: func(err error) error { return err },
	}})
	require.NoError(t, err)
	return st
}

// drop is a statement.
func drop(ctx context.Context, s store.Store) error { return s.DropCounter(ctx, "k") }

func TestTxIsRunAgain(t *testing.T) {
	many := func(err error, n int) (errs []error) {
		for range n {
			errs = append(errs, err)
		}
		return errs
	}
	for _, c := range []struct {
		name             string
		results, commits []error
		runs             int
		want             error
	}{
		{"success", nil, nil, 1, nil},
		{"deadlock", []error{errDeadlock, errDeadlock}, nil, 3, nil},
		{"lost before the commit", []error{errLost, driver.ErrBadConn}, nil, 3, nil},
		{"deadlock at the commit", nil, []error{errDeadlock}, 2, nil},
		{"lost at the commit", nil, []error{errLost}, 1, store.ErrUnavailable},
		{"full", []error{errFull}, nil, 1, store.ErrUnavailable},
		{"full at the commit", nil, []error{errFull}, 1, store.ErrUnavailable},
		{"duplicate", []error{errDuplicate}, nil, 1, store.ErrConflict},
		{"orphan", []error{errOrphan}, nil, 1, store.ErrNotFound},
		{"other", []error{errOther}, nil, 1, errOther},
		{"deadlock for ever", many(errDeadlock, 100), nil, attempts, store.ErrUnavailable},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { // its clock makes the pauses short
				st := newScripted(t, &script{results: c.results, commits: c.commits})
				runs := 0
				err := st.Tx(t.Context(), func(tx store.Store) error {
					runs++
					return drop(t.Context(), tx)
				})
				assert.Equal(t, c.runs, runs)
				require.ErrorIs(t, err, c.want)
			})
		})
	}
}

// What decides about another attempt is what the database said, whatever fn made of it.
func TestTxIsRunAgainThoughTheErrorIsHidden(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newScripted(t, &script{results: []error{errDeadlock, nil}})
		runs := 0
		require.NoError(t, st.Tx(t.Context(), func(tx store.Store) error {
			runs++
			if drop(t.Context(), tx) != nil {
				return errors.New("something went wrong")
			}
			return nil
		}))
		assert.Equal(t, 2, runs)
	})
}

func TestTxStale(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newScripted(t, &script{})
		runs := 0
		require.NoError(t, st.Tx(t.Context(), func(store.Store) error {
			runs++
			if runs < 3 {
				return store.ErrStale
			}
			return nil
		}))
		assert.Equal(t, 3, runs)

		runs = 0
		err := st.Tx(t.Context(), func(store.Store) error {
			runs++
			return store.ErrStale
		})
		require.ErrorIs(t, err, store.ErrUnavailable)
		assert.Equal(t, attempts, runs)
	})
}

func TestTxEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newScripted(t, &script{})
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Millisecond)
		defer cancel()
		err := st.Tx(ctx, func(store.Store) error { return store.ErrStale })
		require.ErrorIs(t, err, context.DeadlineExceeded)
	})
}

// The first error ends the transaction, on every database and for savepoints too.
func TestTxIsLostAfterAnError(t *testing.T) {
	for _, c := range []struct {
		name string
		fail func(ctx context.Context, tx store.Store) error
	}{
		{"itself", drop},
		{"in a savepoint", func(ctx context.Context, tx store.Store) error {
			return tx.Tx(ctx, func(inner store.Store) error { return drop(ctx, inner) })
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &script{results: []error{errDuplicate}}
			if c.name != "itself" {
				s.results = []error{nil, errDuplicate} // the first is SAVEPOINT
			}
			st := newScripted(t, s)
			err := st.Tx(t.Context(), func(tx store.Store) error {
				require.ErrorIs(t, c.fail(t.Context(), tx), store.ErrConflict)
				n := len(s.statements)
				require.ErrorIs(t, drop(t.Context(), tx), store.ErrConflict)
				_, err := tx.Setting(t.Context(), "a")
				require.ErrorIs(t, err, store.ErrConflict)
				require.ErrorIs(t, tx.Tx(t.Context(), func(store.Store) error { return nil }), store.ErrConflict)
				assert.Len(t, s.statements, n, "the database isn't asked any more")
				return nil
			})
			require.ErrorIs(t, err, store.ErrConflict)
			require.NotContains(t, err.Error(), "a@example.com", "the value isn't told")
		})
	}
}

func TestSavepoint(t *testing.T) {
	s := &script{}
	st := newScripted(t, s)
	require.NoError(t, st.Tx(t.Context(), func(tx store.Store) error {
		require.ErrorIs(t, tx.Tx(t.Context(), func(inner store.Store) error {
			require.NoError(t, inner.Tx(t.Context(), func(store.Store) error { return nil }))
			return errOther
		}), errOther)
		require.Panics(t, func() {
			_ = tx.Tx(t.Context(), func(store.Store) error { panic("boom") })
		})
		return nil
	}))
	assert.Equal(t, []string{
		"SAVEPOINT auth_sp1", "SAVEPOINT auth_sp2", "RELEASE SAVEPOINT auth_sp2",
		"ROLLBACK TO SAVEPOINT auth_sp1", "RELEASE SAVEPOINT auth_sp1",
		"SAVEPOINT auth_sp1", "ROLLBACK TO SAVEPOINT auth_sp1", "RELEASE SAVEPOINT auth_sp1",
	}, s.statements)
}

func TestTxStoreEnds(t *testing.T) {
	s := &script{}
	st := newScripted(t, s)
	var outer, inner store.Store
	require.NoError(t, st.Tx(t.Context(), func(tx store.Store) error {
		outer = tx
		require.NoError(t, tx.Tx(t.Context(), func(tx store.Store) error {
			inner = tx
			return nil
		}))
		require.ErrorIs(t, drop(t.Context(), inner), errEnded)
		return tx.Close() // does nothing
	}))
	require.ErrorIs(t, drop(t.Context(), outer), errEnded)
	require.NoError(t, drop(t.Context(), st))
	require.NoError(t, st.Close())
	require.ErrorIs(t, drop(t.Context(), st), store.ErrUnavailable)
}

// A function isn't cut short once it has begun.
func TestTxIgnoresTheContextInside(t *testing.T) {
	st := newScripted(t, &script{})
	ctx, cancel := context.WithCancel(t.Context())
	require.NoError(t, st.Tx(ctx, func(tx store.Store) error {
		cancel()
		return drop(ctx, tx)
	}))
	require.ErrorIs(t, drop(ctx, st), context.Canceled)
}

func TestRefusals(t *testing.T) {
	st := newScripted(t, &script{})
	ctx := t.Context()
	_, err := st.MoveSigningKey(ctx, "k", store.KeyNext, store.KeyNext, time.Time{})
	require.Error(t, err)
	_, err = st.IssueCode(ctx, store.FlowState{})
	require.Error(t, err)
	_, err = st.Purge(ctx, "dust", time.Time{}, 1)
	require.ErrorContains(t, err, "dust")
	_, err = New(nil, Config{Namespace: "a b"})
	require.Error(t, err)
	require.NoError(t, st.Tx(ctx, func(tx store.Store) error {
		require.Error(t, tx.(*Store).Migrate(ctx))
		_, err := tx.(*Store).Join(ctx, nil)
		require.Error(t, err)
		return nil
	}))
}
