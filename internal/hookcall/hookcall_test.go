package hookcall

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/require"

	"github.com/truekeel/auth/fault"
	"github.com/truekeel/auth/internal/caller"
	"github.com/truekeel/auth/internal/outbound"
	"github.com/truekeel/auth/mail"
)

const secret = "v1,whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="

// receive starts a server on loopback.
func receive(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	return srv.URL
}

// hook makes a hook that doesn't wait between attempts.
func hook(t *testing.T, uri string, change ...func(*Config)) *Hook {
	t.Helper()
	target, err := ParseTarget(uri)
	require.NoError(t, err)
	c := Config{
		Point: BeforeUserCreated, Target: target, Secrets: []string{secret}, Now: time.Now,
		Pause: func(context.Context, time.Duration) {},
	}
	for _, f := range change {
		f(&c)
	}
	h, err := New(c)
	require.NoError(t, err)
	t.Cleanup(h.Close)
	return h
}

// wantFault checks an error as a client would see it.
func wantFault(t *testing.T, err error, status int, code fault.Code, text string) {
	t.Helper()
	var f *fault.Error
	require.ErrorAs(t, err, &f)
	require.Equal(t, code, f.Code)
	require.Equal(t, text, f.Message)
	require.Equal(t, status, f.Status)
}

