package sqlstore

import (
	"context"
	"database/sql"

	"github.com/google/uuid"

	"github.com/truekeel/auth/store"
)

const selectEventDelivery = `SELECT id, endpoint, type, user_id, body, state, attempts,
	last_status, last_error, @last_at, @created_at, @done_at FROM {event_deliveries}`

// listEventDeliveries leaves the bodies where they are.
const listEventDeliveries = `SELECT id, endpoint, type, user_id, NULL, state, attempts,
	last_status, last_error, @last_at, @created_at, @done_at FROM {event_deliveries}`

func scanEventDelivery(r *sql.Rows, d *store.EventDelivery) error {
	return r.Scan((*ident)(&d.ID), (*text)(&d.Endpoint), (*text)(&d.Type), (*ident)(&d.UserID),
		&d.Body, (*text)(&d.State), &d.Attempts, &d.LastStatus, (*text)(&d.LastError),
		(*stamp)(&d.LastAt), (*stamp)(&d.CreatedAt), (*stamp)(&d.DoneAt))
}

// AddEventDelivery implements store.EventDeliveries.
func (s *Store) AddEventDelivery(ctx context.Context, d store.EventDelivery) error {
	_, err := s.exec(ctx, "add event delivery", `INSERT INTO {event_deliveries} (id, endpoint,
		type, user_id, body, state, attempts, last_status, last_error, last_at, created_at, done_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		s.id(d.ID), d.Endpoint, d.Type, s.id(d.UserID), d.Body, string(d.State), d.Attempts,
		d.LastStatus, d.LastError, s.at(d.LastAt), s.at(d.CreatedAt), s.at(d.DoneAt))
	return err
}

// EventDelivery implements store.EventDeliveries.
func (s *Store) EventDelivery(ctx context.Context, id uuid.UUID) (store.EventDelivery, error) {
	return one(ctx, s, "read event delivery", scanEventDelivery, selectEventDelivery+` WHERE id = ?`, s.id(id))
}

// NoteEventAttempt implements store.EventDeliveries.
func (s *Store) NoteEventAttempt(ctx context.Context, d store.EventDelivery) error {
	_, err := s.exec(ctx, "note event attempt", `UPDATE {event_deliveries} SET state = ?,
		attempts = ?, last_status = ?, last_error = ?, last_at = ?, done_at = ? WHERE id = ?`,
		string(d.State), d.Attempts, d.LastStatus, d.LastError, s.at(d.LastAt), s.at(d.DoneAt), s.id(d.ID))
	return err
}

// ReopenEventDelivery implements store.EventDeliveries.
func (s *Store) ReopenEventDelivery(ctx context.Context, id uuid.UUID) (bool, error) {
	n, err := s.exec(ctx, "reopen event delivery", `UPDATE {event_deliveries} SET state = ?,
		done_at = NULL WHERE id = ? AND done_at IS NOT NULL`, string(store.EventPending), s.id(id))
	return n > 0, err
}

// ListEventDeliveries implements store.EventDeliveries.
func (s *Store) ListEventDeliveries(ctx context.Context, q store.EventQuery) ([]store.EventDelivery, error) {
	where := &conditions{}
	for _, part := range []struct{ column, text string }{
		{"state", string(q.State)}, {"endpoint", q.Endpoint}, {"type", q.Type},
	} {
		if part.text != "" {
			where.add(part.column+" = ?", part.text)
		}
	}
	if q.UserID != uuid.Nil {
		where.add("user_id = ?", s.id(q.UserID))
	}
	if q.After != uuid.Nil {
		where.add("id < ?", s.id(q.After))
	}
	limit, _ := page(q.Limit, 0)
	return list(ctx, s, "list event deliveries", scanEventDelivery,
		listEventDeliveries+where.String()+` ORDER BY id DESC LIMIT ?`, append(where.args, limit)...)
}
