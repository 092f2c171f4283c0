package mail

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/text/language"
)

var update = flag.Bool("update", false, "write the golden files anew")

// sampleEvent is an event of a kind as the flows write it.
func sampleEvent(kind Kind, locale string) Event {
	info, _ := kind.Info()
	e := Event{
		Kind: kind, To: "ada@example.com", Locale: locale, SiteURL: "https://app.example.com", Email: "ada@example.com",
		MessageID: "0199@example.com", Data: json.RawMessage(`{"name":"Ada"}`),
		Time: time.Date(2025, 3, 4, 5, 6, 7, 0, time.UTC),
	}
	if info.LinkType != "" {
		e.ConfirmationURL = "https://app.example.com/auth/verify?token=0123abcd&type=" + info.LinkType + "&redirect_to=https%3A%2F%2Fapp.example.com"
		e.TokenHash, e.RedirectTo = "0123abcd", e.SiteURL
	}
	if info.Code {
		e.Token = "123456"
	}
	switch kind {
	case EmailChange:
		e.NewEmail, e.To = "countess@example.com", "countess@example.com"
	case EmailChanged:
		e.OldEmail, e.Email = "ada@example.com", "countess@example.com"
	case PhoneChanged:
		e.OldPhone, e.Phone = "15550100", "15550101"
	case IdentityLinked, IdentityUnlinked:
		e.Provider = "google"
	case MFAFactorEnrolled, MFAFactorUnenrolled:
		e.FactorType = "totp"
	}
	return e
}

func newRenderer(t testing.TB, config RendererConfig) *Renderer {
	t.Helper()
	r, err := NewRenderer(config)
	require.NoError(t, err)
	return r
}

func render(t testing.TB, r *Renderer, e Event) Message {
	t.Helper()
	m, err := r.Render(t.Context(), e)
	require.NoError(t, err)
	return m
}

func TestGolden(t *testing.T) {
	r := newRenderer(t, RendererConfig{})
	for _, locale := range []string{"en", "de"} {
		for _, info := range Kinds() {
			t.Run(locale+"/"+string(info.Kind), func(t *testing.T) {
				m := render(t, r, sampleEvent(info.Kind, locale))
				assert.Equal(t, locale, m.Locale)
				golden(t, filepath.Join("testdata", locale, string(info.Kind)+".txt"), "Subject: "+m.Subject+"\n\n"+m.Text)
				golden(t, filepath.Join("testdata", locale, string(info.Kind)+".html"), m.HTML)
			})
		}
	}
}

func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(got), 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err, "go test ./mail -update writes it")
	assert.Equal(t, string(want), got)
}

// Every language has every text of every mail, and uses the variables that English uses.
func TestLocalesAreComplete(t *testing.T) {
	english, err := readWording("en")
	require.NoError(t, err)
	for _, locale := range builtinLocales() {
		w, err := readWording(locale)
		require.NoError(t, err)
		assert.NotEmpty(t, w.OrCode, locale)
		assert.NotEmpty(t, w.Code, locale)
		assert.Len(t, w.Mails, len(Kinds()), locale)
		for _, info := range Kinds() {
			got, want := w.Mails[info.Kind], english.Mails[info.Kind]
			at := fmt.Sprintf("%s %s", locale, info.Kind)
			for name, texts := range map[string][2]string{
				"subject": {got.Subject, want.Subject}, "heading": {got.Heading, want.Heading},
				"text": {got.Text, want.Text}, "button": {got.Button, want.Button}, "note": {got.Note, want.Note},
			} {
				assert.Equal(t, texts[1] == "", texts[0] == "", "%s: %s", at, name)
				for _, v := range []string{".Token", ".Email", ".NewEmail", ".OldEmail", ".Phone", ".OldPhone", ".Provider", ".FactorType", ".SiteURL"} {
					assert.Equal(t, strings.Contains(texts[1], v+" "), strings.Contains(texts[0], v+" "), "%s: %s uses %s", at, name, v)
				}
				if locale != "en" && texts[1] != "" {
					assert.NotEqual(t, texts[1], texts[0], "%s: %s isn't translated", at, name)
				}
			}
		}
	}
}

// What the list of kinds says of a subject is what the English mail has.
func TestKinds(t *testing.T) {
	english, err := readWording("en")
	require.NoError(t, err)
	seen := map[string]bool{}
	for _, info := range Kinds() {
		assert.Equal(t, english.Mails[info.Kind].Subject, info.Subject)
		assert.Equal(t, strings.ToUpper(string(info.Kind)), info.Key)
		assert.False(t, seen[info.Key])
		seen[info.Key] = true
	}
	assert.Len(t, seen, 14)
	for key, subject := range map[string]string{
		"CONFIRMATION": "Confirm your email address", "INVITE": "You've been invited", "RECOVERY": "Reset your password",
		"MAGIC_LINK": "Your sign-in link", "EMAIL_CHANGE": "Confirm your new email address",
		"REAUTHENTICATION": "{{ .Token }} is your verification code",
	} {
		info, ok := Kind(strings.ToLower(key)).Info()
		assert.True(t, ok)
		assert.Equal(t, subject, info.Subject)
	}
	_, ok := Kind("newsletter").Info()
	assert.False(t, ok)
}

