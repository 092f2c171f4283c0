package external

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"fmt"

	"github.com/google/uuid"

	"github.com/truekeel/auth/internal/secret"
	"github.com/truekeel/auth/internal/session"
	"github.com/truekeel/auth/store"
)

// journey is what is kept, sealed, while somebody is away at a provider.
type journey struct {
	Kind     session.Kind      `json:"kind,omitempty"`
	Audience string            `json:"aud"`
	Callback string            `json:"callback"` // where the provider sends the browser back
	Nonce    string            `json:"nonce"`
	Verifier string            `json:"verifier"`
	Keep     map[string]string `json:"keep,omitempty"` // the provider's own
	Binding  string            `json:"binding"`        // hash of the browser's cookie
	Invite   string            `json:"invite,omitempty"`
	Link     uuid.UUID         `json:"link"` // the user to whom the identity is to be linked; uuid.Nil for a sign-in
	Session  uuid.UUID         `json:"session"`
	// Loose says that the browser may come back without its cookie.
	Loose bool `json:"loose,omitempty"`
}

// parcel is what is kept, sealed, until an authorization code is redeemed.
type parcel struct {
	Token   string    `json:"token,omitempty"` // the provider's
	Refresh string    `json:"refresh,omitempty"`
	Link    uuid.UUID `json:"link"` // to whom Login is to be linked; uuid.Nil if nothing is left to do
	Session uuid.UUID `json:"session"`
	Login   *login    `json:"login,omitempty"`
}

const sealed = "sealed" // the one key of a flow row's data

func (f *Flow) seal(id uuid.UUID, v any) (store.Object, error) {
	plain, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("external: %w", err)
	}
	return store.MakeObject(map[string]any{sealed: f.Box.Seal(purpose(id), plain)}), nil
}

func (f *Flow) open(row store.FlowState, v any) error {
	var box []byte
	if !row.Data.Decode(sealed, &box) {
		return fmt.Errorf("external: flow %s holds nothing sealed", row.ID)
	}
	plain, err := f.Box.Open(purpose(row.ID), box)
	if err != nil {
		return fmt.Errorf("external: flow %s: %w", row.ID, err)
	}
	if err := json.Unmarshal(plain, v); err != nil {
		return fmt.Errorf("external: flow %s: %w", row.ID, err)
	}
	return nil
}

func purpose(id uuid.UUID) string { return "provider flow " + id.String() }

// stateLength is the length of random's texts: 32 bytes in base64url.
const stateLength = 43

// random makes a secret that fits wherever one is needed: as state, nonce, PKCE
// verifier (RFC 7636, 4.1) and cookie.
func random() string {
	b := make([]byte, 32)
	_, _ = rand.Read(b) // never fails: crypto/rand.Read ends the process instead
	return base64.RawURLEncoding.EncodeToString(b)
}

// cookieName is the name of the cookie that binds a flow to its browser. Each flow has
// its own, so that two tabs don't disturb each other.
func cookieName(stateHash string) string { return "auth_flow_" + stateHash[:16] }

// bound reports whether a cookie is that of the journey.
func (j journey) bound(cookie string) bool {
	return cookie != "" && subtle.ConstantTimeCompare([]byte(secret.Hash(cookie)), []byte(j.Binding)) == 1
}
