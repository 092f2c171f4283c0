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
func (t *Tokens) ByService(ctx context.Context, recipient string, check func(context.Context) (bool, error), candidates ...Candidate) (store.OneTimeToken, error) {
	var live []store.OneTimeToken
	var spent bool
	err := t.Store.Tx(ctx, func(tx store.Store) (err error) {
		live = nil
		if spent, err = t.countAddress(ctx, tx, recipient); err != nil {
			return err
		}
		for _, c := range candidates {
			row, ok, err := t.attempt(ctx, tx, c)
			if err != nil {
				return err
			}
			if ok && row.Recipient == recipient {
				live = append(live, row)
			}
		}
		return nil
	})
	if err != nil {
		return store.OneTimeToken{}, err
	}
	if spent {
		return store.OneTimeToken{}, ErrCode
	}
	right, err := check(ctx)
	if err != nil {
		return store.OneTimeToken{}, err
	}
	if !right || len(live) == 0 || slices.ContainsFunc(live, func(row store.OneTimeToken) bool { return row.UserID != live[0].UserID }) {
		return store.OneTimeToken{}, ErrCode
	}
	return live[0], t.Store.DropCounter(ctx, t.counterOf(recipient))
}

// attempt reads the token of a candidate, having counted a guess at it; false if it
// can't be guessed any more.
func (t *Tokens) attempt(ctx context.Context, tx store.OneTimeTokens, c Candidate) (store.OneTimeToken, bool, error) {
	row, err := tx.OneTimeTokenOf(ctx, c.UserID, c.Purpose)
	missing := errors.Is(err, store.ErrNotFound)
	if err != nil && !missing {
		return row, false, err
	}
	counted, err := tx.CountAttempt(ctx, row.ID, t.MaxGuesses)
	return row, !missing && counted && t.Now().Before(row.CodeExpiresAt), err
}
