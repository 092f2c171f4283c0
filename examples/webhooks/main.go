// Command webhooks shows events: a host tells a receiver what happens to accounts, and the
// receiver checks who it is that tells.
//
//	go run ./examples/webhooks
//
// Here both are one program; the receiver could as well be another one, anywhere.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/truekeel/auth"
)

// secret is made with: echo "whsec_$(openssl rand -base64 32)". Keep yours elsewhere.
const secret = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="

func main() {
	if err := run(context.Background(), os.Stdout); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, out io.Writer) (err error) {
	key, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		return err
	}
	receiver := httptest.NewServer(receive(key, out))
	defer receiver.Close()
	dir, err := os.MkdirTemp("", "webhooks")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)

	a, err := auth.New(
		auth.WithDatabaseFile(filepath.Join(dir, "app.db")),
		auth.WithEventWebhook(auth.EventWebhook{
			URL: receiver.URL, Secrets: []string{secret}, Events: []auth.EventType{auth.EventUserCreated, auth.EventUserDeleted},
		}),
	)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, a.Close(ctx)) }()

	ada, err := a.Users().Create(ctx, auth.NewUser{Email: "ada@example.com", EmailConfirmed: true})
	if err != nil {
		return err
	}
	if err := a.Users().Delete(ctx, ada.ID); err != nil {
		return err
	}
	return a.Deliver(ctx) // the library does so by itself; this program ends
}

// receive takes events. What it answers with 2xx isn't told again, but for what a crash
// made doubtful: do the work once for each webhook-id.
func receive(key *standardwebhooks.Webhook, out io.Writer) http.HandlerFunc {
	var done sync.Map // in a real receiver: a unique column, in the transaction of the work
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
		if err != nil || key.Verify(body, r.Header) != nil {
			http.Error(w, "who are you?", http.StatusUnauthorized)
			return
		}
		var event struct {
			Type string
			Data struct{ User struct{ ID, Email string } }
		}
		if err := json.Unmarshal(body, &event); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		if _, again := done.LoadOrStore(r.Header.Get("webhook-id"), true); !again {
			fmt.Fprintln(out, event.Type, event.Data.User.Email)
		}
		w.WriteHeader(http.StatusNoContent)
	}
}
