// Package post is where every mail of a flow is written: it makes the code and the
// link, puts the mail into the outbox within the flow's transaction, and sees it off
// after the commit.
package post

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"log/slog"
	"net/url"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/truekeel/auth/fault"
	"github.com/truekeel/auth/internal/caller"
	"github.com/truekeel/auth/internal/onetime"
	"github.com/truekeel/auth/internal/outbox"
	"github.com/truekeel/auth/internal/place"
	"github.com/truekeel/auth/mail"
	"github.com/truekeel/auth/store"
)

// OutboxKind is the outbox's name for mails.
const OutboxKind = "mail"

// Config is what Office needs.
type Config struct {
	Store  store.Store
	Outbox *outbox.Outbox
	Tokens *onetime.Tokens
	Now    func() time.Time
	Logger *slog.Logger
	MAC    func(purpose string, data ...[]byte) []byte

	// Every is how long an address waits between two mails of one kind.
	Every time.Duration
	// Paths are where links of a kind lead, by kind; the default is "verify" below the
	// external URL. An absolute URL replaces all.
	Paths map[mail.Kind]string
	// Authorized, if not empty, are the only addresses that mail goes to; a label
	// behind a plus sign doesn't count.
	Authorized []string
	// Notify are the notifications that are switched on.
	Notify map[mail.Kind]bool
	// Default is the place for mails that no request asks for.
	Default place.Place
}

// Office writes mails. It is safe for concurrent use.
type Office struct{ Config }

// New makes an Office.
func New(c Config) *Office { return &Office{c} }

// Letter is a mail to be written.
type Letter struct {
	Kind    mail.Kind
	User    *store.User
	To      string        // the address; also what the code is bound to
	Purpose store.Purpose // of the code and link; "" for a mail without
	// Type is the link's type parameter; "" is the kind's own.
	Type string
	// Flow is the PKCE flow that the link leads back to, or uuid.Nil.
	Flow       uuid.UUID
	RedirectTo string
	OldEmail   string
	OldPhone   string
	Provider   string // that was linked or unlinked
	// Current is a second proof that the letter brings along: that of the present address,
	// in a change of address; nil if it brings its own alone.
	Current *onetime.Issued
	// Counted is the kind under which the frequency of the request was counted; "" is
	// the letter's own.
	Counted mail.Kind
}

// Written is a letter as it waits in the outbox.
type Written struct {
	mail.Event
	// External is where this server is reached.
	External string `json:"external,omitempty"`
	// Current is the second proof, see [Letter].
	Current *Proof `json:"current,omitempty"`
}

// Proof is a code and the token of a link.
type Proof struct {
	Code string `json:"code"`
	Link string `json:"link"`
}

// Sent is a letter that is in the outbox.
type Sent struct {
	ID       uuid.UUID
	kind     mail.Kind
	userID   uuid.UUID
	counters []string // what was counted for it
}

// Write makes the letter's code and link and puts the mail into the outbox, within tx.
func (o *Office) Write(ctx context.Context, tx store.Store, l Letter) (Sent, onetime.Issued, error) {
	if err := o.authorized(l.To); err != nil {
		return Sent{}, onetime.Issued{}, err
	}
	var issued onetime.Issued
	if l.Purpose != "" {
		var err error
		if issued, err = o.Tokens.Issue(ctx, tx, l.User.ID, l.Purpose, l.To, l.Flow); err != nil {
			return Sent{}, issued, err
		}
	}
	event, err := o.event(ctx, l, issued)
	if err != nil {
		return Sent{}, issued, err
	}
	info, _ := l.Kind.Info()
	written := Written{Event: event, External: o.place(ctx).External}
	if l.Current != nil {
		written.Current = &Proof{Code: l.Current.Code, Link: l.Current.Link}
	}
	id, err := o.Outbox.Put(ctx, tx, outbox.Item{Kind: OutboxKind, Payload: written, Background: info.Notification})
	return Sent{ID: id, kind: l.Kind, userID: l.User.ID, counters: o.counters(l)}, issued, err
}

// counters are the frequency counters that a letter's request may have counted.
func (o *Office) counters(l Letter) []string {
	kind := l.Counted
	if kind == "" {
		kind = l.Kind
	}
	var out []string
	for _, counted := range []string{l.To, l.User.Email, l.User.ID.String()} {
		out = append(out, o.counter(kind, counted))
	}
	return out
}

