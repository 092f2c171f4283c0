package auth_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/truekeel/auth"
	"github.com/truekeel/auth/fault"
	"github.com/truekeel/auth/store"
)

func TestCreateUser(t *testing.T) {
	d := open(t)
	users := d.Auth.Users()
	id := uuid.New()
	u, err := users.Create(t.Context(), auth.NewUser{
		ID: id, Email: "Ada@Example.com", Phone: "+1 555 123 4567", Password: "x", EmailConfirmed: true, PhoneConfirmed: true, Role: "staff",
		UserMetadata: store.MakeObject(map[string]any{"name": "Ada"}), AppMetadata: store.MakeObject(map[string]any{"plan": "pro"}),
	})
	require.NoError(t, err, "a host's passwords are its own business")
	require.Equal(t, id, u.ID)
	require.Equal(t, "ada@example.com", u.Email)
	require.Equal(t, "15551234567", u.Phone)
	require.Equal(t, "staff", u.Role)
	require.Equal(t, "authenticated", u.Audience)
	require.True(t, u.HasPassword)
	require.Equal(t, d.Clock.Now(), u.EmailConfirmedAt)
	require.Equal(t, d.Clock.Now(), u.PhoneConfirmedAt)
	require.Equal(t, "pro", u.AppMetadata.String("plan"))
	require.Equal(t, "email", u.AppMetadata.String("provider"))
	require.Equal(t, "Ada", u.UserMetadata.String("name"))
	require.Len(t, u.Identities, 2)
	d.Deliver()
	require.Empty(t, d.Mail.Messages())
	d.password("ada@example.com", "x").want(http.StatusOK, nil)

	for how, find := range map[string]func() (auth.Account, error){ // what was made is what is read
		"id":    func() (auth.Account, error) { return users.Get(t.Context(), id) },
		"email": func() (auth.Account, error) { return users.FindByEmail(t.Context(), "ADA@example.com") },
	} {
		got, err := find()
		require.NoError(t, err, how)
		u.LastSignInAt, u.UpdatedAt = got.LastSignInAt, got.UpdatedAt
		requireSame(t, u, got)
	}
}

// requireSame compares accounts whose JSON may be spaced in different ways.
func requireSame(t *testing.T, want, got auth.Account) {
	t.Helper()
	a, err := json.Marshal(want)
	require.NoError(t, err)
	b, err := json.Marshal(got)
	require.NoError(t, err)
	require.JSONEq(t, string(a), string(b))
}

// An Account holds times as the database keeps them, whatever the clock gives.
func TestTimesSurviveTheStore(t *testing.T) {
	zone := time.FixedZone("CET", 3600)
	at := time.Date(2026, 3, 29, 2, 30, 0, 123456789, zone)
	d := open(t, auth.WithClock(func() time.Time { return at }))
	u, err := d.Auth.Users().Create(t.Context(), auth.NewUser{Email: "ada@example.com", EmailConfirmed: true, BannedUntil: at.Add(time.Hour)})
	require.NoError(t, err)
	got, err := d.Auth.Users().Get(t.Context(), u.ID)
	require.NoError(t, err)
	requireSame(t, u, got)
	require.Equal(t, time.Date(2026, 3, 29, 1, 30, 0, 123456000, time.UTC), u.CreatedAt)
}

func TestCreateUserRefusals(t *testing.T) {
	d := open(t)
	users := d.Auth.Users()
	taken, err := users.Create(t.Context(), auth.NewUser{Email: "taken@example.com", Phone: "15551234567"})
	require.NoError(t, err)
	for name, tt := range map[string]struct {
		n    auth.NewUser
		code fault.Code
	}{
		"no address":       {auth.NewUser{}, "validation_failed"},
		"bad email":        {auth.NewUser{Email: "x"}, "validation_failed"},
		"bad phone":        {auth.NewUser{Phone: "x"}, "validation_failed"},
		"taken email":      {auth.NewUser{Email: "TAKEN@example.com"}, "email_exists"},
		"taken phone":      {auth.NewUser{Phone: "+15551234567"}, "phone_exists"},
		"taken id":         {auth.NewUser{ID: taken.ID, Email: "a@example.com"}, "user_already_exists"},
		"two passwords":    {auth.NewUser{Email: "a@example.com", Password: "x", PasswordHash: "y"}, "validation_failed"},
		"bad hash":         {auth.NewUser{Email: "a@example.com", PasswordHash: "md5:x"}, "validation_failed"},
		"long password":    {auth.NewUser{Email: "a@example.com", Password: strings.Repeat("x", 73)}, "validation_failed"},
		"huge metadata":    {auth.NewUser{Email: "a@example.com", AppMetadata: store.MakeObject(map[string]any{"x": strings.Repeat("x", 9<<10)})}, "validation_failed"},
		"expensive bcrypt": {auth.NewUser{Email: "a@example.com", PasswordHash: "$2a$31$" + strings.Repeat("a", 53)}, "validation_failed"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := users.Create(t.Context(), tt.n)
			require.ErrorIs(t, err, &auth.Error{Code: tt.code})
		})
	}
	require.Len(t, d.accounts(), 1)
}

