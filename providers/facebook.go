package providers

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
)

// Facebook signs in with Facebook in the browser, and with the id tokens of Limited
// Login in iOS apps. It gives no evidence for its addresses.
//
// Limited Login's nonce is not the hash that other SDKs send, so it isn't compared; a
// token is accepted for an hour after it was issued.
func Facebook(appID, secret string, opts ...Option) Provider {
	return named("facebook", appID, secret, opts)
}

func facebook(c Config) Provider {
	const profileURL = "https://graph.facebook.com/v22.0/me?fields=email,first_name,last_name,name,picture"
	return plain(func() Spec {
		return Spec{
			Name:     "facebook",
			AuthURL:  "https://www.facebook.com/v22.0/dialog/oauth",
			TokenURL: "https://graph.facebook.com/v22.0/oauth/access_token",
			UserURL:  profileURL,
			Issuer:   "https://www.facebook.com",
			Scopes:   []string{"email"},
			Auth:     AuthBody,
			Emails:   EmailUnproven,
			Map:      facebookProfile,
			hooks: hooks{
				iss: profileURL, person: facebookPerson, freeNonce: true,
				mapIDToken: func(j JSON) Profile {
					return Profile{
						Subject: j.Text("sub"), Name: j.Text("name"), Avatar: j.Text("picture"),
						Emails: OneEmail(j.Text("email"), false),
					}
				},
			},
		}
	})(c)
}

// facebookPerson asks for the profile with proof that we hold the app's secret, so that
// an app may refuse tokens that were stolen.
func facebookPerson(ctx context.Context, l *login) (Profile, error) {
	mac := hmac.New(sha256.New, []byte(l.config.Secret))
	mac.Write([]byte(l.token.AccessToken))
	user, err := l.user(ctx, l.endpoints.user+"&appsecret_proof="+hex.EncodeToString(mac.Sum(nil)))
	if err != nil {
		return Profile{}, err
	}
	return facebookProfile(user), nil
}

func facebookProfile(j JSON) Profile {
	return Profile{
		Subject: j.ID("id"),
		Name:    joined(j.Text("first_name"), j.Text("last_name")),
		Avatar:  j.Text("picture", "data", "url"),
		Emails:  OneEmail(j.Text("email"), false),
		Claims:  map[string]any{"nickname": j.Text("name"), "slug": j.Text("name")},
	}
}