func write(status int, contentType, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

const (
	jsonType = "application/json"
	wordless = "The request was refused by a hook"
)

func TestAnswers(t *testing.T) {
	bomb := func() []byte {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		for range 4 {
			_, _ = z.Write(make([]byte, 1<<20))
		}
		_ = z.Close()
		return b.Bytes()
	}()
	for name, c := range map[string]struct {
		answer  http.HandlerFunc
		code    fault.Code // "" is success
		status  int
		message string
	}{
		"200":               {answer: write(200, jsonType, `{"x":1}`)},
		"200 with charset":  {answer: write(200, "Application/JSON; charset=utf-8", `{}`)},
		"202":               {answer: write(202, jsonType, `{}`)},
		"204":               {answer: func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) }},
		"200 without body":  {answer: write(200, jsonType, ``)},
		"an empty error":    {answer: write(200, jsonType, `{"error":{"http_code":0,"message":""}}`)},
		"an empty object":   {answer: write(200, jsonType, `{"error":{}}`)},
		"no error at all":   {answer: write(200, jsonType, `{"error":{"http_code":200,"message":""}}`)},
		"without words":     {write(200, jsonType, `{"error":{"http_code":403}}`), fault.Unknown, 403, wordless},
		"with empty words":  {write(200, jsonType, `{"error":{"http_code":429,"message":""}}`), fault.Unknown, 429, wordless},
		"with odd words":    {write(200, jsonType, `{"error":{"http_code":403,"message":"\u0000"}}`), fault.Unknown, 403, wordless},
		"with no status":    {write(200, jsonType, `{"error":{"http_code":1}}`), fault.Unknown, 500, wordless},
		"a null error":      {answer: write(200, jsonType, `{"error":null}`)},
		"a refusal":         {write(200, jsonType, `{"error":{"http_code":403,"message":"not you"}}`), fault.Unknown, 403, "not you"},
		"a refusal by 202":  {write(202, jsonType, `{"error":{"http_code":429,"message":"slow"}}`), fault.Unknown, 429, "slow"},
		"without a status":  {write(200, jsonType, `{"error":{"message":"no"}}`), fault.Unknown, 500, "no"},
		"with success":      {write(200, jsonType, `{"error":{"http_code":200,"message":"no"}}`), fault.Unknown, 500, "no"},
		"with nonsense":     {write(200, jsonType, `{"error":{"http_code":70000,"message":"no\u0000\u001b"}}`), fault.Unknown, 500, "no"},
		"an error of words": {write(200, jsonType, `{"error":"no"}`), fault.UnexpectedFailure, 0, errRefusal.Message},
		"a status of words": {write(200, jsonType, `{"error":{"http_code":"403","message":"no"}}`), fault.UnexpectedFailure, 0, errRefusal.Message},
		"garbage":           {write(200, jsonType, "\x00\xff{"), fault.UnexpectedFailure, 0, errNoJSON.Message},
		"an array":          {write(200, jsonType, `[]`), fault.UnexpectedFailure, 0, errNoJSON.Message},
		"half an object":    {write(200, jsonType, `{"error":`), fault.UnexpectedFailure, 0, errNoJSON.Message},
		"HTML":              {write(200, "text/html", `<p>`), fault.HookPayloadInvalidContentType, 0, "Invalid JSON response. Received content-type: text/html"},
		"no type":           {write(200, "", `{}`), fault.HookPayloadInvalidContentType, 0, "Invalid JSON response. Received content-type: "},
		"the largest":       {answer: write(200, jsonType, `{"x":"`+strings.Repeat("x", MaxAnswer-8)+`"}`)},
		"too large":         {write(200, jsonType, `{"x":"`+strings.Repeat("x", MaxAnswer-7)+`"}`), fault.HookPayloadOverSizeLimit, 0, "Payload size exceeded size limit of 204800 bytes"},
		"ten megabytes":     {write(200, jsonType, strings.Repeat(" ", 10<<20)), fault.HookPayloadOverSizeLimit, 0, "Payload size exceeded size limit of 204800 bytes"},
		"a gzip bomb": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", jsonType)
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = w.Write(bomb)
		}, fault.UnexpectedFailure, 0, errNoJSON.Message},
		"in chunks": {answer: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", jsonType)
			for _, c := range `{"x": 1}` {
				_, _ = fmt.Fprintf(w, "%c", c)
				w.(http.Flusher).Flush()
			}
		}},
		"400":                {write(400, jsonType, `{}`), fault.UnexpectedFailure, 0, "Invalid payload sent to hook"},
		"400 with a refusal": {write(400, jsonType, `{"error":{"http_code":403,"message":"no"}}`), fault.UnexpectedFailure, 0, "Invalid payload sent to hook"},
		"401":                {write(401, jsonType, `{}`), fault.UnexpectedFailure, 0, errSecret.Message},
		"404":                {write(404, jsonType, `{}`), fault.UnexpectedFailure, 0, "Unexpected status code returned from hook: 404"},
		"500":                {write(500, jsonType, `{}`), fault.UnexpectedFailure, 0, "Unexpected status code returned from hook: 500"},
		"201":                {write(201, jsonType, `{}`), fault.UnexpectedFailure, 0, "Unexpected status code returned from hook: 201"},
		"429":                {write(429, jsonType, `{}`), fault.UnexpectedFailure, 0, errBusy.Message},
		"503":                {write(503, jsonType, `{}`), fault.UnexpectedFailure, 0, errBusy.Message},
		"a redirect": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://169.254.169.254/", http.StatusTemporaryRedirect)
		}, fault.UnexpectedFailure, 0, "Unexpected status code returned from hook: 307"},
		"a redirect to itself": {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/", http.StatusPermanentRedirect) }, fault.UnexpectedFailure, 0, "Unexpected status code returned from hook: 308"},
	} {
		t.Run(name, func(t *testing.T) {
			var calls atomic.Int32
			h := hook(t, receive(t, func(w http.ResponseWriter, r *http.Request) {
				calls.Add(1)
				c.answer(w, r)
			}))
			err := h.Call(t.Context(), UserInput{}, nil)
			require.EqualValues(t, 1, calls.Load())
			if c.code == "" {
				require.NoError(t, err)
				return
			}
			wantFault(t, err, c.status, c.code, c.message)
		})
	}
}

func TestAnswersTakeNoMemory(t *testing.T) {
	h := hook(t, receive(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", jsonType)
		block := make([]byte, 1<<20)
		for range 64 {
			if _, err := w.Write(block); err != nil {
				return
			}
		}
	}))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	require.Error(t, h.Call(t.Context(), UserInput{}, nil))
	runtime.ReadMemStats(&after)
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(16<<20), "of 64 MB that were sent")
}

