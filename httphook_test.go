package auth_test

import (
	"context"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/require"

	"github.com/truekeel/auth"
	"github.com/truekeel/auth/internal/testdb"
	"github.com/truekeel/auth/mail"
	"github.com/truekeel/auth/tokens"
)

const hookSecret = "v1,whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="

// hookServer is a server of hooks. It checks signatures and keeps what it gets.
type hookServer struct {
	*httptest.Server
	t     testing.TB
	mu    sync.Mutex
	calls []map[string]any
	reply func(in map[string]any) (status int, body any) // nil: 200 {}
}

func newHookServer(t testing.TB) *hookServer {
	t.Helper()
	r := &hookServer{t: t}
	wh, err := standardwebhooks.NewWebhook(strings.TrimPrefix(hookSecret, "v1,"))
	require.NoError(t, err)
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, err := io.ReadAll(req.Body)
		if err != nil || wh.VerifyIgnoringTimestamp(body, req.Header) != nil {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		var in map[string]any
		if json.Unmarshal(body, &in) != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		r.mu.Lock()
		r.calls = append(r.calls, in)
		reply := r.reply
		r.mu.Unlock()
		status, out := http.StatusOK, any(map[string]any{})
		if reply != nil {
			status, out = reply(in)
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		if text, raw := out.(string); raw {
			_, _ = io.WriteString(w, text)
			return
		}
		_ = json.NewEncoder(w).Encode(out)
	}))
	t.Cleanup(r.Close)
	return r
}

// hook is the option that asks the receiver at a point.
func (r *hookServer) hook(p auth.HookPoint) auth.Option {
	return auth.WithHTTPHook(p, auth.HTTPHook{URI: r.URL, Secrets: []string{hookSecret}})
}

// does sets the replies from now on, and forgets the calls.
func (r *hookServer) does(reply func(in map[string]any) (int, any)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.reply, r.calls = reply, nil
}

func (r *hookServer) all() []map[string]any {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.calls
}

// last is the one call since does.
func (r *hookServer) last() map[string]any {
	r.t.Helper()
	calls := r.all()
	require.Len(r.t, calls, 1)
	return calls[0]
}

// says replies with one answer always.
func says(status int, body any) func(map[string]any) (int, any) {
	return func(map[string]any) (int, any) { return status, body }
}

// refuses is the reply of a hook that says no.
func refuses(status int, text string) func(map[string]any) (int, any) {
	return says(http.StatusOK, map[string]any{"error": map[string]any{"http_code": status, "message": text}})
}

// wantMeta checks the metadata of a call.
func wantMeta(t testing.TB, d *door, in map[string]any, name string) {
	t.Helper()
	meta, _ := in["metadata"].(map[string]any)
	require.Equal(t, name, meta["name"])
	_, err := uuid.Parse(meta["uuid"].(string))
	require.NoError(t, err)
	at, err := time.Parse(time.RFC3339Nano, meta["time"].(string))
	require.NoError(t, err)
	require.WithinDuration(t, d.Clock.Now(), at, time.Minute)
	require.Equal(t, "127.0.0.1", meta["ip_address"])
}

func TestBeforeUserCreatedElsewhere(t *testing.T) {
	r := newHookServer(t)
	d := open(t, r.hook(auth.HookBeforeUserCreated))
	signUp := func() answer {
		return d.post("/signup", map[string]any{"email": "ada@example.com", "password": goodPassword, "data": map[string]any{"name": "Ada"}})
	}
	r.does(refuses(http.StatusForbidden, "Not you"))
	a := signUp().want(http.StatusForbidden, nil)
	require.Equal(t, map[string]any{"code": 403.0, "error_code": "unknown", "msg": "Not you"}, a.object())
	require.Empty(t, a.Header.Values("x-sb-error-code"))

	in := r.last()
	wantMeta(t, d, in, "before-user-created")
	u := in["user"].(map[string]any)
	require.Equal(t, "", u["role"])
	require.Equal(t, []any{}, u["identities"])
	require.Equal(t, "0001-01-01T00:00:00Z", u["created_at"])
	require.Equal(t, "0001-01-01T00:00:00Z", u["updated_at"])
	require.Equal(t, "ada@example.com", u["email"])
	require.Equal(t, "Ada", u["user_metadata"].(map[string]any)["name"])

	r.does(refuses(0, "Broken"))
	require.Equal(t, map[string]any{"code": "unexpected_failure", "message": "Broken"}, d.post("/signup",
		map[string]any{"email": "ada@example.com", "password": goodPassword}, versioned()).want(http.StatusInternalServerError, nil).object())

	for name, c := range map[string]struct {
		reply  func(map[string]any) (int, any)
		status int
		code   string
	}{
		"nonsense":     {says(200, "["), 500, "unexpected_failure"},
		"no such page": {says(404, "{}"), 500, "unexpected_failure"},
		"too much":     {says(200, strings.Repeat(" ", 300<<10)), 422, "hook_payload_over_size_limit"},
	} {
		t.Run(name, func(t *testing.T) {
			r.does(c.reply)
			signUp().wantFault(c.status, c.code)
			require.Len(t, r.all(), 1)
			_, err := d.Auth.Users().FindByEmail(t.Context(), "ada@example.com")
			require.ErrorIs(t, err, &auth.Error{Code: "user_not_found"})
		})
	}

	r.does(says(http.StatusNoContent, ""))
	var made map[string]any
	signUp().want(http.StatusOK, &made)
	require.Equal(t, r.last()["user"].(map[string]any)["id"], made["id"], "the id is the one that the account gets")
}

