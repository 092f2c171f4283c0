package providers_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/truekeel/auth/providers"
	"github.com/truekeel/auth/providers/providertest"
)

func BenchmarkBegin(b *testing.B) {
	s := setUp(b, "google")
	for b.Loop() {
		if _, err := s.begin(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkVerifyIDToken(b *testing.B) {
	s := setUp(b, "google")
	token := providers.IDToken{Raw: s.server.Mint(0, "", "", providertest.Sound)}
	_, err := s.present(token)
	require.NoError(b, err)
	for b.Loop() {
		if _, err := s.present(token); err != nil {
			b.Fatal(err)
		}
	}
}
