package storetest

import (
	"context"
	"fmt"
	"testing"

	"github.com/google/uuid"

	"github.com/truekeel/auth/store"
)

func testFlowStates(t *testing.T, st store.Store) {
	each(t, st, []test{
		{"RoundTrip", flowsRoundTrip},
		{"Unique", flowsUnique},
		{"IssueCode", flowsIssueCode},
		{"Take", flowsTake},
		{"DeleteCodesOf", flowsDeleteCodes},
	})
}

// newFlowState gives a flow state with every field set.
func newFlowState(userID uuid.UUID) store.FlowState {
	return store.FlowState{
		ID: uuid.New(), UserID: userID, Method: "oauth", Provider: "google", StateHash: hash(),
		Challenge: "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM", ChallengeMethod: "s256",
		CodeHash: hash(), CodeIssuedAt: at(1), RedirectTo: "https://app.example.com/after?x=1",
		Data:      store.MakeObject(map[string]any{"nonce": "n"}),
		CreatedAt: at(0), ExpiresAt: at(10),
	}
}

// addFlowState stores a flow state without user and code.
func addFlowState(t *testing.T, st store.Store) store.FlowState {
	t.Helper()
	f := newFlowState(uuid.Nil)
	f.CodeHash, f.CodeIssuedAt = "", zeroTime
	check(t, st.CreateFlowState(t.Context(), f))
	return f
}

func flowsRoundTrip(t *testing.T, st store.Store) {
	ctx := t.Context()
	full := newFlowState(addUser(t, st).ID)
	filled(t, full)
	check(t, st.CreateFlowState(ctx, full))
	got, err := st.FlowState(ctx, full.ID)
	wantRow(t, "FlowState", got, err, full)
	got, err = st.FlowStateByState(ctx, full.StateHash)
	wantRow(t, "FlowStateByState", got, err, full)
	got, err = st.FlowStateByCode(ctx, full.CodeHash)
	wantRow(t, "FlowStateByCode", got, err, full)

	for range 2 { // flows without hashes don't clash
		bare := store.FlowState{ID: uuid.New(), Method: "magiclink", Provider: "email", CreatedAt: at(0), ExpiresAt: at(1)}
		check(t, st.CreateFlowState(ctx, bare))
		got, err = st.FlowState(ctx, bare.ID)
		wantRow(t, "a flow without hashes", got, err, bare)
	}
	for _, h := range []string{"", hash(), full.ID.String()} {
		got, err = st.FlowStateByState(ctx, h)
		wantMiss(t, fmt.Sprintf("FlowStateByState of %q", h), got, err)
		got, err = st.FlowStateByCode(ctx, h)
		wantMiss(t, fmt.Sprintf("FlowStateByCode of %q", h), got, err)
	}
	got, err = st.FlowStateByCode(ctx, full.StateHash)
	wantMiss(t, "a state as a code", got, err)
	got, err = st.FlowState(ctx, uuid.New())
	wantMiss(t, "FlowState", got, err)
}

func flowsUnique(t *testing.T, st store.Store) {
	ctx := t.Context()
	f := newFlowState(addUser(t, st).ID)
	check(t, st.CreateFlowState(ctx, f))
	same := newFlowState(f.UserID)
	same.ID = f.ID
	wantErr(t, "the same id", st.CreateFlowState(ctx, same), store.ErrConflict)
	same = newFlowState(f.UserID)
	same.StateHash = f.StateHash
	wantErr(t, "the same state", st.CreateFlowState(ctx, same), store.ErrConflict)
	same = newFlowState(f.UserID)
	same.CodeHash = f.CodeHash
	wantErr(t, "the same code", st.CreateFlowState(ctx, same), store.ErrConflict)
	got, err := st.FlowState(ctx, f.ID)
	wantRow(t, "after the conflicts", got, err, f)
}

