package main

import (
	"crypto/tls"
	"sync/atomic"
)

// certificate is a certificate in files, which can be replaced while the server runs.
type certificate struct {
	cert, key string
	pair      atomic.Pointer[tls.Certificate]
}

func readCertificate(cert, key string) (*certificate, error) {
	c := &certificate{cert: cert, key: key}
	return c, c.reload()
}

func (c *certificate) reload() error {
	pair, err := tls.LoadX509KeyPair(c.cert, c.key)
	if err == nil {
		c.pair.Store(&pair)
	}
	return err
}

func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) { return c.pair.Load(), nil }
