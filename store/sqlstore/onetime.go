package sqlstore

import (
	"context"
	"database/sql"

	"github.com/google/uuid"

	"github.com/truekeel/auth/store"
)

const selectOneTimeToken = `SELECT id, user_id, purpose, recipient, link_hash, code_mac,
	flow_state_id, attempts, @expires_at, @code_expires_at, @created_at FROM {one_time_tokens}`

func scanOneTimeToken(r *sql.Rows, t *store.OneTimeToken) error {
	return r.Scan((*ident)(&t.ID), (*ident)(&t.UserID), (*text)(&t.Purpose),
		(*text)(&t.Recipient), (*text)(&t.LinkHash), (*text)(&t.CodeMAC),
		(*ident)(&t.FlowStateID), &t.Attempts, (*stamp)(&t.ExpiresAt),
		(*stamp)(&t.CodeExpiresAt), (*stamp)(&t.CreatedAt))
}

// PutOneTimeToken implements store.OneTimeTokens.
func (s *Store) PutOneTimeToken(ctx context.Context, t store.OneTimeToken) error {
	const op = "put one-time token"
	return s.atomic(ctx, op, func(tx *Store) error {
		if _, err := tx.exec(ctx, op, `DELETE FROM {one_time_tokens} WHERE user_id = ? AND purpose = ?`,
			s.id(t.UserID), string(t.Purpose)); err != nil {
			return err
		}
		_, err := tx.exec(ctx, op, `INSERT INTO {one_time_tokens} (id, user_id, purpose,
			recipient, link_hash, code_mac, flow_state_id, attempts, expires_at,
			code_expires_at, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			s.id(t.ID), s.id(t.UserID), string(t.Purpose), t.Recipient, maybeText(t.LinkHash),
			t.CodeMAC, s.maybeID(t.FlowStateID), t.Attempts, s.at(t.ExpiresAt),
			s.at(t.CodeExpiresAt), s.at(t.CreatedAt))
		return err
	})
}

// OneTimeTokenByLink implements store.OneTimeTokens.
func (s *Store) OneTimeTokenByLink(ctx context.Context, linkHash string) (store.OneTimeToken, error) {
	return one(ctx, s, "read one-time token by link", scanOneTimeToken,
		selectOneTimeToken+` WHERE link_hash = ?`, maybeText(linkHash))
}

// OneTimeTokenOf implements store.OneTimeTokens.
func (s *Store) OneTimeTokenOf(ctx context.Context, userID uuid.UUID, p store.Purpose) (store.OneTimeToken, error) {
	return one(ctx, s, "read one-time token", scanOneTimeToken,
		selectOneTimeToken+` WHERE user_id = ? AND purpose = ?`, s.id(userID), string(p))
}

// OneTimeTokensTo implements store.OneTimeTokens.
func (s *Store) OneTimeTokensTo(ctx context.Context, recipient string, p store.Purpose) ([]store.OneTimeToken, error) {
	return list(ctx, s, "list one-time tokens", scanOneTimeToken, selectOneTimeToken+`
		WHERE recipient = ? AND purpose = ? ORDER BY created_at DESC, id DESC LIMIT ?`,
		recipient, string(p), 10)
}

// CountAttempt implements store.OneTimeTokens.
func (s *Store) CountAttempt(ctx context.Context, id uuid.UUID, limit int) (bool, error) {
	n, err := s.exec(ctx, "count attempt", `UPDATE {one_time_tokens} SET attempts = attempts + 1
		WHERE id = ? AND attempts < ?`, s.id(id), limit)
	return n > 0, err
}

// TakeOneTimeToken implements store.OneTimeTokens.
func (s *Store) TakeOneTimeToken(ctx context.Context, id uuid.UUID) (bool, error) {
	n, err := s.exec(ctx, "take one-time token", `DELETE FROM {one_time_tokens} WHERE id = ?`, s.id(id))
	return n > 0, err
}

// DeleteOneTimeTokens implements store.OneTimeTokens.
func (s *Store) DeleteOneTimeTokens(ctx context.Context, userID uuid.UUID, p ...store.Purpose) error {
	query, args := `DELETE FROM {one_time_tokens} WHERE user_id = ?`, []any{s.id(userID)}
	if len(p) > 0 {
		query += ` AND purpose IN ` + placeholders(len(p))
		for _, purpose := range p {
			args = append(args, string(purpose))
		}
	}
	_, err := s.exec(ctx, "delete one-time tokens", query, args...)
	return err
}
