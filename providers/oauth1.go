package providers

import (
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // OAuth 1 signs with HMAC-SHA1 (RFC 5849, 3.4.2), which is not broken
	"encoding/base64"
	"errors"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// signer signs requests as RFC 5849 has it, with HMAC-SHA1.
type signer struct {
	key, secret string
	nonce       func() string
	now         func() time.Time
}

// header gives the Authorization header of a request to address, which may have a
// query. oauth are further protocol parameters, token and its secret the credentials,
// empty before there are any.
func (s signer) header(method, address, token, tokenSecret string, oauth map[string]string) (string, error) {
	u, err := url.Parse(address)
	if err != nil {
		return "", errors.New("address doesn't parse")
	}
	params := map[string]string{
		"oauth_consumer_key":     s.key,
		"oauth_nonce":            s.nonce(),
		"oauth_signature_method": "HMAC-SHA1",
		"oauth_timestamp":        strconv.FormatInt(s.now().Unix(), 10),
		"oauth_version":          "1.0",
	}
	if token != "" {
		params["oauth_token"] = token
	}
	maps.Copy(params, oauth)
	params["oauth_signature"] = s.sign(signatureBase(method, u, params), tokenSecret)

	var b strings.Builder
	b.WriteString("OAuth ")
	for i, name := range slices.Sorted(maps.Keys(params)) {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(percent(name) + `="` + percent(params[name]) + `"`)
	}
	return b.String(), nil
}

func (s signer) sign(base, tokenSecret string) string {
	mac := hmac.New(sha1.New, []byte(percent(s.secret)+"&"+percent(tokenSecret)))
	mac.Write([]byte(base))
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// signatureBase is what is signed (RFC 5849, 3.4.1): method, address without query, and
// all parameters, sorted after they are encoded.
func signatureBase(method string, u *url.URL, oauth map[string]string) string {
	var pairs []string
	for name, v := range oauth {
		pairs = append(pairs, percent(name)+"="+percent(v))
	}
	for name, values := range u.Query() {
		for _, v := range values {
			pairs = append(pairs, percent(name)+"="+percent(v))
		}
	}
	slices.SortFunc(pairs, func(a, b string) int {
		nameA, valueA, _ := strings.Cut(a, "=")
		nameB, valueB, _ := strings.Cut(b, "=")
		if c := strings.Compare(nameA, nameB); c != 0 {
			return c
		}
		return strings.Compare(valueA, valueB)
	})
	bare := url.URL{Scheme: strings.ToLower(u.Scheme), Host: strings.ToLower(u.Host), Path: u.Path, RawPath: u.RawPath}
	return strings.ToUpper(method) + "&" + percent(bare.String()) + "&" + percent(strings.Join(pairs, "&"))
}

// percent encodes as RFC 5849 (3.6) wants it: all but unreserved characters.
func percent(s string) string {
	return strings.ReplaceAll(url.QueryEscape(s), "+", "%20")
}

// credentials are a token and its secret.
type credentials struct{ token, secret string }

// parseCredentials reads the answer of a token request (RFC 5849, 2.1 and 2.3).
func parseCredentials(body string) (credentials, url.Values, error) {
	values, err := url.ParseQuery(strings.TrimSpace(body))
	if err != nil {
		return credentials{}, nil, errors.New("answer is no form")
	}
	c := credentials{token: values.Get("oauth_token"), secret: values.Get("oauth_token_secret")}
	if c.token == "" || c.secret == "" {
		return credentials{}, nil, errors.New("answer holds no token")
	}
	return c, values, nil
}
