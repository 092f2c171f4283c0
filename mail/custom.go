package mail

import (
	"context"
	"errors"
	"fmt"
	htmltemplate "html/template"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	texttemplate "text/template"

	"golang.org/x/text/language"
)

// custom is a mail that the host replaced, wholly or in part.
type custom struct {
	languages *languages // that the body is written in; nil if the body is the built-in one
	subjects  map[string]*texttemplate.Template
	htmls     map[string]*htmltemplate.Template
	texts     map[string]*texttemplate.Template
	remote    *remote // where the body without a locale is fetched; nil if it isn't

	subject *texttemplate.Template // in every language; nil if there is none
}

// newCustom reads what the host has for a kind; nil if it has nothing.
func newCustom(config *RendererConfig, kind Kind, files kindFiles) (*custom, error) {
	t := config.Templates[kind]
	if t.sources() > 1 {
		return nil, errors.New("set only one of HTML, File and URL")
	}
	if t == (Template{}) && files == nil {
		return nil, nil
	}
	c := &custom{
		subjects: make(map[string]*texttemplate.Template),
		htmls:    make(map[string]*htmltemplate.Template),
		texts:    make(map[string]*texttemplate.Template),
	}
	base := config.Locale
	if t.sources() > 0 {
		// A body that is set replaces the files of every language.
		files = nil
	}
	if err := c.addFiles(files, base); err != nil {
		return nil, err
	}
	if err := c.addTemplate(config, t, base); err != nil {
		return nil, err
	}
	if err := c.order(base); err != nil {
		return nil, err
	}
	return c, c.try()
}

// addTemplate parses what the Template of the kind sets.
func (c *custom) addTemplate(config *RendererConfig, t Template, base string) (err error) {
	if t.Subject != "" {
		if c.subject, err = parseText("subject", t.Subject); err != nil {
			return err
		}
	}
	if t.Text != "" {
		if c.texts[base], err = parseText("text", t.Text); err != nil {
			return err
		}
	}
	source := t.HTML
	switch {
	case t.URL != "":
		c.remote, err = newRemote(config, t.URL)
		return err
	case t.File != "":
		dir, name := filepath.Split(t.File)
		if source, err = readFile(os.DirFS(filepath.Clean(dir)), name, config.MaxSize); err != nil {
			return err
		}
	case source == "":
		return nil
	}
	if int64(len(source)) > config.MaxSize {
		return tooLarge(config.MaxSize)
	}
	c.htmls[base], err = parseHTML(source)
	return err
}

// addFiles parses the files of the kind.
func (c *custom) addFiles(files kindFiles, base string) (err error) {
	for key, source := range files {
		locale := key.locale
		if locale == "" {
			locale = base
		}
		switch key.part {
		case "html":
			c.htmls[locale], err = parseHTML(source)
		case "txt":
			c.texts[locale], err = parseText("text", source)
		case "subject":
			c.subjects[locale], err = parseText("subject", source)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", key.file, err)
		}
	}
	return nil
}

// order finds the languages of the body. The one without a locale of its own comes first.
func (c *custom) order(base string) error {
	var names []string
	for locale := range c.htmls {
		names = append(names, locale)
	}
	if c.remote != nil && !slices.Contains(names, base) {
		names = append(names, base)
	}
	if len(names) == 0 {
		if len(c.texts) > 0 {
			return errors.New("it has a text but no HTML: add the HTML")
		}
		return nil
	}
	for locale := range c.texts {
		if !slices.Contains(names, locale) {
			return fmt.Errorf("its text in %q has no HTML beside it", locale)
		}
	}
	slices.SortFunc(names, func(a, b string) int {
		switch base {
		case a:
			return -1
		case b:
			return 1
		}
		return strings.Compare(a, b)
	})
	preferred, err := language.Parse(base)
	if err != nil {
		return err
	}
	c.languages = newLanguages(names, preferred)
	return nil
}

// try writes the mail once for a user without metadata, so that a misspelt variable is
// seen when the program starts.
func (c *custom) try() error {
	v := sampleVariables()
	for _, t := range c.htmls {
		if err := t.Execute(io.Discard, v); err != nil {
			return err
		}
	}
	for _, set := range []map[string]*texttemplate.Template{c.texts, c.subjects, {"": c.subject}} {
		for _, t := range set {
			if t == nil {
				continue
			}
			if err := t.Execute(io.Discard, v); err != nil {
				return err
			}
		}
	}
	return nil
}

