package sms

import (
	"strconv"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestInbox(t *testing.T) {
	box := &Inbox{Limit: 2}
	_, ok := box.Last("")
	require.False(t, ok)
	for n := range 3 {
		id, err := box.Send(t.Context(), Message{To: "4915" + strconv.Itoa(n), Code: strconv.Itoa(n)})
		require.NoError(t, err)
		require.Equal(t, strconv.Itoa(n+1), id)
	}
	require.Len(t, box.Messages(), 2)
	m, ok := box.Last("")
	require.True(t, ok)
	require.Equal(t, "2", m.Code)
	m, ok = box.Last("49151")
	require.True(t, ok)
	require.Equal(t, "1", m.Code)
	_, ok = box.Last("49150")
	require.False(t, ok)
	box.Clear()
	require.Empty(t, box.Messages())
}

func TestInboxKeepsTheLast(t *testing.T) {
	var box Inbox
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 50 {
				_, _ = box.Send(t.Context(), message())
				box.Last("4915112345678")
			}
		})
	}
	all.Wait()
	require.Len(t, box.Messages(), defaultKept)
}
