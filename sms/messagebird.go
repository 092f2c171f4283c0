package sms

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"time"

	"github.com/truekeel/auth/internal/outbound"
)

// MessageBird sends by MessageBird's SMS API. It must not be changed or copied once it is
// in use.
type MessageBird struct {
	// AccessKey is the account's key. Required.
	AccessKey string
	// Originator is the number or the name that messages come from. Required.
	Originator string

	// BaseURL is where the service lies. Default https://rest.messagebird.com.
	BaseURL string
	// Client makes the requests. Default: that of auth.WithHTTPClient, else one that
	// reaches public addresses only, unless BaseURL is set. Size and redirects are
	// bounded in any case.
	Client *http.Client
	// Timeout bounds a request. Default 10 s.
	Timeout time.Duration

	line outbound.Service
}

const messageBirdURL = "https://rest.messagebird.com"

func (b *MessageBird) account() outbound.Account {
	return outbound.At(messageBirdURL, b.BaseURL, b.Client, b.Timeout)
}

// Name is "messagebird".
func (b *MessageBird) Name() string { return "messagebird" }

// Validate reports the first setting that is wrong; the error names the field and the
// remedy.
func (b *MessageBird) Validate() error {
	if b == nil {
		return errNil("MessageBird")
	}
	if err := required("MessageBird", setting{"AccessKey", b.AccessKey}, setting{"Originator", b.Originator}); err != nil {
		return err
	}
	return reachable("MessageBird", b.account())
}

// WithClient gives a copy that uses client, or b itself if it has a Client of its own.
func (b *MessageBird) WithClient(client *http.Client) Sender {
	if b.Client != nil {
		return b
	}
	return &MessageBird{
		AccessKey: b.AccessKey, Originator: b.Originator,
		BaseURL: b.BaseURL, Client: client, Timeout: b.Timeout,
	}
}

// CloseIdleConnections closes the connections that no message uses.
func (b *MessageBird) CloseIdleConnections() { b.line.CloseIdleConnections() }

// Send hands a message to MessageBird.
func (b *MessageBird) Send(ctx context.Context, m Message) (string, error) {
	if err := b.Validate(); err != nil {
		return "", err
	}
	if m.Channel != Text && m.Channel != "" {
		return "", errChannel(b.Name(), m.Channel)
	}
	c := call{
		service: b.Name(), path: "/messages",
		form: url.Values{
			"originator": {b.Originator}, "body": {m.Body}, "recipients": {m.To}, "type": {"sms"}, "datacoding": {"unicode"},
		},
		sign:    func(r *http.Request) { r.Header.Set("Authorization", "AccessKey "+b.AccessKey) },
		secrets: secrets{b.AccessKey}.of(m),
	}
	answer, err := c.post(ctx, &b.line, b.account())
	if err != nil {
		return "", err
	}
	return c.messageBird(answer)
}

func (c call) messageBird(answer outbound.Answer) (string, error) {
	var a struct {
		ID         string `json:"id"`
		Recipients struct {
			Sent int `json:"totalSentCount"`
		} `json:"recipients"`
		Errors []struct {
			Code        word   `json:"code"`
			Description string `json:"description"`
		} `json:"errors"`
	}
	switch err := json.Unmarshal(answer.Body, &a); {
	case err != nil:
		return "", c.unusable(answer.Status)
	case len(a.Errors) > 0:
		first := a.Errors[0]
		permanent := first.Code == "9" || first.Code == "10" // parameters missing or wrong: the number is one
		return "", c.refused(answer.Status, string(first.Code), first.Description, permanent)
	case answer.Status != http.StatusOK && answer.Status != http.StatusCreated:
		return "", c.unusable(answer.Status)
	case a.ID == "":
		return "", c.unusable(answer.Status)
	case a.Recipients.Sent <= 0:
		return "", c.refused(answer.Status, "", "the message was sent to nobody", true)
	}
	return a.ID, nil
}
