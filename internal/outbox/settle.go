package outbox

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"github.com/truekeel/auth/store"
)

// Settle is called after the commit with the ids that [Outbox.Put] gave. It wakes the
// worker and returns nil.
//
// Where deliveries are synchronous it delivers the items now, one after the other. At the
// first failure that item and those after it leave the outbox, and the error is returned.
// The end of ctx doesn't cut a delivery short. Background items, and those that another
// process has taken or that are gone, are passed over.
func (o *Outbox) Settle(ctx context.Context, ids ...uuid.UUID) error {
	defer o.Wake()
	if !o.config.Sync {
		return nil
	}
	ctx = context.WithoutCancel(ctx)
	for i, id := range ids {
		err := o.settle(ctx, id)
		if err == nil {
			continue
		}
		for _, rest := range ids[i+1:] {
			err = errors.Join(err, o.remove(ctx, rest))
		}
		return err
	}
	return nil
}

// settle delivers one item; it is gone if that fails.
func (o *Outbox) settle(ctx context.Context, id uuid.UUID) error {
	end, ok := o.begin(id)
	if !ok {
		if o.isClosed() {
			return ErrClosed
		}
		return nil
	}
	defer end()
	if _, ok, err := o.foreground(ctx, id); err != nil || !ok {
		return err
	}
	row, ok, err := o.lease(ctx, id)
	if err != nil || !ok {
		return err
	}
	a := o.attemptOf(row)
	failure := o.call(ctx, row, &a)
	now, event := o.now(), &a.Event
	a.At, a.Err, a.Age = now, failure, now.Sub(row.CreatedAt)
	if failure == nil {
		event.Outcome = Delivered
		row.DoneAt, row.Body = now, nil
		if o.note(ctx, row, a) {
			o.observe(*event)
		}
		return nil
	}
	event.Outcome, event.Class = Removed, o.class(failure)
	if _, err := o.config.Store.DeleteOutboxItem(ctx, id); err != nil {
		return errors.Join(failure, err)
	}
	o.config.Logger.Warn("outbox: not delivered, the request was told",
		"kind", row.Kind, "id", id, "attempts", row.Attempts, "class", event.Class, "error", o.explain(failure))
	o.observe(*event)
	return fmt.Errorf("outbox: %s: %w", row.Kind, failure)
}

// foreground reads an item that is the caller's to deliver; false if it isn't.
func (o *Outbox) foreground(ctx context.Context, id uuid.UUID) (row store.OutboxItem, ok bool, err error) {
	row, err = o.config.Store.OutboxItem(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		return row, false, nil
	}
	if err != nil || !row.DoneAt.IsZero() {
		return row, false, err
	}
	_, isBackground, err := o.open(row)
	return row, err == nil && !isBackground, err
}

// remove drops an item that is the caller's to deliver.
func (o *Outbox) remove(ctx context.Context, id uuid.UUID) error {
	if _, ok, err := o.foreground(ctx, id); err != nil || !ok {
		return err
	}
	_, err := o.config.Store.DeleteOutboxItem(ctx, id)
	return err
}
