package breach_test

import (
	"context"
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/truekeel/auth/breach"
)

// ranges is a range API that knows a few passwords.
type ranges struct {
	*httptest.Server
	mu     sync.Mutex
	leaked map[string]int
	asked  []*http.Request
	answer func(w http.ResponseWriter, r *http.Request) // instead of a range
}

func newRanges(t testing.TB, leaked ...string) *ranges {
	s := &ranges{leaked: map[string]int{}}
	for _, pw := range leaked {
		s.leaked[pw] = 3
	}
	s.Server = httptest.NewServer(http.HandlerFunc(s.serve))
	t.Cleanup(s.Close)
	return s
}

func split(pw string) (prefix, suffix string) {
	sum := sha1.Sum([]byte(pw))
	name := strings.ToUpper(hex.EncodeToString(sum[:]))
	return name[:5], name[5:]
}

func (s *ranges) serve(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, r)
	if s.answer != nil {
		s.answer(w, r)
		return
	}
	for pw, count := range s.leaked {
		if prefix, suffix := split(pw); r.URL.Path == "/range/"+prefix {
			fmt.Fprintf(w, "%s:%d\r\n", suffix, count)
		}
	}
	fmt.Fprintf(w, "%035X:0\r\n%035X:0", 1, 2)
}

func (s *ranges) hibp(t testing.TB, change ...func(*breach.HIBPConfig)) *breach.HIBP {
	t.Helper()
	c := breach.HIBPConfig{BaseURL: s.URL}
	for _, f := range change {
		f(&c)
	}
	h, err := breach.NewHIBP(c)
	require.NoError(t, err)
	return h
}

func TestHIBPSendsFiveDigits(t *testing.T) {
	s := newRanges(t, "P@ssw0rd")
	h := s.hibp(t)
	defer h.CloseIdleConnections()
	found, err := h.Breached(t.Context(), "P@ssw0rd")
	require.NoError(t, err)
	require.True(t, found)
	found, err = h.Breached(t.Context(), "correct horse battery")
	require.NoError(t, err)
	require.False(t, found)

	require.Len(t, s.asked, 2)
	r := s.asked[0]
	require.Equal(t, "GET", r.Method)
	require.Equal(t, "/range/21BD1", r.URL.String())
	require.Equal(t, http.Header{"Add-Padding": {"true"}, "User-Agent": {breach.DefaultUserAgent}, "Accept-Encoding": {"gzip"}}, r.Header)
	body, err := io.ReadAll(r.Body)
	require.NoError(t, err)
	require.Empty(t, body)
}

func TestHIBPIgnoresPadding(t *testing.T) {
	s := newRanges(t)
	s.leaked["not leaked"] = 0
	found, err := s.hibp(t).Breached(t.Context(), "not leaked")
	require.NoError(t, err)
	require.False(t, found)
}

func TestHIBPSaysWhatItIs(t *testing.T) {
	s := newRanges(t)
	_, err := s.hibp(t, func(c *breach.HIBPConfig) { c.UserAgent, c.BaseURL = "acme accounts", c.BaseURL+"/mirror/" }).Breached(t.Context(), "a")
	require.NoError(t, err)
	require.Equal(t, "acme accounts", s.asked[0].Header.Get("User-Agent"))
	require.Equal(t, "/mirror/range/86F7E", s.asked[0].URL.Path)
}

// Every failure is an error without the password, its hash or the address asked.
func TestHIBPFailures(t *testing.T) {
	const pw = "correct horse battery"
	prefix, suffix := split(pw)
	for name, answer := range map[string]func(w http.ResponseWriter, r *http.Request){
		"status": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTooManyRequests) },
		"redirect": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/elsewhere"+r.URL.Path, http.StatusFound)
		},
		"no range":  func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>") },
		"empty":     func(http.ResponseWriter, *http.Request) {},
		"too large": func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, strings.Repeat(suffix+":1\n", 20_000)) },
		"breaks off": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100000")
			fmt.Fprintf(w, "%s:1\n", suffix)
		},
		"repeats the prefix": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "http://%zz/"+prefix)
			w.WriteHeader(http.StatusFound)
		},
		"hangs up": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
	} {
		t.Run(name, func(t *testing.T) {
			s := newRanges(t, pw)
			s.answer = answer
			found, err := s.hibp(t, func(c *breach.HIBPConfig) { c.Bloom = &breach.BloomConfig{} }).Breached(t.Context(), pw)
			require.Error(t, err)
			require.False(t, found)
			for _, secret := range []string{pw, prefix, suffix, s.URL} {
				require.NotContains(t, err.Error(), secret)
			}
		})
	}
}

func TestHIBPDoesNotWaitForEver(t *testing.T) {
	s := newRanges(t)
	s.answer = func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	_, err := s.hibp(t, func(c *breach.HIBPConfig) { c.Timeout = time.Millisecond }).Breached(t.Context(), "a")
	require.ErrorIs(t, err, context.DeadlineExceeded)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = s.hibp(t).Breached(ctx, "a")
	require.ErrorIs(t, err, context.Canceled)
}

// What was found once is known while the service is down; what wasn't found isn't.
func TestHIBPBloom(t *testing.T) {
	s := newRanges(t, "P@ssw0rd")
	h := s.hibp(t, func(c *breach.HIBPConfig) { c.Bloom = &breach.BloomConfig{Items: 10} })
	for range 2 {
		found, err := h.Breached(t.Context(), "P@ssw0rd")
		require.NoError(t, err)
		require.True(t, found)
	}
	require.Len(t, s.asked, 1)
	_, err := h.Breached(t.Context(), "correct horse battery")
	require.NoError(t, err)
	s.Close()
	found, err := h.Breached(t.Context(), "P@ssw0rd")
	require.NoError(t, err)
	require.True(t, found)
	_, err = h.Breached(t.Context(), "correct horse battery")
	require.Error(t, err)
}

func TestHIBPFromManyGoroutines(t *testing.T) {
	s := newRanges(t, "P@ssw0rd")
	h := s.hibp(t, func(c *breach.HIBPConfig) { c.Bloom = &breach.BloomConfig{Items: 1} })
	var group sync.WaitGroup
	for range 20 {
		group.Go(func() {
			found, err := h.Breached(t.Context(), "P@ssw0rd")
			if err != nil || !found {
				t.Errorf("found %v, %v", found, err)
			}
		})
	}
	group.Wait()
}

func TestNewHIBPRefuses(t *testing.T) {
	for word, c := range map[string]breach.HIBPConfig{
		"BaseURL":              {BaseURL: "api.example.com"},
		"UserAgent":            {UserAgent: "a\nb"},
		"Timeout":              {Timeout: -1},
		"Bloom.Items":          {Bloom: &breach.BloomConfig{Items: -1}},
		"Bloom.FalsePositives": {Bloom: &breach.BloomConfig{FalsePositives: 1}},
	} {
		_, err := breach.NewHIBP(c)
		require.ErrorContains(t, err, word)
	}
}

func ExampleNewHIBP() {
	// Give it to auth.WithLeakedPasswords.
	h, err := breach.NewHIBP(breach.HIBPConfig{UserAgent: "acme accounts", Bloom: &breach.BloomConfig{}})
	fmt.Println(h != nil, err)
	// Output: true <nil>
}
