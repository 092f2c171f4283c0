package storetest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/truekeel/auth/store"
)

func testUsers(t *testing.T, st store.Store) {
	each(t, st, []test{
		{"RoundTrip", usersRoundTrip},
		{"Miss", usersMiss},
		{"Unique", usersUnique},
		{"WithoutAddress", usersWithoutAddress},
		{"SSO", usersSSO},
		{"Update", usersUpdate},
		{"UpdateRefused", usersUpdateRefused},
		{"Delete", usersDelete},
		{"List", usersList},
		{"ListFilter", usersListFilter},
		{"ListWhileAdded", usersListWhileAdded},
		{"ListLimits", usersListLimits},
	})
}

// newUser gives an account with every field set.
func newUser(audience string) store.User {
	return store.User{
		ID: uuid.New(), Audience: audience, Role: "authenticated",
		Email: unique("ann") + "@example.com", EmailConfirmedAt: at(1),
		Phone: unique("49"), PhoneConfirmedAt: at(2),
		PasswordHash: "$2a$10$abcdefghijklmnopqrstuv",
		NewEmail:     "new@example.com", EmailChangeSide: store.ChangeCurrent, NewPhone: "4917012",
		InvitedAt: at(3), ConfirmationSentAt: at(4), RecoverySentAt: at(5), EmailChangeSentAt: at(6),
		PhoneChangeSentAt: at(7), ReauthenticationSent: at(8), LastSignInAt: at(9),
		AppMetadata:  store.MakeObject(map[string]any{"provider": "email", "providers": []string{"email"}}),
		UserMetadata: store.MakeObject(map[string]any{"full_name": "Ann Onymous"}),
		IsAnonymous:  true, IsSSO: true, BannedUntil: at(10), DeletedAt: at(11),
		CreatedAt: at(0), UpdatedAt: at(12), Version: 1,
	}
}

// plainUser gives an account with little more than its addresses.
func plainUser(audience string) store.User {
	return store.User{
		ID: uuid.New(), Audience: audience, Role: "authenticated",
		Email: unique("bob") + "@example.com", Phone: unique("44"),
		CreatedAt: at(0), UpdatedAt: at(0), Version: 1,
	}
}

// addUser stores a plain account.
func addUser(t *testing.T, st store.Store) store.User {
	t.Helper()
	u := plainUser(unique("aud"))
	check(t, st.CreateUser(t.Context(), u))
	return u
}

func usersRoundTrip(t *testing.T, st store.Store) {
	ctx := t.Context()
	full := newUser(unique("aud"))
	filled(t, full)
	bare := store.User{ID: uuid.New(), Audience: unique("aud"), CreatedAt: at(0), UpdatedAt: at(0), Version: 1}
	for _, u := range []store.User{full, bare} {
		check(t, st.CreateUser(ctx, u))
		got, err := st.User(ctx, u.ID)
		wantRow(t, "User", got, err, u)
	}
	late := plainUser(unique("aud"))
	late.Version = 7
	check(t, st.CreateUser(ctx, late))
	late.Version = 1
	got, err := st.UserByEmail(ctx, late.Audience, late.Email)
	wantRow(t, "UserByEmail of an account created as version 7", got, err, late)
	got, err = st.UserByPhone(ctx, late.Audience, late.Phone)
	wantRow(t, "UserByPhone", got, err, late)
}

func usersMiss(t *testing.T, st store.Store) {
	ctx := t.Context()
	u := addUser(t, st)
	got, err := st.User(ctx, uuid.New())
	wantMiss(t, "User", got, err)
	got, err = st.User(ctx, uuid.Nil)
	wantMiss(t, "User of no id", got, err)
	got, err = st.UserByEmail(ctx, u.Audience, "nobody@example.com")
	wantMiss(t, "UserByEmail", got, err)
	got, err = st.UserByEmail(ctx, unique("aud"), u.Email)
	wantMiss(t, "UserByEmail in another audience", got, err)
	got, err = st.UserByPhone(ctx, u.Audience, "1")
	wantMiss(t, "UserByPhone", got, err)
	got, err = st.UserByPhone(ctx, unique("aud"), u.Phone)
	wantMiss(t, "UserByPhone in another audience", got, err)
}

