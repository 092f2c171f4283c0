package sms

import (
	"cmp"
	"html"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

const (
	// maxSaid bounds what is kept of a service's words, maxRead what is looked at.
	maxSaid = 300
	maxRead = 16 << 10
	// shortestCode is the number of digits from which a number in a text is taken for a
	// code.
	shortestCode = 4
	redacted     = "[redacted]"
)

// digits find what may be codes in a body.
var digits = regexp.MustCompile(`\d{4,}`)

// secrets are texts that must not be in an error. The values may be empty.
type secrets []string

// of are the secrets of a message: what it says, to whom, and its code, which may also
// have been cut short.
func (s secrets) of(m Message) secrets {
	all := append(slices.Clone(s), m.Body, m.To)
	for _, code := range append(digits.FindAllString(m.Body, -1), m.Code) {
		for n := len(code); n >= min(len(code), shortestCode); n-- {
			all = append(all, code[:n])
			if n == 0 || !allDigits(code) {
				break
			}
		}
	}
	return all
}

// scrub makes one line of a service's words, without the secrets in whatever form it
// repeats them.
func (s secrets) scrub(said string) string {
	if len(said) > maxRead {
		return ""
	}
	said = oneLine(said)
	patterns := s.patterns()
	for _, p := range patterns {
		said = p.ReplaceAllLiteralString(said, redacted)
	}
	for _, p := range patterns {
		if p.MatchString(said) || p.MatchString(html.UnescapeString(said)) || p.MatchString(unescaped(said)) {
			return "" // encoded, or made up of what is left
		}
	}
	if len(said) > maxSaid {
		said = strings.ToValidUTF8(said[:maxSaid], "") + "…"
	}
	return said
}

// patterns find the secrets, longest first: in upper and lower case, and digits also with
// something between them.
func (s secrets) patterns() []*regexp.Regexp {
	all := slices.Clone(s)
	slices.SortFunc(all, func(a, b string) int { return cmp.Compare(len(b), len(a)) })
	var patterns []*regexp.Regexp
	for _, one := range slices.Compact(all) {
		switch one = oneLine(one); {
		case one == "":
		case allDigits(one):
			patterns = append(patterns, regexp.MustCompile(strings.Join(strings.Split(one, ""), `[\s.\-]?`)))
		default:
			patterns = append(patterns, regexp.MustCompile(`(?i)`+regexp.QuoteMeta(one)))
		}
	}
	return patterns
}

// unescaped undoes what encodes a form; a text that isn't encoded stays.
func unescaped(said string) string {
	if plain, err := url.QueryUnescape(said); err == nil {
		return plain
	}
	return said
}

func allDigits(s string) bool {
	return len(s) >= shortestCode && strings.Trim(s, "0123456789") == ""
}

// oneLine makes printable text of one line of s.
func oneLine(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return ' '
		}
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, ""))
	return strings.Join(strings.Fields(s), " ")
}
