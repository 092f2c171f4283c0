package gotrue

import (
	"context"
	"errors"
	"net/http"
	"slices"

	"github.com/truekeel/auth/fault"
	"github.com/truekeel/auth/internal/account"
	"github.com/truekeel/auth/internal/audit"
	"github.com/truekeel/auth/internal/caller"
	"github.com/truekeel/auth/internal/session"
	"github.com/truekeel/auth/tokens"
)

var (
	errNoBearer = fault.New(fault.NoAuthorization, "This endpoint requires a valid Bearer token")
	errNotAdmin = fault.New(fault.NotAdmin, "User not allowed")
	errAudience = fault.New(fault.ValidationFailed, "Token audience doesn't match request audience")
)

// claims verifies the bearer of a request.
func (d *Dialect) claims(r *http.Request) (*tokens.Claims, error) {
	token, err := caller.Bearer(r.Header)
	if err != nil {
		return nil, errNoBearer
	}
	c, err := d.Verifier.Verify(r.Context(), token)
	if err != nil {
		return nil, BadToken(err)
	}
	return c, nil
}

// BadToken is the answer to a token that doesn't verify. Only the verifier's own
// sentinels are told.
func BadToken(err error) error {
	text := "token is invalid"
	for _, known := range []error{
		tokens.ErrMalformed, tokens.ErrTooLong, tokens.ErrAlgorithm, tokens.ErrUnknownKey,
		tokens.ErrSignature, tokens.ErrExpired, tokens.ErrNotYetValid, tokens.ErrClaims,
	} {
		if errors.Is(err, known) {
			text = known.Error()[len("tokens: "):]
		}
	}
	return fault.New(fault.BadJWT, "invalid JWT: unable to parse or verify signature, %s", text).WithCause(err)
}

// caller checks the bearer of a user route: its token, its user and its session.
func (d *Dialect) caller(r *http.Request) (account.Caller, *tokens.Claims, error) {
	c, err := d.claims(r)
	if err != nil {
		return account.Caller{}, nil, err
	}
	u, row, err := d.Sessions.Check(r.Context(), c)
	if err != nil {
		return account.Caller{}, nil, bearerStatus(err)
	}
	return account.Caller{User: u, Session: row}, c, nil
}

// refused reports whether a bearer is refused; else what went wrong says nothing of it.
func refused(err error) bool {
	var f *fault.Error
	return errors.As(err, &f)
}

// bearerStatus gives the statuses that faults of a bearer have.
func bearerStatus(err error) error {
	switch {
	case errors.Is(err, session.ErrSubject):
		return as(http.StatusBadRequest, err)
	case fault.CodeOf(err) == fault.UserNotFound:
		return as(http.StatusForbidden, err)
	}
	return err
}

// admin checks the bearer of an administrator's route.
func (d *Dialect) admin(r *http.Request) (audit.Actor, error) {
	c, err := d.claims(r)
	if err != nil {
		return audit.Actor{}, err
	}
	if c.SessionID != "" {
		_, row, err := d.Sessions.Check(r.Context(), c)
		if err != nil {
			return audit.Actor{}, bearerStatus(err)
		}
		if d.Sessions.Ended(row) {
			return audit.Actor{}, as(http.StatusForbidden, fault.New(fault.SessionExpired, "Session is no longer valid"))
		}
	}
	if !slices.Contains(d.AdminRoles, c.Role) {
		return audit.Actor{}, errNotAdmin
	}
	return audit.Admin(c.Role), nil
}

// audience is whom a request is about: the listed audience that it names, else that of
// its user, else the default.
func (d *Dialect) audience(r *http.Request, c *tokens.Claims) string {
	if named := r.Header.Get("X-JWT-AUD"); named != "" && slices.Contains(d.Audiences, named) {
		return named
	}
	if c != nil && len(c.Audience) > 0 && !slices.Contains(d.AdminRoles, c.Role) {
		return c.Audience[0]
	}
	return d.Audience
}

// none stands for an answer without content.
type none struct{}

// does makes an act of a function that only may fail.
func does[Q any](act func(context.Context, Q) error) func(context.Context, Q) (none, error) {
	return func(ctx context.Context, q Q) (none, error) { return none{}, act(ctx, q) }
}
