package auth

import (
	"context"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/truekeel/auth/fault"
	"github.com/truekeel/auth/internal/caller"
	"github.com/truekeel/auth/internal/endpoint"
	"github.com/truekeel/auth/internal/place"
)

// inboxPath is where the development inbox lies, below the base path.
const inboxPath = "/dev/inbox/"

// ServeHTTP answers the library's endpoints. The base path may have been stripped
// before, or not. Below it GoTrue's endpoints and Keel's answer, each request one of
// them; under /v1 GoTrue's alone.
func (a *Auth) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	info := a.callers.Read(r)
	r, versioned := a.relative(r.WithContext(caller.WithInfo(r.Context(), info)))
	if len(a.set.observers) > 0 {
		a.observed(w, r, versioned)
		return
	}
	a.serve(w, r, versioned)
}

// serve answers a request whose path is relative; versioned says that a version was
// taken off it.
func (a *Auth) serve(w http.ResponseWriter, r *http.Request, versioned bool) {
	r, speaks := a.dialect(w, r, versioned)
	if !hashes(r, speaks) {
		a.hasher.Arrived()
	}
	if a.inbox != nil && strings.HasPrefix(r.URL.Path, inboxPath) {
		a.serveInbox(w, r)
		return
	}
	where, ok := a.placeOf(r)
	r = r.WithContext(place.With(r.Context(), where))
	switch {
	case speaks == speaksKeel && !ok:
		a.keel.Fail(w, r, errForeignHost)
	case speaks == speaksKeel:
		a.keel.ServeHTTP(w, r)
	case !ok:
		a.gotrue.Fail(w, r, errForeignHost)
	default:
		a.gotrue.ServeHTTP(w, r)
	}
}

var errForeignHost = fault.New(fault.ForeignHost, "This server answers only loopback hosts, and nothing that a proxy's forwarding headers come with, until it is told its site's URL (WithSiteURL)")

// relative takes the base path, and the version below it, off the request's path, and
// reports whether there was a version.
func (a *Auth) relative(r *http.Request) (_ *http.Request, versioned bool) {
	p, raw := r.URL.Path, r.URL.RawPath
	cut := func(prefix string) bool {
		rest, ok := strings.CutPrefix(p, prefix)
		if !ok || rest != "" && rest[0] != '/' {
			return false
		}
		p, raw = rest, strings.TrimPrefix(raw, prefix)
		return true
	}
	slash := func() {
		if p != "" && p[0] == '/' {
			return
		}
		p = "/" + p
		if raw != "" {
			raw = "/" + raw
		}
	}
	cut(strings.TrimSuffix(a.set.basePath, "/"))
	slash() // StripPrefix may have taken the slash too
	versioned = !a.set.gotrueOff && cut(version1)
	slash()
	return endpoint.WithPath(r, p, raw), versioned
}

// version1 is the path, below the base path, under which GoTrue's clients look.
const version1 = "/v1"

// placeOf says where the handler is reached. Without configured URLs it is the request's
// own host if that is this machine and no proxy stands between; else nobody knows.
func (a *Auth) placeOf(r *http.Request) (place.Place, bool) {
	if a.where.Known() {
		return a.at(r), true
	}
	if !caller.IsLoopbackHost(r.Host) || caller.Forwarded(r) {
		return place.Place{}, false
	}
	scheme := "http://"
	if r.TLS != nil {
		scheme = "https://"
	}
	origin := scheme + r.Host
	return place.Place{External: origin + strings.TrimSuffix(a.set.basePath, "/"), Site: origin}, true
}

// at is the configured place, at the host of the request if that is one of the listed.
func (a *Auth) at(r *http.Request) place.Place {
	if len(a.set.hosts) == 0 {
		return a.where
	}
	for _, host := range []string{r.Header.Get("X-Forwarded-Host"), r.Host} {
		host = strings.ToLower(host)
		if !slices.Contains(a.set.hosts, host) {
			continue
		}
		scheme := "https://"
		if caller.IsLoopbackHost(host) && r.TLS == nil && r.Header.Get("X-Forwarded-Proto") != "https" {
			scheme = "http://"
		}
		where := a.where
		where.External = scheme + host + strings.TrimPrefix(where.External, originOf(where.External))
		return where
	}
	return a.where
}

// hashes reports whether a request is likely to hash a password: such requests don't
// take the processor that is kept for the others. Of Keel's requests for a token only the
// body says it, so that dialect reports those that don't.
func hashes(r *http.Request, speaks dialect) bool {
	if speaks == speaksKeel {
		return r.Method == http.MethodPost && r.URL.Path == "/token"
	}
	switch r.Method {
	case http.MethodPost:
		return r.URL.Path == "/signup" || r.URL.Path == "/token" && r.URL.Query().Get("grant_type") == "password"
	case http.MethodPut:
		return r.URL.Path == "/user"
	}
	return false
}

// DevInboxURL gives the path of the development inbox, which shows the mails and the
// messages to phones that would have been sent: "" if a mailer and a sender send them, or
// the site is public. It holds a random key that New made: whoever knows it reads all.
func (a *Auth) DevInboxURL() string {
	if a.inbox == nil || a.public() {
		return ""
	}
	return strings.TrimSuffix(a.set.basePath, "/") + inboxPath + a.inboxKey + "/"
}

// serveInbox shows the inbox to who knows its key and came here directly: behind a
// proxy neither a Host header nor a loopback peer proves anything.
func (a *Auth) serveInbox(w http.ResponseWriter, r *http.Request) {
	endpoint.NoteRoute(r.Context(), inboxPath)
	key, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, inboxPath), "/")
	if a.public() || caller.Forwarded(r) || !caller.IsLoopbackHost(r.Host) || !equal(key, a.inboxKey) {
		a.gotrue.Fail(w, r, fault.New(fault.NotFound, "No such endpoint"))
		return
	}
	defer func() {
		if p := recover(); p != nil {
			a.set.logger.ErrorContext(r.Context(), "auth: the development inbox panicked", "panic", endpoint.Panic(p), "stack", string(debug.Stack()))
		}
	}()
	a.inbox.ServeHTTP(w, r)
}

// Ready reports whether the store answers.
func (a *Auth) Ready(ctx context.Context) error { return a.store.Ping(ctx) }
