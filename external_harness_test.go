package auth_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/truekeel/auth"
	"github.com/truekeel/auth/providers"
	"github.com/truekeel/auth/store"
)

// idp is a provider without a wire: it knows people by the codes that tests give them.
type idp struct {
	name     string
	post     bool
	optional bool

	mu     sync.Mutex
	people map[string]providers.Identity // by code
	fails  map[string]error              // by code
	begun  []providers.Begin
	down   error
}

func newIdP(name string) *idp {
	return &idp{name: name, people: map[string]providers.Identity{}, fails: map[string]error{}}
}

func (p *idp) Name() string        { return p.name }
func (p *idp) FormPost() bool      { return p.post }
func (p *idp) EmailOptional() bool { return p.optional }

func (p *idp) Begin(_ context.Context, b providers.Begin) (providers.Redirect, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.down != nil {
		return providers.Redirect{}, p.down
	}
	p.begun = append(p.begun, b)
	v := url.Values{"state": {b.State}, "redirect_uri": {b.RedirectURL}, "scope": {strings.Join(b.Scopes, " ")}}
	for name, values := range b.Params {
		v[name] = values
	}
	return providers.Redirect{URL: "https://" + p.name + ".example/authorize?" + v.Encode(), Keep: map[string]string{"kept": b.Verifier}}, nil
}

func (p *idp) last() providers.Begin {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.begun[len(p.begun)-1]
}

func (p *idp) Finish(_ context.Context, cb providers.Callback) (providers.Identity, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	fail := func(kind error) (providers.Identity, error) {
		return providers.Identity{}, &providers.Error{Provider: p.name, Kind: kind, Code: cb.Params.Get("error"), Description: cb.Params.Get("error_description")}
	}
	code := cb.Params.Get("code")
	switch {
	case cb.Params.Has("error"):
		return fail(providers.ErrRefused)
	case code == "":
		return fail(providers.ErrNoCode)
	case cb.Keep["kept"] == "" || cb.Keep["kept"] != cb.Verifier || cb.Nonce == "" || cb.RedirectURL == "":
		return fail(errors.New("what was kept has changed"))
	}
	if err, ok := p.fails[code]; ok {
		return fail(err)
	}
	id, ok := p.people[code]
	if !ok {
		return fail(providers.ErrExchange)
	}
	delete(p.people, code) // a code is good once
	return id, nil
}

// IssuedBy and VerifyIDToken take the code for the token.
func (p *idp) IssuedBy(issuer string) bool { return issuer == "https://"+p.name+".example" }

func (p *idp) VerifyIDToken(_ context.Context, t providers.IDToken) (providers.Identity, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	fail := func(kind error) (providers.Identity, error) {
		return providers.Identity{}, &providers.Error{Provider: p.name, Kind: kind, Description: "somebody-else"}
	}
	if err, ok := p.fails[t.Raw]; ok {
		return fail(err)
	}
	id, ok := p.people[t.Raw]
	if !ok {
		return fail(providers.ErrBadIDToken)
	}
	id.AccessToken, id.RefreshToken = "", ""
	return id, nil
}

// knows gives somebody a code.
func (p *idp) knows(code string, id providers.Identity) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.people[code] = id
}

func (p *idp) failsWith(code string, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fails[code] = err
}

// someone is an identity at a provider, with an address that it vouches for or not.
func (p *idp) someone(subject, email string, verified bool) providers.Identity {
	id := providers.Identity{
		Issuer: "https://" + p.name + ".example", Subject: subject, AccessToken: "token-of-" + subject, RefreshToken: "refresh-of-" + subject,
		Claims: map[string]any{"sub": subject, "provider_id": subject, "iss": "https://" + p.name + ".example", "name": "Name of " + subject, "phone_verified": false},
	}
	if email != "" {
		id.Emails = []providers.Email{{Address: email, Verified: verified, Primary: true}}
	}
	return id
}

// town is a door with two providers, and the store behind it.
type town struct {
	*door
	store     store.Store
	acme, umb *idp
}

func openTown(t testing.TB, opts ...auth.Option) *town {
	t.Helper()
	s := fresh(t)
	w := &town{store: s, acme: newIdP("acme"), umb: newIdP("umbrella")}
	w.door = open(t, append([]auth.Option{auth.WithStore(s), auth.WithProvider(w.acme, w.umb)}, opts...)...)
	return w
}

// census counts what must not appear by itself.
type census struct{ Users, Identities, Sessions int }

func (w *town) count() (c census) {
	w.t.Helper()
	ctx := context.Background()
	users, err := w.store.ListUsers(ctx, store.UserQuery{Limit: 1000})
	require.NoError(w.t, err)
	c.Users = len(users)
	for _, u := range users {
		i, err := w.store.IdentitiesOf(ctx, u.ID)
		require.NoError(w.t, err)
		s, err := w.store.SessionsOf(ctx, u.ID)
		require.NoError(w.t, err)
		c.Identities += len(i)
		c.Sessions += len(s)
	}
	return c
}

