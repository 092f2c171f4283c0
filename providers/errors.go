package providers

import (
	"context"
	"errors"
	"net"
	"strings"
)

// The kinds of failure, to be asked for with errors.Is.
var (
	// ErrRefused means that the provider sent the browser back with an error; its own
	// code and description are in the [*Error].
	ErrRefused = errors.New("provider refused")
	// ErrNoCode means a callback without an authorization code.
	ErrNoCode = errors.New("no authorization code")
	// ErrExchange means that the provider gave no token for the code.
	ErrExchange = errors.New("code exchange failed")
	// ErrProfile means that the provider didn't tell who the person is.
	ErrProfile = errors.New("profile failed")
	// ErrNoSubject means a profile or id token without the person's id.
	ErrNoSubject = errors.New("no subject")
	// ErrBadIDToken means an id token that is malformed, forged, expired or of another
	// issuer, or whose at_hash doesn't fit its access token.
	ErrBadIDToken = errors.New("bad id token")
	// ErrNoIDToken is the cause of an ErrBadIDToken where the provider, which should,
	// gave no id token at all.
	ErrNoIDToken = errors.New("answer holds no id token")
	// ErrAudience means a good id token that was made for somebody else's app. The
	// audience is the Description of the [*Error].
	ErrAudience = errors.New("unacceptable audience in id token")
	// ErrNonceMissing means that only one of nonce and "nonce" claim was there.
	ErrNonceMissing = errors.New("passed nonce and nonce in id token should either both exist or not")
	// ErrNonceMismatch means that nonce and "nonce" claim differ.
	ErrNonceMismatch = errors.New("nonces mismatch")
	// ErrUnreachable means that the provider didn't answer, or not in time.
	ErrUnreachable = errors.New("provider unreachable")
	// ErrConfig means a provider that can't work as configured.
	ErrConfig = errors.New("bad configuration")
	// ErrNoSecret is the cause of an ErrConfig where sign-in in the browser needs a
	// client secret and there is none. Presented id tokens need none.
	ErrNoSecret = errors.New("missing OAuth secret")
	// ErrUnknown means a name that is no provider's.
	ErrUnknown = errors.New("unknown provider")
)

// Error is why a sign-in with a provider failed. It never holds a secret: no code, no
// token, no body of an answer.
type Error struct {
	// Provider is the provider's name.
	Provider string
	// Kind is one of the Err values of this package.
	Kind error
	// Code and Description are the provider's "error" and "error_description" (RFC
	// 6749, 4.1.2.1 and 5.2), empty if it gave none. They are foreign text: show them
	// only encoded.
	Code, Description string
	// Cause is what led here, nil if nothing more is known.
	Cause error
}

// Error names the provider, the kind and the cause.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("providers: " + e.Provider + ": " + e.Kind.Error())
	if e.Code != "" {
		b.WriteString(" (" + e.Code + ")")
	}
	if e.Cause != nil {
		b.WriteString(": " + e.Cause.Error())
	}
	return b.String()
}

// Unwrap gives the kind and the cause.
func (e *Error) Unwrap() []error {
	if e.Cause == nil {
		return []error{e.Kind}
	}
	return []error{e.Kind, e.Cause}
}

// failed makes an *Error of kind, or of ErrUnreachable if cause is a failure to talk.
func failed(provider string, kind, cause error) error {
	var known *Error
	if errors.As(cause, &known) {
		return cause
	}
	if unreachable(cause) {
		kind = ErrUnreachable
	}
	var reported answerError
	if errors.As(cause, &reported) {
		return &Error{Provider: provider, Kind: kind, Code: clip(reported.code, 100)}
	}
	return &Error{Provider: provider, Kind: kind, Cause: cause}
}

func unreachable(err error) bool {
	var network net.Error
	return errors.As(err, &network) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, errServer)
}
