// Package account is what a signed-in user does with his own account: read it, change
// it, prove again that he is there, sign out.
package account

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
	Tokens   *onetime.Tokens
	Change   *emailchange.Step
	Guard    *guard.Guard
	Hasher   *password.Hasher
	Policy   password.Policy
	Audit    *audit.Log
	Now      func() time.Time

	// AdminRole is the stored role that lets a user of Audience change his own
	// app metadata; "" for none.
	AdminRole string
	Audience  string
	// AutoConfirm lets an anonymous user take an address at once.
	AutoConfirm bool
	// PhoneOff leaves everybody's number as it is and sends no messages;
	// PhoneAutoConfirm takes a new number without proof.
	PhoneOff         bool
	PhoneAutoConfirm bool
	// AskNonce asks for a nonce when a password is changed in a session older
	// than a day; RequireCurrent for the present password.
	AskNonce       bool
	RequireCurrent bool
	// Host are the host's steps; nil if it has none.
	Host *host.Steps
}

// Flow changes accounts. It is safe for concurrent use.
type Flow struct{ Config }

// New makes a Flow.
func New(c Config) *Flow { return &Flow{c} }

// Caller is the user whose token was checked, with the session it names; the session
// is zero for a token without one.
type Caller struct {
	User    store.User
	Session store.Session
}

// there is the error of reading the caller again, within a transaction: he may be gone
// since his token was checked.
func there(u store.User, err error) error {
	if errors.Is(err, store.ErrNotFound) || err == nil && !u.DeletedAt.IsZero() {
		return session.ErrGone
	}
	return err
}

// Get reads the caller's account.
func (f *Flow) Get(ctx context.Context, c Caller) (user.Account, error) {
	return f.Accounts.Complete(ctx, f.Store, c.User)
}

// Update is a change that a user asks for; nil fields and empty texts change nothing.
type Update struct {
	Email           string
	Phone           string
	Channel         string // how a message reaches the phone; "" for a text message
	Password        *string
	CurrentPassword string
	Nonce           string
	Data            store.Object
	AppMetadata     store.Object
	Challenge       pkce.Challenge
	RedirectTo      string
}

var (
	errAppMetadata = fault.New(fault.NotAdmin, "Updating app_metadata requires admin privileges")
	errPhoneOff    = fault.New(fault.PhoneProviderDisabled, "Phone logins are disabled")
	errSSO         = fault.New(fault.SSOManaged, "A user attribute that is managed by single sign-on can't be changed here")
	errAnonymous   = fault.New(fault.ValidationFailed, "Updating password of an anonymous user without an email or phone is not allowed")
	errSame        = fault.New(fault.SamePassword, "New password should be different from the old password.")
	errNonceNeeded = fault.New(fault.ReauthenticationNeeded, "Password update requires reauthentication")
	errNonce       = fault.New(fault.ReauthenticationNotValid, "Nonce has expired or is invalid")
	errCurrentNone = fault.New(fault.CurrentPasswordRequired, "Current password required when setting new password.")
	errCurrent     = fault.New(fault.CurrentPasswordInvalid, "Current password required when setting new password.")
)

// Update changes the caller's account.
func (f *Flow) Update(ctx context.Context, c Caller, q Update) (user.Account, error) {
	if err := f.Guard.Client(ctx, guard.UserUpdate); err != nil {
		return user.Account{}, err
	}
	if err := f.admit(ctx, c, &q); err != nil {
		return user.Account{}, err
	}
	changes := q.Email != "" && q.Email != c.User.Email
	if changes {
		if err := f.mailable(ctx, c); err != nil {
			return user.Account{}, err
		}
	}
	moves := q.Phone != "" && q.Phone != c.User.Phone
	if moves {
		if err := f.affordable(ctx, c, q); err != nil {
			return user.Account{}, err
		}
	}
	hash, nonce, err := f.password(ctx, c, q)
	if err != nil {
		return user.Account{}, err
	}
	e := edit{Flow: f, talk: f.Host.Talk(), caller: c, q: q, hash: hash, nonce: nonce, email: changes, phone: moves}
	err = e.talk.Tx(ctx, f.Store, func(tx store.Store) error { return e.run(ctx, tx) })
	if errors.Is(err, store.ErrConflict) {
		if err := f.free(ctx, &c.User, q); err != nil {
			return user.Account{}, err
		}
		// Not the address: another request for its proofs came at the same time.
		if !changes {
			return user.Account{}, text.Wait(time.Second)
		}
		return user.Account{}, post.Wait(time.Second)
	}
	if err != nil {
		return user.Account{}, err
	}
	if err := f.Post.SeeOff(ctx, e.sent...); err != nil {
		return user.Account{}, err
	}
	_, err = f.Texts.SeeOff(ctx, e.text)
	return e.account, err
}

