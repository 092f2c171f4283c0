package auth_test

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"
	"golang.org/x/text/unicode/norm"

	"github.com/truekeel/auth"
	"github.com/truekeel/auth/authtest"
	"github.com/truekeel/auth/store"
)

// What was mailed to an address opens nothing once an administrator has given the
// account another one; least of all does it prove the new one.
func TestAdministratorsEmailChangeEndsOldLinks(t *testing.T) {
	asks := map[string]func(d *door, service header){
		"recovery": func(d *door, _ header) {
			d.confirmed(oldEmail)
			d.post("/recover", map[string]any{"email": oldEmail}).want(http.StatusOK, nil)
		},
		"magiclink": func(d *door, _ header) {
			d.confirmed(oldEmail)
			d.post("/magiclink", map[string]any{"email": oldEmail}).want(http.StatusOK, nil)
		},
		"signup": func(d *door, _ header) {
			d.post("/signup", map[string]any{"email": oldEmail, "password": goodPassword}).want(http.StatusOK, nil)
		},
		"invite": func(d *door, service header) {
			d.post("/invite", map[string]any{"email": oldEmail}, service).want(http.StatusOK, nil)
		},
	}
	for kind, ask := range asks {
		t.Run(kind, func(t *testing.T) {
			d, service := openAdmin(t)
			ask(d, service)
			m := d.LastMail(oldEmail)
			acc := d.account(oldEmail)
			d.send(http.MethodPut, "/admin/users/"+acc.ID.String(), map[string]any{"email": newEmail}, service).want(http.StatusOK, nil)

			d.press(m.Link()).landsWithLinkError()
			for _, email := range []string{oldEmail, newEmail} {
				d.byCode(kind, email, m.Code()).wantCodeError()
			}
			require.Equal(t, acc.EmailConfirmedAt, d.account(newEmail).EmailConfirmedAt, "nobody has proved the new address")
		})
	}
}

// The same where the account's row was changed by a host's own hand.
func TestLinksProveTheAddressTheyWereSentTo(t *testing.T) {
	s := tap(t)
	d := open(t, auth.WithStore(s))
	d.post("/signup", map[string]any{"email": oldEmail, "password": goodPassword}).want(http.StatusOK, nil)
	link := d.LastMail(oldEmail).Link()
	u, err := s.User(t.Context(), d.account(oldEmail).ID)
	require.NoError(t, err)
	u.Email = newEmail
	require.NoError(t, s.UpdateUser(t.Context(), &u))
	d.press(link).landsWithLinkError()
	require.Zero(t, d.account(newEmail).EmailConfirmedAt)
}

// An authorization code that waits for its client is worth a session: what ends sessions
// ends it too.
func TestCodesEndWithWhatTheyWereGivenFor(t *testing.T) {
	next := "the next password"
	ends := map[string]func(d *door, acc auth.Account) error{
		"soft deletion": func(d *door, acc auth.Account) error { return d.Auth.Users().SoftDelete(d.t.Context(), acc.ID) },
		"deletion":      func(d *door, acc auth.Account) error { return d.Auth.Users().Delete(d.t.Context(), acc.ID) },
		"new address": func(d *door, acc auth.Account) error {
			email := newEmail
			_, err := d.Auth.Users().Update(d.t.Context(), acc.ID, auth.Change{Email: &email})
			return err
		},
		"administrator's new password": func(d *door, acc auth.Account) error {
			_, err := d.Auth.Users().Update(d.t.Context(), acc.ID, auth.Change{Password: &next})
			return err
		},
		"user's new password": func(d *door, acc auth.Account) error {
			g, err := d.Auth.Users().Issue(d.t.Context(), acc.ID, "password")
			d.put(g.AccessToken, map[string]any{"password": next}).want(http.StatusOK, nil)
			return err
		},
	}
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			d, link := recovering(t, withChallenge(map[string]any{}))
			code := d.codeOf(link)
			require.NoError(t, end(d, d.account("ada@example.com")))
			d.exchange(code, verifier).wantFault(http.StatusNotFound, "flow_state_not_found")
		})
	}
}