// render writes the mail; what the host hasn't replaced comes from the built-in one.
func (c *custom) render(ctx context.Context, e *Event, builtin *catalog) (m Message, err error) {
	if c.languages == nil {
		if m, err = builtin.render(e, builtin.languages.choose(e.Locale)); err != nil {
			return Message{}, err
		}
	} else if m, err = c.body(ctx, e, c.languages.choose(e.Locale)); err != nil {
		return Message{}, err
	}
	subject := c.subject
	if subject == nil {
		subject = c.subjects[m.Locale]
	}
	switch {
	case subject != nil:
		m.Subject, err = renderSubject(subject, plainVariables(e))
	case c.languages != nil:
		m.Subject, err = builtin.subject(e, builtin.languages.choose(m.Locale))
	}
	return m, err
}

// body writes the custom body in one of its languages.
func (c *custom) body(ctx context.Context, e *Event, locale string) (Message, error) {
	t := c.htmls[locale]
	if t == nil {
		var err error
		if t, err = c.remote.template(ctx); err != nil {
			return Message{}, err
		}
	}
	var html strings.Builder
	if err := t.Execute(&html, variablesOf(e)); err != nil {
		return Message{}, err
	}
	m := Message{HTML: html.String(), Locale: locale}
	if text := c.texts[locale]; text != nil {
		var plain strings.Builder
		if err := text.Execute(&plain, plainVariables(e)); err != nil {
			return Message{}, err
		}
		m.Text = strings.ReplaceAll(plain.String(), "<no value>", "")
		return m, nil
	}
	m.Text = textOf(m.HTML)
	return m, nil
}

func parseHTML(source string) (*htmltemplate.Template, error) {
	return htmltemplate.New("body").Parse(source)
}

func parseText(name, source string) (*texttemplate.Template, error) {
	return texttemplate.New(name).Parse(source)
}

// kindFiles are the files of one kind.
type kindFiles map[fileKey]string

type fileKey struct {
	part   string // "html", "txt", "subject"
	locale string // "" if the name has none
	file   string
}

// readTemplates reads the files whose names are those of mails. Others are left alone,
// except for those that end like them and name no mail, or no language.
func readTemplates(files fs.FS, limit int64) (map[Kind]kindFiles, error) {
	if files == nil {
		return nil, nil
	}
	entries, err := fs.ReadDir(files, ".")
	if err != nil {
		return nil, fmt.Errorf("mail: FS: %w", err)
	}
	found := make(map[Kind]kindFiles)
	for _, entry := range entries {
		if entry.IsDir() {
			continue
		}
		kind, key, err := parseName(entry.Name())
		if err != nil {
			return nil, err
		}
		if kind == "" {
			continue
		}
		source, err := readFile(files, entry.Name(), limit)
		if err != nil {
			return nil, fmt.Errorf("mail: template of %s: %w", kind, err)
		}
		if found[kind] == nil {
			found[kind] = make(kindFiles)
		}
		found[kind][key] = source
	}
	return found, nil
}

// parseName takes the name of a template file apart; the kind is "" if it is none. A
// name that ends like one is meant as one.
func parseName(name string) (Kind, fileKey, error) {
	ext := path.Ext(name)
	part := strings.TrimPrefix(ext, ".")
	if part != "html" && part != "txt" && part != "subject" {
		return "", fileKey{}, nil
	}
	stem, locale, _ := strings.Cut(strings.TrimSuffix(name, ext), ".")
	kind := Kind(stem)
	if _, ok := kind.Info(); !ok {
		return "", fileKey{}, fmt.Errorf("mail: the template %s is of no kind of mail: %q is none of %s", name, stem, kindNames())
	}
	if locale != "" {
		if _, err := language.Parse(locale); err != nil {
			return "", fileKey{}, fmt.Errorf("mail: template of %s: the %q in %s is no language", kind, locale, name)
		}
	}
	return kind, fileKey{part: part, locale: locale, file: name}, nil
}

// kindNames are the kinds of mail, for a message.
func kindNames() string {
	var names []string
	for _, k := range Kinds() {
		names = append(names, string(k.Kind))
	}
	return strings.Join(names, ", ")
}

// readFile reads a whole file; one over the limit is an error.
func readFile(files fs.FS, name string, limit int64) (string, error) {
	f, err := files.Open(name)
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }()
	return readAll(f, limit)
}

// readAll reads all of r; more than the limit is an error.
func readAll(r io.Reader, limit int64) (string, error) {
	b, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return "", err
	}
	if int64(len(b)) > limit {
		return "", tooLarge(limit)
	}
	return string(b), nil
}

func tooLarge(limit int64) error { return fmt.Errorf("it is larger than %d bytes", limit) }
