package auth_test

import (
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/truekeel/auth"
	"github.com/truekeel/auth/mail"
)

// mailed makes d send the mail of a type of link to a new account and gives the
// account's address and the type's own.
var mailed = map[string]func(d *door, service header, email string){
	"signup": func(d *door, _ header, email string) {
		d.post("/signup", map[string]any{"email": email, "password": goodPassword}).want(http.StatusOK, nil)
	},
	"invite": func(d *door, service header, email string) {
		d.post("/invite", map[string]any{"email": email}, service).want(http.StatusOK, nil)
	},
	"recovery": func(d *door, _ header, email string) {
		d.confirmed(email)
		d.post("/recover", map[string]any{"email": email}).want(http.StatusOK, nil)
	},
	"magiclink": func(d *door, _ header, email string) {
		d.confirmed(email)
		d.post("/magiclink", map[string]any{"email": email}).want(http.StatusOK, nil)
	},
}

func TestVerifyEveryType(t *testing.T) {
	sequential(t)
	for kind, send := range mailed {
		// What "email" turns out to be.
		general := "signup"
		if kind == "recovery" || kind == "magiclink" {
			general = "magiclink"
		}
		ways := map[string]func(d *door, email string){
			"code": func(d *door, email string) {
				var got tokenAnswer
				d.byCode(kind, strings.ToUpper(email), d.LastMail(email).Code()).want(http.StatusOK, &got)
				require.Equal(d.t, kind, got.Type)
				require.NotNil(d.t, got.User["email_confirmed_at"])
			},
			"code as email": func(d *door, email string) {
				var got tokenAnswer
				d.byCode("email", email, d.LastMail(email).Code()).want(http.StatusOK, &got)
				require.Equal(d.t, general, got.Type)
			},
			"token_hash": func(d *door, email string) {
				var got tokenAnswer
				d.byHash(kind, d.tokenOf(email)).want(http.StatusOK, &got)
				require.Equal(d.t, kind, got.Type)
			},
			"token_hash as email": func(d *door, email string) {
				var got tokenAnswer
				d.byHash("email", d.tokenOf(email)).want(http.StatusOK, &got)
				require.Equal(d.t, general, got.Type)
			},
			"link": func(d *door, email string) {
				a := d.press(d.LastMail(email).Link())
				a.landsWithTokens(kind)
				require.Equal(d.t, "no-store", a.Header.Get("Cache-Control"))
				require.Equal(d.t, "no-referrer", a.Header.Get("Referrer-Policy"))
				require.NotEmpty(d.t, a.Header.Get("sb-auth-user-id"))
				require.NotEmpty(d.t, a.Header.Get("sb-auth-session-id"))
			},
		}
		for way, use := range ways {
			t.Run(kind+"/"+way, func(t *testing.T) {
				d, service := openAdmin(t)
				send(d, service, "ada@example.com")
				require.Equal(t, kind, linkParams(t, d.LastMail("ada@example.com").Link()).Get("type"))
				use(d, "ada@example.com")
				require.False(t, d.account("ada@example.com").EmailConfirmedAt.IsZero())
			})
		}
	}
}

func TestVerifyLinkOnceInEveryWay(t *testing.T) {
	d := open(t)
	d.confirmed("ada@example.com")
	d.post("/recover", map[string]any{"email": "ada@example.com"}).want(http.StatusOK, nil)
	m := d.LastMail("ada@example.com")
	token := linkParams(t, m.Link()).Get("token")
	d.press(m.Link()).landsWithTokens("recovery")

	d.press(m.Link()).landsWithLinkError()
	d.byHash("recovery", token).wantLinkError()
	d.byHash("email", token).wantLinkError()
	d.byCode("recovery", "ada@example.com", m.Code()).wantCodeError()
}

