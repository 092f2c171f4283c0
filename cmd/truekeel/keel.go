package main

import (
	"errors"
	"net/http"
	"slices"

	"github.com/truekeel/auth/config"
)

// keelMetadataPath is where clients of the Keel dialect look for its metadata (RFC 8414).
const keelMetadataPath = "/.well-known/oauth-authorization-server"

var errKeelForMany = errors.New("--keelconfig is for one instance; give each of many its own GOTRUE_KEEL_ variables")

// configured reads the variables and the keelconfig.yaml. What is wrong with either is
// found at once.
func (p *program) configured() (*config.Config, []config.Warning, error) {
	c, warnings, err := config.FromEnv(p.files...)
	if p.keel == "" {
		return c, warnings, err
	}
	file, more, keelErr := config.ReadKeel(p.keel)
	warnings = append(warnings, more...)
	if err = joined(err, keelErr); err != nil {
		return nil, warnings, err
	}
	more, err = c.UseKeel(file)
	if err != nil {
		return nil, warnings, err
	}
	warnings = slices.DeleteFunc(warnings, config.Warning.AboutKeelOff)
	return c, append(warnings, more...), nil
}

// joined makes one error of two, and one list of what they found.
func joined(a, b error) error {
	var first, second *config.Error
	if errors.As(a, &first) && errors.As(b, &second) {
		return &config.Error{Findings: append(first.Findings, second.Findings...)}
	}
	return errors.Join(a, b)
}

// keelMetadata answers at the root of the origin. Many instances share one, which can
// have the metadata of none of them.
func (s *server) keelMetadata() http.Handler {
	if s.auth == nil || !s.config.Keel.Enabled {
		return s.accounts
	}
	return s.auth.WellKnown()
}
