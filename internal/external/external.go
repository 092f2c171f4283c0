// Package external is how people come in with an account that they have elsewhere: the
// way to the provider and back, the account that is found, made or linked, and the id
// tokens that apps present.
package external

import (
	"strings"
	"time"

	"github.com/truekeel/auth/fault"
	"github.com/truekeel/auth/internal/audit"
	"github.com/truekeel/auth/internal/emailchange"
	"github.com/truekeel/auth/internal/guard"
	"github.com/truekeel/auth/internal/host"
	"github.com/truekeel/auth/internal/onetime"
	"github.com/truekeel/auth/internal/pkce"
	"github.com/truekeel/auth/internal/post"
	"github.com/truekeel/auth/internal/seal"
	"github.com/truekeel/auth/internal/session"
	"github.com/truekeel/auth/internal/user"
	"github.com/truekeel/auth/providers"
	"github.com/truekeel/auth/store"
)

// Life is how long the way to a provider and back may take.
const Life = 5 * time.Minute

// Config is what Flow needs.
type Config struct {
	Store    store.Store
	Accounts *user.Accounts
	Sessions *session.Sessions
	Post     *post.Office
	PKCE     *pkce.Flows
	Tokens   *onetime.Tokens
	Change   *emailchange.Step
	Guard    *guard.Guard
	Audit    *audit.Log
	Box      *seal.Box
	Now      func() time.Time

	// Providers are the ways in, by name.
	Providers map[string]providers.Provider
	// Claims are the claims of id tokens that are kept as an identity's custom claims,
	// each under the name that it leads to.
	Claims map[string]string
	// Disabled means that nobody may make an account.
	Disabled bool
	// AllowUnproved lets people in whose address neither the provider nor a mail has
	// proved.
	AllowUnproved bool
	// ManualLinking lets signed-in users link and unlink identities.
	ManualLinking bool
	// Landing, if not empty, is where every way back ends, whatever was asked for.
	Landing string
	// Callbacks are where providers, by name, send browsers back that don't come back to
	// the external URL.
	Callbacks map[string]string

	// Host are the host's steps; nil if it has none.
	Host *host.Steps
}

// Flow signs people in with providers. It is safe for concurrent use.
type Flow struct{ Config }

// New makes a Flow.
func New(c Config) *Flow { return &Flow{c} }

// provider finds a configured provider by name, in whatever case.
func (f *Flow) provider(name string) (providers.Provider, bool) {
	p, ok := f.Providers[strings.ToLower(name)]
	return p, ok
}

// optional reports whether people without an address may come in with p.
func optional(p providers.Provider) bool {
	o, ok := p.(providers.EmailOptionaler)
	return ok && o.EmailOptional()
}

// ErrProvider is the answer to the name of a provider that isn't there.
var ErrProvider = fault.New(fault.ProviderDisabled, "Unsupported provider: provider is not enabled")

var (
	errLinkingOff = fault.New(fault.ManualLinkingDisabled, "Manual linking is disabled")
	errDisabled   = fault.New(fault.SignupDisabled, "Signups not allowed for this instance")
	errRaces      = fault.New(fault.Conflict, "Somebody else changed the same account at the same time; try again")
)