// Tokens that the same key signed for other services open nothing here.
func TestASVS_9_2_3_AudienceOfTokens(t *testing.T) {
	secret := []byte("0123456789abcdef0123456789abcdef")
	d := open(t, auth.WithJWTSecret(secret), auth.WithAudiences("mobile"))
	p := d.User("ada@example.com")
	app := d.Auth.RequireUser(http.HandlerFunc(who))
	for name, c := range map[string]struct {
		aud    any
		status int
	}{
		"its own":           {"authenticated", http.StatusOK},
		"a listed one":      {"mobile", http.StatusOK},
		"one of several":    {[]string{"storage", "authenticated"}, http.StatusOK},
		"another service's": {"storage", http.StatusUnauthorized},
		"none of several":   {[]string{"storage", "realtime"}, http.StatusUnauthorized},
		"part of its own":   {"auth", http.StatusUnauthorized},
		"in other case":     {"Authenticated", http.StatusUnauthorized},
		"empty":             {"", http.StatusUnauthorized},
		"an empty list":     {[]string{}, http.StatusUnauthorized},
		"a number":          {1, http.StatusUnauthorized},
		"none":              {nil, http.StatusUnauthorized},
	} {
		claims := jwt.MapClaims{"sub": p.User.ID.String(), "role": "authenticated", "exp": d.Clock.Now().Add(time.Hour).Unix(), "aud": c.aud}
		if c.aud == nil {
			delete(claims, "aud")
		}
		token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString(secret)
		require.NoError(t, err)
		require.Equal(t, c.status, visit(app, bearer(token)).Code, name)
	}

	g, err := d.Auth.Verify(t.Context(), p.AccessToken)
	require.NoError(t, err)
	require.Equal(t, "authenticated", g.Audience)
}

// A client that sends its body drop by drop is cut off in the time of any other request.
func TestSlowBodiesAreCutOff(t *testing.T) {
	d := open(t, auth.WithRequestTimeout(100*time.Millisecond))
	conn, err := net.Dial("tcp", d.srv.Listener.Addr().String())
	require.NoError(t, err)
	defer conn.Close()
	require.NoError(t, conn.SetDeadline(time.Now().Add(time.Minute))) // of the test itself
	_, err = fmt.Fprintf(conn, "POST /auth/signup HTTP/1.1\r\nHost: %s\r\nContent-Length: 1000\r\n\r\n{", conn.RemoteAddr())
	require.NoError(t, err)
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(t, err)
	defer resp.Body.Close()
	require.Equal(t, http.StatusGatewayTimeout, resp.StatusCode)
	require.True(t, resp.Close, "the connection is of no more use")
}

// What isn't public is not for caches, whatever the answer is.
func TestASVS_14_3_2_NothingPrivateIsCached(t *testing.T) {
	d, service := openAdmin(t)
	p := d.User("ada@example.com")
	for _, a := range []answer{
		d.send(http.MethodGet, "/user", nil, bearer(p.AccessToken)),
		d.put(p.AccessToken, map[string]any{"data": map[string]any{"a": 1}}),
		d.send(http.MethodGet, "/admin/users", nil, service),
		d.send(http.MethodGet, "/admin/audit", nil, service),
		d.refresh(p.RefreshToken),
		d.post("/signup", map[string]any{"email": "eve@example.com", "password": goodPassword}),
		d.post("/signup", "{"),
		d.send(http.MethodGet, "/verify?token=x&type=signup", nil),
		d.send(http.MethodGet, "/nowhere", nil),
	} {
		require.Equal(t, "no-store", a.Header.Get("Cache-Control"), "%s", a.Body)
		require.Equal(t, "nosniff", a.Header.Get("X-Content-Type-Options"), "%s", a.Body)
	}
	a := d.send(http.MethodGet, "/.well-known/jwks.json", nil).want(http.StatusOK, nil)
	require.Equal(t, "public, max-age=600", a.Header.Get("Cache-Control"))
}

