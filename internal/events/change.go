package events

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"reflect"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/truekeel/auth/store"
)

// seen is what a transaction has read and written of users.
type seen struct {
	users      map[uuid.UUID]store.User // as they are now
	identities map[uuid.UUID]store.Identity
	sessions   map[uuid.UUID]uuid.UUID // whose they are
	changes    map[uuid.UUID]*change
	order      []uuid.UUID // of the users in changes
}

func newSeen() *seen {
	return &seen{
		users: map[uuid.UUID]store.User{}, identities: map[uuid.UUID]store.Identity{},
		sessions: map[uuid.UUID]uuid.UUID{}, changes: map[uuid.UUID]*change{},
	}
}

func (s *seen) clone() *seen {
	c := &seen{
		users: maps.Clone(s.users), identities: maps.Clone(s.identities), sessions: maps.Clone(s.sessions),
		changes: make(map[uuid.UUID]*change, len(s.changes)), order: slices.Clone(s.order),
	}
	for id, was := range s.changes {
		is := *was
		is.linked, is.unlinked = slices.Clone(was.linked), slices.Clone(was.unlinked)
		is.started, is.ended = slices.Clone(was.started), slices.Clone(was.ended)
		c.changes[id] = &is
	}
	return c
}

// of gives the change of a user.
func (s *seen) of(id uuid.UUID) *change {
	c, ok := s.changes[id]
	if !ok {
		c = &change{}
		s.changes[id] = c
		s.order = append(s.order, id)
	}
	return c
}

func (s *seen) user(u store.User, err error) (store.User, error) {
	if err == nil {
		s.users[u.ID] = u
	}
	return u, err
}

func (s *seen) known(list []store.Identity, err error) ([]store.Identity, error) {
	if err == nil {
		for _, i := range list {
			s.identities[i.ID] = i
		}
	}
	return list, err
}

func missing(err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	return err
}

// change is what one transaction does to one user.
type change struct {
	written       bool // before (unless created) and after are set
	before, after store.User

	created, deleted bool
	gone             bool // deleted softly before, which was told
	linked, unlinked []store.Identity
	renewed          bool // what an identity says
	samePassword     bool
	started          []store.Session
	ended            []uuid.UUID // sessions
}

// fact is an event that isn't rendered yet: what its data say beside the user.
type fact struct {
	what     Type
	identity *store.Identity
	session  *store.Session
}

// facts says what happened, in the order of Types.
func (c *change) facts(now time.Time) []fact {
	switch {
	case c.created && c.deleted, c.gone, c.written && !c.before.DeletedAt.IsZero():
		return nil // nobody has seen him, or not any more
	case c.deleted, c.written && !c.after.DeletedAt.IsZero():
		return []fact{{what: UserDeleted}}
	}
	var out []fact
	add := func(is bool, what Type) {
		if is {
			out = append(out, fact{what: what})
		}
	}
	add(c.created, UserCreated)
	if c.written {
		b, a := &c.before, &c.after
		add(b.InvitedAt.IsZero() && !a.InvitedAt.IsZero(), UserInvited)
		add(!b.Confirmed() && a.Confirmed(), UserConfirmed)
		add(!c.created && b.Email != a.Email, UserEmailChanged)
		add(!c.created && b.Phone != a.Phone, UserPhoneChanged)
		add(!c.created && b.PasswordHash != a.PasswordHash && !c.samePassword, UserPasswordChanged)
		add(a.Banned(now) && !a.BannedUntil.Equal(b.BannedUntil), UserBanned)
		add(b.Banned(now) && !a.Banned(now), UserUnbanned)
	}
	if !c.created {
		out = append(out, c.links()...)
		add(len(c.changed()) > 0, UserUpdated)
	}
	add(len(c.ended) > 0, UserSignedOut)
	for n := range c.started {
		if !slices.Contains(c.ended, c.started[n].ID) {
			out = append(out, fact{what: UserSignedIn, session: &c.started[n]})
		}
	}
	return out
}

// links are the identities that came and went; one that did both isn't told.
func (c *change) links() (out []fact) {
	by := func(list []store.Identity, id uuid.UUID) bool {
		return slices.ContainsFunc(list, func(i store.Identity) bool { return i.ID == id })
	}
	for n, i := range c.unlinked {
		if !by(c.linked, i.ID) {
			out = append(out, fact{what: IdentityUnlinked, identity: &c.unlinked[n]})
		}
	}
	for n, i := range c.linked {
		if !by(c.unlinked, i.ID) {
			out = append(out, fact{what: IdentityLinked, identity: &c.linked[n]})
		}
	}
	return out
}

// changed names the fields of the public user that differ, but for the times of changes
// and of sign-ins.
func (c *change) changed() []string {
	var out []string
	if c.written {
		b, a := &c.before, &c.after
		for _, f := range []struct {
			name string
			same bool
		}{
			{"role", b.Role == a.Role},
			{"email", b.Email == a.Email},
			{"email_confirmed_at", b.EmailConfirmedAt.Equal(a.EmailConfirmedAt)},
			{"phone", b.Phone == a.Phone},
			{"phone_confirmed_at", b.PhoneConfirmedAt.Equal(a.PhoneConfirmedAt)},
			{"invited_at", b.InvitedAt.Equal(a.InvitedAt)},
			{"app_metadata", sameObject(b.AppMetadata, a.AppMetadata)},
			{"user_metadata", sameObject(b.UserMetadata, a.UserMetadata)},
			{"is_anonymous", b.IsAnonymous == a.IsAnonymous},
			{"banned_until", b.BannedUntil.Equal(a.BannedUntil)},
		} {
			if !f.same {
				out = append(out, f.name)
			}
		}
	}
	if c.renewed || len(c.links()) > 0 {
		out = append(out, "identities")
	}
	return out
}

// sameObject compares meanings.
func sameObject(a, b store.Object) bool {
	return maps.EqualFunc(a, b, func(x, y json.RawMessage) bool {
		return bytes.Equal(x, y) || reflect.DeepEqual(meaning(x), meaning(y))
	})
}

func meaning(raw json.RawMessage) (v any) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if d.Decode(&v) != nil {
		return raw
	}
	return v
}
