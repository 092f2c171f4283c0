package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"slices"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"go.opentelemetry.io/otel/attribute"

	"github.com/truekeel/auth"
	"github.com/truekeel/auth/config"
)

type serveFlags struct{ noMigrate, multi bool }

func (f *serveFlags) add(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&f.noMigrate, "no-migrate", false, "leave the schema as it is")
}

func (p *program) serveCommand() *cobra.Command {
	var f serveFlags
	cmd := &cobra.Command{
		Use: "serve", Short: "Bring the schema up to date and serve", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return p.serve(cmd.Context(), f) },
	}
	f.add(cmd)
	return cmd
}

// serve serves until ctx ends.
func (p *program) serve(ctx context.Context, f serveFlags) (err error) {
	hangUp := make(chan os.Signal, 1)
	signal.Notify(hangUp, syscall.SIGHUP)
	defer signal.Stop(hangUp)

	c, warnings, err := p.configured()
	if err != nil {
		return err
	}
	if f.noMigrate {
		c.DB.Migrate = false
	}
	c.Multi.Enabled = c.Multi.Enabled || f.multi
	if c.Multi.Enabled && p.keel != "" {
		return errKeelForMany
	}
	if err := export(c); err != nil {
		return err
	}
	logger, file, err := newLogger(c.Log, p.out)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	for _, w := range warnings {
		logger.Warn("configuration: "+w.Text, "variables", w.Keys)
	}
	s, err := newServer(c, logger)
	if err != nil {
		return err
	}
	defer s.close()
	if s.auth != nil && s.auth.DevInboxURL() != "" {
		fmt.Fprintf(p.err, "mails  %s%s\n", s.origin(), s.auth.DevInboxURL())
	}
	logger.Info("serving", "address", s.listener.Addr().String(), "tls", c.TLS(), "version", version())
	return s.run(ctx, hangUp, file)
}

// accounts are what the server serves: an Auth, or many.
type accounts interface {
	http.Handler
	Ready(ctx context.Context) error
	Close(ctx context.Context) error
}

// server is accounts behind their listeners.
type server struct {
	config    *config.Config
	log       *slog.Logger
	accounts  accounts
	auth      *auth.Auth   // the accounts, unless there are many instances
	cert      *certificate // nil without HTTPS
	listener  net.Listener
	http      *http.Server
	profiler  *profiler  // nil unless it is switched on, on a port of its own
	telemetry *telemetry // nil unless it is switched on
	leaving   atomic.Bool
}

// newServer opens everything that can fail to open. Options come after the configured
// ones.
func newServer(c *config.Config, logger *slog.Logger, more ...auth.Option) (s *server, err error) {
	s = &server{config: c, log: logger}
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	if c.TLS() {
		if s.cert, err = readCertificate(c.API.TLSCert, c.API.TLSKey); err != nil {
			return s, err
		}
	}
	if s.telemetry, err = newTelemetry(context.Background(), c, logger); err != nil {
		return s, err
	}
	if err = s.openAccounts(more); err != nil {
		return s, err
	}
	if err = s.profile(); err != nil {
		return s, err
	}
	if s.listener, err = net.Listen("tcp", c.Address()); err != nil {
		return s, err
	}
	s.http = &http.Server{
		Handler: s.handler(), ErrorLog: slog.NewLogLogger(logger.Handler(), slog.LevelDebug),
		ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second, WriteTimeout: c.API.RequestTimeout + 30*time.Second, IdleTimeout: 2 * time.Minute,
	}
	if s.cert != nil {
		s.http.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: s.cert.get}
	}
	return s, nil
}

// profile opens the profiles' port, unless it is that of the metrics, which has both then.
func (s *server) profile() (err error) {
	own, metrics := s.config.Profiler, s.config.Metrics
	switch {
	case !own.Enabled:
	case s.telemetry != nil && s.telemetry.metrics != nil && own.Host == metrics.Host && own.Port == metrics.Port:
		addProfiles(s.telemetry.metrics.mux)
	default:
		s.profiler, err = newProfiler(own, s.log)
	}
	return err
}