func TestHooksThatHang(t *testing.T) {
	release := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	defer srv.Close()
	defer close(release)
	d := open(t, auth.WithHTTPHook(auth.HookBeforeUserCreated, auth.HTTPHook{URI: srv.URL, InsecureUnsigned: true, Timeout: 50 * time.Millisecond}))
	a := d.post("/signup", map[string]any{"email": "ada@example.com", "password": goodPassword}).wantFault(http.StatusUnprocessableEntity, "hook_timeout")
	require.Equal(t, "Failed to reach hook within maximum time of 0.050000 seconds", a.object()["msg"])
	_, err := d.Auth.Users().FindByEmail(t.Context(), "ada@example.com")
	require.ErrorIs(t, err, &auth.Error{Code: "user_not_found"})
}

func TestAfterUserCreatedElsewhere(t *testing.T) {
	r := newHookServer(t)
	d := open(t, r.hook(auth.HookAfterUserCreated), auth.WithAutoConfirm(true))
	r.does(says(http.StatusInternalServerError, "{}"))
	u, err := d.Auth.Users().Create(t.Context(), auth.NewUser{Email: "ada@example.com", EmailConfirmed: true})
	require.NoError(t, err)
	_ = d.Auth.Deliver(t.Context()) // if the worker was first, it failed there
	first := r.all()[0]

	r.does(nil)
	d.Clock.Advance(time.Hour)
	require.NoError(t, d.Auth.Deliver(t.Context()))
	in := r.all()[0]
	require.Equal(t, first["metadata"].(map[string]any)["uuid"], in["metadata"].(map[string]any)["uuid"], "it is the same that is told again")
	require.Equal(t, "after-user-created", in["metadata"].(map[string]any)["name"])
	user := in["user"].(map[string]any)
	require.Equal(t, u.ID.String(), user["id"])
	require.Equal(t, "authenticated", user["role"])
	require.Len(t, user["identities"], 1)

	r.does(refuses(http.StatusBadRequest, "don't care"))
	d.post("/signup", map[string]any{"email": "bob@example.com", "password": goodPassword}).want(http.StatusOK, nil)
	_ = d.Auth.Deliver(t.Context()) // if the worker was first, it failed there
	d.Clock.Advance(time.Hour)
	_ = d.Auth.Deliver(t.Context())
	r.last() // a refusal isn't told again
}

