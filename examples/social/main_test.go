package main

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/truekeel/auth"
	"github.com/truekeel/auth/authtest"
)

// The environment names the providers; without it there are some that are none.
func TestProvidersOfTheEnvironment(t *testing.T) {
	ways, err := configured()
	require.NoError(t, err)
	require.Empty(t, ways)
	ways, stop, err := pretended("acme", "globex")
	defer stop()
	require.NoError(t, err)
	require.Len(t, ways, 2)

	t.Setenv("EXTERNAL_GITHUB_CLIENT_ID", "id")
	t.Setenv("EXTERNAL_GITHUB_SECRET", "secret")
	t.Setenv("EXTERNAL_KEYCLOAK_CLIENT_ID", "id,of-the-app")
	t.Setenv("EXTERNAL_KEYCLOAK_URL", "https://id.example.com/realms/main")
	ways, err = configured()
	require.NoError(t, err)
	require.Len(t, ways, 2)
	require.Equal(t, "github", ways[0].Name())
	require.Equal(t, "keycloak", ways[1].Name())
	authtest.New(t, auth.WithProvider(ways...))

	t.Setenv("EXTERNAL_OKTA_CLIENT_ID", "id")
	_, err = configured()
	require.Error(t, err, "an issuer is missing")
}
