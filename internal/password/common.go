package password

import (
	"bytes"
	"compress/gzip"
	_ "embed"
	"io"
	"strings"
	"sync"
	"unicode"
)

// commonList has the 13,000 passwords of six characters or more that most people choose,
// 10,000 of them of eight or more: one a line, in small letters, sorted by bytes. It is
// made by scripts/common-passwords.sh of the list of @zxcvbn-ts/language-common; for the
// licence (MIT) see the file NOTICE.
//
//go:embed common.txt.gz
var commonList []byte

// commonText is the list unpacked, 120 kB, once somebody needs it.
var commonText = sync.OnceValues(func() (string, error) {
	r, err := gzip.NewReader(bytes.NewReader(commonList))
	if err != nil {
		return "", err
	}
	text, err := io.ReadAll(r)
	return string(text), err
})

// isCommon reports whether most attackers would try a password early on, in whatever
// case of letters.
func isCommon(pw string) (bool, error) {
	text, err := commonText()
	return err == nil && hasLine(text, strings.ToLower(pw)), err
}

// hasLine reports whether one of the sorted lines of a text is line.
func hasLine(text, line string) bool {
	for low, high := 0, len(text); low < high; {
		middle := low + (high-low)/2
		begin := strings.LastIndexByte(text[:middle], '\n') + 1
		end := middle + strings.IndexByte(text[middle:], '\n')
		switch strings.Compare(line, text[begin:end]) {
		case 0:
			return true
		case -1:
			high = begin
		default:
			low = end + 1
		}
	}
	return false
}

// leastWord is the length of the shortest word that counts as one of somebody's own.
const leastWord = 4

// isOwn reports whether a password is one of the words, in whatever case of letters, or
// but for what isn't a letter at its ends.
func isOwn(pw string, words []string) bool {
	pw = strings.ToLower(pw)
	for _, w := range words {
		if w = strings.ToLower(w); len(w) >= leastWord && (pw == w || bare(pw) == bare(w) && len(bare(w)) >= leastWord) {
			return true
		}
	}
	return false
}

// bare is a word without what isn't a letter at its ends.
func bare(s string) string {
	return strings.TrimFunc(s, func(r rune) bool { return !unicode.IsLetter(r) })
}

// OwnWords are the words of somebody's address that must not be his password: it, its
// name, its name without a label, its domain; or a number in the ways in which one dials
// it.
func OwnWords(address string) []string {
	name, domain, found := strings.Cut(address, "@")
	if !found {
		return dialled(strings.ReplaceAll(strings.TrimPrefix(strings.TrimSpace(address), "+"), " ", ""))
	}
	short, _, _ := strings.Cut(name, "+")
	return []string{address, name, short, domain}
}

const (
	longestCode  = 4 // digits of the longest calling code, with the area's for numbers under 1
	leastDialled = 7
)

// dialled are a number as it is dialled from abroad and at home, where the calling code
// is left out and often a 0 is put in its place.
func dialled(number string) []string {
	words := []string{number, "+" + number, "00" + number}
	for cut := 1; cut <= longestCode && len(number)-cut >= leastDialled; cut++ {
		words = append(words, number[cut:], "0"+number[cut:])
	}
	return words
}

// HostWords are the words of a service's host: it, the domains that it lies in, and
// their names.
func HostWords(host string) []string {
	var words []string
	for strings.Contains(host, ".") {
		label, rest, _ := strings.Cut(host, ".")
		words = append(words, host, label)
		host = rest
	}
	if words == nil && host != "" {
		words = []string{host}
	}
	return words
}
