package gotrue

import (
	"encoding/json"
	"time"

	"github.com/google/uuid"

	"github.com/truekeel/auth/internal/user"
	"github.com/truekeel/auth/store"
)

// wireUser is an account on the wire. Its fields are filled by hand, so that a new
// column doesn't leak.
type wireUser struct {
	ID                 uuid.UUID      `json:"id"`
	Audience           string         `json:"aud"`
	Role               string         `json:"role"`
	Email              string         `json:"email"`
	EmailConfirmedAt   wireTime       `json:"email_confirmed_at,omitzero"`
	InvitedAt          wireTime       `json:"invited_at,omitzero"`
	Phone              string         `json:"phone"`
	PhoneConfirmedAt   wireTime       `json:"phone_confirmed_at,omitzero"`
	ConfirmationSentAt wireTime       `json:"confirmation_sent_at,omitzero"`
	ConfirmedAt        wireTime       `json:"confirmed_at,omitzero"`
	RecoverySentAt     wireTime       `json:"recovery_sent_at,omitzero"`
	NewEmail           string         `json:"new_email,omitempty"`
	EmailChangeSentAt  wireTime       `json:"email_change_sent_at,omitzero"`
	NewPhone           string         `json:"new_phone,omitempty"`
	PhoneChangeSentAt  wireTime       `json:"phone_change_sent_at,omitzero"`
	Reauthentication   wireTime       `json:"reauthentication_sent_at,omitzero"`
	LastSignInAt       wireTime       `json:"last_sign_in_at,omitzero"`
	AppMetadata        store.Object   `json:"app_metadata"`
	UserMetadata       store.Object   `json:"user_metadata"`
	Identities         []wireIdentity `json:"identities"`
	CreatedAt          wireTime       `json:"created_at"`
	UpdatedAt          wireTime       `json:"updated_at"`
	BannedUntil        wireTime       `json:"banned_until,omitzero"`
	DeletedAt          wireTime       `json:"deleted_at,omitzero"`
	IsAnonymous        bool           `json:"is_anonymous"`
}

// wireIdentity is an identity on the wire.
type wireIdentity struct {
	IdentityID   uuid.UUID    `json:"identity_id"`
	ID           string       `json:"id"`
	UserID       uuid.UUID    `json:"user_id"`
	Data         store.Object `json:"identity_data,omitempty"`
	Provider     string       `json:"provider"`
	LastSignInAt wireTime     `json:"last_sign_in_at,omitzero"`
	CreatedAt    wireTime     `json:"created_at"`
	UpdatedAt    wireTime     `json:"updated_at"`
	Email        string       `json:"email,omitempty"`
}

// wireTime is a time in UTC with microseconds, as it comes out of every database.
type wireTime struct{ time.Time }

func at(t time.Time) wireTime {
	if t.IsZero() {
		return wireTime{}
	}
	return wireTime{t.UTC().Truncate(time.Microsecond)}
}

// UserJSON is an account as this dialect shows it, for hooks and webhooks.
func UserJSON(a user.Account) (json.RawMessage, error) { return json.Marshal(userJSON(a)) }

func userJSON(a user.Account) wireUser {
	u := a.User
	out := wireUser{
		ID: u.ID, Audience: u.Audience, Role: u.Role, Email: u.Email, Phone: u.Phone,
		EmailConfirmedAt: at(u.EmailConfirmedAt), InvitedAt: at(u.InvitedAt), PhoneConfirmedAt: at(u.PhoneConfirmedAt),
		ConfirmationSentAt: at(u.ConfirmationSentAt), ConfirmedAt: at(u.ConfirmedAt()), RecoverySentAt: at(u.RecoverySentAt),
		NewEmail: u.NewEmail, EmailChangeSentAt: at(u.EmailChangeSentAt),
		NewPhone: u.NewPhone, PhoneChangeSentAt: at(u.PhoneChangeSentAt),
		Reauthentication: at(u.ReauthenticationSent), LastSignInAt: at(u.LastSignInAt),
		AppMetadata: u.AppMetadata, UserMetadata: u.UserMetadata,
		Identities: []wireIdentity{},
		CreatedAt:  at(u.CreatedAt), UpdatedAt: at(u.UpdatedAt),
		BannedUntil: at(u.BannedUntil), DeletedAt: at(u.DeletedAt), IsAnonymous: u.IsAnonymous,
	}
	for _, i := range a.Identities {
		out.Identities = append(out.Identities, wireIdentity{
			IdentityID: i.ID, ID: i.Subject, UserID: i.UserID, Data: i.Data, Provider: i.Provider, Email: i.Email,
			LastSignInAt: at(i.LastSignInAt), CreatedAt: at(i.CreatedAt), UpdatedAt: at(i.UpdatedAt),
		})
	}
	return out
}
