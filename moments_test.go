package auth_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/truekeel/auth"
	"github.com/truekeel/auth/internal/host"
	"github.com/truekeel/auth/store"
	"github.com/truekeel/auth/tokens"
)

// ear is a host that hears of the moments, and does at them what a test wants.
type ear struct {
	mu    sync.Mutex
	heard []host.Moment
	users []store.User
	do    func(ctx context.Context, m host.Moment, u *store.User) error
}

func (e *ear) option() auth.Option {
	at := func(m host.Moment) func(context.Context, *store.User) error {
		return func(ctx context.Context, u *store.User) error {
			e.mu.Lock()
			e.heard, e.users = append(e.heard, m), append(e.users, *u)
			do := e.do
			e.mu.Unlock()
			if do == nil {
				return nil
			}
			return do(ctx, m, u)
		}
	}
	return auth.WithSteps(&host.Steps{
		Before: at(host.Before), Confirming: at(host.Confirming), Entering: at(host.Entering), ChangingEmail: at(host.ChangingEmail),
		Claims: func(ctx context.Context, u store.User, _ string, _ *tokens.Claims) error { return at(issuing)(ctx, &u) },
	})
}

// issuing is the moment of an access token.
const issuing host.Moment = "claims"

// does sets what is done from now on, and forgets what was heard.
func (e *ear) does(do func(ctx context.Context, m host.Moment, u *store.User) error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.do, e.heard, e.users = do, nil, nil
}

func (e *ear) moments() []host.Moment {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.heard
}

// at is a step at one moment alone.
func at(m host.Moment, do func(ctx context.Context, u *store.User) error) func(context.Context, host.Moment, *store.User) error {
	return func(ctx context.Context, now host.Moment, u *store.User) error {
		if now != m {
			return nil
		}
		return do(ctx, u)
	}
}

// way is a flow that ends in an account or in a session. Its try can be made again.
type way struct {
	name    string
	opts    []auth.Option
	prepare func(w *town) (try func() string)
	moments []host.Moment
}

// outcome is "" for a good answer, else its error's code, in whatever form.
func outcome(a answer) string {
	code := a.Header.Get("x-sb-error-code")
	switch {
	case a.Status == http.StatusSeeOther:
		_, v := a.landing()
		return v.Get("error_code")
	case code != "":
		return code
	case a.Status >= 400:
		return map[int]string{500: "unexpected_failure", 504: "request_timeout", 400: "not_you"}[a.Status]
	}
	return ""
}

// goOutcome is outcome for a call of a Go method.
func goOutcome(err error) string {
	switch {
	case err == nil:
		return ""
	case errors.Is(err, context.DeadlineExceeded):
		return "request_timeout"
	case codeOf(err) != "":
		return codeOf(err)
	}
	return "unexpected_failure"
}

const askedAddress = "ada@example.com"

func byProvider(w *town, subject string, more url.Values) func() string {
	return func() string {
		b := w.browser()
		v := url.Values{"provider": {"acme"}}
		for name, values := range more {
			v[name] = values
		}
		state := b.leave(v).Query().Get("state")
		w.acme.knows("code-"+state, w.acme.someone(subject, askedAddress, true))
		u := b.comeBack(url.Values{"state": {state}, "code": {"code-" + state}})
		return u.Query().Get("error_code")
	}
}

// keelSignIn signs in by Keel's endpoint.
func keelSignIn(w *town, create string) func() string {
	return func() string {
		return outcome(w.send(http.MethodPost, "/token", fieldsOf{"grant_type": "password", "username": askedAddress, "password": goodPassword, "create_if_not_exists": create}, header{"Content-Type", jsonBody}))
	}
}

