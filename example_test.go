package auth_test

import (
	"context"
	"database/sql"
	"fmt"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"time"

	"github.com/truekeel/auth"
	"github.com/truekeel/auth/breach"
	"github.com/truekeel/auth/mail"
	"github.com/truekeel/auth/sms"
	"github.com/truekeel/auth/store"
	"github.com/truekeel/auth/store/sqlite"
	"github.com/truekeel/auth/tokens"
)

// A service with user accounts: without options they are kept in ./auth.db, and the
// mails that would be sent are shown at a.DevInboxURL().
func ExampleNew() {
	a, err := auth.New()
	if err != nil {
		log.Fatal(err)
	}
	defer a.Close(context.Background())

	mux := http.NewServeMux()
	mux.Handle("/auth/", a)
	mux.Handle("/api/", a.RequireUser(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		u, _ := auth.UserFrom(r.Context())
		fmt.Fprintf(w, "Hello, %s", u.Email)
	})))
	log.Fatal(http.ListenAndServe("localhost:8080", mux))
}

// What a service on the internet sets.
func ExampleNew_production() {
	a := auth.Must(auth.New(
		auth.WithSiteURL("https://app.example.com"),
		auth.WithExternalURL("https://api.example.com/auth"),
		auth.WithDatabaseFile("/var/lib/app/auth.db"),
		auth.WithMailer(mail.SMTP{Host: "smtp.example.com", Port: 587, User: "app", Password: os.Getenv("SMTP_PASSWORD"), From: "app@example.com"}),
		auth.WithLogger(slog.Default()),
	))
	defer a.Close(context.Background())
	log.Fatal(http.ListenAndServe(":8080", a))
}

// People sign in by the number of their phone. Messages go to the countries where they
// are and to no other.
func ExampleWithSMS() {
	a := auth.Must(auth.New(
		auth.WithSMS(&sms.Twilio{AccountSID: os.Getenv("TWILIO_SID"), AuthToken: os.Getenv("TWILIO_TOKEN"), From: "+15005550006"}),
		auth.WithSMSGuard(sms.Guard{Countries: []string{"DE", "AT", "CH"}}),
	))
	defer a.Close(context.Background())
}

// Leaked passwords are refused; who signs in with one is told.
func ExampleWithLeakedPasswords() {
	hibp, err := breach.NewHIBP(breach.HIBPConfig{UserAgent: "acme accounts", Bloom: &breach.BloomConfig{}})
	if err != nil {
		log.Fatal(err)
	}
	a := auth.Must(auth.New(auth.WithLeakedPasswords(hibp)))
	defer a.Close(context.Background())
	log.Fatal(http.ListenAndServe("localhost:8080", a))
}

// Passwords as NIST SP 800-63B-4 asks for.
func ExampleWithNISTPasswords() {
	a := inMemory(auth.WithNISTPasswords())
	defer a.Close(context.Background())
	for _, pw := range []string{"only 14 chars!", "qwerty123456789", "purple elephants sing"} {
		_, err := a.HashPassword(context.Background(), pw)
		fmt.Println(err)
	}
	// Output:
	// weak_password: Password should be at least 15 characters.
	// weak_password: Password is known to be weak and easy to guess, please choose a different one.
	// <nil>
}

// inMemory opens an Auth for an example, on a store that goes with it.
func inMemory(opts ...auth.Option) *auth.Auth {
	temp := auth.WithOpenStore(func(context.Context, *slog.Logger) (store.Store, error) { return sqlite.OpenTemp() })
	return auth.Must(auth.New(append([]auth.Option{temp}, opts...)...))
}

// signedIn makes a user for an example and gives an access token of his.
func signedIn(a *auth.Auth, n auth.NewUser) string {
	u, err := a.Users().Create(context.Background(), n)
	if err != nil {
		log.Fatal(err)
	}
	g, err := a.Users().Issue(context.Background(), u.ID, "password")
	if err != nil {
		log.Fatal(err)
	}
	return g.AccessToken
}

