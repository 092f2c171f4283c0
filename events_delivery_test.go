package auth_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/truekeel/auth"
	"github.com/truekeel/auth/store"
)

// newcomer makes an account in Go.
func (d *door) newcomer(email string) auth.Account {
	d.t.Helper()
	u, err := d.Auth.Users().Create(d.t.Context(), auth.NewUser{Email: email})
	require.NoError(d.t, err)
	return u
}

// count changes an account so that the event says which change it was.
func (d *door) count(id uuid.UUID, n int) {
	d.t.Helper()
	_, err := d.Auth.Users().Update(d.t.Context(), id, auth.Change{UserMetadata: store.MakeObject(map[string]any{"n": n})})
	require.NoError(d.t, err)
}

func (e toldEvent) n() int {
	meta, _ := e.Data.User["user_metadata"].(map[string]any)
	n, _ := meta["n"].(float64)
	return int(n)
}

// log lists the events of the door.
func (d *door) events(l auth.WebhookList) []auth.EventDelivery {
	d.t.Helper()
	list, err := d.Auth.Webhooks().List(d.t.Context(), l)
	require.NoError(d.t, err)
	return list
}

// turn lets more time pass than any pause is long, and delivers.
func (d *door) turn() {
	d.Clock.Advance(16 * time.Minute)
	_ = d.Auth.Deliver(d.t.Context()) // some receivers refuse
}

// While the first event of a user fails, his later ones wait; another's don't.
func TestEventsKeepTheirOrder(t *testing.T) {
	var mu sync.Mutex
	well := false
	stuck := map[string]bool{}
	r := receive(t, eventSecret, func(w http.ResponseWriter, e toldEvent) {
		mu.Lock()
		defer mu.Unlock()
		if !well && stuck[e.Data.User["id"].(string)] {
			w.WriteHeader(http.StatusInternalServerError)
		}
	})
	d := open(t, webhookTo(r, auth.EventUserUpdated))
	ada, bob := d.newcomer("ada@example.com"), d.newcomer("bob@example.com")
	stuck[ada.ID.String()] = true
	for n := 1; n <= 3; n++ {
		d.count(ada.ID, n)
		d.count(bob.ID, n)
	}
	_ = d.Auth.Deliver(t.Context())
	d.turn()
	seen := map[string][]int{}
	for _, e := range r.take() {
		seen[e.Data.User["email"].(string)] = append(seen[e.Data.User["email"].(string)], e.n())
	}
	require.Equal(t, []int{1, 2, 3}, seen["bob@example.com"])
	require.Subset(t, []int{1}, seen["ada@example.com"], "the others wait behind the first")

	mu.Lock()
	well = true
	mu.Unlock()
	d.turn()
	var got []int
	for _, e := range r.take() {
		got = append(got, e.n())
	}
	require.Equal(t, []int{1, 2, 3}, got)
	require.Empty(t, d.events(auth.WebhookList{State: auth.WebhookPending}))
}

// An event that is given up lets the next one through.
func TestAGivenUpEventHoldsNobody(t *testing.T) {
	r := receive(t, eventSecret, func(w http.ResponseWriter, e toldEvent) {
		if e.n() == 1 {
			w.WriteHeader(http.StatusBadRequest)
		}
	})
	log := &lockedLog{}
	d := open(t, auth.WithLogger(slog.New(slog.NewTextHandler(log, nil))), auth.WithEventWebhook(auth.EventWebhook{
		Name: "crm", URL: r.URL, Secrets: []string{eventSecret}, Events: []auth.EventType{auth.EventUserUpdated}, GiveUpAfter: time.Hour,
	}))
	ada := d.newcomer("ada@example.com")
	d.count(ada.ID, 1)
	_ = d.Auth.Deliver(t.Context())
	d.Clock.Advance(2 * time.Hour)
	d.count(ada.ID, 2)
	for range 3 {
		d.turn()
	}
	list := d.events(auth.WebhookList{})
	require.Len(t, list, 2)
	require.Equal(t, auth.WebhookDelivered, list[0].State)
	require.Equal(t, auth.WebhookGivenUp, list[1].State)
	require.Equal(t, 400, list[1].LastStatus)
	require.Equal(t, "status 400", list[1].LastError)
	require.False(t, list[1].DoneAt.IsZero())
	text := log.String()
	require.Contains(t, text, "given up")
	require.Contains(t, text, "event webhook crm: event "+list[1].ID.String()+" (user.updated): status 400")
	for _, secret := range []string{"AAECAwQF", "ada@example.com", "metadata"} {
		require.NotContains(t, text, secret)
	}
}

