package providers_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/truekeel/auth/providers"
	"github.com/truekeel/auth/providers/providertest"
)

const (
	redirectURL = "https://app.example/auth/callback?tenant=1"
	verifier    = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
	state       = "c0ffee"
	nonce       = "n-0S6_WzA2Mj"
)

// record is a file of testdata: how the real provider behaves, and who its people are
// to us.
type record struct {
	Config struct {
		URL    string `json:"url"`
		Issuer string `json:"issuer"`
	} `json:"config"`
	Fixture providertest.Fixture `json:"fixture"`
	// Subject are the places in a person where his id is.
	Subject [][]any `json:"subject"`
	Want    []want  `json:"want"`
}

type want struct {
	Issuer  string            `json:"issuer"`
	Subject string            `json:"subject"`
	Emails  []providers.Email `json:"emails"`
	Claims  map[string]any    `json:"claims"`
}

func load(t testing.TB, name string) record {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name+".json"))
	require.NoError(t, err)
	var r record
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	d.DisallowUnknownFields()
	require.NoError(t, d.Decode(&r))
	return r
}

func (r record) config() providers.Config {
	return providers.Config{
		ClientIDs: []string{providertest.ClientID}, Secret: providertest.ClientSecret,
		URL: r.Config.URL, Issuer: r.Config.Issuer,
	}
}

// clock is a time to turn.
type clock struct{ at time.Time }

func newClock() *clock                   { return &clock{time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)} }
func (c *clock) now() time.Time          { return c.at }
func (c *clock) advance(d time.Duration) { c.at = c.at.Add(d) }

// bench is a provider and the server that plays it.
type bench struct {
	t      testing.TB
	server *providertest.Server
	p      providers.Provider
	clock  *clock
	out    *providers.Outbound
}

// setUp plays the named provider.
func setUp(t testing.TB, name string, change ...func(*record, *providers.Config)) *bench {
	t.Helper()
	r := load(t, name)
	c := r.config()
	for _, f := range change {
		f(&r, &c)
	}
	clock := newClock()
	server := providertest.New(r.Fixture, providertest.Options{Now: clock.now})
	p, err := providers.ByName(name, c)
	require.NoError(t, err)
	out := providers.NewOutbound(server.Client(), clock.now)
	p, err = providers.Connect(p, out)
	require.NoError(t, err)
	return &bench{t, server, p, clock, out}
}

func (b *bench) begin() (providers.Redirect, error) {
	return b.p.Begin(context.Background(), providers.Begin{
		State: state, Nonce: nonce, Verifier: verifier, RedirectURL: redirectURL,
	})
}

// visit begins a sign-in and plays the browser.
func (b *bench) visit(person int) providers.Callback {
	b.t.Helper()
	r, err := b.begin()
	require.NoError(b.t, err)
	params, err := b.server.Visit(r.URL, person)
	require.NoError(b.t, err)
	require.Equal(b.t, state, params.Get("state"))
	return providers.Callback{
		Params: params, Keep: r.Keep, RedirectURL: redirectURL, Nonce: nonce, Verifier: verifier,
	}
}

func (b *bench) finish(cb providers.Callback) (providers.Identity, error) {
	return b.p.Finish(context.Background(), cb)
}

func (b *bench) signIn(person int) (providers.Identity, error) {
	b.t.Helper()
	return b.finish(b.visit(person))
}

// clear puts v in place of a person's id; nil removes it.
func (r record) clear(person *providertest.Person, v any) {
	whole := map[string]any{"answers": person.Answers, "id_token": person.IDToken, "token": person.Token}
	for _, path := range r.Subject {
		var at any = whole
		for i, step := range path {
			last := i == len(path)-1
			switch node := at.(type) {
			case map[string]any:
				name, _ := step.(string)
				switch {
				case last && v == nil:
					delete(node, name)
				case last:
					node[name] = v
				}
				at = node[name]
			case []any:
				n, _ := step.(json.Number).Int64()
				at = node[n]
			}
		}
	}
}

// requireNoSecret fails if an error shows what must not be logged.
func requireNoSecret(t testing.TB, err error, params url.Values) {
	t.Helper()
	require.Error(t, err)
	secrets := []string{providertest.ClientSecret, url.QueryEscape(providertest.ClientSecret), verifier, "access-", "refresh-", "eyJ"}
	if code := params.Get("code"); code != "" {
		secrets = append(secrets, code)
	}
	for _, s := range secrets {
		require.NotContains(t, strings.ToLower(err.Error()), strings.ToLower(s))
	}
}

// plainJSON is v as clients see it.
func plainJSON(t testing.TB, v any) string {
	t.Helper()
	text, err := json.MarshalIndent(v, "", "  ")
	require.NoError(t, err)
	return string(text)
}
