package config

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/truekeel/auth/internal/caller"
	"github.com/truekeel/auth/limit"
	"github.com/truekeel/auth/tokens"
)

// field is the type of a variable and the place where its value goes.
type field struct {
	kind string
	set  func(c *Config, text string) error
}

// parsed is a field whose text parse understands.
func parsed[T any](kind string, parse func(string) (T, error), at func(*Config) *T) field {
	return field{kind, func(c *Config, s string) error {
		v, err := parse(s)
		if err == nil {
			*at(c) = v
		}
		return err
	}}
}

func text(at func(*Config) *string) field {
	return parsed("text", func(s string) (string, error) { return s, nil }, at)
}

func word(at func(*Config) *string) field {
	return parsed("text", func(s string) (string, error) { return strings.TrimSpace(s), nil }, at)
}

func boolean(at func(*Config) *bool) field    { return parsed("bool", parseBool, at) }
func list(at func(*Config) *[]string) field   { return parsed("list", parseList, at) }
func webURL(at func(*Config) *string) field   { return parsed("URL", parseURL, at) }
func port(at func(*Config) *uint16) field     { return parsed("port", parsePort, at) }
func address(at func(*Config) *string) field  { return parsed("URL", parseAddress, at) }
func rate(at func(*Config) *limit.Rate) field { return parsed("rate", parseRate, at) }

// override is a boolean that may be left to somebody else.
func override(at func(*Config) **bool) field {
	return parsed("bool", func(s string) (*bool, error) {
		b, err := parseBool(s)
		return &b, err
	}, at)
}

// seconds is a duration that is at least least.
func duration(least time.Duration, at func(*Config) *time.Duration) field {
	return parsed("duration", func(s string) (time.Duration, error) {
		d, err := parseDuration(s)
		if err == nil && d < least {
			err = fmt.Errorf("%s is under %s", d, least)
		}
		return d, err
	}, at)
}

func number(least, most int, at func(*Config) *int) field {
	return parsed("number", func(s string) (int, error) { return parseNumber(s, least, most) }, at)
}

// choice is one word of a few, in any case of letters.
func choice(at func(*Config) *string, words ...string) field {
	return parsed(strings.Join(words, ", "), func(s string) (string, error) {
		for _, w := range words {
			if strings.EqualFold(strings.TrimSpace(s), w) {
				return w, nil
			}
		}
		return "", fmt.Errorf("%s is none of %s", shown(s), strings.Join(words, ", "))
	}, at)
}

// shown is a value in a message: one line, not long.
func shown(s string) string {
	if len(s) > 60 {
		s = strings.ToValidUTF8(s[:60], "") + "..."
	}
	return strconv.Quote(s)
}

func parseBool(s string) (bool, error) {
	b, err := strconv.ParseBool(strings.TrimSpace(s))
	if err != nil {
		return false, fmt.Errorf("%s is neither true nor false", shown(s))
	}
	return b, nil
}

func parseNumber(s string, least, most int) (int, error) {
	n, err := strconv.Atoi(strings.TrimSpace(s))
	if err != nil {
		return 0, fmt.Errorf("%s is no whole number", shown(s))
	}
	if n < least || n > most {
		if most == math.MaxInt32 {
			return 0, fmt.Errorf("%d is under %d", n, least)
		}
		return 0, fmt.Errorf("%d is not between %d and %d", n, least, most)
	}
	return n, nil
}

func parsePort(s string) (uint16, error) {
	n, err := strconv.ParseUint(strings.TrimSpace(s), 10, 16)
	if err != nil {
		return 0, fmt.Errorf("%s is no port between 0 and 65535", shown(s))
	}
	return uint16(n), nil
}

// parseDuration reads a whole number of seconds, or what [time.ParseDuration] reads.
func parseDuration(s string) (time.Duration, error) {
	s = strings.TrimSpace(s)
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		if n > int64(math.MaxInt64/time.Second) || n < int64(math.MinInt64/time.Second) {
			return 0, fmt.Errorf("%s seconds are too many", shown(s))
		}
		return time.Duration(n) * time.Second, nil
	}
	d, err := time.ParseDuration(s)
	if err != nil {
		return 0, fmt.Errorf("%s is no duration: give seconds as 900, or a number with its unit as 15m", shown(s))
	}
	return d, nil
}

// parseRate reads a number of events in 5 minutes, of which 30 may come at once, or a
// burst and the time after which one more is allowed.
func parseRate(s string) (limit.Rate, error) {
	s = strings.TrimSpace(s)
	r := limit.Rate{}
	var err error
	if strings.Contains(s, "/") {
		r, err = limit.Parse(s)
	} else {
		var n int
		if n, err = parseNumber(s, 1, math.MaxInt32); err == nil {
			r = limit.Bucket(n, 5*time.Minute)
			err = r.Validate()
		}
	}
	if err == nil && r.Never() {
		err = errors.New("a rate of 0 lets nobody in; switch the feature off instead")
	}
	return r, trim(err, "limit: ")
}

// parseMailRate reads a number of events an hour, or a burst and the time after which
// one more is allowed. 0 allows none.
func parseMailRate(s string) (limit.Rate, error) {
	r, err := limit.Parse(s)
	return r, trim(err, "limit: ")
}

// trim takes the name of a package off an error's text.
func trim(err error, prefix string) error {
	if err == nil {
		return nil
	}
	return errors.New(strings.TrimPrefix(err.Error(), prefix))
}

// parseList reads values with commas between them.
func parseList(s string) ([]string, error) {
	var out []string
	for part := range strings.SplitSeq(s, ",") {
		if part = strings.TrimSpace(part); part != "" {
			out = append(out, part)
		}
	}
	return out, nil
}

// parseMap reads name:value pairs with commas between them.
func parseMap(s string) (map[string]string, error) { return parsePairs(s, "name:value") }

// parsePairs reads pairs of a form with a colon in it. Errors hold no value.
func parsePairs(s, form string) (map[string]string, error) {
	out := map[string]string{}
	parts, _ := parseList(s)
	for _, part := range parts {
		name, value, ok := strings.Cut(part, ":")
		name, value = strings.TrimSpace(name), strings.TrimSpace(value)
		if !ok || name == "" {
			return nil, errors.New("a part of it isn't of the form " + form)
		}
		if other, twice := out[name]; twice && other != value {
			return nil, fmt.Errorf("%s is given twice; leave one out", shown(name))
		}
		out[name] = value
	}
	return out, nil
}

// parseSets reads sets of characters with colons between them; \: is a colon of a set.
func parseSets(s string) ([]string, error) {
	var sets []string
	var b strings.Builder
	flush := func() {
		if b.Len() > 0 {
			sets = append(sets, b.String())
		}
		b.Reset()
	}
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\\' && i+1 < len(s) && s[i+1] == ':':
			i++
			b.WriteByte(':')
		case s[i] == ':':
			flush()
		default:
			b.WriteByte(s[i])
		}
	}
	flush()
	return sets, nil
}

// parseURL reads an absolute web URL and gives it without a slash at its end.
func parseURL(s string) (string, error) {
	s, err := parseAddress(s)
	return strings.TrimRight(s, "/"), err
}

// parseTarget reads an absolute URL of any scheme, which may be an app's.
func parseTarget(s string) (string, error) {
	s = strings.TrimSpace(s)
	if u, err := url.Parse(s); err != nil || u.Scheme == "" || u.User != nil {
		return "", errors.New("it is no URL")
	}
	return s, nil
}

// parseAddress reads an absolute web URL that others compare letter by letter.
func parseAddress(s string) (string, error) {
	s = strings.TrimSpace(s)
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		return "", errors.New("it is no web address that begins with http:// or https://")
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return "", errors.New("it has a user name, a query or a fragment, which this address can't have")
	}
	return s, nil
}

func isLoopbackURL(raw string) bool {
	u, err := url.Parse(raw)
	return err == nil && caller.IsLoopbackHost(u.Host)
}

func joinHostPort(host string, port uint16) string {
	return net.JoinHostPort(strings.Trim(host, "[]"), strconv.Itoa(int(port)))
}

// parsePath reads the path that the handler is mounted on.
func parsePath(s string) (string, error) {
	s = strings.TrimSpace(s)
	if s != "/" {
		s = strings.TrimSuffix(s, "/")
	}
	if !strings.HasPrefix(s, "/") || strings.Contains(s, "//") || strings.ContainsAny(s, "?#% \\") ||
		slices.ContainsFunc(strings.Split(s, "/"), func(p string) bool { return p == "." || p == ".." }) {
		return "", fmt.Errorf("%s is no clean path", shown(s))
	}
	return s, nil
}

// parseNetworks reads networks and single addresses.
func parseNetworks(s string) ([]netip.Prefix, error) {
	var out []netip.Prefix
	parts, _ := parseList(s)
	for _, part := range parts {
		p, err := netip.ParsePrefix(part)
		if err != nil {
			a, aerr := netip.ParseAddr(part)
			if aerr != nil {
				return nil, fmt.Errorf("%s is neither a network nor an address", shown(part))
			}
			p = netip.PrefixFrom(a.WithZone(""), a.BitLen())
		}
		out = append(out, p)
	}
	return out, nil
}

// parseKeys reads signing keys: a JSON array of JWKs, or a set of them.
func parseKeys(s string) ([]tokens.Key, error) {
	keys, err := tokens.ParseJWKs([]byte(s))
	if err != nil {
		return nil, trim(err, "tokens: ")
	}
	if len(keys) == 0 {
		return nil, errors.New("it holds no key")
	}
	signers := 0
	for _, k := range keys {
		if k.CanSign() {
			signers++
		}
	}
	if signers > 1 {
		return nil, fmt.Errorf(`%d of the keys can sign; one must, the others need "key_ops": ["verify"]`, signers)
	}
	return keys, nil
}

// parseHeaders reads a JSON object of header fields, each with one value or several.
func parseHeaders(s string) (map[string][]string, error) {
	var raw map[string]json.RawMessage
	if err := json.Unmarshal([]byte(s), &raw); err != nil {
		return nil, errors.New("it is no JSON object")
	}
	out := make(map[string][]string, len(raw))
	for name, value := range raw {
		var one string
		var many []string
		if json.Unmarshal(value, &one) == nil {
			many = []string{one}
		} else if json.Unmarshal(value, &many) != nil {
			return nil, fmt.Errorf("the value of %s is neither a text nor a list of texts", shown(name))
		}
		out[name] = many
	}
	return out, nil
}

// parseSealKey reads 32 bytes in base64, of either alphabet, padded or not.
func parseSealKey(s string) ([]byte, error) {
	s = strings.TrimRight(strings.TrimSpace(s), "=")
	s = strings.NewReplacer("+", "-", "/", "_").Replace(s)
	key, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil || len(key) != 32 {
		return nil, errors.New("it is not 32 bytes in base64; make one with: openssl rand -base64 32")
	}
	return key, nil
}

// parseSealKeys reads id:key pairs with commas between them.
func parseSealKeys(s string) ([][]byte, error) {
	pairs, _ := parseList(s)
	var out [][]byte
	for n, pair := range pairs {
		_, text, ok := strings.Cut(pair, ":")
		if !ok {
			text = pair
		}
		key, err := parseSealKey(text)
		if err != nil {
			return nil, fmt.Errorf("key %d: %w", n+1, err)
		}
		out = append(out, key)
	}
	return out, nil
}
