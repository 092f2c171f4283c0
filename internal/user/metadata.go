package user

import (
	"github.com/truekeel/auth/fault"
	"github.com/truekeel/auth/internal/host"
	"github.com/truekeel/auth/store"
)

// MaxMetadata is how large a user's two kinds of metadata may be together, in bytes of
// JSON.
const MaxMetadata = host.MaxMetadata

// maxGiven is how large metadata may be that comes with a new account: what the account
// makes of it has to fit too.
const maxGiven = MaxMetadata - 1<<10

var errMetadata = fault.New(fault.ValidationFailed, "Metadata is too large (at most %d bytes)", maxGiven)

// CheckMetadata refuses metadata that is too large for a new account. Flows that may
// make one ask before they look the address up, so that the answer tells nothing of it.
func CheckMetadata(given store.Object) error {
	text, err := given.MarshalJSON()
	if err == nil && len(text) > maxGiven {
		err = errMetadata
	}
	return err
}

// Merge lays metadata over what the user has; a key with null is removed. What was too
// large before stays until it changes.
func Merge(u *store.User, own, app store.Object) error {
	u.UserMetadata = u.UserMetadata.Merged(own)
	u.AppMetadata = u.AppMetadata.Merged(app)
	if len(own) == 0 && len(app) == 0 {
		return nil
	}
	return bounded(u)
}

// bounded refuses metadata that would make tokens too long to be accepted.
func bounded(u *store.User) error {
	own, err := u.UserMetadata.MarshalJSON()
	if err != nil {
		return err
	}
	app, err := u.AppMetadata.MarshalJSON()
	if err == nil && len(own)+len(app) > MaxMetadata {
		err = errMetadata
	}
	return err
}
