package main

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRun(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), &out))
	require.Equal(t, "without a team: no_team: You aren't in a team yet\n"+
		"may edit false: 403 you may only read in Acme\nmay edit true: 200 changed something in Acme\n", out.String())
}
