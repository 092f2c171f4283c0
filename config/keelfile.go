package config

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/truekeel/auth"
)

// KeelFile is the section auth of a keelconfig.yaml.
type KeelFile struct {
	RedirectURL        string        // "" if it isn't there
	AccessTokenExpiry  time.Duration // 0 if it isn't there
	RefreshTokenExpiry time.Duration // 0 if it isn't there
	KeepRefreshToken   bool          // refreshTokenRotationEnabled: false
	Providers          []auth.KeelProvider
	Claims             map[string]string // what each claim is called in an identity's data
}

// maxKeelFile bounds a keelconfig.yaml, in bytes.
const maxKeelFile = 1 << 20

// ReadKeel reads a keelconfig.yaml, see [ParseKeel]. The error may also be that the file
// can't be read.
func ReadKeel(name string) (*KeelFile, []Warning, error) {
	file, err := os.Open(name) // #nosec G304 -- the operator names it
	if err != nil {
		return nil, nil, fmt.Errorf("config: %w", err)
	}
	defer func() { _ = file.Close() }()
	data, err := io.ReadAll(io.LimitReader(file, maxKeelFile+1))
	if err != nil {
		return nil, nil, fmt.Errorf("config: %w", err)
	}
	return ParseKeel(data)
}

// ParseKeel reads the section auth of a keelconfig.yaml; what else the file holds isn't
// looked at. The warnings are about what has no effect here. The error is an [*Error]
// with all that is wrong, whose keys are paths such as auth.providers[0].name.
func ParseKeel(data []byte) (*KeelFile, []Warning, error) {
	r := &keelReader{}
	root := r.document(data)
	f := &KeelFile{Claims: map[string]string{}}
	if root != nil {
		r.file(root, f)
	}
	if len(r.findings) > 0 {
		return nil, r.warnings, &Error{r.findings}
	}
	return f, r.warnings, nil
}

// keelReader collects what is wrong while it reads.
type keelReader struct {
	findings []Finding
	warnings []Warning
}

func (r *keelReader) find(at *yaml.Node, path, example, problem string) {
	if at != nil && at.Line > 0 {
		problem = "line " + strconv.Itoa(at.Line) + ": " + problem
	}
	r.findings = append(r.findings, Finding{path, problem, example})
}

func (r *keelReader) warn(path, text string) {
	r.warnings = append(r.warnings, Warning{[]string{path}, text})
}

// document gives the one document of a file; nil if there is none.
func (r *keelReader) document(data []byte) *yaml.Node {
	const path, example = "keelconfig.yaml", ""
	if len(data) > maxKeelFile {
		r.find(nil, path, example, fmt.Sprintf("it is larger than %d bytes", maxKeelFile))
		return nil
	}
	d := yaml.NewDecoder(bytes.NewReader(data))
	var first, second yaml.Node
	switch err := d.Decode(&first); {
	case errors.Is(err, io.EOF):
		r.warn("auth", "the keelconfig.yaml has no such section, so Keel's defaults hold")
		return nil
	case err != nil:
		r.find(nil, path, example, "it is no YAML: "+strings.TrimPrefix(err.Error(), "yaml: "))
		return nil
	}
	if err := d.Decode(&second); !errors.Is(err, io.EOF) {
		r.find(nil, path, example, "it holds more than one document")
		return nil
	}
	if len(first.Content) == 0 {
		return nil
	}
	return first.Content[0]
}

// member is a key of a mapping with its value.
type member struct {
	key, path string
	value     *yaml.Node
}

// resolved follows an alias to what it stands for.
func resolved(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode && n.Alias != nil {
		return n.Alias
	}
	return n
}

func isNull(n *yaml.Node) bool {
	return n == nil || n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null"
}

// members gives the keys of a mapping; a null has none.
func (r *keelReader) members(n *yaml.Node, path, example string) []member {
	n = resolved(n)
	if isNull(n) {
		return nil
	}
	if n.Kind != yaml.MappingNode {
		r.find(n, cmp.Or(path, "keelconfig.yaml"), example, "it is no mapping of keys to values")
		return nil
	}
	var out []member
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		at := strings.TrimPrefix(path+"."+key.Value, ".")
		if slices.ContainsFunc(out, func(m member) bool { return m.key == key.Value }) {
			r.find(key, at, "", "it is given twice")
			continue
		}
		out = append(out, member{key.Value, at, resolved(n.Content[i+1])})
	}
	return out
}

// items gives the values of a list; a null has none.
func (r *keelReader) items(m member, example string) []*yaml.Node {
	if isNull(m.value) {
		return nil
	}
	if m.value.Kind != yaml.SequenceNode {
		r.find(m.value, m.path, example, "it is no list")
		return nil
	}
	out := make([]*yaml.Node, len(m.value.Content))
	for i, n := range m.value.Content {
		out[i] = resolved(n)
	}
	return out
}

// text reads a text.
func (r *keelReader) text(m member, example string) (string, bool) {
	if m.value.Kind != yaml.ScalarNode || m.value.ShortTag() != "!!str" {
		r.find(m.value, m.path, example, "it is no text; quotes make one of a number or a word such as true")
		return "", false
	}
	return m.value.Value, true
}

