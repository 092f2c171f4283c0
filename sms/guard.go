package sms

import (
	"fmt"
	"strings"
)

// Guard are rules about the numbers that messages may go to and how many. Who has an
// expensive or a paid-for number called up at a service's cost (toll fraud, "SMS pumping")
// uses many numbers of few ranges, mostly abroad. The zero value refuses the ranges that
// are known to be expensive everywhere and has the default limits. A Guard counts nothing
// itself. It must not be changed once it is in use.
type Guard struct {
	// Countries are the only ones whose numbers may get messages: ISO 3166-1 codes like
	// "DE", or calling codes like "49". "US" and "CA" are those countries alone, "1" is
	// both; the other countries with numbers under 1 have codes of their own ("JM", or
	// "1876"). Empty: every country. Name yours: it is the best protection there is.
	Countries []string
	// Denied are further ranges that get none: the first digits of numbers in E.164,
	// with or without a plus sign, where an x stands for any digit.
	Denied []string
	// AllowPremium allows the built-in ranges, which are premium-rate, personal,
	// free-phone and satellite numbers.
	AllowPremium bool
	// Limits bound how many messages go out.
	Limits Limits
}

// Limits are numbers of messages. Zero is the default, a negative number is no limit.
type Limits struct {
	// NumberHour and NumberDay are for one number, in any hour and any 24 hours.
	// Default 5 and 10.
	NumberHour, NumberDay int
	// PrefixHour is for all the numbers of one [Verdict.Prefix], in any hour. Default 10.
	PrefixHour int
}

// The defaults of Limits.
const (
	DefaultNumberHour = 5
	DefaultNumberDay  = 10
	DefaultPrefixHour = 10
)

// Reason is why a [Guard] refuses a number.
type Reason string

// The reasons.
const (
	// NotANumber is for what isn't a number in E.164.
	NotANumber Reason = "not_a_number"
	// DeniedCountry is for numbers of countries that aren't on the list.
	DeniedCountry Reason = "country"
	// DeniedRange is for numbers of a range that is denied.
	DeniedRange Reason = "range"
)

// Verdict is what a [Guard] says of a number.
type Verdict struct {
	// Refused is why no message may go to the number; "" if one may.
	Refused Reason
	// Prefix is the range in which messages to the number count for Limits.PrefixHour:
	// the number without its last four digits, as numbers are rented out in blocks. It is
	// "" for NotANumber.
	Prefix string
}

// Allowed reports whether a message may go to the number.
func (v Verdict) Allowed() bool { return v.Refused == "" }

// E.164 numbers have at most 15 digits; the shortest country has four behind its code.
const (
	minNumber = 7
	maxNumber = 15
	// underOne is how many digits the numbers of North America have, all of them. Networks
	// ignore what is dialled beyond: else one phone had many numbers, each with its limits.
	underOne = 11
	// block is the number of digits by which the numbers of one Prefix differ.
	block = 4
)

// Check says whether messages may go to a number in E.164, with or without its plus sign,
// and in which range they count.
func (g Guard) Check(number string) Verdict {
	number = strings.TrimPrefix(number, "+")
	if len(number) < minNumber || number[0] == '1' && len(number) != underOne || len(number) > maxNumber || number[0] == '0' || strings.Trim(number, "0123456789") != "" {
		return Verdict{Refused: NotANumber}
	}
	v := Verdict{Prefix: number[:len(number)-block]}
	switch {
	case !g.listed(number):
		v.Refused = DeniedCountry
	case !g.AllowPremium && premium(number), g.denied(number):
		v.Refused = DeniedRange
	}
	return v
}

// listed reports whether a number is one of the listed countries.
func (g Guard) listed(number string) bool {
	if len(g.Countries) == 0 {
		return true
	}
	for _, c := range g.Countries {
		if ofCountry(number, c) {
			return true
		}
	}
	return false
}

func (g Guard) denied(number string) bool {
	for _, d := range g.Denied {
		if inRange(number, strings.TrimPrefix(d, "+")) {
			return true
		}
	}
	return false
}

// Validate reports the first setting that is wrong; the error names the field and the
// remedy.
func (g Guard) Validate() error {
	for _, c := range g.Countries {
		if !isCountry(c) {
			return fmt.Errorf("sms: Guard.Countries: %q is no country: give an ISO code like \"DE\" or a calling code like \"49\"", c)
		}
	}
	for _, d := range g.Denied {
		if digits := strings.TrimPrefix(d, "+"); digits == "" || len(digits) > maxNumber || strings.Trim(digits, "0123456789x") != "" || digits[0] == '0' {
			return fmt.Errorf("sms: Guard.Denied: %q is no range: give the first digits of its numbers like \"1900\", with x for any digit", d)
		}
	}
	return nil
}

// OrDefault gives the limits with the defaults in place of zeroes.
func (l Limits) OrDefault() Limits {
	for _, f := range []struct {
		limit *int
		usual int
	}{{&l.NumberHour, DefaultNumberHour}, {&l.NumberDay, DefaultNumberDay}, {&l.PrefixHour, DefaultPrefixHour}} {
		if *f.limit == 0 {
			*f.limit = f.usual
		}
	}
	return l
}

// inRange reports whether a number begins with the digits of a range, where an x is any
// digit.
func inRange(number, digits string) bool {
	if len(digits) > len(number) {
		return false
	}
	for n := range len(digits) {
		if digits[n] != 'x' && digits[n] != number[n] {
			return false
		}
	}
	return true
}