func TestUnknownUsers(t *testing.T) {
	d := open(t)
	users := d.Auth.Users()
	unknown := &auth.Error{Code: "user_not_found"}
	name := "x"
	for what, err := range map[string]error{
		"get":         second(users.Get(t.Context(), uuid.New())),
		"find":        second(users.FindByEmail(t.Context(), "nobody@example.com")),
		"update":      second(users.Update(t.Context(), uuid.New(), auth.Change{Role: &name})),
		"ban":         users.Ban(t.Context(), uuid.New(), d.Clock.Now()),
		"delete":      users.Delete(t.Context(), uuid.New()),
		"soft delete": users.SoftDelete(t.Context(), uuid.New()),
		"sign out":    users.SignOut(t.Context(), uuid.New()),
		"issue":       second(users.Issue(t.Context(), uuid.New(), "password")),
	} {
		require.ErrorIs(t, err, unknown, what)
	}
}

func second[T any](_ T, err error) error { return err }

// Pages neither repeat nor leave out accounts while others come and go.
func TestListWhileAccountsAreAdded(t *testing.T) {
	d := open(t)
	users := d.Auth.Users()
	add := func() auth.Account {
		u, err := users.Create(t.Context(), auth.NewUser{Email: uuid.NewString() + "@example.com"})
		require.NoError(t, err)
		return u
	}
	for _, ascending := range []bool{true, false} {
		var first []auth.Account
		for i := range 25 {
			if i%3 == 0 { // several of one instant
				d.Clock.Advance(time.Microsecond)
			}
			first = append(first, add())
		}
		seen := map[uuid.UUID]int{}
		var last *auth.Account
		for pages := 0; ; pages++ {
			page, err := users.List(t.Context(), auth.List{Ascending: ascending, After: last, Limit: 7})
			require.NoError(t, err)
			if len(page) == 0 || pages > 40 {
				break
			}
			for i, u := range page {
				seen[u.ID]++
				if i > 0 {
					older, newer := page[i-1].CreatedAt, u.CreatedAt
					if !ascending {
						older, newer = newer, older
					}
					require.False(t, newer.Before(older))
				}
			}
			last = &page[len(page)-1]
			if pages < 3 {
				d.Clock.Advance(time.Second)
				add()
			}
			if pages == 1 {
				require.NoError(t, users.Delete(t.Context(), last.ID), "the place in the list stays when its account goes")
			}
		}
		for _, u := range first {
			require.Equal(t, 1, seen[u.ID])
		}
	}
	// An account as Create gives it is as good a place as one of a page.
	d.Clock.Advance(time.Second)
	u := add()
	d.Clock.Advance(time.Second)
	later := add()
	page, err := users.List(t.Context(), auth.List{Ascending: true, After: &u})
	require.NoError(t, err)
	require.Len(t, page, 1)
	require.Equal(t, later.ID, page[0].ID)
}

func TestListFilters(t *testing.T) {
	d := open(t)
	d.User("ada@example.com", func(n *auth.NewUser) { n.UserMetadata = store.MakeObject(map[string]any{"full_name": "Ada Lovelace"}) })
	d.User("eve@example.com")
	for filter, want := range map[string]int{"": 2, "ada@": 1, "lovelace": 1, "example": 2, "nobody": 0, "%": 0, "_": 0, "'": 0} {
		page, err := d.Auth.Users().List(t.Context(), auth.List{Filter: filter})
		require.NoError(t, err)
		require.Len(t, page, want, filter)
	}
}

