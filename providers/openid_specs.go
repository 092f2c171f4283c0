package providers

import "strings"

// This file holds the providers that are OpenID Connect without more ado, by name.

// openID is a Spec of an issuer whose endpoints are discovered.
func openID(name, issuer string) Spec {
	return Spec{Name: name, Issuer: issuer, OpenID: true, Scopes: []string{"openid", "profile", "email"}}
}

// OIDC signs in with any OpenID Connect issuer. The issuer is spelled exactly as its
// discovery document does; Auth0's ends with a slash. Its addresses count as verified
// as it flags them.
func OIDC(name, issuer, clientID, secret string, opts ...Option) Provider {
	c := Config{ClientIDs: []string{clientID}, Secret: secret}.with(opts)
	return build(openID(name, issuer), c)
}

// OAuth2 signs in with a provider that is described by s, under a name of the host's.
func OAuth2(name string, s Spec, clientID, secret string, opts ...Option) Provider {
	s.Name = name
	return build(s, Config{ClientIDs: []string{clientID}, Secret: secret}.with(opts))
}

// Auth0 signs in with an Auth0 tenant, whose issuer is "https://TENANT.auth0.com/".
func Auth0(issuer, clientID, secret string, opts ...Option) Provider {
	return named("auth0", clientID, secret, append([]Option{withIssuer(issuer)}, opts...))
}

// Okta signs in with an Okta organisation, whose issuer is "https://ORG.okta.com" or
// "https://ORG.okta.com/oauth2/default".
func Okta(issuer, clientID, secret string, opts ...Option) Provider {
	return named("okta", clientID, secret, append([]Option{withIssuer(issuer)}, opts...))
}

// Cognito signs in with an Amazon Cognito user pool, whose issuer is
// "https://cognito-idp.REGION.amazonaws.com/POOL".
func Cognito(issuer, clientID, secret string, opts ...Option) Provider {
	return named("cognito", clientID, secret, append([]Option{withIssuer(issuer)}, opts...))
}

func withIssuer(issuer string) Option { return func(c *Config) { c.Issuer = issuer } }

// Google signs in with Google.
func Google(clientID, secret string, opts ...Option) Provider {
	return named("google", clientID, secret, opts)
}

func google() Spec {
	s := openID("google", "https://accounts.google.com")
	s.Auth = AuthBody
	s.Map = func(j JSON) Profile {
		p := standardProfile(j)
		p.Emails = OneEmail(j.Text("email"), j.Bool("email_verified") || j.Bool("verified_email"))
		p.Claims["custom_claims"] = some("hd", j.Text("hd"))
		return p
	}
	s.issuer = func(iss string) (string, error) {
		// Google's older tokens leave the scheme out.
		if iss == s.Issuer || iss == strings.TrimPrefix(s.Issuer, "https://") {
			return s.Issuer, nil
		}
		return "", errOtherIssuer
	}
	return s
}

// HuggingFace signs in with Hugging Face.
func HuggingFace(clientID, secret string, opts ...Option) Provider {
	return named("huggingface", clientID, secret, opts)
}

// Keycloak signs in with the Keycloak realm at realm:
// "https://id.example.com/realms/main".
func Keycloak(realm, clientID, secret string, opts ...Option) Provider {
	return named("keycloak", clientID, secret, append([]Option{WithURL(realm)}, opts...))
}

// keycloak asks nothing to be discovered for the browser flow.
func keycloak(realm string) Spec {
	s := openID("keycloak", realm)
	s.AuthURL = realm + "/protocol/openid-connect/auth"
	s.TokenURL = realm + "/protocol/openid-connect/token"
	s.UserURL = realm + "/protocol/openid-connect/userinfo"
	s.Auth = AuthBody
	s.Map = func(j JSON) Profile {
		p := standardProfile(j)
		p.Claims["custom_claims"] = j.Members("sub", "iss", "aud", "exp", "iat", "nbf", "jti", "auth_time", "nonce",
			"azp", "typ", "sid", "at_hash", "c_hash", "s_hash", "acr", "session_state", "name", "email", "email_verified")
		return p
	}
	return s
}

// Line signs in with LINE, which gives no evidence for its addresses.
func Line(channelID, secret string, opts ...Option) Provider {
	return named("line", channelID, secret, opts)
}

