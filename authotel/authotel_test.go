package authotel_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/truekeel/auth"
	"github.com/truekeel/auth/authotel"
	"github.com/truekeel/auth/authtest"
)

// backend is what an Observer records to.
type backend struct {
	spans  *tracetest.SpanRecorder
	reader *sdkmetric.ManualReader
	config authotel.Config
}

func newBackend() *backend {
	b := &backend{spans: tracetest.NewSpanRecorder(), reader: sdkmetric.NewManualReader()}
	b.config = authotel.Config{
		TracerProvider: sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(b.spans)),
		MeterProvider:  sdkmetric.NewMeterProvider(sdkmetric.WithReader(b.reader)),
	}
	return b
}

func (b *backend) observer(t *testing.T) *authotel.Observer {
	t.Helper()
	o, err := authotel.New(b.config)
	require.NoError(t, err)
	return o
}

// metrics gives what was recorded, each series by its name and its attributes: the
// sum of a counter, the number of values of a histogram.
func (b *backend) metrics(t *testing.T) map[string]int64 {
	t.Helper()
	var all metricdata.ResourceMetrics
	require.NoError(t, b.reader.Collect(t.Context(), &all))
	out := map[string]int64{}
	for _, scope := range all.ScopeMetrics {
		require.Equal(t, authotel.Scope, scope.Scope.Name)
		for _, m := range scope.Metrics {
			switch d := m.Data.(type) {
			case metricdata.Sum[int64]:
				for _, p := range d.DataPoints {
					out[series(m.Name, p.Attributes)] = p.Value
				}
			case metricdata.Histogram[float64]:
				for _, p := range d.DataPoints {
					out[series(m.Name, p.Attributes)] = int64(p.Count)
				}
			default:
				t.Fatalf("%s has data of type %T", m.Name, d)
			}
		}
	}
	return out
}

func series(name string, set attribute.Set) string {
	return name + "{" + set.Encoded(attribute.DefaultEncoder()) + "}"
}

func ask(t *testing.T, h http.Handler, method, path, body string, headers ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, "http://localhost/auth"+path, strings.NewReader(body))
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func attributes(s sdktrace.ReadOnlySpan) map[string]string {
	out := map[string]string{}
	for _, kv := range s.Attributes() {
		out[string(kv.Key)] = kv.Value.String()
	}
	return out
}

func TestRequestsAreTracedAndCounted(t *testing.T) {
	b := newBackend()
	h := authtest.New(t, auth.WithObserver(b.observer(t)), auth.WithRequestIDHeader("X-Request-ID"))
	ask(t, h.Auth, "GET", "/admin/users/7d2c3a52-6f43-4b92-8c9d-1a9e3e9a3f10", "", "X-Request-ID", "request-1")
	ask(t, h.Auth, "GET", "/health", "", "X-Request-ID", "request-2")
	ask(t, h.Auth, "BREW", "/coffee", "", "X-Request-ID", "request-3")

	spans := b.spans.Ended()
	require.Len(t, spans, 3)
	require.Equal(t, "GET /admin/users/{id}", spans[0].Name())
	require.Equal(t, map[string]string{
		"http.request.method": "GET", "http.route": "/admin/users/{id}", "http.response.status_code": "401", "error.type": "no_authorization", "auth.request_id": "request-1",
	}, attributes(spans[0]))
	require.Equal(t, codes.Unset, spans[0].Status().Code, "what the client did wrong is no error of ours")
	require.Equal(t, "GET /health", spans[1].Name())
	require.Equal(t, "_OTHER", spans[2].Name())

	got := b.metrics(t)
	for _, name := range []string{"auth.requests", "auth.request.duration"} {
		assert.Equal(t, int64(1), got[name+"{error.type=no_authorization,http.request.method=GET,http.response.status_code=401,http.route=/admin/users/{id}}"])
		assert.Equal(t, int64(1), got[name+"{http.request.method=GET,http.response.status_code=200,http.route=/health}"])
		assert.Equal(t, int64(1), got[name+"{error.type=not_found,http.request.method=_OTHER,http.response.status_code=404}"])
	}
}

