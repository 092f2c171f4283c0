package config

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/truekeel/auth"
	"github.com/truekeel/auth/breach"
)

// Leaks says how leaked passwords are found.
type Leaks struct {
	Enabled        bool
	FailClosed     bool
	URL            string // "" for Have I Been Pwned itself
	UserAgent      string // "" for the library's
	Bloom          bool
	BloomItems     int
	FalsePositives float64
}

// nistLength is the least length of a password by PASSWORD_NIST.
const nistLength = 15

// strengthKeys are about which passwords are too weak.
func strengthKeys() []entry {
	return []entry{
		{
			name: "PASSWORD_COMMON_REJECTED", own: true, def: "false", example: "true", is: boolean(func(c *Config) *bool { return &c.Password.CommonRejected }),
			doc: "Refuse the 13,000 most common passwords, the person's own address and the site's name as a new password.",
			with: func(c *Config) []auth.Option {
				return when(!c.Password.CommonRejected && !c.Password.NIST, auth.WithoutCommonPasswordCheck)
			},
		},
		{
			name: "PASSWORD_NIST", own: true, def: "false", example: "true", is: boolean(func(c *Config) *bool { return &c.Password.NIST }),
			doc:  "Follow NIST SP 800-63B-4: at least 15 characters, no required ones, common passwords refused, Unicode normalized, argon2id. Leave it on once it was.",
			with: func(c *Config) []auth.Option { return when(c.Password.NIST, auth.WithNISTPasswords) },
		},
		{
			name: "PASSWORD_HIBP_ENABLED", def: "false", example: "true", is: boolean(func(c *Config) *bool { return &c.Password.Leaks.Enabled }),
			doc:  "Ask Have I Been Pwned whether a password has leaked, by the first five digits of its SHA-1. A new one that has is refused; who signs in with one is told.",
			with: leakOptions,
		},
		{
			name: "PASSWORD_HIBP_FAIL_CLOSED", def: "false", example: "true", is: boolean(func(c *Config) *bool { return &c.Password.Leaks.FailClosed }),
			doc: "Refuse new passwords while the service can't tell. Without it they pass, and the log says so.",
		},
		{
			name: "PASSWORD_HIBP_URL", own: true, example: "https://pwned.example.com", is: webURL(func(c *Config) *string { return &c.Password.Leaks.URL }),
			doc: "Where the range API is, without `/range`: a mirror, which may be inside of your network. Default: " + breach.DefaultBaseURL + ".",
		},
		{
			name: "PASSWORD_HIBP_USER_AGENT", example: "acme accounts", is: word(func(c *Config) *string { return &c.Password.Leaks.UserAgent }),
			doc: "How the server calls itself to the service.",
		},
		{
			name: "PASSWORD_HIBP_BLOOM_ENABLED", def: "false", example: "true", is: boolean(func(c *Config) *bool { return &c.Password.Leaks.Bloom }),
			doc: "Keep leaked passwords that were asked for in a Bloom filter in memory: they are refused without a request, also while the service is down.",
		},
		{
			name: "PASSWORD_HIBP_BLOOM_ITEMS", def: "100000", is: number(1, 100_000_000, func(c *Config) *int { return &c.Password.Leaks.BloomItems }),
			doc: "How many it keeps at least; the oldest are forgotten.",
		},
		{
			name: "PASSWORD_HIBP_BLOOM_FALSE_POSITIVES", def: "0.0000099", is: parsed("number", parseLikelihood, func(c *Config) *float64 { return &c.Password.Leaks.FalsePositives }),
			doc: "How likely, at most, a good password is taken for one that is kept, and refused.",
		},
	}
}

// parseLikelihood reads a number between 0 and 1.
func parseLikelihood(s string) (float64, error) {
	p, err := strconv.ParseFloat(strings.TrimSpace(s), 64)
	if err != nil || !(p > 0 && p < 1) {
		return 0, fmt.Errorf("%s is no number between 0 and 1", shown(s))
	}
	return p, nil
}

// leakOptions let the library ask for leaked passwords.
func leakOptions(c *Config) []auth.Option {
	l := c.Password.Leaks
	if !l.Enabled {
		return nil
	}
	h, err := l.checker()
	if err != nil {
		return nil // check has found it
	}
	return append(when(l.FailClosed, auth.WithLeakCheckRequired), auth.WithLeakedPasswords(h))
}

func (l Leaks) checker() (*breach.HIBP, error) {
	h := breach.HIBPConfig{BaseURL: l.URL, UserAgent: l.UserAgent}
	if l.Bloom {
		h.Bloom = &breach.BloomConfig{Items: l.BloomItems, FalsePositives: l.FalsePositives}
	}
	return breach.NewHIBP(h)
}

// lengthOptions is the least length; by PASSWORD_NIST that is the library's affair,
// unless the variable asks for more.
func lengthOptions(c *Config) []auth.Option {
	if c.Password.NIST && c.Password.MinLength < nistLength {
		return nil
	}
	return options(auth.WithPasswordLength(c.Password.MinLength))
}

func hashOptions(c *Config) []auth.Option {
	p := c.Password
	if p.Algorithm == "argon2id" || p.NIST {
		return options(auth.WithArgon2id(uint32(p.Argon2Memory), uint32(p.Argon2Passes), uint8(p.Argon2Threads))) // #nosec G115 -- the table bounds them
	}
	return options(auth.WithBcrypt(p.BcryptCost))
}

// checkPasswords finds what contradicts the preset, and what can't be sent.
func (c *Config) checkPasswords(find finder) {
	p := c.Password
	if _, err := p.Leaks.checker(); err != nil && p.Leaks.Enabled {
		find("PASSWORD_HIBP_USER_AGENT", "acme accounts", "%s", trim(err, "breach: "))
	}
	if !p.NIST {
		return
	}
	if c.isSet("PASSWORD_MIN_LENGTH") && p.MinLength < nistLength {
		find("PASSWORD_MIN_LENGTH", strconv.Itoa(nistLength), "%d is less than GOTRUE_PASSWORD_NIST asks for", p.MinLength)
	}
	if len(p.Characters) > 0 {
		find("PASSWORD_REQUIRED_CHARACTERS", "", "GOTRUE_PASSWORD_NIST allows no rules of composition; take one of them out")
	}
	if c.isSet("PASSWORD_HASH") && p.Algorithm != "argon2id" {
		find("PASSWORD_HASH", "argon2id", "GOTRUE_PASSWORD_NIST needs argon2id: bcrypt sees no more than 72 bytes")
	}
	if c.isSet("PASSWORD_COMMON_REJECTED") && !p.CommonRejected {
		find("PASSWORD_COMMON_REJECTED", "true", "GOTRUE_PASSWORD_NIST asks for it")
	}
}

// settlePasswords warns of variables of a check that is off.
func (c *Config) settlePasswords(warn func(key, text string, args ...any)) {
	if c.Password.Leaks.Enabled {
		return
	}
	for _, key := range []string{"FAIL_CLOSED", "URL", "USER_AGENT", "BLOOM_ENABLED"} {
		if value := c.vars[prefix+"PASSWORD_HIBP_"+key]; value != "" && !isOff(value) {
			warn("PASSWORD_HIBP_"+key, "it has no effect without GOTRUE_PASSWORD_HIBP_ENABLED")
		}
	}
}
