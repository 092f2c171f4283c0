package storetest

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/truekeel/auth/store"
)

func testSettings(t *testing.T, st store.Store) {
	ctx := t.Context()
	name := unique("setting")
	got, err := st.Setting(ctx, name)
	wantMiss(t, "Setting", got, err)
	for _, value := range [][]byte{[]byte("one"), {0, 0xff, '\'', '\\', 0}, {0, 0xff, '\'', '\\', 0}, {}, []byte("two")} {
		check(t, st.PutSetting(ctx, name, value))
		got, err = st.Setting(ctx, name)
		wantRow(t, "Setting", got, err, value)
	}
	got, err = st.SettleSetting(ctx, name, []byte("three"))
	wantRow(t, "SettleSetting of one that is there", got, err, []byte("two"))

	name = unique("setting")
	got, err = st.SettleSetting(ctx, name, []byte{0, 1})
	wantRow(t, "SettleSetting", got, err, []byte{0, 1})
	got, err = st.Setting(ctx, name)
	wantRow(t, "what SettleSetting stored", got, err, []byte{0, 1})

	check(t, st.PutSetting(ctx, name, nil))
	got, err = st.SettleSetting(ctx, name, []byte("x"))
	wantRow(t, "SettleSetting of an empty one", got, err, []byte{})
	got, err = st.Setting(ctx, unique("setting"))
	wantMiss(t, "another Setting", got, err)
}

// raceSettings: all racing callers get the same value, which is one of theirs.
func raceSettings(t *testing.T, st store.Store) {
	for _, inTx := range []bool{false, true} {
		name := unique("setting")
		var mu sync.Mutex
		var first []byte
		race(t, racers, func(ctx context.Context, i int) (bool, error) {
			var got []byte
			settle := func(st store.Store) (err error) {
				got, err = st.SettleSetting(ctx, name, fmt.Append(nil, "value", i))
				return err
			}
			var err error
			if inTx {
				err = st.Tx(ctx, settle)
			} else {
				err = settle(st)
			}
			if err != nil {
				return false, err
			}
			mu.Lock()
			defer mu.Unlock()
			if first == nil {
				first = got
			}
			if !bytes.Equal(got, first) {
				return false, fmt.Errorf("got %q, another %q", got, first)
			}
			return true, nil
		})
		got, err := st.Setting(t.Context(), name)
		wantRow(t, "the settled value", got, err, first)
		if !bytes.HasPrefix(got, []byte("value")) {
			t.Errorf("settled %q, which is nobody's", got)
		}
		race(t, racers, func(ctx context.Context, i int) (bool, error) {
			return true, st.PutSetting(ctx, name+"put", fmt.Append(nil, "value", i))
		})
	}
}
