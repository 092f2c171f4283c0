package gotrue

import (
	"context"
	"net/http"

	"github.com/truekeel/auth/internal/admin"
	"github.com/truekeel/auth/internal/audit"
	"github.com/truekeel/auth/internal/endpoint"
	"github.com/truekeel/auth/internal/user"
	"github.com/truekeel/auth/store"
)

// by is a request of an administrator.
type by[Q any] struct {
	who audit.Actor
	q   Q
}

func (d *Dialect) invite() endpoint.Func {
	parse := func(r *http.Request) (q by[admin.Invitation], err error) {
		if q.who, err = d.admin(r); err != nil {
			return q, err
		}
		var b struct {
			Email string       `json:"email"`
			Data  store.Object `json:"data"`
		}
		err = endpoint.Decode(r, &b)
		q.q = admin.Invitation{Audience: d.audience(r, nil), Email: b.Email, Data: b.Data, RedirectTo: d.target(r, "")}
		return q, err
	}
	act := func(ctx context.Context, q by[admin.Invitation]) (user.Account, error) {
		return d.Admin.Invite(ctx, q.who, q.q)
	}
	return endpoint.Of(parse, act, writeUser)
}

// wireLink is a generated link: the user's own keys and what can be delivered.
type wireLink struct {
	wireUser
	ActionLink       string `json:"action_link"`
	EmailOTP         string `json:"email_otp"`
	HashedToken      string `json:"hashed_token"`
	VerificationType string `json:"verification_type"`
	RedirectTo       string `json:"redirect_to"`
}

func (d *Dialect) generateLink() endpoint.Func {
	parse := func(r *http.Request) (q by[admin.LinkRequest], err error) {
		if q.who, err = d.admin(r); err != nil {
			return q, err
		}
		var b struct {
			Type       string       `json:"type"`
			Email      string       `json:"email"`
			NewEmail   string       `json:"new_email"`
			Password   string       `json:"password"`
			Data       store.Object `json:"data"`
			RedirectTo string       `json:"redirect_to"`
		}
		err = endpoint.Decode(r, &b)
		q.q = admin.LinkRequest{
			Audience: d.audience(r, nil), Type: b.Type, Email: b.Email, NewEmail: b.NewEmail, Password: b.Password,
			Data: b.Data, RedirectTo: d.target(r, b.RedirectTo),
		}
		return q, err
	}
	act := func(ctx context.Context, q by[admin.LinkRequest]) (admin.Link, error) {
		return d.Admin.GenerateLink(ctx, q.who, q.q)
	}
	return endpoint.Of(parse, act, func(w http.ResponseWriter, _ *http.Request, a admin.Link) error {
		w.Header().Set("Cache-Control", "no-store")
		return endpoint.JSON(w, http.StatusOK, wireLink{
			wireUser: userJSON(a.Account), ActionLink: a.URL, EmailOTP: a.Code, HashedToken: a.Token,
			VerificationType: a.Type, RedirectTo: a.RedirectTo,
		})
	})
}
