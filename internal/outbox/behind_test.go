package outbox

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/truekeel/auth/store"
)

// behind lets a bench put items behind each other, and note how attempts end.
func behind(t *testing.T, ended *[]Attempt) *bench {
	t.Helper()
	return newBench(t, func(c *Config) {
		c.Behind = true
		c.Settle = func(ctx context.Context, a Attempt, write func(store.Outbox) (bool, error)) (ok bool, err error) {
			err = c.Store.(store.Store).Tx(ctx, func(tx store.Store) error {
				ok, err = write(tx)
				return err
			})
			if ended != nil {
				*ended = append(*ended, a)
			}
			return ok, err
		}
	})
}

// What waits behind another isn't due, whatever the clocks say, and is when the one in
// front is done.
func TestBehind(t *testing.T) {
	b := behind(t, nil)
	fails := true
	b.answer = func(d Delivery) error {
		if fails {
			return errors.New("not now")
		}
		return nil
	}
	first := b.put(Item{Kind: "mail", Key: "k", Payload: 1})[0]
	b.clock.turn(-time.Hour) // another process, whose clock is behind
	rest := b.put(Item{Kind: "mail", Key: "k", Payload: 2}, Item{Kind: "mail", Key: "k", Payload: 3}, Item{Kind: "mail", Key: "other", Payload: 4})
	b.clock.turn(time.Hour)
	for n, id := range rest[:2] {
		row := b.row(id)
		assert.True(t, row.CreatedAt.After(b.row(first).CreatedAt), n)
		assert.Equal(t, 9999, row.NextAt.Add(time.Hour).Year(), "it waits for the one in front")
	}
	require.Error(t, b.Flush(t.Context()))
	assert.ElementsMatch(t, []string{"1", "4"}, b.payloads())
	fails = false
	b.clock.turn(time.Hour)
	require.NoError(t, b.Flush(t.Context()))
	assert.Equal(t, []string{"1", "2", "3"}, withoutOther(b.payloads()[2:]))
}

func withoutOther(list []string) (out []string) {
	for _, s := range list {
		if s != "4" {
			out = append(out, s)
		}
	}
	return out
}

// A handler may say when to come back; what it leaves reaches Settle.
func TestLater(t *testing.T) {
	var ended []Attempt
	b := behind(t, &ended)
	b.answer = func(d Delivery) error {
		*d.Status = 503
		return Later(errors.New("not now"), 20*time.Minute)
	}
	id := b.putMail()
	require.Error(t, b.Flush(t.Context()))
	assert.Equal(t, b.clock.Now().Add(20*time.Minute), b.row(id).NextAt)
	require.Len(t, ended, 1)
	assert.Equal(t, 503, ended[0].Status)
	assert.Equal(t, Retried, ended[0].Outcome)
	require.Error(t, ended[0].Err)
	assert.NotEmpty(t, ended[0].Payload)
	b.answer = func(Delivery) error { return Later(errors.New("not now"), time.Second) }
	b.clock.turn(20 * time.Minute)
	require.Error(t, b.Flush(t.Context()))
	assert.Equal(t, b.clock.Now().Add(time.Minute), b.row(id).NextAt, "not before the usual pause")
}

func TestBehindNeedsATransaction(t *testing.T) {
	b := newBench(t, nil)
	_, err := New(Config{Store: b.store, Sealer: testBox(t), Sender: "me", Behind: true})
	require.ErrorContains(t, err, "Settle")
}
