package mail

import (
	"errors"
	"fmt"
	netmail "net/mail"
	"net/textproto"
	"strings"
)

// maxAddress is the longest address that a mail server must accept (RFC 5321 section
// 4.5.3.1.3, without the angle brackets).
const maxAddress = 254

var errNoAddress = errors.New("mail: no address")

// bareAddress checks an address without display name, comments, white space or control
// characters, and gives it back.
func bareAddress(s string) (string, error) {
	if len(s) > maxAddress || strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
		return "", errNoAddress
	}
	parsed, err := netmail.ParseAddress(s)
	if err != nil || parsed.Name != "" || parsed.Address != s {
		return "", errNoAddress
	}
	return s, nil
}

// validMessageID checks the id-left "@" id-right of RFC 5322 section 3.6.4.
func validMessageID(id string) bool {
	left, right, ok := strings.Cut(id, "@")
	return ok && left != "" && right != "" && len(id) <= maxAddress &&
		!strings.ContainsFunc(id, func(r rune) bool { return r <= ' ' || r >= 0x7f || r == '<' || r == '>' }) &&
		!strings.Contains(right, "@")
}

// checkHeaders refuses header fields that would take the place of a field that a Message
// has, or that would break out of theirs.
func checkHeaders(headers map[string][]string) error {
	for name, values := range headers {
		if !validHeaderName(name) {
			return fmt.Errorf("%q is no name of a header field", name)
		}
		if reserved(canonicalHeader(name)) {
			return fmt.Errorf("%s can't be set here, it is made of the message", canonicalHeader(name))
		}
		for _, v := range values {
			if strings.ContainsAny(v, "\r\n\x00") {
				return fmt.Errorf("the value of %s holds a line break", canonicalHeader(name))
			}
		}
	}
	return nil
}

// validHeaderName checks a field name (RFC 5322 section 3.6.8).
func validHeaderName(name string) bool {
	return name != "" && !strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r >= 0x7f || r == ':' })
}

func reserved(name string) bool {
	switch name {
	case "From", "Sender", "To", "Cc", "Bcc", "Subject", "Date", "Message-Id", "Mime-Version",
		"Return-Path", "Received":
		return true
	}
	return strings.HasPrefix(name, "Content-")
}

func canonicalHeader(name string) string { return textproto.CanonicalMIMEHeaderKey(name) }
