package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/require"
)

func TestRun(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), &out))
	require.Equal(t, "user.created ada@example.com\nuser.deleted \n", out.String())
}

func TestTheReceiverAsksWhoItIs(t *testing.T) {
	key, err := standardwebhooks.NewWebhook(secret)
	require.NoError(t, err)
	var out bytes.Buffer
	w := httptest.NewRecorder()
	receive(key, &out)(w, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", strings.NewReader(`{"type":"user.created"}`)))
	require.Equal(t, http.StatusUnauthorized, w.Code)
	require.Empty(t, out.String())
}
