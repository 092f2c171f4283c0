package captcha

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/truekeel/auth/internal/outbound"
)

// HCaptcha asks hCaptcha. It must not be changed or copied once it is in use.
type HCaptcha struct {
	// Secret is the account's secret key. Required.
	Secret string

	// BaseURL is where the service lies. Default https://hcaptcha.com.
	BaseURL string
	// Client makes the requests. Default: that of auth.WithHTTPClient, else one that
	// reaches public addresses only, unless BaseURL is set. Size and redirects are
	// bounded in any case.
	Client *http.Client
	// Timeout bounds a request. Default 10 s.
	Timeout time.Duration

	line outbound.Service
}

func (h *HCaptcha) service() service {
	return service{"HCaptcha", "https://hcaptcha.com", "/siteverify", h.Secret, h.BaseURL, h.Client, h.Timeout, &h.line}
}

// Validate reports the first setting that is wrong; the error names the field and the
// remedy.
func (h *HCaptcha) Validate() error {
	if h == nil {
		return errors.New("captcha: the *HCaptcha is nil: pass a &captcha.HCaptcha{...}")
	}
	return h.service().validate()
}

// Verify asks hCaptcha.
func (h *HCaptcha) Verify(ctx context.Context, token, remoteIP string) error {
	return h.service().verify(ctx, token, remoteIP)
}

// WithClient gives a copy that uses client, or h itself if it has a Client of its own.
func (h *HCaptcha) WithClient(client *http.Client) Verifier {
	if h.Client != nil {
		return h
	}
	return &HCaptcha{Secret: h.Secret, BaseURL: h.BaseURL, Client: client, Timeout: h.Timeout}
}

// CloseIdleConnections closes the connections that no request uses.
func (h *HCaptcha) CloseIdleConnections() { h.line.CloseIdleConnections() }

// Turnstile asks Cloudflare's Turnstile. It must not be changed or copied once it is in
// use.
type Turnstile struct {
	// Secret is the widget's secret key. Required.
	Secret string

	// BaseURL is where the service lies. Default https://challenges.cloudflare.com.
	BaseURL string
	// Client makes the requests. Default: that of auth.WithHTTPClient, else one that
	// reaches public addresses only, unless BaseURL is set. Size and redirects are
	// bounded in any case.
	Client *http.Client
	// Timeout bounds a request. Default 10 s.
	Timeout time.Duration

	line outbound.Service
}

func (t *Turnstile) service() service {
	return service{"Turnstile", "https://challenges.cloudflare.com", "/turnstile/v0/siteverify", t.Secret, t.BaseURL, t.Client, t.Timeout, &t.line}
}

// Validate reports the first setting that is wrong; the error names the field and the
// remedy.
func (t *Turnstile) Validate() error {
	if t == nil {
		return errors.New("captcha: the *Turnstile is nil: pass a &captcha.Turnstile{...}")
	}
	return t.service().validate()
}

// Verify asks Turnstile.
func (t *Turnstile) Verify(ctx context.Context, token, remoteIP string) error {
	return t.service().verify(ctx, token, remoteIP)
}

// WithClient gives a copy that uses client, or t itself if it has a Client of its own.
func (t *Turnstile) WithClient(client *http.Client) Verifier {
	if t.Client != nil {
		return t
	}
	return &Turnstile{Secret: t.Secret, BaseURL: t.BaseURL, Client: client, Timeout: t.Timeout}
}

// CloseIdleConnections closes the connections that no request uses.
func (t *Turnstile) CloseIdleConnections() { t.line.CloseIdleConnections() }

// service is what the two have in common: all but their names.
type service struct {
	name    string
	base    string // unless own is set
	path    string
	secret  string
	own     string
	client  *http.Client
	timeout time.Duration
	line    *outbound.Service
}

func (s service) account() outbound.Account {
	return outbound.At(s.base, s.own, s.client, s.timeout)
}

func (s service) validate() error {
	if strings.TrimSpace(s.secret) == "" || strings.ContainsAny(s.secret, " \t\r\n") {
		return fmt.Errorf("captcha: %s.Secret is missing or has spaces in it: set it to the secret key that the service shows", s.name)
	}
	if err := s.account().Validate(); err != nil {
		return fmt.Errorf("captcha: %s.%w", s.name, err)
	}
	return nil
}

// maxToken is the length of the longest token that is asked about; those of the services
// have at most a few kilobytes.
const maxToken = 16 << 10

func (s service) verify(ctx context.Context, token, remoteIP string) error {
	if err := s.validate(); err != nil {
		return err
	}
	if token == "" {
		return &Refused{Codes: []string{"missing-input-response"}}
	}
	if len(token) > maxToken {
		return &Refused{Codes: []string{"invalid-input-response"}}
	}
	form := url.Values{"secret": {s.secret}, "response": {token}}
	if remoteIP != "" {
		form.Set("remoteip", remoteIP)
	}
	answer, err := s.line.Post(ctx, s.account(), s.path, form, nil)
	if err != nil {
		return fmt.Errorf("captcha: %s: %w", s.name, err)
	}
	codes, err := read(answer)
	switch {
	case err != nil:
		return fmt.Errorf("captcha: %s: %w", s.name, err)
	case codes == nil:
		return nil
	}
	return &Refused{Codes: shown(codes, s.secret, token)}
}

// read understands an answer: nil codes if the token is good, else the codes, of which
// there may be none. An error means that it is no answer.
func read(answer outbound.Answer) (codes []string, err error) {
	var a struct {
		Success *bool  `json:"success"`
		Codes   []code `json:"error-codes"`
	}
	switch err := json.Unmarshal(answer.Body, &a); {
	case answer.Status >= http.StatusInternalServerError:
		return nil, fmt.Errorf("the service answered with status %d", answer.Status)
	case err != nil || a.Success == nil:
		return nil, errors.New("the service's answer can't be read")
	case *a.Success && answer.Status == http.StatusOK:
		return nil, nil
	case *a.Success:
		return nil, fmt.Errorf("the service answered with status %d", answer.Status)
	}
	codes = []string{}
	for _, c := range a.Codes {
		codes = append(codes, string(c))
	}
	return codes, nil
}

// code is an error code; what isn't a text is none.
type code string

// UnmarshalJSON reads a text and skips anything else.
func (c *code) UnmarshalJSON(b []byte) error {
	var s string
	if json.Unmarshal(b, &s) == nil {
		*c = code(s)
	}
	return nil
}

// The bounds of what a client is shown of a service's codes.
const (
	maxCodes      = 5
	maxCodeLength = 64
	telling       = 8 // so much of a secret may not be shown
)

// shown are the codes that look like codes, and hold neither the secret nor the token.
func shown(codes []string, secrets ...string) []string {
	var out []string
	for _, c := range codes {
		if c == "" || len(c) > maxCodeLength || len(out) == maxCodes || strings.Trim(strings.ToLower(c), "abcdefghijklmnopqrstuvwxyz0123456789-_.") != "" {
			continue
		}
		if !slices.ContainsFunc(secrets, func(s string) bool { return strings.Contains(c, s) || len(c) >= telling && strings.Contains(s, c) }) {
			out = append(out, c)
		}
	}
	return out
}
