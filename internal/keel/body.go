package keel

import (
	"bytes"
	"encoding/json"
	"errors"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/truekeel/auth/fault"
	"github.com/truekeel/auth/internal/endpoint"
	"github.com/truekeel/auth/internal/human"
)

const (
	formType = "application/x-www-form-urlencoded"
	jsonType = "application/json"
)

// mediaTypes gives the media types of a request's body without their parameters. A
// header may list several.
func mediaTypes(h http.Header) (types []string) {
	for _, line := range h.Values("Content-Type") {
		for one := range strings.SplitSeq(line, ",") {
			kind, _, err := mime.ParseMediaType(one)
			if err != nil && !errors.Is(err, mime.ErrInvalidMediaParameter) {
				kind = ""
			}
			types = append(types, kind)
		}
	}
	return types
}

func has(types []string, kind string) bool {
	for _, t := range types {
		if t == kind {
			return true
		}
	}
	return false
}

// IsForm reports whether a request's body is a form.
func IsForm(h http.Header) bool { return has(mediaTypes(h), formType) }

// fields are the members of a body, whichever form it came in: a JSON value each.
type fields map[string]json.RawMessage

// parse reads the fields of a request. withQuery adds those of the URL's query to a
// form's; the body's win.
func parse(r *http.Request, withQuery bool) (fields, error) {
	types := mediaTypes(r.Header)
	form := has(types, formType)
	if !form && !has(types, jsonType) {
		return nil, errContentType
	}
	body, err := endpoint.Body(r)
	var f *fault.Error
	if errors.As(err, &f) && f.Code == fault.RequestEntityTooLarge {
		return nil, refusal{http.StatusRequestEntityTooLarge, invalidRequest, f.Message}
	}
	if errors.As(err, &f) && f.Code == fault.RequestTimeout {
		return nil, err
	}
	if err != nil {
		return nil, errMalformed
	}
	if !form {
		return parseJSON(body)
	}
	query := ""
	if withQuery {
		query = r.URL.RawQuery
	}
	return parseForm(string(body), query)
}

// parseForm reads forms; of repeated names the first counts. Text that no database
// keeps is malformed.
func parseForm(forms ...string) (fields, error) {
	out := fields{}
	for _, form := range forms {
		values, err := url.ParseQuery(form)
		if err != nil {
			return nil, errMalformed
		}
		for name, v := range values {
			if _, taken := out[name]; taken {
				continue
			}
			if !utf8.ValidString(v[0]) || strings.Contains(v[0], "\x00") {
				return nil, errMalformed
			}
			text, err := json.Marshal(v[0])
			if err != nil {
				return nil, errMalformed
			}
			out[name] = text
		}
	}
	return out, nil
}

// parseJSON reads an object; no body is an empty one.
func parseJSON(body []byte) (fields, error) {
	out := fields{}
	if len(body) == 0 {
		return out, nil
	}
	if err := endpoint.Unmarshal(body, &out); err != nil || !bytes.HasPrefix(bytes.TrimSpace(body), []byte("{")) {
		return nil, errMalformed
	}
	return out, nil
}

// text gives a field's text; "" if it isn't there or is none.
func (f fields) text(name string) string {
	var s string
	if json.Unmarshal(f[name], &s) != nil {
		return ""
	}
	return s
}

// captchaToken reads the token of a captcha, also where the other dialect has it.
func (f fields) captchaToken() string {
	if token := f.text("captcha_token"); token != "" {
		return token
	}
	return human.Token(f["gotrue_meta_security"])
}

// has reports whether a field is there, whatever its value.
func (f fields) has(name string) bool { _, ok := f[name]; return ok }

// create reads create_if_not_exists, which is true unless it says otherwise.
func (f fields) create() (bool, error) {
	raw, ok := f["create_if_not_exists"]
	if !ok {
		return true, nil
	}
	var b *bool
	if json.Unmarshal(raw, &b) == nil && b != nil {
		return *b, nil
	}
	var s *string
	if json.Unmarshal(raw, &s) != nil || s == nil {
		return false, errCreate
	}
	create, err := strconv.ParseBool(*s)
	if err != nil {
		return false, errCreate
	}
	return create, nil
}

// NamesGrant reports whether a JSON body names a grant by a text.
func NamesGrant(body []byte) bool {
	f, err := parseJSON(body)
	if err != nil {
		return false
	}
	var grant *string
	return json.Unmarshal(f["grant_type"], &grant) == nil && grant != nil
}
