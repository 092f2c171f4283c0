// Package signup is how people make an account for themselves.
package signup

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/truekeel/auth/fault"
	"github.com/truekeel/auth/internal/audit"
	"github.com/truekeel/auth/internal/guard"
	"github.com/truekeel/auth/internal/host"
	"github.com/truekeel/auth/internal/password"
	"github.com/truekeel/auth/internal/pkce"
	"github.com/truekeel/auth/internal/post"
	"github.com/truekeel/auth/internal/session"
	"github.com/truekeel/auth/internal/text"
	"github.com/truekeel/auth/internal/user"
	"github.com/truekeel/auth/mail"
	"github.com/truekeel/auth/store"
)

// Config is what Flow needs.
type Config struct {
	Store    store.Store
	Accounts *user.Accounts
	Sessions *session.Sessions
	Post     *post.Office
	Texts    *text.Desk
	PKCE     *pkce.Flows
	Guard    *guard.Guard
	Hasher   *password.Hasher
	Policy   password.Policy
	Audit    *audit.Log
	Now      func() time.Time
	// MAC authenticates data under a key of the server.
	MAC func(purpose string, data ...[]byte) []byte

	Disabled    bool // nobody may sign up
	EmailOff    bool // not by email
	AutoConfirm bool // addresses count as proved
	// PhoneOff and PhoneAutoConfirm are the same for numbers.
	PhoneOff         bool
	PhoneAutoConfirm bool
	// ShowDuplicates answers a sign-up for a confirmed account without identities, as
	// many clients expect, instead of as for a new one.
	ShowDuplicates bool

	// SignIn signs in by password, and AllowUnconfirmed says that it lets people in who
	// haven't proved their address; for [Flow.Enter].
	SignIn           func(ctx context.Context, q Request) (session.Grant, error)
	AllowUnconfirmed bool

	// Host are the host's steps; nil if it has none.
	Host *host.Steps
}

// Flow is the sign-up. It is safe for concurrent use.
type Flow struct{ Config }

// New makes a Flow.
func New(c Config) *Flow { return &Flow{c} }

// Request is a sign-up.
type Request struct {
	Kind       session.Kind // of the session; "": GoTrue
	Audience   string
	Email      string
	Phone      string
	Channel    string // how a message reaches the phone; "" for a text message
	Password   string
	Data       store.Object
	Challenge  pkce.Challenge
	RedirectTo string
	// Known says that the password is the account's already: it may be older than the
	// policy, and what the account says of its user isn't another's and stays.
	Known bool
	// Quiet spares the owner of an account that is there already the mail that tells
	// him of this sign-up: who sent it may just have mistyped his password.
	Quiet bool
}

// Result is an account that awaits confirmation, or a Grant for one that needs none.
type Result struct {
	Account user.Account
	Grant   *session.Grant
	// Created says that this request made the account. It is for the program's own
	// use: shown to the client it would tell whether the address had one.
	Created bool
}

var (
	errDisabled  = fault.New(fault.SignupDisabled, "Signups not allowed for this instance")
	errAnonymous = fault.New(fault.AnonymousProviderDisabled, "Anonymous sign-ins are disabled")
	errPassword  = fault.New(fault.ValidationFailed, "Signup requires a valid password")
	errBoth      = fault.New(fault.ValidationFailed, "Only an email address or phone number should be provided on signup.")
	errEmailOff  = fault.New(fault.EmailProviderDisabled, "Email signups are disabled")
	errPhoneOff  = fault.New(fault.PhoneProviderDisabled, "Phone signups are disabled")
	errExists    = fault.New(fault.UserAlreadyExists, "User already registered")
)

