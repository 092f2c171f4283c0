package webhook

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/require"

	"github.com/truekeel/auth/internal/outbound"
)

const (
	one = "v1,whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
	two = "v1,whsec_Hx4dHBsaGRgXFhUUExIREA8ODQwLCgkIBwYFBAMCAQA="
)

func signer(t *testing.T, secrets ...string) *Signer {
	t.Helper()
	s, err := NewSigner(secrets...)
	require.NoError(t, err)
	return s
}

// receive starts a server on loopback.
func receive(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	return srv.URL
}

func poster(t *testing.T, c Config) *Poster {
	t.Helper()
	c.Reach = outbound.Loopback
	p := New(c)
	t.Cleanup(p.Close)
	return p
}

func TestKnownSignature(t *testing.T) {
	at := time.Unix(1700000000, 0)
	got := signer(t, one).Sign("11111111-2222-4333-8444-555555555555", at, []byte(`{"a":1}`))
	require.Equal(t, []string{"v1,VNHbOk94kLkjcUs6iMSxnLEwbauWBjjAg9ojFC2RYuk="}, got)
}

func TestReceiversVerifyWhatIsPosted(t *testing.T) {
	for _, separator := range []string{"", ", "} {
		for _, secret := range []string{one, two} {
			verified := false
			url := receive(t, func(w http.ResponseWriter, r *http.Request) {
				wh, err := standardwebhooks.NewWebhook(strings.TrimPrefix(secret, "v1,"))
				require.NoError(t, err)
				body, err := io.ReadAll(r.Body)
				require.NoError(t, err)
				require.NoError(t, wh.Verify(body, r.Header))
				require.Equal(t, "application/json", r.Header.Get("Content-Type"))
				require.Equal(t, "identity", r.Header.Get("Accept-Encoding"))
				require.Error(t, wh.Verify(append(body, ' '), r.Header))
				verified = true
				w.WriteHeader(http.StatusAccepted)
			})
			p := poster(t, Config{Signer: signer(t, one, two), Separator: separator})
			a, err := p.Post(t.Context(), Message{URL: url, ID: "m1", At: time.Now(), Body: []byte(`{"a":1}`)})
			require.NoError(t, err)
			require.True(t, a.OK())
			require.True(t, verified)
		}
	}
}

func TestWithoutSignerOrID(t *testing.T) {
	var got http.Header
	url := receive(t, func(_ http.ResponseWriter, r *http.Request) { got = r.Header })
	p := poster(t, Config{})
	_, err := p.Post(t.Context(), Message{URL: url, ID: "m1", At: time.Unix(5, 0), Header: http.Header{"x-own": {"v"}}})
	require.NoError(t, err)
	require.Equal(t, "m1", got.Get("webhook-id"))
	require.Equal(t, "5", got.Get("webhook-timestamp"))
	require.Equal(t, "v", got.Get("X-Own"))
	require.Empty(t, got.Values("webhook-signature"))

	_, err = p.Post(t.Context(), Message{URL: url})
	require.NoError(t, err)
	require.Empty(t, got.Values("webhook-id"))
}

func TestAnswersAreBounded(t *testing.T) {
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		size   int
		more   bool
	}{
		"as much as may be": {func(w http.ResponseWriter, _ *http.Request) { w.Write(make([]byte, 100)) }, 100, false},
		"ten megabytes": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "10485760")
			w.Write(make([]byte, 10<<20))
		}, 100, true},
		"ten megabytes in chunks": {func(w http.ResponseWriter, _ *http.Request) {
			w.(http.Flusher).Flush()
			w.Write(make([]byte, 10<<20))
		}, 100, true},
		"packed": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			var b bytes.Buffer
			z := gzip.NewWriter(&b)
			_, _ = z.Write(make([]byte, 1<<20))
			z.Close()
			w.Write(b.Bytes())
		}, 100, true},
	} {
		t.Run(name, func(t *testing.T) {
			p := poster(t, Config{MaxAnswer: 100})
			a, err := p.Post(t.Context(), Message{URL: receive(t, c.answer)})
			require.NoError(t, err)
			require.Equal(t, http.StatusOK, a.Status)
			require.Len(t, a.Body, c.size)
			require.Equal(t, c.more, a.More)
		})
	}
}

func TestWhoNeverAnswersIsLeft(t *testing.T) {
	for name, answer := range map[string]http.HandlerFunc{
		"no answer": func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"half an answer": func(w http.ResponseWriter, r *http.Request) {
			w.Write([]byte("{"))
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := poster(t, Config{Timeout: 20 * time.Millisecond})
			url := receive(t, func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body) // or the server wouldn't see that we left
				answer(w, r)
			})
			_, err := p.Post(t.Context(), Message{URL: url, Body: []byte("{}")})
			require.ErrorIs(t, err, context.DeadlineExceeded)
		})
	}
}