func TestVerifyTheOneError(t *testing.T) {
	d, service := openAdmin(t)
	d.confirmed("ada@example.com")
	d.post("/recover", map[string]any{"email": "ada@example.com"}).want(http.StatusOK, nil)
	m := d.LastMail("ada@example.com")
	token := linkParams(t, m.Link()).Get("token")
	d.post("/invite", map[string]any{"email": "bob@example.com"}, service).want(http.StatusOK, nil)

	for name, bad := range map[string]string{
		"guessed":          strings.Repeat("0", 56),
		"foreign purpose":  d.tokenOf("bob@example.com"),
		"short":            token[:55],
		"long":             token + "0",
		"upper case":       strings.ToUpper(token),
		"doubled":          token + token,
		"with a prefix":    "pkce_" + token,
		"twice a prefix":   "pkce_pkce_" + token,
		"the code":         m.Code(),
		"blanks":           " " + token + " ",
		"64 kB":            strings.Repeat("a", 64<<10),
		"a percent sign":   "%zz",
		"not even ASCII":   "ｔｏｋｅｎ",
		"SQL":              "' OR 1=1 --",
		"a script":         "<script>alert(1)</script>",
		"a line feed":      token + "\r\nSet-Cookie: a=b",
		"hash of the code": strings.Repeat(m.Code(), 10)[:56],
	} {
		t.Run(name, func(t *testing.T) {
			d := &door{Harness: d.Harness, t: t, url: d.url, srv: d.srv}
			d.byHash("recovery", bad).wantLinkError()
			d.submit(url.Values{"token": {bad}, "type": {"recovery"}}).landsWithLinkError()
		})
	}
	// The same parameter twice is no token, whichever of the two might be.
	d.submit(url.Values{"token": {token, strings.Repeat("0", 56)}, "type": {"recovery"}}).landsWithLinkError()
	d.submit(url.Values{"token": {token, token}, "type": {"recovery"}}).landsWithLinkError()
	// A code is bound to its address and its type.
	d.byCode("recovery", "bob@example.com", m.Code()).wantCodeError()
	d.byCode("recovery", "nobody@example.com", m.Code()).wantCodeError()
	d.byCode("signup", "ada@example.com", m.Code()).wantCodeError()
	d.byCode("email_change", "ada@example.com", m.Code()).wantCodeError()
	d.byCode("nonsense", "ada@example.com", m.Code()).wantCodeError()
	d.byCode("recovery", "ada@example.com", token).wantCodeError()
	// After all of that the link is still good.
	d.press(m.Link()).landsWithTokens("recovery")
}

func TestVerifyExpiresByTheClock(t *testing.T) {
	for name, opts := range map[string][]auth.Option{
		"default": nil,
		"own":     {auth.WithCodes(auth.Codes{Length: 8, CodeLife: 10 * time.Minute, LinkLife: time.Hour})},
	} {
		t.Run(name, func(t *testing.T) {
			d := open(t, opts...)
			d.confirmed("ada@example.com")
			d.post("/recover", map[string]any{"email": "ada@example.com"}).want(http.StatusOK, nil)
			m := d.LastMail("ada@example.com")
			if name == "own" {
				require.Len(t, m.Code(), 8)
			}
			d.Clock.Advance(10*time.Minute - time.Second)
			d.byCode("recovery", "ada@example.com", m.Code()).want(http.StatusOK, nil)

			d.post("/recover", map[string]any{"email": "ada@example.com"}).want(http.StatusOK, nil)
			m = d.LastMail("ada@example.com")
			d.Clock.Advance(10 * time.Minute)
			d.byCode("recovery", "ada@example.com", m.Code()).wantCodeError()
			d.Clock.Advance(50*time.Minute - time.Second)
			d.press(m.Link()).landsWithTokens("recovery")

			d.post("/recover", map[string]any{"email": "ada@example.com"}).want(http.StatusOK, nil)
			m = d.LastMail("ada@example.com")
			d.Clock.Advance(time.Hour)
			d.press(m.Link()).landsWithLinkError()
			d.byHash("recovery", linkParams(t, m.Link()).Get("token")).wantLinkError()
		})
	}
}

