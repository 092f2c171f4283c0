package host

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strings"

	"github.com/truekeel/auth/fault"
	"github.com/truekeel/auth/store"
	"github.com/truekeel/auth/tokens"
)

// WholeClaims adapts a hook that gets all claims of an access token as JSON and gives all
// that the token shall have, as GoTrue's hooks do, to [Steps.Claims]. The hook sees aud as
// an array.
//
// What the token says of the user's two kinds of metadata may be changed; the user's own
// stay. The token's other own claims are reserved. An own claim that the hook leaves out
// although it is optional stays in the token. A required one that is missing, one of a
// wrong type, and a reserved one that was changed are refused with [fault.UnexpectedFailure] and a message that lists
// them: a token that doesn't say what the hook wanted would surprise later.
func WholeClaims(hook func(ctx context.Context, u store.User, method string, claims tokens.JSON) (tokens.JSON, error)) func(context.Context, store.User, string, *tokens.Claims) error {
	return func(ctx context.Context, u store.User, method string, c *tokens.Claims) error {
		given, err := allClaims(c)
		if err != nil {
			return err
		}
		out, err := hook(ctx, u, method, given)
		if err != nil {
			return err
		}
		got, err := conforming(c, out)
		if err != nil {
			return err
		}
		said(c, got).To(c)
		return nil
	}
}

// allClaims is the token's payload with aud as an array.
func allClaims(c *tokens.Claims) (tokens.JSON, error) {
	payload, err := c.MarshalJSON()
	if err != nil {
		return "", err
	}
	var members store.Object
	if err := json.Unmarshal(payload, &members); err != nil {
		return "", err
	}
	members.Set("aud", append([]string{}, c.Audience...))
	text, err := members.MarshalJSON()
	return tokens.JSON(text), err
}

// ownClaim is a claim of the token's own.
type ownClaim struct {
	name     string
	required bool
	fits     func(raw json.RawMessage) bool      // its type
	same     func(got, want *tokens.Claims) bool // nil if it may be changed
}

// ownClaims is the one list of them, in the order in which faults name them.
func ownClaims() []ownClaim {
	return []ownClaim{
		{"aud", true, anyOf(is[string], is[[]string]), func(g, w *tokens.Claims) bool { return slices.Equal(g.Audience, w.Audience) }},
		{"exp", true, is[int64], func(g, w *tokens.Claims) bool { return g.ExpiresAt.Equal(w.ExpiresAt) }},
		{"iat", true, is[int64], func(g, w *tokens.Claims) bool { return g.IssuedAt.Equal(w.IssuedAt) }},
		{"sub", true, is[string], func(g, w *tokens.Claims) bool { return g.Subject == w.Subject }},
		{"email", true, is[string], func(g, w *tokens.Claims) bool { return g.Email == w.Email }},
		{"phone", true, is[string], func(g, w *tokens.Claims) bool { return g.Phone == w.Phone }},
		{"role", true, is[string], func(g, w *tokens.Claims) bool { return g.Role == w.Role }},
		{"aal", true, is[string], func(g, w *tokens.Claims) bool { return g.AAL == w.AAL }},
		{"session_id", true, is[string], func(g, w *tokens.Claims) bool { return g.SessionID == w.SessionID }},
		{"is_anonymous", true, is[bool], func(g, w *tokens.Claims) bool { return g.IsAnonymous == w.IsAnonymous }},
		{"iss", false, is[string], func(g, w *tokens.Claims) bool { return g.Issuer == w.Issuer }},
		{"nbf", false, is[int64], func(g, w *tokens.Claims) bool { return g.NotBefore.Equal(w.NotBefore) }},
		{"app_metadata", false, is[map[string]any], nil},
		{"user_metadata", false, is[map[string]any], nil},
		{"amr", false, is[[]tokens.AMR], func(g, w *tokens.Claims) bool { return slices.EqualFunc(g.AMR, w.AMR, sameMethod) }},
		{"client_id", false, is[string], func(g, w *tokens.Claims) bool { return g.ClientID == w.ClientID }},
		{"scope", false, is[string], func(g, w *tokens.Claims) bool { return g.Scope == w.Scope }},
	}
}

// conforming checks what a hook gave for a token's claims and reads it.
func conforming(own *tokens.Claims, out tokens.JSON) (*tokens.Claims, error) {
	var members map[string]json.RawMessage
	if err := out.Decode(&members); err != nil || members == nil {
		return nil, fault.New(fault.UnexpectedFailure, "output claims are not a JSON object")
	}
	var faults []string
	for _, c := range ownClaims() {
		raw, there := members[c.name]
		switch {
		case !there && c.required:
			faults = append(faults, "(root): "+c.name+" is required")
		case there && (string(raw) == "null" || !c.fits(raw)):
			faults = append(faults, c.name+": Invalid type")
		}
	}
	if len(faults) > 0 {
		return nil, nonconforming("output claims do not conform to the expected schema: ", faults)
	}
	got := own.Clone()
	if err := json.Unmarshal([]byte(out), got); err != nil {
		return nil, errors.Join(fault.New(fault.UnexpectedFailure, "output claims are not those of a token"), err)
	}
	for _, c := range ownClaims() {
		if _, there := members[c.name]; there && c.same != nil && !c.same(got, own) {
			faults = append(faults, c.name+" was changed")
		}
	}
	if len(faults) > 0 {
		return nil, nonconforming("output claims change claims that are reserved: ", faults)
	}
	if _, there := members["app_metadata"]; !there {
		got.AppMetadata = own.AppMetadata
	}
	if _, there := members["user_metadata"]; !there {
		got.UserMetadata = own.UserMetadata
	}
	return got, nil
}

func nonconforming(text string, faults []string) error {
	return fault.New(fault.UnexpectedFailure, "%s\n- %s", text, strings.Join(faults, "\n- "))
}

func is[T any](raw json.RawMessage) bool { return json.Unmarshal(raw, new(T)) == nil }

func anyOf(fits ...func(json.RawMessage) bool) func(json.RawMessage) bool {
	return func(raw json.RawMessage) bool {
		return slices.ContainsFunc(fits, func(fit func(json.RawMessage) bool) bool { return fit(raw) })
	}
}

// Said is what the host says in an access token. The zero value adds and changes nothing.
type Said struct {
	app, own tokens.JSON // in place of the metadata; "" if it stays
	extra    tokens.JSON
}

// said finds what was said by changing claims.
func said(was, is *tokens.Claims) Said {
	s := Said{extra: is.Extra}
	if !alike(is.AppMetadata, was.AppMetadata) {
		s.app = cmp.Or(is.AppMetadata, "{}")
	}
	if !alike(is.UserMetadata, was.UserMetadata) {
		s.own = cmp.Or(is.UserMetadata, "{}")
	}
	return s
}

// To puts it into claims.
func (s Said) To(c *tokens.Claims) {
	c.AppMetadata, c.UserMetadata = cmp.Or(s.app, c.AppMetadata), cmp.Or(s.own, c.UserMetadata)
	c.Extra = s.extra
}

// alike compares JSON by its meaning: databases write it anew.
func alike(a, b tokens.JSON) bool {
	var x, y any
	return a.Decode(&x) == nil && b.Decode(&y) == nil && reflect.DeepEqual(x, y)
}

// sameMethod compares methods; one that is a mere string tells no more than its name.
func sameMethod(got, want tokens.AMR) bool {
	return got.Method == want.Method && (got == tokens.AMR{Method: got.Method} || got.At.Unix() == want.At.Unix() && got.Provider == want.Provider)
}
