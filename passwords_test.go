package auth_test

import (
	"context"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"golang.org/x/text/unicode/norm"

	"github.com/truekeel/auth"
	"github.com/truekeel/auth/breach"
	"github.com/truekeel/auth/fault"
)

const knownWeak = "Password is known to be weak and easy to guess, please choose a different one."

// leaks is a range API that knows leaked passwords.
type leaks struct {
	*httptest.Server
	mu     sync.Mutex
	leaked []string
	down   bool
	asked  []string // method, path and headers of the requests
}

func newLeaks(t testing.TB, leaked ...string) *leaks {
	l := &leaks{leaked: leaked}
	l.Server = httptest.NewServer(l)
	t.Cleanup(l.Close)
	return l
}

func (l *leaks) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asked = append(l.asked, fmt.Sprintf("%s %s padding=%s agent=%s", r.Method, r.URL, r.Header.Get("Add-Padding"), r.UserAgent()))
	if l.down {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	for _, pw := range l.leaked {
		if name := sha1Name(pw); r.URL.Path == "/range/"+name[:5] {
			fmt.Fprintf(w, "%s:42\r\n", name[5:])
		}
	}
	fmt.Fprintf(w, "%035X:0", 1)
}

func sha1Name(pw string) string {
	sum := sha1.Sum([]byte(pw))
	return strings.ToUpper(hex.EncodeToString(sum[:]))
}

// requests gives what was asked since the last time.
func (l *leaks) requests() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	asked := l.asked
	l.asked = nil
	return asked
}

func (l *leaks) set(change func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	change()
}

// option lets an Auth ask.
func (l *leaks) option(t testing.TB, change ...func(*breach.HIBPConfig)) auth.Option {
	t.Helper()
	c := breach.HIBPConfig{BaseURL: l.URL, UserAgent: "acme"}
	for _, f := range change {
		f(&c)
	}
	h, err := breach.NewHIBP(c)
	require.NoError(t, err)
	return auth.WithLeakedPasswords(h)
}

func (a answer) wantWeak(reasons ...any) answer {
	a.t.Helper()
	a.wantFault(http.StatusUnprocessableEntity, "weak_password")
	require.Equal(a.t, map[string]any{"reasons": reasons}, a.object()["weak_password"])
	return a
}

// Each place where people choose a password, known addresses and unknown ones alike,
// sends five digits of its hash and nothing else.
func TestASVS_6_2_12_LeakedPasswords(t *testing.T) {
	const leaked = "Tr0ub4dor&3"
	l := newLeaks(t, leaked)
	d, service := openService(t, l.option(t))
	request := "GET /range/" + sha1Name(leaked)[:5] + " padding=true agent=acme"
	p := d.User("ada@example.com", func(n *auth.NewUser) { n.Password = leaked })
	require.Empty(t, l.requests(), "a program's choice")

	places := map[string]func(pw string) answer{
		"sign-up": func(pw string) answer {
			return d.post("/signup", map[string]any{"email": "eve@example.com", "password": pw})
		},
		"sign-up, known": func(pw string) answer {
			return d.post("/signup", map[string]any{"email": "ada@example.com", "password": pw})
		},
		"user": func(pw string) answer { return d.put(p.AccessToken, map[string]any{"password": pw}) },
		"administrator, change": func(pw string) answer {
			return d.send("PUT", "/admin/users/"+p.User.ID.String(), map[string]any{"password": pw}, service)
		},
		"administrator, link": func(pw string) answer {
			return d.post("/admin/generate_link", map[string]any{"type": "signup", "email": "eve@example.com", "password": pw}, service)
		},
		"verify": func(pw string) answer {
			d.post("/invite", map[string]any{"email": "bob@example.com"}, service).want(http.StatusOK, nil)
			d.Clock.Advance(2 * time.Minute)
			code := d.LastMail("bob@example.com").Code()
			return d.post("/verify", map[string]any{"type": "invite", "email": "bob@example.com", "token": code, "password": pw})
		},
	}
	for _, name := range slices.Sorted(func(yield func(string) bool) {
		for n := range places {
			if !yield(n) {
				return
			}
		}
	}) {
		a := places[name](leaked).wantWeak("pwned")
		require.Equal(t, knownWeak, a.object()["msg"], name)
		require.Equal(t, []string{request}, l.requests(), name)
		places[name]("short").wantWeak("length")
		require.Empty(t, l.requests(), "%s: it is refused anyway", name)
	}
	// Of the Keel dialect too, where a wrong password of a known address looks like an
	// unknown address.
	for _, email := range []string{"ada@example.com", "eve@example.com"} {
		a := d.json("/token", fieldsOf{"grant_type": "password", "username": email, "password": "another l3aked one"})
		require.Equal(t, http.StatusUnauthorized, a.Status, "body: %s", a.Body)
		require.Len(t, l.requests(), 1, email)
	}
	d.post("/admin/users", map[string]any{"email": "made@example.com", "password": leaked}, service).want(http.StatusOK, nil)
	require.Empty(t, l.requests(), "the contract doesn't check what an administrator gives")
}

// Who has a leaked password is told at the sign-in, and let in. What isn't his password
// is asked of nobody.
func TestLeakedPasswordAtSignIn(t *testing.T) {
	l := newLeaks(t, goodPassword)
	var log sink
	d := open(t, l.option(t), auth.WithLeakCheckRequired(), auth.WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
	d.User("ada@example.com", func(n *auth.NewUser) { n.Password = goodPassword })
	require.Equal(t, map[string]any{"message": knownWeak, "reasons": []any{"pwned"}}, d.signIn("ada@example.com").Weak)
	require.Len(t, l.requests(), 1)

	for _, email := range []string{"ada@example.com", "eve@example.com"} {
		d.password(email, "wrong wrong wrong").wantFault(http.StatusBadRequest, "invalid_credentials")
	}
	d.json("/token", fieldsOf{"grant_type": "password", "username": "ada@example.com", "password": goodPassword}).want(http.StatusOK, nil)
	require.Empty(t, l.requests())

	l.set(func() { l.down = true })
	for range 3 {
		require.Nil(t, d.signIn("ada@example.com").Weak, "it never fails")
	}
	require.Len(t, l.requests(), 1, "who just failed isn't asked again at once")
	require.Equal(t, 1, strings.Count(log.String(), "checked against known leaks"))
	for _, secret := range []string{goodPassword, sha1Name(goodPassword)[:5], sha1Name(goodPassword)[5:], l.URL} {
		require.NotContains(t, log.String(), secret)
	}
	l.set(func() { l.down = false })
	d.Clock.Advance(2 * time.Minute)
	require.NotNil(t, d.signIn("ada@example.com").Weak)
}

func TestWeakPasswordAtSignIn(t *testing.T) {
	d := open(t, auth.WithPasswordLength(10), auth.WithPasswordCharacters("0123456789"))
	for email, c := range map[string]struct {
		password string
		reasons  []any
	}{
		"ada@example.com":      {"sunshine", []any{"length", "characters", "pwned"}},
		"bob@example.com":      {"superman 10", nil},
		"caroline@example.com": {"caroline1828", []any{"pwned"}},
	} {
		d.User(email, func(n *auth.NewUser) { n.Password = c.password })
		var in tokenAnswer
		d.password(email, c.password).want(http.StatusOK, &in)
		if c.reasons == nil {
			require.Nil(t, in.Weak)
			continue
		}
		require.Equal(t, c.reasons, in.Weak.(map[string]any)["reasons"])
	}
}

func TestLeakServiceThatIsDown(t *testing.T) {
	const leaked = "Tr0ub4dor&3"
	signUp := func(d *door, email, pw string) answer {
		return d.post("/signup", map[string]any{"email": email, "password": pw})
	}
	for name, closed := range map[string]bool{"open": false, "closed": true} {
		t.Run(name, func(t *testing.T) {
			l := newLeaks(t, leaked)
			options := []auth.Option{l.option(t, func(c *breach.HIBPConfig) { c.Bloom = &breach.BloomConfig{} })}
			if closed {
				options = append(options, auth.WithLeakCheckRequired())
			}
			d := open(t, options...)
			signUp(d, "ada@example.com", leaked).wantWeak("pwned")
			l.set(func() { l.down = true })
			signUp(d, "ada@example.com", leaked).wantWeak("pwned") // the filter knows it
			a := signUp(d, "ada@example.com", goodPassword)
			b := signUp(d, "bob@example.com", "an0ther l3aked one")
			if !closed {
				a.want(http.StatusOK, nil)
				b.want(http.StatusOK, nil)
				return
			}
			for _, a := range []answer{a, b} {
				a.wantFault(http.StatusServiceUnavailable, "service_unavailable")
				require.Equal(t, "30", a.Header.Get("Retry-After"))
			}
			require.Empty(t, d.accounts())
		})
	}
}

// A checker of the host's own.
func TestLeakCheckerOfTheHost(t *testing.T) {
	d := open(t, auth.WithLeakedPasswords(breach.Func(func(_ context.Context, pw string) (bool, error) {
		if pw == "broken broken" {
			return false, errors.New("no file")
		}
		return pw == goodPassword, nil
	})))
	d.post("/signup", map[string]any{"email": "ada@example.com", "password": goodPassword}).wantWeak("pwned")
	d.post("/signup", map[string]any{"email": "ada@example.com", "password": "broken broken"}).want(http.StatusOK, nil)
}

// The three thousand most common passwords, and the words of the context, are refused.
func TestASVS_6_2_4_CommonPasswords(t *testing.T) {
	weak := []string{"password", "Password1", "QWERTYUIOP", "iloveyou", "12345678", "baseball", "ada.lovelace", "Ada.Lovelace1815", "ada.lovelace@example.com", "acmecorp", "acmecorp.example"}
	site := auth.WithSiteURL("https://www.acmecorp.example")
	d := open(t, site)
	for _, pw := range weak {
		d.post("/signup", map[string]any{"email": "ada.lovelace@example.com", "password": pw}).wantWeak("pwned")
	}
	require.Empty(t, d.accounts())
	_, err := d.Auth.HashPassword(t.Context(), "password")
	require.Equal(t, fault.WeakPassword, fault.CodeOf(err))

	d = open(t, site, auth.WithoutCommonPasswordCheck(), auth.WithAutoConfirm(true))
	for n, pw := range weak {
		d.post("/signup", map[string]any{"email": fmt.Sprintf("%d.ada@example.com", n), "password": pw}).want(http.StatusOK, nil)
	}
}

func openNIST(t *testing.T, opts ...auth.Option) *door {
	t.Helper()
	return open(t, append([]auth.Option{auth.WithNISTPasswords(), auth.WithArgon2id(64, 1, 1)}, opts...)...)
}

// NIST SP 800-63B-4, 3.1.1.2.
func TestNISTPasswords(t *testing.T) {
	d := openNIST(t, auth.WithAutoConfirm(true))
	signUp := func(pw string) answer {
		return d.post("/signup", map[string]any{"email": uuid.NewString() + "@example.com", "password": pw})
	}
	a := signUp("fourteen chars").wantWeak("length")
	require.Equal(t, "Password should be at least 15 characters.", a.object()["msg"])
	for _, pw := range []string{
		"fifteen letters", "aaaaaaaaaaaaaaa", strings.Repeat("x", 73), strings.Repeat("🔑", 256), "               ", "пароль из пятнадцати",
	} {
		signUp(pw).want(http.StatusOK, nil)
	}
	signUp(strings.Repeat("x", 257)).wantFault(http.StatusBadRequest, "validation_failed")
	signUp("QWERTY123456789").wantWeak("pwned")
	hash, err := d.Auth.HashPassword(t.Context(), "fifteen letters")
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(hash, "$argon2id$"), hash)

	a = d.post("/signup", map[string]any{"email": "the.very.long.name@example.com", "password": "The.Very.Long.Name"})
	a.wantWeak("pwned")
	// Every byte counts.
	long := strings.Repeat("0123456789abcdef", 16)
	d.User("ada@example.com", func(n *auth.NewUser) { n.Password = long })
	d.password("ada@example.com", long).want(http.StatusOK, nil)
	d.password("ada@example.com", long[:255]+"x").wantFault(http.StatusBadRequest, "invalid_credentials")
}

