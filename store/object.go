package store

import (
	"bytes"
	"encoding/json"
	"maps"
)

// Object is a JSON object whose values are kept as they came: numbers keep their
// digits. The zero value is an empty object and marshals as {}.
type Object map[string]json.RawMessage

// MakeObject makes an Object of pairs of name and Go value. A value that can't be
// marshalled becomes null.
func MakeObject(pairs map[string]any) Object {
	o := make(Object, len(pairs))
	for k, v := range pairs {
		o.Set(k, v)
	}
	return o
}

// Set stores a Go value under key; one that can't be marshalled becomes null.
func (o Object) Set(key string, value any) {
	b, err := json.Marshal(value)
	if err != nil {
		b = []byte("null")
	}
	o[key] = b
}

// Decode reads the value of key into v and reports whether it was there and fitted.
func (o Object) Decode(key string, v any) bool {
	raw, ok := o[key]
	return ok && json.Unmarshal(raw, v) == nil
}

// String gives the text under key, "" if there is none or it is no text.
func (o Object) String(key string) string {
	var s string
	o.Decode(key, &s)
	return s
}

// Clone copies the object; its values are shared and not to be changed.
func (o Object) Clone() Object {
	if o == nil {
		return Object{}
	}
	return maps.Clone(o)
}

// Merged gives a copy of o with the keys of patch laid over it: a key with null is
// removed. An empty patch changes nothing.
func (o Object) Merged(patch Object) Object {
	out := o.Clone()
	for k, v := range patch {
		if v == nil || bytes.Equal(bytes.TrimSpace(v), []byte("null")) {
			delete(out, k)
			continue
		}
		out[k] = v
	}
	return out
}

// MarshalJSON writes {} for nil.
func (o Object) MarshalJSON() ([]byte, error) {
	if o == nil {
		return []byte("{}"), nil
	}
	return json.Marshal(map[string]json.RawMessage(o))
}
