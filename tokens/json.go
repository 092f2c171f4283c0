package tokens

import (
	"encoding/json"
	"fmt"
	"strings"
)

// JSON is the text of a JSON object. Being a string it can be shared freely: nobody who
// reads it can change it for another. The zero value is the empty object.
type JSON string

// MakeJSON makes the JSON of a Go value, which must marshal to an object or to null
// (which becomes the empty object).
func MakeJSON(v any) (JSON, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return "", fmt.Errorf("tokens: %w", err)
	}
	var j JSON
	if err := j.UnmarshalJSON(b); err != nil {
		return "", err
	}
	return j, nil
}

// Decode reads the object into v, as [json.Unmarshal] does.
func (j JSON) Decode(v any) error { return json.Unmarshal([]byte(j.text()), v) }

// String gives the text of the object, "{}" for the zero value.
func (j JSON) String() string { return j.text() }

// MarshalJSON gives the object as it is.
func (j JSON) MarshalJSON() ([]byte, error) {
	text := j.text()
	if !strings.HasPrefix(strings.TrimLeft(text, " \t\r\n"), "{") {
		return nil, fmt.Errorf("%w: not a JSON object", ErrClaims)
	}
	return []byte(text), nil
}

// UnmarshalJSON takes an object, or null for the empty one.
func (j *JSON) UnmarshalJSON(b []byte) error {
	text := strings.TrimSpace(string(b))
	if text == "null" {
		text = ""
	}
	if text != "" && (text[0] != '{' || !json.Valid(b)) {
		return fmt.Errorf("%w: not a JSON object", ErrClaims)
	}
	*j = JSON(text)
	return nil
}

func (j JSON) text() string {
	if j == "" {
		return "{}"
	}
	return string(j)
}
