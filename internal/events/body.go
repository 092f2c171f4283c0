package events

import (
	"encoding/json"
	"time"

	"github.com/google/uuid"

	"github.com/truekeel/auth/store"
)

// message is an event as receivers get it. All fields are filled by hand, so that a new
// column doesn't leak.
type message struct {
	Type      Type      `json:"type"`
	Timestamp time.Time `json:"timestamp"`
	Data      data      `json:"data"`
}

type data struct {
	User any `json:"user"` // user, or gone

	Changed       []string    `json:"changed,omitempty"`
	PreviousEmail string      `json:"previous_email,omitempty"`
	PreviousPhone string      `json:"previous_phone,omitempty"`
	Identity      *identity   `json:"identity,omitempty"`
	Session       *session    `json:"session,omitempty"`
	SessionIDs    []uuid.UUID `json:"session_ids,omitempty"`
}

// gone is what is said of a deleted user.
type gone struct {
	ID uuid.UUID `json:"id"`
}

// user has the names of the user that GoTrue's endpoints answer.
type user struct {
	ID               uuid.UUID    `json:"id"`
	Audience         string       `json:"aud"`
	Role             string       `json:"role"`
	Email            string       `json:"email"`
	EmailConfirmedAt time.Time    `json:"email_confirmed_at,omitzero"`
	Phone            string       `json:"phone"`
	PhoneConfirmedAt time.Time    `json:"phone_confirmed_at,omitzero"`
	ConfirmedAt      time.Time    `json:"confirmed_at,omitzero"`
	InvitedAt        time.Time    `json:"invited_at,omitzero"`
	LastSignInAt     time.Time    `json:"last_sign_in_at,omitzero"`
	AppMetadata      store.Object `json:"app_metadata"`
	UserMetadata     store.Object `json:"user_metadata"`
	Identities       []identity   `json:"identities"`
	IsAnonymous      bool         `json:"is_anonymous"`
	BannedUntil      time.Time    `json:"banned_until,omitzero"`
	CreatedAt        time.Time    `json:"created_at"`
	UpdatedAt        time.Time    `json:"updated_at"`
}

type identity struct {
	IdentityID uuid.UUID    `json:"identity_id"`
	ID         string       `json:"id"`
	Provider   string       `json:"provider"`
	Email      string       `json:"email,omitempty"`
	Data       store.Object `json:"identity_data"`
	CreatedAt  time.Time    `json:"created_at"`
}

type session struct {
	ID        uuid.UUID `json:"id"`
	AAL       string    `json:"aal"`
	Methods   []method  `json:"amr"`
	IP        string    `json:"ip,omitempty"`
	UserAgent string    `json:"user_agent,omitempty"`
	CreatedAt time.Time `json:"created_at"`
}

type method struct {
	Method   string `json:"method"`
	Provider string `json:"provider,omitempty"`
}

// maxSessions bounds how many ended sessions one event names.
const maxSessions = 100

// render makes the message of a fact. u and identities are the user as he is now; of a
// deleted one nothing is said but the id.
func (c *change) render(f fact, at time.Time, u store.User, identities []store.Identity) ([]byte, error) {
	m := message{Type: f.what, Timestamp: at, Data: data{User: gone{u.ID}}}
	if f.what != UserDeleted {
		m.Data.User = userOf(u, identities)
	}
	switch f.what {
	case UserUpdated:
		m.Data.Changed = c.changed()
	case UserEmailChanged:
		m.Data.PreviousEmail = c.before.Email
	case UserPhoneChanged:
		m.Data.PreviousPhone = c.before.Phone
	case IdentityLinked, IdentityUnlinked:
		i := identityOf(*f.identity)
		m.Data.Identity = &i
	case UserSignedIn:
		m.Data.Session = sessionOf(f.session)
	case UserSignedOut:
		m.Data.SessionIDs = c.ended[:min(len(c.ended), maxSessions)]
	}
	return json.Marshal(m)
}

func userOf(u store.User, identities []store.Identity) user {
	out := user{
		ID: u.ID, Audience: u.Audience, Role: u.Role, Email: u.Email, EmailConfirmedAt: u.EmailConfirmedAt,
		Phone: u.Phone, PhoneConfirmedAt: u.PhoneConfirmedAt, ConfirmedAt: u.ConfirmedAt(), InvitedAt: u.InvitedAt,
		LastSignInAt: u.LastSignInAt, AppMetadata: u.AppMetadata, UserMetadata: u.UserMetadata, Identities: []identity{},
		IsAnonymous: u.IsAnonymous, BannedUntil: u.BannedUntil, CreatedAt: u.CreatedAt, UpdatedAt: u.UpdatedAt,
	}
	for _, i := range identities {
		out.Identities = append(out.Identities, identityOf(i))
	}
	return out
}

func identityOf(i store.Identity) identity {
	return identity{IdentityID: i.ID, ID: i.Subject, Provider: i.Provider, Email: i.Email, Data: i.Data, CreatedAt: i.CreatedAt}
}

func sessionOf(s *store.Session) *session {
	out := &session{ID: s.ID, AAL: s.AAL, Methods: []method{}, IP: s.IP, UserAgent: s.UserAgent, CreatedAt: s.CreatedAt}
	for _, m := range s.AMR {
		out.Methods = append(out.Methods, method{m.Method, m.Provider})
	}
	return out
}
