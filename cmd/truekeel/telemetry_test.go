package main

import (
	"bytes"
	"compress/gzip"
	"encoding/hex"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/truekeel/auth/internal/testport"
)

// collector takes traces and metrics as an OpenTelemetry collector does.
type collector struct {
	port string

	mu  sync.Mutex
	got bytes.Buffer // paths and bodies
}

func newCollector(t *testing.T) *collector {
	t.Helper()
	c := &collector{}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body io.Reader = r.Body
		if r.Header.Get("Content-Encoding") == "gzip" {
			unzipped, err := gzip.NewReader(r.Body)
			if err != nil {
				w.WriteHeader(http.StatusBadRequest)
				return
			}
			body = unzipped
		}
		raw, _ := io.ReadAll(body)
		c.mu.Lock()
		defer c.mu.Unlock()
		c.got.WriteString(r.URL.Path + " ")
		c.got.Write(raw)
	}))
	t.Cleanup(srv.Close)
	_, c.port, _ = net.SplitHostPort(srv.Listener.Addr().String())
	return c
}

// sees asks the server something, ends it, and reports whether the collector has heard
// a text since. Names and values are legible in what is sent.
func (c *collector) sees(text string) func(w *world) string {
	return func(w *world) string {
		c.mu.Lock()
		c.got.Reset()
		c.mu.Unlock()
		w.ask("GET", "/settings?email=ada@example.com", nil, "X-Request-ID", "request-of-mine")
		w.end()
		c.mu.Lock()
		defer c.mu.Unlock()
		require.NotContains(w.t, c.got.String(), "ada@example.com")
		return strconv.FormatBool(strings.Contains(c.got.String(), text))
	}
}

// scraped gives whether Prometheus finds the metrics of a request.
func scraped(w *world) string {
	if w.server.telemetry == nil || w.server.telemetry.metrics == nil {
		return "no port"
	}
	w.ask("GET", "/settings", nil)
	resp, err := http.Get("http://" + w.server.telemetry.metrics.listener.Addr().String() + "/metrics")
	require.NoError(w.t, err)
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	require.NoError(w.t, err)
	require.Contains(w.t, string(raw), "process_resident_memory_bytes")
	return strconv.FormatBool(strings.Contains(string(raw), `auth_requests_total{`) && strings.Contains(string(raw), `http_route="/settings"`))
}

func metricsAddress(part int) func(w *world) string {
	return func(w *world) string {
		host, port, _ := net.SplitHostPort(w.server.telemetry.metrics.listener.Addr().String())
		return []string{host, port}[part]
	}
}

func telemetryEffects(t *testing.T) map[string]effect {
	const on, host, port = "GOTRUE_TRACING_ENABLED", "GOTRUE_TRACING_HOST", "GOTRUE_TRACING_PORT"
	enabled, elsewhere, ported, tagged, called := newCollector(t), newCollector(t), newCollector(t), newCollector(t), newCollector(t)
	fetchAt := strconv.Itoa(testport.Free(t))
	return map[string]effect{
		on:                            {value: "true", env: env(host, "127.0.0.1", port, enabled.port, "REQUEST_ID_HEADER", "X-Request-ID"), see: enabled.sees("request-of-mine"), want: "true"},
		"GOTRUE_TRACING_EXPORTER":     {value: "jaeger", see: func(*world) string { return "started" }, want: `refused: GOTRUE_TRACING_EXPORTER: "jaeger" is none of opentelemetry; for example GOTRUE_TRACING_EXPORTER=opentelemetry`},
		host:                          {value: "127.0.0.1", env: env(on, "true", port, elsewhere.port), see: elsewhere.sees("GET /settings"), want: "true"},
		port:                          {value: ported.port, env: env(on, "true", host, "127.0.0.1"), see: ported.sees("/v1/traces"), want: "true"},
		"GOTRUE_TRACING_TAGS":         {value: "region:atlantis", env: env(on, "true", host, "127.0.0.1", port, tagged.port), see: tagged.sees("atlantis"), want: "true"},
		"GOTRUE_TRACING_SERVICE_NAME": {value: "accounts-of-mine", env: env(on, "true", host, "127.0.0.1", port, called.port), see: called.sees("accounts-of-mine"), want: "true"},
		"GOTRUE_METRICS_ENABLED":      {value: "true", env: env("GOTRUE_METRICS_EXPORTER", "prometheus", "GOTRUE_METRICS_PORT", "0"), see: scraped, want: "true"},
		"GOTRUE_METRICS_EXPORTER":     {value: "prometheus", env: env("GOTRUE_METRICS_ENABLED", "true", "GOTRUE_METRICS_PORT", "0"), see: scraped, want: "true"},
		"GOTRUE_METRICS_HOST":         {value: "127.0.0.4", env: env("GOTRUE_METRICS_ENABLED", "true", "GOTRUE_METRICS_EXPORTER", "prometheus", "GOTRUE_METRICS_PORT", "0"), see: metricsAddress(0), want: "127.0.0.4"},
		"GOTRUE_METRICS_PORT":         {value: fetchAt, env: env("GOTRUE_METRICS_ENABLED", "true", "GOTRUE_METRICS_EXPORTER", "prometheus"), see: metricsAddress(1), want: fetchAt, alone: true},
	}
}

