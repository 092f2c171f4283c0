package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/truekeel/auth/store"
)

func (p *program) migrateCommand() *cobra.Command {
	up := func(cmd *cobra.Command, _ []string) error { return p.migrate(cmd.Context()) }
	cmd := &cobra.Command{Use: "migrate", Short: "Bring the database's schema up to date", Args: cobra.NoArgs, RunE: up}
	cmd.AddCommand(
		&cobra.Command{Use: "up", Short: "Bring the schema up to date", Args: cobra.NoArgs, RunE: up},
		&cobra.Command{
			Use: "status", Short: "Say which version the schema has; fails if it isn't up to date", Args: cobra.NoArgs,
			RunE: func(cmd *cobra.Command, _ []string) error { return p.migrationStatus(cmd.Context()) },
		},
	)
	return cmd
}

func (p *program) migrate(ctx context.Context) error {
	return p.withMigrator(ctx, func(m store.Migrator) error {
		if err := m.Migrate(ctx); err != nil {
			return err
		}
		version, _, err := m.MigrationStatus(ctx)
		if err == nil {
			fmt.Fprintf(p.out, "the schema has version %d and is up to date\n", version)
		}
		return err
	})
}

func (p *program) migrationStatus(ctx context.Context) error {
	return p.withMigrator(ctx, func(m store.Migrator) error {
		have, want, err := m.MigrationStatus(ctx)
		if err != nil {
			return err
		}
		fmt.Fprintf(p.out, "the schema has version %d, this program needs %d\n", have, want)
		if have != want {
			return errors.New("the schema isn't up to date; run: truekeel migrate")
		}
		return nil
	})
}

func (p *program) withMigrator(ctx context.Context, do func(store.Migrator) error) error {
	c, _, err := p.configured()
	if err != nil {
		return err
	}
	s, err := c.DB.Open(ctx, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }()
	m, ok := s.(store.Migrator)
	if !ok {
		return errors.New("the store has no schema of its own")
	}
	return do(m)
}
