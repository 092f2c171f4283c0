package auth_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/truekeel/auth"
	"github.com/truekeel/auth/authtest"
	"github.com/truekeel/auth/limit"
	"github.com/truekeel/auth/store"
)

// ---- the budget of guesses

func TestSixtyWrongGuessesAndThenTheRightCode(t *testing.T) {
	d := open(t)
	d.confirmed("ada@example.com")
	d.post("/otp", map[string]any{"email": "ada@example.com"}).want(http.StatusOK, nil)
	m := d.LastMail("ada@example.com")
	for i := range 60 {
		guess := fmt.Sprintf("%06d", i)
		if guess == m.Code() {
			guess = "999999"
		}
		d.byCode("email", "ada@example.com", guess).wantCodeError()
	}
	d.byCode("email", "ada@example.com", m.Code()).wantCodeError()
	// The link of the same mail and the password stay good.
	d.press(m.Link()).landsWithTokens("magiclink")
	d.signIn("ada@example.com")
}

func TestFiveWrongGuessesKillACode(t *testing.T) {
	for _, wrong := range []int{4, 5} {
		d := open(t)
		d.post("/signup", map[string]any{"email": "ada@example.com", "password": goodPassword}).want(http.StatusOK, nil)
		m := d.LastMail("ada@example.com")
		for range wrong {
			d.byCode("signup", "ada@example.com", other(m.Code())).wantCodeError()
		}
		a := d.byCode("signup", "ada@example.com", m.Code())
		if wrong == 4 {
			a.want(http.StatusOK, nil)
			continue
		}
		a.wantCodeError()
		d.pass()
		d.post("/resend", map[string]any{"type": "signup", "email": "ada@example.com"}).want(http.StatusOK, nil)
		d.byCode("signup", "ada@example.com", d.LastMail("ada@example.com").Code()).want(http.StatusOK, nil)
	}
}

// Twenty an hour end code entry for the address, whatever new codes are asked for, in
// whichever process.
func TestGuessesOfAnAddressInAnHour(t *testing.T) {
	for _, restart := range []bool{false, true} {
		for _, known := range []bool{true, false} {
			t.Run(fmt.Sprintf("restart %t, known %t", restart, known), func(t *testing.T) {
				s, clock := fresh(t), authtest.NewClock()
				start := func() *door { return open(t, auth.WithStore(s), auth.WithClock(clock.Now)) }
				d := start()
				if known {
					d.confirmed("ada@example.com")
				}
				for range 5 {
					code := "000000"
					if known {
						d.post("/otp", map[string]any{"email": "ada@example.com"}).want(http.StatusOK, nil)
						code = d.LastMail("ada@example.com").Code()
					}
					for range 4 {
						d.byCode("email", "ada@example.com", other(code)).wantCodeError()
					}
					clock.Advance(time.Minute)
					if restart {
						require.NoError(t, d.Auth.Close(t.Context())) // else it would go on delivering, into its own mailbox
						d = start()
					}
				}
				if !known {
					d.confirmed("ada@example.com")
				}
				d.post("/otp", map[string]any{"email": "ada@example.com"}).want(http.StatusOK, nil)
				m := d.LastMail("ada@example.com")
				d.byCode("email", "ada@example.com", m.Code()).wantCodeError()
				d.press(m.Link()).landsWithTokens("magiclink")
				clock.Advance(55 * time.Minute) // an hour after the first guess
				d.post("/otp", map[string]any{"email": "ada@example.com"}).want(http.StatusOK, nil)
				d.byCode("email", "ada@example.com", d.LastMail("ada@example.com").Code()).want(http.StatusOK, nil)
			})
		}
	}
}

// Guesses under every type go against one budget.
func TestGuessesUnderAnyType(t *testing.T) {
	d := open(t, auth.WithCodes(auth.Codes{MaxGuesses: 1000}))
	d.confirmed("ada@example.com")
	for i := range 20 {
		kind := []string{"signup", "recovery", "email", "magiclink", "email_change", "invite", "nonsense"}[i%7]
		d.byCode(kind, "ADA@example.com", "000000").wantCodeError()
	}
	d.post("/otp", map[string]any{"email": "ada@example.com"}).want(http.StatusOK, nil)
	d.byCode("email", "ada@example.com", d.LastMail("ada@example.com").Code()).wantCodeError()
}

func TestRightCodeForgivesTheWrongOnes(t *testing.T) {
	d := open(t, auth.WithMailFrequency(0))
	d.confirmed("ada@example.com")
	for range 8 {
		d.post("/otp", map[string]any{"email": "ada@example.com"}).want(http.StatusOK, nil)
		code := d.LastMail("ada@example.com").Code()
		for range 4 {
			d.byCode("email", "ada@example.com", other(code)).wantCodeError()
		}
		d.byCode("email", "ada@example.com", code).want(http.StatusOK, nil)
	}
}

