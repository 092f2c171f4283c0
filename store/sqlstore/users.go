package sqlstore

import (
	"context"
	"database/sql"
	"fmt"
	"strings"

	"github.com/google/uuid"

	"github.com/truekeel/auth/store"
)

// email_key and phone_key repeat email and phone where they are keys, and are NULL
// where they aren't: that makes a unique index hold for some rows only. search_name is
// what Filter looks in.

const selectUser = `SELECT id, audience, role, email, @email_confirmed_at, phone,
	@phone_confirmed_at, password_hash, new_email, email_change_side, new_phone,
	@invited_at, @confirmation_sent_at, @recovery_sent_at, @email_change_sent_at,
	@phone_change_sent_at, @reauthentication_sent_at, @last_sign_in_at,
	app_metadata, user_metadata, is_anonymous, is_sso, @banned_until, @deleted_at,
	@created_at, @updated_at, version
	FROM {users}`

func scanUser(r *sql.Rows, u *store.User) error {
	return r.Scan((*ident)(&u.ID), (*text)(&u.Audience), (*text)(&u.Role),
		(*text)(&u.Email), (*stamp)(&u.EmailConfirmedAt),
		(*text)(&u.Phone), (*stamp)(&u.PhoneConfirmedAt), (*text)(&u.PasswordHash),
		(*text)(&u.NewEmail), (*text)(&u.EmailChangeSide), (*text)(&u.NewPhone),
		(*stamp)(&u.InvitedAt), (*stamp)(&u.ConfirmationSentAt), (*stamp)(&u.RecoverySentAt),
		(*stamp)(&u.EmailChangeSentAt), (*stamp)(&u.PhoneChangeSentAt),
		(*stamp)(&u.ReauthenticationSent), (*stamp)(&u.LastSignInAt),
		(*fields)(&u.AppMetadata), (*fields)(&u.UserMetadata), &u.IsAnonymous, &u.IsSSO,
		(*stamp)(&u.BannedUntil), (*stamp)(&u.DeletedAt),
		(*stamp)(&u.CreatedAt), (*stamp)(&u.UpdatedAt), &u.Version)
}

// userValues binds what CreateUser and UpdateUser both write, in their common order.
func (s *Store) userValues(u *store.User) ([]any, error) {
	app, err := object(u.AppMetadata)
	if err != nil {
		return nil, err
	}
	own, err := object(u.UserMetadata)
	if err != nil {
		return nil, err
	}
	var emailKey, phoneKey any
	if !u.IsSSO {
		emailKey, phoneKey = maybeText(u.Email), maybeText(u.Phone)
	}
	return []any{
		u.Audience, u.Role, maybeText(u.Email), emailKey, s.at(u.EmailConfirmedAt),
		maybeText(u.Phone), phoneKey, s.at(u.PhoneConfirmedAt), u.PasswordHash,
		u.NewEmail, string(u.EmailChangeSide), u.NewPhone,
		s.at(u.InvitedAt), s.at(u.ConfirmationSentAt), s.at(u.RecoverySentAt),
		s.at(u.EmailChangeSentAt), s.at(u.PhoneChangeSentAt),
		s.at(u.ReauthenticationSent), s.at(u.LastSignInAt),
		app, own, strings.ToLower(u.UserMetadata.String("full_name")),
		u.IsAnonymous, u.IsSSO, s.at(u.BannedUntil), s.at(u.DeletedAt),
		s.at(u.CreatedAt), s.at(u.UpdatedAt),
	}, nil
}

// CreateUser implements store.Users.
func (s *Store) CreateUser(ctx context.Context, u store.User) error {
	values, err := s.userValues(&u)
	if err != nil {
		return err
	}
	_, err = s.exec(ctx, "create user", `INSERT INTO {users} (audience, role, email,
		email_key, email_confirmed_at, phone, phone_key, phone_confirmed_at,
		password_hash, new_email, email_change_side, new_phone, invited_at,
		confirmation_sent_at, recovery_sent_at, email_change_sent_at,
		phone_change_sent_at, reauthentication_sent_at, last_sign_in_at,
		app_metadata, user_metadata, search_name, is_anonymous, is_sso,
		banned_until, deleted_at, created_at, updated_at, id, version)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?,
		?, ?, ?, ?, ?, 1)`, append(values, s.id(u.ID))...)
	return err
}

// User implements store.Users.
func (s *Store) User(ctx context.Context, id uuid.UUID) (store.User, error) {
	return one(ctx, s, "read user", scanUser, selectUser+` WHERE id = ?`, s.id(id))
}

// UserByEmail implements store.Users.
func (s *Store) UserByEmail(ctx context.Context, audience, email string) (store.User, error) {
	return one(ctx, s, "read user by email", scanUser,
		selectUser+` WHERE audience = ? AND email_key = ?`, audience, maybeText(email))
}

// UserByPhone implements store.Users.
func (s *Store) UserByPhone(ctx context.Context, audience, phone string) (store.User, error) {
	return one(ctx, s, "read user by phone", scanUser,
		selectUser+` WHERE audience = ? AND phone_key = ?`, audience, maybeText(phone))
}

