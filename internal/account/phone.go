package account

import (
	"context"
	"errors"
	"time"

	"github.com/truekeel/auth/internal/audit"
	"github.com/truekeel/auth/internal/post"
	"github.com/truekeel/auth/internal/text"
	"github.com/truekeel/auth/internal/user"
	"github.com/truekeel/auth/mail"
	"github.com/truekeel/auth/sms"
	"github.com/truekeel/auth/store"
)

// admitPhone checks a new number.
func (f *Flow) admitPhone(q *Update) error {
	if q.Phone == "" {
		return nil
	}
	if f.PhoneOff {
		return errPhoneOff
	}
	channel, err := f.Texts.Channel(q.Channel)
	if err != nil {
		return err
	}
	phone, err := user.NormalizePhone(q.Phone)
	if err != nil {
		return err
	}
	q.Phone, q.Channel = phone, string(channel)
	return f.Texts.Admit(phone)
}

// affordable takes the message of a change of number from what the number and the server
// may get.
func (f *Flow) affordable(ctx context.Context, c Caller, q Update) error {
	if f.PhoneAutoConfirm {
		return nil
	}
	for _, counted := range []string{c.User.ID.String(), q.Phone} {
		if err := f.Texts.Waiting(ctx, text.Change, counted); err != nil {
			return err
		}
	}
	return f.Texts.Afford(ctx, q.Phone)
}

// setPhone asks for the proof of another number, or takes it at once.
func (e *edit) setPhone(ctx context.Context, tx store.Store, u *store.User) error {
	if e.PhoneAutoConfirm {
		return e.takePhone(ctx, tx, u)
	}
	// The account is counted too: it can't write to one number after the other.
	wait, err := e.Texts.Again(ctx, tx, text.Change, u.ID.String())
	if err == nil && wait == 0 {
		wait, err = e.Texts.TooSoon(ctx, tx, text.Change, e.q.Phone)
	}
	if err != nil {
		return err
	}
	if wait > 0 {
		return text.Wait(wait)
	}
	u.NewPhone = e.q.Phone
	e.text, err = e.Texts.Write(ctx, tx, text.Note{
		Kind: text.Change, User: u, To: u.NewPhone, Purpose: store.PurposePhoneChange, Channel: sms.Channel(e.q.Channel),
	})
	if err != nil {
		return err
	}
	return e.Accounts.Save(ctx, tx, u)
}

// takePhone makes another number the account's own without a proof.
func (e *edit) takePhone(ctx context.Context, tx store.Store, u *store.User) error {
	old := u.Phone
	if err := e.Accounts.SetPhone(ctx, tx, e.talk, &e.account, e.q.Phone, true); err != nil {
		return err
	}
	sent, err := e.Post.Notice(ctx, tx, post.Letter{Kind: mail.PhoneChanged, User: u, To: u.Email, OldPhone: old})
	e.sent = append(e.sent, sent...)
	return err
}

// reauthenticateByText sends the code of a reauthentication to the caller's phone.
func (f *Flow) reauthenticateByText(ctx context.Context, c Caller) (receipt string, err error) {
	to := c.User.Phone
	if err := f.Texts.Admit(to); err != nil {
		return "", err
	}
	if err := f.Texts.Waiting(ctx, text.Reauthentication, to); err != nil {
		return "", err
	}
	if err := f.Texts.Afford(ctx, to); err != nil {
		return "", err
	}
	var sent text.Sent
	err = f.Store.Tx(ctx, func(tx store.Store) error {
		u, err := tx.User(ctx, c.User.ID)
		if err := there(u, err); err != nil {
			return err
		}
		wait, err := f.Texts.TooSoon(ctx, tx, text.Reauthentication, to)
		if err != nil {
			return err
		}
		if wait > 0 {
			return text.Wait(wait)
		}
		if err := f.Audit.Add(ctx, tx, audit.Of(&u), audit.UserReauthenticate, nil); err != nil {
			return err
		}
		sent, err = f.Texts.Write(ctx, tx, text.Note{Kind: text.Reauthentication, User: &u, To: to, Purpose: store.PurposeReauthentication})
		if err != nil {
			return err
		}
		return f.Accounts.Save(ctx, tx, &u)
	})
	if errors.Is(err, store.ErrConflict) {
		return "", text.Wait(time.Second) // another request came at the same time
	}
	if err != nil {
		return "", err
	}
	return f.Texts.SeeOff(ctx, sent)
}
