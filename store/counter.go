package store

import (
	"context"
	"time"
)

// Counters counts events by key until they expire, so that budgets survive a restart
// and hold for all processes on one database.
type Counters interface {
	// Count adds one to the counter of key, which starts at zero and is dropped at its
	// expiry; a new one expires at expires. It gives the new count and the expiry.
	// Racing callers get distinct counts. Inside a Tx it may return ErrStale.
	Count(ctx context.Context, key string, now, expires time.Time) (n int64, until time.Time, err error)
	// Counted gives the count of key at now without adding to it; zero on a miss.
	Counted(ctx context.Context, key string, now time.Time) (n int64, until time.Time, err error)
	// DropCounter forgets key; a miss is no error.
	DropCounter(ctx context.Context, key string) error
}

// Settings keeps the few values that belong to the whole database.
type Settings interface {
	// Setting reads a value. ErrNotFound on a miss.
	Setting(ctx context.Context, name string) ([]byte, error)
	// PutSetting writes a value over what there is. Inside a Tx it may return ErrStale.
	PutSetting(ctx context.Context, name string, value []byte) error
	// SettleSetting stores value if there is none and gives what is stored then: all
	// racing callers get the same. Inside a Tx it may return ErrStale.
	SettleSetting(ctx context.Context, name string, value []byte) ([]byte, error)
}
