package providertest_test

import (
	"context"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/truekeel/auth/providers"
	"github.com/truekeel/auth/providers/providertest"
)

const verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"

// app is a program that people sign in to.
func app(t *testing.T, server *providertest.Server) (start string, results chan providers.Callback, p providers.Provider) {
	t.Helper()
	out := providers.NewOutbound(nil, nil) // the real client: loopback is reached as it is allowed
	t.Cleanup(out.Close)
	p, err := providers.Connect(providers.OIDC("fake", server.Issuer(), providertest.ClientID, providertest.ClientSecret,
		providers.WithInternal()), out)
	require.NoError(t, err)
	results = make(chan providers.Callback, 1)
	mux := http.NewServeMux()
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	mux.HandleFunc("/start", func(w http.ResponseWriter, r *http.Request) {
		to, err := p.Begin(r.Context(), providers.Begin{
			State: "s", Nonce: "n", Verifier: verifier, RedirectURL: srv.URL + "/callback?x=1", Params: r.URL.Query(),
		})
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		http.Redirect(w, r, to.URL, http.StatusFound)
	})
	mux.HandleFunc("/callback", func(_ http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		results <- providers.Callback{Params: r.Form, RedirectURL: srv.URL + "/callback?x=1", Nonce: "n", Verifier: verifier}
	})
	return srv.URL + "/start", results, p
}

func open(t *testing.T, address string) string {
	t.Helper()
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	resp, err := (&http.Client{Jar: jar}).Get(address)
	require.NoError(t, err)
	defer func() { _ = resp.Body.Close() }()
	page, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, resp.StatusCode, string(page))
	return string(page)
}

func TestStartedIssuer(t *testing.T) {
	server, err := providertest.Start(providertest.Options{AutoApprove: true})
	require.NoError(t, err)
	defer server.Close()
	start, results, p := app(t, server)

	for hint, want := range map[string]string{"": "person-ann", "ben@example.com": "person-ben", "Una Unverified": "person-una"} {
		open(t, start+"?login_hint="+url.QueryEscape(hint))
		id, err := p.Finish(context.Background(), <-results)
		require.NoError(t, err)
		require.Equal(t, want, id.Subject)
		require.Equal(t, server.Issuer(), id.Issuer)
	}
	require.Empty(t, server.Problems())

	// An app without leave for the inside of the network doesn't get there.
	p = providers.OIDC("fake", strings.Replace(server.Issuer(), "http:", "https:", 1), "id", "secret")
	_, err = p.Begin(context.Background(), providers.Begin{Verifier: verifier})
	require.ErrorIs(t, err, providers.ErrUnreachable)
	require.ErrorContains(t, err, "not public")
}

func TestPage(t *testing.T) {
	server, err := providertest.Start(providertest.Options{})
	require.NoError(t, err)
	defer server.Close()
	start, results, p := app(t, server)
	links := func() map[string]string {
		page := open(t, start)
		found := make(map[string]string)
		for _, part := range strings.Split(page, `href="`)[1:] {
			link, rest, _ := strings.Cut(part, `"`)
			name, _, _ := strings.Cut(strings.TrimPrefix(rest, ">"), "<")
			found[name] = server.Issuer() + "/authorize" + html.UnescapeString(link)
		}
		return found
	}
	open(t, links()["Ben Example"])
	id, err := p.Finish(context.Background(), <-results)
	require.NoError(t, err)
	require.Equal(t, "person-ben", id.Subject)

	open(t, links()["Nora Noaddress"])
	id, err = p.Finish(context.Background(), <-results)
	require.NoError(t, err)
	require.Empty(t, id.Emails)

	open(t, links()["Refuse"])
	_, err = p.Finish(context.Background(), <-results)
	require.ErrorIs(t, err, providers.ErrRefused)
	require.Empty(t, server.Problems())
}