func TestVerifyPageConsumesNothing(t *testing.T) {
	d := open(t)
	d.confirmed("ada@example.com")
	d.post("/recover", map[string]any{"email": "ada@example.com"}).want(http.StatusOK, nil)
	link := d.LastMail("ada@example.com").Link()
	for range 5 {
		a := d.send(http.MethodGet, d.pathOf(link), nil)
		require.Equal(t, http.StatusOK, a.Status)
		require.Equal(t, "text/html; charset=utf-8", a.Header.Get("Content-Type"))
		require.Equal(t, "no-store", a.Header.Get("Cache-Control"))
		require.Equal(t, "no-referrer", a.Header.Get("Referrer-Policy"))
		require.Equal(t, "nosniff", a.Header.Get("X-Content-Type-Options"))
		policy := a.Header.Get("Content-Security-Policy")
		require.Contains(t, policy, "default-src 'none'")
		require.Contains(t, policy, "frame-ancestors 'none'")
		require.NotContains(t, policy, "unsafe")
		require.NotContains(t, policy, "form-action")
	}
	a := d.send(http.MethodHead, d.pathOf(link), nil)
	require.Equal(t, http.StatusMethodNotAllowed, a.Status)
	require.Equal(t, "GET, POST", a.Header.Get("Allow"))
	// The page of a wrong link is the same page: the GET doesn't know.
	right := d.send(http.MethodGet, d.pathOf(link), nil)
	token := linkParams(t, link).Get("token")
	wrong := d.send(http.MethodGet, strings.Replace(d.pathOf(link), token, strings.Repeat("0", 56), 1), nil)
	require.Equal(t, string(right.Body), strings.Replace(string(wrong.Body), strings.Repeat("0", 56), token, 1))
	d.press(link).landsWithTokens("recovery")
}

func TestVerifyGETLooksNothingUp(t *testing.T) {
	counted := &countingStore{Store: fresh(t), calls: new(callCount)}
	d := open(t, auth.WithStore(counted))
	before := counted.calls.total()
	d.send(http.MethodGet, "/verify?type=recovery&token="+strings.Repeat("0", 56), nil).want(http.StatusOK, nil)
	require.Equal(t, before, counted.calls.total())
}

func TestVerifyDirectLinks(t *testing.T) {
	d := open(t, auth.WithDirectLinks())
	d.post("/signup?redirect_to="+url.QueryEscape(d.srv.URL+"/welcome?a=1#old"), map[string]any{"email": "ada@example.com", "password": goodPassword}).want(http.StatusOK, nil)
	path := d.pathOf(d.LastMail("ada@example.com").Link())
	require.Equal(t, http.StatusMethodNotAllowed, d.send(http.MethodHead, path, nil).Status)
	a := d.send(http.MethodGet, path, nil)
	a.landsWithTokens("signup")
	require.True(t, strings.HasPrefix(a.Header.Get("Location"), d.srv.URL+"/welcome?a=1#access_token="), a.Header.Get("Location"))
	require.Equal(t, "text/html; charset=utf-8", a.Header.Get("Content-Type"))
	require.Contains(t, string(a.Body), "See Other")

	again := d.send(http.MethodGet, path, nil)
	again.landsWithLinkError()
	// Encoded once, keys sorted, the target's query unchanged.
	require.Equal(t, d.srv.URL+"/welcome?a=1#error=access_denied&error_code=otp_expired&error_description=Email+link+is+invalid+or+has+expired&sb=", again.Header.Get("Location"))

	pkce := d.send(http.MethodGet, "/verify?type=signup&token=pkce_"+strings.Repeat("0", 56)+"&redirect_to="+url.QueryEscape(d.srv.URL+"/?z=1&a=2"), nil)
	require.Equal(t, d.srv.URL+"/?a=2&error=access_denied&error_code=otp_expired&error_description=Email+link+is+invalid+or+has+expired&z=1"+
		"#error=access_denied&error_code=otp_expired&error_description=Email+link+is+invalid+or+has+expired&sb=", pkce.Header.Get("Location"))

	unknown := d.send(http.MethodGet, "/verify?type=sms&token="+strings.Repeat("0", 56), nil)
	_, v := unknown.landing()
	require.Equal(t, "invalid_request", v.Get("error"))
	require.Equal(t, "validation_failed", v.Get("error_code"))
	require.Equal(t, "Invalid email verification type", v.Get("error_description"))
}

