// Package serve is what the hosts of the end-to-end tests share.
package serve

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"time"

	"github.com/truekeel/auth"
)

// UntilInterrupted answers on addr, a under /auth/, until the process is interrupted. It prints where
// the tests find the host and its mails.
func UntilInterrupted(addr string, a *auth.Auth, mux *http.ServeMux) error {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	origin := fmt.Sprintf("http://localhost:%d", l.Addr().(*net.TCPAddr).Port)
	fmt.Printf("open   %s/\nmails  %s%s\n", origin, origin, a.DevInboxURL())

	mux.Handle("/auth/", a)
	srv := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	defer context.AfterFunc(ctx, func() { _ = srv.Close() })()
	if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