// fetch sends a GET with a token and gives the status and the body.
func fetch(h http.Handler, token string) (int, string) {
	r := httptest.NewRequest("GET", "/", nil)
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

func ExampleAuth_RequireUser() {
	a := inMemory()
	defer a.Close(context.Background())
	protected := a.RequireUser(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		u, _ := auth.UserFrom(r.Context())
		fmt.Fprintf(w, "Hello, %s", u.Email)
	}))

	fmt.Println(fetch(protected, signedIn(a, auth.NewUser{Email: "ada@example.com"})))
	fmt.Println(fetch(protected, ""))
	// Output:
	// 200 Hello, ada@example.com
	// 401 {"code":"no_authorization","message":"This endpoint requires a valid Bearer token"}
}

func ExampleAuth_RequireRole() {
	a := inMemory()
	defer a.Close(context.Background())
	staffOnly := a.RequireRole("staff")(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, "the accounts")
	}))

	fmt.Println(fetch(staffOnly, signedIn(a, auth.NewUser{Email: "eve@example.com", Role: "staff"})))
	fmt.Println(fetch(staffOnly, signedIn(a, auth.NewUser{Email: "ada@example.com"})))
	// Output:
	// 200 the accounts
	// 403 {"code":"insufficient_role","message":"Your role doesn't allow this"}
}

// Where a sign-out has to count at once, the session is looked up.
func ExampleAuth_RequireActiveSession() {
	ctx := context.Background()
	a := inMemory()
	defer a.Close(ctx)
	hello := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "hello") })
	token := signedIn(a, auth.NewUser{Email: "ada@example.com"})
	u, err := a.Verify(ctx, token)
	if err != nil {
		log.Fatal(err)
	}

	fmt.Println(fetch(a.RequireActiveSession(hello), token))
	if err := a.Users().SignOut(ctx, u.ID); err != nil {
		log.Fatal(err)
	}
	fmt.Println(fetch(a.RequireActiveSession(hello), token))
	fmt.Println(fetch(a.RequireUser(hello), token)) // until the token expires
	// Output:
	// 200 hello
	// 401 {"code":"session_not_found","message":"Session from session_id claim in JWT does not exist"}
	// 200 hello
}

func ExampleUserFrom() {
	a := inMemory()
	defer a.Close(context.Background())
	greet := a.OptionalUser(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		u, ok := auth.UserFrom(r.Context())
		if !ok {
			fmt.Fprint(w, "Hello, whoever you are")
			return
		}
		fmt.Fprintf(w, "Hello, %s, you are %s", u.Email, u.Role)
	}))

	fmt.Println(fetch(greet, ""))
	fmt.Println(fetch(greet, signedIn(a, auth.NewUser{Email: "ada@example.com"})))
	// Output:
	// 200 Hello, whoever you are
	// 200 Hello, ada@example.com, you are authenticated
}

