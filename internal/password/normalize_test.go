package password_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/truekeel/auth/fault"
	"github.com/truekeel/auth/internal/password"
)

func normalizing(t *testing.T) *password.Hasher {
	t.Helper()
	return newHasher(t, password.Config{Algorithm: password.Argon2id, Argon2Memory: 64, Argon2Time: 1, Normalize: true})
}

const composed, decomposed, wide = "caf\u00e9 au lait", "cafe\u0301 au lait", "\uff43\uff41\uff46\u00e9 au lait"

func TestNormalizedPasswordsMatchHoweverTheyAreTyped(t *testing.T) {
	h := normalizing(t)
	for _, chosen := range []string{composed, decomposed, wide} {
		hash, err := h.Hash(t.Context(), chosen)
		require.NoError(t, err)
		for _, typed := range []string{composed, decomposed, wide} {
			match, rehash, err := h.Compare(t.Context(), hash, typed)
			require.NoError(t, err)
			require.True(t, match)
			require.False(t, rehash)
		}
		match, _, err := h.Compare(t.Context(), hash, "cafe au lait")
		require.NoError(t, err)
		require.False(t, match)
	}
}

// Who has a password from before keeps it, and gets the better hash.
func TestPasswordsFromBeforeNormalization(t *testing.T) {
	before := newHasher(t, password.Config{Algorithm: password.Argon2id, Argon2Memory: 64, Argon2Time: 1})
	h := normalizing(t)
	for chosen, rehashed := range map[string]bool{composed: false, decomposed: true, wide: true} {
		hash, err := before.Hash(t.Context(), chosen)
		require.NoError(t, err)
		match, rehash, err := h.Compare(t.Context(), hash, chosen)
		require.NoError(t, err)
		require.True(t, match)
		require.Equal(t, rehashed, rehash)
	}
	// Of a bcrypt hash too, whose 72 bytes the text as it was fits into.
	bcrypt := newHasher(t, password.Config{BcryptCost: 4})
	long := strings.Repeat("\ufb01", 24) // 72 bytes, 48 in NFKC
	hash, err := bcrypt.Hash(t.Context(), long)
	require.NoError(t, err)
	match, rehash, err := h.Compare(t.Context(), hash, long)
	require.NoError(t, err)
	require.True(t, match)
	require.True(t, rehash)
}

// The work depends on the text that was typed, not on the account.
func TestNormalizedComparisonsTakeTheSameWork(t *testing.T) {
	h := normalizing(t)
	hash, err := h.Hash(t.Context(), "correct horse battery")
	require.NoError(t, err)
	for typed, work := range map[string]uint64{"something else": 1, composed: 1, decomposed: 2, "\xff": 1, strings.Repeat("\ufdfa", 200): 2} {
		for _, of := range []string{hash, ""} {
			before := h.Hashes()
			match, _, err := h.Compare(t.Context(), of, typed)
			require.NoError(t, err)
			require.False(t, match)
			require.Equal(t, work, h.Hashes()-before, "%q", typed)
		}
	}
}

func TestNormalizedLength(t *testing.T) {
	h := normalizing(t)
	require.NoError(t, h.CheckText(strings.Repeat("x", 256)))
	require.NoError(t, h.CheckText(strings.Repeat("🔑", 256)))
	require.Equal(t, fault.ValidationFailed, fault.CodeOf(h.CheckText(strings.Repeat("\ufdfa", 15))), "270 characters in NFKC")
	_, err := h.Hash(t.Context(), strings.Repeat("\ufdfa", 15))
	require.Equal(t, fault.ValidationFailed, fault.CodeOf(err))
}
