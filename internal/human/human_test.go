package human

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/truekeel/auth/captcha"
	"github.com/truekeel/auth/fault"
	"github.com/truekeel/auth/internal/caller"
	"github.com/truekeel/auth/internal/guard"
)

func TestPass(t *testing.T) {
	var token, ip string
	var answer error
	g := &Gate{Guard: guard.New(guard.Config{}), Logger: slog.New(slog.DiscardHandler), Verifier: captcha.Func(func(_ context.Context, tk, from string) error {
		token, ip = tk, from
		return answer
	})}
	require.NoError(t, g.Pass(t.Context(), " good\n"))
	require.Equal(t, "good", token)
	require.Empty(t, ip)
	ctx := caller.WithInfo(t.Context(), caller.Info{IP: netip.MustParseAddr("2001:db8::1")})
	require.NoError(t, g.Pass(ctx, "good"))
	require.Equal(t, "2001:db8::1", ip)

	answer = errors.New("gone")
	err := g.Pass(ctx, "good")
	require.Equal(t, fault.UnexpectedFailure, fault.CodeOf(err))
	require.ErrorIs(t, err, answer)
	answer = &captcha.Refused{}
	require.Equal(t, fault.CaptchaFailed, fault.CodeOf(g.Pass(ctx, "good")))
	require.Equal(t, fault.CaptchaFailed, fault.CodeOf(g.Pass(ctx, " \t")))

	var open *Gate
	require.NoError(t, open.Pass(ctx, ""))
}

func FuzzToken(f *testing.F) {
	for _, s := range []string{`{"captcha_token":"x"}`, `{"hcaptcha_token":"x"}`, `null`, `[]`, `{"captcha_token":{}}`, `"`, ``, `{"captcha_token":7,"hcaptcha_token":"y"}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, meta []byte) {
		token := Token(meta)
		if token == "" {
			return
		}
		var m map[string]any
		require.NoError(t, json.Unmarshal(meta, &m))
		require.True(t, m["captcha_token"] == token || m["hcaptcha_token"] == token)
		require.NotEmpty(t, strings.TrimSpace(token))
	})
}
