package external

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/truekeel/auth/fault"
	"github.com/truekeel/auth/internal/audit"
	"github.com/truekeel/auth/internal/post"
	"github.com/truekeel/auth/internal/user"
	"github.com/truekeel/auth/mail"
	"github.com/truekeel/auth/store"
)

var (
	errOnlyOne   = fault.New(fault.SingleIdentityNotDeletable, "User must have at least 1 identity after unlinking")
	errNotHis    = fault.New(fault.IdentityNotFound, "Identity doesn't exist")
	errPromotion = fault.New(fault.EmailConflictIdentityNotDeletable, "Unable to unlink identity due to email conflict")
)

// Unlink takes an identity from its owner. The last one stays: nobody could come in any
// more.
func (f *Flow) Unlink(ctx context.Context, owner, identity uuid.UUID) error {
	if !f.ManualLinking {
		return errLinkingOff
	}
	var sent []post.Sent
	err := f.Store.Tx(ctx, func(tx store.Store) (err error) {
		sent, err = f.unlink(ctx, tx, owner, identity)
		return err
	})
	if errors.Is(err, store.ErrConflict) {
		return errPromotion
	}
	if err != nil {
		return err
	}
	return f.Post.SeeOff(ctx, sent...)
}

// unlink also writes the user, so that two callers who each take one of two identities
// can't take both.
func (f *Flow) unlink(ctx context.Context, tx store.Store, owner, identity uuid.UUID) ([]post.Sent, error) {
	acc, err := f.Accounts.Load(ctx, tx, owner)
	if errors.Is(err, store.ErrNotFound) {
		return nil, errTargetGone
	}
	if err != nil {
		return nil, err
	}
	if len(acc.Identities) < 2 {
		return nil, errOnlyOne
	}
	n := slices.IndexFunc(acc.Identities, func(i store.Identity) bool { return i.ID == identity })
	if n < 0 {
		return nil, errNotHis
	}
	gone, u := acc.Identities[n], &acc.User
	if err := f.Audit.Add(ctx, tx, audit.Of(u), audit.IdentityUnlinked, traits(gone)); err != nil {
		return nil, err
	}
	sent, err := f.Post.Notice(ctx, tx, post.Letter{Kind: mail.IdentityUnlinked, User: u, To: u.Email, Provider: gone.Provider})
	if err != nil {
		return nil, err
	}
	if err := f.Accounts.RemoveIdentity(ctx, tx, &acc, identity); err != nil {
		return nil, err
	}
	switch gone.Provider {
	case user.PhoneProvider:
		u.Phone, u.PhoneConfirmedAt = "", time.Time{}
	case user.EmailProvider:
		// The password is the other half of the way in that is taken away.
		u.PasswordHash = ""
	}
	if gone.Provider != user.PhoneProvider {
		if err := f.promote(ctx, tx, &acc); err != nil {
			return nil, err
		}
	}
	return sent, f.Accounts.Save(ctx, tx, u)
}

// promote gives the account the address of one of the identities that are left, if none
// of them has its own. Verified addresses come first, then the oldest.
func (f *Flow) promote(ctx context.Context, tx store.Store, acc *user.Account) error {
	u := &acc.User
	var best store.Identity
	verified := false
	for _, i := range acc.Identities {
		if i.Email == u.Email {
			return nil
		}
		var vouched bool
		i.Data.Decode("email_verified", &vouched)
		if i.Email != "" && (best.Email == "" || vouched && !verified) {
			best, verified = i, vouched
		}
	}
	if best.Email != "" {
		_, taken, err := user.ByAddress(ctx, tx, u.Audience, best.Email, "")
		if err != nil {
			return err
		}
		if taken {
			return errPromotion
		}
	}
	u.Email, u.NewEmail, u.EmailChangeSide = best.Email, "", store.ChangeNone
	if !verified {
		u.EmailConfirmedAt = time.Time{}
	}
	// What was sent to the former address must not open the account any more.
	return user.EndProofs(ctx, tx, u.ID)
}
