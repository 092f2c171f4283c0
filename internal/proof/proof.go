// Package proof is how people prove an address or a number: the mails and messages that
// they ask for, and what the codes and links in them are good for.
package proof

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/truekeel/auth/fault"
	"github.com/truekeel/auth/internal/audit"
	"github.com/truekeel/auth/internal/emailchange"
	"github.com/truekeel/auth/internal/guard"
	"github.com/truekeel/auth/internal/host"
	"github.com/truekeel/auth/internal/onetime"
	"github.com/truekeel/auth/internal/password"
	"github.com/truekeel/auth/internal/pkce"
	"github.com/truekeel/auth/internal/post"
	"github.com/truekeel/auth/internal/session"
	"github.com/truekeel/auth/internal/text"
	"github.com/truekeel/auth/internal/user"
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
	Tokens   *onetime.Tokens
	Guard    *guard.Guard
	Hasher   *password.Hasher
	Policy   password.Policy
	Change   *emailchange.Step
	Audit    *audit.Log
	Now      func() time.Time

	SignUpDisabled bool
	EmailOff       bool
	MagicLinkOff   bool
	AutoConfirm    bool
	// PhoneOff and PhoneAutoConfirm say the same of numbers.
	PhoneOff         bool
	PhoneAutoConfirm bool
	// ShowUnknown answers a request that would need an account which may not be made
	// with an error that says so, instead of as for any other address.
	ShowUnknown bool

	// Host are the host's steps; nil if it has none.
	Host *host.Steps
}

// Flow proves addresses. It is safe for concurrent use.
type Flow struct{ Config }

// New makes a Flow.
func New(c Config) *Flow { return &Flow{c} }

// The types of a verification, as clients name them.
const (
	TypeSignUp      = "signup"
	TypeInvite      = "invite"
	TypeRecovery    = "recovery"
	TypeMagicLink   = "magiclink"
	TypeEmail       = "email"
	TypeEmailChange = "email_change"
)

// purposes are the tokens that satisfy a type.
func purposes(kind string) []store.Purpose {
	switch kind {
	case TypeSignUp, TypeInvite:
		return []store.Purpose{store.PurposeConfirmation, store.PurposeInvite, store.PurposeMagicLink}
	case TypeRecovery, TypeMagicLink:
		return []store.Purpose{store.PurposeRecovery, store.PurposeMagicLink}
	case TypeEmail:
		return []store.Purpose{store.PurposeConfirmation, store.PurposeInvite, store.PurposeRecovery, store.PurposeMagicLink}
	case TypeEmailChange:
		return []store.Purpose{store.PurposeEmailChangeCurrent, store.PurposeEmailChangeNew}
	}
	return nil
}

// Verification is a code or link that somebody presents.
type Verification struct {
	Audience string
	Type     string
	Link     string // the token of a link; or
	Code     string // a code, with the address that it was sent to
	Email    string // or a number
	Phone    string
	// Password is set if the account has none yet.
	Password string
	// Redirected says that a browser follows the link: a PKCE flow ends with a code.
	Redirected bool
}

// Verified is what a proof gives: a grant, an authorization code, or, for the first
// half of a double confirmation, neither.
type Verified struct {
	Type  string // the effective one
	Grant *session.Grant
	Code  string
	Half  bool
}

// HalfDone is what the first half of a double confirmation is told.
const HalfDone = "Confirmation link accepted. Please proceed to confirm link sent to the other email"

var errType = fault.New(fault.ValidationFailed, "Invalid email verification type")

// Verify redeems a code or a link.
func (f *Flow) Verify(ctx context.Context, q Verification) (Verified, error) {
	if err := f.Guard.Client(ctx, guard.Verify); err != nil {
		return Verified{}, err
	}
	if q.Phone != "" {
		// Where a service checks the code, it isn't asked for nothing.
		if err := f.checkPassword(ctx, q.Password, q.Phone); err != nil {
			return Verified{}, err
		}
	}
	token, miss, err := f.find(ctx, q)
	if err != nil {
		return Verified{}, err
	}
	if q.Phone == "" {
		if err := f.checkPassword(ctx, q.Password, token.Recipient); err != nil {
			return Verified{}, err
		}
	}
	hash, err := f.hash(ctx, q.Password)
	if err != nil {
		return Verified{}, err
	}
	r := redemption{Flow: f, talk: f.Host.Talk(), q: q, token: token, miss: miss, hash: hash}
	err = r.talk.Tx(ctx, f.Store, func(tx store.Store) error { return r.redeem(ctx, tx) })
	if errors.Is(err, store.ErrConflict) {
		return Verified{}, q.taken()
	}
	if err != nil {
		return Verified{}, err
	}
	return r.answer(ctx)
}