// ways are the flows with the moments that each comes to.
func ways() []way {
	auto := []auth.Option{auth.WithAutoConfirm(true)}
	signUp := func(w *town) func() string {
		return func() string {
			return outcome(w.post("/signup", map[string]any{"email": askedAddress, "password": goodPassword, "data": map[string]any{"name": "Ada"}}))
		}
	}
	mailedAs := func(kind string) func(*town) {
		return func(w *town) { mailed[kind](w.door, w.service(), askedAddress) }
	}
	unproved := func(path string) func(*town) {
		return func(w *town) {
			_, err := w.Auth.Users().Create(context.Background(), auth.NewUser{Email: askedAddress, Password: goodPassword})
			require.NoError(w.t, err)
			w.post(path, map[string]any{"email": askedAddress}).want(http.StatusOK, nil)
		}
	}
	link := func(send func(*town)) func(*town) func() string {
		return func(w *town) func() string {
			send(w)
			form := w.form(w.LastMail(askedAddress).Link())
			return func() string { return outcome(w.submit(form)) }
		}
	}
	code := func(kind string, send func(*town)) func(*town) func() string {
		return func(w *town) func() string {
			send(w)
			text := w.LastMail(askedAddress).Code()
			return func() string { return outcome(w.byCode(kind, askedAddress, text)) }
		}
	}
	hash := func(kind string, send func(*town)) func(*town) func() string {
		return func(w *town) func() string {
			send(w)
			token := w.tokenOf(askedAddress)
			return func() string { return outcome(w.byHash(kind, token)) }
		}
	}
	known := func(w *town) { require.Empty(w.t, byProvider(w, "1", nil)()) }
	native := func(w *town) func() string {
		w.acme.knows("token", w.acme.someone("1", askedAddress, true))
		return func() string { return outcome(w.native(map[string]any{"provider": "acme", "id_token": "token"})) }
	}
	_, challenge := pkcePair()
	phones := []auth.Option{auth.WithPhoneSignIn(true)}
	texted := func(w *town) func() string {
		w.post("/otp", map[string]any{"phone": phone(1)}).want(http.StatusOK, nil)
		w.Deliver()
		sent := w.SMS.Messages()
		text := sent[len(sent)-1].Code
		return func() string {
			return outcome(w.post("/verify", map[string]any{"type": "sms", "phone": phone(1), "token": text}))
		}
	}
	return []way{
		{"sign-up", nil, signUp, []host.Moment{host.Before}},
		{"sign-up, confirmed at once", auto, signUp, []host.Moment{host.Before, host.Confirming, host.Entering, issuing}},
		{"magic link for a new address", nil, func(w *town) func() string {
			return func() string { return outcome(w.post("/otp", map[string]any{"email": askedAddress})) }
		}, []host.Moment{host.Before}},
		{"invitation", nil, func(w *town) func() string {
			return func() string { return outcome(w.post("/invite", map[string]any{"email": askedAddress}, w.service())) }
		}, []host.Moment{host.Before}},
		{"invitation in Go", []auth.Option{auth.WithSiteURL("https://app.example.com")}, func(w *town) func() string {
			return func() string {
				_, err := w.Auth.Users().Invite(w.t.Context(), auth.Invitation{Email: askedAddress})
				return goOutcome(err)
			}
		}, []host.Moment{host.Before}},
		{"generated link", nil, func(w *town) func() string {
			return func() string {
				return outcome(w.post("/admin/generate_link", map[string]any{"type": "signup", "email": askedAddress, "password": goodPassword}, w.service()))
			}
		}, []host.Moment{host.Before}},
		{"account of an administrator", nil, func(w *town) func() string {
			return func() string {
				return outcome(w.post("/admin/users", map[string]any{"email": askedAddress, "email_confirm": true}, w.service()))
			}
		}, nil},

		{"link of a sign-up", nil, link(mailedAs("signup")), []host.Moment{host.Confirming, issuing}},
		{"code of a sign-up", nil, code("signup", mailedAs("signup")), []host.Moment{host.Confirming, issuing}},
		{"token hash of a sign-up", nil, hash("email", mailedAs("signup")), []host.Moment{host.Confirming, issuing}},
		{"link of an invitation", nil, link(mailedAs("invite")), []host.Moment{host.Confirming, issuing}},
		{"link of a recovery, unproved", nil, link(unproved("/recover")), []host.Moment{host.Confirming, issuing}},
		{"code of a magic link, unproved", nil, code("email", unproved("/magiclink")), []host.Moment{host.Confirming, issuing}},
		{"link of a recovery", nil, link(mailedAs("recovery")), []host.Moment{host.Entering, issuing}},
		{"code of a magic link", nil, code("magiclink", mailedAs("magiclink")), []host.Moment{host.Entering, issuing}},

		{"provider, new", nil, func(w *town) func() string { return byProvider(w, "1", nil) }, []host.Moment{host.Before, host.Confirming, issuing}},
		{"provider, new, with a code", nil, func(w *town) func() string { return byProvider(w, "1", challenge) }, []host.Moment{host.Before, host.Confirming}},
		{"provider, known", nil, func(w *town) func() string { known(w); return byProvider(w, "1", nil) }, []host.Moment{host.Entering, issuing}},
		{"provider, linked", nil, func(w *town) func() string { w.confirmed(askedAddress); return byProvider(w, "1", nil) }, []host.Moment{host.Entering, issuing}},
		{"provider, invited", nil, func(w *town) func() string {
			mailed["invite"](w.door, w.service(), askedAddress)
			return byProvider(w, "1", url.Values{"invite_token": {w.tokenOf(askedAddress)}})
		}, []host.Moment{host.Confirming, issuing}},
		{"id token, new", nil, native, []host.Moment{host.Before, host.Confirming, issuing}},
		{"id token, known", nil, func(w *town) func() string { known(w); return native(w) }, []host.Moment{host.Entering, issuing}},

		{"password", nil, func(w *town) func() string {
			w.confirmed(askedAddress)
			return func() string { return outcome(w.password(askedAddress, goodPassword)) }
		}, []host.Moment{host.Entering, issuing}},
		{"password, Keel", nil, func(w *town) func() string { w.confirmed(askedAddress); return keelSignIn(w, "false") }, []host.Moment{host.Entering, issuing}},
		{"password, Keel, new", auto, func(w *town) func() string { return keelSignIn(w, "true") }, []host.Moment{host.Before, host.Confirming, host.Entering, issuing}},

		{"phone, new", phones, func(w *town) func() string {
			return func() string { return outcome(w.post("/otp", map[string]any{"phone": phone(1)})) }
		}, []host.Moment{host.Before}},
		{"phone, first code", phones, texted, []host.Moment{host.Confirming, issuing}},
		{"phone, known", phones, func(w *town) func() string {
			_, err := w.Auth.Users().Create(w.t.Context(), auth.NewUser{Phone: phone(1), PhoneConfirmed: true})
			require.NoError(w.t, err)
			return texted(w)
		}, []host.Moment{host.Entering, issuing}},

		{"phone, a service's code", []auth.Option{auth.WithSMS(&checker{})}, func(w *town) func() string {
			w.post("/otp", map[string]any{"phone": phone(1)}).want(http.StatusOK, nil)
			w.Deliver()
			return func() string { return outcome(w.bySMS("sms", phone(1), itsCode)) }
		}, []host.Moment{host.Confirming, issuing}},

		{"first half of a change of address", nil, changeOf(0), nil},
		{"change of address", nil, changeOf(1), []host.Moment{host.ChangingEmail, issuing}},
		{"refresh", nil, func(w *town) func() string {
			w.confirmed(askedAddress)
			in := w.signIn(askedAddress)
			return func() string { return outcome(w.refresh(in.RefreshToken)) }
		}, []host.Moment{issuing}},
		{"refresh, Keel", nil, func(w *town) func() string {
			w.confirmed(askedAddress)
			var g keelGrant
			w.send(http.MethodPost, "/token", fieldsOf{"grant_type": "password", "username": askedAddress, "password": goodPassword}, header{"Content-Type", jsonBody}).want(http.StatusOK, &g)
			return func() string {
				return outcome(w.send(http.MethodPost, "/token", fieldsOf{"grant_type": "refresh_token", "refresh_token": g.RefreshToken}, header{"Content-Type", jsonBody}))
			}
		}, []host.Moment{issuing}},
		{"authorization code", nil, func(w *town) func() string {
			verifier, challenge := pkcePair()
			b := w.browser()
			v := url.Values{"provider": {"acme"}}
			for name, values := range challenge {
				v[name] = values
			}
			state := b.leave(v).Query().Get("state")
			w.acme.knows("code-"+state, w.acme.someone("1", askedAddress, true))
			text := b.comeBack(url.Values{"state": {state}, "code": {"code-" + state}}).Query().Get("code")
			return func() string { return outcome(w.exchange(text, verifier)) }
		}, []host.Moment{issuing}},
		{"session of the host's", nil, func(w *town) func() string {
			acc := w.confirmed(askedAddress)
			return func() string {
				_, err := w.Auth.Users().Issue(w.t.Context(), acc.ID, "card")
				return goOutcome(err)
			}
		}, []host.Moment{issuing}},
	}
}

