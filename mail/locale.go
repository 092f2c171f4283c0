package mail

import (
	"golang.org/x/text/language"
)

// maxLocale bounds what is parsed of a language wish, which comes from outside.
const maxLocale = 256

// languages chooses among the languages that a mail is written in.
type languages struct {
	names   []string // in the order of the matcher's tags
	matcher language.Matcher
}

// newLanguages makes a chooser; a wish that can't be met gets preferred if it is among
// the names, else the first name.
func newLanguages(names []string, preferred language.Tag) *languages {
	tags := make([]language.Tag, len(names))
	for i, n := range names {
		tags[i] = language.Make(n)
	}
	_, first, confidence := language.NewMatcher(tags).Match(preferred)
	if confidence == language.No {
		first = 0
	}
	l := &languages{names: []string{names[first]}}
	ordered := []language.Tag{tags[first]}
	for i := range names {
		if i != first {
			l.names, ordered = append(l.names, names[i]), append(ordered, tags[i])
		}
	}
	l.matcher = language.NewMatcher(ordered)
	return l
}

// choose gives the name of the language that meets the wish best: a BCP 47 tag, or the
// value of an Accept-Language header (RFC 9110 section 12.5.4).
func (l *languages) choose(wish string) string {
	if wish == "" || len(wish) > maxLocale {
		return l.names[0]
	}
	tags, _, err := language.ParseAcceptLanguage(wish)
	if err != nil {
		return l.names[0]
	}
	_, i, confidence := l.matcher.Match(tags...)
	if confidence == language.No {
		return l.names[0]
	}
	return l.names[i]
}
