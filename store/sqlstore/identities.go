package sqlstore

import (
	"context"
	"database/sql"

	"github.com/google/uuid"

	"github.com/truekeel/auth/store"
)

const selectIdentity = `SELECT id, user_id, provider, issuer, subject, email, data,
	@last_sign_in_at, @created_at, @updated_at FROM {identities}`

func scanIdentity(r *sql.Rows, i *store.Identity) error {
	return r.Scan((*ident)(&i.ID), (*ident)(&i.UserID), (*text)(&i.Provider),
		(*text)(&i.Issuer), (*text)(&i.Subject), (*text)(&i.Email), (*fields)(&i.Data),
		(*stamp)(&i.LastSignInAt), (*stamp)(&i.CreatedAt), (*stamp)(&i.UpdatedAt))
}

// CreateIdentity implements store.Identities.
func (s *Store) CreateIdentity(ctx context.Context, i store.Identity) error {
	data, err := object(i.Data)
	if err != nil {
		return err
	}
	_, err = s.exec(ctx, "create identity", `INSERT INTO {identities} (id, user_id, provider,
		issuer, subject, email, data, last_sign_in_at, created_at, updated_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		s.id(i.ID), s.id(i.UserID), i.Provider, i.Issuer, i.Subject, maybeText(i.Email),
		data, s.at(i.LastSignInAt), s.at(i.CreatedAt), s.at(i.UpdatedAt))
	return err
}

// IdentityBySubject implements store.Identities.
func (s *Store) IdentityBySubject(ctx context.Context, issuer, subject string) (store.Identity, error) {
	return one(ctx, s, "read identity", scanIdentity,
		selectIdentity+` WHERE issuer = ? AND subject = ?`, issuer, subject)
}

// IdentitiesOf implements store.Identities.
func (s *Store) IdentitiesOf(ctx context.Context, userID uuid.UUID) ([]store.Identity, error) {
	return list(ctx, s, "list identities", scanIdentity,
		selectIdentity+` WHERE user_id = ? ORDER BY created_at, id`, s.id(userID))
}

// IdentitiesByEmail implements store.Identities.
func (s *Store) IdentitiesByEmail(ctx context.Context, email string) ([]store.Identity, error) {
	return list(ctx, s, "list identities by email", scanIdentity,
		selectIdentity+` WHERE email = ? ORDER BY created_at, id`, maybeText(email))
}

// UpdateIdentity implements store.Identities.
func (s *Store) UpdateIdentity(ctx context.Context, i store.Identity) error {
	const op = "update identity"
	data, err := object(i.Data)
	if err != nil {
		return err
	}
	n, err := s.exec(ctx, op, `UPDATE {identities} SET subject = ?, email = ?, data = ?,
		last_sign_in_at = ?, updated_at = ? WHERE id = ?`,
		i.Subject, maybeText(i.Email), data, s.at(i.LastSignInAt), s.at(i.UpdatedAt), s.id(i.ID))
	if err != nil || n > 0 {
		return err
	}
	// Zero rows may mean that nothing changed.
	found, err := s.exists(ctx, op, `SELECT COUNT(*) FROM {identities} WHERE id = ?`, s.id(i.ID))
	if err != nil || found {
		return err
	}
	return must(op, 0, nil)
}

// DeleteIdentity implements store.Identities.
func (s *Store) DeleteIdentity(ctx context.Context, id uuid.UUID) error {
	const op = "delete identity"
	n, err := s.exec(ctx, op, `DELETE FROM {identities} WHERE id = ?`, s.id(id))
	return must(op, n, err)
}
