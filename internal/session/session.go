// Package session is where every sign-in ends: it starts sessions, renews them, checks
// them and ends them.
package session

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/truekeel/auth/fault"
	"github.com/truekeel/auth/internal/audit"
	"github.com/truekeel/auth/internal/caller"
	"github.com/truekeel/auth/internal/host"
	"github.com/truekeel/auth/internal/secret"
	"github.com/truekeel/auth/internal/user"
	"github.com/truekeel/auth/store"
	"github.com/truekeel/auth/tokens"
)

// Config is what Sessions needs.
type Config struct {
	Store    store.Store
	Accounts *user.Accounts
	Audit    *audit.Log
	Issuer   *tokens.Issuer
	Now      func() time.Time

	// Lifetime is how long an access token lives.
	Lifetime time.Duration
	// Timebox ends a session so long after its start; Inactivity so long after its
	// last refresh. Zero: never.
	Timebox, Inactivity time.Duration
	// SinglePerUser refuses to renew a session when the user has one that was begun or
	// renewed later.
	SinglePerUser bool
	// ReuseInterval limits how long after its use the direct parent of the active
	// token still answers with the active one. Negative: without limit.
	ReuseInterval time.Duration
	// KeepFamily turns off that an old refresh token ends its session.
	KeepFamily bool
	// Fixed are the rules of the sessions of kind Keel.
	Fixed Fixed
	// Host are the host's steps; nil if it has none.
	Host *host.Steps
}

// Sessions starts, renews, checks and ends sessions. It is safe for concurrent use.
type Sessions struct{ Config }

// New makes Sessions.
func New(c Config) *Sessions { return &Sessions{c} }

// Started is a session within the transaction that makes it. The access token is made
// after the commit, by [Sessions.Grant].
type Started struct {
	Session      store.Session
	RefreshToken string

	method  string    // by which the session was come by, or host.Refresh
	claimed bool      // the host was asked for its claims
	said    host.Said // which they are
}

// Grant is what a client gets for a sign-in or a refresh.
type Grant struct {
	Account      user.Account
	Session      store.Session
	AccessToken  string
	RefreshToken string
	ExpiresAt    time.Time
	ExpiresIn    time.Duration
	// Reissued says that the refresh token was handed out before.
	Reissued bool
	// ProviderToken and ProviderRefreshToken are the identity provider's own, after a
	// sign-in with one; they aren't kept.
	ProviderToken, ProviderRefreshToken string
}

// Start makes a session of kind GoTrue for a user who has just proved himself by method,
// and notes the sign-in on the user. The host is asked for its claims, so that where it
// has none to give nothing was done; with a nil talk Grant asks.
func (s *Sessions) Start(ctx context.Context, tx store.Store, t *host.Talk, u *store.User, method, provider string) (Started, error) {
	return s.StartAs(ctx, tx, t, GoTrue, u, method, provider)
}

// StartAs is Start for a session of any kind.
func (s *Sessions) StartAs(ctx context.Context, tx store.Store, t *host.Talk, kind Kind, u *store.User, method, provider string) (Started, error) {
	now := s.Now()
	switch {
	case u.Banned(now):
		return Started{}, ErrBanned
	case !u.DeletedAt.IsZero():
		return Started{}, errDeleted
	}
	id, err := t.SessionID()
	if err != nil {
		return Started{}, err
	}
	from := caller.From(ctx)
	row := store.Session{
		ID: id, UserID: u.ID, Kind: string(kind), AAL: "aal1",
		AMR:       []store.AMR{{Method: method, At: now, Provider: provider}},
		UserAgent: from.UserAgent, RefreshSeq: 1, CreatedAt: now, UpdatedAt: now,
	}
	if from.IP.IsValid() {
		row.IP = from.IP.String()
	}
	text := s.outfit(kind, &row)
	u.LastSignInAt = now
	st := Started{Session: row, RefreshToken: text, method: method}
	if err := s.claim(t, *u, &st); err != nil {
		return Started{}, err
	}
	if err := tx.CreateSession(ctx, row); err != nil {
		return Started{}, err
	}
	if err := s.keep(ctx, tx, row, text, row.RefreshSeq); err != nil {
		return Started{}, err
	}
	if err := s.Accounts.Save(ctx, tx, u); err != nil {
		return Started{}, err
	}
	return st, nil
}

// claim asks the host for the claims of a session, unless the talk is nil or the host has
// none to give.
func (s *Sessions) claim(t *host.Talk, u store.User, st *Started) error {
	if t == nil || s.Host == nil || s.Host.Claims == nil {
		return nil
	}
	c, err := s.claims(u, st.Session)
	if err == nil {
		st.said, err = t.Claims(st.Session.ID, u, st.method, c)
	}
	st.claimed = err == nil
	return err
}

// keep stores the hash of a refresh token.
func (s *Sessions) keep(ctx context.Context, tx store.RefreshTokens, row store.Session, text string, seq int64) error {
	return tx.CreateRefreshToken(ctx, store.RefreshToken{
		Hash: secret.Hash(text), SessionID: row.ID, UserID: row.UserID, Seq: seq, CreatedAt: s.Now(),
	})
}

// ErrBanned is the answer to a banned user who proved himself.
var ErrBanned = fault.New(fault.UserBanned, "User is banned")

// errDeleted is the answer where the account went while its user proved himself.
var errDeleted = fault.New(fault.UserNotFound, "User not found")