// However a keyboard composes it, it is one password; who has one from before the preset
// keeps it.
func TestNISTPasswordsAreNormalized(t *testing.T) {
	const typed = "cafe\u0301 \ufb01sh and chips"
	s := fresh(t)
	before := open(t, auth.WithStore(s), auth.WithPasswordLength(8))
	before.User("ada@example.com", func(n *auth.NewUser) { n.Password = typed })
	before.User("bob@example.com", func(n *auth.NewUser) { n.Password = "short one" })
	before.password("ada@example.com", norm.NFKC.String(typed)).wantFault(http.StatusBadRequest, "invalid_credentials")

	d := openNIST(t, auth.WithStore(s), auth.WithClock(before.Clock.Now))
	d.password("ada@example.com", norm.NFKC.String(typed)).wantFault(http.StatusBadRequest, "invalid_credentials")
	d.password("ada@example.com", typed).want(http.StatusOK, nil)
	for _, form := range []norm.Form{norm.NFKC, norm.NFKD, norm.NFC, norm.NFD} {
		d.password("ada@example.com", form.String(typed)).want(http.StatusOK, nil)
	}
	var in tokenAnswer
	d.password("bob@example.com", "short one").want(http.StatusOK, &in)
	require.Equal(t, []any{"length"}, in.Weak.(map[string]any)["reasons"])
	// The same password in another form isn't a new one.
	d.password("ada@example.com", typed).want(http.StatusOK, &in)
	d.put(in.AccessToken, map[string]any{"password": norm.NFD.String(typed)}).wantFault(http.StatusUnprocessableEntity, "same_password")
}

// An address without an account costs as many hashes as one with, whatever is typed.
func TestNISTSignInTellsNothing(t *testing.T) {
	d := openNIST(t)
	d.User("ada@example.com", func(n *auth.NewUser) { n.Password = "a good long password" })
	for typed, hashes := range map[string]uint64{"not the right one": 1, "not the ri\ufb01ht one": 2, strings.Repeat("\ufdfa", 200): 2} {
		before := d.Auth.Hashes()
		known := d.password("ada@example.com", typed)
		require.Equal(t, hashes, d.Auth.Hashes()-before)
		unknown := d.password("eve@example.com", typed)
		require.Equal(t, 2*hashes, d.Auth.Hashes()-before)
		known.wantFault(http.StatusBadRequest, "invalid_credentials")
		require.Equal(t, string(known.Body), string(unknown.Body))
	}
}
