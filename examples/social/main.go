// Command social is a small web service whose people sign in with an account that they
// have elsewhere, and link further ones.
//
//	go run ./examples/social
//
// Out of the box it starts two providers of its own, on which everybody may be anybody.
// Real ones are named by the environment, with their client at
// http://localhost:8080/auth/callback:
//
//	EXTERNAL_GITHUB_CLIENT_ID=... EXTERNAL_GITHUB_SECRET=... go run ./examples/social
//
// EXTERNAL_NAME_URL and EXTERNAL_NAME_ISSUER are for those that need them (keycloak, okta).
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
	"strings"
	"syscall"
	"time"

	"github.com/truekeel/auth"
	"github.com/truekeel/auth/providers"
	"github.com/truekeel/auth/providers/providertest"
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
	ways, err := configured()
	if err == nil && len(ways) == 0 {
		var stop func()
		ways, stop, err = pretended("acme", "globex")
		defer stop()
	}
	if err != nil {
		return err
	}
	a, err := auth.New(auth.WithProvider(ways...), auth.WithManualLinking(true))
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

// configured are the providers that the environment names.
func configured() ([]providers.Provider, error) {
	var ways []providers.Provider
	for _, name := range providers.Names() {
		env := func(key string) string { return os.Getenv("EXTERNAL_" + strings.ToUpper(name) + "_" + key) }
		if env("CLIENT_ID") == "" {
			continue
		}
		p, err := providers.ByName(name, providers.Config{
			ClientIDs: strings.Split(env("CLIENT_ID"), ","), Secret: env("SECRET"), URL: env("URL"), Issuer: env("ISSUER"),
		})
		if err != nil {
			return nil, err
		}
		ways = append(ways, p)
	}
	return ways, nil
}

// pretended starts providers on this machine that let everybody in.
func pretended(names ...string) (ways []providers.Provider, stop func(), err error) {
	var servers []*providertest.Server
	stop = func() {
		for _, s := range servers {
			s.Close()
		}
	}
	for _, name := range names {
		s, err := providertest.Start(providertest.Options{})
		if err != nil {
			return nil, stop, err
		}
		servers = append(servers, s)
		ways = append(ways, providers.OIDC(name, s.Issuer(), providertest.ClientID, providertest.ClientSecret, providers.WithInternal()))
	}
	return ways, stop, nil
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
