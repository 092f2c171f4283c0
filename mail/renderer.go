package mail

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"golang.org/x/text/language"
)

// Template says where the mail of one kind comes from. At most one of HTML, File and URL
// is set; with none of them the body is the one of [RendererConfig.FS], else the built-in
// one.
//
// Bodies are html/template, subjects and texts are text/template. All see these variables:
//
//	.SiteURL .ConfirmationURL .Email .NewEmail .SendingTo .Token .TokenHash .RedirectTo
//	.Data .OldEmail .Phone .OldPhone .Provider .FactorType
//
// .Data is the user's metadata. A variable that the kind doesn't have is empty.
type Template struct {
	// Subject is the subject in every language; "" for the built-in one of the reader's.
	Subject string
	// HTML is the body itself.
	HTML string
	// File is the path of a file that holds the body. It is read once.
	File string
	// URL is where the body is fetched: an absolute URL, or a path on the site.
	URL string
	// Text is the text part; "" for one that is made from the HTML.
	Text string
}

func (t Template) sources() (n int) {
	for _, s := range []string{t.HTML, t.File, t.URL} {
		if s != "" {
			n++
		}
	}
	return n
}

// RendererConfig is what a [Renderer] needs. The zero value makes the built-in mails.
type RendererConfig struct {
	// SiteURL is the site that a Template.URL which is a path lies on.
	SiteURL string
	// Locale is the language of readers whose own isn't known or isn't there, as a
	// BCP 47 tag. Default "en". It is also the language that custom templates without a
	// locale of their own are taken to be in.
	Locale string
	// Templates replaces mails by kind.
	Templates map[Kind]Template
	// FS replaces mails by file: "KIND.html" is the body, "KIND.txt" its text part,
	// "KIND.subject" the subject; "KIND.LOCALE.html" and so on are the same in another
	// language ("confirmation.de.html"). They are read once.
	FS fs.FS

	// Client fetches templates. Default: a client of its own without further settings.
	Client *http.Client
	// Timeout bounds one fetch. Default 10 s.
	Timeout time.Duration
	// MaxAge is how long a fetched template is used before it is fetched again.
	// Default 10 min.
	MaxAge time.Duration
	// RetryAfter is how long a fetch that failed isn't repeated. Default 10 s.
	RetryAfter time.Duration
	// MaxSize is how many bytes a template may have, whatever its source. A larger one
	// is an error, never cut. Default 1,000,000.
	MaxSize int64

	// Now is the clock. Default time.Now.
	Now func() time.Time
	// Logger gets the warnings. Default: none are written.
	Logger *slog.Logger
}

func (c RendererConfig) withDefaults() RendererConfig {
	if c.Locale == "" {
		c.Locale = builtinLocales()[0]
	}
	if c.Client == nil {
		c.Client = &http.Client{}
	}
	if c.Timeout <= 0 {
		c.Timeout = 10 * time.Second
	}
	if c.MaxAge <= 0 {
		c.MaxAge = 10 * time.Minute
	}
	if c.RetryAfter <= 0 {
		c.RetryAfter = 10 * time.Second
	}
	if c.MaxSize <= 0 {
		c.MaxSize = 1_000_000
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

// Renderer makes messages of events. It is safe for concurrent use.
type Renderer struct {
	config  RendererConfig
	builtin *catalog
	custom  map[Kind]*custom
}

// NewRenderer makes a Renderer. It refuses a template that doesn't parse, that can't be
// read, or that fails for a user without metadata; the error names its kind. A template
// that can't be fetched is only a warning: the built-in mail takes its place until it can.
// It waits for the fetches, config.Timeout at most.
func NewRenderer(config RendererConfig) (*Renderer, error) {
	config = config.withDefaults()
	preferred, err := language.Parse(config.Locale)
	if err != nil {
		return nil, fmt.Errorf("mail: Locale %q is no language: use a BCP 47 tag such as \"de\"", config.Locale)
	}
	for kind := range config.Templates {
		if _, ok := kind.Info(); !ok {
			return nil, fmt.Errorf("mail: Templates names %q, which is no kind of mail", kind)
		}
	}
	r := &Renderer{config: config, custom: make(map[Kind]*custom)}
	if r.builtin, err = newCatalog(preferred); err != nil {
		return nil, err
	}
	files, err := readTemplates(config.FS, config.MaxSize)
	if err != nil {
		return nil, err
	}
	for _, info := range Kinds() {
		c, err := newCustom(&r.config, info.Kind, files[info.Kind])
		if err != nil {
			return nil, fmt.Errorf("mail: template of %s: %w", info.Kind, err)
		}
		if c != nil {
			r.custom[info.Kind] = c
		}
	}
	r.warm()
	return r, nil
}

// warm fetches the templates that are to be fetched, so that a wrong URL is seen at once.
func (r *Renderer) warm() {
	var all sync.WaitGroup
	for kind, c := range r.custom {
		if c.remote == nil {
			continue
		}
		all.Go(func() {
			if _, err := c.remote.template(context.Background()); err != nil {
				r.warn(kind, err)
			}
		})
	}
	all.Wait()
}

// Render writes the mail of e. A custom template that can't be had or fails is replaced by
// the built-in mail, subject included, with a warning. It fails if e.Kind is no kind of
// mail, or if ctx ends while a template is fetched.
func (r *Renderer) Render(ctx context.Context, e Event) (Message, error) {
	if _, ok := e.Kind.Info(); !ok {
		return Message{}, fmt.Errorf("mail: %q is no kind of mail", e.Kind)
	}
	m, err := r.body(ctx, &e)
	if err != nil {
		return Message{}, err
	}
	m.Kind, m.To, m.MessageID, m.Date = e.Kind, e.To, e.MessageID, e.Time
	if m.Date.IsZero() {
		m.Date = r.config.Now()
	}
	return m, nil
}

func (r *Renderer) body(ctx context.Context, e *Event) (Message, error) {
	c := r.custom[e.Kind]
	if c == nil {
		return r.builtin.render(e, r.builtin.languages.choose(e.Locale))
	}
	m, err := c.render(ctx, e, r.builtin)
	if err == nil {
		return m, nil
	}
	if ctx.Err() != nil {
		return Message{}, ctx.Err()
	}
	if !errors.Is(err, errResting) {
		r.warn(e.Kind, err)
	}
	return r.builtin.render(e, r.builtin.languages.choose(e.Locale))
}

func (r *Renderer) warn(kind Kind, err error) {
	r.config.Logger.Warn("mail template can't be used, the built-in mail takes its place",
		"kind", string(kind), "error", err)
}
