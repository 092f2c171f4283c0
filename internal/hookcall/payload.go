package hookcall

import (
	"context"
	"encoding/json"
	"time"

	"github.com/google/uuid"

	"github.com/truekeel/auth/internal/caller"
	"github.com/truekeel/auth/mail"
)

// Point is the moment that a hook is asked at. Its text is the name that hooks see.
type Point string

// The points.
const (
	BeforeUserCreated    Point = "before-user-created"
	AfterUserCreated     Point = "after-user-created"
	CustomAccessToken    Point = "customize-access-token"
	SendEmail            Point = "send-email"
	SendSMS              Point = "send-sms"
	PasswordVerification Point = "password-verification"
)

// Metadata is part of what every hook gets.
type Metadata struct {
	UUID uuid.UUID `json:"uuid"` // of the call; of what happened, where it may be told of again
	Time time.Time `json:"time"`
	Name Point     `json:"name"`
	IP   string    `json:"ip_address"` // the client's; "" if there is none
}

// Meta makes the Metadata of a call. id is the same however often something is told of;
// uuid.Nil gives each call one of its own.
func (h *Hook) Meta(ctx context.Context, id uuid.UUID) Metadata {
	if id == uuid.Nil {
		id = uuid.New()
	}
	m := Metadata{UUID: id, Time: h.Now().UTC(), Name: h.Point}
	if ip := caller.From(ctx).IP; ip.IsValid() {
		m.IP = ip.String()
	}
	return m
}

// UserInput is what before-user-created and after-user-created get.
type UserInput struct {
	Metadata Metadata        `json:"metadata"`
	User     json.RawMessage `json:"user"`
}

// TokenInput is what customize-access-token gets.
type TokenInput struct {
	Metadata Metadata        `json:"metadata"`
	UserID   uuid.UUID       `json:"user_id"`
	Claims   json.RawMessage `json:"claims"`
	Method   string          `json:"authentication_method"`
}

// PasswordInput is what password-verification gets.
type PasswordInput struct {
	Metadata Metadata  `json:"metadata"`
	UserID   uuid.UUID `json:"user_id"`
	Valid    bool      `json:"valid"`
}

// SMSInput is what send-sms gets.
type SMSInput struct {
	Metadata Metadata        `json:"metadata"`
	User     json.RawMessage `json:"user"`
	SMS      SMS             `json:"sms"`
}

// SMS is a code on its way to a phone.
type SMS struct {
	OTP   string `json:"otp"`
	Phone string `json:"phone"`
	Type  string `json:"sms_type,omitempty"` // "mfa" for a second factor
}

// MailInput is what send-email gets.
type MailInput struct {
	Metadata Metadata        `json:"metadata"`
	User     json.RawMessage `json:"user"`
	Email    Email           `json:"email_data"`
}

// Email is what a mail is about. All keys are always there.
type Email struct {
	Token        string `json:"token"`
	TokenHash    string `json:"token_hash"`
	RedirectTo   string `json:"redirect_to"`
	Action       string `json:"email_action_type"`
	SiteURL      string `json:"site_url"` // the external URL
	TokenNew     string `json:"token_new"`
	TokenHashNew string `json:"token_hash_new"`
	OldEmail     string `json:"old_email"`
	OldPhone     string `json:"old_phone"`
	Provider     string `json:"provider"`
	FactorType   string `json:"factor_type"`
}

// EmailOf turns a mail's event into what send-email gets. external is where this server
// is reached.
func EmailOf(e mail.Event, external string) Email {
	out := Email{
		Token: e.Token, TokenHash: e.TokenHash, RedirectTo: e.RedirectTo, Action: Action(e.Kind), SiteURL: external,
		OldPhone: e.OldPhone, Provider: e.Provider, FactorType: e.FactorType,
	}
	if e.Kind != mail.EmailChange {
		out.OldEmail = e.OldEmail
	}
	return out
}

// Action is the email_action_type of a kind.
func Action(k mail.Kind) string {
	if info, _ := k.Info(); info.LinkType != "" {
		return info.LinkType
	}
	return string(k)
}

// Decision is what password-verification answers.
type Decision struct {
	Decision string `json:"decision"`
	Message  string `json:"message"`
	SignOut  bool   `json:"should_logout_user"`
}

// The decisions.
const (
	Continue = "continue"
	Reject   = "reject"
)
