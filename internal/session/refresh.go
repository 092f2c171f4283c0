package session

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/truekeel/auth/fault"
	"github.com/truekeel/auth/internal/audit"
	"github.com/truekeel/auth/internal/caller"
	"github.com/truekeel/auth/internal/host"
	"github.com/truekeel/auth/internal/secret"
	"github.com/truekeel/auth/store"
)

// Refused is a refresh that failed after the token's owner was known.
type Refused struct {
	Fault             *fault.Error
	UserID, SessionID uuid.UUID
}

// Error gives the refusal's text.
func (r *Refused) Error() string { return r.Fault.Error() }

// Unwrap gives the refusal itself.
func (r *Refused) Unwrap() error { return r.Fault }

var (
	errMalformed = fault.New(fault.ValidationFailed, "Refresh token is not valid")
	errUnknown   = fault.New(fault.RefreshTokenNotFound, "Invalid Refresh Token: Refresh Token Not Found")
	errUsed      = fault.New(fault.RefreshTokenAlreadyUsed, "Invalid Refresh Token: Already Used")
	errOwner     = fault.New(fault.UserBanned, "Invalid Refresh Token: User Banned")
	errExpired   = fault.New(fault.SessionExpired, "Invalid Refresh Token: Session Expired")
	errIdle      = fault.New(fault.SessionExpired, "Invalid Refresh Token: Session Expired (Inactivity)")
	errNewer     = fault.New(fault.SessionExpired, "Invalid Refresh Token: Session Expired (Revoked by Newer Login)")
)

// Refresh exchanges a refresh token for the next one of its chain and an access token.
//
// The active token is rotated; of racing callers with one token all get the same next
// one. Its direct parent answers with the active token, so that a client that lost an
// answer heals. Anything older was stolen or replayed: it ends the session at once.
func (s *Sessions) Refresh(ctx context.Context, text string) (Grant, error) {
	if !wellFormed(text) {
		return Grant{}, errMalformed
	}
	return s.renew(ctx, text, (*renewal).run)
}

// renew runs a refresh in its transaction and makes the grant.
func (s *Sessions) renew(ctx context.Context, text string, run func(*renewal, context.Context, store.Store) error) (Grant, error) {
	var r renewal
	t := s.Host.Talk()
	err := t.Tx(ctx, s.Store, func(tx store.Store) error {
		r = renewal{Sessions: s, talk: t, text: text, now: s.Now()}
		return run(&r, ctx, tx)
	})
	if err != nil {
		return Grant{}, err
	}
	if r.refusal != nil {
		return Grant{}, &Refused{Fault: r.refusal, UserID: r.user.ID, SessionID: r.row.ID}
	}
	acc, err := s.Accounts.Complete(ctx, s.Store, r.user)
	if err != nil {
		return Grant{}, err
	}
	r.st.Session, r.st.RefreshToken = r.row, r.next
	g, err := s.Grant(ctx, acc, r.st)
	g.Reissued = r.reissued
	return g, err
}

// renewal is one refresh within its transaction. A refusal is kept beside the error,
// because what it does (ending the family) has to be committed.
type renewal struct {
	*Sessions
	talk *host.Talk
	text string
	now  time.Time

	user     store.User
	row      store.Session
	st       Started // with the host's claims
	next     string
	reissued bool
	refusal  *fault.Error
}

func (r *renewal) run(ctx context.Context, tx store.Store) error {
	token, err := r.find(ctx, tx, GoTrue)
	if err != nil || r.refusal != nil {
		return err
	}
	switch behind := r.row.RefreshSeq - token.Seq; {
	case behind == 0:
		return r.rotate(ctx, tx)
	case behind == 1 && r.mayReissue():
		r.next, r.reissued = successor(r.row.RefreshKey, r.text), true
		return r.claim()
	default:
		return r.revoke(ctx, tx)
	}
}

// find reads the token with its session and its owner, and refuses what is unknown, of
// another kind, or not to be renewed.
func (r *renewal) find(ctx context.Context, tx store.Store, kind Kind) (store.RefreshToken, error) {
	token, err := tx.RefreshToken(ctx, secret.Hash(r.text))
	if err == nil {
		r.row, err = tx.Session(ctx, token.SessionID)
	}
	if err == nil {
		r.user, err = tx.User(ctx, r.row.UserID)
	}
	if errors.Is(err, store.ErrNotFound) || (err == nil && r.row.Kind != string(kind)) {
		r.refusal = errUnknown
		return token, nil
	}
	if err != nil {
		return token, err
	}
	return token, r.judge(ctx, tx)
}

