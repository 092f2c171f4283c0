package auth

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/truekeel/auth/internal/caller"
	"github.com/truekeel/auth/internal/endpoint"
	"github.com/truekeel/auth/internal/place"
	"github.com/truekeel/auth/mail"
)

// findPlace settles the two URLs.
func (a *Auth) findPlace(context.Context) error {
	s := &a.set
	if err := s.hooks.send(s); err != nil {
		return err
	}
	switch {
	case s.siteURL == "" && s.externalURL != "":
		s.siteURL = originOf(s.externalURL)
	case s.siteURL != "" && s.externalURL == "":
		s.externalURL = originOf(s.siteURL) + strings.TrimSuffix(s.basePath, "/")
	}
	a.where = place.Place{External: s.externalURL, Site: s.siteURL}
	if len(s.hosts) > 0 && !a.where.Known() {
		return errors.New("auth: WithExternalHosts: the hosts share the path of WithExternalURL; add that")
	}
	if s.issuer == "" {
		s.issuer = s.externalURL
	}
	_, elsewhere := s.remote[HookSendEmail]
	if a.public() && s.mailer == nil && s.sendMail == nil && !elsewhere && !s.autoConfirm {
		return fmt.Errorf("auth: WithSiteURL: %s is public and nothing sends mail; add WithMailer, WithSendMail (or Hooks.SendMail, WithHTTPHook) or WithAutoConfirm", s.siteURL)
	}
	if err := a.checkPhones(); err != nil {
		return err
	}
	if s.keelOff && s.gotrueOff {
		return errors.New("auth: WithoutKeel and WithoutGoTrue: nothing would answer; leave one of them out")
	}
	if _, kept := s.mailer.(*mail.Mailbox); kept && (s.sendMail != nil || elsewhere) {
		s.mailer = nil // a host tests its own sending: nobody would miss the mails that aren't kept
	}
	if s.mailer != nil && elsewhere {
		return errors.New("auth: WithMailer and WithHTTPHook: only one of them can send mails; leave one out")
	}
	if s.mailer != nil && s.sendMail != nil {
		return errors.New("auth: WithMailer and WithSendMail, or Hooks.SendMail of WithHooks: only one of them can send; leave one out")
	}
	return nil
}

// public reports whether people reach the service from elsewhere.
func (a *Auth) public() bool {
	for _, raw := range []string{a.set.siteURL, a.set.externalURL} {
		if u, err := url.Parse(raw); raw != "" && (err != nil || !caller.IsLoopbackHost(u.Host)) {
			return true
		}
	}
	return false
}

func originOf(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return raw
	}
	return u.Scheme + "://" + u.Host
}

// cors says which pages of other origins may call.
func (a *Auth) cors() endpoint.CORS {
	s := &a.set
	c := endpoint.CORS{Any: s.anyOrigin, Origins: slices.Clone(s.origins), Loopback: !a.public(), Headers: s.corsHeaders}
	if a.where.Known() {
		c.Origins = append(c.Origins, strings.ToLower(originOf(s.siteURL)))
	}
	return c
}
