package storetest

import (
	"context"
	"fmt"
	"testing"

	"github.com/google/uuid"

	"github.com/truekeel/auth/store"
)

func testOutbox(t *testing.T, st store.Store) {
	each(t, st, []test{
		{"RoundTrip", outboxRoundTrip},
		{"Due", outboxDue},
		{"Keys", outboxKeys},
		{"Lease", outboxLease},
		{"Settle", outboxSettle},
		{"Owed", outboxOwed},
		{"Youngest", outboxYoungest},
	})
}

// newOutboxItem gives an item with every field set.
func newOutboxItem(sender string) store.OutboxItem {
	return store.OutboxItem{
		ID: uuid.New(), Kind: "mail", Sender: sender, Key: "user-1", Body: []byte{0, 0xff, '\'', 0},
		MessageID: "<1@example.com>", Attempts: 3, NextAt: at(1), LeaseUntil: at(2), LeaseToken: "token",
		LastError: "451 later", CreatedAt: at(0), DoneAt: at(4), GivenUp: true,
	}
}

// owedItem gives an item that is due at base.
func owedItem(sender string) store.OutboxItem {
	return store.OutboxItem{
		ID: uuid.New(), Kind: "mail", Sender: sender, Body: []byte("sealed"),
		MessageID: unique("<m"), NextAt: at(0), CreatedAt: at(0),
	}
}

// addOutboxItem stores an item that is due at base, of a sender of its own.
func addOutboxItem(t *testing.T, st store.Store) store.OutboxItem {
	t.Helper()
	i := owedItem(unique("sender"))
	check(t, st.AddOutboxItem(t.Context(), i))
	return i
}

func outboxRoundTrip(t *testing.T, st store.Store) {
	ctx := t.Context()
	full := newOutboxItem(unique("sender"))
	filled(t, full)
	bare := store.OutboxItem{ID: uuid.New(), Kind: "none", Sender: unique("sender"), NextAt: at(0), CreatedAt: at(0)}
	for _, i := range []store.OutboxItem{full, bare} {
		check(t, st.AddOutboxItem(ctx, i))
		got, err := st.OutboxItem(ctx, i.ID)
		wantRow(t, "OutboxItem", got, err, i)
	}
	got, err := st.OutboxItem(ctx, uuid.New())
	wantMiss(t, "OutboxItem", got, err)

	ok, err := st.DeleteOutboxItem(ctx, full.ID)
	wantDone(t, "DeleteOutboxItem", ok, err, true)
	ok, err = st.DeleteOutboxItem(ctx, full.ID)
	wantDone(t, "DeleteOutboxItem again", ok, err, false)
	got, err = st.OutboxItem(ctx, bare.ID)
	wantRow(t, "the other item", got, err, bare)
}

func outboxDue(t *testing.T, st store.Store) {
	ctx := t.Context()
	sender := unique("sender")
	now := at(10)
	add := func(change func(*store.OutboxItem)) store.OutboxItem {
		i := owedItem(sender)
		change(&i)
		check(t, st.AddOutboxItem(ctx, i))
		return i
	}
	third := add(func(i *store.OutboxItem) { i.NextAt, i.CreatedAt = now, at(1) })
	second := add(func(i *store.OutboxItem) { i.NextAt, i.CreatedAt = now, at(0) })
	first := add(func(i *store.OutboxItem) { i.NextAt, i.CreatedAt = at(9), at(5) })
	fourth := add(func(i *store.OutboxItem) {
		i.NextAt, i.CreatedAt, i.LeaseToken, i.LeaseUntil = now, at(2), "lapsed", at(9)
	})
	fifth := add(func(i *store.OutboxItem) { i.ID, i.NextAt, i.CreatedAt = ordered(1), now, at(3) })
	sixth := add(func(i *store.OutboxItem) { i.ID, i.NextAt, i.CreatedAt = ordered(2), now, at(3) })
	add(func(i *store.OutboxItem) { i.NextAt = now.Add(1000) })                      // not due by a microsecond
	add(func(i *store.OutboxItem) { i.LeaseToken, i.LeaseUntil = "leased", at(11) }) // somebody's
	add(func(i *store.OutboxItem) { i.DoneAt = at(1) })
	add(func(i *store.OutboxItem) { i.DoneAt, i.GivenUp = at(1), true })
	add(func(i *store.OutboxItem) { i.Sender = "x" + sender })

	got, err := st.DueOutboxItems(ctx, sender, now, 100)
	wantRow(t, "DueOutboxItems", got, err, []store.OutboxItem{first, second, third, fourth, fifth, sixth})
	got, err = st.DueOutboxItems(ctx, sender, now, 2)
	wantRow(t, "two DueOutboxItems", got, err, []store.OutboxItem{first, second})
	got, err = st.DueOutboxItems(ctx, unique("sender"), now, 2)
	wantCount(t, "DueOutboxItems of nobody", int64(len(got)), err, 0)
}

