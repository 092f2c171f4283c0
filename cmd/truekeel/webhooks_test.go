package main

import (
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/truekeel/auth"
)

const hookSecret = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="

// receiver is the URL of a server that answers events with a status.
func receiver(t *testing.T, status int) string {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.Header.Get("webhook-signature"), "v1,") {
			t.Errorf("an event came without a signature")
		}
		w.WriteHeader(status)
	}))
	t.Cleanup(srv.Close)
	return srv.URL
}

// told signs somebody up, lets time pass, and gives something of his events.
func told(after time.Duration, say func(e auth.EventDelivery) string) func(w *world) string {
	return func(w *world) string {
		w.signUp("a@example.com")
		_ = w.server.auth.Deliver(w.t.Context()) // some receivers refuse
		w.clock.Advance(after)
		_ = w.server.auth.Deliver(w.t.Context())
		require.NoError(w.t, w.server.auth.Clean(w.t.Context()))
		list, err := w.server.auth.Webhooks().List(w.t.Context(), auth.WebhookList{Type: auth.EventUserCreated})
		require.NoError(w.t, err)
		out := strconv.Itoa(len(list))
		for _, e := range list {
			out += " " + say(e)
		}
		return out
	}
}

func eventEffects(t *testing.T) map[string]effect {
	const to, by = "GOTRUE_EVENT_WEBHOOK_URL", "GOTRUE_EVENT_WEBHOOK_SECRETS"
	state := func(e auth.EventDelivery) string { return string(e.State) }
	hook := func(status int) map[string]string { return env(to, receiver(t, status), by, hookSecret) }
	return map[string]effect{
		to:                                   {value: receiver(t, 204), env: env(by, hookSecret), see: told(0, state), want: "1 delivered"},
		by:                                   {value: hookSecret, env: env(to, receiver(t, 204)), see: told(0, state), want: "1 delivered"},
		"GOTRUE_EVENT_WEBHOOK_EVENTS":        {value: "user.deleted,user.banned", env: hook(204), see: told(0, state), want: "0"},
		"GOTRUE_EVENT_WEBHOOK_NAME":          {value: "crm", env: hook(204), see: told(0, func(e auth.EventDelivery) string { return e.Endpoint }), want: "1 crm"},
		"GOTRUE_EVENT_WEBHOOK_ALLOW_PRIVATE": {value: "true", env: env(to, "http://crm.internal:1/", by, hookSecret), see: func(w *world) string { return w.ask("GET", "/health", nil).String() }, want: "200"},
		"GOTRUE_EVENT_WEBHOOK_GIVE_UP_AFTER": {value: "1h", env: hook(500), see: told(2*time.Hour, state), want: "1 given_up"},
		"GOTRUE_EVENT_RETENTION":             {value: "1h", env: hook(204), see: told(2*time.Hour, state), want: "0"},
	}
}

func TestWebhooks(t *testing.T) {
	dir, failing := t.TempDir(), receiver(t, 500)
	vars := func(to string, more ...string) []string {
		return append([]string{"GOTRUE_EVENT_WEBHOOK_URL=" + to, "GOTRUE_EVENT_WEBHOOK_SECRETS=" + hookSecret, "GOTRUE_EVENT_WEBHOOK_EVENTS=user.created"}, more...)
	}
	impatient := vars(failing, "GOTRUE_EVENT_WEBHOOK_GIVE_UP_AFTER=1s")
	server := serve(t, dir, impatient)
	says(t, dir, impatient, "admin", "createuser", "ada@example.com", "secret-1")
	require.Eventually(t, func() bool {
		return strings.Contains(says(t, dir, impatient, "webhooks", "list"), "given_up")
	}, time.Minute, 100*time.Millisecond)
	server.stop()
	list := says(t, dir, vars(failing), "webhooks", "list", "--state", "given_up", "--type", "user.created", "--endpoint", "default", "--limit", "0")
	require.Contains(t, list, "status 500")
	fields := strings.Fields(strings.Split(list, "\n")[1])
	id, user := fields[0], fields[3]
	require.Contains(t, says(t, dir, vars(failing), "webhooks", "list", "--user", user), id)
	require.NotContains(t, says(t, dir, vars(failing), "webhooks", "list", "--state", "pending"), id)
	shown := says(t, dir, vars(failing), "webhooks", "show", id)
	require.Contains(t, shown, `"email": "ada@example.com"`)
	require.Contains(t, shown, "given_up")

	well := receiver(t, 204)
	server = serve(t, dir, vars(well))
	require.Contains(t, says(t, dir, vars(well), "webhooks", "redeliver", "--given-up"), id)
	require.Eventually(t, func() bool {
		return strings.Contains(says(t, dir, vars(well), "webhooks", "list", "--state", "delivered"), id)
	}, time.Minute, 100*time.Millisecond)
	server.stop()
	require.Contains(t, says(t, dir, vars(well), "webhooks", "redeliver", id), "redelivering "+id)
	// No server runs: the command has done it itself.
	require.Contains(t, says(t, dir, vars(well), "webhooks", "list", "--state", "delivered"), id)

	// One that can't be sent holds up no other.
	some := fails(t, dir, vars(well), "webhooks", "redeliver", "00000000-0000-4000-8000-000000000000", id)
	require.Contains(t, some, "no such webhook event")
	require.Contains(t, some, "redelivering "+id)

	require.Contains(t, fails(t, dir, vars(well), "webhooks", "redeliver"), "--given-up")
	require.Contains(t, fails(t, dir, vars(well), "webhooks", "redeliver", "x"), "no such webhook event")
	require.Contains(t, fails(t, dir, vars(well), "webhooks", "show", "00000000-0000-4000-8000-000000000000"), "no such webhook event")
	require.Contains(t, fails(t, dir, vars(well), "webhooks", "list", "--state", "odd"), "given_up")
	require.Contains(t, fails(t, dir, vars(well), "webhooks", "list", "--user", "odd"), "no id")
	require.Contains(t, fails(t, dir, nil, "webhooks", "redeliver", id), "isn't configured")
}