// find looks the token up, without taking it. miss is what a racing caller is told.
func (f *Flow) find(ctx context.Context, q Verification) (token store.OneTimeToken, miss error, err error) {
	if q.Phone != "" {
		return f.findPhone(ctx, q)
	}
	wanted := purposes(q.Type)
	if q.Link != "" {
		if wanted == nil {
			return token, nil, errType
		}
		token, err = f.Tokens.ByLink(ctx, f.Store, q.Link, wanted...)
		return token, onetime.ErrLink, err
	}
	candidates, err := f.candidates(ctx, q, wanted)
	if err != nil {
		return token, nil, err
	}
	token, err = f.Tokens.ByCode(ctx, q.Email, q.Code, candidates...)
	return token, onetime.ErrCode, err
}

// candidates are the tokens that a code for an address may belong to. An address
// without an account gets as many, of nobody.
func (f *Flow) candidates(ctx context.Context, q Verification, wanted []store.Purpose) ([]onetime.Candidate, error) {
	u, _, err := user.ByAddress(ctx, f.Store, q.Audience, q.Email, "")
	if err != nil {
		return nil, err
	}
	var out []onetime.Candidate
	for _, p := range wanted {
		if p != store.PurposeEmailChangeNew {
			out = append(out, onetime.Candidate{UserID: u.ID, Purpose: p})
			continue
		}
		pending, err := f.pending(ctx, q.Email, p)
		if err != nil {
			return nil, err
		}
		out = append(out, pending...)
	}
	return out, nil
}

// pending are the tokens of a purpose that were sent to somebody who may not be the
// account's own yet; one of nobody where there is none.
func (f *Flow) pending(ctx context.Context, to string, p store.Purpose) ([]onetime.Candidate, error) {
	rows, err := f.Store.OneTimeTokensTo(ctx, to, p)
	if err != nil {
		return nil, err
	}
	if len(rows) == 0 {
		return []onetime.Candidate{{Purpose: p}}, nil
	}
	var out []onetime.Candidate
	for _, t := range rows {
		out = append(out, onetime.Candidate{UserID: t.UserID, Purpose: p})
	}
	return out, nil
}

// checkPassword refuses what can't become a password that comes with a proof.
func (f *Flow) checkPassword(ctx context.Context, pw, address string) error {
	if pw == "" {
		return nil
	}
	if err := f.Hasher.CheckText(pw); err != nil {
		return err
	}
	return f.Policy.Check(ctx, pw, password.OwnWords(address)...)
}

// hash hashes a password that comes with a proof; "" for none.
func (f *Flow) hash(ctx context.Context, pw string) (string, error) {
	if pw == "" {
		return "", nil
	}
	return f.Hasher.Hash(ctx, pw)
}

// redemption is one proof within its transaction.
type redemption struct {
	*Flow
	talk  *host.Talk
	q     Verification
	token store.OneTimeToken
	miss  error
	hash  string

	account user.Account
	kind    string
	half    bool
	code    string
	started *session.Started
	sent    []post.Sent
}

func (r *redemption) redeem(ctx context.Context, tx store.Store) error {
	r.half, r.code, r.started, r.sent = false, "", nil, nil
	acc, err := r.Accounts.Load(ctx, tx, r.token.UserID)
	if errors.Is(err, store.ErrNotFound) {
		return r.miss
	}
	if err != nil {
		return err
	}
	r.account = acc
	if acc.User.Banned(r.Now()) {
		return session.ErrBanned
	}
	if err := r.Tokens.Take(ctx, tx, r.token, r.miss); err != nil {
		return err
	}
	if err := r.act(ctx, tx); err != nil || r.half {
		return err
	}
	return r.finish(ctx, tx)
}

// recipient is the account's address that a token of the purpose proves.
func (r *redemption) recipient() string {
	switch u := &r.account.User; r.token.Purpose {
	case store.PurposeEmailChangeNew:
		return u.NewEmail
	case store.PurposePhoneConfirmation, store.PurposePhoneSignIn:
		return u.Phone
	case store.PurposePhoneChange:
		return u.NewPhone
	default:
		return u.Email
	}
}

