package sqlstore

import (
	"context"
	"errors"

	"github.com/truekeel/auth/store"
)

// instanceSetting names the setting that tells one database from another; Migrate
// writes it, Join compares it.
const instanceSetting = "store.instance"

// Setting implements store.Settings.
func (s *Store) Setting(ctx context.Context, name string) ([]byte, error) {
	return one(ctx, s, "read setting", scanValue[[]byte],
		`SELECT value FROM {settings} WHERE name = ?`, name)
}

// PutSetting implements store.Settings. Inside a Tx it may return store.ErrStale.
func (s *Store) PutSetting(ctx context.Context, name string, value []byte) error {
	const op = "put setting"
	return s.atomic(ctx, op, func(tx *Store) error {
		if _, err := tx.exec(ctx, op, `DELETE FROM {settings} WHERE name = ?`, name); err != nil {
			return err
		}
		return tx.addSetting(ctx, op, name, value)
	})
}

// SettleSetting implements store.Settings. Inside a Tx it may return store.ErrStale.
func (s *Store) SettleSetting(ctx context.Context, name string, value []byte) ([]byte, error) {
	const op = "settle setting"
	settled, err := s.Setting(ctx, name)
	if !errors.Is(err, store.ErrNotFound) {
		return settled, err
	}
	err = s.atomic(ctx, op, func(tx *Store) error {
		settled, err = tx.Setting(ctx, name)
		if !errors.Is(err, store.ErrNotFound) {
			return err
		}
		settled = value
		return tx.addSetting(ctx, op, name, value)
	})
	if err != nil {
		return nil, err
	}
	return settled, nil
}

func (s *Store) addSetting(ctx context.Context, op, name string, value []byte) error {
	_, err := s.exec(ctx, op, `INSERT INTO {settings} (name, value) VALUES (?, ?)`, name, value)
	return stale(op, err)
}
