package auth

import (
	"context"
	"crypto/subtle"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/truekeel/auth/fault"
	"github.com/truekeel/auth/internal/caller"
	"github.com/truekeel/auth/internal/endpoint"
	"github.com/truekeel/auth/internal/gotrue"
	"github.com/truekeel/auth/store"
	"github.com/truekeel/auth/tokens"
)

// User is what a verified access token proves of who sends it: as things were when the
// token was made.
type User struct {
	ID          uuid.UUID
	Audience    string // that of [WithAudience], or one of [WithAudiences]
	Email       string // "" if the user has none
	Phone       string // "" if the user has none
	Role        string
	AAL         string    // "aal1", "aal2": how surely he is who he says
	SessionID   uuid.UUID // uuid.Nil for a token without a session
	IsAnonymous bool
	// AppMetadata is what the service says of the user, UserMetadata what he says of
	// himself: permissions belong into the first.
	AppMetadata  tokens.JSON
	UserMetadata tokens.JSON
}

type claimsKey struct{}

// proved is what a request's token proved, and to whom.
type proved struct {
	by     *Auth
	claims *tokens.Claims
}

// UserFrom gives the user of a request that came through [Auth.RequireUser] or another
// middleware of an Auth; false if there is none. It reads no database.
func UserFrom(ctx context.Context) (User, bool) {
	p, ok := ctx.Value(claimsKey{}).(*proved)
	if !ok {
		return User{}, false
	}
	return userOf(p.claims)
}

// userOf gives the user that claims speak of; false if they speak of none.
func userOf(c *tokens.Claims) (User, bool) {
	id, err := uuid.Parse(c.Subject)
	if err != nil {
		return User{}, false
	}
	u := User{
		ID: id, Audience: audienceOf(c), Email: c.Email, Phone: c.Phone, Role: c.Role, AAL: c.AAL, IsAnonymous: c.IsAnonymous,
		AppMetadata: c.AppMetadata, UserMetadata: c.UserMetadata,
	}
	if session, err := uuid.Parse(c.SessionID); err == nil {
		u.SessionID = session
	}
	return u, true
}

// audienceOf gives the first audience; "" if there is none.
func audienceOf(c *tokens.Claims) string {
	if len(c.Audience) == 0 {
		return ""
	}
	return c.Audience[0]
}

// ClaimsFrom gives a copy of all claims of a request's token; false if there is none.
func ClaimsFrom(ctx context.Context) (*tokens.Claims, bool) {
	p, ok := ctx.Value(claimsKey{}).(*proved)
	if !ok {
		return nil, false
	}
	return p.claims.Clone(), true
}

// Verify checks an access token and gives its user. It is what the middleware does,
// for hosts whose requests aren't HTTP. The error is a [*Error] whose code says why.
func (a *Auth) Verify(ctx context.Context, token string) (User, error) {
	c, err := a.verify(ctx, token)
	if err != nil {
		return User{}, err
	}
	u, _ := userOf(c)
	return u, nil
}

var errNoUser = fault.New(fault.BadJWT, "invalid claim: sub claim must be a UUID")

func (a *Auth) verify(ctx context.Context, token string) (*tokens.Claims, error) {
	c, err := a.verifier.Verify(ctx, token)
	if err != nil {
		return nil, gotrue.BadToken(err)
	}
	if _, ok := userOf(c); !ok {
		return nil, errNoUser
	}
	return c, nil
}

// RequireUser lets requests through that bring a valid access token of a user, made for
// one of this Auth's audiences, and answers the others 401 (RFC 6750). A token that was
// seen before costs no cryptography and never a database read; it is trusted until it
// expires, see [Auth.RequireActiveSession].
func (a *Auth) RequireUser(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.hasher.Arrived()
		r, err := a.authenticate(r)
		if err != nil {
			a.challenge(w, r, err)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// OptionalUser is RequireUser that lets requests without a token through, without a
// user. A token that is there must be valid; an Authorization header of another scheme
// holds none.
func (a *Auth) OptionalUser(next http.Handler) http.Handler {
	required := a.RequireUser(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := caller.Bearer(r.Header); errors.Is(err, caller.ErrNoBearer) {
			a.hasher.Arrived()
			next.ServeHTTP(w, r)
			return
		}
		required.ServeHTTP(w, r)
	})
}

// RequireRole is RequireUser that demands one of some roles too, and answers 403 to
// users without. The role is that of the token.
func (a *Auth) RequireRole(roles ...string) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return a.RequireUser(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if u, _ := UserFrom(r.Context()); !slices.Contains(roles, u.Role) {
				a.challenge(w, r, errRole)
				return
			}
			next.ServeHTTP(w, r)
		}))
	}
}

