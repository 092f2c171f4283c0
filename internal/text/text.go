// Package text is where every message to a phone is written: it makes the code, puts the
// message into the outbox within the flow's transaction, and sees it off after the
// commit. It is to numbers what package post is to addresses, and it knows what they
// don't need: messages cost money, so it counts them before they cost any.
package text

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"time"

	"github.com/google/uuid"

	"github.com/truekeel/auth/fault"
	"github.com/truekeel/auth/internal/guard"
	"github.com/truekeel/auth/internal/onetime"
	"github.com/truekeel/auth/internal/outbox"
	"github.com/truekeel/auth/sms"
	"github.com/truekeel/auth/store"
)

// OutboxKind is the outbox's name for messages to phones.
const OutboxKind = "sms"

// Kind is what a message is about. It is part of what a client is told when a message
// can't be sent.
type Kind string

// The kinds. A sign-up and a sign-in have one kind, as on the wire, and so one frequency.
const (
	Confirmation     Kind = "confirmation"
	Change           Kind = "phone_change"
	Reauthentication Kind = "reauthentication"
)

// TestReceipt is the message id of what goes to a test number, which is never sent.
const TestReceipt = "test-otp"

const (
	// testLife is how long the code of a test number is good: people who review an app
	// take their time.
	testLife = 24 * time.Hour
	// serviceLife is how long a service's own code may be asked about.
	serviceLife = 10 * time.Minute
)

// Config is what Desk needs.
type Config struct {
	Store   store.Store
	Outbox  *outbox.Outbox
	Carrier *Carrier
	Tokens  *onetime.Tokens
	Guard   *guard.Guard
	Now     func() time.Time
	Logger  *slog.Logger
	MAC     func(purpose string, data ...[]byte) []byte

	// Sync says that the outbox delivers before the request is answered.
	Sync bool
	// Every is how long a number waits between two messages of one kind.
	Every time.Duration
	// Toll says which numbers get messages, and how many.
	Toll sms.Guard
	// Test are numbers whose code is known, until a time; zero: for good. Nothing is
	// sent to them.
	Test      map[string]string
	TestUntil time.Time
}

// Desk writes messages. It is safe for concurrent use.
type Desk struct{ Config }

// New makes a Desk.
func New(c Config) *Desk { return &Desk{c} }

// Note is a message to be written.
type Note struct {
	Kind    Kind
	User    *store.User
	To      string // the number; also what the code is bound to
	Purpose store.Purpose
	Channel sms.Channel
}

// Sent is a message that is in the outbox.
type Sent struct {
	ID       uuid.UUID // uuid.Nil if there is nothing to send
	receipt  string    // known already
	kind     Kind
	userID   uuid.UUID
	counters []string // what was counted for it
}

// Write makes the message's code and puts the message into the outbox, within tx, and
// notes the time in the user's row, which the caller saves.
func (d *Desk) Write(ctx context.Context, tx store.Store, n Note) (Sent, error) {
	*SentAt(n.User, n.Kind) = d.Now()
	if code, ok := d.fixed(n.To); ok {
		return Sent{receipt: TestReceipt}, d.Tokens.IssueFixed(ctx, tx, n.User.ID, n.Purpose, n.To, code, d.testLife())
	}
	p := payload{To: n.To, Channel: n.Channel, UserID: n.User.ID}
	var err error
	if d.Carrier.checker() != nil {
		p.Until = d.Now().Add(serviceLife)
		err = d.Tokens.IssueFixed(ctx, tx, n.User.ID, n.Purpose, n.To, "", serviceLife)
	} else {
		p.Until = d.Now().Add(d.Tokens.CodeLife)
		p.Code, err = d.Tokens.IssueCode(ctx, tx, n.User.ID, n.Purpose, n.To)
	}
	if err != nil {
		return Sent{}, err
	}
	id, err := d.Outbox.Put(ctx, tx, outbox.Item{Kind: OutboxKind, Payload: p})
	return Sent{
		ID: id, kind: n.Kind, userID: n.User.ID,
		// A change is counted for the account too, and where it is found by it for the present number.
		counters: []string{d.frequency(n.Kind, n.To), d.frequency(n.Kind, n.User.ID.String()), d.frequency(n.Kind, n.User.Phone)},
	}, err
}

