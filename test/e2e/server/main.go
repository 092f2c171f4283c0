// Command server is a host for the end-to-end tests of what the quickstart leaves out:
// it signs with a secret that the tests know, so that they can administrate, and lets one
// address have many mails.
package main

import (
	"context"
	"flag"
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
	secret := flag.String("secret", "", "secret that signs access tokens")
	flag.Parse()
	if err := run(*addr, *secret); err != nil {
		log.Fatal(err)
	}
}

func run(addr, secret string) error {
	a, err := auth.New(
		auth.WithJWTSecret([]byte(secret)),
		auth.WithMailFrequency(time.Microsecond),
		auth.WithoutLimits(),
		auth.WithLogger(slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))),
	)
	if err != nil {
		return err
	}
	defer a.Close(context.Background())

	return serve.UntilInterrupted(addr, a, http.NewServeMux())
}
