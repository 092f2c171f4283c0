package sqlstore

import (
	"context"
	"database/sql"
	"time"

	"github.com/google/uuid"

	"github.com/truekeel/auth/store"
)

const selectOutboxItem = `SELECT id, kind, sender, order_key, body, message_id, attempts,
	@next_at, @lease_until, lease_token, last_error, @created_at, @done_at, given_up
	FROM {outbox}`

func scanOutboxItem(r *sql.Rows, i *store.OutboxItem) error {
	return r.Scan((*ident)(&i.ID), (*text)(&i.Kind), (*text)(&i.Sender), (*text)(&i.Key),
		&i.Body, (*text)(&i.MessageID), &i.Attempts, (*stamp)(&i.NextAt),
		(*stamp)(&i.LeaseUntil), (*text)(&i.LeaseToken), (*text)(&i.LastError),
		(*stamp)(&i.CreatedAt), (*stamp)(&i.DoneAt), &i.GivenUp)
}

// AddOutboxItem implements store.Outbox.
func (s *Store) AddOutboxItem(ctx context.Context, i store.OutboxItem) error {
	_, err := s.exec(ctx, "add outbox item", `INSERT INTO {outbox} (id, kind, sender,
		order_key, body, message_id, attempts, next_at, lease_until, lease_token,
		last_error, created_at, done_at, given_up)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		s.id(i.ID), i.Kind, i.Sender, i.Key, i.Body, i.MessageID, i.Attempts,
		s.at(i.NextAt), s.at(i.LeaseUntil), maybeText(i.LeaseToken), i.LastError,
		s.at(i.CreatedAt), s.at(i.DoneAt), i.GivenUp)
	return err
}

// OutboxItem implements store.Outbox.
func (s *Store) OutboxItem(ctx context.Context, id uuid.UUID) (store.OutboxItem, error) {
	return one(ctx, s, "read outbox item", scanOutboxItem, selectOutboxItem+` WHERE id = ?`, s.id(id))
}

// DueOutboxItems implements store.Outbox.
func (s *Store) DueOutboxItems(ctx context.Context, sender string, now time.Time, limit int) ([]store.OutboxItem, error) {
	if limit <= 0 {
		return nil, nil
	}
	at := s.at(now)
	// Databases disagree on where NULL is sorted, hence the CASE.
	return list(ctx, s, "list due outbox items", scanOutboxItem, selectOutboxItem+` item
		WHERE sender = ? AND done_at IS NULL AND (next_at IS NULL OR next_at <= ?)
		AND (lease_until IS NULL OR lease_until <= ?)
		AND (order_key = '' OR NOT EXISTS (SELECT 1 FROM {outbox} older
			WHERE older.order_key = item.order_key AND older.sender = item.sender
			AND older.done_at IS NULL AND (older.created_at < item.created_at
				OR (older.created_at = item.created_at AND older.id < item.id))))
		ORDER BY CASE WHEN next_at IS NULL THEN 0 ELSE 1 END, next_at, created_at, id
		LIMIT ?`, sender, at, at, limit)
}

// LeaseOutboxItem implements store.Outbox.
func (s *Store) LeaseOutboxItem(ctx context.Context, id uuid.UUID, token string, now, until time.Time) (bool, error) {
	n, err := s.exec(ctx, "lease outbox item", `UPDATE {outbox} SET lease_token = ?,
		lease_until = ?, attempts = attempts + 1
		WHERE id = ? AND done_at IS NULL AND (lease_until IS NULL OR lease_until <= ?)`,
		maybeText(token), s.at(until), s.id(id), s.at(now))
	return n > 0, err
}

// SettleOutboxItem implements store.Outbox.
func (s *Store) SettleOutboxItem(ctx context.Context, i store.OutboxItem) (bool, error) {
	n, err := s.exec(ctx, "settle outbox item", `UPDATE {outbox} SET body = ?, attempts = ?,
		next_at = ?, last_error = ?, done_at = ?, given_up = ?, lease_token = NULL,
		lease_until = NULL WHERE id = ? AND lease_token = ?`,
		i.Body, i.Attempts, s.at(i.NextAt), i.LastError, s.at(i.DoneAt), i.GivenUp,
		s.id(i.ID), maybeText(i.LeaseToken))
	return n > 0, err
}

// DeleteOutboxItem implements store.Outbox.
func (s *Store) DeleteOutboxItem(ctx context.Context, id uuid.UUID) (bool, error) {
	n, err := s.exec(ctx, "delete outbox item", `DELETE FROM {outbox} WHERE id = ?`, s.id(id))
	return n > 0, err
}

// YoungestOwed implements store.Outbox.
func (s *Store) YoungestOwed(ctx context.Context, sender, key string) (store.OutboxItem, error) {
	return one(ctx, s, "find the youngest owed outbox item", func(r *sql.Rows, i *store.OutboxItem) error {
		return r.Scan((*ident)(&i.ID), (*stamp)(&i.CreatedAt), (*stamp)(&i.NextAt))
	}, `SELECT id, @created_at, @next_at FROM {outbox} WHERE order_key = ? AND sender = ? AND done_at IS NULL
		ORDER BY created_at DESC, id DESC LIMIT 1`, key, sender)
}

// PostponeOutboxItem implements store.Outbox.
func (s *Store) PostponeOutboxItem(ctx context.Context, id uuid.UUID, from, to time.Time) (bool, error) {
	n, err := s.exec(ctx, "postpone outbox item", `UPDATE {outbox} SET next_at = ?
		WHERE id = ? AND done_at IS NULL AND next_at = ?`, s.at(to), s.id(id), s.at(from))
	return n > 0, err
}

// ReleaseOutboxItem implements store.Outbox.
func (s *Store) ReleaseOutboxItem(ctx context.Context, sender, key string, now time.Time) error {
	return s.atomic(ctx, "release outbox item", func(tx *Store) error {
		oldest, err := list(ctx, tx, "find the oldest owed outbox item", scanValue[ident],
			`SELECT id FROM {outbox} WHERE order_key = ? AND sender = ? AND done_at IS NULL
			ORDER BY created_at, id LIMIT 1`, key, sender)
		if err != nil || len(oldest) == 0 {
			return err
		}
		_, err = tx.exec(ctx, "release outbox item", `UPDATE {outbox} SET next_at = ?
			WHERE id = ? AND done_at IS NULL AND next_at > ?`, tx.at(now), tx.id([16]byte(oldest[0])), tx.at(now))
		return err
	})
}

// OwedBySender implements store.Outbox. Senders come in the order of their names.
func (s *Store) OwedBySender(ctx context.Context) ([]store.OutboxDebt, error) {
	return list(ctx, s, "count owed outbox items", func(r *sql.Rows, d *store.OutboxDebt) error {
		return r.Scan((*text)(&d.Sender), &d.Items, (*stamp)(&d.Oldest))
	}, `SELECT sender, COUNT(*), MIN(@created_at) FROM {outbox} WHERE done_at IS NULL
		GROUP BY sender ORDER BY sender`)
}
