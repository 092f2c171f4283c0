package gotrue

import (
	"context"
	"net/http"

	"github.com/truekeel/auth/fault"
	"github.com/truekeel/auth/internal/account"
	"github.com/truekeel/auth/internal/endpoint"
	"github.com/truekeel/auth/internal/session"
	"github.com/truekeel/auth/internal/user"
	"github.com/truekeel/auth/store"
)

func writeUser(w http.ResponseWriter, _ *http.Request, a user.Account) error {
	return endpoint.JSON(w, http.StatusOK, userJSON(a))
}

func (d *Dialect) user() endpoint.Func {
	parse := func(r *http.Request) (account.Caller, error) {
		c, claims, err := d.caller(r)
		if err == nil && (len(claims.Audience) == 0 || d.audience(r, claims) != claims.Audience[0]) {
			err = errAudience
		}
		return c, err
	}
	return endpoint.Of(parse, d.Account.Get, writeUser)
}

type updateBody struct {
	Email           string       `json:"email"`
	Phone           string       `json:"phone"`
	Channel         string       `json:"channel"`
	Password        *string      `json:"password"`
	CurrentPassword string       `json:"current_password"`
	Nonce           string       `json:"nonce"`
	Data            store.Object `json:"data"`
	AppMetadata     store.Object `json:"app_metadata"`
	wireChallenge
}

// updateRequest is a change by a caller.
type updateRequest struct {
	caller account.Caller
	update account.Update
}

func (d *Dialect) updateUser() endpoint.Func {
	parse := func(r *http.Request) (q updateRequest, err error) {
		if q.caller, _, err = d.caller(r); err != nil {
			return q, err
		}
		var b updateBody
		if err := endpoint.Decode(r, &b); err != nil {
			return q, err
		}
		challenge, err := b.parse()
		q.update = account.Update{
			Email: b.Email, Phone: b.Phone, Channel: b.Channel, Password: b.Password, CurrentPassword: b.CurrentPassword, Nonce: b.Nonce,
			Data: b.Data, AppMetadata: b.AppMetadata, Challenge: challenge, RedirectTo: d.target(r, ""),
		}
		return q, err
	}
	act := func(ctx context.Context, q updateRequest) (user.Account, error) {
		return d.Account.Update(ctx, q.caller, q.update)
	}
	return with(endpoint.Of(parse, act, writeUser), goneStatus())
}

// goneStatus gives the status of a token whose user is gone to a request during which he
// goes.
func goneStatus() map[fault.Code]int {
	return map[fault.Code]int{fault.UserNotFound: http.StatusForbidden}
}

func (d *Dialect) reauthenticate() endpoint.Func {
	parse := func(r *http.Request) (account.Caller, error) {
		c, _, err := d.caller(r)
		return c, err
	}
	do := endpoint.Of(parse, d.Account.Reauthenticate, writeReceipt)
	return with(do, map[fault.Code]int{
		fault.EmailNotConfirmed: http.StatusUnprocessableEntity,
		fault.PhoneNotConfirmed: http.StatusUnprocessableEntity,
		fault.UserNotFound:      http.StatusForbidden,
	})
}

// signOut is a sign-out by a caller.
type signOut struct {
	caller account.Caller
	scope  session.Scope
}

func (d *Dialect) logout() endpoint.Func {
	parse := func(r *http.Request) (q signOut, err error) {
		if q.caller, _, err = d.caller(r); err != nil {
			return q, err
		}
		switch s := session.Scope(r.URL.Query().Get("scope")); s {
		case "":
			q.scope = session.Global
		case session.Global, session.Local, session.Others:
			q.scope = s
		default:
			return q, fault.New(fault.ValidationFailed, "Unsupported logout scope %q", s)
		}
		return q, nil
	}
	act := func(ctx context.Context, q signOut) error { return d.Account.SignOut(ctx, q.caller, q.scope) }
	return endpoint.Of(parse, does(act), func(w http.ResponseWriter, _ *http.Request, _ none) error {
		w.WriteHeader(http.StatusNoContent)
		return nil
	})
}
