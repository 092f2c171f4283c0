package host

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/truekeel/auth/store"
	"github.com/truekeel/auth/tokens"
)

// Join makes one of several hosts' steps. At each moment they are asked in the order in
// which they are given, each with what the one before has changed; the first error, and
// the first rejection of a password, is the last that is asked. now times them.
func Join(now func() time.Time, all ...*Steps) *Steps {
	out := &Steps{Now: now}
	for _, s := range all {
		if s == nil {
			continue
		}
		out.Before = asked(out.Before, s.Before)
		out.Confirming = asked(out.Confirming, s.Confirming)
		out.Entering = asked(out.Entering, s.Entering)
		out.ChangingEmail = asked(out.ChangingEmail, s.ChangingEmail)
		out.PasswordVerification = decided(out.PasswordVerification, s.PasswordVerification)
		out.Claims = claimed(out.Claims, s.Claims)
		out.After = told(out.After, s.After)
	}
	return out
}

func asked(first, then func(context.Context, *store.User) error) func(context.Context, *store.User) error {
	if first == nil || then == nil {
		return either(first, then, first == nil)
	}
	return func(ctx context.Context, u *store.User) error {
		seen := *u
		if err := first(ctx, &seen); err != nil {
			return err
		}
		u.UserMetadata, u.AppMetadata = seen.UserMetadata, seen.AppMetadata
		return then(ctx, u)
	}
}

type decider = func(context.Context, uuid.UUID, bool) (Decision, error)

func decided(first, then decider) decider {
	if first == nil || then == nil {
		return either(first, then, first == nil)
	}
	return func(ctx context.Context, id uuid.UUID, valid bool) (Decision, error) {
		d, err := first(ctx, id, valid)
		if err != nil || d.Reject {
			return d, err
		}
		return then(ctx, id, valid)
	}
}

type claimer = func(context.Context, store.User, string, *tokens.Claims) error

func claimed(first, then claimer) claimer {
	if first == nil || then == nil {
		return either(first, then, first == nil)
	}
	return func(ctx context.Context, u store.User, method string, c *tokens.Claims) error {
		own := c.Clone()
		if err := first(ctx, u, method, own); err != nil {
			return err
		}
		said(c, own).To(c)
		return then(ctx, u, method, c)
	}
}

type teller = func(context.Context, store.Store, store.User) error

func told(first, then teller) teller {
	if first == nil || then == nil {
		return either(first, then, first == nil)
	}
	return func(ctx context.Context, tx store.Store, u store.User) error {
		if err := first(ctx, tx, u); err != nil {
			return err
		}
		return then(ctx, tx, u)
	}
}

// either gives then if first isn't there.
func either[T any](first, then T, missing bool) T {
	if missing {
		return then
	}
	return first
}