// Nothing costs what a flow's Write costs, with the audit entry and the user's row that
// go with it, and sends nothing: for addresses that get no mail.
func (o *Office) Nothing(ctx context.Context, tx store.Store, to string) error {
	if err := o.authorized(to); err != nil {
		return err
	}
	// A counter that nobody reads is written in place of the code and the link, and
	// dropped in place of the rest.
	now, filler := o.Now(), "none:"+rand.Text()
	if _, _, err := tx.Count(ctx, filler, now, now.Add(o.Tokens.CodeLife)); err != nil {
		return err
	}
	for range 2 {
		if err := tx.DropCounter(ctx, filler); err != nil {
			return err
		}
	}
	return o.Outbox.PutNone(ctx, tx)
}

// Notice writes a notification to the user if it is switched on.
func (o *Office) Notice(ctx context.Context, tx store.Store, l Letter) ([]Sent, error) {
	if !o.Notify[l.Kind] || l.To == "" {
		return nil, nil
	}
	s, _, err := o.Write(ctx, tx, l)
	if fault.CodeOf(err) == fault.EmailAddressNotAuthorized {
		return nil, nil
	}
	return []Sent{s}, err
}

func (o *Office) event(ctx context.Context, l Letter, issued onetime.Issued) (mail.Event, error) {
	where := o.place(ctx)
	e := mail.Event{
		Kind: l.Kind, To: l.To, Locale: localeOf(ctx, l.User), SiteURL: where.Site, RedirectTo: l.RedirectTo,
		Token: issued.Code, TokenHash: issued.Link, UserID: l.User.ID,
		Email: l.User.Email, NewEmail: l.User.NewEmail, OldEmail: l.OldEmail, Phone: l.User.Phone, OldPhone: l.OldPhone, Provider: l.Provider, Time: o.Now(),
	}
	if e.RedirectTo == "" {
		e.RedirectTo = where.Site
	}
	var err error
	if e.Data, err = json.Marshal(l.User.UserMetadata); err != nil {
		return e, err
	}
	if issued.Link != "" && l.Kind != mail.Reauthentication {
		e.ConfirmationURL, err = o.link(where, l, issued.Link, e.RedirectTo)
	}
	return e, err
}

// Link gives the URL that a letter's link has.
func (o *Office) Link(ctx context.Context, l Letter, token string) (string, error) {
	where := o.place(ctx)
	if l.RedirectTo == "" {
		l.RedirectTo = where.Site
	}
	return o.link(where, l, token, l.RedirectTo)
}

func (o *Office) link(where place.Place, l Letter, token, redirectTo string) (string, error) {
	if !where.Known() {
		return "", errors.New("post: no link can be made outside of a request without WithSiteURL or WithExternalURL")
	}
	kind := l.Type
	if kind == "" {
		info, _ := l.Kind.Info()
		kind = info.LinkType
	}
	base := where.External + "/verify"
	if path := o.Paths[l.Kind]; strings.Contains(path, "://") {
		base = path
	} else if path != "" {
		base = where.External + "/" + strings.TrimPrefix(path, "/")
	}
	u, err := url.Parse(base)
	if err != nil {
		return "", err
	}
	// The order of the parameters is part of what templates and clients know.
	query := "token=" + url.QueryEscape(token) + "&type=" + url.QueryEscape(kind) + "&redirect_to=" + url.QueryEscape(redirectTo)
	if u.RawQuery != "" {
		query = u.RawQuery + "&" + query
	}
	u.RawQuery = query
	return u.String(), nil
}

func (o *Office) place(ctx context.Context) place.Place {
	if p := place.From(ctx); p.Known() {
		return p
	}
	return o.Default
}

// localeOf is the language that a user reads: his metadata's, else his browser's.
func localeOf(ctx context.Context, u *store.User) string {
	if l := u.UserMetadata.String("locale"); l != "" {
		return l
	}
	return caller.From(ctx).AcceptLanguage
}

// authorized refuses addresses outside of the configured list.
func (o *Office) authorized(to string) error {
	if len(o.Authorized) == 0 {
		return nil
	}
	for _, a := range o.Authorized {
		if strings.EqualFold(withoutLabel(a), withoutLabel(to)) {
			return nil
		}
	}
	return fault.New(fault.EmailAddressNotAuthorized, "Email address %q cannot be used as it is not authorized", to)
}

func withoutLabel(address string) string {
	local, domain, _ := strings.Cut(address, "@")
	local, _, _ = strings.Cut(local, "+")
	return local + "@" + domain
}

