package admin

import (
	"context"

	"github.com/truekeel/auth/store"
)

// List gives a page of accounts and how many there are in all.
func (f *Flow) List(ctx context.Context, q store.UserQuery) ([]store.User, int64, error) {
	total, err := f.Store.CountUsers(ctx, q)
	if err != nil {
		return nil, 0, err
	}
	rows, err := f.Store.ListUsers(ctx, q)
	return rows, total, err
}

// AuditLog gives a page of audit entries and how many there are in all.
func (f *Flow) AuditLog(ctx context.Context, q store.AuditQuery) ([]store.AuditEntry, int64, error) {
	total, err := f.Store.CountAuditEntries(ctx, q)
	if err != nil {
		return nil, 0, err
	}
	rows, err := f.Store.ListAuditEntries(ctx, q)
	return rows, total, err
}
