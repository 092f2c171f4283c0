package storetest

import (
	"context"
	"testing"

	"github.com/google/uuid"

	"github.com/truekeel/auth/store"
)

func testOneTimeTokens(t *testing.T, st store.Store) {
	each(t, st, []test{
		{"RoundTrip", onetimeRoundTrip},
		{"To", onetimeTo},
		{"Replace", onetimeReplace},
		{"Purposes", onetimePurposes},
		{"Attempts", onetimeAttempts},
		{"Take", onetimeTake},
	})
}

// newOneTimeToken gives a one-time token with every field set.
func newOneTimeToken(userID, flowID uuid.UUID) store.OneTimeToken {
	return store.OneTimeToken{
		ID: uuid.New(), UserID: userID, Purpose: store.PurposeRecovery, Recipient: "ann@example.com",
		LinkHash: hash(), CodeMAC: hash(), FlowStateID: flowID,
		Attempts: 2, ExpiresAt: at(60), CodeExpiresAt: at(10), CreatedAt: at(0),
	}
}

// addOneTimeToken stores a one-time token of a new account.
func addOneTimeToken(t *testing.T, st store.Store) store.OneTimeToken {
	t.Helper()
	o := newOneTimeToken(addUser(t, st).ID, uuid.Nil)
	o.Attempts = 0
	check(t, st.PutOneTimeToken(t.Context(), o))
	return o
}

func onetimeRoundTrip(t *testing.T, st store.Store) {
	ctx := t.Context()
	u := addUser(t, st)
	f := newFlowState(u.ID)
	check(t, st.CreateFlowState(ctx, f))
	full := newOneTimeToken(u.ID, f.ID)
	filled(t, full)
	check(t, st.PutOneTimeToken(ctx, full))
	got, err := st.OneTimeTokenByLink(ctx, full.LinkHash)
	wantRow(t, "OneTimeTokenByLink", got, err, full)
	got, err = st.OneTimeTokenOf(ctx, u.ID, full.Purpose)
	wantRow(t, "OneTimeTokenOf", got, err, full)

	for range 2 { // tokens without a link don't clash
		v := addUser(t, st)
		bare := store.OneTimeToken{ID: uuid.New(), UserID: v.ID, Purpose: store.PurposePhoneSignIn,
			Recipient: "4917012", CodeMAC: hash(), CreatedAt: at(0)}
		check(t, st.PutOneTimeToken(ctx, bare))
		got, err = st.OneTimeTokenOf(ctx, v.ID, bare.Purpose)
		wantRow(t, "a token without a link", got, err, bare)
	}
	got, err = st.OneTimeTokenByLink(ctx, "")
	wantMiss(t, "OneTimeTokenByLink of no link", got, err)
	got, err = st.OneTimeTokenByLink(ctx, hash())
	wantMiss(t, "OneTimeTokenByLink", got, err)
	got, err = st.OneTimeTokenOf(ctx, u.ID, store.PurposeInvite)
	wantMiss(t, "OneTimeTokenOf of another purpose", got, err)
	got, err = st.OneTimeTokenOf(ctx, uuid.New(), full.Purpose)
	wantMiss(t, "OneTimeTokenOf of nobody", got, err)
}

