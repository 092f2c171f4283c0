package auth

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strings"

	"github.com/truekeel/auth/internal/endpoint"
	"github.com/truekeel/auth/internal/keel"
)

// dialect is which of the two a request speaks.
type dialect int

const (
	speaksGoTrue dialect = iota
	speaksKeel
)

// dialect says which dialect a request speaks, by its path below the base path and, for
// /token, by what only the clients of one of them send. A request whose body was looked
// into comes back with the body whole.
func (a *Auth) dialect(w http.ResponseWriter, r *http.Request, versioned bool) (*http.Request, dialect) {
	switch {
	case a.set.keelOff || versioned:
		return r, speaksGoTrue
	case a.set.gotrueOff && !unspoken(r.URL.Path):
		return r, speaksKeel
	case r.URL.Path == "/token":
		return a.tokenDialect(w, r)
	}
	return r, pathDialect(r.Method, r.URL.Path)
}

// unspoken reports whether a path belongs to neither dialect: people come there by the
// links in their mails, other services for keys and health.
func unspoken(p string) bool {
	return p == "/verify" || p == "/health" || p == "/.well-known/jwks.json" || strings.HasPrefix(p, inboxPath)
}

// pathDialect is the dialect of every path but /token.
func pathDialect(method, p string) dialect {
	switch {
	case p == "/providers", p == "/revoke", p == "/openapi.json":
		return speaksKeel
	case p == "/authorize" && method != http.MethodGet:
		return speaksKeel
	case strings.HasPrefix(p, "/authorize/"):
		return speaksKeel
	case strings.HasPrefix(p, "/callback/") && p != "/callback/":
		return speaksKeel
	}
	return speaksGoTrue
}

// tokenDialect is the dialect of /token, whatever the method. GoTrue's clients name the
// grant in the query and send JSON; Keel's name it in the body, or send a form.
func (a *Auth) tokenDialect(w http.ResponseWriter, r *http.Request) (*http.Request, dialect) {
	if keel.IsForm(r.Header) {
		return r, speaksKeel
	}
	switch grant := r.URL.Query().Get("grant_type"); {
	case grant == "token_exchange" || grant == "authorization_code":
		return r, speaksKeel // GoTrue has no such grants
	case r.URL.Query().Has("grant_type"):
		return r, speaksGoTrue
	}
	switch {
	case !fromSDK(r.Header):
		return r, speaksKeel
	case r.Body == nil:
		return r, speaksGoTrue
	}
	body, r := a.peek(w, r)
	if keel.NamesGrant(body) {
		return r, speaksKeel
	}
	return r, speaksGoTrue
}

// peek reads a body, as far as bodies are read, and gives it beside a request that still
// has it.
func (a *Auth) peek(w http.ResponseWriter, r *http.Request) ([]byte, *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), a.set.maxDuration)
	defer cancel()
	timed := r.WithContext(ctx)
	endpoint.Timed(w, timed)
	// What went wrong goes wrong again where the body is read in earnest.
	body, _ := io.ReadAll(io.LimitReader(timed.Body, endpoint.MaxBody+1))
	r = r.WithContext(r.Context())
	r.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(body), timed.Body), timed.Body}
	return body, r
}

// fromSDK reports whether a request has a header that every client of GoTrue sends, so
// that one without a grant gets the errors that it understands.
func fromSDK(h http.Header) bool {
	return h.Get("X-Supabase-Api-Version") != "" || h.Get("X-Client-Info") != "" || h.Get("apikey") != ""
}