func TestEveryAttemptIsSignedAnew(t *testing.T) {
	wh, err := standardwebhooks.NewWebhook(strings.TrimPrefix(secret, "v1,"))
	require.NoError(t, err)
	var ids, stamps []string
	at := time.Now().Add(-time.Minute)
	h := hook(t, receive(t, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		require.NoError(t, err)
		require.NoError(t, wh.Verify(body, r.Header))
		require.Equal(t, jsonType, r.Header.Get("Content-Type"))
		require.Equal(t, "identity", r.Header.Get("Accept-Encoding"))
		ids = append(ids, r.Header.Get("webhook-id"))
		stamps = append(stamps, r.Header.Get("webhook-timestamp"))
		w.Header().Set("Retry-After", "1")
		w.WriteHeader([]int{429, 503, 429}[len(ids)-1])
	}), func(c *Config) {
		c.Secrets = append(c.Secrets, "v1,whsec_"+strings.Repeat("A", 32))
		c.Now = func() time.Time { at = at.Add(time.Second); return at }
		c.Pause = func(context.Context, time.Duration) { t.Error("it waited before an attempt that was asked for") }
	})
	wantFault(t, h.Call(t.Context(), UserInput{}, nil), 0, fault.HookTimeoutAfterRetry, "Failed to reach hook after maximum retries")
	require.Len(t, ids, Attempts)
	for i, id := range ids {
		_, err := uuid.Parse(id)
		require.NoError(t, err)
		require.NotContains(t, ids[:i], id)
		require.NotContains(t, stamps[:i], stamps[i])
	}
}

func TestBrokenConnections(t *testing.T) {
	closes := func(ok int32) (http.HandlerFunc, *atomic.Int32) {
		calls := &atomic.Int32{}
		return func(w http.ResponseWriter, r *http.Request) {
			if calls.Add(1) == ok {
				write(200, jsonType, `{}`)(w, r)
				return
			}
			conn, buf, err := w.(http.Hijacker).Hijack()
			if err != nil {
				return
			}
			if calls.Load() == 2 { // half an answer
				_, _ = buf.WriteString("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{\"a\":")
				_ = buf.Flush()
			}
			_ = conn.Close()
		}, calls
	}
	for ok, want := range map[int32]fault.Code{0: fault.HookTimeoutAfterRetry, 2: "", 3: ""} {
		answer, calls := closes(ok)
		var waited []time.Duration
		h := hook(t, receive(t, answer), func(c *Config) {
			c.Pause = func(_ context.Context, d time.Duration) { waited = append(waited, d) }
		})
		err := h.Call(t.Context(), UserInput{}, nil)
		attempts := Attempts
		if ok > 0 {
			attempts = int(ok)
		}
		require.Equal(t, want, fault.CodeOf(err))
		require.EqualValues(t, attempts, calls.Load())
		require.Len(t, waited, attempts-1)
		for _, d := range waited {
			require.Equal(t, 2*time.Second, d)
		}
	}
}

func TestNobodyThere(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := l.Addr().String()
	require.NoError(t, l.Close())
	waits := 0
	h := hook(t, "http://"+address, func(c *Config) { c.Pause = func(context.Context, time.Duration) { waits++ } })
	wantFault(t, h.Call(t.Context(), UserInput{}, nil), 0, fault.HookTimeoutAfterRetry, "Failed to reach hook after maximum retries")
	require.Equal(t, Attempts-1, waits)
}

func TestSlowHooks(t *testing.T) {
	hang := func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // or the server wouldn't see that we left
		<-r.Context().Done()
	}
	drip := func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", jsonType)
		for r.Context().Err() == nil {
			_, _ = io.WriteString(w, " ")
			w.(http.Flusher).Flush()
			pause(r.Context(), time.Millisecond)
		}
	}
	for name, answer := range map[string]http.HandlerFunc{"never answers": hang, "drips": drip} {
		t.Run(name, func(t *testing.T) {
			h := hook(t, receive(t, answer), func(c *Config) { c.Timeout = 30 * time.Millisecond })
			wantFault(t, h.Call(t.Context(), UserInput{}, nil), 0, fault.HookTimeout, "Failed to reach hook within maximum time of 0.030000 seconds")
		})
	}
	t.Run("the client leaves", func(t *testing.T) {
		ctx, leave := context.WithCancel(t.Context())
		h := hook(t, receive(t, func(w http.ResponseWriter, r *http.Request) {
			leave()
			hang(w, r)
		}))
		require.ErrorIs(t, h.Call(ctx, UserInput{}, nil), context.Canceled)
	})
	t.Run("the pause is too long", func(t *testing.T) {
		h := hook(t, "http://127.0.0.1:1", func(c *Config) {
			c.Timeout = 20 * time.Millisecond
			c.Pause = func(ctx context.Context, _ time.Duration) { <-ctx.Done() }
		})
		require.Equal(t, fault.HookTimeout, fault.CodeOf(h.Call(t.Context(), UserInput{}, nil)))
	})
	require.Equal(t, 5*time.Second, hook(t, "http://localhost").Timeout)
}

