package hookcall

import (
	"bytes"
	"encoding/json"
	"mime"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/truekeel/auth/fault"
	"github.com/truekeel/auth/internal/webhook"
)

// What is wrong with an answer. The clients of GoTrue know these texts.
var (
	errTooLarge = fault.New(fault.HookPayloadOverSizeLimit, "Payload size exceeded size limit of %d bytes", MaxAnswer)
	errPayload  = fault.New(fault.UnexpectedFailure, "Invalid payload sent to hook")
	errSecret   = fault.New(fault.UnexpectedFailure, "Hook requires authorization token")
	errBusy     = fault.New(fault.UnexpectedFailure, "Service currently unavailable due to hook")
	errNoJSON   = fault.New(fault.UnexpectedFailure, "The hook's answer is not a JSON object")
	errRefusal  = fault.New(fault.UnexpectedFailure, "The hook's answer has an error that can't be read")
	errShape    = fault.New(fault.UnexpectedFailure, "The hook's answer doesn't have the form that it should have")
)

// judge reads an answer's status. again says that the hook asks to be called once more.
func judge(a webhook.Answer) (body []byte, again bool, err error) {
	switch a.Status {
	case http.StatusNoContent:
		return nil, false, nil
	case http.StatusOK, http.StatusAccepted:
		given := a.Header.Get("Content-Type")
		media, _, _ := mime.ParseMediaType(given)
		if media != "application/json" {
			return nil, false, fault.New(fault.HookPayloadInvalidContentType, "Invalid JSON response. Received content-type: %s", printable(given, 100))
		}
		if a.More {
			return nil, false, errTooLarge
		}
		return a.Body, false, nil
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		return nil, a.Header.Get("Retry-After") != "", errBusy
	case http.StatusBadRequest:
		return nil, false, errPayload
	case http.StatusUnauthorized:
		return nil, false, errSecret
	}
	return nil, false, fault.New(fault.UnexpectedFailure, "Unexpected status code returned from hook: %d", a.Status)
}

// refusal is how a hook refuses.
type refusal struct {
	Status  int    `json:"http_code"`
	Message string `json:"message"`
}

// meant reports whether the hook does refuse. Hooks may write the object always, with
// nothing in it, or with the status of a success, where they agree.
func (r *refusal) meant() bool {
	return r.Message != "" || r.Status != 0 && (r.Status < 200 || r.Status > 299)
}

// fault is what the client gets.
func (r *refusal) fault() *fault.Error {
	f := &fault.Error{Code: fault.Unknown, Status: r.Status, Message: printable(r.Message, maxMessage)}
	if f.Status < http.StatusBadRequest || f.Status > 599 {
		f.Status = http.StatusInternalServerError
	}
	if f.Message == "" {
		f.Message = "The request was refused by a hook"
	}
	return f
}

// maxMessage bounds the text of a refusal, in bytes.
const maxMessage = 1000

// read turns the body of an answer into out, or into the refusal that it is. No body is
// an object without members.
func read(body []byte, out any) error {
	if body = bytes.TrimSpace(body); len(body) == 0 || string(body) == "null" {
		body = []byte("{}")
	}
	if body[0] != '{' || !utf8.Valid(body) || !json.Valid(body) {
		return errNoJSON
	}
	var e struct {
		Error *refusal `json:"error"`
	}
	if err := json.Unmarshal(body, &e); err != nil {
		return errRefusal // a hook that refuses in its own words refuses all the same
	}
	if e.Error != nil && e.Error.meant() {
		return e.Error.fault()
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(body, out); err != nil {
		return errShape
	}
	return nil
}

// printable is text that the client may see: no control characters but line ends, at most
// max bytes.
func printable(s string, most int) string {
	s = strings.ToValidUTF8(s[:min(len(s), most)], "")
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\n' || r == 0x7f {
			return -1
		}
		return r
	}, s)
}
