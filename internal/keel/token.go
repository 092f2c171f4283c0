package keel

import (
	"net/http"
	"time"

	"github.com/google/uuid"

	"github.com/truekeel/auth/fault"
	"github.com/truekeel/auth/internal/session"
	"github.com/truekeel/auth/internal/signin"
	"github.com/truekeel/auth/internal/signup"
	"github.com/truekeel/auth/internal/user"
)

// wireGrant is the answer to a grant (RFC 6749, 5.1).
type wireGrant struct {
	AccessToken  string `json:"access_token"`
	TokenType    string `json:"token_type"`
	ExpiresIn    int64  `json:"expires_in"`
	RefreshToken string `json:"refresh_token,omitempty"`
	Created      bool   `json:"identity_created"`
}

// granted is what a grant did, whether or not it failed.
type granted struct {
	grant   *session.Grant
	created uuid.UUID // the account that was made; uuid.Nil if none was
}

// token answers the token endpoint. The first check that fails answers.
func (d *Dialect) token(w http.ResponseWriter, r *http.Request) {
	g, err := d.redeem(r)
	if err != nil {
		d.fail(w, r, err)
		return
	}
	w.Header().Set("Pragma", "no-cache")
	d.answer(w, http.StatusOK, wireGrant{
		AccessToken: g.grant.AccessToken, TokenType: "bearer", ExpiresIn: int64(g.grant.ExpiresIn / time.Second),
		RefreshToken: g.grant.RefreshToken, Created: g.created != uuid.Nil,
	})
}

// redeem checks what all grants have in common, finds the grant and runs the hooks.
func (d *Dialect) redeem(r *http.Request) (granted, error) {
	if r.Method != http.MethodPost {
		return granted{}, errTokenMethod
	}
	f, err := parse(r, d.QueryCredentials)
	if err != nil {
		return granted{}, err
	}
	kind := f.text("grant_type")
	if kind == "" {
		return granted{}, errNoGrant
	}
	create, err := f.create()
	if err != nil {
		return granted{}, err
	}
	if kind != "password" {
		d.Arrived()
	}
	if kind == "refresh_token" {
		return d.byRefreshToken(r, f)
	}
	g, err := d.grant(r, kind, f, create)
	return d.hooked(r, g, err)
}

// grant runs a grant after which the hooks run.
func (d *Dialect) grant(r *http.Request, kind string, f fields, create bool) (granted, error) {
	switch kind {
	case "password":
		return d.byPassword(r, f, create)
	case "authorization_code":
		return d.byCode(r, f)
	case "token_exchange":
		return d.byIDToken(r, f, create)
	}
	return granted{}, errUnknownGrant
}

// hooked runs the host's hooks behind a grant, also behind one that failed.
func (d *Dialect) hooked(r *http.Request, g granted, err error) (granted, error) {
	if err := d.createdHook(r, g.created); err != nil {
		return granted{}, err
	}
	who := uuid.Nil
	if err == nil {
		who = g.grant.Account.User.ID
	}
	if d.AfterAuthentication != nil {
		if failed := d.AfterAuthentication(r.Context(), who, r); failed != nil {
			return granted{}, hookError("AfterAuthentication", failed)
		}
	}
	return g, err
}

// createdHook runs the host's hook behind the making of an account.
func (d *Dialect) createdHook(r *http.Request, id uuid.UUID) error {
	if id == uuid.Nil || d.AfterIdentityCreated == nil {
		return nil
	}
	if err := d.AfterIdentityCreated(r.Context(), id, r); err != nil {
		return hookError("AfterIdentityCreated", err)
	}
	return nil
}

func (d *Dialect) byRefreshToken(r *http.Request, f fields) (granted, error) {
	token := f.text("refresh_token")
	if token == "" {
		return granted{}, errNoRefresh
	}
	g, err := d.SignIn.RefreshFixed(r.Context(), token)
	if err != nil {
		return granted{}, instead(err, errRefresh, fault.RefreshTokenNotFound, fault.SessionExpired, fault.UserBanned)
	}
	return granted{grant: &g}, nil
}

// byPassword signs in, and up if there is nobody and the request allows it.
func (d *Dialect) byPassword(r *http.Request, f fields, create bool) (granted, error) {
	username, password := f.text("username"), f.text("password")
	if username == "" {
		return granted{}, errNoUsername
	}
	email, err := user.NormalizeEmail(username)
	if err != nil {
		return granted{}, errEmail
	}
	if password == "" {
		return granted{}, errNoPassword
	}
	if err := d.Human.Pass(r.Context(), f.captchaToken()); err != nil {
		return granted{}, err
	}
	e, err := d.enter(r, email, password, create)
	if err != nil {
		err = instead(err, errCredentials, fault.InvalidCredentials, fault.EmailNotConfirmed, fault.UserBanned)
	}
	return granted{grant: e.Grant, created: e.Created}, err
}

func (d *Dialect) enter(r *http.Request, email, password string, create bool) (signup.Entry, error) {
	if create {
		return d.SignUp.Enter(r.Context(), signup.Request{Kind: session.Keel, Audience: d.Audience, Email: email, Password: password})
	}
	g, err := d.SignIn.ByPassword(r.Context(), signin.Password{Kind: session.Keel, Audience: d.Audience, Email: email, Password: password})
	if err != nil {
		return signup.Entry{}, err
	}
	return signup.Entry{Grant: &g.Grant}, nil
}

// byCode redeems a code of the callback. code_verifier is for codes that were asked for
// with a challenge (RFC 7636).
func (d *Dialect) byCode(r *http.Request, f fields) (granted, error) {
	code := f.text("code")
	if code == "" {
		return granted{}, errNoCode
	}
	g, err := d.SignIn.ByKeelCode(r.Context(), code, f.text("code_verifier"))
	if err != nil {
		return granted{}, instead(err, errCode, fault.FlowStateNotFound, fault.FlowStateExpired, fault.BadCodeVerifier, fault.UserBanned)
	}
	return granted{grant: &g}, nil
}

// revoke answers the revocation endpoint (RFC 7009): what isn't known is revoked
// already.
func (d *Dialect) revoke(w http.ResponseWriter, r *http.Request) {
	d.Arrived()
	if err := d.revokeToken(r); err != nil {
		d.fail(w, r, err)
		return
	}
	d.answer(w, http.StatusOK, nil)
}

func (d *Dialect) revokeToken(r *http.Request) error {
	if r.Method != http.MethodPost {
		return errRevokeMethod
	}
	f, err := parse(r, d.QueryCredentials)
	if err != nil {
		return err
	}
	token := f.text("token")
	if token == "" {
		return errNoToken
	}
	return d.SignIn.Revoke(r.Context(), token)
}
