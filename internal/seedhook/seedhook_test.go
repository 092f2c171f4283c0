package seedhook

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/truekeel/auth/fault"
	"github.com/truekeel/auth/internal/webhook"
	"github.com/truekeel/auth/store"
)

var user = json.RawMessage(`{"id":"1"}`)

func receive(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	return srv.URL
}

func hook(t *testing.T, url string, change ...func(*Config)) *Webhook {
	t.Helper()
	c := Config{URL: url, Events: Events(), AllowPrivate: true, Now: time.Now}
	for _, f := range change {
		f(&c)
	}
	w, err := New(c)
	require.NoError(t, err)
	t.Cleanup(w.Close)
	return w
}

func wantFault(t *testing.T, err error, status int, text string) {
	t.Helper()
	var f *fault.Error
	require.ErrorAs(t, err, &f)
	require.Equal(t, fault.Unknown, f.Code)
	require.Equal(t, status, f.Status)
	require.Equal(t, text, f.Message)
}

func TestWhatIsPosted(t *testing.T) {
	id, at := uuid.New(), time.Now().Truncate(time.Second)
	calls := 0
	url := receive(t, func(w http.ResponseWriter, r *http.Request) {
		calls++
		body, err := io.ReadAll(r.Body)
		require.NoError(t, err)
		require.Equal(t, http.MethodPost, r.Method)
		require.Equal(t, "application/json", r.Header.Get("Content-Type"))
		require.JSONEq(t, `{"event":"signup","instance_id":"`+id.String()+`","user":{"id":"1"}}`, string(body))
		require.Empty(t, r.Header.Get("webhook-id"))
		var claims signed
		_, err = jwt.ParseWithClaims(r.Header.Get("x-webhook-signature"), &claims, func(*jwt.Token) (any, error) { return []byte("s3cret"), nil },
			jwt.WithValidMethods([]string{"HS256"}), jwt.WithIssuer("gotrue"), jwt.WithSubject(id.String()))
		require.NoError(t, err)
		require.True(t, claims.IssuedAt.Equal(at))
		require.Len(t, claims.SHA256, 64)
	})
	_, err := hook(t, url, func(c *Config) {
		c.Secret, c.Instance, c.Now = "s3cret", id, func() time.Time { return at }
	}).Ask(t.Context(), SignUp, user)
	require.NoError(t, err)
	require.Equal(t, 1, calls)

	_, err = hook(t, receive(t, func(_ http.ResponseWriter, r *http.Request) {
		require.Empty(t, r.Header.Values("x-webhook-signature"))
		var got request
		require.NoError(t, json.NewDecoder(r.Body).Decode(&got))
		require.Equal(t, uuid.Nil, got.Instance)
	})).Ask(t.Context(), Login, user)
	require.NoError(t, err)
}

func TestKnownDigest(t *testing.T) {
	w := hook(t, "https://example.com", func(c *Config) { c.Secret = "x" })
	h, err := w.sign([]byte(`{"a":1}`))
	require.NoError(t, err)
	var claims signed
	_, _, err = jwt.NewParser().ParseUnverified(only(h), &claims)
	require.NoError(t, err)
	require.Equal(t, "015abd7f5cc57a2dd94b7590f04ad8084273905ee33ec5cebeae62276a97f862", claims.SHA256)
}

// only gives the one value of headers, whatever its name.
func only(h http.Header) string {
	for _, values := range h {
		return values[0]
	}
	return ""
}

