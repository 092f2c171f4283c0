package outbox

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/truekeel/auth/store"
)

// batch is how many items are asked for at once.
const batch = 128

// maxDown is the longest pause between two looks at a store that is out of order.
const maxDown = 30 * time.Second

// work claims and delivers what is due until Close.
func (o *Outbox) work() {
	var (
		failures int
		warned   time.Time // when items of other senders were last looked at
	)
	for {
		wait := o.config.Poll
		more, err := o.round()
		switch {
		case o.stopping.Err() != nil:
			return
		case err != nil:
			if failures++; failures == 1 {
				o.config.Logger.Warn("outbox: the store doesn't answer, deliveries wait", "error", err)
			}
			wait = min(o.config.Poll<<min(failures, 10), max(maxDown, o.config.Poll))
		case failures > 0:
			o.config.Logger.Info("outbox: the store answers again", "failures", failures)
			failures = 0
		}
		if now := o.now(); err == nil && o.config.Foreign > 0 && now.Sub(warned) >= o.config.Foreign {
			warned = now
			o.warnOfOthers(now)
		}
		if more {
			continue
		}
		if !o.rest(wait, failures > 0) {
			return
		}
	}
}

// rest waits for the next round; false if there is none. While the store is out of order
// nobody can hurry it.
func (o *Outbox) rest(wait time.Duration, down bool) bool {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	wake := o.wake
	if down {
		wake = nil
	}
	select {
	case <-o.stopping.Done():
		return false
	case <-wake:
	case <-timer.C:
	}
	return true
}

// round starts the delivery of items that are due, and reports whether there may be more.
func (o *Outbox) round() (more bool, err error) {
	defer o.survive(&err)
	due, err := o.config.Store.DueOutboxItems(o.stopping, o.config.Sender, o.now(), batch)
	if err != nil {
		return false, err
	}
	started := 0
	for _, row := range due {
		select {
		case o.slots <- struct{}{}:
		case <-o.stopping.Done():
			return false, nil
		}
		if o.launch(row) {
			started++
		} else {
			<-o.slots
		}
		if err := o.troubled(); err != nil {
			return false, err
		}
	}
	return started > 0 && len(due) == batch, nil
}

// launch claims an item and delivers it in a goroutine of its own, which gives the slot
// back; false if this process has the item already. Items are claimed side by side: a
// store that commits many writers at once isn't made to commit them one by one.
func (o *Outbox) launch(due store.OutboxItem) bool {
	end, ok := o.begin(due.ID)
	if !ok {
		return false
	}
	go func() {
		defer func() { <-o.slots; end() }()
		if err := o.fly(due); err != nil {
			o.mu.Lock()
			o.trouble = err
			o.mu.Unlock()
		}
	}()
	return true
}

// fly claims an item and delivers it; the error is the store's.
func (o *Outbox) fly(due store.OutboxItem) (err error) {
	defer o.survive(&err)
	row, ok, err := o.lease(o.stopping, due.ID)
	if err == nil && ok {
		_ = o.attempt(context.Background(), row, due.LeaseToken != "")
	}
	return err
}

// survive is deferred by what the worker does: a store that panics is out of order, and
// ends nobody's program.
func (o *Outbox) survive(err *error) {
	if p := recover(); p != nil {
		o.config.Logger.Error("outbox: the store panicked", "stack", stack())
		*err = errStore
	}
}

// troubled gives the error of the store that a claim got since it was last asked.
func (o *Outbox) troubled() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	err := o.trouble
	o.trouble = nil
	return err
}

// warnOfOthers reports items of other senders that have waited for long: after a change of
// mailer, site or key, nobody may be left to deliver them.
func (o *Outbox) warnOfOthers(now time.Time) {
	defer o.survive(new(error))
	debts, err := o.config.Store.OwedBySender(o.stopping)
	if err != nil {
		return // the next round says that the store is out of order
	}
	for _, d := range debts {
		if d.Sender == o.config.Sender || o.config.Known(d.Sender) || now.Sub(d.Oldest) < o.config.Foreign {
			continue
		}
		o.config.Logger.Warn("outbox: items of another configuration wait and this process can't deliver them: run one with the mailer, site and key that they were written under",
			"sender", d.Sender, "items", d.Items, "oldest", d.Oldest)
	}
}

// Flush delivers everything that is due now and waits for the deliveries that are under
// way. The error joins those of the store and of the handlers.
func (o *Outbox) Flush(ctx context.Context) error {
	var (
		failed []error
		tried  = make(map[uuid.UUID]bool)
	)
	for {
		before, busy := o.traffic()
		due, err := o.config.Store.DueOutboxItems(ctx, o.config.Sender, o.now(), batch)
		if err != nil {
			return errors.Join(append(failed, err)...)
		}
		progress := false
		for _, row := range due {
			if tried[row.ID] {
				continue
			}
			tried[row.ID], progress = true, true
			if err := o.flush(ctx, row); err != nil {
				failed = append(failed, err)
			}
		}
		if err := o.await(ctx); err != nil {
			return errors.Join(append(failed, err)...)
		}
		// What flew when the store was read, or took off since, was not among the due; its
		// end may have made others due that weren't there either.
		if after, _ := o.traffic(); !progress && !busy && after == before {
			return errors.Join(failed...)
		}
	}
}

// flush delivers one item unless somebody else does. It takes a worker's place, so that
// with one worker items are delivered one after the other whoever delivers them.
func (o *Outbox) flush(ctx context.Context, due store.OutboxItem) error {
	select {
	case o.slots <- struct{}{}:
		defer func() { <-o.slots }()
	case <-ctx.Done():
		return ctx.Err()
	}
	end, ok := o.begin(due.ID)
	if !ok {
		if o.isClosed() {
			return ErrClosed
		}
		return nil
	}
	defer end()
	row, ok, err := o.lease(ctx, due.ID)
	if err != nil || !ok {
		return err
	}
	if err := o.attempt(ctx, row, due.LeaseToken != ""); err != nil {
		return fmt.Errorf("outbox: %s %s: %w", row.Kind, row.ID, err)
	}
	return nil
}

// traffic gives how many deliveries have begun so far, and whether one is under way.
func (o *Outbox) traffic() (begun uint64, busy bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.begun, len(o.flying) > 0
}

// await waits for the deliveries under way.
func (o *Outbox) await(ctx context.Context) error {
	o.mu.Lock()
	ends := make([]chan struct{}, 0, len(o.flying))
	for _, ended := range o.flying {
		ends = append(ends, ended)
	}
	o.mu.Unlock()
	for _, ended := range ends {
		select {
		case <-ended:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}
