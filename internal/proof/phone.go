package proof

import (
	"context"
	"errors"
	"time"

	"github.com/truekeel/auth/fault"
	"github.com/truekeel/auth/internal/audit"
	"github.com/truekeel/auth/internal/guard"
	"github.com/truekeel/auth/internal/host"
	"github.com/truekeel/auth/internal/onetime"
	"github.com/truekeel/auth/internal/post"
	"github.com/truekeel/auth/internal/text"
	"github.com/truekeel/auth/internal/user"
	"github.com/truekeel/auth/mail"
	"github.com/truekeel/auth/sms"
	"github.com/truekeel/auth/store"
)

// The types of a verification by message, as clients name them.
const (
	TypeSMS         = "sms"
	TypePhoneChange = "phone_change"
)

// AskText is a request for a message to a number, whether or not it has an account.
type AskText struct {
	Audience string
	Phone    string
	Channel  string       // "" for a text message
	Data     store.Object // of an account that is made on the way
	// Create makes an account where there is none.
	Create bool
}

var (
	errTextOff   = fault.New(fault.PhoneProviderDisabled, "Unsupported phone provider")
	errResendOff = fault.New(fault.PhoneProviderDisabled, "Phone logins are disabled")
)

// Text sends a code with which the owner of a number signs in. A number without an
// account gets one, if people may sign up. The receipt is the service's id of the
// message, "" if it isn't known yet.
func (f *Flow) Text(ctx context.Context, q AskText) (receipt string, err error) {
	if err := f.openText(ctx, guard.OTP, &q, errTextOff); err != nil {
		return "", err
	}
	t := f.Host.Talk()
	create, err := f.mayCreate(ctx, t, q.draft(f.PhoneAutoConfirm), q.Create)
	if err != nil {
		return "", err
	}
	w := textWriter{Flow: f, talk: t, q: q, kind: text.Confirmation}
	return w.request(ctx, func(ctx context.Context, tx store.Store, u *store.User, known bool) (text.Sent, error) {
		if !known && !create {
			return f.Texts.Nothing(ctx, tx, q.Phone)
		}
		if !known {
			if err := w.newcomer(ctx, tx, u); err != nil {
				return text.Sent{}, err
			}
		}
		action, traits := audit.UserRecoveryRequested, map[string]any{"channel": q.Channel}
		if u.PhoneConfirmedAt.IsZero() {
			action, traits = audit.UserConfirmationRequested, q.traits()
		}
		return w.send(ctx, tx, u, u.Phone, store.PurposePhoneSignIn, action, traits)
	})
}

// ResendText sends the message of a sign-up again, if the account still needs it.
func (f *Flow) ResendText(ctx context.Context, q AskText) (receipt string, err error) {
	if err := f.openText(ctx, guard.Resend, &q, errResendOff); err != nil {
		return "", err
	}
	w := textWriter{Flow: f, q: q, kind: text.Confirmation}
	return w.request(ctx, func(ctx context.Context, tx store.Store, u *store.User, known bool) (text.Sent, error) {
		// A number without an account costs the same reads.
		acc, err := f.Accounts.Complete(ctx, tx, *u)
		if err != nil {
			return text.Sent{}, err
		}
		purpose, err := f.Accounts.Vouches(ctx, tx, acc, store.PurposePhoneConfirmation, store.PurposePhoneSignIn, time.Time{})
		if err != nil {
			return text.Sent{}, err
		}
		if !known || !u.PhoneConfirmedAt.IsZero() {
			return f.Texts.Nothing(ctx, tx, q.Phone)
		}
		return w.send(ctx, tx, u, u.Phone, purpose, audit.UserRecoveryRequested, map[string]any{"channel": q.Channel})
	})
}