func TestAddressesThatAreNotPublic(t *testing.T) {
	called := false
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		called = true
		write(200, jsonType, `{}`)(w, r)
	}))
	defer srv.Close()
	quiet := func(c *Config) { c.Pause = func(context.Context, time.Duration) { t.Error("it tried again") } }
	for _, uri := range []string{srv.URL, "https://localhost", "https://10.0.0.1/", "https://[::1]"} {
		target, err := ParseTarget(uri)
		require.NoError(t, err)
		_, err = New(Config{Target: target, Secrets: []string{secret}})
		require.ErrorContains(t, err, "no public address")
	}
	// A name can't be told by its looks.
	named := hook(t, "https://example.com", quiet)
	named.Target.URL = srv.URL
	err := named.Call(t.Context(), UserInput{}, nil)
	require.ErrorIs(t, err, outbound.ErrForbiddenAddress)
	require.Equal(t, fault.UnexpectedFailure, fault.CodeOf(err))

	err = hook(t, srv.URL, quiet, func(c *Config) { c.AllowPrivate = true }).Call(t.Context(), UserInput{}, nil)
	require.ErrorContains(t, errors.Unwrap(err), "certificate")
	require.False(t, called)
	require.NoError(t, hook(t, srv.URL, quiet, func(c *Config) { c.Client = srv.Client() }).Call(t.Context(), UserInput{}, nil))
}

func TestNothingOfACallIsLogged(t *testing.T) {
	var log bytes.Buffer
	h := hook(t, receive(t, write(500, jsonType, `{"hush":1}`))+"/hush?hush=hush", func(c *Config) {
		c.Logger = slog.New(slog.NewTextHandler(&log, nil))
	})
	require.Error(t, h.Call(t.Context(), SMSInput{SMS: SMS{OTP: "hush", Phone: "hush"}, User: json.RawMessage(`"hush"`)}, nil))
	require.Contains(t, log.String(), "before-user-created")
	require.NotContains(t, log.String(), "hush")
}

func TestFunctions(t *testing.T) {
	answer, fail := []byte(`{"claims":{"a":1}}`), error(nil)
	var got []string
	with := func(c *Config) {
		c.Secrets = nil
		c.Function = func(ctx context.Context, schema, name string, in []byte) ([]byte, error) {
			_, limited := ctx.Deadline()
			require.True(t, limited)
			got = []string{schema, name, string(in)}
			return answer, fail
		}
	}
	h := hook(t, "pg-functions://postgres/public/my_hook", with)
	require.Equal(t, 2*time.Second, h.Timeout)
	var out struct{ Claims map[string]int }
	require.NoError(t, h.Call(t.Context(), map[string]int{"in": 1}, &out))
	require.Equal(t, map[string]int{"a": 1}, out.Claims)
	require.Equal(t, []string{"public", "my_hook", `{"in":1}`}, got)

	for text, want := range map[string]string{
		``:     "",
		`null`: "",
		`{"error":{"http_code":418,"message":"tea"}}`: "tea",
		`{"error":{"http_code":418}}`:                 wordless,
		`[]`:                                          errNoJSON.Message,
		strings.Repeat(" ", MaxAnswer+1):              errTooLarge.Message,
		`{"claims":"not what it ought be"}`:           errShape.Message,
	} {
		answer = []byte(text)
		err := h.Call(t.Context(), UserInput{}, &out)
		if want == "" {
			require.NoError(t, err)
			continue
		}
		require.ErrorContains(t, err, want)
	}
	fail = errors.New("boom")
	err := h.Call(t.Context(), UserInput{}, nil)
	wantFault(t, err, 0, fault.UnexpectedFailure, "Error running the hook's function")
	require.ErrorIs(t, err, fail)

	fail = fmt.Errorf("cut short by the server: %w", context.DeadlineExceeded)
	wantFault(t, h.Call(t.Context(), UserInput{}, nil), 0, fault.HookTimeout, "Failed to reach hook within maximum time of 2.000000 seconds")

	slow := hook(t, "pg-functions://postgres/public/my_hook", func(c *Config) {
		c.Secrets, c.Timeout = nil, time.Millisecond
		c.Function = func(ctx context.Context, _, _ string, _ []byte) ([]byte, error) { <-ctx.Done(); return nil, ctx.Err() }
	})
	wantFault(t, slow.Call(t.Context(), UserInput{}, nil), 0, fault.HookTimeout, "Failed to reach hook within maximum time of 0.001000 seconds")
}

