package admin

import (
	"context"
	"errors"

	"github.com/google/uuid"

	"github.com/truekeel/auth/fault"
	"github.com/truekeel/auth/internal/audit"
	"github.com/truekeel/auth/internal/host"
	"github.com/truekeel/auth/internal/onetime"
	"github.com/truekeel/auth/internal/password"
	"github.com/truekeel/auth/internal/post"
	"github.com/truekeel/auth/internal/user"
	"github.com/truekeel/auth/mail"
	"github.com/truekeel/auth/store"
)

// Invitation invites somebody by mail.
type Invitation struct {
	Audience   string
	Email      string
	Data       store.Object
	RedirectTo string
}

// Invite makes an account without a password, if there is none, and mails its owner a
// link to accept. It works whatever the sign-up policy is.
func (f *Flow) Invite(ctx context.Context, who audit.Actor, q Invitation) (user.Account, error) {
	t := f.Host.Talk()
	q, err := f.invitable(ctx, t, q)
	if err != nil {
		return user.Account{}, err
	}
	var acc user.Account
	var sent post.Sent
	err = f.retry(ctx, t, func(tx store.Store) (err error) {
		acc, sent, err = f.invite(ctx, tx, t, who, q)
		return err
	})
	if err != nil {
		return acc, err
	}
	return acc, f.Post.SeeOff(ctx, sent)
}

// InviteIn is Invite within tx; the mail goes out after its commit.
func (f *Flow) InviteIn(ctx context.Context, tx store.Store, who audit.Actor, q Invitation) (user.Account, error) {
	t := f.Host.Talk()
	q, err := f.invitable(ctx, t, q)
	if err != nil {
		return user.Account{}, err
	}
	var acc user.Account
	err = t.Tx(ctx, tx, func(tx store.Store) (err error) {
		acc, _, err = f.invite(ctx, tx, t, who, q)
		return err
	})
	return acc, err
}

// invitable checks an invitation before its transaction.
func (f *Flow) invitable(ctx context.Context, t *host.Talk, q Invitation) (Invitation, error) {
	email, err := user.NormalizeEmail(q.Email)
	if err != nil {
		return q, err
	}
	q.Email = email
	if err := f.announce(ctx, t, q.draft()); err != nil {
		return q, err
	}
	return q, f.Guard.Mail(ctx)
}

func (f *Flow) invite(ctx context.Context, tx store.Store, t *host.Talk, who audit.Actor, q Invitation) (user.Account, post.Sent, error) {
	acc, err := f.invited(ctx, tx, t, who, q)
	if err != nil {
		return acc, post.Sent{}, err
	}
	sent, _, err := f.Post.Write(ctx, tx, post.Letter{Kind: mail.Invite, User: &acc.User, To: q.Email, Purpose: store.PurposeInvite, RedirectTo: q.RedirectTo})
	return acc, sent, err
}

// draft is the account that an invitation makes.
func (q Invitation) draft() user.Draft {
	return user.Draft{Audience: q.Audience, Email: q.Email, UserMetadata: q.Data}
}

// announce asks the host, if an account would be made.
func (f *Flow) announce(ctx context.Context, t *host.Talk, d user.Draft) error {
	if !f.Host.Asks(host.Before) {
		return nil
	}
	_, found, err := user.ByAddress(ctx, f.Store, d.Audience, d.Email, "")
	if err != nil || found {
		return err
	}
	return f.Accounts.Announce(ctx, t, d)
}

// invited gives the account that is invited, with the time noted.
func (f *Flow) invited(ctx context.Context, tx store.Store, t *host.Talk, who audit.Actor, q Invitation) (user.Account, error) {
	acc, err := f.pending(ctx, tx, t, q.draft())
	if err != nil {
		return acc, err
	}
	u := &acc.User
	if err := f.Audit.Add(ctx, tx, who, audit.UserInvited, map[string]any{"user_id": u.ID.String(), "user_email": u.Email}); err != nil {
		return acc, err
	}
	u.InvitedAt, u.ConfirmationSentAt = f.Now(), f.Now()
	return acc, f.Accounts.Save(ctx, tx, u)
}

