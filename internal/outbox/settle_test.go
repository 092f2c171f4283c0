package outbox

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/truekeel/auth/store"
)

func synchronous(c *Config) { c.Sync = true }

func TestSyncDelivers(t *testing.T) {
	b := newBench(t, synchronous)
	id := b.putMail()
	require.NoError(t, b.Flush(t.Context()))
	assert.Zero(t, b.attempts(), "it is the caller's")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.NoError(t, b.Settle(ctx, id), "a client that went away doesn't cut it short")
	assert.Equal(t, 1, b.attempts())
	row := b.row(id)
	assert.False(t, row.DoneAt.IsZero())
	assert.Empty(t, row.Body)
	assert.Equal(t, []Outcome{Delivered}, b.outcomes())
	require.NoError(t, b.Settle(t.Context(), id))
	assert.Equal(t, 1, b.attempts())
}

func TestSyncFails(t *testing.T) {
	b := newBench(t, synchronous)
	refused := errors.New("refused " + secretText)
	b.answer = func(d Delivery) error {
		if string(d.Payload) == "2" {
			return refused
		}
		return nil
	}
	ids := b.put(
		Item{Kind: "mail", Payload: 1}, Item{Kind: "mail", Payload: 2}, Item{Kind: "mail", Payload: 3},
		Item{Kind: "mail", Payload: 4, Background: true})
	require.ErrorIs(t, b.Settle(t.Context(), ids...), refused)
	assert.Equal(t, []string{"1", "2"}, b.payloads())
	assert.False(t, b.row(ids[0]).DoneAt.IsZero())
	for _, id := range ids[1:3] {
		_, err := b.store.OutboxItem(t.Context(), id)
		require.ErrorIs(t, err, store.ErrNotFound, "it has left the outbox")
	}
	assert.Equal(t, []Outcome{Delivered, Removed}, b.outcomes())
	assert.Contains(t, b.log.String(), "class=failed")
	assert.NotContains(t, b.log.String(), "ada@")

	require.NoError(t, b.Flush(t.Context()))
	assert.Equal(t, []string{"1", "2", "4"}, b.payloads(), "the background item is the worker's")
}

func TestSyncPanicIsAFailure(t *testing.T) {
	b := newBench(t, synchronous)
	b.answer = func(Delivery) error { panic("x") }
	id := b.putMail()
	require.ErrorIs(t, b.Settle(t.Context(), id), errPanicked)
	_, err := b.store.OutboxItem(t.Context(), id)
	require.ErrorIs(t, err, store.ErrNotFound)
}

// What a process left behind between commit and delivery is the worker's after a while.
func TestSyncLeftBehind(t *testing.T) {
	b := newBench(t, synchronous)
	b.putMail()
	b.clock.turn(DefaultLease)
	require.NoError(t, b.Flush(t.Context()))
	assert.Equal(t, 1, b.attempts())
}

func TestSyncAfterClose(t *testing.T) {
	b := newBench(t, synchronous)
	id := b.putMail()
	require.NoError(t, b.Close(t.Context()))
	require.ErrorIs(t, b.Settle(t.Context(), id), ErrClosed)
}

func TestAsyncSettleTellsNothing(t *testing.T) {
	b := newBench(t, nil)
	b.answer = func(Delivery) error { return errors.New("down") }
	id := b.putMail()
	require.NoError(t, b.Settle(t.Context(), id))
	assert.Zero(t, b.attempts())
}
