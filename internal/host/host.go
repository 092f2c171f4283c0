// Package host is what the host that embeds the library adds to its flows: the steps of
// its own, and how a flow asks for them.
//
// A step may be slow: no transaction waits for it. A flow begins a [Talk] for each
// request and runs its transaction by [Talk.Tx]. Where the transaction comes to a moment
// that the host has a step for, it is rolled back, the host is asked outside of it, with
// the user as he would have been stored, and the transaction runs again with the answer
// at hand. So a host's refusal leaves everything as it was: the account isn't changed,
// the code or link is still good. The host is asked once for a moment of a request,
// however often the transaction runs.
package host

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/truekeel/auth/internal/endpoint"
	"github.com/truekeel/auth/store"
	"github.com/truekeel/auth/tokens"
)

// Steps are the host's steps, one for each moment. Each may be nil, and a nil *Steps has
// none. They are called from several goroutines, with the request's context, by which
// they end too.
//
// The steps that get a pointer to a user are asked before something is done to his
// account, and see it as it would be stored then. An error is the end of the request.
// They may put other objects in the place of his two kinds of metadata; other changes of
// the user have no effect.
type Steps struct {
	// Before is asked before an account is made, but not of those that an administrator
	// or the host makes as they are. The id is that which the account will have.
	Before func(ctx context.Context, u *store.User) error
	// Confirming is asked before an account's address or number is proved for the first
	// time.
	Confirming func(ctx context.Context, u *store.User) error
	// Entering is asked before somebody comes in, unless he was just confirmed by what he
	// comes in with. An authorization code counts as coming in, its redemption doesn't.
	Entering func(ctx context.Context, u *store.User) error
	// ChangingEmail is asked before an address that was proved takes the place of another.
	ChangingEmail func(ctx context.Context, u *store.User) error

	// PasswordVerification is told whether a password was an account's, and decides.
	PasswordVerification func(ctx context.Context, id uuid.UUID, valid bool) (Decision, error)
	// Claims sets c.Extra, the claims that an access token holds beside its own, and may
	// change the metadata that the token tells; changes of other claims have no effect.
	// method is how the token is come by: that of the sign-in, or [Refresh].
	Claims func(ctx context.Context, u store.User, method string, c *tokens.Claims) error

	// After is called in the transaction that makes an account.
	After func(ctx context.Context, tx store.Store, u store.User) error

	// Now is the clock that PasswordVerification is timed with. Required beside it.
	Now func() time.Time

	took atomic.Int64 // how long PasswordVerification took when it was called last
}

// Decision is what becomes of a password's verification. The zero value lets it go on.
type Decision struct {
	// Reject refuses whoever came with the password, right or wrong.
	Reject bool
	// Message is what he is told; "" for the same as for any wrong password.
	Message string
	// SignOut ends all of the user's sessions, where Reject is set.
	SignOut bool
}

// Created runs After.
func (s *Steps) Created(ctx context.Context, tx store.Store, u store.User) error {
	if s == nil || s.After == nil {
		return nil
	}
	return s.After(ctx, tx, u)
}

// Moment names a step that is asked about a user.
type Moment string

// The moments.
const (
	Before        Moment = "before an account is made"
	Confirming    Moment = "confirmation"
	Entering      Moment = "sign-in"
	ChangingEmail Moment = "change of address"

	claims Moment = "claims"
	right  Moment = "right password"
	wrong  Moment = "wrong password"
)

// Asks reports whether the host has a step for a moment.
func (s *Steps) Asks(m Moment) bool { return s != nil && s.at(m) != nil }

// at gives the step of a moment, nil if there is none.
func (s *Steps) at(m Moment) func(context.Context, *store.User) error {
	switch m {
	case Before:
		return s.Before
	case Confirming:
		return s.Confirming
	case Entering:
		return s.Entering
	case ChangingEmail:
		return s.ChangingEmail
	}
	return nil
}

// Talk is what one request asks its host. A nil *Talk asks nothing. It isn't for
// concurrent use.
type Talk struct {
	steps         *Steps
	user, session uuid.UUID
	answers       map[subject]answer
}

