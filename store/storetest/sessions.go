package storetest

import (
	"context"
	"fmt"
	"testing"

	"github.com/google/uuid"

	"github.com/truekeel/auth/store"
)

func testSessions(t *testing.T, st store.Store) {
	each(t, st, []test{
		{"RoundTrip", sessionsRoundTrip},
		{"Of", sessionsOf},
		{"Update", sessionsUpdate},
		{"Delete", sessionsDelete},
		{"DeleteOf", sessionsDeleteOf},
	})
}

// newSession gives a session with every field set.
func newSession(userID uuid.UUID) store.Session {
	return store.Session{
		ID: uuid.New(), UserID: userID, Kind: "gotrue", AAL: "aal2",
		AMR: []store.AMR{
			{Method: "password", At: at(1)},
			{Method: "sso/saml", At: at(2), Provider: "okta"},
		},
		FactorID: uuid.New(), Tag: "kiosk", UserAgent: "Mozilla/5.0", IP: "2001:db8::1",
		RefreshKey: []byte{0, 1, 0xff, 0}, RefreshSeq: 1,
		NotAfter: at(9000), RefreshedAt: at(5), CreatedAt: at(0), UpdatedAt: at(5),
	}
}

// addSession stores a session of a new account.
func addSession(t *testing.T, st store.Store) store.Session {
	t.Helper()
	s := newSession(addUser(t, st).ID)
	check(t, st.CreateSession(t.Context(), s))
	return s
}

func sessionsRoundTrip(t *testing.T, st store.Store) {
	ctx := t.Context()
	u := addUser(t, st)
	full := newSession(u.ID)
	filled(t, full)
	bare := store.Session{ID: uuid.New(), UserID: u.ID, Kind: "keel", AAL: "aal1", CreatedAt: at(0), UpdatedAt: at(0)}
	far := newSession(u.ID)
	far.RefreshSeq = 1<<63 - 1
	for _, s := range []store.Session{full, bare, far} {
		check(t, st.CreateSession(ctx, s))
		got, err := st.Session(ctx, s.ID)
		wantRow(t, "Session", got, err, s)
	}
	wantErr(t, "the same id", st.CreateSession(ctx, full), store.ErrConflict)
	got, err := st.Session(ctx, uuid.New())
	wantMiss(t, "Session", got, err)
}

func sessionsOf(t *testing.T, st store.Store) {
	ctx := t.Context()
	u := addUser(t, st)
	got, err := st.SessionsOf(ctx, u.ID)
	wantCount(t, "SessionsOf of none", int64(len(got)), err, 0)
	var s [3]store.Session
	for i, minute := range []int{1, 2, 0} {
		s[i] = newSession(u.ID)
		s[i].CreatedAt = at(minute)
		check(t, st.CreateSession(ctx, s[i]))
	}
	addSession(t, st)
	got, err = st.SessionsOf(ctx, u.ID)
	wantRow(t, "SessionsOf, newest first", got, err, []store.Session{s[1], s[0], s[2]})
}

func sessionsUpdate(t *testing.T, st store.Store) {
	ctx := t.Context()
	s, other := addSession(t, st), addSession(t, st)

	all := newSession(uuid.New()) // what isn't to be written differs too
	all.ID, all.Kind, all.RefreshKey, all.CreatedAt = s.ID, "keel", []byte("other"), at(50)
	all.AAL, all.AMR, all.Tag, all.NotAfter = "aal1", []store.AMR{{Method: "otp", At: at(7)}}, "desk", at(8000)
	all.UserAgent, all.IP, all.RefreshSeq, all.RefreshedAt, all.UpdatedAt = "curl", "192.0.2.1", 4, at(20), at(21)

	ok, err := st.UpdateSession(ctx, all, 2)
	wantDone(t, "UpdateSession from another seq", ok, err, false)
	got, err := st.Session(ctx, s.ID)
	wantRow(t, "after a refused update", got, err, s)

	ok, err = st.UpdateSession(ctx, all, 1)
	wantDone(t, "UpdateSession", ok, err, true)
	want := all
	want.UserID, want.Kind, want.RefreshKey, want.CreatedAt = s.UserID, s.Kind, s.RefreshKey, s.CreatedAt
	got, err = st.Session(ctx, s.ID)
	wantRow(t, "after UpdateSession", got, err, want)

	ok, err = st.UpdateSession(ctx, all, 1)
	wantDone(t, "UpdateSession again from the seq before", ok, err, false)

	want.AMR, want.FactorID, want.Tag, want.UserAgent, want.IP = nil, uuid.Nil, "", "", ""
	want.NotAfter, want.RefreshedAt, want.UpdatedAt = zeroTime, zeroTime, at(30)
	ok, err = st.UpdateSession(ctx, want, 4)
	wantDone(t, "UpdateSession that keeps the seq", ok, err, true)
	got, err = st.Session(ctx, s.ID)
	wantRow(t, "after UpdateSession to zero values", got, err, want)

	ok, err = st.UpdateSession(ctx, newSession(s.UserID), 1)
	wantDone(t, "UpdateSession of none", ok, err, false)
	got, err = st.Session(ctx, other.ID)
	wantRow(t, "the other session", got, err, other)
}

