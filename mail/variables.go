package mail

import (
	"bytes"
	"encoding/json"
	"strings"
	texttemplate "text/template"
	"unicode"
	"unicode/utf8"
)

// variables are what a template can use. Their names are those of Supabase's templates.
type variables struct {
	SiteURL         string
	ConfirmationURL string
	Email           string // the account's present address
	NewEmail        string
	SendingTo       string // the address that the mail goes to
	Token           string // the code
	TokenHash       string // the token of the link
	RedirectTo      string
	Data            map[string]any // the user's metadata
	OldEmail        string
	Phone           string
	OldPhone        string
	Provider        string
	FactorType      string
}

// variablesOf gives the variables of an event. What is no JSON object is no metadata.
func variablesOf(e *Event) variables {
	v := variables{
		SiteURL: e.SiteURL, ConfirmationURL: e.ConfirmationURL,
		Email: e.Email, NewEmail: e.NewEmail, SendingTo: e.To,
		Token: e.Token, TokenHash: e.TokenHash, RedirectTo: e.RedirectTo,
		OldEmail: e.OldEmail, Phone: e.Phone, OldPhone: e.OldPhone,
		Provider: e.Provider, FactorType: e.FactorType,
	}
	if v.Email == "" {
		v.Email = e.To
	}
	if len(e.Data) > 0 {
		d := json.NewDecoder(bytes.NewReader(e.Data))
		d.UseNumber() // ids keep their digits
		if d.Decode(&v.Data) != nil {
			v.Data = nil
		}
	}
	return v
}

// sampleVariables are those of a user without metadata.
func sampleVariables() variables {
	return variables{
		SiteURL: "https://example.com", ConfirmationURL: "https://example.com/verify?token=t",
		Email: "a@example.com", NewEmail: "b@example.com", SendingTo: "a@example.com",
		Token: "123456", TokenHash: "t", RedirectTo: "https://example.com",
		OldEmail: "a@example.com", Phone: "15550100", OldPhone: "15550101",
		Provider: "google", FactorType: "totp",
	}
}

// plainVariables gives the variables of an event for plain text, where nothing escapes
// them: each is a single line, so that none can pass for a part of the text.
func plainVariables(e *Event) variables {
	v := variablesOf(e)
	for _, s := range []*string{
		&v.SiteURL, &v.ConfirmationURL, &v.Email, &v.NewEmail, &v.SendingTo, &v.Token, &v.TokenHash,
		&v.RedirectTo, &v.OldEmail, &v.Phone, &v.OldPhone, &v.Provider, &v.FactorType,
	} {
		*s = oneLine(*s)
	}
	return v
}

// maxSubject is how many characters of a subject are kept: far more than anybody sees,
// and few enough that a name of 64 kB does no harm.
const maxSubject = 200

// renderSubject writes a subject: plain text of one line.
func renderSubject(t *texttemplate.Template, v variables) (string, error) {
	var b strings.Builder
	if err := t.Execute(&b, v); err != nil {
		return "", err
	}
	// text/template writes this for a key that the metadata doesn't have.
	s := oneLine(strings.ReplaceAll(b.String(), "<no value>", ""))
	if utf8.RuneCountInString(s) > maxSubject {
		s = string([]rune(s)[:maxSubject-1]) + "…"
	}
	return s, nil
}

// oneLine replaces every run of white space and control characters by a blank, and drops
// what is invisible and would change the order or the look of the rest.
func oneLine(s string) string {
	if !needsCleaning(s) {
		return s
	}
	s = strings.ToValidUTF8(s, "\uFFFD")
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsControl(r), unicode.IsSpace(r), r == '\u2028', r == '\u2029':
			return ' '
		case unicode.Is(unicode.Bidi_Control, r):
			return -1
		}
		return r
	}, s)
	return strings.Join(strings.Fields(s), " ")
}

// needsCleaning is false for the visible ASCII text that most values are.
func needsCleaning(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] >= 0x7f {
			return true
		}
	}
	return false
}
