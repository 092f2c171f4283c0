// Package signin is how people who have an account get a session: by password, or by
// the authorization code at the end of a PKCE flow.
package signin

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/truekeel/auth/fault"
	"github.com/truekeel/auth/internal/audit"
	"github.com/truekeel/auth/internal/caller"
	"github.com/truekeel/auth/internal/events"
	"github.com/truekeel/auth/internal/guard"
	"github.com/truekeel/auth/internal/host"
	"github.com/truekeel/auth/internal/password"
	"github.com/truekeel/auth/internal/pkce"
	"github.com/truekeel/auth/internal/session"
	"github.com/truekeel/auth/internal/user"
	"github.com/truekeel/auth/store"
)

// Config is what Flow needs.
type Config struct {
	Store    store.Store
	Accounts *user.Accounts
	Sessions *session.Sessions
	PKCE     *pkce.Flows
	Guard    *guard.Guard
	Hasher   *password.Hasher
	Policy   password.Policy
	Audit    *audit.Log
	Now      func() time.Time
	Logger   *slog.Logger

	EmailOff bool
	PhoneOff bool
	// AllowUnconfirmed lets people in who haven't proved their address.
	AllowUnconfirmed bool
	// Redeemed does what a flow left for the redemption of its code, in that
	// transaction.
	Redeemed func(ctx context.Context, tx store.Store, t *host.Talk, flow store.FlowState) (pkce.Rest, error)
	// Host are the host's steps; nil if it has none.
	Host *host.Steps
}

// Flow signs people in. It is safe for concurrent use.
type Flow struct{ Config }

// New makes a Flow.
func New(c Config) *Flow { return &Flow{c} }

// Password is a sign-in by password.
type Password struct {
	Kind     session.Kind // of the session; "": GoTrue
	Audience string
	Email    string
	Phone    string
	Password string
}

// Result is a grant, and what is weak about the password by today's policy.
type Result struct {
	session.Grant
	Weak *fault.Error
}

var (
	errBoth        = fault.New(fault.ValidationFailed, "Only an email address or phone number should be provided on login.")
	errNeither     = fault.New(fault.ValidationFailed, "missing email or phone")
	errEmailOff    = fault.New(fault.EmailProviderDisabled, "Email logins are disabled")
	errPhoneOff    = fault.New(fault.PhoneProviderDisabled, "Phone logins are disabled")
	errCredentials = fault.New(fault.InvalidCredentials, "Invalid login credentials")
	errUnconfirmed = fault.New(fault.EmailNotConfirmed, "Email not confirmed")
	errUnproved    = fault.New(fault.PhoneNotConfirmed, "Phone not confirmed")
)

// ByPassword signs in by password. Whether an account exists, is banned or confirmed
// shows only to who knows its password, and an unknown one costs the same hash.
func (f *Flow) ByPassword(ctx context.Context, q Password) (Result, error) {
	if err := f.Guard.Client(ctx, guard.Token); err != nil {
		return Result{}, err
	}
	if err := f.admit(q); err != nil {
		return Result{}, err
	}
	acc, st, err := f.enter(ctx, q)
	if err != nil {
		return Result{}, err
	}
	g, err := f.Sessions.Grant(ctx, acc, st)
	if err != nil {
		return Result{}, err
	}
	if q.Kind == session.Keel {
		return Result{Grant: g}, nil // its answer has no place for it
	}
	// Only now: what isn't his password is nobody's business to look at.
	return Result{Grant: g, Weak: f.Policy.Review(ctx, q.Password, password.OwnWords(q.Email+q.Phone)...)}, nil
}

// errMoved means that the account got another hash since the password was compared.
var errMoved = errors.New("signin: the password's hash has changed")

// enter proves the password and starts the session. A sign-in of the same account that
// replaced the hash meanwhile, or a change of the password, makes it prove once more.
func (f *Flow) enter(ctx context.Context, q Password) (user.Account, session.Started, error) {
	t := f.Host.Talk()
	for tries := 0; ; tries++ {
		u, rehash, err := f.prove(ctx, t, q)
		switch {
		case err != nil:
			return user.Account{}, session.Started{}, err
		case u.Banned(f.Now()):
			return user.Account{}, session.Started{}, session.ErrBanned
		case q.Phone != "" && u.PhoneConfirmedAt.IsZero():
			return user.Account{}, session.Started{}, errUnproved
		case q.Email != "" && u.EmailConfirmedAt.IsZero() && !f.AllowUnconfirmed:
			return user.Account{}, session.Started{}, errUnconfirmed
		}
		acc, st, err := f.start(ctx, t, q, u, f.rehashed(ctx, q.Password, rehash))
		if !errors.Is(err, errMoved) {
			return acc, st, err
		}
		if tries == 3 {
			return acc, st, errCredentials
		}
	}
}

func (f *Flow) admit(q Password) error {
	switch {
	case q.Email != "" && q.Phone != "":
		return errBoth
	case q.Email == "" && q.Phone == "":
		return errNeither
	case q.Phone != "" && f.PhoneOff:
		return errPhoneOff
	case q.Email != "" && f.EmailOff:
		return errEmailOff
	}
	return nil
}

// provider is the way in.
func (q Password) provider() string {
	if q.Phone != "" {
		return user.PhoneProvider
	}
	return user.EmailProvider
}

