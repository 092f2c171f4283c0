package sqlstore

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/truekeel/auth/store"
)

// Binding: each noun's values on their way to the database.

// at binds a time; zero is NULL.
func (s *Store) at(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return s.db.dialect.Time(t.UTC().Truncate(time.Microsecond))
}

// id binds a UUID that is always there.
func (s *Store) id(id uuid.UUID) any { return s.db.dialect.ID(id) }

// maybeID binds a UUID; uuid.Nil is NULL.
func (s *Store) maybeID(id uuid.UUID) any {
	if id == uuid.Nil {
		return nil
	}
	return s.db.dialect.ID(id)
}

// maybeText binds a text; "" is NULL.
func maybeText(t string) any {
	if t == "" {
		return nil
	}
	return t
}

// object binds a JSON object as text; nil is {}.
func object(o store.Object) (string, error) {
	if len(o) == 0 {
		return "{}", nil
	}
	b, err := json.Marshal(o)
	if err != nil {
		return "", fmt.Errorf("sqlstore: encode JSON: %w", err)
	}
	return string(b), nil
}

// Scanning: pointers to a noun's fields are converted to one of these, so that NULL
// and the drivers' various types are dealt with in one place and nothing is allocated.

// text scans a text; NULL is "".
type text string

// Scan implements sql.Scanner.
func (t *text) Scan(src any) error {
	switch v := src.(type) {
	case nil:
		*t = ""
	case string:
		*t = text(v)
	case []byte:
		*t = text(v)
	default:
		return fmt.Errorf("sqlstore: text from %T", src)
	}
	return nil
}

// ident scans a UUID; NULL is uuid.Nil.
type ident uuid.UUID

// Scan implements sql.Scanner.
func (i *ident) Scan(src any) error {
	if src == nil {
		*i = ident{}
		return nil
	}
	return (*uuid.UUID)(i).Scan(src)
}

// stamp scans a time; NULL is the zero time.
type stamp time.Time

// Scan implements sql.Scanner.
func (s *stamp) Scan(src any) error {
	switch v := src.(type) {
	case nil:
		*s = stamp{}
		return nil
	case time.Time:
		*s = stamp(v.UTC().Truncate(time.Microsecond))
		return nil
	case string:
		return s.parse(v)
	case []byte:
		return s.parse(string(v))
	}
	return fmt.Errorf("sqlstore: time from %T", src)
}

func (s *stamp) parse(text string) error {
	t, err := ParseTime(text)
	*s = stamp(t)
	return err
}

// TimeLayout is how a time is written as text: UTC, microseconds, sorted by bytes like
// by time from year 0 to 9999, and understood by the date functions of the databases.
const TimeLayout = "2006-01-02 15:04:05.000000"

// ParseTime reads [TimeLayout], with any number of digits for the fraction, and RFC 3339.
func ParseTime(text string) (time.Time, error) {
	layout := "2006-01-02 15:04:05"
	if strings.Contains(text, "T") {
		layout = time.RFC3339
	}
	t, err := time.Parse(layout, text)
	if err != nil {
		return time.Time{}, fmt.Errorf("sqlstore: time in the database: %w", err)
	}
	return t.UTC().Truncate(time.Microsecond), nil
}

// jsonText gives the bytes of a JSON column; nil for NULL.
func jsonText(src any) ([]byte, error) {
	switch v := src.(type) {
	case nil:
		return nil, nil
	case string:
		return []byte(v), nil
	case []byte:
		return v, nil
	}
	return nil, fmt.Errorf("sqlstore: JSON from %T", src)
}

// fields scans a JSON object; NULL is nil.
type fields store.Object

// Scan implements sql.Scanner.
func (f *fields) Scan(src any) error {
	b, err := jsonText(src)
	if err != nil || b == nil {
		*f = nil
		return err
	}
	o := store.Object{}
	if err := json.Unmarshal(b, &o); err != nil {
		return fmt.Errorf("sqlstore: JSON object in the database: %w", err)
	}
	*f = fields(o)
	return nil
}

// methods scans a session's list of authentication methods.
type methods []store.AMR

// Scan implements sql.Scanner.
func (m *methods) Scan(src any) error {
	b, err := jsonText(src)
	*m = nil
	if err != nil || len(b) == 0 || string(b) == "[]" {
		return err
	}
	if err := json.Unmarshal(b, (*[]store.AMR)(m)); err != nil {
		return fmt.Errorf("sqlstore: list of methods in the database: %w", err)
	}
	return nil
}

// methodsText binds a session's list of authentication methods.
func methodsText(list []store.AMR) (string, error) {
	if len(list) == 0 {
		return "[]", nil
	}
	whole := make([]store.AMR, len(list))
	for i, m := range list {
		m.At = m.At.UTC().Truncate(time.Microsecond)
		whole[i] = m
	}
	b, err := json.Marshal(whole)
	if err != nil {
		return "", fmt.Errorf("sqlstore: encode methods: %w", err)
	}
	return string(b), nil
}
