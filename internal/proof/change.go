package proof

import (
	"context"

	"github.com/truekeel/auth/internal/audit"
	"github.com/truekeel/auth/internal/post"
	"github.com/truekeel/auth/internal/user"
	"github.com/truekeel/auth/mail"
	"github.com/truekeel/auth/store"
)

// side is the half of a double confirmation that a token belongs to.
func side(p store.Purpose) store.ChangeSide {
	if p == store.PurposeEmailChangeCurrent {
		return store.ChangeCurrent
	}
	return store.ChangeNew
}

// change is one half of a change of address, or the whole. Which side is done is kept,
// so that one side can't stand for both.
func (r *redemption) change(ctx context.Context, tx store.Store) error {
	u := &r.account.User
	if u.NewEmail == "" {
		return r.miss
	}
	done := side(r.token.Purpose)
	double := r.Change.Secure && !r.AutoConfirm && u.Email != ""
	if double && (u.EmailChangeSide == store.ChangeNone || u.EmailChangeSide == done) {
		u.EmailChangeSide, r.half = done, true
		return r.Accounts.Save(ctx, tx, u)
	}
	if !double && done == store.ChangeCurrent {
		// The new address itself has to be proved.
		return r.miss
	}
	return r.complete(ctx, tx)
}

// complete makes the new address the account's own and tells the old one.
func (r *redemption) complete(ctx context.Context, tx store.Store) error {
	u := &r.account.User
	if _, taken, err := user.ByAddress(ctx, tx, u.Audience, u.NewEmail, ""); err != nil {
		return err
	} else if taken {
		return user.ErrEmailExists
	}
	if err := r.Audit.Add(ctx, tx, audit.Of(u), audit.UserModified, nil); err != nil {
		return err
	}
	old := u.Email
	if err := r.Accounts.SetEmail(ctx, tx, r.talk, &r.account, u.NewEmail, true); err != nil {
		return err
	}
	sent, err := r.Post.Notice(ctx, tx, post.Letter{Kind: mail.EmailChanged, User: u, To: old, OldEmail: old})
	r.sent = append(r.sent, sent...)
	return err
}