var errRole = fault.New(fault.InsufficientRole, "Your role doesn't allow this")

// RequireActiveSession is RequireUser that reads the user and the session from the
// store, so that a sign-out, a ban, a deletion and the [SessionLimits] take effect at
// once.
func (a *Auth) RequireActiveSession(next http.Handler) http.Handler {
	return a.RequireUser(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, _ := r.Context().Value(claimsKey{}).(*proved)
		if err := a.active(r.Context(), p.claims); err != nil {
			a.challenge(w, r, err)
			return
		}
		next.ServeHTTP(w, r)
	}))
}

var (
	errNoSession = fault.New(fault.SessionNotFound, "The token belongs to no session")
	errEnded     = fault.New(fault.SessionExpired, "Session is no longer valid")
)

func (a *Auth) active(ctx context.Context, c *tokens.Claims) error {
	_, row, err := a.sessions.Check(ctx, c)
	switch {
	case err != nil:
		return err
	case row.ID == uuid.Nil:
		return errNoSession
	case a.sessions.Ended(row):
		return errEnded
	}
	return nil
}

// authenticate puts what the request's token proves into its context. A request that
// this Auth has seen already is left as it is.
func (a *Auth) authenticate(r *http.Request) (*http.Request, error) {
	if p, ok := r.Context().Value(claimsKey{}).(*proved); ok && p.by == a {
		return r, nil
	}
	token, err := caller.Bearer(r.Header)
	if err != nil {
		return r, errNoToken
	}
	c, err := a.verify(r.Context(), token)
	if err != nil {
		return r, err
	}
	return r.WithContext(context.WithValue(r.Context(), claimsKey{}, &proved{by: a, claims: c})), nil
}

var errNoToken = fault.New(fault.NoAuthorization, "This endpoint requires a valid Bearer token")

// denied is the body of the middleware's answers.
type denied struct {
	Code    fault.Code `json:"code"`
	Message string     `json:"message"`
}

// challenge answers a request that isn't let through (RFC 6750, section 3).
func (a *Auth) challenge(w http.ResponseWriter, r *http.Request, err error) {
	var f *fault.Error
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	switch {
	case errors.Is(err, store.ErrUnavailable), errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		h.Set("Retry-After", "1")
		_ = endpoint.JSON(w, http.StatusServiceUnavailable, denied{fault.Unavailable, "The service can't answer at the moment, please retry after a moment."})
		a.set.logger.ErrorContext(r.Context(), "auth: a session could not be checked", "error", err)
	case !errors.As(err, &f):
		a.set.logger.ErrorContext(r.Context(), "auth: a session could not be checked", "error", err)
		_ = endpoint.JSON(w, http.StatusInternalServerError, denied{fault.UnexpectedFailure, "Unexpected failure, please check server logs for more information"})
	case f.Code == fault.InsufficientRole:
		h.Set("WWW-Authenticate", `Bearer error="insufficient_scope", error_description="`+quotable(f.Message)+`"`)
		_ = endpoint.JSON(w, http.StatusForbidden, denied{f.Code, f.Message})
	case f.Code == fault.NoAuthorization:
		h.Set("WWW-Authenticate", "Bearer")
		_ = endpoint.JSON(w, http.StatusUnauthorized, denied{f.Code, f.Message})
	default:
		h.Set("WWW-Authenticate", `Bearer error="invalid_token", error_description="`+quotable(f.Message)+`"`)
		_ = endpoint.JSON(w, http.StatusUnauthorized, denied{f.Code, f.Message})
	}
}

// quotable makes text fit into an error_description (RFC 6750, section 3).
func quotable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < 0x20 || r > 0x7e || r == '"' || r == '\\' {
			return -1
		}
		return r
	}, s)
}

// equal compares secrets in constant time.
func equal(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }
