package sqlstore

import (
	"context"
	"database/sql"

	"github.com/truekeel/auth/store"
)

func scanRefreshToken(r *sql.Rows, t *store.RefreshToken) error {
	return r.Scan((*text)(&t.Hash), (*ident)(&t.SessionID), (*ident)(&t.UserID), &t.Seq,
		(*stamp)(&t.ExpiresAt), (*stamp)(&t.CreatedAt))
}

// CreateRefreshToken implements store.RefreshTokens.
func (s *Store) CreateRefreshToken(ctx context.Context, t store.RefreshToken) error {
	_, err := s.exec(ctx, "create refresh token", `INSERT INTO {refresh_tokens} (hash,
		session_id, user_id, seq, expires_at, created_at) VALUES (?, ?, ?, ?, ?, ?)`,
		t.Hash, s.id(t.SessionID), s.id(t.UserID), t.Seq, s.at(t.ExpiresAt), s.at(t.CreatedAt))
	return err
}

// RefreshToken implements store.RefreshTokens.
func (s *Store) RefreshToken(ctx context.Context, hash string) (store.RefreshToken, error) {
	return one(ctx, s, "read refresh token", scanRefreshToken, `SELECT hash, session_id,
		user_id, seq, @expires_at, @created_at FROM {refresh_tokens} WHERE hash = ?`, hash)
}

// DeleteRefreshToken implements store.RefreshTokens.
func (s *Store) DeleteRefreshToken(ctx context.Context, hash string) (bool, error) {
	n, err := s.exec(ctx, "delete refresh token", `DELETE FROM {refresh_tokens} WHERE hash = ?`, hash)
	return n > 0, err
}