// SignUp makes an account, or does as if.
func (f *Flow) SignUp(ctx context.Context, q Request) (Result, error) {
	if q.Email == "" && q.Phone == "" {
		return Result{}, errAnonymous
	}
	if err := f.Guard.Client(ctx, guard.SignUp); err != nil {
		return Result{}, err
	}
	if err := f.admit(ctx, &q); err != nil {
		return Result{}, err
	}
	// An address that is taken costs the same hash as one that isn't.
	hash, err := f.Hasher.Hash(ctx, q.Password)
	if err != nil {
		return Result{}, err
	}
	t := f.Host.Talk()
	if err := f.announce(ctx, t, q); err != nil {
		return Result{}, err
	}
	if err := f.quota(ctx, q); err != nil {
		return Result{}, err
	}
	a, err := f.attempt(ctx, t, q, hash)
	if err != nil {
		return Result{}, err
	}
	return f.answer(ctx, q, a)
}

// admit checks what can be checked without looking anybody up.
func (f *Flow) admit(ctx context.Context, q *Request) error {
	switch {
	case f.Disabled:
		return errDisabled
	case q.Password == "":
		return errPassword
	}
	about := append(password.OwnWords(q.Email), password.OwnWords(q.Phone)...)
	if err := f.Policy.Check(ctx, q.Password, about...); err != nil && !q.Known {
		return err
	}
	if err := user.CheckMetadata(q.Data); err != nil {
		return err
	}
	switch {
	case q.Email != "" && q.Phone != "":
		return errBoth
	case q.Phone != "":
		return f.admitPhone(q)
	case f.EmailOff:
		return errEmailOff
	}
	email, err := user.NormalizeEmail(q.Email)
	q.Email = email
	return err
}

// quota takes the mail or the message of a sign-up from the server's quota.
func (f *Flow) quota(ctx context.Context, q Request) error {
	switch {
	case f.auto(q):
		return nil
	case q.Phone != "":
		return f.afford(ctx, q)
	default:
		return f.Guard.Mail(ctx)
	}
}

// auto reports whether the address or number of a sign-up counts as proved.
func (f *Flow) auto(q Request) bool {
	if q.Phone != "" {
		return f.PhoneAutoConfirm
	}
	return f.AutoConfirm
}

// announce asks the host, if an account would be made.
func (f *Flow) announce(ctx context.Context, t *host.Talk, q Request) error {
	if !f.Host.Asks(host.Before) {
		return nil
	}
	_, found, err := f.owner(ctx, f.Store, q)
	if err != nil || found {
		return err
	}
	return f.Accounts.Announce(ctx, t, f.draft(q, ""))
}

// draft is the account that a sign-up makes.
func (f *Flow) draft(q Request, hash string) user.Draft {
	return user.Draft{
		Audience: q.Audience, Email: q.Email, Phone: q.Phone, PasswordHash: hash, UserMetadata: q.Data,
		Claims: true, EmailVerified: q.Email != "" && f.AutoConfirm, PhoneVerified: q.Phone != "" && f.PhoneAutoConfirm,
	}
}

// owner finds the account that an address or number belongs to, also one that only a
// provider's identity knows the address of.
func (f *Flow) owner(ctx context.Context, tx store.Store, q Request) (store.User, bool, error) {
	u, found, err := user.ByAddress(ctx, tx, q.Audience, q.Email, q.Phone)
	if err != nil || found || q.Email == "" {
		return u, found, err
	}
	identities, err := tx.IdentitiesByEmail(ctx, q.Email)
	if err != nil {
		return u, false, err
	}
	for _, i := range identities {
		u, err := tx.User(ctx, i.UserID)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return u, false, err
		}
		if err == nil && u.Audience == q.Audience && !u.IsSSO {
			return u, true, nil
		}
	}
	return store.User{}, false, nil
}

// attempt is what one run of the transaction did.
type attempt struct {
	talk    *host.Talk
	account user.Account
	created bool        // the account is new
	exists  bool        // the address has an account that this sign-up doesn't change
	restate *user.Draft // what an unproved account is from now on
	started *session.Started
	sent    []post.Sent
	text    text.Sent
}

