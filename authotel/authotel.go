// Package authotel gives an [auth.Auth] OpenTelemetry traces and metrics:
//
//	o, err := authotel.New(authotel.Config{TracerProvider: tp, MeterProvider: mp})
//	a, err := auth.New(auth.WithObserver(o))
//
// Who doesn't import it links no module of OpenTelemetry.
//
// # Traces
//
// One span of kind server for each request to the library's own endpoints, named by
// method and route ("POST /token"), with http.request.method, http.route,
// http.response.status_code, error.type (the code of the error) and auth.request_id.
// Answers of status 500 and above are errors, those below are not. If the context of the
// request has a span already, as behind otelhttp, it is the parent.
//
// # Metrics
//
//	auth.requests            counter    requests, by method, route, status and error.type
//	auth.request.duration    histogram  seconds, by the same
//	auth.outbox.attempts     counter    attempts to deliver, by kind, outcome and error.type
//	auth.outbox.age          histogram  seconds until a delivery, by kind
//	auth.password.queue      up-down    password hashes that wait for a processor
//	auth.password.wait       histogram  seconds that a hash waited
//	auth.password.turned_away counter   hashes that didn't come to it, by error.type
//	auth.key.changes         counter    signing keys made or moved on, by state
//
// Neither holds an address, a name, an id of a user, a token or a path as it was sent.
package authotel

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/truekeel/auth"
)

// Scope is the name of the instrumentation scope of everything that is recorded here.
const Scope = "github.com/truekeel/auth/authotel"

// Config says where traces and metrics go. The zero Config uses the global providers of
// OpenTelemetry.
type Config struct {
	// TracerProvider makes the spans. Default: the global one.
	TracerProvider trace.TracerProvider
	// MeterProvider makes the instruments. Default: the global one.
	MeterProvider metric.MeterProvider
	// Propagator takes the parent of a request's span from its headers, unless its
	// context has one. Whoever can reach the service can send such headers, and so join
	// traces and ask to be sampled: set it only behind a proxy that replaces them.
	// Default: headers are ignored.
	Propagator propagation.TextMapPropagator
}

// Observer records what it sees of an Auth. It is safe for concurrent use, also by
// several Auths.
type Observer struct {
	tracer     trace.Tracer
	propagator propagation.TextMapPropagator // nil for none
	attributes []attribute.KeyValue          // of every span

	requests   metric.Int64Counter
	duration   metric.Float64Histogram
	attempts   metric.Int64Counter
	age        metric.Float64Histogram
	queue      metric.Int64UpDownCounter
	wait       metric.Float64Histogram
	turnedAway metric.Int64Counter
	keys       metric.Int64Counter
}

var _ auth.Observer = (*Observer)(nil)

// New makes an Observer. The error is that of a meter which refuses an instrument.
func New(c Config) (*Observer, error) {
	if c.TracerProvider == nil {
		c.TracerProvider = otel.GetTracerProvider()
	}
	if c.MeterProvider == nil {
		c.MeterProvider = otel.GetMeterProvider()
	}
	o := &Observer{tracer: c.TracerProvider.Tracer(Scope), propagator: c.Propagator}
	if err := o.instruments(c.MeterProvider.Meter(Scope)); err != nil {
		return nil, fmt.Errorf("authotel: %w", err)
	}
	return o, nil
}

// With gives an Observer that records the same and puts further attributes on its spans,
// for example the tenant whose Auth it is given to. Metrics don't have them: there may be
// more tenants than series.
func (o *Observer) With(attributes ...attribute.KeyValue) *Observer {
	c := *o
	c.attributes = slices.Concat(o.attributes, attributes)
	return &c
}

