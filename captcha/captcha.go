// Package captcha asks services whether a token proves that a person, and no program,
// filled in a form.
//
// [HCaptcha] and [Turnstile] are such services; any function can be a [Verifier] by way of
// [Func].
package captcha

import (
	"context"
	"slices"
	"strings"
)

// Verifier asks about tokens. It must be safe for concurrent use.
type Verifier interface {
	// Verify asks whether a token, which a page got from the service, is good and was
	// not used before; remoteIP is the address of who sent it, "" if unknown. It
	// returns nil if the token is good, a [*Refused] if it isn't, and any other error
	// if the service couldn't be asked or didn't say: the request is then refused too.
	// It gives up when ctx ends. Errors hold neither the token nor the secret.
	Verify(ctx context.Context, token, remoteIP string) error
}

// Func is a function that is a [Verifier].
type Func func(ctx context.Context, token, remoteIP string) error

// Verify calls f.
func (f Func) Verify(ctx context.Context, token, remoteIP string) error {
	return f(ctx, token, remoteIP)
}

// Refused is the error for a token that isn't good.
type Refused struct {
	// Codes say why, in the service's words, such as "timeout-or-duplicate". The client
	// is shown them.
	Codes []string
}

// Error lists the codes.
func (e *Refused) Error() string {
	if len(e.Codes) == 0 {
		return "captcha: refused"
	}
	return "captcha: refused: " + strings.Join(e.Codes, ", ")
}

// Misconfigured reports whether the codes say that the service was asked in a wrong way,
// by a wrong secret for instance: then it refuses everybody.
func (e *Refused) Misconfigured() bool {
	return slices.ContainsFunc(e.Codes, func(code string) bool {
		switch code {
		case "missing-input-secret", "invalid-input-secret", "bad-request", "sitekey-secret-mismatch", "not-using-dummy-secret":
			return true
		}
		return false
	})
}