func TestUpdateUser(t *testing.T) {
	d := open(t)
	p := d.User("ada@example.com", func(n *auth.NewUser) {
		n.Password = goodPassword
		n.UserMetadata = store.MakeObject(map[string]any{"a": 1, "b": 2})
	})
	d.User("eve@example.com", func(n *auth.NewUser) { n.Phone = "15551234567" })
	users := d.Auth.Users()
	role, email, phone, short, next, taken, takenPhone := "staff", "Lady@example.com", "+491701234567", "short", "the next password", "EVE@example.com", "15551234567"

	_, err := users.Update(t.Context(), p.User.ID, auth.Change{Password: &short})
	require.ErrorIs(t, err, &auth.Error{Code: "weak_password"})
	_, err = users.Update(t.Context(), p.User.ID, auth.Change{Email: &taken})
	require.ErrorIs(t, err, &auth.Error{Code: "email_exists"})
	_, err = users.Update(t.Context(), p.User.ID, auth.Change{Phone: &takenPhone})
	require.ErrorIs(t, err, &auth.Error{Code: "phone_exists"})
	_, err = users.Update(t.Context(), p.User.ID, auth.Change{Email: &taken, Phone: &phone})
	require.ErrorIs(t, err, &auth.Error{Code: "email_exists"})
	_, err = users.Update(t.Context(), p.User.ID, auth.Change{Email: &email, Phone: &takenPhone})
	require.ErrorIs(t, err, &auth.Error{Code: "phone_exists"})
	d.send("GET", "/user", nil, bearer(p.AccessToken)).want(http.StatusOK, nil)

	u, err := users.Update(t.Context(), p.User.ID, auth.Change{
		Role: &role, Email: &email, Phone: &phone, Password: &next, EmailConfirmed: true, PhoneConfirmed: true,
		UserMetadata: store.Object{"a": []byte("null"), "c": []byte("3")}, AppMetadata: store.MakeObject(map[string]any{"plan": "pro"}),
	})
	require.NoError(t, err)
	require.Equal(t, "lady@example.com", u.Email)
	require.Equal(t, "491701234567", u.Phone)
	require.False(t, u.PhoneConfirmedAt.IsZero())
	require.Equal(t, "staff", u.Role)
	require.NotContains(t, u.UserMetadata, "a")
	require.Contains(t, u.UserMetadata, "b")
	require.Contains(t, u.UserMetadata, "c")
	var providers []string
	require.True(t, u.AppMetadata.Decode("providers", &providers))
	require.Equal(t, []string{"email", "phone"}, providers)
	got, err := users.Get(t.Context(), u.ID)
	require.NoError(t, err)
	requireSame(t, u, got)

	d.send("GET", "/user", nil, bearer(p.AccessToken)).wantFault(http.StatusForbidden, "session_not_found")
	d.password("ada@example.com", next).wantFault(http.StatusBadRequest, "invalid_credentials")
	d.password("lady@example.com", next).want(http.StatusOK, nil)
}

func TestBanAndUnban(t *testing.T) {
	d := open(t)
	p := d.User("ada@example.com")
	until := d.Clock.Now().Add(time.Hour)
	require.NoError(t, d.Auth.Users().Ban(t.Context(), p.User.ID, until))
	u, err := d.Auth.Users().Get(t.Context(), p.User.ID)
	require.NoError(t, err)
	require.Equal(t, until, u.BannedUntil)
	d.refresh(p.RefreshToken).wantFault(http.StatusBadRequest, "user_banned")
	require.NoError(t, d.Auth.Users().Ban(t.Context(), p.User.ID, time.Time{}))
	d.next(p.RefreshToken)
}

func TestDeleteRemovesEverything(t *testing.T) {
	s := tap(t)
	d := open(t, auth.WithStore(s), auth.WithMailFrequency(0))
	p := d.User("ada@example.com", func(n *auth.NewUser) { n.Password = goodPassword })
	d.post("/recover", map[string]any{"email": "ada@example.com"}).want(http.StatusOK, nil)
	code := d.LastMail("ada@example.com").Code()
	require.NoError(t, d.Auth.Users().Delete(t.Context(), p.User.ID))

	_, err := s.User(t.Context(), p.User.ID)
	require.ErrorIs(t, err, store.ErrNotFound)
	_, err = s.Session(t.Context(), p.SessionID)
	require.ErrorIs(t, err, store.ErrNotFound)
	identities, err := s.IdentitiesOf(t.Context(), p.User.ID)
	require.NoError(t, err)
	require.Empty(t, identities)
	_, err = s.OneTimeTokenOf(t.Context(), p.User.ID, store.PurposeRecovery)
	require.ErrorIs(t, err, store.ErrNotFound)
	d.post("/verify", map[string]any{"type": "recovery", "email": "ada@example.com", "token": code}).wantFault(http.StatusForbidden, "otp_expired")
	d.User("ada@example.com") // the address is free
}

