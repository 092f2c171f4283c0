// Package redirect decides where a browser may be sent with the results of a flow,
// and writes them into the URL. Whoever controls that URL gets the tokens in it, so
// everything that isn't allowed is refused.
package redirect

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
)

// Options are what a Policy needs besides its lists.
type Options struct {
	// Logger hears of each refused target. Required.
	Logger *slog.Logger
}

// Policy knows which targets are allowed. It is immutable and safe for concurrent use.
type Policy struct {
	siteURL  string
	site     target // the zero target if there is no site
	allow    []string
	patterns []pattern
	logger   *slog.Logger
}

// New makes the policy of a site and an allow list. An entry of the list is a glob
// for the whole of a URL up to its fragment, case-sensitive but for scheme and host:
//
//   - any run of characters other than '.' and '/'
//     **          any run of any characters
//     ?           one character other than '.' and '/'
//     [a-z] [!a]  one character of, or not of, a set
//     {a,b}       one of these patterns
//     \x          x itself
//
// No wildcard in the host reaches into the path. An entry without a scheme, such as
// *.example.com/done, is for https. A pattern that doesn't compile is an error that
// names it.
//
// With siteURL empty only http and https URLs of loopback hosts are allowed, and an
// allow list is an error.
func New(siteURL string, allow []string, o Options) (*Policy, error) {
	if o.Logger == nil {
		return nil, errors.New("redirect: Options.Logger is missing")
	}
	p := &Policy{siteURL: siteURL, logger: o.Logger}
	if siteURL != "" {
		site, ok := parse(siteURL)
		if !ok || site.hostless || site.host == "" {
			return nil, fmt.Errorf("redirect: the site URL %q is no URL with a scheme and a host, such as https://app.example.com, with a host in ASCII (punycode)", shown(siteURL))
		}
		p.site = site
	}
	for _, text := range allow {
		text = strings.TrimSpace(text)
		if text == "" {
			continue
		}
		patterns, err := compile(text)
		if err != nil {
			return nil, fmt.Errorf("redirect: pattern %q of the allow list: %w", text, err)
		}
		p.allow = append(p.allow, text)
		p.patterns = append(p.patterns, patterns...)
	}
	if siteURL == "" && len(p.allow) > 0 {
		return nil, errors.New("redirect: an allow list needs a site URL (WithSiteURL); without one only loopback hosts are allowed")
	}
	return p, nil
}

// SiteURL gives the site's URL as it was configured; "" if there is none.
func (p *Policy) SiteURL() string { return p.siteURL }

// Allowed reports whether a browser may be sent to raw. It may to the site itself
// (same scheme, host and port; the port is free if the site is on this machine), to
// loopback addresses, and to what the allow list matches. It never may to a URL with
// a user name, a backslash, a blank or a control character, to a script or a file, or
// to a host that is written as a number.
func (p *Policy) Allowed(raw string) bool {
	t, ok := parse(raw)
	if !ok {
		return false
	}
	if p.siteURL == "" {
		return t.isWeb() && t.isLocal() && !t.ip().IsUnspecified()
	}
	// RFC 8252, section 7.3: a native app listens on whatever port it gets.
	if p.isSite(t) || t.isWeb() && t.ip().IsLoopback() {
		return true
	}
	return t.isListable() && p.isListed(t)
}

func (p *Policy) isListed(t target) bool {
	for _, pattern := range p.patterns {
		if pattern.match(t) {
			return true
		}
	}
	return false
}

// isSite reports whether t is a page of the site.
func (p *Policy) isSite(t target) bool {
	if t.hostless || t.scheme != p.site.scheme || t.host != p.site.host {
		return false
	}
	return t.port == p.site.port || t.isLocal()
}

// Pick gives the first candidate that is allowed, and the site's URL if none is.
// Empty candidates are skipped. If a candidate was refused, one warning names the
// first such and the allow list. Without a site URL the fallback is "": see PickOr.
func (p *Policy) Pick(candidates ...string) string {
	return p.PickOr(p.siteURL, candidates...)
}

// PickOr is Pick with another fallback, which isn't checked.
func (p *Policy) PickOr(fallback string, candidates ...string) string {
	picked, refused := fallback, ""
	for _, c := range candidates {
		if c == "" {
			continue
		}
		if p.Allowed(c) {
			picked = c
			break
		}
		if refused == "" {
			refused = c
		}
	}
	if refused != "" {
		p.logger.LogAttrs(context.Background(), slog.LevelWarn,
			"redirect target refused: it is neither on the site nor on the allow list",
			slog.String("target", shown(refused)), slog.String("used", shown(picked)),
			slog.String("site_url", shown(p.siteURL)), slog.Any("allow", p.allow))
	}
	return picked
}

// shown is what a log may hold of a URL: no query, no fragment, no user name, and not
// much.
func shown(raw string) string {
	if i := strings.IndexAny(raw, "?#"); i >= 0 {
		raw = raw[:i]
	}
	if i := strings.LastIndexByte(raw, '@'); i >= 0 {
		raw = raw[i+1:]
	}
	return strings.ToValidUTF8(raw[:min(len(raw), 200)], "")
}

// Success writes values as the fragment of target, keys sorted, and gives the URL. A
// fragment that target has is replaced: it was chosen by whoever made the link, and
// may hold keys that a client takes for ours.
func Success(target string, values url.Values) string {
	base, _, _ := strings.Cut(target, "#")
	return base + "#" + values.Encode()
}

// Code writes an authorization code into the query of target, as [Query] does.
func Code(target, code string) string {
	return Query(target, url.Values{"code": {code}})
}

// Query merges values into the query of target, over what it has of the same keys,
// and gives the URL. The query is encoded anew with its keys sorted; a fragment stays.
func Query(target string, values url.Values) string {
	base, fragment, hasFragment := strings.Cut(target, "#")
	base, query, _ := strings.Cut(base, "?")
	// What can't be parsed of the query is dropped: no client could read it either.
	merged, _ := url.ParseQuery(query)
	for key, v := range values {
		merged[key] = v
	}
	if len(merged) > 0 {
		base += "?" + merged.Encode()
	}
	if hasFragment {
		base += "#" + fragment
	}
	return base
}

// Failure writes values as the fragment of target, replacing one that it has, and
// with alsoQuery merges them into its query too. The query doesn't get the key "sb",
// which marks fragments; the fragment doesn't get an empty "error_description".
func Failure(target string, values url.Values, alsoQuery bool) string {
	query, fragment := url.Values{}, url.Values{}
	for key, v := range values {
		if key != "sb" {
			query[key] = v
		}
		if key != "error_description" || values.Get(key) != "" {
			fragment[key] = v
		}
	}
	if alsoQuery {
		target = Query(target, query)
	}
	return Success(target, fragment)
}
