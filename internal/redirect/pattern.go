package redirect

import (
	"errors"
	"fmt"
	"strings"

	"github.com/gobwas/glob"
)

// maxAlternatives bounds what the braces of one pattern expand to.
const maxAlternatives = 256

// pattern is one entry of the allow list with its braces expanded. Scheme, authority
// and the rest are matched each with its own glob, so that no wildcard of the host
// reaches into a path: https://**.example.org/** doesn't match
// https://evil.test/.example.org/.
type pattern struct {
	scheme, authority, rest *glob.Pattern
	hostless                bool
}

func (p pattern) match(t target) bool {
	return p.hostless == t.hostless &&
		p.scheme.Match(t.scheme) && p.authority.Match(t.authority) && p.rest.Match(t.rest)
}

// compile reads one entry of the allow list.
func compile(text string) ([]pattern, error) {
	// The library's own reading of the whole finds what is malformed.
	if _, err := glob.Compile(text, '.', '/'); err != nil {
		return nil, err
	}
	texts, err := expand(text)
	if err != nil {
		return nil, err
	}
	patterns := make([]pattern, 0, len(texts))
	for _, text := range texts {
		p, err := compileOne(text)
		if err != nil {
			return nil, err
		}
		patterns = append(patterns, p)
	}
	return patterns, nil
}

func compileOne(text string) (pattern, error) {
	scheme, authority, rest, hostless := split(text)
	if scheme == "" {
		return pattern{}, errors.New("the scheme is empty")
	}
	if strings.HasSuffix(authority, "**") && rest == "" {
		// Without a path of its own, a ** at the end covers every path too.
		rest = "**"
	}
	p := pattern{hostless: hostless}
	var errs [3]error
	p.scheme, errs[0] = glob.Compile(strings.ToLower(scheme), '.', '/')
	p.authority, errs[1] = glob.Compile(strings.ToLower(authority), '.', '/')
	p.rest, errs[2] = glob.Compile(rest, '.', '/')
	return p, errors.Join(errs[:]...)
}

// split takes a brace-free pattern apart. One without a scheme is for https.
func split(text string) (scheme, authority, rest string, hostless bool) {
	scheme, after, ok := strings.Cut(text, "://")
	if !ok {
		if i := schemeEnd(text); i > 0 {
			return text[:i], "", text[i+1:], true
		}
		scheme, after = "https", text
	}
	end := authorityEnd(after)
	return scheme, after[:end], after[end:], false
}

// schemeEnd finds the colon of a pattern such as com.example.app:/done; it is 0 in
// one that begins with a host and perhaps a port, such as localhost:3000/** or
// localhost:*.
func schemeEnd(text string) int {
	i := strings.IndexByte(text, ':')
	if i <= 0 || i+1 == len(text) || strings.ContainsAny(text[:i], `/*?[\`) {
		return 0
	}
	if next := text[i+1]; '0' <= next && next <= '9' || strings.IndexByte(`*?[\`, next) >= 0 {
		return 0
	}
	return i
}

// authorityEnd finds the first slash outside of a character class.
func authorityEnd(s string) int {
	class := false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\\':
			i++
		case c == '[':
			class = true
		case c == ']':
			class = false
		case c == '/' && !class:
			return i
		}
	}
	return len(s)
}

// expand writes out the alternatives of a well-formed pattern: a{b,c}d is abd and
// acd. Alternatives may hold alternatives.
func expand(text string) ([]string, error) {
	open, alternatives, end := braces(text)
	if open < 0 {
		return []string{text}, nil
	}
	var all []string
	for _, alternative := range alternatives {
		texts, err := expand(text[:open] + alternative + text[end:])
		if err != nil {
			return nil, err
		}
		all = append(all, texts...)
		if len(all) > maxAlternatives {
			return nil, fmt.Errorf("its braces stand for more than %d patterns", maxAlternatives)
		}
	}
	return all, nil
}

// braces finds the first outermost braces: where they open, what they choose from,
// and where the text goes on behind them. open is -1 if there are none.
func braces(text string) (open int, alternatives []string, end int) {
	open = -1
	depth, from, class := 0, 0, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\\':
			i++
		case class:
			class = c != ']'
		case c == '[':
			class = true
		case c == '{':
			if depth++; depth == 1 {
				open, from = i, i+1
			}
		case c == ',' && depth == 1:
			alternatives = append(alternatives, text[from:i])
			from = i + 1
		case c == '}' && depth > 0:
			if depth--; depth == 0 {
				return open, append(alternatives, text[from:i]), i + 1
			}
		}
	}
	return -1, nil, 0
}
