package keel

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/truekeel/auth/fault"
	"github.com/truekeel/auth/internal/caller"
	"github.com/truekeel/auth/store"
)

// The error codes (RFC 6749, 5.2), of which Keel uses these.
const (
	invalidRequest   = "invalid_request"
	invalidClient    = "invalid_client"
	unsupportedGrant = "unsupported_grant_type"
	accessDenied     = "access_denied"
	serverError      = "server_error"
	unavailable      = "temporarily_unavailable"
)

// refusal is an answer of this dialect: a status, a code and a text that clients
// compare.
type refusal struct {
	status int
	code   string
	text   string
}

// Error gives code and text.
func (e refusal) Error() string { return e.code + ": " + e.text }

func bad(text string) refusal    { return refusal{http.StatusBadRequest, invalidRequest, text} }
func denied(text string) refusal { return refusal{http.StatusUnauthorized, invalidClient, text} }

// What is wrong with a request, in the order in which it is looked at.
var (
	errTokenMethod   = refusal{http.StatusMethodNotAllowed, invalidRequest, "the token endpoint only accepts POST"}
	errRevokeMethod  = refusal{http.StatusMethodNotAllowed, invalidRequest, "the revoke endpoint only accepts POST"}
	errContentType   = bad("the request body must either be an encoded form (Content-Type: application/x-www-form-urlencoded) or JSON (Content-Type: application/json)")
	errMalformed     = bad("request payload is malformed")
	errNoGrant       = bad("the grant_type field is required with either 'refresh_token', 'token_exchange', 'authorization_code' or 'password'")
	errCreate        = bad("the create_if_not_exists field is invalid and must be either 'true' or 'false'")
	errUnknownGrant  = refusal{http.StatusBadRequest, unsupportedGrant, "the only supported grants are 'refresh_token', 'token_exchange', 'authorization_code' or 'password'"}
	errNoRefresh     = bad("the refresh token in the 'refresh_token' field is required")
	errRefresh       = denied("possible causes may be that the refresh token has been revoked or has expired")
	errNoUsername    = bad("the identity's email in the 'username' field is required")
	errEmail         = bad("invalid email address")
	errNoPassword    = bad("the identity's password in the 'password' field is required")
	errCredentials   = denied("the identity does not exist or the credentials are incorrect")
	errNoCode        = bad("the authorization code in the 'code' field is required")
	errCode          = denied("possible causes may be that the auth code has been consumed or has expired")
	errNoSubject     = bad("the ID token must be provided in the 'subject_token' field")
	errSubjectType   = bad("the only supported subject_token_type is 'id_token'")
	errRequestedType = bad("the only supported requested_token_type is 'access_token'")
	errExchange      = denied("access denied")
	errClaims        = bad("insufficient claims on id_token")
	errNoIdentity    = denied("the identity does not exist")
	errNoToken       = bad("the refresh token must be provided in the token field")
	errProvider      = bad("login url malformed or provider not found")
	errNoRedirect    = bad("redirectUrl must be specified in keelconfig.yaml")
)

func errNoSecret(name string) error {
	return bad("client secret not configured for provider: " + name)
}

// wireError is the body of errors (RFC 6749, 5.2).
type wireError struct {
	Error       string `json:"error,omitempty"`
	Description string `json:"error_description,omitempty"`
}

// answer writes a body as JSON; nil is null.
func (d *Dialect) answer(w http.ResponseWriter, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		status, body = http.StatusInternalServerError, []byte("null")
	}
	h := w.Header()
	h.Set("Content-Type", jsonType)
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(body) // the client may be gone; there is nobody to tell
}

// fail answers an error. What isn't meant for the client is logged and shown as null.
func (d *Dialect) fail(w http.ResponseWriter, r *http.Request, err error) {
	var own refusal
	if errors.As(err, &own) {
		d.answer(w, own.status, wireError{own.code, own.text})
		return
	}
	f, status := judge(err)
	if status >= http.StatusInternalServerError {
		d.log(r.Context(), r.URL.Path, status, err)
	}
	if f == nil {
		d.answer(w, status, nil)
		return
	}
	if f.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.FormatInt(int64((f.RetryAfter+time.Second-1)/time.Second), 10))
	}
	code := invalidRequest
	switch status {
	case http.StatusTooManyRequests, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		code = unavailable
	}
	d.answer(w, status, wireError{code, f.Message})
}

// judge finds the fault to show for err, nil if it isn't one to be shown, and its
// status. A flow's refusal that has no text of its own in this dialect is the request's
// fault.
func judge(err error) (*fault.Error, int) {
	var f *fault.Error
	switch {
	case errors.As(err, &f):
	case errors.Is(err, store.ErrUnavailable):
		f = &fault.Error{Code: fault.Unavailable, Message: "The service can't answer at the moment, please retry after a moment.", RetryAfter: time.Second}
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		f = &fault.Error{Code: fault.RequestTimeout, Message: "Processing this request timed out, please retry after a moment."}
	default:
		return nil, http.StatusInternalServerError
	}
	switch f.Code {
	case fault.UnexpectedFailure:
		return nil, http.StatusInternalServerError
	case fault.Unknown:
		if f.Status >= http.StatusInternalServerError {
			return f, f.Status
		}
	case fault.Unavailable:
		return f, http.StatusServiceUnavailable
	case fault.RequestTimeout:
		return f, http.StatusGatewayTimeout
	case fault.RequestEntityTooLarge:
		return f, http.StatusRequestEntityTooLarge
	case fault.ForeignHost:
		return f, http.StatusMisdirectedRequest
	case fault.OverRequestRateLimit, fault.OverEmailSendRateLimit, fault.OverSMSSendRateLimit:
		return f, http.StatusTooManyRequests
	}
	return f, http.StatusBadRequest
}

// log writes down what the client isn't told.
func (d *Dialect) log(ctx context.Context, path string, status int, err error) {
	if errors.Is(err, context.Canceled) {
		return
	}
	cause := err
	var f *fault.Error
	if errors.As(err, &f) && f.Cause != nil {
		cause = f.Cause
	}
	d.Logger.ErrorContext(ctx, "auth: a request failed", "path", path, "status", status, "error", cause, "request_id", caller.From(ctx).RequestID)
}

// instead gives err this dialect's text if it is one of codes.
func instead(err error, of refusal, codes ...fault.Code) error {
	code := fault.CodeOf(err)
	for _, c := range codes {
		if code == c {
			return of
		}
	}
	return err
}

// hookError marks the failure of a host's hook, which is ours in the client's eyes.
func hookError(name string, err error) error {
	return fault.New(fault.UnexpectedFailure, "hook").WithCause(fmt.Errorf("auth: hook %s: %w", name, err))
}
