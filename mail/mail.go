// Package mail makes the library's mails and hands them to a mail server.
//
// An [Event] says what happened (an account waits for its confirmation, a password was
// changed); a [Renderer] makes a [Message] of it in the reader's language; a [Mailer]
// delivers the message. [SMTP] is the Mailer for production, [Mailbox] the one for
// development and tests, and any function can be one by way of [Func].
package mail

import (
	"context"
	"errors"
	"regexp"
	"strings"
	"time"
)

// Message is one mail to one reader, ready to be sent.
type Message struct {
	// Kind is what the mail is about.
	Kind Kind
	// From is the sender, as an address or in the form "Name <address>"; "" for the
	// Mailer's own.
	From string
	// To is the reader's address, without a display name.
	To string
	// Subject is plain text of one line.
	Subject string
	// Text and HTML are two forms of the same content; one of them may be "".
	Text string
	HTML string
	// MessageID is the mail's id (RFC 5322 section 3.6.4) without its angle brackets. It
	// is the same at every attempt to deliver the mail. "" lets the Mailer make one.
	MessageID string
	// Headers are further header fields. The fields that a Message has a place for may
	// not be among them.
	Headers map[string][]string
	// Locale is the language that the mail is written in, as a BCP 47 tag; "" if unknown.
	Locale string
	// Date is when the mail was written; the zero time lets the Mailer fill it in.
	Date time.Time
}

// Mailer delivers messages.
type Mailer interface {
	// Send delivers m, or says why it couldn't. It returns nil only if somebody else
	// has taken on the responsibility for the mail. It gives up when ctx ends. An error
	// for which [Permanent] holds is not worth another attempt; after any other one the
	// same message, with the same MessageID, is sent again later. Errors hold neither
	// secrets nor the reader's address. Send is called from several goroutines.
	Send(ctx context.Context, m Message) error
}

// Func is a function that is a [Mailer].
type Func func(ctx context.Context, m Message) error

// Send calls f.
func (f Func) Send(ctx context.Context, m Message) error { return f(ctx, m) }

// ErrPermanent marks a failure that another attempt can't mend: the mail server refused
// the reader or the message for good (a 5xx answer), or the address is none. Mailers
// wrap it; see [Permanent].
var ErrPermanent = errors.New("mail: refused for good")

// Permanent reports whether err means that sending the same message again is useless.
func Permanent(err error) bool { return errors.Is(err, ErrPermanent) }

var (
	linkPattern = regexp.MustCompile(`https?://[^\s<>"']+`)
	codePattern = regexp.MustCompile(`(?m)(?:^|[\s:(])(\d{6,10})(?:$|[\s.,;:)、。])`)
)

// Link gives the link that the mail asks its reader to follow: the first one of its text
// that carries a token, else the first one at all; "" if there is none. It is for tests
// and for development.
func (m Message) Link() string {
	if info, ok := m.Kind.Info(); ok && info.LinkType == "" && m.Kind != AccountExists {
		return ""
	}
	links := linkPattern.FindAllString(m.plain(), -1)
	for i, l := range links {
		l = strings.TrimRight(l, ".,;:!?)]。、") // the sentence's, not the link's
		links[i] = l
		if strings.Contains(l, "token=") || strings.Contains(l, "token_hash=") {
			return l
		}
	}
	if len(links) == 0 {
		return ""
	}
	return links[0]
}

// Code gives the code of six to ten digits that the mail shows; "" if there is none. It is
// for tests and for development.
func (m Message) Code() string {
	if info, ok := m.Kind.Info(); ok && !info.Code {
		return ""
	}
	found := codePattern.FindStringSubmatch(linkPattern.ReplaceAllString(m.plain(), " "))
	if found == nil {
		return ""
	}
	return found[1]
}

// plain is the message as text, whichever form it has.
func (m Message) plain() string {
	if m.Text != "" {
		return m.Text
	}
	return textOf(m.HTML)
}