// TestProfilesBesideTheMetrics: one private port has both, if that is what is asked for.
func TestProfilesBesideTheMetrics(t *testing.T) {
	w := newPlace(t).start(t, env("GOTRUE_METRICS_ENABLED", "true", "GOTRUE_METRICS_EXPORTER", "prometheus", "GOTRUE_METRICS_PORT", "0",
		"GOTRUE_PROFILER_ENABLED", "true", "GOTRUE_PROFILER_PORT", "0"))
	require.NoError(t, w.err)
	require.Equal(t, "true", scraped(w))
	resp, err := http.Get("http://" + w.server.telemetry.metrics.listener.Addr().String() + "/debug/pprof/cmdline")
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, http.StatusOK, resp.StatusCode)
}

// What OpenTelemetry's own variables say holds.
func TestOpenTelemetrysOwnVariables(t *testing.T) {
	c := newCollector(t)
	vars := []string{
		"GOTRUE_TRACING_ENABLED=true", "GOTRUE_METRICS_ENABLED=true", "GOTRUE_TRACING_HOST=192.0.2.1", "OTEL_SERVICE_NAME=named-by-otel",
		"OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:" + c.port,
	}
	p := serve(t, t.TempDir(), vars)
	p.get("/settings")
	p.stop()
	require.Contains(t, c.got.String(), "/v1/traces")
	require.Contains(t, c.got.String(), "/v1/metrics")
	require.Contains(t, c.got.String(), "named-by-otel")
	require.Contains(t, c.got.String(), "auth.request.duration")

	require.Contains(t, fails(t, t.TempDir(), append(vars, "OTEL_EXPORTER_OTLP_PROTOCOL=grpc", "PORT=0"), "serve"), "OTEL_EXPORTER_OTLP_PROTOCOL")
	c.got.Reset()
	p = serve(t, t.TempDir(), append(vars, "OTEL_SDK_DISABLED=true"))
	p.get("/settings")
	p.stop()
	require.Empty(t, c.got.String())

	// Files have them too, as with GoTrue.
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, ".env"), []byte(vars[4]+"\n"+vars[3]+"\nOTEL_SDK_DISABLED=true\n"), 0o600))
	file := filepath.Join(dir, "more.env")
	require.NoError(t, os.WriteFile(file, []byte("OTEL_SDK_DISABLED=false\n"), 0o600))
	p = serve(t, dir, vars[:3], "-c", file)
	p.get("/settings")
	p.stop()
	require.Contains(t, c.got.String(), "/v1/traces")
	require.Contains(t, c.got.String(), "named-by-otel")
}

// Whose trace a request is of is believed only where OTEL_PROPAGATORS says so.
func TestTracesOfCallers(t *testing.T) {
	const id = "4bf92f3577b34da6a3ce929d0e0e4736"
	raw, err := hex.DecodeString(id)
	require.NoError(t, err)
	for _, believed := range []bool{false, true} {
		c := newCollector(t)
		vars := []string{"GOTRUE_TRACING_ENABLED=true", "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:" + c.port}
		if believed {
			vars = append(vars, "OTEL_PROPAGATORS=tracecontext,baggage")
		}
		p := serve(t, t.TempDir(), vars)
		r, err := http.NewRequestWithContext(t.Context(), "GET", "http://"+p.addr+"/settings", nil)
		require.NoError(t, err)
		r.Header.Set("traceparent", "00-"+id+"-00f067aa0ba902b7-01")
		resp, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		p.stop()
		require.Contains(t, c.got.String(), "GET /settings")
		require.Equal(t, believed, strings.Contains(c.got.String(), string(raw)))
	}
}
