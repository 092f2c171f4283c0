// Package sms sends the codes that prove a phone number: the interface [Sender], the
// services that implement it, and guards against those who have expensive numbers called
// up at somebody else's cost.
//
// The services are [Twilio], [TwilioVerify], [MessageBird], [TextLocal] and [Vonage];
// [Inbox] keeps messages for development and tests; any function can be a Sender by way
// of [Func]. [Guard] says which numbers are worth a message.
package sms

import (
	"context"
	"errors"
	"fmt"
	"net/http"
)

// Channel is how a message reaches a phone.
type Channel string

// The channels.
const (
	Text     Channel = "sms"
	WhatsApp Channel = "whatsapp"
)

// Message is one message that carries a code.
type Message struct {
	// ID is the same at every attempt to deliver the message.
	ID string
	// To is the number in E.164, without the plus sign.
	To string
	// Channel is how it goes; "" is [Text].
	Channel Channel
	// Body is the whole text, the code included.
	Body string
	// Code is the code alone, for services that have the text themselves. It is empty
	// for a [Checker], which makes its own.
	Code string
}

// Sender sends messages. It must be safe for concurrent use.
type Sender interface {
	// Send hands a message to the service and gives the service's id of it, "" if it
	// has none. An error must hold neither the code nor the body. It may be called
	// again with the same message after an error, unless [Permanent] holds for it.
	Send(ctx context.Context, m Message) (id string, err error)
}

// Checker is what a Sender implements whose service makes the code and checks it.
type Checker interface {
	Sender
	// Check reports whether code is the one that the service last sent to a number.
	// An error means that the service couldn't say. The service may agree to a code once
	// only: the library keeps what it agreed to.
	Check(ctx context.Context, to, code string) (bool, error)
}

// Func is a function that is a [Sender] of text messages.
type Func func(ctx context.Context, m Message) (id string, err error)

// Send calls f.
func (f Func) Send(ctx context.Context, m Message) (string, error) { return f(ctx, m) }

// WithClient gives a Sender that makes its requests with client, if it makes any and has
// no client of its own: one with a method WithClient(*http.Client) Sender. Another one is
// given back as it is.
func WithClient(s Sender, client *http.Client) Sender {
	if own, ok := s.(interface {
		WithClient(client *http.Client) Sender
	}); ok && client != nil {
		return own.WithClient(client)
	}
	return s
}

// Supports reports whether a Sender can use a channel. All can use [Text]; for others a
// Sender says so by a method Supports(Channel) bool.
func Supports(s Sender, c Channel) bool {
	if c == Text || c == "" {
		return true
	}
	own, ok := s.(interface{ Supports(c Channel) bool })
	return ok && own.Supports(c)
}

// ErrPermanent marks a failure that another attempt can't mend: the service refused the
// number or the message for good. Senders wrap it; see [Permanent].
var ErrPermanent = errors.New("sms: refused for good")

// Permanent reports whether err means that sending the same message again is useless.
func Permanent(err error) bool { return errors.Is(err, ErrPermanent) }

// Error is what a service said instead of taking a message, or of checking a code. It
// holds neither the code nor the body, the number or the credentials, even if the service
// repeated them.
type Error struct {
	// Service is the service's name, such as "twilio".
	Service string
	// Status is the HTTP status of its answer.
	Status int
	// Code is the service's own code of the error; "" if it gave none.
	Code string
	// Message is what it said, in one line; "" if it said nothing that can be read.
	Message string

	permanent bool
}

// Error is the message with the service's name.
func (e *Error) Error() string {
	switch {
	case e.Message != "":
		return fmt.Sprintf("sms: %s: %s", e.Service, e.Message)
	case e.Code != "":
		return fmt.Sprintf("sms: %s: refused with code %s", e.Service, e.Code)
	}
	return fmt.Sprintf("sms: %s: no usable answer (status %d)", e.Service, e.Status)
}

// Is makes [Permanent] hold for refusals that are for good.
func (e *Error) Is(target error) bool { return e.permanent && target == ErrPermanent }

// errChannel refuses a channel that a service doesn't have.
func errChannel(service string, c Channel) error {
	return fmt.Errorf("%w: %s has no channel %q", ErrPermanent, service, c)
}