func TestVerifyParameters(t *testing.T) {
	for name, opts := range map[string][]auth.Option{"page": nil, "direct": {auth.WithDirectLinks()}} {
		t.Run(name, func(t *testing.T) {
			d := open(t, opts...)
			a := d.send(http.MethodGet, "/verify?token=x", nil).wantFault(http.StatusBadRequest, "validation_failed")
			require.Equal(t, "Verify requires a verification type", a.object()["msg"])
			a = d.send(http.MethodGet, "/verify?type=signup", nil).wantFault(http.StatusBadRequest, "validation_failed")
			require.Equal(t, "Verify requires a token or a token hash", a.object()["msg"])
			d.submit(url.Values{"token": {"x"}}).wantFault(http.StatusBadRequest, "validation_failed")
			d.submit(url.Values{"type": {"x"}}).wantFault(http.StatusBadRequest, "validation_failed")
			d.post("/verify", "a=%zz", header{"Content-Type", "application/x-www-form-urlencoded"}).wantFault(http.StatusBadRequest, "validation_failed")
		})
	}
	d := open(t)
	for name, c := range map[string]struct {
		body   string
		status int
		code   string
		text   string
	}{
		"nothing":            {``, 400, "bad_json", ""},
		"no JSON":            {`{`, 400, "bad_json", ""},
		"a number":           {`{"type":1}`, 400, "bad_json", ""},
		"NUL":                {`{"type":"signup","token":"\u0000","email":"a@example.com"}`, 400, "validation_failed", ""},
		"no type":            {`{}`, 400, "validation_failed", "Verify requires a verification type"},
		"no token":           {`{"type":"signup"}`, 400, "validation_failed", "Verify requires either a token or a token hash"},
		"token and hash":     {`{"type":"signup","token":"1","token_hash":"2"}`, 400, "validation_failed", "Verify requires either a token or a token hash"},
		"no address":         {`{"type":"signup","token":"1"}`, 400, "validation_failed", "Only an email address or phone number should be provided on verify"},
		"two addresses":      {`{"type":"signup","token":"1","email":"a@example.com","phone":"1555"}`, 400, "validation_failed", "Only an email address or phone number should be provided on verify"},
		"hash and email":     {`{"type":"signup","token_hash":"1","email":"a@example.com"}`, 400, "validation_failed", "Only the token_hash and type should be provided"},
		"hash and target":    {`{"type":"signup","token_hash":"1","redirect_to":"http://localhost"}`, 400, "validation_failed", "Only the token_hash and type should be provided"},
		"bad email":          {`{"type":"signup","token":"1","email":"bad"}`, 422, "validation_failed", "Invalid email format"},
		"look-alike":         {`{"type":"signup","token":"1","email":"victim＠example.com"}`, 422, "validation_failed", "Invalid email format"},
		"two at signs":       {`{"type":"signup","token":"1","email":"a@b@c"}`, 422, "validation_failed", "Invalid email format"},
		"hash, unknown type": {`{"type":"sms","token_hash":"` + strings.Repeat("0", 56) + `"}`, 400, "validation_failed", "Invalid email verification type"},
		"phone":              {`{"type":"sms","token":"123456","phone":"15550100"}`, 403, "otp_expired", codeError},
	} {
		t.Run(name, func(t *testing.T) {
			d := &door{Harness: d.Harness, t: t, url: d.url, srv: d.srv}
			a := d.post("/verify", c.body).wantFault(c.status, c.code)
			if c.text != "" {
				require.Equal(t, c.text, a.object()["msg"])
			}
		})
	}
}