func usersUnique(t *testing.T, st store.Store) {
	ctx := t.Context()
	u := addUser(t, st)

	same := plainUser(unique("aud"))
	same.ID = u.ID
	wantErr(t, "the same id", st.CreateUser(ctx, same), store.ErrConflict)

	same = plainUser(u.Audience)
	same.Email = u.Email
	wantErr(t, "the same email", st.CreateUser(ctx, same), store.ErrConflict)
	got, err := st.User(ctx, same.ID)
	wantMiss(t, "what the conflict left", got, err)

	same = plainUser(u.Audience)
	same.Phone = u.Phone
	wantErr(t, "the same phone", st.CreateUser(ctx, same), store.ErrConflict)

	same = plainUser(unique("aud"))
	same.Email, same.Phone = u.Email, u.Phone
	check(t, st.CreateUser(ctx, same))
	got, err = st.UserByEmail(ctx, u.Audience, u.Email)
	wantRow(t, "one email in two audiences", got, err, u)

	gone := plainUser(u.Audience)
	gone.DeletedAt = at(1)
	check(t, st.CreateUser(ctx, gone))
	got, err = st.User(ctx, gone.ID)
	wantRow(t, "a soft-deleted account", got, err, gone)
}

func usersWithoutAddress(t *testing.T, st store.Store) {
	ctx := t.Context()
	aud := unique("aud")
	for range 3 {
		u := plainUser(aud)
		u.Email, u.Phone = "", ""
		check(t, st.CreateUser(ctx, u))
	}
	got, err := st.UserByEmail(ctx, aud, "")
	wantMiss(t, "UserByEmail of no email", got, err)
	got, err = st.UserByPhone(ctx, aud, "")
	wantMiss(t, "UserByPhone of no phone", got, err)

	one, other := plainUser(aud), plainUser(aud)
	check(t, st.CreateUser(ctx, one))
	check(t, st.CreateUser(ctx, other))
	for _, u := range []*store.User{&one, &other} {
		u.Email, u.Phone = "", ""
		check(t, st.UpdateUser(ctx, u))
	}
	n, err := st.CountUsers(ctx, store.UserQuery{Audience: aud})
	wantCount(t, "accounts without address", n, err, 5)
}

func usersSSO(t *testing.T, st store.Store) {
	ctx := t.Context()
	u := addUser(t, st)
	var sso []store.User
	for range 2 {
		s := plainUser(u.Audience)
		s.Email, s.Phone, s.IsSSO = u.Email, u.Phone, true
		check(t, st.CreateUser(ctx, s))
		sso = append(sso, s)
	}
	got, err := st.UserByEmail(ctx, u.Audience, u.Email)
	wantRow(t, "UserByEmail beside SSO accounts", got, err, u)
	got, err = st.UserByPhone(ctx, u.Audience, u.Phone)
	wantRow(t, "UserByPhone beside SSO accounts", got, err, u)

	left := sso[0]
	left.IsSSO = false
	wantErr(t, "leaving SSO for a taken email", st.UpdateUser(ctx, &left), store.ErrConflict)
	left = sso[0]
	left.IsSSO, left.Email, left.Phone = false, "left-"+u.Email, ""
	check(t, st.UpdateUser(ctx, &left))
	got, err = st.UserByEmail(ctx, u.Audience, left.Email)
	wantRow(t, "an account that left SSO", got, err, left)

	check(t, st.DeleteUser(ctx, u.ID))
	got, err = st.UserByEmail(ctx, u.Audience, u.Email)
	wantMiss(t, "UserByEmail of SSO accounts alone", got, err)
	got, err = st.UserByPhone(ctx, u.Audience, u.Phone)
	wantMiss(t, "UserByPhone of SSO accounts alone", got, err)
}

