package auth_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/bcrypt"

	"github.com/truekeel/auth"
)

func sorted(s []string) []string {
	slices.Sort(s)
	return s
}

func (d *door) password(email, password string, headers ...header) answer {
	d.t.Helper()
	return d.post("/token?grant_type=password", map[string]any{"email": email, "password": password}, headers...)
}

func TestPasswordGrant(t *testing.T) {
	d := open(t)
	d.signUp("ada@example.com")
	var in tokenAnswer
	a := d.password("Ada@Example.com", goodPassword).want(http.StatusOK, &in)
	require.Equal(t, "bearer", in.TokenType)
	require.Equal(t, 3600, in.ExpiresIn)
	require.Equal(t, d.Clock.Now().Unix()+3600, in.ExpiresAt)
	require.Regexp(t, `^[a-z2-7]{26}$`, in.RefreshToken)
	body := a.object()
	weak, there := body["weak_password"]
	require.True(t, there, "the key is always there")
	require.Nil(t, weak)
	require.Equal(t, "no-store", a.Header.Get("Cache-Control"))
	require.Equal(t, in.User["id"], a.Header.Get("sb-auth-user-id"))
	require.Equal(t, in.RefreshToken[:5], a.Header.Get("sb-auth-refresh-token-prefix"))
	require.NotEmpty(t, a.Header.Get("sb-auth-session-id"))
}

func TestWeakPasswordStillSignsIn(t *testing.T) {
	d := open(t, auth.WithPasswordLength(40))
	d.User("ada@example.com", func(n *auth.NewUser) { n.Password = goodPassword })
	body := d.password("ada@example.com", goodPassword).want(http.StatusOK, nil).object()
	require.Equal(t, []any{"length"}, body["weak_password"].(map[string]any)["reasons"])
}

// Who doesn't know the password learns nothing: the answers to an unknown address, a
// wrong password, a banned and an unconfirmed account are alike, and cost alike.
func TestSignInTellsNothingWithoutThePassword(t *testing.T) {
	s := tap(t)
	d := open(t, auth.WithStore(s))
	make := func(email string, change func(*auth.NewUser)) {
		n := auth.NewUser{Email: email, EmailConfirmed: true, Password: goodPassword}
		change(&n)
		_, err := d.Auth.Users().Create(t.Context(), n)
		require.NoError(t, err)
	}
	make("known@example.com", func(*auth.NewUser) {})
	make("banned@example.com", func(n *auth.NewUser) { n.BannedUntil = d.Clock.Now().Add(time.Hour) })
	make("unconfirmed@example.com", func(n *auth.NewUser) { n.EmailConfirmed = false })
	make("nopassword@example.com", func(n *auth.NewUser) { n.Password = "" })

	type cost struct {
		hashes     uint64
		reads, txs int64
	}
	measure := func(email, password string) (answer, cost) {
		h, r, x := d.Auth.Hashes(), s.reads.Load(), s.txs.Load()
		a := d.password(email, password)
		return a, cost{d.Auth.Hashes() - h, s.reads.Load() - r, s.txs.Load() - x}
	}
	for _, wrong := range []string{"a wrong password", "", "x", strings.Repeat("a", 73), strings.Repeat("a", 5000), "pässwörd", "nul is refused"} {
		first, want := measure("unknown@example.com", wrong)
		first.wantFault(http.StatusBadRequest, "invalid_credentials")
		require.Equal(t, uint64(1), want.hashes)
		for _, email := range []string{"known@example.com", "banned@example.com", "unconfirmed@example.com", "nopassword@example.com", "no address"} {
			a, got := measure(email, wrong)
			require.Equal(t, string(first.Body), string(a.Body), email)
			require.Equal(t, first.Status, a.Status, email)
			require.Equal(t, want, got, "%s costs as much as an unknown address", email)
		}
	}
	d.password("known@example.com", goodPassword).want(http.StatusOK, nil)
	d.password("banned@example.com", goodPassword).wantFault(http.StatusBadRequest, "user_banned")
	d.password("unconfirmed@example.com", goodPassword).wantFault(http.StatusBadRequest, "email_not_confirmed")
	d.password("nopassword@example.com", "").wantFault(http.StatusBadRequest, "invalid_credentials")
}

