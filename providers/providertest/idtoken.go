package providertest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"maps"
	"strings"
	"sync"
	"time"

	jose "github.com/go-jose/go-jose/v4"
	"github.com/golang-jwt/jwt/v5"
)

// TokenFault is what is wrong with an id token.
type TokenFault int

// The faults of id tokens.
const (
	// Sound tokens have no fault; they are signed by ES256.
	Sound TokenFault = iota
	// SoundRS256 tokens have no fault either.
	SoundRS256
	// AlgNone tokens are not signed.
	AlgNone
	// AlgHS256 tokens are signed with the public key as the secret.
	AlgHS256
	// UnknownKey tokens name a key that isn't in the key set.
	UnknownKey
	// ForeignKey tokens name a key of the set, but another one signed them.
	ForeignKey
	// ForeignIssuer and ForeignAudience tokens are somebody else's.
	ForeignIssuer
	ForeignAudience
	// ForeignParty tokens are for us and others, and were made for one of those.
	ForeignParty
	// WrongNonce and NoNonce tokens aren't of this sign-in.
	WrongNonce
	NoNonce
	// WrongAtHash tokens belong to another access token.
	WrongAtHash
	// Expired, NotYet, NoIssuedAt and NoExpiry tokens are wrong in their time.
	Expired
	NotYet
	NoIssuedAt
	NoExpiry
	// Old tokens are two hours old and live for a day.
	Old
	// EmptySubject and NoSubject tokens don't say whose they are.
	EmptySubject
	NoSubject
	// Truncated tokens end early.
	Truncated
)

// keys sign id tokens. The RSA key, which takes a while, is made when a token needs it,
// and is in the set from then on.
type keys struct {
	ec, other *ecdsa.PrivateKey

	mu  sync.Mutex
	rsa *rsa.PrivateKey
}

func newKeys() *keys { return &keys{ec: newECKey(), other: newECKey()} }

func (k *keys) rsaKey() *rsa.PrivateKey {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.rsa == nil {
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			panic(err) // no randomness
		}
		k.rsa = key
	}
	return k.rsa
}

func newECKey() *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err) // no randomness
	}
	return key
}

