package mail

import (
	"encoding/json"
	"log/slog"
	"time"

	"github.com/google/uuid"
)

// Event is a reason to write a mail, with everything that the mail may say. It is what
// hosts get that send their mails themselves. Its JSON form is how it waits for delivery;
// it holds secrets (the link, the code) and doesn't belong in a log.
type Event struct {
	// Kind is what happened.
	Kind Kind `json:"kind"`
	// MessageID is the same at every attempt to deliver the event, and different for
	// every event: a host can recognise a repeat by it.
	MessageID string `json:"message_id,omitempty"`
	// To is the address that the mail goes to.
	To string `json:"to"`
	// Locale is the reader's language: a BCP 47 tag or the value of an Accept-Language
	// header; "" if unknown.
	Locale string `json:"locale,omitempty"`

	// SiteURL is where people land.
	SiteURL string `json:"site_url,omitempty"`
	// ConfirmationURL is the link that proves the address; "" if the kind has none.
	ConfirmationURL string `json:"confirmation_url,omitempty"`
	// Token is the code of six to ten digits; "" if the kind has none.
	Token string `json:"token,omitempty"`
	// TokenHash is the token of the link, for links that the host makes itself.
	TokenHash string `json:"token_hash,omitempty"`
	// RedirectTo is where the link leads in the end.
	RedirectTo string `json:"redirect_to,omitempty"`

	// UserID is whose account it is about.
	UserID uuid.UUID `json:"user_id"`
	// Email is the account's present address.
	Email string `json:"email,omitempty"`
	// NewEmail is the address that the account is to have, OldEmail the one that it had.
	NewEmail string `json:"new_email,omitempty"`
	OldEmail string `json:"old_email,omitempty"`
	// Phone is the account's phone number, OldPhone the one that it had.
	Phone    string `json:"phone,omitempty"`
	OldPhone string `json:"old_phone,omitempty"`
	// Provider is the identity provider that was linked or unlinked.
	Provider string `json:"provider,omitempty"`
	// FactorType is the second factor that was added or removed.
	FactorType string `json:"factor_type,omitempty"`
	// Data is the account's user metadata, a JSON object; nil if it has none. It is
	// what the user wrote and is to be trusted accordingly.
	Data json.RawMessage `json:"data,omitempty"`

	// Time is when it happened; it becomes the mail's date.
	Time time.Time `json:"time,omitzero"`
}

// LogValue gives the kind, the message id and the user's id: the rest isn't for logs.
func (e Event) LogValue() slog.Value {
	return slog.GroupValue(slog.String("kind", string(e.Kind)), slog.String("message_id", e.MessageID),
		slog.String("user_id", e.UserID.String()))
}
