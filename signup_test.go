package auth_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/truekeel/auth"
	"github.com/truekeel/auth/mail"
)

// accounts gives all accounts, oldest first.
func (d *door) accounts() []auth.Account {
	d.t.Helper()
	list, err := d.Auth.Users().List(d.t.Context(), auth.List{Ascending: true, Limit: 1000})
	require.NoError(d.t, err)
	return list
}

// mails delivers what is due and gives all mails.
func (d *door) mails() []mail.Message {
	d.t.Helper()
	d.Deliver()
	return d.Mail.Messages()
}

func TestSignUpAnswersAnUnconfirmedUser(t *testing.T) {
	d := open(t)
	body := d.post("/signup", map[string]any{
		"email": "Ada@Example.COM", "password": goodPassword, "data": map[string]any{"name": "Ada"},
	}).want(http.StatusOK, nil).object()

	require.Equal(t, "ada@example.com", body["email"])
	require.Equal(t, "authenticated", body["role"])
	require.NotContains(t, body, "access_token")
	require.NotContains(t, body, "email_confirmed_at")
	require.Contains(t, body, "confirmation_sent_at")
	require.Equal(t, map[string]any{
		"sub": body["id"], "email": "ada@example.com", "email_verified": false, "phone_verified": false, "name": "Ada",
	}, body["user_metadata"])
	require.Len(t, body["identities"], 1)
	require.Len(t, d.mails(), 1)
	d.post("/token?grant_type=password", map[string]any{"email": "ada@example.com", "password": goodPassword}).
		wantFault(http.StatusBadRequest, "email_not_confirmed")
}

func TestSignUpWithAutoConfirmSignsIn(t *testing.T) {
	d := open(t, auth.WithAutoConfirm(true))
	var in tokenAnswer
	a := d.post("/signup", map[string]any{"email": "ada@example.com", "password": goodPassword}).want(http.StatusOK, &in)
	require.Equal(t, "no-store", a.Header.Get("Cache-Control"))
	require.Contains(t, in.User, "confirmed_at")
	require.NotContains(t, a.object(), "weak_password", "the password grant alone has the key")
	require.Empty(t, d.mails())
	d.send("GET", "/user", nil, bearer(in.AccessToken)).want(http.StatusOK, nil)
}

// What a request says of itself is data; what the library decides can't be said.
func TestSignUpMassAssignment(t *testing.T) {
	d := open(t)
	id := "11111111-2222-4333-8444-555555555555"
	body := d.post("/signup", map[string]any{
		"email": "ada@example.com", "password": goodPassword,
		"id": id, "role": "service_role", "aud": "other", "email_verified": true, "confirmed_at": "2020-01-01T00:00:00Z",
		"email_confirmed_at": "2020-01-01T00:00:00Z", "app_metadata": map[string]any{"admin": true}, "is_super_admin": true,
		"banned_until": "2099-01-01T00:00:00Z", "is_anonymous": true,
		"data": map[string]any{"sub": id, "email_verified": true, "phone_verified": true, "email": "eve@example.com", "role": "service_role"},
	}).want(http.StatusOK, nil).object()
	require.NotEqual(t, id, body["id"])
	require.Equal(t, "authenticated", body["role"])
	require.Equal(t, "authenticated", body["aud"])
	require.NotContains(t, body, "confirmed_at")
	require.NotContains(t, body, "banned_until")
	require.Equal(t, false, body["is_anonymous"])
	require.Equal(t, map[string]any{"provider": "email", "providers": []any{"email"}}, body["app_metadata"])
	own := body["user_metadata"].(map[string]any)
	require.Equal(t, body["id"], own["sub"])
	require.Equal(t, false, own["email_verified"])
	require.Equal(t, false, own["phone_verified"])
	require.Equal(t, "ada@example.com", own["email"])
	require.Equal(t, body["identities"].([]any)[0].(map[string]any)["identity_data"], body["user_metadata"])
}

