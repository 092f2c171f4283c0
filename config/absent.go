package config

import "strings"

// Absent is a group of GoTrue's variables that have no effect.
type Absent struct {
	// Feature is what they are about.
	Feature string
	// Names are the variables; one that ends in * stands for all that begin so.
	Names []string
}

// AbsentKeys gives the variables of GoTrue that aren't supported. Whoever builds one of
// the features takes its line out and puts its keys into the table of [Keys].
func AbsentKeys() []Absent {
	return []Absent{
		{"a second address of a provider (URL moves its API too)", apiURLs()},
		{"providers that administrators add while the server runs", names("CUSTOM_OAUTH_ENABLED CUSTOM_OAUTH_MAX_PROVIDERS CUSTOM_OAUTH_EXTERNAL_URL")},
		{"further issuers of id tokens (give each its own EXTERNAL_<NAME>_ISSUER)", names("EXTERNAL_ALLOWED_ID_TOKEN_ISSUERS")},
		{"tuning of the way to a provider and back (5 minutes) and of what is discovered (an hour)", names("EXTERNAL_FLOW_STATE_EXPIRY_DURATION EXTERNAL_OIDC_PROVIDER_CACHE_TTL")},
		{"anonymous users", names("EXTERNAL_ANONYMOUS_USERS_ENABLED RATE_LIMIT_ANONYMOUS_USERS")},
		{"hooks of what isn't there (second factors)", hookNames()},
		{"second factors and passkeys", names(`MFA_MAX_ENROLLED_FACTORS MFA_MAX_VERIFIED_FACTORS MFA_CHALLENGE_EXPIRY_DURATION MFA_FACTOR_EXPIRY_DURATION
			MFA_RATE_LIMIT_CHALLENGE_AND_VERIFY MFA_TOTP_ENROLL_ENABLED MFA_TOTP_VERIFY_ENABLED MFA_PHONE_ENROLL_ENABLED MFA_PHONE_VERIFY_ENABLED
			MFA_PHONE_OTP_LENGTH MFA_PHONE_TEMPLATE MFA_PHONE_MAX_FREQUENCY MFA_WEB_AUTHN_ENROLL_ENABLED MFA_WEB_AUTHN_VERIFY_ENABLED
			WEBAUTHN_RP_ID WEBAUTHN_RP_DISPLAY_NAME WEBAUTHN_RP_ORIGINS WEBAUTHN_CHALLENGE_EXPIRY_DURATION
			PASSKEY_ENABLED PASSKEY_MAX_PASSKEYS_PER_USER RATE_LIMIT_PASSKEY SESSIONS_ALLOW_LOW_AAL
			MAILER_SUBJECTS_MFA_FACTOR_ENROLLED_NOTIFICATION MAILER_TEMPLATES_MFA_FACTOR_ENROLLED_NOTIFICATION MAILER_NOTIFICATIONS_MFA_FACTOR_ENROLLED_ENABLED
			MAILER_SUBJECTS_MFA_FACTOR_UNENROLLED_NOTIFICATION MAILER_TEMPLATES_MFA_FACTOR_UNENROLLED_NOTIFICATION MAILER_NOTIFICATIONS_MFA_FACTOR_UNENROLLED_ENABLED`)},
		{"SAML and SSO", names(`SAML_ENABLED SAML_PRIVATE_KEY SAML_PRIVATE_KEY_NEXT SAML_ALLOW_ENCRYPTED_ASSERTIONS SAML_RELAY_STATE_VALIDITY_PERIOD
			SAML_EXTERNAL_URL SAML_RATE_LIMIT_ASSERTION RATE_LIMIT_SSO EXTERNAL_SAML_*`)},
		{"Web3 wallets", names(`EXTERNAL_WEB3_SOLANA_ENABLED EXTERNAL_WEB3_SOLANA_MAXIMUM_VALIDITY_DURATION
			EXTERNAL_WEB3_ETHEREUM_ENABLED EXTERNAL_WEB3_ETHEREUM_MAXIMUM_VALIDITY_DURATION RATE_LIMIT_WEB3`)},
		{"being an OAuth server", names(`OAUTH_SERVER_ENABLED OAUTH_SERVER_ALLOW_DYNAMIC_REGISTRATION OAUTH_SERVER_AUTHORIZATION_PATH OAUTH_SERVER_AUTHORIZATION_TTL
			OAUTH_SERVER_DEFAULT_SCOPE RATE_LIMIT_OAUTH_DYNAMIC_CLIENT_REGISTER`)},
		{"validation of addresses by a service", names("MAILER_EMAIL_VALIDATION_EXTENDED MAILER_EMAIL_VALIDATION_SERVICE_URL MAILER_EMAIL_VALIDATION_SERVICE_HEADERS MAILER_EMAIL_VALIDATION_BLOCKED_MX")},
		{"providers whose identities are never linked", names("EXPERIMENTAL_PROVIDER_LINKING_DOMAINS EXPERIMENTAL_PROVIDERS_WITH_OWN_LINKING_DOMAIN")},
		{"an identity for accounts that get a password", names("EXPERIMENTAL_CREATE_EMAIL_IDENTITY_ON_PASSWORD_SET_ENABLED")},
		{"cookies", names("COOKIE_KEY COOKIE_DOMAIN COOKIE_DURATION SESSION_KEY")},
		{"the second format of refresh tokens (the one format here is safe in the same way)", names(`SECURITY_REFRESH_TOKEN_ALGORITHM_VERSION
			SECURITY_REFRESH_TOKEN_UPGRADE_PERCENTAGE SECURITY_REFRESH_TOKEN_ALLOW_REUSE`)},
		{"session tags", names("SESSIONS_TAGS")},
		{"the header Sb-Forwarded-For (see RATE_LIMIT_HEADER and API_TRUSTED_PROXIES)", names("SECURITY_SB_FORWARDED_FOR_ENABLED")},
		{"the id of an encryption key (keys are tried)", names("SECURITY_DATABASE_ENCRYPTION_ENCRYPTION_KEY_ID")},
		{"tuning of the database's pool and its upkeep (both are built in)", names(`DB_MIGRATIONS_PATH DB_CLEANUP_ENABLED DB_MAX_IDLE_POOL_SIZE DB_CONN_MAX_LIFETIME
			DB_CONN_MAX_IDLE_TIME DB_HEALTH_CHECK_PERIOD DB_CONN_PERCENTAGE DB_ADVISOR_* INDEX_WORKER_ENSURE_USER_SEARCH_INDEXES_EXIST INDEX_WORKER_MAX_USERS_THRESHOLD`)},
		{"the form of log lines (see LOG_FORMAT)", names("LOG_DISABLE_COLORS LOG_QUOTE_EMPTY_FIELDS LOG_TSFORMAT")},
		{"templates that are loaded in the background (they are fetched when they are needed)", names("MAILER_TEMPLATE_RELOADING_ENABLED MAILER_TEMPLATE_RELOADING_MAX_IDLE")},
		{"loading the configuration anew while the server runs", names(`RELOADING_NOTIFY_ENABLED RELOADING_POLLERENABLED RELOADING_POLLER_ENABLED RELOADING_POLLER_INTERVAL RELOADING_SIGNAL_ENABLED
			RELOADING_SIGNAL_NUMBER RELOADING_GRACE_PERIOD_INTERVAL`)},
		{"lists by cursor and SCIM", names("EXPERIMENTAL_CURSOR_PAGINATION_ENABLED EXPERIMENTAL_SCIM_ENABLED")},
		{"the timeout of calls to services", names("INTERNAL_HTTP_TIMEOUT")},
	}
}

