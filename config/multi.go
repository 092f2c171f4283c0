package config

import (
	"maps"
	"math"
	"slices"
	"strings"
)

// Multi is about many instances in one server.
type Multi struct {
	Enabled       bool
	OperatorToken string
	SigningKey    string // "" for the token
	AllowNoExpiry bool
	Endpoint      string
	Dir           string
	MaxOpen       int
}

func multiKeys() []entry {
	return []entry{
		{
			name: "MULTIINSTANCEMODE", also: []string{"MULTI_INSTANCE_MODE"}, def: "false", is: boolean(func(c *Config) *bool { return &c.Multi.Enabled }),
			doc: "Serve many instances, as `truekeel multi` does.",
		},
		{
			name: "OPERATOR_TOKEN", secret: true, example: "$(openssl rand -base64 48)", is: text(func(c *Config) *string { return &c.Multi.OperatorToken }),
			doc: "What the operator proves himself with at `/instances`. Without it there are no instances.",
		},
		{
			name: "OPERATOR_SIGNING_KEY", own: true, secret: true, example: "$(openssl rand -base64 48)", is: text(func(c *Config) *string { return &c.Multi.SigningKey }),
			doc: "The key of the signatures by which the operator says for which instance a request is. Default: OPERATOR_TOKEN.",
		},
		{
			name: "OPERATOR_ALLOW_NO_EXPIRY", own: true, def: "false", is: boolean(func(c *Config) *bool { return &c.Multi.AllowNoExpiry }),
			doc: "Accept signatures that don't end, or end later than in 5 minutes.",
		},
		{
			name: "API_ENDPOINT", example: "https://auth.example.com", is: webURL(func(c *Config) *string { return &c.Multi.Endpoint }),
			doc: "What the operator is told of where a new instance is reached.",
		},
		{
			name: "INSTANCES_PATH", own: true, def: "instances", is: word(func(c *Config) *string { return &c.Multi.Dir }),
			doc: "The folder of the instances' SQLite files, with the list of the instances and the key that seals their settings. Where the database is PostgreSQL or MySQL they are there.",
		},
		{
			name: "INSTANCES_MAX_OPEN", own: true, def: "100", is: number(1, math.MaxInt32, func(c *Config) *int { return &c.Multi.MaxOpen }),
			doc: "How many instances are open at once. The others are opened when they are asked for.",
		},
	}
}

// Instance gives the configuration of an instance: its own settings, of the form
// KEY=value, over the variables that hold for all, which are those of the server but for
// what says who the instance is and where its accounts are. The results are those of
// [Parse].
func (c *Config) Instance(settings []string) (*Config, []Warning, error) {
	vars := make([]string, 0, len(c.vars)+len(settings))
	for _, name := range slices.Sorted(maps.Keys(c.vars)) {
		if shared(name) {
			vars = append(vars, name+"="+c.vars[name])
		}
	}
	return Parse(append(vars, settings...))
}

// shared reports whether a variable of the server holds for its instances.
func shared(name string) bool {
	key, ours := strings.CutPrefix(name, prefix)
	if !ours {
		return name == "REQUEST_ID_HEADER"
	}
	for _, own := range []string{
		"SITE_URL", "URI_ALLOW_LIST", "API_EXTERNAL_URL", "API_ENDPOINT", "JWT_", "MAILER_EXTERNAL_HOSTS", "WEBHOOK_", "EVENT_WEBHOOK_", "HOOK_", "DB_", "DATABASE_URL", "COOKIE_", "SESSION_KEY",
		"OPERATOR_", "MULTI", "INSTANCES_", "TRACING_", "METRICS_", "PROFILER_", "SERVICE_NAME", "LOG_", "SECURITY_DATABASE_ENCRYPTION_", "SECURITY_CAPTCHA_", "KEEL_",
	} {
		if strings.HasPrefix(key, own) {
			return false
		}
	}
	return true
}
