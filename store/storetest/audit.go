package storetest

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/truekeel/auth/store"
)

func testAuditLog(t *testing.T, st store.Store) {
	each(t, st, []test{
		{"RoundTrip", auditRoundTrip},
		{"Select", auditSelect},
		{"Pages", auditPages},
	})
}

// newAuditEntry gives an audit entry with every field set.
func newAuditEntry(action string) store.AuditEntry {
	return store.AuditEntry{
		ID: uuid.New(), Action: action, LogType: "account", ActorID: uuid.New(),
		ActorUsername: "ann@example.com", ActorName: "Ann", ActorViaSSO: true,
		Traits: store.MakeObject(map[string]any{"provider": "email"}),
		IP:     "192.0.2.1", UserAgent: "curl/8", RequestID: "req-1", CreatedAt: at(0),
	}
}

func auditRoundTrip(t *testing.T, st store.Store) {
	ctx := t.Context()
	full := newAuditEntry(unique("login"))
	filled(t, full)
	bare := store.AuditEntry{ID: uuid.New(), Action: unique("logout"), LogType: "token", CreatedAt: at(0)}
	for _, e := range []store.AuditEntry{full, bare} {
		check(t, st.AddAuditEntry(ctx, e))
		got, err := st.ListAuditEntries(ctx, store.AuditQuery{Action: e.Action})
		wantRow(t, "ListAuditEntries", got, err, []store.AuditEntry{e})
	}
	got, err := st.ListAuditEntries(ctx, store.AuditQuery{Action: unique("nothing")})
	wantCount(t, "ListAuditEntries of nothing", int64(len(got)), err, 0)
	n, err := st.CountAuditEntries(ctx, store.AuditQuery{Action: unique("nothing")})
	wantCount(t, "CountAuditEntries of nothing", n, err, 0)
}

func auditSelect(t *testing.T, st store.Store) {
	ctx := t.Context()
	// Texts that no other test's entries hold, in both cases.
	mark := strings.ReplaceAll(uuid.NewString(), "-", "")
	upper := strings.ToUpper(mark)
	one, two, three := newAuditEntry("Login"+mark), newAuditEntry("logout"+mark), newAuditEntry("50%_x"+mark)
	one.ActorUsername, one.ActorName, one.CreatedAt = "Ann."+mark+"@Example.com", "Bee", at(1)
	two.ActorUsername, two.ActorName, two.CreatedAt = "bob", "Bob "+upper, at(3)
	three.ActorUsername, three.ActorName, three.LogType, three.CreatedAt = "", "", "Team"+mark, at(2)
	for _, e := range []store.AuditEntry{one, two, three} {
		check(t, st.AddAuditEntry(ctx, e))
	}
	for _, c := range []struct {
		name string
		q    store.AuditQuery
		want []store.AuditEntry
	}{
		{"author", store.AuditQuery{Author: mark}, []store.AuditEntry{two, one}},
		{"author in capitals", store.AuditQuery{Author: upper}, []store.AuditEntry{two, one}},
		{"user name", store.AuditQuery{Author: "ANN." + mark + "@"}, []store.AuditEntry{one}},
		{"action", store.AuditQuery{Action: mark}, []store.AuditEntry{two, three, one}},
		{"action in capitals", store.AuditQuery{Action: "LOG", Author: mark}, []store.AuditEntry{two, one}},
		{"action with a wildcard's letters", store.AuditQuery{Action: "%_x" + mark}, []store.AuditEntry{three}},
		{"log type", store.AuditQuery{LogType: "team" + upper}, []store.AuditEntry{three}},
		{"actor", store.AuditQuery{ActorID: two.ActorID}, []store.AuditEntry{two}},
		{"actor and action", store.AuditQuery{ActorID: two.ActorID, Action: "login"}, nil},
		{"all", store.AuditQuery{ActorID: one.ActorID, Action: "ogin", LogType: "ACC", Author: "bee"}, []store.AuditEntry{one}},
		{"a stranger", store.AuditQuery{ActorID: uuid.New()}, nil},
	} {
		got, err := st.ListAuditEntries(ctx, c.q)
		wantRow(t, c.name, got, err, c.want)
		n, err := st.CountAuditEntries(ctx, c.q)
		wantCount(t, "count by "+c.name, n, err, int64(len(c.want)))
	}
}

func auditPages(t *testing.T, st store.Store) {
	ctx := t.Context()
	actor, action := uuid.New(), unique("page")
	const entries = 1010
	check(t, st.Tx(ctx, func(tx store.Store) error {
		for i := range entries {
			e := newAuditEntry(action)
			e.ActorID, e.CreatedAt = actor, at(i/2) // two at a time, so that the order needs more than the time
			if err := tx.AddAuditEntry(ctx, e); err != nil {
				return err
			}
		}
		return nil
	}))
	q := store.AuditQuery{ActorID: actor}
	for limit, want := range map[int]int64{0: 50, 1: 1, 1000: 1000, 5000: 1000} {
		q.Limit = limit
		got, err := st.ListAuditEntries(ctx, q)
		wantCount(t, fmt.Sprintf("ListAuditEntries with limit %d", limit), int64(len(got)), err, want)
		n, err := st.CountAuditEntries(ctx, q)
		wantCount(t, "CountAuditEntries", n, err, entries)
	}

	seen, last := map[uuid.UUID]bool{}, at(entries)
	for q.Offset, q.Limit = 0, 333; ; q.Offset += q.Limit {
		page, err := st.ListAuditEntries(ctx, q)
		check(t, err)
		for _, e := range page {
			if seen[e.ID] {
				t.Fatal("an entry is on two pages")
			}
			if e.CreatedAt.After(last) {
				t.Fatal("the pages aren't newest first")
			}
			seen[e.ID], last = true, e.CreatedAt
		}
		if len(page) == 0 {
			break
		}
	}
	if len(seen) != entries {
		t.Errorf("the pages hold %d of %d entries", len(seen), entries)
	}
}
