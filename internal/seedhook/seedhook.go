// Package seedhook asks the webhook that the first GoTrue had: one URL that is told of
// sign-ups, sign-ins and changes of address while they happen, refuses them or changes
// the user's metadata. What the events of today are told of is elsewhere; this one
// answers.
package seedhook

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"

	"github.com/truekeel/auth/fault"
	"github.com/truekeel/auth/internal/outbound"
	"github.com/truekeel/auth/internal/webhook"
	"github.com/truekeel/auth/store"
)

// Event is what a webhook is asked about.
type Event string

// The events.
const (
	Validate    Event = "validate"
	SignUp      Event = "signup"
	Login       Event = "login"
	EmailChange Event = "email_change"
)

// Events gives all events.
func Events() []Event { return []Event{Validate, SignUp, Login, EmailChange} }

const (
	// Timeout is how long one attempt may take.
	Timeout = 5 * time.Second
	// Attempts is how often the webhook is asked.
	Attempts = 3
	// MaxAnswer is the size of the largest answer, in bytes.
	MaxAnswer = 200 << 10

	signature = "x-webhook-signature"
	issuer    = "gotrue"
)

// Config makes a [Webhook].
type Config struct {
	// URL is where it is: absolute, or a path on the host of Site.
	URL string
	// Site is where people land.
	Site string
	// Secret signs requests; "" leaves the signature out.
	Secret string
	// Events are what it is asked about.
	Events []Event
	// Attempts is how often it is asked that doesn't answer well. Default [Attempts].
	Attempts int
	// Timeout is how long each attempt may take. Default [Timeout].
	Timeout time.Duration
	// AllowPrivate lets the URL's host have an address that isn't public.
	AllowPrivate bool
	// Instance is the instance_id of requests and the subject of signatures.
	Instance uuid.UUID
	// Client posts; nil: one of our own.
	Client *http.Client

	// Now is the clock.
	Now func() time.Time
	// Logger gets what failed, without the client's or the webhook's data.
	Logger *slog.Logger
}

// Webhook is safe for concurrent use. Close it.
type Webhook struct {
	Config
	url    string
	poster *webhook.Poster
}

// New makes a Webhook.
func New(c Config) (*Webhook, error) {
	if c.Attempts == 0 {
		c.Attempts = Attempts
	}
	if c.Timeout == 0 {
		c.Timeout = Timeout
	}
	target, err := resolve(c.URL, c.Site)
	if err != nil {
		return nil, err
	}
	reach := outbound.Public
	if c.AllowPrivate {
		reach = outbound.Inside
	}
	switch {
	case c.Client == nil && !reach.Names(target.Hostname()):
		return nil, errors.New("the URL's host is no public address; allow private ones if that is meant")
	case c.Attempts < 1 || c.Attempts > 10:
		return nil, fmt.Errorf("%d attempts are not between 1 and 10", c.Attempts)
	case c.Timeout < 0:
		return nil, errors.New("the timeout is negative")
	case len(c.Events) == 0:
		return nil, fmt.Errorf("there is no event; give some of %s", list())
	}
	for _, e := range c.Events {
		if !slices.Contains(Events(), e) {
			return nil, fmt.Errorf("the event %q is none of %s", e, list())
		}
	}
	poster := webhook.New(webhook.Config{Client: c.Client, Reach: reach, Timeout: c.Timeout, MaxAnswer: MaxAnswer})
	return &Webhook{Config: c, url: target.String(), poster: poster}, nil
}

func list() string {
	var names []string
	for _, e := range Events() {
		names = append(names, string(e))
	}
	return strings.Join(names, ", ")
}

// resolve gives the absolute URL. A path gets scheme, host and user of the site.
func resolve(raw, site string) (*url.URL, error) {
	u, err := url.Parse(raw)
	if err != nil || raw == "" {
		return nil, errors.New("the URL can't be read") // which may hold a password
	}
	if u.Scheme == "" && u.Host == "" {
		s, err := url.Parse(site)
		if err != nil || s.Host == "" {
			return nil, errors.New("the URL is a path and there is no site URL whose host it could be on")
		}
		u.Scheme, u.Host, u.User = s.Scheme, s.Host, s.User
		u.Path = "/" + strings.TrimPrefix(u.Path, "/")
	}
	if u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" || u.Fragment != "" {
		return nil, errors.New("the URL is neither a web address nor a path")
	}
	return u, nil
}

// Close closes the connections that are kept open.
func (w *Webhook) Close() { w.poster.Close() }

// Asks reports whether it is asked about an event.
func (w *Webhook) Asks(e Event) bool { return slices.Contains(w.Events, e) }