func TestVerifyRefusesForeignForms(t *testing.T) {
	d := open(t)
	d.confirmed("ada@example.com")
	d.post("/recover", map[string]any{"email": "ada@example.com"}).want(http.StatusOK, nil)
	form := d.form(d.LastMail("ada@example.com").Link())
	for _, h := range [][]header{
		{{"Sec-Fetch-Site", "cross-site"}}, {{"Sec-Fetch-Site", "same-site"}},
		{{"Origin", "https://evil.example"}}, {{"Origin", "null"}},
		{{"Sec-Fetch-Site", "cross-site"}, {"Origin", "null"}},
	} {
		d.submit(form, h...).wantFault(http.StatusForbidden, "validation_failed")
	}
	d.submit(form, header{"Sec-Fetch-Site", "same-origin"}, header{"Origin", "null"}).landsWithTokens("recovery")
}

// curl -d says of every body that it is a form.
func TestVerifyTakesJSONThatClaimsToBeAForm(t *testing.T) {
	d := open(t)
	d.confirmed("ada@example.com")
	d.post("/recover", map[string]any{"email": "ada@example.com"}).want(http.StatusOK, nil)
	body := map[string]any{"type": "recovery", "email": "ada@example.com", "token": d.LastMail("ada@example.com").Code()}
	var got tokenAnswer
	d.post("/verify", body, header{"Content-Type", "application/x-www-form-urlencoded"}).want(http.StatusOK, &got)
	require.NotEmpty(t, got.AccessToken)
}

func TestVerifyPageEscapes(t *testing.T) {
	d := open(t)
	const attack = `"><script>alert(1)</script><img src=x onerror=alert(1)>'`
	q := url.Values{"token": {attack}, "type": {attack}, "redirect_to": {"http://localhost/" + attack}}
	a := d.send(http.MethodGet, "/verify?"+q.Encode(), nil)
	require.Equal(t, http.StatusOK, a.Status)
	body := string(a.Body)
	require.NotContains(t, body, "<script")
	require.NotContains(t, body, "<img")
	require.Equal(t, 3, strings.Count(body, "<input type=\"hidden\""))
	require.Equal(t, attack, d.form(d.url+"/verify?"+q.Encode()).Get("token"))
	for _, target := range []string{"javascript:alert(1)", "data:text/html,x", "https://evil.example/", "//evil.example", `http://localhost\@evil.example/`} {
		v := d.form(d.url + "/verify?type=signup&token=x&redirect_to=" + url.QueryEscape(target))
		require.Equal(t, d.srv.URL, v.Get("redirect_to"), target)
		u, _ := d.submit(url.Values{"token": {"x"}, "type": {"signup"}, "redirect_to": {target}}).landing()
		require.Equal(t, strings.TrimPrefix(d.srv.URL, "http://"), u.Host, target)
	}
}

// Whoever presents one link a thousand times at once gets one session.
func TestVerifyOneLinkAThousandTimes(t *testing.T) {
	d := open(t)
	acc := d.confirmed("ada@example.com")
	d.post("/magiclink", map[string]any{"email": "ada@example.com"}).want(http.StatusOK, nil)
	token := d.tokenOf("ada@example.com")
	won := inParallel(t, 25, 1000, func() bool {
		a := d.byHash("magiclink", token)
		if a.Status != http.StatusOK {
			a.wantLinkError()
		}
		return a.Status == http.StatusOK
	})
	require.Equal(t, 1, won)
	require.NotEqual(t, acc.LastSignInAt, d.account("ada@example.com").LastSignInAt)
}

func TestVerifyOneCodeAtOnce(t *testing.T) {
	d := open(t)
	d.confirmed("ada@example.com")
	d.post("/magiclink", map[string]any{"email": "ada@example.com"}).want(http.StatusOK, nil)
	code := d.LastMail("ada@example.com").Code()
	won := inParallel(t, 10, 40, func() bool {
		a := d.byCode("email", "ada@example.com", code)
		if a.Status != http.StatusOK {
			a.wantCodeError()
		}
		return a.Status == http.StatusOK
	})
	require.Equal(t, 1, won)
}

