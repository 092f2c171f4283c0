// Package tenants is many instances of package auth in one process: each an Auth of its
// own, over its own accounts, keys and limits, opened when it is first asked for and
// closed when others need its place. An operator makes and changes instances at
// /instances, and says by a signature with which instance a request is meant; an
// instance may also have host names of its own.
//
// Nothing is shared between two instances but the process, the operator's registry and,
// where there is one, the database server.
package tenants

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/google/uuid"
	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/truekeel/auth"
	"github.com/truekeel/auth/fault"
)

// Config sets up a [Server].
type Config struct {
	// Registry keeps the instances. Required.
	Registry *Registry
	// Home is where their accounts are. Required.
	Home Home
	// Options makes the options of an instance of its settings, which have the form
	// KEY=value; its error is shown to the operator. Required. Where the accounts are,
	// the key that seals them and the logger are added to what it gives.
	Options func(id uuid.UUID, settings []string) ([]auth.Option, error)

	// Token is what the operator proves himself with at /instances. Required.
	Token string
	// SigningKey is the key of the signatures. Default: Token.
	SigningKey string
	// AllowNoExpiry accepts signatures that are good for ever, or for longer than 5
	// minutes.
	AllowNoExpiry bool

	// MaxOpen is how many instances are open at once. Default 100.
	MaxOpen int
	// Endpoint is what the operator is told of where a new instance is reached.
	Endpoint string
	// Name and Version are what / answers.
	Name, Version string
	// CloseTimeout is how long the mails of an instance that is closed may take to
	// arrive. Default 10 seconds.
	CloseTimeout time.Duration

	// Now is the clock. Default time.Now.
	Now func() time.Time
	// Logger hears of instances that can't be opened or closed. Required.
	Logger *slog.Logger
}

// Home keeps the accounts of instances, each apart from all others.
type Home interface {
	// Place gives the option that keeps the accounts of an instance in their place,
	// which is made if it isn't there.
	Place(id uuid.UUID) (auth.Option, error)
	// Remove deletes the accounts of an instance that isn't open. It isn't an error if
	// there are none.
	Remove(ctx context.Context, id uuid.UUID) error
}

const (
	defaultOpen  = 100
	defaultClose = 10 * time.Second
	// fresh is how long what the registry said is believed: the time after which a
	// process follows changes that another one made.
	fresh = 2 * time.Second
	// remembered is how many answers of the registry are kept, of each sort.
	remembered = 8192
)

// Server answers the requests of all instances, and the operator's. Close it when done.
// It is safe for concurrent use.
type Server struct {
	c        Config
	pool     *pool
	signer   verifier
	operator [32]byte // hash of the token
	versions *lru.Cache[uuid.UUID, known[int64]]
	hosts    *lru.Cache[string, known[uuid.UUID]]
}

// known is an answer of the registry and when it was given; the zero value in it means
// that there is no such thing.
type known[T any] struct {
	value T
	at    time.Time
}

// New makes a Server, and finishes the removal of instances that was begun by one that
// ended before it was done.
func New(ctx context.Context, c Config) (*Server, error) {
	switch {
	case c.Registry == nil || c.Home == nil || c.Options == nil || c.Logger == nil:
		return nil, errors.New("tenants: Config.Registry, Home, Options and Logger are required")
	case c.Token == "":
		return nil, errors.New("tenants: there is no operator's token; make one with: openssl rand -base64 48")
	case c.MaxOpen < 0 || c.CloseTimeout < 0:
		return nil, errors.New("tenants: Config.MaxOpen and CloseTimeout can't be negative")
	}
	c.SigningKey, c.Now = or(c.SigningKey, c.Token), orNow(c.Now)
	c.MaxOpen, c.CloseTimeout = or(c.MaxOpen, defaultOpen), or(c.CloseTimeout, defaultClose)
	s := &Server{c: c, signer: newVerifier(c.SigningKey, c.AllowNoExpiry, c.Now), operator: digest(c.Token)}
	s.versions, _ = lru.New[uuid.UUID, known[int64]](remembered) // fails for sizes under 1 alone
	s.hosts, _ = lru.New[string, known[uuid.UUID]](remembered)
	s.pool = newPool(c.MaxOpen, c.CloseTimeout, c.Logger, s.open)
	leaving, err := c.Registry.Leaving(ctx)
	if err != nil {
		return nil, err
	}
	for _, id := range leaving {
		if err := s.erase(ctx, id); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func or[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}

func orNow(now func() time.Time) func() time.Time {
	if now == nil {
		return time.Now
	}
	return now
}

// Close lets the requests that are under way end and closes all instances, until ctx
// ends. Requests that come in later are answered 503.
func (s *Server) Close(ctx context.Context) error { return s.pool.close(ctx) }

// Ready reports whether the registry answers.
func (s *Server) Ready(ctx context.Context) error { return s.c.Registry.Ping(ctx) }

// Open says how many instances are open now, those that are about to close included.
func (s *Server) Open() int { return s.pool.size() }

// ServeHTTP answers the operator at /, /health and /instances, and gives every other
// request to its instance.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if s.operate(w, r) {
		return
	}
	t, err := s.tenant(r)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	e, err := s.pool.acquire(r.Context(), t.place, t.version)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	defer s.pool.release(e)
	if _, signed := r.Header[http.CanonicalHeaderKey(signHeader)]; signed {
		r = r.Clone(r.Context())
		r.Header.Del(signHeader) // the operator's business, not the instance's
	}
	e.auth.ServeHTTP(w, r)
}

