package tenants

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/truekeel/auth/fault"
	"github.com/truekeel/auth/internal/endpoint"
)

// maxBody bounds a request of the operator, in bytes.
const maxBody = maxSettings + 4<<10

// instance is how an instance is shown.
type instance struct {
	ID        uuid.UUID      `json:"id"`
	UUID      uuid.UUID      `json:"uuid"`
	Config    map[string]any `json:"config"`
	CreatedAt time.Time      `json:"created_at"`
	UpdatedAt time.Time      `json:"updated_at"`
	Endpoint  string         `json:"endpoint,omitempty"`
	State     string         `json:"state,omitempty"`
}

func show(i Instance) instance {
	return instance{ID: i.ID, UUID: i.ID, Config: i.Config.shown(), CreatedAt: i.CreatedAt, UpdatedAt: i.UpdatedAt}
}

var (
	errOperator = fault.New(fault.NoAuthorization, "This endpoint requires the operator's token")
	errInstance = fault.New(fault.NotFound, "Instance not found")
	errTaken    = fault.New(fault.ValidationFailed, "An instance with that UUID already exists")
	errHost     = fault.New(fault.ValidationFailed, "A host belongs to another instance")
	errRaced    = &fault.Error{Code: fault.Unavailable, Message: "The instance was changed meanwhile, please retry.", RetryAfter: time.Second}
)

// operate answers the operator's endpoints; false if the request is for none of them.
func (s *Server) operate(w http.ResponseWriter, r *http.Request) bool {
	var do endpoint.Func
	path := r.URL.Path
	if path != "/" {
		path = strings.TrimSuffix(path, "/")
	}
	switch id, below := strings.CutPrefix(path, "/instances/"); {
	case path == "/":
		do = s.methods(map[string]endpoint.Func{http.MethodGet: s.describe})
	case path == "/health":
		do = s.methods(map[string]endpoint.Func{http.MethodGet: s.health, http.MethodHead: s.health})
	case path == "/instances":
		do = s.guarded(s.methods(map[string]endpoint.Func{http.MethodPost: s.create}))
	case below && !strings.Contains(id, "/"):
		do = s.guarded(s.methods(map[string]endpoint.Func{
			http.MethodGet: s.get(id), http.MethodPut: s.put(id), http.MethodDelete: s.delete(id),
		}))
	default:
		return false
	}
	if err := do(w, r); err != nil {
		s.fail(w, r, err)
	}
	return true
}

func (s *Server) methods(m map[string]endpoint.Func) endpoint.Func {
	return func(w http.ResponseWriter, r *http.Request) error {
		do, ok := m[r.Method]
		if !ok {
			return fault.New(fault.MethodNotAllowed, "This endpoint does not answer this method")
		}
		return do(w, r)
	}
}

// guarded lets the operator in.
func (s *Server) guarded(do endpoint.Func) endpoint.Func {
	return func(w http.ResponseWriter, r *http.Request) error {
		if !s.isOperator(r) {
			return errOperator
		}
		w.Header().Set("Cache-Control", "no-store")
		return do(w, r)
	}
}

func (s *Server) describe(w http.ResponseWriter, _ *http.Request) error {
	return endpoint.JSON(w, http.StatusOK, map[string]string{
		"version": s.c.Version, "name": s.c.Name, "description": "User accounts for many sites",
	})
}

func (s *Server) health(w http.ResponseWriter, r *http.Request) error {
	if err := s.Ready(r.Context()); err != nil {
		return (&fault.Error{Code: fault.Unavailable, Message: "The registry does not answer", RetryAfter: time.Second}).WithCause(err)
	}
	return s.describe(w, r)
}

// read reads the body of a request.
func read(w http.ResponseWriter, r *http.Request) (id string, settings Settings, err error) {
	var body struct {
		UUID   string          `json:"uuid"`
		Config json.RawMessage `json:"config"`
	}
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		return "", Settings{}, fault.New(fault.RequestEntityTooLarge, "The request is larger than %d bytes, or was cut off", maxBody)
	}
	if err := json.Unmarshal(raw, &body); err != nil {
		return "", Settings{}, fault.New(fault.BadJSON, "Could not parse request body as JSON")
	}
	if len(body.Config) == 0 || string(body.Config) == "null" {
		body.Config = json.RawMessage("{}")
	}
	settings, err = ParseSettings(body.Config)
	if err != nil {
		err = fault.New(fault.ValidationFailed, "%v", err)
	}
	return body.UUID, settings, err
}

// create makes an instance once an Auth was opened with its settings.
func (s *Server) create(w http.ResponseWriter, r *http.Request) error {
	text, settings, err := read(w, r)
	if err != nil {
		return err
	}
	id := uuid.New()
	if text != "" {
		if id, err = instanceID(text); err != nil {
			return err
		}
	}
	at := s.c.Now().UTC().Truncate(time.Microsecond)
	i := Instance{ID: id, Config: settings, Version: 1, CreatedAt: at, UpdatedAt: at}
	// Once begun it is brought to an end, whether or not the operator waits for it.
	ctx := context.WithoutCancel(r.Context())
	if err := s.add(ctx, i); err != nil {
		return err
	}
	shown := show(i)
	shown.Endpoint, shown.State = s.c.Endpoint, active
	return endpoint.JSON(w, http.StatusCreated, shown)
}

