package auth

import "github.com/truekeel/auth/internal/host"

// Hashes counts the passwords that were hashed or compared.
func (a *Auth) Hashes() uint64 { return a.hasher.Hashes() }

// WithSteps adds steps as an option for webhooks does.
func WithSteps(s *host.Steps) Option {
	return named("WithSteps", func(c *settings) error { c.steps = append(c.steps, s); return nil })
}
