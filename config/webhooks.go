package config

import (
	"slices"
	"time"

	"github.com/truekeel/auth"
	"github.com/truekeel/auth/internal/seedhook"
)

// Webhook is the webhook that the first GoTrue had.
type Webhook struct {
	URL          string
	Secret       string
	Retries      int
	Seconds      int
	Events       []string
	AllowPrivate bool
}

func webhookKeys() []entry {
	return []entry{
		{
			name: "WEBHOOK_URL", secret: true, example: "https://example.com/webhook", is: word(func(c *Config) *string { return &c.Webhook.URL }),
			doc:  "A server that is asked while people sign up, sign in or change their address, or a path on the host of SITE_URL: [hooks.md](hooks.md#the-webhook-of-the-first-gotrue).",
			with: webhookOption,
		},
		{
			name: "WEBHOOK_SECRET", secret: true, example: "$(openssl rand -base64 48)", is: text(func(c *Config) *string { return &c.Webhook.Secret }),
			doc: "What requests are signed with, in the header `x-webhook-signature`. Without it they aren't.",
		},
		{
			name: "WEBHOOK_RETRIES", def: "3", is: number(1, 10, func(c *Config) *int { return &c.Webhook.Retries }),
			doc: "How often the webhook is asked that doesn't answer well, all told.",
		},
		{
			name: "WEBHOOK_TIMEOUT_SEC", def: "5", is: number(1, 60, func(c *Config) *int { return &c.Webhook.Seconds }),
			doc: "How many seconds each attempt may take. API_MAX_REQUEST_DURATION bounds them all together.",
		},
		{
			name: "WEBHOOK_EVENTS", example: "validate,signup,login", is: list(func(c *Config) *[]string { return &c.Webhook.Events }),
			doc: "What the webhook is asked about: `validate`, `signup`, `login`, `email_change`. Default: nothing.",
		},
		{
			name: "WEBHOOK_ALLOW_PRIVATE", own: true, def: "false", is: boolean(func(c *Config) *bool { return &c.Webhook.AllowPrivate }),
			doc: "Let the webhook's host have an address that isn't public, such as one in the same network.",
		},
	}
}

func webhookOption(c *Config) []auth.Option {
	w := c.Webhook
	return when(w.URL != "" && len(w.Events) > 0, func() auth.Option {
		events := make([]auth.WebhookEvent, 0, len(w.Events))
		for _, e := range w.Events {
			events = append(events, auth.WebhookEvent(e))
		}
		return auth.WithWebhook(auth.Webhook{
			URL: w.URL, Secret: w.Secret, Events: events, Retries: w.Retries, Timeout: time.Duration(w.Seconds) * time.Second, AllowPrivate: w.AllowPrivate,
		})
	})
}

func (c *Config) checkWebhook(find finder) {
	w := c.Webhook
	if w.URL == "" || len(w.Events) == 0 {
		return
	}
	probe := seedhook.Config{URL: w.URL, Site: c.SiteURL, Events: seedhook.Events(), AllowPrivate: true}
	if probe.Site == "" {
		probe.Site = c.API.ExternalURL
	}
	if made, err := seedhook.New(probe); err != nil {
		find("WEBHOOK_URL", "https://example.com/webhook", "%s", err)
	} else {
		made.Close()
		probe.AllowPrivate = w.AllowPrivate
		if _, err := seedhook.New(probe); err != nil {
			find("WEBHOOK_URL", "https://example.com/webhook", "its host is no public address; set GOTRUE_WEBHOOK_ALLOW_PRIVATE=true if that is meant")
		}
	}
	for _, e := range w.Events {
		if !known(e) {
			find("WEBHOOK_EVENTS", "validate,signup,login", "%s is none of validate, signup, login, email_change", shown(e))
		}
	}
}

func known(event string) bool {
	return slices.Contains(seedhook.Events(), seedhook.Event(event))
}

func (c *Config) settleWebhook(warn func(key, text string, args ...any)) {
	if c.Webhook.URL != "" && len(c.Webhook.Events) == 0 {
		warn("WEBHOOK_EVENTS", "it isn't set, so the webhook is asked about nothing")
	}
	if c.Webhook.URL == "" && len(c.Webhook.Events) > 0 {
		warn("WEBHOOK_URL", "it isn't set, so no webhook is asked")
	}
}
