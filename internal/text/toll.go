package text

import (
	"cmp"
	"context"
	"encoding/hex"
	"slices"
	"time"

	"github.com/truekeel/auth/fault"
	"github.com/truekeel/auth/sms"
	"github.com/truekeel/auth/store"
)

var (
	errChannel  = fault.New(fault.ValidationFailed, "Invalid channel, supported values are 'sms' or 'whatsapp'")
	errWhatsApp = fault.New(fault.ValidationFailed, "Invalid channel, 'whatsapp' isn't supported by the service that sends the messages")
)

// Channel reads how a message is to go; "" is as a text message.
func (d *Desk) Channel(name string) (sms.Channel, error) {
	switch c := sms.Channel(name); c {
	case "", sms.Text:
		return sms.Text, nil
	case sms.WhatsApp:
		if !d.Carrier.supports(c) {
			return "", errWhatsApp
		}
		return c, nil
	}
	return "", errChannel
}

var (
	errNumber  = fault.New(fault.ValidationFailed, "Invalid phone number format (E.164 required)")
	errCountry = fault.New(fault.ValidationFailed, "Phone numbers of this country are not accepted")
	errRange   = fault.New(fault.ValidationFailed, "Phone numbers of this kind are not accepted")
)

var errNoProvider = fault.New(fault.UnexpectedFailure, "Unable to get SMS provider")

// Admit refuses a number that no message may go to. It looks nothing up.
func (d *Desk) Admit(number string) error {
	if _, ok := d.fixed(number); ok {
		return nil
	}
	switch d.Toll.Check(number).Refused {
	case "":
		return nil
	case sms.DeniedCountry:
		return errCountry
	case sms.DeniedRange:
		return errRange
	default:
		return errNumber
	}
}

// Afford refuses a message where nothing sends any, or that the number, its range or the server may not get any
// more, and takes it from the server's quota. It is asked outside of the transaction
// that writes the message, whether or not the number has an account; nothing that is
// refused here takes from the quota.
func (d *Desk) Afford(ctx context.Context, number string) error {
	if _, ok := d.fixed(number); ok {
		return nil
	}
	if !d.Carrier.sends() {
		return errNoProvider
	}
	now := d.Now()
	for _, t := range d.tolls(number) {
		n, until, err := d.Store.Counted(ctx, t.counter, now)
		if err != nil {
			return err
		}
		if n >= t.most && !stray(until, now, t.during) {
			return t.refused(until.Sub(now))
		}
	}
	return d.Guard.Text(ctx)
}

// Waiting refuses a message of a kind that comes too soon after another, without
// counting, outside of a transaction: whoever comes too soon takes nothing from the
// server's quota.
func (d *Desk) Waiting(ctx context.Context, kind Kind, counted string) error {
	if d.Every <= 0 {
		return nil
	}
	now := d.Now()
	n, until, err := d.Store.Counted(ctx, d.frequency(kind, counted), now)
	if err != nil || n == 0 || stray(until, now, d.Every) {
		return err
	}
	return Wait(until.Sub(now))
}

// TooSoon counts a request for a message of a kind to a number, whether or not the
// number has an account, and gives how long to wait; zero if the message may go. Unless
// that is too soon, it is counted against the number's and its range's limits, whose end
// is an error.
func (d *Desk) TooSoon(ctx context.Context, tx store.Counters, kind Kind, number string) (time.Duration, error) {
	wait, err := d.Again(ctx, tx, kind, number)
	if err != nil || wait > 0 {
		return wait, err
	}
	if _, ok := d.fixed(number); ok {
		return 0, nil
	}
	for _, t := range d.tolls(number) {
		n, until, err := count(ctx, tx, t.counter, d.Now(), t.during)
		if err != nil {
			return 0, err
		}
		if n > t.most {
			return 0, t.refused(until.Sub(d.Now()))
		}
	}
	return 0, nil
}

// Again counts a request for a message of a kind against the frequency of whatever is
// counted, and gives how long to wait.
func (d *Desk) Again(ctx context.Context, tx store.Counters, kind Kind, counted string) (time.Duration, error) {
	if d.Every <= 0 {
		return 0, nil
	}
	now := d.Now()
	n, until, err := count(ctx, tx, d.frequency(kind, counted), now, d.Every)
	if err != nil || n <= 1 {
		return 0, err
	}
	return until.Sub(now), nil
}

// count adds one to a counter. One that ends so late that the clock must have been set
// back since begins anew: nobody waits for that.
func count(ctx context.Context, tx store.Counters, counter string, now time.Time, during time.Duration) (int64, time.Time, error) {
	n, until, err := tx.Count(ctx, counter, now, now.Add(during))
	if err != nil || !stray(until, now, during) {
		return n, until, err
	}
	if err := tx.DropCounter(ctx, counter); err != nil {
		return 0, until, err
	}
	return tx.Count(ctx, counter, now, now.Add(during))
}

// stray reports whether a counter ends later than it can. Clocks of several servers may
// differ a little.
func stray(until, now time.Time, during time.Duration) bool { return until.Sub(now) > 2*during }

// toll is a limit on what may be sent somewhere.
type toll struct {
	counter string
	during  time.Duration
	most    int64
	text    string
}

// refused is the answer where a toll is used up.
func (t toll) refused(wait time.Duration) error {
	return &fault.Error{Code: fault.OverSMSSendRateLimit, Message: t.text, RetryAfter: wait}
}

// The texts name no count: who pumps messages need not know how many go through.
const (
	overNumber = "Too many messages were sent to this number, please try again later"
	overRange  = "Too many messages were sent to numbers like this, please try again later"
)

// tolls are the limits that a message to a number counts against.
func (d *Desk) tolls(number string) []toll {
	limits := d.Toll.Limits.OrDefault()
	// What stands for nobody's number is in no range; all of them would share one count.
	block := cmp.Or(d.Toll.Check(number).Prefix, number)
	all := []toll{
		{d.counter("sms hour", number), time.Hour, int64(limits.NumberHour), overNumber},
		{d.counter("sms day", number), 24 * time.Hour, int64(limits.NumberDay), overNumber},
		{d.counter("sms range", block), time.Hour, int64(limits.PrefixHour), overRange},
	}
	return slices.DeleteFunc(all, func(t toll) bool { return t.most < 0 })
}

// frequency names the counter of a kind of message to a number or for an account.
func (d *Desk) frequency(kind Kind, counted string) string {
	return d.counter("sms frequency", string(kind), counted)
}

// counter names a counter without showing the number.
func (d *Desk) counter(purpose string, parts ...string) string {
	data := make([][]byte, len(parts))
	for i, p := range parts {
		data[i] = []byte(p)
	}
	return "sms:" + hex.EncodeToString(d.MAC(purpose, data...)[:16])
}

// Wait is the answer to a request that comes too soon.
func Wait(d time.Duration) error {
	seconds := int64((d + time.Second - 1) / time.Second)
	f := fault.New(fault.OverSMSSendRateLimit, "For security purposes, you can only request this after %d seconds.", seconds)
	f.RetryAfter = d
	return f
}