type lockedLog struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// An event says how things were when it was committed, also of a user who is gone since;
// that he is gone says nothing but his id.
func TestEventsOfADeletedUser(t *testing.T) {
	down := true
	var mu sync.Mutex
	r := receive(t, eventSecret, func(w http.ResponseWriter, _ toldEvent) {
		mu.Lock()
		defer mu.Unlock()
		if down {
			w.WriteHeader(http.StatusBadGateway)
		}
	})
	d := open(t, webhookTo(r))
	ada := d.newcomer("ada@example.com")
	require.NoError(t, d.Auth.Users().Delete(t.Context(), ada.ID))
	_ = d.Auth.Deliver(t.Context())
	mu.Lock()
	down = false
	mu.Unlock()
	r.take()
	d.turn()
	got := r.take()
	require.Equal(t, []string{"user.created", "user.deleted"}, eventTypes(got))
	require.Equal(t, "ada@example.com", got[0].Data.User["email"])
	require.Equal(t, map[string]any{"id": ada.ID.String()}, got[1].Data.User)
}

// What was delivered or given up is sent again on demand, with its id and content.
func TestRedelivery(t *testing.T) {
	r := receive(t, eventSecret, nil)
	d := open(t, webhookTo(r, auth.EventUserCreated))
	hooks := d.Auth.Webhooks()
	ada := d.newcomer("ada@example.com")
	require.NoError(t, d.Auth.Deliver(t.Context()))
	first := r.take()
	require.Len(t, first, 1)
	id := uuid.MustParse(first[0].ID)

	// Of many who ask at once one has it sent.
	var wg sync.WaitGroup
	errs := make([]error, 8)
	for n := range errs {
		wg.Go(func() { errs[n] = hooks.Redeliver(t.Context(), id) })
	}
	wg.Wait()
	require.NoError(t, d.Auth.Deliver(t.Context()))
	again := r.take()
	won := 0
	for _, err := range errs {
		if err == nil {
			won++
		} else {
			require.ErrorIs(t, err, auth.ErrEventPending)
		}
	}
	require.GreaterOrEqual(t, won, 1)
	require.Len(t, again, won)
	require.Equal(t, first[0].Raw, again[0].Raw)
	require.Equal(t, first[0].ID, again[0].ID)
	e, err := hooks.Get(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, auth.WebhookDelivered, e.State)
	require.Equal(t, 1+won, e.Attempts)
	require.Equal(t, 204, e.LastStatus)
	require.Equal(t, first[0].Raw, string(e.Body))
	require.Equal(t, ada.ID, e.UserID)

	require.ErrorIs(t, hooks.Redeliver(t.Context(), uuid.New()), auth.ErrEventNotFound)
	_, err = hooks.Get(t.Context(), uuid.New())
	require.ErrorIs(t, err, auth.ErrEventNotFound)
	d.Clock.Advance(8 * 24 * time.Hour)
	require.NoError(t, d.Auth.Clean(t.Context()))
	require.ErrorIs(t, hooks.Redeliver(t.Context(), id), auth.ErrEventNotFound, "past its retention")
}

// Receivers that mean harm or are out of order: bounded in time and size, nobody else is
// called, and the event waits.
func TestHostileReceivers(t *testing.T) {
	private := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the redirect was followed") }))
	t.Cleanup(private.Close)
	for name, c := range map[string]struct {
		answer  func(w http.ResponseWriter)
		problem string
		status  int
		done    bool
	}{
		"redirects inside": {answer: func(w http.ResponseWriter) {
			w.Header().Set("Location", private.URL)
			w.WriteHeader(http.StatusTemporaryRedirect)
		}, problem: "redirect", status: 307},
		"sends ten megabytes": {answer: func(w http.ResponseWriter) {
			_, _ = w.Write(bytes.Repeat([]byte("x"), 10<<20))
		}, status: 200, done: true},
		"sends them with an error": {answer: func(w http.ResponseWriter) {
			w.WriteHeader(http.StatusTeapot)
			_, _ = w.Write(bytes.Repeat([]byte("x"), 10<<20))
		}, problem: "status 418", status: 418},
		"hangs up": {answer: func(http.ResponseWriter) { panic(http.ErrAbortHandler) }, problem: "connection"},
		"is gone":  {answer: func(w http.ResponseWriter) { w.WriteHeader(http.StatusGone) }, problem: "gone", status: 410, done: true},
	} {
		t.Run(name, func(t *testing.T) {
			r := receive(t, eventSecret, func(w http.ResponseWriter, _ toldEvent) { c.answer(w) })
			d := open(t, webhookTo(r, auth.EventUserCreated))
			d.newcomer("ada@example.com")
			_ = d.Auth.Deliver(t.Context())
			e := d.events(auth.WebhookList{})[0]
			require.Equal(t, c.problem, e.LastError)
			require.Equal(t, c.status, e.LastStatus)
			require.Equal(t, c.done, !e.DoneAt.IsZero())
		})
	}
}

