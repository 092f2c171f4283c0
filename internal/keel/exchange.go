package keel

import (
	"errors"
	"net/http"

	"github.com/truekeel/auth/fault"
	"github.com/truekeel/auth/internal/external"
)

// accessTokenURN is RFC 8693's name of an access token.
const accessTokenURN = "urn:ietf:params:oauth:token-type:access_token"

// byIDToken exchanges an id token of a provider (in the manner of RFC 8693).
func (d *Dialect) byIDToken(r *http.Request, f fields, create bool) (granted, error) {
	token := f.text("subject_token")
	if token == "" {
		return granted{}, errNoSubject
	}
	if f.has("subject_token_type") && f.text("subject_token_type") != "id_token" {
		return granted{}, errSubjectType
	}
	if t := f.text("requested_token_type"); f.has("requested_token_type") && t != "access_token" && t != accessTokenURN {
		return granted{}, errRequestedType
	}
	e, err := d.External.Exchange(r.Context(), external.Exchange{Audience: d.Audience, Token: token, Create: create})
	switch {
	case errors.Is(err, external.ErrClaims):
		err = errClaims
	case err != nil:
		err = instead(err, errNoIdentity, fault.UserNotFound, fault.SignupDisabled)
		err = instead(err, errExchange, fault.BadIDToken, fault.BadIDTokenNonce, fault.ProviderDisabled, fault.UserBanned,
			fault.ProviderEmailNeedsVerification, fault.EmailAddressNotAuthorized, fault.Conflict)
		if providerSilent(err) {
			err = errExchange
		}
	}
	return granted{grant: e.Grant, created: e.Created}, err
}