// unchanged runs what must leave no trace in the accounts.
func (w *town) unchanged(f func()) {
	w.t.Helper()
	before := w.count()
	f()
	require.Equal(w.t, before, w.count())
}

// user reads somebody's row by his address.
func (w *town) user(email string) store.User {
	w.t.Helper()
	u, err := w.store.UserByEmail(context.Background(), "authenticated", email)
	require.NoError(w.t, err)
	return u
}

func (w *town) identities(id uuid.UUID) []store.Identity {
	w.t.Helper()
	out, err := w.store.IdentitiesOf(context.Background(), id)
	require.NoError(w.t, err)
	return out
}

// browser keeps cookies and follows nothing by itself.
type browser struct {
	*town
	client *http.Client
}

func (w *town) browser() *browser {
	w.t.Helper()
	jar, err := cookiejar.New(nil)
	require.NoError(w.t, err)
	return &browser{w, &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

func (b *browser) do(method, path string, form url.Values, headers ...header) *http.Response {
	b.t.Helper()
	req, err := http.NewRequestWithContext(b.t.Context(), method, b.url+path, strings.NewReader(form.Encode()))
	require.NoError(b.t, err)
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for _, h := range headers {
		req.Header.Set(h.name, h.value)
	}
	resp, err := b.client.Do(req)
	require.NoError(b.t, err)
	resp.Body.Close()
	return resp
}

// leave goes to /authorize and gives the provider's URL.
func (b *browser) leave(v url.Values, headers ...header) *url.URL {
	b.t.Helper()
	resp := b.do(http.MethodGet, "/authorize?"+v.Encode(), nil, headers...)
	require.Equal(b.t, http.StatusFound, resp.StatusCode)
	to, err := resp.Location()
	require.NoError(b.t, err)
	return to
}

// comeBack goes to /callback and gives the URL that it ends at.
func (b *browser) comeBack(v url.Values) *url.URL {
	b.t.Helper()
	resp := b.do(http.MethodGet, "/callback?"+v.Encode(), nil)
	require.Contains(b.t, []int{http.StatusFound, http.StatusSeeOther}, resp.StatusCode)
	to, err := resp.Location()
	require.NoError(b.t, err)
	return to
}

// in goes to a provider and comes back as somebody, in the implicit flow.
func (b *browser) in(p *idp, id providers.Identity) *url.URL {
	b.t.Helper()
	state := b.leave(url.Values{"provider": {p.name}}).Query().Get("state")
	p.knows("code-"+state, id)
	return b.comeBack(url.Values{"state": {state}, "code": {"code-" + state}})
}

func fragmentOf(u *url.URL) url.Values {
	v, _ := url.ParseQuery(u.EscapedFragment())
	return v
}

// wantIn checks that a way back ended with a session, and gives what it carries.
func (b *browser) wantIn(u *url.URL) url.Values {
	b.t.Helper()
	v := fragmentOf(u)
	require.NotEmpty(b.t, v.Get("access_token"), "ended at %s", u)
	return v
}

// wantOut checks that a way back ended with an error, told in query and fragment.
func (b *browser) wantOut(u *url.URL, name, code string) {
	b.t.Helper()
	q, v := u.Query(), fragmentOf(u)
	require.Equal(b.t, name, q.Get("error"), "ended at %s", u)
	require.Equal(b.t, code, q.Get("error_code"), "ended at %s", u)
	require.Equal(b.t, q.Get("error"), v.Get("error"))
	require.Equal(b.t, q.Get("error_code"), v.Get("error_code"))
	require.Equal(b.t, q.Get("error_description"), v.Get("error_description"))
	require.True(b.t, v.Has("sb"))
	require.Empty(b.t, v.Get("access_token"))
}

// wantLost checks that a way back ended at the site with an error in the query alone.
func (b *browser) wantLost(u *url.URL, code string) {
	b.t.Helper()
	require.Equal(b.t, code, u.Query().Get("error_code"), "ended at %s", u)
	require.Equal(b.t, "invalid_request", u.Query().Get("error"))
	require.Empty(b.t, u.Fragment)
	require.Equal(b.t, b.srv.URL, u.Scheme+"://"+u.Host)
}

// verifierOf is a PKCE pair.
func pkcePair() (verifier string, challenge url.Values) {
	verifier = strings.Repeat("verifier-", 6)
	sum := sha256.Sum256([]byte(verifier))
	return verifier, url.Values{"code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])}, "code_challenge_method": {"s256"}}
}
