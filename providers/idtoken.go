package providers

import (
	"context"
	"crypto"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	jose "github.com/go-jose/go-jose/v4"
)

const (
	// leeway is how far an issuer's clock may be ahead of ours.
	leeway = 5 * time.Minute
	// maxAge is how old a token may be that an app presents, however long it lives.
	maxAge = time.Hour
	// maxToken is how long an id token may be.
	maxToken = 32 << 10
)

// algorithms are the signatures that are accepted: no "none", and none with a shared
// secret, as anybody could make them with the public key.
func algorithms() []jose.SignatureAlgorithm {
	return []jose.SignatureAlgorithm{
		jose.RS256, jose.RS384, jose.RS512, jose.ES256, jose.ES384, jose.ES512,
		jose.PS256, jose.PS384, jose.PS512, jose.EdDSA,
	}
}

// IssuedBy is IDTokenVerifier's.
func (v verifier) IssuedBy(issuer string) bool {
	_, err := v.verifyWith(issuer)
	return issuer != "" && err == nil
}

// VerifyIDToken is IDTokenVerifier's.
func (v verifier) VerifyIDToken(ctx context.Context, t IDToken) (Identity, error) {
	if v.bad != nil {
		return Identity{}, v.bad
	}
	claims, err := v.verify(ctx, t.Raw, t.AccessToken, v.config.ClientIDs)
	if err != nil {
		return Identity{}, err
	}
	if t.Issuer != "" && t.Issuer != claims.Text("iss") {
		return Identity{}, v.fail(ErrBadIDToken, errors.New("token is of another issuer than the request's"))
	}
	if err := v.checkNonce(t.Nonce, claims.Text("nonce")); err != nil && !t.AnyNonce {
		return Identity{}, err
	}
	if v.reach().now().Sub(seconds(claims, "iat")) > maxAge+leeway {
		return Identity{}, v.fail(ErrBadIDToken, errors.New("token was issued too long ago"))
	}
	id, err := v.identity(v.readIDToken(claims), claims.Text("iss"))
	if err != nil {
		return Identity{}, err
	}
	id.AccessToken, id.IDToken, id.ExpiresAt = t.AccessToken, t.Raw, time.Time{}
	return id, nil
}

// checkNonce compares a presented nonce with the hash in the token.
func (v verifier) checkNonce(given, claim string) error {
	if v.config.SkipNonceCheck || v.spec.freeNonce {
		return nil
	}
	if (given == "") != (claim == "") {
		return v.fail(ErrNonceMissing, nil)
	}
	sum := sha256.Sum256([]byte(given))
	if given != "" && !same(hex.EncodeToString(sum[:]), claim) {
		return v.fail(ErrNonceMismatch, nil)
	}
	return nil
}

var errOtherIssuer = errors.New("token is of another issuer")

// verifyWith gives the issuer whose keys a token of iss is verified with.
func (p *client) verifyWith(iss string) (string, error) {
	if p.spec.issuer != nil {
		return p.spec.issuer(iss)
	}
	if iss != p.spec.Issuer {
		return "", errOtherIssuer
	}
	return iss, nil
}

// verify checks everything about an id token but its nonce (OpenID Connect Core,
// 3.1.3.7), and gives its claims.
func (p *client) verify(ctx context.Context, raw, accessToken string, audiences []string) (JSON, error) {
	kid, iss, err := glance(raw)
	if err != nil {
		return JSON{}, p.fail(ErrBadIDToken, err)
	}
	name, err := p.verifyWith(iss)
	if err != nil {
		return JSON{}, p.fail(ErrBadIDToken, err)
	}
	from := p.reach().issuer(name)
	m, err := from.metadata(ctx)
	if err != nil {
		return JSON{}, failed(p.spec.Name, ErrBadIDToken, err)
	}
	keys, err := from.keys(ctx, kid)
	if err != nil {
		return JSON{}, failed(p.spec.Name, ErrBadIDToken, err)
	}
	// The token's own spelling of the issuer was accepted by verifyWith.
	token, err := oidc.NewVerifier(iss, keySet(keys), &oidc.Config{
		SkipClientIDCheck: true, SupportedSigningAlgs: common(m.Algs), Now: p.reach().now,
	}).Verify(ctx, raw)
	if err != nil {
		return JSON{}, p.fail(ErrBadIDToken, errors.New(strings.TrimPrefix(err.Error(), "oidc: ")))
	}
	if err := p.checkAudience(token, audiences); err != nil {
		return JSON{}, err
	}
	return p.claims(token, accessToken)
}

