package sqlstore

import (
	"context"
	"database/sql"
	"strings"

	"github.com/google/uuid"

	"github.com/truekeel/auth/store"
)

// search_author is the actor's two names in lower case, one a line: what Author looks in.

const selectAuditEntry = `SELECT id, action, log_type, actor_id, actor_username,
	actor_name, actor_via_sso, traits, ip, user_agent, request_id, @created_at
	FROM {audit_log}`

func scanAuditEntry(r *sql.Rows, e *store.AuditEntry) error {
	return r.Scan((*ident)(&e.ID), (*text)(&e.Action), (*text)(&e.LogType),
		(*ident)(&e.ActorID), (*text)(&e.ActorUsername), (*text)(&e.ActorName),
		&e.ActorViaSSO, (*fields)(&e.Traits), (*text)(&e.IP), (*text)(&e.UserAgent),
		(*text)(&e.RequestID), (*stamp)(&e.CreatedAt))
}

// AddAuditEntry implements store.AuditLog.
func (s *Store) AddAuditEntry(ctx context.Context, e store.AuditEntry) error {
	var traits any
	if len(e.Traits) > 0 {
		t, err := object(e.Traits)
		if err != nil {
			return err
		}
		traits = t
	}
	_, err := s.exec(ctx, "add audit entry", `INSERT INTO {audit_log} (id, action, log_type,
		actor_id, actor_username, actor_name, search_author, actor_via_sso, traits, ip,
		user_agent, request_id, created_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		s.id(e.ID), e.Action, e.LogType, s.maybeID(e.ActorID), e.ActorUsername, e.ActorName,
		strings.ToLower(e.ActorUsername+"\n"+e.ActorName), e.ActorViaSSO, traits, e.IP,
		e.UserAgent, e.RequestID, s.at(e.CreatedAt))
	return err
}

// ListAuditEntries implements store.AuditLog.
func (s *Store) ListAuditEntries(ctx context.Context, q store.AuditQuery) ([]store.AuditEntry, error) {
	where := s.auditWhere(q)
	limit, offset := page(q.Limit, q.Offset)
	return list(ctx, s, "list audit entries", scanAuditEntry,
		selectAuditEntry+where.String()+` ORDER BY created_at DESC, id DESC LIMIT ? OFFSET ?`,
		append(where.args, limit, offset)...)
}

// CountAuditEntries implements store.AuditLog.
func (s *Store) CountAuditEntries(ctx context.Context, q store.AuditQuery) (int64, error) {
	where := s.auditWhere(q)
	return one(ctx, s, "count audit entries", scanValue[int64],
		`SELECT COUNT(*) FROM {audit_log}`+where.String(), where.args...)
}

func (s *Store) auditWhere(q store.AuditQuery) *conditions {
	w := &conditions{}
	for _, part := range []struct{ expr, text string }{
		{"search_author", q.Author}, {"LOWER(action)", q.Action}, {"LOWER(log_type)", q.LogType},
	} {
		if part.text == "" {
			continue
		}
		condition, arg := s.db.dialect.Contains(part.expr, strings.ToLower(part.text))
		w.add(condition, arg)
	}
	if q.ActorID != uuid.Nil {
		w.add("actor_id = ?", s.id(q.ActorID))
	}
	return w
}
