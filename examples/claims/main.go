// Command claims shows claims from the host's own table in access tokens: which team
// somebody is in, and what he may do there.
//
//	go run ./examples/claims
//
// The token says it, so requests are let in without a look into the table.
package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"

	"github.com/truekeel/auth"
	"github.com/truekeel/auth/tokens"
)

func main() {
	if err := run(context.Background(), os.Stdout); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, out io.Writer) error {
	dir, err := os.MkdirTemp("", "claims")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	db, err := sql.Open("sqlite", "file:"+filepath.Join(dir, "app.db"))
	if err != nil {
		return err
	}
	defer db.Close()
	if _, err := db.ExecContext(ctx, `CREATE TABLE members (user_id TEXT PRIMARY KEY, team TEXT NOT NULL, may_edit BOOLEAN NOT NULL)`); err != nil {
		return err
	}

	members := members{db}
	a, err := auth.New(
		auth.WithDatabaseFile(filepath.Join(dir, "auth.db")),
		auth.WithHooks(auth.Hooks{CustomAccessToken: members.claims}),
	)
	if err != nil {
		return err
	}
	defer a.Close(ctx)
	edit := a.RequireUser(http.HandlerFunc(edit))

	ada, err := a.Users().Create(ctx, auth.NewUser{Email: "ada@example.com", EmailConfirmed: true})
	if err != nil {
		return err
	}
	// Nobody signs in who is in no team: the hook refuses.
	_, err = a.Users().Issue(ctx, ada.ID, "demo")
	fmt.Fprintln(out, "without a team:", err)

	for _, mayEdit := range []bool{false, true} {
		if _, err := db.ExecContext(ctx, `REPLACE INTO members VALUES (?, 'Acme', ?)`, ada.ID.String(), mayEdit); err != nil {
			return err
		}
		grant, err := a.Users().Issue(ctx, ada.ID, "demo") // as after any sign-in
		if err != nil {
			return err
		}
		r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/api/edit", nil)
		r.Header.Set("Authorization", "Bearer "+grant.AccessToken)
		w := httptest.NewRecorder()
		edit.ServeHTTP(w, r)
		fmt.Fprint(out, "may edit ", mayEdit, ": ", w.Code, " ", w.Body)
	}
	return nil
}

// membership are the claims that this host adds.
type membership struct {
	Team    string `json:"team"`
	MayEdit bool   `json:"may_edit"`
}

// members is the host's own table.
type members struct{ db *sql.DB }

// claims is the hook: what it sets in Extra is in the token until the next refresh.
func (m members) claims(ctx context.Context, u auth.Account, c *tokens.Claims) (err error) {
	var in membership
	err = m.db.QueryRowContext(ctx, `SELECT team, may_edit FROM members WHERE user_id = ?`, u.ID.String()).Scan(&in.Team, &in.MayEdit)
	if errors.Is(err, sql.ErrNoRows) {
		return &auth.Error{Code: "no_team", Message: "You aren't in a team yet"}
	}
	if err != nil {
		return err
	}
	c.Extra, err = tokens.MakeJSON(in)
	return err
}

// edit is the protected part: it reads the claims.
func edit(w http.ResponseWriter, r *http.Request) {
	var in membership
	c, _ := auth.ClaimsFrom(r.Context())
	if c.Decode(&in) != nil || !in.MayEdit {
		http.Error(w, "you may only read in "+in.Team, http.StatusForbidden)
		return
	}
	fmt.Fprintln(w, "changed something in", in.Team)
}
