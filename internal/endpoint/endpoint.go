// Package endpoint is what every route of every dialect does alike: find the route,
// parse, act, respond, and end well whatever happens.
package endpoint

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"path"
	"runtime"
	"slices"
	"strings"

	"github.com/truekeel/auth/fault"
)

// Func answers a request, or says why not: then it has written nothing.
type Func func(w http.ResponseWriter, r *http.Request) error

// Of makes a Func of its three steps: parse makes a flow's request of an HTTP request,
// act is the flow, respond writes its answer.
func Of[Q, A any](
	parse func(*http.Request) (Q, error),
	act func(context.Context, Q) (A, error),
	respond func(http.ResponseWriter, *http.Request, A) error,
) Func {
	return func(w http.ResponseWriter, r *http.Request) error {
		q, err := parse(r)
		if err != nil {
			return err
		}
		a, err := act(r.Context(), q)
		if err != nil {
			return err
		}
		return respond(w, r, a)
	}
}

// Route is one method of one path. The path is a pattern of [http.ServeMux] without
// method and host.
type Route struct {
	Method string
	Path   string
	Do     Func
}

// Router finds routes. Methods are exact: HEAD and OPTIONS are answered only where a
// route names them. A path that isn't clean is unknown: nothing is redirected.
type Router struct {
	mux  *http.ServeMux
	fail func(http.ResponseWriter, *http.Request, error)
}

// NewRouter makes a Router of the one list of routes. fail answers errors.
func NewRouter(routes []Route, fail func(http.ResponseWriter, *http.Request, error)) *Router {
	rt := &Router{mux: http.NewServeMux(), fail: fail}
	methods := map[string]map[string]Func{}
	for _, r := range routes {
		if methods[r.Path] == nil {
			methods[r.Path] = map[string]Func{}
		}
		methods[r.Path][r.Method] = r.Do
	}
	for p, m := range methods {
		rt.mux.Handle(p, rt.methods(p, m))
	}
	rt.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { fail(w, r, errPath) })
	return rt
}

var (
	errPath   = fault.New(fault.NotFound, "No such endpoint")
	errMethod = fault.New(fault.MethodNotAllowed, "This endpoint does not answer this method")
)

func (rt *Router) methods(pattern string, m map[string]Func) http.Handler {
	var allowed []string
	for name := range m {
		allowed = append(allowed, name)
	}
	slices.Sort(allowed)
	allow := strings.Join(allowed, ", ")
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		NoteRoute(r.Context(), pattern)
		do, ok := m[r.Method]
		if !ok {
			w.Header().Set("Allow", allow)
			rt.fail(w, r, errMethod)
			return
		}
		if err := do(w, r); err != nil {
			rt.fail(w, r, err)
		}
	})
}

// ServeHTTP answers the request by its URL's path. One slash at its end is ignored.
func (rt *Router) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p := r.URL.Path
	if len(p) > 1 && strings.HasSuffix(p, "/") {
		r = WithPath(r, strings.TrimSuffix(p, "/"), strings.TrimSuffix(r.URL.RawPath, "/"))
		p = r.URL.Path
	}
	// An encoded slash shows in RawPath alone: the decoded path has one segment too many.
	if p == "" || p[0] != '/' || path.Clean(p) != p || strings.Contains(strings.ToLower(r.URL.RawPath), "%2f") {
		rt.fail(w, r, errPath)
		return
	}
	rt.mux.ServeHTTP(w, r)
}

// WithPath gives a shallow copy of r with another path.
func WithPath(r *http.Request, p, raw string) *http.Request {
	u := *r.URL
	u.Path, u.RawPath = p, raw
	c := r.WithContext(r.Context())
	c.URL = &u
	return c
}

// Panic says of a panic's value what may be logged: the text of Go's own, of others the
// type alone, as they may hold anything.
func Panic(p any) string {
	if err, ok := p.(runtime.Error); ok {
		return err.Error()
	}
	return fmt.Sprintf("%T", p)
}

// JSON writes v as the answer.
func JSON(w http.ResponseWriter, status int, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(body) // the client may be gone; there is nobody to tell
	return nil
}
