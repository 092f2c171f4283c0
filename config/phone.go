package config

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/truekeel/auth"
	texts "github.com/truekeel/auth/internal/text"
	"github.com/truekeel/auth/sms"
)

// Phone says whether people sign in by the number of their phone, and what sends the
// codes.
type Phone struct {
	Enabled      bool
	AutoConfirm  bool
	MaxFrequency time.Duration
	CodeLife     time.Duration
	CodeLength   int
	Template     string
	Provider     string // the name of the service; "" for none
	Test         map[string]string
	TestUntil    time.Time
	Guard        sms.Guard

	// What the services gave; see package sms.
	Twilio       struct{ AccountSID, AuthToken, From, ContentSID string }
	TwilioVerify struct{ AccountSID, AuthToken, ServiceSID string }
	MessageBird  struct{ AccessKey, Originator string }
	TextLocal    struct{ APIKey, Sender string }
	Vonage       struct{ APIKey, APISecret, From string }
}

// The names of the services.
const (
	twilio       = "twilio"
	twilioVerify = "twilio_verify"
	messageBird  = "messagebird"
	textLocal    = "textlocal"
	vonage       = "vonage"
)

const phoneIntro = "How people sign in by phone, and what keeps others from sending messages at your cost: [phones.md](phones.md).\n"

