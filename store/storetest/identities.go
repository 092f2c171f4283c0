package storetest

import (
	"context"
	"testing"

	"github.com/google/uuid"

	"github.com/truekeel/auth/store"
)

func testIdentities(t *testing.T, st store.Store) {
	each(t, st, []test{
		{"RoundTrip", identitiesRoundTrip},
		{"Unique", identitiesUnique},
		{"Lists", identitiesLists},
		{"Update", identitiesUpdate},
		{"Delete", identitiesDelete},
	})
}

// newIdentity gives an identity with every field set.
func newIdentity(userID uuid.UUID) store.Identity {
	return store.Identity{
		ID: uuid.New(), UserID: userID, Provider: "google", Issuer: "https://accounts.example.com",
		Subject: unique("sub"), Email: unique("ann") + "@example.com",
		Data:         store.MakeObject(map[string]any{"name": "Ann", "email_verified": true}),
		LastSignInAt: at(3), CreatedAt: at(0), UpdatedAt: at(4),
	}
}

func identitiesRoundTrip(t *testing.T, st store.Store) {
	ctx := t.Context()
	u := addUser(t, st)
	full := newIdentity(u.ID)
	filled(t, full)
	bare := store.Identity{ID: uuid.New(), UserID: u.ID, Provider: "phone", Issuer: "phone",
		Subject: u.ID.String(), CreatedAt: at(0), UpdatedAt: at(0)}
	for _, i := range []store.Identity{full, bare} {
		check(t, st.CreateIdentity(ctx, i))
		got, err := st.IdentityBySubject(ctx, i.Issuer, i.Subject)
		wantRow(t, "IdentityBySubject", got, err, i)
	}
	got, err := st.IdentityBySubject(ctx, full.Issuer, bare.Subject)
	wantMiss(t, "IdentityBySubject", got, err)
	got, err = st.IdentityBySubject(ctx, full.Provider, full.Subject)
	wantMiss(t, "IdentityBySubject of the provider's name", got, err)
}

func identitiesUnique(t *testing.T, st store.Store) {
	ctx := t.Context()
	u, other := addUser(t, st), addUser(t, st)
	i := newIdentity(u.ID)
	check(t, st.CreateIdentity(ctx, i))

	same := newIdentity(other.ID)
	same.ID = i.ID
	wantErr(t, "the same id", st.CreateIdentity(ctx, same), store.ErrConflict)
	same = newIdentity(other.ID)
	same.Subject, same.Provider = i.Subject, "another name"
	wantErr(t, "the same key", st.CreateIdentity(ctx, same), store.ErrConflict)

	same = newIdentity(other.ID)
	same.Subject, same.Issuer, same.Email = i.Subject, "https://other.example.com", i.Email
	check(t, st.CreateIdentity(ctx, same))
	got, err := st.IdentityBySubject(ctx, i.Issuer, i.Subject)
	wantRow(t, "one subject of two issuers", got, err, i)
}

func identitiesLists(t *testing.T, st store.Store) {
	ctx := t.Context()
	u, other := addUser(t, st), addUser(t, st)
	got, err := st.IdentitiesOf(ctx, u.ID)
	wantCount(t, "IdentitiesOf of none", int64(len(got)), err, 0)
	got, err = st.IdentitiesByEmail(ctx, unique("nobody"))
	wantCount(t, "IdentitiesByEmail of none", int64(len(got)), err, 0)

	email := unique("shared") + "@example.com"
	var mine, same []store.Identity
	for _, c := range []struct {
		minute int
		user   store.User
		email  string
	}{{3, u, email}, {1, u, "x" + email}, {2, other, email}, {0, u, email}} {
		i := newIdentity(c.user.ID)
		i.Email, i.CreatedAt = c.email, at(c.minute)
		check(t, st.CreateIdentity(ctx, i))
		if c.user.ID == u.ID {
			mine = append(mine, i)
		}
		if c.email == email {
			same = append(same, i)
		}
	}
	got, err = st.IdentitiesOf(ctx, u.ID)
	wantRow(t, "IdentitiesOf, oldest first", got, err, []store.Identity{mine[2], mine[1], mine[0]})
	got, err = st.IdentitiesByEmail(ctx, email)
	wantRow(t, "IdentitiesByEmail, oldest first", got, err, []store.Identity{same[2], same[1], same[0]})
}

func identitiesUpdate(t *testing.T, st store.Store) {
	ctx := t.Context()
	u := addUser(t, st)
	i, other := newIdentity(u.ID), newIdentity(u.ID)
	check(t, st.CreateIdentity(ctx, i))
	check(t, st.CreateIdentity(ctx, other))

	all := newIdentity(uuid.New()) // what isn't to be written differs too
	all.ID, all.Provider, all.Issuer, all.CreatedAt = i.ID, "other", "other", at(50)
	all.Data, all.LastSignInAt, all.UpdatedAt = store.MakeObject(map[string]any{"n": 1}), at(30), at(40)
	check(t, st.UpdateIdentity(ctx, all))
	want := i
	want.Subject, want.Email, want.Data, want.LastSignInAt, want.UpdatedAt =
		all.Subject, all.Email, all.Data, all.LastSignInAt, all.UpdatedAt
	got, err := st.IdentityBySubject(ctx, want.Issuer, want.Subject)
	wantRow(t, "after UpdateIdentity", got, err, want)

	check(t, st.UpdateIdentity(ctx, want)) // a write that changes nothing is no miss
	cleared := want
	cleared.Email, cleared.Data = "", nil
	check(t, st.UpdateIdentity(ctx, cleared))
	got, err = st.IdentityBySubject(ctx, want.Issuer, want.Subject)
	wantRow(t, "after UpdateIdentity to nothing", got, err, cleared)

	taken := want
	taken.Subject = other.Subject
	wantErr(t, "a taken subject", st.UpdateIdentity(ctx, taken), store.ErrConflict)
	wantErr(t, "UpdateIdentity of none", st.UpdateIdentity(ctx, newIdentity(u.ID)), store.ErrNotFound)
	got, err = st.IdentityBySubject(ctx, other.Issuer, other.Subject)
	wantRow(t, "the other identity", got, err, other)
}

func identitiesDelete(t *testing.T, st store.Store) {
	ctx := t.Context()
	u := addUser(t, st)
	i, other := newIdentity(u.ID), newIdentity(u.ID)
	check(t, st.CreateIdentity(ctx, i))
	check(t, st.CreateIdentity(ctx, other))
	check(t, st.DeleteIdentity(ctx, i.ID))
	wantErr(t, "DeleteIdentity again", st.DeleteIdentity(ctx, i.ID), store.ErrNotFound)
	got, err := st.IdentitiesOf(ctx, u.ID)
	wantRow(t, "what is left", got, err, []store.Identity{other})
	i.ID = uuid.New()
	check(t, st.CreateIdentity(ctx, i))
}

func raceIdentities(t *testing.T, st store.Store) {
	u, subject := addUser(t, st), unique("sub")
	won := raceErr(t, racers, store.ErrConflict, func(ctx context.Context, _ int) error {
		i := newIdentity(u.ID)
		i.Subject = subject
		return st.CreateIdentity(ctx, i)
	})
	got, err := st.IdentitiesOf(t.Context(), u.ID)
	if won != 1 || err != nil || len(got) != 1 {
		t.Errorf("%d callers created one identity, there are %d (%v)", won, len(got), err)
	}
}