func TestCustomAccessTokenElsewhere(t *testing.T) {
	r := newHookServer(t)
	d := open(t, r.hook(auth.HookCustomAccessToken))
	echo := func(change func(claims map[string]any)) func(map[string]any) (int, any) {
		return func(in map[string]any) (int, any) {
			claims := in["claims"].(map[string]any)
			change(claims)
			return http.StatusOK, map[string]any{"claims": claims}
		}
	}
	r.does(echo(func(c map[string]any) { c["tenant"] = "acme"; delete(c, "amr") }))
	g := d.signUp("ada@example.com")
	in := r.last()
	wantMeta(t, d, in, "customize-access-token")
	require.Equal(t, "otp", in["authentication_method"])
	claims := in["claims"].(map[string]any)
	require.Equal(t, []any{"authenticated"}, claims["aud"])
	require.Equal(t, in["user_id"], claims["sub"])
	require.Equal(t, "acme", claimsIn(t, g.AccessToken)["tenant"])
	require.NotEmpty(t, claimsIn(t, g.AccessToken)["amr"])

	r.does(echo(func(map[string]any) {}))
	require.Nil(t, claimsIn(t, d.signIn("ada@example.com").AccessToken)["tenant"])
	require.Equal(t, "password", r.last()["authentication_method"])

	refresh := func(token string) answer {
		return d.post("/token?grant_type=refresh_token", map[string]any{"refresh_token": token})
	}
	for name, reply := range map[string]func(map[string]any) (int, any){
		"role was changed":         echo(func(c map[string]any) { c["role"] = "service_role" }),
		"sub was changed":          echo(func(c map[string]any) { c["sub"] = uuid.NewString() }),
		"exp was changed":          echo(func(c map[string]any) { c["exp"] = 4102444800 }),
		"aal was changed":          echo(func(c map[string]any) { c["aal"] = "aal2" }),
		"session_id is required":   echo(func(c map[string]any) { delete(c, "session_id") }),
		"is_anonymous is required": says(200, map[string]any{}),
	} {
		t.Run(name, func(t *testing.T) {
			r.does(reply)
			a := refresh(g.RefreshToken).wantFault(http.StatusInternalServerError, "unexpected_failure")
			require.Contains(t, a.object()["msg"], name)
		})
	}
	r.does(refuses(http.StatusForbidden, "No token today"))
	require.Equal(t, "No token today", refresh(g.RefreshToken).want(http.StatusForbidden, nil).object()["msg"])

	r.does(echo(func(c map[string]any) { c["n"] = 1 }))
	var again tokenAnswer
	refresh(g.RefreshToken).want(http.StatusOK, &again)
	require.Equal(t, "token_refresh", r.last()["authentication_method"])
	require.EqualValues(t, 1, claimsIn(t, again.AccessToken)["n"])
}

// A hook that answers who came last first says of each what is his.
func TestHookThatAnswersOutOfOrder(t *testing.T) {
	r := newHookServer(t)
	d := open(t, r.hook(auth.HookCustomAccessToken))
	d.confirmed("ada@example.com")
	d.confirmed("bob@example.com")
	asked, answered := make(chan struct{}), make(chan struct{})
	r.does(func(in map[string]any) (int, any) {
		claims := in["claims"].(map[string]any)
		if claims["email"] == "ada@example.com" {
			close(asked)
			<-answered
		}
		claims["of"] = claims["email"]
		return http.StatusOK, map[string]any{"claims": claims}
	})
	first := make(chan tokenAnswer)
	go func() {
		var in tokenAnswer
		a := d.password("ada@example.com", goodPassword)
		_ = json.Unmarshal(a.Body, &in)
		first <- in
	}()
	<-asked
	bob := d.signIn("bob@example.com")
	close(answered)
	ada := <-first
	for email, in := range map[string]tokenAnswer{"ada@example.com": ada, "bob@example.com": bob} {
		claims := claimsIn(t, in.AccessToken)
		require.Equal(t, email, claims["of"])
		require.Equal(t, email, claims["email"])
	}
}

// A hook changes what tokens tell of the metadata, not the metadata.
func TestMetadataInTokensElsewhere(t *testing.T) {
	r := newHookServer(t)
	d := open(t, r.hook(auth.HookCustomAccessToken))
	says := func(plan string) func(map[string]any) (int, any) {
		return func(in map[string]any) (int, any) {
			claims := in["claims"].(map[string]any)
			app := claims["app_metadata"].(map[string]any)
			if _, told := app["plan"]; told {
				return http.StatusTeapot, nil // what one token told is no part of the next
			}
			app["plan"], claims["user_metadata"] = plan, map[string]any{}
			return http.StatusOK, map[string]any{"claims": claims}
		}
	}
	check := func(g tokenAnswer, plan string) {
		t.Helper()
		claims := claimsIn(t, g.AccessToken)
		require.Equal(t, map[string]any{"provider": "email", "providers": []any{"email"}, "plan": plan}, claims["app_metadata"])
		require.Equal(t, map[string]any{}, claims["user_metadata"])
		require.NotContains(t, g.User["app_metadata"], "plan", "the answer tells what is stored")
		var u map[string]any
		d.send(http.MethodGet, "/user", nil, bearer(g.AccessToken)).want(http.StatusOK, &u)
		require.NotContains(t, u["app_metadata"], "plan")
		require.Equal(t, "ada@example.com", u["user_metadata"].(map[string]any)["email"])
	}
	r.does(says("free"))
	d.signUp("ada@example.com")
	g := d.signIn("ada@example.com")
	check(g, "free")
	r.does(says("gold"))
	d.post("/token?grant_type=refresh_token", map[string]any{"refresh_token": g.RefreshToken}).want(http.StatusOK, &g)
	check(g, "gold")
}