func TestOurFailuresAreErrors(t *testing.T) {
	b := newBackend()
	h := authtest.New(t, auth.WithObserver(b.observer(t)))
	require.NoError(t, h.Auth.Close(t.Context()))
	end := func(status int, code string) sdktrace.ReadOnlySpan {
		r := httptest.NewRequestWithContext(t.Context(), "POST", "/token", nil)
		_, done := b.observer(t).BeginRequest(r, "id")
		done(auth.Answer{Route: "/token", Status: status, Code: code, Duration: time.Second})
		all := b.spans.Ended()
		return all[len(all)-1]
	}
	require.Equal(t, codes.Error, end(500, "unexpected_failure").Status().Code)
	require.Equal(t, codes.Error, end(503, "unavailable").Status().Code)
	require.Equal(t, codes.Unset, end(422, "weak_password").Status().Code)
}

func TestNothingPersonalIsRecorded(t *testing.T) {
	b := newBackend()
	h := authtest.New(t, auth.WithObserver(b.observer(t)))
	const email, password = "ada.lovelace@example.com", "correct horse battery"
	ask(t, h.Auth, "POST", "/signup", fmt.Sprintf(`{"email":%q,"password":%q}`, email, password))
	code := h.LastMail(email).Code()
	w := ask(t, h.Auth, "POST", "/verify", fmt.Sprintf(`{"type":"signup","email":%q,"token":%q}`, email, code))
	require.Equal(t, http.StatusOK, w.Code)
	var session struct {
		AccessToken  string `json:"access_token"`
		RefreshToken string `json:"refresh_token"`
		User         struct {
			ID string `json:"id"`
		} `json:"user"`
	}
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &session))
	ask(t, h.Auth, "GET", "/user?email="+email, "", "Authorization", "Bearer "+session.AccessToken, "User-Agent", "Difference Engine")
	ask(t, h.Auth, "GET", "/admin/users/"+session.User.ID, "", "Authorization", "Bearer "+session.AccessToken)
	ask(t, h.Auth, "GET", "/verify?token="+code+"&type=signup&email="+email, "")

	var recorded strings.Builder
	for _, s := range b.spans.Ended() {
		fmt.Fprintln(&recorded, s.Name(), attributes(s), s.Status().Description, s.Events())
	}
	for name := range b.metrics(t) {
		fmt.Fprintln(&recorded, name)
	}
	require.Contains(t, recorded.String(), "/verify")
	for _, secret := range []string{email, "lovelace", password, code, session.AccessToken, session.RefreshToken, session.User.ID, "Difference", "192.0.2.1"} {
		require.NotContains(t, recorded.String(), secret)
	}
}

func TestEventsAreCounted(t *testing.T) {
	b := newBackend()
	o := b.observer(t)
	for _, e := range []auth.Event{
		{Name: "outbox.retried", Kind: "mail", Attempts: 1, Reason: "timeout"},
		{Name: "outbox.delivered", Kind: "mail", Attempts: 2, Age: time.Second},
		{Name: "outbox.given_up", Kind: "user_created", Reason: "permanent"},
		{Name: "password.begun"},
		{Name: "password.queued"}, {Name: "password.queued"}, {Name: "password.queued"},
		{Name: "password.begun", Kind: "queued", Age: time.Second},
		{Name: "password.left", Age: time.Second},
		{Name: "password.refused"},
		{Name: "key.changed", ID: "kid", Kind: "current"},
		{Name: "something.new"},
	} {
		o.Observe(e)
	}
	require.Equal(t, map[string]int64{
		"auth.outbox.attempts{auth.outbox.kind=mail,auth.outbox.outcome=retried,error.type=timeout}":            1,
		"auth.outbox.attempts{auth.outbox.kind=mail,auth.outbox.outcome=delivered}":                             1,
		"auth.outbox.attempts{auth.outbox.kind=user_created,auth.outbox.outcome=given_up,error.type=permanent}": 1,
		"auth.outbox.age{auth.outbox.kind=mail}":                                                                1,
		"auth.password.wait{}":                                                                                  2,
		"auth.password.queue{}":                                                                                 1,
		"auth.password.turned_away{error.type=canceled}":                                                        1,
		"auth.password.turned_away{error.type=queue_full}":                                                      1,
		"auth.key.changes{auth.key.state=current}":                                                              1,
	}, b.metrics(t))
}

