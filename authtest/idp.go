package authtest

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/truekeel/auth"
	"github.com/truekeel/auth/providers"
	"github.com/truekeel/auth/providers/providertest"
)

// IdP is an identity provider that is none: it has people and no passwords.
//
//	google := authtest.NewIdP(t, "google")
//	h := authtest.New(t, google.Option())
//	ann := h.SignInWith(google, 0)
//
// It listens on a loopback address, where a browser finds a page to choose a person on.
type IdP struct {
	// Server is the provider: it mints id tokens and misbehaves on demand.
	Server *providertest.Server

	name string
	now  atomic.Pointer[func() time.Time]
}

// NewIdP starts a provider under a name, until the test ends. Without people it knows
// four: ann and ben@example.com, una@example.com, whose address isn't verified, and one
// without an address.
func NewIdP(t testing.TB, name string, people ...providertest.Person) *IdP {
	t.Helper()
	p := &IdP{name: name}
	now := time.Now
	p.now.Store(&now)
	var err error
	p.Server, err = providertest.Start(providertest.Options{People: people, Now: func() time.Time { return (*p.now.Load())() }})
	if err != nil {
		t.Fatalf("authtest: %v", err)
	}
	t.Cleanup(p.Server.Close)
	return p
}

// Option lets people sign in with the provider.
func (p *IdP) Option() auth.Option { return auth.WithProvider(p.Provider()) }

// Provider is the provider as [auth.WithProvider] takes it.
func (p *IdP) Provider() providers.Provider {
	return providers.OIDC(p.name, p.Server.Issuer(), providertest.ClientID, providertest.ClientSecret, providers.WithInternal())
}

// SignInWith plays the browser of somebody who signs in with a provider: the way there,
// the person's consent, and the way back. who is the place of the person in the list.
// The provider goes by the harness's clock from then on. The test fails if he doesn't
// come in.
func (h *Harness) SignInWith(p *IdP, who int) *Person {
	h.t.Helper()
	now := h.Clock.Now
	p.now.Store(&now)
	left := h.open(http.MethodGet, "/authorize?provider="+url.QueryEscape(p.name), nil)
	back, err := p.Server.Visit(left.Header().Get("Location"), who)
	if err != nil {
		h.t.Fatalf("authtest: signing in with %s: %d %s: %v", p.name, left.Code, left.Body, err)
	}
	landed := h.open(http.MethodGet, "/callback?"+back.Encode(), left.Result().Cookies())
	to, err := landed.Result().Location()
	if err != nil {
		h.t.Fatalf("authtest: coming back from %s: %d %s", p.name, landed.Code, landed.Body)
	}
	v, _ := url.ParseQuery(to.EscapedFragment())
	if v.Get("access_token") == "" {
		h.t.Fatalf("authtest: coming back from %s: %s %s", p.name, v.Get("error_code"), v.Get("error_description"))
	}
	return h.person(v)
}

// open sends a request as a browser on this machine does.
func (h *Harness) open(method, target string, cookies []*http.Cookie) *httptest.ResponseRecorder {
	r := httptest.NewRequestWithContext(context.Background(), method, target, nil)
	r.Host = "localhost"
	for _, c := range cookies {
		r.AddCookie(c)
	}
	w := httptest.NewRecorder()
	h.Auth.ServeHTTP(w, r)
	return w
}

// person makes a Person of the tokens in a redirect's fragment.
func (h *Harness) person(v url.Values) *Person {
	h.t.Helper()
	ctx := context.Background()
	proved, err := h.Auth.Verify(ctx, v.Get("access_token"))
	if err != nil {
		h.t.Fatalf("authtest: the access token: %v", err)
	}
	u, err := h.Auth.Users().Get(ctx, proved.ID)
	if err != nil {
		h.t.Fatalf("authtest: reading %s: %v", proved.ID, err)
	}
	expires, _ := strconv.ParseInt(v.Get("expires_at"), 10, 64)
	return &Person{Grant: auth.Grant{
		User: u, SessionID: proved.SessionID, AccessToken: v.Get("access_token"), RefreshToken: v.Get("refresh_token"), ExpiresAt: time.Unix(expires, 0).UTC(),
	}}
}
