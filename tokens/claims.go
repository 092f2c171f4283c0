package tokens

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Claims is what an access token says.
//
// Claims that a [Verifier] returned are shared with every other request that shows the
// same token: don't change them, change a [Claims.Clone].
type Claims struct {
	Issuer   string   // iss; omitted if empty
	Subject  string   // sub, the user's id; "" in a token of a service
	Audience []string // aud; a single one is written as a string

	// Times have seconds on the wire; a zero time is omitted.
	ExpiresAt time.Time // exp
	IssuedAt  time.Time // iat
	NotBefore time.Time // nbf

	Email        string // "" if the user has none
	Phone        string // "" if the user has none
	AppMetadata  JSON   // what the service says of the user
	UserMetadata JSON   // what the user says of himself: don't base permissions on it
	Role         string
	AAL          string // authenticator assurance level: "aal1", "aal2"
	AMR          []AMR  // how the session was proved, newest first
	SessionID    string // "" if the token belongs to no session
	IsAnonymous  bool

	ClientID string // client_id of an OAuth client's session; omitted if empty
	Scope    string // scope of an OAuth client's session; omitted if empty

	// Extra holds the claims besides the above. Names of the above are refused in it
	// when a token is issued.
	Extra JSON

	raw string // the payload that was verified; "" if these claims were made by hand
}

// AMR is one authentication method of a session (RFC 8176 gives the idea, not the form).
type AMR struct {
	Method   string    // "password", "otp", "oauth", "totp", ...
	At       time.Time // when; zero if the token doesn't tell
	Provider string    // id of the SSO provider; "" for other methods
}

// amrWire is an AMR on the wire.
type amrWire struct {
	Method    string `json:"method"`
	Timestamp int64  `json:"timestamp"`
	Provider  string `json:"provider,omitempty"`
}

// MarshalJSON gives {method, timestamp, provider?}, the timestamp in seconds.
func (a AMR) MarshalJSON() ([]byte, error) {
	w := amrWire{Method: a.Method, Provider: a.Provider}
	if !a.At.IsZero() {
		w.Timestamp = a.At.Unix()
	}
	return json.Marshal(w)
}

// UnmarshalJSON takes the form of MarshalJSON, or a string with the method alone.
func (a *AMR) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '"' {
		*a = AMR{}
		return json.Unmarshal(b, &a.Method)
	}
	var w struct {
		Method    string          `json:"method"`
		Timestamp json.RawMessage `json:"timestamp"`
		Provider  string          `json:"provider"`
	}
	if err := json.Unmarshal(b, &w); err != nil {
		return err
	}
	var at time.Time
	if w.Timestamp != nil {
		var err error
		if at, err = parseTime(string(w.Timestamp)); err != nil {
			return err
		}
	}
	*a = AMR{Method: w.Method, At: at, Provider: w.Provider}
	return nil
}

// claimsWire is the payload. The order of its fields is the order on the wire.
type claimsWire struct {
	Issuer       string   `json:"iss,omitempty"`
	Subject      string   `json:"sub,omitempty"`
	Audience     audience `json:"aud,omitempty"`
	ExpiresAt    seconds  `json:"exp,omitzero"`
	IssuedAt     seconds  `json:"iat,omitzero"`
	NotBefore    seconds  `json:"nbf,omitzero"`
	Email        string   `json:"email"`
	Phone        string   `json:"phone"`
	AppMetadata  JSON     `json:"app_metadata"`
	UserMetadata JSON     `json:"user_metadata"`
	Role         string   `json:"role"`
	AAL          string   `json:"aal,omitempty"`
	AMR          []AMR    `json:"amr,omitempty"`
	SessionID    string   `json:"session_id,omitempty"`
	IsAnonymous  bool     `json:"is_anonymous"`
	ClientID     string   `json:"client_id,omitempty"`
	Scope        string   `json:"scope,omitempty"`
}

// seconds is a time as NumericDate. The zero time is not written; 1970 is, as a token that
// expired then must not become one that never does.
type seconds struct{ time.Time }

