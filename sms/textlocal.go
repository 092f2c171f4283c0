package sms

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"time"

	"github.com/truekeel/auth/internal/outbound"
)

// TextLocal sends by Textlocal. It must not be changed or copied once it is in use.
type TextLocal struct {
	// APIKey is the account's key. Required.
	APIKey string
	// Sender is the name that messages come from, as it is registered. Required.
	Sender string

	// BaseURL is where the service lies. Default https://api.textlocal.in.
	BaseURL string
	// Client makes the requests. Default: that of auth.WithHTTPClient, else one that
	// reaches public addresses only, unless BaseURL is set. Size and redirects are
	// bounded in any case.
	Client *http.Client
	// Timeout bounds a request. Default 10 s.
	Timeout time.Duration

	line outbound.Service
}

const textLocalURL = "https://api.textlocal.in"

func (l *TextLocal) account() outbound.Account {
	return outbound.At(textLocalURL, l.BaseURL, l.Client, l.Timeout)
}

// Name is "textlocal".
func (l *TextLocal) Name() string { return "textlocal" }

// Validate reports the first setting that is wrong; the error names the field and the
// remedy.
func (l *TextLocal) Validate() error {
	if l == nil {
		return errNil("TextLocal")
	}
	if err := required("TextLocal", setting{"APIKey", l.APIKey}, setting{"Sender", l.Sender}); err != nil {
		return err
	}
	return reachable("TextLocal", l.account())
}

// WithClient gives a copy that uses client, or l itself if it has a Client of its own.
func (l *TextLocal) WithClient(client *http.Client) Sender {
	if l.Client != nil {
		return l
	}
	return &TextLocal{
		APIKey: l.APIKey, Sender: l.Sender,
		BaseURL: l.BaseURL, Client: client, Timeout: l.Timeout,
	}
}

// CloseIdleConnections closes the connections that no message uses.
func (l *TextLocal) CloseIdleConnections() { l.line.CloseIdleConnections() }

// Send hands a message to Textlocal.
func (l *TextLocal) Send(ctx context.Context, m Message) (string, error) {
	if err := l.Validate(); err != nil {
		return "", err
	}
	if m.Channel != Text && m.Channel != "" {
		return "", errChannel(l.Name(), m.Channel)
	}
	c := call{
		service: l.Name(), path: "/send",
		form:    url.Values{"sender": {l.Sender}, "apikey": {l.APIKey}, "message": {m.Body}, "numbers": {m.To}},
		secrets: secrets{l.APIKey}.of(m),
	}
	answer, err := c.post(ctx, &l.line, l.account())
	if err != nil {
		return "", err
	}
	return c.textLocal(answer)
}

func (c call) textLocal(answer outbound.Answer) (string, error) {
	var a struct {
		Status   string `json:"status"`
		Messages []struct {
			ID word `json:"id"`
		} `json:"messages"`
		Errors []struct {
			Code    word   `json:"code"`
			Message string `json:"message"`
		} `json:"errors"`
	}
	switch err := json.Unmarshal(answer.Body, &a); {
	case err != nil:
		return "", c.unusable(answer.Status)
	case len(a.Errors) > 0:
		first := a.Errors[0]
		said := first.Message
		if said != "" && first.Code != "" {
			said += " (code: " + string(first.Code) + ")"
		}
		return "", c.refused(answer.Status, string(first.Code), said, textLocalPermanent(string(first.Code)))
	case answer.Status != http.StatusOK || a.Status != "success":
		return "", c.unusable(answer.Status)
	case len(a.Messages) == 0:
		return "", nil // it was taken, under no name
	}
	return string(a.Messages[0].ID), nil
}

// textLocalPermanent reports whether a code is about this message or its number.
func textLocalPermanent(code string) bool {
	switch code {
	case "4", "5", "6", "32", "51", "80": // no recipient, no text, too long, bad number, no valid number, no template like it
		return true
	}
	return false
}
