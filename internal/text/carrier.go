package text

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"text/template"
	"time"
	"unicode"

	"github.com/google/uuid"

	"github.com/truekeel/auth/fault"
	"github.com/truekeel/auth/internal/outbound"
	"github.com/truekeel/auth/internal/outbox"
	"github.com/truekeel/auth/sms"
	"github.com/truekeel/auth/store"
)

// DefaultTemplate is GoTrue's.
const DefaultTemplate = "Your code is {{ .Code }}"

// variables are what a template can show.
type variables struct{ Code string }

// maxBody is how long a message may be: ten parts of a text message.
const maxBody = 1530

// ParseTemplate reads the template of messages and tries it with a code of so many
// digits.
func ParseTemplate(source string, digits int) (*template.Template, error) {
	t, err := template.New("sms").Option("missingkey=error").Parse(source)
	if err != nil {
		return nil, fmt.Errorf("the template can't be read: %w", err)
	}
	sample := strings.Repeat("7", digits)
	body, err := render(t, sample)
	switch {
	case err != nil:
		return nil, fmt.Errorf("the template fails: %w; it may use {{ .Code }} alone", err)
	case !strings.Contains(body, sample):
		return nil, errors.New("the template doesn't show the code; put {{ .Code }} into it")
	case len(body) > maxBody:
		return nil, fmt.Errorf("the message has %d bytes, over %d", len(body), maxBody)
	}
	return t, nil
}

func render(t *template.Template, code string) (string, error) {
	var b strings.Builder
	err := t.Execute(&b, variables{Code: code})
	return b.String(), err
}

// Carrier brings messages to the service. It is safe for concurrent use.
type Carrier struct {
	Store store.Users
	Now   func() time.Time
	// Sender is the service. Nil if Instead is there, or nothing is ever sent.
	Sender sms.Sender
	// Instead, if not nil, is called in place of the service, with the user whom the
	// message is for. It gets codes of ours also where the service makes its own.
	Instead func(ctx context.Context, m sms.Message, u store.User) error
	// Template is the text of messages.
	Template *template.Template

	mu       sync.Mutex
	expected map[uuid.UUID]string // the service's ids of messages that somebody waits for
}

// payload is a message in the outbox.
type payload struct {
	To      string
	Channel sms.Channel
	Code    string    `json:",omitempty"`
	Until   time.Time // when the code ends
	UserID  uuid.UUID
}

var errLate = fmt.Errorf("%w: the code ended before the service took the message", outbox.ErrPermanent)

// Deliver hands a message to the service. It is the outbox's handler.
func (c *Carrier) Deliver(ctx context.Context, d outbox.Delivery) error {
	var p payload
	if err := d.Decode(&p); err != nil {
		return err
	}
	if !c.Now().Before(p.Until) {
		return errLate // a code that is good for nothing isn't paid for
	}
	m := sms.Message{ID: d.MessageID, To: p.To, Channel: p.Channel, Code: p.Code}
	if p.Code != "" {
		var err error
		if m.Body, err = render(c.Template, p.Code); err != nil {
			return err
		}
	}
	receipt, err := c.send(ctx, m, p.UserID)
	if err != nil {
		return scrubbed(err, p.Code, p.To)
	}
	c.deposit(d.ID, receipt)
	return nil
}

var errNoSender = errors.New("text: nothing sends messages")

func (c *Carrier) send(ctx context.Context, m sms.Message, id uuid.UUID) (receipt string, err error) {
	if c.Instead == nil {
		if c.Sender == nil {
			return "", errNoSender
		}
		return c.Sender.Send(ctx, m)
	}
	u, err := c.Store.User(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		return "", nil // gone again: there is nobody to write to
	}
	if err != nil {
		return "", err
	}
	return "", c.Instead(ctx, m, u)
}

// sends reports whether there is anything that sends.
func (c *Carrier) sends() bool { return c.Sender != nil || c.Instead != nil }

// checker is the service if it makes and checks the codes itself; nil if they are ours.
func (c *Carrier) checker() sms.Checker {
	checker, ok := c.Sender.(sms.Checker)
	if !ok || c.Instead != nil {
		return nil
	}
	return checker
}

// supports reports whether messages can go by a channel.
func (c *Carrier) supports(channel sms.Channel) bool {
	return c.Instead != nil || sms.Supports(c.Sender, channel)
}

// expect keeps the id that the service will give a message, until forget.
func (c *Carrier) expect(id uuid.UUID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.expected == nil {
		c.expected = map[uuid.UUID]string{}
	}
	c.expected[id] = ""
}

func (c *Carrier) deposit(id uuid.UUID, receipt string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.expected[id]; ok {
		c.expected[id] = receipt
	}
}

func (c *Carrier) receipt(id uuid.UUID) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.expected[id]
}

func (c *Carrier) forget(id uuid.UUID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.expected, id)
}

// Failure is why a service didn't take a message, in words that hold neither the code nor
// the number. It wraps the service's own error, whose words may.
type Failure struct {
	Said  string // for the client
	words string // for the log
	cause error
}

// Error gives the words for the log.
func (f *Failure) Error() string { return "text: " + f.words }

// Unwrap gives the service's own error.
func (f *Failure) Unwrap() error { return f.cause }

// noAnswer is what a client is told of a service that wasn't reached: what the network
// says names addresses.
const noAnswer = "the service gave no answer"

// scrubbed makes a [Failure] of a service's error.
func scrubbed(err error, secrets ...string) error {
	words, told := wordsOf(err)
	f := &Failure{words: printable(words, secrets), cause: err}
	if f.Said = f.words; !told {
		f.Said = noAnswer
	}
	return f
}

// maxSaid bounds what is repeated of a service's words.
const maxSaid = 300

// printable is what may be repeated of a service's words.
func printable(words string, secrets []string) string {
	words = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, strings.ToValidUTF8(words, ""))
	for _, s := range secrets {
		if s != "" {
			words = strings.ReplaceAll(words, s, "...")
		}
	}
	if len(words) > maxSaid {
		words = strings.ToValidUTF8(words[:maxSaid], "") + "..."
	}
	return words
}

// wordsOf are the service's own, without the name of the account that pays, which is a
// part of where the request went. told says that the client may see them.
func wordsOf(err error) (words string, told bool) {
	if e := (*sms.Error)(nil); errors.As(err, &e) && e.Message != "" {
		return e.Message, true
	}
	if f := (*fault.Error)(nil); errors.As(err, &f) {
		return f.Message, true
	}
	if outbound.Broke(err) {
		return strings.TrimPrefix(outbound.Cause(err).Error(), "sms: "), false
	}
	return strings.TrimPrefix(err.Error(), "sms: "), true
}

// said is what a client is told of a failure.
func said(err error) string {
	if f := (*Failure)(nil); errors.As(err, &f) {
		return f.Said
	}
	return "the message could not be handed over"
}