// changeOf is one half of a change of address; the halves before it are done.
func changeOf(half int) func(w *town) func() string {
	return func(w *town) func() string {
		w.confirmed(askedAddress)
		in := w.signIn(askedAddress)
		w.put(in.AccessToken, map[string]any{"email": newEmail}).want(http.StatusOK, nil)
		forms := []url.Values{w.form(w.LastMail(askedAddress).Link()), w.form(w.LastMail(newEmail).Link())}
		for _, form := range forms[:half] {
			require.Empty(w.t, outcome(w.submit(form)))
		}
		return func() string { return outcome(w.submit(forms[half])) }
	}
}

// state is what is kept of accounts.
type state struct {
	Users      []store.User
	Identities []store.Identity
	Sessions   []store.Session
}

func (w *town) state() (s state) {
	w.t.Helper()
	var err error
	s.Users, err = w.store.ListUsers(context.Background(), store.UserQuery{Limit: 1000})
	require.NoError(w.t, err)
	for _, u := range s.Users {
		i, err := w.store.IdentitiesOf(context.Background(), u.ID)
		require.NoError(w.t, err)
		s.Identities = append(s.Identities, i...)
		rows, err := w.store.SessionsOf(context.Background(), u.ID)
		require.NoError(w.t, err)
		s.Sessions = append(s.Sessions, rows...)
	}
	return s
}

