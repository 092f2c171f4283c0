package auth

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"github.com/truekeel/auth/fault"
	"github.com/truekeel/auth/internal/endpoint"
	"github.com/truekeel/auth/internal/host"
	"github.com/truekeel/auth/internal/outbox"
	"github.com/truekeel/auth/mail"
	"github.com/truekeel/auth/sms"
	"github.com/truekeel/auth/store"
	"github.com/truekeel/auth/tokens"
)

// Hooks are steps of the host's own. Each may be nil. They must be safe for concurrent
// use, and end when their context does, which is the request's. They run outside of
// transactions, so they may call the library.
//
// Where a hook that is asked fails, nothing has happened: there is no account, the code,
// the link or the refresh token is still good. An [*Error] that it returns is the client's
// answer. Any other error, and a panic, is answered as unexpected and logged.
//
// There is no hook for second factors: this version has none.
type Hooks struct {
	// BeforeUserCreated is asked before an account is made: by sign-up, magic link,
	// invitation, a generated link or an identity provider, in both dialects. It isn't
	// asked of what [Users.Create] or an administrator makes. u is the account as it
	// would be stored, without identities; its id is the one that the account gets. It
	// is asked once a request, and not where the address has an account already.
	BeforeUserCreated func(ctx context.Context, u Account) error

	// AfterUserCreated is told of every account that was made and committed, at least
	// once, with an id that is the same each time. It is called again while it fails.
	AfterUserCreated func(ctx context.Context, eventID string, u Account) error

	// CustomAccessToken adds claims to an access token by setting c.Extra, at every
	// sign-in and refresh. The other claims are the library's: changes of them have no
	// effect, and one of them in Extra fails the request, as do claims with which the
	// token would say more than 16 KiB.
	CustomAccessToken func(ctx context.Context, u Account, c *tokens.Claims) error

	// SendMail sends mails: the same as [WithSendMail], of which this is the long form.
	SendMail func(ctx context.Context, e mail.Event) error

	// SendSMS sends messages to phones, in the place of a service given by [WithSMS], and
	// lets people sign up and sign in by their number as that does; see
	// [WithPhoneSignIn]. m.Body is the whole text, m.Code the code alone, u the account
	// that it is for. It is called after the commit, at least once, with the same m.ID at
	// every attempt; an error must hold neither code nor text. With both, New refuses,
	// unless the service is a [sms.Inbox]: it then gets nothing.
	SendSMS func(ctx context.Context, m sms.Message, u Account) error

	// PasswordVerification is told of every password that somebody gave for an account
	// that has one, right or wrong, in both dialects, and decides whether to let it go
	// on. It isn't called for unknown addresses, where the answer takes as long as this
	// hook did last, and is that of a wrong password; so a host that rejects tells
	// whether there is an account only by a [PasswordDecision.Message]. An error after a
	// wrong password is logged, and the answer is that of a wrong password.
	PasswordVerification func(ctx context.Context, p PasswordAttempt) (PasswordDecision, error)
}

// PasswordAttempt is a password that was compared with an account's.
type PasswordAttempt struct {
	UserID uuid.UUID
	Valid  bool // it is the account's
}

// PasswordDecision is what becomes of an attempt. The zero value lets it go on: a right
// password signs in, a wrong one is refused.
type PasswordDecision struct {
	// Reject refuses, whether or not the password was right.
	Reject bool
	// Message is what the client is told. "" is safest: then the refusal is that of a
	// wrong password, and of an address without an account.
	Message string
	// SignOut ends all sessions of the user. It counts only beside Reject.
	SignOut bool
}

const userCreated = "user_created"

// steps are the host's steps as the flows ask for them: the hooks, then those of options.
func (a *Auth) steps() *host.Steps {
	h := a.set.hooks
	own := &host.Steps{Before: h.before(), After: h.after(a.outbox), Claims: h.claims(), PasswordVerification: h.verified()}
	return host.Join(a.set.clock, append([]*host.Steps{own, a.remoteSteps(), a.webhookSteps()}, a.set.steps...)...)
}

// send takes the hooks that send into the settings.
func (h Hooks) send(s *settings) error {
	if h.SendMail != nil {
		if s.sendMail != nil {
			return errors.New("auth: WithSendMail and WithHooks: both would send the mails (Hooks.SendMail); leave one out")
		}
		s.sendMail = h.SendMail
	}
	if _, kept := s.sms.(*sms.Inbox); kept && s.textsElsewhere() {
		s.sms = nil // a host tests its own sending: nobody would miss the messages that aren't kept
	}
	if h.SendSMS != nil && s.sms != nil {
		return errors.New("auth: WithSMS and WithHooks: both would send the messages to phones (Hooks.SendSMS); leave one out")
	}
	return nil
}

// text adapts SendSMS to what carries messages.
func (h Hooks) text() func(context.Context, sms.Message, store.User) error {
	if h.SendSMS == nil {
		return nil
	}
	return func(ctx context.Context, m sms.Message, u store.User) error {
		return h.SendSMS(ctx, m, accountOf(u, nil))
	}
}

// verified adapts PasswordVerification to the sign-in.
func (h Hooks) verified() func(context.Context, uuid.UUID, bool) (host.Decision, error) {
	if h.PasswordVerification == nil {
		return nil
	}
	return func(ctx context.Context, id uuid.UUID, valid bool) (host.Decision, error) {
		d, err := h.PasswordVerification(ctx, PasswordAttempt{UserID: id, Valid: valid})
		return host.Decision(d), err
	}
}

// before adapts BeforeUserCreated to the flows.
func (h Hooks) before() func(context.Context, *store.User) error {
	if h.BeforeUserCreated == nil {
		return nil
	}
	return func(ctx context.Context, u *store.User) error {
		return h.BeforeUserCreated(ctx, accountOf(*u, nil))
	}
}

// after notes in the flow's own transaction that an account was made.
func (h Hooks) after(o *outbox.Outbox) func(context.Context, store.Store, store.User) error {
	if h.AfterUserCreated == nil {
		return nil
	}
	return noteCreated(o)
}

func noteCreated(o *outbox.Outbox) func(context.Context, store.Store, store.User) error {
	return func(ctx context.Context, tx store.Store, u store.User) error {
		_, err := o.Put(ctx, tx, outbox.Item{Kind: userCreated, Key: u.ID.String(), Payload: u.ID, Background: true})
		return err
	}
}

// claims adapts CustomAccessToken to the sessions.
func (h Hooks) claims() func(context.Context, store.User, string, *tokens.Claims) error {
	if h.CustomAccessToken == nil {
		return nil
	}
	return func(ctx context.Context, u store.User, _ string, c *tokens.Claims) error {
		seen := c.Clone()
		err := h.CustomAccessToken(ctx, accountOf(u, nil), seen)
		c.Extra = seen.Extra
		return err
	}
}

// survive turns a hook's panic into an error.
func survive(hook string, err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("auth: hook %s panicked: %v", hook, endpoint.Panic(p))
	}
}

// tellCreated delivers a [Hooks.AfterUserCreated].
func (a *Auth) tellCreated(ctx context.Context, d outbox.Delivery) error {
	var u Account
	if err := d.Decode(&u.ID); err != nil {
		return err
	}
	acc, err := a.users.Get(ctx, u.ID)
	if errors.Is(err, &fault.Error{Code: fault.UserNotFound}) {
		return nil // gone again: there is nobody to tell of
	}
	if err != nil {
		return err
	}
	return a.set.hooks.AfterUserCreated(ctx, d.ID.String(), acc)
}
