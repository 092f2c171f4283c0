package store

import (
	"context"
	"time"
)

// KeyState is where a signing key stands in its life.
type KeyState string

// The states. Keys move forward only.
const (
	KeyNext    KeyState = "next"    // published, doesn't sign yet
	KeyCurrent KeyState = "current" // signs
	KeyRetired KeyState = "retired" // neither signs nor verifies
	// KeyPrevious has signed; it verifies until its last token has expired.
	KeyPrevious KeyState = "previous"
)

// SigningKey is a key that signs access tokens.
type SigningKey struct {
	ID        string // kid
	Algorithm string // JWA name: "ES256", "RS256", "EdDSA"
	State     KeyState
	Private   []byte // sealed PKCS #8
	Public    []byte // JWK (RFC 7517) without private members

	CreatedAt   time.Time
	ActivatedAt time.Time // became current
	RetiredAt   time.Time // became retired
}

// Keys keeps signing keys.
type Keys interface {
	// CreateSigningKey inserts. ErrConflict if the id is taken, or if k is current and
	// another key is: of processes that start at once one makes the first key.
	CreateSigningKey(ctx context.Context, k SigningKey) error
	// SigningKeys gives all keys, oldest first.
	SigningKeys(ctx context.Context) ([]SigningKey, error)
	// MoveSigningKey changes a key's state from one to another, with the times that
	// belong to it, and reports whether it did. ErrConflict if to is current and
	// another key is.
	MoveSigningKey(ctx context.Context, id string, from, to KeyState, at time.Time) (bool, error)
}