// An address inside is refused where it is dialled.
func TestReceiversInsideAreRefused(t *testing.T) {
	d := open(t, auth.WithEventWebhook(auth.EventWebhook{URL: "https://10.255.255.1/hook", Secrets: []string{eventSecret}, Events: []auth.EventType{auth.EventUserCreated}}))
	d.newcomer("ada@example.com")
	_ = d.Auth.Deliver(t.Context())
	require.Equal(t, "address", d.events(auth.WebhookList{})[0].LastError)
}

// A receiver that never answers holds up no mail and no other receiver.
func TestAReceiverThatNeverAnswers(t *testing.T) {
	silence := make(chan struct{})
	hung := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-silence }))
	t.Cleanup(hung.Close)
	t.Cleanup(func() { close(silence) })
	came := make(chan struct{}, 100)
	well := receive(t, eventSecret, func(http.ResponseWriter, toldEvent) { came <- struct{}{} })
	d := open(t,
		auth.WithEventWebhook(auth.EventWebhook{Name: "hung", URL: hung.URL, Secrets: []string{eventSecret}}),
		auth.WithEventWebhook(auth.EventWebhook{Name: "well", URL: well.URL, Secrets: []string{eventSecret}, Events: []auth.EventType{auth.EventUserCreated}}))
	for n := range 20 {
		d.newcomer(fmt.Sprintf("u%d@example.com", n))
	}
	for range 20 {
		<-came
	}
	for _, e := range d.events(auth.WebhookList{Endpoint: "hung"}) {
		require.Equal(t, auth.WebhookPending, e.State)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()              // don't wait for the silent one
	_ = d.Auth.Close(ctx) // how patient it is with a slow machine is another test's affair
}

// Calls of receivers and of hooks that never answer don't outlive Close.
func TestCloseEndsCalls(t *testing.T) {
	before, silence, called := ours(), make(chan struct{}), make(chan struct{}, 100)
	hung := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		called <- struct{}{}
		<-silence
	}))
	t.Cleanup(hung.Close)
	t.Cleanup(func() { close(silence) })
	a, err := auth.New(
		auth.WithDatabaseFile(filepath.Join(t.TempDir(), "auth.db")),
		auth.WithHTTPHook(auth.HookAfterUserCreated, auth.HTTPHook{URI: hung.URL, Secrets: []string{hookSecret}, Timeout: time.Hour}),
		auth.WithEventWebhook(auth.EventWebhook{Name: "one", URL: hung.URL, Secrets: []string{eventSecret}}),
		auth.WithEventWebhook(auth.EventWebhook{Name: "two", URL: hung.URL, Secrets: []string{eventSecret}}))
	require.NoError(t, err)
	_, err = a.Users().Create(t.Context(), auth.NewUser{Email: "ada@example.com"})
	require.NoError(t, err)
	for range 3 {
		<-called
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_ = a.Close(ctx)
	requireStill(t, before)
}

// A receiver may ask for time, within bounds.
func TestRetryAfterIsHeeded(t *testing.T) {
	for value, want := range map[string]time.Duration{"1200": 20 * time.Minute, "999999": time.Hour} {
		r := receive(t, eventSecret, func(w http.ResponseWriter, _ toldEvent) {
			w.Header().Set("Retry-After", value)
			w.WriteHeader(http.StatusServiceUnavailable)
		})
		d := open(t, webhookTo(r, auth.EventUserCreated))
		d.newcomer("ada@example.com")
		_ = d.Auth.Deliver(t.Context())
		require.Len(t, r.take(), 1)
		d.Clock.Advance(want - time.Second)
		_ = d.Auth.Deliver(t.Context())
		require.Empty(t, r.take(), value)
		d.Clock.Advance(time.Second)
		_ = d.Auth.Deliver(t.Context())
		require.Len(t, r.take(), 1, value)
	}
}

