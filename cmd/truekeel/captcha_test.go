package main

import (
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// captchaWorld is a client for which both captcha services take tokens that repeat the
// secret and the service's host, if they have five seconds for it.
func captchaWorld() *http.Client {
	return &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		form, err := url.ParseQuery(string(body))
		if err != nil {
			return nil, err
		}
		good := form.Get("response") == form.Get("secret")+" "+r.URL.Host
		if until, ok := r.Context().Deadline(); ok && time.Until(until) < 5*time.Second {
			good = false
		}
		answer := `{"success":false,"error-codes":["` + strings.ReplaceAll(r.URL.Host, ".", "-") + `"]}`
		if good {
			answer = `{"success":true}`
		}
		return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(answer)), Request: r}, nil
	})}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func captchaEffects() map[string]effect {
	recovers := func(token string) func(w *world) string {
		return func(w *world) string {
			return w.post("/recover", object{"email": "a@example.com", "gotrue_meta_security": object{"captcha_token": token}}).String()
		}
	}
	on := func(pairs ...string) map[string]string {
		return env(append([]string{"GOTRUE_SECURITY_CAPTCHA_ENABLED", "true", "GOTRUE_SECURITY_CAPTCHA_SECRET", "s3cret"}, pairs...)...)
	}
	return map[string]effect{
		"GOTRUE_SECURITY_CAPTCHA_ENABLED": {
			value: "true", env: on("GOTRUE_SECURITY_CAPTCHA_ENABLED", ""), client: captchaWorld(), want: "400 captcha_failed", see: recovers(""),
		},
		"GOTRUE_SECURITY_CAPTCHA_PROVIDER": {
			value: "turnstile", env: on(), client: captchaWorld(), want: "200", see: recovers("s3cret challenges.cloudflare.com"),
		},
		"GOTRUE_SECURITY_CAPTCHA_SECRET": {
			value: "other", env: on(), client: captchaWorld(), want: "200", see: recovers("other hcaptcha.com"),
		},
		"GOTRUE_SECURITY_CAPTCHA_TIMEOUT": {
			value: "4s", env: on(), client: captchaWorld(), want: "400 captcha_failed", see: recovers("s3cret hcaptcha.com"),
		},
	}
}
