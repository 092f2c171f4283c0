// Package auth gives a Go service user accounts: sign-up, sign-in, sessions, mails, and
// middleware that protects the service's own routes.
//
//	a, err := auth.New()
//	mux.Handle("/auth/", a)
//	mux.Handle("/api/", a.RequireUser(api))
//
// On the wire it speaks the HTTP API of GoTrue (Supabase Auth), so that the Supabase
// clients of every platform work against it, and that of Keel's authentication
// endpoints: two dialects over one set of accounts. Everything else is an [Option].
//
// # Safety
//
// Without options the library is strict: addresses are proved before they are used,
// mailed links can't be used up by scanners, codes can't be guessed, common passwords are
// refused, limits are on, and only loopback hosts are answered until [WithSiteURL] says
// where people land. What is less safe says so in its option's doc.
//
// Two Auths in one program share nothing.
package auth

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/truekeel/auth/fault"
	"github.com/truekeel/auth/internal/caller"
	"github.com/truekeel/auth/internal/clean"
	"github.com/truekeel/auth/internal/events"
	"github.com/truekeel/auth/internal/gotrue"
	"github.com/truekeel/auth/internal/keel"
	"github.com/truekeel/auth/internal/outbox"
	"github.com/truekeel/auth/internal/password"
	"github.com/truekeel/auth/internal/place"
	"github.com/truekeel/auth/internal/seal"
	"github.com/truekeel/auth/internal/seedhook"
	"github.com/truekeel/auth/internal/session"
	"github.com/truekeel/auth/internal/text"
	"github.com/truekeel/auth/mail"
	"github.com/truekeel/auth/store"
	"github.com/truekeel/auth/tokens"
)

// Error is a refusal with a stable code; see package fault for the list.
type Error = fault.Error

// Auth holds the accounts of one service. It is the [http.Handler] of its endpoints.
// It is safe for concurrent use. Make it with [New], end it with [Auth.Close].
type Auth struct {
	set   settings
	where place.Place // configured; zero if not

	store     store.Store
	joiner    store.Joiner    // nil if the store can't
	functions store.Functions // nil if its database has none
	box       *seal.Box
	keyring   *tokens.Keyring
	verifier  *tokens.Verifier
	hasher    *password.Hasher
	outbox    *outbox.Outbox
	carrier   *text.Carrier // of messages to phones
	events    *events.Log
	cleaner   *clean.Cleaner
	sessions  *session.Sessions
	callers   *caller.Reader
	inbox     *mail.Mailbox // nil unless mails are kept for development
	inboxKey  string
	users     *Users
	remote    remoteHooks
	webhook   *seedhook.Webhook // nil if there is none
	gotrue    *gotrue.Dialect
	keel      *keel.Dialect

	closing sync.Mutex
	closers []func(context.Context) error // guarded by closing once New has returned
}

// New makes an Auth of its options. Without any it keeps accounts in the SQLite file
// auth.db, makes its own keys, answers loopback hosts only, and shows its mails in a
// development inbox.
//
// A setting that can't be right is an error that names the option and the remedy; no
// setting makes a request fail later. New opens the store, brings its schema up to date
// and starts the goroutines that deliver mail and clean up, until [Auth.Close].
func New(opts ...Option) (*Auth, error) {
	a := &Auth{set: defaults()}
	for _, o := range opts {
		if o == nil {
			continue
		}
		if err := o(&a.set); err != nil {
			return nil, err
		}
	}
	a.set.clock, a.set.now = a.set.now, precise(a.set.now)
	if err := a.build(context.Background()); err != nil {
		return nil, errors.Join(err, a.Close(context.Background()))
	}
	a.outbox.Start()
	a.events.Start()
	a.cleaner.Start()
	return a, nil
}

// precise gives the clock's time as every database keeps it, so that what was just
// written and what is read later are the same.
func precise(now func() time.Time) func() time.Time {
	return func() time.Time { return now().UTC().Truncate(time.Microsecond) }
}

// Must gives the Auth of [New] or panics with its error. It is for programs that can't
// go on without.
func Must(a *Auth, err error) *Auth {
	if err != nil {
		panic(err)
	}
	return a
}

// Close stops the library's goroutines, lets the mails that are on their way arrive
// until ctx ends, and closes the store if New opened it. A second Close does nothing
// but wait for the first.
func (a *Auth) Close(ctx context.Context) error {
	a.closing.Lock()
	defer a.closing.Unlock()
	var errs []error
	for n := len(a.closers) - 1; n >= 0; n-- {
		errs = append(errs, a.closers[n](ctx))
	}
	a.closers = nil
	return errors.Join(errs...)
}

func (a *Auth) onClose(f func(context.Context) error) { a.closers = append(a.closers, f) }

// build wires the parts, each from those above it.
func (a *Auth) build(ctx context.Context) error {
	for _, step := range []func(context.Context) error{
		a.findPlace, a.addKeelProviders, a.openStore, a.openBox, a.makeKeys, a.makePolicy, a.makeGate, a.makeHooks, a.makeWebhook,
		a.makeOutbox, a.makeEvents, a.makeFlows, a.makeCleaner,
	} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

var _ http.Handler = (*Auth)(nil)
