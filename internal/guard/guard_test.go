package guard_test

import (
	"context"
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/truekeel/auth/fault"
	"github.com/truekeel/auth/internal/caller"
	"github.com/truekeel/auth/internal/guard"
	"github.com/truekeel/auth/limit"
)

// fake is a limiter that answers what it is told and remembers what it was asked.
type fake struct {
	keys  []string
	rates []limit.Rate
	dec   limit.Decision
	err   error
}

func (f *fake) Take(_ context.Context, key string, r limit.Rate) (limit.Decision, error) {
	f.keys, f.rates = append(f.keys, key), append(f.rates, r)
	return f.dec, f.err
}

func client(t *testing.T, ip string) context.Context {
	t.Helper()
	return caller.WithInfo(t.Context(), caller.Info{IP: netip.MustParseAddr(ip), Limitable: true})
}

func TestGuard(t *testing.T) {
	f := &fake{dec: limit.Decision{Allowed: true}}
	rate, mails := limit.Window(3, time.Minute), limit.Window(5, time.Hour)
	g := guard.New(guard.Config{Limiter: f, Doors: map[guard.Door]limit.Rate{guard.Verify: rate}, Mails: mails})
	require.NoError(t, g.Client(client(t, "192.0.2.1"), guard.Verify))
	require.NoError(t, g.Client(client(t, "2001:db8::1"), guard.Verify))
	require.NoError(t, g.Mail(t.Context()))
	require.Equal(t, []string{"verify:192.0.2.1", "verify:2001:db8::/64", "mails"}, f.keys)
	require.Equal(t, []limit.Rate{rate, rate, mails}, f.rates)

	// These aren't counted: a door without a rate, and a caller who may be many.
	require.NoError(t, g.Client(client(t, "192.0.2.1"), guard.SignUp))
	require.NoError(t, g.Client(t.Context(), guard.Verify))
	require.Len(t, f.keys, 3)

	f.dec = limit.Decision{RetryAfter: 90 * time.Second}
	var refusal *fault.Error
	require.ErrorAs(t, g.Client(client(t, "192.0.2.1"), guard.Verify), &refusal)
	require.Equal(t, fault.OverRequestRateLimit, refusal.Code)
	require.Equal(t, 90*time.Second, refusal.RetryAfter)
	require.ErrorAs(t, g.Mail(t.Context()), &refusal)
	require.Equal(t, fault.OverEmailSendRateLimit, refusal.Code)

	// A limit that can't be checked is kept.
	f.err = errors.New("down")
	for _, err := range []error{g.Client(client(t, "192.0.2.1"), guard.Verify), g.Mail(t.Context())} {
		require.ErrorAs(t, err, &refusal)
		require.Equal(t, fault.Unavailable, refusal.Code)
		require.NotContains(t, refusal.Message, "down")
	}
}

func TestGuardWithoutLimits(t *testing.T) {
	g := guard.New(guard.Config{Doors: map[guard.Door]limit.Rate{guard.Verify: {}}, Mails: limit.Window(0, time.Hour)})
	require.NoError(t, g.Client(client(t, "192.0.2.1"), guard.Verify))
	require.NoError(t, g.Mail(t.Context()))
	f := &fake{}
	require.NoError(t, guard.New(guard.Config{Limiter: f}).Mail(t.Context()))
	require.Empty(t, f.keys, "no quota is no limit")
}
