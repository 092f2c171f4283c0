package providers_test

import (
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/truekeel/auth/providers"
)

// The table in the documentation says what the code does.
func TestDocumentedTable(t *testing.T) {
	text, err := os.ReadFile("../docs/providers.md")
	require.NoError(t, err)
	rows := regexp.MustCompile("(?m)^\\| `([a-z0-9_]+)` \\| ([^|]*) \\| ([^|]*) \\| ([^|]*) \\|").FindAllStringSubmatch(string(text), -1)
	var names []string
	for _, row := range rows {
		name, trust, pkce, tokens := row[1], row[2], row[3], row[4]
		names = append(names, name)
		b := setUp(t, name)
		to, err := b.begin()
		require.NoError(t, err, name)
		u, err := url.Parse(to.URL)
		require.NoError(t, err)
		require.Equal(t, yes(u.Query().Has("code_challenge")), pkce, "%s: PKCE", name)
		_, takesTokens := b.p.(providers.IDTokenVerifier)
		require.Equal(t, yes(takesTokens), tokens, "%s: id tokens", name)

		var verified, given bool
		for person := range 2 {
			id, err := b.signIn(person)
			require.NoError(t, err)
			for _, e := range id.Emails {
				given, verified = true, verified || e.Verified
			}
		}
		switch strings.TrimSpace(trust) {
		case "no":
			require.False(t, verified, name)
		case "none given":
			require.False(t, given, name)
		default:
			require.True(t, verified, name)
		}
	}
	require.Equal(t, providers.Names(), names)
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "–"
}