// eachWay runs a test for every flow, on a town of its own.
func eachWay(t *testing.T, test func(t *testing.T, w *town, e *ear, y way, try func() string), opts ...auth.Option) {
	t.Helper()
	eachOf(t, ways(), test, opts...)
}

func eachOf(t *testing.T, chosen []way, test func(t *testing.T, w *town, e *ear, y way, try func() string), opts ...auth.Option) {
	t.Helper()
	for _, y := range chosen {
		t.Run(y.name, func(t *testing.T) {
			e := &ear{}
			w := openTown(t, append(append([]auth.Option{e.option(), auth.WithJWTSecret([]byte(jwtSecret)), auth.WithoutLimits()}, y.opts...), opts...)...)
			try := y.prepare(w)
			e.does(nil)
			test(t, w, e, y, try)
		})
	}
}

// TestMomentsOfEveryWay: which moments each flow comes to, each once, and that the host
// sees the account as it will be.
func TestMomentsOfEveryWay(t *testing.T) {
	sequential(t)
	eachWay(t, func(t *testing.T, w *town, e *ear, y way, try func() string) {
		require.Empty(t, try())
		require.Equal(t, y.moments, e.moments())
		for n, u := range e.users {
			stored, err := w.store.User(t.Context(), u.ID)
			require.NoError(t, err, "the id is the account's")
			require.Equal(t, stored.Email, u.Email)
			require.Equal(t, stored.Audience, u.Audience)
			require.Equal(t, stored.Role, u.Role)
			want, err := json.Marshal(stored.AppMetadata)
			require.NoError(t, err)
			seen, err := json.Marshal(u.AppMetadata)
			require.NoError(t, err)
			require.JSONEq(t, string(want), string(seen))
			require.Equal(t, stored.UserMetadata.String("name"), u.UserMetadata.String("name"))
			if m := e.heard[n]; m == host.Confirming || m == host.ChangingEmail {
				require.True(t, u.Confirmed())
			}
		}
	})
}