// UpdateUser implements store.Users.
func (s *Store) UpdateUser(ctx context.Context, u *store.User) error {
	const op = "update user"
	values, err := s.userValues(u)
	if err != nil {
		return err
	}
	// version makes sure that a row that is found is a row that changes.
	n, err := s.exec(ctx, op, `UPDATE {users} SET audience = ?, role = ?, email = ?,
		email_key = ?, email_confirmed_at = ?, phone = ?, phone_key = ?,
		phone_confirmed_at = ?, password_hash = ?, new_email = ?, email_change_side = ?,
		new_phone = ?, invited_at = ?, confirmation_sent_at = ?, recovery_sent_at = ?,
		email_change_sent_at = ?, phone_change_sent_at = ?, reauthentication_sent_at = ?,
		last_sign_in_at = ?, app_metadata = ?, user_metadata = ?, search_name = ?,
		is_anonymous = ?, is_sso = ?, banned_until = ?, deleted_at = ?, created_at = ?,
		updated_at = ?, version = version + 1
		WHERE id = ? AND version = ?`, append(values, s.id(u.ID), u.Version)...)
	if err != nil {
		return err
	}
	if n > 0 {
		u.Version++
		return nil
	}
	found, err := s.exists(ctx, op, `SELECT COUNT(*) FROM {users} WHERE id = ?`, s.id(u.ID))
	switch {
	case err != nil:
		return err
	case !found:
		return must(op, 0, nil)
	}
	return fmt.Errorf("sqlstore: %s: %w", op, store.ErrStale)
}

// exists reports whether a query for a count gives more than zero.
func (s *Store) exists(ctx context.Context, op, query string, args ...any) (bool, error) {
	n, err := one(ctx, s, op, scanValue[int64], query, args...)
	return n > 0, err
}

// DeleteUser implements store.Users.
func (s *Store) DeleteUser(ctx context.Context, id uuid.UUID) error {
	const op = "delete user"
	return s.atomic(ctx, op, func(tx *Store) error {
		n, err := tx.exec(ctx, op, `DELETE FROM {users} WHERE id = ?`, s.id(id))
		if err := must(op, n, err); err != nil {
			return err
		}
		for _, query := range []string{
			`DELETE FROM {sessions} WHERE user_id = ?`,
			`DELETE FROM {refresh_tokens} WHERE user_id = ?`,
			`DELETE FROM {one_time_tokens} WHERE user_id = ?`,
			`DELETE FROM {flow_states} WHERE user_id = ?`,
			`DELETE FROM {identities} WHERE user_id = ?`,
		} {
			if _, err := tx.exec(ctx, op, query, s.id(id)); err != nil {
				return err
			}
		}
		return nil
	})
}

// ListUsers implements store.Users.
func (s *Store) ListUsers(ctx context.Context, q store.UserQuery) ([]store.User, error) {
	where := s.usersWhere(q)
	older, order := "<", " ORDER BY created_at DESC, id DESC"
	if q.Ascending {
		older, order = ">", " ORDER BY created_at, id"
	}
	if !q.After.CreatedAt.IsZero() {
		// Said twice, so that every planner sees the range of the index.
		at := s.at(q.After.CreatedAt)
		where.add("created_at "+older+"= ?", at)
		where.add("(created_at "+older+" ? OR id "+older+" ?)", at, s.id(q.After.ID))
	}
	limit, offset := page(q.Limit, q.Offset)
	query := where.String() + order + ` LIMIT ? OFFSET ?`
	if offset > 0 && q.Filter == "" {
		// What is left out is counted off in the index alone; else each row of it is read.
		// MySQL takes a LIMIT in a table only, not in IN itself.
		query = ` WHERE id IN (SELECT id FROM (SELECT id FROM {users}` + query + `) AS page)` + order
	}
	return list(ctx, s, "list users", scanUser, selectUser+query, append(where.args, limit, offset)...)
}

// CountUsers implements store.Users.
func (s *Store) CountUsers(ctx context.Context, q store.UserQuery) (int64, error) {
	where := s.usersWhere(q)
	return one(ctx, s, "count users", scanValue[int64],
		`SELECT COUNT(*) FROM {users}`+where.String(), where.args...)
}

func (s *Store) usersWhere(q store.UserQuery) *conditions {
	w := &conditions{}
	if q.Audience != "" {
		w.add("audience = ?", q.Audience)
	}
	if q.Filter != "" {
		contains := s.db.dialect.Contains
		email, part := contains("email", q.Filter)
		name, lower := contains("search_name", strings.ToLower(q.Filter))
		w.add("("+email+" OR "+name+")", part, lower)
	}
	return w
}

// conditions are the WHERE of a query that can be asked in several ways. What is added
// is text of this package, never input.
type conditions struct {
	parts []string
	args  []any
}

func (c *conditions) add(part string, args ...any) {
	c.parts = append(c.parts, part)
	c.args = append(c.args, args...)
}

// String gives the clause, "" if there is no condition.
func (c *conditions) String() string {
	if len(c.parts) == 0 {
		return ""
	}
	return " WHERE " + strings.Join(c.parts, " AND ")
}

// page bounds what a caller asks for: 50 rows by default, 1000 at most.
func page(limit, offset int) (int, int) {
	if limit <= 0 {
		limit = 50
	}
	return min(limit, 1000), max(offset, 0)
}