func ExampleUsers_Create() {
	a := inMemory()
	defer a.Close(context.Background())
	u, err := a.Users().Create(context.Background(), auth.NewUser{
		Email:          "Ada@Example.com",
		Password:       "correct horse battery",
		EmailConfirmed: true,
		AppMetadata:    store.MakeObject(map[string]any{"plan": "pro"}),
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(u.Email, u.Role, u.AppMetadata.String("plan"))

	_, err = a.Users().Create(context.Background(), auth.NewUser{Email: "ada@example.com"})
	fmt.Println(err)
	// Output:
	// ada@example.com authenticated pro
	// email_exists: A user with this email address has already been registered
}

func ExampleUsers_List() {
	ctx := context.Background()
	a := inMemory()
	defer a.Close(ctx)
	for _, name := range []string{"ada", "bea", "cleo"} {
		if _, err := a.Users().Create(ctx, auth.NewUser{Email: name + "@example.com"}); err != nil {
			log.Fatal(err)
		}
	}
	page := auth.List{Ascending: true, Limit: 2}
	for {
		users, err := a.Users().List(ctx, page)
		if err != nil {
			log.Fatal(err)
		}
		if len(users) == 0 {
			break
		}
		for _, u := range users {
			fmt.Println(u.Email)
		}
		page.After = &users[len(users)-1]
	}
	// Output:
	// ada@example.com
	// bea@example.com
	// cleo@example.com
}

// A host that has proved a user in its own way signs him in.
func ExampleUsers_Issue() {
	ctx := context.Background()
	a := inMemory()
	defer a.Close(ctx)
	u, err := a.Users().Create(ctx, auth.NewUser{Email: "ada@example.com"})
	if err != nil {
		log.Fatal(err)
	}
	g, err := a.Users().Issue(ctx, u.ID, "badge")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(g.RefreshToken), time.Until(g.ExpiresAt).Round(time.Hour))
	// Output: 26 1h0m0s
}

// A tenant and its owner appear together or not at all: the host's own transaction, on
// the database in which the accounts are.
func ExampleAuth_In() {
	ctx := context.Background()
	st, err := sqlite.OpenTemp()
	if err != nil {
		log.Fatal(err)
	}
	defer st.Close()
	a := auth.Must(auth.New(auth.WithStore(st)))
	defer a.Close(ctx)

	db, err := sql.Open("sqlite", "file:"+st.Path()+"?_txlock=immediate&_pragma=busy_timeout(5000)&_pragma=foreign_keys(1)")
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(ctx, `CREATE TABLE tenants (name TEXT PRIMARY KEY, owner TEXT NOT NULL)`); err != nil {
		log.Fatal(err)
	}

	found := func(tenant, email string) error {
		tx, err := db.BeginTx(ctx, nil)
		if err != nil {
			return err
		}
		defer tx.Rollback() // does nothing after the commit
		accounts, err := a.In(ctx, tx)
		if err != nil {
			return err
		}
		owner, err := accounts.Create(ctx, auth.NewUser{Email: email, EmailConfirmed: true})
		if err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `INSERT INTO tenants (name, owner) VALUES (?, ?)`, tenant, owner.ID.String()); err != nil {
			return err
		}
		return tx.Commit()
	}
	fmt.Println(found("Acme", "ada@example.com"))
	fmt.Println(found("Acme", "bea@example.com") != nil) // there is an Acme: no account either
	fmt.Println(found("Umbrella", "ada@example.com"))    // there is an account: no tenant either

	users, err := a.Users().List(ctx, auth.List{})
	if err != nil {
		log.Fatal(err)
	}
	var tenants int
	if err := db.QueryRowContext(ctx, `SELECT COUNT(*) FROM tenants`).Scan(&tenants); err != nil {
		log.Fatal(err)
	}
	fmt.Println(tenants, "tenant,", len(users), "account")
	// Output:
	// <nil>
	// true
	// email_exists: A user with this email address has already been registered
	// 1 tenant, 1 account
}

// Requests that aren't HTTP bring their token in another way.
func ExampleAuth_Verify() {
	ctx := context.Background()
	a := inMemory()
	defer a.Close(ctx)
	u, err := a.Verify(ctx, signedIn(a, auth.NewUser{Email: "ada@example.com"}))
	fmt.Println(u.Email, err)
	_, err = a.Verify(ctx, "something else")
	fmt.Println(err)
	// Output:
	// ada@example.com <nil>
	// bad_jwt: invalid JWT: unable to parse or verify signature, token is malformed
}

func ExampleWithHooks() {
	a := inMemory(auth.WithHooks(auth.Hooks{
		BeforeUserCreated: func(_ context.Context, u auth.Account) error {
			if !strings.HasSuffix(u.Email, "@example.com") {
				return &auth.Error{Code: "not_invited", Message: "Only for the people of example.com"}
			}
			return nil
		},
		CustomAccessToken: func(_ context.Context, u auth.Account, c *tokens.Claims) (err error) {
			c.Extra, err = tokens.MakeJSON(map[string]any{"tenant": strings.Split(u.Email, "@")[1]})
			return err
		},
	}))
	defer a.Close(context.Background())
	app := a.RequireUser(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, _ := auth.ClaimsFrom(r.Context())
		fmt.Fprint(w, c.Extra)
	}))

	fmt.Println(fetch(app, signedIn(a, auth.NewUser{Email: "ada@example.com"})))
	// Output: 200 {"tenant":"example.com"}
}