// A sign-up for an address that nobody has proved may replace an earlier sign-up, and
// nothing else: not the password of an account in use, nor one that an administrator made.
func TestSignUpTakesNoAccountOver(t *testing.T) {
	const email, attacker = "ada@example.com", "the attacker's own"
	accounts := map[string]func(d *door, service header){
		"in use": func(d *door, _ header) {
			d.post("/signup", map[string]any{"email": email, "password": goodPassword}).want(http.StatusOK, nil)
			d.signIn(email)
		},
		"made by an administrator": func(d *door, service header) {
			d.post("/admin/users", map[string]any{"email": email, "password": goodPassword, "role": "staff"}, service).want(http.StatusOK, nil)
		},
		"made by a generated link": func(d *door, service header) {
			d.generate(service, map[string]any{"type": "signup", "email": email, "password": goodPassword})
		},
	}
	for name, make := range accounts {
		t.Run(name, func(t *testing.T) {
			d, service := openAdmin(t, auth.WithUnconfirmedSignIn(true))
			make(d, service)
			for range 2 { // the first leaves its own marks
				d.pass()
				d.post("/signup", map[string]any{"email": email, "password": attacker}).want(http.StatusOK, nil)
			}
			d.password(email, attacker).wantFault(http.StatusBadRequest, "invalid_credentials")
			d.press(d.LastMail(email).Link()).landsWithTokens("signup")
			d.password(email, attacker).wantFault(http.StatusBadRequest, "invalid_credentials")
			d.signIn(email)
		})
	}
}

// Passwords are taken as they are: any character counts, none is cut, none is demanded.
func TestASVS_6_2_Passwords(t *testing.T) {
	accepted := map[string]string{
		"6.2.1, eight characters":         "8 chars!",
		"6.2.1, characters and not bytes": "пароль12",
		"6.2.5, of one kind":              "aaaaaaaaaaaaaaa",
		"6.2.8, blanks at the ends":       "  with blanks  ",
		"6.2.8, not normalized":           "caf\u0065\u0301 and ﬁsh",
		"6.2.9, 64 characters":            strings.Repeat("0123456789abcdef", 4),
		"6.2.9, all that bcrypt sees":     strings.Repeat("x", 72),
	}
	for name, pw := range accepted {
		t.Run(name, func(t *testing.T) {
			d := open(t)
			d.User("ada@example.com", func(n *auth.NewUser) { n.Password = goodPassword })
			d.put(d.signIn("ada@example.com").AccessToken, map[string]any{"password": pw}).want(http.StatusOK, nil)
			d.password("ada@example.com", pw).want(http.StatusOK, nil)
			for _, near := range []string{strings.ToUpper(pw), pw + "x", pw[:len(pw)-1], " " + pw, norm.NFKC.String(pw) + " "} {
				d.password("ada@example.com", near).wantFault(http.StatusBadRequest, "invalid_credentials")
			}
		})
	}
	d := open(t)
	for pw, code := range map[string]string{
		"7 chars":                 "weak_password",
		"":                        "validation_failed",
		strings.Repeat("x", 73):   "validation_failed", // never cut
		strings.Repeat("é", 37):   "validation_failed",
		strings.Repeat("x", 5000): "validation_failed",
	} {
		a := d.post("/signup", map[string]any{"email": "eve@example.com", "password": pw})
		require.Equal(t, code, a.Header.Get("x-sb-error-code"), "%d bytes: %s", len(pw), a.Body)
	}
	require.Empty(t, d.accounts())
}

// Codes live ten minutes to the microsecond, by the clock and not by the cleaner.
func TestASVS_6_5_5_LifeOfCodes(t *testing.T) {
	for name, c := range map[string]struct {
		after time.Duration
		good  bool
	}{"just in time": {10*time.Minute - time.Microsecond, true}, "too late": {10 * time.Minute, false}} {
		t.Run(name, func(t *testing.T) {
			d := open(t)
			d.confirmed("ada@example.com")
			d.post("/otp", map[string]any{"email": "ada@example.com"}).want(http.StatusOK, nil)
			code := d.LastMail("ada@example.com").Code()
			d.Clock.Advance(c.after)
			a := d.byCode("email", "ada@example.com", code)
			if !c.good {
				a.wantCodeError()
				return
			}
			a.want(http.StatusOK, nil)
		})
	}
}

