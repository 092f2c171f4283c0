package user

import (
	"strings"

	"github.com/truekeel/auth/fault"
)

// maxEmail is the longest address, in bytes.
const maxEmail = 255

// NormalizeEmail brings an address into the one form that is looked up and stored:
// checked and in lower case. It accepts what the HTML standard calls a valid address
// (a subset of RFC 5322's addr-spec): ASCII only, so that no two addresses look alike.
func NormalizeEmail(s string) (string, error) {
	if s == "" {
		return "", fault.New(fault.ValidationFailed, "An email address is required")
	}
	if len(s) > maxEmail {
		return "", fault.New(fault.ValidationFailed, "An email address is too long")
	}
	local, domain, ok := strings.Cut(s, "@")
	if !ok || !validLocal(local) || !validDomain(domain) {
		return "", fault.New(fault.ValidationFailed, "Unable to validate email address: invalid format")
	}
	return strings.ToLower(s), nil
}

func validLocal(s string) bool {
	if s == "" {
		return false
	}
	for i := range len(s) {
		if c := s[i]; !alphanumeric(c) && !strings.ContainsRune("!#$%&'*+/=?^_`{|}~.-", rune(c)) {
			return false
		}
	}
	return true
}

func validDomain(s string) bool {
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for i := range len(label) {
			if c := label[i]; !alphanumeric(c) && c != '-' {
				return false
			}
		}
	}
	return true
}

func alphanumeric(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

// NormalizePhone brings a number into the one form that is looked up and stored: the
// digits of E.164 without the plus sign.
func NormalizePhone(s string) (string, error) {
	s = strings.ReplaceAll(strings.TrimPrefix(strings.TrimSpace(s), "+"), " ", "")
	bad := len(s) < 2 || len(s) > 15 || s[0] == '0'
	for i := 0; i < len(s) && !bad; i++ {
		bad = s[i] < '0' || s[i] > '9'
	}
	if bad {
		return "", fault.New(fault.ValidationFailed, "Invalid phone number format (E.164 required)")
	}
	return s, nil
}
