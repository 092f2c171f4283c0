package auth_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/truekeel/auth"
)

// asked is a webhook. It checks signatures and keeps the events that it hears.
type asked struct {
	*httptest.Server
	mu     sync.Mutex
	events []string
	users  []map[string]any
	reply  func(w http.ResponseWriter, event string) // nil: 204
}

const webhookSecret = "a secret that two know"

func newAsked(t testing.TB, instance uuid.UUID) *asked {
	t.Helper()
	a := &asked{}
	a.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		var in struct {
			Event    string         `json:"event"`
			Instance uuid.UUID      `json:"instance_id"`
			User     map[string]any `json:"user"`
		}
		claims := jwt.MapClaims{}
		_, err := jwt.ParseWithClaims(r.Header.Get("X-Webhook-Signature"), claims, func(*jwt.Token) (any, error) { return []byte(webhookSecret), nil },
			jwt.WithValidMethods([]string{"HS256"}), jwt.WithIssuer("gotrue"), jwt.WithSubject(instance.String()))
		sum := sha256.Sum256(body)
		if err != nil || claims["sha256"] != hex.EncodeToString(sum[:]) || claims["iat"] == nil || json.Unmarshal(body, &in) != nil || in.Instance != instance {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		a.mu.Lock()
		a.events, a.users = append(a.events, in.Event), append(a.users, in.User)
		reply := a.reply
		a.mu.Unlock()
		if reply == nil {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		reply(w, in.Event)
	}))
	t.Cleanup(a.Close)
	return a
}

func (a *asked) does(reply func(w http.ResponseWriter, event string)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.reply, a.events, a.users = reply, nil, nil
}

func (a *asked) heard() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.events
}

// option asks it about everything.
func (a *asked) option(change ...func(*auth.Webhook)) auth.Option {
	w := auth.Webhook{
		URL: a.URL, Secret: webhookSecret, AllowPrivate: true,
		Events: []auth.WebhookEvent{auth.WebhookValidate, auth.WebhookSignUp, auth.WebhookLogin, auth.WebhookEmailChange},
	}
	for _, f := range change {
		f(&w)
	}
	return auth.WithWebhook(w)
}

func TestWebhook(t *testing.T) {
	id := uuid.New()
	hook := newAsked(t, id)
	d := open(t, hook.option(), auth.WithInstanceID(id), auth.WithSecureEmailChange(false))
	d.post("/signup", map[string]any{"email": "ada@example.com", "password": goodPassword, "data": map[string]any{"name": "Ada"}}).want(http.StatusOK, nil)
	require.Equal(t, []string{"validate"}, hook.heard())
	require.Equal(t, "ada@example.com", hook.users[0]["email"])

	hook.does(nil)
	code := d.LastMail("ada@example.com").Code()
	d.post("/verify", map[string]any{"type": "signup", "email": "ada@example.com", "token": code}).want(http.StatusOK, nil)
	require.Equal(t, []string{"signup"}, hook.heard())
	require.Len(t, hook.users[0]["identities"], 1)

	hook.does(nil)
	g := d.signIn("ada@example.com")
	require.Equal(t, []string{"login"}, hook.heard())

	hook.does(nil)
	d.post("/token?grant_type=refresh_token", map[string]any{"refresh_token": g.RefreshToken}).want(http.StatusOK, &g)
	require.Empty(t, hook.heard(), "a refresh is no sign-in")

	d.send(http.MethodPut, "/user", map[string]any{"email": "eva@example.com"}, bearer(g.AccessToken)).want(http.StatusOK, nil)
	require.Empty(t, hook.heard())
	code = d.LastMail("eva@example.com").Code()
	d.post("/verify", map[string]any{"type": "email_change", "email": "eva@example.com", "token": code}).want(http.StatusOK, nil)
	require.Contains(t, hook.heard(), "email_change")
}

func TestWebhookReplacesMetadata(t *testing.T) {
	hook := newAsked(t, uuid.Nil)
	d := open(t, hook.option())
	hook.does(func(w http.ResponseWriter, event string) {
		w.(http.Flusher).Flush() // an answer in chunks counts as well
		_, _ = io.WriteString(w, `{"user_metadata":{"by":"`+event+`"},"app_metadata":{"plan":"`+event+`","provider":"forged"}}`)
	})
	d.post("/signup", map[string]any{"email": "ada@example.com", "password": goodPassword, "data": map[string]any{"name": "Ada"}}).want(http.StatusOK, nil)
	made, err := d.Auth.Users().FindByEmail(t.Context(), "ada@example.com")
	require.NoError(t, err)
	require.Equal(t, "validate", made.UserMetadata.String("by"))
	require.NotContains(t, made.UserMetadata, "name", "the whole takes the place of the whole")
	require.Equal(t, "validate", made.AppMetadata.String("plan"))
	require.Equal(t, "email", made.AppMetadata.String("provider"), "what the library keeps there stays")

	code := d.LastMail("ada@example.com").Code()
	d.post("/verify", map[string]any{"type": "signup", "email": "ada@example.com", "token": code}).want(http.StatusOK, nil)
	g := d.signIn("ada@example.com")
	require.Equal(t, "login", g.User["user_metadata"].(map[string]any)["by"])
	require.Equal(t, "login", claimsIn(t, g.AccessToken)["app_metadata"].(map[string]any)["plan"])
}

