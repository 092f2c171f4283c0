package auth_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/truekeel/auth"
	"github.com/truekeel/auth/captcha"
	"github.com/truekeel/auth/limit"
	"github.com/truekeel/auth/store"
	"github.com/truekeel/auth/tokens"
)

const (
	captchaSecret = "0xS3cret"
	captchaToken  = "P0_eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzI1NiJ9"
)

// captchaService is a fake that knows one good token and notes what it is asked.
type captchaService struct {
	mu     sync.Mutex
	url    string
	asked  []url.Values
	answer func(token string) (status int, body string) // nil for the usual one
}

func newCaptcha(t testing.TB, path string) *captchaService {
	t.Helper()
	s := &captchaService{}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		assert.Equal(t, path, r.URL.Path)
		assert.Equal(t, http.MethodPost, r.Method)
		body, err := io.ReadAll(r.Body)
		assert.NoError(t, err)
		form, err := url.ParseQuery(string(body))
		assert.NoError(t, err)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.asked = append(s.asked, form)
		status, text := http.StatusOK, `{"success":true,"hostname":"localhost"}`
		switch {
		case s.answer != nil:
			status, text = s.answer(form.Get("response"))
		case form.Get("response") != captchaToken:
			text = `{"success":false,"error-codes":["invalid-input-response","timeout-or-duplicate"]}`
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, text)
	}))
	t.Cleanup(srv.Close)
	s.url = srv.URL
	return s
}

// count is how often the service was asked since the last time.
func (s *captchaService) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(s.asked)
	s.asked = nil
	return n
}

func (s *captchaService) option() auth.Option {
	return auth.WithCaptcha(&captcha.HCaptcha{Secret: captchaSecret, BaseURL: s.url})
}

func openCaptcha(t testing.TB, opts ...auth.Option) (*door, *captchaService) {
	t.Helper()
	s := newCaptcha(t, "/siteverify")
	return open(t, append([]auth.Option{s.option(), auth.WithMailFrequency(0)}, opts...)...), s
}

// proved adds a good token to a body.
func proved(body map[string]any) map[string]any {
	body["gotrue_meta_security"] = map[string]any{"captcha_token": captchaToken}
	return body
}

const noCaptcha = "captcha protection: request disallowed (no captcha_token found)"

// guarded are the requests that ask for a captcha, as a client without one sends them.
func captchaRoutes() map[string]map[string]any {
	return map[string]map[string]any{
		"/signup":                          {"email": "ada@example.com", "password": goodPassword},
		"/token?grant_type=password":       {"email": "ada@example.com", "password": goodPassword},
		"/token?x=1&grant_type=password":   {"email": "ada@example.com", "password": goodPassword},
		"/recover":                         {"email": "ada@example.com"},
		"/otp":                             {"email": "ada@example.com"},
		"/magiclink":                       {"email": "ada@example.com"},
		"/resend":                          {"type": "signup", "email": "ada@example.com"},
		"/signup/":                         {"email": "ada@example.com", "password": goodPassword},
		"/v1/signup":                       {"email": "ada@example.com", "password": goodPassword},
		"/v1/token/?grant_type=password":   {"email": "ada@example.com", "password": goodPassword},
		"/v1/recover/":                     {"email": "ada@example.com"},
		"/v1/otp?grant_type=refresh_token": {"email": "ada@example.com"},
	}
}

func TestCaptchaIsAskedFor(t *testing.T) {
	d, s := openCaptcha(t)
	for path, body := range captchaRoutes() {
		t.Run(path, func(t *testing.T) {
			d := &door{Harness: d.Harness, t: t, url: d.url, srv: d.srv}
			a := d.post(path, body).wantFault(http.StatusBadRequest, "captcha_failed")
			require.Equal(t, noCaptcha, a.object()["msg"])
			a = d.post(path, body, versioned()).wantFault(http.StatusBadRequest, "captcha_failed")
			require.Equal(t, map[string]any{"code": "captcha_failed", "message": noCaptcha}, a.object())
			require.Zero(t, s.count())

			body["gotrue_meta_security"] = map[string]any{"captcha_token": "wrong"}
			a = d.post(path, body).wantFault(http.StatusBadRequest, "captcha_failed")
			require.Equal(t, "captcha protection: request disallowed (invalid-input-response, timeout-or-duplicate)", a.object()["msg"])
			require.Equal(t, 1, s.count())

			a = d.post(path, proved(body))
			require.NotEqual(t, "captcha_failed", a.Header.Get("x-sb-error-code"))
			require.Less(t, a.Status, 500)
			require.Equal(t, 1, s.count())
		})
	}
}

