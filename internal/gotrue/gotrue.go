// Package gotrue is the dialect of GoTrue, which Supabase's clients speak: its route
// table, its wire, its error bodies and redirects. It holds no rule of accounts: it
// parses, calls one flow, answers.
package gotrue

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/truekeel/auth/fault"
	"github.com/truekeel/auth/internal/account"
	"github.com/truekeel/auth/internal/admin"
	"github.com/truekeel/auth/internal/endpoint"
	"github.com/truekeel/auth/internal/external"
	"github.com/truekeel/auth/internal/human"
	"github.com/truekeel/auth/internal/proof"
	"github.com/truekeel/auth/internal/redirect"
	"github.com/truekeel/auth/internal/session"
	"github.com/truekeel/auth/internal/signin"
	"github.com/truekeel/auth/internal/signup"
	"github.com/truekeel/auth/tokens"
)

// Config is what Dialect needs.
type Config struct {
	SignUp   *signup.Flow
	SignIn   *signin.Flow
	Proof    *proof.Flow
	Account  *account.Flow
	Admin    *admin.Flow
	External *external.Flow
	Sessions *session.Sessions
	Keyring  *tokens.Keyring
	Verifier *tokens.Verifier // of bearers, service tokens without expiry included
	Redirect *redirect.Policy
	Human    *human.Gate // nil without a captcha
	Logger   *slog.Logger
	Ready    func(ctx context.Context) error

	Issuer     string // of tokens; "" for the place of the request
	Version    string
	Audience   string   // the default one
	Audiences  []string // that X-JWT-AUD may name
	AdminRoles []string
	Settings   Settings
	// DirectLinks lets the GET of a mailed link consume it.
	DirectLinks bool
	// MaxDuration bounds a request.
	MaxDuration time.Duration
	CORS        endpoint.CORS
	// TrustedOrigins may post the form of a link's page.
	TrustedOrigins []string
}

// Dialect answers GoTrue's requests, whose paths are relative to the mount.
type Dialect struct {
	Config
	handler http.Handler
	page    page
	origins *http.CrossOriginProtection
}

// New makes a Dialect.
func New(c Config) (*Dialect, error) {
	d := &Dialect{Config: c, page: newPage(), origins: http.NewCrossOriginProtection()}
	for _, o := range c.TrustedOrigins {
		if err := d.origins.AddTrustedOrigin(o); err != nil {
			return nil, err
		}
	}
	d.handler = c.CORS.Wrap(d.guarded(endpoint.NewRouter(d.routes(), d.Fail)))
	return d, nil
}

// ServeHTTP answers a request.
func (d *Dialect) ServeHTTP(w http.ResponseWriter, r *http.Request) { d.handler.ServeHTTP(w, r) }

// routes is the one list of this dialect's endpoints. Of those that ask for a captcha's
// token, /token does so for each grant.
func (d *Dialect) routes() []endpoint.Route {
	return []endpoint.Route{
		{Method: "GET", Path: "/health", Do: d.health},
		{Method: "HEAD", Path: "/health", Do: d.health},
		{Method: "GET", Path: "/settings", Do: d.settings},
		{Method: "HEAD", Path: "/settings", Do: d.settings},
		{Method: "GET", Path: "/.well-known/jwks.json", Do: d.jwks},
		{Method: "HEAD", Path: "/.well-known/jwks.json", Do: d.jwks},
		{Method: "GET", Path: "/.well-known/openid-configuration", Do: d.discovery},
		{Method: "HEAD", Path: "/.well-known/openid-configuration", Do: d.discovery},

		{Method: "POST", Path: "/signup", Do: d.human(d.signUp())},
		{Method: "POST", Path: "/token", Do: d.token()},
		{Method: "GET", Path: "/verify", Do: d.openLink},
		{Method: "POST", Path: "/verify", Do: d.verify()},
		{Method: "POST", Path: "/recover", Do: d.human(d.recover())},
		{Method: "POST", Path: "/otp", Do: d.human(d.otp())},
		{Method: "POST", Path: "/magiclink", Do: d.human(d.magicLink())},
		{Method: "POST", Path: "/resend", Do: d.human(d.resend())},
		{Method: "GET", Path: "/authorize", Do: d.authorize()},
		{Method: "GET", Path: "/callback", Do: d.callback},
		{Method: "POST", Path: "/callback", Do: d.callback},

		{Method: "GET", Path: "/user", Do: d.user()},
		{Method: "PUT", Path: "/user", Do: d.updateUser()},
		{Method: "GET", Path: "/user/identities/authorize", Do: d.linkIdentity},
		{Method: "DELETE", Path: "/user/identities/{identity_id}", Do: d.unlinkIdentity()},
		{Method: "GET", Path: "/reauthenticate", Do: d.reauthenticate()},
		{Method: "POST", Path: "/logout", Do: d.logout()},

		{Method: "POST", Path: "/invite", Do: d.invite()},
		{Method: "POST", Path: "/admin/generate_link", Do: d.generateLink()},
		{Method: "GET", Path: "/admin/users", Do: d.listUsers()},
		{Method: "POST", Path: "/admin/users", Do: d.createUser()},
		{Method: "GET", Path: "/admin/users/{id}", Do: d.getUser()},
		{Method: "POST", Path: "/admin/users/{id}", Do: d.createUser()},
		{Method: "PUT", Path: "/admin/users/{id}", Do: d.changeUser()},
		{Method: "DELETE", Path: "/admin/users/{id}", Do: d.deleteUser()},
		{Method: "GET", Path: "/admin/audit", Do: d.auditLog()},
	}
}

// guarded bounds a request's time and survives its panics.
func (d *Dialect) guarded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), d.MaxDuration)
		defer cancel()
		r = r.WithContext(ctx)
		endpoint.Timed(w, r)
		// What isn't said to be public isn't for caches, nor for guesses at its type.
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		defer func() {
			if p := recover(); p != nil {
				d.Logger.ErrorContext(ctx, "auth: a request panicked", "path", r.URL.Path, "panic", endpoint.Panic(p), "stack", stack())
				d.Fail(w, r, fault.New(fault.UnexpectedFailure, "Internal Server Error"))
			}
		}()
		next.ServeHTTP(w, r)
	})
}
