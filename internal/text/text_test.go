package text_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/truekeel/auth/fault"
	"github.com/truekeel/auth/internal/guard"
	"github.com/truekeel/auth/internal/onetime"
	"github.com/truekeel/auth/internal/outbox"
	"github.com/truekeel/auth/internal/seal"
	"github.com/truekeel/auth/internal/testdb"
	"github.com/truekeel/auth/internal/text"
	"github.com/truekeel/auth/sms"
	"github.com/truekeel/auth/store"
)

const number = "4917112345678"

// bench is a Desk over a database, whose messages end in an inbox.
type bench struct {
	*text.Desk
	t     *testing.T
	store store.Store
	box   *outbox.Outbox
	inbox *sms.Inbox
	user  store.User

	mu  sync.Mutex
	now time.Time
}

func open(t *testing.T, change ...func(*text.Config)) *bench {
	t.Helper()
	b := &bench{t: t, store: testdb.SQLite(t), inbox: &sms.Inbox{}, now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	now := func() time.Time { b.mu.Lock(); defer b.mu.Unlock(); return b.now }
	keys, err := seal.New([]byte(strings.Repeat("k", 32)))
	require.NoError(t, err)
	words, err := text.ParseTemplate(text.DefaultTemplate, 6)
	require.NoError(t, err)
	carrier := &text.Carrier{Store: b.store, Now: now, Sender: b.inbox, Template: words}
	c := text.Config{
		Store: b.store, Carrier: carrier, Guard: guard.New(guard.Config{}), Now: now, MAC: keys.MAC, Every: time.Minute,
		Tokens: onetime.New(onetime.Config{
			Store: b.store, Now: now, MAC: keys.MAC, MACs: keys.MACs, CodeLength: 6, LinkLife: time.Minute, CodeLife: time.Minute,
			MaxGuesses: 5, MaxPerHour: 20,
		}),
	}
	for _, f := range change {
		f(&c)
	}
	b.box, err = outbox.New(outbox.Config{
		Store: b.store, Sealer: keys, Sender: "test", Sync: c.Sync, Now: now, Handlers: map[string]outbox.Handler{text.OutboxKind: carrier.Deliver},
	})
	require.NoError(t, err)
	t.Cleanup(func() { _ = b.box.Close(context.Background()) })
	c.Outbox = b.box
	b.Desk = text.New(c)
	b.user = store.User{ID: uuid.New(), Audience: "authenticated", Phone: number, CreatedAt: b.now, UpdatedAt: b.now}
	require.NoError(t, b.store.CreateUser(t.Context(), b.user))
	b.user.Version = 1
	return b
}

func (b *bench) turn(d time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.now = b.now.Add(d)
}

// write writes a message and sees it off.
func (b *bench) write(kind text.Kind, p store.Purpose) (string, error) {
	b.t.Helper()
	var sent text.Sent
	require.NoError(b.t, b.store.Tx(b.t.Context(), func(tx store.Store) error {
		u, err := tx.User(b.t.Context(), b.user.ID)
		if err != nil {
			return err
		}
		if sent, err = b.Write(b.t.Context(), tx, text.Note{Kind: kind, User: &u, To: number, Purpose: p}); err != nil {
			return err
		}
		return tx.UpdateUser(b.t.Context(), &u)
	}))
	return b.SeeOff(b.t.Context(), sent)
}

func TestParseTemplate(t *testing.T) {
	for source, want := range map[string]string{
		"{{ .Code":    "can't be read",
		"{{ .Link }}": "{{ .Code }}",
		"Hello":       "doesn't show the code",
		"{{ if eq .Code \"000000\" }}{{.Code}}{{end}}": "doesn't show the code",
		"{{ .Code }}" + strings.Repeat("x", 1600):      "over 1530",
		`{{ slice .Code 8 }}`:                          "fails",
	} {
		_, err := text.ParseTemplate(source, 6)
		require.ErrorContains(t, err, want, source)
	}
	_, err := text.ParseTemplate("{{ .Code }} is your code\n\n@app.example.com #{{ .Code }}", 10)
	require.NoError(t, err)
}

// Asynchronous answers never name the message, however quick the worker was.
func TestReceipts(t *testing.T) {
	b := open(t)
	receipt, err := b.write(text.Confirmation, store.PurposePhoneSignIn)
	require.NoError(t, err)
	require.Empty(t, receipt)
	require.NoError(t, b.box.Flush(t.Context()))
	require.Len(t, b.inbox.Messages(), 1)

	b = open(t, func(c *text.Config) { c.Sync = true })
	for _, want := range []string{"1", "2"} {
		receipt, err = b.write(text.Confirmation, store.PurposePhoneSignIn)
		require.NoError(t, err)
		require.Equal(t, want, receipt)
	}
}

// A host's own step gets the user and the code, also where the service would make it, and
// nothing of its failure that is secret is told.
func TestInstead(t *testing.T) {
	var got sms.Message
	var whom store.User
	fail := false
	b := open(t, func(c *text.Config) {
		c.Sync = true
		c.Carrier.Sender = &refuser{}
		c.Carrier.Instead = func(_ context.Context, m sms.Message, u store.User) error {
			got, whom = m, u
			if fail {
				return errors.New("I can't send " + m.Code + "\nto " + m.To)
			}
			return nil
		}
	})
	_, err := b.write(text.Change, store.PurposePhoneChange)
	require.NoError(t, err)
	require.Equal(t, b.user.ID, whom.ID)
	require.Len(t, got.Code, 6)
	require.Equal(t, "Your code is "+got.Code, got.Body)
	found, err := b.ByCode(t.Context(), number, got.Code, onetime.Candidate{UserID: b.user.ID, Purpose: store.PurposePhoneChange})
	require.NoError(t, err)
	require.Equal(t, store.PurposePhoneChange, found.Purpose)

	fail = true
	_, err = b.write(text.Change, store.PurposePhoneChange)
	require.Equal(t, fault.SMSSendFailed, fault.CodeOf(err))
	require.Equal(t, "sms_send_failed: Error sending phone_change OTP to provider: I can't send ... to ...", err.Error())
	u, err := b.store.User(t.Context(), b.user.ID)
	require.NoError(t, err)
	require.True(t, u.PhoneChangeSentAt.IsZero())
}

// refuser is a service that makes codes, and must not be asked.
type refuser struct{}

func (refuser) Send(context.Context, sms.Message) (string, error) {
	return "", errors.New("the service was called")
}

func (refuser) Check(context.Context, string, string) (bool, error) {
	return false, errors.New("the service was asked")
}

func TestServicesWords(t *testing.T) {
	for want, err := range map[string]error{
		"the service gave no answer":            &url.Error{Op: "Post", URL: "https://x.example/AC1", Err: errors.New("connection refused by 10.1.2.3")},
		"blocked, said [red]":                   &sms.Error{Service: "twilio", Message: "blocked, said [red]"},
		"twilio: no usable answer (status 502)": &sms.Error{Service: "twilio", Status: 502},
		strings.Repeat("é", 150) + "...":        errors.New(strings.Repeat("é", 200)),
	} {
		b := open(t, func(c *text.Config) {
			c.Sync = true
			c.Carrier.Sender = sms.Func(func(context.Context, sms.Message) (string, error) { return "", err })
		})
		_, got := b.write(text.Confirmation, store.PurposePhoneSignIn)
		require.EqualError(t, got, "sms_send_failed: Error sending confirmation OTP to provider: "+want)
	}
}

// Nobody waits for a counter of a clock that was set back since.
func TestClockSetBack(t *testing.T) {
	b := open(t)
	ask := func() (wait time.Duration, err error) {
		err = b.store.Tx(t.Context(), func(tx store.Store) (err error) {
			wait, err = b.TooSoon(t.Context(), tx, text.Confirmation, number)
			return err
		})
		return wait, err
	}
	wait, err := ask()
	require.NoError(t, err)
	require.Zero(t, wait)
	wait, err = ask()
	require.NoError(t, err)
	require.Equal(t, time.Minute, wait)
	require.Equal(t, fault.OverSMSSendRateLimit, fault.CodeOf(b.Waiting(t.Context(), text.Confirmation, number)))
	b.turn(-1000 * time.Hour)
	require.NoError(t, b.Waiting(t.Context(), text.Confirmation, number))
	require.NoError(t, b.Afford(t.Context(), number))
	wait, err = ask()
	require.NoError(t, err)
	require.Zero(t, wait)
}

// What stands for numbers that nobody has is counted number by number.
func TestNobodysNumbersShareNoRange(t *testing.T) {
	b := open(t)
	for n := range 2 * sms.DefaultPrefixHour {
		require.NoError(t, b.store.Tx(t.Context(), func(tx store.Store) error {
			_, err := b.TooSoon(t.Context(), tx, text.Change, fmt.Sprintf("049171%03d4567", n))
			return err
		}))
	}
}
