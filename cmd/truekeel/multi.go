package main

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"

	"github.com/go-sql-driver/mysql"
	"github.com/google/uuid"
	"github.com/spf13/cobra"
	"go.opentelemetry.io/otel/attribute"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"

	"github.com/truekeel/auth"
	"github.com/truekeel/auth/config"
	"github.com/truekeel/auth/internal/seal"
	"github.com/truekeel/auth/internal/tenants"
)

func (p *program) multiCommand() *cobra.Command {
	return &cobra.Command{
		Use: "multi", Short: "Serve many instances, each with accounts of its own; see docs/multi.md", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return p.serve(cmd.Context(), serveFlags{multi: true}) },
	}
}

// instances are many Auths behind the server's door.
type instances struct {
	*tenants.Server
	db *sql.DB
}

// Close closes the instances, then the database.
func (i instances) Close(ctx context.Context) error {
	return errors.Join(i.Server.Close(ctx), i.db.Close())
}

// openInstances opens the operator's registry and what answers for the instances.
func (s *server) openInstances(ctx context.Context, more []auth.Option) (_ *instances, err error) {
	c := s.config
	if c.Multi.OperatorToken == "" {
		return nil, errors.New("GOTRUE_OPERATOR_TOKEN: it is missing, and many instances need an operator; make one with: openssl rand -base64 48")
	}
	db, kind, home, err := openHome(c)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, db.Close())
		}
	}()
	box, err := instanceBox(c, kind)
	if err != nil {
		return nil, err
	}
	registry, err := tenants.NewRegistry(ctx, db, kind, box, nil)
	if err != nil {
		return nil, err
	}
	t, err := tenants.New(ctx, tenants.Config{
		Registry: registry, Home: home, Options: s.instanceOptions(more), Token: c.Multi.OperatorToken, SigningKey: c.Multi.SigningKey,
		AllowNoExpiry: c.Multi.AllowNoExpiry, MaxOpen: c.Multi.MaxOpen, Endpoint: c.Multi.Endpoint, Name: "truekeel", Version: version(),
		CloseTimeout: c.API.DrainTimeout, Logger: s.log,
	})
	if err != nil {
		return nil, err
	}
	return &instances{t, db}, nil
}

// openHome opens the database of the registry, and where the accounts are kept.
func openHome(c *config.Config) (*sql.DB, string, tenants.Home, error) {
	driver, dsn, err := c.DB.Resolve()
	if err != nil {
		return nil, "", nil, err
	}
	switch driver {
	case config.SQLite:
		if err := os.MkdirAll(c.Multi.Dir, 0o700); err != nil {
			return nil, "", nil, err
		}
		db, err := tenants.OpenFile(filepath.Join(c.Multi.Dir, "instances.db"))
		return db, tenants.SQLite, tenants.Files{Dir: c.Multi.Dir, Readers: c.DB.MaxPool}, err
	case config.MySQL:
		// Errors come back to the caller; the driver would print them too.
		settings, err := mysql.ParseDSN(dsn)
		if err != nil {
			return nil, "", nil, errors.New("GOTRUE_DB_DATABASE_URL: it is no DSN of MySQL")
		}
		settings.Logger = &mysql.NopLogger{}
		connector, err := mysql.NewConnector(settings)
		if err != nil {
			return nil, "", nil, errors.New("GOTRUE_DB_DATABASE_URL: a setting of the DSN doesn't hold")
		}
		db := pooled(sql.OpenDB(connector), c)
		return db, tenants.MySQL, tenants.Schemas{DB: db, Kind: tenants.MySQL}, nil
	}
	db, err := sql.Open("pgx", dsn)
	if err != nil {
		return nil, "", nil, errors.New("GOTRUE_DB_DATABASE_URL: it is no address of PostgreSQL")
	}
	return pooled(db, c), tenants.Postgres, tenants.Schemas{DB: db, Kind: tenants.Postgres}, nil
}

// pooled bounds the connections that all instances share.
func pooled(db *sql.DB, c *config.Config) *sql.DB {
	most := c.DB.MaxPool
	if most == 0 {
		most = 20
	}
	db.SetMaxOpenConns(max(most, 2)) // a migration takes two
	db.SetMaxIdleConns(max(most, 2))
	return db
}

// instanceBox finds the key that seals the settings of the instances, and that the keys
// of the instances come from.
func instanceBox(c *config.Config, kind string) (*seal.Box, error) {
	switch {
	case c.Security.Encrypt:
		return seal.New(c.Security.EncryptionKey, c.Security.DecryptionKeys...)
	case kind == tenants.SQLite:
		return seal.FromFile(filepath.Join(c.Multi.Dir, "instances.key"))
	}
	return nil, errors.New("GOTRUE_SECURITY_DATABASE_ENCRYPTION_ENCRYPTION_KEY: instances in a database server need a key that isn't in it; " +
		"make one with: openssl rand -base64 32, and set GOTRUE_SECURITY_DATABASE_ENCRYPTION_ENCRYPT=true")
}

// instanceOptions makes the options of an instance of its settings.
func (s *server) instanceOptions(more []auth.Option) func(uuid.UUID, []string) ([]auth.Option, error) {
	return func(id uuid.UUID, settings []string) ([]auth.Option, error) {
		c, warnings, err := s.config.Instance(settings)
		if err != nil {
			return nil, err
		}
		for _, w := range warnings {
			s.log.Debug("configuration of an instance: "+w.Text, "instance", id, "variables", w.Keys)
		}
		// Where it listens and what it trusts is the server's.
		opts := append(c.Options(), auth.WithBasePath(s.config.API.BasePath), auth.WithInstanceID(id))
		return append(append(opts, s.options(attribute.String("auth.instance", id.String()))...), more...), nil
	}
}