func TestParents(t *testing.T) {
	const remote = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	trusting := func(c *authotel.Config) { c.Propagator = propagation.TraceContext{} }
	strict := func(*authotel.Config) {}
	for name, c := range map[string]struct {
		config func(*authotel.Config)
		around bool
		parent string // "remote", "around" or ""
	}{
		"a header is ignored":                 {config: strict},
		"a header is believed when told":      {config: trusting, parent: "remote"},
		"the host's span is the parent":       {config: strict, around: true, parent: "around"},
		"the host's span goes before headers": {config: trusting, around: true, parent: "around"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBackend()
			c.config(&b.config)
			h := authtest.New(t, auth.WithObserver(b.observer(t)))
			r := httptest.NewRequestWithContext(t.Context(), "GET", "http://localhost/auth/health", nil)
			r.Header.Set("Traceparent", remote)
			want := map[string]string{"": "0000000000000000", "remote": "b7ad6b7169203331"}
			if c.around {
				ctx, span := b.config.TracerProvider.Tracer("host").Start(t.Context(), "around")
				defer span.End()
				want["around"] = span.SpanContext().SpanID().String()
				r = r.WithContext(ctx)
			}
			h.Auth.ServeHTTP(httptest.NewRecorder(), r)
			require.Len(t, b.spans.Ended(), 1)
			require.Equal(t, want[c.parent], b.spans.Ended()[0].Parent().SpanID().String())
		})
	}
}

func TestWithAddsToSpansAlone(t *testing.T) {
	b := newBackend()
	o := b.observer(t)
	h := authtest.New(t, auth.WithObserver(o.With(attribute.String("auth.instance", "blue"))))
	ask(t, h.Auth, "GET", "/health", "")
	other := authtest.New(t, auth.WithObserver(o))
	ask(t, other.Auth, "GET", "/health", "")
	require.Equal(t, "blue", attributes(b.spans.Ended()[0])["auth.instance"])
	require.NotContains(t, attributes(b.spans.Ended()[1]), "auth.instance")
	require.Equal(t, int64(2), b.metrics(t)["auth.requests{http.request.method=GET,http.response.status_code=200,http.route=/health}"])
}

func TestGlobalProvidersAreTheDefault(t *testing.T) {
	o, err := authotel.New(authotel.Config{})
	require.NoError(t, err)
	h := authtest.New(t, auth.WithObserver(o))
	require.Equal(t, http.StatusOK, ask(t, h.Auth, "GET", "/health", "").Code)
}

// Hosts that import auth alone don't link OpenTelemetry.
func TestOnlyWhoImportsItPays(t *testing.T) {
	deps := func(pkg string) string {
		out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", pkg).CombinedOutput()
		require.NoError(t, err, string(out))
		return string(out)
	}
	require.NotContains(t, deps("github.com/truekeel/auth"), "opentelemetry")
	require.NotContains(t, deps("github.com/truekeel/auth/config"), "opentelemetry")
	require.Contains(t, deps("github.com/truekeel/auth/authotel"), "go.opentelemetry.io/otel")
}

func BenchmarkRequest(b *testing.B) {
	for name, observed := range map[string]bool{"alone": false, "observed": true} {
		b.Run(name, func(b *testing.B) {
			var opts []auth.Option
			if observed {
				c := newBackend().config
				c.TracerProvider = sdktrace.NewTracerProvider() // samples, and keeps nothing
				o, err := authotel.New(c)
				require.NoError(b, err)
				opts = append(opts, auth.WithObserver(o))
			}
			h := authtest.New(b, opts...)
			r := httptest.NewRequestWithContext(b.Context(), "GET", "http://localhost/auth/health", nil)
			b.ReportAllocs()
			for b.Loop() {
				h.Auth.ServeHTTP(httptest.NewRecorder(), r)
			}
		})
	}
}
