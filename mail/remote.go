package mail

import (
	"context"
	"errors"
	"fmt"
	htmltemplate "html/template"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/truekeel/auth/internal/outbound"
)

// errResting means that a template couldn't be fetched a short while ago, which was said
// then.
var errResting = errors.New("the last attempt to fetch it failed")

// remote is a template that is fetched. One caller at a time fetches; as long as there is
// an older copy the others go on with that.
type remote struct {
	config *RendererConfig
	url    string

	turn chan struct{} // holds one token: who has taken it may fetch

	mu    sync.Mutex // guards state
	state remoteState
}

type remoteState struct {
	good     *htmltemplate.Template // the last one that was right; nil if there was none
	fetched  time.Time              // when good was fetched
	failedAt time.Time              // when the last attempt failed; zero if it didn't
}

func newRemote(config *RendererConfig, address string) (*remote, error) {
	resolved, err := resolve(config.SiteURL, address)
	if err != nil {
		return nil, err
	}
	r := &remote{config: config, url: resolved, turn: make(chan struct{}, 1)}
	r.turn <- struct{}{}
	return r, nil
}

// resolve makes an absolute URL of an address that may be a path on the site.
func resolve(site, address string) (string, error) {
	if !strings.HasPrefix(address, "http://") && !strings.HasPrefix(address, "https://") {
		if site == "" {
			return "", fmt.Errorf("its URL %q is a path, which needs a SiteURL", address)
		}
		address = strings.TrimSuffix(site, "/") + "/" + strings.TrimPrefix(address, "/")
	}
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return "", fmt.Errorf("its URL %q is no web address", address)
	}
	return u.String(), nil
}

func (r *remote) read() remoteState {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.state
}

func (r *remote) write(s remoteState) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.state = s
}

// template gives the template, fetched anew if it is due. It fails only if there has never
// been a good one.
func (r *remote) template(ctx context.Context) (*htmltemplate.Template, error) {
	s := r.read()
	if !r.due(s) {
		return s.result()
	}
	if s.good != nil {
		select {
		case <-r.turn:
		default: // somebody is fetching
			return s.good, nil
		}
	} else {
		select {
		case <-r.turn:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	defer func() { r.turn <- struct{}{} }()
	if s = r.read(); !r.due(s) {
		return s.result()
	}
	return r.refresh(ctx, s)
}

// refresh fetches the template; the caller has the turn.
func (r *remote) refresh(ctx context.Context, s remoteState) (*htmltemplate.Template, error) {
	t, err := r.fetch(ctx)
	if err == nil {
		r.write(remoteState{good: t, fetched: r.config.Now()})
		return t, nil
	}
	if ctx.Err() != nil {
		// The caller went away, which says nothing about the template.
		if s.good != nil {
			return s.good, nil
		}
		return nil, ctx.Err()
	}
	s.failedAt = r.config.Now()
	r.write(s)
	if s.good == nil {
		return nil, err
	}
	r.config.Logger.Warn("mail template can't be fetched, the last good one is used",
		"url", r.loggable(), "error", err)
	return s.good, nil
}

// due reports whether the template should be fetched now.
func (r *remote) due(s remoteState) bool {
	now := r.config.Now()
	if !s.failedAt.IsZero() {
		return now.Sub(s.failedAt) >= r.config.RetryAfter
	}
	return s.good == nil || now.Sub(s.fetched) >= r.config.MaxAge
}

func (s remoteState) result() (*htmltemplate.Template, error) {
	if s.good == nil {
		return nil, errResting
	}
	return s.good, nil
}

func (r *remote) fetch(ctx context.Context) (*htmltemplate.Template, error) {
	ctx, cancel := context.WithTimeout(ctx, r.config.Timeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, r.url, nil)
	if err != nil {
		return nil, err
	}
	response, err := r.config.Client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("fetch %s: %w", r.loggable(), outbound.Cause(err)) // a URL could hold a password
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("fetch %s: status %d", r.loggable(), response.StatusCode)
	}
	source, err := readAll(response.Body, r.config.MaxSize)
	if err != nil {
		return nil, fmt.Errorf("fetch %s: %w", r.loggable(), err)
	}
	t, err := parseHTML(source)
	if err == nil {
		err = escapable(t)
	}
	if err != nil {
		return nil, fmt.Errorf("template at %s: %w", r.loggable(), err)
	}
	return t, nil
}

// escapable reports HTML in which html/template can't tell how to escape. Other failures
// may lie in the sample; they are dealt with mail by mail.
func escapable(t *htmltemplate.Template) error {
	var unsafe *htmltemplate.Error
	if err := t.Execute(io.Discard, sampleVariables()); errors.As(err, &unsafe) {
		return unsafe
	}
	return nil
}

// loggable is the URL without what may be secret in it.
func (r *remote) loggable() string {
	u, err := url.Parse(r.url)
	if err != nil {
		return ""
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
}