func phoneKeys() []entry {
	return []entry{
		{
			name: "EXTERNAL_PHONE_ENABLED", def: "false", example: "true", is: boolean(func(c *Config) *bool { return &c.Phone.Enabled }),
			doc:  "People sign up and sign in by the number of their phone.",
			with: phoneOptions,
		},
		{
			name: "SMS_AUTOCONFIRM", def: "false", example: "true", is: boolean(func(c *Config) *bool { return &c.Phone.AutoConfirm }),
			doc:  "Take the numbers of new accounts, and new numbers of others, as proved, without a message: anybody can then take another's number.",
			with: func(c *Config) []auth.Option { return options(auth.WithSMSAutoConfirm(c.Phone.AutoConfirm)) },
		},
		{
			name: "SMS_MAX_FREQUENCY", def: "1m", example: "30s", is: duration(0, func(c *Config) *time.Duration { return &c.Phone.MaxFrequency }),
			doc:  "How long a number waits between two messages of one kind.",
			with: func(c *Config) []auth.Option { return options(auth.WithSMSFrequency(c.Phone.MaxFrequency)) },
		},
		{
			name: "SMS_OTP_EXP", def: "60", example: "300", is: duration(time.Second, func(c *Config) *time.Duration { return &c.Phone.CodeLife }),
			doc: "How long a code in a message is good. Twilio Verify's codes have a life of their own.",
			with: func(c *Config) []auth.Option {
				return options(auth.WithSMSCodes(auth.SMSCodes{Length: c.Phone.CodeLength, Life: c.Phone.CodeLife}))
			},
		},
		{
			name: "SMS_OTP_LENGTH", def: "6", example: "8", is: number(0, 1000, func(c *Config) *int { return &c.Phone.CodeLength }),
			doc: "The digits of a code in a message, 6 to 10; anything else is taken as 6.",
		},
		{
			name: "SMS_TEMPLATE", def: texts.DefaultTemplate, example: "{{ .Code }} is your Acme code", is: parsed("template", parseTextTemplate, func(c *Config) *string { return &c.Phone.Template }),
			doc:  "The text of messages, with the code as `{{ .Code }}`.",
			with: func(c *Config) []auth.Option { return options(auth.WithSMSTemplate(c.Phone.Template)) },
		},
		{
			name: "SMS_TEST_OTP", example: "15005550100:123456", is: parsed("map", parseTestNumbers, func(c *Config) *map[string]string { return &c.Phone.Test }),
			doc: "Numbers with the codes that they always get, for tests and for those who review an app. Nothing is sent to them; whoever knows the code has the account.",
			with: func(c *Config) []auth.Option {
				return when(len(c.Phone.Test) > 0, func() auth.Option { return auth.WithTestNumbers(c.Phone.Test, c.Phone.TestUntil) })
			},
		},
		{
			name: "SMS_TEST_OTP_VALID_UNTIL", example: "2030-01-01T00:00:00Z", is: parsed("time", parseTime, func(c *Config) *time.Time { return &c.Phone.TestUntil }),
			doc: "When the numbers of SMS_TEST_OTP become ordinary ones. Default: never.",
		},
		{
			name: "SMS_ALLOWED_COUNTRIES", own: true, example: "DE,AT,41", is: list(func(c *Config) *[]string { return &c.Phone.Guard.Countries }),
			doc:  "The countries whose numbers get messages: ISO codes or calling codes. It is the best protection against those who have messages sent at your cost. Default: all.",
			with: func(c *Config) []auth.Option { return options(auth.WithSMSGuard(c.Phone.Guard)) },
		},
		{
			name: "SMS_DENIED_RANGES", own: true, example: "4917,1900", is: list(func(c *Config) *[]string { return &c.Phone.Guard.Denied }),
			doc: "The first digits of further numbers that get no messages; an x is any digit.",
		},
		{
			name: "SMS_ALLOW_PREMIUM", own: true, def: "false", example: "true", is: boolean(func(c *Config) *bool { return &c.Phone.Guard.AllowPremium }),
			doc: "Send messages to premium-rate, personal, free-phone and satellite numbers too.",
		},
		{
			name: "SMS_LIMIT_NUMBER_HOUR", own: true, def: "5", is: number(-1, 1_000_000, func(c *Config) *int { return &c.Phone.Guard.Limits.NumberHour }),
			doc: "Messages to one number in an hour; -1 for no limit.",
		},
		{
			name: "SMS_LIMIT_NUMBER_DAY", own: true, def: "10", is: number(-1, 1_000_000, func(c *Config) *int { return &c.Phone.Guard.Limits.NumberDay }),
			doc: "Messages to one number in a day; -1 for no limit.",
		},
		{
			name: "SMS_LIMIT_RANGE_HOUR", own: true, def: "10", is: number(-1, 1_000_000, func(c *Config) *int { return &c.Phone.Guard.Limits.PrefixHour }),
			doc: "Messages in an hour to numbers that differ in their last four digits alone; -1 for no limit.",
		},
		{
			name: "SMS_PROVIDER", example: twilio, is: choice(func(c *Config) *string { return &c.Phone.Provider }, twilio, twilioVerify, messageBird, textLocal, vonage),
			doc: "The service that sends the messages. Without it a site on this machine shows them in the development inbox, and a public one can't send any.",
		},
		credential("SMS_TWILIO_ACCOUNT_SID", "AC0123456789abcdef", "Twilio's account", func(p *Phone) *string { return &p.Twilio.AccountSID }),
		secretOf("SMS_TWILIO_AUTH_TOKEN", "Twilio's token", func(p *Phone) *string { return &p.Twilio.AuthToken }),
		credential("SMS_TWILIO_MESSAGE_SERVICE_SID", "MG0123456789abcdef", "Twilio's messaging service, or the number that messages come from", func(p *Phone) *string { return &p.Twilio.From }),
		credential("SMS_TWILIO_CONTENT_SID", "HX0123456789abcdef", "The approved template of WhatsApp messages", func(p *Phone) *string { return &p.Twilio.ContentSID }),
		credential("SMS_TWILIO_VERIFY_ACCOUNT_SID", "AC0123456789abcdef", "Twilio's account, for Twilio Verify", func(p *Phone) *string { return &p.TwilioVerify.AccountSID }),
		secretOf("SMS_TWILIO_VERIFY_AUTH_TOKEN", "Twilio's token, for Twilio Verify", func(p *Phone) *string { return &p.TwilioVerify.AuthToken }),
		credential("SMS_TWILIO_VERIFY_MESSAGE_SERVICE_SID", "VA0123456789abcdef", "The service of Twilio Verify", func(p *Phone) *string { return &p.TwilioVerify.ServiceSID }),
		secretOf("SMS_MESSAGEBIRD_ACCESS_KEY", "MessageBird's key", func(p *Phone) *string { return &p.MessageBird.AccessKey }),
		credential("SMS_MESSAGEBIRD_ORIGINATOR", "Acme", "Whom MessageBird's messages come from", func(p *Phone) *string { return &p.MessageBird.Originator }),
		secretOf("SMS_TEXTLOCAL_API_KEY", "Textlocal's key", func(p *Phone) *string { return &p.TextLocal.APIKey }),
		credential("SMS_TEXTLOCAL_SENDER", "ACMEIN", "Whom Textlocal's messages come from", func(p *Phone) *string { return &p.TextLocal.Sender }),
		credential("SMS_VONAGE_API_KEY", "a1b2c3d4", "Vonage's key", func(p *Phone) *string { return &p.Vonage.APIKey }),
		secretOf("SMS_VONAGE_API_SECRET", "Vonage's secret", func(p *Phone) *string { return &p.Vonage.APISecret }),
		credential("SMS_VONAGE_FROM", "Acme", "Whom Vonage's messages come from", func(p *Phone) *string { return &p.Vonage.From }),
	}
}

