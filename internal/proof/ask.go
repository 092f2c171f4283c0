package proof

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/truekeel/auth/fault"
	"github.com/truekeel/auth/internal/audit"
	"github.com/truekeel/auth/internal/guard"
	"github.com/truekeel/auth/internal/host"
	"github.com/truekeel/auth/internal/pkce"
	"github.com/truekeel/auth/internal/post"
	"github.com/truekeel/auth/internal/user"
	"github.com/truekeel/auth/mail"
	"github.com/truekeel/auth/store"
)

// Ask is a request for a mail to an address, whether or not it has an account.
type Ask struct {
	Audience   string
	Email      string
	Challenge  pkce.Challenge
	RedirectTo string
	Data       store.Object // of an account that is made on the way
	// Create makes an account where there is none.
	Create bool
}

var (
	errRecoverOff   = fault.New(fault.EmailProviderDisabled, "Email logins are disabled")
	errMagicLinkOff = fault.New(fault.EmailProviderDisabled, "Login with magic link is disabled")
	errNoOTP        = fault.New(fault.OTPDisabled, "Signups not allowed for otp")
	errNoSignUp     = fault.New(fault.SignupDisabled, "Signups not allowed for this instance")
)

// Recover sends a link with which the owner of an address sets a new password. The
// answer is the same for an address without an account.
func (f *Flow) Recover(ctx context.Context, q Ask) error {
	if err := f.open(ctx, guard.Recover, &q); err != nil {
		return err
	}
	l := letter{kind: mail.Recovery, purpose: store.PurposeRecovery, method: "recovery", action: audit.UserRecoveryRequested}
	return f.request(ctx, nil, q, mail.Recovery, func(ctx context.Context, tx store.Store, u *store.User, known bool) ([]post.Sent, error) {
		if !known {
			return nil, f.nothing(ctx, tx, q, l.method)
		}
		return f.send(ctx, tx, u, q, l)
	})
}

// MagicLink sends a link and a code with which the owner of an address signs in. An
// address without an account gets one, if people may sign up.
func (f *Flow) MagicLink(ctx context.Context, q Ask, door guard.Door) error {
	if f.MagicLinkOff {
		return errMagicLinkOff
	}
	if err := f.open(ctx, door, &q); err != nil {
		return err
	}
	t := f.Host.Talk()
	create, err := f.mayCreate(ctx, t, q.draft(), q.Create)
	if err != nil {
		return err
	}
	return f.request(ctx, t, q, mail.MagicLink, func(ctx context.Context, tx store.Store, u *store.User, known bool) ([]post.Sent, error) {
		l := letter{kind: mail.MagicLink, purpose: store.PurposeMagicLink, method: "magiclink", action: audit.UserRecoveryRequested}
		if !known && !create {
			return nil, f.nothing(ctx, tx, q, l.method)
		}
		if !known {
			if err := f.newcomer(ctx, tx, t, q, u); err != nil {
				return nil, err
			}
		}
		if u.EmailConfirmedAt.IsZero() {
			l.kind, l.action = mail.Confirmation, audit.UserConfirmationRequested
		}
		return f.send(ctx, tx, u, q, l)
	})
}

// newcomer makes an account without a password.
func (f *Flow) newcomer(ctx context.Context, tx store.Store, t *host.Talk, q Ask, u *store.User) error {
	acc, err := f.Accounts.Create(ctx, tx, t, q.draft())
	if err == nil {
		*u = acc.User
	}
	return err
}

// draft is the account that is made on the way.
func (q Ask) draft() user.Draft {
	return user.Draft{Audience: q.Audience, Email: q.Email, UserMetadata: q.Data, Claims: true}
}

// mayCreate reports whether the account of a draft is to be made. Where one would be needed
// and may not be made, the answer doesn't tell, unless the host has chosen so.
func (f *Flow) mayCreate(ctx context.Context, t *host.Talk, d user.Draft, wanted bool) (bool, error) {
	_, found, err := user.ByAddress(ctx, f.Store, d.Audience, d.Email, d.Phone)
	if err != nil || found {
		return false, err
	}
	switch {
	case !wanted && f.ShowUnknown:
		return false, errNoOTP
	case f.SignUpDisabled && f.ShowUnknown:
		return false, errNoSignUp
	case !wanted || f.SignUpDisabled:
		return false, nil
	}
	return true, f.Accounts.Announce(ctx, t, d)
}

