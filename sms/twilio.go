package sms

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/truekeel/auth/internal/outbound"
)

// Twilio sends by Twilio's Programmable Messaging, as text or by WhatsApp. It must not be
// changed or copied once it is in use.
type Twilio struct {
	// AccountSID and AuthToken are the account's credentials. Required.
	AccountSID string
	AuthToken  string
	// From is the SID of a messaging service, or the number or name that messages come
	// from. Required.
	From string
	// ContentSID is the approved template of WhatsApp messages, whose first variable is
	// the code. "" sends the message's text, which WhatsApp delivers only to people who
	// wrote first.
	ContentSID string

	// BaseURL is where the service lies. Default https://api.twilio.com.
	BaseURL string
	// Client makes the requests. Default: that of auth.WithHTTPClient, else one that
	// reaches public addresses only, unless BaseURL is set. Size and redirects are
	// bounded in any case.
	Client *http.Client
	// Timeout bounds a request. Default 10 s.
	Timeout time.Duration

	line outbound.Service
}

const twilioURL = "https://api.twilio.com"

func (t *Twilio) account() outbound.Account {
	return outbound.At(twilioURL, t.BaseURL, t.Client, t.Timeout)
}

// Name is "twilio".
func (t *Twilio) Name() string { return "twilio" }

// Supports reports whether c is Text or WhatsApp.
func (t *Twilio) Supports(c Channel) bool { return c == Text || c == "" || c == WhatsApp }

// Validate reports the first setting that is wrong; the error names the field and the
// remedy.
func (t *Twilio) Validate() error {
	if t == nil {
		return errNil("Twilio")
	}
	if err := required("Twilio", setting{"AccountSID", t.AccountSID}, setting{"AuthToken", t.AuthToken}, setting{"From", t.From}); err != nil {
		return err
	}
	if err := usable("Twilio", setting{"ContentSID", t.ContentSID}); err != nil {
		return err
	}
	return reachable("Twilio", t.account())
}

// WithClient gives a copy that uses client, or t itself if it has a Client of its own.
func (t *Twilio) WithClient(client *http.Client) Sender {
	if t.Client != nil {
		return t
	}
	return &Twilio{
		AccountSID: t.AccountSID, AuthToken: t.AuthToken, From: t.From, ContentSID: t.ContentSID,
		BaseURL: t.BaseURL, Client: client, Timeout: t.Timeout,
	}
}

// CloseIdleConnections closes the connections that no message uses.
func (t *Twilio) CloseIdleConnections() { t.line.CloseIdleConnections() }

// Send hands a message to Twilio.
func (t *Twilio) Send(ctx context.Context, m Message) (string, error) {
	if err := t.Validate(); err != nil {
		return "", err
	}
	if !t.Supports(m.Channel) {
		return "", errChannel(t.Name(), m.Channel)
	}
	c := call{
		service: t.Name(), path: "/2010-04-01/Accounts/" + url.PathEscape(t.AccountSID) + "/Messages.json", form: t.form(m),
		sign:    func(r *http.Request) { r.SetBasicAuth(t.AccountSID, t.AuthToken) },
		secrets: secrets{t.AccountSID, t.AuthToken}.of(m),
	}
	answer, err := c.post(ctx, &t.line, t.account())
	if err != nil {
		return "", err
	}
	return c.twilioMessage(answer)
}

func (t *Twilio) form(m Message) url.Values {
	form := url.Values{"To": {"+" + m.To}, "Channel": {string(Text)}, "From": {t.From}, "Body": {m.Body}}
	if m.Channel != WhatsApp {
		return form
	}
	form.Set("Channel", string(WhatsApp))
	form.Set("To", "whatsapp:+"+m.To)
	if isNumber(t.From) {
		form.Set("From", "whatsapp:"+t.From)
	}
	if t.ContentSID != "" {
		form.Del("Body")
		form.Set("ContentSid", t.ContentSID)
		code, _ := json.Marshal(m.Code) // a string always can be written
		form.Set("ContentVariables", fmt.Sprintf(`{"1": %s}`, code))
	}
	return form
}

// isNumber reports whether a sender is a phone number, with or without its plus sign.
func isNumber(from string) bool {
	from = strings.TrimPrefix(from, "+")
	return len(from) >= shortestCode && len(from) <= 15 && allDigits(from)
}

// twilioRefusal is the answer of both of Twilio's services to a request that fails.
type twilioRefusal struct {
	Code     word   `json:"code"`
	Message  string `json:"message"`
	MoreInfo string `json:"more_info"`
}

// twilioAnswer reads the answer to a request that succeeded into v; of one that failed it
// makes an error.
func (c call) twilioAnswer(answer outbound.Answer, v any) error {
	if answer.Status == http.StatusOK || answer.Status == http.StatusCreated {
		if json.Unmarshal(answer.Body, v) != nil {
			return c.unusable(answer.Status)
		}
		return nil
	}
	var no twilioRefusal
	if json.Unmarshal(answer.Body, &no) != nil || no.Message == "" {
		return c.unusable(answer.Status)
	}
	said := no.Message
	if no.MoreInfo != "" {
		said += " More information: " + no.MoreInfo
	}
	return c.refused(answer.Status, string(no.Code), said, twilioPermanent(answer.Status, string(no.Code)))
}

// twilioPermanent reports whether a refusal is about this message or its number. What is
// about the account or its traffic, its operator can mend.
func twilioPermanent(status int, code string) bool {
	switch code {
	case "20003", "20429", "21606", "21611", "63038": // credentials, too many requests, sender, full queue, daily limit
		return false
	case "21408", "21610", "60410": // region not enabled, recipient unsubscribed, prefix blocked for fraud
		return true
	}
	return status == http.StatusBadRequest
}

func (c call) twilioMessage(answer outbound.Answer) (string, error) {
	var yes struct {
		SID          string `json:"sid"`
		Status       string `json:"status"`
		ErrorCode    word   `json:"error_code"`
		ErrorMessage string `json:"error_message"`
	}
	if err := c.twilioAnswer(answer, &yes); err != nil {
		return "", err
	}
	switch {
	case yes.Status == "failed" || yes.Status == "undelivered":
		said := fmt.Sprintf("twilio error: %s %s for message %s", yes.ErrorMessage, yes.ErrorCode, yes.SID)
		return "", c.refused(answer.Status, string(yes.ErrorCode), said, true)
	case yes.SID == "":
		return "", c.unusable(answer.Status)
	}
	return yes.SID, nil
}
