package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	otelprometheus "go.opentelemetry.io/otel/exporters/prometheus"
	noopmetric "go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/propagation"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	nooptrace "go.opentelemetry.io/otel/trace/noop"

	"github.com/truekeel/auth/authotel"
	"github.com/truekeel/auth/config"
)

// telemetry is where traces and metrics go.
type telemetry struct {
	observer *authotel.Observer
	metrics  *metricsPort                  // nil unless Prometheus fetches them
	closers  []func(context.Context) error // they send what is left
}

// newTelemetry makes what the variables ask for; nil if that is nothing.
func newTelemetry(ctx context.Context, c *config.Config, logger *slog.Logger) (t *telemetry, err error) {
	if off, _ := strconv.ParseBool(os.Getenv("OTEL_SDK_DISABLED")); off || !c.Tracing.Enabled && !c.Metrics.Enabled {
		return nil, nil
	}
	if p := os.Getenv("OTEL_EXPORTER_OTLP_PROTOCOL"); p != "" && p != "http/protobuf" {
		return nil, fmt.Errorf("OTEL_EXPORTER_OTLP_PROTOCOL: %q is not supported, http/protobuf is; a collector takes it on port 4318", p)
	}
	t = &telemetry{}
	defer func() {
		if err != nil {
			err = errors.Join(err, t.close(ctx))
			t = nil
		}
	}()
	// What the exporters meet with later has no other way out.
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { logger.Warn("traces or metrics were not sent", "error", err) }))
	about, err := resourceOf(ctx, c)
	if err != nil {
		return t, err
	}
	ends := authotel.Config{TracerProvider: nooptrace.NewTracerProvider(), MeterProvider: noopmetric.NewMeterProvider(), Propagator: propagator()}
	if c.Tracing.Enabled {
		if ends.TracerProvider, err = t.tracing(ctx, c.Tracing, about); err != nil {
			return t, err
		}
	}
	if c.Metrics.Enabled {
		if ends.MeterProvider, err = t.measuring(ctx, c.Metrics, about, logger); err != nil {
			return t, err
		}
	}
	t.observer, err = authotel.New(ends)
	return t, err
}

// export puts the variables that OpenTelemetry defines where its SDK reads them, those of
// files too.
func export(c *config.Config) error {
	for name, value := range c.OTel() {
		if err := os.Setenv(name, value); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// resourceOf says what traces and metrics are of. What OTEL_* says counts more.
func resourceOf(ctx context.Context, c *config.Config) (*resource.Resource, error) {
	attrs := []attribute.KeyValue{attribute.String("service.name", c.Tracing.ServiceName), attribute.String("service.version", version())}
	for _, k := range slices.Sorted(maps.Keys(c.Tracing.Tags)) {
		attrs = append(attrs, attribute.String(k, c.Tracing.Tags[k]))
	}
	return resource.New(ctx, resource.WithTelemetrySDK(), resource.WithAttributes(attrs...), resource.WithFromEnv())
}

// propagator is what OTEL_PROPAGATORS names. Without it headers are ignored: whoever can
// reach the server can send them.
func propagator() propagation.TextMapPropagator {
	if slices.Contains(strings.Split(os.Getenv("OTEL_PROPAGATORS"), ","), "tracecontext") {
		return propagation.TraceContext{}
	}
	return nil
}

func (t *telemetry) tracing(ctx context.Context, c config.Tracing, about *resource.Resource) (*sdktrace.TracerProvider, error) {
	var opts []otlptracehttp.Option
	if c.Host != "" && os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT") == "" && os.Getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") == "" {
		opts = append(opts, otlptracehttp.WithEndpoint(net.JoinHostPort(c.Host, strconv.Itoa(int(c.Port)))), otlptracehttp.WithInsecure())
	}
	exporter, err := otlptracehttp.New(ctx, opts...)
	if err != nil {
		return nil, fmt.Errorf("traces: %w", err)
	}
	p := sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter), sdktrace.WithResource(about))
	t.closers = append(t.closers, p.Shutdown)
	return p, nil
}

func (t *telemetry) measuring(ctx context.Context, c config.Metrics, about *resource.Resource, logger *slog.Logger) (*sdkmetric.MeterProvider, error) {
	reader, err := t.reader(ctx, c, logger)
	if err != nil {
		return nil, fmt.Errorf("metrics: %w", err)
	}
	p := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader), sdkmetric.WithResource(about))
	t.closers = append(t.closers, p.Shutdown)
	return p, nil
}

func (t *telemetry) reader(ctx context.Context, c config.Metrics, logger *slog.Logger) (sdkmetric.Reader, error) {
	if c.Exporter != config.Prometheus {
		exporter, err := otlpmetrichttp.New(ctx)
		if err != nil {
			return nil, err
		}
		return sdkmetric.NewPeriodicReader(exporter), nil
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{})) // fails for two of a kind alone
	exporter, err := otelprometheus.New(otelprometheus.WithRegisterer(registry))
	if err != nil {
		return nil, err
	}
	t.metrics, err = newMetricsPort(c, registry, logger)
	return exporter, err
}

// close sends what is left and lets go of the port.
func (t *telemetry) close(ctx context.Context) error {
	if t == nil {
		return nil
	}
	var errs []error
	for _, c := range t.closers {
		errs = append(errs, c(ctx))
	}
	t.closers = nil
	if t.metrics != nil {
		_ = t.metrics.http.Close() // nobody is owed an answer
		_ = t.metrics.listener.Close()
	}
	return errors.Join(errs...)
}

// metricsPort serves the metrics on a port of its own.
type metricsPort struct {
	listener net.Listener
	http     *http.Server
	mux      *http.ServeMux
}

func newMetricsPort(c config.Metrics, registry *prometheus.Registry, logger *slog.Logger) (*metricsPort, error) {
	l, err := net.Listen("tcp", net.JoinHostPort(c.Host, strconv.Itoa(int(c.Port))))
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{ErrorLog: slog.NewLogLogger(logger.Handler(), slog.LevelWarn)}))
	logger.Info("serving metrics", "address", l.Addr().String())
	return &metricsPort{l, &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}, mux}, nil
}

func (p *metricsPort) serve() error { return p.http.Serve(p.listener) }