// request is what is posted.
type request struct {
	Event    Event           `json:"event"`
	Instance uuid.UUID       `json:"instance_id"`
	User     json.RawMessage `json:"user"`
}

// Answer is what a webhook changes: each object takes the place of the user's whole
// metadata of that kind, nil leaves it.
type Answer struct {
	AppMetadata  store.Object `json:"app_metadata"`
	UserMetadata store.Object `json:"user_metadata"`
}

// Ask asks about an event. An error is one for the client.
func (w *Webhook) Ask(ctx context.Context, e Event, user json.RawMessage) (Answer, error) {
	body, err := json.Marshal(request{Event: e, Instance: w.Instance, User: user})
	if err != nil {
		return Answer{}, fmt.Errorf("seedhook: %s: what is sent is no JSON: %w", e, err)
	}
	answer, err := w.ask(ctx, body)
	var out Answer
	if err == nil {
		out, err = read(answer)
	}
	if err != nil {
		w.log(ctx, e, err)
	}
	return out, err
}

// refuse is an error for the client, which has a status and no code.
func refuse(status int, text string) *fault.Error {
	return &fault.Error{Code: fault.Unknown, Status: status, Message: text}
}

// ask posts, several times if need be.
func (w *Webhook) ask(ctx context.Context, body []byte) (webhook.Answer, error) {
	header, err := w.sign(body)
	if err != nil {
		return webhook.Answer{}, err
	}
	var last error
	for range w.Attempts {
		var connected atomic.Bool
		traced := httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { connected.Store(true) }})
		a, err := w.poster.Post(traced, webhook.Message{URL: w.url, Body: body, Header: header})
		switch {
		case err == nil && succeeded(a.Status):
			return a, nil
		case err == nil:
			last = refuse(http.StatusUnprocessableEntity, "Failed to handle signup webhook").WithCause(fmt.Errorf("seedhook: status %d", a.Status))
		case ctx.Err() != nil:
			return a, fmt.Errorf("seedhook: %w", ctx.Err()) // the client went away
		case isTimeout(err):
			last = refuse(http.StatusGatewayTimeout, "Failed to perform webhook in time frame").WithCause(err)
		case connected.Load():
			return a, refuse(http.StatusInternalServerError, "Failed to perform webhook").WithCause(err)
		default:
			return a, refuse(http.StatusBadGateway, "Failed to connect to webhook").WithCause(err)
		}
	}
	return webhook.Answer{}, last
}

func succeeded(status int) bool {
	return status == http.StatusOK || status == http.StatusAccepted || status == http.StatusNoContent
}

func isTimeout(err error) bool {
	var n net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &n) && n.Timeout()
}

// signed are the claims of a signature.
type signed struct {
	jwt.RegisteredClaims
	SHA256 string `json:"sha256"` // of the body, hex
}

func (w *Webhook) sign(body []byte) (http.Header, error) {
	if w.Secret == "" {
		return nil, nil
	}
	sum := sha256.Sum256(body)
	token := jwt.NewWithClaims(jwt.SigningMethodHS256, signed{
		RegisteredClaims: jwt.RegisteredClaims{IssuedAt: jwt.NewNumericDate(w.Now()), Issuer: issuer, Subject: w.Instance.String()},
		SHA256:           hex.EncodeToString(sum[:]),
	})
	text, err := token.SignedString([]byte(w.Secret))
	if err != nil {
		return nil, fmt.Errorf("seedhook: sign: %w", err)
	}
	return http.Header{signature: {text}}, nil
}

var (
	errJSON  = refuse(http.StatusInternalServerError, "Webhook returned malformed JSON")
	errLarge = refuse(http.StatusInternalServerError, "Webhook returned too much")
)

// read reads the body of an answer; none changes nothing.
func read(a webhook.Answer) (Answer, error) {
	if a.More {
		return Answer{}, errLarge
	}
	body := bytes.TrimSpace(a.Body)
	if len(body) == 0 {
		return Answer{}, nil
	}
	var out Answer
	if body[0] != '{' {
		return Answer{}, errJSON
	}
	if err := json.Unmarshal(body, &out); err != nil {
		return Answer{}, errJSON // the cause may quote it
	}
	return out, nil
}

func (w *Webhook) log(ctx context.Context, e Event, err error) {
	var f *fault.Error
	if !errors.As(err, &f) || w.Logger == nil {
		return
	}
	w.Logger.WarnContext(ctx, "auth: the webhook failed", "event", e, "status", f.Status, "message", f.Message, "error", f.Cause)
}
