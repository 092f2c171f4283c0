package hookcall

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"

	"github.com/truekeel/auth/internal/outbound"
)

// Target is where a hook is.
type Target struct {
	// URL is where it is posted to; "" for a function.
	URL string
	// Reach is which addresses the URL's host may have.
	Reach outbound.Reach
	// Schema and Function name a function of the database.
	Schema, Function string

	host string // of the URL, without a port
}

// Host is the URL's host without a port; "" for a function.
func (t Target) Host() string { return t.host }

// IsFunction reports a function of the database.
func (t Target) IsFunction() bool { return t.Function != "" }

// aName is a name of a schema or function, as PostgreSQL keeps it without a cut.
var aName = regexp.MustCompile(`\A[A-Za-z_][A-Za-z0-9_]{0,62}\z`)

// ParseTarget reads a hook's URI:
//
//	https://example.com/hook
//	http://localhost:8080/hook               (localhost, 127.0.0.1, [::1], host.docker.internal)
//	pg-functions://postgres/schema/function
//
// An error doesn't repeat the URI, which may hold a password.
func ParseTarget(uri string) (Target, error) {
	u, err := url.Parse(uri)
	if err != nil {
		return Target{}, errors.New("the URI can't be read")
	}
	switch u.Scheme {
	case "https", "http":
		return web(u)
	case "pg-functions":
		return function(u)
	}
	return Target{}, fmt.Errorf("the URI's scheme is %q, not https, http or pg-functions", u.Scheme)
}

func web(u *url.URL) (Target, error) {
	host := strings.ToLower(u.Hostname())
	t := Target{URL: u.String(), host: host}
	switch {
	case host == "":
		return Target{}, errors.New("the URI has no host")
	case u.Fragment != "":
		return Target{}, errors.New("the URI has a fragment (#), which no server sees")
	case u.Scheme == "https":
		return t, nil
	}
	switch host {
	case "localhost", "127.0.0.1", "::1":
		t.Reach = outbound.Loopback
	case "host.docker.internal":
		t.Reach = outbound.Inside // what it resolves to is Docker's to say
	default:
		return Target{}, errors.New("http is for localhost, 127.0.0.1, [::1] and host.docker.internal alone; give an https URI")
	}
	return t, nil
}

func function(u *url.URL) (Target, error) {
	parts := strings.Split(u.EscapedPath(), "/")
	if len(parts) != 3 || u.RawQuery != "" || u.Fragment != "" || !aName.MatchString(parts[1]) || !aName.MatchString(parts[2]) {
		return Target{}, errors.New("a function's URI has the form pg-functions://postgres/schema/function, " +
			"with names of up to 63 letters, digits and underscores that begin with no digit")
	}
	return Target{Schema: parts[1], Function: parts[2]}, nil
}
