package sqlstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"

	"github.com/google/uuid"
	"github.com/pressly/goose/v3"
	goosedb "github.com/pressly/goose/v3/database"
)

// versionTable is where goose keeps what it has applied.
const versionTable = "{schema_migrations}"

// Migrate brings the schema up to date; see store.Migrator.
func (s *Store) Migrate(ctx context.Context) error {
	if s.scope != nil {
		return errors.New("sqlstore: migrate: not inside of a transaction")
	}
	db := s.db
	d := &db.dialect
	if d.BeforeMigrate != nil {
		if err := d.BeforeMigrate(ctx, db.migrate, db.namespace); err != nil {
			return db.fail("migrate", err)
		}
	}
	have, want, err := s.MigrationStatus(ctx)
	if err != nil {
		return err
	}
	if have > want {
		return fmt.Errorf("sqlstore: migrate: the schema has version %d, this program knows %d: "+
			"run a newer program, or restore a backup", have, want)
	}
	if have < want {
		if err := db.apply(ctx); err != nil {
			return err
		}
	}
	_, err = s.SettleSetting(ctx, instanceSetting, []byte(uuid.NewString()))
	return err
}

// MigrationStatus gives the schema's version, 0 for an empty database, and the one that
// this program wants. It changes nothing.
func (s *Store) MigrationStatus(ctx context.Context) (have, want int64, err error) {
	provider, err := s.db.provider()
	if err != nil {
		return 0, 0, err
	}
	sources := provider.ListSources()
	want = sources[len(sources)-1].Version
	have, err = s.db.schemaVersion(ctx)
	return have, want, s.db.fail("read the schema's version", err)
}

func (db *database) apply(ctx context.Context) error {
	provider, err := db.provider()
	if err != nil {
		return err
	}
	done, err := provider.Up(ctx)
	for _, m := range done {
		db.log.InfoContext(ctx, "schema migrated", "database", db.dialect.Name,
			"version", m.Source.Version, "took", m.Duration.Round(time.Millisecond))
	}
	return db.fail("migrate", err)
}

func (db *database) provider() (*goose.Provider, error) {
	d := &db.dialect
	options := []goose.ProviderOption{
		goose.WithTableName(db.text(versionTable)),
		goose.WithDisableGlobalRegistry(true),
		goose.WithSlog(db.log),
	}
	if d.GooseOptions != nil {
		more, err := d.GooseOptions(db.namespace)
		if err != nil {
			return nil, fmt.Errorf("sqlstore: migrate: %w", err)
		}
		options = append(options, more...)
	}
	files := named{d.Migrations, func(text string) string { return d.names(db.namespace, text) }}
	provider, err := goose.NewProvider(d.Goose, db.migrate, files, options...)
	if err != nil {
		return nil, fmt.Errorf("sqlstore: migrate: %w", err)
	}
	return provider, nil
}

// schemaVersion reads goose's table. goose itself would create it to answer.
func (db *database) schemaVersion(ctx context.Context) (int64, error) {
	versions, err := goosedb.NewStore(db.dialect.Goose, db.text(versionTable))
	if err != nil {
		return 0, err
	}
	var found bool
	if db.dialect.HasTable != nil {
		found, err = db.dialect.HasTable(ctx, db.migrate, versions.Tablename())
	} else if extended, ok := versions.(goosedb.StoreExtender); ok {
		found, err = extended.TableExists(ctx, db.migrate)
	} else {
		err = errors.ErrUnsupported
	}
	if err != nil || !found {
		return 0, err
	}
	version, err := versions.GetLatestVersion(ctx, db.migrate)
	if errors.Is(err, goosedb.ErrVersionNotFound) {
		return 0, nil
	}
	return version, err
}

// named is a file system whose files hold the names of this store's tables.
type named struct {
	fs.FS
	replace func(string) string
}

// Open implements fs.FS.
func (n named) Open(name string) (fs.File, error) {
	f, err := n.FS.Open(name)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil || info.IsDir() {
		return f, err
	}
	b, err := io.ReadAll(f)
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return nil, err
	}
	text := []byte(n.replace(string(b)))
	return &namedFile{bytes.NewReader(text), namedInfo{info, int64(len(text))}}, nil
}

type namedFile struct {
	*bytes.Reader
	info namedInfo
}

func (f *namedFile) Stat() (fs.FileInfo, error) { return f.info, nil }
func (f *namedFile) Close() error               { return nil }

type namedInfo struct {
	fs.FileInfo
	size int64
}

func (i namedInfo) Size() int64 { return i.size }