// openAccounts opens the Auth, or what opens many.
func (s *server) openAccounts(more []auth.Option) error {
	if s.config.Multi.Enabled {
		i, err := s.openInstances(context.Background(), more)
		if err != nil {
			return err
		}
		s.accounts = i
		return nil
	}
	a, err := auth.New(slices.Concat(s.config.Options(), s.options(), more)...)
	if err != nil {
		return err
	}
	s.accounts, s.auth = a, a
	return nil
}

// options are those that the server adds to the configured ones. Spans get attributes.
func (s *server) options(attributes ...attribute.KeyValue) []auth.Option {
	out := []auth.Option{auth.WithLogger(s.log), auth.WithRequestIDHeader(s.requestIDHeader())}
	if s.config.SMTP.Logging {
		out = append(out, auth.WithObserver(mailLog{s.log}))
	}
	if s.telemetry != nil {
		out = append(out, auth.WithObserver(s.telemetry.observer.With(attributes...)))
	}
	return out
}

// origin is where a browser on this machine reaches the server.
func (s *server) origin() string {
	scheme := "http"
	if s.cert != nil {
		scheme = "https"
	}
	_, port, _ := net.SplitHostPort(s.listener.Addr().String())
	return scheme + "://localhost:" + port
}

// run serves until ctx ends, then lets what is under way end within the drain time.
func (s *server) run(ctx context.Context, hangUp <-chan os.Signal, file *logFile) error {
	served := make(chan error, 3)
	go func() { served <- s.serve() }()
	if s.profiler != nil {
		go func() { served <- s.profiler.serve() }()
	}
	if s.telemetry != nil && s.telemetry.metrics != nil {
		go func() { served <- s.telemetry.metrics.serve() }()
	}
	for {
		select {
		case err := <-served:
			return err
		case <-hangUp:
			s.reload(file)
		case <-ctx.Done():
			return s.drain()
		}
	}
}

func (s *server) serve() error {
	if s.cert != nil {
		return s.http.ServeTLS(s.listener, "", "")
	}
	return s.http.Serve(s.listener)
}

// reload opens the log and reads the certificate anew. What can't be had stays as it was.
func (s *server) reload(file *logFile) {
	if file != nil {
		if err := file.Reopen(); err != nil {
			s.log.Error("the log file can't be opened anew", "error", err)
		}
	}
	if s.cert != nil {
		if err := s.cert.reload(); err != nil {
			s.log.Error("the certificate can't be read anew", "error", err)
		}
	}
	s.log.Info("reloaded")
}

// drain ends the server: no new requests, then those that are under way, then the mails.
func (s *server) drain() error {
	s.leaving.Store(true)
	s.log.Info("stopping")
	ctx, cancel := context.WithTimeout(context.Background(), s.config.API.DrainTimeout)
	defer cancel()
	err := s.http.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		s.log.Warn("requests were cut off: they took longer than the drain time", "drain_timeout", s.config.API.DrainTimeout)
		err = s.http.Close()
	}
	if closeErr := s.accounts.Close(ctx); closeErr != nil && !errors.Is(closeErr, context.DeadlineExceeded) {
		err = errors.Join(err, closeErr)
	}
	if closeErr := s.telemetry.close(ctx); closeErr != nil {
		s.log.Warn("the last traces or metrics were not sent", "error", closeErr)
	}
	s.log.Info("stopped")
	return err
}

// close lets go of what is open; after drain that is nothing but the profiler.
func (s *server) close() {
	if s.http != nil {
		_ = s.http.Close()
	} else if s.listener != nil {
		_ = s.listener.Close()
	}
	if s.profiler != nil {
		_ = s.profiler.http.Close()
	}
	ctx, cancel := context.WithTimeout(context.Background(), s.config.API.DrainTimeout)
	defer cancel()
	if s.accounts != nil {
		_ = s.accounts.Close(ctx)
	}
	_ = s.telemetry.close(ctx)
}