// credential is what a service gave.
func credential(name, example, doc string, at func(*Phone) *string) entry {
	return entry{name: name, example: example, doc: doc + ".", is: word(func(c *Config) *string { return at(&c.Phone) })}
}

// secretOf is a credential that isn't shown.
func secretOf(name, doc string, at func(*Phone) *string) entry {
	e := credential(name, "$(cat sms.secret)", doc, at)
	e.secret = true
	return e
}

func parseTextTemplate(s string) (string, error) {
	_, err := texts.ParseTemplate(s, 10)
	return s, err
}

func parseTestNumbers(s string) (map[string]string, error) {
	codes, err := parsePairs(s, "number:code")
	if err != nil {
		return nil, err
	}
	_, err = texts.TestNumbers(codes)
	return codes, err
}

func parseTime(s string) (time.Time, error) {
	t, err := time.Parse(time.RFC3339, strings.TrimSpace(s))
	if err != nil {
		return t, fmt.Errorf("%s is no time as in RFC 3339", shown(s))
	}
	return t, nil
}

// sender is the service that was chosen; nil for none.
func (c *Config) sender() sms.Sender {
	p := &c.Phone
	switch p.Provider {
	case twilio:
		t := p.Twilio
		return &sms.Twilio{AccountSID: t.AccountSID, AuthToken: t.AuthToken, From: t.From, ContentSID: t.ContentSID}
	case twilioVerify:
		t := p.TwilioVerify
		return &sms.TwilioVerify{AccountSID: t.AccountSID, AuthToken: t.AuthToken, ServiceSID: t.ServiceSID}
	case messageBird:
		return &sms.MessageBird{AccessKey: p.MessageBird.AccessKey, Originator: p.MessageBird.Originator}
	case textLocal:
		return &sms.TextLocal{APIKey: p.TextLocal.APIKey, Sender: p.TextLocal.Sender}
	case vonage:
		return &sms.Vonage{APIKey: p.Vonage.APIKey, APISecret: p.Vonage.APISecret, From: p.Vonage.From}
	}
	return nil
}

// phoneOptions switch phones on.
func phoneOptions(c *Config) []auth.Option {
	if !c.Phone.Enabled {
		return nil
	}
	if s := c.sender(); s != nil && !c.Hooks.SendSMS.Enabled {
		return options(auth.WithSMS(s))
	}
	if c.dropsTexts() && !c.Phone.AutoConfirm {
		return options(auth.WithSMS(sms.Func(noProvider)))
	}
	return options(auth.WithPhoneSignIn(true))
}

// dropsTexts reports whether messages can't be sent: people reach the server from
// elsewhere, and neither a service is chosen nor a hook.
func (c *Config) dropsTexts() bool {
	return c.Phone.Provider == "" && !c.Hooks.SendSMS.Enabled && c.Public()
}

// noProvider refuses every message, so that a server without a service goes on for those
// who sign in by mail.
func noProvider(context.Context, sms.Message) (string, error) {
	return "", fmt.Errorf("%w: no service is chosen", sms.ErrPermanent)
}