// Talk begins a request's talk.
func (s *Steps) Talk() *Talk {
	if s == nil {
		s = &Steps{}
	}
	return &Talk{steps: s}
}

// UserID is the id of the account that the request makes, if it makes one. It stays the
// same however often the transaction runs, so that the host is told the right one.
func (t *Talk) UserID() uuid.UUID {
	if t == nil {
		return uuid.New()
	}
	if t.user == uuid.Nil {
		// Not a UUID v7: its time would tell a new account from an old one.
		t.user = uuid.New()
	}
	return t.user
}

// SessionID is the id of the session that the request starts, if it starts one.
func (t *Talk) SessionID() (uuid.UUID, error) {
	if t == nil {
		return uuid.NewV7()
	}
	var err error
	if t.session == uuid.Nil {
		t.session, err = uuid.NewV7()
	}
	return t.session, err
}

// subject is what the host is asked once.
type subject struct {
	moment Moment
	id     uuid.UUID // of the user, or of the session that claims are for
}

// answer is what the host said, if it didn't refuse.
type answer struct {
	own, app store.Object // what takes the place of the metadata; nil if it stays
	said     Said
	decision Decision
}

// question is the error by which a transaction says that the host has to be asked.
type question struct {
	talk *Talk
	subject
	ask func(ctx context.Context) (answer, error)
}

// Error names the moment.
func (q *question) Error() string { return "host: the host wasn't asked: " + string(q.moment) }

// errRestless means that each run of a transaction came to another question.
var errRestless = errors.New("host: the transaction has another question each time")

// Tx runs a transaction that may ask the host: see [Store.Tx], which it calls again
// after each answer.
//
// [Store.Tx]: https://pkg.go.dev/github.com/truekeel/auth/store#Store
func (t *Talk) Tx(ctx context.Context, s store.Store, fn func(tx store.Store) error) error {
	for range 20 {
		err := s.Tx(ctx, fn)
		var q *question
		if !errors.As(err, &q) || q.talk != t {
			return err
		}
		if err := t.put(ctx, q); err != nil {
			return err
		}
	}
	return errRestless
}

// put asks the host and keeps the answer.
func (t *Talk) put(ctx context.Context, q *question) error {
	a, err := run(ctx, q.moment, q.ask)
	if err != nil {
		return err
	}
	if t.answers == nil {
		t.answers = map[subject]answer{}
	}
	t.answers[q.subject] = a
	return nil
}

// Ask asks the host about a user at a moment, outside of a transaction, and changes his
// metadata as the host wants it.
func (t *Talk) Ask(ctx context.Context, m Moment, u *store.User) error {
	err := t.At(m, u)
	var q *question
	if !errors.As(err, &q) {
		return err
	}
	if err := t.put(ctx, q); err != nil {
		return err
	}
	return t.At(m, u)
}

// At is Ask within the transaction of [Talk.Tx]: before the host was asked it is an error
// that the transaction has to return.
func (t *Talk) At(m Moment, u *store.User) error {
	if t == nil {
		return nil
	}
	step := t.steps.at(m)
	if step == nil {
		return nil
	}
	about := subject{m, u.ID}
	a, asked := t.answers[about]
	if !asked {
		seen := *u
		return &question{t, about, func(ctx context.Context) (answer, error) { return consult(ctx, step, seen) }}
	}
	if a.own != nil {
		u.UserMetadata = replaced(u.UserMetadata, a.own, ownKeys)
	}
	if a.app != nil {
		u.AppMetadata = replaced(u.AppMetadata, a.app, appKeys)
	}
	return nil
}

// Refresh is how an access token is come by in a session that goes on.
const Refresh = "token_refresh"

