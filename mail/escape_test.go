package mail

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	attack    = `<a href="https://evil.example">win</a>`
	lineBreak = "x\r\nBcc: victim@example.com\r\n\r\nbody\u2028\u202e"
)

// hostile puts s into every field that somebody outside has a hand in.
func hostile(kind Kind, s string) Event {
	e := sampleEvent(kind, "en")
	e.Email, e.NewEmail, e.OldEmail, e.Phone, e.OldPhone, e.Provider, e.FactorType = s, s, s, s, s, s, s
	e.RedirectTo = s
	name, _ := json.Marshal(s)
	e.Data = json.RawMessage(`{"name":` + string(name) + `,"` + "k" + `":[` + string(name) + `]}`)
	return e
}

// all uses every variable in a body, an attribute and a link.
const all = `<p title="{{.Email}}">{{.Email}} {{.NewEmail}} {{.SendingTo}} {{.Data.name}} {{.Data}} {{.OldEmail}} {{.Phone}} {{.OldPhone}}
{{.Provider}} {{.FactorType}} {{.RedirectTo}} {{.Token}} {{.TokenHash}}</p><a href="{{.SiteURL}}/go?to={{.RedirectTo}}&amp;n={{.Data.name}}">go</a>
<a href="{{.RedirectTo}}">there</a>`

func TestWhatUsersTypeIsEscaped(t *testing.T) {
	custom := map[Kind]Template{}
	for _, info := range Kinds() {
		custom[info.Kind] = Template{HTML: all, Subject: `Hi {{.Data.name}} {{.Email}} {{.Provider}} {{.NewEmail}}`}
	}
	for name, config := range map[string]RendererConfig{"built-in": {}, "custom": {Templates: custom}} {
		r := newRenderer(t, config)
		for _, info := range Kinds() {
			t.Run(name+"/"+string(info.Kind), func(t *testing.T) {
				m := render(t, r, hostile(info.Kind, attack))
				assert.NotContains(t, m.HTML, "<a href=\"https://evil")
				assert.NotContains(t, m.HTML, "<a href=https://evil")
				assert.NotContains(t, m.HTML, `="https://evil`)
				// Plain text shows it as it is, and makes no link of it.
				assert.NotContains(t, m.Text, "win: https://evil.example")
				if name == "custom" {
					assert.Contains(t, m.HTML, "&lt;a href=")
					assert.Contains(t, m.Text, attack)
					assert.Contains(t, m.Subject, attack)
				}
				m = render(t, r, hostile(info.Kind, lineBreak))
				assert.False(t, strings.ContainsAny(m.Subject, "\r\n\u2028\u202e"), "%q", m.Subject)
				assert.NotContains(t, m.Text, "\r")
				assert.NotContains(t, m.Text, "\nBcc:")
				assert.NotContains(t, m.Text, "\u202e")

				m = render(t, r, hostile(info.Kind, "javascript:alert(1)"))
				assert.NotContains(t, m.HTML, `href="javascript:`)
			})
		}
	}
}

func TestSubjectsAreNotHTML(t *testing.T) {
	r := newRenderer(t, RendererConfig{Templates: map[Kind]Template{Invite: {Subject: "{{ .Data.name }} & {{ .Data.missing }}you\n{{ .Token }}"}}})
	e := sampleEvent(Invite, "fr")
	e.Data = json.RawMessage(`{"name":"O'Neil <x>"}`)
	m := render(t, r, e)
	assert.Equal(t, "O'Neil <x> & you 123456", m.Subject)
	assert.Equal(t, "fr", m.Locale, "the body is the built-in one")

	e.Data, _ = json.Marshal(map[string]string{"name": strings.Repeat("ü", 64<<10)})
	m = render(t, r, e)
	assert.Equal(t, strings.Repeat("ü", maxSubject-1)+"…", m.Subject)
}

func TestMetadata(t *testing.T) {
	r := newRenderer(t, RendererConfig{Templates: map[Kind]Template{
		Invite: {HTML: `<p>{{ .Data.id }}|{{ .Data.none }}|{{ with .Data.team }}{{ .name }}{{ end }}</p>`},
	}})
	for data, want := range map[string]string{
		`{"id":12345678901234567890,"team":{"name":"A&B"}}`: "<p>12345678901234567890||A&amp;B</p>",
		`{}`:        "<p>||</p>",
		`null`:      "<p>||</p>",
		``:          "<p>||</p>",
		`[1]`:       "<p>||</p>",
		`{"id":1`:   "<p>||</p>",
		`{"id":""}`: "<p>||</p>",
	} {
		e := sampleEvent(Invite, "en")
		e.Data = json.RawMessage(data)
		assert.Equal(t, want, render(t, r, e).HTML, data)
	}
}

func TestTextOf(t *testing.T) {
	for source, want := range map[string]string{
		"":                              "",
		"   \n ":                        "",
		"plain":                         "plain\n",
		"<p>one</p><p>two</p>":          "one\n\ntwo\n",
		"a<br>b<br/>c":                  "a\nb\nc\n",
		"a  \n b":                       "a b\n",
		"x<b>y</b>z":                    "xyz\n",
		"x <b>y</b> z":                  "x y z\n",
		"&lt;b&gt; &amp; &uuml;":        "<b> & ü\n",
		"<ul><li>a</li><li>b</li></ul>": "- a\n- b\n",
		"<head><title>t</title><style>p{}</style></head><body>b</body>": "b\n",
		"a<!-- <p> -->b": "ab\n",
		"a<script>if (1 < 2) alert('<p>')</script>b":                    "ab\n",
		`<a href="https://x.test/?a=1&amp;b=2">Go</a> now`:              "Go: https://x.test/?a=1&b=2 now\n",
		`<a href='https://x.test'>https://x.test</a>`:                   "https://x.test\n",
		`<a class=b href=https://x.test>Go</a>`:                         "Go: https://x.test\n",
		`<a data-href="https://no.test" HREF = "https://x.test">Go</a>`: "Go: https://x.test\n",
		`<a href="https://x.test"><img alt="a>b"></a>`:                  "https://x.test\n",
		`<a href="mailto:a@x.test">a@x.test</a>`:                        "a@x.test\n",
		`<a href="https://x.test">open`:                                 "open: https://x.test\n",
		"1 < 2 and 3 > 2":                                               "1 < 2 and 3 > 2\n",
		"<p":                                                            "",
		"a<":                                                            "a<\n",
		"<table><tr><td>a</td><td>b</td></tr><tr><td>c</td></tr></table>d": "a b\nc\n\nd\n",
	} {
		assert.Equal(t, want, textOf(source), "%q", source)
	}
}

func FuzzTextOf(f *testing.F) {
	for _, s := range []string{all, "<p>a</p>", `<a href="x`, "<!--", "<script>", "&#x0;&amp;lt;", "<a href='https://x'>\xff", "<!doctype html><li>"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		text := textOf(s)
		assert.False(t, strings.ContainsAny(text, "\r\x00\x1b"), "%q", text)
		assert.NotContains(t, text, "\n\n\n")
		if text != "" {
			require.True(t, strings.HasSuffix(text, "\n"))
		}
	})
}
