package sqlite_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"time"

	"github.com/google/uuid"

	"github.com/truekeel/auth/store"
	"github.com/truekeel/auth/store/sqlite"
)

func ExampleOpen() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()

	s, err := sqlite.Open(filepath.Join(dir, "auth.db"), sqlite.WithPrefix("accounts_"))
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	ctx := context.Background()
	if err := s.Migrate(ctx); err != nil {
		log.Fatal(err)
	}

	// Both writes take place, or none.
	ann := store.User{
		ID: uuid.Must(uuid.NewV7()), Audience: "authenticated", Email: "ann@example.com", CreatedAt: time.Now(),
	}
	err = s.Tx(ctx, func(tx store.Store) error {
		if err := tx.CreateUser(ctx, ann); err != nil {
			return err
		}
		return tx.PutSetting(ctx, "example.first-user", []byte(ann.Email))
	})
	if err != nil {
		log.Fatal(err)
	}
	found, err := s.UserByEmail(ctx, "authenticated", "ann@example.com")
	fmt.Println(found.ID == ann.ID, err)
	// Output: true <nil>
}