// Claims gives what the host says in the access token of a session, within the
// transaction of [Talk.Tx]. method is as in [Steps.Claims].
func (t *Talk) Claims(session uuid.UUID, u store.User, method string, c *tokens.Claims) (Said, error) {
	if t == nil || t.steps.Claims == nil {
		return Said{}, nil
	}
	about := subject{claims, session}
	a, asked := t.answers[about]
	if asked {
		return a.said, nil
	}
	own := c.Clone()
	return Said{}, &question{t, about, func(ctx context.Context) (answer, error) {
		said, err := t.steps.Say(ctx, u, method, own)
		return answer{said: said}, err
	}}
}

// Say asks what the host says in an access token, outside of a transaction.
func (s *Steps) Say(ctx context.Context, u store.User, method string, c *tokens.Claims) (Said, error) {
	if s == nil || s.Claims == nil {
		return Said{}, nil
	}
	u.UserMetadata, u.AppMetadata = u.UserMetadata.Clone(), u.AppMetadata.Clone()
	own := c.Clone()
	_, err := run(ctx, claims, func(ctx context.Context) (answer, error) { return answer{}, s.Claims(ctx, u, method, own) })
	if err != nil {
		return Said{}, err
	}
	a := said(c, own)
	if a == (Said{}) {
		return a, nil
	}
	// What can't be issued is found before anything is written.
	whole := c.Clone()
	a.To(whole)
	payload, err := whole.MarshalJSON()
	if err == nil && len(payload) > maxPayload {
		err = fmt.Errorf("host: with its claims the token would hold %d bytes (at most %d)", len(payload), maxPayload)
	}
	return a, err
}

// maxPayload is how much an access token may say where the host adds to it: verifiers
// refuse tokens that are too long.
const maxPayload = 16 << 10

// consult runs a step on a copy of the user.
func consult(ctx context.Context, step func(context.Context, *store.User) error, seen store.User) (answer, error) {
	u := seen
	u.UserMetadata, u.AppMetadata = seen.UserMetadata.Clone(), seen.AppMetadata.Clone()
	if err := step(ctx, &u); err != nil {
		return answer{}, err
	}
	var a answer
	if !same(u.UserMetadata, seen.UserMetadata) {
		a.own = replaced(seen.UserMetadata, u.UserMetadata, ownKeys)
	}
	if !same(u.AppMetadata, seen.AppMetadata) {
		a.app = replaced(seen.AppMetadata, u.AppMetadata, appKeys)
	}
	if a.own == nil && a.app == nil {
		return a, nil
	}
	return a, storable(u)
}

func same(a, b store.Object) bool {
	return maps.EqualFunc(a, b, func(x, y json.RawMessage) bool { return bytes.Equal(x, y) })
}

// replaced is metadata that takes the place of other. What the library itself keeps
// there stays.
func replaced(was, is store.Object, kept func(string) bool) store.Object {
	out := is.Clone()
	for k, v := range was {
		if kept(k) {
			out[k] = v
		}
	}
	return out
}

// ownKeys are the keys of user metadata that tell the user's own address and number, and
// whether they are proved.
func ownKeys(k string) bool {
	switch k {
	case "sub", "email", "email_verified", "phone", "phone_verified":
		return true
	}
	return false
}

// appKeys are the keys of app metadata that name the user's ways in.
func appKeys(k string) bool { return k == "provider" || k == "providers" }

// MaxMetadata is how large a user's two kinds of metadata may be together, in bytes of
// JSON: they are part of every access token, and a token is sent with every request.
const MaxMetadata = 8 << 10

// storable refuses metadata that no account may have.
func storable(u store.User) error {
	own, err := u.UserMetadata.MarshalJSON()
	if err != nil {
		return fmt.Errorf("host: its user metadata is not JSON: %w", err)
	}
	app, err := u.AppMetadata.MarshalJSON()
	switch {
	case err != nil:
		return fmt.Errorf("host: its app metadata is not JSON: %w", err)
	case len(own)+len(app) > MaxMetadata:
		return fmt.Errorf("host: its metadata is too large (%d bytes, at most %d)", len(own)+len(app), MaxMetadata)
	}
	if err := errors.Join(endpoint.Keepable(own), endpoint.Keepable(app)); err != nil {
		return fmt.Errorf("host: its metadata can't be kept: %s", err.Error())
	}
	return nil
}
