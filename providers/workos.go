package providers

import (
	"context"
	"net/url"
)

// WorkOS signs in with WorkOS. Which identity provider it leads to is said by one of the
// parameters "connection", "organization" and "workos_provider" of each sign-in. It
// gives no evidence for its addresses: they are those that an organisation's
// administrator wrote down.
func WorkOS(clientID, secret string, opts ...Option) Provider {
	return named("workos", clientID, secret, opts)
}

func workOS() Spec {
	return Spec{
		Name:     "workos",
		AuthURL:  "https://api.workos.com/sso/authorize",
		TokenURL: "https://api.workos.com/sso/token",
		Auth:     AuthBody,
		NoPKCE:   true,
		Emails:   EmailUnproven,
		hooks: hooks{
			iss:    "https://api.workos.com",
			person: workOSPerson,
			params: func(page, _ url.Values) {
				if chosen := page.Get("workos_provider"); chosen != "" {
					page.Set("provider", chosen) // a name that our callers use otherwise
				}
				page.Del("workos_provider")
			},
		},
	}
}

// workOSPerson reads the profile, which comes along with the token.
func workOSPerson(_ context.Context, l *login) (Profile, error) {
	j := JSON{l.token.Extra("profile")}
	custom := make(map[string]any)
	for _, name := range []string{"connection_id", "organization_id"} {
		if j.Has(name) {
			custom[name] = j.Value(name)
		}
	}
	return Profile{
		Subject: j.Text("id"),
		Name:    joined(j.Text("first_name"), j.Text("last_name")),
		Emails:  OneEmail(j.Text("email"), false),
		Claims:  map[string]any{"custom_claims": custom},
	}, nil
}
