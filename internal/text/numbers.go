package text

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/truekeel/auth/internal/user"
)

// TestNumbers reads numbers with the codes that they always get, for [Config.Test]: each
// in any form, with a code of 6 to 10 digits. Errors hold no code.
func TestNumbers(codes map[string]string) (map[string]string, error) {
	out := make(map[string]string, len(codes))
	for _, number := range slices.Sorted(maps.Keys(codes)) {
		code := codes[number]
		normal, err := user.NormalizePhone(number)
		if err != nil {
			return nil, fmt.Errorf(`%q is no number; give one like "+1 500 555 0100"`, number)
		}
		if len(code) < 6 || len(code) > 10 || strings.Trim(code, "0123456789") != "" {
			return nil, fmt.Errorf("the code of %q has to be 6 to 10 digits", number)
		}
		if other, twice := out[normal]; twice && other != code {
			return nil, fmt.Errorf("%q is the number %s, which has another code already; give it one", number, normal)
		}
		out[normal] = code
	}
	return out, nil
}
