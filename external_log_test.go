package auth_test

import (
	"log/slog"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/truekeel/auth"
	"github.com/truekeel/auth/providers"
)

// TestProviderLogsNoSecret: whatever is logged of good and bad ways back, nothing in it
// opens anything.
func TestProviderLogsNoSecret(t *testing.T) {
	log := &sink{}
	w := openTown(t, auth.WithLogger(slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))))
	b := w.browser()
	known := []string{"token-of-1", "refresh-of-1"}
	collect := func() {
		sent := w.acme.last()
		known = append(known, sent.State, sent.Nonce, sent.Verifier, "code-"+sent.State)
	}
	v := b.wantIn(b.in(w.acme, w.acme.someone("1", "ada@example.com", true)))
	known = append(known, v.Get("access_token"), v.Get("refresh_token"))
	collect()
	for _, kind := range []error{providers.ErrExchange, providers.ErrProfile, providers.ErrUnreachable} {
		state := b.leave(url.Values{"provider": {"acme"}}).Query().Get("state")
		w.acme.failsWith("code-"+state, kind)
		b.comeBack(url.Values{"state": {state}, "code": {"code-" + state}})
		collect()
	}
	b.in(w.acme, w.acme.someone("", "ada@example.com", true))
	collect()
	cookies, err := url.Parse(w.url + "/callback")
	require.NoError(t, err)
	for _, c := range b.client.Jar.Cookies(cookies) {
		known = append(known, c.Value)
	}
	text := log.String()
	require.Contains(t, text, "code exchange failed", "what is logged tells what went wrong")
	for _, s := range known {
		require.False(t, strings.Contains(text, s), "the log has the secret %q", s)
	}
}