// admit checks what needs no hash.
func (f *Flow) admit(ctx context.Context, c Caller, q *Update) error {
	if err := f.admitPhone(q); err != nil {
		return err
	}
	if q.Email != "" {
		email, err := user.NormalizeEmail(q.Email)
		if err != nil {
			return err
		}
		q.Email = email
	}
	if q.Password != nil {
		var about []string
		for _, own := range []string{c.User.Email, q.Email, c.User.Phone, q.Phone} {
			about = append(about, password.OwnWords(own)...)
		}
		if err := f.Policy.Check(ctx, *q.Password, about...); err != nil {
			return err
		}
		if err := f.Hasher.CheckText(*q.Password); err != nil {
			return err
		}
	}
	u := &c.User
	switch {
	case q.AppMetadata != nil && (f.AdminRole == "" || u.Audience != f.Audience || u.Role != f.AdminRole):
		return errAppMetadata
	case u.IsAnonymous && q.Password != nil && q.Email == "" && q.Phone == "":
		return errAnonymous
	case u.IsSSO && (q.Email != "" || q.Phone != "" || q.Password != nil || q.Nonce != ""):
		return errSSO
	}
	return f.free(ctx, u, *q)
}

// free refuses an address or a number that is another account's.
func (f *Flow) free(ctx context.Context, u *store.User, q Update) error {
	for _, one := range []struct {
		email, phone string
		same         bool
		taken        error
	}{
		{q.Email, "", q.Email == u.Email, user.ErrEmailExists},
		{"", q.Phone, q.Phone == u.Phone, user.ErrPhoneExists},
	} {
		if one.same || one.email+one.phone == "" {
			continue
		}
		_, taken, err := user.ByAddress(ctx, f.Store, u.Audience, one.email, one.phone)
		if err != nil {
			return err
		}
		if taken {
			return one.taken
		}
	}
	return nil
}

// mailable takes the mails of a change of address from the quota.
func (f *Flow) mailable(ctx context.Context, c Caller) error {
	if c.User.IsAnonymous && f.AutoConfirm {
		return nil
	}
	return f.Guard.Mail(ctx)
}

// password checks what a new password needs and hashes it. The nonce's token, if one
// was needed, is taken with the change. Nothing is compared with the present password
// before the nonce is a good one: else whoever has a session could guess at it.
func (f *Flow) password(ctx context.Context, c Caller, q Update) (hash string, nonce *store.OneTimeToken, err error) {
	if q.Password == nil {
		return "", nil, nil
	}
	again, known := f.asksNonce(c), f.asksCurrent(c)
	switch {
	case again && q.Nonce == "":
		return "", nil, errNonceNeeded
	case known && q.CurrentPassword == "":
		return "", nil, errCurrentNone
	}
	if again {
		if nonce, err = f.nonce(ctx, c, q.Nonce); err != nil {
			return "", nil, err
		}
	}
	if known {
		if err := f.knows(ctx, c, q.CurrentPassword); err != nil {
			return "", nil, err
		}
	}
	if c.User.PasswordHash != "" {
		same, _, err := f.Hasher.Compare(ctx, c.User.PasswordHash, *q.Password)
		if err != nil {
			return "", nil, err
		}
		if same {
			return "", nil, errSame
		}
	}
	hash, err = f.Hasher.Hash(ctx, *q.Password)
	return hash, nonce, err
}

