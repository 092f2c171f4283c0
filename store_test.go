package auth_test

import (
	"context"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/truekeel/auth/store"
)

// tapped is a store that counts what it is asked outside of transactions, and fails
// when it is told to.
type tapped struct {
	store.Store
	reads, txs atomic.Int64
	fault      atomic.Pointer[storeFault]
}

// storeFault is what every call answers while it is set.
type storeFault struct {
	err      error
	atCommit bool // transactions run to their end and fail there
	readsOK  bool // only transactions fail
}

// tap opens a tapped store with its schema.
func tap(t testing.TB) *tapped {
	t.Helper()
	s := fresh(t)
	if m, ok := s.(store.Migrator); ok {
		require.NoError(t, m.Migrate(context.Background()))
	}
	return &tapped{Store: s}
}

func (s *tapped) fail(f storeFault) { s.fault.Store(&f) }
func (s *tapped) heal()             { s.fault.Store(nil) }

func (s *tapped) read() error {
	s.reads.Add(1)
	if f := s.fault.Load(); f != nil && !f.readsOK {
		return f.err
	}
	return nil
}

// write is a statement outside of a transaction; those that fail at their commit aren't.
func (s *tapped) write() error {
	if f := s.fault.Load(); f != nil && !f.atCommit {
		return f.err
	}
	return nil
}

func (s *tapped) Tx(ctx context.Context, fn func(store.Store) error) error {
	s.txs.Add(1)
	f := s.fault.Load()
	if f == nil {
		return s.Store.Tx(ctx, fn)
	}
	if !f.atCommit {
		return f.err
	}
	return s.Store.Tx(ctx, func(tx store.Store) error {
		if err := fn(tx); err != nil {
			return err
		}
		return f.err
	})
}

func (s *tapped) Ping(ctx context.Context) error {
	if err := s.read(); err != nil {
		return err
	}
	return s.Store.Ping(ctx)
}

func (s *tapped) User(ctx context.Context, id uuid.UUID) (store.User, error) {
	if err := s.read(); err != nil {
		return store.User{}, err
	}
	return s.Store.User(ctx, id)
}

func (s *tapped) UserByEmail(ctx context.Context, audience, email string) (store.User, error) {
	if err := s.read(); err != nil {
		return store.User{}, err
	}
	return s.Store.UserByEmail(ctx, audience, email)
}

func (s *tapped) UserByPhone(ctx context.Context, audience, phone string) (store.User, error) {
	if err := s.read(); err != nil {
		return store.User{}, err
	}
	return s.Store.UserByPhone(ctx, audience, phone)
}

func (s *tapped) ListUsers(ctx context.Context, q store.UserQuery) ([]store.User, error) {
	if err := s.read(); err != nil {
		return nil, err
	}
	return s.Store.ListUsers(ctx, q)
}

func (s *tapped) CountUsers(ctx context.Context, q store.UserQuery) (int64, error) {
	if err := s.read(); err != nil {
		return 0, err
	}
	return s.Store.CountUsers(ctx, q)
}

func (s *tapped) IdentitiesOf(ctx context.Context, user uuid.UUID) ([]store.Identity, error) {
	if err := s.read(); err != nil {
		return nil, err
	}
	return s.Store.IdentitiesOf(ctx, user)
}

func (s *tapped) IdentitiesByEmail(ctx context.Context, email string) ([]store.Identity, error) {
	if err := s.read(); err != nil {
		return nil, err
	}
	return s.Store.IdentitiesByEmail(ctx, email)
}

func (s *tapped) Session(ctx context.Context, id uuid.UUID) (store.Session, error) {
	if err := s.read(); err != nil {
		return store.Session{}, err
	}
	return s.Store.Session(ctx, id)
}

func (s *tapped) OneTimeTokensTo(ctx context.Context, to string, p store.Purpose) ([]store.OneTimeToken, error) {
	if err := s.read(); err != nil {
		return nil, err
	}
	return s.Store.OneTimeTokensTo(ctx, to, p)
}

func (s *tapped) OneTimeTokenOf(ctx context.Context, user uuid.UUID, p store.Purpose) (store.OneTimeToken, error) {
	if err := s.read(); err != nil {
		return store.OneTimeToken{}, err
	}
	return s.Store.OneTimeTokenOf(ctx, user, p)
}

func (s *tapped) OneTimeTokenByLink(ctx context.Context, hash string) (store.OneTimeToken, error) {
	if err := s.read(); err != nil {
		return store.OneTimeToken{}, err
	}
	return s.Store.OneTimeTokenByLink(ctx, hash)
}

func (s *tapped) ListAuditEntries(ctx context.Context, q store.AuditQuery) ([]store.AuditEntry, error) {
	if err := s.read(); err != nil {
		return nil, err
	}
	return s.Store.ListAuditEntries(ctx, q)
}

func (s *tapped) CountAuditEntries(ctx context.Context, q store.AuditQuery) (int64, error) {
	if err := s.read(); err != nil {
		return 0, err
	}
	return s.Store.CountAuditEntries(ctx, q)
}

func (s *tapped) IdentityBySubject(ctx context.Context, issuer, subject string) (store.Identity, error) {
	if err := s.read(); err != nil {
		return store.Identity{}, err
	}
	return s.Store.IdentityBySubject(ctx, issuer, subject)
}

func (s *tapped) FlowStateByState(ctx context.Context, hash string) (store.FlowState, error) {
	if err := s.read(); err != nil {
		return store.FlowState{}, err
	}
	return s.Store.FlowStateByState(ctx, hash)
}

func (s *tapped) CreateFlowState(ctx context.Context, f store.FlowState) error {
	if err := s.write(); err != nil {
		return err
	}
	return s.Store.CreateFlowState(ctx, f)
}

func (s *tapped) TakeFlowState(ctx context.Context, id uuid.UUID) (bool, error) {
	if err := s.write(); err != nil {
		return false, err
	}
	return s.Store.TakeFlowState(ctx, id)
}
