package mail

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func file(s string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(s)} }

func TestSources(t *testing.T) {
	path := filepath.Join(t.TempDir(), "recovery.tmpl")
	require.NoError(t, os.WriteFile(path, []byte(`<p>file {{ .Token }}</p>`), 0o600))
	r := newRenderer(t, RendererConfig{
		Templates: map[Kind]Template{
			Confirmation: {HTML: "<p>value {{ .Token }}</p>", Text: "text {{ .Token }}", Subject: "S {{ .Token }}"},
			Recovery:     {File: path},
			MagicLink:    {Subject: "Only the subject"},
			EmailChange:  {HTML: "<p>value wins</p>"},
		},
		FS: fstest.MapFS{
			"invite.html":          file("<p>files {{ .Token }}</p>"),
			"email_change.html":    file("<p>unused</p>"),
			"email_change.fr.html": file("<p>unused</p>"),
			"README.md":            file("{{ nothing to see"),
			"parts/logo.html":      file("{{ neither"),
		},
	})
	for kind, want := range map[Kind][3]string{
		Confirmation: {"<p>value 123456</p>", "text 123456", "S 123456"},
		Recovery:     {"<p>file 123456</p>", "file 123456\n", "Reset your password"},
		Invite:       {"<p>files 123456</p>", "files 123456\n", "You've been invited"},
		EmailChange:  {"<p>value wins</p>", "value wins\n", "Confirm your new email address"},
	} {
		// The custom bodies are in English, whoever reads them.
		m := render(t, r, sampleEvent(kind, "fr"))
		assert.Equal(t, want, [3]string{m.HTML, m.Text, m.Subject}, kind)
		assert.Equal(t, "en", m.Locale)
	}
	m := render(t, r, sampleEvent(MagicLink, "fr"))
	assert.Equal(t, "Only the subject", m.Subject)
	assert.Contains(t, m.Text, "Suivez le lien")
}

func TestFilesByLocale(t *testing.T) {
	r := newRenderer(t, RendererConfig{Locale: "de", FS: fstest.MapFS{
		"confirmation.html":          file("<p>deutsch</p>"),
		"confirmation.pt-BR.html":    file("<p>brasileiro</p>"),
		"confirmation.pt-BR.txt":     file("texto"),
		"confirmation.pt-BR.subject": file("Assunto {{ .Token }}\n"),
		"confirmation.sv.html":       file("<p>svenska</p>"),
		"invite.fr.html":             file("<p>français</p>"),
		"recovery.subject":           file("Neues Passwort"),
	}})
	for _, c := range []struct {
		kind                                Kind
		wish, html, text, subject, language string
	}{
		{Confirmation, "", "<p>deutsch</p>", "deutsch\n", "Bestätigen Sie Ihre E-Mail-Adresse", "de"},
		{Confirmation, "en", "<p>deutsch</p>", "deutsch\n", "Bestätigen Sie Ihre E-Mail-Adresse", "de"},
		{Confirmation, "pt", "<p>brasileiro</p>", "texto", "Assunto 123456", "pt-BR"},
		{Confirmation, "sv-FI", "<p>svenska</p>", "svenska\n", "Bestätigen Sie Ihre E-Mail-Adresse", "sv"},
		{Invite, "de", "<p>français</p>", "français\n", "Vous avez reçu une invitation", "fr"}, // it's the only one
	} {
		m := render(t, r, sampleEvent(c.kind, c.wish))
		assert.Equal(t, []string{c.html, c.text, c.subject, c.language}, []string{m.HTML, m.Text, m.Subject, m.Locale}, c.wish)
	}
	m := render(t, r, sampleEvent(Recovery, "de"))
	assert.Equal(t, "Neues Passwort", m.Subject)
	assert.Contains(t, m.Text, "Öffnen Sie")
	m = render(t, r, sampleEvent(Recovery, "ja"))
	assert.Equal(t, "パスワードの再設定", m.Subject)
}

func TestNewRendererRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		config RendererConfig
		want   []string
	}{
		"unknown kind":     {RendererConfig{Templates: map[Kind]Template{"newsletter": {HTML: "x"}}}, []string{`"newsletter"`}},
		"two sources":      {RendererConfig{Templates: map[Kind]Template{Invite: {HTML: "x", URL: "https://x.test"}}}, []string{"invite", "only one of HTML, File and URL"}},
		"html":             {RendererConfig{Templates: map[Kind]Template{Invite: {HTML: "{{ if }}"}}}, []string{"invite", "missing value"}},
		"subject":          {RendererConfig{Templates: map[Kind]Template{Invite: {Subject: "{{ end }}"}}}, []string{"invite", "unexpected"}},
		"text":             {RendererConfig{Templates: map[Kind]Template{Invite: {HTML: "x", Text: "{{"}}}, []string{"invite"}},
		"text alone":       {RendererConfig{Templates: map[Kind]Template{Invite: {Text: "x"}}}, []string{"invite", "add the HTML"}},
		"unknown variable": {RendererConfig{Templates: map[Kind]Template{Recovery: {HTML: "{{ .ConfirmationUrl }}"}}}, []string{"recovery", "ConfirmationUrl"}},
		"unknown in subject": {
			RendererConfig{Templates: map[Kind]Template{Recovery: {Subject: "{{ .Name }}"}}}, []string{"recovery", "Name"}},
		"unescapable":  {RendererConfig{Templates: map[Kind]Template{Recovery: {HTML: `<a href='{{ .SiteURL }}`}}}, []string{"recovery", "ends in a non-text context"}},
		"no such file": {RendererConfig{Templates: map[Kind]Template{MagicLink: {File: "/nowhere/at/all.html"}}}, []string{"magic_link", "all.html"}},
		"path without site": {
			RendererConfig{Templates: map[Kind]Template{MagicLink: {URL: "/mails/x.html"}}}, []string{"magic_link", "SiteURL"}},
		"no URL":          {RendererConfig{Templates: map[Kind]Template{MagicLink: {URL: "http://"}}}, []string{"magic_link", "no web address"}},
		"too large":       {RendererConfig{MaxSize: 3, Templates: map[Kind]Template{MagicLink: {HTML: "1234"}}}, []string{"magic_link", "larger than 3 bytes"}},
		"large file":      {RendererConfig{MaxSize: 3, FS: fstest.MapFS{"invite.html": file("1234")}}, []string{"invite", "larger than 3 bytes"}},
		"broken file":     {RendererConfig{FS: fstest.MapFS{"invite.de.html": file("{{")}}, []string{"invite", "invite.de.html"}},
		"no language":     {RendererConfig{FS: fstest.MapFS{"invite.draft2025.html": file("x")}}, []string{"invite", "draft2025"}},
		"no kind":         {RendererConfig{FS: fstest.MapFS{"confirm.html": file("x")}}, []string{"confirm.html", "confirmation, invite"}},
		"no kind's text":  {RendererConfig{FS: fstest.MapFS{"magiclink.de.subject": file("x")}}, []string{"magiclink.de.subject", "magic_link"}},
		"text of nothing": {RendererConfig{FS: fstest.MapFS{"invite.html": file("x"), "invite.de.txt": file("x")}}, []string{"invite", `"de"`}},
	} {
		_, err := NewRenderer(c.config)
		for _, want := range c.want {
			assert.ErrorContains(t, err, want, name)
		}
	}
}

// templateServer serves a template and can be made to misbehave.
type templateServer struct {
	*httptest.Server
	hits   atomic.Int32
	answer atomic.Pointer[http.HandlerFunc]
}

func newTemplateServer(t *testing.T) *templateServer {
	s := &templateServer{}
	s.says("<p>v1 {{ .Token }}</p>")
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.hits.Add(1)
		(*s.answer.Load())(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *templateServer) does(h http.HandlerFunc) { s.answer.Store(&h) }

func (s *templateServer) says(body string) {
	s.does(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(body)) })
}

// clock is a clock to be turned.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Date(2025, 3, 4, 5, 6, 7, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) turn(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func TestFetchedTemplate(t *testing.T) {
	var (
		server = newTemplateServer(t)
		clock  = newClock()
		log    bytes.Buffer
		event  = sampleEvent(Confirmation, "de")
	)
	r := newRenderer(t, RendererConfig{
		SiteURL: server.URL + "/", Now: clock.Now, Logger: slog.New(slog.NewTextHandler(&log, nil)),
		Templates: map[Kind]Template{Confirmation: {URL: "mails/confirmation.html", Subject: "Custom"}},
	})
	body := func() string { t.Helper(); return render(t, r, event).HTML }

	assert.EqualValues(t, 1, server.hits.Load(), "it is fetched when the program starts")
	assert.Equal(t, "<p>v1 123456</p>", body())
	server.says("<p>v2</p>")
	clock.turn(10*time.Minute - 1)
	assert.Equal(t, "<p>v1 123456</p>", body(), "it is kept for ten minutes")
	clock.turn(1)
	assert.Equal(t, "<p>v2</p>", body())
	assert.Empty(t, log.String())

	clock.turn(10 * time.Minute)
	server.does(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })
	hits := server.hits.Load()
	assert.Equal(t, "<p>v2</p>", body(), "the last good one takes its place")
	assert.Equal(t, "<p>v2</p>", body())
	assert.Equal(t, hits+1, server.hits.Load(), "a failure isn't repeated at once")
	assert.Equal(t, 1, strings.Count(log.String(), "status 418"), log.String())
	clock.turn(10 * time.Second)
	server.says("<p>v3</p>")
	assert.Equal(t, "<p>v3</p>", body(), "but ten seconds later")
	clock.turn(10 * time.Minute)
	server.says("{{ broken")
	assert.Equal(t, "<p>v3</p>", body())
}