// instruments makes them all, or says which can't be made.
func (o *Observer) instruments(m metric.Meter) (err error) {
	add := func(f func() error) {
		if err == nil {
			err = f()
		}
	}
	seconds := metric.WithUnit("s")
	// From a cached token's 100 microseconds to a request that times out.
	short := metric.WithExplicitBucketBoundaries(.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10)
	long := metric.WithExplicitBucketBoundaries(.1, .5, 1, 5, 30, 60, 300, 900, 3600, 6*3600, 24*3600)
	add(func() (e error) {
		o.requests, e = m.Int64Counter("auth.requests", metric.WithUnit("{request}"), metric.WithDescription("Requests to the endpoints."))
		return e
	})
	add(func() (e error) {
		o.duration, e = m.Float64Histogram("auth.request.duration", seconds, short, metric.WithDescription("How long requests took."))
		return e
	})
	add(func() (e error) {
		o.attempts, e = m.Int64Counter("auth.outbox.attempts", metric.WithUnit("{attempt}"), metric.WithDescription("Attempts to deliver mails and events."))
		return e
	})
	add(func() (e error) {
		o.age, e = m.Float64Histogram("auth.outbox.age", seconds, long, metric.WithDescription("How long after they were asked for mails and events were delivered."))
		return e
	})
	add(func() (e error) {
		o.queue, e = m.Int64UpDownCounter("auth.password.queue", metric.WithUnit("{hash}"), metric.WithDescription("Password hashes that wait for a processor."))
		return e
	})
	add(func() (e error) {
		o.wait, e = m.Float64Histogram("auth.password.wait", seconds, short, metric.WithDescription("How long password hashes waited for a processor."))
		return e
	})
	add(func() (e error) {
		o.turnedAway, e = m.Int64Counter("auth.password.turned_away", metric.WithUnit("{hash}"), metric.WithDescription("Password hashes whose turn never came."))
		return e
	})
	add(func() (e error) {
		o.keys, e = m.Int64Counter("auth.key.changes", metric.WithUnit("{change}"), metric.WithDescription("Signing keys made or moved to another state."))
		return e
	})
	return err
}

// BeginRequest starts the span of a request; see [auth.Observer].
func (o *Observer) BeginRequest(r *http.Request, id string) (context.Context, func(auth.Answer)) {
	ctx := r.Context()
	if o.propagator != nil && !trace.SpanContextFromContext(ctx).IsValid() {
		ctx = o.propagator.Extract(ctx, propagation.HeaderCarrier(r.Header))
	}
	method := methodOf(r)
	ctx, span := o.tracer.Start(ctx, method, trace.WithSpanKind(trace.SpanKindServer), trace.WithAttributes(o.attributes...),
		trace.WithAttributes(attribute.String("http.request.method", method), attribute.String("auth.request_id", id)))
	return ctx, func(a auth.Answer) {
		o.end(context.WithoutCancel(ctx), span, method, a)
	}
}

// end records how a request ended, under its span, so that measurements can point at it.
func (o *Observer) end(ctx context.Context, span trace.Span, method string, a auth.Answer) {
	attrs := []attribute.KeyValue{attribute.Int("http.response.status_code", a.Status)}
	if a.Route != "" {
		span.SetName(method + " " + a.Route)
		attrs = append(attrs, attribute.String("http.route", a.Route))
	}
	if a.Code != "" {
		attrs = append(attrs, attribute.String("error.type", a.Code))
	}
	span.SetAttributes(attrs...)
	if a.Status >= http.StatusInternalServerError {
		span.SetStatus(codes.Error, a.Code)
	}
	set := metric.WithAttributeSet(attribute.NewSet(append(attrs, attribute.String("http.request.method", method))...))
	o.requests.Add(ctx, 1, set)
	o.duration.Record(ctx, a.Duration.Seconds(), set)
	span.End()
}

// methodOf is the method of a request; what anybody can make up counts as one.
func methodOf(r *http.Request) string {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return r.Method
	}
	return "_OTHER"
}

// Observe counts an event; see [auth.Event].
func (o *Observer) Observe(e auth.Event) {
	ctx := context.Background()
	group, what, _ := strings.Cut(e.Name, ".")
	switch group {
	case "outbox":
		o.outbox(ctx, what, e)
	case "password":
		o.password(ctx, what, e)
	case "key":
		o.keys.Add(ctx, 1, metric.WithAttributes(attribute.String("auth.key.state", e.Kind)))
	}
}

func (o *Observer) outbox(ctx context.Context, outcome string, e auth.Event) {
	kind := attribute.String("auth.outbox.kind", e.Kind)
	attrs := []attribute.KeyValue{kind, attribute.String("auth.outbox.outcome", outcome)}
	if e.Reason != "" {
		attrs = append(attrs, attribute.String("error.type", e.Reason))
	}
	o.attempts.Add(ctx, 1, metric.WithAttributes(attrs...))
	if outcome == "delivered" {
		o.age.Record(ctx, e.Age.Seconds(), metric.WithAttributes(kind))
	}
}

func (o *Observer) password(ctx context.Context, step string, e auth.Event) {
	switch step {
	case "queued":
		o.queue.Add(ctx, 1)
	case "begun":
		if e.Kind == "queued" {
			o.queue.Add(ctx, -1)
		}
		o.wait.Record(ctx, e.Age.Seconds())
	case "left":
		o.queue.Add(ctx, -1)
		o.turnedAway.Add(ctx, 1, metric.WithAttributes(attribute.String("error.type", "canceled")))
	case "refused":
		o.turnedAway.Add(ctx, 1, metric.WithAttributes(attribute.String("error.type", "queue_full")))
	}
}