func (s seconds) MarshalJSON() ([]byte, error) { return strconv.AppendInt(nil, s.Unix(), 10), nil }

// audience is a string if there is one, else an array (RFC 7519, 4.1.3).
type audience []string

func (a audience) MarshalJSON() ([]byte, error) {
	if len(a) == 1 {
		return json.Marshal(a[0])
	}
	return json.Marshal([]string(a))
}

// MarshalJSON gives the payload of a token: the known claims in their fixed order, then
// those of Extra. It fails with [ErrClaims] if Extra holds a known claim, or if JSON text
// isn't valid.
func (c Claims) MarshalJSON() ([]byte, error) {
	b, err := json.Marshal(claimsWire{
		Issuer: c.Issuer, Subject: c.Subject, Audience: c.Audience,
		ExpiresAt: seconds{c.ExpiresAt}, IssuedAt: seconds{c.IssuedAt}, NotBefore: seconds{c.NotBefore},
		Email: c.Email, Phone: c.Phone,
		AppMetadata: c.AppMetadata, UserMetadata: c.UserMetadata,
		Role: c.Role, AAL: c.AAL, AMR: c.AMR, SessionID: c.SessionID, IsAnonymous: c.IsAnonymous,
		ClientID: c.ClientID, Scope: c.Scope,
	})
	if err != nil {
		return nil, fmt.Errorf("%w: metadata is not a JSON object", ErrClaims)
	}
	if c.Extra == "" {
		return b, nil
	}
	return appendExtra(b, c.Extra)
}

// appendExtra adds the members of extra to the object b.
func appendExtra(b []byte, extra JSON) ([]byte, error) {
	members := map[string]json.RawMessage{}
	if err := extra.Decode(&members); err != nil {
		return nil, fmt.Errorf("%w: extra claims are not a JSON object", ErrClaims)
	}
	for name := range members {
		if isKnown(name) {
			return nil, fmt.Errorf("%w: extra claim %q is one of the token's own", ErrClaims, name)
		}
	}
	if len(members) == 0 {
		return b, nil
	}
	more, err := json.Marshal(members) // sorted by name
	if err != nil {
		return nil, fmt.Errorf("%w: extra claims: %w", ErrClaims, err)
	}
	b[len(b)-1] = ','
	return append(b, more[1:]...), nil
}

// isKnown reports whether a claim has a field of its own in Claims.
func isKnown(name string) bool {
	return (&Claims{}).field(name) != nil
}

// UnmarshalJSON reads a payload. It fails with [ErrClaims] if it is no object, names a
// claim twice, or has a known claim of the wrong type.
func (c *Claims) UnmarshalJSON(b []byte) error {
	parsed, err := parseClaims(b)
	if err != nil {
		return err
	}
	*c = *parsed
	return nil
}

// Decode reads the whole payload into v, as [json.Unmarshal] does. It is the way to read
// custom claims.
func (c *Claims) Decode(v any) error {
	if c.raw != "" {
		return json.Unmarshal([]byte(c.raw), v)
	}
	b, err := c.MarshalJSON()
	if err != nil {
		return err
	}
	return json.Unmarshal(b, v)
}

// Clone gives a copy that may be changed.
func (c *Claims) Clone() *Claims {
	d := *c
	d.Audience = slices.Clone(c.Audience)
	d.AMR = slices.Clone(c.AMR)
	d.raw = "" // it wouldn't follow the changes
	return &d
}