// claimsIn reads a token's payload.
func claimsIn(t testing.TB, token string) map[string]any {
	t.Helper()
	parts := strings.Split(token, ".")
	require.Len(t, parts, 3)
	raw, err := base64.RawURLEncoding.DecodeString(parts[1])
	require.NoError(t, err)
	var out map[string]any
	require.NoError(t, json.Unmarshal(raw, &out))
	return out
}

func TestPasswordVerificationElsewhere(t *testing.T) {
	r := newHookServer(t)
	d := open(t, r.hook(auth.HookPasswordVerification))
	u := d.signUp("ada@example.com")
	try := func(password string) answer {
		return d.post("/token?grant_type=password", map[string]any{"email": "ada@example.com", "password": password})
	}
	r.does(says(200, map[string]any{"decision": "continue"}))
	try(goodPassword).want(http.StatusOK, nil)
	in := r.last()
	wantMeta(t, d, in, "password-verification")
	require.Equal(t, u.User["id"], in["user_id"])
	require.Equal(t, true, in["valid"])
	r.does(says(200, map[string]any{"decision": "continue"}))
	try("wrong password").wantFault(http.StatusBadRequest, "invalid_credentials")
	require.Equal(t, false, r.last()["valid"])

	r.does(says(200, map[string]any{"decision": "reject", "message": "Too often", "should_logout_user": true}))
	require.Equal(t, "Too often", try(goodPassword).wantFault(http.StatusBadRequest, "invalid_credentials").object()["msg"])
	d.send(http.MethodGet, "/user", nil, bearer(u.AccessToken)).wantFault(http.StatusForbidden, "session_not_found")

	for _, reply := range []any{map[string]any{}, map[string]any{"decision": "REJECT"}, map[string]any{"decision": 1}, "nonsense"} {
		r.does(says(200, reply))
		try(goodPassword).wantFault(http.StatusInternalServerError, "unexpected_failure")
	}
}

func TestSendEmailElsewhere(t *testing.T) {
	for name, delivery := range map[string][]auth.Option{"outbox": nil, "sync": {auth.WithSyncDelivery()}} {
		t.Run(name, func(t *testing.T) {
			r := newHookServer(t)
			d := open(t, append(delivery, r.hook(auth.HookSendEmail), auth.WithSiteURL("https://app.example.com"), auth.WithExternalURL("https://api.example.com/auth"))...)
			r.does(nil)
			d.post("/signup", map[string]any{"email": "ada@example.com", "password": goodPassword}).want(http.StatusOK, nil)
			require.NoError(t, d.Auth.Deliver(t.Context()))
			in := r.last()
			require.Equal(t, "send-email", in["metadata"].(map[string]any)["name"])
			require.Equal(t, "ada@example.com", in["user"].(map[string]any)["email"])
			data := in["email_data"].(map[string]any)
			require.Equal(t, "signup", data["email_action_type"])
			require.Equal(t, "https://api.example.com/auth", data["site_url"])
			require.Equal(t, "https://app.example.com", data["redirect_to"])
			for _, key := range []string{"token_new", "token_hash_new", "old_email", "old_phone", "provider", "factor_type"} {
				require.Equal(t, "", data[key], key)
			}
			require.Empty(t, d.Mail.Messages())
			var g tokenAnswer
			d.post("/verify", map[string]any{"type": "signup", "token_hash": data["token_hash"]}).want(http.StatusOK, &g)

			r.does(nil)
			d.send(http.MethodPut, "/user", map[string]any{"email": "eva@example.com"}, bearer(g.AccessToken)).want(http.StatusOK, nil)
			require.NoError(t, d.Auth.Deliver(t.Context()))
			data = r.last()["email_data"].(map[string]any)
			require.Equal(t, "email_change", data["email_action_type"])
			require.Equal(t, "", data["old_email"])
			require.Equal(t, "eva@example.com", r.last()["user"].(map[string]any)["new_email"])
			// The code for the present address comes with the hash for the new one.
			d.post("/verify", map[string]any{"type": "email_change", "email": "ada@example.com", "token": data["token"]}).want(http.StatusOK, nil)
			d.post("/verify", map[string]any{"type": "email_change", "token_hash": data["token_hash_new"]}).want(http.StatusForbidden, nil)
			d.post("/verify", map[string]any{"type": "email_change", "token_hash": data["token_hash"]}).want(http.StatusOK, &g)
			require.Equal(t, "eva@example.com", g.User["email"])
		})
	}
}