// While a secret is changed, receivers that know either accept.
func TestSecretsRotate(t *testing.T) {
	older, newer := receive(t, eventSecret, nil), receive(t, otherSecret, nil)
	both := []string{otherSecret, eventSecret}
	d := open(t,
		auth.WithEventWebhook(auth.EventWebhook{Name: "old", URL: older.URL, Secrets: both}),
		auth.WithEventWebhook(auth.EventWebhook{Name: "new", URL: newer.URL, Secrets: both}))
	d.newcomer("ada@example.com")
	require.NoError(t, d.Auth.Deliver(t.Context()))
	require.Len(t, older.take(), 1)
	require.Len(t, newer.take(), 1)
}

// Without a receiver nothing is written, and what was is still there to see.
func TestWithoutAWebhookNothingIsWritten(t *testing.T) {
	st := fresh(t)
	d := open(t, auth.WithStore(st))
	d.signUp("ada@example.com")
	d.signIn("ada@example.com")
	require.NoError(t, d.Auth.Deliver(t.Context()))
	rows, err := st.ListEventDeliveries(t.Context(), store.EventQuery{})
	require.NoError(t, err)
	require.Empty(t, rows)

	require.NoError(t, st.AddEventDelivery(t.Context(), store.EventDelivery{
		ID: uuid.New(), Endpoint: "former", Type: "user.created", UserID: uuid.New(), State: store.EventGivenUp, CreatedAt: d.Clock.Now(), DoneAt: d.Clock.Now(),
	}))
	list := d.events(auth.WebhookList{})
	require.Len(t, list, 1)
	require.ErrorIs(t, d.Auth.Webhooks().Redeliver(t.Context(), list[0].ID), auth.ErrWebhookUnknown)
}

// What is rolled back isn't told; what a host commits is.
func TestEventsInAHostsTransaction(t *testing.T) {
	r := receive(t, eventSecret, nil)
	h := openHosted(t, webhookTo(r))
	ctx := t.Context()
	within := func(do func(tx *auth.Tx), commit bool) {
		t.Helper()
		tx, err := h.db.BeginTx(ctx, nil)
		require.NoError(t, err)
		defer func() { _ = tx.Rollback() }()
		accounts, err := h.Auth.In(ctx, tx)
		require.NoError(t, err)
		do(accounts)
		if commit {
			require.NoError(t, tx.Commit())
		}
	}
	create := func(email string) func(tx *auth.Tx) {
		return func(tx *auth.Tx) {
			u, err := tx.Create(ctx, auth.NewUser{Email: email, EmailConfirmed: true})
			require.NoError(t, err)
			_, err = tx.Issue(ctx, u.ID, "host")
			require.NoError(t, err)
		}
	}
	within(create("nobody@example.com"), false)
	within(create("ada@example.com"), true)
	require.NoError(t, h.Auth.Deliver(ctx))
	got := r.take()
	require.Equal(t, []string{"user.created", "user.confirmed", "user.signed_in"}, eventTypes(got))
	require.Equal(t, "ada@example.com", got[0].Data.User["email"])
	id := uuid.MustParse(got[0].Data.User["id"].(string))
	within(func(tx *auth.Tx) {
		require.NoError(t, tx.SignOut(ctx, id))
		require.NoError(t, tx.Delete(ctx, id))
	}, true)
	require.NoError(t, h.Auth.Deliver(ctx))
	require.Equal(t, []string{"user.signed_out", "user.deleted"}, eventTypes(r.take()))
}

// A better hash of the same password isn't another password.
func TestARehashIsNoChangeOfThePassword(t *testing.T) {
	r := receive(t, eventSecret, nil)
	st := fresh(t)
	open(t, auth.WithStore(st)).signUp("ada@example.com")
	d := open(t, auth.WithStore(st), auth.WithArgon2id(64, 1, 1), webhookTo(r))
	d.signIn("ada@example.com")
	u, err := st.UserByEmail(t.Context(), "authenticated", "ada@example.com")
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(u.PasswordHash, "$argon2id$"))
	require.NoError(t, d.Auth.Deliver(t.Context()))
	require.Equal(t, []string{"user.signed_in"}, eventTypes(r.take()))
}