// ResendPhoneChange sends the message of a pending change of number again. The account
// is found by its present number; the message goes to the other.
func (f *Flow) ResendPhoneChange(ctx context.Context, q AskText) (receipt string, err error) {
	if err := f.openText(ctx, guard.Resend, &q, errResendOff); err != nil {
		return "", err
	}
	w := textWriter{Flow: f, q: q, kind: text.Change}
	return w.request(ctx, func(ctx context.Context, tx store.Store, u *store.User, known bool) (text.Sent, error) {
		to := u.NewPhone
		if !known || to == "" {
			to = "0" + q.Phone // which is nobody's, and costs the same to count
		}
		wait, err := f.Texts.TooSoon(ctx, tx, text.Change, to)
		if fault.CodeOf(err) == fault.OverSMSSendRateLimit {
			wait, err = time.Second, nil // the answer doesn't tell that there is a change
		}
		if err != nil {
			return text.Sent{}, err
		}
		if to != u.NewPhone || wait > 0 || f.Texts.Admit(to) != nil {
			return f.Texts.Nothing(ctx, tx, to)
		}
		return w.send(ctx, tx, u, to, store.PurposePhoneChange, audit.UserConfirmationRequested, q.traits())
	})
}

// openText checks what can be checked without looking anybody up.
func (f *Flow) openText(ctx context.Context, d guard.Door, q *AskText, off error) error {
	if f.PhoneOff {
		return off
	}
	if err := f.Guard.Client(ctx, d); err != nil {
		return err
	}
	channel, err := f.Texts.Channel(q.Channel)
	if err != nil {
		return err
	}
	phone, err := user.NormalizePhone(q.Phone)
	if err != nil {
		return err
	}
	if err := user.CheckMetadata(q.Data); err != nil {
		return err
	}
	q.Phone, q.Channel = phone, string(channel)
	return f.Texts.Admit(phone)
}

// traits are what the audit log keeps of a request.
func (q AskText) traits() map[string]any {
	return map[string]any{"provider": user.PhoneProvider, "channel": q.Channel}
}

// draft is the account that is made on the way.
func (q AskText) draft(verified bool) user.Draft {
	return user.Draft{Audience: q.Audience, Phone: q.Phone, UserMetadata: q.Data, Claims: true, PhoneVerified: verified}
}

// textWriter is a request for a message.
type textWriter struct {
	*Flow
	talk *host.Talk
	q    AskText
	kind text.Kind
}

// request runs what a message needs, once it is clear that the number may have one. How
// often is counted whether or not there is an account.
func (w textWriter) request(ctx context.Context, write func(context.Context, store.Store, *store.User, bool) (text.Sent, error)) (string, error) {
	if err := w.Texts.Waiting(ctx, w.kind, w.q.Phone); err != nil {
		return "", err
	}
	if err := w.Texts.Afford(ctx, w.q.Phone); err != nil {
		return "", err
	}
	// The message of a change goes to another number, which is counted where it is known.
	count := w.Texts.TooSoon
	if w.kind == text.Change {
		count = w.Texts.Again
	}
	for tries := 0; ; tries++ {
		var sent text.Sent
		err := w.talk.Tx(ctx, w.Store, func(tx store.Store) error {
			wait, err := count(ctx, tx, w.kind, w.q.Phone)
			if err != nil {
				return err
			}
			if wait > 0 {
				return text.Wait(wait)
			}
			u, known, err := user.ByAddress(ctx, tx, w.q.Audience, "", w.q.Phone)
			if err != nil {
				return err
			}
			sent, err = write(ctx, tx, &u, known)
			return err
		})
		switch {
		case errors.Is(err, store.ErrConflict) && tries < 3:
			continue
		case errors.Is(err, store.ErrConflict):
			return "", text.Wait(time.Second) // see Flow.request
		case err != nil:
			return "", err
		}
		return w.Texts.SeeOff(ctx, sent)
	}
}

// newcomer makes an account without a password. Where numbers need no proof it is
// confirmed; the code is needed to come in all the same.
func (w textWriter) newcomer(ctx context.Context, tx store.Store, u *store.User) error {
	acc, err := w.Accounts.Create(ctx, tx, w.talk, w.q.draft(w.PhoneAutoConfirm))
	if err != nil {
		return err
	}
	if w.PhoneAutoConfirm {
		if err := w.Audit.Add(ctx, tx, audit.Of(&acc.User), audit.UserSignedUp, w.q.traits()); err != nil {
			return err
		}
		if err := w.Accounts.ConfirmPhone(ctx, tx, w.talk, &acc); err != nil {
			return err
		}
	}
	*u = acc.User
	return nil
}

