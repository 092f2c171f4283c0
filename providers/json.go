package providers

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// JSON is a decoded JSON value from a provider, read without fear of its shape: what is
// absent or of another type reads as zero. Numbers keep their digits. It is immutable.
type JSON struct{ value any }

// ParseJSON decodes one JSON object or array, with nothing after it.
func ParseJSON(text []byte) (JSON, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return JSON{}, errors.New("no JSON")
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return JSON{}, errors.New("more than one JSON value")
	}
	switch v.(type) {
	case map[string]any, []any:
		return JSON{v}, nil
	}
	return JSON{}, fmt.Errorf("JSON %T instead of an object", v)
}

// At gives the member that the names lead to, each one level deeper.
func (j JSON) At(path ...string) JSON {
	for _, name := range path {
		object, _ := j.value.(map[string]any)
		j = JSON{object[name]}
	}
	return j
}

// Has reports whether there is a member that isn't null.
func (j JSON) Has(path ...string) bool { return j.At(path...).value != nil }

// Text gives a string, "" for anything else.
func (j JSON) Text(path ...string) string {
	s, _ := j.At(path...).value.(string)
	return s
}

// ID gives a string, or a whole number as it is written; "" for anything else.
func (j JSON) ID(path ...string) string {
	switch v := j.At(path...).value.(type) {
	case string:
		return v
	case json.Number:
		if strings.Trim(v.String(), "0123456789") == "" {
			return v.String()
		}
	}
	return ""
}

// Bool reports a value that says yes: true, 1, "true" or "1".
func (j JSON) Bool(path ...string) bool {
	switch v := j.At(path...).value.(type) {
	case bool:
		return v
	case json.Number:
		return v.String() == "1"
	case string:
		return strings.EqualFold(v, "true") || v == "1"
	}
	return false
}

// List gives the elements of an array, none for anything else.
func (j JSON) List(path ...string) []JSON {
	elements, _ := j.At(path...).value.([]any)
	list := make([]JSON, len(elements))
	for i, e := range elements {
		list[i] = JSON{e}
	}
	return list
}

// First gives the first element of an array.
func (j JSON) First(path ...string) JSON {
	if list := j.List(path...); len(list) > 0 {
		return list[0]
	}
	return JSON{}
}

// Value gives what encoding/json decodes with UseNumber: nil, bool, string, json.Number,
// []any or map[string]any. Don't change it.
func (j JSON) Value(path ...string) any { return j.At(path...).value }

// Members gives the members of an object but for those named.
func (j JSON) Members(except ...string) map[string]any {
	object, _ := j.value.(map[string]any)
	rest := make(map[string]any, len(object))
	for name, v := range object {
		rest[name] = v
	}
	for _, name := range except {
		delete(rest, name)
	}
	return rest
}
