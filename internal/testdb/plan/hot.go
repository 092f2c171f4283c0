package plan

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/truekeel/auth/store"
)

// Call is one of the calls that happen all the time.
type Call struct {
	Name string
	Run  func(ctx context.Context) error
}

const (
	rows     = 3000
	audience = "authenticated"
	sender   = "sender-1"
)

var start = time.Date(2026, time.March, 4, 5, 6, 7, 0, time.UTC)

// Fill stores enough that a database prefers an index to reading it all, and gives the
// calls to look at. They succeed in the order given.
func Fill(t testing.TB, st store.Store) []Call {
	t.Helper()
	var one sample
	for n := 0; n < rows; n += 500 {
		err := st.Tx(t.Context(), func(tx store.Store) error {
			for i := n; i < n+500; i++ {
				s := newSample(i)
				if err := s.add(t.Context(), tx, i); err != nil {
					return err
				}
				if i == rows/2 {
					one = s
				}
			}
			return nil
		})
		if err != nil {
			t.Fatalf("plan: %v", err)
		}
	}
	return one.calls(st)
}

// log writes several audit entries: of a short log a planner may well sort all of it.
func (s sample) log(ctx context.Context, tx store.AuditLog) error {
	for range 6 {
		e := s.entry
		e.ID = uuid.New()
		if err := tx.AddAuditEntry(ctx, e); err != nil {
			return err
		}
	}
	return nil
}

// sample is one of each thing.
type sample struct {
	user     store.User
	identity store.Identity
	session  store.Session
	refresh  store.RefreshToken
	onetime  store.OneTimeToken
	flow     store.FlowState
	item     store.OutboxItem
	entry    store.AuditEntry
	event    store.EventDelivery
}

func newSample(i int) sample {
	at := start.Add(time.Duration(i) * time.Minute)
	id := uuid.New()
	text := func(what string) string { return fmt.Sprintf("%s-%d-%s", what, i, uuid.NewString()) }
	return sample{
		user: store.User{
			ID: id, Audience: audience, Role: audience, Email: text("ann") + "@example.com", Phone: text("49"),
			UserMetadata: store.MakeObject(map[string]any{"full_name": "Ann"}), CreatedAt: at, UpdatedAt: at, Version: 1,
		},
		identity: store.Identity{
			ID: uuid.New(), UserID: id, Provider: "google", Issuer: "https://accounts.example.com", Subject: text("sub"),
			Email: text("ann") + "@example.com", CreatedAt: at,
		},
		session: store.Session{
			ID: uuid.New(), UserID: id, Kind: "gotrue", AAL: "aal1", RefreshSeq: 1, NotAfter: at.Add(time.Hour), CreatedAt: at,
		},
		onetime: store.OneTimeToken{
			ID: uuid.New(), UserID: id, Purpose: store.PurposeRecovery, Recipient: text("ann") + "@example.com",
			LinkHash: text("link"), CodeMAC: text("code"), ExpiresAt: at.Add(time.Hour), CreatedAt: at,
		},
		flow: store.FlowState{
			ID: uuid.New(), UserID: id, Method: "oauth", Provider: "google", StateHash: text("state"), CodeHash: text("code"),
			CreatedAt: at, ExpiresAt: at.Add(time.Hour),
		},
		item: store.OutboxItem{
			ID: uuid.New(), Kind: "mail", Sender: sender, Key: text("key"), MessageID: text("message"), NextAt: at,
			CreatedAt: at, DoneAt: at,
		},
		event: store.EventDelivery{
			ID: uuid.Must(uuid.NewV7()), Endpoint: "one", Type: "user.created", UserID: id, Body: make([]byte, 500),
			State: store.EventDelivered, Attempts: 1, CreatedAt: at, DoneAt: at,
		},
		entry: store.AuditEntry{ID: uuid.New(), Action: "login", LogType: "account", ActorID: id, CreatedAt: at},
	}
}

func (s *sample) add(ctx context.Context, tx store.Store, i int) error {
	s.refresh = store.RefreshToken{
		Hash: s.onetime.LinkHash, SessionID: s.session.ID, UserID: s.user.ID, Seq: 1, CreatedAt: s.user.CreatedAt,
	}
	if i%50 == 0 { // most mail has been sent
		s.item.DoneAt, s.event.DoneAt, s.event.State = time.Time{}, time.Time{}, store.EventPending
	}
	_, _, counted := tx.Count(ctx, s.user.Email, start, s.user.CreatedAt.Add(time.Hour))
	return errors.Join(
		tx.CreateUser(ctx, s.user), tx.CreateIdentity(ctx, s.identity), tx.CreateSession(ctx, s.session),
		tx.CreateRefreshToken(ctx, s.refresh), tx.PutOneTimeToken(ctx, s.onetime), tx.CreateFlowState(ctx, s.flow),
		tx.AddOutboxItem(ctx, s.item), tx.AddEventDelivery(ctx, s.event), s.log(ctx, tx), counted,
		tx.PutSetting(ctx, s.user.Email, []byte("value")),
	)
}