// Grant makes the access token of a session that is committed.
func (s *Sessions) Grant(ctx context.Context, acc user.Account, st Started) (Grant, error) {
	now := s.Now()
	token, expires, err := s.mint(ctx, acc.User, st)
	if err != nil {
		return Grant{}, err
	}
	return Grant{
		Account: acc, Session: st.Session, AccessToken: token, RefreshToken: st.RefreshToken,
		ExpiresAt: expires, ExpiresIn: expires.Sub(now.Truncate(time.Second)),
	}, nil
}

// mint makes an access token for a session.
func (s *Sessions) mint(ctx context.Context, u store.User, st Started) (string, time.Time, error) {
	c, err := s.claims(u, st.Session)
	if err != nil {
		return "", time.Time{}, err
	}
	if !st.claimed {
		if st.said, err = s.Host.Say(ctx, u, st.method, c); err != nil {
			return "", time.Time{}, fmt.Errorf("session: claims of the host: %w", err)
		}
	}
	st.said.To(c)
	token, err := s.Issuer.Issue(*c)
	return token, c.ExpiresAt, err
}

// claims are what a session's access token says of its user, but for the host's claims.
func (s *Sessions) claims(u store.User, row store.Session) (*tokens.Claims, error) {
	issued := s.Now().Truncate(time.Second)
	app, err := u.AppMetadata.MarshalJSON()
	if err != nil {
		return nil, fmt.Errorf("session: app metadata: %w", err)
	}
	own, err := u.UserMetadata.MarshalJSON()
	if err != nil {
		return nil, fmt.Errorf("session: user metadata: %w", err)
	}
	return &tokens.Claims{
		Issuer: s.issuer(row), Subject: u.ID.String(), Audience: []string{u.Audience}, IssuedAt: issued, ExpiresAt: issued.Add(s.lifetime(row)),
		Email: u.Email, Phone: u.Phone, Role: u.Role, IsAnonymous: u.IsAnonymous,
		AppMetadata: tokens.JSON(app), UserMetadata: tokens.JSON(own),
		AAL: row.AAL, SessionID: row.ID.String(), AMR: methods(row.AMR),
	}, nil
}

// methods turns a session's methods into claims, newest first.
func methods(amr []store.AMR) []tokens.AMR {
	out := make([]tokens.AMR, 0, len(amr))
	for _, m := range slices.Backward(amr) {
		out = append(out, tokens.AMR{Method: m.Method, At: m.At, Provider: m.Provider})
	}
	return out
}

// ErrGone is the answer to the token of a user who is gone.
var ErrGone = fault.New(fault.UserNotFound, "User from sub claim in JWT does not exist")

// Check reads the user and the session that a verified token speaks of, and refuses
// where one of them no longer stands. The session is zero for a token without one.
func (s *Sessions) Check(ctx context.Context, c *tokens.Claims) (store.User, store.Session, error) {
	id, err := subjectOf(c)
	if err != nil {
		return store.User{}, store.Session{}, err
	}
	u, err := s.Store.User(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		return u, store.Session{}, ErrGone
	}
	if err != nil {
		return u, store.Session{}, err
	}
	row, err := s.sessionOf(ctx, c, id)
	if err != nil {
		return u, row, err
	}
	if u.Banned(s.Now()) {
		return u, row, ErrBanned
	}
	if !u.DeletedAt.IsZero() {
		return u, row, ErrGone
	}
	return u, row, nil
}

func (s *Sessions) sessionOf(ctx context.Context, c *tokens.Claims, owner uuid.UUID) (store.Session, error) {
	if c.SessionID == "" || c.SessionID == uuid.Nil.String() {
		return store.Session{}, nil
	}
	id, err := uuid.Parse(c.SessionID)
	if err != nil {
		return store.Session{}, fault.New(fault.BadJWT, "invalid claim: session_id claim must be a UUID")
	}
	row, err := s.Store.Session(ctx, id)
	if errors.Is(err, store.ErrNotFound) || (err == nil && row.UserID != owner) {
		return store.Session{}, fault.New(fault.SessionNotFound, "Session from session_id claim in JWT does not exist")
	}
	return row, err
}

// ErrSubject is the answer to a token whose subject is no user id.
var ErrSubject = fault.New(fault.BadJWT, "invalid claim: sub claim must be a UUID")

func subjectOf(c *tokens.Claims) (uuid.UUID, error) {
	if c.Subject == "" {
		return uuid.Nil, fault.New(fault.BadJWT, "invalid claim: missing sub claim")
	}
	id, err := uuid.Parse(c.Subject)
	if err != nil {
		return uuid.Nil, ErrSubject
	}
	return id, nil
}

// Scope says which sessions a sign-out ends.
type Scope string

// The scopes of a sign-out.
const (
	Global Scope = "global" // all
	Local  Scope = "local"  // this one
	Others Scope = "others" // all but this one
)

// End ends sessions of a user, as seen from the session at hand; without one it ends
// all. It writes the audit entry.
func (s *Sessions) End(ctx context.Context, tx store.Store, u *store.User, at uuid.UUID, scope Scope) error {
	if err := s.Audit.Add(ctx, tx, audit.Of(u), audit.Logout, nil); err != nil {
		return err
	}
	var err error
	switch {
	case at == uuid.Nil || scope == Global:
		_, err = tx.DeleteSessionsOf(ctx, u.ID, uuid.Nil)
	case scope == Local:
		_, err = tx.DeleteSession(ctx, at)
	default:
		_, err = tx.DeleteSessionsOf(ctx, u.ID, at)
	}
	return err
}
