// Package audit writes down who did what, in the transaction that does it.
package audit

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/truekeel/auth/internal/caller"
	"github.com/truekeel/auth/store"
)

// Action is what was done.
type Action string

// The actions.
const (
	Login                     Action = "login"
	Logout                    Action = "logout"
	InviteAccepted            Action = "invite_accepted"
	UserSignedUp              Action = "user_signedup"
	UserInvited               Action = "user_invited"
	UserDeleted               Action = "user_deleted"
	UserModified              Action = "user_modified"
	UserRecoveryRequested     Action = "user_recovery_requested"
	UserReauthenticate        Action = "user_reauthenticate_requested"
	UserConfirmationRequested Action = "user_confirmation_requested"
	UserRepeatedSignUp        Action = "user_repeated_signup"
	UserUpdatedPassword       Action = "user_updated_password"
	TokenRevoked              Action = "token_revoked"
	TokenRefreshed            Action = "token_refreshed"
	IdentityLinked            Action = "identity_linked"
	IdentityUnlinked          Action = "identity_unlinked"
)

// logType is the family of an action.
func logType(a Action) string {
	switch a {
	case Login, Logout, InviteAccepted:
		return "account"
	case UserSignedUp, UserInvited, UserDeleted:
		return "team"
	case TokenRevoked, TokenRefreshed:
		return "token"
	default:
		return "user"
	}
}

// Actor is who did it.
type Actor struct {
	ID       uuid.UUID
	Username string
	Name     string
	ViaSSO   bool
}

// Of makes a user the actor.
func Of(u *store.User) Actor {
	name := u.Email
	if u.Phone != "" {
		name = u.Phone
	}
	return Actor{ID: u.ID, Username: name, Name: u.UserMetadata.String("full_name"), ViaSSO: u.IsSSO}
}

// Admin makes an administrating role the actor: it has no account of its own.
func Admin(role string) Actor { return Actor{Username: role} }

// Host is the program that embeds the library.
func Host() Actor { return Actor{Username: "host"} }

// Log writes audit entries. It is safe for concurrent use.
type Log struct {
	now func() time.Time
	off bool
}

// New makes a Log.
func New(now func() time.Time) *Log { return &Log{now: now} }

// Off makes a Log that writes nothing.
func Off() *Log { return &Log{off: true} }

// Add writes an entry within tx, with the caller found in ctx.
func (l *Log) Add(ctx context.Context, tx store.AuditLog, who Actor, what Action, traits map[string]any) error {
	if l.off {
		return nil
	}
	id, err := uuid.NewV7()
	if err != nil {
		return err
	}
	from := caller.From(ctx)
	e := store.AuditEntry{
		ID: id, Action: string(what), LogType: logType(what),
		ActorID: who.ID, ActorUsername: who.Username, ActorName: who.Name, ActorViaSSO: who.ViaSSO,
		UserAgent: from.UserAgent, RequestID: from.RequestID, CreatedAt: l.now(),
	}
	if from.IP.IsValid() {
		e.IP = from.IP.String()
	}
	if len(traits) > 0 {
		e.Traits = store.MakeObject(traits)
	}
	return tx.AddAuditEntry(ctx, e)
}