// shape gives the keys of an answer and the values that an address can't change.
func shape(t *testing.T, a answer, email string) string {
	t.Helper()
	text := strings.ReplaceAll(string(a.Body), email, "EMAIL")
	var user map[string]any
	require.NoError(t, json.Unmarshal([]byte(text), &user))
	text = strings.ReplaceAll(text, user["id"].(string), "ID")
	for _, i := range user["identities"].([]any) {
		text = strings.ReplaceAll(text, i.(map[string]any)["identity_id"].(string), "IDENTITY")
	}
	return text
}

func TestDuplicateSignUpIsIndistinguishable(t *testing.T) {
	d := open(t)
	d.signUp("taken@example.com")
	d.post("/signup", map[string]any{"email": "waits@example.com", "password": goodPassword}).want(http.StatusOK, nil)
	d.Clock.Advance(time.Hour)
	d.Deliver()
	d.Mail.Clear()

	body := func(email string) map[string]any {
		return map[string]any{"email": email, "password": "another password", "data": map[string]any{"name": "Eve"}}
	}
	fresh := d.post("/signup", body("fresh@example.com"))
	for _, email := range []string{"taken@example.com", "waits@example.com"} {
		again := d.post("/signup", body(email)).want(http.StatusOK, nil)
		require.Equal(t, shape(t, fresh, "fresh@example.com"), shape(t, again, email), email)
		require.Equal(t, headerNames(fresh), headerNames(again), email)
		require.Equal(t, again.object()["id"], d.post("/signup", body(email)).object()["id"], "the id stays the same")
	}
	kinds := map[string]mail.Kind{}
	for _, m := range d.mails() {
		kinds[m.To] = m.Kind
	}
	require.Equal(t, map[string]mail.Kind{
		"fresh@example.com": mail.Confirmation, "waits@example.com": mail.Confirmation, "taken@example.com": mail.AccountExists,
	}, kinds)
	d.signIn("taken@example.com") // with the password that it had
	u, err := d.Auth.Users().FindByEmail(t.Context(), "taken@example.com")
	require.NoError(t, err)
	require.Empty(t, u.UserMetadata.String("name"), "nobody has proved anything")
}

func headerNames(a answer) []string {
	var names []string
	for name := range a.Header {
		names = append(names, name)
	}
	return sorted(names)
}

func TestVisibleDuplicates(t *testing.T) {
	d := open(t, auth.WithVisibleDuplicates())
	d.signUp("taken@example.com")
	real := d.accounts()[0]
	body := d.post("/signup", map[string]any{"email": "taken@example.com", "password": goodPassword, "data": map[string]any{"name": "Eve"}}).
		want(http.StatusOK, nil).object()
	require.Equal(t, []any{}, body["identities"])
	require.Empty(t, body["role"])
	require.Equal(t, map[string]any{"name": "Eve"}, body["user_metadata"])
	require.NotEqual(t, real.ID.String(), body["id"])
	for _, leftover := range []string{"confirmed_at", "email_confirmed_at", "last_sign_in_at", "invited_at", "banned_until"} {
		require.NotContains(t, body, leftover)
	}
}

func TestDuplicateSignUpWithAutoConfirm(t *testing.T) {
	d := open(t, auth.WithAutoConfirm(true))
	body := map[string]any{"email": "ada@example.com", "password": goodPassword}
	d.post("/signup", body).want(http.StatusOK, nil)
	d.post("/signup", body).wantFault(http.StatusUnprocessableEntity, "user_already_exists")
}

// atOnce sends the same request many times at once and counts the statuses.
func (d *door) atOnce(n int, fn func(i int) answer) map[int]int {
	d.t.Helper()
	var mu sync.Mutex
	var wg sync.WaitGroup
	seen := map[int]int{}
	for i := range n {
		wg.Go(func() {
			a := fn(i)
			mu.Lock()
			defer mu.Unlock()
			seen[a.Status]++
		})
	}
	wg.Wait()
	return seen
}