func onetimeTo(t *testing.T, st store.Store) {
	ctx := t.Context()
	recipient := unique("ann") + "@example.com"
	put := func(change func(*store.OneTimeToken)) store.OneTimeToken {
		o := newOneTimeToken(addUser(t, st).ID, uuid.Nil)
		o.Recipient = recipient
		change(&o)
		check(t, st.PutOneTimeToken(ctx, o))
		return o
	}
	got, err := st.OneTimeTokensTo(ctx, recipient, store.PurposeRecovery)
	wantCount(t, "OneTimeTokensTo of none", int64(len(got)), err, 0)

	older := put(func(o *store.OneTimeToken) { o.CreatedAt = at(1) })
	newer := put(func(o *store.OneTimeToken) { o.CreatedAt = at(2) })
	invite := put(func(o *store.OneTimeToken) { o.Purpose = store.PurposeInvite })
	put(func(o *store.OneTimeToken) { o.Recipient += " " })
	put(func(o *store.OneTimeToken) { o.Recipient = "A" + recipient[1:] })
	got, err = st.OneTimeTokensTo(ctx, recipient, store.PurposeRecovery)
	wantRow(t, "OneTimeTokensTo, newest first", got, err, []store.OneTimeToken{newer, older})
	got, err = st.OneTimeTokensTo(ctx, recipient, store.PurposeInvite)
	wantRow(t, "OneTimeTokensTo of another purpose", got, err, []store.OneTimeToken{invite})

	for i := range 10 {
		put(func(o *store.OneTimeToken) { o.CreatedAt = at(10 + i) })
	}
	got, err = st.OneTimeTokensTo(ctx, recipient, store.PurposeRecovery)
	wantCount(t, "OneTimeTokensTo of many", int64(len(got)), err, 10)
	if len(got) > 0 && !got[0].CreatedAt.Equal(at(19)) {
		t.Errorf("OneTimeTokensTo of many begins with %v", got[0].CreatedAt)
	}
}

func onetimeReplace(t *testing.T, st store.Store) {
	ctx := t.Context()
	first, other := addOneTimeToken(t, st), addOneTimeToken(t, st)
	second := newOneTimeToken(first.UserID, uuid.Nil)
	check(t, st.PutOneTimeToken(ctx, second))
	got, err := st.OneTimeTokenOf(ctx, first.UserID, first.Purpose)
	wantRow(t, "the token in place of the first", got, err, second)
	got, err = st.OneTimeTokenByLink(ctx, first.LinkHash)
	wantMiss(t, "the first token", got, err)
	ok, err := st.TakeOneTimeToken(ctx, first.ID)
	wantDone(t, "TakeOneTimeToken of the first", ok, err, false)

	third := second
	third.ID = uuid.New()
	check(t, st.PutOneTimeToken(ctx, third))
	got, err = st.OneTimeTokenByLink(ctx, third.LinkHash)
	wantRow(t, "a token put again under its hash", got, err, third)

	taken := newOneTimeToken(first.UserID, uuid.Nil)
	taken.LinkHash = other.LinkHash
	wantErr(t, "a taken link hash", st.PutOneTimeToken(ctx, taken), store.ErrConflict)
	got, err = st.OneTimeTokenOf(ctx, first.UserID, first.Purpose)
	wantRow(t, "the token that wasn't replaced", got, err, third)
	got, err = st.OneTimeTokenByLink(ctx, other.LinkHash)
	wantRow(t, "the other's token", got, err, other)
}

func onetimePurposes(t *testing.T, st store.Store) {
	ctx := t.Context()
	u, bystander := addUser(t, st), addOneTimeToken(t, st)
	purposes := []store.Purpose{
		store.PurposeConfirmation, store.PurposeInvite, store.PurposeRecovery, store.PurposeMagicLink,
		store.PurposeEmailChangeCurrent, store.PurposeEmailChangeNew, store.PurposeReauthentication,
		store.PurposePhoneConfirmation, store.PurposePhoneSignIn, store.PurposePhoneChange,
	}
	tokens := map[store.Purpose]store.OneTimeToken{}
	for _, p := range purposes {
		o := newOneTimeToken(u.ID, uuid.Nil)
		o.Purpose = p
		check(t, st.PutOneTimeToken(ctx, o))
		tokens[p] = o
	}
	wantLeft := func(gone ...store.Purpose) {
		t.Helper()
		for _, p := range purposes {
			got, err := st.OneTimeTokenOf(ctx, u.ID, p)
			deleted := false
			for _, g := range gone {
				deleted = deleted || g == p
			}
			if deleted {
				wantMiss(t, string(p), got, err)
			} else {
				wantRow(t, string(p), got, err, tokens[p])
			}
		}
	}
	wantLeft()
	check(t, st.DeleteOneTimeTokens(ctx, u.ID, store.PurposeInvite))
	wantLeft(store.PurposeInvite)
	check(t, st.DeleteOneTimeTokens(ctx, u.ID, store.PurposeInvite, store.PurposeRecovery, store.PurposePhoneChange))
	wantLeft(store.PurposeInvite, store.PurposeRecovery, store.PurposePhoneChange)
	check(t, st.DeleteOneTimeTokens(ctx, u.ID))
	wantLeft(purposes...)
	check(t, st.DeleteOneTimeTokens(ctx, u.ID))
	got, err := st.OneTimeTokenOf(ctx, bystander.UserID, bystander.Purpose)
	wantRow(t, "a bystander's token", got, err, bystander)
}

