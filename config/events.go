package config

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/truekeel/auth"
	"github.com/truekeel/auth/internal/caller"
	"github.com/truekeel/auth/internal/outbound"
)

// Events says who is told of what happens to accounts.
type Events struct {
	URL          string // "" for nobody
	Secrets      []string
	Types        []string
	Name         string
	AllowPrivate bool
	GiveUpAfter  time.Duration
	Retention    time.Duration
}

const eventsIntro = "What is posted and how a receiver checks it: [webhooks.md](webhooks.md).\n"

func eventKeys() []entry {
	return []entry{
		{
			name: "EVENT_WEBHOOK_URL", own: true, example: "https://app.example.com/events", is: word(func(c *Config) *string { return &c.Events.URL }),
			doc:  "Who is told of what happens to accounts, by POST. Several receivers: in Go.",
			with: func(c *Config) []auth.Option { return when(c.Events.URL != "", c.eventWebhook) },
		},
		{
			name: "EVENT_WEBHOOK_SECRETS", own: true, secret: true, example: "whsec_$(openssl rand -base64 32)", is: parsed("list", parseEventSecrets, func(c *Config) *[]string { return &c.Events.Secrets }),
			doc: "What signs the events, each of the form `whsec_<base64>`; with several, each makes a signature, so that one can be changed for another without a break.",
		},
		{
			name: "EVENT_WEBHOOK_EVENTS", own: true, example: "user.created,user.updated,user.deleted", is: list(func(c *Config) *[]string { return &c.Events.Types }),
			doc: "Which events it is told. Default: all.",
		},
		{
			name: "EVENT_WEBHOOK_NAME", own: true, def: "default", example: "crm", is: word(func(c *Config) *string { return &c.Events.Name }),
			doc: "The receiver's name in the log of deliveries and in the database; it keeps its queue when its URL changes.",
		},
		{
			name: "EVENT_WEBHOOK_ALLOW_PRIVATE", own: true, def: "false", example: "true", is: boolean(func(c *Config) *bool { return &c.Events.AllowPrivate }),
			doc: "Let the receiver be in a private network, and its URL be http.",
		},
		{
			name: "EVENT_WEBHOOK_GIVE_UP_AFTER", own: true, def: "72h", example: "24h", is: duration(time.Second, func(c *Config) *time.Duration { return &c.Events.GiveUpAfter }),
			doc: "How long an event that can't be delivered is tried again.",
		},
		{
			name: "EVENT_RETENTION", own: true, def: "168h", example: "720h", is: duration(time.Second, func(c *Config) *time.Duration { return &c.Events.Retention }),
			doc: "How long an event can be seen and sent again after it was delivered or given up, with `truekeel webhooks`.",
			with: func(c *Config) []auth.Option {
				return when(c.Events.Retention > 0, func() auth.Option { return auth.WithEventRetention(c.Events.Retention) })
			},
		},
	}
}

// parseEventSecrets reads secrets with commas between them or, as hooks have theirs, with
// "|". Errors don't show them.
func parseEventSecrets(s string) ([]string, error) {
	return parseSecrets(strings.ReplaceAll(strings.ReplaceAll(s, "v1,", ""), ",", "|"))
}

// checkEvents finds what can't be posted.
func (c *Config) checkEvents(find finder) {
	e := c.Events
	if e.URL == "" {
		return
	}
	u, err := url.Parse(e.URL)
	switch {
	case err != nil || u.Host == "" || u.Fragment != "" || u.Scheme != "https" && u.Scheme != "http":
		find("EVENT_WEBHOOK_URL", "https://app.example.com/events", "it is no web address that begins with https://")
	case u.Scheme == "http" && !e.AllowPrivate && !caller.IsLoopbackHost(u.Host):
		find("EVENT_WEBHOOK_URL", "https://app.example.com/events",
			"http shows the events to whoever is on the way; give an https URL, or set GOTRUE_EVENT_WEBHOOK_ALLOW_PRIVATE=true for a receiver in a private network")
	case !e.AllowPrivate && !caller.IsLoopbackHost(u.Host) && !outbound.Public.Names(u.Hostname()):
		find("EVENT_WEBHOOK_URL", "https://app.example.com/events", "its host is no public address; set GOTRUE_EVENT_WEBHOOK_ALLOW_PRIVATE=true if that is meant")
	}
	if len(e.Secrets) == 0 && !c.isSet("EVENT_WEBHOOK_SECRETS") {
		find("EVENT_WEBHOOK_SECRETS", "whsec_$(openssl rand -base64 32)", "it is missing, and GOTRUE_EVENT_WEBHOOK_URL is set")
	}
	for _, t := range e.Types {
		if known := auth.EventTypes(); !slices.Contains(known, auth.EventType(t)) {
			find("EVENT_WEBHOOK_EVENTS", "user.created,user.deleted", "%s is none of %s", shown(t), strings.Trim(fmt.Sprint(known), "[]"))
		}
	}
}

// settleEvents warns of variables of a receiver that is missing.
func (c *Config) settleEvents(warn func(key, text string, args ...any)) {
	if c.Events.URL == "" && len(c.Events.Secrets)+len(c.Events.Types) > 0 {
		warn("EVENT_WEBHOOK_URL", "it isn't set, so nobody is told of events")
	}
}

func (c *Config) eventWebhook() auth.Option {
	w := auth.EventWebhook{
		Name: c.Events.Name, URL: c.Events.URL, Secrets: c.Events.Secrets, AllowPrivate: c.Events.AllowPrivate, GiveUpAfter: c.Events.GiveUpAfter,
	}
	for _, t := range c.Events.Types {
		w.Events = append(w.Events, auth.EventType(t))
	}
	return auth.WithEventWebhook(w)
}
