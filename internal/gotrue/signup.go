package gotrue

import (
	"net/http"

	"github.com/truekeel/auth/internal/endpoint"
	"github.com/truekeel/auth/internal/pkce"
	"github.com/truekeel/auth/internal/place"
	"github.com/truekeel/auth/internal/signup"
	"github.com/truekeel/auth/store"
)

// wireChallenge is a PKCE challenge in a body.
type wireChallenge struct {
	Challenge string `json:"code_challenge"`
	Method    string `json:"code_challenge_method"`
}

func (c wireChallenge) parse() (pkce.Challenge, error) { return pkce.Parse(c.Challenge, c.Method) }

type signUpBody struct {
	Email    string       `json:"email"`
	Phone    string       `json:"phone"`
	Channel  string       `json:"channel"`
	Password string       `json:"password"`
	Data     store.Object `json:"data"`
	wireChallenge
}

func (d *Dialect) signUp() endpoint.Func {
	parse := func(r *http.Request) (signup.Request, error) {
		var b signUpBody
		if err := endpoint.Decode(r, &b); err != nil {
			return signup.Request{}, err
		}
		challenge, err := b.parse()
		if err != nil {
			return signup.Request{}, err
		}
		return signup.Request{
			Audience: d.audience(r, nil), Email: b.Email, Phone: b.Phone, Channel: b.Channel, Password: b.Password, Data: b.Data,
			Challenge: challenge, RedirectTo: d.target(r, ""),
		}, nil
	}
	return endpoint.Of(parse, d.SignUp.SignUp, func(w http.ResponseWriter, r *http.Request, a signup.Result) error {
		if a.Grant != nil {
			return writeGrant(w, r, *a.Grant)
		}
		return endpoint.JSON(w, http.StatusOK, userJSON(a.Account))
	})
}

// target is where a flow leads in the end: the header, else the query, else the
// referring page, as far as they are allowed; else the site.
func (d *Dialect) target(r *http.Request, field string) string {
	wanted := r.Header.Get("redirect_to")
	if wanted == "" {
		wanted = field
	}
	if wanted == "" {
		wanted = r.URL.Query().Get("redirect_to")
	}
	return d.Redirect.PickOr(place.From(r.Context()).Site, wanted, r.Header.Get("Referer"))
}