func TestAnswers(t *testing.T) {
	object := func(text string) store.Object {
		var o store.Object
		require.NoError(t, json.Unmarshal([]byte(text), &o))
		return o
	}
	text := func(status int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
		}
	}
	const failed, malformed = "Failed to handle signup webhook", "Webhook returned malformed JSON"
	for name, c := range map[string]struct {
		answer  http.HandlerFunc
		want    Answer
		status  int // of the refusal; 0 for none
		message string
		calls   int32
	}{
		"nothing":        {answer: text(200, "")},
		"202":            {answer: text(202, "{}")},
		"204":            {answer: func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) }},
		"one kind":       {answer: text(200, `{"app_metadata":{"a":1}}`), want: Answer{AppMetadata: object(`{"a":1}`)}},
		"both":           {answer: text(200, `{"app_metadata":{},"user_metadata":{"b":[]}}`), want: Answer{object(`{}`), object(`{"b":[]}`)}},
		"null":           {answer: text(200, `{"app_metadata":null}`)},
		"something else": {answer: text(200, `{"role":"admin"}`)},
		"in chunks": {answer: func(w http.ResponseWriter, _ *http.Request) {
			w.(http.Flusher).Flush()
			_, _ = io.WriteString(w, `{"user_metadata":{"c":1}}`)
		}, want: Answer{UserMetadata: object(`{"c":1}`)}},
		"no JSON":       {answer: text(200, `ok`), status: 500, message: malformed},
		"an array":      {answer: text(200, `[]`), status: 500, message: malformed},
		"a wrong type":  {answer: text(200, `{"app_metadata":"x"}`), status: 500, message: malformed},
		"half":          {answer: text(200, `{"app_metadata":{`), status: 500, message: malformed},
		"garbage":       {answer: text(200, "\x00\xff"), status: 500, message: malformed},
		"ten megabytes": {answer: text(200, strings.Repeat(" ", 10<<20)), status: 500, message: "Webhook returned too much"},
		"a refusal":     {answer: text(403, `{"app_metadata":{"a":1}}`), status: 422, message: failed, calls: 3},
		"201":           {answer: text(201, ``), status: 422, message: failed, calls: 3},
		"500":           {answer: text(500, ``), status: 422, message: failed, calls: 3},
		"a redirect": {answer: func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://10.0.0.1/", http.StatusTemporaryRedirect)
		}, status: 422, message: failed, calls: 3},
		"a closed line":  {answer: closes(""), status: 500, message: "Failed to perform webhook"},
		"half an answer": {answer: closes("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"), status: 500, message: "Failed to perform webhook"},
		"no HTTP at all": {answer: closes("SSH-2.0-OpenSSH\r\n\r\n"), status: 500, message: "Failed to perform webhook"},
	} {
		t.Run(name, func(t *testing.T) {
			var calls atomic.Int32
			w := hook(t, receive(t, func(w http.ResponseWriter, r *http.Request) {
				calls.Add(1)
				c.answer(w, r)
			}))
			got, err := w.Ask(t.Context(), Validate, user)
			require.Equal(t, max(c.calls, 1), calls.Load())
			if c.status != 0 {
				wantFault(t, err, c.status, c.message)
				return
			}
			require.NoError(t, err)
			require.Equal(t, c.want, got)
		})
	}
}

// closes answers raw bytes and closes the connection.
func closes(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		conn, buf, err := w.(http.Hijacker).Hijack()
		if err != nil {
			return
		}
		_, _ = buf.WriteString(text)
		_ = buf.Flush()
		_ = conn.Close()
	}
}

// attempts is a network whose first answers are bad: it tells by itself how often it was
// used, however slow the machine is.
type attempts struct {
	calls int
	good  int // the number of the call that succeeds
	bad   func(r *http.Request) (*http.Response, error)
}

func (a *attempts) RoundTrip(r *http.Request) (*http.Response, error) {
	if a.calls++; a.calls == a.good {
		return &http.Response{StatusCode: http.StatusNoContent, Body: http.NoBody, Request: r}, nil
	}
	return a.bad(r)
}

func TestAttempts(t *testing.T) {
	refused := func(r *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: http.StatusInternalServerError, Body: http.NoBody, Request: r}, nil
	}
	late := func(r *http.Request) (*http.Response, error) {
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	ask := func(a *attempts, most int) error {
		w := hook(t, "https://example.com", func(c *Config) {
			c.Timeout, c.Attempts, c.Client = 20*time.Millisecond, most, &http.Client{Transport: a}
		})
		_, err := w.Ask(t.Context(), Login, user)
		return err
	}
	for name, bad := range map[string]func(*http.Request) (*http.Response, error){"a bad status": refused, "too late": late} {
		t.Run(name, func(t *testing.T) {
			a := &attempts{good: 3, bad: bad}
			require.NoError(t, ask(a, 0))
			require.Equal(t, 3, a.calls)
		})
	}
	t.Run("always too late", func(t *testing.T) {
		a := &attempts{bad: late}
		wantFault(t, ask(a, 2), 504, "Failed to perform webhook in time frame")
		require.Equal(t, 2, a.calls)
	})
	t.Run("never answers", func(t *testing.T) {
		w := hook(t, receive(t, func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			<-r.Context().Done()
		}), func(c *Config) { c.Timeout = 20 * time.Millisecond })
		_, err := w.Ask(t.Context(), Login, user)
		wantFault(t, err, 504, "Failed to perform webhook in time frame")
	})
	t.Run("the client leaves", func(t *testing.T) {
		ctx, leave := context.WithCancel(t.Context())
		w := hook(t, receive(t, func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			leave()
			<-r.Context().Done()
		}))
		_, err := w.Ask(ctx, Login, user)
		require.ErrorIs(t, err, context.Canceled)
	})
}

