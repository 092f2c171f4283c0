package external

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/truekeel/auth/internal/session"
	"github.com/truekeel/auth/internal/user"
	"github.com/truekeel/auth/providers"
	"github.com/truekeel/auth/store"
)

// login is what a provider says of a person, in the forms in which we keep it.
type login struct {
	Provider string `json:"provider"`
	Issuer   string `json:"issuer"`
	Subject  string `json:"subject"`
	// Address is the one that the login stands on: the primary one if it is verified,
	// else the first verified one, else the primary one; "" if there is none.
	Address string `json:"address,omitempty"`
	// Proved says that the provider vouches for Address.
	Proved bool `json:"proved,omitempty"`
	// Verified are all addresses that the provider vouches for, Emails all it knows.
	Verified []string     `json:"verified,omitempty"`
	Emails   []string     `json:"emails,omitempty"`
	Claims   store.Object `json:"claims"`
	Optional bool         `json:"optional,omitempty"` // people without an address may come in

	token, refresh string // the provider's
}

// maxKey is the longest issuer or subject, in bytes: what every database indexes.
const maxKey = 255

// leastLife is how much of its life an access token has to have left in the Keel dialect.
const leastLife = 10 * time.Second

// read is the package's read with what the host wants kept of the id token. The Keel
// dialect asks for an access token that is still good and claims of the right types too.
func (f *Flow) read(p providers.Provider, id providers.Identity, kind session.Kind) (login, error) {
	l, err := read(p, id)
	if err == nil && kind == session.Keel && !id.ExpiresAt.IsZero() && !id.ExpiresAt.After(f.Now().Add(leastLife)) {
		err = ErrEnded
	}
	if err != nil || id.IDToken == "" {
		return l, err
	}
	payload, err := payloadOf(id.IDToken)
	if err != nil {
		return l, err
	}
	if kind == session.Keel && !wellTyped(payload) {
		return l, ErrClaims
	}
	f.keepClaims(l.Claims, payload)
	return l, nil
}

// read checks an identity and brings it into our forms. Addresses that can't be
// addresses are left out: nothing is looked up by them.
func read(p providers.Provider, id providers.Identity) (login, error) {
	if !keyable(id.Issuer) || !keyable(id.Subject) {
		return login{}, fmt.Errorf("external: %s: %w", p.Name(), providers.ErrNoSubject)
	}
	l := login{
		Provider: p.Name(), Issuer: id.Issuer, Subject: id.Subject, Optional: optional(p),
		token: id.AccessToken, refresh: id.RefreshToken,
	}
	l.addresses(id)
	l.Claims = claims(id.Claims)
	if l.Address == "" {
		delete(l.Claims, "email")
		l.Claims.Set("email_verified", false)
		return l, nil
	}
	l.Claims.Set("email", l.Address)
	l.Claims.Set("email_verified", l.Proved)
	return l, nil
}

// keyable reports whether a text can be part of an identity's key.
func keyable(s string) bool {
	return strings.TrimSpace(s) != "" && len(s) <= maxKey && utf8.ValidString(s) && !strings.ContainsFunc(s, unicode.IsControl)
}

func (l *login) addresses(id providers.Identity) {
	for _, e := range id.Emails {
		address, err := user.NormalizeEmail(strings.TrimSpace(e.Address))
		if err != nil || slices.Contains(l.Emails, address) && !e.Verified {
			continue
		}
		l.Emails = append(l.Emails, address)
		if e.Verified && !slices.Contains(l.Verified, address) {
			l.Verified = append(l.Verified, address)
		}
	}
	primary, _ := id.Primary()
	l.Address, _ = user.NormalizeEmail(strings.TrimSpace(primary.Address))
	switch {
	case slices.Contains(l.Verified, l.Address):
		l.Proved = true
	case len(l.Verified) > 0:
		l.Address, l.Proved = l.Verified[0], true
	case l.Address == "" && len(l.Emails) > 0:
		l.Address = l.Emails[0]
	}
}

// vouched reports whether the provider vouches for an address in this login.
func (l login) vouched(address string) bool {
	return address != "" && slices.Contains(l.Verified, address)
}

// identity is the login as an account keeps it.
func (l login) identity() store.Identity {
	return store.Identity{Provider: l.Provider, Issuer: l.Issuer, Subject: l.Subject, Email: l.Address, Data: l.Claims}
}

// maxDepth is how deep claims may be nested; what is deeper is left out.
const maxDepth = 16

// claims turns a profile into what every database keeps.
func claims(profile map[string]any) store.Object {
	out := store.Object{}
	for name, value := range profile {
		if v, ok := keepable(value, maxDepth); ok && v != nil {
			out.Set(plain(name), v)
		}
	}
	return out
}

// keepable drops what no database keeps: NUL characters, numbers beyond a double's
// range, nesting without end.
func keepable(v any, depth int) (any, bool) {
	if depth == 0 {
		return nil, false
	}
	switch v := v.(type) {
	case nil, bool:
		return v, true
	case string:
		return plain(v), true
	case json.Number:
		_, err := strconv.ParseFloat(v.String(), 64)
		return v, err == nil && len(v) <= 64
	case []any:
		out := make([]any, 0, len(v))
		for _, e := range v {
			if e, ok := keepable(e, depth-1); ok {
				out = append(out, e)
			}
		}
		return out, true
	case map[string]any:
		out := make(map[string]any, len(v))
		for name, e := range v {
			if e, ok := keepable(e, depth-1); ok {
				out[plain(name)] = e
			}
		}
		return out, true
	}
	// Other types are a provider's own; what they marshal to is walked in their place.
	raw, err := json.Marshal(v)
	if err != nil {
		return nil, false
	}
	d := json.NewDecoder(strings.NewReader(string(raw)))
	d.UseNumber()
	var generic any
	if d.Decode(&generic) != nil {
		return nil, false
	}
	return keepable(generic, depth-1)
}

func plain(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "")
}