func TestFetchFails(t *testing.T) {
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		logged string
	}{
		"404":      {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(404) }, "status 404"},
		"204":      {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) }, "status 204"},
		"broken":   {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("{{ .Token")) }, "unclosed action"},
		"unsafe":   {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`<a href='{{ .SiteURL }}`)) }, "non-text context"},
		"variable": {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("{{ .Nme }}")) }, ""},
		"large":    {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, 101)) }, "larger than 100 bytes"},
		"hangs up": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "EOF"},
		"slow":     {func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, "deadline exceeded"},
	} {
		t.Run(name, func(t *testing.T) {
			server, clock := newTemplateServer(t), newClock()
			server.does(c.answer)
			timeout := time.Minute
			if name == "slow" {
				timeout = time.Second
			}
			var log bytes.Buffer
			r := newRenderer(t, RendererConfig{
				Now: clock.Now, Logger: slog.New(slog.NewTextHandler(&log, nil)), MaxSize: 100, Timeout: timeout,
				Templates: map[Kind]Template{Confirmation: {URL: strings.Replace(server.URL, "//", "//user:hunter2@", 1) + "/t?key=hunter2", Subject: "Custom"}},
			})
			assert.Contains(t, log.String(), c.logged)
			before := log.String()
			m := render(t, r, sampleEvent(Confirmation, "de"))
			assert.Contains(t, m.Text, "Öffnen Sie", "the built-in body, in the reader's language")
			assert.Equal(t, "Bestätigen Sie Ihre E-Mail-Adresse", m.Subject, "and its subject")
			if c.logged != "" {
				assert.Equal(t, before, log.String(), "it isn't said again before the next attempt")
			} else {
				assert.Contains(t, log.String(), "Nme")
			}
			assert.NotContains(t, log.String(), "hunter2")

			server.says("<p>good</p>")
			clock.turn(10 * time.Minute)
			assert.Equal(t, "<p>good</p>", render(t, r, sampleEvent(Confirmation, "de")).HTML)
			assert.Equal(t, "Custom", render(t, r, sampleEvent(Confirmation, "de")).Subject)
		})
	}
}

// While one caller fetches, nobody else does: the others go on with what there is, or
// wait for it if there is nothing.
func TestOneFetchAtATime(t *testing.T) {
	server, clock := newTemplateServer(t), newClock()
	r := newRenderer(t, RendererConfig{Now: clock.Now, Templates: map[Kind]Template{Confirmation: {URL: server.URL}}})
	event := sampleEvent(Confirmation, "en")

	entered, release := make(chan struct{}), make(chan struct{})
	server.does(func(w http.ResponseWriter, _ *http.Request) {
		close(entered)
		<-release
		_, _ = w.Write([]byte("<p>v2</p>"))
	})
	clock.turn(time.Hour)
	var fetcher sync.WaitGroup
	fetcher.Go(func() { _, _ = r.Render(context.Background(), event) })
	<-entered
	for range 10 {
		assert.Equal(t, "<p>v1 123456</p>", render(t, r, event).HTML)
	}
	close(release)
	fetcher.Wait()
	assert.Equal(t, "<p>v2</p>", render(t, r, event).HTML)
	assert.EqualValues(t, 2, server.hits.Load())
}

func TestFirstFetchIsShared(t *testing.T) {
	server, clock := newTemplateServer(t), newClock()
	server.does(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) })
	r := newRenderer(t, RendererConfig{Now: clock.Now, Templates: map[Kind]Template{Confirmation: {URL: server.URL}}})
	server.says("<p>v1</p>")
	clock.turn(time.Minute)
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			m, err := r.Render(context.Background(), sampleEvent(Confirmation, "en"))
			assert.NoError(t, err)
			assert.Equal(t, "<p>v1</p>", m.HTML)
		})
	}
	all.Wait()
	assert.EqualValues(t, 2, server.hits.Load())
}

// Somebody who goes away while he fetches isn't a failure of the template.
func TestFetchCancelled(t *testing.T) {
	server, clock := newTemplateServer(t), newClock()
	server.does(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) })
	r := newRenderer(t, RendererConfig{Now: clock.Now, Templates: map[Kind]Template{Confirmation: {URL: server.URL}}})
	clock.turn(time.Minute)
	ctx, cancel := context.WithCancel(t.Context())
	server.does(func(_ http.ResponseWriter, r *http.Request) { cancel(); <-r.Context().Done() })
	_, err := r.Render(ctx, sampleEvent(Confirmation, "en"))
	require.ErrorIs(t, err, context.Canceled)
	server.says("<p>v1</p>")
	assert.Equal(t, "<p>v1</p>", render(t, r, sampleEvent(Confirmation, "en")).HTML)
}