// calls are what sign-ins, refreshes, requests, deliveries and the admin's lists do.
func (s *sample) calls(st store.Store) []Call {
	now := s.user.CreatedAt.Add(-30 * time.Minute)
	key := store.UserKey{CreatedAt: s.user.CreatedAt, ID: s.user.ID}
	return append([]Call{
		{"user by id", func(ctx context.Context) error { return second(st.User(ctx, s.user.ID)) }},
		{"user by email", func(ctx context.Context) error { return second(st.UserByEmail(ctx, audience, s.user.Email)) }},
		{"user by phone", func(ctx context.Context) error { return second(st.UserByPhone(ctx, audience, s.user.Phone)) }},
		{"update user", func(ctx context.Context) error { u := s.user; return st.UpdateUser(ctx, &u) }},
		{"identity by subject", func(ctx context.Context) error {
			return second(st.IdentityBySubject(ctx, s.identity.Issuer, s.identity.Subject))
		}},
		{"identities of user", func(ctx context.Context) error { return second(st.IdentitiesOf(ctx, s.user.ID)) }},
		{"identities by email", func(ctx context.Context) error { return second(st.IdentitiesByEmail(ctx, s.identity.Email)) }},
		{"update identity", func(ctx context.Context) error { return st.UpdateIdentity(ctx, s.identity) }},
		{"session by id", func(ctx context.Context) error { return second(st.Session(ctx, s.session.ID)) }},
		{"sessions of user", func(ctx context.Context) error { return second(st.SessionsOf(ctx, s.user.ID)) }},
		{"update session", func(ctx context.Context) error { return second(st.UpdateSession(ctx, s.session, 1)) }},
		{"refresh token by hash", func(ctx context.Context) error { return second(st.RefreshToken(ctx, s.refresh.Hash)) }},
		{"one-time token by link", func(ctx context.Context) error { return second(st.OneTimeTokenByLink(ctx, s.onetime.LinkHash)) }},
		{"one-time token of user", func(ctx context.Context) error {
			return second(st.OneTimeTokenOf(ctx, s.user.ID, s.onetime.Purpose))
		}},
		{"one-time tokens to address", func(ctx context.Context) error {
			return second(st.OneTimeTokensTo(ctx, s.onetime.Recipient, s.onetime.Purpose))
		}},
		{"count attempt", func(ctx context.Context) error { return second(st.CountAttempt(ctx, s.onetime.ID, 5)) }},
		{"flow by id", func(ctx context.Context) error { return second(st.FlowState(ctx, s.flow.ID)) }},
		{"flow by state", func(ctx context.Context) error { return second(st.FlowStateByState(ctx, s.flow.StateHash)) }},
		{"flow by code", func(ctx context.Context) error { return second(st.FlowStateByCode(ctx, s.flow.CodeHash)) }},
		{"issue code", func(ctx context.Context) error { return second(st.IssueCode(ctx, s.flow)) }},
		{"due outbox items", func(ctx context.Context) error { return second(st.DueOutboxItems(ctx, sender, now, 10)) }},
		{"lease outbox item", func(ctx context.Context) error {
			return second(st.LeaseOutboxItem(ctx, s.item.ID, "token", now, now.Add(time.Minute)))
		}},
		{"outbox item by id", func(ctx context.Context) error { return second(st.OutboxItem(ctx, s.item.ID)) }},
		{"postpone outbox item", func(ctx context.Context) error {
			return second(st.PostponeOutboxItem(ctx, s.item.ID, s.item.NextAt, s.item.NextAt))
		}},
		{"settle outbox item", func(ctx context.Context) error {
			i := s.item
			i.LeaseToken = "token"
			return second(st.SettleOutboxItem(ctx, i))
		}},
		{"youngest owed outbox item", func(ctx context.Context) error {
			_, err := st.YoungestOwed(ctx, sender, s.item.Key)
			if errors.Is(err, store.ErrNotFound) {
				err = nil
			}
			return err
		}},
		{"release outbox item", func(ctx context.Context) error { return st.ReleaseOutboxItem(ctx, sender, s.item.Key, now) }},
		{"event by id", func(ctx context.Context) error { return second(st.EventDelivery(ctx, s.event.ID)) }},
		{"note event attempt", func(ctx context.Context) error { return st.NoteEventAttempt(ctx, s.event) }},
		{"events, next page", func(ctx context.Context) error {
			return second(st.ListEventDeliveries(ctx, store.EventQuery{After: s.event.ID}))
		}},
		{"events of a user", func(ctx context.Context) error {
			return second(st.ListEventDeliveries(ctx, store.EventQuery{UserID: s.user.ID}))
		}},
		{"events by state", func(ctx context.Context) error {
			return second(st.ListEventDeliveries(ctx, store.EventQuery{State: store.EventPending}))
		}},
		{"users, next page", func(ctx context.Context) error {
			return second(st.ListUsers(ctx, store.UserQuery{Audience: audience, After: key}))
		}},
		{"users, first page", func(ctx context.Context) error {
			return second(st.ListUsers(ctx, store.UserQuery{Audience: audience}))
		}},
		{"users of all audiences, next page", func(ctx context.Context) error {
			return second(st.ListUsers(ctx, store.UserQuery{After: key, Ascending: true}))
		}},
		{"audit entries, first page", func(ctx context.Context) error {
			return second(st.ListAuditEntries(ctx, store.AuditQuery{}))
		}},
		{"audit entries of actor", func(ctx context.Context) error {
			return second(st.ListAuditEntries(ctx, store.AuditQuery{ActorID: s.user.ID}))
		}},
		{"count", func(ctx context.Context) error {
			_, _, err := st.Count(ctx, s.user.Email, now, s.user.CreatedAt.Add(time.Hour))
			return err
		}},
		{"counted", func(ctx context.Context) error {
			_, _, err := st.Counted(ctx, s.user.Email, now)
			return err
		}},
		{"setting", func(ctx context.Context) error { return second(st.Setting(ctx, s.user.Email)) }},
		{"settle setting", func(ctx context.Context) error {
			return second(st.SettleSetting(ctx, s.user.Email, []byte("another")))
		}},
	}, s.ends(st)...)
}

