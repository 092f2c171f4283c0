package events

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/truekeel/auth/internal/outbox"
	"github.com/truekeel/auth/internal/webhook"
	"github.com/truekeel/auth/store"
	"github.com/truekeel/auth/store/sqlite"
	"github.com/truekeel/auth/store/storetest"
)

var now = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)

func at(minutes int) time.Time { return now.Add(time.Duration(minutes) * time.Minute) }

// watch gives a Log that tells everything to nobody who answers, and the store that it
// watches.
func watch(t *testing.T, types ...Type) (*Log, store.Store) {
	t.Helper()
	st, err := sqlite.OpenTemp()
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, st.Close()) })
	strict := storetest.Strict(st)
	l, err := New(Config{Store: strict, Sealer: open{}, Now: func() time.Time { return now }, Logger: slog.New(slog.DiscardHandler), Endpoints: []Endpoint{{Name: "one", Types: types, Poster: nobody{}}}})
	require.NoError(t, err)
	return l, l.Watch(strict)
}

// nobody answers.
type nobody struct{}

func (nobody) Post(context.Context, webhook.Message) (webhook.Answer, error) {
	return webhook.Answer{}, errors.New("nobody is there")
}

func (nobody) Close() {}

// told gives the types of all events, oldest first.
func told(t *testing.T, l *Log) (out []string) {
	t.Helper()
	rows, err := l.Store.ListEventDeliveries(t.Context(), store.EventQuery{})
	require.NoError(t, err)
	for n := len(rows) - 1; n >= 0; n-- {
		out = append(out, rows[n].Type)
	}
	return out
}

func newUser() store.User {
	return store.User{ID: uuid.New(), Audience: "a", Role: "r", Email: uuid.NewString() + "@example.com", CreatedAt: now, UpdatedAt: now}
}

func newIdentity(u store.User, provider string) store.Identity {
	return store.Identity{ID: uuid.New(), UserID: u.ID, Provider: provider, Issuer: provider, Subject: uuid.NewString(), CreatedAt: now}
}

func newSession(u store.User) store.Session {
	return store.Session{ID: uuid.New(), UserID: u.ID, Kind: "gotrue", AAL: "aal1", AMR: []store.AMR{{Method: "password", At: now}}, RefreshSeq: 1, CreatedAt: now}
}

