package auth

import (
	"context"
	"errors"
	"fmt"
	"net/url"

	"github.com/truekeel/auth/internal/password"
)

// makePolicy settles what a password must be and how it is hashed.
func (a *Auth) makePolicy(context.Context) error {
	s := &a.set
	if s.nist {
		if err := s.settleNIST(); err != nil {
			return fmt.Errorf("auth: WithNISTPasswords: %w", err)
		}
	}
	if u, err := url.Parse(a.where.Site); err == nil {
		s.policy.Context = password.HostWords(u.Hostname())
	}
	if s.leakCheckMust && s.leaked == nil {
		return errors.New("auth: WithLeakCheckRequired: nobody is asked; add WithLeakedPasswords")
	}
	if s.leaked == nil {
		return nil
	}
	s.policy.Leaks = &password.Leaks{Ask: s.leaked.Breached, FailClosed: s.leakCheckMust, Now: s.clock, Logger: s.logger}
	if c, ok := s.leaked.(interface{ CloseIdleConnections() }); ok {
		a.onClose(func(context.Context) error { c.CloseIdleConnections(); return nil })
	}
	return nil
}

// settleNIST applies the preset, or says which option contradicts it.
func (s *settings) settleNIST() error {
	switch {
	case s.hasher.Algorithm == password.Bcrypt:
		return errors.New("bcrypt sees no more than 72 bytes of a password; give WithArgon2id(19456, 2, 1) in the place of WithBcrypt, or behind it")
	case len(s.policy.RequiredCharacters) > 0:
		return errors.New("it allows no rules of composition; leave WithPasswordCharacters out")
	case !s.policy.Common:
		return errors.New("it asks for a list of passwords that are refused; leave WithoutCommonPasswordCheck out")
	case s.policy.MinLength != 0 && s.policy.MinLength < password.NISTMinLength:
		return fmt.Errorf("it asks for %d characters; leave WithPasswordLength out, or give no less", password.NISTMinLength)
	}
	if s.policy.MinLength == 0 {
		s.policy.MinLength = password.NISTMinLength
	}
	s.hasher.Algorithm = password.Argon2id
	s.hasher.Normalize, s.policy.Normalize = true, true
	return nil
}
