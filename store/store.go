// Package store says what the library keeps, and what a database must promise to keep
// it: the nouns ([User], [Session], ...), the two errors, and the interface [Store],
// composed of one small interface an entity.
//
// Hosts choose a ready one (store/sqlite, store/postgres, store/mysql). Whoever writes
// another checks it with store/storetest, the suite that all of them pass.
//
// # Promises
//
// Every method is safe for concurrent use. Times are UTC, truncated to microseconds; a
// zero time means "never" and is stored as NULL. Empty strings of nullable columns
// (email, phone) are stored as NULL and never clash. Identifiers and addresses compare
// by bytes. JSON comes back with the same meaning, not the same key order. Transactions
// are READ COMMITTED or stricter.
package store

import (
	"context"
	"database/sql"
	"errors"
	"time"
)

var (
	// ErrNotFound means that there is no such row. Every method that reads one row
	// returns it (possibly wrapped) on a miss, and the zero value beside it.
	ErrNotFound = errors.New("store: not found")

	// ErrConflict means that a unique key is taken. The transaction that got it is
	// lost: return from its function, then read again in a new one.
	ErrConflict = errors.New("store: conflict")

	// ErrStale means that a row changed since it was read (see [Users.UpdateUser]).
	// Return it from the function given to [Store.Tx]: the function is run again.
	ErrStale = errors.New("store: stale row")

	// ErrUnavailable means that the database can't be reached, is full, read-only or
	// stayed locked: the request may be repeated later. It wraps the cause.
	ErrUnavailable = errors.New("store: unavailable")
)

// Store is everything that the library asks of a database. Its parts are small, so that
// code can ask for the part that it uses.
type Store interface {
	Users
	Identities
	Sessions
	RefreshTokens
	OneTimeTokens
	FlowStates
	AuditLog
	Outbox
	EventDeliveries
	Keys
	Counters
	Settings
	Purger

	// Tx runs fn in a transaction and commits it if fn returns nil; a returned error
	// rolls it back and is returned. fn uses only the Store that it is given, which
	// is valid until fn returns. fn may be run several times (serialization failure,
	// deadlock, lost connection, ErrStale), so it must set what it computes anew each
	// time and have no other effect. Nothing slow belongs in it: no network, no hash.
	//
	// A Tx on the Store given to fn is a savepoint: its error undoes its own writes
	// alone, unless it is one that loses the transaction (ErrConflict).
	//
	// When Tx returns nil the writes are durable. ctx is honoured while waiting to
	// begin; once fn has begun it isn't cut short in the middle of a write.
	// A panic in fn rolls back and is re-raised in the caller's goroutine.
	Tx(ctx context.Context, fn func(tx Store) error) error

	// Ping reports whether the database answers and holds the schema.
	Ping(ctx context.Context) error

	// Close releases what the store holds. Calls in flight finish or fail with
	// ErrUnavailable. A second Close is a no-op.
	Close() error
}

// Migrator is what a Store implements that can bring its own schema up to date.
// It is safe when several processes migrate one empty database at the same instant.
type Migrator interface {
	// Migrate applies what is missing. A schema newer than this program is an error.
	Migrate(ctx context.Context) error
	// MigrationStatus gives the schema's version and the one that this program wants.
	MigrationStatus(ctx context.Context) (have, want int64, err error)
}

// Joiner is what a Store implements that can work inside of a transaction that its
// host opened on the same database.
type Joiner interface {
	// Join gives a Store whose writes are part of tx and become durable when the host
	// commits it. Its Tx is a savepoint. It refuses a transaction that doesn't see
	// the library's tables. The result is valid as long as tx is.
	Join(ctx context.Context, tx *sql.Tx) (Store, error)
}

// Functions is what a Store implements whose database may run functions that the host
// wrote there.
type Functions interface {
	// HasFunctions reports whether this database does.
	HasFunctions() bool
	// CallFunction runs a function that takes one JSON document and gives one, in a
	// transaction of its own, until the deadline of ctx or for 2 seconds. Its result is
	// nil where the function gives NULL. Names are taken as they are, not folded; one
	// that isn't of up to 63 letters, digits and underscores is an error. A function that
	// takes too long is cut short, with an error that is context.DeadlineExceeded; no
	// error holds text that the function wrote.
	CallFunction(ctx context.Context, schema, name string, in []byte) ([]byte, error)
}

// Purger deletes what nobody needs any more.
type Purger interface {
	// Purge deletes up to limit rows of kind that ended before the given time, oldest
	// first, and says how many. An unknown kind is an error.
	Purge(ctx context.Context, kind PurgeKind, before time.Time, limit int) (int64, error)
}

// PurgeKind names what [Purger.Purge] deletes.
type PurgeKind string

// The kinds of purge, with the time that "before" is compared with.
const (
	PurgeOneTimeTokens PurgeKind = "one_time_tokens" // OneTimeToken.ExpiresAt
	PurgeFlowStates    PurgeKind = "flow_states"     // FlowState.ExpiresAt
	PurgeCounters      PurgeKind = "counters"        // Counter expiry
	PurgeOutbox        PurgeKind = "outbox"          // OutboxItem.DoneAt (never the undelivered)
	PurgeEvents        PurgeKind = "events"          // EventDelivery.DoneAt (never the undelivered)
	PurgeAudit         PurgeKind = "audit"           // AuditEntry.CreatedAt
	PurgeRefreshTokens PurgeKind = "refresh_tokens"  // RefreshToken.CreatedAt, only those with Seq < the session's RefreshSeq-1
	PurgeSessions      PurgeKind = "sessions"        // Session.NotAfter where set, with its refresh tokens
	PurgeKeys          PurgeKind = "keys"            // SigningKey.RetiredAt where State is retired
)