// pending gives the unconfirmed account of an address, made from d if there is none.
func (f *Flow) pending(ctx context.Context, tx store.Store, t *host.Talk, d user.Draft) (user.Account, error) {
	u, found, err := user.ByAddress(ctx, tx, d.Audience, d.Email, "")
	if err != nil {
		return user.Account{}, err
	}
	if found && !u.EmailConfirmedAt.IsZero() {
		return user.Account{}, user.ErrEmailExists
	}
	if found {
		return f.Accounts.Complete(ctx, tx, u)
	}
	return f.Accounts.Create(ctx, tx, t, d)
}

// retry runs a transaction again when a racing one took an address: then it is found.
func (f *Flow) retry(ctx context.Context, t *host.Talk, fn func(tx store.Store) error) error {
	for tries := 0; ; tries++ {
		err := t.Tx(ctx, f.Store, fn)
		if !errors.Is(err, store.ErrConflict) || tries == 3 {
			return err
		}
	}
}

// LinkRequest asks for a link that the administrator delivers himself.
type LinkRequest struct {
	Audience   string
	Type       string
	Email      string
	NewEmail   string
	Password   string
	Data       store.Object
	RedirectTo string
}

// Link is what can be delivered.
type Link struct {
	Account    user.Account
	URL        string // the whole link
	Code       string
	Token      string // of the link
	Type       string // the effective one
	RedirectTo string
}

var errLinkUser = fault.New(fault.UserNotFound, "User with this email not found")

// GenerateLink makes a code and a link without sending them.
func (f *Flow) GenerateLink(ctx context.Context, who audit.Actor, q LinkRequest) (Link, error) {
	t := f.Host.Talk()
	d, err := f.linkDraft(ctx, t, &q)
	if err != nil {
		return Link{}, err
	}
	g := generation{Flow: f, talk: t, who: who, q: q, draft: d}
	if err := f.retry(ctx, t, func(tx store.Store) error { return g.run(ctx, tx) }); err != nil {
		return Link{}, err
	}
	out := Link{Account: g.account, Code: g.issued.Code, Token: g.issued.Link, Type: g.q.Type, RedirectTo: q.RedirectTo}
	out.URL, err = f.Post.Link(ctx, post.Letter{Kind: g.kind, Type: g.linkType, RedirectTo: q.RedirectTo}, g.issued.Link)
	return out, err
}

// linkDraft checks a request and prepares the account that may have to be made.
func (f *Flow) linkDraft(ctx context.Context, t *host.Talk, q *LinkRequest) (user.Draft, error) {
	email, err := user.NormalizeEmail(q.Email)
	if err != nil {
		return user.Draft{}, err
	}
	q.Email = email
	_, found, err := user.ByAddress(ctx, f.Store, q.Audience, q.Email, "")
	if err != nil {
		return user.Draft{}, err
	}
	d := user.Draft{Audience: q.Audience, Email: q.Email, UserMetadata: q.Data}
	switch q.Type {
	case "signup":
		if found && q.Password == "" {
			return d, nil
		}
		if q.Password == "" {
			return d, fault.New(fault.ValidationFailed, "Signup requires a valid password")
		}
		if err := f.Policy.Check(ctx, q.Password, password.OwnWords(q.Email)...); err != nil {
			return d, err
		}
		if d.PasswordHash, err = f.Hasher.Hash(ctx, q.Password); err != nil {
			return d, err
		}
	case "magiclink":
		if !found {
			q.Type = "signup"
		}
	case "recovery":
		if !found {
			return d, errLinkUser
		}
	case "invite":
	case "email_change_current", "email_change_new":
		return d, f.linkChange(ctx, q, found)
	default:
		return d, fault.New(fault.ValidationFailed, "Invalid email action link type requested: %s", q.Type)
	}
	if found {
		return d, nil
	}
	return d, f.Accounts.Announce(ctx, t, d)
}

func (f *Flow) linkChange(ctx context.Context, q *LinkRequest, found bool) (err error) {
	if !found {
		return errLinkUser
	}
	if q.Type == "email_change_current" && !f.SecureChange {
		return fault.New(fault.ValidationFailed, "Enable secure email change to generate link for current email")
	}
	if q.NewEmail, err = user.NormalizeEmail(q.NewEmail); err != nil {
		return err
	}
	_, taken, err := user.ByAddress(ctx, f.Store, q.Audience, q.NewEmail, "")
	if err == nil && taken {
		err = user.ErrEmailExists
	}
	return err
}

