package post_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/truekeel/auth/fault"
	"github.com/truekeel/auth/internal/caller"
	"github.com/truekeel/auth/internal/onetime"
	"github.com/truekeel/auth/internal/outbox"
	"github.com/truekeel/auth/internal/place"
	"github.com/truekeel/auth/internal/post"
	"github.com/truekeel/auth/internal/seal"
	"github.com/truekeel/auth/internal/testdb"
	"github.com/truekeel/auth/mail"
	"github.com/truekeel/auth/store"
)

// bench is an Office over a database whose mails end in a list.
type bench struct {
	*post.Office
	t     *testing.T
	store store.Store
	box   *outbox.Outbox
	user  store.User

	mu   sync.Mutex
	now  time.Time
	sent []mail.Event
	fail error
}

var site = place.Place{External: "https://app.example.com/auth", Site: "https://app.example.com"}

func open(t *testing.T, sync bool, change ...func(*post.Config)) *bench {
	t.Helper()
	b := &bench{t: t, store: testdb.SQLite(t), now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	now := func() time.Time { b.mu.Lock(); defer b.mu.Unlock(); return b.now }
	keys, err := seal.New([]byte(strings.Repeat("k", 32)))
	require.NoError(t, err)
	b.box, err = outbox.New(outbox.Config{
		Store: b.store, Sealer: keys, Sender: "test", Sync: sync, Now: now,
		Handlers: map[string]outbox.Handler{post.OutboxKind: func(_ context.Context, d outbox.Delivery) error {
			var e mail.Event
			if err := d.Decode(&e); err != nil {
				return err
			}
			b.mu.Lock()
			defer b.mu.Unlock()
			b.sent = append(b.sent, e)
			return b.fail
		}},
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, b.box.Close(context.Background())) })
	c := post.Config{
		Store: b.store, Outbox: b.box, Now: now, Logger: slog.New(slog.DiscardHandler), MAC: keys.MAC, Every: time.Minute, Default: site,
		Tokens: onetime.New(onetime.Config{
			Store: b.store, Now: now, MAC: keys.MAC, MACs: keys.MACs, CodeLength: 6, LinkLife: time.Hour, CodeLife: time.Hour, MaxGuesses: 5, MaxPerHour: 20,
		}),
	}
	for _, f := range change {
		f(&c)
	}
	b.Office = post.New(c)
	b.user = store.User{ID: uuid.New(), Audience: "a", Email: "ada@example.com", CreatedAt: b.now, UpdatedAt: b.now, UserMetadata: store.MakeObject(map[string]any{"name": "Ada"})}
	require.NoError(t, b.store.CreateUser(t.Context(), b.user))
	b.user, err = b.store.User(t.Context(), b.user.ID)
	require.NoError(t, err)
	return b
}

// write writes a letter and sees it off.
func (b *bench) write(ctx context.Context, l post.Letter) error {
	b.t.Helper()
	var sent post.Sent
	err := b.store.Tx(ctx, func(tx store.Store) (err error) {
		sent, _, err = b.Write(ctx, tx, l)
		return err
	})
	if err != nil {
		return err
	}
	return b.SeeOff(ctx, sent)
}

func (b *bench) letter(kind mail.Kind, p store.Purpose) post.Letter {
	return post.Letter{Kind: kind, User: &b.user, To: b.user.Email, Purpose: p}
}

// delivered flushes and gives the newest event.
func (b *bench) delivered() mail.Event {
	b.t.Helper()
	require.NoError(b.t, b.box.Flush(b.t.Context()))
	b.mu.Lock()
	defer b.mu.Unlock()
	require.NotEmpty(b.t, b.sent)
	return b.sent[len(b.sent)-1]
}