// ends delete what the calls before look at.
func (s *sample) ends(st store.Store) []Call {
	return []Call{
		{"take one-time token", func(ctx context.Context) error { return second(st.TakeOneTimeToken(ctx, s.onetime.ID)) }},
		{"delete one-time tokens of user", func(ctx context.Context) error {
			return st.DeleteOneTimeTokens(ctx, s.user.ID, store.PurposeRecovery, store.PurposeInvite)
		}},
		{"drop counter", func(ctx context.Context) error { return st.DropCounter(ctx, s.user.Email) }},
		{"delete codes", func(ctx context.Context) error { return st.DeleteCodesOf(ctx, s.flow.UserID) }},
		{"take flow state", func(ctx context.Context) error { return second(st.TakeFlowState(ctx, s.flow.ID)) }},
		{"delete refresh token", func(ctx context.Context) error { return second(st.DeleteRefreshToken(ctx, s.refresh.Hash)) }},
		{"delete session", func(ctx context.Context) error { return second(st.DeleteSession(ctx, s.session.ID)) }},
		{"delete sessions of user", func(ctx context.Context) error {
			return second(st.DeleteSessionsOf(ctx, s.user.ID, uuid.Nil))
		}},
		{"delete user", func(ctx context.Context) error { return st.DeleteUser(ctx, s.user.ID) }},
	}
}

func second[T any](_ T, err error) error { return err }

// Check runs the calls and asks explain about each statement that they run: it gives the
// database's plan, and what is wrong with it or "".
func Check(t *testing.T, r *Recorder, calls []Call, explain func(ctx context.Context, s Statement) (plan, wrong string, err error)) {
	t.Helper()
	for _, c := range calls {
		r.Take()
		if err := c.Run(t.Context()); err != nil {
			t.Errorf("%s: %v", c.Name, err)
			continue
		}
		statements := r.Take()
		if len(statements) == 0 {
			t.Errorf("%s: no statement was seen", c.Name)
		}
		for _, s := range statements {
			plan, wrong, err := explain(t.Context(), s)
			if err != nil {
				t.Errorf("%s: explain %s: %v", c.Name, s.Text, err)
			} else if wrong != "" {
				t.Errorf("%s: %s:\n%s\n%s", c.Name, wrong, s.Text, plan)
			}
		}
	}
}