// prove finds the account whose password it is.
func (f *Flow) prove(ctx context.Context, t *host.Talk, q Password) (u store.User, rehash bool, err error) {
	// What can't be a number is nobody's: "" is no account's.
	phone, _ := user.NormalizePhone(q.Phone)
	u, found, err := user.ByAddress(ctx, f.Store, q.Audience, strings.ToLower(q.Email), phone)
	if err != nil {
		return u, false, err
	}
	if !found || u.PasswordHash == "" || !u.DeletedAt.IsZero() {
		if err := f.Hasher.CompareDummy(ctx, q.Password); err != nil {
			return u, false, err
		}
		if err := t.Uncompared(ctx); err != nil {
			return u, false, err
		}
		return u, false, errCredentials
	}
	match, rehash, err := f.Hasher.Compare(ctx, u.PasswordHash, q.Password)
	if err != nil {
		return u, false, err
	}
	return u, rehash, f.judge(ctx, t, &u, match)
}

// judge tells the host of a comparison and does what it decides. A refusal is the same as
// for an unknown address, unless the host has a text of its own; that is the same for a
// right password and a wrong one.
func (f *Flow) judge(ctx context.Context, t *host.Talk, u *store.User, match bool) error {
	d, err := t.Compared(ctx, u.ID, match)
	var refusal *fault.Error
	switch {
	case err != nil && !match && ctx.Err() == nil && !errors.As(err, &refusal):
		f.Logger.ErrorContext(ctx, "auth: the host's step after a wrong password failed", "error", err, "request_id", caller.From(ctx).RequestID)
		return errCredentials
	case err != nil:
		return err
	case !d.Reject && match:
		return nil
	case d.Reject && d.SignOut:
		if err := f.signOut(ctx, u); err != nil {
			return err
		}
	}
	if d.Reject && d.Message != "" {
		return fault.New(fault.InvalidCredentials, "%s", d.Message)
	}
	return errCredentials
}

// signOut ends all sessions of a user.
func (f *Flow) signOut(ctx context.Context, u *store.User) error {
	return f.Store.Tx(ctx, func(tx store.Store) error { return f.Sessions.End(ctx, tx, u, uuid.Nil, session.Global) })
}

// rehashed gives the password's hash at today's parameters; "" if the present one is
// good enough, or the gate is too busy for what can wait.
func (f *Flow) rehashed(ctx context.Context, pw string, needed bool) string {
	if !needed {
		return ""
	}
	hash, err := f.Hasher.Hash(ctx, pw)
	if err != nil {
		f.Logger.WarnContext(ctx, "auth: a password could not be hashed anew; the old hash stays", "error", err)
		return ""
	}
	return hash
}

// start writes the session. The account is read again: between the hash and now it may
// have changed its password or have been banned.
func (f *Flow) start(ctx context.Context, t *host.Talk, q Password, proved store.User, better string) (acc user.Account, st session.Started, err error) {
	err = t.Tx(ctx, f.Store, func(tx store.Store) error {
		u, err := tx.User(ctx, proved.ID)
		switch {
		case errors.Is(err, store.ErrNotFound):
			return errCredentials
		case err != nil:
			return err
		case u.PasswordHash != proved.PasswordHash:
			return errMoved
		}
		if better != "" {
			u.PasswordHash = better
			events.SamePassword(tx, u.ID)
		}
		if err := f.Audit.Add(ctx, tx, audit.Of(&u), audit.Login, map[string]any{"provider": q.provider()}); err != nil {
			return err
		}
		if err := t.At(host.Entering, &u); err != nil {
			return err
		}
		if st, err = f.Sessions.StartAs(ctx, tx, t, cmp.Or(q.Kind, session.GoTrue), &u, "password", ""); err != nil {
			return err
		}
		acc, err = f.Accounts.Complete(ctx, tx, u)
		return err
	})
	return acc, st, err
}

var errCode = fault.New(fault.ValidationFailed, "invalid request: both auth code and code verifier should be non-empty")

// ByCode exchanges the authorization code of a PKCE flow. The user's ban is checked
// again: he may have been banned since he used the link.
func (f *Flow) ByCode(ctx context.Context, code, verifier string) (session.Grant, error) {
	if err := f.Guard.Client(ctx, guard.Token); err != nil {
		return session.Grant{}, err
	}
	if code == "" || verifier == "" {
		return session.Grant{}, errCode
	}
	var acc user.Account
	var st session.Started
	var rest pkce.Rest
	t := f.Host.Talk()
	err := t.Tx(ctx, f.Store, func(tx store.Store) error {
		flow, err := f.PKCE.Redeem(ctx, tx, code, verifier)
		if err != nil {
			return err
		}
		if rest, err = f.Redeemed(ctx, tx, t, flow); err != nil {
			return err
		}
		u, err := tx.User(ctx, flow.UserID)
		if errors.Is(err, store.ErrNotFound) || (err == nil && !u.DeletedAt.IsZero()) {
			return pkce.ErrUnknown
		}
		if err != nil {
			return err
		}
		if err := f.Audit.Add(ctx, tx, audit.Of(&u), audit.Login, map[string]any{"provider_type": flow.Provider}); err != nil {
			return err
		}
		if st, err = f.Sessions.Start(ctx, tx, t, &u, flow.Method, ""); err != nil {
			return err
		}
		acc, err = f.Accounts.Complete(ctx, tx, u)
		return err
	})
	if err != nil {
		return session.Grant{}, err
	}
	if rest.After != nil {
		rest.After(ctx)
	}
	g, err := f.Sessions.Grant(ctx, acc, st)
	g.ProviderToken, g.ProviderRefreshToken = rest.ProviderToken, rest.ProviderRefreshToken
	return g, err
}

// Refresh exchanges a refresh token.
func (f *Flow) Refresh(ctx context.Context, token string) (session.Grant, error) {
	if err := f.Guard.Client(ctx, guard.Token); err != nil {
		return session.Grant{}, err
	}
	return f.Sessions.Refresh(ctx, token)
}
