package store

import (
	"context"
	"time"

	"github.com/google/uuid"
)

// AuditEntry says who did what.
type AuditEntry struct {
	ID            uuid.UUID
	Action        string // "login", "user_signedup", ...
	LogType       string // "account", "team", "token", "user", "factor"
	ActorID       uuid.UUID
	ActorUsername string
	ActorName     string
	ActorViaSSO   bool
	Traits        Object // what the action adds; nil if nothing
	IP            string
	UserAgent     string
	RequestID     string
	CreatedAt     time.Time
}

// AuditLog keeps audit entries.
type AuditLog interface {
	// AddAuditEntry inserts.
	AddAuditEntry(ctx context.Context, e AuditEntry) error
	// ListAuditEntries gives a page, newest first; an empty page is no error.
	ListAuditEntries(ctx context.Context, q AuditQuery) ([]AuditEntry, error)
	// CountAuditEntries counts what q selects, whatever its page.
	CountAuditEntries(ctx context.Context, q AuditQuery) (int64, error)
}

// AuditQuery selects audit entries. The texts are parts of the fields, case doesn't
// matter; "" selects all.
type AuditQuery struct {
	Author  string    // part of ActorUsername or ActorName
	Action  string    // part of Action
	LogType string    // part of LogType
	ActorID uuid.UUID // exactly this actor; uuid.Nil for any
	Offset  int
	Limit   int // 0 means 50, at most 1000
}
