package postgres_test

import (
	"context"
	"database/sql"
	"log"

	"github.com/truekeel/auth/store/postgres"
)

// A pool of the store's own, behind PgBouncer in transaction mode.
func ExampleOpen() {
	st, err := postgres.Open("postgres://app@pooler.example.com:6432/app", postgres.WithTransactionPooler())
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = st.Close() }()
	if err := st.Migrate(context.Background()); err != nil {
		log.Fatal(err) // says what to do
	}
}

// The host's pool, and a schema of another name.
func ExampleNew() {
	db, err := sql.Open("pgx", "postgres://app@db.example.com/app")
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	st, err := postgres.New(db, postgres.WithSchema("accounts"))
	if err != nil {
		log.Fatal(err)
	}
	if err := st.Migrate(context.Background()); err != nil {
		log.Fatal(err)
	}
}