func usersUpdate(t *testing.T, st store.Store) {
	ctx := t.Context()
	u := addUser(t, st)
	other := addUser(t, st)
	first := u

	full := newUser(unique("aud"))
	full.ID = u.ID
	full.IsSSO = false
	full.CreatedAt = u.CreatedAt
	check(t, st.UpdateUser(ctx, &full))
	if full.Version != 2 {
		t.Errorf("UpdateUser left Version %d, want 2", full.Version)
	}
	got, err := st.User(ctx, u.ID)
	wantRow(t, "after UpdateUser of every column", got, err, full)
	got, err = st.UserByEmail(ctx, first.Audience, first.Email)
	wantMiss(t, "the email before", got, err)
	got, err = st.UserByEmail(ctx, full.Audience, full.Email)
	wantRow(t, "the email after", got, err, full)

	check(t, st.UpdateUser(ctx, &full))
	got, err = st.User(ctx, u.ID)
	full.Version = 3
	wantRow(t, "after UpdateUser of nothing", got, err, full)

	bare := store.User{ID: u.ID, Audience: first.Audience, CreatedAt: first.CreatedAt, UpdatedAt: at(60), Version: 3}
	check(t, st.UpdateUser(ctx, &bare))
	got, err = st.User(ctx, u.ID)
	wantRow(t, "after UpdateUser to zero values", got, err, bare)

	again := plainUser(first.Audience)
	again.Email, again.Phone = first.Email, first.Phone
	check(t, st.CreateUser(ctx, again))
	got, err = st.User(ctx, other.ID)
	wantRow(t, "another account", got, err, other)
}

func usersUpdateRefused(t *testing.T, st store.Store) {
	ctx := t.Context()
	u, other := addUser(t, st), plainUser("")
	other.Audience = u.Audience
	check(t, st.CreateUser(ctx, other))

	refused := func(what string, c store.User, want error) {
		t.Helper()
		before := c.Version
		wantErr(t, what, st.UpdateUser(ctx, &c), want)
		if c.Version != before {
			t.Errorf("%s: Version became %d, want it left at %d", what, c.Version, before)
		}
	}
	c := u
	c.Email = other.Email
	refused("a taken email", c, store.ErrConflict)
	c = u
	c.Phone = other.Phone
	refused("a taken phone", c, store.ErrConflict)
	c = u
	c.Version, c.Role = 2, "admin"
	refused("a version ahead", c, store.ErrStale)
	refused("an account that isn't there", plainUser(unique("aud")), store.ErrNotFound)

	got, err := st.User(ctx, u.ID)
	wantRow(t, "after refused updates", got, err, u)
	moved := u
	moved.Role = "admin"
	check(t, st.UpdateUser(ctx, &moved))
	refused("a version behind", u, store.ErrStale)
	check(t, st.DeleteUser(ctx, u.ID))
	refused("a deleted account", moved, store.ErrNotFound)
}

func usersDelete(t *testing.T, st store.Store) {
	ctx := t.Context()
	mine, theirs := addBelongings(t, st), addBelongings(t, st)
	check(t, st.DeleteUser(ctx, mine.user.ID))
	wantErr(t, "DeleteUser again", st.DeleteUser(ctx, mine.user.ID), store.ErrNotFound)
	wantErr(t, "DeleteUser of nobody", st.DeleteUser(ctx, uuid.New()), store.ErrNotFound)
	mine.wantGone(t, st)
	theirs.wantThere(t, st)

	again := plainUser(mine.user.Audience)
	again.Email, again.Phone = mine.user.Email, mine.user.Phone
	check(t, st.CreateUser(ctx, again))
}

// belongings is an account with one of everything that is its own.
type belongings struct {
	user     store.User
	identity store.Identity
	session  store.Session
	refresh  store.RefreshToken
	onetime  store.OneTimeToken
	flow     store.FlowState
}

func addBelongings(t *testing.T, st store.Store) belongings {
	t.Helper()
	ctx := t.Context()
	b := belongings{user: plainUser(unique("aud"))}
	b.identity = newIdentity(b.user.ID)
	b.session = newSession(b.user.ID)
	b.refresh = newRefreshToken(b.session)
	b.flow = newFlowState(b.user.ID)
	b.onetime = newOneTimeToken(b.user.ID, b.flow.ID)
	check(t, st.CreateUser(ctx, b.user))
	check(t, st.CreateIdentity(ctx, b.identity))
	check(t, st.CreateSession(ctx, b.session))
	check(t, st.CreateRefreshToken(ctx, b.refresh))
	check(t, st.CreateFlowState(ctx, b.flow))
	check(t, st.PutOneTimeToken(ctx, b.onetime))
	return b
}

