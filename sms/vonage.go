package sms

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode"

	"github.com/truekeel/auth/internal/outbound"
)

// Vonage sends by Vonage's SMS API, formerly Nexmo's. It must not be changed or copied
// once it is in use.
type Vonage struct {
	// APIKey and APISecret are the account's credentials. Required.
	APIKey    string
	APISecret string
	// From is the number or the name that messages come from. Required.
	From string

	// BaseURL is where the service lies. Default https://rest.nexmo.com.
	BaseURL string
	// Client makes the requests. Default: that of auth.WithHTTPClient, else one that
	// reaches public addresses only, unless BaseURL is set. Size and redirects are
	// bounded in any case.
	Client *http.Client
	// Timeout bounds a request. Default 10 s.
	Timeout time.Duration

	line outbound.Service
}

const vonageURL = "https://rest.nexmo.com"

func (v *Vonage) account() outbound.Account {
	return outbound.At(vonageURL, v.BaseURL, v.Client, v.Timeout)
}

// Name is "vonage".
func (v *Vonage) Name() string { return "vonage" }

// Validate reports the first setting that is wrong; the error names the field and the
// remedy.
func (v *Vonage) Validate() error {
	if v == nil {
		return errNil("Vonage")
	}
	if err := required("Vonage", setting{"APIKey", v.APIKey}, setting{"APISecret", v.APISecret}, setting{"From", v.From}); err != nil {
		return err
	}
	return reachable("Vonage", v.account())
}

// WithClient gives a copy that uses client, or v itself if it has a Client of its own.
func (v *Vonage) WithClient(client *http.Client) Sender {
	if v.Client != nil {
		return v
	}
	return &Vonage{
		APIKey: v.APIKey, APISecret: v.APISecret, From: v.From,
		BaseURL: v.BaseURL, Client: client, Timeout: v.Timeout,
	}
}

// CloseIdleConnections closes the connections that no message uses.
func (v *Vonage) CloseIdleConnections() { v.line.CloseIdleConnections() }

// Send hands a message to Vonage.
func (v *Vonage) Send(ctx context.Context, m Message) (string, error) {
	if err := v.Validate(); err != nil {
		return "", err
	}
	if m.Channel != Text && m.Channel != "" {
		return "", errChannel(v.Name(), m.Channel)
	}
	form := url.Values{"from": {v.From}, "to": {m.To}, "text": {m.Body}, "api_key": {v.APIKey}, "api_secret": {v.APISecret}}
	if strings.ContainsFunc(m.Body, func(r rune) bool { return r > unicode.MaxASCII }) {
		form.Set("type", "unicode")
	}
	c := call{service: v.Name(), path: "/sms/json", form: form, secrets: secrets{v.APIKey, v.APISecret}.of(m)}
	answer, err := c.post(ctx, &v.line, v.account())
	if err != nil {
		return "", err
	}
	return c.vonage(answer)
}

func (c call) vonage(answer outbound.Answer) (string, error) {
	var a struct {
		Messages []struct {
			ID     string `json:"message-id"`
			Status word   `json:"status"`
			Error  string `json:"error-text"`
		} `json:"messages"`
	}
	if json.Unmarshal(answer.Body, &a) != nil || len(a.Messages) == 0 {
		return "", c.unusable(answer.Status)
	}
	first := a.Messages[0]
	switch {
	case first.Status == "":
		return "", c.unusable(answer.Status)
	case first.Status != "0":
		return "", c.refused(answer.Status, string(first.Status), first.Error, vonagePermanent(string(first.Status)))
	case answer.Status != http.StatusOK:
		return "", c.unusable(answer.Status)
	}
	return first.ID, nil
}

// vonagePermanent reports whether a status is about this message or its number.
func vonagePermanent(status string) bool {
	switch status {
	case "2", "3", "6", "7", "12", "22", "29", "33": // parameters, unroutable, barred, too long, network, not on a trial's list, gone
		return true
	}
	return false
}
