package mysql

import (
	"bytes"
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync/atomic"
	"time"

	"github.com/pressly/goose/v3"

	"github.com/truekeel/auth/store/sqlstore"
)

//go:embed migrations/*.sql
var migrations embed.FS

// dialect describes MySQL and MariaDB to sqlstore.
func dialect(c *config) (sqlstore.Dialect, error) {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return sqlstore.Dialect{}, err
	}
	schema := &schema{FS: files, config: c}
	return sqlstore.Dialect{
		Name: "mysql",
		// The driver would shift a time.Time into the loc of the DSN, both ways.
		Time:          func(t time.Time) any { return t.Format(sqlstore.TimeLayout) },
		TimeColumn:    func(column string) string { return "CAST(" + column + " AS CHAR)" },
		IsDuplicate:   isDuplicate,
		IsRetryable:   isRetryable,
		IsLost:        isLost,
		IsUnavailable: isUnavailable,
		Explain:       func(err error) error { return explain(c.prefix, err) },
		Prepare:       c.prepare,
		Migrations:    schema,
		Goose:         goose.DialectMySQL,
		GooseOptions: func(prefix string) ([]goose.ProviderOption, error) {
			return []goose.ProviderOption{goose.WithLocker(newLock(prefix+"schema_lock", c.log))}, nil
		},
		BeforeMigrate: schema.look,
	}, nil
}

// schema is the migrations, with the collation that the server has.
type schema struct {
	fs.FS
	config    *config
	collation atomic.Pointer[string]
}

// anyCollation compares by bytes on every server, but pads with spaces; the files name
// it. The others don't pad, and aren't everywhere.
const anyCollation = "utf8mb4_bin"

// look finds out what the server has.
func (s *schema) look(ctx context.Context, db *sql.DB, _ string) error {
	if db.Stats().MaxOpenConnections == 1 {
		return errors.New("mysql: migrating takes two connections at once, the pool has one: call SetMaxOpenConns with 2 or more")
	}
	var mode, charset string
	err := db.QueryRowContext(ctx, `SELECT @@sql_mode, @@character_set_client`).Scan(&mode, &charset)
	if err != nil {
		return err
	}
	if charset != "utf8mb4" {
		return fmt.Errorf("mysql: the connection's character set is %s, which can't hold every text; "+
			"take charset out of the DSN, or set it to utf8mb4", charset)
	}
	if !strings.Contains(mode, "STRICT_TRANS_TABLES") && !strings.Contains(mode, "STRICT_ALL_TABLES") {
		return fmt.Errorf("mysql: sql_mode is %q, in which values that are too long are cut without an error; "+
			"add STRICT_TRANS_TABLES to it", mode)
	}
	var best sql.NullString
	err = db.QueryRowContext(ctx, `SELECT MIN(COLLATION_NAME) FROM information_schema.COLLATIONS
		WHERE COLLATION_NAME IN ('utf8mb4_0900_bin', 'utf8mb4_nopad_bin')`).Scan(&best)
	if err == nil && best.Valid {
		s.collation.Store(&best.String)
	}
	return err
}

// Open implements fs.FS.
func (s *schema) Open(name string) (fs.File, error) {
	best := s.collation.Load()
	if best == nil || !strings.HasSuffix(name, ".sql") {
		return s.FS.Open(name)
	}
	text, err := fs.ReadFile(s.FS, name)
	if err != nil {
		return nil, err
	}
	info, err := fs.Stat(s.FS, name)
	if err != nil {
		return nil, err
	}
	return &file{bytes.NewReader(bytes.ReplaceAll(text, []byte(anyCollation), []byte(*best))), info}, nil
}

// file is a migration with the collation put in.
type file struct {
	*bytes.Reader
	info fs.FileInfo
}

func (f *file) Stat() (fs.FileInfo, error) { return f.info, nil }
func (f *file) Close() error               { return nil }
