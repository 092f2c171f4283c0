package tenants

import (
	"testing"
	"time"

	"github.com/google/uuid"
)

// Abandon removes an instance and leaves its accounts.
func Abandon(t *testing.T, r *Registry, id uuid.UUID) {
	t.Helper()
	if err := r.remove(t.Context(), id); err != nil {
		t.Fatal(err)
	}
}

// Variables gives what settings stand for.
func Variables(s Settings) []string { v, _ := s.variables(""); return v }

// Raw gives settings as they are stored.
func Raw(s Settings) []byte { return s.raw }

// Name gives the schema or the prefix of an instance.
func Name(h Schemas, id uuid.UUID) string { return h.name(id) }

// Wait sets how long requests wait for a place, on a machine that is busy or not.
func Wait(s *Server, d time.Duration) { s.pool.patience = d }
