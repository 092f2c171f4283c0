package external

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/google/uuid"

	"github.com/truekeel/auth/fault"
	"github.com/truekeel/auth/internal/audit"
	"github.com/truekeel/auth/internal/host"
	"github.com/truekeel/auth/internal/onetime"
	"github.com/truekeel/auth/internal/pkce"
	"github.com/truekeel/auth/internal/post"
	"github.com/truekeel/auth/internal/session"
	"github.com/truekeel/auth/internal/user"
	"github.com/truekeel/auth/mail"
	"github.com/truekeel/auth/store"
)

// settlement is what becomes of one login: the account that is found, made or linked,
// and the session or code at the end.
type settlement struct {
	*Flow
	talk       *host.Talk
	kind       session.Kind // of the session; "": GoTrue
	known      bool         // only an identity that is known comes in
	coded      bool         // the end is an authorization code
	login      login
	audience   string
	target     uuid.UUID // the signed-in user who asks to be linked
	session    uuid.UUID // his, if it is known
	invite     string
	challenge  pkce.Challenge
	redirectTo string

	asked  bool // the host has agreed to a new account
	posted bool // a mail was taken from the quota

	created   uuid.UUID // the account that was made
	confirmed bool      // its address was proved by this login
	account   user.Account
	started   *session.Started
	code      string
	sent      []post.Sent
	refused   error // a refusal whose changes are kept
}

var (
	errInviteGone = fault.New(fault.InviteNotFound, "Invite not found")
	errInviteMail = fault.New(fault.ValidationFailed, "Invited email does not match emails from external provider")
	errTargetGone = fault.New(fault.UserNotFound, "User to link to does not exist any more")
	errSignedOut  = fault.New(fault.SessionNotFound, "The session that asked to link the identity has ended")
	errLinkMail   = fault.New(fault.EmailNotConfirmed, "Unverified email. A confirmation email has been sent to it")
	errSeveral    = fault.New(fault.Conflict, "Several accounts have one of the verified email addresses; sign in to one of them to link the identity")

	// errUnasked means that an account has to be made, or a mail sent, about which
	// nobody was asked before the transaction.
	errUnasked = errors.New("external: the account was another one before")
)

// unproved is the answer to somebody whose address has to be proved by mail. It is the
// same whether or not the address has an account.
func unproved(provider string) error {
	return fault.New(fault.ProviderEmailNeedsVerification,
		"Unverified email with %[1]s. A confirmation email has been sent to your %[1]s email", provider)
}

// settle decides and writes. A racing login of the same person makes the transaction
// fail; the next run finds what the other wrote.
func (s *settlement) settle(ctx context.Context) error {
	s.talk = s.Host.Talk()
	for range 5 {
		if err := s.ask(ctx); err != nil {
			return err
		}
		err := s.talk.Tx(ctx, s.Store, func(tx store.Store) error { return s.run(ctx, tx) })
		if errors.Is(err, store.ErrConflict) || errors.Is(err, errUnasked) {
			continue
		}
		if err != nil {
			return err
		}
		if err := s.Post.SeeOff(ctx, s.sent...); err != nil {
			return err
		}
		return s.refused
	}
	return errRaces
}

// ask does what has no place in the transaction: it asks the host about a new account
// and takes a mail from the quota, if this login would need it.
func (s *settlement) ask(ctx context.Context) error {
	if s.invite != "" {
		return nil
	}
	_, v, err := s.look(ctx, s.Store)
	if err != nil {
		return err
	}
	if v.makes() && !s.asked {
		if s.Disabled {
			return errDisabled
		}
		id := s.login.identity()
		if err := s.Accounts.Announce(ctx, s.talk, s.draft(&id)); err != nil {
			return err
		}
		s.asked = true
	}
	if v.mails() && !s.posted {
		s.posted = true
		return s.Guard.Mail(ctx)
	}
	return nil
}

// look finds the situation and what the rule says of it.
func (s *settlement) look(ctx context.Context, tx store.Store) (situation, verdict, error) {
	at := situation{login: s.login}
	if s.target != uuid.Nil {
		u, err := tx.User(ctx, s.target)
		if errors.Is(err, store.ErrNotFound) || err == nil && !u.DeletedAt.IsZero() {
			return at, 0, errTargetGone
		}
		if err != nil {
			return at, 0, err
		}
		if err := s.signedIn(ctx, tx); err != nil {
			return at, 0, err
		}
		at.target = &u
	}
	var err error
	if at.owner, err = s.owner(ctx, tx); err != nil {
		return at, 0, err
	}
	if at.owner == nil && s.known {
		return at, 0, ErrUnknown
	}
	if at.owner == nil && at.target == nil {
		if at.holder, err = s.holder(ctx, tx); err != nil {
			return at, 0, err
		}
	}
	v, err := decide(at)
	return at, v, err
}

