package sms

import "strings"

// expensive are ranges that cost their caller a lot, or whose owner is paid for what comes
// in, and in which hardly anybody has the phone with which he signs in. An x is any digit.
//
// Sources: ITU-T E.164 list of assigned country codes (the global services), NANPA's list
// of non-geographic codes, and the national numbering plans that countries publish under
// ITU-T E.129.
const expensive = `
	800 808 979           free-phone, shared-cost and premium-rate numbers without a country
	870 878 881 882 883   satellites, personal numbers, networks without a country
	888 991               disaster relief, a trial of ITPCS

	1900 1xxx976          premium rate; 976 is a local exchange for it in every area
	1500 152x 1533 1544 1566 1577 1588   personal numbers
	1700 1710             carriers' own services, the government's
	1800 1833 1844 1855 1866 1877 1888   free-phone

	4470 443 448 449      UK: personal numbers, non-geographic and premium rate
	49700 49137 49180 49190 49900   DE: personal, televoting, service and premium rate
	33891 33892 33893 33897 33899   FR
	34803 34806 34807 34905 34907   ES
	39144 39166 39199 39892 39893 39894 39895 39899   IT
	31900 31906 31909     NL
	3290                  BE
	4190x                 CH
	43900 43901 43930 43931   AT
	4590                  DK
	46900 46939 46944     SE
	47820 47829           NO
	358600 358700         FI
	48700 48701 48703     PL
	42090                 CZ
	61190                 AU
	64900                 NZ
`

// premium reports whether a number is in one of the expensive ranges.
func premium(number string) bool {
	for line := range strings.Lines(expensive) {
		for _, word := range strings.Fields(line) {
			if word[0] < '1' || word[0] > '9' {
				break // the rest says what they are
			}
			if inRange(number, word) {
				return true
			}
		}
	}
	return false
}