func line() Spec {
	s := openID("line", "https://access.line.me")
	s.AuthURL = "https://access.line.me/oauth2/v2.1/authorize"
	s.TokenURL = "https://api.line.me/oauth2/v2.1/token"
	s.UserURL = "https://api.line.me/oauth2/v2.1/userinfo"
	s.Auth = AuthBody
	s.Emails = EmailUnproven
	// Else the token is signed with the secret, by HS256.
	s.TokenParams = map[string]string{"id_token_key_type": "JWK"}
	return s
}

// LinkedInOIDC signs in with LinkedIn, as all apps do since 2023.
func LinkedInOIDC(clientID, secret string, opts ...Option) Provider {
	return named("linkedin_oidc", clientID, secret, opts)
}

func linkedInOIDC() Spec {
	s := openID("linkedin_oidc", "https://www.linkedin.com/oauth")
	s.AuthURL = "https://www.linkedin.com/oauth/v2/authorization"
	s.TokenURL = "https://www.linkedin.com/oauth/v2/accessToken"
	s.UserURL = "https://api.linkedin.com/v2/userinfo"
	s.Auth = AuthBody
	s.NoPKCE, s.NoNonce = true, true
	s.Map = func(j JSON) Profile {
		p := standardProfile(j)
		if p.Name == "" {
			p.Name = joined(j.Text("given_name"), j.Text("family_name"))
		}
		return p
	}
	return s
}

// Salesforce signs in with Salesforce. WithURL names a sandbox or a domain of one's own.
func Salesforce(clientID, secret string, opts ...Option) Provider {
	return named("salesforce", clientID, secret, opts)
}

func salesforce() Spec {
	s := openID("salesforce", "https://login.salesforce.com")
	s.Map = func(j JSON) Profile {
		p := standardProfile(j)
		if p.Avatar == "" {
			p.Avatar = j.Text("photos", "picture")
		}
		p.Claims["custom_claims"] = some("organization_id", j.Text("organization_id"))
		return p
	}
	return s
}

// SlackOIDC signs in with Slack. Ids are unique per workspace, which is in the claims.
func SlackOIDC(clientID, secret string, opts ...Option) Provider {
	return named("slack_oidc", clientID, secret, opts)
}

func slackOIDC() Spec {
	s := openID("slack_oidc", "https://slack.com")
	s.AuthURL = "https://slack.com/openid/connect/authorize"
	s.TokenURL = "https://slack.com/api/openid.connect.token"
	s.UserURL = "https://slack.com/api/openid.connect.userInfo"
	s.Scopes = []string{"profile", "email", "openid"}
	s.Auth = AuthBody
	s.NoPKCE = true
	s.Map = func(j JSON) Profile {
		p := slackProfile(j)
		if p.Subject == "" {
			p.Subject = j.Text("sub")
		}
		return p
	}
	return s
}

// Vercel signs in with Vercel.
func Vercel(clientID, secret string, opts ...Option) Provider {
	return named("vercel", clientID, secret, opts)
}

// VercelMarketplace signs in people who come from an integration in Vercel's
// marketplace. It gives no evidence for its addresses.
func VercelMarketplace(clientID, secret string, opts ...Option) Provider {
	return named("vercel_marketplace", clientID, secret, opts)
}

func vercelMarketplace() Spec {
	return Spec{
		Name:     "vercel_marketplace",
		AuthURL:  "https://api.vercel.com/oauth/v2/authorization",
		TokenURL: "https://api.vercel.com/oauth/v2/accessToken",
		Issuer:   "https://marketplace.vercel.com",
		OpenID:   true,
		Auth:     AuthBody,
		NoPKCE:   true,
		NoNonce:  true,
		Emails:   EmailUnproven,
		Map: func(j JSON) Profile {
			subject := j.Text("sub")
			if global := strings.TrimSpace(j.Text("global_user_id")); global != "" {
				subject = "global_user_id:" + global
			}
			return Profile{
				Subject: subject, Name: j.Text("user_name"), Avatar: j.Text("user_avatar_url"),
				Emails: OneEmail(j.Text("user_email"), false),
			}
		},
	}
}

// Yahoo signs in with Yahoo.
func Yahoo(clientID, secret string, opts ...Option) Provider {
	return named("yahoo", clientID, secret, opts)
}

func yahoo() Spec {
	s := openID("yahoo", "https://api.login.yahoo.com")
	s.Auth = AuthBasic
	return s
}
