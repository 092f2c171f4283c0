package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/truekeel/auth/store"
)

type count struct {
	n     int64
	until time.Time
}

func scanCount(r *sql.Rows, c *count) error { return r.Scan(&c.n, (*stamp)(&c.until)) }

// Count implements store.Counters.
func (s *Store) Count(ctx context.Context, key string, now, expires time.Time) (int64, time.Time, error) {
	const op = "count"
	var c count
	err := s.atomic(ctx, op, func(tx *Store) error {
		n, err := tx.exec(ctx, op, `UPDATE {counters} SET n = n + 1
			WHERE counter_key = ? AND expires_at > ?`, key, s.at(now))
		if err != nil {
			return err
		}
		if n > 0 {
			c, err = one(ctx, tx, op, scanCount, `SELECT n, @expires_at FROM {counters}
				WHERE counter_key = ?`, key)
			return err
		}
		if _, err := tx.exec(ctx, op, `DELETE FROM {counters} WHERE counter_key = ?
			AND expires_at <= ?`, key, s.at(now)); err != nil {
			return err
		}
		c = count{1, expires.UTC().Truncate(time.Microsecond)}
		_, err = tx.exec(ctx, op, `INSERT INTO {counters} (counter_key, n, expires_at)
			VALUES (?, 1, ?)`, key, s.at(expires))
		return stale(op, err)
	})
	if err != nil {
		return 0, time.Time{}, err
	}
	return c.n, c.until, nil
}

// stale makes of the conflict with a racing caller the wish to be run again, after
// which the caller's row is there to be read.
func stale(op string, err error) error {
	if errors.Is(err, store.ErrConflict) {
		return fmt.Errorf("sqlstore: %s: %w", op, store.ErrStale)
	}
	return err
}

// Counted implements store.Counters.
func (s *Store) Counted(ctx context.Context, key string, now time.Time) (int64, time.Time, error) {
	c, err := one(ctx, s, "read counter", scanCount, `SELECT n, @expires_at FROM {counters}
		WHERE counter_key = ? AND expires_at > ?`, key, s.at(now))
	if errors.Is(err, store.ErrNotFound) {
		return 0, time.Time{}, nil
	}
	return c.n, c.until, err
}

// DropCounter implements store.Counters.
func (s *Store) DropCounter(ctx context.Context, key string) error {
	_, err := s.exec(ctx, "drop counter", `DELETE FROM {counters} WHERE counter_key = ?`, key)
	return err
}
