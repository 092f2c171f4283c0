// Package guard holds the limits that the host's policy puts on requests, whichever
// dialect they come in: so many a minute from one client, so many mails and
// messages to phones an hour.
package guard

import (
	"context"
	"time"

	"github.com/truekeel/auth/fault"
	"github.com/truekeel/auth/internal/caller"
	"github.com/truekeel/auth/limit"
)

// Door names what is limited for each client address. Every door has its own count.
type Door string

// The doors.
const (
	SignUp     Door = "signup"
	Token      Door = "token"
	Verify     Door = "verify"
	OTP        Door = "otp"
	MagicLink  Door = "magiclink"
	Recover    Door = "recover"
	Resend     Door = "resend"
	UserUpdate Door = "user"
	Authorize  Door = "authorize"
	Captcha    Door = "captcha"
)

// Guard takes from limits. It is safe for concurrent use.
type Guard struct {
	limiter limit.Limiter
	doors   map[Door]limit.Rate
	mails   limit.Rate
	texts   limit.Rate
}

// Config is what Guard needs.
type Config struct {
	// Limiter keeps the counts; nil limits nothing.
	Limiter limit.Limiter
	// Doors are the rates for each client address; a door that isn't named is open.
	Doors map[Door]limit.Rate
	// Mails is the rate of mails of the whole server, Texts that of messages to phones.
	Mails, Texts limit.Rate
}

// New makes a Guard.
func New(c Config) *Guard {
	return &Guard{limiter: c.Limiter, doors: c.Doors, mails: c.Mails, texts: c.Texts}
}

// Client takes one request of the caller in ctx through a door.
func (g *Guard) Client(ctx context.Context, d Door) error {
	from := caller.From(ctx)
	rate, limited := g.doors[d]
	if g.limiter == nil || !limited || !from.Limitable {
		return nil
	}
	dec, err := g.limiter.Take(ctx, string(d)+":"+from.LimitKey(), rate)
	if err != nil {
		return closed(err)
	}
	if !dec.Allowed {
		return refused(fault.OverRequestRateLimit, "Request rate limit reached", dec.RetryAfter)
	}
	return nil
}

// Mail takes one mail from the server's quota. It is asked whether or not the address
// has an account, so that the answer tells nothing of it.
func (g *Guard) Mail(ctx context.Context) error {
	return g.quota(ctx, "mails", g.mails, fault.OverEmailSendRateLimit, "email rate limit exceeded")
}

// Text takes one message to a phone from the server's quota; see [Guard.Mail].
func (g *Guard) Text(ctx context.Context) error {
	return g.quota(ctx, "texts", g.texts, fault.OverSMSSendRateLimit, "SMS rate limit exceeded")
}

func (g *Guard) quota(ctx context.Context, key string, r limit.Rate, code fault.Code, text string) error {
	if g.limiter == nil || r == (limit.Rate{}) {
		return nil
	}
	dec, err := g.limiter.Take(ctx, key, r)
	if err != nil {
		return closed(err)
	}
	if !dec.Allowed {
		return refused(code, text, dec.RetryAfter)
	}
	return nil
}

// closed answers when the limiter doesn't: a limit that can't be checked is kept.
func closed(err error) error {
	return &fault.Error{Code: fault.Unavailable, Message: "The rate limiter does not answer", RetryAfter: time.Second, Cause: err}
}

func refused(code fault.Code, text string, wait time.Duration) error {
	return &fault.Error{Code: code, Message: text, RetryAfter: wait}
}
