package auth_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"maps"
	"math/big"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"

	"github.com/truekeel/auth"
)

const (
	stubClient  = "oidc-client-id"
	stubSubject = "id|285620"
)

// keelIdP is an OpenID Connect provider as Keel's clients meet them: it signs without a
// key id, wants its client's secret in the form, and echoes state.
type keelIdP struct {
	*httptest.Server
	t   testing.TB
	key *rsa.PrivateKey

	mu       sync.Mutex
	now      func() time.Time
	redirect string         // the registered one; "" for any
	client   string         // the registered one; "" for none
	claims   map[string]any // of the person
	nonce    string         // of the last who came
	token    func(http.ResponseWriter, *http.Request) bool
	grant    map[string]any // laid over the token answer; nil removes
	issuer   string         // as the discovery document says
}

var stubKey = sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) })

func newKeelIdP(t testing.TB) *keelIdP {
	t.Helper()
	key, err := stubKey()
	require.NoError(t, err)
	p := &keelIdP{t: t, key: key, client: stubClient, now: time.Now}
	mux := http.NewServeMux()
	mux.HandleFunc("/.well-known/openid-configuration", p.discovery)
	mux.HandleFunc("/keys", p.keys)
	mux.HandleFunc("/authorize", p.authorize)
	mux.HandleFunc("/token", p.exchange)
	p.Server = httptest.NewServer(mux)
	t.Cleanup(p.Close)
	p.issuer = p.URL
	return p
}

func (p *keelIdP) set(change func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change()
}

func (p *keelIdP) discovery(w http.ResponseWriter, _ *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	writeJSON(w, http.StatusOK, map[string]any{
		"issuer": p.issuer, "authorization_endpoint": p.URL + "/authorize", "token_endpoint": p.URL + "/token",
		"jwks_uri": p.URL + "/keys", "id_token_signing_alg_values_supported": []string{"RS256"},
	})
}

func (p *keelIdP) keys(w http.ResponseWriter, _ *http.Request) {
	enc := base64.RawURLEncoding
	writeJSON(w, http.StatusOK, map[string]any{"keys": []any{map[string]any{
		"kty": "RSA", "use": "sig", "alg": "RS256", "kid": "mykey",
		"n": enc.EncodeToString(p.key.N.Bytes()), "e": enc.EncodeToString(big.NewInt(int64(p.key.E)).Bytes()),
	}}})
}

func (p *keelIdP) authorize(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	q := r.URL.Query()
	back, err := url.Parse(q.Get("redirect_uri"))
	if err != nil {
		http.Error(w, "redirect_uri", http.StatusBadRequest)
		return
	}
	v := url.Values{"state": {q.Get("state")}}
	switch {
	case q.Get("client_id") != p.client:
		v.Set("error", "invalid_request")
		v.Set("error_description", "client id not registered on server")
	case p.redirect != "" && p.redirect != q.Get("redirect_uri"):
		writeJSON(w, http.StatusBadRequest, map[string]any{"error": "invalid_request", "error_description": "redirect uri does not match"})
		return
	default:
		p.nonce = q.Get("nonce")
		v.Set("code", rand.Text())
		v.Set("iss", p.URL)
	}
	back.RawQuery = v.Encode()
	http.Redirect(w, r, back.String(), http.StatusFound)
}

func (p *keelIdP) exchange(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.token != nil && p.token(w, r) {
		return
	}
	if err := r.ParseForm(); err != nil || r.PostForm.Get("client_id") != p.client || r.PostForm.Get("client_secret") != "secret" {
		w.Header().Set("Content-Type", "text/plain")
		w.WriteHeader(http.StatusBadRequest)
		_, _ = w.Write([]byte(`{"error":"invalid_client","error_description":"invalid client secret"}`))
		return
	}
	answer := map[string]any{
		"access_token": "idp-access", "token_type": "bearer", "expires_in": 360, "refresh_token": "idp-refresh",
		"id_token": p.sign(map[string]any{"nonce": p.nonce}),
	}
	maps.Copy(answer, p.grant)
	for name, v := range p.grant {
		if v == nil {
			delete(answer, name)
		}
	}
	writeJSON(w, http.StatusOK, answer)
}

