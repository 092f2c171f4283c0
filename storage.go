package auth

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"

	"github.com/truekeel/auth/internal/clean"
	"github.com/truekeel/auth/internal/seal"
	"github.com/truekeel/auth/store"
	"github.com/truekeel/auth/store/sqlite"
	"github.com/truekeel/auth/tokens"
)

// openStore opens the SQLite file unless the host brings a store, finds out what else the
// store can do, which whatever wraps it later hides, and migrates.
func (a *Auth) openStore(ctx context.Context) error {
	if a.store = a.set.store; a.store == nil {
		s, err := a.ownStore(ctx)
		if err != nil {
			return err
		}
		a.store = s
		a.onClose(func(context.Context) error { return s.Close() })
	}
	a.joiner, _ = a.store.(store.Joiner)
	if f, ok := a.store.(store.Functions); ok && f.HasFunctions() {
		a.functions = f
	}
	m, ok := a.store.(store.Migrator)
	if !ok {
		return nil
	}
	if !a.set.noMigrations {
		return m.Migrate(ctx)
	}
	have, want, err := m.MigrationStatus(ctx)
	if err == nil && have != want {
		err = fmt.Errorf("auth: WithoutMigrations: the schema has version %d and this program needs %d; migrate it, or leave the option out", have, want)
	}
	return err
}

// ownStore opens the store that Close will close.
func (a *Auth) ownStore(ctx context.Context) (store.Store, error) {
	if a.set.openStore != nil {
		s, err := a.set.openStore(ctx, a.set.logger)
		if err == nil && s == nil {
			err = errors.New("the function gave no store")
		}
		if err != nil {
			return nil, fmt.Errorf("auth: WithOpenStore: %w", err)
		}
		return s, nil
	}
	s, err := sqlite.Open(a.set.path, sqlite.WithLogger(a.set.logger))
	if err != nil {
		return nil, fmt.Errorf("auth: WithDatabaseFile: %w", err)
	}
	return s, nil
}

// openBox finds the key that seals.
func (a *Auth) openBox(ctx context.Context) (err error) {
	s := &a.set
	switch {
	case len(s.sealKeys) > 0:
		a.box, err = seal.New(s.sealKeys[0], s.sealKeys[1:]...)
		if err != nil {
			return fmt.Errorf("auth: WithEncryptionKey: %w", err)
		}
	case len(s.secret) > 0:
		a.box, err = seal.FromSecret(s.secret)
	default:
		a.box, err = a.ownBox(ctx)
	}
	return err
}

// ownBox keeps a key of its own beside the database file, or in the database.
func (a *Auth) ownBox(ctx context.Context) (*seal.Box, error) {
	if f, ok := a.store.(interface{ Path() string }); ok {
		return seal.FromFile(f.Path() + ".key")
	}
	a.set.logger.Warn("auth: the key that seals secrets in the database lies in the database itself; set WithEncryptionKey")
	key := make([]byte, seal.MinKeyBytes)
	_, _ = rand.Read(key) // never fails: crypto/rand.Read ends the process instead
	key, err := a.store.SettleSetting(ctx, "seal key", key)
	if err != nil {
		return nil, err
	}
	return seal.New(key)
}

// makeKeys makes what signs and verifies.
func (a *Auth) makeKeys(ctx context.Context) error {
	s := &a.set
	if len(s.secret) == 0 && (s.secretID != "" || s.shortSecret) {
		return errors.New("auth: WithJWTSecretID and WithInsecureShortSecret are about a secret that isn't there; add WithJWTSecret or leave them out")
	}
	k, err := tokens.NewKeyring(ctx, tokens.KeyringConfig{
		Secret: s.secret, SecretID: s.secretID, AllowShortSecret: s.shortSecret, Static: s.keys, ValidMethods: s.validMethods,
		Store: a.store, Box: a.box, RetireUnreadable: s.lostKey, Algorithm: s.algorithm, Grace: s.keyGrace(), Now: s.now, Logger: s.logger, Observe: ifObserved(s, s.tellKey),
	})
	if err != nil {
		return fmt.Errorf("auth: WithJWTSecret, WithSigningKeys, WithEncryptionKey: %w", err)
	}
	a.keyring = k
	a.onClose(func(context.Context) error { k.Close(); return nil })
	// Whoever shares the secret may sign tokens that are meant for others (RFC 8725, 3.9).
	audiences := append([]string{s.audience}, s.audiences...)
	a.verifier = tokens.NewVerifier(k, tokens.VerifierConfig{Now: s.now, MaxBytes: maxToken, Audiences: audiences})
	return nil
}

// makeCleaner makes what deletes what nobody needs any more.
func (a *Auth) makeCleaner(context.Context) error {
	rules := clean.DefaultRules()
	if a.set.auditRetention > 0 {
		rules = append(rules, clean.Rule{Kind: store.PurgeAudit, Age: a.set.auditRetention})
	}
	if n := slices.IndexFunc(rules, func(r clean.Rule) bool { return r.Kind == store.PurgeEvents }); a.set.eventRetention > 0 {
		rules[n].Age = a.set.eventRetention
	}
	c, err := clean.New(clean.Config{Store: a.store, Rules: rules, Now: a.set.now, Logger: a.set.logger})
	if err != nil {
		return err
	}
	a.cleaner = c
	a.onClose(func(context.Context) error { c.Close(); return nil })
	return nil
}

// Clean deletes what nobody needs any more: codes, links and sessions that have ended,
// audit entries past [WithAuditRetention], events past [WithEventRetention]. The library does so by itself, every few
// minutes; this is for programs that end, and for tests.
func (a *Auth) Clean(ctx context.Context) error { return a.cleaner.Once(ctx) }

// maxToken is the length of the longest access token: one with the largest metadata
// ([user.MaxMetadata], half as much again in base64) and room for a hook's claims.
const maxToken = 24 << 10
