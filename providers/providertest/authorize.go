package providertest

import (
	"crypto/rand"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// personParam names the chosen person on the page's links.
const personParam = "fake_person"

// approval is how the browser goes back.
type approval struct {
	redirect string
	params   url.Values
	post     bool
}

// approve checks the page's parameters and gives the way back.
func (s *Server) approve(q url.Values, person int) (approval, error) {
	if person >= len(s.fixture.People) {
		return approval{}, fmt.Errorf("providertest: no person %d", person)
	}
	if s.fixture.OAuth1 != nil {
		return s.approveOAuth1(q, person)
	}
	if err := s.checkPage(q); err != nil {
		s.problem("authorization page: %v", err)
		return approval{}, fmt.Errorf("providertest: %w", err)
	}
	back := url.Values{"state": {q.Get("state")}}
	a := approval{redirect: q.Get("redirect_uri"), params: back, post: s.fixture.FormPost}
	if person == nobody {
		back.Set("error", "access_denied")
		back.Set("error_description", "The person refused")
		return a, nil
	}
	code := rand.Text()
	s.keep(code, &grant{
		kind: "code", person: person, redirect: q.Get("redirect_uri"),
		challenge: q.Get("code_challenge"), nonce: q.Get("nonce"),
	})
	back.Set("code", code)
	for name, v := range s.fixture.People[person].Callback {
		back.Set(name, v)
	}
	return a, nil
}

func (s *Server) keep(name string, g *grant) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.grants[name] = g
}

// checkPage says what is wrong with an authorization request.
func (s *Server) checkPage(q url.Values) error {
	f := s.fixture
	clientIDName := f.ClientIDName
	if clientIDName == "" {
		clientIDName = "client_id"
	}
	challenged := q.Get("code_challenge") != ""
	switch {
	case q.Get("response_type") != "code":
		return errors.New("response_type is not code")
	case q.Get(clientIDName) != s.options.ClientID:
		return fmt.Errorf("%s is not the client's", clientIDName)
	case q.Get("redirect_uri") == "":
		return errors.New("redirect_uri is missing")
	case q.Get("state") == "":
		return errors.New("state is missing")
	case challenged && q.Get("code_challenge_method") != "S256":
		return errors.New("code_challenge_method is not S256")
	case f.Lenient:
		return nil
	case q.Get("scope") != f.Scope:
		return fmt.Errorf("scope is %q, not %q", q.Get("scope"), f.Scope)
	case challenged != f.PKCE:
		return fmt.Errorf("PKCE is %t, not %t", challenged, f.PKCE)
	case (q.Get("nonce") != "") != f.Nonce:
		return fmt.Errorf("nonce is sent: %t, not %t", !f.Nonce, f.Nonce)
	}
	expected := []string{
		"response_type", clientIDName, "redirect_uri", "state", "scope", "code_challenge", "code_challenge_method",
		"nonce", "prompt", "login_hint",
	}
	for name := range q {
		if _, ok := f.Params[name]; !ok && !slices.Contains(expected, name) {
			return fmt.Errorf("parameter %q was not expected", name)
		}
	}
	for name, want := range f.Params {
		if q.Get(name) != want {
			return fmt.Errorf("%s is %q, not %q", name, q.Get(name), want)
		}
	}
	return nil
}

// authorize shows the page, or sends the browser back once a person is chosen.
func (s *Server) authorize(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	chosen := q.Get(personParam)
	if chosen == "" && !s.options.AutoApprove {
		s.page(w, q)
		return
	}
	q.Del(personParam)
	person := s.hinted(q.Get("login_hint"))
	if chosen == "refuse" {
		person = nobody
	} else if n, err := strconv.Atoi(chosen); err == nil && n >= 0 {
		person = n
	}
	a, err := s.approve(q, person)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if a.post {
		render(w, formPage, a)
		return
	}
	target, err := url.Parse(a.redirect)
	if err != nil {
		http.Error(w, "redirect_uri doesn't parse", http.StatusBadRequest)
		return
	}
	query := target.Query()
	for name, v := range a.params {
		query[name] = v
	}
	target.RawQuery = query.Encode()
	http.Redirect(w, r, target.String(), http.StatusFound)
}

// hinted is the person whom login_hint names by address, subject or name, or the first.
func (s *Server) hinted(hint string) int {
	for i, p := range s.fixture.People {
		if hint != "" && (hint == p.Name || hint == p.IDToken["email"] || hint == p.IDToken["sub"]) {
			return i
		}
	}
	return 0
}

type choice struct{ Name, URL string }

func (s *Server) page(w http.ResponseWriter, q url.Values) {
	link := func(person string) string {
		with := url.Values{}
		for name, v := range q {
			with[name] = v
		}
		with.Set(personParam, person)
		return "?" + with.Encode()
	}
	var choices []choice
	for i, p := range s.fixture.People {
		name := p.Name
		if name == "" {
			name = "Person " + strconv.Itoa(i+1)
		}
		choices = append(choices, choice{name, link(strconv.Itoa(i))})
	}
	render(w, choicePage, append(choices, choice{"Refuse", link("refuse")}))
}

const choicePage = `<!doctype html><html lang="en"><meta charset="utf-8"><title>Test provider</title>
<style>body{font:16px/1.5 system-ui;max-width:26rem;margin:4rem auto;padding:0 1rem}
a{display:block;margin:.5rem 0;padding:.6rem 1rem;border:1px solid;border-radius:.4rem;text-decoration:none}</style>
<h1>Test provider</h1><p>This is no real provider. Who are you?</p>
{{range .}}<a role="button" href="{{.URL}}">{{.Name}}</a>
{{end}}`

const formPage = `<!doctype html><html lang="en"><meta charset="utf-8"><title>Test provider</title>
<body onload="document.forms[0].submit()"><form method="post" action="{{.Redirect}}">
{{range $name, $values := .Params}}{{range $values}}<input type="hidden" name="{{$name}}" value="{{.}}">
{{end}}{{end}}<button>Continue</button></form>`

// Redirect and Params are for the page.
func (a approval) Redirect() string   { return a.redirect }
func (a approval) Params() url.Values { return a.params }

func render(w http.ResponseWriter, page string, data any) {
	var text strings.Builder
	if err := template.Must(template.New("").Parse(page)).Execute(&text, data); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write([]byte(text.String()))
}
