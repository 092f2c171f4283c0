package storetest

import (
	"context"
	"fmt"
	"testing"

	"github.com/google/uuid"

	"github.com/truekeel/auth/store"
)

// testPurge purges whole tables, which needs a store of its own.
func testPurge(t *testing.T, st store.Store) {
	_, err := st.Purge(t.Context(), "no such kind", at(0), 1)
	if err == nil {
		t.Error("Purge of an unknown kind succeeded")
	}
	for _, c := range []struct {
		kind store.PurgeKind
		// add stores a row that ended at the minute, or one that is to be spared,
		// and gives a function that says whether it is there.
		add func(t *testing.T, st store.Store, minute int, spared bool) (there func() (bool, error))
	}{
		{store.PurgeOneTimeTokens, purgeOneTimeToken},
		{store.PurgeFlowStates, purgeFlowState},
		{store.PurgeCounters, purgeCounter},
		{store.PurgeOutbox, purgeOutboxItem},
		{store.PurgeEvents, purgeEvent},
		{store.PurgeAudit, purgeAuditEntry},
		{store.PurgeRefreshTokens, purgeRefreshToken},
		{store.PurgeSessions, purgeSession},
		{store.PurgeKeys, purgeKey},
	} {
		t.Run(string(c.kind), func(t *testing.T) {
			purge := func(limit int, want int64) {
				t.Helper()
				n, err := st.Purge(t.Context(), c.kind, at(10), limit)
				wantCount(t, "Purge", n, err, want)
			}
			var rows []func() (bool, error)
			wantLeft := func(want ...bool) {
				t.Helper()
				for i, there := range rows {
					got, err := there()
					wantDone(t, fmt.Sprintf("row %d is there", i), got, err, want[i])
				}
			}
			purge(10, 0)
			for _, minute := range []int{3, 1, 2, 9, 10, 11} {
				rows = append(rows, c.add(t, st, minute, false))
			}
			rows = append(rows, c.add(t, st, 0, true))
			wantLeft(true, true, true, true, true, true, true)
			purge(2, 2) // the oldest
			wantLeft(true, false, false, true, true, true, true)
			purge(100, 2)
			wantLeft(false, false, false, false, true, true, true)
			purge(100, 0)
		})
	}
}

// found turns a read into whether it found something.
func found(err error) (bool, error) { return err == nil, ignore(err, store.ErrNotFound) }

func purgeOneTimeToken(t *testing.T, st store.Store, minute int, spared bool) func() (bool, error) {
	o := newOneTimeToken(addUser(t, st).ID, uuid.Nil)
	o.ExpiresAt, o.CodeExpiresAt = at(minute), at(0)
	if spared {
		o.ExpiresAt = zeroTime
	}
	check(t, st.PutOneTimeToken(t.Context(), o))
	return func() (bool, error) {
		_, err := st.OneTimeTokenByLink(t.Context(), o.LinkHash)
		return found(err)
	}
}

func purgeFlowState(t *testing.T, st store.Store, minute int, spared bool) func() (bool, error) {
	f := newFlowState(uuid.Nil)
	f.ExpiresAt = at(minute)
	if spared {
		f.ExpiresAt = zeroTime
	}
	check(t, st.CreateFlowState(t.Context(), f))
	return func() (bool, error) {
		_, err := st.FlowState(t.Context(), f.ID)
		return found(err)
	}
}

func purgeCounter(t *testing.T, st store.Store, minute int, spared bool) func() (bool, error) {
	key := unique("key")
	if spared { // a counter in use
		minute = 100
	}
	_, _, err := st.Count(t.Context(), key, at(-1), at(minute))
	check(t, err)
	return func() (bool, error) {
		n, _, err := st.Counted(t.Context(), key, at(-1))
		return n > 0, err
	}
}

func purgeOutboxItem(t *testing.T, st store.Store, minute int, spared bool) func() (bool, error) {
	i := owedItem(unique("sender"))
	i.DoneAt = at(minute)
	if spared { // still owed
		i.DoneAt, i.CreatedAt, i.NextAt = zeroTime, at(-100), at(-100)
	}
	check(t, st.AddOutboxItem(t.Context(), i))
	return func() (bool, error) {
		_, err := st.OutboxItem(t.Context(), i.ID)
		return found(err)
	}
}

