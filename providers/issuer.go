package providers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	jose "github.com/go-jose/go-jose/v4"
	"golang.org/x/sync/singleflight"
)

const (
	// documentLife is how long a fetched document is good.
	documentLife = time.Hour
	// documentPause is how long after a failed or needless fetch the next one waits
	// while there is an old document to go on with.
	documentPause = 10 * time.Second
	// documentWait bounds one fetch, whoever waits for it.
	documentWait = 10 * time.Second
	// maxKeys bounds the keys that are tried for a token that doesn't name its key.
	maxKeys = 64
)

// issuer is an OpenID Connect issuer: its discovery document and its keys.
type issuer struct {
	name      string
	discovery *document[metadata]
	keySet    *document[[]jose.JSONWebKey]
}

// metadata is the part of a discovery document that is used (OpenID Connect Discovery, 3).
type metadata struct {
	Issuer      string   `json:"issuer"`
	AuthURL     string   `json:"authorization_endpoint"`
	TokenURL    string   `json:"token_endpoint"`
	UserURL     string   `json:"userinfo_endpoint"`
	KeysURL     string   `json:"jwks_uri"`
	Algs        []string `json:"id_token_signing_alg_values_supported"`
	AuthMethods []string `json:"token_endpoint_auth_methods_supported"`
}

func newIssuer(r *reach, name string) *issuer {
	i := &issuer{name: name}
	i.discovery = newDocument(r, func(ctx context.Context) (metadata, error) { return r.discover(ctx, name) })
	i.keySet = newDocument(r, func(ctx context.Context) ([]jose.JSONWebKey, error) {
		m, err := i.metadata(ctx)
		if err != nil {
			return nil, err
		}
		return r.keys(ctx, m.KeysURL)
	})
	return i
}

// metadata gives the discovery document.
func (i *issuer) metadata(ctx context.Context) (metadata, error) { return i.discovery.get(ctx, nil) }

// keys gives the keys that a token may be signed with: those of its key id, or all if
// it names none. A key id that isn't known makes the keys be fetched again, at most
// once in ten seconds.
func (i *issuer) keys(ctx context.Context, kid string) ([]jose.JSONWebKey, error) {
	var found []jose.JSONWebKey
	_, err := i.keySet.get(ctx, func(keys []jose.JSONWebKey) bool {
		found = nil
		for _, k := range keys {
			if (kid == "" || k.KeyID == kid) && len(found) < maxKeys {
				found = append(found, k)
			}
		}
		return len(found) > 0
	})
	return found, err
}

// discover fetches the discovery document, which must name the issuer exactly.
func (r *reach) discover(ctx context.Context, name string) (metadata, error) {
	var m metadata
	if err := r.get(ctx, strings.TrimSuffix(name, "/")+"/.well-known/openid-configuration", &m); err != nil {
		return m, fmt.Errorf("discovery of %s: %w", name, err)
	}
	if m.Issuer != name {
		return m, fmt.Errorf("discovery of %s: document is of another issuer", name)
	}
	for what, u := range map[string]string{
		"authorization_endpoint": m.AuthURL, "token_endpoint": m.TokenURL,
		"userinfo_endpoint": m.UserURL, "jwks_uri": m.KeysURL,
	} {
		if u == "" && what != "jwks_uri" {
			continue // Facebook's has no token endpoint
		}
		if err := checkURL(u, r.internal); err != nil {
			return m, fmt.Errorf("discovery of %s: %s: %w", name, what, err)
		}
	}
	return m, nil
}

// keys fetches a key set (RFC 7517). Keys that can't sign, or of a kind that isn't
// known, are skipped.
func (r *reach) keys(ctx context.Context, address string) ([]jose.JSONWebKey, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := r.get(ctx, address, &set); err != nil {
		return nil, fmt.Errorf("keys: %w", err)
	}
	var keys []jose.JSONWebKey
	for _, raw := range set.Keys {
		var k jose.JSONWebKey
		if err := json.Unmarshal(raw, &k); err != nil || !k.IsPublic() || !k.Valid() {
			continue
		}
		if k.Use == "" || k.Use == "sig" {
			keys = append(keys, k)
		}
	}
	if len(keys) == 0 {
		return nil, errors.New("keys: none that is usable")
	}
	return keys, nil
}

// get reads a JSON document into v.
func (r *reach) get(ctx context.Context, address string, v any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return errors.New("address doesn't parse")
	}
	req.Header.Set("Accept", "application/json")
	j, err := r.fetch(req)
	if err != nil {
		return err
	}
	text, err := json.Marshal(j.value)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, v)
}

// document is something that is fetched when needed and kept for a while. One fetch
// serves all who wait. While a new one can't be had, or somebody else is fetching it,
// the old one is good.
type document[T any] struct {
	fetch  func(context.Context) (T, error)
	reach  *reach
	flight singleflight.Group

	mu      sync.Mutex
	value   T
	have    bool
	fetched time.Time // when value came
	tried   time.Time // when a fetch last began
}

func newDocument[T any](r *reach, fetch func(context.Context) (T, error)) *document[T] {
	return &document[T]{fetch: fetch, reach: r}
}

// get gives the value. With enough, a value that isn't enough is fetched again; if what
// comes is not enough either, it is given all the same. enough is called last with the
// value that is returned.
func (d *document[T]) get(ctx context.Context, enough func(T) bool) (T, error) {
	d.mu.Lock()
	value, have := d.value, d.have
	now := d.reach.now()
	fits := have && (enough == nil || enough(value))
	fresh := have && now.Sub(d.fetched) < documentLife
	paused := have && now.Sub(d.tried) < documentPause
	if (fits && fresh) || paused {
		d.mu.Unlock()
		return value, nil
	}
	d.tried = now
	d.mu.Unlock()

	fetched, err := d.refresh(ctx)
	if err != nil && fits {
		return value, nil
	}
	if err == nil && enough != nil {
		enough(fetched)
	}
	return fetched, err
}

// refresh joins or begins a fetch. The fetch outlives a caller that goes away, as
// others may wait for it, but neither documentWait nor the Outbound.
func (d *document[T]) refresh(ctx context.Context) (T, error) {
	done := d.flight.DoChan("", func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), documentWait)
		defer cancel()
		defer context.AfterFunc(d.reach.open, cancel)()
		value, err := d.fetch(ctx)
		if err != nil {
			return value, err
		}
		d.mu.Lock()
		defer d.mu.Unlock()
		d.value, d.have, d.fetched = value, true, d.reach.now()
		return value, nil
	})
	select {
	case <-ctx.Done():
		var none T
		return none, ctx.Err()
	case r := <-done:
		value, _ := r.Val.(T)
		return value, r.Err
	}
}