// signedIn refuses who has been signed out since he began: a stolen session must not
// leave a way in behind.
func (s *settlement) signedIn(ctx context.Context, tx store.Sessions) error {
	if s.session == uuid.Nil {
		return nil
	}
	_, err := tx.Session(ctx, s.session)
	if errors.Is(err, store.ErrNotFound) {
		return errSignedOut
	}
	return err
}

// owner is the user whose identity it is; nil if it is new to us.
func (s *settlement) owner(ctx context.Context, tx store.Store) (*store.User, error) {
	i, err := tx.IdentityBySubject(ctx, s.login.Issuer, s.login.Subject)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	u, err := tx.User(ctx, i.UserID)
	if errors.Is(err, store.ErrNotFound) {
		// It was deleted between the two reads.
		return nil, nil
	}
	return &u, err
}

// holder is the user whom the login's addresses lead to: a confirmed account that has
// one of the addresses, by itself or by an identity that vouched for it; else an
// unconfirmed one that was made with the address that the login stands on.
func (s *settlement) holder(ctx context.Context, tx store.Store) (*store.User, error) {
	if s.login.Address == "" {
		return nil, nil
	}
	own, found, err := user.ByAddress(ctx, tx, s.audience, s.login.Address, "")
	if err != nil {
		return nil, err
	}
	if found && (!own.EmailConfirmedAt.IsZero() || !s.login.Proved) {
		return &own, nil
	}
	var confirmed []store.User
	for _, address := range s.login.Verified {
		more, err := s.confirmedWith(ctx, tx, address)
		if err != nil {
			return nil, err
		}
		for _, u := range more {
			if !slices.ContainsFunc(confirmed, func(c store.User) bool { return c.ID == u.ID }) {
				confirmed = append(confirmed, u)
			}
		}
	}
	switch {
	case len(confirmed) > 1:
		return nil, errSeveral
	case len(confirmed) == 1:
		return &confirmed[0], nil
	case found:
		return &own, nil
	}
	return nil, nil
}

// confirmedWith gives the confirmed accounts that have proved an address.
func (s *settlement) confirmedWith(ctx context.Context, tx store.Store, address string) ([]store.User, error) {
	var out []store.User
	u, found, err := user.ByAddress(ctx, tx, s.audience, address, "")
	if err != nil {
		return nil, err
	}
	if found && !u.EmailConfirmedAt.IsZero() {
		out = append(out, u)
	}
	identities, err := tx.IdentitiesByEmail(ctx, address)
	if err != nil {
		return nil, err
	}
	for _, i := range identities {
		var verified bool
		if i.Data.Decode("email_verified", &verified); !verified {
			continue
		}
		u, err := tx.User(ctx, i.UserID)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return nil, err
		}
		if err == nil && u.Audience == s.audience && !u.IsSSO && !u.EmailConfirmedAt.IsZero() && u.DeletedAt.IsZero() {
			out = append(out, u)
		}
	}
	return out, nil
}

// run is the transaction.
func (s *settlement) run(ctx context.Context, tx store.Store) error {
	s.created, s.confirmed, s.account, s.started, s.code, s.sent, s.refused = uuid.Nil, false, user.Account{}, nil, "", nil, nil
	if err := s.act(ctx, tx); err != nil {
		return err
	}
	if s.refused != nil {
		return nil
	}
	return s.finish(ctx, tx)
}

func (s *settlement) act(ctx context.Context, tx store.Store) error {
	if s.invite != "" {
		return s.accept(ctx, tx)
	}
	at, v, err := s.look(ctx, tx)
	switch {
	case err != nil:
		return err
	case v.makes() && !s.asked, v.mails() && !s.posted:
		return errUnasked
	}
	switch v {
	case enter, proveOwner, askOwner:
		return s.enter(ctx, tx, *at.owner, v)
	case create, createAsk:
		return s.create(ctx, tx, v)
	case link:
		return s.link(ctx, tx, *at.holder)
	case takeOver:
		return s.takeOver(ctx, tx, *at.holder)
	case tellHolder:
		return s.tell(ctx, tx, at.holder)
	}
	return s.attach(ctx, tx, *at.target)
}

