package auth

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/google/uuid"

	"github.com/truekeel/auth/captcha"
	"github.com/truekeel/auth/internal/account"
	"github.com/truekeel/auth/internal/admin"
	"github.com/truekeel/auth/internal/audit"
	"github.com/truekeel/auth/internal/caller"
	"github.com/truekeel/auth/internal/emailchange"
	"github.com/truekeel/auth/internal/external"
	"github.com/truekeel/auth/internal/gotrue"
	"github.com/truekeel/auth/internal/guard"
	"github.com/truekeel/auth/internal/human"
	"github.com/truekeel/auth/internal/keel"
	"github.com/truekeel/auth/internal/onetime"
	"github.com/truekeel/auth/internal/password"
	"github.com/truekeel/auth/internal/pkce"
	"github.com/truekeel/auth/internal/post"
	"github.com/truekeel/auth/internal/proof"
	"github.com/truekeel/auth/internal/redirect"
	"github.com/truekeel/auth/internal/session"
	"github.com/truekeel/auth/internal/signin"
	"github.com/truekeel/auth/internal/signup"
	"github.com/truekeel/auth/internal/user"
	"github.com/truekeel/auth/limit"
	"github.com/truekeel/auth/providers"
	"github.com/truekeel/auth/tokens"
)

// makeGate makes what hashes passwords and what reads callers.
func (a *Auth) makeGate(context.Context) (err error) {
	s := &a.set
	s.hasher.Now, s.hasher.Observe = s.clock, ifObserved(s, s.tellGate)
	if a.hasher, err = password.NewHasher(s.hasher); err != nil {
		return fmt.Errorf("auth: WithBcrypt, WithArgon2id: %w", err)
	}
	s.caller.NewID, s.caller.Logger = uuid.NewString, s.logger
	if a.callers, err = caller.New(s.caller); err != nil {
		return fmt.Errorf("auth: WithTrustedProxies, WithClientIPHeader, WithRequestIDHeader: %w", err)
	}
	if s.limiter == nil && !s.noLimits {
		s.limiter, err = limit.NewMemory(limit.MemoryConfig{Now: s.now})
	}
	if s.noLimits {
		s.limiter = nil
	}
	return err
}

// makeFlows makes the steps, the flows and the dialect over them.
func (a *Auth) makeFlows(context.Context) error {
	s := &a.set
	log := audit.New(s.now)
	if s.auditOff {
		log = audit.Off()
	}
	steps := a.steps()
	accounts := user.New(user.Config{Now: s.now, Audit: log, DefaultRole: s.role, Host: steps})
	a.sessions = session.New(session.Config{
		Store: a.store, Accounts: accounts, Audit: log, Now: s.now, Lifetime: s.lifetime,
		Issuer:  tokens.NewIssuer(a.keyring, tokens.IssuerConfig{Issuer: s.issuer, Now: s.now}),
		Timebox: s.sessions.Timebox, Inactivity: s.sessions.Inactivity, SinglePerUser: s.sessions.SinglePerUser,
		ReuseInterval: s.reuseInterval, KeepFamily: s.keepFamily, Host: steps, Fixed: s.keelSessions(),
	})
	once := onetime.New(onetime.Config{
		Store: a.store, Now: s.now, MAC: a.box.MAC, MACs: a.box.MACs, CodeLength: s.codes.Length,
		LinkLife: s.codes.LinkLife, CodeLife: s.codes.CodeLife, MaxGuesses: s.codes.MaxGuesses, MaxPerHour: int64(s.codes.MaxPerHour),
	})
	office := post.New(post.Config{
		Store: a.store, Outbox: a.outbox, Tokens: once, Now: s.now, Logger: s.logger, MAC: a.box.MAC, Every: s.mailEvery,
		Paths: s.linkPaths, Authorized: s.authorized, Notify: s.notify, Default: a.where,
	})
	flows := pkce.New(pkce.Config{Now: s.now, Wait: s.codes.LinkLife, CodeLife: flowLife})
	limits := guard.New(guard.Config{Limiter: s.limiter, Doors: s.doors, Mails: s.mailQuota, Texts: s.smsQuota})
	texts := a.makeDesk(limits)
	gate := a.makeHuman(limits)
	change := &emailchange.Step{Accounts: accounts, Post: office, PKCE: flows, Now: s.now, Secure: s.secureChange, Together: a.remote.email != nil}

	administration := admin.New(admin.Config{
		Store: a.store, Accounts: accounts, Sessions: a.sessions, Post: office, Tokens: once, Guard: limits, Hasher: a.hasher,
		Policy: s.policy, Audit: log, Now: s.now, SecureChange: s.secureChange, Host: steps,
	})
	a.users = &Users{auth: a, flow: administration}
	outside, err := a.makeExternal(external.Config{
		Store: a.store, Accounts: accounts, Sessions: a.sessions, Post: office, PKCE: flows, Tokens: once, Change: change, Guard: limits,
		Audit: log, Box: a.box, Now: s.now, Disabled: s.signUpOff, AllowUnproved: s.allowUnproved, ManualLinking: s.linking,
		Landing: s.landing, Callbacks: s.callbacks, Claims: s.keelClaims(), Host: steps,
	})
	if err != nil {
		return err
	}
	signIn := signin.New(signin.Config{
		Store: a.store, Accounts: accounts, Sessions: a.sessions, PKCE: flows, Guard: limits, Hasher: a.hasher, Policy: s.policy,
		Audit: log, Now: s.now, Logger: s.logger, EmailOff: s.emailOff, PhoneOff: !s.phones, AllowUnconfirmed: s.allowUnconfirmed, Redeemed: outside.Redeemed, Host: steps,
	})
	signUp := signup.New(signup.Config{
		Store: a.store, Accounts: accounts, Sessions: a.sessions, Post: office, Texts: texts, PKCE: flows, Guard: limits, Hasher: a.hasher,
		PhoneOff: !s.phones, PhoneAutoConfirm: s.smsAuto,
		Policy: s.policy, Audit: log, Now: s.now, MAC: a.box.MAC, Disabled: s.signUpOff, EmailOff: s.emailOff, AutoConfirm: s.autoConfirm,
		ShowDuplicates: s.showDuplicates, SignIn: byPassword(signIn), AllowUnconfirmed: s.allowUnconfirmed, Host: steps,
	})
	policy, err := redirect.New(s.siteURL, s.redirects, redirect.Options{Logger: s.logger})
	if err != nil {
		return fmt.Errorf("auth: WithRedirectURLs: %w", err)
	}
	a.makeKeel(keel.Config{Human: gate, SignUp: signUp, SignIn: signIn, External: outside, Allowed: policy.Allowed})
	return a.makeDialect(gotrue.Config{
		Redirect: policy,
		Human:    gate,
		External: outside,
		SignUp:   signUp,
		SignIn:   signIn,
		Proof: proof.New(proof.Config{
			Store: a.store, Accounts: accounts, Sessions: a.sessions, Post: office, Texts: texts, PKCE: flows, Tokens: once, Guard: limits,
			PhoneOff: !s.phones, PhoneAutoConfirm: s.smsAuto,
			Hasher: a.hasher, Policy: s.policy, Change: change, Audit: log, Now: s.now, SignUpDisabled: s.signUpOff,
			EmailOff: s.emailOff, MagicLinkOff: s.magicLinkOff, AutoConfirm: s.autoConfirm, ShowUnknown: s.showDuplicates, Host: steps,
		}),
		Account: account.New(account.Config{
			Store: a.store, Accounts: accounts, Sessions: a.sessions, Post: office, Texts: texts, Tokens: once, Change: change, Guard: limits,
			PhoneOff: !s.phones, PhoneAutoConfirm: s.smsAuto,
			Hasher: a.hasher, Policy: s.policy, Audit: log, Now: s.now, AdminRole: s.selfAdminRole, Audience: s.audience,
			AutoConfirm: s.autoConfirm, AskNonce: s.askNonce, RequireCurrent: s.requireCurrent, Host: steps,
		}),
		Admin: administration,
	})
}

