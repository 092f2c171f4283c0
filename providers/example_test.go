package providers_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"

	"github.com/truekeel/auth/providers"
	"github.com/truekeel/auth/providers/providertest"
)

// One sign-in, from the button to the person.
func Example() {
	server, err := providertest.Start(providertest.Options{})
	if err != nil {
		panic(err)
	}
	defer server.Close()
	p := providers.OIDC("corp", server.Issuer(), providertest.ClientID, providertest.ClientSecret, providers.WithInternal())

	// Where to send the browser. State, nonce and verifier are random in earnest.
	begin := providers.Begin{
		State: "af0ifjsldkj", Nonce: "n-0S6_WzA2Mj", Verifier: "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
		RedirectURL: "https://app.example/callback",
	}
	to, err := p.Begin(context.Background(), begin)
	if err != nil {
		panic(err)
	}
	params, err := server.Visit(to.URL, 0) // the browser, and a person who agrees
	if err != nil {
		panic(err)
	}

	// The browser is back.
	id, err := p.Finish(context.Background(), providers.Callback{
		Params: params, Keep: to.Keep, RedirectURL: begin.RedirectURL, Nonce: begin.Nonce, Verifier: begin.Verifier,
	})
	if err != nil {
		panic(err)
	}
	email, _ := id.Primary()
	fmt.Println(id.Subject, email.Address, email.Verified)
	// Output: person-ann ann@example.com true
}

func ExampleByName() {
	p, err := providers.ByName("gitlab", providers.Config{
		ClientIDs: []string{"app"}, Secret: "secret", URL: "https://gitlab.example.com",
	})
	if err != nil {
		panic(err)
	}
	to, err := p.Begin(context.Background(), providers.Begin{State: "s", RedirectURL: "https://app.example/callback"})
	if err != nil {
		panic(err)
	}
	u, _ := url.Parse(to.URL)
	fmt.Println(u.Host, u.Query().Get("scope"))

	_, err = providers.ByName("nobody", providers.Config{})
	fmt.Println(errors.Is(err, providers.ErrUnknown))
	// Output:
	// gitlab.example.com read_user
	// true
}

// A provider of one's own is one value.
func ExampleOAuth2() {
	p := providers.OAuth2("digitalocean", providers.Spec{
		AuthURL:  "https://cloud.digitalocean.com/v1/oauth/authorize",
		TokenURL: "https://cloud.digitalocean.com/v1/oauth/token",
		UserURL:  "https://api.digitalocean.com/v2/account",
		Scopes:   []string{"read"},
		Auth:     providers.AuthBody,
		Map: func(user providers.JSON) providers.Profile {
			account := user.At("account")
			return providers.Profile{
				Subject: account.ID("uuid"), Name: account.Text("name"),
				Emails: providers.OneEmail(account.Text("email"), account.Bool("email_verified")),
			}
		},
	}, "client id", "secret")
	fmt.Println(p.Name())
	// Output: digitalocean
}

func ExampleError() {
	p := providers.GitHub("client id", "secret")
	_, err := p.Finish(context.Background(), providers.Callback{Params: url.Values{"error": {"access_denied"}}})
	var e *providers.Error
	if errors.As(err, &e) && errors.Is(err, providers.ErrRefused) {
		fmt.Println(e.Provider, e.Code)
	}
	// Output: github access_denied
}