// settlePhone warns of what can't work.
func (c *Config) settlePhone(warn func(key, text string, args ...any)) {
	if n := c.Phone.CodeLength; n < 6 || n > 10 {
		c.Phone.CodeLength = 6
		warn("SMS_OTP_LENGTH", "%d is not between 6 and 10 and taken as 6", n)
	}
	if c.Phone.Enabled && c.dropsTexts() && !c.Phone.AutoConfirm {
		warn("SMS_PROVIDER", "it isn't set, so no message can be sent and nobody can prove a number; set it and the service's own variables")
	}
	if len(c.Phone.Test) > 0 && c.Phone.TestUntil.IsZero() && c.Public() {
		warn("SMS_TEST_OTP", "the numbers have these codes for good: whoever knows one has the account; set SMS_TEST_OTP_VALID_UNTIL")
	}
}

func (c *Config) checkPhone(find finder) {
	p := &c.Phone
	if err := (sms.Guard{Countries: p.Guard.Countries}).Validate(); err != nil {
		find("SMS_ALLOWED_COUNTRIES", "DE,AT,41", "%s", trim(err, "sms: Guard.Countries: "))
	}
	if err := (sms.Guard{Denied: p.Guard.Denied}).Validate(); err != nil {
		find("SMS_DENIED_RANGES", "4917,1900", "%s", trim(err, "sms: Guard.Denied: "))
	}
	// One that is no service is found already; what the example needs isn't missing. Nor is
	// anything where a hook sends.
	if !p.Enabled || p.Provider == "" || !c.chose(p.Provider) || c.Hooks.SendSMS.Enabled {
		return
	}
	missing := false
	for _, k := range p.required() {
		if k.value == "" {
			missing = true
			find(k.name, "", "it is missing, and GOTRUE_SMS_PROVIDER is %s", p.Provider)
		}
	}
	if v, ok := c.sender().(interface{ Validate() error }); ok && !missing {
		if err := v.Validate(); err != nil {
			find("SMS_PROVIDER", "", "%s", trim(err, "sms: "))
		}
	}
}

// chose reports whether the service is the one that the variables name.
func (c *Config) chose(service string) bool {
	return strings.EqualFold(strings.TrimSpace(c.vars[prefix+"SMS_PROVIDER"]), service)
}

// named is a variable and what it holds.
type named struct{ name, value string }

// required are the variables that the chosen service can't do without.
func (p *Phone) required() []named {
	switch p.Provider {
	case twilio:
		return []named{
			{"SMS_TWILIO_ACCOUNT_SID", p.Twilio.AccountSID}, {"SMS_TWILIO_AUTH_TOKEN", p.Twilio.AuthToken},
			{"SMS_TWILIO_MESSAGE_SERVICE_SID", p.Twilio.From},
		}
	case twilioVerify:
		return []named{
			{"SMS_TWILIO_VERIFY_ACCOUNT_SID", p.TwilioVerify.AccountSID}, {"SMS_TWILIO_VERIFY_AUTH_TOKEN", p.TwilioVerify.AuthToken},
			{"SMS_TWILIO_VERIFY_MESSAGE_SERVICE_SID", p.TwilioVerify.ServiceSID},
		}
	case messageBird:
		return []named{{"SMS_MESSAGEBIRD_ACCESS_KEY", p.MessageBird.AccessKey}, {"SMS_MESSAGEBIRD_ORIGINATOR", p.MessageBird.Originator}}
	case textLocal:
		return []named{{"SMS_TEXTLOCAL_API_KEY", p.TextLocal.APIKey}, {"SMS_TEXTLOCAL_SENDER", p.TextLocal.Sender}}
	case vonage:
		return []named{
			{"SMS_VONAGE_API_KEY", p.Vonage.APIKey}, {"SMS_VONAGE_API_SECRET", p.Vonage.APISecret}, {"SMS_VONAGE_FROM", p.Vonage.From},
		}
	}
	return nil
}