// claims checks the rest of a token whose signature is good.
func (p *client) claims(token *oidc.IDToken, accessToken string) (JSON, error) {
	var text json.RawMessage
	if err := token.Claims(&text); err != nil {
		return JSON{}, p.fail(ErrBadIDToken, err)
	}
	claims, err := ParseJSON(text)
	if err != nil {
		return JSON{}, p.fail(ErrBadIDToken, err)
	}
	switch now := p.reach().now(); {
	case token.IssuedAt.IsZero():
		return JSON{}, p.fail(ErrBadIDToken, errors.New("token doesn't say when it was issued"))
	case token.IssuedAt.After(now.Add(leeway)):
		return JSON{}, p.fail(ErrBadIDToken, errors.New("token was issued in the future"))
	case accessToken != "" && token.AccessTokenHash != "" && token.VerifyAccessToken(accessToken) != nil:
		return JSON{}, p.fail(ErrBadIDToken, errors.New("access token doesn't fit at_hash"))
	}
	return claims, nil
}

// checkAudience wants one of our ids among the token's audiences. A token for several
// must have been made for us, if it says for whom.
func (p *client) checkAudience(token *oidc.IDToken, ours []string) error {
	mine := func(id string) bool { return id != "" && slices.Contains(ours, id) }
	refuse := &Error{Provider: p.spec.Name, Kind: ErrAudience, Description: clip(strings.Join(token.Audience, " "), 500)}
	if !slices.ContainsFunc(token.Audience, mine) {
		return refuse
	}
	var party struct {
		Azp string `json:"azp"`
	}
	if len(token.Audience) > 1 && token.Claims(&party) == nil && party.Azp != "" && !mine(party.Azp) {
		return refuse
	}
	return nil
}

// glance reads which key and issuer a token names; nothing of it is proved yet.
func glance(raw string) (kid, iss string, err error) {
	if len(raw) > maxToken {
		return "", "", errors.New("token is too long")
	}
	token, err := jose.ParseSignedCompact(raw, algorithms())
	if err != nil {
		return "", "", errors.New("token is malformed or its algorithm isn't accepted")
	}
	claims, err := ParseJSON(token.UnsafePayloadWithoutVerification())
	if err != nil {
		return "", "", errors.New("token holds no claims")
	}
	return token.Signatures[0].Header.KeyID, claims.Text("iss"), nil
}

// common are the accepted algorithms that an issuer says to use, RS256 if it says none.
func common(offered []string) []string {
	var out []string
	for _, alg := range algorithms() {
		if slices.Contains(offered, string(alg)) {
			out = append(out, string(alg))
		}
	}
	return out
}

// seconds reads a time, zero if it isn't there.
func seconds(claims JSON, name string) time.Time {
	n, ok := claims.Value(name).(json.Number)
	if !ok {
		return time.Time{}
	}
	f, err := n.Float64()
	if err != nil {
		return time.Time{}
	}
	return time.Unix(int64(f), 0)
}

// keySet verifies with keys that were chosen beforehand. Each is used only with the
// algorithm that it is for.
type keySet []jose.JSONWebKey

// VerifySignature is oidc.KeySet's.
func (s keySet) VerifySignature(_ context.Context, raw string) ([]byte, error) {
	token, err := jose.ParseSignedCompact(raw, algorithms())
	if err != nil {
		return nil, err
	}
	alg := token.Signatures[0].Header.Algorithm
	for _, k := range s {
		if k.Algorithm != "" && k.Algorithm != alg {
			continue
		}
		var public crypto.PublicKey = k.Key
		if payload, err := token.Verify(public); err == nil {
			return payload, nil
		}
	}
	return nil, errors.New("no key of the issuer fits")
}