func onetimeAttempts(t *testing.T, st store.Store) {
	ctx := t.Context()
	o := addOneTimeToken(t, st)
	for i := range 4 {
		ok, err := st.CountAttempt(ctx, o.ID, 3)
		wantDone(t, "CountAttempt", ok, err, i < 3)
	}
	o.Attempts = 3
	got, err := st.OneTimeTokenOf(ctx, o.UserID, o.Purpose)
	wantRow(t, "a token guessed at", got, err, o)
	ok, err := st.CountAttempt(ctx, uuid.New(), 3)
	wantDone(t, "CountAttempt of none", ok, err, false)
}

func onetimeTake(t *testing.T, st store.Store) {
	ctx := t.Context()
	o, other := addOneTimeToken(t, st), addOneTimeToken(t, st)
	ok, err := st.TakeOneTimeToken(ctx, o.ID)
	wantDone(t, "TakeOneTimeToken", ok, err, true)
	ok, err = st.TakeOneTimeToken(ctx, o.ID)
	wantDone(t, "TakeOneTimeToken again", ok, err, false)
	got, err := st.OneTimeTokenByLink(ctx, o.LinkHash)
	wantMiss(t, "a taken token", got, err)
	got, err = st.OneTimeTokenByLink(ctx, other.LinkHash)
	wantRow(t, "the other token", got, err, other)
}

// raceOneTimeTokens: one of racing callers takes a token, no more than the limit guess
// at it, and however many put one there is one.
func raceOneTimeTokens(t *testing.T, st store.Store) {
	o := addOneTimeToken(t, st)
	won := race(t, 3*racers, func(ctx context.Context, _ int) (bool, error) { return st.CountAttempt(ctx, o.ID, 5) })
	if won != 5 {
		t.Errorf("%d callers guessed within a limit of 5", won)
	}
	won = race(t, racers, func(ctx context.Context, _ int) (ok bool, err error) {
		err = st.Tx(ctx, func(tx store.Store) error {
			if _, err := tx.OneTimeTokenByLink(ctx, o.LinkHash); err != nil {
				ok = false
				return ignore(err, store.ErrNotFound)
			}
			ok, err = tx.TakeOneTimeToken(ctx, o.ID)
			return err
		})
		return ok && err == nil, err
	})
	if won != 1 {
		t.Errorf("%d callers took one token", won)
	}

	u := addUser(t, st)
	won = raceErr(t, racers, store.ErrConflict, func(ctx context.Context, _ int) error {
		return st.PutOneTimeToken(ctx, newOneTimeToken(u.ID, uuid.Nil))
	})
	if won < 1 {
		t.Error("none of the callers that put a token succeeded")
	}
	got, err := st.OneTimeTokenOf(t.Context(), u.ID, store.PurposeRecovery)
	check(t, err)
	ok, err := st.TakeOneTimeToken(t.Context(), got.ID)
	wantDone(t, "TakeOneTimeToken of the one put last", ok, err, true)
	got, err = st.OneTimeTokenOf(t.Context(), u.ID, store.PurposeRecovery)
	wantMiss(t, "a second token of one purpose", got, err)
}