// boolean reads a boolean.
func (r *keelReader) boolean(m member, example string) (value, ok bool) {
	if m.value.Kind != yaml.ScalarNode || m.value.ShortTag() != "!!bool" || m.value.Decode(&value) != nil {
		r.find(m.value, m.path, example, "it is neither true nor false")
		return false, false
	}
	return value, true
}

// seconds reads a whole number of seconds, at least one.
func (r *keelReader) seconds(m member, example string) time.Duration {
	var n int64
	switch {
	case m.value.Kind != yaml.ScalarNode || m.value.ShortTag() != "!!int":
		r.find(m.value, m.path, example, "it is no whole number of seconds")
	case m.value.Decode(&n) != nil || n > math.MaxInt64/int64(time.Second):
		r.find(m.value, m.path, example, shown(m.value.Value)+" seconds are too many")
	case n < 1:
		r.find(m.value, m.path, example, shown(m.value.Value)+" is under 1")
	default:
		return time.Duration(n) * time.Second
	}
	return 0
}

// file reads the whole of a file.
func (r *keelReader) file(root *yaml.Node, f *KeelFile) {
	var section *yaml.Node
	for _, m := range r.members(root, "", "") {
		if m.key == "auth" {
			section = m.value
		}
	}
	if section == nil {
		r.warn("auth", "the keelconfig.yaml has no such section, so Keel's defaults hold")
		return
	}
	for _, m := range r.members(section, "auth", "") {
		switch m.key {
		case "tokens":
			r.tokens(m, f)
		case "redirectUrl":
			r.redirectURL(m, f)
		case "providers":
			r.providers(m, f)
		case "claims":
			r.claims(m, f)
		case "hooks":
			r.hooks(m)
		default:
			r.unknown(section, m, "tokens", "redirectUrl", "providers", "claims", "hooks")
		}
	}
}

// unknown refuses a key.
func (r *keelReader) unknown(at *yaml.Node, m member, known ...string) {
	if m.value != nil {
		at = m.value
	}
	r.find(at, m.path, "", "there is no such key; those that there are: "+strings.Join(known, ", "))
}

func (r *keelReader) tokens(section member, f *KeelFile) {
	for _, m := range r.members(section.value, section.path, "") {
		switch m.key {
		case "accessTokenExpiry":
			f.AccessTokenExpiry = r.seconds(m, "86400")
		case "refreshTokenExpiry":
			f.RefreshTokenExpiry = r.seconds(m, "7776000")
		case "refreshTokenRotationEnabled":
			rotate, ok := r.boolean(m, "true")
			f.KeepRefreshToken = ok && !rotate
		default:
			r.unknown(section.value, m, "accessTokenExpiry", "refreshTokenExpiry", "refreshTokenRotationEnabled")
		}
	}
}

func (r *keelReader) redirectURL(m member, f *KeelFile) {
	const example = "https://app.example.com/signed-in"
	raw, ok := r.text(m, example)
	if !ok {
		return
	}
	landing, err := parseLanding(raw)
	if err != nil {
		r.find(m.value, m.path, example, err.Error())
		return
	}
	f.RedirectURL = landing
}

// providerPath is the path of a provider in a file.
func providerPath(n int) string { return fmt.Sprintf("auth.providers[%d]", n) }

func (r *keelReader) providers(list member, f *KeelFile) {
	for n, item := range r.items(list, "[{type: google, name: google, clientId: id-of-the-app}]") {
		path := providerPath(n)
		p := r.provider(item, path)
		twin := slices.IndexFunc(f.Providers, func(q auth.KeelProvider) bool { return p.Name != "" && strings.EqualFold(p.Name, q.Name) })
		if twin >= 0 {
			r.find(item, path+".name", "", shown(p.Name)+" is the name of "+providerPath(twin)+" too; letters' case makes no difference")
		}
		f.Providers = append(f.Providers, p)
	}
}

func keelTypes() []string { return []string{"google", "facebook", "gitlab", "slack", "oidc"} }

// provider reads one provider. Keys that it doesn't know are left alone, as Keel does.
func (r *keelReader) provider(item *yaml.Node, path string) (p auth.KeelProvider) {
	issuer := member{path: path + ".issuerUrl", value: item}
	given := map[string]bool{}
	for _, m := range r.members(item, path, "{type: google, name: google, clientId: id-of-the-app}") {
		if isNull(m.value) {
			continue
		}
		given[m.key] = true
		switch m.key {
		case "type":
			p.Type = r.kind(m)
		case "name":
			p.Name = r.name(m)
		case "clientId":
			p.ClientID = r.required(m, "id-of-the-app")
		case "issuerUrl":
			issuer = m
		case "scopes":
			for i, s := range r.items(m, "[openid, email]") {
				if scope, ok := r.text(member{path: fmt.Sprintf("%s[%d]", m.path, i), value: s}, "email"); ok {
					p.Scopes = append(p.Scopes, scope)
				}
			}
		case "tokenUrl", "authorizationUrl":
			r.httpsURL(m)
			r.warn(m.path, "it has no effect: what the issuer publishes counts")
		default:
			r.warn(m.path, "unknown, so it has no effect")
		}
	}
	r.missing(item, path, given, [][2]string{{"type", "google"}, {"name", "google"}, {"clientId", "id-of-the-app"}})
	p.IssuerURL = r.issuer(issuer, p.Type, given["issuerUrl"])
	return p
}