func (s *Server) add(ctx context.Context, i Instance) error {
	if err := s.c.Registry.make(ctx, i); err != nil {
		return refusal(err)
	}
	err := s.try(ctx, i)
	if err == nil {
		err = s.c.Registry.activate(ctx, i.ID)
	}
	if err != nil {
		return errors.Join(err, s.c.Home.Remove(ctx, i.ID), s.c.Registry.discard(ctx, i.ID))
	}
	s.forget(i.ID, i.Config.Hosts()...)
	return nil
}

// try opens an instance with settings and closes it again.
func (s *Server) try(ctx context.Context, i Instance) error {
	if err := s.pool.turn(); err != nil {
		return err
	}
	defer func() { <-s.pool.places }()
	a, err := s.build(i, "")
	if errors.Is(err, errBadConfig) {
		return fault.New(fault.ValidationFailed, "%s", strings.TrimPrefix(err.Error(), errBadConfig.Error()+": "))
	}
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, s.c.CloseTimeout)
	defer cancel()
	return a.Close(ctx)
}

func (s *Server) get(text string) endpoint.Func {
	return func(w http.ResponseWriter, r *http.Request) error {
		i, err := s.find(r.Context(), text)
		if err != nil {
			return err
		}
		return endpoint.JSON(w, http.StatusOK, show(i))
	}
}

func (s *Server) find(ctx context.Context, text string) (Instance, error) {
	id, err := instanceID(text)
	if err != nil {
		return Instance{}, err
	}
	i, err := s.c.Registry.Get(ctx, id)
	return i, refusal(err)
}

// put changes the settings of an instance. Requests that are under way end with the old
// ones.
func (s *Server) put(text string) endpoint.Func {
	return func(w http.ResponseWriter, r *http.Request) error {
		_, change, err := read(w, r)
		if err != nil {
			return err
		}
		i, err := s.find(r.Context(), text)
		if err != nil {
			return err
		}
		hosts := i.Config.Hosts()
		if i.Config, err = i.Config.merge(change); err != nil {
			return fault.New(fault.ValidationFailed, "%v", err)
		}
		ctx := context.WithoutCancel(r.Context())
		if err := s.try(ctx, i); err != nil {
			return err
		}
		if err := s.c.Registry.update(ctx, &i); err != nil {
			return refusal(err)
		}
		s.forget(i.ID, append(hosts, i.Config.Hosts()...)...)
		return endpoint.JSON(w, http.StatusOK, show(i))
	}
}

// delete removes an instance with its accounts. It answers when nothing of them is left.
func (s *Server) delete(text string) endpoint.Func {
	return func(w http.ResponseWriter, r *http.Request) error {
		i, err := s.find(r.Context(), text)
		if err != nil {
			return err
		}
		ctx := context.WithoutCancel(r.Context())
		if err := s.c.Registry.remove(ctx, i.ID); err != nil {
			return refusal(err)
		}
		s.forget(i.ID, i.Config.Hosts()...)
		if err := s.pool.evict(ctx, i.ID); err != nil {
			return err
		}
		if err := s.erase(ctx, i.ID); err != nil {
			return err
		}
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
}

// refusal turns the registry's errors into faults.
func refusal(err error) error {
	switch {
	case errors.Is(err, ErrNotFound):
		return errInstance
	case errors.Is(err, ErrExists):
		return errTaken
	case errors.Is(err, ErrHostTaken):
		return errHost
	case errors.Is(err, ErrStale):
		return errRaced
	}
	return err
}

// failure is the body of an error, as GoTrue's.
type failure struct {
	Code      int        `json:"code"`
	ErrorCode fault.Code `json:"error_code"`
	Message   string     `json:"msg"`
}

// fail answers an error. What isn't meant for the caller is logged.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, err error) {
	var f *fault.Error
	if !errors.As(err, &f) {
		f = fault.New(fault.UnexpectedFailure, "Unexpected failure, please check server logs for more information")
		path, _ := url.PathUnescape(r.URL.Path)
		s.c.Logger.ErrorContext(r.Context(), "tenants: a request failed", "path", path, "error", err)
	}
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("x-sb-error-code", string(f.Code))
	if f.RetryAfter > 0 {
		h.Set("Retry-After", "1")
	}
	status := statusOf(f.Code)
	if status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", "Bearer")
	}
	_ = endpoint.JSON(w, status, failure{status, f.Code, f.Message}) // it marshals
}

func statusOf(c fault.Code) int {
	switch c {
	case fault.NoAuthorization:
		return http.StatusUnauthorized
	case fault.NotFound:
		return http.StatusNotFound
	case fault.MethodNotAllowed:
		return http.StatusMethodNotAllowed
	case fault.RequestEntityTooLarge:
		return http.StatusRequestEntityTooLarge
	case fault.Unavailable:
		return http.StatusServiceUnavailable
	case fault.UnexpectedFailure:
		return http.StatusInternalServerError
	}
	return http.StatusBadRequest
}
