package tenants_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/truekeel/auth"
	"github.com/truekeel/auth/internal/seal"
	"github.com/truekeel/auth/internal/tenants"
	"github.com/truekeel/auth/mail"
	"github.com/truekeel/auth/providers"
)

const (
	operatorToken = "operator-token-operator-token-operator"
	signingKey    = "signing-key-signing-key-signing-key-signing"
)

// house is a Server in front of a test.
type house struct {
	*tenants.Server
	t        testing.TB
	registry *tenants.Registry
	dir      string

	mu    sync.Mutex
	now   time.Time
	mails map[uuid.UUID][]mail.Event
}

func (h *house) clock() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.now
}

func (h *house) advance(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.now = h.now.Add(d)
}

// options makes options of the few settings that these tests use.
func (h *house) options(id uuid.UUID, settings []string) ([]auth.Option, error) {
	opts := []auth.Option{
		auth.WithBasePath("/"), auth.WithBcrypt(4), auth.WithSyncDelivery(), auth.WithMailFrequency(0), auth.WithClock(h.clock), auth.WithDirectLinks(), auth.WithoutLimits(), auth.WithProvider(providers.GitHub("id", "secret")),
		auth.WithSendMail(func(_ context.Context, e mail.Event) error {
			h.mu.Lock()
			defer h.mu.Unlock()
			h.mails[id] = append(h.mails[id], e)
			return nil
		}),
	}
	for _, kv := range settings {
		key, value, _ := strings.Cut(kv, "=")
		switch key {
		case "GOTRUE_SITE_URL":
			opts = append(opts, auth.WithSiteURL(value))
		case "GOTRUE_JWT_SECRET":
			opts = append(opts, auth.WithJWTSecret([]byte(value)))
		case "GOTRUE_MAILER_AUTOCONFIRM":
			opts = append(opts, auth.WithAutoConfirm(value == "true"))
		case "GOTRUE_PASSWORD_MIN_LENGTH":
			return nil, errors.New("GOTRUE_PASSWORD_MIN_LENGTH: not here")
		}
	}
	return opts, nil
}

// lastMail gives the newest mail of an instance.
func (h *house) lastMail(id uuid.UUID) mail.Event {
	h.mu.Lock()
	defer h.mu.Unlock()
	require.NotEmpty(h.t, h.mails[id], "no mail of %s", id)
	return h.mails[id][len(h.mails[id])-1]
}

// open opens a house over SQLite files in dir, which is made if it is "".
func open(t testing.TB, dir string, change ...func(*tenants.Config)) *house {
	t.Helper()
	if dir == "" {
		dir = t.TempDir()
	}
	db, err := tenants.OpenFile(filepath.Join(dir, "instances.db"))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return openOn(t, dir, db, tenants.SQLite, tenants.Files{Dir: dir}, change...)
}

func openOn(t testing.TB, dir string, db *sql.DB, kind string, home tenants.Home, change ...func(*tenants.Config)) *house {
	t.Helper()
	h := &house{t: t, dir: dir, now: time.Now().UTC().Truncate(time.Microsecond), mails: map[uuid.UUID][]mail.Event{}}
	box, err := seal.FromFile(filepath.Join(dir, "instances.key"))
	require.NoError(t, err)
	h.registry, err = tenants.NewRegistry(t.Context(), db, kind, box, h.clock)
	require.NoError(t, err)
	c := tenants.Config{
		Registry: h.registry, Home: home, Options: h.options, Token: operatorToken, SigningKey: signingKey,
		Name: "truekeel", Version: "test", Endpoint: "https://auth.example", Now: h.clock, Logger: slog.New(slog.DiscardHandler),
	}
	for _, f := range change {
		f(&c)
	}
	h.Server, err = tenants.New(t.Context(), c)
	require.NoError(t, err)
	tenants.Wait(h.Server, time.Minute)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		require.NoError(t, h.Close(ctx))
	})
	return h
}

// sign makes the operator's signature for an instance; change may spoil it.
func (h *house) sign(id uuid.UUID, change ...func(jwt.MapClaims)) string {
	h.t.Helper()
	claims := jwt.MapClaims{"id": id.String(), "exp": h.clock().Add(time.Minute).Unix(), "netlify_id": "n", "function_hooks": map[string]any{"login": []string{"https://hook.example"}}}
	for _, f := range change {
		f(claims)
	}
	text, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString([]byte(signingKey))
	require.NoError(h.t, err)
	return text
}

// answer is what a house said.
type answer struct {
	t      testing.TB
	Status int
	Header http.Header
	Body   string
}

// want checks the status and decodes the body into v, unless v is nil.
func (a answer) want(status int, v any) answer {
	a.t.Helper()
	require.Equal(a.t, status, a.Status, "body: %s", a.Body)
	if v != nil {
		require.NoError(a.t, json.Unmarshal([]byte(a.Body), v), "body: %s", a.Body)
	}
	return a
}

// send sends a request whose body is JSON of v. Headers come in pairs.
func (h *house) send(method, url string, v any, headers ...string) answer {
	h.t.Helper()
	var body io.Reader = http.NoBody
	if v != nil {
		raw, err := json.Marshal(v)
		require.NoError(h.t, err)
		body = bytes.NewReader(raw)
	}
	if strings.HasPrefix(url, "/") {
		url = "http://operator.example" + url
	}
	r := httptest.NewRequestWithContext(h.t.Context(), method, url, body)
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return answer{h.t, w.Code, w.Header(), w.Body.String()}
}

// operate sends a request of the operator.
func (h *house) operate(method, path string, v any) answer {
	h.t.Helper()
	return h.send(method, path, v, "Authorization", "Bearer "+operatorToken)
}

// to sends a request to an instance.
func (h *house) to(id uuid.UUID, method, path string, v any, headers ...string) answer {
	h.t.Helper()
	return h.send(method, path, v, append(headers, "x-nf-sign", h.sign(id))...)
}

type object = map[string]any

// add makes an instance.
func (h *house) add(settings object) uuid.UUID {
	h.t.Helper()
	var out struct{ ID uuid.UUID }
	h.operate("POST", "/instances", object{"config": settings}).want(http.StatusCreated, &out)
	return out.ID
}

// session is what a sign-in gives.
type session struct {
	AccessToken  string `json:"access_token"`
	RefreshToken string `json:"refresh_token"`
	User         struct {
		ID string `json:"id"`
	} `json:"user"`
}

const goodPassword = "correct horse battery"

// member makes an account in an instance that confirms by itself, and signs in.
func (h *house) member(id uuid.UUID, email string) (s session) {
	h.t.Helper()
	h.to(id, "POST", "/signup", object{"email": email, "password": goodPassword}).want(http.StatusOK, &s)
	require.NotEmpty(h.t, s.AccessToken)
	return s
}

// site is the settings of an instance whose accounts are confirmed at once.
func site(name string) object {
	return object{
		"site_url": fmt.Sprintf("https://%s.example", name), "jwt": object{"secret": strings.Repeat(name+"-", 40)},
		"mailer": object{"autoconfirm": true}, "hosts": []string{"auth." + name + ".example"},
	}
}

func sum(s string) []byte {
	d := sha256.Sum256([]byte(s))
	return d[:]
}
