package providers_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"testing"

	"github.com/truekeel/auth/providers"
	"github.com/truekeel/auth/providers/providertest"
)

// canned answers every request with a fixed text.
type canned struct {
	kind, token, profile string
	tokenURL             string
}

func (c canned) RoundTrip(r *http.Request) (*http.Response, error) {
	text := c.profile
	if r.URL.Path == c.tokenURL {
		text = c.token
	}
	return &http.Response{
		StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {c.kind}}, Request: r,
		Body: io.NopCloser(bytes.NewReader([]byte(text))), ContentLength: -1,
	}, nil
}

func fuzzed(t *testing.T, name string, c canned) {
	t.Helper()
	p, err := providers.ByName(name, providers.Config{ClientIDs: []string{"id"}, Secret: "s"})
	if err != nil {
		t.Fatal(err)
	}
	p, err = providers.Connect(p, providers.NewOutbound(&http.Client{Transport: c}, nil))
	if err != nil {
		t.Fatal(err)
	}
	id, err := p.Finish(context.Background(), providers.Callback{
		Params: url.Values{"code": {"c"}}, RedirectURL: redirectURL, Verifier: verifier,
	})
	if err == nil && (id.Subject == "" || id.Issuer == "" || id.Claims["sub"] != id.Subject) {
		t.Fatalf("%s: identity without a key: %+v", name, id)
	}
}

// FuzzTokenAnswer gives GitHub and WorkOS, whose profile is in it, any token answer.
func FuzzTokenAnswer(f *testing.F) {
	for _, kind := range []string{"application/json", "application/x-www-form-urlencoded", "text/html; charset=x", ""} {
		f.Add(kind, `{"access_token":"a","token_type":"bearer","expires_in":"3600"}`)
		f.Add(kind, `access_token=a&token_type=bearer&expires_in=1e99`)
		f.Add(kind, `{"access_token":"a","profile":{"id":"p","first_name":1}}`)
		f.Add(kind, `{"access_token":"a","profile":[]}`)
		f.Add(kind, `{"error":"x","error_description":"\u0000"}`)
		f.Add(kind, `<html>`)
	}
	f.Fuzz(func(t *testing.T, kind, token string) {
		fuzzed(t, "workos", canned{kind: kind, token: token, tokenURL: "/sso/token"})
		fuzzed(t, "github", canned{kind: kind, token: token, profile: `{"id":1}`, tokenURL: "/login/oauth/access_token"})
	})
}

// FuzzProfile gives every provider that asks for a profile any answer.
func FuzzProfile(f *testing.F) {
	files, err := filepath.Glob("testdata/*.json")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		r := load(f, filepath.Base(file[:len(file)-len(".json")]))
		for _, p := range r.Fixture.People {
			for _, a := range p.Answers {
				f.Add(plainJSON(f, a))
			}
		}
	}
	f.Add(`[]`)
	f.Add(`{"data":[null]}`)
	f.Add(`{"id":-0,"emails":{}}`)
	names := []string{
		"amazon", "atlassian", "bitbucket", "discord", "dropbox", "facebook", "figma", "fly", "github", "gitlab", "kakao",
		"linear", "linkedin", "naver", "notion", "patreon", "paypal", "reddit", "slack", "snapchat", "spotify", "strava",
		"tiktok", "twitch", "x", "yandex", "zoom",
	}
	tokenPaths := make(map[string]string)
	for _, name := range names {
		u, err := url.Parse(load(f, name).Fixture.Token.URL)
		if err != nil {
			f.Fatal(err)
		}
		tokenPaths[name] = u.Path
	}
	f.Fuzz(func(t *testing.T, profile string) {
		for name, path := range tokenPaths {
			fuzzed(t, name, canned{kind: "application/json", token: `{"access_token":"a"}`, profile: profile, tokenURL: path})
		}
	})
}

// FuzzIDToken presents any text as an id token.
func FuzzIDToken(f *testing.F) {
	text, err := os.ReadFile(filepath.Join("testdata", "google.json"))
	if err != nil || len(text) == 0 {
		f.Fatal(err)
	}
	server := providertest.New(load(f, "google").Fixture, providertest.Options{})
	for _, fault := range []providertest.TokenFault{
		providertest.AlgNone, providertest.AlgHS256, providertest.UnknownKey, providertest.ForeignKey, providertest.Truncated,
	} {
		f.Add(server.Mint(0, "", "", fault))
	}
	f.Add("..")
	f.Add("")
	p, err := providers.Connect(providers.Google(providertest.ClientID, "s"), providers.NewOutbound(server.Client(), nil))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		if id, err := p.(providers.IDTokenVerifier).VerifyIDToken(context.Background(), providers.IDToken{Raw: raw}); err == nil {
			t.Fatalf("accepted: %+v", id)
		}
	})
}
