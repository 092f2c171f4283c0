package storetest

import (
	"context"
	"testing"

	"github.com/google/uuid"

	"github.com/truekeel/auth/store"
)

func testEvents(t *testing.T, st store.Store) {
	each(t, st, []test{
		{"RoundTrip", eventRoundTrip},
		{"Note", eventNote},
		{"Reopen", eventReopen},
		{"Select", eventSelect},
	})
}

// newEventDelivery gives a delivery with every field set.
func newEventDelivery(endpoint string) store.EventDelivery {
	return store.EventDelivery{
		ID: uuid.New(), Endpoint: endpoint, Type: "user.created", UserID: uuid.New(), Body: []byte{0, 0xff, '\'', 0},
		State: store.EventGivenUp, Attempts: 3, LastStatus: 503, LastError: "status", LastAt: at(2),
		CreatedAt: at(0), DoneAt: at(4),
	}
}

// pendingEvent gives a delivery that nobody has attempted.
func pendingEvent(endpoint string) store.EventDelivery {
	return store.EventDelivery{
		ID: uuid.New(), Endpoint: endpoint, Type: "user.created", UserID: uuid.New(), Body: []byte("sealed"),
		State: store.EventPending, CreatedAt: at(0),
	}
}

func eventRoundTrip(t *testing.T, st store.Store) {
	ctx := t.Context()
	full, bare := newEventDelivery(unique("endpoint")), pendingEvent(unique("endpoint"))
	filled(t, full)
	for _, d := range []store.EventDelivery{full, bare} {
		check(t, st.AddEventDelivery(ctx, d))
		got, err := st.EventDelivery(ctx, d.ID)
		wantRow(t, "EventDelivery", got, err, d)
		err = st.AddEventDelivery(ctx, d)
		wantErr(t, "AddEventDelivery again", err, store.ErrConflict)
	}
	got, err := st.EventDelivery(ctx, uuid.New())
	wantMiss(t, "EventDelivery", got, err)
}

func eventNote(t *testing.T, st store.Store) {
	ctx := t.Context()
	d, other := pendingEvent(unique("endpoint")), pendingEvent(unique("endpoint"))
	check(t, st.AddEventDelivery(ctx, d))
	check(t, st.AddEventDelivery(ctx, other))
	noted := newEventDelivery("x") // what isn't to be written differs too
	noted.ID = d.ID
	check(t, st.NoteEventAttempt(ctx, noted))
	check(t, st.NoteEventAttempt(ctx, noted)) // that nothing changes is no error
	d.State, d.Attempts, d.LastStatus, d.LastError, d.LastAt, d.DoneAt = noted.State, 3, 503, "status", at(2), at(4)
	got, err := st.EventDelivery(ctx, d.ID)
	wantRow(t, "a delivery with a note", got, err, d)
	noted.ID = uuid.New()
	check(t, st.NoteEventAttempt(ctx, noted)) // it is gone
	got, err = st.EventDelivery(ctx, other.ID)
	wantRow(t, "the other delivery", got, err, other)
}

func eventReopen(t *testing.T, st store.Store) {
	ctx := t.Context()
	d, other := newEventDelivery(unique("endpoint")), newEventDelivery(unique("endpoint"))
	check(t, st.AddEventDelivery(ctx, d))
	check(t, st.AddEventDelivery(ctx, other))
	ok, err := st.ReopenEventDelivery(ctx, d.ID)
	wantDone(t, "ReopenEventDelivery", ok, err, true)
	d.State, d.DoneAt = store.EventPending, zeroTime
	got, err := st.EventDelivery(ctx, d.ID)
	wantRow(t, "a reopened delivery", got, err, d)
	ok, err = st.ReopenEventDelivery(ctx, d.ID)
	wantDone(t, "ReopenEventDelivery of a pending one", ok, err, false)
	ok, err = st.ReopenEventDelivery(ctx, uuid.New())
	wantDone(t, "ReopenEventDelivery of none", ok, err, false)
	got, err = st.EventDelivery(ctx, other.ID)
	wantRow(t, "the other delivery", got, err, other)
}

func eventSelect(t *testing.T, st store.Store) {
	ctx := t.Context()
	endpoint, user := unique("endpoint"), uuid.New()
	var rows []store.EventDelivery
	for n := range 5 {
		d := newEventDelivery(endpoint)
		d.ID = ordered(n)
		check(t, st.AddEventDelivery(ctx, d))
		rows = append(rows, d)
	}
	one := pendingEvent(endpoint)
	one.ID, one.UserID, one.Type = ordered(5), user, "user.deleted"
	check(t, st.AddEventDelivery(ctx, one))
	check(t, st.AddEventDelivery(ctx, newEventDelivery("x"+endpoint)))
	for i := range rows {
		rows[i].Body = nil
	}
	one.Body = nil

	want := func(what string, q store.EventQuery, want ...store.EventDelivery) {
		t.Helper()
		got, err := st.ListEventDeliveries(ctx, q)
		if len(got)+len(want) > 0 || err != nil {
			wantRow(t, what, got, err, want)
		}
	}
	want("all of an endpoint", store.EventQuery{Endpoint: endpoint}, one, rows[4], rows[3], rows[2], rows[1], rows[0])
	want("a page", store.EventQuery{Endpoint: endpoint, Limit: 2}, one, rows[4])
	want("the next page", store.EventQuery{Endpoint: endpoint, Limit: 2, After: rows[4].ID}, rows[3], rows[2])
	want("the end", store.EventQuery{Endpoint: endpoint, After: rows[0].ID})
	want("what is owed", store.EventQuery{Endpoint: endpoint, State: store.EventPending}, one)
	want("what was given up", store.EventQuery{Endpoint: endpoint, State: store.EventGivenUp, Limit: 1}, rows[4])
	want("of a type", store.EventQuery{Endpoint: endpoint, Type: "user.deleted"}, one)
	want("of a user", store.EventQuery{UserID: user}, one)
	want("of another user", store.EventQuery{UserID: rows[0].UserID, Endpoint: endpoint}, rows[0])
	want("of nobody", store.EventQuery{UserID: uuid.New()})
	want("of an unknown state", store.EventQuery{Endpoint: endpoint, State: "odd"})
}

// raceEvents: of racing callers one reopens a delivery.
func raceEvents(t *testing.T, st store.Store) {
	d := newEventDelivery(unique("endpoint"))
	check(t, st.AddEventDelivery(t.Context(), d))
	won := race(t, racers, func(ctx context.Context, _ int) (bool, error) {
		return st.ReopenEventDelivery(ctx, d.ID)
	})
	if won != 1 {
		t.Errorf("%d callers reopened one delivery", won)
	}
}
