package mail

import (
	"html"
	"strings"
)

// textOf makes plain text of HTML: what an HTML mail says to somebody who reads text.
// Links keep their target, blocks become paragraphs, what isn't shown is left out.
func textOf(source string) string {
	var t textWriter
	for source != "" {
		open := strings.IndexByte(source, '<')
		if open < 0 {
			t.write(source)
			break
		}
		t.write(source[:open])
		source = t.tag(source[open:])
	}
	return t.String()
}

// textWriter collects the text. White space runs together, as HTML has it.
type textWriter struct {
	out   strings.Builder
	lines int    // line breaks that are due before the next word
	space bool   // a blank is due before the next word
	href  string // target of the link that is open
	label int    // where the open link's text begins
}

// tag handles the markup that s begins with and gives what follows it.
func (t *textWriter) tag(s string) string {
	if strings.HasPrefix(s, "<!--") {
		return after(s[4:], "-->")
	}
	name, attributes, rest, ok := splitTag(s)
	if !ok {
		t.write(s[:1]) // a lone "<" is text
		return s[1:]
	}
	switch name {
	case "script", "style", "title", "template", "head":
		return afterFold(rest, "</"+name)
	case "br":
		t.lines = min(t.lines+1, 2)
	case "a":
		t.endLink()
		t.href, t.label = href(attributes), t.out.Len()
	case "/a":
		t.endLink()
	case "li":
		t.block(1)
		t.write("- ")
		t.space = true
	case "p", "/p", "h1", "/h1", "h2", "/h2", "h3", "/h3", "h4", "/h4", "table", "/table",
		"ul", "/ul", "ol", "/ol", "blockquote", "/blockquote", "hr", "pre", "/pre":
		t.block(2)
	case "div", "/div", "tr", "/tr", "/li", "section", "/section", "header", "/header",
		"footer", "/footer", "center", "/center":
		t.block(1)
	case "td", "/td", "th", "/th":
		t.space = true
	}
	return rest
}

// splitTag takes the tag apart that s begins with; quoted attribute values may hold ">".
func splitTag(s string) (name, attributes, rest string, ok bool) {
	i := 1
	if i < len(s) && s[i] == '/' {
		i++
	}
	start := i
	for i < len(s) && isNameByte(s[i]) {
		i++
	}
	if i == start && !strings.HasPrefix(s, "<!") {
		return "", "", "", false
	}
	name = strings.ToLower(s[1:i])
	var quote byte
	for j := i; j < len(s); j++ {
		switch c := s[j]; {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '"' || c == '\'':
			quote = c
		case c == '>':
			return name, s[i:j], s[j+1:], true
		}
	}
	return name, "", "", true // it is never closed: nothing of it is shown
}

func isNameByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}

// href gives the web address among a link's attributes.
func href(attributes string) string {
	lower := asciiLower(attributes)
	for from := 0; ; {
		i := strings.Index(lower[from:], "href")
		if i < 0 {
			return ""
		}
		i += from
		from = i + len("href")
		value := strings.TrimLeft(attributes[from:], " \t\r\n")
		if !strings.HasPrefix(value, "=") || (i > 0 && !strings.ContainsRune(" \t\r\n/\"'", rune(attributes[i-1]))) {
			continue
		}
		value = strings.TrimLeft(value[1:], " \t\r\n")
		return webAddress(html.UnescapeString(unquote(value)))
	}
}

func unquote(value string) string {
	if value == "" {
		return ""
	}
	if q := value[0]; q == '"' || q == '\'' {
		value, _, _ = strings.Cut(value[1:], value[:1])
		return value
	}
	if end := strings.IndexAny(value, " \t\r\n"); end >= 0 {
		return value[:end]
	}
	return value
}

func webAddress(s string) string {
	s = oneLine(s)
	if strings.HasPrefix(s, "http://") || strings.HasPrefix(s, "https://") {
		return s
	}
	return ""
}

// endLink puts the target behind the text of the link that is open.
func (t *textWriter) endLink() {
	target := t.href
	t.href = ""
	if target == "" {
		return
	}
	if t.out.Len() == t.label {
		t.write(" " + html.EscapeString(target))
		return
	}
	if label := t.out.String()[t.label:]; strings.TrimSpace(label) != target {
		t.write(": " + html.EscapeString(target))
	}
}

// block ends the paragraph.
func (t *textWriter) block(lines int) { t.lines = max(t.lines, lines) }

// write adds text in which entities stand for characters.
func (t *textWriter) write(s string) {
	s = html.UnescapeString(s)
	if s == "" {
		return
	}
	words := strings.Fields(strings.ToValidUTF8(s, "\uFFFD"))
	if len(words) == 0 || strings.ContainsAny(s[:1], " \t\r\n") {
		t.space = true
	}
	for _, w := range words {
		switch {
		case t.out.Len() == 0:
		case t.lines > 0:
			t.out.WriteString("\n\n"[:t.lines])
		case t.space:
			t.out.WriteByte(' ')
		}
		t.lines, t.space = 0, true
		t.out.WriteString(oneLine(w))
	}
	if len(words) > 0 {
		t.space = strings.ContainsAny(s[len(s)-1:], " \t\r\n")
	}
}

// String gives the text with one line break at its end.
func (t *textWriter) String() string {
	t.endLink()
	if t.out.Len() == 0 {
		return ""
	}
	return t.out.String() + "\n"
}

// after gives what follows mark; "" if it doesn't occur.
func after(s, mark string) string {
	_, rest, _ := strings.Cut(s, mark)
	return rest
}

// afterFold gives what follows the tag that begins with mark, in lower or upper case.
func afterFold(s, mark string) string {
	i := strings.Index(asciiLower(s), mark)
	if i < 0 {
		return ""
	}
	return after(s[i:], ">")
}

// asciiLower keeps the length of s, which strings.ToLower doesn't promise.
func asciiLower(s string) string {
	b := []byte(s)
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}
