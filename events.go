package auth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/truekeel/auth/internal/caller"
	"github.com/truekeel/auth/internal/events"
	"github.com/truekeel/auth/internal/outbound"
	"github.com/truekeel/auth/internal/webhook"
	"github.com/truekeel/auth/store"
)

// EventType names what happened to an account.
type EventType string

// The events. Whatever makes one of them is told: endpoints of either dialect, [Users],
// [Tx]. Those of one change are told in this order.
const (
	EventUserCreated         EventType = EventType(events.UserCreated)
	EventUserInvited         EventType = EventType(events.UserInvited)
	EventUserConfirmed       EventType = EventType(events.UserConfirmed) // the first address was proved, maybe when it was created
	EventUserEmailChanged    EventType = EventType(events.UserEmailChanged)
	EventUserPhoneChanged    EventType = EventType(events.UserPhoneChanged)
	EventUserPasswordChanged EventType = EventType(events.UserPasswordChanged) // set, changed or taken away
	EventUserBanned          EventType = EventType(events.UserBanned)
	EventUserUnbanned        EventType = EventType(events.UserUnbanned) // lifted; a ban that runs out isn't told
	EventIdentityUnlinked    EventType = EventType(events.IdentityUnlinked)
	EventIdentityLinked      EventType = EventType(events.IdentityLinked)
	// EventUserUpdated is any change of what the user in the event's data shows, but for
	// updated_at and last_sign_in_at; it comes beside the one that says what changed.
	EventUserUpdated EventType = EventType(events.UserUpdated)
	// EventUserSignedOut is the end of sessions before their time: by sign-out, a changed
	// password, a revoked or a stolen refresh token.
	EventUserSignedOut EventType = EventType(events.UserSignedOut)
	EventUserSignedIn  EventType = EventType(events.UserSignedIn) // a session began
	EventUserDeleted   EventType = EventType(events.UserDeleted)  // softly, too
)

// EventTypes lists all events.
func EventTypes() []EventType {
	var out []EventType
	for _, t := range events.Types() {
		out = append(out, EventType(t))
	}
	return out
}

// EventWebhook is a receiver of events.
type EventWebhook struct {
	// Name tells the endpoint from others, in the log of deliveries and in the database,
	// where it keeps its queue when its URL changes. At most 100 characters; default
	// "default".
	Name string
	// URL gets the events: POST with JSON. https, or http to a loopback host.
	URL string
	// Secrets sign the events as https://www.standardwebhooks.com says, each of the form
	// "whsec_" and the base64 of 24 to 64 bytes; "v1," in front of it, as hooks have it, is
	// left out. With several, each makes a signature: so one is changed for another without
	// a break.
	Secrets []string
	// Events are those that it gets; none: all, also those that later versions add.
	Events []EventType
	// AllowPrivate lets the receiver be in a private network, and its URL be http. Without
	// it only public addresses are dialled (and loopback ones, for a loopback URL).
	AllowPrivate bool
	// GiveUpAfter is how long an event that can't be delivered is tried again. Default 72
	// hours.
	GiveUpAfter time.Duration
	// Client sends, without following redirects; for networks with a proxy. Which
	// addresses it dials is its own affair. Default: one of the library's own.
	Client *http.Client
}

// maxEndpointName is what fits into a sender of the outbox on every database.
const maxEndpointName = 100

func (w EventWebhook) check() error {
	if len(w.Name) > maxEndpointName || strings.ContainsFunc(w.Name, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return fmt.Errorf("the Name %q isn't one word of at most %d ASCII characters", w.Name, maxEndpointName)
	}
	u, err := url.Parse(w.URL)
	if err != nil || u.Host == "" || u.Fragment != "" || (u.Scheme != "https" && u.Scheme != "http") {
		return errors.New(`the URL is no web address; give one like "https://app.example.com/events"`)
	}
	if u.Scheme == "http" && !w.AllowPrivate && !caller.IsLoopbackHost(u.Host) {
		return fmt.Errorf("http to %s shows the events to whoever is on the way; use https, or AllowPrivate for a receiver in a private network", u.Host)
	}
	if _, err := webhook.NewSigner(w.Secrets...); err != nil {
		return fmt.Errorf("the Secrets: %w", err)
	}
	for _, t := range w.Events {
		if !events.Type(t).Known() {
			return fmt.Errorf("there is no event %q; there are %v", t, EventTypes())
		}
	}
	return refuse(w.GiveUpAfter < 0, "GiveUpAfter is negative")
}

// endpoint is what sends.
func (w EventWebhook) endpoint() (events.Endpoint, error) {
	signer, err := webhook.NewSigner(w.Secrets...)
	if err != nil {
		return events.Endpoint{}, err
	}
	reach := outbound.Public
	if u, err := url.Parse(w.URL); err == nil && caller.IsLoopbackHost(u.Host) {
		reach = outbound.Loopback
	}
	if w.AllowPrivate {
		reach = outbound.Inside
	}
	e := events.Endpoint{
		Name: w.Name, URL: w.URL, GiveUpAfter: w.GiveUpAfter,
		Poster: webhook.New(webhook.Config{Client: w.Client, Reach: reach, Signer: signer, Timeout: eventTimeout, MaxAnswer: maxEventAnswer}),
	}
	for _, t := range w.Events {
		e.Types = append(e.Types, events.Type(t))
	}
	return e, nil
}

const (
	eventTimeout   = 10 * time.Second
	maxEventAnswer = 4 << 10 // nobody reads it
)