// Each change of an account is told by its name, and nothing else is.
func TestFacts(t *testing.T) {
	google := store.Identity{ID: uuid.New(), Provider: "google"}
	for _, c := range []struct {
		name   string
		change func(c *change)
		want   string
	}{
		{"nothing", func(*change) {}, ""},
		{"sign-in", func(c *change) { c.after.LastSignInAt, c.started = now, []store.Session{{ID: uuid.New()}} }, "user.signed_in"},
		{"mails", func(c *change) {
			c.after.RecoverySentAt, c.after.NewEmail, c.after.UpdatedAt = now, "x@example.com", now
		}, ""},
		{"role", func(c *change) { c.after.Role = "admin" }, "user.updated[role]"},
		{"confirmed", func(c *change) { c.after.EmailConfirmedAt = now }, "user.confirmed user.updated[email_confirmed_at]"},
		{"a second address", func(c *change) {
			c.before.PhoneConfirmedAt, c.after.PhoneConfirmedAt, c.after.EmailConfirmedAt = now, now, now
		}, "user.updated[email_confirmed_at]"},
		{"email", func(c *change) { c.after.Email = "b@example.com" }, "user.email_changed user.updated[email]"},
		{"phone", func(c *change) { c.after.Phone = "491" }, "user.phone_changed user.updated[phone]"},
		{"password", func(c *change) { c.after.PasswordHash = "x" }, "user.password_changed"},
		{"password taken away", func(c *change) { c.before.PasswordHash = "x" }, "user.password_changed"},
		{"rehash", func(c *change) { c.after.PasswordHash, c.samePassword = "x", true }, ""},
		{"ban", func(c *change) { c.after.BannedUntil = at(1) }, "user.banned user.updated[banned_until]"},
		{"longer ban", func(c *change) { c.before.BannedUntil, c.after.BannedUntil = at(1), at(2) }, "user.banned user.updated[banned_until]"},
		{"unban", func(c *change) { c.before.BannedUntil = at(1) }, "user.unbanned user.updated[banned_until]"},
		{"an old ban", func(c *change) { c.before.BannedUntil, c.after.BannedUntil = at(-2), at(-1) }, "user.updated[banned_until]"},
		{"metadata", func(c *change) { c.after.UserMetadata = store.MakeObject(map[string]any{"a": 1}) }, "user.updated[user_metadata]"},
		{"metadata that means the same", func(c *change) {
			c.before.AppMetadata = store.Object{"a": json.RawMessage(`{"x":1.0,"y":[1, 2]}`)}
			c.after.AppMetadata = store.Object{"a": json.RawMessage(`{ "y":[1,2],"x":1.0}`)}
		}, ""},
		{"metadata of other digits", func(c *change) {
			c.before.AppMetadata = store.Object{"a": json.RawMessage(`12345678901234567890`)}
			c.after.AppMetadata = store.Object{"a": json.RawMessage(`12345678901234567891`)}
		}, "user.updated[app_metadata]"},
		{"identity", func(c *change) { c.linked = []store.Identity{google} }, "identity.linked user.updated[identities]"},
		{"identity gone", func(c *change) { c.unlinked = []store.Identity{google} }, "identity.unlinked user.updated[identities]"},
		{"identity for a moment", func(c *change) { c.linked, c.unlinked = []store.Identity{google}, []store.Identity{google} }, ""},
		{"identity says something else", func(c *change) { c.renewed = true }, "user.updated[identities]"},
		{"invited", func(c *change) { c.after.InvitedAt = now }, "user.invited user.updated[invited_at]"},
		{"session for a moment", func(c *change) { c.started = []store.Session{{ID: google.ID}}; c.ended = []uuid.UUID{google.ID} }, "user.signed_out"},
		{"soft deletion", func(c *change) { c.after.DeletedAt, c.after.Email, c.ended = now, "", []uuid.UUID{uuid.New()} }, "user.deleted"},
		{"of one who is gone", func(c *change) { c.before.DeletedAt, c.after.DeletedAt, c.after.Role = now, now, "x" }, ""},
		{"deletion", func(c *change) { c.deleted, c.after.Role = true, "x" }, "user.deleted"},
		{"creation", func(c *change) { c.created, c.before, c.linked = true, store.User{}, []store.Identity{google} }, "user.created"},
		{"creation, confirmed and banned", func(c *change) {
			c.created, c.before = true, store.User{}
			c.after.EmailConfirmedAt, c.after.BannedUntil, c.after.PasswordHash = now, at(1), "x"
		}, "user.created user.confirmed user.banned"},
		{"creation of nobody", func(c *change) { c.created, c.deleted = true, true }, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			u := newUser()
			ch := &change{written: true, before: u, after: u}
			c.change(ch)
			var got []string
			for _, f := range ch.facts(now) {
				text := string(f.what)
				if f.what == UserUpdated {
					text += fmt.Sprint(ch.changed())
				}
				got = append(got, text)
			}
			require.Equal(t, c.want, strings.Join(got, " "))
		})
	}
}

// What a transaction does is told when it is committed; what is undone isn't, also by a
// savepoint alone.
func TestWatch(t *testing.T) {
	l, st := watch(t)
	ctx := t.Context()
	u := newUser()
	lost := errors.New("lost")
	require.ErrorIs(t, st.Tx(ctx, func(tx store.Store) error {
		require.NoError(t, tx.CreateUser(ctx, u))
		return lost
	}), lost)
	require.Empty(t, told(t, l))

	runs := 0
	require.NoError(t, st.Tx(ctx, func(tx store.Store) error {
		runs++
		require.NoError(t, tx.CreateUser(ctx, u))
		require.NoError(t, tx.CreateIdentity(ctx, newIdentity(u, "email")))
		require.ErrorIs(t, tx.Tx(ctx, func(sp store.Store) error {
			require.NoError(t, sp.CreateSession(ctx, newSession(u)))
			return lost
		}), lost)
		if runs == 1 {
			return store.ErrStale // it runs again
		}
		return tx.Tx(ctx, func(sp store.Store) error {
			again, err := sp.User(ctx, u.ID)
			require.NoError(t, err)
			again.EmailConfirmedAt = now
			return sp.UpdateUser(ctx, &again)
		})
	}))
	require.Equal(t, []string{"user.created", "user.confirmed"}, told(t, l))
}