// generation is one link within its transaction.
type generation struct {
	*Flow
	talk  *host.Talk
	who   audit.Actor
	q     LinkRequest
	draft user.Draft

	account  user.Account
	issued   onetime.Issued
	kind     mail.Kind
	linkType string
}

func (g *generation) run(ctx context.Context, tx store.Store) error {
	switch g.q.Type {
	case "signup":
		return g.signUp(ctx, tx)
	case "invite":
		return g.invite(ctx, tx)
	case "magiclink":
		return g.signIn(ctx, tx, mail.MagicLink, store.PurposeMagicLink)
	case "recovery":
		return g.signIn(ctx, tx, mail.Recovery, store.PurposeRecovery)
	}
	return g.change(ctx, tx)
}

func (g *generation) issue(ctx context.Context, tx store.Store, p store.Purpose, to string) (err error) {
	g.issued, err = g.Tokens.Issue(ctx, tx, g.account.User.ID, p, to, uuid.Nil)
	return err
}

func (g *generation) signUp(ctx context.Context, tx store.Store) (err error) {
	g.kind, g.linkType = mail.Confirmation, "signup"
	if g.account, err = g.pending(ctx, tx, g.talk, g.draft); err != nil {
		return err
	}
	u := &g.account.User
	if err := user.Merge(u, g.q.Data, nil); err != nil {
		return err
	}
	// It takes the place of one that was chosen before anybody proved the address.
	if err := g.setPassword(ctx, tx, u, g.draft.PasswordHash); err != nil {
		return err
	}
	u.ConfirmationSentAt = g.Now()
	if err := g.issue(ctx, tx, store.PurposeConfirmation, u.Email); err != nil {
		return err
	}
	return g.Accounts.Save(ctx, tx, u)
}

func (g *generation) invite(ctx context.Context, tx store.Store) (err error) {
	g.kind, g.linkType = mail.Invite, "invite"
	g.account, err = g.invited(ctx, tx, g.talk, g.who, Invitation{Audience: g.q.Audience, Email: g.q.Email, Data: g.q.Data})
	if err != nil {
		return err
	}
	return g.issue(ctx, tx, store.PurposeInvite, g.account.User.Email)
}

func (g *generation) signIn(ctx context.Context, tx store.Store, kind mail.Kind, p store.Purpose) error {
	g.kind, g.linkType = kind, g.q.Type
	if err := g.load(ctx, tx); err != nil {
		return err
	}
	u := &g.account.User
	if err := g.Audit.Add(ctx, tx, audit.Of(u), audit.UserRecoveryRequested, nil); err != nil {
		return err
	}
	u.RecoverySentAt = g.Now()
	if err := g.issue(ctx, tx, p, u.Email); err != nil {
		return err
	}
	return g.Accounts.Save(ctx, tx, u)
}

func (g *generation) change(ctx context.Context, tx store.Store) error {
	g.kind, g.linkType = mail.EmailChange, "email_change"
	if err := g.load(ctx, tx); err != nil {
		return err
	}
	u := &g.account.User
	if u.NewEmail != g.q.NewEmail {
		u.EmailChangeSide = store.ChangeNone
		if err := tx.DeleteOneTimeTokens(ctx, u.ID, store.PurposeEmailChangeCurrent, store.PurposeEmailChangeNew); err != nil {
			return err
		}
	}
	u.NewEmail, u.EmailChangeSentAt = g.q.NewEmail, g.Now()
	p, to := store.PurposeEmailChangeNew, g.q.NewEmail
	if g.q.Type == "email_change_current" {
		p, to = store.PurposeEmailChangeCurrent, u.Email
	}
	if err := g.issue(ctx, tx, p, to); err != nil {
		return err
	}
	return g.Accounts.Save(ctx, tx, u)
}

func (g *generation) load(ctx context.Context, tx store.Store) error {
	u, err := tx.UserByEmail(ctx, g.q.Audience, g.q.Email)
	if errors.Is(err, store.ErrNotFound) {
		return errLinkUser
	}
	if err != nil {
		return err
	}
	g.account, err = g.Accounts.Complete(ctx, tx, u)
	return err
}
