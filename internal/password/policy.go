package password

import (
	"context"
	"fmt"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/truekeel/auth/fault"
)

const (
	// DefaultMinLength is the minimum length of a [Policy] that names none.
	DefaultMinLength = 8
	// NISTMinLength is that of a password without a second factor (NIST SP 800-63B-4,
	// 3.1.1.2).
	NISTMinLength = 15
)

// The reasons of a [fault.WeakPassword]. What is common, of its owner or leaked is one
// reason: clients know these three.
const (
	ReasonLength     = "length"
	ReasonCharacters = "characters"
	ReasonPwned      = "pwned"
)

const knownText = "Password is known to be weak and easy to guess, please choose a different one."

// Policy says what a new password must be. It is for passwords that people choose,
// never for those that a program makes; at a sign-in it only tells. Its methods are safe
// for concurrent use as long as its fields don't change.
type Policy struct {
	// MinLength in code points; default [DefaultMinLength].
	MinLength int
	// RequiredCharacters are sets of characters; a password needs one of each set.
	// None is the better policy (NIST SP 800-63B-4, section 3.1.1.2).
	RequiredCharacters []string
	// Normalize looks at the NFKC form of a password; see [Config.Normalize].
	Normalize bool
	// Common refuses the passwords that most people choose, of a list that is part of
	// the program, and those that are words of their context: of Context, or given
	// along with the password.
	Common  bool
	Context []string
	// Leaks is asked for leaked passwords; nil for nobody.
	Leaks *Leaks
}

// Check refuses a bad password with [fault.WeakPassword], all reasons at once, and
// text that can be no password at all (not UTF-8, a NUL byte, over [MaxCodePoints] or
// [MaxBytes]) with [fault.ValidationFailed]. about are words of its owner, see
// [OwnWords]. What the algorithm makes of the length is asked of [Hasher.CheckText].
//
// What isn't refused otherwise is asked of Leaks, so nothing of a password that is
// refused anyway leaves the program. It may take as long as a request does: call it
// before a transaction.
func (p *Policy) Check(ctx context.Context, pw string, about ...string) error {
	form, err := p.form(pw)
	if err != nil {
		return err
	}
	if weak, err := p.weigh(pw, form, about); err != nil || weak != nil {
		return orNil(weak, err)
	}
	if p.Leaks == nil {
		return nil
	}
	found, err := p.Leaks.found(ctx, form)
	if err == nil && found {
		return weakness([]string{ReasonPwned}, []string{knownText})
	}
	return err
}

// Review tells what is weak about the password of somebody who has just signed in with
// it: nil if nothing is. It never fails and takes no longer than a second.
func (p *Policy) Review(ctx context.Context, pw string, about ...string) *fault.Error {
	form, err := p.form(pw)
	if err != nil {
		return nil
	}
	weak, err := p.weigh(pw, form, about)
	if err == nil && weak == nil && p.Leaks != nil && p.Leaks.glance(ctx, form) {
		weak = weakness([]string{ReasonPwned}, []string{knownText})
	}
	return weak
}

// orNil gives the first error that there is, without making one of a nil pointer.
func orNil(weak *fault.Error, err error) error {
	if err != nil {
		return err
	}
	return weak
}

// form is what is looked at of a password.
func (p *Policy) form(pw string) (string, error) {
	if err := checkText(pw); err != nil || !p.Normalize {
		return pw, err
	}
	form := norm.NFKC.String(pw)
	return form, checkText(form)
}

// weigh finds what can be found without asking anybody.
func (p *Policy) weigh(pw, form string, about []string) (*fault.Error, error) {
	var reasons, messages []string
	// One character that NFKC takes apart into many is still one that was typed.
	length := min(utf8.RuneCountInString(pw), utf8.RuneCountInString(form))
	if least := or(p.MinLength, DefaultMinLength); length < least {
		reasons = append(reasons, ReasonLength)
		messages = append(messages, fmt.Sprintf("Password should be at least %d characters.", least))
	}
	if !p.hasCharacters(form) {
		reasons = append(reasons, ReasonCharacters)
		messages = append(messages, "Password should contain at least one character of each: "+
			strings.Join(p.RequiredCharacters, ", ")+".")
	}
	if p.Common {
		common, err := isCommon(form)
		if err != nil {
			return nil, fmt.Errorf("password: list of common passwords: %w", err)
		}
		if common || isOwn(form, p.Context) || isOwn(form, about) {
			reasons = append(reasons, ReasonPwned)
			messages = append(messages, knownText)
		}
	}
	if len(reasons) == 0 {
		return nil, nil
	}
	return weakness(reasons, messages), nil
}

func weakness(reasons, messages []string) *fault.Error {
	weak := fault.New(fault.WeakPassword, "%s", strings.Join(messages, " "))
	weak.Reasons = reasons
	return weak
}

func (p *Policy) hasCharacters(pw string) bool {
	for _, set := range p.RequiredCharacters {
		if set != "" && !strings.ContainsAny(pw, set) {
			return false
		}
	}
	return true
}
