package outbox

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/truekeel/auth/store"
)

var (
	errNoHandler = errors.New("outbox: no handler for the kind")
	errPanicked  = errors.New("outbox: the handler panicked")
	errStore     = errors.New("outbox: the store panicked")
	errCrashing  = errors.New("outbox: earlier attempts never ended")
)

// lease claims an item and reads it; false if another process has it or it is done. Once it
// has begun it isn't cut short: nobody would work on what is claimed, nor anybody else.
func (o *Outbox) lease(ctx context.Context, id uuid.UUID) (row store.OutboxItem, ok bool, err error) {
	if err := ctx.Err(); err != nil {
		return row, false, err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), noteTimeout)
	defer cancel()
	token, now := rand.Text(), o.now()
	if ok, err = o.config.Store.LeaseOutboxItem(ctx, id, token, now, now.Add(o.config.Lease)); err != nil || !ok {
		return row, false, err
	}
	row, err = o.config.Store.OutboxItem(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		return row, false, nil
	}
	return row, err == nil && row.LeaseToken == token, err
}

// call runs the item's handler. ctx bounds it, and so do the lease and the end of Close.
func (o *Outbox) call(ctx context.Context, row store.OutboxItem, a *Attempt) (err error) {
	if row.Kind == KindNone {
		return nil
	}
	handler := o.config.Handlers[row.Kind]
	if handler == nil {
		return errNoHandler
	}
	ctx, cancel := context.WithTimeout(ctx, o.config.Lease*3/4)
	defer cancel()
	defer context.AfterFunc(o.hard, cancel)()
	defer func() {
		if p := recover(); p != nil {
			o.config.Logger.Error("outbox: a handler panicked", "kind", row.Kind, "id", row.ID, "stack", stack())
			err = errPanicked
		}
	}()
	payload, _, err := o.open(row)
	if err != nil {
		return err
	}
	a.Payload = payload
	err = handler(ctx, Delivery{
		ID: row.ID, Kind: row.Kind, MessageID: row.MessageID, Attempt: row.Attempts,
		CreatedAt: row.CreatedAt, Payload: payload, Status: &a.Status,
	})
	if err != nil {
		_, _ = o.class(err), o.explain(err) // one that panics when it is read does so here
	}
	return err
}

// attempt delivers an item that is leased and writes down what became of it. crashed says
// that the attempt before never ended.
func (o *Outbox) attempt(ctx context.Context, row store.OutboxItem, crashed bool) error {
	var err error
	a := o.attemptOf(row)
	if crashed && o.tooOld(row) {
		err = fmt.Errorf("%w: %w", ErrPermanent, errCrashing)
		a.Payload, _, _ = o.open(row)
	} else {
		err = o.call(ctx, row, &a)
	}
	now, event := o.now(), &a.Event
	a.At, a.Err, a.Age = now, err, now.Sub(row.CreatedAt)
	switch {
	case err == nil:
		event.Outcome = Delivered
		row.DoneAt, row.Body, row.LastError = now, nil, ""
	case o.hard.Err() != nil && !o.permanent(err):
		// Close cut it short: the next process goes on at once.
		event.Outcome, event.Class = Retried, "closed"
		row.NextAt = now
	case o.permanent(err) || o.tooOld(row):
		event.Outcome, event.Class = GivenUp, o.class(err)
		row.DoneAt, row.Body, row.LastError, row.GivenUp = now, nil, o.explain(err), true
	default:
		event.Outcome, event.Class = Retried, o.class(err)
		row.NextAt, row.LastError = o.next(row, now, err), o.explain(err)
	}
	if !o.note(ctx, row, a) {
		return err
	}
	o.report(*event, row)
	if row.Key != "" && !row.DoneAt.IsZero() {
		o.Wake() // the next of this key is due now
	}
	return err
}

// attemptOf is what can be said of an attempt when it begins.
func (o *Outbox) attemptOf(row store.OutboxItem) Attempt {
	return Attempt{Event: Event{ID: row.ID, Kind: row.Kind, Attempts: row.Attempts}}
}

