// Package emailchange is the shared step that asks for the proofs of a new address.
package emailchange

import (
	"context"
	"time"

	"github.com/truekeel/auth/internal/pkce"
	"github.com/truekeel/auth/internal/post"
	"github.com/truekeel/auth/internal/user"
	"github.com/truekeel/auth/mail"
	"github.com/truekeel/auth/store"
)

// Step sends the mails of a change of address. It is safe for concurrent use.
type Step struct {
	Accounts *user.Accounts
	Post     *post.Office
	PKCE     *pkce.Flows
	Now      func() time.Time
	// Secure asks the present address too, where there is one.
	Secure bool
	// Together puts both proofs into one letter, to the new address.
	Together bool
}

// Ask writes the mails for u.NewEmail, each with its own code and link, in place of
// those that were sent before, and writes u.
func (s *Step) Ask(ctx context.Context, tx store.Store, u *store.User, c pkce.Challenge, redirectTo string) ([]post.Sent, error) {
	u.EmailChangeSide, u.EmailChangeSentAt = store.ChangeNone, s.Now()
	if err := tx.DeleteOneTimeTokens(ctx, u.ID, store.PurposeEmailChangeCurrent, store.PurposeEmailChangeNew); err != nil {
		return nil, err
	}
	letters, err := s.letters(ctx, tx, u, c, redirectTo)
	if err != nil {
		return nil, err
	}
	var out []post.Sent
	for _, l := range letters {
		sent, _, err := s.Post.Write(ctx, tx, l)
		if err != nil {
			return nil, err
		}
		out = append(out, sent)
	}
	return out, s.Accounts.Save(ctx, tx, u)
}

// letters are the mails that are to be written.
func (s *Step) letters(ctx context.Context, tx store.Store, u *store.User, c pkce.Challenge, redirectTo string) ([]post.Letter, error) {
	next, err := s.letter(ctx, tx, u, u.NewEmail, store.PurposeEmailChangeNew, c, redirectTo)
	if err != nil || !s.Secure || u.Email == "" {
		return []post.Letter{next}, err
	}
	current, err := s.letter(ctx, tx, u, u.Email, store.PurposeEmailChangeCurrent, c, redirectTo)
	if err != nil || !s.Together {
		return []post.Letter{next, current}, err
	}
	issued, err := s.Post.Tokens.Issue(ctx, tx, u.ID, current.Purpose, current.To, current.Flow)
	next.Current = &issued
	return []post.Letter{next}, err
}

func (s *Step) letter(ctx context.Context, tx store.Store, u *store.User, to string, p store.Purpose, c pkce.Challenge, redirectTo string) (post.Letter, error) {
	flow, err := s.PKCE.Begin(ctx, tx, c, u.ID, "email_change", redirectTo)
	return post.Letter{Kind: mail.EmailChange, User: u, To: to, Purpose: p, Flow: flow, RedirectTo: redirectTo}, err
}
