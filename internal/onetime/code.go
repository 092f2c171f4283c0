package onetime

import (
	"context"
	"encoding/hex"
	"errors"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/truekeel/auth/store"
)

// IssueCode makes a code without a link, in place of what the user had for the purpose.
func (t *Tokens) IssueCode(ctx context.Context, tx store.OneTimeTokens, userID uuid.UUID, p store.Purpose, recipient string) (string, error) {
	code, err := t.drawCode()
	if err != nil {
		return "", err
	}
	return code, t.IssueFixed(ctx, tx, userID, p, recipient, code, t.CodeLife)
}

// IssueFixed is IssueCode for a code that is chosen already. "" is for a code that
// somebody else makes and checks: see [Tokens.ByService].
func (t *Tokens) IssueFixed(ctx context.Context, tx store.OneTimeTokens, userID uuid.UUID, p store.Purpose, recipient, code string, life time.Duration) error {
	id, err := uuid.NewV7()
	if err != nil {
		return err
	}
	now := t.Now()
	row := store.OneTimeToken{
		ID: id, UserID: userID, Purpose: p, Recipient: recipient,
		ExpiresAt: now.Add(life), CodeExpiresAt: now.Add(life), CreatedAt: now,
	}
	if code != "" {
		row.CodeMAC = hex.EncodeToString(t.mac(userID, p, recipient, code))
	}
	return tx.PutOneTimeToken(ctx, row)
}

// ByService is [Tokens.ByCode] for codes that a service made and checks. The guess is
// counted first; then the service is asked, outside of a transaction, whether or not a
// candidate has a token, unless the recipient's hour is spent. The first candidate with
// a token counts, unless another user has one too: the code doesn't tell whose it is, and
// is nobody's then. An error of check is given as it is.
//
// A service agrees to a code once. So the code is kept with its token from then on, as
// one of ours is: it stays good where what it is for is refused, and the service isn't
// asked about it again.
func (t *Tokens) ByService(ctx context.Context, recipient, code string, check func(context.Context) (bool, error), candidates ...Candidate) (store.OneTimeToken, error) {
	var live []store.OneTimeToken
	var kept *store.OneTimeToken
	var spent bool
	err := t.Store.Tx(ctx, func(tx store.Store) (err error) {
		live, kept = nil, nil
		if spent, err = t.countAddress(ctx, tx, recipient); err != nil {
			return err
		}
		for _, c := range candidates {
			row, open, right, err := t.attempt(ctx, tx, c, recipient, code)
			if err != nil {
				return err
			}
			if open && row.Recipient == recipient {
				live = append(live, row)
			}
			if open && right && !spent && kept == nil {
				kept = &row
			}
		}
		if kept == nil {
			return nil
		}
		return tx.DropCounter(ctx, t.counterOf(recipient))
	})
	switch {
	case err != nil:
		return store.OneTimeToken{}, err
	case kept != nil:
		return *kept, nil
	case spent:
		return store.OneTimeToken{}, ErrCode
	}
	right, err := check(ctx)
	if err != nil {
		return store.OneTimeToken{}, err
	}
	if !right || len(live) == 0 || slices.ContainsFunc(live, func(row store.OneTimeToken) bool { return row.UserID != live[0].UserID }) {
		return store.OneTimeToken{}, ErrCode
	}
	return t.keep(ctx, live[0], code)
}

// keep puts a token in the place of one whose code a service has agreed to, with that
// code. Of racing callers one gets it, the others [ErrCode]: the service may have agreed
// to all of them.
func (t *Tokens) keep(ctx context.Context, row store.OneTimeToken, code string) (store.OneTimeToken, error) {
	kept := row // as it was before this guess was counted
	var err error
	if kept.ID, err = uuid.NewV7(); err != nil {
		return store.OneTimeToken{}, err
	}
	kept.CodeMAC = hex.EncodeToString(t.mac(row.UserID, row.Purpose, row.Recipient, code))
	err = t.Store.Tx(ctx, func(tx store.Store) error {
		// The counter first, as where guesses are counted: else the two wait for each other.
		if err := tx.DropCounter(ctx, t.counterOf(row.Recipient)); err != nil {
			return err
		}
		if err := t.Take(ctx, tx, row, ErrCode); err != nil {
			return err
		}
		return tx.PutOneTimeToken(ctx, kept)
	})
	if errors.Is(err, store.ErrConflict) {
		err = ErrCode // another code was asked for at the same time
	}
	if err != nil {
		return store.OneTimeToken{}, err
	}
	return kept, nil
}