// names puts the prefix before each key of a list with blanks between them.
func names(keys string) []string {
	list := strings.Fields(keys)
	for i, k := range list {
		list[i] = prefix + k
	}
	return list
}

// apiURLs are the addresses of the APIs of GoTrue's providers.
func apiURLs() []string {
	var out []string
	for _, p := range strings.Fields(`APPLE AZURE BITBUCKET DISCORD FACEBOOK FIGMA FLY GITHUB GITLAB GOOGLE KAKAO KEYCLOAK LINKEDIN LINKEDIN_OIDC
		NOTION SLACK SLACK_OIDC SNAPCHAT SPOTIFY TWITCH TWITTER VERCEL_MARKETPLACE WORKOS X ZOOM`) {
		out = append(out, prefix+"EXTERNAL_"+p+"_API_URL")
	}
	return out
}

func hookNames() []string {
	var out []string
	for _, h := range strings.Fields(`MFA_VERIFICATION_ATTEMPT`) {
		for _, k := range []string{"ENABLED", "URI", "SECRETS"} {
			out = append(out, prefix+"HOOK_"+h+"_"+k)
		}
	}
	return out
}

// covers reports whether the group has a variable.
func (a Absent) covers(name string) bool {
	for _, n := range a.Names {
		if stem, family := strings.CutSuffix(n, "*"); n == name || family && strings.HasPrefix(name, stem) {
			return true
		}
	}
	return false
}
