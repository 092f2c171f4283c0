package outbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/truekeel/auth/store"
)

// Item is something to be delivered.
type Item struct {
	// Kind chooses the handler.
	Kind string
	// Key, if not "", puts the item behind all older ones of the same key: they are
	// delivered, or given up, in the order in which they were put.
	Key string
	// Payload is what the handler needs; it is kept as JSON.
	Payload any
	// Background leaves the item to the worker also where deliveries are synchronous.
	Background bool
}

// Delivery is an item on its way.
type Delivery struct {
	ID        uuid.UUID
	Kind      string
	MessageID string // the same at every attempt; without angle brackets
	Attempt   int    // 1 for the first
	CreatedAt time.Time
	Payload   json.RawMessage
	// Status is where the handler may leave a number for Config.Settle: what a server
	// answered. It is never nil.
	Status *int
}

// Decode reads the payload into v.
func (d Delivery) Decode(v any) error { return json.Unmarshal(d.Payload, v) }

// Outcome is what became of an attempt.
type Outcome string

// The outcomes.
const (
	Delivered Outcome = "delivered"
	Retried   Outcome = "retried"  // it failed and will be tried again
	GivenUp   Outcome = "given_up" // it failed and won't
	Removed   Outcome = "removed"  // it failed synchronously: the caller was told, the item is gone
)

// Event tells an observer what became of an attempt.
type Event struct {
	Outcome  Outcome
	ID       uuid.UUID
	Kind     string
	Attempts int
	Age      time.Duration // since the item was put
	Class    string        // the sort of error: "permanent", "timeout", "panic", ...; "" if delivered
}

// Attempt is what Config.Settle is told of an attempt that has ended.
type Attempt struct {
	Event
	Payload json.RawMessage // nil if it can't be read
	Status  int             // what the handler left
	At      time.Time
	Err     error // the handler's; nil if delivered
}

// Later makes err one after which the next attempt is made in about that time at the
// earliest, unless the item is given up before.
func Later(err error, in time.Duration) error { return &later{err, in} }

type later struct {
	error
	in time.Duration
}

func (l *later) Unwrap() error { return l.error }

// Put adds an item within the caller's transaction. It is delivered after the commit:
// call [Outbox.Settle] then.
func (o *Outbox) Put(ctx context.Context, tx store.Outbox, item Item) (uuid.UUID, error) {
	if item.Kind == "" || item.Kind == KindNone {
		return uuid.Nil, fmt.Errorf("outbox: an item can't have the kind %q", item.Kind)
	}
	payload, err := json.Marshal(item.Payload)
	if err != nil {
		return uuid.Nil, fmt.Errorf("outbox: payload of %s: %w", item.Kind, err)
	}
	return o.add(ctx, tx, item, payload)
}

// nonePayload is about as large as what a mail holds.
const nonePayload = 1024

// PutNone does the work of [Outbox.Put] and leaves an item that is never delivered: so that
// a request for an unknown address costs what one for a known address costs.
func (o *Outbox) PutNone(ctx context.Context, tx store.Outbox) error {
	_, err := o.add(ctx, tx, Item{Kind: KindNone, Background: true}, make([]byte, nonePayload))
	return err
}

func (o *Outbox) add(ctx context.Context, tx store.Outbox, item Item, payload []byte) (uuid.UUID, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return uuid.Nil, fmt.Errorf("outbox: %w", err)
	}
	now := o.now()
	created, next, err := o.place(ctx, tx, item.Key, now)
	if err != nil {
		return uuid.Nil, err
	}
	row := store.OutboxItem{
		ID: id, Kind: item.Kind, Sender: o.config.Sender, Key: item.Key, CreatedAt: created, NextAt: next,
		MessageID: id.String() + "@" + o.config.Domain,
		Body:      o.config.Sealer.Seal(purpose(id), envelope(item.Background, payload)),
	}
	if o.config.Sync && !item.Background {
		// The caller delivers it; the worker only if the caller didn't live to do it.
		row.NextAt = now.Add(o.config.Lease)
	}
	if err := tx.AddOutboxItem(ctx, row); err != nil {
		return uuid.Nil, err
	}
	return id, nil
}

// parked is when an item is due that waits for another: never. Whoever settles the other
// releases it.
func parked() time.Time { return time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC) }

// placeTries is how often an item is put behind another that is settled meanwhile.
const placeTries = 3

// place puts an item behind what is owed of its key: it gives its times. Writing to the one
// in front, the smallest of changes, makes its end wait for this transaction, or this fail:
// so that the one who settles it sees who is behind. The many that wait aren't looked at
// with each round.
func (o *Outbox) place(ctx context.Context, tx store.Outbox, key string, now time.Time) (created, next time.Time, err error) {
	if !o.config.Behind || key == "" {
		return now, now, nil
	}
	created = now
	for range placeTries {
		front, err := tx.YoungestOwed(ctx, o.config.Sender, key)
		if errors.Is(err, store.ErrNotFound) {
			return now, now, nil
		}
		if err != nil {
			return now, now, err
		}
		if created = now; !front.CreatedAt.Before(now) {
			created = front.CreatedAt.Add(time.Microsecond)
		}
		held, err := tx.PostponeOutboxItem(ctx, front.ID, front.NextAt, front.NextAt.Add(-time.Microsecond))
		if err != nil {
			return now, now, err
		}
		if held {
			return created, parked(), nil
		}
	}
	return created, now, nil // it is kept back as long as the other is owed
}

// purpose binds sealed content to its row.
func purpose(id uuid.UUID) string { return "outbox " + id.String() }

// The first byte of what is sealed says who delivers it.
const (
	foreground byte = 'f'
	background byte = 'b'
)

func envelope(isBackground bool, payload []byte) []byte {
	first := foreground
	if isBackground {
		first = background
	}
	return append([]byte{first}, payload...)
}

var errUnreadable = errors.New("outbox: the sealed content can't be opened")

// open gives what an item holds.
func (o *Outbox) open(row store.OutboxItem) (payload []byte, isBackground bool, err error) {
	plain, err := o.config.Sealer.Open(purpose(row.ID), row.Body)
	if err != nil || len(plain) == 0 || (plain[0] != foreground && plain[0] != background) {
		return nil, false, errUnreadable
	}
	return plain[1:], plain[0] == background, nil
}