// Every mail in every language shows its link and its code so that a person, and a test,
// can find them.
func TestLinkAndCode(t *testing.T) {
	r := newRenderer(t, RendererConfig{})
	for _, locale := range builtinLocales() {
		for _, info := range Kinds() {
			e := sampleEvent(info.Kind, locale)
			m := render(t, r, e)
			assert.Equal(t, e.Token, m.Code(), "%s %s", locale, info.Kind)
			link := e.ConfirmationURL
			if info.Kind == AccountExists {
				link = e.SiteURL
			}
			assert.Equal(t, link, m.Link(), "%s %s", locale, info.Kind)
			m.Text = ""
			assert.Equal(t, e.Token, m.Code(), "%s %s, from HTML", locale, info.Kind)
			assert.Equal(t, link, m.Link(), "%s %s, from HTML", locale, info.Kind)
		}
	}
}

// Nothing is loaded from elsewhere, and nothing but mail clients' common ground is used.
func TestBuiltinIsSelfContained(t *testing.T) {
	r := newRenderer(t, RendererConfig{})
	for _, info := range Kinds() {
		body := render(t, r, sampleEvent(info.Kind, "en")).HTML
		for _, no := range []string{"<script", "<link", "<img", "src=", "url(", "@import", "<style"} {
			assert.NotContains(t, body, no)
		}
	}
}

func TestLocale(t *testing.T) {
	for _, c := range []struct{ wish, fallback, want string }{
		{"", "", "en"},
		{"de", "", "de"},
		{"de-AT", "", "de"},
		{"de_CH", "", "de"},
		{"pt-BR", "", "pt"},
		{"ja-JP", "", "ja"},
		{"fr-CH, fr;q=0.9, en;q=0.8, de;q=0.7, *;q=0.5", "", "fr"},
		{"sv, es;q=0.5", "", "es"},
		{"en-GB,en;q=0.9,de;q=0.8", "de", "en"},
		{"fi", "", "en"},
		{"fi", "fr", "fr"},
		{"", "de", "de"},
		{"", "de-AT", "de"},
		{"", "fi", "en"},
		{"\x00\xff", "", "en"},
		{"de;q=x", "", "en"},
		{strings.Repeat("de,", 500), "", "en"}, // too long to be honest
		{strings.Repeat("-", 200), "", "en"},
	} {
		r := newRenderer(t, RendererConfig{Locale: c.fallback})
		m := render(t, r, sampleEvent(Confirmation, c.wish))
		assert.Equal(t, c.want, m.Locale, "%q with default %q", c.wish, c.fallback)
		assert.Contains(t, m.HTML, `<html lang="`+c.want+`">`)
	}
	_, err := NewRenderer(RendererConfig{Locale: "klingonese!"})
	require.ErrorContains(t, err, `Locale "klingonese!"`)
}

func FuzzLocale(f *testing.F) {
	for _, s := range []string{"", "de", "fr-CH, fr;q=0.9", "*", "-", "zh-Hant-TW;q=0.3", "x-private", "\xff"} {
		f.Add(s)
	}
	l := newLanguages(builtinLocales(), mustTag("en"))
	f.Fuzz(func(t *testing.T, wish string) {
		assert.Contains(t, builtinLocales(), l.choose(wish))
	})
}

func TestRenderFills(t *testing.T) {
	now := time.Date(2025, 1, 2, 3, 4, 5, 0, time.UTC)
	r := newRenderer(t, RendererConfig{Now: func() time.Time { return now }})
	e := sampleEvent(Recovery, "en")
	m := render(t, r, e)
	assert.Equal(t, e.To, m.To)
	assert.Equal(t, e.MessageID, m.MessageID)
	assert.Equal(t, Recovery, m.Kind)
	assert.Equal(t, e.Time, m.Date)
	e.Time = time.Time{}
	assert.Equal(t, now, render(t, r, e).Date)
	e.Kind = "newsletter"
	_, err := r.Render(t.Context(), e)
	require.ErrorContains(t, err, `"newsletter"`)
}

// An event is kept as JSON while it waits.
func TestEventJSON(t *testing.T) {
	e := sampleEvent(EmailChange, "de")
	raw, err := json.Marshal(e)
	require.NoError(t, err)
	var back Event
	require.NoError(t, json.Unmarshal(raw, &back))
	assert.Equal(t, e, back)
}

func BenchmarkRender(b *testing.B) {
	r := newRenderer(b, RendererConfig{})
	e := sampleEvent(Confirmation, "fr-CH, fr;q=0.9, en;q=0.8")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := r.Render(b.Context(), e); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkNewRenderer(b *testing.B) {
	for b.Loop() {
		if _, err := NewRenderer(RendererConfig{}); err != nil {
			b.Fatal(err)
		}
	}
}

func mustTag(s string) language.Tag { return language.MustParse(s) }