func purgeEvent(t *testing.T, st store.Store, minute int, spared bool) func() (bool, error) {
	d := newEventDelivery(unique("endpoint"))
	d.DoneAt = at(minute)
	if spared { // still owed
		d.State, d.DoneAt, d.CreatedAt = store.EventPending, zeroTime, at(-100)
	}
	check(t, st.AddEventDelivery(t.Context(), d))
	return func() (bool, error) {
		_, err := st.EventDelivery(t.Context(), d.ID)
		return found(err)
	}
}

func purgeAuditEntry(t *testing.T, st store.Store, minute int, spared bool) func() (bool, error) {
	e := newAuditEntry(unique("action"))
	if spared {
		minute = 100
	}
	e.CreatedAt = at(minute)
	check(t, st.AddAuditEntry(t.Context(), e))
	return func() (bool, error) {
		n, err := st.CountAuditEntries(t.Context(), store.AuditQuery{ActorID: e.ActorID})
		return n > 0, err
	}
}

// purgeRefreshToken stores the grandparent of a session's active token; its parent is
// spared.
func purgeRefreshToken(t *testing.T, st store.Store, minute int, spared bool) func() (bool, error) {
	s := newSession(addUser(t, st).ID)
	s.RefreshSeq = 3
	check(t, st.CreateSession(t.Context(), s))
	r := newRefreshToken(s)
	r.Seq, r.CreatedAt, r.ExpiresAt = 1, at(minute), at(0)
	if spared {
		r.Seq = 2
	}
	check(t, st.CreateRefreshToken(t.Context(), r))
	return func() (bool, error) {
		_, err := st.RefreshToken(t.Context(), r.Hash)
		return found(err)
	}
}

func purgeSession(t *testing.T, st store.Store, minute int, spared bool) func() (bool, error) {
	ctx := t.Context()
	s := newSession(addUser(t, st).ID)
	s.NotAfter = at(minute)
	if spared {
		s.NotAfter = zeroTime
	}
	check(t, st.CreateSession(ctx, s))
	r := newRefreshToken(s)
	r.ExpiresAt = zeroTime
	check(t, st.CreateRefreshToken(ctx, r))
	return func() (bool, error) {
		_, err := st.Session(t.Context(), s.ID)
		_, err2 := st.RefreshToken(t.Context(), r.Hash)
		if a, b := err == nil, err2 == nil; a != b {
			return false, fmt.Errorf("the session is there: %t, its refresh token: %t", a, b)
		}
		return found(err)
	}
}

func purgeKey(t *testing.T, st store.Store, minute int, spared bool) func() (bool, error) {
	k := newKey(unique("kid"), store.KeyRetired, 0)
	k.RetiredAt = at(minute)
	if spared {
		k.State = store.KeyPrevious
	}
	check(t, st.CreateSigningKey(t.Context(), k))
	return func() (bool, error) {
		keys, err := st.SigningKeys(t.Context())
		for _, got := range keys {
			if got.ID == k.ID {
				return true, err
			}
		}
		return false, err
	}
}

// racePurge: purgers that meet don't fail and count each row once.
func racePurge(t *testing.T, st store.Store) {
	const rows = 40
	// Far in the past, where no other test has entries.
	old := at(-1_000_000)
	check(t, st.Tx(t.Context(), func(tx store.Store) error {
		for range rows {
			e := newAuditEntry("old")
			e.CreatedAt = old
			if err := tx.AddAuditEntry(t.Context(), e); err != nil {
				return err
			}
		}
		return nil
	}))
	counts := make([]int64, 4)
	together(len(counts), func(i int) {
		for {
			n, err := st.Purge(context.WithoutCancel(t.Context()), store.PurgeAudit, old.Add(1000), 7)
			counts[i] += n
			if err != nil {
				t.Errorf("racer %d: %v", i, err)
			}
			if err != nil || n == 0 {
				return
			}
		}
	})
	sum := int64(0)
	for _, n := range counts {
		sum += n
	}
	wantCount(t, "rows purged by all", sum, nil, rows)
}
