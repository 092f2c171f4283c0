package store

import (
	"context"
	"time"

	"github.com/google/uuid"
)

// Purpose says what a one-time token is good for. Purposes are kept apart: a token of
// one never overwrites or satisfies another.
type Purpose string

// The purposes.
const (
	PurposeConfirmation       Purpose = "confirmation"         // prove the address of a new account
	PurposeInvite             Purpose = "invite"               // accept an invitation
	PurposeRecovery           Purpose = "recovery"             // set a new password
	PurposeMagicLink          Purpose = "magiclink"            // sign in
	PurposeEmailChangeCurrent Purpose = "email_change_current" // agree, from the present address
	PurposeEmailChangeNew     Purpose = "email_change_new"     // prove the new address
	PurposeReauthentication   Purpose = "reauthentication"     // confirm a sensitive change
	PurposePhoneConfirmation  Purpose = "phone_confirmation"
	PurposePhoneSignIn        Purpose = "phone_signin"
	PurposePhoneChange        Purpose = "phone_change"
)

// OneTimeToken is a code, a link, or both, that can be used once.
type OneTimeToken struct {
	ID        uuid.UUID
	UserID    uuid.UUID
	Purpose   Purpose
	Recipient string // the address or number that it was sent to

	LinkHash string // lower-case hex of SHA-256 of the link's token; "" if there is no link
	CodeMAC  string // lower-case hex of the code's HMAC under a server key; "" if there is no code

	// FlowStateID is the PKCE flow that the link leads back to; uuid.Nil if none.
	FlowStateID uuid.UUID

	Attempts      int       // wrong guesses of the code
	ExpiresAt     time.Time // of the link
	CodeExpiresAt time.Time // of the code
	CreatedAt     time.Time
}

// OneTimeTokens keeps one-time tokens: at most one for each (UserID, Purpose).
type OneTimeTokens interface {
	// PutOneTimeToken stores t in place of the user's token of that purpose.
	// ErrConflict if another caller did so at the same time, or the link hash is
	// taken.
	PutOneTimeToken(ctx context.Context, t OneTimeToken) error
	// OneTimeTokenByLink reads by link hash. ErrNotFound on a miss, and for "".
	// Expiry is the caller's to check.
	OneTimeTokenByLink(ctx context.Context, linkHash string) (OneTimeToken, error)
	// OneTimeTokenOf reads the user's token of a purpose. ErrNotFound on a miss.
	OneTimeTokenOf(ctx context.Context, userID uuid.UUID, p Purpose) (OneTimeToken, error)
	// OneTimeTokensTo gives the tokens of a purpose that were sent to a recipient, newest
	// first, at most ten; none is no error.
	OneTimeTokensTo(ctx context.Context, recipient string, p Purpose) ([]OneTimeToken, error)
	// CountAttempt adds a wrong guess if there are fewer than limit, and reports
	// whether it did. Callers count before they compare, so that racing guesses
	// can't exceed the limit.
	CountAttempt(ctx context.Context, id uuid.UUID, limit int) (bool, error)
	// TakeOneTimeToken deletes by id and reports whether it was there: of racing
	// callers one gets true.
	TakeOneTimeToken(ctx context.Context, id uuid.UUID) (bool, error)
	// DeleteOneTimeTokens deletes the user's tokens of the purposes, of every purpose
	// if none is named.
	DeleteOneTimeTokens(ctx context.Context, userID uuid.UUID, p ...Purpose) error
}