// Nothing costs what a flow's Write costs, with the audit entry and the user's row that
// go with it, and sends nothing: for numbers that get no message.
func (d *Desk) Nothing(ctx context.Context, tx store.Store, to string) (Sent, error) {
	// A counter that nobody reads is written in place of the code, and dropped in place
	// of the rest.
	now, filler := d.Now(), "none:"+rand.Text()
	if _, _, err := tx.Count(ctx, filler, now, now.Add(d.Tokens.CodeLife)); err != nil {
		return Sent{}, err
	}
	for range 2 {
		if err := tx.DropCounter(ctx, filler); err != nil {
			return Sent{}, err
		}
	}
	if _, ok := d.fixed(to); ok {
		return Sent{receipt: TestReceipt}, nil
	}
	return Sent{}, d.Outbox.PutNone(ctx, tx)
}

// testLife is how long the code of a test number is good, which the number's own time
// ends.
func (d *Desk) testLife() time.Duration {
	if d.TestUntil.IsZero() {
		return testLife
	}
	return min(testLife, d.TestUntil.Sub(d.Now()))
}

// fixed is the code of a test number.
func (d *Desk) fixed(number string) (code string, ok bool) {
	if !d.TestUntil.IsZero() && !d.Now().Before(d.TestUntil) {
		return "", false
	}
	code, ok = d.Test[number]
	return code, ok
}

// SeeOff is called after the commit. By default it wakes the outbox and returns nothing.
// With synchronous delivery it sends the message now and returns the service's id of it;
// a message that can't be sent is undone (it may be asked for again at once) and makes
// the answer.
func (d *Desk) SeeOff(ctx context.Context, s Sent) (receipt string, err error) {
	if s.ID == uuid.Nil {
		return s.receipt, nil
	}
	if d.Sync {
		d.Carrier.expect(s.ID)
		defer d.Carrier.forget(s.ID)
	}
	if err := d.Outbox.Settle(ctx, s.ID); err != nil {
		if undo := d.undo(context.WithoutCancel(ctx), s); undo != nil {
			d.Logger.ErrorContext(ctx, "auth: a message that could not be sent could not be undone", "error", undo)
		}
		var refusal *fault.Error
		if errors.As(err, &refusal) {
			own := *refusal // of the host that sends; what it says may be anything
			own.Message = said(err)
			return "", &own
		}
		return "", fault.New(fault.SMSSendFailed, "Error sending %s OTP to provider: %s", s.kind, said(err)).WithCause(err)
	}
	return d.Carrier.receipt(s.ID), nil
}

// undo clears what says that the message was sent. What was counted against fraud stays:
// a service may bill what it failed to deliver.
func (d *Desk) undo(ctx context.Context, s Sent) error {
	return d.Store.Tx(ctx, func(tx store.Store) error {
		for _, counter := range s.counters {
			if err := tx.DropCounter(ctx, counter); err != nil {
				return err
			}
		}
		u, err := tx.User(ctx, s.userID)
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		*SentAt(&u, s.kind) = time.Time{}
		return tx.UpdateUser(ctx, &u)
	})
}

// SentAt is where a user's row notes when a kind was sent.
func SentAt(u *store.User, kind Kind) *time.Time {
	switch kind {
	case Change:
		return &u.PhoneChangeSentAt
	case Reauthentication:
		return &u.ReauthenticationSent
	default:
		return &u.ConfirmationSentAt
	}
}

var errUnchecked = fault.New(fault.Unavailable, "The code can't be checked at the moment, please retry after a moment.")

// ByCode finds the token that a code for a number belongs to among candidates, without
// taking it, and counts the guess; [onetime.ErrCode] on every kind of miss. The service
// is asked where it is the one that checks; while it can't tell, the error is a
// [fault.Unavailable]. It must not be called within a transaction.
func (d *Desk) ByCode(ctx context.Context, to, code string, candidates ...onetime.Candidate) (store.OneTimeToken, error) {
	service := d.Carrier.checker()
	if _, ok := d.fixed(to); ok || service == nil {
		return d.Tokens.ByCode(ctx, to, code, candidates...)
	}
	check := func(ctx context.Context) (bool, error) {
		right, err := service.Check(ctx, to, code)
		if err != nil {
			f := errUnchecked.WithCause(scrubbed(err, code, to))
			f.RetryAfter = time.Second
			return false, f
		}
		return right, nil
	}
	return d.Tokens.ByService(ctx, to, code, check, candidates...)
}