func TestRacingGuessesStayInTheBudget(t *testing.T) {
	s := fresh(t)
	d := open(t, auth.WithStore(s))
	acc := d.confirmed("ada@example.com")
	d.post("/otp", map[string]any{"email": "ada@example.com"}).want(http.StatusOK, nil)
	code := d.LastMail("ada@example.com").Code()
	inParallel(t, 20, 60, func() bool { d.byCode("email", "ada@example.com", other(code)).wantCodeError(); return false })
	row, err := s.OneTimeTokenOf(t.Context(), acc.ID, store.PurposeMagicLink)
	require.NoError(t, err)
	require.Equal(t, 5, row.Attempts)
	d.byCode("email", "ada@example.com", code).wantCodeError()
}

// ---- how often an address gets a mail

func TestMailFrequency(t *testing.T) {
	for name, ask := range asks() {
		if ask.path == "/signup" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			d := open(t, auth.WithMailFrequency(10*time.Minute))
			d.confirmed("known@example.com")
			for _, email := range []string{"known@example.com", "unknown@example.com"} {
				d.post(ask.path, ask.body(email)).want(http.StatusOK, nil)
				d.Clock.Advance(90 * time.Second)
				a := d.post(ask.path, ask.body(email)).wantFault(http.StatusTooManyRequests, "over_email_send_rate_limit")
				require.Equal(t, "For security purposes, you can only request this after 510 seconds.", a.object()["msg"])
				require.Equal(t, "510", a.Header.Get("Retry-After"))
				d.Clock.Advance(510 * time.Second)
				d.post(ask.path, ask.body(email)).want(http.StatusOK, nil)
			}
		})
	}
}

func TestMailFrequencyByKind(t *testing.T) {
	d := open(t)
	d.confirmed("ada@example.com")
	body := map[string]any{"email": "ada@example.com"}
	d.post("/recover", body).want(http.StatusOK, nil)
	// Recovery and magic link share a time stamp, and so a limit.
	d.post("/otp", body).wantFault(http.StatusTooManyRequests, "over_email_send_rate_limit")
	d.post("/magiclink", body).wantFault(http.StatusTooManyRequests, "over_email_send_rate_limit")
	// Another kind, another address.
	d.post("/resend", map[string]any{"email": "ada@example.com", "type": "signup"}).want(http.StatusOK, nil)
	d.post("/recover", map[string]any{"email": "bob@example.com"}).want(http.StatusOK, nil)

	off := open(t, auth.WithMailFrequency(0))
	off.confirmed("ada@example.com")
	for range 3 {
		off.post("/recover", body).want(http.StatusOK, nil)
	}
	require.Len(t, off.mailsTo("ada@example.com"), 3)
}

// A sign-up too soon is answered as any other and sends nothing.
func TestSignUpTooSoon(t *testing.T) {
	d := open(t)
	for range 3 {
		d.post("/signup", map[string]any{"email": "ada@example.com", "password": goodPassword}).want(http.StatusOK, nil)
	}
	require.Len(t, d.mailsTo("ada@example.com"), 1)
	d.byCode("signup", "ada@example.com", d.LastMail("ada@example.com").Code()).want(http.StatusOK, nil)
	d.pass()
	for range 3 {
		d.post("/signup", map[string]any{"email": "ada@example.com", "password": goodPassword}).want(http.StatusOK, nil)
	}
	require.Len(t, d.mailsTo("ada@example.com"), 2, "one more says that there is an account")
}

// ---- how many mails the server sends

func TestMailQuota(t *testing.T) {
	d := open(t, auth.WithLimits(auth.Limits{Mails: limit.Window(3, time.Hour)}))
	d.confirmed("known@example.com")
	d.post("/recover", map[string]any{"email": "known@example.com"}).want(http.StatusOK, nil)
	// Who comes too soon takes nothing from the quota.
	for range 10 {
		d.post("/recover", map[string]any{"email": "known@example.com"}).wantFault(http.StatusTooManyRequests, "over_email_send_rate_limit")
	}
	d.post("/recover", map[string]any{"email": "unknown@example.com"}).want(http.StatusOK, nil)
	d.post("/signup", map[string]any{"email": "new@example.com", "password": goodPassword}).want(http.StatusOK, nil)
	for _, c := range []struct{ path, email string }{
		{"/recover", "known2@example.com"}, {"/otp", "unknown2@example.com"}, {"/signup", "new2@example.com"},
		{"/magiclink", "known2@example.com"}, {"/resend", "new@example.com"},
	} {
		d.pass()
		a := d.post(c.path, map[string]any{"email": c.email, "password": goodPassword, "type": "signup"}).wantFault(http.StatusTooManyRequests, "over_email_send_rate_limit")
		require.Equal(t, "email rate limit exceeded", a.object()["msg"])
		seconds, err := strconv.Atoi(a.Header.Get("Retry-After"))
		require.NoError(t, err)
		require.Greater(t, seconds, 60)
	}
	d.Clock.Advance(time.Hour)
	d.post("/recover", map[string]any{"email": "known@example.com"}).want(http.StatusOK, nil)
}

