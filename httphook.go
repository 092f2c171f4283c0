package auth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/truekeel/auth/fault"
	"github.com/truekeel/auth/internal/gotrue"
	"github.com/truekeel/auth/internal/hookcall"
	"github.com/truekeel/auth/internal/host"
	"github.com/truekeel/auth/internal/outbox"
	"github.com/truekeel/auth/internal/post"
	"github.com/truekeel/auth/internal/user"
	"github.com/truekeel/auth/mail"
	"github.com/truekeel/auth/sms"
	"github.com/truekeel/auth/store"
	"github.com/truekeel/auth/tokens"
)

// HookPoint is a moment at which a hook is asked that runs elsewhere; see [WithHTTPHook].
// What it gets and answers there is GoTrue's: docs/hooks.md has it.
type HookPoint string

// The points. Each is also a field of [Hooks], which says when it is asked.
const (
	// HookBeforeUserCreated refuses new accounts.
	HookBeforeUserCreated HookPoint = "before_user_created"
	// HookAfterUserCreated is told of new accounts, at least once, after the commit; the
	// uuid in its metadata is the same each time.
	HookAfterUserCreated HookPoint = "after_user_created"
	// HookCustomAccessToken adds claims to access tokens, and may change what they say of
	// the user's metadata. It gives all claims back; any other of the token's own that it
	// changes fails the request.
	HookCustomAccessToken HookPoint = "custom_access_token"
	// HookSendEmail sends the mails, in place of [WithMailer].
	HookSendEmail HookPoint = "send_email"
	// HookSendSMS sends the messages to phones, in place of [WithSMS], and lets people sign
	// in by their number as that does.
	HookSendSMS HookPoint = "send_sms"
	// HookPasswordVerification is told of passwords that were compared, and may refuse.
	HookPasswordVerification HookPoint = "password_verification_attempt"
)

// wire is the name that hooks see.
func (p HookPoint) wire() (hookcall.Point, bool) {
	name, ok := map[HookPoint]hookcall.Point{
		HookBeforeUserCreated: hookcall.BeforeUserCreated, HookAfterUserCreated: hookcall.AfterUserCreated,
		HookCustomAccessToken: hookcall.CustomAccessToken, HookSendEmail: hookcall.SendEmail,
		HookSendSMS: hookcall.SendSMS, HookPasswordVerification: hookcall.PasswordVerification,
	}[p]
	return name, ok
}

// HTTPHook is a hook that runs elsewhere.
type HTTPHook struct {
	// URI is where it is: https://..., http:// with the host localhost, 127.0.0.1, [::1]
	// or host.docker.internal, or pg-functions://postgres/SCHEMA/FUNCTION for a function of
	// the PostgreSQL database that holds the accounts.
	URI string
	// Secrets sign what is posted, after Standard Webhooks: each "v1,whsec_" (or "whsec_") and 32 to 88
	// characters of base64. With several there is a signature by each, so that the
	// receiver can change to a new one. At least one is needed, but for functions, which
	// take none.
	Secrets []string
	// Timeout is how long one call may take, all its attempts included. Default 5 seconds;
	// 2 for functions.
	Timeout time.Duration
	// AllowPrivate lets the host of an https URI have an address that isn't public:
	// loopback or private. Those of cloud metadata services are never called.
	AllowPrivate bool
	// InsecureUnsigned posts without a signature if there is no secret: whoever finds the
	// receiver can then pretend to be this server.
	InsecureUnsigned bool
}

// remoteHook is a hook with where it is.
type remoteHook struct {
	HTTPHook
	target hookcall.Target
}

// remoteHooks are the hooks that run elsewhere, ready to be asked; nil where there is
// none.
type remoteHooks struct {
	before, after, claims, email, texts, password *hookcall.Hook
}

// makeHooks connects the hooks that run elsewhere.
func (a *Auth) makeHooks(context.Context) error {
	for _, p := range []struct {
		point HookPoint
		hook  **hookcall.Hook
		other bool // there is one in Go
	}{
		{HookBeforeUserCreated, &a.remote.before, a.set.hooks.BeforeUserCreated != nil},
		{HookAfterUserCreated, &a.remote.after, a.set.hooks.AfterUserCreated != nil},
		{HookCustomAccessToken, &a.remote.claims, a.set.hooks.CustomAccessToken != nil},
		{HookSendEmail, &a.remote.email, a.set.sendMail != nil},
		{HookSendSMS, &a.remote.texts, a.set.sms != nil || a.set.hooks.SendSMS != nil},
		{HookPasswordVerification, &a.remote.password, a.set.hooks.PasswordVerification != nil},
	} {
		r, ok := a.set.remote[p.point]
		if !ok {
			continue
		}
		h, err := a.makeHook(p.point, r)
		if err == nil && p.other {
			err = errors.New("there is a hook in Go for the same point (WithHooks, WithSendMail, WithSMS); leave one out")
		}
		if err != nil {
			return fmt.Errorf("auth: WithHTTPHook: %s: %w", p.point, err)
		}
		*p.hook = h
		a.onClose(func(context.Context) error { h.Close(); return nil })
	}
	return nil
}

func (a *Auth) makeHook(p HookPoint, r remoteHook) (*hookcall.Hook, error) {
	name, _ := p.wire()
	c := hookcall.Config{
		Point: name, Target: r.target, Secrets: r.Secrets, Unsigned: r.InsecureUnsigned, AllowPrivate: r.AllowPrivate, Timeout: r.Timeout,
		Client: a.set.client, Now: a.set.now, Logger: a.set.logger,
	}
	if a.functions != nil {
		c.Function = a.functions.CallFunction
	}
	return hookcall.New(c)
}

