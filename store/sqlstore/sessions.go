package sqlstore

import (
	"context"
	"database/sql"

	"github.com/google/uuid"

	"github.com/truekeel/auth/store"
)

// writes counts the updates of a session: it makes sure that an update to equal values
// still changes the row, so that the number of changed rows says who won.

const selectSession = `SELECT id, user_id, kind, aal, amr, factor_id, tag, user_agent, ip,
	refresh_key, refresh_seq, @not_after, @refreshed_at, @created_at, @updated_at
	FROM {sessions}`

func scanSession(r *sql.Rows, v *store.Session) error {
	return r.Scan((*ident)(&v.ID), (*ident)(&v.UserID), (*text)(&v.Kind), (*text)(&v.AAL),
		(*methods)(&v.AMR), (*ident)(&v.FactorID), (*text)(&v.Tag), (*text)(&v.UserAgent),
		(*text)(&v.IP), &v.RefreshKey, &v.RefreshSeq, (*stamp)(&v.NotAfter),
		(*stamp)(&v.RefreshedAt), (*stamp)(&v.CreatedAt), (*stamp)(&v.UpdatedAt))
}

// CreateSession implements store.Sessions.
func (s *Store) CreateSession(ctx context.Context, v store.Session) error {
	amr, err := methodsText(v.AMR)
	if err != nil {
		return err
	}
	_, err = s.exec(ctx, "create session", `INSERT INTO {sessions} (id, user_id, kind, aal,
		amr, factor_id, tag, user_agent, ip, refresh_key, refresh_seq, not_after,
		refreshed_at, created_at, updated_at, writes)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1)`,
		s.id(v.ID), s.id(v.UserID), v.Kind, v.AAL, amr, s.maybeID(v.FactorID), v.Tag,
		v.UserAgent, v.IP, v.RefreshKey, v.RefreshSeq, s.at(v.NotAfter),
		s.at(v.RefreshedAt), s.at(v.CreatedAt), s.at(v.UpdatedAt))
	return err
}

// Session implements store.Sessions.
func (s *Store) Session(ctx context.Context, id uuid.UUID) (store.Session, error) {
	return one(ctx, s, "read session", scanSession, selectSession+` WHERE id = ?`, s.id(id))
}

// SessionsOf implements store.Sessions.
func (s *Store) SessionsOf(ctx context.Context, userID uuid.UUID) ([]store.Session, error) {
	return list(ctx, s, "list sessions", scanSession,
		selectSession+` WHERE user_id = ? ORDER BY created_at DESC, id DESC`, s.id(userID))
}

// UpdateSession implements store.Sessions.
func (s *Store) UpdateSession(ctx context.Context, v store.Session, fromSeq int64) (bool, error) {
	amr, err := methodsText(v.AMR)
	if err != nil {
		return false, err
	}
	n, err := s.exec(ctx, "update session", `UPDATE {sessions} SET aal = ?, amr = ?,
		factor_id = ?, tag = ?, user_agent = ?, ip = ?, refresh_seq = ?, not_after = ?,
		refreshed_at = ?, updated_at = ?, writes = writes + 1
		WHERE id = ? AND refresh_seq = ?`,
		v.AAL, amr, s.maybeID(v.FactorID), v.Tag, v.UserAgent, v.IP, v.RefreshSeq,
		s.at(v.NotAfter), s.at(v.RefreshedAt), s.at(v.UpdatedAt), s.id(v.ID), fromSeq)
	return n > 0, err
}

// A session is deleted before its refresh tokens, a user before all that is his: the row
// is what a refresh or a sign-in at the same time has changed too, so that the first
// DELETE waits for it, and the others see what it added. Foreign keys, which not every
// database has, would do the same.

// orphanTokens are a user's refresh tokens without a session: those of the sessions that
// were just deleted, and not of one that has begun since.
const orphanTokens = `DELETE FROM {refresh_tokens} WHERE user_id = ?
	AND session_id NOT IN (SELECT id FROM {sessions} WHERE user_id = ?)`

// DeleteSession implements store.Sessions.
func (s *Store) DeleteSession(ctx context.Context, id uuid.UUID) (bool, error) {
	const op = "delete session"
	var n int64
	err := s.atomic(ctx, op, func(tx *Store) (err error) {
		if n, err = tx.exec(ctx, op, `DELETE FROM {sessions} WHERE id = ?`, s.id(id)); err != nil {
			return err
		}
		_, err = tx.exec(ctx, op, `DELETE FROM {refresh_tokens} WHERE session_id = ?`, s.id(id))
		return err
	})
	return err == nil && n > 0, err
}

// DeleteSessionsOf implements store.Sessions.
func (s *Store) DeleteSessionsOf(ctx context.Context, userID, except uuid.UUID) (int64, error) {
	const op = "delete sessions"
	var n int64
	err := s.atomic(ctx, op, func(tx *Store) (err error) {
		n, err = tx.exec(ctx, op, `DELETE FROM {sessions} WHERE user_id = ? AND id <> ?`, s.id(userID), s.id(except))
		if err != nil {
			return err
		}
		_, err = tx.exec(ctx, op, orphanTokens, s.id(userID), s.id(userID))
		return err
	})
	if err != nil {
		return 0, err
	}
	return n, nil
}
