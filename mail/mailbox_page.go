package mail

import (
	"bytes"
	_ "embed" // for mailbox.html
	"html/template"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"
)

//go:embed mailbox.html
var mailboxHTML string

// mailboxPages are the pages, parsed when the first of them is asked for.
type mailboxPages struct {
	once   sync.Once
	parsed *template.Template
	err    error
}

func (p *mailboxPages) get() (*template.Template, error) {
	p.once.Do(func() { p.parsed, p.err = template.New("mailbox").Parse(mailboxHTML) })
	return p.parsed, p.err
}

// refreshSeconds is how often the list of mails looks for new ones.
const refreshSeconds = 3

// mailView is a mail as the pages show it.
type mailView struct {
	Number            int
	Kind              Kind
	To, From, Subject string
	Date, Text, HTML  string
	Link, Code        string
}

type mailboxPage struct {
	Title   string
	Refresh int // seconds; 0 for never
	Mails   []mailView
	Notes   []Note
	Mail    mailView
}

// ServeHTTP shows the list of mails, newest first, and with ?mail=NUMBER one of them. All
// its links are relative, so that it can be mounted anywhere. Whoever can reach it can read
// every mail: it is for development, at a place that only the developer knows. What a mail
// holds can neither run scripts nor load anything.
func (b *Mailbox) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	if !r.URL.Query().Has("mail") {
		page := mailboxPage{Title: "Development inbox", Refresh: refreshSeconds}
		for _, m := range slices.Backward(b.all()) {
			page.Mails = append(page.Mails, lineOf(m))
		}
		if b.Beside != nil {
			page.Notes = b.Beside()
		}
		b.servePage(w, "list", page)
		return
	}
	number, err := strconv.Atoi(r.URL.Query().Get("mail"))
	m, ok := b.number(number)
	if err != nil || !ok {
		http.Error(w, "there is no such mail", http.StatusNotFound)
		return
	}
	b.servePage(w, "mail", mailboxPage{Title: m.Subject, Mail: view(m)})
}

// lineOf is a mail in the list.
func lineOf(r received) mailView {
	v := mailView{Number: r.number, Kind: r.Kind, To: r.To, From: r.From, Subject: r.Subject}
	if !r.Date.IsZero() {
		v.Date = r.Date.UTC().Format(time.DateTime) + " UTC"
	}
	return v
}

// view is a whole mail.
func view(r received) mailView {
	v := lineOf(r)
	v.Text, v.Link, v.Code = r.plain(), r.Link(), r.Code()
	if r.HTML != "" {
		// Without a target the links of the frame would open inside of it.
		v.HTML = `<base target="_blank">` + r.HTML
	}
	return v
}

func (b *Mailbox) servePage(w http.ResponseWriter, name string, page mailboxPage) {
	pages, err := b.pages.get()
	var body bytes.Buffer
	if err == nil {
		err = pages.ExecuteTemplate(&body, name, page)
	}
	if err != nil {
		http.Error(w, "the page can't be shown", http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	// Mails are styled in place; nothing else of them is let through.
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
	h.Set("Referrer-Policy", "no-referrer") // the address of the inbox is a secret
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Robots-Tag", "noindex")
	_, _ = w.Write(body.Bytes())
}
