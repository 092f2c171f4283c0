package store

import (
	"context"
	"time"

	"github.com/google/uuid"
)

// OutboxItem is a mail, a message or an event that a committed change owes the world.
type OutboxItem struct {
	ID     uuid.UUID
	Kind   string // "mail", "sms", "event", or "none": written so that unknown addresses cost the same
	Sender string // who can send it; see design of the outbox: a process claims only its own
	Key    string // items of one non-empty key are delivered in order of creation
	Body   []byte // sealed; empty once delivered
	// MessageID is the same at every attempt.
	MessageID string

	Attempts   int
	NextAt     time.Time // not to be tried before
	LeaseUntil time.Time // somebody works on it until then; zero if nobody
	LeaseToken string    // fences the one who works on it
	LastError  string    // of the last attempt; never a secret

	CreatedAt time.Time
	DoneAt    time.Time // delivered or given up; zero while it is owed
	GivenUp   bool
}

// Outbox keeps what is owed.
type Outbox interface {
	// AddOutboxItem inserts, in the flow's own transaction.
	AddOutboxItem(ctx context.Context, i OutboxItem) error
	// OutboxItem reads by id. ErrNotFound on a miss.
	OutboxItem(ctx context.Context, id uuid.UUID) (OutboxItem, error)
	// DueOutboxItems gives items of a sender that are owed, due (NextAt <= now) and
	// not leased at now, earliest NextAt first (then CreatedAt, ID). It leaves out an
	// item whose Key isn't empty as long as an older one (by CreatedAt, then ID) of the
	// same sender and key is owed, whether or not that one is due.
	DueOutboxItems(ctx context.Context, sender string, now time.Time, limit int) ([]OutboxItem, error)
	// LeaseOutboxItem claims an owed item that is not leased at now: it writes token
	// and until, adds one to Attempts, and reports whether it did: of racing callers
	// one gets true.
	LeaseOutboxItem(ctx context.Context, id uuid.UUID, token string, now, until time.Time) (bool, error)
	// SettleOutboxItem writes Body, Attempts, NextAt, LastError, DoneAt and GivenUp of
	// i and ends the lease, where i.LeaseToken is still the stored one; it reports
	// whether it did.
	SettleOutboxItem(ctx context.Context, i OutboxItem) (bool, error)
	// DeleteOutboxItem deletes by id and reports whether it was there.
	DeleteOutboxItem(ctx context.Context, id uuid.UUID) (bool, error)
	// YoungestOwed gives the ID, CreatedAt and NextAt of the item that comes last (by
	// CreatedAt, then ID) among those that are owed of a sender and key; the rest of it
	// is zero. ErrNotFound if nothing is owed.
	YoungestOwed(ctx context.Context, sender, key string) (OutboxItem, error)
	// PostponeOutboxItem writes to as the NextAt of an owed item where that is from, and
	// reports whether it did. The item can't be settled by others before the transaction
	// ends. to differs from from.
	PostponeOutboxItem(ctx context.Context, id uuid.UUID, from, to time.Time) (bool, error)
	// ReleaseOutboxItem makes the oldest owed item of a sender and key (by CreatedAt,
	// then ID) due at now, if it isn't due before. None is no error.
	ReleaseOutboxItem(ctx context.Context, sender, key string, now time.Time) error
	// OwedBySender counts owed items and their earliest CreatedAt, by sender.
	OwedBySender(ctx context.Context) ([]OutboxDebt, error)
}

// OutboxDebt is what one sender owes.
type OutboxDebt struct {
	Sender string
	Items  int64
	Oldest time.Time
}