func (b belongings) wantThere(t *testing.T, st store.Store) {
	t.Helper()
	ctx := t.Context()
	u, err := st.User(ctx, b.user.ID)
	wantRow(t, "the account", u, err, b.user)
	i, err := st.IdentityBySubject(ctx, b.identity.Issuer, b.identity.Subject)
	wantRow(t, "its identity", i, err, b.identity)
	s, err := st.Session(ctx, b.session.ID)
	wantRow(t, "its session", s, err, b.session)
	r, err := st.RefreshToken(ctx, b.refresh.Hash)
	wantRow(t, "its refresh token", r, err, b.refresh)
	o, err := st.OneTimeTokenByLink(ctx, b.onetime.LinkHash)
	wantRow(t, "its one-time token", o, err, b.onetime)
	f, err := st.FlowState(ctx, b.flow.ID)
	wantRow(t, "its flow state", f, err, b.flow)
}

func (b belongings) wantGone(t *testing.T, st store.Store) {
	t.Helper()
	ctx := t.Context()
	u, err := st.User(ctx, b.user.ID)
	wantMiss(t, "the account", u, err)
	i, err := st.IdentityBySubject(ctx, b.identity.Issuer, b.identity.Subject)
	wantMiss(t, "its identity", i, err)
	s, err := st.Session(ctx, b.session.ID)
	wantMiss(t, "its session", s, err)
	r, err := st.RefreshToken(ctx, b.refresh.Hash)
	wantMiss(t, "its refresh token", r, err)
	o, err := st.OneTimeTokenByLink(ctx, b.onetime.LinkHash)
	wantMiss(t, "its one-time token", o, err)
	f, err := st.FlowState(ctx, b.flow.ID)
	wantMiss(t, "its flow state", f, err)
}

// addUsers stores n accounts of an audience, one a minute but two in each minute, and
// gives them in the order of creation and id.
func addUsers(t *testing.T, st store.Store, audience string, n int) []store.User {
	t.Helper()
	users := make([]store.User, n)
	for i := range users {
		users[i] = plainUser(audience)
		users[i].ID = ordered(i)
		users[i].CreatedAt = at(i / 2)
	}
	check(t, st.Tx(t.Context(), func(tx store.Store) error {
		for _, i := range []int{1, 0} { // not in their order
			for ; i < n; i += 2 {
				if err := tx.CreateUser(t.Context(), users[i]); err != nil {
					return err
				}
			}
		}
		return nil
	}))
	return users
}

// ordered gives a new id that sorts behind those with a smaller i.
func ordered(i int) uuid.UUID {
	id := uuid.New()
	id[0], id[1], id[2] = 0x90+byte(i>>16), byte(i>>8), byte(i) // signed bytes would sort it first
	return id
}

func userIDs(users []store.User) string {
	s := ""
	for _, u := range users {
		s += u.ID.String() + "\n"
	}
	return s
}

func usersList(t *testing.T, st store.Store) {
	ctx := t.Context()
	aud := unique("aud")
	old := addUsers(t, st, aud, 7)
	addUser(t, st)
	young := make([]store.User, 0, len(old))
	for i := range old {
		young = append(young, old[len(old)-1-i])
	}
	key := func(u store.User) store.UserKey { return store.UserKey{CreatedAt: u.CreatedAt, ID: u.ID} }
	for _, c := range []struct {
		name string
		q    store.UserQuery
		want []store.User
	}{
		{"newest first", store.UserQuery{}, young},
		{"oldest first", store.UserQuery{Ascending: true}, old},
		{"limited", store.UserQuery{Limit: 3}, young[:3]},
		{"limit and offset", store.UserQuery{Offset: 2, Limit: 3}, young[2:5]},
		{"offset alone", store.UserQuery{Offset: 2, Ascending: true}, old[2:]},
		{"behind the end", store.UserQuery{Offset: 7}, nil},
		{"after a key", store.UserQuery{After: key(young[2]), Limit: 2}, young[3:5]},
		{"after a key, oldest first", store.UserQuery{After: key(old[2]), Ascending: true, Limit: 2}, old[3:5]},
		{"after a key with the next's time", store.UserQuery{After: key(old[0]), Ascending: true}, old[1:]},
		{"after a key in another zone", store.UserQuery{
			After: store.UserKey{CreatedAt: old[2].CreatedAt.In(time.FixedZone("", -5*3600)), ID: old[2].ID}, Ascending: true,
		}, old[3:]},
		{"after a key and an offset", store.UserQuery{After: key(old[2]), Offset: 1, Ascending: true}, old[4:]},
		{"after the last key", store.UserQuery{After: key(young[6])}, nil},
	} {
		c.q.Audience = aud
		got, err := st.ListUsers(ctx, c.q)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
		} else if g, w := userIDs(got), userIDs(c.want); g != w {
			t.Errorf("%s: got\n%swant\n%s", c.name, g, w)
		}
		n, err := st.CountUsers(ctx, c.q)
		wantCount(t, "count of "+c.name, n, err, 7)
	}
	got, err := st.ListUsers(ctx, store.UserQuery{Audience: aud, Limit: 1})
	check(t, err)
	wantRow(t, "a row of the list", got[0], nil, young[0])
}

