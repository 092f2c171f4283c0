package config

import (
	"maps"
	"strings"
)

// Tracing says where traces go.
type Tracing struct {
	Enabled     bool
	Exporter    string
	Host        string // "" for what the OTEL_* variables say
	Port        uint16
	Tags        map[string]string
	ServiceName string
}

// Metrics says where metrics go.
type Metrics struct {
	Enabled  bool
	Exporter string // "opentelemetry" or "prometheus"
	Host     string // where Prometheus fetches them
	Port     uint16
}

// OTel gives the variables that OpenTelemetry defines (OTEL_*), those of files among them.
// Its SDK reads the environment of the process and knows of no files.
func (c *Config) OTel() map[string]string {
	out := maps.Clone(c.vars)
	maps.DeleteFunc(out, func(name, _ string) bool { return !strings.HasPrefix(name, "OTEL_") })
	return out
}

// The exporters of metrics.
const (
	OpenTelemetry = "opentelemetry"
	Prometheus    = "prometheus"
)

func telemetryKeys() []entry {
	return []entry{
		{
			name: "TRACING_ENABLED", def: "false", is: boolean(func(c *Config) *bool { return &c.Tracing.Enabled }),
			doc: "Send traces by OTLP over HTTP. The variables `OTEL_*` that OpenTelemetry defines hold, from files too: endpoints, headers, certificates, samplers, limits, `OTEL_RESOURCE_ATTRIBUTES`, `OTEL_SERVICE_NAME`, `OTEL_SDK_DISABLED`.",
		},
		{
			name: "TRACING_EXPORTER", def: OpenTelemetry, is: choice(func(c *Config) *string { return &c.Tracing.Exporter }, OpenTelemetry),
			doc: "How traces are sent; there is one way.",
		},
		{
			name: "TRACING_HOST", example: "127.0.0.1", is: word(func(c *Config) *string { return &c.Tracing.Host }),
			doc: "The collector's host, which is spoken to without TLS. Default, and for everything else: `OTEL_EXPORTER_OTLP_ENDPOINT`, which also counts where both are set; without it http://localhost:4318.",
		},
		{
			name: "TRACING_PORT", def: "4318", is: port(func(c *Config) *uint16 { return &c.Tracing.Port }),
			doc: "The collector's port for OTLP over HTTP. It is not the 8126 of the examples of GoTrue: that is where Datadog's agent takes a format of its own.",
		},
		{
			name: "TRACING_TAGS", example: "env:prod,region:eu", is: parsed("map", parseMap, func(c *Config) *map[string]string { return &c.Tracing.Tags }),
			doc: "Attributes of the resource that traces and metrics are of.",
		},
		{
			name: "TRACING_SERVICE_NAME", also: []string{"SERVICE_NAME"}, bare: []string{"SERVICE_NAME"}, def: "gotrue", example: "accounts", is: word(func(c *Config) *string { return &c.Tracing.ServiceName }),
			doc: "The name of the service in traces and metrics. `OTEL_SERVICE_NAME` counts before it.",
		},
		{
			name: "METRICS_ENABLED", def: "false", is: boolean(func(c *Config) *bool { return &c.Metrics.Enabled }),
			doc: "Measure, and hand the metrics to METRICS_EXPORTER.",
		},
		{
			name: "METRICS_EXPORTER", def: OpenTelemetry, example: Prometheus, is: choice(func(c *Config) *string { return &c.Metrics.Exporter }, OpenTelemetry, Prometheus),
			doc: "How metrics are had: `opentelemetry` sends them by OTLP over HTTP, `prometheus` serves them at `/metrics` on a port of its own.",
		},
		{
			name: "METRICS_HOST", bare: []string{"OTEL_EXPORTER_PROMETHEUS_HOST"}, own: true, def: "localhost", is: word(func(c *Config) *string { return &c.Metrics.Host }),
			doc: "The address of that port.",
		},
		{
			name: "METRICS_PORT", bare: []string{"OTEL_EXPORTER_PROMETHEUS_PORT"}, own: true, def: "9100", is: port(func(c *Config) *uint16 { return &c.Metrics.Port }),
			doc: "That port.",
		},
	}
}
