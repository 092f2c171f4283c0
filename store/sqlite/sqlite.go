// Package sqlite keeps the accounts in a SQLite file: no server, no cgo, several
// processes on one file.
//
// Reads run side by side, each on a connection of its own. Writes go through one writer
// for each process, which commits those that wait together, with one fsync (WAL,
// synchronous=FULL): when a call has returned nil, its write survives kill -9 and the
// loss of power. Processes take turns under an advisory lock on the file that ends in
// ".lock" (and ".lock-next", which makes the turns fair); both stay where they are.
//
// The file must be on a local disk: WAL doesn't work on network shares.
//
// # A host's own transaction
//
// A host that keeps its own tables in the same file can let the library take part in
// its transaction, see [sqlstore.Store.Join]. Its connection should be opened with
//
//	file:app.db?_txlock=immediate&_pragma=busy_timeout(5000)&_pragma=foreign_keys(1)
//
// Without _txlock=immediate a transaction that reads first and writes later fails at
// once with "database is locked" if anybody wrote in between: SQLite can't wait there.
// Without busy_timeout it fails whenever somebody else is writing.
//
// While that transaction is open nobody else can write the file. A host that calls a
// method that writes on the Store itself, rather than on the joined one, waits for its
// own transaction: the call fails with store.ErrUnavailable after [WithLockWait], or
// when its context ends. The same holds for a function given to Tx that writes through
// another Store than the one that it was given; there [WithBudget] ends the wait.
package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"

	"github.com/truekeel/auth/store/sqlstore"
)

// Store is a store.Store on a SQLite file. It is safe for concurrent use.
type Store struct {
	*sqlstore.Store
	path string
}

// Path gives the absolute path of the database file.
func (s *Store) Path() string { return s.path }

// Open opens the database at path, and creates it, readable by its owner alone, if
// there is none. It doesn't create the schema: call Migrate. An error names the file
// and what helps.
func Open(path string, opts ...Option) (*Store, error) {
	o := defaults()
	for _, opt := range opts {
		if err := opt(o); err != nil {
			return nil, err
		}
	}
	return open(path, o, nil)
}

