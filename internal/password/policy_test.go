package password_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/truekeel/auth/fault"
	"github.com/truekeel/auth/internal/password"
)

const (
	lower  = "abcdefghijklmnopqrstuvwxyz"
	upper  = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	digits = "0123456789"
)

func TestPolicy(t *testing.T) {
	sets := []string{lower, upper, digits}
	known := leaks(func(_ context.Context, pw string) (bool, error) { return pw == "Passw0rd", nil })
	const characters = "Password should contain at least one character of each: " +
		lower + ", " + upper + ", " + digits + "."
	tests := []struct {
		name    string
		policy  password.Policy
		pw      string
		reasons []string
		message string
	}{
		{"good", password.Policy{}, "abcdefgh", nil, ""},
		{"default length", password.Policy{}, "abcdefg", []string{"length"}, "Password should be at least 8 characters."},
		{"empty", password.Policy{MinLength: 6}, "", []string{"length"}, "Password should be at least 6 characters."},
		{"code points count", password.Policy{}, "äöüßéèêç", nil, ""},
		{"bytes don't", password.Policy{}, "🔑🔑🔑", []string{"length"}, "Password should be at least 8 characters."},
		{"characters", password.Policy{RequiredCharacters: sets}, "abcdefgh", []string{"characters"}, characters},
		{"all sets", password.Policy{RequiredCharacters: sets}, "abcDEF12", nil, ""},
		{"both", password.Policy{RequiredCharacters: sets}, "abc", []string{"length", "characters"},
			"Password should be at least 8 characters. " + characters},
		{"known", password.Policy{Leaks: known}, "Passw0rd",
			[]string{"pwned"}, "Password is known to be weak and easy to guess, please choose a different one."},
		{"common", password.Policy{Common: true, RequiredCharacters: sets}, "baseball", []string{"characters", "pwned"},
			characters + " Password is known to be weak and easy to guess, please choose a different one."},
		{"empty set", password.Policy{RequiredCharacters: []string{""}}, "abcdefgh", nil, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := tt.policy.Check(t.Context(), tt.pw)
			if tt.reasons == nil {
				require.NoError(t, err)
				return
			}
			var weak *fault.Error
			require.ErrorAs(t, err, &weak)
			require.Equal(t, fault.WeakPassword, weak.Code)
			require.Equal(t, tt.reasons, weak.Reasons)
			require.Equal(t, tt.message, weak.Message)
		})
	}
}

// Passwords have at least eight characters.
func TestASVS_6_2_1(t *testing.T) {
	var p password.Policy
	require.Equal(t, fault.WeakPassword, fault.CodeOf(p.Check(t.Context(), "1234567")))
	require.NoError(t, p.Check(t.Context(), "12345678"))
}

// Any composition is allowed.
func TestASVS_6_2_5(t *testing.T) {
	var p password.Policy
	for _, pw := range []string{"aaaaaaaa", "AAAAAAAA", "11111111", "        ", "........", "пароль-и", "🔑🔑🔑🔑🔑🔑🔑🔑"} {
		require.NoError(t, p.Check(t.Context(), pw), pw)
	}
}

// At least 64 characters are allowed.
func TestASVS_6_2_9(t *testing.T) {
	var p password.Policy
	require.NoError(t, p.Check(t.Context(), strings.Repeat("x", 256)))
	require.NoError(t, newHasher(t, password.Config{}).CheckText(strings.Repeat("x", 64)))
	require.NoError(t, newHasher(t, password.Config{Algorithm: password.Argon2id}).CheckText(strings.Repeat("🔑", 256)))
}

func TestPolicyRefusesWhatIsNoText(t *testing.T) {
	p := password.Policy{MinLength: 1}
	for _, pw := range []string{"abcdefgh\x00", "\xff", strings.Repeat("x", 257), strings.Repeat("🔑", 257), strings.Repeat("x", 1<<20)} {
		require.Equal(t, fault.ValidationFailed, fault.CodeOf(p.Check(t.Context(), pw)))
	}
}

// leaks asks a function.
func leaks(ask func(context.Context, string) (bool, error)) *password.Leaks {
	return &password.Leaks{Ask: ask, Now: time.Now, Logger: slog.New(slog.DiscardHandler)}
}

func reasons(err error) []string {
	var weak *fault.Error
	if errors.As(err, &weak) {
		return weak.Reasons
	}
	return nil
}

// The three thousand most common passwords are refused.
func TestASVS_6_2_4(t *testing.T) {
	p := password.Policy{Common: true}
	for _, pw := range []string{"password", "12345678", "Qwertyuiop", "LETMEIN1", "trustno1", "iloveyou"} {
		require.Equal(t, []string{"pwned"}, reasons(p.Check(t.Context(), pw)), pw)
	}
	for _, pw := range []string{"correct horse battery", "passwordpasswordx", "", "\n", "~~~~~~~~~~~", "!!!!!!!!!!!!"} {
		require.NotContains(t, reasons(p.Check(t.Context(), pw)), "pwned", pw)
	}
	p.Common = false
	require.NoError(t, p.Check(t.Context(), "password"))
}

