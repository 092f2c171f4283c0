package sqlstore

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/truekeel/auth/store"
)

// Purge implements store.Purger.
//
// What is deleted is chosen in a derived table, because MySQL knows no LIMIT in a plain
// IN, and checked again in the DELETE, because it may have changed in between.
func (s *Store) Purge(ctx context.Context, kind store.PurgeKind, before time.Time, limit int) (int64, error) {
	op := "purge " + string(kind)
	end := s.at(before)
	var query string
	args := []any{end, limit, end}
	switch kind {
	case store.PurgeOneTimeTokens:
		query = `DELETE FROM {one_time_tokens} WHERE id IN (SELECT id FROM (SELECT id
			FROM {one_time_tokens} WHERE expires_at < ? ORDER BY expires_at LIMIT ?) AS gone)
			AND expires_at < ?`
	case store.PurgeFlowStates:
		query = `DELETE FROM {flow_states} WHERE id IN (SELECT id FROM (SELECT id
			FROM {flow_states} WHERE expires_at < ? ORDER BY expires_at LIMIT ?) AS gone)
			AND expires_at < ?`
	case store.PurgeCounters:
		query = `DELETE FROM {counters} WHERE counter_key IN (SELECT counter_key FROM (
			SELECT counter_key FROM {counters} WHERE expires_at < ? ORDER BY expires_at
			LIMIT ?) AS gone) AND expires_at < ?`
	case store.PurgeOutbox:
		query = `DELETE FROM {outbox} WHERE id IN (SELECT id FROM (SELECT id
			FROM {outbox} WHERE done_at < ? ORDER BY done_at LIMIT ?) AS gone)
			AND done_at < ?`
	case store.PurgeEvents:
		query = `DELETE FROM {event_deliveries} WHERE id IN (SELECT id FROM (SELECT id
			FROM {event_deliveries} WHERE done_at < ? ORDER BY done_at LIMIT ?) AS gone)
			AND done_at < ?`
	case store.PurgeAudit:
		query = `DELETE FROM {audit_log} WHERE id IN (SELECT id FROM (SELECT id
			FROM {audit_log} WHERE created_at < ? ORDER BY created_at LIMIT ?) AS gone)
			AND created_at < ?`
	case store.PurgeRefreshTokens:
		query = `DELETE FROM {refresh_tokens} WHERE hash IN (SELECT hash FROM (SELECT r.hash
			FROM {refresh_tokens} r JOIN {sessions} s ON s.id = r.session_id
			WHERE r.created_at < ? AND r.seq < s.refresh_seq - 1
			ORDER BY r.created_at LIMIT ?) AS gone) AND created_at < ?`
	case store.PurgeKeys:
		query = `DELETE FROM {signing_keys} WHERE id IN (SELECT id FROM (SELECT id
			FROM {signing_keys} WHERE state = ? AND retired_at < ? ORDER BY retired_at
			LIMIT ?) AS gone) AND retired_at < ?`
		args = append([]any{string(store.KeyRetired)}, args...)
	case store.PurgeSessions:
		return s.purgeSessions(ctx, op, end, limit)
	default:
		return 0, fmt.Errorf("sqlstore: purge: unknown kind %q", kind)
	}
	if limit <= 0 {
		return 0, nil
	}
	return s.exec(ctx, op, query, args...)
}

// purgeSessions deletes sessions with their refresh tokens, which takes two statements
// for the same set of sessions.
func (s *Store) purgeSessions(ctx context.Context, op string, end any, limit int) (int64, error) {
	if limit <= 0 {
		return 0, nil
	}
	var total int64
	err := s.atomic(ctx, op, func(tx *Store) error {
		total = 0
		ids, err := list(ctx, tx, op, scanValue[ident], `SELECT id FROM {sessions}
			WHERE not_after < ? ORDER BY not_after, id LIMIT ?`, end, limit)
		if err != nil {
			return err
		}
		for len(ids) > 0 {
			n := min(len(ids), purgeChunk)
			gone, err := tx.deleteSessions(ctx, op, ids[:n], end)
			if err != nil {
				return err
			}
			total += gone
			ids = ids[n:]
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	return total, nil
}

// purgeChunk is how many sessions one statement deletes.
const purgeChunk = 50

func (s *Store) deleteSessions(ctx context.Context, op string, ids []ident, end any) (int64, error) {
	args := make([]any, 0, purgeChunk+1)
	for i := range purgeChunk { // filled up with the last one: one statement for all lengths
		args = append(args, s.id([16]byte(ids[min(i, len(ids)-1)])))
	}
	set := placeholders(purgeChunk)
	n, err := s.exec(ctx, op, `DELETE FROM {sessions} WHERE id IN `+set+` AND not_after < ?`, append(args, end)...)
	if err != nil {
		return 0, err
	}
	_, err = s.exec(ctx, op, `DELETE FROM {refresh_tokens} WHERE session_id IN `+set+`
		AND session_id NOT IN (SELECT id FROM {sessions} WHERE id IN `+set+`)`,
		append(args[:purgeChunk:purgeChunk], args[:purgeChunk]...)...)
	return n, err
}

// placeholders makes (?, ?, ?).
func placeholders(n int) string {
	return "(?" + strings.Repeat(", ?", n-1) + ")"
}
