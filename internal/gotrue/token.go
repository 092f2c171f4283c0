package gotrue

import (
	"net/http"

	"github.com/truekeel/auth/fault"
	"github.com/truekeel/auth/internal/endpoint"
	"github.com/truekeel/auth/internal/session"
	"github.com/truekeel/auth/internal/signin"

	"context"
)

var errGrantType = as(http.StatusBadRequest, fault.New(fault.InvalidCredentials, "unsupported_grant_type"))

// token finds the grant by the query's grant_type. The other grants are for who has proved
// something already, and ask for no captcha's token.
func (d *Dialect) token() endpoint.Func {
	grants := map[string]endpoint.Func{
		"password": with(d.human(d.passwordGrant()), map[fault.Code]int{
			fault.EmailProviderDisabled: http.StatusUnprocessableEntity,
			fault.PhoneProviderDisabled: http.StatusUnprocessableEntity,
			fault.UserBanned:            http.StatusBadRequest,
		}),
		"refresh_token": with(d.refreshGrant(), map[fault.Code]int{fault.UserBanned: http.StatusBadRequest}),
		"pkce":          d.codeGrant(),
		"id_token":      d.idTokenGrant(),
	}
	return func(w http.ResponseWriter, r *http.Request) error {
		grant, ok := grants[r.URL.Query().Get("grant_type")]
		if !ok {
			return errGrantType
		}
		return grant(w, r)
	}
}

func (d *Dialect) passwordGrant() endpoint.Func {
	parse := func(r *http.Request) (signin.Password, error) {
		var b struct {
			Email    string `json:"email"`
			Phone    string `json:"phone"`
			Password string `json:"password"`
		}
		err := endpoint.Decode(r, &b)
		return signin.Password{Audience: d.audience(r, nil), Email: b.Email, Phone: b.Phone, Password: b.Password}, err
	}
	return endpoint.Of(parse, d.SignIn.ByPassword, writeSignIn)
}

func (d *Dialect) refreshGrant() endpoint.Func {
	parse := func(r *http.Request) (string, error) {
		var b struct {
			RefreshToken string `json:"refresh_token"`
		}
		err := endpoint.Decode(r, &b)
		return b.RefreshToken, err
	}
	return endpoint.Of(parse, d.SignIn.Refresh, writeRefresh)
}

func (d *Dialect) codeGrant() endpoint.Func {
	type exchange struct {
		Code     string `json:"auth_code"`
		Verifier string `json:"code_verifier"`
	}
	parse := func(r *http.Request) (q exchange, err error) {
		err = endpoint.Decode(r, &q)
		return q, err
	}
	act := func(ctx context.Context, q exchange) (session.Grant, error) {
		return d.SignIn.ByCode(ctx, q.Code, q.Verifier)
	}
	return endpoint.Of(parse, act, writeGrant)
}
