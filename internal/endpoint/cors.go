package endpoint

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/truekeel/auth/internal/caller"
)

// CORS answers browsers that ask whether a page of another origin may call.
type CORS struct {
	// Any allows every origin.
	Any bool
	// Origins are allowed, as scheme://host[:port] in lower case.
	Origins []string
	// Loopback allows the origins of this machine, on any port.
	Loopback bool
	// Headers are allowed besides those that our clients send.
	Headers []string
}

// sent reports whether our clients send a header; its name is in lower case.
func sent(h string) bool {
	switch h {
	case "accept", "apikey", "authorization", "content-type", "x-client-info", "x-client-ip",
		"x-jwt-aud", "x-retry-count", "x-supabase-api-version", "x-use-cookie":
		return true
	}
	return false
}

// Wrap answers preflights itself and marks the other answers.
func (c CORS) Wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		origin := r.Header.Get("Origin")
		wanted := r.Header.Get("Access-Control-Request-Method")
		if r.Method == http.MethodOptions && origin != "" && wanted != "" {
			c.preflight(w, r, origin, wanted)
			return
		}
		w.Header().Add("Vary", "Origin")
		if origin != "" && c.allowed(origin) {
			c.mark(w, origin)
			w.Header().Set("Access-Control-Expose-Headers", "X-Total-Count, Link, X-Supabase-Api-Version")
		}
		next.ServeHTTP(w, r)
	})
}

func (c CORS) mark(w http.ResponseWriter, origin string) {
	if c.Any {
		w.Header().Set("Access-Control-Allow-Origin", "*")
		return
	}
	w.Header().Set("Access-Control-Allow-Origin", origin)
}

func (c CORS) preflight(w http.ResponseWriter, r *http.Request, origin, method string) {
	w.Header().Set("Vary", "Origin, Access-Control-Request-Method, Access-Control-Request-Headers")
	headers := r.Header.Get("Access-Control-Request-Headers")
	if c.allowed(origin) && methodAllowed(method) && c.headersAllowed(headers) {
		c.mark(w, origin)
		w.Header().Set("Access-Control-Allow-Methods", method)
		w.Header().Set("Access-Control-Max-Age", "600")
		if headers != "" {
			w.Header().Set("Access-Control-Allow-Headers", headers)
		}
	}
	w.WriteHeader(http.StatusNoContent)
}

func (c CORS) allowed(origin string) bool {
	if c.Any || slices.Contains(c.Origins, strings.ToLower(origin)) {
		return true
	}
	if !c.Loopback {
		return false
	}
	u, err := url.Parse(origin)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && caller.IsLoopbackHost(u.Host)
}

func methodAllowed(m string) bool {
	switch m {
	case http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete:
		return true
	}
	return false
}

func (c CORS) headersAllowed(list string) bool {
	for h := range strings.SplitSeq(list, ",") {
		h = strings.ToLower(strings.TrimSpace(h))
		if h == "" || sent(h) {
			continue
		}
		if !slices.ContainsFunc(c.Headers, func(own string) bool { return strings.EqualFold(own, h) }) {
			return false
		}
	}
	return true
}