// TooSoon counts a request for a mail of a kind to an address, whether or not the
// address has an account, and gives how long to wait; zero if the mail may go.
func (o *Office) TooSoon(ctx context.Context, tx store.Counters, kind mail.Kind, to string) (time.Duration, error) {
	if o.Every <= 0 {
		return 0, nil
	}
	now, counter := o.Now(), o.counter(kind, to)
	n, until, err := tx.Count(ctx, counter, now, now.Add(o.Every))
	if err != nil || n <= 1 {
		return 0, err
	}
	if !o.stray(until, now) {
		return until.Sub(now), nil
	}
	if err := tx.DropCounter(ctx, counter); err != nil {
		return 0, err
	}
	_, _, err = tx.Count(ctx, counter, now, now.Add(o.Every))
	return 0, err
}

// stray reports whether a counter ends so late that the clock must have been set back
// since: nobody waits for that. Clocks of several servers may differ a little.
func (o *Office) stray(until, now time.Time) bool { return until.Sub(now) > 2*o.Every }

// Waiting is TooSoon without counting, outside of a transaction: whoever comes too soon
// takes nothing from the server's quota.
func (o *Office) Waiting(ctx context.Context, kind mail.Kind, to string) error {
	if o.Every <= 0 {
		return nil
	}
	now := o.Now()
	n, until, err := o.Store.Counted(ctx, o.counter(kind, to), now)
	if err != nil || n == 0 || o.stray(until, now) {
		return err
	}
	return Wait(until.Sub(now))
}

// counter names the frequency counter of an address without showing the address.
// Magic link and recovery share one, as they share a time stamp on the account; so do
// the two mails that a sign-up may bring.
func (o *Office) counter(kind mail.Kind, to string) string {
	switch kind {
	case mail.MagicLink:
		kind = mail.Recovery
	case mail.AccountExists:
		kind = mail.Confirmation
	}
	return "mail:" + hex.EncodeToString(o.MAC("mail frequency", []byte(kind), []byte(to))[:16])
}

// Wait is the answer to a request that comes too soon.
func Wait(d time.Duration) error {
	seconds := int64((d + time.Second - 1) / time.Second)
	f := fault.New(fault.OverEmailSendRateLimit, "For security purposes, you can only request this after %d seconds.", seconds)
	f.RetryAfter = d
	return f
}

// SeeOff is called after the commit. By default it wakes the outbox and returns nil.
// With synchronous delivery it sends the letters now; a letter that can't be sent is
// undone (it may be asked for again at once) and makes the answer.
func (o *Office) SeeOff(ctx context.Context, letters ...Sent) error {
	ids := make([]uuid.UUID, 0, len(letters))
	for _, l := range letters {
		if l.ID != uuid.Nil {
			ids = append(ids, l.ID)
		}
	}
	err := o.Outbox.Settle(ctx, ids...)
	if err == nil || len(letters) == 0 {
		return nil
	}
	if undo := o.undo(context.WithoutCancel(ctx), letters); undo != nil {
		o.Logger.ErrorContext(ctx, "auth: a mail that could not be sent could not be undone", "error", undo)
	}
	var refusal *fault.Error
	if errors.As(err, &refusal) {
		return refusal // of the host that sends
	}
	f := fault.New(fault.UnexpectedFailure, "Error sending %s", name(letters[0].kind))
	return f.WithCause(err)
}

// undo clears what says that the letters were sent.
func (o *Office) undo(ctx context.Context, letters []Sent) error {
	return o.Store.Tx(ctx, func(tx store.Store) error {
		for _, l := range letters {
			for _, counter := range l.counters {
				if err := tx.DropCounter(ctx, counter); err != nil {
					return err
				}
			}
			u, err := tx.User(ctx, l.userID)
			if errors.Is(err, store.ErrNotFound) {
				continue
			}
			if err != nil {
				return err
			}
			if at := SentAt(&u, l.kind); at != nil {
				*at = time.Time{}
				if err := tx.UpdateUser(ctx, &u); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// SentAt is where a user's row notes when a kind was sent; nil if it doesn't.
func SentAt(u *store.User, kind mail.Kind) *time.Time {
	switch kind {
	case mail.Confirmation, mail.Invite:
		return &u.ConfirmationSentAt
	case mail.Recovery, mail.MagicLink:
		return &u.RecoverySentAt
	case mail.EmailChange:
		return &u.EmailChangeSentAt
	case mail.Reauthentication:
		return &u.ReauthenticationSent
	}
	return nil
}

// name is what a failure to send a kind is called. A sign-up for an address that has an
// account fails as any other.
func name(kind mail.Kind) string {
	switch kind {
	case mail.AccountExists:
		return name(mail.Confirmation)
	case mail.MagicLink:
		return "magic link email"
	case mail.EmailChange:
		return "email change email"
	}
	return string(kind) + " email"
}
