package providers

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"unicode"
)

// Profile is what a provider's answer says about a person; a Spec's Map makes it.
type Profile struct {
	// Subject is the provider's id of the person: the one that never changes and is
	// never given to somebody else, so not a name and not an address.
	Subject string
	// Issuer replaces the Spec's issuer where one provider has several.
	Issuer string
	// Emails are the addresses.
	Emails []Email
	// Name, UserName and Avatar become "name" and "full_name", "user_name" and
	// "preferred_username", "avatar_url" and "picture".
	Name, UserName, Avatar string
	// Claims are further claims, and override those above. Empty texts and nils are
	// left out.
	Claims map[string]any
}

// OneEmail is the list of a provider that has one address, "" for none.
func OneEmail(address string, verified bool) []Email {
	if address == "" {
		return nil
	}
	return []Email{{Address: address, Verified: verified, Primary: true}}
}

// maxSubject is how long a subject may be (OpenID Connect Core, 2: 255 ASCII characters).
const maxSubject = 255

var errSubject = errors.New("subject is too long or has control characters")

// identity turns a profile into an identity without tokens.
func (p Profile) identity(issuer, iss string) (Identity, error) {
	subject := p.Subject
	if strings.TrimSpace(subject) == "" {
		return Identity{}, ErrNoSubject
	}
	if len(subject) > maxSubject || strings.ContainsFunc(subject, unicode.IsControl) {
		return Identity{}, errSubject
	}
	if p.Issuer != "" {
		issuer = p.Issuer
	}
	id := Identity{Issuer: issuer, Subject: subject}
	for _, e := range p.Emails {
		known := slices.ContainsFunc(id.Emails, func(k Email) bool { return strings.EqualFold(k.Address, e.Address) })
		if !known && addressable(e.Address) {
			id.Emails = append(id.Emails, e)
		}
	}
	id.Claims = p.claims(iss)
	email, _ := id.Primary()
	id.Claims["email_verified"] = email.Verified
	if email.Address != "" {
		id.Claims["email"] = email.Address
	}
	return id, nil
}

// claims is the profile as clients see it, but for the address.
func (p Profile) claims(iss string) map[string]any {
	claims := map[string]any{
		"iss":  iss,
		"name": p.Name, "full_name": p.Name,
		"user_name": p.UserName, "preferred_username": p.UserName,
		"avatar_url": p.Avatar, "picture": p.Avatar,
		"phone_verified": false,
	}
	maps.Copy(claims, p.Claims)
	claims["sub"], claims["provider_id"] = p.Subject, p.Subject
	delete(claims, "email")
	for name, v := range claims {
		if v = clean(v); empty(v) {
			delete(claims, name)
			continue
		}
		claims[name] = v
	}
	return claims
}

func empty(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case string:
		return v == ""
	case map[string]any:
		return len(v) == 0
	}
	return false
}

// clean drops NUL characters, which databases refuse in JSON.
func clean(v any) any {
	switch v := v.(type) {
	case string:
		return strings.ReplaceAll(v, "\x00", "")
	case []any:
		list := make([]any, len(v))
		for i := range v {
			list[i] = clean(v[i])
		}
		return list
	case map[string]any:
		object := make(map[string]any, len(v))
		for name, member := range v {
			object[strings.ReplaceAll(name, "\x00", "")] = clean(member)
		}
		return object
	}
	return v
}

// addressable reports whether a text could be an address at all; whether mail gets
// there is for others to find out.
func addressable(s string) bool {
	at := strings.LastIndexByte(s, '@')
	return at > 0 && at < len(s)-1 && len(s) <= 320 &&
		!strings.ContainsFunc(s, func(r rune) bool { return unicode.IsControl(r) || unicode.IsSpace(r) })
}

// standardProfile reads the standard claims of OpenID Connect (Core, 5.1).
func standardProfile(j JSON) Profile {
	claims := make(map[string]any)
	for _, name := range []string{
		"given_name", "family_name", "middle_name", "nickname", "profile", "website", "gender",
		"birthdate", "zoneinfo", "locale", "updated_at",
	} {
		claims[name] = j.Value(name)
	}
	if phone := j.Text("phone_number"); phone != "" {
		claims["phone"], claims["phone_verified"] = phone, j.Bool("phone_number_verified")
	}
	for _, name := range []string{"full_name", "user_name", "avatar_url", "slug"} {
		if s := j.Text(name); s != "" {
			claims[name] = s
		}
	}
	return Profile{
		Subject:  j.Text("sub"),
		Emails:   OneEmail(j.Text("email"), j.Bool("email_verified")),
		Name:     j.Text("name"),
		UserName: j.Text("preferred_username"),
		Avatar:   j.Text("picture"),
		Claims:   claims,
	}
}

// joined joins the parts of a name that are there.
func joined(parts ...string) string {
	return strings.Join(strings.Fields(strings.Join(parts, " ")), " ")
}
