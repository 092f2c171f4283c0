// Package pkce is the authorization code between us and our clients (RFC 7636): a
// client that asks for a mail or a provider with a challenge gets a code at the end of
// the redirects, and exchanges it with its verifier.
package pkce

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/truekeel/auth/fault"
	"github.com/truekeel/auth/internal/secret"
	"github.com/truekeel/auth/store"
)

// The methods of a challenge, as stored.
const (
	S256  = "s256"
	Plain = "plain"
)

// Challenge is a client's challenge; the zero value is none.
type Challenge struct{ Value, Method string }

// Given reports whether there is a challenge.
func (c Challenge) Given() bool { return c.Value != "" }

// Parse checks a challenge and its method, which must both be there or both be absent.
func Parse(value, method string) (Challenge, error) {
	if (value == "") != (method == "") {
		return Challenge{}, fault.New(fault.ValidationFailed, "PKCE flow requires code_challenge_method and code_challenge")
	}
	if value == "" {
		return Challenge{}, nil
	}
	if err := wellFormed("code challenge", value); err != nil {
		return Challenge{}, err
	}
	switch m := strings.ToLower(method); m {
	case S256, Plain:
		return Challenge{Value: value, Method: m}, nil
	}
	return Challenge{}, fault.New(fault.ValidationFailed, "Invalid code_challenge_method")
}

// wellFormed checks the grammar that challenge and verifier share (RFC 7636, 4.1, 4.2).
func wellFormed(what, s string) error {
	if len(s) < 43 || len(s) > 128 {
		return fault.New(fault.ValidationFailed, "%s has to be between 43 and 128 characters", what)
	}
	for i := range len(s) {
		c := s[i]
		if ('0' > c || c > '9') && ('a' > c || c > 'z') && ('A' > c || c > 'Z') && !strings.ContainsRune("-._~", rune(c)) {
			return fault.New(fault.ValidationFailed, "%s can only contain alphanumeric characters, hyphens, periods, underscores and tildes", what)
		}
	}
	return nil
}

// Config is what Flows needs.
type Config struct {
	Now func() time.Time
	// Wait is how long a flow waits for its link to be used; CodeLife how long the
	// code is good after that.
	Wait, CodeLife time.Duration
}

// Flows begins, continues and redeems flows. It is safe for concurrent use.
type Flows struct{ Config }

// New makes Flows.
func New(c Config) *Flows { return &Flows{c} }

// Begin stores a challenge for a user who is sent a link. Without a challenge it does
// nothing and gives uuid.Nil.
func (f *Flows) Begin(ctx context.Context, tx store.FlowStates, c Challenge, userID uuid.UUID, method, redirectTo string) (uuid.UUID, error) {
	if !c.Given() {
		return uuid.Nil, nil
	}
	now := f.Now()
	row := store.FlowState{
		ID: uuid.New(), UserID: userID, Method: method, Provider: "email",
		Challenge: c.Value, ChallengeMethod: c.Method, RedirectTo: redirectTo,
		CreatedAt: now, ExpiresAt: now.Add(f.Wait),
	}
	return row.ID, tx.CreateFlowState(ctx, row)
}

// ErrNoFlow is the answer to a link whose flow is gone.
var ErrNoFlow = fault.New(fault.FlowStateNotFound, "No associated flow state found. 422: No valid flow state found for user.")

// Continue gives the flow of a used link its authorization code. The code's life is
// measured from now, not from when the mail was asked for.
func (f *Flows) Continue(ctx context.Context, tx store.FlowStates, id, userID uuid.UUID) (string, error) {
	row, err := tx.FlowState(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		return "", ErrNoFlow
	}
	if err != nil {
		return "", err
	}
	now := f.Now()
	if !now.Before(row.ExpiresAt) {
		return "", ErrNoFlow
	}
	code := uuid.NewString()
	row.UserID, row.CodeHash, row.CodeIssuedAt, row.ExpiresAt = userID, secret.Hash(code), now, now.Add(f.CodeLife)
	won, err := tx.IssueCode(ctx, row)
	if err != nil {
		return "", err
	}
	if !won {
		return "", ErrNoFlow
	}
	return code, nil
}

// Rest is what a flow left for the redemption of its code.
type Rest struct {
	// ProviderToken and ProviderRefreshToken are the identity provider's.
	ProviderToken, ProviderRefreshToken string
	// After, if not nil, is called after the commit.
	After func(ctx context.Context)
}

// Issue stores a flow that is at its end already, and gives its authorization code. The
// caller sets who it is, the challenge and what the redemption needs.
func (f *Flows) Issue(ctx context.Context, tx store.FlowStates, row store.FlowState) (string, error) {
	now := f.Now()
	code := uuid.NewString()
	row.CodeHash, row.CodeIssuedAt, row.CreatedAt, row.ExpiresAt = secret.Hash(code), now, now, now.Add(f.CodeLife)
	return code, tx.CreateFlowState(ctx, row)
}

var (
	// ErrUnknown is the answer to a code that nobody issued, that was used, or whose
	// user is gone.
	ErrUnknown  = fault.New(fault.FlowStateNotFound, "invalid flow state, no valid flow state found")
	errExpired  = fault.New(fault.FlowStateExpired, "invalid flow state, flow state has expired")
	errVerifier = fault.New(fault.BadCodeVerifier, "code challenge does not match previously saved code verifier")
)

// Redeem takes the flow of a code, if the verifier fits its challenge. A wrong verifier
// leaves the flow as it is. Of racing callers one wins.
func (f *Flows) Redeem(ctx context.Context, tx store.FlowStates, code, verifier string) (store.FlowState, error) {
	row, err := tx.FlowStateByCode(ctx, secret.Hash(code))
	if errors.Is(err, store.ErrNotFound) {
		return row, ErrUnknown
	}
	if err != nil {
		return row, err
	}
	if ofKeel(row) {
		return row, ErrUnknown
	}
	if !f.Now().Before(row.ExpiresAt) {
		return row, errExpired
	}
	if !fits(row, verifier) {
		return row, errVerifier
	}
	won, err := tx.TakeFlowState(ctx, row.ID)
	if err == nil && !won {
		err = ErrUnknown
	}
	return row, err
}

// fits compares a verifier with the flow's challenge (RFC 7636, 4.6). A flow without a
// challenge fits none.
func fits(row store.FlowState, verifier string) bool {
	if row.Challenge == "" || verifier == "" {
		return false
	}
	got := verifier
	if row.ChallengeMethod == S256 {
		sum := sha256.Sum256([]byte(verifier))
		got = base64.RawURLEncoding.EncodeToString(sum[:])
	}
	return subtle.ConstantTimeCompare([]byte(got), []byte(row.Challenge)) == 1
}
