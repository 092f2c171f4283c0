package main

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"
)

// deaf are accounts whose database doesn't answer.
type deaf struct{ accounts }

func (deaf) Ready(context.Context) error { return errors.New("a secret address refuses") }

// TestReadiness: a server that is about to stop, or whose database is away, gets no more
// requests, and isn't started anew for that.
func TestReadiness(t *testing.T) {
	w := newPlace(t).start(t, nil)
	require.NoError(t, w.err)
	h := w.server.handler()
	ask := func(path string) (int, string) {
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, path, nil))
		return rec.Code, rec.Body.String()
	}
	says := func(code int, text string) {
		t.Helper()
		status, body := ask("/readyz")
		require.Equal(t, code, status)
		require.Equal(t, text+"\n", body)
		status, body = ask("/livez")
		require.Equal(t, http.StatusOK, status)
		require.Equal(t, "alive\n", body)
	}
	says(http.StatusOK, "ready")
	w.server.leaving.Store(true)
	says(http.StatusServiceUnavailable, "stopping")
	w.server.leaving.Store(false)
	there := w.server.accounts
	w.server.accounts = deaf{there}
	says(http.StatusServiceUnavailable, "the database does not answer")
	w.server.accounts = there
	says(http.StatusOK, "ready")
}
