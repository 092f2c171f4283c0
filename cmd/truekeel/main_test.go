package main

import (
	"fmt"
	"os"
	"testing"
	"time"
)

// The variables that name the files of a certificate for localhost, which this process
// trusts as it does the system's.
const (
	testCert = "SSL_CERT_FILE"
	testKey  = "TRUEKEEL_TEST_KEY_FILE"
	// asProgram makes the test binary the program itself, for tests of processes.
	asProgram = "TRUEKEEL_TEST_AS_PROGRAM"
)

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
		return
	}
	os.Exit(tested(m))
}

func tested(m *testing.M) int {
	dir, err := os.MkdirTemp("", "truekeel-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	cert, key, err := writeCertificate(dir, time.Now().Add(24*time.Hour), "localhost")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	_ = os.Setenv(testCert, cert)
	_ = os.Setenv(testKey, key)
	return m.Run()
}