// load completes the account, unless its user may not come in.
func (s *settlement) load(ctx context.Context, tx store.Store, u store.User) (err error) {
	if u.Banned(s.Now()) {
		return session.ErrBanned
	}
	s.account, err = s.Accounts.Complete(ctx, tx, u)
	return err
}

// enter signs the identity's owner in.
func (s *settlement) enter(ctx context.Context, tx store.Store, u store.User, v verdict) error {
	if err := s.load(ctx, tx, u); err != nil {
		return err
	}
	l, acc := s.login, &s.account
	if err := s.Accounts.RenewIdentity(ctx, tx, acc, l.Issuer, l.Subject, l.Address, l.Claims); err != nil {
		return err
	}
	switch v {
	case proveOwner:
		lost, err := s.Accounts.Evict(ctx, tx, acc, user.KeepOnly(l.Issuer, l.Subject))
		if err != nil {
			return err
		}
		return s.prove(ctx, tx, lost)
	case askOwner:
		user.Describe(&acc.User, without(l.Claims, "email_verified"))
		return s.mail(ctx, tx)
	}
	user.Describe(&acc.User, l.Claims)
	return s.note(ctx, tx)
}

func without(o store.Object, key string) store.Object {
	c := o.Clone()
	delete(c, key)
	return c
}

// draft is the account that the login makes.
func (s *settlement) draft(id *store.Identity) user.Draft {
	d := user.Draft{Audience: s.audience, Email: s.login.Address, External: id}
	fitted := store.User{}
	user.Describe(&fitted, s.login.Claims)
	d.UserMetadata = fitted.UserMetadata
	return d
}

// create makes an account.
func (s *settlement) create(ctx context.Context, tx store.Store, v verdict) (err error) {
	id := s.login.identity()
	if s.account, err = s.Accounts.Create(ctx, tx, s.talk, s.draft(&id)); err != nil {
		return err
	}
	s.created = s.account.User.ID
	if v == createAsk {
		return s.mail(ctx, tx)
	}
	if err := s.audit(ctx, tx, audit.UserSignedUp); err != nil {
		return err
	}
	if s.login.Proved {
		return s.confirm(ctx, tx)
	}
	return nil
}

// link adds the identity to the account that proved the same address.
func (s *settlement) link(ctx context.Context, tx store.Store, u store.User) error {
	if err := s.load(ctx, tx, u); err != nil {
		return err
	}
	if err := s.add(ctx, tx); err != nil {
		return err
	}
	if err := s.notify(ctx, tx); err != nil {
		return err
	}
	user.Describe(&s.account.User, s.login.Claims)
	return s.note(ctx, tx)
}

// add writes the identity.
func (s *settlement) add(ctx context.Context, tx store.Store) error {
	acc := &s.account
	if err := s.Accounts.AddIdentity(ctx, tx, acc, s.login.identity()); err != nil {
		return err
	}
	return s.Audit.Add(ctx, tx, audit.Of(&acc.User), audit.IdentityLinked, traits(acc.Identities[len(acc.Identities)-1]))
}

// notify lets the owner know of the identity, if he is to be told of such things.
func (s *settlement) notify(ctx context.Context, tx store.Store) error {
	sent, err := s.Post.Notice(ctx, tx, s.linked())
	s.sent = append(s.sent, sent...)
	return err
}

func traits(i store.Identity) map[string]any {
	return map[string]any{"identity_id": i.ID.String(), "provider": i.Provider, "provider_id": i.Subject}
}

// linked is the mail that says that an identity belongs to the account now.
func (s *settlement) linked() post.Letter {
	u := &s.account.User
	return post.Letter{Kind: mail.IdentityLinked, User: u, To: u.Email, Provider: s.login.Provider}
}

// takeOver gives an account whose address nobody had proved to who proves it now.
func (s *settlement) takeOver(ctx context.Context, tx store.Store, u store.User) error {
	if err := s.load(ctx, tx, u); err != nil {
		return err
	}
	lost, err := s.Accounts.Evict(ctx, tx, &s.account, user.KeepOnly(s.login.Issuer, s.login.Subject))
	if err != nil {
		return err
	}
	if err := s.add(ctx, tx); err != nil {
		return err
	}
	return s.prove(ctx, tx, lost)
}

