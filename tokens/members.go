package tokens

import (
	"encoding/json"
	"fmt"
	"strings"
)

// eachMember calls fn for each member of the object in text, with the name and the JSON
// text of the value. text must be valid JSON. Names count exactly, unlike with
// encoding/json, and only once: RFC 7519, 4 lets us refuse doubled ones, of which every
// reader takes another.
func eachMember(text string, fn func(name, value string) error) error {
	i := skipSpace(text, 0)
	if text[i] != '{' {
		return fmt.Errorf("%w: payload is not a JSON object", ErrClaims)
	}
	seen := make(map[string]bool, 16)
	for i = skipSpace(text, i+1); text[i] != '}'; {
		end := skipString(text, i)
		name, err := memberName(text[i:end])
		if err != nil {
			return err
		}
		if seen[name] {
			return fmt.Errorf("%w: a claim is given twice", ErrClaims)
		}
		seen[name] = true

		i = skipSpace(text, skipSpace(text, end)+1) // the colon
		end = skipValue(text, i)
		if err := fn(name, text[i:end]); err != nil {
			return err
		}
		if i = skipSpace(text, end); text[i] == ',' {
			i = skipSpace(text, i+1)
		}
	}
	return nil
}

func memberName(quoted string) (string, error) {
	if !strings.Contains(quoted, `\`) {
		return quoted[1 : len(quoted)-1], nil
	}
	var name string
	if err := json.Unmarshal([]byte(quoted), &name); err != nil {
		return "", fmt.Errorf("%w: payload is not JSON", ErrClaims)
	}
	return name, nil
}

// The skip functions give the index after what begins at i. As the text is known to be
// valid, they only look for where things end.

func skipSpace(text string, i int) int {
	for i < len(text) && strings.IndexByte(" \t\r\n", text[i]) >= 0 {
		i++
	}
	return i
}

func skipString(text string, i int) int {
	for i++; text[i] != '"'; i++ {
		if text[i] == '\\' {
			i++
		}
	}
	return i + 1
}

func skipValue(text string, i int) int {
	switch text[i] {
	case '"':
		return skipString(text, i)
	case '{', '[':
		return skipNested(text, i)
	}
	return i + strings.IndexAny(text[i:], ",} \t\r\n")
}

func skipNested(text string, i int) int {
	for depth := 0; ; i++ {
		switch text[i] {
		case '"':
			i = skipString(text, i) - 1
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
}
