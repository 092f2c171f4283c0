package auth_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/bcrypt"

	"github.com/truekeel/auth"
)

// measured is an Auth as a service runs it: on a file, with the default hash.
type measured struct {
	*auth.Auth
	b *testing.B
}

func openMeasured(b *testing.B, opts ...auth.Option) measured {
	b.Helper()
	onlySQLite(b)
	a, err := auth.New(append([]auth.Option{auth.WithDatabaseFile(filepath.Join(b.TempDir(), "auth.db")), auth.WithoutLimits()}, opts...)...)
	require.NoError(b, err)
	b.Cleanup(func() { _ = a.Close(context.Background()) })
	return measured{a, b}
}

// person makes an account and signs it in.
func (m measured) person(email string) auth.Grant {
	m.b.Helper()
	u, err := m.Users().Create(m.b.Context(), auth.NewUser{Email: email, Password: goodPassword, EmailConfirmed: true})
	require.NoError(m.b, err)
	g, err := m.Users().Issue(m.b.Context(), u.ID, "password")
	require.NoError(m.b, err)
	return g
}

func (m measured) expect(w *httptest.ResponseRecorder) {
	if w.Code != http.StatusOK {
		m.b.Errorf("got %d: %s", w.Code, w.Body)
	}
}

// BenchmarkRequireUser is a request with a token that was seen before.
func BenchmarkRequireUser(b *testing.B) {
	m := openMeasured(b)
	p := m.person("ada@example.com")
	app := m.RequireUser(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if _, ok := auth.UserFrom(r.Context()); !ok {
			b.Error("nobody came through")
		}
	}))
	r := httptest.NewRequest("GET", "http://localhost/", nil)
	r.Header.Set("Authorization", "Bearer "+p.AccessToken)
	w := httptest.NewRecorder()
	b.ReportAllocs()
	for b.Loop() {
		app.ServeHTTP(w, r)
	}
}

// BenchmarkGetUser is GET /user: a verified token, three reads, one JSON.
func BenchmarkGetUser(b *testing.B) {
	m := openMeasured(b)
	p := m.person("ada@example.com")
	b.ReportAllocs()
	for b.Loop() {
		m.expect(ask(m.Auth, "GET", "http://localhost/auth/user", "", bearer(p.AccessToken)))
	}
}

// BenchmarkRefresh rotates refresh tokens, each session its own, as many at once as
// there are processors times sixteen. One transaction and its share of an fsync each.
func BenchmarkRefresh(b *testing.B) {
	m := openMeasured(b)
	var n atomic.Int64
	b.SetParallelism(16)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		u, err := m.Users().Create(context.Background(), auth.NewUser{Email: fmt.Sprintf("%d@example.com", n.Add(1)), EmailConfirmed: true})
		if err != nil {
			b.Error(err)
			return
		}
		g, err := m.Users().Issue(context.Background(), u.ID, "password")
		if err != nil {
			b.Error(err)
			return
		}
		token := g.RefreshToken
		for pb.Next() {
			w := ask(m.Auth, "POST", "http://localhost/auth/token?grant_type=refresh_token", `{"refresh_token":"`+token+`"}`)
			m.expect(w)
			a := answer{t: b, Body: w.Body.Bytes()}
			token, _ = a.object()["refresh_token"].(string)
		}
	})
}

