package fault

// Code is a stable machine code. The spelling is part of the wire.
type Code string

// The codes. Each is used by at least one flow; what it means is said here once.
const (
	// UnexpectedFailure is the library's own trouble, or a host's hook that failed.
	UnexpectedFailure Code = "unexpected_failure"
	// Unavailable means that the store or the password gate can't take the request now.
	Unavailable Code = "service_unavailable"
	// RequestTimeout means that a request took longer than it may.
	RequestTimeout Code = "request_timeout"
	// Unknown is a refusal without a code: that of a host's hook or webhook over HTTP,
	// with the status in Error.Status.
	Unknown Code = "unknown"
	// HookTimeout means that a host's hook didn't answer in time, HookTimeoutAfterRetry
	// that it couldn't be reached.
	HookTimeout           Code = "hook_timeout"
	HookTimeoutAfterRetry Code = "hook_timeout_after_retry"
	// HookPayloadOverSizeLimit and HookPayloadInvalidContentType mean an answer of a
	// host's hook that is too large or no JSON.
	HookPayloadOverSizeLimit      Code = "hook_payload_over_size_limit"
	HookPayloadInvalidContentType Code = "hook_payload_invalid_content_type"
	// NotFound is an unknown path, MethodNotAllowed a known one with another method.
	NotFound         Code = "not_found"
	MethodNotAllowed Code = "method_not_allowed"
	// ValidationFailed means a malformed or missing parameter.
	ValidationFailed Code = "validation_failed"
	// BadJSON means a body that is no JSON, or of another type than asked for.
	BadJSON Code = "bad_json"
	// RequestEntityTooLarge means a body over the limit.
	RequestEntityTooLarge Code = "request_entity_too_large"
	// ForeignHost means that the request's Host is not one that this server answers.
	ForeignHost Code = "foreign_host"

	// NoAuthorization means a missing or malformed bearer token.
	NoAuthorization Code = "no_authorization"
	// BadJWT means a token that is forged, expired, truncated or of a wrong algorithm.
	BadJWT Code = "bad_jwt"
	// NotAdmin means a token without a role that administers.
	NotAdmin Code = "not_admin"
	// InsufficientRole means a token without the role that the host's route demands.
	InsufficientRole Code = "insufficient_role"

	// UserNotFound means that no account has the id or address.
	UserNotFound Code = "user_not_found"
	// UserBanned means that the account may not sign in now.
	UserBanned Code = "user_banned"
	// UserAlreadyExists means a sign-up for an address that has an account.
	UserAlreadyExists Code = "user_already_exists"
	// EmailExists and PhoneExists mean that another account has the address or number.
	EmailExists Code = "email_exists"
	PhoneExists Code = "phone_exists"
	// SSOManaged means that the account's identity provider owns what would change.
	SSOManaged Code = "user_sso_managed"

	// SessionNotFound means that the token's session was ended.
	SessionNotFound Code = "session_not_found"
	// SessionExpired means a session past its time box, its idle time or its end.
	SessionExpired Code = "session_expired"
	// RefreshTokenNotFound means a refresh token that this server doesn't know.
	RefreshTokenNotFound Code = "refresh_token_not_found"
	// RefreshTokenAlreadyUsed means an old refresh token; its family is revoked.
	RefreshTokenAlreadyUsed Code = "refresh_token_already_used"

	// SignupDisabled means that new accounts are made by invitation only.
	SignupDisabled Code = "signup_disabled"
	// EmailProviderDisabled, PhoneProviderDisabled and AnonymousProviderDisabled mean
	// that this way in is switched off.
	EmailProviderDisabled     Code = "email_provider_disabled"
	PhoneProviderDisabled     Code = "phone_provider_disabled"
	AnonymousProviderDisabled Code = "anonymous_provider_disabled"
	// InvalidCredentials means an unknown account or a wrong password: never which.
	InvalidCredentials Code = "invalid_credentials"
	// EmailNotConfirmed and PhoneNotConfirmed mean an address that isn't proved yet.
	EmailNotConfirmed Code = "email_not_confirmed"
	PhoneNotConfirmed Code = "phone_not_confirmed"
	// WeakPassword means a password below the policy; see Error.Reasons.
	WeakPassword Code = "weak_password"
	// SamePassword means that the new password is the present one.
	SamePassword Code = "same_password"
	// CurrentPasswordRequired and CurrentPasswordInvalid guard a change of password.
	CurrentPasswordRequired Code = "current_password_required"
	CurrentPasswordInvalid  Code = "current_password_invalid"
	// ReauthenticationNeeded and ReauthenticationNotValid concern the nonce of a change.
	ReauthenticationNeeded   Code = "reauthentication_needed"
	ReauthenticationNotValid Code = "reauthentication_not_valid"

	// OTPExpired means a code or link that is unknown, wrong, used or expired: never which.
	OTPExpired Code = "otp_expired"
	// OTPDisabled means a one-time code asked for an unknown account that may not be made.
	OTPDisabled Code = "otp_disabled"
	// EmailAddressNotAuthorized means an address outside of the configured list.
	EmailAddressNotAuthorized Code = "email_address_not_authorized"
	// OverRequestRateLimit, OverEmailSendRateLimit and OverSMSSendRateLimit ask to wait.
	OverRequestRateLimit   Code = "over_request_rate_limit"
	OverEmailSendRateLimit Code = "over_email_send_rate_limit"
	OverSMSSendRateLimit   Code = "over_sms_send_rate_limit"
	// SMSSendFailed means that the service refused a message to a phone.
	SMSSendFailed Code = "sms_send_failed"

	// CaptchaFailed means that a request lacks the token of a captcha, or has a bad one.
	CaptchaFailed Code = "captcha_failed"

	// BadCodeVerifier means a PKCE verifier that doesn't fit its challenge.
	BadCodeVerifier Code = "bad_code_verifier"
	// FlowStateNotFound, FlowStateExpired: an authorization code unknown or too old.
	FlowStateNotFound Code = "flow_state_not_found"
	FlowStateExpired  Code = "flow_state_expired"
	// BadOAuthState means a provider's callback whose state is unknown, used, expired or
	// another browser's; BadOAuthCallback one without state or code.
	BadOAuthState    Code = "bad_oauth_state"
	BadOAuthCallback Code = "bad_oauth_callback"
	// OAuthProviderNotSupported means that the provider of a state isn't there any more.
	OAuthProviderNotSupported Code = "oauth_provider_not_supported"
	// ProviderDisabled means an identity provider that isn't switched on.
	ProviderDisabled Code = "provider_disabled"
	// ProviderEmailNeedsVerification means that the provider doesn't vouch for the
	// address, or knows none.
	ProviderEmailNeedsVerification Code = "provider_email_needs_verification"
	// BadIDToken means an id token that proves nothing, BadIDTokenNonce one that was made
	// for another nonce.
	BadIDToken      Code = "bad_id_token"
	BadIDTokenNonce Code = "bad_id_token_nonce"
	// InviteNotFound means an invitation that is unknown, used or expired.
	InviteNotFound Code = "invite_not_found"
	// ManualLinkingDisabled means that users don't link identities themselves.
	ManualLinkingDisabled Code = "manual_linking_disabled"
	// IdentityAlreadyExists means an identity that is an account's already.
	IdentityAlreadyExists Code = "identity_already_exists"
	// IdentityNotFound means an identity that isn't the caller's.
	IdentityNotFound Code = "identity_not_found"
	// SingleIdentityNotDeletable means that the identity is the last one.
	SingleIdentityNotDeletable Code = "single_identity_not_deletable"
	// EmailConflictIdentityNotDeletable means that without the identity the account
	// would get another account's address.
	EmailConflictIdentityNotDeletable Code = "email_conflict_identity_not_deletable"
	// Conflict means that several accounts, or several requests, are in each other's way.
	Conflict Code = "conflict"
	// UnexpectedAudience means a token of another audience than the request's.
	UnexpectedAudience Code = "unexpected_audience"
)
