package captcha_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/truekeel/auth/captcha"
)

// A service is a struct. Its BaseURL leads to a fake here.
func ExampleTurnstile() {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.FormValue("response") == "good" {
			_, _ = fmt.Fprint(w, `{"success": true}`)
			return
		}
		_, _ = fmt.Fprint(w, `{"success": false, "error-codes": ["timeout-or-duplicate"]}`)
	}))
	defer srv.Close()
	var v captcha.Verifier = &captcha.Turnstile{Secret: "secret", BaseURL: srv.URL}

	fmt.Println(v.Verify(context.Background(), "good", "203.0.113.7"))
	err := v.Verify(context.Background(), "old", "203.0.113.7")
	var refused *captcha.Refused
	fmt.Println(errors.As(err, &refused), refused.Codes)
	// Output:
	// <nil>
	// true [timeout-or-duplicate]
}

// Any function can decide.
func ExampleFunc() {
	var v captcha.Verifier = captcha.Func(func(_ context.Context, token, _ string) error {
		if token != "open sesame" {
			return &captcha.Refused{Codes: []string{"wrong-word"}}
		}
		return nil
	})
	fmt.Println(v.Verify(context.Background(), "please", ""))
	// Output:
	// captcha: refused: wrong-word
}
