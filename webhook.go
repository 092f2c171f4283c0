package auth

import (
	"context"
	"fmt"
	"time"

	"github.com/truekeel/auth/internal/host"
	"github.com/truekeel/auth/internal/seedhook"
	"github.com/truekeel/auth/store"
)

// WebhookEvent is what a [Webhook] is asked about.
type WebhookEvent string

// The events of [Webhook].
const (
	// WebhookValidate: an account is about to be made. It isn't asked of what [Users.Create]
	// or an administrator makes.
	WebhookValidate WebhookEvent = "validate"
	// WebhookSignUp: an address or number is about to be proved for the first time.
	WebhookSignUp WebhookEvent = "signup"
	// WebhookLogin: somebody is about to come in, unless he is confirmed by the same.
	WebhookLogin WebhookEvent = "login"
	// WebhookEmailChange: an address that was proved is about to take another's place.
	WebhookEmailChange WebhookEvent = "email_change"
)

// Webhook is a server that is asked while something happens. It gets
//
//	{"event": "signup", "instance_id": "...", "user": {...}}
//
// and answers 200, 202 or 204. A body {"app_metadata": {...}, "user_metadata": {...}}
// takes the place of the user's metadata, each kind that is there as a whole, but for what
// the library keeps there itself. Any other answer fails the request, and so does none.
type Webhook struct {
	// URL is where it is: a web address, or a path on the host of [WithSiteURL].
	URL string
	// Secret signs: the header x-webhook-signature is a JWT (HS256) that holds the hash of
	// the body. Without one there is no signature.
	Secret string
	// Events are what it is asked about. At least one.
	Events []WebhookEvent
	// Retries is how many attempts there are, 1 to 10. Default 3.
	Retries int
	// Timeout is how long each attempt may take. Default 5 seconds. [WithRequestTimeout]
	// bounds them all together.
	Timeout time.Duration
	// AllowPrivate lets the URL's host have an address that isn't public: loopback or
	// private. Those of cloud metadata services are never called.
	AllowPrivate bool
}

// makeWebhook connects the webhook.
func (a *Auth) makeWebhook(context.Context) error {
	w := a.set.webhook
	if w == nil {
		return nil
	}
	events := make([]seedhook.Event, 0, len(w.Events))
	for _, e := range w.Events {
		events = append(events, seedhook.Event(e))
	}
	made, err := seedhook.New(seedhook.Config{
		URL: w.URL, Site: a.where.Site, Secret: w.Secret, Events: events, Attempts: w.Retries, Timeout: w.Timeout,
		AllowPrivate: w.AllowPrivate, Instance: a.set.instance, Client: a.set.client, Now: a.set.now, Logger: a.set.logger,
	})
	if err != nil {
		return fmt.Errorf("auth: WithWebhook: %w", err)
	}
	a.webhook = made
	a.onClose(func(context.Context) error { made.Close(); return nil })
	return nil
}

// webhookSteps are the webhook as the flows ask for it.
func (a *Auth) webhookSteps() *host.Steps {
	if a.webhook == nil {
		return nil
	}
	return &host.Steps{
		Before: a.askWebhook(seedhook.Validate), Confirming: a.askWebhook(seedhook.SignUp),
		Entering: a.askWebhook(seedhook.Login), ChangingEmail: a.askWebhook(seedhook.EmailChange),
	}
}

// askWebhook gives the step of an event, nil if the webhook isn't asked about it.
func (a *Auth) askWebhook(e seedhook.Event) func(context.Context, *store.User) error {
	if !a.webhook.Asks(e) {
		return nil
	}
	return func(ctx context.Context, u *store.User) error {
		text, err := a.renderUser(ctx, *u)
		if err != nil {
			return err
		}
		answer, err := a.webhook.Ask(ctx, e, text)
		if err != nil {
			return err
		}
		if answer.AppMetadata != nil {
			u.AppMetadata = answer.AppMetadata
		}
		if answer.UserMetadata != nil {
			u.UserMetadata = answer.UserMetadata
		}
		return nil
	}
}