func TestTenSignUpsAtOnce(t *testing.T) {
	body := func(i int) map[string]any {
		return map[string]any{"email": "ada@example.com", "password": fmt.Sprintf("password number %d", i)}
	}
	t.Run("autoconfirm", func(t *testing.T) {
		d := open(t, auth.WithAutoConfirm(true))
		var mu sync.Mutex
		codes := map[string]int{}
		seen := d.atOnce(10, func(i int) answer {
			a := d.post("/signup", body(i))
			mu.Lock()
			defer mu.Unlock()
			codes[a.Header.Get("x-sb-error-code")]++
			return a
		})
		require.Equal(t, map[int]int{http.StatusOK: 1, http.StatusUnprocessableEntity: 9}, seen)
		require.Equal(t, map[string]int{"": 1, "user_already_exists": 9}, codes)
		require.Len(t, d.accounts(), 1)
	})
	t.Run("confirmation", func(t *testing.T) {
		d := open(t)
		var ids sync.Map
		seen := d.atOnce(10, func(i int) answer {
			a := d.post("/signup", body(i))
			ids.Store(a.object()["id"], true)
			return a
		})
		require.Equal(t, map[int]int{http.StatusOK: 10}, seen)
		list := d.accounts()
		require.Len(t, list, 1)
		ids.Range(func(id, _ any) bool { require.Equal(t, list[0].ID.String(), id); return true })
		require.Len(t, d.mails(), 1)
	})
}

func TestSignUpRefusals(t *testing.T) {
	long := strings.Repeat("a", 64)
	tests := []struct {
		name   string
		opts   []auth.Option
		body   any
		status int
		code   string
	}{
		{"nothing", nil, map[string]any{}, 422, "anonymous_provider_disabled"},
		{"no password", nil, map[string]any{"email": "a@example.com"}, 400, "validation_failed"},
		{"empty password", nil, map[string]any{"email": "a@example.com", "password": ""}, 400, "validation_failed"},
		{"short", nil, map[string]any{"email": "a@example.com", "password": "short"}, 422, "weak_password"},
		{"short of characters", []auth.Option{auth.WithPasswordCharacters("0123456789")}, map[string]any{"email": "a@example.com", "password": "no digits here"}, 422, "weak_password"},
		{"seven letters of two bytes", nil, map[string]any{"email": "a@example.com", "password": "äöüäöüä"}, 422, "weak_password"},
		{"73 bytes", nil, map[string]any{"email": "a@example.com", "password": long + "123456789"}, 400, "validation_failed"},
		{"NUL", nil, `{"email":"a@example.com","password":"pass\u0000word1"}`, 400, "validation_failed"},
		{"both", nil, map[string]any{"email": "a@example.com", "phone": "15551234567", "password": goodPassword}, 400, "validation_failed"},
		{"phone", nil, map[string]any{"phone": "15551234567", "password": goodPassword}, 400, "phone_provider_disabled"},
		{"disabled", []auth.Option{auth.WithSignUp(false)}, map[string]any{"email": "a@example.com", "password": goodPassword}, 422, "signup_disabled"},
		{"email off", []auth.Option{auth.WithEmailSignIn(false)}, map[string]any{"email": "a@example.com", "password": goodPassword}, 400, "email_provider_disabled"},
		{"challenge without method", nil, map[string]any{"email": "a@example.com", "password": goodPassword, "code_challenge": long}, 400, "validation_failed"},
		{"method without challenge", nil, map[string]any{"email": "a@example.com", "password": goodPassword, "code_challenge_method": "s256"}, 400, "validation_failed"},
		{"unknown method", nil, map[string]any{"email": "a@example.com", "password": goodPassword, "code_challenge": long, "code_challenge_method": "s512"}, 400, "validation_failed"},
		{"short challenge", nil, map[string]any{"email": "a@example.com", "password": goodPassword, "code_challenge": "abc", "code_challenge_method": "s256"}, 400, "validation_failed"},
		{"large metadata", nil, map[string]any{"email": "a@example.com", "password": goodPassword, "data": map[string]any{"x": strings.Repeat("<", 10<<10)}}, 400, "validation_failed"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := open(t, tt.opts...)
			d.post("/signup", tt.body).wantFault(tt.status, tt.code)
			require.Empty(t, d.accounts())
			require.Empty(t, d.mails())
		})
	}
}

