package events

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"

	"github.com/truekeel/auth/internal/outbox"
	"github.com/truekeel/auth/store"
)

var (
	// ErrPending means that an event is still on its way.
	ErrPending = errors.New("events: the event is still on its way")
	// ErrNoEndpoint means that an event's receiver isn't configured.
	ErrNoEndpoint = errors.New("events: the event's endpoint isn't configured")
)

// Sealer keeps what an event says from whoever reads the database.
type Sealer interface {
	Seal(purpose string, plain []byte) []byte
	Open(purpose string, sealed []byte) ([]byte, error)
}

// Config is what a Log needs.
type Config struct {
	Store     store.Store // not one of [Log.Watch]
	Sealer    Sealer
	Site      string     // whose accounts they are
	Endpoints []Endpoint // none: nothing is told, but what was can be listed
	Now       func() time.Time
	Logger    *slog.Logger
	// Observe is told what became of each attempt; nil: nobody.
	Observe func(outbox.Event)
}

// Log writes events and delivers them. It is safe for concurrent use. Make it with [New].
type Log struct {
	Config
	endpoints []*endpoint
	wanted    map[Type]bool // by any endpoint
}

// New makes a Log. Nothing is delivered before [Log.Start].
func New(c Config) (*Log, error) {
	l := &Log{Config: c, wanted: map[Type]bool{}}
	for _, e := range c.Endpoints {
		made, err := l.open(e)
		if err != nil {
			return nil, fmt.Errorf("events: endpoint %q: %w", e.Name, err)
		}
		l.endpoints = append(l.endpoints, made)
		for t := range made.wants {
			l.wanted[t] = true
		}
	}
	return l, nil
}

// On reports whether anything is told.
func (l *Log) On() bool { return len(l.endpoints) > 0 }

// Start begins to deliver.
func (l *Log) Start() {
	for _, e := range l.endpoints {
		e.outbox.Start()
	}
}

// Close ends deliveries as [outbox.Outbox.Close] does.
func (l *Log) Close(ctx context.Context) error {
	errs := make([]error, len(l.endpoints))
	done := make(chan struct{})
	for n, e := range l.endpoints {
		go func() {
			errs[n] = e.outbox.Close(ctx)
			e.Poster.Close()
			done <- struct{}{}
		}()
	}
	for range l.endpoints {
		<-done
	}
	return errors.Join(errs...)
}

// Flush delivers what is due and waits for it.
func (l *Log) Flush(ctx context.Context) error {
	var errs []error
	for _, e := range l.endpoints {
		errs = append(errs, e.outbox.Flush(ctx))
	}
	return errors.Join(errs...)
}

func (l *Log) wake() {
	for _, e := range l.endpoints {
		e.outbox.Wake()
	}
}

// tell writes the events of what a transaction did, into it.
func (l *Log) tell(ctx context.Context, t *watchedTx) (told bool, err error) {
	for _, id := range t.seen.order {
		some, err := l.tellOf(ctx, t, id, t.seen.changes[id])
		if err != nil {
			return false, err
		}
		told = told || some
	}
	return told, nil
}

// tellOf writes the events of one user.
func (l *Log) tellOf(ctx context.Context, t *watchedTx, id uuid.UUID, c *change) (told bool, err error) {
	now := l.Now()
	var facts []fact
	for _, f := range c.facts(now) {
		if l.wanted[f.what] {
			facts = append(facts, f)
		}
	}
	if len(facts) == 0 {
		return false, nil
	}
	u, identities := store.User{ID: id}, []store.Identity(nil)
	if facts[0].what != UserDeleted {
		if u, identities, err = t.portrait(ctx, id, c); err != nil {
			return false, missing(err) // somebody deleted him: that is told there
		}
	}
	for _, f := range facts {
		body, err := c.render(f, now, u, identities)
		if err != nil {
			return false, fmt.Errorf("events: %s: %w", f.what, err)
		}
		for _, e := range l.endpoints {
			if !e.wants[f.what] {
				continue
			}
			if err := l.add(ctx, t.Store, e, f.what, id, now, body); err != nil {
				return false, err
			}
		}
	}
	return true, nil
}

// portrait is the user as the transaction leaves him.
func (t *watchedTx) portrait(ctx context.Context, id uuid.UUID, c *change) (u store.User, identities []store.Identity, err error) {
	if c.written {
		u = c.after
	} else if u, err = t.Store.User(ctx, id); err != nil {
		return u, nil, err
	}
	identities, err = t.Store.IdentitiesOf(ctx, id)
	return u, identities, err
}

// add writes one event for one endpoint.
func (l *Log) add(ctx context.Context, tx store.Store, e *endpoint, what Type, about uuid.UUID, now time.Time, body []byte) error {
	id, err := uuid.NewV7()
	if err != nil {
		return fmt.Errorf("events: %w", err)
	}
	if err := tx.AddEventDelivery(ctx, store.EventDelivery{
		ID: id, Endpoint: e.Name, Type: string(what), UserID: about, Body: l.Sealer.Seal(purpose(id), body),
		State: store.EventPending, CreatedAt: now,
	}); err != nil {
		return err
	}
	return e.put(ctx, tx, about, ref{ID: id, Type: what})
}

// purpose binds sealed content to its row.
func purpose(id uuid.UUID) string { return "event " + id.String() }

// Body gives what an event says: JSON.
func (l *Log) Body(d store.EventDelivery) ([]byte, error) {
	body, err := l.Sealer.Open(purpose(d.ID), d.Body)
	if err != nil {
		return nil, errUnreadable
	}
	return body, nil
}

// Redeliver sends an event that was delivered or given up once more, with its id and its
// content, behind what is owed of its user. store.ErrNotFound if there is none, ErrPending
// if it is still on its way, ErrNoEndpoint if nobody could deliver it. Of racing callers one
// succeeds.
func (l *Log) Redeliver(ctx context.Context, id uuid.UUID) error {
	err := l.Store.Tx(ctx, func(tx store.Store) error {
		reopened, err := tx.ReopenEventDelivery(ctx, id) // first: what is read afterwards is what others left
		if err != nil {
			return err
		}
		d, err := tx.EventDelivery(ctx, id)
		if err != nil {
			return err
		}
		if !reopened {
			return ErrPending
		}
		for _, e := range l.endpoints {
			if e.Name == d.Endpoint {
				return e.put(ctx, tx, d.UserID, ref{ID: id, Type: Type(d.Type), Before: d.Attempts})
			}
		}
		return fmt.Errorf("%w: %q", ErrNoEndpoint, d.Endpoint)
	})
	if err == nil {
		l.wake()
	}
	return err
}