// outboxKeys: items of one sender and key come one after the other.
func outboxKeys(t *testing.T, st store.Store) {
	ctx := t.Context()
	sender, now := unique("sender"), at(10)
	add := func(sender, key string, created, next int, id uuid.UUID) store.OutboxItem {
		i := owedItem(sender)
		i.ID, i.Key, i.CreatedAt, i.NextAt = id, key, at(created), at(next)
		check(t, st.AddOutboxItem(ctx, i))
		return i
	}
	later := add(sender, "a", 1, 1, ordered(1))   // behind one that isn't due
	oldest := add(sender, "a", 0, 20, ordered(2)) // not due
	first := add(sender, "b", 0, 3, ordered(3))
	second := add(sender, "b", 0, 2, ordered(4)) // as old as first, its id is greater
	add("x"+sender, "c", 0, 20, ordered(5))
	third := add(sender, "c", 1, 4, ordered(6)) // the older one is another sender's
	free := add(sender, "", 1, 5, ordered(7))
	due := func(what string, want ...store.OutboxItem) {
		t.Helper()
		got, err := st.DueOutboxItems(ctx, sender, now, 100)
		wantRow(t, what, got, err, want)
	}
	settle := func(i store.OutboxItem) {
		t.Helper()
		ok, err := st.LeaseOutboxItem(ctx, i.ID, "token", now, at(11))
		wantDone(t, "LeaseOutboxItem", ok, err, true)
		i.LeaseToken, i.DoneAt = "token", now
		ok, err = st.SettleOutboxItem(ctx, i)
		wantDone(t, "SettleOutboxItem", ok, err, true)
	}
	due("DueOutboxItems with keys", first, third, free)
	ok, err := st.LeaseOutboxItem(ctx, first.ID, "token", at(0), at(5))
	wantDone(t, "LeaseOutboxItem", ok, err, true) // lapsed at now
	settle(first)
	due("DueOutboxItems after the first of b", second, third, free)
	ok, err = st.LeaseOutboxItem(ctx, oldest.ID, "token", now, at(30))
	wantDone(t, "LeaseOutboxItem", ok, err, true)
	due("DueOutboxItems behind a leased one", second, third, free)
	oldest.LeaseToken, oldest.DoneAt, oldest.GivenUp = "token", now, true
	ok, err = st.SettleOutboxItem(ctx, oldest)
	wantDone(t, "SettleOutboxItem", ok, err, true)
	due("DueOutboxItems behind one that was given up", later, second, third, free)
}