// Who has proved something already isn't asked.
func TestCaptchaIsNotAskedFor(t *testing.T) {
	d, s := openCaptcha(t)
	d.post("/signup", proved(map[string]any{"email": "ada@example.com", "password": goodPassword})).want(http.StatusOK, nil)
	var in tokenAnswer
	d.post("/verify", map[string]any{"type": "signup", "email": "ada@example.com", "token": d.LastMail("ada@example.com").Code()}).want(http.StatusOK, &in)
	d.post("/token?grant_type=refresh_token", map[string]any{"refresh_token": in.RefreshToken}).want(http.StatusOK, &in)
	d.post("/token?grant_type=pkce", map[string]any{"auth_code": "x", "code_verifier": "y"}).wantFault(http.StatusNotFound, "flow_state_not_found")
	require.NotEqual(t, "captcha_failed", d.post("/token?grant_type=id_token", map[string]any{"id_token": "x", "provider": "y"}).Header.Get("x-sb-error-code"))
	require.NotEqual(t, "captcha_failed", d.post("/token?grant_type=nonsense", map[string]any{}).Header.Get("x-sb-error-code"))
	d.send(http.MethodPut, "/user", map[string]any{"data": map[string]any{"x": 1}}, bearer(in.AccessToken)).want(http.StatusOK, nil)
	d.send(http.MethodGet, "/user", nil, bearer(in.AccessToken)).want(http.StatusOK, nil)
	d.send(http.MethodGet, "/settings", nil).want(http.StatusOK, nil)
	require.Equal(t, 1, s.count(), "for the sign-up alone")
}

