package providertest

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha1" //nolint:gosec // what OAuth 1 signs with
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sort"
	"strings"
)

// oauth1 answers token requests of OAuth 1 (RFC 5849, 2.1 and 2.3).
func (s *Server) oauth1(w http.ResponseWriter, r *http.Request, address string) {
	params, err := s.signedParams(r)
	if err == nil && r.Method != http.MethodPost {
		err = fmt.Errorf("method is %s", r.Method)
	}
	var form url.Values
	switch {
	case err != nil:
	case address == s.fixture.OAuth1.Request:
		form, err = s.requestToken(params)
	default:
		form, err = s.accessToken(params)
	}
	if err != nil {
		s.problem("%s: %v", address, err)
		http.Error(w, err.Error(), http.StatusUnauthorized)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8") // as Twitter does
	_, _ = w.Write([]byte(form.Encode()))
}

func (s *Server) requestToken(params map[string]string) (url.Values, error) {
	if params["oauth_callback"] == "" {
		return nil, errors.New("oauth_callback is missing")
	}
	g := &grant{kind: "request", redirect: params["oauth_callback"], token: "request-" + rand.Text(), secret: rand.Text()}
	s.keep(g.token, g)
	return url.Values{
		"oauth_token": {g.token}, "oauth_token_secret": {g.secret}, "oauth_callback_confirmed": {"true"},
	}, nil
}

func (s *Server) accessToken(params map[string]string) (url.Values, error) {
	s.mu.Lock()
	request := s.grants[params["oauth_token"]]
	s.mu.Unlock()
	switch {
	case request == nil || request.kind != "request":
		return nil, errors.New("request token is unknown")
	case request.nonce == "" || params["oauth_verifier"] != request.nonce:
		return nil, errors.New("oauth_verifier is wrong")
	case request.used:
		return nil, errors.New("request token was used before")
	}
	request.used = true
	access := &grant{kind: "access", person: request.person, token: "access-" + rand.Text(), secret: rand.Text()}
	s.keep(access.token, access)
	return url.Values{"oauth_token": {access.token}, "oauth_token_secret": {access.secret}}, nil
}

// approveOAuth1 is approve for OAuth 1.
func (s *Server) approveOAuth1(q url.Values, person int) (approval, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.grants[q.Get("oauth_token")]
	if g == nil || g.kind != "request" {
		s.problems = append(s.problems, "authorization page: request token is unknown")
		return approval{}, errors.New("providertest: request token is unknown")
	}
	back, err := url.Parse(g.redirect)
	if err != nil {
		return approval{}, fmt.Errorf("providertest: %w", err)
	}
	params := back.Query()
	back.RawQuery = ""
	a := approval{redirect: back.String(), params: params}
	if person == nobody {
		params.Set("denied", g.token)
		return a, nil
	}
	g.person, g.nonce = person, rand.Text()
	params.Set("oauth_token", g.token)
	params.Set("oauth_verifier", g.nonce)
	return a, nil
}

// signedParams checks the signature of a request and gives its protocol parameters. It
// is written apart from the code under test, on purpose.
func (s *Server) signedParams(r *http.Request) (map[string]string, error) {
	rest, ok := strings.CutPrefix(r.Header.Get("Authorization"), "OAuth ")
	if !ok {
		return nil, errors.New("no OAuth header")
	}
	params := make(map[string]string)
	var pairs []string
	add := func(name, value string) { pairs = append(pairs, escape(name)+"="+escape(value)) }
	for _, part := range strings.Split(rest, ",") {
		name, quoted, ok := strings.Cut(strings.TrimSpace(part), "=")
		value, err := url.PathUnescape(strings.Trim(quoted, `"`))
		if !ok || err != nil {
			return nil, errors.New("malformed OAuth header")
		}
		params[name] = value
		if name != "oauth_signature" {
			add(name, value)
		}
	}
	for name, values := range r.URL.Query() {
		for _, v := range values {
			add(name, v)
		}
	}
	sort.Strings(pairs)
	base := r.Method + "&" + escape("https://"+r.Host+r.URL.Path) + "&" + escape(strings.Join(pairs, "&"))
	if params["oauth_consumer_key"] != s.options.ClientID {
		return nil, errors.New("consumer key is wrong")
	}
	mac := hmac.New(sha1.New, []byte(escape(s.options.ClientSecret)+"&"+escape(s.tokenSecret(params["oauth_token"]))))
	mac.Write([]byte(base))
	if base64.StdEncoding.EncodeToString(mac.Sum(nil)) != params["oauth_signature"] {
		return nil, errors.New("signature is wrong")
	}
	return params, nil
}

func (s *Server) tokenSecret(token string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if g := s.grants[token]; g != nil {
		return g.secret
	}
	return ""
}

// escape encodes every byte that isn't unreserved (RFC 3986, 2.3).
func escape(s string) string {
	var b strings.Builder
	for _, c := range []byte(s) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', strings.IndexByte("-._~", c) >= 0:
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}
