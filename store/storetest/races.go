package storetest

import (
	"context"
	"testing"

	"github.com/google/uuid"

	"github.com/truekeel/auth/store"
)

// testRaces: of callers that race for a thing that exists once, one gets it.
func testRaces(t *testing.T, st store.Store) {
	each(t, st, []test{
		{"Users", raceUsers},
		{"Rerun", raceRerun},
		{"Identities", raceIdentities},
		{"Sessions", raceSessions},
		{"RefreshTokens", raceRefreshTokens},
		{"OneTimeTokens", raceOneTimeTokens},
		{"FlowStates", raceFlowStates},
		{"Outbox", raceOutbox},
		{"Events", raceEvents},
		{"Counters", raceCounters},
		{"Settings", raceSettings},
		{"Purge", racePurge},
		{"Deadlock", raceDeadlock},
		{"SessionEnds", raceSessionEnds},
		{"UserEnds", raceUserEnds},
	})
}

// raceDeadlock: functions that take two rows in opposite order all succeed, since a
// deadlock runs its victim again.
func raceDeadlock(t *testing.T, st store.Store) {
	ids := [2]store.User{addUser(t, st), addUser(t, st)}
	const callers = 4 // PostgreSQL looks for deadlocks once a second only
	won := raceErr(t, callers, errNever, func(ctx context.Context, i int) error {
		return st.Tx(ctx, func(tx store.Store) error {
			for n := range ids {
				u, err := tx.User(ctx, ids[(i+n)%2].ID)
				if err != nil {
					return err
				}
				u.UpdatedAt = at(i)
				if err := tx.UpdateUser(ctx, &u); err != nil {
					return err
				}
			}
			return nil
		})
	})
	for _, u := range ids {
		got, err := st.User(t.Context(), u.ID)
		if err != nil || got.Version != callers+1 || won != callers {
			t.Errorf("%d of %d succeeded, the row has version %d (%v)", won, callers, got.Version, err)
		}
	}
}

// raceSessionEnds: a session that ends while it is refreshed takes the new token along.
func raceSessionEnds(t *testing.T, st store.Store) {
	ends := []func(ctx context.Context, s store.Session) error{
		func(ctx context.Context, s store.Session) error { return second(st.DeleteSession(ctx, s.ID)) },
		func(ctx context.Context, s store.Session) error {
			return second(st.DeleteSessionsOf(ctx, s.UserID, uuid.Nil))
		},
	}
	for round := range 20 {
		s := addSession(t, st)
		r := newRefreshToken(s)
		race(t, 2, func(ctx context.Context, i int) (bool, error) {
			if i == 1 {
				return true, ends[round%len(ends)](ctx, s)
			}
			return true, st.Tx(ctx, func(tx store.Store) error {
				next := s
				next.RefreshSeq = 2
				if ok, err := tx.UpdateSession(ctx, next, 1); err != nil || !ok {
					return err
				}
				return tx.CreateRefreshToken(ctx, r)
			})
		})
		session, err := st.Session(t.Context(), s.ID)
		wantMiss(t, "an ended session", session, err)
		token, err := st.RefreshToken(t.Context(), r.Hash)
		wantMiss(t, "the token of its last refresh", token, err)
	}
}

// raceUserEnds: an account that is deleted while somebody signs in takes the new session
// along.
func raceUserEnds(t *testing.T, st store.Store) {
	for range 20 {
		u := addUser(t, st)
		s := newSession(u.ID)
		r := newRefreshToken(s)
		race(t, 2, func(ctx context.Context, i int) (bool, error) {
			if i == 1 {
				return true, st.DeleteUser(ctx, u.ID)
			}
			err := st.Tx(ctx, func(tx store.Store) error {
				u := u
				if err := tx.UpdateUser(ctx, &u); err != nil { // LastSignInAt
					return err
				}
				if err := tx.CreateSession(ctx, s); err != nil {
					return err
				}
				return tx.CreateRefreshToken(ctx, r)
			})
			return true, ignore(err, store.ErrNotFound)
		})
		wantUser(t, "a deleted account", st, u, false)
		session, err := st.Session(t.Context(), s.ID)
		wantMiss(t, "the session of its last sign-in", session, err)
		token, err := st.RefreshToken(t.Context(), r.Hash)
		wantMiss(t, "its refresh token", token, err)
	}
}