func outboxLease(t *testing.T, st store.Store) {
	ctx := t.Context()
	i := addOutboxItem(t, st)
	ok, err := st.LeaseOutboxItem(ctx, i.ID, "one", at(0), at(5))
	wantDone(t, "LeaseOutboxItem", ok, err, true)
	i.LeaseToken, i.LeaseUntil, i.Attempts = "one", at(5), 1
	got, err := st.OutboxItem(ctx, i.ID)
	wantRow(t, "a leased item", got, err, i)

	for _, minute := range []int{0, 4} {
		ok, err = st.LeaseOutboxItem(ctx, i.ID, "two", at(minute), at(9))
		wantDone(t, "LeaseOutboxItem of a leased one", ok, err, false)
	}
	ok, err = st.LeaseOutboxItem(ctx, i.ID, "two", at(5), at(9))
	wantDone(t, "LeaseOutboxItem of a lapsed one", ok, err, true)
	i.LeaseToken, i.LeaseUntil, i.Attempts = "two", at(9), 2
	got, err = st.OutboxItem(ctx, i.ID)
	wantRow(t, "an item leased anew", got, err, i)

	i.DoneAt = at(6)
	ok, err = st.SettleOutboxItem(ctx, i)
	wantDone(t, "SettleOutboxItem", ok, err, true)
	ok, err = st.LeaseOutboxItem(ctx, i.ID, "three", at(20), at(30))
	wantDone(t, "LeaseOutboxItem of a delivered one", ok, err, false)
	ok, err = st.LeaseOutboxItem(ctx, uuid.New(), "one", at(0), at(5))
	wantDone(t, "LeaseOutboxItem of none", ok, err, false)
}

func outboxSettle(t *testing.T, st store.Store) {
	ctx := t.Context()
	i, other := addOutboxItem(t, st), addOutboxItem(t, st)
	lease := func(token string, from, until int) {
		t.Helper()
		ok, err := st.LeaseOutboxItem(ctx, i.ID, token, at(from), at(until))
		wantDone(t, "LeaseOutboxItem", ok, err, true)
	}
	lease("one", 0, 5)
	tried := newOutboxItem("x") // what isn't to be written differs too
	tried.ID, tried.Kind, tried.Key, tried.CreatedAt, tried.LeaseToken = i.ID, "x", "x", at(50), "another"
	tried.Attempts, tried.NextAt, tried.DoneAt, tried.GivenUp = 7, at(8), zeroTime, false
	ok, err := st.SettleOutboxItem(ctx, tried)
	wantDone(t, "SettleOutboxItem with another's token", ok, err, false)

	tried.LeaseToken = "one"
	ok, err = st.SettleOutboxItem(ctx, tried)
	wantDone(t, "SettleOutboxItem", ok, err, true)
	i.Body, i.Attempts, i.NextAt, i.LastError = tried.Body, 7, at(8), tried.LastError
	got, err := st.OutboxItem(ctx, i.ID)
	wantRow(t, "an item to try again", got, err, i)
	ok, err = st.SettleOutboxItem(ctx, tried)
	wantDone(t, "SettleOutboxItem after the lease ended", ok, err, false)

	lease("two", 1, 5)
	lease("three", 6, 9)
	done := i
	done.Body, done.DoneAt, done.GivenUp, done.LastError, done.LeaseToken = nil, at(9), true, "", "two"
	ok, err = st.SettleOutboxItem(ctx, done)
	wantDone(t, "SettleOutboxItem by one who lost the lease", ok, err, false)
	done.LeaseToken, done.Attempts = "three", 9
	ok, err = st.SettleOutboxItem(ctx, done)
	wantDone(t, "SettleOutboxItem for good", ok, err, true)
	done.LeaseToken = ""
	got, err = st.OutboxItem(ctx, i.ID)
	wantRow(t, "an item given up", got, err, done)
	got, err = st.OutboxItem(ctx, other.ID)
	wantRow(t, "the other item", got, err, other)
}

