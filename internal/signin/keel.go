package signin

import (
	"context"
	"errors"

	"github.com/truekeel/auth/internal/audit"
	"github.com/truekeel/auth/internal/guard"
	"github.com/truekeel/auth/internal/pkce"
	"github.com/truekeel/auth/internal/session"
	"github.com/truekeel/auth/internal/user"
	"github.com/truekeel/auth/store"
)

// ByKeelCode exchanges an authorization code of the Keel dialect for a session of that
// kind. verifier is "" unless the flow began with a challenge.
func (f *Flow) ByKeelCode(ctx context.Context, code, verifier string) (session.Grant, error) {
	if err := f.Guard.Client(ctx, guard.Token); err != nil {
		return session.Grant{}, err
	}
	var acc user.Account
	var st session.Started
	t := f.Host.Talk()
	err := t.Tx(ctx, f.Store, func(tx store.Store) error {
		flow, err := f.PKCE.RedeemKeel(ctx, tx, code, verifier)
		if err != nil {
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
		if st, err = f.Sessions.StartAs(ctx, tx, t, session.Keel, &u, flow.Method, ""); err != nil {
			return err
		}
		acc, err = f.Accounts.Complete(ctx, tx, u)
		return err
	})
	if err != nil {
		return session.Grant{}, err
	}
	return f.Sessions.Grant(ctx, acc, st)
}

// RefreshFixed exchanges the refresh token of a session of kind Keel.
func (f *Flow) RefreshFixed(ctx context.Context, token string) (session.Grant, error) {
	if err := f.Guard.Client(ctx, guard.Token); err != nil {
		return session.Grant{}, err
	}
	return f.Sessions.RefreshFixed(ctx, token)
}

// Revoke ends the session of a refresh token.
func (f *Flow) Revoke(ctx context.Context, token string) error {
	if err := f.Guard.Client(ctx, guard.Token); err != nil {
		return err
	}
	return f.Sessions.Revoke(ctx, token)
}
