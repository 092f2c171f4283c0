package gotrue

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"

	"github.com/truekeel/auth/fault"
	"github.com/truekeel/auth/internal/endpoint"
	"github.com/truekeel/auth/internal/onetime"
	"github.com/truekeel/auth/internal/pkce"
	"github.com/truekeel/auth/internal/proof"
	"github.com/truekeel/auth/internal/redirect"
	"github.com/truekeel/auth/internal/user"
)

var (
	errNoType     = fault.New(fault.ValidationFailed, "Verify requires a verification type")
	errNoLink     = fault.New(fault.ValidationFailed, "Verify requires a token or a token hash")
	errOneToken   = fault.New(fault.ValidationFailed, "Verify requires either a token or a token hash")
	errOneAddress = fault.New(fault.ValidationFailed, "Only an email address or phone number should be provided on verify")
	errHashAlone  = fault.New(fault.ValidationFailed, "Only the token_hash and type should be provided")
	errEmail      = as(http.StatusUnprocessableEntity, fault.New(fault.ValidationFailed, "Invalid email format"))
)

// link is a mailed link, as its query or its page's form holds it.
type link struct {
	token, kind, redirectTo string
}

func (d *Dialect) linkOf(r *http.Request, v url.Values) (link, error) {
	// Two tokens are no link's, whichever of them might be.
	l := link{token: strings.Join(v["token"], ""), kind: v.Get("type")}
	if l.kind == "" {
		return l, errNoType
	}
	if l.token == "" {
		return l, errNoLink
	}
	l.redirectTo = d.target(r, v.Get("redirect_to"))
	return l, nil
}

// openLink answers the GET of a mailed link. It looks nothing up: mail scanners follow
// links too. Its page has a button that posts the form; with direct links the GET
// itself consumes the link.
func (d *Dialect) openLink(w http.ResponseWriter, r *http.Request) error {
	l, err := d.linkOf(r, r.URL.Query())
	if err != nil {
		return err
	}
	if d.DirectLinks {
		return d.follow(w, r, l)
	}
	return d.page.write(w, r, l)
}

// follow consumes a link and sends the browser on with the result.
func (d *Dialect) follow(w http.ResponseWriter, r *http.Request, l link) error {
	a, err := d.Proof.Verify(r.Context(), proof.Verification{
		Audience: d.audience(r, nil), Type: l.kind, Link: l.token, Redirected: true,
	})
	if err != nil {
		return d.followFailed(w, r, l, err)
	}
	switch {
	case a.Grant != nil:
		mark(w, *a.Grant)
		return see(w, r, redirect.Success(l.redirectTo, fragment(*a.Grant, a.Type)))
	case a.Code != "":
		return see(w, r, redirect.Code(l.redirectTo, a.Code))
	}
	v := url.Values{"message": {proof.HalfDone}, "sb": {""}}
	target := l.redirectTo
	if strings.HasPrefix(l.token, onetime.PKCEPrefix) {
		target = redirect.Query(target, url.Values{"message": {proof.HalfDone}})
	}
	return see(w, r, redirect.Success(target, v))
}

// followFailed sends the browser on with the error. A refusal by the rate limit, and
// trouble of our own that passes, stays here.
func (d *Dialect) followFailed(w http.ResponseWriter, r *http.Request, l link, err error) error {
	if errors.Is(err, pkce.ErrNoFlow) {
		err = as(http.StatusBadRequest, err)
	}
	f, status := d.judge(r.Context(), r.URL.Path, err)
	if status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable || status == http.StatusGatewayTimeout {
		return err
	}
	v := url.Values{"error_code": {string(shownCode(f, status))}, "error_description": {f.Message}, "sb": {""}}
	if name := oauthError(status); name != "" {
		v.Set("error", name)
	}
	return see(w, r, redirect.Failure(l.redirectTo, v, strings.HasPrefix(l.token, onetime.PKCEPrefix)))
}

