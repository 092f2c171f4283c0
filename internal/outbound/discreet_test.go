package outbound

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Who answers with what he was sent, in a way that net/http quotes, isn't quoted.
func TestPostIsDiscreet(t *testing.T) {
	for name, answer := range map[string]func(w http.ResponseWriter, sent string){
		"status line": func(w http.ResponseWriter, sent string) { raw(w, "HTTP/1.1 "+sent+"\r\n\r\n") },
		"no HTTP":     func(w http.ResponseWriter, sent string) { raw(w, sent+"\r\n\r\n") },
		"header":      func(w http.ResponseWriter, sent string) { raw(w, "HTTP/1.1 200 OK\r\n"+sent+"\r\n\r\n") },
		"length": func(w http.ResponseWriter, sent string) {
			raw(w, "HTTP/1.1 200 OK\r\nContent-Length: "+sent+"\r\n\r\n")
		},
		"encoding": func(w http.ResponseWriter, sent string) {
			raw(w, "HTTP/1.1 200 OK\r\nTransfer-Encoding: "+sent+"\r\n\r\n")
		},
		"place": func(w http.ResponseWriter, sent string) {
			raw(w, "HTTP/1.1 307 OK\r\nLocation: http://%zz/"+sent+"\r\nContent-Length: 0\r\n\r\n")
		},
	} {
		t.Run(name, func(t *testing.T) {
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				sent, err := io.ReadAll(r.Body)
				assert.NoError(t, err)
				answer(w, string(sent))
			}))
			defer srv.Close()
			var s Service
			defer s.CloseIdleConnections()
			_, err := s.Post(t.Context(), Account{BaseURL: srv.URL, Own: true}, "/send", url.Values{"code": {"735912"}}, nil)
			require.EqualError(t, err, "outbound: no answer: the connection broke or the answer is no HTTP")
		})
	}
}

// raw answers with these bytes.
func raw(w http.ResponseWriter, answer string) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	_, _ = io.WriteString(conn, answer)
	_ = conn.Close()
}

// What the network and the clock say isn't a secret; the cause stays to be found.
func TestDiscreet(t *testing.T) {
	said := errors.New(`malformed HTTP response "735912"`)
	err := Discreet(&url.Error{Op: "Post", URL: "https://u:p@example.com", Err: said})
	require.ErrorIs(t, err, said)
	require.EqualError(t, err, "the connection broke or the answer is no HTTP")
	for _, known := range []error{ErrForbiddenAddress, ErrTooLarge, ErrRedirect, context.DeadlineExceeded, context.Canceled} {
		require.EqualError(t, Discreet(&url.Error{Op: "Post", URL: "https://u:p@example.com", Err: known}), known.Error())
	}
	down := httptest.NewServer(http.NotFoundHandler())
	down.Close()
	_, err = new(Service).Post(t.Context(), Account{BaseURL: down.URL, Own: true}, "/send", nil, nil)
	require.ErrorContains(t, err, "refused")
}

// What an exchange says that came to no answer is told from what who answered says.
func TestBroke(t *testing.T) {
	for name, err := range map[string]error{
		"refused":     &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED},
		"name":        fmt.Errorf("x: %w", &net.DNSError{Name: "inside.example"}),
		"URL":         &url.Error{Op: "Post", URL: "https://inside.example", Err: errors.New("x")},
		"certificate": &tls.CertificateVerificationError{Err: errors.New("x")},
		"time":        fmt.Errorf("x: %w", context.DeadlineExceeded),
		"forbidden":   Discreet(ErrForbiddenAddress),
		"no HTTP":     fmt.Errorf("x: %w", Discreet(errors.New("malformed"))),
	} {
		require.True(t, Broke(err), name)
	}
	require.False(t, Broke(errors.New("no credit")))
	require.False(t, Broke(nil))
}
