package gotrue

import (
	"context"
	"errors"
	"net/http"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/truekeel/auth/fault"
	"github.com/truekeel/auth/internal/caller"
	"github.com/truekeel/auth/internal/endpoint"
	"github.com/truekeel/auth/internal/session"
	"github.com/truekeel/auth/store"
)

// versioned is the first version of the wire whose errors have codes as strings.
const (
	versionHeader = "X-Supabase-Api-Version"
	versioned     = "2024-01-01"
)

// answered is an error whose status differs from its code's usual one.
type answered struct {
	error
	status int
}

func (a answered) Unwrap() error { return a.error }

// as gives err another status than its code's usual one.
func as(status int, err error) error {
	if err == nil {
		return nil
	}
	return answered{err, status}
}

// with wraps a Func whose errors of some codes have another status than usual.
func with(do endpoint.Func, statuses map[fault.Code]int) endpoint.Func {
	return func(w http.ResponseWriter, r *http.Request) error {
		err := do(w, r)
		var own answered
		if status, ok := statuses[fault.CodeOf(err)]; ok && !errors.As(err, &own) {
			return as(status, err)
		}
		return err
	}
}

// statusOf is the usual status of a code.
func statusOf(c fault.Code) int {
	switch c {
	case fault.UnexpectedFailure:
		return http.StatusInternalServerError
	case fault.Unavailable:
		return http.StatusServiceUnavailable
	case fault.RequestTimeout:
		return http.StatusGatewayTimeout
	case fault.NotFound, fault.UserNotFound, fault.FlowStateNotFound, fault.InviteNotFound, fault.ManualLinkingDisabled:
		return http.StatusNotFound
	case fault.MethodNotAllowed:
		return http.StatusMethodNotAllowed
	case fault.RequestEntityTooLarge:
		return http.StatusRequestEntityTooLarge
	case fault.ForeignHost:
		return http.StatusMisdirectedRequest
	case fault.NoAuthorization:
		return http.StatusUnauthorized
	case fault.BadJWT, fault.NotAdmin, fault.InsufficientRole, fault.UserBanned, fault.SessionNotFound, fault.OTPExpired, fault.UnexpectedAudience:
		return http.StatusForbidden
	case fault.OverRequestRateLimit, fault.OverEmailSendRateLimit, fault.OverSMSSendRateLimit:
		return http.StatusTooManyRequests
	case fault.SignupDisabled, fault.UserAlreadyExists, fault.EmailExists, fault.PhoneExists, fault.WeakPassword, fault.SamePassword,
		fault.AnonymousProviderDisabled, fault.OTPDisabled, fault.SMSSendFailed, fault.ReauthenticationNotValid, fault.SSOManaged, fault.FlowStateExpired,
		fault.ProviderEmailNeedsVerification, fault.IdentityAlreadyExists, fault.IdentityNotFound, fault.SingleIdentityNotDeletable,
		fault.EmailConflictIdentityNotDeletable, fault.HookTimeout, fault.HookTimeoutAfterRetry, fault.HookPayloadOverSizeLimit:
		return http.StatusUnprocessableEntity
	case fault.Conflict:
		return http.StatusConflict
	}
	return http.StatusBadRequest
}

// weak is the detail of a weak password.
type weak struct {
	Reasons []string `json:"reasons"`
}

// legacyError is the body of errors for clients that name no version.
type legacyError struct {
	Code      int        `json:"code"`
	ErrorCode fault.Code `json:"error_code"`
	Message   string     `json:"msg"`
	ErrorID   string     `json:"error_id,omitempty"`
	Weak      *weak      `json:"weak_password,omitempty"`
}

// codedError is the body of errors for clients that name a version.
type codedError struct {
	Code    fault.Code `json:"code"`
	Message string     `json:"message"`
	Weak    *weak      `json:"weak_password,omitempty"`
}

// Fail answers an error. What isn't meant for the client is logged and shown as
// unexpected.
func (d *Dialect) Fail(w http.ResponseWriter, r *http.Request, err error) {
	f, status := d.judge(r.Context(), r.URL.Path, err)
	endpoint.NoteCode(r.Context(), f.Code)
	h, code := w.Header(), shownCode(f, status)
	if f.Code != fault.Unknown {
		h.Set("x-sb-error-code", string(code))
	}
	h.Set("Cache-Control", "no-store")
	if f.RetryAfter > 0 {
		h.Set("Retry-After", strconv.FormatInt(int64((f.RetryAfter+time.Second-1)/time.Second), 10))
	}
	if status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", `Bearer`)
	}
	var refused *session.Refused
	if errors.As(err, &refused) && refused.UserID != uuid.Nil {
		h.Set("sb-auth-user-id", refused.UserID.String())
		h.Set("sb-auth-session-id", refused.SessionID.String())
	}
	var detail *weak
	if f.Code == fault.WeakPassword {
		detail = &weak{Reasons: f.Reasons}
	}
	var body any = codedError{Code: code, Message: f.Message, Weak: detail}
	if wantsCodes(r) {
		h.Set(versionHeader, versioned)
	} else {
		legacy := legacyError{Code: status, ErrorCode: code, Message: f.Message, Weak: detail}
		if status >= http.StatusInternalServerError {
			legacy.ErrorID = caller.From(r.Context()).RequestID
		}
		body = legacy
	}
	_ = endpoint.JSON(w, status, body) // both bodies marshal
}

// shownCode is the code in a body: a refusal without one has a word for its status.
func shownCode(f *fault.Error, status int) fault.Code {
	if f.Code == fault.Unknown && status == http.StatusInternalServerError {
		return fault.UnexpectedFailure
	}
	return f.Code
}

func wantsCodes(r *http.Request) bool {
	day, err := time.Parse(time.DateOnly, r.Header.Get(versionHeader))
	return err == nil && day.Format(time.DateOnly) >= versioned
}

// judge finds the fault to show for err, and its status.
func (d *Dialect) judge(ctx context.Context, path string, err error) (*fault.Error, int) {
	var own answered
	var f *fault.Error
	switch {
	case errors.As(err, &f) && f.Status == 0 && errors.As(err, &own):
		d.log(ctx, path, own.status, err)
		return f, own.status
	case errors.As(err, &f):
	case errors.Is(err, store.ErrUnavailable):
		f = &fault.Error{Code: fault.Unavailable, Message: "The service can't answer at the moment, please retry after a moment.", RetryAfter: time.Second}
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		f = &fault.Error{Code: fault.RequestTimeout, Message: "Processing this request timed out, please retry after a moment."}
	default:
		f = &fault.Error{Code: fault.UnexpectedFailure, Message: "Unexpected failure, please check server logs for more information"}
	}
	status := statusOf(f.Code)
	if f.Status != 0 {
		status = f.Status
	}
	d.log(ctx, path, status, err)
	return f, status
}

// log writes down what the client isn't told.
func (d *Dialect) log(ctx context.Context, path string, status int, err error) {
	if status < http.StatusInternalServerError || errors.Is(err, context.Canceled) {
		return
	}
	cause := err
	var f *fault.Error
	if errors.As(err, &f) && f.Cause != nil {
		cause = f.Cause
	}
	d.Logger.ErrorContext(ctx, "auth: a request failed", "path", path, "status", status, "error", cause, "request_id", caller.From(ctx).RequestID)
}

func stack() string { return string(debug.Stack()) }