// oauthError is the error of a redirect (RFC 6749, 4.1.2.1) for a status; "" where
// there is none.
func oauthError(status int) string {
	switch status {
	case http.StatusBadRequest:
		return "invalid_request"
	case http.StatusUnauthorized:
		return "unauthorized_client"
	case http.StatusForbidden:
		return "access_denied"
	case http.StatusInternalServerError:
		return "server_error"
	case http.StatusServiceUnavailable:
		return "temporarily_unavailable"
	}
	return ""
}

// see redirects with 303 (RFC 9110, 15.4.4).
func see(w http.ResponseWriter, r *http.Request, target string) error {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Referrer-Policy", "no-referrer")
	http.Redirect(w, r, target, http.StatusSeeOther)
	return nil
}

// verify is POST /verify: a link's form is answered with a redirect, JSON with JSON.
// Some clients (curl -d) name every body a form: one that begins an object is none.
func (d *Dialect) verify() endpoint.Func {
	asJSON := endpoint.Of(d.parseVerify, d.Proof.Verify, writeVerified)
	return func(w http.ResponseWriter, r *http.Request) error {
		if media, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); media != "application/x-www-form-urlencoded" {
			return asJSON(w, r)
		}
		body, err := endpoint.Body(r)
		if err != nil {
			return err
		}
		if bytes.HasPrefix(bytes.TrimSpace(body), []byte("{")) {
			r.Body = io.NopCloser(bytes.NewReader(body))
			return asJSON(w, r)
		}
		return d.submitLink(w, r, body)
	}
}

var errForeignForm = as(http.StatusForbidden, fault.New(fault.ValidationFailed, "The form was not posted from its own page"))

// submitLink consumes the link whose page was confirmed.
func (d *Dialect) submitLink(w http.ResponseWriter, r *http.Request, body []byte) error {
	if d.origins.Check(r) != nil {
		return errForeignForm
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return fault.New(fault.ValidationFailed, "The form could not be read")
	}
	l, err := d.linkOf(r, form)
	if err != nil {
		return err
	}
	return d.follow(w, r, l)
}

type verifyBody struct {
	Type       string  `json:"type"`
	Token      string  `json:"token"`
	TokenHash  string  `json:"token_hash"`
	Email      string  `json:"email"`
	Phone      string  `json:"phone"`
	Password   string  `json:"password"`
	RedirectTo *string `json:"redirect_to"`
}

func (d *Dialect) parseVerify(r *http.Request) (q proof.Verification, err error) {
	var b verifyBody
	if err := endpoint.Decode(r, &b); err != nil {
		return q, err
	}
	q = proof.Verification{Audience: d.audience(r, nil), Type: b.Type, Password: b.Password}
	switch {
	case b.Type == "":
		return q, errNoType
	case (b.Token == "") == (b.TokenHash == ""):
		return q, errOneToken
	case b.TokenHash != "" && (b.Email != "" || b.Phone != "" || b.RedirectTo != nil && *b.RedirectTo != ""):
		return q, errHashAlone
	case b.TokenHash != "":
		q.Link = b.TokenHash
		return q, nil
	case (b.Email == "") == (b.Phone == ""):
		return q, errOneAddress
	case b.Phone != "":
		q.Code = b.Token
		q.Phone, err = user.NormalizePhone(b.Phone)
		return q, err
	}
	email, err := user.NormalizeEmail(b.Email)
	if err != nil {
		return q, errEmail
	}
	q.Email, q.Code = email, b.Token
	return q, nil
}

// wireHalf is the answer to the first half of a double confirmation.
type wireHalf struct {
	Code    string `json:"code"`
	Message string `json:"msg"`
}

var errNoGrant = errors.New("gotrue: a proof gave neither a grant nor a half")

func writeVerified(w http.ResponseWriter, _ *http.Request, a proof.Verified) error {
	if a.Half {
		return endpoint.JSON(w, http.StatusOK, wireHalf{Code: "200", Message: proof.HalfDone})
	}
	if a.Grant == nil {
		return errNoGrant
	}
	mark(w, *a.Grant)
	out := grantJSON(*a.Grant)
	out.Type = a.Type
	return endpoint.JSON(w, http.StatusOK, out)
}
