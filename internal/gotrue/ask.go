package gotrue

import (
	"context"
	"net/http"

	"github.com/truekeel/auth/fault"
	"github.com/truekeel/auth/internal/endpoint"
	"github.com/truekeel/auth/internal/guard"
	"github.com/truekeel/auth/internal/proof"
	"github.com/truekeel/auth/store"
)

// askBody is a request for a mail.
type askBody struct {
	Type       string       `json:"type"`
	Email      string       `json:"email"`
	Phone      string       `json:"phone"`
	Channel    string       `json:"channel"`
	CreateUser *bool        `json:"create_user"`
	Data       store.Object `json:"data"`
	wireChallenge
}

// ask parses a request for a mail.
func (d *Dialect) ask(r *http.Request) (askBody, proof.Ask, error) {
	var b askBody
	if err := endpoint.Decode(r, &b); err != nil {
		return b, proof.Ask{}, err
	}
	challenge, err := b.parse()
	return b, proof.Ask{
		Audience: d.audience(r, nil), Email: b.Email, Challenge: challenge, RedirectTo: d.target(r, ""),
		Data: b.Data, Create: b.CreateUser == nil || *b.CreateUser,
	}, err
}

// textAsk is the same request for a message to a phone.
func textAsk(b askBody, q proof.Ask) proof.AskText {
	return proof.AskText{Audience: q.Audience, Phone: b.Phone, Channel: b.Channel, Data: b.Data, Create: q.Create}
}

// anyAsk is a request for a mail or for a message to a phone.
type anyAsk struct {
	mail   proof.Ask
	text   proof.AskText
	byText bool
	kind   string
}

// wireReceipt names a message that was handed to the service.
type wireReceipt struct {
	MessageID string `json:"message_id,omitempty"`
}

func writeReceipt(w http.ResponseWriter, _ *http.Request, receipt string) error {
	return endpoint.JSON(w, http.StatusOK, wireReceipt{receipt})
}

func writeEmpty(w http.ResponseWriter, _ *http.Request, _ none) error {
	return endpoint.JSON(w, http.StatusOK, struct{}{})
}

// mailOff is how a switched-off mail provider is answered where one signs in.
func mailOff(do endpoint.Func) endpoint.Func {
	return with(do, map[fault.Code]int{fault.EmailProviderDisabled: http.StatusUnprocessableEntity})
}

var (
	errRecoverEmail = fault.New(fault.ValidationFailed, "Password recovery requires an email")
	errOTPBoth      = fault.New(fault.ValidationFailed, "Only an email address or phone number should be provided")
	errOTPNone      = fault.New(fault.ValidationFailed, "One of email or phone must be set")
	errOTPChannel   = fault.New(fault.ValidationFailed, "Channel should only be specified with Phone OTP")
)

func (d *Dialect) recover() endpoint.Func {
	parse := func(r *http.Request) (proof.Ask, error) {
		_, q, err := d.ask(r)
		if err == nil && q.Email == "" && !d.Proof.EmailOff {
			err = errRecoverEmail
		}
		return q, err
	}
	return endpoint.Of(parse, does(d.Proof.Recover), writeEmpty)
}

func (d *Dialect) magicLink() endpoint.Func {
	parse := func(r *http.Request) (proof.Ask, error) {
		_, q, err := d.ask(r)
		if err == nil && q.Email == "" && !d.Proof.EmailOff && !d.Proof.MagicLinkOff {
			err = as(http.StatusUnprocessableEntity, errRecoverEmail)
		}
		q.Create = true
		return q, err
	}
	act := func(ctx context.Context, q proof.Ask) error { return d.Proof.MagicLink(ctx, q, guard.MagicLink) }
	return mailOff(endpoint.Of(parse, does(act), writeEmpty))
}

func (d *Dialect) otp() endpoint.Func {
	parse := func(r *http.Request) (anyAsk, error) {
		b, q, err := d.ask(r)
		switch {
		case err != nil:
		case b.Email != "" && b.Phone != "":
			err = errOTPBoth
		case b.Email != "" && b.Channel != "":
			err = errOTPChannel
		case b.Email == "" && b.Phone == "":
			err = errOTPNone
		}
		return anyAsk{mail: q, text: textAsk(b, q), byText: b.Phone != ""}, err
	}
	act := func(ctx context.Context, q anyAsk) (receipt string, err error) {
		if q.byText {
			return d.Proof.Text(ctx, q.text)
		}
		return "", d.Proof.MagicLink(ctx, q.mail, guard.OTP)
	}
	// A switched-off number is told as a bad request, a switched-off mailbox isn't.
	return mailOff(endpoint.Of(parse, act, writeReceipt))
}

var (
	errResendType   = fault.New(fault.ValidationFailed, "Missing one of these types: signup, email_change, sms, phone_change")
	errResendEmail  = fault.New(fault.ValidationFailed, "Type provided requires an email address")
	errResendNumber = fault.New(fault.ValidationFailed, "Type provided requires a phone number")
	errResendBoth   = fault.New(fault.ValidationFailed, "Only an email address or phone number should be provided.")
	errResendNone   = fault.New(fault.ValidationFailed, "Missing email address or phone number")
)

func (d *Dialect) resend() endpoint.Func {
	parse := func(r *http.Request) (anyAsk, error) {
		b, q, err := d.ask(r)
		if err == nil {
			err = checkResend(b)
		}
		return anyAsk{mail: q, text: textAsk(b, q), kind: b.Type}, err
	}
	act := func(ctx context.Context, q anyAsk) (receipt string, err error) {
		switch q.kind {
		case proof.TypeSMS:
			return d.Proof.ResendText(ctx, q.text)
		case proof.TypePhoneChange:
			return d.Proof.ResendPhoneChange(ctx, q.text)
		case proof.TypeEmailChange:
			return "", d.Proof.ResendChange(ctx, q.mail)
		default:
			return "", d.Proof.ResendSignUp(ctx, q.mail)
		}
	}
	return endpoint.Of(parse, act, writeReceipt)
}

func checkResend(b askBody) error {
	phone := b.Type == proof.TypeSMS || b.Type == proof.TypePhoneChange
	switch {
	case !phone && b.Type != proof.TypeSignUp && b.Type != proof.TypeEmailChange:
		return errResendType
	case b.Type == proof.TypeSignUp && b.Email == "":
		return errResendEmail
	case b.Type == proof.TypeSMS && b.Phone == "":
		return errResendNumber
	case b.Email != "" && b.Phone != "":
		return errResendBoth
	case b.Email == "" && b.Phone == "":
		return errResendNone
	case phone && b.Phone == "":
		return errResendNumber
	case !phone && b.Email == "":
		return errResendEmail
	}
	return nil
}
