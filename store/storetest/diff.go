package storetest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/big"
	"reflect"
	"time"

	"github.com/truekeel/auth/store"
)

// diff says where two values of one type differ in what package store promises to keep,
// "" if nowhere: a time in UTC and to the microsecond, the meaning of JSON, empty and
// nil alike.
func diff(got, want any) string {
	return diffValue("", reflect.ValueOf(got), reflect.ValueOf(want))
}

func diffValue(path string, got, want reflect.Value) string {
	switch w := want.Interface().(type) {
	case time.Time:
		return diffTime(path, got.Interface().(time.Time), w)
	case store.Object:
		return diffObject(path, got.Interface().(store.Object), w)
	case []byte:
		if g := got.Bytes(); !bytes.Equal(g, w) {
			return fmt.Sprintf("%s: got %s, want %s", path, shown(g), shown(w))
		}
		return ""
	}
	switch want.Kind() {
	case reflect.Struct:
		for i := range want.NumField() {
			name := join(path, want.Type().Field(i).Name)
			if d := diffValue(name, got.Field(i), want.Field(i)); d != "" {
				return d
			}
		}
		return ""
	case reflect.Slice:
		if got.Len() != want.Len() {
			return fmt.Sprintf("%s: got %d elements, want %d", path, got.Len(), want.Len())
		}
		for i := range want.Len() {
			if d := diffValue(fmt.Sprintf("%s[%d]", path, i), got.Index(i), want.Index(i)); d != "" {
				return d
			}
		}
		return ""
	}
	if g, w := got.Interface(), want.Interface(); g != w {
		return fmt.Sprintf("%s: got %s, want %s", path, shown(g), shown(w))
	}
	return ""
}

// diffTime compares with the time that a store keeps of want.
func diffTime(path string, got, want time.Time) string {
	want = kept(want)
	switch {
	case got.IsZero() != want.IsZero(), !got.Equal(want):
		return fmt.Sprintf("%s: got %v, want %v", path, got, want)
	case got.Location() != time.UTC:
		return fmt.Sprintf("%s: got a time in %v, want UTC", path, got.Location())
	}
	return ""
}

// kept is what a store keeps of a time.
func kept(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return t.UTC().Truncate(time.Microsecond)
}

func diffObject(path string, got, want store.Object) string {
	for k := range want {
		if _, ok := got[k]; !ok {
			return fmt.Sprintf("%s: lacks %q", path, k)
		}
	}
	for k, g := range got {
		w, ok := want[k]
		if !ok {
			return fmt.Sprintf("%s: has %q too many", path, k)
		}
		if !sameJSON(g, w) {
			return fmt.Sprintf("%s[%q]: got %s, want %s", path, k, shown([]byte(g)), shown([]byte(w)))
		}
	}
	return ""
}

// sameJSON reports whether two JSON texts mean the same; numbers are compared exactly.
func sameJSON(a, b []byte) bool {
	x, err := parseJSON(a)
	if err != nil {
		return false
	}
	y, err := parseJSON(b)
	return err == nil && sameValue(x, y)
}

func parseJSON(b []byte) (v any, err error) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	err = d.Decode(&v)
	return v, err
}

func sameValue(a, b any) bool {
	switch x := a.(type) {
	case json.Number:
		y, ok := b.(json.Number)
		if !ok {
			return false
		}
		p, ok1 := new(big.Rat).SetString(x.String())
		q, ok2 := new(big.Rat).SetString(y.String())
		return ok1 && ok2 && p.Cmp(q) == 0
	case []any:
		y, ok := b.([]any)
		if !ok || len(x) != len(y) {
			return false
		}
		for i := range x {
			if !sameValue(x[i], y[i]) {
				return false
			}
		}
		return true
	case map[string]any:
		y, ok := b.(map[string]any)
		if !ok || len(x) != len(y) {
			return false
		}
		for k := range x {
			if w, ok := y[k]; !ok || !sameValue(x[k], w) {
				return false
			}
		}
		return true
	}
	return a == b
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// shown quotes a value for a message, the start of a long one only.
func shown(v any) string {
	s := fmt.Sprintf("%v", v)
	switch x := v.(type) {
	case string:
		s = fmt.Sprintf("%q", x)
	case []byte:
		s = fmt.Sprintf("%q", x)
	}
	if len(s) > 200 {
		return fmt.Sprintf("%s... (%d bytes)", s[:200], len(s))
	}
	return s
}
