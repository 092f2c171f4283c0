package user_test

import (
	"net/mail"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/truekeel/auth/fault"
	"github.com/truekeel/auth/internal/user"
)

func TestNormalizeEmail(t *testing.T) {
	label := strings.Repeat("b", 63)
	for in, want := range map[string]string{
		"a@b": "a@b", "Ada.Lovelace+tag@Example.COM": "ada.lovelace+tag@example.com", "!#$%&'*+/=?^_`{|}~.-@x-y.z": "!#$%&'*+/=?^_`{|}~.-@x-y.z",
		"a@" + label + ".com": "a@" + label + ".com", "a@1.2": "a@1.2", "a..b@c": "a..b@c",
		strings.Repeat("a", 243) + "@example.com": strings.Repeat("a", 243) + "@example.com",
	} {
		got, err := user.NormalizeEmail(in)
		require.NoError(t, err, in)
		require.Equal(t, want, got)
	}
	for _, in := range []string{
		"", "a", "@", "a@", "@b", "a@b@c", "a@b.", "a@.b", "a@b..c", "a@-b", "a@b-", "a@" + label + "b.com", "a b@c", "a@b c", " a@b", "a@b ", "a@b\n", "\"a\"@b", "a@[1.2.3.4]",
		"a＠b", "é@b", "a@é", "a@\u212a", "\u212a@b", "a\x00@b", "a@b\x00", "a,b@c", "<a@b>", "a(b)@c", "a\\@b", "a:b@c", "a;b@c", strings.Repeat("a", 244) + "@example.com",
	} {
		got, err := user.NormalizeEmail(in)
		require.Equal(t, fault.ValidationFailed, fault.CodeOf(err), "%q", in)
		require.Empty(t, got)
	}
}

func TestNormalizePhone(t *testing.T) {
	for in, want := range map[string]string{"+1 555 123 4567": "15551234567", "15551234567": "15551234567", "+491": "491", " +12 ": "12"} {
		got, err := user.NormalizePhone(in)
		require.NoError(t, err, in)
		require.Equal(t, want, got)
	}
	for _, in := range []string{"", "+", "1", "0155", "+0155", "1234567890123456", "1-555", "1555x", "++155", "１２３", "155+1"} {
		_, err := user.NormalizePhone(in)
		require.Equal(t, fault.ValidationFailed, fault.CodeOf(err), "%q", in)
	}
}

// An accepted address is ASCII in one form, names one mailbox, and can't break out of a
// header.
func FuzzNormalizeEmail(f *testing.F) {
	for _, s := range []string{
		"ada@example.com", "ADA@EXAMPLE.COM", "a@b@c", "victim＠example.com", "a@example.com.", `"a"@b`, "a@b\r\nBcc: c@d", "\u212a@b", "a..b@c", "a@xn--bcher-kva.example", "", "a@-", "a@" + strings.Repeat("b", 64), "a+b@c", "<a@b>", "a\x00@b",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		got, err := user.NormalizeEmail(in)
		if err != nil {
			require.Equal(t, fault.ValidationFailed, fault.CodeOf(err))
			return
		}
		again, err := user.NormalizeEmail(got)
		require.NoError(t, err)
		require.Equal(t, got, again)
		require.True(t, strings.EqualFold(in, got))
		require.LessOrEqual(t, len(got), 255)
		for _, c := range got {
			require.True(t, c > ' ' && c <= '~' && !strings.ContainsRune("\"(),:;<>[\\]", c) && (c < 'A' || c > 'Z'), "%q", got)
		}
		if !strings.Contains(got, "..") && got[0] != '.' && !strings.Contains(got, ".@") {
			parsed, err := mail.ParseAddress(got)
			require.NoError(t, err)
			require.Equal(t, got, parsed.Address)
		}
	})
}

// An accepted number is E.164 in one form, whose digits are those that were given.
func FuzzNormalizePhone(f *testing.F) {
	for _, s := range []string{"+1 555 123 4567", "15551234567", "+0155", "++1", "１２３", "1-555", " + 1 2", "+1\t2", "1234567890123456", "12\x00", "+4\u00a09 1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		got, err := user.NormalizePhone(in)
		if err != nil {
			require.Equal(t, fault.ValidationFailed, fault.CodeOf(err))
			require.Empty(t, got)
			return
		}
		again, err := user.NormalizePhone("+" + got)
		require.NoError(t, err)
		require.Equal(t, got, again)
		require.True(t, len(got) >= 2 && len(got) <= 15 && got[0] != '0')
		require.Empty(t, strings.Trim(got, "0123456789"))
		var digits strings.Builder
		for _, r := range in {
			if r >= '0' && r <= '9' {
				digits.WriteRune(r)
			}
		}
		require.Equal(t, digits.String(), got)
	})
}
