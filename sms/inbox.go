package sms

import (
	"context"
	"slices"
	"strconv"
	"sync"
)

// Inbox is a [Sender] for development and tests: it keeps the messages instead of sending
// them. It supports every channel. The zero value is ready for use; it is safe for
// concurrent use and must not be copied.
type Inbox struct {
	// Limit is how many messages are kept; the oldest make way. Default 100. It must not
	// be changed once the Inbox is in use.
	Limit int

	mu   sync.Mutex
	sent int // messages ever
	kept []Message
}

// defaultKept is the default of Inbox.Limit.
const defaultKept = 100

// Send keeps m. Its id is the message's number, counted from 1.
func (b *Inbox) Send(_ context.Context, m Message) (string, error) {
	limit := b.Limit
	if limit <= 0 {
		limit = defaultKept
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.sent++
	b.kept = append(b.kept, m)
	if over := len(b.kept) - limit; over > 0 {
		b.kept = slices.Delete(b.kept, 0, over)
	}
	return strconv.Itoa(b.sent), nil
}

// Supports reports true.
func (b *Inbox) Supports(Channel) bool { return true }

// Messages gives the messages that are kept, oldest first.
func (b *Inbox) Messages() []Message {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.kept)
}

// Last gives the newest message to a number in E.164 without the plus sign, to any number
// if to is ""; false if there is none.
func (b *Inbox) Last(to string) (Message, bool) {
	for _, m := range slices.Backward(b.Messages()) {
		if to == "" || m.To == to {
			return m, true
		}
	}
	return Message{}, false
}

// Clear forgets all messages.
func (b *Inbox) Clear() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.kept = nil
}
