package process_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/require"

	"github.com/truekeel/auth"
	"github.com/truekeel/auth/store"
)

// A process with an event webhook is told by its environment where the receiver is and how
// many users it is to change how often. It makes them, changes each in turn, prints the
// number of changes now and then, and goes on where a process before it was killed.
const hookVar, usersVar, stepsVar = "AUTH_PROCESS_TEST_HOOK", "AUTH_PROCESS_TEST_USERS", "AUTH_PROCESS_TEST_STEPS"

const hookSecret = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="

// produce is the life of such a process: it ends when its standard input does.
func produce() error {
	users, err := strconv.Atoi(os.Getenv(usersVar))
	if err != nil {
		return err
	}
	steps, err := strconv.Atoi(os.Getenv(stepsVar))
	if err != nil {
		return err
	}
	ahead, err := time.ParseDuration(os.Getenv(aheadVar))
	if err != nil {
		return err
	}
	a, err := auth.New(
		auth.WithDatabaseFile(os.Getenv(fileVar)), auth.WithoutLimits(), auth.WithoutAuditLog(),
		auth.WithClock(func() time.Time { return time.Now().Add(ahead) }),
		auth.WithEventWebhook(auth.EventWebhook{
			URL: os.Getenv(hookVar), Secrets: []string{hookSecret}, Events: []auth.EventType{auth.EventUserCreated, auth.EventUserUpdated},
		}),
	)
	if err != nil {
		return err
	}
	fmt.Println("ready")
	var wg sync.WaitGroup
	const hands = 16
	failed := make([]error, hands)
	for h := range hands {
		wg.Go(func() {
			for n := h; n < users; n += hands {
				failed[h] = errors.Join(failed[h], advance(a, fmt.Sprintf("u%d@example.com", n), steps))
			}
		})
	}
	wg.Wait()
	if err := errors.Join(failed...); err != nil {
		return err
	}
	fmt.Println("done")
	_, _ = io.Copy(io.Discard, os.Stdin)
	return a.Close(context.Background())
}

// advance makes a user's remaining events: the first when he is made, each other by a
// change that says its number.
func advance(a *auth.Auth, email string, steps int) error {
	ctx := context.Background()
	acc, err := a.Users().FindByEmail(ctx, email)
	if err != nil {
		if acc, err = a.Users().Create(ctx, auth.NewUser{Email: email, UserMetadata: store.MakeObject(map[string]any{"n": 1})}); err != nil {
			return err
		}
	}
	var n int
	acc.UserMetadata.Decode("n", &n)
	for n++; n <= steps; n++ {
		if _, err := a.Users().Update(ctx, acc.ID, auth.Change{UserMetadata: store.MakeObject(map[string]any{"n": n})}); err != nil {
			return err
		}
	}
	return nil
}

// soak is a receiver that fails half the time, and notes what came when first.
type soak struct {
	t     *testing.T
	total int
	half  chan int // the number of events that were accepted, at a quarter and at half of them
	done  chan struct{}

	mu       sync.Mutex
	first    map[string][]int // by user: the numbers of his events as they came first
	seen     map[string]int   // by webhook-id: attempts
	accepted map[string]bool
	attempts int
	refused  int
	repeats  int // of what was accepted before
}

func (s *soak) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // its sender was killed
	}
	key, err := standardwebhooks.NewWebhook(hookSecret)
	if err == nil {
		err = key.Verify(body, r.Header)
	}
	var e struct {
		Data struct {
			User struct {
				ID       string `json:"id"`
				Metadata struct {
					N int `json:"n"`
				} `json:"user_metadata"`
			} `json:"user"`
		} `json:"data"`
	}
	if err == nil {
		err = json.NewDecoder(bytes.NewReader(body)).Decode(&e)
	}
	if err != nil {
		s.t.Errorf("a bad message: %v", err)
		return
	}
	if !s.note(r.Header.Get("webhook-id"), e.Data.User.ID, e.Data.User.Metadata.N) {
		w.WriteHeader(http.StatusInternalServerError)
	}
}

// note writes an attempt down and says whether it is accepted: a third of the ids fail
// never, a third once, a third twice, by a hash of the id; so half of the attempts fail, and
// nobody fails for long.
func (s *soak) note(id, user string, n int) bool {
	h := fnv.New32a()
	_, _ = h.Write([]byte(id))
	fails := int(h.Sum32() % 3) // one on average: as many failures as successes
	s.mu.Lock()
	defer s.mu.Unlock()
	s.attempts++
	s.seen[id]++
	if s.seen[id] == 1 {
		s.first[user] = append(s.first[user], n)
	}
	if s.accepted[id] {
		s.repeats++
		return true
	}
	if s.seen[id] <= fails {
		s.refused++
		return false
	}
	s.accepted[id] = true
	switch len(s.accepted) {
	case s.total / 4, s.total / 2:
		s.half <- len(s.accepted)
	case s.total:
		close(s.done)
	}
	return true
}

// soakVar says how many users the soak has, ten events each. Default 100.
const soakVar = "TRUEKEEL_TEST_SOAK_USERS"

// A thousand events, or as many as soakVar asks for, reach a receiver that fails half the
// time, though their process is killed twice: each at least once, and those of one user in
// order.
func TestEventsSurvive(t *testing.T) {
	users, steps := 100, 10
	if many := os.Getenv(soakVar); many != "" {
		var err error
		users, err = strconv.Atoi(many)
		require.NoError(t, err, soakVar)
	}
	s := &soak{
		t: t, total: users * steps, half: make(chan int, 2), done: make(chan struct{}),
		first: map[string][]int{}, seen: map[string]int{}, accepted: map[string]bool{},
	}
	server := httptest.NewServer(s)
	defer server.Close()
	file, begun := filepath.Join(t.TempDir(), "auth.db"), time.Now()
	env := []string{hookVar + "=" + server.URL, usersVar + "=" + strconv.Itoa(users), stepsVar + "=" + strconv.Itoa(steps)}
	for lives := range 2 {
		// Each life begins when the leases of the one before have lapsed.
		p := run(t, file, time.Duration(lives)*leased, env...)
		<-s.half
		p.kill()
	}
	last := run(t, file, 2*leased, env...)
	last.wait("done")
	<-s.done
	took := time.Since(begun)
	last.stop()

	want := make([]int, steps)
	for n := range want {
		want[n] = n + 1
	}
	require.Len(t, s.first, users)
	for user, got := range s.first {
		require.Equal(t, want, got, user)
	}
	t.Logf("%d events of %d users, in order for each, in %.1f s through 3 processes, 2 of them killed: %d attempts, %d refused, %d repeated",
		s.total, users, took.Seconds(), s.attempts, s.refused, s.repeats)
}

// leased is how long a dead process's events are its own.
const leased = time.Minute + time.Second