// A code or a link is good for what it was asked for and for whom it was sent to.
func TestASVS_6_6_2_ProofsAreBoundToTheirRequest(t *testing.T) {
	sequential(t)
	types := []string{"signup", "invite", "recovery", "magiclink", "email", "email_change", "reauthentication", "sms", "phone_change", "oauth", ""}
	confirming, signingIn := []string{"signup", "invite", "email"}, []string{"recovery", "magiclink", "email"}
	asks := map[string]struct {
		good []string
		ask  func(d *door, service header)
	}{
		"signup": {confirming, func(d *door, _ header) {
			d.post("/signup", map[string]any{"email": "ada@example.com", "password": goodPassword}).want(http.StatusOK, nil)
		}},
		"invite": {confirming, func(d *door, service header) {
			d.post("/invite", map[string]any{"email": "ada@example.com"}, service).want(http.StatusOK, nil)
		}},
		"recover": {signingIn, func(d *door, _ header) {
			d.confirmed("ada@example.com")
			d.post("/recover", map[string]any{"email": "ada@example.com"}).want(http.StatusOK, nil)
		}},
		"otp": {append(confirming, signingIn...), func(d *door, _ header) {
			d.confirmed("ada@example.com")
			d.post("/otp", map[string]any{"email": "ada@example.com"}).want(http.StatusOK, nil)
		}},
		"email change": {[]string{"email_change"}, func(d *door, _ header) {
			p := d.User("old@example.com")
			d.put(p.AccessToken, map[string]any{"email": "ada@example.com"}).want(http.StatusOK, nil)
		}},
	}
	for name, c := range asks {
		t.Run(name, func(t *testing.T) {
			// A code survives few wrong guesses: every wrong use is of a new one.
			for _, kind := range types {
				if slices.Contains(c.good, kind) {
					continue
				}
				d, service := openAdmin(t)
				c.ask(d, service)
				m := d.LastMail("ada@example.com")
				require.NotEqual(t, http.StatusOK, d.byCode(kind, "ada@example.com", m.Code()).Status, kind)
				require.NotEqual(t, http.StatusOK, d.byHash(kind, d.tokenOf("ada@example.com")).Status, kind)
				d.byCode(c.good[0], "ada@example.com", m.Code()).want(http.StatusOK, nil) // and consumed nothing
			}
			d, service := openAdmin(t)
			c.ask(d, service)
			d.confirmed("eve@example.com")
			m := d.LastMail("ada@example.com")
			for _, kind := range c.good {
				d.byCode(kind, "eve@example.com", m.Code()).wantCodeError()
			}
			d.byCode(c.good[0], "ada@example.com", m.Code()).want(http.StatusOK, nil)
			d.byCode(c.good[0], "ada@example.com", m.Code()).wantCodeError() // 6.5.1, once
		})
	}
}

// Every sign-in is a session of its own (7.2.4) with a token of 130 bits (7.2.3), whatever
// the client brings along.
func TestASVS_7_2_SessionsBeginAnew(t *testing.T) {
	d := open(t)
	p := d.User("ada@example.com", func(n *auth.NewUser) { n.Password = goodPassword })
	seen := map[string]bool{p.RefreshToken: true, p.SessionID.String(): true}
	for range 20 {
		var in tokenAnswer
		d.post("/token?grant_type=password", map[string]any{
			"email": "ada@example.com", "password": goodPassword, "refresh_token": p.RefreshToken, "session_id": p.SessionID,
		}, bearer(p.AccessToken)).want(http.StatusOK, &in)
		require.Regexp(t, "^[a-z2-7]{26}$", in.RefreshToken)
		u, err := d.Auth.Verify(t.Context(), in.AccessToken)
		require.NoError(t, err)
		for _, fresh := range []string{in.RefreshToken, u.SessionID.String()} {
			require.False(t, seen[fresh])
			seen[fresh] = true
		}
	}
}