// asksNonce reports whether a nonce has to be given, as it has unless the session is young.
func (f *Flow) asksNonce(c Caller) bool {
	young := c.Session.ID != uuid.Nil && f.Now().Before(c.Session.CreatedAt.Add(24*time.Hour))
	return f.AskNonce && !young
}

// nonce finds the token of a nonce.
func (f *Flow) nonce(ctx context.Context, c Caller, text string) (*store.OneTimeToken, error) {
	candidate := onetime.Candidate{UserID: c.User.ID, Purpose: store.PurposeReauthentication}
	byCode, to := f.Tokens.ByCode, c.User.Email
	if to == "" {
		byCode, to = f.Texts.ByCode, c.User.Phone
	}
	t, err := byCode(ctx, to, text, candidate)
	if errors.Is(err, onetime.ErrCode) {
		return nil, errNonce
	}
	return &t, err
}

// asksCurrent reports whether the present password has to be given, as it has unless the
// session began with a mail.
func (f *Flow) asksCurrent(c Caller) bool {
	return f.RequireCurrent && c.User.PasswordHash != "" && !byMail(c.Session)
}

// knows refuses who doesn't know the present password.
func (f *Flow) knows(ctx context.Context, c Caller, pw string) error {
	right, _, err := f.Hasher.Compare(ctx, c.User.PasswordHash, pw)
	if err == nil && !right {
		err = errCurrent
	}
	return err
}

func byMail(s store.Session) bool {
	for _, m := range s.AMR {
		if m.Method == "otp" || m.Method == "magiclink" || m.Method == "recovery" {
			return true
		}
	}
	return false
}

// edit is one change within its transaction.
type edit struct {
	*Flow
	talk   *host.Talk
	caller Caller
	q      Update
	hash   string
	nonce  *store.OneTimeToken
	email  bool // the address changes
	phone  bool // the number changes

	account user.Account
	sent    []post.Sent
	text    text.Sent
}

func (e *edit) run(ctx context.Context, tx store.Store) error {
	e.sent, e.text = nil, text.Sent{}
	acc, err := e.Accounts.Load(ctx, tx, e.caller.User.ID)
	if err := there(acc.User, err); err != nil {
		return err
	}
	e.account = acc
	u := &e.account.User
	if e.hash != "" {
		if err := e.setPassword(ctx, tx, u); err != nil {
			return err
		}
	}
	if err := user.Merge(u, e.q.Data, e.q.AppMetadata); err != nil {
		return err
	}
	if err := e.Audit.Add(ctx, tx, audit.Of(u), audit.UserModified, nil); err != nil {
		return err
	}
	if e.email {
		if err := e.setEmail(ctx, tx, u); err != nil {
			return err
		}
	}
	if e.phone {
		return e.setPhone(ctx, tx, u)
	}
	if e.email {
		return nil // it is saved
	}
	return e.Accounts.Save(ctx, tx, u)
}

// setPassword changes the password and ends the user's other sessions.
func (e *edit) setPassword(ctx context.Context, tx store.Store, u *store.User) error {
	if e.nonce != nil {
		if err := e.Tokens.Take(ctx, tx, *e.nonce, errNonce); err != nil {
			return err
		}
	}
	u.PasswordHash = e.hash
	u.ReauthenticationSent, u.RecoverySentAt = time.Time{}, time.Time{}
	// Whoever had the account until now may have asked for another address or number.
	u.NewEmail, u.EmailChangeSide, u.NewPhone = "", store.ChangeNone, ""
	if err := tx.DeleteOneTimeTokens(ctx, u.ID, store.PurposeRecovery, store.PurposeMagicLink, store.PurposeReauthentication,
		store.PurposeEmailChangeCurrent, store.PurposeEmailChangeNew, store.PurposePhoneSignIn, store.PurposePhoneChange); err != nil {
		return err
	}
	if err := tx.DeleteCodesOf(ctx, u.ID); err != nil {
		return err
	}
	if _, err := tx.DeleteSessionsOf(ctx, u.ID, e.caller.Session.ID); err != nil {
		return err
	}
	if err := e.Audit.Add(ctx, tx, audit.Of(u), audit.UserUpdatedPassword, nil); err != nil {
		return err
	}
	sent, err := e.Post.Notice(ctx, tx, post.Letter{Kind: mail.PasswordChanged, User: u, To: u.Email})
	e.sent = append(e.sent, sent...)
	return err
}