func TestFormPost(t *testing.T) {
	const base = "https://id.example"
	server := providertest.New(providertest.Fixture{
		Authorize: base + "/a", FormPost: true, Lenient: true, People: []providertest.Person{{Callback: map[string]string{"user": `"<x>`}}},
	}, providertest.Options{AutoApprove: true})
	resp, err := server.Client().Get(base + "/a?response_type=code&client_id=client-id&state=s&redirect_uri=" +
		url.QueryEscape("https://app.example/callback"))
	require.NoError(t, err)
	page, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Contains(t, string(page), `<form method="post" action="https://app.example/callback">`)
	require.Contains(t, string(page), `name="user" value="&#34;&lt;x&gt;"`)
	require.Contains(t, string(page), `name="state" value="s"`)
}

// What the real provider would turn away is turned away, and remembered.
func TestProblems(t *testing.T) {
	const base = "https://id.example"
	fixture := providertest.Fixture{
		Authorize: base + "/a", Scope: "me", PKCE: true,
		Token:  providertest.TokenEndpoint{URL: base + "/t", Auth: "basic"},
		Calls:  []providertest.Call{{URL: base + "/me?v=1"}},
		People: []providertest.Person{{Answers: map[string]any{base + "/me?v=1": map[string]any{"id": 1}}}},
	}
	good := func() providers.Spec {
		return providers.Spec{
			AuthURL: base + "/a", TokenURL: base + "/t", UserURL: base + "/me?v=1", Scopes: []string{"me"}, Auth: providers.AuthBasic,
			Map: func(user providers.JSON) providers.Profile { return providers.Profile{Subject: user.ID("id")} },
		}
	}
	for what, c := range map[string]struct {
		change  func(*providers.Spec)
		problem string
	}{
		"nothing":       {func(*providers.Spec) {}, ""},
		"page":          {func(s *providers.Spec) { s.AuthURL = "https://id.exmaple/a" }, "authorization page is at"},
		"scope":         {func(s *providers.Spec) { s.Scopes = nil }, "scope is"},
		"PKCE":          {func(s *providers.Spec) { s.NoPKCE = true }, "PKCE is"},
		"parameter":     {func(s *providers.Spec) { s.Params = map[string]string{"x": "1"} }, "not expected"},
		"token host":    {func(s *providers.Spec) { s.TokenURL = "https://id.exmaple/t" }, "unknown address https://id.exmaple/t"},
		"credentials":   {func(s *providers.Spec) { s.Auth = providers.AuthBody }, "by body, not by basic"},
		"profile path":  {func(s *providers.Spec) { s.UserURL = base + "/you" }, "unknown address"},
		"profile query": {func(s *providers.Spec) { s.UserURL = base + "/me" }, "query is"},
		"method":        {func(s *providers.Spec) { s.UserMethod = "POST" }, "method is POST"},
		"body":          {func(s *providers.Spec) { s.UserBody = "{}" }, "body is"},
		"header":        {func(s *providers.Spec) { s.Header = map[string]string{"Authorization": "token {access_token}"} }, "header Authorization"},
	} {
		t.Run(what, func(t *testing.T) {
			server := providertest.New(fixture, providertest.Options{})
			s := good()
			c.change(&s)
			p, err := providers.Connect(providers.OAuth2("corp", s, providertest.ClientID, providertest.ClientSecret),
				providers.NewOutbound(server.Client(), nil))
			require.NoError(t, err)
			to, err := p.Begin(context.Background(), providers.Begin{State: "s", Verifier: verifier, RedirectURL: "https://app.example/cb"})
			require.NoError(t, err)
			if params, err := server.Visit(to.URL, 0); err == nil {
				_, err = p.Finish(context.Background(), providers.Callback{
					Params: params, Verifier: verifier, RedirectURL: "https://app.example/cb",
				})
				require.Equal(t, c.problem == "", err == nil)
			}
			if c.problem == "" {
				require.Empty(t, server.Problems())
				require.Empty(t, server.Unasked())
				return
			}
			require.Len(t, server.Problems(), 1)
			require.Contains(t, server.Problems()[0], c.problem)
		})
	}
}