// prove confirms the account's address. What the account was made with counts no more,
// but for what came with an invitation. Its owner is told if somebody lost a way in.
func (s *settlement) prove(ctx context.Context, tx store.Store, lost bool) error {
	u := &s.account.User
	if u.InvitedAt.IsZero() {
		u.UserMetadata = store.Object{}
	}
	user.Describe(u, s.login.Claims)
	if err := s.audit(ctx, tx, audit.UserSignedUp); err != nil {
		return err
	}
	if err := s.confirm(ctx, tx); err != nil || !lost {
		return err
	}
	sent, _, err := s.Post.Write(ctx, tx, s.linked())
	if fault.CodeOf(err) == fault.EmailAddressNotAuthorized {
		return nil
	}
	s.sent = append(s.sent, sent)
	return err
}

// confirm marks the account's address as proved.
func (s *settlement) confirm(ctx context.Context, tx store.Store) error {
	s.confirmed = true
	return s.Accounts.ConfirmEmail(ctx, tx, s.talk, &s.account)
}

// mail asks the account's owner to prove its address, unless he was asked just now.
func (s *settlement) mail(ctx context.Context, tx store.Store) error {
	u := &s.account.User
	if !s.AllowUnproved {
		s.refused = unproved(s.login.Provider)
	}
	wait, err := s.Post.TooSoon(ctx, tx, mail.Confirmation, u.Email)
	if err != nil {
		return err
	}
	if wait > 0 {
		if err := s.Post.Nothing(ctx, tx, u.Email); err != nil {
			return err
		}
		return s.Accounts.Save(ctx, tx, u)
	}
	if err := s.audit(ctx, tx, audit.UserConfirmationRequested); err != nil {
		return err
	}
	sent, _, err := s.Post.Write(ctx, tx, post.Letter{
		Kind: mail.Confirmation, User: u, To: u.Email, Purpose: store.PurposeConfirmation, RedirectTo: s.redirectTo,
	})
	if err != nil {
		return err
	}
	s.sent = append(s.sent, sent)
	u.ConfirmationSentAt = s.Now()
	return s.Accounts.Save(ctx, tx, u)
}

// tell refuses a login whose unproved address has an account, with the answer that a
// free address gets, and lets the account's holder know.
func (s *settlement) tell(ctx context.Context, tx store.Store, u *store.User) error {
	s.refused = unproved(s.login.Provider)
	wait, err := s.Post.TooSoon(ctx, tx, mail.Confirmation, u.Email)
	if err != nil {
		return err
	}
	if wait > 0 {
		return s.Post.Nothing(ctx, tx, u.Email)
	}
	if err := s.Audit.Add(ctx, tx, audit.Of(u), audit.UserRepeatedSignUp, map[string]any{"provider": s.login.Provider}); err != nil {
		return err
	}
	sent, _, err := s.Post.Write(ctx, tx, post.Letter{
		Kind: mail.AccountExists, User: u, To: u.Email, RedirectTo: s.redirectTo, Counted: mail.Confirmation,
	})
	s.sent = append(s.sent, sent)
	return err
}

// attach links the identity to who is signed in. An account without an address takes
// the identity's, at once if the provider vouches for it, else when a mail has proved it.
func (s *settlement) attach(ctx context.Context, tx store.Store, u store.User) error {
	if err := s.load(ctx, tx, u); err != nil {
		return err
	}
	if err := s.add(ctx, tx); err != nil {
		return err
	}
	if err := s.notify(ctx, tx); err != nil {
		return err
	}
	acc := &s.account
	if acc.User.Email != "" || s.login.Address == "" {
		acc.User.IsAnonymous = false
		return s.Accounts.Save(ctx, tx, &acc.User)
	}
	if _, taken, err := user.ByAddress(ctx, tx, acc.User.Audience, s.login.Address, ""); err != nil {
		return err
	} else if taken {
		return user.ErrEmailExists
	}
	if !s.login.Proved {
		return s.attachAsk(ctx, tx)
	}
	acc.User.Email, acc.User.IsAnonymous = s.login.Address, false
	return s.confirm(ctx, tx)
}

