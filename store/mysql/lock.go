package mysql

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"
)

// The lock of a process that died in the middle of a migration is taken over after
// lockLease.
const (
	lockLease     = 10 * time.Second
	lockHeartbeat = 2 * time.Second
	lockInterval  = 250 * time.Millisecond
	lockWait      = 5 * time.Minute
)

// tableLock keeps processes apart that migrate at the same time, by a row of a table
// with a lease. It is goose's lock.Locker: goose's own one reads a time.Time, which
// takes a DSN with parseTime, and GET_LOCK isn't known to a whole Galera cluster.
type tableLock struct {
	table string
	owner string
	log   *slog.Logger

	mu   sync.Mutex // held from Lock to Unlock
	stop func()
}

func newLock(table string, log *slog.Logger) *tableLock {
	return &tableLock{table: table, owner: uuid.NewString(), log: log}
}

// Lock waits until nobody else holds the lock, five minutes at most.
func (l *tableLock) Lock(ctx context.Context, db *sql.DB) error {
	l.mu.Lock()
	if err := l.acquire(ctx, db); err != nil {
		l.mu.Unlock()
		return fmt.Errorf("mysql: lock for migrations: %w", err)
	}
	beat, cancel := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan struct{})
	go func() {
		defer close(done)
		l.keep(beat, db)
	}()
	l.stop = func() {
		cancel()
		<-done
	}
	return nil
}

// Unlock lets the others in.
func (l *tableLock) Unlock(ctx context.Context, db *sql.DB) error {
	defer l.mu.Unlock()
	l.stop()
	_, err := db.ExecContext(context.WithoutCancel(ctx),
		`UPDATE `+l.table+` SET owner = NULL, lease_until = NULL WHERE owner = ?`, l.owner)
	return err
}

func (l *tableLock) acquire(ctx context.Context, db *sql.DB) error {
	ctx, cancel := context.WithTimeoutCause(ctx, lockWait, errors.New("another process has held it for too long"))
	defer cancel()
	ticker := time.NewTicker(lockInterval)
	defer ticker.Stop()
	for {
		got, err := l.try(ctx, db)
		if got || (err != nil && !isRetryable(err)) {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-ticker.C:
		}
	}
}

// try takes the lock if it is free. The database's clock counts, not ours.
func (l *tableLock) try(ctx context.Context, db *sql.DB) (bool, error) {
	if _, err := db.ExecContext(ctx, `CREATE TABLE IF NOT EXISTS `+l.table+` (
		id          int NOT NULL PRIMARY KEY,
		owner       varchar(64),
		lease_until datetime(6)
	) ENGINE=InnoDB`); err != nil {
		return false, err
	}
	if _, err := db.ExecContext(ctx, `INSERT IGNORE INTO `+l.table+` (id) VALUES (1)`); err != nil {
		return false, err
	}
	return l.lease(ctx, db, `owner IS NULL OR lease_until < UTC_TIMESTAMP(6)`)
}

func (l *tableLock) lease(ctx context.Context, db *sql.DB, condition string, args ...any) (bool, error) {
	r, err := db.ExecContext(ctx, `UPDATE `+l.table+` SET owner = ?,
		lease_until = UTC_TIMESTAMP(6) + INTERVAL ? SECOND WHERE id = 1 AND (`+condition+`)`,
		append([]any{l.owner, int(lockLease.Seconds())}, args...)...)
	if err != nil {
		return false, err
	}
	n, err := r.RowsAffected()
	return n > 0, err
}

// keep renews the lease until ctx ends.
func (l *tableLock) keep(ctx context.Context, db *sql.DB) {
	ticker := time.NewTicker(lockHeartbeat)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		kept, err := l.lease(ctx, db, `owner = ?`, l.owner)
		if ctx.Err() == nil && (err != nil || !kept) {
			l.log.WarnContext(ctx, "mysql: the lock for migrations couldn't be renewed", "error", err)
		}
	}
}
