// Command outside is a host for the end-to-end tests of what lies outside of it: phones, a
// captcha, hooks and webhooks. What a flag doesn't name is left out.
package main

import (
	"context"
	"flag"
	"log"
	"log/slog"
	"net/http"
	"os"
	"sync/atomic"
	"time"

	"github.com/truekeel/auth"
	"github.com/truekeel/auth/captcha"
	"github.com/truekeel/auth/test/e2e/serve"
	"github.com/truekeel/auth/tokens"
)

// flags say where the services outside are.
type flags struct {
	addr, captcha, hooks, hookSecret, webhook, webhookSecret, events, eventSecret string

	phones bool
}

func main() {
	var f flags
	flag.StringVar(&f.addr, "addr", "127.0.0.1:0", "address to listen on")
	flag.BoolVar(&f.phones, "phones", false, "people sign in by phone, and hooks are functions in Go")
	flag.StringVar(&f.captcha, "captcha", "", "URL of hCaptcha's stand-in")
	flag.StringVar(&f.hooks, "hooks", "", "URL under which the hooks are, each by the name of its point")
	flag.StringVar(&f.hookSecret, "hook-secret", "", "secret that signs what hooks get")
	flag.StringVar(&f.webhook, "webhook", "", "URL of the webhook that is asked")
	flag.StringVar(&f.webhookSecret, "webhook-secret", "", "secret that signs what the webhook gets")
	flag.StringVar(&f.events, "events", "", "URL that events are posted to")
	flag.StringVar(&f.eventSecret, "event-secret", "", "secret that signs events")
	flag.Parse()
	if err := run(f); err != nil {
		log.Fatal(err)
	}
}

func (f flags) options(now func() time.Time) []auth.Option {
	opts := []auth.Option{
		auth.WithClock(now),
		auth.WithMailFrequency(time.Microsecond),
		auth.WithSMSFrequency(0),
		auth.WithoutLimits(),
		auth.WithLogger(slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))),
	}
	if f.phones {
		opts = append(opts,
			auth.WithPhoneSignIn(true),
			auth.WithReauthentication(true),
			auth.WithTestNumbers(map[string]string{"+1 500 555 0100": "123456"}, time.Time{}),
			auth.WithHooks(auth.Hooks{BeforeUserCreated: admit, CustomAccessToken: addClaims}),
		)
	}
	if f.captcha != "" {
		opts = append(opts, auth.WithCaptcha(&captcha.HCaptcha{Secret: "captcha-secret", BaseURL: f.captcha}))
	}
	if f.hooks != "" {
		for _, p := range []auth.HookPoint{
			auth.HookBeforeUserCreated, auth.HookAfterUserCreated, auth.HookCustomAccessToken, auth.HookSendEmail, auth.HookSendSMS,
			auth.HookPasswordVerification,
		} {
			opts = append(opts, auth.WithHTTPHook(p, auth.HTTPHook{URI: f.hooks + "/" + string(p), Secrets: []string{f.hookSecret}}))
		}
	}
	if f.webhook != "" {
		opts = append(opts, auth.WithWebhook(auth.Webhook{
			URL: f.webhook, Secret: f.webhookSecret, AllowPrivate: true,
			Events: []auth.WebhookEvent{auth.WebhookValidate, auth.WebhookSignUp, auth.WebhookLogin},
		}))
	}
	if f.events != "" {
		opts = append(opts, auth.WithEventWebhook(auth.EventWebhook{URL: f.events, Secrets: []string{f.eventSecret}}))
	}
	return opts
}

// admit refuses a person by what he says of himself.
func admit(_ context.Context, u auth.Account) error {
	if string(u.UserMetadata["name"]) == `"Mallory"` {
		return &auth.Error{Code: "not_ours", Message: "We would rather not"}
	}
	return nil
}

// addClaims adds a claim, and tries to change others.
func addClaims(_ context.Context, _ auth.Account, c *tokens.Claims) (err error) {
	c.Role, c.Email = "service_role", "root@example.com"
	c.Extra, err = tokens.MakeJSON(map[string]any{"team": "blue"})
	return err
}

func run(f flags) error {
	var ahead atomic.Int64
	a, err := auth.New(f.options(func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) })...)
	if err != nil {
		return err
	}
	defer a.Close(context.Background())

	mux := http.NewServeMux()
	mux.HandleFunc("POST /next-day", func(http.ResponseWriter, *http.Request) { ahead.Add(int64(24 * time.Hour)) })
	return serve.UntilInterrupted(f.addr, a, mux)
}