func TestSoftDelete(t *testing.T) {
	s := tap(t)
	d := open(t, auth.WithStore(s))
	id := uuid.MustParse("11111111-2222-3333-4444-555555555555")
	p := d.User("user@example.com", func(n *auth.NewUser) {
		n.ID = id
		n.Password = goodPassword
		n.UserMetadata = store.MakeObject(map[string]any{"name": "Ada"})
	})
	d.Clock.Advance(time.Minute)
	require.NoError(t, d.Auth.Users().SoftDelete(t.Context(), id))
	deleted := d.Clock.Now()
	d.Clock.Advance(time.Minute)
	require.NoError(t, d.Auth.Users().SoftDelete(t.Context(), id), "a second one changes nothing")

	u, err := d.Auth.Users().Get(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, "IdTPDmez01nsRqZnnHUb9rDf_8eEZfHwEu2Y0i3wahA", u.Email)
	require.Equal(t, "Zm_2zKpbPAf-qjq", u.Phone)
	require.Equal(t, deleted, u.DeletedAt)
	require.False(t, u.HasPassword)
	require.Empty(t, u.UserMetadata)
	require.Empty(t, u.AppMetadata)
	require.False(t, u.EmailConfirmedAt.IsZero(), "the rest stays")
	for _, i := range u.Identities {
		require.Empty(t, i.Email)
		require.Empty(t, i.Data)
		require.NotEqual(t, id.String(), i.Subject)
	}
	_, err = s.Session(t.Context(), p.SessionID)
	require.ErrorIs(t, err, store.ErrNotFound)
	_, err = d.Auth.Users().FindByEmail(t.Context(), "user@example.com")
	require.ErrorIs(t, err, &auth.Error{Code: "user_not_found"})
	_, err = d.Auth.Users().Issue(t.Context(), id, "password")
	require.ErrorIs(t, err, &auth.Error{Code: "user_not_found"})
	d.password("user@example.com", goodPassword).wantFault(http.StatusBadRequest, "invalid_credentials")
	d.password(u.Email, goodPassword).wantFault(http.StatusBadRequest, "invalid_credentials")
	again := d.User("user@example.com")
	require.NotEqual(t, id, again.User.ID)
}

func TestIssueAndVerify(t *testing.T) {
	d := open(t)
	p := d.User("ada@example.com")
	g, err := d.Auth.Users().Issue(t.Context(), p.User.ID, "hardware key")
	require.NoError(t, err)
	require.Equal(t, d.Clock.Now().Truncate(time.Second).Add(time.Hour), g.ExpiresAt.UTC())
	require.NotEqual(t, p.SessionID, g.SessionID)
	require.Equal(t, p.User.ID, g.User.ID)
	require.Equal(t, d.Clock.Now(), g.User.LastSignInAt)
	u, err := d.Auth.Verify(t.Context(), g.AccessToken)
	require.NoError(t, err)
	require.Equal(t, g.SessionID, u.SessionID)
	d.next(g.RefreshToken)
	_, err = d.Auth.Verify(t.Context(), "x")
	require.ErrorIs(t, err, &auth.Error{Code: "bad_jwt"})

	require.NoError(t, d.Auth.Users().SignOut(t.Context(), p.User.ID))
	for _, token := range []string{p.AccessToken, g.AccessToken} {
		d.send("GET", "/user", nil, bearer(token)).wantFault(http.StatusForbidden, "session_not_found")
	}
}

func TestInvite(t *testing.T) {
	d := open(t)
	_, err := d.Auth.Users().Invite(t.Context(), auth.Invitation{Email: "ada@example.com"})
	require.ErrorContains(t, err, "WithSiteURL", "outside of a request nobody knows where links lead")
	require.Empty(t, d.accounts())

	d = open(t, auth.WithSiteURL("https://app.example.com"), auth.WithSignUp(false))
	u, err := d.Auth.Users().Invite(t.Context(), auth.Invitation{Email: "Ada@example.com", UserMetadata: store.MakeObject(map[string]any{"team": "x"})})
	require.NoError(t, err)
	require.Equal(t, "ada@example.com", u.Email)
	require.False(t, u.HasPassword)
	require.Equal(t, d.Clock.Now(), u.InvitedAt)
	require.Contains(t, d.LastMail("ada@example.com").Link(), "https://app.example.com/auth/verify?")
	d.User("eve@example.com")
	_, err = d.Auth.Users().Invite(t.Context(), auth.Invitation{Email: "eve@example.com"})
	require.ErrorIs(t, err, &auth.Error{Code: "email_exists"})
}