// ---- how often a client address asks

// from is the header of a client behind the proxy.
func from(ip string) header { return header{"X-Forwarded-For", ip} }

func loopback() auth.Option {
	return auth.WithTrustedProxies(netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128"))
}

// knock sends one request of a client to a door; whatever it is answered, it counts.
var doors = map[string]func(d *door, n int, client header) answer{
	"signup": func(d *door, n int, c header) answer {
		return d.post("/signup", map[string]any{"email": fmt.Sprintf("a%d@example.com", n), "password": "short"}, c)
	},
	"token": func(d *door, _ int, c header) answer {
		return d.post("/token?grant_type=refresh_token", map[string]any{"refresh_token": "x"}, c)
	},
	"pkce": func(d *door, _ int, c header) answer {
		return d.post("/token?grant_type=pkce", map[string]any{"auth_code": "x", "code_verifier": "y"}, c)
	},
	"id_token": func(d *door, _ int, c header) answer {
		return d.post("/token?grant_type=id_token", map[string]any{"provider": "acme", "id_token": "x"}, c)
	},
	"authorize": func(d *door, _ int, c header) answer {
		return d.send(http.MethodGet, "/authorize?provider=acme", nil, c)
	},
	"verify": func(d *door, _ int, c header) answer {
		return d.post("/verify", map[string]any{"type": "email", "token_hash": "x"}, c)
	},
	"verify form": func(d *door, _ int, c header) answer {
		return d.post("/verify", "type=email&token=x", c, header{"Content-Type", "application/x-www-form-urlencoded"})
	},
	"otp": func(d *door, n int, c header) answer {
		return d.post("/otp", map[string]any{"email": fmt.Sprintf("b%d@example.com", n)}, c)
	},
	"magiclink": func(d *door, n int, c header) answer {
		return d.post("/magiclink", map[string]any{"email": fmt.Sprintf("c%d@example.com", n)}, c)
	},
	"recover": func(d *door, n int, c header) answer {
		return d.post("/recover", map[string]any{"email": fmt.Sprintf("d%d@example.com", n)}, c)
	},
	"resend": func(d *door, n int, c header) answer {
		return d.post("/resend", map[string]any{"type": "signup", "email": fmt.Sprintf("e%d@example.com", n)}, c)
	},
}

func TestClientLimits(t *testing.T) {
	two := limit.Window(2, 5*time.Minute)
	for name, knock := range doors {
		t.Run(name, func(t *testing.T) {
			d := open(t, loopback(), auth.WithSiteURL("http://localhost:3000"), auth.WithLimits(auth.Limits{Token: two, Verify: two, OTP: two}))
			n := 0
			passes := func(client string) bool {
				n++
				a := knock(d, n, from(client))
				if a.Status != http.StatusTooManyRequests {
					return true
				}
				a.wantFault(http.StatusTooManyRequests, "over_request_rate_limit")
				require.Equal(t, "Request rate limit reached", a.object()["msg"])
				require.Equal(t, "300", a.Header.Get("Retry-After"))
				return false
			}
			require.True(t, passes("203.0.113.5"))
			require.True(t, passes("203.0.113.5"))
			require.False(t, passes("203.0.113.5"))
			// What a client writes itself stands further left.
			require.False(t, passes("198.51.100.1, 203.0.113.5"))
			require.False(t, passes("198.51.100.2, 203.0.113.5, 127.0.0.1"))
			require.True(t, passes("203.0.113.6"))
			// Who has an IPv6 network moves about in it.
			require.True(t, passes("2001:db8:1:2::1"))
			require.True(t, passes("2001:db8:1:2:ffff::2"))
			require.False(t, passes("2001:db8:1:2::3"))
			require.True(t, passes("2001:db8:1:3::1"))
			// No client named, no limit: everybody would share it.
			for range 5 {
				require.True(t, passes(""))
			}
			d.Clock.Advance(5 * time.Minute)
			require.True(t, passes("203.0.113.5"))
		})
	}
}

// The door of a signed-in user's changes opens after his token was checked.
func TestClientLimitOfChanges(t *testing.T) {
	d := open(t, loopback(), auth.WithSiteURL("http://localhost:3000"), auth.WithLimits(auth.Limits{OTP: limit.Window(1, time.Hour)}))
	d.confirmed("ada@example.com")
	in := d.signIn("ada@example.com")
	change := func(token string) answer {
		return d.send(http.MethodPut, "/user", map[string]any{"data": map[string]any{"a": 1}}, bearer(token), from("203.0.113.5"))
	}
	for range 3 {
		change("x").wantFault(http.StatusForbidden, "bad_jwt")
	}
	change(in.AccessToken).want(http.StatusOK, nil)
	change(in.AccessToken).wantFault(http.StatusTooManyRequests, "over_request_rate_limit")
}

// Without trusted proxies a header changes nothing, and a private peer isn't limited.
func TestClientLimitsIgnoreStrangersHeaders(t *testing.T) {
	d := open(t, auth.WithSiteURL("http://localhost:3000"), auth.WithLimits(auth.Limits{Verify: limit.Window(1, time.Hour)}))
	for range 5 {
		d.post("/verify", map[string]any{"type": "email", "token_hash": "x"}, from("203.0.113.5")).wantLinkError()
	}
}

// The limit of GET /verify with direct links is answered here: there is no result yet
// that could be carried elsewhere.
func TestClientLimitOfDirectLinks(t *testing.T) {
	d := open(t, loopback(), auth.WithSiteURL("http://localhost:3000"), auth.WithDirectLinks(), auth.WithLimits(auth.Limits{Verify: limit.Window(1, time.Hour)}))
	d.send(http.MethodGet, "/verify?type=signup&token=x", nil, from("203.0.113.5")).landsWithLinkError()
	d.send(http.MethodGet, "/verify?type=signup&token=x", nil, from("203.0.113.5")).wantFault(http.StatusTooManyRequests, "over_request_rate_limit")
	d.post("/verify", map[string]any{"type": "email", "token_hash": "x"}, from("203.0.113.5")).wantFault(http.StatusTooManyRequests, "over_request_rate_limit")
}

// sharedLimiter is a limiter that several servers use: here a map, there a database.
type sharedLimiter struct {
	mu   sync.Mutex
	seen map[string]int
	err  error
}

func (l *sharedLimiter) Take(_ context.Context, key string, r limit.Rate) (limit.Decision, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return limit.Decision{}, l.err
	}
	l.seen[key]++
	if l.seen[key] > r.Events {
		return limit.Decision{RetryAfter: 7 * time.Second}, nil
	}
	return limit.Decision{Allowed: true}, nil
}