func TestEvent(t *testing.T) {
	b := open(t, false)
	l := b.letter(mail.Recovery, store.PurposeRecovery)
	l.RedirectTo = "https://app.example.com/cb?a=1&b=2#x"
	require.NoError(t, b.write(t.Context(), l))
	e := b.delivered()
	require.Equal(t, b.user.Email, e.To)
	require.Equal(t, b.user.ID, e.UserID)
	require.Equal(t, site.Site, e.SiteURL)
	require.JSONEq(t, `{"name":"Ada"}`, string(e.Data))
	require.Len(t, e.Token, 6)
	u, err := url.Parse(e.ConfirmationURL)
	require.NoError(t, err)
	require.Equal(t, url.Values{"token": {e.TokenHash}, "type": {"recovery"}, "redirect_to": {l.RedirectTo}}, u.Query())
	require.True(t, strings.HasPrefix(e.ConfirmationURL, site.External+"/verify?token="))

	// A code for typing has no link, a notification neither.
	require.NoError(t, b.write(t.Context(), b.letter(mail.Reauthentication, store.PurposeReauthentication)))
	e = b.delivered()
	require.Empty(t, e.ConfirmationURL)
	require.NotEmpty(t, e.Token)
	require.NoError(t, b.write(t.Context(), b.letter(mail.PasswordChanged, "")))
	e = b.delivered()
	require.Empty(t, e.ConfirmationURL+e.Token+e.TokenHash)
	require.Equal(t, site.Site, e.RedirectTo)
}

// What waits in the database is sealed, and gone once it was sent.
func TestNothingLiesInTheOpen(t *testing.T) {
	b := open(t, false)
	var id uuid.UUID
	var issued onetime.Issued
	require.NoError(t, b.store.Tx(t.Context(), func(tx store.Store) error {
		s, i, err := b.Write(t.Context(), tx, b.letter(mail.Recovery, store.PurposeRecovery))
		id, issued = s.ID, i
		return err
	}))
	row, err := b.store.OutboxItem(t.Context(), id)
	require.NoError(t, err)
	raw, err := json.Marshal(row)
	require.NoError(t, err)
	for _, secret := range []string{issued.Code, issued.Link, b.user.Email} {
		require.NotContains(t, string(row.Body), secret)
		require.NotContains(t, string(raw), secret)
	}
	b.delivered()
	row, err = b.store.OutboxItem(t.Context(), id)
	require.NoError(t, err)
	require.Empty(t, row.Body)
}

func TestLocale(t *testing.T) {
	b := open(t, false)
	ctx := caller.WithInfo(t.Context(), caller.Info{AcceptLanguage: "de-AT, en;q=0.5"})
	require.NoError(t, b.write(ctx, b.letter(mail.Recovery, store.PurposeRecovery)))
	require.Equal(t, "de-AT, en;q=0.5", b.delivered().Locale)
	b.user.UserMetadata.Set("locale", "fr")
	require.NoError(t, b.write(ctx, b.letter(mail.Recovery, store.PurposeRecovery)))
	require.Equal(t, "fr", b.delivered().Locale)
}

