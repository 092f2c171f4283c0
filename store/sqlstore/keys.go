package sqlstore

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/truekeel/auth/store"
)

// current_mark is 1 for the current key and NULL for others; it is unique.

func currentMark(state store.KeyState) any {
	if state == store.KeyCurrent {
		return 1
	}
	return nil
}

func scanSigningKey(r *sql.Rows, k *store.SigningKey) error {
	return r.Scan((*text)(&k.ID), (*text)(&k.Algorithm), (*text)(&k.State), &k.Private,
		&k.Public, (*stamp)(&k.CreatedAt), (*stamp)(&k.ActivatedAt), (*stamp)(&k.RetiredAt))
}

// CreateSigningKey implements store.Keys.
func (s *Store) CreateSigningKey(ctx context.Context, k store.SigningKey) error {
	_, err := s.exec(ctx, "create signing key", `INSERT INTO {signing_keys} (id, algorithm,
		state, current_mark, private_key, public_key, created_at, activated_at, retired_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		k.ID, k.Algorithm, string(k.State), currentMark(k.State), k.Private, k.Public,
		s.at(k.CreatedAt), s.at(k.ActivatedAt), s.at(k.RetiredAt))
	return err
}

// SigningKeys implements store.Keys.
func (s *Store) SigningKeys(ctx context.Context) ([]store.SigningKey, error) {
	return list(ctx, s, "list signing keys", scanSigningKey, `SELECT id, algorithm, state,
		private_key, public_key, @created_at, @activated_at, @retired_at
		FROM {signing_keys} ORDER BY created_at, id`)
}

// MoveSigningKey implements store.Keys. A move to the same state is an error.
func (s *Store) MoveSigningKey(ctx context.Context, id string, from, to store.KeyState, at time.Time) (bool, error) {
	if from == to {
		return false, fmt.Errorf("sqlstore: move signing key from %q to %q: nothing to move", from, to)
	}
	query, args := `UPDATE {signing_keys} SET state = ?, current_mark = ?`, []any{string(to), currentMark(to)}
	switch to {
	case store.KeyCurrent:
		query, args = query+`, activated_at = ?`, append(args, s.at(at))
	case store.KeyRetired:
		query, args = query+`, retired_at = ?`, append(args, s.at(at))
	}
	n, err := s.exec(ctx, "move signing key", query+` WHERE id = ? AND state = ?`,
		append(args, id, string(from))...)
	return n > 0, err
}