func TestErrorsHoldNoURL(t *testing.T) {
	p := New(Config{})
	defer p.Close()
	for _, url := range []string{"http://user:hush@127.0.0.1:1/hush?hush", "http://ho st/hush", "https://example.com:port/hush"} {
		_, err := p.Post(t.Context(), Message{URL: url})
		require.Error(t, err)
		require.NotContains(t, err.Error(), "hush")
	}
	_, err := p.Post(t.Context(), Message{URL: "http://127.0.0.1:1/"})
	require.ErrorIs(t, err, outbound.ErrForbiddenAddress)
}

// Who answers with what he was sent has net/http quote it.
func TestErrorsHoldNothingOfAnEcho(t *testing.T) {
	for name, answer := range map[string]string{
		"the path": "", "a status": "HTTP/1.1 hush\r\n\r\n", "a header": "HTTP/1.1 200 OK\r\nhush\r\n\r\n",
		"a length": "HTTP/1.1 200 OK\r\nContent-Length: hush\r\n\r\n", "a coding": "HTTP/1.1 200 OK\r\nTransfer-Encoding: hush\r\n\r\n",
		"a chunk": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nhush\r\n",
	} {
		url := receive(t, func(w http.ResponseWriter, r *http.Request) {
			conn, buf, err := w.(http.Hijacker).Hijack()
			if err != nil {
				return
			}
			if answer == "" {
				answer = r.Method + " " + r.RequestURI + " HTTP/1.1\r\n\r\n"
			}
			_, _ = buf.WriteString(answer)
			_ = buf.Flush()
			_ = conn.Close()
		})
		_, err := poster(t, Config{}).Post(t.Context(), Message{URL: url + "/hush", Body: []byte("{}")})
		require.Error(t, err, name)
		require.NotContains(t, err.Error(), "hush", name)
	}
}

func TestRedirectsAreAnswers(t *testing.T) {
	url := receive(t, func(w http.ResponseWriter, r *http.Request) {
		require.Equal(t, "/", r.URL.Path)
		http.Redirect(w, r, "/elsewhere", http.StatusPermanentRedirect)
	})
	for _, p := range []*Poster{poster(t, Config{}), poster(t, Config{Client: &http.Client{}})} {
		a, err := p.Post(t.Context(), Message{URL: url, Body: []byte("{}")})
		require.NoError(t, err)
		require.Equal(t, http.StatusPermanentRedirect, a.Status)
	}
}

func TestSecrets(t *testing.T) {
	b64 := func(n int) string { return base64.StdEncoding.EncodeToString(make([]byte, n)) }
	for text, wrong := range map[string]string{
		one:                                   "",
		"whsec_" + b64(24):                    "",
		"v1,whsec_" + b64(64):                 "",
		"v1,whsec_" + b64(21):                 "28 characters",
		"v1,whsec_" + b64(67):                 "92 characters",
		"v1,whsec_" + strings.Repeat("?", 40): "no base64",
		"v1,whsec_" + strings.Repeat("A", 33): "no base64",
		"v1a,whpk_abc:whsk_def":               "key pairs",
		b64(32):                               "doesn't have the form",
		"":                                    "doesn't have the form",
	} {
		_, err := NewSigner(text)
		if wrong == "" {
			require.NoError(t, err, text)
			continue
		}
		require.ErrorContains(t, err, wrong, text)
		require.ErrorContains(t, err, "secret 1", text)
	}
	_, err := NewSigner()
	require.ErrorContains(t, err, "openssl")
	require.Equal(t, []string{one, two}, SplitSecrets(one+"| |"+two+"|"))
	require.Empty(t, SplitSecrets("|"))
}

func FuzzSecrets(f *testing.F) {
	f.Add(one + "|" + two)
	f.Add("v1a,whpk_a:whsk_b|v1,whsec_")
	f.Add("||v1,whsec_====")
	f.Fuzz(func(t *testing.T, list string) {
		secrets := SplitSecrets(list)
		s, err := NewSigner(secrets...)
		if err != nil {
			for _, secret := range secrets {
				if _, key, _ := strings.Cut(secret, "whsec_"); len(key) >= 16 {
					require.NotContains(t, err.Error(), key, "the error holds a secret")
				}
			}
			return
		}
		require.Len(t, s.Sign("id", time.Unix(0, 0), nil), len(secrets))
	})
}