// next is when an item that failed is tried again; its last attempt is at the age at which
// it is given up.
func (o *Outbox) next(row store.OutboxItem, now time.Time, err error) time.Time {
	next, last := now.Add(o.config.Backoff(row.Attempts)), row.CreatedAt.Add(o.config.GiveUpAfter)
	var asked *later
	if errors.As(err, &asked) && now.Add(asked.in).After(next) {
		next = now.Add(asked.in)
	}
	if next.After(last) {
		next = last
	}
	return next.Truncate(time.Microsecond)
}

func (o *Outbox) tooOld(row store.OutboxItem) bool {
	return o.now().Sub(row.CreatedAt) >= o.config.GiveUpAfter
}

func (o *Outbox) report(e Event, row store.OutboxItem) {
	attributes := []any{"kind", e.Kind, "id", e.ID, "attempts", e.Attempts, "class", e.Class, "error", row.LastError}
	switch e.Outcome {
	case GivenUp:
		o.config.Logger.Error("outbox: given up, it will not be delivered", append(attributes, "age", e.Age)...)
	case Retried:
		o.config.Logger.Warn("outbox: not delivered, it will be tried again", append(attributes, "next", row.NextAt)...)
	}
	o.observe(e)
}

const (
	noteTries   = 5
	notePause   = 50 * time.Millisecond
	noteTimeout = 5 * time.Second
)

// note writes down what became of an attempt. A delivery that isn't noted is repeated when
// the lease has ended, so it isn't given up at the first trouble with the store.
func (o *Outbox) note(ctx context.Context, row store.OutboxItem, a Attempt) bool {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), noteTimeout)
	defer cancel()
	for try := range noteTries {
		ok, err := o.config.Settle(ctx, a, func(tx store.Outbox) (bool, error) { return o.write(ctx, tx, row) })
		if err == nil {
			if !ok {
				o.config.Logger.Warn("outbox: the lease was lost during a delivery, which may happen twice",
					"kind", row.Kind, "id", row.ID)
			}
			return ok
		}
		if try == noteTries-1 || !pause(ctx, notePause<<try) {
			o.config.Logger.Error("outbox: the end of an attempt could not be written down, it may be repeated",
				"kind", row.Kind, "id", row.ID, "error", err)
			return false
		}
	}
	return false
}

// write settles an item, and releases the one behind it.
func (o *Outbox) write(ctx context.Context, tx store.Outbox, row store.OutboxItem) (bool, error) {
	ok, err := tx.SettleOutboxItem(ctx, row)
	if err != nil || !ok || !o.config.Behind || row.Key == "" || row.DoneAt.IsZero() {
		return ok, err
	}
	return true, tx.ReleaseOutboxItem(ctx, row.Sender, row.Key, row.DoneAt)
}

// pause waits; false if ctx ended first.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func (o *Outbox) permanent(err error) bool {
	return errors.Is(err, ErrPermanent) || errors.Is(err, errUnreadable) || o.config.Permanent(err)
}

// class is the sort of an error, which holds nothing of its text.
func (o *Outbox) class(err error) string {
	switch {
	case errors.Is(err, errCrashing):
		return "crash"
	case errors.Is(err, errUnreadable):
		return "unreadable"
	case o.permanent(err):
		return "permanent"
	case errors.Is(err, errPanicked):
		return "panic"
	case errors.Is(err, errNoHandler):
		return "no handler"
	case errors.Is(err, context.DeadlineExceeded):
		return "timeout"
	case errors.Is(err, context.Canceled):
		return "cancelled"
	}
	return "failed"
}

// maxExplained bounds what is stored of an error.
const maxExplained = 500

func (o *Outbox) explain(err error) string {
	own := errors.Is(err, errPanicked) || errors.Is(err, errUnreadable) || errors.Is(err, errNoHandler) || errors.Is(err, errCrashing)
	if o.config.Explain == nil || own {
		return o.class(err)
	}
	text := o.config.Explain(err)
	return strings.ToValidUTF8(text[:min(len(text), maxExplained)], "")
}