func TestPolicyKnowsTheContext(t *testing.T) {
	p := password.Policy{Common: true, Context: password.HostWords("app.example.com")}
	about := password.OwnWords("ada.lovelace+shop@analytical.example")
	for _, pw := range []string{
		"ada.lovelace+shop@analytical.example", "Ada.Lovelace", "ada.lovelace+shop", "ada.lovelace1815!", "analytical.example",
		"app.example.com", "EXAMPLE.com", "example2026", "1234example",
	} {
		require.Equal(t, []string{"pwned"}, reasons(p.Check(t.Context(), pw, about...)), pw)
	}
	for _, pw := range []string{"ada.lovelace and friends", "sample.com2026", "98765432109"} {
		require.NoError(t, p.Check(t.Context(), pw, about...), pw)
	}
	require.NoError(t, p.Check(t.Context(), "jo98765432", password.OwnWords("jo@a.example")...), "words of two letters are in everything")
	require.NoError(t, p.Check(t.Context(), "ada.lovelace"), "it is nobody's here")
	require.Equal(t, []string{"localhost"}, password.HostWords("localhost"))
	require.Empty(t, password.HostWords(""))
}

func TestPolicyNormalizes(t *testing.T) {
	p := password.Policy{Common: true, Normalize: true}
	require.Equal(t, []string{"pwned"}, reasons(p.Check(t.Context(), "ｐａｓｓｗｏｒｄ")))
	require.Equal(t, []string{"length"}, reasons(p.Check(t.Context(), "\ufdfa")), "one character, eighteen in NFKC")
	require.Equal(t, []string{"length"}, reasons(p.Check(t.Context(), strings.Repeat("e\u0301", 7))), "seven in NFKC")
	require.NoError(t, p.Check(t.Context(), strings.Repeat("e\u0301", 8)))
	require.Equal(t, fault.ValidationFailed, fault.CodeOf(p.Check(t.Context(), strings.Repeat("\ufdfa", 100))))
	require.Equal(t, fault.ValidationFailed, fault.CodeOf(p.Check(t.Context(), "abcdefgh\xff")))
}

func TestPolicyWhoseServiceIsDown(t *testing.T) {
	down := errors.New("the service is down")
	now := time.Unix(0, 0)
	asked := 0
	var log strings.Builder
	l := &password.Leaks{
		Ask:    func(context.Context, string) (bool, error) { asked++; return true, down },
		Now:    func() time.Time { return now },
		Logger: slog.New(slog.NewTextHandler(&log, nil)),
	}
	now = now.Add(time.Hour)
	p := password.Policy{Leaks: l}
	require.NoError(t, p.Check(t.Context(), "abcdefgh"), "open")
	l.FailClosed = true
	err := p.Check(t.Context(), "abcdefgh")
	require.Equal(t, fault.Unavailable, fault.CodeOf(err))
	require.NotContains(t, err.Error(), "abcdefgh")
	require.Equal(t, 2, asked)
	require.Equal(t, 1, strings.Count(log.String(), "the service is down"), "once in a while")

	require.Nil(t, p.Review(t.Context(), "abcdefgh"))
	require.Equal(t, 2, asked, "a sign-in doesn't ask who just failed")
	now = now.Add(time.Hour)
	require.Nil(t, p.Review(t.Context(), "abcdefgh"))
	require.Equal(t, 3, asked)
	require.Equal(t, 2, strings.Count(log.String(), "the service is down"))

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, p.Check(ctx, "abcdefgh"), context.Canceled, "not open for who hangs up")
}

func TestPolicyAsksForGoodPasswordsOnly(t *testing.T) {
	asked := 0
	p := password.Policy{Common: true, Leaks: leaks(func(context.Context, string) (bool, error) { asked++; return true, nil })}
	require.Equal(t, []string{"length"}, reasons(p.Check(t.Context(), "abc")))
	require.Equal(t, []string{"pwned"}, reasons(p.Check(t.Context(), "password")))
	require.Zero(t, asked)
	require.Equal(t, []string{"pwned"}, reasons(p.Check(t.Context(), "correct horse battery")))
	require.Equal(t, []string{"pwned"}, p.Review(t.Context(), "correct horse battery").Reasons)
	require.Equal(t, 2, asked)
}

// A sign-in doesn't wait for long.
func TestReviewIsShort(t *testing.T) {
	p := password.Policy{Leaks: leaks(func(ctx context.Context, _ string) (bool, error) {
		deadline, ok := ctx.Deadline()
		require.True(t, ok)
		require.LessOrEqual(t, time.Until(deadline), time.Second)
		return true, nil
	})}
	require.NotNil(t, p.Review(t.Context(), "correct horse battery"))
}

func BenchmarkCommon(b *testing.B) {
	p := password.Policy{Common: true}
	about := password.OwnWords("ada.lovelace@example.com")
	for name, pw := range map[string]string{"listed": "qwertyuiop", "not listed": "correct horse battery"} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_ = p.Check(b.Context(), pw, about...)
			}
		})
	}
}
