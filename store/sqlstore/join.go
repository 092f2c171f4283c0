package sqlstore

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/truekeel/auth/store"
)

// Join gives a Store whose statements are part of the host's transaction; see
// store.Joiner. It refuses a transaction that doesn't see this store's tables, or sees
// those of another database: Migrate gives every database a mark of its own.
//
// After the first error of the database, a conflict above all, every call fails with
// that error, and the host's transaction should be rolled back. Its Close does nothing.
func (s *Store) Join(ctx context.Context, tx *sql.Tx) (store.Store, error) {
	if s.scope != nil {
		return nil, errors.New("sqlstore: join: this store is inside of a transaction already")
	}
	if tx == nil {
		return nil, errors.New("sqlstore: join: no transaction")
	}
	ours, err := s.instance(ctx)
	if err != nil {
		return nil, err
	}
	joined := &Store{db: s.db, scope: &scope{
		tx:     &transaction{db: s.db, conn: Direct(tx)},
		budget: s.db.budget,
	}}
	theirs, err := joined.Setting(ctx, instanceSetting)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return nil, fmt.Errorf("sqlstore: join: the transaction doesn't see the table %s: "+
			"is it one of the same database? %w", s.db.text("{settings}"), err)
	}
	if err != nil || !bytes.Equal(theirs, []byte(ours)) {
		return nil, errors.New("sqlstore: join: the transaction is one of another database than this store's")
	}
	return joined, nil
}

// instance gives this database's own mark. It doesn't change, so it is read once.
func (s *Store) instance(ctx context.Context) (string, error) {
	if mark := s.db.instance.Load(); mark != nil {
		return *mark, nil
	}
	b, err := s.Setting(ctx, instanceSetting)
	if errors.Is(err, store.ErrNotFound) {
		return "", errors.New("sqlstore: join: the database has no mark of its own: call Migrate first")
	}
	if err != nil {
		return "", err
	}
	mark := string(b)
	s.db.instance.Store(&mark)
	return mark, nil
}