// attempt writes the account. A racing sign-up of the same address makes the
// transaction fail; the next run finds the account.
func (f *Flow) attempt(ctx context.Context, t *host.Talk, q Request, hash string) (attempt, error) {
	for tries := 0; ; tries++ {
		var a attempt
		err := t.Tx(ctx, f.Store, func(tx store.Store) error {
			a = attempt{talk: t}
			u, found, err := f.owner(ctx, tx, q)
			if err != nil {
				return err
			}
			if found {
				return f.repeat(ctx, tx, q, u, hash, &a)
			}
			return f.create(ctx, tx, q, hash, &a)
		})
		if errors.Is(err, store.ErrConflict) && tries < 3 {
			continue
		}
		return a, err
	}
}

func (f *Flow) create(ctx context.Context, tx store.Store, q Request, hash string, a *attempt) error {
	acc, err := f.Accounts.Create(ctx, tx, a.talk, f.draft(q, hash))
	if err != nil {
		return err
	}
	a.account, a.created = acc, true
	if f.auto(q) {
		return f.confirm(ctx, tx, q, a)
	}
	return f.ask(ctx, tx, q, a)
}

// confirm signs the new account in at once.
func (f *Flow) confirm(ctx context.Context, tx store.Store, q Request, a *attempt) error {
	who := audit.Of(&a.account.User)
	traits := q.traits()
	if err := f.Audit.Add(ctx, tx, who, audit.UserSignedUp, traits); err != nil {
		return err
	}
	if err := f.prove(ctx, tx, q, a); err != nil {
		return err
	}
	if err := a.talk.At(host.Entering, &a.account.User); err != nil {
		return err
	}
	if err := f.Audit.Add(ctx, tx, who, audit.Login, traits); err != nil {
		return err
	}
	st, err := f.Sessions.StartAs(ctx, tx, a.talk, cmp.Or(q.Kind, session.GoTrue), &a.account.User, "password", "")
	a.started = &st
	return err
}

// prove confirms the new account's address or number.
func (f *Flow) prove(ctx context.Context, tx store.Store, q Request, a *attempt) error {
	if q.Phone != "" {
		return f.Accounts.ConfirmPhone(ctx, tx, a.talk, &a.account)
	}
	return f.Accounts.ConfirmEmail(ctx, tx, a.talk, &a.account)
}