// remoteSteps are the hooks that run elsewhere as the flows ask for them.
func (a *Auth) remoteSteps() *host.Steps {
	s := &host.Steps{}
	if a.remote.before != nil {
		s.Before = a.askBefore
	}
	if a.remote.after != nil {
		s.After = noteCreated(a.outbox)
	}
	if a.remote.claims != nil {
		s.Claims = host.WholeClaims(a.askClaims)
	}
	if a.remote.password != nil {
		s.PasswordVerification = a.askPassword
	}
	return s
}

// askBefore shows a user who isn't stored yet, as GoTrue does: without role and times.
func (a *Auth) askBefore(ctx context.Context, u *store.User) error {
	seen := *u
	seen.Role, seen.CreatedAt, seen.UpdatedAt = "", time.Time{}, time.Time{}
	text, err := gotrue.UserJSON(user.Account{User: seen})
	if err != nil {
		return err
	}
	h := a.remote.before
	return h.Call(ctx, hookcall.UserInput{Metadata: h.Meta(ctx, uuid.Nil), User: text}, nil)
}

// tellCreatedElsewhere delivers to after-user-created.
func (a *Auth) tellCreatedElsewhere(ctx context.Context, d outbox.Delivery) error {
	var id uuid.UUID
	if err := d.Decode(&id); err != nil {
		return err
	}
	text, err := a.userJSON(ctx, id)
	if err != nil || text == nil {
		return err
	}
	h := a.remote.after
	return forGood(h.Call(ctx, hookcall.UserInput{Metadata: h.Meta(ctx, d.ID), User: text}, nil))
}

// userJSON is a user as the clients of GoTrue see him; nil if he is gone.
func (a *Auth) userJSON(ctx context.Context, id uuid.UUID) (json.RawMessage, error) {
	u, err := a.store.User(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return a.renderUser(ctx, u)
}

func (a *Auth) renderUser(ctx context.Context, u store.User) (json.RawMessage, error) {
	identities, err := a.store.IdentitiesOf(ctx, u.ID)
	if err != nil {
		return nil, err
	}
	return gotrue.UserJSON(user.Account{User: u, Identities: identities})
}

// forGood marks a refusal, which another attempt would only repeat, unless it asks to
// wait.
func forGood(err error) error {
	var f *fault.Error
	if errors.As(err, &f) && f.Code == fault.Unknown && f.Status < 500 && f.Status != 408 && f.Status != 429 {
		return fmt.Errorf("%w: %w", outbox.ErrPermanent, err)
	}
	return err
}

func (a *Auth) askClaims(ctx context.Context, u store.User, method string, claims tokens.JSON) (tokens.JSON, error) {
	h := a.remote.claims
	in := hookcall.TokenInput{Metadata: h.Meta(ctx, uuid.Nil), UserID: u.ID, Claims: json.RawMessage(claims), Method: method}
	var out struct {
		Claims json.RawMessage `json:"claims"`
	}
	if err := h.Call(ctx, in, &out); err != nil {
		return "", err
	}
	return tokens.JSON(out.Claims), nil
}

func (a *Auth) askPassword(ctx context.Context, id uuid.UUID, valid bool) (host.Decision, error) {
	h := a.remote.password
	var out hookcall.Decision
	if err := h.Call(ctx, hookcall.PasswordInput{Metadata: h.Meta(ctx, uuid.Nil), UserID: id, Valid: valid}, &out); err != nil {
		return host.Decision{}, err
	}
	switch out.Decision {
	case hookcall.Continue:
		return host.Decision{}, nil
	case hookcall.Reject:
		return host.Decision{Reject: true, Message: out.Message, SignOut: out.SignOut}, nil
	}
	return host.Decision{}, fault.New(fault.UnexpectedFailure, "The hook's decision is neither %q nor %q", hookcall.Continue, hookcall.Reject)
}

// mailElsewhere delivers a mail to send-email. That an address is somebody's already is
// told to its owner alone: nobody who waits for it learns whether that mail could be sent.
func (a *Auth) mailElsewhere(ctx context.Context, d outbox.Delivery) error {
	var m post.Written
	if err := d.Decode(&m); err != nil {
		return err
	}
	text, err := a.userJSON(ctx, m.UserID)
	if err != nil || text == nil {
		return err
	}
	data := hookcall.EmailOf(m.Event, m.External)
	if m.Current != nil {
		// The pairs are mixed, and have always been: each hash goes with the other code.
		data.Token, data.TokenNew = m.Current.Code, m.Token
		data.TokenHash, data.TokenHashNew = m.TokenHash, m.Current.Link
	}
	h := a.remote.email
	err = h.Call(ctx, hookcall.MailInput{Metadata: h.Meta(ctx, d.ID), User: text, Email: data}, nil)
	if m.Kind == mail.AccountExists && a.set.sync {
		return nil // a failure was logged
	}
	return forGood(err)
}

// textInstead is what brings messages to phones in place of a service, nil if none does.
func (a *Auth) textInstead() func(context.Context, sms.Message, store.User) error {
	h := a.remote.texts
	if h == nil {
		return a.set.hooks.text()
	}
	return func(ctx context.Context, m sms.Message, u store.User) error {
		text, err := a.renderUser(ctx, u)
		if err != nil {
			return err
		}
		id := uuid.NewSHA1(uuid.NameSpaceOID, []byte(m.ID)) // the same at every attempt
		in := hookcall.SMSInput{Metadata: h.Meta(ctx, id), User: text, SMS: hookcall.SMS{OTP: m.Code, Phone: m.To}}
		return forGood(h.Call(ctx, in, nil))
	}
}

// textsElsewhere reports whether a hook sends the messages to phones.
func (s *settings) textsElsewhere() bool {
	_, remote := s.remote[HookSendSMS]
	return remote || s.hooks.SendSMS != nil
}
