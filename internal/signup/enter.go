package signup

import (
	"context"

	"github.com/google/uuid"

	"github.com/truekeel/auth/fault"
	"github.com/truekeel/auth/internal/session"
)

// Entry is what [Flow.Enter] did.
type Entry struct {
	// Grant is the session, nil if the request made an account that has to be
	// confirmed first.
	Grant *session.Grant
	// Created is the account that this request made, uuid.Nil if it made none.
	Created uuid.UUID
}

// Enter signs in who has an account and makes one for who hasn't, if people may make
// accounts. A wrong password is [fault.InvalidCredentials], as is an account that has to
// be confirmed; Entry.Created is set beside the error then, and for the program alone.
//
// Where addresses have to be proved, an unknown address and a wrong password take the
// same steps, hashes, limits and mail rows, so that nobody learns which it was. Where
// they haven't, the answer tells it anyway.
func (f *Flow) Enter(ctx context.Context, q Request) (Entry, error) {
	q.Quiet = true
	if f.Disabled {
		return f.enter(ctx, q)
	}
	if f.AutoConfirm {
		return f.enterOpen(ctx, q)
	}
	e, err := f.enter(ctx, q)
	switch fault.CodeOf(err) {
	case fault.InvalidCredentials:
	case fault.EmailNotConfirmed:
		q.Known = true
	default:
		return e, err
	}
	r, failed := f.SignUp(ctx, q)
	if failed != nil {
		return Entry{}, failed
	}
	if !r.Created {
		return Entry{}, err
	}
	if f.AllowUnconfirmed {
		if e, err = f.enter(ctx, q); err != nil {
			return Entry{}, err
		}
	}
	e.Created = r.Account.User.ID
	return e, err
}

// enterOpen is Enter where addresses need no proof.
func (f *Flow) enterOpen(ctx context.Context, q Request) (Entry, error) {
	_, found, err := f.owner(ctx, f.Store, q)
	if err != nil {
		return Entry{}, err
	}
	if found {
		return f.enter(ctx, q)
	}
	r, err := f.SignUp(ctx, q)
	if fault.CodeOf(err) == fault.UserAlreadyExists {
		return f.enter(ctx, q) // somebody was quicker
	}
	if err != nil {
		return Entry{}, err
	}
	return Entry{Grant: r.Grant, Created: r.Account.User.ID}, nil
}

// enter signs in.
func (f *Flow) enter(ctx context.Context, q Request) (Entry, error) {
	g, err := f.SignIn(ctx, q)
	if err != nil {
		return Entry{}, err
	}
	return Entry{Grant: &g}, nil
}