// ask sends the mail that proves the address, unless one was sent just now. It takes the
// place of an earlier mail, whose link and code are void.
func (f *Flow) ask(ctx context.Context, tx store.Store, q Request, a *attempt) error {
	if q.Phone != "" {
		return f.askPhone(ctx, tx, q, a)
	}
	wait, err := f.Post.TooSoon(ctx, tx, mail.Confirmation, q.Email)
	if err != nil {
		return err
	}
	if wait > 0 {
		return f.Post.Nothing(ctx, tx, q.Email)
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
	flow, err := f.PKCE.Begin(ctx, tx, q.Challenge, u.ID, "email/signup", q.RedirectTo)
	if err != nil {
		return err
	}
	purpose, err := f.Accounts.Vouches(ctx, tx, a.account, store.PurposeConfirmation, store.PurposeMagicLink, f.Now())
	if err != nil {
		return err
	}
	sent, _, err := f.Post.Write(ctx, tx, post.Letter{
		Kind: mail.Confirmation, User: u, To: u.Email, Purpose: purpose, Flow: flow, RedirectTo: q.RedirectTo,
	})
	if err != nil {
		return err
	}
	a.sent = append(a.sent, sent)
	u.ConfirmationSentAt = f.Now()
	return f.Accounts.Save(ctx, tx, u)
}

// repeat is a sign-up for an address that has an account. A confirmed one isn't changed.
// One that nobody has proved takes the password and the data of the sign-up whose mail
// its owner confirms: who was there first, to lie in wait with a password of his own,
// gains nothing. What others made, or somebody uses already, stays as it is.
func (f *Flow) repeat(ctx context.Context, tx store.Store, q Request, u store.User, hash string, a *attempt) error {
	acc, err := f.Accounts.Complete(ctx, tx, u)
	if err != nil {
		return err
	}
	a.account = acc
	if f.auto(q) || q.proved(u) {
		a.exists = true
		return f.tell(ctx, tx, q, a)
	}
	if unused(u) {
		a.restate = &user.Draft{ID: u.ID, Audience: u.Audience, Email: u.Email, Phone: u.Phone, PasswordHash: hash, UserMetadata: q.Data, Claims: true}
		if q.Known {
			a.restate.UserMetadata = u.UserMetadata
		}
	}
	return f.ask(ctx, tx, q, a)
}

// proved reports whether an account has nothing more to prove by this sign-up.
func (q Request) proved(u store.User) bool {
	if q.Phone != "" {
		return !u.PhoneConfirmedAt.IsZero()
	}
	return !u.EmailConfirmedAt.IsZero() || u.Email != q.Email
}

// unused reports whether an account is nothing but an earlier sign-up, which leaves its
// id in the metadata: nobody has signed in (where one may before confirming), nothing of
// it is proved, and no administrator made or invited it.
func unused(u store.User) bool {
	return !u.Confirmed() && u.LastSignInAt.IsZero() && u.InvitedAt.IsZero() && u.UserMetadata.String("sub") == u.ID.String()
}

// tell lets the owner know that somebody signed up with his address.
func (f *Flow) tell(ctx context.Context, tx store.Store, q Request, a *attempt) error {
	u := &a.account.User
	if err := f.Audit.Add(ctx, tx, audit.Of(u), audit.UserRepeatedSignUp, q.traits()); err != nil {
		return err
	}
	switch {
	case f.auto(q):
		return nil
	case q.Phone != "":
		return f.tellNobody(ctx, tx, q, a)
	}
	wait, err := f.Post.TooSoon(ctx, tx, mail.Confirmation, q.Email)
	if err != nil {
		return err
	}
	if wait > 0 || q.Quiet {
		return f.Post.Nothing(ctx, tx, q.Email)
	}
	// As much is read as where a mail is asked for.
	if _, err := f.Accounts.Vouches(ctx, tx, a.account, store.PurposeConfirmation, store.PurposeMagicLink, f.Now()); err != nil {
		return err
	}
	sent, _, err := f.Post.Write(ctx, tx, post.Letter{Kind: mail.AccountExists, User: u, To: q.Email, RedirectTo: q.RedirectTo})
	a.sent = append(a.sent, sent)
	return err
}

func (f *Flow) answer(ctx context.Context, q Request, a attempt) (Result, error) {
	if a.exists && f.auto(q) {
		return Result{}, errExists
	}
	if err := f.Post.SeeOff(ctx, a.sent...); err != nil {
		return Result{}, err
	}
	if _, err := f.Texts.SeeOff(ctx, a.text); err != nil {
		return Result{}, err
	}
	if a.started != nil {
		g, err := f.Sessions.Grant(ctx, a.account, *a.started)
		return Result{Account: a.account, Grant: &g, Created: a.created}, err
	}
	return Result{Account: f.shown(q, a), Created: a.created}, nil
}

// shown is the account as this sign-up describes it, whatever there was before: a
// repeated one learns nothing of what an earlier one said, nor whether there was one.
func (f *Flow) shown(q Request, a attempt) user.Account {
	d := user.Draft{ID: a.account.User.ID, Audience: q.Audience, Email: q.Email, Phone: q.Phone, UserMetadata: q.Data, Claims: true}
	if a.exists {
		d.ID = f.alias(q)
	}
	like := f.Accounts.Imagine(d, !a.exists || !f.ShowDuplicates)
	if a.created {
		like.Identities[0].ID = a.account.Identities[0].ID
	}
	return like
}

// alias is the id that a sign-up for a confirmed account is shown: the same each time,
// as it is for an account that isn't confirmed.
func (f *Flow) alias(q Request) uuid.UUID {
	var id uuid.UUID
	copy(id[:], f.MAC("signup alias", []byte(q.Audience), []byte(q.Email+q.Phone)))
	id[6] = id[6]&0x0f | 0x40 // version 4 (RFC 9562, 5.4)
	id[8] = id[8]&0x3f | 0x80
	return id
}
