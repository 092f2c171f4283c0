package mysql_test

import (
	"context"
	"database/sql"
	"log"

	"github.com/truekeel/auth/store/mysql"
)

// A pool of the store's own.
func ExampleOpen() {
	st, err := mysql.Open("app:password@tcp(db.example.com:3306)/app")
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = st.Close() }()
	if err := st.Migrate(context.Background()); err != nil {
		log.Fatal(err) // says what to do
	}
}

// The host's pool, and tables of another prefix.
func ExampleNew() {
	db, err := sql.Open("mysql", "app:password@tcp(db.example.com:3306)/app?parseTime=true")
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	st, err := mysql.New(db, mysql.WithPrefix("accounts_"))
	if err != nil {
		log.Fatal(err)
	}
	if err := st.Migrate(context.Background()); err != nil {
		log.Fatal(err)
	}
}