func TestWeakPasswordTellsTheReasons(t *testing.T) {
	d := open(t, auth.WithPasswordCharacters("0123456789"))
	body := map[string]any{"email": "a@example.com", "password": "short"}
	want := map[string]any{"reasons": []any{"length", "characters"}}
	require.Equal(t, want, d.post("/signup", body).object()["weak_password"])
	require.Equal(t, want, d.post("/signup", body, versioned()).object()["weak_password"])
}

// badAddresses are no addresses, whatever some mail server thinks of them.
var badAddresses = []string{
	"", " ", "a", "a@", "@b", "a@b@c", "a b@example.com", " a@example.com", "a@example.com ", "a@example.com\n", "a@example.com\r\nBcc: b@example.com",
	"a@example.com\x00", "\x00a@example.com", "victim＠example.com", "vıctim@example.com", "a@exämple.com", "a@xn--.com.", "a@example.com.", "a@.example.com",
	"a@example..com", "a@-example.com", "a@example-.com", `"quoted local"@example.com`, `"a"@example.com`, "a@[127.0.0.1]", "<a@example.com>", "A <a@example.com>",
	"a@example.com,b@example.com", "a@example.com;b@example.com", "mailto:a@example.com", "a(comment)@example.com", "a@example.com/path", "a\\@example.com",
	strings.Repeat("a", 244) + "@example.com", "a@" + strings.Repeat("b", 64) + ".com", "a\u200b@example.com", "a\u202e@example.com", "K@exampl\u212a.com", "a@example.com\t",
}

func TestBadAddresses(t *testing.T) {
	d := open(t)
	for _, email := range badAddresses {
		if email == "" {
			continue // means that there is none
		}
		for _, path := range []string{"/signup", "/recover", "/otp", "/magiclink", "/resend"} {
			a := d.post(path, map[string]any{"email": email, "password": goodPassword, "type": "signup"})
			require.Equal(t, http.StatusBadRequest, a.Status, "%s %q: %s", path, email, a.Body)
			require.Equal(t, "validation_failed", a.Header.Get("x-sb-error-code"))
		}
	}
	require.Empty(t, d.accounts())
	require.Empty(t, d.mails())
	longest := strings.Repeat("a", 243) + "@example.com" // 255 bytes
	d.post("/signup", map[string]any{"email": longest, "password": goodPassword}).want(http.StatusOK, nil)
}

// A host's refusal is the answer; the account isn't made.
func TestSignUpHookRefuses(t *testing.T) {
	d := open(t, auth.WithHooks(auth.Hooks{BeforeUserCreated: func(_ context.Context, u auth.Account) error {
		if strings.HasSuffix(u.Email, "@spam.example") {
			return &auth.Error{Code: "no_spam", Message: "Not you"}
		}
		return nil
	}}))
	d.post("/signup", map[string]any{"email": "a@spam.example", "password": goodPassword}).wantFault(http.StatusBadRequest, "no_spam")
	d.post("/signup", map[string]any{"email": "a@example.com", "password": goodPassword}).want(http.StatusOK, nil)
	require.Len(t, d.accounts(), 1)
}

// Who signs up with somebody else's address first, to lie in wait with a password of his
// own, gains nothing: the password is that of the sign-up whose mail is confirmed.
func TestSignUpAgainBeforeConfirming(t *testing.T) {
	d := open(t)
	d.post("/signup", map[string]any{"email": "owner@example.com", "password": "the squatter's own", "data": map[string]any{"name": "Mallory"}}).want(http.StatusOK, nil)
	squatted := d.LastMail("owner@example.com")
	d.Clock.Advance(2 * time.Minute)

	d.post("/signup", map[string]any{"email": "owner@example.com", "password": goodPassword, "data": map[string]any{"name": "Olga"}}).want(http.StatusOK, nil)
	d.post("/verify", map[string]any{"type": "signup", "email": "owner@example.com", "token": squatted.Code()}).wantFault(http.StatusForbidden, "otp_expired")
	var in tokenAnswer
	d.post("/verify", map[string]any{"type": "signup", "email": "owner@example.com", "token": d.LastMail("owner@example.com").Code()}).want(http.StatusOK, &in)
	require.Equal(t, "Olga", in.User["user_metadata"].(map[string]any)["name"])

	d.post("/token?grant_type=password", map[string]any{"email": "owner@example.com", "password": "the squatter's own"}).wantFault(http.StatusBadRequest, "invalid_credentials")
	d.signIn("owner@example.com")
}

