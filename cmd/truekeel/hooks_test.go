package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const signingSecret = "v1,whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="

// refuser is a hook that refuses what is signed, with 403, and lets all else be.
type refuser struct {
	url   string
	calls atomic.Int32 // that were signed
}

func newRefuser(t *testing.T) *refuser {
	t.Helper()
	h := &refuser{}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Webhook-Signature") == "" {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		h.calls.Add(1)
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"error":{"http_code":403,"message":"No"}}`)
	}))
	t.Cleanup(srv.Close)
	h.url = srv.URL
	return h
}

// told waits until the server has told a hook of a new account, and reports whether it has.
func (h *refuser) told(w *world) string {
	before := h.calls.Load()
	w.signUp("a@example.com")
	_ = w.server.auth.Deliver(w.t.Context())
	if h.calls.Load() == before {
		_ = w.server.auth.Deliver(w.t.Context())
	}
	return strconv.FormatBool(h.calls.Load() > before)
}

func passwordStatus(w *world) string {
	w.signUp("a@example.com")
	return w.signIn("a@example.com").String()
}

func textStatus(w *world) string { return w.code(german, "").String() }

func started(*world) string { return "started" }

func hookEffects(t *testing.T) map[string]effect {
	out := map[string]effect{
		"GOTRUE_HOOK_ALLOW_PRIVATE": {value: "true", see: started, want: "started", env: env(
			"GOTRUE_HOOK_SEND_EMAIL_ENABLED", "true", "GOTRUE_HOOK_SEND_EMAIL_URI", "https://10.0.0.1/hook", "GOTRUE_HOOK_SEND_EMAIL_SECRETS", signingSecret)},
	}
	for point, see := range map[string]func(h *refuser) func(w *world) string{
		"CUSTOM_ACCESS_TOKEN":           func(*refuser) func(w *world) string { return signUpStatus },
		"SEND_EMAIL":                    func(*refuser) func(w *world) string { return signUpStatus },
		"SEND_SMS":                      func(*refuser) func(w *world) string { return textStatus },
		"BEFORE_USER_CREATED":           func(*refuser) func(w *world) string { return signUpStatus },
		"PASSWORD_VERIFICATION_ATTEMPT": func(*refuser) func(w *world) string { return passwordStatus },
		"AFTER_USER_CREATED":            func(h *refuser) func(w *world) string { return h.told },
	} {
		want := "403"
		if point == "AFTER_USER_CREATED" {
			want = "true"
		}
		for _, key := range []string{"ENABLED", "URI", "SECRETS"} {
			h := newRefuser(t) // its calls are those of one test: they run side by side
			all := map[string]string{"ENABLED": "true", "URI": h.url, "SECRETS": signingSecret}
			others := env(autoConfirm, strconv.FormatBool(point != "SEND_EMAIL"), "GOTRUE_EXTERNAL_PHONE_ENABLED", "true")
			for other, v := range all {
				if other != key {
					others["GOTRUE_HOOK_"+point+"_"+other] = v
				}
			}
			out["GOTRUE_HOOK_"+point+"_"+key] = effect{value: all[key], env: others, see: see(h), want: want}
		}
	}
	return out
}

// webhook notes what it hears, and does what a test wants.
type webhook struct {
	url    string
	calls  atomic.Int32
	signed atomic.Bool
}

func newWebhook(t *testing.T, status int, wait time.Duration) *webhook {
	t.Helper()
	h := &webhook{}
	end := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var in struct{ Event string }
		_ = json.NewDecoder(r.Body).Decode(&in)
		h.calls.Add(1)
		h.signed.Store(strings.Count(r.Header.Get("X-Webhook-Signature"), ".") == 2)
		if wait > 0 {
			select {
			case <-r.Context().Done():
			case <-time.After(wait):
			case <-end:
			}
		}
		w.WriteHeader(status)
	}))
	t.Cleanup(func() {
		close(end)
		srv.Close()
	})
	h.url = srv.URL
	return h
}

// attempts is how often the webhook is asked about a sign-up.
func (h *webhook) attempts(w *world) string {
	before := h.calls.Load()
	w.signUp("a@example.com")
	return strconv.Itoa(int(h.calls.Load() - before))
}

func webhookEffects(t *testing.T) map[string]effect {
	const url, events, private = "GOTRUE_WEBHOOK_URL", "GOTRUE_WEBHOOK_EVENTS", "GOTRUE_WEBHOOK_ALLOW_PRIVATE"
	counted := newWebhook(t, http.StatusForbidden, 0)
	refuses, accepts, slow := newWebhook(t, http.StatusForbidden, 0), newWebhook(t, http.StatusNoContent, 0), newWebhook(t, http.StatusNoContent, 3*time.Second)
	signed := func(w *world) string {
		w.signUp("a@example.com")
		return strconv.FormatBool(accepts.signed.Load())
	}
	return map[string]effect{
		url:                          {value: refuses.url, env: env(events, "validate", private, "true"), see: signUpStatus, want: "422"},
		events:                       {value: "validate", env: env(url, refuses.url, private, "true"), see: signUpStatus, want: "422"},
		private:                      {value: "true", env: env(url, refuses.url, events, "validate"), see: signUpStatus, want: "422"},
		"GOTRUE_WEBHOOK_SECRET":      {value: "secret", env: env(url, accepts.url, events, "validate", private, "true"), see: signed, want: "true"},
		"GOTRUE_WEBHOOK_RETRIES":     {value: "5", env: env(url, counted.url, events, "validate", private, "true"), see: counted.attempts, want: "5"},
		"GOTRUE_WEBHOOK_TIMEOUT_SEC": {value: "1", env: env(url, slow.url, events, "validate", private, "true", "GOTRUE_WEBHOOK_RETRIES", "1"), see: signUpStatus, want: "504"},
	}
}

// Hooks that can't be right are found before anything starts, all at once.
func TestHooksThatCanNotBeRight(t *testing.T) {
	text := fails(t, t.TempDir(), []string{
		"GOTRUE_HOOK_SEND_EMAIL_ENABLED=true", "GOTRUE_HOOK_SEND_EMAIL_URI=http://example.com/hush",
		"GOTRUE_HOOK_CUSTOM_ACCESS_TOKEN_ENABLED=true", "GOTRUE_HOOK_CUSTOM_ACCESS_TOKEN_URI=pg-functions://postgres/public/f",
		"GOTRUE_HOOK_BEFORE_USER_CREATED_ENABLED=true", "GOTRUE_HOOK_BEFORE_USER_CREATED_SECRETS=v1a,whpk_hush:whsk_hush",
		"GOTRUE_WEBHOOK_URL=ftp://hush", "GOTRUE_WEBHOOK_EVENTS=sign_up",
	}, "serve")
	for _, want := range []string{
		"GOTRUE_HOOK_SEND_EMAIL_URI: http is for localhost", "GOTRUE_HOOK_BEFORE_USER_CREATED_SECRETS: ", "key pairs",
		"GOTRUE_HOOK_CUSTOM_ACCESS_TOKEN_URI: pg-functions needs", "GOTRUE_HOOK_BEFORE_USER_CREATED_URI: it is missing",
		"GOTRUE_WEBHOOK_URL: ", `GOTRUE_WEBHOOK_EVENTS: "sign_up" is none of`,
	} {
		require.Contains(t, text, want)
	}
	require.NotContains(t, text, "hush")
}