func TestWhoIsNotThere(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := l.Addr().String()
	require.NoError(t, l.Close())
	_, err = hook(t, "http://"+address).Ask(t.Context(), Login, user)
	wantFault(t, err, 502, "Failed to connect to webhook")

	called := false
	url := receive(t, func(http.ResponseWriter, *http.Request) { called = true })
	named := hook(t, "https://example.com", func(c *Config) { c.AllowPrivate = false })
	named.url = url // as if the name had that address
	_, err = named.Ask(t.Context(), Login, user)
	wantFault(t, err, 502, "Failed to connect to webhook")
	require.False(t, called)
}

func TestSettings(t *testing.T) {
	all := Events()
	for name, c := range map[string]struct {
		config Config
		url    string // "" if it is refused
		want   string
	}{
		"absolute":         {Config{URL: "https://example.com/hook?a=b", Events: all}, "https://example.com/hook?a=b", ""},
		"plain":            {Config{URL: "http://example.com", Events: all}, "http://example.com", ""},
		"a path":           {Config{URL: "/hook", Site: "https://site.example/app?x", Events: all}, "https://site.example/hook", ""},
		"a bare path":      {Config{URL: "hook?a", Site: "https://u:p@site.example", Events: all}, "https://u:p@site.example/hook?a", ""},
		"no site":          {Config{URL: "/hook", Events: all}, "", "no site URL"},
		"on loopback":      {Config{URL: "/hook", Site: "http://localhost:3000", Events: all}, "", "no public address"},
		"loopback allowed": {Config{URL: "/hook", Site: "http://localhost:3000", Events: all, AllowPrivate: true}, "http://localhost:3000/hook", ""},
		"metadata service": {Config{URL: "http://169.254.169.254/", Events: all, AllowPrivate: true}, "", "no public address"},
		"no web":           {Config{URL: "ftp://example.com", Events: all}, "", "neither a web address"},
		"no scheme":        {Config{URL: "//example.com/hook", Events: all}, "", "neither a web address"},
		"unreadable":       {Config{URL: "http://u:hush@ex ample", Events: all}, "", "can't be read"},
		"empty":            {Config{Events: all}, "", "can't be read"},
		"no event":         {Config{URL: "https://example.com"}, "", "there is no event"},
		"a wrong event":    {Config{URL: "https://example.com", Events: []Event{"sign_up"}}, "", `"sign_up" is none of validate, signup, login, email_change`},
		"too many":         {Config{URL: "https://example.com", Events: all, Attempts: 11}, "", "between 1 and 10"},
		"too few":          {Config{URL: "https://example.com", Events: all, Attempts: -1}, "", "between 1 and 10"},
		"a negative time":  {Config{URL: "https://example.com", Events: all, Timeout: -1}, "", "negative"},
	} {
		t.Run(name, func(t *testing.T) {
			w, err := New(c.config)
			if c.want != "" {
				require.ErrorContains(t, err, c.want)
				require.NotContains(t, err.Error(), "hush")
				return
			}
			require.NoError(t, err)
			require.Equal(t, c.url, w.url)
			require.True(t, w.Asks(Login))
		})
	}
}

func TestNothingOfACallIsLogged(t *testing.T) {
	var log bytes.Buffer
	w := hook(t, receive(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(500)
		_, _ = io.WriteString(w, "hush")
	})+"/hush?hush", func(c *Config) { c.Secret, c.Logger = "hush", slog.New(slog.NewTextHandler(&log, nil)) })
	_, err := w.Ask(t.Context(), Login, json.RawMessage(`"hush"`))
	require.Error(t, err)
	require.Contains(t, log.String(), "status 500")
	require.NotContains(t, log.String(), "hush")
}

func FuzzURL(f *testing.F) {
	for _, s := range []string{"/hook", "hook", "https://example.com", "//example.com", "http://[::1]:1/", "?a", "https:/x", "\x00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		u, err := resolve(raw, "https://site.example")
		if err != nil {
			return
		}
		require.Contains(t, []string{"http", "https"}, u.Scheme)
		require.NotEmpty(t, u.Hostname())
	})
}

func FuzzAnswer(f *testing.F) {
	for _, s := range []string{``, `{}`, `{"app_metadata":{"a":1}}`, `{"user_metadata":null}`, `[]`, "{\"app_metadata\":{\"\x00\":1}}"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		a, err := read(webhook.Answer{Status: http.StatusOK, Body: body})
		if err != nil {
			require.ErrorIs(t, err, errJSON)
			return
		}
		for _, o := range []store.Object{a.AppMetadata, a.UserMetadata} {
			_, err := o.MarshalJSON()
			require.NoError(t, err)
		}
	})
}
