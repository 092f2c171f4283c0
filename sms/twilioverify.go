package sms

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"time"

	"github.com/truekeel/auth/internal/outbound"
)

// TwilioVerify lets Twilio Verify make codes, send them as text or by WhatsApp, and check
// them. It is a [Checker]. It must not be changed or copied once it is in use.
type TwilioVerify struct {
	// AccountSID and AuthToken are the account's credentials. Required.
	AccountSID string
	AuthToken  string
	// ServiceSID is the Verify service, "VA" and 32 digits. Required.
	ServiceSID string

	// BaseURL is where the service lies. Default https://verify.twilio.com.
	BaseURL string
	// Client makes the requests. Default: that of auth.WithHTTPClient, else one that
	// reaches public addresses only, unless BaseURL is set. Size and redirects are
	// bounded in any case.
	Client *http.Client
	// Timeout bounds a request. Default 10 s.
	Timeout time.Duration

	line outbound.Service
}

const twilioVerifyURL = "https://verify.twilio.com"

func (t *TwilioVerify) account() outbound.Account {
	return outbound.At(twilioVerifyURL, t.BaseURL, t.Client, t.Timeout)
}

// Name is "twilio_verify".
func (t *TwilioVerify) Name() string { return "twilio_verify" }

// Supports reports whether c is Text or WhatsApp.
func (t *TwilioVerify) Supports(c Channel) bool { return c == Text || c == "" || c == WhatsApp }

// Validate reports the first setting that is wrong; the error names the field and the
// remedy.
func (t *TwilioVerify) Validate() error {
	if t == nil {
		return errNil("TwilioVerify")
	}
	if err := required("TwilioVerify", setting{"AccountSID", t.AccountSID}, setting{"AuthToken", t.AuthToken}, setting{"ServiceSID", t.ServiceSID}); err != nil {
		return err
	}
	return reachable("TwilioVerify", t.account())
}

// WithClient gives a copy that uses client, or t itself if it has a Client of its own.
func (t *TwilioVerify) WithClient(client *http.Client) Sender {
	if t.Client != nil {
		return t
	}
	return &TwilioVerify{
		AccountSID: t.AccountSID, AuthToken: t.AuthToken, ServiceSID: t.ServiceSID,
		BaseURL: t.BaseURL, Client: client, Timeout: t.Timeout,
	}
}

// CloseIdleConnections closes the connections that no message uses.
func (t *TwilioVerify) CloseIdleConnections() { t.line.CloseIdleConnections() }

func (t *TwilioVerify) call(what string, form url.Values, m Message) call {
	return call{
		service: t.Name(), path: "/v2/Services/" + url.PathEscape(t.ServiceSID) + "/" + what, form: form,
		sign:    func(r *http.Request) { r.SetBasicAuth(t.AccountSID, t.AuthToken) },
		secrets: secrets{t.AccountSID, t.AuthToken}.of(m),
	}
}

// Send has Twilio make a code and send it. The message's body and code aren't used.
func (t *TwilioVerify) Send(ctx context.Context, m Message) (string, error) {
	if err := t.Validate(); err != nil {
		return "", err
	}
	if !t.Supports(m.Channel) {
		return "", errChannel(t.Name(), m.Channel)
	}
	channel := Text
	if m.Channel == WhatsApp {
		channel = WhatsApp
	}
	c := t.call("Verifications", url.Values{"To": {"+" + m.To}, "Channel": {string(channel)}}, m)
	answer, err := c.post(ctx, &t.line, t.account())
	if err != nil {
		return "", err
	}
	return c.twilioMessage(answer)
}

// Check asks Twilio whether code is the one that it sent to a number. A code that has
// expired, was used or was guessed at too often is a wrong one.
func (t *TwilioVerify) Check(ctx context.Context, to, code string) (bool, error) {
	if err := t.Validate(); err != nil {
		return false, err
	}
	if !allDigits(code) || len(code) > longestCode {
		return false, nil
	}
	c := t.call("VerificationCheck", url.Values{"To": {"+" + to}, "Code": {code}}, Message{To: to, Code: code})
	answer, err := c.post(ctx, &t.line, t.account())
	if err != nil {
		return false, err
	}
	return c.twilioCheck(answer)
}

// longestCode is the number of digits of Twilio's longest codes.
const longestCode = 10

func (c call) twilioCheck(answer outbound.Answer) (bool, error) {
	var yes struct {
		Status string `json:"status"`
		Valid  bool   `json:"valid"`
	}
	err := c.twilioAnswer(answer, &yes)
	switch {
	case err != nil && isWrongCode(answer.Body):
		return false, nil
	case err != nil:
		return false, err
	case yes.Status == "":
		return false, c.unusable(answer.Status)
	}
	return yes.Status == "approved" && yes.Valid, nil
}

// isWrongCode reports whether a refusal is about the code that was checked. It reads the
// answer itself: in an [Error] the service's code is gone if the other begins with it.
func isWrongCode(body []byte) bool {
	var no twilioRefusal
	if json.Unmarshal(body, &no) != nil {
		return false
	}
	switch no.Code {
	case "20404", "60200", "60202": // no code is waiting; it can't be one; too many guesses
		return no.Message != ""
	}
	return false
}
