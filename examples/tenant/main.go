// Command tenant shows a host's own transaction: a tenant and its first user are
// created together, or not at all.
//
//	go run ./examples/tenant
//
// The host keeps its table in the very file that the accounts are in.
package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/truekeel/auth"
)

func main() {
	if err := run(context.Background()); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "tenant")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "app.db")

	a, err := auth.New(auth.WithDatabaseFile(file))
	if err != nil {
		return err
	}
	defer a.Close(ctx)

	// _txlock=immediate takes the right to write when the transaction begins: SQLite
	// can't wait for it later.
	db, err := sql.Open("sqlite", "file:"+file+"?_txlock=immediate&_pragma=busy_timeout(5000)&_pragma=foreign_keys(1)")
	if err != nil {
		return err
	}
	defer db.Close()
	if _, err := db.ExecContext(ctx, `CREATE TABLE tenants (name TEXT PRIMARY KEY, owner TEXT NOT NULL)`); err != nil {
		return err
	}

	if err := found(ctx, a, db, "Acme", "ada@acme.example"); err != nil {
		return err
	}
	// The same owner again: the second tenant doesn't appear either.
	err = found(ctx, a, db, "Acme again", "ada@acme.example")
	fmt.Println("second tenant:", err)

	var tenants int
	if err := db.QueryRowContext(ctx, `SELECT count(*) FROM tenants`).Scan(&tenants); err != nil {
		return err
	}
	users, err := a.Users().List(ctx, auth.List{})
	if err != nil {
		return err
	}
	fmt.Printf("%d tenant, %d user\n", tenants, len(users))
	return nil
}

// found creates a tenant and its owner.
func found(ctx context.Context, a *auth.Auth, db *sql.DB, tenant, email string) (err error) {
	// Hashing is slow: it is done before the transaction begins.
	hash, err := a.HashPassword(ctx, "correct horse battery")
	if err != nil {
		return err
	}
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rollback(tx)) }()

	accounts, err := a.In(ctx, tx)
	if err != nil {
		return err
	}
	owner, err := accounts.Create(ctx, auth.NewUser{Email: email, EmailConfirmed: true, PasswordHash: hash})
	if err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, `INSERT INTO tenants (name, owner) VALUES (?, ?)`, tenant, owner.ID.String()); err != nil {
		return err
	}
	return tx.Commit()
}

// rollback ends a transaction that wasn't committed.
func rollback(tx *sql.Tx) error {
	if err := tx.Rollback(); !errors.Is(err, sql.ErrTxDone) {
		return err
	}
	return nil
}
