package redirect

import (
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxTarget bounds a target in bytes: browsers and proxies cut longer ones anyway.
const maxTarget = 4096

// target is a URL taken apart as text, after it was made sure that every reader takes
// it apart in the same way.
type target struct {
	scheme    string // lower case
	authority string // host and port, lower case, with the brackets of an IPv6 address
	host      string // lower case, without brackets
	port      string // digits, or ""
	hostless  bool   // no "//" after the scheme, as in com.example.app:/done
	rest      string // path and query as written, without the fragment
}

// parse reads s, and refuses what two readers could take for different places: user
// names, backslashes, blanks, control characters, escapes in the host, other than
// two slashes after http and https.
func parse(s string) (target, bool) {
	if s == "" || len(s) > maxTarget || !utf8.ValidString(s) || strings.ContainsFunc(s, isUnsafe) {
		return target{}, false
	}
	u, err := url.Parse(s)
	if err != nil || u.User != nil || isForbiddenScheme(u.Scheme) {
		return target{}, false
	}
	s, _, _ = strings.Cut(s, "#")
	scheme, after, ok := strings.Cut(s, ":")
	t := target{scheme: strings.ToLower(scheme)}
	if !ok || t.scheme == "" || t.scheme != u.Scheme {
		return target{}, false
	}
	if !strings.HasPrefix(after, "//") {
		t.hostless, t.rest = true, after
		return t, !t.isWeb()
	}
	after = after[2:]
	end := strings.IndexAny(after, "/?")
	if end < 0 {
		end = len(after)
	}
	t.authority, t.rest = strings.ToLower(after[:end]), after[end:]
	t.host, t.port = strings.ToLower(u.Hostname()), u.Port()
	if !t.wellFormed(u.Host) {
		return target{}, false
	}
	return t, true
}

// wellFormed checks the authority: what our split found is what net/url found, and it
// is nothing but a host and perhaps a port.
func (t target) wellFormed(host string) bool {
	if t.authority != strings.ToLower(host) || strings.ContainsAny(t.authority, "%@") {
		return false
	}
	if !isASCII(t.authority) || strings.HasSuffix(t.authority, ":") {
		return false
	}
	if n, err := strconv.Atoi(t.port); t.port != "" && (err != nil || n > 65535) {
		return false
	}
	return t.host != "" || !t.isWeb()
}

func (t target) isWeb() bool { return t.scheme == "http" || t.scheme == "https" }

// ip gives the host as an address if it is a literal; not valid otherwise.
func (t target) ip() netip.Addr {
	ip, err := netip.ParseAddr(t.host)
	if err != nil {
		return netip.Addr{}
	}
	return ip.Unmap()
}

// isLocal reports whether the host is this machine, by name or address.
func (t target) isLocal() bool {
	ip := t.ip()
	return ip.IsLoopback() || ip.IsValid() && ip.IsUnspecified() ||
		t.host == "localhost" || strings.HasSuffix(t.host, ".localhost") && isHostName(t.host)
}

// isListable reports whether an allow list may name t at all: it isn't another
// machine's address, in whatever disguise, and its path is the one that is matched.
func (t target) isListable() bool {
	if ip := t.ip(); ip.IsValid() && !ip.IsLoopback() {
		return false
	}
	if t.isWeb() && !isHostName(t.host) {
		return false
	}
	digits := t.host != "" && strings.Trim(t.host, "0123456789") == ""
	return !digits && !t.hasDotSegment()
}

// hasDotSegment reports whether the path has a segment that clients resolve away, so
// that they go elsewhere than what a pattern for the path was matched with.
func (t target) hasDotSegment() bool {
	path, _, _ := strings.Cut(t.rest, "?")
	for segment := range strings.SplitSeq(path, "/") {
		segment = strings.ReplaceAll(strings.ToLower(segment), "%2e", ".")
		if segment == "." || segment == ".." {
			return true
		}
	}
	return false
}

// isUnsafe names the characters that no target has: browsers drop tabs and line
// feeds, and read a backslash as a slash.
func isUnsafe(r rune) bool {
	return r == '\\' || r == utf8.RuneError || unicode.IsControl(r) || unicode.IsSpace(r)
}

// isForbiddenScheme names the schemes that run or show what the URL itself holds, or
// read what lies on the client's machine.
func isForbiddenScheme(s string) bool {
	switch s {
	case "javascript", "data", "vbscript", "file", "blob", "filesystem", "about",
		"view-source", "jar", "livescript", "mocha":
		return true
	}
	return false
}

// isHostName reports whether s may be the name of a web host: letters, digits, dots
// and hyphens, beginning and ending with a letter or digit, no empty label, and not
// what a browser reads as a number in disguise (127.1, 0x7f.0.0.1).
func isHostName(s string) bool {
	if s == "" || !isAlphanumeric(s[0]) || !isAlphanumeric(s[len(s)-1]) || strings.Contains(s, "..") {
		return false
	}
	for i := range len(s) {
		if c := s[i]; !isAlphanumeric(c) && c != '.' && c != '-' {
			return false
		}
	}
	last := s[strings.LastIndexByte(s, '.')+1:]
	if _, err := strconv.ParseUint(last, 0, 64); err == nil {
		return false
	}
	return strings.Trim(last, "0123456789") != ""
}

func isAlphanumeric(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}