// Who waits for the mail of a sign-in can't tell it from that of a sign-up which another
// makes meanwhile with a password of his own, nor from its repetition; none vouches for the
// password.
func TestSignUpBehindAMagicLinkVouchesForNothing(t *testing.T) {
	for _, again := range []bool{false, true} {
		d := open(t)
		d.post("/otp", map[string]any{"email": "owner@example.com"}).want(http.StatusOK, nil)
		d.Clock.Advance(2 * time.Minute)
		d.post("/signup", map[string]any{"email": "owner@example.com", "password": "the squatter's own"}).want(http.StatusOK, nil)
		if again {
			d.Clock.Advance(2 * time.Hour)
			d.post("/resend", map[string]any{"type": "signup", "email": "owner@example.com"}).want(http.StatusOK, nil)
		}
		d.post("/verify", map[string]any{"type": "signup", "email": "owner@example.com", "token": d.LastMail("owner@example.com").Code()}).want(http.StatusOK, nil)
		d.post("/token?grant_type=password", map[string]any{"email": "owner@example.com", "password": "the squatter's own"}).wantFault(http.StatusBadRequest, "invalid_credentials")
	}

	// Once nobody waits any more, a sign-up's mail is its own.
	d := open(t)
	d.post("/otp", map[string]any{"email": "owner@example.com"}).want(http.StatusOK, nil)
	d.Clock.Advance(2 * time.Hour)
	d.post("/signup", map[string]any{"email": "owner@example.com", "password": goodPassword}).want(http.StatusOK, nil)
	d.post("/verify", map[string]any{"type": "signup", "email": "owner@example.com", "token": d.LastMail("owner@example.com").Code()}).want(http.StatusOK, nil)
	d.signIn("owner@example.com")
}

// Nor is the mail of such a sign-up known from that of a sign-in which is asked for after
// it: they are worded alike, and lie side by side.
func TestSignUpBeforeAMagicLinkVouchesForNothing(t *testing.T) {
	const email, evil = "owner@example.com", "the squatter's own"
	for name, follow := range map[string]func(d *door, m mail.Message){
		"link": func(d *door, m mail.Message) { d.press(m.Link()).landsWithTokens("signup") },
		"code": func(d *door, m mail.Message) { d.byCode("email", email, m.Code()).want(http.StatusOK, nil) },
	} {
		t.Run(name, func(t *testing.T) {
			d := open(t)
			d.post("/signup", map[string]any{"email": email, "password": evil}).want(http.StatusOK, nil)
			first := d.LastMail(email)
			d.pass()
			d.post("/otp", map[string]any{"email": email}).want(http.StatusOK, nil)
			follow(d, first)
			d.post("/token?grant_type=password", map[string]any{"email": email, "password": evil}).wantFault(http.StatusBadRequest, "invalid_credentials")
		})
	}

	// Once nobody waits any more, the mail of a sign-up is its own.
	d := open(t, auth.WithCodes(auth.Codes{LinkLife: 3 * time.Hour}))
	d.post("/otp", map[string]any{"email": email}).want(http.StatusOK, nil)
	d.Clock.Advance(4 * time.Hour)
	d.post("/signup", map[string]any{"email": email, "password": goodPassword}).want(http.StatusOK, nil)
	d.press(d.LastMail(email).Link()).landsWithTokens("signup")
	d.signIn(email)
}

// A sign-up too soon for another mail changes nothing: the mail that is there speaks of
// the first.
func TestSignUpAgainTooSoon(t *testing.T) {
	d := open(t)
	d.post("/signup", map[string]any{"email": "owner@example.com", "password": goodPassword}).want(http.StatusOK, nil)
	d.post("/signup", map[string]any{"email": "owner@example.com", "password": "somebody else's"}).want(http.StatusOK, nil)
	d.post("/verify", map[string]any{"type": "signup", "email": "owner@example.com", "token": d.LastMail("owner@example.com").Code()}).want(http.StatusOK, nil)
	d.signIn("owner@example.com")
}
