package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// The forms of a rate of mails, and what autoconfirm makes of it: as with GoTrue there is no
// limit then, unless it is 0.
func TestMailRates(t *testing.T) {
	const ok, over = "200", "429 over_email_send_rate_limit"
	for _, c := range []struct {
		rate, autoconfirm string
		want              []string
	}{
		{"2", "false", []string{ok, ok, over}},
		{"2/1h", "false", []string{ok, ok, over}},
		{"0", "false", []string{over}},
		{"2", "true", []string{ok, ok, ok, ok}},
		{"0", "true", []string{over}},
	} {
		t.Run(c.rate+" "+c.autoconfirm, func(t *testing.T) {
			t.Parallel()
			w := newPlace(t).start(t, env("GOTRUE_RATE_LIMIT_EMAIL_SENT", c.rate, autoConfirm, c.autoconfirm))
			require.NoError(t, w.err)
			for n, want := range c.want {
				require.Equal(t, want, recovery(w).String(), "mail %d", n)
				w.clock.Advance(1) // past the frequency of the tests
			}
		})
	}
}

// GoTrue's word for the usual life of a token.
func TestTokensOfNoLifeAtAll(t *testing.T) {
	w := newPlace(t).start(t, env("GOTRUE_JWT_EXP", "0"))
	require.NoError(t, w.err)
	w.member("a@example.com")
	require.Equal(t, "3600", w.signIn("a@example.com").field("expires_in"))
}
