package providers

import (
	"context"
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

const (
	appleIssuer    = "https://appleid.apple.com"
	appleNewIssuer = "https://account.apple.com"
	// appleSecretLife is how long a client secret lives that is made for one exchange.
	appleSecretLife = 5 * time.Minute
)

// Apple signs in with Apple. The client secret is made from a key when it is needed, if
// WithAppleKey is given; else secret is one that was made elsewhere, which Apple accepts
// for at most six months. Apple posts its answer across sites (see FormPoster) and tells
// the name only at the very first sign-in.
func Apple(servicesID, secret string, opts ...Option) Provider {
	return named("apple", servicesID, secret, opts)
}

// WithAppleKey makes Apple's client secret from the team's id, the key's id and the text
// of the key's .p8 file.
func WithAppleKey(teamID, keyID, p8 string) Option {
	return func(c *Config) { c.TeamID, c.KeyID, c.Key = teamID, keyID, p8 }
}

func apple(c Config) Provider {
	s := openID("apple", appleIssuer)
	s.Scopes = []string{"email", "name"}
	s.Params = map[string]string{"response_mode": "form_post"} // Apple demands it for any scope
	s.FormPost = true
	s.Auth = AuthBody
	s.Map = appleProfile
	s.person = applePerson
	s.issuer = func(iss string) (string, error) {
		if iss == appleIssuer || iss == appleNewIssuer {
			return appleIssuer, nil
		}
		return "", errOtherIssuer
	}
	if c.Key != "" {
		key, err := parseAppleKey(c.Key)
		if err == nil && (c.TeamID == "" || c.KeyID == "") {
			err = errors.New("the key needs the team's and its own id")
		}
		if err != nil {
			return broken(s.Name, err)
		}
		s.secret = func(now time.Time) (string, error) { return appleSecret(c, key, now) }
	}
	return build(s, c)
}

func parseAppleKey(p8 string) (*ecdsa.PrivateKey, error) {
	// Environment variables often hold the line ends as two characters.
	block, _ := pem.Decode([]byte(strings.ReplaceAll(p8, `\n`, "\n")))
	if block == nil {
		return nil, errors.New("the key is no PEM text")
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, errors.New("the key is no PKCS #8 key")
	}
	key, ok := parsed.(*ecdsa.PrivateKey)
	if !ok || key.Curve.Params().BitSize != 256 {
		return nil, errors.New("the key is not for ES256")
	}
	return key, nil
}

// appleSecret signs a client secret for the next minutes.
func appleSecret(c Config, key *ecdsa.PrivateKey, now time.Time) (string, error) {
	token := jwt.NewWithClaims(jwt.SigningMethodES256, jwt.MapClaims{
		"iss": c.TeamID, "sub": c.clientID(), "aud": appleIssuer,
		"iat": now.Unix(), "exp": now.Add(appleSecretLife).Unix(),
	})
	token.Header["kid"] = c.KeyID
	return token.SignedString(key)
}

// applePerson reads the id token, and the name from the form that came with it.
func applePerson(ctx context.Context, l *login) (Profile, error) {
	claims, err := l.idToken(ctx)
	if err != nil {
		return Profile{}, err
	}
	p := appleProfile(claims)
	// The field is not signed: it may say how somebody wants to be called, not who he is.
	if user, err := ParseJSON([]byte(l.callback.Params.Get("user"))); err == nil {
		p.Name = clip(joined(user.Text("name", "firstName"), user.Text("name", "lastName")), 200)
	}
	return p, nil
}

func appleProfile(j JSON) Profile {
	custom := make(map[string]any)
	for _, name := range []string{"auth_time", "transfer_sub"} {
		if j.Has(name) {
			custom[name] = j.Value(name)
		}
	}
	if j.Has("is_private_email") {
		custom["is_private_email"] = j.Bool("is_private_email")
	}
	return Profile{
		Subject: j.Text("sub"),
		Issuer:  appleIssuer,
		Emails:  OneEmail(j.Text("email"), j.Bool("email_verified")),
		Claims:  map[string]any{"custom_claims": custom},
	}
}
