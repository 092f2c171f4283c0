package providers

import (
	"errors"
	"net/url"
	"slices"
	"strings"

	"github.com/google/uuid"
)

const (
	azureHost     = "https://login.microsoftonline.com/"
	azureExternal = ".ciamlogin.com/"
	// azurePersonal is the tenant of all personal accounts, run by Microsoft itself.
	azurePersonal = "9188040d-6c67-4c5b-b112-36a304b66dad"
)

// Azure signs in with Microsoft Entra ID. By default people of every tenant, and those
// with personal accounts, are let in; WithURL names one tenant by its id:
// "https://login.microsoftonline.com/TENANT-ID", or an external tenant,
// "https://NAME.ciamlogin.com/TENANT-ID".
//
// An administrator of a tenant can write any address into a person's profile. So an
// address counts as verified only if Microsoft says so (the optional claim "xms_edov"),
// if the tenant is the host's own, or if the account is a personal one.
func Azure(clientID, secret string, opts ...Option) Provider {
	return named("azure", clientID, secret, opts)
}

// azureTenants says whose tokens are accepted.
type azureTenants struct {
	prefix string // of issuers, before the tenant
	tenant string // an id, "common", "organizations" or "consumers"
}

func azure(c Config) Provider {
	base := strings.TrimSuffix(c.URL, "/")
	if base == "" {
		base = azureHost + "common"
	}
	tenants, err := parseAzure(base)
	if err != nil {
		return broken("azure", err)
	}
	s := openID("azure", base+"/v2.0")
	s.AuthURL, s.TokenURL = base+"/oauth2/v2.0/authorize", base+"/oauth2/v2.0/token"
	s.Auth = AuthBody
	s.issuer = tenants.issuer
	s.Map = func(j JSON) Profile { return tenants.profile(j, c.TrustEmail) }
	return build(s, c)
}

var errTenant = errors.New("URL must end in a tenant's id, common, organizations or consumers")

func parseAzure(base string) (azureTenants, error) {
	u, err := url.Parse(base)
	if err != nil || u.Scheme != "https" {
		return azureTenants{}, errTenant
	}
	t := azureTenants{prefix: "https://" + u.Host + "/", tenant: strings.ToLower(strings.Trim(u.Path, "/"))}
	shared := slices.Contains([]string{"common", "organizations", "consumers"}, t.tenant)
	if !isTenantID(t.tenant) && (!shared || t.prefix != azureHost) {
		return azureTenants{}, errTenant
	}
	return t, nil
}

func isTenantID(s string) bool {
	return len(s) == 36 && s == strings.ToLower(s) && uuid.Validate(s) == nil
}

// own reports whether the tenant is the host's.
func (t azureTenants) own() bool { return isTenantID(t.tenant) }

// issuer accepts the issuer of a tenant that may come in, without its trailing slash.
// The documents of the shared tenants name no real issuer, so the tenant's own is used.
func (t azureTenants) issuer(iss string) (string, error) {
	prefix, tenant := splitAzure(iss)
	// External tenants sign under their id, whatever name they are reached by.
	external := strings.HasSuffix(t.prefix, azureExternal) && prefix == "https://"+t.tenant+azureExternal
	if tenant == "" || (prefix != t.prefix && !external) {
		return "", errOtherIssuer
	}
	personal := tenant == azurePersonal
	switch {
	case t.own() && tenant != t.tenant,
		t.tenant == "consumers" && !personal,
		t.tenant == "organizations" && personal:
		return "", errors.New("token is of another tenant")
	}
	return prefix + tenant + "/v2.0", nil
}

// splitAzure splits an issuer of version 2 at its tenant's id; "" if it isn't one.
func splitAzure(iss string) (prefix, tenant string) {
	rest, ok := strings.CutSuffix(strings.TrimSuffix(iss, "/"), "/v2.0")
	at := strings.LastIndexByte(rest, '/') + 1
	if !ok || !isTenantID(rest[at:]) {
		return "", ""
	}
	return rest[:at], rest[at:]
}

// canonical is the one issuer of a tenant's identities.
func (t azureTenants) canonical(iss string) (string, error) {
	issuer, err := t.issuer(iss)
	if err == nil && strings.HasSuffix(t.prefix, azureExternal) {
		issuer = "https://" + t.tenant + azureExternal + t.tenant + "/v2.0"
	}
	return issuer, err
}

// profile reads an id token. trust overrides what an address without Microsoft's flag
// is worth.
func (t azureTenants) profile(j JSON, trust *bool) Profile {
	issuer, err := t.canonical(j.Text("iss"))
	if err != nil {
		return Profile{}
	}
	verified := t.own() || issuer == azureHost+azurePersonal+"/v2.0"
	if trust != nil {
		verified = *trust
	}
	if j.Has("xms_edov") {
		verified = j.Bool("xms_edov")
	}
	return Profile{
		Subject: j.Text("sub"),
		Issuer:  issuer,
		Emails:  OneEmail(j.Text("email"), verified),
		Name:    j.Text("name"),
		Claims: map[string]any{
			"preferred_username": j.Text("preferred_username"),
			"custom_claims": j.Members("aud", "iss", "iat", "nbf", "exp", "c_hash", "at_hash", "aio", "nonce", "rh",
				"uti", "jti", "ver", "sub", "name", "preferred_username"),
		},
	}
}
