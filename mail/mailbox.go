package mail

import (
	"context"
	"slices"
	"strings"
	"sync"
)

// Mailbox is a [Mailer] for development and tests: it keeps the mails instead of sending
// them. It is also an http.Handler that shows them. The zero value is ready for use.
type Mailbox struct {
	// Limit is how many mails are kept; the oldest make way. Default 100. It must not be
	// changed once the Mailbox is in use.
	Limit int
	// Beside, if not nil, gives what the page shows beside the mails, such as messages to
	// phones, newest first. It must not be changed once the Mailbox is in use.
	Beside func() []Note

	pages mailboxPages

	mu   sync.Mutex
	last int // number of the newest mail
	kept []received
}

// Note is a message that isn't a mail.
type Note struct {
	To, Text string
}

// received is a mail with its number, which begins at 1 and is never used again.
type received struct {
	number int
	Message
}

// defaultKept is the default of Mailbox.Limit.
const defaultKept = 100

// Send keeps m. It refuses, for good, a recipient that [SMTP] would refuse too.
func (b *Mailbox) Send(_ context.Context, m Message) error {
	if _, err := (SMTP{From: "mailbox@localhost"}).compose(m); err != nil {
		return err
	}
	limit := b.Limit
	if limit <= 0 {
		limit = defaultKept
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.last++
	b.kept = append(b.kept, received{number: b.last, Message: m})
	if over := len(b.kept) - limit; over > 0 {
		b.kept = slices.Delete(b.kept, 0, over)
	}
	return nil
}

// Messages gives the mails that are kept, oldest first.
func (b *Mailbox) Messages() []Message {
	kept := b.all()
	messages := make([]Message, len(kept))
	for i, r := range kept {
		messages[i] = r.Message
	}
	return messages
}

// Last gives the newest mail to an address, of any address if to is ""; false if there is
// none. Upper and lower case don't matter.
func (b *Mailbox) Last(to string) (Message, bool) {
	kept := b.all()
	for _, r := range slices.Backward(kept) {
		if to == "" || strings.EqualFold(r.To, to) {
			return r.Message, true
		}
	}
	return Message{}, false
}

// Clear forgets all mails.
func (b *Mailbox) Clear() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.kept = nil
}

func (b *Mailbox) all() []received {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.kept)
}

// number gives the mail with a number; false if it isn't kept.
func (b *Mailbox) number(n int) (received, bool) {
	for _, r := range b.all() {
		if r.number == n {
			return r, true
		}
	}
	return received{}, false
}