func TestSharedLimiter(t *testing.T) {
	l := &sharedLimiter{seen: map[string]int{}}
	opts := []auth.Option{
		loopback(), auth.WithSiteURL("http://localhost:3000"), auth.WithLimiter(l),
		auth.WithLimits(auth.Limits{Verify: limit.Window(2, time.Hour), Mails: limit.Window(2, time.Hour)}),
	}
	one, two := open(t, opts...), open(t, opts...)
	verify := map[string]any{"type": "email", "token_hash": "x"}
	one.post("/verify", verify, from("203.0.113.5")).wantLinkError()
	two.post("/verify", verify, from("203.0.113.5")).wantLinkError()
	a := one.post("/verify", verify, from("203.0.113.5")).wantFault(http.StatusTooManyRequests, "over_request_rate_limit")
	require.Equal(t, "7", a.Header.Get("Retry-After"))
	require.Equal(t, map[string]int{"verify:203.0.113.5": 3}, l.seen)

	one.post("/recover", map[string]any{"email": "a@example.com"}).want(http.StatusOK, nil)
	two.post("/recover", map[string]any{"email": "b@example.com"}).want(http.StatusOK, nil)
	two.post("/recover", map[string]any{"email": "c@example.com"}).wantFault(http.StatusTooManyRequests, "over_email_send_rate_limit")

	// A limit that can't be checked is kept.
	l.err = errors.New("the secret address of the limiter doesn't answer")
	for name, knock := range doors {
		a := knock(one, 7, from("203.0.113.7")).wantFault(http.StatusServiceUnavailable, "service_unavailable")
		require.NotContains(t, string(a.Body), "secret", name)
		require.Equal(t, "1", a.Header.Get("Retry-After"))
	}
	one.post("/recover", map[string]any{"email": "d@example.com"}).wantFault(http.StatusServiceUnavailable, "service_unavailable")
}
