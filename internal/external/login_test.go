package external

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/truekeel/auth/providers"
)

// named is a provider that has only a name.
type named string

func (n named) Name() string { return string(n) }
func (named) Begin(context.Context, providers.Begin) (providers.Redirect, error) {
	return providers.Redirect{}, nil
}
func (named) Finish(context.Context, providers.Callback) (providers.Identity, error) {
	return providers.Identity{}, nil
}

func TestReadAddresses(t *testing.T) {
	for name, c := range map[string]struct {
		emails   []providers.Email
		address  string
		proved   bool
		verified []string
	}{
		"none":                       {nil, "", false, nil},
		"primary and verified":       {[]providers.Email{{Address: "b@x.org", Verified: true}, {Address: "A@X.org", Verified: true, Primary: true}}, "a@x.org", true, []string{"b@x.org", "a@x.org"}},
		"primary, not verified":      {[]providers.Email{{Address: "a@x.org", Primary: true}, {Address: "b@x.org", Verified: true}}, "b@x.org", true, []string{"b@x.org"}},
		"nothing verified":           {[]providers.Email{{Address: "a@x.org", Primary: true}, {Address: "b@x.org"}}, "a@x.org", false, nil},
		"no primary":                 {[]providers.Email{{Address: "a@x.org"}, {Address: "b@x.org"}}, "b@x.org", false, nil},
		"primary is no address":      {[]providers.Email{{Address: "a@b@c", Verified: true, Primary: true}, {Address: "b@x.org"}}, "b@x.org", false, nil},
		"verified is no address":     {[]providers.Email{{Address: "victim＠example.com", Verified: true, Primary: true}}, "", false, nil},
		"once verified, once not":    {[]providers.Email{{Address: "a@x.org"}, {Address: "A@x.org", Verified: true, Primary: true}}, "a@x.org", true, []string{"a@x.org"}},
		"an empty verified address":  {[]providers.Email{{Address: "", Verified: true, Primary: true}}, "", false, nil},
		"blanks around the address":  {[]providers.Email{{Address: " a@x.org ", Verified: true, Primary: true}}, "a@x.org", true, []string{"a@x.org"}},
		"line feed inside of it":     {[]providers.Email{{Address: "a@x.org\nBcc: b@x.org", Verified: true, Primary: true}}, "", false, nil},
		"longer than an address is":  {[]providers.Email{{Address: strings.Repeat("a", 300) + "@x.org", Verified: true}}, "", false, nil},
		"NUL inside of the address":  {[]providers.Email{{Address: "a\x00@x.org", Verified: true}}, "", false, nil},
		"verified comes before last": {[]providers.Email{{Address: "b@x.org", Verified: true}, {Address: "c@x.org"}}, "b@x.org", true, []string{"b@x.org"}},
	} {
		l, err := read(named("idp"), providers.Identity{Issuer: "i", Subject: "s", Emails: c.emails, Claims: map[string]any{"email": "eve@x.org", "email_verified": true}})
		require.NoError(t, err, name)
		require.Equal(t, c.address, l.Address, name)
		require.Equal(t, c.proved, l.Proved, name)
		require.Equal(t, c.verified, l.Verified, name)
		require.Equal(t, c.address, l.Claims.String("email"), "%s: what clients see is what was decided on", name)
		var flag bool
		require.True(t, l.Claims.Decode("email_verified", &flag), name)
		require.Equal(t, c.proved, flag, name)
	}
}

func TestReadRefusesKeys(t *testing.T) {
	for _, key := range []string{"", " ", "\t", strings.Repeat("x", 256), "a\x00b", "a\nb", "\xff"} {
		_, err := read(named("idp"), providers.Identity{Issuer: "i", Subject: key})
		require.ErrorIs(t, err, providers.ErrNoSubject, "subject %q", key)
		_, err = read(named("idp"), providers.Identity{Issuer: key, Subject: "s"})
		require.ErrorIs(t, err, providers.ErrNoSubject, "issuer %q", key)
	}
}

func TestClaimsAreKeepable(t *testing.T) {
	deep := any("end")
	for range 100 {
		deep = []any{deep}
	}
	got := claims(map[string]any{
		"name": "Ada\x00 \xff", "n": json.Number("12345678901234567890"), "huge": json.Number("1e999"), "null": nil,
		"deep": deep, "list": []any{"a\x00", json.Number("x")}, "map": map[string]any{"k\x00": true}, "typed": []string{"a"}, "odd": make(chan int),
	})
	text, err := json.Marshal(got)
	require.NoError(t, err)
	require.NotContains(t, string(text), "\\u0000")
	require.Equal(t, "Ada \uFFFD", got.String("name"))
	require.JSONEq(t, `12345678901234567890`, string(got["n"]))
	require.JSONEq(t, `["a"]`, string(got["list"]))
	require.JSONEq(t, `{"k":true}`, string(got["map"]))
	require.JSONEq(t, `["a"]`, string(got["typed"]))
	require.NotContains(t, got, "huge")
	require.NotContains(t, got, "null")
	require.NotContains(t, got, "odd")
	require.Less(t, strings.Count(string(got["deep"]), "["), 31)
}

// FuzzRead feeds what a provider's JSON may be: whatever comes, no key, address or claim
// is one that a database refuses.
func FuzzRead(f *testing.F) {
	f.Add("https://idp.example", "1234", "ada@example.com", true, `{"name":"Ada","n":1}`)
	f.Add("idp", "\u0000", "a@b@c", false, `{"a":{"b":[1e400,null,"\u0000"]}}`)
	f.Add("", "", "＠", true, `[]`)
	f.Fuzz(func(t *testing.T, issuer, subject, address string, verified bool, profile string) {
		var p map[string]any
		d := json.NewDecoder(strings.NewReader(profile))
		d.UseNumber()
		_ = d.Decode(&p)
		l, err := read(named("idp"), providers.Identity{
			Issuer: issuer, Subject: subject, Claims: p, Emails: []providers.Email{{Address: address, Verified: verified}},
		})
		if err != nil {
			return
		}
		if l.Issuer == "" || l.Subject == "" || strings.ContainsRune(l.Issuer+l.Subject+l.Address, 0) {
			t.Fatalf("kept %q %q %q", l.Issuer, l.Subject, l.Address)
		}
		if l.Proved && (l.Address == "" || !verified) {
			t.Fatal("an address counts as proved that the provider doesn't vouch for")
		}
		text, err := json.Marshal(l.Claims)
		if err != nil || strings.Contains(string(text), `\u0000`) {
			t.Fatalf("claims %s, %v", text, err)
		}
	})
}