// judge refuses what is banned, over, or replaced by a newer sign-in.
func (r *renewal) judge(ctx context.Context, tx store.Store) error {
	switch {
	case r.user.Banned(r.now) || !r.user.DeletedAt.IsZero():
		r.refusal = errOwner
		return nil
	case r.over(r.row, r.now):
		r.refusal = errExpired
		return nil
	case r.idle(r.row, r.now):
		r.refusal = errIdle
		return nil
	case !r.SinglePerUser:
		return nil
	}
	others, err := tx.SessionsOf(ctx, r.user.ID)
	if err != nil {
		return err
	}
	for _, o := range others {
		if o.ID != r.row.ID && o.Kind == r.row.Kind && o.Tag == r.row.Tag && lastUse(o).After(lastUse(r.row)) &&
			!r.over(o, r.now) && !r.idle(o, r.now) {
			r.refusal = errNewer
			return nil
		}
	}
	return nil
}

// mayReissue says whether the parent may still answer with the active token.
func (r *renewal) mayReissue() bool {
	return r.ReuseInterval < 0 || !r.now.After(r.row.RefreshedAt.Add(r.ReuseInterval))
}

// rotate moves the session to the next token. A caller that lost the race finds the
// token one step behind when the transaction runs again.
func (r *renewal) rotate(ctx context.Context, tx store.Store) error {
	if err := r.claim(); err != nil {
		return err
	}
	from := r.row.RefreshSeq
	r.used(ctx, from+1)
	won, err := tx.UpdateSession(ctx, r.row, from)
	if err != nil {
		return err
	}
	if !won {
		return store.ErrStale
	}
	r.next = successor(r.row.RefreshKey, r.text)
	if err := r.keep(ctx, tx, r.row, r.next, r.row.RefreshSeq); err != nil {
		return err
	}
	if err := r.Audit.Add(ctx, tx, audit.Of(&r.user), audit.TokenRefreshed, nil); err != nil {
		return err
	}
	return r.Audit.Add(ctx, tx, audit.Of(&r.user), audit.TokenRevoked, nil)
}

// claim asks the host for its claims before anything is written: where it has none to
// give the token stays good.
func (r *renewal) claim() error {
	r.st.Session, r.st.method = r.row, host.Refresh
	return r.Sessions.claim(r.talk, r.user, &r.st)
}

// used notes on the session that it was refreshed, from where, and which token is active.
func (r *renewal) used(ctx context.Context, seq int64) {
	info := caller.From(ctx)
	r.row.RefreshSeq, r.row.RefreshedAt, r.row.UpdatedAt = seq, r.now, r.now
	r.row.UserAgent, r.row.IP = info.UserAgent, ""
	if info.IP.IsValid() {
		r.row.IP = info.IP.String()
	}
}

// revoke ends the family of a token that was used up before.
func (r *renewal) revoke(ctx context.Context, tx store.Store) error {
	r.refusal = errUsed
	if r.KeepFamily {
		return nil
	}
	ended, err := tx.DeleteSession(ctx, r.row.ID)
	if err != nil || !ended {
		return err
	}
	return r.Audit.Add(ctx, tx, audit.Of(&r.user), audit.TokenRevoked, map[string]any{"session_id": r.row.ID.String(), "reason": "reuse"})
}

// Ended reports whether a session that is still there has come to its end: that it was
// given, that of its time box, or by not being used.
func (s *Sessions) Ended(row store.Session) bool {
	now := s.Now()
	return s.over(row, now) || s.idle(row, now)
}

// over reports whether a session is past its end or its time box.
func (s *Sessions) over(row store.Session, now time.Time) bool {
	if !row.NotAfter.IsZero() && now.After(row.NotAfter) {
		return true
	}
	return s.Timebox > 0 && now.After(row.CreatedAt.Add(s.Timebox))
}

// idle reports whether a session wasn't refreshed for too long.
func (s *Sessions) idle(row store.Session, now time.Time) bool {
	return s.Inactivity > 0 && now.After(lastUse(row).Add(s.Inactivity))
}

func lastUse(row store.Session) time.Time {
	if row.RefreshedAt.IsZero() {
		return row.CreatedAt
	}
	return row.RefreshedAt
}