// parseClaims reads a payload. Text of the result is part of one copy of it.
func parseClaims(payload []byte) (*Claims, error) {
	if !utf8.Valid(payload) || !json.Valid(payload) {
		return nil, fmt.Errorf("%w: payload is not JSON", ErrClaims)
	}
	c := &Claims{raw: string(payload)}
	var extra strings.Builder
	err := eachMember(c.raw, func(name, value string) error {
		set := c.field(name)
		if set == nil {
			addExtra(&extra, name, value)
			return nil
		}
		if value == "null" && name != "aud" {
			return nil
		}
		if err := set(value); err != nil {
			// The cause is left out: it may quote the claim.
			return fmt.Errorf("%w: %s has a wrong type or value", ErrClaims, name)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if extra.Len() > 0 {
		extra.WriteByte('}')
		c.Extra = JSON(extra.String())
	}
	return c, nil
}

// addExtra appends a member to an object that is being written.
func addExtra(b *strings.Builder, name, value string) {
	if b.Len() == 0 {
		b.WriteByte('{')
	} else {
		b.WriteByte(',')
	}
	quoted, _ := json.Marshal(name) // a string always marshals
	b.Write(quoted)
	b.WriteByte(':')
	b.WriteString(value)
}

// field gives the function that sets a known claim from its JSON text; nil if the claim
// has no field of its own.
func (c *Claims) field(name string) func(value string) error {
	switch name {
	case "iss":
		return intoText(&c.Issuer)
	case "sub":
		return intoText(&c.Subject)
	case "aud":
		return c.setAudience
	case "exp":
		return intoTime(&c.ExpiresAt)
	case "iat":
		return intoTime(&c.IssuedAt)
	case "nbf":
		return intoTime(&c.NotBefore)
	case "email":
		return intoText(&c.Email)
	case "phone":
		return intoText(&c.Phone)
	case "app_metadata":
		return intoObject(&c.AppMetadata)
	case "user_metadata":
		return intoObject(&c.UserMetadata)
	case "role":
		return intoText(&c.Role)
	case "aal":
		return intoText(&c.AAL)
	case "amr":
		return into(&c.AMR)
	case "session_id":
		return intoText(&c.SessionID)
	case "is_anonymous":
		return into(&c.IsAnonymous)
	case "client_id":
		return intoText(&c.ClientID)
	case "scope":
		return intoText(&c.Scope)
	}
	return nil
}

func into[T any](dst *T) func(string) error {
	return func(value string) error { return json.Unmarshal([]byte(value), dst) }
}

// intoText shares the text of a string without escapes instead of copying it: most have
// none. Its syntax has been checked.
func intoText(dst *string) func(string) error {
	return func(value string) error {
		if !strings.HasPrefix(value, `"`) || strings.Contains(value, `\`) {
			return json.Unmarshal([]byte(value), dst)
		}
		*dst = value[1 : len(value)-1]
		return nil
	}
}

func intoTime(dst *time.Time) func(string) error {
	return func(value string) (err error) {
		*dst, err = parseTime(value)
		return err
	}
}

// intoObject keeps the text where it is; its syntax has been checked.
func intoObject(dst *JSON) func(string) error {
	return func(value string) error {
		if !strings.HasPrefix(value, "{") {
			return ErrClaims
		}
		*dst = JSON(value)
		return nil
	}
}

// setAudience takes a string or an array of strings, none of them empty: an audience that
// is there but says nothing must not pass a check.
func (c *Claims) setAudience(value string) error {
	var many []string
	if strings.HasPrefix(value, `"`) {
		many = make([]string, 1)
		if err := intoText(&many[0])(value); err != nil {
			return err
		}
	} else if err := json.Unmarshal([]byte(value), &many); err != nil {
		return err
	}
	if len(many) == 0 || slices.Contains(many, "") {
		return ErrClaims
	}
	c.Audience = many
	return nil
}

// maxUnix is the last second of the year 9999: later times don't fit everywhere.
const maxUnix = 253402300799

// parseTime reads a NumericDate (RFC 7519, 2): seconds, perhaps with a fraction.
func parseTime(value string) (time.Time, error) {
	if n, err := strconv.ParseInt(value, 10, 64); err == nil {
		if n < 0 || n > maxUnix {
			return time.Time{}, ErrClaims
		}
		return time.Unix(n, 0).UTC(), nil
	}
	f, err := strconv.ParseFloat(value, 64)
	if err != nil || !(f >= 0 && f <= maxUnix) {
		return time.Time{}, ErrClaims
	}
	whole, frac := math.Modf(f)
	return time.Unix(int64(whole), int64(frac*1e9)).UTC(), nil
}
