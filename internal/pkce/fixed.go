package pkce

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/truekeel/auth/internal/secret"
	"github.com/truekeel/auth/store"
)

const (
	// keelLife is how long a code of the Keel dialect is good, whatever the settings.
	keelLife = time.Minute
	// keelLength is how many characters it has.
	keelLength = 32

	// dialect marks the flows whose codes only the Keel dialect redeems.
	dialect = "dialect"
	keel    = "keel"
)

// ofKeel reports whether a flow's code is for the Keel dialect.
func ofKeel(row store.FlowState) bool { return row.Data.String(dialect) == keel }

// IssueKeel gives an authorization code of the Keel dialect for a user who has just
// proved himself by method. It is bound to nothing but its minute, unless there is a
// challenge.
func (f *Flows) IssueKeel(ctx context.Context, tx store.FlowStates, c Challenge, userID uuid.UUID, method, provider string) (string, error) {
	now := f.Now()
	code := secret.Alphanumeric(keelLength)
	return code, tx.CreateFlowState(ctx, store.FlowState{
		ID: uuid.New(), UserID: userID, Method: method, Provider: provider, Challenge: c.Value, ChallengeMethod: c.Method,
		CodeHash: secret.Hash(code), CodeIssuedAt: now, Data: store.MakeObject(map[string]any{dialect: keel}),
		CreatedAt: now, ExpiresAt: now.Add(keelLife),
	})
}

// RedeemKeel takes the flow of a code of the Keel dialect. A verifier is needed if the
// flow began with a challenge, and only then. Of racing callers one wins.
func (f *Flows) RedeemKeel(ctx context.Context, tx store.FlowStates, code, verifier string) (store.FlowState, error) {
	row, err := tx.FlowStateByCode(ctx, secret.Hash(code))
	switch {
	case errors.Is(err, store.ErrNotFound):
		return row, ErrUnknown
	case err != nil:
		return row, err
	case !ofKeel(row):
		return row, ErrUnknown
	case !f.Now().Before(row.ExpiresAt):
		return row, errExpired
	case row.Challenge == "" && verifier != "", row.Challenge != "" && !fits(row, verifier):
		return row, errVerifier
	}
	won, err := tx.TakeFlowState(ctx, row.ID)
	if err == nil && !won {
		err = ErrUnknown
	}
	return row, err
}