// Two processes on one database: each event once, and those of one user in order although
// the two change him by turns, one with a clock that is ahead.
func TestTwoProcessesTellInOrder(t *testing.T) {
	var mu sync.Mutex
	tried, got := map[string]int{}, map[string][]int{}
	r := receive(t, eventSecret, func(w http.ResponseWriter, e toldEvent) {
		mu.Lock()
		defer mu.Unlock()
		tried[e.ID]++
		if e.n()%3 == 0 && tried[e.ID] == 1 {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		id := e.Data.User["id"].(string)
		got[id] = append(got[id], e.n())
	})
	st := fresh(t)
	here := open(t, auth.WithStore(st), webhookTo(r, auth.EventUserUpdated))
	there := open(t, auth.WithStore(st), webhookTo(r, auth.EventUserUpdated), auth.WithClock(func() time.Time { return here.Clock.Now().Add(3 * time.Second) }))
	var ids []uuid.UUID
	for n := range 4 {
		ids = append(ids, here.newcomer(fmt.Sprintf("u%d@example.com", n)).ID)
	}
	const changes = 12
	for n := 1; n <= changes; n++ {
		by := here
		if n%2 == 0 {
			by = there
		}
		for _, id := range ids {
			by.count(id, n)
		}
	}
	for len(here.events(auth.WebhookList{State: auth.WebhookPending})) > 0 {
		here.Clock.Advance(time.Second)
		var wg sync.WaitGroup
		for _, d := range []*door{here, there} {
			wg.Go(func() { _ = d.Auth.Deliver(context.WithoutCancel(t.Context())) })
		}
		wg.Wait()
	}
	for _, id := range ids {
		require.Equal(t, []int{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}, got[id.String()])
	}
}

// Changes of one user that race are each told, in the order in which they were committed:
// the last event says how the account is now.
func TestRacingChangesAreTold(t *testing.T) {
	r := receive(t, eventSecret, nil)
	d := open(t, webhookTo(r, auth.EventUserUpdated))
	ada := d.newcomer("ada@example.com")
	const racers = 12
	var wg sync.WaitGroup
	for n := range racers {
		wg.Go(func() {
			_, err := d.Auth.Users().Update(context.WithoutCancel(t.Context()), ada.ID, auth.Change{UserMetadata: store.MakeObject(map[string]any{fmt.Sprint("k", n): n})})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	require.NoError(t, d.Auth.Deliver(t.Context()))
	got := r.take()
	require.Len(t, got, racers)
	for n, e := range got {
		require.Len(t, e.Data.User["user_metadata"], n+1, "each has one key more than the one before")
	}
	u, err := d.Auth.Users().Get(t.Context(), ada.ID)
	require.NoError(t, err)
	last, err := json.Marshal(got[racers-1].Data.User["user_metadata"])
	require.NoError(t, err)
	now, err := json.Marshal(u.UserMetadata)
	require.NoError(t, err)
	require.JSONEq(t, string(now), string(last))
}

// A process with another encryption key can't read an event, and doesn't spoil it.
func TestEventsUnderAnotherKey(t *testing.T) {
	r := receive(t, eventSecret, nil)
	st := fresh(t)
	mine, other := bytes.Repeat([]byte{1}, 32), bytes.Repeat([]byte{2}, 32)
	jwt := auth.WithJWTSecret(bytes.Repeat([]byte("s"), 32))
	down := open(t, auth.WithStore(st), jwt, auth.WithEncryptionKey(mine), auth.WithEventWebhook(auth.EventWebhook{URL: "http://127.0.0.1:1/", Secrets: []string{eventSecret}}))
	down.newcomer("ada@example.com")
	_ = down.Auth.Deliver(t.Context())
	require.NoError(t, down.Auth.Close(t.Context()))

	clock := auth.WithClock(func() time.Time { return time.Now().Add(time.Hour) })
	strange := open(t, auth.WithStore(st), jwt, clock, auth.WithEncryptionKey(other), webhookTo(r))
	_ = strange.Auth.Deliver(t.Context())
	require.NoError(t, strange.Auth.Close(t.Context()))
	require.Empty(t, r.take())
	require.Equal(t, "unreadable", strange.eventsOf(st)[0].LastError)

	late := auth.WithClock(func() time.Time { return time.Now().Add(2 * time.Hour) })
	rotated := open(t, auth.WithStore(st), jwt, late, auth.WithEncryptionKey(other, mine), webhookTo(r))
	require.NoError(t, rotated.Auth.Deliver(t.Context()))
	require.Len(t, r.take(), 1)
}

// eventsOf reads the log of a door that is closed.
func (d *door) eventsOf(st store.Store) []store.EventDelivery {
	d.t.Helper()
	rows, err := st.ListEventDeliveries(d.t.Context(), store.EventQuery{})
	require.NoError(d.t, err)
	return rows
}
