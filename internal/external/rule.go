package external

import (
	"github.com/truekeel/auth/fault"
	"github.com/truekeel/auth/store"
)

// situation is all that the linking rule looks at.
type situation struct {
	login login
	// owner is the user whose identity it is already; nil if it is new to us.
	owner *store.User
	// holder is the user whom the login's addresses lead to; nil if there is none.
	holder *store.User
	// target is the signed-in user who asks to have the identity linked; nil if nobody
	// is signed in.
	target *store.User
}

// verdict is what is done with a login.
type verdict int

const (
	enter        verdict = iota + 1 // sign the identity's owner in
	proveOwner                      // the same, and his own address is proved by this login
	askOwner                        // his address isn't proved: mail him
	create                          // make an account, confirmed if it has an address
	createAsk                       // make an account that has to prove its address by mail
	link                            // link to the account that has the address
	takeOver                        // the same, but nobody had proved the address: evict first
	tellHolder                      // an unproved address is taken: refuse, and tell its holder
	linkToTarget                    // link to who is signed in
)

var (
	errLinked       = fault.New(fault.IdentityAlreadyExists, "Identity is already linked")
	errLinkedToElse = fault.New(fault.IdentityAlreadyExists, "Identity is already linked to another user")
	errHeldByPhone  = fault.New(fault.Conflict, "The address is noted on the account of a phone number; sign in there to link the identity")
	errNoAddress    = fault.New(fault.ProviderEmailNeedsVerification, "Error getting user email from external provider")
)

// decide is the linking rule. The key of an identity is (issuer, subject); an address
// leads to an account only if the provider vouches for it now and the account proved it
// before. Where the account didn't, the provider's word counts for more than whatever
// the account was made with. An address without proof links nothing and takes over
// nothing. Who is signed in decides himself.
func decide(s situation) (verdict, error) {
	switch {
	case s.target != nil && s.owner != nil && s.owner.ID == s.target.ID:
		return 0, errLinked
	case s.target != nil && s.owner != nil:
		return 0, errLinkedToElse
	case s.target != nil:
		return linkToTarget, nil
	case s.owner != nil:
		return decideOwner(s), nil
	case s.login.Address == "" && !s.login.Optional:
		return 0, errNoAddress
	case s.login.Address == "":
		return create, nil
	case !s.login.Proved && s.holder != nil:
		return tellHolder, nil
	case !s.login.Proved:
		return createAsk, nil
	case s.holder == nil:
		return create, nil
	case !s.holder.EmailConfirmedAt.IsZero():
		return link, nil
	case !s.holder.PhoneConfirmedAt.IsZero():
		return 0, errHeldByPhone
	}
	return takeOver, nil
}

// decideOwner is the rule for an identity that we know. An account is confirmed only by
// an address that is its own and that the provider vouches for in this very login.
func decideOwner(s situation) verdict {
	u := s.owner
	switch {
	case !u.EmailConfirmedAt.IsZero() || u.Email == "":
		return enter
	case s.login.vouched(u.Email):
		return proveOwner
	}
	return askOwner
}

// makes reports whether a verdict makes an account.
func (v verdict) makes() bool { return v == create || v == createAsk }

// mails reports whether a verdict sends a mail to an address that isn't proved.
func (v verdict) mails() bool { return v == askOwner || v == createAsk || v == tellHolder }
