package providers

// LinkedIn signs in with LinkedIn as apps from before 2023 do; new apps use
// LinkedInOIDC. It gives no evidence for its addresses.
func LinkedIn(clientID, secret string, opts ...Option) Provider {
	return named("linkedin", clientID, secret, opts)
}

func linkedIn() Spec {
	return Spec{
		Name:      "linkedin",
		AuthURL:   "https://www.linkedin.com/oauth/v2/authorization",
		TokenURL:  "https://www.linkedin.com/oauth/v2/accessToken",
		UserURL:   "https://api.linkedin.com/v2/me?projection=(id,firstName,lastName,profilePicture(displayImage~:playableStreams))",
		EmailsURL: "https://api.linkedin.com/v2/emailAddress?q=members&projection=(elements*(handle~))",
		Scopes:    []string{"r_emailaddress", "r_liteprofile"},
		Auth:      AuthBody,
		NoPKCE:    true,
		Emails:    EmailUnproven,
		Map: func(j JSON) Profile {
			picture := j.First("profilePicture", "displayImage~", "elements").First("identifiers")
			return Profile{
				Subject: j.Text("id"),
				Name:    joined(localized(j.At("firstName")), localized(j.At("lastName"))),
				Avatar:  picture.Text("identifier"),
			}
		},
		MapEmails: func(j JSON) []Email {
			return OneEmail(j.First("elements").Text("handle~", "emailAddress"), false)
		},
	}
}

// localized is a name in the language that the person prefers.
func localized(j JSON) string {
	locale := j.At("preferredLocale")
	return j.Text("localized", locale.Text("language")+"_"+locale.Text("country"))
}