// makeEvents makes what tells of changes, and has it watch the store from here on.
func (a *Auth) makeEvents(context.Context) error {
	s := &a.set
	c := events.Config{Store: a.store, Sealer: a.box, Site: a.where.Site, Now: s.now, Logger: s.logger, Observe: ifObserved(s, s.tellOutbox)}
	for _, w := range s.webhooks {
		e, err := w.endpoint()
		if err != nil {
			return fmt.Errorf("auth: WithEventWebhook: %w", err)
		}
		c.Endpoints = append(c.Endpoints, e)
	}
	l, err := events.New(c)
	if err != nil {
		return fmt.Errorf("auth: WithEventWebhook: %w", err)
	}
	a.events = l
	a.onClose(l.Close)
	if l.On() {
		a.store = l.Watch(a.store)
	}
	return nil
}

// WebhookState is what became of a [EventDelivery].
type WebhookState string

// The states.
const (
	WebhookPending   WebhookState = WebhookState(store.EventPending)
	WebhookDelivered WebhookState = WebhookState(store.EventDelivered)
	WebhookGivenUp   WebhookState = WebhookState(store.EventGivenUp)
)

// EventDelivery is an event for one receiver, and what became of it. Times are UTC; a zero
// time means never.
type EventDelivery struct {
	ID       uuid.UUID // the webhook-id that the receiver sees
	Endpoint string    // its [EventWebhook.Name]
	Type     EventType
	UserID   uuid.UUID

	State      WebhookState
	Attempts   int
	LastStatus int    // the HTTP status of the last attempt; 0 if nobody answered
	LastError  string // a word for why the last attempt failed; "" if it didn't
	LastAt     time.Time
	CreatedAt  time.Time
	DoneAt     time.Time // delivered or given up

	// Body is the JSON that is posted; only [Webhooks.Get] fills it.
	Body []byte
}

var (
	// ErrEventNotFound means that there is no such event, or no more.
	ErrEventNotFound = errors.New("auth: there is no such webhook event; it may be past its retention")
	// ErrEventPending means that an event is still on its way.
	ErrEventPending = errors.New("auth: the webhook event is still on its way")
	// ErrWebhookUnknown means that an event's endpoint isn't among those of
	// [WithEventWebhook].
	ErrWebhookUnknown = errors.New("auth: the webhook event's endpoint isn't configured")
)

// Webhooks is the log of what was told to receivers of events. It is safe for concurrent
// use.
type Webhooks struct{ log *events.Log }

// Webhooks gives the log of events. It needs no [WithEventWebhook], but for Redeliver.
func (a *Auth) Webhooks() Webhooks { return Webhooks{a.events} }

// WebhookList selects a page of events, newest first. Zero fields select all.
type WebhookList struct {
	State    WebhookState
	Endpoint string
	Type     EventType
	UserID   uuid.UUID
	// After continues behind an event of the page before; uuid.Nil begins.
	After uuid.UUID
	// Limit is the size of the page; 0 means 50, at most 1000.
	Limit int
}

// List gives a page of events without their bodies; an empty one is the end.
func (w Webhooks) List(ctx context.Context, l WebhookList) ([]EventDelivery, error) {
	rows, err := w.log.Store.ListEventDeliveries(ctx, store.EventQuery{
		State: store.EventState(l.State), Endpoint: l.Endpoint, Type: string(l.Type), UserID: l.UserID, After: l.After, Limit: l.Limit,
	})
	if err != nil {
		return nil, err
	}
	out := make([]EventDelivery, 0, len(rows))
	for _, row := range rows {
		out = append(out, webhookEventOf(row))
	}
	return out, nil
}

// Get reads an event with its body. [ErrEventNotFound] on a miss; of an event that is
// sealed with a key that isn't known here, all but the body comes beside an error.
func (w Webhooks) Get(ctx context.Context, id uuid.UUID) (EventDelivery, error) {
	row, err := w.log.Store.EventDelivery(ctx, id)
	if err != nil {
		return EventDelivery{}, knownEvent(err)
	}
	e := webhookEventOf(row)
	e.Body, err = w.log.Body(row)
	return e, err
}

// Redeliver posts an event that was delivered or given up once more, with the same id and
// body, behind what is owed of its user; it is tried again as a new one is. It returns when
// that is noted. [ErrEventNotFound] on a miss, [ErrEventPending] if it is
// still on its way, [ErrWebhookUnknown] if its endpoint isn't configured. Of racing callers
// one succeeds.
func (w Webhooks) Redeliver(ctx context.Context, id uuid.UUID) error {
	return knownEvent(w.log.Redeliver(ctx, id))
}

func knownEvent(err error) error {
	switch {
	case errors.Is(err, store.ErrNotFound):
		return ErrEventNotFound
	case errors.Is(err, events.ErrPending):
		return ErrEventPending
	case errors.Is(err, events.ErrNoEndpoint):
		return ErrWebhookUnknown
	}
	return err
}

func webhookEventOf(d store.EventDelivery) EventDelivery {
	return EventDelivery{
		ID: d.ID, Endpoint: d.Endpoint, Type: EventType(d.Type), UserID: d.UserID, State: WebhookState(d.State),
		Attempts: d.Attempts, LastStatus: d.LastStatus, LastError: d.LastError, LastAt: d.LastAt, CreatedAt: d.CreatedAt, DoneAt: d.DoneAt,
	}
}

// served reports whether this process delivers what a sender of outbox items owes.
func (a *Auth) served(sender string) bool {
	return slices.ContainsFunc(a.set.webhooks, func(w EventWebhook) bool { return events.SenderOf(w.Name, a.where.Site) == sender })
}
