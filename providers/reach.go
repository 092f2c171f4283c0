package providers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/truekeel/auth/internal/outbound"
)

// reach is one provider's way into the world, with what it found out about issuers.
type reach struct {
	client   *http.Client
	now      func() time.Time
	internal bool
	open     context.Context
	issuers  *lru.Cache[string, *issuer]
}

// maxIssuers bounds what is kept of providers with an issuer per tenant.
const maxIssuers = 256

func newReach(o *Outbound, internal bool) *reach {
	issuers, err := lru.New[string, *issuer](maxIssuers)
	if err != nil {
		panic(err) // only for a size that isn't positive
	}
	r := &reach{client: o.public, now: o.now, internal: internal, open: o.open, issuers: issuers}
	if internal {
		r.client = o.internal
	}
	return r
}

// issuer gives what is known of an issuer; nothing is fetched.
func (r *reach) issuer(name string) *issuer {
	if known, ok := r.issuers.Get(name); ok {
		return known
	}
	made := newIssuer(r, name)
	if before, ok, _ := r.issuers.PeekOrAdd(name, made); ok {
		return before
	}
	return made
}

// errServer marks an answer of the 5xx kind.
var errServer = errors.New("server error")

// answerError is an error that came with an answer that looked well.
type answerError struct{ code string }

func (e answerError) Error() string { return "answer reports an error: " + clip(e.code, 100) }

// fetch makes a request and reads the JSON of its answer.
func (r *reach) fetch(req *http.Request) (JSON, error) {
	resp, err := r.client.Do(req)
	if err != nil {
		return JSON{}, outbound.Cause(err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(resp.Body, outbound.MaxBody+1))
	switch {
	case err != nil:
		return JSON{}, err
	case len(text) > outbound.MaxBody:
		return JSON{}, outbound.ErrTooLarge
	case resp.StatusCode >= http.StatusInternalServerError:
		return JSON{}, fmt.Errorf("%w: status %d", errServer, resp.StatusCode)
	case resp.StatusCode < 200 || resp.StatusCode > 299:
		return JSON{}, fmt.Errorf("status %d", resp.StatusCode)
	}
	if kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")); kind == "text/html" {
		return JSON{}, errors.New("answer is HTML")
	}
	j, err := ParseJSON(text)
	if err != nil {
		return JSON{}, err
	}
	return j, reported(j)
}

// reported finds the error in an answer of status 200: "ok": false (Slack), a list of
// "errors" (GraphQL), or an "error" that is a text or an object with a code.
func reported(j JSON) error {
	code := j.Text("error")
	switch {
	case j.Has("ok") && !j.Bool("ok"):
	case len(j.List("errors")) > 0:
		code = "errors"
	case code != "":
	case j.ID("error", "code") != "" && j.ID("error", "code") != "ok" && j.ID("error", "code") != "0":
		code = j.ID("error", "code")
	default:
		return nil
	}
	return answerError{code}
}
