package auth_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/require"

	"github.com/truekeel/auth"
)

const (
	eventSecret = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
	otherSecret = "whsec_Hx4dHBsaGRgXFhUUExIREA8ODQwLCgkIBwYFBAMCAQA="
)

// toldEvent is an event as a receiver gets it.
type toldEvent struct {
	ID        string
	Type      auth.EventType
	Timestamp time.Time
	Data      struct {
		User          map[string]any
		Changed       []string
		PreviousEmail string `json:"previous_email"`
		Identity      map[string]any
		Session       map[string]any
		SessionIDs    []string `json:"session_ids"`
	}
	Raw string
}

// receiver is a server that gets events, and answers as answer says (nil: 204).
type receiver struct {
	*httptest.Server
	mu     sync.Mutex
	got    []toldEvent // what was accepted or refused, in order
	answer func(w http.ResponseWriter, e toldEvent)
}

func receive(t testing.TB, secret string, answer func(w http.ResponseWriter, e toldEvent)) *receiver {
	t.Helper()
	r := &receiver{answer: answer}
	key, err := standardwebhooks.NewWebhook(secret)
	require.NoError(t, err)
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		body, _ := io.ReadAll(q.Body)
		if err := key.VerifyIgnoringTimestamp(body, q.Header); err != nil {
			t.Errorf("signature: %v", err)
		}
		e := toldEvent{ID: q.Header.Get("webhook-id"), Raw: string(body)}
		if err := json.Unmarshal(body, &e); err != nil {
			t.Errorf("body: %v", err)
		}
		r.mu.Lock()
		r.got = append(r.got, e)
		r.mu.Unlock()
		if r.answer != nil {
			r.answer(w, e)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	}))
	t.Cleanup(r.Close)
	return r
}

// take gives what has come since it was last asked.
func (r *receiver) take() []toldEvent {
	r.mu.Lock()
	defer r.mu.Unlock()
	got := r.got
	r.got = nil
	return got
}

func eventTypes(list []toldEvent) (out []string) {
	for _, e := range list {
		out = append(out, string(e.Type))
	}
	return out
}

// webhookTo is the option for a receiver.
func webhookTo(r *receiver, events ...auth.EventType) auth.Option {
	return auth.WithEventWebhook(auth.EventWebhook{URL: r.URL + "/hook?x=1", Secrets: []string{eventSecret}, Events: events})
}

// Each flow's change of an account is toldEvent, through either door, in order.
func TestEventsOfAnAccount(t *testing.T) {
	r := receive(t, eventSecret, nil)
	d := open(t, webhookTo(r), auth.WithoutAuditLog())
	ctx := t.Context()
	step := func(name string, want ...string) []toldEvent {
		t.Helper()
		require.NoError(t, d.Auth.Deliver(ctx))
		got := r.take()
		require.Equal(t, want, eventTypes(got), name)
		for _, e := range got {
			for _, secret := range []string{goodPassword, "$2", "refresh", "token"} {
				require.NotContains(t, e.Raw, secret, name)
			}
			require.NotEmpty(t, e.ID)
			require.NotEmpty(t, e.Data.User["id"])
		}
		return got
	}
	d.post("/signup", map[string]any{"email": "ada@example.com", "password": goodPassword, "data": map[string]any{"full_name": "Ada"}}).want(http.StatusOK, nil)
	created := step("sign-up", "user.created")[0]
	require.Equal(t, "ada@example.com", created.Data.User["email"])
	require.Equal(t, "Ada", created.Data.User["user_metadata"].(map[string]any)["full_name"])
	require.Len(t, created.Data.User["identities"], 1)
	require.NotContains(t, created.Data.User, "email_confirmed_at")

	code := d.LastMail("ada@example.com").Code()
	var tokens tokenAnswer
	d.post("/verify", map[string]any{"type": "signup", "email": "ada@example.com", "token": code}).want(http.StatusOK, &tokens)
	got := step("confirmation", "user.confirmed", "user.updated", "user.signed_in")
	require.Contains(t, got[1].Data.Changed, "email_confirmed_at")
	require.NotEmpty(t, got[2].Data.Session["id"])

	session := d.signIn("ada@example.com")
	got = step("sign-in", "user.signed_in")
	require.NotEmpty(t, got[0].Data.User["last_sign_in_at"])
	d.post("/token?grant_type=refresh_token", map[string]any{"refresh_token": session.RefreshToken}).want(http.StatusOK, &session)
	step("refresh")
	d.send(http.MethodPut, "/user", map[string]any{"data": map[string]any{"city": "London"}}, bearer(session.AccessToken)).want(http.StatusOK, nil)
	got = step("metadata", "user.updated")
	require.Equal(t, []string{"user_metadata"}, got[0].Data.Changed)
	d.send(http.MethodPut, "/user", map[string]any{"password": goodPassword + "!"}, bearer(session.AccessToken)).want(http.StatusOK, nil)
	got = step("password", "user.password_changed", "user.signed_out")
	require.Len(t, got[1].Data.SessionIDs, 1, "the other session")
	d.post("/logout", nil, bearer(session.AccessToken)).want(http.StatusNoContent, nil)
	step("sign-out", "user.signed_out")

	id := uuid.MustParse(created.Data.User["id"].(string))
	email := "countess@example.com"
	_, err := d.Auth.Users().Update(ctx, id, auth.Change{Email: &email})
	require.NoError(t, err)
	got = step("address", "user.email_changed", "user.updated")
	require.Equal(t, "ada@example.com", got[0].Data.PreviousEmail)
	require.Equal(t, email, got[0].Data.User["email"])
	require.NoError(t, d.Auth.Users().Ban(ctx, id, d.Clock.Now().Add(time.Hour)))
	step("ban", "user.banned", "user.updated")
	require.NoError(t, d.Auth.Users().Ban(ctx, id, time.Time{}))
	step("end of a ban", "user.unbanned", "user.updated")
	_, err = d.Auth.Users().Issue(ctx, id, "host")
	require.NoError(t, err)
	step("issue", "user.signed_in")
	require.NoError(t, d.Auth.Users().SoftDelete(ctx, id))
	got = step("soft deletion", "user.deleted")
	require.Equal(t, map[string]any{"id": id.String()}, got[0].Data.User)
	require.NoError(t, d.Auth.Users().Delete(ctx, id))
	step("deletion")
}