// ResendSignUp sends the mail of a sign-up again, if the account still needs it.
func (f *Flow) ResendSignUp(ctx context.Context, q Ask) error {
	if err := f.open(ctx, guard.Resend, &q); err != nil {
		return err
	}
	l := letter{kind: mail.Confirmation, purpose: store.PurposeConfirmation, method: "email/signup", action: audit.UserConfirmationRequested}
	return f.request(ctx, nil, q, mail.Confirmation, func(ctx context.Context, tx store.Store, u *store.User, known bool) ([]post.Sent, error) {
		// An address without an account costs the same reads.
		acc, err := f.Accounts.Complete(ctx, tx, *u)
		if err != nil {
			return nil, err
		}
		again := l
		if again.purpose, err = f.Accounts.Vouches(ctx, tx, acc, store.PurposeConfirmation, store.PurposeMagicLink, time.Time{}); err != nil {
			return nil, err
		}
		if !known || !u.EmailConfirmedAt.IsZero() {
			return nil, f.nothing(ctx, tx, q, l.method)
		}
		return f.send(ctx, tx, u, q, again)
	})
}

// ResendChange sends the mails of a pending change of address again. The account is
// found by its present address.
func (f *Flow) ResendChange(ctx context.Context, q Ask) error {
	if err := f.open(ctx, guard.Resend, &q); err != nil {
		return err
	}
	return f.request(ctx, nil, q, mail.EmailChange, func(ctx context.Context, tx store.Store, u *store.User, known bool) ([]post.Sent, error) {
		if !known || u.NewEmail == "" {
			if f.Change.Secure {
				// There would be two mails.
				if err := f.nothing(ctx, tx, q, "email_change"); err != nil {
					return nil, err
				}
			}
			return nil, f.nothing(ctx, tx, q, "email_change")
		}
		return f.Change.Ask(ctx, tx, u, q.Challenge, q.RedirectTo)
	})
}

// open checks what needs no account.
func (f *Flow) open(ctx context.Context, d guard.Door, q *Ask) error {
	if f.EmailOff {
		return errRecoverOff
	}
	if err := f.Guard.Client(ctx, d); err != nil {
		return err
	}
	email, err := user.NormalizeEmail(q.Email)
	if err != nil {
		return err
	}
	if err := user.CheckMetadata(q.Data); err != nil {
		return err
	}
	q.Email = email
	return nil
}

// request runs what a mail of a kind needs, once it is clear that the address may have
// one. How often is counted whether or not there is an account.
func (f *Flow) request(ctx context.Context, t *host.Talk, q Ask, kind mail.Kind, write func(context.Context, store.Store, *store.User, bool) ([]post.Sent, error)) error {
	if err := f.Post.Waiting(ctx, kind, q.Email); err != nil {
		return err
	}
	if err := f.Guard.Mail(ctx); err != nil {
		return err
	}
	for tries := 0; ; tries++ {
		var sent []post.Sent
		err := t.Tx(ctx, f.Store, func(tx store.Store) error {
			wait, err := f.Post.TooSoon(ctx, tx, kind, q.Email)
			if err != nil {
				return err
			}
			if wait > 0 {
				return post.Wait(wait)
			}
			u, known, err := user.ByAddress(ctx, tx, q.Audience, q.Email, "")
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
			// Only where nothing else limits how often: one of those who came at the
			// same time has sent the mail.
			return post.Wait(time.Second)
		case err != nil:
			return err
		}
		return f.Post.SeeOff(ctx, sent...)
	}
}

// nothing does for an address that gets no mail what send does for the others.
func (f *Flow) nothing(ctx context.Context, tx store.Store, q Ask, method string) error {
	if _, err := f.PKCE.Begin(ctx, tx, q.Challenge, uuid.Nil, method, q.RedirectTo); err != nil {
		return err
	}
	return f.Post.Nothing(ctx, tx, q.Email)
}

// letter is what differs among the mails that are asked for.
type letter struct {
	kind    mail.Kind
	purpose store.Purpose
	method  string
	action  audit.Action
}

// counted is the kind of mail that was asked for, whichever is sent.
func (l letter) counted() mail.Kind {
	if l.purpose == store.PurposeMagicLink {
		return mail.MagicLink
	}
	return l.kind
}

// send writes one mail to the account's own address.
func (f *Flow) send(ctx context.Context, tx store.Store, u *store.User, q Ask, l letter) ([]post.Sent, error) {
	flow, err := f.PKCE.Begin(ctx, tx, q.Challenge, u.ID, l.method, q.RedirectTo)
	if err != nil {
		return nil, err
	}
	if err := f.Audit.Add(ctx, tx, audit.Of(u), l.action, nil); err != nil {
		return nil, err
	}
	sent, _, err := f.Post.Write(ctx, tx, post.Letter{
		Kind: l.kind, User: u, To: u.Email, Purpose: l.purpose, Flow: flow, RedirectTo: q.RedirectTo,
		Counted: l.counted(),
	})
	if err != nil {
		return nil, err
	}
	*post.SentAt(u, l.kind) = f.Now()
	return []post.Sent{sent}, f.Accounts.Save(ctx, tx, u)
}
