package captcha

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/truekeel/auth/internal/outbound"
)

// fake is a service that answers every request in the same way, and keeps the last one.
type fake struct {
	url   string
	path  string
	form  url.Values
	count int
}

func newFake(t *testing.T, status int, answer string) *fake {
	t.Helper()
	f := &fake{}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		assert.NoError(t, err)
		form, err := url.ParseQuery(string(body))
		assert.NoError(t, err)
		assert.Equal(t, http.MethodPost, r.Method)
		assert.Equal(t, "application/x-www-form-urlencoded", r.Header.Get("Content-Type"))
		assert.Empty(t, r.URL.RawQuery)
		f.path, f.form, f.count = r.URL.Path, form, f.count+1
		w.WriteHeader(status)
		_, _ = io.WriteString(w, answer)
	}))
	t.Cleanup(srv.Close)
	f.url = srv.URL
	return f
}

const (
	theSecret = "0xS3cretS3cret"
	theToken  = "10000000-aaaa-bbbb-cccc-000000000001"
)

func (f *fake) both() map[string]Verifier {
	return map[string]Verifier{
		"/siteverify":              &HCaptcha{Secret: theSecret, BaseURL: f.url},
		"/turnstile/v0/siteverify": &Turnstile{Secret: theSecret, BaseURL: f.url + "/"},
	}
}

func TestGoodToken(t *testing.T) {
	f := newFake(t, 200, `{"success":true,"challenge_ts":"2024-01-01T00:00:00Z","hostname":"acme.example","error-codes":[]}`)
	for path, v := range f.both() {
		require.NoError(t, v.Verify(t.Context(), theToken, "203.0.113.7"))
		require.Equal(t, path, f.path)
		require.Equal(t, url.Values{"secret": {theSecret}, "response": {theToken}, "remoteip": {"203.0.113.7"}}, f.form)
		require.NoError(t, v.Verify(t.Context(), theToken, ""))
		require.Equal(t, url.Values{"secret": {theSecret}, "response": {theToken}}, f.form)
	}
}

func TestRefused(t *testing.T) {
	for name, c := range map[string]struct {
		status        int
		answer        string
		codes         []string
		misconfigured bool
	}{
		"used":          {200, `{"success":false,"error-codes":["timeout-or-duplicate"]}`, []string{"timeout-or-duplicate"}, false},
		"two":           {200, `{"success":false,"error-codes":["a","b"]}`, []string{"a", "b"}, false},
		"none":          {200, `{"success":false}`, nil, false},
		"empty":         {200, `{"success":false,"error-codes":[]}`, nil, false},
		"null":          {200, `{"success":false,"error-codes":null}`, nil, false},
		"secret":        {200, `{"success":false,"error-codes":["invalid-input-secret"]}`, []string{"invalid-input-secret"}, true},
		"client error":  {400, `{"success":false,"error-codes":["invalid-input-secret"]}`, []string{"invalid-input-secret"}, true},
		"no codes":      {200, `{"success":false,"error-codes":["<b>","a b","\u0000","",7,{},null,"` + strings.Repeat("x", 65) + `"]}`, nil, false},
		"many":          {200, `{"success":false,"error-codes":["a","b","c","d","e","f","g"]}`, []string{"a", "b", "c", "d", "e"}, false},
		"secret, token": {200, `{"success":false,"error-codes":["` + theSecret + `","x` + theToken + `","S3cretS3cret"]}`, nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			for _, v := range newFake(t, c.status, c.answer).both() {
				err := v.Verify(t.Context(), theToken, "")
				var refused *Refused
				require.ErrorAs(t, err, &refused)
				require.Equal(t, c.codes, refused.Codes)
				require.Equal(t, c.misconfigured, refused.Misconfigured())
				require.Contains(t, err.Error(), "captcha: refused")
			}
		})
	}
	f := newFake(t, 200, `{"success":true}`)
	for _, v := range f.both() {
		for _, token := range []string{"", strings.Repeat("x", maxToken+1)} {
			var refused *Refused
			require.ErrorAs(t, v.Verify(t.Context(), token, ""), &refused)
		}
	}
	require.Zero(t, f.count)
}

