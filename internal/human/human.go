// Package human lets only people through a door: it asks a captcha service about the
// token that a request carries.
package human

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"

	"github.com/truekeel/auth/captcha"
	"github.com/truekeel/auth/fault"
	"github.com/truekeel/auth/internal/caller"
	"github.com/truekeel/auth/internal/guard"
)

// Gate is closed for programs. A nil Gate is open for everybody.
type Gate struct {
	// Verifier is the service. Required.
	Verifier captcha.Verifier
	// Guard bounds how often one client has the service asked. Required.
	Guard *guard.Guard
	// Logger gets what only the operator can mend. Required.
	Logger *slog.Logger
}

var errMissing = fault.New(fault.CaptchaFailed, "captcha protection: request disallowed (no captcha_token found)")

// Pass asks about the token of the caller in ctx. The service is not asked twice about one
// request: tokens are good once.
func (g *Gate) Pass(ctx context.Context, token string) (err error) {
	if g == nil {
		return nil
	}
	if token = strings.TrimSpace(token); token == "" {
		return errMissing
	}
	if err := g.Guard.Client(ctx, guard.Captcha); err != nil {
		return err
	}
	ip := ""
	if from := caller.From(ctx).IP; from.IsValid() {
		ip = from.String()
	}
	var refused *captcha.Refused
	switch err := g.Verifier.Verify(ctx, token, ip); {
	case err == nil:
		return nil
	case !errors.As(err, &refused):
		return fault.New(fault.UnexpectedFailure, "captcha verification process failed").WithCause(err)
	}
	if refused.Misconfigured() {
		g.Logger.ErrorContext(ctx, "auth: the captcha service refuses everybody, check the secret", "codes", refused.Codes)
	}
	why := strings.Join(refused.Codes, ", ")
	if why == "" {
		why = "token rejected"
	}
	return fault.New(fault.CaptchaFailed, "captcha protection: request disallowed (%s)", why)
}

// Token finds the token in what a body has as "gotrue_meta_security"; "" if there is none.
// Older clients call it hcaptcha_token.
func Token(meta json.RawMessage) string {
	var m map[string]json.RawMessage
	if json.Unmarshal(meta, &m) != nil {
		return ""
	}
	for _, name := range []string{"captcha_token", "hcaptcha_token"} {
		var token string
		if json.Unmarshal(m[name], &token) == nil && strings.TrimSpace(token) != "" {
			return token
		}
	}
	return ""
}