// OpenTemp opens a new database with its schema in a directory of its own, which Close
// removes. It is a real file with a real writer, except that it isn't synced to disk.
// It is meant for tests.
func OpenTemp(opts ...Option) (*Store, error) {
	o := defaults()
	o.scratch = true
	for _, opt := range opts {
		if err := opt(o); err != nil {
			return nil, err
		}
	}
	dir, err := os.MkdirTemp("", "auth-sqlite-")
	if err != nil {
		return nil, fmt.Errorf("sqlite: temporary database: %w", err)
	}
	s, err := open(filepath.Join(dir, "auth.db"), o, func() error { return os.RemoveAll(dir) })
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	if err := s.Migrate(context.Background()); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// open opens the database; after is called when it is closed.
func open(path string, o *options, after func() error) (_ *Store, err error) {
	path, err = resolve(path)
	if err != nil {
		return nil, err
	}
	var undo []func() error
	defer func() {
		if err != nil {
			err = errors.Join(err, closeAll(undo))
		}
	}()
	// The writer and migrations exclude each other: two holders of the lock.
	lock, err := openLock(path, o.wait)
	if err != nil {
		return nil, fmt.Errorf("sqlite: open %s: its lock file can't be opened; the directory must exist, "+
			"and this user must be allowed to write in it: %w", path, err)
	}
	undo = append(undo, lock.close)
	other, err := openLock(path, o.wait)
	if err != nil {
		return nil, fmt.Errorf("sqlite: open %s: %w", path, err)
	}
	undo = append(undo, other.close)
	writes, err := pool(writeDSN(path, busyPause, o), 1)
	if err != nil {
		return nil, fmt.Errorf("sqlite: open %s: %w", path, err)
	}
	undo = append(undo, writes.Close)
	if err := prepare(writes, lock, path, o.wait); err != nil {
		return nil, err
	}
	migrates, err := pool(writeDSN(path, o.wait, o), 1)
	if err != nil {
		return nil, fmt.Errorf("sqlite: open %s: %w", path, err)
	}
	migrates.SetMaxIdleConns(0) // needed once, at most
	undo = append(undo, migrates.Close)
	reads, err := pool(readDSN(path), o.readers)
	if err != nil {
		return nil, fmt.Errorf("sqlite: open %s: %w", path, err)
	}
	undo = append(undo, reads.Close)
	d, err := dialect(path, other)
	if err != nil {
		return nil, fmt.Errorf("sqlite: %w", err)
	}
	w := newWriter(path, writes, lock, o)
	end := append(undo, func() error { w.close(); return nil })
	undo = end
	if after != nil {
		end = append([]func() error{after}, end...)
	}
	s, err := sqlstore.New(reads, sqlstore.Config{
		Dialect: d, Namespace: o.prefix, Logger: o.log, Budget: o.budget,
		Writer: w, Migrate: migrates, Close: func() error { return closeAll(end) },
	})
	if err != nil {
		return nil, err
	}
	return &Store{s, path}, nil
}

// closeAll calls what was collected, last first.
func closeAll(undo []func() error) error {
	var errs []error
	for i := len(undo) - 1; i >= 0; i-- {
		errs = append(errs, undo[i]())
	}
	return errors.Join(errs...)
}

// resolve makes path absolute, because connections are opened later too, and follows
// links, because SQLite does so for its own side files.
func resolve(path string) (string, error) {
	if path == "" || strings.HasPrefix(path, ":memory:") || strings.HasPrefix(path, "file:") {
		return "", fmt.Errorf("sqlite: open %q: the path of a file is wanted, such as auth.db "+
			"(for a throw-away database see OpenTemp)", path)
	}
	absolute, err := filepath.Abs(path)
	if err != nil {
		return "", fmt.Errorf("sqlite: open %s: %w", path, err)
	}
	info, err := os.Stat(absolute)
	if err == nil && info.IsDir() {
		return "", fmt.Errorf("sqlite: open %s: it is a directory; name a file in it", absolute)
	}
	if real, err := filepath.EvalSymlinks(absolute); err == nil {
		return real, nil
	}
	dir, err := filepath.EvalSymlinks(filepath.Dir(absolute))
	if err != nil {
		return "", fmt.Errorf("sqlite: open %s: the directory must exist: %w", absolute, err)
	}
	return filepath.Join(dir, filepath.Base(absolute)), nil
}

// pool makes a pool of at most n connections, all of which are kept.
func pool(dsn string, n int) (*sql.DB, error) {
	connector, err := sqlite.NewConnector(dsn)
	if err != nil {
		return nil, err
	}
	db := sql.OpenDB(connector)
	db.SetMaxOpenConns(n)
	db.SetMaxIdleConns(n)
	return db, nil
}

func dsn(path string, query url.Values) string {
	slashed := filepath.ToSlash(path)
	if !strings.HasPrefix(slashed, "/") { // C:/data/auth.db
		slashed = "/" + slashed
	}
	query.Set("_dqs", "0") // "x" is an identifier, never a text
	// SQLite, which reads this too, doesn't take + for a space.
	encoded := strings.ReplaceAll(query.Encode(), "+", "%20")
	u := url.URL{Scheme: "file", Path: slashed, RawQuery: encoded}
	return u.String()
}

func readDSN(path string) string {
	return dsn(path, url.Values{"_query_only": {"1"}, "_busy_timeout": {"5000"}})
}

// writeDSN is for connections that write. busy is how long SQLite waits for its lock.
func writeDSN(path string, busy time.Duration, o *options) string {
	synchronous := "FULL"
	if o.scratch {
		synchronous = "OFF"
	}
	return dsn(path, url.Values{
		// A new file gets the mode of the lock file; side files get the database's.
		// Creating it ourselves would mean closing it, and POSIX drops all locks that
		// the process has on a file when it closes any descriptor of it.
		"modeof":        {path + lockSuffix},
		"_busy_timeout": {strconv.FormatInt(busy.Milliseconds(), 10)},
		"_journal_mode": {"WAL"},
		"_synchronous":  {synchronous},
		"_foreign_keys": {"1"},
		"_txlock":       {"immediate"},
		"_pragma": {
			// fsync on macOS leaves the data in the disk's cache; this doesn't.
			"fullfsync(1)", "checkpoint_fullfsync(1)",
			// A burst shall not leave its WAL's size behind for ever.
			"journal_size_limit(67108864)",
			// Savepoints keep what they may have to restore in memory, not in a file.
			"temp_store(2)",
			// A group changes many pages: 8 MiB hold them, and a checkpoint, with its
			// fsyncs of the database, comes every 16 MiB.
			"cache_size(-8192)", "wal_autocheckpoint(4096)",
		},
	})
}

// prepare opens the first connection under the lock, because the change to WAL doesn't
// wait for others, and finds out whether the file is a database that can be written.
func prepare(db *sql.DB, lock *fileLock, path string, wait time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), wait)
	defer cancel()
	if err := lock.acquire(ctx); err != nil {
		return fmt.Errorf("sqlite: open %s: %w", path, err)
	}
	err := probe(ctx, db)
	if released := lock.release(); err == nil {
		err = released
	}
	switch {
	case err == nil:
		return nil
	case code(err) == 0:
		return fmt.Errorf("sqlite: open %s: %w", path, err)
	}
	return fmt.Errorf("sqlite: open %w", explain(path, err))
}

func probe(ctx context.Context, db *sql.DB) error {
	var mode string
	if err := untilFree(ctx, func() error {
		return db.QueryRowContext(context.Background(), "PRAGMA journal_mode").Scan(&mode)
	}); err != nil {
		return err
	}
	if mode != "wal" {
		return fmt.Errorf("the file system doesn't support WAL (journal mode is %q); "+
			"use a local disk", mode)
	}
	return untilFree(ctx, func() error {
		tx, err := db.BeginTx(context.Background(), nil)
		if err != nil {
			return err
		}
		return tx.Rollback()
	})
}

// untilFree tries until SQLite's own lock is free, which a host's transaction may hold,
// or ctx ends. SQLite waits a little at each attempt.
func untilFree(ctx context.Context, try func() error) error {
	for {
		err := try()
		if code(err)&0xff != lib.SQLITE_BUSY || ctx.Err() != nil {
			return err
		}
	}
}
