package providers_test

import (
	"context"
	"net/url"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/truekeel/auth/providers"
	"github.com/truekeel/auth/providers/providertest"
)

// Whatever a provider answers, it is an error of the right kind, and nobody is signed in.
func TestMisbehaviour(t *testing.T) {
	const (
		token   = "token"
		profile = "profile"
	)
	faults := map[string]providertest.Fault{
		"refused": providertest.Refused, "error in 200": providertest.ErrorIn200, "not ok": providertest.NotOK,
		"server error": providertest.ServerError, "html": providertest.HTML, "not json": providertest.NotJSON,
		"empty": providertest.Empty, "other json": providertest.OtherJSON, "huge": providertest.Huge,
		"unreachable": providertest.Unreachable, "redirecting": providertest.Redirecting,
	}
	for _, name := range []string{"github", "slack", "discord", "tiktok", "linear", "facebook", "linkedin", "yahoo", "twitter"} {
		f := load(t, name).Fixture
		places := map[string]string{token: f.Token.URL, profile: f.Calls[len(f.Calls)-1].URL}
		if f.OAuth1 != nil {
			places[token] = f.OAuth1.Access
		}
		for place, address := range places {
			for what, fault := range faults {
				t.Run(name+"/"+place+"/"+what, func(t *testing.T) {
					t.Parallel()
					// The second person of Yahoo's has a thin id token.
					b := setUp(t, name)
					cb := b.visit(1)
					b.server.Break(address, fault)
					id, err := b.finish(cb)
					require.Zero(t, id)
					requireNoSecret(t, err, cb.Params)
					want := providers.ErrExchange
					if place == profile {
						want = providers.ErrProfile
					}
					if fault == providertest.ServerError || fault == providertest.Unreachable {
						want = providers.ErrUnreachable
					}
					require.ErrorIs(t, err, want)
				})
			}
		}
	}
}

func TestProfilesOwnErrorIsKept(t *testing.T) {
	b := setUp(t, "slack")
	cb := b.visit(0)
	b.server.Break(load(t, "slack").Fixture.Calls[0].URL, providertest.NotOK)
	_, err := b.finish(cb)
	var e *providers.Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, "temporarily_broken", e.Code)
}

// Naver says in the profile itself that it is none.
func TestNaverResult(t *testing.T) {
	b := setUp(t, "naver", func(r *record, _ *providers.Config) {
		r.Fixture.People[0].Answers[r.Fixture.Calls[0].URL].(map[string]any)["resultcode"] = "024"
	})
	id, err := b.signIn(0)
	require.ErrorIs(t, err, providers.ErrNoSubject)
	require.Zero(t, id)
}

func TestProvidersOwnErrorIsKept(t *testing.T) {
	for _, fault := range []providertest.Fault{providertest.Refused, providertest.ErrorIn200} {
		b := setUp(t, "discord")
		cb := b.visit(0)
		b.server.Break(load(t, "discord").Fixture.Token.URL, fault)
		_, err := b.finish(cb)
		var e *providers.Error
		require.ErrorAs(t, err, &e)
		require.Equal(t, "temporarily_broken", e.Code)
		require.Equal(t, "broken on demand", e.Description)
	}
}

// A socket that hangs is given up after ten seconds, or when the caller goes away.
func TestHungSockets(t *testing.T) {
	for _, place := range []string{"token", "profile", "discovery", "keys"} {
		t.Run(place, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := setUp(t, "huggingface")
				f := load(t, "huggingface").Fixture
				cb := b.visit(1)
				b.clock.advance(2 * time.Hour) // what was discovered is old by now
				switch place {
				case "token":
					b.server.Break(f.Token.URL, providertest.Hang)
				case "profile":
					b.server.Break(f.Calls[0].URL, providertest.Hang)
				case "keys":
					b.server.BreakKeys(providertest.Hang)
				case "discovery":
					b = setUp(t, "huggingface")
					b.server.BreakDiscovery(providertest.Hang)
				}
				start := time.Now()
				_, err := b.finish(cb)
				require.ErrorIs(t, err, providers.ErrUnreachable)
				require.Equal(t, 10*time.Second, time.Since(start))

				ctx, cancel := context.WithTimeout(context.Background(), time.Second)
				defer cancel()
				start = time.Now()
				_, err = b.p.Finish(ctx, cb)
				require.Error(t, err)
				require.LessOrEqual(t, time.Since(start), time.Second)
				b.out.Close() // else the bubble sees the fetch go on
				synctest.Wait()
			})
		})
	}
}

func TestUnreachableAtTheStart(t *testing.T) {
	b := setUp(t, "google")
	for _, fault := range []providertest.Fault{
		providertest.Unreachable, providertest.ServerError, providertest.HTML, providertest.Huge, providertest.Empty,
		providertest.Redirecting,
	} {
		b.server.BreakDiscovery(fault)
		_, err := b.begin()
		require.ErrorIs(t, err, providers.ErrUnreachable)
	}
	b.server.BreakDiscovery(providertest.Working)
	_, err := b.begin()
	require.NoError(t, err, "a failure is not remembered")

	tw := setUp(t, "twitter")
	tw.server.Break("https://api.twitter.com/oauth/request_token", providertest.Unreachable)
	_, err = tw.begin()
	require.ErrorIs(t, err, providers.ErrUnreachable)
	tw.server.Break("https://api.twitter.com/oauth/request_token", providertest.Refused)
	_, err = tw.begin()
	require.ErrorIs(t, err, providers.ErrExchange)
}

// One dead provider doesn't trouble another.
func TestDeadNeighbour(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := providertest.New(load(t, "google").Fixture, providertest.Options{})
		out := providers.NewOutbound(server.Client(), newClock().now)
		google, err := providers.Connect(providers.Google(providertest.ClientID, "s"), out)
		require.NoError(t, err)
		gitHub, err := providers.Connect(providers.GitHub(providertest.ClientID, "s"), out)
		require.NoError(t, err)
		server.BreakDiscovery(providertest.Hang)
		go func() { _, _ = google.Begin(t.Context(), providers.Begin{Verifier: verifier}) }()
		synctest.Wait()
		start := time.Now()
		_, err = gitHub.Begin(t.Context(), providers.Begin{Verifier: verifier})
		require.NoError(t, err)
		require.Zero(t, time.Since(start))
		out.Close()
		synctest.Wait()
	})
}

// The answer of another provider's callback, or one that says so, is refused.
func TestMixUp(t *testing.T) {
	b := setUp(t, "google")
	cb := b.visit(0)
	cb.Params.Set("iss", "https://evil.example")
	_, err := b.finish(cb)
	require.ErrorIs(t, err, providers.ErrRefused)

	cb = b.visit(0)
	cb.Params.Set("iss", "https://accounts.google.com")
	_, err = b.finish(cb)
	require.NoError(t, err)
}

func TestForeignTextIsBounded(t *testing.T) {
	b := setUp(t, "github")
	long := string(make([]byte, 10_000))
	_, err := b.finish(providers.Callback{
		Params: url.Values{"error": {"e\xff" + long}, "error_description": {"d" + long}}, Verifier: verifier,
	})
	var e *providers.Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, "e", e.Code)
	require.Equal(t, "d", e.Description)
}
