package outbox

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/truekeel/auth/store"
)

// memory is a store.Outbox without any waiting, for tests in virtual time.
type memory struct {
	mu    sync.Mutex
	rows  map[uuid.UUID]store.OutboxItem
	down  error // what every call answers
	asked []time.Time
}

func newMemory() *memory { return &memory{rows: make(map[uuid.UUID]store.OutboxItem)} }

func (m *memory) fail(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.down = err
}

func (m *memory) AddOutboxItem(_ context.Context, i store.OutboxItem) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.rows[i.ID] = i
	return m.down
}

func (m *memory) OutboxItem(_ context.Context, id uuid.UUID) (store.OutboxItem, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	row, ok := m.rows[id]
	if !ok {
		return row, store.ErrNotFound
	}
	return row, m.down
}

func (m *memory) DueOutboxItems(_ context.Context, sender string, now time.Time, limit int) ([]store.OutboxItem, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.asked = append(m.asked, time.Now())
	if m.down != nil {
		return nil, m.down
	}
	var due []store.OutboxItem
	for _, r := range m.rows {
		if r.Sender == sender && r.DoneAt.IsZero() && !r.NextAt.After(now) && !r.LeaseUntil.After(now) {
			due = append(due, r)
		}
	}
	slices.SortFunc(due, func(a, b store.OutboxItem) int {
		return cmp.Or(a.NextAt.Compare(b.NextAt), a.CreatedAt.Compare(b.CreatedAt))
	})
	return due[:min(limit, len(due))], nil
}

func (m *memory) LeaseOutboxItem(_ context.Context, id uuid.UUID, token string, now, until time.Time) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r, ok := m.rows[id]
	if m.down != nil || !ok || !r.DoneAt.IsZero() || r.LeaseUntil.After(now) {
		return false, m.down
	}
	r.LeaseToken, r.LeaseUntil = token, until
	r.Attempts++
	m.rows[id] = r
	return true, nil
}

func (m *memory) SettleOutboxItem(_ context.Context, i store.OutboxItem) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if r := m.rows[i.ID]; m.down != nil || r.LeaseToken != i.LeaseToken {
		return false, m.down
	}
	i.LeaseToken, i.LeaseUntil = "", time.Time{}
	m.rows[i.ID] = i
	return true, nil
}

func (m *memory) DeleteOutboxItem(_ context.Context, id uuid.UUID) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	_, ok := m.rows[id]
	delete(m.rows, id)
	return ok, m.down
}

func (m *memory) OwedBySender(context.Context) ([]store.OutboxDebt, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	debts := map[string]store.OutboxDebt{}
	for _, r := range m.rows {
		if !r.DoneAt.IsZero() {
			continue
		}
		d := debts[r.Sender]
		if d.Items++; d.Items == 1 || r.CreatedAt.Before(d.Oldest) {
			d.Oldest = r.CreatedAt
		}
		d.Sender = r.Sender
		debts[r.Sender] = d
	}
	var all []store.OutboxDebt
	for _, d := range debts {
		all = append(all, d)
	}
	return all, m.down
}

var errDown = errors.New("connection refused")

func (m *memory) YoungestOwed(context.Context, string, string) (store.OutboxItem, error) {
	return store.OutboxItem{}, store.ErrNotFound
}

func (m *memory) PostponeOutboxItem(context.Context, uuid.UUID, time.Time, time.Time) (bool, error) {
	return false, nil
}

func (m *memory) ReleaseOutboxItem(context.Context, string, string, time.Time) error { return nil }
