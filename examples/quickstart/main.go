// Command quickstart is a small web service with user accounts: sign-up with a
// confirmation mail, sign-in, and one endpoint that only signed-in users reach.
//
//	go run ./examples/quickstart
//
// It keeps its accounts in ./auth.db and shows the mails that it would send in a
// development inbox, whose URL it prints.
package main

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/truekeel/auth"
)

//go:embed index.html
var page []byte

func main() {
	addr := flag.String("addr", ":8080", "address to listen on")
	flag.Parse()
	if err := run(*addr); err != nil {
		log.Fatal(err)
	}
}

func run(addr string) error {
	a, err := auth.New()
	if err != nil {
		return err
	}
	defer a.Close(context.Background())

	mux := http.NewServeMux()
	mux.Handle("/auth/", a)
	mux.Handle("GET /api/me", a.RequireUser(http.HandlerFunc(me)))
	mux.HandleFunc("GET /{$}", index)

	return serve(addr, mux, a.DevInboxURL())
}

// me is the protected part: RequireUser lets only signed-in users in.
func me(w http.ResponseWriter, r *http.Request) {
	user, _ := auth.UserFrom(r.Context())
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]string{"id": user.ID.String(), "email": user.Email, "role": user.Role})
}

func index(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write(page)
}

// serve answers on addr until the process is interrupted, then lets requests finish.
func serve(addr string, h http.Handler, inbox string) error {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	origin := fmt.Sprintf("http://localhost:%d", l.Addr().(*net.TCPAddr).Port)
	fmt.Printf("open   %s/\nmails  %s%s\n", origin, origin, inbox)

	srv := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }()

	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := srv.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return srv.Close()
}
