// Package tokens makes and checks access tokens: the keys and their rotation ([Keyring]),
// signing ([Issuer]), verification at memory speed ([Verifier]), and what a token says
// ([Claims]).
//
// Tokens are JWTs (RFC 7519) in JWS compact serialization (RFC 7515). Verification follows
// RFC 8725: the algorithm belongs to the key and never to the token, nothing in a token's
// header leads to a key, and no byte of a payload is read before its signature is good.
package tokens

import "errors"

// Why a token is refused. Match with [errors.Is]; no error holds the token or a part of it.
var (
	// ErrMalformed means that the text is no JWT, or has a header that isn't understood
	// (RFC 7515, 4.1.11: crit).
	ErrMalformed = errors.New("tokens: token is malformed")
	// ErrTooLong means that the token is longer than [VerifierConfig.MaxBytes].
	ErrTooLong = errors.New("tokens: token is too long")
	// ErrAlgorithm means that the token names an algorithm that isn't accepted, or
	// another one than its key is for.
	ErrAlgorithm = errors.New("tokens: algorithm is not accepted")
	// ErrUnknownKey means that no key that verifies has the given id.
	ErrUnknownKey = errors.New("tokens: key is unknown")
	// ErrSignature means that the signature is wrong.
	ErrSignature = errors.New("tokens: signature is invalid")
	// ErrExpired means that the token's exp has come.
	ErrExpired = errors.New("tokens: token is expired")
	// ErrNotYetValid means that the token's nbf has not come.
	ErrNotYetValid = errors.New("tokens: token is not valid yet")
	// ErrClaims means that a claim is missing, of the wrong type, given twice, or not
	// the one that the verifier expects.
	ErrClaims = errors.New("tokens: claims are invalid")
)

// Errors about keys.
var (
	// ErrKey means that a key can't be used: malformed, too weak, of an unsupported
	// type, or its parts contradict each other.
	ErrKey = errors.New("tokens: key is invalid")
	// ErrConfigured means that the keys come from the program's settings and so can't be
	// rotated, imported or retired here.
	ErrConfigured = errors.New("tokens: keys are set by configuration")
)

// The algorithms (JWA names, RFC 7518 and RFC 8037).
const (
	HS256 = "HS256" // HMAC with SHA-256, a shared secret
	RS256 = "RS256" // RSA of at least 2048 bits with SHA-256
	ES256 = "ES256" // ECDSA on P-256 with SHA-256
	EdDSA = "EdDSA" // Ed25519
)