// TestHostRefuses: whatever a host's step does, the answer is clean, nothing has
// happened, and what was presented is still good, however often.
func TestHostRefuses(t *testing.T) {
	sequential(t)
	modes := map[string]struct {
		do   func(context.Context, *store.User) error
		want string
	}{
		"refuses": {func(context.Context, *store.User) error { return &auth.Error{Code: "not_you", Message: "No"} }, "not_you"},
		"fails":   {func(context.Context, *store.User) error { return errors.New("a secret") }, "unexpected_failure"},
		"panics":  {func(context.Context, *store.User) error { panic("a secret") }, "unexpected_failure"},
		"conflict": {func(context.Context, *store.User) error {
			return store.ErrConflict // the store's word in a host's mouth
		}, "unexpected_failure"},
		"too much": {func(_ context.Context, u *store.User) error {
			u.UserMetadata = store.MakeObject(map[string]any{"x": strings.Repeat("x", host.MaxMetadata)})
			return nil
		}, "unexpected_failure"},
		"NUL": {func(_ context.Context, u *store.User) error {
			u.AppMetadata = store.Object{"x": []byte(`"\u0000"`)}
			return nil
		}, "unexpected_failure"},
		"no JSON": {func(_ context.Context, u *store.User) error {
			u.AppMetadata = store.Object{"x": []byte(`{`)}
			return nil
		}, "unexpected_failure"},
	}
	eachWay(t, func(t *testing.T, w *town, e *ear, y way, try func() string) {
		before := w.state()
		for _, m := range y.moments {
			for name, mode := range modes {
				if m == issuing && (name == "too much" || name == "NUL" || name == "no JSON") {
					continue // nothing can be put in the place of metadata there
				}
				e.does(at(m, mode.do))
				require.Equal(t, mode.want, try(), "%s %s", m, name)
				require.Equal(t, before, w.state(), "%s %s", m, name)
				n := 0
				for _, heard := range e.moments() {
					if heard == m {
						n++
					}
				}
				require.Equal(t, 1, n, "%s %s: asked once", m, name)
			}
		}
		e.does(nil)
		require.Empty(t, try())
		require.Equal(t, y.moments, e.moments())
	})
}

// TestHostHangs: a step is bounded by the request.
func TestHostHangs(t *testing.T) {
	sequential(t)
	for _, y := range ways() {
		if y.name != "sign-up, confirmed at once" && y.name != "link of a sign-up" && y.name != "provider, known" && y.name != "password, Keel" {
			continue
		}
		t.Run(y.name, func(t *testing.T) {
			e := &ear{}
			w := openTown(t, append([]auth.Option{e.option(), auth.WithJWTSecret([]byte(jwtSecret)), auth.WithoutLimits(), auth.WithRequestTimeout(3 * time.Second)}, y.opts...)...)
			try := y.prepare(w)
			before := w.state()
			for _, m := range y.moments[:1] {
				e.does(at(m, func(ctx context.Context, _ *store.User) error {
					<-ctx.Done()
					return errors.New("too late")
				}))
				require.Equal(t, "request_timeout", try())
				require.Equal(t, before, w.state())
			}
			e.does(nil)
			require.Empty(t, try())
		})
	}
}