func TestSettings(t *testing.T) {
	for name, c := range map[string]struct {
		uri    string
		config Config
		want   string
	}{
		"no secret":              {"https://example.com", Config{}, "there is no secret"},
		"unsigned":               {"https://example.com", Config{Unsigned: true}, ""},
		"a wrong secret":         {"https://example.com", Config{Secrets: []string{"hush"}, Unsigned: true}, "secret 1"},
		"a key pair":             {"https://example.com", Config{Secrets: []string{secret, "v1a,whpk_hush:whsk_hush"}}, "secret 2: the form \"v1a,\""},
		"no functions":           {"pg-functions://postgres/a/b", Config{}, "PostgreSQL"},
		"a function with secret": {"pg-functions://postgres/a/b", Config{Secrets: []string{secret}, Function: func(context.Context, string, string, []byte) ([]byte, error) { return nil, nil }}, "takes no secrets"},
	} {
		t.Run(name, func(t *testing.T) {
			var err error
			c.config.Target, err = ParseTarget(c.uri)
			require.NoError(t, err)
			_, err = New(c.config)
			if c.want == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, c.want)
			require.NotContains(t, err.Error(), "hush")
		})
	}
}

func TestTargets(t *testing.T) {
	for uri, want := range map[string]Target{
		"https://example.com/hook?a=b":              {URL: "https://example.com/hook?a=b"},
		"HTTPS://10.0.0.1":                          {URL: "https://10.0.0.1"},
		"https://user:pass@example.com":             {URL: "https://user:pass@example.com"},
		"http://localhost:99/x":                     {URL: "http://localhost:99/x", Reach: outbound.Loopback},
		"http://LOCALHOST":                          {URL: "http://LOCALHOST", Reach: outbound.Loopback},
		"http://127.0.0.1":                          {URL: "http://127.0.0.1", Reach: outbound.Loopback},
		"http://[::1]:80":                           {URL: "http://[::1]:80", Reach: outbound.Loopback},
		"http://host.docker.internal:80":            {URL: "http://host.docker.internal:80", Reach: outbound.Inside},
		"pg-functions://postgres/public/f":          {Schema: "public", Function: "f"},
		"pg-functions://any.host/_S1/" + name63:     {Schema: "_S1", Function: name63},
		"http://example.com":                        {},
		"http://localhost.example.com":              {},
		"http://127.0.0.1.example.com":              {},
		"http://127.0.0.2":                          {},
		"http://localhost@example.com":              {},
		"https://":                                  {},
		"https:///path":                             {},
		"https://example.com/#f":                    {},
		"https:example.com":                         {},
		"ftp://example.com":                         {},
		"example.com":                               {},
		"":                                          {},
		"https://exa mple.com":                      {},
		"pg-functions://postgres/public":            {},
		"pg-functions://postgres/public/f/g":        {},
		"pg-functions://postgres/public/f/":         {},
		"pg-functions://postgres//f":                {},
		"pg-functions://postgres/public/1f":         {},
		"pg-functions://postgres/public/f?x":        {},
		"pg-functions://postgres/public/f%22":       {},
		"pg-functions://postgres/public/%66":        {},
		"pg-functions://postgres/public/f;drop":     {},
		"pg-functions://postgres/public/x" + name63: {},
		"pg-functions:public/f":                     {},
		"pg-functions://postgres/public/f\n":        {},
	} {
		got, err := ParseTarget(uri)
		if want == (Target{}) {
			require.Error(t, err, uri)
			continue
		}
		require.NoError(t, err, uri)
		got.host = ""
		require.Equal(t, want, got, uri)
	}
}