func sessionsDelete(t *testing.T, st store.Store) {
	ctx := t.Context()
	s, other := addSession(t, st), addSession(t, st)
	r, kept := newRefreshToken(s), newRefreshToken(other)
	check(t, st.CreateRefreshToken(ctx, r))
	check(t, st.CreateRefreshToken(ctx, newRefreshToken(s)))
	check(t, st.CreateRefreshToken(ctx, kept))

	ok, err := st.DeleteSession(ctx, s.ID)
	wantDone(t, "DeleteSession", ok, err, true)
	ok, err = st.DeleteSession(ctx, s.ID)
	wantDone(t, "DeleteSession again", ok, err, false)
	got, err := st.Session(ctx, s.ID)
	wantMiss(t, "the session", got, err)
	gone, err := st.RefreshToken(ctx, r.Hash)
	wantMiss(t, "its refresh token", gone, err)
	there, err := st.RefreshToken(ctx, kept.Hash)
	wantRow(t, "another session's refresh token", there, err, kept)
	ok, err = st.UpdateSession(ctx, s, s.RefreshSeq)
	wantDone(t, "UpdateSession of an ended one", ok, err, false)
}

func sessionsDeleteOf(t *testing.T, st store.Store) {
	ctx := t.Context()
	stranger := addSession(t, st)
	first := addSession(t, st)
	second, third := newSession(first.UserID), newSession(first.UserID)
	check(t, st.CreateSession(ctx, second))
	check(t, st.CreateSession(ctx, third))
	var tokens []store.RefreshToken
	for _, s := range []store.Session{first, second, third, stranger} {
		r := newRefreshToken(s)
		check(t, st.CreateRefreshToken(ctx, r))
		tokens = append(tokens, r)
	}

	n, err := st.DeleteSessionsOf(ctx, first.UserID, second.ID)
	wantCount(t, "DeleteSessionsOf but one", n, err, 2)
	left, err := st.SessionsOf(ctx, first.UserID)
	wantRow(t, "what is left", left, err, []store.Session{second})
	for i, there := range []bool{false, true, false, true} {
		got, err := st.RefreshToken(ctx, tokens[i].Hash)
		if there {
			wantRow(t, "a refresh token left", got, err, tokens[i])
		} else {
			wantMiss(t, "an ended refresh token", got, err)
		}
	}
	n, err = st.DeleteSessionsOf(ctx, first.UserID, uuid.Nil)
	wantCount(t, "DeleteSessionsOf all", n, err, 1)
	n, err = st.DeleteSessionsOf(ctx, first.UserID, uuid.Nil)
	wantCount(t, "DeleteSessionsOf of none", n, err, 0)
	got, err := st.Session(ctx, stranger.ID)
	wantRow(t, "a stranger's session", got, err, stranger)
}

// raceSessions: of racing redeemers of one refresh token one rotates the session, of
// racing sign-outs one ends it.
func raceSessions(t *testing.T, st store.Store) {
	for _, inTx := range []bool{false, true} {
		s := addSession(t, st)
		rotate := func(ctx context.Context, st store.Store, i int) (bool, error) {
			next := s
			next.RefreshSeq, next.UserAgent = 2, fmt.Sprint(i)
			ok, err := st.UpdateSession(ctx, next, 1)
			if err != nil || !ok {
				return false, err
			}
			r := newRefreshToken(s)
			r.Seq = 2
			return true, st.CreateRefreshToken(ctx, r)
		}
		won := race(t, racers, func(ctx context.Context, i int) (ok bool, err error) {
			if !inTx {
				return rotate(ctx, st, i)
			}
			err = st.Tx(ctx, func(tx store.Store) error {
				ok, err = rotate(ctx, tx, i)
				return err
			})
			return ok && err == nil, err
		})
		if won != 1 {
			t.Errorf("in Tx %t: %d callers redeemed one refresh token", inTx, won)
		}
		won = race(t, racers, func(ctx context.Context, _ int) (bool, error) { return st.DeleteSession(ctx, s.ID) })
		if won != 1 {
			t.Errorf("%d callers ended one session", won)
		}
	}
}