// act does what the token's purpose is. What was sent to an address that isn't the
// account's any more proves nothing.
func (r *redemption) act(ctx context.Context, tx store.Store) error {
	if r.token.Recipient != r.recipient() {
		return r.miss
	}
	r.kind = r.q.Type
	switch r.token.Purpose {
	case store.PurposeConfirmation, store.PurposeInvite:
		r.kind = effective(r.q.Type, TypeSignUp)
		// Whoever accepts an invitation didn't choose a password before. And who waits for
		// the mail of a sign-in may take that of another's sign-up for it.
		other, err := user.Waiting(ctx, tx, r.token.UserID, store.PurposeMagicLink, r.Now())
		if err != nil {
			return err
		}
		return r.confirm(ctx, tx, other || r.token.Purpose == store.PurposeInvite)
	case store.PurposeRecovery, store.PurposeMagicLink:
		r.kind = effective(r.q.Type, TypeMagicLink)
		return r.signIn(ctx, tx)
	case store.PurposeEmailChangeCurrent, store.PurposeEmailChangeNew:
		return r.change(ctx, tx)
	case store.PurposePhoneConfirmation, store.PurposePhoneSignIn:
		return r.enterByPhone(ctx, tx)
	case store.PurposePhoneChange:
		return r.changePhone(ctx, tx)
	}
	return r.miss
}

// effective is the type that is reported back for the general type "email".
func effective(asked, kind string) string {
	if asked == TypeEmail {
		return kind
	}
	return asked
}

// confirm proves the account's address. evict drops a password that was chosen, and a
// provider's identity or a number that was added, before anybody had proved the address,
// by somebody who asked for another mail than this.
func (r *redemption) confirm(ctx context.Context, tx store.Store, evict bool) error {
	u := &r.account.User
	if err := r.Audit.Add(ctx, tx, audit.Of(u), audit.UserSignedUp, map[string]any{"provider": user.EmailProvider}); err != nil {
		return err
	}
	if evict {
		if _, err := r.Accounts.Evict(ctx, tx, &r.account, user.KeepOwn); err != nil {
			return err
		}
		if err := r.Accounts.DropPhone(ctx, tx, &r.account); err != nil {
			return err
		}
	}
	if err := tx.DeleteOneTimeTokens(ctx, u.ID, store.PurposeConfirmation, store.PurposeInvite); err != nil {
		return err
	}
	r.setPassword(u)
	return r.Accounts.ConfirmEmail(ctx, tx, r.talk, &r.account)
}

// signIn is a recovery or a magic link.
func (r *redemption) signIn(ctx context.Context, tx store.Store) error {
	u := &r.account.User
	if u.EmailConfirmedAt.IsZero() {
		return r.confirm(ctx, tx, true)
	}
	if err := tx.DeleteOneTimeTokens(ctx, u.ID, store.PurposeRecovery, store.PurposeMagicLink); err != nil {
		return err
	}
	r.setPassword(u)
	if err := r.talk.At(host.Entering, u); err != nil {
		return err
	}
	return r.Audit.Add(ctx, tx, audit.Of(u), audit.Login, nil)
}

func (r *redemption) setPassword(u *store.User) {
	if u.PasswordHash == "" && r.hash != "" {
		u.PasswordHash = r.hash
	}
}

// finish ends with an authorization code or a session.
func (r *redemption) finish(ctx context.Context, tx store.Store) error {
	u := &r.account.User
	if r.q.Redirected && r.token.FlowStateID != uuid.Nil {
		var err error
		if r.code, err = r.PKCE.Continue(ctx, tx, r.token.FlowStateID, u.ID); err != nil {
			return err
		}
		return r.Accounts.Save(ctx, tx, u)
	}
	st, err := r.Sessions.Start(ctx, tx, r.talk, u, "otp", "")
	r.started = &st
	return err
}

func (r *redemption) answer(ctx context.Context) (Verified, error) {
	// A notification that can't be sent doesn't undo what is proved.
	_ = r.Post.SeeOff(ctx, r.sent...)
	out := Verified{Type: r.kind, Code: r.code, Half: r.half}
	if r.started == nil {
		return out, nil
	}
	g, err := r.Sessions.Grant(ctx, r.account, *r.started)
	out.Grant = &g
	return out, err
}
