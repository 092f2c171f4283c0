package breach

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/truekeel/auth/internal/outbound"
)

// The client of its own reaches only public addresses, unless the host named the place.
func TestHIBPOwnClient(t *testing.T) {
	srv := httptest.NewServer(http.NotFoundHandler())
	defer srv.Close()
	h, err := NewHIBP(HIBPConfig{})
	require.NoError(t, err)
	require.Equal(t, DefaultBaseURL, h.base)
	h.base = srv.URL // as if its name led here
	_, err = h.Breached(t.Context(), "a")
	require.ErrorIs(t, err, outbound.ErrForbiddenAddress)
	h.CloseIdleConnections()

	h, err = NewHIBP(HIBPConfig{BaseURL: srv.URL})
	require.NoError(t, err)
	_, err = h.Breached(t.Context(), "a")
	require.ErrorContains(t, err, "status 404")
	h.CloseIdleConnections()
}
