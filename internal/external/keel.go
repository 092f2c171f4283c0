package external

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/truekeel/auth/fault"
	"github.com/truekeel/auth/internal/guard"
	"github.com/truekeel/auth/internal/session"
	"github.com/truekeel/auth/providers"
	"github.com/truekeel/auth/store"
)

// Exchange is an id token of any configured provider that is exchanged for a session of
// kind Keel.
type Exchange struct {
	Audience string
	Token    string
	// Create lets the exchange make or link an identity that isn't known.
	Create bool
}

// Exchanged is what an exchange did. Created is set beside an error too.
type Exchanged struct {
	Grant   *session.Grant
	Created uuid.UUID // the account that was made; uuid.Nil if none was
}

var (
	// ErrUnknown is the answer to an identity that isn't known where only known ones
	// come in.
	ErrUnknown = fault.New(fault.UserNotFound, "No account has this identity")
	// ErrClaims is the answer to an id token whose claims have other types than they
	// should.
	ErrClaims = fault.New(fault.BadIDToken, "The claims of the id token are insufficient")
	// ErrEnded is the answer to a provider whose access token has ended when it comes.
	ErrEnded = fault.New(fault.BadOAuthCallback, "The identity provider's access token has ended")
)

// Exchange signs in with an id token, which chooses among the configured providers by
// its issuer. Its nonce isn't looked at: this dialect's clients have no way to tell it.
func (f *Flow) Exchange(ctx context.Context, q Exchange) (Exchanged, error) {
	if err := f.Guard.Client(ctx, guard.Token); err != nil {
		return Exchanged{}, err
	}
	l, err := f.verified(ctx, q.Token)
	if err != nil {
		return Exchanged{}, err
	}
	s := settlement{Flow: f, kind: session.Keel, login: l, audience: q.Audience, known: !q.Create}
	if err := s.settle(ctx); err != nil {
		return Exchanged{Created: s.created}, err
	}
	g, err := s.grant(ctx)
	return Exchanged{Grant: &g, Created: s.created}, err
}

// verified tries the providers whose tokens have the token's issuer, in the order of
// their names; several may have the same. The first that accepts it is the one.
func (f *Flow) verified(ctx context.Context, token string) (login, error) {
	payload, err := payloadOf(token)
	if err != nil {
		return login{}, errBadToken.WithCause(err)
	}
	issuer := payload.String("iss")
	refusal := error(errBadToken)
	for _, name := range slices.Sorted(maps.Keys(f.Providers)) {
		p := f.Providers[name]
		v, ok := p.(providers.IDTokenVerifier)
		if !ok || issuer == "" || !v.IssuedBy(issuer) {
			continue
		}
		id, err := v.VerifyIDToken(ctx, providers.IDToken{Raw: token, Issuer: issuer, AnyNonce: true})
		if err != nil {
			refusal = unverified(err)
			continue
		}
		l, err := f.read(p, id, session.Keel)
		if err != nil && !errors.Is(err, ErrClaims) {
			err = errBadToken.WithCause(err)
		}
		return l, err
	}
	return login{}, refusal
}

// payloadOf reads the claims of an id token without verifying it.
func payloadOf(token string) (store.Object, error) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return nil, errors.New("external: no token")
	}
	text, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return nil, errors.New("external: a token's payload is no base64url")
	}
	var payload store.Object
	if err := json.Unmarshal(text, &payload); err != nil {
		return nil, errors.New("external: a token's payload is no object")
	}
	return payload, nil
}

// wellTyped reports whether the standard claims (OpenID Connect Core, 5.1) have their
// types, as far as they are there.
func wellTyped(payload store.Object) bool {
	for _, name := range []string{
		"sub", "iss", "name", "given_name", "family_name", "middle_name", "nickname", "nick_name", "preferred_username",
		"profile", "picture", "website", "email", "gender", "zoneinfo", "locale", "phone_number",
	} {
		if _, there := payload[name]; there && !payload.Decode(name, new(string)) {
			return false
		}
	}
	for _, name := range []string{"email_verified", "phone_number_verified"} {
		if _, there := payload[name]; there && !payload.Decode(name, new(bool)) {
			return false
		}
	}
	return true
}

// customClaims is where an identity keeps the claims that only the host knows.
const customClaims = "custom_claims"

// keepClaims adds the host's own claims, those that are texts, and the nickname under
// the name that Keel knows it by.
func (f *Flow) keepClaims(kept, payload store.Object) {
	if kept.String("nickname") == "" && payload.String("nick_name") != "" {
		kept.Set("nickname", plain(payload.String("nick_name")))
	}
	own := store.Object{}
	if !kept.Decode(customClaims, &own) {
		own = store.Object{}
	}
	for claim, field := range f.Claims {
		if text := plain(payload.String(claim)); text != "" {
			own.Set(field, text)
		}
	}
	if len(own) > 0 {
		kept.Set(customClaims, own)
	}
}
