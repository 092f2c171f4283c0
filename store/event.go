package store

import (
	"context"
	"time"

	"github.com/google/uuid"
)

// EventDelivery is an event on its way to one receiver, and afterwards the note of what
// became of it.
type EventDelivery struct {
	ID       uuid.UUID // version 7: later ones are greater
	Endpoint string    // the receiver's name
	Type     string    // "user.created", ...
	UserID   uuid.UUID // whom it is about
	Body     []byte    // sealed

	State      EventState
	Attempts   int
	LastStatus int       // the HTTP status of the last attempt; 0 if nobody answered
	LastError  string    // a word for why the last attempt failed; "" if it didn't
	LastAt     time.Time // when the last attempt ended; zero before the first

	CreatedAt time.Time
	DoneAt    time.Time // delivered or given up; zero while it is owed
}

// EventState is what became of an [EventDelivery].
type EventState string

// The states.
const (
	EventPending   EventState = "pending"
	EventDelivered EventState = "delivered"
	EventGivenUp   EventState = "given_up"
)

// EventDeliveries keeps events and what became of them. What is owed is in the [Outbox].
type EventDeliveries interface {
	// AddEventDelivery inserts, in the flow's own transaction. ErrConflict if the id is
	// taken.
	AddEventDelivery(ctx context.Context, d EventDelivery) error
	// EventDelivery reads by id. ErrNotFound on a miss.
	EventDelivery(ctx context.Context, id uuid.UUID) (EventDelivery, error)
	// NoteEventAttempt writes State, Attempts, LastStatus, LastError, LastAt and DoneAt of
	// the row with d.ID. A miss is no error: nobody wants to know any more.
	NoteEventAttempt(ctx context.Context, d EventDelivery) error
	// ReopenEventDelivery makes one that is done pending again, without its DoneAt, and
	// reports whether it was done: of racing callers one gets true.
	ReopenEventDelivery(ctx context.Context, id uuid.UUID) (bool, error)
	// ListEventDeliveries gives a page without the bodies, greatest id first; an empty
	// page is no error.
	ListEventDeliveries(ctx context.Context, q EventQuery) ([]EventDelivery, error)
}

// EventQuery selects event deliveries; zero fields select all.
type EventQuery struct {
	State    EventState
	Endpoint string
	Type     string
	UserID   uuid.UUID
	// After continues behind the row with this id.
	After uuid.UUID
	Limit int // at most this many; 0 means 50, at most 1000
}