// sign makes an id token of the person's claims and more; the caller holds the lock.
func (p *keelIdP) sign(more map[string]any) string {
	now := p.now()
	c := jwt.MapClaims{
		"iss": p.URL, "sub": stubSubject, "aud": stubClient, "iat": now.Unix(), "exp": now.Add(5 * time.Minute).Unix(),
		"custom_claim": "custom value", "https://slack.com/#teamID": "342352392354",
	}
	maps.Copy(c, p.claims)
	for name, v := range more {
		c[name] = v
		if v == nil || v == "" {
			delete(c, name)
		}
	}
	text, err := jwt.NewWithClaims(jwt.SigningMethodRS256, c).SignedString(p.key)
	if err != nil {
		panic(err)
	}
	return text
}

// idToken makes an id token of some claims.
func (p *keelIdP) idToken(more map[string]any) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.sign(more)
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

// profile are all standard claims.
func profile() map[string]any {
	return map[string]any{
		"email": "keelson@keel.so", "email_verified": true, "name": "Keelson", "given_name": "Kee", "family_name": "Lson",
		"middle_name": "Middle", "nickname": "Kel", "profile": "https://keel.example/kel", "picture": "https://keel.example/kel.png",
		"website": "https://kel.example", "gender": "none", "zoneinfo": "Europe/London", "locale": "en-GB",
	}
}

// harbour is a door with a provider, and an app on which people land.
type harbour struct {
	*door
	idp *keelIdP
	app *httptest.Server
}

// harbourOption changes the settings of a harbour before it opens.
type harbourOption func(h *harbour, k *auth.Keel)

// openHarbour starts a door in the Keel dialect with one provider, my_oidc.
func openHarbour(t testing.TB, change harbourOption, opts ...auth.Option) *harbour {
	t.Helper()
	h := &harbour{idp: newKeelIdP(t)}
	h.app = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) }))
	t.Cleanup(h.app.Close)
	k := auth.Keel{
		RedirectURL: h.app.URL + "/signedup",
		Providers:   []auth.KeelProvider{{Type: "oidc", Name: "my_oidc", ClientID: stubClient, IssuerURL: h.idp.URL, Internal: true}},
		Secrets:     secretsOf(map[string]string{"AUTH_PROVIDER_SECRET_MY_OIDC": "secret"}),
		Claims:      map[string]string{"https://slack.com/#teamID": "teamId", "custom_claim": "customClaim", "not_exists": "notExists"},
	}
	if change != nil {
		change(h, &k)
	}
	h.door = openKeel(t, k, opts...)
	h.idp.set(func() { h.idp.now = h.Clock.Now })
	return h
}

func secretsOf(m map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) { s, ok := m[name]; return s, ok }
}

// sailor is a browser with a cookie jar that follows redirects and remembers them.
type sailor struct {
	*http.Client
	t    testing.TB
	path []string // the targets of the redirects
}

func newSailor(t testing.TB) *sailor {
	t.Helper()
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	b := &sailor{t: t}
	b.Client = &http.Client{Jar: jar, CheckRedirect: func(r *http.Request, via []*http.Request) error {
		b.path = append(b.path, r.URL.String())
		if len(via) > 10 {
			return http.ErrUseLastResponse
		}
		return nil
	}}
	return b
}

// do sends a request and gives the last answer.
func (b *sailor) do(method, target string) (*http.Response, string) {
	b.t.Helper()
	r, err := http.NewRequestWithContext(context.Background(), method, target, nil)
	require.NoError(b.t, err)
	resp, err := b.Do(r)
	require.NoError(b.t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(b.t, err)
	return resp, string(body)
}

// signIn goes to the provider and back, and gives the query with which the app was
// reached.
func (h *harbour) signIn(b *sailor, more string) url.Values {
	h.t.Helper()
	resp, body := b.do(http.MethodPost, h.url+"/authorize/my_oidc"+more)
	require.Equal(h.t, http.StatusOK, resp.StatusCode, body)
	last := b.path[len(b.path)-1]
	require.True(h.t, strings.HasPrefix(last, h.app.URL+"/signedup?"), last)
	u, err := url.Parse(last)
	require.NoError(h.t, err)
	return u.Query()
}

// s256 is the challenge of a verifier (RFC 7636, 4.2).
func s256(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}