func flowsIssueCode(t *testing.T, st store.Store) {
	ctx := t.Context()
	f, other := addFlowState(t, st), addFlowState(t, st)
	issued := newFlowState(addUser(t, st).ID) // what isn't to be written differs too
	issued.ID, issued.Method, issued.Provider, issued.RedirectTo = f.ID, "x", "x", "x"
	issued.Challenge, issued.ChallengeMethod, issued.CreatedAt = "x", "plain", at(50)
	issued.ExpiresAt, issued.Data = at(20), store.MakeObject(map[string]any{"token": "t"})
	ok, err := st.IssueCode(ctx, issued)
	wantDone(t, "IssueCode", ok, err, true)
	want := f
	want.UserID, want.CodeHash, want.CodeIssuedAt, want.ExpiresAt, want.Data =
		issued.UserID, issued.CodeHash, issued.CodeIssuedAt, issued.ExpiresAt, issued.Data
	got, err := st.FlowStateByCode(ctx, want.CodeHash)
	wantRow(t, "after IssueCode", got, err, want)

	again := issued
	again.CodeHash = hash()
	ok, err = st.IssueCode(ctx, again)
	wantDone(t, "IssueCode again", ok, err, false)
	got, err = st.FlowStateByState(ctx, f.StateHash)
	wantRow(t, "after IssueCode again", got, err, want)
	ok, err = st.IssueCode(ctx, newFlowState(issued.UserID))
	wantDone(t, "IssueCode of none", ok, err, false)
	got, err = st.FlowState(ctx, other.ID)
	wantRow(t, "the other flow", got, err, other)
}

func flowsTake(t *testing.T, st store.Store) {
	ctx := t.Context()
	f, other := addFlowState(t, st), addFlowState(t, st)
	ok, err := st.TakeFlowState(ctx, f.ID)
	wantDone(t, "TakeFlowState", ok, err, true)
	ok, err = st.TakeFlowState(ctx, f.ID)
	wantDone(t, "TakeFlowState again", ok, err, false)
	got, err := st.FlowStateByState(ctx, f.StateHash)
	wantMiss(t, "a taken flow", got, err)
	ok, err = st.IssueCode(ctx, newFlowStateOf(f.ID))
	wantDone(t, "IssueCode of a taken flow", ok, err, false)
	got, err = st.FlowState(ctx, other.ID)
	wantRow(t, "the other flow", got, err, other)
}

func flowsDeleteCodes(t *testing.T, st store.Store) {
	ctx := t.Context()
	u, other := addUser(t, st), addUser(t, st)
	gone, waiting, others := newFlowState(u.ID), newFlowState(u.ID), newFlowState(other.ID)
	waiting.CodeHash, waiting.CodeIssuedAt = "", zeroTime
	for _, f := range []store.FlowState{gone, waiting, others} {
		check(t, st.CreateFlowState(ctx, f))
	}
	check(t, st.DeleteCodesOf(ctx, u.ID))
	got, err := st.FlowStateByCode(ctx, gone.CodeHash)
	wantMiss(t, "a flow whose code was issued", got, err)
	got, err = st.FlowState(ctx, waiting.ID)
	wantRow(t, "a flow whose code wasn't issued", got, err, waiting)
	got, err = st.FlowStateByCode(ctx, others.CodeHash)
	wantRow(t, "another user's flow", got, err, others)
	check(t, st.DeleteCodesOf(ctx, u.ID))
}

func newFlowStateOf(id uuid.UUID) store.FlowState {
	f := newFlowState(uuid.Nil)
	f.ID = id
	return f
}

// raceFlowStates: of racing callers one issues the code, one redeems it.
func raceFlowStates(t *testing.T, st store.Store) {
	f := addFlowState(t, st)
	won := race(t, racers, func(ctx context.Context, _ int) (bool, error) {
		return st.IssueCode(ctx, newFlowStateOf(f.ID))
	})
	if won != 1 {
		t.Errorf("%d callers issued the code of one flow", won)
	}
	got, err := st.FlowState(t.Context(), f.ID)
	check(t, err)
	won = race(t, racers, func(ctx context.Context, _ int) (ok bool, err error) {
		err = st.Tx(ctx, func(tx store.Store) error {
			ok = false
			f, err := tx.FlowStateByCode(ctx, got.CodeHash)
			if err != nil {
				return ignore(err, store.ErrNotFound)
			}
			ok, err = tx.TakeFlowState(ctx, f.ID)
			return err
		})
		return ok && err == nil, err
	})
	if won != 1 {
		t.Errorf("%d callers redeemed one flow code", won)
	}
}