// BenchmarkSignIn measures sign-ins by password, more at a time than there are
// processors, against a bare loop of the same hash on as many goroutines as the gate has
// slots, in the same run. The ratio is the share of the bare throughput that is left.
func BenchmarkSignIn(b *testing.B) {
	m := openMeasured(b)
	m.person("ada@example.com")
	hash, err := m.HashPassword(b.Context(), goodPassword)
	require.NoError(b, err)

	// Short rounds of both take turns, so that what else the machine does at the time
	// falls on both.
	const round = 32
	run := func(goroutines int, f func()) time.Duration {
		var next atomic.Int64
		var wg sync.WaitGroup
		start := time.Now()
		for range goroutines {
			wg.Go(func() {
				for next.Add(1) <= round {
					f()
				}
			})
		}
		wg.Wait()
		return time.Since(start)
	}
	var bare, signIns time.Duration
	for b.Loop() {
		bare += run(runtime.GOMAXPROCS(0), func() {
			if err := bcrypt.CompareHashAndPassword([]byte(hash), []byte(goodPassword)); err != nil {
				b.Error(err)
			}
		})
		signIns += run(16, func() {
			m.expect(ask(m.Auth, "POST", "http://localhost/auth/token?grant_type=password", `{"email":"ada@example.com","password":"`+goodPassword+`"}`))
		})
	}
	b.ReportMetric(0, "ns/op") // would be that of both
	b.ReportMetric(float64(bare)/float64(signIns), "ratio")
	b.ReportMetric(round*float64(b.N)/signIns.Seconds(), "sign-ins/s")
}

// BenchmarkUserDuringSignInFlood measures GET /user alone and while more people sign in
// by password than there are processors. The difference of the 95th percentiles is what
// a flood costs everybody else.
func BenchmarkUserDuringSignInFlood(b *testing.B) {
	m := openMeasured(b)
	p := m.person("ada@example.com")
	srv := httptest.NewServer(m.Auth)
	defer srv.Close()
	client := srv.Client()
	get := func() time.Duration {
		req, err := http.NewRequest("GET", srv.URL+"/auth/user", nil)
		require.NoError(b, err)
		req.Header.Set("Authorization", "Bearer "+p.AccessToken)
		start := time.Now()
		resp, err := client.Do(req)
		took := time.Since(start)
		require.NoError(b, err)
		_ = resp.Body.Close()
		require.Equal(b, http.StatusOK, resp.StatusCode)
		return took
	}
	const samples = 3000
	p95 := func() time.Duration {
		all := make([]time.Duration, samples)
		for i := range all {
			all[i] = get()
		}
		slices.Sort(all)
		return all[samples*95/100]
	}
	var alone, flooded, floodTime time.Duration
	var done int64
	for b.Loop() {
		var signIns atomic.Int64
		alone = p95()
		stop := make(chan struct{})
		var wg sync.WaitGroup
		for range 8 * runtime.GOMAXPROCS(0) {
			wg.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
						m.expect(ask(m.Auth, "POST", "http://localhost/auth/token?grant_type=password", `{"email":"ada@example.com","password":"`+goodPassword+`"}`))
						signIns.Add(1)
					}
				}
			})
		}
		for signIns.Load() == 0 { // until the flood is there
			get()
		}
		start, before := time.Now(), signIns.Load()
		flooded = p95()
		floodTime += time.Since(start)
		done += signIns.Load() - before
		close(stop)
		wg.Wait()
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(alone.Microseconds())/1000, "p95-alone-ms")
	b.ReportMetric(float64(flooded.Microseconds())/1000, "p95-flood-ms")
	b.ReportMetric(float64((flooded-alone).Microseconds())/1000, "difference-ms")
	b.ReportMetric(float64(done)/floodTime.Seconds(), "sign-ins/s")
}

// BenchmarkSignInEvents is what an event webhook adds to a sign-in by the host: nothing
// where there is none, two rows where there is one, whose receiver answers at once.
func BenchmarkSignInEvents(b *testing.B) {
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }))
	b.Cleanup(receiver.Close)
	hook := auth.WithEventWebhook(auth.EventWebhook{URL: receiver.URL, Secrets: []string{eventSecret}})
	for _, c := range []struct {
		name string
		opts []auth.Option
	}{{"without", nil}, {"with", []auth.Option{hook}}} {
		b.Run(c.name, func(b *testing.B) {
			m := openMeasured(b, c.opts...)
			var users []auth.Account
			for n := range 200 {
				u, err := m.Users().Create(b.Context(), auth.NewUser{Email: fmt.Sprintf("u%d@example.com", n)})
				require.NoError(b, err)
				users = append(users, u)
			}
			require.NoError(b, m.Deliver(b.Context()))
			n := 0
			for b.Loop() {
				n++
				if _, err := m.Users().Issue(b.Context(), users[n%len(users)].ID, "host"); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