// attachAsk keeps the identity and asks by mail for the proof of its address, which
// becomes the account's own only then.
func (s *settlement) attachAsk(ctx context.Context, tx store.Store) error {
	u := &s.account.User
	s.refused = errLinkMail
	wait, err := s.Post.TooSoon(ctx, tx, mail.EmailChange, u.ID.String())
	if err != nil {
		return err
	}
	if wait > 0 {
		return s.Accounts.Save(ctx, tx, u)
	}
	u.NewEmail = s.login.Address
	sent, err := s.Change.Ask(ctx, tx, u, pkce.Challenge{}, s.redirectTo)
	s.sent = append(s.sent, sent...)
	return err
}

// accept is an invitation that is accepted by way of a provider. The token, which came
// by mail, proves the address; the provider's account has to have the same one.
func (s *settlement) accept(ctx context.Context, tx store.Store) error {
	token, err := s.Tokens.ByLink(ctx, tx, s.invite, store.PurposeInvite)
	if errors.Is(err, onetime.ErrLink) {
		return errInviteGone
	}
	if err != nil {
		return err
	}
	u, err := tx.User(ctx, token.UserID)
	if errors.Is(err, store.ErrNotFound) || err == nil && !u.EmailConfirmedAt.IsZero() {
		return errInviteGone // a confirmed account has accepted, and loses nothing
	}
	if err != nil {
		return err
	}
	if err := s.load(ctx, tx, u); err != nil {
		return err
	}
	if !slices.Contains(s.login.Emails, u.Email) {
		return errInviteMail
	}
	if err := s.Tokens.Take(ctx, tx, token, errInviteGone); err != nil {
		return err
	}
	owner, err := s.owner(ctx, tx)
	if err != nil {
		return err
	}
	if owner != nil && owner.ID != u.ID {
		return errLinkedToElse
	}
	return s.welcome(ctx, tx, owner != nil)
}

// welcome confirms the account of an accepted invitation.
func (s *settlement) welcome(ctx context.Context, tx store.Store, known bool) error {
	lost, err := s.Accounts.Evict(ctx, tx, &s.account, user.KeepOnly(s.login.Issuer, s.login.Subject))
	if err != nil {
		return err
	}
	if !known {
		if err := s.Accounts.AddIdentity(ctx, tx, &s.account, s.login.identity()); err != nil {
			return err
		}
	}
	if err := s.audit(ctx, tx, audit.InviteAccepted); err != nil {
		return err
	}
	return s.prove(ctx, tx, lost)
}

// audit writes an entry that names the provider.
func (s *settlement) audit(ctx context.Context, tx store.Store, what audit.Action) error {
	return s.Audit.Add(ctx, tx, audit.Of(&s.account.User), what, map[string]any{"provider": s.login.Provider})
}

// note writes the sign-in down, unless the redemption of its code will.
func (s *settlement) note(ctx context.Context, tx store.Store) error {
	if s.coded {
		return nil
	}
	return s.audit(ctx, tx, audit.Login)
}

// finish ends with an authorization code or a session.
func (s *settlement) finish(ctx context.Context, tx store.Store) (err error) {
	u := &s.account.User
	if !s.confirmed && s.target == uuid.Nil {
		if err := s.talk.At(host.Entering, u); err != nil {
			return err
		}
	}
	if !s.coded {
		st, err := s.Sessions.StartAs(ctx, tx, s.talk, cmp.Or(s.kind, session.GoTrue), u, method, "")
		s.started = &st
		return err
	}
	if err := s.Accounts.Save(ctx, tx, u); err != nil {
		return err
	}
	if s.kind == session.Keel {
		s.code, err = s.PKCE.IssueKeel(ctx, tx, s.challenge, u.ID, method, s.login.Provider)
		return err
	}
	s.code, err = s.issue(ctx, tx, u.ID, parcel{Token: s.login.token, Refresh: s.login.refresh})
	return err
}

// issue makes an authorization code whose redemption gives the parcel.
func (s *settlement) issue(ctx context.Context, tx store.FlowStates, userID uuid.UUID, p parcel) (string, error) {
	id := uuid.New()
	data, err := s.seal(id, p)
	if err != nil {
		return "", err
	}
	return s.PKCE.Issue(ctx, tx, store.FlowState{
		ID: id, UserID: userID, Method: method, Provider: s.login.Provider,
		Challenge: s.challenge.Value, ChallengeMethod: s.challenge.Method, RedirectTo: s.redirectTo, Data: data,
	})
}
