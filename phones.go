package auth

import (
	"context"
	"fmt"
	"slices"

	"github.com/truekeel/auth/internal/guard"
	"github.com/truekeel/auth/internal/onetime"
	"github.com/truekeel/auth/internal/text"
	"github.com/truekeel/auth/mail"
	"github.com/truekeel/auth/sms"
)

// checkPhones refuses numbers that nobody could prove.
func (a *Auth) checkPhones() error {
	s := &a.set
	if s.phones && a.public() && s.sms == nil && !s.textsElsewhere() && !s.smsAuto {
		return fmt.Errorf("auth: WithPhoneSignIn: %s is public and nothing sends messages; add WithSMS, Hooks.SendSMS or WithSMSAutoConfirm", s.siteURL)
	}
	return nil
}

// makeCarrier makes what brings messages to phones: the host's sender, or the
// development inbox.
func (a *Auth) makeCarrier() error {
	s := &a.set
	if s.sms == nil && !s.textsElsewhere() && s.phones && !a.public() {
		kept := &sms.Inbox{}
		s.sms = kept
		a.openInbox().Beside = func() []mail.Note { return notesOf(kept) }
	}
	s.sms = sms.WithClient(s.sms, s.client)
	if c, ok := s.sms.(interface{ CloseIdleConnections() }); ok {
		a.onClose(func(context.Context) error { c.CloseIdleConnections(); return nil })
	}
	t, err := text.ParseTemplate(s.smsTemplate, s.smsCodes.Length)
	if err != nil {
		return fmt.Errorf("auth: WithSMSTemplate: %w", err)
	}
	a.carrier = &text.Carrier{Store: a.store, Now: s.now, Sender: s.sms, Instead: a.textInstead(), Template: t}
	return nil
}

// notesOf are the messages that are kept for development.
func notesOf(kept *sms.Inbox) []mail.Note {
	var notes []mail.Note
	for _, m := range slices.Backward(kept.Messages()) {
		notes = append(notes, mail.Note{To: "+" + m.To, Text: m.Body})
	}
	return notes
}

// makeDesk makes what writes messages to phones.
func (a *Auth) makeDesk(limits *guard.Guard) *text.Desk {
	s := &a.set
	codes := onetime.New(onetime.Config{
		Store: a.store, Now: s.now, MAC: a.box.MAC, MACs: a.box.MACs, CodeLength: s.smsCodes.Length,
		LinkLife: s.smsCodes.Life, CodeLife: s.smsCodes.Life, MaxGuesses: s.codes.MaxGuesses, MaxPerHour: int64(s.codes.MaxPerHour),
	})
	return text.New(text.Config{
		Store: a.store, Outbox: a.outbox, Carrier: a.carrier, Tokens: codes, Guard: limits, Now: s.now, Logger: s.logger, MAC: a.box.MAC,
		Sync: s.sync, Every: s.smsEvery, Toll: s.smsGuard, Test: s.testNumbers, TestUntil: s.testUntil,
	})
}

// smsProvider is the name of the service that sends messages; "" if it has none.
func (s *settings) smsProvider() string {
	if named, ok := s.sms.(interface{ Name() string }); ok && s.phones {
		return named.Name()
	}
	return ""
}