// choice is the instance that a request is for.
type choice struct {
	place   place
	version int64 // that the instance has at least
}

// place is an instance as it is seen from one site: the operator's signature may say
// another site than the settings.
type place struct {
	id   uuid.UUID
	site string // "" for that of the settings
}

var (
	errNoTenant  = fault.New(fault.ValidationFailed, "Operator microservice headers missing")
	errTwo       = fault.New(fault.ValidationFailed, "The operator's signature and the host name different instances")
	errNoSuch    = fault.New(fault.NotFound, "Unable to locate site configuration")
	errBusy      = &fault.Error{Code: fault.Unavailable, Message: "Too many instances are in use, please retry after a moment.", RetryAfter: time.Second}
	errClosed    = &fault.Error{Code: fault.Unavailable, Message: "The service is stopping, please retry after a moment.", RetryAfter: time.Second}
	errBadConfig = errors.New("tenants: the settings of the instance can't be used")
)

// tenant finds the instance by the operator's signature, by the host, or by both if they
// agree.
func (s *Server) tenant(r *http.Request) (choice, error) {
	byHost, err := s.byHost(r.Context(), hostOf(r))
	if err != nil {
		return choice{}, err
	}
	var c choice
	switch header := r.Header.Values(signHeader); {
	case len(header) > 1:
		return choice{}, errSignature
	case len(header) == 1 && header[0] != "":
		claims, err := s.signer.verify(header[0])
		if err != nil {
			return choice{}, err
		}
		if byHost != uuid.Nil && byHost != claims.id {
			return choice{}, errTwo
		}
		c.place = claims
	case byHost != uuid.Nil:
		c.place.id = byHost
	default:
		return choice{}, errNoTenant
	}
	c.version, err = s.version(r.Context(), c.place.id)
	return c, err
}

// version gives the version of an instance, as of two seconds ago or later.
func (s *Server) version(ctx context.Context, id uuid.UUID) (int64, error) {
	now := s.c.Now()
	k, ok := s.versions.Get(id)
	if !ok || stale(k.at, now) {
		v, err := s.c.Registry.Version(ctx, id)
		if err != nil && !errors.Is(err, ErrNotFound) {
			return 0, err
		}
		k = known[int64]{v, now}
		s.versions.Add(id, k)
	}
	if k.value == 0 {
		return 0, errNoSuch
	}
	return k.value, nil
}

// byHost gives the instance of a host; uuid.Nil if there is none.
func (s *Server) byHost(ctx context.Context, host string) (uuid.UUID, error) {
	if host == "" {
		return uuid.Nil, nil
	}
	now := s.c.Now()
	k, ok := s.hosts.Get(host)
	if !ok || stale(k.at, now) {
		id, err := s.c.Registry.ByHost(ctx, host)
		if err != nil && !errors.Is(err, ErrNotFound) {
			return uuid.Nil, err
		}
		k = known[uuid.UUID]{id, now}
		s.hosts.Add(host, k)
	}
	return k.value, nil
}

func stale(at, now time.Time) bool { return now.Sub(at) >= fresh || now.Before(at) }

// forget drops what the caches know of an instance and its hosts.
func (s *Server) forget(id uuid.UUID, hosts ...string) {
	s.versions.Remove(id)
	for _, h := range s.hosts.Keys() {
		if k, ok := s.hosts.Peek(h); ok && k.value == id {
			s.hosts.Remove(h)
		}
	}
	for _, h := range hosts {
		s.hosts.Remove(h)
	}
}

// open opens an instance for the pool.
func (s *Server) open(ctx context.Context, p place) (*auth.Auth, int64, error) {
	i, err := s.c.Registry.Get(ctx, p.id)
	if errors.Is(err, ErrNotFound) {
		return nil, 0, errNoSuch
	}
	if err != nil {
		return nil, 0, err
	}
	a, err := s.build(i, p.site)
	return a, i.Version, err
}

// build makes the Auth of an instance.
func (s *Server) build(i Instance, site string) (*auth.Auth, error) {
	settings, err := i.Config.variables(site)
	if err != nil {
		return nil, err
	}
	opts, err := s.c.Options(i.ID, settings)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errBadConfig, err)
	}
	keeps, err := s.c.Home.Place(i.ID)
	if err != nil {
		return nil, err
	}
	keys := s.c.Registry.keys(i.ID)
	a, err := auth.New(append(opts, keeps, auth.WithEncryptionKey(keys[0], keys[1:]...), auth.WithLogger(s.c.Logger.With("instance", i.ID.String())))...)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errBadConfig, err)
	}
	return a, nil
}

// erase deletes the accounts of an instance that the registry no longer gives out.
func (s *Server) erase(ctx context.Context, id uuid.UUID) error {
	if err := s.c.Home.Remove(ctx, id); err != nil {
		return fmt.Errorf("tenants: remove instance %s: %w", id, err)
	}
	return s.c.Registry.Gone(ctx, id)
}
