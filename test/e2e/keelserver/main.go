// Command keelserver is a host for the end-to-end tests of the Keel dialect: accounts need
// no confirmation, and one identity provider, that of the tests, signs people in.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"log/slog"
	"net/http"
	"os"
	"time"

	"github.com/truekeel/auth"
	"github.com/truekeel/auth/test/e2e/serve"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:0", "address to listen on")
	issuer := flag.String("issuer", "", "issuer of the identity provider")
	landing := flag.String("landing", "", "where people land after the provider")
	flag.Parse()
	if err := run(*addr, *issuer, *landing); err != nil {
		log.Fatal(err)
	}
}

func run(addr, issuer, landing string) error {
	a, err := auth.New(
		auth.WithAutoConfirm(true),
		auth.WithoutLimits(),
		auth.WithKeel(auth.Keel{
			RedirectURL: landing, RefreshTokenLifetime: 6 * time.Second, AccessTokenLifetime: 61 * time.Second,
			Providers: []auth.KeelProvider{{Type: "oidc", Name: "Acme", ClientID: "client", IssuerURL: issuer, Internal: true}},
			Secrets:   func(string) (string, bool) { return "secret", true },
		}),
		auth.WithLogger(slog.New(slog.NewTextHandler(os.Stderr, nil))),
	)
	if err != nil {
		return err
	}
	defer a.Close(context.Background())

	mux := http.NewServeMux()
	mux.Handle("/.well-known/oauth-authorization-server", a.WellKnown())
	mux.Handle("/api/me", a.RequireUser(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		u, _ := auth.UserFrom(r.Context())
		_, _ = fmt.Fprint(w, u.ID)
	})))
	return serve.UntilInterrupted(addr, a, mux)
}