func TestCaptchaRequest(t *testing.T) {
	turnstile := newCaptcha(t, "/turnstile/v0/siteverify")
	d := open(t, loopback(), auth.WithSiteURL("http://localhost:3000"), auth.WithCaptcha(&captcha.Turnstile{Secret: captchaSecret, BaseURL: turnstile.url}))
	d.post("/recover", proved(map[string]any{"email": "ada@example.com"}), from("203.0.113.5")).want(http.StatusOK, nil)
	require.Equal(t, []url.Values{{"secret": {captchaSecret}, "response": {captchaToken}, "remoteip": {"203.0.113.5"}}}, turnstile.asked)

	// The client of WithHTTPClient is used.
	to, err := url.Parse(newCaptcha(t, "/siteverify").url)
	require.NoError(t, err)
	var asked string
	client := &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
		asked = r.URL.String()
		r.URL.Scheme, r.URL.Host = to.Scheme, to.Host
		return http.DefaultTransport.RoundTrip(r)
	})}
	d = open(t, auth.WithHTTPClient(client), auth.WithCaptcha(&captcha.HCaptcha{Secret: captchaSecret}))
	d.post("/recover", proved(map[string]any{"email": "ada@example.com"})).want(http.StatusOK, nil)
	require.Equal(t, "https://hcaptcha.com/siteverify", asked)
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// The token may have its old name; what isn't a token is none, whatever its type.
func TestCaptchaToken(t *testing.T) {
	d, s := openCaptcha(t)
	for _, good := range []string{
		`{"captcha_token":"` + captchaToken + `"}`,
		`{"hcaptcha_token":"` + captchaToken + `"}`,
		`{"captcha_token":"","hcaptcha_token":"` + captchaToken + `"}`,
		`{"captcha_token":null,"hcaptcha_token":"` + captchaToken + `"}`,
		`{"captcha_token":{},"hcaptcha_token":" ` + captchaToken + `\n"}`,
		`{"captcha_token":"` + captchaToken + `","hcaptcha_token":"wrong","more":[{}]}`,
	} {
		d.post("/recover", `{"email":"ada@example.com","gotrue_meta_security":`+good+`}`).want(http.StatusOK, nil)
	}
	require.Equal(t, 6, s.count())
	for _, none := range []string{
		`null`, `""`, `"` + captchaToken + `"`, `7`, `true`, `[]`, `["` + captchaToken + `"]`, `{}`, `[{"captcha_token":"` + captchaToken + `"}]`,
		`{"captcha_token":null}`, `{"captcha_token":""}`, `{"captcha_token":" \t"}`, `{"captcha_token":7}`, `{"captcha_token":["` + captchaToken + `"]}`,
		`{"captcha_token":{"captcha_token":"` + captchaToken + `"}}`, `{"gotrue_meta_security":{"captcha_token":"` + captchaToken + `"}}`,
		`{"captcha_token":{"a":{"a":{"a":{"a":[[[[[[]]]]]]}}}}}`,
	} {
		a := d.post("/recover", `{"email":"ada@example.com","gotrue_meta_security":`+none+`}`).wantFault(http.StatusBadRequest, "captcha_failed")
		require.Equal(t, noCaptcha, a.object()["msg"], none)
	}
	d.post("/recover?captcha_token="+captchaToken, `{"email":"ada@example.com","captcha_token":"`+captchaToken+`"}`).wantFault(http.StatusBadRequest, "captcha_failed")
	// The last of two counts, as with all members.
	d.post("/recover", `{"gotrue_meta_security":{"captcha_token":"`+captchaToken+`"},"gotrue_meta_security":{}}`).wantFault(http.StatusBadRequest, "captcha_failed")
	for _, broken := range []string{``, `{`, `[]`, `"x"`, `{"gotrue_meta_security":`, "{\"gotrue_meta_security\":\"\xff\"}"} {
		d.post("/recover", broken).wantFault(http.StatusBadRequest, "bad_json")
	}
	d.post("/recover", `{"gotrue_meta_security":`+strings.Repeat("[", 40)+strings.Repeat("]", 40)+`}`).wantFault(http.StatusBadRequest, "validation_failed")
	d.post("/recover", `{"gotrue_meta_security":{"captcha_token":"\u0000"}}`).wantFault(http.StatusBadRequest, "validation_failed")
	d.post("/recover", `{"gotrue_meta_security":{"captcha_token":"`+strings.Repeat("x", 17<<10)+`"}}`).wantFault(http.StatusBadRequest, "captcha_failed")
	require.Zero(t, s.count())
}

// The body is read for the captcha and whole for the flow; its limit still holds.
func TestCaptchaAndTheBody(t *testing.T) {
	d, s := openCaptcha(t, auth.WithAutoConfirm(true))
	data := map[string]any{"note": strings.Repeat("x", 1000)}
	var in tokenAnswer
	d.post("/signup", proved(map[string]any{"email": "ada@example.com", "password": goodPassword, "data": data})).want(http.StatusOK, &in)
	require.Equal(t, data["note"], in.User["user_metadata"].(map[string]any)["note"])
	d.post("/token?grant_type=password", proved(map[string]any{"email": "ada@example.com", "password": goodPassword})).want(http.StatusOK, nil)
	s.count()
	large := `{"email":"ada@example.com","gotrue_meta_security":{"captcha_token":"` + captchaToken + `"},"data":{"x":"` + strings.Repeat("x", 1<<20) + `"}}`
	for _, path := range []string{"/signup", "/token?grant_type=password", "/otp"} {
		d.post(path, large).wantFault(http.StatusRequestEntityTooLarge, "request_entity_too_large")
	}
	require.Zero(t, s.count())
}