func outboxOwed(t *testing.T, st store.Store) {
	ctx := t.Context()
	one, two, none := unique("sender"), unique("sender"), unique("sender")
	for n, c := range []struct {
		sender string
		done   bool
	}{{one, false}, {one, false}, {two, false}, {one, true}, {none, true}} {
		i := owedItem(c.sender)
		i.CreatedAt = at(20 - n)
		if c.done {
			i.DoneAt = at(30)
		}
		check(t, st.AddOutboxItem(ctx, i))
	}
	debts, err := st.OwedBySender(ctx)
	check(t, err)
	got := map[string]store.OutboxDebt{}
	for _, d := range debts {
		if _, twice := got[d.Sender]; twice {
			t.Errorf("OwedBySender names %s twice", d.Sender)
		}
		got[d.Sender] = d
	}
	wantRow(t, "the debt of one", got[one], nil, store.OutboxDebt{Sender: one, Items: 2, Oldest: at(19)})
	wantRow(t, "the debt of two", got[two], nil, store.OutboxDebt{Sender: two, Items: 1, Oldest: at(18)})
	if d, ok := got[none]; ok {
		t.Errorf("OwedBySender names one that owes nothing: %+v", d)
	}
}

func outboxYoungest(t *testing.T, st store.Store) {
	ctx, sender := t.Context(), unique("sender")
	var ids []uuid.UUID
	for n, c := range []struct {
		sender, key   string
		created, done int
	}{
		{sender, "a", 2, 0}, {sender, "a", 3, 0}, {sender, "a", 3, 0}, {sender, "a", 1, 0}, {sender, "a", 9, 10},
		{sender, "a", 0, 10}, {sender, "b", 8, 0}, {"x" + sender, "a", 8, 0}, {sender, "c", 1, 2},
	} {
		i := owedItem(c.sender)
		i.ID, i.Key, i.CreatedAt, i.NextAt = ordered(n), c.key, at(c.created), at(50)
		if c.done > 0 {
			i.DoneAt = at(c.done)
		}
		check(t, st.AddOutboxItem(ctx, i))
		ids = append(ids, i.ID)
	}
	got, err := st.YoungestOwed(ctx, sender, "a")
	wantRow(t, "YoungestOwed", got, err, store.OutboxItem{ID: ids[2], CreatedAt: at(3), NextAt: at(50)})
	for _, key := range []string{"c", "none"} {
		got, err = st.YoungestOwed(ctx, sender, key)
		wantMiss(t, "YoungestOwed", got, err)
	}

	ok, err := st.PostponeOutboxItem(ctx, ids[2], at(50), at(60))
	wantDone(t, "PostponeOutboxItem", ok, err, true)
	ok, err = st.PostponeOutboxItem(ctx, ids[2], at(50), at(70))
	wantDone(t, "PostponeOutboxItem from another time", ok, err, false)
	ok, err = st.PostponeOutboxItem(ctx, ids[4], at(50), at(60))
	wantDone(t, "PostponeOutboxItem of one that is done", ok, err, false)

	next := func(n, want int) {
		t.Helper()
		got, err := st.OutboxItem(ctx, ids[n])
		wantRow(t, "NextAt", got.NextAt, err, at(want))
	}
	check(t, st.ReleaseOutboxItem(ctx, sender, "a", at(20)))
	check(t, st.ReleaseOutboxItem(ctx, sender, "a", at(30))) // it is due before
	check(t, st.ReleaseOutboxItem(ctx, sender, "none", at(30)))
	for n, want := range []int{50, 50, 60, 20, 50, 50, 50, 50, 50} {
		next(n, want)
	}
}

// raceOutbox: of racing callers one leases an item, and again when the lease lapsed.
func raceOutbox(t *testing.T, st store.Store) {
	i := addOutboxItem(t, st)
	for round := range 3 {
		won := race(t, racers, func(ctx context.Context, n int) (bool, error) {
			return st.LeaseOutboxItem(ctx, i.ID, fmt.Sprint("worker", n), at(10*round), at(10*round+9))
		})
		got, err := st.OutboxItem(t.Context(), i.ID)
		if won != 1 || err != nil || got.Attempts != round+1 {
			t.Errorf("round %d: %d callers leased one item, %d attempts (%v)", round, won, got.Attempts, err)
		}
	}
}
