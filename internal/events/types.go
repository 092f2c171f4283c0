// Package events tells other services what happened to accounts: it sees what a
// transaction changes, writes the events of it into the same transaction, and posts them
// after the commit.
//
// Flows know nothing of it: [Log.Watch] wraps the store that they write to. Each event for
// each receiver is a row that outlives its delivery, and an item of that receiver's own
// outbox, keyed by the user, so that one user's events arrive in order.
package events

import "slices"

// Type names an event.
type Type string

// The types.
const (
	UserCreated         Type = "user.created"
	UserInvited         Type = "user.invited"
	UserConfirmed       Type = "user.confirmed"
	UserEmailChanged    Type = "user.email_changed"
	UserPhoneChanged    Type = "user.phone_changed"
	UserPasswordChanged Type = "user.password_changed"
	UserBanned          Type = "user.banned"
	UserUnbanned        Type = "user.unbanned"
	IdentityUnlinked    Type = "identity.unlinked"
	IdentityLinked      Type = "identity.linked"
	UserUpdated         Type = "user.updated"
	UserSignedOut       Type = "user.signed_out"
	UserSignedIn        Type = "user.signed_in"
	UserDeleted         Type = "user.deleted"
)

// Types gives all types, in the order in which one transaction tells them of one user.
func Types() []Type {
	return []Type{
		UserCreated, UserInvited, UserConfirmed, UserEmailChanged, UserPhoneChanged, UserPasswordChanged, UserBanned, UserUnbanned,
		IdentityUnlinked, IdentityLinked, UserUpdated, UserSignedOut, UserSignedIn, UserDeleted,
	}
}

// Known reports whether there is such a type.
func (t Type) Known() bool { return slices.Contains(Types(), t) }
