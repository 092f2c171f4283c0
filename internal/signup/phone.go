package signup

import (
	"context"

	"github.com/truekeel/auth/fault"
	"github.com/truekeel/auth/internal/audit"
	"github.com/truekeel/auth/internal/text"
	"github.com/truekeel/auth/internal/user"
	"github.com/truekeel/auth/sms"
	"github.com/truekeel/auth/store"
)

var errPhonePKCE = fault.New(fault.ValidationFailed, "PKCE not supported for phone signups")

// admitPhone checks a sign-up by number.
func (f *Flow) admitPhone(q *Request) error {
	if f.PhoneOff {
		return errPhoneOff
	}
	if q.Challenge.Given() {
		return errPhonePKCE
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

// afford takes the message of a sign-up from what number and server may get, unless it
// comes so soon after another that none will be sent.
func (f *Flow) afford(ctx context.Context, q Request) error {
	err := f.Texts.Waiting(ctx, text.Confirmation, q.Phone)
	if fault.CodeOf(err) == fault.OverSMSSendRateLimit {
		return nil
	}
	if err != nil {
		return err
	}
	return f.Texts.Afford(ctx, q.Phone)
}

// traits are what the audit log keeps of a sign-up.
func (q Request) traits() map[string]any {
	if q.Phone != "" {
		return map[string]any{"provider": user.PhoneProvider, "channel": q.Channel}
	}
	return map[string]any{"provider": user.EmailProvider}
}

// askPhone sends the message that proves the number; see ask.
func (f *Flow) askPhone(ctx context.Context, tx store.Store, q Request, a *attempt) error {
	wait, err := f.Texts.TooSoon(ctx, tx, text.Confirmation, q.Phone)
	if err != nil {
		return err
	}
	if wait > 0 {
		a.text, err = f.Texts.Nothing(ctx, tx, q.Phone)
		return err
	}
	if a.restate != nil {
		if err := f.Accounts.Restate(ctx, tx, &a.account, *a.restate); err != nil {
			return err
		}
	}
	u := &a.account.User
	if err := f.Audit.Add(ctx, tx, audit.Of(u), audit.UserConfirmationRequested, q.traits()); err != nil {
		return err
	}
	purpose, err := f.Accounts.Vouches(ctx, tx, a.account, store.PurposePhoneConfirmation, store.PurposePhoneSignIn, f.Now())
	if err != nil {
		return err
	}
	a.text, err = f.Texts.Write(ctx, tx, text.Note{
		Kind: text.Confirmation, User: u, To: u.Phone, Purpose: purpose, Channel: sms.Channel(q.Channel),
	})
	if err != nil {
		return err
	}
	return f.Accounts.Save(ctx, tx, u)
}

// tellNobody is tell for a number. Its owner gets no message: it would cost money, and
// it would hold no code for him to keep.
func (f *Flow) tellNobody(ctx context.Context, tx store.Store, q Request, a *attempt) error {
	if _, err := f.Texts.TooSoon(ctx, tx, text.Confirmation, q.Phone); err != nil {
		return err
	}
	var err error
	a.text, err = f.Texts.Nothing(ctx, tx, q.Phone)
	return err
}
