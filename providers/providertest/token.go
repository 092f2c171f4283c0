package providertest

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
)

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

// token trades a code for tokens.
func (s *Server) token(w http.ResponseWriter, r *http.Request) {
	g, err := s.checkTokenRequest(r)
	if err != nil {
		s.problem("token endpoint: %v", err)
		writeJSON(w, http.StatusBadRequest, map[string]string{
			"error": "invalid_grant", "error_description": err.Error(),
		})
		return
	}
	answer := s.grantTokens(g)
	if s.fixture.Token.Form {
		form := url.Values{}
		for name, v := range answer {
			form.Set(name, fmt.Sprint(v))
		}
		w.Header().Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
		_, _ = w.Write([]byte(form.Encode()))
		return
	}
	writeJSON(w, http.StatusOK, answer)
}

func (s *Server) grantTokens(g *grant) map[string]any {
	access := "access-" + rand.Text()
	s.keep(access, &grant{kind: "access", person: g.person})
	answer := map[string]any{
		"access_token": access, "token_type": "bearer", "expires_in": 3600, "refresh_token": "refresh-" + rand.Text(),
	}
	maps.Copy(answer, s.fixture.People[g.person].Token)
	if s.fixture.Issuer != "" && s.fixture.People[g.person].IDToken != nil {
		s.mu.Lock()
		fault := s.bad
		s.mu.Unlock()
		answer["id_token"] = s.mint(g.person, g.nonce, access, fault)
	}
	return answer
}

// checkTokenRequest says what is wrong with a token request, and takes its grant.
func (s *Server) checkTokenRequest(r *http.Request) (*grant, error) {
	if r.Method != http.MethodPost {
		return nil, fmt.Errorf("method is %s", r.Method)
	}
	if err := r.ParseForm(); err != nil {
		return nil, err
	}
	if len(r.URL.RawQuery) > 0 {
		return nil, errors.New("parameters are in the address")
	}
	if err := s.checkCredentials(r); err != nil {
		return nil, err
	}
	for name, want := range s.fixture.Token.Params {
		if got := r.PostForm.Get(name); got != want {
			return nil, fmt.Errorf("%s is %q, not %q", name, got, want)
		}
	}
	if r.PostForm.Get("grant_type") != "authorization_code" {
		return nil, errors.New("grant_type is not authorization_code")
	}
	g, err := s.take(r.PostForm.Get("code"))
	if err != nil {
		return nil, err
	}
	if got := r.PostForm.Get("redirect_uri"); got != g.redirect {
		return nil, fmt.Errorf("redirect_uri is %q, not %q", got, g.redirect)
	}
	sum := sha256.Sum256([]byte(r.PostForm.Get("code_verifier")))
	switch {
	case g.challenge == "" && r.PostForm.Has("code_verifier"):
		return nil, errors.New("code_verifier without a challenge")
	case g.challenge != "" && base64.RawURLEncoding.EncodeToString(sum[:]) != g.challenge:
		return nil, errors.New("code_verifier doesn't fit the challenge")
	}
	return g, nil
}

// take uses a code up.
func (s *Server) take(code string) (*grant, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.grants[code]
	switch {
	case g == nil || g.kind != "code":
		return nil, errors.New("code is unknown")
	case g.used:
		return nil, errors.New("code was used before")
	}
	g.used = true
	return g, nil
}

// checkCredentials wants the credentials where they belong, and nowhere else.
func (s *Server) checkCredentials(r *http.Request) error {
	idName := "client_id"
	if s.fixture.ClientIDName != "" {
		idName = s.fixture.ClientIDName
		if r.PostForm.Has("client_id") {
			return fmt.Errorf("client_id instead of %s", idName)
		}
	}
	id, secret, basic := r.BasicAuth()
	style := "body"
	if basic {
		style = "basic"
		id, _ = url.QueryUnescape(id) // RFC 6749, 2.3.1
		secret, _ = url.QueryUnescape(secret)
		if r.PostForm.Has("client_secret") {
			return errors.New("client_secret is in the form and in the header")
		}
	} else {
		id, secret = r.PostForm.Get(idName), r.PostForm.Get("client_secret")
	}
	if want := s.fixture.Token.Auth; want != "" && style != want {
		return fmt.Errorf("credentials come by %s, not by %s", style, want)
	}
	if id != s.options.ClientID {
		return errors.New("client id is wrong")
	}
	if s.options.CheckSecret != nil {
		return s.options.CheckSecret(secret)
	}
	if secret != s.options.ClientSecret {
		return errors.New("client secret is wrong")
	}
	return nil
}

// call answers a question for the profile.
func (s *Server) call(w http.ResponseWriter, r *http.Request, c Call) {
	g, token := s.bearer(r)
	if g == nil {
		s.problem("%s: no access token of ours", bare(c.URL))
		writeJSON(w, http.StatusUnauthorized, map[string]string{"error": "invalid_token"})
		return
	}
	if err := s.checkCall(r, c, token); err != nil {
		s.problem("%s: %v", bare(c.URL), err)
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	person := s.fixture.People[g.person]
	answer, ok := person.Answers[c.URL]
	if !ok {
		answer = person.IDToken
	}
	writeJSON(w, http.StatusOK, answer)
}

// bearer finds the access token, whatever the scheme.
func (s *Server) bearer(r *http.Request) (g *grant, token string) {
	_, token, _ = strings.Cut(r.Header.Get("Authorization"), " ")
	if s.fixture.OAuth1 != nil {
		params, err := s.signedParams(r)
		if err != nil {
			s.problem("profile: %v", err)
			return nil, ""
		}
		token = params["oauth_token"]
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if g = s.grants[token]; g == nil || g.kind != "access" {
		return nil, ""
	}
	return g, token
}

func (s *Server) checkCall(r *http.Request, c Call, token string) error {
	mac := hmac.New(sha256.New, []byte(s.options.ClientSecret))
	mac.Write([]byte(token))
	fill := strings.NewReplacer("{access_token}", token, "{client_id}", s.options.ClientID,
		"{appsecret_proof}", hex.EncodeToString(mac.Sum(nil)))
	want, err := url.Parse(fill.Replace(c.URL))
	if err != nil {
		return err
	}
	method := c.Method
	if method == "" {
		method = http.MethodGet
	}
	got, err := io.ReadAll(r.Body)
	switch {
	case err != nil:
		return err
	case r.Method != method:
		return fmt.Errorf("method is %s, not %s", r.Method, method)
	case r.URL.Query().Encode() != want.Query().Encode():
		return fmt.Errorf("query is %q, not %q", r.URL.RawQuery, want.RawQuery)
	case string(got) != c.Body:
		return fmt.Errorf("body is %q, not %q", got, c.Body)
	case c.Body == "" && r.Header.Get("Content-Type") != "":
		return errors.New("content type without a body")
	}
	header := map[string]string{"Authorization": "Bearer {access_token}"}
	if s.fixture.OAuth1 != nil {
		header = nil // its signature was checked
	}
	for name, v := range c.Header {
		header[name] = v
	}
	for name, v := range header {
		if got := r.Header.Get(name); got != fill.Replace(v) {
			return fmt.Errorf("header %s is not %q", name, v)
		}
	}
	return nil
}