func TestWebhookThatFails(t *testing.T) {
	hook := newAsked(t, uuid.Nil)
	d := open(t, hook.option(func(w *auth.Webhook) { w.Retries, w.Timeout = 2, time.Minute }), auth.WithRequestTimeout(time.Minute))
	d.post("/signup", map[string]any{"email": "ada@example.com", "password": goodPassword}).want(http.StatusOK, nil)
	code := d.LastMail("ada@example.com").Code()
	confirm := func() answer {
		return d.post("/verify", map[string]any{"type": "signup", "email": "ada@example.com", "token": code})
	}
	for name, c := range map[string]struct {
		reply  func(w http.ResponseWriter, event string)
		status int
		text   string
		calls  int
	}{
		"refuses": {func(w http.ResponseWriter, _ string) { w.WriteHeader(http.StatusForbidden) }, 422, "Failed to handle signup webhook", 2},
		"redirects": {func(w http.ResponseWriter, _ string) {
			w.Header().Set("Location", "http://169.254.169.254/")
			w.WriteHeader(http.StatusTemporaryRedirect)
		}, 422, "Failed to handle signup webhook", 2},
		"lies":   {func(w http.ResponseWriter, _ string) { _, _ = io.WriteString(w, "OK") }, 500, "Webhook returned malformed JSON", 1},
		"floods": {func(w http.ResponseWriter, _ string) { _, _ = io.WriteString(w, strings.Repeat(" ", 1<<20)) }, 500, "Webhook returned too much", 1},
		"large objects": {func(w http.ResponseWriter, _ string) {
			_, _ = io.WriteString(w, `{"user_metadata":{"x":"`+strings.Repeat("x", 20<<10)+`"}}`)
		}, 500, "Unexpected failure, please check server logs for more information", 1},
	} {
		t.Run(name, func(t *testing.T) {
			hook.does(c.reply)
			a := confirm().want(c.status, nil)
			require.Equal(t, c.text, a.object()["msg"])
			require.Len(t, hook.heard(), c.calls)
			u, err := d.Auth.Users().FindByEmail(t.Context(), "ada@example.com")
			require.NoError(t, err)
			require.True(t, u.EmailConfirmedAt.IsZero())
		})
	}
	hook.does(nil)
	confirm().want(http.StatusOK, nil) // the code is still good

	hook.Close()
	a := d.post("/token?grant_type=password", map[string]any{"email": "ada@example.com", "password": goodPassword})
	require.Equal(t, "Failed to connect to webhook", a.want(http.StatusBadGateway, nil).object()["msg"])
	require.Empty(t, a.Header.Values("x-sb-error-code"))
}

func TestWebhookThatHangs(t *testing.T) {
	var asked atomic.Int32
	silent := &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
		asked.Add(1)
		<-r.Context().Done()
		return nil, r.Context().Err()
	})}
	d := open(t, auth.WithHTTPClient(silent), auth.WithRequestTimeout(time.Minute), auth.WithWebhook(auth.Webhook{
		URL: "https://example.com/webhook", Events: []auth.WebhookEvent{auth.WebhookLogin}, Retries: 2, Timeout: 10 * time.Millisecond,
	}))
	d.confirmed("ada@example.com")
	a := d.password("ada@example.com", goodPassword).want(http.StatusGatewayTimeout, nil)
	require.Equal(t, "Failed to perform webhook in time frame", a.object()["msg"])
	require.EqualValues(t, 2, asked.Load())
}

// A link that the webhook fails leads back with the error.
func TestWebhookInARedirect(t *testing.T) {
	hook := newAsked(t, uuid.Nil)
	d := open(t, hook.option(), auth.WithDirectLinks())
	d.post("/signup", map[string]any{"email": "ada@example.com", "password": goodPassword}).want(http.StatusOK, nil)
	hook.does(func(w http.ResponseWriter, _ string) { w.WriteHeader(http.StatusForbidden) })
	_, query, _ := strings.Cut(d.LastMail("ada@example.com").Link(), "?")
	a := d.send(http.MethodGet, "/verify?"+query, nil).want(http.StatusSeeOther, nil)
	_, v := a.landing()
	require.Equal(t, "unknown", v.Get("error_code"))
	require.Equal(t, "Failed to handle signup webhook", v.Get("error_description"))
}

func TestOnlyTheEventsThatAreWanted(t *testing.T) {
	hook := newAsked(t, uuid.Nil)
	d := open(t, hook.option(func(w *auth.Webhook) { w.Events = []auth.WebhookEvent{auth.WebhookLogin} }))
	d.signUp("ada@example.com")
	require.Empty(t, hook.heard())
	d.signIn("ada@example.com")
	require.Equal(t, []string{"login"}, hook.heard())
}

func TestWebhookOnThePathOfTheSite(t *testing.T) {
	hook := newAsked(t, uuid.Nil)
	d := open(t, auth.WithSiteURL(hook.URL+"/app"), hook.option(func(w *auth.Webhook) { w.URL = "/hooks/auth" }))
	d.post("/signup", map[string]any{"email": "ada@example.com", "password": goodPassword}).want(http.StatusOK, nil)
	require.Equal(t, []string{"validate"}, hook.heard())
}
