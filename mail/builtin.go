package mail

import (
	"embed"
	"encoding/json"
	"fmt"
	htmltemplate "html/template"
	"strings"
	"sync"
	texttemplate "text/template"

	"golang.org/x/text/language"
)

//go:embed layout.html layout.txt locales/*.json
var builtinFiles embed.FS

// builtinLocales are the languages that the built-in mails are written in; English, the
// one that every other falls back to, comes first.
func builtinLocales() []string { return []string{"en", "de", "fr", "es", "pt", "ja"} }

// wording is the file of one language.
type wording struct {
	OrCode string         `json:"or_code"` // before the code, after a link
	Code   string         `json:"code"`    // before the code, without a link
	Mails  map[Kind]words `json:"mails"`
}

// words are the texts of one mail; each is a template.
type words struct {
	Subject string `json:"subject"`
	Heading string `json:"heading"`
	Text    string `json:"text"`
	Button  string `json:"button"`
	Note    string `json:"note"`
}

// catalog holds the built-in mails of all languages. A mail's templates are parsed when
// the mail is first asked for.
type catalog struct {
	languages *languages
	mails     map[string]map[Kind]func() (*builtinMail, error) // by locale
}

// builtinMail is one built-in mail in one language.
type builtinMail struct {
	subject *texttemplate.Template
	text    *texttemplate.Template
	html    *htmltemplate.Template
}

func newCatalog(preferred language.Tag) (*catalog, error) {
	html, err := builtinFiles.ReadFile("layout.html")
	if err != nil {
		return nil, err
	}
	text, err := builtinFiles.ReadFile("layout.txt")
	if err != nil {
		return nil, err
	}
	c := &catalog{mails: make(map[string]map[Kind]func() (*builtinMail, error))}
	for _, locale := range builtinLocales() {
		w, err := readWording(locale)
		if err != nil {
			return nil, err
		}
		byKind := make(map[Kind]func() (*builtinMail, error), len(w.Mails))
		for kind := range w.Mails {
			byKind[kind] = sync.OnceValues(func() (*builtinMail, error) {
				return parseBuiltin(w, kind, string(html), string(text))
			})
		}
		c.mails[locale] = byKind
	}
	c.languages = newLanguages(builtinLocales(), preferred)
	return c, nil
}

func readWording(locale string) (wording, error) {
	var w wording
	raw, err := builtinFiles.ReadFile("locales/" + locale + ".json")
	if err != nil {
		return w, err
	}
	if err := json.Unmarshal(raw, &w); err != nil {
		return w, fmt.Errorf("mail: locale %s: %w", locale, err)
	}
	return w, nil
}

func parseBuiltin(w wording, kind Kind, htmlLayout, textLayout string) (*builtinMail, error) {
	var (
		m     builtinMail
		err   error
		texts = w.Mails[kind]
		named = map[string]string{
			"heading": texts.Heading, "text": texts.Text, "button": texts.Button,
			"note": texts.Note, "or_code": w.OrCode, "code": w.Code,
		}
	)
	if m.subject, err = texttemplate.New("subject").Parse(texts.Subject); err != nil {
		return nil, err
	}
	if m.text, err = texttemplate.New("layout.txt").Parse(textLayout); err != nil {
		return nil, err
	}
	if m.html, err = htmltemplate.New("layout.html").Parse(htmlLayout); err != nil {
		return nil, err
	}
	for name, source := range named {
		if _, err = m.text.New(name).Parse(source); err != nil {
			return nil, err
		}
		if _, err = m.html.New(name).Parse(source); err != nil {
			return nil, err
		}
	}
	return &m, nil
}

// builtinData is what the built-in mails are made from.
type builtinData struct {
	variables
	Lang   string
	Action string // where the button leads; "" for a mail without one
}

// subject writes the built-in subject.
func (c *catalog) subject(e *Event, locale string) (string, error) {
	m, err := c.mail(e.Kind, locale)
	if err != nil {
		return "", err
	}
	return renderSubject(m.subject, plainVariables(e))
}

// render writes the built-in mail.
func (c *catalog) render(e *Event, locale string) (Message, error) {
	m, err := c.mail(e.Kind, locale)
	if err != nil {
		return Message{}, err
	}
	data := builtinData{variables: plainVariables(e), Lang: locale, Action: e.ConfirmationURL}
	if e.Kind == AccountExists && data.Action == "" {
		data.Action = e.SiteURL
	}
	var text, html strings.Builder
	if err := m.text.Execute(&text, data); err != nil {
		return Message{}, err
	}
	if err := m.html.Execute(&html, data); err != nil {
		return Message{}, err
	}
	subject, err := renderSubject(m.subject, data.variables)
	if err != nil {
		return Message{}, err
	}
	return Message{Subject: subject, Text: text.String(), HTML: html.String(), Locale: locale}, nil
}

func (c *catalog) mail(kind Kind, locale string) (*builtinMail, error) {
	byKind, ok := c.mails[locale]
	if !ok {
		byKind = c.mails[builtinLocales()[0]]
	}
	parse, ok := byKind[kind]
	if !ok {
		return nil, fmt.Errorf("mail: no built-in mail of kind %q", kind)
	}
	return parse()
}
