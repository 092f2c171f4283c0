package store

import (
	"context"
	"time"

	"github.com/google/uuid"
)

// FlowState is a sign-in that left for a mailbox or an identity provider and is
// expected back.
type FlowState struct {
	ID     uuid.UUID
	UserID uuid.UUID // whose it is, once known; uuid.Nil before
	Method string    // how the user proves himself: "email/signup", "magiclink", "recovery", "oauth", ...

	Provider  string // the identity provider, or "email"
	StateHash string // SHA-256 of the state sent to a provider; "" if none
	// Challenge and ChallengeMethod are the client's PKCE challenge (RFC 7636).
	Challenge       string
	ChallengeMethod string // "s256", "plain"
	// CodeHash is the hash of the authorization code; "" until it is issued.
	CodeHash     string
	CodeIssuedAt time.Time

	RedirectTo string
	// Data is what the flow needs on its return (nonce, verifier, provider tokens),
	// sealed by the flow where it is secret.
	Data Object

	CreatedAt time.Time
	ExpiresAt time.Time // checked by the flow; it moves when a code is issued
}

// FlowStates keeps flow states.
type FlowStates interface {
	// CreateFlowState inserts. ErrConflict if the id or a hash is taken.
	CreateFlowState(ctx context.Context, f FlowState) error
	// FlowState reads by id. ErrNotFound on a miss.
	FlowState(ctx context.Context, id uuid.UUID) (FlowState, error)
	// FlowStateByState and FlowStateByCode read by hash. ErrNotFound on a miss, and
	// for "".
	FlowStateByState(ctx context.Context, stateHash string) (FlowState, error)
	FlowStateByCode(ctx context.Context, codeHash string) (FlowState, error)
	// IssueCode writes UserID, CodeHash, CodeIssuedAt, ExpiresAt and Data of f where
	// no code was issued yet, and reports whether it did: of racing callers one gets
	// true.
	IssueCode(ctx context.Context, f FlowState) (bool, error)
	// TakeFlowState deletes by id and reports whether it was there: of racing callers
	// one gets true.
	TakeFlowState(ctx context.Context, id uuid.UUID) (bool, error)
	// DeleteCodesOf deletes the user's flows whose code was issued. It succeeds if
	// there are none.
	DeleteCodesOf(ctx context.Context, userID uuid.UUID) error
}