func TestPasswordGrantRefusals(t *testing.T) {
	tests := []struct {
		name, query string
		opts        []auth.Option
		body        any
		status      int
		code        string
	}{
		{"no grant type", "?grant_type=", nil, map[string]any{}, 400, "invalid_credentials"},
		{"unknown grant type", "?grant_type=Password", nil, map[string]any{}, 400, "invalid_credentials"},
		{"both", "?grant_type=password", nil, map[string]any{"email": "a@example.com", "phone": "1555", "password": "x"}, 400, "validation_failed"},
		{"neither", "?grant_type=password", nil, map[string]any{"password": "x"}, 400, "validation_failed"},
		{"phone", "?grant_type=password", nil, map[string]any{"phone": "15551234567", "password": "x"}, 422, "phone_provider_disabled"},
		{"email off", "?grant_type=password", []auth.Option{auth.WithEmailSignIn(false)}, map[string]any{"email": "a@example.com", "password": "x"}, 422, "email_provider_disabled"},
		{"form", "?grant_type=password", nil, "email=a%40example.com&password=x", 400, "bad_json"},
		{"empty", "?grant_type=password", nil, "", 400, "bad_json"},
		{"pkce, empty", "?grant_type=pkce", nil, map[string]any{}, 400, "validation_failed"},
		{"pkce, unknown", "?grant_type=pkce", nil, map[string]any{"auth_code": "x", "code_verifier": "y"}, 404, "flow_state_not_found"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			open(t, tt.opts...).post("/token"+tt.query, tt.body).wantFault(tt.status, tt.code)
		})
	}
}

func TestUnconfirmedSignIn(t *testing.T) {
	d := open(t, auth.WithUnconfirmedSignIn(true))
	d.post("/signup", map[string]any{"email": "ada@example.com", "password": goodPassword}).want(http.StatusOK, nil)
	d.password("ada@example.com", goodPassword).want(http.StatusOK, nil)
}

// A hash below today's parameters is replaced when its owner signs in; of several who
// do so at once none is turned away.
func TestRehashAtSignIn(t *testing.T) {
	s := tap(t)
	for name, today := range map[string]struct {
		option auth.Option
		prefix string
	}{
		"bcrypt":   {auth.WithBcrypt(6), "$2a$06$"},
		"argon2id": {auth.WithArgon2id(64, 1, 1), "$argon2id$v=19$m=64,t=1,p=1$"},
	} {
		t.Run(name, func(t *testing.T) {
			d := open(t, auth.WithStore(s), today.option, auth.WithRequestTimeout(time.Minute))
			email := name + "@example.com"
			weak, err := bcrypt.GenerateFromPassword([]byte(goodPassword), 4)
			require.NoError(t, err)
			_, err = d.Auth.Users().Create(t.Context(), auth.NewUser{Email: email, EmailConfirmed: true, PasswordHash: string(weak)})
			require.NoError(t, err)

			require.Equal(t, map[int]int{http.StatusOK: 8}, d.atOnce(8, func(int) answer { return d.password(email, goodPassword) }))
			row, err := s.UserByEmail(t.Context(), "authenticated", email)
			require.NoError(t, err)
			require.True(t, strings.HasPrefix(row.PasswordHash, today.prefix), row.PasswordHash)
			d.password(email, goodPassword).want(http.StatusOK, nil)
			d.password(email, "wrong password").wantFault(http.StatusBadRequest, "invalid_credentials")
		})
	}
}

// A password that was changed while somebody proved the old one opens nothing.
func TestConcurrentPasswordChange(t *testing.T) {
	d := open(t)
	p := d.User("ada@example.com", func(n *auth.NewUser) { n.Password = goodPassword })
	next := "the next password"
	d.atOnce(9, func(i int) answer {
		if i == 4 {
			_, err := d.Auth.Users().Update(t.Context(), p.User.ID, auth.Change{Password: &next})
			require.NoError(t, err)
		}
		return d.password("ada@example.com", goodPassword)
	})
	d.password("ada@example.com", goodPassword).wantFault(http.StatusBadRequest, "invalid_credentials")
	d.password("ada@example.com", next).want(http.StatusOK, nil)
}

func TestAudiences(t *testing.T) {
	d := open(t, auth.WithAudiences("mobile"), auth.WithAutoConfirm(true))
	aud := func(name string) header { return header{"X-JWT-AUD", name} }
	body := map[string]any{"email": "ada@example.com", "password": goodPassword}
	var one, two tokenAnswer
	d.post("/signup", body).want(http.StatusOK, &one)
	d.post("/signup", body, aud("mobile")).want(http.StatusOK, &two)
	require.NotEqual(t, one.User["id"], two.User["id"])
	require.Equal(t, "mobile", two.User["aud"])
	d.post("/signup", body, aud("unlisted")).wantFault(http.StatusUnprocessableEntity, "user_already_exists")
	d.send("GET", "/user", nil, bearer(two.AccessToken)).want(http.StatusOK, nil)
	d.send("GET", "/user", nil, bearer(one.AccessToken), aud("mobile")).wantFault(http.StatusBadRequest, "validation_failed")
}