func TestLink(t *testing.T) {
	for path, want := range map[string]string{
		"":                               "https://app.example.com/auth/verify?token=t&type=recovery&redirect_to=r",
		"verify":                         "https://app.example.com/auth/verify?token=t&type=recovery&redirect_to=r",
		"/v1/verify":                     "https://app.example.com/auth/v1/verify?token=t&type=recovery&redirect_to=r",
		"https://other.example.com/a?b=": "https://other.example.com/a?b=&token=t&type=recovery&redirect_to=r",
		"app://reset":                    "app://reset?token=t&type=recovery&redirect_to=r",
	} {
		o := post.New(post.Config{Default: site, Paths: map[mail.Kind]string{mail.Recovery: path}})
		got, err := o.Link(t.Context(), post.Letter{Kind: mail.Recovery, RedirectTo: "r"}, "t")
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	// A request's own place goes before the default; without any there is no link.
	o := post.New(post.Config{Default: site})
	got, err := o.Link(place.With(t.Context(), place.Place{External: "http://localhost:1/auth", Site: "http://localhost:1"}), post.Letter{Kind: mail.Invite, Type: "signup"}, "t")
	require.NoError(t, err)
	require.Equal(t, "http://localhost:1/auth/verify?token=t&type=signup&redirect_to=http%3A%2F%2Flocalhost%3A1", got)
	_, err = post.New(post.Config{}).Link(t.Context(), post.Letter{Kind: mail.Recovery}, "t")
	require.ErrorContains(t, err, "WithSiteURL")
}

// Whatever the target is, the link has three parameters and is one line.
func FuzzLink(f *testing.F) {
	f.Add("https://app.example.com/cb?a=1&b=2#c")
	f.Add("x&token=evil&type=signup")
	f.Add("a\r\nBcc: b")
	f.Add("\x00\xff")
	o := post.New(post.Config{Default: site})
	f.Fuzz(func(t *testing.T, target string) {
		if target == "" {
			return
		}
		link, err := o.Link(t.Context(), post.Letter{Kind: mail.Recovery, RedirectTo: target}, "secret")
		require.NoError(t, err)
		u, err := url.Parse(link)
		require.NoError(t, err)
		require.Equal(t, url.Values{"token": {"secret"}, "type": {"recovery"}, "redirect_to": {target}}, u.Query())
		require.Equal(t, "app.example.com", u.Host)
		require.NotContains(t, link, "\n")
	})
}

func TestFrequency(t *testing.T) {
	b := open(t, false)
	soon := func(kind mail.Kind, to string) time.Duration {
		var wait time.Duration
		require.NoError(t, b.store.Tx(t.Context(), func(tx store.Store) (err error) {
			wait, err = b.TooSoon(t.Context(), tx, kind, to)
			return err
		}))
		return wait
	}
	require.NoError(t, b.Waiting(t.Context(), mail.Recovery, "a@example.com"))
	require.Zero(t, soon(mail.Recovery, "a@example.com"))
	require.Equal(t, time.Minute, soon(mail.Recovery, "a@example.com"))
	require.Equal(t, time.Minute, soon(mail.MagicLink, "a@example.com"), "they share one")
	require.Zero(t, soon(mail.Recovery, "b@example.com"))
	require.Zero(t, soon(mail.Confirmation, "a@example.com"))
	require.Equal(t, time.Minute, soon(mail.AccountExists, "a@example.com"), "a sign-up is a sign-up")
	require.Zero(t, soon(mail.Reauthentication, "a@example.com"))

	b.mu.Lock()
	b.now = b.now.Add(30*time.Second - time.Millisecond)
	b.mu.Unlock()
	var refusal *fault.Error
	require.ErrorAs(t, b.Waiting(t.Context(), mail.Recovery, "a@example.com"), &refusal)
	require.Equal(t, "For security purposes, you can only request this after 31 seconds.", refusal.Message)
	require.Equal(t, 30*time.Second+time.Millisecond, refusal.RetryAfter)

	off := open(t, false, func(c *post.Config) { c.Every = 0 })
	for range 2 {
		wait, err := off.TooSoon(t.Context(), off.store, mail.Recovery, "a@example.com")
		require.NoError(t, err)
		require.Zero(t, wait)
		require.NoError(t, off.Waiting(t.Context(), mail.Recovery, "a@example.com"))
	}
}

// Of many requests at once one is the first.
func TestFrequencyRaces(t *testing.T) {
	b := open(t, false)
	var wg sync.WaitGroup
	var mu sync.Mutex
	first := 0
	for range 20 {
		wg.Go(func() {
			var wait time.Duration
			err := b.store.Tx(t.Context(), func(tx store.Store) (err error) {
				wait, err = b.TooSoon(t.Context(), tx, mail.Recovery, "a@example.com")
				return err
			})
			mu.Lock()
			defer mu.Unlock()
			if err == nil && wait == 0 {
				first++
			}
		})
	}
	wg.Wait()
	require.Equal(t, 1, first)
}

func TestAuthorized(t *testing.T) {
	b := open(t, false, func(c *post.Config) { c.Authorized = []string{"Team@Example.com"} })
	for to, ok := range map[string]bool{
		"team@example.com": true, "team+x@example.com": true, "ada@example.com": false, "team@example.com.evil.example": false, "+team@example.com": false,
	} {
		err := b.store.Tx(t.Context(), func(tx store.Store) error { return b.Nothing(t.Context(), tx, to) })
		l := b.letter(mail.Recovery, store.PurposeRecovery)
		l.To = to
		written := b.write(t.Context(), l)
		if ok {
			require.NoError(t, err, to)
			require.NoError(t, written, to)
			continue
		}
		require.Equal(t, fault.EmailAddressNotAuthorized, fault.CodeOf(err), to)
		require.Equal(t, fault.EmailAddressNotAuthorized, fault.CodeOf(written), to)
	}
}

func TestNotice(t *testing.T) {
	b := open(t, false, func(c *post.Config) { c.Notify = map[mail.Kind]bool{mail.PasswordChanged: true} })
	notice := func(kind mail.Kind, to string) int {
		var sent []post.Sent
		require.NoError(t, b.store.Tx(t.Context(), func(tx store.Store) (err error) {
			sent, err = b.Notice(t.Context(), tx, post.Letter{Kind: kind, User: &b.user, To: to})
			return err
		}))
		return len(sent)
	}
	require.Equal(t, 1, notice(mail.PasswordChanged, "ada@example.com"))
	require.Zero(t, notice(mail.EmailChanged, "ada@example.com"), "it isn't switched on")
	require.Zero(t, notice(mail.PasswordChanged, ""), "nobody to tell")
}

// A letter that can't be sent while its sender waits is undone, whichever counter was
// counted for it.
func TestSeeOffUndoes(t *testing.T) {
	b := open(t, true)
	b.fail = errors.New("smtp: no")
	counted := map[mail.Kind]string{mail.MagicLink: b.user.Email, mail.EmailChange: b.user.ID.String()}
	for kind, key := range counted {
		_, err := b.TooSoon(t.Context(), b.store, kind, key)
		require.NoError(t, err)
	}
	b.user.ConfirmationSentAt, b.user.EmailChangeSentAt = b.now, b.now
	require.NoError(t, b.store.UpdateUser(t.Context(), &b.user))

	l := b.letter(mail.Confirmation, store.PurposeMagicLink)
	l.Counted = mail.MagicLink
	err := b.write(t.Context(), l)
	require.ErrorContains(t, err, "Error sending confirmation email")
	require.Equal(t, fault.UnexpectedFailure, fault.CodeOf(err))
	err = b.write(t.Context(), post.Letter{Kind: mail.EmailChange, User: &b.user, To: "new@example.com", Purpose: store.PurposeEmailChangeNew})
	require.ErrorContains(t, err, "Error sending email change email")
	for kind, key := range counted {
		require.NoError(t, b.Waiting(t.Context(), kind, key), kind)
	}
	u, err := b.store.User(t.Context(), b.user.ID)
	require.NoError(t, err)
	require.True(t, u.ConfirmationSentAt.IsZero())
	require.True(t, u.EmailChangeSentAt.IsZero())
	require.ErrorContains(t, b.write(t.Context(), b.letter(mail.AccountExists, "")), "Error sending confirmation email")
	require.NoError(t, b.SeeOff(t.Context()), "nothing to see off")
}

func TestSentAt(t *testing.T) {
	u := &store.User{}
	for kind, want := range map[mail.Kind]*time.Time{
		mail.Confirmation: &u.ConfirmationSentAt, mail.Invite: &u.ConfirmationSentAt, mail.Recovery: &u.RecoverySentAt, mail.MagicLink: &u.RecoverySentAt,
		mail.EmailChange: &u.EmailChangeSentAt, mail.Reauthentication: &u.ReauthenticationSent, mail.AccountExists: nil, mail.PasswordChanged: nil,
	} {
		require.Same(t, want, post.SentAt(u, kind))
	}
}