func usersListFilter(t *testing.T, st store.Store) {
	ctx := t.Context()
	aud := unique("aud")
	add := func(email, name string, more func(*store.User)) {
		u := plainUser(aud)
		u.Email, u.UserMetadata = email, store.MakeObject(map[string]any{"nickname": "needle"})
		if name != "" {
			u.UserMetadata.Set("full_name", name)
		}
		if more != nil {
			more(&u)
		}
		check(t, st.CreateUser(ctx, u))
	}
	add("ann@one.example", "Ann \"The\" Bee", nil)
	add("bob@two.example", "ann o'neil", func(u *store.User) { u.DeletedAt = at(1) })
	add("100%_a@three.example", "", nil)
	add("1000xa@three.example", `C:\dir`, func(u *store.User) { u.IsSSO = true })
	add("", "Zoë 😀 O'Neil", nil)
	for filter, want := range map[string]int64{
		"": 5, "ann": 2, "Ann": 2, "ANN": 2, "@one.": 1, "@ONE.": 0, "three": 2,
		"%": 1, "_": 1, "0%_a": 1, "o'neil": 2, `"the"`: 1, `:\DIR`: 1, "😀": 1, "zoë": 1,
		"needle": 0, "full_name": 0, "nobody": 0, "bob@two.example": 1, "'": 2, `\`: 1,
	} {
		q := store.UserQuery{Audience: aud, Filter: filter}
		got, err := st.ListUsers(ctx, q)
		wantCount(t, fmt.Sprintf("ListUsers of %q", filter), int64(len(got)), err, want)
		n, err := st.CountUsers(ctx, q)
		wantCount(t, fmt.Sprintf("CountUsers of %q", filter), n, err, want)
	}
}

// usersListWhileAdded walks a list by key while accounts are added around it: each that
// was there at the start is seen once.
func usersListWhileAdded(t *testing.T, st store.Store) {
	ctx := t.Context()
	aud := unique("aud")
	users := addUsers(t, st, aud, 12)
	for _, ascending := range []bool{false, true} {
		seen := map[uuid.UUID]int{}
		q := store.UserQuery{Audience: aud, Ascending: ascending, Limit: 2}
		for pages := 0; ; pages++ {
			page, err := st.ListUsers(ctx, q)
			check(t, err)
			if len(page) == 0 {
				break
			}
			if pages > 40 {
				t.Fatal("the list has no end")
			}
			for _, u := range page {
				seen[u.ID]++
			}
			last := page[len(page)-1]
			q.After = store.UserKey{CreatedAt: last.CreatedAt, ID: last.ID}
			for _, minutes := range []int{-30, 90} { // before and behind all
				if pages > 4 {
					break
				}
				u := plainUser(aud)
				u.CreatedAt = at(minutes)
				check(t, st.CreateUser(ctx, u))
			}
		}
		for i, u := range users {
			if seen[u.ID] != 1 {
				t.Errorf("ascending %t: account %d was seen %d times", ascending, i, seen[u.ID])
			}
		}
	}
}

func usersListLimits(t *testing.T, st store.Store) {
	ctx := t.Context()
	aud := unique("aud")
	addUsers(t, st, aud, 1010)
	for limit, want := range map[int]int64{0: 50, 1: 1, 1000: 1000, 5000: 1000} {
		got, err := st.ListUsers(ctx, store.UserQuery{Audience: aud, Limit: limit})
		wantCount(t, fmt.Sprintf("ListUsers with limit %d", limit), int64(len(got)), err, want)
	}
	n, err := st.CountUsers(ctx, store.UserQuery{Audience: aud, Limit: 5})
	wantCount(t, "CountUsers", n, err, 1010)
}

// testAllUsers lists across audiences, which needs a store of its own.
func testAllUsers(t *testing.T, st store.Store) {
	ctx := t.Context()
	got, err := st.ListUsers(ctx, store.UserQuery{})
	wantCount(t, "ListUsers of an empty store", int64(len(got)), err, 0)
	n, err := st.CountUsers(ctx, store.UserQuery{})
	wantCount(t, "CountUsers of an empty store", n, err, 0)

	var want []store.User
	for i := range 5 {
		u := plainUser([]string{"a", "b"}[i%2])
		u.CreatedAt = at(-i)
		check(t, st.CreateUser(ctx, u))
		want = append(want, u)
	}
	got, err = st.ListUsers(ctx, store.UserQuery{})
	check(t, err)
	if g, w := userIDs(got), userIDs(want); g != w {
		t.Errorf("all audiences: got\n%swant\n%s", g, w)
	}
	n, err = st.CountUsers(ctx, store.UserQuery{})
	wantCount(t, "CountUsers of all audiences", n, err, 5)
	n, err = st.CountUsers(ctx, store.UserQuery{Audience: "a"})
	wantCount(t, "CountUsers of one", n, err, 3)
}

// raceUsers: of racing sign-ups of one address one wins, of racing writes of one
// version too.
func raceUsers(t *testing.T, st store.Store) {
	for _, inTx := range []bool{false, true} {
		u := plainUser(unique("aud"))
		won := raceErr(t, racers, store.ErrConflict, func(ctx context.Context, i int) error {
			c := plainUser(u.Audience)
			c.Email = u.Email
			if !inTx {
				return st.CreateUser(ctx, c)
			}
			return st.Tx(ctx, func(tx store.Store) error { return tx.CreateUser(ctx, c) })
		})
		n, err := st.CountUsers(t.Context(), store.UserQuery{Audience: u.Audience})
		if won != 1 || err != nil || n != 1 {
			t.Errorf("in Tx %t: %d callers created one email, %d accounts (%v)", inTx, won, n, err)
		}
	}
	u := addUser(t, st)
	won := raceErr(t, racers, store.ErrStale, func(ctx context.Context, i int) error {
		c := u
		c.Role = fmt.Sprint("role", i)
		return st.UpdateUser(ctx, &c)
	})
	got, err := st.User(t.Context(), u.ID)
	if won != 1 || err != nil || got.Version != 2 {
		t.Errorf("%d callers wrote one version, which is %d then (%v)", won, got.Version, err)
	}
	won = raceErr(t, racers, store.ErrNotFound, func(ctx context.Context, i int) error {
		return st.DeleteUser(ctx, u.ID)
	})
	if won != 1 {
		t.Errorf("%d callers deleted one account", won)
	}
}

// raceRerun: each of racing read-change-write functions counts, since a stale one is
// run again.
func raceRerun(t *testing.T, st store.Store) {
	u := addUser(t, st)
	won := raceErr(t, racers, errNever, func(ctx context.Context, i int) error {
		return st.Tx(ctx, func(tx store.Store) error {
			got, err := tx.User(ctx, u.ID)
			if err != nil {
				return err
			}
			var n int
			got.AppMetadata.Decode("n", &n)
			got.AppMetadata = store.MakeObject(map[string]any{"n": n + 1})
			return tx.UpdateUser(ctx, &got)
		})
	})
	got, err := st.User(t.Context(), u.ID)
	var n int
	if err != nil || !got.AppMetadata.Decode("n", &n) || n != racers || won != racers {
		t.Errorf("%d of %d functions succeeded, %d took effect (%v)", won, racers, n, err)
	}
}

var errNever = errors.New("storetest: no store returns this")