// A captcha that can't be checked lets nobody in.
func TestCaptchaFailsClosed(t *testing.T) {
	const failed = "captcha verification process failed"
	for name, answer := range map[string]func(string) (int, string){
		"garbage":        func(string) (int, string) { return 200, "<html>" },
		"empty":          func(string) (int, string) { return 200, "" },
		"empty object":   func(string) (int, string) { return 200, "{}" },
		"server error":   func(string) (int, string) { return 500, `{"success":true}` },
		"echo":           func(token string) (int, string) { return 200, token },
		"text for true":  func(string) (int, string) { return 200, `{"success":"true"}` },
		"large":          func(string) (int, string) { return 200, `{"success":true}` + strings.Repeat(" ", 2<<20) },
		"other than 200": func(string) (int, string) { return 202, `{"success":true}` },
	} {
		t.Run(name, func(t *testing.T) {
			var log sink
			d, s := openCaptcha(t, auth.WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
			s.answer = answer
			a := d.post("/signup", proved(map[string]any{"email": "ada@example.com", "password": goodPassword})).wantFault(http.StatusInternalServerError, "unexpected_failure")
			require.Equal(t, failed, a.object()["msg"])
			require.NotEmpty(t, a.object()["error_id"])
			require.Contains(t, log.String(), "captcha")
			require.NotContains(t, log.String(), captchaToken)
			require.NotContains(t, log.String(), captchaSecret)
			require.Zero(t, d.users())
			d.json("/token", passwordOf("ada@example.com", fieldsOf{"captcha_token": captchaToken})).wantKeelNull()
			require.Zero(t, d.users())
		})
	}
	t.Run("down", func(t *testing.T) {
		srv := httptest.NewServer(http.NotFoundHandler())
		srv.Close()
		d := open(t, auth.WithCaptcha(&captcha.HCaptcha{Secret: captchaSecret, BaseURL: srv.URL}))
		a := d.post("/otp", proved(map[string]any{"email": "ada@example.com"})).wantFault(http.StatusInternalServerError, "unexpected_failure")
		require.Equal(t, failed, a.object()["msg"])
	})
	t.Run("slow", func(t *testing.T) {
		d := open(t, auth.WithRequestTimeout(time.Second), auth.WithCaptcha(captcha.Func(func(ctx context.Context, _, _ string) error {
			<-ctx.Done()
			return ctx.Err()
		})))
		a := d.post("/otp", proved(map[string]any{"email": "ada@example.com"})).wantFault(http.StatusInternalServerError, "unexpected_failure")
		require.Equal(t, failed, a.object()["msg"])
	})
	t.Run("panics", func(t *testing.T) {
		d := open(t, auth.WithCaptcha(captcha.Func(func(context.Context, string, string) error { panic("x") })))
		d.post("/otp", proved(map[string]any{"email": "ada@example.com"})).wantFault(http.StatusInternalServerError, "unexpected_failure")
	})
}

// wantKeelNull checks the answer of the Keel dialect to trouble of ours.
func (a answer) wantKeelNull() answer {
	a.t.Helper()
	require.Equal(a.t, http.StatusInternalServerError, a.Status)
	require.Equal(a.t, "null", string(a.Body))
	return a
}

// Only a valid administrator's bearer stands in for a token.
func TestCaptchaAndBearers(t *testing.T) {
	d, s := openCaptcha(t, auth.WithAutoConfirm(true))
	var in tokenAnswer
	d.post("/signup", proved(map[string]any{"email": "ada@example.com", "password": goodPassword})).want(http.StatusOK, &in)
	s.count()
	ask := func(h ...header) answer {
		return d.post("/token?grant_type=password", map[string]any{"email": "ada@example.com", "password": goodPassword}, h...)
	}
	ask(d.service()).want(http.StatusOK, nil)
	d.post("/recover", map[string]any{"email": "ada@example.com"}, d.service()).want(http.StatusOK, nil)
	for name, h := range map[string]header{
		"user":    bearer(in.AccessToken),
		"anon":    d.bearerOf(tokens.Claims{Role: "anon"}),
		"expired": d.bearerOf(tokens.Claims{Role: "service_role", ExpiresAt: d.Clock.Now().Add(-time.Second)}),
		"session": d.bearerOf(tokens.Claims{Role: "service_role", SessionID: "0190b0a0-0000-7000-8000-000000000000"}),
		"cut":     bearer(strings.TrimSuffix(d.service().value, "AAAA")[len("Bearer "):40]),
		"garbage": bearer("service_role"),
		"basic":   {"Authorization", "Basic c2VydmljZV9yb2xlOg=="},
	} {
		a := ask(h)
		require.Equal(t, "captcha_failed", a.Header.Get("x-sb-error-code"), name)
	}
	require.Zero(t, s.count())
	// A client sends its anonymous key with everything.
	d.post("/token?grant_type=password", proved(map[string]any{"email": "ada@example.com", "password": goodPassword}), d.bearerOf(tokens.Claims{Role: "anon"})).want(http.StatusOK, nil)
}

// Whether somebody administers can't be said while the store fails: that isn't the fault of
// who asks.
func TestCaptchaAndAFailingStore(t *testing.T) {
	s := tap(t)
	d, _ := openCaptcha(t, auth.WithStore(s))
	p := d.User("ada@example.com", func(n *auth.NewUser) { n.Role = "service_role" })
	ask := func() answer {
		return d.post("/recover", map[string]any{"email": "ada@example.com"}, bearer(p.AccessToken))
	}
	s.fail(storeFault{err: store.ErrUnavailable})
	ask().wantFault(http.StatusServiceUnavailable, "service_unavailable")
	s.heal()
	ask().want(http.StatusOK, nil)
}

// Nothing costs anything before the captcha: nobody hashes, looks up or sends.
func TestCaptchaComesFirst(t *testing.T) {
	d, _ := openCaptcha(t, auth.WithHooks(auth.Hooks{BeforeUserCreated: func(context.Context, auth.Account) error {
		return errors.New("it came too far")
	}}))
	for path, body := range captchaRoutes() {
		d.post(path, body).wantFault(http.StatusBadRequest, "captcha_failed")
	}
	d.Deliver()
	require.Zero(t, d.users())
	require.Empty(t, d.Mail.Messages())
}

// A client that is not a person has the service asked only so often.
func TestCaptchaIsLimited(t *testing.T) {
	d, s := openCaptcha(t, loopback(), auth.WithSiteURL("http://localhost:3000"), auth.WithLimits(auth.Limits{Token: limit.Window(2, time.Hour)}))
	body := map[string]any{"email": "ada@example.com", "gotrue_meta_security": map[string]any{"captcha_token": "wrong"}}
	for range 2 {
		d.post("/otp", body, from("203.0.113.5")).wantFault(http.StatusBadRequest, "captcha_failed")
	}
	d.post("/otp", body, from("203.0.113.5")).wantFault(http.StatusTooManyRequests, "over_request_rate_limit")
	d.post("/otp", map[string]any{"email": "ada@example.com"}, from("203.0.113.5")).wantFault(http.StatusBadRequest, "captcha_failed")
	d.post("/otp", body, from("203.0.113.6")).wantFault(http.StatusBadRequest, "captcha_failed")
	require.Equal(t, 3, s.count())
}

// A wrong secret is the operator's to mend, and says so in the log.
func TestCaptchaWithAWrongSecret(t *testing.T) {
	var log sink
	d, s := openCaptcha(t, auth.WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
	s.answer = func(string) (int, string) { return 200, `{"success":false,"error-codes":["invalid-input-secret"]}` }
	a := d.post("/otp", proved(map[string]any{"email": "ada@example.com"})).wantFault(http.StatusBadRequest, "captcha_failed")
	require.Equal(t, "captcha protection: request disallowed (invalid-input-secret)", a.object()["msg"])
	require.Contains(t, log.String(), "check the secret")
	s.answer = func(string) (int, string) { return 200, `{"success":false}` }
	a = d.post("/otp", proved(map[string]any{"email": "ada@example.com"})).wantFault(http.StatusBadRequest, "captcha_failed")
	require.Equal(t, "captcha protection: request disallowed (token rejected)", a.object()["msg"])
}

// The same holds behind a prefix that the host strips, and under another base path.
func TestCaptchaBehindAPrefix(t *testing.T) {
	s := newCaptcha(t, "/siteverify")
	for name, c := range map[string]struct {
		base   string
		mount  string
		prefix string // stripped
	}{
		"stripped":    {"/auth", "/auth/", "/auth"},
		"router":      {"/identity", "/api/identity/", "/api"},
		"root":        {"/", "/", ""},
		"named token": {"/token", "/token/", ""},
	} {
		t.Run(name, func(t *testing.T) {
			d := open(t, s.option(), auth.WithBasePath(c.base))
			mux := http.NewServeMux()
			mux.Handle(c.mount, http.StripPrefix(c.prefix, d.Auth))
			srv := httptest.NewServer(mux)
			t.Cleanup(srv.Close)
			d.url = srv.URL + strings.TrimSuffix(c.mount, "/")
			for path, body := range captchaRoutes() {
				d.post(path, body).wantFault(http.StatusBadRequest, "captcha_failed")
			}
			a := d.post("/token?grant_type=refresh_token", map[string]any{"refresh_token": strings.Repeat("a", 26)})
			require.Equal(t, "refresh_token_not_found", a.Header.Get("x-sb-error-code"))
		})
	}
}

func TestCaptchaInKeel(t *testing.T) {
	eachEncoding(t, func(t *testing.T, send func(d *door, path string, f fieldsOf) answer) {
		s := newCaptcha(t, "/siteverify")
		d := openKeel(t, auth.Keel{}, s.option())
		missing := keelError{400, "invalid_request", noCaptcha}
		send(d, "/token", passwordOf("ada@example.com")).wantKeel(missing)
		send(d, "/token", passwordOf("ada@example.com", fieldsOf{"captcha_token": " "})).wantKeel(missing)
		require.Zero(t, s.count())
		send(d, "/token", passwordOf("ada@example.com", fieldsOf{"captcha_token": "wrong"})).
			wantKeel(keelError{400, "invalid_request", "captcha protection: request disallowed (invalid-input-response, timeout-or-duplicate)"})
		require.Zero(t, d.users())
		require.Equal(t, 1, s.count())
		in := send(d, "/token", passwordOf("ada@example.com", fieldsOf{"captcha_token": captchaToken})).granted(true)
		require.Equal(t, 1, s.count())
		send(d, "/token", passwordOf("ada@example.com", fieldsOf{"create_if_not_exists": "false"})).wantKeel(missing)

		// What is wrong with the request is said first; the other grants need none.
		send(d, "/token", fieldsOf{"grant_type": "password"}).wantKeel(keelP1)
		send(d, "/token", fieldsOf{"grant_type": "password", "username": "ada@example.com"}).wantKeel(keelP3)
		send(d, "/token", fieldsOf{"grant_type": "refresh_token", "refresh_token": in.RefreshToken}).granted(false)
		send(d, "/token", fieldsOf{"grant_type": "authorization_code", "code": "x"}).wantKeel(keelC2)
		require.NotContains(t, string(send(d, "/token", exchangeOf("x")).Body), "captcha")
		require.Zero(t, s.count())
	})
	s := newCaptcha(t, "/siteverify")
	d := openKeel(t, auth.Keel{}, s.option())
	d.json("/token", passwordOf("ada@example.com", fieldsOf{"gotrue_meta_security": map[string]any{"captcha_token": captchaToken}})).granted(true)
	require.Contains(t, string(d.send(http.MethodGet, "/openapi.json", nil).Body), `"captcha_token":{"type":"string"}`)
	require.NotContains(t, string(openKeel(t, auth.Keel{}).send(http.MethodGet, "/openapi.json", nil).Body), "captcha")
	for _, hostile := range []any{7, nil, true, []any{captchaToken}, map[string]any{"captcha_token": captchaToken}} {
		d.json("/token", passwordOf("ada@example.com", fieldsOf{"captcha_token": hostile, "x": json.RawMessage(`{}`)})).
			wantKeel(keelError{400, "invalid_request", noCaptcha})
	}
}

func TestWithoutCaptcha(t *testing.T) {
	d := open(t, auth.WithMailFrequency(0))
	d.post("/recover", `{"email":"ada@example.com","gotrue_meta_security":{"captcha_token":"x"}}`).want(http.StatusOK, nil)
	d.post("/recover", `{"email":"ada@example.com","gotrue_meta_security":7}`).want(http.StatusOK, nil)
}
