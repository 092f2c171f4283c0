package emailchange_test

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/truekeel/auth/internal/audit"
	"github.com/truekeel/auth/internal/emailchange"
	"github.com/truekeel/auth/internal/onetime"
	"github.com/truekeel/auth/internal/outbox"
	"github.com/truekeel/auth/internal/pkce"
	"github.com/truekeel/auth/internal/place"
	"github.com/truekeel/auth/internal/post"
	"github.com/truekeel/auth/internal/seal"
	"github.com/truekeel/auth/internal/testdb"
	"github.com/truekeel/auth/internal/user"
	"github.com/truekeel/auth/store"
)

func TestAsk(t *testing.T) {
	const challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
	for name, c := range map[string]struct {
		secure    bool
		old       string
		challenge pkce.Challenge
		mails     int
	}{
		"both":            {true, "ada@example.com", pkce.Challenge{}, 2},
		"both, pkce":      {true, "ada@example.com", pkce.Challenge{Value: challenge, Method: pkce.S256}, 2},
		"new alone":       {false, "ada@example.com", pkce.Challenge{}, 1},
		"no old one":      {true, "", pkce.Challenge{}, 1},
		"new alone, pkce": {false, "", pkce.Challenge{Value: challenge, Method: pkce.S256}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			s, now := testdb.SQLite(t), time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
			step := newStep(t, s, now, c.secure)
			u := store.User{
				ID: uuid.New(), Audience: "a", Email: c.old, NewEmail: "new@example.com", EmailChangeSide: store.ChangeNew, CreatedAt: now, UpdatedAt: now,
			}
			require.NoError(t, s.CreateUser(t.Context(), u))
			u, err := s.User(t.Context(), u.ID)
			require.NoError(t, err)
			var hashes [2]string
			for round := range hashes {
				var sent []post.Sent
				require.NoError(t, s.Tx(t.Context(), func(tx store.Store) error {
					again := u
					again.Version += int64(round)
					sent, err = step.Ask(t.Context(), tx, &again, c.challenge, "https://app.example.com")
					return err
				}))
				require.Len(t, sent, c.mails)
				got, err := s.User(t.Context(), u.ID)
				require.NoError(t, err)
				require.Equal(t, store.ChangeNone, got.EmailChangeSide, "a half of an earlier request counts no more")
				require.Equal(t, now, got.EmailChangeSentAt)

				fresh, err := s.OneTimeTokenOf(t.Context(), u.ID, store.PurposeEmailChangeNew)
				require.NoError(t, err)
				require.Equal(t, "new@example.com", fresh.Recipient)
				require.Equal(t, c.challenge.Given(), fresh.FlowStateID != uuid.Nil)
				hashes[round] = fresh.LinkHash
				present, err := s.OneTimeTokenOf(t.Context(), u.ID, store.PurposeEmailChangeCurrent)
				if c.mails == 1 {
					require.ErrorIs(t, err, store.ErrNotFound)
					continue
				}
				require.NoError(t, err)
				require.Equal(t, c.old, present.Recipient)
				require.NotEqual(t, fresh.LinkHash, present.LinkHash)
				require.NotEqual(t, fresh.CodeMAC, present.CodeMAC)
				if c.challenge.Given() {
					require.NotEqual(t, fresh.FlowStateID, present.FlowStateID)
				}
			}
			require.NotEqual(t, hashes[0], hashes[1])
		})
	}
}

func newStep(t *testing.T, s store.Store, at time.Time, secure bool) *emailchange.Step {
	t.Helper()
	now := func() time.Time { return at }
	keys, err := seal.New([]byte(strings.Repeat("k", 32)))
	require.NoError(t, err)
	box, err := outbox.New(outbox.Config{Store: s, Sealer: keys, Sender: "test", Now: now})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, box.Close(context.Background())) })
	return &emailchange.Step{
		Accounts: user.New(user.Config{Now: now, Audit: audit.New(now), DefaultRole: "r"}), Now: now, Secure: secure,
		PKCE: pkce.New(pkce.Config{Now: now, Wait: time.Hour, CodeLife: time.Minute}),
		Post: post.New(post.Config{
			Store: s, Outbox: box, Now: now, Logger: slog.New(slog.DiscardHandler), MAC: keys.MAC,
			Default: place.Place{External: "https://app.example.com/auth", Site: "https://app.example.com"},
			Tokens: onetime.New(onetime.Config{
				Store: s, Now: now, MAC: keys.MAC, MACs: keys.MACs, CodeLength: 6, LinkLife: time.Hour, CodeLife: time.Hour, MaxGuesses: 5, MaxPerHour: 20,
			}),
		}),
	}
}