func TestNoAnswer(t *testing.T) {
	for name, c := range map[string]struct {
		status int
		answer string
	}{
		"garbage":        {200, "<html>"},
		"empty":          {200, ""},
		"null":           {200, "null"},
		"array":          {200, "[]"},
		"no success":     {200, "{}"},
		"null success":   {200, `{"success":null}`},
		"text":           {200, `{"success":"true"}`},
		"number":         {200, `{"success":1}`},
		"codes no list":  {200, `{"success":false,"error-codes":"x"}`},
		"server error":   {500, `{"success":false,"error-codes":["internal-error"]}`},
		"error, success": {502, `{"success":true}`},
		"wrong success":  {404, `{"success":true}`},
		"created":        {201, `{"success":true}`},
		"large":          {200, `{"success":true,"x":"` + strings.Repeat("x", 10<<20) + `"}`},
	} {
		t.Run(name, func(t *testing.T) {
			for _, v := range newFake(t, c.status, c.answer).both() {
				err := v.Verify(t.Context(), theToken, "")
				require.Error(t, err)
				var refused *Refused
				require.False(t, errors.As(err, &refused), "%v", err)
				require.NotContains(t, err.Error(), theToken)
				require.NotContains(t, err.Error(), theSecret)
				require.Less(t, len(err.Error()), 200)
			}
		})
	}
}

func TestNeverAnswered(t *testing.T) {
	done := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-done:
		case <-r.Context().Done():
		}
	}))
	defer srv.Close()
	defer close(done)
	v := &HCaptcha{Secret: theSecret, BaseURL: srv.URL, Timeout: 20 * time.Millisecond}
	err := v.Verify(t.Context(), theToken, "")
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.NotContains(t, err.Error(), theToken)

	down := httptest.NewServer(http.NotFoundHandler())
	down.Close()
	require.Error(t, (&Turnstile{Secret: theSecret, BaseURL: down.URL}).Verify(t.Context(), theToken, ""))
}

func TestValidate(t *testing.T) {
	for want, v := range map[string]interface{ Validate() error }{
		"HCaptcha.Secret is missing":  &HCaptcha{},
		"HCaptcha.BaseURL":            &HCaptcha{Secret: "x", BaseURL: "http://captcha.example.com"},
		"HCaptcha.Timeout":            &HCaptcha{Secret: "x", Timeout: -1},
		"*HCaptcha is nil":            (*HCaptcha)(nil),
		"Turnstile.Secret is missing": &Turnstile{Secret: "a b"},
		"Turnstile.BaseURL":           &Turnstile{Secret: "x", BaseURL: "captcha"},
		"Turnstile.Timeout":           &Turnstile{Secret: "x", Timeout: -1},
		"*Turnstile is nil":           (*Turnstile)(nil),
	} {
		require.ErrorContains(t, v.Validate(), want)
	}
	require.ErrorContains(t, (&HCaptcha{}).Verify(t.Context(), theToken, ""), "Secret")
}

func TestClients(t *testing.T) {
	f := newFake(t, 200, `{"success":true}`)
	to, err := url.Parse(f.url)
	require.NoError(t, err)
	var asked []string
	rerouted := &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
		asked = append(asked, r.URL.String())
		r.URL.Scheme, r.URL.Host = to.Scheme, to.Host
		return http.DefaultTransport.RoundTrip(r)
	})}
	h, s := &HCaptcha{Secret: theSecret}, &Turnstile{Secret: theSecret}
	for _, v := range []Verifier{h.WithClient(rerouted), s.WithClient(rerouted)} {
		require.NoError(t, v.Verify(t.Context(), theToken, ""))
		v.(interface{ CloseIdleConnections() }).CloseIdleConnections()
	}
	require.Equal(t, []string{"https://hcaptcha.com/siteverify", "https://challenges.cloudflare.com/turnstile/v0/siteverify"}, asked)
	require.Nil(t, h.Client)
	h.Client, s.Client = rerouted, rerouted
	require.Same(t, h, h.WithClient(http.DefaultClient))
	require.Same(t, s, s.WithClient(http.DefaultClient))
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func FuzzAnswer(f *testing.F) {
	for _, s := range []string{`{"success":true}`, `{"success":false,"error-codes":["timeout-or-duplicate"]}`, `{"success":false,"error-codes":[7]}`, `{"Success":true}`, `null`, `[`} {
		f.Add(200, []byte(s))
		f.Add(500, []byte(s))
	}
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		codes, err := read(outbound.Answer{Status: status, Body: body})
		if err == nil && codes == nil {
			require.Equal(t, 200, status)
			require.Contains(t, strings.ToLower(string(body)), "success")
			return
		}
		out := shown(codes, theSecret, theToken)
		require.LessOrEqual(t, len(out), maxCodes)
		for _, c := range out {
			require.Regexp(t, `^[A-Za-z0-9._-]{1,64}$`, c)
			require.NotContains(t, c, theSecret)
		}
	})
}