func TestSendEmailThatRefuses(t *testing.T) {
	r := newHookServer(t)
	d := open(t, r.hook(auth.HookSendEmail), auth.WithSyncDelivery())
	d.post("/signup", map[string]any{"email": "ada@example.com", "password": goodPassword}).want(http.StatusOK, nil)
	d.post("/verify", map[string]any{"type": "signup", "email": "ada@example.com", "token": r.last()["email_data"].(map[string]any)["token"]}).want(http.StatusOK, nil)
	d.Clock.Advance(time.Hour)

	r.does(refuses(http.StatusTooManyRequests, "No more mails"))
	a := d.post("/recover", map[string]any{"email": "ada@example.com"}).want(http.StatusTooManyRequests, nil)
	require.Equal(t, "No more mails", a.object()["msg"])
	r.does(nil)
	d.post("/recover", map[string]any{"email": "ada@example.com"}).want(http.StatusOK, nil)
	require.Equal(t, "recovery", r.last()["email_data"].(map[string]any)["email_action_type"])

	// Whether an address has an account isn't told by a mail that can't be sent.
	r.does(refuses(http.StatusBadRequest, "what is account_exists"))
	d.Clock.Advance(time.Hour)
	d.post("/signup", map[string]any{"email": "ada@example.com", "password": goodPassword}).want(http.StatusOK, nil)
	require.Equal(t, "account_exists", r.last()["email_data"].(map[string]any)["email_action_type"])
}

// Where nobody waits for it, a mail is tried again that a hook couldn't send, whatever it
// says.
func TestSendEmailIsRepeated(t *testing.T) {
	r := newHookServer(t)
	d := open(t, r.hook(auth.HookSendEmail))
	sign := func() {
		d.post("/signup", map[string]any{"email": "ada@example.com", "password": goodPassword}).want(http.StatusOK, nil)
	}
	sign()
	require.NoError(t, d.Auth.Deliver(t.Context()))
	d.post("/verify", map[string]any{"type": "signup", "email": "ada@example.com", "token": r.last()["email_data"].(map[string]any)["token"]}).want(http.StatusOK, nil)
	d.Clock.Advance(time.Hour)

	r.does(says(http.StatusServiceUnavailable, map[string]any{}))
	sign()
	_ = d.Auth.Deliver(t.Context())
	require.NotEmpty(t, r.all())
	r.does(nil)
	d.Clock.Advance(time.Hour)
	require.NoError(t, d.Auth.Deliver(t.Context()))
	require.Equal(t, "account_exists", r.last()["email_data"].(map[string]any)["email_action_type"])
}

func TestSendSMSElsewhere(t *testing.T) {
	r := newHookServer(t)
	d := open(t, r.hook(auth.HookSendSMS), auth.WithSyncDelivery())
	signUp := func() answer {
		return d.post("/signup", map[string]any{"phone": "+4915112345678", "password": goodPassword})
	}
	r.does(refuses(http.StatusTooManyRequests, "No more messages"))
	require.Equal(t, "No more messages", signUp().want(http.StatusTooManyRequests, nil).object()["msg"])
	r.does(nil)
	d.Clock.Advance(time.Hour)
	signUp().want(http.StatusOK, nil)
	in := r.last()
	require.Equal(t, "send-sms", in["metadata"].(map[string]any)["name"])
	require.Equal(t, "4915112345678", in["user"].(map[string]any)["phone"])
	text := in["sms"].(map[string]any)
	require.Equal(t, "4915112345678", text["phone"])
	require.NotContains(t, text, "sms_type")
	d.post("/verify", map[string]any{"type": "sms", "phone": "+4915112345678", "token": text["otp"]}).want(http.StatusOK, nil)
}

// A message that a hook couldn't send is told of again as the same.
func TestSendSMSIsRepeated(t *testing.T) {
	r := newHookServer(t)
	d := open(t, r.hook(auth.HookSendSMS))
	var ids []any
	tell := func(reply func(map[string]any) (int, any)) {
		r.does(reply)
		d.post("/signup", map[string]any{"phone": phone(len(ids)), "password": goodPassword}).want(http.StatusOK, nil)
		for range 2 {
			d.attempt()
			d.Clock.Advance(30 * time.Second)
		}
		for _, in := range r.all() {
			ids = append(ids, in["metadata"].(map[string]any)["uuid"])
		}
	}
	tell(says(http.StatusInternalServerError, "{}"))
	require.Greater(t, len(ids), 1)
	for _, id := range ids {
		require.Equal(t, ids[0], id)
	}
	tell(nil)
	require.True(t, slices.ContainsFunc(ids, func(id any) bool { return id != ids[0] }), "another message is another")
}

