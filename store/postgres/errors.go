package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"

	"github.com/jackc/pgx/v5/pgconn"
)

// SQLSTATE codes; PostgreSQL documentation, appendix A.
const (
	uniqueViolation       = "23505"
	foreignKeyViolation   = "23503"
	readOnlyTransaction   = "25006"
	unknownStatement      = "26000"
	invalidAuthorization  = "28000"
	invalidPassword       = "28P01"
	unknownDatabase       = "3D000"
	unknownSchema         = "3F000"
	serializationFailure  = "40001"
	deadlockDetected      = "40P01"
	insufficientPrivilege = "42501"
	duplicateStatement    = "42P05"
	undefinedTable        = "42P01"
	duplicateTable        = "42P07"
	diskFull              = "53100"
	tooManyConnections    = "53300"
	lockNotAvailable      = "55P03"
	queryCanceled         = "57014"
	cannotConnectNow      = "57P03"
)

// sqlState gives the code of an error of the server, "" for any other. Both drivers
// know the method.
func sqlState(err error) string {
	var e interface{ SQLState() string }
	if errors.As(err, &e) {
		return e.SQLState()
	}
	return ""
}

func isDuplicate(err error) bool     { return sqlState(err) == uniqueViolation }
func isMissingParent(err error) bool { return sqlState(err) == foreignKeyViolation }

func isRetryable(err error) bool {
	switch sqlState(err) {
	case serializationFailure, deadlockDetected, lockNotAvailable:
		return true
	}
	return false
}

// isLost reports that the connection broke or couldn't be made.
func isLost(err error) bool {
	if state := sqlState(err); state != "" {
		switch state[:2] {
		case "08": // connection exception
			return true
		case "57": // shutdown, crash, starting up
			return state != queryCanceled
		}
		return false
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return false // it broke because the caller gave up
	}
	var connect *pgconn.ConnectError
	var network *net.OpError
	var name *net.DNSError
	return pgconn.SafeToRetry(err) || errors.As(err, &connect) || errors.As(err, &network) || errors.As(err, &name) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.EPIPE)
}

// isUnavailable reports that the server can't do it now and may later.
func isUnavailable(err error) bool {
	state := sqlState(err)
	if state == "" {
		return noAnswer(err)
	}
	switch state[:2] {
	case "53", "58": // out of something; trouble outside of the server
		return true
	}
	return state == readOnlyTransaction || state == queryCanceled
}

// noAnswer reports that a connection couldn't be made in the time that the DSN gives it.
// It isn't tried again at once: that would keep the caller waiting.
func noAnswer(err error) bool {
	var connect *pgconn.ConnectError
	var network *net.OpError
	dialing := errors.As(err, &connect) || (errors.As(err, &network) && network.Op == "dial")
	return dialing && errors.Is(err, context.DeadlineExceeded)
}

// explain says what helps.
func explain(schema string, err error) error {
	var remedy string
	switch sqlState(err) {
	case invalidAuthorization, invalidPassword:
		remedy = "the server refused the role or its password; look at the DSN, and at the server's pg_hba.conf"
	case unknownDatabase:
		remedy = "there is no such database; create it, or name another in the DSN"
	case insufficientPrivilege:
		remedy = fmt.Sprintf("the role lacks a right; it should own the schema %[1]s and its tables: "+
			"ALTER SCHEMA %[1]s OWNER TO the role, or GRANT USAGE, CREATE ON SCHEMA %[1]s", schema)
	case undefinedTable, unknownSchema:
		remedy = fmt.Sprintf("the tables aren't in the schema %s; migrate first, or name their schema with WithSchema", schema)
	case duplicateTable:
		remedy = fmt.Sprintf("the schema %s holds tables of somebody else; name another with WithSchema", schema)
	case readOnlyTransaction:
		remedy = "the server is read-only, perhaps a standby; name the primary in the DSN (target_session_attrs=read-write)"
	case tooManyConnections:
		remedy = "the server has no connection left; open fewer (WithMaxConns) or raise its max_connections"
	case diskFull:
		remedy = "the server's disk is full; free some space"
	case cannotConnectNow:
		remedy = "the server is starting or stopping; wait"
	case unknownStatement, duplicateStatement:
		remedy = "a pooler in transaction mode is in between; use WithTransactionPooler"
	case "":
		remedy = unreachable(err)
	}
	if remedy == "" {
		return err
	}
	return fmt.Errorf("postgres: %s: %w", remedy, err)
}

// unreachable explains why no connection came about, "" if that isn't what happened.
func unreachable(err error) string {
	var name *net.DNSError
	switch {
	case errors.As(err, &name):
		return "the server's name isn't known; look at the host in the DSN"
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.ENOENT):
		return "nobody listens there; is the server running, are host and port of the DSN right?"
	}
	if noAnswer(err) {
		return "nobody answers there; is the network in between open, are host and port of the DSN right?"
	}
	return ""
}
