package mail

import (
	"html"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func get(t *testing.T, box *Mailbox, target string) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	box.ServeHTTP(w, httptest.NewRequest(http.MethodGet, target, nil))
	return w
}

func deliver(t *testing.T, box *Mailbox, kind Kind, to, subject string) {
	t.Helper()
	e := sampleEvent(kind, "en")
	e.To = to
	m := render(t, newRenderer(t, RendererConfig{}), e)
	m.Subject = subject
	require.NoError(t, box.Send(t.Context(), m))
}

func TestMailbox(t *testing.T) {
	box := &Mailbox{Limit: 2}
	_, ok := box.Last("")
	assert.False(t, ok)
	deliver(t, box, Confirmation, "ada@example.com", "one")
	deliver(t, box, Recovery, "bob@example.com", "two")
	deliver(t, box, Invite, "ada@example.com", "three")
	m, ok := box.Last("ADA@example.com")
	assert.True(t, ok)
	assert.Equal(t, "three", m.Subject)
	assert.Equal(t, "123456", m.Code())
	assert.Contains(t, m.Link(), "type=invite")
	m, _ = box.Last("bob@example.com")
	assert.Equal(t, "two", m.Subject)
	m, _ = box.Last("")
	assert.Equal(t, "three", m.Subject)
	_, ok = box.Last("eve@example.com")
	assert.False(t, ok)
	require.Len(t, box.Messages(), 2)
	assert.Equal(t, "two", box.Messages()[0].Subject, "the oldest made way")
	box.Clear()
	assert.Empty(t, box.Messages())

	err := box.Send(t.Context(), Message{To: "a@b\r\nBcc: c@d"})
	assert.True(t, Permanent(err))
	for range 150 {
		deliver(t, box, Confirmation, "ada@example.com", "x")
	}
	assert.Len(t, box.Messages(), 2)
}

func TestMailboxLimit(t *testing.T) {
	var box Mailbox
	for range defaultKept + 5 {
		require.NoError(t, box.Send(t.Context(), sampleMessage()))
	}
	assert.Len(t, box.Messages(), defaultKept)
}

func TestMailboxPages(t *testing.T) {
	var box Mailbox
	w := get(t, &box, "/key/")
	assert.Equal(t, 200, w.Code)
	assert.Contains(t, w.Body.String(), `id="empty"`)
	assert.Contains(t, w.Body.String(), `http-equiv="refresh"`)

	deliver(t, &box, Confirmation, "ada@example.com", "first")
	deliver(t, &box, Confirmation, "bob@example.com", "second <b>")
	list := get(t, &box, "/key/").Body.String()
	links := regexp.MustCompile(`<a class="subject" href="([^"]*)">`).FindAllStringSubmatch(list, -1)
	require.Len(t, links, 2)
	assert.Equal(t, "?mail=2", links[0][1], "the newest comes first, by a relative link")
	assert.Contains(t, list, "second &lt;b&gt;")

	w = get(t, &box, "/key/"+links[0][1])
	page := w.Body.String()
	assert.Contains(t, page, `<span id="code">123456</span>`)
	link := regexp.MustCompile(`<a id="confirm" href="([^"]*)">`).FindStringSubmatch(page)
	require.NotNil(t, link)
	assert.Equal(t, box.Messages()[1].Link(), html.UnescapeString(link[1]))
	assert.NotContains(t, page, `http-equiv="refresh"`)
	for name, want := range map[string]string{
		"Content-Type": "text/html; charset=utf-8", "Cache-Control": "no-store",
		"Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff",
	} {
		assert.Equal(t, want, w.Header().Get(name))
	}
	assert.Contains(t, w.Header().Get("Content-Security-Policy"), "default-src 'none'")
	assert.NotContains(t, w.Header().Get("Content-Security-Policy"), "script-src")
	sandbox := regexp.MustCompile(`sandbox="([^"]*)"`).FindStringSubmatch(page)
	require.NotNil(t, sandbox)
	assert.NotContains(t, sandbox[1], "allow-scripts")
	assert.NotContains(t, sandbox[1], "allow-same-origin")

	for _, target := range []string{"/?mail=3", "/?mail=0", "/?mail=", "/?mail=x", "/?mail=99999999999999999999"} {
		assert.Equal(t, 404, get(t, &box, target).Code, target)
	}
	w = httptest.NewRecorder()
	box.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/", nil))
	assert.Equal(t, 405, w.Code)
	assert.Equal(t, "GET, HEAD", w.Header().Get("Allow"))
}

// A hostile mail stays inside of its frame.
func TestMailboxEscapes(t *testing.T) {
	var box Mailbox
	evil := `"></iframe></pre><script>alert(1)</script>`
	require.NoError(t, box.Send(t.Context(), Message{
		Kind: Confirmation, To: "ada@example.com", From: `"` + strings.ReplaceAll(evil, `"`, "") + `" <x@example.com>`,
		Subject: evil, Text: evil + " https://x.test/?token=1\"onmouseover=1", HTML: evil, MessageID: "a@b",
	}))
	for _, target := range []string{"/", "/?mail=1"} {
		page := get(t, &box, target).Body.String()
		assert.NotContains(t, page, "<script>alert")
		assert.LessOrEqual(t, strings.Count(page, "</iframe>"), 1)
		assert.NotContains(t, page, `"onmouseover`)
	}
}

func TestMailboxRace(t *testing.T) {
	var (
		box Mailbox
		all sync.WaitGroup
	)
	for range 8 {
		all.Go(func() {
			for range 50 {
				_ = box.Send(t.Context(), sampleMessage())
				_, _ = box.Last("")
				box.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil))
			}
		})
	}
	all.Wait()
	assert.Len(t, box.Messages(), defaultKept)
}
