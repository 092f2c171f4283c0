// Package testport finds ports for servers of tests that are told theirs before they
// listen, or that stop and start again on it.
package testport

import (
	"crypto/rand"
	"math/big"
	"net"
	"strconv"
	"testing"
)

// least and most bound the ports: below those that systems hand out by themselves, of
// which one that is free now may be anybody's a moment later.
const least, most = 10000, 32000

// Free gives a port on which nobody listens on loopback.
func Free(t testing.TB) int {
	t.Helper()
	for range 100 {
		n, err := rand.Int(rand.Reader, big.NewInt(most-least))
		if err != nil {
			t.Fatalf("testport: %v", err)
		}
		port := least + int(n.Int64())
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err != nil {
			continue
		}
		if err := l.Close(); err != nil {
			t.Fatalf("testport: %v", err)
		}
		return port
	}
	t.Fatal("testport: no port is free")
	return 0
}
