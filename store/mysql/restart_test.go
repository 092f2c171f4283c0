//go:build unix

package mysql_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/truekeel/auth/internal/testdb"
	"github.com/truekeel/auth/internal/testdb/load"
	"github.com/truekeel/auth/store/mysql"
)

// TestServerRestartsUnderLoad stops a server of its own while it is written to, once in
// an orderly way and once by a crash, and starts it again: what was acknowledged is
// there, what failed says so, and the store recovers by itself.
func TestServerRestartsUnderLoad(t *testing.T) {
	server := testdb.MySQLServer(t)
	st, err := mysql.Open(server.DSN)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, st.Close()) })
	require.NoError(t, st.Migrate(t.Context()))

	l := load.Start(t, st)
	for _, c := range []struct {
		how  string
		stop func(testing.TB)
	}{{"stopped", server.Stop}, {"crashed", server.Crash}} {
		l.More(200)
		c.stop(t)
		l.Failure()
		server.Start(t)
		up := time.Now()
		l.More(1)
		t.Logf("%s: the first write was acknowledged %s after the server answered again",
			c.how, time.Since(up).Round(time.Millisecond))
	}
	l.More(200)
	acked, failed := l.Stop(t)
	t.Logf("%d writes acknowledged, all of them there; %d failed as unavailable", acked, failed)
}