var name63 = strings.Repeat("n", 63)

func TestMetadata(t *testing.T) {
	at := time.Date(2024, 5, 6, 7, 8, 9, 1000, time.FixedZone("x", 3600))
	h := hook(t, "https://example.com", func(c *Config) { c.Now = func() time.Time { return at } })
	ctx := caller.WithInfo(t.Context(), caller.Info{IP: netip.MustParseAddr("2001:db8::1")})
	id := uuid.New()
	b, err := json.Marshal(h.Meta(ctx, id))
	require.NoError(t, err)
	require.JSONEq(t, `{"uuid":"`+id.String()+`","time":"2024-05-06T06:08:09.000001Z","name":"before-user-created","ip_address":"2001:db8::1"}`, string(b))
	m := h.Meta(t.Context(), uuid.Nil)
	require.Empty(t, m.IP)
	require.NotEqual(t, uuid.Nil, m.UUID)
	require.NotEqual(t, m.UUID, h.Meta(t.Context(), uuid.Nil).UUID)
}

func TestEmailData(t *testing.T) {
	got, err := json.Marshal(EmailOf(mail.Event{Kind: mail.Confirmation, Token: "123456", TokenHash: "hash", RedirectTo: "https://site", SiteURL: "https://site"}, "https://site/auth"))
	require.NoError(t, err)
	require.Equal(t, `{"token":"123456","token_hash":"hash","redirect_to":"https://site","email_action_type":"signup","site_url":"https://site/auth",`+
		`"token_new":"","token_hash_new":"","old_email":"","old_phone":"","provider":"","factor_type":""}`, string(got))
	for kind, want := range map[mail.Kind]string{
		mail.Confirmation: "signup", mail.Invite: "invite", mail.MagicLink: "magiclink", mail.Recovery: "recovery",
		mail.EmailChange: "email_change", mail.Reauthentication: "reauthentication", mail.PasswordChanged: "password_changed_notification",
		mail.EmailChanged: "email_changed_notification", mail.PhoneChanged: "phone_changed_notification",
		mail.IdentityLinked: "identity_linked_notification", mail.IdentityUnlinked: "identity_unlinked_notification",
		mail.MFAFactorEnrolled: "mfa_factor_enrolled_notification", mail.MFAFactorUnenrolled: "mfa_factor_unenrolled_notification",
	} {
		require.Equal(t, want, Action(kind))
	}
	require.Empty(t, EmailOf(mail.Event{Kind: mail.EmailChange, OldEmail: "a@b.c"}, "").OldEmail)
	require.Equal(t, "a@b.c", EmailOf(mail.Event{Kind: mail.EmailChanged, OldEmail: "a@b.c"}, "").OldEmail)
}

func FuzzRead(f *testing.F) {
	for _, s := range []string{`{}`, ``, `null`, `{"error":{"http_code":403,"message":"no"}}`, `{"error":"x"}`, `{"decision":"reject"}`, "{\"error\":{\"message\":\"\x00\"}}", `[`, `{"claims":{}}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var d Decision
		err := read(body, &d)
		if err == nil {
			return
		}
		var e *fault.Error
		require.ErrorAs(t, err, &e)
		if e.Code == fault.Unknown {
			require.GreaterOrEqual(t, e.Status, 400)
			require.LessOrEqual(t, e.Status, 599)
			require.LessOrEqual(t, len(e.Message), maxMessage)
		}
	})
}

func FuzzTarget(f *testing.F) {
	for _, s := range []string{"https://example.com/hook", "http://localhost:1", "http://[::1]", "pg-functions://postgres/public/f", "pg-functions://a/b/c\"", "http://localhost%00.example.com"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, uri string) {
		target, err := ParseTarget(uri)
		if err != nil {
			return
		}
		if target.IsFunction() {
			require.Regexp(t, aName, target.Schema)
			require.Regexp(t, aName, target.Function)
			require.Empty(t, target.URL)
			return
		}
		req, err := http.NewRequest(http.MethodPost, target.URL, nil)
		if err != nil {
			return // Call says so
		}
		if req.URL.Scheme != "https" {
			require.NotEqual(t, outbound.Public, target.Reach)
		}
	})
}
