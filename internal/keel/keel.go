// Package keel is the dialect of Keel's authentication endpoints: its paths, its order
// of checks, its wire and its literal errors. It holds no rule of accounts: it parses,
// calls one flow, answers.
package keel

import (
	"context"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/truekeel/auth/internal/endpoint"
	"github.com/truekeel/auth/internal/external"
	"github.com/truekeel/auth/internal/human"
	"github.com/truekeel/auth/internal/signin"
	"github.com/truekeel/auth/internal/signup"
)

// Config is what Dialect needs.
type Config struct {
	SignUp   *signup.Flow
	SignIn   *signin.Flow
	External *external.Flow
	Human    *human.Gate // nil without a captcha
	Logger   *slog.Logger

	Audience string
	// Providers are the identity providers, in the order in which they are shown.
	Providers []Provider
	// RedirectURL is where people land after a provider; if "" a request may name a
	// place that Allowed agrees to.
	RedirectURL string
	Allowed     func(target string) bool
	// QueryCredentials reads the fields of a form from the URL's query too.
	QueryCredentials bool
	// Arrived is told of requests that turned out to hash no password.
	Arrived func()

	// AfterAuthentication runs after every grant but a refresh, AfterIdentityCreated
	// after an account was made; user is uuid.Nil where nobody signed in. Each may be
	// nil, and fails the request by an error.
	AfterAuthentication  func(ctx context.Context, user uuid.UUID, r *http.Request) error
	AfterIdentityCreated func(ctx context.Context, user uuid.UUID, r *http.Request) error

	// MaxDuration bounds a request.
	MaxDuration time.Duration
	CORS        endpoint.CORS
}

// Dialect answers Keel's requests, whose paths are relative to the mount.
type Dialect struct {
	Config
	handler http.Handler
}

// New makes a Dialect.
func New(c Config) *Dialect {
	d := &Dialect{Config: c}
	d.handler = c.CORS.Wrap(d.guarded(http.HandlerFunc(d.route)))
	return d
}

// ServeHTTP answers a request.
func (d *Dialect) ServeHTTP(w http.ResponseWriter, r *http.Request) { d.handler.ServeHTTP(w, r) }

// route finds the endpoint. Paths are exact, but all that begins like the way to a
// provider or back is theirs.
func (d *Dialect) route(w http.ResponseWriter, r *http.Request) {
	p := r.URL.Path
	switch {
	case p == "/token":
		d.token(w, r)
	case p == "/revoke":
		d.revoke(w, r)
	case p == "/providers":
		d.providers(w, r)
	case p == "/openapi.json":
		d.openAPI(w, r)
	case strings.HasPrefix(p, "/authorize"):
		d.authorize(w, r)
	case strings.HasPrefix(p, "/callback"):
		d.callback(w, r)
	default:
		http.NotFound(w, r)
	}
}

// guarded bounds a request's time and survives its panics.
func (d *Dialect) guarded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), d.MaxDuration)
		defer cancel()
		r = r.WithContext(ctx)
		endpoint.Timed(w, r)
		w.Header().Set("X-Content-Type-Options", "nosniff")
		defer func() {
			if p := recover(); p != nil {
				d.Logger.ErrorContext(ctx, "auth: a request panicked", "path", r.URL.Path, "panic", endpoint.Panic(p), "stack", string(debug.Stack()))
				d.answer(w, http.StatusInternalServerError, nil)
			}
		}()
		next.ServeHTTP(w, r)
	})
}

// Fail answers an error outside of this dialect's own endpoints.
func (d *Dialect) Fail(w http.ResponseWriter, r *http.Request, err error) { d.fail(w, r, err) }