// once presents what a mail holds from several sides at the same time, by its code, its
// token and its link, and gives the one answer that isn't the one error.
func (d *door) once(kind, email string, m mail.Message) answer {
	d.t.Helper()
	form := d.form(m.Link())
	ways := []func() answer{
		func() answer { return d.byCode(kind, email, m.Code()) },
		func() answer { return d.byHash(kind, form.Get("token")) },
		func() answer { return d.submit(form) },
	}
	var next atomic.Int64
	var mu sync.Mutex
	var good []answer
	inParallel(d.t, 9, 9, func() bool {
		a := ways[next.Add(1)%3]()
		won := a.Status == http.StatusOK
		if a.Status == http.StatusSeeOther {
			_, v := a.landing()
			won = !v.Has("error_code")
			if !won {
				a.landsWithLinkError()
			}
		} else if !won {
			a.wantFault(http.StatusForbidden, "otp_expired")
		}
		if won {
			mu.Lock()
			defer mu.Unlock()
			good = append(good, a)
		}
		return won
	})
	require.Len(d.t, good, 1, kind)
	return good[0]
}

// Of all who present one mail at once, whatever it is for and in whichever way, one wins.
func TestVerifyEveryMailOnceAtOnce(t *testing.T) {
	for kind, send := range mailed {
		t.Run(kind, func(t *testing.T) {
			d, service := openAdmin(t)
			send(d, service, "ada@example.com")
			d.once(kind, "ada@example.com", d.LastMail("ada@example.com"))
			require.False(t, d.account("ada@example.com").EmailConfirmedAt.IsZero())
		})
	}
	t.Run("email_change", func(t *testing.T) {
		d, _, old, new := changing(t, nil)
		d.once("email_change", oldEmail, old)
		require.Equal(t, oldEmail, d.account(oldEmail).Email, "one side, however often, is no proof of the other")
		d.once("email_change", newEmail, new)
		require.Equal(t, newEmail, d.account(newEmail).Email)
	})
}

// inParallel calls do so many times from several goroutines that begin together, and
// counts how often it was true.
func inParallel(t testing.TB, goroutines, times int, do func() bool) int {
	t.Helper()
	var won, next atomic.Int64
	var wg sync.WaitGroup
	begin := make(chan struct{})
	for range goroutines {
		wg.Go(func() {
			<-begin
			for next.Add(1) <= int64(times) {
				if do() {
					won.Add(1)
				}
			}
		})
	}
	close(begin)
	wg.Wait()
	return int(won.Load())
}

func TestVerifySetsAPasswordWhereThereIsNone(t *testing.T) {
	d, service := openAdmin(t)
	d.post("/invite", map[string]any{"email": "ada@example.com"}, service).want(http.StatusOK, nil)
	m := d.LastMail("ada@example.com")
	body := map[string]any{"type": "invite", "email": "ada@example.com", "token": m.Code(), "password": "short"}
	d.post("/verify", body).wantFault(http.StatusUnprocessableEntity, "weak_password")
	require.True(t, d.account("ada@example.com").EmailConfirmedAt.IsZero(), "a weak password confirms nothing")
	body["password"] = goodPassword
	d.post("/verify", body).want(http.StatusOK, nil)
	d.signIn("ada@example.com")

	// By a link too, and for a recovered account that never had one.
	acc, err := d.Auth.Users().Create(t.Context(), auth.NewUser{Email: "bob@example.com", EmailConfirmed: true})
	require.NoError(t, err)
	require.False(t, acc.HasPassword)
	d.post("/recover", map[string]any{"email": "bob@example.com"}).want(http.StatusOK, nil)
	d.post("/verify", map[string]any{"type": "recovery", "token_hash": d.tokenOf("bob@example.com"), "password": goodPassword}).want(http.StatusOK, nil)
	d.signIn("bob@example.com")

	// A password that is there stays.
	d.pass()
	d.post("/recover", map[string]any{"email": "bob@example.com"}).want(http.StatusOK, nil)
	d.post("/verify", map[string]any{"type": "recovery", "token_hash": d.tokenOf("bob@example.com"), "password": "another good one"}).want(http.StatusOK, nil)
	d.signIn("bob@example.com")
}