// setEmail asks for the proofs of another address.
func (e *edit) setEmail(ctx context.Context, tx store.Store, u *store.User) error {
	if u.IsAnonymous && e.AutoConfirm {
		return e.Accounts.SetEmail(ctx, tx, e.talk, &e.account, e.q.Email, true)
	}
	// The address is counted too: several accounts can't flood it.
	for _, counted := range []string{u.ID.String(), e.q.Email} {
		wait, err := e.Post.TooSoon(ctx, tx, mail.EmailChange, counted)
		if err != nil {
			return err
		}
		if wait > 0 {
			return post.Wait(wait)
		}
	}
	u.NewEmail = e.q.Email
	sent, err := e.Change.Ask(ctx, tx, u, e.q.Challenge, e.q.RedirectTo)
	e.sent = append(e.sent, sent...)
	return err
}

var (
	errNoAddress    = fault.New(fault.ValidationFailed, "Reauthentication requires the user to have an email or a phone number")
	errVerifyEmail  = fault.New(fault.EmailNotConfirmed, "Please verify your email first.")
	errVerifyNumber = fault.New(fault.PhoneNotConfirmed, "Please verify your phone first.")
)

// Reauthenticate sends the caller a code, by mail or else to his phone, that he then
// gives as the nonce of a change. The receipt is the id of the message to a phone, ""
// if there is none yet.
func (f *Flow) Reauthenticate(ctx context.Context, c Caller) (receipt string, err error) {
	switch u := &c.User; {
	case u.Email == "" && u.Phone == "":
		return "", errNoAddress
	case u.Email != "" && u.EmailConfirmedAt.IsZero():
		return "", errVerifyEmail
	case u.Email != "":
		return "", f.reauthenticateByMail(ctx, c)
	case f.PhoneOff:
		return "", errPhoneOff
	case u.PhoneConfirmedAt.IsZero():
		return "", errVerifyNumber
	default:
		return f.reauthenticateByText(ctx, c)
	}
}

func (f *Flow) reauthenticateByMail(ctx context.Context, c Caller) error {
	if err := f.Guard.Mail(ctx); err != nil {
		return err
	}
	var sent post.Sent
	err := f.Store.Tx(ctx, func(tx store.Store) error {
		u, err := tx.User(ctx, c.User.ID)
		if err := there(u, err); err != nil {
			return err
		}
		wait, err := f.Post.TooSoon(ctx, tx, mail.Reauthentication, u.Email)
		if err != nil {
			return err
		}
		if wait > 0 {
			return post.Wait(wait)
		}
		if err := f.Audit.Add(ctx, tx, audit.Of(&u), audit.UserReauthenticate, nil); err != nil {
			return err
		}
		sent, _, err = f.Post.Write(ctx, tx, post.Letter{Kind: mail.Reauthentication, User: &u, To: u.Email, Purpose: store.PurposeReauthentication})
		if err != nil {
			return err
		}
		u.ReauthenticationSent = f.Now()
		return f.Accounts.Save(ctx, tx, &u)
	})
	if errors.Is(err, store.ErrConflict) {
		return post.Wait(time.Second) // another request came at the same time
	}
	if err != nil {
		return err
	}
	return f.Post.SeeOff(ctx, sent)
}

// SignOut ends sessions of the caller.
func (f *Flow) SignOut(ctx context.Context, c Caller, scope session.Scope) error {
	return f.Store.Tx(ctx, func(tx store.Store) error {
		return f.Sessions.End(ctx, tx, &c.User, c.Session.ID, scope)
	})
}
