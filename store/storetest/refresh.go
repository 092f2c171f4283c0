package storetest

import (
	"context"
	"testing"

	"github.com/truekeel/auth/store"
)

func testRefreshTokens(t *testing.T, st store.Store) {
	ctx := t.Context()
	s := addSession(t, st)
	full := newRefreshToken(s)
	filled(t, full)
	bare := newRefreshToken(s)
	bare.Seq, bare.ExpiresAt = 0, zeroTime
	for _, r := range []store.RefreshToken{full, bare} {
		check(t, st.CreateRefreshToken(ctx, r))
		got, err := st.RefreshToken(ctx, r.Hash)
		wantRow(t, "RefreshToken", got, err, r)
	}
	same := newRefreshToken(addSession(t, st))
	same.Hash = full.Hash
	wantErr(t, "the same hash", st.CreateRefreshToken(ctx, same), store.ErrConflict)
	got, err := st.RefreshToken(ctx, full.Hash)
	wantRow(t, "after a conflict", got, err, full)
	got, err = st.RefreshToken(ctx, hash())
	wantMiss(t, "RefreshToken", got, err)
	got, err = st.RefreshToken(ctx, "")
	wantMiss(t, "RefreshToken of nothing", got, err)

	ok, err := st.DeleteRefreshToken(ctx, full.Hash)
	wantDone(t, "DeleteRefreshToken", ok, err, true)
	ok, err = st.DeleteRefreshToken(ctx, full.Hash)
	wantDone(t, "DeleteRefreshToken again", ok, err, false)
	got, err = st.RefreshToken(ctx, bare.Hash)
	wantRow(t, "the other token", got, err, bare)
	session, err := st.Session(ctx, s.ID)
	wantRow(t, "the session of a deleted token", session, err, s)
}

// newRefreshToken gives a refresh token with every field set.
func newRefreshToken(s store.Session) store.RefreshToken {
	return store.RefreshToken{
		Hash: hash(), SessionID: s.ID, UserID: s.UserID, Seq: 1, ExpiresAt: at(600), CreatedAt: at(0),
	}
}

func raceRefreshTokens(t *testing.T, st store.Store) {
	s := addSession(t, st)
	r := newRefreshToken(s)
	won := raceErr(t, racers, store.ErrConflict, func(ctx context.Context, _ int) error {
		return st.CreateRefreshToken(ctx, r)
	})
	if won != 1 {
		t.Errorf("%d callers created one refresh token", won)
	}
	won = race(t, racers, func(ctx context.Context, _ int) (bool, error) { return st.DeleteRefreshToken(ctx, r.Hash) })
	if won != 1 {
		t.Errorf("%d callers deleted one refresh token", won)
	}
}