func TestVerifyBannedAndDeleted(t *testing.T) {
	d := open(t)
	acc := d.confirmed("ada@example.com")
	d.post("/magiclink", map[string]any{"email": "ada@example.com"}).want(http.StatusOK, nil)
	m := d.LastMail("ada@example.com")
	require.NoError(t, d.Auth.Users().Ban(t.Context(), acc.ID, d.Clock.Now().Add(time.Hour)))
	// Only who has the right code or link learns of the ban.
	d.byCode("email", "ada@example.com", other(m.Code())).wantCodeError()
	d.byCode("email", "ada@example.com", m.Code()).wantFault(http.StatusForbidden, "user_banned")
	_, v := d.press(m.Link()).landing()
	require.Equal(t, "user_banned", v.Get("error_code"))
	require.Equal(t, "access_denied", v.Get("error"))
	// The ban consumed nothing.
	require.NoError(t, d.Auth.Users().Ban(t.Context(), acc.ID, time.Time{}))
	d.press(m.Link()).landsWithTokens("magiclink")

	d.pass()
	d.post("/magiclink", map[string]any{"email": "ada@example.com"}).want(http.StatusOK, nil)
	m = d.LastMail("ada@example.com")
	require.NoError(t, d.Auth.Users().Delete(t.Context(), acc.ID))
	d.byCode("email", "ada@example.com", m.Code()).wantCodeError()
	d.press(m.Link()).landsWithLinkError()
}

// Purposes are kept apart: proving the address leaves a pending change of it alone.
func TestVerifyClearsItsOwnPurposeOnly(t *testing.T) {
	d := open(t)
	in := d.signUp("ada@example.com")
	d.send(http.MethodPut, "/user", map[string]any{"email": "new@example.com"}, bearer(in.AccessToken)).want(http.StatusOK, nil)
	change := d.LastMail("new@example.com")
	d.post("/recover", map[string]any{"email": "ada@example.com"}).want(http.StatusOK, nil)
	d.byCode("recovery", "ada@example.com", d.LastMail("ada@example.com").Code()).want(http.StatusOK, nil)
	d.byCode("email_change", "new@example.com", change.Code()).want(http.StatusOK, nil)
}

func TestVerifyPublicSite(t *testing.T) {
	d := open(t, auth.WithSiteURL("https://app.example.com"), auth.WithExternalURL("https://app.example.com/auth"),
		auth.WithRedirectURLs("https://*.example.org/cb"))
	d.confirmed("ada@example.com")
	d.post("/recover?redirect_to=https://a.example.org/cb", map[string]any{"email": "ada@example.com"}).want(http.StatusOK, nil)
	link := d.LastMail("ada@example.com").Link()
	require.True(t, strings.HasPrefix(link, "https://app.example.com/auth/verify?token="), link)
	v := linkParams(t, link)
	require.Equal(t, "https://a.example.org/cb", v.Get("redirect_to"))
	// Behind a proxy the browser's origin is the external one, not the Host header.
	a := d.submit(v, header{"Origin", "https://app.example.com"})
	u, _ := a.landing()
	require.Equal(t, "a.example.org", u.Host)
	a.landsWithTokens("recovery")
	d.submit(v, header{"Origin", "https://a.example.org"}).wantFault(http.StatusForbidden, "validation_failed")
}

func TestVerifySessionIsByMail(t *testing.T) {
	d := open(t)
	d.post("/otp", map[string]any{"email": "ada@example.com", "data": map[string]any{"name": "Ada"}}).want(http.StatusOK, nil)
	var got tokenAnswer
	d.byCode("email", "ada@example.com", d.LastMail("ada@example.com").Code()).want(http.StatusOK, &got)
	require.Equal(t, "otp", methodOf(t, got.AccessToken))
	require.Equal(t, "Ada", got.User["user_metadata"].(map[string]any)["name"])
	require.False(t, d.account("ada@example.com").HasPassword, "nobody chose a password")
}
