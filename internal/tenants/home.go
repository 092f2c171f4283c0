package tenants

import (
	"context"
	"database/sql"
	"encoding/base32"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/uuid"

	"github.com/truekeel/auth"
	"github.com/truekeel/auth/store"
	"github.com/truekeel/auth/store/mysql"
	"github.com/truekeel/auth/store/postgres"
	"github.com/truekeel/auth/store/sqlite"
)

// Files keeps the accounts of each instance in a SQLite file in a folder of its own.
type Files struct {
	// Dir is the folder of the folders. Required.
	Dir string
	// Readers is how many reads of one instance may run at once. Default 2.
	Readers int
}

func (f Files) folder(id uuid.UUID) string { return filepath.Join(f.Dir, id.String()) }

// Place implements [Home].
func (f Files) Place(id uuid.UUID) (auth.Option, error) {
	if err := os.MkdirAll(f.folder(id), 0o700); err != nil {
		return nil, fmt.Errorf("tenants: folder of an instance: %w", err)
	}
	path := filepath.Join(f.folder(id), "auth.db")
	return auth.WithOpenStore(func(_ context.Context, log *slog.Logger) (store.Store, error) {
		s, err := sqlite.Open(path, sqlite.WithLogger(log), sqlite.WithReaders(or(f.Readers, 2)))
		if err != nil {
			return nil, err
		}
		return s, nil
	}), nil
}

// Remove implements [Home].
func (f Files) Remove(_ context.Context, id uuid.UUID) error { return os.RemoveAll(f.folder(id)) }

// Schemas keeps the accounts of each instance in tables of its own in one database: in a
// schema on PostgreSQL, under a prefix on MySQL. All instances share the connections.
type Schemas struct {
	// DB is the database, which the caller closes after the [Server].
	DB *sql.DB
	// Kind is [Postgres] or [MySQL].
	Kind string
}

// name is the schema, or the prefix of the tables. It has letters and digits only.
func (h Schemas) name(id uuid.UUID) string {
	// In base 32, for a name has 32 characters at most and must hold the whole id.
	return "t_" + strings.ToLower(strings.TrimRight(base32.HexEncoding.EncodeToString(id[:]), "=")) + "_"
}

// Place implements [Home].
func (h Schemas) Place(id uuid.UUID) (auth.Option, error) {
	name := h.name(id)
	return auth.WithOpenStore(func(_ context.Context, log *slog.Logger) (store.Store, error) {
		switch h.Kind {
		case Postgres:
			return opened(postgres.New(h.DB, postgres.WithSchema(name), postgres.WithLogger(log)))
		case MySQL:
			return opened(mysql.New(h.DB, mysql.WithPrefix(name), mysql.WithLogger(log)))
		}
		return nil, fmt.Errorf("tenants: there are no schemas in a database of kind %q", h.Kind)
	}), nil
}

// opened keeps a nil pointer from becoming a Store that isn't nil.
func opened[S store.Store](s S, err error) (store.Store, error) {
	if err != nil {
		return nil, err
	}
	return s, nil
}

// Remove implements [Home].
func (h Schemas) Remove(ctx context.Context, id uuid.UUID) (err error) {
	name := h.name(id)
	if h.Kind == Postgres {
		_, err := h.DB.ExecContext(ctx, `DROP SCHEMA IF EXISTS "`+name+`" CASCADE`)
		return err
	}
	conn, err := h.DB.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	tables, err := tablesOf(ctx, conn, name)
	if err != nil {
		return err
	}
	// The tables refer to each other, and all of them go.
	if _, err := conn.ExecContext(ctx, `SET FOREIGN_KEY_CHECKS = 0`); err != nil {
		return err
	}
	for _, t := range tables {
		if _, err := conn.ExecContext(ctx, "DROP TABLE IF EXISTS `"+t+"`"); err != nil {
			return err
		}
	}
	_, err = conn.ExecContext(ctx, `SET FOREIGN_KEY_CHECKS = 1`)
	return err
}

// tablesOf gives the tables whose names begin with a prefix.
func tablesOf(ctx context.Context, conn *sql.Conn, prefix string) ([]string, error) {
	rows, err := conn.QueryContext(ctx, `SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE() AND LEFT(table_name, ?) = ?`, len(prefix), prefix)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []string
	for rows.Next() {
		var t string
		if err := rows.Scan(&t); err != nil {
			return nil, err
		}
		out = append(out, t)
	}
	return out, rows.Err()
}