// send writes one message.
func (w textWriter) send(ctx context.Context, tx store.Store, u *store.User, to string, p store.Purpose, action audit.Action, traits map[string]any) (text.Sent, error) {
	if err := w.Audit.Add(ctx, tx, audit.Of(u), action, traits); err != nil {
		return text.Sent{}, err
	}
	sent, err := w.Texts.Write(ctx, tx, text.Note{Kind: w.kind, User: u, To: to, Purpose: p, Channel: sms.Channel(w.q.Channel)})
	if err != nil {
		return sent, err
	}
	return sent, w.Accounts.Save(ctx, tx, u)
}

// taken is the answer where the address or number of a proof became another's meanwhile.
func (q Verification) taken() error {
	if q.Phone != "" {
		return user.ErrPhoneExists
	}
	return user.ErrEmailExists
}

// findPhone looks the token of a code up that was sent to a number.
func (f *Flow) findPhone(ctx context.Context, q Verification) (token store.OneTimeToken, miss error, err error) {
	var candidates []onetime.Candidate
	switch q.Type {
	case TypeSMS:
		var u store.User
		u, _, err = user.ByAddress(ctx, f.Store, q.Audience, "", q.Phone)
		// Where a service checks the code it may be either's: then that which vouches
		// for no password counts.
		candidates = []onetime.Candidate{
			{UserID: u.ID, Purpose: store.PurposePhoneSignIn}, {UserID: u.ID, Purpose: store.PurposePhoneConfirmation},
		}
	case TypePhoneChange:
		candidates, err = f.pending(ctx, q.Phone, store.PurposePhoneChange)
	}
	if err != nil {
		return token, nil, err
	}
	token, err = f.Texts.ByCode(ctx, q.Phone, q.Code, candidates...)
	return token, onetime.ErrCode, err
}

// enterByPhone lets in who has the code that was sent to the account's number, and
// proves the number. A password that was chosen before anybody had proved anything goes,
// unless the code is that sign-up's own and nobody waits for that of a sign-in, which looks
// the same.
func (r *redemption) enterByPhone(ctx context.Context, tx store.Store) error {
	u := &r.account.User
	traits := map[string]any{"provider": user.PhoneProvider}
	entering, err := user.Waiting(ctx, tx, u.ID, store.PurposePhoneSignIn, r.Now())
	if err != nil {
		return err
	}
	entering = entering || r.token.Purpose == store.PurposePhoneSignIn
	if err := tx.DeleteOneTimeTokens(ctx, u.ID, store.PurposePhoneSignIn, store.PurposePhoneConfirmation); err != nil {
		return err
	}
	if !u.PhoneConfirmedAt.IsZero() {
		r.setPassword(u)
		if err := r.talk.At(host.Entering, u); err != nil {
			return err
		}
		return r.Audit.Add(ctx, tx, audit.Of(u), audit.Login, traits)
	}
	if err := r.Audit.Add(ctx, tx, audit.Of(u), audit.UserSignedUp, traits); err != nil {
		return err
	}
	if entering && u.EmailConfirmedAt.IsZero() {
		if _, err := r.Accounts.Evict(ctx, tx, &r.account, user.KeepOwn); err != nil {
			return err
		}
	}
	r.setPassword(u)
	return r.Accounts.ConfirmPhone(ctx, tx, r.talk, &r.account)
}

// changePhone makes the new number the account's own.
func (r *redemption) changePhone(ctx context.Context, tx store.Store) error {
	u := &r.account.User
	if u.NewPhone == "" || u.Audience != r.q.Audience {
		return r.miss
	}
	if _, taken, err := user.ByAddress(ctx, tx, u.Audience, "", u.NewPhone); err != nil {
		return err
	} else if taken {
		return user.ErrPhoneExists
	}
	if err := r.Audit.Add(ctx, tx, audit.Of(u), audit.UserModified, nil); err != nil {
		return err
	}
	old := u.Phone
	if err := r.Accounts.SetPhone(ctx, tx, r.talk, &r.account, u.NewPhone, true); err != nil {
		return err
	}
	sent, err := r.Post.Notice(ctx, tx, post.Letter{Kind: mail.PhoneChanged, User: u, To: u.Email, OldPhone: old})
	r.sent = append(r.sent, sent...)
	return err
}