// Writes outside of transactions are told as well.
func TestWatchWithoutATransaction(t *testing.T) {
	l, st := watch(t)
	ctx := t.Context()
	u := newUser()
	one, two, three := newSession(u), newSession(u), newSession(u)
	require.NoError(t, st.CreateUser(ctx, u))
	u.Version = 1
	i := newIdentity(u, "google")
	require.NoError(t, st.CreateIdentity(ctx, i))
	i.Data = store.MakeObject(map[string]any{"a": 1})
	require.NoError(t, st.UpdateIdentity(ctx, i))
	for _, s := range []store.Session{one, two, three} {
		require.NoError(t, st.CreateSession(ctx, s))
	}
	ended, err := st.DeleteSession(ctx, one.ID)
	require.NoError(t, err)
	require.True(t, ended)
	ended, err = st.DeleteSession(ctx, one.ID)
	require.NoError(t, err)
	require.False(t, ended)
	n, err := st.DeleteSessionsOf(ctx, u.ID, two.ID)
	require.NoError(t, err)
	require.Equal(t, int64(1), n)
	u.Email = "another@example.com"
	require.NoError(t, st.UpdateUser(ctx, &u))
	require.Equal(t, int64(2), u.Version)
	stale := u
	stale.Version = 1
	require.ErrorIs(t, st.UpdateUser(ctx, &stale), store.ErrStale)
	require.NoError(t, st.DeleteUser(ctx, u.ID))
	require.ErrorIs(t, st.DeleteUser(ctx, u.ID), store.ErrNotFound)
	require.Equal(t, []string{
		"user.created", "identity.linked", "user.updated", "user.updated", "user.signed_in", "user.signed_in", "user.signed_in",
		"user.signed_out", "user.signed_out", "user.email_changed", "user.updated", "user.deleted",
	}, told(t, l))
}

// What nobody wants to know isn't written.
func TestOnlyWhatIsWanted(t *testing.T) {
	l, st := watch(t, UserDeleted)
	u := newUser()
	require.NoError(t, st.CreateUser(t.Context(), u))
	require.NoError(t, st.CreateSession(t.Context(), newSession(u)))
	require.Empty(t, told(t, l))
	require.NoError(t, st.DeleteUser(t.Context(), u.ID))
	require.Equal(t, []string{"user.deleted"}, told(t, l))
}

// No secret of the store's nouns is in an event.
func TestNoSecretIsTold(t *testing.T) {
	u := newUser()
	u.PasswordHash, u.NewEmail = "secret-hash", "secret-address"
	s := newSession(u)
	s.RefreshKey = []byte("secret-key")
	c := &change{created: true, written: true, after: u, started: []store.Session{s}, ended: []uuid.UUID{uuid.New()}}
	for _, f := range c.facts(now) {
		body, err := c.render(f, now, u, []store.Identity{newIdentity(u, "email")})
		require.NoError(t, err)
		require.NotContains(t, string(body), "secret")
		require.True(t, json.Valid(body))
	}
}

func TestRetryAfter(t *testing.T) {
	for value, want := range map[string]time.Duration{
		"": 0, "0": 0, "7": 7 * time.Second, "-7": 0, "1.5": 0, "3600": time.Hour, "999999999": time.Hour, "99999999999999999999": 0, "soon": 0,
		"Wed, 04 Mar 2026 05:07:07 GMT": time.Minute, "Wed, 04 Mar 2026 05:05:07 GMT": 0, "Thu, 04 Mar 2027 05:07:07 GMT": time.Hour,
	} {
		require.Equal(t, want, retryAfter(value, now), value)
	}
}

// Whatever a server answers, the wait is within its bounds.
func FuzzRetryAfter(f *testing.F) {
	for _, s := range []string{"", "7", "-1", "99999999999", "Wed, 04 Mar 2026 05:07:07 GMT", "Mon, 01 Jan 0001 00:00:00 GMT"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, value string) {
		if d := retryAfter(value, now); d < 0 || d > maxRetryAfter {
			t.Fatalf("%q: %s", value, d)
		}
	})
}

// An item of the outbox that isn't ours, or was spoilt, is given up and harms nobody.
func TestASpoiltItem(t *testing.T) {
	l, st := watch(t)
	e := l.endpoints[0]
	require.NoError(t, st.Tx(t.Context(), func(tx store.Store) error {
		_, err := e.outbox.Put(t.Context(), tx, outbox.Item{Kind: kind, Key: "k", Payload: "nonsense"})
		if err == nil {
			err = e.put(t.Context(), tx, uuid.New(), ref{ID: uuid.New(), Type: UserCreated}) // it was purged
		}
		return err
	}))
	require.Error(t, l.Flush(t.Context()))
	debts, err := st.OwedBySender(t.Context())
	require.NoError(t, err)
	require.Empty(t, debts)
	require.NoError(t, l.Close(t.Context()))
}
