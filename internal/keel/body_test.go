package keel

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestMediaTypes(t *testing.T) {
	tests := []struct {
		header []string
		want   []string
	}{
		{nil, nil},
		{[]string{"application/json"}, []string{"application/json"}},
		{[]string{"Application/JSON; charset=utf-8"}, []string{"application/json"}},
		{[]string{"application/json;"}, []string{"application/json"}},
		{[]string{"application/json; charset"}, []string{"application/json"}},
		{[]string{"text/plain, application/json"}, []string{"text/plain", "application/json"}},
		{[]string{"text/plain", "application/json"}, []string{"text/plain", "application/json"}},
		{[]string{";"}, []string{""}},
		{[]string{""}, []string{""}},
	}
	for _, tt := range tests {
		assert.Equal(t, tt.want, mediaTypes(http.Header{"Content-Type": tt.header}), "%q", tt.header)
	}
}

// FuzzParse: whatever comes, a request is read or refused with a text of this dialect,
// and what was read is text that every database keeps.
func FuzzParse(f *testing.F) {
	for _, body := range []string{
		"", "{}", "null", "[]", `{"grant_type":"password"}`, `{"grant_type":"a","grant_type":"b"}`, `{"create_if_not_exists":"T"}`,
		`{"create_if_not_exists":1}`, `{"a":"\u0000"}`, `{"a":"\ud800"}`, "grant_type=password&username=a%40b", "a=%00", "a=%ff", "a=%zz", "a;b",
		"a=1&a=2", "=", "&&", strings.Repeat("[", 64), `{"x":` + strings.Repeat("9", 400) + `}`,
	} {
		for _, kind := range []string{formType, jsonType, "text/plain", "application/json, " + formType} {
			f.Add(body, kind, "", true)
			f.Add("", kind, body, true)
			f.Add(body, kind, "grant_type=x", false)
		}
	}
	f.Fuzz(func(t *testing.T, body, kind, query string, withQuery bool) {
		r := httptest.NewRequest(http.MethodPost, "/token", strings.NewReader(body))
		r.Header["Content-Type"] = []string{kind}
		r.URL.RawQuery = query
		got, err := parse(r, withQuery)
		if err != nil {
			var own refusal
			require.ErrorAs(t, err, &own)
			require.Contains(t, []refusal{errContentType, errMalformed}, own)
			return
		}
		for name, raw := range got {
			require.True(t, json.Valid(raw), name)
			text := got.text(name)
			require.True(t, utf8.ValidString(text))
			require.NotContains(t, text, "\x00")
		}
		if create, err := got.create(); err != nil {
			require.Equal(t, errCreate, err)
			require.False(t, create)
		}
		if !withQuery && query != "" {
			r = httptest.NewRequest(http.MethodPost, "/token", strings.NewReader(body))
			r.Header["Content-Type"] = []string{kind}
			without, err := parse(r, false)
			require.NoError(t, err)
			require.Equal(t, without, got, "the query was read")
		}
	})
}

// FuzzNamesGrant: a body that is said to name a grant is an object with a text as grant.
func FuzzNamesGrant(f *testing.F) {
	for _, body := range []string{`{"grant_type":"x"}`, `{"grant_type":""}`, `{"grant_type":null}`, `{"Grant_Type":"x"}`, "", "null", "[", `"grant_type"`} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		if !NamesGrant(body) {
			return
		}
		var object map[string]any
		require.NoError(t, json.Unmarshal(body, &object))
		require.IsType(t, "", object["grant_type"])
	})
}

func TestNamed(t *testing.T) {
	d := &Dialect{Config: Config{Providers: []Provider{{Name: "Acme"}, {Name: "keel_own"}}}}
	for path, want := range map[string]string{
		"/authorize/acme": "Acme", "/authorize/ACME": "Acme", "//authorize/acme//": "Acme", "/authorize/keel_own": "keel_own",
		"/authorize": "", "/authorize/": "", "/authorize/acme/x": "", "/authorize//acme": "", "/callback/acme": "", "/authorizeacme": "",
	} {
		p, ok := d.named(path, "authorize")
		assert.Equal(t, want != "", ok, path)
		assert.Equal(t, want, p.Name, path)
	}
	assert.Len(t, d.shown(), 1)
}