// missing finds the keys, each with an example, that an item of a list has to have and
// hasn't.
func (r *keelReader) missing(item *yaml.Node, path string, given map[string]bool, keys [][2]string) {
	if item.Kind != yaml.MappingNode && !isNull(item) {
		return // found already
	}
	for _, k := range keys {
		if !given[k[0]] {
			r.find(item, path+"."+k[0], k[1], "it is missing")
		}
	}
}

// issuer reads an issuer, which providers of the type oidc have and no others.
func (r *keelReader) issuer(m member, kind string, given bool) string {
	switch {
	case kind == "oidc" && !given:
		r.find(m.value, m.path, "https://login.example.com", "it is missing, and the type is oidc")
	case kind == "oidc":
		return r.httpsURL(m)
	case given && kind != "":
		r.warn(m.path, "it has no effect: the type "+kind+" has an issuer of its own")
	}
	return ""
}

// kind reads a provider's type.
func (r *keelReader) kind(m member) string {
	s, ok := r.text(m, "google")
	if ok && !slices.Contains(keelTypes(), s) {
		r.find(m.value, m.path, "google", shown(s)+" is none of "+strings.Join(keelTypes(), ", "))
		return ""
	}
	return s
}

// name reads a provider's name.
func (r *keelReader) name(m member) string {
	s, ok := r.text(m, "google")
	switch {
	case !ok:
	case !regexp.MustCompile(`^[a-zA-Z][a-zA-Z0-9_]+$`).MatchString(s):
		r.find(m.value, m.path, "google", shown(s)+" is no name: a letter, then letters, digits or underscores, two or more in all")
	case strings.HasPrefix(strings.ToLower(s), "keel_"):
		r.find(m.value, m.path, "google", shown(s)+" begins with keel_, which is Keel's own")
	}
	return s
}

// required reads a text that isn't empty.
func (r *keelReader) required(m member, example string) string {
	s, ok := r.text(m, example)
	if ok && s == "" {
		r.find(m.value, m.path, example, "it is empty")
	}
	return s
}

// httpsURL reads an address with https.
func (r *keelReader) httpsURL(m member) string {
	const example = "https://login.example.com"
	s, ok := r.text(m, example)
	if !ok {
		return ""
	}
	if _, err := parseAddress(s); err != nil || !strings.HasPrefix(s, "https://") {
		r.find(m.value, m.path, example, shown(s)+" is no web address that begins with https://")
		return ""
	}
	return s
}

func (r *keelReader) claims(list member, f *KeelFile) {
	fields := map[string]bool{}
	for n, item := range r.items(list, "[{key: https://example.com/team, field: team}]") {
		path := fmt.Sprintf("%s[%d]", list.path, n)
		key, field := r.claim(item, path)
		if key == "" || field == "" {
			continue // found already
		}
		if _, twice := f.Claims[key]; twice {
			r.find(item, path+".key", "", shown(key)+" is given twice")
		}
		if fields[field] {
			r.find(item, path+".field", "", shown(field)+" is given twice")
		}
		f.Claims[key], fields[field] = field, true
	}
}

// claim reads one claim. Keys that it doesn't know are left alone, as Keel does.
func (r *keelReader) claim(item *yaml.Node, path string) (key, field string) {
	given := map[string]bool{}
	for _, m := range r.members(item, path, "{key: https://example.com/team, field: team}") {
		if isNull(m.value) {
			continue
		}
		given[m.key] = true
		switch m.key {
		case "key":
			key = r.required(m, "https://example.com/team")
		case "field":
			field = r.required(m, "team")
		case "unique":
			if unique, ok := r.boolean(m, "false"); ok && unique {
				r.warn(m.path, "it has no effect: an identity is known by its issuer and subject alone")
			}
		default:
			r.warn(m.path, "unknown, so it has no effect")
		}
	}
	r.missing(item, path, given, [][2]string{{"key", "https://example.com/team"}, {"field", "team"}})
	return key, field
}

// hooks names the hooks that the file lists. They are Go functions, which a server that
// is configured by a file doesn't have.
func (r *keelReader) hooks(list member) {
	known := map[string]string{"afterAuthentication": "Keel.AfterAuthentication", "afterIdentityCreated": "Keel.AfterIdentityCreated"}
	for n, item := range r.items(list, "[afterAuthentication]") {
		m := member{path: fmt.Sprintf("%s[%d]", list.path, n), value: item}
		name, ok := r.text(m, "afterAuthentication")
		switch {
		case !ok:
		case known[name] == "":
			r.find(item, m.path, "afterAuthentication", shown(name)+" is none of "+strings.Join(sortedKeys(known), ", "))
		default:
			r.warn(m.path, name+" is never called: hooks are functions of a Go program; one that mounts the library sets "+known[name])
		}
	}
}