func TestFunctionsInTheDatabase(t *testing.T) {
	hook := auth.WithHTTPHook(auth.HookCustomAccessToken, auth.HTTPHook{URI: "pg-functions://postgres/public/nothing"})
	if database != "postgres" {
		_, err := auth.New(auth.WithStore(fresh(t)), hook)
		require.ErrorContains(t, err, "auth: WithHTTPHook: custom_access_token: pg-functions needs the PostgreSQL store")
		return
	}
	d := open(t, hook)
	d.post("/signup", map[string]any{"email": "ada@example.com", "password": goodPassword}).want(http.StatusOK, nil)
	code := d.LastMail("ada@example.com").Code()
	d.post("/verify", map[string]any{"type": "signup", "email": "ada@example.com", "token": code}).wantFault(http.StatusInternalServerError, "unexpected_failure")
}

// A function of the database is found, and called, also where what happens in the store is
// watched.
func TestFunctionsBesideEvents(t *testing.T) {
	if database != "postgres" {
		t.Skipf("about functions of PostgreSQL, not about %s", database)
	}
	schema := testdb.PostgresSchema(t, testdb.PostgresDSN(t))
	pool, err := sql.Open("pgx", testdb.PostgresDSN(t))
	require.NoError(t, err)
	defer pool.Close()
	_, err = pool.ExecContext(t.Context(), `CREATE SCHEMA `+schema+`;
		CREATE FUNCTION `+schema+`.claims(event jsonb) RETURNS jsonb LANGUAGE sql AS
		$$ SELECT jsonb_build_object('claims', event->'claims' || '{"team": "blue"}') $$`)
	require.NoError(t, err)
	r := receive(t, eventSecret, nil)
	d := open(t, webhookTo(r), auth.WithHTTPHook(auth.HookCustomAccessToken, auth.HTTPHook{URI: "pg-functions://postgres/" + schema + "/claims"}))
	in := d.signUp("ada@example.com")
	require.Equal(t, "blue", claimsIn(t, in.AccessToken)["team"])
	d.Deliver()
	require.Equal(t, []string{"user.created", "user.confirmed", "user.updated", "user.signed_in"}, eventTypes(r.take()))
}

// One hook a point, wherever it is.
func TestTwoHooksForOnePoint(t *testing.T) {
	inGo := auth.WithHooks(auth.Hooks{
		BeforeUserCreated:    func(context.Context, auth.Account) error { return nil },
		AfterUserCreated:     func(context.Context, string, auth.Account) error { return nil },
		CustomAccessToken:    func(context.Context, auth.Account, *tokens.Claims) error { return nil },
		SendMail:             func(context.Context, mail.Event) error { return nil },
		PasswordVerification: func(context.Context, auth.PasswordAttempt) (d auth.PasswordDecision, err error) { return d, nil },
	})
	for _, p := range []auth.HookPoint{auth.HookBeforeUserCreated, auth.HookAfterUserCreated, auth.HookCustomAccessToken, auth.HookSendEmail, auth.HookPasswordVerification} {
		_, err := auth.New(auth.WithStore(fresh(t)), inGo, elsewhere(p))
		require.ErrorContains(t, err, "auth: WithHTTPHook: "+string(p)+": there is a hook in Go for the same point")
	}
	for name, c := range map[string]struct {
		opts []auth.Option
		want string
	}{
		"twice":        {opts(elsewhere(auth.HookSendEmail), elsewhere(auth.HookSendEmail)), "already"},
		"mailer":       {opts(auth.WithMailer(mail.SMTP{Host: "localhost", From: "a@example.com"}), elsewhere(auth.HookSendEmail)), "WithMailer and WithHTTPHook"},
		"other secret": {opts(auth.WithHTTPHook(auth.HookSendEmail, auth.HTTPHook{URI: "https://example.com"})), "there is no secret"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := auth.New(append(c.opts, auth.WithStore(fresh(t)))...)
			require.ErrorContains(t, err, c.want)
		})
	}
}

func elsewhere(p auth.HookPoint) auth.Option {
	return auth.WithHTTPHook(p, auth.HTTPHook{URI: "https://example.com/hook", Secrets: []string{hookSecret}})
}
