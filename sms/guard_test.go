package sms

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestGuard(t *testing.T) {
	for name, c := range map[string]struct {
		guard  Guard
		number string
		want   Verdict
	}{
		"any":                      {Guard{}, "4915112345678", Verdict{Prefix: "491511234"}},
		"plus sign":                {Guard{}, "+4915112345678", Verdict{Prefix: "491511234"}},
		"no digits":                {Guard{}, "49151x2345678", Verdict{Refused: NotANumber}},
		"leading zero":             {Guard{}, "04915112345678", Verdict{Refused: NotANumber}},
		"a digit more under 1":     {Guard{}, "155512345678", Verdict{Refused: NotANumber}},
		"a digit less under 1":     {Guard{}, "1555123456", Verdict{Refused: NotANumber}},
		"too long":                 {Guard{}, "1234567890123456", Verdict{Refused: NotANumber}},
		"too short":                {Guard{}, "123456", Verdict{Refused: NotANumber}},
		"empty":                    {Guard{}, "", Verdict{Refused: NotANumber}},
		"shortest":                 {Guard{}, "2901234", Verdict{Prefix: "290"}},
		"satellite":                {Guard{}, "881612345678", Verdict{DeniedRange, "88161234"}},
		"satellite, allowed":       {Guard{AllowPremium: true}, "881612345678", Verdict{Prefix: "88161234"}},
		"US premium":               {Guard{}, "19005551234", Verdict{DeniedRange, "1900555"}},
		"US 976":                   {Guard{}, "12129761234", Verdict{DeniedRange, "1212976"}},
		"UK personal":              {Guard{}, "447012345678", Verdict{DeniedRange, "44701234"}},
		"UK mobile":                {Guard{Countries: []string{"GB"}}, "447712345678", Verdict{Prefix: "44771234"}},
		"sample number":            {Guard{}, "15551234567", Verdict{Prefix: "1555123"}},
		"own range":                {Guard{Denied: []string{"+49151"}}, "4915112345678", Verdict{DeniedRange, "491511234"}},
		"own range with any digit": {Guard{Denied: []string{"49x51"}}, "4915112345678", Verdict{DeniedRange, "491511234"}},
		"range longer than number": {Guard{Denied: []string{"49151123456789"}}, "4915112345678", Verdict{Prefix: "491511234"}},
		"listed":                   {Guard{Countries: []string{"AT", "de"}}, "4915112345678", Verdict{Prefix: "491511234"}},
		"listed by code":           {Guard{Countries: []string{"+49"}}, "4915112345678", Verdict{Prefix: "491511234"}},
		"not listed":               {Guard{Countries: []string{"AT", "1"}}, "4915112345678", Verdict{DeniedCountry, "491511234"}},
		"country before range":     {Guard{Countries: []string{"AT"}}, "881612345678", Verdict{DeniedCountry, "88161234"}},
		"US":                       {Guard{Countries: []string{"US"}}, "12125551234", Verdict{Prefix: "1212555"}},
		"Canada isn't the US":      {Guard{Countries: []string{"US"}}, "14165551234", Verdict{DeniedCountry, "1416555"}},
		"Canada":                   {Guard{Countries: []string{"CA"}}, "14165551234", Verdict{Prefix: "1416555"}},
		"the US isn't Canada":      {Guard{Countries: []string{"CA"}}, "12125551234", Verdict{DeniedCountry, "1212555"}},
		"1 is the US":              {Guard{Countries: []string{"1"}}, "12125551234", Verdict{Prefix: "1212555"}},
		"1 is Canada":              {Guard{Countries: []string{"1"}}, "14165551234", Verdict{Prefix: "1416555"}},
		"1 isn't Jamaica":          {Guard{Countries: []string{"1"}}, "18765551234", Verdict{DeniedCountry, "1876555"}},
		"Jamaica":                  {Guard{Countries: []string{"JM"}}, "18765551234", Verdict{Prefix: "1876555"}},
		"Jamaica by code":          {Guard{Countries: []string{"+1876"}}, "18765551234", Verdict{Prefix: "1876555"}},
		"Puerto Rico isn't the US": {Guard{Countries: []string{"US"}}, "17875551234", Verdict{DeniedCountry, "1787555"}},
		"Russia":                   {Guard{Countries: []string{"RU"}}, "79123456789", Verdict{Prefix: "7912345"}},
		"Kazakhstan isn't Russia":  {Guard{Countries: []string{"RU"}}, "77012345678", Verdict{DeniedCountry, "7701234"}},
		"7 is both":                {Guard{Countries: []string{"7"}}, "77012345678", Verdict{Prefix: "7701234"}},
		"part of a country":        {Guard{Countries: []string{"4930"}}, "4915112345678", Verdict{DeniedCountry, "491511234"}},
	} {
		t.Run(name, func(t *testing.T) {
			require.NoError(t, c.guard.Validate())
			v := c.guard.Check(c.number)
			assert.Equal(t, c.want, v)
			assert.Equal(t, c.want.Refused == "", v.Allowed())
		})
	}
}

func TestGuardValidate(t *testing.T) {
	for _, c := range []string{"", "DEU", "ZZ", "+", "0049", "21", "9", "D1", "D ", "; ", "4 9", strings.Repeat("49", 8)} {
		err := Guard{Countries: []string{"DE", c}}.Validate()
		require.ErrorContains(t, err, "Guard.Countries", c)
	}
	for _, d := range []string{"", "+", "0900", "19-00", "abc", strings.Repeat("1", 16)} {
		err := Guard{Denied: []string{"1900", d}}.Validate()
		require.ErrorContains(t, err, "Guard.Denied", d)
	}
}

// Every entry of the two lists is one that the functions can use.
func TestLists(t *testing.T) {
	seen := 0
	for entry := range strings.SplitSeq(strings.TrimSpace(countries), ";") {
		iso, list, _ := strings.Cut(strings.TrimSpace(entry), " ")
		if iso == "" {
			continue
		}
		seen++
		require.Equal(t, strings.Split(list, ","), digitsOf(iso))
		for digits := range strings.SplitSeq(list, ",") {
			require.Regexp(t, `^[1-9][0-9]{0,6}$`, digits, iso)
			require.True(t, isCountry(digits), digits)
			if _, shared := rest(iso); !shared {
				require.True(t, ofCountry(digits+"5550123"[:7], iso), iso)
			}
		}
	}
	require.Greater(t, seen, 230)
	for _, number := range []string{"19001234567", "88212345678", "97912345678", "449012345678", "334123456789"} {
		require.Equal(t, number[:2] != "33", premium(number), number)
	}
}

func TestLimits(t *testing.T) {
	require.Equal(t, Limits{5, 10, 10}, Limits{}.OrDefault())
	require.Equal(t, Limits{-1, 3, 10}, Limits{NumberHour: -1, NumberDay: 3}.OrDefault())
}

func FuzzGuard(f *testing.F) {
	f.Add("4915112345678", "DE", "49x5")
	f.Add("+", "", "+")
	f.Fuzz(func(t *testing.T, number, country, denied string) {
		g := Guard{Countries: []string{country}, Denied: []string{denied}}
		if g.Validate() != nil {
			return
		}
		v := g.Check(number)
		if v.Refused == NotANumber {
			require.Empty(t, v.Prefix)
			return
		}
		require.True(t, strings.HasPrefix(strings.TrimPrefix(number, "+"), v.Prefix))
		require.GreaterOrEqual(t, len(v.Prefix), 3)
	})
}