// TestHostReplacesMetadata: what a step puts in the place of the metadata is stored, but
// for what the library itself keeps there.
func TestHostReplacesMetadata(t *testing.T) {
	sequential(t)
	isIssuing := func(m host.Moment) bool { return m == issuing }
	asking := slices.DeleteFunc(ways(), func(y way) bool {
		return !slices.ContainsFunc(y.moments, func(m host.Moment) bool { return !isIssuing(m) })
	})
	require.Greater(t, len(asking), 20)
	eachOf(t, asking, func(t *testing.T, w *town, e *ear, y way, try func() string) {
		asked := slices.DeleteFunc(slices.Clone(y.moments), isIssuing)
		e.does(func(_ context.Context, m host.Moment, u *store.User) error {
			u.UserMetadata = store.MakeObject(map[string]any{"at": m, "sub": "another", "email_verified": "maybe"})
			u.AppMetadata = store.MakeObject(map[string]any{"plan": m, "provider": "another"})
			u.Email, u.Role, u.PasswordHash, u.BannedUntil = "eve@example.com", "service_role", "x", w.Clock.Now().Add(time.Hour) // no effect
			return nil
		})
		require.Empty(t, try())
		last := asked[len(asked)-1]
		u, err := w.store.User(t.Context(), e.users[len(e.users)-1].ID)
		require.NoError(t, err)
		require.Equal(t, string(last), u.UserMetadata.String("at"))
		require.Equal(t, string(last), u.AppMetadata.String("plan"))
		require.NotEqual(t, "another", u.AppMetadata.String("provider"))
		require.NotEmpty(t, u.AppMetadata.String("provider"))
		require.NotContains(t, u.UserMetadata, "name", "what was there is gone")
		if _, had := u.UserMetadata["sub"]; had && !strings.HasPrefix(y.name, "invitation") && u.UserMetadata.String("sub") != "another" {
			require.NotEqual(t, `"maybe"`, string(u.UserMetadata["email_verified"]))
		}
		require.Equal(t, "authenticated", u.Role)
		require.True(t, u.BannedUntil.IsZero())
	})
}

// TestHostCallsBack: a step may do what it likes with the library it belongs to.
func TestHostCallsBack(t *testing.T) {
	sequential(t)
	eachWay(t, func(t *testing.T, w *town, e *ear, y way, try func() string) {
		e.does(func(ctx context.Context, _ host.Moment, u *store.User) error {
			email := strings.ToLower(uuid.NewString()) + "@example.com"
			if _, err := w.Auth.Users().Create(ctx, auth.NewUser{Email: email}); err != nil {
				return err
			}
			_, err := w.Auth.Users().Get(ctx, u.ID)
			if errors.Is(err, &auth.Error{Code: "user_not_found"}) {
				return nil
			}
			return err
		})
		require.Empty(t, try())
		require.Equal(t, y.moments, e.moments())
	})
}

// TestHostIsAskedOnceARequest: of requests that race for one thing each asks once at most.
func TestHostIsAskedOnceARequest(t *testing.T) {
	for _, y := range ways() {
		if y.name != "sign-up, confirmed at once" && y.name != "link of a sign-up" && y.name != "code of a magic link" && y.name != "provider, new" {
			continue
		}
		t.Run(y.name, func(t *testing.T) {
			e := &ear{}
			w := openTown(t, append([]auth.Option{e.option(), auth.WithJWTSecret([]byte(jwtSecret)), auth.WithoutLimits()}, y.opts...)...)
			try := y.prepare(w)
			e.does(nil)
			const racers = 12
			var good int
			var mu sync.Mutex
			var all sync.WaitGroup
			for range racers {
				all.Go(func() {
					code := try()
					mu.Lock()
					defer mu.Unlock()
					if code == "" {
						good++
					}
				})
			}
			all.Wait()
			count := map[host.Moment]int{}
			for _, m := range e.moments() {
				count[m]++
			}
			for m, n := range count {
				require.LessOrEqual(t, n, racers, m)
			}
			require.Len(t, w.state().Users, 1)
			if y.name != "provider, new" { // where each comes with a proof of his own
				require.Equal(t, 1, good)
				require.Len(t, w.state().Sessions, 1)
			}
		})
	}
}
