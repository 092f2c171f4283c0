package endpoint_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/truekeel/auth/internal/endpoint"
)

// deadlines notes the read deadlines that it is given.
type deadlines struct {
	http.ResponseWriter
	set []time.Time
}

func (d *deadlines) SetReadDeadline(t time.Time) error {
	d.set = append(d.set, t)
	return nil
}

func TestTimed(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	until, _ := ctx.Deadline()
	impatient := context.WithValue(ctx, http.ServerContextKey, &http.Server{ReadTimeout: time.Second})
	for name, c := range map[string]struct {
		ctx  context.Context
		body string
		want []time.Time
	}{
		"in time":                   {ctx, "{}", []time.Time{until, {}}},
		"too large":                 {ctx, strings.Repeat("x", endpoint.MaxBody+1), []time.Time{until}},
		"no time":                   {t.Context(), "{}", nil},
		"the server has a time":     {impatient, "{}", nil},
		"a server that has no time": {context.WithValue(ctx, http.ServerContextKey, &http.Server{}), "{}", []time.Time{until, {}}},
	} {
		w := &deadlines{ResponseWriter: httptest.NewRecorder()}
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(c.body)).WithContext(c.ctx)
		endpoint.Timed(w, r)
		_, err := endpoint.Body(r)
		require.Equal(t, len(c.body) > endpoint.MaxBody, err != nil, name)
		require.Equal(t, c.want, w.set, name)
	}
}
