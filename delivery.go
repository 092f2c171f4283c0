package auth

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/truekeel/auth/internal/outbox"
	"github.com/truekeel/auth/internal/post"
	"github.com/truekeel/auth/internal/text"
	"github.com/truekeel/auth/mail"
	"github.com/truekeel/auth/sms"
)

// makeOutbox makes what sends mails after the commit.
func (a *Auth) makeOutbox(context.Context) error {
	s := &a.set
	handlers := map[string]outbox.Handler{}
	send, name, err := a.sender()
	if err != nil {
		return err
	}
	handlers[post.OutboxKind] = send
	if err := a.makeCarrier(); err != nil {
		return err
	}
	handlers[text.OutboxKind] = a.carrier.Deliver // also of what waits since phones were on
	switch {
	case a.remote.after != nil:
		handlers[userCreated] = a.tellCreatedElsewhere
	case s.hooks.AfterUserCreated != nil:
		handlers[userCreated] = a.tellCreated
	}
	a.outbox, err = outbox.New(outbox.Config{
		Store: a.store, Sealer: a.box, Handlers: handlers, Domain: a.mailDomain(), Explain: a.explainer(), Sync: s.sync, GiveUpAfter: s.giveUpAfter,
		Sender: hex.EncodeToString(a.box.MAC("outbox sender", []byte(name), []byte(a.where.Site))[:12]),
		Now:    s.now, Logger: s.logger, Permanent: permanent, Observe: ifObserved(s, s.tellOutbox), Workers: a.workers(), Known: a.served,
	})
	if err != nil {
		return err
	}
	a.onClose(a.outbox.Close)
	return nil
}

// sender gives what delivers a mail, and a name by which processes with the same sender
// know each other.
func (a *Auth) sender() (outbox.Handler, string, error) {
	s := &a.set
	if a.remote.email != nil {
		return a.mailElsewhere, "hook", nil
	}
	if s.sendMail != nil {
		return func(ctx context.Context, d outbox.Delivery) error {
			e, err := eventOf(d)
			if err != nil {
				return err
			}
			return s.sendMail(ctx, e)
		}, "host", nil
	}
	mailer, name := s.mailer, fmt.Sprintf("%T", s.mailer)
	if smtp, ok := mailer.(mail.SMTP); ok {
		name = fmt.Sprintf("smtp %s %d %s %s", smtp.Host, smtp.Port, smtp.User, smtp.From)
	}
	if mailer == nil {
		mailer, name = a.openInbox(), "inbox"
	}
	s.renderer.SiteURL, s.renderer.Now, s.renderer.Logger = a.where.Site, s.now, s.logger
	renderer, err := mail.NewRenderer(s.renderer)
	if err != nil {
		return nil, "", fmt.Errorf("auth: WithMailTemplate, WithMailTemplates, WithMailLocale: %w", err)
	}
	return func(ctx context.Context, d outbox.Delivery) error {
		e, err := eventOf(d)
		if err != nil {
			return err
		}
		m, err := renderer.Render(ctx, e)
		if err != nil {
			return err
		}
		return mailer.Send(ctx, m)
	}, name, nil
}

// openInbox makes the development inbox, once.
func (a *Auth) openInbox() *mail.Mailbox {
	if a.inbox == nil {
		a.inbox = &mail.Mailbox{}
		key := make([]byte, 16)
		_, _ = rand.Read(key) // never fails: crypto/rand.Read ends the process instead
		a.inboxKey = hex.EncodeToString(key)
	}
	return a.inbox
}

// permanent reports failures of a mailer or a sender that another attempt can't mend.
func permanent(err error) bool { return mail.Permanent(err) || sms.Permanent(err) }

func eventOf(d outbox.Delivery) (mail.Event, error) {
	var e mail.Event
	err := d.Decode(&e)
	e.MessageID = d.MessageID
	return e, err
}

// workers is how many mails are delivered at once: zero for the usual number. A mailbox
// shows them in the order in which they were asked for.
func (a *Auth) workers() int {
	if _, kept := a.set.mailer.(*mail.Mailbox); kept || a.inbox != nil {
		return 1
	}
	return 0
}

// mailDomain is the domain of message ids: the sender's, else the site's.
func (a *Auth) mailDomain() string {
	if smtp, ok := a.set.mailer.(mail.SMTP); ok {
		_, domain, _ := strings.Cut(smtp.From, "@")
		return domain
	}
	u, err := url.Parse(a.where.Site)
	if err != nil {
		return ""
	}
	return u.Hostname()
}

// explainer lets the errors of our own SMTP be logged, which hold no secret; of those of
// a host's mailer only the sort is.
func (a *Auth) explainer() func(error) string {
	if _, ok := a.set.mailer.(mail.SMTP); !ok {
		return nil
	}
	return func(err error) string { return err.Error() }
}

// Deliver sends the mails and events that are due now and waits for them. The library does
// so by itself; this is for programs that end, and for tests: as long as others keep
// asking for mails it goes on, until ctx ends.
func (a *Auth) Deliver(ctx context.Context) error {
	return errors.Join(a.outbox.Flush(ctx), a.events.Flush(ctx))
}
