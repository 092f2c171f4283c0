package main

import (
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"
)

// ownRequestID is the header in which the server hands ids to the library if none is
// configured. A client that sends it has no effect.
const ownRequestID = "X-Truekeel-Request-Id"

func (s *server) requestIDHeader() string {
	if h := s.config.API.RequestIDHeader; h != "" {
		return h
	}
	return ownRequestID
}

// handler answers liveness and readiness, and gives everything else to the library.
func (s *server) handler() http.Handler {
	library, wellKnown := s.logged(s.accounts), s.logged(s.keelMetadata())
	// No ServeMux: it would redirect paths that aren't clean, which the library answers.
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/livez":
			status(w, http.StatusOK, "alive")
		case "/readyz":
			s.ready(w, r)
		case keelMetadataPath:
			wellKnown.ServeHTTP(w, r)
		default:
			library.ServeHTTP(w, r)
		}
	})
}

func (s *server) ready(w http.ResponseWriter, r *http.Request) {
	switch {
	case s.leaving.Load():
		status(w, http.StatusServiceUnavailable, "stopping")
	case s.accounts.Ready(r.Context()) != nil:
		status(w, http.StatusServiceUnavailable, "the database does not answer")
	default:
		status(w, http.StatusOK, "ready")
	}
}

func status(w http.ResponseWriter, code int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(code)
	_, _ = w.Write([]byte(text + "\n"))
}

// logged gives each request an id and logs it, without its query, which may hold tokens.
func (s *server) logged(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := s.requestIDHeader()
		id := r.Header.Get(header)
		if header == ownRequestID || !isRequestID(id) {
			id = uuid.NewString()
			r.Header.Set(header, id)
		}
		start := time.Now()
		rec := &recorder{ResponseWriter: w, status: http.StatusOK}
		next.ServeHTTP(rec, r)
		level := slog.LevelInfo
		if strings.HasSuffix(r.URL.Path, "/health") {
			level = slog.LevelDebug
		}
		s.log.LogAttrs(r.Context(), level, "request", slog.String("method", r.Method), slog.String("path", r.URL.Path),
			slog.Int("status", rec.status), slog.Duration("duration", time.Since(start)), slog.String("request_id", id))
	})
}

// isRequestID reports whether the library adopts an id.
func isRequestID(id string) bool {
	return id != "" && len(id) <= 128 && !strings.ContainsFunc(id, func(r rune) bool { return r <= ' ' || r > '~' })
}

// recorder notes the status of an answer.
type recorder struct {
	http.ResponseWriter
	status int
}

// WriteHeader notes the status.
func (r *recorder) WriteHeader(code int) {
	r.status = code
	r.ResponseWriter.WriteHeader(code)
}

// Unwrap gives the writer beneath to http.ResponseController.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }
