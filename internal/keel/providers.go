package keel

import (
	"net/http"
	"strings"

	"github.com/truekeel/auth/internal/place"
)

// Provider is an identity provider as this dialect shows it.
type Provider struct {
	Name string // as configured; URLs have it in lower case
	Type string // "google", "facebook", "gitlab", "slack" or "oidc"
	// NoSecret says that the provider can verify id tokens but sign nobody in.
	NoSecret bool
}

// internal reports whether a provider is the program's own and isn't shown.
func (p Provider) internal() bool { return strings.HasPrefix(p.path(), "keel_") }

func (p Provider) path() string { return strings.ToLower(p.Name) }

// wireProvider is an entry of the list of providers.
type wireProvider struct {
	Name         string `json:"name"`
	Type         string `json:"type"`
	AuthorizeURL string `json:"authorizeUrl"`
	CallbackURL  string `json:"callbackUrl"`
}

// providers answers with the list of providers.
func (d *Dialect) providers(w http.ResponseWriter, r *http.Request) {
	base := place.From(r.Context()).External
	list := []wireProvider{}
	for _, p := range d.shown() {
		list = append(list, wireProvider{
			Name: p.Name, Type: p.Type, AuthorizeURL: base + "/authorize/" + p.path(), CallbackURL: base + "/callback/" + p.path(),
		})
	}
	d.answer(w, http.StatusOK, list)
}

// shown are the providers that aren't internal.
func (d *Dialect) shown() (out []Provider) {
	for _, p := range d.Providers {
		if !p.internal() {
			out = append(out, p)
		}
	}
	return out
}

// named finds the provider that a path like /authorize/NAME speaks of, in whatever case.
func (d *Dialect) named(path, prefix string) (Provider, bool) {
	segments := strings.Split(strings.Trim(path, "/"), "/")
	if len(segments) != 2 || segments[0] != prefix || segments[1] == "" {
		return Provider{}, false
	}
	for _, p := range d.Providers {
		if strings.EqualFold(p.Name, segments[1]) {
			return p, true
		}
	}
	return Provider{}, false
}