// set is the public key set, with a key of a kind that nobody knows.
func (k *keys) set() map[string]any {
	set := []any{
		map[string]any{"kty": "future", "kid": "future-1", "use": "sig"},
		jose.JSONWebKey{Key: k.ec.Public(), KeyID: "ec-1", Algorithm: "ES256", Use: "sig"},
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.rsa != nil {
		set = append(set, jose.JSONWebKey{Key: k.rsa.Public(), KeyID: "rsa-1", Algorithm: "RS256", Use: "sig"})
	}
	return map[string]any{"keys": set}
}

func discoveryURL(issuer string) string {
	return strings.TrimSuffix(issuer, "/") + "/.well-known/openid-configuration"
}

func keysURL(issuer string) string { return strings.TrimSuffix(issuer, "/") + "/fake-keys" }

// discovery is the discovery document.
func (s *Server) discovery(issuer string) map[string]any {
	methods := []string{"client_secret_basic", "client_secret_post"}
	switch s.fixture.Token.Auth {
	case "basic":
		methods = methods[:1]
	case "body":
		methods = methods[1:]
	}
	document := map[string]any{
		"issuer": issuer, "authorization_endpoint": s.fixture.Authorize, "token_endpoint": s.fixture.Token.URL,
		"jwks_uri": keysURL(issuer), "id_token_signing_alg_values_supported": []string{"RS256", "ES256", "HS256", "none"},
		"token_endpoint_auth_methods_supported": methods, "code_challenge_methods_supported": []string{"S256"},
		"response_types_supported": []string{"code"}, "subject_types_supported": []string{"public"},
	}
	if u := s.fixture.userInfo(); u != "" {
		document["userinfo_endpoint"] = bare(u)
	}
	return document
}

// Mint makes an id token of a person, as the provider's SDK in an app gets it. nonce
// and accessToken may be empty.
func (s *Server) Mint(person int, nonce, accessToken string, fault TokenFault) string {
	return s.mint(person, nonce, accessToken, fault)
}

// MintClaims signs any claims.
func (s *Server) MintClaims(claims map[string]any) string {
	return sign(jwt.SigningMethodES256, s.keys.ec, "ec-1", claims)
}

func (s *Server) mint(person int, nonce, accessToken string, fault TokenFault) string {
	now := s.options.Now()
	claims := map[string]any{
		"iss": s.fixture.Issuer, "aud": s.options.ClientID, "iat": now.Unix(), "exp": now.Add(time.Hour).Unix(),
	}
	if nonce != "" && (s.fixture.Nonce || s.fixture.Lenient) {
		claims["nonce"] = nonce
	}
	if accessToken != "" {
		sum := sha256.Sum256([]byte(accessToken))
		claims["at_hash"] = base64.RawURLEncoding.EncodeToString(sum[:16])
	}
	maps.Copy(claims, s.fixture.People[person].IDToken)
	s.spoil(claims, fault, now)
	return s.seal(claims, fault)
}

// spoil puts a fault into claims.
func (s *Server) spoil(claims map[string]any, fault TokenFault, now time.Time) {
	switch fault {
	case ForeignIssuer:
		claims["iss"] = "https://issuer.invalid"
	case ForeignAudience:
		claims["aud"] = "somebody-else"
	case ForeignParty:
		claims["aud"], claims["azp"] = []string{s.options.ClientID, "somebody-else"}, "somebody-else"
	case WrongNonce:
		claims["nonce"] = "of-another-sign-in"
	case NoNonce:
		delete(claims, "nonce")
	case WrongAtHash:
		claims["at_hash"] = base64.RawURLEncoding.EncodeToString(make([]byte, 16))
	case Expired:
		claims["iat"], claims["exp"] = now.Add(-time.Hour).Unix(), now.Add(-time.Second).Unix()
	case NotYet:
		claims["iat"], claims["exp"] = now.Add(time.Hour).Unix(), now.Add(2*time.Hour).Unix()
	case NoIssuedAt:
		delete(claims, "iat")
	case NoExpiry:
		delete(claims, "exp")
	case Old:
		claims["iat"], claims["exp"] = now.Add(-2*time.Hour).Unix(), now.Add(22*time.Hour).Unix()
	case EmptySubject:
		claims["sub"] = ""
	case NoSubject:
		delete(claims, "sub")
	default: // faults of the signature
	}
}

// seal signs claims, well or not.
func (s *Server) seal(claims map[string]any, fault TokenFault) string {
	switch fault {
	case SoundRS256:
		return sign(jwt.SigningMethodRS256, s.keys.rsaKey(), "rsa-1", claims)
	case AlgNone:
		return sign(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, "ec-1", claims)
	case AlgHS256:
		der, err := x509.MarshalPKIXPublicKey(s.keys.rsaKey().Public())
		if err != nil {
			panic(err) // of a key that we made
		}
		public := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
		return sign(jwt.SigningMethodHS256, public, "rsa-1", claims)
	case UnknownKey:
		return sign(jwt.SigningMethodES256, s.keys.other, "ec-2", claims)
	case ForeignKey:
		return sign(jwt.SigningMethodES256, s.keys.other, "ec-1", claims)
	case Truncated:
		whole := sign(jwt.SigningMethodES256, s.keys.ec, "ec-1", claims)
		return whole[:len(whole)-20]
	default:
		return sign(jwt.SigningMethodES256, s.keys.ec, "ec-1", claims)
	}
}

func sign(method jwt.SigningMethod, key any, kid string, claims map[string]any) string {
	token := jwt.NewWithClaims(method, jwt.MapClaims(claims))
	token.Header["kid"] = kid
	text, err := token.SignedString(key)
	if err != nil {
		panic(err) // a key that doesn't fit the method: a mistake in here
	}
	return text
}
