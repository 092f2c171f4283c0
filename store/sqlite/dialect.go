package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/pressly/goose/v3"
	"modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"

	"github.com/truekeel/auth/store/sqlstore"
)

//go:embed migrations/*.sql
var migrations embed.FS

// dialect describes SQLite to sqlstore. path is named in errors.
func dialect(path string, locker *fileLock) (sqlstore.Dialect, error) {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return sqlstore.Dialect{}, err
	}
	return sqlstore.Dialect{
		Name:            "sqlite",
		Time:            func(t time.Time) any { return t.Format(sqlstore.TimeLayout) },
		Contains:        contains,
		IsDuplicate:     isDuplicate,
		IsMissingParent: isMissingParent,
		IsUnavailable:   isUnavailable,
		Explain:         func(err error) error { return explain(path, err) },
		Prepare:         true,
		Migrations:      files,
		Goose:           goose.DialectSQLite3,
		GooseOptions: func(string) ([]goose.ProviderOption, error) {
			return []goose.ProviderOption{goose.WithLocker(migrationLock{locker})}, nil
		},
		HasTable: hasTable,
	}, nil
}

// contains spares us LIKE, which ignores the case of ASCII letters here.
func contains(expr, part string) (string, any) { return "instr(" + expr + ", ?) > 0", part }

func hasTable(ctx context.Context, db *sql.DB, table string) (bool, error) {
	var n int
	err := db.QueryRowContext(ctx, `SELECT COUNT(*) FROM sqlite_master WHERE type = 'table' AND name = ?`,
		table).Scan(&n)
	return n > 0, err
}

// migrationLock keeps processes (and the writer) apart while the schema changes.
type migrationLock struct{ lock *fileLock }

func (m migrationLock) Lock(ctx context.Context, _ *sql.DB) error { return m.lock.acquire(ctx) }

func (m migrationLock) Unlock(context.Context, *sql.DB) error { return m.lock.release() }

// code gives SQLite's extended result code, 0 if err has none.
func code(err error) int {
	var e *sqlite.Error
	if errors.As(err, &e) {
		return e.Code()
	}
	return 0
}

func isDuplicate(err error) bool {
	switch code(err) {
	case lib.SQLITE_CONSTRAINT_UNIQUE, lib.SQLITE_CONSTRAINT_PRIMARYKEY, lib.SQLITE_CONSTRAINT_ROWID:
		return true
	case 0: // a host's transaction may run on another driver
		return strings.Contains(err.Error(), "UNIQUE constraint failed")
	}
	return false
}

func isMissingParent(err error) bool {
	switch code(err) {
	case lib.SQLITE_CONSTRAINT_FOREIGNKEY:
		return true
	case 0:
		return strings.Contains(err.Error(), "FOREIGN KEY constraint failed")
	}
	return false
}

// isUnavailable reports that waiting, or an operator, may help without a loss.
func isUnavailable(err error) bool {
	switch code(err) & 0xff {
	case lib.SQLITE_BUSY, lib.SQLITE_LOCKED, lib.SQLITE_FULL, lib.SQLITE_READONLY, lib.SQLITE_CANTOPEN,
		lib.SQLITE_IOERR, lib.SQLITE_NOMEM, lib.SQLITE_PROTOCOL, lib.SQLITE_PERM, lib.SQLITE_INTERRUPT:
		return true
	}
	return false
}

// explain says which file it is and what helps.
func explain(path string, err error) error {
	var remedy string
	switch code(err) & 0xff {
	case lib.SQLITE_BUSY, lib.SQLITE_LOCKED:
		remedy = "another program holds a transaction open on it; end that, or keep transactions short"
	case lib.SQLITE_FULL:
		remedy = "the disk is full; free some space"
	case lib.SQLITE_READONLY:
		remedy = "it is read-only; let this user write the file and its directory"
	case lib.SQLITE_CANTOPEN, lib.SQLITE_PERM, lib.SQLITE_AUTH:
		remedy = "it can't be opened; the directory must exist, and this user must be allowed to write in it"
	case lib.SQLITE_IOERR:
		remedy = "the disk failed to read or write; look into the system's log, and at the free space"
	case lib.SQLITE_CORRUPT:
		remedy = "it is damaged; stop the program and restore a backup"
	case lib.SQLITE_NOTADB:
		remedy = "it is no SQLite database; name another path, or move that file away"
	default:
		return err
	}
	return fmt.Errorf("%s: %s: %w", path, remedy, err)
}
