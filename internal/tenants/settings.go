package tenants

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/url"
	"slices"
	"strings"
)

const (
	// maxSettings bounds the settings of an instance, in bytes of JSON.
	maxSettings = 256 << 10
	// maxDepth bounds how deep they are nested.
	maxDepth = 8
	// maxHosts bounds the host names of an instance.
	maxHosts = 100
)

// Settings are what an operator says of an instance: a JSON object whose nested names
// are the names of variables, in lower case, cut at some of their underscores:
//
//	{"site_url": "https://acme.example", "smtp": {"host": "mail.acme.example"}}
//
// is GOTRUE_SITE_URL and GOTRUE_SMTP_HOST. "hosts" are the host names of the instance.
type Settings struct {
	raw    json.RawMessage
	fields map[string]any
	hosts  []string
}

// ParseSettings reads settings. The error says what is wrong, without any value.
func ParseSettings(raw []byte) (Settings, error) {
	if len(raw) > maxSettings {
		return Settings{}, fmt.Errorf("the settings have more than %d bytes", maxSettings)
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var fields map[string]any
	if err := d.Decode(&fields); err != nil || fields == nil {
		return Settings{}, errors.New("the settings are no JSON object")
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return Settings{}, errors.New("the settings are no JSON object")
	}
	return settingsOf(fields)
}

func settingsOf(fields map[string]any) (Settings, error) {
	hosts, err := readHosts(fields["hosts"])
	if err != nil {
		return Settings{}, err
	}
	raw, err := json.Marshal(fields)
	if err != nil {
		return Settings{}, errors.New("the settings are no JSON object")
	}
	s := Settings{raw: raw, fields: fields, hosts: hosts}
	_, err = s.variables("")
	return s, err
}

// Hosts gives the host names of the instance, in lower case, each once.
func (s Settings) Hosts() []string { return s.hosts }

func readHosts(v any) ([]string, error) {
	if v == nil {
		return nil, nil
	}
	list, ok := v.([]any)
	if !ok || len(list) > maxHosts {
		return nil, fmt.Errorf("hosts is no list of at most %d host names", maxHosts)
	}
	var out []string
	for _, item := range list {
		text, _ := item.(string)
		host := strings.ToLower(text)
		u, err := url.Parse("https://" + host)
		if host == "" || len(host) > 253 || err != nil || u.Host != host || u.Port() != "" || plainHost(host) != host || strings.ContainsAny(host, "*?% ") {
			return nil, errors.New(`hosts has one that is no host name, such as "auth.acme.example", without a port`)
		}
		if !slices.Contains(out, host) {
			out = append(out, host)
		}
	}
	return out, nil
}

// foreign are the variables that belong to the whole server. An instance can't set them.
func foreign() []string {
	return []string{
		"API_HOST", "API_PORT", "API_BASE_PATH", "API_TLS", "API_DRAIN", "API_REQUEST", "API_TRUSTED", "API_ENDPOINT", "DB_", "DATABASE", "LOG_", "TRACING_", "METRICS_",
		"PROFILER_", "OPERATOR_", "MULTI", "INSTANCES_", "OTEL_", "SECURITY_DATABASE_ENCRYPTION_", "RATE_LIMIT_HEADER", "REQUEST_ID_HEADER", "PORT",
	}
}

// variables gives the settings as KEY=value. site, if there is one, is the site's URL
// instead of theirs.
func (s Settings) variables(site string) ([]string, error) {
	vars := map[string]string{}
	for name, v := range s.fields {
		if name == "hosts" {
			continue
		}
		if err := flatten(vars, []string{name}, v); err != nil {
			return nil, err
		}
	}
	if site != "" {
		vars["SITE_URL"] = site
	}
	out := make([]string, 0, len(vars))
	for _, name := range slices.Sorted(maps.Keys(vars)) {
		for _, f := range foreign() {
			if strings.HasPrefix(name, f) {
				return nil, fmt.Errorf("%s is a setting of the whole server, not of an instance", strings.ToLower(name))
			}
		}
		out = append(out, "GOTRUE_"+name+"="+vars[name])
	}
	return out, nil
}

// flatten puts the variables that a value stands for into vars.
func flatten(vars map[string]string, path []string, v any) error {
	name := strings.ToUpper(strings.Join(path, "_"))
	if len(path) > maxDepth || !isName(name) {
		return errors.New("the settings have a name that is none of a variable, or are nested too deep")
	}
	text := ""
	switch v := v.(type) {
	case nil:
		return nil
	case string:
		text = v
	case bool, json.Number:
		text = fmt.Sprint(v)
	case []any:
		var err error
		if text, err = listed(v); err != nil {
			return fmt.Errorf("%s: %w", strings.ToLower(name), err)
		}
	case map[string]any:
		if name == "SMTP_HEADERS" {
			raw, err := json.Marshal(v)
			vars[name] = string(raw)
			return err
		}
		for _, key := range slices.Sorted(maps.Keys(v)) {
			if err := flatten(vars, append(slices.Clone(path), key), v[key]); err != nil {
				return err
			}
		}
		return nil
	}
	if strings.ContainsRune(text, 0) {
		return fmt.Errorf("%s has a NUL character", strings.ToLower(name))
	}
	if _, twice := vars[name]; twice {
		return fmt.Errorf("%s is set twice", strings.ToLower(name))
	}
	vars[name] = text
	return nil
}

func isName(s string) bool {
	return s != "" && len(s) <= 100 && !strings.ContainsFunc(s, func(r rune) bool {
		return r != '_' && (r < 'A' || r > 'Z') && (r < '0' || r > '9')
	})
}

// listed writes a list as variables have them: with commas between the items, or as JSON
// if the items are objects.
func listed(list []any) (string, error) {
	items := make([]string, 0, len(list))
	for _, item := range list {
		switch item := item.(type) {
		case string:
			if strings.Contains(item, ",") {
				return "", errors.New("an item of the list has a comma")
			}
			items = append(items, item)
		case bool, json.Number:
			items = append(items, fmt.Sprint(item))
		default:
			raw, err := json.Marshal(list)
			return string(raw), err
		}
	}
	return strings.Join(items, ","), nil
}

// merge gives the settings with a change to them: objects are merged, other values are
// replaced, null takes a value away. An empty secret, as it is shown, leaves the secret
// that is there.
func (s Settings) merge(change Settings) (Settings, error) {
	fields, ok := merged(s.fields, change.fields, "").(map[string]any)
	if !ok {
		return Settings{}, errors.New("the settings are no JSON object")
	}
	return settingsOf(fields)
}

func merged(old, change any, name string) any {
	from, was := old.(map[string]any)
	to, is := change.(map[string]any)
	switch {
	case is:
		out := map[string]any{}
		if was {
			maps.Copy(out, from)
		}
		for k, v := range to {
			if v == nil {
				delete(out, k)
				continue
			}
			out[k] = merged(out[k], v, k)
		}
		return out
	case isSecret(name) && change == "" && old != nil:
		return old
	}
	return change
}

// shown gives the settings with every secret blanked.
func (s Settings) shown() map[string]any {
	out, _ := blanked(s.fields, "").(map[string]any)
	return out
}

func blanked(v any, name string) any {
	object, ok := v.(map[string]any)
	switch {
	case isSecret(name):
		return ""
	case !ok:
		return v
	}
	out := make(map[string]any, len(object))
	for k, v := range object {
		out[k] = blanked(v, k)
	}
	return out
}

// isSecret reports whether a setting of this name is kept to who needs it.
func isSecret(name string) bool {
	name = strings.ToLower(name)
	for _, end := range []string{"pass", "secret", "secrets", "token", "access_key", "api_key", "private_key", "private_key_next"} {
		if name == end || strings.HasSuffix(name, "_"+end) {
			return true
		}
	}
	return name == "key" || name == "keys" || name == "jwt_keys" || name == "headers" || name == "smtp_headers"
}
