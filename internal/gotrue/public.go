package gotrue

import (
	"net/http"
	"slices"

	"github.com/truekeel/auth/internal/endpoint"
	"github.com/truekeel/auth/internal/place"
)

// Settings is what anybody may know of the host's policy.
type Settings struct {
	External      []string // names of the providers that are switched on; "email", ...
	DisableSignUp bool
	AutoConfirm   bool
	// PhoneAutoConfirm and SMSProvider are about numbers; "" if nothing has a name.
	PhoneAutoConfirm bool
	SMSProvider      string
}

type wireHealth struct {
	Version     string `json:"version"`
	Name        string `json:"name"`
	Description string `json:"description"`
}

// health answers when the store does: it is also the readiness check.
func (d *Dialect) health(w http.ResponseWriter, r *http.Request) error {
	if err := d.Ready(r.Context()); err != nil {
		return err
	}
	return endpoint.JSON(w, http.StatusOK, wireHealth{
		Version: d.Version, Name: "GoTrue", Description: "GoTrue is a user registration and authentication API",
	})
}

// externals are the switches that clients look for, in the wire's order.
func externals() []string {
	return []string{
		"anonymous_users", "apple", "azure", "bitbucket", "discord", "facebook", "snapchat", "figma", "fly", "github",
		"gitlab", "google", "keycloak", "kakao", "linkedin", "linkedin_oidc", "notion", "spotify", "slack", "slack_oidc",
		"workos", "twitch", "twitter", "email", "phone", "zoom",
	}
}

type wireSettings struct {
	External         map[string]bool   `json:"external"`
	ExternalLabels   map[string]string `json:"external_labels"`
	DisableSignUp    bool              `json:"disable_signup"`
	AutoConfirm      bool              `json:"autoconfirm"`
	MailAutoConfirm  bool              `json:"mailer_autoconfirm"`
	PhoneAutoConfirm bool              `json:"phone_autoconfirm"`
	SMSProvider      string            `json:"sms_provider"`
	SAML             bool              `json:"saml_enabled"`
	SAMLNextKey      bool              `json:"saml_private_key_next_configured"`
	Passkeys         bool              `json:"passkeys_enabled"`
}

func (d *Dialect) settings(w http.ResponseWriter, _ *http.Request) error {
	s := wireSettings{
		External: map[string]bool{}, ExternalLabels: map[string]string{},
		DisableSignUp: d.Settings.DisableSignUp, AutoConfirm: d.Settings.AutoConfirm, MailAutoConfirm: d.Settings.AutoConfirm,
		PhoneAutoConfirm: d.Settings.PhoneAutoConfirm, SMSProvider: d.Settings.SMSProvider,
	}
	for _, name := range append(externals(), d.Settings.External...) {
		s.External[name] = slices.Contains(d.Settings.External, name)
	}
	return endpoint.JSON(w, http.StatusOK, s)
}

// cacheable marks what clients may keep for ten minutes.
func cacheable(w http.ResponseWriter) { w.Header().Set("Cache-Control", "public, max-age=600") }

func (d *Dialect) jwks(w http.ResponseWriter, _ *http.Request) error {
	cacheable(w)
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(d.Keyring.JWKS()) // the client may be gone; there is nobody to tell
	return nil
}

// wireDiscovery is what OpenID Connect Discovery 1.0, section 3, asks of a server that
// signs tokens. It names no endpoint that isn't there.
type wireDiscovery struct {
	Issuer      string   `json:"issuer"`
	JWKSURI     string   `json:"jwks_uri"`
	Subjects    []string `json:"subject_types_supported"`
	SigningAlgs []string `json:"id_token_signing_alg_values_supported"`
	Claims      []string `json:"claims_supported"`
}

func (d *Dialect) discovery(w http.ResponseWriter, r *http.Request) error {
	base, issuer := place.From(r.Context()).External, d.Issuer
	if issuer == "" {
		issuer = base
	}
	cacheable(w)
	return endpoint.JSON(w, http.StatusOK, wireDiscovery{
		Issuer: issuer, JWKSURI: base + "/.well-known/jwks.json", Subjects: []string{"public"}, SigningAlgs: d.Keyring.Algorithms(),
		Claims: []string{"sub", "aud", "iss", "exp", "iat", "email", "phone", "role", "aal", "amr", "session_id", "is_anonymous", "app_metadata", "user_metadata"},
	})
}