// What ends a user's sessions ends them on every route and for every grant, at once.
func TestASVS_7_4_EndedSessionsOpenNothing(t *testing.T) {
	ends := map[string]func(d *door, p *authtest.Person) error{
		"7.4.1, sign-out": func(d *door, p *authtest.Person) error {
			d.post("/logout?scope=local", nil, bearer(p.AccessToken)).want(http.StatusNoContent, nil)
			return nil
		},
		"7.4.2, ban": func(d *door, p *authtest.Person) error {
			return d.Auth.Users().Ban(d.t.Context(), p.User.ID, d.Clock.Now().Add(time.Hour))
		},
		"7.4.2, deletion": func(d *door, p *authtest.Person) error { return d.Auth.Users().Delete(d.t.Context(), p.User.ID) },
		"7.4.2, soft deletion": func(d *door, p *authtest.Person) error {
			return d.Auth.Users().SoftDelete(d.t.Context(), p.User.ID)
		},
		"7.4.3, another session's new password": func(d *door, p *authtest.Person) error {
			g, err := d.Auth.Users().Issue(d.t.Context(), p.User.ID, "password")
			d.put(g.AccessToken, map[string]any{"password": "the next password"}).want(http.StatusOK, nil)
			return err
		},
		"7.4.5, administrator": func(d *door, p *authtest.Person) error { return d.Auth.Users().SignOut(d.t.Context(), p.User.ID) },
		"7.4.5, administrator's new password": func(d *door, p *authtest.Person) error {
			next := "the next password"
			_, err := d.Auth.Users().Update(d.t.Context(), p.User.ID, auth.Change{Password: &next})
			return err
		},
	}
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			d := open(t)
			p := d.User("ada@example.com", func(n *auth.NewUser) { n.Role = "service_role" })
			app := d.Auth.RequireActiveSession(http.HandlerFunc(who))
			require.Equal(t, http.StatusOK, visit(app, bearer(p.AccessToken)).Code)
			d.send(http.MethodGet, "/admin/users", nil, bearer(p.AccessToken)).want(http.StatusOK, nil)
			require.NoError(t, end(d, p))

			require.Equal(t, http.StatusUnauthorized, visit(app, bearer(p.AccessToken)).Code)
			require.Equal(t, http.StatusBadRequest, d.refresh(p.RefreshToken).Status)
			for _, r := range routes(t) {
				if !needsBearer(r) {
					continue
				}
				a := d.send(r.method, r.path, map[string]any{"email": "x@example.com", "data": map[string]any{"a": 1}}, bearer(p.AccessToken))
				require.Equal(t, http.StatusForbidden, a.Status, "%s %s: %s", r.method, r.path, a.Body)
			}
		})
	}
}

// Whatever a user says of himself, the administrators' routes are closed to him.
func TestASVS_8_2_1_UsersAreNoAdministrators(t *testing.T) {
	d := open(t, auth.WithSelfAdminRole("owner"))
	p := d.User("ada@example.com", func(n *auth.NewUser) {
		n.Role = "owner"
		n.UserMetadata = store.MakeObject(map[string]any{"role": "service_role", "is_admin": true})
	})
	d.put(p.AccessToken, `{"role":"service_role","aud":"service_role","data":{"role":"service_role"},"app_metadata":{"role":"service_role"}}`).want(http.StatusOK, nil)
	token := d.next(p.RefreshToken).AccessToken
	for _, r := range routes(t) {
		if !strings.HasPrefix(r.path, "/admin/") && r.path != "/invite" {
			continue
		}
		path := strings.ReplaceAll(r.path, "11111111-2222-4333-8444-555555555555", p.User.ID.String()) // his own, even
		for _, h := range [][]header{{bearer(token)}, {bearer(token), {"X-JWT-AUD", "service_role"}, {"apikey", "service_role"}, {"X-Role", "service_role"}}} {
			d.send(r.method, path, map[string]any{"email": "x@example.com", "role": "service_role"}, h...).wantFault(http.StatusForbidden, "not_admin")
		}
		d.send(r.method, path, nil).wantFault(http.StatusUnauthorized, "no_authorization")
	}
	require.Len(t, d.accounts(), 1)
}

// After the clock was set back, nobody waits until it is where it was.
func TestBudgetsSurviveAClockThatIsSetBack(t *testing.T) {
	d := open(t, auth.WithCodes(auth.Codes{MaxPerHour: 3}))
	d.confirmed("ada@example.com")
	ask := func() answer { return d.post("/recover", map[string]any{"email": "ada@example.com"}) }
	ask().want(http.StatusOK, nil)
	code := d.LastMail("ada@example.com").Code()
	for range 4 {
		d.byCode("recovery", "ada@example.com", other(code)).wantCodeError()
	}
	d.Clock.Advance(-time.Second) // as clocks of several servers differ
	ask().wantFault(http.StatusTooManyRequests, "over_email_send_rate_limit")
	d.byCode("recovery", "ada@example.com", code).wantCodeError()

	d.Clock.Advance(-48 * time.Hour)
	ask().want(http.StatusOK, nil)
	ask().wantFault(http.StatusTooManyRequests, "over_email_send_rate_limit")
	code = d.LastMail("ada@example.com").Code()
	for range 3 {
		d.byCode("recovery", "ada@example.com", other(code)).wantCodeError()
	}
	d.byCode("recovery", "ada@example.com", code).wantCodeError() // the new hour has its budget too
	d.Clock.Advance(time.Hour)
	ask().want(http.StatusOK, nil)
	d.byCode("recovery", "ada@example.com", d.LastMail("ada@example.com").Code()).want(http.StatusOK, nil)
}
