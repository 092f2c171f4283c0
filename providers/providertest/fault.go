package providertest

import (
	"io"
	"net/http"
	"strings"
)

// Fault is how an address misbehaves.
type Fault int

// The faults of addresses.
const (
	// Working is no fault.
	Working Fault = iota
	// Refused is status 400 with an OAuth error.
	Refused
	// ErrorIn200 is an OAuth error with status 200; NotOK is Slack's form of it.
	ErrorIn200
	NotOK
	// ServerError is status 500 with a page.
	ServerError
	// HTML is a page with status 200.
	HTML
	// NotJSON, Empty and OtherJSON are bodies that aren't the expected object.
	NotJSON
	Empty
	OtherJSON
	// Huge is a JSON object of ten megabytes.
	Huge
	// Hang never answers; it ends with the request's context.
	Hang
	// Unreachable refuses the connection.
	Unreachable
	// Redirecting sends on to another host, with the method and the body.
	Redirecting
)

// Break makes an address misbehave from now on; Working mends it. Queries don't count.
func (s *Server) Break(address string, f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults[bare(address)] = f
}

// Spoil gives all id tokens from now on a fault; Sound ends that.
func (s *Server) Spoil(f TokenFault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bad = f
}

// BreakDiscovery and BreakKeys break those addresses of the issuer.
func (s *Server) BreakDiscovery(f Fault) { s.Break(discoveryURL(s.fixture.Issuer), f) }

// BreakKeys breaks the key set's address.
func (s *Server) BreakKeys(f Fault) { s.Break(keysURL(s.fixture.Issuer), f) }

// AskedDiscovery and AskedKeys are how often those addresses of the issuer were asked.
func (s *Server) AskedDiscovery() int { return s.Asked(discoveryURL(s.fixture.Issuer)) }

// AskedKeys is how often the key set was asked for.
func (s *Server) AskedKeys() int { return s.Asked(keysURL(s.fixture.Issuer)) }

// serve misbehaves, and reports whether it did.
func (f Fault) serve(w http.ResponseWriter, r *http.Request) bool {
	const refusal = `{"error":"temporarily_broken","error_description":"broken on demand"}`
	switch f {
	case Working:
		return false
	case Refused:
		answer(w, http.StatusBadRequest, "application/json", refusal)
	case ErrorIn200:
		answer(w, http.StatusOK, "application/json", refusal)
	case NotOK:
		answer(w, http.StatusOK, "application/json", `{"ok":false,"error":"temporarily_broken"}`)
	case ServerError:
		answer(w, http.StatusInternalServerError, "text/html", "<html>Sorry</html>")
	case HTML:
		answer(w, http.StatusOK, "text/html", "<!doctype html><title>Welcome</title>")
	case NotJSON:
		answer(w, http.StatusOK, "application/json", `{"access_token":`)
	case Empty:
		answer(w, http.StatusOK, "application/json", "")
	case OtherJSON:
		answer(w, http.StatusOK, "application/json", `"a text"`)
	case Huge:
		answer(w, http.StatusOK, "application/json", `{"filler":"`+strings.Repeat("x", 10<<20)+`"}`)
	case Hang:
		wait(r.Context())
	case Unreachable:
		if rec, ok := w.(*recorder); ok {
			rec.broken = true
			break
		}
		panic(http.ErrAbortHandler)
	case Redirecting:
		w.Header().Set("Location", "https://elsewhere.invalid/")
		w.WriteHeader(http.StatusTemporaryRedirect)
	}
	return true
}

func answer(w http.ResponseWriter, status int, kind, body string) {
	w.Header().Set("Content-Type", kind)
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body)
}
