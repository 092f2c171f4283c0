package mysql

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"

	driver "github.com/go-sql-driver/mysql"
)

// number gives the code of an error of the server, 0 for any other.
func number(err error) uint16 {
	var e *driver.MySQLError
	if errors.As(err, &e) {
		return e.Number
	}
	return 0
}

func isDuplicate(err error) bool {
	switch number(err) {
	case 1062, // duplicate entry
		1586: // duplicate entry, named by key
		return true
	}
	return false
}

func isRetryable(err error) bool {
	switch number(err) {
	case 1205, // lock wait timeout
		1213,       // deadlock; Galera's certification failure
		1020,       // row changed since the snapshot (MariaDB)
		1047,       // Galera: the node isn't ready
		8002, 8022, // TiDB: write conflict, to be tried again
		8028, // TiDB: schema changed
		9007: // TiDB: write conflict
		return true
	}
	return false
}

// isLost reports that the connection broke or couldn't be made.
func isLost(err error) bool {
	switch number(err) {
	case 0:
	case 1053, // server is shutting down
		1152, 1184, // connection aborted
		1317, // interrupted, as by a shutdown
		1927, // connection killed (MariaDB)
		4031: // the server gave up on an idle connection
		return true
	default:
		return false
	}
	if noAnswer(err) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return false // it broke because the caller gave up
	}
	var network *net.OpError
	var name *net.DNSError
	return errors.Is(err, driver.ErrInvalidConn) || errors.As(err, &network) || errors.As(err, &name) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.EPIPE)
}

// isUnavailable reports that the server can't do it now and may later.
func isUnavailable(err error) bool {
	switch number(err) {
	case 0:
		return noAnswer(err)
	case 1021, 1114, // full
		1037, 1038, 1041, // out of memory
		1040, 1135, 1203, 1226, 1461, // out of connections, threads, prepared statements
		1290, 1792, 1836, // read-only
		1969, 3024, // statement took too long
		1180,                   // failed in COMMIT: nobody knows how it ended, so it isn't run again
		9001, 9002, 9003, 9005: // TiDB: storage busy
		return true
	}
	return false
}

// noAnswer reports that a connection couldn't be made in the time that the DSN gives it.
// It isn't tried again at once: that would keep the caller waiting.
func noAnswer(err error) bool {
	var network *net.OpError
	return errors.Is(err, errNoAnswer) ||
		(errors.As(err, &network) && network.Op == "dial" && errors.Is(err, context.DeadlineExceeded))
}

// explain says what helps.
func explain(prefix string, err error) error {
	var remedy string
	switch number(err) {
	case 1044, 1045, 1698:
		remedy = "the server refused the user, its password or its access to the database; look at the DSN and at the GRANTs"
	case 1046, 1049:
		remedy = "there is no such database; create it (CREATE DATABASE name CHARACTER SET utf8mb4), or name another in the DSN"
	case 1142, 1143, 1227, 1370:
		remedy = "the user lacks a right; GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, INDEX, DROP, REFERENCES ON the database"
	case 1146, 1054:
		remedy = fmt.Sprintf("the tables %s... aren't there or are another program's; migrate first, or name another prefix with WithPrefix", prefix)
	case 1290, 1792, 1836:
		remedy = "the server is read-only, perhaps a replica; name the primary in the DSN"
	case 1040, 1203, 1226:
		remedy = "the server has no connection left; open fewer (WithMaxConns) or raise its max_connections"
	case 1461:
		remedy = "the server has no prepared statement left; raise its max_prepared_stmt_count, or add interpolateParams=true to the DSN"
	case 1021, 1114:
		remedy = "the server's disk is full; free some space"
	case 1665:
		remedy = "the server logs statements, which READ COMMITTED can't be used with; set binlog_format to ROW"
	case 1406:
		remedy = "a value is longer than its column"
	case 0:
		remedy = unreachable(err)
	}
	if remedy == "" {
		return err
	}
	return fmt.Errorf("mysql: %s: %w", remedy, err)
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
