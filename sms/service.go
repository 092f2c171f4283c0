package sms

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"github.com/truekeel/auth/internal/outbound"
)

// call is one request to a service.
type call struct {
	service string // its name
	path    string
	form    url.Values
	sign    func(*http.Request)
	secrets secrets
}

// post makes the call.
func (c call) post(ctx context.Context, line *outbound.Service, a outbound.Account) (outbound.Answer, error) {
	answer, err := line.Post(ctx, a, c.path, c.form, c.sign)
	if err != nil {
		return answer, fmt.Errorf("sms: %s: %w", c.service, err)
	}
	return answer, nil
}

// refused is a service's refusal, with its words scrubbed.
func (c call) refused(status int, code, said string, permanent bool) error {
	return &Error{Service: c.service, Status: status, Code: c.secrets.scrub(code), Message: c.secrets.scrub(said), permanent: permanent}
}

// unusable is an answer that can't be read, or says nothing.
func (c call) unusable(status int) error { return &Error{Service: c.service, Status: status} }

// errNil is a service that isn't there.
func errNil(service string) error {
	return fmt.Errorf("sms: the *%s is nil: pass a &sms.%s{...}", service, service)
}

// setting is a field of a service.
type setting struct{ field, value string }

// required reports the first of some settings that is missing or can't be right.
func required(service string, settings ...setting) error {
	for _, s := range settings {
		if err := usable(service, s); err != nil {
			return err
		}
		if s.value == "" {
			return fmt.Errorf("sms: %s.%s is missing: set it to what the service gave you", service, s.field)
		}
	}
	return nil
}

// usable refuses a value with white space around it or control characters in it.
func usable(service string, s setting) error {
	if oneLine(s.value) != s.value {
		return fmt.Errorf("sms: %s.%s has spaces or control characters that can't be part of it: copy it again", service, s.field)
	}
	return nil
}

// reachable reports what is wrong about where a service lies.
func reachable(service string, a outbound.Account) error {
	if err := a.Validate(); err != nil {
		return fmt.Errorf("sms: %s.%w", service, err)
	}
	return nil
}

// word is a text that services write as text or as a number.
type word string

// UnmarshalJSON reads a text, a number or null.
func (w *word) UnmarshalJSON(b []byte) error {
	switch {
	case string(b) == "null":
		*w = ""
		return nil
	case len(b) > 0 && b[0] == '"':
		return json.Unmarshal(b, (*string)(w))
	}
	if _, err := strconv.ParseFloat(string(b), 64); err != nil {
		return errors.New("neither text nor number")
	}
	*w = word(b)
	return nil
}