// makeHuman makes the gate that asks for captchas; nil without one.
func (a *Auth) makeHuman(limits *guard.Guard) *human.Gate {
	v := a.set.captcha
	if v == nil {
		return nil
	}
	if own, ok := v.(interface {
		WithClient(client *http.Client) captcha.Verifier
	}); ok && a.set.client != nil {
		v = own.WithClient(a.set.client)
	}
	if c, ok := v.(interface{ CloseIdleConnections() }); ok {
		a.onClose(func(context.Context) error { c.CloseIdleConnections(); return nil })
	}
	return &human.Gate{Verifier: v, Guard: limits, Logger: a.set.logger}
}

// makeExternal connects the providers to the world and makes the flow over them.
func (a *Auth) makeExternal(c external.Config) (*external.Flow, error) {
	world := providers.NewOutbound(a.set.client, a.set.now)
	a.onClose(func(context.Context) error { world.Close(); return nil })
	c.Providers = map[string]providers.Provider{}
	for _, p := range a.set.providers {
		connected, err := providers.Connect(p, world)
		if err != nil {
			return nil, fmt.Errorf("auth: WithProvider: %w", err)
		}
		c.Providers[connected.Name()] = connected
	}
	for name := range c.Callbacks {
		if _, ok := c.Providers[name]; !ok {
			return nil, fmt.Errorf("auth: WithProviderCallback: there is no provider %q; give it with WithProvider", name)
		}
	}
	return external.New(c), nil
}

func (a *Auth) makeDialect(c gotrue.Config) error {
	s := &a.set
	cors := a.cors()
	var trusted []string
	if a.where.Known() {
		trusted = append(trusted, originOf(s.externalURL))
		for _, h := range s.hosts {
			trusted = append(trusted, "https://"+h)
		}
	}
	c.Sessions, c.Keyring, c.Logger, c.Ready = a.sessions, a.keyring, s.logger, a.store.Ping
	c.Verifier = tokens.NewVerifier(a.keyring, tokens.VerifierConfig{Now: s.now, AllowNoExpiry: true, MaxBytes: maxToken})
	c.Issuer, c.Version, c.Audience, c.Audiences, c.AdminRoles = s.issuer, version(), s.audience, s.audiences, s.adminRoles
	c.DirectLinks, c.MaxDuration, c.CORS, c.TrustedOrigins = s.directLinks, s.maxDuration, cors, trusted
	c.Settings = gotrue.Settings{
		DisableSignUp: s.signUpOff, AutoConfirm: s.autoConfirm, PhoneAutoConfirm: s.smsAuto, SMSProvider: s.smsProvider(),
	}
	if s.phones {
		c.Settings.External = append(c.Settings.External, "phone")
	}
	if !s.emailOff {
		c.Settings.External = append(c.Settings.External, "email")
	}
	for _, p := range s.providers {
		c.Settings.External = append(c.Settings.External, p.Name())
	}
	var err error
	a.gotrue, err = gotrue.New(c)
	return err
}

// flowLife is how long an authorization code is good (RFC 6749, 4.1.2, advises at most
// ten minutes).
const flowLife = 5 * time.Minute
