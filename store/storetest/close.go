package storetest

import (
	"testing"

	"github.com/truekeel/auth/store"
)

// testClose closes the store, while it is used and after.
func testClose(t *testing.T, st store.Store) {
	ctx := t.Context()
	u := addUser(t, st)
	users := make([]store.User, racers)
	errs := make([]error, racers)
	together(racers+1, func(i int) {
		if i == racers {
			wantNil(t, "Close", st.Close())
			return
		}
		users[i] = plainUser(unique("aud"))
		errs[i] = st.CreateUser(ctx, users[i])
	})
	for i, err := range errs {
		if err != nil {
			wantErr(t, "a call in flight", errs[i], store.ErrUnavailable)
		}
	}
	wantNil(t, "Close again", st.Close())
	_, err := st.User(ctx, u.ID)
	wantErr(t, "User after Close", err, store.ErrUnavailable)
	wantErr(t, "CreateUser after Close", st.CreateUser(ctx, plainUser(unique("aud"))), store.ErrUnavailable)
	ran := false
	err = st.Tx(ctx, func(store.Store) error { ran = true; return nil })
	wantErr(t, "Tx after Close", err, store.ErrUnavailable)
	wantErr(t, "Ping after Close", st.Ping(ctx), store.ErrUnavailable)
	if ran {
		t.Error("a function ran after Close")
	}
}
